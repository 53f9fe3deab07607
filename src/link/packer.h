/* packer.h -- the compression that the links of a loop share: one inflater, one deflater, and what they gain. RFC 7692.
 *
 * Nothing is taken over from one message to the next, so nothing of it belongs to a connection: the memory is the same for
 * one and for ten thousand. It is taken when it is first needed. */
#ifndef PIXI_LINK_PACKER_H
#define PIXI_LINK_PACKER_H

#include "base/buf.h"
#include "proto/ws/deflate.h"
#include "proto/ws/frame.h"

#include <stdbool.h>

/* What is used where no settings say otherwise: from so many bytes on half of a JSON text is saved. */
enum { PIXI_PACKER_MIN = 512, PIXI_PACKER_LEVEL = 3 };

/* Messages of connections that agreed on compression, one direction. */
struct pixi_gain {
    uint64_t messages, packed; /* all, and those that went compressed */
    uint64_t before, after;    /* bytes of all: as they are, and as they went over the connection */
};

/* Stays where it is: zlib holds on to it. */
struct pixi_packer {
    uint64_t min_bytes; /* shorter messages are not compressed */
    unsigned level;     /* PIXI_WS_LEVEL_MIN .. _MAX */
    bool can_inflate, can_deflate;
    struct pixi_ws_inflater inflater; /* with can_inflate */
    struct pixi_ws_deflater deflater; /* with can_deflate */
    struct pixi_buf scratch;          /* the message that was compressed last, of one link */
    size_t zlib_bytes;                /* memory that zlib has now */
    size_t link_count;                /* open links that agreed on compression */
    uint64_t packed_count; /* messages that were compressed, each once however many links it went to */
    struct pixi_gain sent, received;
};

/* pixi_packer_init -- allocates nothing. */
void pixi_packer_init(struct pixi_packer *p, uint64_t min_bytes, unsigned level);
void pixi_packer_clear(struct pixi_packer *p);

/* pixi_packer_set -- from now on. */
void pixi_packer_set(struct pixi_packer *p, uint64_t min_bytes, unsigned level);

/* pixi_packer_memory -- bytes that it holds now, besides itself. */
size_t pixi_packer_memory(const struct pixi_packer *p);

/* pixi_packer_pack -- adds the compressed form of these pieces, one message, to out.
 *   PIXI_OK
 *   PIXI_E_LIMIT  it would not get smaller, or is shorter than min_bytes; out is as it was
 *   PIXI_E_NOMEM  out is as it was, and has no error */
int pixi_packer_pack(struct pixi_packer *p, const struct pixi_cur *pieces, size_t count,
                     struct pixi_buf *out);

/* pixi_packer_unpack -- adds the message to out, whose ceiling is message_max + 1 at least; text is checked on the way.
 *   PIXI_OK | PIXI_E_WS_TOO_BIG | PIXI_E_WS_DEFLATE_DATA | PIXI_E_WS_UTF8 | PIXI_E_NOMEM
 * After an error out has no meaning. */
int pixi_packer_unpack(struct pixi_packer *p, enum pixi_ws_opcode type, struct pixi_cur packed,
                       uint64_t message_max, struct pixi_buf *out);

/* pixi_gain_count -- one message more. */
static inline void pixi_gain_count(struct pixi_gain *g, uint64_t before, uint64_t after, bool is_packed)
{
    g->messages++;
    g->packed += is_packed;
    g->before += before;
    g->after += after;
}

#endif
