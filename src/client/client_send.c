#include "client/client.h"
#include "base/topic.h"
#include "base/utf8.h"

#include <stdlib.h>

enum { HEADERS_MAX = 64 };

void pixi_client_free_op(struct pixi_client_op *op)
{
    pixi_message_free(op->reply);
    free(op);
}

static void unlink_op(struct pixi_client *c, struct pixi_client_op *op)
{
    struct pixi_client_op **p = &c->ops;

    while (*p != op)
        p = &(*p)->next;
    *p = op->next;
    if (!op->next)
        c->ops_end = p;
    op->next = NULL;
    c->queued_bytes -= op->cost;
}

/* How a call ended, as its caller is to hear it. */
static void fill_failure(struct pixi_client *c, struct pixi_client_op *op, const struct pixi_failure *f)
{
    bool is_connection_lost = c->uplink.state == PIXI_UPLINK_WAITING;

    pixi_client_fail(&op->error, f);
    if (f->err == PIXI_OK) {
        pixi_client_say(&op->error, PIXI_RC_CLOSED, PIXI_E_WS_CLOSED, "close", "send before closing",
                        "the client was closed before the answer came");
    } else if (c->loop.now_ms >= op->until_ms) {
        op->error.rc = PIXI_RC_TIMEOUT; /* where there is no connection, cause says why */
    } else if (is_connection_lost && op->is_request && op->error.rc != PIXI_RC_PROTOCOL &&
               op->error.rc != PIXI_RC_TOO_LARGE) {
        op->error.rc = PIXI_RC_LOST;
    }
}

/* Nobody waits for it: its error is the next flush's, too. */
static void hand_over(struct pixi_client *c, struct pixi_client_op *op)
{
    if (!op->is_request && op->error.rc != PIXI_RC_OK && c->first_failed.rc == PIXI_RC_OK)
        c->first_failed = op->error;
    if ((!op->on_sent && !op->on_reply) || !pixi_client_push_done(c, op))
        pixi_client_free_op(op);
}

static void take_reply(struct pixi_client_op *op, struct pixi_cur result)
{
    struct pixi_rpc_params p;

    if (pixi_rpc_result_read(result, &p) != PIXI_OK)
        pixi_client_say(&op->error, PIXI_RC_PROTOCOL, PIXI_E_RPC_PARAMS, "protocol",
                        "tell the server's maintainer", "the server's answer is no reply: %s", p.detail);
    else if (!(op->reply = pixi_message_new(&p)))
        pixi_client_no_memory(&op->error);
}

static void on_answer(struct pixi_uplink *u, void *ctx, const struct pixi_uplink_answer *a)
{
    struct pixi_client *c = u->ctx;
    struct pixi_client_op *op = ctx;

    unlink_op(c, op);
    pixi_client_ok(&op->error);
    if (a->failure)
        fill_failure(c, op, a->failure);
    else if (op->is_request)
        take_reply(op, a->result);
    op->is_done = true;
    if (!op->is_waited)
        hand_over(c, op);
}

/* --- what is to be said ---------------------------------------------------------------------------------------- */

/* A send or a request as it was asked for. Borrowed. */
struct order {
    enum pixi_rpc_method method;
    const char *topic;
    struct pixi_cur payload;
    bool is_json;
    const struct pixi_send_options *o; /* NULL: a request */
    uint64_t timeout_ms;               /* of the answer; UINT64_MAX: none */
};

static int check_headers(const struct pixi_send_options *o, struct pixi_error *e)
{
    if (o->header_count > HEADERS_MAX)
        return pixi_client_say(e, PIXI_RC_USAGE, PIXI_E_LIMIT, "request", "send fewer headers",
                               "%zu headers, more than %d", o->header_count, HEADERS_MAX);
    for (size_t i = 0; i < o->header_count; i++) {
        const struct pixi_header *h = &o->headers[i];

        if (!h->name_len || h->name_len > UINT16_MAX || h->value_len > UINT16_MAX ||
            !pixi_utf8_is_valid((const uint8_t *)h->name, h->name_len) ||
            !pixi_utf8_is_valid((const uint8_t *)h->value, h->value_len))
            return pixi_client_say(e, PIXI_RC_USAGE, PIXI_E_UTF8, "request",
                                   "names and values are UTF-8, at most 65,535 bytes; names are not empty",
                                   "header %zu cannot be sent", i);
    }
    return PIXI_RC_OK;
}

