/* session.h -- pixi.v1 as a verifier speaks it: calls, their answers, and the messages that come in between.
 * JSON-RPC 2.0, docs/protocol.md. */
#ifndef PIXI_VERIFY_SESSION_H
#define PIXI_VERIFY_SESSION_H

#include "verify/check.h"
#include "base/member.h"

enum { PIXI_SESSION_INBOX = 2 << 20, PIXI_SESSION_TOPIC = 128 };

struct pixi_session {
    struct pixi_peer peer;
    uint64_t last_id;
    struct pixi_buf
        inbox;       /* notifications that came while an answer was awaited: one after another, each with
                                 its length before it */
    size_t inbox_at; /* bytes of it that were taken */
    struct pixi_buf answer; /* given last */
};

/* What a call came to. */
struct pixi_answer {
    bool is_error;
    int64_t code;             /* of an error */
    char message[PIXI_SHOWN]; /* of an error, to be shown */
    struct pixi_cur result;   /* source bytes; borrowed until the session's next call */
};

/* A `message` notification. Slices borrow until the session's next call. */
struct pixi_note {
    char topic[PIXI_SESSION_TOPIC], filter[PIXI_SESSION_TOPIC]; /* "" where there is none */
    struct pixi_cur params;
    struct pixi_cur payload;        /* source bytes, empty where there is none */
    struct pixi_cur payload_base64; /* the string with its quotes, empty where there is none */
    struct pixi_cur epoch, offset;  /* source bytes, empty where there are none */
    struct pixi_cur request;        /* the same: to reply to */
};

/* pixi_session_open -- false: the failure is told, nothing is open. */
bool pixi_session_open(struct pixi_verify *v, struct pixi_session *s);
void pixi_session_close(struct pixi_session *s);
void pixi_session_abort(struct pixi_session *s);

/* pixi_session_send -- send a call without waiting; params: printf's, one JSON object. Its id. */
uint64_t pixi_session_send(struct pixi_session *s, const char *method, const char *params, ...)
    __attribute__((format(printf, 3, 4)));

/* pixi_session_answer -- wait for the answer to id, request_ms at most. false: the failure is told. */
bool pixi_session_answer(struct pixi_verify *v, struct pixi_session *s, uint64_t id, const char *method,
                         struct pixi_answer *out);

/* pixi_session_result -- the same, where only a result will do: an error is told as a failure. */
bool pixi_session_result(struct pixi_verify *v, struct pixi_session *s, uint64_t id, const char *method,
                         struct pixi_answer *out);

/* pixi_session_results -- the same for count calls with ids from first on, whose answers come in any order. */
bool pixi_session_results(struct pixi_verify *v, struct pixi_session *s, uint64_t first, size_t count,
                          const char *method);

/* pixi_session_blame -- tell an error answer as a failure. */
void pixi_session_blame(struct pixi_verify *v, const struct pixi_answer *a, const char *method);

/* pixi_session_subscribe -- to a filter; since: the member with its comma, ", \"since\": …", or "".
 * false: the failure is told. */
bool pixi_session_subscribe(struct pixi_verify *v, struct pixi_session *s, const char *filter,
                            const char *since, struct pixi_answer *out);

/* pixi_session_publish -- and wait until it is committed; payload: a JSON value. false: the failure is told. */
bool pixi_session_publish(struct pixi_verify *v, struct pixi_session *s, const char *topic,
                          const char *payload);

/* pixi_session_note -- the next message, request_ms at most. false: the failure is told. */
bool pixi_session_note(struct pixi_verify *v, struct pixi_session *s, const char *awaited,
                       struct pixi_note *out);

/* pixi_session_has_note -- is a message there already, its topic in out? Waits for none. */
bool pixi_session_has_note(struct pixi_session *s, struct pixi_note *out);

#endif
