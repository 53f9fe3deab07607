/* scene_csv.c -- comma-separated values, RFC 4180, with a header: a row at a time. */
#include "pixi-ws-client/scene_import.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>

enum { FIELD_MAX = 65536 };

/* What a column is for. Those from FIRST_MEMBER on are members of the object. */
enum { DATA, ID, LON, LAT, X, Y, TEXT, NUMBER };

static const struct {
    const char *name;
    uint8_t role;
} columns[] = {
    {"id", ID},         {"lon", LON},     {"lng", LON},      {"longitude", LON},   {"lat", LAT},
    {"latitude", LAT},  {"x", X},         {"y", Y},          {"shape", TEXT},      {"sprite", TEXT},
    {"text", TEXT},     {"tint", TEXT},   {"label", TEXT},   {"width", NUMBER},    {"height", NUMBER},
    {"stroke", NUMBER}, {"size", NUMBER}, {"scale", NUMBER}, {"rotation", NUMBER}, {"alpha", NUMBER},
    {"z", NUMBER},
};

static bool refuse(struct import *im, const uint8_t *at, const char *what)
{
    pixi_buf_putf(import_mistake(im, at), "%s\n", what);
    return false;
}

/* The next field's bytes, unquoted, to the end of b. *is_last: a row ends behind it. False after a mistake. */
static bool next_field(struct import *im, struct pixi_buf *b, bool *is_last)
{
    const uint8_t *p = im->rest.p, *end = im->rest.end, *start = p;
    bool is_quoted = p != end && *p == '"';

    for (p += is_quoted; p != end; p++) {
        if (is_quoted && *p == '"' && p + 1 != end && p[1] == '"')
            p++;
        else if (is_quoted ? *p == '"' : *p == im->separator || *p == '\n' || *p == '\r')
            break;
        pixi_buf_put(b, p, 1);
    }
    if (is_quoted && p == end)
        return refuse(im, start, "found a quote that does not end, expected another \"");
    p += is_quoted;
    if (p != end && *p == '\r')
        p++;
    *is_last = p == end || *p == '\n';
    if (p != end && *p != '\n' && *p != im->separator)
        return refuse(im, p, "found something behind a quoted field, expected a separator");
    im->rest.p = p + (p != end);
    if (b->err)
        return refuse(im, start, "found a field that is too long, expected at most 65536 bytes");
    return pixi_utf8_is_valid(b->bytes, b->len) || refuse(im, start, "found bytes that are not UTF-8");
}

static uint8_t role_of(struct pixi_cur name)
{
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        if (pixi_cur_equals(name, pixi_cur_str(columns[i].name)))
            return columns[i].role;
    return DATA;
}

static bool has_role(const struct import *im, uint8_t role)
{
    return memchr(im->roles, role, im->column_count) != NULL;
}

/* What stands most often in the header's line. */
static uint8_t find_separator(struct pixi_cur text)
{
    static const uint8_t all[] = {',', ';', '\t'};
    size_t counts[3] = {0, 0, 0}, best = 0;

    for (; text.p != text.end && *text.p != '\n'; text.p++)
        for (size_t i = 0; i < 3; i++)
            counts[i] += *text.p == all[i];
    for (size_t i = 1; i < 3; i++)
        if (counts[i] > counts[best])
            best = i;
    return all[best];
}

static bool is_name(struct pixi_cur c)
{
    size_t len = pixi_cur_left(&c);

    while (c.p != c.end && *c.p >= ' ' && *c.p != '"' && *c.p != '\\')
        c.p++;
    return c.p == c.end && len > 0 && len < 256;
}

/* The names borrow from the text: a quoted one stands between its quotes. */
static bool read_header(struct import *im)
{
    struct pixi_buf b = pixi_buf_init(FIELD_MAX);
    const uint8_t *start = im->rest.p;
    bool is_last = false, is_right = true;

    for (im->column_count = 0; is_right && !is_last; im->column_count++) {
        const uint8_t *p = im->rest.p;

        pixi_buf_reset(&b);
        is_right = next_field(im, &b, &is_last);
        if (im->column_count == IMPORT_COLUMNS_MAX)
            is_right = refuse(im, p, "found too many columns, expected at most 256");
        if (is_right && !is_name(pixi_buf_cur(&b)))
            is_right =
                refuse(im, p, "expected a column's name, 1 to 255 bytes without quotes and backslashes");
        if (!is_right)
            break;
        im->names[im->column_count] = pixi_cur_init(p + (*p == '"'), b.len);
        im->roles[im->column_count] = role_of(pixi_buf_cur(&b));
    }
    pixi_buf_clear(&b);
    if (is_right && !(has_role(im, LON) && has_role(im, LAT)) && !(has_role(im, X) && has_role(im, Y)))
        return refuse(im, start,
                      "found no place, expected columns lon and lat, or x and y, in the first line");
    return is_right;
}

static bool begin(struct import *im)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};

    im->is_begun = true;
    im->rest = im->text;
    if (pixi_cur_left(&im->rest) >= sizeof mark && memcmp(im->rest.p, mark, sizeof mark) == 0)
        im->rest.p += sizeof mark;
    im->separator = find_separator(im->rest);
    if (im->rest.p == im->rest.end)
        return refuse(im, im->rest.p, "found nothing, expected a first line with the columns' names");
    return read_header(im);
}

