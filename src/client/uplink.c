#include "client/uplink.h"
#include "client/call.h"
#include "client/reach.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* ENVELOPE_MAX: what a server adds to a message that it took: filter (1024 bytes, escaped), position, time.
 * BATCH_MAX: how large batches of messages get, docs/protocol.md says. */
enum { FRAME_SPARE = 4096, ENVELOPE_MAX = 8192, BATCH_MAX = 65536 };

#define OF(member, ptr) ((struct pixi_uplink *)((char *)(ptr)-offsetof(struct pixi_uplink, member)))

static const struct pixi_url *endpoint(const struct pixi_uplink *c)
{
    return &c->settings->endpoints[c->policy.server];
}

static struct pixi_failure_at failure_at(const struct pixi_uplink *c)
{
    return pixi_reach_at(c->settings, c->policy.server);
}

/* --- subscriptions -------------------------------------------------------------------------------------------- */

/* Keeps the highest offset of each epoch, the one heard last in front. */
static void remember(struct pixi_uplink_sub *s, struct pixi_rpc_position p)
{
    size_t i = 0;

    while (i < s->position_count && s->positions[i].epoch != p.epoch)
        i++;
    if (i < s->position_count && s->positions[i].offset > p.offset)
        p.offset = s->positions[i].offset;
    if (i == PIXI_UPLINK_POSITIONS)
        i--;
    else if (i == s->position_count)
        s->position_count++;
    memmove(s->positions + 1, s->positions, i * sizeof s->positions[0]);
    s->positions[0] = p;
}

static bool is_seen(const struct pixi_uplink_sub *s, struct pixi_rpc_position p)
{
    for (size_t i = 0; i < s->position_count; i++)
        if (s->positions[i].epoch == p.epoch)
            return p.offset <= s->positions[i].offset;
    return false;
}

static struct pixi_uplink_sub *find_sub(struct pixi_uplink *c, struct pixi_cur filter)
{
    struct pixi_uplink_sub *s = c->subs;

    while (s && !pixi_cur_equals(filter, pixi_cur_str(s->filter)))
        s = s->next;
    return s;
}

static void drop_sub(struct pixi_uplink *c, struct pixi_uplink_sub *sub, const struct pixi_failure *f)
{
    struct pixi_uplink_sub **p = &c->subs;

    while (*p != sub)
        p = &(*p)->next;
    *p = sub->next;
    if (c->handlers->on_unsubscribed)
        c->handlers->on_unsubscribed(c, sub, f);
    sub->next = c->ended_subs;
    c->ended_subs = sub;
}

/* Of a subscription: by its answer, or because the server objects to what was sent last. */
static bool is_refusal(const struct pixi_uplink *c, const struct pixi_failure *f)
{
    if (c->state == PIXI_UPLINK_OPEN)
        return f->err != PIXI_E_WS_CLOSED;
    return c->state == PIXI_UPLINK_WAITING && !pixi_retry_resends(f);
}

static void on_subscribe_answer(struct pixi_uplink *c, void *ctx, const struct pixi_uplink_answer *answer)
{
    struct pixi_uplink_sub *s = find_sub(c, pixi_cur_str(ctx)); /* it may have been dropped meanwhile */
    struct pixi_rpc_params p;
    bool is_again;

    if (!s || answer->failure) {
        if (s && is_refusal(c, answer->failure))
            drop_sub(c, s, answer->failure);
        return; /* else the connection ended: it subscribes again on the next */
    }
    if (pixi_rpc_result_read(answer->result, &p) != PIXI_OK)
        return;
    is_again = s->was_subscribed;
    s->was_subscribed = true;
    s->pending = p.position;
    s->is_synced = p.recovered || !s->how.wants_retained;
    s->is_behind = false;
    s->has_gap |= is_again && !p.recovered;
    if (!p.recovered)
        s->position_count = 0;
    if (s->is_synced)
        remember(s, s->pending);
    if (c->handlers->on_subscribed)
        c->handlers->on_subscribed(c, s, is_again, p.recovered);
}

