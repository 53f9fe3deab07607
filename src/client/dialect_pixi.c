#include "client/dialect.h"

#include <stdio.h>

/* --- calls ---------------------------------------------------------------------------------------------------- */

static void begin_call(struct pixi_uplink *c, struct pixi_json_out *w, enum pixi_rpc_method m)
{
    pixi_buf_reset(&c->frame);
    pixi_rpc_begin_call(&c->frame, w, pixi_rpc_method_name(m));
}

static int end_call(struct pixi_uplink *c, struct pixi_json_out *w, enum pixi_rpc_method m,
                    enum pixi_uplink_resend resend, uint64_t timeout_ms, pixi_uplink_on_answer *on_answer,
                    void *ctx)
{
    pixi_rpc_end_call(w, ++c->last_id);
    return pixi_uplink_add_call(c, pixi_rpc_method_name(m), resend, timeout_ms, on_answer, ctx);
}

void pixi_uplink_begin(struct pixi_uplink *c, struct pixi_json_out *w, enum pixi_rpc_method m)
{
    begin_call(c, w, m);
}

static int send_text(struct pixi_uplink_call *call)
{
    return pixi_link_send(&call->client->link, PIXI_WS_TEXT, call->text.bytes, call->text.len);
}

/* What has no answer is said now or not at all. */
static int send_notification(struct pixi_uplink *c, struct pixi_json_out *w)
{
    pixi_rpc_end_call(w, 0);
    if (c->frame.err)
        return c->frame.err;
    return c->state == PIXI_UPLINK_OPEN ? pixi_link_send(&c->link, PIXI_WS_TEXT, c->frame.bytes, c->frame.len)
                                        : PIXI_E_WS_CLOSED;
}

int pixi_uplink_end(struct pixi_uplink *c, struct pixi_json_out *w, enum pixi_rpc_method m,
                    uint64_t timeout_ms, pixi_uplink_on_answer *on_answer, void *ctx)
{
    if (!on_answer)
        return send_notification(c, w);
    return end_call(c, w, m, PIXI_UPLINK_RAW, timeout_ms, on_answer, ctx);
}

static void put_message(struct pixi_json_out *w, const struct pixi_uplink_out *m)
{
    pixi_json_name(w, "topic");
    pixi_json_text(w, m->topic);
    pixi_rpc_put_payload(w, m->payload, m->is_json);
    pixi_rpc_put_headers(w, m->headers);
}

static int publish(struct pixi_uplink *c, const struct pixi_uplink_out *m, uint64_t timeout_ms,
                   pixi_uplink_on_answer *on_answer, void *ctx)
{
    struct pixi_json_out w;

    begin_call(c, &w, PIXI_RPC_PUBLISH);
    put_message(&w, m);
    if (m->is_retained) {
        pixi_json_name(&w, "retain");
        pixi_json_bool(&w, true);
    }
    if (m->has_expiry) {
        pixi_json_name(&w, "expiry_s");
        pixi_json_number(&w, m->expiry_s);
    }
    if (!on_answer)
        return send_notification(c, &w);
    pixi_rpc_put_key(&w, m->producer, m->seq, m->low, 0);
    return end_call(c, &w, PIXI_RPC_PUBLISH, PIXI_UPLINK_RESEND, timeout_ms, on_answer, ctx);
}

static int request(struct pixi_uplink *c, const struct pixi_uplink_out *m, uint64_t timeout_ms,
                   pixi_uplink_on_answer *on_answer, void *ctx)
{
    struct pixi_json_out w;

    begin_call(c, &w, PIXI_RPC_REQUEST);
    put_message(&w, m);
    pixi_json_name(&w, "timeout_ms");
    pixi_json_number(&w, m->responder_ms);
    return end_call(c, &w, PIXI_RPC_REQUEST, PIXI_UPLINK_ONCE, timeout_ms, on_answer, ctx);
}

/* A notification: nobody answers an answer. */
static int reply(struct pixi_uplink *c, uint64_t to, struct pixi_cur payload, const char *error)
{
    struct pixi_json_out w;

    begin_call(c, &w, PIXI_RPC_REPLY);
    pixi_rpc_put_hex(&w, "request", to);
    if (error) {
        pixi_json_name(&w, "error");
        pixi_rpc_put_error_value(&w, PIXI_E_RPC_ERROR, error, 0);
    } else {
        pixi_rpc_put_payload(&w, payload, pixi_rpc_is_json(payload));
    }
    return send_notification(c, &w);
}

static struct pixi_uplink_call *find_call(struct pixi_uplink *c, struct pixi_cur id)
{
    struct pixi_uplink_call *call = c->calls;
    char text[24];

