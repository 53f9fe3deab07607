#include "proto/mqtt/reason.h"

#define IN(w)    (1u << PIXI_MQTT_##w)
#define PUBACKS  (IN(PUBACK) | IN(PUBREC))
#define SUBACKS  (IN(SUBACK) | IN(UNSUBACK))
#define COUNT(a) (sizeof(a) / sizeof *(a))

static const char *const texts[] = {
#define X(name, value, text) [value] = text,
    PIXI_MQTT_REASONS(X)
#undef X
};

/* Tables 3-1, 3-4 .. 3-10, §3.8 .. §3.15: where each side may send it. */
static const struct {
    unsigned clients, servers;
} places[] = {
    [0x00] = {PUBACKS | IN(PUBREL) | IN(PUBCOMP) | IN(DISCONNECT),
              IN(CONNACK) | PUBACKS | IN(PUBREL) | IN(PUBCOMP) | SUBACKS | IN(DISCONNECT) | IN(AUTH)},
    [0x01] = {0, IN(SUBACK)},
    [0x02] = {0, IN(SUBACK)},
    [0x04] = {IN(DISCONNECT), 0},
    [0x10] = {PUBACKS, PUBACKS},
    [0x11] = {0, IN(UNSUBACK)},
    [0x18] = {IN(AUTH), IN(AUTH)},
    [0x19] = {IN(AUTH), 0},
    [0x80] = {PUBACKS | IN(DISCONNECT), IN(CONNACK) | PUBACKS | SUBACKS | IN(DISCONNECT)},
    [0x81] = {IN(DISCONNECT), IN(CONNACK) | IN(DISCONNECT)},
    [0x82] = {IN(DISCONNECT), IN(CONNACK) | IN(DISCONNECT)},
    [0x83] = {PUBACKS | IN(DISCONNECT), IN(CONNACK) | PUBACKS | SUBACKS | IN(DISCONNECT)},
    [0x84] = {0, IN(CONNACK)},
    [0x85] = {0, IN(CONNACK)},
    [0x86] = {0, IN(CONNACK)},
    [0x87] = {PUBACKS, IN(CONNACK) | PUBACKS | SUBACKS | IN(DISCONNECT)},
    [0x88] = {0, IN(CONNACK)},
    [0x89] = {0, IN(CONNACK) | IN(DISCONNECT)},
    [0x8a] = {0, IN(CONNACK)},
    [0x8b] = {0, IN(DISCONNECT)},
    [0x8c] = {0, IN(CONNACK) | IN(DISCONNECT)},
    [0x8d] = {0, IN(DISCONNECT)},
    [0x8e] = {0, IN(DISCONNECT)},
    [0x8f] = {0, SUBACKS | IN(DISCONNECT)},
    [0x90] = {PUBACKS | IN(DISCONNECT), IN(CONNACK) | PUBACKS | IN(DISCONNECT)},
    [0x91] = {PUBACKS, PUBACKS | SUBACKS},
    [0x92] = {IN(PUBREL) | IN(PUBCOMP), IN(PUBREL) | IN(PUBCOMP)},
    [0x93] = {IN(DISCONNECT), IN(DISCONNECT)},
    [0x94] = {IN(DISCONNECT), IN(DISCONNECT)},
    [0x95] = {IN(DISCONNECT), IN(CONNACK) | IN(DISCONNECT)},
    [0x96] = {IN(DISCONNECT), IN(DISCONNECT)},
    [0x97] = {PUBACKS | IN(DISCONNECT), IN(CONNACK) | PUBACKS | IN(SUBACK) | IN(DISCONNECT)},
    [0x98] = {IN(DISCONNECT), IN(DISCONNECT)},
    [0x99] = {PUBACKS | IN(DISCONNECT), IN(CONNACK) | PUBACKS | IN(DISCONNECT)},
    [0x9a] = {0, IN(CONNACK) | IN(DISCONNECT)},
    [0x9b] = {0, IN(CONNACK) | IN(DISCONNECT)},
    [0x9c] = {0, IN(CONNACK) | IN(DISCONNECT)},
    [0x9d] = {0, IN(CONNACK) | IN(DISCONNECT)},
    [0x9e] = {0, IN(SUBACK) | IN(DISCONNECT)},
    [0x9f] = {0, IN(CONNACK) | IN(DISCONNECT)},
    [0xa0] = {0, IN(DISCONNECT)},
    [0xa1] = {0, IN(SUBACK) | IN(DISCONNECT)},
    [0xa2] = {0, IN(SUBACK) | IN(DISCONNECT)},
};

