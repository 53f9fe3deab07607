/* mqtt_conn.c -- one connection that speaks MQTT: bytes in, packets to their handlers, and its beginning and end.
 * MQTT 5 §3.1, §3.2, §3.14, §4.12, §4.13. */
#include "base/base64.h"
#include "base/log.h"
#include "server/mqtt.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/random.h>

enum { SECOND_MS = 1000, RANDOM_ID = 16, BACKLOG_MAX = 16 << 20 };

/* --- saying ---------------------------------------------------------------------------------------------------- */

/* false: it is larger than the client takes (§3.1.2.11.4). */
static bool encode(struct pixi_conn *c, const struct pixi_mqtt_packet *p)
{
    struct pixi_buf *b = &c->server->mqtt.scratch;

    pixi_buf_reset(b);
    pixi_mqtt_packet_encode(b, c->mqtt->version, p);
    return !c->mqtt->packet_max || b->len <= c->mqtt->packet_max;
}

const struct pixi_buf *pixi_mqtt_encode(struct pixi_conn *c, const struct pixi_mqtt_packet *p)
{
    struct pixi_mqtt_packet bare = *p;

    bare.props = (struct pixi_mqtt_props){0};
    if (!encode(c, p) && !encode(c, &bare))
        pixi_buf_reset(&c->server->mqtt.scratch);
    return &c->server->mqtt.scratch;
}

void pixi_mqtt_send(struct pixi_conn *c, const struct pixi_mqtt_packet *p)
{
    const struct pixi_buf *b = pixi_mqtt_encode(c, p);
    int rc;

    if (!b->len && !b->err)
        return;
    rc = b->err ? b->err : pixi_link_send(&c->link, PIXI_WS_BINARY, b->bytes, b->len);
    if (rc == PIXI_OK)
        c->server->counters.mqtt_out[p->type]++;
    else if (rc == PIXI_E_QUEUE && p->type != PIXI_MQTT_DISCONNECT) /* that was the attempt to say so */
        pixi_conn_close_slow(c);
    else if (rc != PIXI_E_QUEUE && rc != PIXI_E_WS_CLOSED)
        pixi_link_fail(&c->link, rc);
}

static void put_reason(struct pixi_buf *b, const char *text)
{
    pixi_mqtt_prop_put_val(b, PIXI_MQTT_PROP_REASON_STRING, pixi_cur_str(text));
}

void pixi_mqtt_ack(struct pixi_conn *c, enum pixi_mqtt_where type, uint16_t id, unsigned reason,
                   const char *detail)
{
    struct pixi_mqtt_packet p = {.type = type, .id = id, .reason = (uint8_t)reason};
    struct pixi_buf b = pixi_buf_init(1024);

    if (pixi_mqtt_reason_is_error(reason) && c->mqtt->wants_problems && c->mqtt->version == PIXI_MQTT_V5) {
        put_reason(&b, detail ? detail : pixi_mqtt_reason_text(reason));
        p.props.block = pixi_buf_cur(&b);
    }
    pixi_mqtt_send(c, &p);
    pixi_buf_clear(&b);
}

void pixi_mqtt_disconnect(struct pixi_conn *c, unsigned reason, uint16_t code, const char *why)
{
    if (c->link.state == PIXI_LINK_OPEN && c->mqtt->is_connected && c->mqtt->version == PIXI_MQTT_V5) {
        struct pixi_mqtt_packet p = {.type = PIXI_MQTT_DISCONNECT, .reason = (uint8_t)reason};
        struct pixi_buf b = pixi_buf_init(1024);

        put_reason(&b, why); /* in a DISCONNECT always allowed (§3.1.2.11.7) */
        p.props.block = pixi_buf_cur(&b);
        pixi_mqtt_send(c, &p);
        pixi_buf_clear(&b);
    }
    pixi_link_close(&c->link, code, why);
}

