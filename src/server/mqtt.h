/* mqtt.h -- what the files of the MQTT gateway share: connections, sessions, and what is under way between them.
 *
 *     mqtt_conn.c      bytes in, packets to their handlers; CONNECT, keep alive, the end of a connection
 *     mqtt_session.c   sessions by API key and client identifier: take-over, expiry, wills
 *     mqtt_publish.c   PUBLISH and acknowledgements that come
 *     mqtt_request.c   requests and replies between the dialects
 *     mqtt_subscribe.c SUBSCRIBE, UNSUBSCRIBE
 *     mqtt_deliver.c   what the hub says, and what has to be sent again
 *     mqtt_alias.c     topic aliases, both ways
 *     mqtt_headers.c   properties and headers
 *     mqtt_save.c      sessions as records of a durable store
 *     mqtt_load.c      and read back
 *     mqtt_sys.c       $SYS
 *
 * A session is a peer of the hub; a connection comes and goes. */
#ifndef PIXI_SERVER_MQTT_H
#define PIXI_SERVER_MQTT_H

#include "hub/session.h"
#include "proto/mqtt/reader.h"
#include "server/conn.h"

enum {
    PIXI_MQTT_STRANGER_PACKET = 65536, /* bytes of a CONNECT */
    PIXI_MQTT_CLIENT_ID_MAX = 128,     /* bytes */
    PIXI_MQTT_ALIASES_OUT = 64,        /* topic aliases that the server uses towards one client, at most */
    PIXI_MQTT_REPLY_TOKEN = 16,        /* random bytes of `$pixi/reply/...` */
    PIXI_MQTT_REPLIES_MAX = 1000,      /* of those that a session may still answer */
    /* bits of pixi_sent.flags; its tag is a Subscription Identifier */
    PIXI_MQTT_RETAINED = 1 << 0, /* sent with RETAIN */
    PIXI_MQTT_SEVERAL = 1 << 1,  /* for other subscriptions, too */
    PIXI_MQTT_OF_GROUP = 1 << 2, /* by a shared subscription */
};

/* What the records of a durable store begin with, how much of a key's hash names them, and how they are written. */
#define PIXI_MQTT_RECORDS "mqtt/"
enum { PIXI_MQTT_RECORD_HASH = 16, PIXI_MQTT_RECORD_VERSION = 1 };

#define PIXI_MQTT_REPLY_PREFIX "$pixi/reply/"

/* A subscription's options; pixi_hub_sub.user. Owned by the hub's entry, freed by `release`. */
struct pixi_mqtt_sub {
    uint32_t id; /* Subscription Identifier; 0: none */
    uint32_t no; /* names its record */
    uint8_t qos;
    bool is_no_local, is_retain_as_published, is_shared;
};

/* A message that is published when its session's connection ends without a word. */
struct pixi_mqtt_last_will {
    struct pixi_cur topic, headers, payload; /* lie in bytes */
    uint32_t delay_s, expiry_s;
    bool has_expiry, is_retain;
    uint8_t qos;
    uint8_t bytes[];
};

/* A PUBLISH with QoS 1 or 2 whose acknowledgement is due, in order of coming. Pooled. */
struct pixi_mqtt_incoming {
    struct pixi_list in_session; /* or in the pool */
    struct pixi_mqtt_session *session;
    uint64_t link_no;    /* the session's connection that it came on; another: it is not answered */
    struct pixi_msg msg; /* while it waits for the session's record; lies in bytes */
    uint8_t *bytes;      /* owned; NULL: it did not have to wait */
    uint16_t id;
    uint8_t qos, reason;
    enum { PIXI_MQTT_IN_WAITS, PIXI_MQTT_IN_SAVES, PIXI_MQTT_IN_STORES, PIXI_MQTT_IN_DONE } state;
};

