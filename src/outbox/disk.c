#include "outbox/disk.h"

#include "outbox/crash.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { APPLICATION_ID = 0x5078576f, VERSION = 1 };

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

static const struct pixi_db_schema schema = {APPLICATION_ID, VERSION, schema_sql, tables};

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

struct pixi_outbox_msg *pixi_outbox_msg_new(struct pixi_cur topic, struct pixi_cur headers,
                                            struct pixi_cur payload)
{
    struct pixi_cur *parts[3];
    const struct pixi_cur from[] = {topic, headers, payload};
    struct pixi_outbox_msg *m =
        calloc(1, sizeof *m + pixi_cur_left(&topic) + pixi_cur_left(&headers) + pixi_cur_left(&payload) + 1);
    uint8_t *at;

    if (!m)
        return NULL;
    at = m->bytes;
    parts[0] = &m->topic;
    parts[1] = &m->headers;
    parts[2] = &m->payload;
    for (size_t i = 0; i < 3; i++) {
        size_t len = pixi_cur_left(&from[i]);

        if (len)
            memcpy(at, from[i].p, len);
        *parts[i] = pixi_cur_init(at, len);
        at += len;
    }
    return m;
}

static uint64_t number(sqlite3_stmt *s, int column)
{
    return (uint64_t)sqlite3_column_int64(s, column);
}

/* The row that s stands on, by COLUMNS. NULL: out of memory. */
static struct pixi_outbox_msg *read_msg(sqlite3_stmt *s)
{
    struct pixi_outbox_msg *m =
        pixi_outbox_msg_new(pixi_db_column(s, 7), pixi_db_column(s, 8), pixi_db_column(s, 9));

    if (!m)
        return NULL;
    m->id = number(s, 0);
    m->seq = number(s, 1);
    m->flags = (unsigned)number(s, 2);
    m->accepted_ms = number(s, 3);
    m->expires_ms = number(s, 4);
    m->owner = number(s, 5);
    m->from = number(s, 6);
    return m;
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

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
            *numbers[i] = number(s, i + 2);
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

static uint64_t lane_end(unsigned priority)
{
    return pixi_outbox_lane(priority) + (UINT64_C(1) << 48);
}

int pixi_outbox_disk_inherit(struct pixi_outbox_disk *d, struct pixi_outbox_msg **list)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_LANE];
    int rc = SQLITE_OK;

    for (unsigned p = 0; p < PIXI_OUTBOX_PRIORITIES && rc == SQLITE_OK; p++) {
        d->assigned[p] = pixi_outbox_lane(p);
        rc = pixi_db_bind(s, "ii", (int64_t)pixi_outbox_lane(p), (int64_t)lane_end(p));
        while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW &&
               sqlite3_column_type(s, 1) != SQLITE_NULL) {
            struct pixi_outbox_msg *m = read_msg(s), **at = list;

            rc = m ? SQLITE_OK : SQLITE_NOMEM;
            if (!m)
                break;
            while (*at && (*at)->seq < m->seq)
                at = &(*at)->next;
            m->next = *at;
            *at = m;
            d->assigned[p] = m->id;
        }
        sqlite3_reset(s);
        if (rc == SQLITE_ROW || rc == SQLITE_DONE)
            rc = SQLITE_OK;
    }
    memcpy(d->saved_assigned, d->assigned, sizeof d->assigned);
    return rc;
}

size_t pixi_outbox_disk_owners(struct pixi_outbox_disk *d, struct pixi_outbox_owner *out, size_t max)
{
    sqlite3_stmt *s = NULL;
    size_t count = 0;

    if (sqlite3_prepare_v2(d->db.handle,
                           "SELECT uid, count, bytes FROM owner WHERE count > 0 ORDER BY bytes DESC", -1, &s,
                           NULL) == SQLITE_OK)
        for (; count < max && sqlite3_step(s) == SQLITE_ROW; count++)
            out[count] = (struct pixi_outbox_owner){number(s, 0), sqlite3_column_int64(s, 1),
                                                    sqlite3_column_int64(s, 2)};
    sqlite3_finalize(s);
    return count;
}

/* --- groups --------------------------------------------------------------------------------------------------- */

static int put_changes(struct pixi_outbox_disk *d)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_SHARE];
    int rc = SQLITE_OK;

    for (size_t i = 0; i < d->change_count && rc == SQLITE_OK; i++) {
        const struct pixi_outbox_owner *o = &d->changes[i];

        pixi_db_bind(s, "iii", (int64_t)o->uid, o->count, o->bytes);
        rc = pixi_db_done(s);
    }
    d->change_count = 0;
    return rc;
}

