#include "net/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { READY_MAX = 256 };

static uint64_t clock_us(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t pixi_clock_mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

uint64_t pixi_clock_mono_ms(void)
{
    return clock_us(CLOCK_MONOTONIC) / 1000;
}

uint64_t pixi_clock_wall_ms(void)
{
    return clock_us(CLOCK_REALTIME) / 1000;
}

int pixi_loop_init(struct pixi_loop *l)
{
    *l = (struct pixi_loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    if (l->epoll_fd < 0)
        return PIXI_E_SYS;
    l->rx = malloc(PIXI_RX_LEN);
    if (!l->rx) {
        close(l->epoll_fd);
        return PIXI_E_NOMEM;
    }
    l->rx_room = PIXI_RX_LEN;
    l->tasks_end = &l->tasks;
    l->now_ms = l->wheel.now_ms = pixi_clock_mono_ms();
    return PIXI_OK;
}

/* Runs what is queued now; what that queues in turn has its time after the next wait, so that work which goes on and
 * on lets others in. */
static void run_tasks(struct pixi_loop *l)
{
    struct pixi_task *t, **stop = l->tasks_end;
    bool is_last = !l->tasks;

    while (!is_last) {
        t = l->tasks;
        is_last = &t->next == stop;
        l->tasks = t->next;
        if (!l->tasks)
            l->tasks_end = &l->tasks;
        t->next = NULL;
        t->is_queued = false;
        t->run(t);
    }
}

void pixi_loop_clear(struct pixi_loop *l)
{
    while (l->tasks)
        run_tasks(l);
    pixi_out_pool_clear(&l->pool);
    while (l->spare_count > 0)
        pixi_buf_clear(&l->spares[--l->spare_count]);
    free(l->rx);
    close(l->epoll_fd);
    *l = (struct pixi_loop){.epoll_fd = -1};
}

void pixi_loop_tick(struct pixi_loop *l)
{
    l->now_ms = pixi_clock_mono_ms();
}

int pixi_loop_due_in(const struct pixi_loop *l, int wait_ms)
{
    uint64_t next = pixi_wheel_next(&l->wheel), now = pixi_clock_mono_ms(), in;

    if (l->tasks)
        return 0;
    if (next == UINT64_MAX)
        return wait_ms;
    in = next > now ? next - now : 0;
    if (wait_ms >= 0 && in > (uint64_t)wait_ms)
        return wait_ms;
    return in > INT_MAX ? INT_MAX : (int)in;
}

/* The turn has worked for so long: what may each read in the next? */
static void share(struct pixi_loop *l, uint64_t worked_us)
{
    if (worked_us > PIXI_LOOP_LONG_US)
        l->rx_room = (size_t)(l->rx_room * PIXI_LOOP_LONG_US / worked_us);
    else if (worked_us < PIXI_LOOP_LONG_US / 2)
        l->rx_room *= 2;
    if (l->rx_room < PIXI_RX_MIN)
        l->rx_room = PIXI_RX_MIN;
    else if (l->rx_room > PIXI_RX_LEN)
        l->rx_room = PIXI_RX_LEN;
}

int pixi_loop_turn(struct pixi_loop *l, int wait_ms)
{
    struct epoll_event ready[READY_MAX];
    uint64_t woke_us;
    bool had_tasks =
        l->tasks; /* from what was done between turns; one may be all that the caller waits for */
    int count;

    run_tasks(l);
    count = epoll_wait(l->epoll_fd, ready, READY_MAX, had_tasks ? 0 : pixi_loop_due_in(l, wait_ms));
    if (count < 0 && errno != EINTR)
        return PIXI_E_SYS;
    woke_us = pixi_clock_mono_us();
    l->now_ms = woke_us / 1000;
    for (int i = 0; i < count; i++) {
        struct pixi_watch *w = ready[i].data.ptr;

        if (w->is_watched)
            w->on_ready(w, ready[i].events);
    }
    pixi_wheel_advance(&l->wheel, l->now_ms);
    run_tasks(l);
    share(l, pixi_clock_mono_us() - woke_us);
    return PIXI_OK;
}

int pixi_loop_run(struct pixi_loop *l)
{
    int rc = PIXI_OK;

    l->is_stopped = false;
    while (!l->is_stopped && rc == PIXI_OK)
        rc = pixi_loop_turn(l, -1);
    return rc;
}

void pixi_loop_stop(struct pixi_loop *l)
{
    l->is_stopped = true;
}

int pixi_loop_watch(struct pixi_loop *l, struct pixi_watch *w, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = w};

    if (w->is_watched && w->events == events)
        return PIXI_OK;
    if (epoll_ctl(l->epoll_fd, w->is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, w->fd, &e) < 0)
        return PIXI_E_SYS;
    w->is_watched = true;
    w->events = events;
    return PIXI_OK;
}

void pixi_loop_unwatch(struct pixi_loop *l, struct pixi_watch *w)
{
    if (w->is_watched)
        epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
    w->is_watched = false;
    w->events = 0;
}

void pixi_loop_set_timer(struct pixi_loop *l, struct pixi_timer *t, uint64_t in_ms)
{
    pixi_wheel_set(&l->wheel, t, l->now_ms + in_ms);
}

void pixi_loop_cancel_timer(struct pixi_loop *l, struct pixi_timer *t)
{
    pixi_wheel_cancel(&l->wheel, t);
}

void pixi_loop_defer(struct pixi_loop *l, struct pixi_task *t)
{
    if (t->is_queued)
        return;
    t->is_queued = true;
    t->next = NULL;
    *l->tasks_end = t;
    l->tasks_end = &t->next;
}

struct pixi_buf pixi_loop_borrow(struct pixi_loop *l, size_t max)
{
    struct pixi_buf b = pixi_buf_init(max);

    if (l->spare_count > 0) {
        b = l->spares[--l->spare_count];
        b.max = max > b.cap ? max : b.cap;
    }
    return b;
}

void pixi_loop_give_back(struct pixi_loop *l, struct pixi_buf *b)
{
    pixi_buf_reset(b);
    if (b->cap > 0 && b->cap <= PIXI_LOOP_SPARE_MAX && l->spare_count < PIXI_LOOP_SPARES)
        l->spares[l->spare_count++] = *b;
    else
        pixi_buf_clear(b);
    *b = pixi_buf_init(b->max);
}
