#include "image/yaml.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/utf8.h"

#include <ctype.h>
#include <libfyaml.h>
#include <stdio.h>
#include <stdlib.h>

enum node_kind { SCALAR, LIST, MAPPING };

struct node {
    enum node_kind kind;
    bool is_plain;        /* a scalar that may be a number, true, false or null */
    struct pixi_cur text; /* of a scalar */
    struct node *first;   /* elements; names and values in turn */
    struct node *next;
    struct pixi_json_at at;
};

struct anchor {
    struct pixi_cur name;
    struct node *node;
    struct anchor *next;
};

struct reader {
    const char *file;
    struct fy_parser *parser;
    struct pixi_arena arena;
    struct anchor *anchors; /* newest first */
    size_t count, depth;
    struct pixi_json_at last; /* of the newest token: where an empty value counts as standing */
    struct pixi_buf *mistakes;
    int err;
};

void pixi_yaml_clear(struct pixi_yaml *y)
{
    pixi_file_wipe(&y->json);
    pixi_buf_clear(&y->lines);
}

static void refuse(struct reader *r, struct pixi_json_at at, const char *found, const char *expected)
{
    if (r->err == PIXI_OK) {
        pixi_buf_putf(r->mistakes, "%s:%zu:%zu: found %s, expected %s\n", r->file, at.line, at.column, found,
                      expected);
        r->err = PIXI_E_SETTINGS;
    }
}

static struct pixi_cur text_of(struct fy_token *token)
{
    size_t len = 0;
    const char *text = token ? fy_token_get_text(token, &len) : NULL;

    return pixi_cur_init(text ? text : "", len);
}

static void note_place(struct reader *r, struct fy_token *token)
{
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;

    if (mark)
        r->last = (struct pixi_json_at){(size_t)mark->line + 1, (size_t)mark->column + 1};
}

/* NULL: refused, or no memory. */
static struct node *add_node(struct reader *r, enum node_kind kind, struct fy_token *token)
{
    struct node *n = pixi_arena_take(&r->arena, sizeof *n);

    note_place(r, token);
    if (!n) {
        r->err = PIXI_E_NOMEM;
        return NULL;
    }
    if (++r->count > PIXI_YAML_NODES_MAX) {
        refuse(r, r->last, "more than 32768 values", "a shorter description");
        return NULL;
    }
    n->kind = kind;
    n->at = r->last;
    return n;
}

static void add_anchor(struct reader *r, struct fy_token *token, struct node *n)
{
    struct pixi_cur name = text_of(token);
    struct anchor *a = token ? pixi_arena_take(&r->arena, sizeof *a) : NULL;
    const char *kept = a ? pixi_arena_text(&r->arena, name) : NULL;

    if (token && !kept)
        r->err = PIXI_E_NOMEM;
    if (!kept)
        return;
    *a = (struct anchor){pixi_cur_init(kept, pixi_cur_left(&name)), n, r->anchors};
    r->anchors = a;
}

static struct node *find_alias(struct reader *r, struct fy_token *token)
{
    struct pixi_cur name = text_of(token);
    struct node *n;

    note_place(r, token);
    for (struct anchor *a = r->anchors; a; a = a->next)
        if (pixi_cur_equals(a->name, name)) {
            n = pixi_arena_take(&r->arena, sizeof *n);
            if (!n) {
                r->err = PIXI_E_NOMEM;
                return NULL;
            }
            *n = *a->node; /* shares the elements; has a place and a neighbour of its own */
            n->at = r->last;
            n->next = NULL;
            return n;
        }
    refuse(r, r->last, "an alias without its anchor", "an anchor (&name) before it");
    return NULL;
}

static struct node *read_scalar(struct reader *r, const struct fy_event *e)
{
    struct node *n = add_node(r, SCALAR, e->scalar.value);
    struct pixi_cur text = text_of(e->scalar.value);
    const char *kept = n ? pixi_arena_text(&r->arena, text) : NULL;

    if (!n || !kept) {
        r->err = r->err == PIXI_OK ? PIXI_E_NOMEM : r->err;
        return NULL;
    }
    n->text = pixi_cur_init(kept, pixi_cur_left(&text));
    n->is_plain = !e->scalar.value || fy_token_scalar_style(e->scalar.value) == FYSS_PLAIN;
    if (!pixi_utf8_is_valid(n->text.p, pixi_cur_left(&n->text)))
        refuse(r, n->at, "text that is not UTF-8", "UTF-8");
    add_anchor(r, e->scalar.anchor, n);
    return n;
}