/* A row while it is read. */
struct row {
    struct pixi_buf id, data;
    struct pixi_json_out object, values;
    double degrees[2];
    unsigned seen; /* bit 0 longitude, bit 1 latitude */
};

static bool is_number(struct pixi_cur v)
{
    struct pixi_json r;
    struct pixi_json_token t;

    pixi_json_init(&r, v.p, pixi_cur_left(&v), 1);
    return pixi_json_next(&r, &t) == PIXI_OK && t.type == PIXI_JSON_NUMBER &&
           pixi_json_next(&r, &t) == PIXI_OK;
}

static void put_value(struct pixi_json_out *w, struct pixi_cur name, struct pixi_cur v, bool may_be_number)
{
    char text[256];

    snprintf(text, sizeof text, "%.*s", (int)pixi_cur_left(&name), (const char *)name.p);
    pixi_json_name(w, text);
    if (may_be_number && is_number(v))
        pixi_json_raw(w, v);
    else
        pixi_json_string(w, v);
}

static bool take_field(struct import *im, struct row *row, size_t i, struct pixi_cur v, const uint8_t *at)
{
    uint8_t role = im->roles[i];
    char text[64];

    if (v.p == v.end)
        return true;
    if (role == LON || role == LAT) {
        if (!is_number(v) || pixi_cur_left(&v) >= sizeof text)
            return refuse(im, at, "expected a number of degrees");
        snprintf(text, sizeof text, "%.*s", (int)pixi_cur_left(&v), (const char *)v.p);
        row->degrees[role == LAT] = strtod(text, NULL);
        row->seen |= role == LAT ? 2 : 1;
    } else if (role == ID) {
        pixi_buf_put_cur(&row->id, v);
    } else {
        put_value(role == DATA ? &row->values : &row->object, im->names[i], v, role != TEXT);
    }
    return true;
}

static bool read_fields(struct import *im, struct row *row)
{
    struct pixi_buf b = pixi_buf_init(FIELD_MAX);
    const uint8_t *start = im->rest.p;
    bool is_last = false, is_right = true;
    size_t count = 0;

    while (is_right && !is_last) {
        const uint8_t *at = im->rest.p;

        pixi_buf_reset(&b);
        is_right = next_field(im, &b, &is_last);
        if (is_right && count < im->column_count)
            is_right = take_field(im, row, count, pixi_buf_cur(&b), at);
        count++;
    }
    pixi_buf_clear(&b);
    if (!is_right || count == im->column_count)
        return is_right;
    pixi_buf_putf(import_mistake(im, start), "found %zu fields, expected %zu as in the first line\n", count,
                  im->column_count);
    return false;
}

static void finish_row(struct import *im, struct row *row)
{
    struct pixi_buf place = pixi_buf_init(128);
    char number[24];
    double x, y;

    if (row->seen == 3) {
        if (!import_place(im, row->degrees[0], row->degrees[1], im->text.p + im->offset, &x, &y))
            return;
        pixi_json_name(&row->object, "x");
        pixi_buf_putf(&place, "%.3f", x);
        pixi_json_raw(&row->object, pixi_buf_cur(&place));
        pixi_buf_reset(&place);
        pixi_json_name(&row->object, "y");
        pixi_buf_putf(&place, "%.3f", y);
        pixi_json_raw(&row->object, pixi_buf_cur(&place));
    }
    pixi_buf_clear(&place);
    pixi_json_close_object(&row->values);
    if (row->data.len > 2 && row->data.len <= IMPORT_DATA_MAX) {
        pixi_json_name(&row->object, "data");
        pixi_json_raw(&row->object, pixi_buf_cur(&row->data));
    }
    pixi_json_close_object(&row->object);
    snprintf(number, sizeof number, "%llu", (unsigned long long)im->features);
    import_take(im, row->id.len ? pixi_buf_cur(&row->id) : pixi_cur_str(number), 0);
}

static bool skip_empty_lines(struct import *im)
{
    while (im->rest.p != im->rest.end && (*im->rest.p == '\n' || *im->rest.p == '\r'))
        im->rest.p++;
    return im->rest.p != im->rest.end;
}

/* After a mistake the next line is read: a quote may have swallowed some, so that is a guess. */
static void skip_line(struct import *im)
{
    const uint8_t *end = memchr(im->rest.p, '\n', pixi_cur_left(&im->rest));

    im->rest.p = end ? end + 1 : im->rest.end;
}

bool import_csv(struct import *im)
{
    struct row row = {.id = pixi_buf_init(FIELD_MAX), .data = pixi_buf_init(FIELD_MAX)};
    unsigned mistakes;

    if (!im->is_begun && !begin(im))
        return false;
    if (!skip_empty_lines(im))
        return false;
    im->features++;
    im->offset = (size_t)(im->rest.p - im->text.p);
    mistakes = im->mistake_count;
    pixi_buf_reset(&im->object);
    row.object = pixi_json_out_init(&im->object);
    row.values = pixi_json_out_init(&row.data);
    pixi_json_open_object(&row.object);
    pixi_json_open_object(&row.values);
    if (read_fields(im, &row))
        finish_row(im, &row);
    else if (im->mistake_count > mistakes && im->rest.p != im->rest.end && im->rest.p[-1] != '\n')
        skip_line(im);
    pixi_buf_clear(&row.id);
    pixi_buf_clear(&row.data);
    return true;
}
