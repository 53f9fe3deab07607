/* listen.h -- a listening socket, TCP or Unix. */
#ifndef PIXI_NET_LISTEN_H
#define PIXI_NET_LISTEN_H

#include "net/addr.h"
#include "net/loop.h"

struct pixi_listener {
    struct pixi_watch watch;
    struct pixi_timer rest; /* while descriptors have run out, the spare one too */
    int spare;              /* a descriptor kept so that who comes then can be told; -1: it is gone */
    struct pixi_loop *loop;
    struct pixi_addr addr; /* as bound: the port is the real one */
    /* gives fd: connected, non-blocking */
    void (*on_accept)(struct pixi_listener *, int fd, const struct pixi_addr *from);
    /* The same when descriptors have run out: fd must be closed before it returns. */
    void (*on_full)(struct pixi_listener *, int fd, const struct pixi_addr *from);
};

/* pixi_listener_open -- bind and listen; on_accept and on_full are set before.
 *   PIXI_OK | PIXI_E_SYS (errno kept) */
int pixi_listener_open(struct pixi_listener *s, struct pixi_loop *l, const struct pixi_addr *at);
/* pixi_listener_take -- the same of a socket that listens already, as a service manager hands it over. Takes fd, also on
 * failure.   PIXI_OK | PIXI_E_SYS */
int pixi_listener_take(struct pixi_listener *s, struct pixi_loop *l, int fd);
void pixi_listener_close(struct pixi_listener *s);

#endif
