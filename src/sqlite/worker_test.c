#include "sqlite/worker.h"
#include "invariants.h"
#include "sqlite/fault_test.h"

#include <poll.h>

enum { JOBS = 200 };

static struct pixi_db db;
static struct pixi_worker *worker;
static char path[64];

struct number {
    struct pixi_job job; /* first */
    int64_t number;
    int err;      /* PIXI_MORE: under way */
    int64_t seen; /* of one that reads: how many there were */
    int rc;       /* what its run is to answer, if not what it does; -1: that it had nothing to do */
};

static struct {
    unsigned groups, failed;
    int64_t last; /* number that was done last */
} ended;

static int finish(void *ctx)
{
    (void)ctx;
    return SQLITE_OK;
}

static void on_ended(void *ctx, int rc)
{
    (void)ctx;
    ended.groups += rc == SQLITE_OK;
    ended.failed += rc != SQLITE_OK;
}

static int probe(void *ctx)
{
    (void)ctx;
    return pixi_db_exec(&db, "INSERT OR REPLACE INTO number VALUES (-1)");
}

static const struct pixi_worker_calls calls = {finish, on_ended, probe};

static int run(struct pixi_job *job, void *ctx)
{
    struct number *n = (struct number *)job;
    char sql[64];

    assert_ptr_equal(ctx, &db);
    if (n->rc)
        return n->rc < 0 ? SQLITE_OK : n->rc;
    if (job->kind == PIXI_JOB_READS)
        return pixi_db_int(&db, "SELECT count(*) FROM number WHERE n >= 0", &n->seen);
    snprintf(sql, sizeof sql, "INSERT INTO number VALUES (%d)", (int)n->number);
    return pixi_db_exec(&db, sql);
}

static void done(struct pixi_job *job, int err)
{
    struct number *n = (struct number *)job;

    n->err = err;
    if (job->kind == PIXI_JOB_READS)
        return;
    if (n->rc < 0)
        return;
    assert_true(n->number > ended.last);
    ended.last = n->number;
}

static const struct pixi_db_table tables[] = {{"number", "n", PIXI_DB_BY_NUMBER},
                                              {NULL, NULL, PIXI_DB_BY_TEXT}};
static const struct pixi_db_schema schema = {.application_id = 1,
                                             .version = 1,
                                             .sql = "CREATE TABLE number (n INTEGER PRIMARY KEY)",
                                             .tables = tables};

static int begin(void **state)
{
    const struct pixi_worker_limits limits = {.jobs = JOBS, .bytes = 1000};
    struct pixi_db_options options = {.path = path, .schema = &schema, .vfs = "fault"};
    struct pixi_buf problem = pixi_buf_init(1000);

    (void)state;
    fault_begin();
    snprintf(path, sizeof path, "/tmp/pixi-worker-test-%ld", (long)getpid());
    assert_int_equal(pixi_db_open(&options, &db, &problem), PIXI_OK);
    assert_int_equal(pixi_worker_new(&db, &calls, &db, &limits, &worker), PIXI_OK);
    memset(&ended, 0, sizeof ended);
    return 0;
}

static int end(void **state)
{
    (void)state;
    pixi_worker_stop(worker);
    pixi_worker_take(worker);
    pixi_worker_free(worker);
    pixi_db_close(&db);
    unlink(path);
    return 0;
}

static int put(struct number *n, int64_t number, enum pixi_job_kind kind)
{
    *n = (struct number){
        .job = {.kind = kind, .bytes = 1, .run = run, .done = done}, .number = number, .err = PIXI_MORE};
    return pixi_worker_put(worker, &n->job);
}

static int64_t count(void)
{
    struct number n;

    put(&n, 0, PIXI_JOB_READS);
    pixi_worker_turn(worker);
    pixi_worker_take(worker);
    assert_int_equal(n.err, PIXI_OK);
    return n.seen;
}

static void what_waits_is_one_group(void **state)
{
    struct number n[5], reader;

    (void)state;
    assert_false(pixi_worker_take(worker));
    assert_false(pixi_worker_turn(worker));
    for (int i = 0; i < 5; i++)
        put(&n[i], i + 1, PIXI_JOB_WRITES);
    put(&reader, 0, PIXI_JOB_READS);
    assert_true(pixi_worker_turn(worker));
    assert_int_equal(n[0].err, PIXI_MORE); /* not before it is taken */
    assert_true(pixi_worker_take(worker));
    for (int i = 0; i < 5; i++)
        assert_int_equal(n[i].err, PIXI_OK);
    assert_int_equal(reader.seen, 0); /* what was committed before the group */
    assert_int_equal(count(), 5);
    assert_int_equal(ended.groups, 1);
    assert_int_equal(pixi_worker_stats(worker).commits, 1);
    assert_int_equal(pixi_worker_stats(worker).jobs, 5);
}

