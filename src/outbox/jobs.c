#include "outbox/state.h"

/* --- who has how much ---------------------------------------------------------------------------------------------- */

struct pixi_outbox_owner *pixi_outbox_owner_of(struct pixi_outbox *o, uint64_t uid)
{
    size_t i = 0;

    while (i < o->owner_count && o->owners[i].uid != uid)
        i++;
    if (i == PIXI_OUTBOX_OWNERS)
        return NULL;
    if (i == o->owner_count)
        o->owners[o->owner_count++] = (struct pixi_outbox_owner){.uid = uid};
    return &o->owners[i];
}

void pixi_outbox_count(struct pixi_outbox *o, uint64_t uid, int64_t messages, int64_t bytes)
{
    struct pixi_outbox_owner *owner = pixi_outbox_owner_of(o, uid);

    o->stats.count += (uint64_t)messages;
    o->stats.bytes += (uint64_t)bytes;
    if (owner) {
        owner->count += messages;
        owner->bytes += bytes;
    }
}

void pixi_outbox_count_off(struct pixi_outbox *o, uint64_t uid, uint64_t cost)
{
    pixi_outbox_count(o, uid, -1, -(int64_t)cost);
}

/* --- jobs ----------------------------------------------------------------------------------------------------------- */

struct pixi_outbox_work *pixi_outbox_make_work(struct pixi_outbox *o, int (*run)(struct pixi_job *, void *),
                                               void (*done)(struct pixi_job *, int), size_t left)
{
    struct pixi_outbox_work *w = calloc(1, sizeof *w + left * sizeof *w->left);

    if (!w)
        return NULL;
    w->outbox = o;
    w->job = (struct pixi_job){.kind = PIXI_JOB_WRITES, .run = run, .done = done};
    return w;
}

void pixi_outbox_try_again(struct pixi_outbox_work *w)
{
    struct pixi_outbox *o = w->outbox;
    struct pixi_outbox_work **at = &o->retries;

    while (*at)
        at = &(*at)->next;
    w->next = NULL;
    *at = w;
    o->retry_at_ms = o->now.ms + RETRY_MS;
}

void pixi_outbox_submit(struct pixi_outbox *o, struct pixi_outbox_work *w)
{
    w->now = o->now;
    if (pixi_worker_put(o->worker, &w->job) != PIXI_OK)
        pixi_outbox_try_again(w);
}

void pixi_outbox_tell_left(struct pixi_outbox *o, const struct pixi_outbox_work *w, int err)
{
    for (size_t i = 0; i < w->left_count; i++) {
        const struct pixi_outbox_left *l = &w->left[i];

        o->unassigned--;
        pixi_outbox_count_off(o, l->owner, l->cost);
        *(err == PIXI_E_DROPPED ? &o->stats.dropped : &o->stats.expired) += 1;
        o->call->on_gone(o->ctx, l->from, l->id, err, NULL);
    }
    o->has_pages |= w->left_count > 0;
}

void pixi_outbox_free_list(struct pixi_outbox_msg *list)
{
    while (list) {
        struct pixi_outbox_msg *next = list->next;

        free(list);
        list = next;
    }
}

void pixi_outbox_drop_work(struct pixi_outbox_work *w)
{
    pixi_outbox_free_list(w->list);
    free(w->detail);
    free(w->msg);
    free(w);
}
