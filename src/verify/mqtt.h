/* mqtt.h -- MQTT 3.1.1 and 5.0 over a WebSocket, as a verifier speaks it: packets written as one asks for, read strictly.
 *
 * A second reading of the specification. "MQTT §" is the OASIS standard of version 5.0, where 3.1.1 says the same. */
#ifndef PIXI_VERIFY_MQTT_H
#define PIXI_VERIFY_MQTT_H

#include "verify/check.h"

enum { PIXI_VMQTT_TOPIC = 128, PIXI_VMQTT_PAYLOAD = 4096 };

/* Types of packets.                                                  MQTT §2.1.2 */
enum {
    PIXI_VMQTT_CONNECT = 1,
    PIXI_VMQTT_CONNACK,
    PIXI_VMQTT_PUBLISH,
    PIXI_VMQTT_PUBACK,
    PIXI_VMQTT_PUBREC,
    PIXI_VMQTT_PUBREL,
    PIXI_VMQTT_PUBCOMP,
    PIXI_VMQTT_SUBSCRIBE,
    PIXI_VMQTT_SUBACK,
    PIXI_VMQTT_UNSUBSCRIBE,
    PIXI_VMQTT_UNSUBACK,
    PIXI_VMQTT_PINGREQ,
    PIXI_VMQTT_PINGRESP,
    PIXI_VMQTT_DISCONNECT,
    PIXI_VMQTT_AUTH,
};

/* What came. */
enum pixi_vmqtt_came {
    PIXI_VMQTT_CAME,   /* a packet */
    PIXI_VMQTT_CLOSED, /* a close frame: m->event */
    PIXI_VMQTT_ENDED,  /* the connection ended without one, or broke RFC 6455: m->rc */
    PIXI_VMQTT_SILENT, /* nothing in time */
    PIXI_VMQTT_BROKEN, /* no MQTT: m->broken says what, m->clause where that is written */
};

struct pixi_vmqtt_packet {
    uint8_t type, flags;
    struct pixi_cur body; /* after the fixed header; borrowed until the next call */
};

struct pixi_vmqtt {
    struct pixi_peer peer;
    unsigned level; /* 4: 3.1.1, 5: 5.0 */
    uint16_t last_id;
    struct pixi_buf in;  /* the bytes of binary messages, put together */
    size_t taken;        /* of them */
    unsigned unreleased; /* messages of QoS 2 that came and whose PUBREL did not */
    /* what the CONNACK said */
    bool is_resumed, can_retain;
    uint8_t reason, max_qos;
    uint16_t keepalive_s; /* what holds */
    /* of what came last and was no packet */
    int rc;
    struct pixi_event event;
    const char *broken, *clause; /* static */
};

/* How to connect. All zero: a new session that ends with the connection, MQTT 5. */
struct pixi_vmqtt_connect {
    unsigned level;        /* 0: v->mqtt.level */
    const char *client_id; /* NULL: a random one */
    bool keeps_session;    /* take it up, and keep it for a minute */
    uint16_t keepalive_s, receive_max;
    uint32_t packet_max;
    const char *will_topic, *will_payload;
    enum { PIXI_VMQTT_RIGHT_KEY, PIXI_VMQTT_NO_KEY, PIXI_VMQTT_WRONG_KEY } key;
};

/* One message that came. */
struct pixi_vmqtt_message {
    char topic[PIXI_VMQTT_TOPIC];
    uint8_t qos;
    bool is_retained, is_dup;
    uint16_t id;
    struct pixi_cur payload; /* borrowed until the next call */
};

/* --- one packet ------------------------------------------------------------------------------------------------- */

/* pixi_vmqtt_put -- a packet with this first byte; pixi_vmqtt_put_u16, _text -- into its body.   MQTT §1.5, §2.1 */
void pixi_vmqtt_put(struct pixi_buf *out, uint8_t first, struct pixi_cur body);
void pixi_vmqtt_put_u16(struct pixi_buf *out, unsigned n);
void pixi_vmqtt_put_text(struct pixi_buf *out, struct pixi_cur text);

/* pixi_vmqtt_put_connect, _publish, _subscribe -- whole packets; qos is not checked. */
void pixi_vmqtt_put_connect(const struct pixi_verify *v, struct pixi_buf *out,
                            const struct pixi_vmqtt_connect *c);
void pixi_vmqtt_put_publish(const struct pixi_vmqtt *m, struct pixi_buf *out,
                            const struct pixi_vmqtt_message *msg);
void pixi_vmqtt_put_subscribe(const struct pixi_vmqtt *m, struct pixi_buf *out, const char *filter,
                              uint8_t qos);

/* pixi_vmqtt_send -- bytes in one binary message. */
void pixi_vmqtt_send(struct pixi_vmqtt *m, struct pixi_cur bytes);

enum pixi_vmqtt_came pixi_vmqtt_next(struct pixi_vmqtt *m, uint64_t deadline, struct pixi_vmqtt_packet *out);

