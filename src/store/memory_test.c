#include "store/memory.h"
#include "hub/alloc_test.h"
#include "invariants.h"

/* What it does is in store_test.c. */

static void settings_are_checked(void **state)
{
    struct pixi_policy policy = {pixi_cur_str("a/#/b"), 1, 1, 0};
    struct pixi_memory_config config = pixi_memory_config_default;
    struct pixi_memory *none = NULL;

    (void)state;
    assert_int_equal(pixi_memory_new(&config, &none), PIXI_E_SETTINGS); /* no epoch */
    config.epoch = 1;
    config.policies = &policy;
    config.policy_count = 1;
    assert_int_equal(pixi_memory_new(&config, &none), PIXI_E_FILTER);
    policy.filter = pixi_cur_str("$share/g/a");
    assert_int_equal(pixi_memory_new(&config, &none), PIXI_E_FILTER);
    policy.filter = pixi_cur_str("a");
    policy.max_bytes = 0;
    assert_int_equal(pixi_memory_new(&config, &none), PIXI_E_SETTINGS);
    config.policy_count = PIXI_POLICIES_MAX + 1;
    assert_int_equal(pixi_memory_new(&config, &none), PIXI_E_SETTINGS);
    assert_null(none);
    pixi_memory_free(NULL);
}

static void on_committed(void *ctx, void *token, const struct pixi_commit *commit)
{
    (void)ctx;
    (void)token;
    (void)commit;
}

static void on_record(void *ctx, int err, const struct pixi_record *record)
{
    (void)ctx;
    (void)err;
    (void)record;
}

static void append(struct pixi_store *store, const char *topic, unsigned flags)
{
    struct pixi_msg msg = {.topic = pixi_cur_str(topic),
                           .payload = pixi_cur_str("1"),
                           .time_ms = 1000,
                           .flags = flags,
                           .key = {.seq = 1}};

    store->call->append(store, &msg, PIXI_STORE_WANTS_POSITION, NULL);
}

static void use_all(void)
{
    struct pixi_policy policies[] = {{pixi_cur_str("a/+/x"), 3, 1000, 0}, {pixi_cur_str("a/#"), 4, 60, 0}};
    struct pixi_memory_config config = pixi_memory_config_default;
    struct pixi_record record = {pixi_cur_str("a"), pixi_cur_str("1"), 0};
    struct pixi_memory *memory;
    struct pixi_store *store;

    config.policies = policies;
    config.policy_count = 2;
    config.epoch = 7;
    if (pixi_memory_new(&config, &memory))
        return;
    store = pixi_memory_store(memory);
    store->on_committed = on_committed;
    append(store, "a/1", PIXI_MSG_RETAIN | PIXI_MSG_KEY);
    append(store, "x", PIXI_MSG_RETAIN);
    store->call->put(store, &record, (struct pixi_record_answer){on_record, NULL});
    pixi_memory_free(memory);
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_in_range(alloc_torture(use_all), 18, 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_checked),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests_name("store/memory", tests, NULL, NULL);
}
