#include "store/sqlite_log.h"

#include <stdlib.h>

#define SEGMENTS_SQL                                                                                         \
    "CREATE TABLE segment (id INTEGER PRIMARY KEY, last INTEGER NOT NULL, body BLOB NOT NULL);"              \
    "CREATE TABLE pinned (id INTEGER PRIMARY KEY, offsets BLOB NOT NULL);"
/* By position: what comes together lies together, however the topics are spread. */
#define LATEST_SQL                                                                                           \
    "CREATE TABLE latest (position INTEGER PRIMARY KEY, topic BLOB NOT NULL UNIQUE, bytes INTEGER NOT NULL," \
    " expires_ms INTEGER NOT NULL, body BLOB NOT NULL);"                                                     \
    "CREATE INDEX latest_expires ON latest (expires_ms) WHERE expires_ms > 0;"

const char pixi_log_segments_sql[] = SEGMENTS_SQL;

static const struct pixi_db_table tables[] = {
    {"log", "id", PIXI_DB_BY_NUMBER},
    {"history", "id", PIXI_DB_BY_NUMBER},
    {"segment", "id", PIXI_DB_PACKED},
    {"pinned", "id", PIXI_DB_BY_NUMBER},
    {"latest", "position", PIXI_DB_BY_NUMBER},
    {"producer", "id", PIXI_DB_BY_NUMBER},
    {"sent", "producer, seq", PIXI_DB_BY_TEXT},
    {"record", "key", PIXI_DB_BY_TEXT},
    {NULL, NULL, PIXI_DB_BY_TEXT},
};

/* The rows of version 1 are brought over by pixi_log_upgrade. */
static const char *const upgrades[] = {SEGMENTS_SQL LATEST_SQL};

const struct pixi_db_schema pixi_log_schema = {
    .application_id = 0x50697869, /* "Pixi" */
    .version = 2,
    .sql =
        "CREATE TABLE log (id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, hash_key BLOB NOT NULL,"
        " head INTEGER NOT NULL, last_version INTEGER NOT NULL, retained INTEGER NOT NULL,"
        " retained_bytes INTEGER NOT NULL, producers INTEGER NOT NULL, seqs INTEGER NOT NULL,"
        " records INTEGER NOT NULL, wanted INTEGER NOT NULL, wanted_bytes INTEGER NOT NULL,"
        " wanted_trimmed INTEGER NOT NULL, probes INTEGER NOT NULL);"
        "CREATE TABLE history (id INTEGER PRIMARY KEY, filter BLOB NOT NULL, messages INTEGER NOT NULL,"
        " bytes INTEGER NOT NULL, dropped INTEGER NOT NULL, trimmed INTEGER NOT NULL, gap INTEGER NOT NULL);"
        "CREATE TABLE producer (id INTEGER PRIMARY KEY, owner BLOB NOT NULL, uuid BLOB NOT NULL,"
        " low INTEGER NOT NULL, seqs INTEGER NOT NULL, active_ms INTEGER NOT NULL, UNIQUE (owner, uuid));"
        "CREATE INDEX producer_active ON producer (active_ms);"
        "CREATE TABLE sent (producer INTEGER NOT NULL, seq INTEGER NOT NULL, position INTEGER NOT NULL,"
        " content INTEGER NOT NULL, PRIMARY KEY (producer, seq)) WITHOUT ROWID;"
        "CREATE TABLE record (key BLOB PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL) WITHOUT "
        "ROWID;" SEGMENTS_SQL LATEST_SQL,
    .tables = tables,
    .upgrades = upgrades,
    .old_sql = pixi_log_sql_1,
    .old_tables = pixi_log_tables_1,
};

