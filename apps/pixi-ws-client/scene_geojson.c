/* scene_geojson.c -- GeoJSON, RFC 7946: a feature at a time. */
#include "pixi-ws-client/scene_import.h"

#include <stdio.h>
#include <stdlib.h>

enum { DEPTH = 64, NUMBER_MAX = 64, ID_ROOM = 4096 };

struct geometry {
    struct import *im;
    struct pixi_json json; /* its coordinates */
    struct pixi_cur id, properties, label, tint, sprite;
    unsigned part; /* of a geometry that becomes several objects; 0: the only one */
};

/* The members of an object that are asked for, as tokens; text.p NULL: not there. */
static bool members(struct pixi_cur object, const char *const *names, struct pixi_json_token *out)
{
    struct pixi_json r;
    struct pixi_json_token name, v;

    for (size_t i = 0; names[i]; i++)
        out[i] = (struct pixi_json_token){.text = {NULL, NULL}};
    pixi_json_init(&r, object.p, pixi_cur_left(&object), DEPTH);
    if (pixi_json_next(&r, &name) != PIXI_OK || name.type != PIXI_JSON_OBJECT)
        return false;
    while (pixi_json_next(&r, &name) == PIXI_OK && name.type == PIXI_JSON_NAME) {
        struct pixi_cur raw;

        pixi_json_next(&r, &v);
        pixi_json_skip(&r, &v, &raw);
        for (size_t i = 0; names[i]; i++)
            if (pixi_json_is(&name, names[i])) {
                out[i] = v;
                if (v.type == PIXI_JSON_OBJECT || v.type == PIXI_JSON_ARRAY)
                    out[i].text = raw;
            }
    }
    return true;
}

static bool refuse(struct import *im, const uint8_t *at, const char *what)
{
    pixi_buf_putf(import_mistake(im, at), "%s\n", what);
    return false;
}

/* --- coordinates ---------------------------------------------------------------------------------------------- */

struct point {
    double x, y;
};

struct points {
    struct pixi_buf at; /* struct point each */
};

static const struct point *point(const struct points *p, size_t i)
{
    return (const struct point *)(const void *)p->at.bytes + i;
}

static size_t point_count(const struct points *p)
{
    return p->at.len / sizeof(struct point);
}

/* [longitude, latitude, altitude?], whose opening was read. */
static bool read_position(struct geometry *g, const struct pixi_json_token *first, struct point *out)
{
    static const char expected[] = "expected a position, [longitude, latitude]";
    struct pixi_json_token t = *first;
    double degrees[2] = {0, 0};
    char text[NUMBER_MAX];
    size_t count = 0;

    if (first->type != PIXI_JSON_ARRAY)
        return refuse(g->im, first->text.p, expected);
    while (pixi_json_next(&g->json, &t) == PIXI_OK && t.type == PIXI_JSON_NUMBER &&
           pixi_cur_left(&t.text) < sizeof text) {
        snprintf(text, sizeof text, "%.*s", (int)pixi_cur_left(&t.text), (const char *)t.text.p);
        if (count < 2)
            degrees[count] = strtod(text, NULL);
        count++;
    }
    if (t.type != PIXI_JSON_ARRAY_END || count < 2)
        return refuse(g->im, first->text.p, expected);
    return import_place(g->im, degrees[0], degrees[1], first->text.p, &out->x, &out->y);
}

/* Positions up to the end of the list whose opening was read. */
static bool read_positions(struct geometry *g, const struct pixi_json_token *first, struct points *out)
{
    struct pixi_json_token t;
    struct point p;

    out->at.len = 0;
    if (first->type != PIXI_JSON_ARRAY)
        return refuse(g->im, first->text.p, "expected a list of positions");
    while (pixi_json_next(&g->json, &t) == PIXI_OK && t.type != PIXI_JSON_ARRAY_END) {
        if (!read_position(g, &t, &p))
            return false;
        pixi_buf_put(&out->at, &p, sizeof p);
    }
    return out->at.err == PIXI_OK || refuse(g->im, first->text.p, "more positions than memory");
}

