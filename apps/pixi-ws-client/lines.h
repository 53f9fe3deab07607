/* lines.h -- lines from a descriptor, on a loop. */
#ifndef PIXI_WS_CLIENT_LINES_H
#define PIXI_WS_CLIENT_LINES_H

#include "base/buf.h"
#include "net/loop.h"

struct lines {
    struct pixi_loop *loop;
    struct pixi_watch watch;
    struct pixi_task again; /* a regular file cannot be waited for: it is always ready */
    struct pixi_buf partial;
    bool is_paused, is_ended, is_file;
    int sys_errno;
    /* One line without its break. Borrowed. lines_pause stops the next one. */
    void (*on_line)(struct lines *, struct pixi_cur line);
    /* No more. err: PIXI_OK, PIXI_E_SYS (sys_errno), PIXI_E_LIMIT (a line over max). */
    void (*on_end)(struct lines *, int err);
};

/* lines_open -- from fd, lines of up to max bytes; the callbacks are set before. fd stays the caller's. */
void lines_open(struct lines *l, struct pixi_loop *loop, int fd, size_t max);
void lines_pause(struct lines *l);
void lines_resume(struct lines *l);
void lines_close(struct lines *l);

#endif
