/* arena.h -- memory that is given out in pieces and released at once, overwritten before it goes. */
#ifndef PIXI_BASE_ARENA_H
#define PIXI_BASE_ARENA_H

#include "base/cur.h"

struct pixi_arena {
    struct pixi_arena_chunk *chunks; /* owned; newest first */
    size_t used, max;                /* bytes given out, and their ceiling */
};

static inline struct pixi_arena pixi_arena_init(size_t max)
{
    return (struct pixi_arena){.max = max};
}

/* pixi_arena_take -- len zeroed bytes, aligned for anything; NULL when memory or the ceiling ends.
 * Valid until pixi_arena_clear. */
void *pixi_arena_take(struct pixi_arena *a, size_t len);

/* pixi_arena_text -- copies text and puts a NUL after it; NULL as above. */
char *pixi_arena_text(struct pixi_arena *a, struct pixi_cur text);

/* pixi_arena_clear -- overwrites and releases everything; usable again. */
void pixi_arena_clear(struct pixi_arena *a);

#endif
