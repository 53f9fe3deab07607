#include "image/diff.h"

#include "base/member.h"
#include "image/flat.h"

#include <stdio.h>

enum { JSON_MAX = 4 << 20, SHOWN = 4096 };

struct diff {
    const struct pixi_image_view *a, *b;
    pixi_image_on_change *on_change;
    void *context;
    int rc;
};

static void tell(struct diff *d, enum pixi_image_about about, const char *where, const char *member,
                 const char *from, const char *to)
{
    d->on_change(d->context, &(struct pixi_image_change){about, where, member, from, to});
}

static void tell_other(struct diff *d, const char *where, const char *member, const char *from,
                       const char *to)
{
    if (strcmp(from, to) != 0)
        tell(d, PIXI_ABOUT_FILE, where, member, from, to);
}

/* Packages. Both are sorted by name. */

static void diff_packages(struct diff *d)
{
    const struct pixi_packages *a = &d->a->packages, *b = &d->b->packages;
    size_t i = 0, j = 0;

    while (i < pixi_packages_count(a) || j < pixi_packages_count(b)) {
        const struct pixi_package *x = i < pixi_packages_count(a) ? pixi_packages_at(a, i) : NULL;
        const struct pixi_package *y = j < pixi_packages_count(b) ? pixi_packages_at(b, j) : NULL;
        int order = !x ? 1 : !y ? -1 : strcmp(x->name, y->name);

        if (order < 0)
            tell(d, PIXI_ABOUT_PACKAGE, x->name, "", x->version, NULL);
        else if (order > 0)
            tell(d, PIXI_ABOUT_PACKAGE, y->name, "", NULL, y->version);
        else if (strcmp(x->version, y->version) != 0)
            tell(d, PIXI_ABOUT_PACKAGE, x->name, "", x->version, y->version);
        i += order <= 0;
        j += order >= 0;
    }
}

/* Is a path the record of a package that was told already? */
static bool is_told(const struct diff *d, const char *path)
{
    static const char folder[] = PIXI_IMAGE_STATUS_D "/", sums[] = ".md5sums";
    const struct pixi_package *x, *y;
    char name[256];
    size_t len;

    if (strncmp(path, folder, sizeof folder - 1) != 0 || strlen(path) - sizeof folder + 1 >= sizeof name)
        return false;
    snprintf(name, sizeof name, "%s", path + sizeof folder - 1);
    len = strlen(name);
    if (len > strlen(sums) && strcmp(name + len - strlen(sums), sums) == 0)
        name[len - strlen(sums)] = 0;
    x = pixi_packages_find(&d->a->packages, name);
    y = pixi_packages_find(&d->b->packages, name);
    return !x != !y || (x && strcmp(x->version, y->version) != 0);
}

/* JSON, a member at a time. */

static size_t tell_members(struct diff *d, enum pixi_image_about about, const char *where,
                           const struct pixi_flat *a, const struct pixi_flat *b)
{
    struct pixi_buf from = pixi_buf_init(SHOWN), to = pixi_buf_init(SHOWN);
    size_t i = 0, j = 0, count = 0;

    while (i < pixi_flat_count(a) || j < pixi_flat_count(b)) {
        const struct pixi_flat_entry *x = i < pixi_flat_count(a) ? pixi_flat_at(a, i) : NULL;
        const struct pixi_flat_entry *y = j < pixi_flat_count(b) ? pixi_flat_at(b, j) : NULL;
        int order = !x ? 1 : !y ? -1 : strcmp(x->path, y->path);
        const char *member = order <= 0 ? x->path : y->path;

        if (order != 0 || !pixi_cur_equals(x->value, y->value)) {
            pixi_buf_reset(&from);
            pixi_buf_reset(&to);
            pixi_flat_show(member, order <= 0 ? &x->value : NULL, &from);
            pixi_flat_show(member, order >= 0 ? &y->value : NULL, &to);
            pixi_buf_put(&from, "", 1);
            pixi_buf_put(&to, "", 1);
            if (from.err == PIXI_OK && to.err == PIXI_OK)
                tell(d, about, where, member, order <= 0 ? (const char *)from.bytes : NULL,
                     order >= 0 ? (const char *)to.bytes : NULL);
            count++;
        }
        i += order <= 0;
        j += order >= 0;
    }
    d->rc = d->rc == PIXI_OK && from.err == PIXI_E_NOMEM ? from.err : d->rc;
    pixi_buf_clear(&from);
    pixi_buf_clear(&to);
    return count;
}

/* How many differences were told; 0 where one is no JSON. */
static size_t diff_json(struct diff *d, enum pixi_image_about about, const char *where, struct pixi_cur a,
                        struct pixi_cur b)
{
    struct pixi_flat x, y;
    int rc_x = pixi_flat_read(&x, a), rc_y = pixi_flat_read(&y, b);
    size_t count = 0;

    if (rc_x == PIXI_OK && rc_y == PIXI_OK)
        count = tell_members(d, about, where, &x, &y);
    if (rc_x == PIXI_E_NOMEM || rc_y == PIXI_E_NOMEM)
        d->rc = PIXI_E_NOMEM;
    pixi_flat_clear(&x);
    pixi_flat_clear(&y);
    return count;
}

/* Files. */

