/* disk_open.c -- the file of the outbox: its form, and what is read of it before the first group. */
#include "outbox/disk.h"

#include "sqlite/pack.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { APPLICATION_ID = 0x5078576f, VERSION = 3, BODY_MAX = 1000000000 /* what SQLite takes in a row */ };

#define GIVEN_MS (UINT64_C(7) * 24 * 3600 * 1000) /* after so long a program's key is forgotten */

/* The messages, from version 3 on: see batch.h. */
#define BATCH_SQL                                                                                            \
    "CREATE TABLE batch (id INTEGER PRIMARY KEY, has_seqs INTEGER NOT NULL, count INTEGER NOT NULL, body "   \
    "BLOB NOT NULL);"                                                                                        \
    "CREATE TABLE part (id INTEGER PRIMARY KEY, expires_ms INTEGER, body BLOB NOT NULL);"                    \
    "CREATE INDEX part_expires ON part(expires_ms) WHERE expires_ms IS NOT NULL;"

/* state has one row, of id 1. */
static const char schema_sql[] =
    "CREATE TABLE state (id INTEGER PRIMARY KEY, producer BLOB NOT NULL, epoch INTEGER NOT NULL,"
    " next_number INTEGER NOT NULL, next_seq INTEGER NOT NULL, count INTEGER NOT NULL, bytes INTEGER NOT "
    "NULL,"
    " unassigned INTEGER NOT NULL, now_ms INTEGER NOT NULL, wall_ms INTEGER NOT NULL, stored_seq INTEGER NOT "
    "NULL, assigned BLOB);" BATCH_SQL
    "CREATE TABLE owner (uid INTEGER PRIMARY KEY, count INTEGER NOT NULL, bytes INTEGER NOT NULL);"
    "CREATE TABLE given (producer BLOB NOT NULL, seq INTEGER NOT NULL, id INTEGER NOT NULL, given_ms INTEGER "
    "NOT NULL,"
    " PRIMARY KEY (producer, seq)) WITHOUT ROWID;"
    "CREATE TABLE rejected (number INTEGER PRIMARY KEY, id INTEGER NOT NULL, err INTEGER NOT NULL, detail "
    "BLOB NOT NULL,"
    " rejected_ms INTEGER NOT NULL, flags INTEGER NOT NULL, owner INTEGER NOT NULL, topic BLOB NOT NULL,"
    " headers BLOB NOT NULL, payload BLOB NOT NULL);";

static const struct pixi_db_table tables[] = {
    {"state", "id", PIXI_DB_BY_NUMBER}, {"batch", "id", PIXI_DB_PACKED},
    {"part", "id", PIXI_DB_BY_NUMBER},  {"rejected", "number", PIXI_DB_BY_NUMBER},
    {NULL, NULL, PIXI_DB_BY_NUMBER},
};

/* A message a row, before version 3. */
static const char old_sql[] =
    "CREATE TABLE message (id INTEGER PRIMARY KEY, seq INTEGER, flags INTEGER NOT NULL, accepted_ms INTEGER "
    "NOT NULL, expires_ms INTEGER, owner INTEGER NOT NULL, sender INTEGER NOT NULL, topic BLOB NOT NULL,"
    " headers BLOB NOT NULL, payload BLOB NOT NULL)";

static const struct pixi_db_table old_tables[] = {
    {"message", "id", PIXI_DB_BY_NUMBER},
    {NULL, NULL, PIXI_DB_BY_NUMBER},
};

static const char *const upgrades[VERSION - 1] = {
    "ALTER TABLE state ADD COLUMN stored_seq INTEGER NOT NULL DEFAULT 0",
    /* What is in the table message follows: disk_repair.c. */
    "ALTER TABLE state ADD COLUMN assigned BLOB; DROP INDEX message_expires;" BATCH_SQL,
};

static const struct pixi_db_schema schema = {.application_id = APPLICATION_ID,
                                             .version = VERSION,
                                             .sql = schema_sql,
                                             .tables = tables,
                                             .upgrades = upgrades,
                                             .old_sql = old_sql,
                                             .old_tables = old_tables};

