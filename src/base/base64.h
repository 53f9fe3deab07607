/* base64.h -- base64 and base64url. RFC 4648 §4, §5. */
#ifndef PIXI_BASE_BASE64_H
#define PIXI_BASE_BASE64_H

#include "base/buf.h"

enum pixi_base64 { PIXI_BASE64_STD, PIXI_BASE64_URL }; /* padded with '=' | '-' and '_', unpadded */

/* Bytes that len bytes become: an upper bound for both alphabets. */
static inline size_t pixi_base64_size(size_t len)
{
    return (len + 2) / 3 * 4;
}

/* pixi_base64_encode -- write pixi_base64_size(len) bytes at most to out; returns how many. No NUL. */
size_t pixi_base64_encode(enum pixi_base64 kind, const uint8_t *bytes, size_t len, char *out);

/* pixi_base64_decode -- strict: right padding (STD) or none (URL), no white space, unused bits zero.
 *
 *   out   at least text's length / 4 * 3 + 3 bytes; may be text's own bytes (it never runs ahead);
 *         spoilt on error
 *   len   bytes written; set on PIXI_OK only
 *
 *   PIXI_OK | PIXI_E_BASE64 */
int pixi_base64_decode(enum pixi_base64 kind, struct pixi_cur text, uint8_t *out, size_t *len);

/* pixi_base64_put -- encode to the end of b. */
void pixi_base64_put(struct pixi_buf *b, enum pixi_base64 kind, const uint8_t *bytes, size_t len);

#endif
