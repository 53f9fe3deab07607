/* sqlite_log.h -- the log as the store's thread sees it: rows in SQLite. For src/store/sqlite*.c.
 *
 * Messages lie packed in segments, each a row: one for each history that a group of writes adds to, or several where
 * that is much. A segment's number is history << 57 | its first offset, so that each history lies in one piece, by
 * offset. It goes when its history has dropped all of it, unless `pinned` has a row with the same number: of the
 * messages in it that sessions still want. A retained message has a copy of its own, in `latest`. */
#ifndef PIXI_STORE_SQLITE_LOG_H
#define PIXI_STORE_SQLITE_LOG_H

#include "sqlite/db.h"
#include "store/sqlite.h"

enum {
    PIXI_LOG_OFFSET_BITS = 57,
    PIXI_LOG_SEGMENT_MAX = 32768, /* bytes of a segment; a larger message has one of its own */
    /* Behind the histories: what is kept for sessions alone, and was in one before the policies changed. */
    PIXI_LOG_ASIDE = PIXI_HISTORIES_MAX,
    PIXI_LOG_LINES,
};

static inline int64_t pixi_log_row(size_t line, uint64_t offset)
{
    return (int64_t)((uint64_t)line << PIXI_LOG_OFFSET_BITS | offset);
}

static inline uint64_t pixi_log_offset(int64_t row)
{
    return (uint64_t)row & ((UINT64_C(1) << PIXI_LOG_OFFSET_BITS) - 1);
}

