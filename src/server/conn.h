/* conn.h -- what the files of src/server share: the server, its connections, and the calls under way. */
#ifndef PIXI_SERVER_CONN_H
#define PIXI_SERVER_CONN_H

#include "hub/hub.h"
#include "link/link.h"
#include "net/listen.h"
#include "proto/rpc/put.h"
#include "server/gather.h"
#include "server/limits.h"
#include "server/metrics.h"
#include "server/server.h"
#include "server/store.h"

#define PIXI_SERVER_PATH          "/api/v1"
#define PIXI_SERVER_PROTOCOL      "pixi.v1"
#define PIXI_SERVER_MQTT_PROTOCOL "mqtt"

/* What the hub adds to a message that it took, at most: a filter (1024 bytes, escaped), the position, the time. */
enum { PIXI_SERVER_ENVELOPE_MAX = 8192, PIXI_SERVER_FILTERS_MAX = 65536 /* in one SUBSCRIBE */ };

/* The answer to a batch: it leaves when the last call in it is answered. */
struct pixi_batch {
    struct pixi_buf out; /* the array so far, without its closing bracket */
    size_t waiting;      /* calls not yet answered */
    bool is_read;        /* the whole batch was read */
};

/* A call with an id whose answer is still due. Pooled. */
struct pixi_call {
    struct pixi_list in_conn; /* or in the pool */
    struct pixi_conn *conn;   /* borrowed */
    struct pixi_batch *batch; /* NULL: answered on its own */
    struct pixi_hub_history history;
    struct pixi_buf messages; /* of a history: what came so far */
    unsigned method;          /* for the metrics */
    struct pixi_cur filter;   /* of a history; borrows from filter_text */
    uint8_t *filter_text;     /* owned */
    size_t id_len;
    uint8_t id[PIXI_RPC_ID_MAX];
};

/* What a listener's connections speak. */
enum pixi_server_way {
    PIXI_SERVER_PLAIN,
    PIXI_SERVER_WITH_TLS,
    PIXI_SERVER_MQTT,
    PIXI_SERVER_MQTT_WITH_TLS,
    PIXI_SERVER_METRICS,
    PIXI_SERVER_WAYS
};

static inline bool pixi_server_way_is_secure(enum pixi_server_way way)
{
    return way == PIXI_SERVER_WITH_TLS || way == PIXI_SERVER_MQTT_WITH_TLS;
}

static inline bool pixi_server_way_is_mqtt(enum pixi_server_way way)
{
    return way == PIXI_SERVER_MQTT || way == PIXI_SERVER_MQTT_WITH_TLS;
}

struct pixi_server_listener {
    struct pixi_listener listener;
    enum pixi_server_way way;
};

struct pixi_mqtt;

/* What is being delivered in MQTT: made once, for all who get it in the same form. */
struct pixi_mqtt_out {
    const struct pixi_msg *msg; /* borrowed for the deliver calls */
    unsigned flags;             /* encode's */
    bool has_props, has_hash;
    struct pixi_buf props; /* MQTT 5: the message's own properties */
    uint64_t topic_hash;
    struct pixi_mqtt_whole { /* QoS 0 without anything of the subscriber's: a whole packet */
        struct pixi_link_message packet;
        bool is_made;
    } whole[8];           /* by version, framing and RETAIN */
    struct pixi_buf ids;  /* MQTT 5: the Subscription Identifiers of the copy that is being sent */
    struct pixi_buf head; /* scratch */
};

struct pixi_conn {
    struct pixi_link link;
    struct pixi_mqtt *mqtt; /* owned; NULL: another dialect */
    struct pixi_hub_peer peer;
    struct pixi_list in_server;
    struct pixi_list calls; /* struct pixi_call */
    size_t call_count;
    struct pixi_server *server; /* borrowed */
    struct pixi_permit permit;
    const struct pixi_key *key; /* borrowed from the server's keys; NULL: none, or echo */
    struct pixi_usage *usage;   /* of that key; borrowed from the server */
    struct pixi_task pump;      /* the hub has more for it */
    size_t batched;             /* bytes of memory that its subscriptions' batches have */
    struct pixi_source *source; /* where it comes from; NULL: a guest that does not count, see rank */
    enum { PIXI_CONN_STRANGER, PIXI_CONN_MEMBER, PIXI_CONN_TURNED_AWAY, PIXI_CONN_OPERATOR } rank;
    bool is_ended;          /* its end was counted */
    bool is_unauthorized;   /* upgraded only to be told so with 3000 */
    uint64_t active_ms;     /* when it last said or had something */
    uint64_t sent, sent_ms; /* bytes sent when that number last moved, or nothing waited, and when that was */
    char from[PIXI_ADDR_TEXT];
};

