#include "link/link_state.h"
#include "base/base64.h"

#include <stdio.h>
#include <sys/random.h>

enum {
    LINGER_BYTES = 16 << 20, /* that are passed over when all is said: room for what was under way */
    SCRATCH_KEPT =
        128 * 1024, /* bytes: what was larger is given back before the next message is compressed */
};

#define OF(member, ptr) ((struct pixi_link *)((char *)(ptr)-offsetof(struct pixi_link, member)))

/* --- the end ------------------------------------------------------------------------------------------------- */

static void tell_end(struct pixi_task *task)
{
    struct pixi_link *k = OF(last, task);
    struct pixi_link_end end = k->end;

    k->handlers->on_close(k, &end);
}

void pixi_link_set_end(struct pixi_link *k, int err, uint16_t code, struct pixi_cur reason, bool is_ours)
{
    size_t len = pixi_cur_left(&reason);

    if (k->is_end_known)
        return;
    k->is_end_known = true;
    k->end = (struct pixi_link_end){.err = err, .code = code, .is_ours = is_ours};
    if (err == PIXI_E_TLS && k->tcp.tls) {
        snprintf(k->end.problem, sizeof k->end.problem, "%s", pixi_tls_problem(k->tcp.tls));
        k->end.fix = pixi_tls_fix(k->tcp.tls);
    }
    if (len)
        memcpy(k->end.reason, reason.p, len);
}

void pixi_link_set_error(struct pixi_link *k, int err, bool is_ours)
{
    pixi_link_set_end(k, err, PIXI_WS_CLOSE_ABNORMAL, pixi_cur_init(NULL, 0), is_ours);
}

void pixi_link_finish(struct pixi_link *k)
{
    if (k->state == PIXI_LINK_CLOSED)
        return;
    k->state = PIXI_LINK_CLOSED;
    if (k->pack_max)
        k->packer->link_count--;
    k->pack_max = 0;
    pixi_loop_cancel_timer(k->loop, &k->timer);
    pixi_loop_give_back(k->loop, &k->partial);
    pixi_tcp_close(&k->tcp);
    pixi_loop_defer(k->loop, &k->last);
}

void pixi_link_drop(struct pixi_link *k, int err)
{
    pixi_link_set_error(k, err, true);
    pixi_link_finish(k);
}

/* All is said. The server ends the TCP connection first, so that the client's port is not the one that waits
 * (§7.1.1); both give the other close_ms. */
void pixi_link_linger(struct pixi_link *k)
{
    k->state = PIXI_LINK_LINGER;
    k->left = k->tcp.sent;
    pixi_loop_set_timer(k->loop, &k->timer, k->limits->close_ms);
    if (k->role == PIXI_SERVER)
        pixi_tcp_shutdown(&k->tcp);
}

/* A long answer takes its time, as long as it is taken. */
static void end_lingering(struct pixi_link *k)
{
    bool is_taken = pixi_link_waiting(k) && k->tcp.sent - k->left >= PIXI_LINK_LEAST;

    k->left = k->tcp.sent;
    if (is_taken)
        pixi_loop_set_timer(k->loop, &k->timer, k->limits->close_ms);
    else
        pixi_link_finish(k);
}

/* --- sending ------------------------------------------------------------------------------------------------- */

static int fresh_mask(struct pixi_link *k, uint8_t mask[4])
{
    if (k->entropy_left < 4) {
        if (getrandom(k->entropy, sizeof k->entropy, 0) != sizeof k->entropy)
            return PIXI_E_SYS;
        k->entropy_left = sizeof k->entropy;
    }
    k->entropy_left = (uint8_t)(k->entropy_left - 4);
    memcpy(mask, k->entropy + k->entropy_left, 4);
    return PIXI_OK;
}

/* Copies a masked payload piece by piece, so that no second copy of it is needed. */
static int put_masked(struct pixi_link *k, const struct pixi_ws_frame *f, const uint8_t *bytes)
{
    for (uint64_t at = 0; at < f->payload_len;) {
        size_t some = PIXI_OUT_CHUNK / 2;
        uint8_t *room;

        if (some > f->payload_len - at)
            some = (size_t)(f->payload_len - at);
        room = pixi_tcp_room(&k->tcp, some);
        if (!room)
            return PIXI_E_NOMEM;
        memcpy(room, bytes + at, some);
        pixi_ws_mask(room, some, f->mask, at);
        at += some;
    }
    return PIXI_OK;
}

