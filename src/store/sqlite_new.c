/* sqlite_new.c -- the store on disk: opened, settled, and closed. */
#include "store/sqlite_store.h"

#include "base/file.h"
#include "base/list.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CHECK_MS = 1000,    /* for a file that nobody closed */
    JOBS_MAX = 1 << 20, /* that wait */
};

const struct pixi_sqlite_store_config pixi_sqlite_store_config_default = {
    .retained_count = 65536,
    .retained_bytes = 64 << 20,
    .producers = 10000,
    .seqs = 1 << 20,
    .seqs_per_producer = 65536,
    .records = 1024,
    .wanted_messages = 100000,
    .wanted_bytes = 64 << 20,
    .waiting_bytes = 64 << 20,
};

/* --- the thread's hooks -------------------------------------------------------------------------------------- */

static struct pixi_sqlite_store *store_of_log(void *ctx)
{
    return PIXI_LIST_ITEM(ctx, struct pixi_sqlite_store, log);
}

static int finish(void *ctx)
{
    return pixi_log_finish(ctx);
}

static void ended(void *ctx, int rc)
{
    struct pixi_sqlite_store *s = store_of_log(ctx);

    pixi_log_ended(&s->log, rc);
    pthread_mutex_lock(&s->lock);
    s->seen = s->log.committed;
    pthread_mutex_unlock(&s->lock);
}

static int probe(void *ctx)
{
    return pixi_log_probe(ctx);
}

static const struct pixi_worker_calls worker_calls = {.finish = finish, .ended = ended, .probe = probe};

/* --- opening ------------------------------------------------------------------------------------------------- */

static int set_up(struct pixi_sqlite_store *s, const struct pixi_sqlite_store_config *c)
{
    int rc =
        c->new_epoch ? pixi_filters_init(&s->log.filters, c->policies, c->policy_count) : PIXI_E_SETTINGS;

    if (rc != PIXI_OK)
        return rc;
    if (c->policy_count)
        memcpy(s->log.policy, c->policies, c->policy_count * sizeof *c->policies);
    s->log.policy[c->policy_count] = pixi_policy_extra;
    s->log.limits = (struct pixi_log_limits){
        c->retained_count,    c->retained_bytes, c->producers,       c->seqs,
        c->seqs_per_producer, c->records,        c->wanted_messages, c->wanted_bytes};
    s->store.call = &pixi_sqlite_store_calls;
    s->store.is_durable = true;
    s->is_stepped = c->is_stepped;
    return PIXI_OK;
}

/* The file `epoch` says which log was here last; 0: none did. */
static uint64_t last_epoch(const struct pixi_dir *dir)
{
    struct pixi_buf text = pixi_buf_init(64);
    char *path = pixi_dir_file(dir, "epoch");
    uint64_t epoch = 0;

    if (path && pixi_file_read(path, &text, NULL) == PIXI_OK) {
        pixi_buf_put(&text, "", 1);
        if (text.err == PIXI_OK)
            epoch = strtoull((const char *)text.bytes, NULL, 16);
    }
    free(path);
    pixi_buf_clear(&text);
    return epoch;
}

static int write_epoch(const struct pixi_dir *dir, uint64_t epoch, struct pixi_buf *problem)
{
    char *path = pixi_dir_file(dir, "epoch"), text[32];
    int rc;

    if (!path)
        return PIXI_E_NOMEM;
    snprintf(text, sizeof text, "%016" PRIx64 "\n", epoch);
    rc = pixi_file_write(path, pixi_cur_str(text), PIXI_FILE_REPLACE);
    if (rc == PIXI_E_SYS) {
        pixi_buf_putf(problem, "data: %s: %s\n  fix: free space where it lies, or see to its disk", path,
                      strerror(errno));
        rc = PIXI_E_STORAGE;
    }
    free(path);
    return rc;
}

static int open_log(struct pixi_sqlite_store *s, const struct pixi_sqlite_store_config *c, bool is_known_torn,
                    struct pixi_buf *problem)
{
    struct pixi_db_options options = {.path = s->path,
                                      .schema = &pixi_log_schema,
                                      .vfs = c->vfs,
                                      .now_ms = c->now_ms,
                                      .check_ms = s->dir.is_clean ? 0 : CHECK_MS,
                                      .is_known_torn = is_known_torn};
    int rc = pixi_db_open(&options, &s->log.db, problem);

    if (rc != PIXI_OK)
        return rc;
    rc = pixi_log_open(&s->log, c->new_epoch, c->hash_key, &s->found.is_sorted);
    if (pixi_db_is_damage(rc) && !is_known_torn) {
        pixi_log_close(&s->log);
        return open_log(s, c, true, problem);
    }
    if (rc != SQLITE_OK)
        pixi_buf_putf(problem, "data: %s: %s\n  fix: free space where it lies, or see to its disk", s->path,
                      sqlite3_errstr(rc));
    return pixi_db_err(rc);
}

/* Offsets are never given twice: a log that may have given more than it knows of goes on under another name. */
static int settle_epoch(struct pixi_sqlite_store *s, uint64_t new_epoch, struct pixi_buf *problem)
{
    uint64_t last = last_epoch(&s->dir);
    int rc = SQLITE_OK;

    if (s->log.db.origin == PIXI_DB_SALVAGED)
        s->found.how = PIXI_SQLITE_STORE_REPAIRED;
    else if (s->log.db.origin == PIXI_DB_MADE)
        s->found.how = last ? PIXI_SQLITE_STORE_LOST : PIXI_SQLITE_STORE_NEW;
    else if (last != s->log.epoch && s->log.now.head)
        s->found.how = PIXI_SQLITE_STORE_RESTORED;
    if (s->found.how == PIXI_SQLITE_STORE_REPAIRED || s->found.how == PIXI_SQLITE_STORE_RESTORED)
        rc = pixi_log_begin_epoch(&s->log, new_epoch);
    s->found.aside = s->log.db.aside;
    s->found.rows = s->log.db.rows;
    if (rc != SQLITE_OK)
        return pixi_db_err(rc);
    return s->log.epoch == last ? PIXI_OK : write_epoch(&s->dir, s->log.epoch, problem);
}

