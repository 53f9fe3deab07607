#include "server/server.h"
#include "base/log.h"
#include "server/mqtt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum { TRIM_MS = 60000, SPREAD_MS = 5000, NOTE_MAX = 64 << 20 };

struct pixi_now pixi_server_now(const struct pixi_server *s)
{
    return (struct pixi_now){.wall_ms = pixi_clock_wall_ms(), .mono_ms = s->loop->now_ms};
}

/* --- connections --------------------------------------------------------------------------------------------- */

void pixi_server_free_conn(struct pixi_conn *c)
{
    struct pixi_server *s = c->server;

    pixi_list_remove(&c->in_server);
    s->conn_count--;
    s->ranks[c->rank]--;
    if (c->rank != PIXI_CONN_OPERATOR) {
        s->counters.bytes_in += c->link.tcp.received;
        s->counters.bytes_out += c->link.tcp.sent;
    }
    if (c->source)
        pixi_sources_leave(&s->sources, c->source);
    free(c);
    if (s->is_draining && pixi_server_guests(s) == 0 && s->on_idle) {
        pixi_loop_cancel_timer(s->loop, &s->drain);
        s->on_idle(s->idle_ctx);
        s->on_idle = NULL;
    }
}

static void run_pump(struct pixi_task *task)
{
    struct pixi_conn *c = (struct pixi_conn *)((char *)task - offsetof(struct pixi_conn, pump));

    if (!c->mqtt) {
        pixi_gateway_pump(c);
        return;
    }
    pixi_mqtt_read_backlog(c);
    pixi_mqtt_pump(c);
}

static void on_open(struct pixi_link *k, struct pixi_cur protocol)
{
    struct pixi_conn *c = pixi_conn_of_link(k);

    c->server->counters.opened++;
    c->active_ms = c->server->loop->now_ms;
    if (pixi_cur_equals(protocol, pixi_cur_str(PIXI_SERVER_MQTT_PROTOCOL)) && !c->is_unauthorized &&
        c->server->mode == PIXI_SERVER_HUB) {
        if (!pixi_mqtt_open(c)) /* a stranger until its CONNECT */
            pixi_link_fail(k, PIXI_E_NOMEM);
        return;
    }
    if (!c->is_unauthorized)
        pixi_conn_set_rank(c, PIXI_CONN_MEMBER);
    if (c->server->mode == PIXI_SERVER_ECHO)
        return;
    if (c->is_unauthorized) {
        pixi_server_count_refused(c->server, PIXI_REFUSED_KEY, c->from, "no valid API key (told with 3000)");
        pixi_link_close(k, PIXI_WS_CLOSE_UNAUTHORIZED, "the API key is missing or not known here");
        return;
    }
    c->peer.gateway = &c->server->gateway;
    c->peer.permit = &c->permit;
    pixi_hub_join(&c->server->hub, &c->peer);
    pixi_log(PIXI_LOG_DEBUG, "%s: connected as %s", c->from, c->key->name);
}

static void note_message(struct pixi_conn *c)
{
    c->active_ms = c->server->loop->now_ms;
    c->server->counters.messages_in++;
}

static void on_message(struct pixi_link *k, enum pixi_ws_opcode type, uint8_t *bytes, size_t len)
{
    struct pixi_conn *c = pixi_conn_of_link(k);

    if (c->mqtt && type == PIXI_WS_BINARY) {
        pixi_mqtt_on_bytes(c, bytes, len);
        return;
    }
    note_message(c);
    if (type == PIXI_WS_TEXT && !c->mqtt)
        pixi_server_dispatch(c, bytes, len);
    else
        pixi_link_fail(k, PIXI_E_WS_TYPE);
}

static void on_drained(struct pixi_link *k)
{
    struct pixi_conn *c = pixi_conn_of_link(k);

    pixi_loop_defer(c->server->loop, &c->pump);
}

/* Of MQTT's bytes, or of the WebSocket's. */
static uint64_t fault_offset(const struct pixi_conn *c, int err)
{
    return c->mqtt && c->mqtt->reader.fault.err == err ? c->mqtt->reader.fault.offset
                                                       : c->link.reader.fault.offset;
}