static int too_large(const struct pixi_client *c, struct pixi_error *e, size_t len)
{
    return pixi_client_say(e, PIXI_RC_TOO_LARGE, PIXI_E_WS_TOO_BIG, "request",
                           "send a smaller message, or raise limits.message_bytes here and at the server",
                           "%zu bytes do not fit into limits.message_bytes (%llu)", len,
                           (unsigned long long)c->settings.limits.message_bytes);
}

static int check_order(const struct pixi_client *c, const struct order *r, struct pixi_error *e)
{
    if (pixi_topic_check(pixi_cur_str(r->topic)) != PIXI_OK)
        return pixi_client_say(e, PIXI_RC_USAGE, PIXI_E_TOPIC, "request",
                               "a topic is 1 .. 65,535 bytes of UTF-8 without '+' and '#' (MQTT 5 §4.7)",
                               "no topic: %s", r->topic);
    if (pixi_cur_left(&r->payload) > c->settings.limits.message_bytes)
        return too_large(c, e, pixi_cur_left(&r->payload));
    return r->o ? check_headers(r->o, e) : PIXI_RC_OK;
}

/* Also while it is being connected: what is sent then waits. */
static int check_state(const struct pixi_client *c, struct pixi_error *e)
{
    if (c->state == PIXI_CLIENT_CONNECTING || c->state == PIXI_CLIENT_OPEN || c->state == PIXI_CLIENT_LOST)
        return PIXI_RC_OK;
    pixi_client_not_open(c, e);
    if (e)
        e->rc = PIXI_RC_CLOSED;
    return PIXI_RC_CLOSED;
}

static void put_key(struct pixi_json_out *w, const struct pixi_client *c, uint64_t seq)
{
    const struct pixi_client_op *first = c->ops; /* all below the first that is not answered are answered */

    while (first && first->is_request)
        first = first->next;
    pixi_json_name(w, "key");
    pixi_json_open_object(w);
    pixi_json_name(w, "producer");
    pixi_json_text(w, c->producer);
    pixi_json_name(w, "seq");
    pixi_json_number(w, seq);
    pixi_json_name(w, "low");
    pixi_json_number(w, first ? first->seq : seq);
    pixi_json_close_object(w);
}

static void put_options(struct pixi_json_out *w, const struct pixi_send_options *o)
{
    if (o->header_count) {
        pixi_json_name(w, "headers");
        pixi_json_open_array(w);
        for (size_t i = 0; i < o->header_count; i++) {
            pixi_json_open_array(w);
            pixi_json_string(w, pixi_cur_init(o->headers[i].name, o->headers[i].name_len));
            pixi_json_string(w, pixi_cur_init(o->headers[i].value, o->headers[i].value_len));
            pixi_json_close_array(w);
        }
        pixi_json_close_array(w);
    }
    if (o->flags & PIXI_SEND_RETAIN) {
        pixi_json_name(w, "retain");
        pixi_json_bool(w, true);
    }
    if (o->expiry_s) {
        pixi_json_name(w, "expiry_s");
        pixi_json_number(w, o->expiry_s);
    }
}

/* Hands it to the engine. With the lock. */
static int submit(struct pixi_client *c, const struct order *r, struct pixi_client_op *op,
                  struct pixi_error *e)
{
    enum pixi_uplink_resend resend = op->is_request ? PIXI_UPLINK_ONCE : PIXI_UPLINK_RESEND;
    uint64_t timeout_ms = r->timeout_ms;
    struct pixi_json_out w;
    int rc;