static const char *const kinds[] = {
    [PIXI_IMAGE_FILE] = "file", [PIXI_IMAGE_DIR] = "folder", [PIXI_IMAGE_LINK] = "link"};

static const char *describe(const struct pixi_image_node *n, char *out, size_t len)
{
    if (n->kind == PIXI_IMAGE_FILE)
        snprintf(out, len, "file, %llu bytes", (unsigned long long)n->size);
    else if (n->kind == PIXI_IMAGE_LINK)
        snprintf(out, len, "link to %s", n->target);
    else
        snprintf(out, len, "folder");
    return out;
}

static bool is_json(const char *path)
{
    size_t len = strlen(path);

    return len > 5 && strcmp(path + len - 5, ".json") == 0;
}

/* True: told by its members. */
static bool diff_json_files(struct diff *d, const struct pixi_image_node *x, const struct pixi_image_node *y)
{
    struct pixi_buf a = pixi_buf_init(JSON_MAX), b = pixi_buf_init(JSON_MAX);
    int rc;
    bool is_done = false;

    if (!is_json(x->path) || x->size > JSON_MAX || y->size > JSON_MAX)
        return false;
    rc = pixi_image_tree_contents(&d->a->tree, x, &a);
    if (rc == PIXI_OK)
        rc = pixi_image_tree_contents(&d->b->tree, y, &b);
    if (rc == PIXI_OK)
        is_done = diff_json(d, PIXI_ABOUT_FILE, x->path, pixi_buf_cur(&a), pixi_buf_cur(&b)) > 0;
    else
        d->rc = rc;
    pixi_buf_clear(&a);
    pixi_buf_clear(&b);
    return is_done;
}

static void diff_contents(struct diff *d, const struct pixi_image_node *x, const struct pixi_image_node *y)
{
    char from[128], to[128], hex[2][PIXI_SHA256_HEX];

    if (memcmp(x->sha256, y->sha256, sizeof x->sha256) == 0 || diff_json_files(d, x, y))
        return;
    pixi_image_hex(x->sha256, hex[0]);
    pixi_image_hex(y->sha256, hex[1]);
    snprintf(from, sizeof from, "%llu bytes, sha256:%.12s", (unsigned long long)x->size, hex[0]);
    snprintf(to, sizeof to, "%llu bytes, sha256:%.12s", (unsigned long long)y->size, hex[1]);
    tell(d, PIXI_ABOUT_FILE, x->path, "contents", from, to);
}

static void diff_nodes(struct diff *d, const struct pixi_image_node *x, const struct pixi_image_node *y)
{
    char from[64], to[64];

    tell_other(d, x->path, "type", kinds[x->kind], kinds[y->kind]);
    snprintf(from, sizeof from, "%u:%u", x->uid, x->gid);
    snprintf(to, sizeof to, "%u:%u", y->uid, y->gid);
    tell_other(d, x->path, "owner", from, to);
    if (x->kind != y->kind)
        return;
    snprintf(from, sizeof from, "%04o", x->mode);
    snprintf(to, sizeof to, "%04o", y->mode);
    if (x->kind != PIXI_IMAGE_LINK)
        tell_other(d, x->path, "mode", from, to);
    if (x->kind == PIXI_IMAGE_LINK)
        tell_other(d, x->path, "target", x->target, y->target);
    if (x->kind == PIXI_IMAGE_FILE)
        diff_contents(d, x, y);
}

static void diff_files(struct diff *d)
{
    const struct pixi_image_tree *a = &d->a->tree, *b = &d->b->tree;
    char text[PIXI_IMAGE_PATH_MAX + 64];
    size_t i = 0, j = 0;

    while (d->rc == PIXI_OK && (i < a->count || j < b->count)) {
        const struct pixi_image_node *x = i < a->count ? a->nodes[i] : NULL,
                                     *y = j < b->count ? b->nodes[j] : NULL;
        int order = !x ? 1 : !y ? -1 : strcmp(x->path, y->path);
        const char *path = order <= 0 ? x->path : y->path;

        if (is_told(d, path))
            ;
        else if (order < 0)
            tell(d, PIXI_ABOUT_FILE, path, "", describe(x, text, sizeof text), NULL);
        else if (order > 0)
            tell(d, PIXI_ABOUT_FILE, path, "", NULL, describe(y, text, sizeof text));
        else
            diff_nodes(d, x, y);
        i += order <= 0;
        j += order >= 0;
    }
}

/* How a container runs it: the member config of the image's configuration. */
static void diff_config(struct diff *d)
{
    enum pixi_json_type type;
    struct pixi_cur a, b;

    if (pixi_member_get(pixi_buf_cur(&d->a->oci.config), "config", &type, &a) &&
        pixi_member_get(pixi_buf_cur(&d->b->oci.config), "config", &type, &b))
        diff_json(d, PIXI_ABOUT_CONFIG, "config", a, b);
}

int pixi_image_diff(const struct pixi_image_view *a, const struct pixi_image_view *b,
                    pixi_image_on_change *on_change, void *context)
{
    struct diff d = {a, b, on_change, context, PIXI_OK};

    diff_packages(&d);
    diff_files(&d);
    if (d.rc == PIXI_OK)
        diff_config(&d);
    return d.rc;
}
