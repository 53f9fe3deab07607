/* near.h -- how far a misspelt name is from a right one, for "did you mean". */
#ifndef PIXI_BASE_NEAR_H
#define PIXI_BASE_NEAR_H

#include "base/cur.h"

/* pixi_near_distance -- how many letters must be put in, taken out, exchanged, or swapped with the next one ("sned"); case,
 * '_' and '-' count for nothing, and only the first 40 letters count. */
size_t pixi_near_distance(struct pixi_cur a, struct pixi_cur b);

/* pixi_near_enough -- is that distance small enough for candidate to have been meant? */
bool pixi_near_enough(size_t distance, struct pixi_cur candidate);

#endif
