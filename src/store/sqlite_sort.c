/* sqlite_sort.c -- messages sorted anew: the policies are others than last time, or the file was damaged. */
#include "store/sqlite_log.h"

/* A line as it was before, at its next message. */
struct source {
    size_t line;
    sqlite3_stmt *s; /* NULL: at its end */
    uint64_t dropped;
    bool has_pins;
    struct pixi_log_walk walk;
};

struct sort {
    struct pixi_log_db *log;
    struct source source[PIXI_LOG_LINES];
    sqlite3_stmt *drop;
    uint64_t reached; /* offset */
    bool is_salvaged;
};

/* The next row that makes sense, or none. The one before it makes room for those that are written. */
static int next_row(struct sort *t, struct source *from, bool is_first)
{
    int rc = is_first ? SQLITE_OK : pixi_db_bind(t->drop, "i", sqlite3_column_int64(from->s, 0));

    if (rc == SQLITE_OK && !is_first)
        rc = pixi_db_done(t->drop);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(from->s);
    if (rc == SQLITE_DONE) {
        sqlite3_finalize(from->s);
        from->s = NULL;
        return SQLITE_OK;
    }
    if (rc != SQLITE_ROW)
        return rc;
    from->has_pins = true;
    rc = pixi_log_walk_row(&from->walk, from->s);
    if (t->is_salvaged && (rc != SQLITE_OK || !from->walk.pins.next)) {
        from->has_pins = false;
        rc = pixi_log_walk_begin(&from->walk, sqlite3_column_int64(from->s, 0),
                                 (uint64_t)sqlite3_column_int64(from->s, 1), pixi_db_column(from->s, 2),
                                 pixi_cur_str(""))
                 ? SQLITE_OK
                 : SQLITE_CORRUPT;
    }
    return rc;
}

/* Of a damaged row what is before the damage counts; and what was read already does not count again. */
static int advance(struct sort *t, struct source *from)
{
    int rc = SQLITE_OK;

    while (from->s && rc == SQLITE_OK) {
        rc = pixi_log_walk_next(&from->walk);
        if (rc == SQLITE_ROW) {
            rc = SQLITE_OK;
            if (from->walk.msg.pos.offset > t->reached)
                break;
            continue;
        }
        if (rc == SQLITE_DONE || (rc == SQLITE_CORRUPT && t->is_salvaged))
            rc = next_row(t, from, false);
        while (rc == SQLITE_CORRUPT && t->is_salvaged && from->s)
            rc = next_row(t, from, false);
    }
    return rc;
}

static int begin(struct sort *t, size_t line, uint64_t dropped)
{
    static const char sql[] =
        "SELECT s.id, s.last, s.body, p.offsets FROM segment_before s"
        " LEFT JOIN pinned_before p ON p.id = s.id WHERE s.id > ? AND s.id < ? ORDER BY s.id";
    struct source *from = &t->source[line];
    int rc;

    *from = (struct source){.line = line, .dropped = dropped};
    rc = sqlite3_prepare_v2(t->log->db.handle, sql, -1, &from->s, NULL);
    if (rc == SQLITE_OK)
        rc = pixi_db_bind(from->s, "ii", pixi_log_row(line, 0), pixi_log_row(line + 1, 0));
    if (rc == SQLITE_OK)
        rc = next_row(t, from, true);
    while (rc == SQLITE_CORRUPT && t->is_salvaged && from->s)
        rc = next_row(t, from, false);
    return rc == SQLITE_OK ? advance(t, from) : rc;
}

static struct source *next_of_all(struct sort *t)
{
    struct source *found = NULL;

    for (struct source *from = t->source; from < t->source + PIXI_LOG_LINES; from++)
        if (from->s && (!found || from->walk.msg.pos.offset < found->walk.msg.pos.offset))
            found = from;
    return found;
}

/* One message to where it belongs now: a history that it was in, and has a place for it, or those that sessions alone
 * have kept. */
static int place(struct pixi_log_db *log, const struct source *from)
{
    const struct pixi_msg *msg = &from->walk.msg;
    bool is_wanted = from->has_pins ? from->walk.is_wanted : from->walk.was_wanted;
    size_t h = PIXI_HISTORIES_MAX;

    log->now.head = msg->pos.offset > log->now.head ? msg->pos.offset : log->now.head;
    if (is_wanted) {
        log->now.wanted++;
        log->now.wanted_bytes += pixi_msg_size(msg);
    }
    if (from->line != PIXI_LOG_ASIDE && msg->pos.offset > from->dropped)
        h = pixi_filters_owner(&log->filters, msg->topic,
                               is_wanted ? msg->flags | PIXI_MSG_RETAIN : msg->flags);
    if (h == PIXI_HISTORIES_MAX)
        return is_wanted ? pixi_log_segment_add(log, PIXI_LOG_ASIDE, msg, true) : SQLITE_OK;
    log->now.history[h].messages++;
    log->now.history[h].bytes += pixi_msg_size(msg);
    return pixi_log_segment_add(log, h, msg, is_wanted);
}

static int sort_all(struct sort *t)
{
    struct pixi_log_db *log = t->log;
    struct source *from;
    int rc =
        sqlite3_prepare_v2(log->db.handle, "DELETE FROM segment_before WHERE id = ?", -1, &t->drop, NULL);

    for (size_t line = 0; rc == SQLITE_OK && line < PIXI_LOG_LINES; line++)
        rc = begin(t, line, line == PIXI_LOG_ASIDE ? 0 : log->now.history[line].dropped);
    memset(log->now.history, 0, sizeof log->now.history);
    log->now.wanted = log->now.wanted_bytes = 0;
    while (rc == SQLITE_OK && (from = next_of_all(t))) {
        if (from->walk.msg.pos.offset > t->reached)
            rc = place(log, from);
        t->reached = from->walk.msg.pos.offset;
        if (rc == SQLITE_OK)
            rc = advance(t, from);
    }
    for (size_t line = 0; rc == SQLITE_OK && line < PIXI_LOG_LINES; line++)
        rc = pixi_log_segment_write(log, line);
    for (size_t line = 0; line < PIXI_LOG_LINES; line++)
        sqlite3_finalize(t->source[line].s);
    sqlite3_finalize(t->drop);
    return rc;
}

int pixi_log_sort(struct pixi_log_db *log, bool is_salvaged)
{
    struct sort t = {.log = log, .is_salvaged = is_salvaged};
    int rc = pixi_db_exec(&log->db, "ALTER TABLE segment RENAME TO segment_before;"
                                    "ALTER TABLE pinned RENAME TO pinned_before;");

    if (rc == SQLITE_OK)
        rc = pixi_db_exec(&log->db, pixi_log_segments_sql);
    if (rc == SQLITE_OK)
        rc = sort_all(&t);
    return rc == SQLITE_OK ? pixi_db_exec(&log->db, "DROP TABLE segment_before; DROP TABLE pinned_before;")
                           : rc;
}
