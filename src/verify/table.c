#include "verify/checks.h"

/* What a row needs. Each step of the way to a connection needs the one before. */
#define F(name)   PIXI_FACT_##name
#define NAMED     (F(URL) | F(ADDRESS))
#define SAFE      (NAMED | F(KEY_SAFE))
#define REACHED   (SAFE | F(TCP))
#define THROUGH   (REACHED | F(THROUGH))
#define STREAM    (THROUGH | F(STREAM))
#define OPEN      (STREAM | F(UPGRADED))
#define ADMITTED  (OPEN | F(ADMITTED))
#define PIXI      (ADMITTED | F(PIXI))
#define CALLS     (PIXI | F(CALLS))
#define PUBLISHES (CALLS | F(PUBLISHES))
#define RESUMES   (PUBLISHES | F(RECONNECTS))
#define MQTT      (OPEN | F(MQTT))
#define MQTT_5    (MQTT | F(MQTT_5))
#define DELIVERS  (MQTT | F(DELIVERS))
#define QUICK     PIXI_VERIFY_QUICK /* a health check: what may be done twice a minute */
#define INVALID   PIXI_VERIFY_INVALID
#define BROKEN(id, title)                                                                                    \
    {                                                                                                        \
        id, "protocol", title, ADMITTED, INVALID, pixi_check_broken                                          \
    }
#define NO_DEFLATE(id, title)                                                                                \
    {                                                                                                        \
        id, "protocol", title, ADMITTED | F(DEFLATES), INVALID, pixi_check_broken                            \
    }
#define NO_MQTT(id, title)                                                                                   \
    {                                                                                                        \
        id, "mqtt", title, MQTT, INVALID, pixi_check_mqtt_broken                                             \
    }
#define NO_MQTT_5(id, title)                                                                                 \
    {                                                                                                        \
        id, "mqtt", title, MQTT_5, INVALID, pixi_check_mqtt_broken                                           \
    }

