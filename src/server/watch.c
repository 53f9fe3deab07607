/* watch.c -- connections that take too long over something, and the count of what was refused. */
#include "base/log.h"
#include "server/mqtt.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    LINES_A_SECOND = 20, /* about what peers do wrong: they must not fill the disk */
    SWEEP_MIN_MS = 10,
    SWEEP_MAX_MS = 5000,
};

static void tell_untold(struct pixi_server *s)
{
    if (s->refusals.untold)
        pixi_log(PIXI_LOG_WARNING, "refused: %u more in that second; /metrics counts them all",
                 s->refusals.untold);
    s->refusals.told = s->refusals.untold = 0;
    s->refusals.second = s->loop->now_ms / 1000;
}

bool pixi_server_may_log(struct pixi_server *s)
{
    if (s->refusals.second != s->loop->now_ms / 1000)
        tell_untold(s);
    if (s->refusals.told >= LINES_A_SECOND) {
        s->refusals.untold++;
        return false;
    }
    s->refusals.told++;
    return true;
}

void pixi_server_count_refused(struct pixi_server *s, enum pixi_refused reason, const char *from,
                               const char *format, ...)
{
    char text[512];
    va_list args;

    s->counters.refused[reason]++;
    if (!pixi_server_may_log(s))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pixi_log(reason <= PIXI_REFUSED_MEMORY ? PIXI_LOG_WARNING : PIXI_LOG_INFO, "%s: refused: %s", from, text);
}

static void end(struct pixi_conn *c, enum pixi_refused reason, uint16_t code, const char *why)
{
    pixi_server_count_refused(c->server, reason, c->from, "%s; closing with %u", why, code);
    pixi_conn_close(c, code, why);
}

void pixi_conn_close(struct pixi_conn *c, uint16_t code, const char *why)
{
    static const struct {
        uint16_t code;
        enum pixi_mqtt_reason reason;
    } rows[] = {
        {PIXI_WS_CLOSE_LATER, PIXI_MQTT_R_QUOTA},
        {PIXI_WS_CLOSE_TIMEOUT, PIXI_MQTT_R_ADMINISTRATIVE},
    };
    enum pixi_mqtt_reason reason = PIXI_MQTT_R_UNSPECIFIED;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].code == code)
            reason = rows[i].reason;
    if (c->mqtt)
        pixi_mqtt_disconnect(c, reason, code, why);
    else
        pixi_link_close(&c->link, code, why);
}

/* Has nothing of what waits left for so long? */
static bool stands_still(struct pixi_conn *c, uint64_t now_ms, uint64_t stall_ms)
{
    const struct pixi_tcp *t = &c->link.tcp;

    if (t->sent != c->sent || pixi_link_waiting(&c->link) == 0) {
        c->sent = t->sent;
        c->sent_ms = now_ms;
    }
    return stall_ms && now_ms - c->sent_ms >= stall_ms;
}

/* Does it want nothing, and has it said nothing but pings and pongs for so long? */
static bool is_idle(const struct pixi_conn *c, uint64_t now_ms, uint64_t idle_ms)
{
    size_t sub_count = c->mqtt && c->mqtt->session ? c->mqtt->session->peer.sub_count : c->peer.sub_count;

    return idle_ms && now_ms - c->active_ms >= idle_ms && sub_count == 0 && c->call_count == 0;
}

static void look_at(struct pixi_conn *c, uint64_t now_ms)
{
    const struct pixi_server_settings *set = c->server->settings;
    bool is_still = stands_still(c, now_ms, set->limits.stall_ms);
    uint64_t begun_ms = c->mqtt && c->mqtt->begun_ms ? c->mqtt->begun_ms : c->link.begun_ms;

    if (c->link.state != PIXI_LINK_OPEN)
        return; /* the link has a time for everything else */
    if (begun_ms && set->limits.message_ms && now_ms - begun_ms >= set->limits.message_ms)
        end(c, PIXI_REFUSED_MESSAGE_MS, PIXI_WS_CLOSE_TIMEOUT, "a message took too long to come");
    else if (is_still)
        end(c, PIXI_REFUSED_STALL_MS, PIXI_WS_CLOSE_LATER, "too slow a reader: nothing left for too long");
    else if (is_idle(c, now_ms, set->limits.idle_ms))
        end(c, PIXI_REFUSED_IDLE_MS, PIXI_WS_CLOSE_TIMEOUT, "idle for too long");
}

static uint64_t least(const struct pixi_server_settings *set)
{
    const uint64_t times[] = {set->limits.message_ms, set->limits.stall_ms, set->limits.idle_ms};
    uint64_t out = UINT64_MAX;

    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        if (times[i] && times[i] < out)
            out = times[i];
    return out;
}

static void on_sweep(struct pixi_timer *t)
{
    struct pixi_server *s = (struct pixi_server *)((char *)t - offsetof(struct pixi_server, sweep));

    if (s->refusals.untold && s->refusals.second != s->loop->now_ms / 1000)
        tell_untold(s);
    for (struct pixi_list *l = s->conns.next; l != &s->conns; l = l->next)
        look_at(PIXI_LIST_ITEM(l, struct pixi_conn, in_server), s->loop->now_ms);
    pixi_server_set_sweep(s);
}

void pixi_server_set_sweep(struct pixi_server *s)
{
    uint64_t in_ms = least(s->settings) / 4;

    s->sweep.on_due = on_sweep;
    if (in_ms < SWEEP_MIN_MS)
        in_ms = SWEEP_MIN_MS;
    pixi_loop_set_timer(s->loop, &s->sweep, in_ms > SWEEP_MAX_MS ? SWEEP_MAX_MS : in_ms);
}