/* --- objects -------------------------------------------------------------------------------------------------- */

static void put_string(struct pixi_buf *b, const char *name, struct pixi_cur raw)
{
    if (raw.p)
        pixi_buf_putf(b, ",\"%s\":\"%.*s\"", name, (int)pixi_cur_left(&raw), (const char *)raw.p);
}

static struct pixi_buf *open_object(struct geometry *g, const struct point *at)
{
    struct pixi_buf *b = &g->im->object;

    pixi_buf_reset(b);
    pixi_buf_putf(b, "{\"x\":%.3f,\"y\":%.3f", at->x, at->y);
    return b;
}

/* Parts are numbered from 1. */
static void close_object(struct geometry *g)
{
    struct pixi_buf *b = &g->im->object;

    put_string(b, "label", g->label);
    put_string(b, "tint", g->tint);
    if (g->properties.p && pixi_cur_left(&g->properties) <= IMPORT_DATA_MAX) {
        pixi_buf_put_str(b, ",\"data\":");
        pixi_buf_put_cur(b, g->properties);
    }
    pixi_buf_put_str(b, "}");
    import_take(g->im, g->id, g->part);
    g->part += g->part > 0;
}

static void put_points(struct pixi_buf *b, const struct points *p, size_t from, size_t count, size_t of)
{
    const struct point *origin = point(p, from);

    pixi_buf_put_str(b, ",\"points\":[");
    for (size_t i = 0; i < count; i++) {
        const struct point *each = point(p, from + i * of / count);

        pixi_buf_putf(b, "%s[%.3f,%.3f]", i ? "," : "", each->x - origin->x, each->y - origin->y);
    }
    pixi_buf_put_str(b, "]");
}

static bool take_point(struct geometry *g, const struct pixi_json_token *first)
{
    struct point p;

    if (!read_position(g, first, &p))
        return false;
    put_string(open_object(g, &p), "sprite", g->sprite);
    close_object(g);
    return true;
}

/* More points than an object may have become several lines, each from where the one before ended. */
static bool put_line(struct geometry *g, const struct points *p, const uint8_t *at)
{
    size_t count = point_count(p), last = PIXI_SCENE_POINTS_MAX - 1;

    if (count < 2)
        return refuse(g->im, at, "expected two positions at least of a line");
    if (count > PIXI_SCENE_POINTS_MAX && !g->part)
        g->part = 1;
    for (size_t from = 0; from + 1 < count; from += last) {
        size_t some = count - from > last + 1 ? last + 1 : count - from;
        struct pixi_buf *b = open_object(g, point(p, from));

        pixi_buf_put_str(b, ",\"shape\":\"line\"");
        put_points(b, p, from, some, some);
        close_object(g);
    }
    return true;
}

/* A ring, whose last position is its first: more points than an object may have are thinned out. */
static bool put_ring(struct geometry *g, const struct points *p, const uint8_t *at)
{
    size_t count = point_count(p);
    struct pixi_buf *b;

    if (count < 4 || point(p, 0)->x != point(p, count - 1)->x || point(p, 0)->y != point(p, count - 1)->y)
        return refuse(g->im, at,
                      "expected a ring: four positions at least, the last like the first (RFC 7946 §3.1.6)");
    b = open_object(g, point(p, 0));
    count--;
    pixi_buf_put_str(b, ",\"shape\":\"polygon\"");
    put_points(b, p, 0, count < PIXI_SCENE_POINTS_MAX ? count : PIXI_SCENE_POINTS_MAX, count);
    close_object(g);
    return true;
}

static bool take_line(struct geometry *g, const struct pixi_json_token *first)
{
    struct points p = {pixi_buf_init(SIZE_MAX / 4)};
    bool is_right = read_positions(g, first, &p) && put_line(g, &p, first->text.p);

    pixi_buf_clear(&p.at);
    return is_right;
}

