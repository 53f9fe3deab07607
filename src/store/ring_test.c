#include "store/ring.h"
#include "hub/alloc_test.h"
#include "invariants.h"

static struct pixi_msg message(uint64_t offset, const char *payload, uint64_t time_ms, uint64_t expires_ms)
{
    return (struct pixi_msg){.topic = pixi_cur_str("t"),
                             .payload = pixi_cur_str(payload),
                             .headers = pixi_cur_init("\0\1n\0\1v", 6),
                             .time_ms = time_ms,
                             .expires_ms = expires_ms,
                             .pos.offset = offset,
                             .flags = PIXI_MSG_RETAIN};
}

static void put(struct pixi_ring *r, uint64_t offset, const char *payload, uint64_t time_ms,
                uint64_t expires_ms)
{
    struct pixi_msg msg = message(offset, payload, time_ms, expires_ms);

    pixi_ring_put(r, &msg);
}

static void holds_what_was_put(void **state)
{
    struct pixi_ring r;
    struct pixi_msg msg;

    (void)state;
    assert_int_equal(pixi_ring_init(&r, 3, 100, 0), PIXI_OK);
    put(&r, 5, "five", 100, 200);
    put(&r, 9, "", 101, 0);
    msg = pixi_ring_at(&r, 0);
    assert_true(pixi_cur_equals(msg.payload, pixi_cur_str("five")));
    assert_true(pixi_cur_equals(msg.topic, pixi_cur_str("t")));
    assert_memory_equal(msg.headers.p, "\0\1n\0\1v", 6);
    assert_int_equal(msg.time_ms, 100);
    assert_int_equal(msg.expires_ms, 200);
    assert_int_equal(msg.pos.offset, 5);
    assert_int_equal(msg.flags, PIXI_MSG_RETAIN);
    assert_int_equal(pixi_ring_seek(&r, 1), 0);
    assert_int_equal(pixi_ring_seek(&r, 5), 0);
    assert_int_equal(pixi_ring_seek(&r, 6), 1);
    assert_int_equal(pixi_ring_seek(&r, 10), 2);
    assert_int_equal(r.bytes, 2 * 7 + 4);
    pixi_ring_clear(&r);
}

static void forgets_the_oldest(void **state)
{
    struct pixi_ring r;

    (void)state;
    assert_int_equal(pixi_ring_init(&r, 3, 1000, 10), PIXI_OK);
    put(&r, 1, "a", 1000, 0);
    put(&r, 2, "b", 1001, 1500);
    put(&r, 3, "c", 1002, 0);
    assert_int_equal(r.trimmed, 0);
    put(&r, 4, "d", 1003, 0); /* by count */
    assert_int_equal(r.trimmed, 1);
    put(&r, 5, "e", 1600, 0); /* the oldest had expired: nobody's loss */
    assert_int_equal(r.trimmed, 1);
    assert_int_equal(pixi_ring_offset_at(&r, 0), 3);
    pixi_ring_trim(&r, 11002); /* by age, 10 s */
    assert_int_equal(r.trimmed, 3);
    assert_int_equal(r.count, 2);
    pixi_ring_trim(&r, 100000);
    assert_int_equal(r.count, 0);
    assert_int_equal(r.trimmed, 5);
    assert_int_equal(r.bytes, 0);
    pixi_ring_clear(&r);
}

/* Messages of every size in arenas of every size: what is held is the newest, whole, and never more than fits. */
static void goes_round(void **state)
{
    static const char text[] = "abcdefghijklmnopqrstuvwxyz";
    unsigned random = 3;
    struct pixi_ring r;
    struct pixi_msg msg;
    uint64_t size;

    (void)state;
    for (size_t bytes = 12; bytes < 100; bytes++) {
        assert_int_equal(pixi_ring_init(&r, 7, bytes, 0), PIXI_OK);
        for (uint64_t offset = 1; offset < 200; offset++) {
            random = random * 1664525u + 1013904223u;
            msg = message(offset, text + (random >> 8) % 26, 1, 0);
            if (!pixi_ring_fits(&r, pixi_msg_size(&msg)))
                msg.payload = pixi_cur_str(text + 25);
            pixi_ring_put(&r, &msg);
            assert_in_range(r.count, 1, 7);
            size = 0;
            for (uint64_t i = 0; i < r.count; i++) {
                msg = pixi_ring_at(&r, i);
                assert_int_equal(msg.pos.offset, offset - r.count + 1 + i);
                assert_true(msg.topic.p >= r.arena && msg.payload.end <= r.arena + bytes);
                assert_memory_equal(msg.payload.p, text + 26 - pixi_cur_left(&msg.payload),
                                    pixi_cur_left(&msg.payload));
                size += pixi_msg_size(&msg);
            }
            assert_int_equal(r.bytes, size);
            assert_int_equal(r.trimmed, offset - r.count);
        }
        pixi_ring_clear(&r);
    }
}

static void init_and_clear(void)
{
    struct pixi_ring r;

    if (pixi_ring_init(&r, 10, 10, 0) == PIXI_OK)
        pixi_ring_clear(&r);
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_int_equal(alloc_torture(init_and_clear), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_what_was_put),
        cmocka_unit_test(forgets_the_oldest),
        cmocka_unit_test(goes_round),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests_name("store/ring", tests, NULL, NULL);
}
