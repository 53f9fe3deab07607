/* msg.h -- a message in the outbox, on its way to the disk or to the server. */
#ifndef PIXI_OUTBOX_MSG_H
#define PIXI_OUTBOX_MSG_H

#include "base/cur.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    PIXI_OUTBOX_PRIORITIES = 10, /* 0 .. 9; 9 goes first */
    PIXI_OUTBOX_PRIORITY = 4,    /* of a message that names none */
    PIXI_OUTBOX_COST = 64,       /* bytes that a message counts beside its own */
    PIXI_OUTBOX_PRODUCER = 16,
};

/* Bits; on disk, too. */
enum {
    PIXI_OUTBOX_JSON = 1, /* the payload is JSON */
    PIXI_OUTBOX_RETAIN = 2,
    PIXI_OUTBOX_LATE = 4, /* it waited for long before it could go: it carries the header `resent` */
};

enum pixi_outbox_state {
    PIXI_OUTBOX_READY, /* to be sent */
    PIXI_OUTBOX_SENT,  /* waits for its answer */
};

struct pixi_outbox_msg {
    struct pixi_outbox_msg *next, *previous;
    enum pixi_outbox_state state;
    bool
        is_uncertain; /* it was sent, or perhaps by an earlier run, and its answer was lost: the server may have it */
    uint64_t id;    /* by priority, then in the order of acceptance; below 2^53 */
    uint64_t batch; /* where it lies on disk: batch.h */
    unsigned place; /* and the how manieth of that it is */
    uint64_t seq;   /* of the idempotency key; 0: it has none yet */
    uint64_t after; /* the seq that it went after when it was sent last; 0: none */
    unsigned flags;
    uint64_t accepted_ms;                    /* the outbox's own time: outbox.h */
    uint64_t expires_ms;                     /* 0: never */
    uint64_t owner;                          /* user id of who gave it */
    uint64_t from;                           /* the connection that is to hear what became of it; 0: none */
    struct pixi_cur topic, headers, payload; /* in bytes; headers in the neutral form of proto/rpc/params.h */
    uint8_t bytes[];
};

static inline uint64_t pixi_outbox_cost(const struct pixi_outbox_msg *m)
{
    return PIXI_OUTBOX_COST + pixi_cur_left(&m->topic) + pixi_cur_left(&m->headers) +
           pixi_cur_left(&m->payload);
}

/* Ids of a priority. The highest has the lowest, so that rows lie in the order of their sending. */
#define PIXI_OUTBOX_LANE (UINT64_C(1) << 48)

static inline uint64_t pixi_outbox_lane(unsigned priority)
{
    return (uint64_t)(PIXI_OUTBOX_PRIORITIES - 1 - priority) * PIXI_OUTBOX_LANE;
}

static inline unsigned pixi_outbox_priority(uint64_t id)
{
    return PIXI_OUTBOX_PRIORITIES - 1 - (unsigned)(id / PIXI_OUTBOX_LANE);
}

/* A program's own idempotency key: what it gives twice with the same is taken once. */
struct pixi_outbox_given {
    uint8_t producer[PIXI_OUTBOX_PRODUCER];
    uint64_t seq, low;
};

/* pixi_outbox_msg_new -- all zero but for copies of the three.   Gives, free with free(); NULL: out of memory. */
struct pixi_outbox_msg *pixi_outbox_msg_new(struct pixi_cur topic, struct pixi_cur headers,
                                            struct pixi_cur payload);

/* pixi_outbox_msg_copy -- a message with bytes of its own.   Gives, free with free(); NULL: out of memory. */
struct pixi_outbox_msg *pixi_outbox_msg_copy(const struct pixi_outbox_msg *from);

#endif