const char *pixi_mqtt_reason_text(unsigned reason)
{
    return reason < COUNT(texts) && texts[reason] ? texts[reason] : "unknown reason";
}

int pixi_mqtt_reason_check(unsigned reason, enum pixi_mqtt_where where, enum pixi_role from)
{
    unsigned in = 0;

    if (reason < COUNT(places))
        in = from == PIXI_CLIENT ? places[reason].clients : places[reason].servers;
    return in >> where & 1 ? PIXI_OK : PIXI_E_MQTT_REASON;
}

static const struct {
    int err;
    enum pixi_mqtt_reason reason;
} answers[] = {
    {PIXI_OK, PIXI_MQTT_R_SUCCESS},
    /* malformed: it cannot be read by the rules (§1.2) */
    {PIXI_E_MQTT_TYPE, PIXI_MQTT_R_MALFORMED},
    {PIXI_E_MQTT_FLAGS, PIXI_MQTT_R_MALFORMED},
    {PIXI_E_MQTT_VARINT, PIXI_MQTT_R_MALFORMED},
    {PIXI_E_MQTT_SHORT, PIXI_MQTT_R_MALFORMED},
    {PIXI_E_MQTT_TRAILING, PIXI_MQTT_R_MALFORMED},
    {PIXI_E_MQTT_UTF8, PIXI_MQTT_R_MALFORMED},
    {PIXI_E_MQTT_RESERVED, PIXI_MQTT_R_MALFORMED},
    {PIXI_E_MQTT_WILL, PIXI_MQTT_R_MALFORMED},
    {PIXI_E_MQTT_PASSWORD, PIXI_MQTT_R_MALFORMED},
    {PIXI_E_MQTT_QOS, PIXI_MQTT_R_MALFORMED},
    {PIXI_E_MQTT_TOPIC, PIXI_MQTT_R_MALFORMED},
    {PIXI_E_MQTT_FILTER, PIXI_MQTT_R_MALFORMED},
    {PIXI_E_MQTT_PROP_ID, PIXI_MQTT_R_MALFORMED},
    {PIXI_E_MQTT_PROP_PLACE, PIXI_MQTT_R_MALFORMED},
    /* it can be read, and may not be said, or not now */
    {PIXI_E_MQTT_DIRECTION, PIXI_MQTT_R_PROTOCOL},
    {PIXI_E_MQTT_FIRST, PIXI_MQTT_R_PROTOCOL},
    {PIXI_E_MQTT_AGAIN, PIXI_MQTT_R_PROTOCOL},
    {PIXI_E_MQTT_AUTH, PIXI_MQTT_R_PROTOCOL},
    {PIXI_E_MQTT_AUTH_DATA, PIXI_MQTT_R_PROTOCOL},
    {PIXI_E_MQTT_SESSION, PIXI_MQTT_R_PROTOCOL},
    {PIXI_E_MQTT_REASON, PIXI_MQTT_R_PROTOCOL},
    {PIXI_E_MQTT_DUP, PIXI_MQTT_R_PROTOCOL},
    {PIXI_E_MQTT_NO_TOPIC, PIXI_MQTT_R_PROTOCOL},
    {PIXI_E_MQTT_PACKET_ID, PIXI_MQTT_R_PROTOCOL},
    {PIXI_E_MQTT_PROP_TWICE, PIXI_MQTT_R_PROTOCOL},
    {PIXI_E_MQTT_PROP_VALUE, PIXI_MQTT_R_PROTOCOL},
    {PIXI_E_MQTT_EMPTY, PIXI_MQTT_R_PROTOCOL},
    {PIXI_E_MQTT_OPTION, PIXI_MQTT_R_PROTOCOL},
    {PIXI_E_MQTT_NO_LOCAL, PIXI_MQTT_R_PROTOCOL},
    {PIXI_E_MQTT_ACK, PIXI_MQTT_R_PROTOCOL},
    {PIXI_E_MQTT_EXPIRY, PIXI_MQTT_R_PROTOCOL},
    /* what has a code of its own */
    {PIXI_E_MQTT_NAME, PIXI_MQTT_R_VERSION},
    {PIXI_E_MQTT_VERSION, PIXI_MQTT_R_VERSION},
    {PIXI_E_MQTT_CLIENT_ID, PIXI_MQTT_R_CLIENT_ID},
    {PIXI_E_MQTT_TOO_BIG, PIXI_MQTT_R_TOO_LARGE},
    {PIXI_E_MQTT_ALIAS, PIXI_MQTT_R_TOPIC_ALIAS},
    {PIXI_E_MQTT_RECEIVE_MAX, PIXI_MQTT_R_RECEIVE_MAX},
    {PIXI_E_MQTT_KEEP_ALIVE, PIXI_MQTT_R_KEEP_ALIVE},
    {PIXI_E_MQTT_AUTH_METHOD, PIXI_MQTT_R_BAD_AUTH_METHOD},
    {PIXI_E_MQTT_RETAIN, PIXI_MQTT_R_NO_RETAIN},
    /* what the hub says */
    {PIXI_E_FORBIDDEN, PIXI_MQTT_R_NOT_AUTHORIZED},
    {PIXI_E_TOPIC, PIXI_MQTT_R_TOPIC},
    {PIXI_E_FILTER, PIXI_MQTT_R_FILTER},
    {PIXI_E_RATE, PIXI_MQTT_R_RATE},
    {PIXI_E_LIMIT, PIXI_MQTT_R_QUOTA},
    {PIXI_E_QUEUE, PIXI_MQTT_R_QUOTA},
    {PIXI_E_STORAGE, PIXI_MQTT_R_QUOTA},
    {PIXI_E_WS_TOO_BIG, PIXI_MQTT_R_TOO_LARGE},
    {PIXI_E_RPC_PARAMS, PIXI_MQTT_R_IMPLEMENTATION},
};

