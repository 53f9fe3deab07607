/* Publish and subscribe of pixi.v1: from one connection to another. */
#include "base/base64.h"
#include "verify/checks.h"
#include "verify/session.h"

#include <stdio.h>

enum { MESSAGES = 20 };

struct pair {
    struct pixi_session from, to;
    char topic[64];
    int count; /* of messages that `publish` sends: --quick stays light, as it runs again and again */
};

static bool open_pair(struct pixi_verify *v, struct pair *p)
{
    struct pixi_answer a;

    pixi_check_choose_topic(p->topic);
    p->count = v->s.quick ? 1 : MESSAGES;
    if (!pixi_session_open(v, &p->from))
        return false;
    if (pixi_session_open(v, &p->to)) {
        if (pixi_session_subscribe(v, &p->to, p->topic, "", &a))
            return true;
        pixi_session_close(&p->to);
    }
    pixi_session_close(&p->from);
    return false;
}

static void close_pair(struct pair *p)
{
    pixi_session_close(&p->from);
    pixi_session_close(&p->to);
}

/* Different every time, and in need of care: white space, escapes, numbers as written, characters of 2 to 4 bytes. */
static void payload_of(int n, char out[128])
{
    snprintf(out, 128, "{\"n\": %d, \"text\":\"grün ✓ 🦆 \\u00e9 \\\"\\/\", \"x\": [1.50,1E3, -0]}", n);
}

static void blame_order(struct pixi_verify *v, const struct pair *p, const struct pixi_note *note, int n)
{
    char earlier[128], shown[PIXI_SHOWN];
    const char *what = "was changed on its way";

    for (int i = 0; i < p->count; i++) {
        payload_of(i, earlier);
        if (i != n && pixi_cur_equals(note->payload, pixi_cur_str(earlier)))
            what = i < n ? "is an earlier one, again or late" : "is too early, others are late or lost";
    }
    pixi_check_fail(v, PIXI_EXIT_CHECK, "", "message %d of %d was awaited; what came %s: %s", n + 1, p->count,
                    what, pixi_check_show(v, note->params, shown));
    pixi_check_fix(
        v,
        "let the server deliver what one publisher sends to one topic in order, once, and with the payload's "
        "exact source bytes");
}

static void blame_filter(struct pixi_verify *v, const struct pixi_note *note)
{
    char shown[PIXI_SHOWN];

    pixi_check_fail(v, PIXI_EXIT_CHECK, "", "a message does not name the filter that it matched: %s",
                    pixi_check_show(v, note->params, shown));
    pixi_check_fix(v, "let the server put the subscription's filter into each message as \"filter\"");
}

static bool receive_all(struct pixi_verify *v, struct pair *p)
{
    for (int i = 0; i < p->count; i++) {
        struct pixi_note note;
        char want[128];

        payload_of(i, want);
        if (!pixi_session_note(v, &p->to, "a published message at its subscriber", &note))
            return false;
        if (strcmp(note.filter, p->topic) != 0) {
            blame_filter(v, &note);
            return false;
        }
        if (strcmp(note.topic, p->topic) != 0 || !pixi_cur_equals(note.payload, pixi_cur_str(want))) {
            blame_order(v, p, &note, i);
            return false;
        }
    }
    return true;
}

/* After a call on the same connection is answered, nothing more may lie there. */
static bool is_quiet(struct pixi_verify *v, struct pixi_session *s, const char *cause)
{
    struct pixi_answer a;
    struct pixi_note note;

    if (!pixi_session_answer(v, s, pixi_session_send(s, "ping", "{}"), "ping", &a))
        return false;
    if (!pixi_session_has_note(s, &note))
        return true;
    pixi_check_fail(v, PIXI_EXIT_CHECK, "", "%s", cause);
    pixi_check_fix(
        v, "let the server send each subscription one copy of each message, and none after unsubscribe");
    return false;
}

