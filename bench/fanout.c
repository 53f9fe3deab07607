/* fanout.c PORT PATH PID USER KEY SUBSCRIBERS SECONDS -- MQTT over WebSocket, QoS 0: one publisher, many subscribers,
 * 128 bytes. For each line that it reads, one round: it prints deliveries, seconds, the processor seconds that process PID
 * used meanwhile, and its own. */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PAYLOAD = 128,
    BATCH = 16, /* messages in one write */
    AHEAD = 64, /* that a subscriber may be behind: nothing is dropped for it */
    TOPIC = sizeof "bench/t" - 1,
    PACKET = 3 + 2 + TOPIC + PAYLOAD, /* with a remaining length of two bytes */
    OUT = 4 + PACKET,                 /* a server's frame */
    IN = 4 + 4 + PACKET,              /* a client's, masked with zeros */
    RX = 1 << 16,
};

static uint8_t rx[RX];

static void send_all(int fd, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;

    while (len) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

        bench_must(n > 0, "send");
        p += n;
        len -= (size_t)n;
    }
}

static size_t recv_some(int fd)
{
    ssize_t n = recv(fd, rx, sizeof rx, 0);

    bench_must(n > 0, "recv");
    return (size_t)n;
}

static size_t put_frame(uint8_t *to, const uint8_t *packet, size_t len)
{
    size_t at = 2;

    to[0] = 0x82;
    to[1] = (uint8_t)(0x80 | (len < 126 ? len : 126));
    if (len >= 126) {
        to[2] = (uint8_t)(len >> 8);
        to[3] = (uint8_t)len;
        at = 4;
    }
    memset(to + at, 0, 4); /* masked with zeros: the server does the same work */
    memcpy(to + at + 4, packet, len);
    return at + 4 + len;
}

static size_t put_text(uint8_t *to, const char *text)
{
    size_t len = strlen(text);

    to[0] = (uint8_t)(len >> 8);
    to[1] = (uint8_t)len;
    memcpy(to + 2, text, len);
    return len + 2;
}

/* A whole CONNECT of 3.1.1. */
static size_t put_connect(uint8_t *to, const char *user, const char *key)
{
    static const uint8_t head[] = {0, 4, 'M', 'Q', 'T', 'T', 4, 0xc2, 0, 0, 0, 0};
    uint8_t body[1024];
    size_t len = sizeof head;

    memcpy(body, head, len);
    len += put_text(body + len, user);
    len += put_text(body + len, key);
    to[0] = 0x10;
    to[1] = (uint8_t)len;
    memcpy(to + 2, body, len);
    return len + 2;
}

/* Step by step for all of them: mosquitto answers a handshake after 100 ms and more. */
static void open_links(int *fds, int count, int port, const char *path, const char *user, const char *key)
{
    static const uint8_t filter[] = {0x82, 5 + TOPIC, 0, 1, 0, TOPIC, 'b', 'e', 'n', 'c', 'h', '/', 't', 0};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    char request[512];
    uint8_t packet[1200], frame[1300];
    int on = 1, len;
    size_t size;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    len = snprintf(request, sizeof request,
                   "GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                   path);
    for (int i = 0; i < count; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bench_must(fds[i] >= 0 && connect(fds[i], (struct sockaddr *)&to, sizeof to) == 0, "connect");
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        send_all(fds[i], request, (size_t)len);
    }
    for (int i = 0; i < count; i++)
        recv_some(fds[i]); /* 101 */
    size = put_connect(packet, user, key);
    size = put_frame(frame, packet, size);
    for (int i = 0; i < count; i++)
        send_all(fds[i], frame, size);
    for (int i = 0; i < count; i++) {
        size = recv_some(fds[i]); /* CONNACK */
        bench_must(size >= 6 && rx[5] == 0, "CONNECT");
    }
    size = put_frame(frame, filter, sizeof filter);
    for (int i = 1; i < count; i++) /* the first one publishes */
        send_all(fds[i], frame, size);
    for (int i = 1; i < count; i++)
        recv_some(fds[i]); /* SUBACK */
}

static size_t put_publish(uint8_t *to)
{
    uint8_t packet[PACKET] = {0x30, (uint8_t)(0x80 | ((2 + TOPIC + PAYLOAD) & 127)),
                              (2 + TOPIC + PAYLOAD) >> 7};

    put_text(packet + 3, "bench/t");
    memset(packet + 5 + TOPIC, 'x', PAYLOAD);
    return put_frame(to, packet, sizeof packet);
}

static double cpu_of(int pid)
{
    char path[64], text[1024];
    unsigned long long user = 0, sys = 0;
    FILE *f;
    size_t n;
    const char *p;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    f = fopen(path, "re");
    bench_must(f != NULL, path);
    n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    p = strrchr(text, ')');
    bench_must(p && sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &sys) == 2,
               "stat");
    return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static double own_cpu(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
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
        size_t got = recv_some((int)(events[i].data.u64 >> 32));

        r->got[(uint32_t)events[i].data.u64] += got;
        r->bytes += got;
    }
}

static void turn(struct run *r, const uint8_t *batch, size_t len)
{
    if (r->sent < least(r) + AHEAD) {
        send_all(r->publisher, batch, len);
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
    server = cpu_of(pid);
    own = own_cpu();
    bytes = r->bytes;
    for (begun = bench_ns(); bench_ns() - begun < (uint64_t)(seconds * 1e9);)
        turn(r, batch, len);
    took = (double)(bench_ns() - begun) / 1e9;
    printf("%.0f %.3f %.3f %.3f\n", (double)(r->bytes - bytes) / OUT, took, cpu_of(pid) - server,
           own_cpu() - own);
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
    open_links(fds, r.subscribers + 1, atoi(argv[1]), argv[2], argv[4], argv[5]);
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
