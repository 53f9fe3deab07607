/* subs.c -- local programs' subscriptions, and what the server sends for them. What is asked of it: filter.c. */
#include "daemon/subs.h"

#include <stdlib.h>

/* --- programs ----------------------------------------------------------------------------------------------------------- */

static struct pixi_daemon_sub *find_sub(const struct pixi_daemon_conn *c, struct pixi_cur text)
{
    for (struct pixi_list *l = c->subs.next; l != &c->subs; l = l->next) {
        struct pixi_daemon_sub *s = PIXI_LIST_ITEM(l, struct pixi_daemon_sub, in_conn);

        if (pixi_cur_equals(text, pixi_cur_str(s->filter->text)))
            return s;
    }
    return NULL;
}

static void take_since(struct pixi_daemon_place *place, const struct pixi_rpc_params *p)
{
    *place = (struct pixi_daemon_place){0};
    for (size_t i = p->since_count; i-- > 0;)
        pixi_daemon_place_remember(place, p->since[i]);
}

void pixi_daemon_drop_subs(struct pixi_daemon_conn *c)
{
    while (!pixi_list_is_empty(&c->subs)) {
        struct pixi_daemon_sub *s = PIXI_LIST_ITEM(c->subs.next, struct pixi_daemon_sub, in_conn);

        if (s->call)
            pixi_daemon_drop_call(s->call);
        pixi_daemon_sub_drop(s);
    }
}

void pixi_daemon_allow_subs(struct pixi_daemon_conn *c)
{
    for (struct pixi_list *l = c->subs.next, *next; l != &c->subs; l = next) {
        struct pixi_daemon_sub *s = PIXI_LIST_ITEM(l, struct pixi_daemon_sub, in_conn);

        next = l->next;
        if (!pixi_daemon_may_subscribe(c, pixi_cur_str(s->filter->text)))
            pixi_daemon_sub_refuse(s, PIXI_E_FORBIDDEN, "daemon.allow: subscribe");
    }
}

static void refuse(struct pixi_daemon_call *call, int err, const char *detail)
{
    if (call)
        pixi_daemon_answer_error(call, err, detail);
}

/* Subscribing again replaces: it begins as a new one does. */
static void take_back(struct pixi_daemon_sub *s)
{
    if (s->call)
        pixi_daemon_answer_error(s->call, PIXI_E_RPC_REQUEST,
                                 "the program subscribed again before the answer");
    s->call = NULL;
    if (s->filter->asker == s)
        s->filter->asker = NULL;
}

void pixi_daemon_subscribe(struct pixi_daemon_conn *c, struct pixi_daemon_call *call,
                           const struct pixi_rpc_params *p)
{
    struct pixi_daemon *d = c->daemon;
    struct pixi_daemon_sub *s = find_sub(c, p->filter);
    struct pixi_daemon_filter *f = s ? s->filter : pixi_daemon_filter_find(d, p->filter);

    if (!s && c->sub_count >= PIXI_DAEMON_SUBS_MAX) {
        refuse(call, PIXI_E_LIMIT, "too many subscriptions of this program");
        return;
    }
    if (!f && !(f = pixi_daemon_filter_make(d, p->filter))) {
        refuse(call, PIXI_E_NOMEM, NULL);
        return;
    }
    if (s) {
        take_back(s);
    } else if ((s = calloc(1, sizeof *s))) {
        s->conn = c;
        s->filter = f;
        pixi_list_add_last(&f->subs, &s->in_filter);
        pixi_list_add_last(&c->subs, &s->in_conn);
        f->sub_count++;
        c->sub_count++;
    } else {
        if (f->sub_count == 0)
            pixi_daemon_filter_drop(f);
        refuse(call, PIXI_E_NOMEM, NULL);
        return;
    }
    s->call = call;
    s->state = PIXI_DAEMON_SUB_WAITS;
    s->wants_retained = p->retained;
    s->is_behind = s->has_gap = s->wants_snapshot = false;
    take_since(&s->place, p);
    pixi_daemon_filter_consider(f);
}

