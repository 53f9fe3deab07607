#include "net/wheel.h"
#include "invariants.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static uint64_t seed;

static uint64_t random_below(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return n ? seed % n : 0;
}

/* ---- against a naive model ---- */

enum { TIMERS = 60, ROUNDS = 40000 };

/* A wheel, and beside it what must happen: each timer's due time, and whether the advance under way must fire it. */
static struct world {
    struct pixi_wheel wheel;
    struct pixi_timer timers[TIMERS];
    uint64_t due[TIMERS];
    bool is_set[TIMERS], is_owed[TIMERS], is_advancing;
    uint64_t now, fired;
} world;

static void set(struct world *w, size_t i, uint64_t due)
{
    pixi_wheel_set(&w->wheel, &w->timers[i], due);
    w->due[i] = due;
    w->is_set[i] = true;
    w->is_owed[i] = false; /* if it is due already, that is for the next advance */
}

static void cancel(struct world *w, size_t i)
{
    pixi_wheel_cancel(&w->wheel, &w->timers[i]);
    w->is_set[i] = w->is_owed[i] = false;
}

/* From near to far beyond what the wheel turns in one go. */
static uint64_t random_delay(void)
{
    static const uint64_t spans[] = {2, 70, 70, 5000, 5000, 300000, 1ull << 24, 1ull << 33, 1ull << 40};
    uint64_t delay = random_below(spans[random_below(COUNT(spans))]);

    /* around the sizes of slots and levels */
    return random_below(4) ? delay : (1ull << random_below(40)) + random_below(3) - 1;
}

static uint64_t random_due(const struct world *w)
{
    return random_below(20) ? w->now + random_delay() : w->now - random_below(w->now < 100 ? w->now : 100);
}

static void set_or_cancel_some(struct world *w)
{
    for (uint64_t n = random_below(4); n > 0; n--) {
        size_t i = random_below(TIMERS);

        if (random_below(3))
            set(w, i, random_due(w));
        else
            cancel(w, i);
    }
}

static void on_due(struct pixi_timer *t)
{
    struct world *w = &world;
    size_t i = (size_t)(t - w->timers);

    assert_true(w->is_advancing);
    assert_true(w->is_set[i] && w->is_owed[i]); /* not early, not twice, not after it was cancelled */
    assert_true(w->due[i] <= w->now);
    assert_false(pixi_timer_is_set(t));
    w->is_set[i] = w->is_owed[i] = false;
    w->fired++;
    if (random_below(3) == 0)
        set(w, i, random_due(w)); /* itself again */
    if (random_below(3) == 0)
        set_or_cancel_some(w);
}

static void advance(struct world *w, uint64_t to)
{
    for (size_t i = 0; i < TIMERS; i++)
        w->is_owed[i] = w->is_set[i] && w->due[i] <= to && to > w->now;
    w->now = to;
    w->is_advancing = true;
    pixi_wheel_advance(&w->wheel, to);
    w->is_advancing = false;
    for (size_t i = 0; i < TIMERS; i++)
        if (w->is_owed[i])
            fail_msg("timer %zu, due %ju, did not fire at %ju", i, (uintmax_t)w->due[i], (uintmax_t)to);
}

static void check(const struct world *w)
{
    uint64_t soonest = UINT64_MAX, next = pixi_wheel_next(&w->wheel);

    for (size_t i = 0; i < TIMERS; i++) {
        uint64_t due = w->due[i] > w->now ? w->due[i] : w->now + 1;

        assert_int_equal(pixi_timer_is_set(&w->timers[i]), w->is_set[i]);
        if (w->is_set[i] && due < soonest)
            soonest = due;
    }
    assert_true(next > w->now);
    if (soonest == UINT64_MAX)
        assert_true(next == UINT64_MAX);
    else
        assert_true(next <= soonest);
}

