#include "image/packages.h"

#include "base/file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    STATUS_MAX = 64 << 20,
    FILES_MAX = 16 << 20,
    FIXED_IDS = 100, /* from there on a number means another user on every machine (Debian Policy 9.2.2) */
};

static const struct {
    const char *name;
    size_t offset;
} fields[] = {
    {"Package", offsetof(struct pixi_package, name)},
    {"Version", offsetof(struct pixi_package, version)},
    {"Architecture", offsetof(struct pixi_package, architecture)},
    {"Source", offsetof(struct pixi_package, source)},
    {"Maintainer", offsetof(struct pixi_package, maintainer)},
    {"Homepage", offsetof(struct pixi_package, homepage)},
    {"Status", offsetof(struct pixi_package, status)},
};
enum { FIELDS = sizeof fields / sizeof *fields };

/* Cuts the next line off, without its break. */
static struct pixi_cur next_line(struct pixi_cur *c)
{
    const uint8_t *end = memchr(c->p, '\n', pixi_cur_left(c));
    struct pixi_cur line = {c->p, end ? end : c->end};

    c->p = end ? end + 1 : c->end;
    return line;
}

/* "Name: value" of a line that is one of fields. */
static int take_field(struct pixi_packages *p, struct pixi_cur line, struct pixi_package *to)
{
    const uint8_t *colon = memchr(line.p, ':', pixi_cur_left(&line)), *value;
    char *text;

    for (size_t i = 0; colon && i < FIELDS; i++) {
        if (!pixi_cur_equals((struct pixi_cur){line.p, colon}, pixi_cur_str(fields[i].name)))
            continue;
        for (value = colon + 1; value != line.end && *value == ' '; value++)
            ;
        text = pixi_arena_text(&p->arena, (struct pixi_cur){value, line.end});
        if (!text)
            return PIXI_E_NOMEM;
        memcpy((char *)to + fields[i].offset, &text, sizeof text);
    }
    return PIXI_OK;
}

/* One of another architecture has a namesake. A stanza without a status is an image's own record of what it has. */
static bool is_usable(const struct pixi_package *k)
{
    size_t len = strlen(k->status);

    return *k->name && (strcmp(k->architecture, "amd64") == 0 || strcmp(k->architecture, "all") == 0) &&
           (len == 0 || (len > 10 && strcmp(k->status + len - 10, " installed") == 0));
}

static int take_stanza(struct pixi_packages *p, struct pixi_cur stanza)
{
    struct pixi_package k = {"", "", "", "", "", "", "", ""};
    struct pixi_cur rest = stanza, line;
    int rc = PIXI_OK;

    while (rc == PIXI_OK && rest.p != rest.end) {
        line = next_line(&rest);
        if (line.p != line.end && *line.p != ' ')
            rc = take_field(p, line, &k);
    }
    if (rc != PIXI_OK || !is_usable(&k))
        return rc;
    k.stanza = pixi_arena_text(&p->arena, stanza);
    pixi_buf_put(&p->all, &k, sizeof k);
    return k.stanza ? p->all.err : PIXI_E_NOMEM;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct pixi_package *)a)->name, ((const struct pixi_package *)b)->name);
}

const struct pixi_package *pixi_packages_find(const struct pixi_packages *p, const char *name)
{
    struct pixi_package key = {.name = name};

    if (pixi_packages_count(p) == 0)
        return NULL;
    return bsearch(&key, p->all.bytes, pixi_packages_count(p), sizeof key, by_name);
}

int pixi_packages_take(struct pixi_packages *p, const struct pixi_package *k)
{
    const struct pixi_package *there = pixi_packages_find(p, k->name);

    if (there) {
        *pixi_packages_at(p, (size_t)(there - pixi_packages_at(p, 0))) = *k;
        return PIXI_OK;
    }
    pixi_buf_put(&p->all, k, sizeof *k);
    if (p->all.err == PIXI_OK)
        qsort(p->all.bytes, pixi_packages_count(p), sizeof *k, by_name);
    return p->all.err;
}

