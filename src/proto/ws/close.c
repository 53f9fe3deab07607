#include "proto/ws/close.h"
#include "base/utf8.h"

bool pixi_ws_close_is_legal(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

int pixi_ws_close_decode(struct pixi_cur payload, uint16_t *code, struct pixi_cur *reason)
{
    uint64_t v = PIXI_WS_CLOSE_NONE;

    if (pixi_cur_left(&payload) == 1)
        return PIXI_E_WS_CLOSE_LEN;
    if (pixi_cur_uint(&payload, 2, &v) && !pixi_ws_close_is_legal((unsigned)v))
        return PIXI_E_WS_CLOSE_CODE;
    if (!pixi_utf8_is_valid(payload.p, pixi_cur_left(&payload)))
        return PIXI_E_WS_CLOSE_UTF8;
    *code = (uint16_t)v;
    *reason = payload;
    return PIXI_OK;
}

size_t pixi_ws_close_encode(uint16_t code, struct pixi_cur reason, uint8_t *out)
{
    size_t len = pixi_cur_left(&reason);

    if (code == PIXI_WS_CLOSE_NONE)
        return 0;
    if (len > PIXI_WS_REASON_MAX)
        for (len = PIXI_WS_REASON_MAX; len > 0 && (reason.p[len] & 0xc0) == 0x80;)
            len--;
    out[0] = (uint8_t)(code >> 8);
    out[1] = (uint8_t)code;
    if (len)
        memcpy(out + 2, reason.p, len);
    return len + 2;
}

uint16_t pixi_ws_close_for(int err)
{
    switch (err) {
    case PIXI_E_WS_UTF8:
    case PIXI_E_WS_DEFLATE_DATA: /* no message of the type that it says it is */
    case PIXI_E_WS_CLOSE_UTF8: return PIXI_WS_CLOSE_UTF8;
    case PIXI_E_MQTT_TOO_BIG:
    case PIXI_E_WS_TOO_BIG: return PIXI_WS_CLOSE_TOO_BIG;
    case PIXI_E_WS_TYPE: return PIXI_WS_CLOSE_UNSUPPORTED;
    case PIXI_E_NOMEM:
    case PIXI_E_SYS: return PIXI_WS_CLOSE_INTERNAL;
    case PIXI_E_MQTT_KEEP_ALIVE:
    case PIXI_E_WS_PONG: return PIXI_WS_CLOSE_TIMEOUT;
    default: return PIXI_WS_CLOSE_PROTOCOL;
    }
}
