/* call.c -- calls under way and their answers, one by one or as a batch. */
#include "server/conn.h"

#include <stdlib.h>

enum { RETRY_MS = 1000 }; /* until something may have ended, where nothing says when */

/* Sends one text frame, or gives the link up: an answer that cannot be queued must not be missing in silence. */
static void send_text(struct pixi_conn *c, const struct pixi_buf *b)
{
    int rc = b->err ? b->err : pixi_link_send(&c->link, PIXI_WS_TEXT, b->bytes, b->len);

    if (rc == PIXI_OK)
        c->server->counters.messages_out++;
    else if (rc == PIXI_E_QUEUE)
        pixi_conn_close_slow(c);
    else if (rc != PIXI_OK && rc != PIXI_E_WS_CLOSED)
        pixi_link_fail(&c->link, rc);
}

void pixi_batch_settle(struct pixi_conn *c, struct pixi_batch *batch)
{
    if (!batch->is_read || batch->waiting > 0)
        return;
    if (batch->out.len > 0) { /* nothing but notifications: nothing is answered (JSON-RPC 2.0 §6) */
        pixi_buf_put_str(&batch->out, "]");
        send_text(c, &batch->out);
    }
    pixi_buf_clear(&batch->out);
    free(batch);
}

static void join_batch(struct pixi_batch *batch)
{
    pixi_buf_put_str(&batch->out, batch->out.len ? "," : "[");
}

void pixi_server_answer_error(struct pixi_conn *c, struct pixi_batch *batch, struct pixi_cur id, int err,
                              const char *detail)
{
    struct pixi_buf *b = batch ? &batch->out : &c->server->answer;

    pixi_metrics_count_call(&c->server->counters, PIXI_METRICS_UNKNOWN, err);
    if (batch)
        join_batch(batch);
    else
        pixi_buf_reset(b);
    pixi_rpc_put_error(b, id, err, detail, err == PIXI_E_LIMIT ? RETRY_MS : 0);
    if (!batch)
        send_text(c, b);
}

struct pixi_call *pixi_call_new(struct pixi_conn *c, struct pixi_batch *batch, struct pixi_cur id)
{
    struct pixi_server *s = c->server;
    struct pixi_call *call;

    if (pixi_list_is_empty(&s->free_calls)) {
        call = malloc(sizeof *call);
        if (!call)
            return NULL;
    } else {
        call = PIXI_LIST_ITEM(s->free_calls.next, struct pixi_call, in_conn);
        pixi_list_remove(&call->in_conn);
    }
    call->conn = c;
    call->batch = batch;
    call->method = PIXI_METRICS_UNKNOWN;
    call->filter_text = NULL;
    call->messages = pixi_buf_init(0);
    call->id_len = pixi_cur_left(&id);
    memcpy(call->id, id.p, call->id_len);
    if (batch)
        batch->waiting++;
    pixi_list_add_last(&c->calls, &call->in_conn);
    c->call_count++;
    return call;
}

static void end_call(struct pixi_call *call)
{
    struct pixi_conn *c = call->conn;

    free(call->filter_text);
    pixi_buf_clear(&call->messages);
    pixi_list_remove(&call->in_conn);
    pixi_list_add_last(&c->server->free_calls, &call->in_conn);
    c->call_count--;
}

static struct pixi_cur id_of(const struct pixi_call *call)
{
    return pixi_cur_init(call->id, call->id_len);
}

void pixi_call_begin(struct pixi_call *call, struct pixi_json_out *w, int err)
{
    struct pixi_buf *b = call->batch ? &call->batch->out : &call->conn->server->answer;

    pixi_metrics_count_call(&call->conn->server->counters, call->method, err);
    if (call->batch)
        join_batch(call->batch);
    else
        pixi_buf_reset(b);
    pixi_rpc_begin_answer(b, w, id_of(call), err == PIXI_OK ? "result" : "error");
}

void pixi_call_end(struct pixi_call *call, struct pixi_json_out *w)
{
    struct pixi_conn *c = call->conn;
    struct pixi_batch *batch = call->batch;

    pixi_rpc_end_answer(w);
    end_call(call);
    if (batch) {
        batch->waiting--;
        pixi_batch_settle(c, batch);
    } else {
        send_text(c, &c->server->answer);
    }
}

void pixi_call_answer_later(struct pixi_call *call, int err, const char *detail, uint64_t retry_after_ms)
{
    struct pixi_json_out w;

    pixi_call_begin(call, &w, err);
    pixi_rpc_put_error_value(&w, err, detail, retry_after_ms);
    pixi_call_end(call, &w);
}

void pixi_call_answer_error(struct pixi_call *call, int err, const char *detail)
{
    pixi_call_answer_later(call, err, detail, err == PIXI_E_LIMIT ? RETRY_MS : 0);
}

bool pixi_call_is_under_way(const struct pixi_conn *c, struct pixi_cur id)
{
    for (const struct pixi_list *l = c->calls.next; l != &c->calls; l = l->next)
        if (pixi_cur_equals(id, id_of(PIXI_LIST_ITEM(l, const struct pixi_call, in_conn))))
            return true;
    return false;
}

void pixi_call_drop_all(struct pixi_conn *c)
{
    while (!pixi_list_is_empty(&c->calls)) {
        struct pixi_call *call = PIXI_LIST_ITEM(c->calls.next, struct pixi_call, in_conn);
        struct pixi_batch *batch = call->batch;

        end_call(call);
        if (batch && --batch->waiting == 0) {
            pixi_buf_clear(&batch->out);
            free(batch);
        }
    }
}
