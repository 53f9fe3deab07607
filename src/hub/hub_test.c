#include "hub/alloc_test.h"
#include "invariants.h"
#include "store/memory.h"
#include "hub/gateway_test.h"

static struct fake_peer a, b, c;

static int begin(void **state)
{
    struct pixi_hub_limits limits = pixi_hub_limits_default;

    (void)state;
    limits.subs_per_peer = 3;
    limits.filter_bytes = 20;
    limits.filter_levels = 4;
    limits.publishes_per_peer = 2;
    limits.publishes = 3;
    assert_int_equal(fake_begin("h/#", 1000, &limits), PIXI_OK);
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
    fake_end();
    return 0;
}

static int subscribe_since(struct fake_peer *p, const char *filter, struct pixi_position since,
                           struct pixi_hub_subscribed *out)
{
    struct pixi_hub_subscribe how = {.since = &since, .since_count = 1, .flags = PIXI_HUB_SNAPSHOT};

    return pixi_hub_subscribe(&fake.hub, &p->peer, pixi_cur_str(filter), &how, out);
}

static void pump(struct fake_peer *p)
{
    while (pixi_hub_pump(&fake.hub, &p->peer, fake.now) == PIXI_MORE)
        ;
}

static void refusals(void **state)
{
    struct pixi_hub_subscribed out;

    (void)state;
    assert_int_equal(fake_subscribe(&a, "a/#/b"), PIXI_E_FILTER);
    assert_int_equal(fake_subscribe(&a, "$SYS/#"), PIXI_E_FORBIDDEN);
    assert_int_equal(fake_subscribe(&a, "$share/g/$SYS/#"), PIXI_E_FORBIDDEN);
    assert_int_equal(subscribe_since(&a, "$share/g/a", (struct pixi_position){7, 0}, &out),
                     PIXI_E_RPC_PARAMS);
    assert_int_equal(subscribe_since(&a, "$SYS/a", (struct pixi_position){7, 0}, &out), PIXI_E_RPC_PARAMS);
    assert_int_equal(fake_subscribe(&a, "123456789012345678901"), PIXI_E_LIMIT);
    assert_int_equal(fake_subscribe(&a, "a/b/c/d/e"), PIXI_E_LIMIT);
    assert_int_equal(fake_subscribe(&a, "a/b/c/d"), PIXI_OK);
    assert_int_equal(fake_subscribe(&a, "$share/g/a/b/c/d"), PIXI_OK);
    assert_int_equal(fake_subscribe(&a, "c"), PIXI_OK);
    assert_int_equal(fake_subscribe(&a, "d"), PIXI_E_LIMIT);
    assert_int_equal(fake_subscribe(&a, "c"), PIXI_OK); /* replaces */
    assert_int_equal(pixi_hub_unsubscribe(&fake.hub, &a.peer, pixi_cur_str("c/#/")), PIXI_E_FILTER);
    assert_int_equal(pixi_hub_unsubscribe(&fake.hub, &a.peer, pixi_cur_str("not/there")), PIXI_OK);
    assert_int_equal(pixi_hub_unsubscribe(&fake.hub, &a.peer, pixi_cur_str("c")), PIXI_OK);
    assert_int_equal(fake_subscribe(&a, "d"), PIXI_OK);
    assert_int_equal(fake_publish(&a, "a/+", "", 0, "p"), PIXI_E_TOPIC);
    assert_int_equal(fake_publish(&a, "$SYS/a", "", 0, "p"), PIXI_E_FORBIDDEN);
    fake_saw("A a/b/c/d synced; A $share/g/a/b/c/d synced; A c synced; A c synced; A d synced; ");
}

static void encoded_once(void **state)
{
    (void)state;
    fake_subscribe(&a, "h/+");
    fake_subscribe(&b, "h/+");
    fake_subscribe(&c, "h/+");
    fake_subscribe(&c, "#");
    fake_saw("A h/+ synced; B h/+ synced; C h/+ synced; C # synced; ");
    assert_int_equal(fake_publish(&a, "h/1", "x", 0, "p"), PIXI_OK);
    fake_saw("C # h/1=x@1; A h/+ h/1=x@1; B h/+ h/1=x@1; C h/+ h/1=x@1; A p stored OK @1; ");
    assert_int_equal(fake.encode_count, 2);
}

