/* filter.c -- what local programs subscribe to, asked of the server once for each filter.
 *
 * The server keeps one subscription for a filter, and subscribing again replaces it. So a program that comes later asks
 * with its own `since`, and gets what comes of it; the others are asked for again where they stood, and what a program has
 * had already it does not get twice: positions tell. */
#include "daemon/subs.h"

#include <stdlib.h>

/* --- positions --------------------------------------------------------------------------------------------------- */

void pixi_daemon_place_remember(struct pixi_daemon_place *place, struct pixi_rpc_position p)
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

bool pixi_daemon_place_has(const struct pixi_daemon_place *place, struct pixi_rpc_position p)
{
    for (size_t i = 0; i < place->count; i++)
        if (place->at[i].epoch == p.epoch)
            return p.offset <= place->at[i].offset;
    return false;
}

/* --- filters -------------------------------------------------------------------------------------------------------- */

/* FNV-1a; the texts are those of programs on this machine. */
static struct pixi_list *bucket(const struct pixi_daemon *d, struct pixi_cur text)
{
    uint32_t hash = 2166136261;

    for (; text.p != text.end; text.p++)
        hash = (hash ^ *text.p) * 16777619;
    return (struct pixi_list *)(uintptr_t)&d->filter_buckets[hash % PIXI_DAEMON_BUCKETS];
}

struct pixi_daemon_filter *pixi_daemon_filter_find(const struct pixi_daemon *d, struct pixi_cur text)
{
    struct pixi_list *at = bucket(d, text);

    for (struct pixi_list *l = at->next; l != at; l = l->next) {
        struct pixi_daemon_filter *f = PIXI_LIST_ITEM(l, struct pixi_daemon_filter, in_bucket);

        if (pixi_cur_equals(text, pixi_cur_str(f->text)))
            return f;
    }
    return NULL;
}

struct pixi_daemon_filter *pixi_daemon_filter_make(struct pixi_daemon *d, struct pixi_cur text)
{
    struct pixi_daemon_filter *f = calloc(1, sizeof *f + pixi_cur_left(&text) + 1);

    if (!f)
        return NULL;
    f->daemon = d;
    memcpy(f->text, text.p, pixi_cur_left(&text));
    pixi_list_init(&f->subs);
    pixi_list_add_last(&d->filters, &f->in_daemon);
    pixi_list_add_last(bucket(d, text), &f->in_bucket);
    d->filter_count++;
    return f;
}

static void ignore_answer(struct pixi_uplink *u, void *ctx, const struct pixi_uplink_answer *answer)
{
    (void)u;
    (void)ctx;
    (void)answer;
}

void pixi_daemon_filter_drop(struct pixi_daemon_filter *f)
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
    pixi_list_remove(&f->in_bucket);
    d->filter_count--;
    free(f);
}

void pixi_daemon_sub_drop(struct pixi_daemon_sub *s)
{
    struct pixi_daemon_filter *f = s->filter;

    pixi_list_remove(&s->in_filter);
    pixi_list_remove(&s->in_conn);
    s->conn->sub_count--;
    if (f->asker == s)
        f->asker = NULL;
    free(s);
    if (--f->sub_count == 0)
        pixi_daemon_filter_drop(f);
}

/* --- telling a program ------------------------------------------------------------------------------------------------ */

void pixi_daemon_sub_tell(struct pixi_daemon_sub *s, enum pixi_rpc_method m)
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
        if (pixi_daemon_sub_in_filter(l)->wants_retained)
            return true;
    return false;
}

/* Is there one that had messages before the asker came? */
static bool has_others(const struct pixi_daemon_filter *f)
{
    for (struct pixi_list *l = f->subs.next; l != &f->subs; l = l->next)
        if (pixi_daemon_sub_in_filter(l) != f->asker &&
            pixi_daemon_sub_in_filter(l)->state == PIXI_DAEMON_SUB_LIVE)
            return true;
    return false;
}

static void rest(struct pixi_daemon_filter *f)
{
    f->asker = NULL;
    f->before.count = 0;
    f->has_withheld = false;
    f->phase = PIXI_DAEMON_STEADY;
    pixi_daemon_filter_consider(f);
}