struct pixi_server {
    struct pixi_loop *loop;                      /* borrowed */
    const struct pixi_server_settings *settings; /* borrowed */
    const struct pixi_keys *keys;                /* borrowed */
    const struct pixi_page *page;                /* borrowed; NULL: none */
    enum pixi_server_mode mode;
    struct pixi_server_listener listeners[PIXI_SERVER_WAYS * PIXI_SERVER_LISTEN_MAX];
    struct pixi_tls_context *tls; /* NULL: no listener has it */
    size_t listener_count;
    struct pixi_link_limits limits;
    size_t soft_queue; /* bytes waiting from which a reader counts as slow */
    struct pixi_server_store store;
    struct pixi_hub hub;
    struct pixi_hub_gateway gateway; /* dialect pixi.v1 */
    struct pixi_packer packer;       /* of all connections that agree on compression */
    struct pixi_link_message note;   /* the notification encoded last */
    size_t note_topic_len;           /* bytes of its object up to the end of the topic; 0: it has none */
    uint64_t note_hash;              /* of that topic */
    bool is_note_stored;
    struct pixi_buf answer; /* scratch for responses */
    struct {
        struct pixi_hub_gateway gateway;
        struct pixi_mqtt_out out;
        struct pixi_buf scratch; /* of packets */
        struct pixi_buf headers; /* of a message that came */
        struct pixi_table by_id;
        struct pixi_list sessions, free_incoming;
        size_t session_count;
        uint8_t hash_key[PIXI_SIPHASH_KEY_LEN];
        struct pixi_timer sys;
        bool is_sys_wanted;
        int load_err;
    } mqtt;
    struct pixi_list conns, free_calls;
    size_t conn_count;
    size_t ranks[4]; /* how many of them by enum rank */
    struct pixi_sources sources;
    struct pixi_usage *usage; /* of each of keys, in their order; owned */
    struct pixi_counters counters;
    struct {
        uint64_t second;
        unsigned told, untold; /* lines in that second */
    } refusals;
    uint64_t started_ms; /* wall */
    struct pixi_timer deadline, trim, drain, sweep;
    bool is_draining;
    void (*on_idle)(void *ctx);
    void *idle_ctx;
};

/* accept.c */
void pixi_server_on_accept(struct pixi_listener *listener, int fd, const struct pixi_addr *from);
void pixi_server_on_full(struct pixi_listener *listener, int fd, const struct pixi_addr *from);
void pixi_conn_set_rank(struct pixi_conn *c, unsigned rank);
/* How many there are that limits.connections counts, and that a stop waits for. */
size_t pixi_server_guests(const struct pixi_server *s);

/* http.c */
struct pixi_refusal {
    unsigned status;
    enum pixi_refused reason;
    const char *detail;
    const char *field, *value; /* one more header field, or NULL */
};

/* A whole response with application/problem+json (RFC 9457) behind everything in b. */
void pixi_refusal_put(const struct pixi_refusal *r, struct pixi_buf *b);
/* Counted, logged, and answered so. */
void pixi_conn_refuse(struct pixi_conn *c, const struct pixi_refusal *r);
/* What stopped the handshake: a status for PIXI_E_*, and words. */
void pixi_conn_refuse_error(struct pixi_conn *c, int err);
/* /healthz, /readyz, and for operators /metrics: answered. false: another path. */
bool pixi_conn_answer_endpoint(struct pixi_conn *c, const struct pixi_http_head *h);

/* serve.c: a file of the page: answered. false: another path, or a WebSocket is asked for. */
bool pixi_conn_answer_page(struct pixi_conn *c, const struct pixi_http_head *h);

/* With words of its dialect before the close code. */
void pixi_conn_close(struct pixi_conn *c, uint16_t code, const char *why);
/* Told 1013: it does not read what it asked for. */
void pixi_conn_close_slow(struct pixi_conn *c);

