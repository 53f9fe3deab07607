#include "invariants.h"
#include "store/memory.h"
#include "hub/gateway_test.h"

static struct fake_peer a;

static int begin(void **state)
{
    (void)state;
    assert_int_equal(fake_begin("h/#", 10000, NULL), PIXI_OK);
    fake_join(&a, 'A');
    return 0;
}

static int end(void **state)
{
    (void)state;
    fake_leave(&a);
    fake_end();
    return 0;
}

static int give(void *ctx, const struct pixi_msg *msg)
{
    unsigned *room = ctx;

    if (!*room)
        return PIXI_E_QUEUE;
    --*room;
    fake_note("%.*s@%d ", FAKE_CUR(msg->payload), (int)msg->pos.offset);
    return PIXI_OK;
}

static void finish(void *ctx, int err, bool is_more)
{
    (void)ctx;
    fake_note("%s%s; ", pixi_err_name(err), is_more ? " more" : "");
}

static unsigned room;
static struct pixi_hub_history h;

static int history(const char *filter, struct pixi_position since, size_t limit)
{
    room = 1000;
    h = (struct pixi_hub_history){.filter = pixi_cur_str(filter),
                                  .since = since,
                                  .limit = limit,
                                  .ctx = &room,
                                  .on_message = give,
                                  .on_end = finish};
    return pixi_hub_history(&fake.hub, &a.peer, &h, fake.now);
}

static const struct pixi_position oldest = {0};

static void pages(void **state)
{
    (void)state;
    assert_int_equal(history("#", oldest, 10), PIXI_OK);
    fake_saw("OK; ");
    for (unsigned i = 0; i < 5; i++)
        fake_publish(&a, i % 2 ? "h/odd" : "h/even", (const char *[]){"0", "1", "2", "3", "4"}[i], 0, NULL);
    history("#", oldest, 10);
    fake_saw("0@1 1@2 2@3 3@4 4@5 OK; ");
    history("#", oldest, 5);
    fake_saw("0@1 1@2 2@3 3@4 4@5 OK; ");
    history("#", oldest, 4);
    fake_saw("0@1 1@2 2@3 3@4 OK more; ");
    history("h/even", (struct pixi_position){7, 1}, 1);
    fake_saw("2@3 OK more; ");
    history("h/even", (struct pixi_position){7, 3}, 1);
    fake_saw("4@5 OK; ");
    history("h/even", (struct pixi_position){7, 5}, 1);
    fake_saw("OK; ");
}

static void result_is_full(void **state)
{
    (void)state;
    fake_publish(&a, "h", "0", 0, NULL);
    fake_publish(&a, "h", "1", 0, NULL);
    fake.store.is_later = true;
    history("#", oldest, 10);
    room = 1;
    later_run_read(&fake.store);
    fake_saw("0@1 OK more; ");
    pixi_hub_history_cancel(&fake.hub, &h); /* too late to matter */
}

static void refusals(void **state)
{
    static const struct pixi_permit none = {0};

    (void)state;
    fake_publish(&a, "h", "0", 0, NULL);
    assert_int_equal(history("#/", oldest, 1), PIXI_E_FILTER);
    assert_int_equal(history("$share/g/a", oldest, 1), PIXI_E_RPC_PARAMS);
    assert_int_equal(history("$SYS/a", oldest, 1), PIXI_E_FORBIDDEN);
    assert_int_equal(history("#", (struct pixi_position){7, 2}, 1), PIXI_E_HISTORY);
    assert_int_equal(history("#", (struct pixi_position){8, 1}, 1), PIXI_E_HISTORY);
    for (unsigned i = 0; i < 10001; i++)
        fake_publish(&a, "h", "0", 0, NULL);
    assert_int_equal(history("h", (struct pixi_position){7, 1}, 1), PIXI_E_HISTORY);
    assert_int_equal(history("h", (struct pixi_position){7, 2}, 1), PIXI_OK);
    assert_int_equal(history("h", oldest, 1), PIXI_OK);
    fake_saw("0@3 OK more; 0@3 OK more; ");
    fake.store.is_later = true;
    assert_int_equal(history("h", oldest, 1), PIXI_OK);
    fake.hub.limits.histories_per_peer = 1;
    assert_int_equal(pixi_hub_history(&fake.hub, &a.peer,
                                      &(struct pixi_hub_history){.filter = h.filter, .limit = 1}, fake.now),
                     PIXI_E_LIMIT);
    pixi_hub_set_permit(&fake.hub, &a.peer, &none);
    fake_saw("FORBIDDEN; ");
}

static void rare_in_a_long_one(void **state)
{
    unsigned pumps = 0;

    (void)state;
    fake_publish(&a, "h/rare", "first", 0, NULL);
    for (unsigned i = 0; i < 9000; i++)
        fake_publish(&a, "h/f", "", 0, NULL);
    fake_publish(&a, "h/rare", "last", 0, NULL);
    history("h/rare", oldest, 10);
    while (pixi_hub_pump(&fake.hub, &a.peer, fake.now) == PIXI_MORE)
        pumps++;
    fake_saw("first@1 A woken; last@9002 OK; ");
    assert_int_equal(pumps, 1);
}

static void ends_with_the_peer(void **state)
{
    (void)state;
    fake_publish(&a, "h", "0", 0, NULL);
    fake.store.is_later = true;
    history("#", oldest, 10);
    fake_leave(&a);
    assert_false(later_run_read(&fake.store));
    fake_join(&a, 'A');
    history("#", oldest, 10);
    pixi_hub_history_cancel(&fake.hub, &h);
    assert_false(later_run_read(&fake.store));
    fake_saw("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pages, begin, end),
        cmocka_unit_test_setup_teardown(result_is_full, begin, end),
        cmocka_unit_test_setup_teardown(refusals, begin, end),
        cmocka_unit_test_setup_teardown(rare_in_a_long_one, begin, end),
        cmocka_unit_test_setup_teardown(ends_with_the_peer, begin, end),
    };

    return cmocka_run_group_tests_name("hub/history", tests, NULL, NULL);
}
