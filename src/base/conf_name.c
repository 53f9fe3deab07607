#include "base/conf_row.h"
#include "base/near.h"

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
        far = pixi_near_distance(name, candidate);
        if (far < best && pixi_near_enough(far, candidate)) {
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
        if (pixi_near_distance(name, last_name(table->rows[i].path)) == 0)
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