static struct node *read_node(struct reader *r, struct fy_event *e);

/* Elements to the end of the list or mapping. */
static void read_elements(struct reader *r, struct node *n, enum fy_event_type end)
{
    struct node **tail = &n->first;
    struct fy_event *e;
    bool is_name = false, is_end = false;

    while (r->err == PIXI_OK && !is_end) {
        e = fy_parser_parse(r->parser);
        is_end = !e || e->type == end;
        is_name = !is_name && n->kind == MAPPING;
        if (!is_end && (*tail = read_node(r, e)) != NULL) {
            if (is_name && (*tail)->kind != SCALAR)
                refuse(r, (*tail)->at, "a list or mapping as a name", "a plain name");
            tail = &(*tail)->next;
        }
        if (e)
            fy_parser_event_free(r->parser, e);
    }
}

static struct node *read_container(struct reader *r, struct fy_event *e)
{
    bool is_list = e->type == FYET_SEQUENCE_START;
    struct fy_token *anchor = is_list ? e->sequence_start.anchor : e->mapping_start.anchor;
    struct node *n = is_list ? add_node(r, LIST, e->sequence_start.sequence_start)
                             : add_node(r, MAPPING, e->mapping_start.mapping_start);

    if (!n)
        return NULL;
    if (r->depth == PIXI_YAML_DEPTH_MAX) {
        refuse(r, n->at, "more than 32 levels", "fewer");
        return NULL;
    }
    r->depth++;
    read_elements(r, n, is_list ? FYET_SEQUENCE_END : FYET_MAPPING_END);
    r->depth--;
    add_anchor(r, anchor, n); /* after its end: it cannot hold itself */
    return n;
}

static struct fy_token *tag_of(const struct fy_event *e)
{
    switch (e->type) {
    case FYET_SCALAR: return e->scalar.tag;
    case FYET_SEQUENCE_START: return e->sequence_start.tag;
    case FYET_MAPPING_START: return e->mapping_start.tag;
    default: return NULL;
    }
}

static struct node *read_node(struct reader *r, struct fy_event *e)
{
    if (tag_of(e)) {
        note_place(r, tag_of(e));
        refuse(r, r->last, "a tag (!...)", "a value without one");
        return NULL;
    }
    if (e->type == FYET_SCALAR)
        return read_scalar(r, e);
    if (e->type == FYET_ALIAS)
        return find_alias(r, e->alias.anchor);
    return read_container(r, e);
}

/* The one document. */
static struct node *read_stream(struct reader *r)
{
    struct node *root = NULL;
    struct fy_event *e;
    size_t documents = 0;

    while (r->err == PIXI_OK && (e = fy_parser_parse(r->parser))) {
        if (e->type == FYET_DOCUMENT_START && documents++)
            refuse(r, r->last, "a second document", "one");
        else if (e->type == FYET_SCALAR || e->type == FYET_ALIAS || e->type == FYET_SEQUENCE_START ||
                 e->type == FYET_MAPPING_START)
            root = read_node(r, e);
        fy_parser_event_free(r->parser, e);
    }
    return root;
}

/* What libfyaml objects to, its first error. */
static void tell_syntax(struct reader *r, struct fy_diag *diag)
{
    void *at = NULL;
    struct fy_diag_error *e = fy_diag_errors_iterate(diag, &at);

    if (!e || r->err != PIXI_OK)
        return;
    pixi_buf_putf(r->mistakes, "%s:%d:%d: not YAML: %s\n", r->file, e->line > 0 ? e->line : 1,
                  e->column > 0 ? e->column : 1, e->msg);
    r->err = PIXI_E_SETTINGS;
}

/* The JSON. */

struct writer {
    struct reader *r;
    struct pixi_yaml *y;
    struct pixi_yaml *part; /* NULL below the cut */
    const char *cut;
    size_t count;
    char path[256];
};

