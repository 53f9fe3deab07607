#include "store/sqlite_log.h"

enum { LOOKS_MAX = 1000 }; /* in one go, so that others get their turn */

int pixi_log_wanted_put(struct pixi_log_db *log, const struct pixi_msg *msg)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_PUT_WANTED];
    int rc = pixi_db_bind(s, "iiiibbbi", (int64_t)msg->pos.offset, (int64_t)msg->time_ms,
                          (int64_t)msg->expires_ms, (int64_t)(msg->flags & PIXI_MSG_KEPT), msg->topic,
                          msg->headers, msg->payload, (int64_t)msg->origin);

    if (rc == SQLITE_OK)
        rc = pixi_db_done(s);
    log->now.wanted++;
    log->now.wanted_bytes += pixi_msg_size(msg);
    log->now.is_changed = true;
    return rc;
}

struct head {
    uint64_t offset, expires_ms, topic_len;
};

int pixi_log_wanted_look(struct pixi_log_db *log, uint64_t from, struct pixi_buf *out, uint64_t *next)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_GET_WANTED];
    int rc = pixi_db_bind(s, "i", (int64_t)from);

    *next = 0;
    for (unsigned looks = 0; rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW; looks++) {
        struct pixi_cur topic = pixi_db_column(s, 2);
        struct head h = {(uint64_t)sqlite3_column_int64(s, 0), (uint64_t)sqlite3_column_int64(s, 1),
                         pixi_cur_left(&topic)};

        rc = SQLITE_OK;
        if (looks == LOOKS_MAX) {
            *next = h.offset;
            break;
        }
        pixi_buf_put(out, &h, sizeof h);
        pixi_buf_put_cur(out, topic);
    }
    sqlite3_reset(s);
    if (out->err)
        return SQLITE_NOMEM;
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

bool pixi_log_next_wanted(struct pixi_cur *bytes, struct pixi_msg *msg)
{
    struct pixi_cur head;
    struct head h;

    if (!pixi_cur_cut(bytes, sizeof h, &head))
        return false;
    memcpy(&h, head.p, sizeof h);
    *msg = (struct pixi_msg){.pos.offset = h.offset, .expires_ms = h.expires_ms};
    return pixi_cur_cut(bytes, h.topic_len, &msg->topic);
}

/* The row that comes first at or after `from`. *offset 0: there is none. */
static int first(struct pixi_log_db *log, uint64_t from, uint64_t *offset, uint64_t *expires_ms,
                 uint64_t *bytes)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_GET_WANTED];
    int rc = pixi_db_bind(s, "i", (int64_t)from);

    *offset = 0;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        *offset = (uint64_t)sqlite3_column_int64(s, 0);
        *expires_ms = (uint64_t)sqlite3_column_int64(s, 1);
        *bytes = (uint64_t)sqlite3_column_int64(s, 3);
    }
    sqlite3_reset(s);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int drop(struct pixi_log_db *log, uint64_t offset, uint64_t bytes)
{
    sqlite3_stmt *s = log->statement[PIXI_LOG_DROP_WANTED];
    int rc = pixi_db_bind(s, "i", (int64_t)offset);

    if (rc == SQLITE_OK)
        rc = pixi_db_done(s);
    log->now.wanted--;
    log->now.wanted_bytes -= bytes;
    log->now.is_changed = true;
    return rc;
}

int pixi_log_wanted_drop(struct pixi_log_db *log, struct pixi_cur offsets)
{
    uint64_t offset, found, expires_ms, bytes;
    struct pixi_cur one;
    int rc = SQLITE_OK;

    while (rc == SQLITE_OK && pixi_cur_cut(&offsets, sizeof offset, &one)) {
        memcpy(&offset, one.p, sizeof offset);
        rc = first(log, offset, &found, &expires_ms, &bytes);
        if (rc == SQLITE_OK && found == offset)
            rc = drop(log, offset, bytes);
    }
    return rc;
}

int pixi_log_wanted_cut(struct pixi_log_db *log, uint64_t now_ms)
{
    const struct pixi_log_limits *limits = &log->limits;
    uint64_t messages = limits->wanted_messages - limits->wanted_messages / 4,
             size = limits->wanted_bytes - limits->wanted_bytes / 4, offset, expires_ms, bytes;
    int rc = SQLITE_OK;

    while (rc == SQLITE_OK && (log->now.wanted > messages || log->now.wanted_bytes > size)) {
        rc = first(log, 1, &offset, &expires_ms, &bytes);
        if (rc != SQLITE_OK || !offset)
            break;
        if (!expires_ms || expires_ms > now_ms) /* what has expired is nobody's loss */
            log->now.wanted_trimmed = offset;
        rc = drop(log, offset, bytes);
    }
    return rc;
}
