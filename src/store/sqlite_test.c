/* What a store on disk must do beside what store_test.c asks of all: survive restarts, power cuts, and disks that
 * fail. */
#include "invariants.h"
#include "store/disk_test.h"

/* --- restarts ------------------------------------------------------------------------------------------------ */

static struct {
    uint64_t version;
    char value[16];
} record;

static void on_record(void *ctx, int err, const struct pixi_record *r)
{
    (void)ctx;
    assert_int_equal(err, PIXI_OK);
    record.version = r->version;
    memset(record.value, 0, sizeof record.value);
    memcpy(record.value, r->value.p ? r->value.p : (const uint8_t *)"", pixi_cur_left(&r->value));
}

static void put_record(const char *value, uint64_t version)
{
    struct pixi_record r = {pixi_cur_str("k"), pixi_cur_str(value), version};

    store->call->put(store, &r, (struct pixi_record_answer){on_record, NULL});
    settle();
}

static void a_restart_changes_nothing(void **state)
{
    struct pixi_position head;
    uint64_t version;
    struct sent *keyed;

    (void)state;
    assert_int_equal(pixi_sqlite_store_found(disk).how, PIXI_SQLITE_STORE_NEW);
    send_one("t/1", PIXI_MSG_RETAIN);
    send_one("t/2", PIXI_MSG_RETAIN);
    send_one("t/1", PIXI_MSG_RETAIN);
    send_one("t/3", PIXI_MSG_KEY);
    keyed = &sent[3];
    put_record("1", 0);
    put_record("2", record.version);
    version = record.version;
    head = store->call->head(store);
    stop();
    reopen();
    assert_int_equal(pixi_sqlite_store_found(disk).how, PIXI_SQLITE_STORE_AS_LEFT);
    assert_false(pixi_sqlite_store_found(disk).is_sorted);
    assert_true(store->call->head(store).epoch == head.epoch);
    assert_int_equal(store->call->head(store).offset, 4);
    assert_string_equal(history("#"), "t/1@1 t/2@2 t/1@3 t/3@4 ");
    assert_string_equal(read_all("#", store->call->last), "t/2@2 t/1@3 ");
    assert_int_equal(store->call->kept(store, pixi_cur_str("#"), 1), PIXI_STORE_WHOLE);
    send(keyed); /* again: the same position */
    settle();
    assert_int_equal(keyed->offset, 4);
    store->call->get(store, pixi_cur_str("k"), (struct pixi_record_answer){on_record, NULL});
    settle();
    assert_string_equal(record.value, "2");
    assert_int_equal(record.version, version);
    put_record("", PIXI_RECORD_ANY);
    put_record("3", 0);
    assert_true(record.version > version); /* removed and made again is not the same */
}

static void positions_are_not_given_twice(void **state)
{
    (void)state;
    policies[0].filter = pixi_cur_str("kept/#");
    stop();
    reopen();
    assert_int_equal(send_one("x", 0), PIXI_OK); /* kept nowhere, and told a position */
    assert_int_equal(sent[0].offset, 1);
    cut_power(0);
    reopen();
    assert_int_equal(store->call->head(store).offset, 1);
    send_one("x", 0);
    assert_int_equal(sent[1].offset, 2);
    assert_string_equal(history("#"), "");
}

static void trimmed_stays_trimmed(void **state)
{
    (void)state;
    policies[0].max_messages = 3;
    stop();
    reopen();
    send_one("t/0", PIXI_MSG_RETAIN);
    for (int i = 0; i < 5; i++)
        send_one("t/1", 0);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(history("#"), "t/1@4 t/1@5 t/1@6 ");
        assert_string_equal(read_all("#", store->call->last),
                            "t/0@1 "); /* out of the history, and the last still */
        assert_int_equal(store->call->kept(store, pixi_cur_str("#"), 3), PIXI_STORE_GONE);
        assert_int_equal(store->call->kept(store, pixi_cur_str("#"), 4), PIXI_STORE_WHOLE);
        stop();
        reopen();
    }
    send_one("t/0", PIXI_MSG_RETAIN);
    assert_string_equal(read_all("#", store->call->last), "t/0@7 ");
    policies[0].max_messages = 1; /* less than there is: the next trim sees to it */
    stop();
    reopen();
    store->call->trim(store, 1000);
    settle();
    assert_string_equal(history("#"), "t/0@7 ");
    assert_int_equal(pixi_sqlite_store_stats(disk).messages, 1);
}

