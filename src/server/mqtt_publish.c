/* mqtt_publish.c -- messages from clients, and what they acknowledge. MQTT 5 §3.3 .. §3.7, §4.3. */
#include "base/topic.h"
#include "base/utf8.h"
#include "server/mqtt.h"

#include <stdlib.h>

enum { SECOND_MS = 1000 };

unsigned pixi_mqtt_reason_of_hub(int err)
{
    switch (err) {
    case PIXI_OK: return PIXI_MQTT_R_SUCCESS;
    case PIXI_E_FORBIDDEN: return PIXI_MQTT_R_NOT_AUTHORIZED;
    case PIXI_E_TOPIC: return PIXI_MQTT_R_TOPIC;
    case PIXI_E_FILTER: return PIXI_MQTT_R_FILTER;
    case PIXI_E_NO_RESPONDER: return PIXI_MQTT_R_NO_SUBSCRIBERS;
    case PIXI_E_RATE:
    case PIXI_E_LIMIT:
    case PIXI_E_STORAGE: return PIXI_MQTT_R_QUOTA;
    default: return PIXI_MQTT_R_UNSPECIFIED;
    }
}

/* --- acknowledgements, in the order of coming ----------------------------------------------------------------- */

static struct pixi_mqtt_incoming *take(struct pixi_mqtt_session *o, const struct pixi_mqtt_packet *p)
{
    struct pixi_server *s = o->server;
    struct pixi_mqtt_incoming *in;

    if (pixi_list_is_empty(&s->mqtt.free_incoming)) {
        in = malloc(sizeof *in);
        if (!in)
            return NULL;
    } else {
        in = PIXI_LIST_ITEM(s->mqtt.free_incoming.next, struct pixi_mqtt_incoming, in_session);
        pixi_list_remove(&in->in_session);
    }
    *in = (struct pixi_mqtt_incoming){.session = o,
                                      .link_no = o->link_no,
                                      .id = p->id,
                                      .qos = p->publish.qos,
                                      .state = PIXI_MQTT_IN_STORES};
    pixi_list_add_last(&o->incoming, &in->in_session);
    o->incoming_count++;
    return in;
}

static void put_back(struct pixi_mqtt_incoming *in)
{
    free(in->bytes);
    in->bytes = NULL;
    pixi_list_remove(&in->in_session);
    in->session->incoming_count--;
    pixi_list_add_last(&in->session->server->mqtt.free_incoming, &in->in_session);
}

void pixi_mqtt_drop_incoming(struct pixi_mqtt_session *o)
{
    while (!pixi_list_is_empty(&o->incoming))
        put_back(PIXI_LIST_ITEM(o->incoming.next, struct pixi_mqtt_incoming, in_session));
}

/* In 3.1.1 there is no way to say no but to end the connection [MQTT-3.3.5-2]. */
static void refuse_3(struct pixi_conn *c, unsigned reason)
{
    pixi_server_count_refused(c->server, PIXI_REFUSED_PUBLISH, c->from,
                              "a PUBLISH in MQTT 3.1.1, which has no word for it: %s; closing",
                              pixi_mqtt_reason_text(reason));
    pixi_link_close(&c->link, PIXI_WS_CLOSE_POLICY, pixi_mqtt_reason_text(reason));
}

static void answer(struct pixi_conn *c, struct pixi_mqtt_incoming *in)
{
    enum pixi_mqtt_where type = in->qos == 1 ? PIXI_MQTT_PUBACK : PIXI_MQTT_PUBREC;

    if (pixi_mqtt_reason_is_error(in->reason) && c->mqtt->version == PIXI_MQTT_V3)
        refuse_3(c, in->reason);
    else
        pixi_mqtt_ack(c, type, in->id, in->reason, NULL);
}

