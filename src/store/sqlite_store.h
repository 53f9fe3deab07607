/* sqlite_store.h -- the store on disk: what the loop has of it, and what the thread has. For src/store/sqlite*.c. */
#ifndef PIXI_STORE_SQLITE_STORE_H
#define PIXI_STORE_SQLITE_STORE_H

#include "sqlite/dir.h"
#include "sqlite/worker.h"
#include "store/sqlite_log.h"

#include <pthread.h>

struct pixi_sqlite_store {
    struct pixi_store store;
    struct pixi_dir dir;
    char *path;
    struct pixi_sqlite_store_found found;
    struct pixi_worker *worker;
    bool is_stepped;
    /* the loop's */
    struct pixi_position head;
    struct pixi_log_state view; /* as of the last commit that was answered, or a later one */
    size_t appends;             /* not answered yet */
    bool is_trimming, is_sweeping;
    uint64_t sweep_at; /* so many are wanted: time to ask whether they still are */
    struct pixi_job *spares;
    size_t spare_count;
    /* the thread's; what is not changed after the start is anybody's */
    struct pixi_log_db log;
    /* under the lock */
    pthread_mutex_t lock;
    struct pixi_log_state seen;
};

/* sqlite.c: the calls of hub/store.h. */
extern const struct pixi_store_calls pixi_sqlite_store_calls;

#endif
