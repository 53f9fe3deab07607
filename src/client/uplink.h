/* uplink.h -- one authenticated link to a Pixi server that outlives its connections: it reconnects, subscribes again
 * where it stood, and sends again what was not answered. Callbacks on a loop; one thread. */
#ifndef PIXI_CLIENT_UPLINK_H
#define PIXI_CLIENT_UPLINK_H

#include "client/retry.h"
#include "client/settings.h"
#include "net/dial.h"
#include "proto/rpc/put.h"

struct pixi_uplink;
struct pixi_uplink_sub;
struct pixi_dialect;
struct pixi_uplink_mqtt;

/* A message as it came. Borrowed for the callback. */
struct pixi_uplink_message {
    const struct pixi_uplink_sub *sub; /* which subscription it came for; NULL: none that is known */
    bool is_after_gap;                 /* messages before this one may be missing */
    struct pixi_rpc_params p; /* topic, payload, is_json, position, time_ms, retained, headers, request */
};

/* How a call ended. Borrowed for the callback. */
struct pixi_uplink_answer {
    const struct pixi_failure *failure; /* NULL: it went well */
    const struct pixi_rpc_params
        *p; /* then: the position of a publish, if it has one; payload and headers of a reply */
    struct pixi_cur
        result; /* of a call by pixi_uplink_end, instead of p: JSON as written, may be changed in place */
};

typedef void pixi_uplink_on_answer(struct pixi_uplink *, void *ctx, const struct pixi_uplink_answer *);

struct pixi_uplink_handlers {
    /* Connected, the first time or again; calls and subscriptions are under way. May be NULL, as all of these. */
    void (*on_connect)(struct pixi_uplink *);
    void (*on_message)(struct pixi_uplink *, const struct pixi_uplink_message *);
    /* Before anything else is done with a notification of the server: true when it is taken, and is not to be looked at
     * any further. For who holds subscriptions of his own, made by calls. */
    bool (*on_notification)(struct pixi_uplink *, enum pixi_rpc_method, struct pixi_rpc_params *);
    /* A subscription stands. is_recovered: nothing was missed since the last connection; else what came between may be
     * lost (is_again), and the retained messages follow. */
    void (*on_subscribed)(struct pixi_uplink *, const struct pixi_uplink_sub *, bool is_again,
                          bool is_recovered);
    /* The retained messages have all come, or what was missed; what follows is live. Not with mqtt, which does not say. */
    void (*on_synced)(struct pixi_uplink *, const struct pixi_uplink_sub *);
    /* The server ended or refused a subscription. */
    void (*on_unsubscribed)(struct pixi_uplink *, const struct pixi_uplink_sub *,
                            const struct pixi_failure *);
    /* The connection is lost; it is tried again in in_ms. */
    void (*on_lost)(struct pixi_uplink *, const struct pixi_failure *, uint64_t in_ms);
    /* The end, once: after pixi_uplink_close (f->err PIXI_OK), or a failure that trying again does not mend. */
    void (*on_end)(struct pixi_uplink *, const struct pixi_failure *f);
};

/* How to subscribe. */
struct pixi_uplink_how {
    bool wants_retained;
    bool is_latest; /* of several to a topic in one batch only the newest; goes with batch_ms. Not in mqtt */
    uint32_t
        batch_ms; /* messages come together, at most so often; at most PIXI_RPC_BATCH_MS_MAX, 0: each at once */
};

enum { PIXI_UPLINK_POSITIONS = 4 };

struct pixi_uplink_sub {
    struct pixi_uplink_sub *next;
    char *filter;    /* owned */
    uint32_t number; /* its own, from 1 */
    struct pixi_rpc_position
        positions[PIXI_UPLINK_POSITIONS]; /* the highest offset of each epoch, newest first */
    size_t position_count;
    struct pixi_rpc_position pending; /* counts once the snapshot is complete */
    struct pixi_uplink_how how;
    bool
        is_answered; /* its question was: before that, what comes for its filter is for one that stood here before */
    bool is_synced, was_subscribed;
    bool is_behind; /* messages were passed over, as there was no room: it subscribes again where it stood */
    bool has_gap;   /* some of them, or of those since the last connection, cannot be had again */
    struct pixi_uplink *client;
};

