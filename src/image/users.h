/* users.h -- who there is in the image: /etc/passwd, /etc/group and /etc/shadow, and owners by name. */
#ifndef PIXI_IMAGE_USERS_H
#define PIXI_IMAGE_USERS_H

#include "image/desc.h"
#include "image/tree.h"

/* pixi_image_uid -- the number of root or of one of the description's users, and of the group of that name.
 *   false: there is none */
bool pixi_image_uid(const struct pixi_image_desc *d, const char *name, uint32_t *uid);

/* pixi_image_owner -- "pixi" or "pixi:adm"; without a group, the user's own.   false: an unknown name */
bool pixi_image_owner(const struct pixi_image_desc *d, const char *owner, uint32_t *uid, uint32_t *gid);

/* pixi_image_users_add -- the three files: root, nobody and the description's users, all with locked passwords; on a base,
 * its own lines, and the description's in place of those of the same names.
 *
 *   PIXI_OK | PIXI_E_SETTINGS: a number that another user of the base has | pixi_image_tree_add's errors */
int pixi_image_users_add(struct pixi_image_desc *d, struct pixi_image_tree *t, struct pixi_buf *mistakes);

#endif
