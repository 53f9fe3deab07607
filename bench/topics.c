/* topics.c -- what a publish costs beside subscriptions that do not match it, and what a subscription takes. The hub
 * with everything but bytes: topic index, store in memory, ten subscribers that match. */
#include "bench.h"

#include "hub/hub.h"
#include "store/memory.h"

#include <malloc.h>

enum { MATCHING = 10, PUBLISHES = 10000, ROUNDS = 15, PER_PEER = 1000 };

static uint64_t delivered;

static void encode(void *ctx, const struct pixi_msg *msg, struct pixi_cur filter, unsigned flags)
{
    (void)ctx;
    (void)msg;
    (void)filter;
    (void)flags;
}

static int deliver(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub)
{
    (void)ctx;
    (void)peer;
    (void)sub;
    delivered++;
    return PIXI_OK;
}

static void synced(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub)
{
    (void)ctx;
    (void)peer;
    (void)sub;
}

static const struct pixi_hub_calls calls = {.encode = encode, .deliver = deliver, .synced = synced};
static struct pixi_hub_gateway gateway = {.call = &calls};
static struct pixi_hub hub;
static const struct pixi_cur all = {(const uint8_t *)"#", (const uint8_t *)"#" + 1};
static const struct pixi_permit permit = {
    .publish = &all, .publish_count = 1, .subscribe = &all, .subscribe_count = 1};
static const struct pixi_now now = {1000000, 1};

static struct pixi_hub_peer *join(void)
{
    struct pixi_hub_peer *peer = calloc(1, sizeof *peer);

    bench_must(peer != NULL, "calloc");
    peer->gateway = &gateway;
    peer->permit = &permit;
    pixi_hub_join(&hub, peer);
    return peer;
}

static void subscribe(struct pixi_hub_peer *peer, const char *filter)
{
    struct pixi_hub_subscribe how = {0};
    struct pixi_hub_subscribed out;

    bench_must(pixi_hub_subscribe(&hub, peer, pixi_cur_str(filter), &how, &out) == PIXI_OK, "subscribe");
    pixi_hub_pump(&hub, peer, now);
}

/* Filters of every shape beside the topic that is published: none matches it. */
static void subscribe_other(struct pixi_hub_peer *peer, unsigned i)
{
    static const char *const shapes[] = {"scene/object/%u", "scene/+/%u", "event/tram/%u/#",
                                         "event/%u/+/door", "+/%u/x"};
    char filter[64];

    snprintf(filter, sizeof filter, shapes[i % 5], 1000000 + i);
    subscribe(peer, filter);
}

static double publish_ns(struct pixi_hub_peer *peer)
{
    double rounds[ROUNDS];
    struct pixi_msg msg = {.topic = pixi_cur_str("scene/object/7"),
                           .payload = pixi_cur_str("{\"x\":12,\"y\":40}")};
    uint64_t began;

    for (int r = 0; r < ROUNDS; r++) {
        began = bench_cpu_ns();
        for (int i = 0; i < PUBLISHES; i++)
            bench_must(pixi_hub_publish(&hub, peer, &msg, NULL, now) == PIXI_OK, "publish");
        rounds[r] = (double)(bench_cpu_ns() - began) / PUBLISHES;
    }
    return bench_median(rounds, ROUNDS);
}

int main(void)
{
    static const unsigned steps[] = {0, 1000, 10000, 100000, 1000000};
    struct pixi_memory_config config = pixi_memory_config_default;
    struct pixi_hub_limits limits = pixi_hub_limits_default;
    struct pixi_memory *memory;
    struct pixi_hub_peer *publisher, *peer = NULL;
    double first = 0, ns;
    size_t empty;
    unsigned count = 0;

    config.epoch = 1;
    bench_must(pixi_memory_new(&config, &memory) == PIXI_OK, "store");
    pixi_hub_init(&hub, pixi_memory_store(memory), &limits, (const uint8_t[16]){1});
    publisher = join();
    for (unsigned i = 0; i < MATCHING; i++)
        subscribe(join(), i % 2 ? "scene/object/7" : "scene/#");
    empty = mallinfo2().uordblks;
    printf("%-26s %14s %8s %14s\n", "other subscriptions", "CPU ns/publish", "ratio", "bytes each");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        for (; count < steps[i]; count++) {
            if (count % PER_PEER == 0)
                peer = join();
            subscribe_other(peer, count);
        }
        ns = publish_ns(publisher);
        first = i == 0 ? ns : first;
        printf("%-26u %14.0f %8.2f %14.0f\n", count, ns, ns / first,
               count ? (double)(mallinfo2().uordblks - empty) / count : 0.0);
    }
    printf("%d subscriptions match; %llu deliveries\n", MATCHING, (unsigned long long)delivered);
    return delivered == (uint64_t)MATCHING * PUBLISHES * ROUNDS * (sizeof steps / sizeof steps[0]) ? 0 : 1;
}
