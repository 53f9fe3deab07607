/* cur.h -- a bounded read cursor. The only way proto/ reads bytes. */
#ifndef PIXI_BASE_CUR_H
#define PIXI_BASE_CUR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct pixi_cur {
    const uint8_t *p, *end; /* borrowed; invariant: p <= end */
};

static inline struct pixi_cur pixi_cur_init(const void *bytes, size_t len)
{
    const uint8_t *p = bytes;

    return (struct pixi_cur){p, len ? p + len : p};
}

static inline struct pixi_cur pixi_cur_str(const char *text)
{
    return pixi_cur_init(text, strlen(text));
}

static inline size_t pixi_cur_left(const struct pixi_cur *c)
{
    return (size_t)(c->end - c->p);
}

/* Each reader moves the cursor and returns true, or leaves it alone and returns false. */

/* Hands the next len bytes to sub and steps over them: nothing that reads sub can leave it. */
static inline bool pixi_cur_cut(struct pixi_cur *c, size_t len, struct pixi_cur *sub)
{
    if (pixi_cur_left(c) < len)
        return false;
    *sub = (struct pixi_cur){c->p, c->p + len};
    c->p += len;
    return true;
}

/* Big-endian unsigned integer of width 1, 2, 4 or 8 bytes. */
static inline bool pixi_cur_uint(struct pixi_cur *c, size_t width, uint64_t *out)
{
    struct pixi_cur s;
    uint64_t v = 0;

    if (!pixi_cur_cut(c, width, &s))
        return false;
    while (s.p != s.end)
        v = v << 8 | *s.p++;
    *out = v;
    return true;
}

/* True when both slices hold the same bytes. */
static inline bool pixi_cur_equals(struct pixi_cur a, struct pixi_cur b)
{
    size_t len = pixi_cur_left(&a);

    return len == pixi_cur_left(&b) && (len == 0 || memcmp(a.p, b.p, len) == 0);
}

#endif
