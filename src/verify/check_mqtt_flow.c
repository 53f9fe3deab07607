/* MQTT: messages from one client to another, and what is kept for whom. */
#include "verify/checks.h"
#include "verify/mqtt.h"

#include <stdio.h>

enum { MESSAGES = 20, SILENT_MS = 8000, LATE_S = 3 };

static const struct pixi_vmqtt_connect plain;

struct pair {
    struct pixi_vmqtt from, to;
    char topic[64];
};

static bool open_pair(struct pixi_verify *v, struct pair *p, const struct pixi_vmqtt_connect *to)
{
    pixi_check_choose_topic(p->topic);
    if (!pixi_vmqtt_open(v, &p->from, &plain))
        return false;
    if (pixi_vmqtt_open(v, &p->to, to))
        return true;
    pixi_vmqtt_close(&p->from);
    return false;
}

static void close_pair(struct pair *p)
{
    pixi_vmqtt_close(&p->from);
    pixi_vmqtt_close(&p->to);
}

static struct pixi_vmqtt_message message_of(const char *topic, const char *payload, uint8_t qos)
{
    struct pixi_vmqtt_message msg = {.qos = qos, .payload = pixi_cur_str(payload)};

    snprintf(msg.topic, sizeof msg.topic, "%s", topic);
    return msg;
}

static bool publish(struct pixi_verify *v, struct pixi_vmqtt *m, const char *topic, const char *payload,
                    uint8_t qos)
{
    struct pixi_vmqtt_message msg = message_of(topic, payload, qos);

    return pixi_vmqtt_publish(v, m, &msg);
}

/* The next message has to be this one. */
static bool receive(struct pixi_verify *v, struct pixi_vmqtt *m, const char *topic, const char *payload,
                    struct pixi_vmqtt_message *out)
{
    char shown[PIXI_SHOWN];

    if (!pixi_vmqtt_receive(v, m, out))
        return false;
    if (strcmp(out->topic, topic) == 0 && pixi_cur_equals(out->payload, pixi_cur_str(payload)))
        return true;
    pixi_check_fail(v, PIXI_EXIT_CHECK, "MQTT 5 §4.6", "\"%s\" was awaited, and this came: %s", payload,
                    pixi_check_show(v, out->payload, shown));
    pixi_check_fix(
        v, "let the server deliver what one client publishes to one topic in order, once, byte for byte");
    return false;
}

/* --- each quality of service ------------------------------------------------------------------------------------- */

static bool carry_all(struct pixi_verify *v, struct pair *p, uint8_t qos)
{
    struct pixi_vmqtt_message got;
    char payload[32];

    for (int i = 0; i < MESSAGES; i++) {
        snprintf(payload, sizeof payload, "n\xc3\xbcmber %d \x01\xff", i);
        if (!publish(v, &p->from, p->topic, payload, qos))
            return false;
    }
    for (int i = 0; i < MESSAGES; i++) {
        snprintf(payload, sizeof payload, "n\xc3\xbcmber %d \x01\xff", i);
        if (!receive(v, &p->to, p->topic, payload, &got))
            return false;
        if (got.qos == qos)
            continue;
        pixi_check_fail(v, PIXI_EXIT_CHECK, "MQTT-3.8.4-8", "a message of QoS %u came with QoS %u", qos,
                        got.qos);
        pixi_check_fix(v,
                       "let the server deliver with the lower of the message's and the subscription's QoS");
        return false;
    }
    return pixi_vmqtt_settle(v, &p->to) &&
           pixi_vmqtt_is_quiet(v, &p->to, "a message came twice",
                               "let the server deliver a message once to one subscription");
}

static void check_qos(struct pixi_verify *v, uint8_t qos)
{
    struct pair p;
    uint64_t start = pixi_clock_mono_us();

    if (!open_pair(v, &p, &plain))
        return;
    if (p.to.max_qos < qos) {
        pixi_check_skip(v, "this server's Maximum QoS is %u", p.to.max_qos);
    } else if (pixi_vmqtt_subscribe(v, &p.to, p.topic, qos) && carry_all(v, &p, qos)) {
        v->facts |= PIXI_FACT_DELIVERS;
        pixi_check_pass(v, "%d messages in order, %.2f ms", MESSAGES,
                        (double)(pixi_clock_mono_us() - start) / 1000);
    }
    close_pair(&p);
}

