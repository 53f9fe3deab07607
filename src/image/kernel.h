/* kernel.h -- an unpacked Debian kernel package, as tools/get-kernel leaves it, and its modules. */
#ifndef PIXI_IMAGE_KERNEL_H
#define PIXI_IMAGE_KERNEL_H

#include "image/desc.h"
#include "image/tree.h"

#define PIXI_IMAGE_KERNEL  "build/image/kernel"
#define PIXI_IMAGE_MODULES "/etc/pixi/modules" /* of the image: what init loads, a path a line, in order */

struct pixi_image_kernel {
    char folder[1024], version[256];
    char image[2048]; /* the path of vmlinuz */
};

/* pixi_image_kernel_find -- is what the description names in this folder?
 *   PIXI_OK | PIXI_E_SETTINGS: one line says what is missing, and that make image gets it */
int pixi_image_kernel_find(struct pixi_image_desc *d, const char *folder, struct pixi_image_kernel *out,
                           struct pixi_buf *mistakes);

/* pixi_image_kernel_add -- the description's modules and those that they need, and the list of them in the order of loading;
 * of the initramfs only.
 *
 *   PIXI_OK | PIXI_E_SETTINGS: no such module; no modules.dep | pixi_image_tree_add's errors */
int pixi_image_kernel_add(const struct pixi_image_kernel *k, struct pixi_image_desc *d,
                          struct pixi_image_tree *t, struct pixi_buf *mistakes);

/* pixi_image_modules_order -- the lines of modules.dep that a module needs, in the order of loading, each once.
 *
 *   dep    the text of modules.dep
 *   name   "virtio_net"; - and _ are the same
 *   done   paths with a NUL after each, as in modules.dep; added to, and what is there is not added again
 *
 *   PIXI_OK | PIXI_E_NAME: no such module | PIXI_E_LIMIT: they need each other in a circle | PIXI_E_NOMEM */
int pixi_image_modules_order(struct pixi_cur dep, struct pixi_cur name, struct pixi_buf *done);

#endif
