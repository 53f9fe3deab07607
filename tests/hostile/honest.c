/* honest.c -- clients as they should be, to be watched while others misbehave.
 *
 *   honest PORT KEY COUNT SECONDS PERIOD_MS
 *
 * COUNT links, each subscribed to topics of its own. Every PERIOD_MS each publishes to its neighbour, and with every
 * fifth message asks another one, which answers. What is measured counts from the time at which a message was meant to
 * be sent, so that a sender that is held up shows as well. Prints "ready" when all are subscribed, and at the end one
 * JSON object. Its reading of JSON is no parser: it knows what a Pixi server writes. */
#include "base/buf.h"
#include "link/link.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT_MAX = 1000, ASK_EVERY = 5, KINDS = 4, GRACE_MS = 10000, SAY_MAX = 5 };
enum kind { DELIVERED, STORED, ANSWERED, LATE };

static const char *const names[KINDS] = {"delivered", "stored", "answered", "late"};

/* Microseconds of one kind of thing. */
struct samples {
    uint32_t *us;
    size_t count, room;
};

struct honest {
    struct pixi_link link;
    struct pixi_timer tick;
    unsigned number;
    uint64_t due_ms; /* of the next message, as meant */
    uint64_t sent_count, next_from_neighbour;
};

static struct pixi_loop loop;
static struct honest *all;
static struct samples samples[KINDS];
static unsigned count, ready_count, period_ms, port;
static uint64_t start_ms, end_ms, published, delivered, stored, asked, answered, errors, said;
static char authorization[600], host[32];
static struct pixi_buf text;

static void note(const char *what, const void *bytes, size_t len)
{
    errors++;
    if (said++ < SAY_MAX)
        fprintf(stderr, "honest: %s: %.*s\n", what, (int)(len > 300 ? 300 : len), (const char *)bytes);
}

static void take(enum kind kind, uint64_t meant_us)
{
    struct samples *s = &samples[kind];
    uint64_t now = pixi_clock_mono_us();

    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 1 << 16;
        s->us = realloc(s->us, s->room * sizeof *s->us);
        if (!s->us)
            abort();
    }
    s->us[s->count++] = now > meant_us ? (uint32_t)(now - meant_us) : 0;
}

/* The number after this member's name; false: it is not there. */
static bool number_after(const char *json, const char *member, uint64_t *out)
{
    const char *at = strstr(json, member);

    return at && sscanf(at + strlen(member), "%" SCNu64, out) == 1;
}

static void say(struct honest *h)
{
    int rc = text.err ? text.err : pixi_link_send(&h->link, PIXI_WS_TEXT, text.bytes, text.len);

    if (rc != PIXI_OK)
        note("cannot send", pixi_err_text(rc), strlen(pixi_err_text(rc)));
    pixi_buf_reset(&text);
}

/* An id is the time at which the call was meant to be made, and its kind. */
static void publish(struct honest *h, uint64_t meant_us)
{
    pixi_buf_putf(&text,
                  "{\"jsonrpc\":\"2.0\",\"id\":%" PRIu64 ",\"method\":\"publish\",\"params\":"
                  "{\"topic\":\"event/%u\",\"payload\":[%" PRIu64 ",%" PRIu64 "]}}",
                  meant_us * KINDS + STORED, (h->number + 1) % count, meant_us, h->sent_count++);
    published++;
    say(h);
}

static void ask(struct honest *h, uint64_t meant_us)
{
    pixi_buf_putf(&text,
                  "{\"jsonrpc\":\"2.0\",\"id\":%" PRIu64 ",\"method\":\"request\",\"params\":"
                  "{\"topic\":\"request/%u\",\"payload\":1}}",
                  meant_us * KINDS + ANSWERED, (h->number + count / 2) % count);
    asked++;
    say(h);
}

static void on_tick(struct pixi_timer *t)
{
    struct honest *h = (struct honest *)((char *)t - offsetof(struct honest, tick));

    while (h->due_ms <= loop.now_ms && h->due_ms < end_ms) {
        take(LATE, h->due_ms * 1000);
        if (h->sent_count % ASK_EVERY == 0)
            ask(h, h->due_ms * 1000);
        publish(h, h->due_ms * 1000);
        h->due_ms += period_ms;
    }
    if (h->due_ms < end_ms)
        pixi_loop_set_timer(&loop, t, h->due_ms - loop.now_ms);
}

/* ---- what comes ---- */

static void on_published(struct honest *h, const char *json)
{
    uint64_t meant_us = 0, n = 0;
    const char *at = strstr(json, "\"payload\":[");

    if (!at || sscanf(at, "\"payload\":[%" SCNu64 ",%" SCNu64 "]", &meant_us, &n) != 2)
        note("not what was published", json, strlen(json));
    else if (n != h->next_from_neighbour)
        note("lost, doubled or out of order", json, strlen(json));
    h->next_from_neighbour = n + 1;
    delivered++;
    take(DELIVERED, meant_us);
}

static void on_asked(struct honest *h, const char *id)
{
    pixi_buf_putf(
        &text, "{\"jsonrpc\":\"2.0\",\"method\":\"reply\",\"params\":{\"request\":\"%.16s\",\"payload\":2}}",
        id);
    say(h);
}

static void start_all(void)
{
    start_ms = loop.now_ms + 100;
    end_ms += start_ms;
    for (unsigned i = 0; i < count; i++) {
        all[i].due_ms = start_ms + i * period_ms / count;
        pixi_loop_set_timer(&loop, &all[i].tick, all[i].due_ms - loop.now_ms);
    }
    puts("ready");
    fflush(stdout);
}

