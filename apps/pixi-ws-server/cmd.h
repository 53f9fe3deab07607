/* cmd.h -- the commands of pixi-ws-server. argv[0] is the command's word; the answer is the exit code. */
#ifndef PIXI_WS_SERVER_CMD_H
#define PIXI_WS_SERVER_CMD_H

#include "cli/cli.h"

/* The options, as they stand in main.c's tables. */
enum {
    RUN_CONFIG,
    RUN_LISTEN,
    RUN_TLS_LISTEN,
    RUN_MQTT,
    RUN_KEYS,
    RUN_PAGE,
    RUN_DATA,
    RUN_INSECURE,
    RUN_WORKERS,
    RUN_ECHO,
    RUN_LOG,
    RUN_VERSION
};
enum { KEY_PUBLISH, KEY_SUBSCRIBE, KEY_RATE, KEY_BYTE_RATE, KEY_KEYS, KEY_CONFIG, KEY_JSON };
enum { CONFIG_CONFIG, CONFIG_KEYS, CONFIG_JSON };

int cmd_run(int argc, char **argv);
int cmd_key(struct app *app, int argc, char **argv);
int cmd_config(struct app *app, int argc, char **argv);

#endif