/* Space that is not needed any more is the system's again. */
static void the_file_shrinks(void **state)
{
    static char payload[4000];
    struct pixi_msg msg = {
        .topic = pixi_cur_str("t/1"), .payload = pixi_cur_init(payload, sizeof payload), .time_ms = 1000};
    uint64_t before;

    (void)state;
    policies[0].max_bytes = 1 << 24;
    stop();
    reopen();
    for (; sent_count < 1000; sent_count++) {
        sent[sent_count].err = PIXI_MORE;
        store->call->append(store, &msg, 0, &sent[sent_count]);
    }
    settle();
    policies[0].max_messages = 10;
    stop();
    reopen();
    before = pixi_sqlite_store_stats(disk).file_bytes;
    store->call->trim(store, 1000);
    settle();
    stop(); /* the log goes to the file */
    reopen();
    assert_int_equal(pixi_sqlite_store_stats(disk).messages, 10);
    assert_true(pixi_sqlite_store_stats(disk).file_bytes < before);
}

/* Other policies: what is kept finds its new history, `since` holds where nothing can be missing. */
static void policies_change(void **state)
{
    (void)state;
    send_one("a/1", 0);
    send_one("b/1", PIXI_MSG_RETAIN);
    send_one("c/1", 0);
    send_one("c/2", PIXI_MSG_RETAIN);
    stop();
    policies[0] = (struct pixi_policy){pixi_cur_str("a/#"), 100, 1 << 20, 0};
    policies[1] = (struct pixi_policy){pixi_cur_str("b/#"), 100, 1 << 20, 0};
    config.policy_count = 2;
    reopen();
    assert_true(pixi_sqlite_store_found(disk).is_sorted);
    assert_int_equal(pixi_sqlite_store_found(disk).how, PIXI_SQLITE_STORE_AS_LEFT);
    assert_string_equal(history("#"), "a/1@1 b/1@2 c/2@4 "); /* c/1 belongs to nothing any more */
    assert_string_equal(read_all("#", store->call->last), "b/1@2 c/2@4 ");
    assert_int_equal(store->call->kept(store, pixi_cur_str("a/#"), 1), PIXI_STORE_WHOLE);
    assert_int_equal(store->call->kept(store, pixi_cur_str("#"), 1), PIXI_STORE_GONE);
    assert_int_equal(store->call->kept(store, pixi_cur_str("#"), 5), PIXI_STORE_KEPT);
    stop();
    policies[0] = (struct pixi_policy){pixi_cur_str("#"), 100, 1 << 20, 0};
    config.policy_count = 1;
    reopen();
    assert_string_equal(history("#"), "a/1@1 b/1@2 c/2@4 ");
    assert_int_equal(store->call->kept(store, pixi_cur_str("a/#"), 1),
                     PIXI_STORE_GONE); /* as the whole of '#' */
    assert_int_equal(pixi_sqlite_store_stats(disk).messages, 3);
    stop();
    reopen();
    assert_false(pixi_sqlite_store_found(disk).is_sorted);
}

/* --- disks that fail ----------------------------------------------------------------------------------------- */

/* Groups of some messages, until one is refused or the count is reached. */
static void send_groups(unsigned groups)
{
    while (groups--) {
        for (unsigned n = 1 + random_below(5); n; n--)
            send_any();
        settle();
    }
}

/* What was refused is sent again, and was stored at most once: those that have a key are. */
static void send_refused_again(void)
{
    for (unsigned i = 0; i < sent_count; i++) {
        if (sent[i].err == PIXI_OK || !sent[i].seq)
            continue;
        send(&sent[i]);
        settle();
        assert_int_equal(sent[i].err, PIXI_OK);
    }
}

static unsigned refused(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < sent_count; i++)
        count += sent[i].err == PIXI_E_STORAGE;
    return count;
}

/* The nth write, or sync, fails; then the power is cut in one way or another. False: there were fewer. */
static bool fail_once(bool is_sync, bool is_torn, unsigned long nth)
{
    unsigned long *count = is_sync ? &fault.syncs : &fault.writes, at = *count + nth;
    bool is_reached;

    seed = (unsigned)nth + 1000;
    fault.is_torn = is_torn;
    *(is_sync ? &fault.fail_sync : &fault.fail_write) = at;
    send_groups(6);
    is_reached = *count >= at;
    assert_int_equal(refused() > 0, is_reached);
    assert_int_equal(pixi_sqlite_store_stats(disk).failed_commits, is_reached);
    nothing_lost();
    for (unsigned i = 0; i < sent_count;
         i++) /* nothing of what was refused, though it was on its way to the disk */
        if (sent[i].err == PIXI_E_STORAGE)
            assert_int_equal(sent[i].copies, 0);
    cut_power(nth % 3 ? seed : 0);
    reopen();
    nothing_lost();
    last_is_right();
    send_refused_again();
    nothing_lost();
    assert_int_equal(pixi_sqlite_store_found(disk).how, PIXI_SQLITE_STORE_AS_LEFT);
    return is_reached;
}

static void fail_each(bool is_sync, bool is_torn, unsigned long least)
{
    unsigned long nth = 0;
    bool is_reached = true;

    while (is_reached) {
        begin(NULL);
        is_reached = fail_once(is_sync, is_torn, ++nth);
        end(NULL);
    }
    assert_true(nth > least);
}

static void a_write_fails(void **state)
{
    (void)state;
    fail_each(false, false, 50);
}