static void on_answer(const char *json)
{
    uint64_t id = 0;

    number_after(json, "\"id\":", &id);
    if (strstr(json, "\"error\":")) {
        note("answered with an error", json, strlen(json));
    } else if (id == 1 || id == 2) {
        if (++ready_count == 2 * count)
            start_all();
    } else if (id % KINDS == STORED) {
        stored++;
        take(STORED, id / KINDS);
    } else {
        answered++;
        take(ANSWERED, id / KINDS);
    }
}

static void on_message(struct pixi_link *k, enum pixi_ws_opcode type, uint8_t *bytes, size_t len)
{
    struct honest *h = (struct honest *)k;
    char json[1024];
    const char *request;

    (void)type;
    if (len >= sizeof json) {
        note("too long", bytes, len);
        return;
    }
    memcpy(json, bytes, len);
    json[len] = '\0';
    if (strstr(json, "\"method\":\"synced\""))
        return;
    if (!strstr(json, "\"method\":\"message\""))
        on_answer(json);
    else if ((request = strstr(json, "\"request\":\"")))
        on_asked(h, request + strlen("\"request\":\""));
    else
        on_published(h, json);
}

static void on_open(struct pixi_link *k, struct pixi_cur protocol)
{
    struct honest *h = (struct honest *)k;
    static const char *const filters[] = {"event", "request"};

    (void)protocol;
    for (unsigned i = 0; i < 2; i++) {
        pixi_buf_putf(
            &text,
            "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"subscribe\",\"params\":{\"filter\":\"%s/%u\"}}",
            i + 1, filters[i], h->number);
        say(h);
    }
}

static void on_close(struct pixi_link *k, const struct pixi_link_end *end)
{
    char why[200];

    (void)k;
    snprintf(why, sizeof why, "%s, code %u %s", pixi_err_text(end->err), end->code, end->reason);
    note("closed", why, strlen(why));
}

static void on_connect(struct pixi_tcp *t, int err)
{
    static const struct pixi_ws_hello hello = {
        .host = host, .path = "/api/v1", .protocols = "pixi.v1", .authorization = authorization};

    if (err == PIXI_OK && pixi_link_hello((struct pixi_link *)t, &hello) == PIXI_OK)
        return;
    note("cannot connect", strerror(t->sys_errno), strlen(strerror(t->sys_errno)));
}

/* ---- all of it ---- */

static void connect_all(void)
{
    static const struct pixi_link_handlers handlers = {
        .on_open = on_open, .on_message = on_message, .on_close = on_close};
    static const struct pixi_link_limits limits = {.http = {8192, 64},
                                                   .message_bytes = 1 << 20,
                                                   .queue_bytes = 1 << 20,
                                                   .handshake_ms = 20000,
                                                   .close_ms = 3000};
    static struct pixi_tcp_handlers tcp;
    struct pixi_addr to;

    tcp = pixi_link_tcp;
    tcp.on_connect = on_connect;
    snprintf(host, sizeof host, "127.0.0.1:%u", port);
    pixi_addr_parse(host, &to);
    for (unsigned i = 0; i < count; i++) {
        struct honest *h = &all[i];

        h->number = i;
        h->tick.on_due = on_tick;
        pixi_link_init(&h->link, &loop, PIXI_CLIENT, &handlers, &limits);
        if (pixi_tcp_connect(&h->link.tcp, &loop, &tcp, &to) != PIXI_OK)
            note("cannot connect", "at once", 7);
    }
}

static int by_size(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void print(void)
{
    printf("{\"published\":%" PRIu64 ",\"delivered\":%" PRIu64 ",\"stored\":%" PRIu64 ",\"asked\":%" PRIu64
           ",\"answered\":%" PRIu64 ",\"errors\":%" PRIu64,
           published, delivered, stored, asked, answered,
           errors + (published - delivered) + (published - stored) + (asked - answered));
    for (int i = 0; i < KINDS; i++) {
        struct samples *s = &samples[i];
        size_t n = s->count;

        if (n)
            qsort(s->us, n, sizeof *s->us, by_size);
        printf(",\"%s_us\":{\"p50\":%u,\"p99\":%u,\"max\":%u}", names[i], n ? s->us[n / 2] : 0,
               n ? s->us[n - 1 - n / 100] : 0, n ? s->us[n - 1] : 0);
        free(s->us);
    }
    puts("}");
}

static bool is_done(void)
{
    if (!start_ms)
        return errors > 0;
    if (loop.now_ms < end_ms)
        return false;
    return (delivered == published && stored == published && answered == asked) ||
           loop.now_ms > end_ms + GRACE_MS;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fputs("usage: honest PORT KEY COUNT SECONDS PERIOD_MS\n", stderr);
        return 2;
    }
    port = (unsigned)atoi(argv[1]);
    snprintf(authorization, sizeof authorization, "Bearer %s", argv[2]);
    count = (unsigned)atoi(argv[3]);
    end_ms = (uint64_t)atoi(argv[4]) * 1000;
    period_ms = (unsigned)atoi(argv[5]);
    text = pixi_buf_init(4096);
    if (!count || count > COUNT_MAX || !period_ms || pixi_loop_init(&loop) != PIXI_OK ||
        !(all = calloc(count, sizeof *all)))
        return 2;
    connect_all();
    while (!is_done())
        if (pixi_loop_turn(&loop, 100) != PIXI_OK)
            return 14;
    print();
    return errors > 0;
}
