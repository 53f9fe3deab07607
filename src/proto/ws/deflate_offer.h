/* deflate_offer.h -- what the peers agree on about permessage-deflate. RFC 7692 §5, §7, §7.1. */
#ifndef PIXI_PROTO_WS_DEFLATE_OFFER_H
#define PIXI_PROTO_WS_DEFLATE_OFFER_H

#include "base/buf.h"
#include "base/role.h"

#include <stdbool.h>

#define PIXI_WS_DEFLATE "permessage-deflate"

enum {
    PIXI_WS_BITS_MIN = 8,
    PIXI_WS_BITS_MAX = 15, /* a window of 32,768 bytes: what holds where nothing was said */
    PIXI_WS_BITS_ANY = 16, /* client_max_window_bits in an offer, without a value: the server may choose */
};

/* An offer, or the answer to one. */
struct pixi_ws_deflate {
    bool server_no_context_takeover, client_no_context_takeover;
    uint8_t server_max_window_bits; /* PIXI_WS_BITS_MIN .. _MAX; 0: it is not there */
    uint8_t client_max_window_bits; /* that, or in an offer PIXI_WS_BITS_ANY */
};

/* pixi_ws_deflate_read -- the parameters of one element.                     RFC 7692 §7, §7.1
 *
 *   parameters  what stands behind the element's name
 *   from        PIXI_CLIENT: an offer; PIXI_SERVER: an answer
 *   out         written on PIXI_OK only
 *
 *   PIXI_OK
 *   PIXI_E_WS_EXTENSION      not of the form of an extension (RFC 6455 §9.1)
 *   PIXI_E_WS_DEFLATE_NAME   a parameter that is not defined (§7)
 *   PIXI_E_WS_DEFLATE_VALUE  a value where none may be, none where one must be, or not 8 .. 15 in decimal (§7.1)
 *   PIXI_E_WS_DEFLATE_TWICE  a parameter twice (§7)
 *
 * A server declines an offer with such an error; a client fails the connection over such an answer. */
int pixi_ws_deflate_read(struct pixi_cur parameters, enum pixi_role from, struct pixi_ws_deflate *out);

/* pixi_ws_deflate_answer -- how our server takes an offer, of whatever form: neither side takes over a context, so that
 * nothing is remembered between two messages. */
struct pixi_ws_deflate pixi_ws_deflate_answer(const struct pixi_ws_deflate *offer);

/* pixi_ws_deflate_check -- does the answer fit the offer?                    RFC 7692 §7.1
 *
 *   PIXI_OK
 *   PIXI_E_WS_DEFLATE_CONTEXT  the server keeps its context though it was asked not to (§7.1.1.1)
 *   PIXI_E_WS_DEFLATE_ASKED    client_max_window_bits though that was not offered (§7.1.2.2)
 *   PIXI_E_WS_DEFLATE_VALUE    a larger window than was offered (§7.1.2) */
int pixi_ws_deflate_check(const struct pixi_ws_deflate *offer, const struct pixi_ws_deflate *answer);

/* pixi_ws_deflate_put -- "permessage-deflate; server_no_context_takeover; ...". Errors stick in b. */
void pixi_ws_deflate_put(struct pixi_buf *b, const struct pixi_ws_deflate *d);

#endif
