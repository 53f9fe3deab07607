#include "scene/object.h"

#include "base/conf.h"
#include "base/near.h"
#include "base/utf8.h"

#include <stdlib.h>

enum { DEPTH = 64, NUMBER_MAX = 64, MEMBERS_MAX = 32 };

enum type { NUMBER, WHOLE, CHOICE, COLOR, TEXT, SPRITE, IMAGE, POINTS, DATA };

struct row {
    const char *name;
    enum type type;
    bool is_needed;
    double min, max;            /* of a number; of a text's characters; of the count of points */
    const char *const *choices; /* CHOICE, SPRITE; ends with NULL */
};

static const char *const shapes[] = {"circle", "rect", "triangle", "line", "polygon", NULL};
static const char *const sprites[] = {"dot",  "pin",     "house",  "tree", "car",   "bus",
                                      "tram", "bicycle", "person", "boat", "arrow", NULL};

static const struct row object_rows[] = {
    {"x", NUMBER, true, -1e9, 1e9, NULL},        {"y", NUMBER, true, -1e9, 1e9, NULL},
    {"shape", CHOICE, false, 0, 0, shapes},      {"sprite", SPRITE, false, 0, 0, sprites},
    {"text", TEXT, false, 1, 1024, NULL},        {"width", NUMBER, false, 0.01, 1e6, NULL},
    {"height", NUMBER, false, 0.01, 1e6, NULL},  {"points", POINTS, false, 2, PIXI_SCENE_POINTS_MAX, NULL},
    {"stroke", NUMBER, false, 0, 1e4, NULL},     {"size", NUMBER, false, 1, 1000, NULL},
    {"scale", NUMBER, false, 0.001, 1000, NULL}, {"rotation", NUMBER, false, -1e6, 1e6, NULL},
    {"tint", COLOR, false, 0, 0, NULL},          {"alpha", NUMBER, false, 0, 1, NULL},
    {"z", WHOLE, false, -1e6, 1e6, NULL},        {"label", TEXT, false, 0, PIXI_SCENE_LABEL_MAX, NULL},
    {"data", DATA, false, 0, 0, NULL},
};

static const struct row tile_rows[] = {
    {"color", COLOR, false, 0, 0, NULL},
    {"image", IMAGE, false, 0, 0, NULL},
    {"alpha", NUMBER, false, 0, 1, NULL},
};

