/* err.h -- every status code, once. Enum, name, text, clause and docs page all come from this list. */
#ifndef PIXI_BASE_ERR_H
#define PIXI_BASE_ERR_H

#include <stdint.h>

/* X(name, value, text, clause). Negative: failed. Values are ABI: append, never renumber.
 * clause is "" where no specification is broken (resource, system and settings errors). */
#define PIXI_ERRORS(X)                                                                                       \
    /* resource or system */                                                                                 \
    X(NOMEM, -1, "out of memory", "")                                                                        \
    X(LIMIT, -2, "over a configured limit", "")                                                              \
    X(SYS, -3, "the operating system refused", "")                                                           \
    X(TIMEOUT, -4, "timed out", "")                                                                          \
    X(NAME, -5, "name not found", "")                                                                        \
    X(CONNECT, -6, "could not connect", "")                                                                  \
    X(RESET, -7, "connection lost", "")                                                                      \
    X(SETTINGS, -8, "settings are wrong", "")                                                                \
    X(QUEUE, -9, "send queue is full", "")                                                                   \
    /* JSON */                                                                                               \
    X(JSON_SYNTAX, -10, "not JSON", "RFC 8259 §2")                                                           \
    X(JSON_STRING, -11, "bad string or escape", "RFC 8259 §7")                                               \
    X(JSON_NUMBER, -12, "bad number", "RFC 8259 §6")                                                         \
    X(JSON_UTF8, -13, "not UTF-8", "RFC 8259 §8.1")                                                          \
    X(JSON_DEPTH, -14, "nested too deep", "RFC 8259 §9")                                                     \
    X(JSON_TRAILING, -15, "text after the value", "RFC 8259 §2")                                             \
    X(JSON_SURROGATE, -16, "escaped surrogate without its pair", "RFC 8259 §8.2")                            \
    X(JSON_RANGE, -17, "number out of range or not whole", "RFC 8259 §6")                                    \
    X(JSON_SHORT, -18, "text ends inside a value", "RFC 8259 §2")                                            \
    X(BASE64, -19, "not base64", "RFC 4648 §4")                                                              \
    /* text and topics */                                                                                    \
    X(UTF8, -20, "not UTF-8", "RFC 3629 §3")                                                                 \
    X(TOPIC, -21, "bad topic", "MQTT 5 §4.7")                                                                \
    X(FILTER, -22, "bad topic filter", "MQTT 5 §4.7.1")                                                      \
    /* HTTP */                                                                                               \
    X(HTTP_LINE, -40, "bare CR or LF, or a control character", "RFC 9112 §2.2")                              \
    X(HTTP_START, -41, "malformed request or status line", "RFC 9112 §3")                                    \
    X(HTTP_FIELD, -42, "malformed header field", "RFC 9112 §5")                                              \
    X(HTTP_SIZE, -43, "head too large", "RFC 6585 §5")                                                       \
    X(HTTP_COUNT, -44, "too many header fields", "RFC 6585 §5")                                              \
    X(HTTP_BODY, -45, "message body, or a framing that could hide one", "RFC 9112 §6")                       \
    X(HTTP_VERSION, -46, "not HTTP/1.1", "RFC 6455 §4.1")                                                    \
    X(HTTP_HOST, -47, "Host missing or repeated", "RFC 9112 §3.2")                                           \
    /* WebSocket opening handshake */                                                                        \
    X(WS_METHOD, -60, "handshake is not a GET", "RFC 6455 §4.1")                                             \
    X(WS_UPGRADE, -61, "no upgrade to websocket", "RFC 6455 §4.2.1")                                         \
    X(WS_VERSION, -62, "Sec-WebSocket-Version is not 13", "RFC 6455 §4.2.2")                                 \
    X(WS_KEY, -63, "Sec-WebSocket-Key is not 16 bytes in base64", "RFC 6455 §4.2.1")                         \
    X(WS_PROTOCOL, -64, "bad or unoffered subprotocol", "RFC 6455 §4.1")                                     \
    X(WS_EXTENSION, -65, "bad or unoffered extension", "RFC 6455 §9.1")                                      \
    X(WS_ACCEPT, -66, "Sec-WebSocket-Accept does not fit the key", "RFC 6455 §4.1")                          \
    X(WS_STATUS, -67, "upgrade refused", "RFC 6455 §4.1")                                                    \
    X(WS_DEFLATE_NAME, -68, "permessage-deflate with a parameter that is not defined", "RFC 7692 §7")        \
    X(WS_DEFLATE_VALUE, -69, "parameter of permessage-deflate with a value that is ruled out",               \
      "RFC 7692 §7.1")                                                                                       \
    X(WS_DEFLATE_TWICE, -70, "parameter of permessage-deflate that appears twice", "RFC 7692 §7")            \
    X(WS_DEFLATE_ASKED, -71, "client_max_window_bits answered though not offered", "RFC 7692 §7.1.2.2")      \
    X(WS_DEFLATE_CONTEXT, -72, "server_no_context_takeover asked for and not agreed to",                     \
      "RFC 7692 §7.1.1.1")                                                                                   \
    /* WebSocket frames and messages */                                                                      \
    X(WS_RSV, -80, "reserved bit set without an extension", "RFC 6455 §5.2")                                 \
    X(WS_OPCODE, -81, "reserved opcode", "RFC 6455 §5.2")                                                    \
    X(WS_CONTROL, -82, "control frame is fragmented or over 125 bytes", "RFC 6455 §5.5")                     \
    X(WS_MASK, -83, "mask bit does not match the sender's role", "RFC 6455 §5.1")                            \
    X(WS_LEN, -84, "length is not in shortest form or exceeds 2^63-1", "RFC 6455 §5.2")                      \
    X(WS_FRAGMENT, -85, "continuation without a start, or a start inside a message", "RFC 6455 §5.4")        \
    X(WS_UTF8, -86, "text message is not UTF-8", "RFC 6455 §8.1")                                            \
    X(WS_TOO_BIG, -87, "message over the limit", "RFC 6455 §10.4")                                           \
    X(WS_CLOSE_LEN, -88, "close payload of one byte", "RFC 6455 §5.5.1")                                     \
    X(WS_CLOSE_CODE, -89, "close code that may not be sent", "RFC 6455 §7.4")                                \
    X(WS_CLOSE_UTF8, -90, "close reason is not UTF-8", "RFC 6455 §5.5.1")                                    \
    X(WS_TYPE, -91, "message type not accepted here", "RFC 6455 §7.4.1")                                     \
    X(WS_NO_CLOSE, -92, "connection ended without a close frame", "RFC 6455 §7.1.5")                         \
    X(WS_PONG, -93, "no answer to a ping", "RFC 6455 §5.5.2")                                                \
    X(WS_CLOSED, -94, "closed by the peer", "RFC 6455 §7.1.5")                                               \
    X(WS_DEFLATE_BIT, -95, "control or continuation frame marked as compressed", "RFC 7692 §6.1")            \
    X(WS_DEFLATE_DATA, -96, "compressed message that cannot be inflated", "RFC 7692 §7.2.2")                 \
    /* JSON-RPC and the Pixi methods */                                                                      \
    X(RPC_PARSE, -100, "not JSON-RPC text", "JSON-RPC 2.0 §5.1")                                             \
    X(RPC_REQUEST, -101, "not a request object", "JSON-RPC 2.0 §4")                                          \
    X(RPC_METHOD, -102, "method not found", "JSON-RPC 2.0 §5.1")                                             \
    X(RPC_PARAMS, -103, "invalid parameters", "JSON-RPC 2.0 §4.2")                                           \
    X(RPC_ERROR, -104, "the server answered with an error", "JSON-RPC 2.0 §5.1")                             \
    X(NO_RESPONDER, -105, "nobody answers requests on this topic", "")                                       \
    X(FORBIDDEN, -106, "the API key does not allow this", "")                                                \
    X(STORAGE, -107, "storage full", "")                                                                     \
    X(KEY_REUSED, -108, "idempotency key used for another message", "")                                      \
    X(HISTORY, -109, "history gone", "")                                                                     \
    X(RATE, -110, "rate limited", "")                                                                        \
    X(AFTER, -111, "the message that it goes after is not stored", "")                                       \
    /* TLS */                                                                                                \
    X(TLS, -120, "TLS failed", "RFC 8446 §6.2")                                                              \
    X(TLS_END, -121, "the peer has finished sending", "RFC 8446 §6.1")                                       \
    /* proxy */                                                                                              \
    X(PROXY, -130, "the proxy opens no way", "")                                                             \
    X(PROXY_USER, -131, "the proxy wants a user and a password", "")                                         \
    /* MQTT packets */                                                                                       \
    X(MQTT_TYPE, -140, "reserved packet type", "MQTT 5 §2.1.2")                                              \
    X(MQTT_DIRECTION, -141, "a packet that this side may not send", "MQTT 5 §2.1.2")                         \
    X(MQTT_FLAGS, -142, "wrong flags in the fixed header", "MQTT 5 §2.1.3")                                  \
    X(MQTT_VARINT, -143, "variable byte integer over 4 bytes or not in its shortest form", "MQTT 5 §1.5.5")  \
    X(MQTT_TOO_BIG, -144, "packet over the maximum packet size", "MQTT 5 §3.1.2.11.4")                       \
    X(MQTT_SHORT, -145, "packet ends inside a field", "MQTT 5 §2.1.4")                                       \
    X(MQTT_TRAILING, -146, "bytes behind the last field", "MQTT 5 §2.1.4")                                   \
    X(MQTT_UTF8, -147, "string is not UTF-8 or holds U+0000", "MQTT 5 §1.5.4")                               \
    X(MQTT_RESERVED, -148, "reserved bit set", "MQTT 5 §2")                                                  \
    X(MQTT_PACKET_ID, -149, "packet identifier 0", "MQTT 5 §2.2.1")                                          \
    X(MQTT_REASON, -150, "reason code that may not stand in this packet", "MQTT 5 §2.4")                     \
    /* MQTT connecting */                                                                                    \
    X(MQTT_NAME, -151, "protocol name is not MQTT", "MQTT 5 §3.1.2.1")                                       \
    X(MQTT_VERSION, -152, "protocol version is neither 3.1.1 nor 5.0", "MQTT 5 §3.1.2.2")                    \
    X(MQTT_CLIENT_ID, -153, "client identifier not accepted", "MQTT 5 §3.1.3.1")                             \
    X(MQTT_WILL, -154, "flags of a will that contradict each other", "MQTT 5 §3.1.2.5")                      \
    X(MQTT_PASSWORD, -155, "password without user name", "MQTT 3.1.1 §3.1.2.9")                              \
    X(MQTT_SESSION, -156, "session present in a refusal", "MQTT 5 §3.2.2.1")                                 \
    X(MQTT_FIRST, -157, "first packet is not CONNECT, or not its answer", "MQTT 5 §3.1")                     \
    X(MQTT_AGAIN, -158, "second CONNECT or CONNACK", "MQTT 5 §3.1")                                          \
    X(MQTT_AUTH, -159, "AUTH where no authentication method was agreed", "MQTT 5 §4.12")                     \
    X(MQTT_AUTH_METHOD, -160, "authentication method not supported", "MQTT 5 §4.12")                         \
    X(MQTT_AUTH_DATA, -161, "authentication data without a method", "MQTT 5 §3.1.2.11.10")                   \
    X(MQTT_EXPIRY, -162, "session expiry raised from 0 when leaving", "MQTT 5 §3.14.2.2.2")                  \
    X(MQTT_REFUSED, -163, "connection refused by CONNACK", "MQTT 5 §3.2.2.2")                                \
    X(MQTT_DISCONNECTED, -164, "the server sent DISCONNECT", "MQTT 5 §3.14")                                 \
    X(MQTT_KEEP_ALIVE, -165, "no packet within the keep alive time", "MQTT 5 §3.1.2.10")                     \
    /* MQTT properties */                                                                                    \
    X(MQTT_PROP_ID, -166, "unknown property", "MQTT 5 §2.2.2.2")                                             \
    X(MQTT_PROP_PLACE, -167, "property that may not stand in this packet", "MQTT 5 §2.2.2.2")                \
    X(MQTT_PROP_TWICE, -168, "property that appears twice", "MQTT 5 §2.2.2.2")                               \
    X(MQTT_PROP_VALUE, -169, "value of a property that is ruled out", "MQTT 5 §2.2.2.2")                     \
    /* MQTT messages and subscriptions */                                                                    \
    X(MQTT_QOS, -170, "QoS 3", "MQTT 5 §3.3.1.2")                                                            \
    X(MQTT_DUP, -171, "DUP set with QoS 0", "MQTT 5 §3.3.1.1")                                               \
    X(MQTT_TOPIC, -172, "bad topic name in a packet", "MQTT 5 §4.7")                                         \
    X(MQTT_NO_TOPIC, -173, "empty topic without a known topic alias", "MQTT 5 §3.3.2.1")                     \
    X(MQTT_ALIAS, -174, "topic alias 0 or over the maximum", "MQTT 5 §3.3.2.3.4")                            \
    X(MQTT_FILTER, -175, "bad topic filter in a packet", "MQTT 5 §4.7.1")                                    \
    X(MQTT_EMPTY, -176, "no topic filter, or no reason code", "MQTT 5 §3.8.3")                               \
    X(MQTT_OPTION, -177, "subscription option with a value that is ruled out", "MQTT 5 §3.8.3.1")            \
    X(MQTT_NO_LOCAL, -178, "No Local on a shared subscription", "MQTT 5 §3.8.3.1")                           \
    X(MQTT_ACK, -179, "acknowledges what was not sent", "MQTT 5 §4.3")                                       \
    X(MQTT_RECEIVE_MAX, -180, "more unacknowledged messages than agreed", "MQTT 5 §4.9")                     \
    X(MQTT_IN_DOUBT, -181, "the server has forgotten the session: perhaps it has the message, perhaps not",  \
      "MQTT 5 §4.1")                                                                                         \
    X(MQTT_RETAIN, -182, "the server keeps no retained messages", "MQTT 5 §3.2.2.3.5")                       \
    /* outbox */                                                                                             \
    X(OUTBOX, -190, "the outbox is full", "")                                                                \
    X(EXPIRED, -191, "expired before it could be sent", "")                                                  \
    X(DROPPED, -192, "dropped to make room in the outbox", "")                                               \
    X(IN_DOUBT, -193, "in doubt: the server that it was sent to has lost its log", "")

enum {
    PIXI_OK = 0,   /* done; outputs are set */
    PIXI_MORE = 1, /* not enough input; nothing written */
#define X(name, value, text, clause) PIXI_E_##name = (value),
    PIXI_ERRORS(X)
#undef X
};

/* Where a peer broke a rule. */
struct pixi_fault {
    int err;         /* PIXI_E_* */
    uint64_t offset; /* bytes, from the start of the stream the object reads */
};

/* pixi_err_name -- "WS_RSV" for PIXI_E_WS_RSV; "OK", "MORE"; "UNKNOWN" for anything else. Static. */
const char *pixi_err_name(int err);
/* pixi_err_text -- one phrase, lower case, no full stop. Static. */
const char *pixi_err_text(int err);
/* pixi_err_clause -- the clause the peer broke, "" where there is none. Static. */
const char *pixi_err_clause(int err);

#endif
