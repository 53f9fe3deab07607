#include "outbox/state.h"

enum { CHECK_MS = 200 }; /* for damage, after a run that did not end as it should */

static const struct pixi_worker_calls worker_calls = {
    .finish = pixi_outbox_disk_finish, .ended = pixi_outbox_disk_ended, .probe = pixi_outbox_disk_probe};

void pixi_outbox_set(struct pixi_outbox *o, const struct pixi_outbox_options *options)
{
    o->options.bytes = options->bytes;
    o->options.age_ms = options->age_ms;
    o->options.late_ms = options->late_ms;
    if (!o->worker) {
        o->options.when_full = options->when_full;
        o->disk.when_full = (enum pixi_outbox_full)options->when_full;
        o->disk.limit_bytes = options->bytes;
    }
}

static void note_origin(const struct pixi_outbox *o, struct pixi_buf *notes)
{
    if (o->disk.db.origin == PIXI_DB_SALVAGED)
        pixi_buf_putf(notes,
                      "%s was damaged: %llu rows were salvaged, %llu messages wait; the damaged file is %s\n",
                      o->options.path, (unsigned long long)o->disk.db.rows,
                      (unsigned long long)o->disk.row.count, o->disk.db.aside ? o->disk.db.aside : "gone");
    if (o->disk.db.origin == PIXI_DB_SALVAGED && o->disk.is_new_producer)
        pixi_buf_put_str(notes,
                         "what was sent and not answered before the damage will be told as in doubt\n");
}

static void inherit(struct pixi_outbox *o)
{
    struct pixi_outbox_msg *list = o->disk.inherited, *next;

    o->disk.inherited = NULL;
    for (; list; list = next) {
        next = list->next;
        list->is_uncertain = true;
        pixi_outbox_add_last(o, list);
    }
}

static void take_row(struct pixi_outbox *o)
{
    const struct pixi_outbox_row *r = &o->disk.row;

    memcpy(o->producer, r->producer, sizeof o->producer);
    o->start_ms = o->now.ms = r->now_ms;
    o->epoch = r->epoch;
    o->stored_seq = r->stored_seq;
    o->next_seq = r->next_seq;
    o->unassigned = r->unassigned;
    o->is_new_producer = o->disk.is_new_producer && r->count;
    o->stats.count = r->count;
    o->stats.bytes = r->bytes;
    o->owner_count = pixi_outbox_disk_owners(&o->disk, o->owners, PIXI_OUTBOX_OWNERS);
}

static int open_disk(struct pixi_outbox *o, struct pixi_buf *notes)
{
    struct pixi_db_options db = {.vfs = o->options.vfs, .now_ms = o->options.wall_ms};
    int rc = pixi_dir_open(o->options.path, &o->dir, notes);
    char *file;

    if (rc != PIXI_OK)
        return rc;
    db.path = file = pixi_dir_file(&o->dir, "outbox.db");
    db.check_ms = o->dir.is_clean ? 0 : CHECK_MS;
    db.is_known_torn = o->dir.is_torn;
    rc = file ? pixi_outbox_disk_open(&o->disk, &db, notes) : PIXI_E_NOMEM;
    free(file);
    return rc;
}

int pixi_outbox_open(const struct pixi_outbox_options *options, const struct pixi_outbox_calls *calls,
                     void *ctx, struct pixi_outbox **out, struct pixi_buf *notes)
{
    static const struct pixi_worker_limits limits = {JOBS_MAX, JOB_BYTES_MAX};
    struct pixi_outbox *o = calloc(1, sizeof *o);
    int rc;

    if (!o)
        return PIXI_E_NOMEM;
    o->call = calls;
    o->ctx = ctx;
    o->options = *options;
    o->window = PIXI_OUTBOX_WINDOW;
    o->dir.lock_fd = -1;
    rc = open_disk(o, notes);
    if (rc == PIXI_OK) {
        note_origin(o, notes);
        pixi_outbox_set(o, options);
        inherit(o);
        take_row(o);
        rc = pixi_worker_new(&o->disk.db, &worker_calls, &o->disk, &limits, &o->worker);
    }
    if (rc == PIXI_OK && options->has_thread)
        rc = pixi_worker_start(o->worker);
    if (rc != PIXI_OK) {
        pixi_outbox_close(o);
        return rc;
    }
    *out = o;
    return PIXI_OK;
}

static void stop(struct pixi_outbox *o)
{
    o->link = UNLINKED;
    pixi_outbox_remove_stored(o);
    pixi_worker_stop(o->worker);
    do { /* what is told may give the worker more to do */
        while (pixi_worker_take(o->worker))
            ;
        pixi_outbox_flush_removal(o);
    } while (pixi_worker_turn(o->worker));
    pixi_worker_free(o->worker);
}

void pixi_outbox_close(struct pixi_outbox *o)
{
    struct pixi_outbox_work *next;
    bool is_damaged;

    if (!o)
        return;
    is_damaged = o->worker && pixi_worker_stats(o->worker).is_damaged;
    if (o->worker)
        stop(o);
    if (o->removal)
        pixi_outbox_drop_work(o->removal);
    for (struct pixi_outbox_work *w = o->retries; w; w = next) {
        next = w->next;
        pixi_outbox_drop_work(w);
    }
    pixi_outbox_free_list(o->first);
    pixi_outbox_free_list(o->unremoved);
    pixi_outbox_disk_close(&o->disk);
    pixi_dir_close(&o->dir, is_damaged ? PIXI_DIR_TORN : PIXI_DIR_CLEAN);
    free(o);
}

uint64_t pixi_outbox_start_ms(const struct pixi_outbox *o)
{
    return o->start_ms;
}

const uint8_t *pixi_outbox_producer(const struct pixi_outbox *o)
{
    return o->producer;
}

int pixi_outbox_fd(const struct pixi_outbox *o)
{
    return pixi_worker_fd(o->worker);
}

void pixi_outbox_take(struct pixi_outbox *o, struct pixi_outbox_now now)
{
    uint64_t had = o->count;

    o->now = now;
    pixi_worker_take(o->worker);
    if (!o->is_marked && pixi_worker_stats(o->worker).is_damaged) {
        o->is_marked = true;
        pixi_dir_mark(&o->dir, PIXI_DIR_TORN); /* the next start may not come upon it as quickly */
    }
    if (o->count != had)
        o->call->on_ready(o->ctx);
}

bool pixi_outbox_turn(struct pixi_outbox *o)
{
    return pixi_worker_turn(o->worker);
}

struct pixi_outbox_stats pixi_outbox_stats(const struct pixi_outbox *o)
{
    struct pixi_outbox_stats s = o->stats;
    struct pixi_worker_stats w = pixi_worker_stats(o->worker);

    s.oldest_ms = o->first ? o->first->accepted_ms : o->unassigned ? o->oldest_ms : 0;
    s.under_way = o->under_way;
    s.commits = w.commits;
    s.committed = w.jobs;
    s.commit_us = w.commit_us;
    s.is_failing = w.is_refusing;
    s.why = w.why;
    s.is_damaged = w.is_damaged;
    return s;
}