/* What a peer did wrong, or what happened to it. */
static void log_error(const struct pixi_conn *c, const struct pixi_link_end *end)
{
    if (!pixi_server_may_log(c->server))
        return;
    if (end->err == PIXI_E_TLS)
        pixi_log(PIXI_LOG_INFO, "%s: TLS: %s", c->from, end->problem);
    else if (*pixi_err_clause(end->err))
        pixi_log(PIXI_LOG_INFO, "%s: %s at byte %llu (%s)", c->from, pixi_err_text(end->err),
                 (unsigned long long)fault_offset(c, end->err), pixi_err_clause(end->err));
    else
        pixi_log(PIXI_LOG_INFO, "%s: %s", c->from, pixi_err_text(end->err));
}

static void log_end(const struct pixi_conn *c, const struct pixi_link_end *end)
{
    switch (end->err) {
    case PIXI_OK: pixi_log(PIXI_LOG_DEBUG, "%s: closed with %u", c->from, end->code); break;
    case PIXI_E_WS_STATUS: break; /* told when it was refused */
    case PIXI_E_RESET:
        pixi_log(PIXI_LOG_DEBUG, "%s: connection lost: %s", c->from, strerror(end->sys_errno));
        break;
    case PIXI_E_WS_NO_CLOSE:
        if (c->link.was_open)
            log_error(c, end);
        else
            pixi_log(PIXI_LOG_DEBUG, "%s: gone before it asked for anything", c->from);
        break;
    default: log_error(c, end);
    }
}

/* What the link itself ended. */
static void count_end(struct pixi_conn *c, const struct pixi_link_end *end)
{
    uint64_t *refused = c->server->counters.refused;

    if (!end->is_ours || !c->link.was_open)
        return;
    switch (end->err) {
    case PIXI_E_MQTT_TOO_BIG:
    case PIXI_E_WS_TOO_BIG: refused[PIXI_REFUSED_MESSAGE_BYTES]++; break;
    case PIXI_E_MQTT_KEEP_ALIVE:
    case PIXI_E_WS_PONG: refused[PIXI_REFUSED_KEEPALIVE]++; break;
    case PIXI_E_MQTT_RECEIVE_MAX: refused[PIXI_REFUSED_INFLIGHT]++; break;
    case PIXI_E_QUEUE: refused[PIXI_REFUSED_QUEUE_BYTES]++; break;
    default: refused[PIXI_REFUSED_PROTOCOL] += pixi_ws_close_for(end->err) != PIXI_WS_CLOSE_INTERNAL; break;
    }
}

static void on_close(struct pixi_link *k, const struct pixi_link_end *end)
{
    struct pixi_conn *c = pixi_conn_of_link(k);

    if (!c->is_ended) {
        log_end(c, end);
        count_end(c, end);
    }
    c->is_ended = true;
    if (c->peer.hub)
        pixi_hub_leave(&c->server->hub, &c->peer);
    pixi_mqtt_on_close(c);
    pixi_call_drop_all(c);
    if (c->pump.is_queued) {
        /* the pump is still in the loop's list: it runs, finds a link that is closed, and then comes this again */
        pixi_loop_defer(c->server->loop, &k->last);
        return;
    }
    pixi_server_free_conn(c);
}

static const struct pixi_link_handlers hub_handlers = {
    .on_request = pixi_server_on_request,
    .on_open = on_open,
    .on_message = on_message,
    .on_drained = on_drained,
    .on_close = on_close,
};

/* --- echo ---------------------------------------------------------------------------------------------------- */

static void on_echo(struct pixi_link *k, enum pixi_ws_opcode type, uint8_t *bytes, size_t len)
{
    struct pixi_conn *c = pixi_conn_of_link(k);
    int rc = pixi_link_send(k, type, bytes, len);

    note_message(c);
    c->server->counters.messages_out += rc == PIXI_OK;
    if (rc == PIXI_E_QUEUE || rc == PIXI_E_NOMEM)
        pixi_conn_close_slow(c);
    else if (pixi_link_waiting(k) > k->limits->queue_bytes / 4) {
        pixi_tcp_pause(&k->tcp); /* until it has read what it was sent */
        pixi_link_want_drained(k);
    }
}

static void on_echo_drained(struct pixi_link *k)
{
    pixi_tcp_resume(&k->tcp);
}

