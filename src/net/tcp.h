/* tcp.h -- one non-blocking TCP connection on a loop.
 *
 * Reads into the loop's one receive buffer, so an idle connection owns none. What is sent during a turn is queued
 * and leaves at its end in one system call. */
#ifndef PIXI_NET_TCP_H
#define PIXI_NET_TCP_H

#include "net/addr.h"
#include "net/loop.h"
#include "net/tls.h"

struct pixi_tcp;

struct pixi_tcp_handlers {
    /* A connect has ended: PIXI_OK, or PIXI_E_CONNECT with sys_errno set; then only pixi_tcp_close may follow. */
    void (*on_connect)(struct pixi_tcp *, int err);
    /* TLS is established (PIXI_OK), or failed (PIXI_E_TLS: pixi_tls_problem(t->tls) says why; then only pixi_tcp_close
     * may follow). May be NULL where that makes no difference: without it a failure comes by on_end. */
    void (*on_secure)(struct pixi_tcp *, int err);
    /* Bytes came: they lie in the loop's receive buffer, may be changed in place, and are gone after return. */
    void (*on_bytes)(struct pixi_tcp *, uint8_t *bytes, size_t len);
    /* Once: nothing more will be read. PIXI_OK: the peer has finished sending and may still read;
     * PIXI_E_RESET: the connection is gone, sys_errno says why; PIXI_E_TLS: pixi_tls_problem(t->tls) says why. This may also follow PIXI_OK, while there is something
     * left to send. */
    void (*on_end)(struct pixi_tcp *, int err);
    /* All that was queued has been handed to the system, after not all of it fitted at once, or wants_drained was set.
     * May be NULL. */
    void (*on_drained)(struct pixi_tcp *);
};

enum pixi_tcp_state { PIXI_TCP_CLOSED, PIXI_TCP_CONNECTING, PIXI_TCP_OPEN, PIXI_TCP_BROKEN };

/* Embedded in what it carries. All zero: closed. */
struct pixi_tcp {
    struct pixi_watch watch;
    struct pixi_task flush;
    struct pixi_loop *loop; /* borrowed */
    const struct pixi_tcp_handlers *handlers;
    struct pixi_out out;
    struct pixi_tls *tls; /* owned; NULL: in clear */
    bool is_secured;      /* with tls: its handshake is done */
    bool has_unread,
        is_closing_sent; /* with tls: more can be decrypted | it was told that nothing more comes */
    struct pixi_addr peer;
    enum pixi_tcp_state state;
    bool is_paused, is_ended, is_shut; /* not reading for now | peer has finished | finish when drained */
    bool was_blocked;
    size_t rx_most; /* set by the owner: bytes that it takes in a turn; 0: as many as the loop lets it have */
    bool wants_drained; /* set by the owner while something waits: on_drained comes once */
    int sys_errno;
    uint64_t sent, received; /* bytes, ever */
};

/* pixi_tcp_open -- take over a connected socket (accepted, or one of a pair). Takes fd, also on failure.
 *   PIXI_OK | PIXI_E_SYS */
int pixi_tcp_open(struct pixi_tcp *t, struct pixi_loop *l, const struct pixi_tcp_handlers *h, int fd);

/* pixi_tcp_connect -- start connecting; on_connect follows, never from inside this call.
 *   PIXI_OK | PIXI_E_CONNECT at once (sys_errno: why), nothing follows then */
int pixi_tcp_connect(struct pixi_tcp *t, struct pixi_loop *l, const struct pixi_tcp_handlers *h,
                     const struct pixi_addr *to);

/* pixi_tcp_secure -- speak TLS from here on; takes tls. What is sent before the handshake is done waits for it; what
 * comes is handed on decrypted. Of an open connection, before anything was sent or read. */
void pixi_tcp_secure(struct pixi_tcp *t, struct pixi_tls *tls);

/* pixi_tcp_send -- queue a copy of len bytes; they leave at the end of the turn. On a broken or closed connection
 * they are dropped: on_end tells.   PIXI_OK | PIXI_E_NOMEM (nothing queued) */
int pixi_tcp_send(struct pixi_tcp *t, const uint8_t *bytes, size_t len);

/* pixi_tcp_room -- len (at most PIXI_OUT_CHUNK / 2) bytes of the queue, to be filled at once. NULL: out of memory,
 * or not open. */
uint8_t *pixi_tcp_room(struct pixi_tcp *t, size_t len);

/* pixi_tcp_send_shared -- queue a reference.   PIXI_OK | PIXI_E_NOMEM */
int pixi_tcp_send_shared(struct pixi_tcp *t, struct pixi_shared *s);

/* pixi_tcp_waiting -- bytes queued and not yet handed to the system. */
static inline size_t pixi_tcp_waiting(const struct pixi_tcp *t)
{
    struct pixi_cur sealed = {NULL, NULL};

    if (t->tls)
        sealed = pixi_tls_out(t->tls);
    return t->out.len + pixi_cur_left(&sealed);
}

/* pixi_tcp_pause, _resume -- stop and go on reading: backpressure to the peer. */
void pixi_tcp_pause(struct pixi_tcp *t);
void pixi_tcp_resume(struct pixi_tcp *t);

/* pixi_tcp_shutdown -- when all that is queued has left, tell the peer that no more comes; reading goes on. */
void pixi_tcp_shutdown(struct pixi_tcp *t);

/* pixi_tcp_close -- now: no callback comes after this call. What is queued is tried once, then dropped.
 * pixi_tcp_abort -- the same with a reset (RST) and nothing tried. Both may be called in any state.
 * The struct itself must stay until the tasks of this turn have run. */
void pixi_tcp_close(struct pixi_tcp *t);
void pixi_tcp_abort(struct pixi_tcp *t);

#endif
