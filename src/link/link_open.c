/* The opening handshake, either role, and answers that are none. */
#include "link/link_state.h"

/* bits: of the window that is left to us. A message that is no longer needs none that is larger, whatever ours is. */
static size_t pack_max_of(unsigned bits)
{
    return bits == 0 || bits >= PIXI_WS_DEFLATE_BITS ? SIZE_MAX : (size_t)1 << bits;
}

/* pack_max: 0 where compression was not agreed on. */
static void open_up(struct pixi_link *k, struct pixi_cur protocol, size_t pack_max)
{
    k->pack_max = pack_max;
    if (pack_max)
        k->packer->link_count++;
    else
        k->tcp.rx_most = 0;
    k->state = PIXI_LINK_OPEN;
    k->was_open = true;
    pixi_ws_reader_init(&k->reader, k->role == PIXI_SERVER ? PIXI_CLIENT : PIXI_SERVER,
                        pack_max ? PIXI_WS_DEFLATED : PIXI_WS_PLAIN, k->limits->message_bytes);
    if (k->limits->ping_ms)
        pixi_loop_set_timer(k->loop, &k->timer, k->limits->ping_ms);
    else
        pixi_loop_cancel_timer(k->loop, &k->timer);
    k->handlers->on_open(k, protocol);
}

void pixi_link_accept(struct pixi_link *k, const struct pixi_ws_request *r, struct pixi_cur protocol)
{
    struct pixi_buf b = pixi_loop_borrow(k->loop, 4096);
    bool is_packed = k->packer && r->offers_deflate;
    struct pixi_ws_deflate deflate = pixi_ws_deflate_answer(&r->deflate);
    int rc;

    pixi_ws_response_put(&b, r, protocol, is_packed ? &deflate : NULL);
    rc = b.err ? b.err : pixi_tcp_send(&k->tcp, b.bytes, b.len);
    pixi_loop_give_back(k->loop, &b);
    if (rc == PIXI_OK)
        open_up(k, protocol, is_packed ? pack_max_of(deflate.server_max_window_bits) : 0);
    else
        pixi_link_drop(k, rc);
}

void pixi_link_respond(struct pixi_link *k, const struct pixi_buf *response)
{
    pixi_link_respond_shared(k, response, NULL);
}

void pixi_link_respond_shared(struct pixi_link *k, const struct pixi_buf *head, struct pixi_shared *body)
{
    int rc = head->err ? head->err : pixi_tcp_send(&k->tcp, head->bytes, head->len);

    if (rc == PIXI_OK && body)
        rc = pixi_tcp_send_shared(&k->tcp, body);
    if (rc != PIXI_OK) {
        pixi_link_drop(k, rc);
        return;
    }
    pixi_link_set_error(k, PIXI_E_WS_STATUS, true);
    pixi_link_linger(k);
}

static void on_request_bytes(struct pixi_link *k, struct pixi_cur *in)
{
    struct pixi_http_head head;
    struct pixi_ws_request request;
    int rc = pixi_http_request_decode(in, &k->limits->http, &head);

    if (rc == PIXI_MORE)
        return;
    if (rc != PIXI_OK) {
        k->handlers->on_request(k, NULL, rc, NULL);
        return;
    }
    rc = pixi_ws_request_check(&head, &request);
    k->handlers->on_request(k, &head, rc, rc == PIXI_OK ? &request : NULL);
}

static void on_response_bytes(struct pixi_link *k, struct pixi_cur *in)
{
    struct pixi_http_head head;
    struct pixi_ws_answer answer;
    int rc = pixi_http_response_decode(in, &k->limits->http, &head);

    if (rc == PIXI_MORE)
        return;
    if (rc == PIXI_OK)
        rc = pixi_ws_response_check(&head, &k->hello, &answer);
    if (rc == PIXI_OK) {
        open_up(k, answer.protocol,
                answer.has_deflate ? pack_max_of(answer.deflate.client_max_window_bits) : 0);
        return;
    }
    pixi_link_set_error(k, rc, rc != PIXI_E_WS_STATUS);
    if (rc == PIXI_E_WS_STATUS) {
        k->end.status = head.status;
        if (k->handlers->on_refused)
            k->handlers->on_refused(k, &head, *in);
    }
    pixi_link_finish(k);
}

/* Reads a head; what follows it in the same bytes is the stream already. */
static void read_head(struct pixi_link *k, uint8_t *bytes, size_t len)
{
    struct pixi_cur in = pixi_cur_init(bytes, len);

    if (k->role == PIXI_SERVER)
        on_request_bytes(k, &in);
    else
        on_response_bytes(k, &in);
    if (in.p != in.end)
        pixi_link_read_frames(k, bytes + (in.p - bytes), pixi_cur_left(&in));
}

void pixi_link_read_handshake(struct pixi_link *k, uint8_t *bytes, size_t len)
{
    struct pixi_buf whole;

    if (k->partial.len == 0) {
        read_head(k, bytes, len);
        if (k->state != PIXI_LINK_HANDSHAKE)
            return;
        k->partial = pixi_loop_borrow(k->loop, k->limits->http.head_bytes + PIXI_RX_LEN);
        pixi_buf_put(&k->partial, bytes, len);
        if (k->partial.err)
            pixi_link_drop(k, k->partial.err);
        return;
    }
    pixi_buf_put(&k->partial, bytes, len);
    if (k->partial.err) {
        pixi_link_drop(k, k->partial.err);
        return;
    }
    whole = k->partial; /* a message may need k->partial while these bytes are read */
    k->partial = pixi_buf_init(0);
    read_head(k, whole.bytes, whole.len);
    if (k->state == PIXI_LINK_HANDSHAKE)
        k->partial = whole;
    else
        pixi_loop_give_back(k->loop, &whole);
}
