#include "image/digest.h"

#include <stdio.h>

enum { PIECE = 64 << 10 };

int pixi_image_digest(const struct pixi_image_tree *t, const struct pixi_image_node *n, const EVP_MD *md,
                      char out[PIXI_IMAGE_DIGEST_HEX])
{
    EVP_MD_CTX *h = EVP_MD_CTX_new();
    uint8_t piece[PIECE], sum[EVP_MAX_MD_SIZE];
    uint64_t at = 0;
    unsigned len = 0;
    ssize_t got = 0;
    bool is_well = h && EVP_DigestInit_ex(h, md, NULL) == 1;
    int rc;

    while (is_well && (got = pixi_image_tree_read(t, n, at, piece, sizeof piece)) > 0) {
        is_well = EVP_DigestUpdate(h, piece, (size_t)got) == 1;
        at += (uint64_t)got;
    }
    is_well = is_well && EVP_DigestFinal_ex(h, sum, &len) == 1;
    rc = got < 0 ? PIXI_E_SYS : is_well ? PIXI_OK : PIXI_E_NOMEM;
    for (unsigned i = 0; rc == PIXI_OK && i < len; i++)
        snprintf(out + 2 * (size_t)i, 3, "%02x", sum[i]);
    EVP_MD_CTX_free(h);
    return rc;
}