int pixi_packages_put(struct pixi_packages *p, struct pixi_cur text)
{
    struct pixi_cur stanza, line;
    int rc = PIXI_OK;

    while (rc == PIXI_OK && text.p != text.end) {
        stanza = (struct pixi_cur){text.p, text.p};
        do {
            line = next_line(&text);
            stanza.end = text.p;
        } while (line.p != line.end && text.p != text.end);
        if (line.p == line.end)
            stanza.end = line.p;
        rc = take_stanza(p, stanza);
    }
    if (pixi_packages_count(p))
        qsort(p->all.bytes, pixi_packages_count(p), sizeof(struct pixi_package), by_name);
    return rc;
}

void pixi_packages_init(struct pixi_packages *p, const char *folder)
{
    *p = (struct pixi_packages){.arena = pixi_arena_init(4 * STATUS_MAX),
                                .all = pixi_buf_init(PIXI_PACKAGES_MAX * sizeof(struct pixi_package)),
                                .folder = folder};
}

int pixi_packages_load(struct pixi_packages *p, const char *folder)
{
    struct pixi_buf text = pixi_buf_init(STATUS_MAX);
    char path[PATH_MAX];
    int rc;

    pixi_packages_init(p, folder);
    snprintf(path, sizeof path, "%s/status", folder);
    rc = pixi_file_read(path, &text, NULL);
    if (rc == PIXI_OK)
        rc = pixi_packages_put(p, pixi_buf_cur(&text));
    else if (rc == PIXI_E_SYS && errno == ENOENT)
        rc = PIXI_OK;
    pixi_buf_clear(&text);
    return rc;
}

void pixi_packages_clear(struct pixi_packages *p)
{
    pixi_arena_clear(&p->arena);
    pixi_buf_clear(&p->all);
}

/* The list of a package's files, a path each line. */
static int read_list(const struct pixi_packages *p, const struct pixi_package *k, struct pixi_buf *out)
{
    char path[PATH_MAX];
    int rc;

    snprintf(path, sizeof path, "%s/info/%s.list", p->folder, k->name);
    rc = pixi_file_read(path, out, NULL);
    if (rc == PIXI_E_SYS && errno == ENOENT) {
        snprintf(path, sizeof path, "%s/info/%s:%s.list", p->folder, k->name, k->architecture);
        rc = pixi_file_read(path, out, NULL);
    }
    return rc;
}

/* Adding. */

struct adding {
    struct pixi_image_desc *d;
    struct pixi_image_tree *t;
    struct pixi_buf *mistakes;
    size_t i; /* of the description's packages */
    char origin[160];
};

/* Debian 12 has merged /bin, /lib and so on into /usr; dpkg's lists partly have the old names. */
static void merge_usr(struct pixi_cur path, char *out, size_t max)
{
    static const char *const merged[] = {"/bin/", "/sbin/", "/lib/", "/lib64/"};
    bool is_merged = false;

    for (size_t i = 0; i < sizeof merged / sizeof *merged; i++)
        is_merged |=
            pixi_cur_left(&path) > strlen(merged[i]) && memcmp(path.p, merged[i], strlen(merged[i])) == 0;
    snprintf(out, max, "%s%.*s", is_merged ? "/usr" : "", (int)pixi_cur_left(&path), path.p);
}

/* Where a package's link leads to; an absolute one becomes relative, so that it stays inside wherever the image is unpacked. */
static bool read_target(const char *path, char *out, size_t max)
{
    char target[PIXI_IMAGE_PATH_MAX + 1], place[PIXI_IMAGE_PATH_MAX + 16];
    ssize_t len = readlink(path, target, sizeof target - 1);
    size_t used = 0;

    if (len < 0)
        return false;
    target[len] = 0;
    merge_usr(pixi_cur_str(path), place, sizeof place);
    *out = 0;
    if (*target == '/')
        for (const char *slash = strchr(place + 1, '/'); slash && used + 4 < max;
             slash = strchr(slash + 1, '/'))
            used += (size_t)snprintf(out + used, max - used, "../");
    return snprintf(out + used, max - used, "%s", target + (*target == '/')) < (int)(max - used);
}

