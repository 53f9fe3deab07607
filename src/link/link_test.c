#include "link/world_test.h"

/* ---- opening ---- */

static void opens(void **state)
{
    (void)state;
    open_both();
    assert_string_equal(server.protocol, "mqtt");
    assert_string_equal(client.protocol, "mqtt");
    assert_int_equal(client.link->state, PIXI_LINK_OPEN);
    assert_int_equal(server.link->state, PIXI_LINK_OPEN);
    assert_null(client.link->partial.bytes); /* no buffer while nothing is under way */
    assert_null(server.link->partial.bytes);
    assert_int_equal(server.requests, 1);
}

static void heads_in_pieces(void **state)
{
    struct pixi_buf b = pixi_buf_init(1000);
    char key[PIXI_WS_KEY_LEN];

    (void)state;
    serve_raw();
    for (const char *p = REQUEST; *p; p++) {
        assert_int_equal(server.opens, 0);
        raw_write(p, 1);
        turn();
    }
    AWAIT(server.opens);
    anew();
    call_raw(key);
    put_response(&b, key, "");
    for (size_t i = 0; i < b.len; i++) {
        assert_int_equal(client.opens, 0);
        raw_write(b.bytes + i, 1);
        turn();
    }
    AWAIT(client.opens);
    assert_null(client.link->partial.bytes);
    pixi_buf_clear(&b);
}

/* The stream begins in the bytes that end the head, and may end in them, too. */
static void frames_behind_the_head(void **state)
{
    static const char frames[] = "\x81\x02hi\x01\x01x\x89\x00\x80\x01y\x88\x02\x03\xe9";
    char key[PIXI_WS_KEY_LEN];

    (void)state;
    for (int cut = 0; cut < 2; cut++) {
        struct pixi_buf b = pixi_buf_init(1000);

        anew();
        call_raw(key);
        put_response(&b, key, "");
        pixi_buf_put(&b, frames, sizeof frames - 1);
        if (cut) { /* the head takes two readings */
            raw_write(b.bytes, 20);
            turn();
        }
        raw_write(b.bytes + 20 * cut, b.len - 20 * (size_t)cut);
        AWAIT(client.messages == 2);
        last_message(&client, "xy");
        assert_int_equal(client.pings, 1);
        raw_expects(0x8a, "", 0);
        raw_expects(0x88, "\x03\xe9", 2);
        raw_close();
        AWAIT(client.closes);
        expect_end(&client, PIXI_OK, 1001, false);
        pixi_buf_clear(&b);
    }
}

static void greetings(void **state)
{
    (void)state;
    server.greeting = "from the server";
    client.greeting = "from the client";
    open_both();
    AWAIT(client.messages && server.messages);
    last_message(&client, "from the server");
    last_message(&server, "from the client");
}

/* What comes behind the head is read although on_open has said close: it must find the peer's close in it. */
static void closed_in_on_open(void **state)
{
    struct pixi_buf b = pixi_buf_init(1000);
    char key[PIXI_WS_KEY_LEN];

    (void)state;
    call_raw(key);
    client.on_open = close_it;
    put_response(&b, key, "");
    pixi_buf_put(&b,
                 "\x81\x05"
                 "he",
                 4);
    raw_write(b.bytes, b.len);
    AWAIT(client.opens);
    raw_expects(0x88,
                "\x03\xe8"
                "enough",
                8);
    raw_str("llo");
    raw_frame(0x88, "\x03\xe8", 2);
    raw_close();
    AWAIT(client.closes);
    expect_end(&client, PIXI_OK, 1000, true);
    assert_int_equal(client.messages, 0);
    pixi_buf_clear(&b);
}

static void dropped_in_on_open(void **state)
{
    (void)state;
    server.on_open = drop_it;
    client.greeting = "unheard";
    serve_raw();
    raw_str(REQUEST "\x81\x80zzzz");
    AWAIT(server.closes);
    expect_end(&server, PIXI_E_FORBIDDEN, 1006, true);
    assert_int_equal(server.messages, 0);
    AWAIT(raw.is_ended || raw.is_reset);
}

