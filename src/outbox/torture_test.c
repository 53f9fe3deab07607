/* The disk of an outbox fails at every write and every sync, once or for good, fills up, or loses its power: what was
 * answered is there, exactly once and in order, or is told as in doubt; what was refused is not there. */
#include "outbox/outbox.h"
#include "sqlite/fault_test.h"

#include "invariants.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MESSAGES = 40, STEPS_MAX = 400 };

/* What the programs were told, and what the server has. */
static struct {
    int queued; /* PIXI_MORE: not told */
    int gone;   /* PIXI_MORE: not told */
    unsigned stored;
} all[MESSAGES];

static struct world {
    char folder[64];
    struct pixi_outbox *outbox;
    struct pixi_buf notes;
    struct pixi_outbox_now now;
    size_t put;
    /* the server: what it has of each seq, by a producer; and in which order they came */
    uint8_t producer[PIXI_OUTBOX_PRODUCER];
    unsigned by_seq[4 * MESSAGES];
    unsigned order[4 * MESSAGES];
    size_t order_count;
    unsigned seed;
} w;

static unsigned below(unsigned n)
{
    w.seed = w.seed * 1664525u + 1013904223u;
    return (w.seed >> 8) % n;
}

static void on_queued(void *ctx, uint64_t from, uint64_t call, uint64_t id, int err)
{
    (void)ctx;
    (void)from;
    (void)id;
    assert_int_equal(all[call].queued, PIXI_MORE);
    if (err == PIXI_OK || !fault.is_dead) /* without power nobody hears a refusal */
        all[call].queued = err;
}

static void on_gone(void *ctx, uint64_t from, uint64_t id, int err, const char *detail)
{
    (void)ctx;
    (void)id;
    (void)detail;
    all[from - 1].gone = err;
}

static void on_ready(void *ctx)
{
    (void)ctx;
}

static const struct pixi_outbox_calls calls = {on_queued, on_gone, on_ready};

static void settle(void)
{
    do
        pixi_outbox_take(w.outbox, w.now);
    while (pixi_outbox_turn(w.outbox));
}

static int open_up(void)
{
    struct pixi_outbox_options o = {
        .path = w.folder, .vfs = "fault", .bytes = 1 << 20, .late_ms = 1000, .wall_ms = w.now.wall_ms};
    int rc = pixi_outbox_open(&o, &calls, NULL, &w.outbox, &w.notes);

    if (rc == PIXI_OK)
        w.now.ms = pixi_outbox_start_ms(w.outbox);
    return rc;
}

static void shut(void)
{
    pixi_outbox_close(w.outbox);
    w.outbox = NULL;
}

static void put_one(void)
{
    uint8_t payload = (uint8_t)w.put;
    struct pixi_outbox_put p = {.priority = PIXI_OUTBOX_PRIORITY, .from = w.put + 1, .call = w.put};
    char topic[16];
    int rc;

    snprintf(topic, sizeof topic, "t/%u", (unsigned)w.put % 3);
    p.topic = pixi_cur_str(topic);
    p.payload = pixi_cur_init(&payload, 1);
    rc = pixi_outbox_put(w.outbox, &p, w.now);
    if (rc != PIXI_OK)
        all[w.put].queued = rc;
    w.put++;
}

static void put_some(void)
{
    for (unsigned n = 1 + below(4); n && w.put < MESSAGES; n--)
        put_one();
}

/* The server stores what it does not have yet, and answers. */
static void serve(const struct pixi_outbox_msg *m)
{
    unsigned number = *m->payload.p;

    if (memcmp(w.producer, pixi_outbox_producer(w.outbox), sizeof w.producer) != 0) {
        memcpy(w.producer, pixi_outbox_producer(w.outbox), sizeof w.producer);
        memset(w.by_seq, 0, sizeof w.by_seq);
    }
    assert_true(m->seq < 4 * MESSAGES);
    if (!w.by_seq[m->seq]) {
        w.by_seq[m->seq] = number + 1;
        all[number].stored++;
        w.order[w.order_count++] = number;
    }
    assert_int_equal(w.by_seq[m->seq], number + 1); /* a seq is one message's for ever */
}

static void deliver_some(void)
{
    struct pixi_outbox_msg *m;

    for (unsigned n = below(6); n && (m = pixi_outbox_next(w.outbox, w.now)); n--) {
        pixi_outbox_sent(w.outbox, m);
        serve(m);
        if (below(4)) {
            pixi_outbox_stored(w.outbox, m, w.now);
        } else { /* the answer is lost with the connection */
            pixi_outbox_unanswered(w.outbox, m);
            pixi_outbox_unlinked(w.outbox);
            pixi_outbox_linked(w.outbox, 5, w.now);
        }
    }
}

static void step(void)
{
    put_some();
    if (below(3))
        settle();
    deliver_some();
    w.now.ms += 300;
    w.now.wall_ms += 300;
    pixi_outbox_expire(w.outbox, w.now);
}

/* To the end, on a disk that works. */
static void finish(void)
{
    if (!w.outbox)
        assert_int_equal(open_up(), PIXI_OK);
    for (int i = 0; i < STEPS_MAX && (w.put < MESSAGES || pixi_outbox_stats(w.outbox).count); i++) {
        pixi_outbox_linked(w.outbox, 5, w.now);
        settle();
        step();
        settle();
    }
    assert_int_equal(pixi_outbox_stats(w.outbox).count, 0);
    shut();
}

