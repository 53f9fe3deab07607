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

static void on_answer(struct pixi_uplink *u, void *ctx, const struct pixi_uplink_answer *a)
{
    struct pixi_client *c = u->ctx;
    struct pixi_client_op *op = ctx;

    unlink_op(c, op);
    pixi_client_ok(&op->error);
    if (a->failure)
        fill_failure(c, op, a->failure);
    else if (op->is_request && !(op->reply = pixi_message_new(a->p)))
        pixi_client_no_memory(&op->error);
    op->is_done = true;
    if (!op->is_waited)
        hand_over(c, op);
}

/* --- what is to be said ---------------------------------------------------------------------------------------- */

/* A send or a request as it was asked for. Borrowed. */
struct order {
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

/* All below the first that is not answered are answered. */
static uint64_t lowest_seq(const struct pixi_client *c, uint64_t seq)
{
    const struct pixi_client_op *first = c->ops;

    while (first && first->is_request)
        first = first->next;
    return first ? first->seq : seq;
}

static void put_header(struct pixi_buf *b, const char *text, size_t len)
{
    uint8_t head[2] = {(uint8_t)(len >> 8), (uint8_t)len};

    pixi_buf_put(b, head, sizeof head);
    pixi_buf_put(b, text, len);
}

static void put_headers(struct pixi_buf *b, const struct pixi_send_options *o)
{
    for (size_t i = 0; i < o->header_count; i++) {
        put_header(b, o->headers[i].name, o->headers[i].name_len);
        put_header(b, o->headers[i].value, o->headers[i].value_len);
    }
}

static int publish(struct pixi_client *c, const struct order *r, struct pixi_client_op *op)
{
    struct pixi_buf headers = pixi_buf_init(HEADERS_MAX * 2 * (UINT16_MAX + 2));
    struct pixi_uplink_out m = {.topic = r->topic, .payload = r->payload, .is_json = r->is_json};
    int rc;

    op->seq = c->seq + 1;
    put_headers(&headers, r->o);
    m.headers = pixi_buf_cur(&headers);
    m.is_retained = r->o->flags & PIXI_SEND_RETAIN;
    m.has_expiry = r->o->expiry_s;
    m.expiry_s = r->o->expiry_s;
    m.producer = c->producer;
    m.seq = op->seq;
    m.low = lowest_seq(c, op->seq);
    rc = headers.err ? headers.err : pixi_uplink_publish(&c->uplink, &m, r->timeout_ms, on_answer, op);
    pixi_buf_clear(&headers);
    return rc;
}

static int request(struct pixi_client *c, const struct order *r, struct pixi_client_op *op,
                   uint64_t timeout_ms)
{
    struct pixi_uplink_out m = {
        .topic = r->topic, .payload = r->payload, .is_json = r->is_json, .responder_ms = r->timeout_ms};

    return pixi_uplink_request(&c->uplink, &m, timeout_ms, on_answer, op);
}

/* Hands it to the engine. With the lock. */
static int submit(struct pixi_client *c, const struct order *r, struct pixi_client_op *op,
                  struct pixi_error *e)
{
    /* of a request ours is for a server that does not answer at all */
    uint64_t timeout_ms = r->timeout_ms + (op->is_request ? c->settings.timeouts.connect_ms : 0);
    int rc = op->is_request ? request(c, r, op, timeout_ms) : publish(c, r, op);

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
    struct order r = {.topic = topic,
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
    return (struct order){.topic = topic,
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

static int reply_with(struct pixi_client *c, const struct pixi_message *to, struct pixi_cur payload,
                      const char *error, struct pixi_error *e)
{
    int rc = pixi_uplink_reply(&c->uplink, to->request, payload, error);

    pixi_client_kick(c);
    switch (rc) {
    case PIXI_OK: return pixi_client_ok(e);
    case PIXI_E_LIMIT: return too_large(c, e, c->uplink.frame.len);
    case PIXI_E_QUEUE: return full(e, PIXI_RC_FULL, rc);
    case PIXI_E_WS_CLOSED: return pixi_client_copy_error(e, &c->last_loss);
    default: return pixi_client_no_memory(e);
    }
}

int pixi_client_reply(struct pixi_client *c, const struct pixi_message *to, const void *payload,
                      size_t payload_len, struct pixi_error *e)
{
    int rc;

    pixi_client_enter(c);
    rc = check_reply(c, to, e);
    if (rc == PIXI_RC_OK && payload_len > c->settings.limits.message_bytes)
        rc = too_large(c, e, payload_len);
    if (rc == PIXI_RC_OK)
        rc = reply_with(c, to, pixi_cur_init(payload, payload_len), NULL, e);
    pixi_client_leave(c);
    return rc;
}

int pixi_client_reply_error(struct pixi_client *c, const struct pixi_message *to, const char *text,
                            struct pixi_error *e)
{
    int rc;

    pixi_client_enter(c);
    rc = check_reply(c, to, e);
    if (rc == PIXI_RC_OK && !pixi_utf8_is_valid((const uint8_t *)text, strlen(text)))
        rc = pixi_client_say(e, PIXI_RC_USAGE, PIXI_E_UTF8, "request", "write it in UTF-8",
                             "the text is not UTF-8");
    if (rc == PIXI_RC_OK)
        rc = reply_with(c, to, (struct pixi_cur){0}, text, e);
    pixi_client_leave(c);
    return rc;
}
