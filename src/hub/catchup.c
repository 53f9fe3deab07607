#include "hub/state.h"

#include <stdlib.h>

/* A message looked at costs less than one delivered; this many cost the same. */
enum { LOOKS_PER_MESSAGE = 16 };

void pixi_hub_fall_behind(struct pixi_hub_entry *e)
{
    if (e->phase != PIXI_HUB_LIVE)
        return;
    e->phase = PIXI_HUB_CATCHES_UP;
    pixi_list_add_last(&e->peer->behind, &e->in_behind);
}

static bool is_through(struct pixi_hub_entry *e)
{
    return e->phase != PIXI_HUB_SNAPSHOTS && pixi_hub_range_is_empty(pixi_hub_owed(e));
}

/* A snapshot comes before what was published since, which is owed to the peer. */
static bool goes_before(const struct pixi_hub_entry *e, const struct pixi_hub_entry *kept)
{
    return e != kept && (e->phase == PIXI_HUB_SNAPSHOTS || pixi_hub_is_kept_for(e));
}

/* Of those behind, the first that can be read for; NULL: none now. */
static struct pixi_hub_entry *next_behind(const struct pixi_hub_peer *peer)
{
    struct pixi_hub_entry *e, *first = NULL;

    for (struct pixi_list *l = peer->behind.next; l != &peer->behind; l = l->next) {
        e = PIXI_LIST_ITEM(l, struct pixi_hub_entry, in_behind);
        if (e->group && e->group->reader)
            e->group->is_waited = true;
        else if (first ? goes_before(e, peer->kept) : e != peer->kept)
            return e;
        else if (!first)
            first = e;
    }
    return first;
}

static bool has_work(const struct pixi_hub_peer *peer)
{
    return !peer->reading && peer->pumping == PIXI_HUB_IDLE && next_behind(peer);
}

static void wake(struct pixi_hub_peer *peer)
{
    peer->hub->calling++;
    peer->gateway->call->wake(peer->gateway->ctx, peer);
    peer->hub->calling--;
}

/* Who wanted to read while another member did has to be told: nothing else would call its pump. */
static void end_reader(struct pixi_hub_entry *e)
{
    struct pixi_hub_group *group = e->group;
    struct pixi_hub_entry *other;

    if (!group || group->reader != e)
        return;
    group->reader = NULL;
    if (!group->is_waited)
        return;
    group->is_waited = false;
    for (struct pixi_list *l = group->members.next; l != &group->members; l = l->next) {
        other = PIXI_LIST_ITEM(l, struct pixi_hub_entry, in_node);
        if (other != e && other->peer->pumping == PIXI_HUB_IDLE)
            wake(other->peer);
    }
}

void pixi_hub_stop_reading(struct pixi_hub *hub, struct pixi_hub_entry *e)
{
    struct pixi_hub_peer *peer = e->peer;

    if (peer->reading != &e->pub && !(peer->reading && peer->read.filter.p == e->pub.filter.p))
        return; /* neither for it nor by its filter */
    hub->store->call->cancel(hub->store, &peer->read);
    peer->reading = NULL;
    end_reader(e);
    pixi_list_remove(&e->in_behind); /* it goes: it is no work any more */
    if (has_work(peer))
        wake(peer);
}

static void spend(size_t *left, uint64_t amount)
{
    *left = amount < *left ? *left - (size_t)amount : 0;
}

static void tell_synced(struct pixi_hub_entry *e)
{
    struct pixi_hub_peer *peer = e->peer;

    if (e->is_synced)
        return;
    e->is_synced = true;
    spend(&peer->left_count, 1);
    peer->hub->calling++;
    peer->gateway->call->synced(peer->gateway->ctx, peer, &e->pub);
    peer->hub->calling--;
}

static void go_live(struct pixi_hub_entry *e)
{
    pixi_list_remove(&e->in_behind);
    e->phase = PIXI_HUB_LIVE;
    tell_synced(e);
}

/* What was owed is delivered: live again, the whole group if it is one. Members that were not synced have not been
 * pumped yet and find it out by themselves. */
static void settle(struct pixi_hub_entry *e)
{
    struct pixi_hub_entry *member;

    go_live(e);
    if (!e->group)
        return;
    pixi_hub_group_settle(e->group);
    for (struct pixi_list *l = e->group->members.next; l != &e->group->members; l = l->next) {
        member = PIXI_LIST_ITEM(l, struct pixi_hub_entry, in_node);
        if (member->is_synced && member->peer->pumping != PIXI_HUB_LOST)
            go_live(member);
    }
}

