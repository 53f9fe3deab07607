/* notify.h -- tells the service manager how a program is: systemd's sd_notify(3), without its library, which a small
 * image does not have. Programs only. Where nobody asked to be told, nothing is sent. */
#ifndef PIXI_NET_NOTIFY_H
#define PIXI_NET_NOTIFY_H

#include "net/loop.h"

#include <sys/socket.h>
#include <sys/un.h>

enum { PIXI_NOTIFY_TEXT = 512 }; /* bytes of a message, NUL included; what is longer is cut */

/* All zero: nobody is told. */
struct pixi_notify {
    struct pixi_loop *loop; /* borrowed; NULL while nobody is told */
    int fd;
    struct sockaddr_un to;
    socklen_t to_len;
    struct pixi_timer watchdog;
    uint64_t beat_ms; /* half of what the watchdog waits; 0: there is none */
};

/* pixi_notify_open -- as NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID in the environment say; a name that begins with
 * '@' is of the abstract name space. A watchdog is told from the loop's timer, at half of its time, from now on: a
 * loop that hangs is noticed.
 *
 *   PIXI_OK         also when NOTIFY_SOCKET is not set
 *   PIXI_E_SETTINGS its value is no socket's name
 *   PIXI_E_SYS      no socket could be made (errno kept)
 * After an error nobody is told, and the other calls do nothing. */
int pixi_notify_open(struct pixi_notify *n, struct pixi_loop *l);

/* pixi_notify_tell -- these assignments, one a line, such as "READY=1\nSTATUS=...". Waits up to a second where the
 * manager is slow.   PIXI_OK | PIXI_E_SYS (errno kept) */
int pixi_notify_tell(struct pixi_notify *n, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* pixi_notify_close -- the watchdog's beat ends, too: it is then for the manager to wait for the end. */
void pixi_notify_close(struct pixi_notify *n);

#endif
