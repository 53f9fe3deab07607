/* prop.h -- MQTT 5.0 properties, §2.2.2. One table says what each is, where it may stand and who may send it. */
#ifndef PIXI_PROTO_MQTT_PROP_H
#define PIXI_PROTO_MQTT_PROP_H

#include "base/buf.h"
#include "base/role.h"

/* Where a block of properties stands: the control packet types 1 .. 15, and the Will of a CONNECT. */
enum pixi_mqtt_where {
    PIXI_MQTT_WILL = 0,
    PIXI_MQTT_CONNECT = 1,
    PIXI_MQTT_CONNACK = 2,
    PIXI_MQTT_PUBLISH = 3,
    PIXI_MQTT_PUBACK = 4,
    PIXI_MQTT_PUBREC = 5,
    PIXI_MQTT_PUBREL = 6,
    PIXI_MQTT_PUBCOMP = 7,
    PIXI_MQTT_SUBSCRIBE = 8,
    PIXI_MQTT_SUBACK = 9,
    PIXI_MQTT_UNSUBSCRIBE = 10,
    PIXI_MQTT_UNSUBACK = 11,
    PIXI_MQTT_PINGREQ = 12,
    PIXI_MQTT_PINGRESP = 13,
    PIXI_MQTT_DISCONNECT = 14,
    PIXI_MQTT_AUTH = 15,
};

/* Identifiers, Table 2-4. */
enum pixi_mqtt_prop_id {
    PIXI_MQTT_PROP_PAYLOAD_FORMAT = 0x01,
    PIXI_MQTT_PROP_MESSAGE_EXPIRY = 0x02, /* s */
    PIXI_MQTT_PROP_CONTENT_TYPE = 0x03,
    PIXI_MQTT_PROP_RESPONSE_TOPIC = 0x08,
    PIXI_MQTT_PROP_CORRELATION_DATA = 0x09,
    PIXI_MQTT_PROP_SUBSCRIPTION_ID = 0x0b,
    PIXI_MQTT_PROP_SESSION_EXPIRY = 0x11, /* s; 0xffffffff: never */
    PIXI_MQTT_PROP_ASSIGNED_CLIENT_ID = 0x12,
    PIXI_MQTT_PROP_SERVER_KEEP_ALIVE = 0x13, /* s */
    PIXI_MQTT_PROP_AUTH_METHOD = 0x15,
    PIXI_MQTT_PROP_AUTH_DATA = 0x16,
    PIXI_MQTT_PROP_REQUEST_PROBLEM_INFO = 0x17,
    PIXI_MQTT_PROP_WILL_DELAY = 0x18, /* s */
    PIXI_MQTT_PROP_REQUEST_RESPONSE_INFO = 0x19,
    PIXI_MQTT_PROP_RESPONSE_INFO = 0x1a,
    PIXI_MQTT_PROP_SERVER_REFERENCE = 0x1c,
    PIXI_MQTT_PROP_REASON_STRING = 0x1f,
    PIXI_MQTT_PROP_RECEIVE_MAX = 0x21,     /* packets */
    PIXI_MQTT_PROP_TOPIC_ALIAS_MAX = 0x22, /* aliases */
    PIXI_MQTT_PROP_TOPIC_ALIAS = 0x23,
    PIXI_MQTT_PROP_MAX_QOS = 0x24,
    PIXI_MQTT_PROP_RETAIN_AVAILABLE = 0x25,
    PIXI_MQTT_PROP_USER = 0x26,
    PIXI_MQTT_PROP_MAX_PACKET = 0x27, /* bytes */
    PIXI_MQTT_PROP_WILDCARD_AVAILABLE = 0x28,
    PIXI_MQTT_PROP_SUBSCRIPTION_ID_AVAILABLE = 0x29,
    PIXI_MQTT_PROP_SHARED_AVAILABLE = 0x2a,
};

enum pixi_mqtt_prop_type {
    PIXI_MQTT_U8 = 1,
    PIXI_MQTT_U16,
    PIXI_MQTT_U32,
    PIXI_MQTT_VARINT,
    PIXI_MQTT_STR,
    PIXI_MQTT_BIN,
    PIXI_MQTT_PAIR,
};

