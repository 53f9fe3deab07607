#include "client/failure_mqtt.h"
#include "client/mqtt.h"
#include "client/reach.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* PACKET_SPARE: what a packet has beside its payload: a topic, properties. */
enum { PACKET_SPARE = 131072, PINGS_IN_KEEP_ALIVE = 2 };
/* 3.1.1 has no word for how much a server takes at once; mosquitto ends connections beyond this. */
enum { RECEIVE_MAX_3 = 20 };

static struct pixi_failure_at failure_at(const struct pixi_uplink *c)
{
    return pixi_reach_at(c->settings, c->policy.server);
}

int pixi_mqtt_say(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p)
{
    pixi_buf_reset(&m->packet);
    pixi_mqtt_packet_encode(&m->packet, m->version, p);
    if (m->packet.err || !m->packet.len)
        return m->packet.err;
    return pixi_link_send(&m->client->link, PIXI_WS_BINARY, m->packet.bytes, m->packet.len);
}

/* The end of this connection, for a reason that MQTT gave. */
static void refuse(struct pixi_uplink_mqtt *m, const struct pixi_failure *f)
{
    pixi_uplink_refuse(m->client, f);
}

void pixi_mqtt_broken(struct pixi_uplink_mqtt *m, int err)
{
    struct pixi_mqtt_packet p = {.type = PIXI_MQTT_DISCONNECT, .reason = (uint8_t)pixi_mqtt_reason_for(err)};
    struct pixi_failure_at where = failure_at(m->client);
    struct pixi_failure f = pixi_failure_mqtt_broken(
        &where, err, m->reader.fault.err == err ? m->reader.fault.offset : m->reader.start);

    if (m->client->state == PIXI_UPLINK_OPEN)
        pixi_mqtt_say(m, &p);
    refuse(m, &f);
}

/* --- CONNECT ---------------------------------------------------------------------------------------------------- */

static bool is_clean(const struct pixi_uplink_mqtt *m)
{
    const struct pixi_settings *s = m->client->settings;

    if (m->version == PIXI_MQTT_V3)
        return !s->client_id || s->mqtt.clean_start; /* there a session would outlive us for ever */
    return !m->was_connected && (!s->client_id || s->mqtt.clean_start);
}

static void put_will(struct pixi_uplink_mqtt *m, struct pixi_mqtt_will *w, struct pixi_buf *props)
{
    const struct pixi_settings *s = m->client->settings;

    if (!s->mqtt.will_topic)
        return;
    w->topic = pixi_cur_str(s->mqtt.will_topic);
    w->payload = pixi_cur_str(s->mqtt.will_payload ? s->mqtt.will_payload : "");
    w->qos = (uint8_t)s->mqtt.will_qos;
    w->is_retain = s->mqtt.will_retain;
    if (s->mqtt.will_delay_s)
        pixi_mqtt_prop_put_num(props, PIXI_MQTT_PROP_WILL_DELAY, (uint32_t)s->mqtt.will_delay_s);
    w->props.block = pixi_buf_cur(props);
}

/* Nobody is told who we are but by the key; 3.1.1 wants a user name beside a password. */
static void put_key(const struct pixi_settings *s, struct pixi_mqtt_connect *c)
{
    if (s->key)
        c->password = pixi_cur_str(s->key);
    if (s->mqtt.username)
        c->user = pixi_cur_str(s->mqtt.username);
    else if (s->key)
        c->user = pixi_cur_str("pixi");
}

static uint32_t keep_alive_s(const struct pixi_settings *s)
{
    uint64_t seconds = (s->keepalive.interval_ms + 999) / 1000;

    return seconds > UINT16_MAX ? UINT16_MAX : (uint32_t)seconds;
}

