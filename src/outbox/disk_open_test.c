/* The file: that a start does not read what waits, what becomes of a damaged one, and that room comes back. */
#include "outbox/world_test.h"

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

/* One page in ten: what is on the other nine is there. */
static void many_places_are_damaged(void **state)
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
    assert_true(pages > 900);
    for (long page = 10; page < pages; page += 10)
        damage_page(w, page);
    as_after_a_power_cut(w);
    open_up(w);
    assert_in_range(pixi_outbox_stats(w->outbox).count, 2600, 2999);
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

/* As versions before this one wrote it. */
static void a_file_of_an_older_version(void **state)
{
    struct world *w = *state;
    sqlite3 *db;

    open_up(w);
    put(w, "a", "1");
    put(w, "a", "2");
    settle(w);
    shut(w);
    assert_int_equal(sqlite3_open(w->path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db, "ALTER TABLE state DROP COLUMN stored_seq; PRAGMA user_version=1", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    open_linked(w);
    expect_delivery(w, "1 2 ");
    reopen(w);
    assert_int_equal(pixi_outbox_stats(w->outbox).count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(start_does_not_read_what_waits), TEST(damage_that_is_met_is_repaired_by_the_next_start),
        TEST(a_damaged_file_is_salvaged),     TEST(many_places_are_damaged),
        TEST(room_on_disk_comes_back),        TEST(a_file_of_an_older_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
