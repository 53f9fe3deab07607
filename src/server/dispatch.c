/* dispatch.c -- the Pixi methods: one text frame in, calls of the hub out. */
#include "server/conn.h"

#include <stdlib.h>

struct work {
    struct pixi_conn *conn;
    struct pixi_call *call; /* NULL: a notification, which gets no answer */
    struct pixi_rpc_params p;
    struct pixi_now now;
    int err; /* of a notification, which is not answered */
    bool is_in_batch;
};

static void answer_error(struct work *w, int err, const char *detail)
{
    if (w->call)
        pixi_call_answer_error(w->call, err, detail);
    else
        w->err = err;
}

static void answer_empty(struct work *w)
{
    struct pixi_json_out out;

    if (!w->call)
        return;
    pixi_call_begin(w->call, &out, PIXI_OK);
    pixi_json_open_object(&out);
    pixi_json_close_object(&out);
    pixi_call_end(w->call, &out);
}

/* PIXI_OK and an answer that comes by a callback, or an error that is answered now. */
static void settle(struct work *w, int rc, const char *detail)
{
    if (rc != PIXI_OK)
        answer_error(w, rc, detail);
}

static struct pixi_msg message_of(const struct work *w)
{
    const struct pixi_rpc_params *p = &w->p;
    struct pixi_msg m = {.topic = p->topic, .payload = p->payload, .headers = p->headers};

    if (p->seen & PIXI_RPC_HAS_EXPIRY)
        m.expires_ms = w->now.wall_ms + p->expiry_s * 1000;
    if (p->retain)
        m.flags |= PIXI_MSG_RETAIN;
    if (w->call) /* with an answer it must not be lost: the subscription decides, in MQTT */
        m.flags |= PIXI_MSG_QOS2;
    if (p->seen & PIXI_RPC_HAS_KEY) {
        m.flags |= PIXI_MSG_KEY;
        memcpy(m.key.producer, p->producer, sizeof m.key.producer);
        m.key.seq = p->seq;
        m.key.low = p->low;
        m.key.after = p->after;
    }
    return m;
}

static const char *topic_detail(int rc)
{
    switch (rc) {
    case PIXI_E_TOPIC: return "a topic is 1 to 65535 bytes of UTF-8 without '+', '#' or U+0000";
    case PIXI_E_FILTER: return "'+' stands for a whole level, '#' only as the last one";
    case PIXI_E_FORBIDDEN: return "ask for a key that may, or see `pixi-ws-server key list`";
    case PIXI_E_NO_RESPONDER: return "no one subscribes to it with room for a request";
    case PIXI_E_LIMIT: return "too many at once";
    default: return NULL;
    }
}

static void count(const struct work *w, enum pixi_refused reason)
{
    w->conn->server->counters.refused[reason]++;
}

/* May the key publish so much now? false: answered. */
static bool has_rate(struct work *w, const struct pixi_msg *m)
{
    enum pixi_refused which;
    uint64_t wait;

    if (pixi_conn_take_rate(w->conn, m, w->now, &wait, &which))
        return true;
    if (w->call)
        pixi_call_answer_later(w->call, PIXI_E_RATE,
                               which == PIXI_REFUSED_PUBLISHES_PER_S ? "the key publishes too often"
                                                                     : "the key publishes too many bytes",
                               wait);
    else
        w->err = PIXI_E_RATE;
    return false;
}

static void publish(struct work *w)
{
    struct pixi_msg m = message_of(w);
    struct pixi_counters *counters = &w->conn->server->counters;
    int rc;

    if (!has_rate(w, &m))
        return;
    rc = pixi_hub_publish(&w->conn->server->hub, &w->conn->peer, &m, w->call, w->now);
    if (rc == PIXI_OK) {
        counters->publishes++;
        counters->publish_bytes += pixi_msg_size(&m);
    } else if (rc == PIXI_E_LIMIT) {
        count(w, PIXI_REFUSED_CALLS);
    }
    settle(w, rc, topic_detail(rc));
}

/* In the same order as the hub's; the two structs are alike but live in modules that do not know each other. */
static size_t positions(const struct pixi_rpc_params *p, struct pixi_position out[PIXI_RPC_SINCE_MAX])
{
    for (size_t i = 0; i < p->since_count; i++)
        out[i] = (struct pixi_position){p->since[i].epoch, p->since[i].offset};
    return p->since_count;
}

/* false: answered. */
static bool set_batching(struct work *w, struct pixi_hub_subscribe *how)
{
    if (w->p.latest && !w->p.batch_ms) {
        answer_error(w, PIXI_E_RPC_PARAMS,
                     "latest goes with batch_ms: in each batch only the newest of a topic");
        return false;
    }
    if (!w->p.batch_ms)
        return true;
    how->user = pixi_batching_new(w->conn, w->p.batch_ms, w->p.latest ? PIXI_GATHER_LATEST : PIXI_GATHER_ALL);
    if (!how->user)
        answer_error(w, PIXI_E_NOMEM, NULL);
    return how->user != NULL;
}

