/* edit.h -- lines typed at a terminal, edited with libedit while the loop goes on. What is written meanwhile stands above
 * the line under way. The history lives in memory only: what is typed may hold a key. */
#ifndef PIXI_WS_CLIENT_EDIT_H
#define PIXI_WS_CLIENT_EDIT_H

#include "base/cur.h"
#include "net/loop.h"

#include <wchar.h>

struct editline;
struct history;

enum { EDIT_TYPED = 4096 };

struct edit {
    /* A line without its break. Borrowed. Never while the line under way is shown. Set before edit_open, as on_end. */
    void (*on_line)(struct edit *, struct pixi_cur line);
    void (*on_end)(struct edit *); /* Ctrl-D, or the terminal is gone */
    struct pixi_loop *loop;        /* borrowed */
    struct editline *el;
    struct history *history;
    struct pixi_watch watch; /* standard input */
    mbstate_t state;
    bool is_paused, is_over, is_gone; /* edit_pause | no more lines are wanted | no more can come */
    bool is_waiting, is_hidden;       /* a line is under way | and not shown */
    size_t at, len;                   /* typed, not taken yet: bytes[at .. len] */
    char bytes[EDIT_TYPED];
};

/* edit_is_possible -- are standard input and output a terminal that can move its cursor? */
bool edit_is_possible(void);

/* edit_open -- PIXI_OK | PIXI_E_NOMEM. */
int edit_open(struct edit *e, struct pixi_loop *loop);
/* edit_run -- turns the loop and hands on lines until edit_stop or the end of the input; from outside the loop. */
void edit_run(struct edit *e);

/* From callbacks of the loop, and in any state, opened or not: */
void edit_stop(struct edit *e);
void edit_pause(struct edit *e);
void edit_resume(struct edit *e);
void edit_hide(struct edit *e); /* before something is written */
void edit_show(struct edit *e); /* after it */
void edit_resize(struct edit *e);

/* edit_close -- the terminal is as it was. In any state. */
void edit_close(struct edit *e);

#endif
