#include "base/topic.h"
#include "client/failure_mqtt.h"
#include "client/mqtt.h"

#include <stdlib.h>

/* --- what a message is told as ---------------------------------------------------------------------------------- */

static void put_text(struct pixi_buf *b, struct pixi_cur text)
{
    size_t len = pixi_cur_left(&text);
    uint8_t head[2] = {(uint8_t)(len >> 8), (uint8_t)len};

    pixi_buf_put(b, head, sizeof head);
    pixi_buf_put_cur(b, text);
}

void pixi_mqtt_take_headers(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_props *props)
{
    struct pixi_cur rest = props->block;
    struct pixi_mqtt_prop p;

    pixi_buf_reset(&m->headers);
    while (pixi_mqtt_prop_next(&rest, &p))
        if (p.id == PIXI_MQTT_PROP_USER) {
            put_text(&m->headers, p.name);
            put_text(&m->headers, p.val);
        }
}

static void forget(struct pixi_mqtt_asked *a)
{
    free(a->topic);
    *a = (struct pixi_mqtt_asked){0};
}

void pixi_mqtt_drop_asked(struct pixi_uplink_mqtt *m)
{
    for (size_t i = 0; i < PIXI_MQTT_ASKED; i++)
        forget(&m->asked[i]);
}

/* Keeps where and with what to answer; 0: nothing to answer, or no memory for it. */
static uint64_t note_request(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_props *props)
{
    struct pixi_cur topic = pixi_mqtt_prop_val(props, PIXI_MQTT_PROP_RESPONSE_TOPIC),
                    correlation = pixi_mqtt_prop_val(props, PIXI_MQTT_PROP_CORRELATION_DATA);
    size_t topic_len = pixi_cur_left(&topic), len = pixi_cur_left(&correlation);
    struct pixi_mqtt_asked *a = &m->asked[(m->last_asked + 1) % PIXI_MQTT_ASKED];
    char *bytes = topic.p ? malloc(topic_len + 1 + len + 1) : NULL;

    if (!bytes)
        return 0;
    memcpy(bytes, topic.p, topic_len);
    bytes[topic_len] = 0;
    if (len)
        memcpy(bytes + topic_len + 1, correlation.p, len);
    forget(a);
    *a = (struct pixi_mqtt_asked){.id = ++m->last_asked, .topic = bytes};
    if (correlation.p)
        a->correlation = pixi_cur_init(bytes + topic_len + 1, len);
    return a->id;
}

static void tell(struct pixi_uplink_mqtt *m, struct pixi_uplink_sub *s, struct pixi_rpc_params *params)
{
    struct pixi_uplink_message message = {.sub = s, .is_after_gap = s->has_gap};

    s->has_gap = false;
    params->filter = pixi_cur_str(s->filter);
    message.p = *params;
    if (m->client->handlers->on_message)
        m->client->handlers->on_message(m->client, &message);
}

static struct pixi_uplink_sub *numbered(struct pixi_uplink *c, uint32_t number)
{
    struct pixi_uplink_sub *s = c->subs;

    while (s && s->number != number)
        s = s->next;
    return s;
}

static struct pixi_uplink_sub *matching(struct pixi_uplink *c, struct pixi_cur topic)
{
    struct pixi_uplink_sub *s = c->subs;

    while (s && !pixi_filter_matches(pixi_cur_str(s->filter), topic))
        s = s->next;
    return s;
}

/* Once for each subscription that the server names; where it names none, for the first that fits. */
static void tell_all(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p,
                     struct pixi_rpc_params *params)
{
    struct pixi_cur rest = p->props.block;
    struct pixi_uplink_sub *s;
    struct pixi_mqtt_prop prop;
    bool is_named = false;

    while (pixi_mqtt_prop_next(&rest, &prop) && m->client->state == PIXI_UPLINK_OPEN) {
        if (prop.id != PIXI_MQTT_PROP_SUBSCRIPTION_ID)
            continue;
        is_named = true;
        if ((s = numbered(m->client, prop.num)))
            tell(m, s, params);
    }
    if (!is_named && (s = matching(m->client, params->topic)))
        tell(m, s, params);
}

static void deliver(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p)
{
    struct pixi_rpc_params params = {.topic = p->publish.topic,
                                     .payload = p->publish.payload,
                                     .is_json = pixi_rpc_is_json(p->publish.payload),
                                     .retained = p->publish.is_retain,
                                     .seen = PIXI_RPC_HAS_RETAINED,
                                     .time_ms = pixi_clock_wall_ms()};

    params.request = note_request(m, &p->props);
    if (params.request)
        params.seen |= PIXI_RPC_HAS_REQUEST;
    pixi_mqtt_take_headers(m, &p->props);
    params.headers = pixi_buf_cur(&m->headers);
    tell_all(m, p, &params);
}

