#include "verify/mqtt.h"

#include <stdio.h>

enum { PACKETS_MAX = 1 << 19, SENT_MAX = 1 << 17 };

/* --- packets in, packets out ------------------------------------------------------------------------------------- */

void pixi_vmqtt_send(struct pixi_vmqtt *m, struct pixi_cur bytes)
{
    pixi_peer_send(&m->peer, &(struct pixi_vframe_form){.opcode = PIXI_VFRAME_BINARY}, bytes);
}

static enum pixi_vmqtt_came broken(struct pixi_vmqtt *m, const char *what, const char *clause)
{
    m->broken = what;
    m->clause = clause;
    return PIXI_VMQTT_BROKEN;
}

/* Adds the next message's bytes to those that wait for their packet to be whole. */
static enum pixi_vmqtt_came read_more(struct pixi_vmqtt *m, uint64_t deadline)
{
    m->rc = pixi_peer_next(&m->peer, deadline, &m->event);
    if (m->rc)
        return m->rc == PIXI_E_TIMEOUT ? PIXI_VMQTT_SILENT : PIXI_VMQTT_ENDED;
    if (m->event.opcode == PIXI_VFRAME_CLOSE)
        return PIXI_VMQTT_CLOSED;
    if (m->event.opcode == PIXI_VFRAME_TEXT)
        return broken(m, "a text message", "MQTT-6.0.0-1");
    pixi_buf_put_cur(&m->in, m->event.bytes);
    return m->in.err ? broken(m, "packets without end", "MQTT 5 §2.1.4") : PIXI_VMQTT_CAME;
}

enum pixi_vmqtt_came pixi_vmqtt_next(struct pixi_vmqtt *m, uint64_t deadline, struct pixi_vmqtt_packet *out)
{
    for (;;) {
        struct pixi_cur c = pixi_buf_cur(&m->in);
        enum pixi_vmqtt_came came;
        int rc;

        c.p += m->taken;
        rc = pixi_vmqtt_cut(&c, out);
        if (rc == PIXI_OK) {
            m->taken = (size_t)(c.p - m->in.bytes);
            return PIXI_VMQTT_CAME;
        }
        if (rc != PIXI_MORE)
            return broken(m, "a packet whose length is no packet's", "MQTT 5 §2.1.4");
        if (m->taken == m->in.len) {
            pixi_buf_reset(&m->in);
            m->taken = 0;
        }
        came = read_more(m, deadline);
        if (came != PIXI_VMQTT_CAME)
            return came;
    }
}

/* --- what went wrong, in words ----------------------------------------------------------------------------------- */

static const struct {
    uint8_t code;
    int exit_code;
    const char *name, *fix;
} reasons[] = {
    {0x01, PIXI_EXIT_UPGRADE, "unacceptable protocol version", "let the server speak MQTT 5.0 or 3.1.1"},
    {0x02, PIXI_EXIT_CHECK, "identifier rejected",
     "let the server take client identifiers of 22 letters and digits (MQTT-3.1.3-5)"},
    {0x03, PIXI_EXIT_CHECK, "server unavailable", "see the server's log for why it is not available"},
    {0x04, PIXI_EXIT_KEY, "bad user name or password",
     "put an API key that this server knows into the settings"},
    {0x05, PIXI_EXIT_KEY, "not authorized", "put an API key that this server knows into the settings"},
    {0x80, PIXI_EXIT_CHECK, "unspecified error", "see the server's log for the error"},
    {0x81, PIXI_EXIT_PROTOCOL, "malformed packet",
     "the server took a correct packet for a malformed one: correct its reader"},
    {0x82, PIXI_EXIT_PROTOCOL, "protocol error",
     "the server took a correct packet for a wrong one: correct its reader"},
    {0x84, PIXI_EXIT_UPGRADE, "unsupported protocol version", "let the server speak MQTT 5.0 or 3.1.1"},
    {0x86, PIXI_EXIT_KEY, "bad user name or password",
     "put an API key that this server knows into the settings"},
    {0x87, PIXI_EXIT_KEY, "not authorized", "give the key publish and subscribe on event/verify/#"},
    {0x97, PIXI_EXIT_CHECK, "quota exceeded", "raise the limit that the server's log names"},
    {0x9a, PIXI_EXIT_CHECK, "retain not supported", "let the server keep retained messages"},
};

