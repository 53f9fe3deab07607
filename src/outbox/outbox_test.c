#include "outbox/outbox.h"

#include "invariants.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { HEARD_MAX = 4096 };

/* An outbox on disk without its thread, and what it told. */
struct world {
    char folder[64], outbox_folder[80], path[96];
    struct pixi_outbox_options options;
    struct pixi_outbox *outbox;
    struct pixi_buf notes;
    struct pixi_outbox_now now;
    struct heard {
        uint64_t call, id;
        int err;
        char detail[32];
    } queued[HEARD_MAX], gone[HEARD_MAX];
    size_t queued_count, gone_count;
    uint64_t calls;
};

static void on_queued(void *ctx, uint64_t from, uint64_t call, uint64_t id, int err)
{
    struct world *w = ctx;

    (void)from;
    assert_true(w->queued_count < HEARD_MAX);
    w->queued[w->queued_count++] = (struct heard){.call = call, .id = id, .err = err};
}

static void on_gone(void *ctx, uint64_t from, uint64_t id, int err, const char *detail)
{
    struct world *w = ctx;
    struct heard *h = &w->gone[w->gone_count++];

    (void)from;
    assert_true(w->gone_count < HEARD_MAX);
    *h = (struct heard){.id = id, .err = err};
    snprintf(h->detail, sizeof h->detail, "%s", detail ? detail : "");
}

static void on_ready(void *ctx)
{
    (void)ctx;
}

static const struct pixi_outbox_calls calls = {on_queued, on_gone, on_ready};

static void settle(struct world *w)
{
    do
        pixi_outbox_take(w->outbox, w->now);
    while (pixi_outbox_turn(w->outbox));
}

static void open_up(struct world *w)
{
    w->options.wall_ms = w->now.wall_ms;
    assert_int_equal(pixi_outbox_open(&w->options, &calls, w, &w->outbox, &w->notes), PIXI_OK);
    w->now.ms = pixi_outbox_start_ms(w->outbox);
}

static void shut(struct world *w)
{
    pixi_outbox_close(w->outbox);
    w->outbox = NULL;
}

static void reopen(struct world *w)
{
    shut(w);
    open_up(w);
}

