/* peers.c -- clients as they should not be, many at once, as fast as the machine lets them.
 *
 *   peers PORT MQTT_PORT KEY [KIND...]
 *
 * Each kind of peer is a row of a table, here or in mqtt_kinds.c: what it says first, what it says over and over, how
 * fast, whether it listens, and what it does when that is said. Whoever the server ends comes back. Runs until SIGTERM,
 * then prints one JSON object: for each kind how many connections were made, and how many bytes were said. */
#include "hostile/peers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum { PEERS_MAX = 4000, ADDRESSES = 8, TICK_MS = 10, SAY_AT_ONCE = 1 << 16 };

struct peer {
    struct kind *kind;
    int fd; /* -1: resting until due_ms */
    unsigned number;
    size_t at; /* bytes said; those of again count on */
    uint64_t due_ms;
    bool is_done;
};

const char *key;
static struct sockaddr_in servers[DOORS];
static struct peer peers[PEERS_MAX];
static unsigned peer_count;
static int epoll_fd;
static uint64_t now_ms;
static volatile sig_atomic_t is_over;

/* ---- words ---- */

void put(struct words *w, const void *bytes, size_t len)
{
    while (w->room < w->len + len) {
        w->room = w->room ? 2 * w->room : 4096;
        w->bytes = realloc(w->bytes, w->room);
        if (!w->bytes)
            abort();
    }
    memcpy(w->bytes + w->len, bytes, len);
    w->len += len;
}

void put_text(struct words *w, const char *text)
{
    put(w, text, strlen(text));
}

void put_head(struct words *w, unsigned first, uint64_t len)
{
    uint8_t head[14] = {(uint8_t)first};
    size_t size = len < 126 ? 0 : len < 65536 ? 2 : 8;

    head[1] = (uint8_t)(0x80 | (size == 0 ? len : size == 2 ? 126 : 127));
    for (size_t i = 0; i < size; i++)
        head[2 + i] = (uint8_t)(len >> 8 * (size - 1 - i));
    put(w, head, 2 + size + 4);
}

static void put_frame(struct words *w, unsigned first, const char *payload)
{
    put_head(w, first, strlen(payload));
    put_text(w, payload);
}

void put_request(struct words *w, const char *more)
{
    put_text(w, "GET /api/v1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                "Authorization: Bearer ");
    put_text(w, key);
    put_text(w, "\r\n");
    put_text(w, more);
    put_text(w, "\r\n");
}

static void put_call(struct words *w, const char *method, const char *params, unsigned id)
{
    char text[1024];

    if (id)
        snprintf(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"%s\",\"params\":{%s}}", id,
                 method, params);
    else
        snprintf(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":{%s}}", method,
                 params);
    put_frame(w, 0x81, text);
}

/* ---- kinds ---- */

static void silent(struct kind *k)
{
    (void)k;
}

static void slow_head(struct kind *k)
{
    put_text(&k->first, "GET /api/v1 HTTP/1.1\r\nHost: x\r\n");
    put_text(&k->again, "X-A: b\r\n");
}

static void slow_frame(struct kind *k)
{
    put_request(&k->first, "");
    put_head(&k->first, 0x81, 60000);
    put_text(&k->again, " ");
}

static void pings(struct kind *k)
{
    put_request(&k->first, "");
    for (int i = 0; i < 500; i++)
        put_frame(&k->again, 0x89, "a ping that wants to come back as it is, byte by byte, again and again");
}

static void empty_fragments(struct kind *k)
{
    put_request(&k->first, "");
    put_head(&k->first, 0x01, 0);
    for (int i = 0; i < 5000; i++)
        put_head(&k->again, 0x00, 0);
}

static void empty_messages(struct kind *k)
{
    put_request(&k->first, "");
    for (int i = 0; i < 5000; i++)
        put_head(&k->again, 0x81, 0);
}

static void small_fragments(struct kind *k)
{
    put_request(&k->first, "");
    put_frame(&k->first, 0x01, "x");
    for (int i = 0; i < 5000; i++)
        put_frame(&k->again, 0x00, "x");
}

static void subscriptions(struct kind *k)
{
    char params[100];

    put_request(&k->first, "");
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(params, sizeof params, "\"filter\":\"hostile/%u/+/a/#\"", i);
        put_call(&k->again, "subscribe", params, i + 1);
    }
}

static void headers(struct kind *k)
{
    char field[40];

    put_text(&k->first, "GET /api/v1 HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 100000; i++) {
        snprintf(field, sizeof field, "X-Field-%d: value\r\n", i);
        put_text(&k->first, field);
    }
}

