/* dedup.h -- idempotency keys: what each producer sent, at or above its `low`. */
#ifndef PIXI_STORE_DEDUP_H
#define PIXI_STORE_DEDUP_H

#include "base/err.h"
#include "hub/msg.h"
#include "hub/siphash.h"
#include "hub/table.h"

#define PIXI_DEDUP_IDLE_MS (UINT64_C(90) * 24 * 3600 * 1000) /* after so long a producer is forgotten */

struct pixi_dedup {
    struct pixi_table producers;
    struct pixi_list idle; /* producers, the one that was silent for longest first */
    uint64_t seqs;         /* of all */
    size_t max_producers, max_seqs, max_seqs_each;
    uint8_t key[PIXI_SIPHASH_KEY_LEN];
};

/* A place that pixi_dedup_check found for pixi_dedup_put. */
struct pixi_dedup_place {
    struct pixi_dedup_producer *producer;
    size_t at;
    uint64_t seq, content;
};

void pixi_dedup_init(struct pixi_dedup *d, size_t max_producers, size_t max_seqs, size_t max_seqs_each,
                     const uint8_t key[PIXI_SIPHASH_KEY_LEN]);
void pixi_dedup_clear(struct pixi_dedup *d);

/* pixi_dedup_check -- was a message with this key there before? msg has PIXI_MSG_KEY; its time_ms is now.
 * Forgets what is below the key's low, but for PIXI_E_AFTER, after which all is as before.
 *
 *   PIXI_OK            it is new, or the same as before: then `offset` is what that one got, else UINT64_MAX and
 *                      `place` is good until the next call: pixi_dedup_put once the message is stored
 *   PIXI_E_KEY_REUSED  the key was used for another message
 *   PIXI_E_AFTER       it is new, and the key's `after` is neither there nor below a low from before
 *   PIXI_E_RPC_PARAMS  seq is below low, this one or one before
 *   PIXI_E_STORAGE     too many producers or seqs
 *   PIXI_E_NOMEM */
int pixi_dedup_check(struct pixi_dedup *d, const struct pixi_msg *msg, struct pixi_dedup_place *place,
                     uint64_t *offset);

/* pixi_dedup_put -- the message of this place got this offset. Cannot fail. */
void pixi_dedup_put(struct pixi_dedup *d, const struct pixi_dedup_place *place, uint64_t offset);

/* pixi_dedup_content -- what a message says, as a hash: topic, headers, payload and retain. */
uint64_t pixi_dedup_content(const uint8_t key[PIXI_SIPHASH_KEY_LEN], const struct pixi_msg *msg);

/* pixi_dedup_trim -- forget who was idle for too long. */
void pixi_dedup_trim(struct pixi_dedup *d, uint64_t now_ms);

#endif
