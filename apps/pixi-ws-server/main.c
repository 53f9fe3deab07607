#include "pixi-ws-server/cmd.h"

#include <stdio.h>
#include <string.h>

static const struct cli_option run_options[] = {
    [RUN_CONFIG] = {"config", 0, "FILE", "settings; else config/pixi_ws_server.json, here or below /", NULL},
    [RUN_LISTEN] = {"listen", 0, "ADDR:PORT", "where to listen; port 0 takes a free one; may be repeated",
                    NULL},
    [RUN_TLS_LISTEN] = {"tls-listen", 0, "ADDR:PORT",
                        "the same with TLS, by \"tls\" in the settings; may be repeated", NULL},
    [RUN_MQTT] = {"mqtt", 0, "ADDR:PORT", "where to listen for MQTT without a WebSocket; may be repeated",
                  NULL},
    [RUN_KEYS] = {"keys", 0, "FILE", "the API keys that may come in", NULL},
    [RUN_PAGE] = {"page", 0, "DIR", "serve the page of this folder, instead of the one built in", NULL},
    [RUN_DATA] = {"data", 0, "DIR", "keep messages in this folder; else in memory, for as long as it runs",
                  NULL},
    [RUN_INSECURE] = {"insecure", 0, NULL, "listen beyond this machine without TLS", NULL},
    [RUN_WORKERS] = {"workers", 0, "N", "how many loops: one, so far", "1"},
    [RUN_ECHO] = {"echo", 0, NULL, "no hub: send every message back as it came, any path, no key", NULL},
    [RUN_LOG] = {"log", 0, "LEVEL",
                 "how much to say on standard error: error, warning, info (so it is) or debug",
                 "error warning info debug"},
    [RUN_VERSION] = {"version", 'V', NULL, "print the version", NULL},
    {0},
};

static const struct cli_option key_options[] = {
    [KEY_PUBLISH] = {"publish", 0, "FILTER", "topics that the key may publish to; may be repeated", NULL},
    [KEY_SUBSCRIBE] = {"subscribe", 0, "FILTER", "topics that the key may subscribe to; may be repeated",
                       NULL},
    [KEY_RATE] = {"rate", 0, "N",
                  "messages that the key may publish in a second, instead of the settings' "
                  "limits.publishes_per_s",
                  NULL},
    [KEY_BYTE_RATE] = {"byte-rate", 0, "N", "bytes of them, instead of limits.publish_bytes_per_s", NULL},
    [KEY_KEYS] = {"keys", 0, "FILE", "the API keys, instead of the settings' keys_file", NULL},
    [KEY_CONFIG] = {"config", 0, "FILE", "settings; else config/pixi_ws_server.json, here or below /", NULL},
    [KEY_JSON] = {"json", 0, NULL, "list: machine-readable", NULL},
    {0},
};

static const struct cli_option config_options[] = {
    [CONFIG_CONFIG] = {"config", 0, "FILE", "settings; else config/pixi_ws_server.json, here or below /",
                       NULL},
    [CONFIG_KEYS] = {"keys", 0, "FILE", "the API keys, instead of the settings' keys_file", NULL},
    [CONFIG_JSON] = {"json", 0, NULL, "show: machine-readable", NULL},
    {0},
};

static const struct cli_command commands[] = {
    {"key", "add NAME|list|revoke NAME", "make, list and revoke API keys", key_options,
     "  add     makes a key and prints it, this once: the file holds only its SHA-256\n"
     "  list    names, permissions, rates, dates\n"
     "  revoke  takes the key's entry out of the file\n\n"
     "A running server reads its keys again when it gets SIGHUP.\n\n"
     "  pixi-ws-server key add tram-7 --publish 'event/#' --subscribe '#' >tram-7.key\n"
     "  pixi-ws-server key list\n"
     "  pixi-ws-server key revoke tram-7\n",
     "add list revoke", cmd_key},
    {"config", "check|show", "check or show the settings", config_options,
     "  check  says ok, or a line for each mistake: where, what it is, what is right\n"
     "  show   every member, its value and where it came from\n\n"
     "  pixi-ws-server config check\n"
     "  pixi-ws-server config show --config /config/pixi_ws_server.json\n",
     "check show", cmd_config},
    {0},
};

static const struct cli_row exits[] = {
    {"0", "done"}, {"2", "usage"}, {"3", "settings"}, {"5", "could not listen"}, {"14", "internal"}, {0},
};

static const struct cli_row files[] = {
    {"config/pixi_ws_server.json",
     "The settings, where neither --config nor PIXI_WS_SERVER_SETTINGS names others."},
    {"/config/pixi_ws_server.json", "The settings, where that file is not there."},
    {0},
};

static const struct cli_row environment[] = {
    {"PIXI_WS_SERVER_SETTINGS", "The settings, where --config does not name them."},
    {"PIXI_WS_SERVER_...", "Each plain setting; config show names where a value came from."},
    {0},
};

static const struct cli_row see_also[] = {{"pixi-ws-client", "1"}, {0}};

const struct cli_program cli_program = {
    {"pixi-ws-server",
     "[--config FILE] [--keys FILE] [--data DIR]\n"
     "[--listen ADDR:PORT]... [--tls-listen ADDR:PORT]...\n"
     "[--mqtt ADDR:PORT]... [--insecure] [--echo] [--page DIR]\n"
     "[--log LEVEL]",
     "the Pixi hub: topics, requests and history over WebSocket", run_options,
     "It prints `listening on ADDR:PORT` when it is ready. SIGTERM tells every client when to come\n"
     "back, closes with 1012 and ends with 0. SIGHUP reads settings, API keys and certificate\n"
     "again; who is connected stays, unless its key is gone.\n",
     NULL, NULL},
    commands,
    exits,
    files,
    environment,
    see_also,
};

int main(int argc, char **argv)
{
    const struct cli_command *command = argc > 1 ? cli_command_of(argv[1]) : NULL;

    if (argc == 3 && strcmp(argv[1], "--print") == 0)
        return cli_print(argv[2]);
    if (command)
        return command->run(NULL, argc - 1, argv + 1);
    if (argc > 1 && argv[1][0] != '-')
        return cli_unknown_command(argv[1]);
    return cmd_run(argc, argv);
}