static void refused(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    server.status = 403;
    start_server(fds[0]);
    start_client(fds[1]);
    AWAIT(client.closes && server.closes);
    assert_int_equal(server.request_err, PIXI_OK);
    assert_int_equal(client.refusals, 1);
    assert_string_equal(refusal_body, "nope");
    expect_end(&client, PIXI_E_WS_STATUS, 1006, false);
    assert_int_equal(client.end.status, 403);
    expect_end(&server, PIXI_E_WS_STATUS, 1006, true);
    assert_int_equal(client.opens + server.opens, 0);
}

static void dropped_in_on_request(void **state)
{
    (void)state;
    server.status = -1;
    serve_raw();
    raw_write(REQUEST, 30); /* in two readings, so that a partial head is held */
    turn();
    raw_str(&REQUEST[30]);
    AWAIT(server.closes);
    expect_end(&server, PIXI_E_FORBIDDEN, 1006, true);
    AWAIT(raw.is_ended || raw.is_reset);
}

static void bad_requests(void **state)
{
    static const struct {
        const char *text;
        int err;
        bool has_head;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", PIXI_E_HTTP_HOST, true},
        {"GET / HTTP/1.1\r\nHost:h\r\n\r\n", PIXI_E_WS_UPGRADE, true},
        {"POST / HTTP/1.1\r\nHost:h\r\n\r\n", PIXI_E_WS_METHOD, true},
        {"GET / HTTP/1.0\r\n", PIXI_E_HTTP_VERSION, false},
        {"\x16\x03\x01", PIXI_E_HTTP_LINE, false}, /* TLS */
        {"hello\r\n", PIXI_E_HTTP_START, false},
        {"GET / HTTP/1.1\r\nX\r\n", PIXI_E_HTTP_FIELD, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        anew();
        serve_raw();
        raw_str(cases[i].text);
        AWAIT(server.requests);
        assert_int_equal(server.request_err, cases[i].err);
        assert_int_equal(server.has_head, cases[i].has_head);
        raw_str("and more of the same\r\n\r\n"); /* passed over */
        AWAIT(raw.is_ended);
        assert_memory_equal(raw.in.bytes, "HTTP/1.1 400 x\r\n", 16);
        raw_close();
        AWAIT(server.closes);
        expect_end(&server, PIXI_E_WS_STATUS, 1006, true);
        assert_int_equal(server.requests, 1);
    }
}

static void endless_heads(void **state)
{
    char line[1000];

    (void)state;
    memset(line, 'a', sizeof line);
    serve_raw();
    raw_str("GET /");
    for (int i = 0; i < 9 && !server.requests; i++) {
        raw_write(line, sizeof line);
        turn();
    }
    AWAIT(server.requests);
    assert_int_equal(server.request_err, PIXI_E_HTTP_SIZE);
}

static void bad_responses(void **state)
{
    static const struct {
        const char *text; /* NULL: a right one, with these fields more */
        const char *fields;
        int err;
    } cases[] = {
        {NULL, "Content-Length: 5\r\n", PIXI_E_HTTP_BODY},
        {NULL, "Sec-WebSocket-Protocol: other\r\n", PIXI_E_WS_PROTOCOL},
        {NULL, "Sec-WebSocket-Extensions: permessage-deflate\r\n", PIXI_E_WS_EXTENSION},
        {NULL, "Sec-WebSocket-Accept: again\r\n", PIXI_E_WS_ACCEPT},
        {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
         NULL, PIXI_E_WS_ACCEPT},
        {"HTTP/1.1 101 x\r\n\r\n", NULL, PIXI_E_WS_UPGRADE},
        {"SSH-2.0-OpenSSH_9.2\r\n", NULL, PIXI_E_HTTP_START},
        {"HTTP/1.1 101 x\n", NULL, PIXI_E_HTTP_LINE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pixi_buf b = pixi_buf_init(1000);
        char key[PIXI_WS_KEY_LEN];

        anew();
        call_raw(key);
        if (cases[i].text)
            pixi_buf_put_str(&b, cases[i].text);
        else
            put_response(&b, key, cases[i].fields);
        raw_write(b.bytes, b.len);
        AWAIT(client.closes);
        expect_end(&client, cases[i].err, 1006, true); /* it is we who do not go on */
        assert_int_equal(client.opens + client.refusals, 0);
        AWAIT(raw.is_ended || raw.is_reset);
        pixi_buf_clear(&b);
    }
}

static void hello_that_smuggles(void **state)
{
    struct pixi_ws_hello bad = hello;
    int fds[2];

    (void)state;
    tcp_pair(fds);
    raw.fd = fds[1];
    bad.authorization = "Bearer x\r\nX: y";
    assert_int_equal(pixi_tcp_open(&client.link->tcp, &loop, &pixi_link_tcp, fds[0]), PIXI_OK);
    assert_int_equal(pixi_link_hello(client.link, &bad), PIXI_E_HTTP_FIELD);
    pixi_link_drop(client.link, PIXI_E_HTTP_FIELD);
    AWAIT(client.closes && raw.is_ended);
    assert_int_equal(raw.in.len, 0);
    expect_end(&client, PIXI_E_HTTP_FIELD, 1006, true);
}

/* ---- messages ---- */

static void sizes_both_ways(void **state)
{
    static const size_t lens[] = {0, 1, 125, 126, 127, 65535, 65536, 65537, 1 << 20};
    struct side *from[] = {&client, &server}, *to[] = {&server, &client};
    uint8_t *bytes = malloc(1 << 20);

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < 1 << 20; i++)
        bytes[i] = (uint8_t)(i * 31 >> 3);
    open_both();
    for (size_t i = 0; i < COUNT(lens); i++)
        for (int k = 0; k < 2; k++) {
            int before = to[k]->messages;

            assert_int_equal(pixi_link_send(from[k]->link, PIXI_WS_BINARY, bytes, lens[i]), PIXI_OK);
            AWAIT(to[k]->messages == before + 1);
            assert_int_equal(to[k]->type, PIXI_WS_BINARY);
            assert_true(pixi_cur_equals(pixi_buf_cur(&to[k]->message), pixi_cur_init(bytes, lens[i])));
            assert_null(to[k]->link->partial.bytes);
        }
    assert_int_equal(send_str(&client, "text"), PIXI_OK);
    AWAIT(server.type == PIXI_WS_TEXT);
    last_message(&server, "text");
    free(bytes);
}

static void many_in_one_turn(void **state)
{
    char text[20];
    size_t len = 0;

    (void)state;
    open_both();
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof text, "%d;", i);
        len += strlen(text);
        assert_int_equal(send_str(&client, text), PIXI_OK);
        assert_int_equal(send_str(&server, text), PIXI_OK);
    }
    AWAIT(client.messages == 5000 && server.messages == 5000);
    assert_int_equal(client.all.len, len);
    assert_true(pixi_cur_equals(pixi_buf_cur(&client.all), pixi_buf_cur(&server.all)));
    assert_memory_equal(client.all.bytes, "0;1;2;3;", 8);
}

