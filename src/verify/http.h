/* http.h -- the opening handshake: the request a client writes, the head of the answer. RFC 9112, RFC 6455 §4.1. */
#ifndef PIXI_VERIFY_HTTP_H
#define PIXI_VERIFY_HTTP_H

#include "base/buf.h"

enum { PIXI_VHTTP_MAX = 16384, PIXI_VHTTP_FIELDS = 100 };

struct pixi_vhttp_field {
    struct pixi_cur name, value; /* borrowed */
};

struct pixi_vhttp_head {
    unsigned status, minor; /* 101; 1 for HTTP/1.1 */
    struct pixi_cur reason; /* borrowed */
    struct pixi_vhttp_field fields[PIXI_VHTTP_FIELDS];
    size_t count;
};

/* pixi_vhttp_read -- the head of one answer, up to and with its empty line.
 *
 *   in    moved past the head on PIXI_OK, untouched otherwise
 *   out   borrows from in
 *
 *   PIXI_OK | PIXI_MORE
 *   PIXI_E_HTTP_START  not "HTTP/1.x NNN": told at the first byte that does not fit
 *   PIXI_E_HTTP_LINE   a bare CR or LF, or a control character
 *   PIXI_E_HTTP_FIELD  no colon, no name, white space in or before the name
 *   PIXI_E_HTTP_COUNT  more than PIXI_VHTTP_FIELDS   PIXI_E_HTTP_SIZE  longer than PIXI_VHTTP_MAX */
int pixi_vhttp_read(struct pixi_cur *in, struct pixi_vhttp_head *out);

/* pixi_vhttp_get -- the value of the nth field (0: the first) of this name, case ignored; false: there is none. */
bool pixi_vhttp_get(const struct pixi_vhttp_head *h, const char *name, size_t nth, struct pixi_cur *value);

/* pixi_vhttp_has_token -- does a list of tokens, over all fields of this name, hold token, case ignored? */
bool pixi_vhttp_has_token(const struct pixi_vhttp_head *h, const char *name, const char *token);

/* pixi_vhttp_is -- text equal, ASCII case ignored. */
bool pixi_vhttp_is(struct pixi_cur text, const char *want);

/* What an opening handshake offers. */
struct pixi_vhttp_offer {
    const char *authority, *target;
    const char *subprotocol; /* NULL: none */
    const char *api_key;     /* NULL: none */
    char nonce[25];          /* Sec-WebSocket-Key, NUL-terminated */
    const char *extensions;  /* NULL: none; else the caller judges what is answered to them */
};

/* pixi_vhttp_put_request -- append the request to b. */
void pixi_vhttp_put_request(struct pixi_buf *b, const struct pixi_vhttp_offer *offer);

/* pixi_vhttp_accept -- Sec-WebSocket-Accept for a nonce, NUL-terminated. RFC 6455 §4.2.2 */
void pixi_vhttp_accept(const char *nonce, char out[29]);

/* pixi_vhttp_check_upgrade -- does this head, of status 101, say yes to the offer?   RFC 6455 §4.1
 * PIXI_OK | PIXI_E_HTTP_VERSION | PIXI_E_WS_UPGRADE | PIXI_E_WS_ACCEPT | PIXI_E_WS_PROTOCOL | PIXI_E_WS_EXTENSION */
int pixi_vhttp_check_upgrade(const struct pixi_vhttp_head *h, const struct pixi_vhttp_offer *offer);

#endif
