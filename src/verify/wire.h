/* wire.h -- TCP connections that are waited for: every wait has a deadline, and a stop flag ends them all. */
#ifndef PIXI_VERIFY_WIRE_H
#define PIXI_VERIFY_WIRE_H

#include "base/buf.h"
#include "net/dial.h"

#include <signal.h>

/* Bytes that a peer may make us hold, a message of the greatest length and its head; more wait with the peer. */
enum { PIXI_WIRE_MESSAGE = 1 << 20, PIXI_WIRE_MAX = PIXI_WIRE_MESSAGE + 64 };

/* How each connection is to be secured. All borrowed. */
struct pixi_wires_tls {
    struct pixi_tls_context *context; /* NULL: not at all */
    struct pixi_tls_peer peer;
    uint32_t timeout_ms;
};

/* What all connections of a verification share: one loop, so that each goes on while another is waited for. */
struct pixi_wires {
    struct pixi_loop loop;
    struct pixi_dns dns;
    struct pixi_addrs addrs; /* of the host; after the first connection the one that answered */
    struct pixi_dial dial;
    bool is_resolved, is_dialled;
    int dns_err, dial_err;
    const struct pixi_proxy *proxy; /* NULL: none; else addrs are its, and it is asked for these: */
    const char *host;
    uint16_t port;
    struct pixi_wires_tls tls; /* set once it is to be used */
    int secure_err; /* with PIXI_E_TLS. PIXI_E_TLS: tls_problem, tls_fix; PIXI_E_TIMEOUT; PIXI_E_RESET, and
                                * PIXI_E_WS_NO_CLOSE: the peer hung up during the handshake */
    char tls_problem[PIXI_TLS_TEXT];
    const char *tls_fix;               /* static */
    const volatile sig_atomic_t *stop; /* borrowed, may be NULL: when set, every deadline has passed */
    void (*on_wait)(void *ctx, uint64_t deadline_ms); /* as in verify.h */
    void *ctx;
};

/* pixi_wires_init -- PIXI_OK | PIXI_E_NOMEM | PIXI_E_SYS. */
int pixi_wires_init(struct pixi_wires *ws, const volatile sig_atomic_t *stop);
void pixi_wires_clear(struct pixi_wires *ws);
bool pixi_wires_are_stopped(const struct pixi_wires *ws);

/* pixi_wires_deadline -- a point in time, ms from now, as the functions below take it. */
uint64_t pixi_wires_deadline(uint32_t ms);

/* pixi_wires_resolve -- the host's addresses, into ws->addrs.
 * PIXI_OK | PIXI_E_NAME: ws->dns.text says why */
int pixi_wires_resolve(struct pixi_wires *ws, const char *host, uint16_t port, uint32_t timeout_ms);

/* One connection. All zero: closed. */
struct pixi_wire {
    struct pixi_tcp tcp;
    struct pixi_wires *ws;
    struct pixi_buf in; /* what came and was not taken yet */
    bool is_secured;    /* TLS stands */
    bool is_ended;      /* nothing more will come */
    int end_err; /* then: PIXI_OK the peer has finished, PIXI_E_RESET it is gone, PIXI_E_TLS: secure_err */
};

/* pixi_wire_dial -- connect to one of ws->addrs, and speak TLS where ws->tls says so.
 * PIXI_OK | PIXI_E_TLS: ws->secure_err
 * PIXI_E_CONNECT | PIXI_E_TIMEOUT | PIXI_E_PROXY | PIXI_E_PROXY_USER: ws->dial.text says what happened; closed then */
int pixi_wire_dial(struct pixi_wire *w, struct pixi_wires *ws, uint32_t timeout_ms);

/* pixi_wire_send -- hand len bytes to the system, or to the queue that waiting drains. */
void pixi_wire_send(struct pixi_wire *w, struct pixi_cur bytes);

/* pixi_wire_wait -- until more bytes than have came, or the end, or the deadline.
 * PIXI_OK (w->in grew) | PIXI_E_RESET (ended: w->end_err) | PIXI_E_TIMEOUT */
int pixi_wire_wait(struct pixi_wire *w, size_t have, uint64_t deadline);

/* pixi_wire_wait_session -- until TLS has a session to be resumed later, or the end, or the deadline. */
void pixi_wire_wait_session(struct pixi_wire *w, uint64_t deadline);

/* pixi_wire_wait_end -- until the peer ends the connection; what comes before is dropped.
 * PIXI_OK | PIXI_E_TIMEOUT */
int pixi_wire_wait_end(struct pixi_wire *w, uint64_t deadline);

/* pixi_wire_take -- len bytes at the front of w->in were used. */
void pixi_wire_take(struct pixi_wire *w, size_t len);

/* pixi_wire_close -- close and release. pixi_wire_abort -- the same by a reset. In any state. */
void pixi_wire_close(struct pixi_wire *w);
void pixi_wire_abort(struct pixi_wire *w);

#endif
