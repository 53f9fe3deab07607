#include "proto/ws/deflate.h"
#include "proto/ws/deflate_offer.h"

#include <assert.h>
#include <limits.h>

enum {
    MEM_LEVEL = 8,
    AT_BLOCK = 128, /* in data_type: between two blocks */
    BITS_LEFT = 63, /* and: of the last byte */
};

/* What flushing ends with, and the sender leaves out: an empty block without its first byte (§7.2.1). */
static const uint8_t tail[4] = {0, 0, 0xff, 0xff};

static void set_memory(z_stream *z, const struct pixi_ws_memory *m)
{
    z->zalloc = m->get;
    z->zfree = m->give_back;
    z->opaque = m->ctx;
}

/* zlib counts input and room in 32 bits, and writes to none of the input. */
static uInt lend(z_stream *z, struct pixi_cur in)
{
    size_t len = pixi_cur_left(&in);

    z->next_in = (Bytef *)(uintptr_t)in.p;
    z->avail_in = len < UINT_MAX ? (uInt)len : UINT_MAX;
    return z->avail_in;
}

/* Of what was given, in is what it has left. */
static void take_back(const z_stream *z, uInt given, struct pixi_cur *in)
{
    if (given != z->avail_in)
        in->p += given - z->avail_in;
}

static void lend_room(z_stream *z, uint8_t *out, uint64_t room)
{
    z->next_out = out;
    z->avail_out = room < UINT_MAX ? (uInt)room : UINT_MAX;
}

/* --- inflating --------------------------------------------------------------------------------------------------- */

int pixi_ws_inflater_init(struct pixi_ws_inflater *i, const struct pixi_ws_memory *m)
{
    *i = (struct pixi_ws_inflater){.err = PIXI_OK};
    set_memory(&i->z, m);
    return inflateInit2(&i->z, -PIXI_WS_BITS_MAX) == Z_OK ? PIXI_OK : PIXI_E_NOMEM;
}

void pixi_ws_inflater_clear(struct pixi_ws_inflater *i)
{
    inflateEnd(&i->z);
}

void pixi_ws_inflater_begin(struct pixi_ws_inflater *i, uint64_t message_max)
{
    inflateReset(&i->z);
    i->left = message_max;
    i->err = PIXI_OK;
    i->is_ending = false;
    i->tail_read = 0;
}

/* Some input, into some room. Once the message is as long as it may be, that is one byte that it must not need. */
static int inflate_some(struct pixi_ws_inflater *i, struct pixi_cur *in, uint8_t *out, size_t room,
                        size_t *len)
{
    uint8_t beyond;
    bool is_full = i->left == 0;
    uInt given = lend(&i->z, *in);
    int rc;

    if (is_full)
        lend_room(&i->z, &beyond, 1);
    else
        lend_room(&i->z, out, room < i->left ? room : i->left);
    rc = inflate(&i->z, Z_SYNC_FLUSH);
    take_back(&i->z, given, in);
    *len = is_full ? 0 : (size_t)(i->z.next_out - out);
    i->left -= *len;
    if (is_full && i->z.avail_out == 0)
        return PIXI_E_WS_TOO_BIG;
    if (rc == Z_STREAM_END) {
        inflateReset(&i->z); /* §7.2.3.4: other blocks may stand behind one that says it is the last */
        return PIXI_OK;
    }
    if (rc == Z_MEM_ERROR) /* the window is taken when it is first needed */
        return PIXI_E_NOMEM;
    return rc == Z_OK || rc == Z_BUF_ERROR ? PIXI_OK : PIXI_E_WS_DEFLATE_DATA;
}

/* The tail was read: was it the rest of an empty block, as it must be? */
static int check_end(const struct pixi_ws_inflater *i)
{
    return (i->z.data_type & (AT_BLOCK | BITS_LEFT)) == AT_BLOCK ? PIXI_OK : PIXI_E_WS_DEFLATE_DATA;
}

int pixi_ws_inflate(struct pixi_ws_inflater *i, struct pixi_cur *in, enum pixi_ws_end end, uint8_t *out,
                    size_t room, size_t *len)
{
    size_t some;

    *len = 0;
    while (i->err == PIXI_OK) {
        struct pixi_cur rest = {tail + i->tail_read, tail + sizeof tail};
        struct pixi_cur *from = i->is_ending ? &rest : in;

        i->err = inflate_some(i, from, out + *len, room - *len, &some);
        *len += some;
        if (i->err != PIXI_OK)
            break;
        i->tail_read = (uint8_t)(rest.p - tail);
        if (*len == room)
            return PIXI_MORE; /* there may be more than that */
        if (i->z.avail_out == 0 || from->p != from->end)
            continue;
        if (i->is_ending)
            return i->err = check_end(i);
        if (end == PIXI_WS_GOES_ON)
            return PIXI_MORE;
        i->is_ending = true;
    }
    return i->err;
}

/* --- deflating --------------------------------------------------------------------------------------------------- */

int pixi_ws_deflater_init(struct pixi_ws_deflater *d, unsigned level, const struct pixi_ws_memory *m)
{
    assert(level >= PIXI_WS_LEVEL_MIN && level <= PIXI_WS_LEVEL_MAX);
    *d = (struct pixi_ws_deflater){.held_len = 0};
    set_memory(&d->z, m);
    return deflateInit2(&d->z, (int)level, Z_DEFLATED, -PIXI_WS_DEFLATE_BITS, MEM_LEVEL,
                        Z_DEFAULT_STRATEGY) == Z_OK
               ? PIXI_OK
               : PIXI_E_NOMEM;
}

void pixi_ws_deflater_clear(struct pixi_ws_deflater *d)
{
    deflateEnd(&d->z);
}

void pixi_ws_deflater_begin(struct pixi_ws_deflater *d)
{
    deflateReset(&d->z);
    d->held_len = 0;
}

int pixi_ws_deflate(struct pixi_ws_deflater *d, struct pixi_cur *in, enum pixi_ws_end end, uint8_t *out,
                    size_t room, size_t *len)
{
    uInt given = lend(&d->z, *in);
    bool is_last = end == PIXI_WS_ENDS && given == pixi_cur_left(in);

    assert(room >= PIXI_WS_DEFLATE_ROOM);
    memcpy(out, d->held, d->held_len);
    lend_room(&d->z, out + d->held_len, room - d->held_len);
    deflate(&d->z, is_last ? Z_SYNC_FLUSH : Z_NO_FLUSH);
    take_back(&d->z, given, in);
    *len = (size_t)(d->z.next_out - out);
    if (is_last && d->z.avail_out > 0) {
        assert(*len >= sizeof tail && memcmp(d->z.next_out - sizeof tail, tail, sizeof tail) == 0);
        *len -= sizeof tail;
        return PIXI_OK;
    }
    d->held_len = *len < sizeof tail ? (uint8_t)*len : sizeof tail;
    *len -= d->held_len;
    memcpy(d->held, out + *len, d->held_len);
    return PIXI_MORE;
}
