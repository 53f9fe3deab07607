#include "server/metrics.h"

#include "server/mqtt.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* What JSON-RPC calls the results of calls. The first stands for no error, the last for all that have no own. */
static const struct {
    int code;
    const char *label;
} results[PIXI_METRICS_RESULTS] = {
    {0, "ok"},
    {-32700, "parse"},
    {-32600, "invalid_request"},
    {-32601, "unknown_method"},
    {-32602, "invalid_params"},
    {-32001, "forbidden"},
    {-32002, "too_large"},
    {-32003, "too_much"},
    {-32004, "no_responder"},
    {-32005, "timed_out"},
    {-32006, "storage_full"},
    {-32007, "bad_topic"},
    {-32008, "history_gone"},
    {-32009, "key_reused"},
    {-32014, "put_off"},
    {1, "responder"}, /* the error is the responder's own */
    {-32603, "internal"},
    {2, "other"},
};

static const char *const methods[PIXI_METRICS_METHODS] = {
    [PIXI_RPC_PUBLISH] = "publish",
    [PIXI_RPC_SUBSCRIBE] = "subscribe",
    [PIXI_RPC_UNSUBSCRIBE] = "unsubscribe",
    [PIXI_RPC_REQUEST] = "request",
    [PIXI_RPC_REPLY] = "reply",
    [PIXI_RPC_HISTORY] = "history",
    [PIXI_RPC_PING] = "ping",
    [PIXI_RPC_INFO] = "info",
    [PIXI_METRICS_UNKNOWN] = "unknown",
};

void pixi_metrics_count_call(struct pixi_counters *c, unsigned method, int err)
{
    int code = err == PIXI_OK ? 0 : err == PIXI_E_RPC_ERROR ? 1 : pixi_rpc_code(err);
    unsigned i = 0;

    while (i < PIXI_METRICS_RESULTS - 1 && results[i].code != code)
        i++;
    c->calls[method][i]++;
}

/* Everything that a page tells, as it is now. */
struct view {
    const struct pixi_server *s;
    const struct pixi_counters *c;
    uint64_t states[3]; /* of connections: handshake, open, closing */
    uint64_t subscriptions, sessions, connected, calls, waiting, bytes_in, bytes_out, requests, keys,
        is_ready;
    struct pixi_sqlite_store_stats store;
    uint64_t limit_connections;
    uint64_t packed_links, packer_memory, packer_runs;
    struct {
        uint64_t start_ms, open_fds, max_fds, resident, size;
        uint64_t cpu_us;
        bool has_fds, has_memory;
    } process;
};

static void look_at(struct view *v, const struct pixi_conn *c)
{
    if (c->rank == PIXI_CONN_OPERATOR)
        return;
    v->bytes_in += c->link.tcp.received;
    v->bytes_out += c->link.tcp.sent;
    v->waiting += pixi_link_waiting(&c->link);
    v->states[c->link.state == PIXI_LINK_OPEN ? 1 : c->link.state == PIXI_LINK_HANDSHAKE ? 0 : 2]++;
    v->calls += c->call_count;
}

/* The descriptor that the look itself takes is not counted. */
static void count_descriptors(struct view *v)
{
    DIR *dir = opendir("/proc/self/fd");
    struct rlimit limit;

    if (!dir || getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        if (dir)
            closedir(dir);
        return; /* there is none left: the page goes without */
    }
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
        v->process.open_fds += *e->d_name != '.';
    closedir(dir);
    v->process.open_fds--;
    v->process.max_fds = limit.rlim_cur;
    v->process.has_fds = true;
}

static void measure_memory(struct view *v)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long long size, resident;

    if (!file)
        return;
    if (fscanf(file, "%llu %llu", &size, &resident) == 2) {
        v->process.size = size * (uint64_t)sysconf(_SC_PAGESIZE);
        v->process.resident = resident * (uint64_t)sysconf(_SC_PAGESIZE);
        v->process.has_memory = true;
    }
    fclose(file);
}

