/* A store of version 1, as an earlier pixi-ws left it: everything in it is there. */
#include "invariants.h"
#include "store/disk_test.h"

/* What version 1 made, to the letter. */
static const char schema_1[] =
    "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL;"
    "CREATE TABLE log (id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, hash_key BLOB NOT NULL,"
    " head INTEGER NOT NULL, last_version INTEGER NOT NULL, retained INTEGER NOT NULL,"
    " retained_bytes INTEGER NOT NULL, producers INTEGER NOT NULL, seqs INTEGER NOT NULL,"
    " records INTEGER NOT NULL, wanted INTEGER NOT NULL, wanted_bytes INTEGER NOT NULL,"
    " wanted_trimmed INTEGER NOT NULL, probes INTEGER NOT NULL);"
    "CREATE TABLE history (id INTEGER PRIMARY KEY, filter BLOB NOT NULL, messages INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, dropped INTEGER NOT NULL, trimmed INTEGER NOT NULL, gap INTEGER NOT NULL);"
    "CREATE TABLE message (id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,"
    " flags INTEGER NOT NULL, topic BLOB NOT NULL, headers BLOB NOT NULL, payload BLOB NOT NULL,"
    " origin INTEGER NOT NULL);"
    "CREATE TABLE wanted (id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,"
    " flags INTEGER NOT NULL, topic BLOB NOT NULL, headers BLOB NOT NULL, payload BLOB NOT NULL,"
    " origin INTEGER NOT NULL);"
    "CREATE TABLE retained (topic BLOB PRIMARY KEY, id INTEGER NOT NULL, position INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, expires_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX retained_position ON retained (position, id);"
    "CREATE INDEX retained_expires ON retained (expires_ms) WHERE expires_ms > 0;"
    "CREATE TABLE producer (id INTEGER PRIMARY KEY, owner BLOB NOT NULL, uuid BLOB NOT NULL,"
    " low INTEGER NOT NULL, seqs INTEGER NOT NULL, active_ms INTEGER NOT NULL, UNIQUE (owner, uuid));"
    "CREATE INDEX producer_active ON producer (active_ms);"
    "CREATE TABLE sent (producer INTEGER NOT NULL, seq INTEGER NOT NULL, position INTEGER NOT NULL,"
    " content INTEGER NOT NULL, PRIMARY KEY (producer, seq)) WITHOUT ROWID;"
    "CREATE TABLE record (key BLOB PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID;"
    "PRAGMA application_id=1349089385; PRAGMA user_version=1;";

enum { MESSAGES = 1000, DROPPED = 400, LEN = 200 };

static char want_history[64000], want_wanted[64000], want_last[4000];
static sqlite3 *old;
static uint64_t wanted_count, retained_count;

static void put_row(const char *table, int64_t id, const struct sent *s, uint64_t number)
{
    char sql[128];
    uint8_t payload[LEN] = {0};
    uint32_t n = (uint32_t)number;
    sqlite3_stmt *put;

    memcpy(payload, &n, sizeof n);
    snprintf(sql, sizeof sql, "INSERT INTO %s VALUES (?, 900, 0, ?, ?, x'', ?, 77)", table);
    assert_int_equal(sqlite3_prepare_v2(old, sql, -1, &put, NULL), SQLITE_OK);
    sqlite3_bind_int64(put, 1, id);
    sqlite3_bind_int64(put, 2, s->is_retained ? PIXI_MSG_RETAIN : PIXI_MSG_QOS1);
    sqlite3_bind_blob(put, 3, s->topic, (int)strlen(s->topic), SQLITE_TRANSIENT);
    sqlite3_bind_blob(put, 4, payload, LEN, SQLITE_TRANSIENT);
    assert_int_equal(sqlite3_step(put), SQLITE_DONE);
    sqlite3_finalize(put);
}

