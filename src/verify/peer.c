#include "verify/peer.h"

#include "base/base64.h"
#include "verify/deflate.h"
#include "verify/text.h"

#include <openssl/rand.h>

enum {
    BODY_MAX = 2048,    /* bytes of a refusal's body that are looked at */
    BODY_WAIT_MS = 300, /* how long they are waited for */
    PAYLOAD_MAX = PIXI_WIRE_MESSAGE,
};

static void send_request(struct pixi_peer *p)
{
    struct pixi_buf b = pixi_buf_init(PIXI_VHTTP_MAX);
    uint8_t nonce[16] = {0};

    RAND_bytes(nonce, sizeof nonce);
    p->offer.nonce[pixi_base64_encode(PIXI_BASE64_STD, nonce, sizeof nonce, p->offer.nonce)] = 0;
    pixi_vhttp_put_request(&b, &p->offer);
    pixi_wire_send(&p->wire, pixi_buf_cur(&b));
    pixi_buf_clear(&b);
}

/* What it means that nothing more comes. */
static int how_ended(const struct pixi_peer *p)
{
    return p->wire.end_err == PIXI_OK ? PIXI_E_WS_NO_CLOSE : p->wire.end_err;
}

static int read_head(struct pixi_peer *p, uint64_t deadline, size_t *used)
{
    for (;;) {
        struct pixi_cur c = pixi_buf_cur(&p->wire.in);
        int rc = pixi_vhttp_read(&c, &p->head);

        if (rc != PIXI_MORE) {
            *used = (size_t)(c.p - p->wire.in.bytes);
            return rc;
        }
        rc = pixi_wire_wait(&p->wire, p->wire.in.len, deadline);
        if (rc == PIXI_E_RESET)
            return how_ended(p);
        if (rc)
            return rc;
    }
}

/* Garbage is told by its first byte, known by its first few: give them a moment to come. */
static void await_some(struct pixi_peer *p, size_t len)
{
    uint64_t deadline = pixi_wires_deadline(BODY_WAIT_MS);

    while (p->wire.in.len < len && pixi_wire_wait(&p->wire, p->wire.in.len, deadline) == PIXI_OK)
        ;
}

/* The body, as far as its length is told and it comes soon. */
static void await_body(struct pixi_peer *p, size_t head_len)
{
    struct pixi_cur value;
    size_t want = BODY_MAX;

    if (pixi_vhttp_get(&p->head, "Content-Length", 0, &value) && pixi_cur_left(&value) < 9) {
        want = 0;
        for (; value.p < value.end && *value.p >= '0' && *value.p <= '9'; value.p++)
            want = want * 10 + (size_t)(*value.p - '0');
        want = want < BODY_MAX ? want : BODY_MAX;
    }
    await_some(p, head_len + want);
}

/* The head moves to a place of its own, so that frames can be taken from the wire. */
static void keep_head(struct pixi_peer *p, size_t head_len, size_t len)
{
    struct pixi_cur c;

    p->answer = pixi_buf_init(PIXI_VHTTP_MAX + BODY_MAX);
    pixi_buf_put(&p->answer, p->wire.in.bytes, len < p->answer.max ? len : p->answer.max);
    pixi_wire_take(&p->wire, len);
    c = pixi_cur_init(p->answer.bytes, head_len);
    (void)pixi_vhttp_read(&c, &p->head);
}

int pixi_peer_open(struct pixi_peer *p, struct pixi_wires *ws, const struct pixi_peer_offer *offer)
{
    uint64_t start;
    size_t used;
    int rc;

    *p = (struct pixi_peer){.offer = {.authority = offer->authority,
                                      .target = offer->target,
                                      .subprotocol = offer->subprotocol,
                                      .api_key = offer->api_key,
                                      .extensions = offer->extensions},
                            .message = pixi_buf_init(PAYLOAD_MAX),
                            .inflated = pixi_buf_init(PAYLOAD_MAX)};
    rc = pixi_wire_dial(&p->wire, ws, offer->connect_ms);
    if (rc != PIXI_OK)
        return rc == PIXI_E_TLS ? rc : PIXI_E_CONNECT;
    start = pixi_clock_mono_us();
    send_request(p);
    rc = read_head(p, pixi_wires_deadline(offer->upgrade_ms), &used);
    p->us = pixi_clock_mono_us() - start;
    if (rc == PIXI_E_HTTP_START)
        await_some(p, 64);
    if (rc)
        return rc;
    if (p->head.status == 101) {
        keep_head(p, used, used);
        return pixi_vhttp_check_upgrade(&p->head, &p->offer);
    }
    await_body(p, used);
    keep_head(p, used, p->wire.in.len);
    return PIXI_E_WS_STATUS;
}

void pixi_peer_send(struct pixi_peer *p, const struct pixi_vframe_form *form, struct pixi_cur payload)
{
    struct pixi_buf b = pixi_buf_init(PAYLOAD_MAX + 14);
    uint8_t mask[4] = {0};

    RAND_bytes(mask, sizeof mask);
    pixi_vframe_put(&b, form, mask, payload);
    pixi_wire_send(&p->wire, pixi_buf_cur(&b));
    pixi_buf_clear(&b);
}