static void one_fails_all_fail(void **state)
{
    struct number n[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        put(&n[i], i + 1, PIXI_JOB_WRITES);
    n[1].rc = SQLITE_FULL;
    pixi_worker_turn(worker);
    pixi_worker_take(worker);
    for (int i = 0; i < 3; i++)
        assert_int_equal(n[i].err, PIXI_E_STORAGE);
    assert_true(pixi_worker_stats(worker).is_refusing);
    assert_int_equal(count(), 0);
    put(&n[0], 0, PIXI_JOB_WRITES);
    n[0].rc = -1; /* has nothing to write: that proves nothing */
    pixi_worker_turn(worker);
    pixi_worker_take(worker);
    assert_int_equal(n[0].err, PIXI_OK);
    assert_true(pixi_worker_stats(worker).is_refusing);
    put(&n[0], 4, PIXI_JOB_WRITES);
    pixi_worker_turn(worker);
    pixi_worker_take(worker);
    assert_int_equal(n[0].err, PIXI_OK);
    assert_false(pixi_worker_stats(worker).is_refusing);
    assert_int_equal(ended.failed, 1);
}

static void nothing_is_written_to_a_damaged_file(void **state)
{
    struct number n[2];

    (void)state;
    put(&n[0], 0, PIXI_JOB_READS);
    n[0].rc = SQLITE_CORRUPT;
    put(&n[1], 1, PIXI_JOB_WRITES);
    pixi_worker_turn(worker);
    pixi_worker_take(worker);
    assert_int_equal(n[0].err, PIXI_E_STORAGE);
    assert_int_equal(n[1].err, PIXI_E_STORAGE);
    assert_true(pixi_worker_stats(worker).is_damaged);
    assert_int_equal(count(), 0);
}

static void the_queue_has_an_end(void **state)
{
    struct number n[JOBS], more;

    (void)state;
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(put(&n[i], i + 1, PIXI_JOB_WRITES), PIXI_OK);
    assert_int_equal(put(&more, JOBS + 1, PIXI_JOB_WRITES), PIXI_E_LIMIT);
    pixi_worker_turn(worker); /* done, but not taken */
    assert_int_equal(put(&more, JOBS + 1, PIXI_JOB_WRITES), PIXI_E_LIMIT);
    pixi_worker_take(worker);
    more.job.bytes = 2000; /* more than all may have: alone it goes */
    assert_int_equal(pixi_worker_put(worker, &more.job), PIXI_OK);
    assert_int_equal(put(&n[0], JOBS + 2, PIXI_JOB_WRITES), PIXI_E_LIMIT);
    pixi_worker_turn(worker);
    pixi_worker_take(worker);
    assert_int_equal(more.err, PIXI_OK);
    assert_int_equal(count(), JOBS + 1);
}

/* The thread looks by itself whether the disk is well again. */
static void a_probe_after_a_failure(void **state)
{
    struct number n;
    struct pollfd p = {.fd = pixi_worker_fd(worker), .events = POLLIN};

    (void)state;
    fault.fail_sync = fault.syncs + 1;
    put(&n, 1, PIXI_JOB_WRITES);
    assert_int_equal(pixi_worker_start(worker), PIXI_OK);
    while (n.err == PIXI_MORE && poll(&p, 1, 20000) == 1) /* that it refuses is told as well */
        pixi_worker_take(worker);
    assert_int_equal(n.err, PIXI_E_STORAGE);
    while (pixi_worker_stats(worker).is_refusing)
        poll(NULL, 0, 10);
    pixi_worker_stop(worker);
    assert_int_equal(count(), 0);
    assert_int_equal(ended.groups, 2); /* the one that writes over what failed, and the probe */
}

static void copy_file(const char *suffix)
{
    char command[256];

    snprintf(command, sizeof command, "cp %s%s %s-copy%s", path, suffix, path, suffix);
    assert_int_equal(system(command), 0);
}

/* What a program finds that opens the file when this one was killed right now. */
static int64_t count_after_kill(void)
{
    char name[80];
    struct pixi_db copy = {0};
    int64_t n = -1;

    copy_file("");
    copy_file("-wal");
    snprintf(name, sizeof name, "%s-copy", path);
    assert_int_equal(sqlite3_open(name, &copy.handle), SQLITE_OK);
    assert_int_equal(pixi_db_int(&copy, "SELECT count(*) FROM number WHERE n >= 0", &n), SQLITE_OK);
    sqlite3_close(copy.handle);
    unlink(name);
    return n;
}

/* A sync that failed is not taken for success by whoever comes next. */
static void what_failed_is_not_found_later(void **state)
{
    struct number n[3];

    (void)state;
    put(&n[0], 1, PIXI_JOB_WRITES);
    pixi_worker_turn(worker);
    fault.fail_sync = fault.syncs + 1;
    put(&n[1], 2, PIXI_JOB_WRITES);
    put(&n[2], 3, PIXI_JOB_WRITES);
    pixi_worker_turn(worker);
    assert_int_equal(count_after_kill(), 1);
    pixi_worker_take(worker);
    assert_int_equal(n[0].err, PIXI_OK);
    assert_int_equal(n[1].err, PIXI_E_STORAGE);
    assert_int_equal(n[2].err, PIXI_E_STORAGE);
    assert_int_equal(count(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_waits_is_one_group, begin, end),
        cmocka_unit_test_setup_teardown(one_fails_all_fail, begin, end),
        cmocka_unit_test_setup_teardown(nothing_is_written_to_a_damaged_file, begin, end),
        cmocka_unit_test_setup_teardown(the_queue_has_an_end, begin, end),
        cmocka_unit_test_setup_teardown(a_probe_after_a_failure, begin, end),
        cmocka_unit_test_setup_teardown(what_failed_is_not_found_later, begin, end),
    };

    return cmocka_run_group_tests_name("sqlite/worker", tests, NULL, NULL);
}
