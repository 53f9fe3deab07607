/* status.c -- how the daemon is: what `status` answers. */
#include "daemon/state.h"

#include <stdlib.h>
#include <unistd.h>

static void put_text(struct pixi_json_out *w, const char *name, const char *text)
{
    pixi_json_name(w, name);
    if (text)
        pixi_json_text(w, text);
    else
        pixi_json_null(w);
}

static void put_number(struct pixi_json_out *w, const char *name, uint64_t v)
{
    pixi_json_name(w, name);
    pixi_json_number(w, v);
}

static const char *link_word(const struct pixi_daemon *d)
{
    switch (d->uplink.state) {
    case PIXI_UPLINK_OPEN: return "open";
    case PIXI_UPLINK_DIALLING:
    case PIXI_UPLINK_OPENING: return "connecting";
    case PIXI_UPLINK_WAITING: return "waiting";
    case PIXI_UPLINK_CLOSING: return "closing";
    default: return "stopped";
    }
}

static void put_link(const struct pixi_daemon *d, struct pixi_json_out *w)
{
    const struct pixi_settings *s = d->uplink.settings;
    bool is_open = pixi_daemon_is_linked(d);

    pixi_json_name(w, "link");
    pixi_json_open_object(w);
    put_text(w, "state", link_word(d));
    put_text(w, "server", s->endpoint_count ? s->endpoints[d->uplink.policy.server].authority : NULL);
    put_number(w, "since_ms", is_open ? pixi_clock_wall_ms() - (d->loop->now_ms - d->linked_ms) : 0);
    put_number(w, "connects", d->counters.connects);
    put_number(w, "losses", d->counters.losses);
    put_number(w, "silent_losses", d->counters.silent);
    pixi_json_close_object(w);
}

static void put_outbox(const struct pixi_daemon *d, struct pixi_json_out *w)
{
    struct pixi_outbox_stats s = pixi_outbox_stats(d->outbox);
    uint64_t now_ms = pixi_daemon_now(d).ms;
    const struct {
        const char *name;
        uint64_t v;
    } rows[] = {{"messages", s.count},
                {"bytes", s.bytes},
                {"limit_bytes", d->settings->outbox.bytes},
                {"under_way", s.under_way},
                {"oldest_ms", s.oldest_ms && s.oldest_ms < now_ms ? now_ms - s.oldest_ms : 0},
                {"accepted", s.accepted},
                {"stored", s.stored},
                {"refused_full", s.refused_full},
                {"failed", s.failed},
                {"put_off", d->counters.put_off},
                {"dropped", s.dropped},
                {"expired", s.expired},
                {"rejected", s.rejected},
                {"in_doubt", s.in_doubt},
                {"commits", s.commits}};

    pixi_json_name(w, "outbox");
    pixi_json_open_object(w);
    put_text(w, "path", d->settings->outbox_path);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        put_number(w, rows[i].name, rows[i].v);
    put_text(w, "disk", s.is_damaged ? "damaged" : s.is_failing ? "failing" : "ok");
    pixi_json_close_object(w);
}

static void put_failure(const struct pixi_daemon *d, struct pixi_json_out *w)
{
    const struct pixi_failure *f = &d->last_failure;

    pixi_json_name(w, "last_error");
    if (!d->failed_wall_ms) {
        pixi_json_null(w);
        return;
    }
    pixi_json_open_object(w);
    put_number(w, "time_ms", d->failed_wall_ms);
    put_text(w, "layer", f->layer);
    put_text(w, "cause", f->cause);
    put_text(w, "fix", f->fix);
    put_text(w, "error", pixi_err_name(f->err));
    put_number(w, "exit", (uint64_t)f->exit_code);
    pixi_json_close_object(w);
}

/* Programs that are not read from until they have read what they were answered. */
static uint64_t count_deaf(const struct pixi_daemon *d)
{
    uint64_t count = 0;

    for (struct pixi_list *l = d->conns.next; l != &d->conns; l = l->next) {
        const struct pixi_daemon_conn *c = PIXI_LIST_ITEM(l, struct pixi_daemon_conn, in_daemon);

        count += c->tcp.is_paused && pixi_tcp_waiting(&c->tcp) > 0;
    }
    return count;
}

void pixi_daemon_put_status(struct pixi_daemon *d, struct pixi_json_out *w)
{
    pixi_json_open_object(w);
    put_text(w, "version", PIXI_VERSION);
    put_number(w, "pid", (uint64_t)getpid());
    put_number(w, "uptime_ms", d->loop->now_ms - d->started_ms);
    put_link(d, w);
    put_outbox(d, w);
    pixi_json_name(w, "programs");
    pixi_json_open_object(w);
    put_number(w, "connected", d->conn_count);
    put_number(w, "subscriptions", d->filter_count);
    put_number(w, "not_reading", count_deaf(d));
    put_number(w, "messages_skipped", d->counters.skipped);
    pixi_json_close_object(w);
    pixi_daemon_put_measure(d, w);
    put_failure(d, w);
    pixi_json_close_object(w);
}

void pixi_daemon_put_line(const struct pixi_daemon *d, struct pixi_buf *out)
{
    const struct pixi_settings *s = d->uplink.settings;
    struct pixi_outbox_stats stats = pixi_outbox_stats(d->outbox);

    if (pixi_daemon_is_linked(d))
        pixi_buf_putf(out, "connected to %s", s->endpoints[d->uplink.policy.server].authority);
    else
        pixi_buf_putf(out, "not connected (%s)", d->failed_wall_ms ? d->last_failure.layer : link_word(d));
    pixi_buf_putf(out, ", %llu messages wait", (unsigned long long)stats.count);
}
