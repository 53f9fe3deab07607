#include "pixi-ws-client/lines.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { READ_LEN = 65536 };

static void stop(struct lines *l)
{
    l->is_ended = true;
    pixi_loop_unwatch(l->loop, &l->watch);
}

static void end(struct lines *l, int err)
{
    stop(l);
    l->on_end(l, err);
}

/* Gives out whole lines until paused. */
static void give(struct lines *l)
{
    size_t at = 0;

    while (!l->is_paused && !l->is_ended && at < l->partial.len) {
        uint8_t *start = l->partial.bytes + at, *stop_at = memchr(start, '\n', l->partial.len - at);

        if (!stop_at)
            break;
        at = (size_t)(stop_at - l->partial.bytes) + 1;
        l->on_line(l, (struct pixi_cur){start, stop_at});
    }
    if (l->partial.bytes)
        pixi_buf_drop(&l->partial, at);
}

static void read_some(struct lines *l)
{
    uint8_t *room = pixi_buf_reserve(&l->partial, READ_LEN);
    ssize_t n;

    if (!room) {
        end(l, l->partial.err);
        return;
    }
    n = read(l->watch.fd, room, READ_LEN);
    if (n > 0) {
        l->partial.len += (size_t)n;
        give(l);
    } else if (n == 0) {
        if (l->partial.len > 0) /* the last line, without its break */
            l->on_line(l, pixi_buf_cur(&l->partial));
        end(l, PIXI_OK);
    } else if (errno != EAGAIN && errno != EINTR) {
        l->sys_errno = errno;
        end(l, PIXI_E_SYS);
    }
}

static void on_ready(struct pixi_watch *w, uint32_t events)
{
    (void)events;
    read_some((struct lines *)((char *)w - offsetof(struct lines, watch)));
}

static void run_again(struct pixi_task *t)
{
    struct lines *l = (struct lines *)((char *)t - offsetof(struct lines, again));

    if (l->is_ended || l->is_paused)
        return;
    give(l);
    if (l->is_ended || l->is_paused)
        return;
    if (l->is_file) {
        read_some(l);
        pixi_loop_defer(l->loop, &l->again);
    } else {
        pixi_loop_watch(l->loop, &l->watch, EPOLLIN);
    }
}

void lines_open(struct lines *l, struct pixi_loop *loop, int fd, size_t max)
{
    l->loop = loop;
    l->watch = (struct pixi_watch){.fd = fd, .on_ready = on_ready};
    l->again = (struct pixi_task){.run = run_again};
    l->partial = pixi_buf_init(max + READ_LEN);
    l->is_paused = l->is_ended = false;
    l->is_file = pixi_loop_watch(loop, &l->watch, EPOLLIN) != PIXI_OK; /* EPERM: a regular file, /dev/null */
    if (l->is_file)
        pixi_loop_defer(loop, &l->again);
}

void lines_pause(struct lines *l)
{
    l->is_paused = true;
    pixi_loop_unwatch(l->loop, &l->watch);
}

void lines_resume(struct lines *l)
{
    if (!l->is_paused || l->is_ended)
        return;
    l->is_paused = false;
    pixi_loop_defer(l->loop, &l->again);
}

void lines_close(struct lines *l)
{
    if (!l->loop)
        return;
    stop(l);
    while (l->again.is_queued)
        pixi_loop_turn(l->loop, 0);
    pixi_buf_clear(&l->partial);
}
