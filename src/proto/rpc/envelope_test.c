#include "proto/rpc/envelope.h"
#include "invariants.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void put_slice(struct pixi_buf *out, const char *name, struct pixi_cur c)
{
    if (!c.p)
        return;
    pixi_buf_putf(out, " %s=", name);
    pixi_buf_put_cur(out, c);
}

/* "call id=1 method=m; REQUEST id=2; " on memory whose end is unreadable. */
static int read_text(const char *text, size_t len, struct pixi_buf *out, bool *is_batch)
{
    static const char *const kinds[] = {"call", "notification", "result", "error"};
    struct inv_guard g = inv_guard(text, len);
    struct pixi_rpc_reader r;
    struct pixi_rpc_msg m;
    int rc = pixi_rpc_open(&r, g.bytes, len), next;
    size_t count = 0;

    *is_batch = rc == PIXI_OK && r.is_batch;
    while (rc == PIXI_OK && (next = pixi_rpc_next(&r, &m)) != PIXI_MORE) {
        assert_int_equal(r.count, ++count);
        pixi_buf_put_str(out, next == PIXI_OK ? kinds[m.kind] : pixi_err_name(next));
        put_slice(out, "id", m.id);
        if (next == PIXI_OK) {
            put_slice(out, "method", m.method);
            put_slice(out, "params", m.params);
            put_slice(out, "value", m.value);
        }
        pixi_buf_put_str(out, "; ");
    }
    if (rc == PIXI_OK)
        for (int i = 0; i < 3; i++)
            assert_int_equal(pixi_rpc_next(&r, &m), PIXI_MORE);
    inv_guard_free(&g);
    return rc;
}

static void same_text(const char *text, const struct pixi_buf *got, const char *want)
{
    if (!pixi_cur_equals(pixi_buf_cur(got), pixi_cur_str(want)))
        fail_msg("%s\n  gives  %.*s\n  wanted %s", text, (int)got->len, (char *)got->bytes, want);
}

#define V "\"jsonrpc\":\"2.0\""

static const struct {
    const char *text, *want;
} objects[] = {
    /* calls and notifications */
    {"{" V ",\"method\":\"m\",\"id\":1}", "call id=1 method=m; "},
    {" {\n" V " , \"method\" : \"m\" , \"params\" : { \"a\" : 1 } , \"id\" : \"x\" } ",
     "call id=\"x\" method=m params={ \"a\" : 1 }; "},
    {"{\"id\":1,\"params\":{},\"method\":\"m\"," V "}", "call id=1 method=m params={}; "},
    {"{" V ",\"method\":\"m\"}", "notification method=m; "},
    {"{" V ",\"method\":\"\"}", "notification method=; "},
    {"{" V ",\"method\":\"m\",\"id\":-1.5e3}", "call id=-1.5e3 method=m; "},
    {"{" V ",\"method\":\"m\",\"id\":\"\"}", "call id=\"\" method=m; "},
    {"{" V ",\"method\":\"m\",\"id\":\"a\\\"\\u00e9\"}", "call id=\"a\\\"\\u00e9\" method=m; "},
    {"{" V ",\"m\\u0065thod\":\"m\",\"id\":1}", "call id=1 method=m; "}, /* names are read unescaped */
    {"{" V ",\"method\":\"\\u006d\",\"id\":1}", "call id=1 method=\\u006d; "},
    {"{\"jsonrpc\":\"2\\u002e0\",\"method\":\"m\"}", "notification method=m; "},
    {"{" V ",\"method\":\"m\",\"extra\":[{\"id\":3}],\"id\":1,\"extra\":2}", "call id=1 method=m; "},
    /* responses */
    {"{" V ",\"result\":null,\"id\":1}", "result id=1 value=null; "},
    {"{" V ",\"result\":{\"a\":[1, 2]},\"id\":\"q\"}", "result id=\"q\" value={\"a\":[1, 2]}; "},
    {"{" V ",\"error\":{\"code\":1},\"id\":1}", "error id=1 value={\"code\":1}; "},
    {"{" V ",\"error\":{},\"id\":null}", "error id=null value={}; "},
    /* refused, the id told where it can be */
    {"{}", "RPC_REQUEST; "},
    {"{\"method\":\"m\",\"id\":1}", "RPC_REQUEST id=1; "},
    {"{\"jsonrpc\":\"1.0\",\"method\":\"m\",\"id\":1}", "RPC_REQUEST id=1; "},
    {"{\"jsonrpc\":2.0,\"method\":\"m\",\"id\":1}", "RPC_REQUEST id=1; "},
    {"{" V ",\"id\":1}", "RPC_REQUEST id=1; "},
    {"{" V ",\"method\":\"m\",\"id\":null}", "RPC_REQUEST id=null; "},
    {"{" V ",\"method\":\"m\",\"id\":true}", "RPC_REQUEST; "},
    {"{" V ",\"method\":\"m\",\"id\":[1]}", "RPC_REQUEST; "},
    {"{" V ",\"method\":\"m\",\"id\":{}}", "RPC_REQUEST; "},
    {"{" V ",\"method\":1,\"id\":1}", "RPC_REQUEST id=1; "},
    {"{" V ",\"method\":null,\"id\":1}", "RPC_REQUEST id=1; "},
    {"{" V ",\"method\":\"m\",\"params\":[1],\"id\":1}", "RPC_REQUEST id=1; "},
    {"{" V ",\"method\":\"m\",\"params\":null,\"id\":1}", "RPC_REQUEST id=1; "},
    {"{" V ",\"method\":\"m\",\"params\":\"{}\",\"id\":1}", "RPC_REQUEST id=1; "},
    {"{" V ",\"result\":1}", "RPC_REQUEST; "},
    {"{" V ",\"result\":1,\"id\":null}", "RPC_REQUEST id=null; "},
    {"{" V ",\"error\":{}}", "RPC_REQUEST; "},
    {"{" V ",\"error\":1,\"id\":1}", "RPC_REQUEST id=1; "},
    {"{" V ",\"error\":null,\"result\":1,\"id\":1}", "RPC_REQUEST id=1; "},
    {"{" V ",\"error\":{},\"result\":1,\"id\":1}", "RPC_REQUEST id=1; "},
    {"{" V ",\"method\":\"m\",\"result\":1,\"id\":1}", "RPC_REQUEST id=1; "},
    /* twice */
    {"{" V "," V ",\"method\":\"m\",\"id\":1}", "RPC_REQUEST id=1; "},
    {"{" V ",\"method\":\"m\",\"method\":\"m\",\"id\":1}", "RPC_REQUEST id=1; "},
    {"{" V ",\"method\":\"m\",\"id\":1,\"id\":2}", "RPC_REQUEST id=1; "},
    {"{" V ",\"method\":\"m\",\"id\":1,\"\\u0069d\":2}", "RPC_REQUEST id=1; "},
    {"{" V ",\"method\":\"m\",\"params\":{},\"params\":{},\"id\":1}", "RPC_REQUEST id=1; "},
    {"{" V ",\"result\":1,\"result\":1,\"id\":1}", "RPC_REQUEST id=1; "},
};

