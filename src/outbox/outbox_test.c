#include "hub/alloc_test.h"
#include "outbox/world_test.h"

static void queued_when_on_disk(void **state)
{
    struct world *w = *state;

    open_up(w);
    put(w, "event/a", "1");
    assert_int_equal(w->queued_count, 0);
    pixi_outbox_take(w->outbox, w->now);
    assert_int_equal(w->queued_count, 0);
    settle(w);
    assert_int_equal(w->queued_count, 1);
    assert_int_equal(w->queued[0].err, PIXI_OK);
    assert_int_equal(pixi_outbox_stats(w->outbox).count, 1);
    reopen(w);
    assert_int_equal(pixi_outbox_stats(w->outbox).count, 1);
    pixi_outbox_linked(w->outbox, 5, w->now);
    expect_delivery(w, "1 ");
    assert_int_equal(pixi_outbox_stats(w->outbox).count, 0);
    assert_int_equal(pixi_outbox_stats(w->outbox).bytes, 0);
    reopen(w);
    pixi_outbox_linked(w->outbox, 5, w->now);
    expect_delivery(w, "");
}

static void order_is_kept_over_everything(void **state)
{
    struct world *w = *state;
    struct pixi_buf out = pixi_buf_init(1 << 20), want = pixi_buf_init(1 << 20);

    open_up(w);
    pixi_outbox_widen(w->outbox, 16);
    put_many(w, 100);
    pixi_outbox_linked(w->outbox, 5, w->now);
    for (size_t i = 0; i < 30; i++) { /* some are stored, then the daemon is gone, and comes back */
        struct pixi_outbox_msg *m;

        settle(w);
        m = pixi_outbox_next(w->outbox, w->now);
        assert_non_null(m);
        pixi_outbox_sent(w->outbox, m);
        pixi_buf_put_cur(&out, m->payload);
        pixi_buf_put_str(&out, " ");
        pixi_outbox_stored(w->outbox, m, w->now);
    }
    reopen(w);
    pixi_outbox_linked(w->outbox, 5, w->now);
    put(w, "event/a", "100");
    deliver(w, &out);
    put(w, "event/a", "101");
    deliver(w, &out);
    for (size_t i = 0; i <= 101; i++)
        pixi_buf_putf(&want, "%zu ", i);
    assert_int_equal(out.len, want.len);
    assert_memory_equal(out.bytes, want.bytes, want.len);
    assert_int_equal(w->gone_count, 102);
    pixi_buf_clear(&out);
    pixi_buf_clear(&want);
}

static void a_seq_is_kept_until_the_answer(void **state)
{
    struct world *w = *state;
    struct pixi_outbox_msg *m;
    uint64_t seq;

    open_linked(w);
    put(w, "event/a", "1");
    settle(w);
    m = pixi_outbox_next(w->outbox, w->now);
    assert_non_null(m);
    seq = m->seq;
    assert_true(seq >= 1);
    assert_int_equal(pixi_outbox_low(w->outbox), seq);
    pixi_outbox_sent(w->outbox, m);
    assert_null(pixi_outbox_next(w->outbox, w->now));
    pixi_outbox_unlinked(w->outbox);
    pixi_outbox_linked(w->outbox, 5, w->now);
    assert_ptr_equal(pixi_outbox_next(w->outbox, w->now), m);
    reopen(w);
    assert_null(pixi_outbox_next(w->outbox, w->now));
    pixi_outbox_linked(w->outbox, 5, w->now);
    m = pixi_outbox_next(w->outbox, w->now);
    assert_non_null(m);
    assert_int_equal(m->seq, seq);
}

static void the_server_forgets_nothing_before_the_disk_does(void **state)
{
    struct world *w = *state;
    struct pixi_outbox_msg *m;
    uint64_t seq;

    open_linked(w);
    put(w, "event/a", "1");
    put(w, "event/a", "2");
    settle(w);
    m = pixi_outbox_next(w->outbox, w->now);
    seq = m->seq;
    pixi_outbox_sent(w->outbox, m);
    pixi_outbox_stored(w->outbox, m, w->now);
    assert_int_equal(pixi_outbox_low(w->outbox), seq); /* its row is there still */
    settle(w);
    assert_int_equal(pixi_outbox_low(w->outbox), seq + 1);
    m = pixi_outbox_next(w->outbox, w->now);
    pixi_outbox_sent(w->outbox, m);
    pixi_outbox_refused(w->outbox, m, PIXI_E_FORBIDDEN, NULL, w->now);
    assert_int_equal(pixi_outbox_low(w->outbox), seq + 1);
    settle(w);
    assert_int_equal(pixi_outbox_low(w->outbox), seq + 2);
}

