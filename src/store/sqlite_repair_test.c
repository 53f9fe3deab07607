/* A store on disk that finds its files damaged, lost, of others, or not its own. */
#include "invariants.h"
#include "store/disk_test.h"

#include <fcntl.h>
#include <sys/stat.h>

/* --- files that are no good ---------------------------------------------------------------------------------- */

static char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", backend_open.folder, name);
    return path;
}

static void spoil(const char *name, off_t at, size_t len)
{
    uint8_t bytes[4096];
    int fd = open(path_of(name), O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)random_below(256);
    assert_int_equal(pwrite(fd, bytes, len, at), len);
    close(fd);
}

static off_t size_of(const char *name)
{
    struct stat st;

    assert_int_equal(stat(path_of(name), &st), 0);
    return st.st_size;
}

/* As if nobody had closed it. */
static void make_suspect(void)
{
    int fd = open(path_of("lock"), O_WRONLY | O_TRUNC | O_CLOEXEC);

    assert_int_equal(write(fd, "1\n", 2), 2);
    close(fd);
}

static void is_repaired(unsigned least)
{
    struct pixi_sqlite_store_found found = pixi_sqlite_store_found(disk);

    assert_int_equal(found.how, PIXI_SQLITE_STORE_REPAIRED);
    assert_non_null(found.aside);
    assert_int_equal(access(found.aside, F_OK), 0);
    assert_int_equal(store->call->head(store).epoch, last_epoch);
    history("#");
    assert_int_equal(read_err, PIXI_OK);
    if (read_count < least)
        fail_msg("seed %u: %u of %u messages were saved", seed, read_count, sent_count);
    assert_int_equal(store->call->kept(store, pixi_cur_str("#"), store->call->head(store).offset),
                     PIXI_STORE_GONE);
    assert_int_equal(send_one("t/9", PIXI_MSG_RETAIN | PIXI_MSG_KEY), PIXI_OK);
}

/* A page in the middle: what lies on the others is saved, and the file is there to be looked at. */
static void a_damaged_page(void **state)
{
    off_t pages;

    (void)state;
    seed = 11;
    for (int i = 0; i < 2000; i++) {
        send_any();
        if (i % 20 == 19)
            settle();
    }
    stop();
    pages = size_of("hub.db") / 4096;
    spoil("hub.db", pages / 2 * 4096, 4096);
    make_suspect();
    reopen();
    is_repaired(1800);
    stop();
    reopen();
    assert_int_equal(pixi_sqlite_store_found(disk).how, PIXI_SQLITE_STORE_AS_LEFT);
}

static void a_file_of_nonsense(void **state)
{
    (void)state;
    send_one("t/1", PIXI_MSG_RETAIN);
    stop();
    spoil("hub.db", 0, 4096);
    reopen(); /* not even suspect: seen when it is opened */
    is_repaired(0);
    assert_int_equal(store->call->head(store).offset, 1);
}

/* Any pages spoilt: it starts, and works, and gives nothing that was not sent. */
static void any_damage(void **state)
{
    off_t pages;

    (void)state;
    for (unsigned round = 0; round < 40; round++) {
        seed = round;
        for (int i = 0; i < 90; i++)
            send_any();
        settle();
        stop();
        pages = size_of("hub.db") / 512;
        for (unsigned n = 1 + random_below(3); n; n--)
            spoil("hub.db", (off_t)random_below((unsigned)pages) * 512, 512);
        if (random_below(2))
            make_suspect();
        reopen();
        history("#");
        send_one("t/1", PIXI_MSG_RETAIN | PIXI_MSG_KEY);
        if (pixi_sqlite_store_stats(disk).is_damaged || read_err) { /* met when it was used */
            stop();
            reopen();
            is_repaired(0);
        }
        end(NULL);
        begin(NULL);
    }
}

static void a_lost_file_begins_an_epoch(void **state)
{
    uint64_t epoch = store->call->head(store).epoch;

    (void)state;
    send_one("t/1", PIXI_MSG_RETAIN);
    stop();
    unlink(path_of("hub.db"));
    reopen();
    assert_int_equal(pixi_sqlite_store_found(disk).how, PIXI_SQLITE_STORE_LOST);
    assert_true(store->call->head(store).epoch != epoch);
    assert_int_equal(store->call->head(store).offset, 0);
}

/* A copy from before would give positions that it gave already. */
static void a_restored_file_begins_an_epoch(void **state)
{
    uint64_t epoch = store->call->head(store).epoch;

    (void)state;
    send_one("t/1", PIXI_MSG_RETAIN);
    stop();
    unlink(path_of("epoch")); /* as docs/store.md says */
    reopen();
    assert_int_equal(pixi_sqlite_store_found(disk).how, PIXI_SQLITE_STORE_RESTORED);
    assert_true(store->call->head(store).epoch != epoch);
    assert_string_equal(history("#"), "t/1@1 ");
    epoch = store->call->head(store).epoch;
    stop();
    reopen();
    assert_int_equal(pixi_sqlite_store_found(disk).how, PIXI_SQLITE_STORE_AS_LEFT);
    assert_int_equal(store->call->head(store).epoch, epoch);
}

static void refuses(int rc, const char *why)
{
    int is = try_open();

    pixi_buf_put(&problem, "", 1);
    assert_int_equal(is, rc);
    if (!strstr((const char *)problem.bytes, why) || !strstr((const char *)problem.bytes, "\n  fix: "))
        fail_msg("'%s' says nothing of '%s'", (const char *)problem.bytes, why);
}

static void folders_that_are_refused(void **state)
{
    struct pixi_sqlite_store *first = disk;
    char pid[32];

    (void)state;
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    refuses(PIXI_E_SETTINGS, pid); /* itself */
    disk = first;
    stop();
    backend_change_file("PRAGMA user_version=3");
    refuses(PIXI_E_SETTINGS, "version 3");
    backend_change_file("PRAGMA user_version=2; PRAGMA application_id=5");
    refuses(PIXI_E_SETTINGS, "another program");
    backend_change_file("PRAGMA application_id=1349089385");
    assert_int_equal(chmod(backend_open.folder, 0777), 0);
    refuses(PIXI_E_SETTINGS, "others may write");
    assert_int_equal(chmod(backend_open.folder, 0700), 0);
    config.path = "/nowhere/at/all";
    refuses(PIXI_E_SETTINGS, "No such file");
    config.path = "/dev/null";
    refuses(PIXI_E_SETTINGS, "no folder");
    config.path = backend_open.folder;
    fault.is_full = true;
    unlink(path_of("hub.db"));
    refuses(PIXI_E_STORAGE, "full");
    fault.is_full = false;
    reopen();
}

static void files_are_private(void **state)
{
    static const char *const names[] = {"hub.db", "hub.db-wal", "hub.db-shm", "lock", "epoch"};
    struct stat st;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(stat(path_of(names[i]), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_damaged_page, begin, end),
        cmocka_unit_test_setup_teardown(a_file_of_nonsense, begin, end),
        cmocka_unit_test_setup_teardown(any_damage, begin, end),
        cmocka_unit_test_setup_teardown(a_lost_file_begins_an_epoch, begin, end),
        cmocka_unit_test_setup_teardown(a_restored_file_begins_an_epoch, begin, end),
        cmocka_unit_test_setup_teardown(folders_that_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(files_are_private, begin, end),
    };

    return cmocka_run_group_tests_name("store/sqlite_repair", tests, NULL, NULL);
}
