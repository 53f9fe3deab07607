/* Messages packed many to a row: what goes with them, what stays of them, and what is made of a damaged row. */
#include "invariants.h"
#include "store/disk_test.h"

#include <fcntl.h>
#include <sys/stat.h>

static unsigned wanted_number; /* the message that a session waits for */
static unsigned wanted_each;   /* and each with a number that this divides; 0: none */

static bool is_wanted(void *ctx, const struct pixi_msg *msg)
{
    (void)ctx;
    return msg->pos.offset == wanted_number || (wanted_each && msg->pos.offset % wanted_each == 0);
}

static void send_groups(unsigned groups, unsigned each)
{
    while (groups--) {
        for (unsigned n = each; n; n--)
            send_new("t/1", 0);
        settle();
    }
}

static void trim(void)
{
    store->is_wanted = is_wanted;
    store->call->trim(store, 1000);
    settle();
}

static void restart(void)
{
    stop();
    reopen();
}

static const char *for_sessions(void)
{
    const char *found;

    read_flags = PIXI_STORE_SKIP_GAPS | PIXI_STORE_FOR_SESSIONS;
    found = read_all("#", store->call->read);
    read_flags = PIXI_STORE_SKIP_GAPS;
    assert_int_equal(read_err, PIXI_OK);
    return found;
}

/* --- room ---------------------------------------------------------------------------------------------------- */

/* One commit writes one row, or as many as it takes; a message that is larger than a row has its own. */
static void a_row_for_a_group(void **state)
{
    (void)state;
    send_groups(3, 10);
    assert_int_equal(backend_ask_file("SELECT count(*) FROM segment"), 3);
    payload_len = 4000;
    send_groups(1, 20); /* 80,000 bytes in rows of 32,768 */
    assert_int_equal(backend_ask_file("SELECT count(*) FROM segment"), 6);
    assert_true(backend_ask_file("SELECT max(length(body)) FROM segment") <= 32768);
    assert_int_equal(backend_ask_file("SELECT count(*) FROM pinned"), 0);
    nothing_lost();
}

/* What a group both brings and drops is not written. */
static void no_row_for_what_went(void **state)
{
    (void)state;
    policies[0].max_messages = 3;
    restart();
    send_groups(1, 100);
    assert_string_equal(history("#"), "t/1@98 t/1@99 t/1@100 ");
    assert_true(backend_ask_file("SELECT sum(length(body)) FROM segment") < 200);
    payload_len = 4000;
    send_groups(3, 30); /* more than one row a group */
    assert_string_equal(history("#"), "t/1@188 t/1@189 t/1@190 ");
    assert_int_equal(backend_ask_file("SELECT count(*) FROM segment"), 1);
    assert_int_equal(pixi_sqlite_store_stats(disk).messages, 3);
}

static void others_are_gone(void)
{
    assert_string_equal(for_sessions(), "t/1@77 ");
    assert_int_equal(backend_ask_file("SELECT count(*) FROM pinned"), 1);
    assert_in_range(backend_ask_file("SELECT length(body) FROM segment WHERE id = (SELECT id FROM pinned)"),
                    300, 400);
    assert_int_equal(backend_ask_file("SELECT count(*) FROM segment WHERE id > 77"
                                      " AND last <= (SELECT dropped FROM history WHERE id = 0)"),
                     0);
    restart();
    store->is_wanted = is_wanted;
    assert_string_equal(for_sessions(), "t/1@77 ");
    wanted_number = 0;
    trim();
    assert_int_equal(backend_ask_file("SELECT count(*) FROM segment WHERE last <= 77"), 0);
    assert_int_equal(backend_ask_file("SELECT count(*) FROM pinned"), 0);
    assert_int_equal(pixi_sqlite_store_stats(disk).wanted, 0);
    assert_int_equal(pixi_sqlite_store_stats(disk).wanted_bytes, 0);
}

/* A session that waits for one message does not keep those that came with it: whether the history has dropped them before
 * it lost interest in these, or after. */
static void a_straggler_keeps_itself(void **state)
{
    (void)state;
    payload_len = 300;
    send_flags |= PIXI_STORE_WANTED;
    policies[0].max_messages = 5;
    restart();
    send_groups(20, 100);
    wanted_number = 77;
    trim();
    others_are_gone();
    end(NULL);

    begin(NULL);
    payload_len = 300;
    send_flags |= PIXI_STORE_WANTED;
    send_groups(20, 100);
    wanted_number = 77;
    trim();
    assert_string_equal(for_sessions(), "t/1@77 ");
    assert_int_equal(pixi_sqlite_store_stats(disk).messages, 2000);
    policies[0].max_messages = 5;
    restart();
    trim();
    others_are_gone();
}

/* What is kept is at most four times what is wanted, however it is spread. */
static void waste_has_a_bound(void **state)
{
    (void)state;
    payload_len = 300;
    send_flags |= PIXI_STORE_WANTED;
    policies[0].max_messages = 1;
    wanted_number = 0;
    restart();
    send_groups(30, 100);
    for (wanted_each = 2; wanted_each < 200; wanted_each *= 2) {
        int64_t room, need;

        trim();
        need = (int64_t)pixi_sqlite_store_stats(disk).wanted_bytes;
        room = backend_ask_file("SELECT sum(max(0, length(body) - 512)) FROM segment");
        assert_int_equal(pixi_sqlite_store_stats(disk).wanted, 3000 / wanted_each);
        if (room > 4 * (need + need / 4))
            fail_msg("%d bytes for the %d of each %u", (int)room, (int)need, wanted_each);
    }
}

