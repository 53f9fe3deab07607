#include "base/topic.h"
#include "client/mqtt.h"
#include "proto/mqtt/varint.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { RETAIN = 0x01, DUP = 0x08, QOS_SHIFT = 1 };

static const char publish_name[] = "publish", request_name[] = "request", reply_name[] = "reply",
                  subscribe_name[] = "subscribe", unsubscribe_name[] = "unsubscribe";

/* --- packets as calls: c->frame holds one whose identifier is put in when it is sent --------------------------- */

static enum pixi_mqtt_where type_of(const struct pixi_uplink_call *call)
{
    return call->text.bytes[0] >> 4;
}

static unsigned qos_of(const struct pixi_uplink_call *call)
{
    return call->text.bytes[0] >> QOS_SHIFT & 3;
}

/* Behind the fixed header, and in a PUBLISH behind the topic. */
static size_t id_place(const struct pixi_uplink_call *call)
{
    struct pixi_cur c = pixi_buf_cur(&call->text);
    uint32_t len;
    uint64_t topic_len = 0;

    c.p++;
    pixi_mqtt_varint_decode(&c, &len);
    if (type_of(call) == PIXI_MQTT_PUBLISH && pixi_cur_uint(&c, 2, &topic_len))
        c.p += topic_len;
    return (size_t)(c.p - call->text.bytes);
}

static void put_frame(struct pixi_uplink *c, const struct pixi_mqtt_packet *p)
{
    pixi_buf_reset(&c->frame);
    pixi_mqtt_packet_encode(&c->frame, (unsigned)c->settings->mqtt.version, p);
    c->last_id++;
}

static void put_headers(struct pixi_buf *props, struct pixi_cur headers)
{
    struct pixi_cur name, value;

    while (pixi_rpc_headers_next(&headers, &name, &value))
        pixi_mqtt_prop_put_user(props, name, value);
}

/* A message, its properties in m->props. */
static void put_publish(struct pixi_uplink *c, struct pixi_cur topic, struct pixi_cur payload, unsigned qos,
                        bool is_retained)
{
    struct pixi_mqtt_packet p = {
        .type = PIXI_MQTT_PUBLISH,
        .props.block = pixi_buf_cur(&c->mqtt->props),
        .publish = {.topic = topic, .payload = payload, .qos = (uint8_t)qos, .is_retain = is_retained}};

    put_frame(c, &p);
    if (c->mqtt->props.err && c->frame.err == PIXI_OK)
        c->frame.err = c->mqtt->props.err;
}

/* --- publish, request, reply ------------------------------------------------------------------------------------ */

/* Now or not at all, and nobody will tell: QoS 0. */
static int say_once(struct pixi_uplink *c, const struct pixi_uplink_out *out)
{
    put_publish(c, pixi_cur_str(out->topic), out->payload, 0, out->is_retained);
    if (c->frame.err)
        return c->frame.err;
    return c->state == PIXI_UPLINK_OPEN
               ? pixi_link_send(&c->link, PIXI_WS_BINARY, c->frame.bytes, c->frame.len)
               : PIXI_E_WS_CLOSED;
}

int pixi_mqtt_publish(struct pixi_uplink *c, const struct pixi_uplink_out *out, uint64_t timeout_ms,
                      pixi_uplink_on_answer *on_answer, void *ctx)
{
    struct pixi_buf *props = &c->mqtt->props;
    bool is_once = c->settings->mqtt.qos == 0;

    pixi_buf_reset(props);
    if (out->has_expiry)
        pixi_mqtt_prop_put_num(props, PIXI_MQTT_PROP_MESSAGE_EXPIRY,
                               out->expiry_s > UINT32_MAX ? UINT32_MAX : (uint32_t)out->expiry_s);
    put_headers(props, out->headers);
    if (!on_answer)
        return say_once(c, out);
    put_publish(c, pixi_cur_str(out->topic), out->payload, (unsigned)c->settings->mqtt.qos, out->is_retained);
    return pixi_uplink_add_call(c, publish_name, is_once ? PIXI_UPLINK_ONCE : PIXI_UPLINK_RESEND, timeout_ms,
                                on_answer, ctx);
}

