/* tls_words.h -- what went wrong with TLS, and what to do about it, for people. */
#ifndef PIXI_NET_TLS_WORDS_H
#define PIXI_NET_TLS_WORDS_H

#include "net/tls.h"

#include <openssl/ssl.h>

struct pixi_tls_words {
    char problem[PIXI_TLS_TEXT]; /* "": nothing went wrong */
    const char *fix;             /* static */
};

/* pixi_tls_words_verdict -- a certificate is refused: from inside OpenSSL's callback, which alone knows which one.
 *   wanted  the name that a client wanted; "" for a server */
void pixi_tls_words_verdict(struct pixi_tls_words *out, X509_STORE_CTX *chain, const char *wanted);

/* pixi_tls_words_error -- from OpenSSL's queue of errors. */
void pixi_tls_words_error(struct pixi_tls_words *out);

/* pixi_tls_words_pin -- no certificate of the chain has a pinned key. */
void pixi_tls_words_pin(struct pixi_tls_words *out);

/* pixi_tls_words_reason -- what the errors in OpenSSL's queue, as it says it. Static. */
const char *pixi_tls_words_reason(void);

/* pixi_tls_words_name -- a name as RFC 2253 writes it, without control characters, cut to len bytes with its NUL. */
void pixi_tls_words_name(char *out, size_t len, const X509_NAME *name);

/* pixi_tls_words_date -- "2027-02-28". */
void pixi_tls_words_date(char *out, size_t len, const ASN1_TIME *t);

#endif
