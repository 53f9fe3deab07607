/* What an endpoint has to refuse: frames that no client may send. Each is sent on a connection of its own. */
#include "verify/checks.h"

#include <string.h>

enum { PATIENCE_MS = 300 }; /* how long we wait for a refusal before asking whether there will be one */

struct frame {
    struct pixi_vframe_form form;
    const char *payload;
    size_t len;
};

#define BYTES(text) text, sizeof text - 1

/* 126 bytes: one more than a control frame may have. */
#define LONG                                                                                                 \
    "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"             \
    "012345678901234567890123456789012345"

/* "Hello", compressed: RFC 7692 §7.2.3.1. */
#define HELLO      "\xf2\x48\xcd\xc9\xc9\x07\x00"
#define HELLO_REST "\xc9\xc9\x07\x00"

/* Sends frames, count of them; the close code that is due, 0: any; where that is written; what to correct. */
static const struct broken {
    const char *id;
    uint16_t code;
    const char *clause, *fix;
    size_t count;
    struct frame frames[2];
} brokens[] = {
    {"unmasked",
     1002,
     "RFC 6455 §5.1",
     "let the server close with 1002 when a client's frame has no mask",
     1,
     {{{.opcode = PIXI_VFRAME_TEXT, .is_unmasked = true}, BYTES("{}")}}},
    {"opcode",
     1002,
     "RFC 6455 §5.2",
     "let the server close with 1002 on opcodes 3 to 7",
     1,
     {{{.opcode = 3}, BYTES("{}")}}},
    {"opcode-control",
     1002,
     "RFC 6455 §5.2",
     "let the server close with 1002 on opcodes 11 to 15",
     1,
     {{{.opcode = 11}, BYTES("")}}},
    {"reserved-bit",
     1002,
     "RFC 6455 §5.2",
     "let the server close with 1002 when a reserved bit is set and no extension agreed",
     1,
     {{{.opcode = PIXI_VFRAME_TEXT, .rsv = 2}, BYTES("{}")}}},
    {"text-utf8",
     1007,
     "RFC 6455 §8.1",
     "let the server check text messages for UTF-8, and close with 1007",
     1,
     {{{.opcode = PIXI_VFRAME_TEXT}, BYTES("\"\xed\xa0\x80\"")}}},
    {"ping-fragmented",
     1002,
     "RFC 6455 §5.5",
     "let the server close with 1002 on a control frame without FIN",
     1,
     {{{.opcode = PIXI_VFRAME_PING, .is_continued = true}, BYTES("verify")}}},
    {"ping-long",
     1002,
     "RFC 6455 §5.5",
     "let the server close with 1002 on a control frame over 125 bytes",
     1,
     {{{.opcode = PIXI_VFRAME_PING}, BYTES(LONG)}}},
    {"continuation",
     1002,
     "RFC 6455 §5.4",
     "let the server close with 1002 on a continuation where no message was begun",
     1,
     {{{.opcode = PIXI_VFRAME_CONTINUATION}, BYTES("{}")}}},
    {"start-inside",
     1002,
     "RFC 6455 §5.4",
     "let the server close with 1002 on a new message before the last has ended",
     2,
     {{{.opcode = PIXI_VFRAME_TEXT, .is_continued = true}, BYTES("{")},
      {{.opcode = PIXI_VFRAME_TEXT}, BYTES("{}")}}},
    {"close-code",
     1002,
     "RFC 6455 §7.4.1",
     "let the server answer 1002 to a close code that may not be sent: 1004, 1005, 1006, 1015",
     1,
     {{{.opcode = PIXI_VFRAME_CLOSE}, BYTES("\x03\xed")}}},
    {"close-short",
     1002,
     "RFC 6455 §5.5.1",
     "let the server answer 1002 to a close frame with half a code",
     1,
     {{{.opcode = PIXI_VFRAME_CLOSE}, BYTES("\x03")}}},
    {"close-utf8",
     1007,
     "RFC 6455 §5.5.1",
     "let the server check a close frame's reason for UTF-8, and close with 1007",
     1,
     {{{.opcode = PIXI_VFRAME_CLOSE}, BYTES("\x03\xe8\xc0\xaf")}}},
    {"length",
     1002,
     "RFC 6455 §5.2",
     "let the server close with 1002 on a length that has a shorter form",
     1,
     {{{.opcode = PIXI_VFRAME_TEXT, .len_width = 8}, BYTES("{}")}}},
    {"deflate-unasked",
     1002,
     "RFC 6455 §5.2",
     "let the server close with 1002 on RSV1 where no compression was agreed on",
     1,
     {{{.opcode = PIXI_VFRAME_TEXT, .rsv = 4}, BYTES(HELLO)}}},
    {"deflate-control",
     1002,
     "RFC 7692 §6.1",
     "let the server close with 1002 on a control frame with RSV1",
     1,
     {{{.opcode = PIXI_VFRAME_PING, .rsv = 4}, BYTES("")}}},
    {"deflate-again",
     1002,
     "RFC 7692 §6.1",
     "let the server close with 1002 on a continuation with RSV1",
     2,
     {{{.opcode = PIXI_VFRAME_TEXT, .rsv = 4, .is_continued = true}, HELLO, 3},
      {{.opcode = PIXI_VFRAME_CONTINUATION, .rsv = 4}, BYTES(HELLO_REST)}}},
    {"deflate-data",
     0,
     "RFC 7692 §7.2.2",
     "let the server close the connection over a compressed message that does not inflate",
     1,
     {{{.opcode = PIXI_VFRAME_TEXT, .rsv = 4}, BYTES("\xff\xff\xff")}}},
    {"deflate-utf8",
     1007,
     "RFC 6455 §8.1",
     "let the server check text messages for UTF-8 when they are inflated, and close with 1007",
     1,
     {{{.opcode = PIXI_VFRAME_TEXT, .rsv = 4}, BYTES("\0\x05\0\xfa\xff\"\xed\xa0\x80\"\0")}}},
};