void pixi_vmqtt_blame_reason(struct pixi_verify *v, const char *what, uint8_t code, struct pixi_cur text)
{
    const char *name = "", *fix = "see the server's log for why";
    int exit_code = PIXI_EXIT_CHECK;
    char shown[PIXI_SHOWN];

    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].code == code) {
            name = reasons[i].name;
            fix = reasons[i].fix;
            exit_code = reasons[i].exit_code;
        }
    if (exit_code == PIXI_EXIT_KEY)
        v->r->layer = "key";
    pixi_check_show(v, text, shown);
    pixi_check_fail(v, exit_code, "", "%s was refused with 0x%02X%s%s%s%s", what, code, *name ? ", " : "",
                    name, *shown ? ": " : "", shown);
    pixi_check_fix(v, "%s", fix);
}

void pixi_vmqtt_blame(struct pixi_verify *v, struct pixi_vmqtt *m, enum pixi_vmqtt_came came,
                      const char *awaited)
{
    switch (came) {
    case PIXI_VMQTT_CLOSED: pixi_blame_close(v, &m->event, awaited); break;
    case PIXI_VMQTT_ENDED: pixi_blame_next(v, m->rc, awaited); break;
    case PIXI_VMQTT_SILENT: pixi_blame_next(v, PIXI_E_TIMEOUT, awaited); break;
    default:
        pixi_check_fail(v, PIXI_EXIT_PROTOCOL, m->clause, "the server sent %s while %s was awaited",
                        m->broken, awaited);
        pixi_check_fix(v, "correct the server's MQTT code as %s says", m->clause);
    }
}

static const char *const names[] = {"type 0",  "CONNECT",  "CONNACK",    "PUBLISH", "PUBACK",      "PUBREC",
                                    "PUBREL",  "PUBCOMP",  "SUBSCRIBE",  "SUBACK",  "UNSUBSCRIBE", "UNSUBACK",
                                    "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"};

static void blame_packet(struct pixi_verify *v, struct pixi_vmqtt *m, const struct pixi_vmqtt_packet *p,
                         const char *awaited)
{
    struct pixi_cur text;
    uint8_t code;
    char what[160];

    if (p->type == PIXI_VMQTT_DISCONNECT && pixi_vmqtt_reason(m->level, p, &code, &text)) {
        snprintf(what, sizeof what, "the connection, while %s was awaited,", awaited);
        pixi_vmqtt_blame_reason(v, what, code, text);
        return;
    }
    pixi_check_fail(v, PIXI_EXIT_PROTOCOL, "", "%s was awaited; %s %s came", awaited,
                    strchr("AEIOU", names[p->type][0]) ? "an" : "a", names[p->type]);
    pixi_check_fix(v, "let the server answer as MQTT 5 §4.3 says");
}

static void blame_malformed(struct pixi_verify *v, const struct pixi_vmqtt_packet *p)
{
    pixi_check_fail(v, PIXI_EXIT_PROTOCOL, "MQTT 5 §4.13", "the server sent a malformed %s", names[p->type]);
    pixi_check_fix(v, "correct how the server writes this packet");
}

bool pixi_vmqtt_await(struct pixi_verify *v, struct pixi_vmqtt *m, uint8_t type, const char *awaited,
                      struct pixi_vmqtt_packet *out)
{
    enum pixi_vmqtt_came came = pixi_vmqtt_next(m, pixi_wires_deadline(v->s.request_ms), out);

    if (came == PIXI_VMQTT_CAME && out->type == type)
        return true;
    if (came == PIXI_VMQTT_CAME)
        blame_packet(v, m, out, awaited);
    else
        pixi_vmqtt_blame(v, m, came, awaited);
    return false;
}

/* --- connecting -------------------------------------------------------------------------------------------------- */

int pixi_vmqtt_upgrade(struct pixi_verify *v, struct pixi_vmqtt *m, const struct pixi_vmqtt_connect *c)
{
    bool has_header = v->mqtt.wants_header && c->key == PIXI_VMQTT_RIGHT_KEY;
    const struct pixi_peer_offer offer = {.authority = v->url.authority,
                                          .target = v->url.target,
                                          .subprotocol = "mqtt",
                                          .api_key = has_header ? v->s.api_key : NULL,
                                          .connect_ms = v->s.connect_ms,
                                          .upgrade_ms = v->s.upgrade_ms};

    *m = (struct pixi_vmqtt){.level = c->level ? c->level : v->mqtt.level,
                             .in = pixi_buf_init(PACKETS_MAX),
                             .max_qos = v->mqtt.max_qos,
                             .keepalive_s = c->keepalive_s,
                             .can_retain = true};
    return pixi_peer_open(&m->peer, &v->wires, &offer);
}

