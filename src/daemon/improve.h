/* improve.h -- measures one link and says what would make it better: another server, a longer keepalive interval, more
 * messages under way. One change at a time, measured before and after, undone if it is no better. Pure: whoever uses it
 * tells what happens, and does what pixi_improve_next says. Time is an argument. */
#ifndef PIXI_DAEMON_IMPROVE_H
#define PIXI_DAEMON_IMPROVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PIXI_IMPROVE_SERVERS = 8,
    PIXI_IMPROVE_SAMPLES = 128, /* round trips that are kept */
    PIXI_IMPROVE_CHANGES = 8,   /* changes that are remembered */
};

enum pixi_improve_what {
    PIXI_IMPROVE_NOTHING,
    PIXI_IMPROVE_SERVER,
    PIXI_IMPROVE_KEEPALIVE,
    PIXI_IMPROVE_WINDOW
};

enum pixi_improve_verdict { PIXI_IMPROVE_TRYING, PIXI_IMPROVE_KEPT, PIXI_IMPROVE_UNDONE };

/* A change and what came of it. The measure is: of a server and of a window the round trip, µs, and messages a second; of a
 * keepalive interval how often the silence was survived. */
struct pixi_improve_change {
    enum pixi_improve_what what;
    enum pixi_improve_verdict verdict;
    uint64_t from, to, at_ms;
    uint64_t before, after; /* the measure */
};

/* What is to be done now. */
struct pixi_improve_step {
    enum pixi_improve_what what;
    uint64_t to;     /* index of the server, ms, messages */
    bool is_undoing; /* the change before it was no good */
};

struct pixi_improve_config {
    bool is_on;
    size_t servers;
    uint64_t keepalive_ms, keepalive_max_ms; /* the settings' interval, and the longest that is tried */
    uint64_t window, window_max;
    uint64_t probe_ms; /* how often another server is looked at */
};

struct pixi_improve {
    struct pixi_improve_config config;
    uint64_t keepalive_ms, window; /* as they are */
    size_t server;
    bool is_linked;
    uint64_t linked_ms;  /* since when */
    uint64_t connect_us; /* that the last connect took */
    uint64_t connects, silent;
    /* round trips, a ring */
    uint32_t rtt_us[PIXI_IMPROVE_SAMPLES];
    size_t rtt_count, rtt_next;
    uint64_t rtt_sum_since; /* of the trial, or since it was last looked */
    size_t rtt_count_since;
    /* keepalive */
    unsigned survived;         /* silences of a whole interval, since it was changed or the connection made */
    uint64_t keepalive_bad_ms; /* the shortest that was not survived; 0: none is known */
    uint64_t retry_at_ms;      /* when that is forgotten */
    /* load */
    uint64_t load_at_ms, load_stored; /* at the last look */
    uint64_t rate;                    /* messages a second */
    unsigned loaded;                  /* looks in a row at which all that may be under way was */
    uint64_t window_bad, quiet_since_ms;
    /* other servers */
    struct {
        uint64_t rtt_us;           /* smoothed; 0: not known, or gone */
        unsigned better;           /* probes in a row that found it much better than ours */
        uint64_t shunned_until_ms; /* it was tried, and was no better */
    } servers[PIXI_IMPROVE_SERVERS];
    uint64_t probe_at_ms;
    size_t probe_next;
    /* the trial under way is the newest change */
    bool is_trying;
    bool is_undo_due; /* it was no good, and that is to be done */
    struct pixi_improve_change changes[PIXI_IMPROVE_CHANGES];
    size_t change_count; /* ever; the newest is at (change_count - 1) % PIXI_IMPROVE_CHANGES */
};

void pixi_improve_init(struct pixi_improve *i, const struct pixi_improve_config *config);

/* What happens. */
void pixi_improve_linked(struct pixi_improve *i, size_t server, uint64_t connect_us, uint64_t now_ms);
/* is_silent: nothing had been heard for a time when it turned out to be gone. */
void pixi_improve_lost(struct pixi_improve *i, bool is_silent, uint64_t now_ms);
void pixi_improve_rtt(struct pixi_improve *i, uint64_t us, uint64_t now_ms);
/* After a silence of a whole interval the link was still there. */
void pixi_improve_survived(struct pixi_improve *i);
/* Every second or so: messages stored ever, and whether as many were under way as may be. */
void pixi_improve_load(struct pixi_improve *i, uint64_t stored, bool is_full, uint64_t now_ms);
/* Another server was looked at; rtt_us 0: it could not be reached. */
void pixi_improve_probed(struct pixi_improve *i, size_t server, uint64_t rtt_us, uint64_t now_ms);

/* pixi_improve_next -- what to do now. A server only while is_quiet: nothing is under way that a new connection would
 * disturb. false: nothing. */
bool pixi_improve_next(struct pixi_improve *i, bool is_quiet, uint64_t now_ms, struct pixi_improve_step *out);

/* pixi_improve_probe -- is another server to be looked at now? Which. */
bool pixi_improve_probe(struct pixi_improve *i, uint64_t now_ms, size_t *server);

/* pixi_improve_percentile -- of the round trips kept, µs; 0: there are none. percent 0 .. 100.
 * pixi_improve_jitter -- their mean change from one to the next. */
uint64_t pixi_improve_percentile(const struct pixi_improve *i, unsigned percent);
uint64_t pixi_improve_jitter(const struct pixi_improve *i);

/* pixi_improve_change_at -- the newest (0), the one before (1) ...; NULL: not that many are known. */
const struct pixi_improve_change *pixi_improve_change_at(const struct pixi_improve *i, size_t back);

#endif