static bool take_polygon(struct geometry *g, const struct pixi_json_token *first)
{
    struct points p = {pixi_buf_init(SIZE_MAX / 4)};
    struct pixi_json_token t;
    bool is_right = first->type == PIXI_JSON_ARRAY;
    size_t rings = 0;

    if (!is_right)
        refuse(g->im, first->text.p, "expected a list of rings");
    while (is_right && pixi_json_next(&g->json, &t) == PIXI_OK && t.type != PIXI_JSON_ARRAY_END) {
        is_right = read_positions(g, &t, &p);
        if (is_right && rings++ == 0)
            is_right = put_ring(g, &p, t.text.p);
        else
            g->im->holes++;
    }
    if (is_right && rings == 0)
        is_right = refuse(g->im, first->text.p, "expected a ring at least");
    pixi_buf_clear(&p.at);
    return is_right;
}

typedef bool take_one(struct geometry *g, const struct pixi_json_token *first);

static bool take_each(struct geometry *g, take_one *take)
{
    struct pixi_json_token t;

    g->part = g->part ? g->part : 1;
    while (pixi_json_next(&g->json, &t) == PIXI_OK && t.type != PIXI_JSON_ARRAY_END)
        if (!take(g, &t))
            return false;
    return true;
}

/* --- geometries ----------------------------------------------------------------------------------------------- */

static bool take_geometry(struct geometry *g, struct pixi_cur text, unsigned depth);

static bool take_collection(struct geometry *g, struct pixi_cur list, unsigned depth)
{
    struct pixi_json r;
    struct pixi_json_token t;
    struct pixi_cur raw;

    g->part = g->part ? g->part : 1;
    pixi_json_init(&r, list.p, pixi_cur_left(&list), DEPTH);
    pixi_json_next(&r, &t);
    while (pixi_json_next(&r, &t) == PIXI_OK && t.type != PIXI_JSON_ARRAY_END) {
        pixi_json_skip(&r, &t, &raw);
        if (!take_geometry(g, raw, depth + 1))
            return false;
    }
    return true;
}

static bool take_geometry(struct geometry *g, struct pixi_cur text, unsigned depth)
{
    static const char *const names[] = {"type", "coordinates", "geometries", NULL};
    static const struct {
        const char *type;
        take_one *take;
        bool is_multi;
    } types[] = {
        {"Point", take_point, false},     {"MultiPoint", take_point, true},
        {"LineString", take_line, false}, {"MultiLineString", take_line, true},
        {"Polygon", take_polygon, false}, {"MultiPolygon", take_polygon, true},
    };
    struct pixi_json_token m[3], first;

    if (!members(text, names, m) || m[0].type != PIXI_JSON_STRING)
        return refuse(g->im, text.p, "expected a geometry: an object with a type");
    if (pixi_json_is(&m[0], "GeometryCollection") && m[2].type == PIXI_JSON_ARRAY && m[2].text.p && depth < 8)
        return take_collection(g, m[2].text, depth);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (!pixi_json_is(&m[0], types[i].type))
            continue;
        if (!m[1].text.p || m[1].type != PIXI_JSON_ARRAY)
            return refuse(g->im, text.p, "expected coordinates, a list");
        pixi_json_init(&g->json, m[1].text.p, pixi_cur_left(&m[1].text), DEPTH);
        pixi_json_next(&g->json, &first);
        return types[i].is_multi ? take_each(g, types[i].take) : types[i].take(g, &first);
    }
    return refuse(g->im, m[0].text.p,
                  "expected a type of geometry: Point, LineString, Polygon, Multi..., GeometryCollection");
}

/* --- features ------------------------------------------------------------------------------------------------- */

/* The first of these properties that will do. */
static struct pixi_cur pick(struct pixi_cur properties, const char *const *names,
                            bool (*is_fine)(const struct pixi_json_token *))
{
    struct pixi_json_token m[5];

    if (!members(properties, names, m))
        return pixi_cur_init(NULL, 0);
    for (size_t i = 0; names[i]; i++)
        if (m[i].text.p && is_fine(&m[i]))
            return m[i].text;
    return pixi_cur_init(NULL, 0);
}

static bool is_string(const struct pixi_json_token *t)
{
    return t->type == PIXI_JSON_STRING;
}

