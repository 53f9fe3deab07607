/* overlap.c -- one copy of a message for all subscriptions of a peer that match. MQTT 5 §3.3.4.
 *
 * What is kept for a peer's subscriptions with QoS 1 and 2 waits for all of them together: `peer->kept` is an entry of
 * no node that is owed it, and read for as others are. So a message that several of them match is owed once, and given
 * once, whatever becomes of them meanwhile. */
#include "hub/state.h"

#include <stdlib.h>
#include <string.h>

static bool is_one_copy(const struct pixi_hub_peer *peer)
{
    return peer->gateway->call->is_one_copy;
}

int pixi_hub_kept_reserve(struct pixi_hub_peer *peer)
{
    struct pixi_hub_entry *e = peer->kept ? peer->kept : calloc(1, sizeof *e);

    if (!e)
        return PIXI_E_NOMEM;
    if (peer->kept)
        return PIXI_OK;
    e->pub.filter = pixi_cur_str("#");
    e->pub.qos = 1;
    e->peer = peer;
    e->is_synced = true; /* nobody is told of it */
    e->owed = e->snapshot = pixi_hub_range_empty();
    peer->kept = e;
    return PIXI_OK;
}

void pixi_hub_kept_drop(struct pixi_hub *hub, struct pixi_hub_peer *peer)
{
    pixi_hub_stop_reading(hub, peer->kept);
    pixi_list_remove(&peer->kept->in_behind);
    peer->kept->phase = PIXI_HUB_LIVE;
    peer->kept->owed = pixi_hub_range_empty();
}

struct pixi_cur pixi_hub_kept_filter(const struct pixi_hub_peer *peer)
{
    const struct pixi_hub_entry *e;

    for (const struct pixi_list *l = peer->subs.next; peer->kept_count == 1 && l != &peer->subs;
         l = l->next) {
        e = PIXI_LIST_ITEM(l, const struct pixi_hub_entry, in_peer);
        if (pixi_hub_is_kept_for(e))
            return e->pub.filter;
    }
    return peer->kept->pub.filter;
}

/* --- live ----------------------------------------------------------------------------------------------------- */

static bool count_node(void *ctx, struct pixi_trie_node *node)
{
    unsigned *count = ctx;

    *count += !pixi_list_is_empty(&node->subs);
    return *count < 2;
}

static bool chain_node(void *ctx, struct pixi_trie_node *node)
{
    struct pixi_hub_entry *e, *first;

    (void)ctx;
    for (struct pixi_list *l = node->subs.next; l != &node->subs; l = l->next) {
        e = PIXI_LIST_ITEM(l, struct pixi_hub_entry, in_node);
        first = e->peer->chain;
        if (!is_one_copy(e->peer))
            continue;
        e->is_follower = first;
        e->pub.also = first ? first->pub.also : NULL;
        if (first)
            first->pub.also = &e->pub;
        else
            e->peer->chain = e;
    }
    return true;
}

void pixi_hub_chain(struct pixi_hub *hub, struct pixi_cur topic)
{
    unsigned count = 0;

    if (!hub->one_copy_count)
        return;
    pixi_trie_match(&hub->trie, topic, 0, count_node, &count);
    if (count > 1)
        pixi_trie_match(&hub->trie, topic, 0, chain_node, NULL);
}

/* Those of a chain that are kept for, or those that are not. */
static bool has(const struct pixi_hub_entry *first, bool is_kept)
{
    for (const struct pixi_hub_entry *e = first; e; e = pixi_hub_entry_also(e))
        if (pixi_hub_is_kept_for(e) == is_kept)
            return true;
    return false;
}

static bool are_live(const struct pixi_hub_entry *first, bool is_kept)
{
    for (const struct pixi_hub_entry *e = first; e; e = pixi_hub_entry_also(e))
        if (pixi_hub_is_kept_for(e) == is_kept && e->phase != PIXI_HUB_LIVE)
            return false;
    return !is_kept || first->peer->kept->phase == PIXI_HUB_LIVE;
}