static void check(const char *what, unsigned long n)
{
    int last[3] = {-1, -1, -1};

    for (unsigned i = 0; i < MESSAGES; i++) {
        bool was_taken = all[i].queued == PIXI_OK;
        bool is_reported = all[i].gone == PIXI_E_IN_DOUBT;

        if (all[i].stored > 1 || (was_taken && !all[i].stored && !is_reported) ||
            (all[i].queued < 0 && all[i].stored))
            fail_msg("%s %lu, seed %u: message %u: queued %d, gone %d, stored %u times", what, n, w.seed, i,
                     all[i].queued, all[i].gone, all[i].stored);
    }
    for (size_t i = 0; i < w.order_count; i++) {
        unsigned topic = w.order[i] % 3;

        if ((int)w.order[i] <= last[topic])
            fail_msg("%s %lu: message %u came after %d", what, n, w.order[i], last[topic]);
        last[topic] = (int)w.order[i];
    }
}

static void begin(unsigned seed)
{
    fault_begin();
    pixi_buf_clear(&w.notes);
    w = (struct world){.seed = seed, .now.wall_ms = UINT64_C(1700000000000), .notes = pixi_buf_init(1 << 16)};
    snprintf(w.folder, sizeof w.folder, "/tmp/pixi-torture-XXXXXX");
    assert_non_null(mkdtemp(w.folder));
    for (size_t i = 0; i < MESSAGES; i++) {
        all[i].queued = all[i].gone = PIXI_MORE;
        all[i].stored = 0;
    }
}

static void end(void)
{
    char command[96];

    snprintf(command, sizeof command, "rm -rf %s", w.folder);
    assert_int_equal(system(command), 0);
    pixi_buf_clear(&w.notes);
}

static void run_until_trouble(bool *is_over)
{
    int rc = open_up();

    *is_over = rc != PIXI_OK;
    if (*is_over)
        return;
    pixi_outbox_linked(w.outbox, 5, w.now);
    for (int i = 0; i < 20; i++)
        step();
    settle();
}

/* One write or one sync fails with EIO, a torn write or not; the disk works again afterwards. */
static void fails_once(unsigned long *counter, unsigned long *which, const char *what)
{
    unsigned long most = 1;

    for (unsigned long n = 1; n <= most; n++) {
        bool is_over;

        begin(1 + (unsigned)(n % 7));
        *which = n;
        fault.is_torn = n % 2;
        run_until_trouble(&is_over);
        most = *counter > most ? *counter : most;
        *which = 0;
        if (!is_over && n % 3 == 0)
            shut();
        if (is_over)
            w.outbox = NULL;
        finish();
        check(what, n);
        end();
    }
}

static void a_write_fails_once(void **state)
{
    (void)state;
    fails_once(&fault.writes, &fault.fail_write, "write");
}

static void a_sync_fails_once(void **state)
{
    (void)state;
    fails_once(&fault.syncs, &fault.fail_sync, "sync");
}

static void the_disk_is_full_for_a_while(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 30; n++) {
        begin(n);
        assert_int_equal(open_up(), PIXI_OK);
        pixi_outbox_linked(w.outbox, 5, w.now);
        for (int i = 0; i < 20; i++) {
            fault.is_full = i % 10 > 4;
            step();
        }
        settle();
        fault.is_full = false;
        if (n % 2)
            shut();
        finish();
        check("full", n);
        end();
    }
}

/* A message fails together with the read for it. What comes while that is read again is on its way: it waits to be read,
 * and nothing that comes later overtakes it. */
static void a_read_that_finds_nothing(void **state)
{
    (void)state;
    begin(1);
    assert_int_equal(open_up(), PIXI_OK);
    pixi_outbox_linked(w.outbox, 5, w.now);
    settle();
    pixi_outbox_unlinked(w.outbox);
    put_one();
    pixi_outbox_linked(w.outbox, 5, w.now);
    fault.fail_sync = fault.syncs + 1;
    settle();
    assert_int_equal(all[0].queued, PIXI_E_STORAGE);
    w.now.ms += 2000;
    w.now.wall_ms += 2000;
    pixi_outbox_expire(w.outbox, w.now); /* reads again */
    for (int i = 0; i < 3; i++)
        put_one();
    settle();
    for (int i = 0; i < 3; i++)
        put_one();
    settle();
    finish();
    check("read", 0);
    end();
}

/* Everything that is not synced may be lost, or torn, or there. */
static void the_power_is_cut(void **state)
{
    (void)state;
    for (unsigned n = 1; n < 300; n += 3) {
        bool is_over;

        begin(n);
        fault.fail_write = n;
        fault.is_last = true;
        run_until_trouble(&is_over);
        fault.is_dead = true;
        shut(); /* nothing of it reaches the disk */
        fault_power_cut(n);
        finish();
        check("cut", n);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_fails_once),
        cmocka_unit_test(a_sync_fails_once),
        cmocka_unit_test(the_disk_is_full_for_a_while),
        cmocka_unit_test(a_read_that_finds_nothing),
        cmocka_unit_test(the_power_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