/* Half a frame must not be followed by another: an error once its header is queued is the connection's end. */
static int put_frame(struct pixi_link *k, struct pixi_ws_frame f, const uint8_t *bytes)
{
    uint8_t head[PIXI_WS_HEAD_MAX];
    int rc;

    if (k->form == PIXI_LINK_BYTES)
        return pixi_tcp_send(&k->tcp, bytes, (size_t)f.payload_len);
    if (k->role == PIXI_CLIENT && (rc = fresh_mask(k, f.mask)) != PIXI_OK)
        return rc;
    rc = pixi_tcp_send(&k->tcp, head, pixi_ws_frame_encode(&f, k->role, head));
    if (rc != PIXI_OK)
        return rc;
    rc = k->role == PIXI_CLIENT ? put_masked(k, &f, bytes)
                                : pixi_tcp_send(&k->tcp, bytes, (size_t)f.payload_len);
    if (rc != PIXI_OK)
        pixi_link_drop(k, rc);
    return rc;
}

static int put_plain(struct pixi_link *k, enum pixi_ws_opcode opcode, const uint8_t *bytes, size_t len)
{
    return put_frame(
        k, (struct pixi_ws_frame){.payload_len = len, .opcode = (uint8_t)opcode, .is_final = true}, bytes);
}

/* A message in pieces that may go compressed. false: it is to go as it is, and len is its length. */
static bool pack(struct pixi_link *k, const struct pixi_cur *pieces, size_t count, size_t len)
{
    struct pixi_buf *b = &k->packer->scratch;
    bool is_packed;

    if (b->cap > SCRATCH_KEPT)
        pixi_buf_clear(b);
    pixi_buf_reset(b);
    is_packed = len <= k->pack_max && pixi_packer_pack(k->packer, pieces, count, b) == PIXI_OK;
    pixi_gain_count(&k->packer->sent, len, is_packed ? b->len : len, is_packed);
    return is_packed;
}

static int put_packed(struct pixi_link *k, enum pixi_ws_opcode opcode)
{
    struct pixi_ws_frame f = {.payload_len = k->packer->scratch.len,
                              .opcode = (uint8_t)opcode,
                              .is_final = true,
                              .is_compressed = true};

    return put_frame(k, f, k->packer->scratch.bytes);
}

static int put_message(struct pixi_link *k, enum pixi_ws_opcode type, const uint8_t *bytes, size_t len)
{
    struct pixi_cur whole = pixi_cur_init(bytes, len);

    if (k->pack_max && type <= PIXI_WS_BINARY && pack(k, &whole, 1, len))
        return put_packed(k, type);
    return put_plain(k, type, bytes, len);
}

/* Pings and closes have no line: a stream of this machine needs none. */
static int put_line(struct pixi_link *k, enum pixi_ws_opcode opcode, const uint8_t *bytes, size_t len)
{
    int rc = PIXI_OK;

    if (opcode == PIXI_WS_TEXT && (rc = pixi_tcp_send(&k->tcp, bytes, len)) == PIXI_OK &&
        (rc = pixi_tcp_send(&k->tcp, (const uint8_t *)"\n", 1)) != PIXI_OK)
        pixi_link_drop(k, rc); /* half a line must not be followed by another */
    return rc;
}

static int check_room(struct pixi_link *k, size_t len)
{
    if (k->state != PIXI_LINK_OPEN)
        return PIXI_E_WS_CLOSED;
    if (k->limits->queue_bytes - len >= pixi_link_waiting(k) && len <= k->limits->queue_bytes)
        return PIXI_OK;
    pixi_link_want_drained(k);
    return PIXI_E_QUEUE;
}

int pixi_link_send(struct pixi_link *k, enum pixi_ws_opcode type, const uint8_t *bytes, size_t len)
{
    int rc = check_room(k, len);

    if (rc != PIXI_OK)
        return rc;
    return k->form == PIXI_LINK_LINES ? put_line(k, type, bytes, len) : put_message(k, type, bytes, len);
}

