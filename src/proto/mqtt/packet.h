/* packet.h -- MQTT control packets, 3.1.1 and 5.0, both directions. No I/O, no allocation: what is read borrows from
 * the bytes it was read from.
 *
 * One packet is a fixed header (pixi_mqtt_head_decode) and a body of a known length (pixi_mqtt_packet_decode);
 * reader.h joins the two over a stream. Everything above sees the terms of 5.0: an MQTT 3.1.1 packet has no properties,
 * its CONNACK's return code is told as a reason code, and what 3.1.1 has no place for is left out when writing. */
#ifndef PIXI_PROTO_MQTT_PACKET_H
#define PIXI_PROTO_MQTT_PACKET_H

#include "base/buf.h"
#include "base/role.h"
#include "proto/mqtt/prop.h"
#include "proto/mqtt/reason.h"

/* The protocol level that CONNECT carries: MQTT 3.1.1, MQTT 5.0. */
enum pixi_mqtt_version { PIXI_MQTT_V3 = 4, PIXI_MQTT_V5 = 5 };

enum { PIXI_MQTT_HEAD_MAX = 5 }; /* bytes */

struct pixi_mqtt_head {
    uint32_t len; /* of the body, bytes */
    uint8_t type; /* enum pixi_mqtt_where, 1 .. 15 */
    uint8_t flags;
};

struct pixi_mqtt_will {
    struct pixi_cur topic; /* p == NULL: no will */
    struct pixi_cur payload;
    struct pixi_mqtt_props props;
    uint8_t qos; /* 0 .. 2 */
    bool is_retain;
};

struct pixi_mqtt_connect {
    enum pixi_mqtt_version version;
    bool is_clean;             /* Clean Start, or Clean Session in 3.1.1 */
    uint16_t keep_alive_s;     /* 0: none */
    struct pixi_cur client_id; /* empty: the server is to choose */
    struct pixi_cur user;      /* p == NULL: none */
    struct pixi_cur password;  /* p == NULL: none; binary */
    struct pixi_mqtt_will will;
};

struct pixi_mqtt_publish {
    struct pixi_cur topic; /* empty with a Topic Alias */
    struct pixi_cur payload;
    uint8_t qos; /* 0 .. 2 */
    bool is_retain, is_dup;
};

struct pixi_mqtt_packet {
    enum pixi_mqtt_where type; /* 1 .. 15 */
    uint8_t reason;            /* CONNACK, PUBACK .. PUBCOMP, DISCONNECT, AUTH; 0 where none is said */
    uint16_t id;               /* packet identifier; 0 where there is none */
    struct pixi_mqtt_props props;
    union {
        struct pixi_mqtt_connect connect;
        bool is_session_present; /* CONNACK */
        struct pixi_mqtt_publish publish;
        struct pixi_cur list; /* SUBSCRIBE, UNSUBSCRIBE: filters, checked (pixi_mqtt_filter_next);
                               * SUBACK, UNSUBACK: a reason code a byte, checked */
    };
};

/* One filter of a SUBSCRIBE or UNSUBSCRIBE. */
struct pixi_mqtt_filter {
    struct pixi_cur filter;  /* borrowed */
    uint8_t qos;             /* 0 .. 2; this and what follows: SUBSCRIBE only */
    uint8_t retain_handling; /* 0: send retained, 1: only to a new subscription, 2: never. 0 in 3.1.1 */
    bool is_no_local, is_retain_as_published; /* false in 3.1.1 */
};

/* pixi_mqtt_type_name -- "PUBLISH"; "Will" for 0; "reserved" for no type of a packet. Static. */
const char *pixi_mqtt_type_name(unsigned type);

