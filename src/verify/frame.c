#include "verify/frame.h"

#include "verify/text.h"

static bool is_control(uint8_t opcode)
{
    return opcode & 8;
}

/* The first byte's faults. */
static int check_first(uint8_t b, enum pixi_vframe_packing may)
{
    uint8_t opcode = b & 15;

    if (b & (may == PIXI_VFRAME_DEFLATED ? 0x30 : 0x70))
        return PIXI_E_WS_RSV;
    if ((opcode > PIXI_VFRAME_BINARY && opcode < PIXI_VFRAME_CLOSE) || opcode > PIXI_VFRAME_PONG)
        return PIXI_E_WS_OPCODE;
    if (b & 0x40 && opcode != PIXI_VFRAME_TEXT && opcode != PIXI_VFRAME_BINARY)
        return PIXI_E_WS_DEFLATE_BIT;
    if (is_control(opcode) && !(b & 0x80))
        return PIXI_E_WS_CONTROL;
    return PIXI_OK;
}

/* The second byte's faults. */
static int check_second(uint8_t first, uint8_t b, enum pixi_role from)
{
    if ((b & 0x80) != (from == PIXI_CLIENT ? 0x80 : 0))
        return PIXI_E_WS_MASK;
    if (is_control(first & 15) && (b & 0x7f) > 125)
        return PIXI_E_WS_CONTROL;
    return PIXI_OK;
}

/* The payload's length, from a cursor behind the second byte. */
static int read_len(struct pixi_cur *c, uint8_t second, uint64_t *len)
{
    size_t width = (second & 0x7f) == 126 ? 2 : (second & 0x7f) == 127 ? 8 : 0;

    *len = second & 0x7f;
    if (width == 0)
        return PIXI_OK;
    if (width == 8 && pixi_cur_left(c) && *c->p & 0x80)
        return PIXI_E_WS_LEN; /* the most significant bit must be 0 */
    if (!pixi_cur_uint(c, width, len))
        return PIXI_MORE;
    return *len < (width == 2 ? 126u : 65536u) ? PIXI_E_WS_LEN : PIXI_OK;
}

int pixi_vframe_read(struct pixi_cur *in, enum pixi_role from, enum pixi_vframe_packing may, uint64_t max,
                     struct pixi_vframe *out)
{
    struct pixi_cur c = *in, mask;
    struct pixi_vframe f = {0};
    uint64_t first, second, len;
    int rc;

    if (!pixi_cur_uint(&c, 1, &first))
        return PIXI_MORE;
    rc = check_first((uint8_t)first, may);
    if (rc)
        return rc;
    if (!pixi_cur_uint(&c, 1, &second))
        return PIXI_MORE;
    rc = check_second((uint8_t)first, (uint8_t)second, from);
    if (rc)
        return rc;
    rc = read_len(&c, (uint8_t)second, &len);
    if (rc)
        return rc;
    if (len > max)
        return PIXI_E_WS_TOO_BIG;
    if (from == PIXI_CLIENT) {
        if (!pixi_cur_cut(&c, 4, &mask))
            return PIXI_MORE;
        memcpy(f.mask, mask.p, 4);
    }
    if (!pixi_cur_cut(&c, (size_t)len, &f.payload))
        return PIXI_MORE;
    f.opcode = first & 15;
    f.is_final = first & 0x80;
    f.is_compressed = first & 0x40;
    *out = f;
    *in = c;
    return PIXI_OK;
}

static size_t put_len(uint8_t *head, const struct pixi_vframe_form *form, uint64_t len)
{
    uint8_t width = form->len_width ? form->len_width : len > 65535 ? 8 : len > 125 ? 2 : 0;

    head[0] = width == 8 ? 127 : width == 2 ? 126 : (uint8_t)len;
    for (uint8_t i = 0; i < width; i++)
        head[1 + i] = (uint8_t)(len >> (8 * (width - 1 - i)));
    return 1u + width;
}

void pixi_vframe_put(struct pixi_buf *b, const struct pixi_vframe_form *form, const uint8_t mask[4],
                     struct pixi_cur payload)
{
    uint8_t head[10], *body;
    size_t len = pixi_cur_left(&payload), head_len;

    head[0] = (uint8_t)((form->is_continued ? 0 : 0x80) | (form->rsv & 7) << 4 | (form->opcode & 15));
    head_len = 1 + put_len(head + 1, form, len);
    head[1] = (uint8_t)(head[1] | (form->is_unmasked ? 0 : 0x80));
    pixi_buf_put(b, head, head_len);
    if (form->is_unmasked) {
        pixi_buf_put_cur(b, payload);
        return;
    }
    pixi_buf_put(b, mask, 4);
    body = pixi_buf_reserve(b, len);
    if (!body)
        return;
    for (size_t i = 0; i < len; i++)
        body[i] = payload.p[i] ^ mask[i % 4];
    b->len += len;
}

void pixi_vframe_unmask(const struct pixi_vframe *f, uint8_t *out)
{
    for (size_t i = 0; i < pixi_cur_left(&f->payload); i++)
        out[i] = f->payload.p[i] ^ f->mask[i % 4];
}

/* What may stand in a close frame (§7.4): 1000 .. 1014 without the three that are for logs only and the one that
 * was never given a meaning, and everything from 3000 to 4999. */
static bool may_be_sent(uint64_t code)
{
    if (code >= 3000)
        return code <= 4999;
    return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}

int pixi_vframe_check_close(struct pixi_cur payload, uint16_t *code, struct pixi_cur *text)
{
    uint64_t v;

    if (pixi_cur_left(&payload) == 0) {
        *code = 1005;
        *text = payload;
        return PIXI_OK;
    }
    if (!pixi_cur_uint(&payload, 2, &v))
        return PIXI_E_WS_CLOSE_LEN;
    if (!may_be_sent(v))
        return PIXI_E_WS_CLOSE_CODE;
    if (!pixi_vtext_is_utf8(payload))
        return PIXI_E_WS_CLOSE_UTF8;
    *code = (uint16_t)v;
    *text = payload;
    return PIXI_OK;
}
