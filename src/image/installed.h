/* installed.h -- which packages are in an image, written down in the image itself, so that a scanner, or the next build on
 * top of it, can see them: /var/lib/dpkg/status.d, a stanza a file, as images without dpkg have it. */
#ifndef PIXI_IMAGE_INSTALLED_H
#define PIXI_IMAGE_INSTALLED_H

#include "image/packages.h"

#define PIXI_IMAGE_STATUS_D "/var/lib/dpkg/status.d"
#define PIXI_IMAGE_STATUS   "/var/lib/dpkg/status" /* of a base that is a Debian system */

/* pixi_installed_read -- the packages of a tree, by its own records, into p; sets the package of each node they list.
 *   PIXI_OK | PIXI_E_NOMEM | PIXI_E_LIMIT | PIXI_E_SYS */
int pixi_installed_read(struct pixi_image_tree *t, struct pixi_packages *p);

/* pixi_installed_write -- adds a record of every package of which the tree has own files, and puts it into p, where one of the
 * same name makes room.
 *
 *   here   the packages of this machine, and the kernel's; p borrows from it
 *
 *   PIXI_OK | pixi_image_tree_add's errors */
int pixi_installed_write(struct pixi_image_tree *t, const struct pixi_packages *here, struct pixi_packages *p,
                         struct pixi_buf *mistakes);

#endif
