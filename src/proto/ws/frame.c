#include "proto/ws/frame.h"

enum { FIN = 0x80, RSV = 0x70, RSV1 = 0x40, OPCODE = 0x0f, MASKED = 0x80, LEN7 = 0x7f };

static bool is_control(uint8_t opcode)
{
    return opcode >= 8;
}

static bool is_reserved(uint8_t opcode)
{
    return (opcode >= 3 && opcode <= 7) || opcode >= 11;
}

static int decode_len(struct pixi_cur *c, uint8_t len7, uint64_t *len)
{
    size_t width = len7 == 126 ? 2 : 8;
    uint64_t least = len7 == 126 ? 126 : 65536; /* anything smaller has a shorter form */

    *len = len7;
    if (len7 < 126)
        return PIXI_OK;
    if (width == 8 && c->p != c->end && *c->p & 0x80)
        return PIXI_E_WS_LEN; /* bit 63: the first byte tells */
    if (!pixi_cur_uint(c, width, len))
        return PIXI_MORE;
    return *len < least ? PIXI_E_WS_LEN : PIXI_OK;
}

int pixi_ws_frame_decode(struct pixi_cur *in, enum pixi_role from, enum pixi_ws_packing may,
                         struct pixi_ws_frame *out)
{
    struct pixi_cur c = *in, key;
    struct pixi_ws_frame f = {0};
    uint64_t b0, b1;
    int rc;

    if (!pixi_cur_uint(&c, 1, &b0))
        return PIXI_MORE;
    f.opcode = b0 & OPCODE;
    f.is_final = b0 & FIN;
    f.is_compressed = b0 & RSV1;
    if (b0 & (may == PIXI_WS_DEFLATED ? RSV & ~RSV1 : RSV))
        return PIXI_E_WS_RSV;
    if (is_reserved(f.opcode))
        return PIXI_E_WS_OPCODE;
    if (f.is_compressed && (is_control(f.opcode) || f.opcode == PIXI_WS_CONTINUATION))
        return PIXI_E_WS_DEFLATE_BIT;
    if (is_control(f.opcode) && !f.is_final)
        return PIXI_E_WS_CONTROL;

    if (!pixi_cur_uint(&c, 1, &b1))
        return PIXI_MORE;
    if (!!(b1 & MASKED) != (from == PIXI_CLIENT))
        return PIXI_E_WS_MASK;
    if (is_control(f.opcode) && (b1 & LEN7) > PIXI_WS_CONTROL_MAX)
        return PIXI_E_WS_CONTROL;
    if ((rc = decode_len(&c, b1 & LEN7, &f.payload_len)) != PIXI_OK)
        return rc;

    if (from == PIXI_CLIENT) {
        if (!pixi_cur_cut(&c, sizeof f.mask, &key))
            return PIXI_MORE;
        memcpy(f.mask, key.p, sizeof f.mask);
    }
    *out = f;
    *in = c;
    return PIXI_OK;
}

static uint8_t *put_uint(uint8_t *out, uint64_t v, unsigned width)
{
    while (width-- > 0)
        *out++ = (uint8_t)(v >> (8 * width));
    return out;
}

size_t pixi_ws_frame_encode(const struct pixi_ws_frame *f, enum pixi_role from, uint8_t *out)
{
    uint8_t masked = from == PIXI_CLIENT ? MASKED : 0, *p = out;

    *p++ = (uint8_t)((f->is_final ? FIN : 0) | (f->is_compressed ? RSV1 : 0) | f->opcode);
    if (f->payload_len < 126) {
        *p++ = (uint8_t)(masked | f->payload_len);
    } else if (f->payload_len < 65536) {
        *p++ = masked | 126;
        p = put_uint(p, f->payload_len, 2);
    } else {
        *p++ = masked | 127;
        p = put_uint(p, f->payload_len, 8);
    }
    if (masked) {
        memcpy(p, f->mask, sizeof f->mask);
        p += sizeof f->mask;
    }
    return (size_t)(p - out);
}

void pixi_ws_mask_scalar(uint8_t *bytes, size_t len, const uint8_t mask[4], uint64_t at)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] ^= mask[(at + i) & 3];
}

void pixi_ws_mask(uint8_t *bytes, size_t len, const uint8_t mask[4], uint64_t at)
{
    uint8_t turned[8];
    uint64_t wide, some;
    size_t i = 0;

    for (unsigned k = 0; k < sizeof turned; k++)
        turned[k] = mask[(at + k) & 3];
    memcpy(&wide, turned, sizeof wide);
    /* four words a round: compilers make vector instructions of it */
    for (; len - i >= 4 * sizeof wide; i += 4 * sizeof wide)
        for (unsigned k = 0; k < 4; k++) {
            memcpy(&some, bytes + i + k * sizeof some, sizeof some);
            some ^= wide;
            memcpy(bytes + i + k * sizeof some, &some, sizeof some);
        }
    pixi_ws_mask_scalar(bytes + i, len - i, mask, at + i);
}
