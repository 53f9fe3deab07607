/* mqtt_save.c -- sessions as records of a durable store, so that they go on after a restart, or a crash.
 *
 *     mqtt/KEYHASH/CLIENT\0c        what is unacknowledged, positions, expiry
 *     mqtt/KEYHASH/CLIENT\0sNUMBER  a subscription
 *     mqtt/KEYHASH/CLIENT\0w        the will
 *
 * Nothing needs two of them to change at once: a subscription says itself from where on it counts, and what is told to the
 * client waits until everything that it tells of is on disk. */
#include "server/mqtt.h"

#include <stdio.h>
#include <stdlib.h>

enum { SOON_MS = 1000 };

static bool is_durable(const struct pixi_mqtt_session *o)
{
    return o->server->hub.store->is_durable;
}

bool pixi_mqtt_is_saved(const struct pixi_mqtt_session *o)
{
    return is_durable(o) && o->expiry_s > 0 && o->state == PIXI_MQTT_LIVES;
}

/* --- putting -------------------------------------------------------------------------------------------------- */

static struct pixi_cur key_of(const struct pixi_mqtt_session *o, char kind, uint32_t no,
                              uint8_t out[PIXI_RECORD_KEY_MAX])
{
    char *to = (char *)out;
    size_t len = strlen(PIXI_MQTT_RECORDS);

    memcpy(to, PIXI_MQTT_RECORDS, len);
    for (size_t i = 0; i < PIXI_MQTT_RECORD_HASH; i++)
        len += (size_t)sprintf(to + len, "%02x", o->key_hash[i]);
    to[len++] = '/';
    memcpy(to + len, o->id, o->id_len);
    len += o->id_len;
    to[len++] = 0;
    to[len++] = kind;
    if (kind == 's')
        len += (size_t)sprintf(to + len, "%08x", no);
    return pixi_cur_init(out, len);
}

static void on_put(void *ctx, int err, const struct pixi_record *record)
{
    struct pixi_mqtt_session *o = ctx;

    (void)record;
    o->puts--;
    if (o->state == PIXI_MQTT_ENDED) {
        if (!o->puts && !o->task.is_queued)
            free(o);
        return;
    }
    if (err != PIXI_OK)
        o->save_err = err;
    if (!o->puts)
        pixi_loop_defer(o->server->loop, &o->task);
}

static void put(struct pixi_mqtt_session *o, char kind, uint32_t no, struct pixi_cur value)
{
    struct pixi_store *store = o->server->hub.store;
    uint8_t key[PIXI_RECORD_KEY_MAX];
    struct pixi_record record = {key_of(o, kind, no, key), value, PIXI_RECORD_ANY};

    o->puts++;
    o->has_records = true;
    store->call->put(store, &record, (struct pixi_record_answer){on_put, o});
}

static void put_uint(struct pixi_buf *b, size_t width, uint64_t v)
{
    uint8_t bytes[8];

    for (size_t i = width; i-- > 0; v >>= 8)
        bytes[i] = (uint8_t)v;
    pixi_buf_put(b, bytes, width);
}

static void put_sized(struct pixi_buf *b, struct pixi_cur c)
{
    put_uint(b, 4, pixi_cur_left(&c));
    pixi_buf_put_cur(b, c);
}

/* Those subscriptions that stand elsewhere than at the head. */
static void put_positions(const struct pixi_mqtt_session *o, uint64_t head, struct pixi_buf *b)
{
    const struct pixi_hub *hub = &o->server->hub;
    size_t at = b->len;
    uint32_t count = 0;

    put_uint(b, 4, 0);
    for (struct pixi_hub_sub *sub = pixi_hub_next_sub(&o->peer, NULL); sub;
         sub = pixi_hub_next_sub(&o->peer, sub)) {
        uint64_t position = pixi_hub_position(hub, sub);

        if (position == head)
            continue;
        put_uint(b, 4, ((const struct pixi_mqtt_sub *)sub->user)->no);
        put_uint(b, 8, position);
        count++;
    }
    for (size_t i = 0; b->err == PIXI_OK && i < 4; i++)
        b->bytes[at + i] = (uint8_t)(count >> (24 - 8 * i));
}

