#include "proto/ws/handshake.h"
#include "base/base64.h"
#include "proto/ws/extension.h"

#include <openssl/sha.h>

static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 §1.3 */

static int check_upgrade(const struct pixi_http_head *h)
{
    if (!pixi_http_list_has(h, "upgrade", "websocket") || !pixi_http_list_has(h, "connection", "upgrade"))
        return PIXI_E_WS_UPGRADE;
    return PIXI_OK;
}

static int check_version(const struct pixi_http_head *h)
{
    struct pixi_cur version;

    if (!pixi_http_find(h, "sec-websocket-version", &version, NULL) || !pixi_http_equals(version, "13"))
        return PIXI_E_WS_VERSION;
    return PIXI_OK;
}

static bool is_base64_char(uint8_t ch)
{
    return (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '+' ||
           ch == '/';
}

/* 16 bytes are 22 digits and two '='. The unused bits of the last digit may be anything: RFC 6455's own example in
 * §4.2.1 sets some. */
static int check_key(const struct pixi_http_head *h, struct pixi_cur *key)
{
    if (!pixi_http_find(h, "sec-websocket-key", key, NULL) || pixi_cur_left(key) != PIXI_WS_KEY_LEN)
        return PIXI_E_WS_KEY;
    for (const uint8_t *p = key->p; p != key->end - 2; p++)
        if (!is_base64_char(*p))
            return PIXI_E_WS_KEY;
    return key->end[-1] == '=' && key->end[-2] == '=' ? PIXI_OK : PIXI_E_WS_KEY;
}

static bool is_offered(const struct pixi_ws_request *r, struct pixi_cur protocol)
{
    for (size_t i = 0; i < r->protocol_count; i++)
        if (pixi_cur_equals(r->protocols[i], protocol))
            return true;
    return false;
}

static int read_protocols(const struct pixi_http_head *h, struct pixi_ws_request *out)
{
    struct pixi_http_list l = pixi_http_list(h, "sec-websocket-protocol");
    struct pixi_cur element;

    out->protocol_count = 0;
    while (pixi_http_list_next(&l, &element)) {
        if (!pixi_http_is_token(element) || is_offered(out, element))
            return PIXI_E_WS_PROTOCOL;
        if (out->protocol_count == PIXI_WS_PROTOCOLS)
            return PIXI_E_WS_PROTOCOL;
        out->protocols[out->protocol_count++] = element;
    }
    return PIXI_OK;
}

static bool is_deflate(struct pixi_cur name)
{
    return pixi_cur_equals(name, pixi_cur_str(PIXI_WS_DEFLATE));
}

/* PIXI_OK: it is of the form of an extension. An offer of permessage-deflate that cannot be taken is passed over: another
 * may follow (RFC 7692 §5). */
static int read_extension(struct pixi_cur c, struct pixi_ws_request *out)
{
    struct pixi_ws_parameter any;
    struct pixi_cur name;
    int rc = pixi_ws_extension_name(&c, &name);

    if (rc == PIXI_OK && is_deflate(name) && !out->offers_deflate)
        out->offers_deflate = pixi_ws_deflate_read(c, PIXI_CLIENT, &out->deflate) == PIXI_OK;
    while (rc == PIXI_OK)
        rc = pixi_ws_extension_next(&c, &any);
    return rc == PIXI_MORE ? PIXI_OK : rc;
}

static int read_extensions(const struct pixi_http_head *h, struct pixi_ws_request *out)
{
    struct pixi_http_list l = pixi_http_list(h, "sec-websocket-extensions");
    struct pixi_cur element;
    int rc = PIXI_OK;

    while (rc == PIXI_OK && pixi_http_list_next(&l, &element))
        rc = read_extension(element, out);
    return rc;
}

int pixi_ws_request_check(const struct pixi_http_head *h, struct pixi_ws_request *out)
{
    struct pixi_ws_request r = {0};
    struct pixi_cur get = pixi_cur_str("GET");
    int rc;

    if (!pixi_cur_equals(h->method, get))
        return PIXI_E_WS_METHOD;
    if ((rc = pixi_http_request_check(h)) != PIXI_OK || (rc = check_upgrade(h)) != PIXI_OK ||
        (rc = check_version(h)) != PIXI_OK || (rc = check_key(h, &r.key)) != PIXI_OK ||
        (rc = read_protocols(h, &r)) != PIXI_OK || (rc = read_extensions(h, &r)) != PIXI_OK)
        return rc;
    if (!pixi_http_find(h, "origin", &r.origin, NULL))
        r.origin = pixi_cur_init(NULL, 0);
    *out = r;
    return PIXI_OK;
}

unsigned pixi_ws_request_status(int err)
{
    switch (err) {
    case PIXI_E_WS_METHOD: return 405;
    case PIXI_E_WS_UPGRADE:
    case PIXI_E_WS_VERSION: return 426;
    case PIXI_E_HTTP_SIZE:
    case PIXI_E_HTTP_COUNT: return 431;
    case PIXI_E_HTTP_VERSION: return 505;
    default: return 400;
    }
}

void pixi_ws_accept(struct pixi_cur key, char out[PIXI_WS_ACCEPT_LEN])
{
    uint8_t text[PIXI_WS_KEY_LEN + sizeof GUID - 1], digest[SHA_DIGEST_LENGTH];

    memcpy(text, key.p, PIXI_WS_KEY_LEN);
    memcpy(text + PIXI_WS_KEY_LEN, GUID, sizeof GUID - 1);
    SHA1(text, sizeof text, digest);
    pixi_base64_encode(PIXI_BASE64_STD, digest, sizeof digest, out);
}

static void put_extension(struct pixi_buf *b, const struct pixi_ws_deflate *deflate)
{
    if (!deflate)
        return;
    pixi_buf_put_str(b, "Sec-WebSocket-Extensions: ");
    pixi_ws_deflate_put(b, deflate);
    pixi_buf_put_str(b, "\r\n");
}

void pixi_ws_response_put(struct pixi_buf *b, const struct pixi_ws_request *r, struct pixi_cur protocol,
                          const struct pixi_ws_deflate *deflate)
{
    char accept[PIXI_WS_ACCEPT_LEN];

    pixi_ws_accept(r->key, accept);
    pixi_buf_put_str(b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
    pixi_http_put_field(b, "Sec-WebSocket-Accept", pixi_cur_init(accept, sizeof accept));
    if (protocol.p)
        pixi_http_put_field(b, "Sec-WebSocket-Protocol", protocol);
    put_extension(b, deflate);
    pixi_buf_put_str(b, "\r\n");
}

static void put_if(struct pixi_buf *b, const char *name, const char *value)
{
    if (value)
        pixi_http_put_field(b, name, pixi_cur_str(value));
}

void pixi_ws_request_put(struct pixi_buf *b, const struct pixi_ws_hello *hello)
{
    for (const char *p = hello->path; *p; p++)
        if (((uint8_t)*p <= ' ' || (uint8_t)*p >= 0x7f) && b->err == PIXI_OK)
            b->err = PIXI_E_HTTP_FIELD; /* it could end the request line */
    pixi_buf_put_str(b, "GET ");
    pixi_buf_put_str(b, hello->path);
    pixi_buf_put_str(b, " HTTP/1.1\r\n");
    put_if(b, "Host", hello->host);
    pixi_buf_put_str(b, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n");
    put_if(b, "Sec-WebSocket-Key", hello->key);
    put_if(b, "Sec-WebSocket-Protocol", hello->protocols);
    put_if(b, "Authorization", hello->authorization);
    put_if(b, "Origin", hello->origin);
    put_extension(b, hello->deflate);
    pixi_buf_put_str(b, "\r\n");
}

/* Is it among "a, b"? */
static bool was_offered(const char *protocols, struct pixi_cur chosen)
{
    struct pixi_http_head h = {.field_count = 1};
    struct pixi_http_list l;
    struct pixi_cur element;

    if (!protocols)
        return false;
    h.fields[0] = (struct pixi_http_field){pixi_cur_str("p"), pixi_cur_str(protocols)};
    l = pixi_http_list(&h, "p");
    while (pixi_http_list_next(&l, &element))
        if (pixi_cur_equals(element, chosen))
            return true;
    return false;
}

static int check_accept(const struct pixi_http_head *h, const char *key)
{
    char want[PIXI_WS_ACCEPT_LEN];
    struct pixi_cur got;

    pixi_ws_accept(pixi_cur_init(key, PIXI_WS_KEY_LEN), want);
    if (!pixi_http_find(h, "sec-websocket-accept", &got, NULL))
        return PIXI_E_WS_ACCEPT;
    return pixi_cur_equals(got, pixi_cur_init(want, sizeof want)) ? PIXI_OK : PIXI_E_WS_ACCEPT;
}

/* Of all that there is, permessage-deflate can be chosen, once, where it was offered. */
static int check_extension(const struct pixi_http_head *h, const struct pixi_ws_hello *hello,
                           struct pixi_ws_answer *out)
{
    struct pixi_http_list l = pixi_http_list(h, "sec-websocket-extensions");
    struct pixi_cur element, any, name;
    size_t count;
    int rc;

    pixi_http_find(h, "sec-websocket-extensions", &any, &count);
    if (count == 0)
        return PIXI_OK;
    if (!hello->deflate)
        return PIXI_E_WS_EXTENSION;
    for (; pixi_http_list_next(&l, &element); out->has_deflate = true) {
        if ((rc = pixi_ws_extension_name(&element, &name)) != PIXI_OK)
            return rc;
        if (out->has_deflate || !is_deflate(name))
            return PIXI_E_WS_EXTENSION;
        if ((rc = pixi_ws_deflate_read(element, PIXI_SERVER, &out->deflate)) != PIXI_OK ||
            (rc = pixi_ws_deflate_check(hello->deflate, &out->deflate)) != PIXI_OK)
            return rc;
    }
    return PIXI_OK;
}

int pixi_ws_response_check(const struct pixi_http_head *h, const struct pixi_ws_hello *hello,
                           struct pixi_ws_answer *out)
{
    struct pixi_ws_answer answer = {.has_deflate = false};
    struct pixi_cur chosen = {NULL, NULL}, any;
    size_t count;
    int rc;

    if (h->status != 101)
        return PIXI_E_WS_STATUS;
    if (pixi_http_has_body(h))
        return PIXI_E_HTTP_BODY;
    /* §4.1: here Upgrade is one value, not a list */
    if (!pixi_http_find(h, "upgrade", &any, NULL) || !pixi_http_equals(any, "websocket"))
        return PIXI_E_WS_UPGRADE;
    if (!pixi_http_list_has(h, "connection", "upgrade"))
        return PIXI_E_WS_UPGRADE;
    if ((rc = check_accept(h, hello->key)) != PIXI_OK)
        return rc;
    if ((rc = check_extension(h, hello, &answer)) != PIXI_OK)
        return rc;
    pixi_http_find(h, "sec-websocket-protocol", &chosen, &count);
    if (count > 1 || (count == 1 && !was_offered(hello->protocols, chosen)))
        return PIXI_E_WS_PROTOCOL;
    answer.protocol = count == 1 ? chosen : pixi_cur_init(NULL, 0);
    *out = answer;
    return PIXI_OK;
}
