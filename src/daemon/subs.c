/* subs.c -- what local programs subscribe to, asked of the server once for each filter.
 *
 * The server keeps one subscription for a filter, and subscribing again replaces it. So a program that comes later asks
 * with its own `since`, and gets what comes of it; the others are asked for again where they stood, and what a program has
 * had already it does not get twice: positions tell. */
#include "daemon/state.h"

#include "base/log.h"

#include <stdlib.h>

static struct pixi_daemon_sub *sub_in_filter(struct pixi_list *l)
{
    return PIXI_LIST_ITEM(l, struct pixi_daemon_sub, in_filter);
}

/* --- positions --------------------------------------------------------------------------------------------------- */

static void remember(struct pixi_daemon_place *place, struct pixi_rpc_position p)
{
    size_t i = 0;

    while (i < place->count && place->at[i].epoch != p.epoch)
        i++;
    if (i < place->count && place->at[i].offset > p.offset)
        p.offset = place->at[i].offset;
    if (i == PIXI_DAEMON_POSITIONS)
        i--;
    else if (i == place->count)
        place->count++;
    memmove(place->at + 1, place->at, i * sizeof place->at[0]);
    place->at[0] = p;
}

static bool has_had(const struct pixi_daemon_place *place, struct pixi_rpc_position p)
{
    for (size_t i = 0; i < place->count; i++)
        if (place->at[i].epoch == p.epoch)
            return p.offset <= place->at[i].offset;
    return false;
}

static void take_since(struct pixi_daemon_place *place, const struct pixi_rpc_params *p)
{
    *place = (struct pixi_daemon_place){0};
    for (size_t i = p->since_count; i-- > 0;)
        remember(place, p->since[i]);
}

/* --- filters -------------------------------------------------------------------------------------------------------- */

static struct pixi_daemon_filter *find_filter(const struct pixi_daemon *d, struct pixi_cur text)
{
    for (struct pixi_list *l = d->filters.next; l != &d->filters; l = l->next) {
        struct pixi_daemon_filter *f = PIXI_LIST_ITEM(l, struct pixi_daemon_filter, in_daemon);

        if (pixi_cur_equals(text, pixi_cur_str(f->text)))
            return f;
    }
    return NULL;
}

static struct pixi_daemon_filter *make_filter(struct pixi_daemon *d, struct pixi_cur text)
{
    struct pixi_daemon_filter *f = calloc(1, sizeof *f + pixi_cur_left(&text) + 1);

    if (!f)
        return NULL;
    f->daemon = d;
    memcpy(f->text, text.p, pixi_cur_left(&text));
    pixi_list_init(&f->subs);
    pixi_list_add_last(&d->filters, &f->in_daemon);
    d->filter_count++;
    return f;
}

static void ignore_answer(struct pixi_uplink *u, void *ctx, const struct pixi_uplink_answer *answer)
{
    (void)u;
    (void)ctx;
    (void)answer;
}

static void drop_filter(struct pixi_daemon_filter *f)
{
    struct pixi_daemon *d = f->daemon;
    struct pixi_json_out w;

    if (f->phase != PIXI_DAEMON_ABSENT && pixi_daemon_is_linked(d)) {
        pixi_uplink_begin(&d->uplink, &w, PIXI_RPC_UNSUBSCRIBE);
        pixi_json_name(&w, "filter");
        pixi_json_text(&w, f->text);
        /* one that finds no memory leaves messages that nobody here wants: they are passed over */
        pixi_uplink_end(&d->uplink, &w, PIXI_RPC_UNSUBSCRIBE, d->settings->timeouts.request_ms, ignore_answer,
                        NULL);
    }
    pixi_list_remove(&f->in_daemon);
    d->filter_count--;
    free(f);
}

static void drop_sub(struct pixi_daemon_sub *s)
{
    struct pixi_daemon_filter *f = s->filter;

    pixi_list_remove(&s->in_filter);
    pixi_list_remove(&s->in_conn);
    s->conn->sub_count--;
    if (f->asker == s)
        f->asker = NULL;
    free(s);
    if (--f->sub_count == 0)
        drop_filter(f);
}

void pixi_daemon_drop_subs(struct pixi_daemon_conn *c)
{
    while (!pixi_list_is_empty(&c->subs)) {
        struct pixi_daemon_sub *s = PIXI_LIST_ITEM(c->subs.next, struct pixi_daemon_sub, in_conn);

        if (s->call)
            pixi_daemon_drop_call(s->call);
        drop_sub(s);
    }
}

