#include "net/tls_words.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HELD_MAX = 4096 }; /* bytes that an idle connection may hold, each way */

struct pixi_tls_context {
    SSL_CTX *ssl;
    SSL_SESSION *session;   /* client: the last one, for resumption */
    char session_name[256]; /* whose it is: offered to nobody else */
    int key_log_fd;
    unsigned refs;
};

struct pixi_tls {
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
    struct pixi_tls_context *context;
    char name[256];
    uint8_t pins[PIXI_TLS_PINS][PIXI_TLS_PIN];
    size_t pin_count;
    struct pixi_tls_words words; /* of the first failure */
};

/* --- contexts ------------------------------------------------------------------------------------------------ */

static const unsigned char http11[] = "\x08http/1.1";

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    unsigned char *chosen;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, http11, sizeof http11 - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 §3.2: it speaks nothing that is spoken here */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static struct pixi_tls_context *context_of(const SSL *ssl)
{
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct pixi_tls_context *c = context_of(ssl);
    const struct pixi_tls *t = SSL_get_app_data(ssl);

    SSL_SESSION_free(c->session);
    c->session = session;
    memcpy(c->session_name, t->name, sizeof t->name);
    return 1; /* taken */
}

static void forget_session(struct pixi_tls_context *c)
{
    SSL_SESSION_free(c->session);
    c->session = NULL;
}

static void write_key_log(const SSL *ssl, const char *line)
{
    char text[1024];
    int len = snprintf(text, sizeof text, "%s\n", line);

    if (len > 0 && (size_t)len < sizeof text && write(context_of(ssl)->key_log_fd, text, (size_t)len) < 0)
        return; /* the log is for looking at, the connection goes on */
}

static int refuse(struct pixi_buf *problem, const char *what, const char *file)
{
    pixi_buf_putf(problem, "tls: %s %s: %s", what, file, pixi_tls_words_reason());
    ERR_clear_error();
    return PIXI_E_SETTINGS;
}

static int check_key_mode(const char *file, struct pixi_buf *problem)
{
    struct stat st;

    if (stat(file, &st) == 0 && (st.st_mode & 077) != 0) {
        pixi_buf_putf(problem, "tls: key_file %s is open to others (mode %04o); chmod 600 %s", file,
                      (unsigned)st.st_mode & 07777, file);
        return PIXI_E_SETTINGS;
    }
    return PIXI_OK;
}

static int load_own(SSL_CTX *ssl, const struct pixi_tls_options *o, struct pixi_buf *problem)
{
    int rc;

    if (!o->cert_file)
        return PIXI_OK;
    if ((rc = check_key_mode(o->key_file ? o->key_file : o->cert_file, problem)) != PIXI_OK)
        return rc;
    if (SSL_CTX_use_certificate_chain_file(ssl, o->cert_file) != 1)
        return refuse(problem, "cert_file", o->cert_file);
    if (SSL_CTX_use_PrivateKey_file(ssl, o->key_file ? o->key_file : o->cert_file, SSL_FILETYPE_PEM) != 1)
        return refuse(problem, "key_file", o->key_file ? o->key_file : o->cert_file);
    return SSL_CTX_check_private_key(ssl) == 1 ? PIXI_OK
                                               : refuse(problem, "the key does not belong to", o->cert_file);
}

static int on_verdict(int is_accepted, X509_STORE_CTX *chain)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct pixi_tls *t = SSL_get_app_data(ssl);

    if (!is_accepted)
        pixi_tls_words_verdict(&t->words, chain, t->name);
    return is_accepted;
}

static int load_trust(SSL_CTX *ssl, const struct pixi_tls_options *o, struct pixi_buf *problem)
{
    if (o->role == PIXI_CLIENT || o->ca_file)
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_verdict);
    if (!o->ca_file)
        return o->role == PIXI_SERVER || SSL_CTX_set_default_verify_paths(ssl) == 1
                   ? PIXI_OK
                   : refuse(problem, "the system's", "certificates");
    if (SSL_CTX_load_verify_file(ssl, o->ca_file) != 1)
        return refuse(problem, "ca_file", o->ca_file);
    if (o->role == PIXI_SERVER)
        SSL_CTX_set_client_CA_list(ssl, SSL_load_client_CA_file(o->ca_file));
    return PIXI_OK;
}

static int open_key_log(struct pixi_tls_context *c, const char *file, struct pixi_buf *problem)
{
    if (!file)
        return PIXI_OK;
    c->key_log_fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (c->key_log_fd < 0 || fchmod(c->key_log_fd, 0600) != 0) {
        pixi_buf_putf(problem, "the key log %s cannot be written: %s", file, strerror(errno));
        return PIXI_E_SYS;
    }
    SSL_CTX_set_keylog_callback(c->ssl, write_key_log);
    return PIXI_OK;
}

