/* disk.h -- what the outbox has on disk, and the jobs that change it. All of it belongs to the worker's thread, but for
 * opening and closing. Private to src/outbox. */
#ifndef PIXI_OUTBOX_DISK_H
#define PIXI_OUTBOX_DISK_H

#include "outbox/batch.h"
#include "outbox/msg.h"
#include "sqlite/db.h"

enum {
    PIXI_OUTBOX_OWNERS = 64,     /* users whose share is counted */
    PIXI_OUTBOX_REJECTED = 1000, /* messages kept of those refused for good */
};

/* One row on disk, written with every group. */
struct pixi_outbox_row {
    uint8_t producer[PIXI_OUTBOX_PRODUCER];
    uint64_t epoch;       /* that the server had when seqs were given last; 0: none yet */
    uint64_t next_number; /* of the next id, below its priority */
    uint64_t next_seq;
    uint64_t stored_seq;      /* the highest that is known to be stored in that epoch; 0: none */
    uint64_t count, bytes;    /* of all messages that wait */
    uint64_t unassigned;      /* of these, without a seq */
    uint64_t now_ms, wall_ms; /* the outbox's time, and the wall's when it was written */
    uint64_t assigned[PIXI_OUTBOX_PRIORITIES]; /* the last batch with seqs; 0, or below its lane: none yet */
};

struct pixi_outbox_owner {
    uint64_t uid;
    int64_t count, bytes;
};

/* Which messages make room for another. */
enum pixi_outbox_full { PIXI_OUTBOX_REFUSE, PIXI_OUTBOX_DROP_OLDEST, PIXI_OUTBOX_DROP_LOWEST };

enum pixi_outbox_statement {
    PIXI_OUTBOX_INSERT, /* a batch */
    PIXI_OUTBOX_DELETE,
    PIXI_OUTBOX_NEXT, /* of a priority, behind an id: its id */
    PIXI_OUTBOX_BODY,
    PIXI_OUTBOX_PART, /* of a batch: how many are in it, and what has become of them */
    PIXI_OUTBOX_PUT_PART,
    PIXI_OUTBOX_DELETE_PART,
    PIXI_OUTBOX_EXPIRED, /* the batch in which one has, the first that did */
    PIXI_OUTBOX_SAVE,
    PIXI_OUTBOX_SHARE,
    PIXI_OUTBOX_REJECT,
    PIXI_OUTBOX_TRIM,
    PIXI_OUTBOX_KNOWN, /* what programs' own keys were given */
    PIXI_OUTBOX_KNOW,
    PIXI_OUTBOX_FORGET,
    PIXI_OUTBOX_STATEMENTS,
};

/* What leaves, or has left without being sent. */
struct pixi_outbox_left {
    uint64_t id, from, cost, owner;
    uint64_t batch;
    unsigned place;
};

static inline struct pixi_outbox_left pixi_outbox_left_of(const struct pixi_outbox_msg *m)
{
    return (struct pixi_outbox_left){.id = m->id,
                                     .from = m->from,
                                     .cost = pixi_outbox_cost(m),
                                     .owner = m->owner,
                                     .batch = m->batch,
                                     .place = m->place};
}

/* The first batch of a priority that has no seqs: what is to be known of its messages to choose from them. */
struct pixi_outbox_head {
    uint64_t batch; /* 0: not read */
    bool is_none;   /* there is none on disk */
    unsigned count, next;
    struct {
        struct pixi_outbox_left left;
        uint64_t accepted_ms;
    } at[PIXI_OUTBOX_BATCH];
};

struct pixi_outbox_disk {
    struct pixi_db db;
    sqlite3_stmt *statements[PIXI_OUTBOX_STATEMENTS];
    struct pixi_outbox_row row, saved;                    /* as it is, and as the last commit left it */
    struct pixi_outbox_owner changes[PIXI_OUTBOX_OWNERS]; /* of this group */
    size_t change_count;
    struct pixi_outbox_building building[PIXI_OUTBOX_PRIORITIES];
    struct pixi_outbox_part parts[PIXI_OUTBOX_PARTS];
    size_t changed_parts;
    struct pixi_buf small_body; /* of a part, or of the one row */
    struct pixi_outbox_head heads[PIXI_OUTBOX_PRIORITIES];
    struct pixi_outbox_msg *inherited; /* owned: those with a seq at the start, in its order */
    uint64_t limit_bytes;
    enum pixi_outbox_full when_full;
    bool is_new_producer; /* what earlier seqs meant is not known any more */
};

/* A row's column that holds no negative number. */
static inline uint64_t pixi_outbox_number(sqlite3_stmt *s, int column)
{
    return (uint64_t)sqlite3_column_int64(s, column);
}

/* --- disk_open.c ---------------------------------------------------------------------------------------------- */

/* pixi_outbox_disk_open -- as pixi_db_open, which says what options are; the schema is ours. Its time does not grow with
 * what waits, unless the file was damaged. */
