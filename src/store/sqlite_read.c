#include "store/sqlite_log.h"

#include "base/topic.h"

#include <stdio.h>

/* Messages looked at before a read ends for this time, so that a rare filter in a long history stalls nobody. */
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

static int give(struct given *g, const struct pixi_msg *msg)
{
    struct pixi_buf *b = &g->read->bytes;
    struct head h;

    g->looks++;
    if (pixi_msg_is_expired(msg, g->read->now_ms) || !pixi_filter_matches(g->read->filter, msg->topic))
        return SQLITE_OK;
    h = (struct head){.time_ms = msg->time_ms,
                      .expires_ms = msg->expires_ms,
                      .offset = msg->pos.offset,
                      .flags = msg->flags,
                      .origin = msg->origin,
                      .topic_len = pixi_cur_left(&msg->topic),
                      .headers_len = pixi_cur_left(&msg->headers),
                      .payload_len = pixi_cur_left(&msg->payload)};
    pixi_buf_put(b, &h, sizeof h);
    pixi_buf_put_cur(b, msg->topic);
    pixi_buf_put_cur(b, msg->headers);
    pixi_buf_put_cur(b, msg->payload);
    g->count++;
    g->bytes += pixi_msg_size(msg);
    return b->err ? SQLITE_NOMEM : SQLITE_OK;
}

/* --- the lines that can hold a match, each at its next message ----------------------------------------------- */

enum kind { OF_HISTORY, FOR_SESSIONS };

struct line {
    size_t line;
    sqlite3_stmt *s; /* NULL: at its end */
    uint64_t from;
    struct pixi_log_walk walk;
};

struct merge {
    enum kind kind;
    struct line at[PIXI_LOG_LINES];
    size_t count;
    size_t looks; /* messages gone through, also those that are not for sessions */
};

/* The next row: SQLITE_OK, also at the end. */
static int next_row(struct line *l)
{
    int rc = sqlite3_step(l->s);

    if (rc == SQLITE_ROW)
        return pixi_log_walk_row(&l->walk, l->s);
    sqlite3_reset(l->s);
    l->s = NULL;
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int advance(struct merge *m, struct line *l)
{
    int rc = SQLITE_OK;

    while (l->s && rc == SQLITE_OK) {
        rc = pixi_log_walk_next(&l->walk);
        if (rc == SQLITE_DONE) {
            rc = next_row(l);
            continue;
        }
        if (rc != SQLITE_ROW)
            break;
        m->looks++;
        rc = SQLITE_OK;
        if (l->walk.msg.pos.offset >= l->from && (m->kind == OF_HISTORY || l->walk.is_wanted))
            break;
    }
    return rc;
}

/* From the segment on that can have the first. */
static const char *const sql[] = {
    [OF_HISTORY] = "SELECT id, last, body, NULL FROM segment WHERE id >= coalesce((SELECT id FROM segment"
                   " WHERE id >= ?1 AND id <= ?2 ORDER BY id DESC LIMIT 1), ?2)"
                   " AND id <= ?3 AND last >= ?4 ORDER BY id",
    /* without its segment a row is damage */
    [FOR_SESSIONS] = "SELECT p.id, s.last, s.body, p.offsets FROM pinned p LEFT JOIN segment s ON s.id = p.id"
                     " WHERE p.id >= coalesce((SELECT id FROM pinned"
                     " WHERE id >= ?1 AND id <= ?2 ORDER BY id DESC LIMIT 1), ?2)"
                     " AND p.id <= ?3 AND (s.last IS NULL OR s.last >= ?4) ORDER BY p.id",
};

static int begin(struct pixi_log_db *log, struct merge *m, size_t line, uint64_t from, uint64_t upto)
{
    struct line *l = &m->at[m->count++];
    sqlite3_stmt **s = &log->read[m->kind][line];
    int rc = *s ? SQLITE_OK : pixi_db_prepare(&log->db, sql[m->kind], s);

    *l = (struct line){.line = line, .from = from};
    if (rc == SQLITE_OK)
        rc = pixi_db_bind(*s, "iiii", pixi_log_row(line, 0), pixi_log_row(line, from),
                          pixi_log_row(line, upto), (int64_t)from);
    if (rc != SQLITE_OK)
        return rc;
    l->s = *s;
    rc = next_row(l);
    return rc == SQLITE_OK ? advance(m, l) : rc;
}

/* The one whose message is next; NULL: there is none. */
static struct line *next_of_all(struct merge *m)
{
    struct line *found = NULL;

    for (struct line *l = m->at; l < m->at + m->count; l++)
        if (l->s && (!found || l->walk.msg.pos.offset < found->walk.msg.pos.offset))
            found = l;
    return found;
}

static void end(struct merge *m)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->at[i].s)
            sqlite3_reset(m->at[i].s);
}