static void set_rules(struct pixi_tls_context *c, const struct pixi_tls_options *o)
{
    static const unsigned char id[] = "pixi-ws";

    SSL_CTX_set_app_data(c->ssl, c);
    SSL_CTX_set_min_proto_version(c->ssl, o->min_version == PIXI_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(c->ssl,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS); /* an idle connection owns no buffers */
    if (o->role == PIXI_SERVER) {
        SSL_CTX_set_alpn_select_cb(c->ssl, choose_protocol, NULL);
        SSL_CTX_set_session_id_context(c->ssl, id, sizeof id - 1);
    } else {
        SSL_CTX_set_alpn_protos(c->ssl, http11, sizeof http11 - 1);
        SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(c->ssl, keep_session);
    }
}

int pixi_tls_context_new(const struct pixi_tls_options *o, struct pixi_tls_context **out,
                         struct pixi_buf *problem)
{
    struct pixi_tls_context *c = calloc(1, sizeof *c);
    int rc;

    if (!c)
        return PIXI_E_NOMEM;
    c->refs = 1;
    c->key_log_fd = -1;
    c->ssl = SSL_CTX_new(o->role == PIXI_SERVER ? TLS_server_method() : TLS_client_method());
    if (!c->ssl) {
        free(c);
        return PIXI_E_NOMEM;
    }
    ERR_clear_error();
    set_rules(c, o);
    if ((rc = load_own(c->ssl, o, problem)) == PIXI_OK && (rc = load_trust(c->ssl, o, problem)) == PIXI_OK)
        rc = open_key_log(c, o->key_log_file, problem);
    if (rc != PIXI_OK) {
        pixi_tls_context_free(c);
        return rc;
    }
    *out = c;
    return PIXI_OK;
}

void pixi_tls_context_free(struct pixi_tls_context *c)
{
    if (!c || --c->refs > 0)
        return;
    forget_session(c);
    SSL_CTX_free(c->ssl);
    if (c->key_log_fd >= 0)
        close(c->key_log_fd);
    free(c);
}

/* --- connections --------------------------------------------------------------------------------------------- */

static int fail(struct pixi_tls *t)
{
    if (!t->words.problem[0])
        pixi_tls_words_error(&t->words);
    ERR_clear_error();
    return PIXI_E_TLS;
}

bool pixi_tls_can_resume(const struct pixi_tls_context *c)
{
    return c->session && SSL_SESSION_is_resumable(c->session);
}

static bool is_address(const char *name)
{
    uint8_t any[16];

    return inet_pton(AF_INET, name, any) == 1 || inet_pton(AF_INET6, name, any) == 1;
}

static bool expect(struct pixi_tls *t, const struct pixi_tls_peer *peer)
{
    snprintf(t->name, sizeof t->name, "%s", peer->name);
    t->pin_count = peer->pin_count < PIXI_TLS_PINS ? peer->pin_count : PIXI_TLS_PINS;
    if (t->pin_count)
        memcpy(t->pins, peer->pins, t->pin_count * PIXI_TLS_PIN);
    if (is_address(peer->name))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), peer->name) == 1;
    SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(t->ssl, peer->name) == 1 && SSL_set_tlsext_host_name(t->ssl, peer->name) == 1;
}

struct pixi_tls *pixi_tls_new(struct pixi_tls_context *c, const struct pixi_tls_peer *peer)
{
    struct pixi_tls *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->ssl = SSL_new(c->ssl);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    if (!t->ssl || !t->in || !t->out) {
        SSL_free(t->ssl);
        BIO_free(t->in);
        BIO_free(t->out);
        free(t);
        return NULL;
    }
    BIO_set_mem_eof_return(t->in, -1); /* empty means: more will come */
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_app_data(t->ssl, t);
    t->context = c;
    c->refs++;
    if (!peer) {
        SSL_set_accept_state(t->ssl);
        return t;
    }
    SSL_set_connect_state(t->ssl);
    if (!expect(t, peer)) {
        pixi_tls_free(t);
        return NULL;
    }
    if (pixi_tls_can_resume(c) && strcmp(c->session_name, t->name) == 0)
        SSL_set_session(t->ssl, c->session);
    return t;
}

void pixi_tls_free(struct pixi_tls *t)
{
    if (!t)
        return;
    SSL_free(t->ssl);
    pixi_tls_context_free(t->context);
    free(t);
}

int pixi_tls_feed(struct pixi_tls *t, const uint8_t *bytes, size_t len)
{
    size_t written;

    return BIO_write_ex(t->in, bytes, len, &written) == 1 && written == len ? PIXI_OK : PIXI_E_NOMEM;
}

static bool has_pin(const struct pixi_tls *t, const X509 *cert)
{
    uint8_t digest[PIXI_TLS_PIN];
    unsigned len = 0;
    uint8_t *der = NULL;
    int der_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    bool is_found = false;

    if (der_len > 0 && EVP_Digest(der, (size_t)der_len, digest, &len, EVP_sha256(), NULL) == 1)
        for (size_t i = 0; i < t->pin_count; i++)
            is_found |= memcmp(t->pins[i], digest, sizeof digest) == 0;
    OPENSSL_free(der);
    return is_found;
}

