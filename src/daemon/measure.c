/* measure.c -- how the link is, told to improve.h, and what that says done. A look at other servers is a connection of its
 * own, for one round trip. */
#include "daemon/state.h"

#include "base/log.h"
#include "client/reach.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TICK_MS = 1000,
    TELL_MS = 10000,
    FIRST_ROUND_TRIPS = 5,     /* one a tick, on a new connection */
    ROUND_TRIP_MS = 10000,     /* how often it is measured while there is traffic anyway */
    KEEPALIVE_LEAST_MS = 5000, /* shorter ones are the link's own business */
    KEEPALIVE_MAX_MS = 900000,
    SPARE_MS = 2000, /* by which the link's own ping comes later than ours */
};

struct pixi_daemon_measure {
    struct pixi_daemon *daemon;
    struct pixi_improve improve;
    struct pixi_timer tick;
    uint64_t dialled_ms;           /* when the connection that stands, or is being made, was begun */
    uint64_t pinged_ms, pinged_us; /* the last ping */
    bool is_pinging, was_silent;   /* it is not answered | it was sent after a whole interval of silence */
    uint64_t told_count, tell_count_ms;
    size_t told; /* changes whose end was logged */
    /* the look at another server */
    struct pixi_link link;
    struct pixi_link_limits limits;
    struct pixi_dial dial;
    size_t server;
    uint64_t probe_us, probe_rtt_us;
    bool is_probing;
};

#define OF(member, ptr)                                                                                      \
    ((struct pixi_daemon_measure *)((char *)(ptr)-offsetof(struct pixi_daemon_measure, member)))

static uint64_t keepalive_ms(const struct pixi_daemon *d)
{
    return d->uplink.settings->keepalive.interval_ms;
}

static bool holds_keepalive(const struct pixi_daemon *d)
{
    return d->settings->daemon.improve && keepalive_ms(d) >= KEEPALIVE_LEAST_MS;
}

/* --- pings --------------------------------------------------------------------------------------------------------- */

static void on_pong(struct pixi_uplink *u, void *ctx, const struct pixi_uplink_answer *a)
{
    struct pixi_daemon_measure *m = ctx;

    m->is_pinging = false;
    if (a->failure) {
        if (u->state == PIXI_UPLINK_OPEN && a->failure->err == PIXI_E_TIMEOUT)
            pixi_link_drop(&u->link, PIXI_E_WS_PONG); /* it is gone, and has said nothing */
        return;
    }
    pixi_improve_rtt(&m->improve, pixi_clock_mono_us() - m->pinged_us, u->loop->now_ms);
    if (m->was_silent)
        pixi_improve_survived(&m->improve);
}

static void ping(struct pixi_daemon_measure *m, bool is_silent)
{
    struct pixi_daemon *d = m->daemon;
    struct pixi_json_out w;

    m->pinged_ms = d->loop->now_ms;
    m->pinged_us = pixi_clock_mono_us();
    m->was_silent = is_silent;
    pixi_uplink_begin(&d->uplink, &w, PIXI_RPC_PING);
    m->is_pinging = pixi_uplink_end(&d->uplink, &w, PIXI_RPC_PING, d->uplink.settings->keepalive.timeout_ms,
                                    on_pong, m) == PIXI_OK;
}

static void consider_ping(struct pixi_daemon_measure *m)
{
    struct pixi_daemon *d = m->daemon;
    uint64_t now = d->loop->now_ms, heard = d->uplink.link.heard_ms;
    bool is_first = m->improve.rtt_count_since < FIRST_ROUND_TRIPS;

    if (m->is_pinging)
        return;
    if (holds_keepalive(d) && now - heard >= m->improve.keepalive_ms)
        ping(m, true);
    else if (is_first ||
             (heard > m->pinged_ms && now - m->pinged_ms >= ROUND_TRIP_MS && now - heard < ROUND_TRIP_MS))
        ping(m, false);
}

/* --- a look at another server ----------------------------------------------------------------------------------------- */

static void say_hello(struct pixi_link *k)
{
    struct pixi_daemon_measure *m = OF(link, k);
    const struct pixi_uplink *u = &m->daemon->uplink;

    pixi_reach_hello(k, u->settings, m->server, "pixi.v1", &u->authorization);
}