static const struct row camera_rows[] = {
    {"x", NUMBER, true, -1e9, 1e9, NULL},
    {"y", NUMBER, true, -1e9, 1e9, NULL},
    {"scale", NUMBER, false, 1e-6, 1000, NULL},
    {"duration_ms", WHOLE, false, 0, 60000, NULL},
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const struct {
    const struct row *rows;
    size_t count;
} kinds[] = {
    [PIXI_SCENE_OBJECT] = {object_rows, COUNT(object_rows)},
    [PIXI_SCENE_TILE] = {tile_rows, COUNT(tile_rows)},
    [PIXI_SCENE_CAMERA] = {camera_rows, COUNT(camera_rows)},
};

/* What is known of a payload while it is read. */
struct reading {
    struct pixi_json json;
    struct pixi_json_token token;
    struct pixi_cur text;
    const char *name;
    const struct row *rows;
    size_t row_count;
    struct pixi_json_token values[MEMBERS_MAX]; /* of each row; text.p NULL: it is not there */
    size_t point_count;
    struct pixi_buf *mistakes;
    bool is_wrong;
};

/* --- words ---------------------------------------------------------------------------------------------------- */

/* "object:1:14: tint: found ": what was found comes next. */
static struct pixi_buf *open_line(struct reading *r, size_t offset, const char *member)
{
    struct pixi_json_at at = pixi_json_locate(r->text.p, pixi_cur_left(&r->text), offset);

    r->is_wrong = true;
    pixi_buf_putf(r->mistakes, "%s:%zu:%zu: %s%sfound ", r->name, at.line, at.column, member,
                  *member ? ": " : "");
    return r->mistakes;
}

static void put_found(const struct pixi_json_token *t, struct pixi_buf *b)
{
    static const char *const words[] = {
        [PIXI_JSON_OBJECT] = "an object", [PIXI_JSON_ARRAY] = "a list", [PIXI_JSON_TRUE] = "true",
        [PIXI_JSON_FALSE] = "false",      [PIXI_JSON_NULL] = "null",
    };

    if (t->type == PIXI_JSON_STRING)
        pixi_conf_put_quoted(t->text, b);
    else if (t->type == PIXI_JSON_NUMBER)
        pixi_buf_putf(b, "%.*s", pixi_cur_left(&t->text) < 40 ? (int)pixi_cur_left(&t->text) : 40,
                      (const char *)t->text.p);
    else
        pixi_buf_put_str(b, words[t->type]);
}

static void put_choices(const char *const *choices, struct pixi_buf *b)
{
    for (size_t i = 0; choices[i]; i++)
        pixi_buf_putf(b, "%s\"%s\"", i ? " or " : "", choices[i]);
}

static void put_expected(const struct row *row, struct pixi_buf *b)
{
    switch (row->type) {
    case NUMBER: pixi_buf_putf(b, "a number, %g .. %g", row->min, row->max); break;
    case WHOLE: pixi_buf_putf(b, "a whole number, %g .. %g", row->min, row->max); break;
    case CHOICE: put_choices(row->choices, b); break;
    case COLOR: pixi_buf_put_str(b, "a colour, \"#rrggbb\" such as \"#3b82f6\""); break;
    case TEXT: pixi_buf_putf(b, "a string of %g to %g characters", row->min, row->max); break;
    case SPRITE:
        put_choices(row->choices, b);
        pixi_buf_put_str(b, " or ");
        /* fall through */
    case IMAGE: pixi_buf_put_str(b, "\"data:image/png;base64,...\" (png, jpeg, webp or gif)"); break;
    case POINTS:
        pixi_buf_putf(b, "a list of %g to %g points [x, y], numbers -1e+09 .. 1e+09", row->min, row->max);
        break;
    case DATA: pixi_buf_put_str(b, "an object"); break;
    }
}

static void refuse(struct reading *r, const struct row *row, const struct pixi_json_token *t)
{
    struct pixi_buf *b = open_line(r, t->offset, row->name);

    put_found(t, b);
    pixi_buf_put_str(b, ", expected ");
    put_expected(row, b);
    pixi_buf_put_str(b, "\n");
}

/* --- values --------------------------------------------------------------------------------------------------- */

static bool read_number(const struct pixi_json_token *t, double *out)
{
    char text[NUMBER_MAX];
    size_t len = pixi_cur_left(&t->text);

    if (t->type != PIXI_JSON_NUMBER || len >= sizeof text)
        return false;
    memcpy(text, t->text.p, len);
    text[len] = 0;
    *out = strtod(text, NULL);
    return true;
}

static bool is_number(const struct pixi_json_token *t, double min, double max, enum type type)
{
    double v;

    return read_number(t, &v) && v >= min && v <= max && (type != WHOLE || v == (double)(long long)v);
}

static bool is_color(const struct pixi_json_token *t)
{
    const uint8_t *p = t->text.p;

    if (t->type != PIXI_JSON_STRING || pixi_cur_left(&t->text) != 7 || *p++ != '#')
        return false;
    while (p != t->text.end && ((*p >= '0' && *p <= '9') || ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'f')))
        p++;
    return p == t->text.end;
}

/* Characters of a string's text between its quotes, an escape counting as what it stands for: of a surrogate pair's two the
 * second counts for nothing. */
static size_t characters(struct pixi_cur text)
{
    size_t count = 0;

    for (const uint8_t *p = text.p; p != text.end; count++) {
        if (*p != '\\') {
            p += *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
        } else if (p[1] != 'u') {
            p += 2;
        } else {
            count -= (p[2] | 0x20) == 'd' && (p[3] | 0x20) >= 'c';
            p += 6;
        }
    }
    return count;
}

static bool is_text(const struct row *row, const struct pixi_json_token *t)
{
    double count;

    if (t->type != PIXI_JSON_STRING)
        return false;
    count = (double)characters(t->text);
    return count >= row->min && count <= row->max;
}

static bool is_chosen(const char *const *choices, const struct pixi_json_token *t)
{
    for (size_t i = 0; choices[i]; i++)
        if (pixi_json_is(t, choices[i]))
            return true;
    return false;
}

static bool is_base64(struct pixi_cur c)
{
    const uint8_t *p = c.p;

    while (p != c.end &&
           ((*p | 0x20) >= 'a' ? (*p | 0x20) <= 'z' : (*p >= '0' && *p <= '9') || *p == '+' || *p == '/'))
        p++;
    return p != c.p && (p == c.end || (p[0] == '=' && (p + 1 == c.end || (p[1] == '=' && p + 2 == c.end))));
}

static bool is_image(const struct pixi_json_token *t)
{
    static const char *const heads[] = {"data:image/png;base64,", "data:image/jpeg;base64,",
                                        "data:image/webp;base64,", "data:image/gif;base64,"};
    struct pixi_cur rest = t->text, head;

    for (size_t i = 0; t->type == PIXI_JSON_STRING && i < COUNT(heads); i++, rest = t->text)
        if (pixi_cur_cut(&rest, strlen(heads[i]), &head) && pixi_cur_equals(head, pixi_cur_str(heads[i])))
            return is_base64(rest);
    return false;
}