static void put_retained(int64_t id, const struct sent *s)
{
    sqlite3_stmt *put;

    assert_int_equal(sqlite3_prepare_v2(old, "INSERT INTO retained VALUES (?, ?, ?, ?, 0)", -1, &put, NULL),
                     SQLITE_OK);
    sqlite3_bind_blob(put, 1, s->topic, (int)strlen(s->topic), SQLITE_TRANSIENT);
    sqlite3_bind_int64(put, 2, id);
    sqlite3_bind_int64(put, 3, (int64_t)s->offset);
    sqlite3_bind_int64(put, 4, (int64_t)strlen(s->topic) + LEN + PIXI_SQLITE_STORE_EACH);
    assert_int_equal(sqlite3_step(put), SQLITE_DONE);
    sqlite3_finalize(put);
}

static void note(char *want, const struct sent *s)
{
    sprintf(want + strlen(want), "%s@%d ", s->topic, (int)s->offset);
}

/* Each third is wanted, one in fifty is retained; those of "x/..." are in the history without a filter. What was dropped
 * from the histories is gone, but for the retained ones, and what sessions want of it. */
static void put_message(unsigned number)
{
    struct sent *s = &sent[number];
    bool is_extra = number % 10 == 0, is_wanted = number % 3 == 0;
    int64_t id;

    *s = (struct sent){.len = LEN, .offset = number + 1, .is_retained = number % 50 == 0};
    if (s->is_retained)
        snprintf(s->topic, sizeof s->topic, "%s/%u", is_extra && number % 100 ? "x" : "t", number);
    else
        snprintf(s->topic, sizeof s->topic, "%s", is_extra && is_wanted ? "x/w" : "t/1");
    id = (int64_t)((s->topic[0] == 'x' ? UINT64_C(1) << 57 : 0) | s->offset);
    if (s->offset > DROPPED || s->is_retained)
        put_row("message", id, s, number);
    if (s->offset > DROPPED)
        note(want_history, s);
    if (is_wanted) {
        put_row("wanted", (int64_t)s->offset, s, number);
        note(want_wanted, s);
        wanted_count++;
    }
    if (s->is_retained) {
        put_retained(id, s);
        note(want_last, s);
        retained_count++;
    }
}