static void fragments(void **state)
{
    (void)state;
    for (int role = PIXI_CLIENT; role <= PIXI_SERVER; role++) {
        struct side *s;

        anew();
        s = open_one((enum pixi_role)role);
        raw_frame(0x01, "a\xe2", 2);
        turn();
        raw_frame(0x89, "ping", 4);
        raw_expects(0x8a, "ping", 4);
        assert_int_equal(s->pings, 1);
        assert_int_equal(s->messages, 0);
        raw_frame(0x00, "\x82", 1);
        turn();
        raw_frame(0x00, "", 0);
        raw_frame(0x80,
                  "\xac"
                  "b",
                  2);
        AWAIT(s->messages);
        assert_int_equal(s->type, PIXI_WS_TEXT);
        last_message(s, "a\xe2\x82\xac"
                        "b");
        raw_frame(0x02, "", 0);
        raw_frame(0x80, "", 0);
        AWAIT(s->messages == 2);
        assert_int_equal(s->type, PIXI_WS_BINARY);
        last_message(s, "");
    }
}

/* Whatever the size of what the system reads at once: byte by byte. */
static void frames_in_pieces(void **state)
{
    static const char stream[] = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58" /* Hello, RFC 6455 §5.7 */
                                 "\x01\x83\x37\xfa\x21\x3d\x7f\x9f\x4d"         /* Hel */
                                 "\x80\x82\x37\xfa\x21\x3d\x5b\x95";            /* lo */

    (void)state;
    open_server();
    for (size_t i = 0; i < sizeof stream - 1; i++) {
        raw_write(stream + i, 1);
        turn();
    }
    AWAIT(server.messages == 2);
    assert_true(pixi_cur_equals(pixi_buf_cur(&server.all), pixi_cur_str("HelloHello")));
}

