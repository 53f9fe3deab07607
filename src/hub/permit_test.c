#include "hub/permit.h"
#include "base/topic.h"
#include "invariants.h"

/* One row a question: may a key with this grant do that? PROTOCOL "The API key". */
static const struct {
    const char *grant, *asked;
    bool may_publish, may_subscribe;
} rows[] = {
    {"scene/#", "scene/a/b", true, true},   {"scene/#", "scene", true, true},
    {"scene/#", "scenes", false, false},    {"scene/+", "scene/a/b", false, false},
    {"scene/+", "scene/a", true, true},     {"#", "a", true, true},
    {"#", "$SYS/load", false, false},       {"$SYS/#", "$SYS/load", false, true}, /* nobody publishes there */
    {"$SYS/#", "$SYS/#", false, true},      {"+/a", "+/a", false, true},
    {"a/+", "a/#", false, false},           {"a/#", "a/+", false, true},
    {"a/#", "$share/g/a/b", false, true},   {"#", "$share/g/#", false, true},
    {"#", "$share/g/$SYS/#", false, false}, {"b", "$share/g/a", false, false},
};

static void grants(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pixi_cur list[] = {pixi_cur_str("other/x"), pixi_cur_str(rows[i].grant)},
                        asked = pixi_cur_str(rows[i].asked);
        struct pixi_permit p = {.publish = list, .publish_count = 2, .subscribe = list, .subscribe_count = 2};

        if (pixi_topic_check(asked) == PIXI_OK && pixi_permit_publish(&p, asked) != rows[i].may_publish)
            fail_msg("grant '%s', publish '%s'", rows[i].grant, rows[i].asked);
        if (pixi_permit_subscribe(&p, asked) != rows[i].may_subscribe)
            fail_msg("grant '%s', subscribe '%s'", rows[i].grant, rows[i].asked);
    }
}

static void no_grant_no_right(void **state)
{
    struct pixi_permit none = {0};

    (void)state;
    assert_false(pixi_permit_publish(&none, pixi_cur_str("a")));
    assert_false(pixi_permit_subscribe(&none, pixi_cur_str("a")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(grants), cmocka_unit_test(no_grant_no_right)};

    return cmocka_run_group_tests_name("hub/permit", tests, NULL, NULL);
}
