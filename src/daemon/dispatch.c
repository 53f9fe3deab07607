/* dispatch.c -- the calls of local programs: publish goes to the outbox, the rest to the server. */
#include "daemon/state.h"

#include "base/topic.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>

/* A call as it was read. */
struct work {
    struct pixi_daemon *daemon;
    struct pixi_daemon_conn *conn;
    struct pixi_daemon_call *call; /* NULL: a notification */
    struct pixi_rpc_params p;
};

/* --- answers ---------------------------------------------------------------------------------------------------- */

void pixi_daemon_begin(struct pixi_daemon *d, struct pixi_json_out *w, enum pixi_rpc_method m)
{
    pixi_buf_reset(&d->line);
    pixi_rpc_begin_call(&d->line, w, pixi_rpc_method_name(m));
}

void pixi_daemon_drop_call(struct pixi_daemon_call *call)
{
    struct pixi_daemon_conn *c = call->conn;

    if (c) {
        pixi_list_remove(&call->in_conn);
        c->call_count--;
        pixi_daemon_consider_reading(c);
        if (pixi_daemon_is_done(c))
            pixi_daemon_close_conn(c);
    }
    free(call);
}

static struct pixi_cur id_of(const struct pixi_daemon_call *call)
{
    return pixi_cur_str(call->id);
}

void pixi_daemon_answer_error(struct pixi_daemon_call *call, int err, const char *detail)
{
    struct pixi_daemon *d = call->daemon;

    d->counters.errors++;
    if (call->conn) {
        pixi_buf_reset(&d->line);
        pixi_rpc_put_error(&d->line, id_of(call), err, detail, 0);
        pixi_daemon_say(call->conn);
    }
    pixi_daemon_drop_call(call);
}

void pixi_daemon_begin_answer(struct pixi_daemon_call *call, struct pixi_json_out *w)
{
    pixi_buf_reset(&call->daemon->line);
    pixi_rpc_begin_answer(&call->daemon->line, w, id_of(call), "result");
}

void pixi_daemon_end_answer(struct pixi_daemon_call *call, struct pixi_json_out *w)
{
    pixi_rpc_end_answer(w);
    if (call->conn)
        pixi_daemon_say(call->conn);
    pixi_daemon_drop_call(call);
}

static void refuse(struct work *w, int err, const char *detail)
{
    if (w->call)
        pixi_daemon_answer_error(w->call, err, detail);
    w->call = NULL;
}

/* --- what the outbox tells ---------------------------------------------------------------------------------------- */

static const char *queue_detail(int err)
{
    return err == PIXI_E_OUTBOX    ? "see pixi-ws-client status"
           : err == PIXI_E_STORAGE ? "the outbox cannot be written to at this time"
                                   : NULL;
}

static void on_queued(void *ctx, uint64_t from, uint64_t number, uint64_t id, int err)
{
    struct pixi_daemon_call *call = (struct pixi_daemon_call *)(uintptr_t)number;
    struct pixi_json_out w;

    (void)ctx;
    (void)from;
    if (err != PIXI_OK) {
        pixi_daemon_answer_error(call, err, queue_detail(err));
        return;
    }
    pixi_daemon_begin_answer(call, &w);
    pixi_json_open_object(&w);
    pixi_json_name(&w, "queued");
    pixi_json_number(&w, id);
    pixi_json_close_object(&w);
    pixi_daemon_end_answer(call, &w);
}

static void on_gone(void *ctx, uint64_t from, uint64_t id, int err, const char *detail)
{
    struct pixi_daemon *d = ctx;
    struct pixi_daemon_conn *c = pixi_daemon_find_conn(d, from);
    struct pixi_json_out w;

    if (!c)
        return;
    pixi_daemon_begin(d, &w, err == PIXI_OK ? PIXI_RPC_STORED : PIXI_RPC_REJECTED);
    pixi_json_name(&w, "id");
    pixi_json_number(&w, id);
    if (err != PIXI_OK) {
        pixi_json_name(&w, "error");
        pixi_rpc_put_error_value(&w, err, detail, 0);
    } else {
        pixi_rpc_put_position(&w, d->stored_at);
    }
    pixi_rpc_end_call(&w, 0);
    pixi_daemon_say(c);
}

