#include "server/settings.h"

#include "base/file.h"
#include "base/topic.h"
#include "net/addr.h"
#include "server/keys.h"

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

enum { HOUR_MS = 3600000, DAY_MS = 24 * HOUR_MS, TEN_MINUTES_MS = 600000, YEAR_S = 366 * 24 * 3600 };

static bool is_port(const char *text)
{
    return *text && !text[strspn(text, "0123456789")] && strtoul(text, NULL, 10) <= UINT16_MAX;
}

static bool check_listen(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    const char *text = (const char *)value.p, *colon = strrchr(text, ':');
    struct pixi_addr addr;

    if (colon && !is_port(colon + 1))
        fault->expected = "a port of 0 .. 65535 behind the address";
    else if (colon && strspn(text, "0123456789.xX") == (size_t)(colon - text))
        fault->expected = "an IPv4 address in full, such as 127.0.0.1:8768";
    return pixi_addr_parse(text, &addr) == PIXI_OK;
}

static bool check_filter(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    (void)fault;
    return pixi_filter_check(value) == PIXI_OK && pixi_cur_equals(pixi_filter_inner(value), value);
}

/* ":8768", or nothing. */
static bool is_port_part(const char *text)
{
    return !*text ||
           (*text == ':' && text[1] && !text[1 + strspn(text + 1, "0123456789")] && strlen(text) <= 6);
}

/* RFC 6454 §6.2, as browsers send it: scheme, host in lower case, port unless it is the scheme's. */
static bool check_origin(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    static const char host_bytes[] = "abcdefghijklmnopqrstuvwxyz0123456789-._",
                      v6_bytes[] = "0123456789abcdef:.";
    const char *text = (const char *)value.p, *host;
    size_t len;

    (void)fault;
    if (strcmp(text, "*") == 0)
        return true;
    host = strstr(text, "://");
    if (!host || host == text ||
        strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+-.") != (size_t)(host - text))
        return false;
    host += 3;
    if (*host == '[') {
        len = strspn(host + 1, v6_bytes);
        return len && host[1 + len] == ']' && is_port_part(host + len + 2);
    }
    len = strspn(host, host_bytes);
    return len && is_port_part(host + len);
}

#define AT(member) offsetof(struct pixi_server_settings, member)
#define COUNT_AS(bits, name, lo, hi, value, what)                                                            \
    {                                                                                                        \
        .path = #name, .kind = PIXI_CONF_UINT, .flags = (bits), .offset = AT(name), .min = (lo),             \
        .max = (hi), .initial = (value), .unit = (what)                                                      \
    }
#define COUNT(name, lo, hi, value, what) COUNT_AS(0, name, lo, hi, value, what)
#define ITEM(name, lo, hi, value, what)                                                                      \
    {                                                                                                        \
        .path = #name, .kind = PIXI_CONF_UINT, .offset = offsetof(struct pixi_server_history, name),         \
        .min = (lo), .max = (hi), .initial = (value), .unit = (what)                                         \
    }

#define PATH(name, what)                                                                                     \
    {                                                                                                        \
        .path = #name, .kind = PIXI_CONF_STRING, .offset = AT(name), .min = 1, .max = 4095,                  \
        .expected = (what)                                                                                   \
    }

static const char *const tls_versions[] = {"1.2", "1.3", NULL}; /* enum pixi_tls_version */

static const char *const log_formats[] = {"text", "json", NULL}; /* enum pixi_log_format */
static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL}; /* enum pixi_log_level */

static const struct pixi_conf_row history_rows[] = {
    {.path = "filter",
     .kind = PIXI_CONF_STRING,
     .flags = PIXI_CONF_REQUIRED | PIXI_CONF_UNIQUE,
     .offset = offsetof(struct pixi_server_history, filter),
     .min = 1,
     .max = PIXI_TOPIC_MAX,
     .expected = "a topic filter such as event/# (MQTT 5 §4.7), without $share/",
     .check = check_filter},
    ITEM(max_messages, 1, 1000000000, "10000", "messages"),
    ITEM(max_bytes, 1, 1ull << 40, "16777216", "bytes"),
    ITEM(max_age_s, 1, YEAR_S, "3600", "seconds"),
};

