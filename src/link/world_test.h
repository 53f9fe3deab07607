/* world_test.h -- links to be tested: one of each role, and a raw end to hold against either. For one file of a program. */
#ifndef PIXI_LINK_WORLD_TEST_H
#define PIXI_LINK_WORLD_TEST_H

#include "link/link.h"
#include "invariants.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define TEST(f)  cmocka_unit_test_setup_teardown(f, set_up, tear_down)

enum { MESSAGE_MAX = 2 << 20, FOREVER_MS = 60000, PATIENCE_MS = 5000 };

/* ---- a link and what it told ---- */

struct side {
    struct pixi_link *link; /* owned until on_close frees it */
    struct pixi_link_limits limits;
    int opens, messages, pings, pongs, drains, closes, requests, refusals;
    char protocol[40];
    enum pixi_ws_opcode type;
    struct pixi_buf message, all; /* the last one; all of them, joined */
    struct pixi_link_end end;
    int request_err, status; /* what on_request was told; what it answers, 0: 101 */
    bool has_head;
    struct pixi_shared *body; /* of that answer, then */
    const char *greeting;     /* sent by on_open */
    void (*on_open)(struct side *), (*on_message)(struct side *), (*on_control)(struct side *);
};

/* What is allocated: freed with the link, so that a use after on_close does not go unseen. */
struct box {
    struct pixi_link link; /* first */
    struct side *side;
};

static struct pixi_loop loop;
static struct side client, server;
static char refusal_body[100];

static inline struct side *of(struct pixi_link *k)
{
    struct side *s = ((struct box *)k)->side;

    assert_int_equal(s->closes, 0); /* on_close is the last call */
    return s;
}

static inline void on_request(struct pixi_link *k, const struct pixi_http_head *head, int rc,
                              const struct pixi_ws_request *r)
{
    struct pixi_buf b = pixi_buf_init(10000);
    struct side *s = of(k);
    bool has_protocol = r && r->protocol_count > 0;

    s->requests++;
    s->request_err = rc;
    s->has_head = head != NULL;
    assert_int_equal(r != NULL, rc == PIXI_OK);
    if (rc == PIXI_OK && s->status == 0) {
        pixi_link_accept(k, r, has_protocol ? r->protocols[r->protocol_count - 1] : pixi_cur_init(NULL, 0));
        return;
    }
    if (s->status < 0) {
        pixi_link_drop(k, PIXI_E_FORBIDDEN);
        return;
    }
    pixi_buf_putf(&b, "HTTP/1.1 %d x\r\nContent-Length: 4\r\n\r\n%s", s->status ? s->status : 400,
                  s->body ? "" : "nope");
    pixi_link_respond_shared(k, &b, s->body);
    pixi_buf_clear(&b);
}

static inline void on_refused(struct pixi_link *k, const struct pixi_http_head *head, struct pixi_cur body)
{
    of(k)->refusals++;
    assert_in_range(head->status, 200, 599);
    assert_true(pixi_cur_left(&body) < sizeof refusal_body);
    memcpy(refusal_body, body.p, pixi_cur_left(&body));
    refusal_body[pixi_cur_left(&body)] = 0;
}

static inline void on_open(struct pixi_link *k, struct pixi_cur protocol)
{
    struct side *s = of(k);

    s->opens++;
    snprintf(s->protocol, sizeof s->protocol, "%.*s", (int)pixi_cur_left(&protocol),
             (const char *)protocol.p);
    if (s->greeting)
        assert_int_equal(pixi_link_send(k, PIXI_WS_TEXT, (const uint8_t *)s->greeting, strlen(s->greeting)),
                         PIXI_OK);
    if (s->on_open)
        s->on_open(s);
}

static inline void on_message(struct pixi_link *k, enum pixi_ws_opcode type, uint8_t *bytes, size_t len)
{
    struct side *s = of(k);

    s->messages++;
    s->type = type;
    pixi_buf_reset(&s->message);
    pixi_buf_put(&s->message, bytes, len);
    pixi_buf_put(&s->all, bytes, len);
    if (len)
        memset(bytes, 0xee, len); /* they may be changed */
    if (s->on_message)
        s->on_message(s);
}