static void put_core(struct pixi_mqtt_session *o)
{
    struct pixi_buf b = pixi_loop_borrow(o->server->loop, PIXI_RECORD_MAX);
    struct pixi_store *store = o->server->hub.store;
    struct pixi_position head = store->call->head(store);

    put_uint(&b, 1, PIXI_MQTT_RECORD_VERSION);
    put_uint(&b, 8, o->origin);
    put_uint(&b, 4, o->expiry_s);
    put_uint(&b, 8, o->expires_ms);
    put_uint(&b, 4, o->last_sub_no);
    put_uint(&b, 8, head.epoch);
    put_uint(&b, 8, head.offset);
    put_positions(o, head.offset, &b);
    pixi_session_put(&o->s, &b);
    if (b.err == PIXI_OK)
        put(o, 'c', 0, pixi_buf_cur(&b));
    else
        o->save_err = b.err;
    pixi_loop_give_back(o->server->loop, &b);
}

void pixi_mqtt_save_sub(struct pixi_mqtt_session *o, const struct pixi_hub_sub *sub)
{
    const struct pixi_mqtt_sub *options = sub->user;
    struct pixi_buf b = pixi_buf_init(PIXI_RECORD_MAX);

    if (!pixi_mqtt_is_saved(o))
        return;
    put_uint(&b, 1, PIXI_MQTT_RECORD_VERSION);
    put_uint(&b, 8, sub->after);
    put_uint(&b, 4, options->id);
    put_uint(&b, 1, options->qos);
    put_uint(&b, 1, options->is_no_local);
    put_uint(&b, 1, options->is_retain_as_published);
    put_sized(&b, sub->filter);
    if (b.err == PIXI_OK)
        put(o, 's', options->no, pixi_buf_cur(&b));
    else
        o->save_err = b.err;
    pixi_buf_clear(&b);
    pixi_mqtt_save(o);
}

static void forget(struct pixi_mqtt_session *o, char kind, uint32_t no)
{
    if (is_durable(o) && o->has_records)
        put(o, kind, no, pixi_cur_init(NULL, 0));
}

/* From a callback of the hub, too: there the store may not be called. */
void pixi_mqtt_forget_sub(struct pixi_mqtt_session *o, uint32_t no)
{
    if (!o->server->hub.calling)
        forget(o, 's', no);
    /* else the record stays until the session ends: when it is read again the key does not allow it any more */
}

void pixi_mqtt_save_will(struct pixi_mqtt_session *o)
{
    const struct pixi_mqtt_last_will *w = o->will;
    struct pixi_buf b = pixi_buf_init(PIXI_RECORD_MAX);

    if (!is_durable(o))
        return;
    if (!w) {
        forget(o, 'w', 0);
        return;
    }
    put_uint(&b, 1, PIXI_MQTT_RECORD_VERSION);
    put_uint(&b, 8, o->origin);
    put_uint(&b, 4, w->delay_s);
    put_uint(&b, 4, w->expiry_s);
    put_uint(&b, 1, w->has_expiry);
    put_uint(&b, 1, w->is_retain);
    put_uint(&b, 1, w->qos);
    put_sized(&b, w->topic);
    put_sized(&b, w->headers);
    put_sized(&b, w->payload);
    if (b.err == PIXI_OK)
        put(o, 'w', 0, pixi_buf_cur(&b));
    pixi_buf_clear(&b);
}

void pixi_mqtt_forget_records(struct pixi_mqtt_session *o)
{
    if (!o->has_records)
        return;
    for (struct pixi_hub_sub *sub = o->peer.hub ? pixi_hub_next_sub(&o->peer, NULL) : NULL; sub;
         sub = pixi_hub_next_sub(&o->peer, sub))
        forget(o, 's', ((const struct pixi_mqtt_sub *)sub->user)->no);
    forget(o, 'w', 0);
    forget(o, 'c', 0);
}

/* --- what waits for it ---------------------------------------------------------------------------------------- */

void pixi_mqtt_save(struct pixi_mqtt_session *o)
{
    if (!pixi_mqtt_is_saved(o))
        return;
    o->is_dirty = true;
    if (!o->is_saving)
        pixi_loop_defer(o->server->loop, &o->task);
}

