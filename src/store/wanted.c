#include "store/wanted.h"

#include <assert.h>

int pixi_wanted_init(struct pixi_wanted *w, uint64_t max_messages, uint64_t max_bytes)
{
    int rc = PIXI_OK;

    *w = (struct pixi_wanted){0};
    if (max_messages)
        rc = pixi_ring_init(&w->ring, max_messages, max_bytes, 0);
    w->has_ring = max_messages && rc == PIXI_OK;
    return rc;
}

void pixi_wanted_clear(struct pixi_wanted *w)
{
    if (w->has_ring)
        pixi_ring_clear(&w->ring);
    if (w->has_spare)
        pixi_ring_clear(&w->spare);
    *w = (struct pixi_wanted){0};
}

bool pixi_wanted_fits(const struct pixi_wanted *w, size_t len)
{
    return w->has_ring && pixi_ring_fits(&w->ring, len);
}

static void drop_oldest(struct pixi_wanted *w, uint64_t now_ms)
{
    pixi_ring_drop_oldest(&w->ring, now_ms);
    w->trimmed = w->ring.trimmed > w->trimmed ? w->ring.trimmed : w->trimmed;
}

/* Copies those that are wanted, so that the free room is in one piece. */
static void drop_unwanted(struct pixi_wanted *w, uint64_t now_ms,
                          bool (*is_wanted)(void *ctx, const struct pixi_msg *msg), void *ctx)
{
    struct pixi_ring full = w->ring;
    struct pixi_msg msg;

    if (!w->has_spare && pixi_ring_init(&w->spare, full.max_messages, full.max_bytes, 0) != PIXI_OK)
        return; /* without it the oldest go, wanted or not */
    w->has_spare = true;
    for (uint64_t i = 0; i < full.count; i++) {
        msg = pixi_ring_at(&full, i);
        if (!pixi_msg_is_expired(&msg, now_ms) && is_wanted && is_wanted(ctx, &msg))
            pixi_ring_put(&w->spare, &msg);
    }
    w->ring = w->spare;
    w->spare = full;
    w->spare.count = w->spare.bytes = w->spare.first = w->spare.write = 0;
}

void pixi_wanted_put(struct pixi_wanted *w, const struct pixi_msg *msg,
                     bool (*is_wanted)(void *ctx, const struct pixi_msg *msg), void *ctx)
{
    uint64_t messages = w->ring.max_messages - w->ring.max_messages / 4,
             bytes = w->ring.max_bytes - w->ring.max_bytes / 4;
    size_t len = pixi_msg_size(msg);

    assert(pixi_wanted_fits(w, len));
    if (!pixi_ring_has_room(&w->ring, len)) {
        drop_unwanted(w, msg->time_ms, is_wanted, ctx);
        /* not only as many as this one needs: the next would look at everything again */
        while (w->ring.count > messages || (w->ring.count && w->ring.bytes > bytes))
            drop_oldest(w, msg->time_ms);
        while (!pixi_ring_has_room(&w->ring, len))
            drop_oldest(w, msg->time_ms);
    }
    pixi_ring_put(&w->ring, msg);
}