/* pixi_vmqtt_cut -- one packet at the front of in. PIXI_OK: moved past it | PIXI_MORE
 * PIXI_E_LIMIT: a remaining length of more than four bytes or not in its shortest form, or a packet of more than 256 KiB */
int pixi_vmqtt_cut(struct pixi_cur *in, struct pixi_vmqtt_packet *out);

/* pixi_vmqtt_cut_properties -- a length and as many bytes of properties, each well formed.   MQTT 5 §2.2.2
 * pixi_vmqtt_cut_property -- the next of them; *number or *text is its value, of a pair the name. false: malformed */
bool pixi_vmqtt_cut_properties(struct pixi_cur *body, struct pixi_cur *out);
bool pixi_vmqtt_cut_property(struct pixi_cur *c, uint64_t *id, uint64_t *number, struct pixi_cur *text);

/* pixi_vmqtt_reason -- the reason code in a CONNACK, PUBACK ... DISCONNECT of this level; 0 where it has none.
 * *text: its reason string, or empty. false: the packet is malformed. */
bool pixi_vmqtt_reason(unsigned level, const struct pixi_vmqtt_packet *p, uint8_t *code,
                       struct pixi_cur *text);

/* --- a client: each of these tells its failure ------------------------------------------------------------------ */

/* pixi_vmqtt_upgrade -- only the WebSocket, with the subprotocol mqtt. As pixi_peer_open; pixi_vmqtt_close is due on any
 * answer. */
int pixi_vmqtt_upgrade(struct pixi_verify *v, struct pixi_vmqtt *m, const struct pixi_vmqtt_connect *c);
/* pixi_vmqtt_open -- and CONNECT, and a CONNACK that accepts. */
bool pixi_vmqtt_open(struct pixi_verify *v, struct pixi_vmqtt *m, const struct pixi_vmqtt_connect *c);
/* pixi_vmqtt_connack -- wait for it. true: m->reason says whether it accepts. */
bool pixi_vmqtt_connack(struct pixi_verify *v, struct pixi_vmqtt *m);
/* pixi_vmqtt_await -- the next packet is of this type; others fail. */
bool pixi_vmqtt_await(struct pixi_verify *v, struct pixi_vmqtt *m, uint8_t type, const char *awaited,
                      struct pixi_vmqtt_packet *out);
/* pixi_vmqtt_subscribe -- and wait until it is granted, at this QoS. */
bool pixi_vmqtt_subscribe(struct pixi_verify *v, struct pixi_vmqtt *m, const char *filter, uint8_t qos);
/* pixi_vmqtt_publish -- and wait for all acknowledgements of its QoS. msg->id is chosen here. */
bool pixi_vmqtt_publish(struct pixi_verify *v, struct pixi_vmqtt *m, struct pixi_vmqtt_message *msg);
/* pixi_vmqtt_ack -- wait for this acknowledgement of id, with a reason code below 0x80. */
bool pixi_vmqtt_ack(struct pixi_verify *v, struct pixi_vmqtt *m, uint8_t type, uint16_t id);
/* pixi_vmqtt_receive -- the next message, acknowledged as its QoS wants it; pixi_vmqtt_settle -- then the PUBRELs that are due. */
bool pixi_vmqtt_receive(struct pixi_verify *v, struct pixi_vmqtt *m, struct pixi_vmqtt_message *out);
bool pixi_vmqtt_settle(struct pixi_verify *v, struct pixi_vmqtt *m);
/* pixi_vmqtt_is_quiet -- nothing comes before the answer to a PINGREQ; a message does: cause and fix are told. */
bool pixi_vmqtt_is_quiet(struct pixi_verify *v, struct pixi_vmqtt *m, const char *cause, const char *fix);
/* pixi_vmqtt_acknowledge -- send this packet for an id. */
void pixi_vmqtt_acknowledge(struct pixi_vmqtt *m, uint8_t type, uint16_t id);

/* pixi_vmqtt_has_ended -- does the server end the connection in time? What else comes is passed over, but m->reason is that of
 * its DISCONNECT; 0: there was none. */
bool pixi_vmqtt_has_ended(struct pixi_vmqtt *m, uint32_t timeout_ms);

/* pixi_vmqtt_id_of -- the packet identifier of a PUBLISH of QoS 1 or 2; 0: there is none. */
uint16_t pixi_vmqtt_id_of(const struct pixi_vmqtt_packet *p);

/* pixi_vmqtt_close -- DISCONNECT, and close. pixi_vmqtt_abort -- cut by a reset. */
void pixi_vmqtt_close(struct pixi_vmqtt *m);
void pixi_vmqtt_abort(struct pixi_vmqtt *m);

void pixi_vmqtt_blame(struct pixi_verify *v, struct pixi_vmqtt *m, enum pixi_vmqtt_came came,
                      const char *awaited);
/* pixi_vmqtt_blame_reason -- it was refused with this reason code. */
void pixi_vmqtt_blame_reason(struct pixi_verify *v, const char *what, uint8_t code, struct pixi_cur text);

#endif