static void on_probe_open(struct pixi_link *k, struct pixi_cur protocol)
{
    static const char text[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}";
    struct pixi_daemon_measure *m = OF(link, k);

    (void)protocol;
    m->probe_us = pixi_clock_mono_us();
    pixi_link_send(k, PIXI_WS_TEXT, (const uint8_t *)text, sizeof text - 1);
}

static void on_probe_message(struct pixi_link *k, enum pixi_ws_opcode type, uint8_t *bytes, size_t len)
{
    struct pixi_daemon_measure *m = OF(link, k);

    (void)type;
    (void)bytes;
    (void)len;
    m->probe_rtt_us = pixi_clock_mono_us() - m->probe_us;
    pixi_link_close(k, PIXI_WS_CLOSE_DONE, NULL);
}

static void end_probe(struct pixi_daemon_measure *m)
{
    m->is_probing = false;
    pixi_improve_probed(&m->improve, m->server, m->probe_rtt_us, m->daemon->loop->now_ms);
    pixi_log(PIXI_LOG_DEBUG, "improve: %s: round trip %.1f ms",
             m->daemon->uplink.settings->endpoints[m->server].authority, (double)m->probe_rtt_us / 1000);
}

static void on_probe_close(struct pixi_link *k, const struct pixi_link_end *e)
{
    (void)e;
    end_probe(OF(link, k));
}

static const struct pixi_link_handlers probe_handlers = {.on_secured = say_hello,
                                                         .on_open = on_probe_open,
                                                         .on_message = on_probe_message,
                                                         .on_close = on_probe_close};

static void on_probe_dialled(struct pixi_dial *dial, int err)
{
    struct pixi_daemon_measure *m = OF(dial, dial);
    const struct pixi_uplink *u = &m->daemon->uplink;

    if (err != PIXI_OK) {
        end_probe(m);
    } else if (!u->settings->endpoints[m->server].is_tls) {
        say_hello(&m->link);
    } else if (pixi_reach_secure(&m->link, u->settings, m->server, u->tls) != PIXI_OK) {
        pixi_tcp_close(&m->link.tcp);
        end_probe(m);
    }
}

static void consider_probe(struct pixi_daemon_measure *m)
{
    struct pixi_daemon *d = m->daemon;

    if (m->is_probing || !pixi_improve_probe(&m->improve, d->loop->now_ms, &m->server))
        return;
    m->is_probing = true;
    m->probe_rtt_us = 0;
    m->limits = pixi_reach_limits(d->uplink.settings);
    m->dial.on_done = on_probe_dialled;
    pixi_link_init(&m->link, d->loop, PIXI_CLIENT, &probe_handlers, &m->limits);
    pixi_reach_dial(&m->dial, d->loop, &m->link, d->uplink.settings, m->server);
}

static void stop_probe(struct pixi_daemon_measure *m)
{
    if (!m->is_probing)
        return;
    pixi_dial_cancel(&m->dial);
    pixi_link_drop(&m->link, PIXI_E_WS_CLOSED);
    while (m->link.last.is_queued || m->link.tcp.flush.is_queued)
        pixi_loop_turn(m->daemon->loop, 0);
    m->is_probing = false;
}

/* --- changes -------------------------------------------------------------------------------------------------------------- */

static void put_value(const struct pixi_daemon *d, enum pixi_improve_what what, uint64_t v, char out[320])
{
    const struct pixi_settings *s = d->uplink.settings;

    switch (what) {
    case PIXI_IMPROVE_SERVER:
        snprintf(out, 320, "%s", v < s->endpoint_count ? s->endpoints[v].authority : "?");
        break;
    case PIXI_IMPROVE_KEEPALIVE: snprintf(out, 320, "%.0f s", (double)v / 1000); break;
    default: snprintf(out, 320, "%" PRIu64, v); break;
    }
}

static const char *const names[] = {"nothing", "server", "keepalive", "messages under way"};
static const char *const verdicts[] = {"trying", "kept", "undone"};

/* The newest change, each time that something is new about it. */
static void tell_changes(struct pixi_daemon_measure *m)
{
    const struct pixi_improve_change *c = pixi_improve_change_at(&m->improve, 0);
    size_t news = 2 * m->improve.change_count + (c && c->verdict != PIXI_IMPROVE_TRYING);
    char from[320], to[320];

    if (!c || news == m->told)
        return;
    m->told = news;
    put_value(m->daemon, c->what, c->from, from);
    put_value(m->daemon, c->what, c->to, to);
    pixi_log(PIXI_LOG_INFO, "improve: %s: %s instead of %s: %s", names[c->what], to, from,
             verdicts[c->verdict]);
}

