/* The file: that a start does not read what waits, what becomes of a damaged one, and that room comes back. */
#include "outbox/world_test.h"
#include "sqlite/fault_test.h"

#include <sqlite3.h>
#include <sys/stat.h>

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

static void as_after_a_power_cut(const struct world *w)
{
    FILE *f = open_lock(w, "w");

    assert_true(fputs("1\n", f) >= 0);
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

    open_up(w);
    put_many(w, 2000);
    shut(w);
    damage_page(w, 10);
    as_after_a_power_cut(w);
    open_up(w);
    assert_true(w->notes.len > 0);
    assert_true(pixi_outbox_stats(w->outbox).count > 1500);
    pixi_outbox_linked(w->outbox, 5, w->now);
    deliver(w, &out);
    assert_int_equal(pixi_outbox_stats(w->outbox).count, 0);
    pixi_buf_clear(&out);
}

static long file_size(const struct world *w)
{
    struct stat st;

    assert_int_equal(stat(w->path, &st), 0);
    return (long)st.st_size;
}

/* Is it one of those that lead to many others? */
static bool leads_on(const struct world *w, long page)
{
    FILE *f = fopen(w->path, "rb");
    int kind;

    assert_non_null(f);
    assert_int_equal(fseek(f, page * 4096, SEEK_SET), 0);
    kind = fgetc(f);
    fclose(f);
    return kind == 5;
}

/* One page in ten: what is on the other nine is there. */
static void many_places_are_damaged(void **state)
{
    struct world *w = *state;
    char text[1001];
    long pages;

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    w->options.bytes = 1 << 24;
    fault_begin();
    w->options.vfs = "fault"; /* on which syncing takes no time */
    open_up(w);
    for (int i = 0; i < 3000; i++) {
        put(w, "event/a", text);
        settle(w); /* each is a row of its own then */
    }
    shut(w);
    pages = file_size(w) / 4096;
    assert_true(pages > 900);
    for (long page = 10; page < pages; page += 10)
        if (!leads_on(w, page))
            damage_page(w, page);
    as_after_a_power_cut(w);
    open_up(w);
    assert_in_range(pixi_outbox_stats(w->outbox).count, 2600, 2999);
}

/* Of messages that lie in one row, those before the damage are there. */
static void a_row_is_damaged_in_its_middle(void **state)
{
    struct world *w = *state;
    char text[1001];
    long pages;

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    w->options.bytes = 1 << 24;
    open_up(w);
    for (int i = 0; i < 3000; i++)
        put(w, "event/a", text);
    settle(w);
    shut(w);
    pages = file_size(w) / 4096;
    assert_true(pages > 700);
    for (long page = 20; page < pages; page += 20)
        damage_page(w, page);
    as_after_a_power_cut(w);
    open_up(w);
    assert_in_range(pixi_outbox_stats(w->outbox).count, 1950, 2900); /* 1800 without the beginnings of rows */
    pixi_outbox_linked(w->outbox, 5, w->now);
    settle(w);
    assert_non_null(pixi_outbox_next(w->outbox, w->now));
}

static void room_on_disk_comes_back(void **state)
{
    struct world *w = *state;
    struct pixi_buf out = pixi_buf_init(1 << 20);
    long full;

    open_up(w);
    put_many(w, 4000);
    reopen(w);
    full = file_size(w);
    pixi_outbox_linked(w->outbox, 5, w->now);
    deliver(w, &out);
    for (int i = 0; i < 50; i++)
        pass(w, 6000);
    shut(w);
    assert_true(file_size(w) < full / 4);
    open_up(w);
    pixi_buf_clear(&out);
}

