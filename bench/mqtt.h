/* mqtt.h -- what the benchmarks that speak MQTT 3.1.1 over WebSocket share: frames, CONNECT, processor time. */
#ifndef PIXI_BENCH_MQTT_H
#define PIXI_BENCH_MQTT_H

#include "bench.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static uint8_t bench_rx[1 << 16];

static inline void bench_send(int fd, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;

    while (len) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

        bench_must(n > 0, "send");
        p += n;
        len -= (size_t)n;
    }
}

static inline size_t bench_recv(int fd)
{
    ssize_t n = recv(fd, bench_rx, sizeof bench_rx, 0);

    bench_must(n > 0, "recv");
    return (size_t)n;
}

static inline size_t bench_put_frame(uint8_t *to, const uint8_t *packet, size_t len)
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

static inline size_t bench_put_text(uint8_t *to, const char *text)
{
    size_t len = strlen(text);

    to[0] = (uint8_t)(len >> 8);
    to[1] = (uint8_t)len;
    memcpy(to + 2, text, len);
    return len + 2;
}

/* A whole CONNECT of 3.1.1. */
static inline size_t bench_put_connect(uint8_t *to, const char *user, const char *key)
{
    static const uint8_t head[] = {0, 4, 'M', 'Q', 'T', 'T', 4, 0xc2, 0, 0, 0, 0};
    uint8_t body[1024];
    size_t len = sizeof head;

    memcpy(body, head, len);
    len += bench_put_text(body + len, user);
    len += bench_put_text(body + len, key);
    to[0] = 0x10;
    to[1] = (uint8_t)len;
    memcpy(to + 2, body, len);
    return len + 2;
}

/* CONNECT on so many connections. Step by step for all of them: mosquitto answers a handshake after 100 ms and more. */
static inline void bench_open(int *fds, int count, int port, const char *path, const char *user,
                              const char *key)
{
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
        bench_send(fds[i], request, (size_t)len);
    }
    for (int i = 0; i < count; i++)
        bench_recv(fds[i]); /* 101 */
    size = bench_put_connect(packet, user, key);
    size = bench_put_frame(frame, packet, size);
    for (int i = 0; i < count; i++)
        bench_send(fds[i], frame, size);
    for (int i = 0; i < count; i++) {
        size = bench_recv(fds[i]); /* CONNACK */
        bench_must(size >= 6 && bench_rx[5] == 0, "CONNECT");
    }
}

static inline double bench_cpu_of(int pid)
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

static inline double bench_own_cpu(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

#endif