static const struct pixi_conf_table history_table = {
    .rows = history_rows,
    .count = sizeof history_rows / sizeof *history_rows,
    .size = sizeof(struct pixi_server_history),
};

/* In the order of `config show`, of the schema and of docs/settings.md. */
static const struct pixi_conf_row rows[] = {
    {.path = "$schema",
     .kind = PIXI_CONF_STRING,
     .flags = PIXI_CONF_NO_ENV,
     .offset = AT(schema),
     .max = 4096,
     .expected = "the path of the schema, for editors"},
    {.path = "listen",
     .kind = PIXI_CONF_STRINGS,
     .flags = PIXI_CONF_AT_START,
     .offset = AT(listen),
     .min = 1,
     .max = PIXI_SERVER_LISTEN_MAX,
     .initial = "[\"127.0.0.1:8768\"]",
     .expected = "ADDRESS:PORT such as 127.0.0.1:8768 or [::1]:8768",
     .check = check_listen},
    {.path = "tls.listen",
     .kind = PIXI_CONF_STRINGS,
     .flags = PIXI_CONF_AT_START,
     .offset = AT(tls.listen),
     .max = PIXI_SERVER_LISTEN_MAX,
     .initial = "[]",
     .expected = "ADDRESS:PORT such as 0.0.0.0:8769 or [::]:8769",
     .check = check_listen},
    PATH(tls.cert_file, "the path of a PEM file with the server's certificate and what chains it"),
    PATH(tls.key_file, "the path of a PEM file with the certificate's private key"),
    PATH(tls.client_ca_file, "the path of a PEM file: clients must have a certificate that it signed"),
    {.path = "tls.min_version",
     .kind = PIXI_CONF_ENUM,
     .offset = AT(tls.min_version),
     .initial = "\"1.2\"",
     .choices = tls_versions},
    {.path = "metrics.listen",
     .kind = PIXI_CONF_STRINGS,
     .flags = PIXI_CONF_AT_START,
     .offset = AT(metrics.listen),
     .max = PIXI_SERVER_LISTEN_MAX,
     .initial = "[]",
     .expected = "ADDRESS:PORT such as 127.0.0.1:8770 or [::1]:8770",
     .check = check_listen},
    {.path = "mqtt.listen",
     .kind = PIXI_CONF_STRINGS,
     .flags = PIXI_CONF_AT_START,
     .offset = AT(mqtt.listen),
     .max = PIXI_SERVER_LISTEN_MAX,
     .initial = "[]",
     .expected = "ADDRESS:PORT such as 127.0.0.1:1883 or [::1]:1883",
     .check = check_listen},
    {.path = "mqtt.tls_listen",
     .kind = PIXI_CONF_STRINGS,
     .flags = PIXI_CONF_AT_START,
     .offset = AT(mqtt.tls_listen),
     .max = PIXI_SERVER_LISTEN_MAX,
     .initial = "[]",
     .expected = "ADDRESS:PORT such as 0.0.0.0:8883 or [::]:8883",
     .check = check_listen},
    {.path = "insecure",
     .kind = PIXI_CONF_BOOL,
     .flags = PIXI_CONF_AT_START,
     .offset = AT(insecure),
     .initial = "false"},
    {.path = "keys_file",
     .kind = PIXI_CONF_STRING,
     .offset = AT(keys_file),
     .min = 1,
     .max = 4095,
     .initial = "\"pixi_ws_server.keys\"",
     .expected = "the path of the file with the API keys"},
    {.path = "page",
     .kind = PIXI_CONF_STRING,
     .flags = PIXI_CONF_AT_START,
     .offset = AT(page),
     .min = 1,
     .max = 4095,
     .expected = "the path of the folder with the built page, such as web/dist"},
    {.path = "data",
     .kind = PIXI_CONF_STRING,
     .flags = PIXI_CONF_AT_START,
     .offset = AT(data),
     .min = 1,
     .max = 4000,
     .expected = "the path of a folder"},
    {.path = "origins",
     .kind = PIXI_CONF_STRINGS,
     .offset = AT(origins),
     .max = PIXI_SERVER_ORIGINS_MAX,
     .initial = "[]",
     .expected = "an origin such as https://example.org or http://localhost:8080, in lower case, or \"*\"",
     .check = check_origin},
    {.path = "history",
     .kind = PIXI_CONF_OBJECTS,
     .flags = PIXI_CONF_AT_START,
     .offset = AT(history),
     .max = PIXI_SERVER_HISTORY_MAX,
     .initial = "[{\"filter\": \"#\"}]",
     .items = &history_table},
    COUNT(limits.connections, 1, 1000000, "10000", "connections"),
    COUNT(limits.connections_per_address, 1, 1000000, "1000", "connections"),
    COUNT(limits.handshakes, 1, 1000000, "1000", "connections"),
    COUNT(limits.head_bytes, 1024, 65536, "8192", "bytes"),
    COUNT(limits.head_fields, 16, 64, "64", "header fields"),
    COUNT(limits.handshake_ms, 1, TEN_MINUTES_MS, "5000", "milliseconds"),
    COUNT(limits.message_bytes, 1024, 1 << 30, "1048576", "bytes"),
    COUNT(limits.message_ms, 0, HOUR_MS, "60000", "milliseconds"),
    COUNT(limits.queue_bytes, 1024, 1ull << 32, "8388608", "bytes"),
    COUNT(limits.stall_ms, 0, HOUR_MS, "30000", "milliseconds"),
    COUNT(limits.idle_ms, 0, DAY_MS, "3600000", "milliseconds"),
    COUNT(limits.subscriptions, 1, 1000000, "1000", "subscriptions"),
    COUNT(limits.calls, 1, 1000000, "2000", "calls"),
    COUNT(limits.requests, 1, 1000000, "1000", "requests"),
    COUNT(limits.publishes_per_s, 0, PIXI_KEYS_PUBLISHES_MAX, "0", "messages"),
    COUNT(limits.publish_bytes_per_s, 0, PIXI_KEYS_BYTES_MAX, "0", "bytes"),
    COUNT_AS(PIXI_CONF_AT_START, limits.retained_count, 1, 1000000000, "100000", "messages"),
    COUNT_AS(PIXI_CONF_AT_START, limits.retained_bytes, 1024, 1ull << 40, "268435456", "bytes"),
    COUNT(limits.sessions, 1, 1000000, "10000", "sessions"),
    COUNT(limits.session_expiry_s, 0, YEAR_S, "604800", "seconds"),
    COUNT_AS(PIXI_CONF_AT_START, limits.session_messages, 1, 1000000000, "100000", "messages"),
    COUNT_AS(PIXI_CONF_AT_START, limits.session_bytes, 1024, 1ull << 40, "67108864", "bytes"),
    COUNT_AS(PIXI_CONF_AT_START, limits.inflight, 1, 1000, "100", "messages"),
    COUNT(limits.topic_aliases, 0, 1000, "32", "topic aliases"),
    COUNT(keepalive.interval_ms, 1, HOUR_MS, "30000", "milliseconds"),
    COUNT(keepalive.timeout_ms, 1, HOUR_MS, "10000", "milliseconds"),
    COUNT(keepalive.mqtt_max_s, 0, 65535, "60", "seconds"),
    {.path = "compression.enabled",
     .kind = PIXI_CONF_BOOL,
     .offset = AT(compression.enabled),
     .initial = "false"},
    COUNT(compression.min_bytes, 1, 1 << 30, "512", "bytes"),
    COUNT(compression.level, 1, 9, "3", NULL),
    {.path = "log.format", .kind = PIXI_CONF_ENUM, .offset = AT(log.format), .choices = log_formats},
    {.path = "log.level",
     .kind = PIXI_CONF_ENUM,
     .offset = AT(log.level),
     .initial = "\"info\"",
     .choices = log_levels},
    COUNT(drain_ms, 0, TEN_MINUTES_MS, "5000", "milliseconds"),
    {.path = "workers",
     .kind = PIXI_CONF_UINT,
     .flags = PIXI_CONF_AT_START,
     .offset = AT(workers),
     .min = 1,
     .max = 1,
     .initial = "1",
     .expected = "1: more workers are not built yet"},
};