void pixi_hub_group_settle(struct pixi_hub_group *group)
{
    free(group->given_back);
    group->given_back = NULL;
    group->given_back_count = 0;
    group->whole_from = 0;
    group->owed = pixi_hub_range_empty();
}

static void lose_peer(struct pixi_hub_peer *peer, int err)
{
    if (peer->pumping == PIXI_HUB_LOST)
        return;
    peer->pumping = PIXI_HUB_LOST;
    peer->hub->calling++;
    peer->gateway->call->lost(peer->gateway->ctx, peer, err);
    peer->hub->calling--;
}

/* Of a group every member was too slow, or the message would not be owed. */
static void lose(struct pixi_hub_entry *e, int err)
{
    if (!e->group) {
        lose_peer(e->peer, err);
        return;
    }
    pixi_hub_group_settle(e->group);
    for (struct pixi_list *l = e->group->members.next; l != &e->group->members; l = l->next)
        lose_peer(PIXI_LIST_ITEM(l, struct pixi_hub_entry, in_node)->peer, err);
}

/* Where it stands among what was given back, or would. */
static size_t find_given_back(const struct pixi_hub_group *group, uint64_t offset)
{
    size_t low = 0, high = group->given_back_count, middle;

    while (low < high) {
        middle = low + (high - low) / 2;
        if (group->given_back[middle] < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_given_back(const struct pixi_hub_group *group, uint64_t offset)
{
    size_t at = find_given_back(group, offset);

    return at < group->given_back_count && group->given_back[at] == offset;
}

/* Of what is read for a group, some other members had. */
static bool is_had(const struct pixi_hub_entry *e, uint64_t offset)
{
    return e->group && offset < e->group->whole_from && !is_given_back(e->group, offset);
}

static int on_message(void *ctx, const struct pixi_msg *msg)
{
    struct pixi_hub_peer *peer = ctx;
    struct pixi_hub_entry *e = pixi_hub_entry_of(peer->reading);
    int rc;

    if (is_had(e, msg->pos.offset)) {
        e->group->owed.next = msg->pos.offset + 1;
        return PIXI_OK;
    }
    peer->hub->encoding++;
    e->pub.also = NULL;
    rc = e->phase == PIXI_HUB_SNAPSHOTS ? pixi_hub_hand(peer->hub, e, msg, PIXI_HUB_RETAINED)
                                        : pixi_hub_hand_read(peer->hub, e, msg);
    if (rc) {
        peer->pumping = PIXI_HUB_BLOCKED;
        return rc;
    }
    if (e->phase != PIXI_HUB_SNAPSHOTS) /* at once: its position may be asked for before the read ends */
        pixi_hub_owed(e)->next = msg->pos.offset + 1;
    spend(&peer->left_count, 1);
    spend(&peer->left_bytes, pixi_msg_size(msg));
    return PIXI_OK;
}

static void on_end(void *ctx, int err, uint64_t next)
{
    struct pixi_hub_peer *peer = ctx;
    struct pixi_hub_entry *e = pixi_hub_entry_of(peer->reading);
    struct pixi_hub_range *r = e->phase == PIXI_HUB_SNAPSHOTS ? &e->snapshot : pixi_hub_owed(e);

    peer->reading = NULL;
    end_reader(e);
    if (err) {
        lose(e, err);
        return;
    }
    spend(&peer->left_count, (next - r->next) / LOOKS_PER_MESSAGE);
    r->next = next;
    if (e->phase == PIXI_HUB_SNAPSHOTS && pixi_hub_range_is_empty(r))
        e->phase = PIXI_HUB_CATCHES_UP;
    if (is_through(e)) {
        settle(e);
    } else { /* the others' turn */
        pixi_list_remove(&e->in_behind);
        pixi_list_add_last(&peer->behind, &e->in_behind);
    }
    if (has_work(peer))
        wake(peer);
}

static void step(struct pixi_hub *hub, struct pixi_hub_entry *e, uint64_t wall_ms)
{
    struct pixi_hub_peer *peer = e->peer;
    struct pixi_store *store = hub->store;
    bool is_snapshot = e->phase == PIXI_HUB_SNAPSHOTS;
    const struct pixi_hub_range *r = is_snapshot ? &e->snapshot : pixi_hub_owed(e);

    if (pixi_hub_range_is_empty(r)) {
        e->phase = PIXI_HUB_CATCHES_UP; /* perhaps a snapshot of nothing; what is owed is the next step's */
        if (is_through(e))
            settle(e);
        return;
    }
    /* What came since the snapshot counts as live; what a recovering client missed does not. */
    if (!is_snapshot && !e->is_recovered)
        tell_synced(e);
    peer->reading = &e->pub;
    if (e->group)
        e->group->reader = e;
    peer->read = (struct pixi_store_read){
        .filter = e == peer->kept ? pixi_hub_kept_filter(peer) : e->pub.filter,
        .from = r->next,
        .upto = r->last,
        .now_ms = wall_ms,
        .max_count = peer->left_count,
        .max_bytes = peer->left_bytes,
        .flags = e->pub.qos      ? PIXI_STORE_FOR_SESSIONS
                 : e->skips_gaps ? PIXI_STORE_SKIP_GAPS
                                 : 0,
        .ctx = peer,
        .on_message = on_message,
        .on_end = on_end,
    };
    (is_snapshot ? store->call->last : store->call->read)(store, &peer->read);
}

int pixi_hub_pump(struct pixi_hub *hub, struct pixi_hub_peer *peer, struct pixi_now now)
{
    struct pixi_hub_entry *e;

    assert(!hub->calling && peer->hub == hub);
    if (peer->pumping == PIXI_HUB_LOST)
        return PIXI_OK;
    peer->pumping = PIXI_HUB_PUMPING;
    peer->left_count = PIXI_HUB_PUMP_COUNT;
    peer->left_bytes = PIXI_HUB_PUMP_BYTES;
    pixi_hub_pump_histories(hub, peer, now.wall_ms);
    while (!peer->reading && peer->pumping == PIXI_HUB_PUMPING && peer->left_count && peer->left_bytes &&
           (e = next_behind(peer)))
        step(hub, e, now.wall_ms);
    if (peer->pumping == PIXI_HUB_PUMPING)
        peer->pumping = PIXI_HUB_IDLE;
    return has_work(peer) || pixi_hub_has_waiting_history(peer) ? PIXI_MORE : PIXI_OK;
}

/* --- what a member gives back ---------------------------------------------------------------------------------- */

/* Without memory for it everything from there on comes once more: that loses nothing. */
static void add_given_back(struct pixi_hub_group *group, uint64_t offset)
{
    size_t at = find_given_back(group, offset), count = group->given_back_count;
    uint64_t *more = realloc(group->given_back, (count + 1) * sizeof *more);

    if (!more) {
        group->whole_from = offset < group->whole_from ? offset : group->whole_from;
        return;
    }
    group->given_back = more;
    if (at < count && more[at] == offset)
        return;
    memmove(more + at + 1, more + at, (count - at) * sizeof *more);
    more[at] = offset;
    group->given_back_count++;
}

static void owe(struct pixi_hub_group *group, uint64_t offset, uint64_t head)
{
    struct pixi_hub_range *r = &group->owed;

    if (!group->whole_from)
        group->whole_from = pixi_hub_range_is_empty(r) ? head + 1 : r->next;
    if (pixi_hub_range_is_empty(r))
        *r = (struct pixi_hub_range){offset, offset};
    r->next = offset < r->next ? offset : r->next;
    r->last = offset > r->last ? offset : r->last;
    add_given_back(group, offset);
}

/* A read that is under way does not know of what lies before it. */
static void interrupt(struct pixi_hub *hub, struct pixi_hub_group *group)
{
    struct pixi_hub_entry *reader = group->reader;

    if (!reader)
        return;
    hub->store->call->cancel(hub->store, &reader->peer->read);
    reader->peer->reading = NULL;
    end_reader(reader);
}

static bool has_others(const struct pixi_hub_entry *e)
{
    return e->group->members.next != &e->in_node || e->group->members.prev != &e->in_node;
}

void pixi_hub_give_back(struct pixi_hub *hub, struct pixi_hub_peer *peer, const uint64_t *offsets,
                        size_t count)
{
    uint64_t head = hub->store->call->head(hub->store).offset;
    struct pixi_hub_entry *e, *other;

    assert(!hub->calling && peer->hub == hub);
    for (struct pixi_list *l = peer->subs.next; count && l != &peer->subs; l = l->next) {
        e = PIXI_LIST_ITEM(l, struct pixi_hub_entry, in_peer);
        if (!e->group || !has_others(e))
            continue;
        interrupt(hub, e->group);
        for (size_t i = 0; i < count; i++)
            owe(e->group, offsets[i], head);
        for (struct pixi_list *m = e->group->members.next; m != &e->group->members; m = m->next) {
            other = PIXI_LIST_ITEM(m, struct pixi_hub_entry, in_node);
            pixi_hub_fall_behind(other);
            if (other != e && has_work(other->peer))
                wake(other->peer);
        }
    }
}
