#include "pixi-ws-server/cmd.h"

#include <stdio.h>
#include <string.h>

static void print_help(FILE *out)
{
    fputs("pixi-ws-server -- the Pixi hub: topics, requests and history over WebSocket\n\n"
          "usage: pixi-ws-server [--config FILE] [--listen ADDR:PORT]... [--keys FILE] [--insecure]\n"
          "                      [--workers 1] [--echo] [--log error|warning|info|debug]\n"
          "       pixi-ws-server key add NAME [--publish FILTER]... [--subscribe FILTER]...\n"
          "       pixi-ws-server key list | key revoke NAME\n"
          "       pixi-ws-server config check | show\n\n"
          "  --config FILE       settings; else config/pixi_ws_server.json, here or below /\n"
          "  --listen ADDR:PORT  where to listen; port 0 takes a free one; may be repeated\n"
          "  --tls-listen ADDR:PORT  the same with TLS, by \"tls\" in the settings\n"
          "  --keys FILE         the API keys that may come in\n"
          "  --insecure          listen beyond this machine without TLS\n"
          "  --echo              no hub: send every message back as it came, any path, no key\n"
          "  --log LEVEL         how much to say on standard error (info)\n"
          "  -V, --version       print the version\n"
          "  -h, --help          this\n\n"
          "It prints `listening on ADDR:PORT` when it is ready. SIGTERM tells every client when to\n"
          "come back, closes with 1012 and ends with 0. SIGHUP reads the API keys and the\n"
          "certificate again; who is connected stays, unless its key is gone.\n",
          out);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "key") == 0)
        return cmd_key(argc - 2, argv + 2);
    if (argc > 1 && strcmp(argv[1], "config") == 0)
        return cmd_config(argc - 2, argv + 2);
    if (argc > 1 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)) {
        print_help(stdout);
        return 0;
    }
    if (argc > 1 && (strcmp(argv[1], "-V") == 0 || strcmp(argv[1], "--version") == 0)) {
        printf("pixi-ws-server %s\n", PIXI_VERSION);
        return 0;
    }
    if (argc > 1 && argv[1][0] != '-') {
        fprintf(stderr, "pixi-ws-server: unknown command \"%s\"; see pixi-ws-server --help\n", argv[1]);
        return 2;
    }
    return cmd_run(argc - 1, argv + 1);
}
