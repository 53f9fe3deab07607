#include "image/flat.h"
#include "invariants.h"

static void expect_flat(const char *json, const char *lines)
{
    struct pixi_flat f;
    struct pixi_buf b = pixi_buf_init(4096);

    assert_int_equal(pixi_flat_read(&f, pixi_cur_str(json)), PIXI_OK);
    for (size_t i = 0; i < pixi_flat_count(&f); i++) {
        pixi_buf_putf(&b, "%s=", pixi_flat_at(&f, i)->path);
        pixi_buf_put_cur(&b, pixi_flat_at(&f, i)->value);
        pixi_buf_put_str(&b, "\n");
    }
    pixi_buf_put(&b, "", 1);
    assert_string_equal((const char *)b.bytes, lines);
    pixi_buf_clear(&b);
    pixi_flat_clear(&f);
}

static void test_values(void **state)
{
    (void)state;
    expect_flat("1", "=1\n");
    expect_flat("{}", "={}\n");
    expect_flat(" [ ] ", "=[]\n");
    expect_flat("{\"b\": {\"y\": true, \"x\": null}, \"a\": [\"p\", {\"q\": []}]}",
                "a[0]=\"p\"\na[1].q=[]\nb.x=null\nb.y=true\n");
}

static void test_no_json(void **state)
{
    static const char *const texts[] = {"", "{", "{\"a\":1", "[1,]", "{} x", "nul"};
    struct pixi_flat f;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_true(pixi_flat_read(&f, pixi_cur_str(texts[i])) < 0);
        pixi_flat_clear(&f);
    }
}

/* As deep as the reader goes, and names that are longer than a path may be. */
static void test_limits(void **state)
{
    char text[3 * PIXI_FLAT_PATH_MAX], *p = text;
    struct pixi_flat f;

    (void)state;
    for (int i = 0; i < PIXI_JSON_DEPTH_MAX; i++)
        *p++ = '[';
    for (int i = 0; i < PIXI_JSON_DEPTH_MAX; i++)
        *p++ = ']';
    *p = 0;
    assert_int_equal(pixi_flat_read(&f, pixi_cur_str(text)), PIXI_OK);
    assert_int_equal(pixi_flat_count(&f), 1);
    pixi_flat_clear(&f);
    memset(text, 'n', sizeof text);
    memcpy(text, "{\"", 2);
    memcpy(text + sizeof text - 5, "\":1}", 5);
    assert_int_equal(pixi_flat_read(&f, pixi_cur_str(text)), PIXI_E_LIMIT);
    pixi_flat_clear(&f);
}

static void test_show(void **state)
{
    static const struct {
        const char *path, *value, *shown;
    } cases[] = {
        {"url", "\"ws://a/b\"", "\"ws://a/b\""},
        {"url", "\"ws://me:secret@a/b\"", "\"ws://(hidden)@a/b\""},
        {"proxy.url", "\"http://a/b@c\"", "\"http://a/b@c\""},
        {"api_key", "\"abc\"", "(hidden)"},
        {"x.password", "1", "(hidden)"},
        {"tokens[3].token[1]", "\"t\"", "(hidden)"},
        {"api_key_file", "\"/run/key\"", "\"/run/key\""},
        {"Env[0]", "\"K=pk_0123456789abcdefghijABCDEFGHIJ0123456789-_x\"", "(hidden)"},
    };
    struct pixi_buf b = pixi_buf_init(4096);
    struct pixi_cur value;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        value = pixi_cur_str(cases[i].value);
        pixi_buf_reset(&b);
        pixi_flat_show(cases[i].path, &value, &b);
        pixi_buf_put(&b, "", 1);
        assert_string_equal((const char *)b.bytes, cases[i].shown);
    }
    pixi_buf_reset(&b);
    pixi_flat_show("a", NULL, &b);
    assert_true(pixi_cur_equals(pixi_buf_cur(&b), pixi_cur_str("(none)")));
    pixi_buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_no_json),
                                       cmocka_unit_test(test_limits), cmocka_unit_test(test_show)};

    return cmocka_run_group_tests_name("image/flat", tests, NULL, NULL);
}
