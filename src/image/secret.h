/* secret.h -- what must not get into an image unless it is said: everybody who has the image would have it. */
#ifndef PIXI_IMAGE_SECRET_H
#define PIXI_IMAGE_SECRET_H

#include "base/cur.h"

enum { PIXI_SECRET_FILE_MAX = 4 << 20 }; /* bytes: larger files are not looked at */

/* pixi_secret_find -- what a file holds that looks like a secret, for a message: "a private key (PEM)"; NULL: nothing.
 * A program that can read or write private keys holds none: only a key's own bytes count. */
const char *pixi_secret_find(struct pixi_cur file);

#endif
