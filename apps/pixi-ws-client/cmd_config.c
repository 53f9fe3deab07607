#include "pixi-ws-client/cmd.h"

#include "base/file.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { URL, KEY_FILE, KEY_STDIN, FORCE };

/* What init is told, and what it will write. */
struct init {
    const struct app *app;
    const char *dir, *url, *key_file;
    bool reads_key, is_forced;
    struct pixi_buf settings_path, key_path; /* each ends with a NUL */
    struct pixi_buf settings, key;
};

static void print_error(const struct pixi_buf *b)
{
    cli_fold(stderr, b->len ? (const char *)b->bytes : "", b->len);
}

static int print_and_clear(const struct app *app, struct pixi_buf *b)
{
    int exit_code = 0;

    cli_fold(stdout, b->len ? (const char *)b->bytes : "", b->len);
    if (b->err != PIXI_OK)
        exit_code = tell(app, PIXI_EXIT_INTERNAL, "internal", "free memory on this machine", "config: %s",
                         pixi_err_text(b->err));
    else if (fflush(stdout) != 0)
        exit_code = tell_output(app);
    pixi_buf_clear(b);
    return exit_code;
}

static void put_text(struct pixi_json_out *w, struct pixi_cur text)
{
    if (text.p && pixi_utf8_is_valid(text.p, pixi_cur_left(&text)))
        pixi_json_string(w, text);
    else
        pixi_json_null(w);
}

static void put_file(struct pixi_json_out *w, const struct pixi_settings *s)
{
    pixi_json_name(w, "file");
    put_text(w, s->conf.file ? pixi_cur_str(s->conf.file) : (struct pixi_cur){0});
}

static void put_mistakes(struct pixi_json_out *w, struct pixi_cur lines)
{
    const uint8_t *end;

    pixi_json_name(w, "mistakes");
    pixi_json_open_array(w);
    while (lines.p != lines.end) {
        end = memchr(lines.p, '\n', pixi_cur_left(&lines));
        end = end ? end : lines.end;
        put_text(w, (struct pixi_cur){lines.p, end});
        lines.p = end + (end != lines.end);
    }
    pixi_json_close_array(w);
}

static int check(const struct app *app, const struct pixi_settings *s, const struct pixi_buf *mistakes)
{
    struct pixi_buf b = pixi_buf_init(1 << 20);
    struct pixi_json_out w = pixi_json_out_init(&b);

    if (!app->is_json && s->conf.mistakes == 0)
        pixi_buf_putf(&b, "%s: ok\n", s->conf.file ? s->conf.file : "settings without a file");
    if (app->is_json) {
        pixi_json_open_object(&w);
        put_file(&w, s);
        pixi_json_name(&w, "ok");
        pixi_json_bool(&w, s->conf.mistakes == 0);
        put_mistakes(&w, pixi_buf_cur(mistakes));
        pixi_json_close_object(&w);
        pixi_buf_put_str(&b, "\n");
    }
    return print_and_clear(app, &b);
}

static void put_key(const struct pixi_settings *s, struct pixi_buf *b)
{
    pixi_conf_put_mask(s->key, b);
    pixi_buf_putf(b, ", from %s)", s->key_from);
}

static void show_json(const struct pixi_settings *s, struct pixi_buf *b)
{
    struct pixi_json_out w = pixi_json_out_init(b);
    struct pixi_buf key = pixi_buf_init(8192);

    pixi_json_open_object(&w);
    put_file(&w, s);
    pixi_json_name(&w, "members");
    pixi_conf_show_json(&s->conf, &w);
    pixi_json_name(&w, "key");
    if (s->key)
        put_key(s, &key);
    put_text(&w, pixi_buf_cur(&key));
    pixi_json_close_object(&w);
    pixi_buf_put_str(b, "\n");
    pixi_buf_clear(&key);
}

static int show(const struct app *app, const struct pixi_settings *s)
{
    struct pixi_buf b = pixi_buf_init(1 << 20);

    if (app->is_json) {
        show_json(s, &b);
        return print_and_clear(app, &b);
    }
    pixi_conf_show(&s->conf, &b);
    pixi_buf_put_str(&b, "\nAPI key: ");
    if (s->key)
        put_key(s, &b);
    else if (s->key_kept_for)
        pixi_buf_putf(&b, "none is sent: that in the settings is for %s", s->key_kept_for);
    else
        pixi_buf_put_str(&b, "none is sent");
    pixi_buf_put_str(&b, "\n");
    return print_and_clear(app, &b);
}