static void put_line(struct writer *w, const struct node *n, const char *before, struct pixi_cur text)
{
    pixi_buf_put(&w->y->lines, &n->at, sizeof n->at);
    pixi_buf_put_str(&w->y->json, before);
    pixi_buf_put_cur(&w->y->json, text);
    pixi_buf_put_str(&w->y->json, "\n");
}

/* What a plain scalar means (YAML 1.2, core schema, as far as JSON goes): false for a string. */
static bool plain_value(struct pixi_cur c, struct pixi_cur *out)
{
    static const struct {
        const char *text, *json;
    } words[] = {{"", "null"},       {"~", "null"},      {"null", "null"},  {"Null", "null"},
                 {"NULL", "null"},   {"true", "true"},   {"True", "true"},  {"TRUE", "true"},
                 {"false", "false"}, {"False", "false"}, {"FALSE", "false"}};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (pixi_cur_equals(c, pixi_cur_str(words[i].text))) {
            *out = pixi_cur_str(words[i].json);
            return true;
        }
    *out = c;
    return (*c.p == '-' || isdigit(*c.p)) && pixi_json_check(c.p, pixi_cur_left(&c), 1, NULL) == PIXI_OK;
}

static void put_scalar(struct writer *w, const struct node *n, const char *before, const char *after)
{
    struct pixi_buf b = pixi_buf_init(8 * PIXI_YAML_FILE_MAX);
    struct pixi_json_out out = pixi_json_out_init(&b);
    struct pixi_cur value;

    if (n->is_plain && !*after && plain_value(n->text, &value))
        pixi_buf_put_cur(&b, value);
    else
        pixi_json_string(&out, n->text);
    pixi_buf_put_str(&b, after);
    if (b.err != PIXI_OK)
        w->r->err = b.err;
    else
        put_line(w, n, before, pixi_buf_cur(&b));
    pixi_buf_clear(&b);
}

static void put_node(struct writer *w, const struct node *n, const char *before);

/* A mapping at the cut's place is written into the part; of a name that stands twice, which conf refuses, the first. */
static bool put_part(struct writer *w, const struct node *n)
{
    static const struct pixi_cur mark = {(const uint8_t *)"\"\\u0001\"", (const uint8_t *)"\"\\u0001\"" + 8};
    struct writer below = {.r = w->r, .y = w->part, .count = w->count};

    if (!w->part || w->part->json.len || n->kind != MAPPING || strcmp(w->path, w->cut) != 0)
        return false;
    put_node(&below, n, "");
    w->count = below.count;
    put_line(w, n, "", mark);
    return true;
}

static void put_members(struct writer *w, const struct node *n)
{
    size_t len = strlen(w->path);
    const char *before = "";

    put_line(w, n, "", pixi_cur_str("{"));
    for (const struct node *name = n->first; name && name->next && w->r->err == PIXI_OK;
         name = name->next->next) {
        snprintf(w->path + len, sizeof w->path - len, "%s%.*s", len ? "." : "",
                 (int)pixi_cur_left(&name->text), name->text.p);
        put_scalar(w, name, before, ":");
        if (!put_part(w, name->next))
            put_node(w, name->next, "");
        before = ",";
    }
    w->path[len] = 0;
    put_line(w, n, "", pixi_cur_str("}"));
}

static void put_elements(struct writer *w, const struct node *n)
{
    const char *before = "";

    put_line(w, n, "", pixi_cur_str("["));
    for (const struct node *e = n->first; e && w->r->err == PIXI_OK; e = e->next) {
        put_node(w, e, before);
        before = ",";
    }
    put_line(w, n, "", pixi_cur_str("]"));
}

static void put_node(struct writer *w, const struct node *n, const char *before)
{
    if (++w->count > PIXI_YAML_NODES_MAX || w->r->depth == PIXI_YAML_DEPTH_MAX ||
        w->y->json.len > PIXI_YAML_FILE_MAX) {
        refuse(w->r, n->at, "aliases that make more than 32768 values, 1 MiB or 32 levels of this file",
               "fewer of them");
        return;
    }
    w->r->depth++;
    if (n->kind == SCALAR) {
        put_scalar(w, n, before, "");
    } else {
        pixi_buf_put_str(&w->y->json, before);
        if (n->kind == MAPPING)
            put_members(w, n);
        else
            put_elements(w, n);
    }
    w->r->depth--;
    if (w->y->json.err == PIXI_E_LIMIT)
        refuse(w->r, n->at, "text that makes more than 2 MiB of JSON", "less");
    if (w->y->json.err != PIXI_OK || w->y->lines.err != PIXI_OK)
        w->r->err = w->r->err == PIXI_OK ? PIXI_E_NOMEM : w->r->err;
}