struct pixi_mqtt_session {
    struct pixi_session s;
    struct pixi_hub_peer peer;
    struct pixi_permit permit;
    struct pixi_server *server;   /* borrowed */
    const struct pixi_key *key;   /* borrowed from the server's keys */
    struct pixi_conn *conn;       /* NULL: away */
    struct pixi_table_link by_id; /* API key and client identifier */
    struct pixi_list in_server;
    struct pixi_list incoming;       /* struct pixi_mqtt_incoming */
    struct pixi_list asked, replies; /* mqtt_request.c */
    size_t incoming_count, reply_count;
    struct pixi_mqtt_last_will *will; /* owned; NULL: none */
    struct pixi_timer expiry, will_due, save_due;
    struct pixi_task task;       /* mqtt_session.c: what a callback could not do */
    struct pixi_store_read read; /* what has to be sent again */
    enum {
        PIXI_MQTT_READ_NONE,
        PIXI_MQTT_READ_RUNS,
        PIXI_MQTT_READ_FOUND,
        PIXI_MQTT_READ_MISSED,
        PIXI_MQTT_READ_REFUSED,
    } reading;
    unsigned read_step;  /* where it is looked for */
    bool is_resending;   /* on the stack */
    uint64_t origin;     /* pixi_msg.origin */
    uint64_t link_no;    /* of its connections */
    uint64_t came_at;    /* the store's head when its client came: QoS 0 from before is not sent */
    uint32_t expiry_s;   /* UINT32_MAX: never */
    uint64_t expires_ms; /* wall, while it is away */
    uint32_t last_sub_no;
    enum { PIXI_MQTT_LIVES, PIXI_MQTT_LOST, PIXI_MQTT_ENDED } state;
    /* mqtt_save.c */
    struct pixi_buf held, flying; /* packets that wait for the record: the next one, the one under way */
    unsigned puts;                /* under way */
    bool is_dirty, is_saving, has_records, is_loaded;
    int save_err;
    uint64_t loaded_head; /* while it is read back */
    uint8_t key_hash[PIXI_KEYS_HASH];
    uint8_t producer
        [PIXI_PRODUCER_LEN]; /* of what it publishes with QoS 2; the same for all sessions of the name */
    size_t id_len;
    uint8_t id[];
};

/* A connection that speaks MQTT. */
struct pixi_mqtt {
    struct pixi_conn *conn;            /* borrowed */
    struct pixi_mqtt_session *session; /* NULL: before CONNECT, or taken over */
    struct pixi_mqtt_reader reader;
    struct pixi_buf rest;    /* of a packet cut short; lent by the loop */
    struct pixi_buf backlog; /* bytes not read yet, because too many publishes wait for the store */
    struct pixi_timer timer; /* for CONNECT, then keep alive */
    uint64_t heard_ms;
    uint64_t begun_ms;      /* when the packet began that has not come whole yet; 0: none */
    uint32_t keep_alive_ms; /* with the half more; 0: none */
    uint32_t packet_max;    /* what the client takes; 0: any */
    unsigned version;       /* 0: before CONNECT */
    bool is_connected;      /* CONNACK was sent */
    bool wants_problems;    /* Request Problem Information */
    bool is_stopped;        /* reading, because of the backlog */
    /* mqtt_alias.c */
    struct pixi_cur *alias_in; /* owned, each; NULL: none came yet */
    uint32_t alias_in_max;
    uint16_t alias_out_max;
    struct pixi_table alias_out;
};

/* --- mqtt_conn.c */

/* The connection speaks MQTT from here on. false: out of memory. */
bool pixi_mqtt_open(struct pixi_conn *c);
void pixi_mqtt_on_bytes(struct pixi_conn *c, uint8_t *bytes, size_t len);
/* The link has ended: its session goes on without, or ends. Releases c->mqtt. */
void pixi_mqtt_on_close(struct pixi_conn *c);
/* DISCONNECT with this reason (5.0), then the close code. */
void pixi_mqtt_disconnect(struct pixi_conn *c, unsigned reason, uint16_t code, const char *why);
/* The peer broke a rule. */
void pixi_mqtt_fail(struct pixi_conn *c, int err);
/* In the server's scratch. Without its properties where the client takes no larger one: what explains must not be what
 * breaks. Empty: larger all the same, or MQTT 3.1.1 has no word for it. */
const struct pixi_buf *pixi_mqtt_encode(struct pixi_conn *c, const struct pixi_mqtt_packet *p);
/* Queues one packet; a link without room is given up. */
void pixi_mqtt_send(struct pixi_conn *c, const struct pixi_mqtt_packet *p);
/* An acknowledgement, with a reason string where it helps; detail may be NULL. */
void pixi_mqtt_ack(struct pixi_conn *c, enum pixi_mqtt_where type, uint16_t id, unsigned reason,
                   const char *detail);
