#include "net/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { BACKLOG = 1024, ACCEPTS_A_TURN = 64, REST_MS = 100 };

static void on_rested(struct pixi_timer *t)
{
    struct pixi_listener *s = (struct pixi_listener *)((char *)t - offsetof(struct pixi_listener, rest));

    pixi_loop_watch(s->loop, &s->watch, EPOLLIN);
}

static void on_ready(struct pixi_watch *w, uint32_t events)
{
    struct pixi_listener *s = (struct pixi_listener *)((char *)w - offsetof(struct pixi_listener, watch));

    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN && s->watch.is_watched; i++) {
        struct pixi_addr from = {.len = sizeof from.sa};
        int fd = accept4(s->watch.fd, (struct sockaddr *)&from.sa, &from.len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            s->on_accept(s, fd, &from);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* The connection stays queued and would wake the loop again at once: look away for a while. */
            pixi_loop_unwatch(s->loop, &s->watch);
            pixi_loop_set_timer(s->loop, &s->rest, REST_MS);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        }
    }
}

int pixi_listener_open(struct pixi_listener *s, struct pixi_loop *l, const struct pixi_addr *at)
{
    int one = 1, fd = socket(at->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), kept;

    if (fd < 0)
        return PIXI_E_SYS;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (at->sa.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    s->loop = l;
    s->watch = (struct pixi_watch){.fd = fd, .on_ready = on_ready};
    s->rest = (struct pixi_timer){.on_due = on_rested};
    s->addr.len = sizeof s->addr.sa;
    if (bind(fd, (const struct sockaddr *)&at->sa, at->len) == 0 && listen(fd, BACKLOG) == 0 &&
        getsockname(fd, (struct sockaddr *)&s->addr.sa, &s->addr.len) == 0 &&
        pixi_loop_watch(l, &s->watch, EPOLLIN) == PIXI_OK)
        return PIXI_OK;
    kept = errno;
    close(fd);
    errno = kept;
    return PIXI_E_SYS;
}

void pixi_listener_close(struct pixi_listener *s)
{
    pixi_loop_cancel_timer(s->loop, &s->rest);
    pixi_loop_unwatch(s->loop, &s->watch);
    close(s->watch.fd);
    s->watch.fd = -1;
}
