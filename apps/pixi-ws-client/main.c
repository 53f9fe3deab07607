#include "pixi-ws-client/cmd.h"
#include "pixi-ws-client/page.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { SETTINGS, URL, DIALECT, MQTT_VERSION, QOS, CLIENT_ID, JSON, VERBOSE, VERSION };

static const struct cli_option own_options[] = {
    {"settings", 's', "FILE", "settings; else config/websocket_settings.json, here or below /", NULL},
    {"url", 'u', "URL", "the server, instead of the settings' url", NULL},
    {"dialect", 'd', "NAME", "pixi.v1 or mqtt", NULL},
    {"mqtt-version", 0, "N", "5, or 4 for MQTT 3.1.1", NULL},
    {"qos", 0, "N", "of MQTT: 0, 1 or 2", NULL},
    {"client-id", 0, "ID", "of MQTT: whose session it is", NULL},
    {"json", 'j', NULL, "machine-readable output, failures too", NULL},
    {"verbose", 'v', NULL, "say which way is taken: by the daemon, or directly", NULL},
    {"version", 'V', NULL, "print the version", NULL},
    {0},
};

static const struct cli_option send_options[] = {
    {"retain", 'r', NULL, "keep it as the topic's last message; empty removes", NULL},
    {"expiry", 'e', "SECONDS", "not delivered after that time", NULL},
    {"header", 'H', "NAME=VALUE", "may be given several times", NULL},
    {"file", 'f', "FILE", "the payload is the file's bytes", NULL},
    {"timeout", 't', "SECONDS", "give up when it is not stored by then", NULL},
    {"direct", 0, NULL, "to the server itself, though a daemon runs here", NULL},
    {0},
};

static const struct cli_option request_options[] = {
    {"timeout", 't', "SECONDS", "how long the responder has", NULL},
    {"file", 'f', "FILE", "the payload is the file's bytes", NULL},
    {"header", 'H', "NAME=VALUE", "may be given several times", NULL},
    {"direct", 0, NULL, "to the server itself, though a daemon runs here", NULL},
    {0},
};

static const struct cli_option listen_options[] = {
    {"count", 'n', "N", "end after N messages", NULL},
    {"no-retained", 0, NULL, "without the messages kept from before", NULL},
    {"reply", 0, "PAYLOAD", "answer every request that comes with this", NULL},
    {"retry", 0, NULL, "keep trying when the first connection fails", NULL},
    {"batch-ms", 0, "MS", "messages come together, at most so often", NULL},
    {"latest", 0, NULL, "then of several to a topic only the newest", NULL},
    {"direct", 0, NULL, "to the server itself, though a daemon runs here", NULL},
    {0},
};

static const struct cli_option scene_options[] = {
    {"file", 'f', "FILE", "put: the object is the file's bytes", NULL},
    {"dry-run", 0, NULL, "put, import: check, and send nothing", NULL},
    {"all", 0, NULL, "clear: tiles and camera, too", NULL},
    {"seconds", 0, "SECONDS", "demo: end after that time", NULL},
    {"objects", 0, "N", "demo: how many drive about (60)", NULL},
    {"rate", 0, "N", "demo: how often in a second each is moved (10)", NULL},
    {"format", 0, "FORMAT", "import: what FILE holds; else its name says so", "geojson csv"},
    {"prefix", 0, "TEXT", "import: ids begin with this; else with the file's name", NULL},
    {"center", 0, "PLACE", "import: LON,LAT of what lies at 0, 0; else the first", NULL},
    {"scale", 0, "UNITS", "import: units for a metre (1)", NULL},
    {0},
};

static const struct cli_option connect_options[] = {
    {"protocol", 'p', "NAMES", "subprotocols to offer, by comma", NULL},
    {"binary", 'b', NULL, "send binary messages; print such as they are", NULL},
    {"no-key", 0, NULL, "send no API key", NULL},
    {"wait", 'w', "SECONDS", "after the input's end, close when so long nothing came (0.5)", NULL},
    {"key-log", 0, "FILE", "append the TLS secrets, so that Wireshark can read along", NULL},
    {0},
};

