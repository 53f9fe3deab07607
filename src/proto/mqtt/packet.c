#include "proto/mqtt/packet.h"
#include "proto/mqtt/varint.h"

enum { C3 = 1, S3 = 2, C5 = 4, S5 = 8, ALL = 15 }; /* who may send it, in which version */
enum { ANY_FLAGS = 0xff, QOS_SHIFT = 1, DUP = 8 };

/* Tables 2-1 and 2-2 of either version. */
static const struct {
    const char *name;
    uint8_t flags;
    uint8_t senders;
} table[16] = {
    [0] = {"reserved", 0, 0},
    [PIXI_MQTT_CONNECT] = {"CONNECT", 0, C3 | C5},
    [PIXI_MQTT_CONNACK] = {"CONNACK", 0, S3 | S5},
    [PIXI_MQTT_PUBLISH] = {"PUBLISH", ANY_FLAGS, ALL},
    [PIXI_MQTT_PUBACK] = {"PUBACK", 0, ALL},
    [PIXI_MQTT_PUBREC] = {"PUBREC", 0, ALL},
    [PIXI_MQTT_PUBREL] = {"PUBREL", 2, ALL},
    [PIXI_MQTT_PUBCOMP] = {"PUBCOMP", 0, ALL},
    [PIXI_MQTT_SUBSCRIBE] = {"SUBSCRIBE", 2, C3 | C5},
    [PIXI_MQTT_SUBACK] = {"SUBACK", 0, S3 | S5},
    [PIXI_MQTT_UNSUBSCRIBE] = {"UNSUBSCRIBE", 2, C3 | C5},
    [PIXI_MQTT_UNSUBACK] = {"UNSUBACK", 0, S3 | S5},
    [PIXI_MQTT_PINGREQ] = {"PINGREQ", 0, C3 | C5},
    [PIXI_MQTT_PINGRESP] = {"PINGRESP", 0, S3 | S5},
    [PIXI_MQTT_DISCONNECT] = {"DISCONNECT", 0, C3 | C5 | S5},
    [PIXI_MQTT_AUTH] = {"AUTH", 0, C5 | S5},
};

const char *pixi_mqtt_type_name(unsigned type)
{
    return type < 16 ? table[type].name : "reserved";
}

static int check_publish_flags(unsigned flags)
{
    unsigned qos = flags >> QOS_SHIFT & 3;

    if (qos == 3)
        return PIXI_E_MQTT_QOS;
    return flags & DUP && qos == 0 ? PIXI_E_MQTT_DUP : PIXI_OK;
}

static int check_first_byte(unsigned type, unsigned flags, enum pixi_role from, unsigned version)
{
    unsigned senders = table[type].senders & (version == PIXI_MQTT_V3 ? C3 | S3 : C5 | S5);

    if (!senders)
        return PIXI_E_MQTT_TYPE;
    if (!(senders & (from == PIXI_CLIENT ? C3 | C5 : S3 | S5)))
        return PIXI_E_MQTT_DIRECTION;
    if (version == 0 && type != PIXI_MQTT_CONNECT)
        return PIXI_E_MQTT_FIRST;
    if (type == PIXI_MQTT_PUBLISH)
        return check_publish_flags(flags);
    return flags == table[type].flags ? PIXI_OK : PIXI_E_MQTT_FLAGS;
}

int pixi_mqtt_head_decode(struct pixi_cur *in, enum pixi_role from, unsigned version,
                          struct pixi_mqtt_head *out)
{
    struct pixi_mqtt_head h = {0};
    struct pixi_cur c = *in;
    uint64_t b0;
    int rc;

    if (!pixi_cur_uint(&c, 1, &b0))
        return PIXI_MORE;
    h.type = (uint8_t)(b0 >> 4);
    h.flags = b0 & 15;
    if ((rc = check_first_byte(h.type, h.flags, from, version)) != PIXI_OK)
        return rc;
    if ((rc = pixi_mqtt_varint_decode(&c, &h.len)) != PIXI_OK)
        return rc;
    *out = h;
    *in = c;
    return PIXI_OK;
}
