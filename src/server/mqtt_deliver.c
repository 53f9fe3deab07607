/* mqtt_deliver.c -- messages towards clients: what the hub delivers, and what has to be sent again. */
#include "server/mqtt.h"

#include <stdlib.h>

/* --- one message, encoded once -------------------------------------------------------------------------------- */

static void encode(void *ctx, const struct pixi_msg *msg, struct pixi_cur filter, unsigned flags)
{
    struct pixi_server *s = ctx;
    struct pixi_mqtt_out *out = &s->mqtt.out;

    (void)filter;
    out->msg = msg;
    out->flags = flags;
    out->has_props = out->has_hash = false;
    for (size_t i = 0; i < sizeof out->whole / sizeof out->whole[0]; i++) {
        pixi_link_message_forget(&out->whole[i].packet);
        out->whole[i].is_made = false;
    }
}

/* What is left of it, in seconds, at least 1. */
static uint32_t expiry_left(const struct pixi_msg *msg, uint64_t wall_ms)
{
    uint64_t left = msg->expires_ms > wall_ms ? (msg->expires_ms - wall_ms + 999) / 1000 : 1;

    return left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
}

static struct pixi_cur shared_props(struct pixi_mqtt_out *out)
{
    const struct pixi_msg *msg = out->msg;

    if (!out->has_props) {
        pixi_buf_reset(&out->props);
        if (msg->expires_ms)
            pixi_mqtt_prop_put_num(&out->props, PIXI_MQTT_PROP_MESSAGE_EXPIRY,
                                   expiry_left(msg, pixi_clock_wall_ms()));
        pixi_mqtt_headers_put(msg->headers, &out->props);
        out->has_props = true;
    }
    return pixi_buf_cur(&out->props);
}

/* --- one packet ----------------------------------------------------------------------------------------------- */

static void count_publish(struct pixi_conn *c)
{
    c->server->counters.messages_out++;
    c->server->counters.mqtt_out[PIXI_MQTT_PUBLISH]++;
}

static bool fits(const struct pixi_conn *c, size_t len)
{
    return !c->mqtt->packet_max || len <= c->mqtt->packet_max;
}

static void make_whole(struct pixi_conn *c, struct pixi_mqtt_whole *w, const struct pixi_mqtt_packet *p)
{
    struct pixi_buf *b = pixi_link_message_begin(&w->packet);
    struct pixi_cur props = pixi_cur_init(NULL, 0), payload = p->publish.payload;

    if (c->mqtt->version == PIXI_MQTT_V5)
        props = shared_props(&c->server->mqtt.out);
    pixi_mqtt_publish_head(b, c->mqtt->version, p, pixi_cur_left(&props),
                           pixi_cur_left(&props) + pixi_cur_left(&payload));
    pixi_buf_put_cur(b, props);
    pixi_buf_put_cur(b, payload);
    pixi_link_message_end(&w->packet, c->link.form, PIXI_WS_BINARY);
    w->is_made = true;
}

static int send_whole(struct pixi_conn *c, const struct pixi_mqtt_packet *p)
{
    struct pixi_mqtt_out *out = &c->server->mqtt.out;
    struct pixi_mqtt_whole *w = &out->whole[(c->mqtt->version == PIXI_MQTT_V5 ? 4 : 0) +
                                            (c->link.form == PIXI_LINK_BYTES ? 2 : 0) + p->publish.is_retain];
    struct pixi_cur packet;

    if (!w->is_made)
        make_whole(c, w, p);
    packet = pixi_link_message_payload(&w->packet);
    if (!fits(c, pixi_cur_left(&packet)))
        return PIXI_MORE;
    return pixi_link_send_message(&c->link, &w->packet);
}

/* How a packet says its topic. */
struct name {
    uint16_t alias; /* 0: the topic alone */
    bool is_new;    /* both */
};

static uint64_t topic_hash(struct pixi_server *s)
{
    struct pixi_mqtt_out *out = &s->mqtt.out;

    if (!out->has_hash)
        out->topic_hash = pixi_siphash(s->mqtt.hash_key, out->msg->topic);
    out->has_hash = true;
    return out->topic_hash;
}

/* The first topics that a client hears of get an alias each. */
static struct name name_of(struct pixi_conn *c)
{
    struct name n = {0};

    if (!c->mqtt->alias_out_max)
        return n;
    n.alias = pixi_mqtt_alias_of(c->mqtt, c->server->mqtt.out.msg->topic, topic_hash(c->server));
    if (!n.alias) {
        n.alias = pixi_mqtt_alias_next(c->mqtt);
        n.is_new = n.alias;
    }
    return n;
}

