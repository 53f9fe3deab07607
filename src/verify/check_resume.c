/* After the connection was lost: a new one works, and what was missed comes. */
#include "verify/checks.h"
#include "verify/session.h"

#include <stdio.h>

enum { MISSED = 3, POSITION = 128 };

void pixi_check_reconnect(struct pixi_verify *v)
{
    struct pixi_peer p;
    struct pixi_event e;
    struct pixi_cur text = pixi_cur_str("again");
    uint64_t start;

    if (!pixi_check_open(v, &p))
        return;
    pixi_peer_abort(&p);
    start = pixi_clock_mono_us();
    if (!pixi_check_open(v, &p)) {
        pixi_check_fix(v,
                       "let the server go on when a client's connection is reset; see its log for a crash");
        return;
    }
    pixi_peer_send(&p, &(struct pixi_vframe_form){.opcode = PIXI_VFRAME_PING}, text);
    if (pixi_check_await(v, &p, PIXI_VFRAME_PONG, pixi_wires_deadline(v->s.request_ms), "the pong", &e)) {
        v->facts |= PIXI_FACT_RECONNECTS;
        pixi_check_pass(v, "back %.2f ms after a reset", (double)(pixi_clock_mono_us() - start) / 1000);
    }
    pixi_peer_close(&p);
}

/* Where a subscriber has got to, as the member of a subscribe. */
struct place {
    char topic[64];
    char since[POSITION]; /* ", \"since\": {…}" */
};

static bool is_position(const struct pixi_cur *epoch, const struct pixi_cur *offset)
{
    return pixi_cur_left(epoch) && pixi_cur_left(epoch) < 64 && pixi_cur_left(offset) &&
           pixi_cur_left(offset) < 24;
}

/* Subscribes, gets one message, and notes its position. false: told, also that there are no positions. */
static bool find_place(struct pixi_verify *v, struct pixi_session *from, struct pixi_session *to,
                       struct place *p)
{
    struct pixi_answer a;
    struct pixi_note note;

    pixi_check_choose_topic(p->topic);
    if (!pixi_session_subscribe(v, to, p->topic, "", &a) ||
        !pixi_session_publish(v, from, p->topic, "\"seen\"") ||
        !pixi_session_note(v, to, "a published message at its subscriber", &note))
        return false;
    if (!is_position(&note.epoch, &note.offset)) {
        pixi_check_skip(v, "this server keeps no history of event/verify/#: its messages carry no position");
        return false;
    }
    snprintf(p->since, sizeof p->since, ",\"since\":{\"epoch\":%.*s,\"offset\":%.*s}",
             (int)pixi_cur_left(&note.epoch), (const char *)note.epoch.p, (int)pixi_cur_left(&note.offset),
             (const char *)note.offset.p);
    return true;
}

static bool is_recovered(const struct pixi_answer *a)
{
    enum pixi_json_type type;
    struct pixi_cur raw;

    return pixi_member_get(a->result, "recovered", &type, &raw) && type == PIXI_JSON_TRUE;
}

/* Exactly the missed ones, then one that is live. */
static bool receive_missed(struct pixi_verify *v, struct pixi_session *to)
{
    for (int i = 0; i <= MISSED; i++) {
        struct pixi_note note;
        char want[32], shown[PIXI_SHOWN];

        snprintf(want, sizeof want, i < MISSED ? "\"missed %d\"" : "\"live\"", i);
        if (!pixi_session_note(v, to, i < MISSED ? "a message that was missed while away" : "a live message",
                               &note))
            return false;
        if (pixi_cur_equals(note.payload, pixi_cur_str(want)))
            continue;
        pixi_check_fail(v, PIXI_EXIT_CHECK, "", "after recovery %s was awaited, and this came: %s", want,
                        pixi_check_show(v, note.params, shown));
        pixi_check_fix(
            v, "let the server send exactly what came after \"since\", in order, once, then live messages");
        return false;
    }
    return true;
}

static void come_back(struct pixi_verify *v, struct pixi_session *from, const struct place *place)
{
    struct pixi_session to;
    struct pixi_answer a;

    if (!pixi_session_open(v, &to))
        return;
    if (!pixi_session_subscribe(v, &to, place->topic, place->since, &a))
        goto out;
    if (!is_recovered(&a)) {
        pixi_check_fail(v, PIXI_EXIT_CHECK, "",
                        "the server did not recover what was missed a moment ago (recovered is not true)");
        pixi_check_fix(
            v, "let the server's history cover event/verify/#, and keep it longer than a reconnect takes");
        goto out;
    }
    if (pixi_session_publish(v, from, place->topic, "\"live\"") && receive_missed(v, &to))
        pixi_check_pass(v, "%d missed, %d recovered", MISSED, MISSED);
out:
    pixi_session_close(&to);
}

static void leave_and_return(struct pixi_verify *v, void (*leave)(struct pixi_session *))
{
    struct pixi_session from, to;
    struct place place;
    bool is_found;

    if (!pixi_session_open(v, &from))
        return;
    if (!pixi_session_open(v, &to)) {
        pixi_session_close(&from);
        return;
    }
    is_found = find_place(v, &from, &to, &place);
    leave(&to);
    for (int i = 0; i < MISSED && is_found; i++) {
        char payload[32];

        snprintf(payload, sizeof payload, "\"missed %d\"", i);
        is_found = pixi_session_publish(v, &from, place.topic, payload);
    }
    if (is_found)
        come_back(v, &from, &place);
    pixi_session_close(&from);
}

void pixi_check_resume(struct pixi_verify *v)
{
    leave_and_return(v, pixi_session_close);
}

void pixi_check_resume_cut(struct pixi_verify *v)
{
    leave_and_return(v, pixi_session_abort);
}

/* The same epoch, an offset far beyond everything. */
static void judge_beyond(struct pixi_verify *v, struct pixi_session *to, struct place *place)
{
    struct pixi_answer a;
    char *offset = strstr(place->since, "\"offset\":");

    snprintf(offset, sizeof place->since - (size_t)(offset - place->since), "\"offset\":4503599627370496}");
    if (!pixi_session_subscribe(v, to, place->topic, place->since, &a))
        return;
    if (!is_recovered(&a)) {
        pixi_check_pass(v, "recovered: false");
        return;
    }
    pixi_check_fail(v, PIXI_EXIT_CHECK, "",
                    "the server says recovered: true to a position beyond all that it ever gave");
    pixi_check_fix(
        v, "let the server compare \"since\" with its head: a client that believes it loses messages unseen");
}

void pixi_check_resume_beyond(struct pixi_verify *v)
{
    struct pixi_session from, to;
    struct place place;

    if (!pixi_session_open(v, &from))
        return;
    if (pixi_session_open(v, &to)) {
        if (find_place(v, &from, &to, &place))
            judge_beyond(v, &to, &place);
        pixi_session_close(&to);
    }
    pixi_session_close(&from);
}
