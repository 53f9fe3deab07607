/* gather.h -- notifications on their way into JSON-RPC batches: kept in order until they leave, of several to one topic
 * perhaps only the newest. No I/O; the memory is lent by whoever uses it.
 *
 *     pixi_gather_init -> pixi_gather_add ... -> pixi_gather_next until it says false -> add ...
 *
 * What replaces another goes to the end, so that positions still rise. */
#ifndef PIXI_SERVER_GATHER_H
#define PIXI_SERVER_GATHER_H

#include "base/buf.h"
#include "proto/rpc/envelope.h"

#include <stdbool.h>

enum {
    PIXI_GATHER_FRAME_MAX = 65536,    /* bytes of a batch */
    PIXI_GATHER_LATEST_MAX = 1 << 20, /* bytes that wait where the newest are looked for */
    PIXI_GATHER_NOTE_MAX = PIXI_GATHER_FRAME_MAX - 2,
};

enum pixi_gather_keep { PIXI_GATHER_ALL, PIXI_GATHER_LATEST };

/* One notification. */
struct pixi_gather_note {
    struct pixi_cur text; /* the object; 1 .. PIXI_GATHER_NOTE_MAX bytes */
    size_t
        topic_len; /* of text, its first bytes: the same for the same topic only. 0: it is never replaced */
    uint64_t hash; /* of the topic, with a key that strangers do not know */
};

struct pixi_gather {
    enum pixi_gather_keep keep;
    struct pixi_buf text;    /* ",{…},{…}", those replaced still in it */
    struct pixi_buf entries; /* struct gather_entry each, in order */
    struct pixi_buf
        slots; /* PIXI_GATHER_LATEST: uint32_t each, a power of two: 1 + index of the topic's newest; 0: free */
    size_t dead; /* bytes of text that were replaced */
    size_t next; /* entries that have left in frames */
};

/* pixi_gather_init -- takes three empty buffers, which pixi_gather's members hold until the caller takes them back. */
void pixi_gather_init(struct pixi_gather *g, enum pixi_gather_keep keep, struct pixi_buf text,
                      struct pixi_buf entries, struct pixi_buf slots);

static inline bool pixi_gather_is_empty(const struct pixi_gather *g)
{
    return g->entries.len == 0;
}

/* pixi_gather_add -- copies.
 *   PIXI_OK
 *   PIXI_E_LIMIT   full: take the frames first. An empty one always has room
 *   PIXI_E_NOMEM   nothing was added */
int pixi_gather_add(struct pixi_gather *g, const struct pixi_gather_note *note);

/* pixi_gather_next -- the next batch, at most PIXI_RPC_BATCH_MAX objects and PIXI_GATHER_FRAME_MAX bytes. Borrowed until the
 * next call. False: all has left, and the gather is empty. */
bool pixi_gather_next(struct pixi_gather *g, struct pixi_cur *frame);

#endif
