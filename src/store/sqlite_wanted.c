/* sqlite_wanted.c -- what is kept for sessions: looked through, and dropped when none of them wants it any more. */
#include "store/sqlite_log.h"

#include <stdlib.h>

enum { LOOKS = 4096 }; /* in one go, so that others get their turn */

struct head {
    struct pixi_log_wanted wanted;
    uint64_t expires_ms, topic_len;
};

/* Those of one segment; *count is more by these. */
static int look_at(sqlite3_stmt *s, struct pixi_buf *out, uint64_t *count)
{
    struct pixi_log_walk w;
    struct head h;
    int rc = pixi_log_walk_row(&w, s);

    while (rc == SQLITE_OK && (rc = pixi_log_walk_next(&w)) == SQLITE_ROW) {
        rc = SQLITE_OK;
        ++*count;
        if (!w.is_wanted)
            continue;
        h = (struct head){
            .wanted = {pixi_log_row(pixi_log_line(sqlite3_column_int64(s, 0)), w.msg.pos.offset),
                       pixi_msg_size(&w.msg)},
            .expires_ms = w.msg.expires_ms,
            .topic_len = pixi_cur_left(&w.msg.topic)};
        pixi_buf_put(out, &h, sizeof h);
        pixi_buf_put_cur(out, w.msg.topic);
    }
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* More the fuller it is: else as many could come meanwhile as are looked at. */
static uint64_t most_looks(const struct pixi_log_db *log)
{
    uint64_t room = log->limits.wanted_messages;

    return LOOKS + LOOKS * (room ? log->now.wanted / room : 0);
}

int pixi_log_wanted_look(struct pixi_log_db *log, int64_t from, struct pixi_buf *out, int64_t *next)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_LOOK_AT_PINNED];
    int rc = pixi_db_bind(s, "i", from);
    uint64_t looks = 0, most = most_looks(log);

    *next = 0;
    while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        if (looks >= most) {
            *next = sqlite3_column_int64(s, 0);
            rc = SQLITE_DONE;
            break;
        }
        rc = look_at(s, out, &looks);
    }
    sqlite3_reset(s);
    if (out->err)
        return SQLITE_NOMEM;
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

bool pixi_log_next_wanted(struct pixi_cur *bytes, struct pixi_log_wanted *wanted, struct pixi_msg *msg)
{
    struct pixi_cur head;
    struct head h;

    if (!pixi_cur_cut(bytes, sizeof h, &head))
        return false;
    memcpy(&h, head.p, sizeof h);
    *wanted = h.wanted;
    *msg = (struct pixi_msg){.pos.offset = pixi_log_offset(h.wanted.row), .expires_ms = h.expires_ms};
    return pixi_cur_cut(bytes, h.topic_len, &msg->topic);
}

/* --- dropping ------------------------------------------------------------------------------------------------ */

/* Those that lie in this segment are not wanted any more: the rest, if it is another than before, is put down. How many
 * lie in it, or did once, is *used. */
static int drop_of(struct pixi_log_db *log, struct pixi_log_pinned *p, const struct pixi_log_wanted *wanted,
                   size_t count, size_t *used)
{
    size_t line = pixi_log_line(p->id);
    uint64_t before = pixi_log_offset(p->id);
    struct pixi_log_pins was = p->pins;

    *used = 0;
    pixi_buf_reset(&log->offsets);
    for (; was.next; pixi_log_pins_next(&was)) {
        while (*used < count && wanted[*used].row < pixi_log_row(line, was.next))
            ++*used;
        if (*used == count || wanted[*used].row != pixi_log_row(line, was.next)) {
            pixi_log_pins_add(&log->offsets, &before, was.next);
            continue;
        }
        p->pins.count--;
        p->pins.bytes -= wanted[*used].bytes;
        log->now.wanted--;
        log->now.wanted_bytes -= wanted[(*used)++].bytes;
        log->now.is_changed = true;
    }
    return log->offsets.err ? SQLITE_NOMEM : SQLITE_OK;
}

