/* mqtt_headers.c -- MQTT's properties of a message and the headers of pixi.v1 are the same thing (docs/mqtt.md).
 *
 * User properties are headers. Properties that have a meaning in MQTT are headers whose name begins with ':'; a user
 * property whose name does gets another one, so that nothing is taken for something else. */
#include "base/base64.h"
#include "base/topic.h"
#include "proto/mqtt/field.h"
#include "server/mqtt.h"

enum { HEADER_MAX = 65535 };

static const struct {
    const char *name;
    enum pixi_mqtt_prop_id id;
} rows[] = {
    {":content-type", PIXI_MQTT_PROP_CONTENT_TYPE},
    {":response-topic", PIXI_MQTT_PROP_RESPONSE_TOPIC},
    {":correlation-data", PIXI_MQTT_PROP_CORRELATION_DATA}, /* base64: it is binary */
    {":payload-format", PIXI_MQTT_PROP_PAYLOAD_FORMAT},     /* "utf-8" */
};

static void put_len(struct pixi_buf *b, size_t len)
{
    uint8_t bytes[2] = {(uint8_t)(len >> 8), (uint8_t)len};

    pixi_buf_put(b, bytes, 2);
}

static void put(struct pixi_buf *b, const char *prefix, struct pixi_cur name, struct pixi_cur value)
{
    put_len(b, strlen(prefix) + pixi_cur_left(&name));
    pixi_buf_put_str(b, prefix);
    pixi_buf_put_cur(b, name);
    put_len(b, pixi_cur_left(&value));
    pixi_buf_put_cur(b, value);
}

void pixi_mqtt_header_put(struct pixi_buf *b, const char *name, struct pixi_cur value)
{
    put(b, "", pixi_cur_str(name), value);
}

static void put_correlation(struct pixi_buf *b, struct pixi_cur data)
{
    size_t len = pixi_base64_size(pixi_cur_left(&data));

    if (len > HEADER_MAX) {
        b->err = PIXI_E_LIMIT;
        return;
    }
    put_len(b, strlen(":correlation-data"));
    pixi_buf_put_str(b, ":correlation-data");
    put_len(b, len);
    pixi_base64_put(b, PIXI_BASE64_STD, data.p, pixi_cur_left(&data));
}

static void take_one(const struct pixi_mqtt_prop *p, struct pixi_buf *b)
{
    bool has_colon = p->name.p != p->name.end && *p->name.p == ':';

    switch (p->id) {
    case PIXI_MQTT_PROP_USER:
        if (pixi_cur_left(&p->name) + has_colon > HEADER_MAX)
            b->err = PIXI_E_LIMIT;
        else
            put(b, has_colon ? ":" : "", p->name, p->val);
        break;
    case PIXI_MQTT_PROP_CONTENT_TYPE: pixi_mqtt_header_put(b, ":content-type", p->val); break;
    case PIXI_MQTT_PROP_RESPONSE_TOPIC: pixi_mqtt_header_put(b, ":response-topic", p->val); break;
    case PIXI_MQTT_PROP_CORRELATION_DATA: put_correlation(b, p->val); break;
    case PIXI_MQTT_PROP_PAYLOAD_FORMAT:
        if (p->num == 1)
            pixi_mqtt_header_put(b, ":payload-format", pixi_cur_str("utf-8"));
        break;
    default: break; /* of the packet, not of the message */
    }
}

void pixi_mqtt_headers_take(const struct pixi_mqtt_props *props, struct pixi_buf *b)
{
    struct pixi_cur rest = props->block;
    struct pixi_mqtt_prop p;

    while (pixi_mqtt_prop_next(&rest, &p))
        take_one(&p, b);
}

/* Decoded in place of what it takes in b. */
static void put_decoded(struct pixi_buf *b, struct pixi_cur text)
{
    size_t room = pixi_cur_left(&text) / 4 * 3 + 3, len = 0, was = b->len;
    uint8_t *out = pixi_buf_reserve(b, 3 + room);

    if (!out || pixi_base64_decode(PIXI_BASE64_STD, text, out + 3, &len) != PIXI_OK)
        return; /* not ours: a header of that name means nothing */
    out[0] = PIXI_MQTT_PROP_CORRELATION_DATA;
    out[1] = (uint8_t)(len >> 8);
    out[2] = (uint8_t)len;
    b->len = was + 3 + len;
}

static void put_meaning(struct pixi_buf *b, enum pixi_mqtt_prop_id id, struct pixi_cur value)
{
    switch (id) {
    case PIXI_MQTT_PROP_CORRELATION_DATA: put_decoded(b, value); break;
    case PIXI_MQTT_PROP_PAYLOAD_FORMAT: pixi_mqtt_prop_put_num(b, id, 1); break;
    case PIXI_MQTT_PROP_RESPONSE_TOPIC:
        if (pixi_topic_check(value) != PIXI_OK)
            return;
        pixi_mqtt_prop_put_val(b, id, value);
        break;
    default:
        if (pixi_mqtt_str_check(value) == PIXI_OK)
            pixi_mqtt_prop_put_val(b, id, value);
    }
}

static void put_one(struct pixi_buf *b, struct pixi_cur name, struct pixi_cur value, unsigned *seen)
{
    if (name.p != name.end && *name.p == ':') {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            if (!pixi_cur_equals(name, pixi_cur_str(rows[i].name)))
                continue;
            if (!(*seen & 1u << i)) /* once, whatever a client of pixi.v1 wrote */
                put_meaning(b, rows[i].id, value);
            *seen |= 1u << i;
            return;
        }
        name.p++;
    }
    if (pixi_mqtt_str_check(name) == PIXI_OK && pixi_mqtt_str_check(value) == PIXI_OK)
        pixi_mqtt_prop_put_user(b, name, value);
}

void pixi_mqtt_headers_put(struct pixi_cur headers, struct pixi_buf *b)
{
    struct pixi_cur name, value;
    unsigned seen = 0;

    while (pixi_rpc_headers_next(&headers, &name, &value))
        put_one(b, name, value, &seen);
}

struct pixi_cur pixi_mqtt_header_find(struct pixi_cur headers, const char *name)
{
    struct pixi_cur n, value;

    while (pixi_rpc_headers_next(&headers, &n, &value))
        if (pixi_cur_equals(n, pixi_cur_str(name)))
            return value;
    return pixi_cur_init(NULL, 0);
}
