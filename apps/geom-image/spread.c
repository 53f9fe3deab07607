#include "geom-image/spread.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 65536, OPEN_FOLDERS = 16 };

static bool write_contents(const struct pixi_image_tree *t, const struct pixi_image_node *n, int fd)
{
    static uint8_t piece[PIECE];
    uint64_t at = 0;
    ssize_t len;

    while ((len = pixi_image_tree_read(t, n, at, piece, sizeof piece)) > 0) {
        if (write(fd, piece, (size_t)len) != len)
            return false;
        at += (uint64_t)len;
    }
    return len == 0;
}

static bool write_file(const struct pixi_image_tree *t, const struct pixi_image_node *n, int root)
{
    int fd = openat(root, n->path + 1, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool is_written =
        fd >= 0 && write_contents(t, n, fd) && fchown(fd, n->uid, n->gid) == 0 && fchmod(fd, n->mode) == 0;

    if (fd >= 0 && close(fd) != 0)
        is_written = false;
    return is_written;
}

/* Nodes come sorted, so a folder comes before what is in it; and no node is below a link. */
static bool spread_node(const struct pixi_image_tree *t, const struct pixi_image_node *n, int root)
{
    const char *path = n->path + 1;

    switch (n->kind) {
    case PIXI_IMAGE_DIR:
        return mkdirat(root, path, 0700) == 0 &&
               fchownat(root, path, n->uid, n->gid, AT_SYMLINK_NOFOLLOW) == 0 &&
               fchmodat(root, path, n->mode, 0) == 0;
    case PIXI_IMAGE_LINK:
        return symlinkat(n->target, root, path) == 0 &&
               fchownat(root, path, n->uid, n->gid, AT_SYMLINK_NOFOLLOW) == 0;
    default: return write_file(t, n, root);
    }
}

bool spread_tree(const struct pixi_image_tree *t, const char *folder)
{
    int root = mkdir(folder, 0755) == 0 ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    bool is_done = root >= 0;

    for (size_t i = 0; is_done && i < t->count; i++)
        is_done = t->nodes[i]->where == PIXI_IMAGE_INITRAMFS_ONLY || spread_node(t, t->nodes[i], root);
    if (root >= 0)
        close(root);
    return is_done;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

void spread_remove(const char *folder)
{
    nftw(folder, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