static void positions(void **state)
{
    (void)state;
    fake_subscribe(&b, "#");
    fake_publish(&a, "h/1", "notification", 0, NULL); /* stored: the policy wants it */
    fake_publish(&a, "x", "notification", 0, NULL);
    fake_publish(&a, "x", "answered", 0, "p"); /* kept nowhere: a position for the answer only */
    fake_publish(&a, "x", "retained", PIXI_MSG_RETAIN, "q");
    fake_saw("B # synced; B # h/1=notification@1; B # x=notification; B # x=answered; A p stored OK @2; "
             "B # x=retained@3; A q stored OK @3; ");
}

static void snapshot_or_recovery(void **state)
{
    static const struct pixi_position since[] = {{7, 2}, {9, 4}, {7, 3}, {7, 1}};
    static const struct pixi_hub_subscribe list = {.since = since, .since_count = 4};
    struct pixi_hub_subscribed out;

    (void)state;
    fake_publish(&a, "h/1", "1", PIXI_MSG_RETAIN, NULL);
    fake_publish(&a, "h/2", "2", PIXI_MSG_RETAIN, NULL);
    fake_publish(&a, "h/1", "3", 0, NULL);
    fake_publish(&a, "h/2", "", PIXI_MSG_RETAIN, NULL);
    fake_subscribe(&b, "h/#");
    fake_saw("B h/# kept h/1=1@1; B h/# synced; ");
    assert_int_equal(subscribe_since(&b, "h/#", (struct pixi_position){7, 2}, &out), PIXI_OK);
    assert_true(out.is_recovered);
    assert_int_equal(out.pos.offset, 2);
    pump(&b);
    fake_saw("B h/# h/1=3@3; B h/# h/2=@4; B h/# synced; ");
    assert_int_equal(subscribe_since(&b, "h/#", (struct pixi_position){7, 4}, &out), PIXI_OK);
    assert_true(out.is_recovered);
    assert_int_equal(pixi_hub_subscribe(&fake.hub, &b.peer, pixi_cur_str("h/#"), &list, &out), PIXI_OK);
    assert_true(out.is_recovered);
    assert_int_equal(out.pos.offset, 3); /* the highest of this epoch */
    assert_int_equal(subscribe_since(&b, "h/#", (struct pixi_position){7, 5}, &out), PIXI_OK);
    assert_false(out.is_recovered); /* beyond the head */
    assert_int_equal(out.pos.offset, 4);
    assert_int_equal(subscribe_since(&b, "h/#", (struct pixi_position){8, 4}, &out), PIXI_OK);
    assert_false(out.is_recovered); /* another log */
    assert_int_equal(subscribe_since(&b, "#", (struct pixi_position){7, 4}, &out), PIXI_OK);
    assert_false(out.is_recovered); /* not everything has a history */
}

static void slow_reader(void **state)
{
    (void)state;
    fake_subscribe(&b, "#");
    b.room = 1;
    fake_publish(&a, "h/1", "1", 0, NULL);
    fake_publish(&a, "h/2", "2", 0, NULL);
    fake_publish(&a, "h/3", "3", 0, NULL);
    fake_saw("B # synced; B # h/1=1@1; ");
    assert_int_equal(pixi_hub_pump(&fake.hub, &b.peer, fake.now), PIXI_OK); /* still full */
    b.room = 1;
    pump(&b);
    fake_saw("B # h/2=2@2; ");
    b.room = 100;
    fake_publish(&a, "h/4", "4", 0, NULL); /* waits its turn */
    fake_saw("");
    pump(&b);
    fake_publish(&a, "h/5", "5", 0, NULL);
    fake_saw("B # h/3=3@3; B # h/4=4@4; B # h/5=5@5; ");
}

