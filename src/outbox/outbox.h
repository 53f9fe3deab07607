/* outbox.h -- store and forward: a message is taken when it is on disk, and goes when the server says that it has it.
 *
 *     pixi_outbox_put            -> on_queued, once it is on disk
 *     pixi_outbox_linked         the server can be reached
 *     pixi_outbox_next, _sent    what to send, in order
 *     pixi_outbox_stored, ...    what the server answered      -> on_gone
 *
 * The disk is the worker's thread; everything here is its caller's, and nothing waits. Only the messages that may be under
 * way are in memory; those behind them are read when there is room.
 *
 * Exactly once: a message gets the seq of its idempotency key on disk before it is first sent, and keeps it. What has a seq
 * and no answer when the server turns out to be another log, or to have forgotten the producer, is in doubt, and is told so
 * instead of being sent again.
 *
 * In order: each message goes after the one before it that has no answer, or the last that was stored; the server puts it
 * off where it has not that one. So it also shows that it remembers.
 *
 * Time is an argument: milliseconds of a clock of the outbox's own, which never goes back and does not jump when the wall
 * clock is set. It begins with pixi_outbox_start_ms. */
#ifndef PIXI_OUTBOX_OUTBOX_H
#define PIXI_OUTBOX_OUTBOX_H

#include "base/buf.h"
#include "outbox/msg.h"

struct pixi_outbox;

enum pixi_outbox_when_full {
    PIXI_OUTBOX_WHEN_FULL_REFUSE,
    PIXI_OUTBOX_WHEN_FULL_OLDEST,
    PIXI_OUTBOX_WHEN_FULL_LOWEST
};

/* The time as a call finds it. */
struct pixi_outbox_now {
    uint64_t ms;      /* the outbox's own */
    uint64_t wall_ms; /* since 1970 */
};

struct pixi_outbox_calls {
    /* A message is on disk (PIXI_OK), or is not: PIXI_E_OUTBOX, PIXI_E_STORAGE, PIXI_E_NOMEM. */
    void (*on_queued)(void *ctx, uint64_t from, uint64_t call, uint64_t id, int err);
    /* It has left: PIXI_OK (stored by the server), PIXI_E_EXPIRED, PIXI_E_DROPPED, PIXI_E_IN_DOUBT, or refused for good
     * with that error. from is 0 where nobody is to hear; detail may be NULL. */
    void (*on_gone)(void *ctx, uint64_t from, uint64_t id, int err, const char *detail);
    /* pixi_outbox_next may have something. */
    void (*on_ready)(void *ctx);
};

struct pixi_outbox_options {
    const char *path; /* the folder, made if it is not there; one outbox at a time uses it */
    const char *vfs;  /* NULL: SQLite's own */
    uint64_t bytes;   /* ceiling of what waits */
    uint64_t age_ms;  /* what waited for longer expires; 0: never */
    uint64_t late_ms; /* what waited so long before it was first sent carries the header `resent` */
    enum pixi_outbox_when_full when_full;
    uint64_t wall_ms; /* now */
    bool has_thread;  /* false: pixi_outbox_turn does its work, for tests */
};

/* What there is, for status and metrics. */
struct pixi_outbox_stats {
    uint64_t count, bytes;         /* that wait; those on their way to the disk are counted already */
    uint64_t oldest_ms;            /* when the oldest that is known was accepted; 0: none */
    uint64_t under_way;            /* sent, not answered */
    uint64_t accepted, stored;     /* since the start, as all that follow */
    uint64_t refused_full, failed; /* that were not taken: no room, or the disk */
    uint64_t dropped, expired, rejected, in_doubt;
    uint64_t commits, committed, commit_us; /* groups, messages and other work in them, time they took */
    bool is_failing;                        /* the disk refuses to write at this time */
    const char *why;                        /* its last failure in words, static; NULL: there was none */
    bool is_damaged;                        /* the file is no good: a new start repairs it */
};

/* pixi_outbox_open -- calls and ctx are borrowed until close. notes: what was found damaged and what became of it, a line
 * each, or why it does not open.
 *   PIXI_OK | PIXI_E_SETTINGS | PIXI_E_STORAGE | PIXI_E_NOMEM | PIXI_E_SYS */
int pixi_outbox_open(const struct pixi_outbox_options *options, const struct pixi_outbox_calls *calls,
                     void *ctx, struct pixi_outbox **out, struct pixi_buf *notes);

/* pixi_outbox_close -- what was given and is not on disk yet is put there first, and told. NULL is fine. */
void pixi_outbox_close(struct pixi_outbox *o);

/* pixi_outbox_set -- other limits, from now on: bytes, age_ms, when_full. */
void pixi_outbox_set(struct pixi_outbox *o, const struct pixi_outbox_options *options);

uint64_t pixi_outbox_start_ms(const struct pixi_outbox *o);
const uint8_t *pixi_outbox_producer(const struct pixi_outbox *o); /* PIXI_OUTBOX_PRODUCER bytes */