static const char *const statement_sql[PIXI_OUTBOX_STATEMENTS] = {
    [PIXI_OUTBOX_INSERT] = "INSERT INTO batch VALUES (?1, ?2, ?3, ?4)",
    [PIXI_OUTBOX_DELETE] = "DELETE FROM batch WHERE id = ?1",
    [PIXI_OUTBOX_NEXT] = "SELECT id FROM batch WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT 1",
    [PIXI_OUTBOX_BODY] = "SELECT has_seqs, body FROM batch WHERE id = ?1",
    [PIXI_OUTBOX_PART] = "SELECT batch.count, part.body FROM batch LEFT JOIN part ON part.id = batch.id"
                         " WHERE batch.id = ?1",
    [PIXI_OUTBOX_PUT_PART] = "INSERT OR REPLACE INTO part VALUES (?1, nullif(?2, 0), ?3)",
    [PIXI_OUTBOX_DELETE_PART] = "DELETE FROM part WHERE id = ?1",
    [PIXI_OUTBOX_EXPIRED] = "SELECT id FROM part WHERE expires_ms <= ?1 ORDER BY expires_ms LIMIT 1",
    [PIXI_OUTBOX_SAVE] =
        "INSERT OR REPLACE INTO state VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [PIXI_OUTBOX_SHARE] = "INSERT INTO owner VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET count = count + "
                          "?2, bytes = bytes + ?3",
    [PIXI_OUTBOX_REJECT] =
        "INSERT INTO rejected (id, err, detail, rejected_ms, flags, owner, topic, headers, payload)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [PIXI_OUTBOX_TRIM] = "DELETE FROM rejected WHERE number <= ?1",
    [PIXI_OUTBOX_KNOWN] = "SELECT id FROM given WHERE producer = ?1 AND seq = ?2",
    [PIXI_OUTBOX_KNOW] = "INSERT INTO given VALUES (?1, ?2, ?3, ?4)",
    [PIXI_OUTBOX_FORGET] = "DELETE FROM given WHERE producer = ?1 AND seq < ?2",
};

static int prepare(struct pixi_outbox_disk *d)
{
    int rc = SQLITE_OK;

    for (int i = 0; i < PIXI_OUTBOX_STATEMENTS && rc == SQLITE_OK; i++)
        rc = pixi_db_prepare(&d->db, statement_sql[i], &d->statements[i]);
    return rc;
}

/* None before version 3; then they are known when what lies there is read. */
static bool read_assigned(struct pixi_outbox_row *r, struct pixi_cur bytes)
{
    struct pixi_packed p;

    if (bytes.p == bytes.end)
        return true;
    if (!pixi_pack_next(&bytes, &p) || pixi_cur_left(&p.part[0]) != sizeof r->assigned)
        return false;
    memcpy(r->assigned, p.part[0].p, sizeof r->assigned);
    for (size_t i = 0; i < PIXI_OUTBOX_PRIORITIES; i++)
        r->assigned[i] = le64toh(r->assigned[i]);
    return true;
}

/* SQLITE_DONE: there is none. */
static int read_row(struct pixi_outbox_disk *d)
{
    struct pixi_outbox_row *r = &d->row;
    uint64_t *const numbers[] = {&r->epoch,      &r->next_number, &r->next_seq, &r->count,     &r->bytes,
                                 &r->unassigned, &r->now_ms,      &r->wall_ms,  &r->stored_seq};
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(d->db.handle, "SELECT * FROM state WHERE id = 1", -1, &s, NULL);

    if (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        struct pixi_cur producer = pixi_db_column(s, 1);

        rc = pixi_cur_left(&producer) == PIXI_OUTBOX_PRODUCER ? SQLITE_OK : SQLITE_DONE;
        if (rc == SQLITE_OK)
            memcpy(r->producer, producer.p, PIXI_OUTBOX_PRODUCER);
        for (int i = 0; i < 9; i++)
            *numbers[i] = pixi_outbox_number(s, i + 2);
        /* Of a salvaged file it is found out otherwise. */
        if (!read_assigned(r, pixi_db_column(s, 11)) && d->db.origin != PIXI_DB_SALVAGED)
            rc = SQLITE_CORRUPT;
    }
    sqlite3_finalize(s);
    return rc;
}

static int make_row(struct pixi_outbox_disk *d, uint64_t wall_ms)
{
    d->row = (struct pixi_outbox_row){.next_number = 1, .next_seq = 1, .now_ms = wall_ms, .wall_ms = wall_ms};
    d->is_new_producer = true;
    if (getrandom(d->row.producer, PIXI_OUTBOX_PRODUCER, 0) != PIXI_OUTBOX_PRODUCER)
        return SQLITE_IOERR;
    d->row.producer[6] = (uint8_t)((d->row.producer[6] & 0x0f) | 0x40); /* RFC 9562 §5.4: version 4 */
    d->row.producer[8] = (uint8_t)((d->row.producer[8] & 0x3f) | 0x80);
    return SQLITE_OK;
}

