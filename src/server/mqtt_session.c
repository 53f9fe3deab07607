/* mqtt_session.c -- sessions: whose they are, when they end, and the wills that are sent then. MQTT 5 §3.1.2.4, §4.1. */
#include "server/mqtt.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/random.h>

enum { SECOND_MS = 1000, HELD_MAX = 64 << 20 };

static struct pixi_mqtt_session *of_task(struct pixi_task *t)
{
    return PIXI_LIST_ITEM(t, struct pixi_mqtt_session, task);
}

/* --- wills ---------------------------------------------------------------------------------------------------- */

void pixi_mqtt_session_drop_will(struct pixi_mqtt_session *o)
{
    pixi_loop_cancel_timer(o->server->loop, &o->will_due);
    if (!o->will)
        return;
    free(o->will);
    o->will = NULL;
    pixi_mqtt_save_will(o);
}

static struct pixi_cur copy(uint8_t **to, struct pixi_cur from)
{
    size_t len = pixi_cur_left(&from);
    struct pixi_cur c = pixi_cur_init(*to, len);

    if (len)
        memcpy(*to, from.p, len);
    *to += len;
    return c;
}

struct pixi_mqtt_last_will *pixi_mqtt_will_copy(const struct pixi_mqtt_last_will *w)
{
    struct pixi_mqtt_last_will *out = malloc(sizeof *out + pixi_cur_left(&w->topic) +
                                             pixi_cur_left(&w->headers) + pixi_cur_left(&w->payload));
    uint8_t *to;

    if (!out)
        return NULL;
    *out = *w;
    to = out->bytes;
    out->topic = copy(&to, w->topic);
    out->headers = copy(&to, w->headers);
    out->payload = copy(&to, w->payload);
    return out;
}

/* What its key may publish is judged by what it may now. */
static void send_will(struct pixi_mqtt_session *o)
{
    const struct pixi_mqtt_last_will *w = o->will;
    struct pixi_server *s = o->server;
    struct pixi_now now = pixi_server_now(s);
    struct pixi_msg m;

    if (!w)
        return;
    m = (struct pixi_msg){
        .topic = w->topic, .headers = w->headers, .payload = w->payload, .origin = o->origin};
    m.flags = (w->is_retain ? PIXI_MSG_RETAIN : 0u) | (w->qos == 2   ? PIXI_MSG_QOS2
                                                       : w->qos == 1 ? PIXI_MSG_QOS1
                                                                     : 0u);
    if (w->has_expiry)
        m.expires_ms = now.wall_ms + (uint64_t)w->expiry_s * SECOND_MS;
    s->counters.mqtt_wills++;
    if (!w->has_expiry || w->expiry_s) {
        int rc = pixi_hub_publish(&s->hub, &o->peer, &m, NULL, now);

        if (rc == PIXI_OK) {
            s->counters.publishes++;
            s->counters.publish_bytes += pixi_msg_size(&m);
        }
    }
    pixi_mqtt_session_drop_will(o);
}

static void on_will_due(struct pixi_timer *t)
{
    send_will(PIXI_LIST_ITEM(t, struct pixi_mqtt_session, will_due));
}

/* --- the end -------------------------------------------------------------------------------------------------- */

static void run_task(struct pixi_task *t)
{
    struct pixi_mqtt_session *o = of_task(t);

    if (o->state == PIXI_MQTT_ENDED) {
        if (!o->puts)
            free(o);
        return;
    }
    if (o->state == PIXI_MQTT_LOST) {
        if (o->conn)
            pixi_mqtt_disconnect(o->conn, PIXI_MQTT_R_QUOTA, PIXI_WS_CLOSE_LATER,
                                 "too slow: more waits than is kept");
        pixi_mqtt_session_end(o, PIXI_MQTT_WITH_WILL);
        return;
    }
    pixi_mqtt_run_replies(o);
    pixi_mqtt_save_now(o);
}

static void cut(struct pixi_mqtt_session *o)
{
    struct pixi_server *s = o->server;

    if (o->reading == PIXI_MQTT_READ_RUNS)
        s->hub.store->call->cancel(s->hub.store, &o->read);
    o->reading = PIXI_MQTT_READ_NONE;
    o->read_step = 0;
    if (o->conn) {
        s->counters.mqtt_connected--;
        o->conn->mqtt->session = NULL;
    }
    o->conn = NULL;
}

