/* mqtt.h -- what the files of the dialect mqtt share. Private to src/client.
 *
 *     dialect_mqtt.c   the connection: CONNECT, keep alive, packets to their handlers
 *     mqtt_call.c      what goes out: calls, packet identifiers, acknowledgements that come
 *     mqtt_message.c   what comes in: messages, their acknowledgement, replies */
#ifndef PIXI_CLIENT_MQTT_H
#define PIXI_CLIENT_MQTT_H

#include "client/dialect.h"
#include "proto/mqtt/reader.h"

enum {
    PIXI_MQTT_OWN_ID = 32,       /* bytes of a client identifier that is made up, NUL included */
    PIXI_MQTT_IDS = 65536 / 8,   /* bytes of a set of packet identifiers */
    PIXI_MQTT_RECEIVE_MAX = 64,  /* messages of QoS 1 and 2 that may come unacknowledged */
    PIXI_MQTT_ASKED = 256,       /* requests that may still be answered */
    PIXI_MQTT_REPLY_TOPIC = 1100 /* bytes */
};

/* A user property that marks a reply as an error: docs/protocol.md. */
#define PIXI_MQTT_ERROR "pixi-error"

/* A request that came. topic NULL: none. */
struct pixi_mqtt_asked {
    uint64_t id;
    char *topic; /* owned, with what follows it */
    struct pixi_cur correlation;
};

/* A message for which there is no room yet: its packet, as it came. */
struct pixi_mqtt_held {
    struct pixi_mqtt_held *next;
    size_t len;
    uint8_t bytes[];
};

struct pixi_uplink_mqtt {
    struct pixi_uplink *client;
    unsigned version;
    struct pixi_mqtt_reader reader;
    struct pixi_buf rest;                   /* of a packet cut short */
    struct pixi_buf packet, props, headers; /* while one is made or told */
    struct pixi_timer timer;                /* for CONNACK, then keep alive */
    uint32_t keep_alive_ms;                 /* 0: none */
    bool is_pinged;
    char own_id[PIXI_MQTT_OWN_ID]; /* "": the settings name one */
    bool was_connected;            /* before, by this client: its session may still be there */
    bool has_session;              /* the server has it */

    /* what the server takes, by its CONNACK */
    uint32_t packet_max, receive_max;
    uint8_t qos_max;
    bool can_retain, can_number; /* retained messages, subscription identifiers */

    uint16_t last_id;
    uint32_t unanswered;           /* PUBLISH of QoS 1 and 2 of this connection */
    uint8_t flying[PIXI_MQTT_IDS]; /* packet identifiers under way, each a bit */

    uint8_t received[PIXI_MQTT_IDS]; /* of QoS 2, until released */
    const struct pixi_mqtt_packet
        *taking; /* a message that is being told; NULL: none, or acknowledged already */
    struct pixi_mqtt_held *held, **held_end;
    size_t held_bytes;
    bool is_behind; /* messages were passed over: they come again on the next connection */
    struct pixi_mqtt_asked asked[PIXI_MQTT_ASKED]; /* the oldest gives way */
    uint64_t last_asked;
    char reply_topic[PIXI_MQTT_REPLY_TOPIC]; /* "": nothing was asked yet */
};

static inline bool pixi_mqtt_id_is_set(const uint8_t *set, uint16_t id)
{
    return set[id >> 3] >> (id & 7) & 1;
}

static inline void pixi_mqtt_id_set(uint8_t *set, uint16_t id)
{
    set[id >> 3] |= (uint8_t)(1u << (id & 7));
}

static inline void pixi_mqtt_id_clear(uint8_t *set, uint16_t id)
{
    set[id >> 3] &= (uint8_t) ~(1u << (id & 7));
}

/* --- dialect_mqtt.c */

/* As pixi_link_send. */
int pixi_mqtt_say(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p);
/* The server broke a rule: it is told, and the connection ends. */
void pixi_mqtt_broken(struct pixi_uplink_mqtt *m, int err);

/* --- mqtt_call.c */

void pixi_mqtt_subscribe(struct pixi_uplink *c, struct pixi_uplink_sub *s);
int pixi_mqtt_unsubscribe(struct pixi_uplink *c, struct pixi_uplink_sub *s);
int pixi_mqtt_publish(struct pixi_uplink *c, const struct pixi_uplink_out *out, uint64_t timeout_ms,
                      pixi_uplink_on_answer *on_answer, void *ctx);
int pixi_mqtt_request(struct pixi_uplink *c, const struct pixi_uplink_out *out, uint64_t timeout_ms,
                      pixi_uplink_on_answer *on_answer, void *ctx);
int pixi_mqtt_reply(struct pixi_uplink *c, uint64_t request, struct pixi_cur payload, const char *error);
int pixi_mqtt_send_call(struct pixi_uplink_call *call);
/* PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK. */
void pixi_mqtt_take_ack(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p);
/* A message on the topic for replies. */
void pixi_mqtt_take_reply(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p);
/* The server has no session of ours: what it had not answered yet begins anew, or is in doubt. */
void pixi_mqtt_forget_session(struct pixi_uplink_mqtt *m);
/* Subscribes to the topic for replies, where one is in use. */
void pixi_mqtt_subscribe_replies(struct pixi_uplink_mqtt *m);

/* --- mqtt_message.c */

void pixi_mqtt_take_publish(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p);
/* A message is being told, and what it is told to closes the connection: it is acknowledged before that. */
void pixi_mqtt_acknowledge(struct pixi_uplink_mqtt *m);
void pixi_mqtt_take_release(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_packet *p);
void pixi_mqtt_catch_up(struct pixi_uplink *c);
void pixi_mqtt_drop_held(struct pixi_uplink_mqtt *m);
void pixi_mqtt_drop_asked(struct pixi_uplink_mqtt *m);
/* User properties as headers, in m->headers. */
void pixi_mqtt_take_headers(struct pixi_uplink_mqtt *m, const struct pixi_mqtt_props *props);

extern const struct pixi_dialect pixi_dialect_mqtt;

#endif
