/* limits.h -- what strangers, addresses, connections and keys may take, and for how long. */
#ifndef PIXI_SERVER_LIMITS_H
#define PIXI_SERVER_LIMITS_H

#include "hub/table.h"
#include "net/addr.h"

#include <stddef.h>

/* How much of something there may be in a second: a second's worth may come at once, or one thing that is larger. */
struct pixi_rate {
    uint64_t free_ns; /* when all that came so far has been worked off; monotonic */
};

/* pixi_rate_wait -- 0: cost would pass now. Else the milliseconds until it would. per_s 0: everything passes.
 * pixi_rate_take -- it has passed. */
uint64_t pixi_rate_wait(const struct pixi_rate *r, uint64_t per_s, uint64_t cost, uint64_t now_ms);
void pixi_rate_take(struct pixi_rate *r, uint64_t per_s, uint64_t cost, uint64_t now_ms);

/* What the connections of one key have used, all together. */
struct pixi_usage {
    struct pixi_rate publishes, bytes;
};

/* Where connections come from: an IPv4 address, or the 64 bits that name an IPv6 network. */
struct pixi_source {
    struct pixi_table_link by_address;
    uint8_t address[16];
    size_t count; /* connections */
};

struct pixi_sources {
    struct pixi_table table;
    uint8_t hash_key[16]; /* random; set by the owner */
};

/* pixi_sources_count -- how many connections there are from there. */
size_t pixi_sources_count(const struct pixi_sources *o, const struct pixi_addr *from);

/* pixi_sources_enter -- one more; give what it returns to pixi_sources_leave when that is gone. NULL: out of memory. */
struct pixi_source *pixi_sources_enter(struct pixi_sources *o, const struct pixi_addr *from);
void pixi_sources_leave(struct pixi_sources *o, struct pixi_source *source);

/* pixi_sources_clear -- all have left (assert). */
void pixi_sources_clear(struct pixi_sources *o);

#endif
