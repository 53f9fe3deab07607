#include "base/base64.h"
#include "invariants.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const struct vector {
    const char *plain, *std, *url;
} vectors[] = {
    /* RFC 4648 §10 */
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xfb\xff\xfe\xff", "+//+/w==", "-__-_w"},
};

static int decode(enum pixi_base64 kind, const char *text, uint8_t *out, size_t *len)
{
    struct inv_guard g = inv_guard(text, strlen(text));
    int rc = pixi_base64_decode(kind, pixi_cur_init(g.bytes, strlen(text)), out, len);

    inv_guard_free(&g);
    return rc;
}

static void both_ways(enum pixi_base64 kind, const char *plain, const char *text)
{
    struct inv_guard g = inv_guard(plain, strlen(plain));
    struct pixi_buf b = pixi_buf_init(100);
    uint8_t out[100];
    size_t len = 0;

    pixi_base64_put(&b, kind, g.bytes, strlen(plain));
    assert_int_equal(b.len, strlen(text));
    assert_memory_equal(b.bytes, text, b.len);
    assert_int_equal(decode(kind, text, out, &len), PIXI_OK);
    assert_int_equal(len, strlen(plain));
    assert_memory_equal(out, plain, len);
    pixi_buf_clear(&b);
    inv_guard_free(&g);
}

static void published_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        both_ways(PIXI_BASE64_STD, vectors[i].plain, vectors[i].std);
        both_ways(PIXI_BASE64_URL, vectors[i].plain, vectors[i].url);
    }
}

static void refused(void **state)
{
    static const char *const std[] = {
        "Z",    "Zg",     "Zg=",      "Zm8",      "====",   "Z===", "=",        "==",
        "Zh==", "Zm9=",   "Zg==Zg==", "Zg =",     "Zm9v\n", "-_-_", "Zm9v====", "Zg==\n\n\n\n",
        "Z=g=", "\xc3==", "Zm9vZh==", "Zm8=====", "Zm9v=",  "Zm=v"};
    static const char *const url[] = {"Z", "Zg==", "Zm8=", "Zh", "Zm9", "+/+/", "Zm9vZ", "Zm9vZh", "Z g"};
    uint8_t out[100];
    size_t len = 77;

    (void)state;
    for (size_t i = 0; i < COUNT(std); i++)
        if (decode(PIXI_BASE64_STD, std[i], out, &len) != PIXI_E_BASE64 || len != 77)
            fail_msg("accepted %s", std[i]);
    for (size_t i = 0; i < COUNT(url); i++)
        if (decode(PIXI_BASE64_URL, url[i], out, &len) != PIXI_E_BASE64 || len != 77)
            fail_msg("accepted %s", url[i]);
}

/* Strict means one text for each value: a text is accepted exactly when encoding gives it back. */
static void one_text_a_value(void **state)
{
    static const char characters[] = "AQgwBCEI/+-_z=\n";
    const size_t n = sizeof characters; /* the NUL too */
    char text[4], again[4];
    uint8_t out[6];
    size_t len, accepted = 0;

    (void)state;
    for (size_t i = 0; i < n * n * n * n * 5 * 2; i++) {
        enum pixi_base64 kind = i % 2 ? PIXI_BASE64_URL : PIXI_BASE64_STD;
        size_t v = i / 10, text_len = i / 2 % 5;

        for (size_t k = 0; k < 4; k++, v /= n)
            text[k] = characters[v % n];
        if (pixi_base64_decode(kind, pixi_cur_init(text, text_len), out, &len) != PIXI_OK)
            continue;
        accepted++;
        assert_int_equal(pixi_base64_encode(kind, out, len, again), text_len);
        assert_memory_equal(text, again, text_len);
    }
    assert_true(accepted > 1000);
}

static void round_trip(void **state)
{
    uint8_t bytes[300], out[1000];
    size_t len, text_len;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 167 + i / 256);
    for (size_t i = 0; i <= sizeof bytes; i++)
        for (int kind = PIXI_BASE64_STD; kind <= PIXI_BASE64_URL; kind++) {
            text_len = pixi_base64_encode((enum pixi_base64)kind, bytes, i, (char *)out);
            assert_true(text_len <= pixi_base64_size(i));
            /* in place */
            assert_int_equal(
                pixi_base64_decode((enum pixi_base64)kind, pixi_cur_init(out, text_len), out, &len), PIXI_OK);
            assert_int_equal(len, i);
            assert_memory_equal(out, bytes, i);
        }
}

static void put_keeps_the_ceiling(void **state)
{
    struct pixi_buf b = pixi_buf_init(7);

    (void)state;
    pixi_base64_put(&b, PIXI_BASE64_STD, (const uint8_t *)"foob", 4);
    assert_int_equal(b.err, PIXI_E_LIMIT);
    assert_int_equal(b.len, 0);
    pixi_buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors),     cmocka_unit_test(refused),
        cmocka_unit_test(one_text_a_value),      cmocka_unit_test(round_trip),
        cmocka_unit_test(put_keeps_the_ceiling),
    };

    return cmocka_run_group_tests_name("base/base64", tests, NULL, NULL);
}