/* --- telling a program ------------------------------------------------------------------------------------------------ */

static void tell(struct pixi_daemon_sub *s, enum pixi_rpc_method m)
{
    struct pixi_json_out w;

    pixi_daemon_begin(s->conn->daemon, &w, m);
    pixi_json_name(&w, "filter");
    pixi_json_text(&w, s->filter->text);
    pixi_rpc_end_call(&w, 0);
    pixi_daemon_say(s->conn);
}

static void answer(struct pixi_daemon_sub *s, struct pixi_rpc_position at, bool is_recovered)
{
    struct pixi_daemon_call *call = s->call;
    struct pixi_json_out w;

    s->call = NULL;
    if (!call)
        return;
    pixi_daemon_begin_answer(call, &w);
    pixi_json_open_object(&w);
    pixi_rpc_put_position(&w, at);
    pixi_json_name(&w, "recovered");
    pixi_json_bool(&w, is_recovered);
    pixi_json_close_object(&w);
    pixi_daemon_end_answer(call, &w);
}

/* --- asking the server --------------------------------------------------------------------------------------------------- */

static void consider(struct pixi_daemon_filter *f);

static void on_answer(struct pixi_uplink *u, void *ctx, const struct pixi_uplink_answer *a);

/* Where from, and with the retained messages or without. The answer is for this question only. */
static void ask(struct pixi_daemon_filter *f, enum pixi_daemon_phase phase,
                const struct pixi_daemon_place *since, bool wants_retained)
{
    struct pixi_daemon *d = f->daemon;
    struct pixi_json_out w;

    f->phase = phase;
    f->generation = ++d->generation;
    pixi_uplink_begin(&d->uplink, &w, PIXI_RPC_SUBSCRIBE);
    pixi_json_name(&w, "filter");
    pixi_json_text(&w, f->text);
    if (*f->text != '$') /* neither `$share` nor `$` topics take one */
        pixi_rpc_put_since(&w, since->at, since->count);
    if (!wants_retained) {
        pixi_json_name(&w, "retained");
        pixi_json_bool(&w, false);
    }
    if (pixi_uplink_end(&d->uplink, &w, PIXI_RPC_SUBSCRIBE, d->settings->timeouts.request_ms, on_answer,
                        (void *)(uintptr_t)f->generation) != PIXI_OK)
        f->phase = PIXI_DAEMON_ABSENT; /* no memory: the next that comes asks again */
}

static bool any_wants_retained(const struct pixi_daemon_filter *f)
{
    for (struct pixi_list *l = f->subs.next; l != &f->subs; l = l->next)
        if (sub_in_filter(l)->wants_retained)
            return true;
    return false;
}

/* Is there one that had messages before the asker came? */
static bool has_others(const struct pixi_daemon_filter *f)
{
    for (struct pixi_list *l = f->subs.next; l != &f->subs; l = l->next)
        if (sub_in_filter(l) != f->asker && sub_in_filter(l)->state == PIXI_DAEMON_SUB_LIVE)
            return true;
    return false;
}

static void rest(struct pixi_daemon_filter *f)
{
    f->asker = NULL;
    f->before.count = 0;
    f->has_withheld = false;
    f->phase = PIXI_DAEMON_STEADY;
    consider(f);
}

/* The asker has all it asked for; the others are asked for again where they stood. */
static void repair_or_rest(struct pixi_daemon_filter *f)
{
    if (f->before.count)
        ask(f, PIXI_DAEMON_REPAIRING, &f->before, false);
    else
        rest(f);
}

/* The server did not keep what was withheld from them. */
static void tell_others(struct pixi_daemon_filter *f)
{
    for (struct pixi_list *l = f->subs.next; l != &f->subs; l = l->next) {
        struct pixi_daemon_sub *s = sub_in_filter(l);

        if (s != f->asker && s->state == PIXI_DAEMON_SUB_LIVE)
            tell(s, PIXI_RPC_GAP);
    }
}

/* Does what the server sends from `start` on leave out some that the others have not had? */
static bool skips(const struct pixi_daemon_place *before, struct pixi_rpc_position start)
{
    return before->count && (before->at[0].epoch != start.epoch || before->at[0].offset < start.offset);
}

