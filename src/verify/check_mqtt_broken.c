/* MQTT: packets in any frames, and packets that have to be refused. Each of those is sent on a connection of its own. */
#include "verify/checks.h"
#include "verify/mqtt.h"

#include <stdio.h>

static const struct pixi_vmqtt_connect plain;

/* --- frames and packets do not know of each other                    MQTT-6.0.0-2 ------------------------------- */

static bool await_suback(struct pixi_verify *v, struct pixi_vmqtt *m)
{
    struct pixi_vmqtt_packet p;

    return pixi_vmqtt_await(v, m, PIXI_VMQTT_SUBACK, "the SUBACK", &p);
}

/* The same SUBSCRIBE, cut in two at each of its bytes. */
static bool send_cut(struct pixi_verify *v, struct pixi_vmqtt *m, const char *topic, size_t *cuts)
{
    struct pixi_buf b = pixi_buf_init(1 << 12);
    bool is_well = true;
    size_t len = 2;

    for (*cuts = 0; is_well && *cuts + 1 < len; ++*cuts) {
        struct pixi_cur rest, first;

        pixi_buf_reset(&b);
        m->last_id++;
        pixi_vmqtt_put_subscribe(m, &b, topic, 0);
        len = b.len;
        rest = pixi_buf_cur(&b);
        (void)pixi_cur_cut(&rest, *cuts + 1, &first);
        pixi_vmqtt_send(m, first);
        pixi_vmqtt_send(m, rest);
        is_well = await_suback(v, m);
    }
    pixi_buf_clear(&b);
    return is_well;
}

static bool send_bytewise(struct pixi_verify *v, struct pixi_vmqtt *m)
{
    struct pixi_buf b = pixi_buf_init(1 << 12);

    pixi_vmqtt_put_connect(v, &b, &plain);
    for (size_t i = 0; i < b.len; i++)
        pixi_vmqtt_send(m, pixi_cur_init(b.bytes + i, 1));
    pixi_buf_clear(&b);
    return pixi_vmqtt_connack(v, m) && m->reason == 0;
}

static bool upgrade(struct pixi_verify *v, struct pixi_vmqtt *m)
{
    int rc = pixi_vmqtt_upgrade(v, m, &plain);

    if (rc) {
        pixi_blame_open(v, &m->peer, rc);
        pixi_vmqtt_close(m);
    }
    return rc == PIXI_OK;
}

static void fix_frames(struct pixi_verify *v)
{
    if (v->r->verdict == PIXI_VERIFY_FAILED)
        pixi_check_fix(
            v, "let the server read a stream of packets from binary messages, wherever those begin and end "
               "(MQTT-6.0.0-2)");
}

void pixi_check_mqtt_split(struct pixi_verify *v)
{
    struct pixi_vmqtt m;
    char topic[64];
    size_t cuts;

    pixi_check_choose_topic(topic);
    if (!upgrade(v, &m))
        return;
    if (send_bytewise(v, &m) && send_cut(v, &m, topic, &cuts))
        pixi_check_pass(v, "CONNECT bytewise, SUBSCRIBE cut at %zu places", cuts);
    fix_frames(v);
    pixi_vmqtt_close(&m);
}

void pixi_check_mqtt_joined(struct pixi_verify *v)
{
    struct pixi_buf b = pixi_buf_init(1 << 14);
    struct pixi_vmqtt_message msg = {.payload = pixi_cur_str("joined")}, got;
    struct pixi_vmqtt m;

    pixi_check_choose_topic(msg.topic);
    if (!upgrade(v, &m))
        return;
    m.last_id = 1;
    pixi_vmqtt_put_connect(v, &b, &plain);
    pixi_vmqtt_put_subscribe(&m, &b, msg.topic, 0);
    pixi_vmqtt_put_publish(&m, &b, &msg);
    pixi_vmqtt_send(&m, pixi_buf_cur(&b));
    pixi_buf_clear(&b);
    if (pixi_vmqtt_connack(v, &m) && m.reason == 0 && await_suback(v, &m) && pixi_vmqtt_receive(v, &m, &got))
        pixi_check_pass(v, "three packets in one message");
    fix_frames(v);
    pixi_vmqtt_close(&m);
}

/* --- what has to be refused --------------------------------------------------------------------------------------- */

enum { FIRST = 1, AS_TEXT = 2 }; /* flags: sent instead of CONNECT; in a text message */

#define BYTES(text) text, sizeof text - 1
#define EMPTY_TOPIC "\x00\x00"
#define TOPIC_A     "\x00\x01\x61"

