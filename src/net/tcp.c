#include "net/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { SEALED_MAX = 65536 }; /* bytes that are encrypted ahead */

#define OF(member, ptr) ((struct pixi_tcp *)((char *)(ptr)-offsetof(struct pixi_tcp, member)))

static void want(struct pixi_tcp *t)
{
    uint32_t events = 0;

    if (t->state == PIXI_TCP_CONNECTING || (t->state == PIXI_TCP_OPEN && t->was_blocked))
        events |= EPOLLOUT;
    if (t->state == PIXI_TCP_OPEN && !t->is_paused && !t->is_ended)
        events |= EPOLLIN;
    if (events || t->state == PIXI_TCP_OPEN)
        pixi_loop_watch(t->loop, &t->watch, events);
    else
        pixi_loop_unwatch(t->loop, &t->watch);
}

static void end(struct pixi_tcp *t, int err)
{
    bool was_ended = t->is_ended && t->state == PIXI_TCP_BROKEN;

    t->is_ended = true;
    if (err) {
        t->state = PIXI_TCP_BROKEN;
        pixi_loop_unwatch(t->loop, &t->watch);
    } else {
        want(t);
    }
    if (!was_ended)
        t->handlers->on_end(t, err);
}

static void broke(struct pixi_tcp *t, int sys_errno)
{
    t->sys_errno = sys_errno;
    pixi_out_clear(&t->out, &t->loop->pool);
    end(t, PIXI_E_RESET);
}

/* Encrypts the next part of the queue. false: TLS failed, which reading tells. */
static bool seal_some(struct pixi_tcp *t)
{
    struct iovec iov[PIXI_OUT_PIECES];
    int count = pixi_out_iov(&t->out, iov, PIXI_OUT_PIECES);
    size_t room = SEALED_MAX;

    for (int i = 0; i < count && room > 0; i++) {
        size_t len = iov[i].iov_len < room ? iov[i].iov_len : room;

        if (pixi_tls_write(t->tls, iov[i].iov_base, len) != PIXI_OK)
            return false;
        pixi_out_drop(&t->out, &t->loop->pool, len);
        room -= len;
    }
    return true;
}

/* Fills what TLS has to send, once that is empty. false: there is nothing to be sent. */
static bool seal(struct pixi_tcp *t)
{
    struct pixi_cur sealed = pixi_tls_out(t->tls);

    if (t->is_secured && pixi_cur_left(&sealed) == 0 && !seal_some(t))
        return false;
    if (t->is_secured && t->is_shut && !t->out.len && !t->is_closing_sent) {
        t->is_closing_sent = true;
        pixi_tls_finish(t->tls);
    }
    sealed = pixi_tls_out(t->tls);
    return pixi_cur_left(&sealed) > 0;
}

