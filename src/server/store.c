#include "server/store.h"

#include "base/log.h"

#include <inttypes.h>
#include <sys/epoll.h>
#include <sys/random.h>

static size_t take_policies(const struct pixi_server_settings *settings, struct pixi_policy *out)
{
    size_t count = settings->history.count < PIXI_POLICIES_MAX ? settings->history.count : PIXI_POLICIES_MAX;

    for (size_t i = 0; i < count; i++) {
        const struct pixi_server_history *h = pixi_server_settings_history(settings, i);

        out[i] = (struct pixi_policy){pixi_cur_str(h->filter), h->max_messages, h->max_bytes, h->max_age_s};
    }
    return count;
}

static int make_memory(struct pixi_server_store *s, const struct pixi_server_settings *settings)
{
    struct pixi_memory_config config = pixi_memory_config_default;
    struct pixi_policy policies[PIXI_POLICIES_MAX];

    config.policies = policies;
    config.policy_count = take_policies(settings, policies);
    config.retained_count = settings->limits.retained_count;
    config.retained_bytes = settings->limits.retained_bytes;
    config.wanted_messages = settings->limits.session_messages;
    config.wanted_bytes = settings->limits.session_bytes;
    if (getrandom(&config.epoch, sizeof config.epoch, 0) < 0 ||
        getrandom(config.hash_key, sizeof config.hash_key, 0) < 0)
        return PIXI_E_SYS;
    config.epoch |= 1; /* never 0 */
    return pixi_memory_new(&config, &s->memory);
}

/* --- on disk ------------------------------------------------------------------------------------------------- */

static void tell_found(const struct pixi_server_store *s, const char *path)
{
    struct pixi_sqlite_store_found found = pixi_sqlite_store_found(s->disk);
    uint64_t epoch = pixi_server_store_calls(s)->call->head(pixi_server_store_calls(s)).epoch;

    switch (found.how) {
    case PIXI_SQLITE_STORE_AS_LEFT: break;
    case PIXI_SQLITE_STORE_NEW:
        pixi_log(PIXI_LOG_INFO, "data: %s: a new store, epoch %016" PRIx64, path, epoch);
        break;
    case PIXI_SQLITE_STORE_LOST:
        pixi_log(PIXI_LOG_WARNING,
                 "data: %s: the store is gone; an empty one begins, epoch %016" PRIx64
                 ": clients are told that history is lost",
                 path, epoch);
        break;
    case PIXI_SQLITE_STORE_RESTORED:
        pixi_log(PIXI_LOG_WARNING,
                 "data: %s: the store was put there from elsewhere; it goes on as epoch %016" PRIx64
                 ": clients are told that history is lost",
                 path, epoch);
        break;
    case PIXI_SQLITE_STORE_REPAIRED:
        pixi_log(PIXI_LOG_WARNING,
                 "data: the store was damaged: %s is what it was, %" PRIu64
                 " rows of it are saved; it goes on as epoch %016" PRIx64
                 ": clients are told that history is lost",
                 found.aside, found.rows, epoch);
        break;
    }
    if (found.is_sorted)
        pixi_log(PIXI_LOG_INFO,
                 "data: %s: history has other filters than last time: what is kept is sorted anew", path);
}

static void tell_refusing(struct pixi_server_store *s)
{
    struct pixi_sqlite_store_stats stats = pixi_sqlite_store_stats(s->disk);

    if (stats.is_refusing == s->is_refusing)
        return;
    s->is_refusing = stats.is_refusing;
    if (stats.is_damaged)
        pixi_log(PIXI_LOG_ERROR,
                 "data: the store is damaged (%s): nothing more is stored; a restart repairs it", stats.why);
    else if (stats.is_refusing)
        pixi_log(PIXI_LOG_ERROR,
                 "data: the disk refuses (%s): publishes are answered -32006 until it can be written",
                 stats.why);
    else
        pixi_log(PIXI_LOG_INFO, "data: the disk can be written again");
}

static void on_ready(struct pixi_watch *w, uint32_t events)
{
    struct pixi_server_store *s = w->owner;

    (void)events;
    pixi_sqlite_store_turn(s->disk);
    tell_refusing(s);
}

static int open_disk(struct pixi_server_store *s, const struct pixi_server_settings *settings,
                     struct pixi_buf *problem)
{
    struct pixi_sqlite_store_config config = pixi_sqlite_store_config_default;
    struct pixi_policy policies[PIXI_POLICIES_MAX];
    int rc;

    config.path = settings->data_path;
    config.policies = policies;
    config.policy_count = take_policies(settings, policies);
    config.retained_count = settings->limits.retained_count;
    config.retained_bytes = settings->limits.retained_bytes;
    config.wanted_messages = settings->limits.session_messages;
    config.wanted_bytes = settings->limits.session_bytes;
    config.records = UINT32_MAX; /* sessions have a limit of their own */
    config.now_ms = pixi_clock_wall_ms();
    if (getrandom(&config.new_epoch, sizeof config.new_epoch, 0) < 0 ||
        getrandom(config.hash_key, sizeof config.hash_key, 0) < 0)
        return PIXI_E_SYS;
    config.new_epoch |= 1; /* never 0 */
    rc = pixi_sqlite_store_new(&config, &s->disk, problem);
    if (rc != PIXI_OK)
        return rc == PIXI_E_SYS ? PIXI_E_STORAGE : rc;
    tell_found(s, settings->data_path);
    s->watch = (struct pixi_watch){.fd = pixi_sqlite_store_fd(s->disk), .on_ready = on_ready, .owner = s};
    return pixi_loop_watch(s->loop, &s->watch, EPOLLIN);
}

int pixi_server_store_open(struct pixi_server_store *s, struct pixi_loop *loop,
                           const struct pixi_server_settings *settings, bool is_on_disk,
                           struct pixi_buf *problem)
{
    *s = (struct pixi_server_store){.loop = loop};
    return is_on_disk && settings->data_path ? open_disk(s, settings, problem) : make_memory(s, settings);
}

void pixi_server_store_stop(struct pixi_server_store *s)
{
    if (!s->disk)
        return;
    pixi_loop_unwatch(s->loop, &s->watch);
    pixi_sqlite_store_stop(s->disk);
}

void pixi_server_store_close(struct pixi_server_store *s)
{
    pixi_memory_free(s->memory);
    pixi_sqlite_store_free(s->disk);
    s->memory = NULL;
    s->disk = NULL;
}

struct pixi_store *pixi_server_store_calls(const struct pixi_server_store *s)
{
    return s->disk ? pixi_sqlite_store_store(s->disk) : s->memory ? pixi_memory_store(s->memory) : NULL;
}

struct pixi_sqlite_store_stats pixi_server_store_stats(const struct pixi_server_store *s)
{
    struct pixi_memory_stats m;

    if (s->disk)
        return pixi_sqlite_store_stats(s->disk);
    m = pixi_memory_stats(s->memory);
    return (struct pixi_sqlite_store_stats){.messages = m.messages,
                                            .bytes = m.bytes,
                                            .retained = m.retained,
                                            .retained_bytes = m.retained_bytes,
                                            .wanted = m.wanted,
                                            .wanted_bytes = m.wanted_bytes,
                                            .producers = m.producers,
                                            .seqs = m.seqs,
                                            .records = m.records,
                                            .is_full = pixi_memory_is_full(s->memory)};
}
