/* conf_read.h -- what conf_read.c and conf_list.c share: a settings text on its way through the table. Not for others. */
#ifndef PIXI_BASE_CONF_READ_H
#define PIXI_BASE_CONF_READ_H

#include "base/conf_row.h"

struct pixi_conf_reader {
    struct pixi_conf_text in;
    struct pixi_json json;
    struct pixi_json_token last; /* the newest token; its type is DONE before the first */
    unsigned objects;            /* bit d set: the container at depth d is an object */
    size_t placed;               /* the offset that was located last, */
    struct pixi_json_at at;      /* and where it is */
};

/* Where a member was named first, plus one; 0: not yet. A group goes by its first row. */
struct pixi_conf_seen {
    size_t rows[PIXI_CONF_ROWS_MAX], groups[PIXI_CONF_ROWS_MAX];
};

/* An object that is being read, and what its members may be. */
struct pixi_conf_scope {
    const struct pixi_conf_table *table;
    void *target;       /* NULL: check only */
    const char *prefix; /* what the rows' paths have in common here: "" or "timeouts." */
    const char *shown;  /* what messages put before a path: "" or "history[0]." */
    struct pixi_conf_seen *seen;
};

/* pixi_conf_next, pixi_conf_skip -- pixi_json_next, and to the end of the value that starts with `first`. */
int pixi_conf_next(struct pixi_conf_reader *r, struct pixi_json_token *t);
int pixi_conf_skip(struct pixi_conf_reader *r, const struct pixi_json_token *first);

/* pixi_conf_place -- an offset in the text as an origin. */
struct pixi_conf_from pixi_conf_place(struct pixi_conf_reader *r, size_t offset);

/* pixi_conf_about -- what a mistake is about that is not a row's value. Borrows path. */
struct pixi_conf_value pixi_conf_about(struct pixi_conf_reader *r, size_t offset, const char *path);

/* pixi_conf_refuse_for -- pixi_conf_refuse with other words for what is expected. */
void pixi_conf_refuse_for(const struct pixi_conf_value *v, const struct pixi_json_token *t,
                          const char *expected);

/* The readers answer PIXI_OK or the error of pixi_json_next; every other mistake is a line, and reading goes on. */

/* pixi_conf_read_members -- of the object that was just opened, to its end. */
int pixi_conf_read_members(struct pixi_conf_reader *r, const struct pixi_conf_scope *s);

/* pixi_conf_read_strings, pixi_conf_read_objects -- the list that was just opened, to its end. */
int pixi_conf_read_strings(struct pixi_conf_reader *r, const struct pixi_conf_value *v);
int pixi_conf_read_objects(struct pixi_conf_reader *r, const struct pixi_conf_value *v);

/* pixi_conf_put_syntax -- "found X, expected Y" for the error that r->json has met. */
void pixi_conf_put_syntax(const struct pixi_conf_reader *r, struct pixi_buf *b);

#endif
