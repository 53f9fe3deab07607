#include "hub/siphash.h"

static uint64_t rotated(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static uint64_t word(const uint8_t *p)
{
    uint64_t w = 0;

    for (unsigned i = 0; i < 8; i++)
        w |= (uint64_t)p[i] << 8 * i;
    return w;
}

static void mix(uint64_t v[4], unsigned rounds)
{
    while (rounds--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotated(v[1], 13) ^ v[0];
        v[3] = rotated(v[3], 16) ^ v[2];
        v[0] = rotated(v[0], 32) + v[3];
        v[2] += v[1];
        v[3] = rotated(v[3], 21) ^ v[0];
        v[1] = rotated(v[1], 17) ^ v[2];
        v[2] = rotated(v[2], 32);
    }
}

static void absorb(uint64_t v[4], uint64_t w)
{
    v[3] ^= w;
    mix(v, 2);
    v[0] ^= w;
}

void pixi_siphash_init(struct pixi_siphash *s, const uint8_t key[PIXI_SIPHASH_KEY_LEN])
{
    const uint64_t low = word(key), high = word(key + 8);

    *s =
        (struct pixi_siphash){.v = {low ^ UINT64_C(0x736f6d6570736575), high ^ UINT64_C(0x646f72616e646f6d),
                                    low ^ UINT64_C(0x6c7967656e657261), high ^ UINT64_C(0x7465646279746573)}};
}

void pixi_siphash_feed(struct pixi_siphash *s, const void *bytes, size_t len)
{
    const uint8_t *p = bytes, *end = len ? p + len : p;

    while (p != end) {
        if (s->len % 8 == 0 && end - p >= 8) {
            absorb(s->v, word(p));
            p += 8;
            s->len += 8;
            continue;
        }
        s->tail |= (uint64_t)*p++ << 8 * (s->len % 8);
        if (++s->len % 8 == 0) {
            absorb(s->v, s->tail);
            s->tail = 0;
        }
    }
}

uint64_t pixi_siphash_end(struct pixi_siphash *s)
{
    absorb(s->v, s->tail | s->len << 56);
    s->v[2] ^= 0xff;
    mix(s->v, 4);
    return s->v[0] ^ s->v[1] ^ s->v[2] ^ s->v[3];
}

uint64_t pixi_siphash(const uint8_t key[PIXI_SIPHASH_KEY_LEN], struct pixi_cur bytes)
{
    struct pixi_siphash s;

    pixi_siphash_init(&s, key);
    pixi_siphash_feed(&s, bytes.p, pixi_cur_left(&bytes));
    return pixi_siphash_end(&s);
}