/* parts[0], before the shared properties and the payload.   PIXI_MORE: all together are too large for the client */
static int make_head(struct pixi_conn *c, struct pixi_mqtt_packet *p, struct name n, struct pixi_cur parts[3])
{
    struct pixi_mqtt_out *out = &c->server->mqtt.out;
    struct pixi_buf *own = &c->server->mqtt.scratch;
    size_t shared = pixi_cur_left(&parts[1]), rest = shared + pixi_cur_left(&parts[2]);

    pixi_buf_reset(own);
    pixi_buf_put_cur(own, pixi_buf_cur(&out->ids));
    if (n.alias)
        pixi_mqtt_prop_put_num(own, PIXI_MQTT_PROP_TOPIC_ALIAS, n.alias);
    p->props.block = pixi_buf_cur(own);
    p->publish.topic = n.alias && !n.is_new ? pixi_cur_init(NULL, 0) : out->msg->topic;
    pixi_buf_reset(&out->head);
    pixi_mqtt_publish_head(&out->head, c->mqtt->version, p, shared, rest);
    if (out->head.err || own->err)
        return out->head.err ? out->head.err : own->err;
    parts[0] = pixi_buf_cur(&out->head);
    return fits(c, out->head.len + rest) ? PIXI_OK : PIXI_MORE;
}

/* Until it is on disk that it is sent. */
static int hold(struct pixi_mqtt_session *o, const struct pixi_cur parts[3])
{
    size_t len = 0;

    for (size_t i = 0; i < 3; i++)
        len += pixi_cur_left(&parts[i]);
    if (o->held.len + len > o->held.max)
        return PIXI_E_QUEUE;
    for (size_t i = 0; i < 3; i++)
        pixi_buf_put_cur(&o->held, parts[i]);
    pixi_mqtt_save(o);
    return o->held.err;
}

static int send_own(struct pixi_conn *c, struct pixi_mqtt_packet *p)
{
    bool is_held = p->publish.qos == 2 && !p->publish.is_dup && pixi_mqtt_is_saved(c->mqtt->session);
    struct name n = {0};
    struct pixi_cur parts[3] = {[2] = p->publish.payload};
    int rc;

    if (!is_held) /* which leaves after what is sent meanwhile, and must not be what tells of an alias */
        n = name_of(c);
    if (c->mqtt->version == PIXI_MQTT_V5)
        parts[1] = shared_props(&c->server->mqtt.out);
    rc = make_head(c, p, n, parts);
    if (rc == PIXI_MORE && n.alias) { /* perhaps by the alias: beside the topic, or for a shorter one */
        n = (struct name){0};
        rc = make_head(c, p, n, parts);
    }
    if (rc != PIXI_OK)
        return rc;
    if (is_held)
        return hold(c->mqtt->session, parts);
    rc = pixi_link_send_parts(&c->link, parts, 3);
    if (rc == PIXI_OK && n.is_new)
        pixi_mqtt_alias_give(c->mqtt, p->publish.topic, topic_hash(c->server));
    return rc;
}

/* PIXI_MORE: too large for the client, which counts as delivered (MQTT 5 §3.1.2.11.4). */
static int send_publish(struct pixi_conn *c, struct pixi_mqtt_packet *p)
{
    bool is_own = p->publish.qos || c->server->mqtt.out.ids.len || c->mqtt->alias_out_max;
    int rc = is_own ? send_own(c, p) : send_whole(c, p);

    if (rc == PIXI_OK)
        count_publish(c);
    else if (rc == PIXI_MORE)
        c->server->counters.mqtt_dropped[PIXI_MQTT_DROPPED_TOO_LARGE]++;
    return rc;
}

static void put_id(struct pixi_server *s, uint32_t id)
{
    if (id)
        pixi_mqtt_prop_put_num(&s->mqtt.out.ids, PIXI_MQTT_PROP_SUBSCRIPTION_ID, id);
}

/* What was sent for several subscriptions is sent again with the identifiers of those that still stand. */
static void put_ids(struct pixi_mqtt_session *o, const struct pixi_msg *msg, uint32_t id, unsigned flags)
{
    struct pixi_server *s = o->server;
    const struct pixi_hub_sub *sub = NULL;

    pixi_buf_reset(&s->mqtt.out.ids);
    put_id(s, id);
    if (flags & PIXI_MQTT_SEVERAL)
        sub = pixi_hub_matching(&s->hub, &o->peer, msg);
    for (; sub; sub = sub->also) {
        uint32_t other = ((const struct pixi_mqtt_sub *)sub->user)->id;

        put_id(s, other == id ? 0 : other);
    }
}