static void publish_all(struct pixi_verify *v, struct pair *p)
{
    uint64_t first = p->from.last_id + 1, start = pixi_clock_mono_us(), us;

    for (int i = 0; i < p->count; i++) {
        char payload[128];

        payload_of(i, payload);
        pixi_session_send(&p->from, "publish", "{\"topic\":\"%s\",\"payload\":%s}", p->topic, payload);
    }
    if (!pixi_session_results(v, &p->from, first, (size_t)p->count, "publish") || !receive_all(v, p))
        return;
    us = pixi_clock_mono_us() - start;
    if (!is_quiet(v, &p->to, "a message came twice"))
        return;
    v->facts |= PIXI_FACT_PUBLISHES;
    pixi_check_pass(v, "%d message%s in order, %.2f ms", p->count, p->count == 1 ? "" : "s",
                    (double)us / 1000);
}

void pixi_check_publish(struct pixi_verify *v)
{
    struct pair p;

    if (!open_pair(v, &p))
        return;
    publish_all(v, &p);
    close_pair(&p);
}

/* Publishes bytes, and takes them at the other end. */
static bool carry(struct pixi_verify *v, struct pair *p, const uint8_t *bytes, size_t len)
{
    struct pixi_buf text = pixi_buf_init(4096);
    struct pixi_note note;
    struct pixi_answer a;
    char shown[PIXI_SHOWN];
    bool is_same = false;

    pixi_buf_put_str(&text, "\"");
    pixi_base64_put(&text, PIXI_BASE64_STD, bytes, len);
    pixi_buf_put_str(&text, "\"");
    if (!pixi_session_result(v, &p->from,
                             pixi_session_send(&p->from, "publish",
                                               "{\"topic\":\"%s\",\"payload_base64\":%.*s}", p->topic,
                                               (int)text.len, (const char *)text.bytes),
                             "publish", &a) ||
        !pixi_session_note(v, &p->to, "a published message at its subscriber", &note))
        goto out;
    is_same = pixi_cur_equals(note.payload_base64, pixi_buf_cur(&text));
    if (!is_same) {
        pixi_check_fail(v, PIXI_EXIT_CHECK, "", "a payload of %zu bytes that are no JSON came changed: %s",
                        len, pixi_check_show(v, note.params, shown));
        pixi_check_fix(v, "let the server deliver what is not JSON as \"payload_base64\" (RFC 4648 §4), the "
                          "bytes unchanged");
    }
out:
    pixi_buf_clear(&text);
    return is_same;
}

void pixi_check_publish_binary(struct pixi_verify *v)
{
    struct pair p;
    uint8_t bytes[256];

    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    if (!open_pair(v, &p))
        return;
    if (carry(v, &p, bytes, sizeof bytes) && carry(v, &p, bytes, 0) && carry(v, &p, bytes + 254, 2))
        pixi_check_pass(v, "256, 0 and 2 bytes");
    close_pair(&p);
}

/* A message after unsubscribe, then one on another topic: when that has come, the first would have. */
static bool has_stopped(struct pixi_verify *v, struct pair *p)
{
    struct pixi_answer a;
    struct pixi_note note;
    char after[80];

    snprintf(after, sizeof after, "%s/after", p->topic);
    if (!pixi_session_result(v, &p->to,
                             pixi_session_send(&p->to, "unsubscribe", "{\"filter\":\"%s\"}", p->topic),
                             "unsubscribe", &a) ||
        !pixi_session_subscribe(v, &p->to, after, "", &a) ||
        !pixi_session_publish(v, &p->from, p->topic, "2") || !pixi_session_publish(v, &p->from, after, "3") ||
        !pixi_session_note(v, &p->to, "a published message at its subscriber", &note))
        return false;
    if (strcmp(note.topic, after) == 0)
        return is_quiet(v, &p->to, "a message came after its subscription was ended");
    pixi_check_fail(v, PIXI_EXIT_CHECK, "", "a message came after its subscription was ended");
    pixi_check_fix(v, "let unsubscribe end the subscription before it is answered");
    return false;
}

void pixi_check_unsubscribe(struct pixi_verify *v)
{
    struct pair p;
    struct pixi_note note;

    if (!open_pair(v, &p))
        return;
    if (pixi_session_publish(v, &p.from, p.topic, "1") &&
        pixi_session_note(v, &p.to, "a published message at its subscriber", &note) && has_stopped(v, &p))
        pixi_check_pass(v, "nothing came after it");
    close_pair(&p);
}