static bool is_word(const struct pixi_json_token *t)
{
    return t->type == PIXI_JSON_STRING || t->type == PIXI_JSON_NUMBER;
}

/* simplestyle's "#f00" and "red" are none of ours: the default is better than a refusal. */
static bool is_color(const struct pixi_json_token *t)
{
    return t->type == PIXI_JSON_STRING && pixi_cur_left(&t->text) == 7 && *t->text.p == '#';
}

static void read_properties(struct geometry *g, const struct pixi_json_token *properties)
{
    static const char *const labels[] = {"label", "name", "title", NULL}, *const sprites[] = {"sprite", NULL},
                             *const tints[] = {"tint", "marker-color", "stroke", "fill", NULL};

    if (!properties->text.p || properties->type != PIXI_JSON_OBJECT)
        return;
    g->properties = properties->text;
    g->label = pick(g->properties, labels, is_word);
    g->tint = pick(g->properties, tints, is_color);
    g->sprite = pick(g->properties, sprites, is_string);
}

/* Its own id, unescaped, or else its number. */
static struct pixi_cur id_of(const struct import *im, const struct pixi_json_token *id, char room[ID_ROOM])
{
    size_t len = pixi_cur_left(&id->text);

    if (id->text.p && id->type == PIXI_JSON_NUMBER)
        return id->text;
    if (id->text.p && id->type == PIXI_JSON_STRING && len && len <= ID_ROOM &&
        pixi_json_decode(id->text, (uint8_t *)room, &len) == PIXI_OK)
        return pixi_cur_init(room, len);
    snprintf(room, ID_ROOM, "%llu", (unsigned long long)im->features);
    return pixi_cur_str(room);
}

static void take_feature(struct import *im, struct pixi_cur text)
{
    static const char *const names[] = {"type", "geometry", "properties", "id", NULL};
    struct geometry g = {.im = im};
    struct pixi_json_token m[4];
    char room[ID_ROOM];

    im->features++;
    im->offset = (size_t)(text.p - im->text.p);
    if (!members(text, names, m)) {
        refuse(im, text.p, "expected a feature: an object");
        return;
    }
    g.id = id_of(im, &m[3], room);
    read_properties(&g, &m[2]);
    if (!m[0].text.p || !pixi_json_is(&m[0], "Feature"))
        take_geometry(&g, text, 0); /* bare */
    else if (!m[1].text.p || m[1].type == PIXI_JSON_NULL)
        im->empty++;
    else
        take_geometry(&g, m[1].text, 0);
}

/* Where the features are: in a list, or the only one is the whole file. */
static bool begin(struct import *im)
{
    static const char *const names[] = {"type", "features", NULL};
    struct pixi_json_token m[2], t;
    size_t at = 0;
    int rc = pixi_json_check(im->text.p, pixi_cur_left(&im->text), DEPTH, &at);

    im->is_begun = true;
    if (rc != PIXI_OK) {
        pixi_buf_putf(import_mistake(im, im->text.p + at), "found no JSON: %s\n", pixi_err_text(rc));
        return false;
    }
    if (!members(im->text, names, m))
        return refuse(im, im->text.p, "expected GeoJSON, an object");
    if (!m[0].text.p || !pixi_json_is(&m[0], "FeatureCollection")) {
        im->is_over = true;
        take_feature(im, im->text);
        return true;
    }
    if (!m[1].text.p || m[1].type != PIXI_JSON_ARRAY)
        return refuse(im, im->text.p, "expected features, a list");
    im->rest = m[1].text;
    pixi_json_init(&im->json, im->rest.p, pixi_cur_left(&im->rest), DEPTH);
    pixi_json_next(&im->json, &t);
    return true;
}

bool import_geojson(struct import *im)
{
    struct pixi_json_token t;
    struct pixi_cur raw;

    if (!im->is_begun && !begin(im))
        return false;
    if (im->is_over || pixi_json_next(&im->json, &t) != PIXI_OK || t.type == PIXI_JSON_ARRAY_END)
        return false;
    pixi_json_skip(&im->json, &t, &raw);
    take_feature(im, raw);
    return true;
}
