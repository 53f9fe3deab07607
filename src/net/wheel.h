/* wheel.h -- timers: adding, cancelling and firing cost the same however many there are. */
#ifndef PIXI_NET_WHEEL_H
#define PIXI_NET_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded in what it times. All zero: not set. */
struct pixi_timer {
    struct pixi_timer *next, **link; /* link is NULL while not set */
    uint64_t due_ms;
    uint8_t level, slot;
    void (*on_due)(struct pixi_timer *); /* set by the owner; may set and cancel any timer, itself too */
};

enum { PIXI_WHEEL_LEVELS = 6, PIXI_WHEEL_SLOTS = 64 };

struct pixi_wheel {
    uint64_t now_ms;
    uint64_t filled[PIXI_WHEEL_LEVELS]; /* bit s: slot s of that level is not empty */
    struct pixi_timer *slots[PIXI_WHEEL_LEVELS][PIXI_WHEEL_SLOTS];
};

static inline bool pixi_timer_is_set(const struct pixi_timer *t)
{
    return t->link != NULL;
}

/* pixi_wheel_set -- fire t at due_ms, or at the next advance if that is past; moves a timer already set. */
void pixi_wheel_set(struct pixi_wheel *w, struct pixi_timer *t, uint64_t due_ms);

/* pixi_wheel_cancel -- nothing happens when t is not set. */
void pixi_wheel_cancel(struct pixi_wheel *w, struct pixi_timer *t);

/* pixi_wheel_advance -- time is now_ms (never earlier than before); calls on_due of all that are due. */
void pixi_wheel_advance(struct pixi_wheel *w, uint64_t now_ms);

/* pixi_wheel_next -- a time, ms, before which nothing fires; UINT64_MAX when nothing is set.
 * For far timers it may be earlier than they are due: advance then moves them nearer and fires none. */
uint64_t pixi_wheel_next(const struct pixi_wheel *w);

#endif