int pixi_link_send_message(struct pixi_link *k, struct pixi_link_message *m)
{
    size_t payload = m->plain.bytes.len - PIXI_WS_HEAD_MAX, len;
    struct pixi_link_body *b = &m->plain;
    struct pixi_shared *shared;
    int rc;

    if (b->bytes.err)
        return b->bytes.err;
    if (k->pack_max && payload <= k->pack_max)
        b = pixi_link_message_pack(m, k->packer);
    len = b->bytes.len - b->at;
    rc = check_room(k, len);
    if (rc != PIXI_OK)
        return rc;
    if (k->pack_max)
        pixi_gain_count(&k->packer->sent, payload, b->bytes.len - PIXI_WS_HEAD_MAX, b == &m->packed);
    shared = pixi_link_body_share(b);
    return shared ? pixi_tcp_send_shared(&k->tcp, shared)
                  : pixi_tcp_send(&k->tcp, b->bytes.bytes + b->at, len);
}

/* The pieces of a frame behind its header. */
static int put_pieces(struct pixi_link *k, const struct pixi_cur *parts, size_t count, size_t len)
{
    struct pixi_ws_frame f = {.payload_len = len, .opcode = PIXI_WS_BINARY, .is_final = true};
    uint8_t head[PIXI_WS_HEAD_MAX];
    int rc = PIXI_OK;

    if (k->form != PIXI_LINK_BYTES)
        rc = pixi_tcp_send(&k->tcp, head, pixi_ws_frame_encode(&f, PIXI_SERVER, head));
    if (rc != PIXI_OK)
        return rc;
    for (size_t i = 0; i < count && rc == PIXI_OK; i++)
        rc = pixi_tcp_send(&k->tcp, parts[i].p, pixi_cur_left(&parts[i]));
    if (rc != PIXI_OK)
        pixi_link_drop(k, rc); /* part of it is queued */
    return rc;
}

int pixi_link_send_parts(struct pixi_link *k, const struct pixi_cur *parts, size_t count)
{
    size_t len = 0;
    int rc;

    for (size_t i = 0; i < count; i++)
        len += pixi_cur_left(&parts[i]);
    rc = check_room(k, len);
    if (rc != PIXI_OK)
        return rc;
    return k->pack_max && pack(k, parts, count, len) ? put_packed(k, PIXI_WS_BINARY)
                                                     : put_pieces(k, parts, count, len);
}

int pixi_link_ping(struct pixi_link *k, const uint8_t *bytes, size_t len)
{
    return pixi_link_send(k, PIXI_WS_PING, bytes, len);
}

void pixi_link_put_close(struct pixi_link *k, uint16_t code, struct pixi_cur reason)
{
    uint8_t payload[PIXI_WS_CONTROL_MAX];

    put_plain(k, PIXI_WS_CLOSE, payload, pixi_ws_close_encode(code, reason, payload));
}

void pixi_link_close(struct pixi_link *k, uint16_t code, const char *reason)
{
    if (k->state == PIXI_LINK_LINGER || k->state == PIXI_LINK_CLOSED)
        return;
    if (k->state != PIXI_LINK_OPEN) {
        pixi_link_drop(k, PIXI_E_WS_NO_CLOSE);
        return;
    }
    if (k->form == PIXI_LINK_BYTES) {
        pixi_link_set_end(k, PIXI_OK, code, pixi_cur_init(NULL, 0), true);
        pixi_link_linger(k);
        return;
    }
    if (k->form == PIXI_LINK_LINES) {
        pixi_link_set_end(k, PIXI_OK, code, pixi_cur_init(NULL, 0), true);
        pixi_link_finish(k);
        return;
    }
    pixi_link_put_close(k, code, reason ? pixi_cur_str(reason) : pixi_cur_init(NULL, 0));
    if (k->state == PIXI_LINK_CLOSED)
        return;
    k->state = PIXI_LINK_CLOSE_SENT;
    pixi_loop_set_timer(k->loop, &k->timer, k->limits->close_ms);
}

