#include "proto/mqtt/field.h"
#include "base/utf8.h"

int pixi_mqtt_u8_decode(struct pixi_cur *in, uint8_t *out)
{
    uint64_t v;

    if (!pixi_cur_uint(in, 1, &v))
        return PIXI_E_MQTT_SHORT;
    *out = (uint8_t)v;
    return PIXI_OK;
}

int pixi_mqtt_u16_decode(struct pixi_cur *in, uint16_t *out)
{
    uint64_t v;

    if (!pixi_cur_uint(in, 2, &v))
        return PIXI_E_MQTT_SHORT;
    *out = (uint16_t)v;
    return PIXI_OK;
}

int pixi_mqtt_bin_decode(struct pixi_cur *in, struct pixi_cur *out)
{
    struct pixi_cur c = *in;
    uint64_t len;

    if (!pixi_cur_uint(&c, 2, &len) || !pixi_cur_cut(&c, (size_t)len, out))
        return PIXI_E_MQTT_SHORT;
    *in = c;
    return PIXI_OK;
}

int pixi_mqtt_str_check(struct pixi_cur text)
{
    size_t len = pixi_cur_left(&text);

    if (len && memchr(text.p, 0, len))
        return PIXI_E_MQTT_UTF8; /* [MQTT-1.5.4-2] */
    return pixi_utf8_is_valid(text.p, len) ? PIXI_OK : PIXI_E_MQTT_UTF8;
}

int pixi_mqtt_str_decode(struct pixi_cur *in, struct pixi_cur *out)
{
    struct pixi_cur c = *in, text;
    int rc = pixi_mqtt_bin_decode(&c, &text);

    if (rc == PIXI_OK)
        rc = pixi_mqtt_str_check(text);
    if (rc != PIXI_OK)
        return rc;
    *out = text;
    *in = c;
    return PIXI_OK;
}

void pixi_mqtt_uint_put(struct pixi_buf *b, size_t width, uint32_t v)
{
    uint8_t bytes[4];

    for (size_t i = width; i > 0; i--, v >>= 8)
        bytes[i - 1] = (uint8_t)v;
    pixi_buf_put(b, bytes, width);
}

void pixi_mqtt_bin_put(struct pixi_buf *b, struct pixi_cur bytes)
{
    size_t len = pixi_cur_left(&bytes);

    if (len > PIXI_MQTT_FIELD_MAX && b->err == PIXI_OK)
        b->err = PIXI_E_LIMIT;
    pixi_mqtt_uint_put(b, 2, (uint32_t)len);
    pixi_buf_put(b, bytes.p, len);
}