/* Keys of programs that came no more. */
static int forget_old(struct pixi_outbox_disk *d)
{
    char sql[96];

    snprintf(sql, sizeof sql, "DELETE FROM given WHERE given_ms < %lld",
             (long long)(d->row.now_ms - GIVEN_MS));
    return pixi_db_exec(&d->db, sql);
}

static int read_all(struct pixi_outbox_disk *d, uint64_t wall_ms)
{
    int rc = prepare(d);

    d->row = (struct pixi_outbox_row){0};
    if (rc == SQLITE_OK)
        rc = read_row(d);
    if (rc == SQLITE_DONE)
        rc = make_row(d, wall_ms);
    if (rc == SQLITE_OK)
        rc = pixi_outbox_disk_upgrade(d);
    if (rc == SQLITE_OK && d->db.origin == PIXI_DB_SALVAGED)
        rc = pixi_outbox_disk_recount(d);
    if (rc == SQLITE_OK)
        rc = pixi_outbox_disk_inherit(d);
    /* Time went on while nobody ran; a wall clock that was set back meanwhile takes nothing away. */
    if (wall_ms > d->row.wall_ms)
        d->row.now_ms += wall_ms - d->row.wall_ms;
    d->row.wall_ms = wall_ms;
    d->saved = d->row;
    if (rc == SQLITE_OK)
        rc = forget_old(d);
    if (rc == SQLITE_OK)
        rc = pixi_outbox_disk_finish(d);
    return rc;
}

int pixi_outbox_disk_open(struct pixi_outbox_disk *d, const struct pixi_db_options *options,
                          struct pixi_buf *problem)
{
    struct pixi_db_options o = *options;
    int rc;

    o.schema = &schema;
    for (unsigned p = 0; p < PIXI_OUTBOX_PRIORITIES; p++)
        d->building[p].body = pixi_buf_init(BODY_MAX);
    d->small_body = pixi_buf_init(PIXI_OUTBOX_BATCH_BYTES);
    if ((rc = pixi_db_open(&o, &d->db, problem)) != PIXI_OK)
        return rc;
    rc = read_all(d, o.now_ms);
    if (pixi_db_is_damage(rc)) { /* it looked whole, and is not */
        uint64_t rows;

        pixi_outbox_disk_close(d);
        o.is_known_torn = true;
        if ((rc = pixi_db_open(&o, &d->db, problem)) != PIXI_OK)
            return rc;
        rows = d->db.rows;
        rc = read_all(d, o.now_ms);
        d->db.rows = rows;
    }
    if (rc == SQLITE_OK)
        return PIXI_OK;
    pixi_buf_putf(problem, "outbox: %s: %s\n  fix: see to the disk that it lies on, and to its free space",
                  o.path, sqlite3_errstr(rc));
    pixi_outbox_disk_close(d);
    return pixi_db_err(rc);
}

void pixi_outbox_disk_close(struct pixi_outbox_disk *d)
{
    struct pixi_outbox_msg *next;

    for (int i = 0; i < PIXI_OUTBOX_STATEMENTS; i++) {
        sqlite3_finalize(d->statements[i]);
        d->statements[i] = NULL;
    }
    for (struct pixi_outbox_msg *m = d->inherited; m; m = next) {
        next = m->next;
        free(m);
    }
    d->inherited = NULL;
    pixi_outbox_batch_forget(d);
    pixi_outbox_part_forget(d);
    pixi_outbox_disk_forget_heads(d);
    for (unsigned p = 0; p < PIXI_OUTBOX_PRIORITIES; p++)
        pixi_buf_clear(&d->building[p].body);
    pixi_buf_clear(&d->small_body);
    pixi_db_close(&d->db);
}

size_t pixi_outbox_disk_owners(struct pixi_outbox_disk *d, struct pixi_outbox_owner *out, size_t max)
{
    sqlite3_stmt *s = NULL;
    size_t count = 0;

    if (sqlite3_prepare_v2(d->db.handle,
                           "SELECT uid, count, bytes FROM owner WHERE count > 0 ORDER BY bytes DESC", -1, &s,
                           NULL) == SQLITE_OK)
        for (; count < max && sqlite3_step(s) == SQLITE_ROW; count++)
            out[count] = (struct pixi_outbox_owner){pixi_outbox_number(s, 0), sqlite3_column_int64(s, 1),
                                                    sqlite3_column_int64(s, 2)};
    sqlite3_finalize(s);
    return count;
}
