/* utf8.h -- UTF-8, checked as it arrives. RFC 3629. */
#ifndef PIXI_BASE_UTF8_H
#define PIXI_BASE_UTF8_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where in a character a stream stands. All zero: at a boundary. */
struct pixi_utf8 {
    uint8_t left;   /* continuation bytes still wanted, 0 .. 3 */
    uint8_t lo, hi; /* range of the next one, when left > 0 */
};

/* pixi_utf8_feed -- check the next len bytes of a stream.            RFC 3629 §4
 *
 *   at       where the stream stands; moved on PIXI_OK
 *   bad      may be NULL; on error the index in bytes of the first byte that no
 *            continuation can make valid
 *
 *   PIXI_OK      valid so far; a character may still be open: pixi_utf8_is_whole
 *   PIXI_E_UTF8  overlong, surrogate, above U+10FFFF, or a stray byte; final
 *
 * Every way of cutting the stream gives the same answer at the same byte. */
int pixi_utf8_feed(struct pixi_utf8 *at, const uint8_t *bytes, size_t len, size_t *bad);

/* The same by one byte at a time, kept as the reading that the fast one is held equal to. */
int pixi_utf8_feed_scalar(struct pixi_utf8 *at, const uint8_t *bytes, size_t len, size_t *bad);

static inline bool pixi_utf8_is_whole(const struct pixi_utf8 *at)
{
    return at->left == 0;
}

/* pixi_utf8_is_valid -- true when the len bytes are whole, valid UTF-8. */
bool pixi_utf8_is_valid(const uint8_t *bytes, size_t len);

/* pixi_utf8_trim -- of valid text cut to its first len bytes: how many of them are whole characters. */
size_t pixi_utf8_trim(const uint8_t *bytes, size_t len);

#endif
