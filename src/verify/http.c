#include "verify/http.h"

#include "base/base64.h"

#include <ctype.h>
#include <openssl/sha.h>
#include <strings.h>

static bool is_token_char(uint8_t c)
{
    return isalnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* One line without its CRLF. PIXI_OK | PIXI_MORE | PIXI_E_HTTP_LINE */
static int read_line(struct pixi_cur *in, struct pixi_cur *line)
{
    const uint8_t *p = in->p;

    while (p < in->end && (*p >= ' ' || *p == '\t') && *p != 0x7f)
        p++;
    if (p == in->end)
        return PIXI_MORE;
    if (*p != '\r' || (p + 1 < in->end && p[1] != '\n'))
        return PIXI_E_HTTP_LINE;
    if (p + 1 == in->end)
        return PIXI_MORE;
    *line = (struct pixi_cur){in->p, p};
    in->p = p + 2;
    return PIXI_OK;
}

/* "HTTP/1.1 101 Switching Protocols", as far as it is there: garbage is known by its first byte. */
static int read_status(struct pixi_cur *in, struct pixi_vhttp_head *h)
{
    static const char shape[] = "HTTP/1.d ddd"; /* d: a digit */
    struct pixi_cur line;
    size_t have = pixi_cur_left(in), i;
    int rc;

    for (i = 0; i < sizeof shape - 1 && i < have; i++)
        if (shape[i] == 'd' ? !isdigit(in->p[i]) : in->p[i] != (uint8_t)shape[i])
            return PIXI_E_HTTP_START;
    if (have > i && in->p[i] != ' ' && in->p[i] != '\r')
        return PIXI_E_HTTP_START;
    rc = read_line(in, &line);
    if (rc)
        return rc;
    h->minor = (unsigned)(line.p[7] - '0');
    h->status = (unsigned)((line.p[9] - '0') * 100 + (line.p[10] - '0') * 10 + (line.p[11] - '0'));
    line.p += pixi_cur_left(&line) > i ? i + 1 : i;
    h->reason = line;
    return h->status < 100 ? PIXI_E_HTTP_START : PIXI_OK;
}

static struct pixi_cur trim(struct pixi_cur c)
{
    while (c.p < c.end && (*c.p == ' ' || *c.p == '\t'))
        c.p++;
    while (c.end > c.p && (c.end[-1] == ' ' || c.end[-1] == '\t'))
        c.end--;
    return c;
}

static int read_field(struct pixi_cur line, struct pixi_vhttp_field *f)
{
    const uint8_t *p = line.p;

    while (p < line.end && is_token_char(*p))
        p++;
    if (p == line.p || p == line.end || *p != ':')
        return PIXI_E_HTTP_FIELD;
    f->name = (struct pixi_cur){line.p, p};
    f->value = trim((struct pixi_cur){p + 1, line.end});
    return PIXI_OK;
}

static int read_fields(struct pixi_cur *in, struct pixi_vhttp_head *h)
{
    struct pixi_cur line;
    int rc;

    for (h->count = 0;;) {
        rc = read_line(in, &line);
        if (rc || pixi_cur_left(&line) == 0)
            return rc;
        if (h->count == PIXI_VHTTP_FIELDS)
            return PIXI_E_HTTP_COUNT;
        rc = read_field(line, &h->fields[h->count]);
        if (rc)
            return rc;
        h->count++;
    }
}

int pixi_vhttp_read(struct pixi_cur *in, struct pixi_vhttp_head *out)
{
    struct pixi_cur c = *in;
    bool is_long = pixi_cur_left(&c) > PIXI_VHTTP_MAX;
    int rc;

    if (is_long)
        c.end = c.p + PIXI_VHTTP_MAX;
    rc = read_status(&c, out);
    if (rc == PIXI_OK)
        rc = read_fields(&c, out);
    if (rc == PIXI_MORE && is_long)
        return PIXI_E_HTTP_SIZE;
    if (rc == PIXI_OK)
        in->p = c.p;
    return rc;
}

bool pixi_vhttp_is(struct pixi_cur text, const char *want)
{
    return pixi_cur_left(&text) == strlen(want) && strncasecmp((const char *)text.p, want, strlen(want)) == 0;
}

bool pixi_vhttp_get(const struct pixi_vhttp_head *h, const char *name, size_t nth, struct pixi_cur *value)
{
    for (size_t i = 0; i < h->count; i++) {
        if (!pixi_vhttp_is(h->fields[i].name, name) || nth--)
            continue;
        *value = h->fields[i].value;
        return true;
    }
    return false;
}

bool pixi_vhttp_has_token(const struct pixi_vhttp_head *h, const char *name, const char *token)
{
    struct pixi_cur list;

    for (size_t nth = 0; pixi_vhttp_get(h, name, nth, &list); nth++) {
        while (list.p < list.end) {
            const uint8_t *comma = memchr(list.p, ',', pixi_cur_left(&list));
            struct pixi_cur item = {list.p, comma ? comma : list.end};

            if (pixi_vhttp_is(trim(item), token))
                return true;
            list.p = comma ? comma + 1 : list.end;
        }
    }
    return false;
}

void pixi_vhttp_put_request(struct pixi_buf *b, const struct pixi_vhttp_offer *offer)
{
    pixi_buf_putf(b,
                  "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n",
                  offer->target, offer->authority, offer->nonce);
    if (offer->subprotocol)
        pixi_buf_putf(b, "Sec-WebSocket-Protocol: %s\r\n", offer->subprotocol);
    if (offer->api_key)
        pixi_buf_putf(b, "Authorization: Bearer %s\r\n", offer->api_key);
    if (offer->extensions)
        pixi_buf_putf(b, "Sec-WebSocket-Extensions: %s\r\n", offer->extensions);
    pixi_buf_put_str(b, "\r\n");
}

void pixi_vhttp_accept(const char *nonce, char out[29])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t text[128], digest[SHA_DIGEST_LENGTH];
    size_t len = strnlen(nonce, sizeof text - sizeof guid);

    memcpy(text, nonce, len);
    memcpy(text + len, guid, sizeof guid - 1);
    SHA1(text, len + sizeof guid - 1, digest);
    out[pixi_base64_encode(PIXI_BASE64_STD, digest, sizeof digest, out)] = 0;
}

int pixi_vhttp_check_upgrade(const struct pixi_vhttp_head *h, const struct pixi_vhttp_offer *offer)
{
    struct pixi_cur value;
    char accept[29];

    if (h->minor < 1)
        return PIXI_E_HTTP_VERSION;
    if (!pixi_vhttp_has_token(h, "Upgrade", "websocket") || !pixi_vhttp_has_token(h, "Connection", "upgrade"))
        return PIXI_E_WS_UPGRADE;
    pixi_vhttp_accept(offer->nonce, accept);
    if (!pixi_vhttp_get(h, "Sec-WebSocket-Accept", 0, &value) ||
        !pixi_cur_equals(value, pixi_cur_str(accept)))
        return PIXI_E_WS_ACCEPT;
    if (!offer->extensions && pixi_vhttp_get(h, "Sec-WebSocket-Extensions", 0, &value) &&
        pixi_cur_left(&value))
        return PIXI_E_WS_EXTENSION;
    if (!pixi_vhttp_get(h, "Sec-WebSocket-Protocol", 0, &value))
        return PIXI_OK;
    if (!offer->subprotocol || !pixi_cur_equals(value, pixi_cur_str(offer->subprotocol)) ||
        pixi_vhttp_get(h, "Sec-WebSocket-Protocol", 1, &value))
        return PIXI_E_WS_PROTOCOL;
    return PIXI_OK;
}
