#include "server/gather.h"

#include <assert.h>

enum { SLOTS_MIN = 64 };

struct gather_entry {
    uint64_t hash;
    uint32_t at, len;   /* in text, the comma before it included; len 0: replaced */
    uint32_t topic_len; /* bytes after that comma; 0: it has none */
};

static struct gather_entry *entry(const struct pixi_gather *g, size_t i)
{
    return (struct gather_entry *)(void *)g->entries.bytes + i;
}

static size_t entry_count(const struct pixi_gather *g)
{
    return g->entries.len / sizeof(struct gather_entry);
}

static uint32_t *slots(const struct pixi_gather *g)
{
    return (uint32_t *)(void *)g->slots.bytes;
}

static size_t slot_count(const struct pixi_gather *g)
{
    return g->slots.len / sizeof(uint32_t);
}

void pixi_gather_init(struct pixi_gather *g, enum pixi_gather_keep keep, struct pixi_buf text,
                      struct pixi_buf entries, struct pixi_buf slots)
{
    *g = (struct pixi_gather){.keep = keep, .text = text, .entries = entries, .slots = slots};
}

static struct pixi_cur topic_of(const struct pixi_gather *g, const struct gather_entry *e)
{
    return pixi_cur_init(g->text.bytes + e->at + 1, e->topic_len);
}

/* The slot of this topic, or the free one where it belongs. */
static uint32_t *find_slot(const struct pixi_gather *g, uint64_t hash, struct pixi_cur topic)
{
    size_t mask = slot_count(g) - 1;

    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        uint32_t *slot = slots(g) + i;
        const struct gather_entry *e = *slot ? entry(g, *slot - 1) : NULL;

        if (!e || (e->hash == hash && pixi_cur_equals(topic_of(g, e), topic)))
            return slot;
    }
}

/* An empty table of so many slots, and every entry that lives in its place again. */
static void fill_slots(struct pixi_gather *g, size_t count)
{
    memset(g->slots.bytes, 0, count * sizeof(uint32_t));
    g->slots.len = count * sizeof(uint32_t);
    for (size_t i = 0; i < entry_count(g); i++) {
        const struct gather_entry *e = entry(g, i);

        if (e->len && e->topic_len)
            *find_slot(g, e->hash, topic_of(g, e)) = (uint32_t)i + 1;
    }
}

/* Room for one more topic. */
static bool widen_slots(struct pixi_gather *g)
{
    size_t count = slot_count(g) ? slot_count(g) : SLOTS_MIN;

    while (2 * (entry_count(g) + 1) > count)
        count *= 2;
    if (count == slot_count(g))
        return true;
    if (!pixi_buf_reserve(&g->slots, count * sizeof(uint32_t) - g->slots.len))
        return false;
    fill_slots(g, count);
    return true;
}

/* Moves those that live together. */
static void compact(struct pixi_gather *g)
{
    size_t kept = 0, at = 0;

    for (size_t i = 0; i < entry_count(g); i++) {
        struct gather_entry e = *entry(g, i);

        if (!e.len)
            continue;
        memmove(g->text.bytes + at, g->text.bytes + e.at, e.len);
        e.at = (uint32_t)at;
        at += e.len;
        *entry(g, kept++) = e;
    }
    g->entries.len = kept * sizeof(struct gather_entry);
    g->text.len = at;
    g->dead = 0;
}

static bool has_room(struct pixi_gather *g, size_t len)
{
    bool is_latest = g->keep == PIXI_GATHER_LATEST;
    size_t max = is_latest ? PIXI_GATHER_LATEST_MAX : PIXI_GATHER_FRAME_MAX - 1;

    if (!is_latest && entry_count(g) >= PIXI_RPC_BATCH_MAX)
        return false;
    if (g->text.len + len <= max)
        return true;
    if (g->dead < g->text.len / 2) /* so that moving costs no more than copying did */
        return false;
    compact(g);
    if (g->slots.len)
        fill_slots(g, slot_count(g));
    return g->text.len + len <= max;
}

static void forget(struct pixi_gather *g, struct gather_entry *e)
{
    g->dead += e->len;
    e->len = 0;
}

int pixi_gather_add(struct pixi_gather *g, const struct pixi_gather_note *note)
{
    size_t len = pixi_cur_left(&note->text) + 1;
    bool is_keyed = note->topic_len && g->keep == PIXI_GATHER_LATEST;
    struct gather_entry e = {.hash = note->hash, .len = (uint32_t)len};
    uint32_t *slot;

    assert(len > 1 && len <= PIXI_GATHER_NOTE_MAX + 1 && g->next == 0);
    if (!has_room(g, len))
        return PIXI_E_LIMIT;
    /* one byte more: the end of the last frame */
    if (!pixi_buf_reserve(&g->text, len + 1) || !pixi_buf_reserve(&g->entries, sizeof e) ||
        (is_keyed && !widen_slots(g))) {
        g->text.err = g->entries.err = g->slots.err = PIXI_OK;
        return PIXI_E_NOMEM;
    }
    e.at = (uint32_t)g->text.len;
    if (is_keyed) {
        e.topic_len = (uint32_t)note->topic_len;
        slot = find_slot(g, note->hash, pixi_cur_init(note->text.p, note->topic_len));
        if (*slot)
            forget(g, entry(g, *slot - 1));
        *slot = (uint32_t)entry_count(g) + 1;
    }
    pixi_buf_put_str(&g->text, ",");
    pixi_buf_put_cur(&g->text, note->text);
    pixi_buf_put(&g->entries, &e, sizeof e);
    return PIXI_OK;
}

static void forget_all(struct pixi_gather *g)
{
    g->text.len = g->entries.len = g->slots.len = 0;
    g->dead = g->next = 0;
}

bool pixi_gather_next(struct pixi_gather *g, struct pixi_cur *frame)
{
    size_t count = 0, len = 0, first;

    if (g->dead)
        compact(g);
    if (g->next == entry_count(g)) {
        forget_all(g);
        return false;
    }
    first = entry(g, g->next)->at;
    for (; g->next < entry_count(g) && count < PIXI_RPC_BATCH_MAX; g->next++, count++) {
        size_t more = entry(g, g->next)->len;

        if (len + more > PIXI_GATHER_FRAME_MAX - 1)
            break;
        len += more;
    }
    /* the comma before the first opens, the one before the next, or the byte that was spared, closes */
    g->text.bytes[first] = '[';
    g->text.bytes[first + len] = ']';
    *frame = pixi_cur_init(g->text.bytes + first, len + 1);
    return true;
}
