/* mqtt_request.c -- requests and replies between the dialects. MQTT 5 §4.10; docs/mqtt.md, "Requests".
 *
 * From MQTT: a PUBLISH below `request/` with a Response Topic is a request of the hub; the reply becomes a PUBLISH to that
 * topic. To MQTT: a request of pixi.v1 becomes a PUBLISH whose Response Topic the server makes up; what the client
 * publishes there, once, is the reply. */
#include "server/mqtt.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { TIMEOUT_MS = 30000, TOKEN_HEX = 2 * PIXI_MQTT_REPLY_TOKEN };

/* --- asked by a client of MQTT -------------------------------------------------------------------------------- */

/* In its session's list `asked`, then, with what was answered, in no other. */
struct asked {
    struct pixi_list in_session;
    struct pixi_buf reply; /* topic, headers and payload, once there is one */
    size_t topic_len, headers_len;
    bool is_answered;
    size_t response_len, correlation_len;
    uint8_t bytes[]; /* Response Topic, Correlation Data as its header has it */
};

static struct asked *of(struct pixi_list *l)
{
    return PIXI_LIST_ITEM(l, struct asked, in_session);
}

static void drop(struct asked *a)
{
    pixi_list_remove(&a->in_session);
    pixi_buf_clear(&a->reply);
    free(a);
}

bool pixi_mqtt_is_request(struct pixi_cur topic)
{
    static const char first[] = "request/";

    return pixi_cur_left(&topic) >= sizeof first - 1 && memcmp(topic.p, first, sizeof first - 1) == 0;
}

static struct asked *new_asked(struct pixi_mqtt_session *o, struct pixi_cur response,
                               struct pixi_cur correlation)
{
    size_t response_len = pixi_cur_left(&response), correlation_len = pixi_cur_left(&correlation);
    struct asked *a = malloc(sizeof *a + response_len + correlation_len);

    if (!a)
        return NULL;
    *a = (struct asked){.response_len = response_len, .correlation_len = correlation_len};
    a->reply = pixi_buf_init(o->server->limits.queue_bytes);
    memcpy(a->bytes, response.p, response_len);
    if (correlation_len)
        memcpy(a->bytes + response_len, correlation.p, correlation_len);
    pixi_list_add_last(&o->asked, &a->in_session);
    return a;
}

unsigned pixi_mqtt_ask(struct pixi_mqtt_session *o, const struct pixi_msg *msg,
                       const struct pixi_mqtt_props *props, struct pixi_now now)
{
    struct pixi_server *s = o->server;
    struct pixi_cur response = pixi_mqtt_prop_val(props, PIXI_MQTT_PROP_RESPONSE_TOPIC);
    struct asked *a;
    int rc;

    if (!pixi_permit_publish(&o->permit, response))
        return PIXI_MQTT_R_NOT_AUTHORIZED;
    a = new_asked(o, response, pixi_mqtt_header_find(msg->headers, ":correlation-data"));
    if (!a)
        return PIXI_MQTT_R_UNSPECIFIED;
    rc = pixi_hub_request(&s->hub, &o->peer, msg, TIMEOUT_MS, a, now);
    if (rc == PIXI_E_LIMIT)
        s->counters.refused[PIXI_REFUSED_REQUESTS]++;
    if (rc != PIXI_OK)
        drop(a);
    pixi_server_set_deadline(s);
    return rc == PIXI_MORE ? PIXI_MQTT_R_SUCCESS : pixi_mqtt_reason_of_hub(rc);
}

/* From inside the hub, which may not be called from here: kept until the end of the turn. */
void pixi_mqtt_reply(void *ctx, struct pixi_hub_peer *peer, void *token, int err, const struct pixi_msg *msg)
{
    struct pixi_mqtt_session *o = pixi_mqtt_session_of_peer(peer);
    struct asked *a = token;

    (void)ctx;
    if (err != PIXI_OK && err != PIXI_E_RPC_ERROR) { /* its time is over: MQTT has no word for that */
        drop(a);
        return;
    }
    if (a->correlation_len)
        pixi_mqtt_header_put(&a->reply, ":correlation-data",
                             pixi_cur_init(a->bytes + a->response_len, a->correlation_len));
    if (err == PIXI_E_RPC_ERROR)
        pixi_mqtt_header_put(&a->reply, "pixi-error", pixi_cur_str("true"));
    pixi_buf_put_cur(&a->reply, msg->headers);
    a->headers_len = a->reply.len;
    pixi_buf_put_cur(&a->reply, msg->payload);
    a->is_answered = true;
    pixi_loop_defer(o->server->loop, &o->task);
}

static void publish_reply(struct pixi_mqtt_session *o, const struct asked *a)
{
    struct pixi_server *s = o->server;
    struct pixi_msg msg = {.topic = pixi_cur_init(a->bytes, a->response_len),
                           .headers = pixi_cur_init(a->reply.bytes, a->headers_len),
                           .payload =
                               pixi_cur_init(a->reply.bytes + a->headers_len, a->reply.len - a->headers_len),
                           .flags = PIXI_MSG_QOS1};

    if (a->reply.err == PIXI_OK)
        pixi_hub_publish(&s->hub, &o->peer, &msg, NULL, pixi_server_now(s));
}

void pixi_mqtt_run_replies(struct pixi_mqtt_session *o)
{
    struct pixi_list *l, *next;

    for (l = o->asked.next; l != &o->asked; l = next) {
        next = l->next;
        if (!of(l)->is_answered)
            continue;
        publish_reply(o, of(l));
        drop(of(l));
    }
}