static int check_pins(struct pixi_tls *t)
{
    STACK_OF(X509) *chain = SSL_get0_verified_chain(t->ssl);

    if (!t->pin_count)
        return PIXI_OK;
    for (int i = 0; chain && i < sk_X509_num(chain); i++)
        if (has_pin(t, sk_X509_value(chain, i)))
            return PIXI_OK;
    /* a resumed session has no chain, and was checked when it began */
    if (SSL_session_reused(t->ssl))
        return PIXI_OK;
    forget_session(t->context); /* TLS 1.2 has given it already, and resuming it would get past this check */
    pixi_tls_words_pin(&t->words);
    return PIXI_E_TLS;
}

int pixi_tls_handshake(struct pixi_tls *t)
{
    int rc, why;

    if (t->words.problem[0])
        return PIXI_E_TLS;
    ERR_clear_error();
    rc = SSL_do_handshake(t->ssl);
    if (rc == 1)
        return check_pins(t);
    why = SSL_get_error(t->ssl, rc);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? PIXI_MORE : fail(t);
}

/* A memory BIO keeps all that it ever took: where that is much, another takes its place while it is empty. */
static BIO *fresh(BIO *b)
{
    BUF_MEM *held;

    if (BIO_get_mem_ptr(b, &held) != 1 || held->length || held->max <= HELD_MAX)
        return NULL;
    b = BIO_new(BIO_s_mem());
    if (b)
        BIO_set_mem_eof_return(b, -1); /* empty means: more will come */
    return b;
}

static void shrink_in(struct pixi_tls *t)
{
    BIO *b = fresh(t->in);

    if (!b)
        return;
    t->in = b;
    SSL_set0_rbio(t->ssl, b);
}

static void shrink_out(struct pixi_tls *t)
{
    BIO *b = fresh(t->out);

    if (!b)
        return;
    t->out = b;
    SSL_set0_wbio(t->ssl, b);
}

int pixi_tls_read(struct pixi_tls *t, uint8_t *out, size_t room, size_t *len)
{
    ERR_clear_error();
    if (SSL_read_ex(t->ssl, out, room, len) == 1)
        return PIXI_OK;
    switch (SSL_get_error(t->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: shrink_in(t); return PIXI_MORE;
    case SSL_ERROR_ZERO_RETURN: return PIXI_E_TLS_END;
    default: return fail(t);
    }
}

int pixi_tls_write(struct pixi_tls *t, const uint8_t *bytes, size_t len)
{
    size_t some;

    ERR_clear_error();
    for (; len > 0; bytes += some, len -= some)
        if (SSL_write_ex(t->ssl, bytes, len, &some) != 1)
            return fail(t); /* a memory BIO is never full */
    return PIXI_OK;
}

void pixi_tls_finish(struct pixi_tls *t)
{
    ERR_clear_error();
    if (SSL_is_init_finished(t->ssl) && !t->words.problem[0])
        SSL_shutdown(t->ssl);
    ERR_clear_error();
}

struct pixi_cur pixi_tls_out(const struct pixi_tls *t)
{
    char *bytes = NULL;
    long len = BIO_get_mem_data(t->out, &bytes);

    return pixi_cur_init(bytes, len > 0 ? (size_t)len : 0);
}

void pixi_tls_sent(struct pixi_tls *t, size_t len)
{
    uint8_t sink[4096];
    size_t some;

    /* BIO_read moves the memory BIO's start; there is no call that only drops */
    for (; len > 0; len -= some)
        if (BIO_read_ex(t->out, sink, len < sizeof sink ? len : sizeof sink, &some) != 1)
            return;
    shrink_out(t);
}

const char *pixi_tls_problem(const struct pixi_tls *t)
{
    return t->words.problem;
}

const char *pixi_tls_fix(const struct pixi_tls *t)
{
    return t->words.fix;
}

/* The chain as it was proved, else as it came: of a resumed session there is only the first certificate. */
static void take_chain(const struct pixi_tls *t, X509 *own, struct pixi_tls_info *out)
{
    STACK_OF(X509) *chain = SSL_get0_verified_chain(t->ssl);

    if (!chain)
        chain = SSL_get_peer_cert_chain(t->ssl);
    out->chain_len = chain ? (unsigned)sk_X509_num(chain) : 1;
    for (unsigned i = 0; i < out->chain_len && i < PIXI_TLS_CHAIN; i++) {
        const X509 *cert = chain ? sk_X509_value(chain, (int)i) : own;

        pixi_tls_words_name(out->chain[i].subject, sizeof out->chain[i].subject, X509_get_subject_name(cert));
        pixi_tls_words_name(out->chain[i].issuer, sizeof out->chain[i].issuer, X509_get_issuer_name(cert));
    }
}

void pixi_tls_info(const struct pixi_tls *t, struct pixi_tls_info *out)
{
    X509 *cert = SSL_get0_peer_certificate(t->ssl);
    int days = 0, seconds = 0;

    *out = (struct pixi_tls_info){.version = SSL_get_version(t->ssl),
                                  .cipher = SSL_get_cipher_name(t->ssl),
                                  .is_resumed = SSL_session_reused(t->ssl) == 1};
    if (!cert)
        return;
    take_chain(t, cert, out);
    pixi_tls_words_date(out->not_after, sizeof out->not_after, X509_get0_notAfter(cert));
    if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert)) == 1)
        out->days_left = days;
}
