#include "base/conf_read.h"
#include "base/file.h"

#include <assert.h>
#include <stdio.h>

enum { DEPTH_MAX = 8, NAME_MAX_LEN = 63 };

/* From the place before, where it can: a file with many values would be counted through for each of them. */
static struct pixi_json_at locate(struct pixi_conf_reader *r, size_t offset)
{
    size_t len = pixi_cur_left(&r->in.bytes);
    struct pixi_json_at step;

    if (!r->placed || offset < r->placed) {
        r->at = pixi_json_locate(r->in.bytes.p, len, offset);
    } else {
        step = pixi_json_locate(r->in.bytes.p + r->placed, len - r->placed, offset - r->placed);
        r->at.column = step.line == 1 ? r->at.column + step.column - 1 : step.column;
        r->at.line += step.line - 1;
    }
    r->placed = offset;
    return r->at;
}

struct pixi_conf_from pixi_conf_place(struct pixi_conf_reader *r, size_t offset)
{
    if (r->in.rank == PIXI_CONF_DEFAULT)
        return (struct pixi_conf_from){0};
    return (struct pixi_conf_from){.rank = r->in.rank, .at = locate(r, offset)};
}

/* What a mistake is about that is not a row's value. */
struct pixi_conf_value pixi_conf_about(struct pixi_conf_reader *r, size_t offset, const char *path)
{
    return (struct pixi_conf_value){
        .conf = r->in.conf, .path = path, .from = pixi_conf_place(r, offset), .mistakes = r->in.mistakes};
}

int pixi_conf_next(struct pixi_conf_reader *r, struct pixi_json_token *t)
{
    int rc = pixi_json_next(&r->json, t);

    if (rc != PIXI_OK)
        return rc;
    if (t->type == PIXI_JSON_OBJECT)
        r->objects |= 1u << t->depth;
    if (t->type == PIXI_JSON_ARRAY)
        r->objects &= ~(1u << t->depth);
    r->last = *t;
    return PIXI_OK;
}

int pixi_conf_skip(struct pixi_conf_reader *r, const struct pixi_json_token *first)
{
    struct pixi_json_token t;
    int rc = PIXI_OK;

    while (rc == PIXI_OK && r->json.depth > first->depth)
        rc = pixi_conf_next(r, &t);
    return rc;
}

void pixi_conf_refuse_for(const struct pixi_conf_value *v, const struct pixi_json_token *t,
                          const char *expected)
{
    struct pixi_conf_row row = {.kind = PIXI_CONF_STRING, .expected = expected};
    struct pixi_conf_value told = *v;

    if (v->row)
        row.flags = v->row->flags;
    told.row = &row;
    pixi_conf_refuse(&told, t);
}

static bool is_duplicate(struct pixi_conf_reader *r, size_t *seen, const struct pixi_json_token *name,
                         const char *path)
{
    struct pixi_conf_value v = pixi_conf_about(r, name->offset, path);
    struct pixi_json_at first;

    if (!*seen) {
        *seen = name->offset + 1;
        return false;
    }
    first = locate(r, *seen - 1);
    pixi_conf_open_line(&v);
    pixi_buf_putf(v.mistakes, "found a second time, expected once (first at line %zu, column %zu)",
                  first.line, first.column);
    pixi_conf_close_line(&v);
    return true;
}

static void say_unknown(struct pixi_conf_reader *r, const struct pixi_conf_scope *s,
                        const struct pixi_json_token *name)
{
    char path[PIXI_CONF_PATH_MAX];
    int len = pixi_cur_left(&name->text) > NAME_MAX_LEN ? NAME_MAX_LEN : (int)pixi_cur_left(&name->text);
    struct pixi_conf_value v = pixi_conf_about(r, name->offset, path);
    struct pixi_buf quoted = pixi_buf_init(1024);

    pixi_conf_put_quoted(pixi_cur_init(name->text.p, (size_t)len), &quoted);
    if (quoted.len > 2) /* without its quotes */
        snprintf(path, sizeof path, "%s%s%.*s", s->shown, s->prefix, (int)quoted.len - 2, quoted.bytes + 1);
    else
        snprintf(path, sizeof path, "%s%s\"\"", s->shown, s->prefix);
    pixi_buf_clear(&quoted);
    pixi_conf_open_line(&v);
    pixi_buf_put_str(v.mistakes, "found an unknown member");
    pixi_conf_put_nearest(s->table, s->prefix, s->shown, name->text, v.mistakes);
    pixi_conf_close_line(&v);
}