/* Reads on when publishes were stored. */
void pixi_mqtt_read_on(struct pixi_conn *c);
void pixi_mqtt_read_backlog(struct pixi_conn *c);

/* --- mqtt_session.c */

int pixi_mqtt_sessions_init(struct pixi_server *s);
/* Ends all of them, without wills. Connections have gone. */
void pixi_mqtt_sessions_clear(struct pixi_server *s);
struct pixi_mqtt_session *pixi_mqtt_session_find(struct pixi_server *s,
                                                 const uint8_t key_hash[PIXI_KEYS_HASH], struct pixi_cur id);
/* A new one, in the hub. key may be NULL for one whose key has gone. NULL: out of memory. */
struct pixi_mqtt_session *pixi_mqtt_session_new(struct pixi_server *s, const uint8_t key_hash[PIXI_KEYS_HASH],
                                                const struct pixi_key *key, struct pixi_cur id);
void pixi_mqtt_session_set_key(struct pixi_mqtt_session *o, const struct pixi_key *key);
/* c is its connection from here on. */
void pixi_mqtt_session_attach(struct pixi_mqtt_session *o, struct pixi_conn *c, uint32_t window);
/* Its connection goes. The will stays, to be sent now or later, unless it was taken away before. */
void pixi_mqtt_session_detach(struct pixi_mqtt_session *o);
enum pixi_mqtt_wills { PIXI_MQTT_WITHOUT_WILL, PIXI_MQTT_WITH_WILL };
/* It is over; o is gone. */
void pixi_mqtt_session_end(struct pixi_mqtt_session *o, enum pixi_mqtt_wills wills);
void pixi_mqtt_session_drop_will(struct pixi_mqtt_session *o);
/* In one piece; free with free. NULL: out of memory. */
struct pixi_mqtt_last_will *pixi_mqtt_will_copy(const struct pixi_mqtt_last_will *w);
/* After a restart: its expiry and its will's delay begin. */
void pixi_mqtt_session_wait(struct pixi_mqtt_session *o);
/* Other keys: sessions whose key has gone end, others get its rights. find gives what key_hash is now, or NULL. */
void pixi_mqtt_sessions_rekey(struct pixi_server *s,
                              const struct pixi_key *(*find)(void *ctx, const uint8_t *key_hash), void *ctx);

static inline struct pixi_mqtt_session *pixi_mqtt_session_of_peer(const struct pixi_hub_peer *p)
{
    return PIXI_LIST_ITEM(p, struct pixi_mqtt_session, peer);
}

/* --- mqtt_publish.c */

void pixi_mqtt_on_publish(struct pixi_conn *c, const struct pixi_mqtt_packet *p);
void pixi_mqtt_on_ack(struct pixi_conn *c, const struct pixi_mqtt_packet *p);
/* What waited for the session's record is handed to the hub. */
void pixi_mqtt_publish_saved(struct pixi_mqtt_session *o);
void pixi_mqtt_published(void *ctx, struct pixi_hub_peer *peer, void *token, int err,
                         struct pixi_position pos);
void pixi_mqtt_drop_incoming(struct pixi_mqtt_session *o);
unsigned pixi_mqtt_reason_of_hub(int err);

/* --- mqtt_request.c */

/* A PUBLISH below `request/` with a Response Topic: the reason that acknowledges it. */
unsigned pixi_mqtt_ask(struct pixi_mqtt_session *o, const struct pixi_msg *msg,
                       const struct pixi_mqtt_props *props, struct pixi_now now);
/* A PUBLISH to a topic that the server made up for a reply. */
unsigned pixi_mqtt_answer(struct pixi_mqtt_session *o, const struct pixi_msg *msg);
bool pixi_mqtt_is_reply(struct pixi_cur topic);
bool pixi_mqtt_is_request(struct pixi_cur topic);
int pixi_mqtt_request(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub,
                      const struct pixi_msg *msg, uint64_t request);
void pixi_mqtt_reply(void *ctx, struct pixi_hub_peer *peer, void *token, int err, const struct pixi_msg *msg);
/* Replies that came for it are published. */
void pixi_mqtt_run_replies(struct pixi_mqtt_session *o);
void pixi_mqtt_drop_requests(struct pixi_mqtt_session *o);

/* --- mqtt_subscribe.c */

