/* peer.h -- one WebSocket connection as a verifier holds it: opened with care, read strictly. RFC 6455. */
#ifndef PIXI_VERIFY_PEER_H
#define PIXI_VERIFY_PEER_H

#include "verify/frame.h"
#include "verify/http.h"
#include "verify/wire.h"

struct pixi_peer {
    struct pixi_wire wire;
    struct pixi_vhttp_offer offer;
    struct pixi_buf answer;      /* the answer's head, and where it was not 101 the start of its body */
    struct pixi_vhttp_head head; /* borrows from answer */
    struct pixi_buf message;     /* a message that is being put together, or was given last */
    uint8_t opcode;              /* of the message under way; 0: none */
    bool is_compressed;          /* it is */
    bool deflates;               /* set by the owner: permessage-deflate was agreed on */
    struct pixi_buf inflated;    /* a message that was compressed, given last */
    uint8_t control[125];        /* a control frame's payload, given last */
    uint64_t us;                 /* from the request to the answer */
};

/* How to open. */
struct pixi_peer_offer {
    const char *authority, *target;
    const char *subprotocol, *api_key, *extensions; /* NULL: none */
    uint32_t connect_ms, upgrade_ms;
};

/* pixi_peer_open -- connect and upgrade. The peer must be closed afterwards, whatever came back.
 *
 *   PIXI_OK                              101, and all of it is right: p->head
 *   PIXI_E_WS_STATUS                     another status: p->head, and p->answer holds the start of the body
 *   PIXI_E_HTTP_VERSION, PIXI_E_WS_UPGRADE, _ACCEPT, _PROTOCOL, _EXTENSION   101, and this of it is wrong
 *   PIXI_E_HTTP_*                        what came is no HTTP head: p->wire.in
 *   PIXI_E_RESET, PIXI_E_WS_NO_CLOSE     lost or closed before the head was whole: p->wire.in
 *   PIXI_E_TIMEOUT                       the head was not whole in time: p->wire.in
 *   PIXI_E_TLS                           TLS failed: p->wire.ws->secure_err
 *   PIXI_E_CONNECT                       no TCP connection, also for want of time: p->wire.ws->dial.text */
int pixi_peer_open(struct pixi_peer *p, struct pixi_wires *ws, const struct pixi_peer_offer *offer);

/* pixi_peer_send -- one frame in this form, masked with fresh random bytes. */
void pixi_peer_send(struct pixi_peer *p, const struct pixi_vframe_form *form, struct pixi_cur payload);
void pixi_peer_send_text(struct pixi_peer *p, struct pixi_cur text);

/* What a peer sent. */
struct pixi_event {
    uint8_t opcode;        /* PIXI_VFRAME_TEXT, _BINARY, _PONG or _CLOSE: pings are answered, and not told */
    struct pixi_cur bytes; /* borrowed until the next call; of a close frame: its reason */
    uint16_t code;         /* of a close frame; 1005: it has none */
    size_t packed_len;     /* of a message that came compressed: in how many bytes; 0: it did not */
};

/* pixi_peer_next -- wait for the next event.
 *
 *   PIXI_OK | PIXI_E_TIMEOUT
 *   PIXI_E_WS_NO_CLOSE, PIXI_E_RESET, PIXI_E_TLS   the connection ended
 *   PIXI_E_WS_*                        the peer broke this rule of RFC 6455 or RFC 7692 */
int pixi_peer_next(struct pixi_peer *p, uint64_t deadline, struct pixi_event *out);

/* pixi_peer_close -- send a close frame where that can be, and close. In any state.
 * pixi_peer_abort -- cut by a reset. */
void pixi_peer_close(struct pixi_peer *p);
void pixi_peer_abort(struct pixi_peer *p);

#endif
