#include "base/json.h"
#include "invariants.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static int check_guarded(const char *text, size_t len, unsigned depth_max, size_t *at)
{
    struct inv_guard g = inv_guard(text, len);
    int rc = pixi_json_check(g.bytes, len, depth_max, at);

    inv_guard_free(&g);
    return rc;
}

static int check_str(const char *text)
{
    return check_guarded(text, strlen(text), PIXI_JSON_DEPTH_MAX, NULL);
}

/* ---- verdicts ---- */

static const struct verdict {
    const char *text;
    int err;
    size_t at;
} verdicts[] = {
    {"", PIXI_E_JSON_SHORT, 0},
    {" \n", PIXI_E_JSON_SHORT, 2},
    {"\xef\xbb\xbf{}", PIXI_E_JSON_SYNTAX, 0},
    {"\f1", PIXI_E_JSON_SYNTAX, 0},
    {"[1,]", PIXI_E_JSON_SYNTAX, 3},
    {"[,1]", PIXI_E_JSON_SYNTAX, 1},
    {"[1 2]", PIXI_E_JSON_SYNTAX, 3},
    {"[1}", PIXI_E_JSON_SYNTAX, 2},
    {"[1:2]", PIXI_E_JSON_SYNTAX, 2},
    {"{\"a\",1}", PIXI_E_JSON_SYNTAX, 4},
    {"{\"a\":1,}", PIXI_E_JSON_SYNTAX, 7},
    {"{\"a\":}", PIXI_E_JSON_SYNTAX, 5},
    {"{\"a\":1]", PIXI_E_JSON_SYNTAX, 6},
    {"{1:1}", PIXI_E_JSON_SYNTAX, 1},
    {"{,}", PIXI_E_JSON_SYNTAX, 1},
    {"{]", PIXI_E_JSON_SYNTAX, 1},
    {"[}", PIXI_E_JSON_SYNTAX, 1},
    {"]", PIXI_E_JSON_SYNTAX, 0},
    {"'a'", PIXI_E_JSON_SYNTAX, 0},
    {"trux", PIXI_E_JSON_SYNTAX, 3},
    {"True", PIXI_E_JSON_SYNTAX, 0},
    {"nul ", PIXI_E_JSON_SYNTAX, 3},
    {"NaN", PIXI_E_JSON_SYNTAX, 0},
    {"Infinity", PIXI_E_JSON_SYNTAX, 0},
    {"/**/1", PIXI_E_JSON_SYNTAX, 0},
    {"\xff", PIXI_E_JSON_SYNTAX, 0},
    {"-Infinity", PIXI_E_JSON_NUMBER, 1},
    {"[-]", PIXI_E_JSON_NUMBER, 2},
    {"--1", PIXI_E_JSON_NUMBER, 1},
    {"+1", PIXI_E_JSON_NUMBER, 0},
    {".5", PIXI_E_JSON_NUMBER, 0},
    {"01", PIXI_E_JSON_NUMBER, 1},
    {"[-01]", PIXI_E_JSON_NUMBER, 3},
    {"[1.]", PIXI_E_JSON_NUMBER, 3},
    {"[1.e5]", PIXI_E_JSON_NUMBER, 3},
    {"[1e]", PIXI_E_JSON_NUMBER, 3},
    {"[1e+]", PIXI_E_JSON_NUMBER, 4},
    {"-", PIXI_E_JSON_SHORT, 1},
    {"1.", PIXI_E_JSON_SHORT, 2},
    {"1e", PIXI_E_JSON_SHORT, 2},
    {"1e-", PIXI_E_JSON_SHORT, 3},
    {"1 1", PIXI_E_JSON_TRAILING, 2},
    {"1.5.5", PIXI_E_JSON_TRAILING, 3},
    {"0x1", PIXI_E_JSON_TRAILING, 1},
    {"{}\n,", PIXI_E_JSON_TRAILING, 3},
    {"[]]", PIXI_E_JSON_TRAILING, 2},
    {"\"\"\"", PIXI_E_JSON_TRAILING, 2},
    {"truefalse", PIXI_E_JSON_TRAILING, 4},
    {"\"a\tb\"", PIXI_E_JSON_STRING, 2},
    {"\"a\nb\"", PIXI_E_JSON_STRING, 2},
    {"\"\x1f\"", PIXI_E_JSON_STRING, 1},
    {"\"\\x41\"", PIXI_E_JSON_STRING, 2},
    {"\"\\'\"", PIXI_E_JSON_STRING, 2},
    {"\"\\u12g4\"", PIXI_E_JSON_STRING, 5},
    {"\"\\u123\"", PIXI_E_JSON_STRING, 6},
    {"\"\\u+123\"", PIXI_E_JSON_STRING, 3},
    {"\"\\U0041\"", PIXI_E_JSON_STRING, 2},
    {"\"\\", PIXI_E_JSON_SHORT, 2},
    {"\"\\u00", PIXI_E_JSON_SHORT, 5},
    {"\"\xc3", PIXI_E_JSON_SHORT, 2},
    {"\"\xc3\"", PIXI_E_JSON_UTF8, 2},
    {"\"a\xc0\xaf\"", PIXI_E_JSON_UTF8, 2},
    {"\"\xed\xa0\x80\"", PIXI_E_JSON_UTF8, 2},
    {"\"\xf4\x90\x80\x80\"", PIXI_E_JSON_UTF8, 2},
    {"\"\xe2\x82\xac\x80\"", PIXI_E_JSON_UTF8, 4},
    {"{\"\xff\":1}", PIXI_E_JSON_UTF8, 2},
    {"[[[[[1]]]]]", PIXI_E_JSON_DEPTH, 4},
    {"[{\"a\":[{\"b\":[", PIXI_E_JSON_DEPTH, 12},
};

