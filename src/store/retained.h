/* retained.h -- the last retained message of each topic, readable in offset order. */
#ifndef PIXI_STORE_RETAINED_H
#define PIXI_STORE_RETAINED_H

#include "base/err.h"
#include "hub/msg.h"
#include "hub/siphash.h"
#include "hub/table.h"

struct pixi_retained_msg;

struct pixi_retained {
    struct pixi_table topics;
    /* Owned; by rising offset. A message that was replaced or removed leaves NULL, closed when room is needed. */
    struct pixi_retained_slot {
        uint64_t offset;
        struct pixi_retained_msg *msg;
    } * order;
    size_t used, cap;
    size_t count, bytes, max_count, max_bytes; /* bytes: as allocated */
    struct pixi_retained_msg *room;            /* what reserve found for the put that follows */
    uint64_t soonest_ms;                       /* nothing expires before; UINT64_MAX: nothing expires */
    uint8_t key[PIXI_SIPHASH_KEY_LEN];
};

void pixi_retained_init(struct pixi_retained *r, size_t max_count, size_t max_bytes,
                        const uint8_t key[PIXI_SIPHASH_KEY_LEN]);
void pixi_retained_clear(struct pixi_retained *r);

/* pixi_retained_reserve -- make the pixi_retained_put of the same message succeed; expired ones may go for it.
 * Undone by the next reserve, or by pixi_retained_put.   PIXI_OK | PIXI_E_STORAGE | PIXI_E_NOMEM */
int pixi_retained_reserve(struct pixi_retained *r, const struct pixi_msg *msg);

/* pixi_retained_put -- copies msg, reserved before; an empty payload removes instead. Its offset is above all others
 * (assert). */
void pixi_retained_put(struct pixi_retained *r, const struct pixi_msg *msg);

/* pixi_retained_seek -- index in `order` of the first slot at or after offset; r->used if there is none. */
size_t pixi_retained_seek(const struct pixi_retained *r, uint64_t offset);

/* pixi_retained_at -- the message in a slot below r->used; false: none (any more), or expired, and then it is
 * removed. Borrowed until the next put. */
bool pixi_retained_at(struct pixi_retained *r, size_t index, uint64_t now_ms, struct pixi_msg *out);

/* pixi_retained_trim -- remove what has expired. */
void pixi_retained_trim(struct pixi_retained *r, uint64_t now_ms);

#endif
