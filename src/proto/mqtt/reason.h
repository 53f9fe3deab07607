/* reason.h -- MQTT 5.0 reason codes, §2.4, and which one tells a peer about its error. MQTT 3.1.1's return codes are
 * read into and written from these, so that nobody else needs to know two sets. */
#ifndef PIXI_PROTO_MQTT_REASON_H
#define PIXI_PROTO_MQTT_REASON_H

#include "base/err.h"
#include "base/role.h"
#include "proto/mqtt/prop.h"

/* X(name, value, text): Table 2-6. */
#define PIXI_MQTT_REASONS(X)                                                                                 \
    X(SUCCESS, 0x00, "success")                                                                              \
    X(GRANTED_1, 0x01, "granted QoS 1")                                                                      \
    X(GRANTED_2, 0x02, "granted QoS 2")                                                                      \
    X(WITH_WILL, 0x04, "disconnect with will message")                                                       \
    X(NO_SUBSCRIBERS, 0x10, "no matching subscribers")                                                       \
    X(NO_SUBSCRIPTION, 0x11, "no subscription existed")                                                      \
    X(CONTINUE_AUTH, 0x18, "continue authentication")                                                        \
    X(REAUTHENTICATE, 0x19, "re-authenticate")                                                               \
    X(UNSPECIFIED, 0x80, "unspecified error")                                                                \
    X(MALFORMED, 0x81, "malformed packet")                                                                   \
    X(PROTOCOL, 0x82, "protocol error")                                                                      \
    X(IMPLEMENTATION, 0x83, "implementation specific error")                                                 \
    X(VERSION, 0x84, "unsupported protocol version")                                                         \
    X(CLIENT_ID, 0x85, "client identifier not valid")                                                        \
    X(BAD_USER, 0x86, "bad user name or password")                                                           \
    X(NOT_AUTHORIZED, 0x87, "not authorized")                                                                \
    X(UNAVAILABLE, 0x88, "server unavailable")                                                               \
    X(BUSY, 0x89, "server busy")                                                                             \
    X(BANNED, 0x8a, "banned")                                                                                \
    X(SHUTTING_DOWN, 0x8b, "server shutting down")                                                           \
    X(BAD_AUTH_METHOD, 0x8c, "bad authentication method")                                                    \
    X(KEEP_ALIVE, 0x8d, "keep alive timeout")                                                                \
    X(TAKEN_OVER, 0x8e, "session taken over")                                                                \
    X(FILTER, 0x8f, "topic filter invalid")                                                                  \
    X(TOPIC, 0x90, "topic name invalid")                                                                     \
    X(ID_IN_USE, 0x91, "packet identifier in use")                                                           \
    X(ID_NOT_FOUND, 0x92, "packet identifier not found")                                                     \
    X(RECEIVE_MAX, 0x93, "receive maximum exceeded")                                                         \
    X(TOPIC_ALIAS, 0x94, "topic alias invalid")                                                              \
    X(TOO_LARGE, 0x95, "packet too large")                                                                   \
    X(RATE, 0x96, "message rate too high")                                                                   \
    X(QUOTA, 0x97, "quota exceeded")                                                                         \
    X(ADMINISTRATIVE, 0x98, "administrative action")                                                         \
    X(PAYLOAD_FORMAT, 0x99, "payload format invalid")                                                        \
    X(NO_RETAIN, 0x9a, "retain not supported")                                                               \
    X(NO_QOS, 0x9b, "QoS not supported")                                                                     \
    X(USE_ANOTHER, 0x9c, "use another server")                                                               \
    X(MOVED, 0x9d, "server moved")                                                                           \
    X(NO_SHARED, 0x9e, "shared subscriptions not supported")                                                 \
    X(CONNECTION_RATE, 0x9f, "connection rate exceeded")                                                     \
    X(CONNECT_TIME, 0xa0, "maximum connect time")                                                            \
    X(NO_SUBSCRIPTION_ID, 0xa1, "subscription identifiers not supported")                                    \
    X(NO_WILDCARD, 0xa2, "wildcard subscriptions not supported")

enum pixi_mqtt_reason {
#define X(name, value, text) PIXI_MQTT_R_##name = (value),
    PIXI_MQTT_REASONS(X)
#undef X
};

/* pixi_mqtt_reason_text -- "not authorized"; "unknown reason" for a value that is none. Static. */
const char *pixi_mqtt_reason_text(unsigned reason);

/* pixi_mqtt_reason_check -- may this code stand in this packet, sent by this side?     MQTT 5 §3.2.2.2 .. §3.15.2.1
 * PIXI_OK or PIXI_E_MQTT_REASON. */
int pixi_mqtt_reason_check(unsigned reason, enum pixi_mqtt_where where, enum pixi_role from);

/* pixi_mqtt_reason_is_error -- 0x80 and above. */
static inline bool pixi_mqtt_reason_is_error(unsigned reason)
{
    return reason >= 0x80;
}

/* pixi_mqtt_reason_for -- what tells a peer about its error, or that its wish cannot be met: for CONNACK, DISCONNECT,
 * PUBACK, SUBACK. 0x80 for an error that has none of its own. */
enum pixi_mqtt_reason pixi_mqtt_reason_for(int err);

/* pixi_mqtt_return_code -- the return code of a CONNACK of MQTT 3.1.1 that says the same, 0 .. 5; -1 when there is none:
 * the server then closes without a CONNACK [MQTT-3.2.2-6 of 3.1.1].
 * pixi_mqtt_reason_of -- and back: code is 0 .. 5. */
int pixi_mqtt_return_code(unsigned reason);
enum pixi_mqtt_reason pixi_mqtt_reason_of(unsigned code);

#endif