/* Packets of 3.1.1 and of 5.0, where that is another one. */
static const struct broken {
    const char *id, *clause;
    unsigned flags;
    const char *old;
    size_t old_len;
    const char *new;
    size_t new_len;
    const char *fix;
} brokens[] = {
    {"mqtt-first", "MQTT-3.1.0-1", FIRST, BYTES("\xc0\x00"), BYTES("\xc0\x00"),
     "let the server take nothing before CONNECT"},
    {"mqtt-twice", "MQTT-3.1.0-2", 0, BYTES("\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01\x61"),
     BYTES("\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01\x61"), "let the server refuse a second CONNECT"},
    {"mqtt-text", "MQTT-6.0.0-1", AS_TEXT, BYTES("\x30\x03" TOPIC_A), BYTES("\x30\x04" TOPIC_A "\x00"),
     "let the server close when MQTT comes in a text message"},
    {"mqtt-type", "MQTT 5 §2.1.2", 0, BYTES("\x00\x00"), BYTES("\x00\x00"),
     "let the server refuse packets of type 0"},
    {"mqtt-length", "MQTT 5 §1.5.5", 0, BYTES("\x30\xff\xff\xff\xff\x01"), BYTES("\x30\xff\xff\xff\xff\x01"),
     "let the server refuse a length of five bytes"},
    {"mqtt-flags", "MQTT-3.8.1-1", 0, BYTES("\x80\x06\x00\x01" TOPIC_A "\x00"),
     BYTES("\x80\x07\x00\x01\x00" TOPIC_A "\x00"), "let the server refuse SUBSCRIBE whose flags are not 2"},
    {"mqtt-qos-3", "MQTT-3.3.1-4", 0, BYTES("\x36\x05" TOPIC_A "\x00\x01"),
     BYTES("\x36\x06" TOPIC_A "\x00\x01\x00"), "let the server refuse PUBLISH with QoS 3"},
    {"mqtt-wildcard", "MQTT-3.3.2-2", 0, BYTES("\x30\x05\x00\x03\x61/#"), BYTES("\x30\x06\x00\x03\x61/#\x00"),
     "let the server refuse PUBLISH to a topic with + or #"},
    {"mqtt-utf8", "MQTT-1.5.4-1", 0, BYTES("\x30\x05\x00\x03\xed\xa0\x80"),
     BYTES("\x30\x06\x00\x03\xed\xa0\x80\x00"), "let the server check strings for UTF-8"},
    {"mqtt-nul", "MQTT-1.5.4-2", 0, BYTES("\x30\x03\x00\x01\x00"), BYTES("\x30\x04\x00\x01\x00\x00"),
     "let the server refuse strings with U+0000"},
    {"mqtt-short", "MQTT 5 §1.5.4", 0, BYTES("\x30\x03\x00\x09\x61"), BYTES("\x30\x03\x00\x09\x61"),
     "let the server refuse a string that is longer than its packet"},
    {"mqtt-id-0", "MQTT-2.2.1-3", 0, BYTES("\x32\x05" TOPIC_A "\x00\x00"),
     BYTES("\x32\x06" TOPIC_A "\x00\x00\x00"), "let the server refuse a packet identifier of 0"},
    {"mqtt-no-filter", "MQTT-3.8.3-2", 0, BYTES("\x82\x02\x00\x01"), BYTES("\x82\x03\x00\x01\x00"),
     "let the server refuse SUBSCRIBE without a filter"},
    {"mqtt-options", "MQTT-3.8.3-5", 0, BYTES("\x82\x06\x00\x01" TOPIC_A "\x03"),
     BYTES("\x82\x07\x00\x01\x00" TOPIC_A "\x03"), "let the server refuse subscriptions with QoS 3"},
    {"mqtt-pubrel", "MQTT-3.6.1-1", 0, BYTES("\x60\x02\x00\x01"), BYTES("\x60\x02\x00\x01"),
     "let the server refuse PUBREL whose flags are not 2"},
    {"mqtt-property", "MQTT 5 §3.3.2.3.3", 0, NULL, 0,
     BYTES("\x30\x0e" TOPIC_A "\x0a\x02\x00\x00\x00\x09\x02\x00\x00\x00\x09"),
     "let the server refuse a property that may stand once and stands twice"},
    {"mqtt-alias-0", "MQTT-3.3.2-8", 0, NULL, 0, BYTES("\x30\x07" TOPIC_A "\x03\x23\x00\x00"),
     "let the server refuse a Topic Alias of 0"},
    {"mqtt-no-topic", "MQTT 5 §3.3.2.1", 0, NULL, 0, BYTES("\x30\x03" EMPTY_TOPIC "\x00"),
     "let the server refuse an empty topic without a Topic Alias"},
};

static const struct broken *find(const char *id)
{
    size_t i = 0;

    while (strcmp(brokens[i].id, id) != 0)
        i++;
    return &brokens[i];
}

static void judge(struct pixi_verify *v, const struct broken *b, struct pixi_vmqtt *m)
{
    if (!pixi_vmqtt_has_ended(m, v->s.close_ms)) {
        pixi_check_fail(v, PIXI_EXIT_PROTOCOL, b->clause,
                        "the server took what it has to refuse, and went on");
    } else if (m->reason && m->reason < 0x80) {
        pixi_check_fail(v, PIXI_EXIT_PROTOCOL, "MQTT 5 §3.14.2.1",
                        "refused with DISCONNECT 0x%02X, which is no error", m->reason);
    } else {
        if (m->reason)
            pixi_check_pass(v, "refused with 0x%02X", m->reason);
        else
            pixi_check_pass(v, "refused: connection ended, no DISCONNECT");
        return;
    }
    pixi_check_fix(v, "%s", b->fix);
}

void pixi_check_mqtt_broken(struct pixi_verify *v)
{
    const struct broken *b = find(v->row->id);
    struct pixi_vmqtt m;
    bool is_new = v->mqtt.level == 5, is_open;

    is_open = b->flags & FIRST ? upgrade(v, &m) : pixi_vmqtt_open(v, &m, &plain);
    if (!is_open)
        return;
    pixi_peer_send(
        &m.peer,
        &(struct pixi_vframe_form){.opcode = b->flags & AS_TEXT ? PIXI_VFRAME_TEXT : PIXI_VFRAME_BINARY},
        pixi_cur_init(is_new ? b->new : b->old, is_new ? b->new_len : b->old_len));
    judge(v, b, &m);
    pixi_vmqtt_abort(&m);
}
