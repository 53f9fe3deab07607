#include "hub/alloc_test.h"
#include "invariants.h"
#include "store/memory.h"
#include "hub/gateway_test.h"
#include "hub/state.h"

static int ask(struct fake_peer *p, const char *topic, const char *payload, uint64_t timeout_ms,
               const char *token)
{
    struct pixi_msg msg = {.topic = pixi_cur_str(topic), .payload = pixi_cur_str(payload)};

    return pixi_hub_request(&fake.hub, &p->peer, &msg, timeout_ms, (void *)(uintptr_t)token, fake.now);
}

static int answer(struct fake_peer *p, uint64_t request, int err, const char *payload)
{
    struct pixi_msg msg = {.payload = pixi_cur_str(payload)};

    return pixi_hub_reply(&fake.hub, &p->peer, request, err, &msg);
}

static struct fake_peer a, b, c;

static int begin(void **state)
{
    struct pixi_hub_limits limits = pixi_hub_limits_default;

    (void)state;
    limits.requests_per_peer = 3;
    limits.requests = 5;
    assert_int_equal(fake_begin("h/#", 10, &limits), PIXI_OK);
    fake_join(&a, 'A');
    fake_join(&b, 'B');
    fake_join(&c, 'C');
    return 0;
}

static int end(void **state)
{
    (void)state;
    fake_leave(&a);
    fake_leave(&b);
    fake_leave(&c);
    assert_int_equal(pixi_hub_next_deadline(&fake.hub), UINT64_MAX);
    fake_end();
    return 0;
}

static void one_answers(void **state)
{
    uint64_t first;

    (void)state;
    assert_int_equal(ask(&a, "request/x", "?", 100, "q"), PIXI_E_NO_RESPONDER);
    fake_subscribe(&b, "request/+");
    fake_saw("B request/+ synced; ");
    assert_int_equal(ask(&a, "request/x", "?", 100, "q"), PIXI_OK);
    fake_saw("B request/+ asked request/x=?; ");
    first = fake.last_request;
    assert_int_equal(answer(&c, first, PIXI_OK, "mine"), PIXI_E_RPC_PARAMS);
    assert_int_equal(answer(&b, first + 1, PIXI_OK, "unknown"), PIXI_E_RPC_PARAMS);
    assert_int_equal(answer(&b, first, PIXI_OK, "42"), PIXI_OK);
    fake_saw("A q answered OK 42; ");
    assert_int_equal(answer(&b, first, PIXI_OK, "again"), PIXI_E_RPC_PARAMS);
    assert_int_equal(ask(&a, "request/x", "?", 100, "r"), PIXI_OK);
    assert_int_equal(answer(&b, fake.last_request, PIXI_E_RPC_ERROR, "no"), PIXI_OK);
    fake_saw("B request/+ asked request/x=?; A r answered RPC_ERROR no; ");
}

static void only_literal_request(void **state)
{
    (void)state;
    fake_subscribe(&b, "#");
    fake_subscribe(&b, "+/x");
    fake_subscribe(&b, "requests/x");
    fake_saw("B # synced; B +/x synced; B requests/x synced; ");
    assert_int_equal(ask(&a, "request/x", "?", 100, "q"), PIXI_E_NO_RESPONDER);
    assert_int_equal(ask(&a, "requests/x", "?", 100, "q"), PIXI_E_NO_RESPONDER);
    assert_int_equal(ask(&a, "request/#", "?", 100, "q"), PIXI_E_TOPIC);
    assert_int_equal(ask(&a, "$SYS/x", "?", 100, "q"), PIXI_E_FORBIDDEN);
    fake_saw("");
}

static void in_turn_with_room(void **state)
{
    (void)state;
    fake_subscribe(&b, "request/#");
    fake_subscribe(&c, "request/#");
    fake_subscribe(&a, "request/#");
    fake_saw("B request/# synced; C request/# synced; A request/# synced; ");
    ask(&a, "request/x", "1", 100, "q");
    ask(&a, "request/x", "2", 100, "q");
    ask(&a, "request/x", "3", 100, "q"); /* never oneself while there are others */
    fake_saw("B request/# asked request/x=1; C request/# asked request/x=2; B request/# asked request/x=3; ");
    c.room = 0;
    ask(&b, "request/x", "4", 100, "q");
    fake_saw("A request/# asked request/x=4; ");
    a.room = 0;
    ask(&b, "request/x", "5", 100, "q");
    fake_saw("B request/# asked request/x=5; ");
    pixi_hub_expire(&fake.hub, (struct pixi_now){1100, 1100});
    fake.log_len = 0;
    b.room = 0;
    assert_int_equal(ask(&b, "request/x", "6", 100, "q"), PIXI_E_NO_RESPONDER);
}