static int change(struct pixi_outbox_disk *d, uint64_t uid, int64_t count, int64_t bytes)
{
    size_t i = 0;
    int rc = SQLITE_OK;

    d->row.count += (uint64_t)count;
    d->row.bytes += (uint64_t)bytes;
    while (i < d->change_count && d->changes[i].uid != uid)
        i++;
    if (i == PIXI_OUTBOX_OWNERS) {
        rc = put_changes(d);
        i = 0;
    }
    if (i == d->change_count)
        d->changes[d->change_count++] = (struct pixi_outbox_owner){.uid = uid};
    d->changes[i].count += count;
    d->changes[i].bytes += bytes;
    return rc;
}

int pixi_outbox_disk_finish(void *disk)
{
    struct pixi_outbox_disk *d = disk;
    const struct pixi_outbox_row *r = &d->row;
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_SAVE];
    int rc = put_changes(d);

    if (rc == SQLITE_OK)
        rc = pixi_db_bind(s, "biiiiiiiii", pixi_cur_init(r->producer, sizeof r->producer), (int64_t)r->epoch,
                          (int64_t)r->next_number, (int64_t)r->next_seq, (int64_t)r->count, (int64_t)r->bytes,
                          (int64_t)r->unassigned, (int64_t)r->now_ms, (int64_t)r->wall_ms,
                          (int64_t)r->stored_seq);
    if (rc == SQLITE_OK)
        rc = pixi_db_done(s);
    pixi_crash_point("commit");
    return rc;
}

void pixi_outbox_disk_ended(void *disk, int rc)
{
    struct pixi_outbox_disk *d = disk;

    d->change_count = 0;
    if (rc == SQLITE_OK) {
        pixi_crash_point("committed");
        d->saved = d->row;
        memcpy(d->saved_assigned, d->assigned, sizeof d->assigned);
    } else {
        d->row = d->saved;
        memcpy(d->assigned, d->saved_assigned, sizeof d->assigned);
    }
}

int pixi_outbox_disk_probe(void *disk)
{
    (void)disk;
    return SQLITE_OK; /* finish writes the row */
}

void pixi_outbox_disk_stamp(struct pixi_outbox_disk *d, uint64_t now_ms, uint64_t wall_ms)
{
    if (now_ms < d->row.now_ms)
        return;
    d->row.now_ms = now_ms;
    d->row.wall_ms = wall_ms;
}

/* --- what jobs do --------------------------------------------------------------------------------------------- */

int pixi_outbox_disk_remove(struct pixi_outbox_disk *d, uint64_t id, uint64_t cost, uint64_t owner)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_DELETE];
    int rc;

    pixi_db_bind(s, "i", (int64_t)id);
    rc = pixi_db_done(s);
    if (rc != SQLITE_OK || !sqlite3_changes(d->db.handle))
        return rc;
    return change(d, owner, -1, -(int64_t)cost);
}

/* The first without a seq of a priority. SQLITE_DONE: there is none. */
static int find_first(struct pixi_outbox_disk *d, unsigned priority, struct pixi_outbox_left *out,
                      uint64_t *accepted_ms)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_FIRST];
    int rc;

    pixi_db_bind(s, "ii", (int64_t)d->assigned[priority], (int64_t)lane_end(priority));
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        *out = (struct pixi_outbox_left){
            .id = number(s, 0), .cost = number(s, 2), .owner = number(s, 3), .from = number(s, 4)};
        *accepted_ms = number(s, 1);
    }
    sqlite3_reset(s);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int let_leave(struct pixi_outbox_disk *d, const struct pixi_outbox_left *left)
{
    d->row.unassigned--;
    return pixi_outbox_disk_remove(d, left->id, left->cost, left->owner);
}

/* The one that goes first to make room for a message of this priority. SQLITE_DONE: none may. */
static int find_victim(struct pixi_outbox_disk *d, unsigned priority, struct pixi_outbox_left *out)
{
    unsigned upto = d->when_full == PIXI_OUTBOX_DROP_LOWEST ? priority : PIXI_OUTBOX_PRIORITIES - 1;
    uint64_t oldest = UINT64_MAX, at_ms;
    struct pixi_outbox_left first;
    int rc = SQLITE_DONE;

    for (unsigned p = 0; p <= upto; p++) {
        int found = find_first(d, p, &first, &at_ms);

        if (found == SQLITE_DONE)
            continue;
        if (found != SQLITE_OK)
            return found;
        rc = SQLITE_OK;
        if ((first.id & 0xffffffffffff) < oldest) {
            oldest = first.id & 0xffffffffffff;
            *out = first;
        }
        if (d->when_full == PIXI_OUTBOX_DROP_LOWEST)
            break;
    }
    return rc;
}

