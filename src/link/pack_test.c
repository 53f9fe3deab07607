/* Links that agree on compression, or do not. */
#include "link/world_test.h"

static struct pixi_packer packer, other; /* the server's, the client's */

/* "a" over and over, compressed: the message that tests send and await. */
enum { LONG = 1000 };
static char text[LONG + 1];
static struct pixi_buf packed;

#define OFFER "Sec-WebSocket-Extensions: permessage-deflate\r\n"

static int set_up_packers(void **state)
{
    struct pixi_cur whole = pixi_cur_init(text, LONG);

    set_up(state);
    memset(text, 'a', LONG);
    pixi_packer_init(&packer, 100, 6);
    pixi_packer_init(&other, 100, 6);
    packed = pixi_buf_init(1 << 16);
    assert_int_equal(pixi_packer_pack(&packer, &whole, 1, &packed), PIXI_OK);
    packer.packed_count = 0;
    server.link->packer = &packer;
    client.link->packer = &other;
    return 0;
}

static int tear_down_packers(void **state)
{
    tear_down(state);
    assert_int_equal(packer.link_count + other.link_count, 0);
    pixi_packer_clear(&packer);
    pixi_packer_clear(&other);
    pixi_buf_clear(&packed);
    return 0;
}

static void fresh(void)
{
    tear_down_packers(NULL);
    set_up_packers(NULL);
}

static void open_with(const char *request)
{
    serve_raw();
    raw_str(request);
    AWAIT(server.opens);
}

static void next_is_packed(void)
{
    raw_expects(0xc1, (const char *)packed.bytes, packed.len);
}

/* ---- agreeing ---- */

static void both_agree(void **state)
{
    (void)state;
    open_both();
    assert_int_equal(packer.link_count, 1);
    assert_int_equal(other.link_count, 1);
    assert_int_equal(send_str(&client, text), PIXI_OK);
    assert_int_equal(send_str(&server, text), PIXI_OK);
    AWAIT(server.messages && client.messages);
    last_message(&server, text);
    last_message(&client, text);
    assert_int_equal(packer.received.before, LONG);
    assert_int_equal(packer.received.after, packed.len);
    assert_int_equal(packer.received.packed, 1);
    assert_memory_equal(&packer.sent, &other.received, sizeof packer.sent);
    assert_memory_equal(&other.sent, &packer.received, sizeof packer.sent);
}

static void one_alone_does_not(void **state)
{
    struct pixi_packer *none[2] = {&packer, &other};

    (void)state;
    for (int k = 0; k < 2; k++) {
        none[k] = NULL;
        fresh();
        server.link->packer = none[0];
        client.link->packer = none[1];
        open_both();
        assert_int_equal(packer.link_count + other.link_count, 0);
        assert_int_equal(send_str(&client, text), PIXI_OK);
        assert_int_equal(send_str(&server, text), PIXI_OK);
        AWAIT(server.messages && client.messages);
        assert_int_equal(packer.received.messages + packer.sent.messages, 0);
        none[k] = k ? &other : &packer;
    }
}

static void what_the_server_answers(void **state)
{
    static const struct {
        const char *request, *answer;
    } cases[] = {
        {REQUEST_WITH(OFFER),
         "permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"},
        {REQUEST_WITH("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n"),
         "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
         "server_max_window_bits=9\r\n"},
        {REQUEST_WITH("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99\r\n"), NULL},
        {REQUEST_WITH("Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n"), NULL},
        {REQUEST, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        fresh();
        open_with(cases[i].request);
        AWAIT(raw.in.len && memmem(raw.in.bytes, raw.in.len, "\r\n\r\n", 4));
        if (cases[i].answer)
            assert_non_null(memmem(raw.in.bytes, raw.in.len, cases[i].answer, strlen(cases[i].answer)));
        else
            assert_null(memmem(raw.in.bytes, raw.in.len, "Extensions", 10));
        assert_int_equal(packer.link_count, cases[i].answer != NULL);
    }
}

static void what_the_client_takes(void **state)
{
    static const struct {
        const char *fields;
        int err;
    } cases[] = {
        {"", PIXI_OK},
        {"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n", PIXI_OK},
        {OFFER, PIXI_E_WS_DEFLATE_CONTEXT},
        {"Sec-WebSocket-Extensions: x\r\n", PIXI_E_WS_EXTENSION},
    };
    char key[PIXI_WS_KEY_LEN];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pixi_buf b = pixi_buf_init(1000);

        fresh();
        call_raw(key);
        put_response(&b, key, cases[i].fields);
        raw_write(b.bytes, b.len);
        pixi_buf_clear(&b);
        AWAIT(client.opens || client.closes);
        assert_int_equal(client.opens, cases[i].err == PIXI_OK);
        if (cases[i].err != PIXI_OK)
            expect_end(&client, cases[i].err, PIXI_WS_CLOSE_ABNORMAL, true);
        assert_int_equal(other.link_count, *cases[i].fields && cases[i].err == PIXI_OK);
    }
}