/* The verdict falls at the offending byte: before it no prefix knows, from it on all say the same. */
static void each_verdict_at_its_byte(void **state)
{
    size_t at;
    int rc;

    (void)state;
    for (size_t i = 0; i < COUNT(verdicts); i++) {
        const struct verdict *v = &verdicts[i];
        size_t len = strlen(v->text);

        for (size_t k = 0; k <= len; k++) {
            at = SIZE_MAX;
            rc = check_guarded(v->text, k, 4, &at);
            if (k == len || k > v->at ? rc != v->err || at != v->at
                                      : rc != PIXI_OK && (rc != PIXI_E_JSON_SHORT || at != k))
                fail_msg("'%s' to %zu: %s at %zu", v->text, k, pixi_err_name(rc), at);
        }
    }
}

static const char *const valid[] = {
    "{}",
    "[]",
    "\"\"",
    "true",
    "false",
    "null",
    "{\"\":{}}",
    "[{},[1,2],{\"a\":[1,2],\"b\":{}},[[1],{},[1,2]]]",
    " [ 1 , -0 , 0.5 , 1e3 , 1E+3 , -12.25e-10 ] ",
    "{\"a\":1,\"a\":[true,false,null,{\"b\":[[]]}],\"c\":\"d\"}",
    "\"a long string, plain for many words on end, then \xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa2 and on\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u00e9\\uD83D\\uDC22\\ud800\"",
    "[\"\x7f\",\"\xef\xbb\xbf\",\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xf4\x8f\xbf\xbf\"]",
    "\t\r\n{\"jsonrpc\": \"2.0\", \"id\": 7, \"params\": {\"topic\": \"a/b\", \"data\": [0, 1.5, \"\\n\"]}}",
};

