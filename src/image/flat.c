#include "image/flat.h"

#include "base/utf8.h"
#include "image/secret.h"

#include <stdio.h>
#include <stdlib.h>

enum { ARENA_MAX = 64 << 20, ENTRIES_MAX = 64 << 20, SHOWN_MAX = 200 };

struct reading {
    struct pixi_flat *f;
    struct pixi_json r;
    char path[PIXI_FLAT_PATH_MAX];
};

static int put_entry(struct reading *r, struct pixi_cur value)
{
    struct pixi_flat_entry e = {pixi_arena_text(&r->f->arena, pixi_cur_str(r->path)), value};

    if (!e.path)
        return PIXI_E_NOMEM;
    pixi_buf_put(&r->f->entries, &e, sizeof e);
    return r->f->entries.err;
}

static struct pixi_cur raw(const struct pixi_json_token *t)
{
    bool is_quoted = t->type == PIXI_JSON_STRING;

    return (struct pixi_cur){t->text.p - is_quoted, t->text.end + is_quoted};
}

static int read_value(struct reading *r, const struct pixi_json_token *first);

/* The members of an object or the elements of an array that was just opened. Each is named behind what the path holds. */
static int read_inner(struct reading *r, enum pixi_json_type opener)
{
    size_t len = strlen(r->path), count = 0;
    bool is_object = opener == PIXI_JSON_OBJECT;
    struct pixi_json_token t;
    int rc, put;

    for (;; count++) {
        rc = pixi_json_next(&r->r, &t);
        if (rc != PIXI_OK || t.type == PIXI_JSON_OBJECT_END || t.type == PIXI_JSON_ARRAY_END)
            break;
        if (is_object)
            put = snprintf(r->path + len, sizeof r->path - len, "%s%.*s", len ? "." : "",
                           (int)pixi_cur_left(&t.text), t.text.p);
        else
            put = snprintf(r->path + len, sizeof r->path - len, "[%zu]", count);
        if (put < 0 || (size_t)put >= sizeof r->path - len)
            return PIXI_E_LIMIT;
        rc = is_object ? pixi_json_next(&r->r, &t) : PIXI_OK;
        if (rc == PIXI_OK)
            rc = read_value(r, &t);
        if (rc != PIXI_OK)
            return rc;
    }
    r->path[len] = 0;
    if (rc == PIXI_OK && count == 0)
        rc = put_entry(r, pixi_cur_str(is_object ? "{}" : "[]"));
    return rc;
}

/* As deep as the reader goes: PIXI_JSON_DEPTH_MAX. */
static int read_value(struct reading *r, const struct pixi_json_token *first)
{
    if (first->type == PIXI_JSON_OBJECT || first->type == PIXI_JSON_ARRAY)
        return read_inner(r, first->type);
    return put_entry(r, raw(first));
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct pixi_flat_entry *)a)->path, ((const struct pixi_flat_entry *)b)->path);
}

int pixi_flat_read(struct pixi_flat *f, struct pixi_cur json)
{
    struct reading r = {.f = f};
    struct pixi_json_token t;
    int rc;

    *f = (struct pixi_flat){pixi_arena_init(ARENA_MAX), pixi_buf_init(ENTRIES_MAX)};
    pixi_json_init(&r.r, json.p, pixi_cur_left(&json), PIXI_JSON_DEPTH_MAX);
    rc = pixi_json_next(&r.r, &t);
    if (rc == PIXI_OK)
        rc = read_value(&r, &t);
    if (rc == PIXI_OK)
        rc = pixi_json_next(&r.r, &t); /* nothing may follow */
    if (rc == PIXI_OK && f->entries.len)
        qsort(f->entries.bytes, pixi_flat_count(f), sizeof(struct pixi_flat_entry), by_path);
    return rc;
}

void pixi_flat_clear(struct pixi_flat *f)
{
    pixi_arena_clear(&f->arena);
    pixi_buf_clear(&f->entries);
}

/* The last name of a path, without an element's number. */
static struct pixi_cur last_name(const char *path)
{
    const char *dot = strrchr(path, '.'), *name = dot ? dot + 1 : path;

    return pixi_cur_init(name, strcspn(name, "["));
}

static bool is_secret(const char *path, struct pixi_cur value)
{
    static const char *const names[] = {"api_key", "key",          "password",    "passwd",
                                        "secret",  "access_token", "private_key", "token"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (pixi_cur_equals(last_name(path), pixi_cur_str(names[i])))
            return true;
    return pixi_secret_find(value) != NULL;
}

/* "scheme://user:password@host": where the user begins and where the '@' is. */
static bool find_login(struct pixi_cur c, struct pixi_cur *login)
{
    const uint8_t *start = memmem(c.p, pixi_cur_left(&c), "://", 3), *p, *at = NULL;

    if (!start)
        return false;
    for (p = start + 3; p != c.end && *p != '/' && *p != '"' && *p != '?'; p++)
        if (*p == '@')
            at = p;
    *login = (struct pixi_cur){start + 3, at};
    return at != NULL;
}

void pixi_flat_show(const char *path, const struct pixi_cur *value, struct pixi_buf *out)
{
    struct pixi_cur c, login;
    size_t len;

    if (!value) {
        pixi_buf_put_str(out, "(none)");
        return;
    }
    c = *value;
    if (is_secret(path, c)) {
        pixi_buf_put_str(out, "(hidden)");
        return;
    }
    if (find_login(c, &login)) {
        pixi_buf_put_cur(out, (struct pixi_cur){c.p, login.p});
        pixi_buf_put_str(out, "(hidden)");
        c.p = login.end;
    }
    len = pixi_cur_left(&c);
    pixi_buf_put(out, c.p, len > SHOWN_MAX ? pixi_utf8_trim(c.p, SHOWN_MAX) : len);
    pixi_buf_put_str(out, len > SHOWN_MAX ? "..." : "");
}
