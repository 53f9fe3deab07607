/* sqlite_segment.c -- segments: filled by a group of writes, written, and what becomes of them when their history has
 * dropped them. */
#include "store/sqlite_log.h"

#include <stdlib.h>

enum {
    RECORD_MORE = 64, /* bytes at most that a message takes in a segment beside its own */
    SMALL = 512,      /* bytes of a segment: shorter is not worth the writing */
};

struct pixi_log_entry *pixi_log_entries_add(struct pixi_log_entries *e)
{
    size_t cap = e->cap ? e->cap * 2 : 64;
    struct pixi_log_entry *more;

    if (e->count == e->cap) {
        more = reallocarray(e->entry, cap, sizeof *more);
        if (!more)
            return NULL;
        e->entry = more;
        e->cap = cap;
    }
    return &e->entry[e->count++];
}

static int put_row(struct pixi_log_db *log, enum pixi_log_statement which, int64_t id, uint64_t last,
                   struct pixi_cur body)
{
    int rc = pixi_db_bind(log->statement[which], "iib", id, (int64_t)last, body);

    if (rc == SQLITE_OK)
        rc = pixi_db_done(log->statement[which]);
    return (rc & 0xff) == SQLITE_CONSTRAINT ? SQLITE_CORRUPT : rc; /* its offsets were given before */
}

/* --- what is wanted of one ----------------------------------------------------------------------------------- */

int pixi_log_pinned_put(struct pixi_log_db *log, int64_t id, const struct pixi_log_pins *pins)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_PUT_PINNED];
    int rc;

    pixi_buf_reset(&log->packed);
    pixi_log_pins_pack(&log->packed, pins, pixi_buf_cur(&log->offsets));
    if (log->offsets.err || log->packed.err)
        return SQLITE_NOMEM;
    rc = pixi_db_bind(s, "ib", id, pixi_buf_cur(&log->packed));
    return rc == SQLITE_OK ? pixi_db_done(s) : rc;
}

int pixi_log_pinned_get(struct pixi_log_db *log, int64_t row, struct pixi_log_pinned *out)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_GET_PINNED];
    int rc = pixi_db_bind(s, "ii", pixi_log_row(pixi_log_line(row), 0), row);

    *out = (struct pixi_log_pinned){0};
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        out->id = sqlite3_column_int64(s, 0);
        pixi_buf_reset(&log->packed);
        pixi_buf_put_cur(&log->packed, pixi_db_column(s, 1));
        rc = log->packed.err ? SQLITE_NOMEM
             : pixi_log_pins_begin(&out->pins, pixi_log_offset(out->id), pixi_buf_cur(&log->packed))
                 ? SQLITE_OK
                 : SQLITE_CORRUPT;
    }
    sqlite3_reset(s);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* What is wanted of a segment: its records into body, its offsets into log->offsets, and where it ends. */
static int copy_wanted(struct pixi_log_db *log, const struct pixi_log_pinned *p, struct pixi_buf *body,
                       uint64_t *last)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_GET_SEGMENT];
    uint64_t before = pixi_log_offset(p->id);
    struct pixi_log_walk w;
    int rc = pixi_db_bind(s, "i", p->id);

    pixi_buf_reset(&log->offsets);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        rc = pixi_log_walk_row(&w, s);
        w.pins = p->pins;
    } else if (rc == SQLITE_DONE) {
        rc = SQLITE_CORRUPT;
    }
    while (rc == SQLITE_OK && (rc = pixi_log_walk_next(&w)) == SQLITE_ROW) {
        rc = SQLITE_OK;
        if (!w.is_wanted)
            continue;
        pixi_buf_put_cur(body, w.record);
        pixi_log_pins_add(&log->offsets, &before, w.msg.pos.offset);
        *last = w.msg.pos.offset;
    }
    sqlite3_reset(s);
    return rc != SQLITE_DONE ? rc : body->err ? SQLITE_NOMEM : SQLITE_OK;
}

/* One message that a session waits for must not keep all that came with it. What is wanted of a segment that its history
 * has dropped takes at most four times its own room, or hardly any. */
static int shrink(struct pixi_log_db *log, const struct pixi_log_pinned *p)
{
    struct pixi_log_pins pins = p->pins;
    struct pixi_buf body = pixi_buf_init(SIZE_MAX);
    int rc;

    if (pins.body_len <= SMALL || (pins.bytes + pins.count * RECORD_MORE) >= pins.body_len / 4)
        return SQLITE_OK;
    rc = copy_wanted(log, p, &body, &pins.last);
    if (rc == SQLITE_OK)
        rc = put_row(log, PIXI_LOG_SET_SEGMENT, p->id, pins.last, pixi_buf_cur(&body));
    pins.body_len = body.len;
    pixi_buf_clear(&body);
    return rc == SQLITE_OK ? pixi_log_pinned_put(log, p->id, &pins) : rc;
}

