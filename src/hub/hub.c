#include "hub/state.h"

#include "base/topic.h"

#include <stdlib.h>

const struct pixi_hub_limits pixi_hub_limits_default = {
    .subs_per_peer = 1000,
    .filter_bytes = 1024,
    .filter_levels = 64,
    .requests = 65536,
    .requests_per_peer = 1000,
    .publishes = 65536,
    .publishes_per_peer = 4096,
    .histories_per_peer = 16,
};

void pixi_hub_init(struct pixi_hub *hub, struct pixi_store *store, const struct pixi_hub_limits *limits,
                   const uint8_t hash_key[16])
{
    assert(limits->filter_levels <= PIXI_TRIE_LEVELS_MAX);
    *hub = (struct pixi_hub){.limits = *limits, .store = store};
    pixi_trie_init(&hub->trie, hash_key);
    pixi_list_init(&hub->free_publishes);
    pixi_list_init(&hub->free_requests);
    store->on_committed = pixi_hub_on_committed;
    store->is_wanted = pixi_hub_is_wanted;
    store->ctx = hub;
}

void pixi_hub_clear(struct pixi_hub *hub)
{
    struct pixi_list *l;

    assert(!hub->peer_count && !hub->publish_count && !hub->request_count);
    while ((l = hub->free_publishes.next) != &hub->free_publishes) {
        pixi_list_remove(l);
        free(PIXI_LIST_ITEM(l, struct pixi_hub_published, in_peer));
    }
    while ((l = hub->free_requests.next) != &hub->free_requests) {
        pixi_list_remove(l);
        free(PIXI_LIST_ITEM(l, struct pixi_hub_asked, in_asker));
    }
    free(hub->heap);
    pixi_table_clear(&hub->subs);
    pixi_table_clear(&hub->requests);
    pixi_trie_clear(&hub->trie);
    hub->heap = NULL;
    hub->heap_cap = 0;
}

void pixi_hub_join(struct pixi_hub *hub, struct pixi_hub_peer *peer)
{
    struct pixi_list *lists[] = {&peer->subs,  &peer->behind,    &peer->publishes,
                                 &peer->asked, &peer->answering, &peer->histories};

    assert(!hub->calling && !peer->hub);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        pixi_list_init(lists[i]);
    peer->hub = hub;
    peer->reading = NULL;
    peer->pumping = PIXI_HUB_IDLE;
    peer->sub_count = peer->asked_count = peer->history_count = peer->publish_count = peer->kept_count = 0;
    peer->kept = peer->chain = NULL;
    hub->peer_count++;
}

static bool is_shared(struct pixi_cur filter)
{
    return pixi_filter_inner(filter).p != filter.p;
}

static struct pixi_cur group_name(struct pixi_cur filter)
{
    return (struct pixi_cur){filter.p + sizeof "$share/" - 1, pixi_filter_inner(filter).p - 1};
}

static struct pixi_hub_group *find_group(const struct pixi_trie_node *node, struct pixi_cur name)
{
    struct pixi_hub_group *group;

    for (struct pixi_list *l = node->groups.next; l != &node->groups; l = l->next) {
        group = PIXI_LIST_ITEM(l, struct pixi_hub_group, in_node);
        if (pixi_cur_equals(pixi_cur_init(group->name, group->name_len), name))
            return group;
    }
    return NULL;
}

static struct pixi_hub_group *make_group(struct pixi_trie_node *node, struct pixi_cur name)
{
    size_t len = pixi_cur_left(&name);
    struct pixi_hub_group *group = calloc(1, sizeof *group + len);

    if (!group)
        return NULL;
    group->name_len = len;
    memcpy(group->name, name.p, len);
    group->owed = pixi_hub_range_empty();
    pixi_list_init(&group->members);
    pixi_list_add_last(&node->groups, &group->in_node);
    return group;
}

/* Addresses are no secret worth keeping here: only a peer's own subscriptions could collide with each other. */
static uint64_t entry_hash(const struct pixi_hub_peer *peer, const struct pixi_trie_node *node)
{
    uint64_t h = (uintptr_t)peer * UINT64_C(0x9e3779b97f4a7c15) ^ node->id * UINT64_C(0xd6e8feb86659fd93);

    return h ^ h >> 29;
}

