#include "daemon/improve.h"

#include <stdlib.h>
#include <string.h>

enum {
    SURVIVALS = 3, /* silences that must be survived before a longer one is tried, and for it to be kept */
    BETTER_PROBES = 3,   /* in a row, before another server is tried */
    BETTER_PERCENT = 70, /* of our round trip: what counts as much better */
    TRIAL_SAMPLES = 5,   /* round trips by which another server is judged */
    LOADED_LOOKS = 3,    /* in a row, before a wider window is tried */
    WINDOW_GAIN_PERCENT = 110,
    SHUN_MS = 15 * 60 * 1000,  /* a server that was no better is left alone for so long */
    BAD_MS = 24 * 3600 * 1000, /* so is a keepalive interval that was too long */
    QUIET_MS = 60 * 1000,      /* without load, before the window is as at first */
    LOOK_MS = 1000,
    WINDOW_TRIAL_MS = 3000,
};

void pixi_improve_init(struct pixi_improve *i, const struct pixi_improve_config *config)
{
    *i = (struct pixi_improve){
        .config = *config, .keepalive_ms = config->keepalive_ms, .window = config->window};
}

/* --- measures ------------------------------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

uint64_t pixi_improve_percentile(const struct pixi_improve *i, unsigned percent)
{
    uint32_t sorted[PIXI_IMPROVE_SAMPLES];

    if (!i->rtt_count)
        return 0;
    memcpy(sorted, i->rtt_us, i->rtt_count * sizeof *sorted);
    qsort(sorted, i->rtt_count, sizeof *sorted, compare);
    return sorted[(i->rtt_count - 1) * percent / 100];
}

uint64_t pixi_improve_jitter(const struct pixi_improve *i)
{
    uint64_t sum = 0;
    size_t first = i->rtt_count < PIXI_IMPROVE_SAMPLES ? 0 : i->rtt_next;

    for (size_t k = 1; k < i->rtt_count; k++) {
        uint32_t a = i->rtt_us[(first + k - 1) % PIXI_IMPROVE_SAMPLES],
                 b = i->rtt_us[(first + k) % PIXI_IMPROVE_SAMPLES];

        sum += a < b ? b - a : a - b;
    }
    return i->rtt_count > 1 ? sum / (i->rtt_count - 1) : 0;
}

const struct pixi_improve_change *pixi_improve_change_at(const struct pixi_improve *i, size_t back)
{
    if (back >= i->change_count || back >= PIXI_IMPROVE_CHANGES)
        return NULL;
    return &i->changes[(i->change_count - 1 - back) % PIXI_IMPROVE_CHANGES];
}

static struct pixi_improve_change *trial(struct pixi_improve *i)
{
    return i->is_trying ? &i->changes[(i->change_count - 1) % PIXI_IMPROVE_CHANGES] : NULL;
}

static bool is_trying(const struct pixi_improve *i, enum pixi_improve_what what)
{
    return i->is_trying && pixi_improve_change_at(i, 0)->what == what;
}

/* --- trials -------------------------------------------------------------------------------------------------------- */

static bool begin(struct pixi_improve *i, enum pixi_improve_what what, uint64_t from, uint64_t to,
                  uint64_t before, uint64_t now_ms, struct pixi_improve_step *out)
{
    i->changes[i->change_count++ % PIXI_IMPROVE_CHANGES] =
        (struct pixi_improve_change){.what = what, .from = from, .to = to, .at_ms = now_ms, .before = before};
    i->is_trying = true;
    i->survived = 0;
    i->rtt_sum_since = 0;
    i->rtt_count_since = 0;
    *out = (struct pixi_improve_step){.what = what, .to = to};
    return true;
}

static void keep(struct pixi_improve *i, uint64_t after)
{
    struct pixi_improve_change *c = trial(i);

    c->verdict = PIXI_IMPROVE_KEPT;
    c->after = after;
    i->is_trying = false;
}

static void undo(struct pixi_improve *i, uint64_t after)
{
    struct pixi_improve_change *c = trial(i);

    c->verdict = PIXI_IMPROVE_UNDONE;
    c->after = after;
    i->is_trying = false;
    i->is_undo_due = true;
}

