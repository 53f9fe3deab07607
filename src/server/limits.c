#include "server/limits.h"

#include "hub/siphash.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)
#define MS_NS     UINT64_C(1000000)

/* The time that cost takes at this rate; at most an hour, so that nothing overflows. */
static uint64_t time_of(uint64_t per_s, uint64_t cost)
{
    const uint64_t most = 3600 * SECOND_NS;

    if (cost / per_s >= 3600)
        return most;
    return cost / per_s * SECOND_NS + cost % per_s * SECOND_NS / per_s;
}

uint64_t pixi_rate_wait(const struct pixi_rate *r, uint64_t per_s, uint64_t cost, uint64_t now_ms)
{
    uint64_t now = now_ms * MS_NS, used, time;

    if (!per_s || r->free_ns <= now)
        return 0; /* all is worked off: anything may come, once */
    used = r->free_ns - now;
    time = time_of(per_s, cost);
    if (used + time <= SECOND_NS)
        return 0;
    /* what is too large for a second's worth waits until nothing is left */
    used = time > SECOND_NS ? used : used + time - SECOND_NS;
    return (used + MS_NS - 1) / MS_NS;
}

void pixi_rate_take(struct pixi_rate *r, uint64_t per_s, uint64_t cost, uint64_t now_ms)
{
    uint64_t now = now_ms * MS_NS;

    if (per_s)
        r->free_ns = (r->free_ns > now ? r->free_ns : now) + time_of(per_s, cost);
}

static void address_of(const struct pixi_addr *from, uint8_t out[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    memset(out, 0, 16);
    if (from->sa.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&from->sa;

        /* a host has the whole of its 64-bit network to choose from (RFC 4291 §2.5.4) */
        memcpy(out, in6->sin6_addr.s6_addr, IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ? 16 : 8);
    } else {
        memcpy(out, mapped, sizeof mapped);
        memcpy(out + 12, &((const struct sockaddr_in *)&from->sa)->sin_addr, 4);
    }
}

static uint64_t hash_of(const struct pixi_sources *o, const uint8_t address[16])
{
    return pixi_siphash(o->hash_key, pixi_cur_init(address, 16));
}

static struct pixi_source *find(const struct pixi_sources *o, const uint8_t address[16])
{
    struct pixi_table_link *l = pixi_table_first(&o->table, hash_of(o, address));

    for (; l; l = pixi_table_next(l)) {
        struct pixi_source *found = PIXI_LIST_ITEM(l, struct pixi_source, by_address);

        if (memcmp(found->address, address, 16) == 0)
            return found;
    }
    return NULL;
}

size_t pixi_sources_count(const struct pixi_sources *o, const struct pixi_addr *from)
{
    uint8_t address[16];
    const struct pixi_source *found;

    address_of(from, address);
    found = find(o, address);
    return found ? found->count : 0;
}

struct pixi_source *pixi_sources_enter(struct pixi_sources *o, const struct pixi_addr *from)
{
    uint8_t address[16];
    struct pixi_source *found;

    address_of(from, address);
    found = find(o, address);
    if (!found) {
        found = calloc(1, sizeof *found);
        if (!found || pixi_table_reserve(&o->table) != PIXI_OK) {
            free(found);
            return NULL;
        }
        memcpy(found->address, address, sizeof found->address);
        pixi_table_add(&o->table, &found->by_address, hash_of(o, address));
    }
    found->count++;
    return found;
}

void pixi_sources_leave(struct pixi_sources *o, struct pixi_source *source)
{
    if (--source->count > 0)
        return;
    pixi_table_remove(&o->table, &source->by_address);
    free(source);
}

void pixi_sources_clear(struct pixi_sources *o)
{
    assert(o->table.count == 0);
    pixi_table_clear(&o->table);
}
