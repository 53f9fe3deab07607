/* How links end: by a fault, by a close of either side, by a peer that is gone, by time. */
#include "link/world_test.h"

/* ---- the peer's faults ---- */

static void faults_are_told(void **state)
{
    static const struct {
        const char *from_client, *from_server; /* each a fault of that role, or NULL */
        size_t len;
        int err;
        unsigned code;
    } cases[] = {
        {"\xc1\x80", "\xc1\x00", 2, PIXI_E_WS_RSV, 1002},
        {"\x83\x80", "\x83\x00", 2, PIXI_E_WS_OPCODE, 1002},
        {"\x09\x80", "\x09\x00", 2, PIXI_E_WS_CONTROL, 1002},
        {"\x81\x00", "\x81\x80", 2, PIXI_E_WS_MASK, 1002},
        {"\x82\xfe\x00\x01", "\x82\x7e\x00\x01", 4, PIXI_E_WS_LEN, 1002},
        {"\x80\x80zzzz", "\x80\x00zzzz", 6, PIXI_E_WS_FRAGMENT, 1002},
        {"\x82\xff\0\0\0\1\0\0\0\0zzzz", "\x82\x7f\0\0\0\1\0\0\0\0zzzz", 14, PIXI_E_WS_TOO_BIG, 1009},
        {"\x81\x81\0\0\0\0\xff", NULL, 7, PIXI_E_WS_UTF8, 1007},
        {NULL, "\x81\x01\xff", 3, PIXI_E_WS_UTF8, 1007},
        {NULL, "\x88\x01\x03", 3, PIXI_E_WS_CLOSE_LEN, 1002},
        {NULL, "\x88\x02\x03\xed", 4, PIXI_E_WS_CLOSE_CODE, 1002},
        {NULL, "\x88\x03\x03\xe8\xff", 5, PIXI_E_WS_CLOSE_UTF8, 1007},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int role = PIXI_CLIENT; role <= PIXI_SERVER; role++) {
            const char *bytes = role == PIXI_SERVER ? cases[i].from_client : cases[i].from_server;
            struct side *s;

            if (!bytes)
                continue;
            anew();
            s = open_one((enum pixi_role)role);
            raw_write(bytes, cases[i].len);
            raw_expects_close(cases[i].code);
            AWAIT(raw.is_ended); /* no more comes, and what we say is passed over */
            raw_str("anything");
            turn();
            assert_int_equal(s->closes, 0);
            assert_int_equal(send_str(s, "x"), PIXI_E_WS_CLOSED);
            raw_close();
            AWAIT(s->closes);
            expect_end(s, cases[i].err, 1006, true);
            assert_int_equal(s->messages, 0);
        }
}

/* A fault while we wait for the close is the end, without a second close frame. */
static void a_fault_after_our_close(void **state)
{
    (void)state;
    open_server();
    pixi_link_close(server.link, 1000, NULL);
    raw_expects_close(1000);
    raw_str("\xff\xff");
    AWAIT(raw.is_ended);
    assert_int_equal(raw.in.len, 0);
    raw_close();
    AWAIT(server.closes);
    expect_end(&server, PIXI_E_WS_RSV, 1006, true);
}

static void faults_found_above(void **state)
{
    (void)state;
    open_server();
    server.on_message = fail_it;
    raw_frame(0x82, "a", 1);
    raw_frame(0x82, "unheard", 7);
    raw_expects_close(1003);
    raw_close();
    AWAIT(server.closes);
    expect_end(&server, PIXI_E_WS_TYPE, 1006, true);
    assert_int_equal(server.messages, 1);
}

/* ---- closing ---- */

static void each_side_closes(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct side *one = k ? &client : &server, *other = k ? &server : &client;

        anew();
        open_both();
        assert_int_equal(send_str(one, "last"), PIXI_OK);
        pixi_link_close(one->link, 4001, "because \xc3\xa9");
        assert_int_equal(send_str(one, "too late"), PIXI_E_WS_CLOSED);
        assert_int_equal(pixi_link_ping(one->link, NULL, 0), PIXI_E_WS_CLOSED);
        AWAIT(one->closes && other->closes);
        last_message(other, "last");
        expect_end(one, PIXI_OK, 4001, true);
        expect_end(other, PIXI_OK, 4001, false);
        assert_string_equal(other->end.reason, "because \xc3\xa9");
        assert_string_equal(one->end.reason, ""); /* the answer gives none */
        for (int i = 0; i < 5; i++)
            turn();
    }
}