    pixi_uplink_begin(&c->uplink, &w, r->method);
    pixi_json_name(&w, "topic");
    pixi_json_text(&w, r->topic);
    pixi_rpc_put_payload(&w, r->payload, r->is_json);
    if (op->is_request) {
        pixi_json_name(&w, "timeout_ms");
        pixi_json_number(&w, timeout_ms);
        timeout_ms += c->settings.timeouts.connect_ms; /* ours is for a server that does not answer at all */
    } else {
        op->seq = c->seq + 1;
        put_options(&w, r->o);
        put_key(&w, c, op->seq);
    }
    rc = pixi_uplink_end(&c->uplink, &w, resend, timeout_ms, on_answer, op);
    if (rc != PIXI_OK)
        return rc == PIXI_E_LIMIT ? too_large(c, e, c->uplink.frame.len) : pixi_client_no_memory(e);
    op->until_ms = timeout_ms == UINT64_MAX ? UINT64_MAX : c->loop.now_ms + timeout_ms;
    op->cost = c->uplink.frame.len + PIXI_CLIENT_CALL_COST;
    c->seq += !op->is_request;
    c->queued_bytes += op->cost;
    *c->ops_end = op;
    c->ops_end = &op->next;
    return PIXI_RC_OK;
}

static bool has_room(const struct pixi_client *c, size_t len)
{
    return c->queued_bytes == 0 ||
           c->queued_bytes + len + PIXI_CLIENT_CALL_COST <= c->settings.limits.queue_bytes;
}

static int full(struct pixi_error *e, int rc, int code)
{
    return pixi_client_say(e, rc, code, "connection",
                           "send more slowly, wait, or raise limits.queue_bytes in the settings",
                           "the send queue is full");
}

/* Until it fits. With the lock. */
static int wait_for_room(struct pixi_client *c, const struct order *r, uint64_t until_ms, bool may_wait,
                         struct pixi_error *e)
{
    size_t len = pixi_cur_left(&r->payload);
    bool has_time = may_wait;
    int rc = check_state(c, e);

    while (rc == PIXI_RC_OK && !has_room(c, len) && has_time) {
        has_time = pixi_client_wait(c, until_ms);
        rc = check_state(c, e);
    }
    if (rc != PIXI_RC_OK || has_room(c, len))
        return rc;
    return may_wait ? full(e, PIXI_RC_TIMEOUT, PIXI_E_TIMEOUT) : full(e, PIXI_RC_FULL, PIXI_E_QUEUE);
}

static int wait_for_answer(struct pixi_client *c, struct pixi_client_op *op, struct pixi_message **reply,
                           struct pixi_error *e)
{
    int rc;

    /* the engine ends every call: by its answer, its time, or the client's end */
    while (!op->is_done)
        pixi_client_wait(c, UINT64_MAX);
    rc = pixi_client_copy_error(e, &op->error);
    if (reply) {
        *reply = op->reply;
        op->reply = NULL;
    }
    pixi_client_free_op(op);
    return rc;
}

static int place(struct pixi_client *c, struct order *r, struct pixi_client_op *op, uint64_t room_until_ms,
                 bool may_wait, struct pixi_message **reply, struct pixi_error *e)
{
    bool is_waited = op->is_waited;
    int rc;

    r->is_json = pixi_rpc_is_json(r->payload); /* before the lock: it may be long */
    pixi_client_enter(c);
    op->client = c;
    rc = wait_for_room(c, r, room_until_ms, may_wait, e);
    if (rc == PIXI_RC_OK)
        rc = submit(c, r, op, e);
    if (rc != PIXI_RC_OK) {
        pixi_client_free_op(op);
    } else {
        pixi_client_kick(c);
        rc = is_waited ? wait_for_answer(c, op, reply, e) : pixi_client_ok(e);
    }
    pixi_client_leave(c);
    return rc;
}

/* --- sending --------------------------------------------------------------------------------------------------- */

