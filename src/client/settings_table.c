/* settings_table.c -- which members the settings have, and what each may be. */
#include "client/settings_table.h"
#include "client/settings_allow.h"
#include "client/settings_proxy.h"

#include "base/base64.h"
#include "base/topic.h"
#include "base/utf8.h"

enum {
    HOUR_MS = 3600000,
    TEN_MINUTES_MS = 600000,
    SUBSCRIPTIONS_MAX = 64,
    NO_PROXY_MAX = 64,
    CLIENT_ID_MAX = 128,
    ALLOW_MAX = 64
};
#define TEN_YEARS_S 315360000

static bool check_url(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    return pixi_url_parse(value, NULL, fault) == PIXI_OK;
}

static bool check_filter(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    (void)fault;
    return pixi_filter_check(value) == PIXI_OK;
}

static bool check_topic(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    (void)fault;
    return pixi_topic_check(value) == PIXI_OK;
}

static bool check_text(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    size_t len = pixi_cur_left(&value);

    (void)fault;
    return !memchr(value.p, 0, len) && pixi_utf8_is_valid(value.p, len);
}

static bool is_visible(struct pixi_cur c)
{
    while (c.p != c.end && *c.p > ' ' && *c.p < 0x7f)
        c.p++;
    return c.p == c.end;
}

static bool check_id(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    (void)fault;
    return is_visible(value);
}

static bool check_env_name(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz", all[] = "0123456789";

    fault->found = "something else"; /* a key, perhaps: it is not shown */
    if (value.p == value.end || !strchr(first, *value.p) || strncmp((const char *)value.p, "pk_", 3) == 0)
        return false;
    for (; value.p != value.end; value.p++)
        if (!strchr(first, *value.p) && !strchr(all, *value.p))
            return false;
    return true;
}

bool pixi_settings_key_check(struct pixi_cur key, struct pixi_conf_fault *fault)
{
    size_t len = pixi_cur_left(&key);

    if (len == 0)
        fault->found = "nothing";
    else if (len < PIXI_SETTINGS_KEY_MIN)
        fault->found = "a key that is too short";
    else if (len > PIXI_SETTINGS_KEY_MAX)
        fault->found = "a key that is too long";
    else if (!is_visible(key))
        fault->found = "a key with a space, a line break or something that is not ASCII in it";
    else
        return true;
    return false;
}

bool pixi_settings_read_pin(struct pixi_cur text, uint8_t out[PIXI_TLS_PIN])
{
    uint8_t bytes[PIXI_TLS_PIN + 3];
    size_t len;

    if (pixi_cur_left(&text) != 44 || pixi_base64_decode(PIXI_BASE64_STD, text, bytes, &len) != PIXI_OK)
        return false;
    memcpy(out, bytes, PIXI_TLS_PIN);
    return len == PIXI_TLS_PIN;
}

static bool check_pin(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    uint8_t pin[PIXI_TLS_PIN];

    (void)fault;
    return pixi_settings_read_pin(value, pin);
}

static bool check_proxy(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    return pixi_proxy_parse(value, NULL, fault) == PIXI_OK;
}

static bool check_proxy_user(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    fault->found = "something else"; /* a password may stand behind the colon */
    return is_visible(value) && !memchr(value.p, ':', pixi_cur_left(&value));
}

static bool check_rule(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    (void)fault;
    return pixi_proxy_rule_is_valid(value);
}

static bool check_socket(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    (void)fault;
    return *value.p == '/';
}

static const char url_expected[] = "ws://HOST[:PORT][/PATH] or wss://...";
static const char *const dialects[] = {"pixi.v1", "mqtt", NULL}; /* enum pixi_settings_dialect */
static const char *const when_full[] = {"refuse", "drop_oldest", "drop_lowest_priority", NULL};
static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL}; /* enum pixi_log_level */
static const char *const log_formats[] = {"text", "json", NULL}; /* enum pixi_log_format */
static const char *const tls_versions[] = {"1.2", "1.3", NULL};  /* enum pixi_tls_version */

#define AT(member) offsetof(struct pixi_settings, member)
#define TEXT(name, lo, hi)                                                                                   \
    .path = #name, .kind = PIXI_CONF_STRING, .offset = AT(name), .min = (lo), .max = (hi)
#define COUNT(name, lo, hi, value, what)                                                                     \
    {                                                                                                        \
        .path = #name, .kind = PIXI_CONF_UINT, .offset = AT(name), .min = (lo), .max = (hi),                 \
        .initial = (value), .unit = (what)                                                                   \
    }