struct pixi_mqtt_prop {
    uint8_t id; /* enum pixi_mqtt_prop_id */
    enum pixi_mqtt_prop_type type;
    uint32_t num;              /* U8, U16, U32, VARINT */
    struct pixi_cur name, val; /* STR, BIN: val; PAIR: name and val. Borrowed from the block */
};

/* A block of properties, in wire form and without its length. All zero: none. */
struct pixi_mqtt_props {
    struct pixi_cur block; /* borrowed; one that was decoded is checked */
    uint64_t seen;         /* decoded: bit i is set when property i is there */
};

/* pixi_mqtt_props_decode -- read a block's length and check all that is in it.        MQTT 5 §2.2.2
 *
 *   in     the rest of a whole packet; moved past the block on PIXI_OK, untouched otherwise
 *   where  what it stands in
 *   from   who sent it
 *   out    written on PIXI_OK; borrows from in
 *
 *   PIXI_E_MQTT_SHORT       the block runs past the packet, or a value past the block    reason 0x81
 *   PIXI_E_MQTT_VARINT      a length or number is not in its shortest form               reason 0x81
 *   PIXI_E_MQTT_UTF8        a string is no UTF-8, or holds U+0000                        reason 0x81
 *   PIXI_E_MQTT_PROP_ID     no property has this identifier (§2.2.2.2)                   reason 0x81
 *   PIXI_E_MQTT_PROP_PLACE  it may not stand here, or this side may not send it (§2.2.2.2, [MQTT-3.3.4-6],
 *                           [MQTT-3.14.2-2])                                             reason 0x81
 *   PIXI_E_MQTT_PROP_TWICE  a second time where once is allowed                          reason 0x82
 *   PIXI_E_MQTT_PROP_VALUE  a value that is ruled out: not 0 or 1, or 0                  reason 0x82
 *   PIXI_E_MQTT_ALIAS       Topic Alias 0 [MQTT-3.3.2-8]                                 reason 0x94
 *   PIXI_E_MQTT_TOPIC       the Response Topic is no topic name [MQTT-3.3.2-14]          reason 0x81
 *   PIXI_E_MQTT_AUTH_DATA   Authentication Data without a method (§3.1.2.11.10)          reason 0x82 */
int pixi_mqtt_props_decode(struct pixi_cur *in, enum pixi_mqtt_where where, enum pixi_role from,
                           struct pixi_mqtt_props *out);

/* pixi_mqtt_prop_next -- step through a checked block. rest starts as props.block; false when nothing is left. */
bool pixi_mqtt_prop_next(struct pixi_cur *rest, struct pixi_mqtt_prop *out);

static inline bool pixi_mqtt_prop_has(const struct pixi_mqtt_props *p, enum pixi_mqtt_prop_id id)
{
    return p->seen >> id & 1;
}

/* pixi_mqtt_prop_num -- the number of the first property with this id in a decoded block, or `otherwise`.
 * pixi_mqtt_prop_val -- its string or binary data; p == NULL when there is none. Borrows from the block. */
uint32_t pixi_mqtt_prop_num(const struct pixi_mqtt_props *p, enum pixi_mqtt_prop_id id, uint32_t otherwise);
struct pixi_cur pixi_mqtt_prop_val(const struct pixi_mqtt_props *p, enum pixi_mqtt_prop_id id);

/* Writers: one property each, to the end of a block that is being made in b; the table gives its form. The caller
 * vouches that it fits. Make the packet with `.props.block = pixi_buf_cur(&b)`. */
void pixi_mqtt_prop_put_num(struct pixi_buf *b, enum pixi_mqtt_prop_id id, uint32_t num);
void pixi_mqtt_prop_put_val(struct pixi_buf *b, enum pixi_mqtt_prop_id id, struct pixi_cur val);
void pixi_mqtt_prop_put_user(struct pixi_buf *b, struct pixi_cur name, struct pixi_cur val);

/* pixi_mqtt_prop_name -- the specification's name, "Topic Alias"; NULL for an id that is none. Static. */
const char *pixi_mqtt_prop_name(unsigned id);

#endif
