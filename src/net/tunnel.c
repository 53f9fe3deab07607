#include "net/tunnel.h"

#include "base/base64.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { REQUEST_MAX = 4096, PHRASE_MAX = 80 };

#define OF(member, ptr) ((struct pixi_tunnel *)((char *)(ptr)-offsetof(struct pixi_tunnel, member)))

static int say(struct pixi_tunnel *t, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int say(struct pixi_tunnel *t, int err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(t->text, sizeof t->text, format, args);
    va_end(args);
    return err;
}

static int refuse_user(struct pixi_tunnel *t)
{
    return say(t, PIXI_E_PROXY_USER, "%s",
               t->proxy->has_user ? "does not take this user name and password"
                                  : "wants a user name and a password");
}

/* --- HTTP ------------------------------------------------------------------------------------------------------ */

static void put_basic(struct pixi_tunnel *t)
{
    struct pixi_buf pair = pixi_buf_init(2 * PIXI_PROXY_WORD_MAX + 8);

    pixi_buf_reserve(&pair, pair.max); /* no copy stays behind where it grows */
    pixi_buf_putf(&pair, "%s:%s", t->proxy->user, t->proxy->password);
    pixi_buf_put_str(&t->out, "Proxy-Authorization: Basic ");
    pixi_base64_put(&t->out, PIXI_BASE64_STD, pair.bytes, pair.len);
    pixi_buf_put_str(&t->out, "\r\n");
    if (pair.err)
        t->out.err = pair.err;
    if (pair.bytes)
        explicit_bzero(pair.bytes, pair.cap);
    pixi_buf_clear(&pair);
}

static void put_connect(struct pixi_tunnel *t)
{
    bool is_ipv6 = strchr(t->host, ':');
    char target[PIXI_PROXY_HOST_MAX + 16];

    snprintf(target, sizeof target, "%s%s%s:%u", is_ipv6 ? "[" : "", t->host, is_ipv6 ? "]" : "", t->port);
    pixi_buf_putf(&t->out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", target, target);
    if (t->proxy->has_user)
        put_basic(t);
    pixi_buf_put_str(&t->out, "\r\n");
}

/* HTTP/1.x SP 3DIGIT SP [phrase] CRLF.  0: that is no status line.                RFC 9112 §4 */
static unsigned read_status(struct pixi_cur line, struct pixi_cur *phrase)
{
    const uint8_t *p = line.p;

    if (pixi_cur_left(&line) < 12 || memcmp(p, "HTTP/1.", 7) != 0 || (p[7] != '0' && p[7] != '1') ||
        p[8] != ' ')
        return 0;
    for (int i = 9; i < 12; i++)
        if (p[i] < '0' || p[i] > '9')
            return 0;
    *phrase = (struct pixi_cur){p + 12, line.end};
    if (phrase->p != phrase->end && *phrase->p++ != ' ')
        return 0;
    return (unsigned)(p[9] - '0') * 100 + (unsigned)(p[10] - '0') * 10 + (unsigned)(p[11] - '0');
}

/* The end of the head in in[0 .. len), 0 while it is not there. is_broken: a line ends without CR. */
static size_t find_end(const uint8_t *in, size_t len, bool *is_broken)
{
    for (size_t i = 0; i < len; i++) {
        if (in[i] != '\n')
            continue;
        if (i == 0 || in[i - 1] != '\r') {
            *is_broken = true;
            return 0;
        }
        if (i >= 3 && in[i - 2] == '\n')
            return i + 1;
    }
    return 0;
}

static int not_http(struct pixi_tunnel *t)
{
    return say(t, PIXI_E_PROXY, "is no HTTP proxy");
}

/* A whole head. Its phrase is a stranger's: what is not printable ASCII is left out. */
static int judge_head(struct pixi_tunnel *t, size_t len)
{
    const uint8_t *end = memchr(t->in.bytes, '\r', len);
    struct pixi_cur phrase;
    unsigned status = read_status((struct pixi_cur){t->in.bytes, end}, &phrase);
    char words[PHRASE_MAX] = " ";
    size_t used = 1;

    if (status < 100 || status == 101)
        return not_http(t);
    if (status / 100 == 1) { /* a promise; the answer follows */
        pixi_buf_reset(&t->in);
        return PIXI_MORE;
    }
    if (status / 100 == 2)
        return PIXI_OK;
    if (status == 407 || status == 401) /* tinyproxy's word for a wrong password */
        return refuse_user(t);
    for (; phrase.p != phrase.end && used < sizeof words - 1; phrase.p++)
        if (*phrase.p >= ' ' && *phrase.p < 0x7f)
            words[used++] = (char)*phrase.p;
    words[used > 1 ? used : 0] = 0;
    return say(t, PIXI_E_PROXY, "answered %u%s to CONNECT %s:%u", status, words, t->host, t->port);
}

/* The first bytes tell early whether this is HTTP at all. */
static bool is_http_so_far(const struct pixi_buf *in)
{
    size_t len = in->len < 7 ? in->len : 7;

    return memcmp(in->bytes, "HTTP/1.", len) == 0;
}

/* Looks before it takes, so as not to take what follows the head. */
static int read_http(struct pixi_tunnel *t)
{
    uint8_t *room = pixi_buf_reserve(&t->in, 1024);
    size_t before = t->in.len, end;
    bool is_broken = false;
    ssize_t n;

    if (!room)
        return t->in.err == PIXI_E_LIMIT ? say(t, PIXI_E_PROXY, "sent an answer that is too long")
                                         : t->in.err;
    n = recv(t->watch.fd, room, 1024, MSG_PEEK);
    if (n <= 0)
        return n == 0 ? say(t, PIXI_E_PROXY, "closed the connection without an answer") : PIXI_E_SYS;
    end = find_end(t->in.bytes, before + (size_t)n, &is_broken);
    if (end)
        n = (ssize_t)(end - before);
    if (recv(t->watch.fd, room, (size_t)n, 0) != n)
        return PIXI_E_SYS;
    t->in.len += (size_t)n;
    if (is_broken || !is_http_so_far(&t->in))
        return not_http(t);
    return end ? judge_head(t, end) : PIXI_MORE;
}

/* --- SOCKS ----------------------------------------------------------------------------------------------------- */

enum { SOCKS = 5, NO_AUTH = 0, BY_USER = 2, NONE_FITS = 0xff, CONNECT = 1, IPV4 = 1, NAME = 3, IPV6 = 4 };

static void put_byte(struct pixi_buf *b, size_t byte)
{
    uint8_t one = (uint8_t)byte;

    pixi_buf_put(b, &one, 1);
}

static void put_counted(struct pixi_buf *b, const char *text)
{
    put_byte(b, strlen(text));
    pixi_buf_put_str(b, text);
}

/* Until the answer has len bytes.   PIXI_OK | PIXI_MORE | PIXI_E_PROXY | PIXI_E_SYS | PIXI_E_NOMEM */
static int fill(struct pixi_tunnel *t, size_t len)
{
    uint8_t *room;
    ssize_t n;

    if (t->in.len >= len)
        return PIXI_OK;
    room = pixi_buf_reserve(&t->in, len - t->in.len);
    if (!room)
        return t->in.err;
    n = recv(t->watch.fd, room, len - t->in.len, 0);
    if (n == 0)
        return say(t, PIXI_E_PROXY, "closed the connection without an answer");
    if (n < 0)
        return PIXI_E_SYS;
    t->in.len += (size_t)n;
    return t->in.len == len ? PIXI_OK : PIXI_MORE;
}

static int not_socks(struct pixi_tunnel *t)
{
    return say(t, PIXI_E_PROXY, "is no SOCKS5 proxy");
}

static int refuse_target(struct pixi_tunnel *t, uint8_t code)
{
    static const char *const words[] = {"",
                                        "it has failed",
                                        "its rules do not allow it",
                                        "the network is unreachable",
                                        "the host is unreachable",
                                        "connection refused",
                                        "the time ran out",
                                        "it knows no CONNECT",
                                        "it does not take this kind of address"};

    if (code < sizeof words / sizeof *words)
        return say(t, PIXI_E_PROXY, "does not connect to %s:%u: %s", t->host, t->port, words[code]);
    return say(t, PIXI_E_PROXY, "does not connect to %s:%u (code %u)", t->host, t->port, code);
}

/* VER REP RSV ATYP BND.ADDR BND.PORT: the address is passed over.             RFC 1928 §6 */
static int read_reply(struct pixi_tunnel *t)
{
    int rc = fill(t, 5);
    size_t addr_len;

    if (rc != PIXI_OK)
        return rc;
    if (t->in.bytes[0] != SOCKS)
        return not_socks(t);
    if (t->in.bytes[1] != 0)
        return refuse_target(t, t->in.bytes[1]);
    switch (t->in.bytes[3]) {
    case IPV4: addr_len = 4; break;
    case IPV6: addr_len = 16; break;
    case NAME: addr_len = 1u + t->in.bytes[4]; break;
    default: return not_socks(t);
    }
    return fill(t, 4 + addr_len + 2);
}

static int await(struct pixi_tunnel *t, int (*read)(struct pixi_tunnel *))
{
    pixi_buf_reset(&t->in);
    t->read = read;
    return t->out.err ? t->out.err : PIXI_MORE;
}

static int ask_for_target(struct pixi_tunnel *t)
{
    const uint8_t head[] = {SOCKS, CONNECT, 0}, port[] = {(uint8_t)(t->port >> 8), (uint8_t)t->port};
    uint8_t number[16];

    pixi_buf_put(&t->out, head, sizeof head);
    if (inet_pton(AF_INET, t->host, number) == 1) {
        put_byte(&t->out, IPV4);
        pixi_buf_put(&t->out, number, 4);
    } else if (inet_pton(AF_INET6, t->host, number) == 1) {
        put_byte(&t->out, IPV6);
        pixi_buf_put(&t->out, number, 16);
    } else {
        put_byte(&t->out, NAME);
        put_counted(&t->out, t->host);
    }
    pixi_buf_put(&t->out, port, sizeof port);
    return await(t, read_reply);
}

/* VER STATUS.                                                                   RFC 1929 §2 */
static int read_user(struct pixi_tunnel *t)
{
    int rc = fill(t, 2);

    if (rc != PIXI_OK)
        return rc;
    return t->in.bytes[1] == 0 ? ask_for_target(t) : refuse_user(t);
}

/* VER METHOD.                                                                   RFC 1928 §3 */
static int read_method(struct pixi_tunnel *t)
{
    int rc = fill(t, 2);

    if (rc != PIXI_OK)
        return rc;
    if (t->in.bytes[0] != SOCKS)
        return not_socks(t);
    if (t->in.bytes[1] == NONE_FITS)
        return refuse_user(t);
    if (t->in.bytes[1] == NO_AUTH)
        return ask_for_target(t);
    if (t->in.bytes[1] != BY_USER || !t->proxy->has_user)
        return not_socks(t);
    put_byte(&t->out, 1);
    put_counted(&t->out, t->proxy->user);
    put_counted(&t->out, t->proxy->password);
    return await(t, read_user);
}

static void put_methods(struct pixi_tunnel *t)
{
    put_byte(&t->out, SOCKS);
    put_byte(&t->out, t->proxy->has_user ? 2 : 1);
    put_byte(&t->out, NO_AUTH);
    if (t->proxy->has_user)
        put_byte(&t->out, BY_USER);
}

/* --- both ------------------------------------------------------------------------------------------------------ */

static void release(struct pixi_tunnel *t)
{
    pixi_loop_unwatch(t->loop, &t->watch);
    if (t->out.bytes)
        explicit_bzero(t->out.bytes, t->out.cap);
    pixi_buf_clear(&t->out);
    pixi_buf_clear(&t->in);
    t->read = NULL;
}

static int send_some(struct pixi_tunnel *t)
{
    ssize_t n = send(t->watch.fd, t->out.bytes + t->sent, t->out.len - t->sent, MSG_NOSIGNAL);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? PIXI_MORE : PIXI_E_SYS;
    t->sent += (size_t)n;
    return PIXI_MORE;
}

static void on_ready(struct pixi_watch *w, uint32_t events)
{
    struct pixi_tunnel *t = OF(watch, w);
    int rc = PIXI_MORE;

    errno = 0;
    if (t->out.err)
        rc = t->out.err;
    else if (t->sent < t->out.len && events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
        rc = send_some(t);
    else if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        rc = t->read(t);
    if (rc == PIXI_E_SYS && (errno == EAGAIN || errno == EINTR))
        rc = PIXI_MORE;
    if (rc == PIXI_E_SYS)
        rc = say(t, PIXI_E_PROXY, "cut the connection: %s", strerror(errno));
    if (rc != PIXI_MORE) {
        release(t);
        t->on_done(t, rc);
        return;
    }
    pixi_loop_watch(t->loop, w, t->sent < t->out.len ? EPOLLOUT : EPOLLIN);
}

void pixi_tunnel_start(struct pixi_tunnel *t, struct pixi_loop *l, int fd, const struct pixi_proxy *proxy,
                       const char *host, uint16_t port)
{
    t->loop = l;
    t->proxy = proxy;
    t->watch = (struct pixi_watch){.fd = fd, .on_ready = on_ready};
    t->in = pixi_buf_init(PIXI_TUNNEL_ANSWER_MAX);
    t->out = pixi_buf_init(REQUEST_MAX);
    t->sent = 0;
    t->port = port;
    t->text[0] = 0;
    snprintf(t->host, sizeof t->host, "%s", host);
    pixi_buf_reserve(&t->out, REQUEST_MAX);
    if (proxy->kind == PIXI_PROXY_HTTP) {
        put_connect(t);
        t->read = read_http;
    } else {
        put_methods(t);
        t->read = read_method;
    }
    pixi_loop_watch(l, &t->watch, EPOLLOUT);
}

void pixi_tunnel_cancel(struct pixi_tunnel *t)
{
    if (t->read)
        release(t);
}