/* One token of a list of points, which stand at this depth. */
static bool is_of_points(const struct pixi_json_token *t, unsigned depth, size_t *numbers, size_t *count)
{
    if (t->depth == depth && t->type == PIXI_JSON_ARRAY) {
        *numbers = 0;
        return true;
    }
    if (t->depth == depth && t->type == PIXI_JSON_ARRAY_END) {
        ++*count;
        return *numbers == 2;
    }
    ++*numbers;
    return t->depth == depth + 1 && is_number(t, -1e9, 1e9, NUMBER);
}

/* Reads the list to its end. False: r->token is what is wrong. */
static bool read_points(struct reading *r, const struct row *row)
{
    struct pixi_json_token first = r->token, t = first, bad = first;
    bool is_right = first.type == PIXI_JSON_ARRAY;
    size_t numbers = 0;

    if (!is_right)
        pixi_json_skip(&r->json, &first, NULL);
    while (first.type == PIXI_JSON_ARRAY && pixi_json_next(&r->json, &t) == PIXI_OK && t.depth > first.depth)
        if (!is_of_points(&t, first.depth + 1, &numbers, &r->point_count) && is_right) {
            is_right = false;
            bad = t.type == PIXI_JSON_ARRAY_END || t.type == PIXI_JSON_OBJECT_END || t.type == PIXI_JSON_NAME
                      ? first
                      : t;
        }
    r->token = bad;
    return is_right && r->point_count >= (size_t)row->min && r->point_count <= (size_t)row->max;
}

/* Reads the value to its end. */
static bool is_right(struct reading *r, const struct row *row)
{
    struct pixi_json_token t = r->token;

    if (row->type == POINTS)
        return read_points(r, row);
    pixi_json_skip(&r->json, &t, NULL);
    switch (row->type) {
    case NUMBER:
    case WHOLE: return is_number(&t, row->min, row->max, row->type);
    case CHOICE: return is_chosen(row->choices, &t);
    case COLOR: return is_color(&t);
    case TEXT: return is_text(row, &t);
    case SPRITE: return is_chosen(row->choices, &t) || is_image(&t);
    case IMAGE: return is_image(&t);
    default: return t.type == PIXI_JSON_OBJECT;
    }
}

/* --- members -------------------------------------------------------------------------------------------------- */

static void refuse_name(struct reading *r, const struct pixi_json_token *name)
{
    struct pixi_buf *b = open_line(r, name->offset, "");
    size_t least = SIZE_MAX, far;
    const char *near = NULL;

    for (size_t i = 0; i < r->row_count; i++) {
        far = pixi_near_distance(name->text, pixi_cur_str(r->rows[i].name));
        if (far < least) {
            least = far;
            near = r->rows[i].name;
        }
    }
    pixi_buf_put_str(b, "the unknown member ");
    pixi_conf_put_quoted(name->text, b);
    if (near && pixi_near_enough(least, pixi_cur_str(near))) {
        pixi_buf_putf(b, "; did you mean \"%s\"?\n", near);
        return;
    }
    pixi_buf_put_str(b, ", expected one of ");
    for (size_t i = 0; i < r->row_count; i++)
        pixi_buf_putf(b, "%s%s", i ? ", " : "", r->rows[i].name);
    pixi_buf_put_str(b, "\n");
}

static void read_member(struct reading *r)
{
    struct pixi_json_token name = r->token;
    size_t i = 0;

    while (i < r->row_count && !pixi_json_is(&name, r->rows[i].name))
        i++;
    pixi_json_next(&r->json, &r->token);
    if (i == r->row_count) {
        pixi_json_skip(&r->json, &r->token, NULL);
        refuse_name(r, &name);
        return;
    }
    if (r->values[i].text.p) {
        pixi_json_skip(&r->json, &r->token, NULL);
        pixi_buf_put_str(open_line(r, name.offset, r->rows[i].name), "a second one, expected it once\n");
        return;
    }
    r->values[i] = r->token;
    if (!is_right(r, &r->rows[i]))
        refuse(r, &r->rows[i], r->rows[i].type == POINTS ? &r->token : &r->values[i]);
}

static const struct pixi_json_token *value(const struct reading *r, const char *name)
{
    for (size_t i = 0; i < r->row_count; i++)
        if (strcmp(r->rows[i].name, name) == 0)
            return r->values[i].text.p ? &r->values[i] : NULL;
    return NULL;
}

static void check_needed(struct reading *r)
{
    for (size_t i = 0; i < r->row_count; i++) {
        if (!r->rows[i].is_needed || r->values[i].text.p)
            continue;
        pixi_buf_put_str(open_line(r, 0, r->rows[i].name), "none, expected ");
        put_expected(&r->rows[i], r->mistakes);
        pixi_buf_put_str(r->mistakes, "\n");
    }
}