int pixi_log_segment_dropped(struct pixi_log_db *log, int64_t id, bool may_be_pinned)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_DROP_SEGMENT];
    struct pixi_log_pinned p = {0};
    int rc = may_be_pinned ? pixi_log_pinned_get(log, id, &p) : SQLITE_OK;

    if (rc != SQLITE_OK)
        return rc;
    if (p.id == id)
        return shrink(log, &p);
    rc = pixi_db_bind(s, "i", id);
    return rc == SQLITE_OK ? pixi_db_done(s) : rc;
}

/* --- the one that is being built ----------------------------------------------------------------------------- */

static bool is_needed(const struct pixi_log_db *log, size_t line, const struct pixi_log_entry *e)
{
    return e->is_wanted || !pixi_log_is_dropped(log, line, e->offset);
}

/* Which of the entries from `first` on are wanted. */
static int put_pins(struct pixi_log_db *log, const struct pixi_log_entries *entries, size_t first, int64_t id,
                    uint64_t body_len)
{
    struct pixi_log_pins pins = {.last = entries->entry[entries->count - 1].offset, .body_len = body_len};
    uint64_t before = pixi_log_offset(id);

    pixi_buf_reset(&log->offsets);
    for (size_t i = first; i < entries->count; i++) {
        const struct pixi_log_entry *e = &entries->entry[i];

        if (!e->is_wanted)
            continue;
        pixi_log_pins_add(&log->offsets, &before, e->offset);
        pins.count++;
        pins.bytes += e->bytes;
    }
    return pins.count ? pixi_log_pinned_put(log, id, &pins) : SQLITE_OK;
}

/* The oldest messages are in what was built: now in a row. id 0: nothing had to be written. */
static void keep_oldest(struct pixi_log_db *log, size_t line, int64_t id)
{
    struct pixi_log_oldest *o = line == PIXI_LOG_ASIDE ? NULL : &log->oldest[line];
    struct pixi_log_entries entries;

    if (!o || o->where != PIXI_LOG_BUILT)
        return; /* nothing, or rows before this one */
    entries = o->entries;
    o->entries = log->building[line].entries;
    log->building[line].entries = entries;
    o->id = id;
    o->may_be_pinned = true;
    o->where = o->next < o->entries.count ? PIXI_LOG_STORED : PIXI_LOG_UNKNOWN;
}

void pixi_log_segment_forget(struct pixi_log_db *log, size_t line)
{
    struct pixi_log_segment *seg = &log->building[line];

    seg->entries.count = 0;
    if (seg->body.cap > 2 * PIXI_LOG_SEGMENT_MAX)
        pixi_buf_clear(&seg->body);
    pixi_buf_reset(&seg->body);
}

int pixi_log_segment_write(struct pixi_log_db *log, size_t line)
{
    struct pixi_log_segment *seg = &log->building[line];
    const struct pixi_log_entries *entries = &seg->entries;
    uint64_t last = entries->count ? entries->entry[entries->count - 1].offset : 0;
    struct pixi_cur body = pixi_buf_cur(&seg->body);
    size_t first = 0;
    int64_t id = 0;
    int rc = SQLITE_OK;

    while (first < entries->count && !is_needed(log, line, &entries->entry[first]))
        first++;
    if (first < entries->count) {
        id = pixi_log_row(line, entries->entry[first].offset);
        body.p += entries->entry[first].at;
        rc = put_row(log, PIXI_LOG_PUT_SEGMENT, id, last, body);
        if (rc == SQLITE_OK)
            rc = put_pins(log, entries, first, id, pixi_cur_left(&body));
    }
    keep_oldest(log, line, id);
    pixi_log_segment_forget(log, line);
    /* dropped by the group that brought it */
    return rc == SQLITE_OK && id && line != PIXI_LOG_ASIDE && pixi_log_is_dropped(log, line, last)
               ? pixi_log_segment_dropped(log, id, true)
               : rc;
}

int pixi_log_segment_add(struct pixi_log_db *log, size_t line, const struct pixi_msg *msg, bool is_wanted)
{
    struct pixi_log_segment *seg = &log->building[line];
    struct pixi_log_entry *e;
    int rc;

    if (seg->body.len && seg->body.len + pixi_msg_size(msg) + RECORD_MORE > PIXI_LOG_SEGMENT_MAX &&
        (rc = pixi_log_segment_write(log, line)) != SQLITE_OK)
        return rc;
    e = pixi_log_entries_add(&seg->entries);
    if (!e)
        return SQLITE_NOMEM;
    *e = (struct pixi_log_entry){.offset = msg->pos.offset,
                                 .time_ms = msg->time_ms,
                                 .expires_ms = msg->expires_ms,
                                 .bytes = pixi_msg_size(msg),
                                 .at = seg->body.len,
                                 .is_wanted = is_wanted};
    pixi_log_pack(&seg->body, msg, is_wanted);
    return seg->body.err ? SQLITE_NOMEM : SQLITE_OK;
}