static void close_without_a_code(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct side *one = k ? &client : &server, *other = k ? &server : &client;

        anew();
        open_both();
        pixi_link_close(one->link, PIXI_WS_CLOSE_NONE, NULL);
        AWAIT(one->closes && other->closes);
        expect_end(one, PIXI_OK, PIXI_WS_CLOSE_NONE, true);
        expect_end(other, PIXI_OK, PIXI_WS_CLOSE_NONE, false);
    }
}

static void long_reasons(void **state)
{
    char reason[300];

    (void)state;
    memset(reason, 'r', sizeof reason - 1);
    reason[sizeof reason - 1] = 0;
    open_both();
    pixi_link_close(client.link, 1000, reason);
    AWAIT(client.closes && server.closes);
    assert_int_equal(strlen(server.end.reason), PIXI_WS_REASON_MAX);
}

static void both_close_at_once(void **state)
{
    (void)state;
    open_both();
    pixi_link_close(client.link, 1000, "mine");
    pixi_link_close(server.link, 1001, "yours");
    AWAIT(client.closes && server.closes);
    expect_end(&client, PIXI_OK, 1001, true);
    expect_end(&server, PIXI_OK, 1000, true);
    assert_string_equal(client.end.reason, "yours");
    assert_string_equal(server.end.reason, "mine");
}

/* After our close what the peer still sends is read, for the sake of its close, and not told. */
static void data_after_our_close(void **state)
{
    (void)state;
    open_server();
    raw_frame(0x01, "begun before", 12);
    AWAIT(server.link->partial.len == 12);
    pixi_link_close(server.link, 1000, NULL);
    raw_expects_close(1000);
    raw_frame(0x80, "and ended after", 15);
    raw_frame(0x89, "p", 1);
    raw_frame(0x82, "x", 1);
    raw_frame(0x88,
              "\x0f\xa0"
              "ok",
              4);
    AWAIT(raw.is_ended);
    assert_int_equal(raw.in.len, 0); /* no pong, no second close */
    raw_close();
    AWAIT(server.closes);
    expect_end(&server, PIXI_OK, 4000, true);
    assert_string_equal(server.end.reason, "ok");
    assert_int_equal(server.messages + server.pings, 0);
}

/* Unless its owner wants to hear it out: until the peer's close, messages are told, and nothing else is. */
static void heard_out(void **state)
{
    (void)state;
    open_server();
    server.link->hears_out = true;
    raw_frame(0x01, "begun before", 12);
    AWAIT(server.link->partial.len == 12);
    pixi_link_close(server.link, 1000, NULL);
    raw_expects_close(1000);
    raw_frame(0x80, ", ended after", 13);
    raw_frame(0x89, "p", 1);
    raw_frame(0x82, "x", 1);
    raw_frame(0x88, "\x03\xe8", 2);
    AWAIT(raw.is_ended);
    assert_int_equal(raw.in.len, 0);
    raw_close();
    AWAIT(server.closes);
    expect_end(&server, PIXI_OK, 1000, true);
    assert_int_equal(server.messages, 2);
    assert_int_equal(server.pings, 0);
    assert_true(pixi_cur_equals(pixi_buf_cur(&server.all), pixi_cur_str("begun before, ended afterx")));
}

static void closing_twice_drops(void **state)
{
    (void)state;
    open_server();
    pixi_link_close(server.link, 1000, NULL);
    pixi_link_close(server.link, 1000, NULL);
    pixi_link_close(server.link, 1000, NULL);
    AWAIT(server.closes && raw.is_ended);
    expect_end(&server, PIXI_E_WS_NO_CLOSE, 1006, true);
    raw_expects_close(1000); /* it had been queued */
}

static void closed_while_opening(void **state)
{
    (void)state;
    serve_raw();
    pixi_link_close(server.link, 1000, NULL);
    AWAIT(server.closes && raw.is_ended);
    expect_end(&server, PIXI_E_WS_NO_CLOSE, 1006, true);
    anew();
    call_raw(NULL);
    pixi_link_fail(client.link, PIXI_E_TIMEOUT);
    AWAIT(client.closes && raw.is_ended);
    expect_end(&client, PIXI_E_TIMEOUT, 1006, true);
}