static int64_t ask(const struct world *w, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *s;
    int64_t answer = 0;

    assert_int_equal(sqlite3_open(w->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    if (sqlite3_step(s) == SQLITE_ROW)
        answer = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return answer;
}

static void run_sql(const struct world *w, const char *sql)
{
    sqlite3 *db;
    char *why = NULL;

    assert_int_equal(sqlite3_open(w->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", why, sql);
    sqlite3_close(db);
}

/* What was read to be sent is not read anew because that is forgotten: nobody knows whether the server has it. */
static void a_part_that_is_lost_leaves_doubt(void **state)
{
    static const char *const lose[] = {
        "DELETE FROM part",
        "UPDATE part SET body = x'00'",
        "UPDATE part SET body = (SELECT body FROM part ORDER BY id DESC LIMIT 1) WHERE id = (SELECT min(id) "
        "FROM "
        "part)",
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof lose / sizeof *lose; i++) {
        open_up(w);
        put(w, "t", "1");
        settle(w);
        put(w, "t", "2");
        settle(w);
        pixi_outbox_linked(w->outbox, 5, w->now);
        settle(w);
        assert_non_null(pixi_outbox_next(w->outbox, w->now));
        shut(w);
        run_sql(w, lose[i]);
        open_linked(w);
        assert_true(w->notes.len > 0);
        expect_delivery(w, i == 2 ? "2 " : "");
        assert_int_equal(pixi_outbox_stats(w->outbox).count, 0);
        shut(w);
        assert_int_equal(ask(w, "SELECT count(*) FROM rejected"), i == 2 ? 1 : 2);
        run_sql(w, "DELETE FROM rejected");
        pixi_buf_reset(&w->notes);
    }
}

/* --- files of versions before this one ---------------------------------------------------------------------------------- */

static const char old_sql[] =
    "PRAGMA application_id=1350063983; PRAGMA user_version=2; PRAGMA journal_mode=WAL;"
    "CREATE TABLE state (id INTEGER PRIMARY KEY, producer BLOB NOT NULL, epoch INTEGER NOT NULL,"
    " next_number INTEGER NOT NULL, next_seq INTEGER NOT NULL, count INTEGER NOT NULL, bytes INTEGER NOT "
    "NULL,"
    " unassigned INTEGER NOT NULL, now_ms INTEGER NOT NULL, wall_ms INTEGER NOT NULL, stored_seq INTEGER NOT "
    "NULL);"
    "CREATE TABLE message (id INTEGER PRIMARY KEY, seq INTEGER, flags INTEGER NOT NULL, accepted_ms INTEGER "
    "NOT "
    "NULL, expires_ms INTEGER, owner INTEGER NOT NULL, sender INTEGER NOT NULL, topic BLOB NOT NULL,"
    " headers BLOB NOT NULL, payload BLOB NOT NULL);"
    "CREATE INDEX message_expires ON message(expires_ms) WHERE expires_ms IS NOT NULL;"
    "CREATE TABLE owner (uid INTEGER PRIMARY KEY, count INTEGER NOT NULL, bytes INTEGER NOT NULL);"
    "CREATE TABLE given (producer BLOB NOT NULL, seq INTEGER NOT NULL, id INTEGER NOT NULL, given_ms INTEGER "
    "NOT NULL, PRIMARY KEY (producer, seq)) WITHOUT ROWID;"
    "CREATE TABLE rejected (number INTEGER PRIMARY KEY, id INTEGER NOT NULL, err INTEGER NOT NULL, detail "
    "BLOB "
    "NOT NULL, rejected_ms INTEGER NOT NULL, flags INTEGER NOT NULL, owner INTEGER NOT NULL, topic BLOB NOT "
    "NULL, headers BLOB NOT NULL, payload BLOB NOT NULL);";

/* Priority 9: 1 .. 10000, the first 30 with seqs 7, 9, ... for they were stored between others. Priority 4: three, of which
 * one has a seq and one expires. */
static const char old_rows[] =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
    " INSERT INTO message SELECT i, CASE WHEN i <= 30 THEN 5 + 2 * i END, 0, 1700000000000, NULL, 1000, 7,"
    " CAST('t' AS BLOB), x'', CAST(CAST(i AS TEXT) AS BLOB) FROM n;"
    "INSERT INTO message VALUES ((5 << 48) + 10001, 8, 4, 1700000000000, NULL, 1000, 7, CAST('t' AS BLOB), "
    "x'', "
    "CAST('a' AS BLOB)),"
    " ((5 << 48) + 10002, NULL, 0, 1700000000000, 1700000005000, 1000, 7, CAST('t' AS BLOB), x'', CAST('b' "
    "AS "
    "BLOB)),"
    " ((5 << 48) + 10003, NULL, 0, 1700000000000, NULL, 1000, 7, CAST('t' AS BLOB), x'', CAST('c' AS BLOB));"
    "INSERT INTO state SELECT 1, x'00112233445566778899aabbccddeeff', 5, 10004, 66, count(*),"
    " sum(64 + length(topic) + length(payload)), count(*) - count(seq), 1700000000000, 1700000000000, 3 FROM "
    "message;"
    "INSERT INTO owner SELECT 1000, count(*), sum(64 + length(topic) + length(payload)) FROM message;";

static void make_old(struct world *w, const char *as_version)
{
    fault_begin();
    w->options.vfs = "fault";
    assert_int_equal(mkdir(w->outbox_folder, 0700), 0);
    run_sql(w, old_sql);
    run_sql(w, old_rows);
    run_sql(w, as_version);
}

/* The 31 with a seq first, and each as it was; then the rest. */
static void check_old(struct world *w)
{
    uint64_t low = 0;

    assert_int_equal(pixi_outbox_stats(w->outbox).count, 10003);
    pixi_outbox_linked(w->outbox, 5, w->now);
    for (unsigned n = 0; n < 10003; n++) {
        struct pixi_outbox_msg *m;
        char want[16];

        settle(w);
        m = pixi_outbox_next(w->outbox, w->now);
        assert_non_null(m);
        if (n < 31)
            assert_int_equal(m->seq, n < 2 ? 7 + n : 7 + 2 * (n - 1));
        else
            assert_true(m->seq >= 66 && m->seq > low);
        assert_int_equal(m->flags & PIXI_OUTBOX_LATE, n == 1 ? PIXI_OUTBOX_LATE : 0);
        snprintf(want, sizeof want, "%u", n < 1 ? 1 : n < 10001 ? n : 0);
        if (n != 1 && n < 10001)
            assert_true(pixi_cur_equals(m->payload, pixi_cur_str(want)));
        low = m->seq;
        pixi_outbox_sent(w->outbox, m);
        pixi_outbox_stored(w->outbox, m, w->now);
        w->gone_count = 0;
    }
    settle(w);
    assert_int_equal(pixi_outbox_stats(w->outbox).count, 0);
    assert_int_equal(pixi_outbox_stats(w->outbox).bytes, 0);
    reopen(w);
    assert_int_equal(pixi_outbox_stats(w->outbox).count, 0);
}

static void a_file_of_version_2(void **state)
{
    struct world *w = *state;

    make_old(w, "PRAGMA user_version=2");
    open_up(w);
    check_old(w);
}

static void a_file_of_version_1(void **state)
{
    struct world *w = *state;

    make_old(w, "ALTER TABLE state DROP COLUMN stored_seq; PRAGMA user_version=1");
    open_up(w);
    check_old(w);
}

static void what_expires_in_an_old_file(void **state)
{
    struct world *w = *state;

    make_old(w, "PRAGMA user_version=2");
    open_up(w);
    pass(w, 6000);
    assert_int_equal(w->gone_count, 1);
    assert_int_equal(w->gone[0].err, PIXI_E_EXPIRED);
    assert_int_equal(w->gone[0].id, (UINT64_C(5) << 48) + 10002);
}

/* The bringing over was cut short by kill -9: the form is the new one, and some lie here, some there. */
static void leave_half_way(struct world *w)
{
    make_old(w, "CREATE TABLE later AS SELECT * FROM message WHERE id > 5000;"
                "DELETE FROM message WHERE id > 5000");
    open_up(w);
    shut(w);
    run_sql(
        w, "CREATE TABLE message (id INTEGER PRIMARY KEY, seq, flags, accepted_ms, expires_ms, owner, sender,"
           " topic, headers, payload); INSERT INTO message SELECT * FROM later; DROP TABLE later;"
           "UPDATE state SET assigned = NULL");
}

static void an_old_file_whose_start_was_killed(void **state)
{
    leave_half_way(*state);
    open_up(*state);
    check_old(*state);
}

static void and_that_is_damaged_besides(void **state)
{
    struct world *w = *state;
    FILE *f;

    leave_half_way(w);
    f = open_lock(w, "w");
    assert_true(fputs("torn\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
    open_up(w);
    assert_true(w->notes.len > 0);
    check_old(w);
}

static void a_damaged_file_of_version_2(void **state)
{
    struct world *w = *state;

    make_old(w, "PRAGMA user_version=2");
    damage_page(w, file_size(w) / 4096 / 2);
    open_up(w);
    assert_true(w->notes.len > 0);
    assert_in_range(pixi_outbox_stats(w->outbox).count, 9800, 10002);
    assert_memory_equal(pixi_outbox_producer(w->outbox), "\x00\x11\x22\x33", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(start_does_not_read_what_waits),
        TEST(damage_that_is_met_is_repaired_by_the_next_start),
        TEST(a_damaged_file_is_salvaged),
        TEST(many_places_are_damaged),
        TEST(a_row_is_damaged_in_its_middle),
        TEST(a_part_that_is_lost_leaves_doubt),
        TEST(room_on_disk_comes_back),
        TEST(a_file_of_version_2),
        TEST(a_file_of_version_1),
        TEST(what_expires_in_an_old_file),
        TEST(an_old_file_whose_start_was_killed),
        TEST(and_that_is_damaged_besides),
        TEST(a_damaged_file_of_version_2),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
