#include "store/sqlite_log.h"

enum {
    DROPS_MAX = 5000,  /* in one trim, so that appends get their turn */
    PAGES_SPARE = 256, /* that a file may always have free */
};

static sqlite3_stmt *bound(struct pixi_log_db *log, enum pixi_log_statement which, int64_t value)
{
    pixi_db_bind(log->statement[which], "i", value);
    return log->statement[which];
}

/* --- histories ----------------------------------------------------------------------------------------------- */

static int find_oldest(struct pixi_log_db *log, size_t h)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_OLDEST];
    int rc = pixi_db_bind(s, "ii", pixi_log_row(h, log->now.history[h].dropped), pixi_log_row(h + 1, 0));

    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        log->oldest[h] = (struct pixi_log_oldest){
            .is_known = true,
            .row = sqlite3_column_int64(s, 0),
            .time_ms = (uint64_t)sqlite3_column_int64(s, 1),
            .expires_ms = (uint64_t)sqlite3_column_int64(s, 2),
            .flags = (unsigned)sqlite3_column_int64(s, 3),
            .bytes = (uint64_t)sqlite3_column_int64(s, 4),
        };
        rc = SQLITE_OK;
    } else if (rc == SQLITE_DONE) {
        rc = SQLITE_CORRUPT; /* there are messages in it */
    }
    sqlite3_reset(s);
    return rc;
}

/* Is this row the last retained of its topic? */
static int is_last(struct pixi_log_db *log, int64_t row, bool *out)
{
    sqlite3_stmt *s = bound(log, PIXI_LOG_IS_LAST, (int64_t)pixi_log_offset(row));
    int rc = sqlite3_step(s);

    *out = rc == SQLITE_ROW;
    sqlite3_reset(s);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int drop_row(struct pixi_log_db *log, int64_t row)
{
    return pixi_db_done(bound(log, PIXI_LOG_DROP_MESSAGE, row));
}

static int drop_oldest(struct pixi_log_db *log, size_t h, uint64_t now_ms)
{
    struct pixi_log_history *history = &log->now.history[h];
    struct pixi_log_oldest *o = &log->oldest[h];
    uint64_t offset = pixi_log_offset(o->row);
    bool stays = false;
    int rc = o->flags & PIXI_MSG_RETAIN ? is_last(log, o->row, &stays) : SQLITE_OK;

    if (rc == SQLITE_OK && !stays)
        rc = drop_row(log, o->row);
    if (rc != SQLITE_OK)
        return rc;
    if (!o->expires_ms || o->expires_ms > now_ms) /* what has expired is nobody's loss */
        history->trimmed = offset;
    history->dropped = offset;
    history->bytes -= o->bytes;
    history->messages--;
    history->is_changed = true;
    o->is_known = false;
    return SQLITE_OK;
}

static bool is_over(const struct pixi_log_oldest *o, const struct pixi_policy *p, uint64_t now_ms)
{
    return (o->expires_ms && o->expires_ms <= now_ms) ||
           (p->max_age_s && o->time_ms + p->max_age_s * 1000 <= now_ms);
}

/* Drops the oldest until `count` messages of `bytes` more fit, and none is over the age; *left is how many it may
 * drop. */
static int make_room(struct pixi_log_db *log, size_t h, uint64_t count, uint64_t bytes, uint64_t now_ms,
                     uint64_t *left)
{
    const struct pixi_log_history *history = &log->now.history[h];
    const struct pixi_policy *p = &log->policy[h];
    int rc = SQLITE_OK;

    while (rc == SQLITE_OK && history->messages && *left) {
        if (!log->oldest[h].is_known && (rc = find_oldest(log, h)) != SQLITE_OK)
            break;
        if (history->messages + count <= p->max_messages && history->bytes + bytes <= p->max_bytes &&
            !is_over(&log->oldest[h], p, now_ms))
            break;
        rc = drop_oldest(log, h, now_ms);
        --*left;
    }
    return rc;
}

static int put_message(struct pixi_log_db *log, size_t h, const struct pixi_msg *msg)
{
    struct pixi_log_history *history = &log->now.history[h];
    sqlite3_stmt *s = log->statement[PIXI_LOG_PUT_MESSAGE];
    uint64_t left = UINT64_MAX;
    int rc = make_room(log, h, 1, pixi_msg_size(msg), msg->time_ms, &left);

    if (rc == SQLITE_OK)
        rc = pixi_db_bind(s, "iiiibbbi", pixi_log_row(h, msg->pos.offset), (int64_t)msg->time_ms,
                          (int64_t)msg->expires_ms, (int64_t)(msg->flags & PIXI_MSG_KEPT), msg->topic,
                          msg->headers, msg->payload, (int64_t)msg->origin);
    if (rc == SQLITE_OK)
        rc = pixi_db_done(s);
    if (rc != SQLITE_OK)
        return rc;
    history->messages++;
    history->bytes += pixi_msg_size(msg);
    history->is_changed = true;
    return SQLITE_OK;
}

/* --- retained ------------------------------------------------------------------------------------------------ */

static uint64_t retained_size(uint64_t len)
{
    return len + PIXI_SQLITE_STORE_EACH;
}

struct retained {
    int64_t row; /* 0: none */
    uint64_t bytes;
};

static int get_retained(struct pixi_log_db *log, struct pixi_cur topic, struct retained *out)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_GET_RETAINED];
    int rc = pixi_db_bind(s, "b", topic);

    *out = (struct retained){0};
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        out->row = sqlite3_column_int64(s, 0);
        out->bytes = (uint64_t)sqlite3_column_int64(s, 1);
    }
    sqlite3_reset(s);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* It is not the last of its topic any more: the row goes unless its history has it. */
