#include "proto/mqtt/prop.h"
#include "base/topic.h"
#include "proto/mqtt/field.h"
#include "proto/mqtt/varint.h"

#include <assert.h>

#define IN(w)   (1u << PIXI_MQTT_##w)
#define ACKS    (IN(PUBACK) | IN(PUBREC) | IN(PUBREL) | IN(PUBCOMP))
#define SUBACKS (IN(SUBACK) | IN(UNSUBACK))
#define MESSAGE (IN(PUBLISH) | IN(WILL))
#define ENDS    (IN(DISCONNECT) | IN(AUTH))

/* What a value may be, beyond its type. */
enum check { ANY, BOOL, POSITIVE, ALIAS, TOPIC };

/* Table 2-4. clients, servers: where each side may send it; repeat: where it may stand more than once. */
static const struct {
    const char *name; /* NULL: no such property */
    enum pixi_mqtt_prop_type type;
    unsigned clients, servers, repeat;
    enum check check;
} table[] = {
    [0x01] = {"Payload Format Indicator", PIXI_MQTT_U8, MESSAGE, IN(PUBLISH), 0, BOOL},
    [0x02] = {"Message Expiry Interval", PIXI_MQTT_U32, MESSAGE, IN(PUBLISH), 0, ANY},
    [0x03] = {"Content Type", PIXI_MQTT_STR, MESSAGE, IN(PUBLISH), 0, ANY},
    [0x08] = {"Response Topic", PIXI_MQTT_STR, MESSAGE, IN(PUBLISH), 0, TOPIC},
    [0x09] = {"Correlation Data", PIXI_MQTT_BIN, MESSAGE, IN(PUBLISH), 0, ANY},
    /* [MQTT-3.3.4-6]: a client says its identifier when it subscribes, and only then */
    [0x0b] = {"Subscription Identifier", PIXI_MQTT_VARINT, IN(SUBSCRIBE), IN(PUBLISH), IN(PUBLISH), POSITIVE},
    /* [MQTT-3.14.2-2]: not in a server's DISCONNECT */
    [0x11] = {"Session Expiry Interval", PIXI_MQTT_U32, IN(CONNECT) | IN(DISCONNECT), IN(CONNACK), 0, ANY},
    [0x12] = {"Assigned Client Identifier", PIXI_MQTT_STR, 0, IN(CONNACK), 0, ANY},
    [0x13] = {"Server Keep Alive", PIXI_MQTT_U16, 0, IN(CONNACK), 0, ANY},
    [0x15] = {"Authentication Method", PIXI_MQTT_STR, IN(CONNECT) | IN(AUTH), IN(CONNACK) | IN(AUTH), 0, ANY},
    [0x16] = {"Authentication Data", PIXI_MQTT_BIN, IN(CONNECT) | IN(AUTH), IN(CONNACK) | IN(AUTH), 0, ANY},
    [0x17] = {"Request Problem Information", PIXI_MQTT_U8, IN(CONNECT), 0, 0, BOOL},
    [0x18] = {"Will Delay Interval", PIXI_MQTT_U32, IN(WILL), 0, 0, ANY},
    [0x19] = {"Request Response Information", PIXI_MQTT_U8, IN(CONNECT), 0, 0, BOOL},
    [0x1a] = {"Response Information", PIXI_MQTT_STR, 0, IN(CONNACK), 0, ANY},
    [0x1c] = {"Server Reference", PIXI_MQTT_STR, 0, IN(CONNACK) | IN(DISCONNECT), 0, ANY},
    [0x1f] = {"Reason String", PIXI_MQTT_STR, ACKS | ENDS, IN(CONNACK) | ACKS | SUBACKS | ENDS, 0, ANY},
    [0x21] = {"Receive Maximum", PIXI_MQTT_U16, IN(CONNECT), IN(CONNACK), 0, POSITIVE},
    [0x22] = {"Topic Alias Maximum", PIXI_MQTT_U16, IN(CONNECT), IN(CONNACK), 0, ANY},
    [0x23] = {"Topic Alias", PIXI_MQTT_U16, IN(PUBLISH), IN(PUBLISH), 0, ALIAS},
    [0x24] = {"Maximum QoS", PIXI_MQTT_U8, 0, IN(CONNACK), 0, BOOL},
    [0x25] = {"Retain Available", PIXI_MQTT_U8, 0, IN(CONNACK), 0, BOOL},
    [0x26] = {"User Property", PIXI_MQTT_PAIR, ~0u, ~0u, ~0u, ANY},
    [0x27] = {"Maximum Packet Size", PIXI_MQTT_U32, IN(CONNECT), IN(CONNACK), 0, POSITIVE},
    [0x28] = {"Wildcard Subscription Available", PIXI_MQTT_U8, 0, IN(CONNACK), 0, BOOL},
    [0x29] = {"Subscription Identifier Available", PIXI_MQTT_U8, 0, IN(CONNACK), 0, BOOL},
    [0x2a] = {"Shared Subscription Available", PIXI_MQTT_U8, 0, IN(CONNACK), 0, BOOL},
};

