/* deflate.h -- the payload of compressed messages. RFC 7692 §7.2. No I/O; the only memory is zlib's, which the caller gives.
 *
 * Nothing is kept from one message to the next, so one inflater and one deflater serve any number of connections, whose
 * messages go through them whole, one after the other. */
#ifndef PIXI_PROTO_WS_DEFLATE_H
#define PIXI_PROTO_WS_DEFLATE_H

#include "base/cur.h"
#include "base/err.h"

#include <zlib.h>
#undef OF /* zlib needs it no longer, and others have one of their own */

enum {
    PIXI_WS_DEFLATE_ROOM = 64, /* bytes of room at least that a piece is written to */
    PIXI_WS_DEFLATE_BITS =
        12, /* our window, 4,096 bytes: JSON gets as small as by one of 15 bits, short messages in half
                                  the time, and it fits clients that want theirs so short */
    PIXI_WS_LEVEL_MIN = 1,
    PIXI_WS_LEVEL_MAX = 9,
};

/* Where zlib's memory comes from: as calloc and free. */
struct pixi_ws_memory {
    void *(*get)(void *ctx, unsigned count, unsigned size); /* NULL: there is none */
    void (*give_back)(void *ctx, void *memory);
    void *ctx;
};

enum pixi_ws_end { PIXI_WS_GOES_ON, PIXI_WS_ENDS }; /* what stands behind the input that is given */

/* pixi_ws_deflate_bound -- the bytes that a message of len bytes may take when it does not get smaller: what a receiver has
 * to allow for, beyond the limit on messages. */
static inline uint64_t pixi_ws_deflate_bound(uint64_t len)
{
    return len < UINT64_MAX / 2 ? len + len / 8 + 64 : UINT64_MAX; /* no byte takes more than 9 bits */
}

/* --- inflating --------------------------------------------------------------------------------------------------- */

struct pixi_ws_inflater {
    z_stream z;
    uint64_t left;  /* bytes that the message may still have */
    int err;        /* of this message */
    bool is_ending; /* the bytes that the sender left out are being read */
    uint8_t tail_read;
};

/* pixi_ws_inflater_init -- about 40 kB of memory; zlib holds on to where the struct is, so it must stay there.   PIXI_OK | PIXI_E_NOMEM (nothing to clear) */
int pixi_ws_inflater_init(struct pixi_ws_inflater *i, const struct pixi_ws_memory *m);
void pixi_ws_inflater_clear(struct pixi_ws_inflater *i);

/* pixi_ws_inflater_begin -- a message, of up to message_max bytes; what there was of another is forgotten. */
void pixi_ws_inflater_begin(struct pixi_ws_inflater *i, uint64_t message_max);

/* pixi_ws_inflate -- go on with the message: reads from in, writes the next piece of it to out.    RFC 7692 §7.2.2
 *
 *   in    compressed bytes; moved past what was read
 *   end   PIXI_WS_ENDS: the message has no bytes behind these
 *   out   room bytes, 1 at least
 *   len   what was written
 *
 *   PIXI_OK                 that was the last piece
 *   PIXI_MORE               either in is used up, or out is full: call again
 *   PIXI_E_WS_TOO_BIG       the message is over message_max; never more than that was written        close 1009
 *   PIXI_E_NOMEM            in the first message that is longer than a piece: then the window is taken
 *   PIXI_E_WS_DEFLATE_DATA  not DEFLATE, or it ends inside a block                                   close 1007
 *
 * An error is final until the next begin. Every way of cutting input and room gives the same bytes. */
int pixi_ws_inflate(struct pixi_ws_inflater *i, struct pixi_cur *in, enum pixi_ws_end end, uint8_t *out,
                    size_t room, size_t *len);

/* --- deflating --------------------------------------------------------------------------------------------------- */

struct pixi_ws_deflater {
    z_stream z;
    uint8_t held[4]; /* written last: perhaps the bytes that are to be left out */
    uint8_t held_len;
};

/* pixi_ws_deflater_init -- about 160 kB of memory; level PIXI_WS_LEVEL_MIN (fast) .. _MAX (small). The struct must stay
 * where it is.
 *   PIXI_OK | PIXI_E_NOMEM (nothing to clear) */
int pixi_ws_deflater_init(struct pixi_ws_deflater *d, unsigned level, const struct pixi_ws_memory *m);
void pixi_ws_deflater_clear(struct pixi_ws_deflater *d);

/* pixi_ws_deflater_begin -- a message; what there was of another is forgotten. */
void pixi_ws_deflater_begin(struct pixi_ws_deflater *d);

/* pixi_ws_deflate -- go on with the message: reads from in, writes the next piece of it to out.    RFC 7692 §7.2.1
 *
 *   in    of the message; moved past what was read
 *   end   PIXI_WS_ENDS: the message has no bytes behind these
 *   out   room bytes, PIXI_WS_DEFLATE_ROOM at least
 *   len   what was written
 *
 *   PIXI_OK    that was the last piece
 *   PIXI_MORE  either in is used up, or out is full: call again, with the same end
 *
 * What inflates it needs a window of PIXI_WS_DEFLATE_BITS; for a message of up to 2^N bytes one of N bits does. */
int pixi_ws_deflate(struct pixi_ws_deflater *d, struct pixi_cur *in, enum pixi_ws_end end, uint8_t *out,
                    size_t room, size_t *len);

#endif
