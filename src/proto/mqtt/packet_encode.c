#include "proto/mqtt/field.h"
#include "proto/mqtt/packet.h"
#include "proto/mqtt/varint.h"

#include <assert.h>

static void put_byte(struct pixi_buf *b, unsigned byte)
{
    pixi_mqtt_uint_put(b, 1, byte);
}

/* Anything longer could not be announced. */
static bool is_sayable(struct pixi_buf *b, size_t len)
{
    if (len > PIXI_MQTT_VARINT_MAX && b->err == PIXI_OK)
        b->err = PIXI_E_LIMIT;
    return b->err == PIXI_OK;
}

static void put_props(struct pixi_buf *b, unsigned version, const struct pixi_mqtt_props *props)
{
    size_t len = pixi_cur_left(&props->block);

    if (version == PIXI_MQTT_V3 || !is_sayable(b, len))
        return;
    pixi_mqtt_varint_put(b, (uint32_t)len);
    pixi_buf_put_cur(b, props->block);
}

static unsigned connect_flags(const struct pixi_mqtt_connect *c)
{
    unsigned flags = (c->is_clean ? 0x02u : 0) | (c->user.p ? 0x80u : 0) | (c->password.p ? 0x40u : 0);

    if (c->will.topic.p)
        flags |= 0x04u | (unsigned)c->will.qos << 3 | (c->will.is_retain ? 0x20u : 0);
    return flags;
}

static void put_connect(struct pixi_buf *b, unsigned version, const struct pixi_mqtt_packet *p)
{
    const struct pixi_mqtt_connect *c = &p->connect;

    pixi_mqtt_bin_put(b, pixi_cur_str("MQTT"));
    put_byte(b, version);
    put_byte(b, connect_flags(c));
    pixi_mqtt_uint_put(b, 2, c->keep_alive_s);
    put_props(b, version, &p->props);
    pixi_mqtt_bin_put(b, c->client_id);
    if (c->will.topic.p) {
        put_props(b, version, &c->will.props);
        pixi_mqtt_bin_put(b, c->will.topic);
        pixi_mqtt_bin_put(b, c->will.payload);
    }
    if (c->user.p)
        pixi_mqtt_bin_put(b, c->user);
    if (c->password.p)
        pixi_mqtt_bin_put(b, c->password);
}

static void put_connack(struct pixi_buf *b, unsigned version, const struct pixi_mqtt_packet *p)
{
    put_byte(b, p->is_session_present);
    put_byte(b, version == PIXI_MQTT_V3 ? (unsigned)pixi_mqtt_return_code(p->reason) : p->reason);
    put_props(b, version, &p->props);
}

/* Left out where it may be: a reason of 0, and no properties behind any. */
static void put_outcome(struct pixi_buf *b, unsigned version, const struct pixi_mqtt_packet *p)
{
    bool has_props = p->props.block.p != p->props.block.end;

    if (version == PIXI_MQTT_V3 || (!p->reason && !has_props))
        return;
    put_byte(b, p->reason);
    if (has_props)
        put_props(b, version, &p->props);
}

static void put_ack(struct pixi_buf *b, unsigned version, const struct pixi_mqtt_packet *p)
{
    pixi_mqtt_uint_put(b, 2, p->id);
    put_outcome(b, version, p);
}

static void put_filters(struct pixi_buf *b, unsigned version, const struct pixi_mqtt_packet *p)
{
    pixi_mqtt_uint_put(b, 2, p->id);
    put_props(b, version, &p->props);
    pixi_buf_put_cur(b, p->list);
}

static void put_suback(struct pixi_buf *b, unsigned version, const struct pixi_mqtt_packet *p)
{
    pixi_mqtt_uint_put(b, 2, p->id);
    put_props(b, version, &p->props);
    for (const uint8_t *code = p->list.p; code != p->list.end; code++)
        put_byte(b, version == PIXI_MQTT_V3 && pixi_mqtt_reason_is_error(*code) ? PIXI_MQTT_R_UNSPECIFIED
                                                                                : *code);
}

static void put_unsuback(struct pixi_buf *b, unsigned version, const struct pixi_mqtt_packet *p)
{
    pixi_mqtt_uint_put(b, 2, p->id);
    put_props(b, version, &p->props);
    if (version != PIXI_MQTT_V3)
        pixi_buf_put_cur(b, p->list);
}

static void put_nothing(struct pixi_buf *b, unsigned version, const struct pixi_mqtt_packet *p)
{
    (void)b;
    (void)version;
    (void)p;
}

static void put_auth(struct pixi_buf *b, unsigned version, const struct pixi_mqtt_packet *p)
{
    put_byte(b, p->reason);
    put_props(b, version, &p->props);
}