/* --- acknowledging ---------------------------------------------------------------------------------------------- */

void pixi_mqtt_acknowledge(struct pixi_uplink_mqtt *m)
{
    const struct pixi_mqtt_packet *p = m->taking;
    struct pixi_mqtt_packet ack = {.type = PIXI_MQTT_PUBACK};

    m->taking = NULL;
    if (!p || !p->publish.qos)
        return;
    ack.type = p->publish.qos == 2 ? PIXI_MQTT_PUBREC : PIXI_MQTT_PUBACK;
    ack.id = p->id;
    pixi_mqtt_say(m, &ack);
}

/* Taken over: told, then acknowledged; of QoS 2 remembered until it is released, so that it is told once. */
static void take(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p)
{
    bool is_known = p->publish.qos == 2 && pixi_mqtt_id_is_set(m->received, p->id);

    m->taking = p;
    if (p->publish.qos == 2)
        pixi_mqtt_id_set(m->received, p->id);
    if (!is_known && pixi_cur_equals(p->publish.topic, pixi_cur_str(m->reply_topic)))
        pixi_mqtt_take_reply(m, p);
    else if (!is_known)
        deliver(m, p);
    pixi_mqtt_acknowledge(m);
}

void pixi_mqtt_take_release(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p)
{
    struct pixi_mqtt_packet done = {.type = PIXI_MQTT_PUBCOMP, .id = p->id};

    if (!pixi_mqtt_id_is_set(m->received, p->id))
        done.reason = PIXI_MQTT_R_ID_NOT_FOUND;
    pixi_mqtt_id_clear(m->received, p->id);
    pixi_mqtt_say(m, &done);
}

/* --- where there is no room ------------------------------------------------------------------------------------- */

void pixi_mqtt_drop_held(struct pixi_uplink_mqtt *m)
{
    while (m->held) {
        struct pixi_mqtt_held *h = m->held;

        m->held = h->next;
        free(h);
    }
    m->held_end = &m->held;
    m->held_bytes = 0;
}

/* What is not acknowledged comes again on the next connection. */
static void pass_over(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p)
{
    struct pixi_uplink_sub *s = matching(m->client, p->publish.topic);

    if (p->publish.qos)
        m->is_behind = true;
    else if (s)
        s->has_gap = true;
}

/* Unacknowledged messages are bounded by our Receive Maximum, which 3.1.1 does not have. */
static bool may_hold(const struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p, size_t len)
{
    return (p->publish.qos && m->version == PIXI_MQTT_V5) ||
           m->held_bytes + len <= m->client->settings->limits.queue_bytes;
}

/* Not acknowledged while it is held, so that the server stops. */
static void hold(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p)
{
    struct pixi_mqtt_held *h;

    pixi_buf_reset(&m->packet);
    pixi_mqtt_packet_encode(&m->packet, m->version, p);
    if (m->packet.err || m->is_behind || !may_hold(m, p, m->packet.len) ||
        !(h = malloc(sizeof *h + m->packet.len))) {
        pass_over(m, p);
        return;
    }
    *h = (struct pixi_mqtt_held){.len = m->packet.len};
    memcpy(h->bytes, m->packet.bytes, h->len);
    m->held_bytes += h->len;
    *m->held_end = h;
    m->held_end = &h->next;
}

void pixi_mqtt_take_publish(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p)
{
    if (pixi_mqtt_prop_has(&p->props, PIXI_MQTT_PROP_TOPIC_ALIAS))
        pixi_mqtt_broken(m, PIXI_E_MQTT_ALIAS); /* [MQTT-3.1.2-26]: we allow none */
    else if (m->held || m->is_behind || m->client->has_no_room)
        hold(m, p);
    else
        take(m, p);
}

static void take_held(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_held *h)
{
    struct pixi_cur c = pixi_cur_init(h->bytes, h->len);
    struct pixi_mqtt_head head;
    struct pixi_mqtt_packet p;

    if (pixi_mqtt_head_decode(&c, PIXI_SERVER, m->version, &head) == PIXI_OK &&
        pixi_mqtt_packet_decode(&head, c, PIXI_SERVER, m->version, &p) == PIXI_OK)
        take(m, &p);
}

void pixi_mqtt_catch_up(struct pixi_uplink *c)
{
    struct pixi_uplink_mqtt *m = c->mqtt;

    while (m && m->held && !c->has_no_room && c->state == PIXI_UPLINK_OPEN) {
        struct pixi_mqtt_held *h = m->held;

        m->held = h->next;
        if (!m->held)
            m->held_end = &m->held;
        m->held_bytes -= h->len;
        take_held(m, h);
        free(h);
    }
    if (m && m->is_behind && !m->held && !c->has_no_room && c->state == PIXI_UPLINK_OPEN) {
        struct pixi_failure f = pixi_failure_behind();

        pixi_uplink_refuse(c, &f);
    }
}
