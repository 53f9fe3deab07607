#include "outbox/state.h"

/* --- expiring, giving pages back, trying again ---------------------------------------------------------------------- */

static int run_sweep(struct pixi_job *job, void *ctx)
{
    struct pixi_outbox_work *w = pixi_outbox_work_of(job);

    return pixi_outbox_disk_sweep(pixi_outbox_disk_of(w, ctx), w->now.ms, w->old_ms, w->left, LEFT_MAX,
                                  &w->left_count, &w->oldest_ms);
}

static void sweep(struct pixi_outbox *o);

static void done_sweep(struct pixi_job *job, int err)
{
    struct pixi_outbox_work *w = pixi_outbox_work_of(job);
    struct pixi_outbox *o = w->outbox;
    bool has_more = err == PIXI_OK && w->left_count == LEFT_MAX;

    o->is_sweeping = false;
    o->oldest_ms = w->oldest_ms;
    if (err == PIXI_OK)
        pixi_outbox_tell_left(o, w, PIXI_E_EXPIRED);
    free(w);
    if (has_more)
        sweep(o);
}

static void sweep(struct pixi_outbox *o)
{
    struct pixi_outbox_work *w;

    o->oldest_ms = o->unassigned ? o->oldest_ms : 0;
    w = o->is_sweeping || !o->unassigned ? NULL : pixi_outbox_make_work(o, run_sweep, done_sweep, LEFT_MAX);

    if (!w)
        return;
    w->now = o->now;
    w->old_ms = o->options.age_ms && o->now.ms > o->options.age_ms ? o->now.ms - o->options.age_ms : 0;
    o->is_sweeping = pixi_worker_put(o->worker, &w->job) == PIXI_OK;
    if (!o->is_sweeping)
        free(w);
}

static int run_tidy(struct pixi_job *job, void *ctx)
{
    struct pixi_outbox_work *w = pixi_outbox_work_of(job);

    return pixi_outbox_disk_tidy(pixi_outbox_disk_of(w, ctx), &w->is_refused);
}

static void done_tidy(struct pixi_job *job, int err)
{
    struct pixi_outbox_work *w = pixi_outbox_work_of(job);

    w->outbox->is_tidying = false;
    w->outbox->has_pages = err == PIXI_OK && !w->is_refused;
    free(w);
}

/* While little waits: pages that are free now are soon used again otherwise. */
static void tidy(struct pixi_outbox *o)
{
    struct pixi_outbox_work *w = NULL;

    if (o->has_pages && !o->is_tidying && o->stats.count < o->window)
        w = pixi_outbox_make_work(o, run_tidy, done_tidy, 0);
    if (!w)
        return;
    w->now = o->now;
    o->is_tidying = pixi_worker_put(o->worker, &w->job) == PIXI_OK;
    if (!o->is_tidying)
        free(w);
}

static void retry(struct pixi_outbox *o)
{
    struct pixi_outbox_work *list = o->retries, *next;

    o->retries = NULL;
    for (; list; list = next) {
        next = list->next;
        pixi_outbox_submit(o, list);
    }
}

static bool is_expired(const struct pixi_outbox *o, const struct pixi_outbox_msg *m)
{
    return m->expires_ms && m->expires_ms <= o->now.ms && !m->is_uncertain;
}

/* Those with a seq that the server has not: it does not miss them. */
static void expire_window(struct pixi_outbox *o)
{
    struct pixi_outbox_msg *next;

    for (struct pixi_outbox_msg *m = o->cursor; m; m = next) {
        next = m->next;
        if (m->state != PIXI_OUTBOX_READY || !is_expired(o, m) || !pixi_outbox_remove_row(o, m))
            continue;
        pixi_outbox_leave(o, m);
        o->stats.expired++;
        o->call->on_gone(o->ctx, m->from, m->id, PIXI_E_EXPIRED, NULL);
        free(m);
    }
}

void pixi_outbox_expire(struct pixi_outbox *o, struct pixi_outbox_now now)
{
    o->now = now;
    if (o->retries && now.ms >= o->retry_at_ms)
        retry(o);
    if (now.ms >= o->sweep_at_ms) {
        o->sweep_at_ms = now.ms + SWEEP_MS;
        expire_window(o);
        pixi_outbox_remove_stored(o);
        sweep(o);
        tidy(o);
    }
    if (o->hold_until_ms && now.ms >= o->hold_until_ms) {
        o->hold_until_ms = 0;
        o->call->on_ready(o->ctx);
    }
}

uint64_t pixi_outbox_due_ms(const struct pixi_outbox *o)
{
    uint64_t due = o->sweep_at_ms;

    if (o->retries && o->retry_at_ms < due)
        due = o->retry_at_ms;
    return o->hold_until_ms && o->hold_until_ms < due ? o->hold_until_ms : due;
}