static void on_replies_subscribed(struct pixi_uplink *c, void *ctx, const struct pixi_uplink_answer *answer)
{
    struct pixi_uplink_call *call, *next;

    (void)ctx;
    if (!answer->failure || !pixi_uplink_is_refusal(c, answer->failure))
        return;
    for (call = c->calls; call; call = next) { /* without it no answer can come */
        next = call->next;
        if (call->what == request_name && !call->is_over)
            pixi_uplink_end_call_soon(call, answer->failure->err);
    }
}

void pixi_mqtt_subscribe_replies(struct pixi_uplink_mqtt *m)
{
    struct pixi_uplink *c = m->client;
    struct pixi_mqtt_filter f = {.filter = pixi_cur_str(m->reply_topic), .qos = 1};
    struct pixi_mqtt_packet p = {.type = PIXI_MQTT_SUBSCRIBE};

    if (!*m->reply_topic || m->has_session)
        return;
    pixi_buf_reset(&m->headers);
    pixi_mqtt_filter_put(&m->headers, p.type, &f);
    p.list = pixi_buf_cur(&m->headers);
    put_frame(c, &p);
    pixi_uplink_add_call(c, subscribe_name, PIXI_UPLINK_ONCE, c->settings->timeouts.request_ms,
                         on_replies_subscribed, NULL);
}

/* A topic that nobody else has. */
static int begin_replies(struct pixi_uplink *c)
{
    struct pixi_uplink_mqtt *m = c->mqtt;
    uint64_t random[2];

    if (*m->reply_topic)
        return PIXI_OK;
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return PIXI_E_NOMEM;
    snprintf(m->reply_topic, sizeof m->reply_topic, "%s/%016llx%016llx", c->settings->mqtt.reply_topic,
             (unsigned long long)random[0], (unsigned long long)random[1]);
    m->has_session = false; /* it does not know this topic yet */
    if (c->state == PIXI_UPLINK_OPEN)
        pixi_mqtt_subscribe_replies(m);
    return PIXI_OK;
}

/* By the correlation data a reply finds its call: the call's id, the only ever one with that number. */
static void put_correlation(struct pixi_buf *props, uint64_t id)
{
    uint8_t bytes[8];

    for (size_t i = sizeof bytes; i > 0; i--, id >>= 8)
        bytes[i - 1] = (uint8_t)id;
    pixi_mqtt_prop_put_val(props, PIXI_MQTT_PROP_CORRELATION_DATA, pixi_cur_init(bytes, sizeof bytes));
}

int pixi_mqtt_request(struct pixi_uplink *c, const struct pixi_uplink_out *out, uint64_t timeout_ms,
                      pixi_uplink_on_answer *on_answer, void *ctx)
{
    struct pixi_uplink_mqtt *m = c->mqtt;
    uint64_t seconds = (out->responder_ms + 999) / 1000;
    int rc = begin_replies(c);

    if (rc != PIXI_OK)
        return rc;
    pixi_buf_reset(&m->props);
    pixi_mqtt_prop_put_num(&m->props, PIXI_MQTT_PROP_MESSAGE_EXPIRY,
                           seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds);
    pixi_mqtt_prop_put_val(&m->props, PIXI_MQTT_PROP_RESPONSE_TOPIC, pixi_cur_str(m->reply_topic));
    put_correlation(&m->props, c->last_id + 1);
    put_headers(&m->props, out->headers);
    /* acknowledged at least: so the server can say that nobody is there */
    put_publish(c, pixi_cur_str(out->topic), out->payload, 1, false);
    (void)timeout_ms; /* the server keeps no time for MQTT */
    return pixi_uplink_add_call(c, request_name, PIXI_UPLINK_ONCE, out->responder_ms, on_answer, ctx);
}

