#include "net/dial.h"

#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define OF_TIMER(t) ((struct pixi_dial *)((char *)(t)-offsetof(struct pixi_dial, timer)))

static void say(struct pixi_dial *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct pixi_dial *d, const char *format, ...)
{
    size_t len = strlen(d->text);
    va_list args;

    va_start(args, format);
    vsnprintf(d->text + len, sizeof d->text - len, format, args);
    va_end(args);
}

int pixi_dial_resolve(struct pixi_dial *d, const char *host, uint16_t port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *found, *a;
    char service[8];
    int rc;

    d->count = d->at = 0;
    d->text[0] = 0;
    snprintf(service, sizeof service, "%u", port);
    rc = getaddrinfo(host, service, &hints, &found);
    if (rc == EAI_ADDRFAMILY || rc == EAI_NONAME || rc == EAI_NODATA) {
        hints.ai_flags = 0; /* loopback alone does not count as configured */
        rc = getaddrinfo(host, service, &hints, &found);
    }
    if (rc != 0) {
        say(d, "%s: %s", host, rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
        return PIXI_E_NAME;
    }
    for (a = found; a && d->count < PIXI_DIAL_ADDRS; a = a->ai_next) {
        memcpy(&d->addrs[d->count].sa, a->ai_addr, a->ai_addrlen);
        d->addrs[d->count++].len = a->ai_addrlen;
    }
    freeaddrinfo(found);
    return PIXI_OK;
}

static void note(struct pixi_dial *d, const char *what)
{
    char addr[PIXI_ADDR_TEXT];

    pixi_addr_text(&d->addrs[d->at], addr);
    say(d, "%s%s: %s", d->text[0] ? "; " : "", addr, what);
}

static void finish(struct pixi_dial *d, int err)
{
    pixi_loop_cancel_timer(d->loop, &d->timer);
    d->tcp->dial = NULL;
    d->tcp->handlers = d->handlers;
    d->on_done(d, err);
}

/* The next address that can be tried at all; with none left, done follows in a turn of its own. */
static void try_next(struct pixi_dial *d, const struct pixi_tcp_handlers *while_connecting)
{
    for (; d->at < d->count; d->at++) {
        uint64_t left = d->deadline_ms > d->loop->now_ms ? d->deadline_ms - d->loop->now_ms : 0;

        d->each_ms = left / (d->count - d->at);
        if (pixi_tcp_connect(d->tcp, d->loop, while_connecting, &d->addrs[d->at]) == PIXI_OK) {
            d->tcp->dial = d;
            pixi_loop_set_timer(d->loop, &d->timer, d->each_ms);
            return;
        }
        note(d, strerror(d->tcp->sys_errno));
    }
    pixi_loop_set_timer(d->loop, &d->timer, 0);
}

static void on_connect(struct pixi_tcp *t, int err)
{
    struct pixi_dial *d = t->dial;
    const struct pixi_tcp_handlers *while_connecting = t->handlers;
    int sys_errno = t->sys_errno;

    if (err == PIXI_OK) {
        finish(d, PIXI_OK);
        return;
    }
    note(d, strerror(sys_errno));
    pixi_tcp_close(t);
    d->at++;
    try_next(d, while_connecting);
}

static const struct pixi_tcp_handlers connecting = {.on_connect = on_connect};

static void on_due(struct pixi_timer *timer)
{
    struct pixi_dial *d = OF_TIMER(timer);

    if (d->at < d->count) {
        char what[64];

        snprintf(what, sizeof what, "no answer in %llu ms", (unsigned long long)d->each_ms);
        note(d, what);
        pixi_tcp_close(d->tcp);
        if (++d->at < d->count) {
            try_next(d, &connecting);
            return;
        }
        finish(d, d->count == 1 ? PIXI_E_TIMEOUT : PIXI_E_CONNECT);
        return;
    }
    finish(d, PIXI_E_CONNECT);
}

void pixi_dial_start(struct pixi_dial *d, struct pixi_loop *l, struct pixi_tcp *tcp,
                     const struct pixi_tcp_handlers *h, uint64_t timeout_ms)
{
    d->loop = l;
    d->tcp = tcp;
    d->handlers = h;
    d->timer = (struct pixi_timer){.on_due = on_due};
    d->at = 0;
    d->text[0] = 0;
    l->now_ms = pixi_clock_mono_ms(); /* looking the name up may have taken its time */
    d->deadline_ms = l->now_ms + timeout_ms;
    try_next(d, &connecting);
}

void pixi_dial_cancel(struct pixi_dial *d)
{
    if (!d->tcp || d->tcp->dial != d) {
        if (d->loop)
            pixi_loop_cancel_timer(d->loop, &d->timer);
        return;
    }
    pixi_loop_cancel_timer(d->loop, &d->timer);
    d->tcp->dial = NULL;
    pixi_tcp_close(d->tcp);
}
