#include "link/packer.h"
#include "invariants.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

enum { MESSAGE_MAX = 1 << 20 };

static struct pixi_packer packer;
static struct pixi_buf packed, message;

static int set_up(void **state)
{
    (void)state;
    pixi_packer_init(&packer, 1, 6);
    packed = pixi_buf_init(MESSAGE_MAX);
    message = pixi_buf_init(MESSAGE_MAX + 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pixi_packer_clear(&packer);
    assert_int_equal(pixi_packer_memory(&packer), 0);
    pixi_buf_clear(&packed);
    pixi_buf_clear(&message);
    return 0;
}

static int pack(const void *bytes, size_t len)
{
    struct pixi_cur whole = pixi_cur_init(bytes, len);

    pixi_buf_reset(&packed);
    return pixi_packer_pack(&packer, &whole, 1, &packed);
}

static int unpack(enum pixi_ws_opcode type, uint64_t message_max)
{
    pixi_buf_reset(&message);
    return pixi_packer_unpack(&packer, type, pixi_buf_cur(&packed), message_max, &message);
}

static void put_text(struct pixi_buf *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        pixi_buf_put(b, &"{\"x\":1}"[i % 7], 1);
}

static void comes_back(void **state)
{
    static const size_t lens[] = {40, 1000, 16383, 16384, 16385, 40000, MESSAGE_MAX - 1, MESSAGE_MAX};
    struct pixi_buf b = pixi_buf_init(MESSAGE_MAX);

    (void)state;
    for (size_t i = 0; i < COUNT(lens); i++) {
        pixi_buf_reset(&b);
        put_text(&b, lens[i]);
        assert_int_equal(pack(b.bytes, b.len), PIXI_OK);
        assert_true(packed.len < b.len);
        assert_int_equal(unpack(PIXI_WS_TEXT, MESSAGE_MAX), PIXI_OK);
        assert_true(pixi_cur_equals(pixi_buf_cur(&message), pixi_buf_cur(&b)));
        assert_int_equal(unpack(PIXI_WS_TEXT, b.len), PIXI_OK);
        assert_int_equal(unpack(PIXI_WS_TEXT, b.len - 1), PIXI_E_WS_TOO_BIG);
    }
    pixi_buf_clear(&b);
}

/* However a message is cut, the other side gets the same, behind what the buffer held. */
static void in_pieces(void **state)
{
    struct pixi_buf b = pixi_buf_init(1000);

    (void)state;
    put_text(&b, 200);
    for (size_t at = 0; at <= b.len; at++) {
        struct pixi_cur pieces[] = {pixi_cur_init(b.bytes, at), pixi_cur_init(NULL, 0),
                                    pixi_cur_init(b.bytes + at, b.len - at)};

        pixi_buf_reset(&packed);
        pixi_buf_put_str(&packed, "head");
        assert_int_equal(pixi_packer_pack(&packer, pieces, 3, &packed), PIXI_OK);
        assert_memory_equal(packed.bytes, "head", 4);
        pixi_buf_drop(&packed, 4);
        assert_int_equal(unpack(PIXI_WS_BINARY, MESSAGE_MAX), PIXI_OK);
        assert_true(pixi_cur_equals(pixi_buf_cur(&message), pixi_buf_cur(&b)));
    }
    pixi_buf_clear(&b);
}

static void what_does_not_get_smaller(void **state)
{
    static uint8_t noise[50000];
    uint32_t seed = 1;

    (void)state;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
    for (size_t len = 0; len < sizeof noise; len = len * 2 + 1) {
        assert_int_equal(pack(noise, len), PIXI_E_LIMIT);
        assert_int_equal(packed.len, 0);
        assert_int_equal(packed.err, PIXI_OK);
    }
    assert_int_equal(pack("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 36), PIXI_OK); /* nothing is left behind */
    assert_int_equal(unpack(PIXI_WS_TEXT, 36), PIXI_OK);
}

static void short_ones(void **state)
{
    char text[200];

    (void)state;
    memset(text, 'a', sizeof text);
    pixi_packer_set(&packer, 100, 6);
    assert_int_equal(pack(text, 99), PIXI_E_LIMIT);
    assert_int_equal(pixi_packer_memory(&packer), 0); /* none was needed yet */
    assert_int_equal(pack(text, 100), PIXI_OK);
    assert_int_equal(packer.packed_count, 1);
}

/* 16,384 bytes are looked at at a time: characters lie across that, and faults behind it. */
static void text_is_checked(void **state)
{
    struct pixi_buf b = pixi_buf_init(MESSAGE_MAX);

    (void)state;
    for (size_t len = 16380; len < 16390; len++) {
        pixi_buf_reset(&b);
        put_text(&b, len);
        pixi_buf_put_str(&b, "\xe2\x82\xac");
        assert_int_equal(pack(b.bytes, b.len), PIXI_OK);
        assert_int_equal(unpack(PIXI_WS_TEXT, MESSAGE_MAX), PIXI_OK);
        for (size_t cut = 1; cut < 3; cut++) {
            assert_int_equal(pack(b.bytes, b.len - cut), PIXI_OK);
            assert_int_equal(unpack(PIXI_WS_TEXT, MESSAGE_MAX), PIXI_E_WS_UTF8);
            assert_int_equal(unpack(PIXI_WS_BINARY, MESSAGE_MAX), PIXI_OK);
        }
        b.bytes[b.len - 3] = 0xff;
        assert_int_equal(pack(b.bytes, b.len), PIXI_OK);
        assert_int_equal(unpack(PIXI_WS_TEXT, MESSAGE_MAX), PIXI_E_WS_UTF8);
    }
    pixi_buf_clear(&b);
}

/* A bomb takes what a message may take, and not more. */
static void a_bomb(void **state)
{
    struct pixi_buf out = pixi_buf_init(10001);
    void *zeros = calloc(1, MESSAGE_MAX);

    (void)state;
    assert_non_null(zeros);
    assert_int_equal(pack(zeros, MESSAGE_MAX), PIXI_OK);
    assert_true(packed.len < 1200);
    assert_int_equal(pixi_packer_unpack(&packer, PIXI_WS_BINARY, pixi_buf_cur(&packed), 10000, &out),
                     PIXI_E_WS_TOO_BIG);
    assert_true(out.cap <= 10001);
    pixi_buf_clear(&out);
    free(zeros);
}

static void nonsense(void **state)
{
    (void)state;
    pixi_buf_put_str(&packed, "\xff\xff");
    assert_int_equal(unpack(PIXI_WS_BINARY, 100), PIXI_E_WS_DEFLATE_DATA);
    pixi_buf_reset(&packed);
    assert_int_equal(unpack(PIXI_WS_TEXT, 100), PIXI_E_WS_DEFLATE_DATA); /* no bytes are no empty message */
    pixi_buf_put(&packed, "", 1);
    assert_int_equal(unpack(PIXI_WS_TEXT, 0), PIXI_OK);
    assert_int_equal(message.len, 0);
}

/* The same after the first message and after many, and less than docs/operations.md promises. */
static void memory_is_bounded(void **state)
{
    size_t first = 0;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        struct pixi_buf b = pixi_buf_init(MESSAGE_MAX);

        put_text(&b, 50 + 100 * i);
        pixi_packer_set(&packer, 1, 1 + i / 12);
        assert_int_equal(pack(b.bytes, b.len), PIXI_OK);
        assert_int_equal(unpack(PIXI_WS_TEXT, MESSAGE_MAX), PIXI_OK);
        if (i == 0)
            first = pixi_packer_memory(&packer);
        assert_true(pixi_packer_memory(&packer) <= first + 32768 + 64); /* the window, when one is needed */
        pixi_buf_clear(&b);
    }
    assert_true(first > 150000 && first < 220000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(comes_back), TEST(in_pieces),         TEST(what_does_not_get_smaller),
        TEST(short_ones), TEST(text_is_checked),   TEST(a_bomb),
        TEST(nonsense),   TEST(memory_is_bounded),
    };

    return cmocka_run_group_tests_name("link/packer", tests, NULL, NULL);
}