/* QoS 1 that was sent by a shared subscription goes to another member; QoS 2 must not (§4.8.2). */
static void give_back(struct pixi_mqtt_session *o)
{
    uint64_t *offsets = malloc(o->s.sent_len * sizeof *offsets);
    const struct pixi_sent *sent;
    size_t count = 0;

    for (uint32_t i = 0; offsets && i < o->s.sent_len; i++) {
        sent = pixi_session_unacknowledged(&o->s, i);
        if (sent->state == PIXI_SENT_WAITS_ACK && sent->flags & PIXI_MQTT_OF_GROUP)
            offsets[count++] = sent->offset;
    }
    pixi_hub_give_back(&o->server->hub, &o->peer, offsets, count);
    free(offsets);
}

void pixi_mqtt_session_end(struct pixi_mqtt_session *o, enum pixi_mqtt_wills wills)
{
    struct pixi_server *s = o->server;

    cut(o);
    if (wills == PIXI_MQTT_WITH_WILL)
        send_will(o);
    o->state = PIXI_MQTT_ENDED;
    pixi_mqtt_session_drop_will(o);
    pixi_mqtt_drop_requests(o);
    give_back(o);
    pixi_mqtt_forget_records(o); /* while the hub still knows the subscriptions */
    pixi_hub_leave(&s->hub, &o->peer);
    pixi_mqtt_drop_incoming(o);
    pixi_loop_cancel_timer(s->loop, &o->expiry);
    pixi_loop_cancel_timer(s->loop, &o->save_due);
    pixi_table_remove(&s->mqtt.by_id, &o->by_id);
    pixi_list_remove(&o->in_server);
    s->mqtt.session_count--;
    pixi_session_clear(&o->s);
    pixi_buf_clear(&o->held);
    pixi_buf_clear(&o->flying);
    if (!o->task.is_queued && !o->puts)
        free(o);
}

static void on_expired(struct pixi_timer *t)
{
    struct pixi_mqtt_session *o = PIXI_LIST_ITEM(t, struct pixi_mqtt_session, expiry);

    if (!o->conn)
        pixi_mqtt_session_end(o, PIXI_MQTT_WITH_WILL);
}

/* --- beginning ------------------------------------------------------------------------------------------------ */

static uint64_t hash_of(const struct pixi_server *s, const uint8_t *key_hash, struct pixi_cur id)
{
    uint64_t k;

    memcpy(&k, key_hash, sizeof k);
    return pixi_siphash(s->mqtt.hash_key, id) ^ k;
}

struct pixi_mqtt_session *pixi_mqtt_session_find(struct pixi_server *s,
                                                 const uint8_t key_hash[PIXI_KEYS_HASH], struct pixi_cur id)
{
    struct pixi_table_link *l = pixi_table_first(&s->mqtt.by_id, hash_of(s, key_hash, id));

    for (; l; l = pixi_table_next(l)) {
        struct pixi_mqtt_session *o = PIXI_LIST_ITEM(l, struct pixi_mqtt_session, by_id);

        if (memcmp(o->key_hash, key_hash, PIXI_KEYS_HASH) == 0 &&
            pixi_cur_equals(pixi_cur_init(o->id, o->id_len), id))
            return o;
    }
    return NULL;
}

void pixi_mqtt_session_set_key(struct pixi_mqtt_session *o, const struct pixi_key *key)
{
    o->key = key;
    pixi_permit_of_key(&o->permit, key);
}

/* The key and the client identifier, as idempotency keys name who publishes. */
static bool name_producer(struct pixi_mqtt_session *o)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t digest[EVP_MAX_MD_SIZE];
    bool is_done = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
                   EVP_DigestUpdate(ctx, o->key_hash, sizeof o->key_hash) == 1 &&
                   EVP_DigestUpdate(ctx, o->id, o->id_len) == 1 && EVP_DigestFinal_ex(ctx, digest, NULL) == 1;

    EVP_MD_CTX_free(ctx);
    if (is_done)
        memcpy(o->producer, digest, sizeof o->producer);
    return is_done;
}