static const struct pixi_link_handlers echo_handlers = {
    .on_request = pixi_server_on_request,
    .on_open = on_open,
    .on_message = on_echo,
    .on_drained = on_echo_drained,
    .on_close = on_close,
};

void pixi_server_init_link(struct pixi_conn *c)
{
    struct pixi_server *s = c->server;

    c->pump.run = run_pump;
    pixi_link_init(&c->link, s->loop, PIXI_SERVER,
                   s->mode == PIXI_SERVER_ECHO ? &echo_handlers : &hub_handlers, &s->limits);
    if (s->settings->compression.enabled)
        c->link.packer = &s->packer;
}

/* --- time ---------------------------------------------------------------------------------------------------- */

static void on_deadline(struct pixi_timer *t)
{
    struct pixi_server *s = (struct pixi_server *)((char *)t - offsetof(struct pixi_server, deadline));

    pixi_hub_expire(&s->hub, pixi_server_now(s));
    pixi_server_set_deadline(s);
}

void pixi_server_set_deadline(struct pixi_server *s)
{
    uint64_t at = pixi_hub_next_deadline(&s->hub);

    if (at == UINT64_MAX)
        pixi_loop_cancel_timer(s->loop, &s->deadline);
    else
        pixi_loop_set_timer(s->loop, &s->deadline, at > s->loop->now_ms ? at - s->loop->now_ms : 0);
}

static void on_trim(struct pixi_timer *t)
{
    struct pixi_server *s = (struct pixi_server *)((char *)t - offsetof(struct pixi_server, trim));
    struct pixi_store *store = pixi_server_store_calls(&s->store);

    store->call->trim(store, pixi_clock_wall_ms());
    pixi_loop_set_timer(s->loop, t, TRIM_MS);
}

/* --- starting and stopping ------------------------------------------------------------------------------------ */

static int start_hub(struct pixi_server *s, struct pixi_buf *problem)
{
    struct pixi_hub_limits limits = pixi_hub_limits_default;
    uint8_t hash_key[16];
    int rc;

    if (getrandom(hash_key, sizeof hash_key, 0) < 0 ||
        getrandom(s->sources.hash_key, sizeof s->sources.hash_key, 0) < 0)
        return PIXI_E_SYS;
    rc = pixi_server_store_open(&s->store, s->loop, s->settings, s->mode == PIXI_SERVER_HUB, problem);
    if (rc != PIXI_OK)
        return rc;
    limits.subs_per_peer = s->settings->limits.subscriptions;
    limits.requests_per_peer = s->settings->limits.requests;
    s->gateway = (struct pixi_hub_gateway){.call = &pixi_gateway_calls, .ctx = s};
    pixi_hub_init(&s->hub, pixi_server_store_calls(&s->store), &limits, hash_key);
    return pixi_mqtt_sessions_init(s);
}

static int open_listener(struct pixi_server *s, const char *text, enum pixi_server_way way,
                         struct pixi_buf *problem)
{
    struct pixi_server_listener *l = &s->listeners[s->listener_count];
    struct pixi_addr addr;

    if (pixi_addr_parse(text, &addr) != PIXI_OK) {
        pixi_buf_putf(problem,
                      "listen: \"%s\" is not ADDRESS:PORT\n"
                      "  fix: write an address in full, for example 127.0.0.1:8768 or [::1]:8768",
                      text);
        return PIXI_E_SETTINGS;
    }
    if (!pixi_server_way_is_secure(way) && !pixi_addr_is_loopback(&addr) && !s->settings->insecure) {
        pixi_buf_putf(
            problem,
            "listen: %s is reachable from other machines, and API keys would cross the network in clear\n"
            "  fix: listen on 127.0.0.1, or accept that with \"insecure\": true (--insecure)",
            text);
        return PIXI_E_SETTINGS;
    }
    l->way = way;
    l->listener = (struct pixi_listener){.on_accept = pixi_server_on_accept, .on_full = pixi_server_on_full};
    if (pixi_listener_open(&l->listener, s->loop, &addr) != PIXI_OK) {
        pixi_buf_putf(problem, "listen: %s: %s\n  fix: %s", text, strerror(errno),
                      errno == EADDRINUSE
                          ? "stop what listens there, or choose another port (0: any free one)"
                      : errno == EACCES ? "choose a port from 1024 on, or let the program bind lower ones"
                                        : "listen on an address of this machine: `ip address` lists them");
        return PIXI_E_SYS;
    }
    l->listener.watch.owner = s;
    s->listener_count++;
    return PIXI_OK;
}

