/* dial.h -- from a host name and a port to a TCP connection: "Happy Eyeballs", RFC 8305.
 *
 * Addresses are tried alternately by family, each 250 ms after the one before or as soon as that has failed; the first
 * that answers is taken, and of the others each one's error is kept. Where there is a proxy, all this is done for the
 * proxy, which is then asked for the rest of the way. */
#ifndef PIXI_NET_DIAL_H
#define PIXI_NET_DIAL_H

#include "net/dns.h"
#include "net/tcp.h"
#include "net/tunnel.h"

enum { PIXI_DIAL_DELAY_MS = 250, PIXI_DIAL_TEXT = 640 };

/* Where to, all borrowed until on_done. */
struct pixi_dial_to {
    const char *host;
    uint16_t port;
    const struct pixi_proxy *proxy; /* NULL: none */
    const struct pixi_addrs *addrs; /* of host, or of the proxy, where they are known; NULL: look them up */
    uint32_t timeout_ms;            /* for all of it */
};

enum pixi_dial_state { PIXI_DIAL_IDLE, PIXI_DIAL_NAME, PIXI_DIAL_TCP, PIXI_DIAL_TUNNEL };

/* One address: untried (fd -1, not started), under way, or failed. */
struct pixi_dial_attempt {
    struct pixi_watch watch;
    uint64_t started_ms;
    bool is_started;
};

/* All zero but for on_done, set before. */
struct pixi_dial {
    /* PIXI_OK: tcp is open, with the handlers given to pixi_dial_start.
     * PIXI_E_NAME, PIXI_E_CONNECT, PIXI_E_TIMEOUT (no address said anything in time); with a proxy PIXI_E_PROXY or
     * PIXI_E_PROXY_USER instead: text says what happened. PIXI_E_NOMEM. */
    void (*on_done)(struct pixi_dial *, int err);
    struct pixi_loop *loop;
    struct pixi_tcp *tcp; /* borrowed: to be opened */
    const struct pixi_tcp_handlers *handlers;
    struct pixi_dial_to to;
    enum pixi_dial_state state;
    struct pixi_dns dns;
    struct pixi_addrs addrs;
    struct pixi_dial_attempt attempts[PIXI_ADDRS_MAX]; /* of each address */
    struct pixi_tunnel tunnel;                         /* through the proxy */
    struct pixi_timer next, deadline;
    uint64_t deadline_ms;
    unsigned open_count;       /* attempts under way */
    unsigned at;               /* the address tried last; after PIXI_OK that which answered */
    int sys_errno;             /* of the attempt that failed last; ETIMEDOUT for want of an answer */
    bool has_refusal;          /* an attempt failed otherwise than by silence */
    char text[PIXI_DIAL_TEXT]; /* for people: "127.0.0.1:8768: Connection refused; [::1]:8768: …" */
};

/* pixi_dial_start -- on_done follows, never from inside this call. tcp stays closed until then. */
void pixi_dial_start(struct pixi_dial *d, struct pixi_loop *l, struct pixi_tcp *tcp,
                     const struct pixi_tcp_handlers *h, const struct pixi_dial_to *to);

/* pixi_dial_cancel -- no callback comes after; in any state. */
void pixi_dial_cancel(struct pixi_dial *d);

#endif
