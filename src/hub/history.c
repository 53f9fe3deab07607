#include "hub/state.h"

#include "base/topic.h"

static struct pixi_hub_history *history_of(struct pixi_list *l)
{
    return PIXI_LIST_ITEM(l, struct pixi_hub_history, in_peer);
}

static void forget(struct pixi_hub_history *h)
{
    pixi_list_remove(&h->in_peer);
    h->peer->history_count--;
    h->peer = NULL;
}

static void end(struct pixi_hub_history *h, int err, bool is_more)
{
    struct pixi_hub *hub = h->peer->hub;

    forget(h);
    hub->calling++;
    h->on_end(h->ctx, err, is_more);
    hub->calling--;
}

static int on_message(void *ctx, const struct pixi_msg *msg)
{
    struct pixi_hub_history *h = ctx;
    struct pixi_hub *hub = h->peer->hub;
    int rc = PIXI_E_LIMIT;

    if (h->given < h->limit) {
        hub->calling++;
        rc = h->on_message(h->ctx, msg);
        hub->calling--;
    }
    if (rc)
        h->state = PIXI_HISTORY_IS_FULL;
    else
        h->given++;
    return rc;
}

static void on_end(void *ctx, int err, uint64_t next)
{
    struct pixi_hub_history *h = ctx;
    struct pixi_hub_peer *peer = h->peer;

    if (err || h->state == PIXI_HISTORY_IS_FULL || next > h->upto) {
        end(h, err, h->state == PIXI_HISTORY_IS_FULL);
        return;
    }
    h->next = next;
    h->state = PIXI_HISTORY_WAITS;
    if (peer->pumping != PIXI_HUB_IDLE)
        return;
    peer->hub->calling++;
    peer->gateway->call->wake(peer->gateway->ctx, peer);
    peer->hub->calling--;
}

static void step(struct pixi_hub *hub, struct pixi_hub_history *h, uint64_t wall_ms)
{
    h->state = PIXI_HISTORY_READS;
    h->read = (struct pixi_store_read){
        .filter = h->filter,
        .from = h->next,
        .upto = h->upto,
        .now_ms = wall_ms,
        .max_count = h->limit - h->given + 1, /* one more than wanted: whether there is more */
        .max_bytes = PIXI_HUB_PUMP_BYTES,
        .flags = h->since.offset || h->given ? 0 : PIXI_STORE_SKIP_GAPS,
        .ctx = h,
        .on_message = on_message,
        .on_end = on_end,
    };
    hub->store->call->read(hub->store, &h->read);
}

static int check(const struct pixi_hub *hub, const struct pixi_hub_peer *peer,
                 const struct pixi_hub_history *h, struct pixi_position head)
{
    struct pixi_store *store = hub->store;

    if (pixi_filter_check(h->filter))
        return PIXI_E_FILTER;
    if (pixi_filter_inner(h->filter).p != h->filter.p)
        return PIXI_E_RPC_PARAMS;
    if (!pixi_permit_subscribe(peer->permit, h->filter))
        return PIXI_E_FORBIDDEN;
    if (peer->history_count >= hub->limits.histories_per_peer)
        return PIXI_E_LIMIT;
    if (!h->since.offset)
        return PIXI_OK;
    if (h->since.epoch != head.epoch || h->since.offset > head.offset ||
        store->call->kept(store, h->filter, h->since.offset + 1) == PIXI_STORE_GONE)
        return PIXI_E_HISTORY;
    return PIXI_OK;
}

int pixi_hub_history(struct pixi_hub *hub, struct pixi_hub_peer *peer, struct pixi_hub_history *h,
                     struct pixi_now now)
{
    struct pixi_position head = hub->store->call->head(hub->store);
    int rc = check(hub, peer, h, head);

    assert(!hub->calling && peer->hub == hub && h->limit);
    h->peer = NULL;
    if (rc)
        return rc;
    h->peer = peer;
    h->given = 0;
    h->next = h->since.offset + 1;
    h->upto = head.offset;
    pixi_list_add_last(&peer->histories, &h->in_peer);
    peer->history_count++;
    if (h->next > h->upto)
        end(h, PIXI_OK, false);
    else
        step(hub, h, now.wall_ms);
    return PIXI_OK;
}

void pixi_hub_history_cancel(struct pixi_hub *hub, struct pixi_hub_history *h)
{
    if (!h->peer)
        return;
    if (h->state == PIXI_HISTORY_READS)
        hub->store->call->cancel(hub->store, &h->read);
    forget(h);
}

void pixi_hub_pump_histories(struct pixi_hub *hub, struct pixi_hub_peer *peer, uint64_t wall_ms)
{
    struct pixi_list *l, *next;

    for (l = peer->histories.next; l != &peer->histories; l = next) {
        next = l->next;
        if (history_of(l)->state == PIXI_HISTORY_WAITS)
            step(hub, history_of(l), wall_ms);
    }
}

bool pixi_hub_has_waiting_history(const struct pixi_hub_peer *peer)
{
    for (struct pixi_list *l = peer->histories.next; l != &peer->histories; l = l->next)
        if (history_of(l)->state == PIXI_HISTORY_WAITS)
            return true;
    return false;
}

void pixi_hub_forget_histories(struct pixi_hub *hub, struct pixi_hub_peer *peer)
{
    while (peer->histories.next != &peer->histories)
        pixi_hub_history_cancel(hub, history_of(peer->histories.next));
}

void pixi_hub_check_histories(struct pixi_hub *hub, struct pixi_hub_peer *peer)
{
    struct pixi_list *l, *next;
    struct pixi_hub_history *h;

    for (l = peer->histories.next; l != &peer->histories; l = next) {
        next = l->next;
        h = history_of(l);
        if (pixi_permit_subscribe(peer->permit, h->filter))
            continue;
        if (h->state == PIXI_HISTORY_READS)
            hub->store->call->cancel(hub->store, &h->read);
        end(h, PIXI_E_FORBIDDEN, false);
    }
}
