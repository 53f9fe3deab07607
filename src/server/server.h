/* server.h -- the Pixi server: listeners, the upgrade, keys, and the gateway that joins links to the hub. */
#ifndef PIXI_SERVER_SERVER_H
#define PIXI_SERVER_SERVER_H

#include "net/loop.h"
#include "server/keys.h"
#include "server/metrics.h"
#include "server/page.h"
#include "server/settings.h"

struct pixi_server;

enum pixi_server_mode {
    PIXI_SERVER_HUB,
    PIXI_SERVER_ECHO
}; /* echo: any path, no key, each message comes back */

/* pixi_server_new -- listen as the settings say. settings, keys and loop are borrowed until pixi_server_free.
 *
 *   problem  on an error one line naming what and why
 *
 *   PIXI_OK (*out is set: free with pixi_server_free)
 *   PIXI_E_SETTINGS  a listener beyond loopback without TLS or `insecure`
 *   PIXI_E_SYS       an address could not be listened on
 *   PIXI_E_NOMEM | PIXI_E_FILTER */
int pixi_server_new(struct pixi_loop *loop, const struct pixi_server_settings *settings,
                    const struct pixi_keys *keys, enum pixi_server_mode mode, struct pixi_server **out,
                    struct pixi_buf *problem);

/* pixi_server_listening -- the i-th address as bound, "127.0.0.1:8768", "127.0.0.1:8769 with TLS" or
 * "127.0.0.1:8770 for metrics"; false when there are no more. */
bool pixi_server_listening(const struct pixi_server *s, size_t i, char *out, size_t len);

/* pixi_server_set_page -- what GET answers beside the WebSocket; borrowed until pixi_server_free. Without: nothing, 404. */
void pixi_server_set_page(struct pixi_server *s, const struct pixi_page *page);

/* pixi_server_set_settings -- go on by other settings, read anew by the same table; borrowed as those before were, which
 * may be cleared now. What the rows marked PIXI_CONF_AT_START say is as it was. */
void pixi_server_set_settings(struct pixi_server *s, const struct pixi_server_settings *settings);

/* pixi_server_has_tls -- does it listen anywhere with TLS? */
bool pixi_server_has_tls(const struct pixi_server *s);

/* pixi_server_count_reload -- for the metrics: this was read again; rc: PIXI_OK, or it failed. */
void pixi_server_count_reload(struct pixi_server *s, enum pixi_reloaded what, int rc);

/* pixi_server_reload_tls -- read certificate and key again; connections that are open keep theirs.
 * As pixi_tls_context_new; on an error what was there stays in use. */
int pixi_server_reload_tls(struct pixi_server *s, struct pixi_buf *problem);

/* pixi_server_set_keys -- go on with another set of keys. A connection whose key is in it, known by its hash, stays and
 * may from now on do what that says: subscriptions beyond it end with `unsubscribed`. The others are closed with 3000.
 *   keys  borrowed as that given to pixi_server_new was, which may be cleared now
 *   PIXI_OK | PIXI_E_NOMEM (nothing has changed) */
int pixi_server_set_keys(struct pixi_server *s, const struct pixi_keys *keys);

/* pixi_server_drain -- stop listening, tell every client when to come back, close with 1012; on_idle when the last
 * has gone or drain_ms are over. */
void pixi_server_drain(struct pixi_server *s, void (*on_idle)(void *ctx), void *ctx);

/* pixi_server_free -- drop whatever is still connected. NULL is fine. */
void pixi_server_free(struct pixi_server *s);

#endif