static void answer_done(struct pixi_mqtt_session *o)
{
    while (!pixi_list_is_empty(&o->incoming)) {
        struct pixi_mqtt_incoming *in =
            PIXI_LIST_ITEM(o->incoming.next, struct pixi_mqtt_incoming, in_session);

        if (in->state != PIXI_MQTT_IN_DONE)
            return;
        if (o->conn && o->link_no == in->link_no)
            answer(o->conn, in);
        put_back(in);
    }
    if (o->conn)
        pixi_mqtt_read_on(o->conn);
}

static void settle(struct pixi_mqtt_incoming *in, unsigned reason)
{
    struct pixi_mqtt_session *o = in->session;

    in->reason = (uint8_t)reason;
    in->state = PIXI_MQTT_IN_DONE;
    if (in->qos == 2 && pixi_mqtt_reason_is_error(reason))
        pixi_session_refuse(&o->s, in->id);
    else if (in->qos == 2)
        pixi_session_stored(&o->s, in->id);
    answer_done(o);
}

void pixi_mqtt_published(void *ctx, struct pixi_hub_peer *peer, void *token, int err,
                         struct pixi_position pos)
{
    struct pixi_mqtt_incoming *in = token;

    (void)ctx;
    (void)peer;
    (void)pos;
    /* a number below the lowest: it was stored, and acknowledged, in another life of the server */
    settle(in, err == PIXI_E_RPC_PARAMS ? PIXI_MQTT_R_SUCCESS : pixi_mqtt_reason_of_hub(err));
}

/* --- the message ---------------------------------------------------------------------------------------------- */

static unsigned qos_flag(unsigned qos)
{
    return qos == 2 ? PIXI_MSG_QOS2 : qos == 1 ? PIXI_MSG_QOS1 : 0;
}

/* Borrows from the packet and from the server's scratch. */
static int message_of(struct pixi_conn *c, const struct pixi_mqtt_packet *p, struct pixi_now now,
                      struct pixi_msg *msg)
{
    struct pixi_buf *headers = &c->server->mqtt.headers;
    uint32_t alias = pixi_mqtt_prop_num(&p->props, PIXI_MQTT_PROP_TOPIC_ALIAS, 0);

    *msg =
        (struct pixi_msg){.topic = p->publish.topic,
                          .payload = p->publish.payload,
                          .flags = qos_flag(p->publish.qos) | (p->publish.is_retain ? PIXI_MSG_RETAIN : 0u),
                          .origin = c->mqtt->session->origin};
    if (alias) {
        int rc = pixi_mqtt_alias_take(c->mqtt, alias, &msg->topic);

        if (rc != PIXI_OK)
            return rc;
    }
    if (pixi_mqtt_prop_has(&p->props, PIXI_MQTT_PROP_MESSAGE_EXPIRY))
        msg->expires_ms = now.wall_ms + (uint64_t)SECOND_MS *
                                            pixi_mqtt_prop_num(&p->props, PIXI_MQTT_PROP_MESSAGE_EXPIRY, 0);
    pixi_buf_reset(headers);
    pixi_mqtt_headers_take(&p->props, headers);
    msg->headers = pixi_buf_cur(headers);
    return headers->err;
}

static unsigned check_payload(const struct pixi_mqtt_packet *p)
{
    struct pixi_cur payload = p->publish.payload;

    if (pixi_mqtt_prop_num(&p->props, PIXI_MQTT_PROP_PAYLOAD_FORMAT, 0) == 1 &&
        !pixi_utf8_is_valid(payload.p, pixi_cur_left(&payload)))
        return PIXI_MQTT_R_PAYLOAD_FORMAT;
    return PIXI_MQTT_R_SUCCESS;
}

/* No client's to publish to (§4.7.2), which 3.1.1 cannot tell. */
static bool is_nobodys(const struct pixi_conn *c, struct pixi_cur topic)
{
    return c->mqtt->version == PIXI_MQTT_V3 && pixi_cur_left(&topic) && *topic.p == '$';
}

