/* failure.h -- what went wrong, said so that a person can act: layer, cause, fix, and the exit code for scripts. */
#ifndef PIXI_CLIENT_FAILURE_H
#define PIXI_CLIENT_FAILURE_H

#include "base/exit.h"
#include "link/link.h"

enum { PIXI_FAILURE_TEXT = 640 };

struct pixi_failure {
    int err; /* PIXI_E_*; PIXI_OK: nothing failed */
    int exit_code;
    const char *layer;       /* "name", "tcp", "upgrade", "key", "protocol", "request", ... Static */
    bool is_final;           /* trying again unchanged cannot help */
    uint32_t retry_after_ms; /* as the server asked; 0: it did not say */
    uint16_t close_code;     /* the peer's; 0: none */
    char reason[PIXI_WS_REASON_MAX + 1]; /* the peer's close reason, escaped */
    char cause[PIXI_FAILURE_TEXT], fix[PIXI_FAILURE_TEXT];
};

/* What was being reached, for the texts. Borrowed. */
struct pixi_failure_at {
    const char *host;
    uint16_t port;
    const char *target;
    const char *key_from;     /* where the key came from; NULL: no key */
    const char *key_kept_for; /* as in struct pixi_settings */
    const char *protocol;     /* the subprotocol that was asked for; NULL: pixi.v1 */
};

/* pixi_failure_escape -- text that a peer may have had a hand in, as it may be printed: control characters, and bytes
 * that are not UTF-8, as \xHH; what does not fit into size is left out. */
void pixi_failure_escape(const char *text, char *out, size_t size);

/* pixi_failure_say -- a cause or fix; what a peer said may be in it: it is escaped. */
void pixi_failure_say(char out[PIXI_FAILURE_TEXT], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* pixi_failure_key_fix -- what to do about a key that is not accepted. */
void pixi_failure_key_fix(char out[PIXI_FAILURE_TEXT], const struct pixi_failure_at *at);

/* pixi_failure_dial -- name, TCP or proxy: text is pixi_dial's. */
struct pixi_failure pixi_failure_dial(int err, const struct pixi_failure_at *at, const char *text);

/* pixi_failure_daemon -- this machine's daemon does not answer at its socket. */
struct pixi_failure pixi_failure_daemon(const char *path, int sys_errno);

/* pixi_failure_refused -- the server answered the upgrade with another status than 101. */
struct pixi_failure pixi_failure_refused(const struct pixi_failure_at *at, const struct pixi_http_head *head,
                                         struct pixi_cur body);

/* pixi_failure_end -- a link ended as its on_close says. */
struct pixi_failure pixi_failure_end(const struct pixi_failure_at *at, const struct pixi_link_end *end,
                                     const struct pixi_link *link);

/* pixi_failure_call -- a call was answered with an error, or not at all. detail: the server's words, may be empty. */
struct pixi_failure pixi_failure_call(int err, const char *what, struct pixi_cur detail);

/* pixi_failure_no_answer -- what the server answered to a call is no answer. */
struct pixi_failure pixi_failure_no_answer(const char *what, const char *detail);

/* pixi_failure_local -- something on this machine. */
struct pixi_failure pixi_failure_local(int err, const char *what);

#endif
