#include "sqlite/pack.h"
#include "invariants.h"

enum { RECORDS = 5, BITS = 8 };

static struct pixi_packed record_of(unsigned i)
{
    static const char text[] = "event/a-topic{\"header\":1}payload";
    struct pixi_packed r = {.part = {pixi_cur_init(text, i), pixi_cur_init(text + i, 2 * (size_t)i),
                                     pixi_cur_init(text, 7 * (size_t)i % 30)}};

    for (size_t k = 0; k < PIXI_PACK_NUMBERS; k++)
        r.number[k] = UINT64_MAX >> (63 - (9 * i + 8 * k) % 64) >> (i == 0);
    return r;
}

static struct pixi_buf packed(void)
{
    struct pixi_buf row = pixi_buf_init(1 << 16);

    for (unsigned i = 0; i < RECORDS; i++) {
        struct pixi_packed r = record_of(i);

        pixi_pack_put(&row, &r);
    }
    assert_int_equal(row.err, PIXI_OK);
    return row;
}

/* How many records there are, each as it was put. */
static unsigned check(struct pixi_cur *row)
{
    struct pixi_packed is;
    unsigned count = 0;

    for (; pixi_pack_next(row, &is); count++) {
        struct pixi_packed want = record_of(count);

        assert_true(count < RECORDS);
        assert_memory_equal(is.number, want.number, sizeof is.number);
        for (size_t k = 0; k < PIXI_PACK_PARTS; k++)
            assert_true(pixi_cur_equals(is.part[k], want.part[k]));
    }
    return count;
}

static void round_trip(void **state)
{
    struct pixi_buf row = packed();
    struct pixi_cur c = pixi_buf_cur(&row);

    (void)state;
    assert_int_equal(check(&c), RECORDS);
    assert_ptr_equal(c.p, c.end);
    pixi_buf_clear(&row);
}

static void prefix(void **state)
{
    struct pixi_buf row = packed();

    (void)state;
    for (size_t len = 0; len < row.len; len++) {
        struct inv_guard g = inv_guard(row.bytes, len);
        struct pixi_cur c = pixi_cur_init(g.bytes, len);
        const uint8_t *from = c.p;
        unsigned count = check(&c);

        assert_true(count < RECORDS);
        assert_true(c.p == from || count > 0);
        inv_guard_free(&g);
    }
    pixi_buf_clear(&row);
}

/* Whatever bit is another, the records before it are there, and none is wrong. */
static void damage(void **state)
{
    struct pixi_buf row = packed();

    (void)state;
    for (size_t i = 0; i < row.len * BITS; i++) {
        struct pixi_cur c = pixi_buf_cur(&row);

        row.bytes[i / BITS] ^= (uint8_t)(1 << i % BITS);
        assert_true(check(&c) < RECORDS);
        assert_true((size_t)(c.p - row.bytes) <= i / BITS);
        row.bytes[i / BITS] ^= (uint8_t)(1 << i % BITS);
    }
    pixi_buf_clear(&row);
}

static void no_room(void **state)
{
    struct pixi_packed r = record_of(4);
    struct pixi_buf row = pixi_buf_init(100);
    size_t len;

    (void)state;
    while (!row.err) {
        len = row.len;
        pixi_pack_put(&row, &r);
    }
    assert_int_equal(row.err, PIXI_E_LIMIT);
    assert_int_equal(row.len, len);
    pixi_buf_clear(&row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(round_trip), cmocka_unit_test(prefix),
                                       cmocka_unit_test(damage), cmocka_unit_test(no_room)};

    return cmocka_run_group_tests_name("sqlite/pack", tests, NULL, NULL);
}
