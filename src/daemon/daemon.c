#include "daemon/state.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- the outbox ---------------------------------------------------------------------------------------------------- */

static struct pixi_outbox_options outbox_options(const struct pixi_settings *s)
{
    return (struct pixi_outbox_options){
        .path = s->outbox_path,
        .bytes = s->outbox.bytes,
        .age_ms = s->outbox.age_s * 1000,
        .late_ms = s->outbox.late_s * 1000,
        .when_full = (enum pixi_outbox_when_full)s->outbox.when_full,
        .wall_ms = pixi_clock_wall_ms(),
        .has_thread = true,
    };
}

static void put_uuid(const uint8_t bytes[PIXI_OUTBOX_PRODUCER], char out[37])
{
    for (size_t i = 0; i < PIXI_OUTBOX_PRODUCER; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        out += snprintf(out, 3, "%02x", bytes[i]);
    }
}

/* Each line of notes to the log. */
static void log_notes(struct pixi_cur notes)
{
    while (notes.p != notes.end) {
        const uint8_t *end = memchr(notes.p, '\n', pixi_cur_left(&notes));
        int len = (int)((end ? end : notes.end) - notes.p);

        pixi_log(PIXI_LOG_WARNING, "outbox: %.*s", len, (const char *)notes.p);
        notes.p = end ? end + 1 : notes.end;
    }
}

static int open_outbox(struct pixi_daemon *d, struct pixi_buf *problem)
{
    struct pixi_outbox_options o = outbox_options(d->settings);
    int rc = pixi_outbox_open(&o, &pixi_daemon_outbox_calls, d, &d->outbox, problem);

    if (rc != PIXI_OK)
        return rc;
    log_notes(pixi_buf_cur(problem));
    pixi_buf_reset(problem);
    d->base_ms = pixi_outbox_start_ms(d->outbox) - d->loop->now_ms;
    put_uuid(pixi_outbox_producer(d->outbox), d->producer);
    return PIXI_OK;
}

void pixi_daemon_note_disk(struct pixi_daemon *d)
{
    struct pixi_outbox_stats s = pixi_outbox_stats(d->outbox);

    if (s.is_failing == d->is_disk_failing)
        return;
    d->is_disk_failing = s.is_failing;
    if (!s.is_failing)
        pixi_log(PIXI_LOG_INFO, "outbox: the disk works again");
    else if (s.is_damaged)
        pixi_log(PIXI_LOG_ERROR, "outbox: the file is damaged: messages are refused with -32006; fix: start "
                                 "the daemon again, which repairs it");
    else
        pixi_log(PIXI_LOG_ERROR,
                 "outbox: the disk fails (%s): messages are refused with -32006 until it works; fix: free "
                 "space on it, or see what ails it",
                 s.why);
}

/* --- settings -------------------------------------------------------------------------------------------------------- */

static void free_settings(struct pixi_settings *s)
{
    if (!s)
        return;
    pixi_settings_clear(s);
    free(s);
}

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Would these make the same connection? */
static bool is_same_link(const struct pixi_settings *a, const struct pixi_settings *b)
{
    for (size_t i = 0; i < pixi_settings_table.count; i++) {
        const char *path = pixi_settings_table.rows[i].path;

        if (!has_prefix(path, "daemon.") && !has_prefix(path, "outbox.") && !has_prefix(path, "$schema") &&
            !pixi_conf_is_same(&a->conf, &b->conf, i))
            return false;
    }
    return (a->key == NULL) == (b->key == NULL) && (!a->key || strcmp(a->key, b->key) == 0);
}

static void tell_at_start(const struct pixi_settings *was, const struct pixi_settings *is)
{
    for (size_t i = 0; i < pixi_settings_table.count; i++) {
        const struct pixi_conf_row *row = &pixi_settings_table.rows[i];

        if (row->flags & PIXI_CONF_AT_START && !pixi_conf_is_same(&was->conf, &is->conf, i))
            pixi_log(PIXI_LOG_WARNING, "%s was changed: that holds from the next start", row->path);
    }
}

void pixi_daemon_take_settings(struct pixi_daemon *d)
{
    d->is_restarting = false;
    if (d->link_settings != d->settings)
        free_settings(d->link_settings);
    d->link_settings = d->settings;
    d->uplink.settings = d->settings;
}

/* The longest line to a program: a message, whose payload may be base64, or the newest that were refused. */
static size_t line_max(const struct pixi_settings *settings)
{
    return settings->limits.message_bytes * 2 + (1 << 20);
}

void pixi_daemon_reload(struct pixi_daemon *d, struct pixi_settings *settings)
{
    struct pixi_outbox_options o = outbox_options(settings);
    struct pixi_settings *was = d->settings;
    bool is_other;

    tell_at_start(was, settings);
    is_other = was->daemon.improve != settings->daemon.improve;
    d->settings = settings;
    d->line.max = line_max(settings);
    pixi_daemon_allow_anew(d);
    pixi_outbox_set(d->outbox, &o);
    pixi_log_set_level((enum pixi_log_level)settings->daemon.log_level);
    pixi_log_set_format((enum pixi_log_format)settings->daemon.log_format);
    if (was != d->link_settings)
        free_settings(was);
    if (is_other)
        pixi_daemon_measure_set(d);
    if (d->uplink.state == PIXI_UPLINK_IDLE || !is_same_link(d->link_settings, settings))
        pixi_daemon_relink(d);
}