static int add_path(const struct adding *a, const char *path)
{
    struct pixi_image_new n = {.path = path, .origin = a->origin};
    char target[PIXI_IMAGE_PATH_MAX + 1];
    struct stat st, led_to;

    if (lstat(path, &st) != 0) {
        pixi_image_desc_mistake_at(a->d, "packages", a->i, a->mistakes,
                                   "found no %s on this machine, though its package has it: %s", path,
                                   strerror(errno));
        return PIXI_E_SETTINGS;
    }
    n.mode = (st.st_mode & 07777) | PIXI_IMAGE_EXACTLY;
    n.uid = st.st_uid < FIXED_IDS ? st.st_uid : 0;
    n.gid = st.st_gid < FIXED_IDS ? st.st_gid : 0;
    if (S_ISDIR(st.st_mode)) {
        n.kind = PIXI_IMAGE_DIR;
        n.if_there = PIXI_IMAGE_UNLESS_THERE;
    } else if (S_ISLNK(st.st_mode)) {
        n.kind = PIXI_IMAGE_LINK;
        n.target = read_target(path, target, sizeof target) ? target : "";
        /* a package's folder /bin is a link here, and in the image already */
        if (stat(path, &led_to) == 0 && S_ISDIR(led_to.st_mode))
            n.if_there = PIXI_IMAGE_UNLESS_THERE;
    } else {
        n.source = path;
    }
    return pixi_image_tree_add(a->t, &n, a->mistakes);
}

static bool is_documentation(const char *path)
{
    static const char *const folders[] = {"/usr/share/doc", "/usr/share/man", "/usr/share/info",
                                          "/usr/share/locale", "/usr/share/lintian"};

    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (strncmp(path, folders[i], strlen(folders[i])) == 0 &&
            (path[strlen(folders[i])] == '/' || !path[strlen(folders[i])]))
            return true;
    return false;
}

static bool is_listed(struct pixi_cur list, const char *path)
{
    while (list.p != list.end)
        if (pixi_cur_equals(next_line(&list), pixi_cur_str(path)))
            return true;
    return false;
}

static int add_named(const struct adding *a, const struct pixi_image_package *want, struct pixi_cur list)
{
    int rc = PIXI_OK;

    for (size_t i = 0; i < want->files.count && rc == PIXI_OK; i++) {
        const char *path = (const char *)want->files.at[i].p;

        if (is_listed(list, path)) {
            rc = add_path(a, path);
            continue;
        }
        pixi_image_desc_mistake_at(a->d, "packages", a->i, a->mistakes,
                                   "found no %s in package %s, expected one of its files (dpkg -L %s)", path,
                                   want->name, want->name);
        rc = PIXI_E_SETTINGS;
    }
    return rc;
}

static int add_whole(const struct adding *a, struct pixi_cur list)
{
    char path[PIXI_IMAGE_PATH_MAX + 2];
    struct pixi_cur line;
    int rc = PIXI_OK;

    while (list.p != list.end && rc == PIXI_OK) {
        line = next_line(&list);
        snprintf(path, sizeof path, "%.*s", (int)pixi_cur_left(&line), line.p);
        if (strcmp(path, "/.") != 0 && *path && !is_documentation(path))
            rc = add_path(a, path);
    }
    return rc;
}

