#include "verify/text.h"
#include "invariants.h"

/* Every code point in its own form; and each form cut, or with a wrong byte. */
static size_t put_char(uint32_t c, uint8_t out[4])
{
    size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = len; i-- > 1; c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(first[len] | c);
    return len;
}

static bool is_valid(const uint8_t *bytes, size_t len)
{
    return pixi_vtext_is_utf8(pixi_cur_init(bytes, len));
}

static void every_code_point(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x120000; c++) {
        uint8_t bytes[4];
        size_t len = put_char(c, bytes);
        bool want = (c < 0xd800 || c > 0xdfff) && c <= 0x10ffff;

        if (is_valid(bytes, len) != want)
            fail_msg("U+%04X", c);
        if (len > 1 && is_valid(bytes, len - 1))
            fail_msg("U+%04X cut", c);
    }
}

static void wrong_forms(void **state)
{
    static const char *const rows[] = {"\x80",
                                       "\xbf",
                                       "\xc0\xaf",
                                       "\xc1\xbf",
                                       "\xe0\x80\xaf",
                                       "\xe0\x9f\xbf",
                                       "\xf0\x80\x80\xaf",
                                       "\xf0\x8f\xbf\xbf",
                                       "\xf8\x88\x80\x80\x80",
                                       "\xfe",
                                       "\xff",
                                       "a\xccz",
                                       "\xed\xa0\x80"};

    (void)state;
    assert_true(is_valid(NULL, 0));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct inv_guard g = inv_guard(rows[i], strlen(rows[i]));

        assert_false(is_valid(g.bytes, strlen(rows[i])));
        inv_guard_free(&g);
    }
}

static void shown(void **state)
{
    char out[24];

    (void)state;
    pixi_vtext_show(pixi_cur_init("a\x1b[1m\0\xff", 7), NULL, out, sizeof out);
    assert_string_equal(out, "a\\x1b[1m\\x00\\xff");
    pixi_vtext_show(pixi_cur_str("the key, the key"), "key", out, sizeof out);
    assert_string_equal(out, "the ***, the ***");
    pixi_vtext_show(pixi_cur_str("the key"), "", out, sizeof out);
    assert_string_equal(out, "the key");
    pixi_vtext_show(pixi_cur_str("0123456789012345678901234567890"), NULL, out, sizeof out);
    assert_string_equal(out, "01234567890123456789…");
    pixi_vtext_show(pixi_cur_str("the secr"), "secret", out, sizeof out);
    assert_string_equal(out, "the ***");
    /* a secret at the edge is not shown in part */
    pixi_vtext_show(pixi_cur_str("012345678901234567secret"), "secret", out, sizeof out);
    assert_null(strchr(out, 's'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_code_point), cmocka_unit_test(wrong_forms),
                                       cmocka_unit_test(shown)};

    return cmocka_run_group_tests_name("verify/text", tests, NULL, NULL);
}
