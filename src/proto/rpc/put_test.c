#include "proto/rpc/put.h"
#include "base/utf8.h"
#include "invariants.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void same_text(const struct pixi_buf *got, const char *want)
{
    assert_int_equal(got->err, PIXI_OK);
    if (!pixi_cur_equals(pixi_buf_cur(got), pixi_cur_str(want)))
        fail_msg("'%.*s'\nwanted '%s'", (int)got->len, (char *)got->bytes, want);
}

/* What was written is one object that the reader takes. */
static struct pixi_rpc_msg read_back(const struct pixi_buf *b)
{
    struct pixi_rpc_reader r;
    struct pixi_rpc_msg m, none;

    assert_int_equal(b->err, PIXI_OK);
    assert_int_equal(pixi_rpc_open(&r, b->bytes, b->len), PIXI_OK);
    assert_int_equal(pixi_rpc_next(&r, &m), PIXI_OK);
    assert_int_equal(pixi_rpc_next(&r, &none), PIXI_MORE);
    return m;
}

/* ---- envelopes ---- */

static void calls(void **state)
{
    struct pixi_buf b = pixi_buf_init(1000);
    struct pixi_json_out w;

    (void)state;
    pixi_rpc_begin_call(&b, &w, "subscribe");
    pixi_json_name(&w, "filter");
    pixi_json_text(&w, "a/#");
    pixi_rpc_end_call(&w, 7);
    same_text(&b, "{\"jsonrpc\":\"2.0\",\"method\":\"subscribe\",\"params\":{\"filter\":\"a/#\"},\"id\":7}");
    assert_int_equal(read_back(&b).kind, PIXI_RPC_CALL);
    pixi_buf_reset(&b);
    pixi_rpc_begin_call(&b, &w, "ping");
    pixi_rpc_end_call(&w, 0);
    same_text(&b, "{\"jsonrpc\":\"2.0\",\"method\":\"ping\",\"params\":{}}");
    assert_int_equal(read_back(&b).kind, PIXI_RPC_NOTIFICATION);
    pixi_buf_clear(&b);
}

static void answers(void **state)
{
    static const char *const ids[] = {"1", "\"a\\u0062\\\"\"", "-1.5e3", "\"\""};
    struct pixi_buf b = pixi_buf_init(1000);
    struct pixi_json_out w;
    char want[100];

    (void)state;
    for (size_t i = 0; i < COUNT(ids); i++) {
        struct pixi_rpc_msg m;

        pixi_buf_reset(&b);
        pixi_rpc_begin_answer(&b, &w, pixi_cur_str(ids[i]), "result");
        pixi_json_open_array(&w);
        pixi_json_close_array(&w);
        pixi_rpc_end_answer(&w);
        snprintf(want, sizeof want, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":[]}", ids[i]);
        same_text(&b, want);
        m = read_back(&b);
        assert_int_equal(m.kind, PIXI_RPC_RESULT);
        assert_true(pixi_cur_equals(m.id, pixi_cur_str(ids[i])));
        assert_true(pixi_cur_equals(m.value, pixi_cur_str("[]")));
    }
    pixi_buf_clear(&b);
}

/* ---- errors ---- */

static void errors(void **state)
{
    struct pixi_buf b = pixi_buf_init(1000);

    (void)state;
    pixi_rpc_put_error(&b, pixi_cur_str("\"x\""), PIXI_E_RPC_PARAMS, NULL, 0);
    same_text(
        &b,
        "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"error\":{\"code\":-32602,\"message\":\"invalid parameters\"}}");
    assert_int_equal(read_back(&b).kind, PIXI_RPC_ERROR);
    pixi_buf_reset(&b);
    pixi_rpc_put_error(&b, pixi_cur_init(NULL, 0), PIXI_E_RATE, "slow \"down\"\n", 250);
    same_text(&b, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32003,"
                  "\"message\":\"rate limited: slow \\\"down\\\"\\n\",\"data\":{\"retry_after_ms\":250}}}");
    assert_int_equal(read_back(&b).kind, PIXI_RPC_ERROR);
    pixi_buf_clear(&b);
}