static int add_package(const struct pixi_packages *p, struct adding *a)
{
    const struct pixi_image_package *want = pixi_image_desc_package(a->d, a->i);
    const struct pixi_package *k = pixi_packages_find(p, want->name);
    struct pixi_buf list = pixi_buf_init(FILES_MAX);
    int rc = PIXI_E_SETTINGS;

    snprintf(a->origin, sizeof a->origin, "package %s", want->name);
    if (!k)
        pixi_image_desc_mistake_at(
            a->d, "packages", a->i, a->mistakes,
            "found package %s not installed here, expected it to be: apt-get install %s", want->name,
            want->name);
    else if (read_list(p, k, &list) != PIXI_OK)
        pixi_image_desc_mistake_at(a->d, "packages", a->i, a->mistakes,
                                   "found no list of the files of %s in %s/info: %s", want->name, p->folder,
                                   strerror(errno));
    else if (want->files.count)
        rc = add_named(a, want, pixi_buf_cur(&list));
    else
        rc = add_whole(a, pixi_buf_cur(&list));
    pixi_buf_clear(&list);
    return rc;
}

int pixi_packages_add(const struct pixi_packages *p, struct pixi_image_desc *d, struct pixi_image_tree *t,
                      struct pixi_buf *mistakes)
{
    struct adding a = {.d = d, .t = t, .mistakes = mistakes};
    int rc = PIXI_OK, one;

    for (a.i = 0; a.i < d->packages.count && (rc == PIXI_OK || rc == PIXI_E_SETTINGS); a.i++) {
        one = add_package(p, &a);
        rc = one == PIXI_OK ? rc : one;
    }
    return rc;
}

/* Owning. */

struct wanted {
    char path[PIXI_IMAGE_PATH_MAX +
              16]; /* as dpkg would have it, folders of / that are links into /usr written out */
    struct pixi_image_node *node;
};

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct wanted *)a)->path, ((const struct wanted *)b)->path);
}

/* Made by a package's scripts, so in no list. */
static const struct {
    const char *path, *package;
} made[] = {{"/etc/ssl/certs/ca-certificates.crt", "ca-certificates"}};

static int list_wanted(const struct pixi_packages *p, const struct pixi_image_tree *t, struct pixi_buf *out)
{
    const struct pixi_package *k;
    struct wanted w;

    for (size_t i = 0; i < t->count; i++) {
        struct pixi_image_node *n = t->nodes[i];

        if (!n->source || n->package)
            continue;
        for (size_t m = 0; m < sizeof made / sizeof *made; m++)
            if (strcmp(n->source, made[m].path) == 0 && (k = pixi_packages_find(p, made[m].package)) != NULL)
                n->package = k->name;
        merge_usr(pixi_cur_str(n->source), w.path, sizeof w.path);
        w.node = n;
        pixi_buf_put(out, &w, sizeof w);
    }
    if (out->len)
        qsort(out->bytes, out->len / sizeof w, sizeof w, by_path);
    return out->err;
}

static void own_of_list(const struct pixi_package *k, struct pixi_cur list, const struct pixi_buf *wanted)
{
    struct wanted key, *found, *first = (struct wanted *)(void *)wanted->bytes, *end;

    end = first + wanted->len / sizeof key;
    while (list.p != list.end) {
        merge_usr(next_line(&list), key.path, sizeof key.path);
        found = bsearch(&key, first, (size_t)(end - first), sizeof key, by_path);
        if (!found)
            continue;
        while (found > first && by_path(found - 1, &key) == 0)
            found--;
        for (; found != end && by_path(found, &key) == 0; found++)
            found->node->package = k->name;
    }
}

int pixi_packages_own(const struct pixi_packages *p, struct pixi_image_tree *t)
{
    struct pixi_buf wanted = pixi_buf_init(PIXI_IMAGE_NODES_MAX * sizeof(struct wanted)),
                    list = pixi_buf_init(FILES_MAX);
    int rc = list_wanted(p, t, &wanted);

    for (size_t i = 0; rc == PIXI_OK && wanted.len && i < pixi_packages_count(p); i++) {
        pixi_buf_reset(&list);
        rc = read_list(p, pixi_packages_at(p, i), &list);
        if (rc == PIXI_OK)
            own_of_list(pixi_packages_at(p, i), pixi_buf_cur(&list), &wanted);
        else if (rc == PIXI_E_SYS && errno == ENOENT)
            rc = PIXI_OK;
    }
    pixi_buf_clear(&wanted);
    pixi_buf_clear(&list);
    return rc;
}
