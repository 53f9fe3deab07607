#include "outbox/state.h"

/* --- taking --------------------------------------------------------------------------------------------------------- */

static int run_put(struct pixi_job *job, void *ctx)
{
    struct pixi_outbox_work *w = pixi_outbox_work_of(job);
    struct pixi_outbox_disk *d = pixi_outbox_disk_of(w, ctx);
    uint64_t known = 0;
    int rc = w->has_given ? pixi_outbox_disk_known(d, &w->given, &known) : SQLITE_OK;

    w->left_count = 0;
    w->is_again = known != 0;
    if (rc != SQLITE_OK || known) {
        w->msg->id = known;
        return rc;
    }
    rc = pixi_outbox_disk_put(d, w->msg, w->wants_seq, w->left, LEFT_MAX, &w->left_count, &w->is_refused);
    if (rc == SQLITE_OK && w->has_given && !w->is_refused)
        rc = pixi_outbox_disk_know(d, &w->given, w->msg->id);
    return rc;
}

static void done_put(struct pixi_job *job, int err)
{
    struct pixi_outbox_work *w = pixi_outbox_work_of(job);
    struct pixi_outbox *o = w->outbox;
    struct pixi_outbox_msg *m = w->msg;
    uint64_t from = m->from, id = m->id;
    bool is_new;

    if (err == PIXI_OK)
        pixi_outbox_tell_left(o, w, PIXI_E_DROPPED);
    if (err == PIXI_OK && w->is_refused)
        err = PIXI_E_OUTBOX;
    o->stats.refused_full += err == PIXI_E_OUTBOX;
    o->stats.failed += err != PIXI_OK && err != PIXI_E_OUTBOX;
    is_new = err == PIXI_OK && !w->is_again;
    if (is_new)
        o->stats.accepted++;
    else
        pixi_outbox_count_off(o, m->owner, pixi_outbox_cost(m));
    if (!is_new && !w->wants_seq)
        o->unassigned--;
    if (is_new && w->wants_seq)
        pixi_outbox_add_last(o, m);
    else
        free(m);
    pixi_crash_point("queued");
    o->call->on_queued(o->ctx, from, w->call, id, err);
    free(w);
}

/* Only what may make room for others has to be remembered by its job. */
static size_t left_max(const struct pixi_outbox *o)
{
    return o->options.when_full == PIXI_OUTBOX_WHEN_FULL_REFUSE ? 0 : LEFT_MAX;
}

static int check_room(struct pixi_outbox *o, const struct pixi_outbox_put *p, uint64_t cost)
{
    const struct pixi_outbox_owner *owner = pixi_outbox_owner_of(o, p->owner);
    bool is_over = owner && p->owner_bytes && (uint64_t)owner->bytes + cost > p->owner_bytes;

    if (!is_over && cost <= o->options.bytes &&
        (o->options.when_full != PIXI_OUTBOX_WHEN_FULL_REFUSE || o->stats.bytes + cost <= o->options.bytes))
        return PIXI_OK;
    o->stats.refused_full++;
    return PIXI_E_OUTBOX;
}

int pixi_outbox_put(struct pixi_outbox *o, const struct pixi_outbox_put *p, struct pixi_outbox_now now)
{
    struct pixi_outbox_msg *m;
    struct pixi_outbox_work *w;
    int rc;

    o->now = now;
    pixi_crash_point("taken");
    m = pixi_outbox_msg_new(p->topic, p->headers, p->payload);
    w = pixi_outbox_make_work(o, run_put, done_put, left_max(o));
    rc = m && w ? check_room(o, p, pixi_outbox_cost(m)) : PIXI_E_NOMEM;
    if (rc == PIXI_OK) {
        m->id = pixi_outbox_lane(p->priority); /* the rest of it comes on disk */
        m->flags = p->flags;
        m->accepted_ms = now.ms;
        m->expires_ms = p->expires_in_ms ? now.ms + p->expires_in_ms : 0;
        m->owner = p->owner;
        m->from = p->from;
        w->msg = m;
        w->call = p->call;
        w->has_given = p->given != NULL;
        if (p->given)
            w->given = *p->given;
        w->now = now;
        w->wants_seq = o->link == LINKED && o->unassigned == 0 && !o->is_loading && pixi_outbox_has_room(o);
        w->job.bytes = pixi_outbox_cost(m);
        rc = pixi_worker_put(o->worker, &w->job) == PIXI_OK ? PIXI_OK : PIXI_E_STORAGE;
    }
    if (rc != PIXI_OK) {
        o->stats.failed += rc != PIXI_E_OUTBOX;
        free(m);
        free(w);
        return rc;
    }
    o->unassigned += !w->wants_seq;
    pixi_outbox_count(o, m->owner, 1, (int64_t)pixi_outbox_cost(m));
    return PIXI_OK;
}

/* --- loading what waits behind ---------------------------------------------------------------------------------------- */

static int run_load(struct pixi_job *job, void *ctx)
{
    struct pixi_outbox_work *w = pixi_outbox_work_of(job);
    int rc;

    pixi_outbox_free_list(w->list); /* of a group that failed */
    rc = pixi_outbox_disk_load(pixi_outbox_disk_of(w, ctx), w->count, w->bytes, w->late_ms, &w->list,
                               &w->lost);
    pixi_crash_point("load");
    return rc;
}

static void done_load(struct pixi_job *job, int err)
{
    struct pixi_outbox_work *w = pixi_outbox_work_of(job);
    struct pixi_outbox *o = w->outbox;
    struct pixi_outbox_msg *next;

    if (err != PIXI_OK) {
        pixi_outbox_try_again(w);
        return;
    }
    o->is_loading = false;
    for (struct pixi_outbox_msg *m = w->list; m; m = next) {
        next = m->next;
        pixi_outbox_add_last(o, m);
        o->unassigned--;
    }
    o->unassigned -= w->lost; /* and not all: others may be on their way to the disk by now */
    free(w);
    o->call->on_ready(o->ctx);
}

/* Reads on when a good part of the window is free. */
void pixi_outbox_fill(struct pixi_outbox *o)
{
    struct pixi_outbox_work *w;

    if (o->link != LINKED || !o->unassigned || o->is_loading || !pixi_outbox_has_room(o) ||
        o->count > o->window / 2)
        return;
    w = pixi_outbox_make_work(o, run_load, done_load, 0);
    if (!w)
        return;
    w->count = o->window - o->count;
    w->bytes = WINDOW_BYTES > o->window_bytes ? WINDOW_BYTES - o->window_bytes : 1;
    w->late_ms = o->now.ms > o->options.late_ms ? o->now.ms - o->options.late_ms : 0;
    o->is_loading = true;
    pixi_outbox_submit(o, w);
}
