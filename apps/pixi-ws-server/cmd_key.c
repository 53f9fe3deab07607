#include "pixi-ws-server/cmd.h"

#include "server/keys.h"
#include "server/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { EXIT_USAGE = 2, EXIT_SETTINGS = 3, EXIT_INTERNAL = 14 };

struct key {
    struct pixi_server_settings settings;
    struct pixi_buf mistakes;
    struct pixi_cur publish[PIXI_KEYS_FILTERS_MAX], subscribe[PIXI_KEYS_FILTERS_MAX];
    size_t publish_count, subscribe_count;
    uint64_t publishes_per_s, publish_bytes_per_s;
    const char *config;
    bool is_json;
};

static int add_filter(struct pixi_cur *list, size_t *count, const char *text)
{
    if (*count == PIXI_KEYS_FILTERS_MAX)
        return cli_usage_error(cli_command_of("key"), "too many filters");
    list[(*count)++] = pixi_cur_str(text);
    return 0;
}

static int read_rate(const char *option, const char *text, uint64_t most, uint64_t *out)
{
    char *end, problem[160];

    errno = 0;
    *out = strtoull(text, &end, 10);
    if (*text >= '1' && *text <= '9' && !*end && !errno && *out <= most)
        return 0;
    snprintf(problem, sizeof problem, "%s: found \"%.40s\", expected a whole number, 1 .. %llu", option, text,
             (unsigned long long)most);
    return cli_usage_error(cli_command_of("key"), problem);
}

/* 0: go on; -1: done well; else the exit code. */
static int take_option(struct key *k, int option, const char *value)
{
    switch (option) {
    case KEY_PUBLISH: return add_filter(k->publish, &k->publish_count, value);
    case KEY_SUBSCRIBE: return add_filter(k->subscribe, &k->subscribe_count, value);
    case KEY_RATE: return read_rate("--rate", value, PIXI_KEYS_PUBLISHES_MAX, &k->publishes_per_s);
    case KEY_BYTE_RATE: return read_rate("--byte-rate", value, PIXI_KEYS_BYTES_MAX, &k->publish_bytes_per_s);
    case KEY_KEYS:
        pixi_server_settings_override(&k->settings, "keys_file", value, "--keys", &k->mistakes);
        return 0;
    case KEY_CONFIG: k->config = value; return 0;
    case KEY_JSON: k->is_json = true; return 0;
    default: return option == CLI_HELP ? -1 : EXIT_USAGE;
    }
}

static int read_options(struct key *k, int argc, char **argv, int *at)
{
    const char *value;
    int option, exit_code;

    while ((option = cli_next(cli_command_of("key"), argc, argv, at, &value)) != CLI_END)
        if ((exit_code = take_option(k, option, value)) != 0)
            return exit_code;
    return 0;
}

static int add(struct key *k, const char *name)
{
    struct pixi_key_new new = {.name = name,
                               .publish = k->publish,
                               .subscribe = k->subscribe,
                               .publish_count = k->publish_count,
                               .subscribe_count = k->subscribe_count,
                               .publishes_per_s = k->publishes_per_s,
                               .publish_bytes_per_s = k->publish_bytes_per_s,
                               .now_s = (uint64_t)time(NULL)};
    char text[PIXI_KEYS_TEXT];
    int rc = pixi_keys_add(k->settings.keys_path, &new, text, &k->mistakes);

    if (rc != PIXI_OK)
        return rc;
    printf("%s\n", text);
    explicit_bzero(text, sizeof text);
    if (fflush(stdout) != 0) {
        pixi_buf_putf(&k->mistakes, "the key of %s could not be printed; revoke it\n", name);
        return PIXI_E_SYS;
    }
    fprintf(stderr, "pixi-ws-server: %s: key of %s added; it is not shown again\n", k->settings.keys_path,
            name);
    if (!k->publish_count && !k->subscribe_count)
        fputs("pixi-ws-server: without --publish and --subscribe it may do nothing yet\n", stderr);
    return PIXI_OK;
}

static void put_filters(struct pixi_json_out *w, const char *name, const struct pixi_conf_strings *filters)
{
    pixi_json_name(w, name);
    pixi_json_open_array(w);
    for (size_t i = 0; i < filters->count; i++)
        pixi_json_string(w, filters->at[i]);
    pixi_json_close_array(w);
}

