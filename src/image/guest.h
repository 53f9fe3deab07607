/* guest.h -- what runs inside the image: init, the key's way in, the services, the health check's words.
 *
 * Called when the tree holds the base or else the usual folders (/bin, /sbin, /lib and /lib64 as links into /usr; /dev,
 * /etc, /proc, /root, /run, /sys, /tmp, /usr, /var), and users, packages, files, scripts, settings and kernel modules. The
 * modules to load at boot are in /etc/pixi/modules: a path each line, in order. */
#ifndef PIXI_IMAGE_GUEST_H
#define PIXI_IMAGE_GUEST_H

#include "image/desc.h"
#include "image/tree.h"

/* What a container starts with, its command behind it: finds the API key, then becomes the command. There is one where
 * container.command is given. */
#define PIXI_IMAGE_ENTRY "/usr/lib/pixi/entry"

/* pixi_image_guest_add -- adds init and its data to the tree.
 *
 *   mistakes  one line for each thing that the description asks for and the image can't do
 *
 *   PIXI_OK | pixi_image_tree_add's errors */
int pixi_image_guest_add(struct pixi_image_desc *d, struct pixi_image_tree *t, struct pixi_buf *mistakes);

#endif
