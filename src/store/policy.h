/* policy.h -- what is kept of which topics. Each policy has a history of its own; one more, without a policy, has the
 * retained messages that no policy includes, so that they stay readable for catch-up for a while. */
#ifndef PIXI_STORE_POLICY_H
#define PIXI_STORE_POLICY_H

#include "base/err.h"
#include "hub/msg.h"

enum { PIXI_POLICIES_MAX = 32, PIXI_HISTORIES_MAX = PIXI_POLICIES_MAX + 1 };

/* The first policy whose filter matches owns a message. */
struct pixi_policy {
    struct pixi_cur filter; /* copied */
    uint64_t max_messages;  /* at least 1 */
    uint64_t max_bytes;     /* topic, payload and headers; at least 1 */
    uint64_t max_age_s;     /* 0: any age */
};

/* The policy of the history that has no filter. */
extern const struct pixi_policy pixi_policy_extra;

/* The policies' filters, owned; their order is that of the histories, and index `count` is the history without one. */
struct pixi_filters {
    struct pixi_cur at[PIXI_POLICIES_MAX];
    size_t count;
};

/* pixi_filters_init -- copies the filters.
 *   PIXI_OK            pixi_filters_clear
 *   PIXI_E_SETTINGS    too many, or one without room
 *   PIXI_E_FILTER      one is no filter, or is `$share/...`
 *   PIXI_E_NOMEM */
int pixi_filters_init(struct pixi_filters *f, const struct pixi_policy *policies, size_t count);
void pixi_filters_clear(struct pixi_filters *f);

/* pixi_filters_owner -- the history that has this message; PIXI_HISTORIES_MAX: nothing keeps it.
 *   flags  the message's */
size_t pixi_filters_owner(const struct pixi_filters *f, struct pixi_cur topic, unsigned flags);

/* The histories that can hold a match of a filter, by rising index. */
struct pixi_histories {
    size_t at[PIXI_HISTORIES_MAX];
    size_t count;
    bool is_whole; /* whatever matches belongs to a policy */
};
struct pixi_histories pixi_filters_histories(const struct pixi_filters *f, struct pixi_cur filter);

#endif