    for (; call; call = call->next) {
        int len = snprintf(text, sizeof text, "%llu", (unsigned long long)call->id);

        if (call->is_sent && pixi_cur_equals(id, pixi_cur_init(text, (size_t)len)))
            return call;
    }
    return NULL;
}

struct error_value {
    int64_t code;
    struct pixi_cur message;
};

/* {code, message}; what else it has is the server's affair. */
static struct error_value read_error(struct pixi_cur text)
{
    struct error_value e = {.message = {NULL, NULL}};
    struct pixi_json j;
    struct pixi_json_token name, t;

    pixi_json_init(&j, text.p, pixi_cur_left(&text), PIXI_RPC_DEPTH);
    pixi_json_next(&j, &name);
    while (pixi_json_next(&j, &name) == PIXI_OK && name.type == PIXI_JSON_NAME) {
        uint64_t v = 0;

        if (pixi_json_next(&j, &t) != PIXI_OK)
            break;
        if (pixi_json_is(&name, "code") && t.type == PIXI_JSON_NUMBER && *t.text.p == '-') {
            t.text.p++;
            if (pixi_json_uint(&t, INT32_MAX, &v) == PIXI_OK)
                e.code = -(int64_t)v;
        } else if (pixi_json_is(&name, "message") && t.type == PIXI_JSON_STRING) {
            e.message = t.text;
        }
        pixi_json_skip(&j, &t, NULL);
    }
    return e;
}

struct pixi_failure pixi_uplink_error(struct pixi_cur text, const char *what)
{
    struct error_value e = read_error(text);
    size_t len = pixi_cur_left(&e.message);
    uint8_t *bytes = (uint8_t *)(uintptr_t)e.message.p; /* in the link's buffer, which may be changed */

    if (len && pixi_json_decode(e.message, bytes, &len) == PIXI_OK)
        e.message.end = e.message.p + len;
    return pixi_failure_call(pixi_rpc_err(e.code), what, e.message);
}

