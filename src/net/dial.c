#include "net/dial.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define OF(member, ptr) ((struct pixi_dial *)((char *)(ptr)-offsetof(struct pixi_dial, member)))

static void say(struct pixi_dial *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct pixi_dial *d, const char *format, ...)
{
    size_t len = strlen(d->text);
    va_list args;

    va_start(args, format);
    vsnprintf(d->text + len, sizeof d->text - len, format, args);
    va_end(args);
}

static void note(struct pixi_dial *d, unsigned i, const char *what)
{
    char addr[PIXI_ADDR_TEXT];

    pixi_addr_text(&d->addrs.at[i], addr);
    say(d, "%s%s: %s", d->text[0] ? "; " : "", addr, what);
}

/* --- attempts ------------------------------------------------------------------------------------------------- */

static void close_attempt(struct pixi_dial *d, unsigned i)
{
    struct pixi_watch *w = &d->attempts[i].watch;

    if (w->fd < 0)
        return;
    pixi_loop_unwatch(d->loop, w);
    close(w->fd);
    w->fd = -1;
    d->open_count--;
}

static void stop(struct pixi_dial *d)
{
    d->state = PIXI_DIAL_IDLE;
    pixi_dns_cancel(&d->dns);
    pixi_tunnel_cancel(&d->tunnel);
    pixi_loop_cancel_timer(d->loop, &d->next);
    pixi_loop_cancel_timer(d->loop, &d->deadline);
    for (unsigned i = 0; i < d->addrs.count; i++)
        close_attempt(d, i);
}

/* Whatever went wrong on the way to the proxy is the proxy's failure. */
static int blame_proxy(struct pixi_dial *d, int err)
{
    char proxy[PIXI_PROXY_TEXT], what[PIXI_DIAL_TEXT];

    if (!d->to.proxy || err == PIXI_OK || err == PIXI_E_NOMEM)
        return err;
    memcpy(what, d->text, sizeof what);
    d->text[0] = 0;
    pixi_proxy_text(d->to.proxy, proxy);
    say(d, "the proxy %s %s%s", proxy,
        d->state == PIXI_DIAL_TUNNEL ? ""
        : err == PIXI_E_NAME         ? "cannot be looked up: "
                                     : "cannot be reached: ",
        what);
    return err == PIXI_E_PROXY_USER ? err : PIXI_E_PROXY;
}

static void finish(struct pixi_dial *d, int err)
{
    err = blame_proxy(d, err);
    stop(d);
    d->on_done(d, err);
}

/* The winner's socket becomes the caller's connection. */
static void hand_over(struct pixi_dial *d)
{
    struct pixi_watch *w = &d->attempts[d->at].watch;
    int fd = w->fd;

    pixi_loop_unwatch(d->loop, w);
    w->fd = -1;
    d->open_count--;
    if (pixi_tcp_open(d->tcp, d->loop, d->handlers, fd) == PIXI_OK) {
        finish(d, PIXI_OK);
        return;
    }
    d->sys_errno = errno;
    note(d, d->at, strerror(d->sys_errno));
    finish(d, PIXI_E_CONNECT);
}

static void on_tunnel(struct pixi_tunnel *t, int err)
{
    struct pixi_dial *d = OF(tunnel, t);

    if (err == PIXI_OK) {
        hand_over(d);
        return;
    }
    d->text[0] = 0;
    say(d, "%s", t->text);
    finish(d, err);
}

static void win(struct pixi_dial *d, unsigned i)
{
    struct pixi_watch *w = &d->attempts[i].watch;

    d->at = i;
    if (!d->to.proxy) {
        hand_over(d);
        return;
    }
    d->state = PIXI_DIAL_TUNNEL;
    pixi_dns_cancel(&d->dns);
    pixi_loop_cancel_timer(d->loop, &d->next);
    for (unsigned k = 0; k < d->addrs.count; k++)
        if (k != i)
            close_attempt(d, k);
    pixi_loop_unwatch(d->loop, w);
    d->tunnel.on_done = on_tunnel;
    pixi_tunnel_start(&d->tunnel, d->loop, w->fd, d->to.proxy, d->to.host, d->to.port);
}

static void fail_attempt(struct pixi_dial *d, unsigned i, int sys_errno)
{
    close_attempt(d, i);
    d->has_refusal = true;
    d->sys_errno = sys_errno;
    note(d, i, strerror(sys_errno));
}

