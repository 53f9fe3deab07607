/* scene_city.h -- a small city for the demo: what stands in it, and where what drives is at a time. Pure. */
#ifndef PIXI_WS_CLIENT_SCENE_CITY_H
#define PIXI_WS_CLIENT_SCENE_CITY_H

#include "base/buf.h"

enum { CITY_ID_MAX = 48 };

struct city {
    unsigned blocks; /* on each side */
    unsigned movers;
};

/* city_init -- as many blocks as that many movers need. */
void city_init(struct city *c, unsigned movers);

/* city_still -- the ith thing that stands: its id, and its object to the end of b. False: there are no more. */
bool city_still(const struct city *c, unsigned i, char id[CITY_ID_MAX], struct pixi_buf *b);

unsigned city_still_count(const struct city *c);

/* city_mover -- the ith of movers, ms after the start. */
void city_mover(const struct city *c, unsigned i, uint64_t ms, char id[CITY_ID_MAX], struct pixi_buf *b);

#endif
