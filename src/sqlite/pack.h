/* pack.h -- several records in one row: a row of its own costs more than the record in it.
 *
 * A record is numbers and bytes. Packed it has its length in front and a checksum, so that a row with damage in it still
 * gives those before the damage, and no record that is not what was put. The same bytes on every machine. */
#ifndef PIXI_SQLITE_PACK_H
#define PIXI_SQLITE_PACK_H

#include "base/buf.h"

enum { PIXI_PACK_NUMBERS = 8, PIXI_PACK_PARTS = 3 };

struct pixi_packed {
    uint64_t number[PIXI_PACK_NUMBERS]; /* small ones take few bytes, 0 one */
    struct pixi_cur part[PIXI_PACK_PARTS];
};

/* pixi_pack_put -- to the end of out. out->err: PIXI_E_NOMEM, PIXI_E_LIMIT: also when it has 2^32 bytes or more; then
 * nothing of it was put. */
void pixi_pack_put(struct pixi_buf *out, const struct pixi_packed *record);

/* pixi_pack_next -- the next record of a row; its parts are borrowed from it. False: there is none. Then row is at its
 * end, or what is left of it is damaged. */
bool pixi_pack_next(struct pixi_cur *row, struct pixi_packed *record);

#endif
