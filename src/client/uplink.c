#include "client/uplink.h"
#include "client/call.h"
#include "client/dialect.h"
#include "client/mqtt.h"
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

struct pixi_uplink_sub *pixi_uplink_sub_of(struct pixi_uplink *c, struct pixi_cur filter)
{
    struct pixi_uplink_sub *s = c->subs;

    while (s && !pixi_cur_equals(filter, pixi_cur_str(s->filter)))
        s = s->next;
    return s;
}

void pixi_uplink_drop_sub(struct pixi_uplink *c, struct pixi_uplink_sub *sub, const struct pixi_failure *f)
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

bool pixi_uplink_is_refusal(const struct pixi_uplink *c, const struct pixi_failure *f)
{
    if (c->state == PIXI_UPLINK_OPEN)
        return f->err != PIXI_E_WS_CLOSED;
    return c->state == PIXI_UPLINK_WAITING && !pixi_retry_resends(f);
}

int pixi_uplink_subscribe(struct pixi_uplink *c, const char *filter, const struct pixi_uplink_how *how)
{
    struct pixi_uplink_sub *s = calloc(1, sizeof *s), **end = &c->subs;

    if (!s || !(s->filter = strdup(filter))) {
        free(s);
        return PIXI_E_NOMEM;
    }
    s->client = c;
    s->number = ++c->last_sub;
    s->how = *how;
    while (*end)
        end = &(*end)->next;
    *end = s;
    if (c->state == PIXI_UPLINK_OPEN)
        c->dialect->subscribe(c, s);
    return PIXI_OK;
}

const struct pixi_uplink_sub *pixi_uplink_find(const struct pixi_uplink *c, const char *filter)
{
    return pixi_uplink_sub_of((struct pixi_uplink *)(uintptr_t)c, pixi_cur_str(filter));
}

int pixi_uplink_unsubscribe(struct pixi_uplink *c, const char *filter)
{
    struct pixi_uplink_sub *s = pixi_uplink_sub_of(c, pixi_cur_str(filter)), **p = &c->subs;

    if (!s)
        return PIXI_E_FILTER;
    while (*p != s)
        p = &(*p)->next;
    *p = s->next;
    s->next = c->ended_subs;
    c->ended_subs = s;
    return c->state == PIXI_UPLINK_OPEN ? c->dialect->unsubscribe(c, s) : PIXI_OK;
}

void pixi_uplink_catch_up(struct pixi_uplink *c)
{
    c->has_no_room = false;
    c->dialect->catch_up(c);
}

/* --- calls ---------------------------------------------------------------------------------------------------- */

int pixi_uplink_publish(struct pixi_uplink *c, const struct pixi_uplink_out *m, uint64_t timeout_ms,
                        pixi_uplink_on_answer *on_answer, void *ctx)
{
    return c->dialect->publish(c, m, timeout_ms, on_answer, ctx);
}

int pixi_uplink_request(struct pixi_uplink *c, const struct pixi_uplink_out *m, uint64_t timeout_ms,
                        pixi_uplink_on_answer *on_answer, void *ctx)
{
    return c->dialect->request(c, m, timeout_ms, on_answer, ctx);
}

