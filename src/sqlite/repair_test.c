/* What comes out of a damaged file: of rows of records their beginnings, and tables that only older versions have. */
#include "sqlite/db.h"

#include "invariants.h"

enum { ROWS = 20, LEN = 20000, PAGE = 4096 };

static const struct pixi_db_table tables[] = {{"packed", "id", PIXI_DB_PACKED},
                                              {NULL, NULL, PIXI_DB_BY_TEXT}};
static const struct pixi_db_table old_tables[] = {{"old", "id", PIXI_DB_BY_NUMBER},
                                                  {NULL, NULL, PIXI_DB_BY_TEXT}};
static const struct pixi_db_schema schema = {
    .application_id = 1,
    .version = 1,
    .sql = "CREATE TABLE packed (id INTEGER PRIMARY KEY, number INTEGER NOT NULL, body BLOB NOT NULL)",
    .tables = tables,
    .old_sql = "CREATE TABLE old (id INTEGER PRIMARY KEY, x)",
    .old_tables = old_tables};
static char folder[64], path[80];
static struct pixi_db db;
static uint8_t bytes[LEN];

static const uint8_t *body_of(int64_t id)
{
    for (size_t i = 0; i < LEN; i++)
        bytes[i] = (uint8_t)((size_t)id * 7 + i * i / 5);
    return bytes;
}

static void open_up(bool is_known_torn)
{
    struct pixi_db_options o = {.path = path, .schema = &schema, .is_known_torn = is_known_torn};
    struct pixi_buf problem = pixi_buf_init(1000);

    assert_int_equal(pixi_db_open(&o, &db, &problem), PIXI_OK);
}

static int fill(void **state)
{
    sqlite3_stmt *s;

    (void)state;
    snprintf(folder, sizeof folder, "/tmp/pixi-repair-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.db", folder);
    open_up(false);
    assert_int_equal(pixi_db_exec(&db, "BEGIN"), SQLITE_OK);
    assert_int_equal(pixi_db_prepare(&db, "INSERT INTO packed VALUES (?1, ?2, ?3)", &s), SQLITE_OK);
    for (int64_t id = 1; id <= ROWS; id++) {
        pixi_db_bind(s, "iib", id, -id, pixi_cur_init(body_of(id), LEN));
        assert_int_equal(pixi_db_done(s), SQLITE_OK);
    }
    sqlite3_finalize(s);
    assert_int_equal(pixi_db_exec(&db, "COMMIT"), SQLITE_OK);
    return 0;
}

static int end(void **state)
{
    char command[96];

    (void)state;
    pixi_db_close(&db);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void damage_page(long page)
{
    FILE *f = fopen(path, "r+b");
    uint8_t junk[PAGE];

    memset(junk, 0xa5, sizeof junk);
    assert_non_null(f);
    assert_int_equal(fseek(f, page * PAGE, SEEK_SET), 0);
    assert_int_equal(fwrite(junk, sizeof junk, 1, f), 1);
    assert_int_equal(fclose(f), 0);
}

/* Rows whose bytes are whole; of the others those before the damaged page are as they were. */
static int count_whole(void)
{
    sqlite3_stmt *s;
    int whole = 0, rows = 0;

    assert_int_equal(pixi_db_prepare(&db, "SELECT id, number, body FROM packed ORDER BY id", &s), SQLITE_OK);
    for (; sqlite3_step(s) == SQLITE_ROW; rows++) {
        int64_t id = sqlite3_column_int64(s, 0);
        struct pixi_cur body = pixi_db_column(s, 2);
        size_t len = pixi_cur_left(&body);

        assert_int_equal(sqlite3_column_int64(s, 1), -id);
        assert_true(len > 0 && len <= LEN);
        assert_memory_equal(body.p, body_of(id), len == LEN ? LEN : len < PAGE ? 0 : len - PAGE);
        whole += len == LEN;
    }
    sqlite3_finalize(s);
    assert_int_equal(rows, ROWS);
    return whole;
}

static void rows_of_records_give_their_beginnings(void **state)
{
    (void)state;
    pixi_db_close(&db);
    damage_page(40);
    damage_page(41);
    damage_page(60);
    open_up(true);
    assert_int_equal(db.origin, PIXI_DB_SALVAGED);
    assert_int_equal(db.rows, ROWS);
    assert_in_range(count_whole(), ROWS - 3, ROWS - 1);
}

static void a_table_of_an_older_version_comes_along(void **state)
{
    int64_t sum = 0;

    (void)state;
    assert_int_equal(pixi_db_exec(&db, "CREATE TABLE old (id INTEGER PRIMARY KEY, x); INSERT INTO old VALUES "
                                       "(1, 10), (2, 20)"),
                     SQLITE_OK);
    pixi_db_close(&db);
    open_up(true);
    assert_int_equal(pixi_db_int(&db, "SELECT sum(id * x) FROM old", &sum), SQLITE_OK);
    assert_int_equal(sum, 50);
    assert_int_equal(count_whole(), ROWS);
}

static void and_is_not_made_where_there_is_none(void **state)
{
    int64_t count = -1;

    (void)state;
    pixi_db_close(&db);
    open_up(true);
    assert_int_equal(pixi_db_int(&db, "SELECT count(*) FROM sqlite_schema WHERE name = 'old'", &count),
                     SQLITE_OK);
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_of_records_give_their_beginnings, fill, end),
        cmocka_unit_test_setup_teardown(a_table_of_an_older_version_comes_along, fill, end),
        cmocka_unit_test_setup_teardown(and_is_not_made_where_there_is_none, fill, end),
    };

    return cmocka_run_group_tests_name("sqlite/repair", tests, NULL, NULL);
}
