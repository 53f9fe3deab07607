#include "net/proxy.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { PORT_HTTP = 80, PORT_SOCKS = 1080 };

static bool is_text(struct pixi_cur c, const char *text)
{
    return pixi_cur_left(&c) == strlen(text) && strncasecmp((const char *)c.p, text, strlen(text)) == 0;
}

/* What stands before the first or last of these bytes; c moves behind it. false: there is none, nothing moved. */
static bool cut_at(struct pixi_cur *c, const uint8_t *at, struct pixi_cur *before)
{
    if (!at)
        return false;
    *before = (struct pixi_cur){c->p, at};
    c->p = at + 1;
    return true;
}

static const uint8_t *last(struct pixi_cur c, char byte)
{
    return pixi_cur_left(&c) ? memrchr(c.p, byte, pixi_cur_left(&c)) : NULL;
}

static const uint8_t *first(struct pixi_cur c, char byte)
{
    return pixi_cur_left(&c) ? memchr(c.p, byte, pixi_cur_left(&c)) : NULL;
}

static bool read_port(struct pixi_cur c, uint16_t *out)
{
    unsigned port = 0;

    if (pixi_cur_left(&c) == 0 || pixi_cur_left(&c) > 5)
        return false;
    for (; c.p != c.end; c.p++) {
        if (*c.p < '0' || *c.p > '9')
            return false;
        port = port * 10 + (unsigned)(*c.p - '0');
    }
    *out = (uint16_t)port;
    return port > 0 && port <= 65535;
}

/* A name as DNS has them, or an address: no byte that could end a line or a field. */
static bool is_host(struct pixi_cur c)
{
    size_t len = pixi_cur_left(&c);

    for (; c.p != c.end; c.p++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:", *c.p) || !*c.p)
            return false;
    return len > 0 && len <= PIXI_PROXY_HOST_MAX;
}

/* An address as 16 bytes, IPv4 as ::ffff:a.b.c.d; bits: 32 or 128. */
struct number {
    uint8_t bytes[16];
    unsigned bits;
};

static bool read_number(struct pixi_cur text, struct number *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char copy[INET6_ADDRSTRLEN];

    if (pixi_cur_left(&text) >= sizeof copy || pixi_cur_left(&text) == 0)
        return false;
    memcpy(copy, text.p, pixi_cur_left(&text));
    copy[pixi_cur_left(&text)] = 0;
    memcpy(out->bytes, mapped, sizeof mapped);
    out->bits = 32;
    if (inet_pton(AF_INET, copy, out->bytes + 12) == 1)
        return true;
    out->bits = 128;
    return inet_pton(AF_INET6, copy, out->bytes) == 1;
}

/* HOST, HOST:PORT, [ADDRESS] or [ADDRESS]:PORT. port is left alone where there is none; is_bare lets an IPv6 address
 * stand without brackets. */
static bool read_authority(struct pixi_cur c, bool is_bare, struct pixi_cur *host, uint16_t *port)
{
    const uint8_t *colon = last(c, ':');
    struct number n;

    *host = c;
    if (is_bare && colon && colon != first(c, ':') && *c.p != '[')
        return is_host(c);
    if (pixi_cur_left(&c) && *c.p == '[') {
        const uint8_t *end = last(c, ']');

        *host = (struct pixi_cur){c.p + 1, end};
        if (!end || (end + 1 != c.end && end[1] != ':'))
            return false;
        colon = end + 1 == c.end ? NULL : end + 1;
    } else if (colon) {
        host->end = colon;
    }
    if (pixi_cur_left(&c) == 0 || (colon && !read_port((struct pixi_cur){colon + 1, c.end}, port)))
        return false;
    return *c.p == '[' ? read_number(*host, &n) && n.bits == 128 : is_host(*host) && !first(*host, ':');
}

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool decode_percent(struct pixi_cur c, char out[PIXI_PROXY_WORD_MAX + 1])
{
    size_t len = 0;

    for (; c.p != c.end; c.p++) {
        uint8_t byte = *c.p;

        if (byte == '%') {
            if (pixi_cur_left(&c) < 3 || digit(c.p[1]) < 0 || digit(c.p[2]) < 0)
                return false;
            byte = (uint8_t)(digit(c.p[1]) * 16 + digit(c.p[2]));
            c.p += 2;
        }
        if (byte < ' ' || byte == 0x7f || *c.p == '/' || len == PIXI_PROXY_WORD_MAX)
            return false;
        out[len++] = (char)byte;
    }
    out[len] = 0;
    return true;
}

static bool read_user(struct pixi_cur c, struct pixi_proxy *p)
{
    struct pixi_cur user = c;

    p->has_user = true;
    if (!cut_at(&c, first(c, ':'), &user))
        c.p = c.end; /* no password */
    return decode_percent(user, p->user) && *p->user && !strchr(p->user, ':') &&
           decode_percent(c, p->password);
}

static bool read_scheme(struct pixi_cur *c, struct pixi_proxy *p)
{
    const char *at = pixi_cur_left(c) ? memmem(c->p, pixi_cur_left(c), "://", 3) : NULL;
    struct pixi_cur scheme;

    p->kind = PIXI_PROXY_HTTP;
    p->port = PORT_HTTP;
    if (!at)
        return true;
    scheme = (struct pixi_cur){c->p, (const uint8_t *)at};
    c->p = (const uint8_t *)at + 3;
    if (is_text(scheme, "http"))
        return true;
    p->kind = PIXI_PROXY_SOCKS5;
    p->port = PORT_SOCKS;
    return is_text(scheme, "socks5") || is_text(scheme, "socks5h");
}

static const char *read_url(struct pixi_cur url, struct pixi_proxy *out)
{
    struct pixi_cur user, host;

    if (!read_scheme(&url, out))
        return "another scheme";
    if (cut_at(&url, last(url, '@'), &user) && !read_user(user, out))
        return "a user name or password that is empty, too long, or not percent-encoded";
    if (pixi_cur_left(&url) && url.end[-1] == '/')
        url.end--;
    if (!read_authority(url, false, &host, &out->port))
        return "no host, a port that is none, or a path";
    memcpy(out->host, host.p, pixi_cur_left(&host));
    return NULL;
}

int pixi_proxy_parse(struct pixi_cur url, struct pixi_proxy *out, struct pixi_conf_fault *fault)
{
    struct pixi_proxy p = {0};
    const char *found = read_url(url, &p);

    if (found && fault)
        *fault = (struct pixi_conf_fault){
            .found = found,
            .expected = "http://HOST:PORT or socks5h://HOST:PORT, perhaps with USER:PASSWORD@ before HOST"};
    if (!found && out)
        *out = p;
    explicit_bzero(&p, sizeof p);
    return found ? PIXI_E_SETTINGS : PIXI_OK;
}

void pixi_proxy_text(const struct pixi_proxy *p, char out[PIXI_PROXY_TEXT])
{
    bool is_ipv6 = strchr(p->host, ':');

    snprintf(out, PIXI_PROXY_TEXT, "%s://%s%s%s:%u", p->kind == PIXI_PROXY_HTTP ? "http" : "socks5h",
             is_ipv6 ? "[" : "", p->host, is_ipv6 ? "]" : "", p->port);
}

/* --- NO_PROXY --------------------------------------------------------------------------------------------------- */

static bool is_same(const struct number *a, const struct number *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a->bytes, b->bytes, whole) != 0)
        return false;
    return rest == 0 || (a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest) == 0;
}

