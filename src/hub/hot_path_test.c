/* Publishing allocates nothing once the pools are warm. */
#include "hub/alloc_test.h"
#include "invariants.h"
#include "store/memory.h"
#include "hub/gateway_test.h"

enum { SUBSCRIBERS = 10, PUBLISHES = 10000 };

static unsigned delivered;

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
    (void)sub;
    if (!((struct fake_peer *)peer)->room)
        return PIXI_E_QUEUE;
    delivered++;
    return PIXI_OK;
}

static void synced(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub)
{
    (void)ctx;
    (void)peer;
    (void)sub;
}

static void published(void *ctx, struct pixi_hub_peer *peer, void *token, int err, struct pixi_position pos)
{
    (void)ctx;
    (void)peer;
    (void)token;
    assert_int_equal(err, PIXI_OK);
    assert_true(pos.offset != 0);
}

static const struct pixi_hub_calls calls = {
    .encode = encode, .deliver = deliver, .synced = synced, .published = published};

static struct fake_peer publisher, readers[SUBSCRIBERS];

/* Scene objects by turns, retained, with idempotency key; every fourth is a notification that nothing keeps. */
static void publish(uint64_t seq)
{
    char topic[32], payload[64];
    bool is_stored = seq % 4 != 0;
    struct pixi_msg msg = {.flags = is_stored ? PIXI_MSG_RETAIN | PIXI_MSG_KEY : 0,
                           .key = {.seq = seq, .low = seq > 20 ? seq - 20 : 0}};

    snprintf(topic, sizeof topic, is_stored ? "h/object/%u" : "event/%u", (unsigned)(seq % 97));
    snprintf(payload, sizeof payload, "{\"x\":%u,\"y\":%u}", (unsigned)seq, (unsigned)(seq * seq));
    msg.topic = pixi_cur_str(topic);
    msg.payload = pixi_cur_str(payload);
    assert_int_equal(pixi_hub_publish(&fake.hub, &publisher.peer, &msg, is_stored ? &fake : NULL, fake.now),
                     PIXI_OK);
}

static void publishing_allocates_nothing(void **state)
{
    static const char *const filters[] = {"#", "h/#", "h/object/+", "+/+/#", "event/#"};
    unsigned long before;
    uint64_t seq = 0;

    (void)state;
    assert_int_equal(fake_begin("h/#", 500, NULL), PIXI_OK);
    fake.gateway.call = &calls;
    fake_join(&publisher, 'P');
    for (unsigned i = 0; i < SUBSCRIBERS; i++) {
        fake_join(&readers[i], 'R');
        assert_int_equal(fake_subscribe(&readers[i], filters[i % 5]), PIXI_OK);
    }
    while (seq < 1000) /* warm: every topic retained, every pool filled */
        publish(seq++);
    delivered = 0;
    before = alloc_count;
    while (seq < 1000 + PUBLISHES) {
        publish(seq++);
        readers[seq % SUBSCRIBERS].room =
            (unsigned)(seq / SUBSCRIBERS % 3); /* slow readers catch up as well */
        pixi_hub_pump(&fake.hub, &readers[seq % SUBSCRIBERS].peer, fake.now);
    }
    assert_int_equal(alloc_count - before, 0);
    assert_true(delivered > 3 * PUBLISHES);
    for (unsigned i = 0; i < SUBSCRIBERS; i++)
        fake_leave(&readers[i]);
    fake_leave(&publisher);
    fake_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(publishing_allocates_nothing)};

    return cmocka_run_group_tests_name("hub/hot_path", tests, NULL, NULL);
}
