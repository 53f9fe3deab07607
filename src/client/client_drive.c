#include "client/client.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

void pixi_client_enter(struct pixi_client *c)
{
    pthread_mutex_lock(&c->lock);
    pixi_loop_tick(&c->loop); /* the last turn may be long ago, and timers are about to be set */
}

/* What pixi_client_process would tell now. */
static bool has_to_tell(const struct pixi_client *c)
{
    return pixi_client_find_event(c, false) || (c->state == PIXI_CLIENT_CLOSED && !c->is_end_told);
}

static int due_in(const struct pixi_client *c)
{
    return has_to_tell(c) ? 0 : pixi_loop_due_in(&c->loop, -1);
}

/* Whoever waits for pixi_client_fd slept by what was true before. */
static void poke(struct pixi_client *c)
{
    uint64_t one = 1;
    int due;

    if (c->ready_fd < 0)
        return;
    due = due_in(c);
    if (!c->has_news &&
        (due < 0 || (c->told_deadline_ms >= 0 &&
                     pixi_clock_mono_ms() + (uint64_t)due >= c->told_at_ms + (uint64_t)c->told_deadline_ms)))
        return;
    if (write(c->ready_fd, &one, sizeof one) < 0)
        return; /* full: it is readable, which is all that is wanted */
}

void pixi_client_leave(struct pixi_client *c)
{
    if (!c->is_dispatching)
        poke(c);
    pthread_mutex_unlock(&c->lock);
}

static void turn(struct pixi_client *c)
{
    pixi_loop_turn(&c->loop, 0);
    pthread_cond_broadcast(&c->moved);
    /* Our caller may wait on for long, and what came is no longer to be seen at the descriptor. */
    if (!c->is_dispatching)
        poke(c);
}

void pixi_client_kick(struct pixi_client *c)
{
    uint64_t one = 1;

    if (!c->is_driven)
        turn(c);
    else if (write(c->wake.fd, &one, sizeof one) < 0)
        return; /* full: it is readable, which is all that is wanted */
}

uint64_t pixi_client_until(const struct pixi_client *c, int timeout_ms, uint64_t otherwise_ms)
{
    uint64_t ms = timeout_ms < 0 ? otherwise_ms : (uint64_t)timeout_ms;

    (void)c;
    return ms == UINT64_MAX ? ms : pixi_clock_mono_ms() + ms;
}

static void sleep_until(struct pixi_client *c, uint64_t until_ms)
{
    struct timespec ts = {.tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000) * 1000000};

    if (until_ms == UINT64_MAX)
        pthread_cond_wait(&c->moved, &c->lock);
    else
        pthread_cond_timedwait(&c->moved, &c->lock, &ts);
}

static void drive(struct pixi_client *c, int most_ms)
{
    struct pollfd p = {.fd = c->loop.epoll_fd, .events = POLLIN};
    int ms = pixi_loop_due_in(&c->loop, most_ms);

    c->is_driven = true;
    if (ms != 0) {
        pthread_mutex_unlock(&c->lock);
        poll(&p, 1, ms); /* what it answers, the turn finds out */
        pthread_mutex_lock(&c->lock);
    }
    c->is_driven = false;
    turn(c);
}

bool pixi_client_wait(struct pixi_client *c, uint64_t until_ms)
{
    uint64_t now_ms = pixi_clock_mono_ms();
    uint64_t left = until_ms == UINT64_MAX ? INT_MAX : until_ms > now_ms ? until_ms - now_ms : 0;

    if (!c->is_driven)
        drive(c, left > INT_MAX ? INT_MAX : (int)left);
    else if (left > 0)
        sleep_until(c, until_ms);
    return left > 0;
}

/* --- in the program's own loop --------------------------------------------------------------------------------- */

static bool add(int outer, int fd)
{
    struct epoll_event e = {.events = EPOLLIN};

    return epoll_ctl(outer, EPOLL_CTL_ADD, fd, &e) == 0;
}

