#include "server/limits.h"
#include "invariants.h"

/* How many of cost pass in `ms` milliseconds, one tried each millisecond `tries` times. */
static unsigned passed(struct pixi_rate *r, uint64_t per_s, uint64_t cost, uint64_t from_ms, uint64_t ms,
                       unsigned tries)
{
    unsigned count = 0;

    for (uint64_t now = from_ms; now < from_ms + ms; now++)
        for (unsigned i = 0; i < tries; i++)
            if (pixi_rate_wait(r, per_s, cost, now) == 0) {
                pixi_rate_take(r, per_s, cost, now);
                count++;
            }
    return count;
}

/* A second's worth at once, then as much in each second, however it is asked for. */
static void rates_hold(void **state)
{
    static const struct {
        uint64_t per_s, cost;
    } rows[] = {{1, 1}, {3, 1},          {10, 1},         {1000, 1},
                {7, 2}, {1000000, 1000}, {1048576, 1024}, {10000000000u, 1u << 30}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pixi_rate r = {0};
        uint64_t per_s = rows[i].per_s, cost = rows[i].cost, whole = per_s / cost;
        unsigned first = passed(&r, per_s, cost, 5000, 1, 2000);

        assert_int_equal(first, whole);
        assert_in_range(passed(&r, per_s, cost, 5001, 4000, 3), 4 * per_s / cost - 1, 4 * per_s / cost + 1);
    }
}

/* What is told is enough to wait, and one millisecond less is not. */
static void the_wait_is_right(void **state)
{
    (void)state;
    for (uint64_t per_s = 1; per_s < 3000; per_s += 7) {
        struct pixi_rate r = {0};
        uint64_t wait;

        while ((wait = pixi_rate_wait(&r, per_s, 1, 9000)) == 0)
            pixi_rate_take(&r, per_s, 1, 9000);
        assert_in_range(wait, 1, 1000);
        assert_int_equal(pixi_rate_wait(&r, per_s, 1, 9000 + wait), 0);
        assert_int_not_equal(pixi_rate_wait(&r, per_s, 1, 9000 + wait - 1), 0);
    }
}

static void large_things_pass_alone(void **state)
{
    struct pixi_rate r = {0};
    uint64_t wait;

    (void)state;
    assert_int_equal(pixi_rate_wait(&r, 100, 1000, 1), 0);
    pixi_rate_take(&r, 100, 1000, 1);
    wait = pixi_rate_wait(&r, 100, 1, 1);
    assert_in_range(wait, 9000, 9010); /* ten seconds' worth, of which one may be owed */
    assert_int_equal(pixi_rate_wait(&r, 100, 1000, 1 + wait), 10000 - wait);
    assert_int_equal(pixi_rate_wait(&r, 100, 1000, 10001), 0);
}

static void ends_of_the_range(void **state)
{
    struct pixi_rate r = {0};

    (void)state;
    assert_int_equal(passed(&r, 0, UINT64_MAX, 0, 10, 10), 100); /* no limit */
    assert_int_equal(pixi_rate_wait(&r, 1, UINT64_MAX, 1), 0);
    pixi_rate_take(&r, 1, UINT64_MAX, 1);
    assert_int_equal(pixi_rate_wait(&r, 1, UINT64_MAX, 1), 3600 * 1000); /* an hour at most */
    assert_int_equal(pixi_rate_wait(&r, 1, 1, 1), 3600 * 1000);
    assert_int_equal(pixi_rate_wait(&r, 1, 1, 3600 * 1000 + 2), 0);
}

static struct pixi_addr addr(const char *text)
{
    struct pixi_addr a;

    assert_int_equal(pixi_addr_parse(text, &a), PIXI_OK);
    return a;
}

/* Each row: two addresses, and whether they count as one. */
static void sources(void **state)
{
    static const struct {
        const char *a, *b;
        bool is_same;
    } rows[] = {
        {"127.0.0.1:1", "127.0.0.1:2", true},
        {"127.0.0.1:1", "127.0.0.2:1", false},
        {"[2001:db8::1]:1", "[2001:db8::ffff:2]:9", true},
        {"[2001:db8:0:1::1]:1", "[2001:db8::1]:1", false},
        {"[::ffff:10.0.0.1]:1", "10.0.0.1:5", true},
        {"[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.2]:1", false},
        {"[::1]:1", "127.0.0.1:1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pixi_sources s = {.hash_key = {1, 2, 3}};
        struct pixi_addr a = addr(rows[i].a), b = addr(rows[i].b);
        struct pixi_source *first = pixi_sources_enter(&s, &a), *second;

        assert_int_equal(pixi_sources_count(&s, &a), 1);
        assert_int_equal(pixi_sources_count(&s, &b), rows[i].is_same);
        second = pixi_sources_enter(&s, &b);
        assert_int_equal(first == second, rows[i].is_same);
        assert_int_equal(pixi_sources_count(&s, &a), 1 + rows[i].is_same);
        pixi_sources_leave(&s, first);
        pixi_sources_leave(&s, second);
        assert_int_equal(pixi_sources_count(&s, &a) + pixi_sources_count(&s, &b), 0);
        pixi_sources_clear(&s);
    }
}

static void many_sources(void **state)
{
    enum { MANY = 5000 };
    static struct pixi_source *held[MANY];
    struct pixi_sources s = {.hash_key = {9}};
    struct pixi_addr a;
    char text[PIXI_ADDR_TEXT];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "10.0.%d.%d:1", i / 2 / 250, i / 2 % 250);
        a = addr(text);
        held[i] = pixi_sources_enter(&s, &a);
        assert_int_equal(pixi_sources_count(&s, &a), 1 + i % 2);
    }
    for (int i = 0; i < MANY; i++)
        pixi_sources_leave(&s, held[i]);
    pixi_sources_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_hold),
        cmocka_unit_test(the_wait_is_right),
        cmocka_unit_test(large_things_pass_alone),
        cmocka_unit_test(ends_of_the_range),
        cmocka_unit_test(sources),
        cmocka_unit_test(many_sources),
    };

    return cmocka_run_group_tests_name("server/limits", tests, NULL, NULL);
}