/* Nothing but the first reason is told, and all of it once. */
static void dropped_again_and_again(void **state)
{
    (void)state;
    open_both();
    pixi_link_drop(server.link, PIXI_E_RATE);
    pixi_link_drop(server.link, PIXI_E_SYS);
    pixi_link_fail(server.link, PIXI_E_WS_TYPE);
    pixi_link_close(server.link, 1000, NULL);
    assert_int_equal(send_str(&server, "x"), PIXI_E_WS_CLOSED);
    AWAIT(client.closes && server.closes);
    expect_end(&server, PIXI_E_RATE, 1006, true);
    expect_end(&client, PIXI_E_WS_NO_CLOSE, 1006, false);
}

static void ended_inside_callbacks(void **state)
{
    static void (*const ways[])(struct side *) = {close_it, drop_it, fail_it};

    (void)state;
    for (size_t i = 0; i < COUNT(ways); i++)
        for (int on = 0; on < 4; on++) {
            anew();
            open_server();
            *(on == 3 ? &server.on_control : &server.on_message) = ways[i];
            switch (on) {
            case 0: raw_frame(0x81, "whole", 5); break;
            case 1: /* from two readings, so that its buffer is lent */
                raw_frame(0x01, "in ", 3);
                turn();
                raw_frame(0x80, "parts", 5);
                break;
            case 2: raw_write("\x81\x80zzzz\x81\x80zzzz\x01\x80zzzz", 18); break;
            default: raw_frame(0x89, "p", 1); break;
            }
            AWAIT(server.messages + server.pings == 1 &&
                  (server.closes || server.link->state != PIXI_LINK_OPEN));
            raw_frame(0x88, "\x03\xe8", 2);
            AWAIT(server.closes || raw.is_ended);
            raw_close();
            AWAIT(server.closes);
            assert_int_equal(server.messages + server.pings, 1);
            assert_true(server.end.is_ours);
        }
}

/* ---- the peer vanishes ---- */

enum moment { BEFORE_HEAD, IN_HEAD, OPEN, IN_MESSAGE, CLOSE_SENT, LINGER, MOMENTS };

/* Leads the side of this role to the moment. */
static struct side *lead_to(enum moment m, enum pixi_role role)
{
    struct side *s = role == PIXI_SERVER ? &server : &client;
    char key[PIXI_WS_KEY_LEN];

    if (m > IN_HEAD)
        open_one(role);
    else if (role == PIXI_SERVER)
        serve_raw();
    else
        call_raw(key);
    switch (m) {
    case IN_HEAD: raw_str(role == PIXI_SERVER ? "GET / HTTP/1.1\r\nHo" : "HTTP/1.1 101 x\r\nUp"); break;
    case IN_MESSAGE:
        raw_frame(0x01, "begun", 5);
        AWAIT(s->link->partial.len == 5);
        break;
    case CLOSE_SENT:
        pixi_link_close(s->link, 1000, NULL);
        raw_expects_close(1000);
        break;
    case LINGER:
        raw_frame(0x88, "\x0f\xa0", 2);
        AWAIT(s->link->state == PIXI_LINK_LINGER);
        break;
    default: break;
    }
    turn();
    return s;
}

static void the_peer_vanishes(void **state)
{
    struct side *s;

    (void)state;
    for (int m = 0; m < MOMENTS; m++)
        for (int role = PIXI_CLIENT; role <= PIXI_SERVER; role++)
            for (int is_hard = 0; is_hard < 2; is_hard++) {
                anew();
                s = lead_to((enum moment)m, (enum pixi_role)role);
                raw_read(); /* unread bytes would make a reset of any close */
                if (is_hard)
                    raw_reset();
                else
                    raw_close();
                AWAIT(s->closes);
                if (m == LINGER)
                    expect_end(s, PIXI_OK, 4000, false);
                else
                    expect_end(s, is_hard ? PIXI_E_RESET : PIXI_E_WS_NO_CLOSE, 1006, m == CLOSE_SENT);
                if (m != LINGER)
                    assert_int_equal(s->end.sys_errno, is_hard ? ECONNRESET : 0);
                assert_int_equal(s->messages, 0);
            }
}