static struct pixi_mqtt_packet packet_of(const struct pixi_msg *msg, unsigned qos, bool is_retain)
{
    return (struct pixi_mqtt_packet){
        .type = PIXI_MQTT_PUBLISH,
        .publish = {
            .topic = msg->topic, .payload = msg->payload, .qos = (uint8_t)qos, .is_retain = is_retain}};
}

int pixi_mqtt_deliver_one(struct pixi_conn *c, const struct pixi_msg *msg, unsigned qos, unsigned flags,
                          uint16_t id, uint32_t sub_id)
{
    struct pixi_mqtt_packet p = packet_of(msg, qos, flags & PIXI_MQTT_RETAINED);
    int rc;

    encode(c->server, msg, pixi_cur_init(NULL, 0), 0);
    c->server->mqtt.gateway.encoded = 0; /* another message than the hub's */
    put_ids(c->mqtt->session, msg, sub_id, flags);
    p.id = id;
    p.publish.is_dup = id != 0;
    rc = send_publish(c, &p);
    return rc == PIXI_MORE ? PIXI_OK : rc;
}

/* --- the hub's calls ------------------------------------------------------------------------------------------ */

static bool is_full(const struct pixi_conn *c)
{
    return pixi_link_waiting(&c->link) >= c->server->soft_queue;
}

static bool is_reachable(const struct pixi_mqtt_session *o)
{
    return o->conn && o->state == PIXI_MQTT_LIVES && o->conn->mqtt->is_connected &&
           o->conn->link.state == PIXI_LINK_OPEN;
}

/* What the subscriptions that a copy is for want of it, together. */
struct wants {
    uint32_t id; /* Subscription Identifier of the first that has one */
    uint8_t qos; /* the largest */
    bool is_any, is_retain_as_published, is_shared;
    bool is_read_again; /* where there is no room: by one with QoS 0, from the history */
    bool is_several;    /* identifiers */
};

static struct wants wants_of(const struct pixi_mqtt_session *o, const struct pixi_hub_sub *sub)
{
    struct pixi_server *s = o->server;
    struct wants w = {0};

    pixi_buf_reset(&s->mqtt.out.ids);
    for (; sub; sub = sub->also) {
        const struct pixi_mqtt_sub *options = sub->user;

        w.is_read_again |= !sub->qos;
        if (options->is_no_local && s->mqtt.out.msg->origin == o->origin)
            continue;
        w.is_any = true;
        w.qos = options->qos > w.qos ? options->qos : w.qos;
        w.is_retain_as_published |= options->is_retain_as_published;
        w.is_shared |= options->is_shared;
        w.is_several |= w.id && options->id;
        w.id = w.id ? w.id : options->id;
        put_id(s, options->id);
    }
    return w;
}

/* At most once: what a reader has no room for is lost to it, unless the hub can read it again. */
static int deliver_0(struct pixi_mqtt_session *o, const struct wants *w, struct pixi_mqtt_packet *p)
{
    struct pixi_server *s = o->server;
    uint64_t offset = s->mqtt.out.msg->pos.offset;
    int rc;

    if (offset && offset <= o->came_at && !(s->mqtt.out.flags & PIXI_HUB_RETAINED))
        return PIXI_OK;   /* from when its client was away: only QoS 1 and 2 wait */
    if (!is_reachable(o)) /* another member of the group is there, perhaps */
        return w->is_shared ? PIXI_E_QUEUE : PIXI_OK;
    if (is_full(o->conn)) {
        pixi_link_want_drained(&o->conn->link);
        if (offset && w->is_read_again) {
            s->counters.fell_behind++;
            return PIXI_E_QUEUE;
        }
        s->counters.mqtt_dropped[PIXI_MQTT_DROPPED_SLOW]++;
        return PIXI_OK;
    }
    rc = send_publish(o->conn, p);
    if (rc == PIXI_E_QUEUE)
        s->counters.mqtt_dropped[PIXI_MQTT_DROPPED_SLOW]++;
    return PIXI_OK;
}