static void send_connack(struct pixi_conn *c, unsigned reason, const char *why)
{
    struct pixi_mqtt_packet p = {.type = PIXI_MQTT_CONNACK, .reason = (uint8_t)reason};
    struct pixi_buf b = pixi_buf_init(1024);

    if (!c->mqtt->version)
        return; /* in no version that it would understand */
    if (c->mqtt->version == PIXI_MQTT_V5)
        put_reason(&b, why);
    p.props.block = pixi_buf_cur(&b);
    pixi_mqtt_send(c, &p);
    pixi_buf_clear(&b);
}

void pixi_mqtt_fail(struct pixi_conn *c, int err)
{
    unsigned reason = pixi_mqtt_reason_for(err);

    if (c->link.state == PIXI_LINK_OPEN && c->mqtt->is_connected && c->mqtt->version == PIXI_MQTT_V5)
        pixi_mqtt_ack(c, PIXI_MQTT_DISCONNECT, 0, reason, pixi_err_text(err));
    else if (c->link.state == PIXI_LINK_OPEN && !c->mqtt->session)
        send_connack(c, reason, pixi_err_text(err));
    pixi_link_fail(&c->link, err);
}

/* --- CONNECT --------------------------------------------------------------------------------------------------- */

struct refusal {
    unsigned reason;
    uint16_t code;
    enum pixi_refused counted;
    const char *why;
};

static const struct refusal bad_method = {PIXI_MQTT_R_BAD_AUTH_METHOD, PIXI_WS_CLOSE_UNAUTHORIZED,
                                          PIXI_REFUSED_KEY, "enhanced authentication is not supported"};
static const struct refusal no_key = {PIXI_MQTT_R_NOT_AUTHORIZED, PIXI_WS_CLOSE_UNAUTHORIZED,
                                      PIXI_REFUSED_KEY, "an API key is needed as the password"};
static const struct refusal bad_key = {PIXI_MQTT_R_BAD_USER, PIXI_WS_CLOSE_UNAUTHORIZED, PIXI_REFUSED_KEY,
                                       "the API key in the password is not known here"};
static const struct refusal two_keys = {PIXI_MQTT_R_BAD_USER, PIXI_WS_CLOSE_UNAUTHORIZED, PIXI_REFUSED_KEY,
                                        "two API keys that differ: in the request and in the password"};
static const struct refusal bad_id = {PIXI_MQTT_R_CLIENT_ID, PIXI_WS_CLOSE_POLICY, PIXI_REFUSED_CLIENT_ID,
                                      "a client identifier is 128 bytes at most"};
static const struct refusal bad_will = {PIXI_MQTT_R_NOT_AUTHORIZED, PIXI_WS_CLOSE_FORBIDDEN,
                                        PIXI_REFUSED_PUBLISH, "the API key may not publish the will"};
static const struct refusal too_many = {PIXI_MQTT_R_QUOTA, PIXI_WS_CLOSE_LATER, PIXI_REFUSED_SESSIONS,
                                        "too many sessions"};
static const struct refusal no_memory = {PIXI_MQTT_R_BUSY, PIXI_WS_CLOSE_INTERNAL, PIXI_REFUSED_MEMORY,
                                         "out of memory"};
static const struct refusal large_will = {PIXI_MQTT_R_TOO_LARGE, PIXI_WS_CLOSE_TOO_BIG,
                                          PIXI_REFUSED_MESSAGE_BYTES, "the will is too large"};

static void refuse(struct pixi_conn *c, const struct refusal *r)
{
    pixi_server_count_refused(c->server, r->counted, c->from, "CONNECT: %s (0x%02x)", r->why, r->reason);
    send_connack(c, r->reason, r->why);
    pixi_link_close(&c->link, r->code, r->why);
}