static void put_since(struct pixi_json_out *w, const struct pixi_uplink_sub *s)
{
    if (!s->position_count || *s->filter == '$') /* neither `$share` nor `$` topics take one */
        return;
    pixi_json_name(w, "since");
    pixi_json_open_array(w);
    for (size_t i = 0; i < s->position_count; i++) {
        pixi_json_open_object(w);
        pixi_rpc_put_position(w, s->positions[i]);
        pixi_json_close_object(w);
    }
    pixi_json_close_array(w);
}

static void put_batching(struct pixi_json_out *w, const struct pixi_uplink_how *how)
{
    if (!how->batch_ms)
        return;
    pixi_json_name(w, "batch_ms");
    pixi_json_number(w, how->batch_ms);
    if (!how->is_latest)
        return;
    pixi_json_name(w, "latest");
    pixi_json_bool(w, true);
}

static void send_subscribe(struct pixi_uplink *c, struct pixi_uplink_sub *s)
{
    struct pixi_json_out w;

    pixi_uplink_begin(c, &w, PIXI_RPC_SUBSCRIBE);
    pixi_json_name(&w, "filter");
    pixi_json_text(&w, s->filter);
    put_since(&w, s);
    if (!s->how.wants_retained) {
        pixi_json_name(&w, "retained");
        pixi_json_bool(&w, false);
    }
    put_batching(&w, &s->how);
    /* a failure to queue it shows as a link without room, which ends it and comes back here */
    pixi_uplink_end(c, &w, PIXI_UPLINK_ONCE, c->settings->timeouts.request_ms, on_subscribe_answer,
                    s->filter);
}

int pixi_uplink_subscribe(struct pixi_uplink *c, const char *filter, const struct pixi_uplink_how *how)
{
    struct pixi_uplink_sub *s = calloc(1, sizeof *s), **end = &c->subs;

    if (!s || !(s->filter = strdup(filter))) {
        free(s);
        return PIXI_E_NOMEM;
    }
    s->client = c;
    s->how = *how;
    while (*end)
        end = &(*end)->next;
    *end = s;
    if (c->state == PIXI_UPLINK_OPEN)
        send_subscribe(c, s);
    return PIXI_OK;
}

const struct pixi_uplink_sub *pixi_uplink_find(const struct pixi_uplink *c, const char *filter)
{
    return find_sub((struct pixi_uplink *)(uintptr_t)c, pixi_cur_str(filter));
}

static void ignore_answer(struct pixi_uplink *c, void *ctx, const struct pixi_uplink_answer *answer)
{
    (void)c;
    (void)ctx;
    (void)answer;
}

int pixi_uplink_unsubscribe(struct pixi_uplink *c, const char *filter)
{
    struct pixi_uplink_sub *s = find_sub(c, pixi_cur_str(filter)), **p = &c->subs;
    struct pixi_json_out w;

    if (!s)
        return PIXI_E_FILTER;
    while (*p != s)
        p = &(*p)->next;
    *p = s->next;
    s->next = c->ended_subs;
    c->ended_subs = s;
    if (c->state != PIXI_UPLINK_OPEN)
        return PIXI_OK;
    pixi_uplink_begin(c, &w, PIXI_RPC_UNSUBSCRIBE);
    pixi_json_name(&w, "filter");
    pixi_json_text(&w, s->filter);
    return pixi_uplink_end(c, &w, PIXI_UPLINK_ONCE, c->settings->timeouts.request_ms, ignore_answer, NULL);
}

void pixi_uplink_catch_up(struct pixi_uplink *c)
{
    c->has_no_room = false;
    for (struct pixi_uplink_sub *s = c->subs; s && c->state == PIXI_UPLINK_OPEN; s = s->next)
        if (s->is_behind)
            send_subscribe(c, s);
}

/* --- what the server says ------------------------------------------------------------------------------------- */

static void take_message(struct pixi_uplink *c, struct pixi_rpc_params *p)
{
    struct pixi_uplink_sub *s = find_sub(c, p->filter);
    struct pixi_uplink_message m = {.sub = s, .p = *p};

    if (s && (s->is_behind || c->has_no_room)) {
        /* not remembered: what has a position comes again after it */
        s->is_behind = true;
        s->has_gap |= !p->position.offset;
        return;
    }
    if (s && p->position.offset && !p->retained) {
        if (is_seen(s, p->position))
            return; /* said twice */
        if (s->is_synced)
            remember(s, p->position);
        else
            s->pending = p->position;
    }
    if (s) {
        m.is_after_gap = s->has_gap;
        s->has_gap = false;
    }
    if (c->handlers->on_message)
        c->handlers->on_message(c, &m);
}