static int deliver_1_2(struct pixi_mqtt_session *o, const struct wants *w, struct pixi_mqtt_packet *p)
{
    const struct pixi_msg *msg = o->server->mqtt.out.msg;
    unsigned flags = (p->publish.is_retain ? PIXI_MQTT_RETAINED : 0u) |
                     (w->is_several ? PIXI_MQTT_SEVERAL : 0u) | (w->is_shared ? PIXI_MQTT_OF_GROUP : 0u);
    const struct pixi_sent *sent;
    int rc;

    if (!is_reachable(o))
        return PIXI_E_QUEUE;
    if (is_full(o->conn)) {
        pixi_link_want_drained(&o->conn->link);
        o->server->counters.fell_behind++;
        return PIXI_E_QUEUE;
    }
    rc = pixi_session_send_tagged(&o->s, msg->pos.offset, p->publish.qos, w->id, (uint8_t)flags, &sent);
    if (rc != PIXI_OK)
        return rc; /* on the next acknowledgement */
    p->id = sent->id;
    rc = send_publish(o->conn, p);
    if (rc != PIXI_OK) { /* it did not leave, so nobody acknowledges it */
        if (p->publish.qos == 1)
            pixi_session_puback(&o->s, p->id);
        else
            pixi_session_pubrec_refused(&o->s, p->id);
    }
    pixi_mqtt_save_soon(o);
    return rc == PIXI_MORE ? PIXI_OK : rc;
}

static int deliver(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub)
{
    struct pixi_server *s = ctx;
    struct pixi_mqtt_session *o = pixi_mqtt_session_of_peer(peer);
    const struct pixi_msg *msg = s->mqtt.out.msg;
    struct wants w = wants_of(o, sub);
    bool is_snapshot = s->mqtt.out.flags & PIXI_HUB_RETAINED;
    unsigned qos = pixi_msg_qos(msg) < w.qos ? pixi_msg_qos(msg) : w.qos;
    struct pixi_mqtt_packet p;

    if (!w.is_any)
        return PIXI_OK;
    p = packet_of(msg, msg->pos.offset ? qos : 0,
                  is_snapshot || (w.is_retain_as_published && msg->flags & PIXI_MSG_RETAIN));
    return p.publish.qos ? deliver_1_2(o, &w, &p) : deliver_0(o, &w, &p);
}

static void synced(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub)
{
    (void)ctx;
    (void)peer;
    (void)sub; /* MQTT has no word for it */
}

static void unsubscribed(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub, int err)
{
    struct pixi_mqtt_session *o = pixi_mqtt_session_of_peer(peer);
    const struct pixi_mqtt_sub *options = sub->user;

    (void)ctx;
    (void)err;
    pixi_mqtt_forget_sub(o, options->no); /* nor for this; the log tells */
}

static void release(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub)
{
    (void)ctx;
    (void)peer;
    free(sub->user);
}

static void lost(void *ctx, struct pixi_hub_peer *peer, int err)
{
    struct pixi_mqtt_session *o = pixi_mqtt_session_of_peer(peer);
    struct pixi_server *s = ctx;

    pixi_server_count_refused(s, PIXI_REFUSED_HISTORY, o->conn ? o->conn->from : "session",
                              "more waits for the session of %s than is kept: %s; it ends",
                              o->key ? o->key->name : "nobody", pixi_err_text(err));
    o->state = PIXI_MQTT_LOST;
    pixi_loop_defer(s->loop, &o->task);
}

static void wake(void *ctx, struct pixi_hub_peer *peer)
{
    struct pixi_server *s = ctx;
    struct pixi_mqtt_session *o = pixi_mqtt_session_of_peer(peer);

    if (o->conn)
        pixi_loop_defer(s->loop, &o->conn->pump);
}

static bool holds(void *ctx, const struct pixi_hub_peer *peer, uint64_t offset)
{
    (void)ctx;
    return pixi_session_holds(&pixi_mqtt_session_of_peer(peer)->s, offset);
}

const struct pixi_hub_calls pixi_mqtt_calls = {
    .is_one_copy = true,
    .encode = encode,
    .deliver = deliver,
    .synced = synced,
    .unsubscribed = unsubscribed,
    .release = release,
    .lost = lost,
    .wake = wake,
    .request = pixi_mqtt_request,
    .reply = pixi_mqtt_reply,
    .published = pixi_mqtt_published,
    .holds = holds,
};

/* --- what has to be sent again -------------------------------------------------------------------------------- */

/* Where a message can be: kept for sessions, in the history, retained. */
enum { STEP_SESSIONS, STEP_HISTORY, STEP_RETAINED, STEPS };

