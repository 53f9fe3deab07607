/* run.h -- what cmd_run.c and reload.c share. */
#ifndef PIXI_WS_SERVER_RUN_H
#define PIXI_WS_SERVER_RUN_H

#include "net/notify.h"
#include "net/signals.h"
#include "server/server.h"

struct run {
    struct pixi_loop loop;
    struct pixi_server_settings slots[2];  /* one in use, one to read everything into anew */
    struct pixi_server_settings *settings; /* the one in use */
    struct pixi_keys keys[2];              /* so are these */
    unsigned keys_in_use;
    struct pixi_server *server;
    struct pixi_page page;
    struct pixi_signals signals;
    struct pixi_notify notify;
    struct pixi_buf mistakes;
    int argc; /* the options, which count again when everything is read again */
    char **argv;
    const char *config;
    enum pixi_server_mode mode;
};

/* run_read -- flags, environment and file into a slot that is not in use; r->mistakes says what is wrong.
 *   0 | the exit code. mistakes is empty where the code is that for bad usage: that was printed. */
int run_read(struct run *r, struct pixi_server_settings *slot);

/* run_reload -- SIGHUP: settings, keys and certificate are read again. What is wrong is logged, and changes nothing. */
void run_reload(struct run *r);

/* run_check_told -- a service manager that hears nothing kills what it takes for hung: that is worth a line. */
void run_check_told(int rc);

#endif
