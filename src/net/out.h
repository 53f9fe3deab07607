/* out.h -- bytes on their way out: a queue of pieces, lent by a pool that all connections of a loop share.
 *
 * Small things are copied, side by side, into chunks; large ones that many connections send are held once and
 * referred to. An empty queue owns nothing. */
#ifndef PIXI_NET_OUT_H
#define PIXI_NET_OUT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
    PIXI_OUT_CHUNK = 16384,     /* bytes of a chunk, its head included */
    PIXI_OUT_SHARE_MIN = 16384, /* bytes from which a body is worth sharing rather than copying */
    PIXI_OUT_POOL_MAX = 1024,   /* chunks kept for later; more are given back to the system */
    PIXI_OUT_PIECES = 64,       /* pieces in one system call */
};

/* A body that several queues refer to. Counted; never changed after pixi_shared_new's caller has filled it. */
struct pixi_shared {
    size_t refs, len;
    uint8_t bytes[];
};

/* pixi_shared_new -- a body of len bytes with one reference, the caller's; NULL when out of memory. */
struct pixi_shared *pixi_shared_new(size_t len);
void pixi_shared_release(struct pixi_shared *s);

struct pixi_out_piece;

struct pixi_out_pool {
    struct pixi_out_piece *chunks, *refs; /* free ones */
    size_t chunk_count;
};

void pixi_out_pool_clear(struct pixi_out_pool *p);

struct pixi_out {
    struct pixi_out_piece *first, *last;
    size_t len; /* bytes waiting */
};

/* pixi_out_room -- len (1 .. PIXI_OUT_CHUNK / 2) bytes side by side, to be written now; counted as waiting.
 * NULL when out of memory; the queue is as before. */
uint8_t *pixi_out_room(struct pixi_out *o, struct pixi_out_pool *p, size_t len);

/* pixi_out_put -- copies len bytes.   PIXI_OK | PIXI_E_NOMEM (nothing is queued) */
int pixi_out_put(struct pixi_out *o, struct pixi_out_pool *p, const uint8_t *bytes, size_t len);

/* pixi_out_put_shared -- refers to s, which gains a reference.   PIXI_OK | PIXI_E_NOMEM */
int pixi_out_put_shared(struct pixi_out *o, struct pixi_out_pool *p, struct pixi_shared *s);

/* pixi_out_iov -- the first pieces, up to max; returns how many. Borrowed until the queue changes. */
int pixi_out_iov(const struct pixi_out *o, struct iovec *iov, int max);

/* pixi_out_drop -- len bytes have left. */
void pixi_out_drop(struct pixi_out *o, struct pixi_out_pool *p, size_t len);
void pixi_out_clear(struct pixi_out *o, struct pixi_out_pool *p);

#endif
