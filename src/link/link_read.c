/* What a peer sends once the link is open: frames, or lines. */
#include "link/link_state.h"

enum { PACKED_RX_LEAST = 64 }; /* bytes in a turn */

static void on_peer_close(struct pixi_link *k, const struct pixi_ws_event *e)
{
    bool is_ours = k->state == PIXI_LINK_CLOSE_SENT;

    pixi_link_set_end(k, PIXI_OK, e->code, e->reason, is_ours);
    if (!is_ours)
        pixi_link_put_close(k, e->code, pixi_cur_init(NULL, 0));
    if (k->state != PIXI_LINK_CLOSED)
        pixi_link_linger(k);
}

/* What the reader itself did not find: told at the byte where it has got to. */
static void fail_message(struct pixi_link *k, int err)
{
    k->reader.fault = (struct pixi_fault){err, k->reader.offset};
    pixi_link_fail(k, err);
}

static void unpack(struct pixi_link *k, enum pixi_ws_opcode type, struct pixi_cur packed)
{
    struct pixi_buf b = pixi_loop_borrow(k->loop, k->limits->message_bytes + 1);
    int rc = pixi_packer_unpack(k->packer, type, packed, k->limits->message_bytes, &b);

    if (rc == PIXI_OK) {
        pixi_gain_count(&k->packer->received, b.len, pixi_cur_left(&packed), true);
        k->handlers->on_message(k, type, b.bytes, b.len);
    } else {
        fail_message(k, rc);
    }
    pixi_loop_give_back(k->loop, &b);
}

static void on_whole(struct pixi_link *k, const struct pixi_ws_event *e, uint8_t *bytes, size_t len)
{
    if (e->is_compressed) {
        unpack(k, e->message, pixi_cur_init(bytes, len));
        return;
    }
    if (k->pack_max)
        pixi_gain_count(&k->packer->received, len, len, false);
    k->handlers->on_message(k, e->message, bytes, len);
}

static void on_data(struct pixi_link *k, const struct pixi_ws_event *e)
{
    size_t most = k->limits->message_bytes;

    if (k->state != PIXI_LINK_OPEN && !k->hears_out)
        return; /* we have said close: it is passed over, as the reader must still find the peer's close */
    if (e->is_last)
        k->begun_ms = 0;
    if (e->is_first && e->is_last) {
        on_whole(k, e, e->bytes, e->len);
        return;
    }
    if (e->is_first)
        k->partial = pixi_loop_borrow(k->loop, e->is_compressed ? (size_t)pixi_ws_deflate_bound(most) : most);
    pixi_buf_put(&k->partial, e->bytes, e->len);
    if (k->partial.err) {
        pixi_link_fail(k, k->partial.err == PIXI_E_LIMIT ? PIXI_E_WS_TOO_BIG : k->partial.err);
    } else if (e->is_last) {
        struct pixi_buf whole = k->partial;

        k->partial = pixi_buf_init(0);
        on_whole(k, e, whole.bytes, whole.len);
        pixi_loop_give_back(k->loop, &whole);
    }
}

static void on_ping(struct pixi_link *k, const struct pixi_ws_event *e)
{
    int rc = k->state == PIXI_LINK_OPEN ? pixi_link_send(k, PIXI_WS_PONG, e->bytes, e->len) : PIXI_OK;

    if (rc == PIXI_E_QUEUE)
        pixi_link_drop(k, rc); /* it sends pings and reads no answers */
}

static void on_event(struct pixi_link *k, const struct pixi_ws_event *e)
{
    switch (e->type) {
    case PIXI_WS_EVENT_DATA: on_data(k, e); return;
    case PIXI_WS_EVENT_CLOSE: on_peer_close(k, e); return;
    case PIXI_WS_EVENT_PING: on_ping(k, e); break;
    case PIXI_WS_EVENT_PONG: break;
    }
    if (k->state == PIXI_LINK_OPEN && k->handlers->on_control)
        k->handlers->on_control(k, e->type, e->bytes, e->len);
}

/* A few bytes can become a thousand times as many, and everybody waits for that: what a link may read in its next turn is
 * so much that what comes of it is as much as others may read. */
static void pace(struct pixi_link *k, size_t len, uint64_t unpacked)
{
    size_t most = k->tcp.rx_most;

    if (unpacked > PIXI_RX_LEN)
        most = (size_t)(len * (uint64_t)PIXI_RX_LEN / unpacked);
    else if (unpacked < PIXI_RX_LEN / 2 && most < PIXI_LINK_PACKED_RX)
        most *= 2;
    k->tcp.rx_most = most > PACKED_RX_LEAST ? most : PACKED_RX_LEAST;
}

static void read_frames(struct pixi_link *k, uint8_t *bytes, size_t len)
{
    uint8_t *p = bytes, *end = bytes + len;
    struct pixi_ws_event e;
    int rc = PIXI_OK;

    while (rc == PIXI_OK && (k->state == PIXI_LINK_OPEN || k->state == PIXI_LINK_CLOSE_SENT)) {
        rc = pixi_ws_reader_next(&k->reader, &p, end, &e);
        if (rc == PIXI_OK)
            on_event(k, &e);
    }
    if (rc < 0)
        pixi_link_fail(k, rc);
    if (pixi_ws_reader_is_idle(&k->reader))
        k->begun_ms = 0;
    else if (!k->begun_ms)
        k->begun_ms = k->loop->now_ms;
}

void pixi_link_read_frames(struct pixi_link *k, uint8_t *bytes, size_t len)
{
    uint64_t before;

    if (!k->pack_max) {
        read_frames(k, bytes, len);
        return;
    }
    before = k->packer->received.before;
    read_frames(k, bytes, len);
    pace(k, len, k->packer->received.before - before);
}

/* --- a plain stream ---------------------------------------------------------------------------------------------- */

static void keep_part(struct pixi_link *k, const uint8_t *bytes, size_t len)
{
    if (!k->partial.max)
        k->partial = pixi_loop_borrow(k->loop, k->limits->message_bytes);
    pixi_buf_put(&k->partial, bytes, len);
    if (k->partial.err)
        pixi_link_drop(k, k->partial.err == PIXI_E_LIMIT ? PIXI_E_WS_TOO_BIG : k->partial.err);
}

void pixi_link_read_lines(struct pixi_link *k, uint8_t *bytes, size_t len)
{
    uint8_t *end = bytes + len, *newline;

    while (k->state == PIXI_LINK_OPEN && (newline = memchr(bytes, '\n', (size_t)(end - bytes)))) {
        if (k->partial.len == 0) {
            k->handlers->on_message(k, PIXI_WS_TEXT, bytes, (size_t)(newline - bytes));
        } else {
            struct pixi_buf whole;

            keep_part(k, bytes, (size_t)(newline - bytes));
            whole = k->partial;
            k->partial = pixi_buf_init(0);
            if (k->state == PIXI_LINK_OPEN)
                k->handlers->on_message(k, PIXI_WS_TEXT, whole.bytes, whole.len);
            pixi_loop_give_back(k->loop, &whole);
        }
        bytes = newline + 1;
    }
    if (k->state == PIXI_LINK_OPEN && bytes != end)
        keep_part(k, bytes, (size_t)(end - bytes));
}

void pixi_link_lines(struct pixi_link *k, const char *protocol)
{
    k->form = PIXI_LINK_LINES;
    k->state = PIXI_LINK_OPEN;
    k->was_open = true;
    k->heard_ms = k->loop->now_ms;
    k->handlers->on_open(k, pixi_cur_str(protocol));
}
