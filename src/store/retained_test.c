#include "store/retained.h"
#include "hub/alloc_test.h"
#include "invariants.h"

static const uint8_t key[16] = "0123456789abcdef";
static uint64_t last_offset;

static int put(struct pixi_retained *r, const char *topic, const char *payload, uint64_t time_ms,
               uint64_t expires_ms)
{
    struct pixi_msg msg = {.topic = pixi_cur_str(topic),
                           .payload = pixi_cur_str(payload),
                           .time_ms = time_ms,
                           .expires_ms = expires_ms,
                           .pos = {7, ++last_offset}};
    int rc = pixi_retained_reserve(r, &msg);

    if (rc == PIXI_OK)
        pixi_retained_put(r, &msg);
    return rc;
}

/* "topic=payload " of each, in order, from an offset on. */
static const char *listed(struct pixi_retained *r, uint64_t from, uint64_t now_ms)
{
    static char text[4096];
    struct pixi_msg msg;
    size_t len = 0;

    text[0] = 0;
    for (size_t i = pixi_retained_seek(r, from); i < r->used; i++)
        if (pixi_retained_at(r, i, now_ms, &msg))
            len += (size_t)snprintf(text + len, sizeof text - len, "%.*s=%.*s ",
                                    (int)pixi_cur_left(&msg.topic), (const char *)msg.topic.p,
                                    (int)pixi_cur_left(&msg.payload), (const char *)msg.payload.p);
    return text;
}

static void last_of_each_topic(void **state)
{
    struct pixi_retained r;
    uint64_t middle;

    (void)state;
    pixi_retained_init(&r, 100, 100000, key);
    put(&r, "a", "1", 0, 0);
    put(&r, "b", "1", 0, 0);
    put(&r, "c", "1", 0, 0);
    assert_string_equal(listed(&r, 0, 0), "a=1 b=1 c=1 ");
    middle = last_offset + 1;
    put(&r, "a", "2", 0, 0);
    assert_string_equal(listed(&r, 0, 0), "b=1 c=1 a=2 ");
    put(&r, "b", "", 0, 0);
    put(&r, "never there", "", 0, 0);
    assert_string_equal(listed(&r, 0, 0), "c=1 a=2 ");
    assert_string_equal(listed(&r, middle, 0), "a=2 ");
    put(&r, "c", "longer than before by far", 0, 0);
    assert_string_equal(listed(&r, 0, 0), "a=2 c=longer than before by far ");
    assert_int_equal(r.count, 2);
    pixi_retained_clear(&r);
}

static void expires(void **state)
{
    struct pixi_retained r;

    (void)state;
    pixi_retained_init(&r, 2, 100000, key);
    put(&r, "a", "1", 0, 100);
    put(&r, "b", "1", 0, 200);
    assert_string_equal(listed(&r, 0, 99), "a=1 b=1 ");
    assert_int_equal(put(&r, "c", "1", 99, 0), PIXI_E_STORAGE);
    assert_int_equal(put(&r, "c", "1", 100, 0), PIXI_OK); /* a goes for it */
    assert_string_equal(listed(&r, 0, 100), "b=1 c=1 ");
    pixi_retained_trim(&r, 200);
    assert_int_equal(r.count, 1);
    assert_int_equal(r.soonest_ms, UINT64_MAX);
    pixi_retained_clear(&r);
}

static void ceilings(void **state)
{
    struct pixi_retained r;
    char big[600];
    size_t bytes;

    (void)state;
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    pixi_retained_init(&r, 2, 900, key);
    assert_int_equal(put(&r, "a", "1", 0, 0), PIXI_OK);
    assert_int_equal(put(&r, "b", big, 0, 0), PIXI_E_STORAGE);
    bytes = r.bytes;
    assert_int_equal(put(&r, "a", big, 0, 0), PIXI_OK); /* instead of the first */
    assert_true(r.bytes > bytes && r.bytes <= 900);
    assert_int_equal(put(&r, "a", "", 0, 0), PIXI_OK);
    assert_int_equal(r.bytes, 0);
    assert_int_equal(put(&r, "a", "1", 0, 0), PIXI_OK);
    assert_int_equal(put(&r, "b", "1", 0, 0), PIXI_OK);
    assert_int_equal(put(&r, "c", "1", 0, 0), PIXI_E_STORAGE);
    assert_int_equal(put(&r, "c", "", 0, 0), PIXI_OK); /* removing needs no room */
    assert_int_equal(put(&r, "b", "2", 0, 0), PIXI_OK);
    pixi_retained_clear(&r);
}

/* However often topics are replaced, the order stays small and right. */
static void order_is_closed_up(void **state)
{
    struct pixi_retained r;
    char topic[16];

    (void)state;
    pixi_retained_init(&r, 1000, 1000000, key);
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(topic, sizeof topic, "%u", (i * 7919u) % 150);
        assert_int_equal(put(&r, topic, i % 11 ? "x" : "", 0, 0), PIXI_OK);
    }
    assert_true(r.cap <= 1024);
    for (size_t i = 1; i < r.used; i++)
        assert_true(r.order[i - 1].offset < r.order[i].offset);
    pixi_retained_clear(&r);
}

static void put_some(void)
{
    struct pixi_retained r;
    char topic[16];

    pixi_retained_init(&r, 1000, 100000, key);
    for (unsigned i = 0; i < 70; i++) {
        snprintf(topic, sizeof topic, "%u", i);
        put(&r, topic, "x", 0, 0);
    }
    put(&r, "1", "much longer than it was", 0, 0);
    pixi_retained_clear(&r);
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_in_range(alloc_torture(put_some), 70, 90);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_of_each_topic), cmocka_unit_test(expires),       cmocka_unit_test(ceilings),
        cmocka_unit_test(order_is_closed_up), cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests_name("store/retained", tests, NULL, NULL);
}
