#include "base/utf8.h"
#include "invariants.h"

/* RFC 3629 §4, as the grammar has it: the lists that a character's bytes come from. */
static const struct row {
    size_t len;
    uint8_t lo[4], hi[4];
} grammar[] = {
    {1, {0x00}, {0x7f}},
    {2, {0xc2, 0x80}, {0xdf, 0xbf}},
    {3, {0xe0, 0xa0, 0x80}, {0xe0, 0xbf, 0xbf}},
    {3, {0xe1, 0x80, 0x80}, {0xec, 0xbf, 0xbf}},
    {3, {0xed, 0x80, 0x80}, {0xed, 0x9f, 0xbf}},
    {3, {0xee, 0x80, 0x80}, {0xef, 0xbf, 0xbf}},
    {4, {0xf0, 0x90, 0x80, 0x80}, {0xf0, 0xbf, 0xbf, 0xbf}},
    {4, {0xf1, 0x80, 0x80, 0x80}, {0xf3, 0xbf, 0xbf, 0xbf}},
    {4, {0xf4, 0x80, 0x80, 0x80}, {0xf4, 0x8f, 0xbf, 0xbf}},
};

enum { ROWS = sizeof grammar / sizeof *grammar, VALID = 100, OPEN = 101 };

/* How many bytes of the row stand at p, up to all of them. */
static size_t row_fits(const struct row *row, const uint8_t *p, size_t len)
{
    size_t k = 0;

    while (k < row->len && k < len && p[k] >= row->lo[k] && p[k] <= row->hi[k])
        k++;
    return k;
}

/* VALID, OPEN, or the index of the first byte that is wrong. */
static size_t grammar_verdict(const uint8_t *p, size_t len)
{
    size_t i = 0, best, k, row = 0;

    while (i < len) {
        for (best = 0, row = 0; row < ROWS; row++) {
            k = row_fits(&grammar[row], p + i, len - i);
            best = k > best ? k : best;
            if (k == grammar[row].len)
                break;
        }
        if (row == ROWS)
            return i + best == len && best ? OPEN : i + best;
        i += best;
    }
    return VALID;
}

typedef int feed_fn(struct pixi_utf8 *at, const uint8_t *bytes, size_t len, size_t *bad);

static size_t verdict(feed_fn *feed, const uint8_t *p, size_t len, size_t cut)
{
    struct pixi_utf8 at = {0};
    size_t bad = 0;

    if (feed(&at, p, cut, &bad) != PIXI_OK)
        return bad;
    if (feed(&at, p + cut, len - cut, &bad) != PIXI_OK)
        return cut + bad;
    return pixi_utf8_is_whole(&at) ? VALID : OPEN;
}

static void same_everywhere(const uint8_t *p, size_t len)
{
    size_t want = grammar_verdict(p, len);

    for (size_t cut = 0; cut < len; cut++)
        if (verdict(pixi_utf8_feed, p, len, cut) != want ||
            verdict(pixi_utf8_feed_scalar, p, len, cut) != want)
            fail_msg("%02x %02x %02x %02x (%zu bytes) cut at %zu: wanted %zu", p[0], p[1], p[2], p[3], len,
                     cut, want);
}

static void one_to_three_bytes(void **state)
{
    uint8_t p[4] = {0};

    (void)state;
    for (unsigned v = 0; v < 1 << 8; v++) {
        p[0] = (uint8_t)v;
        same_everywhere(p, 1);
    }
    for (unsigned v = 0; v < 1 << 16; v++) {
        p[0] = (uint8_t)(v >> 8);
        p[1] = (uint8_t)v;
        same_everywhere(p, 2);
    }
    for (unsigned v = 0; v < 1 << 24; v++) {
        p[0] = (uint8_t)(v >> 16);
        p[1] = (uint8_t)(v >> 8);
        p[2] = (uint8_t)v;
        same_everywhere(p, 3);
    }
}

static const uint8_t edges[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf,
                                0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};

static void four_bytes(void **state)
{
    const size_t n = sizeof edges;
    uint8_t p[4];

    (void)state;
    for (size_t i = 0; i < n * n * n * n; i++) {
        p[0] = edges[i % n];
        p[1] = edges[i / n % n];
        p[2] = edges[i / n / n % n];
        p[3] = edges[i / n / n / n];
        same_everywhere(p, 4);
    }
}

