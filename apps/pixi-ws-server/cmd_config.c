#include "pixi-ws-server/cmd.h"

#include "base/file.h"
#include "server/keys.h"
#include "server/settings.h"

#include <stdio.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_SETTINGS = 3, EXIT_INTERNAL = 14 };

struct config {
    struct pixi_server_settings settings;
    struct pixi_keys keys;
    struct pixi_buf mistakes, out;
    const char *path;
    bool is_json, has_keys;
};

/* 0: go on, *at is where the other arguments begin; -1: done well; else the exit code. */
static int read_options(struct config *c, int argc, char **argv, int *at)
{
    const char *value;
    int option;

    while ((option = cli_next(cli_command_of("config"), argc, argv, at, &value)) != CLI_END) {
        switch (option) {
        case CONFIG_CONFIG: c->path = value; break;
        case CONFIG_KEYS:
            pixi_server_settings_override(&c->settings, "keys_file", value, "--keys", &c->mistakes);
            break;
        case CONFIG_JSON: c->is_json = true; break;
        default: return option == CLI_HELP ? -1 : EXIT_USAGE;
        }
    }
    return 0;
}

/* The keys too, when there are any: their mistakes stop the server as well. */
static int load(struct config *c)
{
    int rc = pixi_server_settings_load(&c->settings, c->path, &c->mistakes), keys_rc;

    c->has_keys = c->settings.keys_path && access(c->settings.keys_path, F_OK) == 0;
    if (!c->has_keys)
        return rc;
    keys_rc = pixi_keys_load(&c->keys, c->settings.keys_path, PIXI_KEYS_MAY_BE_MISSING, &c->mistakes);
    return rc != PIXI_OK ? rc : keys_rc;
}

static void check(struct config *c)
{
    const char *file = c->settings.conf.file;

    if (c->settings.conf.mistakes == 0)
        pixi_buf_putf(&c->out, "%s: ok\n", file ? file : "settings without a file");
    if (c->has_keys && c->keys.conf.mistakes == 0)
        pixi_buf_putf(&c->out, "%s: ok, keys: %zu\n", c->settings.keys_path, pixi_keys_count(&c->keys));
    if (!c->has_keys && c->settings.keys_path)
        pixi_buf_putf(&c->out, "%s: not there yet; pixi-ws-server key add NAME makes it\n",
                      c->settings.keys_path);
}

static void show(struct config *c)
{
    struct pixi_json_out w = pixi_json_out_init(&c->out);

    if (!c->is_json) {
        pixi_conf_show(&c->settings.conf, &c->out);
        return;
    }
    pixi_json_open_object(&w);
    pixi_json_name(&w, "members");
    pixi_conf_show_json(&c->settings.conf, &w);
    pixi_json_close_object(&w);
    pixi_buf_put_str(&c->out, "\n");
}

static int run(struct config *c, int argc, char **argv)
{
    int at = 1, exit_code = read_options(c, argc, argv, &at), rc;
    bool is_check = at + 1 == argc && strcmp(argv[at], "check") == 0;
    bool is_show = at + 1 == argc && strcmp(argv[at], "show") == 0;

    if (exit_code)
        return exit_code < 0 ? 0 : exit_code;
    if (!is_check && !is_show)
        return cli_usage_error(cli_command_of("config"), "expected check or show");
    rc = load(c);
    if (is_check)
        check(c);
    else
        show(c);
    cli_fold(stdout, c->out.len ? (const char *)c->out.bytes : "", c->out.len);
    fflush(stdout);
    fprintf(stderr, "%.*s", (int)c->mistakes.len, c->mistakes.len ? (const char *)c->mistakes.bytes : "");
    if (rc == PIXI_OK && c->out.err == PIXI_OK)
        return 0;
    return rc == PIXI_E_SETTINGS ? EXIT_SETTINGS : EXIT_INTERNAL;
}

int cmd_config(struct app *app, int argc, char **argv)
{
    struct config c = {.mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX), .out = pixi_buf_init(1 << 20)};
    int exit_code;

    (void)app;
    pixi_server_settings_init(&c.settings);
    exit_code = run(&c, argc, argv);
    pixi_keys_clear(&c.keys);
    pixi_server_settings_clear(&c.settings);
    pixi_buf_clear(&c.mistakes);
    pixi_buf_clear(&c.out);
    return exit_code;
}
