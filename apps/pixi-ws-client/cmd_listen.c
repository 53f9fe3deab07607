#include "pixi-ws-client/cmd.h"

#include <stdio.h>

enum { COUNT, NO_RETAINED, REPLY, RETRY, BATCH_MS, LATEST, DIRECT };

struct listen {
    struct session session;
    struct pixi_buf line;
    const char *reply;
    uint64_t count, seen;
    bool retries;
    struct pixi_uplink_how how;
    char **filters;
    int filter_count;
    unsigned standing;
};

static struct listen *listen_of(struct pixi_uplink *c)
{
    return (struct listen *)((char *)session_of(c) - offsetof(struct listen, session));
}

static void put_text_of(struct pixi_json_out *w, const struct pixi_rpc_params *p)
{
    if (p->is_json || p->payload.p == p->payload.end ||
        !pixi_utf8_is_valid(p->payload.p, pixi_cur_left(&p->payload)))
        return;
    pixi_json_name(w, "payload_text");
    pixi_json_string(w, p->payload);
}

static void put_message(struct pixi_json_out *w, const struct pixi_rpc_params *p)
{
    pixi_json_open_object(w);
    pixi_json_name(w, "topic");
    pixi_json_string(w, p->topic);
    pixi_rpc_put_payload(w, p->payload, p->is_json);
    put_text_of(w, p);
    pixi_json_name(w, "filter");
    pixi_json_string(w, p->filter);
    if (p->position.offset)
        pixi_rpc_put_position(w, p->position);
    pixi_json_name(w, "time_ms");
    pixi_json_number(w, p->time_ms);
    if (p->retained) {
        pixi_json_name(w, "retained");
        pixi_json_bool(w, true);
    }
    pixi_rpc_put_headers(w, p->headers);
    if (p->seen & PIXI_RPC_HAS_REQUEST)
        pixi_rpc_put_hex(w, "request", p->request);
    pixi_json_close_object(w);
}

static void reply(struct pixi_uplink *c, const struct listen *l, uint64_t request)
{
    if (pixi_uplink_reply(c, request, pixi_cur_str(l->reply), NULL) != PIXI_OK)
        note("a reply could not be sent");
}

static void on_message(struct pixi_uplink *c, const struct pixi_uplink_message *m)
{
    struct listen *l = listen_of(c);
    struct pixi_json_out w = pixi_json_out_init(&l->line);

    if (l->session.is_over || (l->count && l->seen == l->count))
        return;
    progress_hide();
    pixi_buf_reset(&l->line);
    put_message(&w, &m->p);
    pixi_buf_put_str(&l->line, "\n");
    if (l->reply && m->p.seen & PIXI_RPC_HAS_REQUEST)
        reply(c, l, m->p.request);
    if (l->line.err || fwrite(l->line.bytes, 1, l->line.len, stdout) != l->line.len || fflush(stdout) != 0) {
        session_finish(&l->session, tell_output(l->session.app));
        return;
    }
    if (++l->seen == l->count)
        session_finish(&l->session, 0);
}

static void on_connect(struct pixi_uplink *c)
{
    const struct pixi_url *u = &c->settings->endpoints[c->policy.server];

    note("connected to %s://%s%s", u->is_tls ? "wss" : "ws", u->authority, u->target);
}

static void on_subscribed(struct pixi_uplink *c, const struct pixi_uplink_sub *sub, bool is_again,
                          bool is_recovered)
{
    (void)c;
    if (!is_again)
        note("listening to %s", sub->filter);
    else if (is_recovered)
        note("listening to %s again: nothing was missed", sub->filter);
    else
        note("listening to %s again: history lost; messages since the connection was cut may be missing",
             sub->filter);
}

static void on_unsubscribed(struct pixi_uplink *c, const struct pixi_uplink_sub *sub,
                            const struct pixi_failure *f)
{
    struct listen *l = listen_of(c);

    (void)sub;
    print_failure(l->session.app, f);
    if (--l->standing == 0)
        session_finish(&l->session, f->exit_code);
    else
        note("%s: no longer listened to", sub->filter);
}

