/* records.h -- small records with versions, in memory. hub/store.h, get and put. */
#ifndef PIXI_STORE_RECORDS_H
#define PIXI_STORE_RECORDS_H

#include "hub/siphash.h"
#include "hub/store.h"
#include "hub/table.h"

struct pixi_records {
    struct pixi_table table;
    size_t max_count;
    uint64_t last_version; /* of all records: one that was removed and made again does not look the same */
    uint8_t key[PIXI_SIPHASH_KEY_LEN];
};

void pixi_records_init(struct pixi_records *r, size_t max_count, const uint8_t key[PIXI_SIPHASH_KEY_LEN]);
void pixi_records_clear(struct pixi_records *r);

/* pixi_records_get -- the record, version 0 if there is none. Borrows key, and the value until the next put. */
struct pixi_record pixi_records_get(const struct pixi_records *r, struct pixi_cur key);

/* pixi_records_put -- copies; hub/store.h says when.
 *   PIXI_OK | PIXI_E_KEY_REUSED | PIXI_E_STORAGE (too many, or too large) | PIXI_E_NOMEM */
int pixi_records_put(struct pixi_records *r, const struct pixi_record *record);

/* pixi_records_list -- on_record for each whose key begins with prefix; it changes nothing meanwhile. */
void pixi_records_list(const struct pixi_records *r, struct pixi_cur prefix,
                       void (*on_record)(void *ctx, int err, const struct pixi_record *record), void *ctx);

#endif
