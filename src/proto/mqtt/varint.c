#include "proto/mqtt/varint.h"

#include <assert.h>

int pixi_mqtt_varint_decode(struct pixi_cur *in, uint32_t *out)
{
    struct pixi_cur c = *in;
    uint32_t v = 0;
    uint64_t b;

    for (unsigned shift = 0; shift < 28; shift += 7) {
        if (!pixi_cur_uint(&c, 1, &b))
            return PIXI_MORE;
        v |= (uint32_t)(b & 0x7f) << shift;
        if (b & 0x80)
            continue;
        if (shift > 0 && b == 0)
            return PIXI_E_MQTT_VARINT; /* [MQTT-1.5.5-1]: a shorter form exists */
        *out = v;
        *in = c;
        return PIXI_OK;
    }
    return PIXI_E_MQTT_VARINT;
}

size_t pixi_mqtt_varint_size(uint32_t v)
{
    assert(v <= PIXI_MQTT_VARINT_MAX);
    return v < 1u << 7 ? 1 : v < 1u << 14 ? 2 : v < 1u << 21 ? 3 : 4;
}

void pixi_mqtt_varint_put(struct pixi_buf *b, uint32_t v)
{
    uint8_t bytes[PIXI_MQTT_VARINT_SIZE_MAX];
    size_t size = pixi_mqtt_varint_size(v);

    for (size_t i = 0; i < size; i++, v >>= 7)
        bytes[i] = (uint8_t)((v & 0x7f) | (i + 1 < size ? 0x80 : 0));
    pixi_buf_put(b, bytes, size);
}
