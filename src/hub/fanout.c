#include "hub/state.h"

#include "base/topic.h"

#include <stdlib.h>

int pixi_hub_hand(struct pixi_hub *hub, struct pixi_hub_entry *e, const struct pixi_msg *msg, unsigned flags)
{
    struct pixi_hub_gateway *gateway = e->peer->gateway;
    int rc;

    if (e->peer->pumping == PIXI_HUB_LOST)
        return PIXI_E_QUEUE;
    hub->calling++;
    if (gateway->encoded != hub->encoding)
        gateway->call->encode(gateway->ctx, msg, e->pub.filter, flags);
    gateway->encoded = hub->encoding;
    rc = gateway->call->deliver(gateway->ctx, e->peer, &e->pub);
    hub->calling--;
    return rc;
}

/* One message on its way to those who subscribe. */
struct fanout {
    struct pixi_hub *hub;
    const struct pixi_msg *msg;
    bool
        is_wanted; /* it is kept for sessions: who subscribed when it was under way finds it there only then */
};

/* Can it be read again for this subscription, later? Else it is given now, or never. */
static bool is_kept_for(const struct fanout *f, unsigned qos)
{
    return f->msg->pos.offset && (!qos || (f->is_wanted && pixi_msg_qos(f->msg)));
}

static void offer(const struct fanout *f, struct pixi_hub_entry *e)
{
    if (e->is_follower)
        e->is_follower = false;
    else
        pixi_hub_offer_chain(f->hub, e, f->msg, f->is_wanted);
}

/* True when a member took it; that one is the last to be asked next time. */
static bool offer_members(const struct fanout *f, struct pixi_hub_group *group, bool is_kept)
{
    struct pixi_hub_entry *e;

    for (struct pixi_list *l = group->members.next; l != &group->members; l = l->next) {
        e = PIXI_LIST_ITEM(l, struct pixi_hub_entry, in_node);
        if ((is_kept && e->phase != PIXI_HUB_LIVE) || pixi_hub_hand(f->hub, e, f->msg, 0))
            continue;
        pixi_list_remove(l);
        pixi_list_add_last(&group->members, l);
        return true;
    }
    return false;
}

/* The largest of its members'. */
static unsigned group_qos(const struct pixi_hub_group *group)
{
    unsigned qos = 0;

    for (const struct pixi_list *l = group->members.next; l != &group->members; l = l->next)
        if (PIXI_LIST_ITEM(l, const struct pixi_hub_entry, in_node)->pub.qos > qos)
            qos = PIXI_LIST_ITEM(l, const struct pixi_hub_entry, in_node)->pub.qos;
    return qos;
}

static void offer_group(const struct fanout *f, struct pixi_hub_group *group, bool has_qos)
{
    bool is_behind = !pixi_hub_range_is_empty(&group->owed),
         is_kept = is_kept_for(f, has_qos ? group_qos(group) : 0);

    f->hub->encoding++;
    if (!is_kept) {
        offer_members(f, group, false);
        return;
    }
    if (!is_behind && offer_members(f, group, true))
        return;
    pixi_hub_range_add(&group->owed, f->msg->pos.offset);
    for (struct pixi_list *l = group->members.next; !is_behind && l != &group->members; l = l->next)
        pixi_hub_fall_behind(PIXI_LIST_ITEM(l, struct pixi_hub_entry, in_node));
}

static bool offer_node(void *ctx, struct pixi_trie_node *node)
{
    const struct fanout *f = ctx;

    f->hub->encoding++; /* every subscription of a node has the same filter: encoded once */
    for (struct pixi_list *l = node->subs.next; l != &node->subs; l = l->next)
        offer(f, PIXI_LIST_ITEM(l, struct pixi_hub_entry, in_node));
    for (struct pixi_list *l = node->groups.next; l != &node->groups; l = l->next)
        offer_group(f, PIXI_LIST_ITEM(l, struct pixi_hub_group, in_node), node->keeping != 0);
    return true;
}

static void offer_all(const struct fanout *f)
{
    pixi_hub_chain(f->hub, f->msg->topic);
    pixi_trie_match(&f->hub->trie, f->msg->topic, 0, offer_node, (void *)(uintptr_t)f);
}

static struct pixi_hub_published *take(struct pixi_hub *hub, struct pixi_hub_peer *peer, void *token)
{
    struct pixi_list *l = hub->free_publishes.next;
    struct pixi_hub_published *p;

    if (l == &hub->free_publishes) {
        p = malloc(sizeof *p);
        if (!p)
            return NULL;
    } else {
        pixi_list_remove(l);
        p = PIXI_LIST_ITEM(l, struct pixi_hub_published, in_peer);
    }
    *p = (struct pixi_hub_published){.peer = peer, .token = token};
    pixi_list_add_last(&peer->publishes, &p->in_peer);
    peer->publish_count++;
    hub->publish_count++;
    return p;
}