/* ---- sending ---- */

static void open_packed(void)
{
    open_with(REQUEST_WITH(OFFER));
    raw_takes_head(NULL);
}

static void long_ones_go_compressed(void **state)
{
    struct pixi_cur parts[] = {pixi_cur_init(text, 10), pixi_cur_init(text, LONG - 10)};

    (void)state;
    open_packed();
    assert_int_equal(send_str(&server, "short"), PIXI_OK);
    assert_int_equal(send_str(&server, text), PIXI_OK);
    assert_int_equal(pixi_link_send(server.link, PIXI_WS_BINARY, (uint8_t *)text, 99), PIXI_OK);
    assert_int_equal(pixi_link_send_parts(server.link, parts, 2), PIXI_OK);
    assert_int_equal(pixi_link_send_parts(server.link, parts, 1), PIXI_OK);
    assert_int_equal(pixi_link_ping(server.link, (uint8_t *)text, 125), PIXI_OK);
    raw_expects(0x81, "short", 5);
    next_is_packed();
    raw_expects(0x82, text, 99);
    raw_expects(0xc2, (char *)packed.bytes, packed.len);
    raw_expects(0x82, text, 10);
    raw_expects(0x89, text, 125); /* never a control frame */
    assert_int_equal(packer.sent.messages, 5);
    assert_int_equal(packer.sent.packed, 2);
    assert_int_equal(packer.sent.before, 5 + LONG + 99 + LONG + 10);
    assert_int_equal(packer.sent.after, 5 + packed.len + 99 + packed.len + 10);
}

/* Whoever takes it compressed takes what was compressed for the first; others beside them the plain one. */
static void compressed_once_for_many(void **state)
{
    struct pixi_link_message m;

    (void)state;
    pixi_link_message_init(&m, 10000);
    pixi_buf_put_str(pixi_link_message_begin(&m), text);
    pixi_link_message_end(&m, PIXI_LINK_FRAMES, PIXI_WS_TEXT);
    open_packed();
    for (int i = 0; i < 3; i++)
        assert_int_equal(pixi_link_send_message(server.link, &m), PIXI_OK);
    for (int i = 0; i < 3; i++)
        next_is_packed();
    assert_int_equal(packer.packed_count, 1);
    assert_int_equal(packer.sent.packed, 3);
    anew();
    open_server();
    assert_int_equal(pixi_link_send_message(server.link, &m), PIXI_OK);
    raw_expects(0x81, text, LONG);
    pixi_buf_put_str(pixi_link_message_begin(&m), "short");
    pixi_link_message_end(&m, PIXI_LINK_FRAMES, PIXI_WS_TEXT);
    assert_int_equal(pixi_link_send_message(server.link, &m), PIXI_OK);
    raw_expects(0x81, "short", 5);
    pixi_link_message_clear(&m);
}