/* In any moment the link can be dropped, closed and failed from above. */
static void ended_from_above(void **state)
{
    static void (*const ways[])(struct side *) = {close_it, drop_it, fail_it};
    struct side *s;

    (void)state;
    for (int m = 0; m < MOMENTS; m++)
        for (int role = PIXI_CLIENT; role <= PIXI_SERVER; role++)
            for (size_t i = 0; i < COUNT(ways); i++) {
                anew();
                s = lead_to((enum moment)m, (enum pixi_role)role);
                ways[i](s);
                turn();
                raw_close();
                AWAIT(s->closes);
                if (m == LINGER)
                    expect_end(s, PIXI_OK, 4000, false); /* all was said: that stands */
            }
}

/* ---- time ---- */

static void slow_handshakes(void **state)
{
    (void)state;
    server.limits.handshake_ms = 30;
    serve_raw();
    raw_str("GET / HT");
    AWAIT(server.requests);
    assert_int_equal(server.request_err, PIXI_E_TIMEOUT);
    assert_false(server.has_head);
    AWAIT(raw.is_ended);
    assert_memory_equal(raw.in.bytes, "HTTP/1.1 400 x\r\n", 16);
    raw_str("TP/1.1\r\n\r\n"); /* too late */
    turn();
    raw_close();
    AWAIT(server.closes);
    expect_end(&server, PIXI_E_WS_STATUS, 1006, true);
    assert_int_equal(server.requests, 1);

    anew();
    client.limits.handshake_ms = 30;
    call_raw(NULL);
    raw_str("HTTP/1.1 101 x\r\n");
    AWAIT(client.closes);
    expect_end(&client, PIXI_E_TIMEOUT, 1006, true);
}

/* Who opened in time is not ended by that time-out. */
static void the_handshake_time_is_over(void **state)
{
    uint64_t until;

    (void)state;
    client.limits.handshake_ms = server.limits.handshake_ms = 150;
    open_both();
    for (until = pixi_clock_mono_ms() + 200; pixi_clock_mono_ms() < until;)
        turn();
    assert_int_equal(client.closes + server.closes + server.requests, 1);
}

static void no_answer_to_our_close(void **state)
{
    (void)state;
    for (int role = PIXI_CLIENT; role <= PIXI_SERVER; role++) {
        struct side *s;

        anew();
        s = open_one((enum pixi_role)role);
        s->limits.close_ms = 30;
        pixi_link_close(s->link, 1000, NULL);
        raw_expects_close(1000);
        raw_frame(0x82, "still here", 10);
        AWAIT(s->closes);
        expect_end(s, PIXI_E_TIMEOUT, 1006, true);
    }
}

/* All is said, and the peer keeps the TCP connection open. */
static void no_end_after_the_close(void **state)
{
    (void)state;
    for (int role = PIXI_CLIENT; role <= PIXI_SERVER; role++) {
        struct side *s;

        anew();
        s = open_one((enum pixi_role)role);
        s->limits.close_ms = 150;
        raw_frame(0x88, "\x03\xe8", 2);
        raw_expects_close(1000);
        turn();
        assert_int_equal(raw.is_ended, role == PIXI_SERVER); /* §7.1.1: the server ends it first */
        AWAIT(s->closes);
        expect_end(s, PIXI_OK, 1000, false);
        AWAIT(raw.is_ended || raw.is_reset);
    }
}

static void keepalive(void **state)
{
    (void)state;
    for (int role = PIXI_CLIENT; role <= PIXI_SERVER; role++) {
        struct side *s = role == PIXI_SERVER ? &server : &client;

        anew();
        s->limits.ping_ms = 20;
        s->limits.pong_ms = 30;
        open_one((enum pixi_role)role);
        for (int i = 0; i < 3; i++) { /* a pong, or any byte, is a sign of life */
            raw_expects(0x89, "", 0);
            if (i == 1)
                raw_write("\x81", 1); /* the first of a frame */
            else if (i == 2)
                raw_write(role == PIXI_SERVER ? "\x80zzzz" : "\0", role == PIXI_SERVER ? 5 : 1);
            else
                raw_frame(0x8a, "", 0);
        }
        assert_int_equal(s->closes, 0);
        assert_int_equal(s->pongs, 1);
        raw_expects(0x89, "", 0);
        AWAIT(s->closes); /* silence */
        expect_end(s, PIXI_E_WS_PONG, 1006, true);
    }
}

