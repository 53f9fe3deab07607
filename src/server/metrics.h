/* metrics.h -- what the server counts, and how it tells it: Prometheus' text format 0.0.4. */
#ifndef PIXI_SERVER_METRICS_H
#define PIXI_SERVER_METRICS_H

#include "base/buf.h"
#include "proto/rpc/params.h"

#include <stdbool.h>

struct pixi_server;

/* X(name, label): why something was refused, or a connection ended by us. A limit's label is its setting's name;
 * docs/metrics.md says of each what the client is told. */
#define PIXI_REFUSED(X)                                                                                      \
    /* before the upgrade */                                                                                 \
    X(CONNECTIONS, "connections")                                                                            \
    X(ADDRESS, "connections_per_address")                                                                    \
    X(HANDSHAKES, "handshakes")                                                                              \
    X(DESCRIPTORS, "descriptors")                                                                            \
    X(MEMORY, "memory")                                                                                      \
    X(HANDSHAKE_MS, "handshake_ms")                                                                          \
    X(HEAD_BYTES, "head_bytes")                                                                              \
    X(HEAD_FIELDS, "head_fields")                                                                            \
    X(REQUEST, "request")                                                                                    \
    X(PATH, "path")                                                                                          \
    X(SUBPROTOCOL, "subprotocol")                                                                            \
    X(ORIGIN, "origin")                                                                                      \
    X(KEY, "key")                                                                                            \
    X(NOT_READY, "not_ready")                                                                                \
    /* CONNECT, in MQTT */                                                                                   \
    X(CLIENT_ID, "client_id")                                                                                \
    X(SESSIONS, "sessions")                                                                                  \
    /* connections that are open */                                                                          \
    X(MESSAGE_BYTES, "message_bytes")                                                                        \
    X(MESSAGE_MS, "message_ms")                                                                              \
    X(PROTOCOL, "protocol")                                                                                  \
    X(QUEUE_BYTES, "queue_bytes")                                                                            \
    X(STALL_MS, "stall_ms")                                                                                  \
    X(HISTORY, "history")                                                                                    \
    X(IDLE_MS, "idle_ms")                                                                                    \
    X(KEEPALIVE, "keepalive")                                                                                \
    X(INFLIGHT, "inflight")                                                                                  \
    X(REVOKED, "revoked")                                                                                    \
    /* calls */                                                                                              \
    X(CALLS, "calls")                                                                                        \
    X(SUBSCRIPTIONS, "subscriptions")                                                                        \
    X(REQUESTS, "requests")                                                                                  \
    X(PUBLISH, "publish")                                                                                    \
    X(PUBLISHES_PER_S, "publishes_per_s")                                                                    \
    X(PUBLISH_BYTES_PER_S, "publish_bytes_per_s")

enum pixi_refused {
#define X(name, label) PIXI_REFUSED_##name,
    PIXI_REFUSED(X)
#undef X
        PIXI_REFUSED_COUNT
};

/* Messages of QoS 0 that did not reach a subscriber, and larger ones than a client takes. */
enum pixi_mqtt_dropped {
    PIXI_MQTT_DROPPED_SLOW,
    PIXI_MQTT_DROPPED_TOO_LARGE,
    PIXI_MQTT_DROPPED_REFUSED, /* nobody could be told: QoS 0, or `$...` in 3.1.1 */
    PIXI_MQTT_DROPPED_COUNT
};

enum pixi_reloaded { PIXI_RELOADED_SETTINGS, PIXI_RELOADED_KEYS, PIXI_RELOADED_TLS, PIXI_RELOADED_COUNT };

enum {
    PIXI_METRICS_UNKNOWN = PIXI_RPC_MESSAGE, /* for a method that is none of a client's */
    PIXI_METRICS_METHODS,
    PIXI_METRICS_RESULTS = 18,
    PIXI_METRICS_MAX = 1 << 20, /* bytes of a page */
};

/* All zero at first; they only rise. */
struct pixi_counters {
    uint64_t accepted, opened;
    uint64_t messages_in, messages_out;
    uint64_t bytes_in, bytes_out; /* of connections that are gone; the others have their own */
    uint64_t publishes, publish_bytes;
    uint64_t fell_behind;
    uint64_t mqtt_in[16], mqtt_out[16]; /* packets, by type */
    uint64_t mqtt_dropped[PIXI_MQTT_DROPPED_COUNT];
    uint64_t mqtt_wills;
    uint64_t mqtt_connected; /* now */
    uint64_t refused[PIXI_REFUSED_COUNT];
    uint64_t calls[PIXI_METRICS_METHODS][PIXI_METRICS_RESULTS];
    uint64_t reloads[PIXI_RELOADED_COUNT][2]; /* those that failed, those that did not */
};

/* pixi_metrics_count_call -- a call, or a notification, ended. method: PIXI_METRICS_UNKNOWN where it is none;
 * err: PIXI_OK, or what it was answered with. */
void pixi_metrics_count_call(struct pixi_counters *c, unsigned method, int err);

/* pixi_metrics_put -- the whole page. Errors stick in b. */
void pixi_metrics_put(const struct pixi_server *s, struct pixi_buf *b);

#endif