static const struct refusal *authenticate(struct pixi_conn *c, const struct pixi_mqtt_packet *p)
{
    const struct pixi_mqtt_connect *in = &p->connect;
    const struct pixi_key *key = c->key;

    if (pixi_mqtt_prop_has(&p->props, PIXI_MQTT_PROP_AUTH_METHOD))
        return &bad_method;
    if (!in->password.p)
        return key ? NULL : &no_key;
    key = pixi_keys_lookup(c->server->keys, in->password);
    if (!key)
        return &bad_key;
    if (c->key && c->key != key)
        return &two_keys;
    pixi_conn_take_key(c, key);
    return NULL;
}

/* What a CONNECT asks for, as it is granted. */
struct wish {
    struct pixi_cur id;
    char made_up[32];
    uint32_t expiry_s, asked_expiry_s, window, keep_alive_s;
    struct pixi_mqtt_last_will *will; /* owned until it is the session's */
};

static bool make_up_id(struct wish *w)
{
    uint8_t random[RANDOM_ID];

    if (getrandom(random, sizeof random, 0) != sizeof random)
        return false;
    memcpy(w->made_up, "pixi-", 5);
    w->id = pixi_cur_init(w->made_up,
                          5 + pixi_base64_encode(PIXI_BASE64_URL, random, sizeof random, w->made_up + 5));
    return true;
}

static uint32_t grant_expiry(const struct pixi_server *s, const struct pixi_mqtt_packet *p, uint32_t *asked)
{
    uint64_t most = s->settings->limits.session_expiry_s;

    if (p->connect.version == PIXI_MQTT_V3)
        *asked = p->connect.is_clean ? 0 : UINT32_MAX;
    else
        *asked = pixi_mqtt_prop_num(&p->props, PIXI_MQTT_PROP_SESSION_EXPIRY, 0);
    return most && *asked > most ? (uint32_t)most : *asked;
}

/* MQTT 3.1.1 has no way to tell the client another time. */
static uint32_t grant_keep_alive(const struct pixi_server *s, const struct pixi_mqtt_connect *in)
{
    uint64_t most = s->settings->keepalive.mqtt_max_s;

    if (in->version == PIXI_MQTT_V3 || !most || (in->keep_alive_s && in->keep_alive_s <= most))
        return in->keep_alive_s;
    return (uint32_t)most;
}

static const struct refusal *take_will(struct pixi_conn *c, const struct pixi_mqtt_connect *in,
                                       struct wish *w)
{
    const struct pixi_mqtt_will *from = &in->will;
    struct pixi_buf *headers = &c->server->mqtt.headers;
    struct pixi_mqtt_last_will will = {
        .topic = from->topic, .payload = from->payload, .is_retain = from->is_retain, .qos = from->qos};

    if (!from->topic.p)
        return NULL;
    if (!pixi_permit_publish(&c->permit, from->topic))
        return &bad_will;
    pixi_buf_reset(headers);
    pixi_mqtt_headers_take(&from->props, headers);
    if (headers->err)
        return &large_will;
    will.headers = pixi_buf_cur(headers);
    will.delay_s = pixi_mqtt_prop_num(&from->props, PIXI_MQTT_PROP_WILL_DELAY, 0);
    will.has_expiry = pixi_mqtt_prop_has(&from->props, PIXI_MQTT_PROP_MESSAGE_EXPIRY);
    will.expiry_s = pixi_mqtt_prop_num(&from->props, PIXI_MQTT_PROP_MESSAGE_EXPIRY, 0);
    if (pixi_cur_left(&will.topic) + pixi_cur_left(&will.headers) + pixi_cur_left(&will.payload) >
        PIXI_RECORD_MAX - 64)
        return &large_will;
    w->will = pixi_mqtt_will_copy(&will);
    return w->will ? NULL : &no_memory;
}

