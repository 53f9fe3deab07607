/* tls.h -- TLS by OpenSSL 3: bytes in, bytes out, between a socket and what speaks through it. RFC 8446, RFC 5246.
 *
 * A context is what many connections share: trust, own certificate, rules. A pixi_tls is one connection. It moves no
 * bytes itself: tcp.h feeds it and carries away what it makes. */
#ifndef PIXI_NET_TLS_H
#define PIXI_NET_TLS_H

#include "base/buf.h"
#include "base/role.h"

enum pixi_tls_version { PIXI_TLS_1_2, PIXI_TLS_1_3 };

enum { PIXI_TLS_PINS = 8, PIXI_TLS_PIN = 32, PIXI_TLS_TEXT = 512, PIXI_TLS_CHAIN = 6 };

/* Everything borrowed for the call. Files are PEM; NULL: none. */
struct pixi_tls_options {
    enum pixi_role role;
    const char
        *ca_file; /* client: trusted instead of the system's; server: clients must have a certificate by it */
    const char *cert_file; /* own certificate and what chains it to its root */
    const char *key_file;  /* its private key; must not be readable by others */
    enum pixi_tls_version min_version;
    const char *key_log_file; /* secrets for a capture's reader, appended: only when somebody asks for it */
};

struct pixi_tls_context;

/* pixi_tls_context_new -- problem gets one line on an error.
 *   PIXI_OK (free with pixi_tls_context_free) | PIXI_E_SETTINGS (a file: which, why) | PIXI_E_NOMEM
 *   PIXI_E_SYS: the key log cannot be written */
int pixi_tls_context_new(const struct pixi_tls_options *o, struct pixi_tls_context **out,
                         struct pixi_buf *problem);

/* pixi_tls_can_resume -- a client's context has a session that its next connection to the same name offers. */
bool pixi_tls_can_resume(const struct pixi_tls_context *c);

/* pixi_tls_context_free -- connections made from it live on. NULL is fine. */
void pixi_tls_context_free(struct pixi_tls_context *c);

/* Whom a client expects. Borrowed for the call. */
struct pixi_tls_peer {
    const char
        *name; /* the host name or IP address that the certificate must be for; also sent (SNI) if a name */
    const uint8_t (
        *pins)[PIXI_TLS_PIN]; /* SHA-256 of a public key (SubjectPublicKeyInfo), one of which the chain must
                                          * have. RFC 7469 §2.4 */
    size_t pin_count;
};

struct pixi_tls;

/* pixi_tls_new -- one connection. peer is NULL for a server. NULL: out of memory. */
struct pixi_tls *pixi_tls_new(struct pixi_tls_context *c, const struct pixi_tls_peer *peer);
void pixi_tls_free(struct pixi_tls *t);

/* pixi_tls_feed -- len bytes came from the socket.   PIXI_OK | PIXI_E_NOMEM */
int pixi_tls_feed(struct pixi_tls *t, const uint8_t *bytes, size_t len);

/* pixi_tls_handshake -- go on with it; what is to be sent is then in pixi_tls_out.
 *   PIXI_OK (done) | PIXI_MORE (feed more) | PIXI_E_TLS (pixi_tls_problem says why) */
int pixi_tls_handshake(struct pixi_tls *t);

/* pixi_tls_read -- decrypted bytes.
 *   PIXI_OK (len >= 1) | PIXI_MORE (feed more) | PIXI_E_TLS | PIXI_E_TLS_END (the peer has finished sending, orderly) */
int pixi_tls_read(struct pixi_tls *t, uint8_t *out, size_t room, size_t *len);

/* pixi_tls_write -- encrypt len (>= 1) bytes.   PIXI_OK | PIXI_E_TLS | PIXI_E_NOMEM */
int pixi_tls_write(struct pixi_tls *t, const uint8_t *bytes, size_t len);

/* pixi_tls_finish -- tell the peer that nothing more comes (close_notify). */
void pixi_tls_finish(struct pixi_tls *t);

/* pixi_tls_out -- bytes for the socket; pixi_tls_sent: so many of them have left. */
struct pixi_cur pixi_tls_out(const struct pixi_tls *t);
void pixi_tls_sent(struct pixi_tls *t, size_t len);

/* pixi_tls_problem -- what went wrong, for people: "the certificate expired on 2026-01-02", "" while nothing did.
 * pixi_tls_fix -- what a client's user can do about it; static, NULL while nothing went wrong. */
const char *pixi_tls_problem(const struct pixi_tls *t);
const char *pixi_tls_fix(const struct pixi_tls *t);

/* What was agreed, after the handshake. */
struct pixi_tls_info {
    const char *version, *cipher; /* "TLSv1.3", "TLS_AES_256_GCM_SHA384". Static */
    bool is_resumed;
    unsigned chain_len; /* certificates, the peer's own included; 0: it showed none */
    struct {
        char subject[128], issuer[128];
    } chain[PIXI_TLS_CHAIN]; /* the first of them, its own in front */
    char not_after[32];      /* "2027-02-28": when its own expires */
    int64_t days_left;       /* until then */
};
void pixi_tls_info(const struct pixi_tls *t, struct pixi_tls_info *out);

#endif
