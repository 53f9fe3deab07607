#include "store/wanted.h"
#include "invariants.h"

static uint64_t wanted[32];
static size_t wanted_count, asked;

static bool is_wanted(void *ctx, const struct pixi_msg *msg)
{
    (void)ctx;
    asked++;
    for (size_t i = 0; i < wanted_count; i++)
        if (wanted[i] == msg->pos.offset)
            return true;
    return false;
}

static void put(struct pixi_wanted *w, uint64_t offset, uint64_t expires_ms)
{
    struct pixi_msg msg = {.topic = pixi_cur_str("t"),
                           .payload = pixi_cur_str("123456789"),
                           .time_ms = 1000 + offset,
                           .expires_ms = expires_ms,
                           .pos.offset = offset};

    pixi_wanted_put(w, &msg, is_wanted, NULL);
}

static bool has(const struct pixi_wanted *w, uint64_t offset)
{
    uint64_t i = pixi_ring_seek(&w->ring, offset);

    return i < w->ring.count && pixi_ring_offset_at(&w->ring, i) == offset;
}

static void set_wanted(size_t count, uint64_t first, uint64_t step)
{
    wanted_count = count;
    for (size_t i = 0; i < count; i++)
        wanted[i] = first + i * step;
    asked = 0;
}

static void what_is_wanted_stays(void **state)
{
    struct pixi_wanted w;

    (void)state;
    assert_int_equal(pixi_wanted_init(&w, 8, 80), PIXI_OK);
    assert_true(pixi_wanted_fits(&w, 80));
    assert_false(pixi_wanted_fits(&w, 81));
    set_wanted(2, 1, 4); /* 1 and 5 */
    for (uint64_t offset = 1; offset <= 100; offset++)
        put(&w, offset, 0);
    assert_true(has(&w, 1));
    assert_true(has(&w, 5));
    assert_true(has(&w, 100));
    assert_int_equal(w.trimmed, 0);
    pixi_wanted_clear(&w);
}

static void the_oldest_go_when_too_much_is_wanted(void **state)
{
    struct pixi_wanted w;

    (void)state;
    assert_int_equal(pixi_wanted_init(&w, 8, 1000), PIXI_OK);
    set_wanted(20, 1, 1);
    for (uint64_t offset = 1; offset <= 9; offset++)
        put(&w, offset, 0);
    assert_int_equal(w.trimmed, 2); /* a quarter of eight */
    assert_int_equal(asked, 8);
    assert_true(has(&w, 3));
    put(&w, 10, 0);
    assert_int_equal(asked, 8); /* the next did not look again */
    put(&w, 11, 0);
    assert_int_equal(asked, 16);
    assert_int_equal(w.trimmed, 4);
    pixi_wanted_clear(&w);
}

static void what_has_expired_is_nobodys_loss(void **state)
{
    struct pixi_wanted w;

    (void)state;
    assert_int_equal(pixi_wanted_init(&w, 4, 1000), PIXI_OK);
    set_wanted(20, 1, 1);
    for (uint64_t offset = 1; offset <= 4; offset++)
        put(&w, offset, 1005);
    put(&w, 5, 0);
    assert_int_equal(w.trimmed, 0);
    assert_int_equal(w.ring.count, 1);
    pixi_wanted_clear(&w);
}

static void room_for_none(void **state)
{
    struct pixi_wanted w;

    (void)state;
    assert_int_equal(pixi_wanted_init(&w, 0, 0), PIXI_OK);
    assert_false(pixi_wanted_fits(&w, 0));
    pixi_wanted_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wanted_stays),
        cmocka_unit_test(the_oldest_go_when_too_much_is_wanted),
        cmocka_unit_test(what_has_expired_is_nobodys_loss),
        cmocka_unit_test(room_for_none),
    };

    return cmocka_run_group_tests_name("store/wanted", tests, NULL, NULL);
}