static struct pixi_hub_entry *find_entry(const struct pixi_hub *hub, const struct pixi_hub_peer *peer,
                                         struct pixi_cur filter)
{
    struct pixi_trie_node *node = pixi_trie_find(&hub->trie, pixi_filter_inner(filter));
    struct pixi_table_link *l = node ? pixi_table_first(&hub->subs, entry_hash(peer, node)) : NULL;
    struct pixi_hub_entry *e;

    for (; l; l = pixi_table_next(l)) {
        e = PIXI_LIST_ITEM(l, struct pixi_hub_entry, by_peer);
        if (e->peer == peer && e->node == node && pixi_cur_equals(e->pub.filter, filter))
            return e;
    }
    return NULL;
}

struct pixi_hub_entry *pixi_hub_find_plain(const struct pixi_hub *hub, const struct pixi_hub_peer *peer,
                                           const struct pixi_trie_node *node)
{
    struct pixi_table_link *l = pixi_table_first(&hub->subs, entry_hash(peer, node));
    struct pixi_hub_entry *e;

    for (; l; l = pixi_table_next(l)) {
        e = PIXI_LIST_ITEM(l, struct pixi_hub_entry, by_peer);
        if (e->peer == peer && e->node == node && !e->group)
            return e;
    }
    return NULL;
}

static void leave_node(struct pixi_hub *hub, struct pixi_trie_node *node, struct pixi_hub_group *group)
{
    if (group && pixi_list_is_empty(&group->members)) {
        pixi_list_remove(&group->in_node);
        pixi_hub_group_settle(group);
        free(group);
    }
    pixi_trie_prune(&hub->trie, node);
}

static void free_entry(struct pixi_hub *hub, struct pixi_hub_entry *e)
{
    const struct pixi_hub_gateway *gateway = e->peer->gateway;

    pixi_hub_stop_reading(hub, e);
    pixi_table_remove(&hub->subs, &e->by_peer);
    pixi_list_remove(&e->in_node);
    pixi_list_remove(&e->in_peer);
    pixi_list_remove(&e->in_behind);
    hub->one_copy_count -= gateway->call->is_one_copy && e->peer->sub_count == 2;
    e->peer->sub_count--;
    e->node->keeping -= e->pub.qos > 0;
    hub->keeping -= e->pub.qos > 0;
    if (pixi_hub_is_kept_for(e) && !--e->peer->kept_count)
        pixi_hub_kept_drop(hub, e->peer);
    leave_node(hub, e->node, e->group);
    hub->calling++;
    if (gateway->call->release)
        gateway->call->release(gateway->ctx, e->peer, &e->pub);
    hub->calling--;
    free(e);
}

static void link_entry(struct pixi_hub *hub, struct pixi_hub_entry *e)
{
    pixi_list_add_last(e->group ? &e->group->members : &e->node->subs, &e->in_node);
    pixi_list_add_last(&e->peer->subs, &e->in_peer);
    pixi_table_add(&hub->subs, &e->by_peer, entry_hash(e->peer, e->node));
    e->peer->sub_count++;
    hub->one_copy_count += e->peer->gateway->call->is_one_copy && e->peer->sub_count == 2;
    e->node->keeping += e->pub.qos > 0;
    hub->keeping += e->pub.qos > 0;
    e->peer->kept_count += pixi_hub_is_kept_for(e);
}

static struct pixi_hub_entry *make_entry(struct pixi_hub *hub, struct pixi_hub_peer *peer,
                                         struct pixi_cur filter, const struct pixi_hub_subscribe *how)
{
    size_t len = pixi_cur_left(&filter);
    struct pixi_hub_entry *e = calloc(1, sizeof *e + len);

    assert(!how->qos || peer->gateway->call->is_one_copy);
    if (!e || pixi_table_reserve(&hub->subs) || (how->qos && pixi_hub_kept_reserve(peer)) ||
        !(e->node = pixi_trie_add(&hub->trie, pixi_filter_inner(filter)))) {
        free(e);
        return NULL;
    }
    if (is_shared(filter) && !(e->group = find_group(e->node, group_name(filter))) &&
        !(e->group = make_group(e->node, group_name(filter)))) {
        leave_node(hub, e->node, NULL);
        free(e);
        return NULL;
    }
    memcpy(e->filter, filter.p, len);
    e->pub.filter = pixi_cur_init(e->filter, len);
    e->pub.user = how->user;
    e->pub.qos = how->qos;
    e->skips_gaps = how->flags & PIXI_HUB_SKIPS_GAPS;
    e->pub.after = hub->store->call->head(hub->store).offset;
    e->owed = e->snapshot = pixi_hub_range_empty();
    e->peer = peer;
    link_entry(hub, e);
    return e;
}