static int on_message(void *ctx, const struct pixi_msg *msg)
{
    struct pixi_mqtt_session *o = ctx;
    const struct pixi_sent *sent = pixi_session_next_resend(&o->s);
    int rc;

    if (!sent || sent->offset != o->read.from || !is_reachable(o))
        return PIXI_E_QUEUE; /* acknowledged meanwhile, or gone */
    rc = pixi_mqtt_deliver_one(o->conn, msg, sent->state == PIXI_SENT_WAITS_ACK ? 1 : 2, sent->flags,
                               sent->id, sent->tag);
    o->reading = rc == PIXI_OK ? PIXI_MQTT_READ_FOUND : PIXI_MQTT_READ_REFUSED;
    if (rc == PIXI_OK)
        pixi_session_resent(&o->s);
    return rc;
}

static void on_end(void *ctx, int err, uint64_t next)
{
    struct pixi_mqtt_session *o = ctx;

    (void)err;
    (void)next;
    if (o->reading == PIXI_MQTT_READ_RUNS)
        o->reading = PIXI_MQTT_READ_MISSED;
    if (!o->is_resending && o->conn)
        pixi_loop_defer(o->server->loop, &o->conn->pump);
}

static void look(struct pixi_mqtt_session *o, uint64_t offset)
{
    struct pixi_store *store = o->server->hub.store;

    o->reading = PIXI_MQTT_READ_RUNS;
    o->read = (struct pixi_store_read){
        .filter = pixi_cur_str("#"),
        .from = offset,
        .upto = offset,
        .max_count = 1,
        .max_bytes = 1,
        .flags = PIXI_STORE_SKIP_GAPS | (o->read_step == STEP_SESSIONS ? PIXI_STORE_FOR_SESSIONS : 0),
        .ctx = o,
        .on_message = on_message,
        .on_end = on_end,
    };
    (o->read_step == STEP_RETAINED ? store->call->last : store->call->read)(store, &o->read);
}

static void send_pubrel(struct pixi_mqtt_session *o, uint16_t id)
{
    struct pixi_mqtt_packet p = {.type = PIXI_MQTT_PUBREL, .id = id};

    pixi_mqtt_send(o->conn, &p); /* what it tells was saved before the CONNACK was sent */
}

/* One step; false: no more now. */
static bool resend_one(struct pixi_mqtt_session *o, const struct pixi_sent *sent)
{
    bool is_missed;

    if (sent->state == PIXI_SENT_WAITS_COMP) {
        send_pubrel(o, sent->id);
        pixi_session_resent(&o->s);
        o->reading = PIXI_MQTT_READ_NONE;
        o->read_step = 0;
        return true;
    }
    if (o->reading == PIXI_MQTT_READ_NONE)
        look(o, sent->offset);
    if (o->reading == PIXI_MQTT_READ_RUNS)
        return false;
    is_missed = o->reading == PIXI_MQTT_READ_MISSED && o->read.from == sent->offset;
    if (o->reading == PIXI_MQTT_READ_REFUSED) {
        o->reading = PIXI_MQTT_READ_NONE;
        return false; /* on_drained comes */
    }
    o->reading = PIXI_MQTT_READ_NONE;
    if (is_missed && ++o->read_step < STEPS)
        return true;
    if (is_missed)
        pixi_session_forget_resend(&o->s); /* a retained message that another has replaced: that one comes */
    o->read_step = 0;
    return true;
}

static void resend(struct pixi_mqtt_session *o)
{
    const struct pixi_sent *sent;

    o->is_resending = true;
    while (is_reachable(o) && !is_full(o->conn) && (sent = pixi_session_next_resend(&o->s)) &&
           resend_one(o, sent))
        ;
    o->is_resending = false;
}

void pixi_mqtt_pump(struct pixi_conn *c)
{
    struct pixi_mqtt_session *o = c->mqtt ? c->mqtt->session : NULL;
    struct pixi_server *s = c->server;

    if (!o || !is_reachable(o))
        return;
    if (pixi_session_is_resending(&o->s))
        resend(o);
    if (is_full(c)) {
        pixi_link_want_drained(&c->link);
        return;
    }
    if (pixi_session_is_resending(&o->s))
        return; /* the window is full, or the store reads */
    if (pixi_hub_pump(&s->hub, &o->peer, pixi_server_now(s)) == PIXI_MORE)
        pixi_loop_defer(s->loop, &c->pump);
}
