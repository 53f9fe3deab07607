/* sqlite_log.h -- the log as the store's thread sees it: rows in SQLite. For src/store/sqlite*.c.
 *
 * A message's row has the number history << 57 | offset, so that each history lies in one piece, by offset. A
 * message that its history has dropped stays while it is the last retained one of its topic. */
#ifndef PIXI_STORE_SQLITE_LOG_H
#define PIXI_STORE_SQLITE_LOG_H

#include "sqlite/db.h"
#include "store/sqlite.h"

enum { PIXI_LOG_OFFSET_BITS = 57 };

static inline int64_t pixi_log_row(size_t history, uint64_t offset)
{
    return (int64_t)((uint64_t)history << PIXI_LOG_OFFSET_BITS | offset);
}

static inline uint64_t pixi_log_offset(int64_t row)
{
    return (uint64_t)row & ((UINT64_C(1) << PIXI_LOG_OFFSET_BITS) - 1);
}

/* One history: what a group of writes may change, and a failed one restores. */
struct pixi_log_history {
    uint64_t messages, bytes;
    uint64_t dropped; /* every message up to this offset is out of it */
    uint64_t trimmed; /* the highest of them that went before its expiry */
    uint64_t
        gap; /* up to here some may be missing that never went: not kept then, or not saved of a damaged file */
    bool is_changed; /* since the last commit */
};

struct pixi_log_state {
    uint64_t head, last_version;
    uint64_t retained, retained_bytes, producers, seqs, records;
    uint64_t wanted, wanted_bytes;
    uint64_t wanted_trimmed; /* the highest that went although it may have been wanted */
    struct pixi_log_history history[PIXI_HISTORIES_MAX];
    bool is_changed;
};

/* The oldest message of a history, as long as it is known. */
struct pixi_log_oldest {
    bool is_known;
    int64_t row;
    uint64_t time_ms, expires_ms, bytes;
    unsigned flags;
};

enum pixi_log_statement {
    PIXI_LOG_PUT_MESSAGE,
    PIXI_LOG_DROP_MESSAGE,
    PIXI_LOG_OLDEST,
    PIXI_LOG_IS_LAST,
    PIXI_LOG_GET_RETAINED,
    PIXI_LOG_PUT_RETAINED,
    PIXI_LOG_DROP_RETAINED,
    PIXI_LOG_EXPIRED_RETAINED,
    PIXI_LOG_READ_RETAINED,
    PIXI_LOG_GET_PRODUCER,
    PIXI_LOG_MAKE_PRODUCER,
    PIXI_LOG_SET_PRODUCER,
    PIXI_LOG_DROP_PRODUCER,
    PIXI_LOG_IDLE_PRODUCER,
    PIXI_LOG_GET_SENT,
    PIXI_LOG_PUT_SENT,
    PIXI_LOG_DROP_SENT,
    PIXI_LOG_DROP_ALL_SENT,
    PIXI_LOG_GET_RECORD,
    PIXI_LOG_PUT_RECORD,
    PIXI_LOG_DROP_RECORD,
    PIXI_LOG_LIST_RECORDS,
    PIXI_LOG_PUT_WANTED,
    PIXI_LOG_GET_WANTED,
    PIXI_LOG_DROP_WANTED,
    PIXI_LOG_READ_WANTED,
    PIXI_LOG_SET_LOG,
    PIXI_LOG_SET_HISTORY,
    PIXI_LOG_PROBE,
    PIXI_LOG_STATEMENTS
};

struct pixi_log_limits {
    uint64_t retained_count, retained_bytes, producers, seqs, seqs_per_producer, records;
    uint64_t wanted_messages, wanted_bytes;
};

struct pixi_log_db {
    struct pixi_db db;
    struct pixi_filters filters;
    struct pixi_policy policy[PIXI_HISTORIES_MAX]; /* its filter is not used */
    struct pixi_log_limits limits;
    uint64_t epoch;
    uint8_t hash_key[16];
    struct pixi_log_state now, committed;
    struct pixi_log_oldest oldest[PIXI_HISTORIES_MAX];
    sqlite3_stmt *statement[PIXI_LOG_STATEMENTS];
    sqlite3_stmt *read[PIXI_HISTORIES_MAX]; /* made when first needed */
};

/* --- sqlite_open.c: all SQLITE_OK, or what failed ------------------------------------------------------------ */

extern const struct pixi_db_schema pixi_log_schema;

/* pixi_log_open -- prepare, and load what is there; a log that begins gets the epoch and the key. The filters,
 * policies and limits are set. is_sorted: the filters are others than last time.   SQLITE_CORRUPT also when the rows
  * make no sense. */
int pixi_log_open(struct pixi_log_db *log, uint64_t new_epoch, const uint8_t hash_key[16], bool *is_sorted);

