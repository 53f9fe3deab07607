/* The disk against a list in memory: whatever is put, read, removed, dropped and expired, in whatever groups, of which some
 * fail, and over starts and power cuts, it has what the list has. */
#include "outbox/list_test.h"

#include <time.h>

enum { RUNS = 12, STEPS = 60 };

static void check_shares(void)
{
    struct pixi_outbox_owner found[OWNERS];
    size_t count = pixi_outbox_disk_owners(d, found, OWNERS);
    int64_t messages = 0, cost = 0;

    for (size_t i = 0; i < count; i++) {
        messages += found[i].count;
        cost += found[i].bytes;
        for (size_t k = 0; k < is.count; k++) {
            found[i].count -= is.at[k].left.owner == found[i].uid;
            found[i].bytes -= is.at[k].left.owner == found[i].uid ? (int64_t)is.at[k].left.cost : 0;
        }
        EXPECT(!found[i].count && !found[i].bytes);
    }
    EXPECT((uint64_t)messages == is.count && (uint64_t)cost == cost_of_all());
}

static void check_inherited(void)
{
    uint64_t last = 0;
    size_t count = 0;

    for (const struct pixi_outbox_msg *m = d->inherited; m; m = m->next, count++) {
        EXPECT(m->seq > last);
        last = m->seq;
        same(m, find(m->id));
    }
    EXPECT(count == is.count - unassigned());
}

static void open_up(void)
{
    start(false);
    check_row();
    check_shares();
    check_inherited();
}

static void reopen(void)
{
    fault.is_dead = below(2);
    pixi_outbox_disk_close(d);
    if (fault.is_dead) {
        fault.is_dead = false;
        fault_power_cut(below(1000));
    }
    open_up();
}

/* Everything is read and removed; nothing is left of it. */
static void drain(void)
{
    int64_t rows = -1;

    while (is.count) {
        EXPECT(pixi_db_exec(&d->db, "BEGIN IMMEDIATE") == SQLITE_OK);
        EXPECT(load() == SQLITE_OK && take_away() == SQLITE_OK);
        EXPECT(pixi_outbox_disk_finish(d) == SQLITE_OK && pixi_db_exec(&d->db, "COMMIT") == SQLITE_OK);
        pixi_outbox_disk_ended(d, SQLITE_OK);
    }
    check_row();
    EXPECT(pixi_db_int(&d->db, "SELECT (SELECT count(*) FROM batch) + (SELECT count(*) FROM part)", &rows) ==
           SQLITE_OK);
    EXPECT(rows == 0);
}

/* A group on a disk that fails, is full, or works. */
static void step(void)
{
    unsigned kind = below(12);
    int rc;

    now_ms += below(3000);
    pixi_outbox_disk_stamp(d, now_ms, now_ms);
    fault.fail_write = kind < 3 ? fault.writes + 1 + below(30) : 0;
    fault.fail_sync = kind == 3 ? fault.syncs + 1 : 0;
    fault.is_full = kind == 4;
    fault.is_torn = below(2);
    rc = group(1 + below(40));
    fault.fail_write = fault.fail_sync = 0;
    fault.is_full = false;
    if (rc != SQLITE_OK)
        EXPECT(group(0) == SQLITE_OK); /* over what it left in the log */
}

static void it_has_what_the_list_has(void **state)
{
    const char *given = getenv("PIXI_SEED");
    uint64_t first = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);

    (void)state;
    for (uint64_t n = 0; n < RUNS; n++) {
        begin(first + n);
        for (int i = 0; i < STEPS; i++) {
            step();
            if (!below(10))
                reopen();
        }
        drain();
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_has_what_the_list_has),
    };

    return cmocka_run_group_tests_name("outbox/disk", tests, NULL, NULL);
}
