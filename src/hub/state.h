/* state.h -- what the hub's own files share. Nobody else includes it. */
#ifndef PIXI_HUB_STATE_H
#define PIXI_HUB_STATE_H

#include "hub/hub.h"

#include <assert.h>

/* Stored messages that are still owed: offsets next .. last, both known to have matched when the range was
 * made or grew, so that an old but quiet subscription is not taken for one that missed something. Empty: next > last. */
struct pixi_hub_range {
    uint64_t next, last;
};

static inline struct pixi_hub_range pixi_hub_range_empty(void)
{
    return (struct pixi_hub_range){1, 0};
}

static inline bool pixi_hub_range_is_empty(const struct pixi_hub_range *r)
{
    return r->next > r->last;
}

static inline void pixi_hub_range_add(struct pixi_hub_range *r, uint64_t offset)
{
    if (pixi_hub_range_is_empty(r))
        r->next = offset;
    r->last = offset;
}

struct pixi_hub_entry;

/* `$share/NAME/F`: one member gets a message, and what nobody had room for is owed by all of them together. */
struct pixi_hub_group {
    struct pixi_list in_node, members;
    struct pixi_hub_range owed;
    uint64_t whole_from;  /* of the range: from here on everything, before it what members gave back */
    uint64_t *given_back; /* owned; offsets, ascending */
    size_t given_back_count;
    struct pixi_hub_entry *reader; /* the member that reads what is owed; NULL: none */
    bool is_waited;                /* another member wanted to meanwhile */
    size_t name_len;
    uint8_t name[];
};

/* A subscription. Not live: it stands in its peer's list `behind`, and stored messages wait. */
struct pixi_hub_entry {
    struct pixi_hub_sub pub;
    struct pixi_hub_peer *peer;
    struct pixi_trie_node *node;
    struct pixi_hub_group *group; /* NULL: not shared */
    struct pixi_table_link by_peer;
    struct pixi_list in_node; /* or in its group */
    struct pixi_list in_peer, in_behind;
    enum { PIXI_HUB_LIVE, PIXI_HUB_SNAPSHOTS, PIXI_HUB_CATCHES_UP } phase;
    bool is_recovered, is_synced, skips_gaps;
    bool is_follower; /* in the chain of another one, which speaks for it */
    struct pixi_hub_range snapshot, owed;
    uint8_t filter[];
};

/* A publish that the store has not answered. */
struct pixi_hub_published {
    struct pixi_list in_peer;   /* or in the pool */
    struct pixi_hub_peer *peer; /* NULL: left */
    void *token;
    bool is_wanted; /* it was appended so */
};

/* A request that waits for its reply. */
struct pixi_hub_asked {
    struct pixi_list in_asker, in_answerer; /* in_asker: or in the pool */
    struct pixi_hub_peer *asker, *answerer; /* answerer NULL: left */
    struct pixi_table_link by_id;
    uint64_t id, deadline_ms;
    size_t heap_at;
    void *token;
};

static inline struct pixi_hub_entry *pixi_hub_entry_of(struct pixi_hub_sub *sub)
{
    return PIXI_LIST_ITEM(sub, struct pixi_hub_entry, pub);
}

static inline const struct pixi_hub_entry *pixi_hub_entry_of_const(const struct pixi_hub_sub *sub)
{
    return PIXI_LIST_ITEM(sub, const struct pixi_hub_entry, pub);
}

static inline struct pixi_hub_range *pixi_hub_owed(struct pixi_hub_entry *e)
{
    return e->group ? &e->group->owed : &e->owed;
}

static inline struct pixi_hub_entry *pixi_hub_entry_also(const struct pixi_hub_entry *e)
{
    return e->pub.also ? pixi_hub_entry_of((struct pixi_hub_sub *)(uintptr_t)e->pub.also) : NULL;
}

/* What is kept for it is its peer's. */
static inline bool pixi_hub_is_kept_for(const struct pixi_hub_entry *e)
{
    return e->pub.qos && !e->group;
}

/* Where it is remembered what is owed to it. */
static inline const struct pixi_hub_range *pixi_hub_waiting(const struct pixi_hub_entry *e)
{
    return e->group ? &e->group->owed : pixi_hub_is_kept_for(e) ? &e->peer->kept->owed : &e->owed;
}

/* hub.c */

/* The peer's subscription at this node, not shared; NULL: none. */
struct pixi_hub_entry *pixi_hub_find_plain(const struct pixi_hub *hub, const struct pixi_hub_peer *peer,
                                           const struct pixi_trie_node *node);

/* overlap.c */

/* Before a message is offered: the subscriptions of one peer are chained, the first speaks for the others. */
void pixi_hub_chain(struct pixi_hub *hub, struct pixi_cur topic);
/* The first of a chain: delivered, or owed. */
void pixi_hub_offer_chain(struct pixi_hub *hub, struct pixi_hub_entry *first, const struct pixi_msg *msg,
                          bool is_wanted);
/* A message that was read for e: to all that it is for, unless another one's turn gives it to them. As deliver answers. */
int pixi_hub_hand_read(struct pixi_hub *hub, struct pixi_hub_entry *e, const struct pixi_msg *msg);
/* PIXI_OK | PIXI_E_NOMEM */
int pixi_hub_kept_reserve(struct pixi_hub_peer *peer);
/* What to read for all of a peer's. */
struct pixi_cur pixi_hub_kept_filter(const struct pixi_hub_peer *peer);
/* Nothing is owed any more: its last subscription went. */
void pixi_hub_kept_drop(struct pixi_hub *hub, struct pixi_hub_peer *peer);

/* fanout.c */

/* Encodes msg unless the gateway's scratch holds it already, and delivers it. As deliver answers. */
int pixi_hub_hand(struct pixi_hub *hub, struct pixi_hub_entry *e, const struct pixi_msg *msg, unsigned flags);
/* PIXI_OK | PIXI_E_TOPIC | PIXI_E_FORBIDDEN */
int pixi_hub_may_publish(const struct pixi_hub_peer *peer, struct pixi_cur topic);
/* The store's answer. */
void pixi_hub_on_committed(void *ctx, void *token, const struct pixi_commit *commit);
void pixi_hub_forget_publishes(struct pixi_hub_peer *peer);
/* The store asks: does a subscription still want this message, which was kept for it? */
bool pixi_hub_is_wanted(void *ctx, const struct pixi_msg *msg);

/* catchup.c */

void pixi_hub_fall_behind(struct pixi_hub_entry *e);
/* Nothing is owed to it any more, or it goes. */
void pixi_hub_group_settle(struct pixi_hub_group *group);
/* Before the entry goes. */
void pixi_hub_stop_reading(struct pixi_hub *hub, struct pixi_hub_entry *e);

/* history.c */

/* One step of each that waits. */
void pixi_hub_pump_histories(struct pixi_hub *hub, struct pixi_hub_peer *peer, uint64_t wall_ms);
bool pixi_hub_has_waiting_history(const struct pixi_hub_peer *peer);
void pixi_hub_forget_histories(struct pixi_hub *hub, struct pixi_hub_peer *peer);
/* The permit was narrowed. */
void pixi_hub_check_histories(struct pixi_hub *hub, struct pixi_hub_peer *peer);

/* requests.c */

void pixi_hub_forget_requests(struct pixi_hub *hub, struct pixi_hub_peer *peer);

#endif