void pixi_link_fail(struct pixi_link *k, int err)
{
    if (k->state == PIXI_LINK_CLOSED || k->state == PIXI_LINK_LINGER)
        return;
    if (k->state == PIXI_LINK_HANDSHAKE || k->state == PIXI_LINK_SECURING || k->form == PIXI_LINK_LINES) {
        pixi_link_drop(k, err);
        return;
    }
    pixi_link_set_error(k, err, true);
    if (k->state == PIXI_LINK_OPEN && k->form != PIXI_LINK_BYTES)
        pixi_link_put_close(k, pixi_ws_close_for(err), pixi_cur_str(pixi_err_text(err)));
    if (k->state == PIXI_LINK_CLOSED)
        return;
    /* §7.1.7: whoever fails the connection may end it at once; lingering lets the close frame be read */
    pixi_link_linger(k);
    pixi_tcp_shutdown(&k->tcp);
}

/* --- what TCP and the clock tell ------------------------------------------------------------------------------ */

static void on_bytes(struct pixi_tcp *t, uint8_t *bytes, size_t len)
{
    struct pixi_link *k = OF(tcp, t);

    k->heard_ms = k->loop->now_ms;
    if (k->form == PIXI_LINK_LINES) {
        pixi_link_read_lines(k, bytes, len);
        return;
    }
    if (k->is_pinged && k->state == PIXI_LINK_OPEN)
        pixi_loop_set_timer(k->loop, &k->timer, k->limits->ping_ms); /* not the rest of pong_ms */
    k->is_pinged = false;
    if (k->state == PIXI_LINK_HANDSHAKE)
        pixi_link_read_handshake(k, bytes, len);
    else if (k->form == PIXI_LINK_BYTES && k->state == PIXI_LINK_OPEN)
        k->handlers->on_message(k, PIXI_WS_BINARY, bytes, len);
    else if (k->state != PIXI_LINK_LINGER)
        pixi_link_read_frames(k, bytes, len);
    else if ((k->lingered += len) > LINGER_BYTES)
        pixi_link_finish(k); /* it hears nothing, it only talks */
}

static void on_secure(struct pixi_tcp *t, int err)
{
    struct pixi_link *k = OF(tcp, t);

    if (err != PIXI_OK) {
        pixi_link_set_error(k, err, true);
        pixi_link_finish(k);
    } else if (k->role == PIXI_CLIENT) {
        k->is_to_secure = false;
        k->handlers->on_secured(k);
    }
}

static void on_end(struct pixi_tcp *t, int err)
{
    struct pixi_link *k = OF(tcp, t);
    int sys_errno = t->sys_errno;

    if (!err && k->state == PIXI_LINK_LINGER && pixi_link_waiting(k)) {
        pixi_link_want_drained(k); /* it has said all, and still reads */
        return;
    }
    if (k->form == PIXI_LINK_BYTES && err == PIXI_OK) /* the only end that there is */
        pixi_link_set_end(k, PIXI_OK, PIXI_WS_CLOSE_NONE, pixi_cur_init(NULL, 0), false);
    /* the end without a closing handshake: an orderly FIN, or worse */
    pixi_link_set_error(k, err ? err : PIXI_E_WS_NO_CLOSE, k->state == PIXI_LINK_CLOSE_SENT);
    k->end.sys_errno = err ? sys_errno : 0;
    pixi_link_finish(k);
}

static void on_drained(struct pixi_tcp *t)
{
    struct pixi_link *k = OF(tcp, t);

    if (k->state == PIXI_LINK_LINGER && t->is_ended)
        pixi_link_finish(k);
    else if (k->state == PIXI_LINK_OPEN && k->handlers->on_drained)
        k->handlers->on_drained(k);
}

static void on_connect(struct pixi_tcp *t, int err)
{
    (void)t;
    (void)err; /* dialling is the dialler's */
}

const struct pixi_tcp_handlers pixi_link_tcp = {

    .on_connect = on_connect,
    .on_secure = on_secure,
    .on_bytes = on_bytes,
    .on_end = on_end,
    .on_drained = on_drained};

