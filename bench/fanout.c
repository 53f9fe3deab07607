/* fanout.c PORT PATH PID USER KEY SUBSCRIBERS SECONDS -- MQTT over WebSocket, QoS 0: one publisher, many subscribers,
 * 128 bytes. For each line that it reads, one round: it prints deliveries, seconds, the processor seconds that process PID
 * used meanwhile, and its own. */
#include "mqtt.h"

#include <sys/epoll.h>

enum {
    PAYLOAD = 128,
    BATCH = 16, /* messages in one write */
    AHEAD = 64, /* that a subscriber may be behind: nothing is dropped for it */
    TOPIC = sizeof "bench/t" - 1,
    PACKET = 3 + 2 + TOPIC + PAYLOAD, /* with a remaining length of two bytes */
    OUT = 4 + PACKET,                 /* a server's frame */
    IN = 4 + 4 + PACKET,              /* a client's, masked with zeros */
};

static void open_links(int *fds, int count, char **argv)
{
    static const uint8_t filter[] = {0x82, 5 + TOPIC, 0, 1, 0, TOPIC, 'b', 'e', 'n', 'c', 'h', '/', 't', 0};
    uint8_t frame[64];
    size_t size = bench_put_frame(frame, filter, sizeof filter);

    bench_open(fds, count, atoi(argv[1]), argv[2], argv[4], argv[5]);
    for (int i = 1; i < count; i++) /* the first one publishes */
        bench_send(fds[i], frame, size);
    for (int i = 1; i < count; i++)
        bench_recv(fds[i]); /* SUBACK */
}

static size_t put_publish(uint8_t *to)
{
    uint8_t packet[PACKET] = {0x30, (uint8_t)(0x80 | ((2 + TOPIC + PAYLOAD) & 127)),
                              (2 + TOPIC + PAYLOAD) >> 7};

    bench_put_text(packet + 3, "bench/t");
    memset(packet + 5 + TOPIC, 'x', PAYLOAD);
    return bench_put_frame(to, packet, sizeof packet);
}

struct run {
    int publisher, epoll, subscribers;
    uint64_t sent, *got; /* messages; bytes of each subscriber */
    uint64_t bytes;      /* of all */
};

/* The slowest subscriber has so many. */
static uint64_t least(const struct run *r)
{
    uint64_t out = UINT64_MAX;

    for (int i = 0; i < r->subscribers; i++)
        out = r->got[i] < out ? r->got[i] : out;
    return out / OUT;
}

static void read_all(struct run *r, int wait_ms)
{
    struct epoll_event events[256];
    int n = epoll_wait(r->epoll, events, 256, wait_ms);

    for (int i = 0; i < n; i++) {
        size_t got = bench_recv((int)(events[i].data.u64 >> 32));

        r->got[(uint32_t)events[i].data.u64] += got;
        r->bytes += got;
    }
}

static void turn(struct run *r, const uint8_t *batch, size_t len)
{
    if (r->sent < least(r) + AHEAD) {
        bench_send(r->publisher, batch, len);
        r->sent += BATCH;
    }
    read_all(r, r->sent < least(r) + AHEAD ? 0 : 1000);
}

/* One round: nothing is under way before and after it. */
static void measure(struct run *r, const uint8_t *batch, size_t len, int pid, double seconds)
{
    uint64_t begun = bench_ns(), bytes;
    double server, own, took;

    while (bench_ns() - begun < 300000000) /* warm */
        turn(r, batch, len);
    server = bench_cpu_of(pid);
    own = bench_own_cpu();
    bytes = r->bytes;
    for (begun = bench_ns(); bench_ns() - begun < (uint64_t)(seconds * 1e9);)
        turn(r, batch, len);
    took = (double)(bench_ns() - begun) / 1e9;
    printf("%.0f %.3f %.3f %.3f\n", (double)(r->bytes - bytes) / OUT, took, bench_cpu_of(pid) - server,
           bench_own_cpu() - own);
    fflush(stdout);
    while (least(r) < r->sent)
        read_all(r, 1000);
}

int main(int argc, char **argv)
{
    struct run r = {0};
    uint8_t batch[BATCH * (IN + 8)];
    size_t len = 0;
    int *fds, c;

    bench_must(argc == 8, "fanout PORT PATH PID USER KEY SUBSCRIBERS SECONDS");
    r.subscribers = atoi(argv[6]);
    r.got = calloc((size_t)r.subscribers, sizeof *r.got);
    fds = calloc((size_t)r.subscribers + 1, sizeof *fds);
    r.epoll = epoll_create1(EPOLL_CLOEXEC);
    open_links(fds, r.subscribers + 1, argv);
    r.publisher = fds[0];
    for (int i = 0; i < r.subscribers; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.u64 = (uint64_t)fds[i + 1] << 32 | (unsigned)i};

        bench_must(epoll_ctl(r.epoll, EPOLL_CTL_ADD, fds[i + 1], &e) == 0, "epoll");
    }
    for (int i = 0; i < BATCH; i++)
        len += put_publish(batch + len);
    while ((c = getchar()) != EOF) /* a round for each line */
        if (c == '\n')
            measure(&r, batch, len, atoi(argv[3]), atof(argv[7]));
    free(fds);
    free(r.got);
    return 0;
}
