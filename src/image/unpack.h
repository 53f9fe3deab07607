/* unpack.h -- an archive into a tree: a root file system (tar, or an initramfs in cpio, packed or not), or a layer of an OCI
 * image, which may also take things away. Whoever made it is not trusted: nothing in it gets outside the tree. */
#ifndef PIXI_IMAGE_UNPACK_H
#define PIXI_IMAGE_UNPACK_H

#include "image/oci.h"
#include "image/tree.h"

/* A layer has whiteouts: ".wh.NAME" takes NAME away, ".wh..wh..opq" everything in its folder.   OCI layer, "Whiteouts" */
enum pixi_unpack_as { PIXI_UNPACK_ROOT, PIXI_UNPACK_LAYER };

/* pixi_unpack -- adds what is in the archive; what is there already makes room. Device nodes, pipes and sockets in /dev are
 * left out, for the machine or the container makes its own; times, access control lists and extended attributes are, too.
 *
 *   why  one phrase: which entry is refused and why, or what is wrong with the archive
 *
 *   PIXI_OK
 *   PIXI_E_SETTINGS  no such archive, broken, cut short or (a root) empty; an entry with an absolute path or with .. in it; a hard link to
 *                    something that is not there or outside; a device node, pipe or socket outside /dev; a path that leads
 *                    out of the root by links of the archive's own
 *   PIXI_E_LIMIT, PIXI_E_SYS  pixi_image_tree_add's
 *   PIXI_E_NOMEM */
int pixi_unpack(struct pixi_image_tree *t, const char *path, enum pixi_unpack_as as, struct pixi_buf *why);

/* pixi_unpack_oci -- the layers one by one, each after a look at its digest. The answers are pixi_unpack's. */
int pixi_unpack_oci(struct pixi_image_tree *t, const struct pixi_oci *o, struct pixi_buf *why);

#endif
