/* metrics.c -- the daemon's numbers for Prometheus' textfile collector. docs/metrics.md */
#include "daemon/state.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum { WRITE_MS = 10000, FILE_MAX_BYTES = 65536 };

struct row {
    const char *name, *type, *help;
    uint64_t v;
};

static void put_rows(struct pixi_buf *b, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pixi_buf_putf(b, "# HELP pixi_daemon_%s %s\n# TYPE pixi_daemon_%s %s\npixi_daemon_%s %" PRIu64 "\n",
                      rows[i].name, rows[i].help, rows[i].name, rows[i].type, rows[i].name, rows[i].v);
}

static void put_seconds(struct pixi_buf *b, const char *name, const char *help, uint64_t us)
{
    pixi_buf_putf(b,
                  "# HELP pixi_daemon_%s %s\n# TYPE pixi_daemon_%s gauge\npixi_daemon_%s %" PRIu64
                  ".%06" PRIu64 "\n",
                  name, help, name, name, us / 1000000, us % 1000000);
}

void pixi_daemon_put_metrics(const struct pixi_daemon *d, struct pixi_buf *b)
{
    const struct pixi_improve *i = pixi_daemon_improve(d);
    struct pixi_outbox_stats s = pixi_outbox_stats(d->outbox);
    const struct pixi_packer *p = &d->uplink.packer;
    uint64_t now_ms = pixi_daemon_now(d).ms;
    const struct row rows[] = {
        {"link_open", "gauge", "1 while the link to the server is open.", pixi_daemon_is_linked(d)},
        {"link_connects_total", "counter", "Connections to the server that were made.", d->counters.connects},
        {"link_losses_total", "counter", "Connections to the server that were lost.", d->counters.losses},
        {"link_silent_losses_total", "counter", "Those of them that nobody had told.", d->counters.silent},
        {"compression_agreed", "gauge", "1 while the server takes compressed messages.", p->link_count},
        {"compression_sent_before_bytes_total", "counter", "Bytes of messages to it meanwhile, as they are.",
         p->sent.before},
        {"compression_sent_after_bytes_total", "counter", "The same as they went over the link.",
         p->sent.after},
        {"compression_received_before_bytes_total", "counter", "Bytes of messages from it meanwhile.",
         p->received.before},
        {"compression_received_after_bytes_total", "counter", "The same as they came over the link.",
         p->received.after},
        {"compression_memory_bytes", "gauge", "Memory that compression holds.", pixi_packer_memory(p)},
        {"outbox_messages", "gauge", "Messages that wait.", s.count},
        {"outbox_bytes", "gauge", "Bytes of them.", s.bytes},
        {"outbox_accepted_total", "counter", "Messages that were taken.", s.accepted},
        {"outbox_stored_total", "counter", "Messages that the server has stored.", s.stored},
        {"outbox_refused_total", "counter", "Messages that were not taken, as the outbox was full.",
         s.refused_full},
        {"outbox_failed_total", "counter", "Messages that were not taken, as the disk failed.", s.failed},
        {"outbox_put_off_total", "counter", "Answers of the server that it takes a message later.",
         d->counters.put_off},
        {"outbox_dropped_total", "counter", "Messages that made room for others.", s.dropped},
        {"outbox_expired_total", "counter", "Messages that expired before they were sent.", s.expired},
        {"outbox_rejected_total", "counter", "Messages that the server refused for good.", s.rejected},
        {"outbox_in_doubt_total", "counter", "Messages of which nobody can tell whether they are stored.",
         s.in_doubt},
        {"outbox_commits_total", "counter", "Commits to the disk.", s.commits},
        {"programs", "gauge", "Programs that are connected.", d->conn_count},
        {"programs_total", "counter", "Programs that came.", d->counters.connections},
        {"programs_refused_total", "counter", "Programs that were turned away.",
         d->counters.refused_connections},
        {"calls_total", "counter", "Calls of programs.", d->counters.calls},
        {"errors_total", "counter", "Calls of programs that were answered with an error.",
         d->counters.errors},
        {"messages_out_total", "counter", "Messages given to programs.", d->counters.messages_out},
        {"messages_skipped_total", "counter", "Messages passed over, as a program read too slowly.",
         d->counters.skipped},
    };

    put_rows(b, rows, sizeof rows / sizeof rows[0]);
    put_seconds(b, "outbox_age_seconds", "How long the oldest message has waited.",
                s.oldest_ms && s.oldest_ms < now_ms ? (now_ms - s.oldest_ms) * 1000 : 0);
    put_seconds(b, "round_trip_p50_seconds", "Median round trip of the link.",
                pixi_improve_percentile(i, 50));
    put_seconds(b, "round_trip_p99_seconds", "99th percentile of it.", pixi_improve_percentile(i, 99));
}

/* Readable to the collector, in one piece; whether it outlives a power cut does not matter. */
static bool write_file(const char *path, struct pixi_cur bytes)
{
    char part[PATH_MAX];
    int fd;
    bool is_written;

    if (snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part)
        return false;
    fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return false;
    is_written = write(fd, bytes.p, pixi_cur_left(&bytes)) == (ssize_t)pixi_cur_left(&bytes);
    return close(fd) == 0 && is_written && rename(part, path) == 0;
}

void pixi_daemon_write_metrics(struct pixi_daemon *d)
{
    struct pixi_buf b;

    if (!d->settings->metrics_path || d->loop->now_ms < d->metrics_at_ms)
        return;
    d->metrics_at_ms = d->loop->now_ms + WRITE_MS;
    b = pixi_buf_init(FILE_MAX_BYTES);
    pixi_daemon_put_metrics(d, &b);
    if (b.err == PIXI_OK && !write_file(d->settings->metrics_path, pixi_buf_cur(&b)))
        pixi_log(PIXI_LOG_WARNING, "daemon.metrics_file: %s: %s", d->settings->metrics_path, strerror(errno));
    pixi_buf_clear(&b);
}