static void pass(struct world *w, uint64_t ms)
{
    w->now.ms += ms;
    w->now.wall_ms += ms;
    pixi_outbox_expire(w->outbox, w->now);
    settle(w);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    snprintf(w->folder, sizeof w->folder, "/tmp/pixi-outbox-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->path, sizeof w->path, "%s/outbox/outbox.db", w->folder);
    w->notes = pixi_buf_init(4096);
    w->now.wall_ms = UINT64_C(1700000000000);
    snprintf(w->outbox_folder, sizeof w->outbox_folder, "%s/outbox", w->folder);
    w->options = (struct pixi_outbox_options){.path = w->outbox_folder, .bytes = 1 << 20, .late_ms = 60000};
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    char command[128];

    pixi_outbox_close(w->outbox);
    pixi_buf_clear(&w->notes);
    snprintf(command, sizeof command, "rm -rf %s", w->folder);
    assert_int_equal(system(command), 0);
    free(w);
    return 0;
}

static int put_with(struct world *w, const char *topic, const char *payload, unsigned priority,
                    uint64_t expires_in_ms)
{
    struct pixi_outbox_put p = {.topic = pixi_cur_str(topic),
                                .payload = pixi_cur_str(payload),
                                .priority = priority,
                                .expires_in_ms = expires_in_ms,
                                .owner = 1000,
                                .from = 7,
                                .call = ++w->calls};

    return pixi_outbox_put(w->outbox, &p, w->now);
}

static void put(struct world *w, const char *topic, const char *payload)
{
    assert_int_equal(put_with(w, topic, payload, PIXI_OUTBOX_PRIORITY, 0), PIXI_OK);
}

static void put_many(struct world *w, size_t count)
{
    char text[24];

    for (size_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%zu", i);
        put(w, "event/a", text);
    }
    settle(w);
}

/* Sends and has stored everything; the payloads in order, a space after each. */
static void deliver(struct world *w, struct pixi_buf *out)
{
    struct pixi_outbox_msg *m;

    settle(w);
    while ((m = pixi_outbox_next(w->outbox, w->now))) {
        pixi_outbox_sent(w->outbox, m);
        pixi_buf_put_cur(out, m->payload);
        pixi_buf_put_str(out, " ");
        pixi_outbox_stored(w->outbox, m, w->now);
        settle(w);
    }
}

static void expect_delivery(struct world *w, const char *text)
{
    struct pixi_buf out = pixi_buf_init(1 << 20);

    deliver(w, &out);
    pixi_buf_put(&out, "", 1);
    assert_string_equal((const char *)out.bytes, text);
    pixi_buf_clear(&out);
}

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

    open_up(w);
    pixi_outbox_linked(w->outbox, 5, w->now);
    settle(w);
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

    open_up(w);
    pixi_outbox_linked(w->outbox, 5, w->now);
    settle(w);
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

static void another_epoch_leaves_doubt(void **state)
{
    struct world *w = *state;
    struct pixi_outbox_msg *m;

    open_up(w);
    pixi_outbox_linked(w->outbox, 5, w->now);
    settle(w);
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

    open_up(w);
    pixi_outbox_linked(w->outbox, 5, w->now);
    settle(w);
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

    open_up(w);
    pixi_outbox_linked(w->outbox, 5, w->now);
    settle(w);
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

    open_up(w);
    pixi_outbox_linked(w->outbox, 5, w->now);
    settle(w);
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

    open_up(w);
    pixi_outbox_linked(w->outbox, 5, w->now);
    settle(w);
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

static void start_does_not_read_what_waits(void **state)
{
    struct world *w = *state;

    w->options.bytes = UINT64_C(1) << 30;
    open_up(w);
    for (size_t i = 0; i < 3; i++)
        put_many(w, 1000);
    reopen(w);
    assert_null(pixi_outbox_next(w->outbox, w->now));
    assert_int_equal(pixi_outbox_stats(w->outbox).count, 3000);
    pixi_outbox_linked(w->outbox, 5, w->now);
    settle(w);
    assert_non_null(pixi_outbox_next(w->outbox, w->now));
}

static FILE *open_lock(const struct world *w, const char *how)
{
    char lock[96];
    FILE *f;

    snprintf(lock, sizeof lock, "%s/outbox/lock", w->folder);
    assert_non_null(f = fopen(lock, how));
    return f;
}

static void damage_page(const struct world *w, long page)
{
    FILE *f = fopen(w->path, "r+b");
    char junk[4096];

    assert_non_null(f);
    memset(junk, 0xa5, sizeof junk);
    assert_int_equal(fseek(f, page * 4096, SEEK_SET), 0);
    assert_int_equal(fwrite(junk, sizeof junk, 1, f), 1);
    assert_int_equal(fclose(f), 0);
}

/* Nobody looks for damage, as the last run ended well, and it is met by a read: from then on the folder says so, so that the
 * next start repairs it, whether this one is killed or ends. */
static void damage_that_is_met_is_repaired_by_the_next_start(void **state)
{
    struct world *w = *state;
    struct pixi_buf out = pixi_buf_init(1 << 20);
    char text[16] = "";
    FILE *f;

    open_up(w);
    put_many(w, 2000);
    shut(w);
    damage_page(w, 10);
    open_up(w);
    assert_int_equal(w->notes.len, 0);
    pixi_outbox_linked(w->outbox, 5, w->now);
    deliver(w, &out);
    assert_true(pixi_outbox_stats(w->outbox).is_damaged);
    f = open_lock(w, "r");
    assert_non_null(fgets(text, sizeof text, f));
    assert_string_equal(text, "torn\n");
    fclose(f);
    reopen(w);
    assert_true(w->notes.len > 0);
    pixi_outbox_linked(w->outbox, 5, w->now);
    deliver(w, &out);
    assert_int_equal(pixi_outbox_stats(w->outbox).count, 0);
    pixi_buf_clear(&out);
}

static void a_damaged_file_is_salvaged(void **state)
{
    struct world *w = *state;
    struct pixi_buf out = pixi_buf_init(1 << 20);
    FILE *f;

    open_up(w);
    put_many(w, 2000);
    shut(w);
    damage_page(w, 10);
    f = open_lock(w, "w"); /* as after a power cut */
    assert_true(fputs("1\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
    open_up(w);
    assert_true(w->notes.len > 0);
    assert_true(pixi_outbox_stats(w->outbox).count > 1500);
    pixi_outbox_linked(w->outbox, 5, w->now);
    deliver(w, &out);
    assert_int_equal(pixi_outbox_stats(w->outbox).count, 0);
    pixi_buf_clear(&out);
}

static void room_on_disk_comes_back(void **state)
{
    struct world *w = *state;
    struct pixi_buf out = pixi_buf_init(1 << 20);
    FILE *f;
    long full, empty;

    open_up(w);
    put_many(w, 4000);
    reopen(w);
    assert_non_null(f = fopen(w->path, "rb"));
    fseek(f, 0, SEEK_END);
    full = ftell(f);
    fclose(f);
    pixi_outbox_linked(w->outbox, 5, w->now);
    deliver(w, &out);
    for (int i = 0; i < 50; i++)
        pass(w, 6000);
    shut(w);
    assert_non_null(f = fopen(w->path, "rb"));
    fseek(f, 0, SEEK_END);
    empty = ftell(f);
    fclose(f);
    assert_true(empty < full / 4);
    open_up(w);
    pixi_buf_clear(&out);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(queued_when_on_disk),
        TEST(order_is_kept_over_everything),
        TEST(a_seq_is_kept_until_the_answer),
        TEST(the_server_forgets_nothing_before_the_disk_does),
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
        TEST(start_does_not_read_what_waits),
        TEST(a_damaged_file_is_salvaged),
        TEST(damage_that_is_met_is_repaired_by_the_next_start),
        TEST(room_on_disk_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
