/* retry.h -- whether a connection that is lost is made again, to which server, and when. docs/protocol.md, Closing.
 *
 * Servers are tried in the order of the settings, one after the other without waiting; when all have failed, a round is
 * over, and the next begins with the first after a random time: "full jitter", up to a bound that doubles with each
 * round. Time and chance are arguments. */
#ifndef PIXI_CLIENT_RETRY_H
#define PIXI_CLIENT_RETRY_H

#include "client/failure.h"

enum { PIXI_RETRY_SERVERS_MAX = 8 };

/* When to try again at all. Bits. */
enum {
    PIXI_RETRY_LOST = 1,  /* after a connection was open */
    PIXI_RETRY_FIRST = 2, /* also before: else every server is tried once */
};

struct pixi_retry {
    uint64_t initial_ms, max_ms; /* the first bound, and the last */
    unsigned flags;
    size_t server_count; /* 1 .. PIXI_RETRY_SERVERS_MAX */
    size_t server;       /* which one to connect to, from 0 */
    unsigned rounds;     /* that have failed since a connection that lasted */
    bool is_open, was_open;
    bool is_out[PIXI_RETRY_SERVERS_MAX];            /* trying it again cannot help */
    uint64_t not_before_ms[PIXI_RETRY_SERVERS_MAX]; /* as it asked */
    uint64_t opened_ms;
    bool is_going_away; /* the server has said when to come back: */
    uint64_t going_away_ms;
};

/* pixi_retry_init -- nothing has been tried yet. */
void pixi_retry_init(struct pixi_retry *r, uint64_t initial_ms, uint64_t max_ms, size_t server_count,
                     unsigned flags);

/* pixi_retry_opened -- the connection to r->server is open. */
void pixi_retry_opened(struct pixi_retry *r, uint64_t now_ms);

/* pixi_retry_moved -- the connection was given up for one to this server, which is made next. */
void pixi_retry_moved(struct pixi_retry *r, size_t server);

/* pixi_retry_going_away -- it has said to come back after so long: how long the next wait is, max_ms at most. */
void pixi_retry_going_away(struct pixi_retry *r, uint64_t in_ms);

/* pixi_retry_lost -- the connection, or the attempt at one, has ended with this failure.
 *   random  any 32 bits
 *   in_ms   after how long to connect to r->server; written on true only
 *   false: it is not tried again, for good */
bool pixi_retry_lost(struct pixi_retry *r, const struct pixi_failure *f, uint64_t now_ms, uint32_t random,
                     uint64_t *in_ms);

/* pixi_retry_resends -- may what was sent and not answered be sent again as it was? Not after 1002, 1003, 1007 and 1009:
 * the server objects to something, perhaps to this. */
static inline bool pixi_retry_resends(const struct pixi_failure *f)
{
    return f->exit_code != PIXI_EXIT_PROTOCOL;
}

#endif