/* A reason: what can be said at once. *is_over: nothing else is to be done with the message. */
static unsigned check(struct pixi_conn *c, const struct pixi_mqtt_packet *p, const struct pixi_msg *msg,
                      struct pixi_now now, bool *is_over)
{
    struct pixi_mqtt_session *o = c->mqtt->session;
    unsigned reason = check_payload(p);
    uint64_t wait;
    enum pixi_refused which;

    *is_over = true;
    if (reason)
        return reason;
    if (!pixi_conn_take_rate(c, msg, now, &wait, &which))
        return PIXI_MQTT_R_QUOTA;
    if (is_nobodys(c, msg->topic)) {
        c->server->counters.mqtt_dropped[PIXI_MQTT_DROPPED_REFUSED]++;
        return PIXI_MQTT_R_SUCCESS;
    }
    if (pixi_mqtt_is_reply(msg->topic))
        return pixi_mqtt_answer(o, msg);
    if (pixi_mqtt_prop_has(&p->props, PIXI_MQTT_PROP_RESPONSE_TOPIC) && pixi_mqtt_is_request(msg->topic))
        return pixi_mqtt_ask(o, msg, &p->props, now);
    *is_over = false;
    return PIXI_MQTT_R_SUCCESS;
}

static int hand_over(struct pixi_mqtt_session *o, struct pixi_mqtt_incoming *in, const struct pixi_msg *msg)
{
    struct pixi_server *s = o->server;
    int rc = pixi_hub_publish(&s->hub, &o->peer, msg, in, pixi_server_now(s));

    if (rc == PIXI_OK) {
        s->counters.publishes++;
        s->counters.publish_bytes += pixi_msg_size(msg);
    }
    return rc;
}

/* QoS 2 before a durable store: the record with its number first, then the message. It is copied until then. */
static int put_aside(struct pixi_mqtt_incoming *in, const struct pixi_msg *msg)
{
    size_t len = pixi_msg_size(msg);
    uint8_t *to = malloc(len ? len : 1);
    const struct pixi_cur *from[] = {&msg->topic, &msg->payload, &msg->headers};
    struct pixi_cur *copies[] = {&in->msg.topic, &in->msg.payload, &in->msg.headers};

    if (!to)
        return PIXI_E_NOMEM;
    in->bytes = to;
    in->msg = *msg;
    for (size_t i = 0; i < 3; i++) {
        len = pixi_cur_left(from[i]);
        if (len)
            memcpy(to, from[i]->p, len);
        *copies[i] = pixi_cur_init(to, len);
        to += len;
    }
    in->state = PIXI_MQTT_IN_WAITS;
    return PIXI_OK;
}

static struct pixi_mqtt_incoming *first_saved(const struct pixi_mqtt_session *o)
{
    for (struct pixi_list *l = o->incoming.next; l != &o->incoming; l = l->next)
        if (PIXI_LIST_ITEM(l, struct pixi_mqtt_incoming, in_session)->state == PIXI_MQTT_IN_SAVES)
            return PIXI_LIST_ITEM(l, struct pixi_mqtt_incoming, in_session);
    return NULL;
}

void pixi_mqtt_publish_saved(struct pixi_mqtt_session *o)
{
    struct pixi_mqtt_incoming *in;

    while (o->state == PIXI_MQTT_LIVES && (in = first_saved(o))) { /* each may end others, too */
        struct pixi_msg msg = in->msg;
        uint8_t *bytes = in->bytes;
        int rc;

        in->bytes = NULL; /* in may be over before hand_over returns */
        in->state = PIXI_MQTT_IN_STORES;
        rc = hand_over(o, in, &msg);
        if (rc != PIXI_OK)
            settle(in, pixi_mqtt_reason_of_hub(rc));
        free(bytes);
    }
}

static void add_key(struct pixi_mqtt_session *o, struct pixi_msg *msg, uint64_t seq)
{
    msg->flags |= PIXI_MSG_KEY;
    memcpy(msg->key.producer, o->producer, sizeof msg->key.producer);
    msg->key.seq = seq;
    msg->key.low = pixi_session_low(&o->s);
}

