/* state.h -- what the files of the daemon share. Private to src/daemon. */
#ifndef PIXI_DAEMON_STATE_H
#define PIXI_DAEMON_STATE_H

#include "client/uplink.h"
#include "daemon/daemon.h"
#include "base/list.h"
#include "daemon/improve.h"
#include "net/listen.h"
#include "outbox/outbox.h"

#include <sys/types.h>

enum {
    PIXI_DAEMON_BUCKETS = 1024,  /* of the table of connections */
    PIXI_DAEMON_SUBS_MAX = 1000, /* of one connection */
    PIXI_DAEMON_POSITIONS = 4,
    PIXI_DAEMON_ENVELOPE = 8192,      /* bytes of a line beside the message in it */
    PIXI_DAEMON_REQUESTS_MAX = 10000, /* handed to local programs and not answered */
};

struct pixi_daemon_conn;
struct pixi_daemon_filter;

/* The highest offset of each epoch, newest first. */
struct pixi_daemon_place {
    struct pixi_rpc_position at[PIXI_DAEMON_POSITIONS];
    size_t count;
};

enum pixi_daemon_sub_state {
    PIXI_DAEMON_SUB_WAITS, /* for its turn to ask the server */
    PIXI_DAEMON_SUB_ASKED,
    PIXI_DAEMON_SUB_LIVE,
};

/* A local program's subscription. */
struct pixi_daemon_sub {
    struct pixi_list in_filter, in_conn;
    struct pixi_daemon_filter *filter;
    struct pixi_daemon_conn *conn;
    struct pixi_daemon_call *call; /* that is to be answered; NULL: none is */
    enum pixi_daemon_sub_state state;
    struct pixi_daemon_place place;
    bool wants_retained, wants_snapshot; /* | the retained messages that come now are for it */
    bool is_behind;                      /* its program reads too slowly: it asks again where it stood */
    bool has_gap;                        /* and some of what it missed cannot be had again */
};

enum pixi_daemon_phase {
    PIXI_DAEMON_ABSENT,    /* the server knows nothing of it */
    PIXI_DAEMON_ASKING,    /* for the subscription `asker`, or for all of them (NULL) */
    PIXI_DAEMON_SNAPSHOT,  /* retained messages come for the asker */
    PIXI_DAEMON_REPAIRING, /* asked again where the others stood */
    PIXI_DAEMON_STEADY,
};

/* What the server is subscribed to, once for all programs that want it. */
struct pixi_daemon_filter {
    struct pixi_list in_daemon, in_bucket;
    struct pixi_daemon *daemon;
    struct pixi_list subs;
    enum pixi_daemon_phase phase;
    struct pixi_daemon_sub *asker;
    struct pixi_daemon_place place; /* of all that came */
    struct pixi_daemon_place
        before;          /* where the others stood, whom the asker's question passed over; count 0: nobody */
    bool has_withheld;   /* something came meanwhile that is to come again for them */
    uint64_t generation; /* of the last question: answers to others are stale */
    size_t sub_count;
    char text[];
};

/* A local program's call that is not answered yet. */
struct pixi_daemon_call {
    struct pixi_list in_conn;
    struct pixi_daemon_conn *conn; /* NULL: it has gone */
    struct pixi_daemon *daemon;
    enum pixi_rpc_method method;
    char id[PIXI_RPC_ID_MAX + 1];
};

/* A program at the local socket. */
struct pixi_daemon_conn {
    struct pixi_list in_daemon, in_bucket;
    struct pixi_daemon *daemon;
    uint64_t number; /* never given twice, not by another run either */
    struct pixi_tcp tcp;
    struct pixi_task last;   /* frees it */
    struct pixi_task doom;   /* closes it, where it is not to go in the middle of something */
    struct pixi_buf partial; /* a line cut short; lent by the loop */
    struct pixi_list calls, subs;
    size_t call_count, sub_count;
    uid_t uid;
    gid_t gid;
    pid_t pid;
    const struct pixi_settings_allow *allow; /* NULL: everything */
    bool is_closing, is_behind;
};