static void prefixes_are_short(void **state)
{
    size_t at, len;
    int rc;

    (void)state;
    for (size_t i = 0; i < COUNT(valid); i++) {
        len = strlen(valid[i]);
        assert_int_equal(check_guarded(valid[i], len, PIXI_JSON_DEPTH_MAX, NULL), PIXI_OK);
        while (valid[i][len - 1] == ' ')
            len--; /* what stands before the white space is whole already */
        for (size_t k = 0; k < len; k++)
            if ((rc = check_guarded(valid[i], k, PIXI_JSON_DEPTH_MAX, &at)) != PIXI_E_JSON_SHORT || at != k)
                fail_msg("'%.*s': %s at %zu", (int)k, valid[i], pixi_err_name(rc), at);
    }
}

static void numbers_may_end_anywhere(void **state)
{
    static const char number[] = "-120.50e+31";
    static const bool is_whole[] = {false, false, true,  true,  true, false,
                                    true,  true,  false, false, true, true};

    (void)state;
    for (size_t k = 0; k < sizeof number; k++)
        assert_int_equal(check_guarded(number, k, 1, NULL), is_whole[k] ? PIXI_OK : PIXI_E_JSON_SHORT);
}

/* Each byte value at each distance from the words that a string is read by. */
static void words_hide_nothing(void **state)
{
    char text[40];
    size_t at;
    int rc, want;

    (void)state;
    for (size_t len = 2; len < sizeof text; len++)
        for (size_t k = 1; k < len - 1; k++)
            for (unsigned c = 0; c < 256; c++) {
                memset(text, 'a', sizeof text);
                text[0] = text[len - 1] = '"';
                text[k] = (char)c;
                want = c < ' ' ? PIXI_E_JSON_STRING : c >= 0x80 ? PIXI_E_JSON_UTF8 : PIXI_OK;
                want = c == '\\' ? k == len - 2 ? PIXI_E_JSON_SHORT : PIXI_E_JSON_STRING : want;
                want = c == '"' ? PIXI_E_JSON_TRAILING : want;
                rc = check_guarded(text, len, 1, &at);
                if (rc != want)
                    fail_msg("%02x at %zu of %zu: %s", c, k, len, pixi_err_name(rc));
            }
}

static void depth_is_bounded(void **state)
{
    char text[2 * PIXI_JSON_DEPTH_MAX + 2];
    size_t at, n = PIXI_JSON_DEPTH_MAX;

    (void)state;
    memset(text, '[', n + 1);
    memset(text + n + 1, ']', n + 1);
    assert_int_equal(check_guarded(text + 1, 2 * n, PIXI_JSON_DEPTH_MAX, &at), PIXI_OK);
    assert_int_equal(check_guarded(text, 2 * n + 2, PIXI_JSON_DEPTH_MAX, &at), PIXI_E_JSON_DEPTH);
    assert_int_equal(at, n);
    assert_int_equal(check_guarded("[{}]", 4, 1, &at), PIXI_E_JSON_DEPTH);
    assert_int_equal(at, 1);
    assert_int_equal(check_guarded("[{},[],{\"a\":[]}]", 16, 3, &at), PIXI_OK);
}

/* ---- tokens ---- */

static const char *const type_names[] = {
    [PIXI_JSON_DONE] = "done",     [PIXI_JSON_OBJECT] = "object",       [PIXI_JSON_OBJECT_END] = "end-object",
    [PIXI_JSON_ARRAY] = "array",   [PIXI_JSON_ARRAY_END] = "end-array", [PIXI_JSON_NAME] = "name",
    [PIXI_JSON_STRING] = "string", [PIXI_JSON_NUMBER] = "number",       [PIXI_JSON_TRUE] = "true",
    [PIXI_JSON_FALSE] = "false",   [PIXI_JSON_NULL] = "null",
};

static void same_text(struct pixi_cur got, const char *want)
{
    if (!pixi_cur_equals(got, pixi_cur_str(want)))
        fail_msg("'%.*s', wanted '%s'", (int)pixi_cur_left(&got), (const char *)got.p, want);
}