static int store(struct pixi_mqtt_session *o, struct pixi_mqtt_incoming *in, struct pixi_msg *msg,
                 uint64_t seq)
{
    int rc = pixi_permit_publish(&o->permit, msg->topic) ? PIXI_OK : PIXI_E_FORBIDDEN;

    if (rc != PIXI_OK)
        return rc;
    if (in->qos == 1 || !pixi_mqtt_is_saved(o))
        return hand_over(o, in, msg);
    add_key(o, msg, seq);
    rc = put_aside(in, msg);
    if (rc == PIXI_OK)
        pixi_mqtt_save(o);
    return rc;
}

static void publish_1_2(struct pixi_conn *c, const struct pixi_mqtt_packet *p, struct pixi_msg *msg,
                        struct pixi_now now, uint64_t seq)
{
    struct pixi_mqtt_session *o = c->mqtt->session;
    struct pixi_mqtt_incoming *in = take(o, p);
    unsigned reason;
    bool is_over;
    int rc;

    if (!in) {
        pixi_mqtt_fail(c, PIXI_E_NOMEM);
        return;
    }
    reason = check(c, p, msg, now, &is_over);
    if (is_over) {
        settle(in, reason);
        return;
    }
    rc = store(o, in, msg, seq);
    if (rc != PIXI_OK)
        settle(in, pixi_mqtt_reason_of_hub(rc));
}

static void publish_0(struct pixi_conn *c, const struct pixi_mqtt_packet *p, const struct pixi_msg *msg,
                      struct pixi_now now)
{
    struct pixi_server *s = c->server;
    bool is_over;
    unsigned reason = check(c, p, msg, now, &is_over);
    int rc = PIXI_OK;

    if (!is_over)
        rc = pixi_hub_publish(&s->hub, &c->mqtt->session->peer, msg, NULL, now);
    if (!is_over && rc == PIXI_OK) {
        s->counters.publishes++;
        s->counters.publish_bytes += pixi_msg_size(msg);
    }
    s->counters.mqtt_dropped[PIXI_MQTT_DROPPED_REFUSED] += pixi_mqtt_reason_is_error(reason) || rc != PIXI_OK;
}

/* It comes again: what answers it is due on this connection. */
static void publish_again(struct pixi_conn *c, const struct pixi_mqtt_packet *p, bool is_stored)
{
    struct pixi_mqtt_session *o = c->mqtt->session;
    struct pixi_mqtt_incoming *in;

    for (struct pixi_list *l = o->incoming.next; l != &o->incoming; l = l->next) {
        in = PIXI_LIST_ITEM(l, struct pixi_mqtt_incoming, in_session);
        if (in->qos == 2 && in->id == p->id) {
            in->link_no = o->link_no;
            return;
        }
    }
    in = is_stored ? take(o, p) : NULL;
    if (in)
        settle(in, PIXI_MQTT_R_SUCCESS);
    else
        pixi_mqtt_fail(c, PIXI_E_NOMEM);
}

static bool is_over_the_window(const struct pixi_mqtt_session *o)
{
    /* QoS 2 counts until its PUBREL was answered; what waits for the store is among both */
    size_t count = o->s.received_len;

    for (const struct pixi_list *l = o->incoming.next; l != &o->incoming; l = l->next)
        count += PIXI_LIST_ITEM(l, const struct pixi_mqtt_incoming, in_session)->qos == 1;
    return count >= o->s.most;
}

static bool is_incoming(const struct pixi_mqtt_session *o, uint16_t id)
{
    for (const struct pixi_list *l = o->incoming.next; l != &o->incoming; l = l->next) {
        const struct pixi_mqtt_incoming *in = PIXI_LIST_ITEM(l, const struct pixi_mqtt_incoming, in_session);

        if (in->qos == 2 && in->id == id)
            return true;
    }
    return false;
}

