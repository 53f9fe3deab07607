#include "link/message.h"

static void forget(struct pixi_link_body *b)
{
    if (b->shared)
        pixi_shared_release(b->shared);
    b->shared = NULL;
    pixi_buf_reset(&b->bytes);
}

void pixi_link_message_init(struct pixi_link_message *m, size_t max)
{
    *m = (struct pixi_link_message){.plain.bytes = pixi_buf_init(max), .packed.bytes = pixi_buf_init(max)};
}

void pixi_link_message_forget(struct pixi_link_message *m)
{
    forget(&m->plain);
    forget(&m->packed);
}

void pixi_link_message_clear(struct pixi_link_message *m)
{
    pixi_link_message_forget(m);
    pixi_buf_clear(&m->plain.bytes);
    pixi_buf_clear(&m->packed.bytes);
}

static void leave_room(struct pixi_link_body *b)
{
    if (pixi_buf_reserve(&b->bytes, PIXI_WS_HEAD_MAX))
        b->bytes.len = PIXI_WS_HEAD_MAX;
    b->at = PIXI_WS_HEAD_MAX;
}

struct pixi_buf *pixi_link_message_begin(struct pixi_link_message *m)
{
    pixi_link_message_forget(m);
    leave_room(&m->plain);
    m->packing = PIXI_LINK_NOT_TRIED;
    return &m->plain.bytes;
}

static void put_head(struct pixi_link_body *b, enum pixi_ws_opcode type, bool is_compressed)
{
    struct pixi_ws_frame f = {.payload_len = b->bytes.len - PIXI_WS_HEAD_MAX,
                              .opcode = (uint8_t)type,
                              .is_final = true,
                              .is_compressed = is_compressed};
    uint8_t head[PIXI_WS_HEAD_MAX];
    size_t len = pixi_ws_frame_encode(&f, PIXI_SERVER, head);

    b->at -= len;
    memcpy(b->bytes.bytes + b->at, head, len);
}

void pixi_link_message_end(struct pixi_link_message *m, enum pixi_link_form form, enum pixi_ws_opcode type)
{
    m->type = type;
    if (m->plain.bytes.err == PIXI_OK && form == PIXI_LINK_FRAMES)
        put_head(&m->plain, type, false);
}

struct pixi_cur pixi_link_message_payload(const struct pixi_link_message *m)
{
    const struct pixi_buf *b = &m->plain.bytes;

    return b->err ? pixi_cur_init(NULL, 0)
                  : pixi_cur_init(b->bytes + PIXI_WS_HEAD_MAX, b->len - PIXI_WS_HEAD_MAX);
}

/* Without memory for it the message goes as it is. */
static enum pixi_link_packing pack(struct pixi_link_message *m, struct pixi_packer *p)
{
    struct pixi_cur payload = pixi_link_message_payload(m);

    leave_room(&m->packed);
    if (m->packed.bytes.err || pixi_packer_pack(p, &payload, 1, &m->packed.bytes) != PIXI_OK)
        return PIXI_LINK_NOT_SMALLER;
    put_head(&m->packed, m->type, true);
    return PIXI_LINK_SMALLER;
}

struct pixi_link_body *pixi_link_message_pack(struct pixi_link_message *m, struct pixi_packer *p)
{
    if (m->packing == PIXI_LINK_NOT_TRIED)
        m->packing = pack(m, p);
    return m->packing == PIXI_LINK_SMALLER ? &m->packed : &m->plain;
}

struct pixi_shared *pixi_link_body_share(struct pixi_link_body *b)
{
    size_t len = b->bytes.len - b->at;

    if (len < PIXI_OUT_SHARE_MIN || b->shared)
        return b->shared;
    b->shared = pixi_shared_new(len);
    if (b->shared)
        memcpy(b->shared->bytes, b->bytes.bytes + b->at, len);
    return b->shared;
}
