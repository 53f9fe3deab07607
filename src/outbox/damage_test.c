/* A file that is damaged in its rows: what is not as it was put is not given out, and what is salvaged is true. */
#include "outbox/list_test.h"

enum { BITS = 40, HURTS = 60 };

static void flip_some_bit(void)
{
    sqlite3_blob *blob = NULL;
    int64_t batches = 0, batch = 0;
    char sql[64];
    uint8_t byte;
    int at;

    EXPECT(pixi_db_int(&d->db, "SELECT count(*) FROM batch", &batches) == SQLITE_OK);
    snprintf(sql, sizeof sql, "SELECT id FROM batch LIMIT 1 OFFSET %u", below((unsigned)batches));
    EXPECT(pixi_db_int(&d->db, sql, &batch) == SQLITE_OK);
    EXPECT(sqlite3_blob_open(d->db.handle, "main", "batch", "body", batch, 1, &blob) == SQLITE_OK);
    at = (int)below((unsigned)sqlite3_blob_bytes(blob));
    EXPECT(sqlite3_blob_read(blob, &byte, 1, at) == SQLITE_OK);
    byte ^= (uint8_t)(1 << below(8));
    EXPECT(sqlite3_blob_write(blob, &byte, 1, at) == SQLITE_OK);
    sqlite3_blob_close(blob);
}

/* Each is as it was put, once, and no other seq takes the place of the one that it had. What was dropped, expired or
 * refused may be there again, as where that stood is lost; what was stored may not. */
static size_t check_all(const struct pixi_outbox_msg *list)
{
    size_t count = 0;

    for (const struct pixi_outbox_msg *m = list; m; m = m->next, count++) {
        struct known *k = find(m->id);

        if (!k && may_return[m->id % PIXI_OUTBOX_LANE])
            continue;
        EXPECT(k && (!k->seq || k->seq == m->seq));
        k->seq = m->seq;
        same(m, k);
    }
    return count;
}

static int load_all(size_t *count)
{
    struct pixi_outbox_msg *list = NULL, *next;
    uint64_t lost;
    int rc = pixi_db_exec(&d->db, "BEGIN IMMEDIATE");

    if (rc == SQLITE_OK)
        rc = pixi_outbox_disk_load(d, WAITING_MAX, UINT64_MAX, 0, &list, &lost);
    *count += check_all(list);
    for (; list; list = next) {
        next = list->next;
        free(list);
    }
    pixi_db_exec(&d->db, "ROLLBACK");
    pixi_outbox_disk_ended(d, SQLITE_ABORT);
    is = was;
    return rc;
}

/* While it runs, nothing of a batch that is not as it was is taken for good; at the next start what lay before the damage is
 * there, and counted. */
static void another_bit(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= BITS; n++) {
        size_t count = 0;

        begin(n);
        d->when_full = PIXI_OUTBOX_REFUSE;
        d->limit_bytes = UINT64_MAX;
        is_linked = n % 2;
        for (int i = 0; i < 10; i++) {
            EXPECT(pixi_db_exec(&d->db, "BEGIN IMMEDIATE") == SQLITE_OK);
            for (int k = 0; k < 40; k++)
                EXPECT(put() == SQLITE_OK);
            EXPECT(pixi_outbox_disk_finish(d) == SQLITE_OK && pixi_db_exec(&d->db, "COMMIT") == SQLITE_OK);
            pixi_outbox_disk_ended(d, SQLITE_OK);
            was = is;
        }
        flip_some_bit();
        EXPECT(is_linked || load_all(&count) == SQLITE_CORRUPT);
        pixi_outbox_disk_close(d);
        start(true);
        count = check_all(d->inherited);
        EXPECT(load_all(&count) == SQLITE_OK);
        EXPECT(count == d->row.count && count < is.count && count >= is.count - PIXI_OUTBOX_BATCH);
        end();
    }
    is_linked = true;
}