static void apply(struct pixi_daemon_measure *m, const struct pixi_improve_step *s)
{
    struct pixi_daemon *d = m->daemon;

    switch (s->what) {
    case PIXI_IMPROVE_SERVER:
        if (s->to < d->uplink.settings->endpoint_count)
            pixi_uplink_move(&d->uplink, (size_t)s->to);
        break;
    case PIXI_IMPROVE_KEEPALIVE: d->uplink.limits.ping_ms = (uint32_t)s->to + SPARE_MS; break;
    case PIXI_IMPROVE_WINDOW:
        if (!d->suspect_seq)
            pixi_outbox_widen(d->outbox, (size_t)s->to);
        break;
    default: break;
    }
}

/* The service manager's line names how many wait: at once when none do any more, else from time to time. */
static void tell_count(struct pixi_daemon_measure *m, uint64_t count)
{
    if (count == m->told_count || (count && m->daemon->loop->now_ms < m->tell_count_ms))
        return;
    m->told_count = count;
    m->tell_count_ms = m->daemon->loop->now_ms + TELL_MS;
    pixi_daemon_changed(m->daemon);
}

static void on_tick(struct pixi_timer *t)
{
    struct pixi_daemon_measure *m = OF(tick, t);
    struct pixi_daemon *d = m->daemon;
    struct pixi_outbox_stats s = pixi_outbox_stats(d->outbox);
    struct pixi_improve_step step;

    if (pixi_daemon_is_linked(d)) {
        consider_ping(m);
        pixi_improve_load(&m->improve, s.stored,
                          s.under_way >= pixi_outbox_window(d->outbox) && s.count > s.under_way,
                          d->loop->now_ms);
        consider_probe(m);
    }
    while (!d->is_draining &&
           pixi_improve_next(&m->improve, d->uplink.call_count == 0, d->loop->now_ms, &step))
        apply(m, &step);
    tell_changes(m);
    tell_count(m, s.count);
    pixi_daemon_write_metrics(d);
    pixi_loop_set_timer(d->loop, &m->tick, TICK_MS);
}

/* --- what happens ------------------------------------------------------------------------------------------------------------ */

static void begin(struct pixi_daemon_measure *m)
{
    const struct pixi_daemon *d = m->daemon;
    struct pixi_improve_config c = {
        .is_on = d->settings->daemon.improve,
        .servers = d->uplink.settings->endpoint_count,
        .keepalive_ms = keepalive_ms(d),
        .keepalive_max_ms = holds_keepalive(d) ? KEEPALIVE_MAX_MS : 0,
        .window = PIXI_OUTBOX_WINDOW,
        .window_max = PIXI_OUTBOX_WINDOW_MAX,
        .probe_ms = d->settings->daemon.probe_s * 1000,
    };

    pixi_improve_init(&m->improve, &c);
    m->told = 0;
}

int pixi_daemon_measure_new(struct pixi_daemon *d)
{
    struct pixi_daemon_measure *m = calloc(1, sizeof *m);

    if (!m)
        return PIXI_E_NOMEM;
    m->daemon = d;
    m->tick.on_due = on_tick;
    m->dialled_ms = d->loop->now_ms;
    d->measure = m;
    begin(m);
    pixi_loop_set_timer(d->loop, &m->tick, TICK_MS);
    return PIXI_OK;
}

void pixi_daemon_measure_free(struct pixi_daemon *d)
{
    if (!d->measure)
        return;
    pixi_loop_cancel_timer(d->loop, &d->measure->tick);
    stop_probe(d->measure);
    free(d->measure);
    d->measure = NULL;
}

void pixi_daemon_measure_set(struct pixi_daemon *d)
{
    if (!d->measure)
        return;
    stop_probe(d->measure);
    begin(d->measure);
    pixi_outbox_widen(d->outbox, d->suspect_seq ? 1 : PIXI_OUTBOX_WINDOW);
    if (pixi_daemon_is_linked(d))
        pixi_daemon_measure_linked(d);
}

