#include "verify/wire.h"

#include <stdio.h>

enum {
    SLICE_MS = 50, /* how late a stop flag may be seen */
    GRACE_MS = 1000,
};

#define OF(type, member, ptr) ((type *)((char *)(ptr)-offsetof(type, member)))

static void on_dialled(struct pixi_dial *d, int err)
{
    struct pixi_wires *ws = OF(struct pixi_wires, dial, d);

    ws->is_dialled = true;
    ws->dial_err = err;
}

static void on_resolved(struct pixi_dns *d, int err)
{
    struct pixi_wires *ws = OF(struct pixi_wires, dns, d);

    ws->is_resolved = true;
    ws->dns_err = err;
}

int pixi_wires_init(struct pixi_wires *ws, const volatile sig_atomic_t *stop)
{
    *ws = (struct pixi_wires){.stop = stop, .dial.on_done = on_dialled, .dns.on_done = on_resolved};
    return pixi_loop_init(&ws->loop);
}

void pixi_wires_clear(struct pixi_wires *ws)
{
    pixi_loop_clear(&ws->loop);
}

bool pixi_wires_are_stopped(const struct pixi_wires *ws)
{
    return ws->stop && *ws->stop;
}

uint64_t pixi_wires_deadline(uint32_t ms)
{
    return pixi_clock_mono_ms() + ms;
}

/* One turn of the loop; false when the time is over. Where this process was not run in time, what has come meanwhile
 * still counts; a peer that never stops sending gains nothing by it after GRACE_MS. */
static bool turn(struct pixi_wires *ws, uint64_t deadline)
{
    uint64_t now = pixi_clock_mono_ms(), left = deadline > now ? deadline - now : 0;

    if (now > deadline + GRACE_MS || pixi_wires_are_stopped(ws))
        return false;
    if (ws->on_wait)
        ws->on_wait(ws->ctx, deadline);
    return pixi_loop_turn(&ws->loop, left < SLICE_MS ? (int)left : SLICE_MS) == PIXI_OK && left > 0;
}

static void on_bytes(struct pixi_tcp *t, uint8_t *bytes, size_t len)
{
    struct pixi_wire *w = OF(struct pixi_wire, tcp, t);

    pixi_buf_put(&w->in, bytes, len);
    if (w->in.len >= PIXI_WIRE_MAX)
        pixi_tcp_pause(t);
}

static void on_end(struct pixi_tcp *t, int err)
{
    struct pixi_wire *w = OF(struct pixi_wire, tcp, t);

    w->is_ended = true;
    w->end_err = err;
    if (err != PIXI_E_TLS)
        return;
    w->ws->secure_err = err;
    w->ws->tls_fix = pixi_tls_fix(t->tls);
    snprintf(w->ws->tls_problem, sizeof w->ws->tls_problem, "%s", pixi_tls_problem(t->tls));
}

static void on_secure(struct pixi_tcp *t, int err)
{
    if (err == PIXI_OK)
        OF(struct pixi_wire, tcp, t)->is_secured = true;
    else
        on_end(t, err);
}

static const struct pixi_tcp_handlers handlers = {
    .on_secure = on_secure, .on_bytes = on_bytes, .on_end = on_end};

/* PIXI_OK | PIXI_E_TLS | PIXI_E_NOMEM. */
static int secure(struct pixi_wire *w)
{
    struct pixi_wires *ws = w->ws;
    uint64_t deadline = pixi_wires_deadline(ws->tls.timeout_ms);
    struct pixi_tls *tls = pixi_tls_new(ws->tls.context, &ws->tls.peer);

    if (!tls)
        return PIXI_E_NOMEM;
    pixi_tcp_secure(&w->tcp, tls);
    while (!w->is_secured && !w->is_ended && turn(ws, deadline))
        ;
    if (w->is_secured)
        return PIXI_OK;
    if (!w->is_ended)
        ws->secure_err = PIXI_E_TIMEOUT;
    else if (w->end_err != PIXI_E_TLS)
        ws->secure_err = w->end_err == PIXI_OK ? PIXI_E_WS_NO_CLOSE : w->end_err;
    return PIXI_E_TLS;
}