/* --- starting and stopping ------------------------------------------------------------------------------------------- */

static void on_drain_due(struct pixi_timer *t)
{
    struct pixi_daemon *d = (struct pixi_daemon *)((char *)t - offsetof(struct pixi_daemon, drain));
    void (*on_idle)(void *) = d->on_idle;

    d->on_idle = NULL;
    if (on_idle)
        on_idle(d->idle_ctx);
}

static void begin(struct pixi_daemon *d, struct pixi_loop *loop, struct pixi_settings *settings)
{
    d->loop = loop;
    d->settings = d->link_settings = settings;
    d->lock_fd = -1;
    d->started_ms = loop->now_ms;
    d->line = pixi_buf_init(line_max(settings));
    d->drain.on_due = on_drain_due;
    d->last_number = pixi_clock_wall_ms() << 20; /* numbers of another run are never met */
    pixi_list_init(&d->conns);
    pixi_list_init(&d->filters);
    for (size_t i = 0; i < PIXI_DAEMON_BUCKETS; i++) {
        pixi_list_init(&d->buckets[i]);
        pixi_list_init(&d->filter_buckets[i]);
    }
}

int pixi_daemon_new(struct pixi_loop *loop, const struct pixi_daemon_options *options,
                    struct pixi_daemon **out, struct pixi_buf *problem)
{
    struct pixi_daemon *d = calloc(1, sizeof *d);
    int rc;

    if (!d) {
        free_settings(options->settings);
        return PIXI_E_NOMEM;
    }
    begin(d, loop, options->settings);
    rc = open_outbox(d, problem);
    if (rc == PIXI_OK)
        rc = pixi_daemon_link_up(d, problem);
    if (rc == PIXI_OK)
        rc = pixi_daemon_listen(d, options->socket_fd, problem);
    if (rc != PIXI_OK) {
        pixi_daemon_free(d);
        return rc;
    }
    *out = d;
    return PIXI_OK;
}

void pixi_daemon_drain(struct pixi_daemon *d, void (*on_idle)(void *ctx), void *ctx)
{
    if (d->is_draining)
        return;
    d->is_draining = true;
    d->on_idle = on_idle;
    d->idle_ctx = ctx;
    pixi_daemon_unlisten(d);
    pixi_loop_set_timer(d->loop, &d->drain, d->settings->daemon.drain_ms);
    pixi_loop_defer(d->loop, &d->pump); /* which looks whether there is anything to be waited for */
}

/* Connections go in tasks of the loop. */
static void close_conns(struct pixi_daemon *d)
{
    bool is_over = false;

    while (!pixi_list_is_empty(&d->conns))
        pixi_daemon_close_conn(PIXI_LIST_ITEM(d->conns.next, struct pixi_daemon_conn, in_daemon));
    while (!is_over) {
        pixi_loop_turn(d->loop, 0);
        is_over = true;
        for (size_t i = 0; i < PIXI_DAEMON_BUCKETS; i++)
            is_over = is_over && pixi_list_is_empty(&d->buckets[i]);
    }
}

/* The closing handshake is held, if the server takes part in time; calls that wait are answered. */
static void close_link(struct pixi_daemon *d)
{
    uint64_t until = pixi_clock_mono_ms() + d->uplink.settings->timeouts.close_ms;

    if (d->uplink.state != PIXI_UPLINK_IDLE)
        pixi_uplink_close(&d->uplink);
    while (d->uplink.state != PIXI_UPLINK_IDLE) {
        if (pixi_clock_mono_ms() >= until)
            pixi_uplink_give_up(&d->uplink);
        pixi_loop_turn(d->loop, 50);
    }
}

void pixi_daemon_free(struct pixi_daemon *d)
{
    if (!d)
        return;
    d->is_draining = true;
    d->on_idle = NULL;
    pixi_daemon_unlisten(d);
    pixi_loop_cancel_timer(d->loop, &d->drain);
    if (d->uplink.loop)
        close_link(d);
    pixi_daemon_measure_free(d);
    pixi_loop_cancel_timer(d->loop, &d->restart);
    pixi_loop_cancel_timer(d->loop, &d->outbox_timer);
    if (d->outbox_watch.is_watched)
        pixi_loop_unwatch(d->loop, &d->outbox_watch);
    pixi_outbox_close(d->outbox); /* what is answered by that is still said */
    d->outbox = NULL;
    close_conns(d);
    if (d->uplink.loop)
        pixi_uplink_clear(&d->uplink);
    free(d->requests);
    pixi_buf_clear(&d->line);
    pixi_buf_clear(&d->server_info);
    if (d->link_settings != d->settings)
        free_settings(d->link_settings);
    free_settings(d->settings);
    free(d);
}

const char *pixi_daemon_socket(const struct pixi_daemon *d)
{
    return d->socket_path;
}

void pixi_daemon_on_change(struct pixi_daemon *d, void (*on_change)(void *ctx), void *ctx)
{
    d->on_change = on_change;
    d->change_ctx = ctx;
}