enum { COUNT = sizeof table / sizeof table[0] };

static bool is_property(uint32_t id)
{
    return id < COUNT && table[id].name;
}

const char *pixi_mqtt_prop_name(unsigned id)
{
    return is_property(id) ? table[id].name : NULL;
}

/* Inside a container that is there as a whole there is no "more". */
static int read_varint(struct pixi_cur *c, uint32_t *out)
{
    int rc = pixi_mqtt_varint_decode(c, out);

    return rc == PIXI_MORE ? PIXI_E_MQTT_SHORT : rc;
}

static int read_num(struct pixi_cur *c, size_t width, uint32_t *out)
{
    uint64_t v;

    if (!pixi_cur_uint(c, width, &v))
        return PIXI_E_MQTT_SHORT;
    *out = (uint32_t)v;
    return PIXI_OK;
}

static int read_pair(struct pixi_cur *c, struct pixi_mqtt_prop *p)
{
    int rc = pixi_mqtt_str_decode(c, &p->name);

    return rc != PIXI_OK ? rc : pixi_mqtt_str_decode(c, &p->val);
}

static int read_value(struct pixi_cur *c, struct pixi_mqtt_prop *p)
{
    switch (p->type) {
    case PIXI_MQTT_U8: return read_num(c, 1, &p->num);
    case PIXI_MQTT_U16: return read_num(c, 2, &p->num);
    case PIXI_MQTT_U32: return read_num(c, 4, &p->num);
    case PIXI_MQTT_VARINT: return read_varint(c, &p->num);
    case PIXI_MQTT_STR: return pixi_mqtt_str_decode(c, &p->val);
    case PIXI_MQTT_BIN: return pixi_mqtt_bin_decode(c, &p->val);
    case PIXI_MQTT_PAIR: return read_pair(c, p);
    }
    return PIXI_E_MQTT_PROP_ID;
}

static int check_value(const struct pixi_mqtt_prop *p)
{
    switch (table[p->id].check) {
    case ANY: return PIXI_OK;
    case BOOL: return p->num <= 1 ? PIXI_OK : PIXI_E_MQTT_PROP_VALUE;
    case POSITIVE: return p->num > 0 ? PIXI_OK : PIXI_E_MQTT_PROP_VALUE;
    case ALIAS: return p->num > 0 ? PIXI_OK : PIXI_E_MQTT_ALIAS;
    case TOPIC: return pixi_topic_check(p->val) == PIXI_OK ? PIXI_OK : PIXI_E_MQTT_TOPIC;
    }
    return PIXI_E_MQTT_PROP_VALUE;
}

static int read_id(struct pixi_cur *c, struct pixi_mqtt_prop *p)
{
    uint32_t id;
    int rc = read_varint(c, &id);

    if (rc != PIXI_OK)
        return rc;
    if (!is_property(id))
        return PIXI_E_MQTT_PROP_ID;
    *p = (struct pixi_mqtt_prop){.id = (uint8_t)id, .type = table[id].type};
    return PIXI_OK;
}

static int check_place(unsigned id, enum pixi_mqtt_where where, enum pixi_role from, uint64_t seen)
{
    unsigned places = from == PIXI_CLIENT ? table[id].clients : table[id].servers;

    if (!(places >> where & 1))
        return PIXI_E_MQTT_PROP_PLACE;
    return seen >> id & 1 && !(table[id].repeat >> where & 1) ? PIXI_E_MQTT_PROP_TWICE : PIXI_OK;
}

