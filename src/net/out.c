#include "net/out.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct pixi_out_piece {
    struct pixi_out_piece *next;
    struct pixi_shared *shared; /* NULL: the bytes are in room */
    uint8_t *p, *end;           /* still to be sent */
    uint8_t *limit;             /* end of room */
    uint8_t room[];
};

enum { ROOM = PIXI_OUT_CHUNK - sizeof(struct pixi_out_piece) };

struct pixi_shared *pixi_shared_new(size_t len)
{
    struct pixi_shared *s = malloc(sizeof *s + len);

    if (s) {
        s->refs = 1;
        s->len = len;
    }
    return s;
}

void pixi_shared_release(struct pixi_shared *s)
{
    if (--s->refs == 0)
        free(s);
}

static void free_list(struct pixi_out_piece *piece)
{
    struct pixi_out_piece *next;

    for (; piece; piece = next) {
        next = piece->next;
        free(piece);
    }
}

void pixi_out_pool_clear(struct pixi_out_pool *p)
{
    free_list(p->chunks);
    free_list(p->refs);
    *p = (struct pixi_out_pool){0};
}

static struct pixi_out_piece *take(struct pixi_out_piece **list, size_t size)
{
    struct pixi_out_piece *piece = *list;

    if (piece)
        *list = piece->next;
    else
        piece = malloc(size);
    return piece;
}

static void append(struct pixi_out *o, struct pixi_out_piece *piece)
{
    piece->next = NULL;
    if (o->last)
        o->last->next = piece;
    else
        o->first = piece;
    o->last = piece;
}

static struct pixi_out_piece *append_chunk(struct pixi_out *o, struct pixi_out_pool *p)
{
    bool is_kept = p->chunks != NULL;
    struct pixi_out_piece *piece = take(&p->chunks, PIXI_OUT_CHUNK);

    if (!piece)
        return NULL;
    p->chunk_count -= is_kept;
    piece->shared = NULL;
    piece->p = piece->end = piece->room;
    piece->limit = piece->room + ROOM;
    append(o, piece);
    return piece;
}

static size_t left_in(const struct pixi_out_piece *piece)
{
    return piece && !piece->shared ? (size_t)(piece->limit - piece->end) : 0;
}

uint8_t *pixi_out_room(struct pixi_out *o, struct pixi_out_pool *p, size_t len)
{
    struct pixi_out_piece *piece = o->last;
    uint8_t *room;

    assert(len > 0 && len <= PIXI_OUT_CHUNK / 2);
    if (left_in(piece) < len && !(piece = append_chunk(o, p)))
        return NULL;
    room = piece->end;
    piece->end += len;
    o->len += len;
    return room;
}

static void release(struct pixi_out_piece *piece, struct pixi_out_pool *p)
{
    if (piece->shared) {
        pixi_shared_release(piece->shared);
        piece->next = p->refs;
        p->refs = piece;
    } else if (p->chunk_count < PIXI_OUT_POOL_MAX) {
        piece->next = p->chunks;
        p->chunks = piece;
        p->chunk_count++;
    } else {
        free(piece);
    }
}

/* Takes back what was put since the queue looked like `was`. */
static void undo(struct pixi_out *o, struct pixi_out_pool *p, struct pixi_out was, uint8_t *was_end)
{
    struct pixi_out_piece *extra = was.last ? was.last->next : o->first, *next;

    for (; extra; extra = next) {
        next = extra->next;
        release(extra, p);
    }
    *o = was;
    if (was.last) {
        was.last->next = NULL;
        was.last->end = was_end;
    }
}

int pixi_out_put(struct pixi_out *o, struct pixi_out_pool *p, const uint8_t *bytes, size_t len)
{
    struct pixi_out was = *o;
    uint8_t *was_end = o->last ? o->last->end : NULL;

    while (len > 0) {
        size_t some = left_in(o->last);

        if (!some) {
            if (!append_chunk(o, p)) {
                undo(o, p, was, was_end);
                return PIXI_E_NOMEM;
            }
            continue;
        }
        if (some > len)
            some = len;
        memcpy(o->last->end, bytes, some);
        o->last->end += some;
        o->len += some;
        bytes += some;
        len -= some;
    }
    return PIXI_OK;
}

int pixi_out_put_shared(struct pixi_out *o, struct pixi_out_pool *p, struct pixi_shared *s)
{
    struct pixi_out_piece *piece = take(&p->refs, sizeof *piece);

    if (!piece)
        return PIXI_E_NOMEM;
    s->refs++;
    piece->shared = s;
    piece->p = s->bytes;
    piece->end = piece->limit = s->bytes + s->len;
    append(o, piece);
    o->len += s->len;
    return PIXI_OK;
}

int pixi_out_iov(const struct pixi_out *o, struct iovec *iov, int max)
{
    int count = 0;

    for (struct pixi_out_piece *piece = o->first; piece && count < max; piece = piece->next)
        iov[count++] = (struct iovec){piece->p, (size_t)(piece->end - piece->p)};
    return count;
}

void pixi_out_drop(struct pixi_out *o, struct pixi_out_pool *p, size_t len)
{
    o->len -= len;
    while (o->first) {
        struct pixi_out_piece *piece = o->first;
        size_t some = (size_t)(piece->end - piece->p);

        if (len < some) {
            piece->p += len;
            return;
        }
        len -= some;
        o->first = piece->next;
        if (!o->first)
            o->last = NULL;
        release(piece, p);
    }
}

void pixi_out_clear(struct pixi_out *o, struct pixi_out_pool *p)
{
    pixi_out_drop(o, p, o->len);
}
