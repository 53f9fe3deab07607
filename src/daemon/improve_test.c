#include "daemon/improve.h"

#include "invariants.h"

/* A link in simulated time: a path that forgets connections after so much silence, servers with round trips of their own,
 * and a throughput that grows with the window up to a point. */
struct world {
    struct pixi_improve i;
    uint64_t now_ms, seed;
    uint64_t path_forgets_ms;               /* silence that kills a connection silently; 0: none does */
    uint64_t rtt_us[PIXI_IMPROVE_SERVERS];  /* 0: it is down */
    uint64_t lies_us[PIXI_IMPROVE_SERVERS]; /* what probes see instead; 0: the truth */
    uint64_t best_window, stored;
    uint64_t losses, moves, most_keepalive_ms;
    bool is_loaded;
};

static const struct pixi_improve_config config = {.is_on = true,
                                                  .servers = 2,
                                                  .keepalive_ms = 30000,
                                                  .keepalive_max_ms = 900000,
                                                  .window = 256,
                                                  .window_max = 4096,
                                                  .probe_ms = 60000};

static void link_up(struct world *w, size_t server)
{
    pixi_improve_linked(&w->i, server, 5000, w->now_ms);
}

static void begin(struct world *w, const struct pixi_improve_config *c)
{
    *w = (struct world){.now_ms = 1000000, .seed = 1, .rtt_us = {20000, 20000}};
    pixi_improve_init(&w->i, c);
    link_up(w, 0);
}

static uint64_t noise(struct world *w, uint64_t us)
{
    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    return us + us * ((w->seed >> 33) % 20) / 100;
}

static void take_steps(struct world *w)
{
    struct pixi_improve_step s;

    while (pixi_improve_next(&w->i, true, w->now_ms, &s)) {
        if (s.what != PIXI_IMPROVE_SERVER)
            continue;
        w->moves++;
        pixi_improve_lost(&w->i, false, w->now_ms);
        link_up(w, w->rtt_us[s.to] ? (size_t)s.to : w->i.server);
    }
    if (w->i.keepalive_ms > w->most_keepalive_ms)
        w->most_keepalive_ms = w->i.keepalive_ms;
}

/* One keepalive interval goes by in silence. */
static void silence(struct world *w)
{
    w->now_ms += w->i.keepalive_ms;
    if (w->path_forgets_ms && w->i.keepalive_ms >= w->path_forgets_ms) {
        w->losses++;
        pixi_improve_lost(&w->i, true, w->now_ms);
        take_steps(w);
        link_up(w, w->i.server);
    } else {
        pixi_improve_survived(&w->i);
        pixi_improve_rtt(&w->i, noise(w, w->rtt_us[w->i.server]), w->now_ms);
    }
    take_steps(w);
}

/* A second goes by. */
static void second(struct world *w)
{
    uint64_t useful = w->i.window < w->best_window ? w->i.window : w->best_window;
    size_t server;

    w->now_ms += 1000;
    w->stored += w->is_loaded ? 10 * useful : 0;
    pixi_improve_load(&w->i, w->stored, w->is_loaded, w->now_ms);
    if (w->now_ms / 1000 % 10 == 0)
        pixi_improve_rtt(&w->i, noise(w, w->rtt_us[w->i.server]), w->now_ms);
    if (pixi_improve_probe(&w->i, w->now_ms, &server)) {
        uint64_t seen = w->lies_us[server] ? w->lies_us[server] : w->rtt_us[server];

        pixi_improve_probed(&w->i, server, seen ? noise(w, seen) : 0, w->now_ms);
    }
    take_steps(w);
}

static void the_longest_interval_that_the_path_survives(void **state)
{
    struct world w;

    (void)state;
    begin(&w, &config);
    w.path_forgets_ms = 120000;
    for (int n = 0; n < 500; n++)
        silence(&w);
    assert_true(w.i.keepalive_ms < 120000 && w.i.keepalive_ms * 3 / 2 >= 120000);
    assert_int_equal(w.losses, 1); /* it was tried once, and then left alone */
    begin(&w, &config);
    for (int n = 0; n < 500; n++)
        silence(&w);
    assert_true(w.i.keepalive_ms <= 900000 && w.i.keepalive_ms * 3 / 2 > 900000);
    assert_int_equal(w.losses, 0);
}

static void a_path_that_gets_worse_is_noticed(void **state)
{
    struct world w;

    (void)state;
    begin(&w, &config);
    for (int n = 0; n < 100; n++)
        silence(&w);
    w.path_forgets_ms = 60000;
    for (int n = 0; n < 100; n++)
        silence(&w);
    assert_true(w.i.keepalive_ms < 60000);
    assert_true(w.losses <= 3);
}

