/* overlap.h -- can two topic filters match the same topic? MQTT 5 §4.7. */
#ifndef PIXI_STORE_OVERLAP_H
#define PIXI_STORE_OVERLAP_H

#include "base/cur.h"

/* pixi_filter_overlaps -- is there a topic that both match? Both checked; `$share/G/` is stepped over. Exact but for
 * topics that would be empty or too long: those it takes for possible. */
bool pixi_filter_overlaps(struct pixi_cur a, struct pixi_cur b);

#endif