static void ignore_answer(struct pixi_uplink *c, void *ctx, const struct pixi_uplink_answer *answer)
{
    (void)c;
    (void)ctx;
    (void)answer;
}

static struct pixi_mqtt_asked *find_asked(struct pixi_uplink_mqtt *m, uint64_t id)
{
    struct pixi_mqtt_asked *a = &m->asked[id % PIXI_MQTT_ASKED];

    return a->topic && a->id == id ? a : NULL;
}

/* MQTT has no word for an error: it is a reply with a mark and an error object, as pixi.v1 has them. */
static void put_error(struct pixi_uplink_mqtt *m, const char *error)
{
    struct pixi_json_out w = pixi_json_out_init(&m->headers);

    pixi_mqtt_prop_put_user(&m->props, pixi_cur_str(PIXI_MQTT_ERROR), pixi_cur_str("true"));
    pixi_rpc_put_error_value(&w, PIXI_E_RPC_ERROR, error, 0);
}

int pixi_mqtt_reply(struct pixi_uplink *c, uint64_t request, struct pixi_cur payload, const char *error)
{
    struct pixi_uplink_mqtt *m = c->mqtt;
    struct pixi_mqtt_asked *a = m ? find_asked(m, request) : NULL;
    int rc;

    if (c->state != PIXI_UPLINK_OPEN)
        return PIXI_E_WS_CLOSED;
    if (!a)
        return PIXI_OK; /* answered already, or so long ago that nobody waits */
    pixi_buf_reset(&m->props);
    pixi_buf_reset(&m->headers);
    if (a->correlation.p)
        pixi_mqtt_prop_put_val(&m->props, PIXI_MQTT_PROP_CORRELATION_DATA, a->correlation);
    if (error) {
        put_error(m, error);
        payload = pixi_buf_cur(&m->headers);
    }
    put_publish(c, pixi_cur_str(a->topic), payload, m->qos_max < 1 ? 0 : 1, false);
    rc = pixi_uplink_add_call(c, reply_name, PIXI_UPLINK_ONCE, c->settings->timeouts.request_ms,
                              ignore_answer, NULL);
    if (rc == PIXI_OK) {
        free(a->topic);
        *a = (struct pixi_mqtt_asked){0};
    }
    return rc;
}

/* --- subscriptions ---------------------------------------------------------------------------------------------- */

static void on_subscribed(struct pixi_uplink *c, void *ctx, const struct pixi_uplink_answer *answer)
{
    struct pixi_uplink_sub *s =
        pixi_uplink_sub_of(c, pixi_cur_str(ctx)); /* it may have been dropped meanwhile */
    bool is_again;

    if (!s || answer->failure) {
        if (s && pixi_uplink_is_refusal(c, answer->failure))
            pixi_uplink_drop_sub(c, s, answer->failure);
        return; /* else the connection ended: it subscribes again on the next */
    }
    is_again = s->was_subscribed;
    s->was_subscribed = true;
    s->has_gap |= is_again;
    if (c->handlers->on_subscribed)
        c->handlers->on_subscribed(c, s, is_again, false);
}

void pixi_mqtt_subscribe(struct pixi_uplink *c, struct pixi_uplink_sub *s)
{
    struct pixi_uplink_mqtt *m = c->mqtt;
    struct pixi_mqtt_filter f = {.filter = pixi_cur_str(s->filter), .qos = (uint8_t)c->settings->mqtt.qos};
    struct pixi_mqtt_packet p = {.type = PIXI_MQTT_SUBSCRIBE};

    if (m->has_session && s->was_subscribed) { /* the server goes on with it where it stood */
        if (c->handlers->on_subscribed)
            c->handlers->on_subscribed(c, s, true, true);
        return;
    }
    if (m->version == PIXI_MQTT_V5)
        f.retain_handling = s->how.wants_retained ? 0 : 2;
    pixi_buf_reset(&m->props);
    pixi_buf_reset(&m->headers);
    if (m->can_number)
        pixi_mqtt_prop_put_num(&m->props, PIXI_MQTT_PROP_SUBSCRIPTION_ID, s->number);
    pixi_mqtt_filter_put(&m->headers, p.type, &f);
    p.props.block = pixi_buf_cur(&m->props);
    p.list = pixi_buf_cur(&m->headers);
    put_frame(c, &p);
    pixi_uplink_add_call(c, subscribe_name, PIXI_UPLINK_ONCE, c->settings->timeouts.request_ms, on_subscribed,
                         s->filter);
}