static void tokens(void **state)
{
    static const char text[] = " {\"a\\n\" : [1, \"x\", {}], \"b\":-2e1 ,\"\":null}\n";
    static const char want[] =
        "object 0 1 {|name 1 2 a\\n escaped|array 1 10 [|number 2 11 1|string 2 14 x|"
        "object 2 19 {|end-object 2 20 }|end-array 1 21 ]|name 1 24 b|number 1 28 -2e1|"
        "name 1 34 |null 1 37 null|end-object 0 41 }|done 0 43 |done 0 43 |";
    struct pixi_buf b = pixi_buf_init(1000);
    struct pixi_json r;
    struct pixi_json_token t;
    unsigned done = 0;

    (void)state;
    pixi_json_init(&r, text, sizeof text - 1, 3);
    while (done < 2) { /* asked again, it is given again */
        assert_int_equal(pixi_json_next(&r, &t), PIXI_OK);
        pixi_buf_putf(&b, "%s %u %zu ", type_names[t.type], t.depth, t.offset);
        pixi_buf_put_cur(&b, t.text);
        pixi_buf_put_str(&b, t.is_escaped ? " escaped|" : "|");
        done += t.type == PIXI_JSON_DONE;
    }
    same_text(pixi_buf_cur(&b), want);
    pixi_buf_clear(&b);
}

static void errors_are_final(void **state)
{
    struct pixi_json r;
    struct pixi_json_token t, before;

    (void)state;
    pixi_json_init(&r, "[1,x]", 5, 1);
    assert_int_equal(pixi_json_next(&r, &t), PIXI_OK);
    assert_int_equal(pixi_json_next(&r, &t), PIXI_OK);
    memcpy(&before, &t, sizeof t);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pixi_json_next(&r, &t), PIXI_E_JSON_SYNTAX);
        assert_int_equal(r.err_offset, 3);
        assert_memory_equal(&before, &t, sizeof t);
    }
    assert_int_equal(pixi_json_skip(&r, &(struct pixi_json_token){.type = PIXI_JSON_ARRAY}, NULL),
                     PIXI_E_JSON_SYNTAX);
}

static void skips(void **state)
{
    static const char text[] = "[ {\"a\":[1,{}]} ,\"s\\\"\", -1.5, [] ,true]";
    static const char *const raws[] = {"{\"a\":[1,{}]}", "\"s\\\"\"", "-1.5", "[]", "true"};
    struct pixi_json r;
    struct pixi_json_token t;
    struct pixi_cur raw;

    (void)state;
    pixi_json_init(&r, text, sizeof text - 1, PIXI_JSON_DEPTH_MAX);
    assert_int_equal(pixi_json_next(&r, &t), PIXI_OK);
    for (size_t i = 0; i < COUNT(raws); i++) {
        assert_int_equal(pixi_json_next(&r, &t), PIXI_OK);
        assert_int_equal(pixi_json_skip(&r, &t, &raw), PIXI_OK);
        same_text(raw, raws[i]);
    }
    assert_int_equal(pixi_json_next(&r, &t), PIXI_OK);
    assert_int_equal(t.type, PIXI_JSON_ARRAY_END);
    pixi_json_init(&r, text, sizeof text - 1, PIXI_JSON_DEPTH_MAX);
    assert_int_equal(pixi_json_next(&r, &t), PIXI_OK);
    assert_int_equal(pixi_json_skip(&r, &t, &raw), PIXI_OK);
    same_text(raw, text);
    pixi_json_init(&r, "[[1,", 4, PIXI_JSON_DEPTH_MAX);
    assert_int_equal(pixi_json_next(&r, &t), PIXI_OK);
    assert_int_equal(pixi_json_skip(&r, &t, NULL), PIXI_E_JSON_SHORT);
}

/* ---- values ---- */