static void answer_call(struct pixi_uplink *c, const struct pixi_rpc_msg *m)
{
    struct pixi_uplink_call *call = find_call(c, m->id);
    struct pixi_uplink_answer answer = {0};
    struct pixi_rpc_params p;
    struct pixi_failure f;

    if (!call)
        return; /* its time was over before the answer came */
    if (m->kind == PIXI_RPC_ERROR)
        f = pixi_uplink_error(m->value, call->what);
    else if (call->resend == PIXI_UPLINK_RAW)
        answer.result = m->value;
    else if (pixi_rpc_result_read(m->value, &p) == PIXI_OK)
        answer.p = &p;
    else
        f = pixi_failure_no_answer(call->what, p.detail);
    if (!answer.p && !answer.result.p)
        answer.failure = &f;
    pixi_uplink_end_call(call, &answer);
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

/* The subscription that the server speaks of; NULL: none, or one that was replaced by another of the same filter. */
static struct pixi_uplink_sub *answered_sub(struct pixi_uplink *c, const struct pixi_rpc_params *p)
{
    struct pixi_uplink_sub *s = pixi_uplink_sub_of(c, p->filter);

    return s && s->is_answered ? s : NULL;
}

static void on_subscribe_answer(struct pixi_uplink *c, void *ctx, const struct pixi_uplink_answer *answer)
{
    struct pixi_uplink_sub *s = ctx;
    const struct pixi_rpc_params *p = answer->p;
    bool is_again;

    if (pixi_uplink_sub_of(c, pixi_cur_str(s->filter)) != s)
        return; /* it was dropped meanwhile */
    if (answer->failure) {
        if (pixi_uplink_is_refusal(c, answer->failure))
            pixi_uplink_drop_sub(c, s, answer->failure);
        return; /* else the connection ended: it subscribes again on the next */
    }
    is_again = s->was_subscribed;
    s->was_subscribed = s->is_answered = true;
    s->pending = p->position;
    s->is_synced = p->recovered || !s->how.wants_retained;
    s->is_behind = false;
    s->has_gap |= is_again && !p->recovered;
    if (!p->recovered)
        s->position_count = 0;
    if (s->is_synced)
        remember(s, s->pending);
    if (c->handlers->on_subscribed)
        c->handlers->on_subscribed(c, s, is_again, p->recovered);
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

static void subscribe(struct pixi_uplink *c, struct pixi_uplink_sub *s)
{
    struct pixi_json_out w;

    s->is_answered = false;
    begin_call(c, &w, PIXI_RPC_SUBSCRIBE);
    pixi_json_name(&w, "filter");
    pixi_json_text(&w, s->filter);
    if (*s->filter != '$') /* neither `$share` nor `$` topics take one */
        pixi_rpc_put_since(&w, s->positions, s->position_count);
    if (!s->how.wants_retained) {
        pixi_json_name(&w, "retained");
        pixi_json_bool(&w, false);
    }
    put_batching(&w, &s->how);
    end_call(c, &w, PIXI_RPC_SUBSCRIBE, PIXI_UPLINK_ONCE, c->settings->timeouts.request_ms,
             on_subscribe_answer, s);
}

static void ignore_answer(struct pixi_uplink *c, void *ctx, const struct pixi_uplink_answer *answer)
{
    (void)c;
    (void)ctx;
    (void)answer;
}

static int unsubscribe(struct pixi_uplink *c, struct pixi_uplink_sub *s)
{
    struct pixi_json_out w;

    begin_call(c, &w, PIXI_RPC_UNSUBSCRIBE);
    pixi_json_name(&w, "filter");
    pixi_json_text(&w, s->filter);
    return end_call(c, &w, PIXI_RPC_UNSUBSCRIBE, PIXI_UPLINK_ONCE, c->settings->timeouts.request_ms,
                    ignore_answer, NULL);
}

static void catch_up(struct pixi_uplink *c)
{
    for (struct pixi_uplink_sub *s = c->subs; s && c->state == PIXI_UPLINK_OPEN; s = s->next)
        if (s->is_behind)
            subscribe(c, s);
}

/* --- what the server says ------------------------------------------------------------------------------------- */

static void take_message(struct pixi_uplink *c, struct pixi_rpc_params *p)
{
    struct pixi_uplink_sub *s = answered_sub(c, p);
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
    struct pixi_uplink_sub *s = answered_sub(c, p);

    if (!s || s->is_behind)
        return;
    if (!s->is_synced) {
        s->is_synced = true;
        remember(s, s->pending);
    }
    if (c->handlers->on_synced)
        c->handlers->on_synced(c, s);
}

/* Of a daemon that holds the subscription: what came in between is lost, and the retained messages come again. */
static void take_gap(struct pixi_uplink *c, const struct pixi_rpc_params *p)
{
    struct pixi_uplink_sub *s = answered_sub(c, p);

    if (!s)
        return;
    s->has_gap = true;
    s->position_count = 0;
    s->pending = (struct pixi_rpc_position){0};
    s->is_synced = !s->how.wants_retained;
    if (c->handlers->on_subscribed)
        c->handlers->on_subscribed(c, s, true, false);
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
    if (c->handlers->on_notification && c->handlers->on_notification(c, method, &p))
        return;
    switch (method) {
    case PIXI_RPC_MESSAGE: take_message(c, &p); break;
    case PIXI_RPC_SYNCED: take_synced(c, &p); break;
    case PIXI_RPC_GAP: take_gap(c, &p); break;
    case PIXI_RPC_GOING_AWAY: pixi_retry_going_away(&c->policy, p.reconnect_ms); break;
    case PIXI_RPC_UNSUBSCRIBED: {
        struct pixi_uplink_sub *s = answered_sub(c, &p);
        struct pixi_failure f =
            pixi_failure_call(PIXI_E_FORBIDDEN, "the subscription was ended", pixi_cur_init(NULL, 0));

        if (s)
            pixi_uplink_drop_sub(c, s, &f);
        break;
    }
    default: break;
    }
}

static void message(struct pixi_uplink *c, uint8_t *bytes, size_t len)
{
    struct pixi_rpc_reader r;
    struct pixi_rpc_msg m;
    int rc = pixi_rpc_open(&r, bytes, len);

    if (rc != PIXI_OK)
        pixi_link_fail(&c->link, rc);
    while (c->link.state == PIXI_LINK_OPEN && (rc = pixi_rpc_next(&r, &m)) != PIXI_MORE) {
        if (rc != PIXI_OK)
            pixi_link_fail(&c->link, rc);
        else if (m.kind == PIXI_RPC_NOTIFICATION)
            take_notification(c, &m);
        else if (m.kind != PIXI_RPC_CALL)
            answer_call(c, &m);
    }
}

/* --- nothing outlives a connection, and nothing needs to be said before or after ------------------------------- */

static int start(struct pixi_uplink *c)
{
    (void)c;
    return PIXI_OK;
}

static void nothing(struct pixi_uplink *c)
{
    (void)c;
}

const struct pixi_dialect pixi_dialect_pixi = {
    .protocol = "pixi.v1",
    .type = PIXI_WS_TEXT,
    .has_key_in_head = true,
    .start = start,
    .clear = nothing,
    .opened = pixi_uplink_ready,
    .message = message,
    .lost = nothing,
    .goodbye = nothing,
    .subscribe = subscribe,
    .unsubscribe = unsubscribe,
    .catch_up = catch_up,
    .publish = publish,
    .request = request,
    .reply = reply,
    .send = send_text,
};
