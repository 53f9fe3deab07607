#include "verify/frame.h"
#include "invariants.h"

enum { MAX = 1 << 20 };

static int decode_server(struct pixi_cur *in, void *ctx)
{
    struct pixi_vframe f;

    (void)ctx;
    return pixi_vframe_read(in, PIXI_SERVER, PIXI_VFRAME_PLAIN, MAX, &f);
}

static int decode_client(struct pixi_cur *in, void *ctx)
{
    struct pixi_vframe f;

    (void)ctx;
    return pixi_vframe_read(in, PIXI_CLIENT, PIXI_VFRAME_PLAIN, MAX, &f);
}

static void heads(void **state)
{
    static const struct {
        const char *name, *bytes;
        size_t len;
        inv_decode *decode;
        int want;
    } rows[] = {
        {"empty text", "\x81\x00", 2, decode_server, PIXI_OK},
        {"text, fragment",
         "\x01\x03"
         "abc",
         5, decode_server, PIXI_OK},
        {"masked text",
         "\x81\x82"
         "mask"
         "ab",
         8, decode_client, PIXI_OK},
        {"rsv1", "\xc1\x00", 2, decode_server, PIXI_E_WS_RSV},
        {"rsv3", "\x91\x00", 2, decode_server, PIXI_E_WS_RSV},
        {"opcode 3", "\x83\x00", 2, decode_server, PIXI_E_WS_OPCODE},
        {"opcode 7", "\x87\x00", 2, decode_server, PIXI_E_WS_OPCODE},
        {"opcode 11", "\x8b\x00", 2, decode_server, PIXI_E_WS_OPCODE},
        {"opcode 15", "\x8f\x00", 2, decode_server, PIXI_E_WS_OPCODE},
        {"fragmented ping", "\x09\x00", 2, decode_server, PIXI_E_WS_CONTROL},
        {"ping of 126", "\x89\x7e\x00\x7e", 4, decode_server, PIXI_E_WS_CONTROL},
        {"server masks", "\x81\x80mask", 6, decode_server, PIXI_E_WS_MASK},
        {"client does not", "\x81\x00", 2, decode_client, PIXI_E_WS_MASK},
        {"125 in two bytes", "\x82\x7e\x00\x7d", 4, decode_server, PIXI_E_WS_LEN},
        {"65535 in eight", "\x82\x7f\0\0\0\0\0\0\xff\xff", 10, decode_server, PIXI_E_WS_LEN},
        {"top bit", "\x82\x7f\x80\0\0\0\0\x01\0\0", 10, decode_server, PIXI_E_WS_LEN},
        {"over the limit", "\x82\x7f\0\0\0\0\0\x10\0\x01", 10, decode_server, PIXI_E_WS_TOO_BIG},
        {"2^63-1", "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10, decode_server, PIXI_E_WS_TOO_BIG},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        inv_prefix(rows[i].name, rows[i].decode, NULL, rows[i].bytes, rows[i].len, rows[i].want);
}

/* What is written in any correct form is read as it was meant. */
static void round_trip(void **state)
{
    static const size_t lens[] = {0, 1, 125, 126, 127, 65535, 65536, 70000};
    static const uint8_t mask[4] = {0x12, 0xff, 0x00, 0x80};
    uint8_t *payload = calloc(1, 70000), *got = malloc(70000);

    (void)state;
    assert_non_null(payload);
    assert_non_null(got);
    for (size_t i = 0; i < 70000; i++)
        payload[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        for (int is_unmasked = 0; is_unmasked < 2; is_unmasked++) {
            struct pixi_vframe_form form = {
                .opcode = PIXI_VFRAME_BINARY, .is_unmasked = is_unmasked, .is_continued = i & 1};
            struct pixi_buf b = pixi_buf_init(MAX);
            struct pixi_vframe f;
            struct pixi_cur c;

            pixi_vframe_put(&b, &form, mask, pixi_cur_init(payload, lens[i]));
            c = pixi_buf_cur(&b);
            assert_int_equal(
                pixi_vframe_read(&c, is_unmasked ? PIXI_SERVER : PIXI_CLIENT, PIXI_VFRAME_PLAIN, MAX, &f),
                PIXI_OK);
            assert_int_equal(pixi_cur_left(&c), 0);
            assert_int_equal(f.opcode, PIXI_VFRAME_BINARY);
            assert_int_equal(f.is_final, !(i & 1));
            assert_int_equal(pixi_cur_left(&f.payload), lens[i]);
            pixi_vframe_unmask(&f, got);
            assert_memory_equal(got, payload, lens[i]);
            pixi_buf_clear(&b);
        }
    }
    free(payload);
    free(got);
}

/* The writer can write each broken frame, and the reader knows each for what it is. */
static void broken_frames(void **state)
{
    static const struct {
        struct pixi_vframe_form form;
        size_t len;
        int want;
    } rows[] = {
        {{.opcode = PIXI_VFRAME_TEXT, .is_unmasked = true}, 2, PIXI_E_WS_MASK},
        {{.opcode = PIXI_VFRAME_TEXT, .rsv = 1}, 2, PIXI_E_WS_RSV},
        {{.opcode = PIXI_VFRAME_TEXT, .rsv = 2}, 2, PIXI_E_WS_RSV},
        {{.opcode = PIXI_VFRAME_TEXT, .rsv = 4}, 2, PIXI_E_WS_RSV},
        {{.opcode = 5}, 2, PIXI_E_WS_OPCODE},
        {{.opcode = PIXI_VFRAME_PING, .is_continued = true}, 2, PIXI_E_WS_CONTROL},
        {{.opcode = PIXI_VFRAME_PING}, 126, PIXI_E_WS_CONTROL},
        {{.opcode = PIXI_VFRAME_TEXT, .len_width = 2}, 125, PIXI_E_WS_LEN},
        {{.opcode = PIXI_VFRAME_TEXT, .len_width = 8}, 2, PIXI_E_WS_LEN},
    };
    static const uint8_t mask[4] = {1, 2, 3, 4}, payload[126] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pixi_buf b = pixi_buf_init(1000);

        pixi_vframe_put(&b, &rows[i].form, mask, pixi_cur_init(payload, rows[i].len));
        inv_prefix("broken", decode_client, NULL, b.bytes, b.len, rows[i].want);
        pixi_buf_clear(&b);
    }
}

static void close_payloads(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        int want;
        unsigned code;
    } rows[] = {
        {"", 0, PIXI_OK, 1005},
        {"\x03", 1, PIXI_E_WS_CLOSE_LEN, 0},
        {"\x03\xe8", 2, PIXI_OK, 1000},
        {"\x03\xe8gr\xc3\xbcn", 7, PIXI_OK, 1000},
        {"\x03\xe8\xc3", 3, PIXI_E_WS_CLOSE_UTF8, 0},
        {"\x03\xe7", 2, PIXI_E_WS_CLOSE_CODE, 0}, /* 999 */
        {"\x03\xeb", 2, PIXI_OK, 1003},
        {"\x03\xec", 2, PIXI_E_WS_CLOSE_CODE, 0}, /* 1004 */
        {"\x03\xed", 2, PIXI_E_WS_CLOSE_CODE, 0}, /* 1005 */
        {"\x03\xee", 2, PIXI_E_WS_CLOSE_CODE, 0}, /* 1006 */
        {"\x03\xef", 2, PIXI_OK, 1007},
        {"\x03\xf6", 2, PIXI_OK, 1014},
        {"\x03\xf7", 2, PIXI_E_WS_CLOSE_CODE, 0}, /* 1015 */
        {"\x07\xd0", 2, PIXI_E_WS_CLOSE_CODE, 0}, /* 2000 */
        {"\x0b\xb7", 2, PIXI_E_WS_CLOSE_CODE, 0}, /* 2999 */
        {"\x0b\xb8", 2, PIXI_OK, 3000},
        {"\x13\x87", 2, PIXI_OK, 4999},
        {"\x13\x88", 2, PIXI_E_WS_CLOSE_CODE, 0}, /* 5000 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct inv_guard g = inv_guard(rows[i].bytes, rows[i].len);
        struct pixi_cur text;
        uint16_t code = 0;

        assert_int_equal(pixi_vframe_check_close(pixi_cur_init(g.bytes, rows[i].len), &code, &text),
                         rows[i].want);
        assert_int_equal(code, rows[i].code);
        inv_guard_free(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(heads), cmocka_unit_test(round_trip),
                                       cmocka_unit_test(broken_frames), cmocka_unit_test(close_payloads)};

    return cmocka_run_group_tests_name("verify/frame", tests, NULL, NULL);
}