/* One stored, whose row found no memory to be removed with; its seq. */
static uint64_t store_without_memory(struct world *w)
{
    struct pixi_outbox_msg *m;
    uint64_t seq;

    put(w, "event/a", "1");
    settle(w);
    m = pixi_outbox_next(w->outbox, w->now);
    seq = m->seq;
    pixi_outbox_sent(w->outbox, m);
    alloc_fail_at = alloc_count + 1;
    pixi_outbox_stored(w->outbox, m, w->now);
    alloc_fail_at = 0;
    settle(w);
    assert_int_equal(w->gone_count, 1);
    assert_int_equal(w->gone[0].err, PIXI_OK);
    assert_int_equal(pixi_outbox_low(w->outbox), seq);
    return seq;
}

static void a_row_that_found_no_memory_goes_later(void **state)
{
    struct world *w = *state;
    uint64_t seq;

    open_linked(w);
    seq = store_without_memory(w);
    expect_delivery(w, "");
    pass(w, 60000);
    assert_int_equal(pixi_outbox_low(w->outbox), seq + 1);
    assert_int_equal(w->gone_count, 1);
    reopen(w);
    pixi_outbox_linked(w->outbox, 5, w->now);
    expect_delivery(w, "");
}

static void and_at_the_end_at_the_latest(void **state)
{
    struct world *w = *state;

    open_linked(w);
    store_without_memory(w);
    reopen(w);
    assert_int_equal(pixi_outbox_stats(w->outbox).count, 0);
    pixi_outbox_linked(w->outbox, 5, w->now);
    expect_delivery(w, "");
}

static void another_epoch_leaves_doubt(void **state)
{
    struct world *w = *state;
    struct pixi_outbox_msg *m;

    open_linked(w);
    put(w, "event/a", "sent");
    put(w, "event/a", "not sent");
    settle(w);
    m = pixi_outbox_next(w->outbox, w->now);
    pixi_outbox_sent(w->outbox, m);
    pixi_outbox_unlinked(w->outbox);
    put(w, "event/a", "later");
    settle(w);
    pixi_outbox_linked(w->outbox, 6, w->now);
    assert_null(pixi_outbox_next(w->outbox, w->now)); /* that is told, and on disk, first */
    expect_delivery(w, "not sent later ");
    assert_int_equal(w->gone[0].err, PIXI_E_IN_DOUBT);
    assert_int_equal(w->gone_count, 3);
    assert_int_equal(pixi_outbox_stats(w->outbox).in_doubt, 1);
}

static void what_an_earlier_run_may_have_sent_is_in_doubt_too(void **state)
{
    struct world *w = *state;

    open_linked(w);
    put(w, "event/a", "1");
    settle(w);
    pixi_outbox_unlinked(w->outbox);
    put(w, "event/a", "2");
    settle(w);
    reopen(w);
    pixi_outbox_linked(w->outbox, 6, w->now);
    expect_delivery(w, "2 ");
    assert_int_equal(pixi_outbox_stats(w->outbox).in_doubt, 1);
}

static void the_highest_priority_goes_first(void **state)
{
    struct world *w = *state;

    open_up(w);
    assert_int_equal(put_with(w, "t", "low", 0, 0), PIXI_OK);
    assert_int_equal(put_with(w, "t", "high", 9, 0), PIXI_OK);
    put(w, "t", "a");
    assert_int_equal(put_with(w, "t", "higher", 5, 0), PIXI_OK);
    put(w, "t", "b");
    settle(w);
    pixi_outbox_linked(w->outbox, 5, w->now);
    expect_delivery(w, "high higher a b low ");
}

static size_t heard(const struct heard *list, size_t count, int err)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        n += list[i].err == err;
    return n;
}