/* At most one of these. */
static void check_one(struct reading *r, const char *const *names, const char *all)
{
    const char *first = NULL;

    for (; *names; names++) {
        const struct pixi_json_token *v = value(r, *names);

        if (v && first)
            pixi_buf_putf(open_line(r, v->offset, *names), "beside %s, expected one of %s\n", first, all);
        else if (v)
            first = *names;
    }
}

static void check_object(struct reading *r)
{
    static const char *const looks[] = {"shape", "sprite", "text", NULL};
    const struct pixi_json_token *shape = value(r, "shape"), *points = value(r, "points");
    bool is_polygon = shape && pixi_json_is(shape, "polygon");
    bool wants_points = is_polygon || (shape && pixi_json_is(shape, "line"));

    check_one(r, looks, "shape, sprite and text");
    if (wants_points && !points)
        pixi_buf_put_str(open_line(r, 0, "points"), "none, expected them of a line or polygon\n");
    else if (!wants_points && points)
        pixi_buf_put_str(open_line(r, points->offset, "points"),
                         "some, expected them of a line or polygon only\n");
    else if (is_polygon && points->type == PIXI_JSON_ARRAY && r->point_count == 2)
        pixi_buf_put_str(open_line(r, points->offset, "points"),
                         "two, expected three at least of a polygon\n");
}

static void check_tile(struct reading *r)
{
    static const char *const looks[] = {"color", "image", NULL};

    check_one(r, looks, "color and image");
    if (!value(r, "color") && !value(r, "image"))
        pixi_buf_put_str(open_line(r, 0, "color"), "none, expected one of color and image\n");
}

static bool refuse_json(struct reading *r, int err, size_t offset)
{
    pixi_buf_putf(open_line(r, offset, ""), "no JSON: %s\n", pixi_err_text(err));
    return false;
}

bool pixi_scene_check(enum pixi_scene_kind kind, const char *name, struct pixi_cur text,
                      struct pixi_buf *mistakes)
{
    struct reading r = {.text = text,
                        .name = name,
                        .rows = kinds[kind].rows,
                        .row_count = kinds[kind].count,
                        .mistakes = mistakes};
    size_t len = pixi_cur_left(&text), at = 0;
    int rc = pixi_json_check(text.p, len, DEPTH, &at);

    if (rc != PIXI_OK)
        return refuse_json(&r, rc, at);
    if (len > PIXI_SCENE_BYTES_MAX)
        pixi_buf_putf(open_line(&r, 0, ""), "%zu bytes, expected at most %d\n", len, PIXI_SCENE_BYTES_MAX);
    pixi_json_init(&r.json, text.p, len, DEPTH);
    pixi_json_next(&r.json, &r.token);
    if (r.token.type != PIXI_JSON_OBJECT) {
        put_found(&r.token, open_line(&r, r.token.offset, ""));
        pixi_buf_put_str(mistakes, ", expected an object\n");
        return false;
    }
    while (pixi_json_next(&r.json, &r.token) == PIXI_OK && r.token.type == PIXI_JSON_NAME)
        read_member(&r);
    check_needed(&r);
    if (kind == PIXI_SCENE_OBJECT)
        check_object(&r);
    else if (kind == PIXI_SCENE_TILE)
        check_tile(&r);
    return !r.is_wrong;
}

bool pixi_scene_is_id(struct pixi_cur id)
{
    size_t len = pixi_cur_left(&id);

    if (len == 0 || len > PIXI_SCENE_ID_MAX || !pixi_utf8_is_valid(id.p, len))
        return false;
    for (const uint8_t *p = id.p; p != id.end; p++)
        if (*p < ' ' || *p == 0x7f || strchr("/+#", *p))
            return false;
    return true;
}

void pixi_scene_move(struct pixi_cur object, const char *x, const char *y, struct pixi_buf *out)
{
    struct pixi_json r;
    struct pixi_json_token name, v;
    const uint8_t *from = object.p;

    pixi_json_init(&r, object.p, pixi_cur_left(&object), DEPTH);
    pixi_json_next(&r, &name);
    while (pixi_json_next(&r, &name) == PIXI_OK && name.type == PIXI_JSON_NAME) {
        const char *to = pixi_json_is(&name, "x") ? x : pixi_json_is(&name, "y") ? y : NULL;

        pixi_json_next(&r, &v);
        pixi_json_skip(&r, &v, NULL);
        if (!to)
            continue;
        pixi_buf_put_cur(out, (struct pixi_cur){from, v.text.p});
        pixi_buf_put_str(out, to);
        from = v.text.end;
    }
    pixi_buf_put_cur(out, (struct pixi_cur){from, object.end});
}
