#include "client/retry.h"

#include <assert.h>

void pixi_retry_init(struct pixi_retry *r, uint64_t initial_ms, uint64_t max_ms, size_t server_count,
                     unsigned flags)
{
    assert(server_count >= 1 && server_count <= PIXI_RETRY_SERVERS_MAX);
    *r = (struct pixi_retry){
        .initial_ms = initial_ms, .max_ms = max_ms, .server_count = server_count, .flags = flags};
}

void pixi_retry_opened(struct pixi_retry *r, uint64_t now_ms)
{
    r->is_open = r->was_open = true;
    r->opened_ms = now_ms;
    memset(r->is_out, 0, sizeof r->is_out);
    memset(r->not_before_ms, 0, sizeof r->not_before_ms);
}

void pixi_retry_moved(struct pixi_retry *r, size_t server)
{
    assert(server < r->server_count);
    r->is_open = false;
    r->server = server;
}

void pixi_retry_going_away(struct pixi_retry *r, uint64_t in_ms)
{
    r->is_going_away = true;
    r->going_away_ms = in_ms < r->max_ms ? in_ms : r->max_ms;
}

/* Is it only this server that cannot be used? What a key may do, and a server that is done with us, hold for all. */
static bool is_about_server(const struct pixi_failure *f)
{
    switch (f->exit_code) {
    case PIXI_EXIT_NAME:
    case PIXI_EXIT_CONNECT:
    case PIXI_EXIT_TLS:
    case PIXI_EXIT_UPGRADE:
    case PIXI_EXIT_PROTOCOL: return true;
    default: return false;
    }
}

/* The next of this round that may be tried now; server_count: there is none. */
static size_t next_of_round(const struct pixi_retry *r, uint64_t now_ms)
{
    size_t i = r->server + 1;

    while (i < r->server_count && (r->is_out[i] || r->not_before_ms[i] > now_ms))
        i++;
    return i < r->server_count ? i : r->server_count;
}

/* The first of a new round: of those that may be tried soonest. server_count: none is left. */
static size_t first_of_round(const struct pixi_retry *r, uint64_t now_ms)
{
    size_t first = r->server_count;
    uint64_t least = UINT64_MAX;

    for (size_t i = 0; i < r->server_count; i++) {
        uint64_t at = r->not_before_ms[i] > now_ms ? r->not_before_ms[i] : now_ms;

        if (r->is_out[i] || at >= least)
            continue;
        first = i;
        least = at;
    }
    return first;
}

static uint64_t backoff(const struct pixi_retry *r, uint32_t random)
{
    uint64_t most = r->initial_ms;

    for (unsigned i = 0; i < r->rounds && most < r->max_ms; i++)
        most *= 2;
    if (most > r->max_ms)
        most = r->max_ms;
    return random % (most + 1);
}

static void begin_round(struct pixi_retry *r, uint64_t now_ms, uint32_t random, uint64_t *in_ms)
{
    uint64_t asked = r->not_before_ms[r->server], ms = backoff(r, random);

    if (r->is_going_away)
        ms = r->going_away_ms;
    r->is_going_away = false;
    r->rounds++;
    *in_ms = asked > now_ms + ms ? asked - now_ms : ms;
}

/* A connection that is lost at once, again and again, must not be made at once, again and again. */
static void end_connection(struct pixi_retry *r, uint64_t now_ms)
{
    if (r->is_open && now_ms - r->opened_ms >= r->max_ms)
        r->rounds = 0;
    r->is_open = false;
}

bool pixi_retry_lost(struct pixi_retry *r, const struct pixi_failure *f, uint64_t now_ms, uint32_t random,
                     uint64_t *in_ms)
{
    bool had_been_open = r->is_open;
    size_t next;

    end_connection(r, now_ms);
    if ((f->is_final && !is_about_server(f)) || (r->was_open && !(r->flags & PIXI_RETRY_LOST)))
        return false;
    r->is_out[r->server] = f->is_final;
    r->not_before_ms[r->server] = f->retry_after_ms ? now_ms + f->retry_after_ms : 0;
    next = had_been_open ? r->server_count : next_of_round(r, now_ms);
    if (next < r->server_count) {
        r->server = next;
        *in_ms = 0;
        return true;
    }
    next = first_of_round(r, now_ms);
    if (next == r->server_count || !(r->was_open || r->flags & PIXI_RETRY_FIRST))
        return false;
    r->server = next;
    begin_round(r, now_ms, random, in_ms);
    return true;
}