static bool push_sealed(struct pixi_tcp *t)
{
    while (!t->was_blocked && seal(t)) {
        struct pixi_cur sealed = pixi_tls_out(t->tls);
        ssize_t n = send(t->watch.fd, sealed.p, pixi_cur_left(&sealed), MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
            return false;
        t->was_blocked = n < (ssize_t)pixi_cur_left(&sealed);
        if (n > 0) {
            t->sent += (uint64_t)n;
            pixi_tls_sent(t->tls, (size_t)n);
        }
    }
    return true;
}

static bool push_clear(struct pixi_tcp *t)
{
    struct iovec iov[PIXI_OUT_PIECES];

    while (t->out.len) {
        struct msghdr m = {.msg_iov = iov};
        size_t offered = 0;
        ssize_t n;

        m.msg_iovlen = (size_t)pixi_out_iov(&t->out, iov, PIXI_OUT_PIECES);
        for (size_t i = 0; i < m.msg_iovlen; i++)
            offered += iov[i].iov_len;
        n = sendmsg(t->watch.fd, &m, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
            return false;
        if (n > 0) {
            t->sent += (uint64_t)n;
            pixi_out_drop(&t->out, &t->loop->pool, (size_t)n);
        }
        if (n < (ssize_t)offered) {
            t->was_blocked = true;
            break;
        }
    }
    return true;
}

/* Sends what is queued; false when the connection broke. */
static bool push(struct pixi_tcp *t)
{
    t->was_blocked = false;
    if (!(t->tls ? push_sealed(t) : push_clear(t)))
        return false;
    if (t->is_shut && pixi_tcp_waiting(t) == 0)
        shutdown(t->watch.fd, SHUT_WR);
    return true;
}

static void fail_tls(struct pixi_tcp *t)
{
    push(t); /* the alert that tells the peer */
    if (t->is_secured || !t->handlers->on_secure) {
        end(t, PIXI_E_TLS);
        return;
    }
    t->state = PIXI_TCP_BROKEN;
    pixi_loop_unwatch(t->loop, &t->watch);
    t->handlers->on_secure(t, PIXI_E_TLS);
}

/* false: not yet, or not any more. */
static bool is_secure_now(struct pixi_tcp *t)
{
    int rc;

    if (t->is_secured)
        return true;
    rc = pixi_tls_handshake(t->tls);
    pixi_loop_defer(t->loop, &t->flush);
    if (rc < 0)
        fail_tls(t);
    if (rc != PIXI_OK)
        return false;
    t->is_secured = true;
    if (t->handlers->on_secure)
        t->handlers->on_secure(t, PIXI_OK);
    return t->state == PIXI_TCP_OPEN;
}

/* Hands on what can be decrypted. Stops where the owner pauses: what is left is read when it goes on. */
static void read_sealed(struct pixi_tcp *t)
{
    size_t room = t->rx_most ? t->rx_most : PIXI_RX_LEN, len;
    int rc = PIXI_OK;

    t->has_unread = false;
    if (!is_secure_now(t))
        return;
    while (t->state == PIXI_TCP_OPEN && !t->is_paused && !t->is_ended) {
        rc = pixi_tls_read(t->tls, t->loop->rx, room, &len);
        if (rc != PIXI_OK)
            break;
        t->handlers->on_bytes(t, t->loop->rx, len);
        if (t->rx_most)
            break; /* the rest in the next turn */
    }
    if (t->state != PIXI_TCP_OPEN)
        return;
    t->has_unread = rc == PIXI_OK;
    pixi_loop_defer(t->loop, &t->flush); /* a key update or a ticket may want an answer */
    if (rc == PIXI_E_TLS_END)
        end(t, PIXI_OK);
    else if (rc < 0)
        fail_tls(t);
}

static void drain(struct pixi_tcp *t)
{
    bool is_awaited = t->was_blocked || t->wants_drained;

    if (!push(t)) {
        broke(t, errno);
        return;
    }
    want(t);
    if (!is_awaited || t->was_blocked)
        return;
    t->wants_drained = false;
    if (t->handlers->on_drained)
        t->handlers->on_drained(t);
}

static void flush(struct pixi_task *task)
{
    struct pixi_tcp *t = OF(flush, task);

    if (t->state == PIXI_TCP_OPEN && t->has_unread && !t->is_paused)
        read_sealed(t);
    if (t->state == PIXI_TCP_OPEN && !t->was_blocked) /* blocked: the system tells when there is room */
        drain(t);
}

static void finish_connect(struct pixi_tcp *t)
{
    socklen_t len = sizeof t->sys_errno;

    if (getsockopt(t->watch.fd, SOL_SOCKET, SO_ERROR, &t->sys_errno, &len) < 0)
        t->sys_errno = errno;
    if (t->sys_errno) {
        t->state = PIXI_TCP_BROKEN;
        pixi_loop_unwatch(t->loop, &t->watch);
        t->handlers->on_connect(t, PIXI_E_CONNECT);
        return;
    }
    t->state = PIXI_TCP_OPEN;
    want(t);
    t->handlers->on_connect(t, PIXI_OK);
}

static void read_some(struct pixi_tcp *t)
{
    size_t room = t->rx_most && t->rx_most < t->loop->rx_room ? t->rx_most : t->loop->rx_room;
    ssize_t n = recv(t->watch.fd, t->loop->rx, t->tls ? t->loop->rx_room : room, 0);

    if (n > 0) {
        t->received += (uint64_t)n;
        if (!t->tls)
            t->handlers->on_bytes(t, t->loop->rx, (size_t)n);
        else if (pixi_tls_feed(t->tls, t->loop->rx, (size_t)n) == PIXI_OK)
            read_sealed(t);
        else
            broke(t, ENOMEM);
    } else if (n == 0 && t->has_unread) {
        read_sealed(t); /* the end is told when all before it was taken: it is found again */
    } else if (n == 0) {
        end(t, PIXI_OK);
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        broke(t, errno);
    }
}

/* Both have finished: what the system still tells is no loss. */
static bool is_over(const struct pixi_tcp *t)
{
    return t->is_ended && t->is_shut && pixi_tcp_waiting(t) == 0;
}

static void on_ready(struct pixi_watch *w, uint32_t events)
{
    struct pixi_tcp *t = OF(watch, w);
    bool is_reading = !t->is_paused && !t->is_ended;

    if (t->state == PIXI_TCP_CONNECTING) {
        finish_connect(t);
        return;
    }
    /* An error or hang-up is found by reading; where reading is over or paused, it is told at once. */
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP) && t->state == PIXI_TCP_OPEN) {
        if (is_reading)
            read_some(t);
        else if (is_over(t))
            pixi_loop_unwatch(t->loop, &t->watch);
        else if (events & (EPOLLERR | EPOLLHUP))
            broke(t, ECONNRESET);
    }
    if (events & EPOLLOUT && t->state == PIXI_TCP_OPEN)
        drain(t);
}

