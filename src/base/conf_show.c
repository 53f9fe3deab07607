#include "base/conf_row.h"

#include "base/utf8.h"

enum { PATH_COLUMN = 32, VALUE_COLUMN = 44 };

static size_t count_characters(const char *text)
{
    size_t count = 0;

    for (; *text; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

void pixi_conf_put_mask(const char *secret, struct pixi_buf *b)
{
    pixi_buf_putf(b, "%s…(%zu characters", strncmp(secret, "pk_", 3) == 0 ? "pk_" : "",
                  count_characters(secret));
}

static void put_secret(struct pixi_json_out *w, const char *secret)
{
    struct pixi_buf mask = pixi_buf_init(128);

    pixi_conf_put_mask(secret, &mask);
    pixi_buf_put_str(&mask, ")");
    if (mask.err == PIXI_OK)
        pixi_json_string(w, pixi_buf_cur(&mask));
    else
        pixi_json_null(w);
    pixi_buf_clear(&mask);
}

/* "http://user:password@host/" as "http://…@host/" */
static void put_without_user(struct pixi_json_out *w, const char *url)
{
    const char *at = strrchr(url, '@'), *slashes = strstr(url, "://");
    int scheme_len = slashes && slashes < at ? (int)(slashes - url) + 3 : 0;
    struct pixi_buf text = pixi_buf_init(2 * strlen(url) + 16);

    if (!at) {
        pixi_json_text(w, url);
        return;
    }
    pixi_buf_putf(&text, "%.*s…%s", scheme_len, url, at);
    if (text.err == PIXI_OK)
        pixi_json_string(w, pixi_buf_cur(&text));
    else
        pixi_json_null(w);
    pixi_buf_clear(&text);
}

static void put_string(struct pixi_json_out *w, const struct pixi_conf_row *row, const char *text)
{
    if (!text)
        pixi_json_null(w);
    else if (row->flags & PIXI_CONF_SECRET)
        put_secret(w, text);
    else if (row->flags & PIXI_CONF_USERINFO)
        put_without_user(w, text);
    else
        pixi_json_text(w, text);
}

static void put_strings(struct pixi_json_out *w, const struct pixi_conf_strings *list)
{
    pixi_json_open_array(w);
    for (size_t i = 0; i < list->count; i++)
        pixi_json_string(w, list->at[i]);
    pixi_json_close_array(w);
}

static void put_scalar(struct pixi_json_out *w, const struct pixi_conf_row *row, void *slot)
{
    switch (row->kind) {
    case PIXI_CONF_STRING: put_string(w, row, *(const char **)slot); break;
    case PIXI_CONF_UINT: pixi_json_number(w, *(uint64_t *)slot); break;
    case PIXI_CONF_BOOL: pixi_json_bool(w, *(bool *)slot); break;
    case PIXI_CONF_ENUM: pixi_json_text(w, row->choices[*(unsigned *)slot]); break;
    case PIXI_CONF_STRINGS: put_strings(w, slot); break;
    case PIXI_CONF_OBJECTS: break;
    }
}

/* Objects in a list have plain members: no groups, no lists of objects. */
static void put_object(struct pixi_json_out *w, const struct pixi_conf_table *table, void *item)
{
    pixi_json_open_object(w);
    for (size_t i = 0; i < table->count; i++) {
        pixi_json_name(w, table->rows[i].path);
        put_scalar(w, &table->rows[i], pixi_conf_slot(&table->rows[i], item));
    }
    pixi_json_close_object(w);
}

static void put_value(struct pixi_json_out *w, const struct pixi_conf_row *row, void *target)
{
    const struct pixi_conf_objects *list = pixi_conf_slot(row, target);

    if (row->kind != PIXI_CONF_OBJECTS) {
        put_scalar(w, row, pixi_conf_slot(row, target));
        return;
    }
    pixi_json_open_array(w);
    for (size_t i = 0; i < list->count; i++)
        put_object(w, row->items, (char *)list->at + i * row->items->size);
    pixi_json_close_array(w);
}

static void put_padded(struct pixi_buf *b, struct pixi_cur text, size_t column)
{
    size_t width = 0;

    for (const uint8_t *p = text.p; p != text.end; p++)
        width += (*p & 0xc0) != 0x80;
    pixi_buf_put_cur(b, text);
    do
        pixi_buf_put_str(b, " ");
    while (++width < column);
}

void pixi_conf_show(const struct pixi_conf *c, struct pixi_buf *b)
{
    struct pixi_buf value = pixi_buf_init(b->max);
    struct pixi_json_out w;

    for (size_t i = 0; i < c->table->count; i++) {
        pixi_buf_reset(&value);
        w = pixi_json_out_init(&value);
        put_value(&w, &c->table->rows[i], c->target);
        put_padded(b, pixi_cur_str(c->table->rows[i].path), PATH_COLUMN);
        put_padded(b, pixi_buf_cur(&value), VALUE_COLUMN);
        pixi_conf_put_from(c, &c->from[i], b);
        pixi_buf_put_str(b, "\n");
    }
    pixi_buf_clear(&value);
}

static void put_from(struct pixi_json_out *w, const struct pixi_conf *c, const struct pixi_conf_from *from)
{
    struct pixi_buf text = pixi_buf_init(8192);

    pixi_conf_put_from(c, from, &text);
    if (pixi_utf8_is_valid(text.bytes, text.len)) /* the name of a file can be anything */
        pixi_json_string(w, pixi_buf_cur(&text));
    else
        pixi_json_null(w);
    pixi_buf_clear(&text);
}

void pixi_conf_show_json(const struct pixi_conf *c, struct pixi_json_out *w)
{
    pixi_json_open_object(w);
    for (size_t i = 0; i < c->table->count; i++) {
        pixi_json_name(w, c->table->rows[i].path);
        pixi_json_open_object(w);
        pixi_json_name(w, "value");
        put_value(w, &c->table->rows[i], c->target);
        pixi_json_name(w, "from");
        put_from(w, c, &c->from[i]);
        pixi_json_close_object(w);
    }
    pixi_json_close_object(w);
}

bool pixi_conf_is_same(const struct pixi_conf *a, const struct pixi_conf *b, size_t row)
{
    const struct pixi_conf *sides[] = {a, b};
    struct pixi_buf texts[2];
    bool is_same;

    for (size_t i = 0; i < 2; i++) {
        struct pixi_json_out w = pixi_json_out_init(&texts[i]);

        texts[i] = pixi_buf_init(PIXI_CONF_FILE_MAX);
        put_value(&w, &sides[i]->table->rows[row], sides[i]->target);
    }
    is_same =
        !texts[0].err && !texts[1].err && pixi_cur_equals(pixi_buf_cur(&texts[0]), pixi_buf_cur(&texts[1]));
    pixi_buf_clear(&texts[0]);
    pixi_buf_clear(&texts[1]);
    return is_same;
}
