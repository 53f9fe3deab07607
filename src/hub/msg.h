/* msg.h -- a message, its position, and the time. Everything is borrowed. */
#ifndef PIXI_HUB_MSG_H
#define PIXI_HUB_MSG_H

#include "base/cur.h"

/* An epoch names one log and is never 0; offsets rise in it from 1. Offset 0: no position. */
struct pixi_position {
    uint64_t epoch, offset;
};

/* The time is always an argument: the hub has no clock. */
struct pixi_now {
    uint64_t wall_ms; /* since 1970: what messages carry and expiry is decided by */
    uint64_t mono_ms; /* never jumps: deadlines */
};

enum { PIXI_PRODUCER_LEN = 16 }; /* bytes of a producer's UUID */

/* What makes a publish idempotent: each seq at or above low is stored once, however often it is sent. */
struct pixi_msg_key {
    uint8_t producer[PIXI_PRODUCER_LEN];
    uint64_t seq, low;
    uint64_t after; /* stored only where this seq is, or is known to be answered; 0: in any order */
};

/* Bits of pixi_msg.flags. */
enum {
    PIXI_MSG_RETAIN = 1 << 0, /* the last of its topic; with an empty payload it removes that */
    PIXI_MSG_KEY = 1 << 1,    /* key is set */
    PIXI_MSG_QOS1 = 1 << 2,   /* published with MQTT's QoS 1 */
    PIXI_MSG_QOS2 = 1 << 3,   /* the same with 2; neither: 0 */
    PIXI_MSG_KEPT = PIXI_MSG_RETAIN | PIXI_MSG_QOS1 | PIXI_MSG_QOS2, /* those that a store keeps */
};

struct pixi_msg {
    struct pixi_cur topic, payload;
    struct pixi_cur headers;  /* repeated: u16 big-endian length, name, u16 big-endian length, value */
    uint64_t time_ms;         /* wall; the hub sets it on publish */
    uint64_t expires_ms;      /* wall; 0: never. From this moment on it is not read any more */
    struct pixi_position pos; /* offset 0: not stored */
    unsigned flags;           /* PIXI_MSG_* */
    uint64_t origin; /* names who published, for who wants no copy of his own; 0: nobody. A store keeps it */
    struct pixi_msg_key key;
    struct pixi_cur key_owner; /* the API key's name: producers of two keys never meet. The hub sets it */
};

static inline unsigned pixi_msg_qos(const struct pixi_msg *msg)
{
    return msg->flags & PIXI_MSG_QOS2 ? 2 : msg->flags & PIXI_MSG_QOS1 ? 1 : 0;
}

static inline bool pixi_msg_is_expired(const struct pixi_msg *msg, uint64_t wall_ms)
{
    return msg->expires_ms != 0 && msg->expires_ms <= wall_ms;
}

/* Bytes that a store keeps of it. */
static inline size_t pixi_msg_size(const struct pixi_msg *msg)
{
    return pixi_cur_left(&msg->topic) + pixi_cur_left(&msg->payload) + pixi_cur_left(&msg->headers);
}

#endif