static void start(struct pixi_tcp *t, struct pixi_loop *l, const struct pixi_tcp_handlers *h, int fd)
{
    int one = 1;

    *t = (struct pixi_tcp){.loop = l,
                           .handlers = h,
                           .watch = {.fd = fd, .on_ready = on_ready},
                           /* may be queued still, when this was another connection earlier in the turn */
                           .flush = {.next = t->flush.next, .is_queued = t->flush.is_queued, .run = flush}};
    /* fails on a socket pair, where it is not needed */
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

int pixi_tcp_open(struct pixi_tcp *t, struct pixi_loop *l, const struct pixi_tcp_handlers *h, int fd)
{
    start(t, l, h, fd);
    t->state = PIXI_TCP_OPEN;
    t->peer.len = sizeof t->peer.sa;
    if (getpeername(fd, (struct sockaddr *)&t->peer.sa, &t->peer.len) < 0)
        t->peer.len = 0;
    if (pixi_loop_watch(l, &t->watch, EPOLLIN) == PIXI_OK)
        return PIXI_OK;
    t->state = PIXI_TCP_CLOSED;
    close(fd);
    return PIXI_E_SYS;
}

int pixi_tcp_connect(struct pixi_tcp *t, struct pixi_loop *l, const struct pixi_tcp_handlers *h,
                     const struct pixi_addr *to)
{
    int fd = socket(to->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    start(t, l, h, fd);
    t->peer = *to;
    if (fd >= 0 && (connect(fd, (const struct sockaddr *)&to->sa, to->len) == 0 || errno == EINPROGRESS)) {
        t->state = PIXI_TCP_CONNECTING; /* a connect that succeeded at once is told by EPOLLOUT as well */
        if (pixi_loop_watch(l, &t->watch, EPOLLOUT) == PIXI_OK)
            return PIXI_OK;
    }
    t->sys_errno = errno;
    t->state = PIXI_TCP_CLOSED;
    if (fd >= 0)
        close(fd);
    return PIXI_E_CONNECT;
}

void pixi_tcp_secure(struct pixi_tcp *t, struct pixi_tls *tls)
{
    if (t->state != PIXI_TCP_OPEN) {
        pixi_tls_free(tls);
        return;
    }
    t->tls = tls;
    pixi_tls_handshake(tls); /* a client's first words; a failure shows when the peer answers */
    pixi_loop_defer(t->loop, &t->flush);
}

int pixi_tcp_send(struct pixi_tcp *t, const uint8_t *bytes, size_t len)
{
    if (t->state != PIXI_TCP_OPEN || t->is_shut)
        return PIXI_OK;
    pixi_loop_defer(t->loop, &t->flush);
    return pixi_out_put(&t->out, &t->loop->pool, bytes, len);
}

uint8_t *pixi_tcp_room(struct pixi_tcp *t, size_t len)
{
    if (t->state != PIXI_TCP_OPEN || t->is_shut)
        return NULL;
    pixi_loop_defer(t->loop, &t->flush);
    return pixi_out_room(&t->out, &t->loop->pool, len);
}

int pixi_tcp_send_shared(struct pixi_tcp *t, struct pixi_shared *s)
{
    if (t->state != PIXI_TCP_OPEN || t->is_shut)
        return PIXI_OK;
    pixi_loop_defer(t->loop, &t->flush);
    return pixi_out_put_shared(&t->out, &t->loop->pool, s);
}

void pixi_tcp_pause(struct pixi_tcp *t)
{
    t->is_paused = true;
    if (t->state == PIXI_TCP_OPEN)
        want(t);
}

void pixi_tcp_resume(struct pixi_tcp *t)
{
    t->is_paused = false;
    if (t->state == PIXI_TCP_OPEN)
        want(t);
    if (t->has_unread)
        pixi_loop_defer(t->loop, &t->flush);
}

void pixi_tcp_shutdown(struct pixi_tcp *t)
{
    t->is_shut = true;
    if (t->state == PIXI_TCP_OPEN)
        pixi_loop_defer(t->loop, &t->flush);
}

void pixi_tcp_close(struct pixi_tcp *t)
{
    if (t->state == PIXI_TCP_CLOSED)
        return;
    t->is_shut = true; /* TLS says so to the peer */
    if (t->state == PIXI_TCP_OPEN && (t->out.len || t->tls))
        push(t);
    pixi_out_clear(&t->out, &t->loop->pool);
    pixi_loop_unwatch(t->loop, &t->watch);
    close(t->watch.fd);
    pixi_tls_free(t->tls);
    t->tls = NULL;
    t->state = PIXI_TCP_CLOSED;
}

void pixi_tcp_abort(struct pixi_tcp *t)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};

    if (t->state == PIXI_TCP_CLOSED)
        return;
    pixi_out_clear(&t->out, &t->loop->pool);
    setsockopt(t->watch.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    pixi_tls_free(t->tls);
    t->tls = NULL;
    pixi_tcp_close(t);
}
