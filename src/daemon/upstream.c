/* upstream.c -- the one connection to the server: what it takes from the outbox, what it asks for programs. */
#include "daemon/state.h"

#include "base/log.h"
#include "outbox/crash.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum {
    LATER_MS = 1000, /* when a message that the server put off goes again, unless it says */
    REST_MS = 60000, /* after a link ended for good, but for what a person has to mend */
    INFO_MAX = 65536,
    EXPIRE_LEAST_MS = 100,
};

#define OF(member, ptr) ((struct pixi_daemon *)((char *)(ptr)-offsetof(struct pixi_daemon, member)))

struct pixi_outbox_now pixi_daemon_now(const struct pixi_daemon *d)
{
    return (struct pixi_outbox_now){.ms = d->base_ms + d->loop->now_ms, .wall_ms = pixi_clock_wall_ms()};
}

bool pixi_daemon_is_linked(const struct pixi_daemon *d)
{
    return d->uplink.state == PIXI_UPLINK_OPEN;
}

void pixi_daemon_changed(struct pixi_daemon *d)
{
    if (d->on_change)
        d->on_change(d->change_ctx);
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

/* When it was taken, by the outbox's own clock: the same each time, as the server compares. */
static void put_late(struct pixi_json_out *w, const struct pixi_outbox_msg *m)
{
    struct pixi_cur headers = m->headers, name, value;
    char text[24];
    int len = snprintf(text, sizeof text, "%llu", (unsigned long long)m->accepted_ms);

    pixi_json_name(w, "headers");
    pixi_json_open_array(w);
    while (pixi_rpc_headers_next(&headers, &name, &value)) {
        pixi_json_open_array(w);
        pixi_json_string(w, name);
        pixi_json_string(w, value);
        pixi_json_close_array(w);
    }
    pixi_json_open_array(w);
    pixi_json_text(w, "resent");
    pixi_json_string(w, pixi_cur_init(text, (size_t)len));
    pixi_json_close_array(w);
    pixi_json_close_array(w);
}

/* What is left of its time; one that may have come is sent again with what is least. */
static uint64_t seconds_left(const struct pixi_outbox_msg *m, struct pixi_outbox_now now)
{
    return m->expires_ms > now.ms + 1000 ? (m->expires_ms - now.ms) / 1000 : 1;
}

/* Is it this message that the server objects to, and not the moment? */
static bool is_for_good(int err)
{
    switch (err) {
    case PIXI_E_FORBIDDEN:
    case PIXI_E_WS_TOO_BIG:
    case PIXI_E_TOPIC:
    case PIXI_E_FILTER:
    case PIXI_E_KEY_REUSED:
    case PIXI_E_RPC_PARAMS:
    case PIXI_E_RPC_REQUEST:
    case PIXI_E_RPC_PARSE: return true;
    default: return false;
    }
}

/* One of those, or one behind them: then they have all gone, by whatever way. */
static bool is_suspect(struct pixi_daemon *d, const struct pixi_outbox_msg *m)
{
    if (d->suspect_seq && m->seq > d->suspect_seq) {
        d->suspect_seq = 0;
        pixi_outbox_widen(d->outbox, (size_t)pixi_daemon_improve(d)->window);
    }
    return d->suspect_seq != 0;
}

/* The connection went. Where the server objected to something, it may have been this: then they go one by one, until it is
 * known which. One that was lost beside others is only under suspicion, whatever came before. */
static void take_loss(struct pixi_daemon *d, struct pixi_outbox_msg *m, const struct pixi_failure *f)
{
    if (pixi_retry_resends(f)) {
        pixi_outbox_unanswered(d->outbox, m);
        return;
    }
    if (d->alone == m->id) {
        pixi_log(PIXI_LOG_WARNING,
                 "message %llu to %.*s: the server closes the connection over it: refused for good",
                 (unsigned long long)m->id, (int)pixi_cur_left(&m->topic), (const char *)m->topic.p);
        pixi_outbox_refused(d->outbox, m, f->close_code == 1009 ? PIXI_E_WS_TOO_BIG : f->err, f->cause,
                            pixi_daemon_now(d));
        return;
    }
    if (!d->suspect_seq)
        pixi_outbox_widen(d->outbox, 1);
    if (m->seq > d->suspect_seq)
        d->suspect_seq = m->seq;
    pixi_outbox_unanswered(d->outbox, m);
}

static void on_publish_answer(struct pixi_uplink *u, void *ctx, const struct pixi_uplink_answer *a)
{
    struct pixi_daemon *d = u->ctx;
    struct pixi_outbox_msg *m = ctx;
    const struct pixi_failure *f = a->failure;
    struct pixi_rpc_params p;

    if (!f) {
        d->stored_at = (struct pixi_rpc_position){0};
        if (pixi_rpc_result_read(a->result, &p) == PIXI_OK)
            d->stored_at = p.position;
        pixi_outbox_stored(d->outbox, m, pixi_daemon_now(d));
        pixi_loop_defer(d->loop, &d->pump);
    } else if (u->state != PIXI_UPLINK_OPEN) {
        take_loss(d, m, f);
    } else if (is_for_good(f->err)) {
        pixi_log(PIXI_LOG_WARNING,
                 "message %llu to %.*s: %s: refused for good; pixi-ws-client status --rejected lists it",
                 (unsigned long long)m->id, (int)pixi_cur_left(&m->topic), (const char *)m->topic.p,
                 f->cause);
        pixi_outbox_refused(d->outbox, m, f->err, f->cause, pixi_daemon_now(d));
        pixi_loop_defer(d->loop, &d->pump);
    } else if (f->err == PIXI_E_AFTER) {
        pixi_outbox_put_off(d->outbox, m, pixi_daemon_now(d));
        pixi_loop_defer(d->loop, &d->pump);
    } else {
        d->last_failure = *f;
        d->failed_wall_ms = pixi_clock_wall_ms();
        d->counters.put_off++;
        if (f->err != PIXI_E_RATE && f->err != PIXI_E_LIMIT)
            pixi_outbox_unanswered(d->outbox, m); /* perhaps the server has it all the same */
        pixi_outbox_later(d->outbox, m, f->retry_after_ms ? f->retry_after_ms : LATER_MS, pixi_daemon_now(d));
        pixi_daemon_set_outbox_timer(d);
    }
}

static int send_message(struct pixi_daemon *d, struct pixi_outbox_msg *m)
{
    struct pixi_outbox_now now = pixi_daemon_now(d);
    struct pixi_json_out w;

    pixi_uplink_begin(&d->uplink, &w, PIXI_RPC_PUBLISH);
    pixi_json_name(&w, "topic");
    pixi_json_string(&w, m->topic);
    pixi_rpc_put_payload(&w, m->payload, m->flags & PIXI_OUTBOX_JSON);
    if (m->flags & PIXI_OUTBOX_LATE)
        put_late(&w, m);
    else
        pixi_rpc_put_headers(&w, m->headers);
    if (m->flags & PIXI_OUTBOX_RETAIN) {
        pixi_json_name(&w, "retain");
        pixi_json_bool(&w, true);
    }
    if (m->expires_ms) {
        pixi_json_name(&w, "expiry_s");
        pixi_json_number(&w, seconds_left(m, now));
    }
    pixi_rpc_put_key(&w, d->producer, m->seq, pixi_outbox_low(d->outbox), m->after);
    return pixi_uplink_end(&d->uplink, &w, PIXI_RPC_PUBLISH, d->settings->timeouts.request_ms,
                           on_publish_answer, m);
}

static void check_drained(struct pixi_daemon *d)
{
    void (*on_idle)(void *) = d->on_idle;
    struct pixi_outbox_stats s;

    if (!on_idle)
        return;
    s = pixi_outbox_stats(d->outbox);
    if (s.count && pixi_daemon_is_linked(d))
        return;
    d->on_idle = NULL;
    on_idle(d->idle_ctx);
}

static void run_pump(struct pixi_task *task)
{
    struct pixi_daemon *d = OF(pump, task);
    struct pixi_outbox_msg *m;

    if (!d->outbox)
        return; /* the end is near */
    while (pixi_daemon_is_linked(d) && !d->uplink.is_full &&
           (m = pixi_outbox_next(d->outbox, pixi_daemon_now(d)))) {
        bool is_suspected = is_suspect(d, m);
        int rc = send_message(d, m);

        if (rc == PIXI_E_LIMIT) { /* limits.message_bytes was lowered since it was taken */
            pixi_outbox_refused(d->outbox, m, PIXI_E_WS_TOO_BIG, "limits.message_bytes", pixi_daemon_now(d));
            continue;
        }
        if (rc != PIXI_OK)
            break; /* no memory: the next that comes tries again */
        pixi_outbox_sent(d->outbox, m);
        d->alone = is_suspected ? m->id : 0;
    }
    check_drained(d);
}

/* --- the outbox's events --------------------------------------------------------------------------------------------- */

static void on_outbox(struct pixi_watch *w, uint32_t events)
{
    struct pixi_daemon *d = OF(outbox_watch, w);

    (void)events;
    pixi_outbox_take(d->outbox, pixi_daemon_now(d));
    pixi_daemon_note_disk(d);
    check_drained(d);
}

static void on_outbox_due(struct pixi_timer *t)
{
    struct pixi_daemon *d = OF(outbox_timer, t);

    pixi_outbox_expire(d->outbox, pixi_daemon_now(d));
    pixi_daemon_set_outbox_timer(d);
}

void pixi_daemon_set_outbox_timer(struct pixi_daemon *d)
{
    uint64_t due = pixi_outbox_due_ms(d->outbox), now = pixi_daemon_now(d).ms;

    due = due > now ? due - now : 0;
    pixi_loop_set_timer(d->loop, &d->outbox_timer, due < EXPIRE_LEAST_MS ? EXPIRE_LEAST_MS : due);
}

/* --- calls that the server answers ------------------------------------------------------------------------------------- */

static void on_forwarded(struct pixi_uplink *u, void *ctx, const struct pixi_uplink_answer *a)
{
    struct pixi_daemon_call *call = ctx;
    struct pixi_json_out w;

    (void)u;
    if (a->failure) {
        pixi_daemon_answer_error(call, a->failure->err, a->failure->cause);
        return;
    }
    pixi_daemon_begin_answer(call, &w);
    pixi_json_raw(&w, a->result);
    pixi_daemon_end_answer(call, &w);
}

static void put_body(struct pixi_json_out *w, const struct pixi_rpc_params *p)
{
    if (p->seen & PIXI_RPC_HAS_PAYLOAD)
        pixi_rpc_put_payload(w, p->payload, p->is_json);
    pixi_rpc_put_headers(w, p->headers);
}

static void put_request(struct pixi_json_out *w, const struct pixi_rpc_params *p)
{
    pixi_json_name(w, "topic");
    pixi_json_string(w, p->topic);
    put_body(w, p);
    pixi_json_name(w, "timeout_ms");
    pixi_json_number(w, p->timeout_ms);
}

static void put_reply(struct pixi_json_out *w, const struct pixi_rpc_params *p)
{
    pixi_rpc_put_hex(w, "request", p->request);
    put_body(w, p);
    if (p->seen & PIXI_RPC_HAS_ERROR) {
        pixi_json_name(w, "error");
        pixi_json_raw(w, p->error);
    }
}

static void put_history(struct pixi_json_out *w, const struct pixi_rpc_params *p)
{
    pixi_json_name(w, "filter");
    pixi_json_string(w, p->filter);
    pixi_rpc_put_since(w, p->since, p->since_count);
    pixi_json_name(w, "limit");
    pixi_json_number(w, p->limit);
}

void pixi_daemon_forward(struct pixi_daemon_call *call, const struct pixi_rpc_params *p)
{
    struct pixi_daemon *d = call->daemon;
    uint64_t timeout_ms = d->settings->timeouts.request_ms;
    struct pixi_json_out w;
    int rc;

    pixi_uplink_begin(&d->uplink, &w, call->method);
    switch (call->method) {
    case PIXI_RPC_REQUEST:
        put_request(&w, p);
        timeout_ms =
            p->timeout_ms + d->settings->timeouts.connect_ms; /* for a server that does not answer at all */
        break;
    case PIXI_RPC_REPLY: put_reply(&w, p); break;
    default: put_history(&w, p); break;
    }
    rc = pixi_uplink_end(&d->uplink, &w, call->method, timeout_ms, on_forwarded, call);
    if (rc != PIXI_OK)
        pixi_daemon_answer_error(call, rc == PIXI_E_LIMIT ? PIXI_E_WS_TOO_BIG : rc, NULL);
}

static void put_publish(struct pixi_json_out *w, const struct pixi_rpc_params *p)
{
    pixi_json_name(w, "topic");
    pixi_json_string(w, p->topic);
    put_body(w, p);
    if (p->retain) {
        pixi_json_name(w, "retain");
        pixi_json_bool(w, true);
    }
    if (p->seen & PIXI_RPC_HAS_EXPIRY) {
        pixi_json_name(w, "expiry_s");
        pixi_json_number(w, p->expiry_s);
    }
}

void pixi_daemon_pass_on(struct pixi_daemon *d, enum pixi_rpc_method m, const struct pixi_rpc_params *p)
{
    struct pixi_json_out w;

    pixi_uplink_begin(&d->uplink, &w, m);
    if (m == PIXI_RPC_REPLY)
        put_reply(&w, p);
    else
        put_publish(&w, p);
    if (pixi_uplink_end(&d->uplink, &w, m, 0, NULL, NULL) != PIXI_OK)
        d->counters.unsent++;
}

/* --- the connection ------------------------------------------------------------------------------------------------------ */

/* Members that say which log it is: hexadecimal, of any server that says it. */
static void on_info(struct pixi_uplink *u, void *ctx, const struct pixi_uplink_answer *a)
{
    struct pixi_daemon *d = u->ctx;
    struct pixi_rpc_params p = {.seen = 0};

    (void)ctx;
    if (u->state != PIXI_UPLINK_OPEN)
        return;
    if (!a->failure) {
        pixi_buf_reset(&d->server_info);
        pixi_buf_put_cur(&d->server_info, a->result);
        pixi_rpc_result_read(a->result, &p); /* what is not understood is of a server that says no epoch */
    }
    pixi_outbox_linked(d->outbox, p.seen & PIXI_RPC_HAS_EPOCH ? p.position.epoch : 0, pixi_daemon_now(d));
    pixi_daemon_set_outbox_timer(d);
}

static void on_connect(struct pixi_uplink *u)
{
    struct pixi_daemon *d = u->ctx;
    struct pixi_json_out w;

    d->linked_ms = d->loop->now_ms;
    d->counters.connects++;
    pixi_log(PIXI_LOG_INFO, "connected to %s; %llu messages wait",
             u->settings->endpoints[u->policy.server].authority,
             (unsigned long long)pixi_outbox_stats(d->outbox).count);
    pixi_uplink_begin(u, &w, PIXI_RPC_INFO);
    pixi_uplink_end(u, &w, PIXI_RPC_INFO, d->settings->timeouts.request_ms, on_info, NULL);
    pixi_daemon_subs_linked(d);
    pixi_daemon_measure_linked(d);
    pixi_daemon_changed(d);
}

static void note_loss(struct pixi_daemon *d, const struct pixi_failure *f, uint64_t in_ms)
{
    pixi_daemon_measure_lost(d, f, in_ms);
    if (d->linked_ms && f->err != PIXI_OK) {
        d->counters.losses++;
        d->counters.silent += f->err == PIXI_E_WS_PONG || f->err == PIXI_E_RESET;
    }
    d->linked_ms = 0;
    if (f->err != PIXI_OK) {
        d->last_failure = *f;
        d->failed_wall_ms = pixi_clock_wall_ms();
    }
    pixi_outbox_unlinked(d->outbox);
    pixi_daemon_subs_lost(d);
    check_drained(d);
}

/* The same again and again is one line; the others are for whoever looks closely. */
static void log_loss(const struct pixi_daemon *d, const struct pixi_uplink *u, const struct pixi_failure *f,
                     uint64_t in_ms)
{
    const char *next = u->settings->endpoints[u->policy.server].authority;
    bool is_new = d->linked_ms || strcmp(f->cause, d->last_failure.cause) != 0;

    if (f->err == PIXI_OK)
        pixi_log(PIXI_LOG_INFO, "moving to %s", next);
    else
        pixi_log(is_new ? PIXI_LOG_WARNING : PIXI_LOG_DEBUG, "%s: %s; trying %s in %.1f s", f->layer,
                 f->cause, next, (double)in_ms / 1000);
}

static void on_lost(struct pixi_uplink *u, const struct pixi_failure *f, uint64_t in_ms)
{
    struct pixi_daemon *d = u->ctx;

    log_loss(d, u, f, in_ms);
    note_loss(d, f, in_ms);
    pixi_daemon_changed(d);
}

static void start_link(struct pixi_daemon *d)
{
    struct pixi_failure f;

    pixi_daemon_measure_set(d);
    if (d->is_draining || pixi_uplink_start(&d->uplink, &f) == PIXI_OK)
        return;
    pixi_log(PIXI_LOG_ERROR, "%s: %s; fix: %s", f.layer, f.cause, f.fix);
    d->last_failure = f;
    d->failed_wall_ms = pixi_clock_wall_ms();
    pixi_daemon_changed(d);
}

/* For good, says the link. A daemon has nobody who would start it again: it rests, unless a person has to mend something
 * first, who then says so by SIGHUP. */
static void on_end(struct pixi_uplink *u, const struct pixi_failure *f)
{
    struct pixi_daemon *d = u->ctx;

    if (d->is_restarting) {
        note_loss(d, f, 0);
        pixi_loop_set_timer(d->loop, &d->restart, 0);
        return;
    }
    if (f->err == PIXI_OK) { /* closed by us */
        note_loss(d, f, 0);
        return;
    }
    note_loss(d, f, 0);
    if (f->exit_code == PIXI_EXIT_KEY) {
        pixi_log(PIXI_LOG_ERROR, "%s: %s; fix: %s; then send SIGHUP: it is not tried again before", f->layer,
                 f->cause, f->fix);
    } else {
        pixi_log(PIXI_LOG_ERROR, "%s: %s; fix: %s; trying again in %d s", f->layer, f->cause, f->fix,
                 REST_MS / 1000);
        pixi_loop_set_timer(d->loop, &d->restart, REST_MS);
    }
    pixi_daemon_changed(d);
}

static void on_restart(struct pixi_timer *t)
{
    struct pixi_daemon *d = OF(restart, t);

    pixi_daemon_take_settings(d);
    start_link(d);
}

void pixi_daemon_relink(struct pixi_daemon *d)
{
    d->is_restarting = true;
    pixi_loop_cancel_timer(d->loop, &d->restart);
    if (d->uplink.state == PIXI_UPLINK_IDLE)
        pixi_loop_set_timer(d->loop, &d->restart, 0);
    else
        pixi_uplink_close_with(&d->uplink, PIXI_WS_CLOSE_DONE, "other settings");
}

static const struct pixi_uplink_handlers uplink_handlers = {.on_connect = on_connect,
                                                            .on_notification = pixi_daemon_on_notification,
                                                            .on_lost = on_lost,
                                                            .on_end = on_end};

int pixi_daemon_link_up(struct pixi_daemon *d, struct pixi_buf *problem)
{
    d->server_info = pixi_buf_init(INFO_MAX);
    d->pump.run = run_pump;
    d->restart.on_due = on_restart;
    d->outbox_timer.on_due = on_outbox_due;
    d->outbox_watch = (struct pixi_watch){.fd = pixi_outbox_fd(d->outbox), .on_ready = on_outbox};
    pixi_uplink_init(&d->uplink, d->loop, d->settings, &uplink_handlers, d,
                     PIXI_RETRY_LOST | PIXI_RETRY_FIRST);
    if (pixi_loop_watch(d->loop, &d->outbox_watch, EPOLLIN) != PIXI_OK) {
        pixi_buf_put_str(problem,
                         "outbox: no event for it\n  fix: let this program open more files (ulimit -n)");
        return PIXI_E_SYS;
    }
    pixi_daemon_set_outbox_timer(d);
    if (pixi_daemon_measure_new(d) != PIXI_OK)
        return PIXI_E_NOMEM;
    start_link(d);
    return PIXI_OK;
}