enum pixi_uplink_state {
    PIXI_UPLINK_IDLE,
    PIXI_UPLINK_DIALLING,
    PIXI_UPLINK_OPENING,
    PIXI_UPLINK_OPEN,
    PIXI_UPLINK_WAITING, /* to try again */
    PIXI_UPLINK_CLOSING,
};

struct pixi_uplink {
    struct pixi_loop *loop;                      /* borrowed */
    const struct pixi_settings *settings;        /* borrowed */
    const struct pixi_uplink_handlers *handlers; /* borrowed */
    void *ctx;                                   /* the user's */
    const struct pixi_dialect *dialect;          /* as the settings say, from the next start on */
    unsigned flags;                              /* PIXI_RETRY_*: count from the next start on */
    struct pixi_retry policy; /* of connecting again, and to which of settings->endpoints */
    enum pixi_uplink_state state;
    struct pixi_link link;
    struct pixi_link_limits limits;
    struct pixi_packer
        packer; /* used where the settings want compression; what it gained is of all connections */
    struct pixi_dial dial;
    struct pixi_tls_context *tls; /* NULL where no endpoint is wss:// */
    struct pixi_timer retry;
    struct pixi_buf authorization, frame;
    struct pixi_uplink_sub *subs;
    struct pixi_uplink_sub *ended_subs;          /* kept until clear: a call may still name one */
    struct pixi_uplink_call *calls, **calls_end; /* in order of their sending */
    size_t call_count;
    uint64_t last_id;
    uint32_t last_sub;
    struct pixi_uplink_mqtt *mqtt; /* owned; NULL: another dialect */
    bool is_moving;                /* the connection is being closed for another, to move_to */
    size_t move_to;
    bool has_failure;
    bool is_refused;  /* failure says already why this connection ends */
    bool has_no_room; /* set by the owner: hand on no messages until pixi_uplink_catch_up */
    bool is_full;     /* the link had no room for a call: those that follow wait as well */
    bool is_held;     /* a call waits for the server to answer others; calls of another kind go on */
    struct pixi_failure failure; /* of the connection that just ended */
};

/* pixi_uplink_init -- nothing is sent yet. flags: PIXI_RETRY_* */
void pixi_uplink_init(struct pixi_uplink *c, struct pixi_loop *l, const struct pixi_settings *s,
                      const struct pixi_uplink_handlers *h, void *ctx, unsigned flags);

/* pixi_uplink_clear -- drops whatever is open and releases; no callback comes. The link's end needs a loop turn: runs
 * it. */
void pixi_uplink_clear(struct pixi_uplink *c);

/* pixi_uplink_start -- connect. on_connect or on_end follows.
 *   PIXI_OK | PIXI_E_SETTINGS (a key over ws:// to another machine) | PIXI_E_NOMEM; f says why */
int pixi_uplink_start(struct pixi_uplink *c, struct pixi_failure *f);

/* pixi_uplink_subscribe -- from now on and on every connection. filter is copied.   PIXI_OK | PIXI_E_NOMEM */
int pixi_uplink_subscribe(struct pixi_uplink *c, const char *filter, const struct pixi_uplink_how *how);

/* pixi_uplink_unsubscribe -- nothing comes for this filter any more.   PIXI_OK | PIXI_E_FILTER (there is none) | PIXI_E_NOMEM */
int pixi_uplink_unsubscribe(struct pixi_uplink *c, const char *filter);