static const struct unescaped {
    const char *text, *bytes; /* bytes NULL: a surrogate without its pair */
    size_t len;
} unescaped[] = {
    {"", "", 0},
    {"plain", "plain", 5},
    {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t", 8},
    {"\\u0000", "\0", 1},
    {"a\\u007F\\u0080b\\u07ff\\u0800c\\uFFFF",
     "a\x7f\xc2\x80"
     "b\xdf\xbf\xe0\xa0\x80"
     "c\xef\xbf\xbf",
     14},
    {"\\ud83d\\udc22.", "\xf0\x9f\x90\xa2.", 5},
    {"\\uD800\\uDC00\\uDBFF\\uDFFF", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8},
    {"\\ud7ff\\ue000", "\xed\x9f\xbf\xee\x80\x80", 6},
    {"\xc3\xa9\\u00e9", "\xc3\xa9\xc3\xa9", 4},
    {"\\ud800", NULL, 0},
    {"\\udc00", NULL, 0},
    {"\\ud800x", NULL, 0},
    {"\\ud800\\n12345", NULL, 0},
    {"\\ud800xu12345", NULL, 0},
    {"\\ud800\\ud800", NULL, 0},
    {"\\ud800\\ue000", NULL, 0},
    {"\\ud800\\u0041", NULL, 0},
    {"\\udc00\\ud800", NULL, 0},
    {"\\udc00\\udc00", NULL, 0},
};

static void decode(void **state)
{
    char whole[100];
    uint8_t apart[100];
    size_t len;

    (void)state;
    for (size_t i = 0; i < COUNT(unescaped); i++) {
        const struct unescaped *u = &unescaped[i];
        size_t text_len = strlen(u->text);
        struct inv_guard g = inv_guard(u->text, text_len);
        int want = u->bytes ? PIXI_OK : PIXI_E_JSON_SURROGATE;

        snprintf(whole, sizeof whole, "\"%s\"", u->text);
        assert_int_equal(check_str(whole), PIXI_OK);
        len = 77;
        assert_int_equal(pixi_json_decode(pixi_cur_init(g.bytes, text_len), apart, &len), want);
        assert_int_equal(len, want == PIXI_OK ? u->len : 77);
        assert_int_equal(pixi_json_decode(pixi_cur_init(g.bytes, text_len), g.bytes, &len), want);
        if (want == PIXI_OK) {
            assert_memory_equal(apart, u->bytes, len);
            assert_memory_equal(g.bytes, u->bytes, len); /* in place */
        }
        inv_guard_free(&g);
    }
}

static struct pixi_json_token only_token(const char *text)
{
    struct pixi_json r;
    struct pixi_json_token t;

    pixi_json_init(&r, text, strlen(text), 1);
    assert_int_equal(pixi_json_next(&r, &t), PIXI_OK);
    return t;
}

static void is(void **state)
{
    static const struct {
        const char *json, *text;
        bool want;
    } cases[] = {
        {"\"topic\"", "topic", true},
        {"\"topic\"", "topi", false},
        {"\"topi\"", "topic", false},
        {"\"\"", "", true},
        {"\"t\\u006fpi\\u0063\"", "topic", true},
        {"\"t\\u006fpi\"", "topic", false},
        {"\"t\\u006fpics\"", "topic", false},
        {"\"\\u0000\"", "", false},
        {"\"a\\/b\"", "a/b", true},
        {"\"\\ud800\"", "\xed\xa0\x80", false},
        {"\"\\ud83d\\udc22\"", "\xf0\x9f\x90\xa2", true},
        {"\"\\n\"", "n", false},
        {"1", "1", false},
        {"null", "null", false},
    };
    struct pixi_json_token t;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        t = only_token(cases[i].json);
        if (pixi_json_is(&t, cases[i].text) != cases[i].want)
            fail_msg("%s is %s?", cases[i].json, cases[i].text);
    }
}