/* More than one look goes through, and nothing is left out between two. */
static void a_long_sweep(void **state)
{
    (void)state;
    wanted_number = 0;
    wanted_each = 3;
    store->is_wanted = is_wanted;
    send_flags |= PIXI_STORE_WANTED;
    send_groups(11, 499);
    trim();
    assert_int_equal(pixi_sqlite_store_stats(disk).wanted, 11 * 499 / 3);
    for_sessions();
    assert_int_equal(read_count, 11 * 499 / 3);
    wanted_each = 0;
    trim();
    assert_int_equal(pixi_sqlite_store_stats(disk).wanted, 0);
    assert_int_equal(pixi_sqlite_store_stats(disk).messages, 11 * 499);
}

/* --- damage -------------------------------------------------------------------------------------------------- */

/* Bytes of a row changed: those before are given, nothing that is not what was sent; and what is missing is told. */
static void a_damaged_row(void **state)
{
    (void)state;
    send_groups(3, 10);
    backend_change_file(
        "UPDATE segment SET body = CAST(substr(body, 1, length(body) / 2) || x'00' || substr(body, 2 +"
        " length(body) / 2) AS BLOB) WHERE id = 11");
    history("#");
    assert_int_equal(read_err, PIXI_E_STORAGE);
    assert_true(pixi_sqlite_store_stats(disk).is_damaged);
    restart();
    assert_int_equal(pixi_sqlite_store_found(disk).how, PIXI_SQLITE_STORE_REPAIRED);
    history("#");
    assert_in_range(read_count, 23, 26);
    assert_true(sent[9].copies == 1 && sent[10].copies == 1 && sent[19].copies == 0 && sent[20].copies == 1);
    assert_int_equal(pixi_sqlite_store_stats(disk).messages, read_count);
    assert_int_equal(store->call->kept(store, pixi_cur_str("#"), 30), PIXI_STORE_GONE);
    assert_int_equal(send_one("t/1", 0), PIXI_OK);
    assert_int_equal(sent[30].offset, 31);
}

/* Without the row that says what is wanted of a segment, all that was counts until the sessions are asked. */
static void a_lost_pin(void **state)
{
    (void)state;
    wanted_number = wanted_each = 0;
    send_flags |= PIXI_STORE_WANTED;
    send_groups(3, 10);
    backend_change_file("UPDATE pinned SET offsets = zeroblob(20) WHERE id = 11");
    read_flags |= PIXI_STORE_FOR_SESSIONS;
    read_all("#", store->call->read);
    assert_int_equal(read_err, PIXI_E_STORAGE);
    restart();
    for_sessions();
    assert_int_equal(read_count, 30);
    assert_int_equal(pixi_sqlite_store_stats(disk).wanted, 30);
    trim();
    assert_int_equal(pixi_sqlite_store_stats(disk).wanted, 0);
}

static void flip_a_bit(void)
{
    char path[128];
    struct stat st;
    uint8_t byte;
    off_t at;
    int fd;

    snprintf(path, sizeof path, "%s/hub.db", backend_open.folder);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    at = (off_t)random_below((unsigned)st.st_size);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= (uint8_t)(1u << random_below(8));
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static bool read_everything(void)
{
    bool is_well;

    history("#");
    is_well = read_err == PIXI_OK;
    read_flags = PIXI_STORE_SKIP_GAPS | PIXI_STORE_FOR_SESSIONS;
    read_all("#", store->call->read);
    is_well = is_well && read_err == PIXI_OK;
    read_flags = PIXI_STORE_SKIP_GAPS;
    read_all("#", store->call->last);
    return is_well && read_err == PIXI_OK;
}

/* Nothing is given that was not sent, at its position, whatever bit of the file is another. */
static void any_bit(void **state)
{
    unsigned repairs = 0;

    (void)state;
    for (unsigned round = 0; round < 400; round++) {
        seed = round * 7919;
        payload_len = 300;
        send_flags |= PIXI_STORE_WANTED;
        for (int i = 0; i < 60; i++) {
            send_any();
            if (i % 10 == 9)
                settle();
        }
        stop();
        flip_a_bit();
        reopen();
        if (!read_everything()) {
            restart();
            assert_int_equal(pixi_sqlite_store_found(disk).how, PIXI_SQLITE_STORE_REPAIRED);
            assert_true(read_everything());
            repairs++;
        }
        end(NULL);
        begin(NULL);
    }
    assert_true(repairs > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_row_for_a_group, begin, end),
        cmocka_unit_test_setup_teardown(no_row_for_what_went, begin, end),
        cmocka_unit_test_setup_teardown(a_straggler_keeps_itself, begin, end),
        cmocka_unit_test_setup_teardown(waste_has_a_bound, begin, end),
        cmocka_unit_test_setup_teardown(a_long_sweep, begin, end),
        cmocka_unit_test_setup_teardown(a_damaged_row, begin, end),
        cmocka_unit_test_setup_teardown(a_lost_pin, begin, end),
        cmocka_unit_test_setup_teardown(any_bit, begin, end),
    };

    return cmocka_run_group_tests_name("store/sqlite_segment", tests, NULL, NULL);
}
