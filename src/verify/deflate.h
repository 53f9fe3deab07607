/* deflate.h -- permessage-deflate as a client that remembers nothing: the answer to its offer, and messages. RFC 7692. */
#ifndef PIXI_VERIFY_DEFLATE_H
#define PIXI_VERIFY_DEFLATE_H

#include "verify/http.h"

/* What is offered: no window of ours may be restricted, and the server keeps no context. */
#define PIXI_VDEFLATE_OFFER "permessage-deflate; server_no_context_takeover"

/* pixi_vdeflate_read_answer -- what a 101 says to that offer.
 *
 *   PIXI_OK                  agreed
 *   PIXI_MORE                declined
 *   PIXI_E_WS_EXTENSION      another extension, more than one, or not of the form of one (RFC 6455 §9.1)
 *   PIXI_E_WS_DEFLATE_NAME, _VALUE, _TWICE, _ASKED, _CONTEXT   §7, §7.1 */
int pixi_vdeflate_read_answer(const struct pixi_vhttp_head *h);

/* pixi_vdeflate_pack -- append the message, compressed, to b.   PIXI_OK | PIXI_E_NOMEM */
int pixi_vdeflate_pack(struct pixi_cur message, struct pixi_buf *b);

/* pixi_vdeflate_unpack -- append the message to b, whose ceiling is the message's.
 *   PIXI_OK | PIXI_E_WS_DEFLATE_DATA | PIXI_E_WS_TOO_BIG | PIXI_E_NOMEM */
int pixi_vdeflate_unpack(struct pixi_cur packed, struct pixi_buf *b);

#endif