static bool is_marked(const struct pixi_dir *dir)
{
    char *path = pixi_dir_file(dir, "damaged");
    bool is_there = path && access(path, F_OK) == 0;

    free(path);
    return is_there;
}

static void unmark(const struct pixi_dir *dir)
{
    char *path = pixi_dir_file(dir, "damaged");

    if (path)
        unlink(path);
    free(path);
}

static void mark(const struct pixi_dir *dir)
{
    char *path = pixi_dir_file(dir, "damaged");

    if (path)
        pixi_file_write(path, pixi_cur_str(""), PIXI_FILE_REPLACE);
    free(path);
}

static int open_all(struct pixi_sqlite_store *s, const struct pixi_sqlite_store_config *c,
                    struct pixi_buf *problem)
{
    const struct pixi_worker_limits limits = {.jobs = JOBS_MAX, .bytes = c->waiting_bytes};
    int rc = set_up(s, c);

    if (rc == PIXI_OK)
        rc = pixi_dir_open(c->path, &s->dir, problem);
    if (rc == PIXI_OK && !(s->path = pixi_dir_file(&s->dir, "hub.db")))
        rc = PIXI_E_NOMEM;
    if (rc == PIXI_OK)
        rc = open_log(s, c, is_marked(&s->dir), problem);
    if (rc == PIXI_OK)
        rc = settle_epoch(s, c->new_epoch, problem);
    if (rc != PIXI_OK)
        return rc;
    unmark(&s->dir);
    s->head = (struct pixi_position){s->log.epoch, s->log.now.head};
    s->view = s->seen = s->log.committed = s->log.now;
    rc = pixi_worker_new(&s->log.db, &worker_calls, &s->log, &limits, &s->worker);
    return rc == PIXI_OK && !c->is_stepped ? pixi_worker_start(s->worker) : rc;
}

int pixi_sqlite_store_new(const struct pixi_sqlite_store_config *config, struct pixi_sqlite_store **out,
                          struct pixi_buf *problem)
{
    struct pixi_sqlite_store *s = calloc(1, sizeof *s);
    int rc;

    if (!s)
        return PIXI_E_NOMEM;
    s->dir.lock_fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    rc = open_all(s, config, problem);
    if (rc == PIXI_OK)
        *out = s;
    else
        pixi_sqlite_store_free(s);
    return rc;
}

void pixi_sqlite_store_stop(struct pixi_sqlite_store *s)
{
    do
        pixi_worker_stop(s->worker);
    while (pixi_worker_take(s->worker));
}

void pixi_sqlite_store_free(struct pixi_sqlite_store *s)
{
    struct pixi_worker_stats stats = {0};
    struct pixi_job *job;

    if (!s)
        return;
    if (s->worker) {
        stats = pixi_worker_stats(s->worker);
        pixi_worker_free(s->worker);
    }
    pixi_log_close(&s->log);
    if (stats.is_damaged)
        mark(&s->dir);
    pixi_dir_close(&s->dir, stats.is_refusing ? PIXI_DIR_SUSPECT : PIXI_DIR_CLEAN);
    while ((job = s->spares)) {
        s->spares = job->next;
        free(job);
    }
    pixi_filters_clear(&s->log.filters);
    pthread_mutex_destroy(&s->lock);
    free(s->path);
    free(s);
}

struct pixi_store *pixi_sqlite_store_store(struct pixi_sqlite_store *s)
{
    return &s->store;
}

struct pixi_sqlite_store_found pixi_sqlite_store_found(const struct pixi_sqlite_store *s)
{
    return s->found;
}

int pixi_sqlite_store_fd(const struct pixi_sqlite_store *s)
{
    return pixi_worker_fd(s->worker);
}

bool pixi_sqlite_store_turn(struct pixi_sqlite_store *s)
{
    if (s->is_stepped)
        pixi_worker_turn(s->worker);
    pthread_mutex_lock(&s->lock);
    s->view = s->seen;
    pthread_mutex_unlock(&s->lock);
    return pixi_worker_take(s->worker);
}

struct pixi_sqlite_store_stats pixi_sqlite_store_stats(struct pixi_sqlite_store *s)
{
    struct pixi_worker_stats w = pixi_worker_stats(s->worker);
    const struct pixi_log_state *v = &s->view;
    const struct pixi_log_limits *limits = &s->log.limits;
    struct stat st;
    struct pixi_sqlite_store_stats stats = {
        .retained = v->retained,
        .retained_bytes = v->retained_bytes,
        .wanted = v->wanted,
        .wanted_bytes = v->wanted_bytes,
        .producers = v->producers,
        .seqs = v->seqs,
        .records = v->records,
        .commits = w.commits,
        .failed_commits = w.failed,
        .writes = w.jobs,
        .commit_us = w.commit_us,
        .file_bytes = stat(s->path, &st) == 0 ? (uint64_t)st.st_size : 0,
        .why = w.why,
        .is_refusing = w.is_refusing,
        .is_damaged = w.is_damaged,
        .is_full = v->retained >= limits->retained_count ||
                   v->retained_bytes >= limits->retained_bytes - limits->retained_bytes / 64,
    };

    for (size_t h = 0; h <= s->log.filters.count; h++) {
        stats.messages += v->history[h].messages;
        stats.bytes += v->history[h].bytes;
    }
    return stats;
}