static void whole_numbers(void **state)
{
    static const struct {
        const char *json;
        uint64_t max, value;
        int err;
    } cases[] = {
        {"0", 0, 0, PIXI_OK},
        {"1", 0, 0, PIXI_E_JSON_RANGE},
        {"5", 5, 5, PIXI_OK},
        {"6", 5, 0, PIXI_E_JSON_RANGE},
        {"65535", 65535, 65535, PIXI_OK},
        {"65536", 65535, 0, PIXI_E_JSON_RANGE},
        {"18446744073709551615", UINT64_MAX, UINT64_MAX, PIXI_OK},
        {"18446744073709551616", UINT64_MAX, 0, PIXI_E_JSON_RANGE},
        {"99999999999999999999999999", UINT64_MAX, 0, PIXI_E_JSON_RANGE},
        {"-0", 5, 0, PIXI_E_JSON_RANGE},
        {"-1", 5, 0, PIXI_E_JSON_RANGE},
        {"1.0", 5, 0, PIXI_E_JSON_RANGE},
        {"1e0", 5, 0, PIXI_E_JSON_RANGE},
        {"\"1\"", 5, 0, PIXI_E_JSON_RANGE},
        {"true", 5, 0, PIXI_E_JSON_RANGE},
    };
    struct pixi_json_token t;
    uint64_t v;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        v = 77;
        t = only_token(cases[i].json);
        if (pixi_json_uint(&t, cases[i].max, &v) != cases[i].err)
            fail_msg("%s up to %ju", cases[i].json, (uintmax_t)cases[i].max);
        assert_int_equal(v, cases[i].err == PIXI_OK ? cases[i].value : 77);
    }
}

static void locate(void **state)
{
    static const struct {
        size_t offset, line, column;
    } cases[] = {{0, 1, 1}, {2, 1, 3}, {3, 2, 1}, {4, 3, 1}, {5, 3, 2}, {6, 3, 3}, {99, 3, 3}};
    struct pixi_json_at at;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        at = pixi_json_locate("ab\n\ncd", 6, cases[i].offset);
        assert_int_equal(at.line, cases[i].line);
        assert_int_equal(at.column, cases[i].column);
    }
    at = pixi_json_locate(NULL, 0, 0);
    assert_int_equal(at.line, 1);
}

/* ---- writer ---- */

static void writes(void **state)
{
    static const char want[] =
        "{\"a\":1,\"\\\"\":[],\"b\":[\"x\",-9223372036854775808,9223372036854775807,{},[null,null],"
        "0.007,18446744073709551.615,1.000,true,false,null,{\"raw\": 1}],"
        "\"c\":{\"d\":{\"e\":18446744073709551615}}}";
    struct pixi_buf b = pixi_buf_init(1000);
    struct pixi_json_out w = pixi_json_out_init(&b);

    (void)state;
    pixi_json_open_object(&w);
    pixi_json_name(&w, "a"), pixi_json_number(&w, 1);
    pixi_json_name(&w, "\""), pixi_json_open_array(&w), pixi_json_close_array(&w);
    pixi_json_name(&w, "b"), pixi_json_open_array(&w);
    pixi_json_text(&w, "x");
    pixi_json_signed(&w, INT64_MIN), pixi_json_signed(&w, INT64_MAX);
    pixi_json_open_object(&w), pixi_json_close_object(&w);
    pixi_json_open_array(&w), pixi_json_null(&w), pixi_json_null(&w), pixi_json_close_array(&w);
    pixi_json_milli(&w, 7), pixi_json_milli(&w, UINT64_MAX), pixi_json_milli(&w, 1000);
    pixi_json_bool(&w, true), pixi_json_bool(&w, false), pixi_json_null(&w);
    pixi_json_raw(&w, pixi_cur_str("{\"raw\": 1}"));
    pixi_json_close_array(&w);
    pixi_json_name(&w, "c"), pixi_json_open_object(&w);
    pixi_json_name(&w, "d"), pixi_json_open_object(&w);
    pixi_json_name(&w, "e"), pixi_json_number(&w, UINT64_MAX);
    for (int i = 0; i < 3; i++)
        pixi_json_close_object(&w);
    assert_int_equal(w.depth, 0);
    same_text(pixi_buf_cur(&b), want);
    assert_int_equal(check_guarded((const char *)b.bytes, b.len, 4, NULL), PIXI_OK);
    pixi_buf_clear(&b);
}

