#include "client/settings.h"
#include "client/settings_proxy.h"
#include "client/settings_table.h"

#include "base/file.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

void pixi_settings_init(struct pixi_settings *s)
{
    *s = (struct pixi_settings){0};
    pixi_conf_init(&s->conf, &pixi_settings_table, s);
}

void pixi_settings_clear(struct pixi_settings *s)
{
    pixi_conf_clear(&s->conf);
    s->key = s->key_from = NULL;
}

/* A URL from outside waits until the settings' own are worked out, and is then put in their place. */
int pixi_settings_override(struct pixi_settings *s, const char *member, const char *text, const char *flag,
                           struct pixi_buf *mistakes)
{
    const char *own = s->url;
    struct pixi_conf_from *from = (struct pixi_conf_from *)pixi_conf_from(&s->conf, "url"), own_from = *from;
    int rc = pixi_conf_override(&s->conf, member, text, flag, mistakes);

    if (rc != PIXI_OK || strcmp(member, "url") != 0)
        return rc;
    s->given_url = s->url;
    s->given_by = flag;
    if (s->own)
        return PIXI_OK; /* one was put there before */
    s->url = own;
    *from = own_from;
    return PIXI_OK;
}

static const char *keep(struct pixi_settings *s, struct pixi_cur text)
{
    const char *out = pixi_arena_text(&s->conf.arena, text);

    if (!out)
        s->conf.err = PIXI_E_NOMEM;
    return out;
}

static enum pixi_conf_rank rank(const struct pixi_settings *s, const char *member)
{
    return pixi_conf_from(&s->conf, member)->rank;
}

static const char *const url_members[] = {"url", "urls", NULL};
static const char *const key_members[] = {"api_key", "api_key_file", "api_key_env", NULL};

static enum pixi_conf_rank top_rank(const struct pixi_settings *s, const char *const *members)
{
    enum pixi_conf_rank top = PIXI_CONF_DEFAULT;

    for (size_t i = 0; members[i]; i++)
        if (rank(s, members[i]) > top)
            top = rank(s, members[i]);
    return top;
}

/* Of members that stand for each other only those of the highest rank count: a key in the environment replaces the
 * file's key_file, --url replaces the file's urls. Two of one rank are a mistake. */
static const char *choose(struct pixi_settings *s, const char *const *members, struct pixi_buf *mistakes)
{
    enum pixi_conf_rank top = top_rank(s, members);
    const char *chosen = NULL;
    struct pixi_buf first = pixi_buf_init(8192);

    for (size_t i = 0; top != PIXI_CONF_DEFAULT && members[i]; i++) {
        if (rank(s, members[i]) != top) {
            pixi_conf_unset(&s->conf, members[i]);
            continue;
        }
        if (!chosen) {
            chosen = members[i];
            continue;
        }
        pixi_buf_reset(&first);
        pixi_conf_put_where(&s->conf, chosen, &first);
        pixi_conf_mistake(&s->conf, members[i], mistakes, "found beside %s (%.*s), expected only one of them",
                          chosen, (int)first.len, (const char *)first.bytes);
    }
    pixi_buf_clear(&first);
    return chosen;
}

static void take_endpoint(struct pixi_settings *s, struct pixi_cur url)
{
    int rc = pixi_url_parse(url, &s->endpoints[s->endpoint_count++], NULL);

    assert(rc == PIXI_OK); /* checked when it was read */
    (void)rc;
}

static void take_endpoints(struct pixi_settings *s)
{
    s->endpoint_count = 0;
    if (s->url)
        take_endpoint(s, pixi_cur_str(s->url));
    for (size_t i = 0; !s->url && i < s->urls.count; i++)
        take_endpoint(s, s->urls.at[i]);
}

/* The same program behind another path, or this machine by another of its names. */
static bool is_same_server(const struct pixi_url *a, const struct pixi_url *b)
{
    return a->is_tls == b->is_tls && a->port == b->port &&
           (strcmp(a->host, b->host) == 0 || (pixi_url_is_loopback(a) && pixi_url_is_loopback(b)));
}

/* The settings' own servers are remembered; the given URL stands in their place. */
static void put_given_url(struct pixi_settings *s, struct pixi_buf *mistakes)
{
    size_t size = s->endpoint_count * sizeof *s->own;

    if (!s->own && !(s->own = pixi_arena_take(&s->conf.arena, size + 1))) {
        s->conf.err = PIXI_E_NOMEM;
        return;
    }
    memcpy(s->own, s->endpoints, size);
    s->own_count = s->endpoint_count;
    s->own_rank = top_rank(s, url_members);
    pixi_conf_unset(&s->conf, "urls");
    pixi_conf_override(&s->conf, "url", s->given_url, s->given_by, mistakes);
    take_endpoints(s);
}

