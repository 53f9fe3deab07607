/* wanted.h -- messages that sessions want, in memory: a ring whose oldest go when nobody wants them any more. */
#ifndef PIXI_STORE_WANTED_H
#define PIXI_STORE_WANTED_H

#include "store/ring.h"

struct pixi_wanted {
    struct pixi_ring ring,
        spare;        /* spare: what stays is copied there when room is made; then they change places */
    uint64_t trimmed; /* highest offset that went although it may have been wanted; 0: none */
    bool has_ring, has_spare;
};

/* pixi_wanted_init -- max_messages 0: it keeps nothing.   PIXI_OK | PIXI_E_NOMEM */
int pixi_wanted_init(struct pixi_wanted *w, uint64_t max_messages, uint64_t max_bytes);
void pixi_wanted_clear(struct pixi_wanted *w);

/* pixi_wanted_fits -- would put take a message of so many bytes? */
bool pixi_wanted_fits(const struct pixi_wanted *w, size_t len);

/* pixi_wanted_put -- copies msg, which fits (assert). When there is no room for it, what is_wanted denies goes first
 * (is_wanted NULL: everything), then the oldest, until a quarter is free. */
void pixi_wanted_put(struct pixi_wanted *w, const struct pixi_msg *msg,
                     bool (*is_wanted)(void *ctx, const struct pixi_msg *msg), void *ctx);

#endif