int pixi_mqtt_unsubscribe(struct pixi_uplink *c, struct pixi_uplink_sub *s)
{
    struct pixi_uplink_mqtt *m = c->mqtt;
    struct pixi_mqtt_filter f = {.filter = pixi_cur_str(s->filter)};
    struct pixi_mqtt_packet p = {.type = PIXI_MQTT_UNSUBSCRIBE};

    pixi_buf_reset(&m->headers);
    pixi_mqtt_filter_put(&m->headers, p.type, &f);
    p.list = pixi_buf_cur(&m->headers);
    put_frame(c, &p);
    return pixi_uplink_add_call(c, unsubscribe_name, PIXI_UPLINK_ONCE, c->settings->timeouts.request_ms,
                                ignore_answer, NULL);
}

/* --- sending ---------------------------------------------------------------------------------------------------- */

/* One that is not under way; 0: all are. */
static uint16_t take_id(struct pixi_uplink_mqtt *m)
{
    for (unsigned tries = 0; tries < UINT16_MAX; tries++) {
        m->last_id++;
        if (m->last_id && !pixi_mqtt_id_is_set(m->flying, m->last_id)) {
            pixi_mqtt_id_set(m->flying, m->last_id);
            return m->last_id;
        }
    }
    return 0;
}

static int send_release(struct pixi_uplink_mqtt *m, uint16_t id, unsigned reason)
{
    struct pixi_mqtt_packet p = {.type = PIXI_MQTT_PUBREL, .id = id, .reason = (uint8_t)reason};

    return pixi_mqtt_say(m, &p);
}

static int send_text(struct pixi_uplink_call *call)
{
    return pixi_link_send(&call->client->link, PIXI_WS_BINARY, call->text.bytes, call->text.len);
}

static int send_with_id(struct pixi_uplink_mqtt *m, struct pixi_uplink_call *call)
{
    size_t at = id_place(call);
    int rc;

    if (!call->packet_id && !(call->packet_id = take_id(m)))
        return PIXI_MORE;
    call->text.bytes[at] = (uint8_t)(call->packet_id >> 8);
    call->text.bytes[at + 1] = (uint8_t)call->packet_id;
    if (call->was_sent && type_of(call) == PIXI_MQTT_PUBLISH)
        call->text.bytes[0] |= DUP;
    rc = send_text(call);
    call->was_sent |= rc == PIXI_OK;
    return rc;
}

static int send_publish(struct pixi_uplink_mqtt *m, struct pixi_uplink_call *call)
{
    int rc;

    if (m->version == PIXI_MQTT_V3 && call->what == request_name)
        return PIXI_E_MQTT_VERSION;
    if (qos_of(call) > m->qos_max)
        return PIXI_E_MQTT_QOS;
    if (call->text.bytes[0] & RETAIN && !m->can_retain)
        return PIXI_E_MQTT_RETAIN;
    if (qos_of(call) == 0) {
        rc = send_text(call);
        if (rc == PIXI_OK)
            pixi_uplink_end_call_soon(call, PIXI_OK); /* nobody will say more */
        return rc;
    }
    if (m->unanswered >= m->receive_max)
        return PIXI_MORE; /* [MQTT-4.9.0-2]; packets of other kinds go on [MQTT-3.3.4-8] */
    rc = call->is_received ? send_release(m, call->packet_id, 0) : send_with_id(m, call);
    m->unanswered += rc == PIXI_OK;
    return rc;
}