static void reader_too_slow(void **state)
{
    (void)state;
    fake_subscribe(&b, "h/#");
    fake_subscribe(&b, "#");
    b.room = 0;
    for (unsigned i = 0; i < 1001; i++)
        fake_publish(&a, "h/1", "1", 0, NULL);
    b.room = 100;
    pump(&b);
    fake_publish(&a, "h/1", "1", 0, NULL);
    pump(&b);
    fake_saw("B h/# synced; B # synced; B lost HISTORY; ");
}

static void pump_is_bounded(void **state)
{
    unsigned pumps = 1;

    (void)state;
    fake_subscribe(&b, "h/#");
    b.room = 0;
    for (unsigned i = 0; i < 1000; i++)
        fake_publish(&a, "h", "", 0, NULL);
    b.room = 1000;
    while (pixi_hub_pump(&fake.hub, &b.peer, fake.now) == PIXI_MORE) {
        pumps++;
        assert_int_equal(b.room, 1000 - (pumps - 1) * PIXI_HUB_PUMP_COUNT);
        fake.log_len = 0;
    }
    assert_int_equal(b.room, 0);
    assert_int_equal(pumps, 4);
    fake.log_len = 0;
}

static void shared_in_turn(void **state)
{
    (void)state;
    fake_subscribe(&a, "$share/g/h/#");
    fake_subscribe(&b, "$share/g/h/#");
    fake_subscribe(&c, "$share/other/h/#");
    c.room = 0;
    fake.log_len = 0;
    fake_publish(&a, "h", "1", 0, NULL);
    fake_publish(&a, "h", "2", 0, NULL);
    fake_publish(&a, "h", "3", 0, NULL);
    fake_saw("A $share/g/h/# h=1@1; B $share/g/h/# h=2@2; A $share/g/h/# h=3@3; ");
    a.room = 0;
    fake_publish(&a, "h", "4", 0, NULL);
    fake_publish(&a, "h", "5", 0, NULL);
    fake_saw("B $share/g/h/# h=4@4; B $share/g/h/# h=5@5; ");
    b.room = 0;
    fake_publish(&a, "h", "6", 0, NULL);
    fake_publish(&a, "h", "7", 0, NULL);
    a.room = 1;
    pump(&a);
    b.room = 10;
    pump(&b);
    fake_publish(&a, "h", "8", 0, NULL);
    fake_saw("A $share/g/h/# h=6@6; B $share/g/h/# h=7@7; B $share/g/h/# h=8@8; ");
}

static void narrowed(void **state)
{
    static const struct pixi_cur filters[] = {{(const uint8_t *)"h/#", (const uint8_t *)"h/#" + 3}};
    static const struct pixi_permit narrow = {.subscribe = filters, .subscribe_count = 1};

    (void)state;
    fake_subscribe(&b, "h/+");
    fake_subscribe(&b, "+/1");
    fake_subscribe(&b, "$share/g/x");
    fake.log_len = 0;
    pixi_hub_set_permit(&fake.hub, &b.peer, &narrow);
    fake_saw("B +/1 ended FORBIDDEN; B $share/g/x ended FORBIDDEN; ");
    fake_publish(&a, "h/1", "", 0, NULL);
    fake_publish(&a, "x", "", 0, NULL);
    fake_saw("B h/+ h/1=@1; ");
    assert_int_equal(fake_publish(&b, "h/1", "", 0, NULL), PIXI_E_FORBIDDEN);
}

static void publisher_leaves_before_the_answer(void **state)
{
    (void)state;
    fake_subscribe(&b, "#");
    fake.store.is_later = true;
    fake_publish(&a, "h/1", "1", 0, "p");
    fake_publish(&a, "h/2", "2", 0, "q");
    assert_int_equal(fake_publish(&a, "h/3", "3", 0, "r"), PIXI_E_LIMIT);
    fake_publish(&c, "h/3", "3", 0, "s");
    assert_int_equal(fake_publish(&c, "h/4", "4", 0, "t"), PIXI_E_LIMIT); /* in all */
    later_run_append(&fake.store);
    fake_leave(&a);
    while (later_run_append(&fake.store))
        ;
    fake_saw("B # synced; B # h/1=1@1; A p stored OK @1; B # h/2=2@2; B # h/3=3@3; C s stored OK @3; ");
    fake_join(&a, 'A');
}