/* Where the list of positions says that it can go on without a gap. */
static bool recovers(const struct pixi_hub *hub, struct pixi_cur filter, const struct pixi_hub_subscribe *how,
                     struct pixi_position head, uint64_t *since)
{
    struct pixi_store *store = hub->store;
    bool is_known = false;

    for (size_t i = 0; i < how->since_count; i++) {
        if (how->since[i].epoch != head.epoch)
            continue;
        *since = is_known && *since > how->since[i].offset ? *since : how->since[i].offset;
        is_known = true;
    }
    return is_known && *since <= head.offset &&
           store->call->kept(store, filter, *since + 1) == PIXI_STORE_WHOLE;
}

static void take_owed(struct pixi_hub_entry *e, const struct pixi_hub_subscribe *how, uint64_t head)
{
    struct pixi_hub_entry *waits = pixi_hub_is_kept_for(e) ? e->peer->kept : e;
    struct pixi_hub_range *r = pixi_hub_owed(waits);
    uint64_t first = how->owed_after + 1;

    if (!(how->flags & PIXI_HUB_IS_OWED))
        return;
    e->pub.after = how->after;
    if (first > head)
        return;
    if (pixi_hub_range_is_empty(r) || r->next > first)
        r->next = first; /* what any of its members, or of its peer's subscriptions, was owed */
    r->last = head;
    if (waits != e)
        pixi_hub_fall_behind(waits);
}

/* What was owed to the one that it replaces. */
static void carry(struct pixi_hub_entry *e, const struct pixi_hub_entry *old)
{
    if (pixi_hub_is_kept_for(e) == pixi_hub_is_kept_for(old))
        e->pub.after = old->pub.after;
    if (!e->group && !pixi_hub_is_kept_for(e))
        e->owed = *pixi_hub_waiting(old);
}

static struct pixi_hub_subscribed start(struct pixi_hub *hub, struct pixi_hub_entry *e,
                                        const struct pixi_hub_subscribe *how, bool is_new)
{
    struct pixi_position head = hub->store->call->head(hub->store);
    uint64_t since = 0;
    bool has_snapshot = how->flags & PIXI_HUB_SNAPSHOT || (how->flags & PIXI_HUB_SNAPSHOT_IF_NEW && is_new);

    e->phase = PIXI_HUB_CATCHES_UP;
    take_owed(e, how, head.offset);
    pixi_list_add_last(&e->peer->behind, &e->in_behind);
    if (recovers(hub, e->pub.filter, how, head, &since)) {
        e->is_recovered = true;
        e->owed = (struct pixi_hub_range){since + 1, head.offset};
        return (struct pixi_hub_subscribed){{head.epoch, since}, is_new, true};
    }
    if (has_snapshot && !e->group) {
        e->phase = PIXI_HUB_SNAPSHOTS;
        e->snapshot = (struct pixi_hub_range){1, head.offset};
    }
    return (struct pixi_hub_subscribed){head, is_new, false};
}

static size_t level_count(struct pixi_cur filter)
{
    struct pixi_cur level;
    size_t count = 0;

    while (pixi_topic_level(&filter, &level))
        count++;
    return count;
}

static int check_subscribe(const struct pixi_hub *hub, const struct pixi_hub_peer *peer,
                           struct pixi_cur filter, const struct pixi_hub_subscribe *how)
{
    if (pixi_filter_check(filter))
        return PIXI_E_FILTER;
    if (how->since_count && *filter.p == '$') /* `$share/...`, too */
        return PIXI_E_RPC_PARAMS;
    if (pixi_cur_left(&filter) > hub->limits.filter_bytes ||
        level_count(pixi_filter_inner(filter)) > hub->limits.filter_levels)
        return PIXI_E_LIMIT;
    return pixi_permit_subscribe(peer->permit, filter) ? PIXI_OK : PIXI_E_FORBIDDEN;
}