static void subscribe(struct work *w)
{
    struct pixi_position since[PIXI_RPC_SINCE_MAX];
    struct pixi_hub_subscribe how = {.since = since, .flags = w->p.retained ? PIXI_HUB_SNAPSHOT : 0};
    struct pixi_hub_subscribed done;
    struct pixi_json_out out;
    int rc;

    how.since_count = positions(&w->p, since);
    if (!set_batching(w, &how))
        return;
    rc = pixi_hub_subscribe(&w->conn->server->hub, &w->conn->peer, w->p.filter, &how, &done);
    if (rc == PIXI_E_LIMIT)
        count(w, PIXI_REFUSED_SUBSCRIPTIONS);
    if (rc != PIXI_OK) {
        pixi_batching_free(how.user);
        answer_error(w, rc,
                     rc == PIXI_E_RPC_PARAMS ? "since goes neither with $share nor with $ topics"
                                             : topic_detail(rc));
        return;
    }
    if (w->call) {
        pixi_call_begin(w->call, &out, PIXI_OK);
        pixi_json_open_object(&out);
        pixi_rpc_put_position(&out, (struct pixi_rpc_position){done.pos.epoch, done.pos.offset});
        pixi_json_name(&out, "recovered");
        pixi_json_bool(&out, done.is_recovered);
        pixi_json_close_object(&out);
        pixi_call_end(w->call, &out);
    }
    pixi_loop_defer(w->conn->server->loop, &w->conn->pump);
}

static void unsubscribe(struct work *w)
{
    int rc = pixi_hub_unsubscribe(&w->conn->server->hub, &w->conn->peer, w->p.filter);

    if (rc == PIXI_OK)
        answer_empty(w);
    else
        answer_error(w, rc, topic_detail(rc));
}

static void request(struct work *w)
{
    struct pixi_msg m = message_of(w);
    int rc;

    if (!w->call)
        return; /* nobody would hear the reply */
    if (w->is_in_batch) {
        answer_error(w, PIXI_E_RPC_REQUEST, "a request may not stand in a batch");
        return;
    }
    if (!has_rate(w, &m))
        return;
    rc = pixi_hub_request(&w->conn->server->hub, &w->conn->peer, &m, w->p.timeout_ms, w->call, w->now);
    if (rc == PIXI_E_LIMIT)
        count(w, PIXI_REFUSED_REQUESTS);
    settle(w, rc, topic_detail(rc));
    pixi_server_set_deadline(w->conn->server);
}

/* An error object of JSON-RPC 2.0 §5.1: it goes to the asker as it is. */
static bool is_error_object(struct pixi_cur text)
{
    struct pixi_json j;
    struct pixi_json_token name, value;
    unsigned seen = 0;

    pixi_json_init(&j, text.p, pixi_cur_left(&text), PIXI_RPC_DEPTH);
    if (pixi_json_next(&j, &name) != PIXI_OK)
        return false;
    while (pixi_json_next(&j, &name) == PIXI_OK && name.type == PIXI_JSON_NAME) {
        if (pixi_json_next(&j, &value) != PIXI_OK)
            return false;
        if (pixi_json_is(&name, "code") && value.type == PIXI_JSON_NUMBER)
            seen |= 1;
        else if (pixi_json_is(&name, "message") && value.type == PIXI_JSON_STRING)
            seen |= 2;
        else if (!pixi_json_is(&name, "data"))
            return false;
        pixi_json_skip(&j, &value, NULL);
    }
    return seen == 3;
}

static void reply(struct work *w)
{
    struct pixi_msg m = message_of(w);
    bool is_error = w->p.seen & PIXI_RPC_HAS_ERROR;
    int rc;

    if (is_error && ((w->p.seen & PIXI_RPC_HAS_PAYLOAD) || !is_error_object(w->p.error))) {
        answer_error(w, PIXI_E_RPC_PARAMS,
                     "error: expected {code: number, message: string, data?}, and no payload");
        return;
    }
    if (is_error)
        m.payload = w->p.error;
    rc = pixi_hub_reply(&w->conn->server->hub, &w->conn->peer, w->p.request,
                        is_error ? PIXI_E_RPC_ERROR : PIXI_OK, &m);
    if (rc == PIXI_OK)
        answer_empty(w);
    else
        answer_error(w, rc, "no such request of yours waits: it was answered, or its time is over");
}

