/* archive.h -- a tree as a tar (POSIX.1-2001 pax where ustar does not do) or as an initramfs (cpio "newc", zstd). */
#ifndef PIXI_IMAGE_ARCHIVE_H
#define PIXI_IMAGE_ARCHIVE_H

#include "image/sink.h"
#include "image/tree.h"

enum pixi_image_format { PIXI_IMAGE_TAR, PIXI_IMAGE_CPIO };

struct pixi_image_archive {
    enum pixi_image_format format;
    enum pixi_image_packing packing;
    enum pixi_image_layer
        from; /* nodes of this layer and those above; OF_BASE: all. Else a layer over the base,
                                  * with whiteouts */
    enum pixi_image_where where; /* PIXI_IMAGE_INITRAMFS_ONLY: what is only for that, too */
    uint64_t time;               /* of every file, seconds since 1970 */
};

/* pixi_image_archive_write -- a new file at path: the same tree gives the same bytes. Owners are numbers only.
 *   out  written on PIXI_OK only; with PIXI_IMAGE_ZSTD both hashes are the file's
 *
 *   PIXI_OK | PIXI_E_NOMEM | PIXI_E_SYS: errno is kept */
int pixi_image_archive_write(const struct pixi_image_tree *t, const struct pixi_image_archive *how,
                             const char *path, struct pixi_image_written *out);

#endif
