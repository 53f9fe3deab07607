/* gateway.c -- what the hub says, in the dialect pixi.v1. */
#include "hub/siphash.h"
#include "server/conn.h"

static struct pixi_rpc_position position(struct pixi_position p)
{
    return (struct pixi_rpc_position){p.epoch, p.offset};
}

static void put_named(struct pixi_json_out *w, const char *name, struct pixi_cur text)
{
    pixi_json_name(w, name);
    pixi_json_string(w, text);
}

static void put_names(struct pixi_json_out *w, const struct pixi_msg *msg, struct pixi_cur filter)
{
    if (filter.p)
        put_named(w, "filter", filter);
    put_named(w, "topic", msg->topic);
}

static void put_rest(struct pixi_json_out *w, const struct pixi_msg *msg, unsigned flags, uint64_t request)
{
    pixi_rpc_put_payload(w, msg->payload, pixi_rpc_is_json(msg->payload));
    if (msg->pos.offset)
        pixi_rpc_put_position(w, position(msg->pos));
    pixi_json_name(w, "time_ms");
    pixi_json_number(w, msg->time_ms);
    if (flags & PIXI_HUB_RETAINED) {
        pixi_json_name(w, "retained");
        pixi_json_bool(w, true);
    }
    pixi_rpc_put_headers(w, msg->headers);
    if (request)
        pixi_rpc_put_hex(w, "request", request);
}

void pixi_gateway_put_message(struct pixi_json_out *w, const struct pixi_msg *msg, struct pixi_cur filter,
                              unsigned flags, uint64_t request)
{
    put_names(w, msg, filter);
    put_rest(w, msg, flags, request);
}

static void begin_note(struct pixi_server *s, struct pixi_json_out *w, const char *method)
{
    s->note_topic_len = 0;
    pixi_rpc_begin_call(pixi_link_message_begin(&s->note), w, method);
}

static void end_note(struct pixi_server *s, struct pixi_json_out *w)
{
    pixi_rpc_end_call(w, 0);
    pixi_link_message_end(&s->note, PIXI_LINK_FRAMES, PIXI_WS_TEXT);
}

static int send_note(struct pixi_server *s, struct pixi_conn *c)
{
    int rc = pixi_link_send_message(&c->link, &s->note);

    s->counters.messages_out += rc == PIXI_OK;
    return rc;
}

/* At once, or with the subscription's next batch. */
static int hand_note(struct pixi_server *s, struct pixi_conn *c, const struct pixi_hub_sub *sub)
{
    int rc = sub->user && !s->note.plain.bytes.err ? pixi_batching_add(sub->user) : PIXI_E_LIMIT;

    return rc == PIXI_E_LIMIT ? send_note(s, c) : rc;
}

/* A notification that must arrive: a link that has no room for it is of no use any more. */
static void must(struct pixi_conn *c, int rc)
{
    if (rc == PIXI_E_QUEUE)
        pixi_conn_close_slow(c);
    else if (rc != PIXI_OK && rc != PIXI_E_WS_CLOSED)
        pixi_link_fail(&c->link, rc);
}

static void encode(void *ctx, const struct pixi_msg *msg, struct pixi_cur filter, unsigned flags)
{
    struct pixi_server *s = ctx;
    struct pixi_json_out w;
    struct pixi_cur so_far;

    begin_note(s, &w, "message");
    put_names(&w, msg, filter);
    so_far = pixi_link_message_payload(&s->note);
    s->note_topic_len = pixi_cur_left(&so_far);
    put_rest(&w, msg, flags, 0);
    end_note(s, &w);
    s->note_hash = pixi_siphash(s->sources.hash_key, msg->topic);
    s->is_note_stored = msg->pos.offset != 0;
}

static int deliver(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub)
{
    struct pixi_server *s = ctx;
    struct pixi_conn *c = pixi_conn_of_peer(peer);
    int rc;

    if (s->is_note_stored && pixi_link_waiting(&c->link) >= s->soft_queue) {
        pixi_loop_defer(s->loop, &c->pump); /* after what waits was tried; else on_drained comes */
        s->counters.fell_behind++;
        return PIXI_E_QUEUE;
    }
    rc = hand_note(s, c, sub);
    if (s->is_note_stored)
        return rc;
    must(c, rc);
    return PIXI_OK;
}

static void synced(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub)
{
    struct pixi_server *s = ctx;
    struct pixi_conn *c = pixi_conn_of_peer(peer);
    struct pixi_json_out w;

    begin_note(s, &w, "synced");
    put_named(&w, "filter", sub->filter);
    end_note(s, &w);
    must(c, hand_note(s, c, sub));
}

