/* What is kept for peers that may be away: MQTT's sessions, as the hub sees them. */
#include "invariants.h"
#include "store/memory.h"
#include "hub/gateway_test.h"

static struct fake_peer a, b, c;
static struct pixi_hub_calls calls;

static int begin(void **state)
{
    (void)state;
    assert_int_equal(fake_begin("h/#", 2, NULL), PIXI_OK);
    calls = fake_calls;
    calls.is_one_copy = true;
    fake.gateway.call = &calls;
    fake_join(&a, 'A');
    fake_join(&b, 'B');
    fake_join(&c, 'C');
    return 0;
}

static int end(void **state)
{
    (void)state;
    if (a.peer.hub)
        fake_leave(&a);
    fake_leave(&b);
    fake_leave(&c);
    fake_end();
    return 0;
}

static struct pixi_hub_subscribed subscribe(struct fake_peer *p, const char *filter, unsigned qos,
                                            unsigned flags, uint64_t owed_after)
{
    struct pixi_hub_subscribe how = {.qos = qos, .flags = flags, .owed_after = owed_after};
    struct pixi_hub_subscribed out;

    assert_int_equal(pixi_hub_subscribe(&fake.hub, &p->peer, pixi_cur_str(filter), &how, &out), PIXI_OK);
    return out;
}

static void pump(struct fake_peer *p)
{
    while (pixi_hub_pump(&fake.hub, &p->peer, fake.now) == PIXI_MORE)
        ;
}

static void kept_only_for_those_who_want_it(void **state)
{
    (void)state;
    subscribe(&a, "x/#", 1, 0, 0);
    subscribe(&b, "x/#", 0, PIXI_HUB_SKIPS_GAPS, 0);
    pump(&a);
    pump(&b);
    fake_saw("A x/# synced; B x/# synced; ");
    fake_publish(&c, "x/1", "0", 0, NULL); /* QoS 0: for nobody */
    fake_saw("A x/# x/1=0; B x/# x/1=0; ");
    fake_publish(&c, "x/1", "1", PIXI_MSG_QOS1, "p");
    fake_saw("A x/# x/1=1@1; B x/# x/1=1@1; C p stored OK @1; ");
    fake_publish(&c, "y/1", "1", PIXI_MSG_QOS2, "p"); /* nobody subscribes */
    fake_saw("C p stored OK @2; ");
    assert_int_equal(pixi_memory_stats(fake.memory).wanted, 1);
}

static void away_and_back(void **state)
{
    (void)state;
    subscribe(&a, "h/#", 1, 0, 0);
    pump(&a);
    fake_saw("A h/# synced; ");
    a.room = 0; /* away */
    for (int i = 0; i < 5; i++)
        fake_publish(&c, "h/1", &"123456789"[i], PIXI_MSG_QOS1, NULL);
    fake_publish(&c, "h/1", "x", 0, NULL);
    fake_saw("");
    assert_int_equal(pixi_hub_position(&fake.hub, pixi_hub_next_sub(&a.peer, NULL)), 0);
    assert_true(pixi_hub_has_owed(&a.peer));
    assert_true(pixi_hub_is_whole(&fake.hub, &a.peer));
    a.room = 3; /* the history of h/# has two messages: what was kept for the session is apart from it */
    pump(&a);
    fake_saw("A h/# h/1=123456789@1; A h/# h/1=23456789@2; A h/# h/1=3456789@3; ");
    assert_int_equal(pixi_hub_position(&fake.hub, pixi_hub_next_sub(&a.peer, NULL)), 3);
    a.room = 10;
    pump(&a);
    fake_saw("A h/# h/1=456789@4; A h/# h/1=56789@5; ");
    assert_int_equal(pixi_hub_position(&fake.hub, pixi_hub_next_sub(&a.peer, NULL)), 6);
    assert_false(pixi_hub_has_owed(&a.peer));
}

static void subscribing_again_loses_nothing(void **state)
{
    (void)state;
    assert_true(subscribe(&a, "h/#", 1, 0, 0).is_new);
    pump(&a);
    a.room = 0;
    fake_publish(&c, "h/1", "1", PIXI_MSG_QOS1 | PIXI_MSG_RETAIN, NULL);
    a.room = 10;
    assert_false(subscribe(&a, "h/#", 2, PIXI_HUB_CARRIES | PIXI_HUB_SNAPSHOT_IF_NEW, 0).is_new);
    pump(&a);
    fake_saw("A h/# synced; A h/# synced; A h/# h/1=1@1; ");
    subscribe(&b, "h/#", 1, PIXI_HUB_SNAPSHOT_IF_NEW, 0);
    pump(&b);
    fake_saw("B h/# kept h/1=1@1; B h/# synced; ");
}

static void goes_on_after_a_restart(void **state)
{
    (void)state;
    subscribe(&b, "h/#", 1, 0, 0);
    for (int i = 0; i < 3; i++)
        fake_publish(&c, "h/1", &"123"[i], PIXI_MSG_QOS1, NULL);
    subscribe(&a, "h/#", 1, PIXI_HUB_IS_OWED, 1);
    subscribe(&c, "$share/g/h/#", 1, PIXI_HUB_IS_OWED, 2);
    fake.log_len = 0;
    pump(&a);
    fake_saw("A h/# synced; A h/# h/1=23@2; A h/# h/1=3@3; ");
    pump(&c);
    fake_saw("C $share/g/h/# synced; C $share/g/h/# h/1=3@3; ");
    subscribe(&a, "h/+", 1, PIXI_HUB_IS_OWED, 3);
    pump(&a);
    fake_saw("A h/+ synced; ");
}

static bool is_wanted(const struct pixi_msg *msg)
{
    return fake.store.store.is_wanted(fake.store.store.ctx, msg);
}

