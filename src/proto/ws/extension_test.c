#include "proto/ws/extension.h"
#include "invariants.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void put_cur(struct pixi_buf *b, const char *before, struct pixi_cur c)
{
    pixi_buf_put_str(b, before);
    pixi_buf_put_cur(b, c);
}

/* "name|parameter=value|parameter", or "!" behind what could be read. */
static void tell(const char *text, struct pixi_buf *out)
{
    size_t len = strlen(text);
    struct inv_guard g = inv_guard(text, len);
    struct pixi_cur c = pixi_cur_init(g.bytes, len), name;
    struct pixi_ws_parameter p;
    int rc = pixi_ws_extension_name(&c, &name);

    pixi_buf_reset(out);
    if (rc == PIXI_OK)
        pixi_buf_put_cur(out, name);
    while (rc == PIXI_OK && (rc = pixi_ws_extension_next(&c, &p)) == PIXI_OK) {
        put_cur(out, "|", p.name);
        if (p.value.p)
            put_cur(out, "=", p.value);
    }
    if (rc != PIXI_MORE) {
        assert_int_equal(rc, PIXI_E_WS_EXTENSION);
        pixi_buf_put_str(out, "!");
    }
    inv_guard_free(&g);
}

static void elements(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"a", "a"},
        {" a ;\tb= c ; d ", "a|b=c|d"},
        {"a;b=\"c\";d=\"e\\f\"", "a|b=c|d=e\\f"},
        {"a;b;b", "a|b|b"},
        {"", "!"},
        {";a", "!"},
        {"a;", "a!"},
        {"a b", "a!"},
        {"a;=b", "a!"},
        {"a;b=", "a!"},
        {"a;b=\"\"", "a!"},
        {"a;b=\"c", "a!"},
        {"a;b=\"c\\", "a!"},
        {"a;b=\"c d\"", "a!"},
        {"a;b=\"c\"d", "a|b=c!"},
        {"a;b==c", "a!"},
        {"a;b=c=d", "a|b=c!"},
    };
    struct pixi_buf got = pixi_buf_init(1000);

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        tell(cases[i].text, &got);
        if (!pixi_cur_equals(pixi_buf_cur(&got), pixi_cur_str(cases[i].want)))
            fail_msg("%s: %.*s, wanted %s", cases[i].text, (int)got.len, (char *)got.bytes, cases[i].want);
    }
    pixi_buf_clear(&got);
}

static void an_error_moves_nothing(void **state)
{
    struct pixi_cur c = pixi_cur_str("a;b=;c"), name;
    struct pixi_ws_parameter p = {.name = {NULL, NULL}};
    const uint8_t *before;

    (void)state;
    assert_int_equal(pixi_ws_extension_name(&c, &name), PIXI_OK);
    before = c.p;
    assert_int_equal(pixi_ws_extension_next(&c, &p), PIXI_E_WS_EXTENSION);
    assert_ptr_equal(c.p, before);
    assert_null(p.name.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements),
        cmocka_unit_test(an_error_moves_nothing),
    };

    return cmocka_run_group_tests_name("proto/ws/extension", tests, NULL, NULL);
}