/* What can be refused, and what is granted. */
static const struct refusal *examine(struct pixi_conn *c, const struct pixi_mqtt_packet *p, struct wish *w)
{
    const struct pixi_mqtt_connect *in = &p->connect;
    const struct refusal *r = authenticate(c, p);
    uint32_t most = (uint32_t)c->server->settings->limits.inflight;

    if (r)
        return r;
    w->id = in->client_id;
    if (pixi_cur_left(&w->id) > PIXI_MQTT_CLIENT_ID_MAX)
        return &bad_id;
    if (w->id.p == w->id.end && !make_up_id(w))
        return &no_memory;
    w->expiry_s = grant_expiry(c->server, p, &w->asked_expiry_s);
    w->keep_alive_s = grant_keep_alive(c->server, in);
    w->window = pixi_mqtt_prop_num(&p->props, PIXI_MQTT_PROP_RECEIVE_MAX, UINT16_MAX);
    if (w->window > most)
        w->window = most;
    return take_will(c, in, w);
}

/* The client that has the session is told that another one does now. */
static void take_over(struct pixi_mqtt_session *o)
{
    struct pixi_conn *other = o->conn;

    if (!other)
        return;
    pixi_log(PIXI_LOG_INFO, "%s: its session is taken over", other->from);
    pixi_mqtt_disconnect(other, PIXI_MQTT_R_TAKEN_OVER, PIXI_WS_CLOSE_DONE, "session taken over");
    pixi_mqtt_session_detach(o);
}

/* The session to go on with; NULL: there is none, or it may not be gone on with. */
static struct pixi_mqtt_session *resume(struct pixi_conn *c, const struct pixi_mqtt_connect *in,
                                        const struct wish *w)
{
    struct pixi_mqtt_session *o = pixi_mqtt_session_find(c->server, c->key->hash, w->id);

    if (!o)
        return NULL;
    take_over(o);
    o = pixi_mqtt_session_find(c->server, c->key->hash,
                               w->id); /* one that ends with its connection has gone */
    if (!o)
        return NULL;
    if (!in->is_clean && o->state == PIXI_MQTT_LIVES && o->expiry_s &&
        pixi_hub_is_whole(&c->server->hub, &o->peer))
        return o;
    pixi_mqtt_session_end(o, PIXI_MQTT_WITH_WILL);
    return NULL;
}

static void put_granted(struct pixi_conn *c, const struct pixi_mqtt_packet *in, const struct wish *w,
                        struct pixi_buf *b)
{
    const struct pixi_server_settings *set = c->server->settings;

    if (w->expiry_s != w->asked_expiry_s)
        pixi_mqtt_prop_put_num(b, PIXI_MQTT_PROP_SESSION_EXPIRY, w->expiry_s);
    pixi_mqtt_prop_put_num(b, PIXI_MQTT_PROP_RECEIVE_MAX, (uint32_t)set->limits.inflight);
    pixi_mqtt_prop_put_num(b, PIXI_MQTT_PROP_MAX_PACKET, c->mqtt->reader.packet_max);
    if (w->id.p == (const uint8_t *)w->made_up)
        pixi_mqtt_prop_put_val(b, PIXI_MQTT_PROP_ASSIGNED_CLIENT_ID, w->id);
    if (set->limits.topic_aliases)
        pixi_mqtt_prop_put_num(b, PIXI_MQTT_PROP_TOPIC_ALIAS_MAX, (uint32_t)set->limits.topic_aliases);
    if (w->keep_alive_s != in->connect.keep_alive_s)
        pixi_mqtt_prop_put_num(b, PIXI_MQTT_PROP_SERVER_KEEP_ALIVE, w->keep_alive_s);
}

static void welcome(struct pixi_conn *c, const struct pixi_mqtt_packet *in, const struct wish *w,
                    bool is_present)
{
    struct pixi_mqtt_session *o = c->mqtt->session;
    struct pixi_mqtt_packet p = {.type = PIXI_MQTT_CONNACK, .is_session_present = is_present};
    struct pixi_buf b = pixi_buf_init(1024);
    bool is_kept = pixi_mqtt_is_saved(o), is_putting = !is_kept && o->puts;

    if (c->mqtt->version == PIXI_MQTT_V5)
        put_granted(c, in, w, &b);
    p.props.block = pixi_buf_cur(&b);
    if (is_putting)
        pixi_mqtt_send_put(o, &p);
    else
        pixi_mqtt_send_saved(o, &p);
    pixi_buf_clear(&b);
    if (is_kept || is_putting)
        return; /* connected when it is said */
    c->mqtt->is_connected = true;
    pixi_loop_defer(c->server->loop, &c->pump);
}

