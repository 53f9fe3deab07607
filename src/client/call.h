/* call.h -- the client's calls under way. Private to src/client. */
#ifndef PIXI_CLIENT_CALL_H
#define PIXI_CLIENT_CALL_H

#include "client/client.h"

struct pixi_client_call {
    struct pixi_client_call *next;
    struct pixi_client *client;
    uint64_t id;
    struct pixi_buf text; /* the whole frame's payload */
    enum pixi_client_resend resend;
    bool is_sent;
    struct pixi_timer timer;
    pixi_client_on_answer *on_answer;
    void *ctx;
    char what[24]; /* the method, for messages */
};

/* Sends what waits. */
void pixi_client_flush_calls(struct pixi_client *c);
/* The connection has gone: those sent once only fail, the others wait to be sent again. */
void pixi_client_unsend_calls(struct pixi_client *c, const struct pixi_failure *f);
/* Every call ends with this failure. */
void pixi_client_fail_calls(struct pixi_client *c, const struct pixi_failure *f);
/* Releases every call without a word. */
void pixi_client_drop_calls(struct pixi_client *c);
/* A response came. */
void pixi_client_answer_call(struct pixi_client *c, const struct pixi_rpc_msg *m);

#endif