/* In the order of `config show`, of the schema and of docs/settings.md. */
static const struct pixi_conf_row rows[] = {
    {.path = "$schema",
     .kind = PIXI_CONF_STRING,
     .flags = PIXI_CONF_NO_ENV,
     .offset = AT(schema),
     .max = 4096,
     .expected = "the path of the schema, for editors"},
    {TEXT(url, 1, PIXI_URL_MAX), .expected = url_expected, .check = check_url},
    {.path = "urls",
     .kind = PIXI_CONF_STRINGS,
     .offset = AT(urls),
     .min = 1,
     .max = PIXI_SETTINGS_URLS_MAX,
     .expected = url_expected,
     .check = check_url},
    {TEXT(api_key, 0, UINT64_MAX), .flags = PIXI_CONF_SECRET, .expected = PIXI_SETTINGS_KEY_EXPECTED,
     .check = pixi_settings_key_check},
    {TEXT(api_key_file, 1, 4095), .expected = "the path of a file with the key in it"},
    {TEXT(api_key_env, 1, 255), .expected = "the name of an environment variable: letters, digits and _",
     .check = check_env_name},
    {.path = "dialect",
     .kind = PIXI_CONF_ENUM,
     .offset = AT(dialect),
     .initial = "\"pixi.v1\"",
     .choices = dialects},
    {TEXT(client_id, 1, CLIENT_ID_MAX), .expected = "1 .. 128 bytes", .check = check_text},
    {.path = "allow_plaintext", .kind = PIXI_CONF_BOOL, .offset = AT(allow_plaintext), .initial = "false"},
    {.path = "subscriptions",
     .kind = PIXI_CONF_STRINGS,
     .offset = AT(subscriptions),
     .max = SUBSCRIPTIONS_MAX,
     .initial = "[]",
     .expected = "a topic filter such as event/# (MQTT 5 §4.7)",
     .check = check_filter},
    {TEXT(tls.ca_file, 1, 4095), .expected = "the path of a PEM file with the certificates to trust"},
    {TEXT(tls.cert_file, 1, 4095), .expected = "the path of a PEM file with this client's certificate"},
    {TEXT(tls.key_file, 1, 4095), .expected = "the path of a PEM file with the certificate's private key"},
    {TEXT(tls.server_name, 1, PIXI_URL_HOST_MAX), .expected = "the name that the server's certificate is for",
     .check = check_id},
    {.path = "tls.min_version",
     .kind = PIXI_CONF_ENUM,
     .offset = AT(tls.min_version),
     .initial = "\"1.2\"",
     .choices = tls_versions},
    {.path = "tls.pin_sha256",
     .kind = PIXI_CONF_STRINGS,
     .offset = AT(tls.pin_sha256),
     .max = PIXI_TLS_PINS,
     .initial = "[]",
     .expected = "the SHA-256 of a public key in base64 (44 characters)",
     .check = check_pin},
    {TEXT(proxy.url, 1, PIXI_URL_MAX), .flags = PIXI_CONF_USERINFO,
     .expected = "http://HOST:PORT or socks5h://HOST:PORT", .check = check_proxy},
    {TEXT(proxy.username, 1, PIXI_PROXY_WORD_MAX),
     .expected = "1 .. 255 visible ASCII characters, no spaces and no colon", .check = check_proxy_user},
    {TEXT(proxy.password_file, 1, 4095), .expected = "the path of a file with the password in it"},
    {.path = "proxy.no_proxy",
     .kind = PIXI_CONF_STRINGS,
     .offset = AT(proxy.no_proxy),
     .max = NO_PROXY_MAX,
     .initial = "[]",
     .expected = "a host, .DOMAIN, address, network such as 10.0.0.0/8, or *; perhaps with :PORT",
     .check = check_rule},
    COUNT(mqtt.version, 4, 5, "5", NULL),
    COUNT(mqtt.qos, 0, 2, "1", NULL),
    {.path = "mqtt.clean_start", .kind = PIXI_CONF_BOOL, .offset = AT(mqtt.clean_start), .initial = "false"},
    COUNT(mqtt.session_expiry_s, 0, UINT32_MAX, "300", "seconds"),
    {TEXT(mqtt.username, 1, 1024), .expected = "1 .. 1024 bytes", .check = check_text},
    {TEXT(mqtt.reply_topic, 1, 1024), .initial = "\"reply\"", .expected = "a topic (MQTT 5 §4.7)",
     .check = check_topic},
    {TEXT(mqtt.will_topic, 1, 65535), .expected = "a topic (MQTT 5 §4.7)", .check = check_topic},
    {TEXT(mqtt.will_payload, 0, 65535), .expected = "a text of at most 65535 bytes"},
    COUNT(mqtt.will_qos, 0, 2, "1", NULL),
    {.path = "mqtt.will_retain", .kind = PIXI_CONF_BOOL, .offset = AT(mqtt.will_retain), .initial = "false"},
    COUNT(mqtt.will_delay_s, 0, UINT32_MAX, "0", "seconds"),
    COUNT(timeouts.connect_ms, 1, TEN_MINUTES_MS, "5000", "milliseconds"),
    COUNT(timeouts.tls_ms, 1, TEN_MINUTES_MS, "5000", "milliseconds"),
    COUNT(timeouts.upgrade_ms, 1, TEN_MINUTES_MS, "5000", "milliseconds"),
    COUNT(timeouts.request_ms, 1, HOUR_MS, "30000", "milliseconds"),
    COUNT(timeouts.close_ms, 1, TEN_MINUTES_MS, "3000", "milliseconds"),
    COUNT(keepalive.interval_ms, 1, HOUR_MS, "30000", "milliseconds"),
    COUNT(keepalive.timeout_ms, 1, HOUR_MS, "10000", "milliseconds"),
    COUNT(reconnect.initial_ms, 1, HOUR_MS, "500", "milliseconds"),
    COUNT(reconnect.max_ms, 1, HOUR_MS, "30000", "milliseconds"),
    {.path = "compression", .kind = PIXI_CONF_BOOL, .offset = AT(compression), .initial = "false"},
    COUNT(limits.message_bytes, 1024, 1 << 30, "1048576", "bytes"),
    COUNT(limits.queue_bytes, 1024, 1ull << 32, "16777216", "bytes"),
    {TEXT(outbox.path, 1, 4095), .flags = PIXI_CONF_AT_START, .initial = "\"/var/lib/pixi-ws-client/outbox\"",
     .expected = "the path of a folder"},
    COUNT(outbox.bytes, 65536, 1ull << 40, "268435456", "bytes"),
    COUNT(outbox.age_s, 0, TEN_YEARS_S, "604800", "seconds"),
    COUNT(outbox.late_s, 1, TEN_YEARS_S, "60", "seconds"),
    {.path = "outbox.when_full",
     .kind = PIXI_CONF_ENUM,
     .flags = PIXI_CONF_AT_START,
     .offset = AT(outbox.when_full),
     .initial = "\"refuse\"",
     .choices = when_full},
    {TEXT(daemon.socket, 2, 107), .flags = PIXI_CONF_AT_START, .initial = "\"/run/pixi-ws/pixi.sock\"",
     .expected = "the path of a socket, from / on, at most 107 bytes", .check = check_socket},
    {TEXT(daemon.group, 1, 255), .flags = PIXI_CONF_AT_START, .initial = "\"pixi\"",
     .expected = "the name of a group of users"},
    {.path = "daemon.allow",
     .kind = PIXI_CONF_OBJECTS,
     .offset = AT(daemon.allow),
     .max = ALLOW_MAX,
     .initial = "[]",
     .items = &pixi_settings_allow_table},
    COUNT(daemon.connections, 1, 100000, "2000", "connections"),
    COUNT(daemon.calls, 1, 10000, "256", "calls"),
    COUNT(daemon.queue_bytes, 65536, 1ull << 32, "4194304", "bytes"),
    COUNT(daemon.drain_ms, 0, TEN_MINUTES_MS, "5000", "milliseconds"),
    {.path = "daemon.improve", .kind = PIXI_CONF_BOOL, .offset = AT(daemon.improve), .initial = "true"},
    COUNT(daemon.probe_s, 1, 86400, "60", "seconds"),
    {TEXT(daemon.metrics_file, 1, 4095),
     .expected = "the path of a file for Prometheus, such as pixi_ws.prom"},
    {.path = "daemon.log_level",
     .kind = PIXI_CONF_ENUM,
     .offset = AT(daemon.log_level),
     .initial = "\"info\"",
     .choices = log_levels},
    {.path = "daemon.log_format",
     .kind = PIXI_CONF_ENUM,
     .offset = AT(daemon.log_format),
     .choices = log_formats},
};

const struct pixi_conf_table pixi_settings_table = {.rows = rows,
                                                    .count = sizeof rows / sizeof *rows,
                                                    .size = sizeof(struct pixi_settings),
                                                    .env_prefix = "PIXI_WS_"};
