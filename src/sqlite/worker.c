#include "sqlite/worker.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { PROBE_S = 1 }; /* after a failure */

struct list {
    struct pixi_job *first, *last;
};

struct pixi_worker {
    struct pixi_db *db; /* borrowed */
    const struct pixi_worker_calls *call;
    void *ctx;
    struct pixi_worker_limits limits;
    int fd;
    pthread_t thread;
    bool is_started;
    size_t jobs, bytes; /* the caller's: that write and are not taken yet */
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t news;
    struct list waiting[2], done; /* waiting: by kind */
    struct pixi_worker_stats stats;
    bool is_stopping;
};

static void add(struct list *l, struct pixi_job *job)
{
    job->next = NULL;
    if (l->first)
        l->last->next = job;
    else
        l->first = job;
    l->last = job;
}

static struct list take_all(struct list *l)
{
    struct list all = *l;

    *l = (struct list){0};
    return all;
}

static uint64_t now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* --- the thread ---------------------------------------------------------------------------------------------- */

/* What is done goes to the caller, and with it the state that its jobs have led to. */
static void wake_caller(const struct pixi_worker *w)
{
    const uint64_t one = 1;

    if (write(w->fd, &one, sizeof one) < 0)
        assert(errno == EAGAIN); /* as full as can be: it is readable */
}

static void hand_over(struct pixi_worker *w, const struct list *jobs)
{
    pthread_mutex_lock(&w->lock);
    if (w->done.first)
        w->done.last->next = jobs->first;
    else
        w->done.first = jobs->first;
    w->done.last = jobs->last;
    pthread_mutex_unlock(&w->lock);
    wake_caller(w);
}

static void note_damage(struct pixi_worker *w, int rc)
{
    pthread_mutex_lock(&w->lock);
    w->stats.why = sqlite3_errstr(rc);
    w->stats.is_refusing = w->stats.is_damaged = true;
    pthread_mutex_unlock(&w->lock);
}

static void run_reads(struct pixi_worker *w, const struct list *jobs)
{
    int rc;

    for (struct pixi_job *job = jobs->first; job; job = job->next) {
        rc = job->run(job, w->ctx);
        job->err = pixi_db_err(rc);
        if (pixi_db_is_damage(rc))
            note_damage(w, rc);
    }
    hand_over(w, jobs);
}

/* No jobs: a probe. *is_torn: it was the COMMIT that failed. */
static int write_once(struct pixi_worker *w, const struct list *jobs, bool *is_torn)
{
    int rc = pixi_db_exec(w->db, "BEGIN IMMEDIATE");

    for (struct pixi_job *job = jobs->first; rc == SQLITE_OK && job; job = job->next)
        rc = job->run(job, w->ctx);
    if (rc == SQLITE_OK && !jobs->first)
        rc = w->call->probe(w->ctx);
    if (rc == SQLITE_OK)
        rc = w->call->finish(w->ctx);
    *is_torn = rc == SQLITE_OK;
    if (rc == SQLITE_OK)
        rc = pixi_db_exec(w->db, "COMMIT");
    *is_torn = *is_torn && rc != SQLITE_OK;
    /* Some failures have rolled back already. */
    if (rc != SQLITE_OK && !sqlite3_get_autocommit(w->db->handle))
        pixi_db_exec(w->db, "ROLLBACK");
    w->call->ended(w->ctx, rc);
    return rc;
}

/* What a COMMIT that failed left in the log behind the last commit may be whole: the next to open the file would take it
 * for committed. So it is written over, from the same place on, before anybody is told: its checksums then fit nothing. */
static int write_all(struct pixi_worker *w, const struct list *jobs)
{
    static const struct list nothing;
    bool is_torn;
    int rc = write_once(w, jobs, &is_torn);

    if (is_torn && !pixi_db_is_damage(rc))
        write_once(w, &nothing, &is_torn);
    return rc;
}

/* A group that had nothing to write says nothing of the disk. */
static void note(struct pixi_worker *w, int rc, bool has_written, uint64_t count, uint64_t us)
{
    struct pixi_worker_stats *s = &w->stats;
    bool is_refusing = rc != SQLITE_OK || (s->is_refusing && !has_written),
         is_new = s->is_refusing != is_refusing;

    pthread_mutex_lock(&w->lock);
    s->is_refusing = is_refusing;
    if (rc != SQLITE_OK)
        s->why = sqlite3_errstr(rc);
    s->is_damaged = s->is_damaged || pixi_db_is_damage(rc);
    s->failed += rc != SQLITE_OK;
    if (rc == SQLITE_OK && has_written && count) {
        s->commits++;
        s->jobs += count;
        s->commit_us += us;
    }
    pthread_mutex_unlock(&w->lock);
    if (is_new)
        wake_caller(w);
}

/* No jobs: a probe. */
static void run_group(struct pixi_worker *w, const struct list *jobs)
{
    uint64_t began_us = now_us(), count = 0;
    int64_t changes = sqlite3_total_changes64(w->db->handle);
    int rc = w->stats.is_damaged ? SQLITE_CORRUPT : write_all(w, jobs);

    for (struct pixi_job *job = jobs->first; job; job = job->next, count++)
        job->err = pixi_db_err(rc);
    note(w, rc, sqlite3_total_changes64(w->db->handle) != changes, count, now_us() - began_us);
    if (jobs->first)
        hand_over(w, jobs);
}