static void fill_up(struct world *w, enum pixi_outbox_when_full when_full)
{
    w->options.bytes = 10 * (PIXI_OUTBOX_COST + 2); /* topic "t", one byte */
    w->options.when_full = when_full;
    open_up(w);
    for (char c = 'a'; c < 'k'; c++) {
        char text[2] = {c, 0};

        assert_int_equal(put_with(w, "t", text, c == 'c' ? 1 : 4, 0), PIXI_OK);
    }
    settle(w);
}

static void full_refuses(void **state)
{
    struct world *w = *state;

    fill_up(w, PIXI_OUTBOX_WHEN_FULL_REFUSE);
    assert_int_equal(put_with(w, "t", "k", 9, 0), PIXI_E_OUTBOX);
    pixi_outbox_linked(w->outbox, 5, w->now);
    expect_delivery(w, "a b d e f g h i j c ");
    put(w, "t", "l");
    expect_delivery(w, "l ");
    assert_int_equal(pixi_outbox_stats(w->outbox).refused_full, 1);
}

static void full_drops_the_oldest(void **state)
{
    struct world *w = *state;

    fill_up(w, PIXI_OUTBOX_WHEN_FULL_OLDEST);
    put(w, "t", "k");
    put(w, "t", "l");
    settle(w);
    assert_int_equal(heard(w->gone, w->gone_count, PIXI_E_DROPPED), 2);
    assert_int_equal(pixi_outbox_stats(w->outbox).dropped, 2);
    pixi_outbox_linked(w->outbox, 5, w->now);
    expect_delivery(w, "d e f g h i j k l c ");
}

static void full_drops_the_lowest(void **state)
{
    struct world *w = *state;

    fill_up(w, PIXI_OUTBOX_WHEN_FULL_LOWEST);
    assert_int_equal(put_with(w, "t", "x", 0, 0),
                     PIXI_OK); /* lower than all: it is the one that finds no room */
    settle(w);
    assert_int_equal(w->queued[w->queued_count - 1].err, PIXI_E_OUTBOX);
    put(w, "t", "k");
    put(w, "t", "l");
    settle(w);
    pixi_outbox_linked(w->outbox, 5, w->now);
    expect_delivery(w, "b d e f g h i j k l ");
    assert_int_equal(pixi_outbox_stats(w->outbox).count, 0);
}

static void a_user_has_a_share(void **state)
{
    struct world *w = *state;
    struct pixi_outbox_put p = {.topic = pixi_cur_str("t"),
                                .payload = pixi_cur_str("x"),
                                .priority = PIXI_OUTBOX_PRIORITY,
                                .owner = 5,
                                .owner_bytes = PIXI_OUTBOX_COST + 2};

    open_up(w);
    assert_int_equal(pixi_outbox_put(w->outbox, &p, w->now), PIXI_OK);
    assert_int_equal(pixi_outbox_put(w->outbox, &p, w->now), PIXI_E_OUTBOX);
    put(w, "t", "other");
    settle(w);
    reopen(w);
    assert_int_equal(pixi_outbox_put(w->outbox, &p, w->now), PIXI_E_OUTBOX);
    pixi_outbox_linked(w->outbox, 5, w->now);
    expect_delivery(w, "x other ");
    assert_int_equal(pixi_outbox_put(w->outbox, &p, w->now), PIXI_OK);
    settle(w);
}

static void what_expires_is_told(void **state)
{
    struct world *w = *state;

    w->options.age_ms = 100000;
    open_up(w);
    assert_int_equal(put_with(w, "t", "short", 4, 1000), PIXI_OK);
    assert_int_equal(put_with(w, "t", "long", 4, 90000), PIXI_OK);
    put(w, "t", "ever");
    settle(w);
    pass(w, 10000);
    assert_int_equal(w->gone_count, 1);
    assert_int_equal(w->gone[0].err, PIXI_E_EXPIRED);
    pass(w, 50000);
    put(w, "t", "young");
    settle(w);
    reopen(w);
    pass(w, 50000);
    assert_int_equal(heard(w->gone, w->gone_count, PIXI_E_EXPIRED), 3);
    pixi_outbox_linked(w->outbox, 5, w->now);
    expect_delivery(w, "young ");
}

