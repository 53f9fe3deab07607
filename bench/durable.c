/* durable.c PORT PATH USER KEY BYTES SECONDS -- MQTT over WebSocket, QoS 1: one publisher with 100 unacknowledged, one
 * subscriber with QoS 1. For each line that it reads, one round: it prints how many were acknowledged, seconds, and for how
 * many of these it had nothing to do. At the end of a round every message has been acknowledged and delivered.
 *
 * durable.c file FILE BYTES GROUP SECONDS -- appends so many bytes for each message, GROUP messages in one write with an
 * fdatasync behind it, and prints messages and seconds. */
#include "mqtt.h"

#include <fcntl.h>
#include <poll.h>

enum {
    WINDOW = 100,
    PAYLOAD_MAX = 4096, /* from 128 on: lengths then take two bytes */
    TOPIC = sizeof "bench/t" - 1,
    HEAD = 3 + 2 + TOPIC + 2, /* of a PUBLISH */
    ID = HEAD - 2,            /* in it */
    PUBACK = 4,
};

/* One connection, and what is left of a packet that was cut. */
struct end {
    int fd;
    size_t len, unit; /* bytes in rest; of a frame that comes */
    uint8_t rest[2 * sizeof bench_rx];
};

struct run {
    struct end publisher, subscriber;
    uint64_t sent, acked, delivered, idle_ns;
    size_t payload;
};

static void publish(struct run *r)
{
    static uint8_t packet[HEAD + PAYLOAD_MAX], frames[WINDOW * (HEAD + PAYLOAD_MAX + 8)];
    size_t len = 0, body = HEAD - 3 + r->payload;

    packet[0] = 0x32;
    packet[1] = (uint8_t)(0x80 | (body & 127));
    packet[2] = (uint8_t)(body >> 7);
    bench_put_text(packet + 3, "bench/t");
    for (; r->sent < r->acked + WINDOW; r->sent++) {
        packet[ID] = (uint8_t)((r->sent % 65000 + 1) >> 8);
        packet[ID + 1] = (uint8_t)(r->sent % 65000 + 1);
        memcpy(packet + HEAD, &r->sent, sizeof r->sent);
        len += bench_put_frame(frames + len, packet, HEAD + r->payload);
    }
    bench_send(r->publisher.fd, frames, len);
}

/* A message of the subscriber's: the next one, and acknowledged. */
static size_t take_message(struct run *r, const uint8_t *frame, uint8_t *ack)
{
    uint8_t packet[PUBACK] = {0x40, 2, frame[4 + ID], frame[4 + ID + 1]};
    uint64_t number;

    memcpy(&number, frame + 4 + HEAD, sizeof number);
    bench_must(frame[0] == 0x82 && frame[4] == 0x32 && number == r->delivered, "a message out of order");
    r->delivered++;
    return bench_put_frame(ack, packet, sizeof packet);
}

static void take(struct run *r, struct end *e)
{
    static uint8_t acks[1 << 16];
    size_t at = 0, len = 0, got = bench_recv(e->fd);

    memcpy(e->rest + e->len, bench_rx, got);
    e->len += got;
    for (; e->len - at >= e->unit; at += e->unit) {
        const uint8_t *frame = e->rest + at;

        if (e == &r->subscriber) {
            len += take_message(r, frame, acks + len);
            continue;
        }
        bench_must(frame[0] == 0x82 && frame[2] == 0x40, "PUBACK");
        r->acked++;
    }
    memmove(e->rest, e->rest + at, e->len - at);
    e->len -= at;
    bench_send(e->fd, acks, len);
}

static void turn(struct run *r)
{
    struct pollfd fds[] = {{.fd = r->publisher.fd, .events = POLLIN},
                           {.fd = r->subscriber.fd, .events = POLLIN}};
    uint64_t began = bench_ns();

    bench_must(poll(fds, 2, 10000) > 0, "nothing came for ten seconds");
    r->idle_ns += bench_ns() - began;
    if (fds[0].revents)
        take(r, &r->publisher);
    if (fds[1].revents)
        take(r, &r->subscriber);
}

static void measure(struct run *r, double seconds)
{
    uint64_t began = bench_ns(), acked = r->acked;
    double took;

    r->idle_ns = 0;
    do {
        if (r->sent < r->acked + WINDOW)
            publish(r);
        turn(r);
        took = (double)(bench_ns() - began) / 1e9;
    } while (took < seconds);
    printf("%llu %.3f %.3f\n", (unsigned long long)(r->acked - acked), took, (double)r->idle_ns / 1e9);
    fflush(stdout);
    while (r->acked < r->sent || r->delivered < r->sent)
        turn(r);
}

static void open_run(struct run *r, char **argv)
{
    static const uint8_t filter[] = {0x82, 5 + TOPIC, 0, 1, 0, TOPIC, 'b', 'e', 'n', 'c', 'h', '/', 't', 1};
    uint8_t frame[64];
    int fds[2];

    r->payload = (size_t)atoi(argv[5]);
    bench_must(r->payload >= 128 && r->payload <= PAYLOAD_MAX, "BYTES");
    bench_open(fds, 2, atoi(argv[1]), argv[2], argv[3], argv[4]);
    bench_send(fds[1], frame, bench_put_frame(frame, filter, sizeof filter));
    bench_must(bench_recv(fds[1]) == 7 && bench_rx[6] == 1, "SUBSCRIBE");
    r->publisher = (struct end){.fd = fds[0], .unit = 2 + PUBACK};
    r->subscriber = (struct end){.fd = fds[1], .unit = 4 + HEAD + r->payload};
}

static void append(const char *path, size_t bytes, size_t group, double seconds)
{
    uint8_t *block = calloc(group, bytes);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    uint64_t began = bench_ns(), count = 0;
    double took;

    bench_must(fd >= 0 && block, path);
    do {
        bench_must(write(fd, block, group * bytes) == (ssize_t)(group * bytes), "write");
        bench_must(fdatasync(fd) == 0, "fdatasync");
        count += group;
        took = (double)(bench_ns() - began) / 1e9;
    } while (took < seconds);
    printf("%llu %.3f\n", (unsigned long long)count, took);
    close(fd);
    unlink(path);
    free(block);
}

int main(int argc, char **argv)
{
    static struct run r;
    int c;

    if (argc == 6 && strcmp(argv[1], "file") == 0) {
        append(argv[2], (size_t)atoi(argv[3]) + HEAD, (size_t)atoi(argv[4]), atof(argv[5]));
        return 0;
    }
    bench_must(argc == 7, "durable PORT PATH USER KEY BYTES SECONDS");
    open_run(&r, argv);
    while ((c = getchar()) != EOF) /* a round for each line */
        if (c == '\n')
            measure(&r, atof(argv[6]));
    return 0;
}
