#include "store/sqlite_log.h"

#include <stdio.h>

static const struct pixi_db_table tables[] = {
    {"log", "id", PIXI_DB_BY_NUMBER},      {"history", "id", PIXI_DB_BY_NUMBER},
    {"message", "id", PIXI_DB_BY_NUMBER},  {"retained", "topic", PIXI_DB_BY_TEXT},
    {"producer", "id", PIXI_DB_BY_NUMBER}, {"sent", "producer, seq", PIXI_DB_BY_TEXT},
    {"record", "key", PIXI_DB_BY_TEXT},    {"wanted", "id", PIXI_DB_BY_NUMBER},
    {NULL, NULL, PIXI_DB_BY_TEXT},
};

const struct pixi_db_schema pixi_log_schema = {
    .application_id = 0x50697869, /* "Pixi" */
    .version = 1,
    .sql =
        "CREATE TABLE log (id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, hash_key BLOB NOT NULL,"
        " head INTEGER NOT NULL, last_version INTEGER NOT NULL, retained INTEGER NOT NULL,"
        " retained_bytes INTEGER NOT NULL, producers INTEGER NOT NULL, seqs INTEGER NOT NULL,"
        " records INTEGER NOT NULL, wanted INTEGER NOT NULL, wanted_bytes INTEGER NOT NULL,"
        " wanted_trimmed INTEGER NOT NULL, probes INTEGER NOT NULL);"
        "CREATE TABLE history (id INTEGER PRIMARY KEY, filter BLOB NOT NULL, messages INTEGER NOT NULL,"
        " bytes INTEGER NOT NULL, dropped INTEGER NOT NULL, trimmed INTEGER NOT NULL, gap INTEGER NOT NULL);"
        "CREATE TABLE message (id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,"
        " flags INTEGER NOT NULL, topic BLOB NOT NULL, headers BLOB NOT NULL, payload BLOB NOT NULL,"
        " origin INTEGER NOT NULL);"
        "CREATE TABLE wanted (id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,"
        " flags INTEGER NOT NULL, topic BLOB NOT NULL, headers BLOB NOT NULL, payload BLOB NOT NULL,"
        " origin INTEGER NOT NULL);"
        "CREATE TABLE retained (topic BLOB PRIMARY KEY, id INTEGER NOT NULL, position INTEGER NOT NULL,"
        " bytes INTEGER NOT NULL, expires_ms INTEGER NOT NULL) WITHOUT ROWID;"
        "CREATE UNIQUE INDEX retained_position ON retained (position, id);"
        "CREATE INDEX retained_expires ON retained (expires_ms) WHERE expires_ms > 0;"
        "CREATE TABLE producer (id INTEGER PRIMARY KEY, owner BLOB NOT NULL, uuid BLOB NOT NULL,"
        " low INTEGER NOT NULL, seqs INTEGER NOT NULL, active_ms INTEGER NOT NULL, UNIQUE (owner, uuid));"
        "CREATE INDEX producer_active ON producer (active_ms);"
        "CREATE TABLE sent (producer INTEGER NOT NULL, seq INTEGER NOT NULL, position INTEGER NOT NULL,"
        " content INTEGER NOT NULL, PRIMARY KEY (producer, seq)) WITHOUT ROWID;"
        "CREATE TABLE record (key BLOB PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL) WITHOUT "
        "ROWID;",
    .tables = tables,
};

