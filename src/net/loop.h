/* loop.h -- one event loop: descriptors, timers, tasks. One thread; nothing here is safe from another.
 *
 * A turn: wait, call on_ready of what is ready, fire timers, run tasks. What a connection sends during a turn leaves
 * in one system call, because sending is a task. Objects close at once but are freed in a task, so that no callback
 * finds its object gone.
 *
 * A turn is as long as all wait for each other. While turns are long, each connection reads less in one: who says much
 * gets slower, who says little does not notice. */
#ifndef PIXI_NET_LOOP_H
#define PIXI_NET_LOOP_H

#include "base/buf.h"
#include "base/err.h"
#include "net/out.h"
#include "net/wheel.h"

#include <stddef.h>

/* A descriptor to wait for. Embedded in what owns the descriptor; on_ready is set by the owner. */
struct pixi_watch {
    int fd;
    uint32_t events; /* EPOLLIN | EPOLLOUT waited for */
    void (*on_ready)(struct pixi_watch *, uint32_t events);
    void *owner; /* for the owner; may be NULL */
    bool is_watched;
};

/* Work for the end of this turn. Embedded; all zero but for run. */
struct pixi_task {
    struct pixi_task *next;
    bool is_queued;
    void (*run)(struct pixi_task *);
};

enum {
    PIXI_RX_LEN = 65536,             /* bytes: the one receive buffer of a loop */
    PIXI_RX_MIN = 1024,              /* bytes that a connection may always read in a turn */
    PIXI_LOOP_LONG_US = 2000,        /* a turn that works longer lets others wait too long */
    PIXI_LOOP_SPARES = 64,           /* buffers kept for the next that needs one */
    PIXI_LOOP_SPARE_MAX = 128 * 1024 /* bytes: larger ones are given back to the system */
};

struct pixi_loop {
    int epoll_fd;
    bool is_stopped;
    uint64_t now_ms; /* monotonic, taken once a turn */
    struct pixi_wheel wheel;
    struct pixi_task *tasks, **tasks_end;
    uint8_t *rx;               /* PIXI_RX_LEN bytes, lent to whoever is reading */
    size_t rx_room;            /* bytes of it that each may fill: less while turns are long */
    struct pixi_out_pool pool; /* send buffers, lent while something waits */
    struct pixi_buf spares[PIXI_LOOP_SPARES];
    unsigned spare_count;
};

/* pixi_loop_init -- PIXI_OK | PIXI_E_NOMEM | PIXI_E_SYS (errno kept). */
int pixi_loop_init(struct pixi_loop *l);
void pixi_loop_clear(struct pixi_loop *l);

/* pixi_loop_turn -- one turn; waits up to wait_ms for something to happen (-1: as long as it takes), and not at
 * all if tasks were waiting.   PIXI_OK | PIXI_E_SYS. */
int pixi_loop_turn(struct pixi_loop *l, int wait_ms);

/* pixi_loop_due_in -- ms until a turn is due though nothing comes, most_ms at most (-1: no limit; then -1 means never). For
 * whoever waits on epoll_fd himself, then calls pixi_loop_turn(l, 0). */
int pixi_loop_due_in(const struct pixi_loop *l, int most_ms);

/* pixi_loop_tick -- take the time now: before a timer is set outside a turn, long after the last. */
void pixi_loop_tick(struct pixi_loop *l);

/* pixi_loop_run -- turns until pixi_loop_stop. PIXI_OK | PIXI_E_SYS. */
int pixi_loop_run(struct pixi_loop *l);
void pixi_loop_stop(struct pixi_loop *l);

/* pixi_loop_watch -- wait for events on w->fd; again: change which. events 0 keeps it registered for hang-ups
 * only.   PIXI_OK | PIXI_E_SYS */
int pixi_loop_watch(struct pixi_loop *l, struct pixi_watch *w, uint32_t events);
void pixi_loop_unwatch(struct pixi_loop *l, struct pixi_watch *w);

/* pixi_loop_set_timer -- in_ms from this turn's time. */
void pixi_loop_set_timer(struct pixi_loop *l, struct pixi_timer *t, uint64_t in_ms);
void pixi_loop_cancel_timer(struct pixi_loop *l, struct pixi_timer *t);

/* pixi_loop_defer -- run t once at the end of this turn; nothing when it is queued already. */
void pixi_loop_defer(struct pixi_loop *l, struct pixi_task *t);

/* pixi_loop_borrow -- an empty buffer, most often one that has its memory already; give it back when done.
 * What waits for the rest of a message holds one; an idle connection holds none. */
struct pixi_buf pixi_loop_borrow(struct pixi_loop *l, size_t max);
void pixi_loop_give_back(struct pixi_loop *l, struct pixi_buf *b);

/* pixi_clock_mono_ms, _mono_us, _wall_ms -- the clocks, read now. Wall time is since 1970. */
uint64_t pixi_clock_mono_ms(void);
uint64_t pixi_clock_mono_us(void);
uint64_t pixi_clock_wall_ms(void);

#endif
