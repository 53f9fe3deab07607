#include "hub/state.h"

#include <stdlib.h>

/* A heap: no parent's deadline is later than its children's. */

static void place(struct pixi_hub *hub, size_t at, struct pixi_hub_asked *a)
{
    hub->heap[at] = a;
    a->heap_at = at;
}

static void sift_up(struct pixi_hub *hub, size_t at, struct pixi_hub_asked *a)
{
    for (; at && hub->heap[(at - 1) / 2]->deadline_ms > a->deadline_ms; at = (at - 1) / 2)
        place(hub, at, hub->heap[(at - 1) / 2]);
    place(hub, at, a);
}

static void sift_down(struct pixi_hub *hub, size_t at, struct pixi_hub_asked *a)
{
    size_t child;

    while ((child = 2 * at + 1) < hub->request_count) {
        if (child + 1 < hub->request_count &&
            hub->heap[child + 1]->deadline_ms < hub->heap[child]->deadline_ms)
            child++;
        if (hub->heap[child]->deadline_ms >= a->deadline_ms)
            break;
        place(hub, at, hub->heap[child]);
        at = child;
    }
    place(hub, at, a);
}

static void heap_remove(struct pixi_hub *hub, const struct pixi_hub_asked *a)
{
    size_t at = a->heap_at;
    struct pixi_hub_asked *last = hub->heap[--hub->request_count];

    if (last == a)
        return;
    if (at && hub->heap[(at - 1) / 2]->deadline_ms > last->deadline_ms)
        sift_up(hub, at, last);
    else
        sift_down(hub, at, last);
}

static int heap_reserve(struct pixi_hub *hub)
{
    size_t cap = hub->heap_cap ? hub->heap_cap * 2 : 16;
    struct pixi_hub_asked **heap;

    if (hub->request_count < hub->heap_cap)
        return PIXI_OK;
    heap = realloc(hub->heap, cap * sizeof(struct pixi_hub_asked *));
    if (!heap)
        return PIXI_E_NOMEM;
    hub->heap = heap;
    hub->heap_cap = cap;
    return PIXI_OK;
}

static uint64_t id_hash(uint64_t id)
{
    return id * UINT64_C(0x9e3779b97f4a7c15) >> 16;
}

static struct pixi_hub_asked *find(const struct pixi_hub *hub, uint64_t id)
{
    struct pixi_table_link *l = pixi_table_first(&hub->requests, id_hash(id));
    struct pixi_hub_asked *a;

    for (; l; l = pixi_table_next(l)) {
        a = PIXI_LIST_ITEM(l, struct pixi_hub_asked, by_id);
        if (a->id == id)
            return a;
    }
    return NULL;
}

/* A record, off the pool's list. NULL: out of memory. */
static struct pixi_hub_asked *take(struct pixi_hub *hub)
{
    struct pixi_list *l = hub->free_requests.next;
    struct pixi_hub_asked *a;

    if (pixi_table_reserve(&hub->requests) || heap_reserve(hub))
        return NULL;
    if (l == &hub->free_requests)
        return calloc(1, sizeof(struct pixi_hub_asked));
    pixi_list_remove(l);
    a = PIXI_LIST_ITEM(l, struct pixi_hub_asked, in_asker);
    *a = (struct pixi_hub_asked){0};
    return a;
}

static void put_back(struct pixi_hub *hub, struct pixi_hub_asked *a)
{
    pixi_list_add_last(&hub->free_requests, &a->in_asker);
}

static void enter(struct pixi_hub *hub, struct pixi_hub_asked *a)
{
    pixi_list_add_last(&a->asker->asked, &a->in_asker);
    pixi_list_add_last(&a->answerer->answering, &a->in_answerer);
    a->asker->asked_count++;
    pixi_table_add(&hub->requests, &a->by_id, id_hash(a->id));
    sift_up(hub, hub->request_count++, a);
}

static void end(struct pixi_hub *hub, struct pixi_hub_asked *a)
{
    heap_remove(hub, a);
    pixi_table_remove(&hub->requests, &a->by_id);
    pixi_list_remove(&a->in_answerer);
    pixi_list_remove(&a->in_asker);
    a->asker->asked_count--;
    put_back(hub, a);
}

static void end_with(struct pixi_hub *hub, struct pixi_hub_asked *a, int err, const struct pixi_msg *msg)
{
    struct pixi_hub_peer *asker = a->asker;
    void *token = a->token;

    end(hub, a);
    hub->calling++;
    asker->gateway->call->reply(asker->gateway->ctx, asker, token, err, msg);
    hub->calling--;
}

/* The search for a responder. Among the filters that match, the turn goes round; so it does within each. */
struct search {
    struct pixi_hub *hub;
    const struct pixi_hub_peer *asker;
    const struct pixi_msg *msg;
    uint64_t id;
    size_t at, from, upto; /* filters from .. upto - 1 are asked */
    enum { OTHERS, ITSELF } whom;
    struct pixi_hub_peer *found;
    bool is_over; /* the answer takes another way */
};

