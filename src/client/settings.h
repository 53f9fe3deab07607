/* settings.h -- config/websocket_settings.json: what a client connects to, as whom, and how patiently.
 *
 *     struct pixi_settings s;
 *     struct pixi_buf mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);
 *     pixi_settings_init(&s);
 *     if (url)
 *         pixi_settings_override(&s, "url", url, "--url", &mistakes);
 *     rc = pixi_settings_load(&s, path, &mistakes);
 *
 * On an error mistakes holds one line for each mistake. docs/settings.md explains every member. */
#ifndef PIXI_CLIENT_SETTINGS_H
#define PIXI_CLIENT_SETTINGS_H

#include "base/conf.h"
#include "client/url.h"
#include "net/proxy.h"
#include "net/tls.h"

#define PIXI_SETTINGS_FILE "config/websocket_settings.json" /* below the working directory, then below / */

enum {
    PIXI_SETTINGS_URLS_MAX = 8,
    PIXI_SETTINGS_KEY_MIN = 16, /* characters of an API key */
    PIXI_SETTINGS_KEY_MAX = 512,
};

enum pixi_settings_dialect { PIXI_SETTINGS_PIXI_V1, PIXI_SETTINGS_MQTT };

/* What of the daemon's callers may do what. */
struct pixi_settings_allow {
    uint64_t uid, gid;                           /* PIXI_SETTINGS_ANYBODY: not by this */
    struct pixi_conf_strings publish, subscribe; /* checked filters */
    uint64_t outbox_bytes;                       /* 0: no ceiling of his own */
};

#define PIXI_SETTINGS_ANYBODY UINT32_MAX

enum pixi_settings_when_full {
    PIXI_SETTINGS_REFUSE,
    PIXI_SETTINGS_DROP_OLDEST,
    PIXI_SETTINGS_DROP_LOWEST,
};

/* Every pointer is borrowed from conf and valid until pixi_settings_clear. */
struct pixi_settings {
    /* the members as they were given; url, urls and the key members are worked out below */
    const char *schema; /* "$schema": for editors */
    const char *url;
    struct pixi_conf_strings urls;
    const char *api_key, *api_key_file, *api_key_env;
    unsigned dialect;      /* enum pixi_settings_dialect */
    const char *client_id; /* NULL: one is made up, and its session ends with the program */
    bool allow_plaintext;
    struct pixi_conf_strings subscriptions; /* checked filters */
    struct {
        const char *ca_file, *cert_file, *key_file; /* as given; tls_files are what to open */
        const char *server_name;
        unsigned min_version; /* enum pixi_tls_version */
        struct pixi_conf_strings pin_sha256;
    } tls;
    struct {
        const char *url, *username, *password_file; /* as given; proxies are what to use */
        struct pixi_conf_strings no_proxy;
    } proxy;
    struct {
        uint64_t version; /* enum pixi_mqtt_version */
        uint64_t qos, session_expiry_s;
        bool clean_start;
        const char *username, *reply_topic;
        const char *will_topic, *will_payload; /* NULL: no will, an empty one */
        uint64_t will_qos, will_delay_s;
        bool will_retain;
    } mqtt;
    struct {
        uint64_t connect_ms, tls_ms, upgrade_ms, request_ms, close_ms;
    } timeouts;
    struct {
        uint64_t interval_ms, timeout_ms;
    } keepalive;
    struct {
        uint64_t initial_ms, max_ms;
    } reconnect;
    bool compression;
    struct {
        uint64_t message_bytes, queue_bytes;
    } limits;
    struct {
        const char *path; /* as given; outbox_path is what to open */
        uint64_t bytes, age_s, late_s;
        unsigned when_full; /* enum pixi_settings_when_full */
    } outbox;
    struct {
        const char *socket, *group;
        struct pixi_conf_objects allow; /* struct pixi_settings_allow */
        uint64_t connections, calls, queue_bytes, drain_ms;
        bool improve;
        uint64_t probe_s;
        const char *metrics_file; /* as given; metrics_path is what to write */
        unsigned log_level, log_format;
    } daemon;

