/* verify.h -- proves that a WebSocket or Pixi endpoint works, and says what to fix where it does not.
 *
 * A second, independent reading of RFC 6455, JSON-RPC 2.0 and the Pixi protocol: nothing here comes from proto/. */
#ifndef PIXI_VERIFY_VERIFY_H
#define PIXI_VERIFY_VERIFY_H

#include "net/proxy.h"
#include "net/tls.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Everything is borrowed for the duration of pixi_verify_run. Times of 0 mean the default. */
struct pixi_verify_settings {
    const char *url;     /* ws:// or wss://host[:port][/path][?query] */
    const char *api_key; /* NULL: none. Never shown */
    const char
        *key_origin; /* where the key came from, for messages: "config/api_key"; NULL: "the settings" */
    const char *
        key_kept_for; /* no key, but the settings have one for this other server, "127.0.0.1:8768"; NULL: none */
    const char *settings_file;      /* for messages: "config/websocket_settings.json"; NULL: "the settings" */
    bool allow_plaintext;           /* the key may travel over ws:// to another machine */
    bool quick;                     /* stop after ping, and send nothing invalid */
    const struct pixi_proxy *proxy; /* to go through; NULL: none */
    struct pixi_tls_options tls;    /* for wss://; its role is of no account */
    struct pixi_tls_peer tls_for;   /* whose certificate; name NULL: the URL's host */
    uint32_t connect_ms, tls_ms, upgrade_ms, request_ms, close_ms; /* 5,000 each, close_ms 3,000 */
    const volatile sig_atomic_t *stop;                             /* NULL, or set to non-zero to end soon */
    /* Called again and again while a check waits; deadline_ms: until when, by pixi_clock_mono_ms. NULL: nothing is. */
    void (*on_wait)(void *ctx, uint64_t deadline_ms);
    void *ctx; /* for on_wait */
};

struct pixi_verify; /* a verification under way: check.h */

enum pixi_verify_verdict { PIXI_VERIFY_PASSED, PIXI_VERIFY_FAILED, PIXI_VERIFY_SKIPPED };

enum { PIXI_VERIFY_TEXT = 640 }; /* bytes of a text, NUL included */

/* One check's result. Texts are UTF-8 without line breaks, "" where they do not apply. */
struct pixi_verify_result {
    const char *id, *title; /* of the table's row. Static */
    /* settings name tcp proxy tls upgrade key request publish ping close protocol reconnect */
    const char *layer;
    enum pixi_verify_verdict verdict;
    int exit_code;      /* of a failed one: base/exit.h */
    uint64_t us;        /* what it took */
    const char *clause; /* of a failed one: what was broken, "RFC 6455 §5.5.2", or "". Static */
    char measured[PIXI_VERIFY_TEXT];
    char cause[PIXI_VERIFY_TEXT], fix[PIXI_VERIFY_TEXT]; /* of a failed one */
    char reason[PIXI_VERIFY_TEXT];                       /* of a skipped one */
    char warning[PIXI_VERIFY_TEXT];  /* of a passed one: what will fail one day, and what to do; or "" */
    const struct pixi_tls_info *tls; /* of "tls" when it has passed: what was agreed; NULL. Borrowed */
};

struct pixi_verify_summary {
    unsigned passed, failed, skipped, warnings;
    int exit_code;            /* 0, or that of the first failed row; 1 when stopped before any failed */
    const char *first_failed; /* its id; NULL. Static */
    const char *first_layer;  /* its layer; NULL. Static */
    bool is_stopped;
    uint64_t us;
};

/* A row of the table of checks: what can be run, in this order. */
struct pixi_verify_row {
    const char *id, *layer, *title;
    unsigned needs; /* PIXI_FACT_* bits: check.h */
    unsigned flags; /* PIXI_VERIFY_QUICK | PIXI_VERIFY_INVALID */
    void (*run)(struct pixi_verify *v);
};

enum {
    PIXI_VERIFY_QUICK = 1,   /* also run by a quick verification */
    PIXI_VERIFY_INVALID = 2, /* sends what no client may send */
};

/* Who listens. Embedded in what reports; each may be NULL. */
struct pixi_verify_report {
    void (*on_start)(struct pixi_verify_report *, const struct pixi_verify_row *);
    /* borrows the result until it returns */
    void (*on_result)(struct pixi_verify_report *, const struct pixi_verify_result *);
    void (*on_end)(struct pixi_verify_report *, const struct pixi_verify_summary *);
};

/* pixi_verify_table -- the rows, in order. Static. */
const struct pixi_verify_row *pixi_verify_table(size_t *count);

/* pixi_verify_run -- run every check that applies; nothing is left running or open.
 * Every wait has a deadline.
 * PIXI_OK (out is set, whatever the verdict) | PIXI_E_NOMEM | PIXI_E_SYS (nothing was run) */
int pixi_verify_run(const struct pixi_verify_settings *s, struct pixi_verify_report *report,
                    struct pixi_verify_summary *out);

/* pixi_verify_url_shown -- url as it may be shown: what stands before an '@' is left out.
 * out gets at most len bytes, NUL included. */
void pixi_verify_url_shown(const char *url, char *out, size_t len);

#endif
