/* hub.h -- topics, subscriptions, catch-up and requests: who gets which message, in which order.
 *
 * Pure logic: a store holds the messages, gateways (one per dialect) turn them into bytes. A peer is one link.
 *
 *     pixi_hub_init -> pixi_hub_join(peer) -> subscribe, publish, request ... pump -> pixi_hub_leave(peer) -> clear
 *
 * After pixi_hub_subscribe the gateway writes the result and calls pixi_hub_pump; afterwards whenever the link has
 * drained, whenever pump said PIXI_MORE (in the next turn of the loop, so that others get theirs), and after `wake`.
 *
 * A peer may outlive its link, as an MQTT session does: while nothing can be sent its gateway refuses what is kept for
 * it, calls pixi_hub_hang_up once and never pump; what it is owed is remembered as positions, never as messages.
 *
 * No function of the hub may be called from a callback (assert): a gateway that wants a peer to go marks it, and
 * the loop calls pixi_hub_leave. One thread. Nothing allocates per message once the pools are warm. */
#ifndef PIXI_HUB_HUB_H
#define PIXI_HUB_HUB_H

#include "base/err.h"
#include "base/list.h"
#include "hub/msg.h"
#include "hub/permit.h"
#include "hub/store.h"
#include "hub/table.h"
#include "hub/trie.h"

struct pixi_hub;
struct pixi_hub_peer;
struct pixi_hub_entry;

/* One subscription as gateways see it. */
struct pixi_hub_sub {
    struct pixi_cur filter; /* as subscribed, `$share/G/` included; the hub's own copy */
    void *user;             /* the gateway's, from pixi_hub_subscribe */
    unsigned
        qos; /* above 0: messages published with QoS 1 or 2 are kept until it has taken them, others never */
    uint64_t after;                  /* stored messages after this offset are for it */
    const struct pixi_hub_sub *also; /* is_one_copy: the next one that the message is for; NULL: the last */
};

/* Bits of encode's flags. */
enum { PIXI_HUB_RETAINED = 1 << 0 }; /* from the snapshot: it moves no position */

/* What a gateway must be able to do. Each gets the gateway's ctx first. Every pointer is borrowed until the callback
 * returns. */
struct pixi_hub_calls {
    /* However many of a peer's subscriptions match, it gets one copy of a message, for all of them: deliver's sub begins
     * a chain by `also`. Not so: one copy each. Snapshots, shared subscriptions and requests come for one each. What is
     * kept for a peer (qos) needs it. */
    bool is_one_copy;

    /* Encode msg for subscribers of this filter into the gateway's scratch, for the deliver calls that follow: msg
     * stays where it is until they are over. Once per message, filter and gateway, however many subscribe. Failing is
     * deliver's to report. */
    void (*encode)(void *ctx, const struct pixi_msg *msg, struct pixi_cur filter, unsigned flags);

    /* Send what was encoded last. PIXI_OK: taken.
     * PIXI_E_QUEUE, or any error: not taken, the reader is slow. A stored message comes again, in order, by
     * pixi_hub_pump once the link has drained; one without position is lost to this peer, so a gateway refuses it only
     * when it is about to close the link. */
    int (*deliver)(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub);

    /* The snapshot is complete, or what a recovering client missed: what comes now is live. Once per subscribe. */
    void (*synced)(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub);

    /* The hub ended this subscription (the permit was narrowed): err is why. sub is gone after the call. */
    void (*unsubscribed)(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub, int err);

    /* A subscription is freed, for whatever reason (unsubscribed, replaced, peer left): release sub->user. May be
     * NULL. */
    void (*release)(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub);

    /* Messages that this peer must have were trimmed before it took them (PIXI_E_HISTORY), or the store failed (else):
     * close it with 1013. Once per peer; pump does nothing more for it. */
    void (*lost)(void *ctx, struct pixi_hub_peer *peer, int err);

    /* There is something for pixi_hub_pump. Comes only where a store answers later. */
    void (*wake)(void *ctx, struct pixi_hub_peer *peer);

    /* Hand a request to this responder; it answers with pixi_hub_reply(request). PIXI_OK: sent.
     * PIXI_MORE: sent, and who asked gets the answer by another way: the request is over for the hub.
     * Anything else: no room, another responder is tried. */
    int (*request)(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub,
                   const struct pixi_msg *msg, uint64_t request);

    /* The end of a request of this peer's. PIXI_OK: msg's payload and headers are the reply. PIXI_E_RPC_ERROR: its
     * payload is the responder's error. PIXI_E_TIMEOUT: msg is NULL. */
    void (*reply)(void *ctx, struct pixi_hub_peer *peer, void *token, int err, const struct pixi_msg *msg);