static void turn_goes_round_filters_and_groups(void **state)
{
    unsigned times[128] = {0};

    (void)state;
    fake_subscribe(&b, "request/x");
    fake_subscribe(&c, "$share/g/request/+");
    fake.log_len = 0;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(ask(&a, "request/x", "", 100, "q"), PIXI_OK);
        times[(uint8_t)fake.log[0]]++;
        fake.log_len = 0;
        pixi_hub_expire(&fake.hub, (struct pixi_now){2000, 2000});
        fake.log_len = 0;
    }
    assert_int_equal(times['B'], 2);
    assert_int_equal(times['C'], 2);
}

static void time_runs_out(void **state)
{
    (void)state;
    fake_subscribe(&b, "request/#");
    fake_saw("B request/# synced; ");
    ask(&a, "request/x", "1", 300, "late");
    ask(&a, "request/x", "2", 100, "soon");
    ask(&c, "request/x", "3", 200, "later");
    assert_int_equal(ask(&a, "request/x", "4", UINT64_MAX, "never"), PIXI_OK);
    assert_int_equal(ask(&a, "request/x", "5", 1, "q"), PIXI_E_LIMIT);
    assert_int_equal(ask(&c, "request/x", "6", UINT64_MAX, "never"), PIXI_OK);
    assert_int_equal(ask(&c, "request/x", "7", 1, "q"), PIXI_E_LIMIT); /* in all */
    fake.log_len = 0;
    assert_int_equal(pixi_hub_next_deadline(&fake.hub), 1100);
    pixi_hub_expire(&fake.hub, (struct pixi_now){0, 1099});
    assert_int_equal(fake.log_len, 0);
    pixi_hub_expire(&fake.hub, (struct pixi_now){0, 1250});
    fake_saw("A soon answered TIMEOUT ; C later answered TIMEOUT ; ");
    assert_int_equal(pixi_hub_next_deadline(&fake.hub), 1300);
    assert_int_equal(answer(&b, 2, PIXI_OK, "too late"), PIXI_E_RPC_PARAMS);
    fake_leave(&a);
    assert_int_equal(answer(&b, 1, PIXI_OK, "nobody asks any more"), PIXI_E_RPC_PARAMS);
    assert_int_equal(pixi_hub_next_deadline(&fake.hub), UINT64_MAX);
    fake_join(&a, 'A');
    fake_saw("");
}

static void responder_leaves(void **state)
{
    (void)state;
    fake_subscribe(&b, "request/#");
    ask(&a, "request/x", "1", 100, "q");
    fake_leave(&b);
    fake_join(&b, 'B');
    assert_int_equal(answer(&b, fake.last_request, PIXI_OK, "another link"), PIXI_E_RPC_PARAMS);
    pixi_hub_expire(&fake.hub, (struct pixi_now){0, 5000});
    fake_saw("B request/# synced; B request/# asked request/x=1; A q answered TIMEOUT ; ");
}

/* Every order of deadlines, ended in every way, leaves the heap in order. */
static void heap_in_any_order(void **state)
{
    unsigned random = 5;

    (void)state;
    fake.hub.limits.requests = fake.hub.limits.requests_per_peer = 1000;
    fake_subscribe(&b, "request/#");
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned i = 0; i < 10; i++) {
            random = random * 1664525u + 1013904223u;
            assert_int_equal(ask(&a, "request/x", "", random >> 20, "q"), PIXI_OK);
            if (random >> 31)
                answer(&b, fake.last_request - (random >> 8) % 7, PIXI_OK, ""); /* perhaps ended before */
            fake.log_len = 0;
        }
        pixi_hub_expire(&fake.hub, (struct pixi_now){0, 1000 + (random >> 21)});
        for (size_t i = 1; i < fake.hub.request_count; i++)
            assert_true(fake.hub.heap[(i - 1) / 2]->deadline_ms <= fake.hub.heap[i]->deadline_ms);
        for (size_t i = 0; i < fake.hub.request_count; i++)
            assert_int_equal(fake.hub.heap[i]->heap_at, i);
        fake.log_len = 0;
    }
}

static void ask_twice(void)
{
    if (fake_begin("h/#", 10, NULL))
        return;
    fake_join(&a, 'A');
    fake_join(&b, 'B');
    if (fake_subscribe(&b, "request/#") == PIXI_OK && ask(&a, "request/x", "1", 100, "q") == PIXI_OK)
        answer(&b, fake.last_request, PIXI_OK, "");
    ask(&a, "request/x", "2", 100, "q");
    fake_leave(&a);
    fake_leave(&b);
    fake_end();
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_in_range(alloc_torture(ask_twice), 10, 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_answers, begin, end),
        cmocka_unit_test_setup_teardown(only_literal_request, begin, end),
        cmocka_unit_test_setup_teardown(in_turn_with_room, begin, end),
        cmocka_unit_test_setup_teardown(turn_goes_round_filters_and_groups, begin, end),
        cmocka_unit_test_setup_teardown(time_runs_out, begin, end),
        cmocka_unit_test_setup_teardown(responder_leaves, begin, end),
        cmocka_unit_test_setup_teardown(heap_in_any_order, begin, end),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests_name("hub/requests", tests, NULL, NULL);
}