/* RFC 6455 §5.3: a fresh, unpredictable key for each frame. */
static void a_client_masks_each_frame_anew(void **state)
{
    uint8_t keys[40][4];

    (void)state;
    open_client();
    for (size_t i = 0; i < COUNT(keys); i++) {
        assert_int_equal(send_str(&client, "same"), PIXI_OK);
        AWAIT(raw.in.len >= 10);
        assert_int_equal(raw.in.bytes[1], 0x84);
        memcpy(keys[i], raw.in.bytes + 2, 4);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(keys[i], keys[k], 4);
        raw_expects(0x81, "same", 4);
    }
}

static void frames_made_once(void **state)
{
    static char large[20000];
    struct pixi_link_message small, m;

    (void)state;
    memset(large, 'z', sizeof large);
    pixi_link_message_init(&small, 1000);
    pixi_link_message_init(&m, 50000);
    pixi_buf_put_str(pixi_link_message_begin(&small), "abc");
    pixi_link_message_end(&small, PIXI_LINK_FRAMES, PIXI_WS_TEXT);
    pixi_buf_put(pixi_link_message_begin(&m), large, sizeof large);
    pixi_link_message_end(&m, PIXI_LINK_FRAMES, PIXI_WS_BINARY);
    open_server();
    assert_int_equal(pixi_link_send_message(server.link, &small), PIXI_OK);
    assert_int_equal(pixi_link_send_message(server.link, &m), PIXI_OK);
    assert_int_equal(pixi_link_send_message(server.link, &small), PIXI_OK);
    assert_null(small.plain.shared);
    assert_int_equal(m.plain.shared->refs, 2);
    raw_expects(0x81, "abc", 3);
    raw_expects(0x82, large, sizeof large);
    raw_expects(0x81, "abc", 3);
    assert_int_equal(m.plain.shared->refs, 1);
    pixi_link_message_clear(&small);
    pixi_link_message_clear(&m);
}

/* What could not be made is not sent, and says why. */
static void a_message_without_room(void **state)
{
    struct pixi_link_message m;

    (void)state;
    open_server();
    for (size_t max = 0; max < 20; max++) {
        pixi_link_message_init(&m, max);
        pixi_buf_put_str(pixi_link_message_begin(&m), "abc");
        pixi_link_message_end(&m, PIXI_LINK_FRAMES, PIXI_WS_TEXT);
        assert_int_equal(pixi_link_send_message(server.link, &m),
                         max < PIXI_WS_HEAD_MAX + 3 ? PIXI_E_LIMIT : PIXI_OK);
        pixi_link_message_clear(&m);
    }
    raw_expects(0x81, "abc", 3);
}

static void pings(void **state)
{
    struct side *from[] = {&client, &server}, *to[] = {&server, &client};
    char most[PIXI_WS_CONTROL_MAX];

    (void)state;
    memset(most, 'p', sizeof most);
    open_both();
    for (int k = 0; k < 2; k++) {
        assert_int_equal(pixi_link_ping(from[k]->link, NULL, 0), PIXI_OK);
        assert_int_equal(pixi_link_ping(from[k]->link, (uint8_t *)most, sizeof most), PIXI_OK);
        AWAIT(from[k]->pongs == 2);
        assert_int_equal(to[k]->pings, 2);
        assert_true(pixi_cur_equals(pixi_buf_cur(&from[k]->message), pixi_cur_init(most, sizeof most)));
    }
    assert_int_equal(client.pings, 2);
    assert_int_equal(server.pings, 2);
}

/* ---- ceilings ---- */