static const struct cli_option verify_options[] = {
    {"quick", 'q', NULL, "stop after ping; send little, and nothing invalid", NULL},
    {"list", 0, NULL, "list the checks and end", NULL},
    {"key-log", 0, "FILE", "append the TLS secrets, so that Wireshark can read along", NULL},
    {0},
};

static const struct cli_option daemon_options[] = {
    {"socket", 0, "PATH", "where programs find it, instead of the settings' daemon.socket", NULL},
    {"outbox", 0, "DIR", "where messages wait, instead of the settings' outbox.path", NULL},
    {"log", 0, "LEVEL", "how much to say: error, warning, info or debug", "error warning info debug"},
    {0},
};

static const struct cli_option status_options[] = {
    {"socket", 0, "PATH", "the daemon's, instead of the settings' daemon.socket", NULL},
    {"watch", 'w', NULL, "again every second, until interrupted", NULL},
    {"rejected", 0, NULL, "the messages that the server refused for good", NULL},
    {0},
};

static const struct cli_option config_options[] = {
    {"url", 0, "URL", "init: the server's URL", NULL},
    {"key-file", 0, "FILE", "init: the file with the API key, as seen from DIR (api_key)", NULL},
    {"key-stdin", 0, NULL, "init: read the API key from standard input into that file", NULL},
    {"force", 'f', NULL, "init: replace files that are there", NULL},
    {0},
};