static int forget_retained(struct pixi_log_db *log, const struct retained *r)
{
    size_t h = (size_t)((uint64_t)r->row >> PIXI_LOG_OFFSET_BITS);

    log->now.retained--;
    log->now.retained_bytes -= r->bytes;
    log->now.is_changed = true;
    if (h >= PIXI_HISTORIES_MAX)
        return SQLITE_CORRUPT;
    return pixi_log_offset(r->row) <= log->now.history[h].dropped ? drop_row(log, r->row) : SQLITE_OK;
}

static int drop_retained(struct pixi_log_db *log, struct pixi_cur topic, const struct retained *r)
{
    int rc = pixi_db_bind(log->statement[PIXI_LOG_DROP_RETAINED], "b", topic);

    if (rc == SQLITE_OK)
        rc = pixi_db_done(log->statement[PIXI_LOG_DROP_RETAINED]);
    return rc == SQLITE_OK ? forget_retained(log, r) : rc;
}

/* Removes one that has expired; *is_found: there was one. */
static int drop_expired(struct pixi_log_db *log, uint64_t now_ms, bool *is_found)
{
    sqlite3_stmt *s = bound(log, PIXI_LOG_EXPIRED_RETAINED, (int64_t)now_ms);
    int rc = sqlite3_step(s);

    *is_found = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW) {
        struct retained r = {sqlite3_column_int64(s, 1), (uint64_t)sqlite3_column_int64(s, 2)};

        rc = drop_retained(log, pixi_db_column(s, 0), &r);
    }
    sqlite3_reset(s);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static bool is_within(const struct pixi_log_db *log, const struct retained *old, uint64_t size)
{
    uint64_t count = log->now.retained - (old->row != 0), bytes = log->now.retained_bytes - old->bytes;

    return count < log->limits.retained_count && size <= log->limits.retained_bytes &&
           bytes + size <= log->limits.retained_bytes;
}

/* Is there room for it beside the others, now or once those that have expired are gone? */
static int check_retained(struct pixi_log_db *log, const struct pixi_msg *msg, int *err)
{
    uint64_t size = retained_size(pixi_msg_size(msg));
    struct retained old;
    bool is_found = true;
    int rc = SQLITE_OK;

    while (msg->payload.p != msg->payload.end) {
        rc = get_retained(log, msg->topic, &old);
        if (rc != SQLITE_OK || is_within(log, &old, size))
            return rc;
        rc = drop_expired(log, msg->time_ms, &is_found);
        if (rc != SQLITE_OK)
            return rc;
        if (!is_found) {
            *err = PIXI_E_STORAGE;
            break;
        }
    }
    return rc;
}

static int put_retained(struct pixi_log_db *log, size_t h, const struct pixi_msg *msg)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_PUT_RETAINED];
    uint64_t size = retained_size(pixi_msg_size(msg));
    struct retained old;
    int rc = get_retained(log, msg->topic, &old);

    if (rc != SQLITE_OK)
        return rc;
    if (old.row && (rc = drop_retained(log, msg->topic, &old)) != SQLITE_OK)
        return rc;
    if (msg->payload.p == msg->payload.end)
        return SQLITE_OK;
    rc = pixi_db_bind(s, "biiii", msg->topic, pixi_log_row(h, msg->pos.offset), (int64_t)msg->pos.offset,
                      (int64_t)size, (int64_t)msg->expires_ms);
    if (rc == SQLITE_OK)
        rc = pixi_db_done(s);
    log->now.retained++;
    log->now.retained_bytes += size;
    log->now.is_changed = true;
    return rc;
}

/* --- append -------------------------------------------------------------------------------------------------- */

