/* reader.h -- a stream of bytes in, control packets out, and the order they must come in. MQTT 5 §2, §3.1, §3.2, §4.12.
 *
 * Packets may come in any pieces: over WebSocket they span and share frames [MQTT-6.0.0-2]. One that lies whole in the
 * input is read where it lies; only one that was cut is gathered, in a buffer that the caller lends. A packet is handed
 * on as a whole, its payload too: the maximum packet size is what bounds it. */
#ifndef PIXI_PROTO_MQTT_READER_H
#define PIXI_PROTO_MQTT_READER_H

#include "proto/mqtt/packet.h"

struct pixi_mqtt_reader {
    enum pixi_role from;
    uint8_t version; /* enum pixi_mqtt_version; from a client 0 until its CONNECT came */
    uint8_t state;   /* private to reader.c */
    uint8_t head_len;
    bool was_first;          /* CONNECT or CONNACK has come */
    bool may_auth;           /* an authentication method is agreed: AUTH may come */
    uint32_t packet_max;     /* bytes, fixed header included; may be changed between packets */
    uint64_t offset;         /* bytes read, ever */
    uint64_t start;          /* of the packet under way */
    struct pixi_fault fault; /* err is PIXI_OK while there is none */
    struct pixi_mqtt_head head;
    uint8_t bytes[PIXI_MQTT_HEAD_MAX]; /* of a fixed header cut short */
};

/* pixi_mqtt_reader_init -- read what `from` sends.
 *
 *   version     PIXI_CLIENT: 0, its CONNECT says it. PIXI_SERVER: what our CONNECT said
 *   packet_max  bytes, fixed header included
 *
 * A client that named an authentication method in its CONNECT sets may_auth; a server's reader does it by itself. */
void pixi_mqtt_reader_init(struct pixi_mqtt_reader *r, enum pixi_role from, unsigned version,
                           uint32_t packet_max);

/* pixi_mqtt_reader_next -- the next packet.
 *
 *   in    received bytes; moved past what was read (all of it on PIXI_MORE)
 *   rest  gathers a packet that was cut; empty at first, touched by nobody else until the reader is idle. Its ceiling
 *         is at least packet_max
 *   out   written on PIXI_OK; borrows from in or from rest until the next call
 *
 *   PIXI_OK               call again before reading more from the peer
 *   PIXI_MORE             nothing left to report: feed the bytes that come next
 *   PIXI_E_MQTT_TOO_BIG   told by the fixed header, before any of the body (§3.1.2.11.4)         reason 0x95
 *   PIXI_E_MQTT_FIRST     the client's first packet is no CONNECT [MQTT-3.1.0-1], the server's neither CONNACK nor,
 *                         where agreed, AUTH [MQTT-3.2.0-1]                                       reason 0x82
 *   PIXI_E_MQTT_AGAIN     a second CONNECT [MQTT-3.1.0-2] or CONNACK [MQTT-3.2.0-2]               reason 0x82
 *   PIXI_E_MQTT_AUTH      AUTH, and no method was agreed [MQTT-4.12.0-6], [MQTT-4.12.0-7]         reason 0x82
 *   any of pixi_mqtt_head_decode and pixi_mqtt_packet_decode
 *   PIXI_E_NOMEM, PIXI_E_LIMIT   of rest; final as the others
 *
 * An error is final and r->fault tells at which packet's first byte; r->version then says in which version to answer,
 * 0: in none. A DISCONNECT is final, too: what comes after it is passed over. Every way of cutting the stream gives the
 * same packets. */
int pixi_mqtt_reader_next(struct pixi_mqtt_reader *r, struct pixi_cur *in, struct pixi_buf *rest,
                          struct pixi_mqtt_packet *out);

/* pixi_mqtt_reader_is_idle -- between packets: the peer could go here and cut nothing short, and rest may be released.
 * Not before the packet that was handed on last is done with. */
bool pixi_mqtt_reader_is_idle(const struct pixi_mqtt_reader *r);

#endif
