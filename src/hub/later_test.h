/* later_test.h -- for tests: a store that stands before another one and answers when it is told to.
 * With is_later false it hands everything through at once. */
#ifndef PIXI_HUB_LATER_TEST_H
#define PIXI_HUB_LATER_TEST_H

#include "base/list.h"
#include "hub/store.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

struct later_store {
    struct pixi_store store; /* what the hub gets */
    struct pixi_store *inner;
    bool is_later;
    struct pixi_list appends, reads;
    /* The test's view of commits, before and after the hub's. May be NULL. */
    void (*before)(void *ctx, const struct pixi_commit *commit);
    void (*after)(void *ctx, const struct pixi_commit *commit);
    void *ctx;
};

struct later_job {
    struct pixi_list link;
    struct pixi_store_read *read;
    void (*call)(struct pixi_store *store, struct pixi_store_read *read);
    struct pixi_msg msg;
    unsigned flags;
    void *token;
    uint8_t bytes[];
};

static inline struct later_store *later_of(struct pixi_store *store)
{
    return PIXI_LIST_ITEM(store, struct later_store, store);
}

static inline struct later_job *later_job_of(struct pixi_list *link)
{
    return PIXI_LIST_ITEM(link, struct later_job, link);
}

static inline struct later_job *later_job_new(struct pixi_list *list, size_t len)
{
    struct later_job *job = calloc(1, sizeof *job + len);

    assert(job);
    pixi_list_add_last(list, &job->link);
    return job;
}

static inline void later_on_committed(void *ctx, void *token, const struct pixi_commit *commit)
{
    struct later_store *s = ctx;

    if (s->before)
        s->before(s->ctx, commit);
    s->store.on_committed(s->store.ctx, token, commit);
    if (s->after)
        s->after(s->ctx, commit);
}

static inline struct pixi_cur later_copy(uint8_t **to, struct pixi_cur from)
{
    size_t len = pixi_cur_left(&from);
    struct pixi_cur c = pixi_cur_init(*to, len);

    if (len)
        memcpy(*to, from.p, len);
    *to += len;
    return c;
}

static inline void later_append(struct pixi_store *store, const struct pixi_msg *msg, unsigned flags,
                                void *token)
{
    struct later_store *s = later_of(store);
    struct later_job *job;
    uint8_t *to;

    if (!s->is_later) {
        s->inner->call->append(s->inner, msg, flags, token);
        return;
    }
    job = later_job_new(&s->appends, pixi_msg_size(msg) + pixi_cur_left(&msg->key_owner));
    to = job->bytes;
    job->msg = *msg;
    job->msg.topic = later_copy(&to, msg->topic);
    job->msg.payload = later_copy(&to, msg->payload);
    job->msg.headers = later_copy(&to, msg->headers);
    job->msg.key_owner = later_copy(&to, msg->key_owner);
    job->flags = flags;
    job->token = token;
}

static inline void later_begin(struct later_store *s, struct pixi_store_read *read,
                               void (*call)(struct pixi_store *store, struct pixi_store_read *read))
{
    struct later_job *job;

    if (!s->is_later) {
        call(s->inner, read);
        return;
    }
    job = later_job_new(&s->reads, 0);
    job->read = read;
    job->call = call;
}

static inline void later_read(struct pixi_store *store, struct pixi_store_read *read)
{
    struct later_store *s = later_of(store);

    later_begin(s, read, s->inner->call->read);
}

static inline void later_last(struct pixi_store *store, struct pixi_store_read *read)
{
    struct later_store *s = later_of(store);

    later_begin(s, read, s->inner->call->last);
}

static inline void later_drop(struct later_job *job)
{
    pixi_list_remove(&job->link);
    free(job);
}

static inline void later_cancel(struct pixi_store *store, struct pixi_store_read *read)
{
    struct later_store *s = later_of(store);

    struct pixi_list *l = s->reads.next;

    for (; l != &s->reads && later_job_of(l)->read != read; l = l->next)
        ;
    if (l == &s->reads) /* it is under way behind this one */
        s->inner->call->cancel(s->inner, read);
    else
        later_drop(later_job_of(l));
}

static inline enum pixi_store_kept later_kept(struct pixi_store *store, struct pixi_cur filter, uint64_t from)
{
    struct later_store *s = later_of(store);

    return s->inner->call->kept(s->inner, filter, from);
}

static inline struct pixi_position later_head(struct pixi_store *store)
{
    struct later_store *s = later_of(store);

    return s->inner->call->head(s->inner);
}

static inline uint64_t later_wanted_from(struct pixi_store *store)
{
    struct later_store *s = later_of(store);

    return s->inner->call->wanted_from(s->inner);
}

static inline bool later_is_wanted(void *ctx, const struct pixi_msg *msg)
{
    struct later_store *s = ctx;

    return s->store.is_wanted(s->store.ctx, msg);
}

static inline bool later_run_append(struct later_store *s)
{
    struct later_job *job = later_job_of(s->appends.next);

    if (pixi_list_is_empty(&s->appends))
        return false;
    pixi_list_remove(&job->link);
    s->inner->call->append(s->inner, &job->msg, job->flags, job->token);
    free(job);
    return true;
}

static inline bool later_run_read(struct later_store *s)
{
    struct later_job *job = later_job_of(s->reads.next);
    struct pixi_store_read *read;
    void (*call)(struct pixi_store * store, struct pixi_store_read * read);

    if (pixi_list_is_empty(&s->reads))
        return false;
    read = job->read;
    call = job->call;
    later_drop(job);
    call(s->inner, read);
    return true;
}

static const struct pixi_store_calls later_calls = {
    .append = later_append,
    .read = later_read,
    .last = later_last,
    .cancel = later_cancel,
    .kept = later_kept,
    .head = later_head,
    .wanted_from = later_wanted_from,
};

static inline void later_init(struct later_store *s, struct pixi_store *inner)
{
    *s = (struct later_store){.store.call = &later_calls, .inner = inner};
    inner->on_committed = later_on_committed;
    inner->is_wanted = later_is_wanted;
    inner->ctx = s;
    pixi_list_init(&s->appends);
    pixi_list_init(&s->reads);
}

#endif