static void unsubscribed(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub, int err)
{
    struct pixi_server *s = ctx;
    struct pixi_conn *c = pixi_conn_of_peer(peer);
    struct pixi_json_out w;

    if (sub->user)
        pixi_batching_flush(sub->user);
    begin_note(s, &w, "unsubscribed");
    put_named(&w, "filter", sub->filter);
    pixi_json_name(&w, "error");
    pixi_rpc_put_error_value(&w, err, NULL, 0);
    end_note(s, &w);
    must(c, send_note(s, c));
}

static void release(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub)
{
    (void)ctx;
    (void)peer;
    pixi_batching_free(sub->user);
}

static void lost(void *ctx, struct pixi_hub_peer *peer, int err)
{
    struct pixi_conn *c = pixi_conn_of_peer(peer);

    (void)ctx;
    pixi_server_count_refused(c->server, PIXI_REFUSED_HISTORY, c->from, "too slow: %s; closing with 1013",
                              pixi_err_text(err));
    pixi_link_close(&c->link, PIXI_WS_CLOSE_LATER, "too slow: history has moved on");
}

static void wake(void *ctx, struct pixi_hub_peer *peer)
{
    struct pixi_server *s = ctx;

    pixi_loop_defer(s->loop, &pixi_conn_of_peer(peer)->pump);
}

static int request(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub,
                   const struct pixi_msg *msg, uint64_t id)
{
    struct pixi_server *s = ctx;
    struct pixi_conn *c = pixi_conn_of_peer(peer);
    struct pixi_json_out w;

    if (pixi_link_waiting(&c->link) >= s->soft_queue)
        return PIXI_E_QUEUE;
    begin_note(s, &w, "message");
    pixi_gateway_put_message(&w, msg, sub->filter, 0, id);
    end_note(s, &w);
    return send_note(s, c);
}

static void reply(void *ctx, struct pixi_hub_peer *peer, void *token, int err, const struct pixi_msg *msg)
{
    struct pixi_call *call = token;
    struct pixi_json_out w;

    (void)ctx;
    (void)peer;
    if (err != PIXI_OK && err != PIXI_E_RPC_ERROR) {
        pixi_call_answer_error(call, err, err == PIXI_E_TIMEOUT ? "the responder did not reply" : NULL);
        return;
    }
    if (err == PIXI_E_RPC_ERROR) { /* the responder's own error object, as it wrote it */
        pixi_call_begin(call, &w, err);
        pixi_json_raw(&w, msg->payload);
        pixi_call_end(call, &w);
        return;
    }
    pixi_call_begin(call, &w, PIXI_OK);
    pixi_json_open_object(&w);
    pixi_rpc_put_payload(&w, msg->payload, pixi_rpc_is_json(msg->payload));
    pixi_rpc_put_headers(&w, msg->headers);
    pixi_json_close_object(&w);
    pixi_call_end(call, &w);
}

static void published(void *ctx, struct pixi_hub_peer *peer, void *token, int err, struct pixi_position pos)
{
    struct pixi_call *call = token;
    struct pixi_json_out w;

    (void)ctx;
    (void)peer;
    if (err != PIXI_OK) {
        pixi_call_answer_error(call, err, NULL);
        return;
    }
    pixi_call_begin(call, &w, PIXI_OK);
    pixi_json_open_object(&w);
    pixi_rpc_put_position(&w, position(pos));
    pixi_json_close_object(&w);
    pixi_call_end(call, &w);
}

const struct pixi_hub_calls pixi_gateway_calls = {
    .encode = encode,
    .deliver = deliver,
    .synced = synced,
    .unsubscribed = unsubscribed,
    .release = release,
    .lost = lost,
    .wake = wake,
    .request = request,
    .reply = reply,
    .published = published,
};

void pixi_conn_close_slow(struct pixi_conn *c)
{
    pixi_server_count_refused(c->server, PIXI_REFUSED_QUEUE_BYTES, c->from,
                              "reads too slowly: limits.queue_bytes wait; closing with 1013");
    pixi_conn_close(c, PIXI_WS_CLOSE_LATER, "too slow a reader");
}

void pixi_gateway_pump(struct pixi_conn *c)
{
    struct pixi_server *s = c->server;

    if (!c->peer.hub || c->link.state != PIXI_LINK_OPEN || pixi_link_waiting(&c->link) >= s->soft_queue)
        return; /* gone, or blocked: then on_drained comes */
    if (pixi_hub_pump(&s->hub, &c->peer, pixi_server_now(s)) == PIXI_MORE)
        pixi_loop_defer(s->loop, &c->pump);
}
