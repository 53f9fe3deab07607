/* client.h -- what is behind include/pixiws: one lock, one engine, a queue of what happened.
 *
 * The engine (uplink.h) runs on one loop. Whoever holds the lock may call it. One of the threads that wait inside a call,
 * the driver, waits for the loop's descriptors with the lock released; the others wait for c->moved. What the engine
 * tells is put into c->events or into a call that waits; callbacks come from pixi_client_process, without the lock. */
#ifndef PIXI_CLIENT_CLIENT_H
#define PIXI_CLIENT_CLIENT_H

#include "client/uplink.h"

#include <pixiws/pixiws.h>
#include <pthread.h>

enum { PIXI_CLIENT_CALL_COST = 512 }; /* bytes that a queued message costs beside its own */

enum pixi_client_event_kind {
    PIXI_CLIENT_EVENT_MESSAGE,
    PIXI_CLIENT_EVENT_CONNECT,
    PIXI_CLIENT_EVENT_LOST,
    PIXI_CLIENT_EVENT_UNSUBSCRIBED,
    PIXI_CLIENT_EVENT_DONE, /* a call that nobody waits for has ended */
};

struct pixi_client_event {
    struct pixi_client_event *next;
    enum pixi_client_event_kind kind;
    unsigned flags;               /* CONNECT */
    struct pixi_message *message; /* MESSAGE: owned */
    struct pixi_client_op *op;    /* DONE: owned */
    char *filter;                 /* UNSUBSCRIBED: owned */
    struct pixi_error error;
};

/* A send or a request under way. Owned by c->ops while it is; then by whoever waits for it, or by a DONE event. */
struct pixi_client_op {
    struct pixi_client_op *next;
    struct pixi_client *client;
    bool is_request, is_waited, is_done;
    size_t cost;       /* bytes of c->queued_bytes */
    uint64_t seq;      /* of a send: its idempotency key */
    uint64_t until_ms; /* when its time is up; UINT64_MAX: never */
    pixi_on_sent *on_sent;
    pixi_on_reply *on_reply;
    void *ctx;
    struct pixi_message *reply; /* owned */
    struct pixi_error error;    /* how it ended */
};

/* Somebody waits for a subscription to stand; on the waiter's stack. */
struct pixi_client_sub_wait {
    struct pixi_client_sub_wait *next;
    const char *filter;
    bool is_done;
    struct pixi_error error;
};

struct pixi_client {
    pthread_mutex_t lock;
    pthread_cond_t moved; /* the engine had a turn */
    bool is_driven;       /* somebody waits for the descriptors, or will at once */
    bool is_dispatching;  /* somebody is inside pixi_client_process */
    char *name;           /* owned */
    struct pixi_settings settings;
    bool is_resolved;    /* nothing was set since the settings were worked out */
    bool has_subscribed; /* to the settings' subscriptions */
    struct pixi_loop loop;
    struct pixi_uplink uplink;
    struct pixi_watch wake; /* an eventfd: the driver has something to do */
    int outer_fd, ready_fd; /* pixi_client_fd's; -1 until it is asked for */
    int told_deadline_ms;   /* what pixi_client_next_deadline said */
    uint64_t told_at_ms;    /* and when */
    enum pixi_client_state state;
    bool was_open;               /* ever, since the client was started */
    bool is_end_told;            /* to on_connect or on_close */
    struct pixi_error end;       /* with PIXI_CLIENT_CLOSED: why */
    struct pixi_error last_loss; /* why there is no connection now */
    struct pixi_callbacks callbacks;
    void *ctx;
    struct pixi_client_event *events, **events_end;
    bool has_news;                         /* an event came since the last pixi_client_process */
    size_t waiting_bytes;                  /* of messages in events */
    struct pixi_client_op *ops, **ops_end; /* in order of their sending */
    size_t queued_bytes;                   /* of ops */
    size_t op_count;
    struct pixi_error first_failed; /* of queued messages, since the last flush */
    uint64_t connection;            /* rises with each: a reply goes by the one that its request came by */
    char producer[37];              /* UUID: makes sending again harmless */
    uint64_t seq;
    struct pixi_client_sub_wait *sub_waits;
};

/* client_error.c. Each answers rc, and fills e where it is not NULL. */
int pixi_client_ok(struct pixi_error *e);
int pixi_client_say(struct pixi_error *e, int rc, int code, const char *layer, const char *fix,
                    const char *cause, ...) __attribute__((format(printf, 6, 7)));
int pixi_client_fail(struct pixi_error *e, const struct pixi_failure *f);
int pixi_client_copy_error(struct pixi_error *e, const struct pixi_error *from);
int pixi_client_no_memory(struct pixi_error *e);
/* PIXI_E_SETTINGS, its lines from mistakes. */
int pixi_client_mistakes(struct pixi_error *e, int err, const struct pixi_buf *mistakes);

/* client_drive.c */
void pixi_client_enter(struct pixi_client *c); /* takes the lock */
void pixi_client_leave(struct pixi_client *c);
/* What was asked of the engine is done by now, or by the driver at once. With the lock. */
void pixi_client_kick(struct pixi_client *c);
/* A time, ms, for pixi_client_wait: timeout_ms from now; -1: otherwise_ms from now (UINT64_MAX: never). */
uint64_t pixi_client_until(const struct pixi_client *c, int timeout_ms, uint64_t otherwise_ms);
/* Lets time pass until something may have happened; false: there is no more time. With the lock, which is free
 * meanwhile. */
bool pixi_client_wait(struct pixi_client *c, uint64_t until_ms);

/* client_event.c */
extern const struct pixi_uplink_handlers pixi_client_uplink_handlers;
/* The first event that recv may take (NULL: none), or that process tells; taken out of the queue. */
struct pixi_client_event *pixi_client_take_event(struct pixi_client *c, bool is_for_recv);
/* The same, left where it is. */
struct pixi_client_event *pixi_client_find_event(const struct pixi_client *c, bool is_for_recv);
/* Releases what is in it, too. */
void pixi_client_free_event(struct pixi_client_event *e);
/* false: no memory. */
bool pixi_client_push_done(struct pixi_client *c, struct pixi_client_op *op);
/* Why there is no connection: for calls that need one. */
int pixi_client_not_open(const struct pixi_client *c, struct pixi_error *e);

/* client_send.c */
void pixi_client_free_op(struct pixi_client_op *op);

/* message.c -- NULL: out of memory. Gives. */
struct pixi_message *pixi_message_new(const struct pixi_rpc_params *p);

#endif