int pixi_client_fd(struct pixi_client *c)
{
    int fd;

    pixi_client_enter(c);
    if (c->outer_fd < 0) {
        int outer = epoll_create1(EPOLL_CLOEXEC), ready = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

        if (outer >= 0 && ready >= 0 && add(outer, ready) && add(outer, c->loop.epoll_fd)) {
            c->outer_fd = outer;
            c->ready_fd = ready;
        } else {
            if (outer >= 0)
                close(outer);
            if (ready >= 0)
                close(ready);
        }
    }
    fd = c->outer_fd;
    pthread_mutex_unlock(&c->lock);
    return fd;
}

int pixi_client_next_deadline(struct pixi_client *c)
{
    int ms;

    pixi_client_enter(c);
    ms = due_in(c);
    c->told_deadline_ms = ms;
    c->told_at_ms = pixi_clock_mono_ms();
    pthread_mutex_unlock(&c->lock);
    return ms;
}

static void tell(struct pixi_client *c, const struct pixi_callbacks *call, struct pixi_client_event *e)
{
    struct pixi_client_op *op = e->op;

    switch (e->kind) {
    case PIXI_CLIENT_EVENT_MESSAGE: call->on_message(c, c->ctx, e->message); break;
    case PIXI_CLIENT_EVENT_CONNECT: /* the callback may have been taken away since */
        if (call->on_connect)
            call->on_connect(c, c->ctx, e->flags, e->error.rc, &e->error);
        break;
    case PIXI_CLIENT_EVENT_LOST: call->on_close(c, c->ctx, e->error.rc, &e->error); break;
    case PIXI_CLIENT_EVENT_UNSUBSCRIBED:
        call->on_unsubscribed(c, c->ctx, e->filter, e->error.rc, &e->error);
        break;
    case PIXI_CLIENT_EVENT_DONE:
        if (op->is_request)
            op->on_reply(c, op->ctx, op->reply, &op->error);
        else
            op->on_sent(c, op->ctx, &op->error);
        break;
    }
}

/* The end is told after everything that came before it. */
static void tell_end(struct pixi_client *c)
{
    struct pixi_callbacks call = c->callbacks;
    struct pixi_error e = c->end;
    bool was_open = c->was_open;

    c->is_end_told = true;
    pthread_mutex_unlock(&c->lock);
    if (was_open && call.on_close)
        call.on_close(c, c->ctx, e.rc, &e);
    else if (!was_open && call.on_connect)
        call.on_connect(c, c->ctx, 0, e.rc, &e);
    pthread_mutex_lock(&c->lock);
}

static void dispatch(struct pixi_client *c)
{
    struct pixi_client_event *e;

    while ((e = pixi_client_take_event(c, false))) {
        struct pixi_callbacks call = c->callbacks;

        pthread_mutex_unlock(&c->lock);
        tell(c, &call, e);
        pixi_client_free_event(e);
        pthread_mutex_lock(&c->lock);
    }
    if (c->state == PIXI_CLIENT_CLOSED && !c->is_end_told)
        tell_end(c);
}

static int ended(struct pixi_client *c, struct pixi_error *e)
{
    /* told, and nobody has connected again from that callback */
    if (c->state == PIXI_CLIENT_CLOSED && c->is_end_told)
        return pixi_client_not_open(c, e);
    return pixi_client_ok(e);
}

int pixi_client_process(struct pixi_client *c, int timeout_ms, struct pixi_error *e)
{
    uint64_t until = pixi_client_until(c, timeout_ms, UINT64_MAX), count;
    int rc;

    pixi_client_enter(c);
    if (c->is_dispatching) {
        pthread_mutex_unlock(&c->lock);
        return pixi_client_say(e, PIXI_RC_USAGE, 0, "usage", "call it from one place at a time",
                               "pixi_client_process was called inside itself");
    }
    c->is_dispatching = true;
    if (c->ready_fd >= 0 && read(c->ready_fd, &count, sizeof count) < 0)
        count = 0; /* nobody had poked */
    pixi_client_wait(c, has_to_tell(c) || c->state == PIXI_CLIENT_CLOSED ? 0 : until);
    dispatch(c);
    c->is_dispatching = c->has_news = false;
    rc = ended(c, e);
    pthread_mutex_unlock(&c->lock);
    return rc;
}
