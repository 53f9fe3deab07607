#include "client/reach.h"
#include "client/settings_proxy.h"

#include <stdio.h>
#include <sys/un.h>

enum { HEAD_MAX = 16384 }; /* bytes of the answer to the handshake */

int pixi_reach_check(const struct pixi_settings *s, struct pixi_failure *f)
{
    for (size_t i = 0; i < s->endpoint_count; i++) {
        const struct pixi_url *u = &s->endpoints[i];

        *f = (struct pixi_failure){
            .err = PIXI_E_SETTINGS, .exit_code = PIXI_EXIT_SETTINGS, .layer = "settings", .is_final = true};
        if (!u->is_tls && s->key && !s->allow_plaintext && !pixi_settings_is_private(s, i)) {
            snprintf(f->cause, sizeof f->cause, "ws://%s would carry the API key across the network in clear",
                     u->authority);
            snprintf(
                f->fix, sizeof f->fix,
                "use wss://, or accept that the key can be read on the way with \"allow_plaintext\": true");
            return PIXI_E_SETTINGS;
        }
        if (u->is_unix && s->dialect != PIXI_SETTINGS_PIXI_V1) {
            snprintf(f->cause, sizeof f->cause, "%s speaks pixi.v1 alone", u->authority);
            snprintf(f->fix, sizeof f->fix, "leave out \"dialect\"");
            return PIXI_E_SETTINGS;
        }
    }
    return PIXI_OK;
}

static bool needs_tls(const struct pixi_settings *s)
{
    for (size_t i = 0; i < s->endpoint_count; i++)
        if (s->endpoints[i].is_tls)
            return true;
    return false;
}

int pixi_reach_trust(const struct pixi_settings *s, const char *key_log_file, struct pixi_tls_context **out,
                     struct pixi_failure *f)
{
    struct pixi_tls_options options = {.role = PIXI_CLIENT,
                                       .ca_file = s->tls_files.ca_file,
                                       .cert_file = s->tls_files.cert_file,
                                       .key_file = s->tls_files.key_file,
                                       .min_version = (enum pixi_tls_version)s->tls.min_version,
                                       .key_log_file = key_log_file};
    struct pixi_buf problem = pixi_buf_init(4096);
    int rc = needs_tls(s) ? pixi_tls_context_new(&options, out, &problem) : PIXI_OK;

    if (rc != PIXI_OK) {
        *f = (struct pixi_failure){
            .err = PIXI_E_SETTINGS, .exit_code = PIXI_EXIT_SETTINGS, .layer = "settings", .is_final = true};
        snprintf(f->cause, sizeof f->cause, "%.*s", (int)problem.len,
                 problem.len ? (const char *)problem.bytes : "");
        snprintf(f->fix, sizeof f->fix, "%s",
                 rc == PIXI_E_SYS ? "give --key-log a file that you may write, not a link"
                                  : "correct \"tls\" in the settings, or the file that it names");
    }
    pixi_buf_clear(&problem);
    return rc;
}

struct pixi_link_limits pixi_reach_limits(const struct pixi_settings *s)
{
    return (struct pixi_link_limits){
        .http = {.head_bytes = HEAD_MAX, .field_count = PIXI_HTTP_FIELDS},
        .message_bytes = s->limits.message_bytes,
        .queue_bytes = s->limits.queue_bytes,
        .handshake_ms = (uint32_t)s->timeouts.upgrade_ms,
        .close_ms = (uint32_t)s->timeouts.close_ms,
        .ping_ms = (uint32_t)s->keepalive.interval_ms,
        .pong_ms = (uint32_t)s->keepalive.timeout_ms,
    };
}

struct pixi_failure_at pixi_reach_at(const struct pixi_settings *s, size_t endpoint)
{
    const struct pixi_url *u = &s->endpoints[endpoint];

    return (struct pixi_failure_at){.host = u->host,
                                    .port = u->port,
                                    .target = u->target,
                                    .key_from = s->key_from,
                                    .key_kept_for = s->key_kept_for,
                                    .protocol = s->dialect == PIXI_SETTINGS_MQTT ? "mqtt" : NULL};
}

void pixi_reach_authorize(const struct pixi_settings *s, struct pixi_buf *out)
{
    pixi_buf_reset(out);
    if (s->key)
        pixi_buf_putf(out, "Bearer %s", s->key); /* a NUL follows: putf writes one */
}

static void dial_unix(struct pixi_dial *d, struct pixi_loop *l, struct pixi_link *k, const char *path,
                      uint64_t timeout_ms)
{
    struct pixi_addrs addrs = {.count = 1, .at[0].len = sizeof(struct sockaddr_un)};
    struct sockaddr_un *un = (struct sockaddr_un *)&addrs.at[0].sa;
    struct pixi_dial_to to = {.host = "localhost", .addrs = &addrs, .timeout_ms = (uint32_t)timeout_ms};

    un->sun_family = AF_UNIX;
    snprintf(un->sun_path, sizeof un->sun_path, "%s", path);
    pixi_dial_start(d, l, &k->tcp, &pixi_link_tcp, &to);
}

void pixi_reach_dial(struct pixi_dial *d, struct pixi_loop *l, struct pixi_link *k,
                     const struct pixi_settings *s, size_t endpoint)
{
    struct pixi_dial_to to = {.host = s->endpoints[endpoint].host,
                              .port = s->endpoints[endpoint].port,
                              .proxy = s->proxies[endpoint],
                              .timeout_ms = (uint32_t)s->timeouts.connect_ms};

    if (s->endpoints[endpoint].is_unix)
        dial_unix(d, l, k, s->endpoints[endpoint].target, s->timeouts.connect_ms);
    else
        pixi_dial_start(d, l, &k->tcp, &pixi_link_tcp, &to);
}

int pixi_reach_secure(struct pixi_link *k, const struct pixi_settings *s, size_t endpoint,
                      struct pixi_tls_context *context)
{
    struct pixi_tls_peer peer = {.name =
                                     s->tls.server_name ? s->tls.server_name : s->endpoints[endpoint].host,
                                 .pins = s->pins,
                                 .pin_count = s->tls.pin_sha256.count};
    struct pixi_tls *tls = pixi_tls_new(context, &peer);

    if (!tls)
        return PIXI_E_NOMEM;
    pixi_link_secure(k, tls, (uint32_t)s->timeouts.tls_ms);
    return PIXI_OK;
}

void pixi_reach_hello(struct pixi_link *k, const struct pixi_settings *s, size_t endpoint,
                      const char *protocols, const struct pixi_buf *authorization)
{
    const struct pixi_url *u = &s->endpoints[endpoint];
    struct pixi_ws_hello hello = {.host = u->authority, .path = u->target, .protocols = protocols};
    int rc;

    if (authorization->len)
        hello.authorization = (const char *)authorization->bytes;
    if ((rc = pixi_link_hello(k, &hello)) != PIXI_OK)
        pixi_link_drop(k, rc);
}