struct pixi_mqtt_session *pixi_mqtt_session_new(struct pixi_server *s, const uint8_t key_hash[PIXI_KEYS_HASH],
                                                const struct pixi_key *key, struct pixi_cur id)
{
    size_t len = pixi_cur_left(&id);
    struct pixi_mqtt_session *o = calloc(1, sizeof *o + len);

    if (!o || pixi_table_reserve(&s->mqtt.by_id) != PIXI_OK ||
        getrandom(&o->origin, sizeof o->origin, 0) != sizeof o->origin) {
        free(o);
        return NULL;
    }
    o->origin |= 1; /* never 0 */
    o->server = s;
    o->id_len = len;
    memcpy(o->id, id.p, len);
    memcpy(o->key_hash, key_hash, sizeof o->key_hash);
    if (!name_producer(o)) {
        free(o);
        return NULL;
    }
    pixi_session_init(&o->s, (uint32_t)s->settings->limits.inflight);
    o->s.last_seq = pixi_clock_wall_ms() << 16; /* above those of a session before it of the same name */
    pixi_mqtt_session_set_key(o, key);
    o->task.run = run_task;
    o->expiry.on_due = on_expired;
    o->will_due.on_due = on_will_due;
    o->held = pixi_buf_init(HELD_MAX);
    o->flying = pixi_buf_init(HELD_MAX);
    pixi_list_init(&o->incoming);
    pixi_list_init(&o->asked);
    pixi_list_init(&o->replies);
    pixi_list_add_last(&s->mqtt.sessions, &o->in_server);
    pixi_table_add(&s->mqtt.by_id, &o->by_id, hash_of(s, key_hash, id));
    s->mqtt.session_count++;
    o->peer.gateway = &s->mqtt.gateway;
    o->peer.permit = &o->permit;
    pixi_hub_join(&s->hub, &o->peer);
    return o;
}

void pixi_mqtt_session_attach(struct pixi_mqtt_session *o, struct pixi_conn *c, uint32_t window)
{
    struct pixi_server *s = o->server;

    pixi_loop_cancel_timer(s->loop, &o->expiry);
    o->conn = c;
    c->mqtt->session = o;
    o->link_no++;
    o->expires_ms = 0;
    o->came_at = s->hub.store->call->head(s->hub.store).offset;
    s->counters.mqtt_connected++;
    pixi_session_resume(&o->s, window);
}

static void set_timer(struct pixi_mqtt_session *o, struct pixi_timer *t, uint64_t in_ms)
{
    pixi_loop_set_timer(o->server->loop, t, in_ms);
}

/* A will comes when its delay is over or the session is, whichever is sooner (§3.1.3.2.2). */
void pixi_mqtt_session_wait(struct pixi_mqtt_session *o)
{
    uint64_t now = pixi_clock_wall_ms();

    if (o->expiry_s != UINT32_MAX) {
        if (!o->expires_ms)
            o->expires_ms = now + (uint64_t)o->expiry_s * SECOND_MS;
        set_timer(o, &o->expiry, o->expires_ms > now ? o->expires_ms - now : 0);
    }
    if (o->will)
        set_timer(o, &o->will_due, (uint64_t)o->will->delay_s * SECOND_MS);
}

void pixi_mqtt_session_detach(struct pixi_mqtt_session *o)
{
    struct pixi_server *s = o->server;

    cut(o);
    pixi_mqtt_drop_requests(o);
    pixi_hub_hang_up(&s->hub, &o->peer);
    pixi_buf_reset(&o->held); /* what it would have told is told again */
    pixi_buf_reset(&o->flying);
    if (o->state == PIXI_MQTT_LOST)
        return; /* its task ends it */
    if (s->is_draining && o->will && o->has_records)
        return; /* a stop defers wills to the restart */
    if (o->will && !o->will->delay_s && !s->is_draining)
        send_will(o);
    if (!o->expiry_s) {
        pixi_mqtt_session_end(o, s->is_draining ? PIXI_MQTT_WITHOUT_WILL : PIXI_MQTT_WITH_WILL);
        return;
    }
    pixi_mqtt_session_wait(o);
    pixi_mqtt_save(o);
}