static void set_keep_alive(struct pixi_uplink_mqtt *m, uint32_t seconds)
{
    m->keep_alive_ms = seconds * 1000;
    if (m->keep_alive_ms)
        pixi_loop_set_timer(m->client->loop, &m->timer, m->keep_alive_ms / PINGS_IN_KEEP_ALIVE);
    else
        pixi_loop_cancel_timer(m->client->loop, &m->timer);
}

static int say_connect(struct pixi_uplink_mqtt *m)
{
    const struct pixi_settings *s = m->client->settings;
    struct pixi_buf will = pixi_buf_init(64);
    struct pixi_mqtt_packet p = {
        .type = PIXI_MQTT_CONNECT,
        .connect = {.version = s->mqtt.version == PIXI_MQTT_V3 ? PIXI_MQTT_V3 : PIXI_MQTT_V5,
                    .is_clean = is_clean(m),
                    .keep_alive_s = (uint16_t)keep_alive_s(s),
                    .client_id = pixi_cur_str(s->client_id ? s->client_id : m->own_id)}};
    int rc;

    pixi_buf_reset(&m->props);
    pixi_mqtt_prop_put_num(&m->props, PIXI_MQTT_PROP_SESSION_EXPIRY, (uint32_t)s->mqtt.session_expiry_s);
    pixi_mqtt_prop_put_num(&m->props, PIXI_MQTT_PROP_RECEIVE_MAX, PIXI_MQTT_RECEIVE_MAX);
    pixi_mqtt_prop_put_num(&m->props, PIXI_MQTT_PROP_MAX_PACKET, m->reader.packet_max);
    p.props.block = pixi_buf_cur(&m->props);
    put_will(m, &p.connect.will, &will);
    put_key(s, &p.connect);
    rc = m->props.err ? m->props.err : will.err ? will.err : pixi_mqtt_say(m, &p);
    if (m->packet.bytes)
        explicit_bzero(m->packet.bytes, m->packet.len);
    pixi_buf_clear(&will);
    return rc;
}

static void opened(struct pixi_uplink *c)
{
    struct pixi_uplink_mqtt *m = c->mqtt;
    int rc;

    m->version = (unsigned)c->settings->mqtt.version;
    pixi_mqtt_reader_init(&m->reader, PIXI_SERVER, m->version,
                          (uint32_t)(c->settings->limits.message_bytes + PACKET_SPARE));
    pixi_loop_set_timer(c->loop, &m->timer, c->settings->timeouts.upgrade_ms);
    if ((rc = say_connect(m)) != PIXI_OK)
        pixi_link_drop(&c->link, rc);
}

/* --- what comes ------------------------------------------------------------------------------------------------- */

static uint32_t number(const struct pixi_mqtt_packet *p, enum pixi_mqtt_prop_id id, uint32_t otherwise)
{
    return pixi_mqtt_prop_num(&p->props, id, otherwise);
}

/* The server may have chosen our identifier, when it did not like the one we made up. */
static void take_id(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p)
{
    struct pixi_cur id = pixi_mqtt_prop_val(&p->props, PIXI_MQTT_PROP_ASSIGNED_CLIENT_ID);
    size_t len = pixi_cur_left(&id);

    if (!len || len >= sizeof m->own_id || m->client->settings->client_id)
        return;
    memcpy(m->own_id, id.p, len);
    m->own_id[len] = 0;
}

