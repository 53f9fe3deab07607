/* call.h -- the client's calls under way. Private to src/client. */
#ifndef PIXI_CLIENT_CALL_H
#define PIXI_CLIENT_CALL_H

#include "client/uplink.h"

/* How a call is sent. */
enum pixi_uplink_resend {
    PIXI_UPLINK_ONCE, /* fails when the connection ends before the answer */
    PIXI_UPLINK_RAW, /* the same, sent or not, if it was made while there was one; its answer is handed on as written */
    PIXI_UPLINK_RESEND, /* sent again after reconnecting: only for what the server does once, however often it hears it */
};

struct pixi_uplink_call {
    struct pixi_uplink_call *next;
    struct pixi_uplink *client;
    uint64_t id;
    struct pixi_buf text; /* the whole frame's payload */
    enum pixi_uplink_resend resend;
    bool is_sent;
    bool is_bound; /* to the connection that there was when it was made */
    bool is_over;  /* nothing is waited for: it is told from the loop, as err says */
    int err;
    /* mqtt */
    uint16_t packet_id; /* 0: none yet */
    bool was_sent;      /* under this packet identifier */
    bool is_received;   /* QoS 2: PUBREC has come */
    struct pixi_timer timer;
    pixi_uplink_on_answer *on_answer;
    void *ctx;
    const char *what; /* the method, for messages. Static */
};

/* What c->frame holds is a call with the id c->last_id: sends it, or keeps it until there is a connection.
 * As pixi_uplink_publish. */
int pixi_uplink_add_call(struct pixi_uplink *c, const char *what, enum pixi_uplink_resend resend,
                         uint64_t timeout_ms, pixi_uplink_on_answer *on_answer, void *ctx);
/* It has ended, well or as err says (PIXI_E_WS_TOO_BIG, ...): told from the loop, not from inside this call. */
void pixi_uplink_end_call_soon(struct pixi_uplink_call *call, int err);
/* It was answered: on_answer, and it is gone. */
void pixi_uplink_end_call(struct pixi_uplink_call *call, const struct pixi_uplink_answer *answer);
void pixi_uplink_fail_call(struct pixi_uplink_call *call, const struct pixi_failure *f);

/* Sends what waits. */
void pixi_uplink_flush_calls(struct pixi_uplink *c);
/* One that the dialect held back may go, and those behind it: in order, up to the first that has to wait again. */
void pixi_uplink_resume_calls(struct pixi_uplink *c);
/* The connection has gone: those sent once only fail, the others wait to be sent again. */
void pixi_uplink_unsend_calls(struct pixi_uplink *c, const struct pixi_failure *f);
/* Every call ends with this failure. */
void pixi_uplink_fail_calls(struct pixi_uplink *c, const struct pixi_failure *f);
/* Releases every call without a word. */
void pixi_uplink_drop_calls(struct pixi_uplink *c);

#endif