static const struct cli_command commands[] = {
    {"verify", "[URL]", "prove that the link works, and say what to fix", verify_options,
     "Each line is a check: ok, FAILED with layer, cause and fix, or skipped with its reason.\n"
     "The exit code is that of the first layer that failed.\n\n"
     "  pixi-ws-client verify\n"
     "  pixi-ws-client verify --quick ws://127.0.0.1:8768/api/v1\n"
     "  pixi-ws-client --json verify | jq .verdict\n",
     NULL, cmd_verify},
    {"send", "TOPIC [PAYLOAD|-]", "publish a message, and end when it is stored", send_options,
     "The payload is the argument's bytes, the file's, or with - one message a line of\n"
     "standard input. A message is stored once, even when the connection is cut. Where this\n"
     "machine's daemon runs, it gets the message, and the command ends when it has it on disk.\n\n"
     "  pixi-ws-client send event/tram/7 '{\"x\": 12, \"y\": 40}'\n"
     "  sensors | pixi-ws-client send event/sensors -\n"
     "  pixi-ws-client send --retain scene/objects/tram-7 --file tram.json\n",
     NULL, cmd_send},
    {"request", "TOPIC [PAYLOAD|-]", "ask one responder and print its reply", request_options,
     "  pixi-ws-client request request/route '{\"from\": \"A\", \"to\": \"B\"}'\n", NULL, cmd_request},
    {"listen", "[FILTER...]", "print every message, one JSON line each", listen_options,
     "In a filter + stands for one level and # for the rest. Without filters, those of\n"
     "\"subscriptions\" in the settings. Goes on through restarts of the server, from where it\n"
     "stood; where history was lost, standard error says so.\n\n"
     "  pixi-ws-client listen 'event/#'\n"
     "  pixi-ws-client listen -n 1 scene/camera\n"
     "  pixi-ws-client listen request/echo --reply '\"hello\"'\n",
     NULL, cmd_listen},
    {"scene", "put|move|remove|clear|demo|import ...", "put things on the map that pages show", scene_options,
     "  put ID [OBJECT|-]  put an object, or with - one after the other, a line each\n"
     "  move ID X Y        put the object that is there elsewhere\n"
     "  remove ID...       take objects away\n"
     "  clear [PREFIX]     take away all whose id begins so\n"
     "  demo               a small city in motion, until Ctrl-C takes it away\n"
     "  import FILE|-      put what a GeoJSON or CSV file holds\n\n"
     "docs/scene.md says what an object may be. A mistake in it is refused before it is sent.\n\n"
     "  pixi-ws-client scene put tram-7 '{\"x\": 12, \"y\": 40, \"sprite\": \"tram\"}'\n"
     "  pixi-ws-client scene move tram-7 20 40\n"
     "  pixi-ws-client scene remove tram-7\n"
     "  pixi-ws-client scene demo --seconds 60\n"
     "  pixi-ws-client scene import --center 13.4,52.5 stops.geojson\n",
     "put move remove clear demo import", cmd_scene},
    {"connect", "[URL]", "talk raw WebSocket messages, by terminal or pipe", connect_options,
     "A line in is a message out, a message in is a line out. Works with any server.\n\n"
     "  pixi-ws-client connect --protocol pixi.v1\n"
     "  echo hello | pixi-ws-client connect --no-key ws://127.0.0.1:9001/\n",
     NULL, cmd_connect},
    {"daemon", "", "hold one link for all programs of this machine", daemon_options,
     "Programs talk to it over a Unix socket, JSON-RPC a line each; what it has taken reaches the\n"
     "server exactly once, through crashes and days without a network. It prints\n"
     "`listening on PATH` when it is ready. SIGTERM sends what waits, for daemon.drain_ms at most,\n"
     "and ends with 0. SIGHUP reads the settings again.\n\n"
     "  pixi-ws-client daemon\n"
     "  echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}' | socat - UNIX:/run/pixi-ws/pixi.sock\n",
     NULL, cmd_daemon},
    {"status", "", "how the daemon is: link, outbox, last error and its fix", status_options,
     "Exit code 0 when the link is open, 5 when it is not, or when no daemon is there.\n\n"
     "  pixi-ws-client status\n"
     "  pixi-ws-client --json status | jq .outbox.messages\n",
     NULL, cmd_status},
    {"config", "check|show|init [DIR]", "check, show or write the settings", config_options,
     "  check  says ok, or a line for each mistake: where, what it is, what is right\n"
     "  show   every member, its value and where it came from; keys are masked\n"
     "  init   writes DIR/websocket_settings.json and the key, mode 0600; DIR: config\n\n"
     "  pixi-ws-client config check\n"
     "  pixi-ws-client --settings /config/websocket_settings.json config show\n"
     "  pixi-ws-client config init --url ws://127.0.0.1:8768/api/v1 --key-stdin <key\n",
     "check show init", cmd_config},
    {"explain", "[CODE]", "what a code or an error means, and what to do", NULL,
     "CODE is an exit code, a close code, a JSON-RPC code or an error's name. Without one it lists\n"
     "them all.\n\n"
     "  pixi-ws-client explain 7\n"
     "  pixi-ws-client explain 1013\n"
     "  pixi-ws-client explain -32003\n"
     "  pixi-ws-client explain tls-expired\n",
     page_words, cmd_explain},
    {0},
};

static const struct cli_row exits[] = {
    {"0", "done"},
    {"1", "check failed"},
    {"2", "usage"},
    {"3", "settings"},
    {"4", "name"},
    {"5", "connect"},
    {"6", "TLS"},
    {"7", "upgrade refused"},
    {"8", "not authorised"},
    {"9", "protocol error"},
    {"10", "timed out"},
    {"11", "closed by the peer"},
    {"12", "no responder"},
    {"13", "outbox full"},
    {"14", "internal"},
    {"128+n", "ended by signal n"},
    {0},
};

static const struct cli_row files[] = {
    {"config/websocket_settings.json",
     "The settings, where neither --settings nor PIXI_WS_SETTINGS names others."},
    {"/config/websocket_settings.json", "The settings, where that file is not there."},
    {0},
};

static const struct cli_row environment[] = {
    {"PIXI_WS_SETTINGS", "The settings, where --settings does not name them."},
    {"PIXI_WS_URL, PIXI_WS_API_KEY, PIXI_WS_...",
     "Each plain setting; config show names where a value came from."},
    {"HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY", "A proxy, where the settings name none."},
    {"NO_COLOR", "When set, nothing is printed in colour."},
    {0},
};

static const struct cli_row see_also[] = {{"pixi-ws-server", "1"}, {0}};

