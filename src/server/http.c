/* http.c -- what is answered in HTTP: refusals, /healthz, /readyz, and /metrics where operators listen. */
#include "server/conn.h"

#include <stdio.h>

enum { RESPONSE_MAX = PIXI_METRICS_MAX + 8192 };

static void put_head(struct pixi_buf *b, unsigned status, const char *field, const char *value)
{
    pixi_buf_putf(b, "HTTP/1.1 %u %s\r\n", status, pixi_http_reason(status));
    if (field)
        pixi_http_put_field(b, field, pixi_cur_str(value));
    if (status == 426)
        pixi_buf_put_str(b, "Upgrade: websocket\r\n");
}

static void put_body(struct pixi_buf *b, const char *type, struct pixi_cur body)
{
    pixi_http_put_field(b, "Content-Type", pixi_cur_str(type));
    pixi_buf_putf(b, "Content-Length: %zu\r\n", pixi_cur_left(&body));
    pixi_buf_put_str(
        b, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n");
    pixi_buf_put_cur(b, body);
}

void pixi_refusal_put(const struct pixi_refusal *r, struct pixi_buf *b)
{
    struct pixi_buf body = pixi_buf_init(4096);
    struct pixi_json_out w = pixi_json_out_init(&body);

    pixi_json_open_object(&w);
    pixi_json_name(&w, "type");
    pixi_json_text(&w, "about:blank");
    pixi_json_name(&w, "title");
    pixi_json_text(&w, pixi_http_reason(r->status));
    pixi_json_name(&w, "status");
    pixi_json_number(&w, r->status);
    pixi_json_name(&w, "detail");
    pixi_json_text(&w, r->detail);
    pixi_json_close_object(&w);
    if (body.err)
        b->err = body.err;
    put_head(b, r->status, r->field, r->value);
    put_body(b, "application/problem+json", pixi_buf_cur(&body));
    pixi_buf_clear(&body);
}

void pixi_conn_refuse(struct pixi_conn *c, const struct pixi_refusal *r)
{
    struct pixi_buf b = pixi_loop_borrow(c->server->loop, RESPONSE_MAX);

    pixi_refusal_put(r, &b);
    pixi_link_respond(&c->link, &b);
    pixi_loop_give_back(c->server->loop, &b);
    pixi_server_count_refused(c->server, r->reason, c->from, "%u %s", r->status, r->detail);
}

void pixi_conn_refuse_error(struct pixi_conn *c, int err)
{
    char detail[160];
    struct pixi_refusal r = {.status = pixi_ws_request_status(err),
                             .reason = err == PIXI_E_HTTP_SIZE    ? PIXI_REFUSED_HEAD_BYTES
                                       : err == PIXI_E_HTTP_COUNT ? PIXI_REFUSED_HEAD_FIELDS
                                                                  : PIXI_REFUSED_REQUEST,
                             .detail = detail};

    if (err == PIXI_E_TIMEOUT) {
        r.status = 408;
        r.reason = PIXI_REFUSED_HANDSHAKE_MS;
        snprintf(detail, sizeof detail, "no whole request within %u ms", c->server->limits.handshake_ms);
    } else {
        snprintf(detail, sizeof detail, "%s (%s)", pixi_err_text(err), pixi_err_clause(err));
    }
    if (r.status == 426) {
        r.field = "Sec-WebSocket-Version";
        r.value = "13";
    } else if (r.status == 405) {
        r.field = "Allow";
        r.value = "GET";
    }
    pixi_conn_refuse(c, &r);
}

static void respond(struct pixi_conn *c, const char *type, const struct pixi_buf *body)
{
    struct pixi_buf b = pixi_loop_borrow(c->server->loop, RESPONSE_MAX);

    put_head(&b, 200, NULL, NULL);
    put_body(&b, type, pixi_buf_cur(body));
    if (body->err)
        b.err = body->err;
    pixi_link_respond(&c->link, &b);
    pixi_loop_give_back(c->server->loop, &b);
}

static void answer_ok(struct pixi_conn *c)
{
    struct pixi_buf body = pixi_buf_init(64);

    pixi_buf_put_str(&body, "ok\n");
    respond(c, "text/plain; charset=utf-8", &body);
    pixi_buf_clear(&body);
}

/* Should new clients be sent here? */
static void answer_ready(struct pixi_conn *c)
{
    static const struct pixi_refusal stopping = {503, PIXI_REFUSED_NOT_READY, "the server is stopping",
                                                 "Retry-After", "5"};
    static const struct pixi_refusal full = {
        503, PIXI_REFUSED_NOT_READY,
        "the store takes no more retained messages: see limits.retained_count "
        "and limits.retained_bytes",
        "Retry-After", "30"};
    static const struct pixi_refusal refusing = {503, PIXI_REFUSED_NOT_READY,
                                                 "the store takes nothing: its disk is full or fails",
                                                 "Retry-After", "5"};
    const struct pixi_server *s = c->server;
    struct pixi_sqlite_store_stats store = pixi_server_store_stats(&s->store);

    if (s->is_draining)
        pixi_conn_refuse(c, &stopping);
    else if (store.is_refusing)
        pixi_conn_refuse(c, &refusing);
    else if (store.is_full)
        pixi_conn_refuse(c, &full);
    else
        answer_ok(c);
}

static void answer_metrics(struct pixi_conn *c)
{
    struct pixi_buf body = pixi_loop_borrow(c->server->loop, PIXI_METRICS_MAX);

    pixi_metrics_put(c->server, &body);
    respond(c, "text/plain; version=0.0.4; charset=utf-8", &body);
    pixi_loop_give_back(c->server->loop, &body);
}

bool pixi_conn_answer_endpoint(struct pixi_conn *c, const struct pixi_http_head *h)
{
    static const struct {
        const char *path;
        void (*answer)(struct pixi_conn *);
        bool is_for_operators;
    } rows[] = {
        {"/healthz", answer_ok, false},
        {"/readyz", answer_ready, false},
        {"/metrics", answer_metrics, true},
    };
    struct pixi_cur path = pixi_http_path(h);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!pixi_cur_equals(path, pixi_cur_str(rows[i].path)) ||
            (rows[i].is_for_operators && c->rank != PIXI_CONN_OPERATOR))
            continue;
        if (pixi_cur_equals(h->method, pixi_cur_str("GET")))
            rows[i].answer(c);
        else
            pixi_conn_refuse_error(c, PIXI_E_WS_METHOD);
        return true;
    }
    return false;
}