static void take_connack(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p)
{
    struct pixi_failure_at where = failure_at(m->client);
    struct pixi_failure f;

    if (p->reason) {
        f = pixi_failure_mqtt(PIXI_E_MQTT_REFUSED, &where, p->reason,
                              pixi_mqtt_prop_val(&p->props, PIXI_MQTT_PROP_REASON_STRING));
        refuse(m, &f);
        return;
    }
    if (pixi_mqtt_prop_has(&p->props, PIXI_MQTT_PROP_AUTH_METHOD)) {
        pixi_mqtt_broken(m, PIXI_E_MQTT_AUTH); /* [MQTT-4.12.0-6]: we named none */
        return;
    }
    m->packet_max = number(p, PIXI_MQTT_PROP_MAX_PACKET, UINT32_MAX);
    m->receive_max =
        m->version == PIXI_MQTT_V5 ? number(p, PIXI_MQTT_PROP_RECEIVE_MAX, UINT16_MAX) : RECEIVE_MAX_3;
    m->qos_max = (uint8_t)number(p, PIXI_MQTT_PROP_MAX_QOS, 2);
    m->can_retain = number(p, PIXI_MQTT_PROP_RETAIN_AVAILABLE, 1);
    m->can_number = m->version == PIXI_MQTT_V5 && number(p, PIXI_MQTT_PROP_SUBSCRIPTION_ID_AVAILABLE, 1);
    m->unanswered = 0;
    m->has_session = p->is_session_present;
    m->is_pinged = m->is_behind = false;
    set_keep_alive(m, number(p, PIXI_MQTT_PROP_SERVER_KEEP_ALIVE, keep_alive_s(m->client->settings)));
    take_id(m, p);
    if (!m->has_session)
        pixi_mqtt_forget_session(m);
    if (m->client->state != PIXI_UPLINK_OPENING)
        return; /* a call's answer closed the client */
    m->was_connected = true;
    pixi_mqtt_subscribe_replies(m);
    pixi_uplink_ready(m->client);
}

static void take_disconnect(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p)
{
    struct pixi_failure_at where = failure_at(m->client);
    struct pixi_failure f = pixi_failure_mqtt(PIXI_E_MQTT_DISCONNECTED, &where, p->reason,
                                              pixi_mqtt_prop_val(&p->props, PIXI_MQTT_PROP_REASON_STRING));

    refuse(m, &f);
}

static void take_pong(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p)
{
    (void)p;
    m->is_pinged = false;
}

/* By type; the reader lets nothing else through. */
static void (*const takers[16])(struct pixi_uplink_mqtt *, const struct pixi_mqtt_packet *) = {
    [PIXI_MQTT_CONNACK] = take_connack,
    [PIXI_MQTT_PUBLISH] = pixi_mqtt_take_publish,
    [PIXI_MQTT_PUBACK] = pixi_mqtt_take_ack,
    [PIXI_MQTT_PUBREC] = pixi_mqtt_take_ack,
    [PIXI_MQTT_PUBREL] = pixi_mqtt_take_release,
    [PIXI_MQTT_PUBCOMP] = pixi_mqtt_take_ack,
    [PIXI_MQTT_SUBACK] = pixi_mqtt_take_ack,
    [PIXI_MQTT_UNSUBACK] = pixi_mqtt_take_ack,
    [PIXI_MQTT_PINGRESP] = take_pong,
    [PIXI_MQTT_DISCONNECT] = take_disconnect,
};

static void message(struct pixi_uplink *c, uint8_t *bytes, size_t len)
{
    struct pixi_cur in = pixi_cur_init(bytes, len);
    struct pixi_mqtt_packet p;
    int rc = PIXI_OK;

    while (c->link.state == PIXI_LINK_OPEN &&
           (rc = pixi_mqtt_reader_next(&c->mqtt->reader, &in, &c->mqtt->rest, &p)) == PIXI_OK)
        takers[p.type](c->mqtt, &p);
    if (rc < 0)
        pixi_mqtt_broken(c->mqtt, rc);
    else if (pixi_mqtt_reader_is_idle(&c->mqtt->reader))
        pixi_buf_clear(&c->mqtt->rest);
}

/* --- time ------------------------------------------------------------------------------------------------------- */