static const char *const statements[PIXI_LOG_STATEMENTS] = {
    [PIXI_LOG_PUT_SEGMENT] = "INSERT INTO segment VALUES (?,?,?)",
    [PIXI_LOG_GET_SEGMENT] = "SELECT id, last, body, NULL FROM segment WHERE id = ?",
    [PIXI_LOG_SET_SEGMENT] = "UPDATE segment SET last = ?2, body = ?3 WHERE id = ?1",
    [PIXI_LOG_DROP_SEGMENT] = "DELETE FROM segment WHERE id = ?",
    [PIXI_LOG_OLDEST] =
        "SELECT id, last, body, NULL, EXISTS (SELECT 1 FROM pinned p WHERE p.id = segment.id)"
        " FROM segment WHERE id >= coalesce((SELECT id FROM segment WHERE id >= ?1 AND id <= ?2"
        " ORDER BY id DESC LIMIT 1), ?2) AND id < ?3 AND last > ?4 ORDER BY id LIMIT 1",
    [PIXI_LOG_PUT_PINNED] = "INSERT OR REPLACE INTO pinned VALUES (?,?)",
    [PIXI_LOG_GET_PINNED] =
        "SELECT id, offsets FROM pinned WHERE id >= ? AND id <= ? ORDER BY id DESC LIMIT 1",
    [PIXI_LOG_DROP_PINNED] = "DELETE FROM pinned WHERE id = ?",
    [PIXI_LOG_LOOK_AT_PINNED] = "SELECT p.id, s.last, s.body, p.offsets FROM pinned p"
                                " LEFT JOIN segment s ON s.id = p.id WHERE p.id >= ? ORDER BY p.id",
    [PIXI_LOG_GET_RETAINED] = "SELECT position, bytes FROM latest WHERE topic = ?",
    [PIXI_LOG_PUT_RETAINED] = "INSERT OR REPLACE INTO latest VALUES (?,?,?,?,?)",
    [PIXI_LOG_DROP_RETAINED] = "DELETE FROM latest WHERE position = ?",
    [PIXI_LOG_EXPIRED_RETAINED] = "SELECT position, bytes FROM latest"
                                  " WHERE expires_ms > 0 AND expires_ms <= ? ORDER BY expires_ms LIMIT 1",
    [PIXI_LOG_READ_RETAINED] =
        "SELECT position, body FROM latest WHERE position >= ? AND position <= ? ORDER BY position",
    [PIXI_LOG_GET_PRODUCER] = "SELECT id, low, seqs FROM producer WHERE owner = ? AND uuid = ?",
    [PIXI_LOG_MAKE_PRODUCER] = "INSERT INTO producer VALUES (NULL,?,?,0,0,?)",
    [PIXI_LOG_SET_PRODUCER] = "UPDATE producer SET low = ?2, seqs = ?3, active_ms = ?4 WHERE id = ?1",
    [PIXI_LOG_DROP_PRODUCER] = "DELETE FROM producer WHERE id = ?",
    [PIXI_LOG_IDLE_PRODUCER] = "SELECT id FROM producer WHERE active_ms <= ? ORDER BY active_ms LIMIT 1",
    [PIXI_LOG_GET_SENT] = "SELECT position, content FROM sent WHERE producer = ? AND seq = ?",
    [PIXI_LOG_PUT_SENT] = "INSERT INTO sent VALUES (?,?,?,?)",
    [PIXI_LOG_DROP_SENT] = "DELETE FROM sent WHERE producer = ? AND seq < ?",
    [PIXI_LOG_DROP_ALL_SENT] = "DELETE FROM sent WHERE producer = ?",
    [PIXI_LOG_GET_RECORD] = "SELECT value, version FROM record WHERE key = ?",
    [PIXI_LOG_PUT_RECORD] = "INSERT OR REPLACE INTO record VALUES (?,?,?)",
    [PIXI_LOG_DROP_RECORD] = "DELETE FROM record WHERE key = ?",
    [PIXI_LOG_LIST_RECORDS] = "SELECT key, value, version FROM record WHERE key >= ? ORDER BY key",
    [PIXI_LOG_SET_LOG] = "UPDATE log SET head = ?, last_version = ?, retained = ?, retained_bytes = ?,"
                         " producers = ?, seqs = ?, records = ?, wanted = ?, wanted_bytes = ?,"
                         " wanted_trimmed = ? WHERE id = 1",
    [PIXI_LOG_SET_HISTORY] =
        "UPDATE history SET messages = ?2, bytes = ?3, dropped = ?4, trimmed = ?5 WHERE id = ?1",
    [PIXI_LOG_PROBE] = "UPDATE log SET probes = probes + 1 WHERE id = 1",
};

