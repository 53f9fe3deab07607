/* wire.h -- TCP connections that are waited for: every wait has a deadline, and a stop flag ends them all. */
#ifndef PIXI_VERIFY_WIRE_H
#define PIXI_VERIFY_WIRE_H

#include "base/buf.h"
#include "net/dial.h"

#include <signal.h>

/* Bytes that a peer may make us hold, a message of the greatest length and its head; more wait with the peer. */
enum { PIXI_WIRE_MESSAGE = 1 << 20, PIXI_WIRE_MAX = PIXI_WIRE_MESSAGE + 64 };

/* What all connections of a verification share: one loop, so that each goes on while another is waited for. */
struct pixi_wires {
    struct pixi_loop loop;
    struct pixi_dial dial; /* the addresses; after the first success the one that answered */
    bool is_dialled;
    int dial_err;
    const volatile sig_atomic_t *stop; /* borrowed, may be NULL: when set, every deadline has passed */
};

/* pixi_wires_init -- PIXI_OK | PIXI_E_NOMEM | PIXI_E_SYS. */
int pixi_wires_init(struct pixi_wires *ws, const volatile sig_atomic_t *stop);
void pixi_wires_clear(struct pixi_wires *ws);
bool pixi_wires_are_stopped(const struct pixi_wires *ws);

/* pixi_wires_deadline -- a point in time, ms from now, as the functions below take it. */
uint64_t pixi_wires_deadline(uint32_t ms);

/* One connection. All zero: closed. */
struct pixi_wire {
    struct pixi_tcp tcp;
    struct pixi_wires *ws;
    struct pixi_buf in; /* what came and was not taken yet */
    bool is_ended;      /* nothing more will come */
    int end_err;        /* then: PIXI_OK the peer has finished, PIXI_E_RESET it is gone */
};

/* pixi_wire_dial -- connect to the addresses in ws->dial, in turn.
 * PIXI_OK | PIXI_E_CONNECT | PIXI_E_TIMEOUT: ws->dial.text says what happened; closed then */
int pixi_wire_dial(struct pixi_wire *w, struct pixi_wires *ws, uint32_t timeout_ms);

/* pixi_wire_send -- hand len bytes to the system, or to the queue that waiting drains. */
void pixi_wire_send(struct pixi_wire *w, struct pixi_cur bytes);

/* pixi_wire_wait -- until more bytes than have came, or the end, or the deadline.
 * PIXI_OK (w->in grew) | PIXI_E_RESET (ended: w->end_err) | PIXI_E_TIMEOUT */
int pixi_wire_wait(struct pixi_wire *w, size_t have, uint64_t deadline);

/* pixi_wire_wait_end -- until the peer ends the connection; what comes before is dropped.
 * PIXI_OK | PIXI_E_TIMEOUT */
int pixi_wire_wait_end(struct pixi_wire *w, uint64_t deadline);

/* pixi_wire_take -- len bytes at the front of w->in were used. */
void pixi_wire_take(struct pixi_wire *w, size_t len);

/* pixi_wire_close -- close and release. pixi_wire_abort -- the same by a reset. In any state. */
void pixi_wire_close(struct pixi_wire *w);
void pixi_wire_abort(struct pixi_wire *w);

#endif
