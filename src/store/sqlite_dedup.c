/* sqlite_dedup.c -- idempotency keys as dedup.c has them, in rows. */
#include "store/dedup.h"
#include "store/sqlite_log.h"

enum { FORGOTTEN_MAX = 16 }; /* producers, in one trim */

struct producer {
    int64_t id; /* 0: none */
    uint64_t low, seqs;
};

static int step_once(sqlite3_stmt *s, bool *is_row)
{
    int rc = sqlite3_step(s);

    *is_row = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static struct pixi_cur uuid_of(const struct pixi_msg *msg)
{
    return pixi_cur_init(msg->key.producer, PIXI_PRODUCER_LEN);
}

static int get_producer(struct pixi_log_db *log, const struct pixi_msg *msg, struct producer *out)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_GET_PRODUCER];
    bool is_row = false;
    int rc = pixi_db_bind(s, "bb", msg->key_owner, uuid_of(msg));

    *out = (struct producer){0};
    if (rc == SQLITE_OK)
        rc = step_once(s, &is_row);
    if (is_row)
        *out = (struct producer){sqlite3_column_int64(s, 0), (uint64_t)sqlite3_column_int64(s, 1),
                                 (uint64_t)sqlite3_column_int64(s, 2)};
    sqlite3_reset(s);
    return rc;
}

static int make_producer(struct pixi_log_db *log, const struct pixi_msg *msg, struct producer *out, int *err)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_MAKE_PRODUCER];
    int rc;

    if (log->now.producers >= log->limits.producers) {
        *err = PIXI_E_STORAGE;
        return SQLITE_OK;
    }
    rc = pixi_db_bind(s, "bbi", msg->key_owner, uuid_of(msg), (int64_t)msg->time_ms);
    if (rc == SQLITE_OK)
        rc = pixi_db_done(s);
    out->id = sqlite3_last_insert_rowid(log->db.handle);
    log->now.producers++;
    log->now.is_changed = true;
    return rc;
}

static int raise_low(struct pixi_log_db *log, struct producer *p, uint64_t low)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_DROP_SENT];
    uint64_t count;
    int rc;

    if (low <= p->low)
        return SQLITE_OK;
    rc = pixi_db_bind(s, "ii", p->id, (int64_t)low);
    if (rc == SQLITE_OK)
        rc = pixi_db_done(s);
    if (rc != SQLITE_OK)
        return rc;
    count = (uint64_t)sqlite3_changes(log->db.handle);
    p->low = low;
    p->seqs -= count;
    log->now.seqs -= count;
    log->now.is_changed = true;
    return SQLITE_OK;
}

static int save_producer(struct pixi_log_db *log, const struct producer *p, uint64_t now_ms)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_SET_PRODUCER];
    int rc = pixi_db_bind(s, "iiii", p->id, (int64_t)p->low, (int64_t)p->seqs, (int64_t)now_ms);

    return rc == SQLITE_OK ? pixi_db_done(s) : rc;
}

/* Known: *offset is what it got, *err whether it was the same message. */
static int look_up(struct pixi_log_db *log, const struct pixi_log_place *place, uint64_t *offset, int *err)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_GET_SENT];
    bool is_row = false;
    int rc = pixi_db_bind(s, "ii", place->producer, (int64_t)place->seq);

    if (rc == SQLITE_OK)
        rc = step_once(s, &is_row);
    if (is_row) {
        *offset = (uint64_t)sqlite3_column_int64(s, 0);
        *err = sqlite3_column_int64(s, 1) == place->content ? PIXI_OK : PIXI_E_KEY_REUSED;
    }
    sqlite3_reset(s);
    return rc;
}

static int has_sent(struct pixi_log_db *log, const struct producer *p, uint64_t seq, bool *out)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_GET_SENT];
    int rc = pixi_db_bind(s, "ii", p->id, (int64_t)seq);

    if (rc == SQLITE_OK)
        rc = step_once(s, out);
    sqlite3_reset(s);
    return rc;
}

/* As in dedup.c. */
static int may_come(struct pixi_log_db *log, const struct producer *p, const struct pixi_msg_key *key,
                    bool *out)
{
    int rc = SQLITE_OK;

    *out = !key->after || key->after < p->low; /* p->low is 0 where there is no producer */
    if (!*out && p->id)
        rc = has_sent(log, p, key->after, out);
    if (rc == SQLITE_OK && !*out && p->id)
        rc = has_sent(log, p, key->seq, out);
    return rc;
}