    /* worked out by load */
    const char *outbox_path, *metrics_path;            /* NULL: none */
    struct pixi_url endpoints[PIXI_SETTINGS_URLS_MAX]; /* of url or urls, in order */
    size_t endpoint_count;                             /* 1 at least after PIXI_OK */
    /* of each endpoint; NULL: none. Holds the password: pixi_proxy_text is what may be printed */
    const struct pixi_proxy *proxies[PIXI_SETTINGS_URLS_MAX];
    const char *key;      /* the API key itself, or NULL: send none. Never print it */
    const char *key_from; /* "config/api_key", "api_key", "environment: NAME"; with key */
    /* the server ("127.0.0.1:8768") that a key in the settings is for, which was neither read nor will be sent because
     * the command line names another; NULL: there is no such key */
    const char *key_kept_for;
    bool wants_no_key; /* set before load: whatever key there is, it is neither read nor sent */

    struct {
        const char *ca_file, *cert_file, *key_file; /* NULL: none */
    } tls_files;
    uint8_t pins[PIXI_TLS_PINS][PIXI_TLS_PIN]; /* of tls.pin_sha256 */

    struct pixi_conf conf; /* where each value came from: pixi_conf_put_where, pixi_conf_show */

    const char *given_url, *given_by; /* a URL from outside file and environment; its flag */
    struct pixi_url *own;             /* what these say, once that stands in their place; NULL before */
    size_t own_count;
    enum pixi_conf_rank own_rank;
};

/* pixi_settings_init -- the defaults. Allocates. */
void pixi_settings_init(struct pixi_settings *s);

/* pixi_settings_clear -- overwrites (the key too) and releases everything; init again before another use. */
void pixi_settings_clear(struct pixi_settings *s);

/* pixi_settings_override -- a flag's value, before load: it beats the environment and the file. pixi_conf_override.
 * A "url" given so takes a key along only where that is meant for it: docs/settings.md, The API key. */
int pixi_settings_override(struct pixi_settings *s, const char *member, const char *text, const char *flag,
                           struct pixi_buf *mistakes);

/* pixi_settings_load -- environment, file, key.
 *
 *   path      the file; NULL: PIXI_WS_SETTINGS, else ./config/websocket_settings.json, else
 *             /config/websocket_settings.json, else no file (fine when a flag or the environment gives the URL)
 *   mistakes  a line each, all of them in one run; not touched on PIXI_OK
 *
 *   PIXI_OK | PIXI_E_SETTINGS (also when an override was wrong) | PIXI_E_NOMEM */
int pixi_settings_load(struct pixi_settings *s, const char *path, struct pixi_buf *mistakes);

/* pixi_settings_read -- the first half of load: the members as they were given. Whether there is a URL, and what the key
 * is, is not looked at. pixi_settings_resolve does the rest.   PIXI_OK | PIXI_E_SETTINGS | PIXI_E_NOMEM */
int pixi_settings_read(struct pixi_settings *s, const char *path, struct pixi_buf *mistakes);

/* pixi_settings_load_text -- load from bytes in the form of the file, and from nothing else. Messages call it
 * "settings"; the paths that it names count from the working directory. */
int pixi_settings_load_text(struct pixi_settings *s, struct pixi_cur text, struct pixi_buf *mistakes);

/* pixi_settings_resolve -- work out again what load worked out: after a later override, or without a load.
 *   PIXI_OK | PIXI_E_SETTINGS | PIXI_E_NOMEM */
int pixi_settings_resolve(struct pixi_settings *s, struct pixi_buf *mistakes);

/* pixi_settings_check_bytes -- the rules of a file's text alone, for settings that are meant for another machine: no
 * environment, and no key, password or certificate file is looked for. name stands for the file in messages.
 *   PIXI_OK | PIXI_E_SETTINGS | PIXI_E_NOMEM */
int pixi_settings_check_bytes(struct pixi_settings *s, const char *name, struct pixi_cur text,
                              struct pixi_buf *mistakes);

/* pixi_settings_key_check -- 16 .. 512 visible ASCII characters: a rule that never tells the value. */
bool pixi_settings_key_check(struct pixi_cur key, struct pixi_conf_fault *fault);

/* The table: for tests that hold the schema and the docs to it. */
extern const struct pixi_conf_table pixi_settings_table;

#endif