static int make_room(struct pixi_outbox_disk *d, const struct pixi_outbox_msg *m,
                     struct pixi_outbox_left *left, size_t left_max, size_t *left_count, bool *is_refused)
{
    uint64_t cost = pixi_outbox_cost(m);
    int rc = SQLITE_OK;

    while (rc == SQLITE_OK && d->row.bytes + cost > d->limit_bytes) {
        if (*left_count == left_max || d->when_full == PIXI_OUTBOX_REFUSE)
            rc = SQLITE_DONE;
        else
            rc = find_victim(d, pixi_outbox_priority(m->id), &left[*left_count]);
        if (rc == SQLITE_OK)
            rc = let_leave(d, &left[(*left_count)++]);
    }
    *is_refused = rc == SQLITE_DONE;
    return *is_refused ? SQLITE_OK : rc;
}

static void assign(struct pixi_outbox_disk *d, struct pixi_outbox_msg *m)
{
    m->seq = d->row.next_seq++;
    d->assigned[pixi_outbox_priority(m->id)] = m->id;
}

int pixi_outbox_disk_put(struct pixi_outbox_disk *d, struct pixi_outbox_msg *m, bool wants_seq,
                         struct pixi_outbox_left *left, size_t left_max, size_t *left_count, bool *is_refused)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_INSERT];
    int rc = make_room(d, m, left, left_max, left_count, is_refused);

    if (rc != SQLITE_OK || *is_refused)
        return rc;
    m->id = pixi_outbox_lane(pixi_outbox_priority(m->id)) | d->row.next_number++;
    if (wants_seq)
        assign(d, m);
    else
        d->row.unassigned++;
    pixi_db_bind(s, "iiiiiiibbb", (int64_t)m->id, (int64_t)m->seq, (int64_t)m->flags, (int64_t)m->accepted_ms,
                 (int64_t)m->expires_ms, (int64_t)m->owner, (int64_t)m->from, m->topic, m->headers,
                 m->payload);
    rc = pixi_db_done(s);
    pixi_crash_point("insert");
    return rc == SQLITE_OK ? change(d, m->owner, 1, (int64_t)pixi_outbox_cost(m)) : rc;
}

int pixi_outbox_disk_known(struct pixi_outbox_disk *d, const struct pixi_outbox_given *given, uint64_t *id)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_KNOWN];
    int rc;

    pixi_db_bind(s, "bi", pixi_cur_init(given->producer, sizeof given->producer), (int64_t)given->seq);
    rc = sqlite3_step(s);
    *id = rc == SQLITE_ROW ? number(s, 0) : 0;
    sqlite3_reset(s);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int pixi_outbox_disk_know(struct pixi_outbox_disk *d, const struct pixi_outbox_given *given, uint64_t id)
{
    struct pixi_cur producer = pixi_cur_init(given->producer, sizeof given->producer);
    sqlite3_stmt *know = d->statements[PIXI_OUTBOX_KNOW], *forget = d->statements[PIXI_OUTBOX_FORGET];
    int rc;

    pixi_db_bind(know, "biii", producer, (int64_t)given->seq, (int64_t)id, (int64_t)d->row.now_ms);
    rc = pixi_db_done(know);
    if (rc != SQLITE_OK)
        return rc;
    pixi_db_bind(forget, "bi", producer, (int64_t)given->low);
    return pixi_db_done(forget);
}

