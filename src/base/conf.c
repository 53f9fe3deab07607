#include "base/conf_row.h"
#include "base/file.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ENV_NAME_MAX = 128, LINE_MAX_LEN = 1024 };

static size_t file_max(const struct pixi_conf *c)
{
    return c->table->file_max ? c->table->file_max : PIXI_CONF_FILE_MAX;
}

void pixi_conf_init(struct pixi_conf *c, const struct pixi_conf_table *table, void *target)
{
    assert(table->count <= PIXI_CONF_ROWS_MAX);
    *c = (struct pixi_conf){.table = table, .target = target};
    /* a list of empty strings, three bytes each, takes some 50 a string here */
    c->arena = pixi_arena_init(20 * file_max(c));
    pixi_conf_read_initial(c, table, target);
}

void pixi_conf_clear(struct pixi_conf *c)
{
    pixi_arena_clear(&c->arena);
}

static const struct pixi_conf_row *find(const struct pixi_conf *c, const char *path)
{
    const struct pixi_conf_row *row = pixi_conf_find(c->table, path);

    assert(row);
    return row;
}

static struct pixi_conf_from *from_of(struct pixi_conf *c, const struct pixi_conf_row *row)
{
    return &c->from[row - c->table->rows];
}

const struct pixi_conf_from *pixi_conf_from(const struct pixi_conf *c, const char *path)
{
    return &c->from[find(c, path) - c->table->rows];
}

void pixi_conf_put_where(const struct pixi_conf *c, const char *path, struct pixi_buf *b)
{
    pixi_conf_put_from(c, pixi_conf_from(c, path), b);
}

void pixi_conf_unset(struct pixi_conf *c, const char *path)
{
    static const size_t sizes[] = {
        [PIXI_CONF_STRING] = sizeof(char *),
        [PIXI_CONF_UINT] = sizeof(uint64_t),
        [PIXI_CONF_BOOL] = sizeof(bool),
        [PIXI_CONF_ENUM] = sizeof(unsigned),
        [PIXI_CONF_STRINGS] = sizeof(struct pixi_conf_strings),
        [PIXI_CONF_OBJECTS] = sizeof(struct pixi_conf_objects),
    };
    const struct pixi_conf_row *row = find(c, path);

    memset(pixi_conf_slot(row, c->target), 0, sizes[row->kind]);
    *from_of(c, row) = (struct pixi_conf_from){0};
}

/* A flag for a list adds to what the same flag has given before, and replaces everything else. */
static void add_string(const struct pixi_conf_value *v, const struct pixi_json_token *t)
{
    struct pixi_conf_strings *list = pixi_conf_slot(v->row, v->target), longer = {0};
    size_t kept = from_of(v->conf, v->row)->rank == PIXI_CONF_FLAG ? list->count : 0;
    struct pixi_cur text;

    if (!pixi_conf_take_string(v, t, &text))
        return;
    if (kept == v->row->max) {
        pixi_conf_open_line(v);
        pixi_buf_putf(v->mistakes, "found more than %llu of them, expected fewer", (unsigned long long)kept);
        pixi_conf_close_line(v);
        return;
    }
    longer.at = pixi_conf_take(v->conf, kept + 1, sizeof *longer.at);
    if (!longer.at)
        return;
    if (kept)
        memcpy(longer.at, list->at, kept * sizeof *longer.at);
    longer.at[kept] = text;
    longer.count = kept + 1;
    *list = longer;
}

/* A text from outside the file. */
static void store_text(const struct pixi_conf_value *v, const char *text)
{
    struct pixi_json_token t = pixi_conf_token(v->row->kind, text);
    size_t before = v->conf->mistakes;

    assert(v->row->kind != PIXI_CONF_OBJECTS);
    if (v->row->kind == PIXI_CONF_STRINGS)
        add_string(v, &t);
    else
        pixi_conf_store(v, &t);
    if (v->conf->mistakes != before)
        from_of(v->conf, v->row)->is_wrong = true;
    else if (v->target)
        *from_of(v->conf, v->row) = v->from;
}

static int status(const struct pixi_conf *c, size_t before)
{
    if (c->err != PIXI_OK)
        return c->err;
    return c->mistakes == before ? PIXI_OK : PIXI_E_SETTINGS;
}

int pixi_conf_override(struct pixi_conf *c, const char *path, const char *text, const char *flag,
                       struct pixi_buf *mistakes)
{
    struct pixi_conf_value v = {
        .conf = c, .row = find(c, path), .path = path, .target = c->target, .mistakes = mistakes};
    size_t before = c->mistakes;

    v.from = (struct pixi_conf_from){.rank = PIXI_CONF_FLAG, .name = flag};
    store_text(&v, text);
    return status(c, before);
}

static void make_env_name(const char *prefix, const char *path, char out[ENV_NAME_MAX])
{
    int len = snprintf(out, ENV_NAME_MAX, "%s%s", prefix, path);

    assert(len < ENV_NAME_MAX);
    for (int i = 0; i < len; i++)
        out[i] = out[i] == '.' ? '_' : (char)toupper((unsigned char)out[i]);
}

static void read_env_row(struct pixi_conf *c, const struct pixi_conf_row *row, struct pixi_buf *mistakes)
{
    struct pixi_conf_value v = {
        .conf = c, .row = row, .path = row->path, .target = c->target, .mistakes = mistakes};
    char name[ENV_NAME_MAX];
    const char *text;

    if (row->kind >= PIXI_CONF_STRINGS || row->flags & PIXI_CONF_NO_ENV)
        return;
    make_env_name(c->table->env_prefix, row->path, name);
    text = getenv(name);
    if (!text || !*text)
        return;
    v.from.rank = PIXI_CONF_ENV;
    v.from.name = pixi_arena_text(&c->arena, pixi_cur_str(name));
    if (!v.from.name) {
        c->err = PIXI_E_NOMEM;
        return;
    }
    if (from_of(c, row)->rank > PIXI_CONF_ENV)
        v.target = NULL;
    store_text(&v, text);
}