static void take_synced(struct pixi_uplink *c, const struct pixi_rpc_params *p)
{
    struct pixi_uplink_sub *s = find_sub(c, p->filter);

    if (!s || s->is_behind)
        return;
    if (!s->is_synced) {
        s->is_synced = true;
        remember(s, s->pending);
    }
    if (c->handlers->on_synced)
        c->handlers->on_synced(c, s);
}

static void take_notification(struct pixi_uplink *c, const struct pixi_rpc_msg *m)
{
    struct pixi_rpc_params p;
    enum pixi_rpc_method method;

    /* what is unknown or malformed comes from a newer server, or a broken one: verify's business, not ours */
    if (pixi_rpc_method(m->method, &method) != PIXI_OK || pixi_rpc_result_read(m->params, &p) != PIXI_OK)
        return;
    if (!(p.seen & PIXI_RPC_HAS_RETAINED))
        p.retained = false;
    switch (method) {
    case PIXI_RPC_MESSAGE: take_message(c, &p); break;
    case PIXI_RPC_SYNCED: take_synced(c, &p); break;
    case PIXI_RPC_GOING_AWAY: pixi_retry_going_away(&c->policy, p.reconnect_ms); break;
    case PIXI_RPC_UNSUBSCRIBED: {
        struct pixi_uplink_sub *s = find_sub(c, p.filter);
        struct pixi_failure f =
            pixi_failure_call(PIXI_E_FORBIDDEN, "the subscription was ended", pixi_cur_init(NULL, 0));

        if (s)
            drop_sub(c, s, &f);
        break;
    }
    default: break;
    }
}

static void on_message(struct pixi_link *k, enum pixi_ws_opcode type, uint8_t *bytes, size_t len)
{
    struct pixi_uplink *c = OF(link, k);
    struct pixi_rpc_reader r;
    struct pixi_rpc_msg m;
    int rc;

    if (type != PIXI_WS_TEXT) {
        pixi_link_fail(k, PIXI_E_WS_TYPE);
        return;
    }
    if ((rc = pixi_rpc_open(&r, bytes, len)) != PIXI_OK) {
        pixi_link_fail(k, rc);
        return;
    }
    while (c->link.state == PIXI_LINK_OPEN && (rc = pixi_rpc_next(&r, &m)) != PIXI_MORE) {
        if (rc != PIXI_OK)
            pixi_link_fail(k, rc);
        else if (m.kind == PIXI_RPC_NOTIFICATION)
            take_notification(c, &m);
        else if (m.kind != PIXI_RPC_CALL)
            pixi_uplink_answer_call(c, &m);
    }
}

/* --- the connection ------------------------------------------------------------------------------------------- */

static void start_dial(struct pixi_uplink *c);

static uint32_t chance(const struct pixi_uplink *c)
{
    uint32_t r;

    return getrandom(&r, sizeof r, 0) == sizeof r ? r : (uint32_t)c->loop->now_ms; /* spread by time then */
}

static void end(struct pixi_uplink *c, const struct pixi_failure *f)
{
    c->state = PIXI_UPLINK_IDLE;
    pixi_uplink_fail_calls(c, f);
    if (c->handlers->on_end)
        c->handlers->on_end(c, f);
}

/* The connection, or the attempt at one, has ended as c->failure says. */
static void lost(struct pixi_uplink *c)
{
    struct pixi_failure f = c->failure;
    uint64_t in_ms;

    c->has_failure = true;
    if (c->state == PIXI_UPLINK_CLOSING ||
        !pixi_retry_lost(&c->policy, &f, c->loop->now_ms, chance(c), &in_ms)) {
        end(c, &f);
        return;
    }
    c->state = PIXI_UPLINK_WAITING;
    pixi_uplink_unsend_calls(c, &f);
    if (c->state != PIXI_UPLINK_WAITING)
        return; /* a call's answer closed the client */
    if (c->handlers->on_lost)
        c->handlers->on_lost(c, &f, in_ms);
    pixi_loop_set_timer(c->loop, &c->retry, in_ms);
}

