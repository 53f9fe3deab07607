/* spread.h -- a tree as a folder of this machine: what an unpacked image looks like. */
#ifndef GEOM_IMAGE_SPREAD_H
#define GEOM_IMAGE_SPREAD_H

#include "image/tree.h"

/* spread_tree -- every node under the folder, which is made; owners need root. False: errno says why. */
bool spread_tree(const struct pixi_image_tree *t, const char *folder);

/* spread_remove -- the folder and all in it; nothing when it is not there. Links are not followed. */
void spread_remove(const char *folder);

#endif