static void reader_leaves_while_the_store_reads(void **state)
{
    (void)state;
    fake_publish(&a, "h/1", "1", PIXI_MSG_RETAIN, NULL);
    fake.store.is_later = true;
    fake_subscribe(&b, "h/#");
    fake_subscribe(&b, "h/+");
    assert_int_equal(pixi_hub_unsubscribe(&fake.hub, &b.peer, pixi_cur_str("h/#")), PIXI_OK);
    fake_saw("B woken; "); /* the other one has to go on */
    pump(&b);
    later_run_read(&fake.store);
    fake_saw("B h/+ kept h/1=1@1; B h/+ synced; ");
    fake_subscribe(&b, "h/#");
    fake_subscribe(&b, "h/1");
    fake_leave(&b);
    assert_false(later_run_read(&fake.store));
    fake_saw(""); /* who leaves is not woken */
    fake_join(&b, 'B');
}

/* One member reads what the group is owed; another that wanted to is told when it can. */
static void members_wait_for_the_reader(void **state)
{
    (void)state;
    fake_subscribe(&a, "$share/g/h/#");
    fake_subscribe(&b, "$share/g/h/#");
    a.room = b.room = 0;
    fake_publish(&c, "h", "1", 0, NULL);
    fake_publish(&c, "h", "2", 0, NULL);
    fake.store.is_later = true;
    a.room = 1;
    b.room = 5;
    pump(&a);
    pump(&b); /* a is reading */
    fake_saw("A $share/g/h/# synced; B $share/g/h/# synced; ");
    later_run_read(&fake.store);
    fake_saw("A $share/g/h/# h=1@1; B woken; ");
    pump(&b);
    pump(&a);
    fake_leave(&b); /* in the middle of it */
    fake_saw("A woken; ");
    a.room = 5;
    pump(&a);
    later_run_read(&fake.store);
    fake_saw("A $share/g/h/# h=2@2; ");
    fake_join(&b, 'B');
}

static void a_bit_of_everything(void)
{
    struct pixi_hub_subscribed out;

    if (fake_begin("h/#", 10, NULL))
        return;
    fake_join(&a, 'A');
    fake_join(&b, 'B');
    fake_publish(&a, "h/1", "1", PIXI_MSG_RETAIN, "p");
    fake_publish(&a, "x/1", "1", PIXI_MSG_RETAIN, NULL);
    fake_subscribe(&b, "h/+/c");
    fake_subscribe(&b, "h/+");
    fake_subscribe(&b, "$share/g/h/+");
    fake_subscribe(&a, "$share/g/h/+");
    fake_subscribe(&b, "h/+"); /* replaces, or stands */
    subscribe_since(&a, "h/#", (struct pixi_position){7, 0}, &out);
    fake_publish(&a, "h/1", "2 which is longer", PIXI_MSG_RETAIN, "q");
    pump(&a);
    pixi_hub_unsubscribe(&fake.hub, &b.peer, pixi_cur_str("h/+"));
    fake_leave(&a);
    fake_leave(&b);
    fake_end();
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_in_range(alloc_torture(a_bit_of_everything), 20, 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refusals, begin, end),
        cmocka_unit_test_setup_teardown(encoded_once, begin, end),
        cmocka_unit_test_setup_teardown(positions, begin, end),
        cmocka_unit_test_setup_teardown(snapshot_or_recovery, begin, end),
        cmocka_unit_test_setup_teardown(slow_reader, begin, end),
        cmocka_unit_test_setup_teardown(reader_too_slow, begin, end),
        cmocka_unit_test_setup_teardown(pump_is_bounded, begin, end),
        cmocka_unit_test_setup_teardown(shared_in_turn, begin, end),
        cmocka_unit_test_setup_teardown(narrowed, begin, end),
        cmocka_unit_test_setup_teardown(publisher_leaves_before_the_answer, begin, end),
        cmocka_unit_test_setup_teardown(reader_leaves_while_the_store_reads, begin, end),
        cmocka_unit_test_setup_teardown(members_wait_for_the_reader, begin, end),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests_name("hub/hub", tests, NULL, NULL);
}
