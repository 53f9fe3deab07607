#include "image/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>

enum { PIECE = 64 << 10 };

/* The highest whose window (8 MiB) needs no leave of who unpacks it. */
#define ZSTD_LEVEL "19"

/* The sink keeps its first failure, which is asked for after each entry. Told of it, libarchive 3.6 would not free its buffer. */
static la_ssize_t on_write(struct archive *a, void *context, const void *bytes, size_t len)
{
    (void)a;
    pixi_image_sink_put(context, bytes, len);
    return (la_ssize_t)len;
}

static bool is_wanted(const struct pixi_image_archive *how, const struct pixi_image_node *n)
{
    return n->layer >= how->from && n->where <= how->where;
}

static void describe(const struct pixi_image_archive *how, const struct pixi_image_node *n, size_t index,
                     struct archive_entry *e)
{
    static const unsigned types[] = {
        [PIXI_IMAGE_FILE] = AE_IFREG, [PIXI_IMAGE_DIR] = AE_IFDIR, [PIXI_IMAGE_LINK] = AE_IFLNK};

    archive_entry_clear(e);
    archive_entry_set_pathname(e, n->path + 1);
    archive_entry_set_filetype(e, types[n->kind]);
    archive_entry_set_perm(e, n->mode);
    archive_entry_set_uid(e, n->uid);
    archive_entry_set_gid(e, n->gid);
    archive_entry_set_mtime(e, (time_t)how->time, 0);
    archive_entry_set_size(e, n->kind == PIXI_IMAGE_FILE ? (la_int64_t)n->size : 0);
    archive_entry_set_ino64(e, (la_int64_t)index + 1);
    archive_entry_set_nlink(e, n->kind == PIXI_IMAGE_DIR ? 2 : 1);
    if (n->kind == PIXI_IMAGE_LINK)
        archive_entry_set_symlink(e, n->target);
}

/* "etc/.wh.motd" hides etc/motd of the layers below.   OCI layer, "Whiteouts" */
static int put_whiteout(const struct pixi_image_archive *how, const char *path, struct archive *a,
                        struct archive_entry *e)
{
    char name[PIXI_IMAGE_PATH_MAX + 8];
    const char *slash = strrchr(path, '/');

    snprintf(name, sizeof name, "%.*s.wh.%s", (int)(slash - path), path + 1, slash + 1);
    archive_entry_clear(e);
    archive_entry_set_pathname(e, name);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0644);
    archive_entry_set_mtime(e, (time_t)how->time, 0);
    archive_entry_set_size(e, 0);
    return archive_write_header(a, e) >= ARCHIVE_WARN ? PIXI_OK : PIXI_E_SYS;
}

static int put_contents(const struct pixi_image_tree *t, const struct pixi_image_node *n, struct archive *a)
{
    uint8_t piece[PIECE];
    ssize_t got;

    for (uint64_t at = 0; at < n->size; at += (uint64_t)got) {
        got = pixi_image_tree_read(t, n, at, piece, sizeof piece);
        if (got <= 0)
            return PIXI_E_SYS;
        if (archive_write_data(a, piece, (size_t)got) != got)
            return PIXI_E_SYS;
    }
    return PIXI_OK;
}

static int put_all(const struct pixi_image_tree *t, const struct pixi_image_archive *how, struct archive *a,
                   struct pixi_image_sink *s)
{
    struct archive_entry *e = archive_entry_new();
    int rc = e ? PIXI_OK : PIXI_E_NOMEM;
    const char *path;

    for (size_t i = 0; rc == PIXI_OK && how->from != PIXI_IMAGE_OF_BASE && i < pixi_image_tree_removed(t);
         i++)
        if (pixi_image_tree_is_hidden(t, i, &path))
            rc = put_whiteout(how, path, a, e);
    for (size_t i = 0; rc == PIXI_OK && i < t->count; i++) {
        if (!is_wanted(how, t->nodes[i]))
            continue;
        describe(how, t->nodes[i], i, e);
        if (archive_write_header(a, e) < ARCHIVE_WARN)
            rc = PIXI_E_SYS;
        else if (t->nodes[i]->kind == PIXI_IMAGE_FILE)
            rc = put_contents(t, t->nodes[i], a);
        rc = rc == PIXI_OK ? pixi_image_sink_put(s, "", 0) : rc;
    }
    archive_entry_free(e);
    return rc;
}

static int set_up(const struct pixi_image_archive *how, struct archive *a)
{
    if (how->packing == PIXI_IMAGE_ZSTD &&
        (archive_write_add_filter_zstd(a) != ARCHIVE_OK ||
         archive_write_set_filter_option(a, "zstd", "compression-level", ZSTD_LEVEL) != ARCHIVE_OK))
        return ARCHIVE_FATAL;
    if (how->format == PIXI_IMAGE_CPIO)
        return archive_write_set_format_cpio_newc(a);
    return archive_write_set_format_pax_restricted(a);
}

static int write_all(const struct pixi_image_tree *t, const struct pixi_image_archive *how,
                     struct pixi_image_sink *s)
{
    struct archive *a = archive_write_new();
    int rc, kept;

    if (!a || set_up(how, a) != ARCHIVE_OK ||
        archive_write_set_options(a, how->format == PIXI_IMAGE_TAR ? "hdrcharset=UTF-8" : "") <
            ARCHIVE_WARN ||
        archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK ||
        archive_write_open(a, s, NULL, on_write, NULL) != ARCHIVE_OK) {
        archive_write_free(a);
        return PIXI_E_NOMEM;
    }
    rc = put_all(t, how, a, s);
    if (rc == PIXI_E_SYS && archive_errno(a) > 0)
        errno = archive_errno(a);
    kept = errno;
    if (archive_write_close(a) != ARCHIVE_OK && rc == PIXI_OK)
        rc = PIXI_E_NOMEM; /* nothing else is left to go wrong in it */
    archive_write_free(a);
    errno = kept;
    return rc;
}

int pixi_image_archive_write(const struct pixi_image_tree *t, const struct pixi_image_archive *how,
                             const char *path, struct pixi_image_written *out)
{
    struct pixi_image_sink *s = pixi_image_sink_open(path, how->packing);
    int rc, kept;

    if (!s)
        return PIXI_E_SYS;
    rc = write_all(t, how, s);
    kept = errno;
    if (rc == PIXI_OK)
        return pixi_image_sink_close(s, out);
    pixi_image_sink_close(s, NULL);
    errno = kept;
    return rc;
}