static int check(struct pixi_log_db *log, const struct pixi_msg *msg, unsigned flags, size_t h,
                 struct pixi_log_place *place, struct pixi_log_appended *out)
{
    uint64_t before = UINT64_MAX;
    int rc = SQLITE_OK;

    if (msg->flags & PIXI_MSG_KEY) {
        rc = pixi_log_dedup_check(log, msg, place, &before, &out->err);
        if (before != UINT64_MAX) {
            out->is_known = true;
            out->offset = before;
        }
        if (rc != SQLITE_OK || out->err || out->is_known)
            return rc;
    }
    if (h != PIXI_HISTORIES_MAX && pixi_msg_size(msg) > log->policy[h].max_bytes)
        out->err = PIXI_E_STORAGE;
    else if (flags & PIXI_STORE_WANTED && pixi_msg_size(msg) > log->limits.wanted_bytes)
        out->err = PIXI_E_STORAGE;
    else if (msg->flags & PIXI_MSG_RETAIN)
        rc = check_retained(log, msg, &out->err);
    return rc;
}

int pixi_log_append(struct pixi_log_db *log, const struct pixi_msg *msg, unsigned flags,
                    struct pixi_log_appended *out)
{
    /* what sessions want goes where retained ones do, too, where no policy has it */
    unsigned as = flags & PIXI_STORE_WANTED ? msg->flags | PIXI_MSG_RETAIN : msg->flags;
    size_t h = pixi_filters_owner(&log->filters, msg->topic, as);
    struct pixi_msg stored = *msg;
    struct pixi_log_place place = {0};
    int rc;

    *out = (struct pixi_log_appended){.is_kept = h != PIXI_HISTORIES_MAX};
    rc = check(log, msg, flags, h, &place, out);
    if (rc != SQLITE_OK || out->err || out->is_known)
        return rc;
    if (!out->is_kept && !(flags & PIXI_STORE_WANTS_POSITION) && !(msg->flags & PIXI_MSG_KEY))
        return SQLITE_OK;
    stored.pos.offset = out->offset = ++log->now.head;
    log->now.is_changed = true;
    if (out->is_kept)
        rc = put_message(log, h, &stored);
    if (rc == SQLITE_OK && flags & PIXI_STORE_WANTED)
        rc = pixi_log_wanted_put(log, &stored);
    if (rc == SQLITE_OK && msg->flags & PIXI_MSG_RETAIN)
        rc = put_retained(log, h, &stored);
    if (rc == SQLITE_OK && msg->flags & PIXI_MSG_KEY)
        rc = pixi_log_dedup_put(log, &place, out->offset);
    return rc;
}

/* --- the rest ------------------------------------------------------------------------------------------------ */

/* Free pages go back to the system, some at a time, once they are more than a quarter. */
static int give_back(struct pixi_log_db *log, bool *is_more)
{
    int64_t spare, pages;
    int rc;

    if ((rc = pixi_db_int(&log->db, "PRAGMA freelist_count", &spare)) != SQLITE_OK ||
        (rc = pixi_db_int(&log->db, "PRAGMA page_count", &pages)) != SQLITE_OK)
        return rc;
    if (spare < PAGES_SPARE || spare <= pages / 4)
        return SQLITE_OK;
    *is_more = true;
    return pixi_db_exec(&log->db, "PRAGMA incremental_vacuum(1000)");
}

int pixi_log_trim(struct pixi_log_db *log, uint64_t now_ms, bool *is_more)
{
    uint64_t left = DROPS_MAX;
    bool is_found = true;
    int rc = SQLITE_OK;

    for (size_t h = 0; rc == SQLITE_OK && h <= log->filters.count; h++)
        rc = make_room(log, h, 0, 0, now_ms, &left);
    while (rc == SQLITE_OK && is_found && left && left--)
        rc = drop_expired(log, now_ms, &is_found);
    *is_more = left == 0;
    if (rc == SQLITE_OK)
        rc = pixi_log_dedup_trim(log, now_ms, is_more);
    return rc == SQLITE_OK ? give_back(log, is_more) : rc;
}