static void each_object(void **state)
{
    struct pixi_buf got = pixi_buf_init(10000);
    bool is_batch;

    (void)state;
    for (size_t i = 0; i < COUNT(objects); i++) {
        pixi_buf_reset(&got);
        assert_int_equal(read_text(objects[i].text, strlen(objects[i].text), &got, &is_batch), PIXI_OK);
        assert_false(is_batch);
        same_text(objects[i].text, &got, objects[i].want);
    }
    pixi_buf_clear(&got);
}

/* All of them in one batch: what is wrong with one does not touch the others. */
static void all_in_one_batch(void **state)
{
    struct pixi_buf text = pixi_buf_init(100000), got = pixi_buf_init(100000), want = pixi_buf_init(100000);
    bool is_batch;

    (void)state;
    for (size_t i = 0; i < COUNT(objects); i++) {
        pixi_buf_put_str(&text, i ? "," : "[");
        pixi_buf_put_str(&text, objects[i].text);
        pixi_buf_put_str(&want, objects[i].want);
    }
    pixi_buf_put_str(&text, "]");
    pixi_buf_put(&want, "", 1);
    assert_int_equal(read_text((char *)text.bytes, text.len, &got, &is_batch), PIXI_OK);
    assert_true(is_batch);
    same_text("batch", &got, (char *)want.bytes);
    pixi_buf_clear(&text);
    pixi_buf_clear(&got);
    pixi_buf_clear(&want);
}

static void whole_texts(void **state)
{
    static const struct {
        const char *text;
        int err;
        const char *want;
    } cases[] = {
        {"", PIXI_E_RPC_PARSE, ""},
        {"x", PIXI_E_RPC_PARSE, ""},
        {"{", PIXI_E_RPC_PARSE, ""},
        {"{} {}", PIXI_E_RPC_PARSE, ""},
        {"[{},{\"a\":\"\xff\"}]", PIXI_E_RPC_PARSE, ""},
        {"[{}", PIXI_E_RPC_PARSE, ""},
        {"[1,2", PIXI_E_RPC_PARSE, ""},
        {"1 1", PIXI_E_RPC_PARSE, ""},
        {"1", PIXI_E_RPC_REQUEST, ""},
        {"\"{}\"", PIXI_E_RPC_REQUEST, ""},
        {"null", PIXI_E_RPC_REQUEST, ""},
        {"[]", PIXI_E_RPC_REQUEST, ""},
        {" [ ] ", PIXI_E_RPC_REQUEST, ""},
        {"[1]", PIXI_OK, "RPC_REQUEST; "},
        {"[[]]", PIXI_OK, "RPC_REQUEST; "},
        {"[{},[{}],null,\"a\"]", PIXI_OK, "RPC_REQUEST; RPC_REQUEST; RPC_REQUEST; RPC_REQUEST; "},
    };
    struct pixi_buf got = pixi_buf_init(10000);
    bool is_batch;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        pixi_buf_reset(&got);
        if (read_text(cases[i].text, strlen(cases[i].text), &got, &is_batch) != cases[i].err)
            fail_msg("%s: not %s", cases[i].text, pixi_err_name(cases[i].err));
        same_text(cases[i].text, &got, cases[i].want);
    }
    pixi_buf_clear(&got);
}