static int on_history_message(void *ctx, const struct pixi_msg *msg)
{
    struct pixi_call *call = ctx;
    struct pixi_json_out out = pixi_json_out_init(&call->messages);
    size_t was = call->messages.len;

    if (was)
        pixi_buf_put_str(&call->messages, ",");
    pixi_json_open_object(&out);
    pixi_gateway_put_message(&out, msg, pixi_cur_init(NULL, 0), 0, 0);
    pixi_json_close_object(&out);
    if (call->messages.err == PIXI_OK)
        return PIXI_OK;
    call->messages.len = was; /* this one does not fit: `more` says that there is one */
    call->messages.err = PIXI_OK;
    return PIXI_E_QUEUE;
}

static void on_history_end(void *ctx, int err, bool is_more)
{
    struct pixi_call *call = ctx;
    struct pixi_json_out out;
    struct pixi_buf array = pixi_buf_init(call->messages.len + 2);

    pixi_buf_put_str(&array, "[");
    pixi_buf_put(&array, call->messages.bytes, call->messages.len);
    pixi_buf_put_str(&array, "]");
    if (err == PIXI_OK)
        err = array.err;
    if (err != PIXI_OK) {
        pixi_call_answer_error(call, err, NULL);
    } else {
        pixi_call_begin(call, &out, PIXI_OK);
        pixi_json_open_object(&out);
        pixi_json_name(&out, "messages");
        pixi_json_raw(&out, pixi_buf_cur(&array));
        pixi_json_name(&out, "more");
        pixi_json_bool(&out, is_more);
        pixi_json_close_object(&out);
        pixi_call_end(call, &out);
    }
    pixi_buf_clear(&array);
}

/* A page is a quarter of the queue, and one message at least. */
static size_t history_room(const struct pixi_server *s)
{
    size_t quarter = s->limits.queue_bytes / 4, one = s->limits.message_bytes + PIXI_SERVER_ENVELOPE_MAX / 2;

    return quarter > one ? quarter : one;
}

static void history(struct work *w)
{
    struct pixi_server *s = w->conn->server;
    struct pixi_position since[PIXI_RPC_SINCE_MAX] = {{0, 0}};
    size_t len = pixi_cur_left(&w->p.filter);
    int rc;

    if (!w->call)
        return;
    w->call->filter_text = malloc(len ? len : 1);
    if (!w->call->filter_text) {
        answer_error(w, PIXI_E_NOMEM, NULL);
        return;
    }
    memcpy(w->call->filter_text, w->p.filter.p, len);
    positions(&w->p, since);
    w->call->messages = pixi_buf_init(history_room(s));
    w->call->history = (struct pixi_hub_history){.filter = pixi_cur_init(w->call->filter_text, len),
                                                 .since = since[0],
                                                 .limit = w->p.limit,
                                                 .ctx = w->call,
                                                 .on_message = on_history_message,
                                                 .on_end = on_history_end};
    rc = pixi_hub_history(&s->hub, &w->conn->peer, &w->call->history, w->now);
    if (rc == PIXI_E_LIMIT)
        count(w, PIXI_REFUSED_CALLS);
    settle(w, rc, topic_detail(rc));
    pixi_loop_defer(s->loop, &w->conn->pump);
}

static void ping(struct work *w)
{
    struct pixi_json_out out;

    if (!w->call)
        return;
    pixi_call_begin(w->call, &out, PIXI_OK);
    pixi_json_open_object(&out);
    pixi_json_name(&out, "time_ms");
    pixi_json_number(&out, w->now.wall_ms);
    pixi_json_close_object(&out);
    pixi_call_end(w->call, &out);
}

static void put_texts(struct pixi_json_out *out, const char *name, const char *const *texts)
{
    pixi_json_name(out, name);
    pixi_json_open_array(out);
    for (; *texts; texts++)
        pixi_json_text(out, *texts);
    pixi_json_close_array(out);
}

static void put_limits(struct pixi_json_out *out, const struct pixi_server *s)
{
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"message_bytes", s->limits.message_bytes},
        {"queue_bytes", s->settings->limits.queue_bytes},
        {"subscriptions", s->settings->limits.subscriptions},
        {"calls", s->settings->limits.calls},
        {"requests", s->settings->limits.requests},
        {"batch", PIXI_RPC_BATCH_MAX},
        {"id_bytes", PIXI_RPC_ID_MAX},
    };

    pixi_json_name(out, "limits");
    pixi_json_open_object(out);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pixi_json_name(out, rows[i].name);
        pixi_json_number(out, rows[i].value);
    }
    pixi_json_close_object(out);
}

