/* One copy for all subscriptions of a peer that match, against a plain reading: random publishes, subscriptions, slow
 * readers and a store that answers late. What is kept for a peer comes once, in order, whatever it subscribes and
 * unsubscribes meanwhile, and names the subscriptions that it is for. */
#include "invariants.h"
#include "store/memory.h"
#include "hub/gateway_test.h"

enum { READERS = 3, FILTERS = 8, TOPICS = 6, SENT_MAX = 2000, SEEDS = 40, STEPS = 700 };

static const char *const filters[FILTERS] = {"#", "+/+", "a/#", "a/+", "a/1", "b/+", "b/2", "+/1"};
static const char *const topics[TOPICS] = {"a/1", "a/2", "b/1", "b/2", "c/1", "c"};

/* Which filters match a topic, by hand. */
static const uint8_t matches[TOPICS] = {0x9f, 0x0f, 0xa3, 0x63, 0x83, 0x01};

struct sent {
    uint64_t offset;
    unsigned topic, qos;
    bool is_wanted; /* somebody kept it when it was published */
    /* For each reader: what matched when it was stored, what of those with QoS 1 has stood since, how often it came. */
    uint8_t any[READERS], stands[READERS];
    unsigned given[READERS];
};

static struct {
    struct fake_peer peers[READERS], publisher;
    uint8_t subs[READERS], qos1[READERS];
    uint64_t came[READERS][TOPICS]; /* the last offset */
    struct sent sent[SENT_MAX];
    unsigned count, seed, random;
} w;

static unsigned below(unsigned n)
{
    w.random = w.random * 1664525u + 1013904223u;
    return (w.random >> 8) % n;
}

static struct sent *sent_of(const struct pixi_msg *msg)
{
    unsigned n = 0;

    for (const uint8_t *p = msg->payload.p; p != msg->payload.end; p++)
        n = n * 10 + *p - '0';
    return &w.sent[n];
}

static unsigned index_of(const char *const *list, unsigned count, struct pixi_cur text)
{
    for (unsigned i = 0; i < count; i++)
        if (pixi_cur_equals(pixi_cur_str(list[i]), text))
            return i;
    fail();
    return 0;
}

static int deliver(void *ctx, struct pixi_hub_peer *peer, const struct pixi_hub_sub *sub)
{
    unsigned reader = (unsigned)((struct fake_peer *)peer - w.peers);
    uint64_t offset = fake.encoded.pos.offset;
    unsigned topic = index_of(topics, TOPICS, fake.encoded.topic);
    struct sent *m = sent_of(&fake.encoded);
    uint8_t named = 0;

    (void)ctx;
    if (!w.peers[reader].room)
        return PIXI_E_QUEUE;
    w.peers[reader].room--;
    for (; sub; sub = sub->also) {
        uint8_t bit = (uint8_t)(1u << index_of(filters, FILTERS, sub->filter));

        if (named & bit || !(m->any[reader] & bit))
            fail_msg("seed %u: named twice, or not for it: %u of %u", w.seed, bit, m->any[reader]);
        named |= bit;
    }
    if (m->given[reader]++ && (m->stands[reader] || w.seed % 2))
        fail_msg("seed %u: '%s' at %u came twice", w.seed, topics[topic], (unsigned)offset);
    if ((named & m->stands[reader]) != m->stands[reader])
        fail_msg("seed %u: %u named, %u still stand", w.seed, named, m->stands[reader]);
    if (m->stands[reader] && offset <= w.came[reader][topic])
        fail_msg("seed %u: '%s' out of order", w.seed, topics[topic]);
    if (m->stands[reader])
        w.came[reader][topic] = offset;
    return PIXI_OK;
}

static void before(void *ctx, const struct pixi_commit *commit)
{
    struct sent *m = sent_of(commit->msg);

    (void)ctx;
    m->offset = commit->msg->pos.offset;
    for (unsigned i = 0; i < READERS; i++) {
        m->any[i] = w.subs[i] & matches[m->topic];
        m->stands[i] = m->is_wanted && m->offset ? w.qos1[i] & matches[m->topic] : 0;
    }
}