static void put_rate(struct pixi_json_out *w, const char *name, uint64_t per_s)
{
    pixi_json_name(w, name);
    if (per_s)
        pixi_json_number(w, per_s);
    else
        pixi_json_null(w);
}

static void put_entry(struct pixi_buf *b, const struct pixi_key *key)
{
    struct pixi_json_out w = pixi_json_out_init(b);

    pixi_json_open_object(&w);
    pixi_json_name(&w, "name");
    pixi_json_text(&w, key->name);
    put_filters(&w, "publish", &key->publish);
    put_filters(&w, "subscribe", &key->subscribe);
    put_rate(&w, "publishes_per_s", key->publishes_per_s);
    put_rate(&w, "publish_bytes_per_s", key->publish_bytes_per_s);
    pixi_json_name(&w, "created");
    pixi_json_text(&w, key->created);
    pixi_json_close_object(&w);
    pixi_buf_put_str(b, "\n");
}

static void put_words(struct pixi_buf *b, const char *name, const struct pixi_conf_strings *filters)
{
    pixi_buf_putf(b, "  %s", name);
    for (size_t i = 0; i < filters->count; i++)
        pixi_buf_putf(b, " %s", (const char *)filters->at[i].p);
    if (!filters->count)
        pixi_buf_put_str(b, " nothing");
}

static void put_row(struct pixi_buf *b, const struct pixi_key *key)
{
    pixi_buf_putf(b, "%-24s  %s", key->name, key->created);
    put_words(b, "publish", &key->publish);
    put_words(b, "subscribe", &key->subscribe);
    if (key->publishes_per_s)
        pixi_buf_putf(b, "  %llu messages/s", (unsigned long long)key->publishes_per_s);
    if (key->publish_bytes_per_s)
        pixi_buf_putf(b, "  %llu bytes/s", (unsigned long long)key->publish_bytes_per_s);
    pixi_buf_put_str(b, "\n");
}

/* A key a line. */
static int list(struct key *k)
{
    struct pixi_keys keys;
    struct pixi_buf b = pixi_buf_init(64 << 20);
    int rc = pixi_keys_load(&keys, k->settings.keys_path, PIXI_KEYS_MAY_BE_MISSING, &k->mistakes);

    for (size_t i = 0; rc == PIXI_OK && i < pixi_keys_count(&keys); i++)
        (k->is_json ? put_entry : put_row)(&b, pixi_keys_at(&keys, i));
    printf("%.*s", (int)b.len, b.len ? (const char *)b.bytes : "");
    if (rc == PIXI_OK)
        rc = b.err;
    pixi_buf_clear(&b);
    pixi_keys_clear(&keys);
    return rc;
}

static int revoke(struct key *k, const char *name)
{
    int rc = pixi_keys_revoke(k->settings.keys_path, name, &k->mistakes);

    if (rc == PIXI_OK)
        fprintf(stderr, "pixi-ws-server: %s: key of %s revoked\n", k->settings.keys_path, name);
    return rc;
}

static int run(struct key *k, int argc, char **argv)
{
    int at = 1, exit_code = read_options(k, argc, argv, &at), rc;
    const char *word = at < argc ? argv[at] : "", *name = at + 2 == argc ? argv[at + 1] : NULL;
    bool is_list = strcmp(word, "list") == 0 && at + 1 == argc;

    if (exit_code)
        return exit_code < 0 ? 0 : exit_code;
    if (!is_list && !(name && (strcmp(word, "add") == 0 || strcmp(word, "revoke") == 0)))
        return cli_usage_error(cli_command_of("key"), "expected add NAME, list or revoke NAME");
    rc = pixi_server_settings_load(&k->settings, k->config, &k->mistakes);
    if (rc == PIXI_OK)
        rc = is_list ? list(k) : *word == 'a' ? add(k, name) : revoke(k, name);
    fprintf(stderr, "%.*s", (int)k->mistakes.len, k->mistakes.len ? (const char *)k->mistakes.bytes : "");
    if (rc == PIXI_E_SETTINGS || rc == PIXI_E_SYS)
        return EXIT_SETTINGS;
    return rc == PIXI_OK ? 0 : EXIT_INTERNAL;
}

int cmd_key(struct app *app, int argc, char **argv)
{
    struct key k = {.mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX)};
    int exit_code;

    (void)app;
    pixi_server_settings_init(&k.settings);
    exit_code = run(&k, argc, argv);
    pixi_server_settings_clear(&k.settings);
    pixi_buf_clear(&k.mistakes);
    return exit_code;
}