/* What a CONNACK says beside its reason.                             MQTT 5 §3.2.2.3 */
static bool read_connack(struct pixi_vmqtt *m, const struct pixi_vmqtt_packet *p)
{
    struct pixi_cur c = p->body, properties, text;
    uint64_t flags, reason, id, number;

    if (!pixi_cur_uint(&c, 1, &flags) || !pixi_cur_uint(&c, 1, &reason) || flags > 1 || p->flags)
        return false;
    m->is_resumed = flags == 1;
    m->reason = (uint8_t)reason;
    if (m->level < 5)
        return !pixi_cur_left(&c);
    if (!pixi_vmqtt_cut_properties(&c, &properties) || pixi_cur_left(&c))
        return false;
    while (pixi_cur_left(&properties) && pixi_vmqtt_cut_property(&properties, &id, &number, &text)) {
        if (id == 0x24 && number < m->max_qos)
            m->max_qos = (uint8_t)number;
        if (id == 0x13)
            m->keepalive_s = (uint16_t)number;
        if (id == 0x25)
            m->can_retain = number != 0;
    }
    return true;
}

bool pixi_vmqtt_connack(struct pixi_verify *v, struct pixi_vmqtt *m)
{
    struct pixi_vmqtt_packet p;
    struct pixi_cur text;
    uint8_t code;

    if (!pixi_vmqtt_await(v, m, PIXI_VMQTT_CONNACK, "the CONNACK", &p))
        return false;
    if (!pixi_vmqtt_reason(m->level, &p, &code, &text) || !read_connack(m, &p)) {
        blame_malformed(v, &p);
        return false;
    }
    if (code)
        pixi_vmqtt_blame_reason(v, "CONNECT", code, text);
    return true;
}

bool pixi_vmqtt_open(struct pixi_verify *v, struct pixi_vmqtt *m, const struct pixi_vmqtt_connect *c)
{
    struct pixi_buf b = pixi_buf_init(SENT_MAX);
    int rc = pixi_vmqtt_upgrade(v, m, c);

    if (rc) {
        pixi_blame_open(v, &m->peer, rc);
        pixi_vmqtt_close(m);
        return false;
    }
    pixi_vmqtt_put_connect(v, &b, c);
    pixi_vmqtt_send(m, pixi_buf_cur(&b));
    pixi_buf_clear(&b);
    if (pixi_vmqtt_connack(v, m) && m->reason == 0)
        return true;
    pixi_vmqtt_close(m);
    return false;
}

void pixi_vmqtt_close(struct pixi_vmqtt *m)
{
    static const uint8_t disconnect[] = {PIXI_VMQTT_DISCONNECT << 4, 0};

    if (m->peer.head.status == 101)
        pixi_vmqtt_send(m, pixi_cur_init(disconnect, 2));
    pixi_peer_close(&m->peer);
    pixi_buf_clear(&m->in);
}

void pixi_vmqtt_abort(struct pixi_vmqtt *m)
{
    pixi_peer_abort(&m->peer);
    pixi_buf_clear(&m->in);
}

bool pixi_vmqtt_has_ended(struct pixi_vmqtt *m, uint32_t timeout_ms)
{
    uint64_t deadline = pixi_wires_deadline(timeout_ms);
    struct pixi_vmqtt_packet p;
    struct pixi_cur text;
    enum pixi_vmqtt_came came;

    m->reason = 0;
    do {
        came = pixi_vmqtt_next(m, deadline, &p);
        if (came == PIXI_VMQTT_CAME && p.type == PIXI_VMQTT_DISCONNECT)
            (void)pixi_vmqtt_reason(m->level, &p, &m->reason, &text);
    } while (came == PIXI_VMQTT_CAME);
    return came == PIXI_VMQTT_CLOSED || came == PIXI_VMQTT_ENDED;
}

/* --- subscribing and publishing ---------------------------------------------------------------------------------- */