static void owe(struct pixi_hub_entry *e, uint64_t offset)
{
    pixi_hub_range_add(&e->owed, offset);
    pixi_hub_fall_behind(e);
}

void pixi_hub_offer_chain(struct pixi_hub *hub, struct pixi_hub_entry *first, const struct pixi_msg *msg,
                          bool is_wanted)
{
    struct pixi_hub_peer *peer = first->peer;
    uint64_t offset = msg->pos.offset;
    bool is_kept;

    if (!peer->chain)
        first->pub.also = NULL;
    peer->chain = NULL;
    is_kept = is_wanted && offset && pixi_msg_qos(msg) && has(first, true);
    if (!is_kept && !(offset && has(first, false))) {
        pixi_hub_hand(hub, first, msg, 0); /* now or never */
        return;
    }
    if (are_live(first, is_kept) && pixi_hub_hand(hub, first, msg, 0) == PIXI_OK)
        return;
    if (is_kept) {
        owe(peer->kept, offset);
        return;
    }
    for (struct pixi_hub_entry *e = first; e; e = pixi_hub_entry_also(e))
        if (!pixi_hub_is_kept_for(e))
            owe(e, offset);
}

/* --- read again ----------------------------------------------------------------------------------------------- */

struct matching {
    const struct pixi_hub *hub;
    const struct pixi_hub_peer *peer;
    uint64_t offset;
    struct pixi_hub_entry *first;
};

static bool match_node(void *ctx, struct pixi_trie_node *node)
{
    struct matching *m = ctx;
    struct pixi_hub_entry *e = pixi_hub_find_plain(m->hub, m->peer, node);

    if (!e || e->pub.after >= m->offset)
        return true;
    e->pub.also = m->first ? &m->first->pub : NULL;
    m->first = e;
    return true;
}

static struct pixi_hub_entry *matching(const struct pixi_hub *hub, const struct pixi_hub_peer *peer,
                                       const struct pixi_msg *msg)
{
    struct matching m = {hub, peer, msg->pos.offset, NULL};

    pixi_trie_match(&hub->trie, msg->topic, 0, match_node, &m);
    return m.first;
}

const struct pixi_hub_sub *pixi_hub_matching(struct pixi_hub *hub, struct pixi_hub_peer *peer,
                                             const struct pixi_msg *msg)
{
    const struct pixi_hub_entry *e = matching(hub, peer, msg);

    return e ? &e->pub : NULL;
}

/* Of several with QoS 0 that read the same from the history, the oldest gives it; of the same age, the first by its
 * filter, which stays when it is subscribed again. */
static bool is_before(const struct pixi_hub_entry *e, const struct pixi_hub_entry *other)
{
    size_t len = pixi_cur_left(&e->pub.filter), other_len = pixi_cur_left(&other->pub.filter);

    if (e->pub.after != other->pub.after)
        return e->pub.after < other->pub.after;
    return len != other_len ? len < other_len : memcmp(e->filter, other->filter, len) < 0;
}

static bool is_anothers(const struct pixi_hub_entry *e, const struct pixi_hub_entry *first,
                        const struct pixi_msg *msg)
{
    for (const struct pixi_hub_entry *o = first; o; o = pixi_hub_entry_also(o))
        if (o != e && (pixi_hub_is_kept_for(o) ? pixi_msg_qos(msg) > 0 : is_before(o, e)))
            return true;
    return false;
}

int pixi_hub_hand_read(struct pixi_hub *hub, struct pixi_hub_entry *e, const struct pixi_msg *msg)
{
    struct pixi_hub_entry *first;

    if (e->group || !is_one_copy(e->peer))
        return pixi_hub_hand(hub, e, msg, 0);
    first = matching(hub, e->peer, msg);
    if (e == e->peer->kept ? !first || !has(first, true) : is_anothers(e, first, msg))
        return PIXI_OK; /* kept for others; or given by another one's turn */
    return pixi_hub_hand(hub, first ? first : e, msg, 0);
}