/* pixi_log_begin_epoch -- from here on positions are of another log. */
int pixi_log_begin_epoch(struct pixi_log_db *log, uint64_t epoch);

/* pixi_log_close -- statements, and the database. */
void pixi_log_close(struct pixi_log_db *log);

/* --- sqlite_log.c -------------------------------------------------------------------------------------------- */

/* pixi_log_append -- in a transaction. *err: PIXI_OK, or why it is not stored (hub/store.h), with SQLITE_OK; on
 * PIXI_OK pos, which is is_known when it was stored before, and is_kept when it can be read again. */
struct pixi_log_appended {
    int err;
    uint64_t offset; /* 0: none */
    bool is_known, is_kept;
};
int pixi_log_append(struct pixi_log_db *log, const struct pixi_msg *msg, unsigned flags,
                    struct pixi_log_appended *out);

/* pixi_log_trim -- forget what is too old, a part of it: *is_more, there is more. */
int pixi_log_trim(struct pixi_log_db *log, uint64_t now_ms, bool *is_more);

/* pixi_log_finish -- write down the state, before the commit. pixi_log_ended: it is on disk, or nothing of it is. */
int pixi_log_finish(struct pixi_log_db *log);
void pixi_log_ended(struct pixi_log_db *log, int rc);
int pixi_log_probe(struct pixi_log_db *log);

/* pixi_log_get, pixi_log_put -- records. value is put into out; *err as hub/store.h says. */
int pixi_log_get(struct pixi_log_db *log, struct pixi_cur key, struct pixi_buf *value, uint64_t *version);
int pixi_log_put(struct pixi_log_db *log, const struct pixi_record *record, int *err);

/* pixi_log_list -- every record whose key begins with prefix, one after the other into out: pixi_log_next_record. */
int pixi_log_list(struct pixi_log_db *log, struct pixi_cur prefix, struct pixi_buf *out);
bool pixi_log_next_record(struct pixi_cur *bytes, struct pixi_record *record);

/* --- sqlite_wanted.c ----------------------------------------------------------------------------------------- */

/* What sessions want, in a table of its own. put: in a transaction, after the room was checked. */
int pixi_log_wanted_put(struct pixi_log_db *log, const struct pixi_msg *msg);

/* pixi_log_wanted_look -- offsets, expiries and topics of those from `from` on, some of them, into out:
 * pixi_log_next_wanted. *next: where to look on; 0: that were all. */
int pixi_log_wanted_look(struct pixi_log_db *log, uint64_t from, struct pixi_buf *out, uint64_t *next);
bool pixi_log_next_wanted(struct pixi_cur *bytes, struct pixi_msg *msg);

/* pixi_log_wanted_drop -- those with these offsets, in host order, are wanted by nobody.
 * pixi_log_wanted_cut -- the oldest go until a quarter is free. */
int pixi_log_wanted_drop(struct pixi_log_db *log, struct pixi_cur offsets);
int pixi_log_wanted_cut(struct pixi_log_db *log, uint64_t now_ms);

/* --- sqlite_dedup.c ------------------------------------------------------------------------------------------ */

struct pixi_log_place {
    int64_t producer, content;
    uint64_t seq;
};

/* As pixi_dedup_check and _put (store/dedup.h), in a transaction. *offset UINT64_MAX: it is new. */
int pixi_log_dedup_check(struct pixi_log_db *log, const struct pixi_msg *msg, struct pixi_log_place *place,
                         uint64_t *offset, int *err);
int pixi_log_dedup_put(struct pixi_log_db *log, const struct pixi_log_place *place, uint64_t offset);
int pixi_log_dedup_trim(struct pixi_log_db *log, uint64_t now_ms, bool *is_more);

/* --- sqlite_read.c ------------------------------------------------------------------------------------------- */

/* A read, and what came of it: messages one after the other in bytes, taken out by pixi_log_next. */
struct pixi_log_read {
    struct pixi_cur filter; /* without `$share/G/` */
    uint64_t from, upto, now_ms;
    size_t max_count, max_bytes;
    unsigned flags;        /* PIXI_STORE_SKIP_GAPS, PIXI_STORE_FOR_SESSIONS */
    struct pixi_buf bytes; /* the caller clears it */
    uint64_t next;
    int err; /* PIXI_OK or PIXI_E_HISTORY */
};
int pixi_log_read_history(struct pixi_log_db *log, struct pixi_log_read *read);
int pixi_log_read_last(struct pixi_log_db *log, struct pixi_log_read *read);
int pixi_log_read_wanted(struct pixi_log_db *log, struct pixi_log_read *read);

/* pixi_log_next -- the next message out of a read's bytes; false: there is none. Borrowed from them. */
bool pixi_log_next(struct pixi_cur *bytes, struct pixi_msg *msg);

#endif