/* A request of the server's that a local program is to answer. */
struct pixi_daemon_request {
    uint64_t id, conn;
};

struct pixi_daemon_counters {
    uint64_t connections, refused_connections, calls, errors;
    uint64_t messages_in, messages_out, skipped; /* skipped: a slow reader's, had again or told as a gap */
    uint64_t connects, losses, silent;           /* of the connection to the server */
    uint64_t put_off;                            /* answers of the server: not now */
    uint64_t unsent;                             /* notifications that no connection was there for */
};

struct pixi_daemon {
    struct pixi_loop *loop;
    struct pixi_settings *settings;      /* owned */
    struct pixi_settings *link_settings; /* that the link uses: these, or those before, owned then */
    struct pixi_listener listener;
    bool is_listening, is_activated; /* the socket came from outside */
    int lock_fd;
    char socket_path[108];

    struct pixi_outbox *outbox;
    char producer[37];
    struct pixi_watch outbox_watch;
    struct pixi_timer outbox_timer;
    struct pixi_task pump; /* sends what the outbox has */
    bool is_disk_failing;  /* and the log says so */
    uint64_t base_ms;      /* the outbox's time is this and the loop's */
    struct pixi_uplink uplink;
    struct pixi_timer restart; /* of a link that ended for good */
    bool is_restarting;
    struct pixi_buf line;               /* the one that is being written */
    struct pixi_rpc_position stored_at; /* of the message whose answer is being taken */
    struct pixi_list conns, buckets[PIXI_DAEMON_BUCKETS];
    size_t conn_count;
    uint64_t last_number;
    struct pixi_list filters, filter_buckets[PIXI_DAEMON_BUCKETS];
    size_t filter_count;
    uint64_t generation;
    struct pixi_daemon_request *requests; /* owned */
    size_t request_count, request_cap;
    struct pixi_buf server_info; /* what `info` said, as JSON; empty: nothing yet */
    struct pixi_daemon_counters counters;
    uint64_t started_ms, linked_ms; /* the loop's; linked_ms 0: no link */
    struct pixi_failure last_failure;
    uint64_t failed_wall_ms; /* 0: never */
    uint64_t
        suspect_seq; /* up to it messages were under way when the server objected to one: they go one by one; 0: none */
    uint64_t alone; /* id of the one that was sent last, by itself; 0: it went beside others */
    struct pixi_daemon_measure *measure;
    uint64_t metrics_at_ms; /* when they are written next */
    void (*on_idle)(void *ctx);
    void *idle_ctx;
    struct pixi_timer drain;
    bool is_draining;
    void (*on_change)(void *ctx);
    void *change_ctx;
};

/* local.c: the socket and its connections */
int pixi_daemon_listen(struct pixi_daemon *d, int fd, struct pixi_buf *problem);
void pixi_daemon_unlisten(struct pixi_daemon *d);
struct pixi_daemon_conn *pixi_daemon_find_conn(const struct pixi_daemon *d, uint64_t number);
/* The line in d->line, to one program. */
void pixi_daemon_say(struct pixi_daemon_conn *c);
/* Has it room for so many bytes more? */
bool pixi_daemon_has_room(const struct pixi_daemon_conn *c, size_t len);
void pixi_daemon_close_conn(struct pixi_daemon_conn *c);
/* It has said all, as a shell's program does, and waits for nothing more. */
bool pixi_daemon_is_done(const struct pixi_daemon_conn *c);
/* The reading goes on when enough calls are answered. */
void pixi_daemon_consider_reading(struct pixi_daemon_conn *c);
/* daemon.allow is another: who may not come any more goes, and so do subscriptions that it does not cover. */
void pixi_daemon_allow_anew(struct pixi_daemon *d);