/* The server that was to be tried cannot be reached: the link is elsewhere already. */
static void give_up(struct pixi_improve *i, uint64_t now_ms)
{
    struct pixi_improve_change *c = trial(i);

    i->servers[c->to].shunned_until_ms = now_ms + SHUN_MS;
    c->verdict = PIXI_IMPROVE_UNDONE;
    i->is_trying = false;
}

static uint64_t mean_since(const struct pixi_improve *i)
{
    return i->rtt_count_since ? i->rtt_sum_since / i->rtt_count_since : 0;
}

/* --- what happens -------------------------------------------------------------------------------------------------- */

void pixi_improve_linked(struct pixi_improve *i, size_t server, uint64_t connect_us, uint64_t now_ms)
{
    /* the round trips of another server say nothing of this one */
    if (server != i->server)
        i->rtt_count = i->rtt_next = 0;
    if (is_trying(i, PIXI_IMPROVE_SERVER) && trial(i)->to != server)
        give_up(i, now_ms);
    i->server = server;
    i->is_linked = true;
    i->linked_ms = now_ms;
    i->connect_us = connect_us;
    i->connects++;
    i->survived = 0;
    i->rtt_sum_since = 0;
    i->rtt_count_since = 0;
    if (!i->probe_at_ms)
        i->probe_at_ms = now_ms + i->config.probe_ms;
}

void pixi_improve_lost(struct pixi_improve *i, bool is_silent, uint64_t now_ms)
{
    i->silent += is_silent;
    i->is_linked = false;
    i->loaded = 0;
    if (is_silent && is_trying(i, PIXI_IMPROVE_KEEPALIVE)) {
        i->keepalive_bad_ms = trial(i)->to;
        i->retry_at_ms = now_ms + BAD_MS;
        undo(i, i->survived);
    } else if (is_silent && i->keepalive_ms > i->config.keepalive_ms && !i->is_trying) {
        /* the path has changed: what was survived before is not any more */
        i->keepalive_bad_ms = i->keepalive_ms;
        i->retry_at_ms = now_ms + BAD_MS;
        i->keepalive_ms = i->config.keepalive_ms;
    }
}

void pixi_improve_rtt(struct pixi_improve *i, uint64_t us, uint64_t now_ms)
{
    struct pixi_improve_change *c;

    i->rtt_us[i->rtt_next] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    i->rtt_next = (i->rtt_next + 1) % PIXI_IMPROVE_SAMPLES;
    i->rtt_count += i->rtt_count < PIXI_IMPROVE_SAMPLES;
    i->rtt_sum_since += us;
    i->rtt_count_since++;
    if (!is_trying(i, PIXI_IMPROVE_SERVER) || i->rtt_count_since < TRIAL_SAMPLES)
        return;
    c = trial(i);
    if (mean_since(i) * 100 <= c->before * 95) {
        keep(i, mean_since(i));
        return;
    }
    i->servers[c->to].shunned_until_ms = now_ms + SHUN_MS;
    undo(i, mean_since(i));
}

void pixi_improve_survived(struct pixi_improve *i)
{
    i->survived++;
    if (is_trying(i, PIXI_IMPROVE_KEEPALIVE) && i->survived >= SURVIVALS)
        keep(i, i->survived);
}

void pixi_improve_load(struct pixi_improve *i, uint64_t stored, bool is_full, uint64_t now_ms)
{
    uint64_t ms = now_ms - i->load_at_ms;

    if (ms < LOOK_MS || (is_trying(i, PIXI_IMPROVE_WINDOW) && ms < WINDOW_TRIAL_MS))
        return;
    i->rate = i->load_at_ms ? (stored - i->load_stored) * 1000 / ms : 0;
    i->load_at_ms = now_ms;
    i->load_stored = stored;
    i->loaded = is_full ? i->loaded + 1 : 0;
    if (is_full)
        i->quiet_since_ms = 0;
    else if (!i->quiet_since_ms)
        i->quiet_since_ms = now_ms;
    if (!is_trying(i, PIXI_IMPROVE_WINDOW))
        return;
    if (i->rate * 100 >= trial(i)->before * WINDOW_GAIN_PERCENT) {
        keep(i, i->rate);
    } else {
        i->window_bad = trial(i)->to;
        undo(i, i->rate);
    }
}