/* The same bytes at every distance from the words that the fast reading takes. */
static void words_hide_nothing(void **state)
{
    uint8_t p[48];
    const size_t n = sizeof edges;

    (void)state;
    for (size_t i = 0; i < n * n * n; i++)
        for (size_t at = 0; at <= 18; at++) {
            memset(p, 'a', sizeof p);
            p[at] = edges[i % n];
            p[at + 1] = edges[i / n % n];
            p[at + 2] = edges[i / n / n];
            if (verdict(pixi_utf8_feed, p, 24 + at, 0) != verdict(pixi_utf8_feed_scalar, p, 24 + at, 0))
                fail_msg("%02x %02x %02x at %zu", p[at], p[at + 1], p[at + 2], at);
        }
}

static void run(const struct inv_guard *pieces, const size_t *lens, size_t count, void *ctx,
                struct pixi_buf *out)
{
    struct pixi_utf8 at = {0};
    size_t before = 0, bad = 0;
    int rc = PIXI_OK;

    (void)ctx;
    for (size_t i = 0; i < count && rc == PIXI_OK; i++) {
        rc = pixi_utf8_feed(&at, pieces[i].bytes, lens[i], &bad);
        before += rc == PIXI_OK ? lens[i] : bad;
    }
    pixi_buf_putf(out, "%s at %zu, %d left, %02x-%02x", pixi_err_name(rc), before, at.left, at.lo, at.hi);
    if (rc != PIXI_OK) /* the state stays at the last good piece, and pieces differ */
        out->len = (size_t)((uint8_t *)memchr(out->bytes, ',', out->len) - out->bytes);
}

static void chunks(void **state)
{
    static const struct {
        const char *bytes, *want;
    } cases[] = {
        {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5 and \xf0\x9f\x90\xa2 after a long run of plain text",
         "OK at 51, 0 left, 00-00"},
        {"\xce\xba\xe1\xbd\xb9\xed\xa0\x80 edited", "UTF8 at 6"},
        {"plain text for more than a word or two, \xf4\x90\x80\x80", "UTF8 at 41"},
        {"\xc0\x80", "UTF8 at 0"},
        {"\xf5", "UTF8 at 0"},
        {"abc\xe0\x9f", "UTF8 at 4"},
        {"abc\xf0\x8f", "UTF8 at 4"},
        {"abcdefgh\x80", "UTF8 at 8"},
        {"abcdefgh\xe0", "OK at 9, 2 left, a0-bf"},
    };
    struct pixi_buf whole = pixi_buf_init(1000);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pixi_buf_reset(&whole);
        inv_chunks(cases[i].want, run, NULL, cases[i].bytes, strlen(cases[i].bytes), &whole);
        assert_int_equal(whole.len, strlen(cases[i].want));
        assert_memory_equal(whole.bytes, cases[i].want, whole.len);
    }
    pixi_buf_clear(&whole);
}

static void is_valid(void **state)
{
    (void)state;
    assert_true(pixi_utf8_is_valid(NULL, 0));
    assert_true(pixi_utf8_is_valid((const uint8_t *)"\0\xf4\x8f\xbf\xbf", 5));
    assert_false(pixi_utf8_is_valid((const uint8_t *)"\0\xf4\x8f\xbf", 4));
    assert_false(pixi_utf8_is_valid((const uint8_t *)"\xff", 1));
    assert_int_equal(pixi_utf8_feed(&(struct pixi_utf8){0}, (const uint8_t *)"\xff", 1, NULL), PIXI_E_UTF8);
}

/* Of every cut of a text the whole characters are kept, and all of them. */
static void trims_to_whole_characters(void **state)
{
    static const char *const chars[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xef\xbf\xbf",
                                        "b"};
    uint8_t text[100];
    size_t len = 0, whole;

    (void)state;
    for (size_t i = 0; i < 6 * 6; i++) {
        const char *next = chars[i % 2 ? i % 6 : i / 6];

        memcpy(text + len, next, strlen(next));
        whole = len;
        for (size_t k = len; k < len + strlen(next); k++) {
            struct inv_guard g = inv_guard(text, k);

            assert_int_equal(pixi_utf8_trim(g.bytes, k), whole);
            inv_guard_free(&g);
        }
        len += strlen(next);
        assert_int_equal(pixi_utf8_trim(text, len), len);
    }
    assert_int_equal(pixi_utf8_trim(text, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_to_three_bytes), cmocka_unit_test(four_bytes),
        cmocka_unit_test(words_hide_nothing), cmocka_unit_test(chunks),
        cmocka_unit_test(is_valid),           cmocka_unit_test(trims_to_whole_characters),
    };

    return cmocka_run_group_tests_name("base/utf8", tests, NULL, NULL);
}
