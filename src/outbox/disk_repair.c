/* disk_repair.c -- what is done once with a file: one of an older form is brought to this one, and what was salvaged of a
 * damaged one is counted. Of both only a little is in memory at a time. */
#include "outbox/disk.h"

#include <stdio.h>

enum { UPGRADED = 4096 /* messages in one commit */ };

/* --- older forms ---------------------------------------------------------------------------------------------- */

static int add_old(struct pixi_outbox_disk *d, sqlite3_stmt *s)
{
    struct pixi_outbox_msg m = {.id = pixi_outbox_number(s, 0),
                                .seq = pixi_outbox_number(s, 1),
                                .flags = (unsigned)pixi_outbox_number(s, 2),
                                .accepted_ms = pixi_outbox_number(s, 3),
                                .expires_ms = pixi_outbox_number(s, 4),
                                .owner = pixi_outbox_number(s, 5),
                                .from = pixi_outbox_number(s, 6),
                                .topic = pixi_db_column(s, 7),
                                .headers = pixi_db_column(s, 8),
                                .payload = pixi_db_column(s, 9)};

    if (m.id / PIXI_OUTBOX_LANE >= PIXI_OUTBOX_PRIORITIES)
        return SQLITE_CORRUPT;
    return pixi_outbox_batch_add(d, &m);
}

/* Some rows. *last: the id of the last of them; 0: there was none. */
static int add_some(struct pixi_outbox_disk *d, sqlite3_stmt *s, uint64_t *last)
{
    int rc = SQLITE_OK;

    *last = 0;
    pixi_db_bind(s, "i", (int64_t)UPGRADED);
    while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        *last = pixi_outbox_number(s, 0);
        rc = add_old(d, s);
    }
    sqlite3_reset(s);
    if (rc == SQLITE_DONE)
        rc = pixi_outbox_batch_flush_all(d);
    return rc == SQLITE_OK ? pixi_outbox_part_write_all(d) : rc;
}

/* They lie in the one table, or in the other, whenever this is cut short. */
static int move_some(struct pixi_outbox_disk *d, sqlite3_stmt *s, uint64_t *last)
{
    char sql[96];
    int rc = pixi_db_exec(&d->db, "BEGIN IMMEDIATE");

    if (rc == SQLITE_OK)
        rc = add_some(d, s, last);
    snprintf(sql, sizeof sql, "DELETE FROM message WHERE id <= %lld", (long long)*last);
    if (rc == SQLITE_OK)
        rc = pixi_db_exec(&d->db, sql);
    if (rc == SQLITE_OK)
        rc = pixi_db_exec(&d->db, "COMMIT");
    return rc;
}

int pixi_outbox_disk_upgrade(struct pixi_outbox_disk *d)
{
    static const char sql[] = "SELECT id, seq, flags, accepted_ms, expires_ms, owner, sender, topic, headers,"
                              " payload FROM message WHERE id > 0 ORDER BY id LIMIT ?1";
    sqlite3_stmt *s = NULL;
    uint64_t last = 1;
    int64_t is_old;
    int rc = pixi_db_int(&d->db, "SELECT count(*) FROM sqlite_schema WHERE name = 'message'", &is_old);

    if (rc != SQLITE_OK || !is_old)
        return rc;
    rc = pixi_db_prepare(&d->db, sql, &s);
    while (rc == SQLITE_OK && last)
        rc = move_some(d, s, &last);
    sqlite3_finalize(s);
    return rc == SQLITE_OK ? pixi_db_exec(&d->db, "DROP TABLE message") : rc;
}

/* --- what was salvaged ---------------------------------------------------------------------------------------- */

/* Parts that are damaged, or of no batch, say nothing. Those that say that their batch was read to be sent show how far that
 * has come, where the one row is lost. */
static int check_parts(struct pixi_outbox_disk *d)
{
    sqlite3_stmt *s = NULL, *remove = d->statements[PIXI_OUTBOX_DELETE_PART];
    int rc = pixi_db_exec(&d->db, "DELETE FROM part WHERE id NOT IN (SELECT id FROM batch)");

    if (rc == SQLITE_OK)
        rc = pixi_db_prepare(&d->db, "SELECT id, body FROM part ORDER BY id", &s);
    while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        struct pixi_outbox_part part = {0};
        uint64_t id = pixi_outbox_number(s, 0), *last = &d->row.assigned[pixi_outbox_priority(id)];

        rc = SQLITE_OK;
        if (!pixi_outbox_part_decode(pixi_db_column(s, 1), id, &part)) {
            pixi_db_bind(remove, "i", (int64_t)id);
            rc = pixi_db_done(remove);
        } else if (part.first_seq && id > *last) {
            *last = id;
        }
    }
    sqlite3_finalize(s);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Of those that got seqs as they came the last that is what it says. */
