#include "client/retry.h"
#include "invariants.h"

enum { FIRST = 500, MOST = 30000 };

/* A clock that only the test moves. */
static uint64_t now;
static struct pixi_retry r;

static void start(size_t servers, unsigned flags)
{
    now = 1000;
    pixi_retry_init(&r, FIRST, MOST, servers, flags);
}

static struct pixi_failure closed_with(uint16_t code)
{
    static const struct pixi_failure_at at = {.host = "h", .port = 1, .target = "/"};
    struct pixi_link link = {.was_open = true};
    struct pixi_link_end end = {.err = PIXI_OK, .code = code};

    return pixi_failure_end(&at, &end, &link);
}

static struct pixi_failure refused(void)
{
    static const struct pixi_failure_at at = {.host = "h", .port = 1, .target = "/"};

    return pixi_failure_dial(PIXI_E_CONNECT, &at, "h:1: Connection refused");
}

static struct pixi_failure answered(unsigned status, uint32_t retry_after_ms)
{
    static const struct pixi_failure_at at = {.host = "h", .port = 1, .target = "/"};
    struct pixi_http_head head = {.status = status};
    struct pixi_failure f = pixi_failure_refused(&at, &head, pixi_cur_init(NULL, 0));

    f.retry_after_ms = retry_after_ms;
    return f;
}

/* The connection is lost so; the clock moves to the next attempt. How long that took, UINT64_MAX: there is none. */
static uint64_t lose(struct pixi_failure f, uint32_t random)
{
    uint64_t in_ms = UINT64_MAX;

    if (!pixi_retry_lost(&r, &f, now, random, &in_ms))
        return UINT64_MAX;
    now += in_ms;
    return in_ms;
}

static void open_for(uint64_t ms)
{
    pixi_retry_opened(&r, now);
    now += ms;
}

/* docs/protocol.md, Closing */
static void each_close_code(void **state)
{
    static const struct {
        uint16_t code;
        bool comes_back, sends_again;
    } rows[] = {
        {1000, false, true}, {1001, true, true},  {1002, true, false}, {1003, true, false},
        {1005, true, true},  {1007, true, false}, {1008, true, true},  {1009, true, false},
        {1010, true, true},  {1011, true, true},  {1012, true, true},  {1013, true, true},
        {3000, false, true}, {3001, true, true},  {3003, false, true}, {3008, true, true},
        {4000, true, true},  {4001, true, true},  {4999, true, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t servers = 1; servers <= 3; servers += 2) { /* the same, however many there are */
            struct pixi_failure f = closed_with(rows[i].code);

            start(servers, PIXI_RETRY_LOST);
            open_for(MOST);
            if ((lose(f, 7) != UINT64_MAX) != rows[i].comes_back)
                fail_msg("%u, %zu servers", rows[i].code, servers);
            if (rows[i].comes_back && pixi_retry_resends(&f) != rows[i].sends_again)
                fail_msg("%u sends again", rows[i].code);
            assert_int_equal(f.close_code, rows[i].code);
        }
}

/* Every value from 0 to the bound comes about, none above, and the bound doubles up to the last one. */
static void full_jitter(void **state)
{
    uint64_t bound = FIRST;

    (void)state;
    start(1, PIXI_RETRY_LOST | PIXI_RETRY_FIRST);
    for (unsigned round = 0; round < 40; round++, bound = 2 * bound < MOST ? 2 * bound : MOST) {
        uint64_t at = now;
        struct pixi_retry before = r;

        for (uint32_t random = 0; random <= bound; random++) {
            r = before;
            now = at;
            assert_int_equal(lose(refused(), random), random);
        }
        r = before;
        now = at;
        assert_int_equal(lose(refused(), (uint32_t)bound + 1), 0);
        r = before;
        now = at;
        assert_true(lose(refused(), UINT32_MAX) <= bound);
    }
}

/* Half the bound on average: a thousand clients that lost the same server at once. */
static void clients_do_not_come_together(void **state)
{
    uint64_t sum = 0, seen[10] = {0};
    uint32_t chance = 12345;

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t in_ms;

        start(1, PIXI_RETRY_LOST);
        open_for(MOST);
        chance = chance * 1664525 + 1013904223;
        in_ms = lose(closed_with(1001), chance >> 8);
        sum += in_ms;
        seen[in_ms * 10 / (FIRST + 1)]++;
    }
    assert_in_range(sum / 1000, FIRST * 45 / 100, FIRST * 55 / 100);
    for (size_t i = 0; i < 10; i++)
        assert_in_range(seen[i], 60, 140);
}

static void a_connection_that_lasts_forgives(void **state)
{
    (void)state;
    start(1, PIXI_RETRY_LOST);
    for (unsigned i = 0; i < 10; i++) {
        open_for(MOST - 1); /* too short: the bound goes on growing */
        assert_true(lose(closed_with(1011), 0) != UINT64_MAX);
        assert_int_equal(r.rounds, i + 1);
    }
    open_for(MOST);
    assert_int_equal(lose(closed_with(1011), FIRST), FIRST);
    open_for(0);
    assert_int_equal(lose(closed_with(1011), FIRST + 1), FIRST + 1);
}

