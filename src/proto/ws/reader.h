/* reader.h -- a stream of bytes in, messages and control frames out. RFC 6455 §5, §6.2, §8.1. No I/O, no allocation:
 * payload is unmasked where it lies, and handed on in the pieces in which it came. What is compressed is handed on so. */
#ifndef PIXI_PROTO_WS_READER_H
#define PIXI_PROTO_WS_READER_H

#include "base/utf8.h"
#include "proto/ws/frame.h"

enum pixi_ws_event_type {
    PIXI_WS_EVENT_DATA, /* a piece of a message, possibly empty, possibly the whole */
    PIXI_WS_EVENT_PING,
    PIXI_WS_EVENT_PONG,
    PIXI_WS_EVENT_CLOSE,
};

struct pixi_ws_event {
    enum pixi_ws_event_type type;
    enum pixi_ws_opcode message; /* DATA: PIXI_WS_TEXT or PIXI_WS_BINARY */
    bool is_first, is_last;      /* DATA: of its message */
    bool is_compressed;          /* DATA: to be inflated, and text to be checked then */
    uint8_t *bytes;              /* DATA: in the input; control frames: in the reader. Until the next call */
    size_t len;
    uint16_t code;          /* CLOSE: PIXI_WS_CLOSE_NONE when the peer gave none */
    struct pixi_cur reason; /* CLOSE; valid UTF-8 */
};

struct pixi_ws_reader {
    enum pixi_role from;
    uint8_t state;          /* private to reader.c */
    uint8_t head_len;       /* of a header cut short */
    uint8_t control_len;    /* of a control payload so far */
    uint8_t message_opcode; /* of the message under way, 0 for none */
    bool is_started;        /* a piece of it was handed on */
    bool is_compressed;     /* it is */
    uint8_t may;            /* enum pixi_ws_packing */
    uint64_t message_max;   /* bytes */
    uint64_t message_len;   /* announced so far, all its frames */
    uint64_t left;          /* of the frame's payload */
    uint64_t offset;        /* bytes read, ever */
    struct pixi_ws_frame frame;
    struct pixi_utf8 utf8;
    struct pixi_fault fault; /* err is PIXI_OK while there is none */
    uint8_t head[PIXI_WS_HEAD_MAX];
    uint8_t control[PIXI_WS_CONTROL_MAX];
};

/* pixi_ws_reader_init -- read what `from` sends after the handshake; messages of up to message_max bytes, which compressed
 * ones may take as well (pixi_ws_deflate_bound). */
void pixi_ws_reader_init(struct pixi_ws_reader *r, enum pixi_role from, enum pixi_ws_packing may,
                         uint64_t message_max);

/* pixi_ws_reader_next -- the next event.
 *
 *   in, end  received bytes: *in is moved past what was read (all of it on PIXI_MORE), and payload is unmasked in place
 *
 *   PIXI_OK              out is set; call again before reading more from the peer
 *   PIXI_MORE            nothing left to report: feed the bytes that come next
 *   PIXI_E_WS_RSV, _OPCODE, _DEFLATE_BIT, _CONTROL, _MASK, _LEN     as pixi_ws_frame_decode
 *   PIXI_E_WS_FRAGMENT   continuation without a start, or a start inside a message (§5.4)     close 1002
 *   PIXI_E_WS_TOO_BIG    told by the header, before any of the payload (§10.4)                close 1009
 *   PIXI_E_WS_UTF8       told at the first byte that cannot be right (§8.1)                   close 1007
 *   PIXI_E_WS_CLOSE_LEN, _CODE, _UTF8                 as pixi_ws_close_decode
 *
 * An error is final, r->fault tells where; so is a close frame: what comes after it is passed over. Every way of
 * cutting the stream gives the same events, pieces of one message joined. */
int pixi_ws_reader_next(struct pixi_ws_reader *r, uint8_t **in, uint8_t *end, struct pixi_ws_event *out);

/* pixi_ws_reader_is_idle -- between messages and frames: the peer could go here and cut nothing short. */
bool pixi_ws_reader_is_idle(const struct pixi_ws_reader *r);

#endif