static int open_listeners(struct pixi_server *s, struct pixi_buf *problem)
{
    const struct pixi_conf_strings *texts[PIXI_SERVER_WAYS] = {
        &s->settings->listen, &s->settings->tls.listen, &s->settings->mqtt.listen,
        &s->settings->mqtt.tls_listen, &s->settings->metrics.listen};
    int rc = PIXI_OK;

    for (unsigned way = PIXI_SERVER_PLAIN; way < PIXI_SERVER_WAYS; way++)
        for (size_t i = 0; rc == PIXI_OK && i < texts[way]->count && i < PIXI_SERVER_LISTEN_MAX; i++)
            rc = open_listener(s, (const char *)texts[way]->at[i].p, (enum pixi_server_way)way, problem);
    return rc;
}

void pixi_server_take_limits(struct pixi_server *s)
{
    const struct pixi_server_settings *set = s->settings;

    s->limits = (struct pixi_link_limits){
        .http = {.head_bytes = set->limits.head_bytes, .field_count = set->limits.head_fields},
        .message_bytes = set->limits.message_bytes,
        /* the largest message must fit, or its subscribers would wait for ever */
        .queue_bytes = set->limits.queue_bytes + PIXI_SERVER_ENVELOPE_MAX,
        .handshake_ms = (uint32_t)set->limits.handshake_ms,
        .close_ms = 3000,
        .ping_ms = (uint32_t)set->keepalive.interval_ms,
        .pong_ms = (uint32_t)set->keepalive.timeout_ms,
    };
    s->soft_queue = s->limits.queue_bytes / 4;
    pixi_packer_set(&s->packer, set->compression.min_bytes, (unsigned)set->compression.level);
}

int pixi_server_new(struct pixi_loop *loop, const struct pixi_server_settings *settings,
                    const struct pixi_keys *keys, enum pixi_server_mode mode, struct pixi_server **out,
                    struct pixi_buf *problem)
{
    struct pixi_server *s = calloc(1, sizeof *s);
    int rc;

    if (!s)
        return PIXI_E_NOMEM;
    s->loop = loop;
    s->settings = settings;
    s->keys = keys;
    s->mode = mode;
    pixi_link_message_init(&s->note, NOTE_MAX);
    s->answer = pixi_buf_init(NOTE_MAX);
    s->deadline.on_due = on_deadline;
    s->trim.on_due = on_trim;
    pixi_list_init(&s->conns);
    pixi_list_init(&s->free_calls);
    pixi_packer_init(&s->packer, PIXI_PACKER_MIN, PIXI_PACKER_LEVEL);
    s->started_ms = pixi_clock_wall_ms();
    pixi_server_take_limits(s);
    s->usage = calloc(pixi_keys_count(keys) + 1, sizeof *s->usage);
    rc = s->usage ? start_hub(s, problem) : PIXI_E_NOMEM;
    if (rc == PIXI_OK && settings->tls.listen.count + settings->mqtt.tls_listen.count)
        rc = pixi_server_reload_tls(s, problem);
    if (rc == PIXI_OK)
        rc = pixi_mqtt_load(s);
    if (rc == PIXI_OK)
        rc = open_listeners(s, problem);
    if (rc != PIXI_OK) {
        pixi_server_free(s);
        return rc;
    }
    pixi_loop_set_timer(loop, &s->trim, TRIM_MS);
    pixi_server_set_sweep(s);
    pixi_mqtt_sys_start(s);
    *out = s;
    return PIXI_OK;
}

void pixi_server_set_page(struct pixi_server *s, const struct pixi_page *page)
{
    s->page = page;
}

bool pixi_server_listening(const struct pixi_server *s, size_t i, char *out, size_t len)
{
    static const char *const ways[PIXI_SERVER_WAYS] = {"", " with TLS", " for MQTT", " for MQTT with TLS",
                                                       " for metrics"};
    char text[PIXI_ADDR_TEXT];

    if (i >= s->listener_count)
        return false;
    pixi_addr_text(&s->listeners[i].listener.addr, text);
    snprintf(out, len, "%s%s", text, ways[s->listeners[i].way]);
    return true;
}

