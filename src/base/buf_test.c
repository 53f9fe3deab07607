#include "base/buf.h"
#include "invariants.h"

static void ceiling_holds(void **state)
{
    struct pixi_buf b = pixi_buf_init(10);

    (void)state;
    pixi_buf_put_str(&b, "12345678");
    assert_int_equal(b.err, PIXI_OK);
    pixi_buf_put_str(&b, "abc");
    assert_int_equal(b.err, PIXI_E_LIMIT);
    assert_int_equal(b.len, 8);
    pixi_buf_put_str(&b, "x"); /* would fit, but errors stick */
    assert_int_equal(b.len, 8);
    pixi_buf_reset(&b);
    pixi_buf_put_uint(&b, UINT64_C(1234567890));
    assert_int_equal(b.err, PIXI_OK);
    assert_memory_equal(b.bytes, "1234567890", 10);
    pixi_buf_drop(&b, 4);
    assert_memory_equal(b.bytes, "567890", 6);
    pixi_buf_clear(&b);
    assert_null(b.bytes);
    assert_int_equal(b.max, 10);
}

static void numbers_and_formats(void **state)
{
    struct pixi_buf b = pixi_buf_init(1000);

    (void)state;
    pixi_buf_put_uint(&b, 0);
    pixi_buf_put_uint(&b, UINT64_MAX);
    pixi_buf_putf(&b, " %s-%d", "a", -5);
    assert_int_equal(b.len, strlen("018446744073709551615 a--5"));
    assert_memory_equal(b.bytes, "018446744073709551615 a--5", b.len);
    pixi_buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ceiling_holds),
                                       cmocka_unit_test(numbers_and_formats)};

    return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