/* The member's path in the table. False: no row has such a name. */
static bool make_path(const struct pixi_conf_scope *s, const struct pixi_json_token *name,
                      char out[PIXI_CONF_PATH_MAX])
{
    uint8_t text[NAME_MAX_LEN + 1];
    size_t len = pixi_cur_left(&name->text);

    if (len > NAME_MAX_LEN || pixi_json_decode(name->text, text, &len) != PIXI_OK)
        return false;
    if (len && (memchr(text, '.', len) || memchr(text, 0, len)))
        return false;
    snprintf(out, PIXI_CONF_PATH_MAX, "%s%.*s", s->prefix, (int)len, (const char *)text);
    return true;
}

/* The first row below "path.", or NULL. */
static const struct pixi_conf_row *find_group(const struct pixi_conf_table *table, const char *path)
{
    size_t len = strlen(path);

    for (size_t i = 0; i < table->count; i++)
        if (strncmp(table->rows[i].path, path, len) == 0 && table->rows[i].path[len] == '.')
            return &table->rows[i];
    return NULL;
}

static bool is_top(const struct pixi_conf_reader *r, const struct pixi_conf_scope *s)
{
    return s->table == r->in.conf->table;
}

/* A value of the top table is stored unless something of higher rank is there; then it is checked only. */
static void *choose_target(const struct pixi_conf_reader *r, const struct pixi_conf_scope *s, size_t row)
{
    return is_top(r, s) && r->in.rank < r->in.conf->from[row].rank ? NULL : s->target;
}

static void note_from(const struct pixi_conf_reader *r, const struct pixi_conf_scope *s,
                      const struct pixi_conf_value *v, size_t before)
{
    size_t row = (size_t)(v->row - s->table->rows);

    if (!is_top(r, s))
        return;
    if (r->in.conf->mistakes != before)
        r->in.conf->from[row].is_wrong = true;
    else if (v->target)
        r->in.conf->from[row] = v->from;
}

static int read_value(struct pixi_conf_reader *r, const struct pixi_conf_value *v,
                      const struct pixi_json_token *t)
{
    bool is_list = v->row->kind >= PIXI_CONF_STRINGS;

    if (is_list && t->type == PIXI_JSON_ARRAY)
        return v->row->kind == PIXI_CONF_STRINGS ? pixi_conf_read_strings(r, v)
                                                 : pixi_conf_read_objects(r, v);
    if (is_list)
        pixi_conf_refuse_for(v, t,
                             v->row->kind == PIXI_CONF_STRINGS ? "a list of strings" : "a list of objects");
    else
        pixi_conf_store(v, t);
    return pixi_conf_skip(r, t);
}

static int read_row(struct pixi_conf_reader *r, const struct pixi_conf_scope *s,
                    const struct pixi_conf_row *row, const struct pixi_json_token *name)
{
    char path[PIXI_CONF_PATH_MAX];
    size_t i = (size_t)(row - s->table->rows), before = r->in.conf->mistakes;
    struct pixi_conf_value v = {.conf = r->in.conf, .row = row, .path = path, .mistakes = r->in.mistakes};
    struct pixi_json_token t;
    int rc;

    snprintf(path, sizeof path, "%s%s", s->shown, row->path);
    if ((rc = pixi_conf_next(r, &t)) != PIXI_OK)
        return rc;
    if (is_duplicate(r, &s->seen->rows[i], name, path))
        return pixi_conf_skip(r, &t);
    v.target = choose_target(r, s, i);
    v.from = pixi_conf_place(r, t.offset);
    rc = read_value(r, &v, &t);
    if (rc == PIXI_OK)
        note_from(r, s, &v, before);
    return rc;
}

static int read_group(struct pixi_conf_reader *r, const struct pixi_conf_scope *s,
                      const struct pixi_conf_row *row, const char *path, const struct pixi_json_token *name)
{
    char prefix[PIXI_CONF_PATH_MAX + 1], shown[PIXI_CONF_PATH_MAX];
    struct pixi_conf_scope inner = *s;
    struct pixi_conf_value v;
    struct pixi_json_token t;
    int rc;

    if ((rc = pixi_conf_next(r, &t)) != PIXI_OK)
        return rc;
    snprintf(shown, sizeof shown, "%s%s", s->shown, path);
    if (is_duplicate(r, &s->seen->groups[row - s->table->rows], name, shown))
        return pixi_conf_skip(r, &t);
    if (t.type != PIXI_JSON_OBJECT) {
        v = pixi_conf_about(r, t.offset, shown);
        pixi_conf_refuse_for(&v, &t, "an object");
        return pixi_conf_skip(r, &t);
    }
    snprintf(prefix, sizeof prefix, "%s.", path);
    inner.prefix = prefix;
    return pixi_conf_read_members(r, &inner);
}