/* A client with a short window gets nothing compressed that would need a longer one. */
static void a_short_window(void **state)
{
    struct pixi_link_message m;

    (void)state;
    open_with(REQUEST_WITH("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n"));
    raw_takes_head(NULL);
    assert_int_equal(pixi_link_send(server.link, PIXI_WS_TEXT, (uint8_t *)text, 513), PIXI_OK);
    raw_expects(0x81, text, 513);
    assert_int_equal(pixi_link_send(server.link, PIXI_WS_TEXT, (uint8_t *)text, 512), PIXI_OK);
    AWAIT(has_frame());
    assert_int_equal(raw.in.bytes[0], 0xc1);
    pixi_buf_reset(&raw.in);
    pixi_link_message_init(&m, 10000);
    pixi_buf_put_str(pixi_link_message_begin(&m), text);
    pixi_link_message_end(&m, PIXI_LINK_FRAMES, PIXI_WS_TEXT);
    assert_int_equal(pixi_link_send_message(server.link, &m), PIXI_OK);
    raw_expects(0x81, text, LONG);
    pixi_link_message_clear(&m);
}

/* ---- receiving ---- */

static void comes_compressed(void **state)
{
    (void)state;
    open_packed();
    raw_frame(0xc1, packed.bytes, packed.len);
    AWAIT(server.messages == 1);
    last_message(&server, text);
    raw_frame(0x81, "as it is", 8);
    AWAIT(server.messages == 2);
    last_message(&server, "as it is");
    /* in fragments, with a ping between */
    raw_frame(0x42, packed.bytes, 1);
    raw_frame(0x89, "p", 1);
    raw_frame(0x00, packed.bytes + 1, 2);
    raw_frame(0x80, packed.bytes + 3, packed.len - 3);
    AWAIT(server.messages == 3);
    last_message(&server, text);
    assert_int_equal(server.type, PIXI_WS_BINARY);
    assert_int_equal(server.pings, 1);
    raw_frame(0xc1, "", 1); /* RFC 7692 §7.2.3.6 */
    AWAIT(server.messages == 4);
    last_message(&server, "");
    assert_int_equal(packer.received.messages, 4);
    assert_int_equal(packer.received.packed, 3);
}

static void what_cannot_be_taken(void **state)
{
    static const struct {
        uint8_t b0;
        const char *payload;
        size_t len;
        int err;
        unsigned code;
    } cases[] = {
        {0xc1, "\xff", 1, PIXI_E_WS_DEFLATE_DATA, 1007},
        {0xc1, "", 0, PIXI_E_WS_DEFLATE_DATA, 1007},
        {0xc1, "\x00\x01\x00\xfe\xff\xff\x00", 7, PIXI_E_WS_UTF8, 1007}, /* one byte, ff, not compressed */
        {0xc1, "\x00\x01\x00\xfe\xff\xc3\x00", 7, PIXI_E_WS_UTF8, 1007}, /* half a character */
        {0xc9, "", 0, PIXI_E_WS_DEFLATE_BIT, 1002},
        {0xc0, "", 0, PIXI_E_WS_DEFLATE_BIT, 1002},
        {0xa1, "", 0, PIXI_E_WS_RSV, 1002},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        fresh();
        open_packed();
        if (cases[i].b0 == 0xa1) /* as raw_frame cannot say it */
            raw_write("\xa1\x80\0\0\0\0", 6);
        else
            raw_frame(cases[i].b0, cases[i].payload, cases[i].len);
        raw_expects_close(cases[i].code);
        raw_close();
        AWAIT(server.closes);
        expect_end(&server, cases[i].err, PIXI_WS_CLOSE_ABNORMAL, true);
        assert_int_equal(server.messages, 0);
    }
}

static void nothing_was_agreed_on(void **state)
{
    (void)state;
    open_server();
    raw_frame(0xc1, packed.bytes, packed.len);
    raw_expects_close(1002);
    raw_close();
    AWAIT(server.closes);
    expect_end(&server, PIXI_E_WS_RSV, PIXI_WS_CLOSE_ABNORMAL, true);
}

