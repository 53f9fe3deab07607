#include "base/conf_read.h"

#include <stdio.h>

/* Elements of the list that was just opened, as far as it is readable. False: not to its end. */
static bool count_elements(const struct pixi_conf_reader *r, size_t *out)
{
    struct pixi_json ahead = r->json;
    struct pixi_json_token t;
    unsigned depth = ahead.depth;
    size_t count = 0;

    while (pixi_json_next(&ahead, &t) == PIXI_OK && ahead.depth >= depth)
        count += t.depth == depth && t.type != PIXI_JSON_OBJECT_END && t.type != PIXI_JSON_ARRAY_END;
    *out = count;
    return ahead.depth < depth;
}

/* Counts what is ahead. False: too few or too many; of a broken list nobody knows, and reading it will tell. */
static bool take_count(const struct pixi_conf_reader *r, const struct pixi_conf_value *v, size_t *out)
{
    bool is_whole = count_elements(r, out);
    size_t count = *out;

    if (!is_whole || (count >= v->row->min && count <= v->row->max))
        return true;
    pixi_conf_open_line(v);
    pixi_buf_putf(v->mistakes, "found %zu elements, expected %llu .. %llu", count,
                  (unsigned long long)v->row->min, (unsigned long long)v->row->max);
    pixi_conf_close_line(v);
    return false;
}

/* The places of a list's elements: for lists from a file. */
static struct pixi_json_at *take_places(const struct pixi_conf_reader *r, size_t count)
{
    return r->in.rank == PIXI_CONF_FILE ? pixi_conf_take(r->in.conf, count, sizeof(struct pixi_json_at))
                                        : NULL;
}

int pixi_conf_read_strings(struct pixi_conf_reader *r, const struct pixi_conf_value *v)
{
    struct pixi_conf_strings list = {0};
    char path[PIXI_CONF_PATH_MAX];
    struct pixi_conf_value one = *v;
    struct pixi_json_token t;
    bool is_right = take_count(r, v, &list.count);
    int rc;

    list.at = pixi_conf_take(r->in.conf, list.count, sizeof *list.at);
    list.where = take_places(r, list.count);
    one.path = path;
    for (size_t i = 0; (rc = pixi_conf_next(r, &t)) == PIXI_OK && t.type != PIXI_JSON_ARRAY_END; i++) {
        snprintf(path, sizeof path, "%s[%zu]", v->path, i);
        one.from = pixi_conf_place(r, t.offset);
        if (list.where)
            list.where[i] = one.from.at;
        is_right &= pixi_conf_take_string(&one, &t, list.at ? &list.at[i] : &(struct pixi_cur){0});
        if ((rc = pixi_conf_skip(r, &t)) != PIXI_OK)
            return rc;
    }
    if (rc == PIXI_OK && is_right && list.at && v->target)
        *(struct pixi_conf_strings *)pixi_conf_slot(v->row, v->target) = list;
    return rc;
}

static void check_required(const struct pixi_conf_scope *s, const struct pixi_conf_value *item)
{
    char path[PIXI_CONF_PATH_MAX];
    struct pixi_conf_value v = *item;

    v.path = path;
    for (size_t i = 0; i < s->table->count; i++) {
        v.row = &s->table->rows[i];
        if (!(v.row->flags & PIXI_CONF_REQUIRED) || s->seen->rows[i])
            continue;
        snprintf(path, sizeof path, "%s%s", s->shown, v.row->path);
        pixi_conf_open_line(&v);
        pixi_buf_put_str(v.mistakes, "found none, expected ");
        pixi_conf_put_expected(v.row, v.mistakes);
        pixi_conf_close_line(&v);
    }
}

static void check_unique(const struct pixi_conf_value *list_value, const struct pixi_conf_objects *list,
                         const struct pixi_conf_row *row, size_t i)
{
    size_t size = list_value->row->items->size;
    char *items = list->at, path[PIXI_CONF_PATH_MAX];
    const char *mine = *(const char **)pixi_conf_slot(row, items + i * size), *other;
    struct pixi_conf_value v = *list_value;

    for (size_t j = 0; mine && j < i; j++) {
        other = *(const char **)pixi_conf_slot(row, items + j * size);
        if (!other || strcmp(mine, other) != 0)
            continue;
        snprintf(path, sizeof path, "%s[%zu].%s", list_value->path, i, row->path);
        v.path = path;
        v.from.at = list->where ? list->where[i] : v.from.at;
        pixi_conf_open_line(&v);
        pixi_buf_put_str(v.mistakes, "found ");
        pixi_conf_put_quoted(pixi_cur_str(mine), v.mistakes);
        pixi_buf_putf(v.mistakes, " a second time, expected once (first in %s[%zu])", list_value->path, j);
        pixi_conf_close_line(&v);
        return;
    }
}

static void check_all_unique(const struct pixi_conf_value *v, const struct pixi_conf_objects *list)
{
    const struct pixi_conf_table *items = v->row->items;

    for (size_t row = 0; row < items->count; row++)
        for (size_t i = 1; items->rows[row].flags & PIXI_CONF_UNIQUE && i < list->count; i++)
            check_unique(v, list, &items->rows[row], i);
}

static int read_item(struct pixi_conf_reader *r, const struct pixi_conf_value *v,
                     const struct pixi_json_token *t, void *item)
{
    char shown[PIXI_CONF_PATH_MAX];
    struct pixi_conf_seen seen = {0};
    struct pixi_conf_scope inner = {
        .table = v->row->items, .target = item, .prefix = "", .shown = shown, .seen = &seen};
    int rc;

    if (t->type != PIXI_JSON_OBJECT) {
        pixi_conf_refuse_for(v, t, "an object");
        return pixi_conf_skip(r, t);
    }
    snprintf(shown, sizeof shown, "%s.", v->path);
    if (item)
        pixi_conf_read_initial(r->in.conf, inner.table, item);
    rc = pixi_conf_read_members(r, &inner);
    if (rc == PIXI_OK)
        check_required(&inner, v);
    return rc;
}

int pixi_conf_read_objects(struct pixi_conf_reader *r, const struct pixi_conf_value *v)
{
    struct pixi_conf_objects list = {0};
    size_t size = v->row->items->size, before = v->conf->mistakes;
    char path[PIXI_CONF_PATH_MAX];
    struct pixi_conf_value one = *v;
    struct pixi_json_token t;
    int rc;

    if (take_count(r, v, &list.count))
        list.at = pixi_conf_take(r->in.conf, list.count, size);
    list.where = take_places(r, list.count);
    one.path = path;
    for (size_t i = 0; (rc = pixi_conf_next(r, &t)) == PIXI_OK && t.type != PIXI_JSON_ARRAY_END; i++) {
        snprintf(path, sizeof path, "%s[%zu]", v->path, i);
        one.from = pixi_conf_place(r, t.offset);
        if (list.where)
            list.where[i] = one.from.at;
        rc = read_item(r, &one, &t, list.at ? (char *)list.at + i * size : NULL);
        if (rc != PIXI_OK)
            return rc;
    }
    if (rc != PIXI_OK || !list.at)
        return rc;
    check_all_unique(v, &list);
    if (v->target && v->conf->mistakes == before)
        *(struct pixi_conf_objects *)pixi_conf_slot(v->row, v->target) = list;
    return PIXI_OK;
}