int pixi_wires_resolve(struct pixi_wires *ws, const char *host, uint16_t port, uint32_t timeout_ms)
{
    uint64_t deadline = pixi_wires_deadline(timeout_ms + SLICE_MS);

    ws->is_resolved = false;
    ws->dns.out = &ws->addrs;
    pixi_dns_start(&ws->dns, &ws->loop, host, port, timeout_ms);
    while (!ws->is_resolved && turn(ws, deadline))
        ;
    if (!ws->is_resolved) {
        pixi_dns_cancel(&ws->dns);
        ws->dns_err = PIXI_E_NAME;
        snprintf(ws->dns.text, sizeof ws->dns.text, "%s: no answer in %u ms", host, timeout_ms);
    }
    return ws->dns_err;
}

/* The address that answered becomes the only one: every connection of a verification goes to the same place. */
static void keep_address(struct pixi_wires *ws)
{
    ws->addrs.at[0] = ws->dial.addrs.at[ws->dial.at];
    ws->addrs.count = 1;
}

int pixi_wire_dial(struct pixi_wire *w, struct pixi_wires *ws, uint32_t timeout_ms)
{
    struct pixi_dial_to to = {.host = ws->host,
                              .port = ws->port,
                              .proxy = ws->proxy,
                              .addrs = &ws->addrs,
                              .timeout_ms = timeout_ms};
    uint64_t deadline = pixi_wires_deadline(timeout_ms + SLICE_MS);

    *w = (struct pixi_wire){.ws = ws, .in = pixi_buf_init(PIXI_WIRE_MAX + PIXI_RX_LEN)};
    ws->is_dialled = false;
    pixi_dial_start(&ws->dial, &ws->loop, &w->tcp, &handlers, &to);
    while (!ws->is_dialled && turn(ws, deadline))
        ;
    if (!ws->is_dialled) {
        pixi_dial_cancel(&ws->dial);
        ws->dial_err = PIXI_E_TIMEOUT;
        snprintf(ws->dial.text, sizeof ws->dial.text, "no answer in %u ms", timeout_ms);
    }
    if (ws->dial_err) {
        pixi_wire_close(w);
        return ws->dial_err;
    }
    keep_address(ws);
    return ws->tls.context ? secure(w) : PIXI_OK;
}

void pixi_wire_send(struct pixi_wire *w, struct pixi_cur bytes)
{
    /* a failure to queue shows as an answer that never comes */
    (void)pixi_tcp_send(&w->tcp, bytes.p, pixi_cur_left(&bytes));
}

int pixi_wire_wait(struct pixi_wire *w, size_t have, uint64_t deadline)
{
    while (w->in.len <= have) {
        if (w->is_ended || w->tcp.state == PIXI_TCP_CLOSED)
            return PIXI_E_RESET;
        if (!turn(w->ws, deadline) && w->in.len <= have && !w->is_ended)
            return PIXI_E_TIMEOUT;
    }
    return PIXI_OK;
}

void pixi_wire_wait_session(struct pixi_wire *w, uint64_t deadline)
{
    while (!w->is_ended && !pixi_tls_can_resume(w->ws->tls.context) && turn(w->ws, deadline))
        ;
}

int pixi_wire_wait_end(struct pixi_wire *w, uint64_t deadline)
{
    while (!w->is_ended) {
        pixi_wire_take(w, w->in.len);
        if (!turn(w->ws, deadline) && !w->is_ended)
            return PIXI_E_TIMEOUT;
    }
    return PIXI_OK;
}

void pixi_wire_take(struct pixi_wire *w, size_t len)
{
    pixi_buf_drop(&w->in, len);
    if (w->in.len < PIXI_WIRE_MAX && w->tcp.is_paused)
        pixi_tcp_resume(&w->tcp);
}

/* Closed already: nothing of it may stay queued in the loop, its memory is about to go. */
static void release(struct pixi_wire *w)
{
    if (w->ws)
        (void)pixi_loop_turn(&w->ws->loop, 0);
    pixi_buf_clear(&w->in);
}

void pixi_wire_close(struct pixi_wire *w)
{
    pixi_tcp_close(&w->tcp);
    release(w);
}

void pixi_wire_abort(struct pixi_wire *w)
{
    pixi_tcp_abort(&w->tcp);
    release(w);
}