static int load_and(const struct app *app, bool is_check)
{
    struct pixi_buf mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);
    struct pixi_settings s;
    int rc, exit_code;

    pixi_settings_init(&s);
    if (app->url)
        pixi_settings_override(&s, "url", app->url, "--url", &mistakes);
    rc = pixi_settings_load(&s, app->settings_path, &mistakes);
    exit_code = is_check ? check(app, &s, &mistakes) : show(app, &s);
    fflush(stdout);
    if (!is_check || !app->is_json)
        print_error(&mistakes);
    if (rc != PIXI_OK)
        exit_code = rc == PIXI_E_SETTINGS ? PIXI_EXIT_SETTINGS : PIXI_EXIT_INTERNAL;
    pixi_settings_clear(&s);
    pixi_buf_clear(&mistakes);
    return exit_code;
}

static int check_url(const struct init *i)
{
    struct pixi_conf_fault fault;

    if (pixi_url_parse(pixi_cur_str(i->url), NULL, &fault) == PIXI_OK)
        return 0;
    return tell(i->app, PIXI_EXIT_SETTINGS, "settings", "correct what stands behind --url",
                "config init: --url: found %s, expected %s", fault.found,
                fault.expected ? fault.expected : "ws://HOST[:PORT][/PATH]");
}

static const char *text_of(const struct pixi_buf *path)
{
    return (const char *)path->bytes;
}

/* Without --force nothing that is there is written over. */
static int check_absent(const struct init *i, const struct pixi_buf *path)
{
    if (i->is_forced || access(text_of(path), F_OK) != 0)
        return 0;
    return tell(i->app, PIXI_EXIT_SETTINGS, "settings", "keep it, or let --force replace it",
                "config init: %s is there already", text_of(path));
}

/* One line; nothing is left behind in stdio's buffers. */
static int read_key(struct init *i)
{
    struct pixi_conf_fault fault = {0};
    uint8_t *room;
    ssize_t n = 1;

    while (n > 0 && (room = pixi_buf_reserve(&i->key, 1024))) {
        n = read(STDIN_FILENO, room, 1024);
        i->key.len += n > 0 ? (size_t)n : 0;
    }
    while (i->key.len && (i->key.bytes[i->key.len - 1] == '\n' || i->key.bytes[i->key.len - 1] == '\r'))
        i->key.len--;
    if (i->key.err == PIXI_OK && pixi_settings_key_check(pixi_buf_cur(&i->key), &fault))
        return 0;
    return tell(i->app, PIXI_EXIT_SETTINGS, "settings",
                "give it the key as `pixi-ws-server key add` printed it, and nothing else",
                "config init: standard input: found %s, expected an API key: %d .. %d visible ASCII "
                "characters, no spaces",
                fault.found ? fault.found : "too much", PIXI_SETTINGS_KEY_MIN, PIXI_SETTINGS_KEY_MAX);
}

static void put_settings(struct init *i, bool has_key)
{
    struct pixi_buf *b = &i->settings, value = pixi_buf_init(1 << 16);
    struct pixi_json_out w = pixi_json_out_init(&value);

    pixi_json_text(&w, i->url);
    pixi_buf_put_str(b, "{\n    \"url\": ");
    pixi_buf_put_cur(b, pixi_buf_cur(&value));
    pixi_buf_reset(&value);
    if (has_key) {
        pixi_json_text(&w, i->key_file);
        pixi_buf_put_str(b, ",\n    \"api_key_file\": ");
        pixi_buf_put_cur(b, pixi_buf_cur(&value));
    }
    pixi_buf_put_str(b, "\n}\n");
    pixi_buf_clear(&value);
}

static int write_file(const struct init *i, const struct pixi_buf *path, const struct pixi_buf *bytes)
{
    enum pixi_file_over over = i->is_forced ? PIXI_FILE_REPLACE : PIXI_FILE_NEW;

    if (bytes->err == PIXI_OK && pixi_file_write(text_of(path), pixi_buf_cur(bytes), over) == PIXI_OK) {
        printf("%s: written, mode 0600\n", text_of(path));
        return 0;
    }
    return tell(i->app, PIXI_EXIT_SETTINGS, "disk", "name a folder that may be written to, with space left",
                "config init: %s cannot be written: %s", text_of(path), strerror(errno));
}