const struct cli_program cli_program = {
    {"pixi-ws-client",
     "[--settings FILE] [--url URL] [--dialect NAME] [--json]\n"
     "COMMAND ...",
     "connects programs to a Pixi server, and proves that it works", own_options,
     "These options may also stand behind the command. COMMAND --help tells about a command,\n"
     "explain CODE about what went wrong.\n\n"
     "  pixi-ws-client listen 'event/#' &\n"
     "  pixi-ws-client send event/hello '\"world\"'\n",
     NULL, NULL},
    commands,
    exits,
    files,
    environment,
    see_also,
};

/* Once each: the last one given counts. */
static void add_override(struct app *app, const char *member, const char *value, const char *flag)
{
    size_t i = 0;

    while (i < app->override_count && strcmp(app->overrides[i].member, member) != 0)
        i++;
    app->overrides[i] = (struct override){member, value, flag};
    if (i == app->override_count)
        app->override_count++;
}

/* 0: go on, *at is where the command stands; else the exit code, -1 for a good end. */
static int read_options(struct app *app, int argc, char **argv, int *at)
{
    const char *value;
    int option;

    while ((option = cli_next(&cli_program.self, argc, argv, at, &value)) != CLI_END) {
        switch (option) {
        case SETTINGS: app->settings_path = value; break;
        case URL: app->url = value; break;
        case DIALECT: add_override(app, "dialect", value, "--dialect"); break;
        case MQTT_VERSION: add_override(app, "mqtt.version", value, "--mqtt-version"); break;
        case QOS: add_override(app, "mqtt.qos", value, "--qos"); break;
        case CLIENT_ID: add_override(app, "client_id", value, "--client-id"); break;
        case JSON: app->is_json = true; break;
        case VERBOSE: app->is_verbose = true; break;
        case VERSION: printf("%s %s\n", cli_program.self.name, PIXI_VERSION); return -1;
        case CLI_HELP: return -1;
        default: return PIXI_EXIT_USAGE;
        }
    }
    return 0;
}

/* Output that nobody got is a failure, too. Where the reader has gone, as head does, listen and connect were told to end
 * by that; the others end as if the signal had ended them. */
static int check_output(const struct app *app, const struct cli_command *command, int exit_code)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    bool is_flushed = fflush(stdout) == 0;
    int sys_errno = errno;

    if (exit_code || (is_flushed && !ferror(stdout)))
        return exit_code;
    if (poll(&out, 1, 0) == 1 && out.revents & POLLERR) {
        bool ends_so = command && (command->run == cmd_listen || command->run == cmd_connect);

        return ends_so ? 0 : 128 + SIGPIPE;
    }
    errno = is_flushed ? EIO : sys_errno;
    return tell_output(app);
}

static int run(struct app *app, int argc, char **argv, const struct cli_command **command)
{
    int at = 0, hoisted, exit_code;

    if (argc == 3 && strcmp(argv[1], "--print") == 0)
        return cli_print(argv[2]);
    exit_code = read_options(app, argc, argv, &at);
    if (exit_code)
        return exit_code < 0 ? 0 : exit_code;
    if (at == argc) {
        cli_print_help(&cli_program.self);
        return PIXI_EXIT_USAGE;
    }
    *command = cli_command_of(argv[at]);
    if (!*command)
        return cli_unknown_command(argv[at]);
    hoisted = cli_hoist(*command, argc, argv, at);
    if (hoisted == CLI_BAD)
        return PIXI_EXIT_USAGE;
    if (hoisted > 0)
        exit_code = read_options(app, argc, argv, &at);
    if (exit_code)
        return exit_code < 0 ? 0 : exit_code;
    return (*command)->run(app, argc - at, argv + at);
}

int main(int argc, char **argv)
{
    static char buffer[1 << 16];
    const struct cli_command *command = NULL;
    struct app app = {0};
    int exit_code;

    if (!isatty(
            STDOUT_FILENO)) /* what a command prints is written at its end: then errno says why it could not be */
        setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    exit_code = run(&app, argc, argv, &command);
    return check_output(&app, command, exit_code);
}