/* --- what was there last time -------------------------------------------------------------------------------- */

/* Histories as the file has them: their filters, and what of each is gone. */
struct before {
    struct pixi_cur filter[PIXI_HISTORIES_MAX]; /* in bytes */
    uint64_t trimmed[PIXI_HISTORIES_MAX], gap[PIXI_HISTORIES_MAX];
    size_t count; /* with the last, which has no filter */
    struct pixi_buf bytes;
};

static int read_histories(struct pixi_log_db *log, struct before *b)
{
    sqlite3_stmt *s = NULL;
    size_t at[PIXI_HISTORIES_MAX + 1] = {0};
    int rc = sqlite3_prepare_v2(
        log->db.handle, "SELECT id, filter, messages, bytes, dropped, trimmed, gap FROM history ORDER BY id",
        -1, &s, NULL);

    for (b->count = 0; rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW; b->count++, rc = SQLITE_OK) {
        if (b->count == PIXI_HISTORIES_MAX || sqlite3_column_int64(s, 0) != (int64_t)b->count) {
            rc = SQLITE_CORRUPT;
            break;
        }
        pixi_buf_put_cur(&b->bytes, pixi_db_column(s, 1));
        at[b->count + 1] = b->bytes.len;
        b->trimmed[b->count] = (uint64_t)sqlite3_column_int64(s, 5);
        b->gap[b->count] = (uint64_t)sqlite3_column_int64(s, 6);
        log->now.history[b->count] =
            (struct pixi_log_history){.messages = (uint64_t)sqlite3_column_int64(s, 2),
                                      .bytes = (uint64_t)sqlite3_column_int64(s, 3),
                                      .dropped = (uint64_t)sqlite3_column_int64(s, 4),
                                      .trimmed = b->trimmed[b->count],
                                      .gap = b->gap[b->count]};
    }
    sqlite3_finalize(s);
    for (size_t h = 0; h < b->count; h++)
        b->filter[h] = (struct pixi_cur){b->bytes.bytes + at[h], b->bytes.bytes + at[h + 1]};
    if (b->bytes.err)
        return SQLITE_NOMEM;
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static bool is_same(const struct pixi_filters *f, const struct before *b)
{
    if (b->count != f->count + 1)
        return false;
    for (size_t i = 0; i < f->count; i++)
        if (!pixi_cur_equals(f->at[i], b->filter[i]))
            return false;
    return true;
}

/* --- sorted anew -------------------------------------------------------------------------------------------- */

/* What is missing of this filter's messages. A filter that one of those before covers misses what these miss; of
 * another nobody knows. */
static void look_back(const struct before *b, struct pixi_cur filter, struct pixi_log_history *h,
                      uint64_t head)
{
    struct pixi_filters f = {.count = b->count ? b->count - 1 : 0};
    struct pixi_histories of = {.count = 0};

    memcpy(f.at, b->filter, f.count * sizeof f.at[0]);
    if (filter.p != filter.end && b->count)
        of = pixi_filters_histories(&f, filter);
    if (!of.is_whole)
        h->gap = head;
    for (size_t i = 0; i < of.count; i++) {
        h->trimmed = b->trimmed[of.at[i]] > h->trimmed ? b->trimmed[of.at[i]] : h->trimmed;
        h->gap = b->gap[of.at[i]] > h->gap ? b->gap[of.at[i]] : h->gap;
    }
}

static int put_history(struct pixi_log_db *log, size_t h, struct pixi_cur filter,
                       const struct pixi_log_history *is)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(log->db.handle, "INSERT INTO history VALUES (?,?,?,?,?,?,?)", -1, &s, NULL);

    if (rc == SQLITE_OK)
        rc = pixi_db_bind(s, "ibiiiii", (int64_t)h, filter, (int64_t)is->messages, (int64_t)is->bytes,
                          (int64_t)is->dropped, (int64_t)is->trimmed, (int64_t)is->gap);
    if (rc == SQLITE_OK)
        rc = pixi_db_done(s);
    sqlite3_finalize(s);
    return rc;
}