static int put_down(struct pixi_log_db *log, const struct pixi_log_pinned *p)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_DROP_PINNED];
    int rc;

    if (p->pins.count) {
        rc = pixi_log_pinned_put(log, p->id, &p->pins);
    } else {
        rc = pixi_db_bind(s, "i", p->id);
        if (rc == SQLITE_OK)
            rc = pixi_db_done(s);
    }
    return rc == SQLITE_OK && pixi_log_is_dropped(log, pixi_log_line(p->id), p->pins.last)
               ? pixi_log_segment_dropped(log, p->id, p->pins.count != 0)
               : rc;
}

int pixi_log_wanted_drop(struct pixi_log_db *log, const struct pixi_log_wanted *wanted, size_t count)
{
    struct pixi_log_pinned p;
    size_t used;
    int rc = SQLITE_OK;

    for (size_t i = 0; rc == SQLITE_OK && i < count; i += used ? used : 1) {
        uint64_t left = log->now.wanted;

        used = 0;
        rc = pixi_log_pinned_get(log, wanted[i].row, &p);
        if (rc == SQLITE_OK && p.id)
            rc = drop_of(log, &p, wanted + i, count - i, &used);
        if (rc == SQLITE_OK && log->now.wanted != left)
            rc = put_down(log, &p);
    }
    return rc;
}

/* --- the oldest ---------------------------------------------------------------------------------------------- */

struct cut {
    struct pixi_buf found;            /* struct pixi_log_wanted */
    uint64_t messages, bytes, now_ms; /* that are left, and when */
    uint64_t max_messages, max_bytes;
    uint64_t trimmed;
};

static int cut_one(void *ctx, size_t line, const struct pixi_msg *msg)
{
    struct cut *c = ctx;
    const struct pixi_log_wanted wanted = {pixi_log_row(line, msg->pos.offset), pixi_msg_size(msg)};

    if (c->messages <= c->max_messages && c->bytes <= c->max_bytes)
        return SQLITE_DONE;
    pixi_buf_put(&c->found, &wanted, sizeof wanted);
    c->messages--;
    c->bytes -= wanted.bytes;
    if (!pixi_msg_is_expired(msg, c->now_ms)) /* what has expired is nobody's loss */
        c->trimmed = msg->pos.offset;
    return c->found.err ? SQLITE_NOMEM : SQLITE_OK;
}

static int by_row(const void *a, const void *b)
{
    int64_t x = ((const struct pixi_log_wanted *)a)->row, y = ((const struct pixi_log_wanted *)b)->row;

    return (x > y) - (x < y);
}

int pixi_log_wanted_cut(struct pixi_log_db *log, uint64_t now_ms)
{
    const struct pixi_log_limits *limits = &log->limits;
    struct cut c = {.found = pixi_buf_init(SIZE_MAX),
                    .messages = log->now.wanted,
                    .bytes = log->now.wanted_bytes,
                    .now_ms = now_ms,
                    .max_messages = limits->wanted_messages - limits->wanted_messages / 4,
                    .max_bytes = limits->wanted_bytes - limits->wanted_bytes / 4,
                    .trimmed = log->now.wanted_trimmed};
    struct pixi_log_wanted *found;
    size_t count;
    int rc = SQLITE_OK;

    for (size_t h = 0; rc == SQLITE_OK && h <= log->filters.count; h++)
        rc = pixi_log_segment_write(log, h); /* what came with this group can go, too */
    if (rc == SQLITE_OK)
        rc = pixi_log_each_wanted(log, cut_one, &c);
    found = (struct pixi_log_wanted *)(void *)c.found.bytes;
    count = c.found.len / sizeof *found;
    if (count)
        qsort(found, count, sizeof *found, by_row);
    if (rc == SQLITE_OK || rc == SQLITE_DONE)
        rc = pixi_log_wanted_drop(log, found, count);
    log->now.wanted_trimmed = c.trimmed;
    log->now.is_changed = true;
    pixi_buf_clear(&c.found);
    return rc;
}
