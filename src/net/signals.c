#include "net/signals.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void on_ready(struct pixi_watch *w, uint32_t events)
{
    struct pixi_signals *s = (struct pixi_signals *)((char *)w - offsetof(struct pixi_signals, watch));
    struct signalfd_siginfo info;

    (void)events;
    while (s->watch.is_watched && read(s->watch.fd, &info, sizeof info) == sizeof info)
        s->on_signal(s, (int)info.ssi_signo);
}

int pixi_signals_open(struct pixi_signals *s, struct pixi_loop *l, const int *signals)
{
    sigset_t set;

    sigemptyset(&set);
    for (; *signals; signals++)
        sigaddset(&set, *signals);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return PIXI_E_SYS;
    s->loop = l;
    s->watch =
        (struct pixi_watch){.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), .on_ready = on_ready};
    if (s->watch.fd < 0)
        return PIXI_E_SYS;
    return pixi_loop_watch(l, &s->watch, EPOLLIN);
}

void pixi_signals_close(struct pixi_signals *s)
{
    if (s->watch.fd < 0)
        return;
    pixi_loop_unwatch(s->loop, &s->watch);
    close(s->watch.fd);
    s->watch.fd = -1;
}