static void put_back(struct pixi_hub *hub, struct pixi_hub_published *p)
{
    if (p->peer)
        p->peer->publish_count--;
    pixi_list_remove(&p->in_peer);
    pixi_list_add_last(&hub->free_publishes, &p->in_peer);
    hub->publish_count--;
}

void pixi_hub_forget_publishes(struct pixi_hub_peer *peer)
{
    struct pixi_list *l;

    while ((l = peer->publishes.next) != &peer->publishes) {
        pixi_list_remove(l);
        PIXI_LIST_ITEM(l, struct pixi_hub_published, in_peer)->peer = NULL;
    }
    peer->publish_count = 0;
}

void pixi_hub_on_committed(void *ctx, void *token, const struct pixi_commit *commit)
{
    struct pixi_hub *hub = ctx;
    struct pixi_hub_published *p = token, was = *p;
    const struct pixi_hub_gateway *gateway;

    assert(!hub->calling);
    put_back(hub, p);
    if (!commit->err && commit->msg)
        offer_all(&(struct fanout){hub, commit->msg, was.is_wanted});
    if (!was.peer || !was.token)
        return;
    gateway = was.peer->gateway;
    hub->calling++;
    gateway->call->published(gateway->ctx, was.peer, was.token, commit->err, commit->pos);
    hub->calling--;
}

int pixi_hub_may_publish(const struct pixi_hub_peer *peer, struct pixi_cur topic)
{
    if (pixi_topic_check(topic))
        return PIXI_E_TOPIC;
    return pixi_permit_publish(peer->permit, topic) ? PIXI_OK : PIXI_E_FORBIDDEN;
}

static bool keeps(void *ctx, struct pixi_trie_node *node)
{
    bool *is_found = ctx;

    *is_found = node->keeping != 0;
    return !*is_found;
}

/* Does a subscription with QoS 1 or 2 match? */
static bool is_kept(const struct pixi_hub *hub, struct pixi_cur topic)
{
    bool is_found = false;

    pixi_trie_match(&hub->trie, topic, 0, keeps, &is_found);
    return is_found;
}

struct wanted {
    uint64_t offset;
    bool is_found;
};

static bool wants(const struct pixi_hub_entry *e, uint64_t offset)
{
    const struct pixi_hub_range *r = pixi_hub_waiting(e);
    const struct pixi_hub_gateway *gateway = e->peer->gateway;

    if (!e->pub.qos)
        return false;
    return (r->next <= offset && offset <= r->last && (e->group || e->pub.after < offset)) ||
           (gateway->call->holds && gateway->call->holds(gateway->ctx, e->peer, offset));
}

static bool list_wants(const struct pixi_list *list, uint64_t offset)
{
    for (const struct pixi_list *l = list->next; l != list; l = l->next)
        if (wants(PIXI_LIST_ITEM(l, const struct pixi_hub_entry, in_node), offset))
            return true;
    return false;
}

static bool node_wants(void *ctx, struct pixi_trie_node *node)
{
    struct wanted *w = ctx;

    if (!node->keeping)
        return true;
    w->is_found = list_wants(&node->subs, w->offset);
    for (struct pixi_list *l = node->groups.next; !w->is_found && l != &node->groups; l = l->next)
        w->is_found = list_wants(&PIXI_LIST_ITEM(l, struct pixi_hub_group, in_node)->members, w->offset);
    return !w->is_found;
}

bool pixi_hub_is_wanted(void *ctx, const struct pixi_msg *msg)
{
    const struct pixi_hub *hub = ctx;
    struct wanted w = {.offset = msg->pos.offset};

    if (hub->keeping)
        pixi_trie_match(&hub->trie, msg->topic, 0, node_wants, &w);
    return w.is_found;
}

void pixi_hub_announce(struct pixi_hub *hub, const struct pixi_msg *msg)
{
    assert(!hub->calling && !msg->pos.offset);
    offer_all(&(struct fanout){hub, msg, false});
}

int pixi_hub_publish(struct pixi_hub *hub, struct pixi_hub_peer *peer, const struct pixi_msg *msg,
                     void *token, struct pixi_now now)
{
    struct pixi_store *store = hub->store;
    struct pixi_hub_published *p;
    struct pixi_msg m = *msg;
    int rc = pixi_hub_may_publish(peer, msg->topic);

    unsigned flags = token ? PIXI_STORE_WANTS_POSITION : 0;

    assert(!hub->calling && peer->hub == hub);
    if (rc)
        return rc;
    if (hub->publish_count >= hub->limits.publishes || peer->publish_count >= hub->limits.publishes_per_peer)
        return PIXI_E_LIMIT;
    p = take(hub, peer, token);
    if (!p)
        return PIXI_E_NOMEM;
    m.time_ms = now.wall_ms;
    m.pos = (struct pixi_position){0};
    m.key_owner = peer->permit->name;
    if (hub->keeping && pixi_msg_qos(msg) && is_kept(hub, msg->topic))
        flags |= PIXI_STORE_WANTED;
    p->is_wanted = flags & PIXI_STORE_WANTED;
    store->call->append(store, &m, flags, p);
    return PIXI_OK;
}