/* A key that stands beside the settings' own URLs, or in a place that counts for less, is for those and for no other. */
static void check_whose_key(struct pixi_settings *s)
{
    enum pixi_conf_rank key = top_rank(s, key_members);

    s->key_kept_for = NULL;
    if (!s->own_count || key == PIXI_CONF_DEFAULT || key > s->own_rank)
        return;
    for (size_t i = 0; i < s->own_count; i++)
        if (is_same_server(&s->endpoints[0], &s->own[i]))
            return;
    s->key_kept_for = s->own[0].authority;
}

static void choose_url(struct pixi_settings *s, struct pixi_buf *mistakes)
{
    bool is_named = pixi_conf_is_named(&s->conf, "url") || pixi_conf_is_named(&s->conf, "urls");
    const char *chosen = choose(s, url_members, mistakes);

    if (!chosen && !is_named && !s->given_url)
        pixi_conf_mistake(&s->conf, "url", mistakes,
                          "found none, expected \"url\" in " PIXI_SETTINGS_FILE
                          " (pixi-ws-client config init writes one), --url or PIXI_WS_URL");
    take_endpoints(s);
    if (s->given_url && !s->own)
        put_given_url(s, mistakes);
    if (s->given_url)
        check_whose_key(s);
}

/* One line break at the end is an editor's, not the key's. */
static struct pixi_cur strip_line_break(struct pixi_cur text)
{
    if (text.p != text.end && text.end[-1] == '\n')
        text.end--;
    if (text.p != text.end && text.end[-1] == '\r')
        text.end--;
    return text;
}

static bool is_open(const char *path, unsigned mode, char *what, size_t size)
{
    if (!pixi_file_is_open_to_others(mode))
        return false;
    snprintf(what, size, "%s is %s by others (mode %04o); chmod 600 %s", path,
             mode & 044 ? "readable" : "writable", mode, path);
    return true;
}

static void take_key(struct pixi_settings *s, const char *member, struct pixi_cur key,
                     struct pixi_buf *mistakes)
{
    struct pixi_conf_fault fault = {0};

    if (!pixi_settings_key_check(key, &fault))
        pixi_conf_mistake(&s->conf, member, mistakes, "found %s in %s, expected %s", fault.found, s->key_from,
                          PIXI_SETTINGS_KEY_EXPECTED);
    else
        s->key = keep(s, key);
}

static void read_key_file(struct pixi_settings *s, struct pixi_buf *mistakes)
{
    struct pixi_buf bytes = pixi_buf_init(4096);
    const char *path = pixi_conf_path(&s->conf, "api_key_file", s->api_key_file);
    char what[1024];
    unsigned mode = 0;
    int rc;

    if (!path)
        return;
    s->key_from = path;
    rc = pixi_file_read(path, &bytes, &mode);
    if (rc != PIXI_OK)
        pixi_conf_mistake(
            &s->conf, "api_key_file", mistakes,
            "found %s at %s, expected a file with the API key (pixi-ws-client config init writes one)",
            pixi_file_found(rc), path);
    else if (is_open(path, mode, what, sizeof what))
        pixi_conf_mistake(&s->conf, "api_key_file", mistakes, "%s", what);
    else
        take_key(s, "api_key_file", strip_line_break(pixi_buf_cur(&bytes)), mistakes);
    pixi_file_wipe(&bytes);
}

static void read_key_env(struct pixi_settings *s, struct pixi_buf *mistakes)
{
    const char *key = getenv(s->api_key_env);
    char from[300];

    if (!key || !*key) {
        pixi_conf_mistake(&s->conf, "api_key_env", mistakes,
                          "found no environment variable %s, expected the API key in it", s->api_key_env);
        return;
    }
    snprintf(from, sizeof from, "environment: %s", s->api_key_env);
    s->key_from = keep(s, pixi_cur_str(from));
    if (s->key_from)
        take_key(s, "api_key_env", pixi_cur_str(key), mistakes);
}

static void take_inline_key(struct pixi_settings *s)
{
    s->key = s->api_key;
    s->key_from = rank(s, "api_key") == PIXI_CONF_ENV ? "environment: PIXI_WS_API_KEY" : "api_key";
}

/* A file that holds the key must not be readable by others. */
static void check_own_mode(struct pixi_settings *s, struct pixi_buf *mistakes)
{
    char what[1024];

    if (rank(s, "api_key") == PIXI_CONF_FILE && is_open(s->conf.file, s->conf.mode, what, sizeof what))
        pixi_conf_mistake(&s->conf, "api_key", mistakes, "%s", what);
}

static void choose_key(struct pixi_settings *s, struct pixi_buf *mistakes)
{
    size_t before = s->conf.mistakes;

    check_own_mode(s, mistakes);
    choose(s, key_members, mistakes);
    if (s->conf.mistakes != before || s->wants_no_key || s->key_kept_for)
        return;
    if (s->api_key)
        take_inline_key(s);
    else if (s->api_key_file)
        read_key_file(s, mistakes);
    else if (s->api_key_env)
        read_key_env(s, mistakes);
    if (!s->key)
        s->key_from = NULL;
}