static void keep_alive(struct pixi_link *k)
{
    uint64_t quiet = k->loop->now_ms - k->heard_ms;

    if (k->is_pinged) {
        pixi_link_drop(k, PIXI_E_WS_PONG);
    } else if (quiet < k->limits->ping_ms) {
        pixi_loop_set_timer(k->loop, &k->timer, k->limits->ping_ms - quiet);
    } else {
        k->is_pinged = true;
        pixi_link_ping(k, NULL, 0);
        pixi_loop_set_timer(k->loop, &k->timer, k->limits->pong_ms);
    }
}

static void on_due(struct pixi_timer *timer)
{
    struct pixi_link *k = OF(timer, timer);

    switch (k->state) {
    case PIXI_LINK_OPEN: keep_alive(k); break;
    case PIXI_LINK_HANDSHAKE:
        if (k->role == PIXI_SERVER)
            k->handlers->on_request(k, NULL, PIXI_E_TIMEOUT, NULL);
        else
            pixi_link_drop(k, PIXI_E_TIMEOUT);
        break;
    case PIXI_LINK_SECURING:
    case PIXI_LINK_CLOSE_SENT: pixi_link_drop(k, PIXI_E_TIMEOUT); break;
    case PIXI_LINK_LINGER: end_lingering(k); break;
    case PIXI_LINK_CLOSED: break;
    }
}

/* --- starting ------------------------------------------------------------------------------------------------ */

void pixi_link_init(struct pixi_link *k, struct pixi_loop *l, enum pixi_role role,
                    const struct pixi_link_handlers *h, const struct pixi_link_limits *limits)
{
    *k = (struct pixi_link){.loop = l,
                            .role = role,
                            .handlers = h,
                            .limits = limits,
                            .timer = {.on_due = on_due},
                            .last = {.run = tell_end}};
}

static void start(struct pixi_link *k)
{
    k->state = PIXI_LINK_HANDSHAKE;
    k->heard_ms = k->loop->now_ms;
    k->tcp.rx_most = k->packer ? PIXI_LINK_PACKED_RX : 0; /* frames may come behind the head */
    pixi_loop_set_timer(k->loop, &k->timer, k->limits->handshake_ms);
}

int pixi_link_serve(struct pixi_link *k, int fd)
{
    int rc = pixi_tcp_open(&k->tcp, k->loop, &pixi_link_tcp, fd);

    if (rc == PIXI_OK)
        start(k);
    return rc;
}

int pixi_link_serve_stream(struct pixi_link *k, int fd)
{
    int rc = pixi_tcp_open(&k->tcp, k->loop, &pixi_link_tcp, fd);

    if (rc != PIXI_OK)
        return rc;
    k->form = PIXI_LINK_BYTES;
    k->was_open = true;
    k->state = PIXI_LINK_OPEN;
    k->heard_ms = k->loop->now_ms;
    return PIXI_OK;
}

void pixi_link_secure(struct pixi_link *k, struct pixi_tls *tls, uint32_t timeout_ms)
{
    start(k);
    k->state = PIXI_LINK_SECURING;
    k->is_to_secure = true;
    pixi_loop_set_timer(k->loop, &k->timer, timeout_ms);
    pixi_tcp_secure(&k->tcp, tls);
}

int pixi_link_hello(struct pixi_link *k, const struct pixi_ws_hello *hello)
{
    /* how short a window the server wants of us does not matter: longer messages go as they are */
    static const struct pixi_ws_deflate offer = {.server_no_context_takeover = true,
                                                 .client_no_context_takeover = true,
                                                 .client_max_window_bits = PIXI_WS_BITS_ANY};
    struct pixi_buf b = pixi_loop_borrow(k->loop, 65536);
    uint8_t nonce[16];
    int rc;

    k->hello = *hello;
    k->hello.key = k->key;
    k->hello.deflate = k->packer ? &offer : NULL;
    start(k);
    if (getrandom(nonce, sizeof nonce, 0) != sizeof nonce)
        return PIXI_E_SYS;
    pixi_base64_encode(PIXI_BASE64_STD, nonce, sizeof nonce, k->key);
    pixi_ws_request_put(&b, &k->hello);
    rc = b.err ? b.err : pixi_tcp_send(&k->tcp, b.bytes, b.len);
    /* the key to the server is in these bytes */
    if (b.bytes)
        explicit_bzero(b.bytes, b.len);
    pixi_loop_give_back(k->loop, &b);
    return rc;
}