int pixi_conf_env(struct pixi_conf *c, struct pixi_buf *mistakes)
{
    size_t before = c->mistakes;

    for (size_t i = 0; c->table->env_prefix && i < c->table->count; i++)
        read_env_row(c, &c->table->rows[i], mistakes);
    return status(c, before);
}

static void say_unreadable(struct pixi_conf *c, int err, struct pixi_buf *mistakes)
{
    struct pixi_conf_value v = {.conf = c, .path = "", .mistakes = mistakes};
    const char *found = pixi_file_found(err); /* before errno changes */

    c->is_broken = true;
    pixi_conf_open_line(&v);
    pixi_buf_putf(mistakes, "found %s, expected a file with JSON, at most %zu bytes", found, file_max(c));
    pixi_conf_close_line(&v);
}

int pixi_conf_read(struct pixi_conf *c, const char *path, struct pixi_buf *mistakes)
{
    struct pixi_buf bytes = pixi_buf_init(file_max(c) + 1);
    struct pixi_conf_text text = {.conf = c, .rank = PIXI_CONF_FILE, .mistakes = mistakes};
    size_t before = c->mistakes;
    int rc;

    c->file = pixi_arena_text(&c->arena, pixi_cur_str(path));
    if (!c->file)
        return c->err = PIXI_E_NOMEM;
    rc = pixi_file_read(path, &bytes, &c->mode);
    text.bytes = pixi_buf_cur(&bytes);
    if (rc == PIXI_OK)
        pixi_conf_read_text(&text);
    else if (rc == PIXI_E_NOMEM)
        c->err = rc;
    else
        say_unreadable(c, rc, mistakes);
    pixi_file_wipe(&bytes);
    return status(c, before);
}

int pixi_conf_read_bytes(struct pixi_conf *c, const char *name, struct pixi_cur bytes,
                         struct pixi_buf *mistakes)
{
    struct pixi_conf_text text = {.conf = c, .rank = PIXI_CONF_FILE, .bytes = bytes, .mistakes = mistakes};
    size_t before = c->mistakes;

    c->file = pixi_arena_text(&c->arena, pixi_cur_str(name));
    if (!c->file)
        return c->err = PIXI_E_NOMEM;
    if (pixi_cur_left(&bytes) <= file_max(c))
        pixi_conf_read_text(&text);
    else
        say_unreadable(c, PIXI_E_LIMIT, mistakes);
    return status(c, before);
}

static void put_line(const struct pixi_conf_value *v, const char *format, va_list args)
{
    char line[LINE_MAX_LEN];

    vsnprintf(line, sizeof line, format, args);
    pixi_conf_open_line(v);
    pixi_buf_put_str(v->mistakes, line);
    pixi_conf_close_line(v);
}

void pixi_conf_mistake(struct pixi_conf *c, const char *path, struct pixi_buf *mistakes, const char *format,
                       ...)
{
    struct pixi_conf_value v = {
        .conf = c, .path = path, .from = *pixi_conf_from(c, path), .mistakes = mistakes};
    va_list args;

    va_start(args, format);
    put_line(&v, format, args);
    va_end(args);
}

/* A list's places, NULL when it has none. */
static const struct pixi_json_at *places(const struct pixi_conf *c, const char *path)
{
    const struct pixi_conf_row *row = find(c, path);
    void *slot = pixi_conf_slot(row, c->target);

    assert(row->kind >= PIXI_CONF_STRINGS);
    return row->kind == PIXI_CONF_STRINGS ? ((struct pixi_conf_strings *)slot)->where
                                          : ((struct pixi_conf_objects *)slot)->where;
}

void pixi_conf_mistake_at(struct pixi_conf *c, const char *path, size_t i, struct pixi_buf *mistakes,
                          const char *format, ...)
{
    char shown[PIXI_CONF_PATH_MAX];
    struct pixi_conf_value v = {
        .conf = c, .path = shown, .from = *pixi_conf_from(c, path), .mistakes = mistakes};
    const struct pixi_json_at *where = places(c, path);
    va_list args;

    snprintf(shown, sizeof shown, "%s[%zu]", path, i);
    if (where)
        v.from.at = where[i];
    va_start(args, format);
    put_line(&v, format, args);
    va_end(args);
}

const char *pixi_conf_path(struct pixi_conf *c, const char *member, const char *path)
{
    struct pixi_buf whole = pixi_buf_init(16384);
    const char *out;

    if (!path || *path == '/' || !c->file || pixi_conf_from(c, member)->rank > PIXI_CONF_FILE)
        return path;
    pixi_buf_put(&whole, c->file, pixi_file_dir(c->file));
    pixi_buf_put_str(&whole, path);
    out = whole.err == PIXI_OK ? pixi_arena_text(&c->arena, pixi_buf_cur(&whole)) : NULL;
    if (!out)
        c->err = PIXI_E_NOMEM;
    pixi_buf_clear(&whole);
    return out;
}

const char *pixi_conf_find_file(const char *path, const char *env, const char *name, const char *root_name)
{
    const char *named = getenv(env);

    if (path)
        return path;
    if (named && *named)
        return named;
    if (access(name, F_OK) == 0)
        return name;
    return access(root_name, F_OK) == 0 ? root_name : NULL;
}