void pixi_check_mqtt_qos_0(struct pixi_verify *v)
{
    check_qos(v, 0);
}

void pixi_check_mqtt_qos_1(struct pixi_verify *v)
{
    check_qos(v, 1);
}

void pixi_check_mqtt_qos_2(struct pixi_verify *v)
{
    check_qos(v, 2);
}

/* Sends a message of QoS 2 again before its PUBREL, as a client does that had to reconnect.   MQTT-4.3.3-10 */
static bool publish_twice(struct pixi_verify *v, struct pixi_vmqtt *m, const char *topic)
{
    struct pixi_vmqtt_message msg = message_of(topic, "once", 2);
    struct pixi_buf b = pixi_buf_init(1 << 12);
    bool is_well = true;

    msg.id = ++m->last_id;
    for (int i = 0; i < 2 && is_well; i++) {
        msg.is_dup = i > 0;
        pixi_buf_reset(&b);
        pixi_vmqtt_put_publish(m, &b, &msg);
        pixi_vmqtt_send(m, pixi_buf_cur(&b));
        is_well = pixi_vmqtt_ack(v, m, PIXI_VMQTT_PUBREC, msg.id);
    }
    pixi_buf_clear(&b);
    if (!is_well)
        return false;
    pixi_vmqtt_acknowledge(m, PIXI_VMQTT_PUBREL, msg.id);
    return pixi_vmqtt_ack(v, m, PIXI_VMQTT_PUBCOMP, msg.id);
}

void pixi_check_mqtt_once(struct pixi_verify *v)
{
    struct pair p;
    struct pixi_vmqtt_message got;

    if (!open_pair(v, &p, &plain))
        return;
    if (p.from.max_qos < 2)
        pixi_check_skip(v, "this server's Maximum QoS is %u", p.from.max_qos);
    else if (pixi_vmqtt_subscribe(v, &p.to, p.topic, 0) && publish_twice(v, &p.from, p.topic) &&
             receive(v, &p.to, p.topic, "once", &got) &&
             pixi_vmqtt_is_quiet(
                 v, &p.to, "a message of QoS 2 that was sent again came twice",
                 "let the server know a message of QoS 2 again by its identifier until the PUBREL comes "
                 "(MQTT-4.3.3-10)"))
        pixi_check_pass(v, "sent twice, came once");
    close_pair(&p);
}

/* --- kept for later ---------------------------------------------------------------------------------------------- */

static bool set_retained(struct pixi_verify *v, struct pixi_vmqtt *m, const char *topic, const char *payload)
{
    struct pixi_vmqtt_message msg = message_of(topic, payload, m->max_qos ? 1 : 0);

    msg.is_retained = true;
    return pixi_vmqtt_publish(v, m, &msg);
}

static bool await_retained(struct pixi_verify *v, struct pair *p)
{
    struct pixi_vmqtt_message got;

    if (!pixi_vmqtt_subscribe(v, &p->to, p->topic, 0) || !receive(v, &p->to, p->topic, "kept", &got))
        return false;
    if (got.is_retained)
        return true;
    pixi_check_fail(v, PIXI_EXIT_CHECK, "MQTT-3.3.1-8",
                    "a retained message came to a new subscription without RETAIN");
    pixi_check_fix(v, "let the server set RETAIN when it sends what was kept to a new subscription");
    return false;
}

void pixi_check_mqtt_retained(struct pixi_verify *v)
{
    struct pair p;

    if (!open_pair(v, &p, &plain))
        return;
    if (!p.to.can_retain) {
        pixi_check_skip(v, "this server keeps no retained messages");
    } else if (set_retained(v, &p.from, p.topic, "kept") && await_retained(v, &p) &&
               set_retained(v, &p.from, p.topic, "")) {
        pixi_vmqtt_close(&p.to);
        if (!pixi_vmqtt_open(v, &p.to, &plain)) {
            pixi_vmqtt_close(&p.from);
            return;
        }
        if (pixi_vmqtt_subscribe(v, &p.to, p.topic, 0) &&
            pixi_vmqtt_is_quiet(v, &p.to, "a retained message came after an empty one had removed it",
                                "let an empty retained message remove what is kept (MQTT-3.3.1-6)"))
            pixi_check_pass(v, "kept, then removed");
    }
    close_pair(&p);
}

