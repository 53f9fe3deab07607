#include "link/packer.h"
#include "base/utf8.h"

#include <stdlib.h>

enum {
    PIECE = 16384,         /* bytes that are inflated or deflated at a time */
    SCRATCH_MAX = 1 << 30, /* bytes: more than any message */
};

/* --- zlib's memory ------------------------------------------------------------------------------------------------ */

/* Before each piece of it stands its length. */
union head {
    size_t len;
    max_align_t align;
};

static void *get(void *ctx, unsigned count, unsigned size)
{
    struct pixi_packer *p = ctx;
    size_t len = (size_t)count * size + sizeof(union head);
    union head *h = malloc(len);

    if (!h)
        return NULL;
    h->len = len;
    p->zlib_bytes += len;
    return h + 1;
}

static void give_back(void *ctx, void *memory)
{
    struct pixi_packer *p = ctx;
    union head *h = (union head *)memory - 1;

    p->zlib_bytes -= h->len;
    free(h);
}

static struct pixi_ws_memory memory_of(struct pixi_packer *p)
{
    return (struct pixi_ws_memory){get, give_back, p};
}

static bool open_inflater(struct pixi_packer *p)
{
    struct pixi_ws_memory m = memory_of(p);

    if (!p->can_inflate)
        p->can_inflate = pixi_ws_inflater_init(&p->inflater, &m) == PIXI_OK;
    return p->can_inflate;
}

static bool open_deflater(struct pixi_packer *p)
{
    struct pixi_ws_memory m = memory_of(p);

    if (!p->can_deflate)
        p->can_deflate = pixi_ws_deflater_init(&p->deflater, p->level, &m) == PIXI_OK;
    return p->can_deflate;
}

static void close_deflater(struct pixi_packer *p)
{
    if (p->can_deflate)
        pixi_ws_deflater_clear(&p->deflater);
    p->can_deflate = false;
}

void pixi_packer_init(struct pixi_packer *p, uint64_t min_bytes, unsigned level)
{
    *p = (struct pixi_packer){.min_bytes = min_bytes, .level = level, .scratch = pixi_buf_init(SCRATCH_MAX)};
}

void pixi_packer_clear(struct pixi_packer *p)
{
    close_deflater(p);
    if (p->can_inflate)
        pixi_ws_inflater_clear(&p->inflater);
    p->can_inflate = false;
    pixi_buf_clear(&p->scratch);
}

void pixi_packer_set(struct pixi_packer *p, uint64_t min_bytes, unsigned level)
{
    if (level != p->level)
        close_deflater(p);
    p->min_bytes = min_bytes;
    p->level = level;
}

size_t pixi_packer_memory(const struct pixi_packer *p)
{
    return p->zlib_bytes + p->scratch.cap;
}

/* --- messages ------------------------------------------------------------------------------------------------------- */

/* One piece; stops as soon as out has as many bytes as it may. */
static int pack_piece(struct pixi_packer *p, struct pixi_cur in, enum pixi_ws_end end, struct pixi_buf *out,
                      size_t most)
{
    size_t room_len = most < PIECE ? most + PIXI_WS_DEFLATE_ROOM : PIECE, len;
    uint8_t *room;
    int rc = PIXI_MORE;

    while (rc == PIXI_MORE && (end == PIXI_WS_ENDS || in.p != in.end)) {
        room = pixi_buf_reserve(out, room_len);
        if (!room)
            return PIXI_E_NOMEM;
        rc = pixi_ws_deflate(&p->deflater, &in, end, room, room_len, &len);
        out->len += len;
        if (out->len >= most)
            return PIXI_E_LIMIT;
    }
    return PIXI_OK;
}

int pixi_packer_pack(struct pixi_packer *p, const struct pixi_cur *pieces, size_t count, struct pixi_buf *out)
{
    size_t start = out->len, len = 0;
    int rc = PIXI_OK;

    for (size_t i = 0; i < count; i++)
        len += pixi_cur_left(&pieces[i]);
    if (len < p->min_bytes || len == 0)
        return PIXI_E_LIMIT;
    if (!open_deflater(p))
        return PIXI_E_NOMEM;
    pixi_ws_deflater_begin(&p->deflater);
    for (size_t i = 0; i < count && rc == PIXI_OK; i++)
        rc = pack_piece(p, pieces[i], i + 1 == count ? PIXI_WS_ENDS : PIXI_WS_GOES_ON, out, start + len);
    p->packed_count++;
    if (rc != PIXI_OK) {
        out->len = start;
        out->err = PIXI_OK;
    }
    return rc;
}

int pixi_packer_unpack(struct pixi_packer *p, enum pixi_ws_opcode type, struct pixi_cur packed,
                       uint64_t message_max, struct pixi_buf *out)
{
    struct pixi_utf8 utf8 = {0};
    size_t len, bad;
    int rc = PIXI_MORE;

    if (!open_inflater(p))
        return PIXI_E_NOMEM;
    pixi_ws_inflater_begin(&p->inflater, message_max);
    while (rc == PIXI_MORE) {
        size_t room_len = out->max - out->len < PIECE ? out->max - out->len : PIECE;
        uint8_t *room = pixi_buf_reserve(out, room_len);

        if (!room)
            return PIXI_E_NOMEM;
        rc = pixi_ws_inflate(&p->inflater, &packed, PIXI_WS_ENDS, room, room_len, &len);
        if (rc >= 0 && type == PIXI_WS_TEXT && pixi_utf8_feed(&utf8, room, len, &bad) != PIXI_OK)
            return PIXI_E_WS_UTF8;
        out->len += len;
    }
    if (rc == PIXI_OK && type == PIXI_WS_TEXT && !pixi_utf8_is_whole(&utf8))
        return PIXI_E_WS_UTF8;
    return rc;
}