int pixi_outbox_disk_open(struct pixi_outbox_disk *d, const struct pixi_db_options *options,
                          struct pixi_buf *problem);
void pixi_outbox_disk_close(struct pixi_outbox_disk *d);

/* Users' shares, at most max; returns how many. */
size_t pixi_outbox_disk_owners(struct pixi_outbox_disk *d, struct pixi_outbox_owner *out, size_t max);

/* --- disk_repair.c: SQLITE_OK, or what failed ----------------------------------------------------------------- */

/* pixi_outbox_disk_upgrade -- what versions before 3 wrote, a message a row, becomes batches. */
int pixi_outbox_disk_upgrade(struct pixi_outbox_disk *d);
/* pixi_outbox_disk_recount -- after a salvage: what is damaged of a batch leaves it, and what the one row says is counted
 * anew. What was sent or not, nobody knows, goes to those refused, as in doubt. */
int pixi_outbox_disk_recount(struct pixi_outbox_disk *d);

/* --- disk.c --------------------------------------------------------------------------------------------------- */

/* pixi_outbox_disk_inherit -- reads the messages with a seq: those an earlier run may have sent. */
int pixi_outbox_disk_inherit(struct pixi_outbox_disk *d);

/* --- in a group: SQLITE_OK, or what failed -------------------------------------------------------------------- */

/* pixi_outbox_disk_stamp -- the two times as they are now. */
void pixi_outbox_disk_stamp(struct pixi_outbox_disk *d, uint64_t now_ms, uint64_t wall_ms);

/* pixi_outbox_disk_put -- gives m its id, and a seq where wants_seq. left: what made room for it (left_max at most), and
 * *is_refused when there was none to be made. */
int pixi_outbox_disk_put(struct pixi_outbox_disk *d, struct pixi_outbox_msg *m, bool wants_seq,
                         struct pixi_outbox_left *left, size_t left_max, size_t *left_count,
                         bool *is_refused);
/* pixi_outbox_disk_count -- so many more, or fewer, wait, and they are this user's. */
int pixi_outbox_disk_count(struct pixi_outbox_disk *d, uint64_t uid, int64_t count, int64_t bytes);
/* pixi_outbox_disk_known -- the id of the message that a program gave with this key before; 0: none.
 * pixi_outbox_disk_know -- from now on it is that one; keys below low are forgotten. */
int pixi_outbox_disk_known(struct pixi_outbox_disk *d, const struct pixi_outbox_given *given, uint64_t *id);
int pixi_outbox_disk_know(struct pixi_outbox_disk *d, const struct pixi_outbox_given *given, uint64_t id);
/* pixi_outbox_disk_load -- the next without a seq get one, until there are so many, or so many bytes; batches do so
 * as a whole. Gives the list. Those accepted before late_ms are marked PIXI_OUTBOX_LATE. lost: so many should be there, and
 * none is. */
int pixi_outbox_disk_load(struct pixi_outbox_disk *d, size_t count, uint64_t bytes, uint64_t late_ms,
                          struct pixi_outbox_msg **list, uint64_t *lost);
/* pixi_outbox_disk_remove -- harmless when it is not there. */
int pixi_outbox_disk_remove(struct pixi_outbox_disk *d, const struct pixi_outbox_left *left);
/* pixi_outbox_disk_reject -- keeps it among those refused for good. */
int pixi_outbox_disk_reject(struct pixi_outbox_disk *d, const struct pixi_outbox_msg *m, int err,
                            const char *detail);
/* pixi_outbox_disk_tidy -- gives pages back to the file system; *is_done when none are left over. */
int pixi_outbox_disk_tidy(struct pixi_outbox_disk *d, bool *is_done);

/* The worker's calls: write the one row; a failed group is forgotten; write something. */
int pixi_outbox_disk_finish(void *disk);
void pixi_outbox_disk_ended(void *disk, int rc);
int pixi_outbox_disk_probe(void *disk);

/* --- waiting.c: those without a seq, in a group: SQLITE_OK, or what failed ------------------------------------- */

/* pixi_outbox_disk_make_room -- for m: left is as for pixi_outbox_disk_put. */
int pixi_outbox_disk_make_room(struct pixi_outbox_disk *d, const struct pixi_outbox_msg *m,
                               struct pixi_outbox_left *left, size_t left_max, size_t *left_count,
                               bool *is_refused);
/* pixi_outbox_disk_sweep -- what has expired, or was accepted before old_ms, and has no seq, leaves. *oldest_ms: when the
 * oldest that stays without a seq was accepted, 0: there is none. */
int pixi_outbox_disk_sweep(struct pixi_outbox_disk *d, uint64_t now_ms, uint64_t old_ms,
                           struct pixi_outbox_left *left, size_t left_max, size_t *left_count,
                           uint64_t *oldest_ms);
/* pixi_outbox_disk_forget_heads -- what is on disk is something else now. */
void pixi_outbox_disk_forget_heads(struct pixi_outbox_disk *d);

#endif
