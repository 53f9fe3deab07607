/* dialect.h -- the language that an uplink speaks once its link is open: pixi.v1 (dialect_pixi.c) or mqtt (dialect_mqtt.c).
 * The uplink knows when there is a connection, what is subscribed to and which calls are under way; the dialect knows the
 * bytes. Private to src/client. */
#ifndef PIXI_CLIENT_DIALECT_H
#define PIXI_CLIENT_DIALECT_H

#include "client/call.h"

struct pixi_dialect {
    const char *protocol;     /* WebSocket subprotocol, offered and insisted on */
    enum pixi_ws_opcode type; /* of every message, both ways */
    bool has_key_in_head;     /* the API key travels as Authorization; else the dialect sends it */

    int (*start)(struct pixi_uplink *c);  /* before the first connection.   PIXI_OK | PIXI_E_NOMEM */
    void (*clear)(struct pixi_uplink *c); /* releases what start took; may come without it */
    void (*opened)(
        struct pixi_uplink *c); /* the link is open: pixi_uplink_ready is due, or pixi_uplink_refuse */
    void (*message)(struct pixi_uplink *c, uint8_t *bytes, size_t len);
    void (*lost)(struct pixi_uplink *c);    /* the connection is gone, and calls are about to be unsent */
    void (*goodbye)(struct pixi_uplink *c); /* the link is about to be closed */

    /* The uplink is ready. A failure to queue shows as a link without room, which ends it and comes back to ready. */
    void (*subscribe)(struct pixi_uplink *c, struct pixi_uplink_sub *s);
    int (*unsubscribe)(struct pixi_uplink *c, struct pixi_uplink_sub *s); /* PIXI_OK | PIXI_E_NOMEM */
    void (*catch_up)(struct pixi_uplink *c); /* there is room for messages again */

    /* As the functions of uplink.h. */
    int (*publish)(struct pixi_uplink *c, const struct pixi_uplink_out *m, uint64_t timeout_ms,
                   pixi_uplink_on_answer *on_answer, void *ctx);
    int (*request)(struct pixi_uplink *c, const struct pixi_uplink_out *m, uint64_t timeout_ms,
                   pixi_uplink_on_answer *on_answer, void *ctx);
    int (*reply)(struct pixi_uplink *c, uint64_t request, struct pixi_cur payload, const char *error);

    /* A call goes out, the first time or again.
     *   PIXI_OK | PIXI_E_QUEUE, PIXI_E_WS_CLOSED (no room: it is tried again) | PIXI_MORE (held until
     *   pixi_uplink_resume_calls) | an error that ends the call */
    int (*send)(struct pixi_uplink_call *call);
};

extern const struct pixi_dialect pixi_dialect_pixi;

/* An error object of JSON-RPC, {code, message}, as the answer to `what`. Its strings are unescaped where they lie. */
struct pixi_failure pixi_uplink_error(struct pixi_cur text, const char *what);

/* --- uplink.c, for dialects */

/* This connection ends, as f says. */
void pixi_uplink_refuse(struct pixi_uplink *c, const struct pixi_failure *f);

/* The language stands: subscriptions and calls go out. */
void pixi_uplink_ready(struct pixi_uplink *c);
struct pixi_uplink_sub *pixi_uplink_sub_of(struct pixi_uplink *c, struct pixi_cur filter);
/* The server ended or refused it. */
void pixi_uplink_drop_sub(struct pixi_uplink *c, struct pixi_uplink_sub *sub, const struct pixi_failure *f);
/* Is a subscription refused by this: by its answer, or because the server objects to what was sent last? Else the
 * connection ended, and it subscribes again on the next. */
bool pixi_uplink_is_refusal(const struct pixi_uplink *c, const struct pixi_failure *f);

#endif
