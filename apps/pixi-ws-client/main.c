#include "pixi-ws-client/cmd.h"

#include "base/near.h"

#include <getopt.h>
#include <stdio.h>

static const struct option_row send_options[] = {
    {"retain", 'r', NULL, "keep it as the topic's last message; empty removes"},
    {"expiry", 'e', "SECONDS", "not delivered after that time"},
    {"header", 'H', "NAME=VALUE", "may be given several times"},
    {"file", 'f', "FILE", "the payload is the file's bytes"},
    {"timeout", 't', "SECONDS", "give up when it is not stored by then"},
    {0},
};

static const struct option_row request_options[] = {
    {"timeout", 't', "SECONDS", "how long the responder has"},
    {"file", 'f', "FILE", "the payload is the file's bytes"},
    {"header", 'H', "NAME=VALUE", "may be given several times"},
    {0},
};

static const struct option_row listen_options[] = {
    {"count", 'n', "N", "end after N messages"},
    {"no-retained", 0, NULL, "without the messages kept from before"},
    {"reply", 0, "PAYLOAD", "answer every request that comes with this"},
    {"retry", 0, NULL, "keep trying when the first connection fails"},
    {0},
};

static const struct option_row connect_options[] = {
    {"protocol", 'p', "NAMES", "subprotocols to offer, by comma"},
    {"binary", 'b', NULL, "send binary messages; print such as they are"},
    {"no-key", 0, NULL, "send no API key"},
    {"wait", 'w', "SECONDS", "after the input's end, close when so long nothing came (0.5)"},
    {0},
};

static const struct option_row verify_options[] = {
    {"quick", 'q', NULL, "stop after ping; send nothing invalid"},
    {"list", 0, NULL, "list the checks and end"},
    {0},
};

const struct command commands[] = {
    {"verify", "[URL]", "prove that the link works, and say what to fix", verify_options,
     "Each line is a check: ok, FAILED with layer, cause and fix, or skipped with its reason.\n"
     "The exit code is that of the first layer that failed.\n\n"
     "  pixi-ws-client verify\n"
     "  pixi-ws-client verify --quick ws://127.0.0.1:8768/api/v1\n"
     "  pixi-ws-client --json verify | jq .verdict\n",
     cmd_verify},
    {"send", "TOPIC [PAYLOAD|-]", "publish a message, and end when it is stored", send_options,
     "The payload is the argument's bytes, the file's, or with - one message a line of\n"
     "standard input. A message is stored once, even when the connection is cut.\n\n"
     "  pixi-ws-client send event/tram/7 '{\"x\": 12, \"y\": 40}'\n"
     "  sensors | pixi-ws-client send event/sensors -\n"
     "  pixi-ws-client send --retain scene/objects/tram-7 --file tram.json\n",
     cmd_send},
    {"request", "TOPIC [PAYLOAD|-]", "ask one responder and print its reply", request_options,
     "  pixi-ws-client request request/route '{\"from\": \"A\", \"to\": \"B\"}'\n", cmd_request},
    {"listen", "[FILTER...]", "print every message, one JSON line each", listen_options,
     "In a filter + stands for one level and # for the rest. Without filters, those of\n"
     "\"subscriptions\" in the settings. Goes on through restarts of the server, from where it\n"
     "stood; where history was lost, standard error says so.\n\n"
     "  pixi-ws-client listen 'event/#'\n"
     "  pixi-ws-client listen -n 1 scene/camera\n"
     "  pixi-ws-client listen request/echo --reply '\"hello\"'\n",
     cmd_listen},
    {"connect", "[URL]", "talk raw WebSocket messages, by terminal or pipe", connect_options,
     "A line in is a message out, a message in is a line out. Works with any server.\n\n"
     "  pixi-ws-client connect --protocol pixi.v1\n"
     "  echo hello | pixi-ws-client connect --no-key ws://127.0.0.1:9001/\n",
     cmd_connect},
    {"config", "check|show|init", "check, show or write the settings", NULL, NULL, cmd_config},
};

const size_t command_count = sizeof commands / sizeof commands[0];

static void print_help(void)
{
    fputs("pixi-ws-client -- connects programs to a Pixi server over WebSocket, and proves that it works\n\n"
          "usage: pixi-ws-client [--settings FILE] [--url URL] [--json] COMMAND ...\n\n",
          stdout);
    for (size_t i = 0; i < command_count; i++)
        printf("  %-8s %-18s %s\n", commands[i].name, commands[i].arguments, commands[i].summary);
    fputs("\n"
          "  -s, --settings FILE  settings; else config/websocket_settings.json, here or below /\n"
          "  -u, --url URL        the server, instead of the settings' url\n"
          "  -j, --json           machine-readable output, failures too\n"
          "  -V, --version        print the version\n"
          "  -h, --help           this; COMMAND --help tells about a command\n\n"
          "  pixi-ws-client listen 'event/#' &\n"
          "  pixi-ws-client send event/hello '\"world\"'\n\n"
          "exit codes: 0 done  1 check failed  2 usage  3 settings  4 name  5 connect  6 TLS\n"
          "  7 upgrade refused  8 not authorised  9 protocol error  10 timed out  11 closed by\n"
          "  the peer  12 no responder  13 outbox full  14 internal  128+n ended by signal n\n",
          stdout);
}

/* 0: go on; else the exit code, -1 for a good end. */
static int read_options(struct app *app, int argc, char **argv)
{
    static const struct option rows[] = {
        {"settings", required_argument, NULL, 's'}, {"url", required_argument, NULL, 'u'},
        {"json", no_argument, NULL, 'j'},           {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},           {0},
    };
    int got;

    opterr = 0;
    while ((got = getopt_long(argc, argv, "+:s:u:jVh", rows, NULL)) != -1) {
        switch (got) {
        case 's': app->settings_path = optarg; break;
        case 'u': app->url = optarg; break;
        case 'j': app->is_json = true; break;
        case 'V': printf("pixi-ws-client %s\n", PIXI_VERSION); return -1;
        case 'h': print_help(); return -1;
        default:
            note("%s %s; see pixi-ws-client --help",
                 got == ':' ? "an argument is missing after" : "unknown option", argv[optind - 1]);
            return PIXI_EXIT_USAGE;
        }
    }
    return 0;
}

static int unknown_command(const char *name)
{
    struct pixi_cur typed = pixi_cur_str(name);
    const struct command *best = &commands[0];
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < command_count; i++) {
        size_t far = pixi_near_distance(typed, pixi_cur_str(commands[i].name));

        if (far < least) {
            least = far;
            best = &commands[i];
        }
    }
    if (pixi_near_enough(least, pixi_cur_str(best->name)))
        note("unknown command \"%s\"; did you mean \"%s\"?", name, best->name);
    else
        note("unknown command \"%s\"; see pixi-ws-client --help", name);
    return PIXI_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct app app = {0};
    const struct command *command;
    int exit_code = read_options(&app, argc, argv), at = optind;

    if (exit_code)
        return exit_code < 0 ? 0 : exit_code;
    if (at == argc) {
        print_help();
        return PIXI_EXIT_USAGE;
    }
    command = command_of(argv[at]);
    if (!command)
        return unknown_command(argv[at]);
    optind = 0; /* glibc: start anew, on the command's own arguments */
    exit_code = command->run(&app, argc - at, argv + at);
    if (fflush(stdout) != 0 && !exit_code)
        exit_code = PIXI_EXIT_INTERNAL;
    return exit_code;
}
