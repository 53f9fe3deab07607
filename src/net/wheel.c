#include "net/wheel.h"

#include <stddef.h>

enum { BITS = 6, MASK = PIXI_WHEEL_SLOTS - 1 };

static const uint64_t HORIZON = (UINT64_C(1) << (BITS * PIXI_WHEEL_LEVELS)) - 1;

static void link_in(struct pixi_timer **head, struct pixi_timer *t)
{
    t->next = *head;
    t->link = head;
    if (t->next)
        t->next->link = &t->next;
    *head = t;
}

static void link_out(struct pixi_timer *t)
{
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    t->next = NULL;
    t->link = NULL;
}

void pixi_wheel_set(struct pixi_wheel *w, struct pixi_timer *t, uint64_t due_ms)
{
    uint64_t at, wait;

    pixi_wheel_cancel(w, t);
    t->due_ms = due_ms;
    at = due_ms > w->now_ms ? due_ms : w->now_ms + 1;
    if (at - w->now_ms > HORIZON)
        at = w->now_ms + HORIZON; /* it is put back when the wheel has turned that far */
    wait = at - w->now_ms;
    t->level = (uint8_t)((63 - __builtin_clzll(wait)) / BITS);
    t->slot = (uint8_t)(at >> (t->level * BITS) & MASK);
    link_in(&w->slots[t->level][t->slot], t);
    w->filled[t->level] |= UINT64_C(1) << t->slot;
}

void pixi_wheel_cancel(struct pixi_wheel *w, struct pixi_timer *t)
{
    if (!t->link)
        return;
    link_out(t);
    if (!w->slots[t->level][t->slot])
        w->filled[t->level] &= ~(UINT64_C(1) << t->slot);
}

/* Moves what lies in the slots that the step from `was` to `now` passes, on one level, to `passed`. */
static void take_passed(struct pixi_wheel *w, unsigned level, uint64_t was, uint64_t now,
                        struct pixi_timer **passed)
{
    uint64_t steps = now - was < PIXI_WHEEL_SLOTS ? now - was : PIXI_WHEEL_SLOTS;

    for (uint64_t i = 1; i <= steps; i++) {
        uint64_t slot = (was + i) & MASK;
        struct pixi_timer *t;

        while ((t = w->slots[level][slot])) {
            link_out(t);
            link_in(passed, t);
        }
        w->filled[level] &= ~(UINT64_C(1) << slot);
    }
}

void pixi_wheel_advance(struct pixi_wheel *w, uint64_t now_ms)
{
    struct pixi_timer *passed = NULL, *t;

    if (now_ms <= w->now_ms)
        return;
    for (unsigned level = 0; level < PIXI_WHEEL_LEVELS; level++) {
        uint64_t was = w->now_ms >> (level * BITS), now = now_ms >> (level * BITS);

        if (was == now)
            break;
        take_passed(w, level, was, now, &passed);
    }
    w->now_ms = now_ms;
    while ((t = passed)) {
        link_out(t);
        if (t->due_ms <= now_ms)
            t->on_due(t);
        else
            pixi_wheel_set(w, t, t->due_ms);
    }
}

uint64_t pixi_wheel_next(const struct pixi_wheel *w)
{
    uint64_t next = UINT64_MAX;

    for (unsigned level = 0; level < PIXI_WHEEL_LEVELS; level++) {
        uint64_t base = (w->now_ms >> (level * BITS)) + 1, turned, at;
        unsigned by = base & MASK;

        if (!w->filled[level])
            continue;
        turned = by ? w->filled[level] >> by | w->filled[level] << (64 - by) : w->filled[level];
        at = (base + (uint64_t)__builtin_ctzll(turned)) << (level * BITS);
        if (at < next)
            next = at;
    }
    return next;
}
