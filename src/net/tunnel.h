/* tunnel.h -- asks a proxy for the way to a host and port, on a socket that is connected to it: HTTP CONNECT
 * (RFC 9110 §9.3.6, Basic: RFC 7617) or SOCKS5 (RFC 1928, RFC 1929).
 *
 * Takes from the socket exactly what belongs to the proxy's answer: what follows is the stream, and stays in it. */
#ifndef PIXI_NET_TUNNEL_H
#define PIXI_NET_TUNNEL_H

#include "net/loop.h"
#include "net/proxy.h"

enum { PIXI_TUNNEL_ANSWER_MAX = 8192, PIXI_TUNNEL_TEXT = 400 };

/* All zero but for on_done, set before. */
struct pixi_tunnel {
    /* PIXI_OK: what is read and written from now on is the host's. PIXI_E_PROXY, PIXI_E_PROXY_USER (it wants a user and
     * password, or others): text says what it did. PIXI_E_NOMEM. The socket is the owner's again, whatever came. */
    void (*on_done)(struct pixi_tunnel *, int err);
    struct pixi_loop *loop;         /* borrowed */
    const struct pixi_proxy *proxy; /* borrowed */
    struct pixi_watch watch;
    struct pixi_buf in, out;           /* out holds the password while it is under way */
    size_t sent;                       /* bytes of out */
    int (*read)(struct pixi_tunnel *); /* what is awaited */
    char host[PIXI_PROXY_HOST_MAX + 1];
    uint16_t port;
    char text[PIXI_TUNNEL_TEXT]; /* what the proxy did: "wants a user name and a password" */
};

/* pixi_tunnel_start -- fd: connected to the proxy, non-blocking; borrowed until on_done or cancel. host: a name, or an
 * address without brackets; copied. on_done follows, never from inside this call; there is no time-out. */
void pixi_tunnel_start(struct pixi_tunnel *t, struct pixi_loop *l, int fd, const struct pixi_proxy *proxy,
                       const char *host, uint16_t port);

/* pixi_tunnel_cancel -- no callback comes after; in any state. */
void pixi_tunnel_cancel(struct pixi_tunnel *t);

#endif
