/* mqtt_text.h -- a packet of MQTT as text, all that it says: what two readings are compared by. */
#ifndef PIXI_TESTS_MQTT_TEXT_H
#define PIXI_TESTS_MQTT_TEXT_H

#include "proto/mqtt/packet.h"

#include <assert.h>

enum { MQTT_TEXT_SHOWN_MAX = 300 };

/* Hex, or when it is long its length and a hash. */
static inline void mqtt_text_put_hex(struct pixi_buf *out, const char *name, struct pixi_cur c)
{
    uint64_t hash = 0xcbf29ce484222325;

    if (!c.p)
        return;
    pixi_buf_putf(out, ",%s=", name);
    if (pixi_cur_left(&c) > MQTT_TEXT_SHOWN_MAX) {
        pixi_buf_putf(out, "%zu:", pixi_cur_left(&c));
        for (; c.p != c.end; c.p++)
            hash = (hash ^ *c.p) * 0x100000001b3;
        pixi_buf_putf(out, "%016jx", (uintmax_t)hash);
    }
    for (; c.p != c.end; c.p++)
        pixi_buf_putf(out, "%02x", *c.p);
}

static inline void mqtt_text_put_props(struct pixi_buf *out, const struct pixi_mqtt_props *props)
{
    struct pixi_cur rest = props->block;
    struct pixi_mqtt_prop p;

    while (pixi_mqtt_prop_next(&rest, &p)) {
        assert(pixi_mqtt_prop_has(props, p.id));
        pixi_buf_putf(out, ",%s=%u", pixi_mqtt_prop_name(p.id), p.num);
        mqtt_text_put_hex(out, "name", p.name);
        mqtt_text_put_hex(out, "val", p.val);
    }
    assert(rest.p == rest.end);
}

static inline void mqtt_text_put_connect(struct pixi_buf *out, const struct pixi_mqtt_connect *c)
{
    pixi_buf_putf(out, ",v%d,clean=%d,alive=%u", c->version, c->is_clean, c->keep_alive_s);
    mqtt_text_put_hex(out, "client", c->client_id);
    mqtt_text_put_hex(out, "user", c->user);
    mqtt_text_put_hex(out, "password", c->password);
    if (!c->will.topic.p)
        return;
    mqtt_text_put_hex(out, "will", c->will.topic);
    mqtt_text_put_hex(out, "payload", c->will.payload);
    pixi_buf_putf(out, ",qos=%u,retain=%d", c->will.qos, c->will.is_retain);
    mqtt_text_put_props(out, &c->will.props);
}

/* Two packets that say the same have the same text. */
static inline void mqtt_text_put(struct pixi_buf *out, const struct pixi_mqtt_packet *p)
{
    pixi_buf_putf(out, "%s,reason=%u,id=%u", pixi_mqtt_type_name(p->type), p->reason, p->id);
    mqtt_text_put_props(out, &p->props);
    switch (p->type) {
    case PIXI_MQTT_CONNECT: mqtt_text_put_connect(out, &p->connect); break;
    case PIXI_MQTT_CONNACK: pixi_buf_putf(out, ",session=%d", p->is_session_present); break;
    case PIXI_MQTT_PUBLISH:
        pixi_buf_putf(out, ",qos=%u,retain=%d,dup=%d", p->publish.qos, p->publish.is_retain,
                      p->publish.is_dup);
        mqtt_text_put_hex(out, "topic", p->publish.topic);
        mqtt_text_put_hex(out, "payload", p->publish.payload);
        break;
    case PIXI_MQTT_SUBSCRIBE:
    case PIXI_MQTT_UNSUBSCRIBE:
    case PIXI_MQTT_SUBACK:
    case PIXI_MQTT_UNSUBACK: mqtt_text_put_hex(out, "list", p->list); break;
    default: break;
    }
}

#endif