/* PIXI_OK, or the attempt has failed at once. */
static int start_attempt(struct pixi_dial *d, unsigned i)
{
    struct pixi_dial_attempt *a = &d->attempts[i];
    const struct pixi_addr *to = &d->addrs.at[i];

    d->at = i;
    a->is_started = true;
    a->started_ms = d->loop->now_ms;
    a->watch.fd = socket(to->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (a->watch.fd >= 0) {
        d->open_count++;
        if ((connect(a->watch.fd, (const struct sockaddr *)&to->sa, to->len) == 0 || errno == EINPROGRESS) &&
            pixi_loop_watch(d->loop, &a->watch, EPOLLOUT) == PIXI_OK)
            return PIXI_OK; /* a connect that succeeded at once is told by EPOLLOUT as well */
    }
    fail_attempt(d, i, errno);
    return PIXI_E_CONNECT;
}

/* The first address not yet tried, of another family than the one before if there is any.    RFC 8305 §4 */
static unsigned pick(const struct pixi_dial *d)
{
    const struct pixi_addrs *a = &d->addrs;
    unsigned any = a->count;

    if (!d->attempts[0].is_started)
        return 0;
    for (unsigned i = a->count; i-- > 0;)
        if (!d->attempts[i].is_started)
            any = i;
    for (unsigned i = any; i < a->count; i++)
        if (!d->attempts[i].is_started && a->at[i].sa.ss_family != a->at[d->at].sa.ss_family)
            return i;
    return any;
}

/* The time for names counts; where they are known, the clock starts here. */
static void start_clock(struct pixi_dial *d)
{
    uint64_t now = d->loop->now_ms;

    if (d->to.addrs)
        d->deadline_ms = now + d->to.timeout_ms;
    pixi_loop_set_timer(d->loop, &d->deadline, d->deadline_ms > now ? d->deadline_ms - now : 0);
}

/* Starts one more; ends all where nothing is left to wait for. */
static void try_next(struct pixi_dial *d)
{
    unsigned i;

    if (!pixi_timer_is_set(&d->deadline))
        start_clock(d);
    while ((i = pick(d)) < d->addrs.count) {
        if (start_attempt(d, i) == PIXI_OK) {
            pixi_loop_set_timer(d->loop, &d->next, PIXI_DIAL_DELAY_MS);
            return;
        }
    }
    if (d->open_count == 0 && d->state == PIXI_DIAL_TCP)
        finish(d, PIXI_E_CONNECT);
}

static void on_next(struct pixi_timer *t)
{
    try_next(OF(next, t));
}

static void on_deadline(struct pixi_timer *t)
{
    struct pixi_dial *d = OF(deadline, t);

    if (d->state == PIXI_DIAL_TUNNEL) {
        d->text[0] = 0;
        say(d, "did not answer in %u ms", d->to.timeout_ms);
        finish(d, PIXI_E_PROXY);
        return;
    }
    for (unsigned i = 0; i < d->addrs.count; i++) {
        char what[64];

        if (d->attempts[i].watch.fd < 0)
            continue;
        snprintf(what, sizeof what, "no answer in %llu ms",
                 (unsigned long long)(d->deadline_ms - d->attempts[i].started_ms));
        note(d, i, what);
        d->sys_errno = ETIMEDOUT;
    }
    finish(d, d->has_refusal ? PIXI_E_CONNECT : PIXI_E_TIMEOUT);
}

static void on_ready(struct pixi_watch *w, uint32_t events)
{
    struct pixi_dial *d = w->owner;
    unsigned i =
        (unsigned)((struct pixi_dial_attempt *)((char *)w - offsetof(struct pixi_dial_attempt, watch)) -
                   d->attempts);
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    int sys_errno = 0;
    socklen_t errno_len = sizeof sys_errno;

    (void)events;
    if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &sys_errno, &errno_len) < 0)
        sys_errno = errno;
    if (sys_errno) {
        fail_attempt(d, i, sys_errno);
        try_next(d);
    } else if (getpeername(w->fd, (struct sockaddr *)&peer, &len) == 0) {
        win(d, i);
    } /* else: meant for the socket that this attempt had before, earlier in this turn */
}

/* --- names ---------------------------------------------------------------------------------------------------- */

static void on_addrs(struct pixi_dns *dns)
{
    try_next(OF(dns, dns));
}

static void on_name(struct pixi_dns *dns, int err)
{
    struct pixi_dial *d = OF(dns, dns);

    if (err != PIXI_OK) {
        say(d, "%s", dns->text);
        finish(d, err);
        return;
    }
    d->state = PIXI_DIAL_TCP;
    /* while one is under way and the timer runs, that one still has its time */
    if (d->open_count == 0 || !pixi_timer_is_set(&d->next))
        try_next(d);
}

void pixi_dial_start(struct pixi_dial *d, struct pixi_loop *l, struct pixi_tcp *tcp,
                     const struct pixi_tcp_handlers *h, const struct pixi_dial_to *to)
{
    d->loop = l;
    d->tcp = tcp;
    d->handlers = h;
    d->to = *to;
    d->at = d->open_count = 0;
    d->sys_errno = 0;
    d->has_refusal = false;
    d->text[0] = 0;
    d->next = (struct pixi_timer){.on_due = on_next};
    d->deadline = (struct pixi_timer){.on_due = on_deadline};
    for (unsigned i = 0; i < PIXI_ADDRS_MAX; i++)
        d->attempts[i] = (struct pixi_dial_attempt){.watch = {.fd = -1, .on_ready = on_ready, .owner = d}};
    l->now_ms = pixi_clock_mono_ms(); /* this turn may have lasted */
    d->deadline_ms = l->now_ms + to->timeout_ms;
    if (to->addrs) {
        d->state = PIXI_DIAL_TCP;
        d->addrs = *to->addrs;
        pixi_loop_set_timer(l, &d->next, 0);
        return;
    }
    d->state = PIXI_DIAL_NAME;
    d->dns.on_addrs = on_addrs;
    d->dns.on_done = on_name;
    d->dns.out = &d->addrs;
    pixi_dns_start(&d->dns, l, to->proxy ? to->proxy->host : to->host, to->proxy ? to->proxy->port : to->port,
                   to->timeout_ms);
}

void pixi_dial_cancel(struct pixi_dial *d)
{
    if (d->state != PIXI_DIAL_IDLE)
        stop(d);
}