/* Those up to this way. */
static void close_listeners(struct pixi_server *s, enum pixi_server_way upto)
{
    for (size_t i = 0; i < s->listener_count; i++)
        if (s->listeners[i].way <= upto && s->listeners[i].listener.watch.fd >= 0)
            pixi_listener_close(&s->listeners[i].listener);
}

static void on_drain_due(struct pixi_timer *t)
{
    struct pixi_server *s = (struct pixi_server *)((char *)t - offsetof(struct pixi_server, drain));

    if (s->on_idle)
        s->on_idle(s->idle_ctx);
    s->on_idle = NULL;
}

static void send_away(struct pixi_server *s, struct pixi_conn *c)
{
    struct pixi_json_out w;
    uint32_t r = 0;

    if (c->mqtt) {
        pixi_mqtt_disconnect(c, PIXI_MQTT_R_SHUTTING_DOWN, PIXI_WS_CLOSE_RESTART, "restarting");
        return;
    }
    if (c->link.state == PIXI_LINK_OPEN && c->peer.hub) {
        if (getrandom(&r, sizeof r, 0) < 0)
            r = (uint32_t)(uintptr_t)c >> 4; /* any spread will do */
        pixi_buf_reset(&s->answer);
        pixi_rpc_begin_call(&s->answer, &w, "going_away");
        pixi_json_name(&w, "reconnect_in_ms");
        pixi_json_number(&w, r % SPREAD_MS);
        pixi_rpc_end_call(&w, 0);
        if (s->answer.err == PIXI_OK)
            pixi_link_send(&c->link, PIXI_WS_TEXT, s->answer.bytes, s->answer.len);
    }
    pixi_link_close(&c->link, PIXI_WS_CLOSE_RESTART, "restarting");
}

void pixi_server_drain(struct pixi_server *s, void (*on_idle)(void *ctx), void *ctx)
{
    if (s->is_draining)
        return;
    s->is_draining = true;
    s->on_idle = on_idle;
    s->idle_ctx = ctx;
    s->drain.on_due = on_drain_due;
    close_listeners(s, PIXI_SERVER_MQTT_WITH_TLS); /* operators may look on */
    for (struct pixi_list *l = s->conns.next; l != &s->conns; l = l->next)
        if (PIXI_LIST_ITEM(l, struct pixi_conn, in_server)->rank != PIXI_CONN_OPERATOR)
            send_away(s, PIXI_LIST_ITEM(l, struct pixi_conn, in_server));
    pixi_loop_set_timer(s->loop, &s->drain, pixi_server_guests(s) ? s->settings->drain_ms : 0);
}

void pixi_server_free(struct pixi_server *s)
{
    if (!s)
        return;
    s->on_idle = NULL;
    s->is_draining = true; /* no will is sent now */
    close_listeners(s, PIXI_SERVER_METRICS);
    for (struct pixi_list *l = s->conns.next; l != &s->conns; l = l->next)
        pixi_link_drop(&PIXI_LIST_ITEM(l, struct pixi_conn, in_server)->link, PIXI_E_WS_CLOSED);
    while (s->conn_count > 0)
        pixi_loop_turn(s->loop, 0);
    pixi_mqtt_sessions_clear(s);
    pixi_loop_cancel_timer(s->loop, &s->deadline);
    pixi_loop_cancel_timer(s->loop, &s->trim);
    pixi_loop_cancel_timer(s->loop, &s->drain);
    pixi_loop_cancel_timer(s->loop, &s->sweep);
    pixi_sources_clear(&s->sources);
    free(s->usage);
    while (!pixi_list_is_empty(&s->free_calls)) {
        struct pixi_call *call = PIXI_LIST_ITEM(s->free_calls.next, struct pixi_call, in_conn);

        pixi_list_remove(&call->in_conn);
        free(call);
    }
    pixi_server_store_stop(&s->store);
    if (s->hub.store)
        pixi_hub_clear(&s->hub);
    pixi_server_store_close(&s->store);
    pixi_tls_context_free(s->tls);
    pixi_link_message_clear(&s->note);
    pixi_packer_clear(&s->packer);
    pixi_buf_clear(&s->answer);
    free(s);
}