static void a_much_better_server_is_taken_and_kept(void **state)
{
    struct world w;

    (void)state;
    begin(&w, &config);
    w.rtt_us[1] = 8000;
    for (int n = 0; n < 3600; n++)
        second(&w);
    assert_int_equal(w.i.server, 1);
    assert_int_equal(w.moves, 1);
    assert_int_equal(pixi_improve_change_at(&w.i, 0)->verdict, PIXI_IMPROVE_KEPT);
}

static void the_better_one_is_returned_to_when_it_is_back(void **state)
{
    struct world w;

    (void)state;
    begin(&w, &config);
    w.rtt_us[0] = 5000;
    w.rtt_us[1] = 30000;
    for (int n = 0; n < 600; n++)
        second(&w);
    assert_int_equal(w.moves, 0);
    w.rtt_us[0] = 0; /* it is gone: the link is made to the other */
    pixi_improve_lost(&w.i, false, w.now_ms);
    link_up(&w, 1);
    for (int n = 0; n < 1200; n++)
        second(&w);
    assert_int_equal(w.i.server, 1);
    w.rtt_us[0] = 5000;
    for (int n = 0; n < 1200; n++)
        second(&w);
    assert_int_equal(w.i.server, 0);
    assert_int_equal(w.moves, 1);
}

static void a_little_better_is_not_enough(void **state)
{
    struct world w;

    (void)state;
    begin(&w, &config);
    w.rtt_us[1] = 16000;
    for (int n = 0; n < 20000; n++)
        second(&w);
    assert_int_equal(w.moves, 0);
}

static void a_server_that_only_seems_better_is_left_again(void **state)
{
    struct world w;

    (void)state;
    begin(&w, &config);
    w.rtt_us[1] = 25000;
    w.lies_us[1] = 1000;
    for (int n = 0; n < 800; n++)
        second(&w);
    assert_int_equal(w.i.server, 0);
    assert_int_equal(w.moves, 2); /* there, and back */
    assert_int_equal(pixi_improve_change_at(&w.i, 0)->verdict, PIXI_IMPROVE_UNDONE);
}

static void a_wider_window_under_load(void **state)
{
    struct world w;

    (void)state;
    begin(&w, &config);
    w.best_window = 1000;
    w.is_loaded = true;
    for (int n = 0; n < 100; n++)
        second(&w);
    assert_int_equal(w.i.window, 1024); /* 2048 was tried, and was no better */
    assert_int_equal(pixi_improve_change_at(&w.i, 0)->verdict, PIXI_IMPROVE_UNDONE);
    w.is_loaded = false;
    for (int n = 0; n < 100; n++)
        second(&w);
    assert_int_equal(w.i.window, config.window);
}

static void one_change_at_a_time(void **state)
{
    struct world w;
    struct pixi_improve_step s;

    (void)state;
    begin(&w, &config);
    for (int n = 0; n < 3; n++)
        pixi_improve_survived(&w.i);
    assert_true(pixi_improve_next(&w.i, true, w.now_ms, &s));
    assert_int_equal(s.what, PIXI_IMPROVE_KEEPALIVE);
    w.is_loaded = true;
    for (int n = 0; n < 20; n++) {
        w.now_ms += 1000;
        pixi_improve_load(&w.i, 0, true, w.now_ms);
        assert_false(pixi_improve_next(&w.i, true, w.now_ms, &s));
    }
}

static void off_is_off(void **state)
{
    struct pixi_improve_config off = config;
    struct world w;

    (void)state;
    off.is_on = false;
    begin(&w, &off);
    w.rtt_us[1] = 100;
    w.is_loaded = true;
    for (int n = 0; n < 1000; n++) {
        second(&w);
        silence(&w);
    }
    assert_int_equal(w.i.change_count, 0);
    assert_int_equal(w.i.keepalive_ms, config.keepalive_ms);
}

static void percentiles(void **state)
{
    struct world w;

    (void)state;
    begin(&w, &config);
    assert_int_equal(pixi_improve_percentile(&w.i, 50), 0);
    for (unsigned n = 1; n <= 101; n++)
        pixi_improve_rtt(&w.i, n * 10, w.now_ms);
    assert_int_equal(pixi_improve_percentile(&w.i, 0), 10);
    assert_int_equal(pixi_improve_percentile(&w.i, 50), 510);
    assert_int_equal(pixi_improve_percentile(&w.i, 100), 1010);
    assert_int_equal(pixi_improve_jitter(&w.i), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_interval_that_the_path_survives),
        cmocka_unit_test(a_path_that_gets_worse_is_noticed),
        cmocka_unit_test(a_much_better_server_is_taken_and_kept),
        cmocka_unit_test(the_better_one_is_returned_to_when_it_is_back),
        cmocka_unit_test(a_little_better_is_not_enough),
        cmocka_unit_test(a_server_that_only_seems_better_is_left_again),
        cmocka_unit_test(a_wider_window_under_load),
        cmocka_unit_test(one_change_at_a_time),
        cmocka_unit_test(off_is_off),
        cmocka_unit_test(percentiles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