static void on_soon(struct pixi_timer *t)
{
    pixi_mqtt_save(PIXI_LIST_ITEM(t, struct pixi_mqtt_session, save_due));
}

void pixi_mqtt_save_soon(struct pixi_mqtt_session *o)
{
    if (!pixi_mqtt_is_saved(o) || o->is_dirty || pixi_timer_is_set(&o->save_due))
        return;
    o->save_due.on_due = on_soon;
    pixi_loop_set_timer(o->server->loop, &o->save_due, SOON_MS);
}

void pixi_mqtt_send_saved(struct pixi_mqtt_session *o, const struct pixi_mqtt_packet *p)
{
    if (!o->conn)
        return;
    if (!pixi_mqtt_is_saved(o)) {
        pixi_mqtt_send(o->conn, p);
        return;
    }
    o->server->counters.mqtt_out[p->type]++;
    pixi_buf_put_cur(&o->held, pixi_buf_cur(pixi_mqtt_encode(o->conn, p)));
    pixi_mqtt_save(o);
}

void pixi_mqtt_send_put(struct pixi_mqtt_session *o, const struct pixi_mqtt_packet *p)
{
    o->server->counters.mqtt_out[p->type]++;
    pixi_buf_put_cur(&o->flying, pixi_buf_cur(pixi_mqtt_encode(o->conn, p)));
    o->is_saving = true; /* a round of nothing else */
}

static void begin_round(struct pixi_mqtt_session *o)
{
    struct pixi_buf was = o->flying;

    o->is_dirty = false;
    o->is_saving = true;
    o->flying = o->held;
    o->held = was;
    pixi_buf_reset(&o->held);
    for (struct pixi_list *l = o->incoming.next; l != &o->incoming; l = l->next) {
        struct pixi_mqtt_incoming *in = PIXI_LIST_ITEM(l, struct pixi_mqtt_incoming, in_session);

        if (in->state == PIXI_MQTT_IN_WAITS)
            in->state = PIXI_MQTT_IN_SAVES;
    }
    put_core(o);
}

static void send_flying(struct pixi_mqtt_session *o)
{
    struct pixi_conn *c = o->conn;
    int rc = o->flying.err;

    if (!c || c->link.state != PIXI_LINK_OPEN || (rc == PIXI_OK && !o->flying.len))
        return;
    if (rc == PIXI_OK)
        rc = pixi_link_send(&c->link, PIXI_WS_BINARY, o->flying.bytes, o->flying.len);
    if (rc == PIXI_E_QUEUE)
        pixi_conn_close_slow(c);
    else if (rc != PIXI_OK && rc != PIXI_E_WS_CLOSED)
        pixi_link_fail(&c->link, rc);
    pixi_buf_reset(&o->flying);
    c->mqtt->is_connected = true; /* its CONNACK was the first to wait */
    pixi_loop_defer(o->server->loop, &c->pump);
}

static void end_round(struct pixi_mqtt_session *o)
{
    int err = o->save_err;

    o->is_saving = false;
    o->save_err = PIXI_OK;
    if (err == PIXI_OK) {
        send_flying(o);
        pixi_mqtt_publish_saved(o);
        return;
    }
    pixi_buf_reset(&o->flying); /* it was not said: the client asks again */
    if (o->conn)
        pixi_mqtt_disconnect(o->conn, PIXI_MQTT_R_QUOTA, PIXI_WS_CLOSE_LATER,
                             "the session could not be stored");
}

void pixi_mqtt_save_now(struct pixi_mqtt_session *o)
{
    if (o->is_saving && !o->puts)
        end_round(o);
    if (o->is_dirty && !o->is_saving && o->state == PIXI_MQTT_LIVES)
        begin_round(o);
    if (o->is_saving && !o->puts) /* it answered at once, or could not begin */
        pixi_loop_defer(o->server->loop, &o->task);
}

void pixi_mqtt_save_last(struct pixi_mqtt_session *o)
{
    if (pixi_mqtt_is_saved(o))
        put_core(o);
}
