/* call.h -- the client's calls under way. Private to src/client. */
#ifndef PIXI_CLIENT_CALL_H
#define PIXI_CLIENT_CALL_H

#include "client/uplink.h"

struct pixi_uplink_call {
    struct pixi_uplink_call *next;
    struct pixi_uplink *client;
    uint64_t id;
    struct pixi_buf text; /* the whole frame's payload */
    enum pixi_uplink_resend resend;
    bool is_sent;
    struct pixi_timer timer;
    pixi_uplink_on_answer *on_answer;
    void *ctx;
    char what[24]; /* the method, for messages */
};

/* Sends what waits. */
void pixi_uplink_flush_calls(struct pixi_uplink *c);
/* The connection has gone: those sent once only fail, the others wait to be sent again. */
void pixi_uplink_unsend_calls(struct pixi_uplink *c, const struct pixi_failure *f);
/* Every call ends with this failure. */
void pixi_uplink_fail_calls(struct pixi_uplink *c, const struct pixi_failure *f);
/* Releases every call without a word. */
void pixi_uplink_drop_calls(struct pixi_uplink *c);
/* A response came. */
void pixi_uplink_answer_call(struct pixi_uplink *c, const struct pixi_rpc_msg *m);

#endif