static bool judge_suback(struct pixi_verify *v, const struct pixi_vmqtt *m, const struct pixi_vmqtt_packet *p,
                         uint8_t qos)
{
    struct pixi_cur c = p->body, properties, text = pixi_cur_str("");
    uint64_t id, code;

    if (!pixi_cur_uint(&c, 2, &id) || (m->level == 5 && !pixi_vmqtt_cut_properties(&c, &properties)) ||
        !pixi_cur_uint(&c, 1, &code) || pixi_cur_left(&c) || id != m->last_id) {
        blame_malformed(v, p);
        return false;
    }
    if (code >= 0x80) {
        pixi_vmqtt_blame_reason(v, "SUBSCRIBE", (uint8_t)code, text);
        return false;
    }
    if (code < qos && m->level < 5) { /* which has no other way to say so: 3.1.1 §3.8.4 */
        v->mqtt.max_qos = (uint8_t)code;
        pixi_check_skip(v, "this server grants QoS %u at most", (unsigned)code);
        return false;
    }
    if (code != qos) {
        pixi_check_fail(v, PIXI_EXIT_CHECK, "MQTT 5 §3.8.4", "QoS %u was asked for, and %u granted", qos,
                        (unsigned)code);
        pixi_check_fix(v, "let the server grant QoS %u, or announce a lower Maximum QoS in its CONNACK", qos);
        return false;
    }
    return true;
}

bool pixi_vmqtt_subscribe(struct pixi_verify *v, struct pixi_vmqtt *m, const char *filter, uint8_t qos)
{
    struct pixi_buf b = pixi_buf_init(SENT_MAX);
    struct pixi_vmqtt_packet p;

    m->last_id++;
    pixi_vmqtt_put_subscribe(m, &b, filter, qos);
    pixi_vmqtt_send(m, pixi_buf_cur(&b));
    pixi_buf_clear(&b);
    return pixi_vmqtt_await(v, m, PIXI_VMQTT_SUBACK, "the SUBACK", &p) && judge_suback(v, m, &p, qos);
}

void pixi_vmqtt_acknowledge(struct pixi_vmqtt *m, uint8_t type, uint16_t id)
{
    const uint8_t bytes[] = {(uint8_t)(type << 4 | (type == PIXI_VMQTT_PUBREL ? 2 : 0)), 2,
                             (uint8_t)(id >> 8), (uint8_t)id};

    pixi_vmqtt_send(m, pixi_cur_init(bytes, sizeof bytes));
}

bool pixi_vmqtt_ack(struct pixi_verify *v, struct pixi_vmqtt *m, uint8_t type, uint16_t id)
{
    struct pixi_vmqtt_packet p;
    struct pixi_cur c, text;
    uint64_t whose;
    uint8_t code;
    char awaited[32];

    snprintf(awaited, sizeof awaited, "the %s", names[type]);
    if (!pixi_vmqtt_await(v, m, type, awaited, &p))
        return false;
    c = p.body;
    if (!pixi_cur_uint(&c, 2, &whose) || !pixi_vmqtt_reason(m->level, &p, &code, &text) || whose != id ||
        p.flags != (type == PIXI_VMQTT_PUBREL ? 2 : 0)) {
        blame_malformed(v, &p);
        return false;
    }
    if (code < 0x80)
        return true;
    pixi_vmqtt_blame_reason(v, "PUBLISH", code, text);
    return false;
}

bool pixi_vmqtt_publish(struct pixi_verify *v, struct pixi_vmqtt *m, struct pixi_vmqtt_message *msg)
{
    struct pixi_buf b = pixi_buf_init(SENT_MAX);

    msg->id = ++m->last_id;
    pixi_vmqtt_put_publish(m, &b, msg);
    pixi_vmqtt_send(m, pixi_buf_cur(&b));
    pixi_buf_clear(&b);
    if (msg->qos == 0)
        return true;
    if (msg->qos == 1)
        return pixi_vmqtt_ack(v, m, PIXI_VMQTT_PUBACK, msg->id);
    if (!pixi_vmqtt_ack(v, m, PIXI_VMQTT_PUBREC, msg->id))
        return false;
    pixi_vmqtt_acknowledge(m, PIXI_VMQTT_PUBREL, msg->id);
    return pixi_vmqtt_ack(v, m, PIXI_VMQTT_PUBCOMP, msg->id);
}

/*                                                                    MQTT 5 §3.3 */
static bool read_publish(const struct pixi_vmqtt *m, const struct pixi_vmqtt_packet *p,
                         struct pixi_vmqtt_message *out)
{
    struct pixi_cur c = p->body, topic, properties;
    uint64_t len, id = 0;