/* pixi_uplink_find -- the subscription; NULL: there is none. Borrowed until it ends. */
const struct pixi_uplink_sub *pixi_uplink_find(const struct pixi_uplink *c, const char *filter);

/* pixi_uplink_catch_up -- there is room again: what was passed over is asked for. */
void pixi_uplink_catch_up(struct pixi_uplink *c);

#define PIXI_UPLINK_FOREVER UINT64_MAX /* ms: a call that has no time-out */

/* A message to be said. Borrowed for the call. */
struct pixi_uplink_out {
    const char *topic;
    struct pixi_cur payload;
    bool is_json;            /* pixi_rpc_is_json(payload) */
    struct pixi_cur headers; /* neutral form: proto/rpc/params.h */
    bool is_retained, has_expiry;
    uint64_t expiry_s;
    const char *producer; /* of a publish: UUID, and which one this is; all below low are answered */
    uint64_t seq, low;
    uint64_t responder_ms; /* of a request: how long the responder has */
};

/* pixi_uplink_publish -- publish it, now or when there is a connection, and again after reconnecting until it is answered.
 *   timeout_ms PIXI_UPLINK_FOREVER: until it is answered or the end
 *   on_answer  comes exactly once, never from inside this call, unless it returns an error. NULL: it is said now or not at
 *              all, and nobody tells what became of it; then also PIXI_E_QUEUE | PIXI_E_WS_CLOSED (there is no connection)
 *   PIXI_OK | PIXI_E_NOMEM | PIXI_E_LIMIT (the message is too large). c->frame.len: bytes of the call */
int pixi_uplink_publish(struct pixi_uplink *c, const struct pixi_uplink_out *m, uint64_t timeout_ms,
                        pixi_uplink_on_answer *on_answer, void *ctx);

/* pixi_uplink_request -- ask one responder. Fails when the connection ends before the answer. Else as pixi_uplink_publish. */
int pixi_uplink_request(struct pixi_uplink *c, const struct pixi_uplink_out *m, uint64_t timeout_ms,
                        pixi_uplink_on_answer *on_answer, void *ctx);

/* pixi_uplink_reply -- answer a message that has PIXI_RPC_HAS_REQUEST; with error (NULL: none) in place of payload.
 *   PIXI_OK | PIXI_E_NOMEM | PIXI_E_LIMIT | PIXI_E_QUEUE | PIXI_E_WS_CLOSED (there is no connection) */
int pixi_uplink_reply(struct pixi_uplink *c, uint64_t request, struct pixi_cur payload, const char *error);

/* pixi_uplink_begin, _end -- any call, in pixi.v1 alone: begin, write parameters with w (base/json.h), end. It fails when the
 * connection ends before the answer, whether it was sent or had to wait for room; made while there is none, it waits for
 * one. Else as pixi_uplink_publish. */
void pixi_uplink_begin(struct pixi_uplink *c, struct pixi_json_out *w, enum pixi_rpc_method m);
int pixi_uplink_end(struct pixi_uplink *c, struct pixi_json_out *w, enum pixi_rpc_method m,
                    uint64_t timeout_ms, pixi_uplink_on_answer *on_answer, void *ctx);

/* pixi_uplink_move -- while it is open: the connection is closed, and made at once to the server of this index. on_lost comes
 * with f->err PIXI_OK; calls by pixi_uplink_end and requests that were not answered fail. */
void pixi_uplink_move(struct pixi_uplink *c, size_t server);

/* pixi_uplink_close -- closing handshake with 1000; on_end follows.
 * pixi_uplink_close_with -- with another code, and a reason (NULL: none). */
void pixi_uplink_close(struct pixi_uplink *c);
void pixi_uplink_close_with(struct pixi_uplink *c, uint16_t code, const char *reason);

/* pixi_uplink_give_up -- after close: do not wait for the peer's any longer. on_end follows, with PIXI_E_TIMEOUT. */
void pixi_uplink_give_up(struct pixi_uplink *c);

#endif
