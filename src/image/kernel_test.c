#include "image/kernel.h"
#include "invariants.h"

static const char dep[] =
    "kernel/a/base.ko:\n"
    "kernel/a/ring-core.ko.xz: kernel/a/base.ko\n"
    "kernel/b/net_dev.ko: kernel/a/ring-core.ko.xz kernel/a/base.ko\n"
    "kernel/b/net_dev_more.ko: kernel/b/net_dev.ko kernel/a/ring-core.ko.xz kernel/a/base.ko\n"
    "kernel/c/one.ko: kernel/c/two.ko\n"
    "kernel/c/two.ko: kernel/c/one.ko\n"
    "kernel/d/lost.ko: kernel/d/nowhere.ko\n";

static int order(const char *name, struct pixi_buf *done)
{
    return pixi_image_modules_order(pixi_cur_str(dep), pixi_cur_str(name), done);
}

static void expect(struct pixi_buf *done, const char *text, size_t len)
{
    assert_int_equal(done->len, len);
    assert_memory_equal(done->bytes, text, len);
}

static void test_order(void **state)
{
    struct pixi_buf done = pixi_buf_init(4096);

    (void)state;
    assert_int_equal(order("net_dev_more", &done), PIXI_OK);
#define ALL "kernel/a/base.ko\0kernel/a/ring-core.ko.xz\0kernel/b/net_dev.ko\0kernel/b/net_dev_more.ko"
    expect(&done, ALL, sizeof ALL);
    assert_int_equal(order("net-dev", &done), PIXI_OK); /* - is _, and it is there already */
    assert_int_equal(order("ring_core", &done), PIXI_OK);
    expect(&done, ALL, sizeof ALL);
    pixi_buf_clear(&done);
}

static void test_not_there(void **state)
{
    struct pixi_buf done = pixi_buf_init(4096);

    (void)state;
    assert_int_equal(order("net", &done), PIXI_E_NAME);
    assert_int_equal(order("lost", &done), PIXI_E_NAME);
    assert_int_equal(order("one", &done), PIXI_E_LIMIT);
    assert_int_equal(done.len, 0);
    pixi_buf_clear(&done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_not_there)};

    return cmocka_run_group_tests_name("image/kernel", tests, NULL, NULL);
}
