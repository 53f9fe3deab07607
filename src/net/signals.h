/* signals.h -- signals as events of a loop. Programs only: a library leaves signals alone. */
#ifndef PIXI_NET_SIGNALS_H
#define PIXI_NET_SIGNALS_H

#include "net/loop.h"

struct pixi_signals {
    struct pixi_watch watch;
    struct pixi_loop *loop;
    void (*on_signal)(struct pixi_signals *, int signal);
};

/* pixi_signals_open -- from now on these signals (ending with 0) are told by on_signal, set before, and do nothing
 * else. SIGPIPE is ignored.   PIXI_OK | PIXI_E_SYS */
int pixi_signals_open(struct pixi_signals *s, struct pixi_loop *l, const int *signals);
void pixi_signals_close(struct pixi_signals *s);

#endif
