/* dial.h -- from a host name and a port to a TCP connection: every address in turn, each error kept. */
#ifndef PIXI_NET_DIAL_H
#define PIXI_NET_DIAL_H

#include "net/tcp.h"

enum { PIXI_DIAL_ADDRS = 16, PIXI_DIAL_TEXT = 512 };

struct pixi_dial {
    struct pixi_loop *loop;
    struct pixi_tcp *tcp; /* borrowed: being connected */
    const struct pixi_tcp_handlers *handlers;
    struct pixi_timer timer;
    struct pixi_addr addrs[PIXI_DIAL_ADDRS];
    unsigned count, at;
    uint64_t deadline_ms, each_ms; /* the end of all attempts; what this one was given */
    char text[PIXI_DIAL_TEXT];     /* what happened, for people: "127.0.0.1:8768: Connection refused; …" */
    /* PIXI_OK: tcp is open, and its other callbacks are those given to pixi_dial_start.
     * PIXI_E_CONNECT, PIXI_E_TIMEOUT: every address failed; text says how each did. */
    void (*on_done)(struct pixi_dial *, int err);
};

/* pixi_dial_resolve -- look the name up (numeric addresses too).
 * PIXI_OK (count >= 1) | PIXI_E_NAME (text says why) */
int pixi_dial_resolve(struct pixi_dial *d, const char *host, uint16_t port);

/* pixi_dial_start -- connect tcp to the addresses in turn, timeout_ms in all: each gets its
 * part of what is left.
 * on_done, set before, follows, never from inside this call. h->on_connect is not called. */
void pixi_dial_start(struct pixi_dial *d, struct pixi_loop *l, struct pixi_tcp *tcp,
                     const struct pixi_tcp_handlers *h, uint64_t timeout_ms);

/* pixi_dial_cancel -- no callback comes after; tcp is closed if it was not open yet. */
void pixi_dial_cancel(struct pixi_dial *d);

#endif