static int write_all(struct init *i)
{
    bool has_key = i->reads_key || access(text_of(&i->key_path), F_OK) == 0;
    int exit_code = 0;

    put_settings(i, has_key);
    pixi_buf_put_str(&i->key, "\n");
    if (mkdir(i->dir, 0755) != 0 && errno != EEXIST) {
        return tell(i->app, PIXI_EXIT_SETTINGS, "disk",
                    "name a folder that may be written to, with space left",
                    "config init: %s cannot be made: %s", i->dir, strerror(errno));
    }
    if (i->reads_key)
        exit_code = write_file(i, &i->key_path, &i->key);
    if (!exit_code)
        exit_code = write_file(i, &i->settings_path, &i->settings);
    if (!exit_code && !has_key)
        note("no API key was given, so none will be sent; to add one: pixi-ws-client config init --force "
             "--url %s "
             "--key-stdin %s",
             i->url, i->dir);
    return exit_code;
}

static void put_path(struct pixi_buf *b, const char *dir, const char *name)
{
    if (*name != '/')
        pixi_buf_putf(b, "%s/", dir);
    pixi_buf_put(b, name, strlen(name) + 1);
}

static int prepare(struct init *i)
{
    int exit_code = check_url(i), other;

    put_path(&i->settings_path, i->dir, "websocket_settings.json");
    put_path(&i->key_path, i->dir, i->key_file);
    if (i->settings_path.err != PIXI_OK || i->key_path.err != PIXI_OK)
        return PIXI_EXIT_INTERNAL;
    if (!pixi_utf8_is_valid((const uint8_t *)i->key_file, strlen(i->key_file)) || !*i->key_file) {
        note("config init: --key-file: found a name that is empty or not UTF-8");
        return PIXI_EXIT_USAGE;
    }
    other = check_absent(i, &i->settings_path);
    exit_code = exit_code ? exit_code : other;
    other = i->reads_key ? check_absent(i, &i->key_path) : 0;
    return exit_code ? exit_code : other;
}

static int run_init(struct init *i)
{
    int exit_code = prepare(i);

    if (!exit_code && i->reads_key)
        exit_code = read_key(i);
    if (!exit_code)
        exit_code = write_all(i);
    pixi_buf_clear(&i->settings_path);
    pixi_buf_clear(&i->key_path);
    pixi_buf_clear(&i->settings);
    pixi_file_wipe(&i->key);
    return exit_code;
}

static void take_option(struct init *i, int option, const char *value)
{
    switch (option) {
    case URL: i->url = value; break;
    case KEY_FILE: i->key_file = value; break;
    case KEY_STDIN: i->reads_key = true; break;
    case FORCE: i->is_forced = true; break;
    }
}

int cmd_config(struct app *app, int argc, char **argv)
{
    struct init init = {.app = app,
                        .dir = "config",
                        .url = app->url ? app->url : "ws://127.0.0.1:8768/api/v1",
                        .key_file = "api_key",
                        .settings_path = pixi_buf_init(4096),
                        .key_path = pixi_buf_init(8192),
                        .settings = pixi_buf_init(1 << 17),
                        .key = pixi_buf_init(4096)};
    const struct cli_command *config = cli_command_of("config");
    const char *value;
    int at, option;
    bool is_init;

    while ((option = cli_next(config, argc, argv, &at, &value)) >= 0)
        take_option(&init, option, value);
    if (option < CLI_END)
        return option == CLI_HELP ? 0 : PIXI_EXIT_USAGE;
    is_init = at < argc && strcmp(argv[at], "init") == 0;
    if (is_init && at + 2 == argc)
        init.dir = argv[at + 1];
    if (is_init && at + 2 >= argc)
        return run_init(&init);
    if (at + 1 == argc && strcmp(argv[at], "check") == 0)
        return load_and(app, true);
    if (at + 1 == argc && strcmp(argv[at], "show") == 0)
        return load_and(app, false);
    return cli_usage_error(config,
                           at == argc ? "check, show or init?" : "expected check, show or init [DIR]");
}
