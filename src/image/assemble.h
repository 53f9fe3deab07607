/* assemble.h -- everything that a description asks for, into a tree. */
#ifndef PIXI_IMAGE_ASSEMBLE_H
#define PIXI_IMAGE_ASSEMBLE_H

#include "image/installed.h"
#include "image/kernel.h"
#include "image/oci.h"

struct pixi_image_parts {
    struct pixi_image_desc *desc;
    const struct pixi_image_kernel *kernel; /* NULL: without */
    struct pixi_image_tree *tree;
    struct pixi_oci *base;          /* filled where the base is an OCI layout; its count is 0 else */
    struct pixi_packages *here;     /* of this machine, loaded; the kernel's is added */
    struct pixi_packages *packages; /* empty; gets those of the image, and borrows from here */
};

/* pixi_image_assemble -- base, usual folders, users, packages, files, scripts, settings, kernel modules, guest, and the
 * shared libraries of all these; in the end the record of the packages.
 *
 *   mistakes  a line for each mistake, those of the description at their places; as many in one run as can be found
 *
 *   PIXI_OK
 *   PIXI_E_SETTINGS  a base that cannot be read, or that leads out of the root; a file, a package or a module that is not
 *                    there; a destination that is taken; an owner who is no user; a library that is not found; a secret
 *   PIXI_E_SYS, PIXI_E_LIMIT  a line says what failed
 *   PIXI_E_NOMEM */
int pixi_image_assemble(const struct pixi_image_parts *p, struct pixi_buf *mistakes);

#endif