/* In the order in which they run. */
static const struct pixi_verify_row rows[] = {
    {"settings", "settings", "the settings are usable", 0, QUICK, pixi_check_settings},
    {"name", "name", "the host has an address", F(URL), QUICK, pixi_check_name},
    {"plaintext", "settings", "the API key does not travel in clear", NAMED, QUICK, pixi_check_plaintext},
    {"tcp", "tcp", "the port answers", SAFE, QUICK, pixi_check_tcp},
    {"proxy", "proxy", "the proxy lets us through", REACHED, QUICK, pixi_check_proxy},
    {"tls", "tls", "the connection is encrypted", THROUGH, QUICK, pixi_check_tls},
    {"tls-resume", "tls", "a TLS session is taken up again", STREAM | F(TLS), QUICK, pixi_check_tls_resume},
    {"upgrade", "upgrade", "the server speaks WebSocket", STREAM, QUICK, pixi_check_upgrade},
    {"key", "key", "the API key is accepted", OPEN | F(PIXI) | F(HAS_KEY), QUICK, pixi_check_key},
    {"key-missing", "key", "no key is refused", PIXI | F(HAS_KEY), 0, pixi_check_key_missing},
    {"key-wrong", "key", "a wrong key is refused", PIXI | F(HAS_KEY), 0, pixi_check_key_wrong},
    {"info", "request", "the server says what it is", PIXI, QUICK, pixi_check_info},
    {"request", "request", "a request is answered by its responder", CALLS, QUICK, pixi_check_request},
    {"request-nobody", "request", "a request that nobody answers fails at once", CALLS, 0,
     pixi_check_request_nobody},
    {"publish", "publish", "messages come in order, once each, byte for byte", CALLS, QUICK,
     pixi_check_publish},
    {"publish-binary", "publish", "payloads of any bytes come as they were sent", PUBLISHES, 0,
     pixi_check_publish_binary},
    {"unsubscribe", "publish", "nothing comes after unsubscribe", PUBLISHES, 0, pixi_check_unsubscribe},
    {"echo-text", "request", "a text message comes back", OPEN, QUICK, pixi_check_echo_text},
    {"echo-binary", "request", "a binary message comes back", OPEN | F(ECHOES), 0, pixi_check_echo_binary},
    {"ping", "ping", "a ping is answered by the same pong", ADMITTED, QUICK, pixi_check_ping},
    {"ping-call", "ping", "the ping method tells the time", CALLS, QUICK, pixi_check_ping_call},
    {"close", "close", "a close is answered, then the connection ends", ADMITTED, 0, pixi_check_close},
    {"fragments", "protocol", "a fragmented message is understood", ADMITTED | F(ANSWERS), 0,
     pixi_check_fragments},
    {"ping-between", "protocol", "a ping between fragments is answered",
     ADMITTED | F(ANSWERS) | F(PONGS) | F(JOINS), 0, pixi_check_ping_between},
    BROKEN("unmasked", "a frame without mask is refused"),
    BROKEN("opcode", "a reserved opcode is refused"),
    BROKEN("opcode-control", "a reserved control opcode is refused"),
    BROKEN("reserved-bit", "a reserved bit is refused"),
    BROKEN("text-utf8", "text that is not UTF-8 is refused"),
    BROKEN("ping-fragmented", "a fragmented ping is refused"),
    BROKEN("ping-long", "a ping of 126 bytes is refused"),
    BROKEN("continuation", "a continuation without a start is refused"),
    BROKEN("start-inside", "a start inside a message is refused"),
    BROKEN("close-code", "a close with code 1005 is refused"),
    BROKEN("close-short", "a close of one byte is refused"),
    BROKEN("close-utf8", "a close whose reason is not UTF-8 is refused"),
    {"length", "protocol", "a length that is not in its shortest form is refused", CALLS, INVALID,
     pixi_check_broken},
    BROKEN("deflate-unasked", "compression that was not agreed on is refused"),
    {"deflate", "protocol", "compression is agreed on as offered, or not at all", ADMITTED, 0,
     pixi_check_deflate},
    {"deflate-offer", "protocol", "an offer of it with a fault is not taken", ADMITTED | F(DEFLATES), INVALID,
     pixi_check_deflate_offer},
    {"deflate-text", "protocol", "a compressed message is understood", ADMITTED | F(ANSWERS) | F(DEFLATES), 0,
     pixi_check_deflate_text},
    {"deflate-pieces", "protocol", "so is one in fragments", ADMITTED | F(ANSWERS) | F(JOINS) | F(DEFLATES),
     0, pixi_check_deflate_pieces},
    NO_DEFLATE("deflate-control", "a ping that is marked as compressed is refused"),
    NO_DEFLATE("deflate-again", "a continuation that is marked so is refused"),
    NO_DEFLATE("deflate-data", "what cannot be inflated is refused"),
    NO_DEFLATE("deflate-utf8", "compressed text that is not UTF-8 is refused"),
    {"reconnect", "reconnect", "after a lost connection a new one works", ADMITTED | F(PONGS), 0,
     pixi_check_reconnect},
    {"resume", "reconnect", "what was missed while away comes, once", RESUMES, 0, pixi_check_resume},
    {"resume-cut", "reconnect", "the same after a connection that was cut", RESUMES, 0,
     pixi_check_resume_cut},
    {"resume-beyond", "reconnect", "a position that never was is not called recovered", RESUMES, 0,
     pixi_check_resume_beyond},
    {"mqtt", "mqtt", "the server speaks MQTT", OPEN, QUICK, pixi_check_mqtt},
    {"mqtt-311", "mqtt", "MQTT 3.1.1 is spoken, too", MQTT_5, 0, pixi_check_mqtt_old},
    {"mqtt-version", "mqtt", "another version is refused", MQTT, INVALID, pixi_check_mqtt_version},
    {"mqtt-key-none", "key", "MQTT without a key is refused", MQTT | F(HAS_KEY), 0, pixi_check_mqtt_no_key},
    {"mqtt-key-wrong", "key", "MQTT with a wrong key is refused", MQTT | F(HAS_KEY), 0,
     pixi_check_mqtt_wrong_key},
    {"mqtt-ping", "mqtt", "PINGREQ is answered", MQTT, 0, pixi_check_mqtt_ping},
    {"mqtt-qos-0", "mqtt", "QoS 0: in order, byte for byte", MQTT, 0, pixi_check_mqtt_qos_0},
    {"mqtt-qos-1", "mqtt", "QoS 1: the same, and acknowledged", DELIVERS, 0, pixi_check_mqtt_qos_1},
    {"mqtt-qos-2", "mqtt", "QoS 2: the same, and exactly once", DELIVERS, 0, pixi_check_mqtt_qos_2},
    {"mqtt-once", "mqtt", "QoS 2 that is sent again comes once", DELIVERS, 0, pixi_check_mqtt_once},
    {"mqtt-retained", "mqtt", "a retained message is kept and removed", DELIVERS, 0,
     pixi_check_mqtt_retained},
    {"mqtt-will", "mqtt", "a will comes after a cut", DELIVERS, 0, pixi_check_mqtt_will},
    {"mqtt-resume", "mqtt", "a session is resumed", DELIVERS, 0, pixi_check_mqtt_resume},
    {"mqtt-takeover", "mqtt", "an identifier has one connection", MQTT, 0, pixi_check_mqtt_takeover},
    {"mqtt-max", "mqtt", "the client's packet size is kept to", DELIVERS | F(MQTT_5), 0, pixi_check_mqtt_max},
    {"mqtt-window", "mqtt", "the client's Receive Maximum is kept to", DELIVERS | F(MQTT_5), 0,
     pixi_check_mqtt_window},
    {"mqtt-split", "mqtt", "packets cut anywhere are understood", MQTT, 0, pixi_check_mqtt_split},
    {"mqtt-joined", "mqtt", "several packets in one message are, too", MQTT, 0, pixi_check_mqtt_joined},
    NO_MQTT("mqtt-first", "a packet before CONNECT is refused"),
    NO_MQTT("mqtt-twice", "a second CONNECT is refused"),
    NO_MQTT("mqtt-text", "a text message is refused"),
    NO_MQTT("mqtt-type", "packet type 0 is refused"),
    NO_MQTT("mqtt-length", "a length of five bytes is refused"),
    NO_MQTT("mqtt-flags", "wrong flags of SUBSCRIBE are refused"),
    NO_MQTT("mqtt-qos-3", "QoS 3 is refused"),
    NO_MQTT("mqtt-wildcard", "a wildcard in a topic is refused"),
    NO_MQTT("mqtt-utf8", "a topic that is not UTF-8 is refused"),
    NO_MQTT("mqtt-nul", "a topic with U+0000 is refused"),
    NO_MQTT("mqtt-short", "a string beyond its packet is refused"),
    NO_MQTT("mqtt-id-0", "packet identifier 0 is refused"),
    NO_MQTT("mqtt-no-filter", "SUBSCRIBE without a filter is refused"),
    NO_MQTT("mqtt-options", "a subscription with QoS 3 is refused"),
    NO_MQTT("mqtt-pubrel", "wrong flags of PUBREL are refused"),
    NO_MQTT_5("mqtt-property", "a property twice is refused"),
    NO_MQTT_5("mqtt-alias-0", "Topic Alias 0 is refused"),
    NO_MQTT_5("mqtt-no-topic", "no topic and no alias is refused"),
    {"mqtt-silent", "mqtt", "a client that is silent is given up", MQTT, 0, pixi_check_mqtt_silent},
};

const struct pixi_verify_row *pixi_verify_table(size_t *count)
{
    *count = sizeof rows / sizeof *rows;
    return rows;
}