static void start_over(struct pixi_daemon_filter *f, const struct pixi_rpc_params *p)
{
    for (struct pixi_list *l = f->subs.next; l != &f->subs; l = l->next) {
        struct pixi_daemon_sub *s = sub_in_filter(l);

        if (s->state != PIXI_DAEMON_SUB_LIVE || p->recovered)
            continue;
        s->place = (struct pixi_daemon_place){0};
        remember(&s->place, p->position);
        s->wants_snapshot = s->wants_retained;
        if (s->is_behind)
            s->has_gap = true; /* told when it reads again */
        else
            tell(s, PIXI_RPC_GAP);
    }
}

/* The asker has its answer. */
static void begin_live(struct pixi_daemon_sub *s, const struct pixi_rpc_params *p)
{
    bool had_gap = s->has_gap || (!s->call && !p->recovered);

    s->state = PIXI_DAEMON_SUB_LIVE;
    s->is_behind = s->has_gap = false;
    s->wants_snapshot = !p->recovered && s->wants_retained;
    if (!p->recovered)
        s->place = (struct pixi_daemon_place){0};
    if (!p->recovered || !s->place.count)
        remember(&s->place, p->position);
    if (!s->call && had_gap)
        tell(s, PIXI_RPC_GAP);
    answer(s, p->position, p->recovered);
}

static void take_answer(struct pixi_daemon_filter *f, const struct pixi_rpc_params *p)
{
    bool has_snapshot = !p->recovered;

    if (f->phase == PIXI_DAEMON_REPAIRING) {
        if (!p->recovered && f->has_withheld)
            tell_others(f);
        remember(&f->place, p->position);
        rest(f);
        return;
    }
    f->phase = PIXI_DAEMON_SNAPSHOT;
    f->before.count = 0;
    if (f->asker && has_others(f) && skips(&f->place, p->position))
        f->before = f->place;
    if (!p->recovered || !f->place.count)
        remember(&f->place, p->position);
    if (f->asker) {
        has_snapshot = has_snapshot && f->asker->wants_retained;
        begin_live(f->asker, p);
    } else {
        has_snapshot = has_snapshot && any_wants_retained(f);
        start_over(f, p);
    }
    if (!has_snapshot)
        repair_or_rest(f);
}

static struct pixi_daemon_filter *find_generation(const struct pixi_daemon *d, uint64_t generation)
{
    for (struct pixi_list *l = d->filters.next; l != &d->filters; l = l->next)
        if (PIXI_LIST_ITEM(l, struct pixi_daemon_filter, in_daemon)->generation == generation)
            return PIXI_LIST_ITEM(l, struct pixi_daemon_filter, in_daemon);
    return NULL;
}

/* The server does not grant it, to anybody. */
static void refuse_all(struct pixi_daemon_filter *f, int err, const char *detail)
{
    struct pixi_daemon *d = f->daemon;
    size_t left = f->sub_count;

    f->phase = PIXI_DAEMON_ABSENT;
    while (left-- > 0) {
        struct pixi_daemon_sub *s = sub_in_filter(f->subs.next);
        struct pixi_daemon_call *call = s->call;
        struct pixi_daemon_conn *c = s->conn;
        struct pixi_json_out w;

        s->call = NULL;
        if (!call) {
            pixi_daemon_begin(d, &w, PIXI_RPC_UNSUBSCRIBED);
            pixi_json_name(&w, "filter");
            pixi_json_text(&w, f->text);
            pixi_json_name(&w, "error");
            pixi_rpc_put_error_value(&w, err, detail, 0);
            pixi_rpc_end_call(&w, 0);
            pixi_daemon_say(c);
        }
        drop_sub(s);
        if (call)
            pixi_daemon_answer_error(call, err, detail);
    }
}

static void on_answer(struct pixi_uplink *u, void *ctx, const struct pixi_uplink_answer *a)
{
    struct pixi_daemon *d = u->ctx;
    struct pixi_daemon_filter *f = find_generation(d, (uint64_t)(uintptr_t)ctx);
    struct pixi_rpc_params p;

    if (!f)
        return; /* nobody wants it any more, or another question was asked since */
    if (a->failure) {
        if (u->state == PIXI_UPLINK_OPEN && a->failure->err != PIXI_E_TIMEOUT)
            refuse_all(f, a->failure->err, a->failure->cause);
        else if (u->state == PIXI_UPLINK_OPEN)
            f->phase = PIXI_DAEMON_STEADY; /* asked again when somebody wants something of it */
        return;
    }
    if (pixi_rpc_result_read(a->result, &p) == PIXI_OK)
        take_answer(f, &p);
}

