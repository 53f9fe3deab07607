/* pixiws/error.h -- what a call answers, and what went wrong said so that a person can act on it.
 *
 *     struct pixi_error e;
 *     if (pixi_client_connect(c, -1, &e) != PIXI_RC_OK)
 *         fprintf(stderr, "%s: %s\n  fix: %s\n", e.layer, e.cause, e.fix);
 */
#ifndef PIXIWS_ERROR_H
#define PIXIWS_ERROR_H

#include <pixiws/version.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What calls answer: families, one for each thing a program does differently. 0 .. 14 are the exit codes of
 * pixi-ws-client (docs/exit-codes.md). The numbers never change; new ones may come. */
enum pixi_rc {
    PIXI_RC_OK = 0,
    PIXI_RC_FAILED = 1,   /* the server answered with an error that has no number of its own here */
    PIXI_RC_USAGE = 2,    /* the call itself is wrong: a bad topic, too early, too late. cause says */
    PIXI_RC_SETTINGS = 3, /* the settings are wrong: a line for each mistake in cause */
    PIXI_RC_NAME = 4,     /* the host's name cannot be looked up */
    PIXI_RC_CONNECT = 5,  /* nobody listens there, or no way leads there; the proxy */
    PIXI_RC_TLS = 6,      /* certificate, name, version, pin */
    PIXI_RC_UPGRADE = 7,  /* the server refused the WebSocket upgrade, or is none */
    PIXI_RC_KEY = 8,      /* the API key is not valid, or does not allow this */
    PIXI_RC_PROTOCOL = 9, /* the server broke the protocol, or says that this side did */
    PIXI_RC_TIMEOUT = 10, /* time is up */
    PIXI_RC_CLOSED = 11,  /* there is no connection any more: closed by the peer, or by pixi_client_close */
    PIXI_RC_NO_RESPONDER = 12, /* nobody answers requests on this topic */
    PIXI_RC_FULL = 13,         /* would block: the queue has no room now */
    PIXI_RC_INTERNAL = 14,     /* out of memory or descriptors */
    PIXI_RC_LOST = 20,         /* the connection was lost and is being made again: go on */
    PIXI_RC_TOO_LARGE = 21,    /* over limits.message_bytes, here or at the server */
};

/* Filled by the caller's call, whatever it answers; holds nothing that must be freed. Strings are UTF-8, end with a
 * NUL, may be printed (no control characters) and are never NULL. */
struct pixi_error {
    int rc;           /* enum pixi_rc, as the call answered */
    int code;         /* the exact error: a number of docs/errors.md, 0 for none */
    const char *name; /* its name there: "WS_PONG"; "OK". Static */
    const char
        *layer; /* "settings", "name", "tcp", "tls", "upgrade", "key", "protocol", "request", ... Static */
    const char *clause;  /* what the peer broke: "RFC 6455 §5.5"; "" where that is not it. Static */
    int is_final;        /* 1: trying again unchanged cannot help */
    uint16_t close_code; /* the peer's, 0: none came */
    uint32_t
        retry_after_ms; /* PIXI_RC_LOST: when it is tried again; else as the server asked, 0: it did not say */
    char reason[124];   /* the peer's close reason */
    char cause[2048];   /* what happened */
    char fix[640];      /* what to do about it */
    uint64_t reserved[8]; /* zero */
};

/* pixi_rc_name -- "TIMEOUT" for PIXI_RC_TIMEOUT; "UNKNOWN" for what this library does not know. Static. */
PIXI_API const char *pixi_rc_name(int rc);

/* pixi_rc_text -- one phrase: "time is up". Static. */
PIXI_API const char *pixi_rc_text(int rc);

#ifdef __cplusplus
}
#endif
#endif
