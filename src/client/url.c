#include "client/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <strings.h>

/* A URL cut into its parts; borrows from it. */
struct parts {
    struct pixi_cur host, port, path, query; /* query starts with its '?' */
    bool is_tls, is_ipv6;
};

static int refuse(struct pixi_conf_fault *fault, const char *found, const char *expected)
{
    if (fault)
        *fault = (struct pixi_conf_fault){found, expected};
    return PIXI_E_SETTINGS;
}

static bool has_any(struct pixi_cur c, const char *bytes)
{
    for (; c.p != c.end; c.p++)
        if (*c.p && strchr(bytes, *c.p))
            return true;
    return false;
}

static bool cut_prefix(struct pixi_cur *c, const char *prefix)
{
    size_t len = strlen(prefix);

    if (pixi_cur_left(c) < len || strncasecmp((const char *)c->p, prefix, len) != 0)
        return false;
    c->p += len;
    return true;
}

/* Everything before the first of these bytes, or all there is. */
static struct pixi_cur cut_before(struct pixi_cur *c, const char *bytes)
{
    struct pixi_cur out = {c->p, c->p};

    while (out.end != c->end && !strchr(bytes, *out.end))
        out.end++;
    c->p = out.end;
    return out;
}

static int cut_scheme(struct pixi_cur *text, bool *is_tls, struct pixi_conf_fault *fault)
{
    static const char expected[] = "ws:// or wss://";

    if (cut_prefix(text, "http://") || cut_prefix(text, "https://"))
        return refuse(fault, "an http:// or https:// URL", expected);
    *is_tls = cut_prefix(text, "wss://");
    if (!*is_tls && !cut_prefix(text, "ws://"))
        return refuse(fault, "neither ws:// nor wss:// at its start", expected);
    return PIXI_OK;
}

/* RFC 3986 §3.2.2: brackets around IPv6, and only there. */
static int cut_host(struct pixi_cur *authority, struct parts *out, struct pixi_conf_fault *fault)
{
    out->is_ipv6 = authority->p != authority->end && *authority->p == '[';
    if (!out->is_ipv6) {
        out->host = cut_before(authority, ":");
        return PIXI_OK;
    }
    authority->p++;
    out->host = cut_before(authority, "]");
    if (authority->p == authority->end)
        return refuse(fault, "\"[\" without \"]\"", "an IPv6 address in brackets");
    authority->p++;
    return PIXI_OK;
}

static int cut_parts(struct pixi_cur text, struct parts *out, struct pixi_conf_fault *fault)
{
    struct pixi_cur authority;

    if (cut_scheme(&text, &out->is_tls, fault) != PIXI_OK)
        return PIXI_E_SETTINGS;
    authority = cut_before(&text, "/?");
    out->path = cut_before(&text, "?");
    out->query = text;
    if (has_any(authority, "@"))
        return refuse(fault, "a URL with a user name or password",
                      "none in it: a key goes into api_key_file");
    if (cut_host(&authority, out, fault) != PIXI_OK)
        return PIXI_E_SETTINGS;
    out->port = authority;
    return PIXI_OK;
}

static bool is_label_byte(uint8_t c)
{
    return isalnum(c) || c == '-' || c == '_';
}

static bool is_label(struct pixi_cur label)
{
    if (label.p == label.end || pixi_cur_left(&label) > 63 || *label.p == '-' || label.end[-1] == '-')
        return false;
    while (label.p != label.end && is_label_byte(*label.p))
        label.p++;
    return label.p == label.end;
}

/* A name, or an IPv4 address in full: "127.1" and "0x7f000001" mean different things to different readers. */
static bool is_name(struct pixi_cur host, const char *text)
{
    struct in_addr in4;
    struct pixi_cur label;

    for (;;) {
        label = cut_before(&host, ".");
        if (!is_label(label))
            return false;
        if (host.p == host.end)
            break;
        host.p++;
    }
    return !isdigit(*label.p) || inet_pton(AF_INET, text, &in4) == 1;
}

static int read_host(const struct parts *parts, char out[PIXI_URL_HOST_MAX + 1],
                     struct pixi_conf_fault *fault)
{
    size_t len = pixi_cur_left(&parts->host);
    struct in6_addr in6;

    if (len == 0)
        return refuse(fault, "a URL without a host", NULL);
    if (len > PIXI_URL_HOST_MAX)
        return refuse(fault, "a host of more than 253 bytes", NULL);
    for (size_t i = 0; i < len; i++)
        out[i] = (char)tolower(parts->host.p[i]);
    out[len] = 0;
    if (parts->is_ipv6 ? inet_pton(AF_INET6, out, &in6) != 1 : !is_name(parts->host, out))
        return refuse(fault, "a host that is not one",
                      "a name, an IPv4 address, or an IPv6 address in brackets");
    return PIXI_OK;
}

static int read_port(const struct parts *parts, uint16_t *out, struct pixi_conf_fault *fault)
{
    struct pixi_cur c = parts->port;
    unsigned port = 0;

    if (c.p == c.end) {
        *out = parts->is_tls ? 443 : 80;
        return PIXI_OK;
    }
    if (*c.p++ == ':')
        for (; c.p != c.end && isdigit(*c.p) && port <= UINT16_MAX; c.p++)
            port = port * 10 + (unsigned)(*c.p - '0');
    if (c.p != c.end || port == 0 || port > UINT16_MAX)
        return refuse(fault, "a port that is not one", "1 .. 65535 after the host's \":\"");
    *out = (uint16_t)port;
    return PIXI_OK;
}

