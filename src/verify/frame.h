/* frame.h -- WebSocket frames, read strictly, and written as wrongly as one asks for. RFC 6455 §5.2. */
#ifndef PIXI_VERIFY_FRAME_H
#define PIXI_VERIFY_FRAME_H

#include "base/buf.h"
#include "base/role.h"

enum {
    PIXI_VFRAME_CONTINUATION = 0,
    PIXI_VFRAME_TEXT = 1,
    PIXI_VFRAME_BINARY = 2,
    PIXI_VFRAME_CLOSE = 8,
    PIXI_VFRAME_PING = 9,
    PIXI_VFRAME_PONG = 10,
};

struct pixi_vframe {
    uint8_t opcode;
    bool is_final;
    bool is_compressed;      /* RSV1, on the first frame of a message */
    struct pixi_cur payload; /* borrows from what was read; still masked where a client sent it */
    uint8_t mask[4];         /* zero from a server */
};

/* Whether permessage-deflate was agreed on. */
enum pixi_vframe_packing { PIXI_VFRAME_PLAIN, PIXI_VFRAME_DEFLATED };

/* pixi_vframe_read -- one whole frame.
 *
 *   in    moved past the frame on PIXI_OK, untouched otherwise
 *   from  who sent it: PIXI_CLIENT must mask, PIXI_SERVER must not (§5.1)
 *   may   PIXI_VFRAME_DEFLATED: RSV1 may stand on the first frame of a message (RFC 7692 §6)
 *   max   payload bytes; a longer frame is refused at its header
 *
 *   PIXI_OK            out is set
 *   PIXI_MORE          the frame is not whole yet
 *   PIXI_E_WS_RSV      §5.2     PIXI_E_WS_OPCODE  §5.2    PIXI_E_WS_CONTROL  §5.5
 *   PIXI_E_WS_MASK     §5.1     PIXI_E_WS_LEN     §5.2    PIXI_E_WS_TOO_BIG  over max
 *   PIXI_E_WS_DEFLATE_BIT   RFC 7692 §6.1
 *
 * Of several faults the one in the earliest byte is told. */
int pixi_vframe_read(struct pixi_cur *in, enum pixi_role from, enum pixi_vframe_packing may, uint64_t max,
                     struct pixi_vframe *out);

/* What to write. All zero but for the opcode: a correct frame of a client. */
struct pixi_vframe_form {
    uint8_t opcode;    /* 0 .. 15 */
    bool is_continued; /* FIN is clear: more follows */
    uint8_t rsv;       /* 0 .. 7: RSV1 is 4 */
    bool is_unmasked;
    uint8_t len_width; /* bytes of the extended length, 2 or 8; 0: the shortest form */
};

/* pixi_vframe_put -- append one frame to b; mask: four random bytes. */
void pixi_vframe_put(struct pixi_buf *b, const struct pixi_vframe_form *form, const uint8_t mask[4],
                     struct pixi_cur payload);

/* pixi_vframe_unmask -- payload into out, as many bytes. The same as masking. */
void pixi_vframe_unmask(const struct pixi_vframe *f, uint8_t *out);

/* pixi_vframe_check_close -- a close frame's payload.                RFC 6455 §5.5.1, §7.4
 * PIXI_OK (code is set, 1005 where there is none) | PIXI_E_WS_CLOSE_LEN | _CLOSE_CODE | _CLOSE_UTF8 */
int pixi_vframe_check_close(struct pixi_cur payload, uint16_t *code, struct pixi_cur *text);

#endif
