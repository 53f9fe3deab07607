#include "store/sqlite_log.h"

enum {
    DROPS_MAX = 5000,  /* in one trim, so that appends get their turn */
    PAGES_SPARE = 256, /* that a file may always have free */
};

/* --- append -------------------------------------------------------------------------------------------------- */

/* What is known of a message before any of it is stored. */
struct plan {
    size_t h; /* PIXI_HISTORIES_MAX: nothing keeps it */
    struct pixi_log_place place;
    struct pixi_log_retained was;
};

static int check(struct pixi_log_db *log, const struct pixi_msg *msg, unsigned flags, struct plan *plan,
                 struct pixi_log_appended *out)
{
    uint64_t before = UINT64_MAX;
    int rc = SQLITE_OK;

    if (msg->flags & PIXI_MSG_KEY) {
        rc = pixi_log_dedup_check(log, msg, &plan->place, &before, &out->err);
        if (before != UINT64_MAX) {
            out->is_known = true;
            out->offset = before;
        }
        if (rc != SQLITE_OK || out->err || out->is_known)
            return rc;
    }
    if (plan->h != PIXI_HISTORIES_MAX && pixi_msg_size(msg) > log->policy[plan->h].max_bytes)
        out->err = PIXI_E_STORAGE;
    else if (flags & PIXI_STORE_WANTED && pixi_msg_size(msg) > log->limits.wanted_bytes)
        out->err = PIXI_E_STORAGE;
    else if (msg->flags & PIXI_MSG_RETAIN)
        rc = pixi_log_retained_check(log, msg, &plan->was, &out->err);
    return rc;
}

int pixi_log_append(struct pixi_log_db *log, const struct pixi_msg *msg, unsigned flags,
                    struct pixi_log_appended *out)
{
    /* what sessions want goes where retained ones do, too, where no policy has it */
    unsigned as = flags & PIXI_STORE_WANTED ? msg->flags | PIXI_MSG_RETAIN : msg->flags;
    struct plan plan = {.h = pixi_filters_owner(&log->filters, msg->topic, as)};
    struct pixi_msg stored = *msg;
    int rc;

    *out = (struct pixi_log_appended){.is_kept = plan.h != PIXI_HISTORIES_MAX};
    rc = check(log, msg, flags, &plan, out);
    if (rc != SQLITE_OK || out->err || out->is_known)
        return rc;
    if (!out->is_kept && !(flags & PIXI_STORE_WANTS_POSITION) && !(msg->flags & PIXI_MSG_KEY))
        return SQLITE_OK;
    stored.pos.offset = out->offset = ++log->now.head;
    log->now.is_changed = true;
    if (out->is_kept)
        rc = pixi_log_history_put(log, plan.h, &stored, flags & PIXI_STORE_WANTED);
    if (flags & PIXI_STORE_WANTED) {
        log->now.wanted++;
        log->now.wanted_bytes += pixi_msg_size(msg);
    }
    if (rc == SQLITE_OK && msg->flags & PIXI_MSG_RETAIN)
        rc = pixi_log_retained_put(log, &stored, &plan.was);
    if (rc == SQLITE_OK && msg->flags & PIXI_MSG_KEY)
        rc = pixi_log_dedup_put(log, &plan.place, out->offset);
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
        rc = pixi_log_history_trim(log, h, now_ms, &left);
    while (rc == SQLITE_OK && is_found && left && left--)
        rc = pixi_log_retained_expire(log, now_ms, &is_found);
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

    for (size_t h = 0; rc == SQLITE_OK && h <= log->filters.count; h++)
        rc = pixi_log_segment_write(log, h);
    if (rc == SQLITE_OK && n->is_changed) {
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
    if (log->packed.cap > 2 * PIXI_LOG_SEGMENT_MAX)
        pixi_buf_clear(&log->packed);
    if (rc != SQLITE_OK) {
        log->now = log->committed;
        for (size_t h = 0; h <= log->filters.count; h++) {
            log->oldest[h].where = PIXI_LOG_UNKNOWN;
            pixi_log_segment_forget(log, h);
        }
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
