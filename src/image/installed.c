#include "image/installed.h"

#include "image/digest.h"

#include <openssl/md5.h>
#include <stdio.h>

enum { RECORD_MAX = 64 << 20, MD5_HEX = 2 * MD5_DIGEST_LENGTH };

static const char sums[] = ".md5sums", list[] = ".list", info[] = "/var/lib/dpkg/info/";

static struct pixi_cur next_line(struct pixi_cur *c)
{
    const uint8_t *end = memchr(c->p, '\n', pixi_cur_left(c));
    struct pixi_cur line = {c->p, end ? end : c->end};

    c->p = end ? end + 1 : c->end;
    return line;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

static bool is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    return strncmp(path, folder, len) == 0 && path[len] == '/' && !strchr(path + len + 1, '/');
}

static void own(struct pixi_image_tree *t, struct pixi_cur path, const char *before, const char *package)
{
    char text[PIXI_IMAGE_PATH_MAX + 1];
    struct pixi_image_node *n;

    if (snprintf(text, sizeof text, "%s%.*s", before, (int)pixi_cur_left(&path), path.p) >= (int)sizeof text)
        return;
    n = pixi_image_tree_find(t, text);
    if (n && n->kind != PIXI_IMAGE_DIR)
        n->package = package;
}

/* "libc6:amd64.list" and "libc6.md5sums" are about libc6. Each line of the first is a path; of the second, a hash, two blanks,
 * and a path without its first '/'. */
static int own_listed(struct pixi_image_tree *t, struct pixi_packages *p, const struct pixi_image_node *n)
{
    struct pixi_buf text = pixi_buf_init(RECORD_MAX);
    const char *base = strrchr(n->path, '/') + 1;
    const struct pixi_package *k;
    struct pixi_cur c, line;
    bool has_sums = ends_with(base, sums);
    char name[256];
    int rc;

    snprintf(name, sizeof name, "%.*s",
             (int)(strcspn(base, ":") < strlen(base) ? strcspn(base, ":")
                                                     : strlen(base) - strlen(has_sums ? sums : list)),
             base);
    k = pixi_packages_find(p, name);
    rc = k ? pixi_image_tree_contents(t, n, &text) : PIXI_OK;
    for (c = pixi_buf_cur(&text); rc == PIXI_OK && c.p != c.end;) {
        line = next_line(&c);
        if (!has_sums)
            own(t, line, "", k->name);
        else if (pixi_cur_left(&line) > MD5_HEX + 2)
            own(t, (struct pixi_cur){line.p + MD5_HEX + 2, line.end}, "/", k->name);
    }
    pixi_buf_clear(&text);
    return rc;
}

static int read_stanzas(struct pixi_image_tree *t, struct pixi_packages *p, const struct pixi_image_node *n)
{
    struct pixi_buf text = pixi_buf_init(RECORD_MAX);
    int rc = pixi_image_tree_contents(t, n, &text);

    if (rc == PIXI_OK)
        rc = pixi_packages_put(p, pixi_buf_cur(&text));
    pixi_buf_clear(&text);
    return rc;
}

int pixi_installed_read(struct pixi_image_tree *t, struct pixi_packages *p)
{
    const struct pixi_image_node *n;
    const char *path;
    int rc = PIXI_OK;

    for (size_t i = 0; rc == PIXI_OK && i < t->count; i++) {
        n = t->nodes[i];
        if (n->kind == PIXI_IMAGE_FILE &&
            (strcmp(n->path, PIXI_IMAGE_STATUS) == 0 ||
             (is_below(n->path, PIXI_IMAGE_STATUS_D) && !ends_with(n->path, sums))))
            rc = read_stanzas(t, p, n);
    }
    for (size_t i = 0; rc == PIXI_OK && i < t->count; i++) {
        n = t->nodes[i];
        path = n->path;
        if (n->kind == PIXI_IMAGE_FILE && ((is_below(path, PIXI_IMAGE_STATUS_D) && ends_with(path, sums)) ||
                                           (strncmp(path, info, strlen(info)) == 0 && ends_with(path, list))))
            rc = own_listed(t, p, n);
    }
    return rc;
}

