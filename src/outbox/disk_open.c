/* disk_open.c -- the file of the outbox: its form, and what is read of it before the first group. */
#include "outbox/disk.h"

#include <stdio.h>
#include <sys/random.h>

enum { APPLICATION_ID = 0x5078576f, VERSION = 2 };

#define GIVEN_MS (UINT64_C(7) * 24 * 3600 * 1000) /* after so long a program's key is forgotten */

/* state has one row, of id 1. */
static const char schema_sql[] =
    "CREATE TABLE state (id INTEGER PRIMARY KEY, producer BLOB NOT NULL, epoch INTEGER NOT NULL,"
    " next_number INTEGER NOT NULL, next_seq INTEGER NOT NULL, count INTEGER NOT NULL, bytes INTEGER NOT "
    "NULL,"
    " unassigned INTEGER NOT NULL, now_ms INTEGER NOT NULL, wall_ms INTEGER NOT NULL, stored_seq INTEGER NOT "
    "NULL);"
    "CREATE TABLE message (id INTEGER PRIMARY KEY, seq INTEGER, flags INTEGER NOT NULL, accepted_ms INTEGER "
    "NOT NULL,"
    " expires_ms INTEGER, owner INTEGER NOT NULL, sender INTEGER NOT NULL, topic BLOB NOT NULL, headers BLOB "
    "NOT NULL,"
    " payload BLOB NOT NULL);"
    "CREATE INDEX message_expires ON message(expires_ms) WHERE expires_ms IS NOT NULL;"
    "CREATE TABLE owner (uid INTEGER PRIMARY KEY, count INTEGER NOT NULL, bytes INTEGER NOT NULL);"
    "CREATE TABLE given (producer BLOB NOT NULL, seq INTEGER NOT NULL, id INTEGER NOT NULL, given_ms INTEGER "
    "NOT NULL,"
    " PRIMARY KEY (producer, seq)) WITHOUT ROWID;"
    "CREATE TABLE rejected (number INTEGER PRIMARY KEY, id INTEGER NOT NULL, err INTEGER NOT NULL, detail "
    "BLOB NOT NULL,"
    " rejected_ms INTEGER NOT NULL, flags INTEGER NOT NULL, owner INTEGER NOT NULL, topic BLOB NOT NULL,"
    " headers BLOB NOT NULL, payload BLOB NOT NULL);";

static const struct pixi_db_table tables[] = {
    {"state", "id", PIXI_DB_BY_NUMBER},
    {"message", "id", PIXI_DB_BY_NUMBER},
    {"rejected", "number", PIXI_DB_BY_NUMBER},
    {NULL, NULL, PIXI_DB_BY_NUMBER},
};

static const char *const upgrades[VERSION - 1] = {
    "ALTER TABLE state ADD COLUMN stored_seq INTEGER NOT NULL DEFAULT 0",
};

static const struct pixi_db_schema schema = {.application_id = APPLICATION_ID,
                                             .version = VERSION,
                                             .sql = schema_sql,
                                             .tables = tables,
                                             .upgrades = upgrades};

#define COLUMNS "id, seq, flags, accepted_ms, expires_ms, owner, sender, topic, headers, payload"

static const char *const statement_sql[PIXI_OUTBOX_STATEMENTS] = {
    [PIXI_OUTBOX_INSERT] = "INSERT INTO message (" COLUMNS
                           ") VALUES (?1, nullif(?2, 0), ?3, ?4, nullif(?5, 0), ?6, ?7, ?8, ?9, ?10)",
    [PIXI_OUTBOX_DELETE] = "DELETE FROM message WHERE id = ?1",
    [PIXI_OUTBOX_ASSIGN] = "UPDATE message SET seq = ?2, flags = ?3 WHERE id = ?1",
    [PIXI_OUTBOX_LANE] = "SELECT " COLUMNS " FROM message WHERE id > ?1 AND id < ?2 ORDER BY id",
    [PIXI_OUTBOX_FIRST] =
        "SELECT id, accepted_ms, 64 + length(topic) + length(headers) + length(payload), owner, sender"
        " FROM message WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT 1",
    [PIXI_OUTBOX_EXPIRED] =
        "SELECT id, 64 + length(topic) + length(headers) + length(payload), owner, sender FROM message"
        " WHERE expires_ms <= ?1 AND seq IS NULL ORDER BY expires_ms LIMIT ?2",
    [PIXI_OUTBOX_SAVE] = "INSERT OR REPLACE INTO state VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
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

/* What the row says is counted anew from what was salvaged. */
static int recount(struct pixi_outbox_disk *d)
{
    static const char sum[] = "coalesce(sum(64 + length(topic) + length(headers) + length(payload)), 0)";
    char sql[512];
    int64_t v[5] = {0};
    const char *const what[] = {"count(*)", sum, "count(*) - count(seq)",
                                "coalesce(max(id & 0xffffffffffff), 0)", "coalesce(max(seq), 0)"};
    int rc = SQLITE_OK;

    for (size_t i = 0; i < 5 && rc == SQLITE_OK; i++) {
        snprintf(sql, sizeof sql, "SELECT %s FROM message", what[i]);
        rc = pixi_db_int(&d->db, sql, &v[i]);
    }
    d->row.count = (uint64_t)v[0];
    d->row.bytes = (uint64_t)v[1];
    d->row.unassigned = (uint64_t)v[2];
    if (d->row.next_number <= (uint64_t)v[3])
        d->row.next_number = (uint64_t)v[3] + 1;
    if (d->row.next_seq <= (uint64_t)v[4])
        d->row.next_seq = (uint64_t)v[4] + 1;
    if (rc == SQLITE_OK)
        rc = pixi_db_exec(&d->db, "DELETE FROM owner");
    if (rc == SQLITE_OK) {
        snprintf(sql, sizeof sql, "INSERT INTO owner SELECT owner, count(*), %s FROM message GROUP BY owner",
                 sum);
        rc = pixi_db_exec(&d->db, sql);
    }
    return rc;
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

    if (rc == SQLITE_OK)
        rc = read_row(d);
    if (rc == SQLITE_DONE)
        rc = make_row(d, wall_ms);
    if (rc == SQLITE_OK && d->db.origin == PIXI_DB_SALVAGED)
        rc = recount(d);
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
    for (int i = 0; i < PIXI_OUTBOX_STATEMENTS; i++) {
        sqlite3_finalize(d->statements[i]);
        d->statements[i] = NULL;
    }
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
