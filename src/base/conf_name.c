#include "base/conf_row.h"

#include <ctype.h>

enum { NAME_MAX_LEN = 40 }; /* letters of a name that are compared */

/* Lower case, without '_' and '-': "connectMs" and "connect-ms" mean connect_ms. */
static size_t simplify(struct pixi_cur name, char out[NAME_MAX_LEN])
{
    size_t len = 0;

    for (; name.p != name.end && len < NAME_MAX_LEN; name.p++)
        if (*name.p != '_' && *name.p != '-')
            out[len++] = (char)tolower(*name.p);
    return len;
}

static size_t least(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* How many letters must be put in, taken out or exchanged. */
static size_t distance(struct pixi_cur a, struct pixi_cur b)
{
    char from[NAME_MAX_LEN], to[NAME_MAX_LEN];
    size_t row[NAME_MAX_LEN + 1], from_len = simplify(a, from), to_len = simplify(b, to), corner, above;

    for (size_t j = 0; j <= to_len; j++)
        row[j] = j;
    for (size_t i = 0; i < from_len; i++) {
        corner = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < to_len; j++) {
            above = row[j + 1];
            row[j + 1] = least(above + 1, row[j] + 1, corner + (from[i] != to[j]));
            corner = above;
        }
    }
    return row[to_len];
}

static bool is_near(size_t far, struct pixi_cur candidate)
{
    return far <= 1 + pixi_cur_left(&candidate) / 5;
}

/* Of a path behind prefix, the next name: "timeouts" of "timeouts.connect_ms". False: another prefix. */
static bool next_name(const char *path, const char *prefix, struct pixi_cur *out)
{
    size_t len = strlen(prefix);

    if (strncmp(path, prefix, len) != 0)
        return false;
    *out = pixi_cur_init(path + len, strcspn(path + len, "."));
    return true;
}

static struct pixi_cur last_name(const char *path)
{
    const char *dot = strrchr(path, '.');

    return pixi_cur_str(dot ? dot + 1 : path);
}

/* The nearest name among those that may stand here. */
static bool nearest_here(const struct pixi_conf_table *table, const char *prefix, struct pixi_cur name,
                         struct pixi_cur *out)
{
    size_t best = SIZE_MAX, far;
    struct pixi_cur candidate;

    for (size_t i = 0; i < table->count; i++) {
        if (!next_name(table->rows[i].path, prefix, &candidate))
            continue;
        far = distance(name, candidate);
        if (far < best && is_near(far, candidate)) {
            best = far;
            *out = candidate;
        }
    }
    return best != SIZE_MAX;
}

/* The same name elsewhere: "connect_ms" where "timeouts.connect_ms" is right. */
static const char *nearest_elsewhere(const struct pixi_conf_table *table, struct pixi_cur name)
{
    for (size_t i = 0; i < table->count; i++)
        if (distance(name, last_name(table->rows[i].path)) == 0)
            return table->rows[i].path;
    return NULL;
}

static void put_names(const struct pixi_conf_table *table, const char *prefix, struct pixi_buf *b)
{
    struct pixi_cur name, before = {0};

    for (size_t i = 0; i < table->count; i++) {
        if (!next_name(table->rows[i].path, prefix, &name) || *name.p == '$' || pixi_cur_equals(name, before))
            continue;
        pixi_buf_put_str(b, before.p ? ", " : "");
        pixi_buf_put_cur(b, name);
        before = name;
    }
}

void pixi_conf_put_nearest(const struct pixi_conf_table *table, const char *prefix, const char *shown,
                           struct pixi_cur name, struct pixi_buf *b)
{
    const char *elsewhere = nearest_elsewhere(table, name);
    struct pixi_cur near;

    if (nearest_here(table, prefix, name, &near)) {
        pixi_buf_putf(b, "; did you mean \"%s%s%.*s\"?", shown, prefix, (int)pixi_cur_left(&near), near.p);
    } else if (elsewhere) {
        pixi_buf_putf(b, "; did you mean \"%s%s\"?", shown, elsewhere);
    } else {
        pixi_buf_put_str(b, ", expected one of ");
        put_names(table, prefix, b);
    }
}