static const struct broken *find(const char *id)
{
    size_t i = 0;

    while (strcmp(brokens[i].id, id) != 0)
        i++;
    return &brokens[i];
}

/* Waits for the refusal. What the endpoint sends beside it is of no interest; but when our patience has ended it is
 * asked by a ping whether it still listens. *is_taken: it does. */
static int await_refusal(struct pixi_verify *v, struct pixi_peer *p, struct pixi_event *e, bool *is_taken)
{
    static const struct pixi_vframe_form ping = {.opcode = PIXI_VFRAME_PING};
    uint64_t patience = pixi_wires_deadline(PATIENCE_MS), deadline = patience + v->s.close_ms;
    bool is_asked = false;

    *is_taken = false;
    for (;;) {
        int rc = pixi_peer_next(p, is_asked ? deadline : patience, e);

        if (rc == PIXI_E_TIMEOUT && !is_asked) {
            pixi_peer_send(p, &ping, pixi_cur_str("still there?"));
            is_asked = true;
            continue;
        }
        *is_taken = rc == PIXI_OK && is_asked && e->opcode == PIXI_VFRAME_PONG;
        if (rc || *is_taken || e->opcode == PIXI_VFRAME_CLOSE)
            return rc;
    }
}

/* Where MQTT alone is spoken a text message is wrong, whatever is in it. */
static bool is_wrong_anyway(const struct pixi_verify *v, const struct broken *b)
{
    return b->code == 1007 && b->frames[0].form.opcode == PIXI_VFRAME_TEXT && v->subprotocol &&
           strcmp(v->subprotocol, "mqtt") == 0;
}

static void judge(struct pixi_verify *v, const struct broken *b, int rc, const struct pixi_event *e,
                  bool is_taken)
{
    if (is_taken) {
        pixi_check_fail(v, PIXI_EXIT_PROTOCOL, b->clause,
                        "the server took what it has to refuse, and went on");
    } else if (rc == PIXI_OK && (e->code == b->code || !b->code || is_wrong_anyway(v, b))) {
        pixi_check_pass(v, "refused with %u", e->code);
        return;
    } else if (rc == PIXI_OK) {
        pixi_check_fail(v, PIXI_EXIT_PROTOCOL, b->clause, "refused with close code %u, not %u", e->code,
                        b->code);
    } else if (rc == PIXI_E_WS_NO_CLOSE || rc == PIXI_E_RESET) {
        pixi_check_pass(v, "refused: connection ended, no close frame");
        return;
    } else if (rc == PIXI_E_TIMEOUT) {
        pixi_check_fail(v, PIXI_EXIT_TIMEOUT, b->clause, "neither refused nor answered within %u ms",
                        v->s.close_ms);
    } else {
        pixi_blame_next(v, rc, "a refusal");
        return;
    }
    pixi_check_fix(v, "%s", b->fix);
}

void pixi_check_broken(struct pixi_verify *v)
{
    const struct broken *b = find(v->row->id);
    struct pixi_peer p;
    struct pixi_event e = {0};
    bool is_taken;
    int rc;

    if (!(v->row->needs & PIXI_FACT_DEFLATES ? pixi_check_open_deflated(v, &p) : pixi_check_open(v, &p)))
        return;
    for (size_t i = 0; i < b->count; i++)
        pixi_peer_send(&p, &b->frames[i].form, pixi_cur_init(b->frames[i].payload, b->frames[i].len));
    rc = await_refusal(v, &p, &e, &is_taken);
    judge(v, b, rc, &e, is_taken);
    pixi_wire_close(&p.wire); /* nothing polite after this */
    pixi_peer_close(&p);
}