void pixi_daemon_unsubscribe(struct pixi_daemon_conn *c, struct pixi_daemon_call *call,
                             const struct pixi_rpc_params *p)
{
    struct pixi_daemon_sub *s = find_sub(c, p->filter);
    struct pixi_json_out w;

    if (!s) {
        refuse(call, PIXI_E_FILTER, "this program is not subscribed to it");
        return;
    }
    take_back(s);
    pixi_daemon_sub_drop(s);
    if (!call)
        return;
    pixi_daemon_begin_answer(call, &w);
    pixi_json_open_object(&w);
    pixi_json_close_object(&w);
    pixi_daemon_end_answer(call, &w);
}

/* It has read what waited: what it missed is asked for. */
void pixi_daemon_catch_up(struct pixi_daemon_conn *c)
{
    c->is_behind = false;
    for (struct pixi_list *l = c->subs.next, *next; l != &c->subs; l = next) {
        struct pixi_daemon_sub *s = PIXI_LIST_ITEM(l, struct pixi_daemon_sub, in_conn);

        next = l->next;
        if (!s->is_behind || s->state != PIXI_DAEMON_SUB_LIVE)
            continue;
        s->state = PIXI_DAEMON_SUB_WAITS;
        pixi_daemon_filter_consider(s->filter);
    }
}

/* --- what the server tells ------------------------------------------------------------------------------------------------ */

static void put_message(struct pixi_daemon *d, const struct pixi_rpc_params *p)
{
    struct pixi_json_out w;

    pixi_daemon_begin(d, &w, PIXI_RPC_MESSAGE);
    pixi_json_name(&w, "filter");
    pixi_json_string(&w, p->filter);
    pixi_json_name(&w, "topic");
    pixi_json_string(&w, p->topic);
    pixi_rpc_put_payload(&w, p->payload, p->is_json);
    if (p->seen & PIXI_RPC_HAS_OFFSET)
        pixi_rpc_put_position(&w, p->position);
    pixi_json_name(&w, "time_ms");
    pixi_json_number(&w, p->time_ms);
    if (p->retained) {
        pixi_json_name(&w, "retained");
        pixi_json_bool(&w, true);
    }
    pixi_rpc_put_headers(&w, p->headers);
    if (p->seen & PIXI_RPC_HAS_REQUEST)
        pixi_rpc_put_hex(&w, "request", p->request);
    pixi_rpc_end_call(&w, 0);
}

/* What is stored comes to the others once more when they are asked for again, in its order. */
static bool is_withheld(struct pixi_daemon_filter *f, const struct pixi_daemon_sub *s)
{
    bool is = f->before.count && s != f->asker &&
              (f->phase == PIXI_DAEMON_SNAPSHOT || f->phase == PIXI_DAEMON_REPAIRING);

    f->has_withheld |= is;
    return is;
}

static bool is_for(struct pixi_daemon_filter *f, const struct pixi_daemon_sub *s,
                   const struct pixi_rpc_params *p)
{
    if (s->state != PIXI_DAEMON_SUB_LIVE || s->is_behind)
        return false;
    if (p->retained)
        return s->wants_snapshot;
    return !p->position.offset || (!pixi_daemon_place_has(&s->place, p->position) && !is_withheld(f, s));
}

/* false: its program does not read. */
static bool give(struct pixi_daemon_sub *s, const struct pixi_rpc_params *p)
{
    struct pixi_daemon *d = s->conn->daemon;

    if (!pixi_daemon_has_room(s->conn, pixi_cur_left(&p->payload) + PIXI_DAEMON_ENVELOPE)) {
        s->is_behind = s->conn->is_behind = true;
        s->has_gap |= !p->position.offset;
        s->conn->tcp.wants_drained = true;
        d->counters.skipped++;
        return false;
    }
    if (p->position.offset && !p->retained)
        pixi_daemon_place_remember(&s->place, p->position);
    put_message(d, p);
    d->counters.messages_out++;
    pixi_daemon_say(s->conn);
    return true;
}