int pixi_uplink_reply(struct pixi_uplink *c, uint64_t request, struct pixi_cur payload, const char *error)
{
    return c->dialect->reply(c, request, payload, error);
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

static void go_again(struct pixi_uplink *c, const struct pixi_failure *f, uint64_t in_ms)
{
    c->is_moving = false;
    c->state = PIXI_UPLINK_WAITING;
    pixi_uplink_unsend_calls(c, f);
    if (c->state != PIXI_UPLINK_WAITING)
        return; /* a call's answer closed the client */
    if (c->handlers->on_lost)
        c->handlers->on_lost(c, f, in_ms);
    pixi_loop_set_timer(c->loop, &c->retry, in_ms);
}

/* The connection, or the attempt at one, has ended as c->failure says. */
static void lost(struct pixi_uplink *c)
{
    struct pixi_failure f = c->failure;
    uint64_t in_ms;

    c->dialect->lost(c);
    if (c->is_moving && c->state != PIXI_UPLINK_CLOSING) {
        f = (struct pixi_failure){.err = PIXI_OK, .layer = "close", .fix = ""};
        pixi_retry_moved(&c->policy, c->move_to);
        in_ms = 0;
        go_again(c, &f, in_ms);
        return;
    }
    c->has_failure = true;
    if (c->state == PIXI_UPLINK_CLOSING ||
        !pixi_retry_lost(&c->policy, &f, c->loop->now_ms, chance(c), &in_ms)) {
        end(c, &f);
        return;
    }
    go_again(c, &f, in_ms);
}

static void on_retry(struct pixi_timer *t)
{
    start_dial(OF(retry, t));
}

static void on_open(struct pixi_link *k, struct pixi_cur protocol)
{
    struct pixi_uplink *c = OF(link, k);

    if (protocol.p)
        c->dialect->opened(c);
    else
        pixi_link_drop(k, PIXI_E_WS_PROTOCOL); /* without it, nothing says what this server speaks */
}

void pixi_uplink_ready(struct pixi_uplink *c)
{
    struct pixi_uplink_sub *s, *next;

    c->state = PIXI_UPLINK_OPEN;
    pixi_retry_opened(&c->policy, c->loop->now_ms);
    c->has_failure = false;
    c->is_full = c->is_held = false;
    for (s = c->subs; s; s = next) {
        next = s->next;
        c->dialect->subscribe(c, s);
    }
    pixi_uplink_flush_calls(c);
    if (c->handlers->on_connect)
        c->handlers->on_connect(c);
}

void pixi_uplink_refuse(struct pixi_uplink *c, const struct pixi_failure *f)
{
    c->failure = *f;
    c->is_refused = true;
    pixi_link_close(&c->link, PIXI_WS_CLOSE_DONE, NULL);
}

static void on_message(struct pixi_link *k, enum pixi_ws_opcode type, uint8_t *bytes, size_t len)
{
    struct pixi_uplink *c = OF(link, k);

    if (type == c->dialect->type)
        c->dialect->message(c, bytes, len);
    else
        pixi_link_fail(k, PIXI_E_WS_TYPE);
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

    if (c->is_refused && c->state != PIXI_UPLINK_CLOSING)
        c->is_refused = false;
    else if (c->state == PIXI_UPLINK_CLOSING && (e->err == PIXI_OK || e->err == PIXI_E_WS_NO_CLOSE) &&
             e->is_ours)
        c->failure = closed_well(e);
    else if (e->err != PIXI_E_WS_STATUS)
        c->failure = pixi_failure_end(&at, e, k);
    lost(c);
}

static void say_hello(struct pixi_uplink *c)
{
    pixi_reach_hello(&c->link, c->settings, c->policy.server, c->dialect->protocol, &c->authorization);
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
        c->failure = endpoint(c)->is_unix ? pixi_failure_daemon(endpoint(c)->target, d->sys_errno)
                                          : pixi_failure_dial(err, &at, d->text);
        lost(c);
        return;
    }
    c->state = PIXI_UPLINK_OPENING;
    if (endpoint(c)->is_unix) {
        pixi_link_lines(&c->link, c->dialect->protocol);
        return;
    }
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
    c->link.packer = c->settings->compression ? &c->packer : NULL;
    c->state = PIXI_UPLINK_DIALLING;
    c->is_refused = false;
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

static const struct pixi_dialect *dialect_of(const struct pixi_settings *s)
{
    static const struct pixi_dialect *const dialects[] = {
        [PIXI_SETTINGS_PIXI_V1] = &pixi_dialect_pixi, [PIXI_SETTINGS_MQTT] = &pixi_dialect_mqtt};

    return dialects[s->dialect];
}

void pixi_uplink_init(struct pixi_uplink *c, struct pixi_loop *l, const struct pixi_settings *s,
                      const struct pixi_uplink_handlers *h, void *ctx, unsigned flags)
{
    *c = (struct pixi_uplink){.loop = l, .settings = s, .handlers = h, .ctx = ctx, .flags = flags};
    take_limits(c);
    c->dialect = dialect_of(s);
    c->authorization = pixi_buf_init(PIXI_SETTINGS_KEY_MAX + 16);
    c->retry.on_due = on_retry;
    c->calls_end = &c->calls;
    pixi_packer_init(&c->packer, PIXI_PACKER_MIN, PIXI_PACKER_LEVEL);
    pixi_link_init(&c->link, l, PIXI_CLIENT, &link_handlers, &c->limits);
}

static int no_memory(int rc, struct pixi_failure *f)
{
    *f = pixi_failure_local(rc, "connect");
    return rc;
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
    c->dialect->clear(c);
    c->dialect = dialect_of(c->settings);
    if ((rc = c->dialect->start(c)) != PIXI_OK)
        return no_memory(rc, f);
    pixi_buf_reset(&c->authorization);
    if (c->dialect->has_key_in_head)
        pixi_reach_authorize(c->settings, &c->authorization);
    if (c->authorization.err)
        return no_memory(c->authorization.err, f);
    pixi_loop_set_timer(c->loop, &c->retry, 0); /* so that no callback comes from inside this call */
    c->state = PIXI_UPLINK_WAITING;
    return PIXI_OK;
}

void pixi_uplink_move(struct pixi_uplink *c, size_t server)
{
    if (c->state != PIXI_UPLINK_OPEN || c->is_moving)
        return;
    c->is_moving = true;
    c->move_to = server;
    c->dialect->goodbye(c);
    pixi_link_close(&c->link, PIXI_WS_CLOSE_DONE, NULL);
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
    if (was == PIXI_UPLINK_OPEN)
        c->dialect->goodbye(c);
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
    c->dialect->clear(c);
    pixi_uplink_drop_calls(c);
    free_subs(&c->subs);
    free_subs(&c->ended_subs);
    if (c->authorization.bytes)
        explicit_bzero(c->authorization.bytes, c->authorization.cap);
    pixi_buf_clear(&c->authorization);
    pixi_tls_context_free(c->tls);
    pixi_packer_clear(&c->packer);
    pixi_buf_clear(&c->frame);
}