int pixi_mqtt_send_call(struct pixi_uplink_call *call)
{
    struct pixi_uplink_mqtt *m = call->client->mqtt;

    if (call->text.len > m->packet_max)
        return PIXI_E_WS_TOO_BIG;
    return type_of(call) == PIXI_MQTT_PUBLISH ? send_publish(m, call) : send_with_id(m, call);
}

void pixi_mqtt_forget_session(struct pixi_uplink_mqtt *m)
{
    struct pixi_uplink_call *call, *next;

    memset(m->flying, 0, sizeof m->flying);
    memset(m->received, 0, sizeof m->received);
    for (call = m->client->calls; call; call = next) {
        next = call->next;
        if (call->is_over || !call->packet_id)
            continue;
        if (call->is_received) /* the server has it: the rest was only to let it forget the identifier */
            pixi_uplink_end_call_soon(call, PIXI_OK);
        else if (call->was_sent && qos_of(call) == 2)
            pixi_uplink_end_call_soon(call, PIXI_E_MQTT_IN_DOUBT);
        call->packet_id = 0;
        call->was_sent = false;
        call->text.bytes[0] &= (uint8_t) ~(type_of(call) == PIXI_MQTT_PUBLISH ? DUP : 0);
    }
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

static struct pixi_uplink_call *find_call(const struct pixi_uplink *c, uint16_t id)
{
    struct pixi_uplink_call *call = c->calls;

    while (call && (call->packet_id != id || call->is_over))
        call = call->next;
    return call;
}

static int err_of(unsigned reason)
{
    static const struct {
        uint8_t reason;
        int err;
    } rows[] = {
        {PIXI_MQTT_R_NO_SUBSCRIBERS, PIXI_E_NO_RESPONDER},
        {PIXI_MQTT_R_NOT_AUTHORIZED, PIXI_E_FORBIDDEN},
        {PIXI_MQTT_R_FILTER, PIXI_E_TOPIC},
        {PIXI_MQTT_R_TOPIC, PIXI_E_TOPIC},
        {PIXI_MQTT_R_TOO_LARGE, PIXI_E_WS_TOO_BIG},
        {PIXI_MQTT_R_QUOTA, PIXI_E_STORAGE},
        {PIXI_MQTT_R_RATE, PIXI_E_RATE},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].reason == reason)
            return rows[i].err;
    return PIXI_E_RPC_ERROR;
}

static void fail(struct pixi_uplink_call *call, unsigned reason, const struct pixi_mqtt_props *props)
{
    struct pixi_cur text = pixi_mqtt_prop_val(props, PIXI_MQTT_PROP_REASON_STRING);
    int err = err_of(reason);
    struct pixi_failure f;

    if (text.p == text.end && err == PIXI_E_RPC_ERROR)
        text = pixi_cur_str(pixi_mqtt_reason_text(reason));
    f = pixi_failure_call(err, call->what, text);
    pixi_uplink_fail_call(call, &f);
}

static void end(struct pixi_uplink_call *call, unsigned reason, const struct pixi_mqtt_packet *p)
{
    static const struct pixi_rpc_params nothing = {0};
    struct pixi_uplink_answer well = {.p = &nothing};
    bool is_request = call->what == request_name;

    call->packet_id = 0;
    if (pixi_mqtt_reason_is_error(reason) || (is_request && reason == PIXI_MQTT_R_NO_SUBSCRIBERS))
        fail(call, reason, &p->props);
    else if (!is_request)
        pixi_uplink_end_call(call, &well);
    /* else the reply is waited for */
}

