/* threads URL KEY SENDERS COUNT [loose] -- so many threads send COUNT numbers each through one client, while one thread
 * receives them and another sits in pixi_client_process. Every number must come once and in its sender's order; loose: in
 * order, though some may come twice or not at all, as a server that was killed forgets. Prints what came; 0: all well. */
#include <pixiws/pixiws.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SENDERS_MAX = 64 };

static struct pixi_client *c;
static unsigned senders, count;
static bool is_loose;
static sem_t came_back; /* once for each sender, when it has connected for the second time */
static atomic_uint sent_ok, connects, losses, gaps;
static atomic_bool is_done;

static void fail(const char *what, const struct pixi_error *e)
{
    fprintf(stderr, "%s: %s: %s: %s\n", what, pixi_rc_name(e->rc), e->layer, e->cause);
    exit(1);
}

static void on_sent(struct pixi_client *client, void *ctx, const struct pixi_error *sent)
{
    (void)client;
    (void)ctx;
    if (sent->rc != PIXI_RC_OK)
        fail("on_sent", sent);
    atomic_fetch_add(&sent_ok, 1);
}

/* Even ones wait for each answer, odd ones queue. */
static void *send_all(void *arg)
{
    unsigned self = (unsigned)(size_t)arg;
    struct pixi_send_options o = {
        .flags = self % 2 ? PIXI_SEND_QUEUE : 0, .timeout_ms = -1, .on_sent = self % 2 ? on_sent : NULL};
    struct pixi_error e;
    char topic[32], payload[32];

    snprintf(topic, sizeof topic, "event/%u", self);
    for (unsigned i = 0; i < count; i++) {
        int len = snprintf(payload, sizeof payload, "%u", i);

        if (is_loose && i == count / 2)
            sem_wait(
                &came_back); /* the last ones go to the new server: the old one takes what it has with it */
        if (pixi_client_send_message(c, topic, payload, (size_t)len, &o, &e) != PIXI_RC_OK)
            fail("send", &e);
        if (!(self % 2))
            atomic_fetch_add(&sent_ok, 1);
        if (self == 0 && i % 10 == 0) {
            printf("sent %u\n", i);
            fflush(stdout);
        }
    }
    return NULL;
}

static void on_connect(struct pixi_client *client, void *ctx, unsigned flags, int rc,
                       const struct pixi_error *e)
{
    (void)client;
    (void)ctx;
    (void)flags;
    if (rc != PIXI_RC_OK)
        fail("on_connect", e);
    if (atomic_fetch_add(&connects, 1) == 1)
        for (unsigned i = 0; i < senders; i++)
            sem_post(&came_back);
}

static void *process(void *arg)
{
    struct pixi_error e;

    while (!atomic_load(&is_done))
        if (pixi_client_process(c, 20, &e) != PIXI_RC_OK && !atomic_load(&is_done))
            fail("process", &e);
    return arg;
}

/* The number is the next of its sender's. */
static void check(const struct pixi_message *m, unsigned next[SENDERS_MAX])
{
    unsigned from = (unsigned)strtoul(m->topic + strlen("event/"), NULL, 10);
    unsigned number = (unsigned)strtoul((const char *)m->payload, NULL, 10);

    atomic_fetch_add(&gaps, !!(m->flags & PIXI_MESSAGE_AFTER_GAP));
    if (from >= senders || number >= count || (!is_loose && number != next[from])) {
        fprintf(stderr, "number %u of sender %u came, %u was due\n", number, from, next[from]);
        exit(1);
    }
    next[from] = number + 1;
}

/* Until the last number of each has come. */
static void *receive_all(void *arg)
{
    unsigned next[SENDERS_MAX] = {0}, finished = 0, got = 0;

    while (finished < senders) {
        struct pixi_message *m;
        struct pixi_error e;
        int rc = pixi_client_recv(c, -1, &m, &e);

        atomic_fetch_add(&losses, rc == PIXI_RC_LOST);
        if (rc == PIXI_RC_LOST)
            continue;
        if (rc != PIXI_RC_OK)
            fail("recv", &e);
        check(m, next);
        pixi_message_free(m);
        got++;
        finished = 0;
        for (unsigned i = 0; i < senders; i++)
            finished += next[i] == count;
    }
    printf("received %u, in order\n", got);
    return arg;
}

static void start(const char *url, const char *key)
{
    static const struct {
        const char *member, *value;
    } fast[] = {{"reconnect.initial_ms", "2"},    {"reconnect.max_ms", "20"},
                {"keepalive.interval_ms", "200"}, {"keepalive.timeout_ms", "200"},
                {"timeouts.upgrade_ms", "500"},   {"timeouts.close_ms", "500"},
                {"limits.queue_bytes", "65536"},  {"limits.message_bytes", "4096"}};
    struct pixi_callbacks callbacks = {.on_connect = on_connect};
    struct pixi_error e;

    c = pixi_client_new("threads", url, key, &e);
    if (!c)
        fail("new", &e);
    for (size_t i = 0; i < sizeof fast / sizeof *fast; i++)
        if (pixi_client_set(c, fast[i].member, fast[i].value, &e) != PIXI_RC_OK)
            fail("set", &e);
    pixi_client_set_callbacks(c, &callbacks, NULL);
    if (pixi_client_connect(c, -1, &e) != PIXI_RC_OK ||
        pixi_client_subscribe(c, "event/#", 0, &e) != PIXI_RC_OK)
        fail("connect", &e);
}

static void finish(void)
{
    struct pixi_error e;

    if (pixi_client_flush(c, -1, &e) != PIXI_RC_OK)
        fail("flush", &e);
    atomic_store(&is_done, true);
    if (pixi_client_close(c, 0, NULL, -1, &e) != PIXI_RC_OK)
        fail("close", &e);
}

int main(int argc, char **argv)
{
    pthread_t threads[SENDERS_MAX], receiver, processor;

    if (argc < 5)
        return 2;
    senders = (unsigned)strtoul(argv[3], NULL, 10);
    count = (unsigned)strtoul(argv[4], NULL, 10);
    is_loose = argc > 5;
    if (senders > SENDERS_MAX)
        return 2;
    sem_init(&came_back, 0, 0);
    start(argv[1], argv[2]);
    pthread_create(&receiver, NULL, receive_all, NULL);
    pthread_create(&processor, NULL, process, NULL);
    for (unsigned i = 0; i < senders; i++)
        pthread_create(&threads[i], NULL, send_all, (void *)(size_t)i);
    for (unsigned i = 0; i < senders; i++)
        pthread_join(threads[i], NULL);
    pthread_join(receiver, NULL);
    finish();
    pthread_join(processor, NULL);
    pixi_client_process(c, 0, NULL); /* what on_sent was not told yet */
    pixi_client_free(c);
    printf("answered %u, connected %u times, lost %u, gaps %u\n", atomic_load(&sent_ok),
           atomic_load(&connects), atomic_load(&losses), atomic_load(&gaps));
    return atomic_load(&sent_ok) == senders * count ? 0 : 1;
}
