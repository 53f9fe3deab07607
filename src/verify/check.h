/* check.h -- what the checks share: the verification under way, its facts, and how a check says its verdict. */
#ifndef PIXI_VERIFY_CHECK_H
#define PIXI_VERIFY_CHECK_H

#include "base/exit.h"
#include "verify/peer.h"
#include "verify/url.h"
#include "verify/verify.h"

/* What has been found out. A row needs some; the first that is missing, in this order, is why it is skipped.
 * X(name, why a row that needs it is skipped) */
#define PIXI_FACTS(X)                                                                                        \
    X(URL, "the settings check failed")                                                                      \
    X(ADDRESS, "the host name was not found")                                                                \
    X(KEY_SAFE, "the API key would travel in clear")                                                         \
    X(TCP, "there is no TCP connection")                                                                     \
    X(THROUGH, "the proxy does not let us through")                                                          \
    X(STREAM, "TLS failed")                                                                                  \
    X(TLS, "ws:// has no TLS")                                                                               \
    X(UPGRADED, "the upgrade failed")                                                                        \
    X(PIXI, "this endpoint does not speak pixi.v1")                                                          \
    X(HAS_KEY, "there is no API key to send")                                                                \
    X(ADMITTED, "the API key was not accepted")                                                              \
    X(CALLS, "the server answered no call")                                                                  \
    X(PUBLISHES, "publish and subscribe failed")                                                             \
    X(RECONNECTS, "no new connection after a lost one")                                                      \
    X(ECHOES, "this endpoint does not echo messages")                                                        \
    X(ANSWERS, "this endpoint answers nothing that we know: neither pixi.v1 calls nor an echo")              \
    X(MQTT, "this endpoint does not speak MQTT")                                                             \
    X(MQTT_5, "this server speaks MQTT 3.1.1 only")                                                          \
    X(DELIVERS, "MQTT messages are not delivered")                                                           \
    X(PONGS, "pings are not answered")                                                                       \
    X(JOINS, "fragments are not joined")                                                                     \
    X(DEFLATES, "this server agrees on no compression")

enum {
#define X(name, why) PIXI_FACT_INDEX_##name,
    PIXI_FACTS(X)
#undef X
        PIXI_FACT_COUNT
};

enum {
#define X(name, why) PIXI_FACT_##name = 1 << PIXI_FACT_INDEX_##name,
    PIXI_FACTS(X)
#undef X
};

struct pixi_verify {
    struct pixi_verify_settings s; /* defaults filled in */
    struct pixi_vurl url;
    struct pixi_wires wires;
    struct pixi_tls_context *tls;  /* owned; NULL: ws:// */
    struct pixi_tls_info tls_info; /* of the first connection */
    unsigned facts;                /* PIXI_FACT_* */
    const char *subprotocol;       /* offered where none is named; NULL: none. Static */
    struct {
        uint8_t max_qos;   /* as far as is known */
        unsigned level;    /* 5, or 4 where the server speaks 3.1.1 only */
        bool wants_header; /* the upgrade wants the API key already */
    } mqtt;
    const struct pixi_verify_row *row;
    struct pixi_verify_result *r; /* of the row that runs */
};

/* A check says one of these. The texts are printf's; what a peer sent goes through pixi_check_show first. */
void pixi_check_pass(struct pixi_verify *v, const char *measured, ...) __attribute__((format(printf, 2, 3)));
void pixi_check_skip(struct pixi_verify *v, const char *reason, ...) __attribute__((format(printf, 2, 3)));
void pixi_check_fail(struct pixi_verify *v, int exit_code, const char *clause, const char *cause, ...)
    __attribute__((format(printf, 4, 5)));
/* After a pass: what will fail one day, and what to do about it. */
void pixi_check_warn(struct pixi_verify *v, const char *warning, ...) __attribute__((format(printf, 2, 3)));
/* After a failure: what to do about it. Every failure has one. */
void pixi_check_fix(struct pixi_verify *v, const char *fix, ...) __attribute__((format(printf, 2, 3)));

static inline bool pixi_check_has(const struct pixi_verify *v, unsigned facts)
{
    return (v->facts & facts) == facts;
}

enum { PIXI_SHOWN = 240 }; /* bytes for what is shown of a peer's text */

/* pixi_check_show -- bytes of a stranger for a message: one printable line, the API key blotted out. Returns out. */
const char *pixi_check_show(const struct pixi_verify *v, struct pixi_cur bytes, char out[PIXI_SHOWN]);

/* Names for messages. */
const char *pixi_check_key_origin(const struct pixi_verify *v);
const char *pixi_check_settings_name(const struct pixi_verify *v);

/* pixi_check_random -- len random bytes as lower-case hex and NUL into out (2 * len + 1 bytes). */
void pixi_check_random(size_t len, char *out);

/* pixi_check_choose_topic -- one below event/verify/ that nobody else uses. */
enum { PIXI_CHECK_TOPIC = 64 };
void pixi_check_choose_topic(char topic[PIXI_CHECK_TOPIC]);

/* pixi_check_open -- connect and upgrade as this endpoint wants it. Closed by pixi_peer_close.
 * false: the failure is told. */
bool pixi_check_open(struct pixi_verify *v, struct pixi_peer *p);
/* pixi_check_try -- the same with an offer of extensions (NULL: none), which the caller judges: pixi_peer_open's answer.
 * Closed by pixi_peer_close, whatever it is. */
int pixi_check_try(struct pixi_verify *v, struct pixi_peer *p, const char *extensions);

/* pixi_check_await -- the next event of this opcode; others but a close frame are passed over.
 * awaited: for the message, "the pong". false: the failure is told. */
bool pixi_check_await(struct pixi_verify *v, struct pixi_peer *p, uint8_t opcode, uint64_t deadline,
                      const char *awaited, struct pixi_event *out);

/* refusal.c: an answer that is no HTTP, and one whose status is not 101. */
void pixi_blame_stranger(struct pixi_verify *v, struct pixi_cur came);
void pixi_blame_status(struct pixi_verify *v, const struct pixi_peer *p);

/* blame.c: a failure told from what a connection did. rc: not PIXI_OK, from the function named; p may be NULL with
 * PIXI_E_CONNECT and PIXI_E_TLS. */
void pixi_blame_proxy(struct pixi_verify *v); /* the same with a proxy: v->wires.dial */
void pixi_blame_tls(struct pixi_verify *v);   /* PIXI_E_TLS: v->wires.secure_err */
void pixi_blame_open(struct pixi_verify *v, struct pixi_peer *p, int rc); /* pixi_peer_open */
void pixi_blame_next(struct pixi_verify *v, int rc, const char *awaited); /* pixi_peer_next */
void pixi_blame_close(struct pixi_verify *v, const struct pixi_event *e, const char *awaited);

#endif
