/* subs.h -- what filter.c and subs.c share. Private to them. */
#ifndef PIXI_DAEMON_SUBS_H
#define PIXI_DAEMON_SUBS_H

#include "daemon/state.h"

static inline struct pixi_daemon_sub *pixi_daemon_sub_in_filter(struct pixi_list *l)
{
    return PIXI_LIST_ITEM(l, struct pixi_daemon_sub, in_filter);
}

void pixi_daemon_place_remember(struct pixi_daemon_place *place, struct pixi_rpc_position p);
/* Is it at or behind the highest of its epoch? */
bool pixi_daemon_place_has(const struct pixi_daemon_place *place, struct pixi_rpc_position p);

/* NULL: there is none. */
struct pixi_daemon_filter *pixi_daemon_filter_find(const struct pixi_daemon *d, struct pixi_cur text);
/* NULL: out of memory. */
struct pixi_daemon_filter *pixi_daemon_filter_make(struct pixi_daemon *d, struct pixi_cur text);
/* Nobody wants it any more. */
void pixi_daemon_filter_drop(struct pixi_daemon_filter *f);
/* Asks the server for the next that waits, if it is its turn. */
void pixi_daemon_filter_consider(struct pixi_daemon_filter *f);
/* The asker has all it asked for; the others are asked for again where they stood. */
void pixi_daemon_filter_go_on(struct pixi_daemon_filter *f);
/* The server does not grant it, to anybody: all its subscriptions end, and with them f. */
void pixi_daemon_filter_refuse(struct pixi_daemon_filter *f, int err, const char *detail);

/* With the last one its filter goes. */
void pixi_daemon_sub_drop(struct pixi_daemon_sub *s);
/* It ends: the error answers its call, where that waits, or is told. */
void pixi_daemon_sub_refuse(struct pixi_daemon_sub *s, int err, const char *detail);
/* A notification that names nothing but the filter. */
void pixi_daemon_sub_tell(struct pixi_daemon_sub *s, enum pixi_rpc_method m);

#endif