static inline void on_control(struct pixi_link *k, enum pixi_ws_event_type type, const uint8_t *bytes,
                              size_t len)
{
    struct side *s = of(k);

    *(type == PIXI_WS_EVENT_PING ? &s->pings : &s->pongs) += 1;
    pixi_buf_reset(&s->message);
    pixi_buf_put(&s->message, bytes, len);
    if (s->on_control)
        s->on_control(s);
}

static inline void on_drained(struct pixi_link *k)
{
    assert_int_equal(pixi_link_waiting(k), 0);
    of(k)->drains++;
}

static inline void on_close(struct pixi_link *k, const struct pixi_link_end *end)
{
    struct side *s = of(k);

    s->closes++;
    s->end = *end;
    assert_int_equal(k->state, PIXI_LINK_CLOSED);
    assert_false(pixi_timer_is_set(&k->timer));
    assert_null(k->partial.bytes);
    s->link = NULL;
    free(k);
}

static const struct pixi_link_handlers handlers = {
    .on_request = on_request,
    .on_refused = on_refused,
    .on_open = on_open,
    .on_message = on_message,
    .on_control = on_control,
    .on_drained = on_drained,
    .on_close = on_close,
};

static inline void init_side(struct side *s, enum pixi_role role)
{
    struct box *box = calloc(1, sizeof *box);

    assert_non_null(box);
    *s = (struct side){.message = pixi_buf_init(MESSAGE_MAX),
                       .all = pixi_buf_init(1 << 26),
                       .link = &box->link,
                       .limits = {.http = {8192, PIXI_HTTP_FIELDS},
                                  .message_bytes = MESSAGE_MAX,
                                  .queue_bytes = 2 * MESSAGE_MAX,
                                  .handshake_ms = FOREVER_MS,
                                  .close_ms = FOREVER_MS}};
    box->side = s;
    pixi_link_init(s->link, &loop, role, &handlers, &s->limits);
}

/* ---- the raw end of a connection ---- */

static struct raw {
    int fd;
    enum pixi_role role;
    struct pixi_buf in;
    bool is_ended, is_reset;
} raw;

static inline void raw_read(void)
{
    uint8_t bytes[65536];
    ssize_t n;

    if (raw.fd < 0)
        return;
    while ((n = recv(raw.fd, bytes, sizeof bytes, 0)) > 0)
        pixi_buf_put(&raw.in, bytes, (size_t)n);
    raw.is_ended |= n == 0;
    raw.is_reset |= n < 0 && errno == ECONNRESET;
}

static inline void raw_write(const void *bytes, size_t len)
{
    assert_int_equal(send(raw.fd, bytes, len, MSG_NOSIGNAL), len);
}

static inline void raw_str(const char *text)
{
    raw_write(text, strlen(text));
}

static inline void raw_close(void)
{
    close(raw.fd);
    raw.fd = -1;
}