    /* The end of a publish that had a token: PIXI_OK and its position, or why it was not stored (store.h, append). */
    void (*published)(void *ctx, struct pixi_hub_peer *peer, void *token, int err, struct pixi_position pos);

    /* Was the message at this offset taken, and may it have to be read again? May be NULL: never. */
    bool (*holds)(void *ctx, const struct pixi_hub_peer *peer, uint64_t offset);
};

struct pixi_hub_gateway {
    const struct pixi_hub_calls *call;
    void *ctx;
    uint64_t encoded; /* the hub's: what the scratch holds. 0 at first, and for another hub */
};

/* One link, embedded in the gateway's connection. Set the first two (all else zero), then pixi_hub_join. */
struct pixi_hub_peer {
    struct pixi_hub_gateway *gateway; /* borrowed until it has left */
    const struct pixi_permit *permit; /* borrowed; changed only by pixi_hub_set_permit */
    /* the hub's */
    struct pixi_hub *hub; /* NULL: has not joined */
    struct pixi_list subs, behind, publishes, asked, answering, histories;
    size_t sub_count, asked_count, history_count, publish_count;
    size_t kept_count;           /* subscriptions with QoS 1 or 2 that are not shared */
    struct pixi_hub_entry *kept; /* owned; stands for all of those where messages wait; NULL: none came yet */
    struct pixi_hub_entry *chain;  /* of the message that is being delivered */
    struct pixi_store_read read;   /* one at a time */
    struct pixi_hub_sub *reading;  /* for whom; NULL: no read is under way */
    size_t left_count, left_bytes; /* of this pump */
    enum { PIXI_HUB_IDLE, PIXI_HUB_PUMPING, PIXI_HUB_BLOCKED, PIXI_HUB_LOST } pumping;
};

/* All at least 1. */
struct pixi_hub_limits {
    size_t subs_per_peer;
    size_t filter_bytes;
    size_t filter_levels;                 /* at most PIXI_TRIE_LEVELS_MAX */
    size_t requests, requests_per_peer;   /* waiting for a reply */
    size_t publishes, publishes_per_peer; /* waiting for the store */
    size_t histories_per_peer;            /* under way */
};

extern const struct pixi_hub_limits pixi_hub_limits_default;

struct pixi_hub {
    struct pixi_hub_limits limits;
    struct pixi_store *store; /* borrowed */
    struct pixi_trie trie;
    struct pixi_table subs, requests;
    struct pixi_list free_publishes, free_requests;
    size_t publish_count, request_count, peer_count;
    size_t keeping;               /* subscriptions with QoS 1 or 2 */
    size_t one_copy_count;        /* peers that get one copy of a message and have several subscriptions */
    struct pixi_hub_asked **heap; /* requests by deadline */
    size_t heap_cap;
    uint64_t encoding;     /* names what gateways have in their scratch */
    uint64_t last_request; /* id */
    uint64_t turn;         /* round robin among filters that answer a request */
    unsigned calling;      /* callbacks under way */
};

/* pixi_hub_init -- an empty hub on a store. Sets the store's on_committed and ctx; allocates nothing.
 *   store       borrowed until pixi_hub_clear
 *   hash_key    16 random bytes: keeps strangers from choosing topics that collide. Copied */
void pixi_hub_init(struct pixi_hub *hub, struct pixi_store *store, const struct pixi_hub_limits *limits,
                   const uint8_t hash_key[16]);

/* pixi_hub_clear -- release the pools. Every peer has left, and the store answered every append (assert). */
void pixi_hub_clear(struct pixi_hub *hub);

/* pixi_hub_join -- peer's first two members are set. It stays where it is until it has left. Allocates nothing. */
void pixi_hub_join(struct pixi_hub *hub, struct pixi_hub_peer *peer);

/* pixi_hub_leave -- its subscriptions, requests and reads end; what it published is stored all the same, but nothing
 * of it is answered any more. No callback but `release`. May join again. */
void pixi_hub_leave(struct pixi_hub *hub, struct pixi_hub_peer *peer);

/* pixi_hub_set_permit -- the key's rights were changed: subscriptions no longer covered end with
 * `unsubscribed(PIXI_E_FORBIDDEN)`. Replies to requests under way stay allowed. */
void pixi_hub_set_permit(struct pixi_hub *hub, struct pixi_hub_peer *peer, const struct pixi_permit *permit);

/* pixi_hub_publish -- store and deliver.
 *
 *   msg     topic, payload, headers, expires_ms, flags and key are the caller's; the rest the hub sets. Borrowed until
 *           it returns
 *   token   handed to `published`, which comes exactly once unless the peer leaves before, perhaps before this
 *           returns; NULL: a notification, no answer, and no position unless something keeps the message
 *
 *   PIXI_OK            `published` says how it ended
 *   PIXI_E_TOPIC       not a topic
 *   PIXI_E_FORBIDDEN   the permit does not cover it, or it starts with '$'
 *   PIXI_E_LIMIT       too many publishes wait for the store
 *   PIXI_E_NOMEM       after any error nothing happened and `published` never comes */