static const struct {
    void (*put)(struct pixi_buf *, unsigned version, const struct pixi_mqtt_packet *);
    uint8_t flags;
} writers[16] = {
    [PIXI_MQTT_CONNECT] = {put_connect, 0},     [PIXI_MQTT_CONNACK] = {put_connack, 0},
    [PIXI_MQTT_PUBACK] = {put_ack, 0},          [PIXI_MQTT_PUBREC] = {put_ack, 0},
    [PIXI_MQTT_PUBREL] = {put_ack, 2},          [PIXI_MQTT_PUBCOMP] = {put_ack, 0},
    [PIXI_MQTT_SUBSCRIBE] = {put_filters, 2},   [PIXI_MQTT_SUBACK] = {put_suback, 0},
    [PIXI_MQTT_UNSUBSCRIBE] = {put_filters, 2}, [PIXI_MQTT_UNSUBACK] = {put_unsuback, 0},
    [PIXI_MQTT_PINGREQ] = {put_nothing, 0},     [PIXI_MQTT_PINGRESP] = {put_nothing, 0},
    [PIXI_MQTT_DISCONNECT] = {put_outcome, 0},  [PIXI_MQTT_AUTH] = {put_auth, 0},
};

static bool is_unsayable_in_3(const struct pixi_mqtt_packet *p)
{
    switch (p->type) {
    case PIXI_MQTT_AUTH: return true;
    case PIXI_MQTT_DISCONNECT: return pixi_mqtt_reason_is_error(p->reason);
    case PIXI_MQTT_CONNACK: return pixi_mqtt_return_code(p->reason) < 0;
    default: return false;
    }
}

static void put_head(struct pixi_buf *b, unsigned first_byte, size_t len)
{
    if (!is_sayable(b, len))
        return;
    put_byte(b, first_byte);
    pixi_mqtt_varint_put(b, (uint32_t)len);
}

/* Moves a body that was put from `start` on back behind its header. */
static void put_head_before(struct pixi_buf *b, size_t start, unsigned first_byte)
{
    size_t len = b->len - start, head_len;
    uint8_t head[PIXI_MQTT_HEAD_MAX];

    put_head(b, first_byte, len);
    if (b->err)
        return;
    head_len = b->len - start - len;
    memcpy(head, b->bytes + start + len, head_len);
    memmove(b->bytes + start + head_len, b->bytes + start, len);
    memcpy(b->bytes + start, head, head_len);
}

void pixi_mqtt_publish_head(struct pixi_buf *b, unsigned version, const struct pixi_mqtt_packet *p,
                            size_t props_len, size_t rest_len)
{
    const struct pixi_mqtt_publish *m = &p->publish;
    size_t own = pixi_cur_left(&p->props.block),
           len = 2 + pixi_cur_left(&m->topic) + (m->qos ? 2 : 0) + rest_len;

    assert(p->type == PIXI_MQTT_PUBLISH && props_len <= rest_len);
    if (version != PIXI_MQTT_V3) {
        if (!is_sayable(b, own + props_len))
            return;
        len += pixi_mqtt_varint_size((uint32_t)(own + props_len)) + own;
    }
    put_head(b, 0x30u | (m->is_dup ? 8u : 0) | (unsigned)m->qos << 1 | m->is_retain, len);
    pixi_mqtt_bin_put(b, m->topic);
    if (m->qos)
        pixi_mqtt_uint_put(b, 2, p->id);
    if (version == PIXI_MQTT_V3 || b->err)
        return;
    pixi_mqtt_varint_put(b, (uint32_t)(own + props_len));
    pixi_buf_put_cur(b, p->props.block);
}

void pixi_mqtt_packet_encode(struct pixi_buf *b, unsigned version, const struct pixi_mqtt_packet *p)
{
    size_t start = b->len;

    if (p->type == PIXI_MQTT_PUBLISH) {
        pixi_mqtt_publish_head(b, version, p, 0, pixi_cur_left(&p->publish.payload));
        pixi_buf_put_cur(b, p->publish.payload);
        return;
    }
    if (p->type == PIXI_MQTT_CONNECT)
        version = p->connect.version;
    if (version == PIXI_MQTT_V3 && is_unsayable_in_3(p))
        return;
    writers[p->type].put(b, version, p);
    put_head_before(b, start, (unsigned)p->type << 4 | writers[p->type].flags);
}

void pixi_mqtt_filter_put(struct pixi_buf *b, enum pixi_mqtt_where type, const struct pixi_mqtt_filter *f)
{
    pixi_mqtt_bin_put(b, f->filter);
    if (type == PIXI_MQTT_SUBSCRIBE)
        put_byte(b, f->qos | (f->is_no_local ? 4u : 0) | (f->is_retain_as_published ? 8u : 0) |
                        (unsigned)f->retain_handling << 4);
}
