#include "base/json.h"

#include "base/utf8.h"

#include <assert.h>

enum state {
    WANT_VALUE,
    WANT_ELEMENT_OR_END, /* after '[' */
    WANT_NAME,           /* after ',' in an object */
    WANT_NAME_OR_END,    /* after '{' */
    WANT_COLON,
    WANT_COMMA_OR_END,
    WANT_NOTHING, /* after the outermost value */
};

void pixi_json_init(struct pixi_json *r, const void *bytes, size_t len, unsigned depth_max)
{
    struct pixi_cur text = pixi_cur_init(bytes, len);

    assert(depth_max >= 1 && depth_max <= PIXI_JSON_DEPTH_MAX);
    *r = (struct pixi_json){.start = text.p, .p = text.p, .end = text.end, .depth_max = depth_max};
    r->state = WANT_VALUE;
}

static int fail(struct pixi_json *r, int err, const uint8_t *at)
{
    r->err = err;
    r->err_offset = (size_t)(at - r->start);
    return err;
}

/* The text ended, or `err` is what is wrong with the byte at `at`. */
static int fail_or_short(struct pixi_json *r, int err, const uint8_t *at)
{
    return fail(r, at == r->end ? PIXI_E_JSON_SHORT : err, at);
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static void skip_space(struct pixi_json *r)
{
    while (r->p != r->end && *r->p <= ' ' &&
           (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
        r->p++;
}

/* Eight bytes, the first one lowest whatever the machine. */
static uint64_t load_word(const uint8_t *p)
{
    uint64_t w;

    memcpy(&w, p, sizeof w);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    return w;
}

/* A set high bit for each byte that ends a plain span. Exact up to the lowest one, above which a borrow may have set
 * more; that is all that is asked of it. */
static uint64_t special_bytes(uint64_t w)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
    uint64_t quote = (w ^ ones * '"') - ones, backslash = (w ^ ones * '\\') - ones, control = w - ones * ' ';

    return (quote | backslash | control | w) & highs;
}

/* The first quote, backslash, control character or byte that is not ASCII. */
static const uint8_t *plain_end(const uint8_t *p, const uint8_t *end)
{
    uint64_t special;

    for (; end - p >= 8; p += 8)
        if ((special = special_bytes(load_word(p))))
            return p + __builtin_ctzll(special) / 8;
    while (p != end && *p >= ' ' && *p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

static int hex_value(uint8_t c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_escape(struct pixi_json *r, const uint8_t **at)
{
    const uint8_t *p = *at + 1;

    if (p == r->end || !memchr("\"\\/bfnrtu", *p, 9))
        return fail_or_short(r, PIXI_E_JSON_STRING, p);
    if (*p++ == 'u')
        for (int i = 0; i < 4; i++, p++)
            if (p == r->end || hex_value(*p) < 0)
                return fail_or_short(r, PIXI_E_JSON_STRING, p);
    *at = p;
    return PIXI_OK;
}

static int read_wide(struct pixi_json *r, const uint8_t **at)
{
    struct pixi_utf8 utf8 = {0};
    const uint8_t *p = *at;
    size_t bad;

    while (p != r->end && *p >= 0x80)
        p++;
    if (pixi_utf8_feed(&utf8, *at, (size_t)(p - *at), &bad) != PIXI_OK)
        return fail(r, PIXI_E_JSON_UTF8, *at + bad);
    if (!pixi_utf8_is_whole(&utf8))
        return fail_or_short(r, PIXI_E_JSON_UTF8, p);
    *at = p;
    return PIXI_OK;
}

static int read_string(struct pixi_json *r, struct pixi_json_token *t)
{
    const uint8_t *first = r->p + 1, *p = first;
    int rc;

    while ((p = plain_end(p, r->end)) == r->end || *p != '"') {
        if (p == r->end || *p < ' ')
            return fail_or_short(r, PIXI_E_JSON_STRING, p);
        t->is_escaped |= *p == '\\';
        rc = *p == '\\' ? read_escape(r, &p) : read_wide(r, &p);
        if (rc != PIXI_OK)
            return rc;
    }
    t->text = (struct pixi_cur){first, p};
    r->p = p + 1;
    return PIXI_OK;
}

static int read_digits(struct pixi_json *r, const uint8_t **at)
{
    const uint8_t *p = *at;

    if (p == r->end || !is_digit(*p))
        return fail_or_short(r, PIXI_E_JSON_NUMBER, p);
    while (p != r->end && is_digit(*p))
        p++;
    *at = p;
    return PIXI_OK;
}

static int read_number(struct pixi_json *r, struct pixi_json_token *t)
{
    const uint8_t *p = r->p + (*r->p == '-'), *whole = p;

    if (read_digits(r, &p) != PIXI_OK)
        return r->err;
    if (*whole == '0' && p - whole > 1)
        return fail(r, PIXI_E_JSON_NUMBER, whole + 1);
    if (p != r->end && *p == '.') {
        p++;
        if (read_digits(r, &p) != PIXI_OK)
            return r->err;
    }
    if (p != r->end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p != r->end && (*p == '+' || *p == '-');
        if (read_digits(r, &p) != PIXI_OK)
            return r->err;
    }
    t->type = PIXI_JSON_NUMBER;
    t->text = (struct pixi_cur){r->p, p};
    r->p = p;
    return PIXI_OK;
}

static int read_word(struct pixi_json *r, const char *word, enum pixi_json_type type,
                     struct pixi_json_token *t)
{
    const uint8_t *p = r->p;

    for (; *word; word++, p++)
        if (p == r->end || *p != (uint8_t)*word)
            return fail_or_short(r, PIXI_E_JSON_SYNTAX, p);
    t->type = type;
    t->text = (struct pixi_cur){r->p, p};
    r->p = p;
    return PIXI_OK;
}

static bool in_object(const struct pixi_json *r)
{
    return r->objects[(r->depth - 1) / 64] >> (r->depth - 1) % 64 & 1;
}

static int open_container(struct pixi_json *r, struct pixi_json_token *t)
{
    uint64_t bit = UINT64_C(1) << r->depth % 64, *word = &r->objects[r->depth / 64 % 2];
    bool is_object = *r->p == '{';

    if (r->depth == r->depth_max)
        return fail(r, PIXI_E_JSON_DEPTH, r->p);
    *word = is_object ? *word | bit : *word & ~bit;
    r->depth++;
    r->state = is_object ? WANT_NAME_OR_END : WANT_ELEMENT_OR_END;
    t->type = is_object ? PIXI_JSON_OBJECT : PIXI_JSON_ARRAY;
    t->text = (struct pixi_cur){r->p, r->p + 1};
    r->p++;
    return PIXI_OK;
}

static void end_value(struct pixi_json *r)
{
    r->state = r->depth ? WANT_COMMA_OR_END : WANT_NOTHING;
}

static void close_container(struct pixi_json *r, struct pixi_json_token *t)
{
    t->type = in_object(r) ? PIXI_JSON_OBJECT_END : PIXI_JSON_ARRAY_END;
    t->depth = --r->depth;
    t->text = (struct pixi_cur){r->p, r->p + 1};
    r->p++;
    end_value(r);
}

static int read_name(struct pixi_json *r, struct pixi_json_token *t)
{
    if (*r->p != '"')
        return fail(r, PIXI_E_JSON_SYNTAX, r->p);
    t->type = PIXI_JSON_NAME;
    r->state = WANT_COLON;
    return read_string(r, t);
}

static int read_scalar(struct pixi_json *r, struct pixi_json_token *t)
{
    switch (*r->p) {
    case '"': t->type = PIXI_JSON_STRING; return read_string(r, t);
    case 't': return read_word(r, "true", PIXI_JSON_TRUE, t);
    case 'f': return read_word(r, "false", PIXI_JSON_FALSE, t);
    case 'n': return read_word(r, "null", PIXI_JSON_NULL, t);
    case '+':
    case '.': return fail(r, PIXI_E_JSON_NUMBER, r->p);
    }
    if (*r->p == '-' || is_digit(*r->p))
        return read_number(r, t);
    return fail(r, PIXI_E_JSON_SYNTAX, r->p);
}

static int read_value(struct pixi_json *r, struct pixi_json_token *t)
{
    if (*r->p == '{' || *r->p == '[')
        return open_container(r, t);
    end_value(r);
    return read_scalar(r, t);
}

/* Steps over the colon or the comma that is due, and says what it makes due in turn. */
static int read_separator(struct pixi_json *r)
{
    bool is_comma = r->state == WANT_COMMA_OR_END;

    if (*r->p != (is_comma ? ',' : ':'))
        return fail(r, PIXI_E_JSON_SYNTAX, r->p);
    r->p++;
    r->state = is_comma && in_object(r) ? WANT_NAME : WANT_VALUE;
    skip_space(r);
    return r->p == r->end ? fail(r, PIXI_E_JSON_SHORT, r->p) : PIXI_OK;
}

static bool is_at_end_of_container(const struct pixi_json *r)
{
    switch (r->state) {
    case WANT_NAME_OR_END: return *r->p == '}';
    case WANT_ELEMENT_OR_END: return *r->p == ']';
    case WANT_COMMA_OR_END: return *r->p == (in_object(r) ? '}' : ']');
    }
    return false;
}

static int read_end(struct pixi_json *r, struct pixi_json_token *t)
{
    if (r->p != r->end)
        return fail(r, PIXI_E_JSON_TRAILING, r->p);
    t->text = (struct pixi_cur){r->end, r->end};
    return PIXI_OK;
}

static int read_token(struct pixi_json *r, struct pixi_json_token *t)
{
    if (r->p == r->end)
        return fail(r, PIXI_E_JSON_SHORT, r->p);
    if (is_at_end_of_container(r)) {
        close_container(r, t);
        return PIXI_OK;
    }
    if ((r->state == WANT_COLON || r->state == WANT_COMMA_OR_END) && read_separator(r) != PIXI_OK)
        return r->err;
    t->offset = (size_t)(r->p - r->start);
    return r->state == WANT_NAME || r->state == WANT_NAME_OR_END ? read_name(r, t) : read_value(r, t);
}

int pixi_json_next(struct pixi_json *r, struct pixi_json_token *out)
{
    struct pixi_json_token t = {.type = PIXI_JSON_DONE, .depth = r->depth};
    int rc;

    if (r->err != PIXI_OK)
        return r->err;
    skip_space(r);
    t.offset = (size_t)(r->p - r->start);
    rc = r->state == WANT_NOTHING ? read_end(r, &t) : read_token(r, &t);
    if (rc == PIXI_OK)
        *out = t;
    return rc;
}

int pixi_json_skip(struct pixi_json *r, const struct pixi_json_token *first, struct pixi_cur *raw)
{
    struct pixi_json_token t = *first;
    int rc;

    assert(t.type != PIXI_JSON_DONE && t.type != PIXI_JSON_NAME);
    assert(t.type != PIXI_JSON_OBJECT_END && t.type != PIXI_JSON_ARRAY_END);
    while (r->depth > first->depth)
        if ((rc = pixi_json_next(r, &t)) != PIXI_OK)
            return rc;
    if (raw)
        *raw = (struct pixi_cur){r->start + first->offset, r->p};
    return PIXI_OK;
}

int pixi_json_check(const void *bytes, size_t len, unsigned depth_max, size_t *at)
{
    struct pixi_json r;
    struct pixi_json_token t;
    int rc;

    pixi_json_init(&r, bytes, len, depth_max);
    do
        rc = pixi_json_next(&r, &t);
    while (rc == PIXI_OK && t.type != PIXI_JSON_DONE);
    if (rc != PIXI_OK && at)
        *at = r.err_offset;
    return rc;
}

static uint32_t decode_hex(const uint8_t *p)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++)
        v = v << 4 | (uint32_t)hex_value(p[i]);
    return v;
}

static size_t encode_utf8(uint32_t v, uint8_t *out)
{
    uint8_t tail = 0x80 | (v & 0x3f);

    if (v < 0x80) {
        out[0] = (uint8_t)v;
        return 1;
    }
    if (v < 0x800) {
        out[0] = (uint8_t)(0xc0 | v >> 6);
        out[1] = tail;
        return 2;
    }
    if (v < 0x10000) {
        out[0] = (uint8_t)(0xe0 | v >> 12);
        out[1] = 0x80 | (v >> 6 & 0x3f);
        out[2] = tail;
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | v >> 18);
    out[1] = 0x80 | (v >> 12 & 0x3f);
    out[2] = 0x80 | (v >> 6 & 0x3f);
    out[3] = tail;
    return 4;
}

/* The four digits of a \u at in->p, and the low surrogate that has to follow a high one. */
static int decode_unicode(struct pixi_cur *in, uint32_t *out)
{
    uint32_t v = decode_hex(in->p), low;

    in->p += 4;
    if (v >> 11 != 0xd800 >> 11) {
        *out = v;
        return PIXI_OK;
    }
    if (v >= 0xdc00 || pixi_cur_left(in) < 6 || in->p[0] != '\\' || in->p[1] != 'u')
        return PIXI_E_JSON_SURROGATE;
    low = decode_hex(in->p + 2);
    if (low >> 10 != 0xdc00 >> 10)
        return PIXI_E_JSON_SURROGATE;
    in->p += 6;
    *out = 0x10000 + ((v & 0x3ff) << 10 | (low & 0x3ff));
    return PIXI_OK;
}

/* One escape at in->p, where pixi_json_next has found it well formed. */
static int decode_escape(struct pixi_cur *in, uint8_t out[4], size_t *len)
{
    uint32_t v = in->p[1];
    int rc;

    in->p += 2;
    switch (v) {
    case 'b': v = '\b'; break;
    case 'f': v = '\f'; break;
    case 'n': v = '\n'; break;
    case 'r': v = '\r'; break;
    case 't': v = '\t'; break;
    case 'u':
        if ((rc = decode_unicode(in, &v)) != PIXI_OK)
            return rc;
    }
    *len = encode_utf8(v, out);
    return PIXI_OK;
}

/* Cuts what stands before the next backslash. */
static struct pixi_cur cut_unescaped(struct pixi_cur *in)
{
    const uint8_t *backslash = in->p == in->end ? NULL : memchr(in->p, '\\', pixi_cur_left(in));
    struct pixi_cur span = {in->p, backslash ? backslash : in->end};

    in->p = span.end;
    return span;
}

bool pixi_json_is(const struct pixi_json_token *t, const char *text)
{
    struct pixi_cur rest = t->text, want = pixi_cur_str(text), part, same;
    uint8_t escaped[4];
    size_t len;

    if (t->type != PIXI_JSON_STRING && t->type != PIXI_JSON_NAME)
        return false;
    if (!t->is_escaped)
        return pixi_cur_equals(rest, want);
    while (rest.p != rest.end) {
        part = cut_unescaped(&rest);
        if (part.p == part.end) {
            if (decode_escape(&rest, escaped, &len) != PIXI_OK)
                return false;
            part = pixi_cur_init(escaped, len);
        }
        if (!pixi_cur_cut(&want, pixi_cur_left(&part), &same) || !pixi_cur_equals(part, same))
            return false;
    }
    return want.p == want.end;
}

int pixi_json_decode(struct pixi_cur text, uint8_t *out, size_t *len)
{
    uint8_t *o = out, escaped[4];
    struct pixi_cur span;
    size_t part;

    while (text.p != text.end) {
        span = cut_unescaped(&text);
        part = pixi_cur_left(&span);
        if (o != span.p && part)
            memmove(o, span.p, part);
        o += part;
        if (text.p == text.end)
            break;
        if (decode_escape(&text, escaped, &part) != PIXI_OK)
            return PIXI_E_JSON_SURROGATE;
        memcpy(o, escaped, part);
        o += part;
    }
    *len = (size_t)(o - out);
    return PIXI_OK;
}

int pixi_json_uint(const struct pixi_json_token *t, uint64_t max, uint64_t *out)
{
    uint64_t v = 0, digit;

    if (t->type != PIXI_JSON_NUMBER)
        return PIXI_E_JSON_RANGE;
    for (const uint8_t *p = t->text.p; p != t->text.end; p++) {
        if (!is_digit(*p))
            return PIXI_E_JSON_RANGE;
        digit = (uint64_t)(*p - '0');
        if (digit > max || v > (max - digit) / 10)
            return PIXI_E_JSON_RANGE;
        v = v * 10 + digit;
    }
    *out = v;
    return PIXI_OK;
}

struct pixi_json_at pixi_json_locate(const void *bytes, size_t len, size_t offset)
{
    struct pixi_cur c = pixi_cur_init(bytes, offset < len ? offset : len);
    struct pixi_json_at at = {1, 1};

    for (; c.p != c.end; c.p++) {
        at.line += *c.p == '\n';
        at.column = *c.p == '\n' ? 1 : at.column + 1;
    }
    return at;
}
