/* settings.h -- config/pixi_ws_server.json: where the hub listens, who may come in, and how much it keeps.
 * Used as client/settings.h is: init, override (flags), load. */
#ifndef PIXI_SERVER_SETTINGS_H
#define PIXI_SERVER_SETTINGS_H

#include "base/conf.h"

#define PIXI_SERVER_SETTINGS_FILE "config/pixi_ws_server.json" /* below the working directory, then below / */

enum { PIXI_SERVER_LISTEN_MAX = 16, PIXI_SERVER_ORIGINS_MAX = 64, PIXI_SERVER_HISTORY_MAX = 32 };

/* What the hub keeps of the messages whose topic matches filter. */
struct pixi_server_history {
    const char *filter; /* checked */
    uint64_t max_messages, max_bytes, max_age_s;
};

/* Every pointer is borrowed from conf and valid until pixi_server_settings_clear. */
struct pixi_server_settings {
    const char *schema;              /* "$schema": for editors */
    struct pixi_conf_strings listen; /* each passes pixi_addr_parse */
    struct {
        struct pixi_conf_strings listen;
        const char *cert_file, *key_file, *client_ca_file; /* as given; tls_files are what to open */
        unsigned min_version;                              /* enum pixi_tls_version */
    } tls;
    struct {
        struct pixi_conf_strings listen;
    } metrics;
    struct {
        struct pixi_conf_strings listen, tls_listen;
    } mqtt;
    bool insecure;         /* listen beyond loopback without TLS */
    const char *keys_file; /* as given; keys_path is what to open */
    const char *page;      /* a folder, as given; page_path is what to read; NULL: what is built in */
    const char *data;      /* as given; data_path is what to open; NULL: in memory */
    struct pixi_conf_strings origins; /* exact, lower case, or "*" */
    struct pixi_conf_objects history; /* of struct pixi_server_history: pixi_server_settings_history */
    struct {
        uint64_t connections, connections_per_address, handshakes;
        uint64_t head_bytes, head_fields, handshake_ms;
        uint64_t message_bytes, message_ms, queue_bytes, stall_ms, idle_ms;
        uint64_t subscriptions, calls, requests;
        uint64_t publishes_per_s, publish_bytes_per_s; /* of a key that has none of its own; 0: none */
        uint64_t retained_count, retained_bytes;
        uint64_t sessions, session_expiry_s; /* 0 s: any */
        uint64_t session_messages, session_bytes;
        uint64_t inflight, topic_aliases;
    } limits;
    struct {
        uint64_t interval_ms, timeout_ms, mqtt_max_s;
    } keepalive;
    struct {
        bool enabled;
        uint64_t min_bytes, level; /* of struct pixi_packer */
    } compression;
    struct {
        unsigned format, level; /* enum pixi_log_format, pixi_log_level */
    } log;
    uint64_t drain_ms;
    uint64_t workers; /* 1 */

    /* worked out by load */
    const char
        *keys_path; /* keys_file from the settings file's folder; from a flag or the environment: as given */
    const char *data_path; /* so is data */

    const char *page_path; /* NULL: none */

    struct {
        const char *cert_file, *key_file, *client_ca_file; /* NULL: none */
    } tls_files;

    struct pixi_conf conf;
};

static inline const struct pixi_server_history *
pixi_server_settings_history(const struct pixi_server_settings *s, size_t i)
{
    return (const struct pixi_server_history *)s->history.at + i;
}

/* pixi_server_settings_init -- the defaults. Allocates. */
void pixi_server_settings_init(struct pixi_server_settings *s);

/* pixi_server_settings_clear -- overwrites and releases everything; init again before another use. */
void pixi_server_settings_clear(struct pixi_server_settings *s);

/* pixi_server_settings_override -- a flag's value, before load. "listen" may come several times; switches are "true". */
int pixi_server_settings_override(struct pixi_server_settings *s, const char *member, const char *text,
                                  const char *flag, struct pixi_buf *mistakes);

/* pixi_server_settings_load -- environment (PIXI_WS_SERVER_*) and file.
 *
 *   path  the file; NULL: PIXI_WS_SERVER_SETTINGS, else ./config/pixi_ws_server.json, else
 *         /config/pixi_ws_server.json, else the defaults
 *
 *   PIXI_OK | PIXI_E_SETTINGS (also when an override was wrong) | PIXI_E_NOMEM
 *
 * The keys file is not opened: pixi_keys_load(.., s->keys_path, ..) does that. */
int pixi_server_settings_load(struct pixi_server_settings *s, const char *path, struct pixi_buf *mistakes);

extern const struct pixi_conf_table pixi_server_settings_table;

#endif
