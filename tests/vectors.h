/* vectors.h -- loads the files of tests/vectors/ (their README.md has the format). Needs cmocka, as invariants.h. */
#ifndef PIXI_TESTS_VECTORS_H
#define PIXI_TESTS_VECTORS_H

#include "invariants.h"
#include "base/role.h"

#include <ctype.h>
#include <limits.h>

struct vec {
    char id[64], clause[24];
    enum pixi_role from;
    int verdict;    /* PIXI_OK, PIXI_MORE or PIXI_E_* */
    uint8_t *bytes; /* owned; len bytes */
    size_t len;
    char *events; /* owned; "text:6f6b ping: close:1000:"; "" for none; NULL without that column */
};

struct vec_list {
    struct vec *at; /* owned */
    size_t count;
};

enum { VEC_COLUMNS = 6, VEC_MAX = 1 << 24 };

/* The value of "WS_RSV"; INT_MIN when no error has that name. */
static inline int vec_err(const char *name)
{
    for (int err = PIXI_MORE; err > -1000; err--)
        if (strcmp(name, "UNKNOWN") != 0 && strcmp(name, pixi_err_name(err)) == 0)
            return err;
    return INT_MIN;
}

static inline bool vec_hex_byte(struct pixi_cur *c, uint8_t *out)
{
    char digits[3] = {0};

    if (pixi_cur_left(c) < 2 || !isxdigit(c->p[0]) || !isxdigit(c->p[1]))
        return false;
    memcpy(digits, c->p, 2);
    c->p += 2;
    *out = (uint8_t)strtoul(digits, NULL, 16);
    return true;
}

static inline bool vec_escape(struct pixi_cur *c, uint8_t *out)
{
    static const char letters[] = "rn\\\"", means[] = "\r\n\\\"";
    const char *at;

    if (c->p == c->end)
        return false;
    if (*c->p == 'x') {
        c->p++;
        return vec_hex_byte(c, out);
    }
    at = memchr(letters, *c->p++, sizeof letters - 1);
    if (at)
        *out = (uint8_t)means[at - letters];
    return at != NULL;
}

/* The rest of a quoted item, behind its first quote. */
static inline bool vec_quoted(struct pixi_cur *c, struct pixi_buf *out)
{
    while (c->p != c->end) {
        uint8_t b = *c->p++;

        if (b == '"')
            return true;
        if (b == '\\' && !vec_escape(c, &b))
            return false;
        pixi_buf_put(out, &b, 1);
    }
    return false;
}

static inline bool vec_repeat(struct pixi_cur *c, size_t unit, struct pixi_buf *out)
{
    size_t count = 0;
    uint8_t *room;

    if (c->p == c->end || *c->p != '*')
        return true;
    for (c->p++; c->p != c->end && isdigit(*c->p) && count < VEC_MAX; c->p++)
        count = count * 10 + (size_t)(*c->p - '0');
    if (count == 0 || unit == 0)
        return false;
    room = pixi_buf_reserve(out, unit * (count - 1));
    if (!room)
        return false;
    for (size_t i = 0; i < count - 1; i++)
        memcpy(room + i * unit, room - unit, unit);
    out->len += unit * (count - 1);
    return true;
}

/* Adds what the items of c stand for to out; false when c is malformed. Empty is empty. */
static inline bool vec_expand(struct pixi_cur c, struct pixi_buf *out)
{
    while (c.p != c.end) {
        size_t start = out->len;
        uint8_t b;

        if (*c.p == '"') {
            c.p++;
            if (!vec_quoted(&c, out))
                return false;
        } else {
            while (vec_hex_byte(&c, &b))
                pixi_buf_put(out, &b, 1);
        }
        if (out->len == start || !vec_repeat(&c, out->len - start, out))
            return false;
        if (c.p != c.end && (*c.p++ != '.' || c.p == c.end))
            return false;
    }
    return out->err == PIXI_OK;
}