/* The asker has all it asked for; the others are asked for again where they stood. */
void pixi_daemon_filter_go_on(struct pixi_daemon_filter *f)
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
        struct pixi_daemon_sub *s = pixi_daemon_sub_in_filter(l);

        if (s != f->asker && s->state == PIXI_DAEMON_SUB_LIVE)
            pixi_daemon_sub_tell(s, PIXI_RPC_GAP);
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
        struct pixi_daemon_sub *s = pixi_daemon_sub_in_filter(l);

        if (s->state != PIXI_DAEMON_SUB_LIVE || p->recovered)
            continue;
        s->place = (struct pixi_daemon_place){0};
        pixi_daemon_place_remember(&s->place, p->position);
        s->wants_snapshot = s->wants_retained;
        if (s->is_behind)
            s->has_gap = true; /* told when it reads again */
        else
            pixi_daemon_sub_tell(s, PIXI_RPC_GAP);
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
        pixi_daemon_place_remember(&s->place, p->position);
    if (!s->call && had_gap)
        pixi_daemon_sub_tell(s, PIXI_RPC_GAP);
    answer(s, p->position, p->recovered);
}

static void take_answer(struct pixi_daemon_filter *f, const struct pixi_rpc_params *p)
{
    bool has_snapshot = !p->recovered;

    if (f->phase == PIXI_DAEMON_REPAIRING) {
        if (!p->recovered && f->has_withheld)
            tell_others(f);
        pixi_daemon_place_remember(&f->place, p->position);
        rest(f);
        return;
    }
    f->phase = PIXI_DAEMON_SNAPSHOT;
    f->before.count = 0;
    if (f->asker && has_others(f) && skips(&f->place, p->position))
        f->before = f->place;
    if (!p->recovered || !f->place.count)
        pixi_daemon_place_remember(&f->place, p->position);
    if (f->asker) {
        has_snapshot = has_snapshot && f->asker->wants_retained;
        begin_live(f->asker, p);
    } else {
        has_snapshot = has_snapshot && any_wants_retained(f);
        start_over(f, p);
    }
    if (!has_snapshot)
        pixi_daemon_filter_go_on(f);
}

static struct pixi_daemon_filter *find_generation(const struct pixi_daemon *d, uint64_t generation)
{
    for (struct pixi_list *l = d->filters.next; l != &d->filters; l = l->next)
        if (PIXI_LIST_ITEM(l, struct pixi_daemon_filter, in_daemon)->generation == generation)
            return PIXI_LIST_ITEM(l, struct pixi_daemon_filter, in_daemon);
    return NULL;
}

void pixi_daemon_sub_refuse(struct pixi_daemon_sub *s, int err, const char *detail)
{
    struct pixi_daemon_call *call = s->call;
    struct pixi_daemon_conn *c = s->conn;
    struct pixi_json_out w;

    s->call = NULL;
    if (!call) {
        pixi_daemon_begin(c->daemon, &w, PIXI_RPC_UNSUBSCRIBED);
        pixi_json_name(&w, "filter");
        pixi_json_text(&w, s->filter->text);
        pixi_json_name(&w, "error");
        pixi_rpc_put_error_value(&w, err, detail, 0);
        pixi_rpc_end_call(&w, 0);
        pixi_daemon_say(c);
    }
    pixi_daemon_sub_drop(s);
    if (call)
        pixi_daemon_answer_error(call, err, detail);
    else if (pixi_daemon_is_done(c))
        pixi_loop_defer(c->daemon->loop, &c->doom);
}

/* The server does not grant it, to anybody. */
void pixi_daemon_filter_refuse(struct pixi_daemon_filter *f, int err, const char *detail)
{
    size_t left = f->sub_count;

    f->phase = PIXI_DAEMON_ABSENT;
    while (left-- > 0)
        pixi_daemon_sub_refuse(pixi_daemon_sub_in_filter(f->subs.next), err, detail);
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
            pixi_daemon_filter_refuse(f, a->failure->err, a->failure->cause);
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
        if (pixi_daemon_sub_in_filter(l)->state == PIXI_DAEMON_SUB_WAITS)
            return pixi_daemon_sub_in_filter(l);
    return NULL;
}

/* Asks for the next that waits, if it is its turn. */
void pixi_daemon_filter_consider(struct pixi_daemon_filter *f)
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
            pixi_daemon_filter_consider(f);
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
            if (pixi_daemon_sub_in_filter(at)->state == PIXI_DAEMON_SUB_ASKED)
                pixi_daemon_sub_in_filter(at)->state = PIXI_DAEMON_SUB_WAITS;
    }
}