static const char *const statements[PIXI_LOG_STATEMENTS] = {
    [PIXI_LOG_PUT_MESSAGE] = "INSERT INTO message VALUES (?,?,?,?,?,?,?,?)",
    [PIXI_LOG_DROP_MESSAGE] = "DELETE FROM message WHERE id = ?",
    [PIXI_LOG_OLDEST] =
        "SELECT id, time_ms, expires_ms, flags, length(topic) + length(headers) + length(payload)"
        " FROM message WHERE id > ? AND id < ? ORDER BY id LIMIT 1",
    [PIXI_LOG_IS_LAST] = "SELECT 1 FROM retained WHERE position = ?",
    [PIXI_LOG_GET_RETAINED] = "SELECT id, bytes FROM retained WHERE topic = ?",
    [PIXI_LOG_PUT_RETAINED] = "INSERT INTO retained VALUES (?,?,?,?,?)",
    [PIXI_LOG_DROP_RETAINED] = "DELETE FROM retained WHERE topic = ?",
    [PIXI_LOG_EXPIRED_RETAINED] = "SELECT topic, id, bytes FROM retained"
                                  " WHERE expires_ms > 0 AND expires_ms <= ? ORDER BY expires_ms LIMIT 1",
    [PIXI_LOG_READ_RETAINED] = "SELECT m.id, m.time_ms, m.expires_ms, m.flags, m.topic, m.headers, m.payload,"
                               " m.origin"
                               " FROM retained r JOIN message m ON m.id = r.id"
                               " WHERE r.position >= ? AND r.position <= ? ORDER BY r.position",
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
    [PIXI_LOG_PUT_WANTED] = "INSERT INTO wanted VALUES (?,?,?,?,?,?,?,?)",
    [PIXI_LOG_GET_WANTED] = "SELECT id, expires_ms, topic, length(topic) + length(headers) + length(payload)"
                            " FROM wanted WHERE id >= ? ORDER BY id",
    [PIXI_LOG_DROP_WANTED] = "DELETE FROM wanted WHERE id = ?",
    [PIXI_LOG_READ_WANTED] =
        "SELECT id, time_ms, expires_ms, flags, topic, headers, payload, origin FROM wanted"
        " WHERE id >= ? AND id <= ? ORDER BY id",
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

/* --- sorting anew -------------------------------------------------------------------------------------------- */

/* SQL: home(topic, id) -- the row's number in the history that has it now; NULL: none. */
static void home(sqlite3_context *ctx, int count, sqlite3_value **value)
{
    const struct pixi_log_db *log = sqlite3_user_data(ctx);
    const void *topic = sqlite3_value_blob(value[0]);
    struct pixi_cur t = pixi_cur_init(topic, (size_t)sqlite3_value_bytes(value[0]));
    unsigned flags = (unsigned)sqlite3_value_int64(value[2]);
    size_t h = t.p == t.end ? PIXI_HISTORIES_MAX : pixi_filters_owner(&log->filters, t, flags);

    (void)count;
    if (h == PIXI_HISTORIES_MAX)
        sqlite3_result_null(ctx);
    else
        sqlite3_result_int64(ctx, pixi_log_row(h, pixi_log_offset(sqlite3_value_int64(value[1]))));
}

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
    int rc =
        sqlite3_prepare_v2(log->db.handle,
                           "INSERT INTO history SELECT ?1, ?2, count(*),"
                           " coalesce(sum(length(topic) + length(headers) + length(payload)), 0), 0, ?3, ?4"
                           " FROM message WHERE id > ?5 AND id < ?6",
                           -1, &s, NULL);

    if (rc == SQLITE_OK)
        rc = pixi_db_bind(s, "ibiiii", (int64_t)h, filter, (int64_t)is->trimmed, (int64_t)is->gap,
                          pixi_log_row(h, 0), pixi_log_row(h + 1, 0));
    if (rc == SQLITE_OK)
        rc = pixi_db_done(s);
    sqlite3_finalize(s);
    return rc;
}

static int put_histories(struct pixi_log_db *log, const struct before *b, bool is_salvaged)
{
    int rc = pixi_db_exec(&log->db, "DELETE FROM history");

    for (size_t h = 0; rc == SQLITE_OK && h <= log->filters.count; h++) {
        struct pixi_cur filter = h < log->filters.count ? log->filters.at[h] : pixi_cur_str("");
        struct pixi_log_history is = {.gap = is_salvaged ? log->now.head : 0};

        look_back(b, filter, &is, log->now.head);
        rc = put_history(log, h, filter, &is);
    }
    return rc;
}

/* Each message to the history that has it now. Those that nothing keeps go; retained ones stay, they have a history
 * always. */
static int move_messages(struct pixi_log_db *log)
{
    int rc = sqlite3_create_function(log->db.handle, "home", 3, SQLITE_UTF8 | SQLITE_DIRECTONLY, log, home,
                                     NULL, NULL);

    if (rc != SQLITE_OK)
        return rc;
    return pixi_db_exec(
        &log->db,
        "CREATE TEMP TABLE moved AS SELECT id AS was, home(topic, id, flags) AS is_now FROM message;"
        "DELETE FROM message WHERE id IN (SELECT was FROM moved WHERE is_now IS NULL);"
        "DELETE FROM moved WHERE is_now IS NULL OR is_now = was;"
        /* By way of negative numbers: no row may stand where another still is. */
        "UPDATE message SET id = -m.is_now FROM moved m WHERE message.id = m.was;"
        "UPDATE message SET id = -id WHERE id < 0;"
        "UPDATE retained SET id = home(topic, id, 1);"
        "DROP TABLE moved;");
}