/* RFC 3986 §3.3, §3.4: what may stand in a path or query as it is. */
static bool is_target(struct pixi_cur c)
{
    for (; c.p != c.end; c.p++) {
        if (!isalnum(*c.p) && (!*c.p || !strchr("-._~!$&'()*+,;=:@/?%", *c.p)))
            return false;
        if (*c.p == '%' && (c.end - c.p < 3 || !isxdigit(c.p[1]) || !isxdigit(c.p[2])))
            return false;
    }
    return true;
}

static bool is_key_name(struct pixi_cur name)
{
    static const char *const names[] = {"api_key", "apikey", "api-key",  "key",
                                        "token",   "secret", "password", "access_token"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == pixi_cur_left(&name) &&
            cut_prefix(&(struct pixi_cur){name.p, name.end}, names[i]))
            return true;
    return false;
}

static bool has_key(struct pixi_cur query)
{
    struct pixi_cur member;

    while (query.p != query.end) {
        query.p++; /* '?' or '&' */
        member = cut_before(&query, "&");
        if (is_key_name(cut_before(&member, "=")))
            return true;
    }
    return false;
}

static int check_target(const struct parts *parts, struct pixi_conf_fault *fault)
{
    if (has_key(parts->query))
        return refuse(fault, "a URL with what looks like a key in its query",
                      "none in it: URLs end up in logs, a key goes into api_key_file");
    if (!is_target(parts->path) || !is_target(parts->query))
        return refuse(fault, "a character in the path or query that may not stand there",
                      "it percent-encoded");
    return PIXI_OK;
}

static int check_bytes(struct pixi_cur text, struct pixi_conf_fault *fault)
{
    if (pixi_cur_left(&text) > PIXI_URL_MAX)
        return refuse(fault, "a URL of more than 2048 bytes", NULL);
    if (has_any(text, "#"))
        return refuse(fault, "a URL with a fragment (\"#\")", "none (RFC 6455 §3)");
    for (; text.p != text.end; text.p++)
        if (*text.p <= ' ' || *text.p >= 0x7f)
            return refuse(fault, "a URL with a space, a control character or a letter that is not ASCII",
                          "it percent-encoded");
    return PIXI_OK;
}

static void write_parts(const struct parts *parts, struct pixi_url *u)
{
    bool is_usual = u->port == (parts->is_tls ? 443 : 80);
    int path = (int)pixi_cur_left(&parts->path), query = (int)pixi_cur_left(&parts->query);
    int len = snprintf(u->authority, sizeof u->authority, parts->is_ipv6 ? "[%s]" : "%s", u->host);

    u->is_tls = parts->is_tls;
    u->is_ipv6 = parts->is_ipv6;
    if (!is_usual)
        snprintf(u->authority + len, sizeof u->authority - (size_t)len, ":%u", u->port);
    snprintf(u->target, sizeof u->target, "%.*s%.*s", path ? path : 1,
             path ? (const char *)parts->path.p : "/", query, query ? (const char *)parts->query.p : "");
}

/* The path behind unix: */
static int parse_unix(struct pixi_cur path, struct pixi_url *out, struct pixi_conf_fault *fault)
{
    int len = (int)pixi_cur_left(&path);

    if (len < 2 || len > PIXI_URL_UNIX_MAX || *path.p != '/')
        return refuse(fault, "unix: without the path of a socket",
                      "unix:/run/pixi-ws/pixi.sock or the like, at most 107 bytes");
    if (!out)
        return PIXI_OK;
    *out = (struct pixi_url){.is_unix = true, .host = "localhost"};
    snprintf(out->authority, sizeof out->authority, "unix:%.*s", len, (const char *)path.p);
    snprintf(out->target, sizeof out->target, "%.*s", len, (const char *)path.p);
    return PIXI_OK;
}

int pixi_url_parse(struct pixi_cur text, struct pixi_url *out, struct pixi_conf_fault *fault)
{
    struct pixi_url u = {0};
    struct parts parts = {0};

    if (check_bytes(text, fault) == PIXI_OK && cut_prefix(&text, "unix:"))
        return parse_unix(text, out, fault);

    if (check_bytes(text, fault) != PIXI_OK || cut_parts(text, &parts, fault) != PIXI_OK ||
        read_host(&parts, u.host, fault) != PIXI_OK || read_port(&parts, &u.port, fault) != PIXI_OK ||
        check_target(&parts, fault) != PIXI_OK)
        return PIXI_E_SETTINGS;
    write_parts(&parts, &u);
    if (out)
        *out = u;
    return PIXI_OK;
}

bool pixi_url_is_loopback(const struct pixi_url *url)
{
    struct in_addr in4;
    struct in6_addr in6;

    if (url->is_ipv6)
        return inet_pton(AF_INET6, url->host, &in6) == 1 && IN6_IS_ADDR_LOOPBACK(&in6);
    if (inet_pton(AF_INET, url->host, &in4) == 1)
        return ntohl(in4.s_addr) >> 24 == 127;
    return strcmp(url->host, "localhost") == 0;
}
