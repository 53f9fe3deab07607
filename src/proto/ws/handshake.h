/* handshake.h -- the opening handshake, both roles. RFC 6455 §4. The one extension is permessage-deflate (RFC 7692). */
#ifndef PIXI_PROTO_WS_HANDSHAKE_H
#define PIXI_PROTO_WS_HANDSHAKE_H

#include "proto/http/head.h"
#include "proto/ws/deflate_offer.h"

enum { PIXI_WS_ACCEPT_LEN = 28, PIXI_WS_KEY_LEN = 24, PIXI_WS_PROTOCOLS = 16 };

/* What a client asked for. Borrows from the head. */
struct pixi_ws_request {
    struct pixi_cur key;                          /* PIXI_WS_KEY_LEN bytes of base64 */
    struct pixi_cur origin;                       /* p == NULL: none was sent */
    struct pixi_cur protocols[PIXI_WS_PROTOCOLS]; /* as offered, in the client's order of preference */
    size_t protocol_count;
    bool offers_deflate;            /* there is an offer of permessage-deflate without a fault */
    struct pixi_ws_deflate deflate; /* then: the first of these */
};

/* pixi_ws_request_check -- is this head a client's opening handshake?        RFC 6455 §4.2.1
 *
 *   PIXI_OK               out is set
 *   PIXI_E_HTTP_HOST, PIXI_E_HTTP_BODY   as pixi_http_request_check                answer 400
 *   PIXI_E_WS_METHOD      not GET                                                   answer 405
 *   PIXI_E_WS_UPGRADE     Upgrade lacks "websocket" or Connection lacks "upgrade"   answer 426
 *   PIXI_E_WS_VERSION     Sec-WebSocket-Version is not 13                           answer 426
 *   PIXI_E_WS_KEY         missing, repeated, or not 16 bytes in base64              answer 400
 *   PIXI_E_WS_PROTOCOL    a subprotocol is no token, twice there, or over 16        answer 400
 *   PIXI_E_WS_EXTENSION   Sec-WebSocket-Extensions is not of its form (§9.1)        answer 400 */
int pixi_ws_request_check(const struct pixi_http_head *h, struct pixi_ws_request *out);

/* pixi_ws_request_status -- the HTTP status that answers one of those errors, or one of pixi_http_request_decode. */
unsigned pixi_ws_request_status(int err);

/* pixi_ws_accept -- Sec-WebSocket-Accept for a key.                          RFC 6455 §4.2.2
 * out: PIXI_WS_ACCEPT_LEN bytes, no NUL. */
void pixi_ws_accept(struct pixi_cur key, char out[PIXI_WS_ACCEPT_LEN]);

/* pixi_ws_response_put -- the server's 101.  protocol: one of the offered, or p == NULL for none; deflate: what is agreed
 * on, NULL for none. */
void pixi_ws_response_put(struct pixi_buf *b, const struct pixi_ws_request *r, struct pixi_cur protocol,
                          const struct pixi_ws_deflate *deflate);

/* What a client asks. Everything borrowed; fields must not repeat those of the handshake. */
struct pixi_ws_hello {
    const char *host;          /* "example.org", "[::1]:8768": the Host field's value */
    const char *path;          /* starts with '/', has its query */
    const char *key;           /* PIXI_WS_KEY_LEN characters and a NUL: base64 of 16 random bytes */
    const char *protocols;     /* "a, b", or NULL */
    const char *authorization; /* the Authorization field's value, or NULL */
    const char *origin;        /* or NULL */
    const struct pixi_ws_deflate *deflate; /* an offer, or NULL */
};

/* What a server answered. Borrows from the head. */
struct pixi_ws_answer {
    struct pixi_cur protocol; /* that it chose; p == NULL: none */
    bool has_deflate;
    struct pixi_ws_deflate deflate;
};

/* pixi_ws_request_put -- the client's request. A control character in one of the strings, or a byte in the path that
 * is not visible ASCII, fails the buffer with PIXI_E_HTTP_FIELD.             RFC 6455 §4.1 */
void pixi_ws_request_put(struct pixi_buf *b, const struct pixi_ws_hello *hello);

/* pixi_ws_response_check -- is this head the right answer?                   RFC 6455 §4.1, client
 *
 *   out  written on PIXI_OK only
 *
 *   PIXI_OK               the connection is open
 *   PIXI_E_WS_STATUS      not 101; h->status tells
 *   PIXI_E_HTTP_BODY      a 101 that announces a body (RFC 9110 §8.6, RFC 9112 §6.1)
 *   PIXI_E_WS_UPGRADE     Upgrade is not "websocket" or Connection lacks "upgrade"
 *   PIXI_E_WS_ACCEPT      missing, repeated or wrong
 *   PIXI_E_WS_PROTOCOL    chosen though not offered, or more than one
 *   PIXI_E_WS_EXTENSION   an extension that was not offered, one twice, or not of its form (§9.1)
 *   PIXI_E_WS_DEFLATE_*   as pixi_ws_deflate_read and pixi_ws_deflate_check */
int pixi_ws_response_check(const struct pixi_http_head *h, const struct pixi_ws_hello *hello,
                           struct pixi_ws_answer *out);

#endif