static void chance(sqlite3_context *ctx, int count, sqlite3_value **values)
{
    (void)count;
    (void)values;
    sqlite3_result_int(ctx, (int)below(1 << 30));
}

/* Rows are lost, or say something else. */
static void hurt(void)
{
    static const char *const how[] = {
        "DELETE FROM part WHERE id IN (SELECT id FROM part ORDER BY chance() LIMIT 3)",
        "UPDATE part SET body = substr(body, 2) WHERE id IN (SELECT id FROM part ORDER BY chance() LIMIT 3)",
        "UPDATE part SET body = (SELECT body FROM part ORDER BY chance() LIMIT 1)",
        "DELETE FROM batch WHERE id IN (SELECT id FROM batch ORDER BY chance() LIMIT 2)",
        "UPDATE batch SET has_seqs = NOT has_seqs WHERE id IN (SELECT id FROM batch ORDER BY chance() LIMIT "
        "1)",
        "UPDATE batch SET count = abs(chance() % 300) WHERE id IN (SELECT id FROM batch ORDER BY chance() "
        "LIMIT 3)",
        "UPDATE batch SET body = substr(body, 1, abs(chance() % length(body))) WHERE id IN"
        " (SELECT id FROM batch ORDER BY chance() LIMIT 3)",
        "UPDATE batch SET id = -id WHERE id IN (SELECT id FROM batch ORDER BY chance() LIMIT 1)",
        "UPDATE batch SET id = id + 1 WHERE id IN (SELECT max(id) FROM batch)",
        "UPDATE state SET assigned = substr(assigned, 1, 30) || x'ff' || substr(assigned, 32)",
        "DELETE FROM state",
    };

    EXPECT(pixi_db_exec(&d->db, how[below(sizeof how / sizeof *how)]) == SQLITE_OK);
}

static void prepare(uint64_t with)
{
    begin(with);
    d->limit_bytes = 1 << 30;
    for (int i = 0; i < 12; i++)
        EXPECT(group(1 + below(40)) == SQLITE_OK);
    sqlite3_create_function(d->db.handle, "chance", 0, SQLITE_UTF8, NULL, chance, NULL, NULL);
}

/* Of one thing that is damaged: what is there is as it was put, once, and with the seq that it had if it had one. */
static void what_is_salvaged_is_true(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= HURTS; n++) {
        size_t count;

        prepare(n);
        hurt();
        pixi_outbox_disk_close(d);
        start(true);
        count = check_all(d->inherited);
        EXPECT(load_all(&count) == SQLITE_OK && count == d->row.count);
        end();
    }
}

/* Of many: what is there can be read and sent, and the start after it finds nothing amiss. */
static void what_is_salvaged_is_whole(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= HURTS; n++) {
        struct pixi_outbox_msg *list, *next;
        uint64_t lost, count;

        prepare(n);
        for (unsigned i = 2 + below(4); i; i--)
            hurt();
        pixi_outbox_disk_close(d);
        start(true);
        count = d->row.count;
        pixi_outbox_disk_close(d);
        start(false);
        EXPECT(d->db.origin == PIXI_DB_FOUND && d->row.count == count);
        for (const struct pixi_outbox_msg *m = d->inherited; m; m = m->next)
            count--;
        EXPECT(pixi_db_exec(&d->db, "BEGIN IMMEDIATE") == SQLITE_OK);
        EXPECT(pixi_outbox_disk_load(d, WAITING_MAX, UINT64_MAX, 0, &list, &lost) == SQLITE_OK);
        for (; list; list = next, count--) {
            next = list->next;
            free(list);
        }
        EXPECT(count == 0 && d->row.unassigned == 0);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_bit),
        cmocka_unit_test(what_is_salvaged_is_true),
        cmocka_unit_test(what_is_salvaged_is_whole),
    };

    return cmocka_run_group_tests_name("outbox/damage", tests, NULL, NULL);
}