static int find_last_with_seqs(struct pixi_outbox_disk *d, sqlite3_stmt *s, unsigned priority)
{
    uint64_t lane = pixi_outbox_lane(priority), *last = &d->row.assigned[priority];
    bool is_found = false;
    int rc;

    pixi_db_bind(s, "ii", (int64_t)(*last > lane ? *last : lane), (int64_t)(lane + PIXI_OUTBOX_LANE));
    while (!is_found && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        uint64_t id = pixi_outbox_number(s, 0);
        struct pixi_outbox_reader r;
        struct pixi_outbox_msg m;

        if (pixi_outbox_batch_open(d, id, &r) == SQLITE_OK)
            pixi_outbox_batch_read(&r, &m);
        pixi_outbox_batch_close(&r);
        is_found = r.place > 0;
        if (is_found)
            *last = id;
    }
    sqlite3_reset(s);
    return is_found || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int check_seqs(struct pixi_outbox_disk *d)
{
    sqlite3_stmt *s = NULL;
    int rc = pixi_db_prepare(
        &d->db, "SELECT id FROM batch WHERE has_seqs AND id > ?1 AND id < ?2 ORDER BY id DESC", &s);

    for (unsigned p = 0; p < PIXI_OUTBOX_PRIORITIES && rc == SQLITE_OK; p++)
        rc = find_last_with_seqs(d, s, p);
    sqlite3_finalize(s);
    return rc;
}

static void note_number(uint64_t *next, uint64_t number)
{
    if (number >= *next)
        *next = number + 1;
}

static int count_message(struct pixi_outbox_disk *d, const struct pixi_outbox_msg *m)
{
    note_number(&d->row.next_number, m->id % PIXI_OUTBOX_LANE);
    note_number(&d->row.next_seq, m->seq);
    d->row.unassigned += !m->seq;
    return pixi_outbox_disk_count(d, m->owner, 1, (int64_t)pixi_outbox_cost(m));
}

/* The first so many messages of a batch stay, which take so many bytes of it. */
static int cut(struct pixi_outbox_disk *d, uint64_t id, unsigned count, size_t len)
{
    struct pixi_outbox_part *part = NULL;
    char sql[160];
    int rc;

    snprintf(sql, sizeof sql, "UPDATE batch SET count = %u, body = substr(body, 1, %zu) WHERE id = %lld",
             count, len, (long long)id);
    rc = pixi_db_exec(&d->db, sql);
    if (rc == SQLITE_OK)
        rc = pixi_outbox_part_get(d, id, &part);
    if (rc != SQLITE_OK || !part)
        return rc;
    part->count = count;
    part->gone_count = 0;
    for (unsigned i = 0; i < count; i++)
        part->gone_count += pixi_outbox_has_bit(part->gone, i);
    pixi_outbox_part_change(d, part);
    return SQLITE_OK;
}

/* One that was sent, and perhaps answered: what would say so is lost. Without seqs it lies before others that were read to be
 * sent, and then its part would say so, too; with them its part may be lost, or nothing has become of it yet. */
static bool is_doubtful(const struct pixi_outbox_disk *d, const struct pixi_outbox_reader *r,
                        const struct pixi_outbox_msg *m)
{
    uint64_t stored_seq = d->row.stored_seq;

    if (r->part.has_row && r->part.first_seq)
        return false;
    if (!r->has_seqs)
        return m->batch <= d->row.assigned[pixi_outbox_priority(m->batch)];
    return !r->part.has_row && (m->seq <= stored_seq || !stored_seq);
}

static int doubt(struct pixi_outbox_disk *d, const struct pixi_outbox_msg *m)
{
    int rc = pixi_outbox_disk_count(d, m->owner, 1, (int64_t)pixi_outbox_cost(m));

    note_number(&d->row.next_number, m->id % PIXI_OUTBOX_LANE);
    return rc == SQLITE_OK ? pixi_outbox_disk_reject(d, m, PIXI_E_IN_DOUBT, "") : rc;
}

/* What waits to be read may have lost its part, in which it stood when it expires. */
static int expect_expiry(struct pixi_outbox_disk *d, uint64_t id, uint64_t expires_ms)
{
    struct pixi_outbox_part *part = NULL;
    int rc = pixi_outbox_part_get(d, id, &part);

    if (rc == SQLITE_OK && part && part->expires_ms != expires_ms) {
        part->expires_ms = expires_ms;
        pixi_outbox_part_change(d, part);
    }
    return rc;
}

/* *expires_ms: when the first of those that wait to be read does; 0: none does. */
static int recount_messages(struct pixi_outbox_disk *d, struct pixi_outbox_reader *r, uint64_t *expires_ms)
{
    struct pixi_outbox_msg m;
    int rc = SQLITE_OK;

    *expires_ms = 0;
    while (rc == SQLITE_OK && pixi_outbox_batch_read(r, &m) == SQLITE_ROW) {
        if (is_doubtful(d, r, &m)) {
            rc = doubt(d, &m);
            continue;
        }
        rc = count_message(d, &m);
        if (!m.seq && m.expires_ms && (!*expires_ms || m.expires_ms < *expires_ms))
            *expires_ms = m.expires_ms;
    }
    return rc;
}

/* What is not as it was written leaves. */
static int check_body(struct pixi_outbox_disk *d, uint64_t id)
{
    struct pixi_outbox_reader r;
    struct pixi_outbox_msg m;
    int rc = pixi_outbox_batch_open(d, id, &r);
    unsigned count = r.part.count;
    const uint8_t *begin = r.rest.p;
    bool is_whole;
    size_t len;

    r.part.count = PIXI_OUTBOX_BATCH; /* what it says may be what is damaged */
    while (rc == SQLITE_OK && pixi_outbox_batch_read(&r, &m) == SQLITE_ROW)
        ;
    is_whole = r.rest.p == r.rest.end && r.place == count;
    len = (size_t)(r.rest.p - begin);
    pixi_outbox_batch_close(&r);
    return rc == SQLITE_OK && !is_whole ? cut(d, id, r.place, len) : rc;
}

static int recount_batch(struct pixi_outbox_disk *d, uint64_t id)
{
    struct pixi_outbox_reader r;
    struct pixi_outbox_part *part = NULL;
    uint64_t expires_ms = 0;
    int rc = check_body(d, id);

    if (rc == SQLITE_OK)
        rc = pixi_outbox_part_get(d, id, &part);
    if (rc != SQLITE_OK || !part || part->gone_count == part->count)
        return rc;
    rc = pixi_outbox_batch_open(d, id, &r);
    if (rc == SQLITE_OK)
        rc = recount_messages(d, &r, &expires_ms);
    pixi_outbox_batch_close(&r);
    if (rc == SQLITE_OK && !r.has_seqs && !r.part.first_seq)
        rc = expect_expiry(d, id, expires_ms);
    return rc;
}

static int recount_lane(struct pixi_outbox_disk *d, unsigned priority)
{
    uint64_t id = pixi_outbox_lane(priority);
    int rc;

    do {
        rc = pixi_outbox_batch_next(d, priority, id, &id);
        if (rc == SQLITE_OK && id)
            rc = recount_batch(d, id);
    } while (rc == SQLITE_OK && id);
    return rc;
}

/* What can have been there in no whole file. */
static int clean(struct pixi_outbox_disk *d)
{
    char sql[192];

    snprintf(sql, sizeof sql,
             "DELETE FROM batch WHERE id <= 0 OR id >= %llu OR typeof(body) <> 'blob' OR length(body) = 0;"
             "UPDATE batch SET count = %d WHERE count NOT BETWEEN 1 AND %d;DELETE FROM owner",
             PIXI_OUTBOX_PRIORITIES * (unsigned long long)PIXI_OUTBOX_LANE, PIXI_OUTBOX_BATCH,
             PIXI_OUTBOX_BATCH);
    return pixi_db_exec(&d->db, sql);
}

int pixi_outbox_disk_recount(struct pixi_outbox_disk *d)
{
    int rc = pixi_db_exec(&d->db, "BEGIN IMMEDIATE");

    d->row.count = d->row.bytes = d->row.unassigned = 0;
    if (rc == SQLITE_OK)
        rc = clean(d);
    if (rc == SQLITE_OK)
        rc = check_parts(d);
    if (rc == SQLITE_OK)
        rc = check_seqs(d);
    for (unsigned p = 0; p < PIXI_OUTBOX_PRIORITIES && rc == SQLITE_OK; p++)
        rc = recount_lane(d, p);
    if (rc == SQLITE_OK)
        rc = pixi_outbox_disk_finish(d);
    return rc == SQLITE_OK ? pixi_db_exec(&d->db, "COMMIT") : rc;
}
