/* put.h -- writing JSON-RPC: calls, notifications, results, errors. Errors stick in the buffer (buf.h). */
#ifndef PIXI_PROTO_RPC_PUT_H
#define PIXI_PROTO_RPC_PUT_H

#include "proto/rpc/params.h"

enum { PIXI_RPC_PAYLOAD_DEPTH = 64 };

/* The opening of `{"jsonrpc":"2.0","method":m,"params":{`; members follow, then pixi_rpc_end_call. */
void pixi_rpc_begin_call(struct pixi_buf *b, struct pixi_json_out *w, const char *method);

/* Closes params and the object; id 0: a notification. */
void pixi_rpc_end_call(struct pixi_json_out *w, uint64_t id);

/* `{"jsonrpc":"2.0","id":id,"result":`, or another member ("error"); one value follows, then pixi_rpc_end_answer. */
void pixi_rpc_begin_answer(struct pixi_buf *b, struct pixi_json_out *w, struct pixi_cur id,
                           const char *member);
void pixi_rpc_end_answer(struct pixi_json_out *w);

/* pixi_rpc_put_error -- a whole error response.
 *   id      as written in the call; p == NULL: null
 *   err     PIXI_E_*: gives the code and the message
 *   detail  more words for the message, or NULL; UTF-8
 *   retry_after_ms  data.retry_after_ms, when not 0 */
void pixi_rpc_put_error(struct pixi_buf *b, struct pixi_cur id, int err, const char *detail,
                        uint64_t retry_after_ms);

/* pixi_rpc_put_error_value -- only the error object, `{"code":…,"message":…}`. */
void pixi_rpc_put_error_value(struct pixi_json_out *w, int err, const char *detail, uint64_t retry_after_ms);

/* pixi_rpc_code -- JSON-RPC's number for an error of ours; -32603 for one that has none.
 * pixi_rpc_err -- and back; PIXI_E_RPC_ERROR for a number that we do not know. */
int pixi_rpc_code(int err);
int pixi_rpc_err(int64_t code);

/* pixi_rpc_is_json -- may these bytes travel as `payload`: one JSON value, at most 64 deep, no raw line breaks,
 * and no blanks around it, which the reader of the message would lose? */
bool pixi_rpc_is_json(struct pixi_cur payload);

/* Members of an object. put_payload writes `payload` when is_json, else `payload_base64`. */
void pixi_rpc_put_payload(struct pixi_json_out *w, struct pixi_cur payload, bool is_json);
void pixi_rpc_put_headers(struct pixi_json_out *w, struct pixi_cur headers);     /* nothing when empty */
void pixi_rpc_put_position(struct pixi_json_out *w, struct pixi_rpc_position p); /* epoch and offset */
/* since: a list of positions; nothing when empty. */
void pixi_rpc_put_since(struct pixi_json_out *w, const struct pixi_rpc_position *positions, size_t count);
/* key of a publish; producer is a UUID as text, after 0: none. */
void pixi_rpc_put_key(struct pixi_json_out *w, const char *producer, uint64_t seq, uint64_t low,
                      uint64_t after);
void pixi_rpc_put_hex(struct pixi_json_out *w, const char *name, uint64_t v);

#endif
