/* daemon.h -- one link for all programs of a machine: a local socket in front, the outbox behind, one connection to the
 * server. docs/daemon.md says what programs see of it. */
#ifndef PIXI_DAEMON_DAEMON_H
#define PIXI_DAEMON_DAEMON_H

#include "client/settings.h"
#include "net/loop.h"

struct pixi_daemon;

struct pixi_daemon_options {
    struct pixi_settings *settings; /* taken, also on failure: allocated, loaded */
    int socket_fd;                  /* a listening socket to take over; -1: make daemon.socket */
};

/* pixi_daemon_new -- the socket listens, the outbox is open, the connection is being made; where it cannot be, that is no
 * error. Log lines tell what happens.
 *   problem  on an error what and why, with its fix
 *   PIXI_OK | PIXI_E_SETTINGS | PIXI_E_STORAGE | PIXI_E_SYS | PIXI_E_NOMEM */
int pixi_daemon_new(struct pixi_loop *loop, const struct pixi_daemon_options *options,
                    struct pixi_daemon **out, struct pixi_buf *problem);

/* pixi_daemon_reload -- from now on these settings, which it takes. Log lines tell what holds from the next start only. The
 * connection is made anew where it would be another one. */
void pixi_daemon_reload(struct pixi_daemon *d, struct pixi_settings *settings);

/* pixi_daemon_drain -- nobody new; what is under way to the server is waited for, daemon.drain_ms at most. on_idle comes
 * once, from the loop. */
void pixi_daemon_drain(struct pixi_daemon *d, void (*on_idle)(void *ctx), void *ctx);

/* pixi_daemon_free -- the outbox is closed, what is in it stays there. NULL is fine. */
void pixi_daemon_free(struct pixi_daemon *d);

/* pixi_daemon_socket -- where programs find it. */
const char *pixi_daemon_socket(const struct pixi_daemon *d);

/* pixi_daemon_put_line -- how it is, in one line for the service manager; calls back when that changes. */
void pixi_daemon_put_line(const struct pixi_daemon *d, struct pixi_buf *out);
void pixi_daemon_on_change(struct pixi_daemon *d, void (*on_change)(void *ctx), void *ctx);

#endif
