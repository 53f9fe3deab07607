#include "net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { BACKLOG = 1024, ACCEPTS_A_TURN = 64, REST_MS = 100 };

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_rested(struct pixi_timer *t)
{
    struct pixi_listener *s = (struct pixi_listener *)((char *)t - offsetof(struct pixi_listener, rest));

    if (s->spare < 0)
        s->spare = open_spare();
    pixi_loop_watch(s->loop, &s->watch, EPOLLIN);
}

static int take(const struct pixi_listener *s, struct pixi_addr *from)
{
    from->len = sizeof from->sa;
    return accept4(s->watch.fd, (struct sockaddr *)&from->sa, &from->len, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* Descriptors have run out: the spare one makes room for a word to who waits. The system says so before it looks
 * whether anybody does.   PIXI_OK | PIXI_MORE: nobody | PIXI_E_LIMIT: not even that */
static int turn_away(struct pixi_listener *s)
{
    struct pixi_addr from;
    bool is_empty;
    int fd;

    if (s->spare < 0)
        return PIXI_E_LIMIT;
    close(s->spare);
    s->spare = -1;
    fd = take(s, &from);
    is_empty = fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (fd >= 0)
        s->on_full(s, fd, &from);
    if (s->watch.fd < 0)
        return PIXI_MORE; /* closed meanwhile */
    s->spare = open_spare();
    if (s->spare < 0)
        return PIXI_E_LIMIT;
    return fd >= 0 ? PIXI_OK : is_empty ? PIXI_MORE : PIXI_E_LIMIT;
}

/* The connection stays queued and would wake the loop again at once: look away for a while. */
static void rest(struct pixi_listener *s)
{
    pixi_loop_unwatch(s->loop, &s->watch);
    pixi_loop_set_timer(s->loop, &s->rest, REST_MS);
}

static void on_ready(struct pixi_watch *w, uint32_t events)
{
    struct pixi_listener *s = (struct pixi_listener *)((char *)w - offsetof(struct pixi_listener, watch));
    int rc = PIXI_OK;

    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN && rc == PIXI_OK && s->watch.is_watched; i++) {
        struct pixi_addr from;
        int fd = take(s, &from);

        if (fd >= 0)
            s->on_accept(s, fd, &from);
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            rc = PIXI_MORE;
        else if (errno == EMFILE || errno == ENFILE)
            rc = turn_away(s);
        else if (errno == ENOBUFS || errno == ENOMEM)
            rc = PIXI_E_LIMIT;
    }
    if (rc == PIXI_E_LIMIT)
        rest(s);
}

int pixi_listener_take(struct pixi_listener *s, struct pixi_loop *l, int fd)
{
    int kept;

    s->loop = l;
    s->watch = (struct pixi_watch){.fd = fd, .on_ready = on_ready};
    s->rest = (struct pixi_timer){.on_due = on_rested};
    s->spare = -1;
    s->addr.len = sizeof s->addr.sa;
    if (fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
        getsockname(fd, (struct sockaddr *)&s->addr.sa, &s->addr.len) == 0 &&
        pixi_loop_watch(l, &s->watch, EPOLLIN) == PIXI_OK) {
        s->spare = open_spare();
        return PIXI_OK;
    }
    kept = errno;
    close(fd);
    errno = kept;
    return PIXI_E_SYS;
}

int pixi_listener_open(struct pixi_listener *s, struct pixi_loop *l, const struct pixi_addr *at)
{
    int one = 1, fd = socket(at->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), kept;

    if (fd < 0)
        return PIXI_E_SYS;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (at->sa.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, (const struct sockaddr *)&at->sa, at->len) == 0 && listen(fd, BACKLOG) == 0)
        return pixi_listener_take(s, l, fd);
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
    if (s->spare >= 0)
        close(s->spare);
    s->spare = -1;
}
