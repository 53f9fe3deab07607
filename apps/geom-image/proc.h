/* proc.h -- programs that are started, what they say, and that they end: with this one, however it ends.
 *
 * All that is waited for is waited for here, and while one thing is waited for everything else is read, too. One pump a
 * process; no threads. */
#ifndef GEOM_IMAGE_PROC_H
#define GEOM_IMAGE_PROC_H

#include "base/buf.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

enum { FEED_MAX = 16 << 20, FEEDS_MAX = 12 };

/* What comes out of a descriptor: kept here, and in a file for whoever looks into a failure. */
struct feed {
    int fd, log_fd; /* -1: none, or at its end */
    struct pixi_buf text;
};

struct proc {
    pid_t pid; /* 0: it was not started, or it has ended */
    int pid_fd;
    int code; /* once it has ended: its exit code, or 128 and the signal */
    struct feed out;
};

struct pump {
    struct feed *feeds[FEEDS_MAX];
    size_t count;
    uint64_t deadline_ms; /* of everything, by pixi_clock_mono_ms */
};

enum wait_end { WAIT_DONE, WAIT_ENDED, WAIT_TIMEOUT, WAIT_STOPPED };

/* pump_catch_signals -- from now on SIGINT, SIGTERM and SIGHUP end what is waited for with WAIT_STOPPED. */
void pump_catch_signals(void);
/* The signal that came; 0: none. */
int pump_signal(void);

/* How to start a program. Its environment is this one's without PIXI_WS_*, and `environment` (NAME=VALUE ..., NULL). */
struct proc_how {
    const char *const *argv; /* argv[0] is looked up on PATH */
    const char *const *environment;
    const char *log; /* the file that its output is kept in; added to when it is there */
    const char
        *err_log;     /* NULL: what it says on standard error is part of the output; else that goes there */
    const char *root; /* NULL, or the folder to chroot to */
    uid_t uid;        /* with root: whom to become */
    int kept_fd;      /* 0, or a descriptor that it gets as it is */
    const char *in_path; /* NULL: /dev/null */
};

/* proc_start -- false: told, errno is kept. */
bool proc_start(struct pump *p, struct proc *proc, const struct proc_how *how);

/* feed_open -- reads from fd, which it takes, from now on. */
bool feed_open(struct pump *p, struct feed *f, int fd, const char *log);
void feed_close(struct pump *p, struct feed *f);

/* feed_line -- the nth line (from 1) with needle in it, without its line break; false: it is not there yet. */
bool feed_line(const struct feed *f, const char *needle, unsigned nth, struct pixi_cur *line);

/* wait_line -- until that line is there. proc is who writes it: WAIT_ENDED when that ends without. line may be NULL. */
enum wait_end wait_line(struct pump *p, const struct feed *f, struct proc *proc, const char *needle,
                        unsigned nth, unsigned most_ms, struct pixi_cur *line);

/* wait_exit -- until it has ended; proc->code says how. */
enum wait_end wait_exit(struct pump *p, struct proc *proc, unsigned most_ms);

/* proc_stop -- SIGTERM, and SIGKILL when that does not help in 5 s; nothing when it has ended. Its output stays. */
void proc_stop(struct proc *proc);
void proc_clear(struct pump *p, struct proc *proc);

#endif
