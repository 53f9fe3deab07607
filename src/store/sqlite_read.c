#include "store/sqlite_log.h"

#include "base/topic.h"

#include <stdio.h>

/* Rows looked at before a read ends for this time, so that a rare filter in a long history stalls nobody. */
enum { LOOKS_MAX = 4096 };

/* What stands before a message's bytes in a read's buffer. */
struct head {
    uint64_t time_ms, expires_ms, offset, flags, origin;
    uint64_t topic_len, headers_len, payload_len;
};

bool pixi_log_next(struct pixi_cur *bytes, struct pixi_msg *msg)
{
    struct pixi_cur head;
    struct head h;

    if (!pixi_cur_cut(bytes, sizeof h, &head))
        return false;
    memcpy(&h, head.p, sizeof h);
    *msg = (struct pixi_msg){.time_ms = h.time_ms,
                             .expires_ms = h.expires_ms,
                             .pos.offset = h.offset,
                             .flags = (unsigned)h.flags,
                             .origin = h.origin};
    return pixi_cur_cut(bytes, h.topic_len, &msg->topic) &&
           pixi_cur_cut(bytes, h.headers_len, &msg->headers) &&
           pixi_cur_cut(bytes, h.payload_len, &msg->payload);
}

/* What has been taken for a reader. */
struct given {
    struct pixi_log_read *read;
    size_t count, bytes, looks;
};

static bool is_enough(const struct given *g)
{
    return g->count >= g->read->max_count || g->bytes >= g->read->max_bytes || g->looks >= LOOKS_MAX;
}

/* Columns of the row: 0 the row's number, time_ms, expires_ms, flags, topic, headers, payload, origin. */
static int give(struct given *g, sqlite3_stmt *s)
{
    struct pixi_buf *b = &g->read->bytes;
    uint64_t expires_ms = (uint64_t)sqlite3_column_int64(s, 2);
    struct pixi_cur topic = pixi_db_column(s, 4), headers, payload;
    struct head h;

    g->looks++;
    if ((expires_ms && expires_ms <= g->read->now_ms) || topic.p == topic.end ||
        !pixi_filter_matches(g->read->filter, topic))
        return SQLITE_OK;
    headers = pixi_db_column(s, 5);
    payload = pixi_db_column(s, 6);
    h = (struct head){.time_ms = (uint64_t)sqlite3_column_int64(s, 1),
                      .expires_ms = expires_ms,
                      .offset = pixi_log_offset(sqlite3_column_int64(s, 0)),
                      .flags = (uint64_t)sqlite3_column_int64(s, 3) & PIXI_MSG_KEPT,
                      .origin = (uint64_t)sqlite3_column_int64(s, 7),
                      .topic_len = pixi_cur_left(&topic),
                      .headers_len = pixi_cur_left(&headers),
                      .payload_len = pixi_cur_left(&payload)};
    pixi_buf_put(b, &h, sizeof h);
    pixi_buf_put_cur(b, topic);
    pixi_buf_put_cur(b, headers);
    pixi_buf_put_cur(b, payload);
    g->count++;
    g->bytes += h.topic_len + h.headers_len + h.payload_len;
    return b->err ? SQLITE_NOMEM : SQLITE_OK;
}

/* The histories that can hold a match, each at its next row. */
struct merge {
    struct pixi_histories of;
    sqlite3_stmt *s[PIXI_HISTORIES_MAX]; /* NULL: at its end */
    uint64_t offset[PIXI_HISTORIES_MAX];
};

static int advance(struct merge *m, size_t i)
{
    int rc = sqlite3_step(m->s[i]);

    if (rc == SQLITE_ROW) {
        m->offset[i] = pixi_log_offset(sqlite3_column_int64(m->s[i], 0));
        return SQLITE_OK;
    }
    sqlite3_reset(m->s[i]);
    m->s[i] = NULL;
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int begin(struct pixi_log_db *log, struct merge *m, size_t i, const struct pixi_log_read *read)
{
    static const char sql[] =
        "SELECT id, time_ms, expires_ms, flags, topic, headers, payload, origin FROM message "
        "WHERE id >= ?1 AND id <= ?2 ORDER BY id";
    size_t h = m->of.at[i];
    uint64_t from = log->now.history[h].dropped + 1;
    int rc = log->read[h] ? SQLITE_OK : pixi_db_prepare(&log->db, sql, &log->read[h]);

    if (read->from > from)
        from = read->from;
    if (rc == SQLITE_OK)
        rc = pixi_db_bind(log->read[h], "ii", pixi_log_row(h, from), pixi_log_row(h, read->upto));
    if (rc != SQLITE_OK)
        return rc;
    m->s[i] = log->read[h];
    return advance(m, i);
}

/* The one whose row is next, or the count: none. */
static size_t next_of_all(const struct merge *m)
{
    size_t found = m->of.count;

    for (size_t i = 0; i < m->of.count; i++)
        if (m->s[i] && (found == m->of.count || m->offset[i] < m->offset[found]))
            found = i;
    return found;
}

static void end(struct merge *m)
{
    for (size_t i = 0; i < m->of.count; i++)
        if (m->s[i])
            sqlite3_reset(m->s[i]);
}

static bool is_gone(const struct pixi_log_db *log, const struct pixi_histories *h, uint64_t from)
{
    for (size_t i = 0; i < h->count; i++)
        if (log->now.history[h->at[i]].trimmed >= from)
            return true;
    return false;
}

int pixi_log_read_history(struct pixi_log_db *log, struct pixi_log_read *read)
{
    struct merge m = {.of = pixi_filters_histories(&log->filters, read->filter)};
    struct given g = {.read = read};
    size_t i;
    int rc = SQLITE_OK;

    if (!(read->flags & PIXI_STORE_SKIP_GAPS) && is_gone(log, &m.of, read->from)) {
        read->err = PIXI_E_HISTORY;
        return SQLITE_OK;
    }
    for (i = 0; rc == SQLITE_OK && i < m.of.count; i++)
        rc = begin(log, &m, i, read);
    while (rc == SQLITE_OK && !is_enough(&g) && (i = next_of_all(&m)) < m.of.count) {
        rc = give(&g, m.s[i]);
        if (rc == SQLITE_OK)
            rc = advance(&m, i);
    }
    i = next_of_all(&m);
    read->next = i < m.of.count ? m.offset[i] : read->upto + 1;
    end(&m);
    return rc;
}

/* Rows of one statement by their offsets. */
static int read_rows(sqlite3_stmt *s, struct pixi_log_read *read)
{
    struct given g = {.read = read};
    int rc = pixi_db_bind(s, "ii", (int64_t)read->from, (int64_t)read->upto);

    read->next = read->upto + 1;
    while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        if (is_enough(&g)) {
            read->next = pixi_log_offset(sqlite3_column_int64(s, 0));
            rc = SQLITE_DONE;
            break;
        }
        rc = give(&g, s);
    }
    sqlite3_reset(s);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int pixi_log_read_last(struct pixi_log_db *log, struct pixi_log_read *read)
{
    return read_rows(log->statement[PIXI_LOG_READ_RETAINED], read);
}

int pixi_log_read_wanted(struct pixi_log_db *log, struct pixi_log_read *read)
{
    if (!(read->flags & PIXI_STORE_SKIP_GAPS) && log->now.wanted_trimmed >= read->from) {
        read->err = PIXI_E_HISTORY;
        return SQLITE_OK;
    }
    return read_rows(log->statement[PIXI_LOG_READ_WANTED], read);
}