/* However long the detail is and whatever stands where it is cut, the message is UTF-8 (the writer asserts it). */
static void long_details_are_cut_at_a_character(void **state)
{
    static const char *const chars[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    struct pixi_buf b = pixi_buf_init(10000);
    char detail[600];

    (void)state;
    for (size_t i = 0; i < COUNT(chars); i++)
        for (size_t skip = 0; skip < 5; skip++)
            for (size_t len = 200; len < 300; len++) {
                size_t at = skip;

                memset(detail, 'x', skip);
                for (; at < len; at += strlen(chars[i]))
                    strcpy(detail + at, chars[i]);
                pixi_buf_reset(&b);
                pixi_rpc_put_error(&b, pixi_cur_str("1"), PIXI_E_RPC_PARAMS, detail, 0);
                read_back(&b);
                assert_in_range(b.len, 60 + 200, 80 + 256);
            }
    pixi_buf_clear(&b);
}

static void codes(void **state)
{
    static const struct {
        int err, code;
    } cases[] = {
        {PIXI_E_RPC_PARSE, -32700},  {PIXI_E_RPC_REQUEST, -32600},  {PIXI_E_RPC_METHOD, -32601},
        {PIXI_E_RPC_PARAMS, -32602}, {PIXI_E_FORBIDDEN, -32001},    {PIXI_E_WS_TOO_BIG, -32002},
        {PIXI_E_RATE, -32003},       {PIXI_E_NO_RESPONDER, -32004}, {PIXI_E_TIMEOUT, -32005},
        {PIXI_E_STORAGE, -32006},    {PIXI_E_TOPIC, -32007},        {PIXI_E_HISTORY, -32008},
        {PIXI_E_KEY_REUSED, -32009}, {PIXI_E_AFTER, -32014},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(pixi_rpc_code(cases[i].err), cases[i].code);
        assert_int_equal(pixi_rpc_err(cases[i].code), cases[i].err);
    }
    assert_int_equal(pixi_rpc_code(PIXI_E_FILTER), -32007);
    assert_int_equal(pixi_rpc_code(PIXI_E_LIMIT), -32003);
    assert_int_equal(pixi_rpc_code(PIXI_E_NOMEM), -32603);
    assert_int_equal(pixi_rpc_err(-1), PIXI_E_RPC_ERROR);
    assert_int_equal(pixi_rpc_err(0), PIXI_E_RPC_ERROR);
    assert_int_equal(pixi_rpc_err(INT64_MIN), PIXI_E_RPC_ERROR);
}

/* ---- payloads ---- */

static bool is_json(const char *text, size_t len)
{
    struct inv_guard g = inv_guard(text, len);
    bool is = pixi_rpc_is_json(pixi_cur_init(g.bytes, len));

    inv_guard_free(&g);
    return is;
}

static void what_may_travel_as_json(void **state)
{
    static const struct {
        const char *text;
        bool is;
    } cases[] = {
        {"", false},           {" ", false},       {"1", true},           {"1 ", false},
        {"\t[1]", false},      {"null", true},     {"\"\"", true},        {"{\"a\":[1,{}]}", true},
        {"nul", false},        {"1 2", false},     {"[1", false},         {"{a:1}", false},
        {"\"\xff\"", false},   {"[1,\n2]", false}, {"1\n", false},        {"\r1", false},
        {"[\r\n]", false},     {"\"\\n\"", true},  {"\"\\u000a\"", true}, {"hello", false},
        {"\"\\ud800\"", true}, /* grammatical: whoever reads it judges it */
    };
    char deep[200];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (is_json(cases[i].text, strlen(cases[i].text)) != cases[i].is)
            fail_msg("'%s'", cases[i].text);
    assert_false(is_json("1\0", 2));
    assert_false(pixi_rpc_is_json(pixi_cur_init(NULL, 0)));
    for (size_t depth = 60; depth < 70; depth++) {
        memset(deep, '[', depth);
        memset(deep + depth, ']', depth);
        assert_int_equal(is_json(deep, 2 * depth), depth <= PIXI_RPC_PAYLOAD_DEPTH);
    }
}

/* The deepest payload fits into a message, and into a result with many. */
static void the_deepest_payload_can_be_read(void **state)
{
    struct pixi_buf b = pixi_buf_init(1000);
    struct pixi_json_out w;
    char deep[2 * PIXI_RPC_PAYLOAD_DEPTH];

    (void)state;
    memset(deep, '[', sizeof deep / 2);
    memset(deep + sizeof deep / 2, ']', sizeof deep / 2);
    pixi_rpc_begin_answer(&b, &w, pixi_cur_str("1"), "result");
    pixi_json_open_object(&w);
    pixi_json_name(&w, "messages");
    pixi_json_open_array(&w);
    pixi_json_open_object(&w);
    pixi_rpc_put_payload(&w, pixi_cur_init(deep, sizeof deep), true);
    pixi_json_close_object(&w);
    pixi_json_close_array(&w);
    pixi_json_close_object(&w);
    pixi_rpc_end_answer(&w);
    read_back(&b);
    pixi_buf_clear(&b);
}

/* Any bytes, through a call and out of it again. */
static void payloads_come_back(void **state)
{
    struct pixi_buf b = pixi_buf_init(10000);
    uint8_t bytes[300];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    for (size_t len = 0; len < sizeof bytes; len++) {
        struct pixi_rpc_params p;
        struct pixi_json_out w;

        pixi_buf_reset(&b);
        pixi_rpc_begin_call(&b, &w, "publish");
        pixi_json_name(&w, "topic");
        pixi_json_text(&w, "t");
        pixi_rpc_put_payload(&w, pixi_cur_init(bytes, len), false);
        pixi_json_name(&w, "retain");
        pixi_json_bool(&w, true);
        pixi_rpc_end_call(&w, 1);
        assert_int_equal(pixi_rpc_params_read(PIXI_RPC_PUBLISH, read_back(&b).params, &p), PIXI_OK);
        assert_false(p.is_json);
        assert_true(p.retain);
        assert_true(pixi_cur_equals(p.payload, pixi_cur_init(bytes, len)));
    }
    pixi_buf_clear(&b);
}

static void json_payloads_are_kept_to_the_byte(void **state)
{
    static const char payload[] = "{ \"a\" : 1.50e+3 , \"a\" : \"\\u0041\" }";
    struct pixi_buf b = pixi_buf_init(10000);
    struct pixi_rpc_params p;
    struct pixi_json_out w;

    (void)state;
    pixi_rpc_begin_call(&b, &w, "publish");
    pixi_json_name(&w, "topic");
    pixi_json_text(&w, "t");
    pixi_rpc_put_payload(&w, pixi_cur_str(payload), true);
    pixi_rpc_end_call(&w, 1);
    assert_non_null(memmem(b.bytes, b.len, payload, strlen(payload)));
    assert_int_equal(pixi_rpc_params_read(PIXI_RPC_PUBLISH, read_back(&b).params, &p), PIXI_OK);
    assert_true(p.is_json);
    assert_true(pixi_cur_equals(p.payload, pixi_cur_str(payload)));
    pixi_buf_clear(&b);
}

/* ---- headers and positions ---- */

static void headers_come_back(void **state)
{
    static const char neutral[] = "\0\1a\0\2\xc3\xa9\0\0\0\0\0\1a\0\3\"\\\n";
    struct pixi_cur headers = pixi_cur_init(neutral, sizeof neutral - 1);
    struct pixi_buf b = pixi_buf_init(10000);
    struct pixi_rpc_params p;
    struct pixi_json_out w;

    (void)state;
    pixi_rpc_begin_call(&b, &w, "x");
    pixi_rpc_put_headers(&w, headers);
    pixi_rpc_end_call(&w, 1);
    assert_non_null(memmem(b.bytes, b.len, "[[\"a\",\"\xc3\xa9\"],[\"\",\"\"],[\"a\",\"\\\"\\\\\\n\"]]", 33));
    assert_int_equal(pixi_rpc_result_read(read_back(&b).params, &p), PIXI_OK);
    assert_true(pixi_cur_equals(p.headers, headers));
    pixi_buf_reset(&b);
    pixi_rpc_begin_call(&b, &w, "x");
    pixi_rpc_put_headers(&w, pixi_cur_init(NULL, 0));
    pixi_rpc_end_call(&w, 0);
    same_text(&b, "{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":{}}");
    pixi_buf_clear(&b);
}

static void positions_come_back(void **state)
{
    static const struct pixi_rpc_position cases[] = {{0, 0}, {1, 2}, {UINT64_MAX, INT64_MAX}};
    struct pixi_buf b = pixi_buf_init(10000);

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pixi_rpc_params p;
        struct pixi_json_out w;

        pixi_buf_reset(&b);
        pixi_rpc_begin_call(&b, &w, "x");
        pixi_rpc_put_position(&w, cases[i]);
        pixi_rpc_put_hex(&w, "request", cases[i].epoch ^ 0x0123456789abcdef);
        pixi_rpc_end_call(&w, 1);
        assert_int_equal(pixi_rpc_result_read(read_back(&b).params, &p), PIXI_OK);
        assert_int_equal(p.position.epoch, cases[i].epoch);
        assert_int_equal(p.position.offset, cases[i].offset);
        assert_int_equal(p.request, cases[i].epoch ^ 0x0123456789abcdef);
    }
    pixi_buf_clear(&b);
}