/* dispatch.c: calls of programs */
void pixi_daemon_dispatch(struct pixi_daemon_conn *c, uint8_t *line, size_t len);
/* `{"jsonrpc":"2.0","method":m,"params":{` into d->line; members follow, then pixi_rpc_end_call. */
void pixi_daemon_begin(struct pixi_daemon *d, struct pixi_json_out *w, enum pixi_rpc_method m);
void pixi_daemon_answer_error(struct pixi_daemon_call *call, int err, const char *detail);
/* `{"jsonrpc":"2.0","id":id,"result":` into d->line; one value follows, then pixi_daemon_end_answer. */
void pixi_daemon_begin_answer(struct pixi_daemon_call *call, struct pixi_json_out *w);
void pixi_daemon_end_answer(struct pixi_daemon_call *call, struct pixi_json_out *w);
void pixi_daemon_drop_call(struct pixi_daemon_call *call);
bool pixi_daemon_may_subscribe(const struct pixi_daemon_conn *c, struct pixi_cur filter);
extern const struct pixi_outbox_calls pixi_daemon_outbox_calls;

/* subs.c and filter.c: subscriptions */
void pixi_daemon_subscribe(struct pixi_daemon_conn *c, struct pixi_daemon_call *call,
                           const struct pixi_rpc_params *p);
void pixi_daemon_unsubscribe(struct pixi_daemon_conn *c, struct pixi_daemon_call *call,
                             const struct pixi_rpc_params *p);
void pixi_daemon_drop_subs(struct pixi_daemon_conn *c);
/* Those that its `allow` does not cover end. */
void pixi_daemon_allow_subs(struct pixi_daemon_conn *c);
/* The connection to the server stands, or is lost. */
void pixi_daemon_subs_linked(struct pixi_daemon *d);
void pixi_daemon_subs_lost(struct pixi_daemon *d);
bool pixi_daemon_on_notification(struct pixi_uplink *u, enum pixi_rpc_method m, struct pixi_rpc_params *p);
void pixi_daemon_catch_up(struct pixi_daemon_conn *c);
/* Whose request is it? false: nobody's here. It is forgotten. */
bool pixi_daemon_take_request(struct pixi_daemon *d, uint64_t id, uint64_t conn);

/* upstream.c: the connection to the server */
struct pixi_outbox_now pixi_daemon_now(const struct pixi_daemon *d);
int pixi_daemon_link_up(struct pixi_daemon *d, struct pixi_buf *problem);
void pixi_daemon_set_outbox_timer(struct pixi_daemon *d);
void pixi_daemon_forward(struct pixi_daemon_call *call, const struct pixi_rpc_params *p);
/* Without an answer: now or not at all. */
void pixi_daemon_pass_on(struct pixi_daemon *d, enum pixi_rpc_method m, const struct pixi_rpc_params *p);
/* The link is made anew, by d->settings. */
void pixi_daemon_relink(struct pixi_daemon *d);
/* daemon.c: the link is down and uses d->settings from now on. */
void pixi_daemon_take_settings(struct pixi_daemon *d);
/* daemon.c: the outbox's disk may have begun to fail, or to work again. */
void pixi_daemon_note_disk(struct pixi_daemon *d);
void pixi_daemon_changed(struct pixi_daemon *d);
bool pixi_daemon_is_linked(const struct pixi_daemon *d);

/* measure.c: how the link is, and what may be better */
int pixi_daemon_measure_new(struct pixi_daemon *d);
void pixi_daemon_measure_free(struct pixi_daemon *d);
void pixi_daemon_measure_linked(struct pixi_daemon *d);
void pixi_daemon_measure_lost(struct pixi_daemon *d, const struct pixi_failure *f, uint64_t in_ms);
/* The settings, or the server's, are others: it begins anew. */
void pixi_daemon_measure_set(struct pixi_daemon *d);
const struct pixi_improve *pixi_daemon_improve(const struct pixi_daemon *d);
void pixi_daemon_put_measure(const struct pixi_daemon *d, struct pixi_json_out *w);

/* metrics.c */
void pixi_daemon_put_metrics(const struct pixi_daemon *d, struct pixi_buf *out);
void pixi_daemon_write_metrics(struct pixi_daemon *d);

/* status.c */
void pixi_daemon_put_status(struct pixi_daemon *d, struct pixi_json_out *w);

#endif
