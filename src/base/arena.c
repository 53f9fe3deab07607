#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

enum { CHUNK = 4096, ALIGN = alignof(max_align_t) };

struct pixi_arena_chunk {
    struct pixi_arena_chunk *next;
    size_t len, cap;
    alignas(ALIGN) uint8_t bytes[];
};

static struct pixi_arena_chunk *add_chunk(struct pixi_arena *a, size_t len)
{
    size_t cap = len > CHUNK ? len : CHUNK;
    struct pixi_arena_chunk *c = calloc(1, sizeof *c + cap);

    if (!c)
        return NULL;
    c->cap = cap;
    c->next = a->chunks;
    a->chunks = c;
    return c;
}

void *pixi_arena_take(struct pixi_arena *a, size_t len)
{
    struct pixi_arena_chunk *c = a->chunks;
    void *out;

    if (len > a->max - a->used)
        return NULL;
    len = (len + ALIGN - 1) / ALIGN * ALIGN;
    if (!c || len > c->cap - c->len)
        c = add_chunk(a, len);
    if (!c)
        return NULL;
    out = c->bytes + c->len;
    c->len += len;
    a->used += len < a->max - a->used ? len : a->max - a->used;
    return out;
}

char *pixi_arena_text(struct pixi_arena *a, struct pixi_cur text)
{
    size_t len = pixi_cur_left(&text);
    char *out = pixi_arena_take(a, len + 1);

    if (out && len)
        memcpy(out, text.p, len);
    return out;
}

void pixi_arena_clear(struct pixi_arena *a)
{
    struct pixi_arena_chunk *c;

    while ((c = a->chunks)) {
        a->chunks = c->next;
        explicit_bzero(c, sizeof *c + c->cap);
        free(c);
    }
    a->used = 0;
}