static void on_lost(struct pixi_uplink *c, const struct pixi_failure *f, uint64_t in_ms)
{
    note_lost(c, f, in_ms);
}

static void on_end(struct pixi_uplink *c, const struct pixi_failure *f)
{
    session_end(session_of(c), f);
}

static const struct pixi_uplink_handlers handlers = {
    .on_connect = on_connect,
    .on_message = on_message,
    .on_subscribed = on_subscribed,
    .on_unsubscribed = on_unsubscribed,
    .on_lost = on_lost,
    .on_end = on_end,
};

/* The daemon has no batches: not by that way then. */
static int read_batch_ms(const char *value, struct listen *l)
{
    uint64_t ms;

    if (!read_count("--batch-ms", value, &ms))
        return PIXI_EXIT_USAGE;
    if (ms > PIXI_RPC_BATCH_MS_MAX)
        return cli_usage_error(cli_command_of("listen"), "--batch-ms is at most 10000");
    l->how.batch_ms = (uint32_t)ms;
    l->session.app->may_use_daemon = false;
    return 0;
}

static int take_option(struct listen *l, int option, const char *value)
{
    switch (option) {
    case COUNT: return read_count("--count", value, &l->count) ? 0 : PIXI_EXIT_USAGE;
    case NO_RETAINED: l->how.wants_retained = false; return 0;
    case REPLY: l->reply = value; return 0;
    case BATCH_MS: return read_batch_ms(value, l);
    case LATEST: l->how.is_latest = true; return 0;
    case DIRECT: l->session.app->may_use_daemon = false; return 0;
    default: l->retries = true; return 0;
    }
}

static int read_options(struct listen *l, int argc, char **argv)
{
    const char *value;
    int option, index = 0, rc = 0;

    while (rc == 0 && (option = cli_next(cli_command_of("listen"), argc, argv, &index, &value)) != CLI_END) {
        if (option < 0)
            return option == CLI_HELP ? -1 : PIXI_EXIT_USAGE;
        rc = take_option(l, option, value);
    }
    if (rc == 0 && l->how.is_latest && !l->how.batch_ms)
        rc = cli_usage_error(cli_command_of("listen"), "--latest goes with --batch-ms");
    l->filters = argv + index;
    l->filter_count = argc - index;
    for (int i = 0; rc == 0 && i < l->filter_count; i++)
        rc = check_filter(l->session.app, l->filters[i]);
    return rc;
}

static int subscribe_all(struct listen *l)
{
    const struct pixi_conf_strings *set = &l->session.settings.subscriptions;
    const struct pixi_cur *at = set->at;

    for (int i = 0; i < l->filter_count; i++, l->standing++)
        if (pixi_uplink_subscribe(&l->session.client, l->filters[i], &l->how) != PIXI_OK)
            return PIXI_EXIT_INTERNAL;
    for (size_t i = 0; l->filter_count == 0 && i < set->count; i++, l->standing++)
        if (pixi_uplink_subscribe(&l->session.client, (const char *)at[i].p, &l->how) != PIXI_OK)
            return PIXI_EXIT_INTERNAL;
    if (l->standing > 0)
        return 0;
    return cli_usage_error(cli_command_of("listen"),
                           "expected a filter, or \"subscriptions\" in the settings");
}

int cmd_listen(struct app *app, int argc, char **argv)
{
    struct listen l = {.session.app = app, .how.wants_retained = true};
    int exit_code;

    app->may_use_daemon = true;
    exit_code = read_options(&l, argc, argv);

    if (exit_code)
        return exit_code < 0 ? 0 : exit_code;
    exit_code = session_open(&l.session, app, &handlers,
                             l.retries ? PIXI_RETRY_LOST | PIXI_RETRY_FIRST : PIXI_RETRY_LOST);
    if (exit_code)
        return exit_code;
    l.line = pixi_buf_init(4 * (l.session.settings.limits.message_bytes + 1024));
    exit_code = subscribe_all(&l);
    if (!exit_code)
        exit_code = session_run(&l.session);
    if (l.session.was_interrupted)
        exit_code = 0; /* being told to end is how listening ends */
    session_close(&l.session);
    pixi_buf_clear(&l.line);
    return exit_code;
}
