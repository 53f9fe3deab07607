/* table.h -- an intrusive hash table: links live in what they link, the table owns only its buckets.
 *
 *     for (l = pixi_table_first(&t, hash); l; l = pixi_table_next(l))
 *         if (is the one wanted) ...                                                                        */
#ifndef PIXI_HUB_TABLE_H
#define PIXI_HUB_TABLE_H

#include "base/err.h"
#include "base/list.h"

#include <stdint.h>

struct pixi_table_link {
    struct pixi_table_link *next;
    uint64_t hash;
};

struct pixi_table {
    struct pixi_table_link **bucket; /* owned; size is 0 or a power of two */
    size_t size, count;
};

/* All zero is an empty table. pixi_table_clear releases the buckets, not what is linked. */
void pixi_table_clear(struct pixi_table *t);

/* pixi_table_reserve -- make the next pixi_table_add succeed.   PIXI_OK | PIXI_E_NOMEM
 * Only the very first can fail: a table that cannot grow becomes slower, not full. */
int pixi_table_reserve(struct pixi_table *t);

/* pixi_table_add -- after pixi_table_reserve (assert). Equal hashes may stand side by side. */
void pixi_table_add(struct pixi_table *t, struct pixi_table_link *link, uint64_t hash);

/* pixi_table_remove -- link is in t (assert). */
void pixi_table_remove(struct pixi_table *t, struct pixi_table_link *link);

/* The links with this hash, newest first. */
struct pixi_table_link *pixi_table_first(const struct pixi_table *t, uint64_t hash);
struct pixi_table_link *pixi_table_next(const struct pixi_table_link *link);

#endif
