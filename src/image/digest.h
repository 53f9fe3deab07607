/* digest.h -- hashes of files in a tree, beside the SHA-256 that each node has. */
#ifndef PIXI_IMAGE_DIGEST_H
#define PIXI_IMAGE_DIGEST_H

#include "image/tree.h"

#include <openssl/evp.h>

enum { PIXI_IMAGE_DIGEST_HEX = 2 * EVP_MAX_MD_SIZE + 1 };

/* pixi_image_digest -- a file's hash by md, as lower-case digits and a NUL; out is unchanged on a failure.
 *   PIXI_OK | PIXI_E_NOMEM | PIXI_E_SYS: its contents cannot be read back, errno says why */
int pixi_image_digest(const struct pixi_image_tree *t, const struct pixi_image_node *n, const EVP_MD *md,
                      char out[PIXI_IMAGE_DIGEST_HEX]);

#endif
