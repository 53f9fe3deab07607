/* upgrade.c -- from an HTTP request to a connection of the hub, or to a refusal that says why. */
#include "base/base64.h"
#include "base/log.h"
#include "server/conn.h"

#include <openssl/crypto.h>

enum { KEY_MAX = 512, RESPONSE_MAX = 8192 };

struct refusal {
    unsigned status;
    const char *detail;
    const char *field, *value; /* one more header field, or NULL */
};

static void respond(struct pixi_conn *c, const struct refusal *r, const char *type,
                    const struct pixi_buf *body)
{
    struct pixi_buf b = pixi_loop_borrow(c->server->loop, RESPONSE_MAX);

    pixi_buf_putf(&b, "HTTP/1.1 %u %s\r\n", r->status, pixi_http_reason(r->status));
    if (r->field)
        pixi_http_put_field(&b, r->field, pixi_cur_str(r->value));
    if (r->status == 426)
        pixi_buf_put_str(&b, "Upgrade: websocket\r\n");
    pixi_http_put_field(&b, "Content-Type", pixi_cur_str(type));
    pixi_buf_putf(&b, "Content-Length: %zu\r\n", body->len);
    pixi_buf_put_str(
        &b, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n");
    pixi_buf_put(&b, body->bytes, body->len);
    pixi_link_respond(&c->link, &b);
    pixi_loop_give_back(c->server->loop, &b);
}

/* RFC 9457 */
static void refuse(struct pixi_conn *c, const struct refusal *r)
{
    struct pixi_buf body = pixi_loop_borrow(c->server->loop, RESPONSE_MAX);
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
    respond(c, r, "application/problem+json", &body);
    pixi_loop_give_back(c->server->loop, &body);
    pixi_log(PIXI_LOG_INFO, "%s: refused: %u %s", c->from, r->status, r->detail);
}

/* One key, from wherever it came. */
struct found_key {
    uint8_t bytes[KEY_MAX];
    size_t len;
    bool is_there, is_conflict, is_malformed;
};

static void add_key(struct found_key *f, struct pixi_cur key)
{
    size_t len = pixi_cur_left(&key);

    if (len == 0 || len > sizeof f->bytes) {
        f->is_malformed = true;
    } else if (!f->is_there) {
        memcpy(f->bytes, key.p, len);
        f->len = len;
        f->is_there = true;
    } else if (len != f->len || CRYPTO_memcmp(f->bytes, key.p, len) != 0) {
        f->is_conflict = true;
    }
}

static void add_bearer(struct found_key *f, struct pixi_cur value)
{
    struct pixi_cur scheme;

    if (!pixi_cur_cut(&value, 7, &scheme) || !pixi_http_equals(scheme, "bearer ")) {
        f->is_malformed = true;
        return;
    }
    while (value.p != value.end && *value.p == ' ')
        value.p++;
    add_key(f, value);
}

static bool is_key_protocol(struct pixi_cur p)
{
    struct pixi_cur prefix;

    return pixi_cur_cut(&p, strlen("pixi.key."), &prefix) &&
           pixi_cur_equals(prefix, pixi_cur_str("pixi.key."));
}

static void add_protocol_key(struct found_key *f, struct pixi_cur p)
{
    uint8_t key[KEY_MAX + 3];
    size_t len;

    p.p += strlen("pixi.key.");
    if (pixi_cur_left(&p) / 4 * 3 > KEY_MAX || pixi_base64_decode(PIXI_BASE64_URL, p, key, &len) != PIXI_OK)
        f->is_malformed = true;
    else
        add_key(f, pixi_cur_init(key, len));
    OPENSSL_cleanse(key, sizeof key);
}

static void find_keys(const struct pixi_http_head *h, const struct pixi_ws_request *r, struct found_key *f)
{
    for (size_t i = 0; i < h->field_count; i++) {
        if (pixi_http_equals(h->fields[i].name, "authorization"))
            add_bearer(f, h->fields[i].value);
        else if (pixi_http_equals(h->fields[i].name, "x-api-key"))
            add_key(f, h->fields[i].value);
    }
    for (size_t i = 0; i < r->protocol_count; i++)
        if (is_key_protocol(r->protocols[i]))
            add_protocol_key(f, r->protocols[i]);
}

/* The dialect to speak; false: only others were offered. Offering nothing means pixi.v1 without saying so. */
static bool choose_protocol(const struct pixi_ws_request *r, struct pixi_cur *chosen)
{
    bool is_other = false;

    *chosen = pixi_cur_init(NULL, 0);
    for (size_t i = 0; i < r->protocol_count; i++) {
        if (pixi_cur_equals(r->protocols[i], pixi_cur_str(PIXI_SERVER_PROTOCOL)))
            *chosen = r->protocols[i];
        else if (!is_key_protocol(r->protocols[i]))
            is_other = true;
    }
    return chosen->p || !is_other;
}

static bool is_origin_allowed(const struct pixi_server *s, struct pixi_cur origin)
{
    const struct pixi_cur *allowed = s->settings->origins.at;

    for (size_t i = 0; i < s->settings->origins.count; i++)
        if (pixi_cur_equals(allowed[i], pixi_cur_str("*")) || pixi_cur_equals(allowed[i], origin))
            return true;
    return false;
}

void pixi_conn_take_key(struct pixi_conn *c, const struct pixi_key *key)
{
    c->key = key;
    c->permit = (struct pixi_permit){0};
    if (!key)
        return;
    c->permit = (struct pixi_permit){.name = pixi_cur_str(key->name),
                                     .publish = key->publish.at,
                                     .publish_count = key->publish.count,
                                     .subscribe = key->subscribe.at,
                                     .subscribe_count = key->subscribe.count};
}

static const struct refusal two_keys = {400, "two API keys that differ", NULL, NULL};
static const struct refusal no_dialect = {400, "no offered subprotocol is spoken here: offer pixi.v1", NULL,
                                          NULL};
static const struct refusal bad_origin = {
    403, "this Origin is not allowed: see \"origins\" in the server's settings", NULL, NULL};
static const struct refusal no_key = {401, "an API key is needed: Authorization: Bearer KEY",
                                      "WWW-Authenticate", "Bearer realm=\"pixi\""};
static const struct refusal bad_key = {401, "the API key is not known here", "WWW-Authenticate",
                                       "Bearer realm=\"pixi\", error=\"invalid_token\""};

/* NULL: this one may come in (c->key), or is to be told with 3000 (c->is_unauthorized). */
static const struct refusal *authorize(struct pixi_conn *c, const struct pixi_http_head *h,
                                       const struct pixi_ws_request *r)
{
    struct found_key found = {.len = 0};
    const struct pixi_key *key;

    if (r->origin.p && !is_origin_allowed(c->server, r->origin))
        return &bad_origin;
    find_keys(h, r, &found);
    if (found.is_conflict)
        return &two_keys;
    key = found.is_there && !found.is_malformed
              ? pixi_keys_lookup(c->server->keys, pixi_cur_init(found.bytes, found.len))
              : NULL;
    OPENSSL_cleanse(found.bytes, sizeof found.bytes);
    if (key) {
        pixi_conn_take_key(c, key);
        return NULL;
    }
    /* a script in a browser cannot read an HTTP refusal: it is upgraded and told by a close code */
    c->is_unauthorized = r->origin.p != NULL;
    if (c->is_unauthorized)
        return NULL;
    return found.is_there || found.is_malformed ? &bad_key : &no_key;
}

static void upgrade(struct pixi_conn *c, const struct pixi_http_head *h, const struct pixi_ws_request *r)
{
    const struct refusal *refusal;
    struct pixi_cur protocol;

    if (c->server->mode == PIXI_SERVER_ECHO) {
        pixi_link_accept(&c->link, r, r->protocol_count ? r->protocols[0] : pixi_cur_init(NULL, 0));
        return;
    }
    if (!choose_protocol(r, &protocol)) {
        refuse(c, &no_dialect);
        return;
    }
    refusal = authorize(c, h, r);
    if (refusal)
        refuse(c, refusal);
    else
        pixi_link_accept(&c->link, r, protocol);
}

static void refuse_malformed(struct pixi_conn *c, int rc)
{
    char detail[160];
    struct refusal r = {pixi_ws_request_status(rc), detail, NULL, NULL};

    if (rc == PIXI_E_TIMEOUT) {
        r.status = 408;
        snprintf(detail, sizeof detail, "no whole request within %u ms", c->server->limits.handshake_ms);
    } else {
        snprintf(detail, sizeof detail, "%s (%s)", pixi_err_text(rc), pixi_err_clause(rc));
    }
    if (r.status == 426) {
        r.field = "Sec-WebSocket-Version";
        r.value = "13";
    } else if (r.status == 405) {
        r.field = "Allow";
        r.value = "GET";
    }
    refuse(c, &r);
}

static void answer_health(struct pixi_conn *c, const struct pixi_http_head *h)
{
    static const struct refusal ok = {200, "", NULL, NULL};
    struct pixi_buf body = pixi_buf_init(64);

    if (!pixi_cur_equals(h->method, pixi_cur_str("GET"))) {
        refuse_malformed(c, PIXI_E_WS_METHOD);
        return;
    }
    pixi_buf_put_str(&body, "ok\n");
    respond(c, &ok, "text/plain; charset=utf-8", &body);
    pixi_buf_clear(&body);
}

void pixi_server_on_request(struct pixi_link *k, const struct pixi_http_head *head, int rc,
                            const struct pixi_ws_request *r)
{
    static const struct refusal not_found = {404, "nothing here: the WebSocket is at " PIXI_SERVER_PATH, NULL,
                                             NULL};
    struct pixi_conn *c = pixi_conn_of_link(k);
    struct pixi_server *s = c->server;
    struct pixi_cur path;

    if (!head) {
        refuse_malformed(c, rc);
        return;
    }
    path = pixi_http_path(head);
    if (pixi_cur_equals(path, pixi_cur_str("/healthz")))
        answer_health(c, head);
    else if (s->mode == PIXI_SERVER_HUB && !pixi_cur_equals(path, pixi_cur_str(PIXI_SERVER_PATH)))
        refuse(c, &not_found);
    else if (rc != PIXI_OK)
        refuse_malformed(c, rc);
    else
        upgrade(c, head, r);
}