static int read_member(struct pixi_conf_reader *r, const struct pixi_conf_scope *s,
                       const struct pixi_json_token *name)
{
    char path[PIXI_CONF_PATH_MAX];
    bool is_name = make_path(s, name, path);
    const struct pixi_conf_row *row = is_name ? pixi_conf_find(s->table, path) : NULL;
    const struct pixi_conf_row *group = is_name ? find_group(s->table, path) : NULL;
    struct pixi_json_token t;
    int rc;

    if (row)
        return read_row(r, s, row, name);
    if (group)
        return read_group(r, s, group, path, name);
    say_unknown(r, s, name);
    rc = pixi_conf_next(r, &t);
    return rc == PIXI_OK ? pixi_conf_skip(r, &t) : rc;
}

int pixi_conf_read_members(struct pixi_conf_reader *r, const struct pixi_conf_scope *s)
{
    struct pixi_json_token t;
    int rc;

    while ((rc = pixi_conf_next(r, &t)) == PIXI_OK && t.type == PIXI_JSON_NAME)
        if ((rc = read_member(r, s, &t)) != PIXI_OK)
            return rc;
    return rc;
}

static int read_top(struct pixi_conf_reader *r, const struct pixi_conf_scope *s)
{
    struct pixi_conf_value v;
    struct pixi_json_token t;
    int rc = pixi_conf_next(r, &t);

    if (rc != PIXI_OK)
        return rc;
    if (t.type == PIXI_JSON_OBJECT) {
        rc = pixi_conf_read_members(r, s);
    } else {
        v = pixi_conf_about(r, t.offset, "");
        r->in.conf->is_broken = true;
        pixi_conf_refuse_for(&v, &t, "an object");
        rc = pixi_conf_skip(r, &t);
    }
    return rc == PIXI_OK ? pixi_conf_next(r, &t) : rc;
}

static void read_all(struct pixi_conf_reader *r, const struct pixi_conf_table *table, void *target)
{
    struct pixi_conf_seen seen = {0};
    struct pixi_conf_scope top = {.table = table, .target = target, .prefix = "", .shown = "", .seen = &seen};
    struct pixi_conf_value v;

    pixi_json_init(&r->json, r->in.bytes.p, pixi_cur_left(&r->in.bytes), DEPTH_MAX);
    if (read_top(r, &top) == PIXI_OK)
        return;
    r->in.conf->is_broken = true;
    v = pixi_conf_about(r, r->json.err_offset, "");
    pixi_conf_open_line(&v);
    pixi_conf_put_syntax(r, v.mistakes);
    pixi_conf_close_line(&v);
}

void pixi_conf_read_text(const struct pixi_conf_text *text)
{
    struct pixi_conf_reader r = {.in = *text};

    read_all(&r, text->conf->table, text->conf->target);
}

static void read_initial_row(struct pixi_conf_reader *r, const struct pixi_conf_row *row, void *target)
{
    struct pixi_conf_value v = {
        .conf = r->in.conf, .row = row, .path = row->path, .target = target, .mistakes = r->in.mistakes};
    struct pixi_json_token t;
    int rc;

    r->in.bytes = pixi_cur_str(row->initial);
    pixi_json_init(&r->json, r->in.bytes.p, pixi_cur_left(&r->in.bytes), DEPTH_MAX);
    rc = pixi_conf_next(r, &t);
    if (rc == PIXI_OK)
        rc = read_value(r, &v, &t);
    assert(rc == PIXI_OK);
    (void)rc;
}

void pixi_conf_read_initial(struct pixi_conf *c, const struct pixi_conf_table *table, void *target)
{
    struct pixi_buf none = pixi_buf_init(0);
    struct pixi_conf_reader r = {.in = {.conf = c, .rank = PIXI_CONF_DEFAULT, .mistakes = &none}};
    size_t before = c->mistakes;

    for (size_t i = 0; i < table->count; i++)
        if (table->rows[i].initial)
            read_initial_row(&r, &table->rows[i], target);
    assert(c->mistakes == before);
    (void)before;
}
