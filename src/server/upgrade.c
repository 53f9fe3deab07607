/* upgrade.c -- from an HTTP request to a connection of the hub, or to a refusal that says why. */
#include "base/base64.h"
#include "server/conn.h"

#include <openssl/crypto.h>

enum { KEY_MAX = 512 };

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

static bool is_mqtt(struct pixi_cur protocol)
{
    return pixi_cur_equals(protocol, pixi_cur_str(PIXI_SERVER_MQTT_PROTOCOL));
}

static bool is_spoken(struct pixi_cur protocol)
{
    return pixi_cur_equals(protocol, pixi_cur_str(PIXI_SERVER_PROTOCOL)) || is_mqtt(protocol);
}

/* The dialect to speak; false: only others were offered. Offering nothing means pixi.v1 without saying so. */
static bool choose_protocol(const struct pixi_ws_request *r, struct pixi_cur *chosen)
{
    bool is_other = false;

    *chosen = pixi_cur_init(NULL, 0);
    for (size_t i = 0; i < r->protocol_count; i++) {
        if (is_spoken(r->protocols[i]) && !chosen->p) /* the client's first choice */
            *chosen = r->protocols[i];
        else if (!is_key_protocol(r->protocols[i]))
            is_other = true;
    }
    return chosen->p || !is_other;
}

/* From a page that came from here, by the name that was asked for.          RFC 6454 */
static bool is_own_origin(const struct pixi_conn *c, const struct pixi_http_head *h, struct pixi_cur origin)
{
    struct pixi_cur host, scheme, own = pixi_cur_str(c->link.tcp.tls ? "https://" : "http://");

    return pixi_http_find(h, "host", &host, NULL) && pixi_cur_cut(&origin, pixi_cur_left(&own), &scheme) &&
           pixi_cur_equals(scheme, own) && pixi_cur_left(&host) && pixi_cur_equals(origin, host);
}

static bool is_origin_allowed(const struct pixi_conn *c, const struct pixi_http_head *h,
                              struct pixi_cur origin)
{
    const struct pixi_server *s = c->server;
    const struct pixi_cur *allowed = s->settings->origins.at;

    if (is_own_origin(c, h, origin))
        return true;
    for (size_t i = 0; i < s->settings->origins.count; i++)
        if (pixi_cur_equals(allowed[i], pixi_cur_str("*")) || pixi_cur_equals(allowed[i], origin))
            return true;
    return false;
}

void pixi_permit_of_key(struct pixi_permit *permit, const struct pixi_key *key)
{
    *permit = (struct pixi_permit){0};
    if (key)
        *permit = (struct pixi_permit){.name = pixi_cur_str(key->name),
                                       .publish = key->publish.at,
                                       .publish_count = key->publish.count,
                                       .subscribe = key->subscribe.at,
                                       .subscribe_count = key->subscribe.count};
}

void pixi_conn_take_key(struct pixi_conn *c, const struct pixi_key *key)
{
    c->key = key;
    c->usage = key ? &c->server->usage[key - pixi_keys_at(c->server->keys, 0)] : NULL;
    pixi_permit_of_key(&c->permit, key);
}

/* MQTT's clients outside of browsers name the server itself, and https:// whatever they speak (paho does). A page gains
 * nothing by it: the key is in the CONNECT. */
static bool is_own_host(const struct pixi_http_head *h, struct pixi_cur origin)
{
    static const char *const schemes[] = {"http://", "https://"};
    struct pixi_cur host, rest, scheme;

    for (size_t i = 0; i < 2; i++) {
        rest = origin;
        if (pixi_http_find(h, "host", &host, NULL) && pixi_cur_cut(&rest, strlen(schemes[i]), &scheme) &&
            pixi_cur_equals(scheme, pixi_cur_str(schemes[i])) && pixi_cur_equals(rest, host))
            return true;
    }
    return false;
}

