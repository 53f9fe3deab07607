#include "geom-image/cmd.h"
#include "geom-image/trial.h"

#include "base/file.h"
#include "client/settings.h"
#include "net/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DEFAULT_S = 150, LONGEST_S = 3600, JSON_MAX = 1 << 20 };

struct verify_options {
    const char *description, *output;
    unsigned timeout_s;
    bool is_json;
};

static bool read_seconds(const char *text, unsigned *out)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || value < 1 || value > LONGEST_S)
        return false;
    *out = (unsigned)value;
    return true;
}

static int take_option(struct verify_options *o, const struct cli_command *c, int option, const char *value)
{
    switch (option) {
    case VERIFY_OUTPUT: o->output = value; return 0;
    case VERIFY_JSON: o->is_json = true; return 0;
    default:
        return read_seconds(value, &o->timeout_s)
                   ? 0
                   : cli_usage_error(c, "--timeout: expected 1 .. 3600 seconds");
    }
}

/* 0: go on; -1: done well; else the exit code. */
static int read_options(int argc, char **argv, struct verify_options *o)
{
    const struct cli_command *c = cli_command_of("verify");
    const char *value;
    int at = 1, option, rc = 0;

    while (rc == 0 && (option = cli_next(c, argc, argv, &at, &value)) != CLI_END) {
        if (option < 0)
            return option == CLI_HELP ? -1 : PIXI_EXIT_USAGE;
        rc = take_option(o, c, option, value);
    }
    if (rc == 0 && at + 1 < argc)
        rc = cli_usage_error(c, "one description is enough");
    if (at < argc)
        o->description = argv[at];
    return rc;
}

/* The server must be one that can be stood in for: without TLS, at an IPv4 address. */
static int take_server(struct trial *t, const char *dir)
{
    struct pixi_image_desc *d = t->desc;
    struct pixi_settings s;
    struct pixi_buf mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);
    struct pixi_url url = {0};
    struct pixi_cur filter = {0}, text;
    unsigned char address[4];
    int exit_code = PIXI_EXIT_SETTINGS;

    pixi_settings_init(&s);
    if (d->settings.len &&
        pixi_settings_check_bytes(&s, d->path, pixi_buf_cur(&d->settings), &mistakes) == PIXI_OK) {
        text = s.urls.count ? s.urls.at[0] : pixi_cur_str(s.url ? s.url : "");
        filter = s.subscriptions.count ? s.subscriptions.at[0] : filter;
        if (pixi_url_parse(text, &url, NULL) != PIXI_OK || url.is_tls ||
            inet_pton(AF_INET, url.host, address) != 1)
            fprintf(
                stderr,
                "%s: websocket_settings: found %.*s, expected ws:// and an IPv4 address such as 10.0.2.2, "
                "where "
                "verify can put a server of its own; verify a description with such a url beside this one\n",
                d->path, (int)pixi_cur_left(&text), (const char *)text.p);
        else
            exit_code = world_open(&t->world, dir, &url, filter) ? 0 : PIXI_EXIT_INTERNAL;
    } else {
        fprintf(stderr, "%s: found no websocket_settings, expected some: there is nothing to verify\n",
                d->path);
    }
    pixi_settings_clear(&s);
    pixi_buf_clear(&mistakes);
    return exit_code;
}

static enum verdict check_server(struct trial *t)
{
    const char *fault = world_start_server(&t->world);

    if (!fault)
        fault = world_start_listener(&t->world);
    if (fault)
        return trial_failed(t, "%s", fault);
    return trial_ok(t, "for this run, at %s, port %u%s", t->world.url.host, t->world.url.port,
                    t->world.has_own_network ? "" : " of this machine");
}

static const struct trial_check server_checks[] = {{"server", check_server, NULL}};

static void run_parts(struct trial *t)
{
    t->talker = &t->world.server;
    t->talker_log = "server.log";
    trial_run(t, "server", server_checks, 1, NULL);
    if (!t->count[VERDICT_FAILED])
        trial_machine(t);
    if (!t->count[VERDICT_FAILED])
        trial_container(t);
}

static int conclude(struct trial *t)
{
    unsigned ok = t->count[VERDICT_OK], failed = t->count[VERDICT_FAILED];
    bool is_proven = ok > 1 && !failed && !t->is_incomplete && !pump_signal();

    if (t->is_json) {
        pixi_json_close_array(&t->out);
        pixi_json_name(&t->out, "verdict");
        pixi_json_text(&t->out, is_proven ? "verified" : "not verified");
        pixi_json_close_object(&t->out);
        pixi_buf_put_str(&t->json, "\n");
        fwrite(t->json.bytes, 1, t->json.len, stdout);
    } else {
        printf("%s-%s: %s: %u ok, %u failed, %u skipped\n", t->desc->name, t->desc->version,
               is_proven ? "verified" : "NOT verified", ok, failed, t->count[VERDICT_SKIPPED]);
        if (!is_proven)
            printf("logs are in %s\n", t->world.dir);
    }
    if (pump_signal())
        return 128 + pump_signal();
    return is_proven ? PIXI_EXIT_DONE : PIXI_EXIT_CHECK;
}

static void begin_json(struct trial *t)
{
    t->out = pixi_json_out_init(&t->json);
    pixi_json_open_object(&t->out);
    pixi_json_name(&t->out, "image");
    pixi_json_text(&t->out, t->desc->name);
    pixi_json_name(&t->out, "version");
    pixi_json_text(&t->out, t->desc->version);
    pixi_json_name(&t->out, "checks");
    pixi_json_open_array(&t->out);
}

static int run_trial(struct pixi_image_desc *d, const struct verify_options *o)
{
    struct trial t = {
        .desc = d, .is_json = o->is_json, .details = pixi_buf_init(65536), .json = pixi_buf_init(JSON_MAX)};
    char dir[WORLD_PATH + 16];
    int exit_code;

    t.is_root = geteuid() == 0;
    snprintf(t.stem, sizeof t.stem, "%s/%s-%s", o->output, d->name, d->version);
    snprintf(dir, sizeof dir, "%s/verify", o->output);
    if (access(o->output, X_OK) != 0) {
        fprintf(stderr, "geom-image: %s: %s; geom-image build makes it\n", o->output, strerror(errno));
        return PIXI_EXIT_USAGE;
    }
    pump_catch_signals();
    exit_code = take_server(&t, dir);
    if (!exit_code) {
        t.world.pump.deadline_ms = pixi_clock_mono_ms() + 1000 * (uint64_t)o->timeout_s;
        begin_json(&t);
        run_parts(&t);
        world_close(&t.world);
        exit_code = conclude(&t);
    }
    pixi_buf_clear(&t.details);
    pixi_buf_clear(&t.json);
    return exit_code;
}

int cmd_verify(struct app *app, int argc, char **argv)
{
    struct verify_options o = {PIXI_IMAGE_DESCRIPTION, "build/image", DEFAULT_S, false};
    int exit_code = read_options(argc, argv, &o);
    struct pixi_image_desc d;

    (void)app;
    if (exit_code)
        return exit_code < 0 ? 0 : exit_code;
    exit_code = load_description(&d, o.description);
    if (!exit_code)
        exit_code = run_trial(&d, &o);
    pixi_image_desc_clear(&d);
    return exit_code;
}