static void on_retry(struct pixi_timer *t)
{
    start_dial(OF(retry, t));
}

static void on_open(struct pixi_link *k, struct pixi_cur protocol)
{
    struct pixi_uplink *c = OF(link, k);
    struct pixi_uplink_sub *s, *next;

    if (!protocol.p) {
        /* without it, nothing says that this server speaks JSON-RPC */
        pixi_link_drop(k, PIXI_E_WS_PROTOCOL);
        return;
    }
    c->state = PIXI_UPLINK_OPEN;
    pixi_retry_opened(&c->policy, c->loop->now_ms);
    c->has_failure = false;
    c->is_full = false;
    for (s = c->subs; s; s = next) {
        next = s->next;
        send_subscribe(c, s);
    }
    pixi_uplink_flush_calls(c);
    if (c->handlers->on_connect)
        c->handlers->on_connect(c);
}

static void on_refused(struct pixi_link *k, const struct pixi_http_head *head, struct pixi_cur body)
{
    struct pixi_uplink *c = OF(link, k);
    struct pixi_failure_at at = failure_at(c);

    c->failure = pixi_failure_refused(&at, head, body);
}

static void on_drained(struct pixi_link *k)
{
    pixi_uplink_flush_calls(OF(link, k));
}

static struct pixi_failure closed_well(const struct pixi_link_end *e)
{
    struct pixi_failure f = {.err = PIXI_OK, .close_code = e->err == PIXI_OK ? e->code : 0};

    pixi_failure_escape(e->reason, f.reason, sizeof f.reason);
    return f;
}

static void on_close(struct pixi_link *k, const struct pixi_link_end *e)
{
    struct pixi_uplink *c = OF(link, k);
    struct pixi_failure_at at = failure_at(c);

    if (c->state == PIXI_UPLINK_CLOSING && (e->err == PIXI_OK || e->err == PIXI_E_WS_NO_CLOSE) && e->is_ours)
        c->failure = closed_well(e);
    else if (e->err != PIXI_E_WS_STATUS)
        c->failure = pixi_failure_end(&at, e, k);
    lost(c);
}

static void say_hello(struct pixi_uplink *c)
{
    pixi_reach_hello(&c->link, c->settings, c->policy.server, "pixi.v1", &c->authorization);
}

static void on_secured(struct pixi_link *k)
{
    say_hello(OF(link, k));
}

static const struct pixi_link_handlers link_handlers = {
    .on_secured = on_secured,
    .on_refused = on_refused,
    .on_open = on_open,
    .on_message = on_message,
    .on_drained = on_drained,
    .on_close = on_close,
};

static void on_dialled(struct pixi_dial *d, int err)
{
    struct pixi_uplink *c = OF(dial, d);
    struct pixi_failure_at at = failure_at(c);

    if (err != PIXI_OK) {
        c->failure = pixi_failure_dial(err, &at, d->text);
        lost(c);
        return;
    }
    c->state = PIXI_UPLINK_OPENING;
    if (!endpoint(c)->is_tls) {
        say_hello(c);
        return;
    }
    if (pixi_reach_secure(&c->link, c->settings, c->policy.server, c->tls) == PIXI_OK)
        return;
    pixi_tcp_close(&c->link.tcp);
    c->failure = pixi_failure_local(PIXI_E_NOMEM, "TLS");
    lost(c);
}

static void start_dial(struct pixi_uplink *c)
{
    pixi_link_init(&c->link, c->loop, PIXI_CLIENT, &link_handlers, &c->limits);
    c->state = PIXI_UPLINK_DIALLING;
    c->dial.on_done = on_dialled;
    pixi_reach_dial(&c->dial, c->loop, &c->link, c->settings, c->policy.server);
}

