#include "store/policy.h"

#include "base/topic.h"
#include "store/overlap.h"

#include <stdlib.h>

const struct pixi_policy pixi_policy_extra = {.max_messages = 1024, .max_bytes = 1 << 20};

static int check(const struct pixi_policy *policies, size_t count)
{
    if (count > PIXI_POLICIES_MAX)
        return PIXI_E_SETTINGS;
    for (size_t i = 0; i < count; i++) {
        if (!policies[i].max_messages || !policies[i].max_bytes)
            return PIXI_E_SETTINGS;
        if (pixi_filter_check(policies[i].filter) ||
            pixi_filter_inner(policies[i].filter).p != policies[i].filter.p)
            return PIXI_E_FILTER;
    }
    return PIXI_OK;
}

int pixi_filters_init(struct pixi_filters *f, const struct pixi_policy *policies, size_t count)
{
    int rc = check(policies, count);

    *f = (struct pixi_filters){.count = 0};
    for (; rc == PIXI_OK && f->count < count; f->count++) {
        struct pixi_cur filter = policies[f->count].filter;
        size_t len = pixi_cur_left(&filter);
        uint8_t *copy = malloc(len);

        if (!copy) {
            pixi_filters_clear(f);
            return PIXI_E_NOMEM;
        }
        memcpy(copy, filter.p, len);
        f->at[f->count] = pixi_cur_init(copy, len);
    }
    return rc;
}

void pixi_filters_clear(struct pixi_filters *f)
{
    for (size_t i = 0; i < f->count; i++)
        free((void *)(uintptr_t)f->at[i].p);
    f->count = 0;
}

size_t pixi_filters_owner(const struct pixi_filters *f, struct pixi_cur topic, unsigned flags)
{
    for (size_t i = 0; i < f->count; i++)
        if (pixi_filter_matches(f->at[i], topic))
            return i;
    return flags & PIXI_MSG_RETAIN ? f->count : PIXI_HISTORIES_MAX;
}

struct pixi_histories pixi_filters_histories(const struct pixi_filters *f, struct pixi_cur filter)
{
    struct pixi_histories h = {.count = 0};

    for (size_t i = 0; i < f->count && !h.is_whole; i++) {
        if (!pixi_filter_overlaps(f->at[i], filter))
            continue;
        h.at[h.count++] = i;
        /* Behind a policy that covers the whole filter no later one owns a match. */
        h.is_whole = pixi_filter_covers(f->at[i], filter);
    }
    if (!h.is_whole)
        h.at[h.count++] = f->count;
    return h;
}
