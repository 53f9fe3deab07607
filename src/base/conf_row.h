/* conf_row.h -- what the parts of conf share: rows, single values, and the words of a message. Not for others. */
#ifndef PIXI_BASE_CONF_ROW_H
#define PIXI_BASE_CONF_ROW_H

#include "base/conf.h"

enum { PIXI_CONF_PATH_MAX = 160 }; /* bytes of a path in a message, with indices and NUL */

/* One value on its way from a text into the struct. Everything is borrowed. */
struct pixi_conf_value {
    struct pixi_conf *conf;
    const struct pixi_conf_row *row;
    const char *path; /* as messages show it: "history[0].filter" */
    void *target;     /* the struct that row->offset is in; NULL: check only */
    struct pixi_conf_from from;
    struct pixi_buf *mistakes;
};

/* pixi_conf_find -- the row of this path, or NULL. */
const struct pixi_conf_row *pixi_conf_find(const struct pixi_conf_table *table, const char *path);

static inline void *pixi_conf_slot(const struct pixi_conf_row *row, void *target)
{
    return (char *)target + row->offset;
}

/* pixi_conf_take -- NULL when memory ends, kept in c->err. */
void *pixi_conf_take(struct pixi_conf *c, size_t count, size_t size);

/* pixi_conf_store -- a scalar's token: check it, then put it into the target, or add a mistake. */
void pixi_conf_store(const struct pixi_conf_value *v, const struct pixi_json_token *t);

/* pixi_conf_take_string -- the string of a STRING or STRINGS row; false after adding a mistake. A NUL follows out. */
bool pixi_conf_take_string(const struct pixi_conf_value *v, const struct pixi_json_token *t,
                           struct pixi_cur *out);

/* pixi_conf_token -- what the text of an environment variable or flag is for a row of this kind. Borrows text. */
struct pixi_json_token pixi_conf_token(enum pixi_conf_kind kind, const char *text);

/* pixi_conf_open_line, pixi_conf_close_line -- around the words of a mistake: what it is about; a line break. */
void pixi_conf_open_line(const struct pixi_conf_value *v);
void pixi_conf_close_line(const struct pixi_conf_value *v);

/* pixi_conf_refuse -- the whole line "found X, expected Y": the token, and what the row says. */
void pixi_conf_refuse(const struct pixi_conf_value *v, const struct pixi_json_token *t);

/* pixi_conf_put_expected -- "a whole number of milliseconds, 1 .. 600000". Of one element, for lists of strings. */
void pixi_conf_put_expected(const struct pixi_conf_row *row, struct pixi_buf *b);

/* pixi_conf_put_from -- pixi_conf_put_where for any place. */
void pixi_conf_put_from(const struct pixi_conf *c, const struct pixi_conf_from *from, struct pixi_buf *b);

/* pixi_conf_put_nearest -- " did you mean ...?" or the names there are, for a name that no row has.
 *   prefix   of the rows' paths here: "" or "timeouts."
 *   shown    what messages put before a path: "" or "history[0]." */
void pixi_conf_put_nearest(const struct pixi_conf_table *table, const char *prefix, const char *shown,
                           struct pixi_cur name, struct pixi_buf *b);

/* What a text of JSON is read for: the file, or a row's default. */
struct pixi_conf_text {
    struct pixi_conf *conf;
    enum pixi_conf_rank rank; /* PIXI_CONF_FILE or PIXI_CONF_DEFAULT */
    struct pixi_cur bytes;
    struct pixi_buf *mistakes;
};

/* pixi_conf_read_text -- the object of a whole file into conf's target. */
void pixi_conf_read_text(const struct pixi_conf_text *text);

/* pixi_conf_read_initial -- the defaults of a table into its struct. */
void pixi_conf_read_initial(struct pixi_conf *c, const struct pixi_conf_table *table, void *target);

#endif
