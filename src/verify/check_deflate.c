/* permessage-deflate, with any server: the answer to an offer, and compressed messages. RFC 7692. */
#include "verify/checks.h"
#include "verify/deflate.h"
#include "verify/session.h"

#include <string.h>

enum { TEXT_MAX = 8192 };

static const char FIELD[] = "Sec-WebSocket-Extensions";

static void fail_answer(struct pixi_verify *v, const struct pixi_peer *p, int rc)
{
    struct pixi_cur value = pixi_cur_str("");
    char shown[PIXI_SHOWN];

    (void)pixi_vhttp_get(&p->head, FIELD, 0, &value);
    pixi_check_fail(v, PIXI_EXIT_UPGRADE, pixi_err_clause(rc),
                    "the answer to the offer \"%s\" is wrong: %s (%s: %s)", PIXI_VDEFLATE_OFFER,
                    pixi_err_text(rc), FIELD, pixi_check_show(v, value, shown));
    pixi_check_fix(v, "let the server answer an offer as RFC 7692 §7 says, or pass it over");
}

/* PIXI_OK: open and agreed. PIXI_MORE: open, and declined. Else the failure is told, and the peer is closed. */
static int open_offering(struct pixi_verify *v, struct pixi_peer *p)
{
    int rc = pixi_check_try(v, p, PIXI_VDEFLATE_OFFER);

    if (rc != PIXI_OK) {
        pixi_blame_open(v, p, rc);
        pixi_peer_close(p);
        return rc;
    }
    rc = pixi_vdeflate_read_answer(&p->head);
    p->deflates = rc == PIXI_OK;
    if (rc < 0) {
        fail_answer(v, p, rc);
        pixi_peer_close(p);
    }
    return rc;
}

bool pixi_check_open_deflated(struct pixi_verify *v, struct pixi_peer *p)
{
    int rc = open_offering(v, p);

    if (rc == PIXI_MORE) {
        pixi_peer_close(p);
        pixi_check_skip(v, "this server agrees on no compression any more");
    }
    return rc == PIXI_OK;
}

void pixi_check_deflate(struct pixi_verify *v)
{
    struct pixi_peer p;
    struct pixi_cur value;
    char shown[PIXI_SHOWN];
    int rc = open_offering(v, &p);

    if (rc < 0)
        return;
    if (rc == PIXI_OK && pixi_vhttp_get(&p.head, FIELD, 0, &value)) {
        v->facts |= PIXI_FACT_DEFLATES;
        pixi_check_pass(v, "agreed: %s", pixi_check_show(v, value, shown));
    } else {
        pixi_check_pass(v, "declined");
    }
    pixi_peer_close(&p);
}

void pixi_check_deflate_offer(struct pixi_verify *v)
{
    static const char offer[] = "permessage-deflate; server_max_window_bits=7";
    struct pixi_peer p;
    int rc = pixi_check_try(v, &p, offer);

    if (rc == PIXI_E_WS_STATUS && p.head.status == 400) {
        pixi_check_pass(v, "refused with 400");
    } else if (rc != PIXI_OK) {
        pixi_blame_open(v, &p, rc);
    } else if (pixi_vdeflate_read_answer(&p.head) == PIXI_MORE) {
        pixi_check_pass(v, "declined");
    } else {
        pixi_check_fail(v, PIXI_EXIT_UPGRADE, "RFC 7692 §7", "the server took the offer \"%s\"", offer);
        pixi_check_fix(v, "let the server decline an offer with a value that is ruled out");
    }
    pixi_peer_close(&p);
}

/* --- messages --------------------------------------------------------------------------------------------------------- */

/* What this endpoint answers, and long enough that compressing is worth it: a call with blanks behind it, or a text. */
static void put_text(const struct pixi_verify *v, struct pixi_buf *b)
{
    bool is_call = pixi_check_has(v, PIXI_FACT_PIXI);

    if (is_call)
        pixi_buf_put_str(b, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}");
    while (b->len < TEXT_MAX / 2)
        pixi_buf_put_str(b, is_call ? " " : "✓grün🦆, ");
}

/* Sends the text, compressed, in that many frames. */
static void send_packed(struct pixi_peer *p, struct pixi_cur text, size_t pieces)
{
    struct pixi_buf packed = pixi_buf_init(2 * TEXT_MAX);
    struct pixi_cur rest, piece;

    pixi_vdeflate_pack(text, &packed);
    rest = pixi_buf_cur(&packed);
    for (size_t i = 0; i < pieces; i++) {
        struct pixi_vframe_form form = {.opcode = i ? PIXI_VFRAME_CONTINUATION : PIXI_VFRAME_TEXT,
                                        .rsv = i ? 0 : 4,
                                        .is_continued = i + 1 < pieces};

        piece = rest;
        if (form.is_continued)
            (void)pixi_cur_cut(&rest, pixi_cur_left(&rest) / 2, &piece);
        pixi_peer_send(p, &form, piece);
    }
    pixi_buf_clear(&packed);
}

static bool is_right(const struct pixi_verify *v, struct pixi_cur text, struct pixi_cur answer)
{
    int64_t id = 0;

    return pixi_check_has(v, PIXI_FACT_PIXI) ? pixi_member_int(answer, "id", &id) && id == 7
                                             : pixi_cur_equals(answer, text);
}

static void judge(struct pixi_verify *v, struct pixi_cur text, const struct pixi_event *e)
{
    char shown[PIXI_SHOWN];

    if (is_right(v, text, e->bytes)) {
        if (e->packed_len)
            pixi_check_pass(v, "%zu bytes; the answer's %zu came in %zu", pixi_cur_left(&text),
                            pixi_cur_left(&e->bytes), e->packed_len);
        else
            pixi_check_pass(v, "%zu bytes; the answer's %zu came as they are", pixi_cur_left(&text),
                            pixi_cur_left(&e->bytes));
        return;
    }
    pixi_check_fail(v, PIXI_EXIT_PROTOCOL, "RFC 7692 §7.2.2",
                    "a compressed message was not understood: the answer is %s",
                    pixi_check_show(v, e->bytes, shown));
    pixi_check_fix(v, "let the server join a compressed message's frames, add 00 00 ff ff and inflate that");
}

static void check_text(struct pixi_verify *v, size_t pieces)
{
    struct pixi_buf text = pixi_buf_init(TEXT_MAX);
    struct pixi_peer p;
    struct pixi_event e;

    if (!pixi_check_open_deflated(v, &p))
        return;
    put_text(v, &text);
    send_packed(&p, pixi_buf_cur(&text), pieces);
    if (pixi_check_await(v, &p, PIXI_VFRAME_TEXT, pixi_wires_deadline(v->s.request_ms),
                         "the answer to a compressed message", &e))
        judge(v, pixi_buf_cur(&text), &e);
    pixi_peer_close(&p);
    pixi_buf_clear(&text);
}

void pixi_check_deflate_text(struct pixi_verify *v)
{
    check_text(v, 1);
}

void pixi_check_deflate_pieces(struct pixi_verify *v)
{
    check_text(v, 4);
}
