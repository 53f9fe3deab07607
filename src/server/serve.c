/* serve.c -- the page's files, over HTTP: GET and HEAD, each with what keeps a browser from being led astray. */
#include "server/conn.h"

/* PixiJS is used without eval. Where 'self' does not stand for the WebSocket's scheme, the host does. */
#define POLICY                                                                                               \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "                  \
    "worker-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'; connect-src 'self'"

static bool is_host(struct pixi_cur host)
{
    const uint8_t *p = host.p;

    while (p != host.end && *p &&
           strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:[]", *p))
        p++;
    return p == host.end && p != host.p;
}

static void put_policy(struct pixi_buf *b, const struct pixi_http_head *h, bool is_tls)
{
    struct pixi_cur host;

    pixi_buf_put_str(b, "Content-Security-Policy: " POLICY);
    if (pixi_http_find(h, "host", &host, NULL) && is_host(host)) {
        pixi_buf_put_str(b, is_tls ? " wss://" : " ws://");
        pixi_buf_put_cur(b, host);
    }
    pixi_buf_put_str(
        b, "\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
           "Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Resource-Policy: same-origin\r\n");
}

static struct pixi_cur trim(struct pixi_cur c)
{
    while (c.p != c.end && (*c.p == ' ' || *c.p == '\t'))
        c.p++;
    while (c.p != c.end && (c.end[-1] == ' ' || c.end[-1] == '\t'))
        c.end--;
    return c;
}

/* "q=0", "q=0.0": not wanted.                                            RFC 9110 §12.4.2 */
static bool is_refused(struct pixi_cur parameters)
{
    const uint8_t *p;

    parameters = trim(parameters);
    if (pixi_cur_left(&parameters) < 3 || (*parameters.p | 0x20) != 'q' || parameters.p[1] != '=')
        return false;
    for (p = parameters.p + 2; p != parameters.end && (*p == '0' || *p == '.'); p++)
        continue;
    return p == parameters.end;
}

static bool takes_gzip(const struct pixi_http_head *h)
{
    struct pixi_http_list l = pixi_http_list(h, "accept-encoding");
    struct pixi_cur e;

    while (pixi_http_list_next(&l, &e)) {
        const uint8_t *semicolon = pixi_cur_left(&e) ? memchr(e.p, ';', pixi_cur_left(&e)) : NULL;
        struct pixi_cur name = {e.p, semicolon ? semicolon : e.end};

        if (pixi_http_equals(trim(name), "gzip"))
            return !semicolon || !is_refused((struct pixi_cur){semicolon + 1, e.end});
    }
    return false;
}

/* Has it this very file already?                                          RFC 9110 §13.1.2 */
static bool is_known(const struct pixi_http_head *h, const char *etag)
{
    struct pixi_http_list l = pixi_http_list(h, "if-none-match");
    struct pixi_cur e;

    while (pixi_http_list_next(&l, &e)) {
        if (pixi_cur_left(&e) > 2 && memcmp(e.p, "W/", 2) == 0)
            e.p += 2;
        if (pixi_cur_equals(e, pixi_cur_str("*")) || pixi_cur_equals(e, pixi_cur_str(etag)))
            return true;
    }
    return false;
}

static void answer(struct pixi_conn *c, const struct pixi_http_head *h, const struct pixi_page_file *f)
{
    bool is_gzip = f->gzip.bytes && takes_gzip(h);
    const struct pixi_page_body *body = is_gzip ? &f->gzip : &f->plain;
    unsigned status = is_known(h, body->etag) ? 304 : 200;
    struct pixi_buf b = pixi_loop_borrow(c->server->loop, 8192);

    pixi_buf_putf(&b, "HTTP/1.1 %u %s\r\n", status, pixi_http_reason(status));
    if (status == 200)
        pixi_buf_putf(&b, "Content-Type: %s\r\nContent-Length: %zu\r\n%s", f->type, body->bytes->len,
                      is_gzip ? "Content-Encoding: gzip\r\n" : "");
    pixi_buf_putf(&b, "ETag: %s\r\nCache-Control: %s\r\n%s", body->etag,
                  f->is_immutable ? "public, max-age=31536000, immutable" : "no-cache",
                  f->gzip.bytes ? "Vary: Accept-Encoding\r\n" : "");
    put_policy(&b, h, c->link.tcp.tls != NULL);
    pixi_buf_put_str(&b, "Connection: close\r\n\r\n");
    pixi_link_respond_shared(
        &c->link, &b, status == 200 && pixi_cur_equals(h->method, pixi_cur_str("GET")) ? body->bytes : NULL);
    pixi_loop_give_back(c->server->loop, &b);
}

bool pixi_conn_answer_page(struct pixi_conn *c, const struct pixi_http_head *h)
{
    static const struct pixi_refusal bad_method = {405, PIXI_REFUSED_REQUEST,
                                                   "the page's files are only read", "Allow", "GET, HEAD"};
    const struct pixi_page_file *f;
    int rc;

    if (!c->server->page || pixi_http_list_has(h, "upgrade", "websocket"))
        return false; /* who wants a WebSocket is told where it is */
    f = pixi_page_find(c->server->page, pixi_http_path(h));
    if (!f)
        return false;
    rc = pixi_http_request_check(h);
    if (!pixi_cur_equals(h->method, pixi_cur_str("GET")) && !pixi_cur_equals(h->method, pixi_cur_str("HEAD")))
        pixi_conn_refuse(c, &bad_method);
    else if (rc != PIXI_OK)
        pixi_conn_refuse_error(c, rc);
    else
        answer(c, h, f);
    return true;
}