/* A thousandfold: refused while it is inflated, whole or in fragments. */
static void bombs(void **state)
{
    (void)state;
    for (int is_cut = 0; is_cut < 2; is_cut++) {
        fresh();
        server.limits.message_bytes = LONG - 1;
        open_packed();
        if (is_cut)
            raw_frame(0x41, packed.bytes, 2);
        raw_frame(is_cut ? 0x80 : 0xc1, packed.bytes + 2 * is_cut, packed.len - 2 * (size_t)is_cut);
        raw_expects_close(1009);
        raw_close();
        AWAIT(server.closes);
        expect_end(&server, PIXI_E_WS_TOO_BIG, PIXI_WS_CLOSE_ABNORMAL, true);
    }
}

/* However many there are of them, a turn has not much more than the bytes that another link may read in one; and all come. */
static void many_do_not_hold_up_the_loop(void **state)
{
    enum { FRAMES = 300, PAYLOAD = 65536 };
    struct pixi_buf blanks = pixi_buf_init(PAYLOAD), bomb = pixi_buf_init(PAYLOAD);
    struct pixi_cur whole;
    int before, turns = 0, long_turns = 0;

    (void)state;
    memset(pixi_buf_reserve(&blanks, PAYLOAD), ' ', PAYLOAD);
    whole = pixi_cur_init(blanks.bytes, PAYLOAD);
    assert_int_equal(pixi_packer_pack(&packer, &whole, 1, &bomb), PIXI_OK);
    assert_true(bomb.len < 120);
    open_packed();
    for (int i = 0; i < FRAMES; i++)
        raw_frame(0xc2, bomb.bytes, bomb.len);
    for (; server.messages < FRAMES && turns < 10000; turns++) {
        before = server.messages;
        turn();
        assert_in_range(server.messages - before, 0, 2048 / bomb.len + 1);
        long_turns += server.messages - before > 3;
    }
    assert_int_equal(server.messages, FRAMES);
    assert_in_range(long_turns, 0, 1); /* the first, before it is known what comes of so few bytes */
    /* and it reads faster again when it gets what is not compressed */
    for (int i = 0; i < 20; i++) {
        raw_frame(0x82, text, LONG);
        AWAIT(server.messages == FRAMES + i + 1);
    }
    assert_true(server.link->tcp.rx_most >= 1024);
    pixi_buf_clear(&blanks);
    pixi_buf_clear(&bomb);
}

/* A message of the largest size is taken though compressing has made it longer. */
static void what_got_longer(void **state)
{
    char longer[1 + 4 + LONG + 1] = "\x00\xe8\x03\x17\xfc"; /* as a block that is not compressed */

    (void)state;
    memset(longer + 5, 'a', LONG);
    longer[5 + LONG] = 0;
    server.limits.message_bytes = LONG;
    open_packed();
    raw_frame(0xc1, longer, 5 + LONG + 1);
    AWAIT(server.messages);
    last_message(&server, text);
    raw_frame(0x41, longer, 500);
    raw_frame(0x80, longer + 500, 5 + LONG + 1 - 500);
    AWAIT(server.messages == 2);
    last_message(&server, text);
}

static void passed_over_after_our_close(void **state)
{
    (void)state;
    open_packed();
    pixi_link_close(server.link, 1000, NULL);
    raw_frame(0xc1, "\xff", 1);
    raw_frame(0x88, "\x03\xe8", 2);
    raw_expects_close(1000);
    raw_close();
    AWAIT(server.closes);
    expect_end(&server, PIXI_OK, 1000, true);
}

#define PACKED(f) cmocka_unit_test_setup_teardown(f, set_up_packers, tear_down_packers)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PACKED(both_agree),
        PACKED(one_alone_does_not),
        PACKED(what_the_server_answers),
        PACKED(what_the_client_takes),
        PACKED(long_ones_go_compressed),
        PACKED(compressed_once_for_many),
        PACKED(a_short_window),
        PACKED(comes_compressed),
        PACKED(what_cannot_be_taken),
        PACKED(nothing_was_agreed_on),
        PACKED(bombs),
        PACKED(many_do_not_hold_up_the_loop),
        PACKED(what_got_longer),
        PACKED(passed_over_after_our_close),
    };

    return cmocka_run_group_tests_name("link/pack", tests, NULL, NULL);
}
