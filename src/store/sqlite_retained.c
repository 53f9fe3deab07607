/* sqlite_retained.c -- the last message of each topic, in rows of their own. */
#include "store/sqlite_log.h"

/* What one counts as, with a message of so many. */
static uint64_t retained_bytes(uint64_t len)
{
    return len + PIXI_SQLITE_STORE_EACH;
}

/* That of a topic; position 0: it has none. */
static int get(struct pixi_log_db *log, struct pixi_cur topic, struct pixi_log_retained *out)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_GET_RETAINED];
    int rc = pixi_db_bind(s, "b", topic);

    *out = (struct pixi_log_retained){0};
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        out->position = sqlite3_column_int64(s, 0);
        out->bytes = (uint64_t)sqlite3_column_int64(s, 1);
    }
    sqlite3_reset(s);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int drop(struct pixi_log_db *log, const struct pixi_log_retained *r)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_DROP_RETAINED];
    int rc = pixi_db_bind(s, "i", r->position);

    log->now.retained--;
    log->now.retained_bytes -= r->bytes;
    log->now.is_changed = true;
    return rc == SQLITE_OK ? pixi_db_done(s) : rc;
}

int pixi_log_retained_expire(struct pixi_log_db *log, uint64_t now_ms, bool *is_found)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_EXPIRED_RETAINED];
    struct pixi_log_retained r = {0};
    int rc = pixi_db_bind(s, "i", (int64_t)now_ms);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    *is_found = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW)
        r = (struct pixi_log_retained){sqlite3_column_int64(s, 0), (uint64_t)sqlite3_column_int64(s, 1)};
    sqlite3_reset(s);
    return rc == SQLITE_ROW ? drop(log, &r) : rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static bool is_within(const struct pixi_log_db *log, const struct pixi_log_retained *was, uint64_t size)
{
    uint64_t count = log->now.retained - (was->position != 0), bytes = log->now.retained_bytes - was->bytes;

    return count < log->limits.retained_count && size <= log->limits.retained_bytes &&
           bytes + size <= log->limits.retained_bytes;
}

int pixi_log_retained_check(struct pixi_log_db *log, const struct pixi_msg *msg,
                            struct pixi_log_retained *was, int *err)
{
    uint64_t size = retained_bytes(pixi_msg_size(msg));
    bool is_found = true;
    int rc = get(log, msg->topic, was);

    while (rc == SQLITE_OK && msg->payload.p != msg->payload.end && !is_within(log, was, size)) {
        rc = pixi_log_retained_expire(log, msg->time_ms, &is_found);
        if (rc == SQLITE_OK && !is_found) {
            *err = PIXI_E_STORAGE;
            break;
        }
        if (rc == SQLITE_OK)
            rc = get(log, msg->topic, was); /* it may have been that one */
    }
    return rc;
}

int pixi_log_retained_write(struct pixi_log_db *log, const struct pixi_msg *msg)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_PUT_RETAINED];
    int rc;

    pixi_buf_reset(&log->packed);
    pixi_log_pack(&log->packed, msg, false);
    if (log->packed.err)
        return SQLITE_NOMEM;
    rc = pixi_db_bind(s, "ibiib", (int64_t)msg->pos.offset, msg->topic,
                      (int64_t)retained_bytes(pixi_msg_size(msg)), (int64_t)msg->expires_ms,
                      pixi_buf_cur(&log->packed));
    return rc == SQLITE_OK ? pixi_db_done(s) : rc;
}

int pixi_log_retained_put(struct pixi_log_db *log, const struct pixi_msg *msg,
                          const struct pixi_log_retained *was)
{
    if (msg->payload.p == msg->payload.end)
        return was->position ? drop(log, was) : SQLITE_OK;
    log->now.retained += !was->position;
    log->now.retained_bytes += retained_bytes(pixi_msg_size(msg)) - was->bytes;
    log->now.is_changed = true;
    return pixi_log_retained_write(log, msg);
}

/* Columns: position, topic, bytes, expires_ms, body. */
static bool is_sound(sqlite3_stmt *s)
{
    struct pixi_cur body = pixi_db_column(s, 4);
    struct pixi_msg msg;
    bool was_wanted;

    return pixi_log_unpack(&body, &msg, &was_wanted) && body.p == body.end &&
           msg.payload.p != msg.payload.end && pixi_cur_equals(msg.topic, pixi_db_column(s, 1)) &&
           msg.pos.offset == (uint64_t)sqlite3_column_int64(s, 0) &&
           retained_bytes(pixi_msg_size(&msg)) == (uint64_t)sqlite3_column_int64(s, 2) &&
           msg.expires_ms == (uint64_t)sqlite3_column_int64(s, 3);
}

int pixi_log_retained_sift(struct pixi_log_db *log)
{
    sqlite3_stmt *s = NULL, *away = log->statement[PIXI_LOG_DROP_RETAINED];
    int rc = sqlite3_prepare_v2(log->db.handle, "SELECT position, topic, bytes, expires_ms, body FROM latest",
                                -1, &s, NULL);

    while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        rc = SQLITE_OK;
        if (is_sound(s))
            continue;
        rc = pixi_db_bind(away, "i", sqlite3_column_int64(s, 0));
        if (rc == SQLITE_OK)
            rc = pixi_db_done(away);
    }
    sqlite3_finalize(s);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}
