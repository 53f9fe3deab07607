#include "verify/url.h"

#include "verify/verify.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define EXAMPLE "ws://127.0.0.1:8768/api/v1"

static const struct pixi_vurl_fault
    no_url = {"there is no URL",
              "set \"url\" in the settings, as in \"" EXAMPLE "\", or give it on the command line"},
    scheme = {"the URL does not start with ws:// or wss://",
              "write the URL with ws:// or wss://, as in \"" EXAMPLE "\""},
    http_scheme = {"the URL starts with http, which is not WebSocket",
                   "write ws:// for http://, or wss:// for https://, in \"url\""},
    userinfo =
        {"the URL carries a user name or password before an '@'",
         "take it out of \"url\": URLs end up in logs; put the key into a file named by \"api_key_file\""},
    fragment = {"the URL has a fragment ('#')", "take the '#' and what follows out of \"url\" (RFC 6455 §3)"},
    no_host = {"the URL names no host", "write the host after ws://, as in \"" EXAMPLE "\""},
    bad_host = {"the host in the URL holds a character that no host name has",
                "correct the host in \"url\"; an IPv6 address stands in brackets, as in ws://[::1]:8768/"},
    bad_port = {"the port in the URL is not a number from 1 to 65535",
                "correct the port in \"url\", as in \"" EXAMPLE "\""},
    bad_char = {"the URL holds a space, a control character or a byte that is not ASCII",
                "write such characters percent-encoded in \"url\": %20 for a space"},
    too_long = {"the URL is too long",
                "shorten \"url\": 255 bytes for the host and 2,047 for path and query are the limit"};

static const struct pixi_vurl_fault *read_scheme(const char **at, struct pixi_vurl *u)
{
    if (strncasecmp(*at, "wss://", 6) == 0) {
        u->is_tls = true;
        *at += 6;
    } else if (strncasecmp(*at, "ws://", 5) == 0) {
        *at += 5;
    } else {
        return strncasecmp(*at, "http", 4) == 0 ? &http_scheme : &scheme;
    }
    return NULL;
}

static bool is_host(const char *host, size_t len, bool is_bracketed)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)host[i];

        if (is_bracketed ? !isxdigit(c) && c != ':' && c != '.'
                         : !isalnum(c) && c != '.' && c != '-' && c != '_')
            return false;
    }
    return true;
}

static bool read_port(const char *text, size_t len, uint16_t *out)
{
    unsigned port = 0;

    if (len < 1 || len > 5)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    if (port < 1 || port > 65535)
        return false;
    *out = (uint16_t)port;
    return true;
}

/* host[:port] in len bytes. */
static const struct pixi_vurl_fault *read_authority(const char *text, size_t len, struct pixi_vurl *u)
{
    bool is_bracketed = len && text[0] == '[';
    const char *host = text + is_bracketed, *host_end, *rest;

    host_end = memchr(host, is_bracketed ? ']' : ':', len - is_bracketed);
    if (!host_end && is_bracketed)
        return &bad_host;
    if (host_end && !is_bracketed && memrchr(text, ':', len) != host_end)
        return &bad_host; /* an IPv6 address without its brackets */
    if (!host_end)
        host_end = text + len;
    rest = host_end + is_bracketed;
    if (host_end == host)
        return &no_host;
    if ((size_t)(host_end - host) >= sizeof u->host)
        return &too_long;
    if (!is_host(host, (size_t)(host_end - host), is_bracketed))
        return &bad_host;
    memcpy(u->host, host, (size_t)(host_end - host));
    u->port = u->is_tls ? 443 : 80;
    if (rest < text + len &&
        (*rest != ':' || !read_port(rest + 1, (size_t)(text + len - rest - 1), &u->port)))
        return *rest == ':' ? &bad_port : &bad_host;
    snprintf(u->authority, sizeof u->authority, is_bracketed ? "[%s]" : "%s", u->host);
    if (u->port != (u->is_tls ? 443 : 80))
        snprintf(u->authority + strlen(u->authority), 8, ":%u", u->port);
    return NULL;
}

const struct pixi_vurl_fault *pixi_vurl_parse(const char *url, struct pixi_vurl *out)
{
    struct pixi_vurl u = {0};
    const struct pixi_vurl_fault *fault;
    size_t len;

    if (!url || !*url)
        return &no_url;
    for (const char *c = url; *c; c++)
        if (*c <= ' ' || *c > '~')
            return &bad_char;
    fault = read_scheme(&url, &u);
    if (fault)
        return fault;
    len = strcspn(url, "/?#");
    if (memchr(url, '@', len))
        return &userinfo;
    fault = read_authority(url, len, &u);
    if (fault)
        return fault;
    url += len;
    if (strchr(url, '#'))
        return &fragment;
    if (strlen(url) + 1 >= sizeof u.target)
        return &too_long;
    snprintf(u.target, sizeof u.target, "%s%s", *url == '/' ? "" : "/", url);
    *out = u;
    return NULL;
}

void pixi_verify_url_shown(const char *url, char *out, size_t len)
{
    const char *host = url ? strstr(url, "://") : NULL, *at;

    if (!len)
        return;
    host = host ? host + 3 : url ? url : "";
    at = memrchr(host, '@', strcspn(host, "/?#"));
    if (at)
        snprintf(out, len, "%.*s…%s", (int)(host - url), url, at);
    else
        snprintf(out, len, "%s", url ? url : "");
}