/* One event: all to the colon before its data as it is, the data as hex. */
static inline bool vec_event(struct pixi_cur c, struct pixi_buf *out)
{
    static const char *const names[] = {"text:", "bin:", "ping:", "pong:", "rest:", "close:"};
    struct pixi_buf data = pixi_buf_init(VEC_MAX);
    const uint8_t *colon = NULL;
    bool ok;

    if (c.p != c.end && !memchr(c.p, ':', pixi_cur_left(&c))) {
        pixi_buf_put_cur(out, c);
        return true;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (pixi_cur_left(&c) >= strlen(names[i]) && memcmp(c.p, names[i], strlen(names[i])) == 0)
            colon = c.p + strlen(names[i]) - 1;
    if (colon && *c.p == 'c')
        colon = memchr(colon + 1, ':', (size_t)(c.end - colon - 1));
    if (!colon)
        return false;
    pixi_buf_put(out, c.p, (size_t)(colon + 1 - c.p));
    ok = vec_expand(pixi_cur_init(colon + 1, (size_t)(c.end - colon - 1)), &data);
    for (size_t i = 0; ok && i < data.len; i++) {
        const char *digits = "0123456789abcdef";

        pixi_buf_put(out, &digits[data.bytes[i] >> 4], 1);
        pixi_buf_put(out, &digits[data.bytes[i] & 15], 1);
    }
    pixi_buf_clear(&data);
    return ok;
}

static inline bool vec_events(const char *text, struct pixi_buf *out)
{
    for (const char *at = text, *end; strcmp(text, "-") != 0; at = end + 1) {
        end = strchr(at, ',');
        if (!end)
            end = at + strlen(at);
        if (!vec_event(pixi_cur_init(at, (size_t)(end - at)), out))
            return false;
        if (!*end)
            break;
        pixi_buf_put_str(out, " ");
    }
    pixi_buf_put(out, "", 1);
    return out->err == PIXI_OK;
}

/* A copy of b's bytes, never NULL; b is cleared. */
static inline void *vec_take(struct pixi_buf *b)
{
    void *copy = malloc(b->len ? b->len : 1);

    assert_non_null(copy);
    if (b->len)
        memcpy(copy, b->bytes, b->len);
    pixi_buf_clear(b);
    return copy;
}

/* The columns of a line, cut in place; 0 for a comment or an empty line. */
static inline size_t vec_columns(char *line, char *columns[VEC_COLUMNS + 1])
{
    char *save = NULL;
    size_t count = 0;

    for (char *word = strtok_r(line, " \t\r\n", &save); word && *word != '#' && count <= VEC_COLUMNS;
         word = strtok_r(NULL, " \t\r\n", &save))
        columns[count++] = word;
    return count;
}

/* Why the columns are no vector; NULL when they are, and v is filled. */
static inline const char *vec_parse(char *columns[VEC_COLUMNS + 1], size_t count, struct vec *v)
{
    struct pixi_buf bytes = pixi_buf_init(VEC_MAX), events = pixi_buf_init(VEC_MAX);

    *v = (struct vec){.verdict = INT_MIN};
    if (count < VEC_COLUMNS - 1 || count > VEC_COLUMNS)
        return "wrong number of columns";
    if (strlen(columns[0]) >= sizeof v->id || strlen(columns[3]) >= sizeof v->clause)
        return "id or clause too long";
    strcpy(v->id, columns[0]);
    strcpy(v->clause, columns[3]);
    if (strcmp(columns[1], "client") != 0 && strcmp(columns[1], "server") != 0)
        return "neither client nor server";
    v->from = columns[1][0] == 'c' ? PIXI_CLIENT : PIXI_SERVER;
    v->verdict = vec_err(columns[2]);
    if (v->verdict == INT_MIN)
        return "no such verdict";
    if (strcmp(columns[4], "-") != 0 && !vec_expand(pixi_cur_str(columns[4]), &bytes))
        return "malformed bytes";
    v->len = bytes.len;
    v->bytes = vec_take(&bytes);
    if (count == VEC_COLUMNS && !vec_events(columns[5], &events))
        return "malformed events";
    v->events = count == VEC_COLUMNS ? vec_take(&events) : NULL;
    return NULL;
}

/* vec_load -- every vector of a file; path is relative to the repository's root. Fails the test on a file that is
 * missing, empty or malformed. Gives: free with vec_free. */
static inline struct vec_list vec_load(const char *path)
{
    struct vec_list list = {0};
    FILE *file = fopen(path, "r");
    char *line = NULL, *columns[VEC_COLUMNS + 1];
    size_t cap = 0, count;

    if (!file)
        fail_msg("%s: cannot open; unit tests run from the repository's root", path);
    for (unsigned number = 1; getline(&line, &cap, file) >= 0; number++) {
        const char *why;

        count = vec_columns(line, columns);
        if (count == 0)
            continue;
        list.at = realloc(list.at, (list.count + 1) * sizeof *list.at);
        assert_non_null(list.at);
        why = vec_parse(columns, count, &list.at[list.count++]);
        if (why)
            fail_msg("%s:%u: %s", path, number, why);
    }
    free(line);
    fclose(file);
    if (list.count == 0)
        fail_msg("%s: no vectors", path);
    return list;
}

static inline void vec_free(struct vec_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->at[i].bytes);
        free(list->at[i].events);
    }
    free(list->at);
    *list = (struct vec_list){0};
}

#endif