/* A request is for one of them; the next time for the next. */
static void give_request(struct pixi_daemon_filter *f, const struct pixi_rpc_params *p)
{
    struct pixi_daemon *d = f->daemon;
    struct pixi_daemon_request *more;

    if (d->request_count == d->request_cap) {
        size_t cap = d->request_cap ? 2 * d->request_cap : 16;

        if (cap > PIXI_DAEMON_REQUESTS_MAX || !(more = realloc(d->requests, cap * sizeof *more)))
            return; /* it ends with its time-out */
        d->requests = more;
        d->request_cap = cap;
    }
    for (size_t i = 0; i < f->sub_count; i++) {
        struct pixi_daemon_sub *s = pixi_daemon_sub_in_filter(f->subs.next);
        uint64_t number = s->conn->number;

        pixi_list_remove(&s->in_filter);
        pixi_list_add_last(&f->subs, &s->in_filter);
        if (s->state != PIXI_DAEMON_SUB_LIVE || s->is_behind || !give(s, p))
            continue;
        d->requests[d->request_count++] = (struct pixi_daemon_request){.id = p->request, .conn = number};
        return;
    }
}

static void take_message(struct pixi_daemon *d, const struct pixi_rpc_params *p)
{
    struct pixi_daemon_filter *f = pixi_daemon_filter_find(d, p->filter);

    d->counters.messages_in++;
    if (!f)
        return;
    if (p->seen & PIXI_RPC_HAS_REQUEST) {
        give_request(f, p);
        return;
    }
    for (struct pixi_list *l = f->subs.next; l != &f->subs; l = l->next) {
        if (is_for(f, pixi_daemon_sub_in_filter(l), p))
            give(pixi_daemon_sub_in_filter(l), p);
    }
    if (p->position.offset && !p->retained)
        pixi_daemon_place_remember(&f->place, p->position);
}

static void take_synced(struct pixi_daemon *d, const struct pixi_rpc_params *p)
{
    struct pixi_daemon_filter *f = pixi_daemon_filter_find(d, p->filter);

    if (!f || f->phase != PIXI_DAEMON_SNAPSHOT)
        return;
    for (struct pixi_list *l = f->subs.next; l != &f->subs; l = l->next) {
        struct pixi_daemon_sub *s = pixi_daemon_sub_in_filter(l);

        if (!s->wants_snapshot)
            continue;
        s->wants_snapshot = false;
        pixi_daemon_sub_tell(s, PIXI_RPC_SYNCED);
    }
    pixi_daemon_filter_go_on(f);
}

static void take_unsubscribed(struct pixi_daemon *d, const struct pixi_rpc_params *p)
{
    struct pixi_daemon_filter *f = pixi_daemon_filter_find(d, p->filter);

    if (f)
        pixi_daemon_filter_refuse(f, PIXI_E_FORBIDDEN, "the server ended the subscription");
}

bool pixi_daemon_on_notification(struct pixi_uplink *u, enum pixi_rpc_method m, struct pixi_rpc_params *p)
{
    struct pixi_daemon *d = u->ctx;

    switch (m) {
    case PIXI_RPC_MESSAGE: take_message(d, p); return true;
    case PIXI_RPC_SYNCED: take_synced(d, p); return true;
    case PIXI_RPC_UNSUBSCRIBED: take_unsubscribed(d, p); return true;
    default: return false;
    }
}

bool pixi_daemon_take_request(struct pixi_daemon *d, uint64_t id, uint64_t conn)
{
    for (size_t i = 0; i < d->request_count; i++) {
        if (d->requests[i].id != id || d->requests[i].conn != conn)
            continue;
        d->requests[i] = d->requests[--d->request_count];
        return true;
    }
    return false;
}
