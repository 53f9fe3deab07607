/* sqlite_history.c -- histories: what comes, and the oldest that go for it. */
#include "store/sqlite_log.h"

static struct pixi_log_entries *entries_of(struct pixi_log_db *log, size_t h)
{
    return log->oldest[h].where == PIXI_LOG_BUILT ? &log->building[h].entries : &log->oldest[h].entries;
}

/* The row's messages that the history has not dropped. */
static int read_entries(struct pixi_log_db *log, size_t h, sqlite3_stmt *s, struct pixi_log_entries *out)
{
    struct pixi_log_entry *e;
    struct pixi_log_walk w;
    int rc = pixi_log_walk_row(&w, s);

    out->count = 0;
    while (rc == SQLITE_OK && (rc = pixi_log_walk_next(&w)) == SQLITE_ROW) {
        rc = SQLITE_OK;
        if (pixi_log_is_dropped(log, h, w.msg.pos.offset))
            continue;
        e = pixi_log_entries_add(out);
        if (!e)
            return SQLITE_NOMEM;
        *e = (struct pixi_log_entry){.offset = w.msg.pos.offset,
                                     .time_ms = w.msg.time_ms,
                                     .expires_ms = w.msg.expires_ms,
                                     .bytes = pixi_msg_size(&w.msg)};
    }
    return rc == SQLITE_DONE && out->count ? SQLITE_OK : rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

/* It has messages. */
static int find_oldest(struct pixi_log_db *log, size_t h)
{
    struct pixi_log_oldest *o = &log->oldest[h];
    uint64_t dropped = log->now.history[h].dropped;
    sqlite3_stmt *s = log->statement[PIXI_LOG_OLDEST];
    int rc = pixi_db_bind(s, "iiii", pixi_log_row(h, 0), pixi_log_row(h, dropped + 1), pixi_log_row(h + 1, 0),
                          (int64_t)dropped);

    o->next = 0;
    o->where = PIXI_LOG_UNKNOWN;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        o->id = sqlite3_column_int64(s, 0);
        o->may_be_pinned = sqlite3_column_int64(s, 4) != 0;
        rc = read_entries(log, h, s, &o->entries);
        o->where = rc == SQLITE_OK ? PIXI_LOG_STORED : PIXI_LOG_UNKNOWN;
    } else if (rc == SQLITE_DONE) {
        o->where = PIXI_LOG_BUILT;
        while (o->next < entries_of(log, h)->count &&
               pixi_log_is_dropped(log, h, entries_of(log, h)->entry[o->next].offset))
            o->next++;
        rc = o->next < entries_of(log, h)->count ? SQLITE_OK : SQLITE_CORRUPT;
    }
    sqlite3_reset(s);
    return rc;
}

static int drop_oldest(struct pixi_log_db *log, size_t h, uint64_t now_ms)
{
    struct pixi_log_history *history = &log->now.history[h];
    struct pixi_log_oldest *o = &log->oldest[h];
    const struct pixi_log_entry *e = &entries_of(log, h)->entry[o->next++];

    if (!e->expires_ms || e->expires_ms > now_ms) /* what has expired is nobody's loss */
        history->trimmed = e->offset;
    history->dropped = e->offset;
    history->bytes -= e->bytes;
    history->messages--;
    history->is_changed = true;
    if (o->where == PIXI_LOG_BUILT || o->next < o->entries.count)
        return SQLITE_OK;
    o->where = PIXI_LOG_UNKNOWN;
    return pixi_log_segment_dropped(log, o->id, o->may_be_pinned);
}

static bool is_over(const struct pixi_log_entry *e, const struct pixi_policy *p, uint64_t now_ms)
{
    return (e->expires_ms && e->expires_ms <= now_ms) ||
           (p->max_age_s && e->time_ms + p->max_age_s * 1000 <= now_ms);
}

/* Drops the oldest until `count` messages of `bytes` more fit, and none is over the age; *left is how many it may
 * drop. */
static int make_room(struct pixi_log_db *log, size_t h, uint64_t count, uint64_t bytes, uint64_t now_ms,
                     uint64_t *left)
{
    const struct pixi_log_history *history = &log->now.history[h];
    const struct pixi_log_oldest *o = &log->oldest[h];
    const struct pixi_policy *p = &log->policy[h];
    int rc = SQLITE_OK;

    while (rc == SQLITE_OK && history->messages && *left) {
        if (o->where == PIXI_LOG_UNKNOWN && (rc = find_oldest(log, h)) != SQLITE_OK)
            break;
        if (history->messages + count <= p->max_messages && history->bytes + bytes <= p->max_bytes &&
            !is_over(&entries_of(log, h)->entry[o->next], p, now_ms))
            break;
        rc = drop_oldest(log, h, now_ms);
        --*left;
    }
    return rc;
}

int pixi_log_history_trim(struct pixi_log_db *log, size_t h, uint64_t now_ms, uint64_t *left)
{
    return make_room(log, h, 0, 0, now_ms, left);
}

int pixi_log_history_put(struct pixi_log_db *log, size_t h, const struct pixi_msg *msg, bool is_wanted)
{
    struct pixi_log_history *history = &log->now.history[h];
    uint64_t left = UINT64_MAX;
    int rc = make_room(log, h, 1, pixi_msg_size(msg), msg->time_ms, &left);

    if (rc == SQLITE_OK)
        rc = pixi_log_segment_add(log, h, msg, is_wanted);
    if (rc != SQLITE_OK)
        return rc;
    history->messages++;
    history->bytes += pixi_msg_size(msg);
    history->is_changed = true;
    return SQLITE_OK;
}