/* A will comes when its client is lost, and not when it says DISCONNECT.   MQTT 5 §3.1.2.5 */
void pixi_check_mqtt_will(struct pixi_verify *v)
{
    struct pair p;
    struct pixi_vmqtt_message got;
    struct pixi_vmqtt dying;
    struct pixi_vmqtt_connect c = {.will_payload = "lost"};

    if (!open_pair(v, &p, &plain))
        return;
    c.will_topic = p.topic;
    if (pixi_vmqtt_subscribe(v, &p.to, p.topic, 0) && pixi_vmqtt_open(v, &dying, &c)) {
        pixi_vmqtt_close(&dying);
        c.will_payload = "cut";
        if (pixi_vmqtt_open(v, &dying, &c)) {
            pixi_vmqtt_abort(&dying);
            if (receive(v, &p.to, p.topic, "cut", &got))
                pixi_check_pass(v, "after a cut, not after DISCONNECT");
        }
    }
    close_pair(&p);
}

/* Lost for a while: the session is there, and what came meanwhile.   MQTT 5 §4.1, §4.4 */
void pixi_check_mqtt_resume(struct pixi_verify *v)
{
    char id[24] = "verify";
    struct pixi_vmqtt_connect c = {.keeps_session = true, .client_id = id};
    struct pixi_vmqtt_message got;
    struct pair p;
    bool is_open;

    pixi_check_random(8, id + 6);
    if (!open_pair(v, &p, &c))
        return;
    if (p.to.max_qos < 1)
        pixi_check_skip(v, "this server's Maximum QoS is 0");
    is_open = p.to.max_qos >= 1 && pixi_vmqtt_subscribe(v, &p.to, p.topic, 1);
    pixi_vmqtt_abort(&p.to);
    if (!is_open || !publish(v, &p.from, p.topic, "missed", 1) || !pixi_vmqtt_open(v, &p.to, &c)) {
        pixi_vmqtt_close(&p.from);
        return;
    }
    if (!p.to.is_resumed) {
        pixi_check_fail(v, PIXI_EXIT_CHECK, "MQTT-3.2.2-3", "the session was not kept: Session Present is 0");
        pixi_check_fix(v, "let the server keep a session for as long as its client asks");
    } else if (receive(v, &p.to, p.topic, "missed", &got)) {
        pixi_check_pass(v, "session present, what was missed came");
    }
    close_pair(&p);
    c.keeps_session = false; /* leaves nothing behind */
    if (v->r->verdict == PIXI_VERIFY_PASSED && pixi_vmqtt_open(v, &p.to, &c))
        pixi_vmqtt_close(&p.to);
}

/* One client identifier, one connection.                             MQTT-3.1.4-3 */
void pixi_check_mqtt_takeover(struct pixi_verify *v)
{
    char id[24] = "verify";
    struct pixi_vmqtt_connect c = {.client_id = id};
    struct pixi_vmqtt first, second;

    pixi_check_random(8, id + 6);
    if (!pixi_vmqtt_open(v, &first, &c))
        return;
    if (pixi_vmqtt_open(v, &second, &c)) {
        if (pixi_vmqtt_has_ended(&first, v->s.close_ms)) {
            pixi_check_pass(v, "the earlier connection was ended");
        } else {
            pixi_check_fail(v, PIXI_EXIT_TIMEOUT, "MQTT-3.1.4-3",
                            "a second client of the same identifier came, and the first was left connected");
            pixi_check_fix(v, "let the server end the earlier connection, for MQTT 5 with DISCONNECT 0x8E");
        }
        pixi_vmqtt_close(&second);
    }
    pixi_vmqtt_close(&first);
}

/* --- limits that a client sets ----------------------------------------------------------------------------------- */