/* A request waits for nobody: what it asked for has been said, or never will be. */
static void take_received(struct pixi_uplink_mqtt *m, struct pixi_uplink_call *call,
                          const struct pixi_mqtt_packet *p)
{
    bool is_known = pixi_mqtt_id_is_set(m->flying, p->id);

    if (call)
        call->is_received = true;
    send_release(m, p->id, is_known ? PIXI_MQTT_R_SUCCESS : PIXI_MQTT_R_ID_NOT_FOUND);
}

/* One code for one filter [MQTT-3.8.4-6]; in 3.1.1 an UNSUBACK has none. */
static bool has_right_count(const struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p)
{
    bool has_list =
        p->type == PIXI_MQTT_SUBACK || (p->type == PIXI_MQTT_UNSUBACK && m->version == PIXI_MQTT_V5);

    return !has_list || pixi_cur_left(&p->list) == 1;
}

static unsigned outcome(const struct pixi_mqtt_packet *p)
{
    bool has_list = p->type == PIXI_MQTT_SUBACK || p->type == PIXI_MQTT_UNSUBACK;

    if (p->type == PIXI_MQTT_PUBCOMP)
        return PIXI_MQTT_R_SUCCESS; /* it has the message since its PUBREC; 0x92 is no error after a cut (§3.7.2.1) */
    return !has_list ? p->reason : p->list.p != p->list.end ? *p->list.p : PIXI_MQTT_R_SUCCESS;
}

void pixi_mqtt_take_ack(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p)
{
    struct pixi_uplink *c = m->client;
    struct pixi_uplink_call *call = find_call(c, p->id);

    if (p->type == PIXI_MQTT_PUBREC && !pixi_mqtt_reason_is_error(p->reason)) {
        take_received(m, call, p);
        return;
    }
    if (!pixi_mqtt_id_is_set(m->flying, p->id) || !has_right_count(m, p)) {
        if (p->type != PIXI_MQTT_PUBREC)
            pixi_mqtt_broken(m, PIXI_E_MQTT_ACK);
        return;
    }
    pixi_mqtt_id_clear(m->flying, p->id);
    if (p->type < PIXI_MQTT_SUBSCRIBE && m->unanswered)
        m->unanswered--;
    if (call)
        end(call, outcome(p), p);
    if (c->is_held)
        pixi_uplink_resume_calls(c);
}

static struct pixi_uplink_call *find_request(struct pixi_uplink *c, struct pixi_cur correlation)
{
    struct pixi_uplink_call *call = c->calls;
    uint64_t id;

    if (pixi_cur_left(&correlation) != 8 || !pixi_cur_uint(&correlation, 8, &id))
        return NULL;
    while (call && (call->id != id || call->what != request_name || call->is_over))
        call = call->next;
    return call;
}

static bool is_error(const struct pixi_mqtt_props *props)
{
    struct pixi_cur rest = props->block;
    struct pixi_mqtt_prop p;

    while (pixi_mqtt_prop_next(&rest, &p))
        if (p.id == PIXI_MQTT_PROP_USER && pixi_cur_equals(p.name, pixi_cur_str(PIXI_MQTT_ERROR)))
            return true;
    return false;
}

void pixi_mqtt_take_reply(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p)
{
    struct pixi_cur correlation = pixi_mqtt_prop_val(&p->props, PIXI_MQTT_PROP_CORRELATION_DATA);
    struct pixi_uplink_call *call = find_request(m->client, correlation);
    struct pixi_rpc_params params = {.topic = p->publish.topic, .payload = p->publish.payload};
    struct pixi_uplink_answer answer = {.p = &params};
    struct pixi_failure f;

    if (!call)
        return; /* its time was over */
    if (is_error(&p->props)) {
        f = pixi_uplink_error(p->publish.payload, call->what);
        answer = (struct pixi_uplink_answer){.failure = &f};
    }
    pixi_mqtt_take_headers(m, &p->props);
    params.headers = pixi_buf_cur(&m->headers);
    params.is_json = pixi_rpc_is_json(params.payload);
    pixi_uplink_end_call(call, &answer);
}