static void on_ready(void *ctx)
{
    struct pixi_daemon *d = ctx;

    pixi_loop_defer(d->loop, &d->pump);
}

const struct pixi_outbox_calls pixi_daemon_outbox_calls = {on_queued, on_gone, on_ready};

/* --- methods ------------------------------------------------------------------------------------------------------- */

static bool may_publish(const struct pixi_daemon_conn *c, struct pixi_cur topic)
{
    if (!c->allow)
        return true;
    for (size_t i = 0; i < c->allow->publish.count; i++)
        if (pixi_filter_matches(c->allow->publish.at[i], topic))
            return true;
    return false;
}

bool pixi_daemon_may_subscribe(const struct pixi_daemon_conn *c, struct pixi_cur filter)
{
    if (!c->allow)
        return true;
    for (size_t i = 0; i < c->allow->subscribe.count; i++)
        if (pixi_filter_covers(c->allow->subscribe.at[i], filter))
            return true;
    return false;
}

static bool check_topic(struct work *w)
{
    if (pixi_topic_check(w->p.topic) != PIXI_OK || *w->p.topic.p == '$')
        refuse(w, PIXI_E_TOPIC, *w->p.topic.p == '$' ? "nobody publishes to $..." : NULL);
    else if (!may_publish(w->conn, w->p.topic))
        refuse(w, PIXI_E_FORBIDDEN, "daemon.allow: publish");
    else if (pixi_cur_left(&w->p.payload) > w->daemon->settings->limits.message_bytes)
        refuse(w, PIXI_E_WS_TOO_BIG, "limits.message_bytes");
    else
        return true;
    return false;
}

static void publish(struct work *w)
{
    const struct pixi_rpc_params *p = &w->p;
    const struct pixi_settings_allow *allow = w->conn->allow;
    struct pixi_outbox_given given = {.seq = p->seq, .low = p->low};
    struct pixi_outbox_put put = {
        .topic = p->topic,
        .headers = p->headers,
        .payload = p->payload,
        .flags = (p->is_json ? PIXI_OUTBOX_JSON : 0) | (p->retain ? PIXI_OUTBOX_RETAIN : 0),
        .priority = (unsigned)p->priority,
        .expires_in_ms = p->expiry_s * 1000,
        .owner = w->conn->uid,
        .owner_bytes = allow ? allow->outbox_bytes : 0,
        .from = w->conn->number,
        .call = (uint64_t)(uintptr_t)w->call,
        .given = p->seen & PIXI_RPC_HAS_KEY ? &given : NULL,
    };
    int rc;

    memcpy(given.producer, p->producer, sizeof given.producer);
    if (!check_topic(w))
        return;
    if (p->seen & PIXI_RPC_HAS_KEY && p->after) {
        refuse(w, PIXI_E_RPC_PARAMS, "key: no `after` here: what the outbox takes stays in order");
        return;
    }
    if (!w->call) {
        pixi_daemon_pass_on(w->daemon, PIXI_RPC_PUBLISH, p);
        return;
    }
    rc = pixi_outbox_put(w->daemon->outbox, &put, pixi_daemon_now(w->daemon));
    if (rc != PIXI_OK)
        refuse(w, rc, queue_detail(rc));
}

static void request(struct work *w)
{
    if (w->call && check_topic(w))
        pixi_daemon_forward(w->call, &w->p);
}

static bool check_filter(struct work *w)
{
    if (pixi_filter_check(w->p.filter) != PIXI_OK)
        refuse(w, PIXI_E_FILTER, NULL);
    else if (!pixi_daemon_may_subscribe(w->conn, w->p.filter))
        refuse(w, PIXI_E_FORBIDDEN, "daemon.allow: subscribe");
    else
        return true;
    return false;
}

static void history(struct work *w)
{
    if (w->call && check_filter(w))
        pixi_daemon_forward(w->call, &w->p);
}

static void subscribe(struct work *w)
{
    if (w->p.batch_ms || w->p.latest)
        refuse(w, PIXI_E_RPC_PARAMS, "neither batch_ms nor latest here: each message is a line");
    else if (check_filter(w))
        pixi_daemon_subscribe(w->conn, w->call, &w->p);
}

static void unsubscribe(struct work *w)
{
    pixi_daemon_unsubscribe(w->conn, w->call, &w->p);
}