const struct pixi_conf_table pixi_server_settings_table = {.rows = rows,
                                                           .count = sizeof rows / sizeof *rows,
                                                           .size = sizeof(struct pixi_server_settings),
                                                           .env_prefix = "PIXI_WS_SERVER_"};

void pixi_server_settings_init(struct pixi_server_settings *s)
{
    *s = (struct pixi_server_settings){0};
    pixi_conf_init(&s->conf, &pixi_server_settings_table, s);
}

void pixi_server_settings_clear(struct pixi_server_settings *s)
{
    pixi_conf_clear(&s->conf);
}

int pixi_server_settings_override(struct pixi_server_settings *s, const char *member, const char *text,
                                  const char *flag, struct pixi_buf *mistakes)
{
    return pixi_conf_override(&s->conf, member, text, flag, mistakes);
}

static void take_tls(struct pixi_server_settings *s, struct pixi_buf *mistakes)
{
    static const char without_files[] =
        "found without tls.cert_file and tls.key_file, expected both beside it";

    s->tls_files.cert_file = pixi_conf_path(&s->conf, "tls.cert_file", s->tls.cert_file);
    s->tls_files.key_file = pixi_conf_path(&s->conf, "tls.key_file", s->tls.key_file);
    s->tls_files.client_ca_file = pixi_conf_path(&s->conf, "tls.client_ca_file", s->tls.client_ca_file);
    if (s->tls.cert_file && s->tls.key_file)
        return;
    if (s->tls.listen.count)
        pixi_conf_mistake(&s->conf, "tls.listen", mistakes, "%s", without_files);
    if (s->mqtt.tls_listen.count)
        pixi_conf_mistake(&s->conf, "mqtt.tls_listen", mistakes, "%s", without_files);
}