int pixi_hub_subscribe(struct pixi_hub *hub, struct pixi_hub_peer *peer, struct pixi_cur filter,
                       const struct pixi_hub_subscribe *how, struct pixi_hub_subscribed *out)
{
    struct pixi_hub_entry *old, *e;
    int rc = check_subscribe(hub, peer, filter, how);

    assert(!hub->calling && peer->hub == hub);
    if (rc)
        return rc;
    old = find_entry(hub, peer, filter);
    if (!old && peer->sub_count >= hub->limits.subs_per_peer)
        return PIXI_E_LIMIT;
    e = make_entry(hub, peer, filter, how);
    if (!e)
        return PIXI_E_NOMEM;
    if (old && how->flags & PIXI_HUB_CARRIES)
        carry(e, old);
    if (old)
        free_entry(hub, old);
    *out = start(hub, e, how, !old);
    return PIXI_OK;
}

int pixi_hub_unsubscribe(struct pixi_hub *hub, struct pixi_hub_peer *peer, struct pixi_cur filter)
{
    struct pixi_hub_entry *e;

    assert(!hub->calling && peer->hub == hub);
    if (pixi_filter_check(filter))
        return PIXI_E_FILTER;
    e = find_entry(hub, peer, filter);
    if (e)
        free_entry(hub, e);
    return PIXI_OK;
}

void pixi_hub_set_permit(struct pixi_hub *hub, struct pixi_hub_peer *peer, const struct pixi_permit *permit)
{
    const struct pixi_hub_gateway *gateway = peer->gateway;
    struct pixi_list *l, *next;
    struct pixi_hub_entry *e;

    assert(!hub->calling && peer->hub == hub);
    peer->permit = permit;
    for (l = peer->subs.next; l != &peer->subs; l = next) {
        next = l->next;
        e = PIXI_LIST_ITEM(l, struct pixi_hub_entry, in_peer);
        if (pixi_permit_subscribe(permit, e->pub.filter))
            continue;
        hub->calling++;
        gateway->call->unsubscribed(gateway->ctx, peer, &e->pub, PIXI_E_FORBIDDEN);
        hub->calling--;
        free_entry(hub, e);
    }
    pixi_hub_check_histories(hub, peer);
}

struct pixi_hub_sub *pixi_hub_next_sub(const struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub)
{
    const struct pixi_list *l = sub ? pixi_hub_entry_of_const(sub)->in_peer.next : peer->subs.next;

    return l == &peer->subs ? NULL : &PIXI_LIST_ITEM(l, struct pixi_hub_entry, in_peer)->pub;
}

uint64_t pixi_hub_position(const struct pixi_hub *hub, const struct pixi_hub_sub *sub)
{
    const struct pixi_hub_range *r = pixi_hub_waiting(pixi_hub_entry_of_const(sub));

    return pixi_hub_range_is_empty(r) ? hub->store->call->head(hub->store).offset : r->next - 1;
}

bool pixi_hub_is_whole(const struct pixi_hub *hub, const struct pixi_hub_peer *peer)
{
    uint64_t from = hub->store->call->wanted_from(hub->store);
    const struct pixi_hub_range *r;
    const struct pixi_hub_entry *e;

    for (const struct pixi_list *l = peer->subs.next; l != &peer->subs; l = l->next) {
        e = PIXI_LIST_ITEM(l, const struct pixi_hub_entry, in_peer);
        r = pixi_hub_waiting(e);
        if (e->pub.qos && !pixi_hub_range_is_empty(r) && r->next < from)
            return false;
    }
    return peer->pumping != PIXI_HUB_LOST;
}

void pixi_hub_hang_up(struct pixi_hub *hub, struct pixi_hub_peer *peer)
{
    assert(!hub->calling && peer->hub == hub);
    pixi_hub_forget_requests(hub, peer);
    pixi_hub_forget_histories(hub, peer);
}

void pixi_hub_leave(struct pixi_hub *hub, struct pixi_hub_peer *peer)
{
    struct pixi_list *l;

    assert(!hub->calling && peer->hub == hub);
    peer->pumping = PIXI_HUB_LOST; /* not woken any more */
    while ((l = peer->subs.next) != &peer->subs)
        free_entry(hub, PIXI_LIST_ITEM(l, struct pixi_hub_entry, in_peer));
    free(peer->kept);
    peer->kept = NULL;
    pixi_hub_forget_publishes(peer);
    pixi_hub_forget_requests(hub, peer);
    pixi_hub_forget_histories(hub, peer);
    peer->hub = NULL;
    hub->peer_count--;
}
