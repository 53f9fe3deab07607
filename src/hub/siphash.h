/* siphash.h -- SipHash-2-4: a keyed hash that strangers cannot make collide. Aumasson and Bernstein, 2012. */
#ifndef PIXI_HUB_SIPHASH_H
#define PIXI_HUB_SIPHASH_H

#include "base/cur.h"

enum { PIXI_SIPHASH_KEY_LEN = 16 };

struct pixi_siphash {
    uint64_t v[4];
    uint64_t tail; /* bytes that do not fill a word yet, the first one lowest */
    uint64_t len;  /* bytes fed */
};

/* One hash over any number of pieces; how they were cut makes no difference. */
void pixi_siphash_init(struct pixi_siphash *s, const uint8_t key[PIXI_SIPHASH_KEY_LEN]);
void pixi_siphash_feed(struct pixi_siphash *s, const void *bytes, size_t len);
uint64_t pixi_siphash_end(struct pixi_siphash *s);

/* pixi_siphash -- the three in one. */
uint64_t pixi_siphash(const uint8_t key[PIXI_SIPHASH_KEY_LEN], struct pixi_cur bytes);

#endif
