#include "client/call.h"
#include "client/dialect.h"

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

void pixi_uplink_end_call(struct pixi_uplink_call *call, const struct pixi_uplink_answer *answer)
{
    struct pixi_uplink *c = call->client;

    unlink_call(call);
    if (call->on_answer)
        call->on_answer(c, call->ctx, answer);
    free_call(call);
}

void pixi_uplink_fail_call(struct pixi_uplink_call *call, const struct pixi_failure *f)
{
    struct pixi_uplink_answer answer = {.failure = f};

    pixi_uplink_end_call(call, &answer);
}

static void tell_over(struct pixi_uplink_call *call)
{
    static const struct pixi_rpc_params nothing = {0};
    struct pixi_uplink_answer well = {.p = &nothing};
    struct pixi_failure f;

    if (call->err == PIXI_OK) {
        pixi_uplink_end_call(call, &well);
        return;
    }
    f = call->err == PIXI_E_NOMEM ? pixi_failure_local(call->err, call->what)
                                  : pixi_failure_call(call->err, call->what, pixi_cur_init(NULL, 0));
    pixi_uplink_fail_call(call, &f);
}

static void on_due(struct pixi_timer *t)
{
    struct pixi_uplink_call *call =
        (struct pixi_uplink_call *)((char *)t - offsetof(struct pixi_uplink_call, timer));
    struct pixi_failure f;

    if (call->is_over) {
        tell_over(call);
        return;
    }
    /* where there is no connection, that is why, and more to the point */
    if (call->client->has_failure && call->client->state != PIXI_UPLINK_OPEN)
        f = call->client->failure;
    else
        f = pixi_failure_call(PIXI_E_TIMEOUT, call->what, pixi_cur_init(NULL, 0));
    pixi_uplink_fail_call(call, &f);
}

void pixi_uplink_end_call_soon(struct pixi_uplink_call *call, int err)
{
    call->is_over = true;
    call->err = err;
    pixi_loop_set_timer(call->client->loop, &call->timer, 0);
}

/* Where the link has no room, this call and those after it wait, so that they go in order. */
static void send_call(struct pixi_uplink_call *call)
{
    struct pixi_uplink *c = call->client;
    int rc = c->dialect->send(call);

    if (rc == PIXI_OK) {
        call->is_sent = true;
    } else if (rc == PIXI_MORE) {
        c->is_held = true;
    } else if (rc == PIXI_E_WS_CLOSED || rc == PIXI_E_QUEUE) {
        c->is_full = true;
    } else {
        pixi_uplink_end_call_soon(call, rc);
    }
}

void pixi_uplink_flush_calls(struct pixi_uplink *c)
{
    struct pixi_uplink_call *call, *next;

    c->is_full = false;
    for (call = c->calls; call && c->state == PIXI_UPLINK_OPEN && !c->is_full; call = next) {
        next = call->next;
        if (!call->is_sent && !call->is_over)
            send_call(call);
    }
}

void pixi_uplink_resume_calls(struct pixi_uplink *c)
{
    struct pixi_uplink_call *call, *next;

    c->is_held = false;
    for (call = c->calls; call && c->state == PIXI_UPLINK_OPEN && !c->is_full && !c->is_held; call = next) {
        next = call->next;
        if (!call->is_sent && !call->is_over)
            send_call(call);
    }
}

void pixi_uplink_unsend_calls(struct pixi_uplink *c, const struct pixi_failure *f)
{
    struct pixi_uplink_call *call, *next;

    /* an answer may close the client, which ends all other calls: then `next` is gone */
    for (call = c->calls; call && c->state == PIXI_UPLINK_WAITING; call = next) {
        next = call->next;
        if (call->is_over)
            continue;
        if (call->is_bound ||
            (call->is_sent && (call->resend != PIXI_UPLINK_RESEND || !pixi_retry_resends(f))))
            pixi_uplink_fail_call(call, f);
        else
            call->is_sent = false;
    }
}

void pixi_uplink_fail_calls(struct pixi_uplink *c, const struct pixi_failure *f)
{
    while (c->calls)
        if (c->calls->is_over)
            tell_over(c->calls);
        else
            pixi_uplink_fail_call(c->calls, f);
}

void pixi_uplink_drop_calls(struct pixi_uplink *c)
{
    while (c->calls) {
        struct pixi_uplink_call *call = c->calls;

        unlink_call(call);
        free_call(call);
    }
}

int pixi_uplink_add_call(struct pixi_uplink *c, const char *what, enum pixi_uplink_resend resend,
                         uint64_t timeout_ms, pixi_uplink_on_answer *on_answer, void *ctx)
{
    struct pixi_uplink_call *call;

    if (c->frame.err)
        return c->frame.err;
    call = calloc(1, sizeof *call);
    if (!call)
        return PIXI_E_NOMEM;
    call->client = c;
    call->id = c->last_id;
    call->text = pixi_buf_init(c->frame.len);
    call->resend = resend;
    call->is_bound = resend == PIXI_UPLINK_RAW && c->state == PIXI_UPLINK_OPEN;
    call->on_answer = on_answer;
    call->ctx = ctx;
    call->timer.on_due = on_due;
    call->what = what;
    pixi_buf_put(&call->text, c->frame.bytes, c->frame.len);
    if (call->text.err) {
        free(call);
        return PIXI_E_NOMEM;
    }
    *c->calls_end = call;
    c->calls_end = &call->next;
    c->call_count++;
    if (timeout_ms != PIXI_UPLINK_FOREVER)
        pixi_loop_set_timer(c->loop, &call->timer, timeout_ms);
    if (c->state == PIXI_UPLINK_OPEN && !c->is_full)
        send_call(call);
    return PIXI_OK;
}
