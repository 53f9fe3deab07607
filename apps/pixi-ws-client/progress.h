/* progress.h -- on a terminal, one line that says what is being waited for and how long still; it comes after a second and
 * goes away again. Elsewhere, and with --json, nothing of all this happens. */
#ifndef PIXI_WS_CLIENT_PROGRESS_H
#define PIXI_WS_CLIENT_PROGRESS_H

#include "client/settings.h"
#include "link/link.h"
#include "net/dial.h"

struct app;

/* progress_show -- now, unless it is too early. what: "connecting to 127.0.0.1:8768". */
void progress_show(const struct app *app, const char *what, uint64_t waited_ms, uint64_t total_ms);
/* progress_hide -- before anything else is written, to whichever output. */
void progress_hide(void);

/* What is looked at four times a second. Embedded; all borrowed. */
struct progress {
    const struct app *app;
    struct pixi_loop *loop;
    const struct pixi_dial *dial;
    const struct pixi_link *link;
    const struct pixi_settings *settings;
    const size_t *endpoint; /* which of the settings'; NULL: the first */
    /* What the program waits for while the link is open, and for how long at most; NULL: nothing. May be NULL itself. */
    const char *(*on_open)(struct progress *, uint64_t *total_ms);
    struct pixi_timer tick;
    int stage; /* what was waited for at the last look, and since when */
    uint64_t since_ms;
};

/* progress_start -- the fields above tick are set. progress_stop: in any state. */
void progress_start(struct progress *p);
void progress_stop(struct progress *p);

#endif
