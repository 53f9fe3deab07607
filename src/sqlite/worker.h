/* worker.h -- the thread that owns a database: jobs go in, what became of them comes back. Group commit: what waited
 * while the last commit was under way is the next; it never waits for more.
 *
 * A job is the caller's, who may not touch it between pixi_worker_put and its `done`. The caller has one thread. */
#ifndef PIXI_SQLITE_WORKER_H
#define PIXI_SQLITE_WORKER_H

#include "base/err.h"
#include "sqlite/db.h"

#include <stddef.h>
#include <stdint.h>

struct pixi_worker;

struct pixi_job {
    struct pixi_job *next; /* the worker's, as is err */
    int err;
    enum pixi_job_kind { PIXI_JOB_READS, PIXI_JOB_WRITES } kind;
    size_t bytes; /* what a job that writes takes of the queue's bytes */
    /* In the thread. SQLITE_OK, or what failed. A job that reads comes before the group's commit and sees what was
     * committed before; if one that writes fails, nothing of its group is stored. */
    int (*run)(struct pixi_job *job, void *ctx);
    /* On the caller's thread, by pixi_worker_take; jobs of a kind in their order. err: PIXI_OK (of one that writes: its
     * group is on disk), PIXI_E_STORAGE or PIXI_E_NOMEM. */
    void (*done)(struct pixi_job *job, int err);
};

/* In the thread; each gets ctx. */
struct pixi_worker_calls {
    int (*finish)(void *ctx); /* the last writes of a group, before its commit.   SQLITE_OK, or what failed */
    void (*ended)(void *ctx, int rc); /* the group is on disk (SQLITE_OK), or nothing of it is */
    int (*probe)(void *ctx);          /* writes something: after a failure, to see whether that is over */
};

struct pixi_worker_limits {
    size_t jobs, bytes; /* that write, and wait or are under way */
};

/* What it has done. */
struct pixi_worker_stats {
    uint64_t commits, failed; /* groups */
    uint64_t jobs;            /* of those commits */
    uint64_t commit_us;       /* that these took, from the first write on */
    bool is_refusing;         /* the last group, or probe, failed */
    const char *why;          /* the last failure in SQLite's words, static; NULL: there was none */
    bool is_damaged;          /* the file is: nothing is written any more until it was opened anew */
};

/* pixi_worker_new -- db and ctx are borrowed until pixi_worker_free, and no thread's but the worker's from
 * pixi_worker_start on.   PIXI_OK | PIXI_E_NOMEM | PIXI_E_SYS */
int pixi_worker_new(struct pixi_db *db, const struct pixi_worker_calls *calls, void *ctx,
                    const struct pixi_worker_limits *limits, struct pixi_worker **out);

/* pixi_worker_start -- the thread. Without it nothing is done but by pixi_worker_turn.   PIXI_OK | PIXI_E_SYS */
int pixi_worker_start(struct pixi_worker *w);

/* pixi_worker_free -- no job is left (pixi_worker_stop). NULL is fine. */
void pixi_worker_free(struct pixi_worker *w);

/* pixi_worker_stop -- do everything that waits, and end the thread. What is done is still to be taken. */
void pixi_worker_stop(struct pixi_worker *w);

/* pixi_worker_put -- PIXI_OK, or PIXI_E_LIMIT: too many wait, the job stays the caller's. */
int pixi_worker_put(struct pixi_worker *w, struct pixi_job *job);

/* pixi_worker_fd -- readable when something is done, or is_refusing is no more what it was. The worker's own. */
int pixi_worker_fd(const struct pixi_worker *w);

/* pixi_worker_take -- call `done` of every job that is. False: there was none. */
bool pixi_worker_take(struct pixi_worker *w);

/* pixi_worker_turn -- what the thread does once, here and now: for tests, instead of pixi_worker_start. False: nothing
 * waited. */
bool pixi_worker_turn(struct pixi_worker *w);

/* pixi_worker_stats -- as they are now. */
struct pixi_worker_stats pixi_worker_stats(struct pixi_worker *w);

#endif