static void publish(void)
{
    char text[8];
    struct sent *m = &w.sent[w.count];

    *m = (struct sent){.topic = below(TOPICS), .qos = below(2)};
    for (unsigned i = 0; m->qos && i < READERS; i++)
        m->is_wanted |= (w.qos1[i] & matches[m->topic]) != 0;
    (void)snprintf(text, sizeof text, "%u", w.count++);
    assert_int_equal(fake_publish(&w.publisher, topics[m->topic], text, m->qos ? PIXI_MSG_QOS1 : 0, "p"),
                     PIXI_OK);
    fake.log_len = 0;
}

static void subscribe(unsigned reader)
{
    unsigned f = below(FILTERS);
    uint8_t bit = (uint8_t)(1u << f);
    struct pixi_hub_subscribe how = {.flags = PIXI_HUB_CARRIES | PIXI_HUB_SKIPS_GAPS,
                                     .qos =
                                         w.subs[reader] & bit ? (w.qos1[reader] & bit) != 0 : below(3) > 0};
    struct pixi_hub_subscribed out;

    if (w.seed % 2 == 0 && below(2)) { /* with odd seeds nothing is ever unsubscribed */
        pixi_hub_unsubscribe(&fake.hub, &w.peers[reader].peer, pixi_cur_str(filters[f]));
        w.subs[reader] &= (uint8_t)~bit;
        w.qos1[reader] &= (uint8_t)~bit;
        for (unsigned i = 0; i < w.count; i++)
            w.sent[i].stands[reader] &= (uint8_t)~bit;
        return;
    }
    assert_int_equal(
        pixi_hub_subscribe(&fake.hub, &w.peers[reader].peer, pixi_cur_str(filters[f]), &how, &out), PIXI_OK);
    w.subs[reader] |= bit;
    w.qos1[reader] |= how.qos ? bit : 0;
}

static void pump(unsigned reader)
{
    while (pixi_hub_pump(&fake.hub, &w.peers[reader].peer, fake.now) == PIXI_MORE)
        ;
    fake.log_len = 0;
}

static bool answer(void)
{
    bool has_answered = below(2) ? later_run_append(&fake.store) : later_run_read(&fake.store);

    return has_answered || later_run_append(&fake.store) || later_run_read(&fake.store);
}

static void step(void)
{
    unsigned reader = below(READERS);

    switch (below(8)) {
    case 0: subscribe(reader); break;
    case 1:
        w.peers[reader].room = below(4) ? below(20) : 0;
        pump(reader);
        break;
    case 2:
        fake.store.is_later = below(2);
        while (!fake.store.is_later && answer())
            ;
        break;
    case 3: answer(); break;
    default:
        if (w.count < SENT_MAX)
            publish();
    }
}

/* Everything that is still owed comes now. */
static void drain(void)
{
    fake.store.is_later = false;
    while (answer())
        ;
    for (unsigned i = 0; i < READERS; i++) {
        w.peers[i].room = SENT_MAX;
        pump(i);
        for (unsigned k = 0; k < w.count; k++)
            if (w.sent[k].stands[i] && !w.sent[k].given[i])
                fail_msg("seed %u: '%s' never came", w.seed, topics[w.sent[k].topic]);
    }
}

static void once_in_order_and_for_all(void **state)
{
    static struct pixi_hub_calls calls;
    unsigned given = 0;

    (void)state;
    calls = fake_calls;
    calls.is_one_copy = true;
    calls.deliver = deliver;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        memset(&w, 0, sizeof w);
        w.seed = w.random = seed;
        assert_int_equal(fake_begin("b/#", 20, NULL), PIXI_OK);
        fake.gateway.call = &calls;
        fake.store.before = before;
        for (unsigned i = 0; i < READERS; i++)
            fake_join(&w.peers[i], 'R');
        fake_join(&w.publisher, 'P');
        for (unsigned i = 0; i < STEPS; i++)
            step();
        drain();
        for (unsigned k = 0; k < w.count; k++)
            given += w.sent[k].given[0];
        for (unsigned i = 0; i < READERS; i++)
            fake_leave(&w.peers[i]);
        fake_leave(&w.publisher);
        fake_end();
    }
    assert_true(given > 100 * SEEDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(once_in_order_and_for_all)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