static int check_block(struct pixi_cur block, enum pixi_mqtt_where where, enum pixi_role from, uint64_t *seen)
{
    struct pixi_mqtt_prop p;
    int rc;

    while (block.p != block.end) {
        if ((rc = read_id(&block, &p)) != PIXI_OK ||
            (rc = check_place(p.id, where, from, *seen)) != PIXI_OK ||
            (rc = read_value(&block, &p)) != PIXI_OK || (rc = check_value(&p)) != PIXI_OK)
            return rc;
        *seen |= UINT64_C(1) << p.id;
    }
    return PIXI_OK;
}

int pixi_mqtt_props_decode(struct pixi_cur *in, enum pixi_mqtt_where where, enum pixi_role from,
                           struct pixi_mqtt_props *out)
{
    struct pixi_mqtt_props props = {0};
    struct pixi_cur c = *in;
    uint32_t len;
    int rc;

    if ((rc = read_varint(&c, &len)) != PIXI_OK)
        return rc;
    if (!pixi_cur_cut(&c, len, &props.block))
        return PIXI_E_MQTT_SHORT;
    if ((rc = check_block(props.block, where, from, &props.seen)) != PIXI_OK)
        return rc;
    if (pixi_mqtt_prop_has(&props, PIXI_MQTT_PROP_AUTH_DATA) &&
        !pixi_mqtt_prop_has(&props, PIXI_MQTT_PROP_AUTH_METHOD))
        return PIXI_E_MQTT_AUTH_DATA;
    *out = props;
    *in = c;
    return PIXI_OK;
}

bool pixi_mqtt_prop_next(struct pixi_cur *rest, struct pixi_mqtt_prop *out)
{
    struct pixi_cur c = *rest;
    struct pixi_mqtt_prop p;

    if (c.p == c.end || read_id(&c, &p) != PIXI_OK || read_value(&c, &p) != PIXI_OK)
        return false;
    *out = p;
    *rest = c;
    return true;
}

static bool find(const struct pixi_mqtt_props *props, enum pixi_mqtt_prop_id id, struct pixi_mqtt_prop *out)
{
    struct pixi_cur rest = props->block;

    if (!pixi_mqtt_prop_has(props, id))
        return false;
    while (pixi_mqtt_prop_next(&rest, out))
        if (out->id == id)
            return true;
    return false;
}

uint32_t pixi_mqtt_prop_num(const struct pixi_mqtt_props *p, enum pixi_mqtt_prop_id id, uint32_t otherwise)
{
    struct pixi_mqtt_prop found;

    return find(p, id, &found) ? found.num : otherwise;
}

struct pixi_cur pixi_mqtt_prop_val(const struct pixi_mqtt_props *p, enum pixi_mqtt_prop_id id)
{
    struct pixi_mqtt_prop found;

    return find(p, id, &found) ? found.val : (struct pixi_cur){0};
}

static void put_id(struct pixi_buf *b, unsigned id)
{
    uint8_t byte = (uint8_t)id; /* all are below 128: a varint of one byte */

    pixi_buf_put(b, &byte, 1);
}

void pixi_mqtt_prop_put_num(struct pixi_buf *b, enum pixi_mqtt_prop_id id, uint32_t num)
{
    static const uint8_t widths[] = {[PIXI_MQTT_U8] = 1, [PIXI_MQTT_U16] = 2, [PIXI_MQTT_U32] = 4};

    assert(table[id].type <= PIXI_MQTT_VARINT);
    put_id(b, id);
    if (table[id].type == PIXI_MQTT_VARINT)
        pixi_mqtt_varint_put(b, num);
    else
        pixi_mqtt_uint_put(b, widths[table[id].type], num);
}

void pixi_mqtt_prop_put_val(struct pixi_buf *b, enum pixi_mqtt_prop_id id, struct pixi_cur val)
{
    assert(table[id].type == PIXI_MQTT_STR || table[id].type == PIXI_MQTT_BIN);
    put_id(b, id);
    pixi_mqtt_bin_put(b, val);
}

void pixi_mqtt_prop_put_user(struct pixi_buf *b, struct pixi_cur name, struct pixi_cur val)
{
    put_id(b, PIXI_MQTT_PROP_USER);
    pixi_mqtt_bin_put(b, name);
    pixi_mqtt_bin_put(b, val);
}
