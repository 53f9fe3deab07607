/* params.h -- the Pixi methods and notifications, and their parameters: one table. No I/O, no allocation. */
#ifndef PIXI_PROTO_RPC_PARAMS_H
#define PIXI_PROTO_RPC_PARAMS_H

#include "proto/rpc/envelope.h"

enum pixi_rpc_method {
    /* client to server */
    PIXI_RPC_PUBLISH,
    PIXI_RPC_SUBSCRIBE,
    PIXI_RPC_UNSUBSCRIBE,
    PIXI_RPC_REQUEST,
    PIXI_RPC_REPLY,
    PIXI_RPC_HISTORY,
    PIXI_RPC_PING,
    PIXI_RPC_INFO,
    /* server to client */
    PIXI_RPC_MESSAGE,
    PIXI_RPC_SYNCED,
    PIXI_RPC_UNSUBSCRIBED,
    PIXI_RPC_GOING_AWAY,
    /* program to daemon, on the local socket only */
    PIXI_RPC_STATUS,
    PIXI_RPC_REJECTED,
    /* daemon to program */
    PIXI_RPC_STORED,
    PIXI_RPC_GAP,
    PIXI_RPC_METHODS,
};

enum { PIXI_RPC_SINCE_MAX = 16, PIXI_RPC_DETAIL = 128, PIXI_RPC_BATCH_MS_MAX = 10000 };

struct pixi_rpc_position {
    uint64_t epoch, offset;
};

/* What was there: bits of pixi_rpc_params.seen. */
enum {
    PIXI_RPC_HAS_TOPIC = 1 << 0,
    PIXI_RPC_HAS_FILTER = 1 << 1,
    PIXI_RPC_HAS_PAYLOAD = 1 << 2, /* payload or payload_base64 */
    PIXI_RPC_HAS_RETAIN = 1 << 3,
    PIXI_RPC_HAS_EXPIRY = 1 << 4,
    PIXI_RPC_HAS_HEADERS = 1 << 5,
    PIXI_RPC_HAS_KEY = 1 << 6,
    PIXI_RPC_HAS_SINCE = 1 << 7,
    PIXI_RPC_HAS_RETAINED = 1 << 8,
    PIXI_RPC_HAS_TIMEOUT = 1 << 9,
    PIXI_RPC_HAS_REQUEST = 1 << 10,
    PIXI_RPC_HAS_ERROR = 1 << 11,
    PIXI_RPC_HAS_LIMIT = 1 << 12,
    PIXI_RPC_HAS_EPOCH = 1 << 13,
    PIXI_RPC_HAS_OFFSET = 1 << 14,
    PIXI_RPC_HAS_TIME = 1 << 15,
    PIXI_RPC_HAS_RECONNECT = 1 << 16,
    PIXI_RPC_HAS_RECOVERED = 1 << 17,
    PIXI_RPC_HAS_MORE = 1 << 18,
    PIXI_RPC_HAS_MESSAGES = 1 << 19,
    PIXI_RPC_HAS_BATCH = 1 << 20,
    PIXI_RPC_HAS_LATEST = 1 << 21,
    PIXI_RPC_HAS_PRIORITY = 1 << 22,
    PIXI_RPC_HAS_ID = 1 << 23, /* id, or queued */
};

/* Parameters of any method. Slices borrow from the text, in which strings were unescaped in place. */
struct pixi_rpc_params {
    unsigned seen;
    struct pixi_cur topic, filter;
    struct pixi_cur payload;  /* bytes: JSON's exact source, or what base64 held */
    struct pixi_cur headers;  /* repeated: u16 big-endian length, name, u16 big-endian length, value */
    struct pixi_cur error;    /* an object as written */
    struct pixi_cur messages; /* of a `history` result: an array as written */
    bool is_json;             /* payload came as `payload`, not as `payload_base64` */
    bool retain, retained, recovered, more, latest;
    uint64_t expiry_s, timeout_ms, limit, request, time_ms, reconnect_ms, batch_ms;
    struct pixi_rpc_position position;
    uint8_t producer[16];
    uint64_t seq, low, after; /* after 0: none */
    uint64_t priority, id;    /* of the daemon's outbox */
    struct pixi_rpc_position since[PIXI_RPC_SINCE_MAX];
    size_t since_count;
    char detail[PIXI_RPC_DETAIL]; /* on an error: what is wrong, for people */
};

/* pixi_rpc_method -- which one is it?   PIXI_OK | PIXI_E_RPC_METHOD (-32601) */
int pixi_rpc_method(struct pixi_cur name, enum pixi_rpc_method *out);
const char *pixi_rpc_method_name(enum pixi_rpc_method m);

/* pixi_rpc_params_read -- read a method's parameters.
 *
 *   text  the params member as written (p == NULL: none were sent), in memory that may be changed: strings are
 *         unescaped where they lie, so the text is read once only
 *
 *   PIXI_OK
 *   PIXI_E_RPC_PARAMS  one unknown, missing, twice, or of the wrong type or range; out->detail says which  -32602 */
int pixi_rpc_params_read(enum pixi_rpc_method m, struct pixi_cur text, struct pixi_rpc_params *out);

/* pixi_rpc_local_read -- the same on the daemon's local socket, where some methods take more. */
int pixi_rpc_local_read(enum pixi_rpc_method m, struct pixi_cur text, struct pixi_rpc_params *out);

/* pixi_rpc_result_read -- the same for the result of a call: its members are read by name, unknown ones passed over. */
int pixi_rpc_result_read(struct pixi_cur text, struct pixi_rpc_params *out);

/* pixi_rpc_headers_next -- the next header of the neutral form. false when there is none left. */
bool pixi_rpc_headers_next(struct pixi_cur *rest, struct pixi_cur *name, struct pixi_cur *value);

#endif