/* pixi_mqtt_head_decode -- read one fixed header.                   MQTT 5 §2.1.1, 3.1.1 §2.2
 *
 *   in       received bytes; moved past the header on PIXI_OK, untouched otherwise
 *   from     who sent them
 *   version  of the connection; 0 while it is not known: then only a CONNECT goes
 *   out      written on PIXI_OK
 *
 *   PIXI_OK               2 .. PIXI_MQTT_HEAD_MAX bytes consumed; out->len bytes of body follow
 *   PIXI_MORE             call again with the same bytes plus at least one more
 *   PIXI_E_MQTT_TYPE      type 0; type 15 in 3.1.1 (§2.1.2)                                    reason 0x81
 *   PIXI_E_MQTT_DIRECTION a packet that this side never sends (§2.1.2)                         reason 0x82
 *   PIXI_E_MQTT_FLAGS     flags are fixed but for PUBLISH's [MQTT-2.1.3-1]                     reason 0x81
 *   PIXI_E_MQTT_QOS       PUBLISH with QoS 3 [MQTT-3.3.1-4]                                    reason 0x81
 *   PIXI_E_MQTT_DUP       PUBLISH with DUP and QoS 0 [MQTT-3.3.1-2]                            reason 0x82
 *   PIXI_E_MQTT_FIRST     no CONNECT, and version is 0 [MQTT-3.1.0-1]                          reason 0x82
 *   PIXI_E_MQTT_VARINT    remaining length over four bytes or not in its shortest form         reason 0x81
 *
 * An error is final: more bytes never change it. Limits on the length are the reader's. */
int pixi_mqtt_head_decode(struct pixi_cur *in, enum pixi_role from, unsigned version,
                          struct pixi_mqtt_head *out);

/* pixi_mqtt_packet_decode -- read a packet's body.                  MQTT 5 §3, 3.1.1 §3
 *
 *   head     as pixi_mqtt_head_decode gave it
 *   body     exactly head->len bytes
 *   from     who sent it
 *   version  of the connection; a CONNECT is read by the version that it names
 *   out      written on PIXI_OK; borrows from body
 *
 *   PIXI_E_MQTT_SHORT, _TRAILING   a field runs past the body; bytes behind the last field     reason 0x81
 *   PIXI_E_MQTT_UTF8               as pixi_mqtt_str_decode                                     reason 0x81
 *   PIXI_E_MQTT_VARINT, _PROP_ID, _PROP_PLACE, _PROP_TWICE, _PROP_VALUE, _ALIAS, _AUTH_DATA
 *                                  as pixi_mqtt_props_decode
 *   PIXI_E_MQTT_PACKET_ID   0 where an identifier must stand [MQTT-2.2.1-3]                    reason 0x82
 *   PIXI_E_MQTT_REASON      a code that may not stand here, or not from this side [MQTT-3.2.2-8], [MQTT-3.4.2-1],
 *                           [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1], [MQTT-3.9.3-2],
 *                           [MQTT-3.11.3-2], [MQTT-3.14.2-1], [MQTT-3.15.2-1]                  reason 0x82
 * CONNECT
 *   PIXI_E_MQTT_NAME        the protocol name is not "MQTT" [MQTT-3.1.2-1]                     reason 0x84
 *   PIXI_E_MQTT_VERSION     neither 4 nor 5 [MQTT-3.1.2-2]                                     reason 0x84
 *   PIXI_E_MQTT_RESERVED    connect flag bit 0 [MQTT-3.1.2-3]                                  reason 0x81
 *   PIXI_E_MQTT_WILL        Will QoS 3, or QoS or Retain without a Will [MQTT-3.1.2-11 .. -13] reason 0x81
 *   PIXI_E_MQTT_PASSWORD    3.1.1: a password without a user name [MQTT-3.1.2-22]              reason 0x81
 *   PIXI_E_MQTT_CLIENT_ID   3.1.1: empty, and the session is to be kept [MQTT-3.1.3-8]         reason 0x85
 *   PIXI_E_MQTT_TOPIC       the Will Topic is no topic name (§4.7)                             reason 0x81
 * CONNACK
 *   PIXI_E_MQTT_RESERVED    acknowledge flag bits 1 .. 7 [MQTT-3.2.2-1]                        reason 0x81
 *   PIXI_E_MQTT_SESSION     Session Present beside a refusal [MQTT-3.2.2-6]                    reason 0x82
 * In 5.0 a CONNACK of 3.1.1 with return code 1 is read, too: so answers a server that knows only that.
 * PUBLISH
 *   PIXI_E_MQTT_TOPIC       no topic name [MQTT-3.3.2-1], [MQTT-3.3.2-2]                       reason 0x81
 *   PIXI_E_MQTT_NO_TOPIC    5.0: empty, and no Topic Alias (§3.3.2.1)                          reason 0x82
 * SUBSCRIBE, UNSUBSCRIBE, SUBACK, UNSUBACK
 *   PIXI_E_MQTT_EMPTY       no filter, no code [MQTT-3.8.3-2], [MQTT-3.10.3-2]                 reason 0x82
 *   PIXI_E_MQTT_FILTER      no topic filter (§4.7.1, §4.8.2)                                   reason 0x81
 *   PIXI_E_MQTT_RESERVED    option bits 6, 7 (3.1.1: 2 .. 7) [MQTT-3.8.3-5]                    reason 0x81
 *   PIXI_E_MQTT_OPTION      QoS 3 or Retain Handling 3 (§3.8.3.1)                              reason 0x82
 *   PIXI_E_MQTT_NO_LOCAL    on a shared subscription [MQTT-3.8.3-4]                            reason 0x82
 * AUTH
 *   PIXI_E_MQTT_AUTH        without an Authentication Method (§3.15.2.2.2)                     reason 0x82 */