static inline size_t pixi_log_line(int64_t row)
{
    return (size_t)((uint64_t)row >> PIXI_LOG_OFFSET_BITS);
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

/* What a history has to know of a message to drop it. */
struct pixi_log_entry {
    uint64_t offset, time_ms, expires_ms, bytes;
    size_t at; /* where it begins in its segment */
    bool is_wanted;
};

struct pixi_log_entries {
    struct pixi_log_entry *entry; /* owned */
    size_t count, cap;
};

/* A segment that the group under way adds to; empty: there is none. Nobody reads it before it is written. */
struct pixi_log_segment {
    struct pixi_buf body;
    struct pixi_log_entries entries;
};

/* The segment with the oldest message of a history, as long as it is known: read once, not for each message. */
struct pixi_log_oldest {
    enum {
        PIXI_LOG_UNKNOWN,
        PIXI_LOG_STORED, /* `entries`, from `next` on; earlier ones are dropped */
        PIXI_LOG_BUILT,  /* the same of the segment that is being built */
    } where;
    int64_t id;
    bool may_be_pinned;
    struct pixi_log_entries entries;
    size_t next;
};

enum pixi_log_statement {
    PIXI_LOG_PUT_SEGMENT,
    PIXI_LOG_GET_SEGMENT,
    PIXI_LOG_SET_SEGMENT,
    PIXI_LOG_DROP_SEGMENT,
    PIXI_LOG_OLDEST,
    PIXI_LOG_PUT_PINNED,
    PIXI_LOG_GET_PINNED,
    PIXI_LOG_DROP_PINNED,
    PIXI_LOG_LOOK_AT_PINNED,
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
    struct pixi_log_segment building[PIXI_LOG_LINES];
    struct pixi_log_oldest oldest[PIXI_HISTORIES_MAX];
    struct pixi_buf packed, offsets; /* bytes of rows on their way */
    sqlite3_stmt *statement[PIXI_LOG_STATEMENTS];
    sqlite3_stmt *read[2][PIXI_LOG_LINES]; /* for sessions or not; made when first needed */
};

/* Has the history dropped everything up to this offset? */
static inline bool pixi_log_is_dropped(const struct pixi_log_db *log, size_t line, uint64_t offset)
{
    return line == PIXI_LOG_ASIDE || offset <= log->now.history[line].dropped;
}

/* --- sqlite_open.c: all SQLITE_OK, or what failed ------------------------------------------------------------ */

extern const struct pixi_db_schema pixi_log_schema;

/* Makes the tables `segment` and `pinned`. */
extern const char pixi_log_segments_sql[];

/* pixi_log_open -- prepare, and load what is there; a log that begins gets the epoch and the key. The filters,
 * policies and limits are set. is_sorted: the filters are others than last time.   SQLITE_CORRUPT also when the rows
 * make no sense. */
int pixi_log_open(struct pixi_log_db *log, uint64_t new_epoch, const uint8_t hash_key[16], bool *is_sorted);

/* pixi_log_begin_epoch -- from here on positions are of another log. */
int pixi_log_begin_epoch(struct pixi_log_db *log, uint64_t epoch);

/* pixi_log_close -- statements, and the database. */
void pixi_log_close(struct pixi_log_db *log);

/* pixi_log_sort -- in the transaction of pixi_log_open: each message to the history that has it now; those that nothing
 * keeps go. Counts them, and head is at least the highest offset. is_salvaged: damage is left out, else it is an error.
 * In sqlite_sort.c. */
int pixi_log_sort(struct pixi_log_db *log, bool is_salvaged);

/* pixi_log_upgrade -- in the transaction of pixi_log_open: what version 1 of the file's form has, if it is such a file,
 * to where it is now, by the histories that it has. In sqlite_upgrade.c, as is what salvage needs of it. */
int pixi_log_upgrade(struct pixi_log_db *log);
extern const char pixi_log_sql_1[];
extern const struct pixi_db_table pixi_log_tables_1[];

/* --- sqlite_record.c: messages as they lie in rows ----------------------------------------------------------- */

/* pixi_log_pack, pixi_log_unpack -- one message to the end of a row, and the next one of a row, borrowed from it.
 * was_wanted: it was appended so. False: there is none, or damage. */
void pixi_log_pack(struct pixi_buf *row, const struct pixi_msg *msg, bool was_wanted);
bool pixi_log_unpack(struct pixi_cur *row, struct pixi_msg *msg, bool *was_wanted);

/* Which messages of a segment are wanted: as it lies in a row of `pinned`, and going through it. */
struct pixi_log_pins {
    uint64_t count, bytes;   /* of those, as pixi_msg_size has it */
    uint64_t last, body_len; /* of the segment: offset, bytes */
    struct pixi_cur rest;    /* borrowed from the row */
    uint64_t next;           /* offset; 0: no more */
};
/* pixi_log_pins_begin -- first: the segment's first offset. False: damage. */
bool pixi_log_pins_begin(struct pixi_log_pins *pins, uint64_t first, struct pixi_cur row);
void pixi_log_pins_next(struct pixi_log_pins *pins);

/* pixi_log_pins_add -- one more to the end of those that are wanted; *before: the one before it, at first the segment's
 * first offset. pixi_log_pins_pack: these as a row; pins' counts are set. */
void pixi_log_pins_add(struct pixi_buf *offsets, uint64_t *before, uint64_t offset);
void pixi_log_pins_pack(struct pixi_buf *row, const struct pixi_log_pins *pins, struct pixi_cur offsets);

/* Going through the messages of a segment. */
struct pixi_log_walk {
    struct pixi_cur rest, record; /* of the body: what is left, and what msg lies in */
    uint64_t low, last;
    struct pixi_log_pins pins;
    struct pixi_msg msg; /* borrowed from the body */
    bool was_wanted, is_wanted;
};

/* pixi_log_walk_begin -- columns of a row: number, last offset, body; pins: of its row in `pinned`, empty if it has
 * none. False: damage. */
bool pixi_log_walk_begin(struct pixi_log_walk *w, int64_t id, uint64_t last, struct pixi_cur body,
                         struct pixi_cur pins);

/* pixi_log_walk_row -- the same of a statement's row: number, last, body, pins.   SQLITE_OK | SQLITE_CORRUPT */
int pixi_log_walk_row(struct pixi_log_walk *w, sqlite3_stmt *s);

/* pixi_log_walk_next -- SQLITE_ROW: the next message; SQLITE_DONE: those were all; SQLITE_CORRUPT: this or an earlier one
 * is not what was put. */
int pixi_log_walk_next(struct pixi_log_walk *w);

/* --- sqlite_segment.c ---------------------------------------------------------------------------------------- */

/* pixi_log_entries_add -- NULL: out of memory. */
struct pixi_log_entry *pixi_log_entries_add(struct pixi_log_entries *entries);

/* pixi_log_segment_add -- a message behind the others of its line, in a transaction. It is not counted. */
int pixi_log_segment_add(struct pixi_log_db *log, size_t line, const struct pixi_msg *msg, bool is_wanted);

/* pixi_log_segment_write -- what was added to a line is a row now, but for what was dropped since. */
int pixi_log_segment_write(struct pixi_log_db *log, size_t line);

/* pixi_log_segment_forget -- what was added to a line and is not written. */
void pixi_log_segment_forget(struct pixi_log_db *log, size_t line);

/* pixi_log_segment_dropped -- its history has dropped all of it: it goes, or what is wanted of it stays. */
int pixi_log_segment_dropped(struct pixi_log_db *log, int64_t id, bool may_be_pinned);

/* The row of `pinned` whose segment may have this message; id 0: there is none. Its offsets lie in log->packed. */
struct pixi_log_pinned {
    int64_t id;
    struct pixi_log_pins pins;
};
int pixi_log_pinned_get(struct pixi_log_db *log, int64_t row, struct pixi_log_pinned *out);

/* pixi_log_pinned_put -- in the place of the row with this number; what is wanted is log->offsets. */
int pixi_log_pinned_put(struct pixi_log_db *log, int64_t id, const struct pixi_log_pins *pins);

/* --- sqlite_history.c ---------------------------------------------------------------------------------------- */

/* pixi_log_history_put -- the oldest go as far as they must, in a transaction. */
int pixi_log_history_put(struct pixi_log_db *log, size_t h, const struct pixi_msg *msg, bool is_wanted);

/* pixi_log_history_trim -- forget what is too much or too old, at most *left messages; *left is less by what went. */
int pixi_log_history_trim(struct pixi_log_db *log, size_t h, uint64_t now_ms, uint64_t *left);

/* --- sqlite_retained.c --------------------------------------------------------------------------------------- */

/* The one that a topic has; position 0: none. */
struct pixi_log_retained {
    int64_t position;
    uint64_t bytes; /* that it counts as */
};

/* pixi_log_retained_check -- was: the one before it. *err: PIXI_OK, or PIXI_E_STORAGE if there is no room for it beside
 * the others, even when those that have expired are gone. pixi_log_retained_put, with nothing between: it is the last of
 * its topic; without a payload there is none.
 * pixi_log_retained_expire: one that has expired goes; *is_found: there was one. */
int pixi_log_retained_check(struct pixi_log_db *log, const struct pixi_msg *msg,
                            struct pixi_log_retained *was, int *err);
int pixi_log_retained_put(struct pixi_log_db *log, const struct pixi_msg *msg,
                          const struct pixi_log_retained *was);
int pixi_log_retained_expire(struct pixi_log_db *log, uint64_t now_ms, bool *is_found);

/* pixi_log_retained_write -- its row alone: it is not counted. */
int pixi_log_retained_write(struct pixi_log_db *log, const struct pixi_msg *msg);

/* pixi_log_retained_sift -- of a salvaged file: those whose row is not what was put go. */
int pixi_log_retained_sift(struct pixi_log_db *log);

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

/* A message that sessions wanted, when it was looked for. */
struct pixi_log_wanted {
    int64_t row; /* line and offset */
    uint64_t bytes;
};

/* pixi_log_wanted_look -- those of the segments with numbers from `from` on, some of them, into out:
 * pixi_log_next_wanted, which gives offset, expiry and topic. *next: where to look on; 0: that were all. */
int pixi_log_wanted_look(struct pixi_log_db *log, int64_t from, struct pixi_buf *out, int64_t *next);
bool pixi_log_next_wanted(struct pixi_cur *bytes, struct pixi_log_wanted *wanted, struct pixi_msg *msg);

/* pixi_log_wanted_drop -- these, by rising row, are wanted by nobody.
 * pixi_log_wanted_cut -- the oldest go until a quarter is free. */
int pixi_log_wanted_drop(struct pixi_log_db *log, const struct pixi_log_wanted *wanted, size_t count);
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

/* pixi_log_each_wanted -- what is wanted, in offset order, until it is not SQLITE_OK what `each` answers: that is the
 * result then. The segment it lies in may not be changed meanwhile. */
int pixi_log_each_wanted(struct pixi_log_db *log,
                         int (*each)(void *ctx, size_t line, const struct pixi_msg *msg), void *ctx);

/* pixi_log_next -- the next message out of a read's bytes; false: there is none. Borrowed from them. */
bool pixi_log_next(struct pixi_cur *bytes, struct pixi_msg *msg);

#endif
