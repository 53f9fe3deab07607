/* buf.h -- a growing byte buffer with a ceiling that it is born with.
 *
 * Errors stick: after the first failed put every later put does nothing and err stays, so that a
 * writer puts all its parts and looks once at the end. What was put before the failure stays. */
#ifndef PIXI_BASE_BUF_H
#define PIXI_BASE_BUF_H

#include "base/cur.h"
#include "base/err.h"

struct pixi_buf {
    uint8_t *bytes; /* owned; NULL while cap is 0 */
    size_t len, cap, max;
    int err; /* PIXI_OK, PIXI_E_NOMEM or PIXI_E_LIMIT */
};

/* pixi_buf_init -- an empty buffer that never holds more than max bytes. Allocates nothing. */
static inline struct pixi_buf pixi_buf_init(size_t max)
{
    return (struct pixi_buf){.max = max};
}

/* pixi_buf_clear -- release the bytes; usable again under the same ceiling. */
void pixi_buf_clear(struct pixi_buf *b);

/* pixi_buf_reset -- forget contents and error, keep the memory. */
static inline void pixi_buf_reset(struct pixi_buf *b)
{
    b->len = 0;
    b->err = PIXI_OK;
}

/* pixi_buf_reserve -- room for len more bytes at bytes + len; NULL after an error or on one.
 * The caller writes up to len bytes there and adds what it wrote to b->len. */
uint8_t *pixi_buf_reserve(struct pixi_buf *b, size_t len);

/* pixi_buf_put -- copies len bytes to the end. */
void pixi_buf_put(struct pixi_buf *b, const void *bytes, size_t len);

static inline void pixi_buf_put_str(struct pixi_buf *b, const char *text)
{
    pixi_buf_put(b, text, strlen(text));
}

static inline void pixi_buf_put_cur(struct pixi_buf *b, struct pixi_cur c)
{
    pixi_buf_put(b, c.p, pixi_cur_left(&c));
}

/* pixi_buf_put_uint -- decimal digits of v. */
void pixi_buf_put_uint(struct pixi_buf *b, uint64_t v);

/* pixi_buf_putf -- formatted as printf does. */
void pixi_buf_putf(struct pixi_buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* pixi_buf_drop -- removes len bytes (at most b->len) from the front. */
void pixi_buf_drop(struct pixi_buf *b, size_t len);

static inline struct pixi_cur pixi_buf_cur(const struct pixi_buf *b)
{
    return pixi_cur_init(b->bytes, b->len);
}

#endif