static inline void raw_reset(void)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};

    assert_int_equal(setsockopt(raw.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    raw_close();
}

/* A frame as the raw end sends it; b0 holds FIN, RSV1 and opcode. */
static inline void raw_frame(uint8_t b0, const void *payload, size_t len)
{
    struct pixi_ws_frame f = {.payload_len = len,
                              .opcode = b0 & 15,
                              .is_final = b0 & 128,
                              .is_compressed = b0 & 64,
                              .mask = {0x37, 0xfa, 0x21, 0x3d}};
    struct pixi_buf b = pixi_buf_init(1 << 24);
    uint8_t head[PIXI_WS_HEAD_MAX];
    size_t head_len = pixi_ws_frame_encode(&f, raw.role, head);

    pixi_buf_put(&b, head, head_len);
    pixi_buf_put(&b, payload, len);
    if (raw.role == PIXI_CLIENT)
        pixi_ws_mask(b.bytes + head_len, len, f.mask, 0);
    raw_write(b.bytes, b.len);
    pixi_buf_clear(&b);
}

static inline void turn(void)
{
    raw_read();
    assert_int_equal(pixi_loop_turn(&loop, 2), PIXI_OK);
    raw_read();
}

/* Turns until it is so; what is waited for must come. */
#define AWAIT(condition)                                                                                     \
    do {                                                                                                     \
        uint64_t until_ms = pixi_clock_mono_ms() + PATIENCE_MS;                                              \
        while (!(condition) && pixi_clock_mono_ms() < until_ms)                                              \
            turn();                                                                                          \
        assert_true(condition);                                                                              \
    } while (0)

static inline bool has_frame(void)
{
    struct pixi_cur c = pixi_buf_cur(&raw.in);
    struct pixi_ws_frame f;

    return pixi_ws_frame_decode(&c, (enum pixi_role) !raw.role, PIXI_WS_DEFLATED, &f) == PIXI_OK &&
           pixi_cur_left(&c) >= f.payload_len;
}

/* The next frame that reaches the raw end must be this one. */
static inline void raw_expects(uint8_t b0, const char *payload, size_t len)
{
    struct pixi_cur c;
    struct pixi_ws_frame f;
    uint8_t *bytes;

    AWAIT(has_frame());
    c = pixi_buf_cur(&raw.in);
    assert_int_equal(pixi_ws_frame_decode(&c, (enum pixi_role) !raw.role, PIXI_WS_DEFLATED, &f), PIXI_OK);
    assert_int_equal(f.opcode | (f.is_final ? 128 : 0) | (f.is_compressed ? 64 : 0), b0);
    assert_int_equal(f.payload_len, len);
    bytes = raw.in.bytes + (c.p - raw.in.bytes);
    pixi_ws_mask(bytes, len, f.mask, 0);
    assert_memory_equal(bytes, payload, len);
    pixi_buf_drop(&raw.in, (size_t)(bytes + len - raw.in.bytes));
}

/* A close frame with this code must be next. */
static inline void raw_expects_close(unsigned code)
{
    struct pixi_cur c;
    struct pixi_ws_frame f;
    uint8_t *bytes;

    AWAIT(has_frame());
    c = pixi_buf_cur(&raw.in);
    assert_int_equal(pixi_ws_frame_decode(&c, (enum pixi_role) !raw.role, PIXI_WS_DEFLATED, &f), PIXI_OK);
    assert_int_equal(f.opcode, PIXI_WS_CLOSE);
    bytes = raw.in.bytes + (c.p - raw.in.bytes);
    pixi_ws_mask(bytes, (size_t)f.payload_len, f.mask, 0);
    assert_true(f.payload_len >= 2);
    assert_int_equal(bytes[0] << 8 | bytes[1], code);
    pixi_buf_drop(&raw.in, (size_t)(bytes - raw.in.bytes) + (size_t)f.payload_len);
}

/* ---- setting up ---- */

static inline void tcp_pair(int fds[2])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[0], (struct sockaddr *)&at, len), 0);
    fds[1] = accept(listener, NULL, NULL);
    close(listener);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fcntl(fds[i], F_SETFL, O_NONBLOCK), 0);
}

static inline int set_up(void **state)
{
    (void)state;
    raw = (struct raw){.fd = -1, .in = pixi_buf_init(1 << 26)};
    assert_int_equal(pixi_loop_init(&loop), PIXI_OK);
    init_side(&client, PIXI_CLIENT);
    init_side(&server, PIXI_SERVER);
    return 0;
}

static inline int tear_down(void **state)
{
    struct side *sides[] = {&client, &server};

    (void)state;
    for (int i = 0; i < 2; i++) {
        if (sides[i]->link)
            pixi_link_drop(sides[i]->link, PIXI_E_WS_NO_CLOSE);
        pixi_loop_turn(&loop, 0);
        free(sides[i]->link); /* one that never began */
        pixi_buf_clear(&sides[i]->message);
        pixi_buf_clear(&sides[i]->all);
    }
    if (raw.fd >= 0)
        close(raw.fd);
    pixi_buf_clear(&raw.in);
    pixi_loop_clear(&loop);
    return 0;
}

static struct pixi_ws_hello hello = {.host = "h", .path = "/api/v1", .protocols = "pixi.v1, mqtt"};

static inline void start_server(int fd)
{
    assert_int_equal(pixi_link_serve(server.link, fd), PIXI_OK);
}

static inline void start_client(int fd)
{
    assert_int_equal(pixi_tcp_open(&client.link->tcp, &loop, &pixi_link_tcp, fd), PIXI_OK);
    assert_int_equal(pixi_link_hello(client.link, &hello), PIXI_OK);
}