static void before_the_first_connection(void **state)
{
    (void)state;
    start(1, PIXI_RETRY_LOST);
    assert_int_equal(lose(refused(), 0), UINT64_MAX);
    start(1, PIXI_RETRY_LOST | PIXI_RETRY_FIRST);
    for (unsigned i = 0; i < 100; i++)
        assert_true(lose(refused(), i) != UINT64_MAX);
    start(3, PIXI_RETRY_LOST); /* each once */
    assert_int_equal(lose(refused(), 9), 0);
    assert_int_equal(r.server, 1);
    assert_int_equal(lose(answered(404, 0), 9), 0);
    assert_int_equal(r.server, 2);
    assert_int_equal(lose(refused(), 9), UINT64_MAX);
    start(1, 0);
    open_for(MOST);
    assert_int_equal(lose(closed_with(1001), 0), UINT64_MAX);
}

/* A round in order and without waiting, then a wait, then the next. */
static void several_servers(void **state)
{
    static const struct {
        size_t server;
        uint64_t in_ms;
    } want[] = {{1, 0}, {2, 0}, {0, 400}, {1, 0}, {2, 0}, {0, 400}};

    (void)state;
    start(3, PIXI_RETRY_LOST | PIXI_RETRY_FIRST);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        assert_int_equal(lose(refused(), 400), want[i].in_ms);
        assert_int_equal(r.server, want[i].server);
    }
    lose(refused(), 400);
    open_for(MOST); /* to the second: when that is lost, the first comes first again */
    assert_int_equal(r.server, 1);
    assert_int_equal(lose(closed_with(1001), 100), 100);
    assert_int_equal(r.server, 0);
}

static void a_server_that_is_out_of_the_question(void **state)
{
    (void)state;
    start(2, PIXI_RETRY_LOST | PIXI_RETRY_FIRST);
    assert_int_equal(lose(answered(404, 0), 0), 0);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(r.server, 1);
        assert_int_equal(lose(refused(), i), i);
    }
    open_for(MOST); /* from now on the first may have another chance */
    assert_int_equal(lose(closed_with(1012), 5), 5);
    assert_int_equal(r.server, 0);
    assert_int_equal(lose(answered(404, 0), 0), 0);
    assert_int_equal(r.server, 1);
    assert_int_equal(lose(answered(301, 0), 0), UINT64_MAX); /* none is left */
    start(3, PIXI_RETRY_LOST | PIXI_RETRY_FIRST);
    assert_int_equal(lose(answered(401, 0), 0), UINT64_MAX); /* the key is the same everywhere */
    start(3, PIXI_RETRY_LOST | PIXI_RETRY_FIRST);
    assert_int_equal(lose(answered(403, 0), 0), UINT64_MAX);
}

static void as_the_server_asked(void **state)
{
    (void)state;
    start(1, PIXI_RETRY_LOST | PIXI_RETRY_FIRST);
    assert_int_equal(lose(answered(503, 60000), 100), 60000);
    assert_int_equal(lose(answered(429, 10), 900), 900); /* its own time is longer */
    open_for(10);
    pixi_retry_going_away(&r, 1234);
    assert_int_equal(lose(closed_with(1012), 9), 1234);
    assert_int_equal(lose(refused(), 9), 9); /* once */
    open_for(10);
    pixi_retry_going_away(&r, UINT64_MAX);
    assert_int_equal(lose(closed_with(1012), 9), MOST);
}

/* The one that asked for patience is passed over, and does not hold the others back. */
static void one_of_several_asked(void **state)
{
    (void)state;
    start(2, PIXI_RETRY_LOST | PIXI_RETRY_FIRST);
    assert_int_equal(lose(answered(503, 60000), 0), 0);
    assert_int_equal(r.server, 1);
    while (now < 1000 + 60000) {
        assert_int_equal(r.server, 1);
        assert_true(lose(refused(), 450) <= 450);
    }
    assert_int_equal(lose(refused(), 20000), 20000);
    assert_int_equal(r.server, 0);
    assert_int_equal(lose(answered(503, 60000), 0), 0);
    assert_int_equal(lose(answered(503, 30000), 1), 30000); /* the soonest of them */
    assert_int_equal(r.server, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_close_code),
        cmocka_unit_test(full_jitter),
        cmocka_unit_test(clients_do_not_come_together),
        cmocka_unit_test(a_connection_that_lasts_forgives),
        cmocka_unit_test(before_the_first_connection),
        cmocka_unit_test(several_servers),
        cmocka_unit_test(a_server_that_is_out_of_the_question),
        cmocka_unit_test(as_the_server_asked),
        cmocka_unit_test(one_of_several_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