/* watch.c: connections that take too long. */
void pixi_server_set_sweep(struct pixi_server *s);
/* A line about what a peer did wrong: may it be written? There are so many in a second at most. */
bool pixi_server_may_log(struct pixi_server *s);
/* Counts, and logs if it may. */
void pixi_server_count_refused(struct pixi_server *s, enum pixi_refused reason, const char *from,
                               const char *format, ...) __attribute__((format(printf, 4, 5)));

/* rate.c */
/* May its key publish so much now? Then it has; else *wait_ms and which limit, which was counted. */
bool pixi_conn_take_rate(struct pixi_conn *c, const struct pixi_msg *msg, struct pixi_now now,
                         uint64_t *wait_ms, enum pixi_refused *which);

/* upgrade.c */
void pixi_server_on_request(struct pixi_link *k, const struct pixi_http_head *head, int rc,
                            const struct pixi_ws_request *r);

/* What a key may do; NULL: nothing. */
void pixi_permit_of_key(struct pixi_permit *permit, const struct pixi_key *key);
/* Its permit is the key's; NULL: it may do nothing. */
void pixi_conn_take_key(struct pixi_conn *c, const struct pixi_key *key);

/* dispatch.c: one text frame; the bytes may be changed. */
void pixi_server_dispatch(struct pixi_conn *c, uint8_t *bytes, size_t len);

/* call.c */
/* A call whose answer comes now or later. id is at most PIXI_RPC_ID_MAX bytes. NULL: out of memory. */
struct pixi_call *pixi_call_new(struct pixi_conn *c, struct pixi_batch *batch, struct pixi_cur id);
/* Starts `{"jsonrpc":"2.0","id":…,"result":`, or "error" unless err is PIXI_OK; one value follows, then pixi_call_end:
 * the call is over. */
void pixi_call_begin(struct pixi_call *call, struct pixi_json_out *w, int err);
void pixi_call_end(struct pixi_call *call, struct pixi_json_out *w);
void pixi_call_answer_error(struct pixi_call *call, int err, const char *detail);
/* The same with data.retry_after_ms. */
void pixi_call_answer_later(struct pixi_call *call, int err, const char *detail, uint64_t retry_after_ms);
bool pixi_call_is_under_way(const struct pixi_conn *c, struct pixi_cur id);
/* The connection has gone: nothing is answered any more. */
void pixi_call_drop_all(struct pixi_conn *c);
/* An error for what never became a call. id.p == NULL: null. */
void pixi_server_answer_error(struct pixi_conn *c, struct pixi_batch *batch, struct pixi_cur id, int err,
                              const char *detail);
/* Sends and frees the batch when it was read and all of it is answered. */
void pixi_batch_settle(struct pixi_conn *c, struct pixi_batch *batch);

/* gateway.c */
extern const struct pixi_hub_calls pixi_gateway_calls;
void pixi_gateway_put_message(struct pixi_json_out *w, const struct pixi_msg *msg, struct pixi_cur filter,
                              unsigned flags, uint64_t request);
void pixi_gateway_pump(struct pixi_conn *c);

/* batching.c: subscriptions whose messages come together; pixi_hub_sub.user of each. */
struct pixi_batching;
struct pixi_batching *pixi_batching_new(struct pixi_conn *c, uint64_t batch_ms, enum pixi_gather_keep keep);
/* What waits leaves now, where the link still lives. */
void pixi_batching_free(struct pixi_batching *b);
void pixi_batching_flush(struct pixi_batching *b);
/* Keeps a copy of the server's note until the next batch leaves.
 * PIXI_OK | PIXI_E_LIMIT (too large to keep: it goes by itself, after what waits, which has left) | PIXI_E_NOMEM */
int pixi_batching_add(struct pixi_batching *b);

/* server.c */
/* The links' limits, as the settings say. */
void pixi_server_take_limits(struct pixi_server *s);
void pixi_server_init_link(struct pixi_conn *c);
void pixi_server_free_conn(struct pixi_conn *c);
struct pixi_now pixi_server_now(const struct pixi_server *s);
/* To be called whenever requests may have come or gone: sets the timer of the hub's next deadline. */
void pixi_server_set_deadline(struct pixi_server *s);

static inline struct pixi_conn *pixi_conn_of_link(struct pixi_link *k)
{
    return (struct pixi_conn *)((char *)k - offsetof(struct pixi_conn, link));
}

static inline struct pixi_conn *pixi_conn_of_peer(struct pixi_hub_peer *p)
{
    return (struct pixi_conn *)((char *)p - offsetof(struct pixi_conn, peer));
}

#endif