void pixi_peer_send_text(struct pixi_peer *p, struct pixi_cur text)
{
    pixi_peer_send(p, &(struct pixi_vframe_form){.opcode = PIXI_VFRAME_TEXT}, text);
}

/* The message under way has come. */
static int end_message(struct pixi_peer *p, struct pixi_event *out)
{
    struct pixi_cur bytes = pixi_buf_cur(&p->message);
    int rc;

    *out = (struct pixi_event){.opcode = p->opcode, .bytes = bytes};
    if (p->is_compressed) {
        pixi_buf_reset(&p->inflated);
        if ((rc = pixi_vdeflate_unpack(bytes, &p->inflated)) != PIXI_OK)
            return rc;
        out->packed_len = pixi_cur_left(&bytes);
        out->bytes = pixi_buf_cur(&p->inflated);
    }
    if (p->opcode == PIXI_VFRAME_TEXT && !pixi_vtext_is_utf8(out->bytes))
        return PIXI_E_WS_UTF8;
    p->opcode = 0;
    return PIXI_OK;
}

/* Adds a data frame to the message under way. PIXI_OK: it is whole, out is set. PIXI_MORE: it is not. */
static int add_frame(struct pixi_peer *p, const struct pixi_vframe *f, struct pixi_event *out)
{
    if ((f->opcode == PIXI_VFRAME_CONTINUATION) != (p->opcode != 0))
        return PIXI_E_WS_FRAGMENT;
    if (p->opcode == 0) {
        p->opcode = f->opcode;
        p->is_compressed = f->is_compressed;
        pixi_buf_reset(&p->message);
    }
    pixi_buf_put_cur(&p->message, f->payload);
    if (p->message.err)
        return p->message.err == PIXI_E_LIMIT ? PIXI_E_WS_TOO_BIG : p->message.err;
    return f->is_final ? end_message(p, out) : PIXI_MORE;
}

static int take_control(struct pixi_peer *p, const struct pixi_vframe *f, struct pixi_event *out)
{
    *out = (struct pixi_event){.opcode = f->opcode, .code = 1005};
    memcpy(p->control, f->payload.p, pixi_cur_left(&f->payload));
    out->bytes = pixi_cur_init(p->control, pixi_cur_left(&f->payload));
    if (f->opcode == PIXI_VFRAME_PING) {
        /* who floods us with pings and reads nothing gets no more answers */
        if (pixi_tcp_waiting(&p->wire.tcp) < PAYLOAD_MAX)
            pixi_peer_send(p, &(struct pixi_vframe_form){.opcode = PIXI_VFRAME_PONG}, out->bytes);
        return PIXI_MORE;
    }
    if (f->opcode == PIXI_VFRAME_CLOSE)
        return pixi_vframe_check_close(out->bytes, &out->code, &out->bytes);
    return PIXI_OK;
}

/* Takes one frame off the wire. PIXI_OK: out is an event. PIXI_MORE: not yet; *is_short says whether for want of
 * bytes. */
static int take_frame(struct pixi_peer *p, struct pixi_event *out, bool *is_short)
{
    struct pixi_cur c = pixi_buf_cur(&p->wire.in);
    struct pixi_vframe f;
    int rc = pixi_vframe_read(&c, PIXI_SERVER, p->deflates ? PIXI_VFRAME_DEFLATED : PIXI_VFRAME_PLAIN,
                              PAYLOAD_MAX, &f);

    *is_short = rc == PIXI_MORE;
    if (rc)
        return rc;
    rc = f.opcode & 8 ? take_control(p, &f, out) : add_frame(p, &f, out);
    pixi_wire_take(&p->wire, (size_t)(c.p - p->wire.in.bytes));
    return rc;
}

int pixi_peer_next(struct pixi_peer *p, uint64_t deadline, struct pixi_event *out)
{
    for (;;) {
        bool is_short;
        int rc = take_frame(p, out, &is_short);

        if (rc != PIXI_MORE)
            return rc;
        rc = is_short ? pixi_wire_wait(&p->wire, p->wire.in.len, deadline) : PIXI_OK;
        if (rc == PIXI_E_RESET)
            return how_ended(p);
        if (rc)
            return rc;
    }
}

static void release(struct pixi_peer *p)
{
    pixi_buf_clear(&p->answer);
    pixi_buf_clear(&p->message);
    pixi_buf_clear(&p->inflated);
}

void pixi_peer_close(struct pixi_peer *p)
{
    static const uint8_t done[] = {1000 >> 8, 1000 & 255};

    if (p->head.status == 101)
        pixi_peer_send(p, &(struct pixi_vframe_form){.opcode = PIXI_VFRAME_CLOSE}, pixi_cur_init(done, 2));
    pixi_wire_close(&p->wire);
    release(p);
}

void pixi_peer_abort(struct pixi_peer *p)
{
    pixi_wire_abort(&p->wire);
    release(p);
}