static int parse(struct reader *r, struct pixi_cur text, struct node **root)
{
    struct fy_diag_cfg config;
    struct fy_parse_cfg parse = {0};

    fy_diag_cfg_default(&config);
    config.fp = NULL;
    config.colorize = false;
    parse.diag = fy_diag_create(&config);
    if (!parse.diag)
        return PIXI_E_NOMEM;
    fy_diag_set_collect_errors(parse.diag, true);
    r->parser = fy_parser_create(&parse);
    if (!r->parser || fy_parser_set_string(r->parser, (const char *)text.p, pixi_cur_left(&text)) != 0)
        r->err = PIXI_E_NOMEM;
    else
        *root = read_stream(r);
    tell_syntax(r, parse.diag);
    fy_parser_destroy(r->parser);
    fy_diag_destroy(parse.diag);
    return r->err;
}

int pixi_yaml_read(const char *file, struct pixi_cur text, const char *cut, struct pixi_yaml *whole,
                   struct pixi_yaml *part, struct pixi_buf *mistakes)
{
    struct reader r = {.file = file, .mistakes = mistakes, .last = {1, 1}};
    struct writer w = {.r = &r, .y = whole, .part = part, .cut = cut};
    struct node *root = NULL;
    struct pixi_utf8 utf8 = {0};
    size_t bad = pixi_cur_left(&text);

    r.arena = pixi_arena_init(64u * PIXI_YAML_FILE_MAX);
    if (pixi_cur_left(&text) > PIXI_YAML_FILE_MAX)
        refuse(&r, r.last, "more than 1 MiB", "a shorter description");
    else if (memchr(text.p ? text.p : (const uint8_t *)"", 0, pixi_cur_left(&text)))
        refuse(&r, r.last, "a byte 0", "text");
    else if (pixi_utf8_feed(&utf8, text.p, pixi_cur_left(&text), &bad) != PIXI_OK ||
             !pixi_utf8_is_whole(&utf8))
        refuse(&r, pixi_json_locate(text.p, pixi_cur_left(&text), bad), "text that is not UTF-8", "UTF-8");
    else
        parse(&r, text, &root);
    if (r.err == PIXI_OK && !root)
        refuse(&r, r.last, "nothing", "a description of an image");
    if (r.err == PIXI_OK)
        put_node(&w, root, "");
    pixi_arena_clear(&r.arena);
    return r.err;
}

/* Reads ":12:3" at p; the bytes that it takes, 0 when there is no such thing. */
static size_t read_place(struct pixi_cur c, size_t *line)
{
    const uint8_t *p = c.p;

    *line = 0;
    if (p == c.end || *p++ != ':')
        return 0;
    for (; p != c.end && isdigit(*p) && *line < 1u << 28; p++)
        *line = *line * 10 + (size_t)(*p - '0');
    if (*line == 0 || p == c.end || *p++ != ':' || p == c.end || !isdigit(*p))
        return 0;
    while (p != c.end && isdigit(*p))
        p++;
    return (size_t)(p - c.p);
}

void pixi_yaml_place(const struct pixi_yaml *y, const char *file, struct pixi_cur lines, struct pixi_buf *out)
{
    size_t name = strlen(file), count = y->lines.len / sizeof(struct pixi_json_at), line, len;
    struct pixi_json_at at;

    while (lines.p != lines.end) {
        if (pixi_cur_left(&lines) > name && memcmp(lines.p, file, name) == 0 &&
            (len = read_place((struct pixi_cur){lines.p + name, lines.end}, &line)) != 0 && line <= count) {
            memcpy(&at, y->lines.bytes + (line - 1) * sizeof at, sizeof at);
            pixi_buf_putf(out, "%s:%zu:%zu", file, at.line, at.column);
            lines.p += name + len;
        } else {
            pixi_buf_put(out, lines.p++, 1);
        }
    }
}
