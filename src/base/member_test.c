#include "base/member.h"
#include "invariants.h"

static void members(void **state)
{
    struct pixi_cur object = pixi_cur_str(
        " {\"a\": {\"n\": 1, \"x\":[{}]}, \"n\": -2, \"s\":\"gr\\u00fcn\", \"n\": 3, \"f\": 1.5} ");
    enum pixi_json_type type;
    struct pixi_cur raw;
    char text[16];
    int64_t n;

    (void)state;
    assert_true(pixi_member_get(object, "a", &type, &raw));
    assert_int_equal(type, PIXI_JSON_OBJECT);
    assert_true(pixi_cur_equals(raw, pixi_cur_str("{\"n\": 1, \"x\":[{}]}")));
    assert_true(pixi_member_int(object, "n", &n));
    assert_int_equal(n, -2);
    assert_true(pixi_member_string(object, "s", text, sizeof text));
    assert_string_equal(text, "grün");
    assert_false(pixi_member_string(object, "s", text, 9)); /* as it is written it is longer */
    assert_false(pixi_member_string(object, "n", text, sizeof text));
    assert_false(pixi_member_int(object, "s", &n));
    assert_false(pixi_member_int(object, "f", &n));
    assert_false(pixi_member_get(object, "x", &type, &raw));
    assert_int_equal(pixi_cur_left(&raw), 0);
    assert_int_equal(type, PIXI_JSON_DONE);
}

static void no_objects(void **state)
{
    static const char *const rows[] = {"",       "[]",      "1",        "{",
                                       "{\"a\"", "{\"a\":", "{\"a\":}", "{\"b\":1,\"a\":[}"};
    enum pixi_json_type type;
    struct pixi_cur raw;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct inv_guard g = inv_guard(rows[i], strlen(rows[i]));

        assert_false(pixi_member_get(pixi_cur_init(g.bytes, strlen(rows[i])), "a", &type, &raw));
        inv_guard_free(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(members), cmocka_unit_test(no_objects)};

    return cmocka_run_group_tests_name("base/member", tests, NULL, NULL);
}