static void keys_and_lists_of_positions_come_back(void **state)
{
    static const struct pixi_rpc_position since[] = {{1, 2}, {UINT64_MAX, 3}};
    struct pixi_buf b = pixi_buf_init(10000);
    struct pixi_rpc_params p;
    struct pixi_json_out w;

    (void)state;
    for (uint64_t after = 0; after < 2; after++) {
        pixi_buf_reset(&b);
        pixi_rpc_begin_call(&b, &w, "publish");
        pixi_json_name(&w, "topic");
        pixi_json_text(&w, "t");
        pixi_rpc_put_payload(&w, pixi_cur_str("1"), true);
        pixi_rpc_put_key(&w, "00112233-4455-6677-8899-aabbccddeeff", 9, 5, after);
        pixi_rpc_end_call(&w, 1);
        assert_int_equal(pixi_rpc_params_read(PIXI_RPC_PUBLISH, read_back(&b).params, &p), PIXI_OK);
        assert_int_equal(p.producer[15], 0xff);
        assert_int_equal(p.seq, 9);
        assert_int_equal(p.low, 5);
        assert_int_equal(p.after, after);
    }
    for (size_t count = 0; count <= COUNT(since); count++) {
        pixi_buf_reset(&b);
        pixi_rpc_begin_call(&b, &w, "subscribe");
        pixi_json_name(&w, "filter");
        pixi_json_text(&w, "#");
        pixi_rpc_put_since(&w, since, count);
        pixi_rpc_end_call(&w, 1);
        assert_int_equal(pixi_rpc_params_read(PIXI_RPC_SUBSCRIBE, read_back(&b).params, &p), PIXI_OK);
        assert_int_equal(p.since_count, count);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(p.since[i].epoch, since[i].epoch);
    }
    pixi_buf_clear(&b);
}

