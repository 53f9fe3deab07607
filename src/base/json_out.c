#include "base/json.h"

#include "base/utf8.h"

#include <assert.h>

/* The bit of the innermost open container. */
static bool get_bit(const struct pixi_json_out *w, const uint64_t *bits)
{
    return bits[(w->depth - 1) / 64] >> (w->depth - 1) % 64 & 1;
}

static void set_bit(const struct pixi_json_out *w, uint64_t *bits, bool value)
{
    uint64_t bit = UINT64_C(1) << (w->depth - 1) % 64, *word = &bits[(w->depth - 1) / 64];

    *word = value ? *word | bit : *word & ~bit;
}

static bool in_object(const struct pixi_json_out *w)
{
    return w->depth && get_bit(w, w->objects);
}

static void put_byte(struct pixi_buf *b, char c)
{
    uint8_t *room = pixi_buf_reserve(b, 1);

    if (room) {
        *room = (uint8_t)c;
        b->len++;
    }
}

static void put_comma(struct pixi_json_out *w)
{
    if (get_bit(w, w->filled))
        put_byte(w->buf, ',');
    set_bit(w, w->filled, true);
}

static void begin_value(struct pixi_json_out *w)
{
    if (!w->depth)
        return;
    assert(w->is_named == in_object(w));
    if (!w->is_named)
        put_comma(w);
    w->is_named = false;
}

static void open_container(struct pixi_json_out *w, char bracket)
{
    begin_value(w);
    assert(w->depth < PIXI_JSON_DEPTH_MAX);
    w->depth++;
    set_bit(w, w->filled, false);
    set_bit(w, w->objects, false);
    put_byte(w->buf, bracket);
}

void pixi_json_open_object(struct pixi_json_out *w)
{
    open_container(w, '{');
    set_bit(w, w->objects, true);
}

void pixi_json_close_object(struct pixi_json_out *w)
{
    assert(in_object(w) && !w->is_named);
    w->depth--;
    put_byte(w->buf, '}');
}

void pixi_json_open_array(struct pixi_json_out *w)
{
    open_container(w, '[');
}

void pixi_json_close_array(struct pixi_json_out *w)
{
    assert(w->depth && !in_object(w));
    w->depth--;
    put_byte(w->buf, ']');
}

static bool must_escape(uint8_t c)
{
    return c < ' ' || c == '"' || c == '\\';
}

/* True when one of eight bytes must be escaped: a byte that underflows, and had no high bit to begin with. */
static bool word_must_escape(const uint8_t *p)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
    uint64_t w, quote, backslash;

    memcpy(&w, p, sizeof w);
    quote = w ^ ones * '"';
    backslash = w ^ ones * '\\';
    return ((quote - ones) & ~quote & highs) | ((backslash - ones) & ~backslash & highs) |
           ((w - ones * ' ') & ~w & highs);
}

static const uint8_t *unescaped_end(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 8 && !word_must_escape(p))
        p += 8;
    while (p != end && !must_escape(*p))
        p++;
    return p;
}

static void put_escape(struct pixi_buf *b, uint8_t c)
{
    static const char letters[' '] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    static const char hex[] = "0123456789abcdef";
    char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 0xf]};
    char letter = c < ' ' ? letters[c] : (char)c;

    if (letter)
        escape[1] = letter;
    pixi_buf_put(b, escape, letter ? 2 : sizeof escape);
}

static void put_string(struct pixi_buf *b, struct pixi_cur text)
{
    const uint8_t *p = text.p, *span;

    assert(pixi_utf8_is_valid(text.p, pixi_cur_left(&text)));
    put_byte(b, '"');
    while (p != text.end) {
        span = p;
        p = unescaped_end(p, text.end);
        pixi_buf_put(b, span, (size_t)(p - span));
        if (p != text.end)
            put_escape(b, *p++);
    }
    put_byte(b, '"');
}

void pixi_json_name(struct pixi_json_out *w, const char *name)
{
    assert(in_object(w) && !w->is_named);
    put_comma(w);
    put_string(w->buf, pixi_cur_str(name));
    put_byte(w->buf, ':');
    w->is_named = true;
}

void pixi_json_string(struct pixi_json_out *w, struct pixi_cur text)
{
    begin_value(w);
    put_string(w->buf, text);
}

void pixi_json_text(struct pixi_json_out *w, const char *text)
{
    pixi_json_string(w, pixi_cur_str(text));
}

void pixi_json_number(struct pixi_json_out *w, uint64_t v)
{
    begin_value(w);
    pixi_buf_put_uint(w->buf, v);
}

void pixi_json_signed(struct pixi_json_out *w, int64_t v)
{
    begin_value(w);
    if (v < 0)
        put_byte(w->buf, '-');
    pixi_buf_put_uint(w->buf, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void pixi_json_milli(struct pixi_json_out *w, uint64_t thousandths)
{
    unsigned part = (unsigned)(thousandths % 1000);
    char decimals[] = {'.', (char)('0' + part / 100), (char)('0' + part / 10 % 10), (char)('0' + part % 10)};

    begin_value(w);
    pixi_buf_put_uint(w->buf, thousandths / 1000);
    pixi_buf_put(w->buf, decimals, sizeof decimals);
}

void pixi_json_bool(struct pixi_json_out *w, bool v)
{
    begin_value(w);
    pixi_buf_put_str(w->buf, v ? "true" : "false");
}

void pixi_json_null(struct pixi_json_out *w)
{
    begin_value(w);
    pixi_buf_put_str(w->buf, "null");
}

void pixi_json_raw(struct pixi_json_out *w, struct pixi_cur value)
{
    assert(pixi_cur_left(&value) > 0);
    begin_value(w);
    pixi_buf_put_cur(w->buf, value);
}
