#include "image/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>

enum { BLOCK = 64 << 10 };

static const char hide[] = ".wh.", hide_all[] = ".wh..wh..opq";

struct unpacking {
    struct pixi_image_tree *t;
    struct archive *a;
    const char *file;
    enum pixi_unpack_as as;
    size_t count; /* of entries */
    /* A layer is read twice: whiteouts are about what is below it, wherever in it they stand. */
    bool is_hiding;
    struct pixi_buf *why;
};

static int refuse(const struct unpacking *u, const char *entry, const char *what)
{
    pixi_buf_putf(u->why, "found %s in %s: \"%.300s\"", what, u->file, entry);
    return PIXI_E_SETTINGS;
}

static int refuse_archive(const struct unpacking *u)
{
    const char *text = archive_error_string(u->a);

    pixi_buf_putf(u->why, "%s cannot be read: %s", u->file, text ? text : "it is no archive");
    return archive_errno(u->a) == ENOMEM ? PIXI_E_NOMEM : PIXI_E_SETTINGS;
}

/* "./a//b/" is /a/b, "." is the root, which is "". */
static int put_path(const struct unpacking *u, const char *entry, char *out, size_t max)
{
    size_t len, used = 0;

    if (*entry == '/')
        return refuse(u, entry, "an absolute path, which leads out of the root,");
    *out = 0;
    for (const char *p = entry; *p; p += len) {
        p += strspn(p, "/");
        len = strcspn(p, "/");
        if (len == 0 || (len == 1 && *p == '.'))
            continue;
        if (len == 2 && memcmp(p, "..", 2) == 0)
            return refuse(u, entry, "a path with .. in it, which leads out of the root,");
        if (used + len + 2 > max)
            return refuse(u, entry, "a path that is too long");
        used += (size_t)snprintf(out + used, max - used, "/%.*s", (int)len, p);
    }
    return PIXI_OK;
}

static void hide_below(const struct unpacking *u, const char *path)
{
    const char *slash = strrchr(path, '/');
    char place[PIXI_IMAGE_PATH_MAX + 1];
    const struct pixi_image_node *n;

    snprintf(place, sizeof place, "%.*s", (int)(slash - path), path);
    if (strcmp(slash + 1, hide_all) == 0) {
        n = pixi_image_tree_follow(u->t, place);
        if (n || !*place)
            pixi_image_tree_remove(u->t, n ? n->path : "", PIXI_IMAGE_BELOW);
        return;
    }
    snprintf(place, sizeof place, "%.*s%s", (int)(slash + 1 - path), path, slash + 1 + strlen(hide));
    n = pixi_image_tree_find(u->t, place);
    if (n)
        pixi_image_tree_remove(u->t, n->path, PIXI_IMAGE_WITH_TOP);
}

static bool is_whiteout(const struct unpacking *u, const char *path)
{
    const char *slash = strrchr(path, '/');

    return u->as == PIXI_UNPACK_LAYER && strncmp(slash + 1, hide, strlen(hide)) == 0;
}

static ssize_t on_read(void *context, void *out, size_t len)
{
    la_ssize_t n = archive_read_data(((const struct unpacking *)context)->a, out, len);

    if (n >= 0)
        return n;
    errno = EIO;
    return -1;
}

/* What is there gives way, but a folder to a folder: that one becomes what the entry says. True: nothing is left to do. */
static bool make_room(const struct unpacking *u, const struct pixi_image_new *n)
{
    struct pixi_image_node *there = pixi_image_tree_find(u->t, n->path);

    if (there && there->kind == PIXI_IMAGE_DIR && n->kind == PIXI_IMAGE_DIR) {
        there->mode = n->mode & 07777;
        there->uid = n->uid;
        there->gid = n->gid;
        return true;
    }
    if (there && there != n->same)
        pixi_image_tree_remove(u->t, there->path, PIXI_IMAGE_WITH_TOP);
    return there && there == n->same;
}

static int add(struct unpacking *u, const struct pixi_image_new *n)
{
    struct pixi_buf mistakes = pixi_buf_init(1 << 16);
    int rc = make_room(u, n) ? PIXI_OK : pixi_image_tree_add(u->t, n, &mistakes);

    if (rc == PIXI_E_SYS && mistakes.len == 0)
        rc = refuse_archive(u);
    else if (mistakes.len)
        pixi_buf_putf(u->why, "%s: %.*s", u->file, (int)mistakes.len - 1, mistakes.bytes);
    pixi_buf_clear(&mistakes);
    return rc;
}