/* TLS apart, only this machine may reach what is listened to, unless the settings say so. */
static void check_listeners(struct pixi_server_settings *s, const char *member,
                            const struct pixi_conf_strings *texts, const char *instead,
                            struct pixi_buf *mistakes)
{
    struct pixi_addr addr;

    for (size_t i = 0; !s->insecure && i < texts->count; i++) {
        if (pixi_addr_parse((const char *)texts->at[i].p, &addr) != PIXI_OK || pixi_addr_is_loopback(&addr))
            continue;
        pixi_conf_mistake_at(&s->conf, member, i, mistakes,
                             "found \"%s\", which other machines reach without TLS, expected a loopback "
                             "address%s or \"insecure\": true (--insecure)",
                             (const char *)texts->at[i].p, instead);
    }
}

static void check_queue(struct pixi_server_settings *s, struct pixi_buf *mistakes)
{
    if (s->limits.queue_bytes < s->limits.message_bytes)
        pixi_conf_mistake(&s->conf, "limits.queue_bytes", mistakes,
                          "found less than limits.message_bytes, expected %llu at least",
                          (unsigned long long)s->limits.message_bytes);
}

int pixi_server_settings_load(struct pixi_server_settings *s, const char *path, struct pixi_buf *mistakes)
{
    const char *file = pixi_conf_find_file(path, "PIXI_WS_SERVER_SETTINGS", PIXI_SERVER_SETTINGS_FILE,
                                           "/" PIXI_SERVER_SETTINGS_FILE);

    pixi_conf_env(&s->conf, mistakes);
    if (file)
        pixi_conf_read(&s->conf, file, mistakes);
    if (s->conf.err == PIXI_OK && !s->conf.is_broken) {
        s->keys_path = pixi_conf_path(&s->conf, "keys_file", s->keys_file);
        s->page_path = pixi_conf_path(&s->conf, "page", s->page);
        s->data_path = pixi_conf_path(&s->conf, "data", s->data);
        check_listeners(s, "listen", &s->listen, ", tls.listen,", mistakes);
        check_listeners(s, "mqtt.listen", &s->mqtt.listen, ", mqtt.tls_listen,", mistakes);
        check_listeners(s, "metrics.listen", &s->metrics.listen, "", mistakes);
        check_queue(s, mistakes);
        take_tls(s, mistakes);
    }
    if (s->conf.err != PIXI_OK)
        return s->conf.err;
    return s->conf.mistakes ? PIXI_E_SETTINGS : PIXI_OK;
}
