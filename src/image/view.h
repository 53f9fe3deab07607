/* view.h -- an image that was built, here or elsewhere, read back: its files, its packages, how it runs. */
#ifndef PIXI_IMAGE_VIEW_H
#define PIXI_IMAGE_VIEW_H

#include "image/installed.h"
#include "image/oci.h"

struct pixi_image_view {
    const char *kind; /* "root file system", "initramfs", "OCI image", "image"; static */
    struct pixi_image_tree tree;
    struct pixi_packages packages; /* by the image's own records */
    struct pixi_oci oci;           /* its config is empty where there is none */
};

/* pixi_image_view_open -- reads all of it. pixi_image_view_close is due on any answer.
 *
 *   path  a tar or cpio, packed or not; an OCI layout, or FOLDER:NAME; or a folder with the outputs of one image, of which it
 *         takes the initramfs (else the root file system, else the OCI layout) and the OCI layout's configuration
 *   why   one phrase: what was found, and what was expected
 *
 *   PIXI_OK | PIXI_E_SETTINGS | PIXI_E_SYS: errno is kept, why may be empty | PIXI_E_LIMIT | PIXI_E_NOMEM */
int pixi_image_view_open(struct pixi_image_view *v, const char *path, struct pixi_buf *why);
void pixi_image_view_close(struct pixi_image_view *v);

#endif
