/* ring.h -- the newest messages of one history policy, in memory of fixed size. Nothing is allocated per message. */
#ifndef PIXI_STORE_RING_H
#define PIXI_STORE_RING_H

#include "base/err.h"
#include "hub/msg.h"

struct pixi_ring_slot;

struct pixi_ring {
    uint8_t *arena; /* owned, max_bytes; messages lie in it one after the other, none across its end */
    struct pixi_ring_slot *slot;                  /* owned, max_messages; circular */
    uint64_t max_messages, max_bytes, max_age_ms; /* age 0: any */
    uint64_t first, count;                        /* slots in use: from first on, modulo max_messages */
    uint64_t write;                               /* where in the arena the next message goes */
    uint64_t bytes;                               /* of messages held */
    uint64_t trimmed;                             /* highest offset that went before its expiry; 0: none */
};

/* pixi_ring_init -- memory is reserved, not touched: the system gives it as the ring fills.
 * All at least 1, max_age_s 0: any age.   PIXI_OK | PIXI_E_NOMEM (nothing to clear) */
int pixi_ring_init(struct pixi_ring *r, uint64_t max_messages, uint64_t max_bytes, uint64_t max_age_s);
void pixi_ring_clear(struct pixi_ring *r);

/* pixi_ring_fits -- would pixi_ring_put take a message of so many bytes? */
static inline bool pixi_ring_fits(const struct pixi_ring *r, size_t len)
{
    return len <= r->max_bytes && len <= UINT32_MAX;
}

/* pixi_ring_has_room -- would it go in without the oldest going? */
bool pixi_ring_has_room(const struct pixi_ring *r, size_t len);

/* pixi_ring_drop_oldest -- there is one (assert). */
void pixi_ring_drop_oldest(struct pixi_ring *r, uint64_t now_ms);

/* pixi_ring_put -- copies msg, whose offset is above all before (assert) and which fits (assert); the oldest go as
 * needed. msg->time_ms is the time by which age and expiry of those are judged. */
void pixi_ring_put(struct pixi_ring *r, const struct pixi_msg *msg);

/* pixi_ring_trim -- the oldest go while they are over the age or expired. */
void pixi_ring_trim(struct pixi_ring *r, uint64_t now_ms);

/* pixi_ring_seek -- index of the first message at or after offset; r->count if there is none. */
uint64_t pixi_ring_seek(const struct pixi_ring *r, uint64_t offset);

/* pixi_ring_at -- the message with an index below r->count; borrowed until the ring changes. The epoch is the caller's
 * to set. */
struct pixi_msg pixi_ring_at(const struct pixi_ring *r, uint64_t index);
uint64_t pixi_ring_offset_at(const struct pixi_ring *r, uint64_t index);

#endif
