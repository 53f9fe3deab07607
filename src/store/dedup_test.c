#include "store/dedup.h"
#include "hub/alloc_test.h"
#include "invariants.h"

static const uint8_t key[16] = "0123456789abcdef";
static struct pixi_dedup d;
static uint64_t now_ms, next_offset;

/* Sends; what came of it is the offset, old or new, or a negative error. */
static int64_t send(const char *owner, uint8_t producer, uint64_t seq, uint64_t low, const char *payload)
{
    struct pixi_msg msg = {.topic = pixi_cur_str("t"),
                           .payload = pixi_cur_str(payload),
                           .time_ms = now_ms,
                           .flags = PIXI_MSG_KEY,
                           .key = {.producer = {producer}, .seq = seq, .low = low},
                           .key_owner = pixi_cur_str(owner)};
    struct pixi_dedup_place place;
    uint64_t offset;
    int rc = pixi_dedup_check(&d, &msg, &place, &offset);

    if (rc)
        return rc;
    if (offset != UINT64_MAX)
        return (int64_t)offset;
    pixi_dedup_put(&d, &place, next_offset);
    return (int64_t)next_offset++;
}

static int begin(void **state)
{
    (void)state;
    pixi_dedup_init(&d, 3, 20, 10, key);
    now_ms = 1000;
    next_offset = 100;
    return 0;
}

static int end(void **state)
{
    (void)state;
    pixi_dedup_clear(&d);
    return 0;
}

static void stored_once(void **state)
{
    (void)state;
    assert_int_equal(send("k", 1, 5, 0, "x"), 100);
    assert_int_equal(send("k", 1, 5, 0, "x"), 100);
    assert_int_equal(send("k", 1, 5, 0, "y"), PIXI_E_KEY_REUSED);
    assert_int_equal(send("k", 1, 2, 0, "earlier, later"), 101);
    assert_int_equal(send("k", 1, 9, 0, "y"), 102);
    assert_int_equal(send("k", 2, 5, 0, "y"), 103); /* another producer */
    assert_int_equal(send("l", 1, 5, 0, "y"), 104); /* another key */
    assert_int_equal(send("k", 1, 2, 0, "earlier, later"), 101);
    assert_int_equal(send("k", 1, 5, 0, "x"), 100);
    assert_int_equal(send("k", 1, 9, 0, "y"), 102);
}

static void low_forgets(void **state)
{
    (void)state;
    for (uint64_t seq = 1; seq <= 8; seq++)
        send("k", 1, seq, 0, "x");
    assert_int_equal(d.seqs, 8);
    assert_int_equal(send("k", 1, 9, 6, "x"), 108);
    assert_int_equal(d.seqs, 4);
    assert_int_equal(send("k", 1, 5, 0, "x"), PIXI_E_RPC_PARAMS);
    assert_int_equal(send("k", 1, 3, 4, "x"), PIXI_E_RPC_PARAMS);
    assert_int_equal(send("k", 1, 6, 0, "x"), 105);
    assert_int_equal(send("k", 1, 50, 50, "x"), 109);
    assert_int_equal(d.seqs, 1);
}

static void content_is_all_of_it(void **state)
{
    struct pixi_msg msg = {.topic = pixi_cur_str("ab"),
                           .payload = pixi_cur_str("cd"),
                           .headers = pixi_cur_str("ef"),
                           .flags = PIXI_MSG_KEY,
                           .time_ms = 1000};
    struct pixi_msg other[4];
    struct pixi_dedup_place place;
    uint64_t offset;

    (void)state;
    assert_int_equal(pixi_dedup_check(&d, &msg, &place, &offset), PIXI_OK);
    pixi_dedup_put(&d, &place, 1);
    for (unsigned i = 0; i < 4; i++)
        other[i] = msg;
    other[0].topic = pixi_cur_str("abe");
    other[0].headers = pixi_cur_str("f");
    other[1].payload = pixi_cur_str("cdx");
    other[2].headers = pixi_cur_str("");
    other[3].flags |= PIXI_MSG_RETAIN;
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pixi_dedup_check(&d, &other[i], &place, &offset), PIXI_E_KEY_REUSED);
    msg.expires_ms = 5000; /* not part of it: it is counted from when it was sent */
    assert_int_equal(pixi_dedup_check(&d, &msg, &place, &offset), PIXI_OK);
    assert_int_equal(offset, 1);
}

static void ceilings(void **state)
{
    (void)state;
    for (uint64_t seq = 0; seq < 10; seq++)
        assert_true(send("k", 1, seq, 0, "x") >= 100);
    assert_int_equal(send("k", 1, 10, 0, "x"), PIXI_E_STORAGE);
    assert_int_equal(send("k", 1, 10, 1, "x"), 110);
    for (uint64_t seq = 0; seq < 10; seq++)
        assert_true(send("k", 2, seq, 0, "x") >= 100);
    assert_int_equal(send("k", 3, 0, 0, "x"), PIXI_E_STORAGE); /* in all */
    assert_int_equal(send("k", 1, 11, 11, "x"), 121);
    assert_int_equal(send("k", 3, 0, 0, "x"), 122);
    assert_int_equal(send("k", 4, 0, 0, "x"), PIXI_E_STORAGE); /* producers */
    now_ms += PIXI_DEDUP_IDLE_MS - 1;
    assert_true(send("k", 2, 9, 0, "x") >= 100); /* is not idle */
    now_ms += 1;
    assert_int_equal(send("k", 4, 0, 0, "x"), 123);
    assert_int_equal(d.producers.count, 2);
    assert_int_equal(send("k", 2, 9, 0, "x"), 120);
}

/* A window that moves on does not grow. */
static void window_moves(void **state)
{
    unsigned long before;

    (void)state;
    for (uint64_t seq = 0; seq < 50; seq++)
        assert_true(send("k", 1, seq, seq > 6 ? seq - 6 : 0, "x") >= 100);
    before = alloc_count;
    for (uint64_t seq = 50; seq < 5000; seq++) {
        assert_int_equal(send("k", 1, seq ^ 1, seq - 6, "x"), 100 + seq);
        assert_int_equal(send("k", 1, (seq - 2) ^ 1, seq - 6, "x"),
                         seq < 52 ? 100 + ((seq - 2) ^ 1) : 98 + seq);
    }
    assert_int_equal(alloc_count, before);
}

static void send_some(void)
{
    begin(NULL);
    for (uint64_t seq = 0; seq < 10; seq++)
        send("k", 1, seq, 0, "x");
    send("k", 2, 0, 0, "x");
    end(NULL);
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_in_range(alloc_torture(send_some), 6, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stored_once, begin, end),
        cmocka_unit_test_setup_teardown(low_forgets, begin, end),
        cmocka_unit_test_setup_teardown(content_is_all_of_it, begin, end),
        cmocka_unit_test_setup_teardown(ceilings, begin, end),
        cmocka_unit_test_setup_teardown(window_moves, begin, end),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests_name("store/dedup", tests, NULL, NULL);
}
