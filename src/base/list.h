/* list.h -- an intrusive ring of links. A link that is in no list points at itself or is all zero. */
#ifndef PIXI_BASE_LIST_H
#define PIXI_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct pixi_list {
    struct pixi_list *prev, *next;
};

/* The struct that a link is a member of. */
#define PIXI_LIST_ITEM(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void pixi_list_init(struct pixi_list *list)
{
    list->prev = list->next = list;
}

/* Nothing in it; for a link: it is in no list. */
static inline bool pixi_list_is_empty(const struct pixi_list *list)
{
    return !list->next || list->next == list;
}

static inline void pixi_list_add_last(struct pixi_list *list, struct pixi_list *link)
{
    link->prev = list->prev;
    link->next = list;
    list->prev->next = link;
    list->prev = link;
}

/* Harmless when it is in no list. */
static inline void pixi_list_remove(struct pixi_list *link)
{
    if (pixi_list_is_empty(link))
        return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    pixi_list_init(link);
}

#endif