static int put_sum(const struct pixi_image_tree *t, const struct pixi_image_node *n, struct pixi_buf *out)
{
    char md5[PIXI_IMAGE_DIGEST_HEX];
    int rc = pixi_image_digest(t, n, EVP_md5(), md5);

    if (rc == PIXI_OK)
        pixi_buf_putf(out, "%s  %s\n", md5, n->path + 1);
    return rc;
}

static void put_field(struct pixi_buf *b, const char *name, const char *value)
{
    if (*value)
        pixi_buf_putf(b, "%s: %s\n", name, value);
}

static int add_file(struct pixi_image_tree *t, const char *name, const char *end, const struct pixi_buf *text,
                    enum pixi_image_where where, struct pixi_buf *mistakes)
{
    char path[PIXI_IMAGE_PATH_MAX + 1];

    if (text->err != PIXI_OK)
        return text->err;
    snprintf(path, sizeof path, "%s/%s%s", PIXI_IMAGE_STATUS_D, name, end);
    return pixi_image_tree_add(t,
                               &(struct pixi_image_new){.path = path,
                                                        .where = where,
                                                        .mode = 0644,
                                                        .content = pixi_buf_cur(text),
                                                        .origin = "the record of packages"},
                               mistakes);
}

static int write_one(struct pixi_image_tree *t, const struct pixi_package *k, const struct pixi_buf *files,
                     enum pixi_image_where where, struct pixi_buf *mistakes)
{
    struct pixi_buf b = pixi_buf_init(1 << 20);
    int rc;

    put_field(&b, "Package", k->name);
    put_field(&b, "Source", k->source);
    put_field(&b, "Version", k->version);
    put_field(&b, "Architecture", k->architecture);
    put_field(&b, "Maintainer", k->maintainer);
    put_field(&b, "Homepage", k->homepage);
    rc = add_file(t, k->name, "", &b, where, mistakes);
    if (rc == PIXI_OK)
        rc = add_file(t, k->name, sums, files, where, mistakes);
    pixi_buf_clear(&b);
    return rc;
}

/* The files of a package, in the order of their paths; only those in the initramfs make a record that is only there. */
static int list_files(const struct pixi_image_tree *t, const char *package, struct pixi_buf *out,
                      enum pixi_image_where *where)
{
    const struct pixi_image_node *n;
    int rc = PIXI_OK;

    *where = PIXI_IMAGE_INITRAMFS_ONLY;
    for (size_t i = 0; rc == PIXI_OK && i < t->count; i++) {
        n = t->nodes[i];
        if (n->kind != PIXI_IMAGE_FILE || !n->package || strcmp(n->package, package) != 0)
            continue;
        rc = put_sum(t, n, out);
        *where = n->where < *where ? n->where : *where;
    }
    return rc;
}

static bool is_used(const struct pixi_image_tree *t, const char *package)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->nodes[i]->source && t->nodes[i]->package && strcmp(t->nodes[i]->package, package) == 0)
            return true;
    return false;
}

int pixi_installed_write(struct pixi_image_tree *t, const struct pixi_packages *here, struct pixi_packages *p,
                         struct pixi_buf *mistakes)
{
    struct pixi_buf files = pixi_buf_init(RECORD_MAX);
    const struct pixi_package *k;
    enum pixi_image_where where;
    int rc = PIXI_OK;

    for (size_t i = 0; rc == PIXI_OK && i < pixi_packages_count(here); i++) {
        k = pixi_packages_at(here, i);
        if (!is_used(t, k->name))
            continue;
        pixi_buf_reset(&files);
        rc = list_files(t, k->name, &files, &where);
        if (rc == PIXI_OK)
            rc = write_one(t, k, &files, where, mistakes);
        if (rc == PIXI_OK)
            rc = pixi_packages_take(p, k);
    }
    pixi_buf_clear(&files);
    return rc;
}