static void settle(struct pixi_conn *c, const struct pixi_mqtt_packet *p, struct pixi_mqtt_session *o,
                   const struct wish *w)
{
    struct pixi_mqtt *m = c->mqtt;
    uint32_t aliases = pixi_mqtt_prop_num(&p->props, PIXI_MQTT_PROP_TOPIC_ALIAS_MAX, 0);

    pixi_mqtt_session_set_key(o, c->key); /* as it is now */
    pixi_mqtt_session_drop_will(o);       /* a session gone on with: its delayed will is not sent */
    o->will = w->will;
    if (o->will)
        pixi_mqtt_save_will(o);
    o->expiry_s = w->expiry_s;
    m->keep_alive_ms = w->keep_alive_s * SECOND_MS + w->keep_alive_s * SECOND_MS / 2;
    m->wants_problems = pixi_mqtt_prop_num(&p->props, PIXI_MQTT_PROP_REQUEST_PROBLEM_INFO, 1);
    m->alias_out_max = (uint16_t)(aliases < PIXI_MQTT_ALIASES_OUT ? aliases : PIXI_MQTT_ALIASES_OUT);
    m->alias_in_max = (uint32_t)c->server->settings->limits.topic_aliases;
    m->reader.packet_max = (uint32_t)c->server->limits.message_bytes;
    m->rest.max = m->reader.packet_max;
    pixi_conn_set_rank(c, PIXI_CONN_MEMBER);
    pixi_mqtt_session_attach(o, c, w->window);
}

static void on_connect(struct pixi_conn *c, const struct pixi_mqtt_packet *p)
{
    struct pixi_server *s = c->server;
    struct wish w = {.will = NULL};
    struct pixi_mqtt_session *o = NULL;
    const struct refusal *r;
    bool is_present;

    c->mqtt->version = p->connect.version;
    c->mqtt->packet_max = pixi_mqtt_prop_num(&p->props, PIXI_MQTT_PROP_MAX_PACKET, 0);
    r = examine(c, p, &w);
    if (!r)
        o = resume(c, &p->connect, &w);
    is_present = o;
    if (!r && !o && s->mqtt.session_count >= s->settings->limits.sessions)
        r = &too_many;
    if (!r && !o && !(o = pixi_mqtt_session_new(s, c->key->hash, c->key, w.id)))
        r = &no_memory;
    if (r) {
        free(w.will);
        refuse(c, r);
        return;
    }
    settle(c, p, o, &w);
    pixi_loop_cancel_timer(s->loop, &c->mqtt->timer);
    if (c->mqtt->keep_alive_ms)
        pixi_loop_set_timer(s->loop, &c->mqtt->timer, c->mqtt->keep_alive_ms);
    welcome(c, p, &w, is_present);
    pixi_log(PIXI_LOG_DEBUG, "%s: connected as %s in MQTT %s", c->from, c->key->name,
             p->connect.version == PIXI_MQTT_V5 ? "5.0" : "3.1.1");
}

/* --- the other packets ----------------------------------------------------------------------------------------- */

static void on_ping(struct pixi_conn *c, const struct pixi_mqtt_packet *p)
{
    struct pixi_mqtt_packet answer = {.type = PIXI_MQTT_PINGRESP};

    (void)p;
    pixi_mqtt_send(c, &answer);
}