static void info(struct work *w)
{
    static const char *const dialects[] = {PIXI_SERVER_PROTOCOL, PIXI_SERVER_MQTT_PROTOCOL, NULL};
    static const char *const features[] = {"batches",  "history",  "idempotency",          "recovery",
                                           "requests", "retained", "shared subscriptions", NULL};
    struct pixi_store *store = w->conn->server->hub.store;
    struct pixi_json_out out;

    if (!w->call)
        return;
    pixi_call_begin(w->call, &out, PIXI_OK);
    pixi_json_open_object(&out);
    pixi_json_name(&out, "name");
    pixi_json_text(&out, "pixi-ws-server");
    pixi_json_name(&out, "version");
    pixi_json_text(&out, PIXI_VERSION);
    put_texts(&out, "dialects", dialects);
    put_limits(&out, w->conn->server);
    put_texts(&out, "features", features);
    pixi_rpc_put_hex(&out, "epoch", store->call->head(store).epoch);
    pixi_json_close_object(&out);
    pixi_call_end(w->call, &out);
}

static void (*const run[PIXI_RPC_METHODS])(struct work *) = {
    [PIXI_RPC_PUBLISH] = publish, [PIXI_RPC_SUBSCRIBE] = subscribe, [PIXI_RPC_UNSUBSCRIBE] = unsubscribe,
    [PIXI_RPC_REQUEST] = request, [PIXI_RPC_REPLY] = reply,         [PIXI_RPC_HISTORY] = history,
    [PIXI_RPC_PING] = ping,       [PIXI_RPC_INFO] = info,
};

/* A call that cannot even be started: what is wrong with it, or PIXI_OK. */
static int start_call(struct pixi_conn *c, struct pixi_batch *batch, const struct pixi_rpc_msg *m,
                      struct work *w, const char **detail)
{
    if (m->kind != PIXI_RPC_CALL)
        return PIXI_OK;
    *detail = "a call with this id is under way";
    if (pixi_call_is_under_way(c, m->id))
        return PIXI_E_RPC_REQUEST;
    if (c->call_count >= c->server->settings->limits.calls) {
        c->server->counters.refused[PIXI_REFUSED_CALLS]++;
        *detail = "too many calls are under way";
        return PIXI_E_LIMIT;
    }
    *detail = NULL;
    w->call = pixi_call_new(c, batch, m->id);
    return w->call ? PIXI_OK : PIXI_E_NOMEM;
}

static void run_one(struct pixi_conn *c, struct pixi_batch *batch, const struct pixi_rpc_msg *m)
{
    struct work w = {.conn = c, .now = pixi_server_now(c->server), .is_in_batch = batch != NULL};
    enum pixi_rpc_method method;
    unsigned counted = PIXI_METRICS_UNKNOWN;
    const char *detail = NULL;
    int rc;

    if (m->kind == PIXI_RPC_RESULT || m->kind == PIXI_RPC_ERROR)
        return; /* this server calls nobody, so it answers nothing */
    if ((rc = start_call(c, batch, m, &w, &detail)) != PIXI_OK) {
        pixi_server_answer_error(c, batch, m->id, rc, detail);
        return;
    }
    rc = pixi_rpc_method(m->method, &method);
    if (rc != PIXI_OK || !run[method]) {
        answer_error(&w, PIXI_E_RPC_METHOD,
                     "known are publish, subscribe, unsubscribe, request, reply, history, ping, info");
    } else {
        counted = method;
        if (w.call)
            w.call->method = method;
        rc = pixi_rpc_params_read(method, m->params, &w.p);
        if (rc != PIXI_OK)
            answer_error(&w, rc, w.p.detail);
        else
            run[method](&w);
    }
    if (m->kind != PIXI_RPC_CALL)
        pixi_metrics_count_call(&c->server->counters, counted, w.err);
}

static struct pixi_batch *new_batch(struct pixi_conn *c)
{
    struct pixi_batch *batch = calloc(1, sizeof *batch);

    if (batch)
        batch->out = pixi_buf_init(c->server->limits.queue_bytes);
    return batch;
}

void pixi_server_dispatch(struct pixi_conn *c, uint8_t *bytes, size_t len)
{
    struct pixi_rpc_reader r;
    struct pixi_rpc_msg m;
    struct pixi_batch *batch = NULL;
    struct pixi_cur none = {NULL, NULL};
    int rc = pixi_rpc_open(&r, bytes, len);

    if (rc == PIXI_OK && r.is_batch && !(batch = new_batch(c)))
        rc = PIXI_E_NOMEM;
    if (rc != PIXI_OK) {
        pixi_server_answer_error(c, NULL, none, rc,
                                 rc == PIXI_E_RPC_REQUEST ? "expected an object, or a batch of 1 to 1000"
                                                          : NULL);
        return;
    }
    while (c->link.state == PIXI_LINK_OPEN && (rc = pixi_rpc_next(&r, &m)) != PIXI_MORE) {
        if (rc == PIXI_OK)
            run_one(c, batch, &m);
        else
            pixi_server_answer_error(c, batch, m.id, rc, NULL);
    }
    if (batch) {
        batch->is_read = true;
        pixi_batch_settle(c, batch);
    }
}
