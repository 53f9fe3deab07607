#include "proto/ws/close.h"
#include "invariants.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void legal_codes(void **state)
{
    (void)state;
    for (unsigned code = 0; code <= 70000; code++) {
        bool want = false;

        switch (code) {
        case 1000:
        case 1001:
        case 1002:
        case 1003:
        case 1007:
        case 1008:
        case 1009:
        case 1010:
        case 1011:
        case 1012:
        case 1013:
        case 1014: want = true; break;
        default: want = code / 1000 == 3 || code / 1000 == 4; break;
        }
        assert_int_equal(pixi_ws_close_is_legal(code), want);
    }
}

static int decode(const char *bytes, size_t len, uint16_t *code, char reason[PIXI_WS_REASON_MAX + 1])
{
    struct inv_guard g = inv_guard(bytes, len);
    struct pixi_cur got = {NULL, NULL};
    int rc = pixi_ws_close_decode(pixi_cur_init(g.bytes, len), code, &got);

    if (rc == PIXI_OK) {
        if (pixi_cur_left(&got))
            memcpy(reason, got.p, pixi_cur_left(&got));
        reason[pixi_cur_left(&got)] = 0;
    } else {
        assert_null(got.p);
    }
    inv_guard_free(&g);
    return rc;
}

static void payloads(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        int err;
        uint16_t code;
        const char *reason;
    } cases[] = {
        {"", 0, PIXI_OK, PIXI_WS_CLOSE_NONE, ""},
        {"\x03", 1, PIXI_E_WS_CLOSE_LEN, 0, NULL},
        {"\x03\xe8", 2, PIXI_OK, 1000, ""},
        {"\x03\xe8ok", 4, PIXI_OK, 1000, "ok"},
        {"\x0f\xa0\xc3\xa9", 4, PIXI_OK, 4000, "\xc3\xa9"},
        {"\x03\xe7", 2, PIXI_E_WS_CLOSE_CODE, 0, NULL},
        {"\x03\xed", 2, PIXI_E_WS_CLOSE_CODE, 0, NULL},
        {"\xff\xff", 2, PIXI_E_WS_CLOSE_CODE, 0, NULL},
        {"\x03\xe8\xc3", 3, PIXI_E_WS_CLOSE_UTF8, 0, NULL},
        {"\x03\xe8\x80", 3, PIXI_E_WS_CLOSE_UTF8, 0, NULL},
        {"\x03\xe8\xed\xa0\x80", 5, PIXI_E_WS_CLOSE_UTF8, 0, NULL},
        {"\x03\xed\xff", 3, PIXI_E_WS_CLOSE_CODE, 0, NULL},
    };
    char reason[PIXI_WS_REASON_MAX + 1];
    uint16_t code;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        code = 77;
        assert_int_equal(decode(cases[i].bytes, cases[i].len, &code, reason), cases[i].err);
        assert_int_equal(code, cases[i].err == PIXI_OK ? cases[i].code : 77);
        if (cases[i].err == PIXI_OK)
            assert_string_equal(reason, cases[i].reason);
    }
}

static void round_trip(void **state)
{
    uint8_t out[125];
    char text[PIXI_WS_REASON_MAX + 1] = "", reason[PIXI_WS_REASON_MAX + 1];
    uint16_t code;

    (void)state;
    for (size_t len = 0; len <= PIXI_WS_REASON_MAX; len++) {
        memset(text, 'a', len);
        assert_int_equal(pixi_ws_close_encode(4999, pixi_cur_init(text, len), out), len + 2);
        assert_int_equal(decode((char *)out, len + 2, &code, reason), PIXI_OK);
        assert_int_equal(code, 4999);
        assert_int_equal(strlen(reason), len);
    }
    assert_int_equal(pixi_ws_close_encode(1000, pixi_cur_init(NULL, 0), out), 2);
    assert_memory_equal(out, "\x03\xe8", 2);
    assert_int_equal(pixi_ws_close_encode(PIXI_WS_CLOSE_NONE, pixi_cur_str("why"), out), 0);
}

/* Whatever stands at the end of the room, what is sent is UTF-8 and no shorter than it must be. */
static void long_reasons_are_cut_at_a_character(void **state)
{
    static const char *const chars[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    char text[200], reason[PIXI_WS_REASON_MAX + 1];
    uint8_t out[126];
    uint16_t code;

    (void)state;
    for (size_t i = 0; i < COUNT(chars); i++)
        for (size_t skip = 0; skip < 5; skip++) {
            size_t size = strlen(chars[i]), len = skip, got;

            memset(text, 'x', skip);
            while (len + size <= sizeof text) {
                memcpy(text + len, chars[i], size);
                len += size;
            }
            out[125] = 0xa5;
            got = pixi_ws_close_encode(1001, pixi_cur_init(text, len), out);
            assert_int_equal(out[125], 0xa5);
            assert_in_range(got, 125 - size + 1, 125);
            assert_int_equal(decode((char *)out, got, &code, reason), PIXI_OK);
            assert_memory_equal(reason, text, got - 2);
        }
}

static void codes_for_errors(void **state)
{
    static const struct {
        int err;
        uint16_t code;
    } cases[] = {
        {PIXI_E_WS_RSV, 1002},        {PIXI_E_WS_OPCODE, 1002},       {PIXI_E_WS_CONTROL, 1002},
        {PIXI_E_WS_MASK, 1002},       {PIXI_E_WS_LEN, 1002},          {PIXI_E_WS_FRAGMENT, 1002},
        {PIXI_E_WS_CLOSE_LEN, 1002},  {PIXI_E_WS_CLOSE_CODE, 1002},   {PIXI_E_WS_UTF8, 1007},
        {PIXI_E_WS_CLOSE_UTF8, 1007}, {PIXI_E_WS_DEFLATE_DATA, 1007}, {PIXI_E_WS_DEFLATE_BIT, 1002},
        {PIXI_E_WS_TOO_BIG, 1009},    {PIXI_E_WS_TYPE, 1003},         {PIXI_E_NOMEM, 1011},
        {PIXI_E_SYS, 1011},           {PIXI_E_WS_PONG, 3008},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(pixi_ws_close_for(cases[i].err), cases[i].code);
    for (int err = 0; err > -200; err--)
        assert_true(pixi_ws_close_is_legal(pixi_ws_close_for(err)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legal_codes),      cmocka_unit_test(payloads),
        cmocka_unit_test(round_trip),       cmocka_unit_test(long_reasons_are_cut_at_a_character),
        cmocka_unit_test(codes_for_errors),
    };

    return cmocka_run_group_tests_name("proto/ws/close", tests, NULL, NULL);
}