void pixi_daemon_measure_linked(struct pixi_daemon *d)
{
    struct pixi_daemon_measure *m = d->measure;

    if (!m)
        return;
    m->is_pinging = false;
    m->pinged_ms = 0;
    m->told_count = pixi_outbox_stats(d->outbox).count; /* the line is told anew now */
    pixi_improve_linked(&m->improve, d->uplink.policy.server, (d->loop->now_ms - m->dialled_ms) * 1000,
                        d->loop->now_ms);
    if (holds_keepalive(d))
        d->uplink.limits.ping_ms = (uint32_t)m->improve.keepalive_ms + SPARE_MS;
}

void pixi_daemon_measure_lost(struct pixi_daemon *d, const struct pixi_failure *f, uint64_t in_ms)
{
    if (!d->measure)
        return;
    d->measure->dialled_ms = d->loop->now_ms + in_ms;
    if (d->linked_ms)
        pixi_improve_lost(&d->measure->improve, f->err == PIXI_E_WS_PONG || f->err == PIXI_E_RESET,
                          d->loop->now_ms);
}

/* --- status ----------------------------------------------------------------------------------------------------------------- */

const struct pixi_improve *pixi_daemon_improve(const struct pixi_daemon *d)
{
    return &d->measure->improve;
}

static void put_change(const struct pixi_daemon *d, struct pixi_json_out *w,
                       const struct pixi_improve_change *c)
{
    char text[320];

    pixi_json_open_object(w);
    pixi_json_name(w, "what");
    pixi_json_text(w, names[c->what]);
    put_value(d, c->what, c->from, text);
    pixi_json_name(w, "from");
    pixi_json_text(w, text);
    put_value(d, c->what, c->to, text);
    pixi_json_name(w, "to");
    pixi_json_text(w, text);
    pixi_json_name(w, "verdict");
    pixi_json_text(w, verdicts[c->verdict]);
    pixi_json_name(w, "time_ms");
    pixi_json_number(w, pixi_clock_wall_ms() - (d->loop->now_ms - c->at_ms));
    pixi_json_name(w, "before");
    pixi_json_number(w, c->before);
    pixi_json_name(w, "after");
    pixi_json_number(w, c->after);
    pixi_json_close_object(w);
}

static void put_gain(struct pixi_json_out *w, const char *name, const struct pixi_gain *g)
{
    const struct {
        const char *name;
        uint64_t v;
    } rows[] = {{"messages", g->messages},
                {"compressed", g->packed},
                {"before_bytes", g->before},
                {"after_bytes", g->after}};

    pixi_json_name(w, name);
    pixi_json_open_object(w);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pixi_json_name(w, rows[i].name);
        pixi_json_number(w, rows[i].v);
    }
    pixi_json_close_object(w);
}

/* null where the settings want none. */
static void put_compression(const struct pixi_daemon *d, struct pixi_json_out *w)
{
    const struct pixi_packer *p = &d->uplink.packer;

    pixi_json_name(w, "compression");
    if (!d->uplink.settings->compression) {
        pixi_json_null(w);
        return;
    }
    pixi_json_open_object(w);
    pixi_json_name(w, "agreed");
    pixi_json_bool(w, d->uplink.link.pack_max > 0);
    put_gain(w, "sent", &p->sent);
    put_gain(w, "received", &p->received);
    pixi_json_name(w, "memory_bytes");
    pixi_json_number(w, pixi_packer_memory(p));
    pixi_json_close_object(w);
}

void pixi_daemon_put_measure(const struct pixi_daemon *d, struct pixi_json_out *w)
{
    const struct pixi_improve *i = &d->measure->improve;
    const struct {
        const char *name;
        uint64_t us;
    } rows[] = {{"connect_ms", i->connect_us},
                {"round_trip_p50_ms", pixi_improve_percentile(i, 50)},
                {"round_trip_p99_ms", pixi_improve_percentile(i, 99)},
                {"jitter_ms", pixi_improve_jitter(i)}};
    const struct pixi_improve_change *c;

    pixi_json_name(w, "measured");
    pixi_json_open_object(w);
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        pixi_json_name(w, rows[k].name);
        pixi_json_milli(w, rows[k].us);
    }
    pixi_json_name(w, "keepalive_ms");
    pixi_json_number(w, i->keepalive_ms);
    pixi_json_name(w, "window");
    pixi_json_number(w, pixi_outbox_window(d->outbox));
    put_compression(d, w);
    pixi_json_close_object(w);
    pixi_json_name(w, "improvements");
    pixi_json_open_array(w);
    for (size_t k = 0; (c = pixi_improve_change_at(i, k)); k++)
        put_change(d, w, c);
    pixi_json_close_array(w);
}