static void run_once(struct pixi_worker *w, const struct list *reads, const struct list *writes)
{
    if (reads->first)
        run_reads(w, reads);
    if (writes->first)
        run_group(w, writes);
}

static bool is_idle(const struct pixi_worker *w)
{
    return !w->waiting[PIXI_JOB_READS].first && !w->waiting[PIXI_JOB_WRITES].first;
}

/* With the lock. False: a probe is due. */
static bool wait_for_news(struct pixi_worker *w)
{
    struct timespec until;

    if (!w->stats.is_refusing || w->stats.is_damaged) {
        pthread_cond_wait(&w->news, &w->lock);
        return true;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PROBE_S;
    return pthread_cond_timedwait(&w->news, &w->lock, &until) != ETIMEDOUT;
}

static void *run_thread(void *arg)
{
    struct pixi_worker *w = arg;
    struct list reads, writes;
    bool is_probe;

    pthread_mutex_lock(&w->lock);
    for (;;) {
        is_probe = false;
        while (is_idle(w) && !w->is_stopping && !is_probe)
            is_probe = !wait_for_news(w);
        if (is_idle(w) && w->is_stopping)
            break;
        reads = take_all(&w->waiting[PIXI_JOB_READS]);
        writes = take_all(&w->waiting[PIXI_JOB_WRITES]);
        pthread_mutex_unlock(&w->lock);
        run_once(w, &reads, &writes);
        if (is_probe && !writes.first)
            run_group(w, &writes);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

bool pixi_worker_turn(struct pixi_worker *w)
{
    struct list reads = take_all(&w->waiting[PIXI_JOB_READS]),
                writes = take_all(&w->waiting[PIXI_JOB_WRITES]);

    assert(!w->is_started);
    run_once(w, &reads, &writes);
    return reads.first || writes.first;
}

/* --- the caller ---------------------------------------------------------------------------------------------- */

int pixi_worker_new(struct pixi_db *db, const struct pixi_worker_calls *calls, void *ctx,
                    const struct pixi_worker_limits *limits, struct pixi_worker **out)
{
    struct pixi_worker *w = calloc(1, sizeof *w);
    pthread_condattr_t attr;

    if (!w)
        return PIXI_E_NOMEM;
    w->db = db;
    w->call = calls;
    w->ctx = ctx;
    w->limits = *limits;
    w->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (w->fd < 0) {
        free(w);
        return PIXI_E_SYS;
    }
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->news, &attr);
    pthread_condattr_destroy(&attr);
    *out = w;
    return PIXI_OK;
}

int pixi_worker_start(struct pixi_worker *w)
{
    sigset_t all, was;
    int rc;

    /* Signals are for the thread that waits for them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &was);
    rc = pthread_create(&w->thread, NULL, run_thread, w);
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    w->is_started = rc == 0;
    errno = rc;
    return rc == 0 ? PIXI_OK : PIXI_E_SYS;
}

void pixi_worker_stop(struct pixi_worker *w)
{
    while (!w->is_started && pixi_worker_turn(w))
        ;
    if (!w->is_started)
        return;
    pthread_mutex_lock(&w->lock);
    w->is_stopping = true;
    pthread_cond_signal(&w->news);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    w->is_started = w->is_stopping = false;
}

void pixi_worker_free(struct pixi_worker *w)
{
    if (!w)
        return;
    assert(!w->is_started && is_idle(w) && !w->done.first);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->news);
    close(w->fd);
    free(w);
}

int pixi_worker_put(struct pixi_worker *w, struct pixi_job *job)
{
    if (job->kind == PIXI_JOB_WRITES) {
        /* One that is too large alone goes alone. */
        if (w->jobs >= w->limits.jobs || (w->jobs && w->bytes + job->bytes > w->limits.bytes))
            return PIXI_E_LIMIT;
        w->jobs++;
        w->bytes += job->bytes;
    }
    pthread_mutex_lock(&w->lock);
    add(&w->waiting[job->kind], job);
    pthread_cond_signal(&w->news);
    pthread_mutex_unlock(&w->lock);
    return PIXI_OK;
}

int pixi_worker_fd(const struct pixi_worker *w)
{
    return w->fd;
}

bool pixi_worker_take(struct pixi_worker *w)
{
    struct list done;
    struct pixi_job *job;
    uint64_t count;

    if (read(w->fd, &count, sizeof count) < 0)
        count = 0;
    pthread_mutex_lock(&w->lock);
    done = take_all(&w->done);
    pthread_mutex_unlock(&w->lock);
    for (job = done.first; job; job = done.first) {
        done.first = job->next;
        if (job->kind == PIXI_JOB_WRITES) {
            w->jobs--;
            w->bytes -= job->bytes;
        }
        job->done(job, job->err);
        count++;
    }
    return count != 0;
}

struct pixi_worker_stats pixi_worker_stats(struct pixi_worker *w)
{
    struct pixi_worker_stats s;

    pthread_mutex_lock(&w->lock);
    s = w->stats;
    pthread_mutex_unlock(&w->lock);
    return s;
}