static void look_at_process(struct view *v)
{
    struct rusage used;

    v->process.start_ms = v->s->started_ms;
    if (getrusage(RUSAGE_SELF, &used) == 0)
        v->process.cpu_us = (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
                            (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    count_descriptors(v);
    measure_memory(v);
}

static struct view look(const struct pixi_server *s)
{
    struct view v = {.s = s, .c = &s->counters};

    v.bytes_in = s->counters.bytes_in;
    v.bytes_out = s->counters.bytes_out;
    for (const struct pixi_list *l = s->conns.next; l != &s->conns; l = l->next)
        look_at(&v, PIXI_LIST_ITEM(l, struct pixi_conn, in_server));
    v.requests = s->hub.request_count;
    v.subscriptions = s->hub.subs.count;
    v.sessions = s->mqtt.session_count;
    v.connected = s->counters.mqtt_connected;
    v.keys = pixi_keys_count(s->keys);
    v.store = pixi_server_store_stats(&s->store);
    v.is_ready = !s->is_draining && !v.store.is_full && !v.store.is_refusing;
    v.limit_connections = s->settings->limits.connections;
    v.packed_links = s->packer.link_count;
    v.packer_runs = s->packer.packed_count;
    v.packer_memory = pixi_packer_memory(&s->packer);
    look_at_process(&v);
    return v;
}

struct metric;
typedef void put_metric(const struct metric *m, const struct view *v, struct pixi_buf *b);

struct metric {
    const char *name, *type, *help;
    put_metric *put;
    size_t offset;
};

static void put_labelled(struct pixi_buf *b, const struct metric *m, const char *label, const char *value,
                         uint64_t n)
{
    pixi_buf_putf(b, "%s{%s=\"%s\"} %llu\n", m->name, label, value, (unsigned long long)n);
}

static void put_build(const struct metric *m, const struct view *v, struct pixi_buf *b)
{
    (void)v;
    put_labelled(b, m, "version", PIXI_VERSION, 1);
}

static void put_states(const struct metric *m, const struct view *v, struct pixi_buf *b)
{
    static const char *const states[] = {"handshake", "open", "closing"};

    for (size_t i = 0; i < 3; i++)
        put_labelled(b, m, "state", states[i], v->states[i]);
}

static void put_refused(const struct metric *m, const struct view *v, struct pixi_buf *b)
{
    static const char *const reasons[PIXI_REFUSED_COUNT] = {
#define X(name, label) [PIXI_REFUSED_##name] = label,
        PIXI_REFUSED(X)
#undef X
    };

    for (size_t i = 0; i < PIXI_REFUSED_COUNT; i++)
        put_labelled(b, m, "reason", reasons[i], v->c->refused[i]);
}

/* ok of every method, and what else there was. */
static void put_calls(const struct metric *m, const struct view *v, struct pixi_buf *b)
{
    for (size_t i = 0; i < PIXI_METRICS_METHODS; i++)
        for (size_t k = 0; k < PIXI_METRICS_RESULTS; k++)
            if (v->c->calls[i][k] || (k == 0 && i != PIXI_METRICS_UNKNOWN))
                pixi_buf_putf(b, "%s{method=\"%s\",result=\"%s\"} %llu\n", m->name, methods[i],
                              results[k].label, (unsigned long long)v->c->calls[i][k]);
}

static void put_packets(struct pixi_buf *b, const struct metric *m, const uint64_t counts[16])
{
    for (unsigned type = PIXI_MQTT_CONNECT; type < 16; type++)
        put_labelled(b, m, "type", pixi_mqtt_type_name(type), counts[type]);
}

static void put_packets_in(const struct metric *m, const struct view *v, struct pixi_buf *b)
{
    put_packets(b, m, v->c->mqtt_in);
}

static void put_packets_out(const struct metric *m, const struct view *v, struct pixi_buf *b)
{
    put_packets(b, m, v->c->mqtt_out);
}

static void put_dropped(const struct metric *m, const struct view *v, struct pixi_buf *b)
{
    static const char *const why[PIXI_MQTT_DROPPED_COUNT] = {"slow", "too_large", "refused"};

    for (size_t i = 0; i < PIXI_MQTT_DROPPED_COUNT; i++)
        put_labelled(b, m, "reason", why[i], v->c->mqtt_dropped[i]);
}

static void put_gain(const struct metric *m, const struct view *v, struct pixi_buf *b)
{
    static const char *const directions[] = {"received", "sent"};
    const struct pixi_gain *gains[] = {&v->s->packer.received, &v->s->packer.sent};
    uint64_t n;

    for (size_t i = 0; i < 2; i++) {
        memcpy(&n, (const char *)gains[i] + m->offset, sizeof n);
        put_labelled(b, m, "direction", directions[i], n);
    }
}

static void put_reloads(const struct metric *m, const struct view *v, struct pixi_buf *b)
{
    static const char *const what[PIXI_RELOADED_COUNT] = {"settings", "keys", "certificate"};

    for (size_t i = 0; i < PIXI_RELOADED_COUNT; i++)
        for (size_t ok = 0; ok < 2; ok++)
            pixi_buf_putf(b, "%s{what=\"%s\",result=\"%s\"} %llu\n", m->name, what[i], ok ? "ok" : "failed",
                          (unsigned long long)v->c->reloads[i][ok]);
}

static void put_uint(const struct metric *m, uint64_t n, struct pixi_buf *b)
{
    pixi_buf_putf(b, "%s %llu\n", m->name, (unsigned long long)n);
}

static void put_start(const struct metric *m, const struct view *v, struct pixi_buf *b)
{
    pixi_buf_putf(b, "%s %llu.%03llu\n", m->name, (unsigned long long)(v->process.start_ms / 1000),
                  (unsigned long long)(v->process.start_ms % 1000));
}

static void put_us(const struct metric *m, const struct view *v, struct pixi_buf *b)
{
    uint64_t us;

    memcpy(&us, (const char *)v + m->offset, sizeof us);
    pixi_buf_putf(b, "%s %llu.%06llu\n", m->name, (unsigned long long)(us / 1000000),
                  (unsigned long long)(us % 1000000));
}

static void put_open_fds(const struct metric *m, const struct view *v, struct pixi_buf *b)
{
    if (v->process.has_fds)
        put_uint(m, v->process.open_fds, b);
}

static void put_max_fds(const struct metric *m, const struct view *v, struct pixi_buf *b)
{
    if (v->process.has_fds)
        put_uint(m, v->process.max_fds, b);
}

static void put_resident(const struct metric *m, const struct view *v, struct pixi_buf *b)
{
    if (v->process.has_memory)
        put_uint(m, v->process.resident, b);
}

static void put_size(const struct metric *m, const struct view *v, struct pixi_buf *b)
{
    if (v->process.has_memory)
        put_uint(m, v->process.size, b);
}

static void put_counter(const struct metric *m, const struct view *v, struct pixi_buf *b)
{
    uint64_t n;

    memcpy(&n, (const char *)v->c + m->offset, sizeof n);
    put_uint(m, n, b);
}

static void put_view(const struct metric *m, const struct view *v, struct pixi_buf *b)
{
    uint64_t n;

    memcpy(&n, (const char *)v + m->offset, sizeof n);
    put_uint(m, n, b);
}

#define COUNTER(name, member, help)                                                                          \
    {                                                                                                        \
        "pixi_" name "_total", "counter", help, put_counter, offsetof(struct pixi_counters, member)          \
    }
#define GAIN(name, member, help)                                                                             \
    {                                                                                                        \
        "pixi_compression_" name "_total", "counter", help, put_gain, offsetof(struct pixi_gain, member)     \
    }
#define SEEN(name, type, member, help)                                                                       \
    {                                                                                                        \
        "pixi_" name, type, help, put_view, offsetof(struct view, member)                                    \
    }

/* In the order of docs/metrics.md. */
static const struct metric table[] = {
    {"pixi_build_info", "gauge", "The server's version.", put_build, 0},
    SEEN("ready", "gauge", is_ready, "1 while /readyz answers 200."),
    {"pixi_connections", "gauge", "Connections there are, by how far they have come.", put_states, 0},
    SEEN("connections_max", "gauge", limit_connections, "The setting limits.connections."),
    COUNTER("connections_accepted", accepted, "Connections that came, those refused at once included."),
    COUNTER("connections_opened", opened, "Connections that became a WebSocket."),
    {"pixi_refused_total", "counter", "What was refused or ended, by the limit or the reason.", put_refused,
     0},
    COUNTER("messages_received", messages_in, "WebSocket messages that came."),
    COUNTER("messages_sent", messages_out, "WebSocket messages that were queued to be sent."),
    SEEN("received_bytes_total", "counter", bytes_in, "Bytes that came over TCP."),
    SEEN("sent_bytes_total", "counter", bytes_out, "Bytes that were sent over TCP."),
    SEEN("queued_bytes", "gauge", waiting, "Bytes that wait to be sent."),
    SEEN("compression_connections", "gauge", packed_links, "Connections that agreed on compression."),
    GAIN("messages", messages, "Messages of connections that agreed on compression."),
    GAIN("compressed", packed, "Those of them that were compressed."),
    GAIN("before_bytes", before, "Bytes of all of them, as they are."),
    GAIN("after_bytes", after, "Bytes of all of them, as they went over the connections."),
    SEEN("compression_runs_total", "counter", packer_runs,
         "Messages that were compressed, or tried, once for all that they went to."),
    SEEN("compression_memory_bytes", "gauge", packer_memory,
         "Memory that compression holds, for all connections together."),
    COUNTER("publishes", publishes, "Messages that clients published and the hub took."),
    COUNTER("published_bytes", publish_bytes, "Topics, headers and payloads of these messages."),
    COUNTER("deliveries_deferred", fell_behind,
            "Stored messages that a slow reader gets later, from the store."),
    SEEN("subscriptions", "gauge", subscriptions, "Subscriptions there are."),
    {"pixi_calls_total", "counter", "Calls that were answered and notifications that were done.", put_calls,
     0},
    SEEN("calls", "gauge", calls, "Calls that are not answered yet."),
    SEEN("requests", "gauge", requests, "Requests that wait for their responder."),
    SEEN("mqtt_connections", "gauge", connected, "Connections in MQTT whose CONNECT was accepted."),
    SEEN("mqtt_sessions", "gauge", sessions, "Sessions of MQTT clients, those that are away included."),
    {"pixi_mqtt_packets_received_total", "counter", "Packets of MQTT that came.", put_packets_in, 0},
    {"pixi_mqtt_packets_sent_total", "counter", "Packets of MQTT that were queued to be sent.",
     put_packets_out, 0},
    {"pixi_mqtt_dropped_total", "counter",
     "Messages of QoS 0 that did not reach a subscriber, and such as were larger than it takes.", put_dropped,
     0},
    COUNTER("mqtt_wills", mqtt_wills, "Wills that were due."),
    SEEN("store_messages", "gauge", store.messages, "Messages in the history."),
    SEEN("store_bytes", "gauge", store.bytes, "Bytes of them."),
    SEEN("store_retained_messages", "gauge", store.retained, "Retained messages."),
    SEEN("store_retained_bytes", "gauge", store.retained_bytes, "Bytes that these take."),
    SEEN("store_session_messages", "gauge", store.wanted, "Messages that are kept for sessions."),
    SEEN("store_session_bytes", "gauge", store.wanted_bytes, "Bytes of them."),
    SEEN("store_producers", "gauge", store.producers, "Producers whose sequence numbers are remembered."),
    SEEN("store_file_bytes", "gauge", store.file_bytes, "Bytes of the store's file; 0 in memory."),
    SEEN("store_commits_total", "counter", store.commits, "Groups of writes that were stored on disk."),
    SEEN("store_failed_commits_total", "counter", store.failed_commits, "Groups that the disk refused."),
    SEEN("store_writes_total", "counter", store.writes,
         "Messages and records of the groups that were stored."),
    {"pixi_store_commit_seconds_total", "counter", "What these groups took, in seconds.", put_us,
     offsetof(struct view, store.commit_us)},
    SEEN("keys", "gauge", keys, "API keys that are known."),
    {"pixi_reloads_total", "counter", "Files read again on SIGHUP.", put_reloads, 0},
    {"process_start_time_seconds", "gauge", "When the server started, in seconds since 1970.", put_start, 0},
    {"process_cpu_seconds_total", "counter", "Processor time used, in seconds.", put_us,
     offsetof(struct view, process.cpu_us)},
    {"process_open_fds", "gauge", "Open file descriptors.", put_open_fds, 0},
    {"process_max_fds", "gauge", "Descriptors that the system allows.", put_max_fds, 0},
    {"process_resident_memory_bytes", "gauge", "Memory in use.", put_resident, 0},
    {"process_virtual_memory_bytes", "gauge", "Memory reserved.", put_size, 0},
};

void pixi_metrics_put(const struct pixi_server *s, struct pixi_buf *b)
{
    struct view v = look(s);

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        pixi_buf_putf(b, "# HELP %s %s\n# TYPE %s %s\n", table[i].name, table[i].help, table[i].name,
                      table[i].type);
        table[i].put(&table[i], &v, b);
    }
}
