/* crash.h -- places where tests end the program at once, as a power cut would. Nothing is compiled without
 * PIXI_CRASH_POINTS. Private to src/outbox. */
#ifndef PIXI_OUTBOX_CRASH_H
#define PIXI_OUTBOX_CRASH_H

#ifdef PIXI_CRASH_POINTS
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The environment's PIXI_CRASH_AT is "NAME:N": the Nth time that this place is come to, from 1 on. */
static inline void pixi_crash_point(const char *name)
{
    static _Thread_local unsigned seen;
    const char *at = getenv("PIXI_CRASH_AT");
    size_t len = strlen(name);

    if (!at || strncmp(at, name, len) != 0 || at[len] != ':' || ++seen < (unsigned)atoi(at + len + 1))
        return;
    raise(SIGKILL);
}
#else
#define pixi_crash_point(name) ((void)0)
#endif

#endif
