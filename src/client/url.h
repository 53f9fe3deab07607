/* url.h -- a WebSocket URL, taken apart. RFC 6455 §3, RFC 3986. Or unix:PATH, the socket of this machine's daemon. */
#ifndef PIXI_CLIENT_URL_H
#define PIXI_CLIENT_URL_H

#include "base/conf.h"

enum {
    PIXI_URL_MAX = 2048,     /* bytes of a URL */
    PIXI_URL_HOST_MAX = 253, /* bytes of a host name */
    PIXI_URL_UNIX_MAX = 107, /* bytes of a socket's path: sockaddr_un */
};

/* Holds no pointers. */
struct pixi_url {
    bool is_tls;                      /* wss:// */
    bool is_unix;                     /* unix:PATH: target is the path, host "localhost", port 0 */
    bool is_ipv6;                     /* host is an IPv6 address */
    uint16_t port;                    /* 80 or 443 when the URL names none */
    char host[PIXI_URL_HOST_MAX + 1]; /* a name or an address, lower case, without brackets */
    char authority[PIXI_URL_HOST_MAX +
                   9];             /* for Host: brackets around IPv6, the port unless it is the scheme's */
    char target[PIXI_URL_MAX + 2]; /* path and query; "/" when the URL has no path */
};

/* pixi_url_parse -- ws:// or wss://, a host, and no secret; or unix: and a path from / on.           RFC 6455 §3
 *
 *   out     may be NULL; written on PIXI_OK only
 *   fault   may be NULL; what was found and what is expected, without any part that could be a secret
 *
 *   PIXI_OK          1 .. PIXI_URL_MAX bytes
 *   PIXI_E_SETTINGS  another scheme; a user name or password; a fragment (§3); a query member that looks like a key;
 *                    a host that is neither name nor address; port 0 or over 65535; a character that RFC 3986
 *                    wants percent-encoded */
int pixi_url_parse(struct pixi_cur text, struct pixi_url *out, struct pixi_conf_fault *fault);

/* pixi_url_is_loopback -- does it name this machine: an address in 127.0.0.0/8, ::1, or "localhost"? */
bool pixi_url_is_loopback(const struct pixi_url *url);

#endif
