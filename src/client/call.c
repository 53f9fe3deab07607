#include "client/call.h"

#include <stdio.h>
#include <stdlib.h>

static void unlink_call(struct pixi_uplink_call *call)
{
    struct pixi_uplink *c = call->client;
    struct pixi_uplink_call **p = &c->calls;

    while (*p != call)
        p = &(*p)->next;
    *p = call->next;
    if (!call->next)
        c->calls_end = p;
    c->call_count--;
}

static void free_call(struct pixi_uplink_call *call)
{
    pixi_loop_cancel_timer(call->client->loop, &call->timer);
    pixi_buf_clear(&call->text);
    free(call);
}

static void end_call(struct pixi_uplink_call *call, const struct pixi_uplink_answer *answer)
{
    struct pixi_uplink *c = call->client;

    unlink_call(call);
    if (call->on_answer)
        call->on_answer(c, call->ctx, answer);
    free_call(call);
}

static void fail_call(struct pixi_uplink_call *call, const struct pixi_failure *f)
{
    struct pixi_uplink_answer answer = {.failure = f};

    end_call(call, &answer);
}

static void on_due(struct pixi_timer *t)
{
    struct pixi_uplink_call *call =
        (struct pixi_uplink_call *)((char *)t - offsetof(struct pixi_uplink_call, timer));
    struct pixi_failure f = pixi_failure_call(PIXI_E_TIMEOUT, call->what, pixi_cur_init(NULL, 0));

    /* where there is no connection, that is why, and more to the point */
    if (call->client->has_failure && call->client->state != PIXI_UPLINK_OPEN)
        f = call->client->failure;
    fail_call(call, &f);
}

/* Where the link has no room, this call and those after it wait, so that they go in order. */
static void send_call(struct pixi_uplink_call *call)
{
    struct pixi_uplink *c = call->client;
    int rc = pixi_link_send(&c->link, PIXI_WS_TEXT, call->text.bytes, call->text.len);

    if (rc == PIXI_OK) {
        call->is_sent = true;
    } else if (rc == PIXI_E_WS_CLOSED || rc == PIXI_E_QUEUE) {
        c->is_full = true;
    } else {
        struct pixi_failure f = pixi_failure_local(rc, call->what);

        fail_call(call, &f);
    }
}

void pixi_uplink_flush_calls(struct pixi_uplink *c)
{
    struct pixi_uplink_call *call, *next;

    c->is_full = false;
    for (call = c->calls; call && c->state == PIXI_UPLINK_OPEN && !c->is_full; call = next) {
        next = call->next;
        if (!call->is_sent)
            send_call(call);
    }
}

void pixi_uplink_unsend_calls(struct pixi_uplink *c, const struct pixi_failure *f)
{
    struct pixi_uplink_call *call, *next;

    /* an answer may close the client, which ends all other calls: then `next` is gone */
    for (call = c->calls; call && c->state == PIXI_UPLINK_WAITING; call = next) {
        next = call->next;
        if (call->is_sent && (call->resend == PIXI_UPLINK_ONCE || !pixi_retry_resends(f)))
            fail_call(call, f);
        else
            call->is_sent = false;
    }
}

void pixi_uplink_fail_calls(struct pixi_uplink *c, const struct pixi_failure *f)
{
    while (c->calls)
        fail_call(c->calls, f);
}

void pixi_uplink_drop_calls(struct pixi_uplink *c)
{
    while (c->calls) {
        struct pixi_uplink_call *call = c->calls;

        unlink_call(call);
        free_call(call);
    }
}

struct pixi_buf *pixi_uplink_begin(struct pixi_uplink *c, struct pixi_json_out *w, enum pixi_rpc_method m)
{
    pixi_buf_reset(&c->frame);
    pixi_rpc_begin_call(&c->frame, w, pixi_rpc_method_name(m));
    return &c->frame;
}

/* The method's name stands in the frame: {"jsonrpc":"2.0","method":"NAME" */
static void name_call(struct pixi_uplink_call *call)
{
    static const char before[] = "{\"jsonrpc\":\"2.0\",\"method\":\"";
    struct pixi_cur c = pixi_buf_cur(&call->text), name;
    size_t len = 0;

    if (!pixi_cur_cut(&c, sizeof before - 1, &name))
        return;
    while (c.p != c.end && *c.p != '"' && len < sizeof call->what - 1)
        call->what[len++] = (char)*c.p++;
}

static int send_notification(struct pixi_uplink *c)
{
    return c->state == PIXI_UPLINK_OPEN ? pixi_link_send(&c->link, PIXI_WS_TEXT, c->frame.bytes, c->frame.len)
                                        : PIXI_E_WS_CLOSED;
}

int pixi_uplink_end(struct pixi_uplink *c, struct pixi_json_out *w, enum pixi_uplink_resend resend,
                    uint64_t timeout_ms, pixi_uplink_on_answer *on_answer, void *ctx)
{
    struct pixi_uplink_call *call;

    pixi_rpc_end_call(w, on_answer ? ++c->last_id : 0);
    if (c->frame.err)
        return c->frame.err;
    if (!on_answer)
        return send_notification(c);
    call = calloc(1, sizeof *call);
    if (!call)
        return PIXI_E_NOMEM;
    call->client = c;
    call->id = c->last_id;
    call->text = pixi_buf_init(c->frame.len);
    call->resend = resend;
    call->on_answer = on_answer;
    call->ctx = ctx;
    call->timer.on_due = on_due;
    pixi_buf_put(&call->text, c->frame.bytes, c->frame.len);
    if (call->text.err) {
        free(call);
        return PIXI_E_NOMEM;
    }
    name_call(call);
    *c->calls_end = call;
    c->calls_end = &call->next;
    c->call_count++;
    if (timeout_ms != PIXI_UPLINK_FOREVER)
        pixi_loop_set_timer(c->loop, &call->timer, timeout_ms);
    if (c->state == PIXI_UPLINK_OPEN && !c->is_full)
        send_call(call);
    return PIXI_OK;
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

void pixi_uplink_answer_call(struct pixi_uplink *c, const struct pixi_rpc_msg *m)
{
    struct pixi_uplink_call *call = find_call(c, m->id);
    struct pixi_uplink_answer answer = {.result = m->value};
    struct pixi_failure f;

    if (!call)
        return; /* its time was over before the answer came */
    if (m->kind == PIXI_RPC_ERROR) {
        struct error_value e = read_error(m->value);
        size_t len = pixi_cur_left(&e.message);
        uint8_t *text = (uint8_t *)(uintptr_t)e.message.p; /* in the link's buffer, which may be changed */

        if (len && pixi_json_decode(e.message, text, &len) == PIXI_OK)
            e.message.end = e.message.p + len;
        f = pixi_failure_call(pixi_rpc_err(e.code), call->what, e.message);
        answer.failure = &f;
    }
    end_call(call, &answer);
}
