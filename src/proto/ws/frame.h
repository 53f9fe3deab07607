/* frame.h -- WebSocket frame headers and masking, RFC 6455 §5. No I/O, no allocation. */
#ifndef PIXI_PROTO_WS_FRAME_H
#define PIXI_PROTO_WS_FRAME_H

#include "base/cur.h"
#include "base/err.h"
#include "base/role.h"

enum { PIXI_WS_HEAD_MAX = 14, PIXI_WS_CONTROL_MAX = 125 }; /* bytes */

enum pixi_ws_opcode {
    PIXI_WS_CONTINUATION = 0,
    PIXI_WS_TEXT = 1,
    PIXI_WS_BINARY = 2,
    PIXI_WS_CLOSE = 8,
    PIXI_WS_PING = 9,
    PIXI_WS_PONG = 10,
};

struct pixi_ws_frame {
    uint64_t payload_len; /* bytes, 0 .. 2^63-1 */
    uint8_t opcode;       /* enum pixi_ws_opcode */
    uint8_t mask[4];      /* all zero when the sender is a server */
    bool is_final;
    bool is_compressed; /* RSV1, on the first frame of a message */
};

/* What RSV1 may mean on this connection. RFC 7692 §6. */
enum pixi_ws_packing { PIXI_WS_PLAIN, PIXI_WS_DEFLATED };

/* pixi_ws_frame_decode -- read one frame header.                    RFC 6455 §5.2
 *
 *   in    received bytes; moved past the header on PIXI_OK, untouched otherwise
 *   from  who sent them: PIXI_CLIENT must mask, PIXI_SERVER must not (§5.1)
 *   may   PIXI_WS_DEFLATED: permessage-deflate was agreed on
 *   out   written on PIXI_OK only; holds no pointers
 *
 *   PIXI_OK                2 .. PIXI_WS_HEAD_MAX bytes consumed; the payload follows
 *   PIXI_MORE              call again with the same bytes plus at least one more
 *   PIXI_E_WS_RSV          a reserved bit is set (§5.2)                                   close 1002
 *   PIXI_E_WS_OPCODE       opcode 3-7 or 11-15 (§5.2)                                     close 1002
 *   PIXI_E_WS_DEFLATE_BIT  RSV1 on a control or continuation frame (RFC 7692 §6.1)        close 1002
 *   PIXI_E_WS_CONTROL      control frame fragmented or over 125 bytes (§5.5)              close 1002
 *   PIXI_E_WS_MASK         mask bit wrong for `from` (§5.1)                               close 1002
 *   PIXI_E_WS_LEN          not the shortest form, or bit 63 set (§5.2)                    close 1002
 *
 * An error is final: more bytes never change it. Message-size limits are the
 * reader's (reader.h), because only it knows how much of the message came before. */
int pixi_ws_frame_decode(struct pixi_cur *in, enum pixi_role from, enum pixi_ws_packing may,
                         struct pixi_ws_frame *out);

/* pixi_ws_frame_encode -- write the header that announces f.        RFC 6455 §5.2
 *
 *   from  PIXI_CLIENT: f->mask is written, and the payload must be masked with it
 *   out   PIXI_WS_HEAD_MAX bytes of room
 *
 * Returns how many bytes were written, 2 .. PIXI_WS_HEAD_MAX: always the shortest form. */
size_t pixi_ws_frame_encode(const struct pixi_ws_frame *f, enum pixi_role from, uint8_t *out);

/* pixi_ws_mask -- mask or unmask in place.                          RFC 6455 §5.3
 *
 *   at   offset of bytes[0] in the frame's payload: where in the mask to begin */
void pixi_ws_mask(uint8_t *bytes, size_t len, const uint8_t mask[4], uint64_t at);

/* The same a byte at a time: the reading that the fast one is held equal to. */
void pixi_ws_mask_scalar(uint8_t *bytes, size_t len, const uint8_t mask[4], uint64_t at);

#endif
