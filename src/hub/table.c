#include "hub/table.h"

#include <assert.h>
#include <stdlib.h>

enum { LEAST = 16 };

void pixi_table_clear(struct pixi_table *t)
{
    free(t->bucket);
    *t = (struct pixi_table){0};
}

static struct pixi_table_link **bucket_of(const struct pixi_table *t, uint64_t hash)
{
    return &t->bucket[hash & (t->size - 1)];
}

static void push(struct pixi_table *t, struct pixi_table_link *link)
{
    struct pixi_table_link **bucket = bucket_of(t, link->hash);

    link->next = *bucket;
    *bucket = link;
}

static void move_all(struct pixi_table *from, struct pixi_table *to)
{
    struct pixi_table_link *link, *next;

    for (size_t i = 0; i < from->size; i++) {
        for (link = from->bucket[i]; link; link = next) {
            next = link->next;
            push(to, link);
        }
    }
}

int pixi_table_reserve(struct pixi_table *t)
{
    struct pixi_table grown = {.size = t->size ? t->size * 2 : LEAST, .count = t->count};

    if (t->count < t->size)
        return PIXI_OK;
    grown.bucket = calloc(grown.size, sizeof(struct pixi_table_link *));
    if (!grown.bucket)
        return t->size ? PIXI_OK : PIXI_E_NOMEM;
    move_all(t, &grown);
    free(t->bucket);
    *t = grown;
    return PIXI_OK;
}

void pixi_table_add(struct pixi_table *t, struct pixi_table_link *link, uint64_t hash)
{
    assert(t->size);
    link->hash = hash;
    push(t, link);
    t->count++;
}

void pixi_table_remove(struct pixi_table *t, struct pixi_table_link *link)
{
    struct pixi_table_link **at;

    assert(t->size);
    for (at = bucket_of(t, link->hash); *at != link; at = &(*at)->next)
        assert(*at);
    *at = link->next;
    link->next = NULL;
    t->count--;
}

static struct pixi_table_link *with_hash(struct pixi_table_link *link, uint64_t hash)
{
    while (link && link->hash != hash)
        link = link->next;
    return link;
}

struct pixi_table_link *pixi_table_first(const struct pixi_table *t, uint64_t hash)
{
    return t->size ? with_hash(*bucket_of(t, hash), hash) : NULL;
}

struct pixi_table_link *pixi_table_next(const struct pixi_table_link *link)
{
    return with_hash(link->next, link->hash);
}