/* Two links that ping each other live on, however quiet they are. */
static void quiet_links_live(void **state)
{
    (void)state;
    client.limits.ping_ms = 15;
    client.limits.pong_ms = 1000;
    server.limits.ping_ms = 10;
    server.limits.pong_ms = 1000;
    open_both();
    AWAIT(client.pings > 5 && server.pongs > 5);
    assert_int_equal(client.closes + server.closes, 0);
}

static void traffic_spares_pings(void **state)
{
    uint64_t until;
    int sent = 0;

    (void)state;
    server.limits.ping_ms = 2000;
    server.limits.pong_ms = 2000;
    open_server();
    for (until = pixi_clock_mono_ms() + 60; pixi_clock_mono_ms() < until; sent++) {
        raw_frame(0x81, "x", 1);
        turn();
    }
    AWAIT(server.messages == sent);
    assert_int_equal(raw.in.len, 0);
}

/* ---- storms ---- */

static uint32_t seed;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(seed >> 4) * n >> 28);
}

static void storm_step(struct side *s, struct pixi_buf *sent)
{
    static uint8_t bytes[70000];
    uint32_t len;

    if (!s->link)
        return;
    switch (random_below(40)) {
    case 0: pixi_link_close(s->link, 1000, "storm"); return;
    case 1: pixi_link_drop(s->link, PIXI_E_RATE); return;
    case 2: pixi_link_fail(s->link, PIXI_E_WS_TYPE); return;
    case 3:
    case 4: pixi_link_ping(s->link, bytes, random_below(126)); return;
    default: break;
    }
    len = random_below(4) ? random_below(200) : random_below(sizeof bytes);
    memset(bytes, (int)random_below(256), len);
    if (pixi_link_send(s->link, PIXI_WS_BINARY, bytes, len) == PIXI_OK)
        pixi_buf_put(sent, bytes, len);
}

/* Whatever both do: each ends once, and what was heard is what was sent, up to some message. */
static void storms(void **state)
{
    (void)state;
    seed = 8;
    for (int round = 0; round < 150; round++) {
        struct pixi_buf sent[2] = {pixi_buf_init(1 << 26), pixi_buf_init(1 << 26)};

        anew();
        client.limits.queue_bytes = server.limits.queue_bytes = 200000;
        client.limits.close_ms = server.limits.close_ms = 200;
        open_both();
        for (int step = 0; step < 2000 && !(client.closes && server.closes); step++) {
            storm_step(&client, &sent[0]);
            storm_step(&server, &sent[1]);
            if (random_below(3) == 0)
                assert_int_equal(pixi_loop_turn(&loop, 0), PIXI_OK);
        }
        AWAIT(client.closes && server.closes);
        assert_true(server.all.len <= sent[0].len && client.all.len <= sent[1].len);
        if (server.all.len)
            assert_memory_equal(server.all.bytes, sent[0].bytes, server.all.len);
        if (client.all.len)
            assert_memory_equal(client.all.bytes, sent[1].bytes, client.all.len);
        pixi_buf_clear(&sent[0]);
        pixi_buf_clear(&sent[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(faults_are_told),
        TEST(a_fault_after_our_close),
        TEST(faults_found_above),
        TEST(each_side_closes),
        TEST(close_without_a_code),
        TEST(long_reasons),
        TEST(both_close_at_once),
        TEST(data_after_our_close),
        TEST(heard_out),
        TEST(closing_twice_drops),
        TEST(closed_while_opening),
        TEST(dropped_again_and_again),
        TEST(ended_inside_callbacks),
        TEST(the_peer_vanishes),
        TEST(ended_from_above),
        TEST(slow_handshakes),
        TEST(the_handshake_time_is_over),
        TEST(no_answer_to_our_close),
        TEST(no_end_after_the_close),
        TEST(keepalive),
        TEST(quiet_links_live),
        TEST(traffic_spares_pings),
        TEST(storms),
    };

    return cmocka_run_group_tests_name("link/end", tests, NULL, NULL);
}
