#include "net/tls_words.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define FIX_NOT_TLS "use ws:// in \"url\", or the port on which the server speaks TLS"
#define FIX_OLD     "let the server offer the version in tls.min_version or a newer one"
#define FIX_OWN     "set tls.cert_file and tls.key_file to a certificate that the server accepts"
#define FIX_LOOK    "check the server's TLS settings; `pixi-ws-client verify` shows what was agreed"
#define FIX_NAME    "use one of the names in the certificate in \"url\", or set tls.server_name"
#define FIX_ISSUER                                                                                           \
    "name the file with the issuer's certificate as tls.ca_file; or let the server send the whole chain"

const char *pixi_tls_words_reason(void)
{
    unsigned long first = ERR_peek_error(), last = ERR_peek_last_error();
    const char *text = ERR_reason_error_string(last);

    if (ERR_GET_LIB(first) == ERR_LIB_SYS) /* what follows only says that this happened */
        return strerror(ERR_GET_REASON(first));
    return text ? text : "unknown reason";
}

void pixi_tls_words_date(char *out, size_t len, const ASN1_TIME *t)
{
    struct tm tm;

    snprintf(out, len, "an unreadable date");
    if (t && ASN1_TIME_to_tm(t, &tm) == 1)
        strftime(out, len, "%Y-%m-%d", &tm);
}

void pixi_tls_words_name(char *out, size_t len, const X509_NAME *name)
{
    BIO *b = BIO_new(BIO_s_mem());
    int n = 0;

    if (b && name && X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0)
        n = BIO_read(b, out, (int)len - 1);
    out[n > 0 ? n : 0] = 0;
    BIO_free(b);
}

/* A stranger's text: what is not printable becomes '?'. */
static void add_name(char *out, size_t len, const char *text, size_t some)
{
    size_t at = strlen(out);

    if (at + some + 3 > len)
        return; /* a certificate for very many names: the first are shown */
    if (at) {
        memcpy(out + at, ", ", 2);
        at += 2;
    }
    for (size_t i = 0; i < some; i++)
        out[at + i] = text[i] > ' ' && text[i] < 0x7f ? text[i] : '?';
    out[at + some] = 0;
}

/* "pixi.example, *.pixi.example, 10.0.0.7": what the certificate is for. */
static void put_names_of(char *out, size_t len, const X509 *cert)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    char text[INET6_ADDRSTRLEN];

    out[0] = 0;
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
        const ASN1_STRING *s = n->type == GEN_DNS ? n->d.dNSName : n->d.iPAddress;

        if (n->type == GEN_DNS)
            add_name(out, len, (const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
        else if (n->type == GEN_IPADD && inet_ntop(ASN1_STRING_length(s) == 4 ? AF_INET : AF_INET6,
                                                   ASN1_STRING_get0_data(s), text, sizeof text))
            add_name(out, len, text, strlen(text));
    }
    GENERAL_NAMES_free(names);
    if (!out[0])
        snprintf(out, len, "no names at all");
}

enum which { EXPIRED, TOO_EARLY, SELF_SIGNED, OTHER_NAME, UNTRUSTED, OTHERWISE };

static const struct verdict_row {
    int verdict;
    enum which which;
    const char *fix;
} verdicts[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, EXPIRED,
     "the server's operator must renew the certificate; if it was renewed, check this machine's clock"},
    {X509_V_ERR_CERT_NOT_YET_VALID, TOO_EARLY, "check this machine's clock, or wait"},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, SELF_SIGNED,
     "put the certificate into a file and name it as tls.ca_file, if you know it to be the right one"},
    {X509_V_ERR_HOSTNAME_MISMATCH, OTHER_NAME, FIX_NAME},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, OTHER_NAME, FIX_NAME},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, UNTRUSTED, FIX_ISSUER},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, UNTRUSTED, FIX_ISSUER},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, UNTRUSTED, FIX_ISSUER},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, UNTRUSTED, FIX_ISSUER},
    {0, OTHERWISE, FIX_LOOK},
};

static void say_expired(char out[PIXI_TLS_TEXT], const X509 *cert, bool is_own)
{
    char date[32], name[200];

    pixi_tls_words_date(date, sizeof date, X509_get0_notAfter(cert));
    pixi_tls_words_name(name, sizeof name, X509_get_subject_name(cert));
    if (is_own)
        snprintf(out, PIXI_TLS_TEXT, "the certificate expired on %s", date);
    else
        snprintf(out, PIXI_TLS_TEXT, "the certificate's issuer %s expired on %s", name, date);
}