static void writes_to_the_full_depth(void **state)
{
    struct pixi_buf b = pixi_buf_init(1000);
    struct pixi_json_out w = pixi_json_out_init(&b);

    (void)state;
    for (int i = 0; i < PIXI_JSON_DEPTH_MAX; i += 2) {
        pixi_json_open_array(&w);
        pixi_json_open_object(&w);
        pixi_json_name(&w, "n");
    }
    pixi_json_null(&w);
    for (int i = 0; i < PIXI_JSON_DEPTH_MAX; i += 2) {
        pixi_json_close_object(&w);
        pixi_json_null(&w);
        pixi_json_close_array(&w);
    }
    assert_int_equal(check_guarded((const char *)b.bytes, b.len, PIXI_JSON_DEPTH_MAX, NULL), PIXI_OK);
    assert_int_equal(check_guarded((const char *)b.bytes, b.len, PIXI_JSON_DEPTH_MAX - 1, NULL),
                     PIXI_E_JSON_DEPTH);
    pixi_buf_clear(&b);
}

/* decode(encode(x)) = x, with each ASCII byte at each distance from the words. */
static void strings_come_back(void **state)
{
    struct pixi_buf b = pixi_buf_init(1000);
    struct pixi_json_out w = pixi_json_out_init(&b);
    char text[30];
    size_t len;

    (void)state;
    for (size_t k = 0; k < 20; k++)
        for (size_t c = 0; c < 0x80; c++) {
            memset(text, 'a', sizeof text);
            memcpy(text + 22, "\xc3\xa9", 2);
            text[k] = (char)c;
            pixi_buf_reset(&b);
            pixi_json_string(&w, pixi_cur_init(text, sizeof text));
            assert_int_equal(b.len, c >= ' '                            ? 32 + (c == '"' || c == '\\')
                                    : strchr("\b\f\n\r\t", (int)c) && c ? 33
                                                                        : 37);
            assert_int_equal(check_guarded((const char *)b.bytes, b.len, 1, NULL), PIXI_OK);
            assert_int_equal(pixi_json_decode(pixi_cur_init(b.bytes + 1, b.len - 2), b.bytes, &len), PIXI_OK);
            assert_int_equal(len, sizeof text);
            assert_memory_equal(b.bytes, text, len);
        }
    pixi_buf_clear(&b);
}

static void writer_keeps_the_ceiling(void **state)
{
    struct pixi_buf b = pixi_buf_init(8);
    struct pixi_json_out w = pixi_json_out_init(&b);

    (void)state;
    pixi_json_open_array(&w);
    pixi_json_text(&w, "123456789");
    pixi_json_null(&w);
    pixi_json_close_array(&w);
    assert_int_equal(b.err, PIXI_E_LIMIT);
    assert_true(b.len <= 8);
    pixi_buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_verdict_at_its_byte),
        cmocka_unit_test(prefixes_are_short),
        cmocka_unit_test(numbers_may_end_anywhere),
        cmocka_unit_test(words_hide_nothing),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(tokens),
        cmocka_unit_test(errors_are_final),
        cmocka_unit_test(skips),
        cmocka_unit_test(decode),
        cmocka_unit_test(is),
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(locate),
        cmocka_unit_test(writes),
        cmocka_unit_test(writes_to_the_full_depth),
        cmocka_unit_test(strings_come_back),
        cmocka_unit_test(writer_keeps_the_ceiling),
    };

    return cmocka_run_group_tests_name("base/json", tests, NULL, NULL);
}
