#include "client/client.h"
#include "base/topic.h"

#include <stdlib.h>

/* --- the queue ------------------------------------------------------------------------------------------------- */

static size_t cost_of(const struct pixi_message *m)
{
    return m->payload_len + PIXI_CLIENT_CALL_COST;
}

void pixi_client_free_event(struct pixi_client_event *e)
{
    pixi_message_free(e->message);
    if (e->op)
        pixi_client_free_op(e->op);
    free(e->filter);
    free(e);
}

static void append(struct pixi_client *c, struct pixi_client_event *e)
{
    *c->events_end = e;
    c->events_end = &e->next;
    c->has_news = true;
}

/* recv takes what it can answer; process takes what there is a callback for. */
static bool is_wanted(const struct pixi_client *c, const struct pixi_client_event *e, bool is_for_recv)
{
    switch (e->kind) {
    case PIXI_CLIENT_EVENT_MESSAGE: return is_for_recv || c->callbacks.on_message;
    case PIXI_CLIENT_EVENT_LOST: return is_for_recv || c->callbacks.on_close;
    case PIXI_CLIENT_EVENT_UNSUBSCRIBED: return is_for_recv || c->callbacks.on_unsubscribed;
    case PIXI_CLIENT_EVENT_CONNECT:
    case PIXI_CLIENT_EVENT_DONE: return !is_for_recv;
    }
    return false;
}

struct pixi_client_event *pixi_client_find_event(const struct pixi_client *c, bool is_for_recv)
{
    struct pixi_client_event *e = c->events;

    while (e && !is_wanted(c, e, is_for_recv))
        e = e->next;
    return e;
}

struct pixi_client_event *pixi_client_take_event(struct pixi_client *c, bool is_for_recv)
{
    struct pixi_client_event **p = &c->events, *e = pixi_client_find_event(c, is_for_recv);

    if (!e)
        return NULL;
    while (*p != e)
        p = &(*p)->next;
    *p = e->next;
    if (!e->next)
        c->events_end = p;
    e->next = NULL;
    if (e->message)
        c->waiting_bytes -= cost_of(e->message);
    if (c->uplink.has_no_room && c->waiting_bytes <= c->settings.limits.queue_bytes / 2) {
        pixi_uplink_catch_up(&c->uplink);
        pixi_client_kick(c);
    }
    return e;
}

static struct pixi_client_event *new_event(enum pixi_client_event_kind kind)
{
    struct pixi_client_event *e = calloc(1, sizeof *e);

    if (e)
        e->kind = kind;
    return e;
}

bool pixi_client_push_done(struct pixi_client *c, struct pixi_client_op *op)
{
    struct pixi_client_event *e = new_event(PIXI_CLIENT_EVENT_DONE);

    if (!e)
        return false;
    e->op = op;
    append(c, e);
    return true;
}

/* Nobody may ever take it: two losses with nothing between are one. */
static void push_loss(struct pixi_client *c, const struct pixi_error *error)
{
    struct pixi_client_event *e = c->events;

    while (e && e->next)
        e = e->next;
    if (!e || e->kind != PIXI_CLIENT_EVENT_LOST) {
        e = new_event(PIXI_CLIENT_EVENT_LOST);
        if (!e)
            return; /* state and last_loss tell it as well */
        append(c, e);
    }
    e->error = *error;
}

static void push_unsubscribed(struct pixi_client *c, const char *filter, const struct pixi_error *error)
{
    struct pixi_client_event *e = new_event(PIXI_CLIENT_EVENT_UNSUBSCRIBED);

    if (!e || !(e->filter = strdup(filter))) {
        free(e);
        return;
    }
    e->error = *error;
    append(c, e);
}

/* --- what the engine tells ------------------------------------------------------------------------------------- */

static struct pixi_client *client_of(struct pixi_uplink *u)
{
    return u->ctx;
}

static void on_connect(struct pixi_uplink *u)
{
    struct pixi_client *c = client_of(u);
    struct pixi_client_event *e = c->callbacks.on_connect ? new_event(PIXI_CLIENT_EVENT_CONNECT) : NULL;

    if (e) {
        e->flags = c->was_open ? PIXI_CONNECT_AGAIN : 0;
        pixi_client_ok(&e->error);
        append(c, e);
    }
    c->state = PIXI_CLIENT_OPEN;
    c->was_open = true;
    c->connection++;
}