int pixi_log_finish(struct pixi_log_db *log)
{
    const struct pixi_log_state *n = &log->now;
    sqlite3_stmt *s = log->statement[PIXI_LOG_SET_LOG];
    int rc = SQLITE_OK;

    if (n->is_changed) {
        rc = pixi_db_bind(s, "iiiiiiiiii", (int64_t)n->head, (int64_t)n->last_version, (int64_t)n->retained,
                          (int64_t)n->retained_bytes, (int64_t)n->producers, (int64_t)n->seqs,
                          (int64_t)n->records, (int64_t)n->wanted, (int64_t)n->wanted_bytes,
                          (int64_t)n->wanted_trimmed);
        if (rc == SQLITE_OK)
            rc = pixi_db_done(s);
    }
    s = log->statement[PIXI_LOG_SET_HISTORY];
    for (size_t h = 0; rc == SQLITE_OK && h <= log->filters.count; h++) {
        const struct pixi_log_history *history = &n->history[h];

        if (!history->is_changed)
            continue;
        rc = pixi_db_bind(s, "iiiii", (int64_t)h, (int64_t)history->messages, (int64_t)history->bytes,
                          (int64_t)history->dropped, (int64_t)history->trimmed);
        if (rc == SQLITE_OK)
            rc = pixi_db_done(s);
    }
    return rc;
}

void pixi_log_ended(struct pixi_log_db *log, int rc)
{
    if (rc != SQLITE_OK) {
        log->now = log->committed;
        memset(log->oldest, 0, sizeof log->oldest);
        return;
    }
    log->now.is_changed = false;
    for (size_t h = 0; h <= log->filters.count; h++)
        log->now.history[h].is_changed = false;
    log->committed = log->now;
}

int pixi_log_probe(struct pixi_log_db *log)
{
    return pixi_db_done(log->statement[PIXI_LOG_PROBE]);
}

int pixi_log_get(struct pixi_log_db *log, struct pixi_cur key, struct pixi_buf *value, uint64_t *version)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_GET_RECORD];
    int rc = pixi_db_bind(s, "b", key);

    *version = 0;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        pixi_buf_put_cur(value, pixi_db_column(s, 0));
        *version = (uint64_t)sqlite3_column_int64(s, 1);
    }
    sqlite3_reset(s);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int check_record(const struct pixi_log_db *log, const struct pixi_record *record, uint64_t is)
{
    if (record->version != PIXI_RECORD_ANY && record->version != is)
        return PIXI_E_KEY_REUSED;
    if (pixi_cur_left(&record->key) > PIXI_RECORD_KEY_MAX || pixi_cur_left(&record->value) > PIXI_RECORD_MAX)
        return PIXI_E_STORAGE;
    return record->value.p != record->value.end && !is && log->now.records >= log->limits.records
               ? PIXI_E_STORAGE
               : PIXI_OK;
}

int pixi_log_put(struct pixi_log_db *log, const struct pixi_record *record, int *err)
{
    bool is_removal = record->value.p == record->value.end;
    sqlite3_stmt *s = log->statement[is_removal ? PIXI_LOG_DROP_RECORD : PIXI_LOG_PUT_RECORD];
    struct pixi_buf none = pixi_buf_init(0);
    uint64_t is;
    int rc = pixi_log_get(log, record->key, &none, &is);

    if (rc != SQLITE_OK || (*err = check_record(log, record, is)) != PIXI_OK || (is_removal && !is))
        return rc;
    rc = is_removal
             ? pixi_db_bind(s, "b", record->key)
             : pixi_db_bind(s, "bbi", record->key, record->value, (int64_t)(log->now.last_version + 1));
    if (rc == SQLITE_OK)
        rc = pixi_db_done(s);
    log->now.records += (is == 0) - (uint64_t)is_removal;
    log->now.last_version += !is_removal;
    log->now.is_changed = true;
    return rc;
}

struct record_head {
    uint64_t key_len, value_len, version;
};

int pixi_log_list(struct pixi_log_db *log, struct pixi_cur prefix, struct pixi_buf *out)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_LIST_RECORDS];
    size_t len = pixi_cur_left(&prefix);
    int rc = pixi_db_bind(s, "b", prefix);

    while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        struct pixi_cur key = pixi_db_column(s, 0), value = pixi_db_column(s, 1);
        struct record_head h = {pixi_cur_left(&key), pixi_cur_left(&value),
                                (uint64_t)sqlite3_column_int64(s, 2)};

        rc = SQLITE_OK;
        if (h.key_len < len || memcmp(key.p, prefix.p, len) != 0)
            break; /* behind the last that begins so */
        pixi_buf_put(out, &h, sizeof h);
        pixi_buf_put_cur(out, key);
        pixi_buf_put_cur(out, value);
    }
    sqlite3_reset(s);
    if (out->err)
        return SQLITE_NOMEM;
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

bool pixi_log_next_record(struct pixi_cur *bytes, struct pixi_record *record)
{
    struct pixi_cur head;
    struct record_head h;

    if (!pixi_cur_cut(bytes, sizeof h, &head))
        return false;
    memcpy(&h, head.p, sizeof h);
    record->version = h.version;
    return pixi_cur_cut(bytes, h.key_len, &record->key) && pixi_cur_cut(bytes, h.value_len, &record->value);
}
