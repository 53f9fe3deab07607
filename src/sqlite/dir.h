/* dir.h -- the folder of a database: made, ours alone, and used by one process at a time. */
#ifndef PIXI_SQLITE_DIR_H
#define PIXI_SQLITE_DIR_H

#include "base/buf.h"

#include <stdbool.h>

struct pixi_dir {
    char *path;    /* owned, without a last '/' */
    int lock_fd;   /* -1: not open */
    bool is_new;   /* it was made, or was never used */
    bool is_clean; /* whoever used it last ended as it should */
    bool is_torn;  /* or had met damage in it */
};

/* pixi_dir_open -- make the folder (mode 0700) if it is not there, and lock its file `lock`, which holds our pid.
 *
 *   problem  on an error what and why, with its fix
 *
 *   PIXI_OK            pixi_dir_close
 *   PIXI_E_SETTINGS    another process uses it; others may write to it; it is no folder, or not ours to write to
 *   PIXI_E_SYS | PIXI_E_NOMEM */
int pixi_dir_open(const char *path, struct pixi_dir *dir, struct pixi_buf *problem);

/* pixi_dir_file -- the path of a file in it.   Gives, free with free(); NULL: out of memory. */
char *pixi_dir_file(const struct pixi_dir *dir, const char *name);

enum pixi_dir_end {
    PIXI_DIR_CLEAN,   /* nothing is left to be done */
    PIXI_DIR_SUSPECT, /* who opens it next should look closely */
    PIXI_DIR_TORN,    /* who opens it next should repair it, however it looks */
};

/* pixi_dir_mark -- what it says to who opens it next, from now on: for one who may be killed before pixi_dir_close. */
void pixi_dir_mark(const struct pixi_dir *dir, enum pixi_dir_end end);

/* pixi_dir_close -- unlock. Harmless when it is not open. */
void pixi_dir_close(struct pixi_dir *dir, enum pixi_dir_end end);

#endif