void pixi_mqtt_on_subscribe(struct pixi_conn *c, const struct pixi_mqtt_packet *p);
/* `$share/...`? */
bool pixi_mqtt_is_shared(struct pixi_cur filter);
void pixi_mqtt_on_unsubscribe(struct pixi_conn *c, const struct pixi_mqtt_packet *p);

/* --- mqtt_deliver.c */

extern const struct pixi_hub_calls pixi_mqtt_calls;
/* What has to be sent again, then what the hub has. */
void pixi_mqtt_pump(struct pixi_conn *c);
/* A message towards a client, outside the hub's turn. PIXI_OK, also when it is too large for the client. */
int pixi_mqtt_deliver_one(struct pixi_conn *c, const struct pixi_msg *msg, unsigned qos, unsigned flags,
                          uint16_t id, uint32_t sub_id);

/* --- mqtt_alias.c */

/* An alias has come: an empty topic becomes the one that it stands for (borrowed until the next call), another is what it
 * stands for from here on.   PIXI_OK | PIXI_E_MQTT_ALIAS | PIXI_E_MQTT_NO_TOPIC | PIXI_E_NOMEM */
int pixi_mqtt_alias_take(struct pixi_mqtt *m, uint32_t no, struct pixi_cur *topic);
/* What the client knows this topic as; 0: it does not. hash: of the topic, with the server's hash_key. */
uint16_t pixi_mqtt_alias_of(const struct pixi_mqtt *m, struct pixi_cur topic, uint64_t hash);
/* What the next topic can be known as; 0: the client allows no more. */
uint16_t pixi_mqtt_alias_next(const struct pixi_mqtt *m);
/* The link has taken a packet with this topic and that alias. Not before: the client must have heard of it when it comes
 * alone. Without memory the next topic is given it, which the client takes as a change. */
void pixi_mqtt_alias_give(struct pixi_mqtt *m, struct pixi_cur topic, uint64_t hash);
void pixi_mqtt_alias_clear(struct pixi_mqtt *m);

/* --- mqtt_headers.c */

/* A PUBLISH's or a Will's properties as headers, to the end of b. */
void pixi_mqtt_headers_take(const struct pixi_mqtt_props *props, struct pixi_buf *b);
/* One header. */
void pixi_mqtt_header_put(struct pixi_buf *b, const char *name, struct pixi_cur value);
/* And back: properties to the end of b. */
void pixi_mqtt_headers_put(struct pixi_cur headers, struct pixi_buf *b);
/* The value of the first header of this name; p == NULL: none. */
struct pixi_cur pixi_mqtt_header_find(struct pixi_cur headers, const char *name);

/* --- mqtt_save.c */

/* Does its state have to be on disk before a packet that tells of it? */
bool pixi_mqtt_is_saved(const struct pixi_mqtt_session *o);
/* This packet waits until the session, as it is at the end of this turn, is on disk; where nothing is saved it is sent
 * now. */
void pixi_mqtt_send_saved(struct pixi_mqtt_session *o, const struct pixi_mqtt_packet *p);
/* This packet waits for what is being put already: a will, of a session that is not saved itself. */
void pixi_mqtt_send_put(struct pixi_mqtt_session *o, const struct pixi_mqtt_packet *p);
/* The state has changed: it is put at the end of the turn, or soon where nobody waits for it. */
void pixi_mqtt_save(struct pixi_mqtt_session *o);
void pixi_mqtt_save_soon(struct pixi_mqtt_session *o);
void pixi_mqtt_save_now(struct pixi_mqtt_session *o);
/* The server stops: as it is now. */
void pixi_mqtt_save_last(struct pixi_mqtt_session *o);
void pixi_mqtt_save_sub(struct pixi_mqtt_session *o, const struct pixi_hub_sub *sub);
void pixi_mqtt_forget_sub(struct pixi_mqtt_session *o, uint32_t no);
void pixi_mqtt_save_will(struct pixi_mqtt_session *o);
void pixi_mqtt_forget_records(struct pixi_mqtt_session *o);

/* --- mqtt_load.c */

/* Reads all sessions back and puts them into the hub.   PIXI_OK | PIXI_E_NOMEM | PIXI_E_SYS */
int pixi_mqtt_load(struct pixi_server *s);

/* --- mqtt_sys.c */

void pixi_mqtt_sys_start(struct pixi_server *s);
/* Somebody has subscribed to $SYS. */
void pixi_mqtt_sys_tell(struct pixi_server *s);

#endif