static void reply(struct work *w)
{
    if (!pixi_daemon_take_request(w->daemon, w->p.request, w->conn->number))
        refuse(w, PIXI_E_RPC_PARAMS, "no such request waits for this program's reply");
    else if (w->call)
        pixi_daemon_forward(w->call, &w->p);
    else
        pixi_daemon_pass_on(w->daemon, PIXI_RPC_REPLY, &w->p);
}

static void ping(struct work *w)
{
    struct pixi_json_out out;

    if (!w->call)
        return;
    pixi_daemon_begin_answer(w->call, &out);
    pixi_json_open_object(&out);
    pixi_json_name(&out, "time_ms");
    pixi_json_number(&out, pixi_clock_wall_ms());
    pixi_json_close_object(&out);
    pixi_daemon_end_answer(w->call, &out);
}

static void put_info(struct pixi_daemon *d, struct pixi_json_out *out)
{
    static const char *const features[] = {"history", "outbox", "recovery", "requests", "retained", NULL};

    pixi_json_open_object(out);
    pixi_json_name(out, "name");
    pixi_json_text(out, "pixi-ws-client daemon");
    pixi_json_name(out, "version");
    pixi_json_text(out, PIXI_VERSION);
    pixi_json_name(out, "dialects");
    pixi_json_open_array(out);
    pixi_json_text(out, "pixi.v1");
    pixi_json_close_array(out);
    pixi_json_name(out, "features");
    pixi_json_open_array(out);
    for (size_t i = 0; features[i]; i++)
        pixi_json_text(out, features[i]);
    pixi_json_close_array(out);
    pixi_json_name(out, "limits");
    pixi_json_open_object(out);
    pixi_json_name(out, "message_bytes");
    pixi_json_number(out, d->settings->limits.message_bytes);
    pixi_json_name(out, "calls");
    pixi_json_number(out, d->settings->daemon.calls);
    pixi_json_name(out, "subscriptions");
    pixi_json_number(out, PIXI_DAEMON_SUBS_MAX);
    pixi_json_close_object(out);
    pixi_json_name(out, "server");
    if (d->server_info.len)
        pixi_json_raw(out, pixi_buf_cur(&d->server_info));
    else
        pixi_json_null(out);
    pixi_json_close_object(out);
}

static void info(struct work *w)
{
    struct pixi_json_out out;

    if (!w->call)
        return;
    pixi_daemon_begin_answer(w->call, &out);
    put_info(w->daemon, &out);
    pixi_daemon_end_answer(w->call, &out);
}

static void status(struct work *w)
{
    struct pixi_json_out out;

    if (!w->call)
        return;
    pixi_daemon_begin_answer(w->call, &out);
    pixi_daemon_put_status(w->daemon, &out);
    pixi_daemon_end_answer(w->call, &out);
}

/* --- those refused for good ---------------------------------------------------------------------------------------- */

static void put_rejected(struct pixi_json_out *w, const struct pixi_outbox_rejected *r)
{
    pixi_json_open_object(w);
    pixi_json_name(w, "id");
    pixi_json_number(w, r->msg->id);
    pixi_json_name(w, "time_ms");
    pixi_json_number(w, r->rejected_ms);
    pixi_json_name(w, "topic");
    pixi_json_string(w, r->msg->topic);
    pixi_rpc_put_payload(w, r->msg->payload, r->msg->flags & PIXI_OUTBOX_JSON);
    pixi_rpc_put_headers(w, r->msg->headers);
    pixi_json_name(w, "error");
    pixi_rpc_put_error_value(w, r->err, pixi_cur_left(&r->detail) ? (const char *)r->detail.p : NULL, 0);
    pixi_json_close_object(w);
}

/* false: there is no room for it in the line, nor for what closes that. */
static bool put_if_it_fits(struct pixi_json_out *w, const struct pixi_outbox_rejected *r)
{
    enum { TAIL = 64 };
    const struct pixi_json_out was = *w;
    size_t len = w->buf->len;

    put_rejected(w, r);
    if (w->buf->err == PIXI_OK && w->buf->len + TAIL <= w->buf->max)
        return true;
    *w = was;
    w->buf->len = len;
    w->buf->err = PIXI_OK;
    return false;
}