static void a_clock_that_is_set_expires_nothing(void **state)
{
    struct world *w = *state;

    open_up(w);
    assert_int_equal(put_with(w, "t", "a", 4, 5000), PIXI_OK);
    settle(w);
    w->now.wall_ms += UINT64_C(3600000) * 24 * 365;
    pass(w, 1000);
    put(w, "t", "b"); /* so that the new wall time is known on disk */
    settle(w);
    reopen(w);
    pass(w, 1);
    shut(w);
    w->now.wall_ms -= UINT64_C(3600000) * 24 * 365;
    open_up(w);
    pass(w, 2);
    pixi_outbox_linked(w->outbox, 5, w->now);
    expect_delivery(w, "a b ");
}

static void what_waited_long_is_marked_and_stays_so(void **state)
{
    struct world *w = *state;
    struct pixi_outbox_msg *m;

    open_up(w);
    put(w, "t", "old");
    settle(w);
    pass(w, 61000);
    put(w, "t", "new");
    settle(w);
    pixi_outbox_linked(w->outbox, 5, w->now);
    settle(w);
    m = pixi_outbox_next(w->outbox, w->now);
    assert_int_equal(m->flags & PIXI_OUTBOX_LATE, PIXI_OUTBOX_LATE);
    pixi_outbox_sent(w->outbox, m);
    m = pixi_outbox_next(w->outbox, w->now);
    assert_int_equal(m->flags & PIXI_OUTBOX_LATE, 0);
    pixi_outbox_sent(w->outbox, m);
    pass(w, 100000);
    reopen(w); /* sent again, they are what they were: the server compares */
    pixi_outbox_linked(w->outbox, 5, w->now);
    m = pixi_outbox_next(w->outbox, w->now);
    assert_int_equal(m->flags & PIXI_OUTBOX_LATE, PIXI_OUTBOX_LATE);
    pixi_outbox_sent(w->outbox, m);
    m = pixi_outbox_next(w->outbox, w->now);
    assert_int_equal(m->flags & PIXI_OUTBOX_LATE, 0);
}

static void refused_for_good_is_kept_and_the_next_goes_on(void **state)
{
    struct world *w = *state;
    struct pixi_outbox_msg *m;

    open_up(w);
    put(w, "t", "bad");
    put(w, "t", "good");
    pixi_outbox_linked(w->outbox, 5, w->now);
    settle(w);
    m = pixi_outbox_next(w->outbox, w->now);
    pixi_outbox_sent(w->outbox, m);
    pixi_outbox_refused(w->outbox, m, PIXI_E_FORBIDDEN, "no", w->now);
    expect_delivery(w, "good ");
    assert_int_equal(heard(w->gone, w->gone_count, PIXI_E_FORBIDDEN), 1);
    assert_int_equal(pixi_outbox_stats(w->outbox).rejected, 1);
}

static struct pixi_outbox_msg *send_next(struct world *w)
{
    struct pixi_outbox_msg *m = pixi_outbox_next(w->outbox, w->now);

    if (m)
        pixi_outbox_sent(w->outbox, m);
    return m;
}

static void put_off_waits_and_holds_what_follows(void **state)
{
    struct world *w = *state;
    struct pixi_outbox_msg *a, *b, *c;

    open_linked(w);
    put(w, "t", "a");
    put(w, "t", "b");
    put(w, "t", "c");
    settle(w);
    assert_int_equal((a = send_next(w))->after, 0);
    assert_int_equal((b = send_next(w))->after, a->seq);
    assert_int_equal((c = send_next(w))->after, b->seq);
    pixi_outbox_later(w->outbox, a, 500, w->now);
    pixi_outbox_put_off(w->outbox, b, w->now);
    assert_null(pixi_outbox_next(w->outbox, w->now));
    pixi_outbox_put_off(w->outbox, c, w->now);
    assert_true(pixi_outbox_due_ms(w->outbox) <= w->now.ms + 500);
    pass(w, 500);
    assert_ptr_equal(send_next(w), a);
    assert_null(send_next(w)); /* first whether it is let in */
    pixi_outbox_stored(w->outbox, a, w->now);
    assert_ptr_equal(send_next(w), b);
    assert_ptr_equal(send_next(w), c);
    pixi_outbox_refused(w->outbox, b, PIXI_E_FORBIDDEN, NULL, w->now);
    pixi_outbox_put_off(w->outbox, c, w->now); /* it went after b */
    expect_delivery(w, "c ");
}