int pixi_client_send_message(struct pixi_client *c, const char *topic, const void *payload,
                             size_t payload_len, const struct pixi_send_options *o, struct pixi_error *e)
{
    static const struct pixi_send_options none = {0};
    const struct pixi_send_options *with = o ? o : &none;
    bool is_queued = with->flags & (PIXI_SEND_QUEUE | PIXI_SEND_NOWAIT);
    int timeout_ms = with->timeout_ms ? with->timeout_ms : (int)c->settings.timeouts.request_ms;
    uint64_t until_ms = pixi_client_until(c, timeout_ms, UINT64_MAX);
    struct order r = {.method = PIXI_RPC_PUBLISH,
                      .topic = topic,
                      .payload = pixi_cur_init(payload, payload_len),
                      .o = with,
                      .timeout_ms = is_queued || timeout_ms < 0 ? UINT64_MAX : (uint64_t)timeout_ms};
    struct pixi_client_op *op;
    int rc = check_order(c, &r, e);

    if (rc != PIXI_RC_OK)
        return rc;
    op = calloc(1, sizeof *op);
    if (!op)
        return pixi_client_no_memory(e);
    op->is_waited = !is_queued;
    op->on_sent = is_queued ? with->on_sent : NULL;
    op->ctx = with->ctx;
    return place(c, &r, op, until_ms, !(with->flags & PIXI_SEND_NOWAIT), NULL, e);
}

static bool has_sends(const struct pixi_client *c)
{
    const struct pixi_client_op *op = c->ops;

    while (op && op->is_request)
        op = op->next;
    return op;
}

int pixi_client_flush(struct pixi_client *c, int timeout_ms, struct pixi_error *e)
{
    uint64_t until = pixi_client_until(c, timeout_ms, c->settings.timeouts.request_ms);
    bool has_time = true;
    int rc;

    pixi_client_enter(c);
    while (has_sends(c) && has_time)
        has_time = pixi_client_wait(c, until);
    if (c->first_failed.rc != PIXI_RC_OK)
        rc = pixi_client_copy_error(e, &c->first_failed);
    else if (has_sends(c))
        rc = pixi_client_say(e, PIXI_RC_TIMEOUT, PIXI_E_TIMEOUT, "request",
                             "wait longer; what is queued stays queued",
                             "not all that was queued is answered");
    else
        rc = pixi_client_ok(e);
    c->first_failed.rc = PIXI_RC_OK;
    pixi_client_leave(c);
    return rc;
}

/* --- requests -------------------------------------------------------------------------------------------------- */

static int ask(struct pixi_client *c, struct order *r, const struct pixi_client_op *as, bool may_wait,
               struct pixi_message **reply, struct pixi_error *e)
{
    struct pixi_client_op *op;
    int rc = check_order(c, r, e);

    if (rc != PIXI_RC_OK)
        return rc;
    op = malloc(sizeof *op);
    if (!op)
        return pixi_client_no_memory(e);
    *op = *as;
    return place(c, r, op, pixi_client_until(c, -1, r->timeout_ms), may_wait, reply, e);
}

static struct order request_order(const struct pixi_client *c, const char *topic, const void *payload,
                                  size_t payload_len, int timeout_ms)
{
    return (struct order){.method = PIXI_RPC_REQUEST,
                          .topic = topic,
                          .payload = pixi_cur_init(payload, payload_len),
                          .timeout_ms =
                              timeout_ms < 0 ? c->settings.timeouts.request_ms : (uint64_t)timeout_ms};
}

int pixi_client_request(struct pixi_client *c, const char *topic, const void *payload, size_t payload_len,
                        int timeout_ms, struct pixi_message **reply, struct pixi_error *e)
{
    struct order r = request_order(c, topic, payload, payload_len, timeout_ms);
    struct pixi_client_op as = {.is_request = true, .is_waited = true};

    *reply = NULL;
    return ask(c, &r, &as, true, reply, e);
}

