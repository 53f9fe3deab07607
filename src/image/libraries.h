/* libraries.h -- the shared libraries of the programs in the image, and theirs, found as ld.so(8) finds them. */
#ifndef PIXI_IMAGE_LIBRARIES_H
#define PIXI_IMAGE_LIBRARIES_H

#include "image/tree.h"

/* Where an image's libraries go, and where ld.so of Debian looks without a cache. */
#define PIXI_IMAGE_LIBRARIES "/usr/lib/x86_64-linux-gnu"

/* pixi_image_libraries_add -- adds what the image's own ELF files need and the tree has not: the interpreter at its place,
 * libraries in PIXI_IMAGE_LIBRARIES, until nothing is missing. A library is looked for in the image, then in its user's
 * RUNPATH on this machine ($ORIGIN: the folder where that came from), then in this machine's usual folders.
 *
 *   mistakes  a line for each library that is not found, and who needs it
 *
 *   PIXI_OK | pixi_image_tree_add's errors (SETTINGS also: a broken ELF file, one of another machine) */
int pixi_image_libraries_add(struct pixi_image_tree *t, struct pixi_buf *mistakes);

#endif