    *out = (struct pixi_vmqtt_message){
        .qos = p->flags >> 1 & 3, .is_retained = p->flags & 1, .is_dup = (p->flags & 8) != 0};
    if (out->qos == 3 || !pixi_cur_uint(&c, 2, &len) || !pixi_cur_cut(&c, len, &topic) ||
        len >= sizeof out->topic || (out->qos && (!pixi_cur_uint(&c, 2, &id) || id == 0)) ||
        (m->level == 5 && !pixi_vmqtt_cut_properties(&c, &properties)))
        return false;
    memcpy(out->topic, topic.p, len);
    out->id = (uint16_t)id;
    out->payload = c;
    return true;
}

uint16_t pixi_vmqtt_id_of(const struct pixi_vmqtt_packet *p)
{
    struct pixi_cur c = p->body, topic;
    uint64_t len, id;

    return pixi_cur_uint(&c, 2, &len) && pixi_cur_cut(&c, len, &topic) && pixi_cur_uint(&c, 2, &id)
               ? (uint16_t)id
               : 0;
}

/* A PUBREL of a message that came: answered. */
static bool release(struct pixi_verify *v, struct pixi_vmqtt *m, const struct pixi_vmqtt_packet *p)
{
    struct pixi_cur c = p->body;
    uint64_t id;

    if (p->flags != 2 || !pixi_cur_uint(&c, 2, &id) || id == 0) {
        blame_malformed(v, p);
        return false;
    }
    pixi_vmqtt_acknowledge(m, PIXI_VMQTT_PUBCOMP, (uint16_t)id);
    m->unreleased -= m->unreleased > 0;
    return true;
}

bool pixi_vmqtt_receive(struct pixi_verify *v, struct pixi_vmqtt *m, struct pixi_vmqtt_message *out)
{
    struct pixi_vmqtt_packet p;

    for (;;) {
        enum pixi_vmqtt_came came = pixi_vmqtt_next(m, pixi_wires_deadline(v->s.request_ms), &p);

        if (came != PIXI_VMQTT_CAME) {
            pixi_vmqtt_blame(v, m, came, "a message at its subscriber");
            return false;
        }
        if (p.type == PIXI_VMQTT_PUBLISH)
            break;
        if (p.type != PIXI_VMQTT_PUBREL) {
            blame_packet(v, m, &p, "a message at its subscriber");
            return false;
        }
        if (!release(v, m, &p))
            return false;
    }
    if (!read_publish(m, &p, out)) {
        blame_malformed(v, &p);
        return false;
    }
    if (out->qos == 1)
        pixi_vmqtt_acknowledge(m, PIXI_VMQTT_PUBACK, out->id);
    if (out->qos == 2) {
        pixi_vmqtt_acknowledge(m, PIXI_VMQTT_PUBREC, out->id);
        m->unreleased++;
    }
    return true;
}

bool pixi_vmqtt_settle(struct pixi_verify *v, struct pixi_vmqtt *m)
{
    struct pixi_vmqtt_packet p;

    while (m->unreleased)
        if (!pixi_vmqtt_await(v, m, PIXI_VMQTT_PUBREL, "the PUBREL", &p) || !release(v, m, &p))
            return false;
    return true;
}

bool pixi_vmqtt_is_quiet(struct pixi_verify *v, struct pixi_vmqtt *m, const char *cause, const char *fix)
{
    static const uint8_t ping[] = {PIXI_VMQTT_PINGREQ << 4, 0};
    struct pixi_vmqtt_packet p;
    enum pixi_vmqtt_came came;

    pixi_vmqtt_send(m, pixi_cur_init(ping, 2));
    came = pixi_vmqtt_next(m, pixi_wires_deadline(v->s.request_ms), &p);
    if (came != PIXI_VMQTT_CAME) {
        pixi_vmqtt_blame(v, m, came, "the PINGRESP");
        return false;
    }
    if (p.type == PIXI_VMQTT_PINGRESP)
        return true;
    if (p.type == PIXI_VMQTT_PUBLISH) {
        pixi_check_fail(v, PIXI_EXIT_CHECK, "", "%s", cause);
        pixi_check_fix(v, "%s", fix);
    } else {
        blame_packet(v, m, &p, "the PINGRESP");
    }
    return false;
}