static bool try_entry(struct search *s, struct pixi_hub_entry *e)
{
    struct pixi_hub_peer *peer = e->peer;
    int rc;

    /* one that still reads its snapshot answers as well: a request is no part of that, and the gateway knows of room */
    if ((peer == s->asker) != (s->whom == ITSELF) || peer->pumping == PIXI_HUB_LOST)
        return false;
    s->hub->calling++;
    rc = peer->gateway->call->request(peer->gateway->ctx, peer, &e->pub, s->msg, s->id);
    s->hub->calling--;
    if (rc != PIXI_OK && rc != PIXI_MORE)
        return false;
    s->found = peer;
    s->is_over = rc == PIXI_MORE;
    return true;
}

static bool try_list(struct search *s, struct pixi_list *list)
{
    for (struct pixi_list *l = list->next; l != list; l = l->next) {
        if (!try_entry(s, PIXI_LIST_ITEM(l, struct pixi_hub_entry, in_node)))
            continue;
        pixi_list_remove(l);
        pixi_list_add_last(list, l);
        return true;
    }
    return false;
}

static bool try_node(void *ctx, struct pixi_trie_node *node)
{
    struct search *s = ctx;
    size_t at = s->at++;

    if (at < s->from || at >= s->upto)
        return true;
    if (try_list(s, &node->subs))
        return false;
    for (struct pixi_list *l = node->groups.next; l != &node->groups; l = l->next)
        if (try_list(s, &PIXI_LIST_ITEM(l, struct pixi_hub_group, in_node)->members))
            return false;
    return true;
}

/* How many filters were passed by. */
static size_t search_range(struct search *s, size_t from, size_t upto)
{
    s->at = 0;
    s->from = from;
    s->upto = upto;
    if (!s->found)
        pixi_trie_match(&s->hub->trie, s->msg->topic, PIXI_TRIE_LITERAL_FIRST, try_node, s);
    return s->at;
}

static struct pixi_hub_peer *find_responder(struct search *s)
{
    static const char first[] = "request";
    const struct pixi_cur topic = s->msg->topic;
    size_t len = sizeof first - 1, count, start;

    if (pixi_cur_left(&topic) < len || memcmp(topic.p, first, len) != 0 ||
        (topic.p + len != topic.end && topic.p[len] != '/'))
        return NULL;
    count = search_range(s, 0, 0);
    if (!count)
        return NULL;
    start = s->hub->turn++ % count;
    for (unsigned whom = OTHERS; whom <= ITSELF; whom++) {
        s->whom = whom == OTHERS ? OTHERS : ITSELF;
        search_range(s, start, count);
        search_range(s, 0, start);
    }
    return s->found;
}

int pixi_hub_request(struct pixi_hub *hub, struct pixi_hub_peer *peer, const struct pixi_msg *msg,
                     uint64_t timeout_ms, void *token, struct pixi_now now)
{
    struct pixi_hub_asked *a;
    struct search s = {.hub = hub, .asker = peer, .msg = msg, .id = hub->last_request + 1};
    int rc = pixi_hub_may_publish(peer, msg->topic);

    assert(!hub->calling && peer->hub == hub);
    if (rc)
        return rc;
    if (hub->request_count >= hub->limits.requests || peer->asked_count >= hub->limits.requests_per_peer)
        return PIXI_E_LIMIT;
    a = take(hub);
    if (!a)
        return PIXI_E_NOMEM;
    a->answerer = find_responder(&s);
    if (!a->answerer) {
        put_back(hub, a);
        return PIXI_E_NO_RESPONDER;
    }
    if (s.is_over) {
        put_back(hub, a);
        return PIXI_MORE;
    }
    a->id = ++hub->last_request;
    a->asker = peer;
    a->token = token;
    a->deadline_ms = timeout_ms < UINT64_MAX - now.mono_ms ? now.mono_ms + timeout_ms : UINT64_MAX;
    enter(hub, a);
    return PIXI_OK;
}

int pixi_hub_reply(struct pixi_hub *hub, struct pixi_hub_peer *peer, uint64_t request, int err,
                   const struct pixi_msg *msg)
{
    struct pixi_hub_asked *a = find(hub, request);

    assert(!hub->calling && peer->hub == hub && (err == PIXI_OK || err == PIXI_E_RPC_ERROR));
    if (!a || a->answerer != peer)
        return PIXI_E_RPC_PARAMS;
    end_with(hub, a, err, msg);
    return PIXI_OK;
}

uint64_t pixi_hub_next_deadline(const struct pixi_hub *hub)
{
    return hub->request_count ? hub->heap[0]->deadline_ms : UINT64_MAX;
}

void pixi_hub_expire(struct pixi_hub *hub, struct pixi_now now)
{
    assert(!hub->calling);
    while (pixi_hub_next_deadline(hub) <= now.mono_ms)
        end_with(hub, hub->heap[0], PIXI_E_TIMEOUT, NULL);
}

void pixi_hub_forget_requests(struct pixi_hub *hub, struct pixi_hub_peer *peer)
{
    struct pixi_list *l;

    while ((l = peer->asked.next) != &peer->asked)
        end(hub, PIXI_LIST_ITEM(l, struct pixi_hub_asked, in_asker));
    while ((l = peer->answering.next) != &peer->answering) {
        pixi_list_remove(l);
        PIXI_LIST_ITEM(l, struct pixi_hub_asked, in_answerer)->answerer = NULL;
    }
}