int pixi_client_request_start(struct pixi_client *c, const char *topic, const void *payload,
                              size_t payload_len, int timeout_ms, pixi_on_reply *on_reply, void *ctx,
                              struct pixi_error *e)
{
    struct order r = request_order(c, topic, payload, payload_len, timeout_ms);
    struct pixi_client_op as = {.is_request = true, .on_reply = on_reply, .ctx = ctx};

    return ask(c, &r, &as, false, NULL, e);
}

/* --- replies --------------------------------------------------------------------------------------------------- */

static int check_reply(const struct pixi_client *c, const struct pixi_message *m, struct pixi_error *e)
{
    int rc = check_state(c, e);

    if (rc != PIXI_RC_OK)
        return rc;
    if (!(m->flags & PIXI_MESSAGE_REQUEST))
        return pixi_client_say(e, PIXI_RC_USAGE, 0, "request",
                               "answer messages with PIXI_MESSAGE_REQUEST only",
                               "nobody waits for an answer to this message");
    if (c->state != PIXI_CLIENT_OPEN || m->connection != c->connection)
        return pixi_client_say(e, PIXI_RC_LOST, PIXI_E_WS_CLOSED, "connection",
                               "nothing: who asked has been told, or asks again",
                               "the connection that the request came by is gone");
    return PIXI_RC_OK;
}

static int end_reply(struct pixi_client *c, struct pixi_json_out *w, struct pixi_error *e)
{
    int rc = pixi_uplink_end(&c->uplink, w, PIXI_UPLINK_ONCE, 0, NULL, NULL);

    pixi_client_kick(c);
    switch (rc) {
    case PIXI_OK: return pixi_client_ok(e);
    case PIXI_E_LIMIT: return too_large(c, e, c->uplink.frame.len);
    case PIXI_E_QUEUE: return full(e, PIXI_RC_FULL, rc);
    case PIXI_E_WS_CLOSED: return pixi_client_copy_error(e, &c->last_loss);
    default: return pixi_client_no_memory(e);
    }
}

int pixi_client_reply(struct pixi_client *c, const struct pixi_message *request, const void *payload,
                      size_t payload_len, struct pixi_error *e)
{
    struct pixi_cur bytes = pixi_cur_init(payload, payload_len);
    bool is_json = pixi_rpc_is_json(bytes);
    struct pixi_json_out w;
    int rc;

    pixi_client_enter(c);
    rc = check_reply(c, request, e);
    if (rc == PIXI_RC_OK && payload_len > c->settings.limits.message_bytes)
        rc = too_large(c, e, payload_len);
    if (rc == PIXI_RC_OK) {
        pixi_uplink_begin(&c->uplink, &w, PIXI_RPC_REPLY);
        pixi_rpc_put_hex(&w, "request", request->request);
        pixi_rpc_put_payload(&w, bytes, is_json);
        rc = end_reply(c, &w, e);
    }
    pixi_client_leave(c);
    return rc;
}

int pixi_client_reply_error(struct pixi_client *c, const struct pixi_message *request, const char *text,
                            struct pixi_error *e)
{
    struct pixi_json_out w;
    int rc;

    pixi_client_enter(c);
    rc = check_reply(c, request, e);
    if (rc == PIXI_RC_OK && !pixi_utf8_is_valid((const uint8_t *)text, strlen(text)))
        rc = pixi_client_say(e, PIXI_RC_USAGE, PIXI_E_UTF8, "request", "write it in UTF-8",
                             "the text is not UTF-8");
    if (rc == PIXI_RC_OK) {
        pixi_uplink_begin(&c->uplink, &w, PIXI_RPC_REPLY);
        pixi_rpc_put_hex(&w, "request", request->request);
        pixi_json_name(&w, "error");
        pixi_rpc_put_error_value(&w, PIXI_E_RPC_ERROR, text, 0);
        rc = end_reply(c, &w, e);
    }
    pixi_client_leave(c);
    return rc;
}