/* A hard link has its target's contents, and is another file with them. */
static int add_hard_link(struct unpacking *u, struct pixi_image_new *n, const char *entry, const char *to)
{
    char path[PIXI_IMAGE_PATH_MAX + 1];
    int rc = put_path(u, to, path, sizeof path);

    if (rc != PIXI_OK)
        return rc;
    n->same = *path ? pixi_image_tree_find(u->t, path) : NULL;
    if (n->same && n->same->kind == PIXI_IMAGE_LINK) {
        n->kind = PIXI_IMAGE_LINK;
        n->target = n->same->target;
    } else if (!n->same || n->same->kind != PIXI_IMAGE_FILE) {
        return refuse(u, entry, "a hard link to what is no file before it");
    } else {
        n->mode = n->same->mode | PIXI_IMAGE_EXACTLY;
    }
    n->uid = n->same->uid;
    n->gid = n->same->gid;
    return add(u, n);
}

static int take_entry(struct unpacking *u, struct archive_entry *e)
{
    char path[PIXI_IMAGE_PATH_MAX + 1];
    const char *name = archive_entry_pathname(e), *to = archive_entry_hardlink(e);
    struct pixi_image_new n = {.path = path, .origin = "the base"};
    int rc;

    if (!name)
        return refuse(u, "", "an entry without a name");
    rc = put_path(u, name, path, sizeof path);
    if (rc != PIXI_OK || !*path)
        return rc;
    if (is_whiteout(u, path) || u->is_hiding) {
        if (is_whiteout(u, path) && u->is_hiding)
            hide_below(u, path);
        return PIXI_OK;
    }
    n.mode = (archive_entry_perm(e) & 07777) | PIXI_IMAGE_EXACTLY;
    n.uid = (uint32_t)archive_entry_uid(e);
    n.gid = (uint32_t)archive_entry_gid(e);
    if (to)
        return add_hard_link(u, &n, name, to);
    switch (archive_entry_filetype(e)) {
    case AE_IFREG: n.read = on_read, n.context = u; break;
    case AE_IFDIR: n.kind = PIXI_IMAGE_DIR; break;
    case AE_IFLNK: n.kind = PIXI_IMAGE_LINK, n.target = archive_entry_symlink(e); break;
    default:
        if (strncmp(path, "/dev/", 5) == 0)
            return PIXI_OK;
        return refuse(u, name, "a device node, a pipe or a socket outside /dev");
    }
    return add(u, &n);
}

static int take_all(struct unpacking *u)
{
    struct archive_entry *e;
    int rc = PIXI_OK, got;

    while (rc == PIXI_OK && (got = archive_read_next_header(u->a, &e)) != ARCHIVE_EOF) {
        rc = got == ARCHIVE_OK || got == ARCHIVE_WARN ? take_entry(u, e) : refuse_archive(u);
        u->count++;
    }
    /* A tar's end is zeros: a file of zeros would be an empty one. */
    if (rc == PIXI_OK && u->count == 0 && u->as == PIXI_UNPACK_ROOT) {
        pixi_buf_putf(u->why, "%s cannot be read: nothing is in it", u->file);
        rc = PIXI_E_SETTINGS;
    }
    return rc;
}

static int read_once(struct unpacking *u)
{
    int rc;

    u->a = archive_read_new();
    if (!u->a)
        return PIXI_E_NOMEM;
    archive_read_support_filter_all(u->a);
    archive_read_support_format_tar(u->a);
    archive_read_support_format_cpio(u->a);
    rc = archive_read_open_filename(u->a, u->file, BLOCK) == ARCHIVE_OK ? take_all(u) : refuse_archive(u);
    archive_read_free(u->a);
    return rc;
}

int pixi_unpack(struct pixi_image_tree *t, const char *path, enum pixi_unpack_as as, struct pixi_buf *why)
{
    struct unpacking u = {.t = t, .file = path, .as = as, .why = why, .is_hiding = true};
    int rc = as == PIXI_UNPACK_LAYER ? read_once(&u) : PIXI_OK;

    u.is_hiding = false;
    return rc == PIXI_OK ? read_once(&u) : rc;
}

int pixi_unpack_oci(struct pixi_image_tree *t, const struct pixi_oci *o, struct pixi_buf *why)
{
    char path[2048];
    int rc = PIXI_OK;

    for (size_t i = 0; rc == PIXI_OK && i < o->count; i++) {
        rc = pixi_oci_check_blob(o->folder, o->layers[i].digest, why);
        if (rc == PIXI_OK && pixi_oci_blob(o->folder, o->layers[i].digest, path, sizeof path))
            rc = pixi_unpack(t, path, PIXI_UNPACK_LAYER, why);
    }
    return rc;
}