static inline void open_both(void)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    start_server(fds[0]);
    start_client(fds[1]);
    AWAIT(client.opens && server.opens);
}

#define REQUEST_WITH(fields)                                                                                 \
    "GET /a HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                            \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" fields "\r\n"
#define REQUEST REQUEST_WITH("")

/* Drops the head that has come, and tells the key in it. */
static inline void raw_takes_head(char key[PIXI_WS_KEY_LEN])
{
    static const char field[] = "Sec-WebSocket-Key: ";
    uint8_t *end, *at;

    AWAIT(raw.in.len && memmem(raw.in.bytes, raw.in.len, "\r\n\r\n", 4));
    at = memmem(raw.in.bytes, raw.in.len, field, strlen(field));
    if (at && key)
        memcpy(key, at + strlen(field), PIXI_WS_KEY_LEN);
    end = memmem(raw.in.bytes, raw.in.len, "\r\n\r\n", 4);
    pixi_buf_drop(&raw.in, (size_t)(end + 4 - raw.in.bytes));
}

/* A server's link, and a client made by hand, before its request. */
static inline void serve_raw(void)
{
    int fds[2];

    tcp_pair(fds);
    raw.fd = fds[0];
    raw.role = PIXI_CLIENT;
    start_server(fds[1]);
}

static inline void open_server(void)
{
    serve_raw();
    raw_str(REQUEST);
    AWAIT(server.opens);
    raw_takes_head(NULL);
}

static inline void put_response(struct pixi_buf *b, const char key[PIXI_WS_KEY_LEN], const char *fields)
{
    char accept[PIXI_WS_ACCEPT_LEN];

    pixi_ws_accept(pixi_cur_init(key, PIXI_WS_KEY_LEN), accept);
    pixi_buf_putf(
        b,
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %.*s\r\n%s\r\n",
        PIXI_WS_ACCEPT_LEN, accept, fields);
}

/* A client's link, and a server made by hand, which has got the request. */
static inline void call_raw(char key[PIXI_WS_KEY_LEN])
{
    int fds[2];

    tcp_pair(fds);
    raw.fd = fds[1];
    raw.role = PIXI_SERVER;
    start_client(fds[0]);
    raw_takes_head(key);
}

static inline void open_client(void)
{
    struct pixi_buf b = pixi_buf_init(1000);
    char key[PIXI_WS_KEY_LEN];

    call_raw(key);
    put_response(&b, key, "");
    raw_write(b.bytes, b.len);
    pixi_buf_clear(&b);
    AWAIT(client.opens);
}

/* The side whose other end is raw, open. */
static inline struct side *open_one(enum pixi_role role)
{
    if (role == PIXI_SERVER)
        open_server();
    else
        open_client();
    return role == PIXI_SERVER ? &server : &client;
}

/* A test for each role is run with a fresh world. */
static inline void anew(void)
{
    tear_down(NULL);
    set_up(NULL);
}

static inline void expect_end(const struct side *s, int err, unsigned code, bool is_ours)
{
    assert_int_equal(s->closes, 1);
    if (s->end.err != err || s->end.code != code || s->end.is_ours != is_ours)
        fail_msg("ended with %s %u %s, wanted %s %u %s", pixi_err_name(s->end.err), s->end.code,
                 s->end.is_ours ? "ours" : "theirs", pixi_err_name(err), code, is_ours ? "ours" : "theirs");
}

static inline int send_str(struct side *s, const char *text)
{
    return pixi_link_send(s->link, PIXI_WS_TEXT, (const uint8_t *)text, strlen(text));
}

static inline void last_message(const struct side *s, const char *want)
{
    if (!pixi_cur_equals(pixi_buf_cur(&s->message), pixi_cur_str(want)))
        fail_msg("'%.*s', wanted '%s'", (int)s->message.len, (char *)s->message.bytes, want);
}

/* ---- what a callback may do ---- */

static inline void close_it(struct side *s)
{
    pixi_link_close(s->link, 1000, "enough");
}

static inline void drop_it(struct side *s)
{
    pixi_link_drop(s->link, PIXI_E_FORBIDDEN);
}

static inline void fail_it(struct side *s)
{
    pixi_link_fail(s->link, PIXI_E_WS_TYPE);
}

#endif
