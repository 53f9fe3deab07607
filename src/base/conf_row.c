#include "base/conf_row.h"

#include "base/utf8.h"

#include <assert.h>

enum { QUOTED_MAX = 48 }; /* bytes of a value that a message shows */

const struct pixi_conf_row *pixi_conf_find(const struct pixi_conf_table *table, const char *path)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->rows[i].path, path) == 0)
            return &table->rows[i];
    return NULL;
}

void *pixi_conf_take(struct pixi_conf *c, size_t count, size_t size)
{
    /* one byte more than nothing: an empty list has an address too */
    void *out = count > c->arena.max / size ? NULL : pixi_arena_take(&c->arena, count * size + 1);

    if (!out)
        c->err = PIXI_E_NOMEM;
    return out;
}

/* Bytes to show at once, and whether a terminal would do something else with them than show them. */
static size_t character(struct pixi_cur c, bool *is_control)
{
    size_t len = *c.p < 0x80 ? 1 : *c.p < 0xe0 ? 2 : *c.p < 0xf0 ? 3 : 4;
    bool is_whole = len <= pixi_cur_left(&c) && pixi_utf8_is_valid(c.p, len);
    bool is_c1 = len == 2 && c.p[0] == 0xc2 && is_whole && c.p[1] < 0xa0;

    *is_control = !is_whole || *c.p < ' ' || *c.p == 0x7f || is_c1;
    return *is_control ? 1 : len;
}

void pixi_conf_put_quoted(struct pixi_cur text, struct pixi_buf *b)
{
    const uint8_t *first = text.p;
    bool is_control;
    size_t len;

    if (pixi_cur_left(&text) >= 3 && memcmp(text.p, "pk_", 3) == 0) { /* a key in the wrong place */
        pixi_buf_put_str(b, "\"pk_…\"");
        return;
    }
    if (pixi_cur_left(&text) && memmem(text.p, pixi_cur_left(&text), "://", 3) &&
        memchr(text.p, '@', pixi_cur_left(&text))) { /* a password, perhaps */
        pixi_buf_put_str(b, "\"…@…\"");
        return;
    }
    pixi_buf_put_str(b, "\"");
    for (; text.p != text.end && text.p - first < QUOTED_MAX; text.p += len) {
        len = character(text, &is_control);
        if (is_control)
            pixi_buf_putf(b, "\\x%02x", *text.p);
        else
            pixi_buf_put(b, text.p, len);
    }
    pixi_buf_put_str(b, text.p == text.end ? "\"" : "…\"");
}

static void put_found(const struct pixi_conf_row *row, const struct pixi_json_token *t, struct pixi_buf *b)
{
    static const char *const words[] = {
        [PIXI_JSON_OBJECT] = "an object", [PIXI_JSON_ARRAY] = "a list", [PIXI_JSON_STRING] = "a string",
        [PIXI_JSON_NUMBER] = "a number",  [PIXI_JSON_TRUE] = "true",    [PIXI_JSON_FALSE] = "false",
        [PIXI_JSON_NULL] = "null",
    };
    bool is_secret = row && row->flags & (PIXI_CONF_SECRET | PIXI_CONF_USERINFO);

    if (t->type == PIXI_JSON_STRING && !is_secret)
        pixi_conf_put_quoted(t->text, b);
    else if (t->type == PIXI_JSON_NUMBER && !is_secret && pixi_cur_left(&t->text) <= QUOTED_MAX)
        pixi_buf_put_cur(b, t->text);
    else
        pixi_buf_put_str(b, words[t->type]);
}

static void put_choices(const char *const *choices, struct pixi_buf *b)
{
    for (size_t i = 0; choices[i]; i++)
        pixi_buf_putf(b, "%s\"%s\"", i ? " or " : "", choices[i]);
}

void pixi_conf_put_expected(const struct pixi_conf_row *row, struct pixi_buf *b)
{
    if (row->expected)
        pixi_buf_put_str(b, row->expected);
    else if (row->kind == PIXI_CONF_UINT)
        pixi_buf_putf(b, "a whole number%s%s, %llu .. %llu", row->unit ? " of " : "",
                      row->unit ? row->unit : "", (unsigned long long)row->min, (unsigned long long)row->max);
    else if (row->kind == PIXI_CONF_ENUM)
        put_choices(row->choices, b);
    else
        pixi_buf_put_str(b, row->kind == PIXI_CONF_BOOL ? "true or false" : "a string");
}

void pixi_conf_put_from(const struct pixi_conf *c, const struct pixi_conf_from *from, struct pixi_buf *b)
{
    switch (from->rank) {
    case PIXI_CONF_DEFAULT: pixi_buf_put_str(b, "default"); break;
    case PIXI_CONF_FILE: pixi_buf_putf(b, "%s:%zu:%zu", c->file, from->at.line, from->at.column); break;
    case PIXI_CONF_ENV: pixi_buf_putf(b, "environment: %s", from->name); break;
    case PIXI_CONF_FLAG: pixi_buf_put_str(b, from->name); break;
    }
}

void pixi_conf_open_line(const struct pixi_conf_value *v)
{
    bool has_own_name = v->from.rank == PIXI_CONF_ENV || v->from.rank == PIXI_CONF_FLAG;

    v->conf->mistakes++;
    if (v->from.rank != PIXI_CONF_DEFAULT)
        pixi_conf_put_from(v->conf, &v->from, v->mistakes);
    else
        pixi_buf_put_str(v->mistakes, v->conf->file ? v->conf->file : "settings");
    pixi_buf_put_str(v->mistakes, ": ");
    if (!has_own_name && *v->path)
        pixi_buf_putf(v->mistakes, "%s: ", v->path);
}