static const struct pixi_refusal two_keys = {400, PIXI_REFUSED_KEY, "two API keys that differ", NULL, NULL};
static const struct pixi_refusal no_dialect = {400, PIXI_REFUSED_SUBPROTOCOL,
                                               "no offered subprotocol is spoken here: offer pixi.v1 or mqtt",
                                               NULL, NULL};
static const struct pixi_refusal bad_origin = {
    403, PIXI_REFUSED_ORIGIN, "this Origin is not allowed: see \"origins\" in the server's settings", NULL,
    NULL};
static const struct pixi_refusal no_key = {401, PIXI_REFUSED_KEY,
                                           "an API key is needed: Authorization: Bearer KEY",
                                           "WWW-Authenticate", "Bearer realm=\"pixi\""};
static const struct pixi_refusal bad_key = {401, PIXI_REFUSED_KEY, "the API key is not known here",
                                            "WWW-Authenticate",
                                            "Bearer realm=\"pixi\", error=\"invalid_token\""};

/* NULL: this one may come in (c->key), or is to be told with 3000 (c->is_unauthorized). */
static const struct pixi_refusal *authorize(struct pixi_conn *c, const struct pixi_http_head *h,
                                            const struct pixi_ws_request *r, struct pixi_cur protocol)
{
    struct found_key found = {.len = 0};
    const struct pixi_key *key;

    if (r->origin.p && !is_origin_allowed(c, h, r->origin) &&
        !(is_mqtt(protocol) && is_own_host(h, r->origin)))
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
    if (is_mqtt(protocol) && !found.is_there && !found.is_malformed)
        return NULL; /* its CONNECT has it */
    /* a script in a browser cannot read an HTTP refusal: it is upgraded and told by a close code */
    c->is_unauthorized = r->origin.p != NULL;
    if (c->is_unauthorized)
        return NULL;
    return found.is_there || found.is_malformed ? &bad_key : &no_key;
}

static void upgrade(struct pixi_conn *c, const struct pixi_http_head *h, const struct pixi_ws_request *r)
{
    const struct pixi_refusal *refusal;
    struct pixi_cur protocol;

    if (c->server->mode == PIXI_SERVER_ECHO) {
        pixi_link_accept(&c->link, r, r->protocol_count ? r->protocols[0] : pixi_cur_init(NULL, 0));
        return;
    }
    if (!choose_protocol(r, &protocol)) {
        pixi_conn_refuse(c, &no_dialect);
        return;
    }
    refusal = authorize(c, h, r, protocol);
    if (refusal)
        pixi_conn_refuse(c, refusal);
    else
        pixi_link_accept(&c->link, r, protocol);
}

void pixi_server_on_request(struct pixi_link *k, const struct pixi_http_head *head, int rc,
                            const struct pixi_ws_request *r)
{
    static const struct pixi_refusal not_found = {
        404, PIXI_REFUSED_PATH, "nothing here: the WebSocket is at " PIXI_SERVER_PATH, NULL, NULL};
    static const struct pixi_refusal no_page = {
        404, PIXI_REFUSED_PATH, "nothing here: there are /metrics, /healthz and /readyz", NULL, NULL};
    struct pixi_conn *c = pixi_conn_of_link(k);

    if (!head)
        pixi_conn_refuse_error(c, rc);
    else if (pixi_conn_answer_endpoint(c, head))
        return;
    else if (c->rank == PIXI_CONN_OPERATOR)
        pixi_conn_refuse(c, &no_page);
    else if (c->server->mode == PIXI_SERVER_HUB && pixi_conn_answer_page(c, head))
        return;
    else if (c->server->mode == PIXI_SERVER_HUB &&
             !pixi_cur_equals(pixi_http_path(head), pixi_cur_str(PIXI_SERVER_PATH)))
        pixi_conn_refuse(c, &not_found);
    else if (rc != PIXI_OK)
        pixi_conn_refuse_error(c, rc);
    else
        upgrade(c, head, r);
}
