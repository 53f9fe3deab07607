/* ws_reader.c -- the WebSocket reader, both roles: however a stream is cut, the same events. Input: role and
 * whether compression was agreed on, cut, stream. */
#include "fuzz/fuzz.h"

#include "proto/ws/close.h"
#include "proto/ws/reader.h"

enum { MESSAGE_MAX = 70000, PACKED_MAX = MESSAGE_MAX + MESSAGE_MAX / 8 + 64 };

struct how {
    enum pixi_role from;
    enum pixi_ws_packing may;
};

struct run {
    struct pixi_ws_reader reader;
    struct pixi_buf message, *out;
    bool is_closed;
};

static void put(struct run *r, const char *name, struct pixi_cur bytes)
{
    pixi_buf_putf(r->out, "%s:", name);
    fuzz_put_hex(r->out, bytes);
    pixi_buf_put_str(r->out, " ");
}

static void on_close(struct run *r, const struct pixi_ws_event *e)
{
    uint8_t again[PIXI_WS_CONTROL_MAX];
    struct pixi_cur reason;
    uint16_t code;
    size_t len = pixi_ws_close_encode(e->code, e->reason, again);

    fuzz_must(pixi_ws_close_decode(pixi_cur_init(again, len), &code, &reason) == PIXI_OK,
              "a close is read again");
    fuzz_must(code == e->code && pixi_cur_equals(reason, e->reason), "as the same close");
    pixi_buf_putf(r->out, "%u ", e->code);
    put(r, "close", e->reason);
    r->is_closed = true;
}

static void on_data(struct run *r, const struct pixi_ws_event *e)
{
    if (e->is_first)
        pixi_buf_reset(&r->message);
    pixi_buf_put(&r->message, e->bytes, e->len);
    fuzz_must(r->message.len <= (e->is_compressed ? PACKED_MAX : MESSAGE_MAX),
              "no message is over the limit");
    fuzz_must(!e->is_compressed || r->reader.may == PIXI_WS_DEFLATED, "compressed where that was agreed on");
    if (!e->is_last)
        return;
    fuzz_must(e->message != PIXI_WS_TEXT || e->is_compressed ||
                  pixi_utf8_is_valid(r->message.bytes, r->message.len),
              "text is UTF-8");
    put(r, e->message == PIXI_WS_TEXT ? "text" : "bin", pixi_buf_cur(&r->message));
}

static int feed(struct run *r, uint8_t *bytes, size_t len)
{
    uint8_t *p = bytes, *end = bytes + len, *before = p;
    struct pixi_ws_event e;
    int rc;

    while ((rc = pixi_ws_reader_next(&r->reader, &p, end, &e)) == PIXI_OK) {
        fuzz_must(p >= before && p <= end, "it stays in the input");
        fuzz_must(!r->is_closed, "a close is the last event");
        before = p;
        switch (e.type) {
        case PIXI_WS_EVENT_DATA: on_data(r, &e); break;
        case PIXI_WS_EVENT_PING: put(r, "ping", pixi_cur_init(e.bytes, e.len)); break;
        case PIXI_WS_EVENT_PONG: put(r, "pong", pixi_cur_init(e.bytes, e.len)); break;
        case PIXI_WS_EVENT_CLOSE: on_close(r, &e); break;
        }
    }
    fuzz_must(rc != PIXI_MORE || p == end, "MORE has read all");
    return rc;
}

static void run(const void *how, struct fuzz_pieces *pieces, struct pixi_buf *out)
{
    struct run r = {.message = pixi_buf_init(PACKED_MAX + 1), .out = out};
    const struct how *with = how;
    int rc = PIXI_MORE;
    uint8_t *piece, more[] = {0x81, 0};
    size_t len;

    pixi_ws_reader_init(&r.reader, with->from, with->may, MESSAGE_MAX);
    while (rc >= 0 && (piece = fuzz_piece(pieces, &len)) != NULL)
        rc = feed(&r, piece, len);
    pixi_buf_putf(out, "%s at %ju, idle %d", pixi_err_name(rc), (uintmax_t)r.reader.fault.offset,
                  rc >= 0 && pixi_ws_reader_is_idle(&r.reader));
    if (rc < 0)
        fuzz_must(feed(&r, more, sizeof more) == rc, "an error is final");
    pixi_buf_clear(&r.message);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct pixi_cur in = pixi_cur_init(bytes, len);
    struct how how;
    uint8_t choices[2];

    fuzz_choices(&in, choices, sizeof choices);
    how.from = choices[0] & 1 ? PIXI_SERVER : PIXI_CLIENT;
    how.may = choices[0] & 2 ? PIXI_WS_DEFLATED : PIXI_WS_PLAIN;
    fuzz_chunks(run, &how, in, choices[1]);
    return 0;
}