static void on_due(struct pixi_timer *t)
{
    static const struct pixi_mqtt_packet ping = {.type = PIXI_MQTT_PINGREQ};
    struct pixi_uplink_mqtt *m =
        (struct pixi_uplink_mqtt *)((char *)t - offsetof(struct pixi_uplink_mqtt, timer));
    struct pixi_failure_at where = failure_at(m->client);
    struct pixi_failure f;

    if (m->client->state == PIXI_UPLINK_OPENING) {
        f = pixi_failure_mqtt_silent(&where, PIXI_E_TIMEOUT);
        refuse(m, &f);
    } else if (m->is_pinged) {
        f = pixi_failure_mqtt_silent(&where, PIXI_E_MQTT_KEEP_ALIVE);
        refuse(m, &f);
    } else if (m->client->state == PIXI_UPLINK_OPEN) {
        m->is_pinged = pixi_mqtt_say(m, &ping) == PIXI_OK;
        pixi_loop_set_timer(m->client->loop, &m->timer, m->keep_alive_ms / PINGS_IN_KEEP_ALIVE);
    }
}

static void lost(struct pixi_uplink *c)
{
    struct pixi_uplink_mqtt *m = c->mqtt;

    pixi_loop_cancel_timer(c->loop, &m->timer);
    pixi_buf_clear(&m->rest);
    pixi_mqtt_drop_held(m);
    pixi_mqtt_drop_asked(m);
}

/* A session that nobody else can come back to is not left behind. */
static void goodbye(struct pixi_uplink *c)
{
    struct pixi_uplink_mqtt *m = c->mqtt;
    struct pixi_mqtt_packet p = {.type = PIXI_MQTT_DISCONNECT};

    pixi_mqtt_acknowledge(m);
    pixi_buf_reset(&m->props);
    if (!c->settings->client_id && c->settings->mqtt.session_expiry_s)
        pixi_mqtt_prop_put_num(&m->props, PIXI_MQTT_PROP_SESSION_EXPIRY, 0);
    p.props.block = pixi_buf_cur(&m->props);
    pixi_mqtt_say(m, &p);
}

/* --- beginning and end ------------------------------------------------------------------------------------------ */

/* At most 23 letters and digits, which every server takes [MQTT-3.1.3-5]. */
static bool make_id(char out[PIXI_MQTT_OWN_ID])
{
    uint64_t random;

    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return false;
    snprintf(out, PIXI_MQTT_OWN_ID, "pixi%016llx", (unsigned long long)random);
    return true;
}

static int start(struct pixi_uplink *c)
{
    struct pixi_uplink_mqtt *m = calloc(1, sizeof *m);
    size_t most = c->settings->limits.message_bytes + PACKET_SPARE;

    if (!m || !make_id(m->own_id)) {
        free(m);
        return PIXI_E_NOMEM;
    }
    m->client = c;
    m->rest = pixi_buf_init(most);
    m->packet = pixi_buf_init(most);
    m->props = pixi_buf_init(most);
    m->headers = pixi_buf_init(most);
    m->held_end = &m->held;
    m->timer.on_due = on_due;
    c->mqtt = m;
    c->limits.message_bytes += PACKET_SPARE; /* a server may send several packets in one message */
    return PIXI_OK;
}

static void clear(struct pixi_uplink *c)
{
    struct pixi_uplink_mqtt *m = c->mqtt;

    if (!m)
        return;
    lost(c);
    pixi_buf_clear(&m->packet);
    pixi_buf_clear(&m->props);
    pixi_buf_clear(&m->headers);
    free(m);
    c->mqtt = NULL;
}

const struct pixi_dialect pixi_dialect_mqtt = {
    .protocol = "mqtt",
    .type = PIXI_WS_BINARY,
    .has_key_in_head = false,
    .start = start,
    .clear = clear,
    .opened = opened,
    .message = message,
    .lost = lost,
    .goodbye = goodbye,
    .subscribe = pixi_mqtt_subscribe,
    .unsubscribe = pixi_mqtt_unsubscribe,
    .catch_up = pixi_mqtt_catch_up,
    .publish = pixi_mqtt_publish,
    .request = pixi_mqtt_request,
    .reply = pixi_mqtt_reply,
    .send = pixi_mqtt_send_call,
};