int pixi_hub_publish(struct pixi_hub *hub, struct pixi_hub_peer *peer, const struct pixi_msg *msg,
                     void *token, struct pixi_now now);

/* How to subscribe. All zero: no position, no snapshot. */
struct pixi_hub_subscribe {
    const struct pixi_position *since; /* borrowed; the one of the store's epoch counts */
    size_t since_count;
    unsigned flags;             /* PIXI_HUB_SNAPSHOT ... */
    void *user;                 /* kept in pixi_hub_sub.user */
    unsigned qos;               /* pixi_hub_sub.qos; above 0 only where the gateway is_one_copy */
    uint64_t after, owed_after; /* with PIXI_HUB_IS_OWED; after: pixi_hub_sub.after */
};

enum {
    PIXI_HUB_SNAPSHOT = 1 << 0,        /* retained messages first, unless it recovers (`retained: true`) */
    PIXI_HUB_SNAPSHOT_IF_NEW = 1 << 1, /* the same where there was no such subscription */
    PIXI_HUB_CARRIES = 1 << 2,         /* what the one that it replaces was owed it is owed, too */
    PIXI_HUB_SKIPS_GAPS = 1 << 3,      /* what is no longer kept is no loss (`lost`) to it */
    PIXI_HUB_IS_OWED =
        1 << 4, /* it stood before: what was kept for sessions after owed_after is still owed */
};

struct pixi_hub_subscribed {
    struct pixi_position
        pos;           /* the stored messages that come (the snapshot apart) are exactly those after it */
    bool is_new;       /* it replaced none */
    bool is_recovered; /* pos is one of `since`, and nothing after it is missing */
};

/* pixi_hub_subscribe -- only sets up; nothing is sent before the first pixi_hub_pump that follows.
 * The same filter again replaces the subscription, snapshot and all (`release` comes for the old one).
 *
 *   filter  copied
 *   out     written on PIXI_OK only
 *
 *   PIXI_OK
 *   PIXI_E_FILTER      not a topic filter
 *   PIXI_E_FORBIDDEN   not covered by the permit
 *   PIXI_E_RPC_PARAMS  since with `$share/...` or `$...`
 *   PIXI_E_LIMIT       filter too long or too deep, or one subscription too many
 *   PIXI_E_NOMEM       after any error an existing subscription stands */
int pixi_hub_subscribe(struct pixi_hub *hub, struct pixi_hub_peer *peer, struct pixi_cur filter,
                       const struct pixi_hub_subscribe *how, struct pixi_hub_subscribed *out);

/* pixi_hub_unsubscribe -- no message for it after this.   PIXI_OK (also when there was none) | PIXI_E_FILTER */
int pixi_hub_unsubscribe(struct pixi_hub *hub, struct pixi_hub_peer *peer, struct pixi_cur filter);

/* pixi_hub_next_sub -- a peer's subscriptions one after the other: NULL gives the first, NULL ends. */
struct pixi_hub_sub *pixi_hub_next_sub(const struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub);

/* pixi_hub_position -- every message up to this offset that was kept for the subscription was taken. */
uint64_t pixi_hub_position(const struct pixi_hub *hub, const struct pixi_hub_sub *sub);

/* pixi_hub_matching -- a peer's subscriptions that a stored message was for, chained by `also` until the next call of the
 * hub; shared ones left out. NULL: none (any more). The gateway is_one_copy. */
const struct pixi_hub_sub *pixi_hub_matching(struct pixi_hub *hub, struct pixi_hub_peer *peer,
                                             const struct pixi_msg *msg);

/* pixi_hub_is_whole -- all that was kept for the peer and is still owed to it can be read. */
bool pixi_hub_is_whole(const struct pixi_hub *hub, const struct pixi_hub_peer *peer);

/* pixi_hub_has_owed -- pump would have something to do. */
static inline bool pixi_hub_has_owed(const struct pixi_hub_peer *peer)
{
    return !pixi_list_is_empty(&peer->behind);
}

/* pixi_hub_hang_up -- the peer's link is gone, the peer stays: requests it asked end without an answer, those it was
 * to answer time out. Subscriptions and publishes go on. */
void pixi_hub_hang_up(struct pixi_hub *hub, struct pixi_hub_peer *peer);

/* pixi_hub_give_back -- a peer leaves (pixi_hub_leave comes next) that took stored messages by shared subscriptions and did
 * not acknowledge them: other members get them, when they have room. Where it was the last member, nobody does. */
void pixi_hub_give_back(struct pixi_hub *hub, struct pixi_hub_peer *peer, const uint64_t *offsets,
                        size_t count);