/* They have been sorted. */
static int put_histories(struct pixi_log_db *log, const struct before *b, bool is_salvaged)
{
    int rc = pixi_db_exec(&log->db, "DELETE FROM history");

    for (size_t h = 0; rc == SQLITE_OK && h <= log->filters.count; h++) {
        struct pixi_cur filter = h < log->filters.count ? log->filters.at[h] : pixi_cur_str("");
        struct pixi_log_history *is = &log->now.history[h];

        is->gap = is_salvaged ? log->now.head : 0;
        look_back(b, filter, is, log->now.head);
        rc = put_history(log, h, filter, is);
    }
    return rc;
}

/* What salvage could not bring together: numbers follow from rows; those of segments are pixi_log_sort's. */
static int count_again(struct pixi_log_db *log)
{
    int rc = pixi_log_retained_sift(log);

    return rc == SQLITE_OK
               ? pixi_db_exec(
                     &log->db,
                     "DELETE FROM sent WHERE producer NOT IN (SELECT id FROM producer);"
                     "UPDATE producer SET seqs = (SELECT count(*) FROM sent WHERE producer = producer.id);"
                     "UPDATE log SET head = max(head, (SELECT coalesce(max(position), 0) FROM latest),"
                     " (SELECT coalesce(max(position), 0) FROM sent)),"
                     " last_version = max(last_version, (SELECT coalesce(max(version), 0) FROM record)),"
                     " retained = (SELECT count(*) FROM latest),"
                     " retained_bytes = (SELECT coalesce(sum(bytes), 0) FROM latest),"
                     " producers = (SELECT count(*) FROM producer), seqs = (SELECT count(*) FROM sent),"
                     " records = (SELECT count(*) FROM record);")
               : rc;
}

/* --- opening ------------------------------------------------------------------------------------------------- */

/* Anyone's row in `log`: one, made if there is none. */
static int make_log(struct pixi_log_db *log, uint64_t epoch, const uint8_t hash_key[16])
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(
        log->db.handle, "INSERT OR IGNORE INTO log VALUES (1,?,?,0,0,0,0,0,0,0,0,0,0,0)", -1, &s, NULL);

    if (rc == SQLITE_OK)
        rc = pixi_db_bind(s, "ib", (int64_t)epoch, pixi_cur_init(hash_key, 16));
    if (rc == SQLITE_OK)
        rc = pixi_db_done(s);
    sqlite3_finalize(s);
    return rc;
}

static int load_log(struct pixi_log_db *log)
{
    sqlite3_stmt *s = NULL;
    uint64_t *const to[] = {&log->epoch,
                            &log->now.head,
                            &log->now.last_version,
                            &log->now.retained,
                            &log->now.retained_bytes,
                            &log->now.producers,
                            &log->now.seqs,
                            &log->now.records,
                            &log->now.wanted,
                            &log->now.wanted_bytes,
                            &log->now.wanted_trimmed};
    struct pixi_cur key;
    int rc = sqlite3_prepare_v2(
        log->db.handle,
        "SELECT hash_key, epoch, head, last_version, retained, retained_bytes, producers, seqs,"
        " records, wanted, wanted_bytes, wanted_trimmed FROM log WHERE id = 1",
        -1, &s, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        key = pixi_db_column(s, 0);
        for (size_t i = 0; i < sizeof to / sizeof to[0]; i++)
            *to[i] = (uint64_t)sqlite3_column_int64(s, (int)i + 1);
        rc = pixi_cur_left(&key) == sizeof log->hash_key && log->epoch ? SQLITE_OK : SQLITE_CORRUPT;
        if (rc == SQLITE_OK)
            memcpy(log->hash_key, key.p, sizeof log->hash_key);
    } else if (rc == SQLITE_DONE) {
        rc = SQLITE_CORRUPT;
    }
    sqlite3_finalize(s);
    return rc;
}

