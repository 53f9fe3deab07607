#include "base/conf_read.h"

/* What the grammar asks for at a place, and where that begins: an error beyond it lies inside the thing itself. */
struct due {
    const char *what;
    const uint8_t *at;
    bool is_after_comma;
};

static const uint8_t *skip_space(const uint8_t *p, const uint8_t *end)
{
    while (p != end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

/* The byte behind a token; the text of a string is without its quotes. */
static const uint8_t *token_end(const struct pixi_json_token *t)
{
    return t->text.end + (t->type == PIXI_JSON_STRING || t->type == PIXI_JSON_NAME);
}

static struct due due_after_value(const struct pixi_conf_reader *r, const uint8_t *p)
{
    bool in_object = r->json.depth && r->objects >> (r->json.depth - 1) & 1;

    if (r->json.depth == 0)
        return (struct due){"the end of the file", p, false};
    if (p == r->json.end || *p != ',')
        return (struct due){in_object ? "\",\" or \"}\"" : "\",\" or \"]\"", p, false};
    p = skip_space(p + 1, r->json.end);
    return (struct due){in_object ? "a member's name in double quotes" : "a value", p, true};
}

static struct due find_due(const struct pixi_conf_reader *r)
{
    const uint8_t *end = r->json.end, *p;

    if (r->last.type == PIXI_JSON_DONE)
        return (struct due){"\"{\"", skip_space(r->json.start, end), false};
    p = skip_space(token_end(&r->last), end);
    switch (r->last.type) {
    case PIXI_JSON_OBJECT: return (struct due){"a member's name in double quotes, or \"}\"", p, false};
    case PIXI_JSON_ARRAY: return (struct due){"a value, or \"]\"", p, false};
    case PIXI_JSON_NAME:
        if (p == end || *p != ':')
            return (struct due){"\":\"", p, false};
        return (struct due){"a value", skip_space(p + 1, end), false};
    default: return due_after_value(r, p);
    }
}

static const char *due_inside(const struct pixi_conf_reader *r, const uint8_t *at, const uint8_t *first)
{
    switch (r->json.err) {
    case PIXI_E_JSON_NUMBER:
        return at != r->json.end && *at >= '0' && *at <= '9' ? "no 0 before it" : "a digit";
    case PIXI_E_JSON_UTF8: return "UTF-8";
    case PIXI_E_JSON_STRING:
        if (*at < ' ')
            return "it escaped";
        return at[-1] == '\\' ? "one of \" \\ / b f n r t u" : "a hexadecimal digit";
    case PIXI_E_JSON_SHORT: return *first == '"' ? "the string's closing quote" : "the rest of the value";
    }
    return "true, false or null";
}

static void put_byte(const struct pixi_conf_reader *r, const uint8_t *at, struct pixi_buf *b)
{
    size_t left = (size_t)(r->json.end - at);

    if (left == 0)
        pixi_buf_put_str(b, "the end of the file");
    else if (left >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0)
        pixi_buf_put_str(b, "a byte order mark");
    else if (left >= 2 && *at == '/' && (at[1] == '/' || at[1] == '*'))
        pixi_buf_put_str(b, "a comment, which JSON does not have");
    else if (*at < ' ')
        pixi_buf_putf(b, "a control character (0x%02x) in a string", *at);
    else if (*at >= 0x7f)
        pixi_buf_putf(b, "byte 0x%02x", *at);
    else
        pixi_buf_putf(b, *at == '"' ? "'%c'" : "\"%c\"", *at);
}

void pixi_conf_put_syntax(const struct pixi_conf_reader *r, struct pixi_buf *b)
{
    const uint8_t *at = r->json.start + r->json.err_offset;
    struct due due = find_due(r);

    if (r->json.err == PIXI_E_JSON_DEPTH) {
        pixi_buf_putf(b, "found more than %u levels of brackets, expected fewer", r->json.depth_max);
        return;
    }
    pixi_buf_put_str(b, "found ");
    put_byte(r, at, b);
    pixi_buf_putf(b, ", expected %s", at > due.at ? due_inside(r, at, due.at) : due.what);
    if (due.is_after_comma && at == due.at && at != r->json.end && (*at == '}' || *at == ']'))
        pixi_buf_putf(b, " (no \",\" may stand before \"%c\")", *at);
}
