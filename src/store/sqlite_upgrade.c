/* sqlite_upgrade.c -- files of version 1: a row for each message, and one more for each that sessions wanted. A message that
 * was the last of its topic stayed in `message` when its history had dropped it. */
#include "store/sqlite_log.h"

#define MESSAGE_COLUMNS                                                                                      \
    " (id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, flags INTEGER NOT "    \
    "NULL,"                                                                                                  \
    " topic BLOB NOT NULL, headers BLOB NOT NULL, payload BLOB NOT NULL, origin INTEGER NOT NULL);"

const char pixi_log_sql_1[] =
    "CREATE TABLE message" MESSAGE_COLUMNS "CREATE TABLE wanted" MESSAGE_COLUMNS
    "CREATE TABLE retained (topic BLOB PRIMARY KEY, id INTEGER NOT NULL, position INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, expires_ms INTEGER NOT NULL) WITHOUT ROWID;";

const struct pixi_db_table pixi_log_tables_1[] = {
    {"message", "id", PIXI_DB_BY_NUMBER},
    {"wanted", "id", PIXI_DB_BY_NUMBER},
    {"retained", "topic", PIXI_DB_BY_TEXT},
    {NULL, NULL, PIXI_DB_BY_TEXT},
};

/* What the statements below answer with first; then, if anything, whether it is wanted. */
#define COLUMNS "m.id, m.time_ms, m.expires_ms, m.flags, m.topic, m.headers, m.payload, m.origin"

static struct pixi_msg message_of(sqlite3_stmt *s)
{
    return (struct pixi_msg){.pos.offset = pixi_log_offset(sqlite3_column_int64(s, 0)),
                             .time_ms = (uint64_t)sqlite3_column_int64(s, 1),
                             .expires_ms = (uint64_t)sqlite3_column_int64(s, 2),
                             .flags = (unsigned)sqlite3_column_int64(s, 3) & PIXI_MSG_KEPT,
                             .topic = pixi_db_column(s, 4),
                             .headers = pixi_db_column(s, 5),
                             .payload = pixi_db_column(s, 6),
                             .origin = (uint64_t)sqlite3_column_int64(s, 7)};
}

static int add(struct pixi_log_db *log, sqlite3_stmt *s, size_t line, bool is_wanted)
{
    struct pixi_msg msg = message_of(s);

    if (!msg.pos.offset || msg.topic.p == msg.topic.end || line >= PIXI_LOG_LINES)
        return SQLITE_OK; /* damage */
    return pixi_log_segment_add(log, line, &msg, is_wanted);
}

/* Each row of `message` that its history has, or sessions want, in its history. */
static int bring_message(struct pixi_log_db *log, sqlite3_stmt *s)
{
    size_t h = pixi_log_line(sqlite3_column_int64(s, 0));
    bool is_wanted = sqlite3_column_int64(s, 8) != 0;

    if (h >= PIXI_HISTORIES_MAX ||
        (!is_wanted && pixi_log_is_dropped(log, h, pixi_log_offset(sqlite3_column_int64(s, 0)))))
        return SQLITE_OK;
    return add(log, s, h, is_wanted);
}

static int bring_wanted(struct pixi_log_db *log, sqlite3_stmt *s)
{
    return add(log, s, PIXI_LOG_ASIDE, true);
}

static int bring_retained(struct pixi_log_db *log, sqlite3_stmt *s)
{
    struct pixi_msg msg = message_of(s);

    return pixi_log_retained_write(log, &msg);
}

static int bring(struct pixi_log_db *log, const char *sql, int (*each)(struct pixi_log_db *, sqlite3_stmt *))
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(log->db.handle, sql, -1, &s, NULL);

    while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW)
        rc = each(log, s);
    sqlite3_finalize(s);
    rc = rc == SQLITE_DONE ? SQLITE_OK : rc;
    for (size_t line = 0; rc == SQLITE_OK && line < PIXI_LOG_LINES; line++)
        rc = pixi_log_segment_write(log, line);
    return rc;
}

int pixi_log_upgrade(struct pixi_log_db *log)
{
    int64_t tables = 0;
    int rc = pixi_db_int(&log->db, "SELECT count(*) FROM sqlite_schema WHERE name = 'message'", &tables);

    if (rc != SQLITE_OK || !tables)
        return rc;
    rc = bring(log, "SELECT " COLUMNS " FROM retained r JOIN message m ON m.id = r.id", bring_retained);
    /* 144115188075855871: the bits of a row's number that are its offset */
    if (rc == SQLITE_OK)
        rc = bring(log,
                   "SELECT " COLUMNS
                   ", EXISTS (SELECT 1 FROM wanted w WHERE w.id = (m.id & 144115188075855871))"
                   " FROM message m ORDER BY m.id",
                   bring_message);
    if (rc == SQLITE_OK)
        rc = bring(log,
                   "SELECT " COLUMNS " FROM wanted m"
                   " WHERE m.id NOT IN (SELECT id & 144115188075855871 FROM message) ORDER BY m.id",
                   bring_wanted);
    return rc == SQLITE_OK
               ? pixi_db_exec(&log->db, "DROP TABLE message; DROP TABLE wanted; DROP TABLE retained;")
               : rc;
}