int pixi_mqtt_packet_decode(const struct pixi_mqtt_head *head, struct pixi_cur body, enum pixi_role from,
                            unsigned version, struct pixi_mqtt_packet *out);

/* pixi_mqtt_connect_version -- in which version to answer a CONNECT with this body, whether or not it can be read
 * otherwise: PIXI_MQTT_V3 up to level 4, and for MQTT 3.1; PIXI_MQTT_V5 above; 0 when it is nothing of the kind. */
unsigned pixi_mqtt_connect_version(struct pixi_cur body);

/* pixi_mqtt_filter_next -- the next filter of a checked list. list starts as packet.list; false at its end.
 *   type  PIXI_MQTT_SUBSCRIBE or PIXI_MQTT_UNSUBSCRIBE */
bool pixi_mqtt_filter_next(struct pixi_cur *list, enum pixi_mqtt_where type, struct pixi_mqtt_filter *out);

/* pixi_mqtt_filter_put -- write one filter to the end of a list that is being made in b; errors stick. */
void pixi_mqtt_filter_put(struct pixi_buf *b, enum pixi_mqtt_where type, const struct pixi_mqtt_filter *f);

/* pixi_mqtt_packet_encode -- write a whole packet.                  MQTT 5 §3, 3.1.1 §3
 *
 *   b        copies; PIXI_E_LIMIT sticks when the packet or a string in it is over what the form allows
 *   version  of the connection; ignored for a CONNECT, which has its own
 *   p        as pixi_mqtt_packet_decode gives it. The caller vouches for the rules above.
 *
 * In MQTT 3.1.1 properties, reasons of acknowledgements and the codes of an UNSUBACK are left out, failures in a SUBACK
 * are 0x80, and a CONNACK has the return code that says the same. Nothing is written for what cannot be said there: AUTH,
 * a DISCONNECT with a reason of 0x80 and above (a server's), a CONNACK with a reason that has no return code. */
void pixi_mqtt_packet_encode(struct pixi_buf *b, unsigned version, const struct pixi_mqtt_packet *p);

/* pixi_mqtt_publish_head -- write the beginning of a PUBLISH whose end many receivers share.
 *
 *   p         type PIXI_MQTT_PUBLISH; its own properties (Subscription Identifier, Topic Alias) in p->props;
 *             publish.payload is not looked at
 *   rest_len  bytes that follow: shared properties, then the payload
 *   props_len of these, the properties. 0 in 3.1.1 */
void pixi_mqtt_publish_head(struct pixi_buf *b, unsigned version, const struct pixi_mqtt_packet *p,
                            size_t props_len, size_t rest_len);

#endif