struct rule {
    enum { ALL, NETWORK, NAME, BELOW } kind;
    struct number net;
    unsigned bits;        /* of net that count, of 128 */
    struct pixi_cur name; /* without the dot */
    uint16_t port;        /* 0: any */
};

/* 10.0.0.0/8 */
static bool read_network(struct pixi_cur text, struct pixi_cur bits, struct rule *out)
{
    uint16_t count = 0;
    bool is_zero = is_text(bits, "0");

    out->kind = NETWORK;
    if (!read_number(text, &out->net) || (!is_zero && !read_port(bits, &count)) || count > out->net.bits)
        return false;
    out->bits = 128 - out->net.bits + count;
    return true;
}

static bool read_rule(struct pixi_cur text, struct rule *out)
{
    struct pixi_cur before;

    *out = (struct rule){.kind = ALL};
    if (cut_at(&text, first(text, '/'), &before))
        return read_network(before, text, out);
    if (pixi_cur_left(&text) && *text.p == '*') {
        text.p++;
        if (text.p == text.end)
            return true;
        if (*text.p == ':')
            return read_port((struct pixi_cur){text.p + 1, text.end}, &out->port);
        if (*text.p != '.')
            return false;
    }
    if (!read_authority(text, true, &out->name, &out->port))
        return false;
    out->kind = NETWORK;
    out->bits = 128;
    if (read_number(out->name, &out->net))
        return true;
    out->kind = *out->name.p == '.' ? BELOW : NAME;
    out->name.p += *out->name.p == '.';
    return out->name.p != out->name.end && !first(out->name, ':');
}

static bool is_below(struct pixi_cur host, struct pixi_cur name)
{
    size_t len = pixi_cur_left(&name), more = pixi_cur_left(&host) - len;

    return pixi_cur_left(&host) > len && host.p[more - 1] == '.' &&
           strncasecmp((const char *)host.p + more, (const char *)name.p, len) == 0;
}

static bool is_name(struct pixi_cur host, struct pixi_cur name)
{
    return pixi_cur_left(&host) == pixi_cur_left(&name) &&
           strncasecmp((const char *)host.p, (const char *)name.p, pixi_cur_left(&name)) == 0;
}

bool pixi_proxy_rule_is_valid(struct pixi_cur rule)
{
    struct rule r;

    return read_rule(rule, &r);
}

bool pixi_proxy_rule_matches(struct pixi_cur rule, const char *host, uint16_t port)
{
    struct pixi_cur h = pixi_cur_str(host);
    struct number n;
    struct rule r;

    if (!read_rule(rule, &r) || (r.port && r.port != port))
        return false;
    if (r.kind == ALL)
        return true;
    if (r.kind == NETWORK)
        return read_number(h, &n) && n.bits == r.net.bits && is_same(&n, &r.net, r.bits);
    if (pixi_cur_left(&h) && h.end[-1] == '.')
        h.end--;
    return is_below(h, r.name) || (r.kind == NAME && is_name(h, r.name));
}

bool pixi_proxy_is_loopback(const char *host)
{
    static const char *const rules[] = {"localhost", "127.0.0.0/8", "::1"};

    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (pixi_proxy_rule_matches(pixi_cur_str(rules[i]), host, 0))
            return true;
    return false;
}
