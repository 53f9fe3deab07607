/* exit.h -- exit codes of pixi-ws-client, which scripts count on. docs/exit-codes.md */
#ifndef PIXI_BASE_EXIT_H
#define PIXI_BASE_EXIT_H

enum {
    PIXI_EXIT_DONE = 0,
    PIXI_EXIT_CHECK = 1,
    PIXI_EXIT_USAGE = 2,
    PIXI_EXIT_SETTINGS = 3,
    PIXI_EXIT_NAME = 4,
    PIXI_EXIT_CONNECT = 5,
    PIXI_EXIT_TLS = 6,
    PIXI_EXIT_UPGRADE = 7,
    PIXI_EXIT_KEY = 8,
    PIXI_EXIT_PROTOCOL = 9,
    PIXI_EXIT_TIMEOUT = 10,
    PIXI_EXIT_CLOSED = 11,
    PIXI_EXIT_NO_RESPONDER = 12,
    PIXI_EXIT_OUTBOX = 13,
    PIXI_EXIT_INTERNAL = 14,
};

#endif
