/* close.h -- close frames: codes, reasons, and which code answers which error. RFC 6455 §5.5.1, §7.4. */
#ifndef PIXI_PROTO_WS_CLOSE_H
#define PIXI_PROTO_WS_CLOSE_H

#include "base/cur.h"
#include "base/err.h"

enum { PIXI_WS_REASON_MAX = 123 }; /* bytes */

enum {
    PIXI_WS_CLOSE_DONE = 1000,
    PIXI_WS_CLOSE_GOING = 1001,
    PIXI_WS_CLOSE_PROTOCOL = 1002,
    PIXI_WS_CLOSE_UNSUPPORTED = 1003,
    PIXI_WS_CLOSE_NONE = 1005,     /* never sent: a close frame without a code came */
    PIXI_WS_CLOSE_ABNORMAL = 1006, /* never sent: no close frame came */
    PIXI_WS_CLOSE_UTF8 = 1007,
    PIXI_WS_CLOSE_POLICY = 1008,
    PIXI_WS_CLOSE_TOO_BIG = 1009,
    PIXI_WS_CLOSE_INTERNAL = 1011,
    PIXI_WS_CLOSE_RESTART = 1012,
    PIXI_WS_CLOSE_LATER = 1013,
    PIXI_WS_CLOSE_UNAUTHORIZED = 3000, /* IANA close code registry */
    PIXI_WS_CLOSE_FORBIDDEN = 3003,
    PIXI_WS_CLOSE_TIMEOUT = 3008,
};

/* pixi_ws_close_is_legal -- may this code stand in a close frame?   RFC 6455 §7.4
 * 1000-1003, 1007-1014 and 3000-4999. */
bool pixi_ws_close_is_legal(unsigned code);

/* pixi_ws_close_decode -- read a close frame's whole payload.       RFC 6455 §5.5.1
 *
 *   code    PIXI_WS_CLOSE_NONE when the payload is empty
 *   reason  borrows from payload
 *
 *   PIXI_OK                 outputs are set
 *   PIXI_E_WS_CLOSE_LEN     one byte                                     close 1002
 *   PIXI_E_WS_CLOSE_CODE    a code that may not be sent (§7.4)           close 1002
 *   PIXI_E_WS_CLOSE_UTF8    the reason is not UTF-8                      close 1007 */
int pixi_ws_close_decode(struct pixi_cur payload, uint16_t *code, struct pixi_cur *reason);

/* pixi_ws_close_encode -- write the payload to out (125 bytes of room); returns its length. PIXI_WS_CLOSE_NONE writes
 * an empty one. A reason over PIXI_WS_REASON_MAX is cut at a character. */
size_t pixi_ws_close_encode(uint16_t code, struct pixi_cur reason, uint8_t *out);

/* pixi_ws_close_for -- the code that tells a peer about its error.  RFC 6455 §7.4.1 */
uint16_t pixi_ws_close_for(int err);

#endif