/* The producer, known or new, its low raised. */
static int enter(struct pixi_log_db *log, const struct pixi_msg *msg, struct producer *p, int *err)
{
    bool is_more = false, comes = false;
    int rc = get_producer(log, msg, p);

    if (rc == SQLITE_OK)
        rc = may_come(log, p, &msg->key, &comes);
    if (rc == SQLITE_OK && !comes)
        *err = PIXI_E_AFTER;
    if (rc == SQLITE_OK && !*err && !p->id)
        rc = pixi_log_dedup_trim(log, msg->time_ms, &is_more);
    if (rc == SQLITE_OK && !*err && !p->id)
        rc = make_producer(log, msg, p, err);
    return rc == SQLITE_OK && !*err ? raise_low(log, p, msg->key.low) : rc;
}

int pixi_log_dedup_check(struct pixi_log_db *log, const struct pixi_msg *msg, struct pixi_log_place *place,
                         uint64_t *offset, int *err)
{
    struct producer p;
    int rc;

    *offset = UINT64_MAX;
    *err = msg->key.seq < msg->key.low || msg->key.seq > INT64_MAX ? PIXI_E_RPC_PARAMS : PIXI_OK;
    if (*err)
        return SQLITE_OK;
    rc = enter(log, msg, &p, err);
    if (rc != SQLITE_OK || *err)
        return rc;
    *place = (struct pixi_log_place){p.id, (int64_t)pixi_dedup_content(log->hash_key, msg), msg->key.seq};
    if (msg->key.seq < p.low)
        *err = PIXI_E_RPC_PARAMS;
    else
        rc = look_up(log, place, offset, err);
    if (!*err && *offset == UINT64_MAX) {
        if (p.seqs >= log->limits.seqs_per_producer || log->now.seqs >= log->limits.seqs)
            *err = PIXI_E_STORAGE;
        else
            p.seqs++; /* by pixi_log_dedup_put, or the group is for nothing */
    }
    return rc == SQLITE_OK ? save_producer(log, &p, msg->time_ms) : rc;
}

int pixi_log_dedup_put(struct pixi_log_db *log, const struct pixi_log_place *place, uint64_t offset)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_PUT_SENT];
    int rc = pixi_db_bind(s, "iiii", place->producer, (int64_t)place->seq, (int64_t)offset, place->content);

    if (rc == SQLITE_OK)
        rc = pixi_db_done(s);
    log->now.seqs++;
    log->now.is_changed = true;
    return rc;
}

static int forget(struct pixi_log_db *log, int64_t id)
{
    sqlite3_stmt *sent = log->statement[PIXI_LOG_DROP_ALL_SENT], *s = log->statement[PIXI_LOG_DROP_PRODUCER];
    int rc = pixi_db_bind(sent, "i", id);

    if (rc == SQLITE_OK)
        rc = pixi_db_done(sent);
    if (rc != SQLITE_OK)
        return rc;
    log->now.seqs -= (uint64_t)sqlite3_changes(log->db.handle);
    log->now.producers--;
    log->now.is_changed = true;
    rc = pixi_db_bind(s, "i", id);
    return rc == SQLITE_OK ? pixi_db_done(s) : rc;
}

int pixi_log_dedup_trim(struct pixi_log_db *log, uint64_t now_ms, bool *is_more)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_IDLE_PRODUCER];
    bool is_row = true;
    int64_t id;
    int rc = SQLITE_OK;

    if (now_ms < PIXI_DEDUP_IDLE_MS)
        return SQLITE_OK;
    for (int i = 0; rc == SQLITE_OK && is_row && i < FORGOTTEN_MAX; i++) {
        rc = pixi_db_bind(s, "i", (int64_t)(now_ms - PIXI_DEDUP_IDLE_MS));
        if (rc == SQLITE_OK)
            rc = step_once(s, &is_row);
        id = is_row ? sqlite3_column_int64(s, 0) : 0;
        sqlite3_reset(s);
        if (rc == SQLITE_OK && is_row)
            rc = forget(log, id);
    }
    *is_more = *is_more || is_row;
    return rc;
}