static void a_write_is_torn(void **state)
{
    (void)state;
    fail_each(false, true, 50);
}

static void a_sync_fails(void **state)
{
    (void)state;
    fail_each(true, false, 6);
}

/* A group that failed to reach the disk is not there when a later one is, not even after a power cut: fsync says "done"
 * the second time, whatever became of what it could not write the first. */
static void a_failed_sync_is_never_success(void **state)
{
    struct sent *first, *second, *third;

    (void)state;
    for (unsigned how = 0; how < 50; how++) {
        first = send_new("t/1", PIXI_MSG_RETAIN);
        settle();
        fault.fail_sync = fault.syncs + 1;
        second = send_new("t/1", PIXI_MSG_RETAIN);
        settle();
        assert_int_equal(second->err, PIXI_E_STORAGE);
        assert_true(pixi_sqlite_store_stats(disk).is_refusing);
        third = send_new("t/2", PIXI_MSG_RETAIN);
        settle();
        assert_int_equal(third->err, PIXI_OK);
        assert_false(pixi_sqlite_store_stats(disk).is_refusing);
        cut_power(how);
        reopen();
        nothing_lost();
        assert_int_equal(first->copies + third->copies, 2);
        assert_int_equal(second->copies, 0);
        last_is_right();
    }
}

static void the_power_is_cut(void **state)
{
    (void)state;
    seed = 7;
    for (unsigned round = 0; round < 60; round++) {
        send_groups(random_below(6));
        for (unsigned n = random_below(4); n; n--)
            send_any(); /* under way when it happens */
        fault.fail_write = random_below(2) ? fault.writes + 1 + random_below(20) : 0;
        fault.is_torn = true;
        pixi_sqlite_store_turn(disk);
        cut_power(seed);
        for (unsigned i = 0; i < sent_count; i++)
            if (sent[i].err == PIXI_MORE)
                sent[i].err = PIXI_E_STORAGE;
        reopen();
        nothing_lost();
        last_is_right();
    }
    assert_int_equal(pixi_sqlite_store_found(disk).how, PIXI_SQLITE_STORE_AS_LEFT);
}

/* While the log is copied into the file, by the last to close it: at each write. */
static void the_power_is_cut_at_a_stop(void **state)
{
    unsigned long at, nth = 0;
    bool is_reached = true;

    (void)state;
    for (; is_reached; end(NULL)) {
        begin(NULL);
        seed = 5;
        send_groups(6);
        fault.is_torn = fault.is_last = true;
        fault.fail_write = at = fault.writes + ++nth;
        stop();
        is_reached = fault.writes >= at;
        fault_power_cut((unsigned)nth);
        reopen();
        nothing_lost();
        last_is_right();
    }
    assert_true(nth > 5);
}

static void a_full_disk_refuses_and_recovers(void **state)
{
    unsigned before;

    (void)state;
    seed = 3;
    send_groups(3);
    fault.is_full = true;
    for (int i = 0; i < 2000 && !refused(); i++)
        send_groups(1);
    before = refused();
    assert_true(before > 0);
    assert_true(pixi_sqlite_store_stats(disk).is_refusing);
    nothing_lost(); /* it can be read as before */
    last_is_right();
    send_groups(3);
    assert_true(refused() > before);
    fault.is_full = false;
    send_refused_again();
    assert_false(pixi_sqlite_store_stats(disk).is_refusing);
    nothing_lost();
    stop();
    reopen();
    nothing_lost();
}

static void too_much_waits(void **state)
{
    struct sent *s;

    (void)state;
    stop();
    config.waiting_bytes = 1 << 14;
    reopen();
    do
        s = send_any();
    while (s->err == PIXI_MORE && sent_count < 1000);
    assert_int_equal(s->err, PIXI_E_LIMIT);
    settle();
    nothing_lost();
    assert_int_equal(send_one("t/1", 0), PIXI_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_restart_changes_nothing, begin, end),
        cmocka_unit_test_setup_teardown(positions_are_not_given_twice, begin, end),
        cmocka_unit_test_setup_teardown(trimmed_stays_trimmed, begin, end),
        cmocka_unit_test_setup_teardown(the_file_shrinks, begin, end),
        cmocka_unit_test_setup_teardown(policies_change, begin, end),
        cmocka_unit_test(a_write_fails),
        cmocka_unit_test(a_write_is_torn),
        cmocka_unit_test(a_sync_fails),
        cmocka_unit_test_setup_teardown(a_failed_sync_is_never_success, begin, end),
        cmocka_unit_test_setup_teardown(the_power_is_cut, begin, end),
        cmocka_unit_test(the_power_is_cut_at_a_stop),
        cmocka_unit_test_setup_teardown(a_full_disk_refuses_and_recovers, begin, end),
        cmocka_unit_test_setup_teardown(too_much_waits, begin, end),
    };

    return cmocka_run_group_tests_name("store/sqlite", tests, NULL, NULL);
}
