/* state.h -- what the files of the outbox share. Private to src/outbox. */
#ifndef PIXI_OUTBOX_STATE_H
#define PIXI_OUTBOX_STATE_H

#include "outbox/crash.h"
#include "outbox/disk.h"
#include "outbox/outbox.h"
#include "sqlite/dir.h"
#include "sqlite/worker.h"

#include <stdlib.h>

enum {
    JOBS_MAX = 65536,          /* that wait for the disk */
    JOB_BYTES_MAX = 256 << 20, /* and their bytes */
    WINDOW_BYTES = 8 << 20,    /* of messages under way or about to be */
    SPAN_MAX =
        32768,     /* seqs between the oldest without an answer and the newest: the server keeps them all */
    LEFT_MAX = 64, /* messages that make room for one, or expire in one job */
    REMOVE_MAX = 512, /* in one job */
    DETAIL_MAX = 256,
    RETRY_MS = 1000, /* after the disk failed */
    SWEEP_MS = 5000,
};

/* One job; which one, `run` says. */
struct pixi_outbox_work {
    struct pixi_job job;
    struct pixi_outbox *outbox;
    struct pixi_outbox_now now;
    struct pixi_outbox_work *next_leaving; /* REMOVE, REJECT: of those that are not on disk yet */
    uint64_t low;                          /* then: the lowest seq in it */
    struct pixi_outbox_work *next;         /* of those that wait to be tried again */
    struct pixi_outbox_msg *msg;           /* PUT: owned. REJECT: owned */
    struct pixi_outbox_msg *list;          /* LOAD: gives */
    bool wants_seq, is_refused;            /* PUT */
    bool has_given, is_again;              /* PUT: the program's key | that was given before */
    struct pixi_outbox_given given;        /* PUT */
    uint64_t call;                         /* PUT, LIST */
    int err;                               /* REJECT */
    char *detail;                          /* REJECT: owned */
    uint64_t old_ms, oldest_ms;            /* SWEEP */
    uint64_t late_ms, epoch;               /* LOAD; EPOCH */
    uint64_t stored_seq;                   /* REMOVE: as it is then */
    uint64_t bytes;                        /* LOAD: room */
    uint64_t lost;                         /* LOAD: so many should have been there, and were not */
    size_t count;                          /* LOAD: room; LIST: limit; REMOVE: how many */
    size_t left_count;                     /* PUT, SWEEP */
    struct pixi_outbox_left left[];        /* PUT, SWEEP, REMOVE */
};

struct pixi_outbox {
    const struct pixi_outbox_calls *call;
    void *ctx;
    struct pixi_outbox_options options;
    struct pixi_dir dir;
    bool is_marked;               /* for the next start: the file is damaged */
    struct pixi_outbox_disk disk; /* the worker's, from pixi_outbox_open on */
    struct pixi_worker *worker;
    uint8_t producer[PIXI_OUTBOX_PRODUCER];
    uint64_t start_ms;
    struct pixi_outbox_msg *first, *last; /* those with a seq, in its order */
    struct pixi_outbox_msg *cursor;       /* the first of them that may be READY; NULL: none is */
    size_t count, window, under_way;
    uint64_t window_bytes;
    uint64_t next_seq;   /* the highest that is known, plus one */
    uint64_t oldest_ms;  /* of those without a seq, when it was last looked; 0: not known */
    uint64_t unassigned; /* without a seq, those on their way to the disk included */
    uint64_t epoch;      /* as it is on disk */
    uint64_t stored_seq; /* the highest that was answered as stored in this epoch; 0: none */
    size_t
        burst; /* how many may be under way until answers come: few when the server put one off, or has to show that it
                   * remembers */
    bool is_new_producer; /* what an earlier run sent is in doubt, whatever the epoch */
    enum {
        UNLINKED,
        SETTLING,
        LINKED
    } link;                           /* SETTLING: what is in doubt, and the epoch, go to the disk first */
    uint64_t hold_until_ms;           /* nothing is sent before; 0: no pause */
    struct pixi_outbox_work *removal; /* being filled */
    struct pixi_outbox_work
        *leaving; /* what was answered and has its row still: after a crash it is sent again */
    struct pixi_outbox_msg *unremoved; /* stored and told; its row found no memory to be removed with */
    bool is_removing, is_loading, is_sweeping, is_tidying, has_pages;
    struct pixi_outbox_work *retries;
    uint64_t retry_at_ms, sweep_at_ms;
    struct pixi_outbox_owner owners[PIXI_OUTBOX_OWNERS];
    size_t owner_count;
    struct pixi_outbox_stats stats;
    struct pixi_outbox_now now; /* of the call that is under way */
};

static inline struct pixi_outbox_work *pixi_outbox_work_of(struct pixi_job *job)
{
    return (struct pixi_outbox_work *)job;
}

/* In the worker's thread: the disk, which then has this job's time. */
static inline struct pixi_outbox_disk *pixi_outbox_disk_of(struct pixi_outbox_work *w, void *ctx)
{
    pixi_outbox_disk_stamp(ctx, w->now.ms, w->now.wall_ms);
    return ctx;
}

/* jobs.c */

/* NULL: out of memory. */
struct pixi_outbox_work *pixi_outbox_make_work(struct pixi_outbox *o, int (*run)(struct pixi_job *, void *),
                                               void (*done)(struct pixi_job *, int), size_t left);
void pixi_outbox_submit(struct pixi_outbox *o, struct pixi_outbox_work *w);
/* The disk failed: the same once more in a while. */
void pixi_outbox_try_again(struct pixi_outbox_work *w);
/* What left without being sent is told, with this error. */
void pixi_outbox_tell_left(struct pixi_outbox *o, const struct pixi_outbox_work *w, int err);
void pixi_outbox_free_list(struct pixi_outbox_msg *list);
void pixi_outbox_drop_work(struct pixi_outbox_work *w);
/* NULL: too many users; theirs is not counted. */
struct pixi_outbox_owner *pixi_outbox_owner_of(struct pixi_outbox *o, uint64_t uid);
void pixi_outbox_count(struct pixi_outbox *o, uint64_t uid, int64_t messages, int64_t bytes);
void pixi_outbox_count_off(struct pixi_outbox *o, uint64_t uid, uint64_t cost);

/* put.c -- reads on from the disk when a good part of the window is free. */
void pixi_outbox_fill(struct pixi_outbox *o);

/* send.c */
void pixi_outbox_add_last(struct pixi_outbox *o, struct pixi_outbox_msg *m);
bool pixi_outbox_has_room(const struct pixi_outbox *o);
void pixi_outbox_leave(struct pixi_outbox *o, struct pixi_outbox_msg *m);
/* false: no memory; the row stays. */
bool pixi_outbox_remove_row(struct pixi_outbox *o, const struct pixi_outbox_msg *m);
/* The rows of what is stored; those that find no memory later, the server keeps their seqs until then. */
void pixi_outbox_remove_stored(struct pixi_outbox *o);
void pixi_outbox_flush_removal(struct pixi_outbox *o);

#endif