static void check_order(struct pixi_settings *s, const char *member, const char *other, bool is_right,
                        uint64_t least, struct pixi_buf *mistakes)
{
    if (!is_right)
        pixi_conf_mistake(&s->conf, member, mistakes, "found less than %s, expected %llu at least", other,
                          (unsigned long long)least);
}

/* Paths as they are to be opened, pins as bytes. A key without its certificate means nothing. */
static void take_tls(struct pixi_settings *s, struct pixi_buf *mistakes)
{
    s->tls_files.ca_file = pixi_conf_path(&s->conf, "tls.ca_file", s->tls.ca_file);
    s->tls_files.cert_file = pixi_conf_path(&s->conf, "tls.cert_file", s->tls.cert_file);
    s->tls_files.key_file = pixi_conf_path(&s->conf, "tls.key_file", s->tls.key_file);
    s->outbox_path = pixi_conf_path(&s->conf, "outbox.path", s->outbox.path);
    s->metrics_path = pixi_conf_path(&s->conf, "daemon.metrics_file", s->daemon.metrics_file);
    for (size_t i = 0; i < s->tls.pin_sha256.count; i++)
        pixi_settings_read_pin(s->tls.pin_sha256.at[i], s->pins[i]);
    if (s->mqtt.will_payload && !s->mqtt.will_topic)
        pixi_conf_mistake(&s->conf, "mqtt.will_payload", mistakes,
                          "found without mqtt.will_topic, expected both");
    if (s->tls.key_file && !s->tls.cert_file)
        pixi_conf_mistake(&s->conf, "tls.key_file", mistakes, "found without tls.cert_file, expected both");
}

static void check_orders(struct pixi_settings *s, struct pixi_buf *mistakes)
{
    check_order(s, "reconnect.max_ms", "reconnect.initial_ms", s->reconnect.max_ms >= s->reconnect.initial_ms,
                s->reconnect.initial_ms, mistakes);
    check_order(s, "limits.queue_bytes", "limits.message_bytes",
                s->limits.queue_bytes >= s->limits.message_bytes, s->limits.message_bytes, mistakes);
}

int pixi_settings_resolve(struct pixi_settings *s, struct pixi_buf *mistakes)
{
    size_t before = s->conf.mistakes;

    s->endpoint_count = 0;
    s->key = s->key_from = NULL;
    memset(s->proxies, 0, sizeof s->proxies);
    choose_url(s, mistakes);
    choose_key(s, mistakes);
    pixi_settings_choose_proxies(s, mistakes);
    check_orders(s, mistakes);
    take_tls(s, mistakes);
    if (s->conf.err != PIXI_OK)
        return s->conf.err;
    return s->conf.mistakes == before ? PIXI_OK : PIXI_E_SETTINGS;
}

static int finish(struct pixi_settings *s, struct pixi_buf *mistakes)
{
    if (s->conf.err == PIXI_OK && !s->conf.is_broken)
        pixi_settings_resolve(s, mistakes);
    if (s->conf.err != PIXI_OK)
        return s->conf.err;
    return s->conf.mistakes ? PIXI_E_SETTINGS : PIXI_OK;
}

int pixi_settings_load_text(struct pixi_settings *s, struct pixi_cur text, struct pixi_buf *mistakes)
{
    pixi_conf_read_bytes(&s->conf, "settings", text, mistakes);
    return finish(s, mistakes);
}

int pixi_settings_read(struct pixi_settings *s, const char *path, struct pixi_buf *mistakes)
{
    const char *file =
        pixi_conf_find_file(path, "PIXI_WS_SETTINGS", PIXI_SETTINGS_FILE, "/" PIXI_SETTINGS_FILE);

    pixi_conf_env(&s->conf, mistakes);
    if (file)
        pixi_conf_read(&s->conf, file, mistakes);
    if (s->conf.err != PIXI_OK)
        return s->conf.err;
    return s->conf.mistakes ? PIXI_E_SETTINGS : PIXI_OK;
}

int pixi_settings_load(struct pixi_settings *s, const char *path, struct pixi_buf *mistakes)
{
    pixi_settings_read(s, path, mistakes); /* what is wrong is told with what is found wrong next */
    return finish(s, mistakes);
}

int pixi_settings_check_bytes(struct pixi_settings *s, const char *name, struct pixi_cur text,
                              struct pixi_buf *mistakes)
{
    static const char *const keys[] = {"api_key", "api_key_file", "api_key_env", NULL};

    pixi_conf_read_bytes(&s->conf, name, text, mistakes);
    if (s->conf.err == PIXI_OK && !s->conf.is_broken) {
        choose_url(s, mistakes);
        choose(s, keys, mistakes);
        check_orders(s, mistakes);
        take_tls(s, mistakes);
    }
    if (s->conf.err != PIXI_OK)
        return s->conf.err;
    return s->conf.mistakes ? PIXI_E_SETTINGS : PIXI_OK;
}