/* Reads further messages of a priority to the end of the list, and counts them off. */
static int read_lane(struct pixi_outbox_disk *d, unsigned priority, size_t *count, uint64_t *bytes,
                     struct pixi_outbox_msg ***end)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_LANE];
    int rc = pixi_db_bind(s, "ii", (int64_t)d->assigned[priority], (int64_t)lane_end(priority));

    while (rc == SQLITE_OK && *count && *bytes && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        struct pixi_outbox_msg *m = read_msg(s);
        uint64_t cost;

        rc = m ? SQLITE_OK : SQLITE_NOMEM;
        if (!m)
            break;
        cost = pixi_outbox_cost(m);
        **end = m;
        *end = &m->next;
        *bytes -= cost < *bytes ? cost : *bytes;
        --*count;
    }
    sqlite3_reset(s);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int pixi_outbox_disk_load(struct pixi_outbox_disk *d, size_t count, uint64_t bytes, uint64_t late_ms,
                          struct pixi_outbox_msg **list)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_ASSIGN];
    struct pixi_outbox_msg **end = list;
    int rc = SQLITE_OK;

    *list = NULL;
    for (unsigned p = PIXI_OUTBOX_PRIORITIES; p-- > 0 && count && bytes && rc == SQLITE_OK;)
        rc = read_lane(d, p, &count, &bytes, &end);
    for (struct pixi_outbox_msg *m = *list; m && rc == SQLITE_OK; m = m->next) {
        if (m->accepted_ms < late_ms)
            m->flags |= PIXI_OUTBOX_LATE;
        assign(d, m);
        d->row.unassigned--;
        pixi_db_bind(s, "iii", (int64_t)m->id, (int64_t)m->seq, (int64_t)m->flags);
        rc = pixi_db_done(s);
    }
    return rc;
}

int pixi_outbox_disk_reject(struct pixi_outbox_disk *d, const struct pixi_outbox_msg *m, int err,
                            const char *detail)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_REJECT], *trim = d->statements[PIXI_OUTBOX_TRIM];
    int rc;

    pixi_db_bind(s, "iibiiibbb", (int64_t)m->id, (int64_t)err, pixi_cur_str(detail), (int64_t)d->row.wall_ms,
                 (int64_t)m->flags, (int64_t)m->owner, m->topic, m->headers, m->payload);
    rc = pixi_db_done(s);
    if (rc == SQLITE_OK) {
        pixi_db_bind(trim, "i", sqlite3_last_insert_rowid(d->db.handle) - PIXI_OUTBOX_REJECTED);
        rc = pixi_db_done(trim);
    }
    return rc == SQLITE_OK ? pixi_outbox_disk_remove(d, m->id, pixi_outbox_cost(m), m->owner) : rc;
}

/* Those of a priority that have waited for too long; they lie in the order of their age. */
static int sweep_lane(struct pixi_outbox_disk *d, unsigned priority, uint64_t old_ms,
                      struct pixi_outbox_left *left, size_t left_max, size_t *left_count, uint64_t *oldest_ms)
{
    uint64_t at_ms = 0;
    int rc = SQLITE_OK;

    while (rc == SQLITE_OK && *left_count < left_max) {
        rc = find_first(d, priority, &left[*left_count], &at_ms);
        if (rc == SQLITE_OK && at_ms >= old_ms) {
            *oldest_ms = *oldest_ms && *oldest_ms < at_ms ? *oldest_ms : at_ms;
            break;
        }
        if (rc == SQLITE_OK)
            rc = let_leave(d, &left[(*left_count)++]);
    }
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int pixi_outbox_disk_sweep(struct pixi_outbox_disk *d, uint64_t now_ms, uint64_t old_ms,
                           struct pixi_outbox_left *left, size_t left_max, size_t *left_count,
                           uint64_t *oldest_ms)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_EXPIRED];
    size_t expired = 0;
    int rc;

    pixi_db_bind(s, "ii", (int64_t)now_ms, (int64_t)left_max);
    while ((rc = sqlite3_step(s)) == SQLITE_ROW)
        left[expired++] = (struct pixi_outbox_left){
            .id = number(s, 0), .cost = number(s, 1), .owner = number(s, 2), .from = number(s, 3)};
    sqlite3_reset(s);
    rc = rc == SQLITE_DONE ? SQLITE_OK : rc;
    for (size_t i = 0; i < expired && rc == SQLITE_OK; i++)
        rc = let_leave(d, &left[i]);
    *left_count = expired;
    *oldest_ms = 0;
    for (unsigned p = 0; p < PIXI_OUTBOX_PRIORITIES && rc == SQLITE_OK; p++)
        rc = sweep_lane(d, p, old_ms, left, left_max, left_count, oldest_ms);
    return rc;
}

int pixi_outbox_disk_tidy(struct pixi_outbox_disk *d, bool *is_done)
{
    int64_t pages = 0;
    int rc = pixi_db_exec(&d->db, "PRAGMA incremental_vacuum(256)");

    if (rc == SQLITE_OK)
        rc = pixi_db_int(&d->db, "PRAGMA freelist_count", &pages);
    *is_done = pages == 0;
    return rc;
}