/* Wherever the buffer's ceiling is, the error sticks and nothing is written past it. */
static size_t put_under(size_t max, int err)
{
    struct pixi_buf b = pixi_buf_init(max);
    struct pixi_json_out w;
    size_t len;

    pixi_rpc_begin_call(&b, &w, "publish");
    pixi_rpc_put_payload(&w, pixi_cur_str("12345678901234567890"), false);
    pixi_rpc_put_headers(&w, pixi_cur_init("\0\1a\0\1b", 6));
    pixi_rpc_put_position(&w, (struct pixi_rpc_position){1, 2});
    pixi_rpc_end_call(&w, 1);
    assert_int_equal(b.err, err);
    assert_true(b.len <= max);
    len = b.len;
    if (err == PIXI_OK)
        read_back(&b);
    pixi_buf_clear(&b);
    return len;
}

static void any_ceiling(void **state)
{
    size_t need = put_under(1000, PIXI_OK);

    (void)state;
    assert_int_equal(put_under(need, PIXI_OK), need);
    for (size_t max = 0; max < need; max++)
        put_under(max, PIXI_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls),
        cmocka_unit_test(answers),
        cmocka_unit_test(errors),
        cmocka_unit_test(long_details_are_cut_at_a_character),
        cmocka_unit_test(codes),
        cmocka_unit_test(what_may_travel_as_json),
        cmocka_unit_test(the_deepest_payload_can_be_read),
        cmocka_unit_test(payloads_come_back),
        cmocka_unit_test(json_payloads_are_kept_to_the_byte),
        cmocka_unit_test(headers_come_back),
        cmocka_unit_test(positions_come_back),
        cmocka_unit_test(keys_and_lists_of_positions_come_back),
        cmocka_unit_test(any_ceiling),
    };

    return cmocka_run_group_tests_name("proto/rpc/put", tests, NULL, NULL);
}