void pixi_improve_probed(struct pixi_improve *i, size_t server, uint64_t rtt_us, uint64_t now_ms)
{
    uint64_t ours = pixi_improve_percentile(i, 50), *smooth = &i->servers[server].rtt_us;

    (void)now_ms;
    if (!rtt_us) {
        *smooth = 0;
        i->servers[server].better = 0;
        return;
    }
    *smooth = *smooth ? (3 * *smooth + rtt_us) / 4 : rtt_us;
    if (ours && *smooth * 100 < ours * BETTER_PERCENT)
        i->servers[server].better++;
    else
        i->servers[server].better = 0;
}

/* --- what to do ---------------------------------------------------------------------------------------------------- */

static bool take_back(struct pixi_improve *i, struct pixi_improve_step *out)
{
    const struct pixi_improve_change *c = pixi_improve_change_at(i, 0);

    i->is_undo_due = false;
    *out = (struct pixi_improve_step){.what = c->what, .to = c->from, .is_undoing = true};
    return true;
}

static bool try_server(struct pixi_improve *i, uint64_t now_ms, struct pixi_improve_step *out)
{
    for (size_t k = 0; k < i->config.servers; k++) {
        if (k == i->server || i->servers[k].better < BETTER_PROBES || i->servers[k].shunned_until_ms > now_ms)
            continue;
        i->servers[k].better = 0;
        return begin(i, PIXI_IMPROVE_SERVER, i->server, k, pixi_improve_percentile(i, 50), now_ms, out);
    }
    return false;
}

static bool try_keepalive(struct pixi_improve *i, uint64_t now_ms, struct pixi_improve_step *out)
{
    uint64_t longer = i->keepalive_ms * 3 / 2;

    if (now_ms >= i->retry_at_ms)
        i->keepalive_bad_ms = 0;
    if (i->survived < SURVIVALS || longer > i->config.keepalive_max_ms ||
        (i->keepalive_bad_ms && longer >= i->keepalive_bad_ms))
        return false;
    return begin(i, PIXI_IMPROVE_KEEPALIVE, i->keepalive_ms, longer, i->survived, now_ms, out);
}

static bool try_window(struct pixi_improve *i, uint64_t now_ms, struct pixi_improve_step *out)
{
    uint64_t wider = i->window * 2;

    if (i->window != i->config.window && i->quiet_since_ms && now_ms - i->quiet_since_ms >= QUIET_MS) {
        i->window_bad = 0;
        *out = (struct pixi_improve_step){
            .what = PIXI_IMPROVE_WINDOW, .to = i->config.window, .is_undoing = true};
        return true;
    }
    if (i->loaded < LOADED_LOOKS || wider > i->config.window_max || (i->window_bad && wider >= i->window_bad))
        return false;
    i->loaded = 0;
    return begin(i, PIXI_IMPROVE_WINDOW, i->window, wider, i->rate, now_ms, out);
}

static void take_effect(struct pixi_improve *i, const struct pixi_improve_step *s)
{
    if (s->what == PIXI_IMPROVE_KEEPALIVE)
        i->keepalive_ms = s->to;
    else if (s->what == PIXI_IMPROVE_WINDOW)
        i->window = s->to;
}

bool pixi_improve_next(struct pixi_improve *i, bool is_quiet, uint64_t now_ms, struct pixi_improve_step *out)
{
    bool is_server_undo = i->is_undo_due && pixi_improve_change_at(i, 0)->what == PIXI_IMPROVE_SERVER, is;

    if (!i->config.is_on)
        return false;
    if (i->is_undo_due && (!is_server_undo || (is_quiet && i->is_linked)))
        is = take_back(i, out);
    else if (i->is_undo_due || i->is_trying || !i->is_linked)
        is = false;
    else
        is = (is_quiet && try_server(i, now_ms, out)) || try_keepalive(i, now_ms, out) ||
             try_window(i, now_ms, out);
    if (is)
        take_effect(i, out);
    return is;
}

bool pixi_improve_probe(struct pixi_improve *i, uint64_t now_ms, size_t *server)
{
    if (!i->config.is_on || !i->is_linked || i->config.servers < 2 || now_ms < i->probe_at_ms || i->is_trying)
        return false;
    i->probe_at_ms = now_ms + i->config.probe_ms / (i->config.servers - 1);
    i->probe_next = (i->probe_next + 1) % i->config.servers;
    if (i->probe_next == i->server)
        i->probe_next = (i->probe_next + 1) % i->config.servers;
    *server = i->probe_next;
    return true;
}