static void compression(struct kind *k)
{
    struct words offers = {0};

    for (int i = 0; i < 50; i++)
        put_text(&offers, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; "
                          "server_max_window_bits=8, x-webkit-deflate-frame\r\n");
    put(&offers, "", 1);
    put_request(&k->first, (char *)offers.bytes);
    put_frame(&k->first, 0xc1, "\xaaV*..."); /* and compressed all the same */
    free(offers.bytes);
}

static void offers_and_leaves(struct kind *k)
{
    put_request(&k->first, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n");
    put_frame(&k->first, 0xc1, "\xaaV*...");
}

/* A compressed message of so many blanks, which is a thousandth of that long. */
static void put_blanks(struct words *w, size_t len)
{
    uint8_t *blanks = malloc(len), *packed = malloc(len);
    z_stream z = {.next_in = blanks, .avail_in = (uInt)len, .next_out = packed, .avail_out = (uInt)len};

    if (!blanks || !packed || deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    memset(blanks, ' ', len);
    deflate(&z, Z_SYNC_FLUSH);
    put_head(w, 0xc1, z.total_out - 4);
    put(w, packed, z.total_out - 4);
    deflateEnd(&z);
    free(blanks);
    free(packed);
}

static void bombs(struct kind *k)
{
    put_request(&k->first, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    put_blanks(&k->first, 40 << 20);
}

/* As large as messages may be, once they are inflated, one after the other. */
static void small_bombs(struct kind *k)
{
    put_request(&k->first, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    put_blanks(&k->again, 64 << 10);
}

static void half_request(struct kind *k)
{
    put_text(&k->first, "GET /api/v1 HTTP/1.1\r\nHost: x\r\nUpgr");
}

static void half_message(struct kind *k)
{
    put_request(&k->first, "");
    put_head(&k->first, 0x81, 60000);
    put_text(&k->first, "{\"jsonrpc\":");
}

static void deaf_subscriber(struct kind *k)
{
    put_request(&k->first, "");
    put_call(&k->first, "subscribe", "\"filter\":\"event/#\"", 1);
    put_call(&k->first, "subscribe", "\"filter\":\"hostile/#\"", 2);
    put_call(&k->first, "subscribe", "\"filter\":\"request/hostile\"", 3);
}

static void nearly_whole(struct kind *k)
{
    enum { ALL = 65536 };

    put_request(&k->first, "");
    put_head(&k->first, 0x81, ALL);
    for (int i = 0; i < ALL - 1; i++)
        put(&k->first, " ", 1);
}

static void publishes(struct kind *k)
{
    put_request(&k->first, "");
    for (int i = 0; i < 500; i++)
        put_call(&k->again, "publish",
                 "\"topic\":\"hostile/flood\",\"payload\":\"all the time, all the time\"", 0);
}

static void large_publishes(struct kind *k)
{
    static const char head[] = "{\"jsonrpc\":\"2.0\",\"method\":\"publish\",\"params\":{\"topic\":"
                               "\"hostile/large\",\"payload\":\"";
    enum { ALL = 60000 };

    put_request(&k->first, "");
    put_head(&k->again, 0x81, ALL);
    put_text(&k->again, head);
    for (size_t i = sizeof head - 1; i < ALL - 3; i++)
        put(&k->again, "x", 1);
    put_text(&k->again, "\"}}");
}

/* Asks those deaf ones, and waits for an hour. */
static void requests(struct kind *k)
{
    put_request(&k->first, "");
    for (unsigned i = 0; i < 3000; i++)
        put_call(&k->again, "request", "\"topic\":\"request/hostile\",\"payload\":1,\"timeout_ms\":3600000",
                 i + 1);
}

static void histories(struct kind *k)
{
    put_request(&k->first, "");
    for (unsigned i = 0; i < 500; i++)
        put_call(&k->again, "history", "\"filter\":\"#\",\"limit\":1000", i + 1);
}

static void batches(struct kind *k)
{
    static const char ping[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"info\",\"params\":{}}";
    struct words batch = {0};

    put_text(&batch, "[");
    for (int i = 0; i < 1000; i++) {
        put_text(&batch, i ? "," : "");
        put_text(&batch, ping);
    }
    put_text(&batch, "]");
    put_request(&k->first, "");
    put_head(&k->again, 0x81, batch.len);
    put(&k->again, batch.bytes, batch.len);
    free(batch.bytes);
}

static void deep_json(struct kind *k)
{
    put_request(&k->first, "");
    put_head(&k->again, 0x81, 60000);
    for (int i = 0; i < 60000; i++)
        put_text(&k->again, "[");
}

static void wrong_keys(struct kind *k)
{
    put_text(&k->first, "GET /api/v1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                        "Authorization: Bearer pk_this-one-was-never-given-out\r\n\r\n");
}

static void noise(struct kind *k)
{
    uint32_t x = 1;

    for (int i = 0; i < 65536; i++) {
        x = x * 1664525 + 1013904223;
        put(&k->first, (uint8_t[]){(uint8_t)(x >> 24)}, 1);
    }
}

static struct kind pixi_kinds[] = {
    /* name, door, count, make, then, hears, pace, pause */
    {"never-speak", PIXI, 400, silent, HOLDS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"slow-heads", PIXI, 100, slow_head, REPEATS, LISTENS, 100, 100, {0}, {0}, 0, 0},
    {"byte-a-second", PIXI, 100, slow_frame, REPEATS, LISTENS, 1000, 100, {0}, {0}, 0, 0},
    {"pings", PIXI, 5, pings, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"pings-deaf", PIXI, 5, pings, REPEATS, DEAF, 0, 100, {0}, {0}, 0, 0},
    {"empty-fragments", PIXI, 5, empty_fragments, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"empty-messages", PIXI, 5, empty_messages, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"small-fragments", PIXI, 5, small_fragments, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"subscriptions", PIXI, 5, subscriptions, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"headers-100000", PIXI, 5, headers, HOLDS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"compression", PIXI, 5, compression, HOLDS, LISTENS, 0, 10, {0}, {0}, 0, 0},
    {"compression-reset", PIXI, 5, offers_and_leaves, RESETS, DEAF, 0, 10, {0}, {0}, 0, 0},
    {"bombs", PIXI, 5, bombs, HOLDS, LISTENS, 0, 10, {0}, {0}, 0, 0},
    {"small-bombs", PIXI, 5, small_bombs, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"half-closed-early", PIXI, 20, half_request, SHUTS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"half-closed-late", PIXI, 20, half_message, SHUTS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"never-read", PIXI, 50, deaf_subscriber, HOLDS, DEAF, 0, 100, {0}, {0}, 0, 0},
    {"nearly-whole", PIXI, 200, nearly_whole, HOLDS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"publishes", PIXI, 3, publishes, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"large-publishes", PIXI, 2, large_publishes, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"requests", PIXI, 5, requests, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"histories", PIXI, 2, histories, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"histories-deaf", PIXI, 2, histories, REPEATS, DEAF, 0, 100, {0}, {0}, 0, 0},
    {"batches", PIXI, 2, batches, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"batches-deaf", PIXI, 2, batches, REPEATS, DEAF, 0, 100, {0}, {0}, 0, 0},
    {"deep-json", PIXI, 2, deep_json, REPEATS, LISTENS, 0, 100, {0}, {0}, 0, 0},
    {"wrong-keys", PIXI, 5, wrong_keys, HOLDS, LISTENS, 0, 10, {0}, {0}, 0, 0},
    {"noise", PIXI, 5, noise, HOLDS, LISTENS, 0, 10, {0}, {0}, 0, 0},
    {"come-and-go", PIXI, 5, silent, RESETS, DEAF, 0, 1, {0}, {0}, 0, 0},
};

enum { PIXI_KINDS = sizeof pixi_kinds / sizeof pixi_kinds[0] };

/* ---- peers ---- */

static uint64_t clock_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void rest(struct peer *p)
{
    close(p->fd);
    p->fd = -1;
    p->due_ms = now_ms + p->kind->pause_ms;
}

static void want(struct peer *p, int op)
{
    struct epoll_event e = {.data.ptr = p, .events = p->kind->hears == LISTENS ? EPOLLIN : 0};

    if (!p->is_done && !p->kind->pace_ms)
        e.events |= EPOLLOUT;
    epoll_ctl(epoll_fd, op, p->fd, &e);
}

/* From one of a few addresses of this machine: so many would not be let in from one. */
static void begin(struct peer *p)
{
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(0x7f420001u + p->number % ADDRESSES)};
    int one = 1, small = 4096;

    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0)
        abort();
    setsockopt(p->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (p->kind->hears == DEAF)
        setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    p->at = 0;
    p->is_done = false;
    p->due_ms = now_ms;
    p->kind->made++;
    if (bind(p->fd, (struct sockaddr *)&from, sizeof from) < 0 ||
        (connect(p->fd, (struct sockaddr *)&servers[p->kind->door], sizeof servers[0]) < 0 &&
         errno != EINPROGRESS)) {
        rest(p);
        return;
    }
    want(p, EPOLL_CTL_ADD);
}

static void finish(struct peer *p)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};

    p->is_done = true;
    if (p->kind->then == RESETS) {
        setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        rest(p);
        return;
    }
    if (p->kind->then == SHUTS)
        shutdown(p->fd, SHUT_WR);
    want(p, EPOLL_CTL_MOD);
}

/* What it says next; at most is cut to one byte where it has a pace. len 0: all is said. */
static const uint8_t *next_words(const struct peer *p, size_t *len)
{
    const struct kind *k = p->kind;
    size_t at = p->at;

    if (at < k->first.len) {
        *len = k->first.len - at;
        return k->first.bytes + at;
    }
    *len = 0;
    if (!k->again.len)
        return NULL;
    at = (at - k->first.len) % k->again.len;
    *len = k->pace_ms ? 1 : k->again.len - at;
    return k->again.bytes + at;
}

static void speak(struct peer *p)
{
    size_t len, said = 0;
    const uint8_t *words;

    while ((words = next_words(p, &len)) && said < SAY_AT_ONCE) {
        ssize_t n = send(p->fd, words, len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOTCONN))
            return;
        if (n < 0) {
            rest(p);
            return;
        }
        p->at += (size_t)n;
        p->kind->said += (size_t)n;
        said += (size_t)n;
        if (p->kind->pace_ms && p->at >= p->kind->first.len)
            return;
    }
    if (!words)
        finish(p);
}

static void hear(struct peer *p)
{
    static uint8_t bytes[1 << 16];
    ssize_t n = recv(p->fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK))
        rest(p);
}

static void tick(void)
{
    for (unsigned i = 0; i < peer_count; i++) {
        struct peer *p = &peers[i];

        if (p->due_ms > now_ms)
            continue;
        if (p->fd < 0) {
            begin(p);
        } else if (p->kind->pace_ms) {
            p->due_ms = now_ms + p->kind->pace_ms;
            speak(p);
        }
    }
}

static void turn(void)
{
    struct epoll_event ready[256];
    int count = epoll_wait(epoll_fd, ready, 256, TICK_MS);

    now_ms = clock_ms();
    for (int i = 0; i < count; i++) {
        struct peer *p = ready[i].data.ptr;

        if (p->fd >= 0 && ready[i].events & EPOLLIN)
            hear(p);
        if (p->fd >= 0 && ready[i].events & EPOLLOUT && !p->is_done)
            speak(p);
        if (p->fd >= 0 && ready[i].events & (EPOLLERR | EPOLLHUP))
            rest(p);
    }
}

static void on_signal(int signal)
{
    (void)signal;
    is_over = 1;
}

static bool is_wanted(const char *name, char **names)
{
    if (!*names)
        return true;
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

/* names: of kinds, or of a family of them; none: all. */
static void make_some(struct kind *kind, unsigned count, const char *family, char **names)
{
    for (const struct kind *end = kind + count; kind < end; kind++) {
        if (!is_wanted(kind->name, names) && !is_wanted(family, names))
            continue;
        kind->make(kind);
        for (unsigned i = 0; i < kind->count; i++, peer_count++)
            peers[peer_count] = (struct peer){.kind = kind, .fd = -1, .number = peer_count};
    }
}

static void print(const struct kind *kind, unsigned count)
{
    static const char *comma = "";

    for (const struct kind *end = kind + count; kind < end; kind++)
        if (kind->made) {
            printf("%s\"%s\":{\"made\":%lu,\"said\":%lu}", comma, kind->name, kind->made, kind->said);
            comma = ",";
        }
}

static struct sockaddr_in server_at(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)atoi(port)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int main(int argc, char **argv)
{
    struct rlimit files;
    uint64_t ticked_ms = 0;

    if (argc < 4) {
        fputs("usage: peers PORT MQTT_PORT KEY [KIND...]\n", stderr);
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGTERM, on_signal);
    servers[PIXI] = server_at(argv[1]);
    servers[MQTT] = server_at(argv[2]);
    key = argv[3];
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    make_some(pixi_kinds, PIXI_KINDS, "pixi", argv + 4);
    make_some(mqtt_kinds, mqtt_kind_count, "mqtt", argv + 4);
    while (!is_over) {
        turn();
        if (now_ms - ticked_ms >= TICK_MS) {
            ticked_ms = now_ms;
            tick();
        }
    }
    putchar('{');
    print(pixi_kinds, PIXI_KINDS);
    print(mqtt_kinds, mqtt_kind_count);
    puts("}");
    return 0;
}