static void run_model(uint64_t start, uint64_t with_seed)
{
    struct world *w = &world;

    seed = with_seed;
    *w = (struct world){.now = start, .wheel = {.now_ms = start}};
    for (size_t i = 0; i < TIMERS; i++)
        w->timers[i].on_due = on_due;
    for (int round = 0; round < ROUNDS; round++) {
        set_or_cancel_some(w);
        check(w);
        switch (random_below(4)) {
        case 0: advance(w, w->now + random_below(3)); break;
        case 1: advance(w, w->now + random_delay()); break;
        case 2:
            if (pixi_wheel_next(&w->wheel) != UINT64_MAX)
                advance(w, pixi_wheel_next(&w->wheel)); /* as a loop that sleeps does */
            break;
        default: break;
        }
        check(w);
    }
    assert_true(w->fired > ROUNDS / 10);
}

static void as_the_model(void **state)
{
    (void)state;
    run_model(0, 1);
    run_model(63, 2);
    run_model(1 << 12, 3);
    run_model((1ull << 36) - 2, 4);
    run_model(1234567890123, 5);
}

/* ---- one thing at a time ---- */

static uint64_t fired_at, fire_count;
static struct pixi_wheel alone;

static void note(struct pixi_timer *t)
{
    assert_true(t->due_ms <= alone.now_ms);
    fired_at = alone.now_ms;
    fire_count++;
}

/* Sleeping from pixi_wheel_next to pixi_wheel_next, a timer fires at its very millisecond, after few wakings. */
static void on_time_however_far(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 44; bits++)
        for (uint64_t start = 0; start < 1000; start += 333) {
            struct pixi_timer t = {.on_due = note};
            uint64_t due = start + (1ull << bits) + 1;
            unsigned wakings = 0;

            alone = (struct pixi_wheel){.now_ms = start};
            fire_count = 0;
            pixi_wheel_set(&alone, &t, due);
            for (uint64_t next; (next = pixi_wheel_next(&alone)) != UINT64_MAX; wakings++)
                pixi_wheel_advance(&alone, next);
            assert_int_equal(fire_count, 1);
            assert_int_equal(fired_at, due);
            assert_true(wakings <= PIXI_WHEEL_LEVELS + (1u << (bits > 34 ? bits - 34 : 0)));
        }
}

static void what_is_past_fires_next(void **state)
{
    struct pixi_timer t = {.on_due = note};

    (void)state;
    alone = (struct pixi_wheel){.now_ms = 500};
    fire_count = 0;
    pixi_wheel_set(&alone, &t, 3);
    assert_int_equal(fire_count, 0);
    assert_int_equal(pixi_wheel_next(&alone), 501);
    pixi_wheel_advance(&alone, 500); /* no time has passed */
    pixi_wheel_advance(&alone, 499); /* nor does it run backwards */
    assert_int_equal(fire_count, 0);
    assert_int_equal(alone.now_ms, 500);
    pixi_wheel_advance(&alone, 501);
    assert_int_equal(fire_count, 1);
    assert_true(pixi_wheel_next(&alone) == UINT64_MAX);
}

static void setting_again_moves(void **state)
{
    struct pixi_timer t = {.on_due = note};

    (void)state;
    alone = (struct pixi_wheel){.now_ms = 0};
    fire_count = 0;
    pixi_wheel_set(&alone, &t, 10);
    pixi_wheel_set(&alone, &t, 5000);
    pixi_wheel_advance(&alone, 4999);
    assert_int_equal(fire_count, 0);
    pixi_wheel_set(&alone, &t, 6000);
    pixi_wheel_set(&alone, &t, 5001);
    pixi_wheel_advance(&alone, 5001);
    assert_int_equal(fire_count, 1);
    pixi_wheel_cancel(&alone, &t); /* not set: nothing happens */
    pixi_wheel_cancel(&alone, &t);
    assert_false(pixi_timer_is_set(&t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_model),
        cmocka_unit_test(on_time_however_far),
        cmocka_unit_test(what_is_past_fires_next),
        cmocka_unit_test(setting_again_moves),
    };

    return cmocka_run_group_tests_name("net/wheel", tests, NULL, NULL);
}