/* pixi_hub_announce -- give a message of the server's own to who subscribes now; never stored. */
void pixi_hub_announce(struct pixi_hub *hub, const struct pixi_msg *msg);

/* pixi_hub_pump -- snapshot, catch-up and histories go on: until deliver refuses, or PIXI_HUB_PUMP_COUNT messages or
 * PIXI_HUB_PUMP_BYTES were given.
 *
 *   PIXI_OK    nothing more now: all is live, or the link is full, or the store answers later (`wake`)
 *   PIXI_MORE  call again when others had their turn */
enum { PIXI_HUB_PUMP_COUNT = 256, PIXI_HUB_PUMP_BYTES = 65536 };
int pixi_hub_pump(struct pixi_hub *hub, struct pixi_hub_peer *peer, struct pixi_now now);

/* One `history` under way, embedded in the caller's call. Set the first part, then pixi_hub_history. */
struct pixi_hub_history {
    struct pixi_cur filter;     /* borrowed until on_end or cancel */
    struct pixi_position since; /* those after it; offset 0: from the oldest that is kept */
    size_t limit;               /* messages, at least 1 */
    void *ctx;
    /* PIXI_OK: taken. Anything else: does not fit, and the history ends before it with `more`. */
    int (*on_message)(void *ctx, const struct pixi_msg *msg);
    /* Last, once: from here on the struct is the caller's again. PIXI_E_HISTORY: trimmed while it was read.
     * is_more: another message stands after the last given. */
    void (*on_end)(void *ctx, int err, bool is_more);
    /* the hub's */
    struct pixi_hub_peer *peer;
    struct pixi_list in_peer;
    struct pixi_store_read read;
    size_t given;
    uint64_t next, upto;
    enum { PIXI_HISTORY_WAITS, PIXI_HISTORY_READS, PIXI_HISTORY_IS_FULL } state;
};

/* pixi_hub_history -- read stored messages back. May end before it returns; else pixi_hub_pump goes on with it (the
 * first `wake`, or PIXI_MORE, is meant for it too). Ends without on_end when the peer leaves.
 *
 *   PIXI_OK            on_end comes
 *   PIXI_E_FILTER      not a filter                        PIXI_E_FORBIDDEN   the permit does not cover it
 *   PIXI_E_RPC_PARAMS  `$share/...`
 *   PIXI_E_HISTORY     since is trimmed, of another epoch, or beyond the head
 *   PIXI_E_LIMIT       too many at once; after any error on_end never comes */
int pixi_hub_history(struct pixi_hub *hub, struct pixi_hub_peer *peer, struct pixi_hub_history *history,
                     struct pixi_now now);

/* pixi_hub_history_cancel -- no callback any more. Harmless after on_end. */
void pixi_hub_history_cancel(struct pixi_hub *hub, struct pixi_hub_history *history);

/* pixi_hub_request -- ask exactly one responder: a peer whose subscription matches and begins literally
 * with the level `request`; in turn, those with room only, the asker itself only when there is no other.
 *
 *   msg     topic, payload, headers; borrowed until it returns. Never stored, never seen by others
 *   token   handed to `reply`, which comes exactly once unless the peer leaves before
 *
 *   PIXI_OK               sent; `reply` comes, at the latest when timeout_ms are over (pixi_hub_expire)
 *   PIXI_MORE             sent; the responder has another way to answer, `reply` never comes
 *   PIXI_E_TOPIC | PIXI_E_FORBIDDEN (needs the permission to publish)
 *   PIXI_E_NO_RESPONDER   none, or none with room
 *   PIXI_E_LIMIT | PIXI_E_NOMEM   after any error `reply` never comes */
int pixi_hub_request(struct pixi_hub *hub, struct pixi_hub_peer *peer, const struct pixi_msg *msg,
                     uint64_t timeout_ms, void *token, struct pixi_now now);

/* pixi_hub_reply -- a responder answers; the asker's `reply` is called before it returns.
 *
 *   msg     payload and headers; borrowed until it returns
 *   err     PIXI_OK, or PIXI_E_RPC_ERROR: the payload is the responder's error
 *
 *   PIXI_OK | PIXI_E_RPC_PARAMS   no such request, not this peer's, answered before, or timed out */
int pixi_hub_reply(struct pixi_hub *hub, struct pixi_hub_peer *peer, uint64_t request, int err,
                   const struct pixi_msg *msg);

/* pixi_hub_next_deadline -- mono_ms when pixi_hub_expire has something to do; UINT64_MAX: never. */
uint64_t pixi_hub_next_deadline(const struct pixi_hub *hub);

/* pixi_hub_expire -- requests whose time is over end with PIXI_E_TIMEOUT. */
void pixi_hub_expire(struct pixi_hub *hub, struct pixi_now now);

#endif