enum pixi_mqtt_reason pixi_mqtt_reason_for(int err)
{
    for (size_t i = 0; i < COUNT(answers); i++)
        if (answers[i].err == err)
            return answers[i].reason;
    return PIXI_MQTT_R_UNSPECIFIED;
}

/* Table 3.1 of MQTT 3.1.1; the first of a return code's reasons is the one that it is read as. */
static const struct {
    uint8_t code, reason;
} codes[] = {
    {0, PIXI_MQTT_R_SUCCESS},         {1, PIXI_MQTT_R_VERSION},        {2, PIXI_MQTT_R_CLIENT_ID},
    {3, PIXI_MQTT_R_UNAVAILABLE},     {3, PIXI_MQTT_R_BUSY},           {3, PIXI_MQTT_R_QUOTA},
    {3, PIXI_MQTT_R_CONNECTION_RATE}, {3, PIXI_MQTT_R_USE_ANOTHER},    {3, PIXI_MQTT_R_MOVED},
    {4, PIXI_MQTT_R_BAD_USER},        {5, PIXI_MQTT_R_NOT_AUTHORIZED}, {5, PIXI_MQTT_R_BANNED},
};

int pixi_mqtt_return_code(unsigned reason)
{
    for (size_t i = 0; i < COUNT(codes); i++)
        if (codes[i].reason == reason)
            return codes[i].code;
    return -1;
}

enum pixi_mqtt_reason pixi_mqtt_reason_of(unsigned code)
{
    for (size_t i = 0; i < COUNT(codes); i++)
        if (codes[i].code == code)
            return codes[i].reason;
    return PIXI_MQTT_R_UNSPECIFIED;
}