/* What salvage could not bring together: numbers follow from rows. */
static int count_again(struct pixi_log_db *log)
{
    char sql[320];

    snprintf(sql, sizeof sql,
             "UPDATE log SET head = max(head, (SELECT coalesce(max(id & %lld), 0) FROM message),"
             " (SELECT coalesce(max(position), 0) FROM sent), (SELECT coalesce(max(id), 0) FROM wanted)),"
             " last_version = max(last_version, (SELECT coalesce(max(version), 0) FROM record))",
             (long long)((INT64_C(1) << PIXI_LOG_OFFSET_BITS) - 1));
    return pixi_db_exec(&log->db, sql) == SQLITE_OK
               ? pixi_db_exec(
                     &log->db,
                     "DELETE FROM retained WHERE id NOT IN (SELECT id FROM message);"
                     "DELETE FROM sent WHERE producer NOT IN (SELECT id FROM producer);"
                     "UPDATE producer SET seqs = (SELECT count(*) FROM sent WHERE producer = producer.id);"
                     "UPDATE log SET retained = (SELECT count(*) FROM retained),"
                     " retained_bytes = (SELECT coalesce(sum(bytes), 0) FROM retained),"
                     " producers = (SELECT count(*) FROM producer), seqs = (SELECT count(*) FROM sent),"
                     " records = (SELECT count(*) FROM record), wanted = (SELECT count(*) FROM wanted),"
                     " wanted_bytes = (SELECT coalesce(sum(length(topic) + length(headers) + "
                     "length(payload)),"
                     " 0) FROM wanted);")
               : sqlite3_errcode(log->db.handle);
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

static int load(struct pixi_log_db *log, bool *is_sorted)
{
    bool is_salvaged = log->db.origin == PIXI_DB_SALVAGED, is_new = log->db.origin == PIXI_DB_MADE;
    struct before b = {.bytes = pixi_buf_init(PIXI_HISTORIES_MAX << 16)};
    int rc = is_salvaged ? count_again(log) : SQLITE_OK;

    if (rc == SQLITE_OK)
        rc = load_log(log);
    if (rc == SQLITE_OK)
        rc = read_histories(log, &b);
    if (is_salvaged && rc == SQLITE_CORRUPT)
        rc = SQLITE_OK; /* sorted anew in any case */
    *is_sorted = !is_new && !is_salvaged && !is_same(&log->filters, &b);
    if (rc == SQLITE_OK && (is_new || is_salvaged || *is_sorted)) {
        rc = is_new ? SQLITE_OK : move_messages(log);
        if (rc == SQLITE_OK)
            rc = put_histories(log, &b, is_salvaged);
        pixi_buf_reset(&b.bytes);
        if (rc == SQLITE_OK)
            rc = read_histories(log, &b);
    }
    pixi_buf_clear(&b.bytes);
    return rc;
}

int pixi_log_open(struct pixi_log_db *log, uint64_t new_epoch, const uint8_t hash_key[16], bool *is_sorted)
{
    int rc = pixi_db_exec(&log->db, "BEGIN IMMEDIATE");

    if (rc == SQLITE_OK && log->db.origin != PIXI_DB_FOUND)
        rc = make_log(log, new_epoch, hash_key);
    if (rc == SQLITE_OK)
        rc = load(log, is_sorted);
    if (rc == SQLITE_OK)
        rc = pixi_db_exec(&log->db, "COMMIT");
    for (size_t i = 0; rc == SQLITE_OK && i < PIXI_LOG_STATEMENTS; i++)
        rc = pixi_db_prepare(&log->db, statements[i], &log->statement[i]);
    log->committed = log->now;
    return rc;
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
    for (size_t i = 0; i < PIXI_HISTORIES_MAX; i++)
        sqlite3_finalize(log->read[i]);
    pixi_db_close(&log->db);
}