static void exec(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void exec(const char *format, ...)
{
    char sql[4096];
    va_list args;

    va_start(args, format);
    vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    if (sqlite3_exec(old, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(old));
}

static int make_old(void **state)
{
    char path[128];
    uint64_t epoch;

    begin(state);
    policies[0].filter = pixi_cur_str("t/#");
    epoch = store->call->head(store).epoch;
    stop();
    snprintf(path, sizeof path, "%s/hub.db", backend_open.folder);
    unlink(path);
    assert_int_equal(sqlite3_open(path, &old), SQLITE_OK);
    exec("%s", schema_1);
    exec("BEGIN");
    want_history[0] = want_wanted[0] = want_last[0] = 0;
    wanted_count = retained_count = 0;
    for (sent_count = 0; sent_count < MESSAGES; sent_count++)
        put_message(sent_count);
    exec("INSERT INTO log VALUES (1, %lld, zeroblob(16), %d, 5, %d, (SELECT sum(bytes) FROM retained), 0, 0, "
         "1, %d,"
         " (SELECT sum(length(topic) + length(payload)) FROM wanted), 0, 0)",
         (long long)epoch, MESSAGES, (int)retained_count, (int)wanted_count);
    for (int h = 0; h < 2; h++)
        exec("INSERT INTO history SELECT %d, CAST(%s AS BLOB), count(*), sum(length(topic) + "
             "length(payload)), %d, %d, 0"
             " FROM message WHERE id >> 57 = %d AND id & 0xffffff > %d",
             h, h ? "''" : "'t/#'", DROPPED, h ? 0 : DROPPED, h, DROPPED);
    exec("INSERT INTO record VALUES (x'6b', x'76', 5)");
    exec("COMMIT");
    sqlite3_close(old);
    return 0;
}

static const char *for_sessions(void)
{
    read_flags = PIXI_STORE_SKIP_GAPS | PIXI_STORE_FOR_SESSIONS;
    read_all("#", store->call->read);
    read_flags = PIXI_STORE_SKIP_GAPS;
    return text;
}

static void all_is_there(void)
{
    struct pixi_sqlite_store_stats stats = pixi_sqlite_store_stats(disk);

    history("#");
    assert_string_equal(text, want_history);
    assert_string_equal(for_sessions(), want_wanted);
    assert_string_equal(read_all("#", store->call->last), want_last);
    assert_int_equal(read_err, PIXI_OK);
    assert_int_equal(stats.messages, MESSAGES - DROPPED);
    assert_int_equal(stats.wanted, wanted_count);
    assert_int_equal(stats.retained, retained_count);
    assert_int_equal(store->call->head(store).offset, MESSAGES);
    assert_int_equal(backend_ask_file("PRAGMA user_version"), 2);
    assert_int_equal(
        backend_ask_file(
            "SELECT count(*) FROM sqlite_schema WHERE name IN ('message', 'wanted', 'retained')"),
        0);
}

static void an_old_file(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        reopen();
        assert_int_equal(pixi_sqlite_store_found(disk).how, PIXI_SQLITE_STORE_AS_LEFT);
        assert_false(pixi_sqlite_store_found(disk).is_sorted);
        all_is_there();
        assert_int_equal(store->call->kept(store, pixi_cur_str("t/#"), DROPPED), PIXI_STORE_GONE);
        assert_int_equal(store->call->kept(store, pixi_cur_str("t/#"), DROPPED + 1), PIXI_STORE_WHOLE);
        stop();
    }
    policies[0].max_messages = 1;
    reopen();
    store->call->trim(store, 1000); /* what is too much goes, and what no session wants */
    settle();
    assert_int_equal(pixi_sqlite_store_stats(disk).wanted, 0);
    assert_string_equal(read_all("#", store->call->last), want_last);
    history("t/#");
    assert_int_equal(read_count, 1);
}

static void under_other_policies(void **state)
{
    (void)state;
    policies[0].filter = pixi_cur_str("#");
    reopen();
    assert_true(pixi_sqlite_store_found(disk).is_sorted);
    all_is_there();
}

/* A write of the upgrade fails: the file is as it was, and the next start does it. */
static void cut_short(void **state)
{
    bool is_reached = true;
    unsigned long at, nth = 0;

    for (; is_reached; nth += 7) {
        if (nth)
            make_old(state);
        fault.fail_write = at = fault.writes + nth + 1;
        if (try_open() == PIXI_OK)
            stop();
        is_reached = fault.writes >= at;
        fault.fail_write = 0;
        reopen();
        assert_int_equal(pixi_sqlite_store_found(disk).how, PIXI_SQLITE_STORE_AS_LEFT);
        all_is_there();
        end(NULL);
    }
    assert_true(nth > 30);
    begin(state);
}

/* Before it was opened by this version it was damaged. */
static void and_damaged(void **state)
{
    char path[128];
    FILE *mark;

    (void)state;
    snprintf(path, sizeof path, "%s/damaged", backend_open.folder);
    mark = fopen(path, "w");
    assert_non_null(mark);
    fclose(mark);
    reopen();
    assert_int_equal(pixi_sqlite_store_found(disk).how, PIXI_SQLITE_STORE_REPAIRED);
    all_is_there();
    assert_int_equal(store->call->kept(store, pixi_cur_str("t/#"), MESSAGES), PIXI_STORE_GONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_old_file, make_old, end),
        cmocka_unit_test_setup_teardown(under_other_policies, make_old, end),
        cmocka_unit_test_setup_teardown(cut_short, make_old, end),
        cmocka_unit_test_setup_teardown(and_damaged, make_old, end),
    };

    return cmocka_run_group_tests_name("store/sqlite_upgrade", tests, NULL, NULL);
}