void pixi_tls_words_verdict(struct pixi_tls_words *out, X509_STORE_CTX *chain, const char *wanted)
{
    const X509 *cert = X509_STORE_CTX_get_current_cert(chain);
    const struct verdict_row *row = verdicts;
    int verdict = X509_STORE_CTX_get_error(chain);
    char text[200];

    while (row->verdict && row->verdict != verdict)
        row++;
    out->fix = row->fix;
    switch (cert ? row->which : OTHERWISE) {
    case EXPIRED: say_expired(out->problem, cert, X509_STORE_CTX_get_error_depth(chain) == 0); break;
    case TOO_EARLY:
        pixi_tls_words_date(text, sizeof text, X509_get0_notBefore(cert));
        snprintf(out->problem, PIXI_TLS_TEXT, "the certificate is not valid before %s", text);
        break;
    case SELF_SIGNED:
        snprintf(out->problem, PIXI_TLS_TEXT, "the certificate is self-signed, and not trusted here");
        break;
    case OTHER_NAME:
        put_names_of(text, sizeof text, cert);
        snprintf(out->problem, PIXI_TLS_TEXT,
                 "the certificate is for another name: wanted %.253s, has %.199s", wanted, text);
        break;
    case UNTRUSTED:
        pixi_tls_words_name(text, sizeof text, X509_get_issuer_name(cert));
        snprintf(out->problem, PIXI_TLS_TEXT, "the certificate's issuer is not trusted here: %s", text);
        break;
    case OTHERWISE:
        snprintf(out->problem, PIXI_TLS_TEXT, "the certificate is not accepted: %s",
                 X509_verify_cert_error_string(verdict));
    }
}

#define NOT_TLS "this is not TLS at all: the peer speaks something else on this port"
#define TOO_OLD "the peer speaks no TLS version that is new enough"
#define NO_OWN  "the peer wants a client certificate"
#define BAD_OWN "the peer does not accept this side's certificate"

static const struct error_row {
    int reason;
    const char *problem, *fix;
} errors[] = {
    {SSL_R_WRONG_VERSION_NUMBER, NOT_TLS, FIX_NOT_TLS},
    {SSL_R_PACKET_LENGTH_TOO_LONG, NOT_TLS, FIX_NOT_TLS},
    {SSL_R_ENCRYPTED_LENGTH_TOO_LONG, NOT_TLS, FIX_NOT_TLS},
    {SSL_R_BAD_RECORD_TYPE, NOT_TLS, FIX_NOT_TLS},
    {SSL_R_HTTP_REQUEST, "this is not TLS at all: the peer speaks plain HTTP", FIX_NOT_TLS},
    {SSL_R_HTTPS_PROXY_REQUEST, "this is not TLS at all: the peer takes this for an HTTP proxy", FIX_NOT_TLS},
    {SSL_R_UNSUPPORTED_PROTOCOL, TOO_OLD, FIX_OLD},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, TOO_OLD, FIX_OLD},
    {SSL_R_NO_SHARED_CIPHER, "no cipher that both accept", FIX_LOOK},
    {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, "the peer refuses: no cipher or certificate that both accept",
     "if the server asks for a certificate, set tls.cert_file and tls.key_file; else see its TLS settings"},
    {SSL_R_TLSV1_UNRECOGNIZED_NAME, "the peer has no certificate for this name", FIX_NAME},
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, NO_OWN, FIX_OWN},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, "the peer does not trust this side's certificate", FIX_OWN},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, BAD_OWN, FIX_OWN},
    {SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, BAD_OWN, FIX_OWN},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, BAD_OWN ": it was revoked", FIX_OWN},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, BAD_OWN ": it has expired", FIX_OWN},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, BAD_OWN, FIX_OWN},
    {SSL_R_TLSV1_ALERT_ACCESS_DENIED, BAD_OWN, FIX_OWN},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the client sent no certificate", FIX_OWN},
    {SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, "the peer does not speak HTTP/1.1", FIX_LOOK},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "what came was changed on the way",
     "see what stands between: a proxy or a faulty network changes what is sent"},
};

void pixi_tls_words_error(struct pixi_tls_words *out)
{
    unsigned long e = ERR_peek_error();

    for (size_t i = 0; ERR_GET_LIB(e) == ERR_LIB_SSL && i < sizeof errors / sizeof *errors; i++)
        if (ERR_GET_REASON(e) == errors[i].reason) {
            snprintf(out->problem, PIXI_TLS_TEXT, "%s", errors[i].problem);
            out->fix = errors[i].fix;
            return;
        }
    snprintf(out->problem, PIXI_TLS_TEXT, "TLS failed: %s", pixi_tls_words_reason());
    out->fix = FIX_LOOK;
}

void pixi_tls_words_pin(struct pixi_tls_words *out)
{
    snprintf(out->problem, PIXI_TLS_TEXT, "no certificate of the chain has a key named in tls.pin_sha256");
    out->fix = "if the server's key was changed on purpose, put the new one into tls.pin_sha256";
}