static bool fake_holds;

static bool holds(void *ctx, const struct pixi_hub_peer *peer, uint64_t offset)
{
    (void)ctx;
    return fake_holds && peer == &a.peer && offset == 1;
}

static void the_store_hears_what_is_wanted(void **state)
{
    struct pixi_msg msg = {.topic = pixi_cur_str("h/1"), .pos.offset = 1};

    (void)state;
    calls.holds = holds;
    fake_holds = false;
    assert_false(is_wanted(&msg));
    subscribe(&a, "h/#", 1, 0, 0);
    pump(&a);
    a.room = 0;
    assert_false(is_wanted(&msg));
    fake_publish(&c, "h/1", "1", PIXI_MSG_QOS1, NULL);
    assert_true(is_wanted(&msg));
    a.room = 1;
    pump(&a);
    assert_false(is_wanted(&msg));
    fake_holds = true;
    assert_true(is_wanted(&msg));
    fake_leave(&a);
    assert_false(is_wanted(&msg));
}

static void lost_when_the_room_is_too_small(void **state)
{
    char text[1000];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    subscribe(&a, "x/#", 1, 0, 0);
    pump(&a);
    a.room = 0;
    for (int i = 0; i < 100; i++)
        fake_publish(&c, "x/1", text, PIXI_MSG_QOS1, NULL);
    assert_true(pixi_hub_is_whole(&fake.hub, &a.peer));
    for (int i = 0; i < 80000; i++)
        fake_publish(&c, "x/1", text, PIXI_MSG_QOS1, NULL);
    assert_false(pixi_hub_is_whole(&fake.hub, &a.peer));
    fake.log_len = 0;
    a.room = 10;
    pump(&a);
    fake_saw("A lost HISTORY; ");
}

static void announced_to_who_subscribes(void **state)
{
    struct pixi_msg msg = {.topic = pixi_cur_str("h/1"), .payload = pixi_cur_str("x")};

    (void)state;
    subscribe(&a, "h/#", 1, 0, 0);
    pump(&a);
    fake.log_len = 0;
    pixi_hub_announce(&fake.hub, &msg);
    fake_saw("A h/# h/1=x; ");
    assert_int_equal(pixi_memory_stats(fake.memory).messages, 0);
}

/* It was published when nobody wanted it kept, and came when somebody did: it cannot be found later. */
static void subscribed_while_it_was_under_way(void **state)
{
    (void)state;
    fake.store.is_later = true;
    fake_publish(&c, "h/1", "1", PIXI_MSG_QOS1 | PIXI_MSG_RETAIN, NULL);
    subscribe(&a, "h/#", 1, PIXI_HUB_SNAPSHOT, 0);
    subscribe(&b, "$share/g/h/#", 1, 0, 0);
    assert_true(later_run_append(&fake.store));
    fake_saw("A h/# h/1=1@1; B $share/g/h/# h/1=1@1; ");
    fake.store.is_later = false;
    pump(&a);
    pump(&b);
    fake_saw("A h/# synced; B $share/g/h/# synced; ");
}

/* What A took and did not acknowledge goes to others, what they had does not come again. */
static void what_a_member_gave_back(void **state)
{
    const uint64_t offsets[] = {3, 1}, again[] = {5};

    (void)state;
    subscribe(&a, "$share/g/t/#", 1, 0, 0);
    subscribe(&b, "$share/g/t/#", 1, 0, 0);
    pump(&a);
    pump(&b);
    fake_saw("A $share/g/t/# synced; B $share/g/t/# synced; ");
    for (int i = 1; i <= 4; i++)
        fake_publish(&c, "t/1", (const char[]){(char)('0' + i), 0}, PIXI_MSG_QOS1, NULL);
    fake_saw(
        "A $share/g/t/# t/1=1@1; B $share/g/t/# t/1=2@2; A $share/g/t/# t/1=3@3; B $share/g/t/# t/1=4@4; ");
    b.room = 0;
    pixi_hub_give_back(&fake.hub, &a.peer, offsets, 2);
    fake_leave(&a);
    fake_publish(&c, "t/1", "5", PIXI_MSG_QOS1, NULL); /* behind what was given back */
    pump(&b);
    fake_saw("B woken; ");
    b.room = 1;
    pump(&b);
    fake_saw("B $share/g/t/# t/1=1@1; ");
    b.room = 10;
    pump(&b);
    fake_saw("B $share/g/t/# t/1=3@3; B $share/g/t/# t/1=5@5; ");
    fake_publish(&c, "t/1", "6", PIXI_MSG_QOS1, NULL);
    fake_saw("B $share/g/t/# t/1=6@6; ");
    pixi_hub_give_back(&fake.hub, &b.peer, again, 1); /* nobody else is there */
    pump(&b);
    fake_saw("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kept_only_for_those_who_want_it, begin, end),
        cmocka_unit_test_setup_teardown(away_and_back, begin, end),
        cmocka_unit_test_setup_teardown(subscribing_again_loses_nothing, begin, end),
        cmocka_unit_test_setup_teardown(goes_on_after_a_restart, begin, end),
        cmocka_unit_test_setup_teardown(the_store_hears_what_is_wanted, begin, end),
        cmocka_unit_test_setup_teardown(lost_when_the_room_is_too_small, begin, end),
        cmocka_unit_test_setup_teardown(announced_to_who_subscribes, begin, end),
        cmocka_unit_test_setup_teardown(subscribed_while_it_was_under_way, begin, end),
        cmocka_unit_test_setup_teardown(what_a_member_gave_back, begin, end),
    };

    return cmocka_run_group_tests_name("hub/fanout", tests, NULL, NULL);
}