static void on_rejected(void *ctx, uint64_t number, const struct pixi_outbox_rejected_list *list)
{
    struct pixi_daemon_call *call = (struct pixi_daemon_call *)(uintptr_t)number;
    struct pixi_json_out w;
    size_t count = 0;

    (void)ctx;
    pixi_daemon_begin_answer(call, &w);
    pixi_json_open_object(&w);
    pixi_json_name(&w, "messages");
    pixi_json_open_array(&w);
    while (count < list->count && put_if_it_fits(&w, &list->at[count]))
        count++;
    pixi_json_close_array(&w);
    pixi_json_name(&w, "more");
    pixi_json_bool(&w, list->has_more || count < list->count);
    pixi_json_close_object(&w);
    pixi_daemon_end_answer(call, &w);
}

static void rejected(struct work *w)
{
    struct pixi_daemon *d = w->daemon;

    if (w->call && pixi_outbox_list_rejected(d->outbox, (size_t)w->p.limit, d->line.max,
                                             (uint64_t)(uintptr_t)w->call, on_rejected) != PIXI_OK)
        refuse(w, PIXI_E_NOMEM, NULL);
}

static void (*const run[PIXI_RPC_METHODS])(struct work *) = {
    [PIXI_RPC_PUBLISH] = publish,   [PIXI_RPC_SUBSCRIBE] = subscribe, [PIXI_RPC_UNSUBSCRIBE] = unsubscribe,
    [PIXI_RPC_REQUEST] = request,   [PIXI_RPC_REPLY] = reply,         [PIXI_RPC_HISTORY] = history,
    [PIXI_RPC_PING] = ping,         [PIXI_RPC_INFO] = info,           [PIXI_RPC_STATUS] = status,
    [PIXI_RPC_REJECTED] = rejected,
};

/* --- reading ------------------------------------------------------------------------------------------------------- */

static void answer_none(struct pixi_daemon_conn *c, struct pixi_cur id, int err, const char *detail)
{
    pixi_buf_reset(&c->daemon->line);
    pixi_rpc_put_error(&c->daemon->line, id, err, detail, 0);
    c->daemon->counters.errors++;
    pixi_daemon_say(c);
}

/* NULL: out of memory. */
static struct pixi_daemon_call *new_call(struct pixi_daemon_conn *c, struct pixi_cur id,
                                         enum pixi_rpc_method method)
{
    struct pixi_daemon_call *call = calloc(1, sizeof *call);

    if (!call)
        return NULL;
    *call = (struct pixi_daemon_call){.conn = c, .daemon = c->daemon, .method = method};
    memcpy(call->id, id.p, pixi_cur_left(&id));
    pixi_list_add_last(&c->calls, &call->in_conn);
    c->call_count++;
    return call;
}

void pixi_daemon_dispatch(struct pixi_daemon_conn *c, uint8_t *line, size_t len)
{
    struct work w = {.daemon = c->daemon, .conn = c};
    struct pixi_rpc_reader r;
    struct pixi_rpc_msg m = {.id = {NULL, NULL}};
    enum pixi_rpc_method method;
    int rc = pixi_rpc_open(&r, line, len);

    if (rc == PIXI_OK && r.is_batch)
        rc = PIXI_E_RPC_REQUEST;
    if (rc == PIXI_OK)
        rc = pixi_rpc_next(&r, &m);
    if (rc != PIXI_OK) {
        answer_none(c, m.id, rc, "a line holds one JSON-RPC object");
        return;
    }
    if (m.kind == PIXI_RPC_RESULT || m.kind == PIXI_RPC_ERROR)
        return; /* the daemon calls nobody */
    c->daemon->counters.calls++;
    rc = pixi_rpc_method(m.method, &method);
    if (rc != PIXI_OK || !run[method]) {
        if (m.kind == PIXI_RPC_CALL)
            answer_none(c, m.id, PIXI_E_RPC_METHOD,
                        "known are publish, subscribe, unsubscribe, request, reply, history, ping, info, "
                        "status, rejected");
        return;
    }
    rc = pixi_rpc_local_read(method, m.params, &w.p);
    if (rc == PIXI_OK && m.kind == PIXI_RPC_CALL && !(w.call = new_call(c, m.id, method)))
        rc = PIXI_E_NOMEM;
    if (rc == PIXI_OK)
        run[method](&w);
    else if (m.kind == PIXI_RPC_CALL)
        answer_none(c, m.id, rc, w.p.detail);
}