static void what_was_put_off_may_expire(void **state)
{
    struct world *w = *state;
    struct pixi_outbox_put p = {
        .topic = pixi_cur_str("t"), .payload = pixi_cur_str("x"), .expires_in_ms = 1000};
    struct pixi_outbox_msg *first, *second;

    open_linked(w);
    pixi_outbox_put(w->outbox, &p, w->now);
    pixi_outbox_put(w->outbox, &p, w->now);
    settle(w);
    first = send_next(w);
    second = send_next(w);
    pixi_outbox_unanswered(w->outbox, first); /* perhaps the server has this one */
    pixi_outbox_later(w->outbox, second, 500, w->now);
    pass(w, 6000);
    pass(w, 6000);
    assert_int_equal(heard(w->gone, w->gone_count, PIXI_E_EXPIRED), 1);
    assert_ptr_equal(pixi_outbox_next(w->outbox, w->now), first);
}

/* Over a run's end, too: the server does not know the producer any more to whom it once answered. */
static void a_server_that_forgot_leaves_doubt(void **state)
{
    struct world *w = *state;
    struct pixi_outbox_msg *m;
    uint64_t seq;

    open_linked(w);
    put(w, "t", "stored");
    put(w, "t", "lost");
    settle(w);
    m = send_next(w);
    seq = m->seq;
    send_next(w);
    pixi_outbox_stored(w->outbox, m, w->now);
    settle(w);
    reopen(w);
    put(w, "t", "new");
    pixi_outbox_linked(w->outbox, 5, w->now);
    settle(w);
    m = send_next(w);
    assert_int_equal(m->after, seq);
    assert_null(send_next(w)); /* nothing else before it is known */
    pixi_outbox_put_off(w->outbox, m, w->now);
    settle(w);
    assert_int_equal(heard(w->gone, w->gone_count, PIXI_E_IN_DOUBT), 1);
    assert_int_equal(pixi_outbox_next(w->outbox, w->now)->after, 0);
    expect_delivery(w, "new ");
}

static void a_programs_key_is_taken_once(void **state)
{
    struct world *w = *state;
    struct pixi_outbox_given given = {.producer = "program", .seq = 1, .low = 1};
    struct pixi_outbox_put p = {.topic = pixi_cur_str("t"),
                                .payload = pixi_cur_str("x"),
                                .priority = PIXI_OUTBOX_PRIORITY,
                                .given = &given};

    open_up(w);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pixi_outbox_put(w->outbox, &p, w->now), PIXI_OK);
        settle(w);
        assert_int_equal(w->queued[i].err, PIXI_OK);
        assert_int_equal(w->queued[i].id, w->queued[0].id);
        if (i == 1)
            reopen(w);
    }
    assert_int_equal(pixi_outbox_stats(w->outbox).count, 1);
    given.seq = given.low = 2;
    assert_int_equal(pixi_outbox_put(w->outbox, &p, w->now), PIXI_OK);
    pixi_outbox_linked(w->outbox, 5, w->now);
    expect_delivery(w, "x x ");
    assert_int_equal(pixi_outbox_put(w->outbox, &p, w->now), PIXI_OK);
    expect_delivery(w, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(queued_when_on_disk),
        TEST(order_is_kept_over_everything),
        TEST(a_seq_is_kept_until_the_answer),
        TEST(the_server_forgets_nothing_before_the_disk_does),
        TEST(a_row_that_found_no_memory_goes_later),
        TEST(and_at_the_end_at_the_latest),
        TEST(another_epoch_leaves_doubt),
        TEST(what_an_earlier_run_may_have_sent_is_in_doubt_too),
        TEST(the_highest_priority_goes_first),
        TEST(full_refuses),
        TEST(full_drops_the_oldest),
        TEST(full_drops_the_lowest),
        TEST(a_user_has_a_share),
        TEST(what_expires_is_told),
        TEST(a_clock_that_is_set_expires_nothing),
        TEST(what_waited_long_is_marked_and_stays_so),
        TEST(refused_for_good_is_kept_and_the_next_goes_on),
        TEST(put_off_waits_and_holds_what_follows),
        TEST(what_was_put_off_may_expire),
        TEST(a_server_that_forgot_leaves_doubt),
        TEST(a_programs_key_is_taken_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