static void on_disconnect(struct pixi_conn *c, const struct pixi_mqtt_packet *p)
{
    struct pixi_mqtt_session *o = c->mqtt->session;
    bool has_expiry = pixi_mqtt_prop_has(&p->props, PIXI_MQTT_PROP_SESSION_EXPIRY);
    uint32_t expiry_s = pixi_mqtt_prop_num(&p->props, PIXI_MQTT_PROP_SESSION_EXPIRY, 0);
    uint64_t most = c->server->settings->limits.session_expiry_s;

    if (has_expiry && expiry_s && !o->expiry_s) {
        pixi_mqtt_fail(c, PIXI_E_MQTT_EXPIRY);
        return;
    }
    if (has_expiry)
        o->expiry_s = most && expiry_s > most ? (uint32_t)most : expiry_s;
    if (p->reason == PIXI_MQTT_R_SUCCESS)
        pixi_mqtt_session_drop_will(o);
    pixi_mqtt_session_detach(o);
    pixi_link_close(&c->link, PIXI_WS_CLOSE_DONE, "");
}

static void on_auth(struct pixi_conn *c, const struct pixi_mqtt_packet *p)
{
    (void)p;
    pixi_mqtt_fail(c, PIXI_E_MQTT_AUTH); /* no method was agreed */
}

static void (*const handlers[16])(struct pixi_conn *c, const struct pixi_mqtt_packet *p) = {
    [PIXI_MQTT_CONNECT] = on_connect,
    [PIXI_MQTT_PUBLISH] = pixi_mqtt_on_publish,
    [PIXI_MQTT_PUBACK] = pixi_mqtt_on_ack,
    [PIXI_MQTT_PUBREC] = pixi_mqtt_on_ack,
    [PIXI_MQTT_PUBREL] = pixi_mqtt_on_ack,
    [PIXI_MQTT_PUBCOMP] = pixi_mqtt_on_ack,
    [PIXI_MQTT_SUBSCRIBE] = pixi_mqtt_on_subscribe,
    [PIXI_MQTT_UNSUBSCRIBE] = pixi_mqtt_on_unsubscribe,
    [PIXI_MQTT_PINGREQ] = on_ping,
    [PIXI_MQTT_DISCONNECT] = on_disconnect,
    [PIXI_MQTT_AUTH] = on_auth,
};

/* --- bytes ----------------------------------------------------------------------------------------------------- */

/* MQTT 3.1.1 cannot tell a client how many publishes may be under way: it is read no further until some were stored. */
static bool is_to_stop(const struct pixi_mqtt *m)
{
    return m->session && m->session->incoming_count >= m->session->s.most;
}

static void stop(struct pixi_conn *c, struct pixi_cur rest)
{
    struct pixi_mqtt *m = c->mqtt;

    m->is_stopped = true;
    m->backlog = pixi_loop_borrow(c->server->loop, BACKLOG_MAX);
    pixi_buf_put_cur(&m->backlog, rest);
    pixi_tcp_pause(&c->link.tcp);
    if (m->backlog.err)
        pixi_mqtt_fail(c, m->backlog.err);
}

static void handle(struct pixi_conn *c, const struct pixi_mqtt_packet *p)
{
    struct pixi_server *s = c->server;

    c->mqtt->heard_ms = c->active_ms = s->loop->now_ms;
    s->counters.mqtt_in[p->type]++;
    s->counters.messages_in++;
    handlers[p->type](c, p);
}

static void read_packets(struct pixi_conn *c, struct pixi_cur in)
{
    struct pixi_mqtt *m = c->mqtt;
    struct pixi_mqtt_packet p;
    int rc = PIXI_OK;

    if (!m->rest.cap)
        m->rest = pixi_loop_borrow(c->server->loop, m->reader.packet_max);
    while (c->link.state == PIXI_LINK_OPEN && !is_to_stop(m) &&
           (rc = pixi_mqtt_reader_next(&m->reader, &in, &m->rest, &p)) == PIXI_OK) {
        handle(c, &p);
        if (!c->mqtt->session)
            break; /* refused, or gone */
    }
    if (rc < 0) {
        m->version = m->version ? m->version : m->reader.version;
        pixi_mqtt_fail(c, rc);
    } else if (c->link.state == PIXI_LINK_OPEN && is_to_stop(m)) {
        stop(c, in);
    }
    if (pixi_mqtt_reader_is_idle(&m->reader)) {
        pixi_loop_give_back(c->server->loop, &m->rest);
        m->begun_ms = 0;
    } else if (!m->begun_ms) {
        m->begun_ms = c->server->loop->now_ms;
    }
}

