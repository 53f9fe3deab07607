/* envelope.h -- JSON-RPC 2.0: what one text frame holds. No I/O, no allocation. */
#ifndef PIXI_PROTO_RPC_ENVELOPE_H
#define PIXI_PROTO_RPC_ENVELOPE_H

#include "base/json.h"

enum {
    PIXI_RPC_DEPTH = 80,      /* a payload's 64 levels, and those of the envelope around it */
    PIXI_RPC_ID_MAX = 64,     /* bytes of an id as written, its quotes included */
    PIXI_RPC_BATCH_MAX = 1000 /* objects in a batch */
};

enum pixi_rpc_kind {
    PIXI_RPC_CALL,         /* method and id */
    PIXI_RPC_NOTIFICATION, /* method, no id */
    PIXI_RPC_RESULT,
    PIXI_RPC_ERROR,
};

/* Every slice is borrowed from the text; p == NULL: not there. */
struct pixi_rpc_msg {
    enum pixi_rpc_kind kind;
    struct pixi_cur id;     /* as written: a string with its quotes, or a number; in an ERROR perhaps null */
    struct pixi_cur method; /* without quotes; never escaped: one that is matches no method */
    struct pixi_cur params; /* as written: an object */
    struct pixi_cur value;  /* as written: the result, or the error object */
};

struct pixi_rpc_reader {
    struct pixi_json json;
    bool is_batch;
    size_t count; /* objects given so far */
};

/* pixi_rpc_open -- start reading a frame. The whole text is checked to be JSON first, so that no part of a batch is
 * acted upon when the text as such is broken.
 *
 *   bytes  borrowed until the last pixi_rpc_next
 *
 *   PIXI_OK            an object, or a batch of 1 .. PIXI_RPC_BATCH_MAX (r->is_batch)
 *   PIXI_E_RPC_PARSE   not JSON, or not UTF-8                                -32700
 *   PIXI_E_RPC_REQUEST neither object nor array, an empty batch, or one over the limit   -32600 */
int pixi_rpc_open(struct pixi_rpc_reader *r, const uint8_t *bytes, size_t len);

/* pixi_rpc_next -- the next object.                                 JSON-RPC 2.0 §4, §5
 *
 *   PIXI_OK             out is set
 *   PIXI_MORE           there is none left
 *   PIXI_E_RPC_REQUEST  this one is no request and no response (out->id is set where it could be told): answer it
 *                       with -32600 and go on with the next
 *
 * Members that JSON-RPC does not know are passed over; one that comes twice is refused. */
int pixi_rpc_next(struct pixi_rpc_reader *r, struct pixi_rpc_msg *out);

#endif