static void the_queue_has_a_ceiling(void **state)
{
    static uint8_t bytes[100000];
    size_t waiting;
    int sent = 0, rc;

    (void)state;
    open_server();
    server.limits.queue_bytes = 300000;
    assert_int_equal(pixi_link_send(server.link, PIXI_WS_BINARY, bytes, sizeof bytes), PIXI_OK);
    AWAIT(raw.in.len > sizeof bytes);
    pixi_buf_reset(&raw.in);
    /* nobody reads now: what the system takes, and then what the queue may hold */
    for (;; sent++) {
        waiting = pixi_link_waiting(server.link);
        rc = pixi_link_send(server.link, PIXI_WS_BINARY, bytes, sizeof bytes);
        if (rc != PIXI_OK)
            break;
        assert_int_equal(pixi_loop_turn(&loop, 0), PIXI_OK);
        assert_in_range(sent, 0, 1000);
    }
    assert_int_equal(rc, PIXI_E_QUEUE);
    assert_int_equal(pixi_link_waiting(server.link), waiting);
    assert_in_range(waiting, 200001, 300000 + PIXI_WS_HEAD_MAX);
    assert_int_equal(pixi_link_ping(server.link, NULL, 0),
                     waiting > 300000 ? PIXI_E_QUEUE : PIXI_OK); /* a small one still fits, or does not */
    assert_int_equal(server.drains, 0);
    AWAIT(server.drains == 1);
    assert_int_equal(pixi_link_send(server.link, PIXI_WS_BINARY, bytes, sizeof bytes), PIXI_OK);
    AWAIT(raw.in.len >= (size_t)(sent + 1) * (sizeof bytes + 10)); /* nothing was lost, nothing torn */
    for (; sent > 0; sent--) {
        if (raw.in.bytes[0] == 0x89)
            raw_expects(0x89, "", 0);
        raw_expects(0x82, (char *)bytes, sizeof bytes);
    }
}

static void one_message_over_the_ceiling(void **state)
{
    static uint8_t bytes[1001];
    struct pixi_link_message m;

    (void)state;
    open_both();
    client.limits.queue_bytes = server.limits.queue_bytes = 1000;
    assert_int_equal(pixi_link_send(client.link, PIXI_WS_BINARY, bytes, 1001), PIXI_E_QUEUE);
    assert_int_equal(pixi_link_send(server.link, PIXI_WS_BINARY, bytes, 1001), PIXI_E_QUEUE);
    pixi_link_message_init(&m, 2000);
    pixi_buf_put(pixi_link_message_begin(&m), bytes, 1001);
    pixi_link_message_end(&m, PIXI_LINK_FRAMES, PIXI_WS_BINARY);
    assert_int_equal(pixi_link_send_message(server.link, &m), PIXI_E_QUEUE);
    pixi_link_message_clear(&m);
    assert_int_equal(pixi_link_waiting(client.link) + pixi_link_waiting(server.link), 0);
    assert_int_equal(pixi_link_send(client.link, PIXI_WS_BINARY, bytes, 1000), PIXI_OK);
    AWAIT(server.messages);
    assert_int_equal(server.message.len, 1000);
}

/* A peer that sends pings and reads no pongs is not given memory for ever. */
static void a_flood_of_pings(void **state)
{
    struct pixi_buf flood = pixi_buf_init(1 << 20);
    uint64_t until = pixi_clock_mono_ms() + PATIENCE_MS;

    (void)state;
    open_server();
    server.limits.queue_bytes = 10000;
    while (flood.len < 100000) {
        pixi_buf_put(&flood, "\x89\xfdzzzz", 6);
        for (int i = 0; i < 125; i++)
            pixi_buf_put(&flood, "p", 1);
    }
    for (size_t at = 0; !server.closes && pixi_clock_mono_ms() < until;) {
        ssize_t n = send(raw.fd, flood.bytes + at, flood.len - at, MSG_NOSIGNAL);

        if (n > 0)
            at = (at + (size_t)n) % flood.len;
        assert_int_equal(pixi_loop_turn(&loop, 0), PIXI_OK);
    }
    expect_end(&server, PIXI_E_QUEUE, 1006, true);
    pixi_buf_clear(&flood);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(opens),
        TEST(heads_in_pieces),
        TEST(frames_behind_the_head),
        TEST(greetings),
        TEST(closed_in_on_open),
        TEST(dropped_in_on_open),
        TEST(refused),
        TEST(dropped_in_on_request),
        TEST(bad_requests),
        TEST(endless_heads),
        TEST(bad_responses),
        TEST(hello_that_smuggles),
        TEST(sizes_both_ways),
        TEST(many_in_one_turn),
        TEST(fragments),
        TEST(frames_in_pieces),
        TEST(a_client_masks_each_frame_anew),
        TEST(frames_made_once),
        TEST(a_message_without_room),
        TEST(pings),
        TEST(the_queue_has_a_ceiling),
        TEST(one_message_over_the_ceiling),
        TEST(a_flood_of_pings),
    };

    return cmocka_run_group_tests_name("link/link", tests, NULL, NULL);
}
