/* publisher.h -- messages that are each stored once, however often the connection is cut: what send, and the commands that
 * put something on the map, have in common. */
#ifndef PIXI_WS_CLIENT_PUBLISHER_H
#define PIXI_WS_CLIENT_PUBLISHER_H

#include "pixi-ws-client/cmd.h"

struct publisher {
    struct session session; /* session.app is set before publisher_open */
    uint64_t timeout_ms;    /* of one message; 0: the settings' */
    char producer[37];      /* UUID: makes sending again harmless */
    uint64_t seq, low;      /* low: all below are answered */
    uint64_t stored, forbidden;
    bool is_all;              /* no more will be put */
    bool tolerates_forbidden; /* one that the key may not publish is counted, and is no end */
    /* Each may be NULL. One is stored; answers have made room for more; all are stored and the link is still open. */
    void (*on_stored)(struct publisher *, const struct pixi_rpc_params *position);
    void (*on_room)(struct publisher *);
    void (*on_done)(struct publisher *);
    void (*on_failed)(struct publisher *); /* a failure was told: the link closes, and the exit code is its */
};

struct publication {
    const char *topic;
    struct pixi_cur payload, headers; /* headers: neutral form, proto/rpc/params.h */
    bool is_retained, has_expiry;
    uint64_t expiry_s;
};

static inline struct publisher *publisher_of(struct pixi_uplink *c)
{
    return (struct publisher *)((char *)session_of(c) - offsetof(struct publisher, session));
}

/* publisher_open -- as session_open; handlers: NULL, or what the command wants to hear, publisher_on_end and
 * publisher_on_lost among it. 0 or the exit code (nothing to close). */
int publisher_open(struct publisher *p, struct app *app, const struct pixi_uplink_handlers *h);
void publisher_on_end(struct pixi_uplink *c, const struct pixi_failure *f);
void publisher_on_lost(struct pixi_uplink *c, const struct pixi_failure *f, uint64_t in_ms);

/* publisher_put -- 0 or the exit code, told on standard error. */
int publisher_put(struct publisher *p, const struct publication *m);

/* publisher_is_full -- enough waits for its answer: go on when on_room comes. */
bool publisher_is_full(const struct publisher *p);

/* publisher_end -- no more will be put: when all is answered, on_done, and the link closes. */
void publisher_end(struct publisher *p);

#endif
