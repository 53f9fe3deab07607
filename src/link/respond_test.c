/* Answers in HTTP that are larger than what a socket takes at once. */
#include "link/world_test.h"

enum { BODY = 12 << 20 };

/* One that asks for a body, with the server's time for those that do not take it. */
static struct pixi_shared *ask(uint32_t close_ms)
{
    struct pixi_shared *body = pixi_shared_new(BODY);

    assert_non_null(body);
    memset(body->bytes, 'b', BODY);
    serve_raw();
    server.limits.close_ms = close_ms;
    server.status = 200;
    server.body = body;
    raw_str("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    return body;
}

static void check_whole(void)
{
    static const char head[] = "HTTP/1.1 200 x\r\nContent-Length: 4\r\n\r\n";

    assert_int_equal(raw.in.len, strlen(head) + BODY);
    assert_memory_equal(raw.in.bytes, head, strlen(head));
    assert_int_equal(raw.in.bytes[raw.in.len - 1], 'b');
}

static void a_long_answer_is_whole(void **state)
{
    struct pixi_shared *body;

    (void)state;
    body = ask(FOREVER_MS);
    AWAIT(raw.is_ended);
    check_whole();
    raw_close();
    AWAIT(server.closes);
    expect_end(&server, PIXI_E_WS_STATUS, 1006, true);
    assert_int_equal(body->refs, 1);
    pixi_shared_release(body);
}

/* Who has said all may still read. */
static void also_to_who_says_no_more(void **state)
{
    struct pixi_shared *body;

    (void)state;
    body = ask(FOREVER_MS);
    assert_int_equal(shutdown(raw.fd, SHUT_WR), 0);
    AWAIT(raw.is_ended && server.closes);
    check_whole();
    assert_int_equal(body->refs, 1);
    pixi_shared_release(body);
}

static void who_takes_nothing_is_cut_off(void **state)
{
    struct pixi_shared *body;

    (void)state;
    body = ask(5);
    for (uint64_t until_ms = pixi_clock_mono_ms() + PATIENCE_MS;
         !server.closes && pixi_clock_mono_ms() < until_ms;)
        assert_int_equal(pixi_loop_turn(&loop, 1), PIXI_OK); /* and nothing is read */
    assert_int_equal(server.closes, 1);
    assert_int_equal(body->refs, 1);
    pixi_shared_release(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_long_answer_is_whole),
        TEST(also_to_who_says_no_more),
        TEST(who_takes_nothing_is_cut_off),
    };

    return cmocka_run_group_tests_name("link/respond", tests, NULL, NULL);
}