static void on_message(struct pixi_uplink *u, const struct pixi_uplink_message *m)
{
    struct pixi_client *c = client_of(u);
    struct pixi_client_event *e;

    if (!m->sub)
        return; /* on its way when it was unsubscribed */
    e = new_event(PIXI_CLIENT_EVENT_MESSAGE);
    if (!e || !(e->message = pixi_message_new(&m->p))) {
        free(e);
        pixi_link_drop(&u->link, PIXI_E_NOMEM);
        return;
    }
    if (m->is_after_gap)
        e->message->flags |= PIXI_MESSAGE_AFTER_GAP;
    if (e->message->flags & PIXI_MESSAGE_REQUEST)
        e->message->connection = c->connection;
    append(c, e);
    c->waiting_bytes += cost_of(e->message);
    u->has_no_room = c->waiting_bytes >= c->settings.limits.queue_bytes;
}

static struct pixi_client_sub_wait *find_wait(struct pixi_client *c, const char *filter)
{
    struct pixi_client_sub_wait *w = c->sub_waits;

    while (w && (w->is_done || strcmp(w->filter, filter) != 0))
        w = w->next;
    return w;
}

static void on_subscribed(struct pixi_uplink *u, const struct pixi_uplink_sub *sub, bool is_again,
                          bool is_recovered)
{
    struct pixi_client_sub_wait *w;

    (void)is_again;
    (void)is_recovered; /* the message after a gap says so */
    while ((w = find_wait(client_of(u), sub->filter))) {
        w->is_done = true;
        pixi_client_ok(&w->error);
    }
}

static void on_unsubscribed(struct pixi_uplink *u, const struct pixi_uplink_sub *sub,
                            const struct pixi_failure *f)
{
    struct pixi_client *c = client_of(u);
    struct pixi_client_sub_wait *w = find_wait(c, sub->filter);
    struct pixi_error error;

    pixi_client_fail(&error, f);
    if (!w)
        push_unsubscribed(c, sub->filter, &error);
    for (; w; w = find_wait(c, sub->filter)) {
        w->is_done = true;
        w->error = error;
    }
}

static void on_lost(struct pixi_uplink *u, const struct pixi_failure *f, uint64_t in_ms)
{
    struct pixi_client *c = client_of(u);

    pixi_client_fail(&c->last_loss, f);
    c->last_loss.retry_after_ms = (uint32_t)in_ms;
    c->last_loss.rc = PIXI_RC_LOST;
    if (c->state == PIXI_CLIENT_OPEN) {
        c->state = PIXI_CLIENT_LOST;
        push_loss(c, &c->last_loss);
    }
}

static void on_end(struct pixi_uplink *u, const struct pixi_failure *f)
{
    struct pixi_client *c = client_of(u);

    pixi_client_fail(&c->end, f);
    c->state = PIXI_CLIENT_CLOSED;
}

const struct pixi_uplink_handlers pixi_client_uplink_handlers = {
    .on_connect = on_connect,
    .on_message = on_message,
    .on_subscribed = on_subscribed,
    .on_unsubscribed = on_unsubscribed,
    .on_lost = on_lost,
    .on_end = on_end,
};

/* --- receiving ------------------------------------------------------------------------------------------------- */

int pixi_client_not_open(const struct pixi_client *c, struct pixi_error *e)
{
    if (c->state == PIXI_CLIENT_CLOSED && c->end.rc != PIXI_RC_OK)
        return pixi_client_copy_error(e, &c->end);
    pixi_client_say(e, PIXI_RC_CLOSED, PIXI_E_WS_CLOSED, "close", "call pixi_client_connect first", "%s",
                    c->state == PIXI_CLIENT_CLOSED ? "this client was closed"
                                                   : "this client is not connected");
    if (e && c->state == PIXI_CLIENT_CLOSED) {
        e->close_code = c->end.close_code;
        memcpy(e->reason, c->end.reason, sizeof e->reason);
    }
    return PIXI_RC_CLOSED;
}

static int take(struct pixi_client *c, struct pixi_message **out, struct pixi_error *e)
{
    struct pixi_client_event *event = pixi_client_take_event(c, true);
    int rc = event->error.rc;

    if (event->kind == PIXI_CLIENT_EVENT_MESSAGE) {
        *out = event->message;
        event->message = NULL;
        rc = pixi_client_ok(e);
    } else {
        pixi_client_copy_error(e, &event->error);
    }
    pixi_client_free_event(event);
    return rc;
}