/*                                                                    MQTT 5 §3.1.2.11.4 */
void pixi_check_mqtt_max(struct pixi_verify *v)
{
    struct pair p;
    struct pixi_vmqtt_message got;
    char large[300];

    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    if (!open_pair(v, &p, &(struct pixi_vmqtt_connect){.packet_max = 200}))
        return;
    if (pixi_vmqtt_subscribe(v, &p.to, p.topic, 0) && publish(v, &p.from, p.topic, large, 0) &&
        publish(v, &p.from, p.topic, "small", 0) && receive(v, &p.to, p.topic, "small", &got))
        pixi_check_pass(v, "the larger one was left out");
    else if (v->r->exit_code == PIXI_EXIT_CHECK)
        pixi_check_fix(v, "let the server send no packet that is larger than the client's Maximum Packet "
                          "Size (MQTT-3.1.2-24)");
    close_pair(&p);
}

/* Two messages, but the client takes one at a time.                  MQTT 5 §4.9 */
void pixi_check_mqtt_window(struct pixi_verify *v)
{
    struct pair p;
    struct pixi_vmqtt_packet packet;
    struct pixi_vmqtt_message got;

    if (!open_pair(v, &p, &(struct pixi_vmqtt_connect){.receive_max = 1}))
        return;
    if (p.to.max_qos < 1)
        pixi_check_skip(v, "this server's Maximum QoS is 0");
    else if (pixi_vmqtt_subscribe(v, &p.to, p.topic, 1) && publish(v, &p.from, p.topic, "one", 1) &&
             publish(v, &p.from, p.topic, "two", 1) &&
             pixi_vmqtt_await(v, &p.to, PIXI_VMQTT_PUBLISH, "a message at its subscriber", &packet) &&
             pixi_vmqtt_is_quiet(v, &p.to, "a second message came before the first was acknowledged",
                                 "let the server keep to the client's Receive Maximum (MQTT-3.3.4-9)")) {
        pixi_vmqtt_acknowledge(&p.to, PIXI_VMQTT_PUBACK, pixi_vmqtt_id_of(&packet));
        if (receive(v, &p.to, p.topic, "two", &got))
            pixi_check_pass(v, "one at a time");
    }
    close_pair(&p);
}

/* --- keeping alive ----------------------------------------------------------------------------------------------- */

void pixi_check_mqtt_ping(struct pixi_verify *v)
{
    struct pixi_vmqtt m;
    uint64_t start;

    if (!pixi_vmqtt_open(v, &m, &plain))
        return;
    start = pixi_clock_mono_us();
    if (pixi_vmqtt_is_quiet(v, &m, "a message came that nobody asked for", "see where it comes from"))
        pixi_check_pass(v, "%.2f ms", (double)(pixi_clock_mono_us() - start) / 1000);
    pixi_vmqtt_close(&m);
}

/* Silent for one and a half times its Keep Alive of a second.        MQTT-3.1.2-22 */
void pixi_check_mqtt_silent(struct pixi_verify *v)
{
    struct pixi_vmqtt m;
    uint64_t start;

    if (!pixi_vmqtt_open(v, &m, &(struct pixi_vmqtt_connect){.keepalive_s = 1}))
        return;
    start = pixi_clock_mono_us();
    if (m.keepalive_s != 1) {
        pixi_check_skip(v, "this server keeps to a Keep Alive of its own, %u s", m.keepalive_s);
    } else if (pixi_vmqtt_has_ended(&m, SILENT_MS)) {
        double s = (double)(pixi_clock_mono_us() - start) / 1e6;

        pixi_check_pass(v, "ended after %.1f s", s);
        if (s > LATE_S)
            pixi_check_warn(
                v, "a client whose Keep Alive is 1 s was given up late, after %.1f s (MQTT-3.1.2-22)", s);
    } else {
        pixi_check_fail(v, PIXI_EXIT_TIMEOUT, "MQTT-3.1.2-22",
                        "a client whose Keep Alive is 1 s was silent for %d s, and left connected",
                        SILENT_MS / 1000);
        pixi_check_fix(
            v, "let the server end a connection that is silent for one and a half times its Keep Alive");
    }
    pixi_vmqtt_close(&m);
}