void pixi_mqtt_on_bytes(struct pixi_conn *c, uint8_t *bytes, size_t len)
{
    struct pixi_mqtt *m = c->mqtt;

    if (m->is_stopped) { /* what was under way when reading was paused */
        pixi_buf_put(&m->backlog, bytes, len);
        if (m->backlog.err)
            pixi_mqtt_fail(c, m->backlog.err);
        return;
    }
    read_packets(c, pixi_cur_init(bytes, len));
}

/* Called while the hub or the store calls: goes on in the pump's turn. */
void pixi_mqtt_read_on(struct pixi_conn *c)
{
    if (c->mqtt->is_stopped && !is_to_stop(c->mqtt))
        pixi_loop_defer(c->server->loop, &c->pump);
}

void pixi_mqtt_read_backlog(struct pixi_conn *c)
{
    struct pixi_mqtt *m = c->mqtt;
    struct pixi_buf was = m->backlog;

    if (!m->is_stopped || is_to_stop(m) || c->link.state != PIXI_LINK_OPEN)
        return;
    m->is_stopped = false;
    m->backlog = pixi_buf_init(0);
    pixi_tcp_resume(&c->link.tcp);
    read_packets(c, pixi_buf_cur(&was));
    pixi_loop_give_back(c->server->loop, &was);
}

/* --- beginning and end ----------------------------------------------------------------------------------------- */

static void on_due(struct pixi_timer *t)
{
    struct pixi_mqtt *m = PIXI_LIST_ITEM(t, struct pixi_mqtt, timer);
    struct pixi_conn *c = m->conn;
    struct pixi_loop *loop = c->server->loop;

    if (c->link.state != PIXI_LINK_OPEN)
        return;
    if (!m->session) {
        pixi_server_count_refused(c->server, PIXI_REFUSED_HANDSHAKE_MS, c->from,
                                  "no CONNECT within %u ms; closing", c->server->limits.handshake_ms);
        pixi_link_close(&c->link, PIXI_WS_CLOSE_TIMEOUT, "no CONNECT came");
    } else if (loop->now_ms - m->heard_ms < m->keep_alive_ms) {
        pixi_loop_set_timer(loop, t, m->keep_alive_ms - (loop->now_ms - m->heard_ms));
    } else {
        pixi_mqtt_fail(c, PIXI_E_MQTT_KEEP_ALIVE);
    }
}

bool pixi_mqtt_open(struct pixi_conn *c)
{
    struct pixi_mqtt *m = calloc(1, sizeof *m);
    uint32_t packet = PIXI_MQTT_STRANGER_PACKET;

    if (!m)
        return false;
    if (packet > c->server->limits.message_bytes)
        packet = (uint32_t)c->server->limits.message_bytes;
    m->conn = c;
    m->timer.on_due = on_due;
    m->heard_ms = c->server->loop->now_ms;
    pixi_mqtt_reader_init(&m->reader, PIXI_CLIENT, 0, packet);
    c->mqtt = m;
    pixi_loop_set_timer(c->server->loop, &m->timer, c->server->limits.handshake_ms);
    return true;
}

void pixi_mqtt_on_close(struct pixi_conn *c)
{
    struct pixi_mqtt *m = c->mqtt;
    struct pixi_loop *loop = c->server->loop;

    if (!m)
        return;
    pixi_loop_cancel_timer(loop, &m->timer);
    if (m->session)
        pixi_mqtt_session_detach(m->session);
    pixi_loop_give_back(loop, &m->rest);
    pixi_loop_give_back(loop, &m->backlog);
    pixi_mqtt_alias_clear(m);
    free(m);
    c->mqtt = NULL;
}