static struct pixi_daemon_sub *next_waiting(const struct pixi_daemon_filter *f)
{
    for (struct pixi_list *l = f->subs.next; l != &f->subs; l = l->next)
        if (sub_in_filter(l)->state == PIXI_DAEMON_SUB_WAITS)
            return sub_in_filter(l);
    return NULL;
}

/* Asks for the next that waits, if it is its turn. */
static void consider(struct pixi_daemon_filter *f)
{
    struct pixi_daemon_sub *s = next_waiting(f);

    if (!s || !pixi_daemon_is_linked(f->daemon) ||
        (f->phase != PIXI_DAEMON_ABSENT && f->phase != PIXI_DAEMON_STEADY))
        return;
    s->state = PIXI_DAEMON_SUB_ASKED;
    f->asker = s;
    ask(f, PIXI_DAEMON_ASKING, &s->place, s->wants_retained);
}

void pixi_daemon_subs_linked(struct pixi_daemon *d)
{
    for (struct pixi_list *l = d->filters.next; l != &d->filters; l = l->next) {
        struct pixi_daemon_filter *f = PIXI_LIST_ITEM(l, struct pixi_daemon_filter, in_daemon);

        f->asker = NULL;
        if (has_others(f))
            ask(f, PIXI_DAEMON_ASKING, &f->place, any_wants_retained(f));
        else
            consider(f);
    }
}

void pixi_daemon_subs_lost(struct pixi_daemon *d)
{
    d->request_count = 0; /* the server has ended them */
    for (struct pixi_list *l = d->filters.next; l != &d->filters; l = l->next) {
        struct pixi_daemon_filter *f = PIXI_LIST_ITEM(l, struct pixi_daemon_filter, in_daemon);

        f->phase = PIXI_DAEMON_ABSENT;
        f->generation = 0;
        f->asker = NULL;
        for (struct pixi_list *at = f->subs.next; at != &f->subs; at = at->next)
            if (sub_in_filter(at)->state == PIXI_DAEMON_SUB_ASKED)
                sub_in_filter(at)->state = PIXI_DAEMON_SUB_WAITS;
    }
}

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
    struct pixi_daemon_filter *f = s ? s->filter : find_filter(d, p->filter);

    if (!s && c->sub_count >= PIXI_DAEMON_SUBS_MAX) {
        refuse(call, PIXI_E_LIMIT, "too many subscriptions of this program");
        return;
    }
    if (!f && !(f = make_filter(d, p->filter))) {
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
            drop_filter(f);
        refuse(call, PIXI_E_NOMEM, NULL);
        return;
    }
    s->call = call;
    s->state = PIXI_DAEMON_SUB_WAITS;
    s->wants_retained = p->retained;
    s->is_behind = s->has_gap = s->wants_snapshot = false;
    take_since(&s->place, p);
    consider(f);
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
    drop_sub(s);
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
        consider(s->filter);
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
    return !p->position.offset || (!has_had(&s->place, p->position) && !is_withheld(f, s));
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
        remember(&s->place, p->position);
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
        struct pixi_daemon_sub *s = sub_in_filter(f->subs.next);
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
    struct pixi_daemon_filter *f = find_filter(d, p->filter);

    d->counters.messages_in++;
    if (!f)
        return;
    if (p->seen & PIXI_RPC_HAS_REQUEST) {
        give_request(f, p);
        return;
    }
    for (struct pixi_list *l = f->subs.next; l != &f->subs; l = l->next) {
        if (is_for(f, sub_in_filter(l), p))
            give(sub_in_filter(l), p);
    }
    if (p->position.offset && !p->retained)
        remember(&f->place, p->position);
}

static void take_synced(struct pixi_daemon *d, const struct pixi_rpc_params *p)
{
    struct pixi_daemon_filter *f = find_filter(d, p->filter);

    if (!f || f->phase != PIXI_DAEMON_SNAPSHOT)
        return;
    for (struct pixi_list *l = f->subs.next; l != &f->subs; l = l->next) {
        struct pixi_daemon_sub *s = sub_in_filter(l);

        if (!s->wants_snapshot)
            continue;
        s->wants_snapshot = false;
        tell(s, PIXI_RPC_SYNCED);
    }
    repair_or_rest(f);
}

static void take_unsubscribed(struct pixi_daemon *d, const struct pixi_rpc_params *p)
{
    struct pixi_daemon_filter *f = find_filter(d, p->filter);

    if (f)
        refuse_all(f, PIXI_E_FORBIDDEN, "the server ended the subscription");
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