static bool is_over(const struct pixi_client *c)
{
    return c->state == PIXI_CLIENT_CLOSED || c->state == PIXI_CLIENT_NEW;
}

int pixi_client_recv(struct pixi_client *c, int timeout_ms, struct pixi_message **out, struct pixi_error *e)
{
    uint64_t until = pixi_client_until(c, timeout_ms, UINT64_MAX);
    bool has_time = true;
    int rc;

    *out = NULL;
    pixi_client_enter(c);
    while (!pixi_client_find_event(c, true) && !is_over(c) && has_time)
        has_time = pixi_client_wait(c, until);
    if (pixi_client_find_event(c, true))
        rc = take(c, out, e);
    else if (is_over(c))
        rc = pixi_client_not_open(c, e);
    else
        rc = pixi_client_say(e, PIXI_RC_TIMEOUT, PIXI_E_TIMEOUT, "recv", "call again, or wait longer",
                             "no message came in time");
    pixi_client_leave(c);
    return rc;
}

/* --- subscriptions --------------------------------------------------------------------------------------------- */

static void add_wait(struct pixi_client *c, struct pixi_client_sub_wait *w)
{
    w->next = c->sub_waits;
    c->sub_waits = w;
}

static void remove_wait(struct pixi_client *c, struct pixi_client_sub_wait *w)
{
    struct pixi_client_sub_wait **p = &c->sub_waits;

    while (*p != w)
        p = &(*p)->next;
    *p = w->next;
}

static int wait_for_subscription(struct pixi_client *c, const char *filter, struct pixi_error *e)
{
    struct pixi_client_sub_wait w = {.filter = filter};
    uint64_t until = pixi_client_until(c, -1, c->settings.timeouts.request_ms);
    bool has_time = true;

    add_wait(c, &w);
    pixi_client_kick(c);
    while (!w.is_done && c->state == PIXI_CLIENT_OPEN && has_time)
        has_time = pixi_client_wait(c, until);
    remove_wait(c, &w);
    if (w.is_done)
        return pixi_client_copy_error(e, &w.error);
    if (c->state == PIXI_CLIENT_LOST)
        return pixi_client_copy_error(e, &c->last_loss);
    if (c->state != PIXI_CLIENT_OPEN)
        return pixi_client_not_open(c, e);
    return pixi_client_say(e, PIXI_RC_TIMEOUT, PIXI_E_TIMEOUT, "request", "check the server's load",
                           "subscribe: no answer in time");
}

static int bad_filter(struct pixi_error *e, const char *filter)
{
    return pixi_client_say(e, PIXI_RC_USAGE, PIXI_E_FILTER, "request",
                           "in a filter '+' stands for a whole level and '#' for the rest (MQTT 5 §4.7)",
                           "no topic filter: %s", filter);
}

int pixi_client_subscribe(struct pixi_client *c, const char *filter, unsigned flags, struct pixi_error *e)
{
    const struct pixi_uplink_how how = {.wants_retained = !(flags & PIXI_SUBSCRIBE_NO_RETAINED)};
    const struct pixi_uplink_sub *sub;
    int rc = PIXI_RC_OK;

    if (pixi_filter_check(pixi_cur_str(filter)) != PIXI_OK)
        return bad_filter(e, filter);
    pixi_client_enter(c);
    sub = pixi_uplink_find(&c->uplink, filter);
    if (!sub && pixi_uplink_subscribe(&c->uplink, filter, &how) != PIXI_OK)
        rc = pixi_client_no_memory(e);
    else if (c->state == PIXI_CLIENT_OPEN && !(flags & PIXI_SUBSCRIBE_NOWAIT) &&
             !(sub && sub->was_subscribed))
        rc = wait_for_subscription(c, filter, e);
    else
        rc = pixi_client_ok(e);
    pixi_client_kick(c);
    pixi_client_leave(c);
    return rc;
}

int pixi_client_unsubscribe(struct pixi_client *c, const char *filter, struct pixi_error *e)
{
    int rc;

    pixi_client_enter(c);
    rc = pixi_uplink_unsubscribe(&c->uplink, filter);
    pixi_client_kick(c);
    if (rc == PIXI_E_FILTER)
        rc = pixi_client_say(e, PIXI_RC_USAGE, rc, "request", "unsubscribe what was subscribed to",
                             "not subscribed to %s", filter);
    else
        rc = rc == PIXI_OK ? pixi_client_ok(e) : pixi_client_no_memory(e);
    pixi_client_leave(c);
    return rc;
}