/* --- answered by a client of MQTT ----------------------------------------------------------------------------- */

/* A topic that was made up, in its session's list `replies`. */
struct due {
    struct pixi_list in_session;
    uint64_t request;
    char token[TOKEN_HEX];
};

static struct due *due_of(struct pixi_list *l)
{
    return PIXI_LIST_ITEM(l, struct due, in_session);
}

static void drop_due(struct pixi_mqtt_session *o, struct due *d)
{
    pixi_list_remove(&d->in_session);
    o->reply_count--;
    free(d);
}

static struct due *new_due(struct pixi_mqtt_session *o, uint64_t request)
{
    struct due *d = malloc(sizeof *d);
    uint8_t random[PIXI_MQTT_REPLY_TOKEN];

    if (!d || getrandom(random, sizeof random, 0) != sizeof random) {
        free(d);
        return NULL;
    }
    if (o->reply_count >= PIXI_MQTT_REPLIES_MAX)
        drop_due(o, due_of(o->replies.next)); /* the oldest: its time is most likely over */
    for (size_t i = 0; i < sizeof random; i++) {
        d->token[2 * i] = "0123456789abcdef"[random[i] >> 4];
        d->token[2 * i + 1] = "0123456789abcdef"[random[i] & 15];
    }
    d->request = request;
    pixi_list_add_last(&o->replies, &d->in_session);
    o->reply_count++;
    return d;
}

bool pixi_mqtt_is_reply(struct pixi_cur topic)
{
    size_t len = strlen(PIXI_MQTT_REPLY_PREFIX);

    return pixi_cur_left(&topic) > len && memcmp(topic.p, PIXI_MQTT_REPLY_PREFIX, len) == 0;
}

unsigned pixi_mqtt_answer(struct pixi_mqtt_session *o, const struct pixi_msg *msg)
{
    struct pixi_cur token = msg->topic;
    int rc;

    token.p += strlen(PIXI_MQTT_REPLY_PREFIX);
    for (struct pixi_list *l = o->replies.next; l != &o->replies; l = l->next) {
        struct due *d = due_of(l);
        uint64_t request = d->request;

        if (!pixi_cur_equals(token, pixi_cur_init(d->token, sizeof d->token)))
            continue;
        drop_due(o, d); /* good for one */
        rc = pixi_hub_reply(&o->server->hub, &o->peer, request, PIXI_OK, msg);
        return rc == PIXI_OK ? PIXI_MQTT_R_SUCCESS : PIXI_MQTT_R_NO_SUBSCRIBERS;
    }
    return PIXI_MQTT_R_NOT_AUTHORIZED;
}

static int send_request(struct pixi_mqtt_session *o, const struct pixi_mqtt_sub *options,
                        const struct pixi_msg *msg)
{
    if (pixi_link_waiting(&o->conn->link) >= o->server->soft_queue)
        return PIXI_E_QUEUE;
    return pixi_mqtt_deliver_one(o->conn, msg, 0, 0, 0, options->id);
}

/* A client of MQTT asks another: the Response Topic is all that they need. */
static int pass_on(struct pixi_mqtt_session *o, const struct pixi_mqtt_sub *options,
                   const struct pixi_msg *msg)
{
    int rc = send_request(o, options, msg);

    return rc == PIXI_OK ? PIXI_MORE : rc;
}

int pixi_mqtt_request(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub,
                      const struct pixi_msg *msg, uint64_t request)
{
    struct pixi_server *s = ctx;
    struct pixi_mqtt_session *o = pixi_mqtt_session_of_peer(peer);
    const struct pixi_mqtt_sub *options = sub->user;
    struct pixi_buf headers;
    struct pixi_msg m = *msg;
    char topic[sizeof PIXI_MQTT_REPLY_PREFIX + TOKEN_HEX];
    struct due *d;
    int rc;

    if (!o->conn || !o->conn->mqtt->is_connected || o->conn->link.state != PIXI_LINK_OPEN ||
        o->conn->mqtt->version == PIXI_MQTT_V3 || (options->is_no_local && msg->origin == o->origin))
        return PIXI_E_QUEUE; /* nor could a client of 3.1.1 answer */
    if (msg->origin && pixi_mqtt_header_find(msg->headers, ":response-topic").p)
        return pass_on(o, options, msg);
    d = new_due(o, request);
    if (!d)
        return PIXI_E_NOMEM;
    snprintf(topic, sizeof topic, "%s%.*s", PIXI_MQTT_REPLY_PREFIX, TOKEN_HEX, d->token);
    headers = pixi_loop_borrow(s->loop, SIZE_MAX / 2);
    pixi_mqtt_header_put(&headers, ":response-topic", pixi_cur_str(topic));
    pixi_buf_put_cur(&headers, msg->headers);
    m.headers = pixi_buf_cur(&headers);
    rc = headers.err ? headers.err : send_request(o, options, &m);
    pixi_loop_give_back(s->loop, &headers);
    if (rc != PIXI_OK)
        drop_due(o, d);
    return rc;
}

void pixi_mqtt_drop_requests(struct pixi_mqtt_session *o)
{
    while (!pixi_list_is_empty(&o->asked))
        drop(of(o->asked.next));
    while (!pixi_list_is_empty(&o->replies))
        drop_due(o, due_of(o->replies.next));
}