/* pixi_outbox_fd -- readable when pixi_outbox_take has something to do. */
int pixi_outbox_fd(const struct pixi_outbox *o);
void pixi_outbox_take(struct pixi_outbox *o, struct pixi_outbox_now now);
/* pixi_outbox_turn -- what the thread does, here; false: nothing to be done. */
bool pixi_outbox_turn(struct pixi_outbox *o);

/* What is put. Borrowed for the call. */
struct pixi_outbox_put {
    struct pixi_cur topic, headers, payload;
    unsigned flags, priority;
    uint64_t expires_in_ms; /* 0: never */
    uint64_t owner,
        owner_bytes;     /* who gives it, and the ceiling of what of his may wait; 0: none of his own */
    uint64_t from, call; /* for on_queued; from also for on_gone */
    const struct pixi_outbox_given *given; /* NULL: none */
};

/* pixi_outbox_put -- on_queued follows, never from inside this call, unless it returns an error.
 *   PIXI_OK | PIXI_E_OUTBOX (no room, and none is to be made) | PIXI_E_NOMEM | PIXI_E_STORAGE (the disk fails at this time) */
int pixi_outbox_put(struct pixi_outbox *o, const struct pixi_outbox_put *put, struct pixi_outbox_now now);

/* pixi_outbox_expire -- what has expired leaves. From time to time. */
void pixi_outbox_expire(struct pixi_outbox *o, struct pixi_outbox_now now);

/* pixi_outbox_linked -- the server is there, with this epoch (0: it does not say). on_ready follows when there is something
 * to send. pixi_outbox_unlinked -- it is not: what was not answered is sent again when it is. */
void pixi_outbox_linked(struct pixi_outbox *o, uint64_t epoch, struct pixi_outbox_now now);
void pixi_outbox_unlinked(struct pixi_outbox *o);

/* pixi_outbox_next -- the next to be sent, by its key {seq, low, after}; NULL: none at this time. Borrowed until it is
 * answered for good. */
struct pixi_outbox_msg *pixi_outbox_next(struct pixi_outbox *o, struct pixi_outbox_now now);
/* pixi_outbox_low -- all seqs below it are answered, and on disk as such: the server may forget them. */
uint64_t pixi_outbox_low(const struct pixi_outbox *o);
void pixi_outbox_sent(struct pixi_outbox *o, struct pixi_outbox_msg *m);

/* The answers; m is gone after the first two. */
void pixi_outbox_stored(struct pixi_outbox *o, struct pixi_outbox_msg *m, struct pixi_outbox_now now);
void pixi_outbox_refused(struct pixi_outbox *o, struct pixi_outbox_msg *m, int err, const char *detail,
                         struct pixi_outbox_now now);
/* pixi_outbox_later -- it was not taken: to be sent again; nothing goes for so long, and then one by one at first. */
void pixi_outbox_later(struct pixi_outbox *o, struct pixi_outbox_msg *m, uint64_t in_ms,
                       struct pixi_outbox_now now);
/* pixi_outbox_put_off -- the server has not the one that it was to go after: to be sent again. */
void pixi_outbox_put_off(struct pixi_outbox *o, struct pixi_outbox_msg *m, struct pixi_outbox_now now);
/* pixi_outbox_unanswered -- the connection, or the patience, ended before an answer. */
void pixi_outbox_unanswered(struct pixi_outbox *o, struct pixi_outbox_msg *m);

/* pixi_outbox_widen -- how many may be under way at a time, 1 .. PIXI_OUTBOX_WINDOW_MAX. */
enum { PIXI_OUTBOX_WINDOW = 256, PIXI_OUTBOX_WINDOW_MAX = 4096 };
void pixi_outbox_widen(struct pixi_outbox *o, size_t window);
size_t pixi_outbox_window(const struct pixi_outbox *o);

/* pixi_outbox_due_ms -- when pixi_outbox_expire, or pixi_outbox_next after a pause, is due; UINT64_MAX: no time is. */
uint64_t pixi_outbox_due_ms(const struct pixi_outbox *o);

struct pixi_outbox_stats pixi_outbox_stats(const struct pixi_outbox *o);

/* --- those refused for good ----------------------------------------------------------------------------------- */

struct pixi_outbox_rejected {
    int err;
    struct pixi_cur detail; /* a NUL follows */
    uint64_t rejected_ms;   /* wall */
    const struct pixi_outbox_msg *msg;
};

struct pixi_outbox_rejected_list {
    const struct pixi_outbox_rejected *at; /* the newest first */
    size_t count;
    bool has_more; /* older ones are kept that are not in it */
};

/* pixi_outbox_list_rejected -- read up to limit of them on the worker's thread, until they take so many bytes together (one
 * is read whatever it takes); on_rejected comes once, with what there is; borrowed for that call.
 *   PIXI_OK | PIXI_E_NOMEM */
typedef void pixi_outbox_on_rejected(void *ctx, uint64_t call, const struct pixi_outbox_rejected_list *list);
int pixi_outbox_list_rejected(struct pixi_outbox *o, size_t limit, uint64_t bytes, uint64_t call,
                              pixi_outbox_on_rejected *on_rejected);

#endif