/* A prefix of a text is no text. */
static void prefixes(void **state)
{
    struct pixi_buf got = pixi_buf_init(10000);
    bool is_batch;

    (void)state;
    for (size_t i = 0; i < COUNT(objects); i++)
        for (size_t k = 0; k + 1 < strlen(objects[i].text); k++)
            assert_int_equal(read_text(objects[i].text, k, &got, &is_batch), PIXI_E_RPC_PARSE);
    pixi_buf_clear(&got);
}

static void batches_of_1000(void **state)
{
    struct pixi_buf text = pixi_buf_init(100000), got = pixi_buf_init(100000);
    bool is_batch;

    (void)state;
    for (size_t count = PIXI_RPC_BATCH_MAX - 1; count <= PIXI_RPC_BATCH_MAX + 1; count++) {
        bool is_over = count > PIXI_RPC_BATCH_MAX;

        pixi_buf_reset(&text);
        pixi_buf_reset(&got);
        for (size_t i = 0; i < count; i++)
            pixi_buf_put_str(&text, i == 0 ? "[[1,{\"a\":[{}]}]" : i % 2 ? ",{\"a\":[1]}" : ",0");
        pixi_buf_put_str(&text, "]");
        assert_int_equal(read_text((char *)text.bytes, text.len, &got, &is_batch),
                         is_over ? PIXI_E_RPC_REQUEST : PIXI_OK);
        assert_int_equal(got.len, is_over ? 0 : count * strlen("RPC_REQUEST; "));
    }
    pixi_buf_clear(&text);
    pixi_buf_clear(&got);
}

static void ids_of_64_bytes(void **state)
{
    struct pixi_buf got = pixi_buf_init(10000);
    char text[300], id[80], want[300];
    bool is_batch;

    (void)state;
    for (int len = PIXI_RPC_ID_MAX - 1; len <= PIXI_RPC_ID_MAX + 1; len++)
        for (int is_number = 0; is_number < 2; is_number++) {
            memset(id, '7', sizeof id);
            if (!is_number)
                id[0] = id[len - 1] = '"';
            snprintf(text, sizeof text, "{" V ",\"method\":\"m\",\"id\":%.*s}", len, id);
            snprintf(want, sizeof want, "call id=%.*s method=m; ", len, id);
            pixi_buf_reset(&got);
            assert_int_equal(read_text(text, strlen(text), &got, &is_batch), PIXI_OK);
            same_text(text, &got, len > PIXI_RPC_ID_MAX ? "RPC_REQUEST; " : want);
        }
    pixi_buf_clear(&got);
}

static void depth(void **state)
{
    struct pixi_buf got = pixi_buf_init(10000);
    bool is_batch;

    (void)state;
    for (int levels = PIXI_RPC_DEPTH - 1; levels <= PIXI_RPC_DEPTH + 1; levels++) {
        char text[400], inner[200];
        int nested = levels - 1; /* the object is one */

        memset(inner, '[', (size_t)nested);
        memset(inner + nested, ']', (size_t)nested);
        snprintf(text, sizeof text, "{" V ",\"result\":%.*s,\"id\":1}", 2 * nested, inner);
        pixi_buf_reset(&got);
        assert_int_equal(read_text(text, strlen(text), &got, &is_batch),
                         levels > PIXI_RPC_DEPTH ? PIXI_E_RPC_PARSE : PIXI_OK);
    }
    pixi_buf_clear(&got);
}

/* Nothing that comes makes it read outside the text, or go on for ever. */
static void mutated(void **state)
{
    static const char letters[] = "{}[],:\"\\u0 1.e-mtn\xc3\xff";
    struct pixi_buf got = pixi_buf_init(100000);
    uint32_t seed = 2;
    char text[400];
    bool is_batch;
    unsigned good = 0;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        size_t len = strlen(objects[(size_t)round % COUNT(objects)].text);

        memcpy(text, objects[(size_t)round % COUNT(objects)].text, len);
        for (int i = 0; i < 1 + round % 3; i++) {
            seed = seed * 1664525 + 1013904223;
            text[(seed >> 8) % len] = letters[(seed >> 24) % (sizeof letters - 1)];
        }
        pixi_buf_reset(&got);
        good += read_text(text, len, &got, &is_batch) == PIXI_OK;
        assert_int_equal(got.err, PIXI_OK);
    }
    assert_in_range(good, 1000, 19000);
    pixi_buf_clear(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_object), cmocka_unit_test(all_in_one_batch), cmocka_unit_test(whole_texts),
        cmocka_unit_test(prefixes),    cmocka_unit_test(batches_of_1000),  cmocka_unit_test(ids_of_64_bytes),
        cmocka_unit_test(depth),       cmocka_unit_test(mutated),
    };

    return cmocka_run_group_tests_name("proto/rpc/envelope", tests, NULL, NULL);
}