/* Some of it, one at least, as long as rc is SQLITE_OK. */
static int give_some(struct merge *m, struct pixi_log_read *read, int rc)
{
    struct given g = {.read = read};
    struct line *l = rc == SQLITE_OK ? next_of_all(m) : NULL;

    m->looks = 0;
    while (l && l->walk.msg.pos.offset <= read->upto) {
        rc = give(&g, &l->walk.msg);
        if (rc == SQLITE_OK)
            rc = advance(m, l);
        if (rc != SQLITE_OK)
            return rc;
        g.looks = m->looks;
        l = next_of_all(m);
        if (is_enough(&g))
            break;
    }
    read->next = l && l->walk.msg.pos.offset <= read->upto ? l->walk.msg.pos.offset : read->upto + 1;
    return rc;
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
    struct pixi_histories of = pixi_filters_histories(&log->filters, read->filter);
    struct merge m = {.kind = OF_HISTORY};
    uint64_t from;
    int rc = SQLITE_OK;

    if (!(read->flags & PIXI_STORE_SKIP_GAPS) && is_gone(log, &of, read->from)) {
        read->err = PIXI_E_HISTORY;
        return SQLITE_OK;
    }
    for (size_t i = 0; rc == SQLITE_OK && i < of.count; i++) {
        from = log->now.history[of.at[i]].dropped + 1;
        rc = begin(log, &m, of.at[i], read->from > from ? read->from : from, read->upto);
    }
    rc = give_some(&m, read, rc);
    end(&m);
    return rc;
}

static int begin_wanted(struct pixi_log_db *log, struct merge *m, const struct pixi_histories *of,
                        uint64_t from, uint64_t upto)
{
    int rc = SQLITE_OK;

    for (size_t i = 0; rc == SQLITE_OK && i < of->count; i++)
        rc = begin(log, m, of->at[i], from, upto);
    return rc == SQLITE_OK ? begin(log, m, PIXI_LOG_ASIDE, from, upto) : rc;
}

int pixi_log_read_wanted(struct pixi_log_db *log, struct pixi_log_read *read)
{
    struct pixi_histories of = pixi_filters_histories(&log->filters, read->filter);
    struct merge m = {.kind = FOR_SESSIONS};
    int rc;

    if (!(read->flags & PIXI_STORE_SKIP_GAPS) && log->now.wanted_trimmed >= read->from) {
        read->err = PIXI_E_HISTORY;
        return SQLITE_OK;
    }
    rc = give_some(&m, read, begin_wanted(log, &m, &of, read->from, read->upto));
    end(&m);
    return rc;
}

int pixi_log_each_wanted(struct pixi_log_db *log,
                         int (*each)(void *ctx, size_t line, const struct pixi_msg *msg), void *ctx)
{
    struct pixi_histories all = {.count = log->filters.count + 1};
    struct merge m = {.kind = FOR_SESSIONS};
    struct line *l;
    int rc;

    for (size_t i = 0; i < all.count; i++)
        all.at[i] = i;
    rc = begin_wanted(log, &m, &all, 1, log->now.head);
    while (rc == SQLITE_OK && (l = next_of_all(&m))) {
        rc = each(ctx, l->line, &l->walk.msg);
        if (rc == SQLITE_OK)
            rc = advance(&m, l);
    }
    end(&m);
    return rc;
}

/* Columns: position, body. */
static int give_retained(struct given *g, sqlite3_stmt *s)
{
    struct pixi_cur body = pixi_db_column(s, 1);
    struct pixi_msg msg;
    bool was_wanted;

    if (!pixi_log_unpack(&body, &msg, &was_wanted) || msg.pos.offset != (uint64_t)sqlite3_column_int64(s, 0))
        return SQLITE_CORRUPT;
    return give(g, &msg);
}

int pixi_log_read_last(struct pixi_log_db *log, struct pixi_log_read *read)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_READ_RETAINED];
    struct given g = {.read = read};
    int rc = pixi_db_bind(s, "ii", (int64_t)read->from, (int64_t)read->upto);

    read->next = read->upto + 1;
    while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        if (is_enough(&g)) {
            read->next = (uint64_t)sqlite3_column_int64(s, 0);
            rc = SQLITE_DONE;
            break;
        }
        rc = give_retained(&g, s);
    }
    sqlite3_reset(s);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}
