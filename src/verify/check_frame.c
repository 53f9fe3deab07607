/* What every WebSocket endpoint has to do with correct frames. RFC 6455. */
#include "verify/checks.h"
#include "verify/session.h"

#include <stdio.h>

static const struct pixi_vframe_form ping = {.opcode = PIXI_VFRAME_PING};

/* A ping that no other is like, and its pong. */
static bool is_ponged(struct pixi_verify *v, struct pixi_peer *p, size_t len)
{
    struct pixi_event e;
    char sent[126], shown[PIXI_SHOWN];

    pixi_check_random(62, sent);
    pixi_peer_send(p, &ping, pixi_cur_init(sent, len));
    if (!pixi_check_await(v, p, PIXI_VFRAME_PONG, pixi_wires_deadline(v->s.request_ms), "the pong", &e))
        return false;
    if (pixi_cur_equals(e.bytes, pixi_cur_init(sent, len)))
        return true;
    pixi_check_fail(v, PIXI_EXIT_PROTOCOL, "RFC 6455 §5.5.3",
                    "the pong does not hold the ping's %zu bytes: %s", len,
                    pixi_check_show(v, e.bytes, shown));
    pixi_check_fix(v, "let the server send a ping's payload back in its pong");
    return false;
}

void pixi_check_ping(struct pixi_verify *v)
{
    struct pixi_peer p;
    uint64_t start;

    if (!pixi_check_open(v, &p))
        return;
    start = pixi_clock_mono_us();
    if (is_ponged(v, &p, 16)) {
        uint64_t us = pixi_clock_mono_us() - start;

        if (is_ponged(v, &p, 0) && is_ponged(v, &p, 124)) {
            v->facts |= PIXI_FACT_PONGS;
            pixi_check_pass(v, "3 pongs, the first in %.2f ms", (double)us / 1000);
        }
    }
    pixi_peer_close(&p);
}

static void judge_close(struct pixi_verify *v, struct pixi_peer *p, const struct pixi_event *e)
{
    if (e->code != 1000) {
        pixi_check_fail(v, PIXI_EXIT_PROTOCOL, "RFC 6455 §5.5.1",
                        "a close with 1000 was answered by one with %u", e->code);
        pixi_check_fix(v, "let the server answer a close frame with the status code that it got");
    } else if (pixi_wire_wait_end(&p->wire, pixi_wires_deadline(v->s.close_ms)) != PIXI_OK) {
        pixi_check_fail(v, PIXI_EXIT_TIMEOUT, "RFC 6455 §7.1.1",
                        "the close was answered, but the server kept the connection open for %u ms",
                        v->s.close_ms);
        pixi_check_fix(v, "let the server close the TCP connection when both close frames have been sent");
    } else {
        pixi_check_pass(v, "1000 answered, connection ended");
    }
}

void pixi_check_close(struct pixi_verify *v)
{
    static const uint8_t payload[] = "\x03\xe8verified";
    struct pixi_peer p;
    struct pixi_event e = {0};
    uint64_t deadline;
    int rc;

    if (!pixi_check_open(v, &p))
        return;
    pixi_peer_send(&p, &(struct pixi_vframe_form){.opcode = PIXI_VFRAME_CLOSE},
                   pixi_cur_init(payload, sizeof payload - 1));
    deadline = pixi_wires_deadline(v->s.close_ms);
    do {
        rc = pixi_peer_next(&p, deadline, &e);
    } while (rc == PIXI_OK && e.opcode != PIXI_VFRAME_CLOSE);
    if (rc)
        pixi_blame_next(v, rc, "the answer to a close frame");
    else
        judge_close(v, &p, &e);
    pixi_wire_close(&p.wire);
    pixi_peer_close(&p);
}

/* ---- fragments ---- */

/* What this endpoint answers, in pieces: a call, or a text whose characters are cut apart. */
static struct pixi_cur text_for(const struct pixi_verify *v)
{
    return pixi_cur_str(pixi_check_has(v, PIXI_FACT_PIXI)
                            ? "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}"
                            : "✓grün🦆✓grün🦆");
}

static void send_piece(struct pixi_peer *p, struct pixi_cur *text, size_t len, bool is_first)
{
    struct pixi_vframe_form form = {.opcode = is_first ? PIXI_VFRAME_TEXT : PIXI_VFRAME_CONTINUATION};
    struct pixi_cur piece = {text->p, text->p};

    (void)pixi_cur_cut(text, len, &piece);
    form.is_continued = pixi_cur_left(text) > 0;
    pixi_peer_send(p, &form, piece);
}

/* The endpoint's answer to the text for it. */
static bool is_answered(struct pixi_verify *v, struct pixi_peer *p)
{
    struct pixi_event e;
    char shown[PIXI_SHOWN];
    int64_t id;

    if (!pixi_check_await(v, p, PIXI_VFRAME_TEXT, pixi_wires_deadline(v->s.request_ms),
                          "the answer to a fragmented message", &e))
        return false;
    if (pixi_check_has(v, PIXI_FACT_PIXI) ? pixi_member_int(e.bytes, "id", &id) && id == 7
                                          : pixi_cur_equals(e.bytes, text_for(v)))
        return true;
    pixi_check_fail(v, PIXI_EXIT_PROTOCOL, "RFC 6455 §5.4",
                    "a fragmented message was not understood as one: the answer is %s",
                    pixi_check_show(v, e.bytes, shown));
    pixi_check_fix(
        v, "let the server join the fragments of a message, from its first frame to the one with FIN");
    return false;
}

void pixi_check_fragments(struct pixi_verify *v)
{
    struct pixi_peer p;
    struct pixi_cur text = text_for(v);

    if (!pixi_check_open(v, &p))
        return;
    send_piece(&p, &text, 1, true);
    send_piece(&p, &text, 0, false);
    send_piece(&p, &text, 8, false);
    send_piece(&p, &text, pixi_cur_left(&text), false);
    if (is_answered(v, &p)) {
        v->facts |= PIXI_FACT_JOINS;
        pixi_check_pass(v, "4 fragments, one of them empty");
    }
    pixi_peer_close(&p);
}

void pixi_check_ping_between(struct pixi_verify *v)
{
    struct pixi_peer p;
    struct pixi_cur text = text_for(v);

    if (!pixi_check_open(v, &p))
        return;
    send_piece(&p, &text, 9, true);
    if (is_ponged(v, &p, 8)) {
        send_piece(&p, &text, pixi_cur_left(&text), false);
        if (is_answered(v, &p))
            pixi_check_pass(v, "pong between, then the answer");
    }
    pixi_peer_close(&p);
}
