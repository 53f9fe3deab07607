/* proxy.h -- which proxy: its URL, and the rules that name the hosts which are reached without it. */
#ifndef PIXI_NET_PROXY_H
#define PIXI_NET_PROXY_H

#include "base/conf.h"

enum {
    PIXI_PROXY_HOST_MAX = 253,
    PIXI_PROXY_WORD_MAX = 255, /* bytes of a user name or a password: RFC 1929 §2 */
    PIXI_PROXY_TEXT = 280,     /* bytes for a proxy as text, NUL included */
};

enum pixi_proxy_kind {
    PIXI_PROXY_HTTP,   /* CONNECT, RFC 9110 §9.3.6 */
    PIXI_PROXY_SOCKS5, /* RFC 1928; the proxy looks names up */
};

/* Holds no pointers, but perhaps a secret. */
struct pixi_proxy {
    enum pixi_proxy_kind kind;
    uint16_t port;
    char host[PIXI_PROXY_HOST_MAX + 1]; /* without brackets */
    bool has_user;
    char user[PIXI_PROXY_WORD_MAX + 1], password[PIXI_PROXY_WORD_MAX + 1];
};

/* pixi_proxy_parse -- http://[USER[:PASSWORD]@]HOST[:PORT], socks5:// or socks5h://; without a scheme http://. The port
 * is 80 or 1080 unless it is said. USER and PASSWORD may be percent-encoded.
 *
 *   out     may be NULL; written on PIXI_OK only
 *   fault   may be NULL; never holds a part of the URL
 *
 *   PIXI_OK | PIXI_E_SETTINGS */
int pixi_proxy_parse(struct pixi_cur url, struct pixi_proxy *out, struct pixi_conf_fault *fault);

/* pixi_proxy_text -- "http://127.0.0.1:3128": what may be shown of it. */
void pixi_proxy_text(const struct pixi_proxy *p, char out[PIXI_PROXY_TEXT]);

/* pixi_proxy_is_loopback -- does the name or address mean this machine: localhost, 127.0.0.0/8, ::1? */
bool pixi_proxy_is_loopback(const char *host);

/* pixi_proxy_rule_is_valid -- one rule of NO_PROXY:
 *
 *   example.org     the name and all below it        .example.org    all names below it
 *   10.0.0.0/8      addresses, in the URL as such    ::1, [::1]      one address
 *   *               everything                       and behind any of these but a network :PORT, for that port only */
bool pixi_proxy_rule_is_valid(struct pixi_cur rule);

/* pixi_proxy_rule_matches -- does the rule name this host (no brackets; a name or an address) and port? */
bool pixi_proxy_rule_matches(struct pixi_cur rule, const char *host, uint16_t port);

#endif