void pixi_conf_close_line(const struct pixi_conf_value *v)
{
    pixi_buf_put_str(v->mistakes, "\n");
}

void pixi_conf_refuse(const struct pixi_conf_value *v, const struct pixi_json_token *t)
{
    pixi_conf_open_line(v);
    pixi_buf_put_str(v->mistakes, "found ");
    put_found(v->row, t, v->mistakes);
    pixi_buf_put_str(v->mistakes, ", expected ");
    pixi_conf_put_expected(v->row, v->mistakes);
    pixi_conf_close_line(v);
}

static void refuse_for(const struct pixi_conf_value *v, const struct pixi_json_token *t,
                       const struct pixi_conf_fault *fault)
{
    pixi_conf_open_line(v);
    pixi_buf_put_str(v->mistakes, "found ");
    if (fault->found)
        pixi_buf_put_str(v->mistakes, fault->found);
    else
        put_found(v->row, t, v->mistakes);
    pixi_buf_put_str(v->mistakes, ", expected ");
    if (fault->expected)
        pixi_buf_put_str(v->mistakes, fault->expected);
    else
        pixi_conf_put_expected(v->row, v->mistakes);
    pixi_conf_close_line(v);
}

static bool is_right(const struct pixi_conf_row *row, struct pixi_cur value, struct pixi_conf_fault *fault)
{
    size_t len = pixi_cur_left(&value);

    if (!pixi_utf8_is_valid(value.p, len))
        fault->found = "bytes that are not UTF-8";
    else if (len && memchr(value.p, 0, len))
        fault->found = "a string with U+0000 in it";
    else if (row->kind == PIXI_CONF_STRING && len < row->min)
        fault->found = len ? "a string that is too short" : "an empty string";
    else if (row->kind == PIXI_CONF_STRING && len > row->max)
        fault->found = "a string that is too long";
    else
        return !row->check || row->check(value, fault);
    return false;
}

bool pixi_conf_take_string(const struct pixi_conf_value *v, const struct pixi_json_token *t,
                           struct pixi_cur *out)
{
    struct pixi_conf_fault fault = {0};
    size_t len = pixi_cur_left(&t->text);
    char *copy;

    if (t->type != PIXI_JSON_STRING) {
        pixi_conf_refuse(v, t);
        return false;
    }
    copy = pixi_arena_text(&v->conf->arena, t->text);
    if (!copy) {
        v->conf->err = PIXI_E_NOMEM;
        return false;
    }
    if (t->is_escaped && pixi_json_decode(t->text, (uint8_t *)copy, &len) != PIXI_OK)
        fault.found = "half of a surrogate pair";
    copy[len] = 0;
    *out = pixi_cur_init(copy, len);
    if (!fault.found && is_right(v->row, *out, &fault))
        return true;
    refuse_for(v, t, &fault);
    return false;
}

static bool take_choice(const struct pixi_conf_row *row, const struct pixi_json_token *t, unsigned *out)
{
    for (unsigned i = 0; row->choices[i]; i++)
        if (pixi_json_is(t, row->choices[i])) {
            *out = i;
            return true;
        }
    return false;
}

static bool store_string(const struct pixi_conf_value *v, const struct pixi_json_token *t)
{
    struct pixi_cur text;

    if (pixi_conf_take_string(v, t, &text) && v->target)
        *(const char **)pixi_conf_slot(v->row, v->target) = (const char *)text.p;
    return true; /* it has said itself what was wrong */
}

static bool store_uint(const struct pixi_conf_value *v, const struct pixi_json_token *t)
{
    uint64_t number;

    if (pixi_json_uint(t, v->row->max, &number) != PIXI_OK || number < v->row->min)
        return false;
    if (v->target)
        *(uint64_t *)pixi_conf_slot(v->row, v->target) = number;
    return true;
}

static bool store_bool(const struct pixi_conf_value *v, const struct pixi_json_token *t)
{
    if (t->type != PIXI_JSON_TRUE && t->type != PIXI_JSON_FALSE)
        return false;
    if (v->target)
        *(bool *)pixi_conf_slot(v->row, v->target) = t->type == PIXI_JSON_TRUE;
    return true;
}

static bool store_enum(const struct pixi_conf_value *v, const struct pixi_json_token *t)
{
    unsigned choice;

    if (!take_choice(v->row, t, &choice))
        return false;
    if (v->target)
        *(unsigned *)pixi_conf_slot(v->row, v->target) = choice;
    return true;
}

void pixi_conf_store(const struct pixi_conf_value *v, const struct pixi_json_token *t)
{
    static bool (*const stores[])(const struct pixi_conf_value *, const struct pixi_json_token *) = {
        [PIXI_CONF_STRING] = store_string,
        [PIXI_CONF_UINT] = store_uint,
        [PIXI_CONF_BOOL] = store_bool,
        [PIXI_CONF_ENUM] = store_enum,
    };

    assert(v->row->kind < PIXI_CONF_STRINGS);
    if (!stores[v->row->kind](v, t))
        pixi_conf_refuse(v, t);
}

static bool is_number(const char *text)
{
    return *text && !text[strspn(text, "0123456789")] && (*text != '0' || !text[1]);
}

struct pixi_json_token pixi_conf_token(enum pixi_conf_kind kind, const char *text)
{
    struct pixi_json_token t = {.type = PIXI_JSON_STRING, .text = pixi_cur_str(text)};

    if (kind == PIXI_CONF_UINT && is_number(text))
        t.type = PIXI_JSON_NUMBER;
    if (kind == PIXI_CONF_BOOL && strcmp(text, "true") == 0)
        t.type = PIXI_JSON_TRUE;
    if (kind == PIXI_CONF_BOOL && strcmp(text, "false") == 0)
        t.type = PIXI_JSON_FALSE;
    return t;
}
