/* cmd.h -- the commands of pixi-ws-server. argv starts after the command's word; the answer is the exit code. */
#ifndef PIXI_WS_SERVER_CMD_H
#define PIXI_WS_SERVER_CMD_H

int cmd_run(int argc, char **argv);
int cmd_key(int argc, char **argv);
int cmd_config(int argc, char **argv);

#endif