/* --- all of them ---------------------------------------------------------------------------------------------- */

int pixi_mqtt_sessions_init(struct pixi_server *s)
{
    s->mqtt.gateway = (struct pixi_hub_gateway){.call = &pixi_mqtt_calls, .ctx = s};
    s->mqtt.out.props = pixi_buf_init(HELD_MAX);
    s->mqtt.out.ids = pixi_buf_init(HELD_MAX);
    s->mqtt.out.head = pixi_buf_init(HELD_MAX);
    s->mqtt.scratch = pixi_buf_init(HELD_MAX);
    s->mqtt.headers = pixi_buf_init(HELD_MAX);
    for (size_t i = 0; i < sizeof s->mqtt.out.whole / sizeof s->mqtt.out.whole[0]; i++)
        pixi_link_message_init(&s->mqtt.out.whole[i].packet, SIZE_MAX / 2);
    pixi_list_init(&s->mqtt.sessions);
    pixi_list_init(&s->mqtt.free_incoming);
    return getrandom(s->mqtt.hash_key, sizeof s->mqtt.hash_key, 0) == sizeof s->mqtt.hash_key ? PIXI_OK
                                                                                              : PIXI_E_SYS;
}

/* The records stay: the sessions go on after the restart. */
static void leave(struct pixi_mqtt_session *o)
{
    pixi_mqtt_save_last(o);
    pixi_session_clear(&o->s);
    o->has_records = false;
    free(o->will);
    o->will = NULL;
    pixi_mqtt_session_end(o, PIXI_MQTT_WITHOUT_WILL);
}

void pixi_mqtt_sessions_clear(struct pixi_server *s)
{
    while (s->mqtt.sessions.next && !pixi_list_is_empty(&s->mqtt.sessions))
        leave(PIXI_LIST_ITEM(s->mqtt.sessions.next, struct pixi_mqtt_session, in_server));
    pixi_loop_turn(s->loop, 0); /* those whose task is queued */
    while (s->mqtt.free_incoming.next && !pixi_list_is_empty(&s->mqtt.free_incoming)) {
        struct pixi_list *l = s->mqtt.free_incoming.next;

        pixi_list_remove(l);
        free(PIXI_LIST_ITEM(l, struct pixi_mqtt_incoming, in_session));
    }
    for (size_t i = 0; i < sizeof s->mqtt.out.whole / sizeof s->mqtt.out.whole[0]; i++)
        pixi_link_message_clear(&s->mqtt.out.whole[i].packet);
    pixi_buf_clear(&s->mqtt.out.props);
    pixi_buf_clear(&s->mqtt.out.ids);
    pixi_buf_clear(&s->mqtt.out.head);
    pixi_buf_clear(&s->mqtt.scratch);
    pixi_buf_clear(&s->mqtt.headers);
    pixi_table_clear(&s->mqtt.by_id);
    pixi_loop_cancel_timer(s->loop, &s->mqtt.sys);
}

static void rekey(struct pixi_mqtt_session *o, const struct pixi_key *key)
{
    pixi_mqtt_session_set_key(o, key);
    if (key) {
        pixi_hub_set_permit(&o->server->hub, &o->peer, &o->permit);
        return;
    }
    pixi_mqtt_session_drop_will(o);
    if (o->conn)
        pixi_mqtt_disconnect(o->conn, PIXI_MQTT_R_NOT_AUTHORIZED, PIXI_WS_CLOSE_UNAUTHORIZED,
                             "the API key was revoked");
    pixi_mqtt_session_end(o, PIXI_MQTT_WITHOUT_WILL);
}

void pixi_mqtt_sessions_rekey(struct pixi_server *s,
                              const struct pixi_key *(*find)(void *ctx, const uint8_t *key_hash), void *ctx)
{
    struct pixi_list *l, *next;

    for (l = s->mqtt.sessions.next; l != &s->mqtt.sessions; l = next) {
        struct pixi_mqtt_session *o = PIXI_LIST_ITEM(l, struct pixi_mqtt_session, in_server);

        next = l->next;
        rekey(o, find(ctx, o->key_hash));
    }
}
