/* reach.h -- one connection to one endpoint of the settings, step by step: may it be tried, by which TLS, dial, secure, say
 * hello. No state of its own: what outlives a connection is uplink.h, and `connect` has no more than one. */
#ifndef PIXI_CLIENT_REACH_H
#define PIXI_CLIENT_REACH_H

#include "client/failure.h"
#include "client/settings.h"
#include "net/dial.h"

/* pixi_reach_check -- may these settings be tried at all?
 *   PIXI_OK | PIXI_E_SETTINGS (f says why: a key over ws:// to another machine) */
int pixi_reach_check(const struct pixi_settings *s, struct pixi_failure *f);

/* pixi_reach_trust -- the TLS context that the settings ask for; *out stays NULL where no endpoint is wss://.
 *   PIXI_OK (free with pixi_tls_context_free) | PIXI_E_SETTINGS | PIXI_E_NOMEM (f says why) */
int pixi_reach_trust(const struct pixi_settings *s, const char *key_log_file, struct pixi_tls_context **out,
                     struct pixi_failure *f);

/* pixi_reach_limits -- as the settings have them. */
struct pixi_link_limits pixi_reach_limits(const struct pixi_settings *s);

/* pixi_reach_at -- where it is, for failures. Borrows from the settings. */
struct pixi_failure_at pixi_reach_at(const struct pixi_settings *s, size_t endpoint);

/* pixi_reach_authorize -- "Bearer KEY" into out, or nothing where there is no key; out->err tells of no memory. */
void pixi_reach_authorize(const struct pixi_settings *s, struct pixi_buf *out);

/* pixi_reach_dial -- d->on_done is set; the link was initialised. */
void pixi_reach_dial(struct pixi_dial *d, struct pixi_loop *l, struct pixi_link *k,
                     const struct pixi_settings *s, size_t endpoint);

/* pixi_reach_secure -- TLS on a dialled link; its on_secured follows.   PIXI_OK | PIXI_E_NOMEM */
int pixi_reach_secure(struct pixi_link *k, const struct pixi_settings *s, size_t endpoint,
                      struct pixi_tls_context *context);

/* pixi_reach_hello -- the opening handshake; a link that cannot begin it is dropped. protocols: as pixi_ws_hello;
 * authorization: of pixi_reach_authorize. */
void pixi_reach_hello(struct pixi_link *k, const struct pixi_settings *s, size_t endpoint,
                      const char *protocols, const struct pixi_buf *authorization);

#endif