/* Everything to where the policies want it. */
static int sort(struct pixi_log_db *log, const struct before *b, bool is_salvaged)
{
    int rc = log->db.origin == PIXI_DB_MADE ? SQLITE_OK : pixi_log_sort(log, is_salvaged);

    if (rc == SQLITE_OK)
        rc = put_histories(log, b, is_salvaged);
    log->now.is_changed = true;
    return rc == SQLITE_OK ? pixi_log_finish(log) : rc;
}

static int load(struct pixi_log_db *log, bool *is_sorted)
{
    bool is_salvaged = log->db.origin == PIXI_DB_SALVAGED, is_new = log->db.origin == PIXI_DB_MADE;
    struct before b = {.bytes = pixi_buf_init(PIXI_HISTORIES_MAX << 16)};
    int rc = read_histories(log, &b);

    if (is_salvaged && rc == SQLITE_CORRUPT)
        rc = SQLITE_OK; /* sorted anew in any case */
    if (rc == SQLITE_OK)
        rc = pixi_log_upgrade(log);
    if (rc == SQLITE_OK && is_salvaged)
        rc = count_again(log);
    if (rc == SQLITE_OK)
        rc = load_log(log);
    *is_sorted = !is_new && !is_salvaged && !is_same(&log->filters, &b);
    if (rc == SQLITE_OK && (is_new || is_salvaged || *is_sorted))
        rc = sort(log, &b, is_salvaged);
    pixi_buf_clear(&b.bytes);
    return rc;
}

int pixi_log_open(struct pixi_log_db *log, uint64_t new_epoch, const uint8_t hash_key[16], bool *is_sorted)
{
    int rc = pixi_db_exec(&log->db, "BEGIN IMMEDIATE");

    log->packed = log->offsets = pixi_buf_init(SIZE_MAX);
    for (size_t i = 0; i < PIXI_LOG_LINES; i++)
        log->building[i].body = pixi_buf_init(SIZE_MAX);
    for (size_t i = 0; rc == SQLITE_OK && i < PIXI_LOG_STATEMENTS; i++)
        rc = pixi_db_prepare(&log->db, statements[i], &log->statement[i]);
    if (rc == SQLITE_OK && log->db.origin != PIXI_DB_FOUND)
        rc = make_log(log, new_epoch, hash_key);
    if (rc == SQLITE_OK)
        rc = load(log, is_sorted);
    if (rc == SQLITE_OK)
        rc = pixi_db_exec(&log->db, "COMMIT");
    pixi_log_ended(log, rc);
    /* of statements that are right: the tables are not what they were */
    return (rc & 0xff) == SQLITE_ERROR ? SQLITE_CORRUPT : rc;
}

int pixi_log_begin_epoch(struct pixi_log_db *log, uint64_t epoch)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(log->db.handle, "UPDATE log SET epoch = ? WHERE id = 1", -1, &s, NULL);

    if (rc == SQLITE_OK)
        rc = pixi_db_bind(s, "i", (int64_t)epoch);
    if (rc == SQLITE_OK)
        rc = pixi_db_done(s);
    sqlite3_finalize(s);
    if (rc == SQLITE_OK)
        log->epoch = epoch;
    return rc;
}

void pixi_log_close(struct pixi_log_db *log)
{
    for (size_t i = 0; i < PIXI_LOG_STATEMENTS; i++)
        sqlite3_finalize(log->statement[i]);
    for (size_t i = 0; i < PIXI_LOG_LINES; i++) {
        sqlite3_finalize(log->read[0][i]);
        sqlite3_finalize(log->read[1][i]);
        pixi_buf_clear(&log->building[i].body);
        free(log->building[i].entries.entry);
    }
    for (size_t i = 0; i < PIXI_HISTORIES_MAX; i++)
        free(log->oldest[i].entries.entry);
    pixi_buf_clear(&log->packed);
    pixi_buf_clear(&log->offsets);
    pixi_db_close(&log->db);
    /* it may be opened again, repaired */
    memset(log->statement, 0, sizeof log->statement);
    memset(log->read, 0, sizeof log->read);
    memset(log->building, 0, sizeof log->building);
    memset(log->oldest, 0, sizeof log->oldest);
    log->now = log->committed = (struct pixi_log_state){0};
}