/* Settings may change between one start and the next. */
static void take_limits(struct pixi_uplink *c)
{
    const struct pixi_settings *s = c->settings;

    c->limits = pixi_reach_limits(s);
    c->limits.message_bytes += ENVELOPE_MAX;
    if (c->limits.message_bytes < BATCH_MAX)
        c->limits.message_bytes = BATCH_MAX;
    c->limits.queue_bytes += ENVELOPE_MAX;
    pixi_buf_clear(&c->frame);
    c->frame = pixi_buf_init(s->limits.message_bytes + FRAME_SPARE);
}

void pixi_uplink_init(struct pixi_uplink *c, struct pixi_loop *l, const struct pixi_settings *s,
                      const struct pixi_uplink_handlers *h, void *ctx, unsigned flags)
{
    *c = (struct pixi_uplink){.loop = l, .settings = s, .handlers = h, .ctx = ctx, .flags = flags};
    take_limits(c);
    c->authorization = pixi_buf_init(PIXI_SETTINGS_KEY_MAX + 16);
    c->retry.on_due = on_retry;
    c->calls_end = &c->calls;
    pixi_link_init(&c->link, l, PIXI_CLIENT, &link_handlers, &c->limits);
}

int pixi_uplink_start(struct pixi_uplink *c, struct pixi_failure *f)
{
    int rc = pixi_reach_check(c->settings, f);

    take_limits(c);
    c->has_failure = false;
    pixi_retry_init(&c->policy, c->settings->reconnect.initial_ms, c->settings->reconnect.max_ms,
                    c->settings->endpoint_count, c->flags);
    pixi_tls_context_free(c->tls);
    c->tls = NULL;
    if (rc == PIXI_OK)
        rc = pixi_reach_trust(c->settings, NULL, &c->tls, f);
    if (rc != PIXI_OK)
        return rc;
    pixi_reach_authorize(c->settings, &c->authorization);
    if (c->authorization.err)
        return c->authorization.err;
    pixi_loop_set_timer(c->loop, &c->retry, 0); /* so that no callback comes from inside this call */
    c->state = PIXI_UPLINK_WAITING;
    return PIXI_OK;
}

void pixi_uplink_close(struct pixi_uplink *c)
{
    pixi_uplink_close_with(c, PIXI_WS_CLOSE_DONE, NULL);
}

void pixi_uplink_close_with(struct pixi_uplink *c, uint16_t code, const char *reason)
{
    static const struct pixi_failure done = {.err = PIXI_OK};
    enum pixi_uplink_state was = c->state;

    c->state = PIXI_UPLINK_CLOSING;
    if (was == PIXI_UPLINK_OPEN || was == PIXI_UPLINK_OPENING) {
        pixi_link_close(&c->link, code, reason);
    } else if (was != PIXI_UPLINK_CLOSING && was != PIXI_UPLINK_IDLE) {
        pixi_loop_cancel_timer(c->loop, &c->retry);
        pixi_dial_cancel(&c->dial);
        end(c, &done);
    }
}

void pixi_uplink_give_up(struct pixi_uplink *c)
{
    if (c->state == PIXI_UPLINK_CLOSING)
        pixi_link_drop(&c->link, PIXI_E_TIMEOUT);
}

static void free_subs(struct pixi_uplink_sub **list)
{
    while (*list) {
        struct pixi_uplink_sub *s = *list;

        *list = s->next;
        free(s->filter);
        free(s);
    }
}

static void ignore_close(struct pixi_link *k, const struct pixi_link_end *e)
{
    (void)k;
    (void)e;
}

void pixi_uplink_clear(struct pixi_uplink *c)
{
    static const struct pixi_link_handlers silent = {.on_close = ignore_close};

    pixi_loop_cancel_timer(c->loop, &c->retry);
    pixi_dial_cancel(&c->dial);
    c->link.handlers = &silent;
    pixi_link_drop(&c->link, PIXI_E_WS_CLOSED);
    while (c->link.last.is_queued || c->link.tcp.flush.is_queued)
        pixi_loop_turn(c->loop, 0);
    pixi_uplink_drop_calls(c);
    free_subs(&c->subs);
    free_subs(&c->ended_subs);
    if (c->authorization.bytes)
        explicit_bzero(c->authorization.bytes, c->authorization.cap);
    pixi_buf_clear(&c->authorization);
    pixi_tls_context_free(c->tls);
    pixi_buf_clear(&c->frame);
}