static void on_qos_2(struct pixi_conn *c, const struct pixi_mqtt_packet *p, struct pixi_msg *msg,
                     struct pixi_now now)
{
    struct pixi_mqtt_session *o = c->mqtt->session;
    bool is_stored = false;
    uint64_t seq;
    int rc = pixi_session_receive(&o->s, p->id, &seq, &is_stored);

    if (rc == PIXI_OK)
        publish_1_2(c, p, msg, now, seq);
    else if (rc == PIXI_MORE && !is_stored && !is_incoming(o, p->id))
        publish_1_2(c, p, msg, now,
                    seq); /* known from the record alone: the number tells whether it was stored */
    else if (rc == PIXI_MORE)
        publish_again(c, p, is_stored);
    else
        pixi_mqtt_fail(c, rc == PIXI_E_LIMIT ? PIXI_E_MQTT_RECEIVE_MAX : rc);
}

void pixi_mqtt_on_publish(struct pixi_conn *c, const struct pixi_mqtt_packet *p)
{
    struct pixi_mqtt_session *o = c->mqtt->session;
    struct pixi_now now = pixi_server_now(c->server);
    struct pixi_msg msg;
    int rc = message_of(c, p, now, &msg);

    if (rc == PIXI_E_LIMIT)
        rc = PIXI_E_MQTT_TOO_BIG;
    if (rc == PIXI_OK && p->publish.qos && c->mqtt->version == PIXI_MQTT_V5 && !p->publish.is_dup &&
        is_over_the_window(o))
        rc = PIXI_E_MQTT_RECEIVE_MAX;
    if (rc != PIXI_OK)
        pixi_mqtt_fail(c, rc);
    else if (p->publish.qos == 2)
        on_qos_2(c, p, &msg, now);
    else if (p->publish.qos == 1)
        publish_1_2(c, p, &msg, now, 0);
    else
        publish_0(c, p, &msg, now);
}

/* --- acknowledgements that come ------------------------------------------------------------------------------- */

static void on_pubrec(struct pixi_conn *c, const struct pixi_mqtt_packet *p)
{
    struct pixi_mqtt_session *o = c->mqtt->session;
    struct pixi_mqtt_packet rel = {.type = PIXI_MQTT_PUBREL, .id = p->id};

    if (pixi_mqtt_reason_is_error(p->reason)) {
        pixi_session_pubrec_refused(&o->s, p->id);
        pixi_mqtt_save_soon(o);
        return;
    }
    if (!pixi_session_pubrec(&o->s, p->id))
        rel.reason = PIXI_MQTT_R_ID_NOT_FOUND;
    pixi_mqtt_send_saved(o, &rel);
}

static void on_pubrel(struct pixi_conn *c, const struct pixi_mqtt_packet *p)
{
    struct pixi_mqtt_packet comp = {.type = PIXI_MQTT_PUBCOMP, .id = p->id};

    if (!pixi_session_release(&c->mqtt->session->s, p->id))
        comp.reason = PIXI_MQTT_R_ID_NOT_FOUND;
    pixi_mqtt_send_saved(c->mqtt->session, &comp);
}

void pixi_mqtt_on_ack(struct pixi_conn *c, const struct pixi_mqtt_packet *p)
{
    struct pixi_mqtt_session *o = c->mqtt->session;

    switch (p->type) {
    case PIXI_MQTT_PUBREC: on_pubrec(c, p); break;
    case PIXI_MQTT_PUBREL: on_pubrel(c, p); return;
    case PIXI_MQTT_PUBACK:
        pixi_session_puback(&o->s, p->id);
        pixi_mqtt_save_soon(o);
        break;
    default:
        pixi_session_pubcomp(&o->s, p->id);
        pixi_mqtt_save_soon(o);
        break;
    }
    if (pixi_session_is_resending(&o->s) || pixi_hub_has_owed(&o->peer))
        pixi_loop_defer(c->server->loop, &c->pump);
}
