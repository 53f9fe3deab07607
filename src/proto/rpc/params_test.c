#include "proto/rpc/params.h"
#include "base/utf8.h"
#include "invariants.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define UUID     "\"00112233-4455-6677-8899-aabbccddeeff\""
#define EPOCH    "\"0123456789abcdef\""

/* Reads params where they end at an unreadable page; the page must be freed after out's slices were looked at. */
static int read_guarded(int method, const char *text, struct inv_guard *g, struct pixi_rpc_params *out)
{
    struct pixi_cur c;
    int rc;

    *g = inv_guard(text, strlen(text));
    c = pixi_cur_init(g->bytes, strlen(text));
    rc = method < 0 ? pixi_rpc_result_read(c, out)
                    : pixi_rpc_params_read((enum pixi_rpc_method)method, c, out);
    assert_true(rc == PIXI_OK || rc == PIXI_E_RPC_PARAMS);
    if (rc == PIXI_OK)
        assert_string_equal(out->detail, "");
    else
        assert_true(*out->detail && pixi_utf8_is_valid((const uint8_t *)out->detail, strlen(out->detail)));
    return rc;
}

static void same_text(struct pixi_cur got, const char *want)
{
    if (!pixi_cur_equals(got, pixi_cur_str(want)))
        fail_msg("'%.*s', wanted '%s'", (int)pixi_cur_left(&got), (const char *)got.p, want);
}

/* ---- methods and their parameters ---- */

/* What a parameter is called, and a value it may have. */
static const struct {
    const char *name, *value;
    unsigned has;
} members[] = {
    {"topic", "\"t\"", PIXI_RPC_HAS_TOPIC},
    {"filter", "\"f\"", PIXI_RPC_HAS_FILTER},
    {"payload", "1", PIXI_RPC_HAS_PAYLOAD},
    {"payload_base64", "\"AA==\"", PIXI_RPC_HAS_PAYLOAD},
    {"retain", "true", PIXI_RPC_HAS_RETAIN},
    {"expiry_s", "1", PIXI_RPC_HAS_EXPIRY},
    {"headers", "[]", PIXI_RPC_HAS_HEADERS},
    {"key", "{\"producer\":" UUID ",\"seq\":2,\"low\":1}", PIXI_RPC_HAS_KEY},
    {"since", "[]", PIXI_RPC_HAS_SINCE},
    {"retained", "true", PIXI_RPC_HAS_RETAINED},
    {"timeout_ms", "1", PIXI_RPC_HAS_TIMEOUT},
    {"request", EPOCH, PIXI_RPC_HAS_REQUEST},
    {"error", "{}", PIXI_RPC_HAS_ERROR},
    {"limit", "1", PIXI_RPC_HAS_LIMIT},
    {"epoch", EPOCH, PIXI_RPC_HAS_EPOCH},
    {"offset", "1", PIXI_RPC_HAS_OFFSET},
    {"time_ms", "1", PIXI_RPC_HAS_TIME},
    {"reconnect_in_ms", "1", PIXI_RPC_HAS_RECONNECT},
    {"recovered", "true", PIXI_RPC_HAS_RECOVERED},
    {"more", "true", PIXI_RPC_HAS_MORE},
    {"messages", "[]", PIXI_RPC_HAS_MESSAGES},
    {"batch_ms", "1", PIXI_RPC_HAS_BATCH},
    {"latest", "true", PIXI_RPC_HAS_LATEST},
    {"priority", "9", PIXI_RPC_HAS_PRIORITY},
    {"id", "1", PIXI_RPC_HAS_ID},
    {"nonsense", "1", 0},
};

/* Names, blank before and after each; "payload" stands for both ways to send one. */
static const struct {
    const char *name, *takes, *needs;
} methods[PIXI_RPC_METHODS] = {
    [PIXI_RPC_PUBLISH] = {"publish", " topic payload retain expiry_s headers key ", " topic payload "},
    [PIXI_RPC_SUBSCRIBE] = {"subscribe", " filter since retained batch_ms latest ", " filter "},
    [PIXI_RPC_UNSUBSCRIBE] = {"unsubscribe", " filter ", " filter "},
    [PIXI_RPC_REQUEST] = {"request", " topic payload headers timeout_ms ", " topic payload "},
    [PIXI_RPC_REPLY] = {"reply", " request payload error headers ", " request payload "},
    [PIXI_RPC_HISTORY] = {"history", " filter since limit ", " filter "},
    [PIXI_RPC_PING] = {"ping", " ", " "},
    [PIXI_RPC_INFO] = {"info", " ", " "},
    [PIXI_RPC_MESSAGE] = {"message", " filter topic payload epoch offset time_ms retained headers request ",
                          " filter topic payload "},
    [PIXI_RPC_SYNCED] = {"synced", " filter ", " filter "},
    [PIXI_RPC_UNSUBSCRIBED] = {"unsubscribed", " filter error ", " filter "},
    [PIXI_RPC_GOING_AWAY] = {"going_away", " reconnect_in_ms ", " "},
    [PIXI_RPC_STATUS] = {"status", " ", " "},
    [PIXI_RPC_REJECTED] = {"rejected", " ", " "},
    [PIXI_RPC_STORED] = {"stored", " id epoch offset ", " id "}, /* id also by the name of queued */
    [PIXI_RPC_GAP] = {"gap", " filter ", " filter "},
};

static bool is_among(const char *names, const char *name)
{
    char word[40];

    snprintf(word, sizeof word, " %s ", strcmp(name, "payload_base64") == 0 ? "payload" : name);
    return strstr(names, word) != NULL;
}

/* An object of all members of `names` but the one called `without`, with `extra` at its end. */
static void put_params(struct pixi_buf *b, const char *names, const char *without, const char *extra)
{
    const char *comma = "{";

    pixi_buf_reset(b);
    for (size_t i = 0; i < COUNT(members); i++) {
        if (!is_among(names, members[i].name) || strcmp(members[i].name, without) == 0 ||
            strcmp(members[i].name, "payload_base64") == 0)
            continue;
        pixi_buf_putf(b, "%s\"%s\":%s", comma, members[i].name, members[i].value);
        comma = ",";
    }
    pixi_buf_putf(b, "%s%s}", *extra ? comma : *comma == '{' ? "{" : "", extra);
    pixi_buf_put(b, "", 1);
}

static int read_buf(int method, const struct pixi_buf *b, struct pixi_rpc_params *out)
{
    struct inv_guard g;
    int rc = read_guarded(method, (const char *)b->bytes, &g, out);

    inv_guard_free(&g);
    return rc;
}

static void expect_detail(const struct pixi_rpc_params *p, const char *format, const char *name)
{
    char want[PIXI_RPC_DETAIL];

    snprintf(want, sizeof want, format, name);
    assert_string_equal(p->detail, want);
}

static void method_names(void **state)
{
    enum pixi_rpc_method m;

    (void)state;
    for (int i = 0; i < PIXI_RPC_METHODS; i++) {
        assert_string_equal(pixi_rpc_method_name((enum pixi_rpc_method)i), methods[i].name);
        assert_int_equal(pixi_rpc_method(pixi_cur_str(methods[i].name), &m), PIXI_OK);
        assert_int_equal(m, i);
    }
    assert_int_equal(pixi_rpc_method(pixi_cur_str(""), &m), PIXI_E_RPC_METHOD);
    assert_int_equal(pixi_rpc_method(pixi_cur_str("Publish"), &m), PIXI_E_RPC_METHOD);
    assert_int_equal(pixi_rpc_method(pixi_cur_str("publis"), &m), PIXI_E_RPC_METHOD);
    assert_int_equal(pixi_rpc_method(pixi_cur_init("ping\0", 5), &m), PIXI_E_RPC_METHOD);
}

static void each_method_takes_its_own(void **state)
{
    struct pixi_buf b = pixi_buf_init(10000);
    struct pixi_rpc_params p;
    char member[200];

    (void)state;
    for (int m = 0; m < PIXI_RPC_METHODS; m++)
        for (size_t i = 0; i < COUNT(members); i++) {
            bool is_base64 = strcmp(members[i].name, "payload_base64") == 0;

            snprintf(member, sizeof member, "\"%s\":%s", members[i].name, members[i].value);
            put_params(&b, methods[m].needs, is_base64 ? "payload" : members[i].name, member);
            if (is_among(methods[m].takes, members[i].name)) {
                if (read_buf(m, &b, &p) != PIXI_OK)
                    fail_msg("%s %s: %s", methods[m].name, (char *)b.bytes, p.detail);
                assert_true(p.seen & members[i].has);
                continue;
            }
            assert_int_equal(read_buf(m, &b, &p), PIXI_E_RPC_PARAMS);
            expect_detail(&p, "unknown parameter \"%s\"", members[i].name);
        }
    pixi_buf_clear(&b);
}

static void each_method_needs_its_own(void **state)
{
    struct pixi_buf b = pixi_buf_init(10000);
    struct pixi_rpc_params p;

    (void)state;
    for (int m = 0; m < PIXI_RPC_METHODS; m++)
        for (size_t i = 0; i < COUNT(members); i++) {
            if (!is_among(methods[m].needs, members[i].name) || !strcmp(members[i].name, "payload_base64"))
                continue;
            put_params(&b, methods[m].needs, members[i].name, "");
            assert_int_equal(read_buf(m, &b, &p), PIXI_E_RPC_PARAMS);
            expect_detail(&p, "parameter \"%s\" is missing", members[i].name);
            /* all it takes but this one */
            if (m == PIXI_RPC_REPLY && members[i].has == PIXI_RPC_HAS_PAYLOAD)
                continue;
            put_params(&b, methods[m].takes, members[i].name, "");
            assert_int_equal(read_buf(m, &b, &p), PIXI_E_RPC_PARAMS);
            expect_detail(&p, "parameter \"%s\" is missing", members[i].name);
        }
    pixi_buf_clear(&b);
}

static void nothing_comes_twice(void **state)
{
    struct pixi_buf b = pixi_buf_init(10000);
    struct pixi_rpc_params p;
    char member[200];

    (void)state;
    for (int m = 0; m < PIXI_RPC_METHODS; m++)
        for (size_t i = 0; i < COUNT(members); i++) {
            if (!is_among(methods[m].takes, members[i].name))
                continue;
            snprintf(member, sizeof member, "\"%s\":%s", members[i].name, members[i].value);
            put_params(&b, methods[m].takes, "", member);
            assert_int_equal(read_buf(m, &b, &p), PIXI_E_RPC_PARAMS);
            expect_detail(&p, "more than one of parameter \"%s\" and its like", members[i].name);
        }
    pixi_buf_clear(&b);
}

static void the_local_socket_takes_more(void **state)
{
    uint8_t publish[] = "{\"topic\":\"a\",\"payload\":1,\"priority\":9}", limit[] = "{\"limit\":5}",
            high[] = "{\"topic\":\"a\",\"payload\":1,\"priority\":10}",
            subscribe[] = "{\"filter\":\"a\",\"priority\":1}";
    struct pixi_rpc_params p;

    (void)state;
    assert_int_equal(pixi_rpc_local_read(PIXI_RPC_PUBLISH, pixi_cur_init(publish, sizeof publish - 1), &p),
                     PIXI_OK);
    assert_int_equal(p.priority, 9);
    assert_int_equal(pixi_rpc_local_read(PIXI_RPC_REJECTED, pixi_cur_init(limit, sizeof limit - 1), &p),
                     PIXI_OK);
    assert_int_equal(p.limit, 5);
    assert_int_equal(pixi_rpc_local_read(PIXI_RPC_PUBLISH, pixi_cur_init(high, sizeof high - 1), &p),
                     PIXI_E_RPC_PARAMS);
    assert_int_equal(
        pixi_rpc_local_read(PIXI_RPC_SUBSCRIBE, pixi_cur_init(subscribe, sizeof subscribe - 1), &p),
        PIXI_E_RPC_PARAMS);
}

static void none_sent(void **state)
{
    struct pixi_rpc_params p;

    (void)state;
    for (int m = 0; m < PIXI_RPC_METHODS; m++) {
        int want = methods[m].needs[1] ? PIXI_E_RPC_PARAMS : PIXI_OK;

        assert_int_equal(pixi_rpc_params_read((enum pixi_rpc_method)m, pixi_cur_init(NULL, 0), &p), want);
        assert_int_equal(p.seen, 0);
    }
    assert_int_equal(pixi_rpc_result_read(pixi_cur_init(NULL, 0), &p), PIXI_OK);
}

static void a_reply_is_payload_or_error(void **state)
{
    struct pixi_buf b = pixi_buf_init(10000);
    struct pixi_rpc_params p;

    (void)state;
    put_params(&b, " request error ", "", "");
    assert_int_equal(read_buf(PIXI_RPC_REPLY, &b, &p), PIXI_OK);
    put_params(&b, " request payload ", "", "");
    assert_int_equal(read_buf(PIXI_RPC_REPLY, &b, &p), PIXI_OK);
    put_params(&b, " request ", "", "");
    assert_int_equal(read_buf(PIXI_RPC_REPLY, &b, &p), PIXI_E_RPC_PARAMS);
    pixi_buf_clear(&b);
}

static void what_is_not_said(void **state)
{
    struct pixi_rpc_params p;
    struct inv_guard g;

    (void)state;
    assert_int_equal(read_guarded(PIXI_RPC_PING, "{}", &g, &p), PIXI_OK);
    assert_true(p.retained);
    assert_false(p.retain);
    assert_int_equal(p.timeout_ms, 30000);
    assert_int_equal(p.limit, 100);
    assert_null(p.topic.p);
    assert_null(p.payload.p);
    assert_int_equal(p.since_count, 0);
    inv_guard_free(&g);
}

/* ---- values ---- */

static void values_of_each_type(void **state)
{
    /* one member of a result, where none is missing */
    static const struct {
        const char *text;
        bool is_good;
    } cases[] = {
        {"\"topic\":\"\"", true},
        {"\"topic\":1", false},
        {"\"topic\":null", false},
        {"\"topic\":[\"a\"]", false},
        {"\"topic\":\"\\ud800\"", false},
        {"\"filter\":true", false},
        {"\"payload\":null", true},
        {"\"payload\":{\"a\":[]}", true},
        {"\"payload_base64\":\"\"", true},
        {"\"payload_base64\":\"AA=\"", false},
        {"\"payload_base64\":\"AA\"", false},
        {"\"payload_base64\":\"AB==\"", false},
        {"\"payload_base64\":\"A A=\"", false},
        {"\"payload_base64\":\"__==\"", false},
        {"\"payload_base64\":0", false},
        {"\"retain\":false", true},
        {"\"retain\":0", false},
        {"\"retain\":\"true\"", false},
        {"\"retain\":null", false},
        {"\"retained\":false", true},
        {"\"retained\":1", false},
        {"\"recovered\":1", false},
        {"\"batch_ms\":0", true},
        {"\"batch_ms\":10000", true},
        {"\"batch_ms\":10001", false},
        {"\"batch_ms\":1.5", false},
        {"\"latest\":false", true},
        {"\"latest\":1", false},
        {"\"more\":{}", false},
        {"\"expiry_s\":0", true},
        {"\"expiry_s\":4294967295", true},
        {"\"expiry_s\":4294967296", false},
        {"\"expiry_s\":-1", false},
        {"\"expiry_s\":1.0", false},
        {"\"expiry_s\":1e1", false},
        {"\"expiry_s\":\"1\"", false},
        {"\"timeout_ms\":3600000", true},
        {"\"timeout_ms\":3600001", false},
        {"\"limit\":0", false},
        {"\"limit\":1000", true},
        {"\"limit\":1001", false},
        {"\"time_ms\":9223372036854775807", true},
        {"\"time_ms\":9223372036854775808", false},
        {"\"offset\":9223372036854775807", true},
        {"\"offset\":9223372036854775808", false},
        {"\"offset\":18446744073709551616", false},
        {"\"reconnect_in_ms\":9223372036854775808", false},
        {"\"epoch\":\"0123456789abcdef\"", true},
        {"\"epoch\":\"\\u0030123456789abcdef\"", true},
        {"\"epoch\":\"0123456789abcde\"", false},
        {"\"epoch\":\"0123456789abcdef0\"", false},
        {"\"epoch\":\"0123456789ABCDEF\"", false},
        {"\"epoch\":\"0123456789abcdeg\"", false},
        {"\"epoch\":1", false},
        {"\"request\":\"ffffffffffffffff\"", true},
        {"\"request\":\"\"", false},
        {"\"error\":{\"code\":1}", true},
        {"\"error\":[]", false},
        {"\"error\":null", false},
        {"\"messages\":[1,[2]]", true},
        {"\"messages\":{}", false},
        /* since */
        {"\"since\":{\"epoch\":" EPOCH ",\"offset\":0}", true},
        {"\"since\":{\"offset\":0,\"epoch\":" EPOCH "}", true},
        {"\"since\":[{\"epoch\":" EPOCH ",\"offset\":0},{\"epoch\":" EPOCH ",\"offset\":1}]", true},
        {"\"since\":{}", false},
        {"\"since\":{\"epoch\":" EPOCH "}", false},
        {"\"since\":{\"offset\":1}", false},
        {"\"since\":{\"epoch\":" EPOCH ",\"offset\":0,\"more\":1}", false},
        {"\"since\":{\"epoch\":" EPOCH ",\"offset\":0,\"offset\":1}", false},
        {"\"since\":{\"epoch\":" EPOCH ",\"epoch\":" EPOCH ",\"offset\":0}", false},
        {"\"since\":{\"epoch\":1,\"offset\":0}", false},
        {"\"since\":{\"epoch\":" EPOCH ",\"offset\":\"0\"}", false},
        {"\"since\":[{}]", false},
        {"\"since\":[1]", false},
        {"\"since\":[[]]", false},
        {"\"since\":1", false},
        {"\"since\":null", false},
        /* key */
        {"\"key\":{\"low\":1,\"seq\":1,\"producer\":" UUID "}", true},
        {"\"key\":{\"low\":2,\"seq\":1,\"producer\":" UUID "}", false},
        {"\"key\":{\"low\":0,\"seq\":1,\"producer\":" UUID "}", false},
        {"\"key\":{\"low\":0,\"seq\":0,\"producer\":" UUID "}", false},
        {"\"key\":{\"seq\":1,\"producer\":" UUID "}", false},
        {"\"key\":{\"low\":1,\"producer\":" UUID "}", false},
        {"\"key\":{\"low\":1,\"seq\":1}", false},
        {"\"key\":{\"low\":1,\"seq\":1,\"seq\":2,\"producer\":" UUID "}", false},
        {"\"key\":{\"low\":1,\"low\":1,\"seq\":1,\"producer\":" UUID "}", false},
        {"\"key\":{\"low\":1,\"seq\":1,\"producer\":" UUID ",\"x\":1}", false},
        {"\"key\":{\"low\":1,\"seq\":1,\"producer\":\"00112233-4455-6677-8899-AABBCCDDEEFF\"}", false},
        {"\"key\":{\"low\":1,\"seq\":1,\"producer\":\"00112233445566778899aabbccddeeff\"}", false},
        {"\"key\":{\"low\":1,\"seq\":1,\"producer\":\"00112233-4455-6677-8899-aabbccddeef\"}", false},
        {"\"key\":{\"low\":1,\"seq\":1,\"producer\":\"00112233-4455-6677-8899-aabbccddeeff0\"}", false},
        {"\"key\":{\"low\":1,\"seq\":1,\"producer\":\"0011223-34455-6677-8899-aabbccddeeff\"}", false},
        {"\"key\":{\"low\":1,\"seq\":1,\"producer\":\"\"}", false},
        {"\"key\":{\"low\":2,\"after\":1,\"seq\":2,\"producer\":" UUID "}", true},
        {"\"key\":{\"low\":1,\"after\":0,\"seq\":2,\"producer\":" UUID "}", false},
        {"\"key\":{\"low\":1,\"after\":2,\"seq\":2,\"producer\":" UUID "}", false},
        {"\"key\":{\"low\":1,\"after\":1,\"after\":1,\"seq\":2,\"producer\":" UUID "}", false},
        {"\"key\":{\"low\":1,\"seq\":9223372036854775808,\"producer\":" UUID "}", false},
        {"\"key\":{}", false},
        {"\"key\":[]", false},
        /* headers */
        {"\"headers\":[[\"\",\"\"]]", true},
        {"\"headers\":[[\"a\",\"b\"],[\"a\",\"c\"]]", true},
        {"\"headers\":[[\"a\"]]", false},
        {"\"headers\":[[]]", false},
        {"\"headers\":[[\"a\",\"b\",\"c\"]]", false},
        {"\"headers\":[[\"a\",1]]", false},
        {"\"headers\":[[1,\"a\"]]", false},
        {"\"headers\":[[\"a\",[\"b\"]]]", false},
        {"\"headers\":[\"a\"]", false},
        {"\"headers\":[[\"a\",\"b\"],1]", false},
        {"\"headers\":[[\"\\udc00\",\"b\"]]", false},
        {"\"headers\":{}", false},
        {"\"headers\":\"a\"", false},
    };
    struct pixi_rpc_params p;
    struct inv_guard g;
    char text[300];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(text, sizeof text, "{%s}", cases[i].text);
        if (read_guarded(-1, text, &g, &p) != (cases[i].is_good ? PIXI_OK : PIXI_E_RPC_PARAMS))
            fail_msg("%s: '%s'", text, p.detail);
        if (!cases[i].is_good && !strstr(p.detail, "expected ") && !strstr(p.detail, "more than one"))
            fail_msg("%s: '%s'", text, p.detail);
        inv_guard_free(&g);
    }
}

static void strings_are_unescaped_in_place(void **state)
{
    struct pixi_rpc_params p;
    struct inv_guard g;

    (void)state;
    assert_int_equal(read_guarded(PIXI_RPC_PUBLISH,
                                  "{ \"t\\u006fpic\" : \"\\u0061/\\u00e9\\ud83d\\ude00\\\"\" , "
                                  "\"payload\" : [ 1, \"\\u0061\" ] }",
                                  &g, &p),
                     PIXI_OK);
    same_text(p.topic, "a/\xc3\xa9\xf0\x9f\x98\x80\"");
    same_text(p.payload, "[ 1, \"\\u0061\" ]"); /* as it was written */
    assert_true(p.is_json);
    inv_guard_free(&g);
    assert_int_equal(read_guarded(PIXI_RPC_UNSUBSCRIBE, "{\"filter\":\"a\\u0000b\"}", &g, &p), PIXI_OK);
    assert_memory_equal(p.filter.p, "a\0b", 3);
    assert_int_equal(pixi_cur_left(&p.filter), 3);
    inv_guard_free(&g);
}

static void base64_payloads(void **state)
{
    static const struct {
        const char *text, *bytes;
        size_t len;
    } cases[] = {
        {"", "", 0},
        {"AA==", "\0", 1},
        {"AAE=", "\0\1", 2},
        {"AAEC", "\0\1\2", 3},
        {"//79+w==", "\xff\xfe\xfd\xfb", 4},
        {"\\u0041AEC", "\0\1\2", 3},
        {"\\/\\/79+w==", "\xff\xfe\xfd\xfb", 4},
    };
    struct pixi_rpc_params p;
    struct inv_guard g;
    char text[100];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(text, sizeof text, "{\"topic\":\"t\",\"payload_base64\":\"%s\"}", cases[i].text);
        assert_int_equal(read_guarded(PIXI_RPC_PUBLISH, text, &g, &p), PIXI_OK);
        assert_false(p.is_json);
        assert_non_null(p.payload.p);
        assert_int_equal(pixi_cur_left(&p.payload), cases[i].len);
        assert_memory_equal(p.payload.p, cases[i].bytes, cases[i].len);
        inv_guard_free(&g);
    }
}

static void numbers_and_positions(void **state)
{
    struct pixi_rpc_params p;
    struct inv_guard g;

    (void)state;
    assert_int_equal(
        read_guarded(-1,
                     "{\"epoch\":\"00000000000000ff\",\"offset\":7,\"recovered\":true,\"other\":{\"a\":[1]},"
                     "\"time_ms\":8,\"since\":[{\"epoch\":\"8000000000000000\",\"offset\":3},"
                     "{\"offset\":4,\"epoch\":\"0000000000000001\"}],"
                     "\"key\":{\"producer\":" UUID ",\"seq\":9,\"low\":5},\"request\":\"fedcba9876543210\"}",
                     &g, &p),
        PIXI_OK);
    assert_int_equal(p.position.epoch, 255);
    assert_int_equal(p.position.offset, 7);
    assert_true(p.recovered);
    assert_int_equal(p.time_ms, 8);
    assert_int_equal(p.since_count, 2);
    assert_int_equal(p.since[0].epoch, 1ull << 63);
    assert_int_equal(p.since[0].offset, 3);
    assert_int_equal(p.since[1].epoch, 1);
    assert_int_equal(p.since[1].offset, 4);
    assert_memory_equal(p.producer, "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16);
    assert_int_equal(p.seq, 9);
    assert_int_equal(p.low, 5);
    assert_int_equal(p.request, 0xfedcba9876543210);
    inv_guard_free(&g);
}

static void at_most_16_positions(void **state)
{
    struct pixi_buf b = pixi_buf_init(10000);
    struct pixi_rpc_params p;

    (void)state;
    for (size_t count = 0; count <= PIXI_RPC_SINCE_MAX + 1; count++) {
        bool is_over = count > PIXI_RPC_SINCE_MAX;

        pixi_buf_reset(&b);
        pixi_buf_put_str(&b, "{\"filter\":\"f\",\"since\":[");
        for (size_t i = 0; i < count; i++)
            pixi_buf_putf(&b, "%s{\"epoch\":" EPOCH ",\"offset\":%zu}", i ? "," : "", i);
        pixi_buf_put(&b, "]}", 3);
        assert_int_equal(read_buf(PIXI_RPC_SUBSCRIBE, &b, &p), is_over ? PIXI_E_RPC_PARAMS : PIXI_OK);
        if (!is_over)
            assert_int_equal(p.since_count, count);
    }
    pixi_buf_clear(&b);
}

/* ---- headers ---- */

/* "name=value;" of each */
static void put_headers(struct pixi_buf *out, struct pixi_cur headers)
{
    struct pixi_cur name, value;

    while (pixi_rpc_headers_next(&headers, &name, &value)) {
        pixi_buf_put_cur(out, name);
        pixi_buf_put_str(out, "=");
        pixi_buf_put_cur(out, value);
        pixi_buf_put_str(out, ";");
    }
    assert_int_equal(pixi_cur_left(&headers), 0);
}

static void headers_become_neutral(void **state)
{
    static const struct {
        const char *json, *want;
    } cases[] = {
        {"[]", ""},
        {"[ ]", ""},
        {"[[\"a\",\"b\"]]", "a=b;"},
        {"[[\"\",\"\"],[\"\",\"\"],[\"\",\"\"]]", "=;=;=;"},
        {"[[\"a\",\"1\"],[\"a\",\"2\"],[\"bb\",\"\"],[\"\",\"cc\"]]", "a=1;a=2;bb=;=cc;"},
        {" [ [ \"a\" , \"b\" ] , [ \"c\" , \"d\" ] ] ", "a=b;c=d;"},
        {"[[\"\\u0061\\n\",\"\\ud83d\\ude00\"],[\"x\",\"\\\"\"]]", "a\n=\xf0\x9f\x98\x80;x=\";"},
    };
    struct pixi_buf got = pixi_buf_init(10000);
    struct pixi_rpc_params p;
    struct inv_guard g;
    char text[200];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(text, sizeof text, "{\"topic\":\"t\",\"headers\":%s,\"payload\":1}", cases[i].json);
        assert_int_equal(read_guarded(PIXI_RPC_PUBLISH, text, &g, &p), PIXI_OK);
        pixi_buf_reset(&got);
        put_headers(&got, p.headers);
        same_text(pixi_buf_cur(&got), cases[i].want);
        same_text(p.topic, "t"); /* what stands around them is whole */
        same_text(p.payload, "1");
        inv_guard_free(&g);
    }
    pixi_buf_clear(&got);
}

static void header_lengths(void **state)
{
    struct pixi_buf b = pixi_buf_init(1 << 20);
    struct pixi_rpc_params p;
    char *text = malloc(65537);

    (void)state;
    assert_non_null(text);
    memset(text, 'x', 65537);
    for (int len = 65535; len <= 65536; len++)
        for (int is_name = 0; is_name < 2; is_name++) {
            struct pixi_cur rest, name, value;
            struct inv_guard g;
            int rc;

            pixi_buf_reset(&b);
            pixi_buf_put_str(&b, "{\"headers\":[[\"");
            pixi_buf_put(&b, text, is_name ? (size_t)len : 1);
            pixi_buf_put_str(&b, "\",\"");
            pixi_buf_put(&b, text, is_name ? 1 : (size_t)len);
            pixi_buf_put(&b, "\"]]}", 5);
            rc = read_guarded(-1, (char *)b.bytes, &g, &p);
            assert_int_equal(rc, len > 65535 ? PIXI_E_RPC_PARAMS : PIXI_OK);
            if (rc == PIXI_OK) {
                rest = p.headers;
                assert_true(pixi_rpc_headers_next(&rest, &name, &value));
                assert_int_equal(pixi_cur_left(is_name ? &name : &value), len);
                assert_int_equal(pixi_cur_left(is_name ? &value : &name), 1);
            }
            inv_guard_free(&g);
        }
    free(text);
    pixi_buf_clear(&b);
}

static void headers_cut_short(void **state)
{
    static const char neutral[] = "\0\1a\0\2bc\0\0\0\0";
    struct pixi_cur name, value;

    (void)state;
    for (size_t len = 0; len < sizeof neutral; len++) {
        struct inv_guard g = inv_guard(neutral, len);
        struct pixi_cur rest = pixi_cur_init(g.bytes, len);
        size_t count = 0;

        while (pixi_rpc_headers_next(&rest, &name, &value))
            count++;
        assert_int_equal(count, len < 7 ? 0 : len < 11 ? 1 : 2);
        assert_ptr_equal(rest.p, g.bytes + (len < 7 ? 0 : len < 11 ? 7 : 11));
        inv_guard_free(&g);
    }
}

/* ---- what is said about errors ---- */

/* However long a name is and wherever it is cut, what is said is UTF-8: read_guarded looks. */
static void details_are_cut_at_a_character(void **state)
{
    static const char *const chars[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    struct pixi_buf b = pixi_buf_init(10000);
    struct pixi_rpc_params p;

    (void)state;
    for (size_t i = 0; i < COUNT(chars); i++)
        for (size_t skip = 0; skip < 8; skip++)
            for (size_t count = 20; count < 130; count++) {
                pixi_buf_reset(&b);
                pixi_buf_put_str(&b, "{\"");
                for (size_t k = 0; k < skip; k++)
                    pixi_buf_put_str(&b, "x");
                for (size_t k = 0; k < count; k++)
                    pixi_buf_put_str(&b, chars[i]);
                pixi_buf_put(&b, "\":1}", 5);
                assert_int_equal(read_buf(PIXI_RPC_PING, &b, &p), PIXI_E_RPC_PARAMS);
                assert_in_range(strlen(p.detail), 20, PIXI_RPC_DETAIL - 1);
                if (count > 120)
                    assert_in_range(strlen(p.detail), PIXI_RPC_DETAIL - 4, PIXI_RPC_DETAIL - 1);
            }
    pixi_buf_clear(&b);
}

static void details_say_what_was_expected(void **state)
{
    struct pixi_rpc_params p;
    struct inv_guard g;

    (void)state;
    assert_int_equal(read_guarded(PIXI_RPC_HISTORY, "{\"limit\":0}", &g, &p), PIXI_E_RPC_PARAMS);
    assert_string_equal(p.detail, "parameter \"limit\": expected a whole number, 1 .. 1000");
    inv_guard_free(&g);
    assert_int_equal(read_guarded(PIXI_RPC_HISTORY, "[]", &g, &p), PIXI_E_RPC_PARAMS);
    assert_string_equal(p.detail, "expected an object");
    inv_guard_free(&g);
}

/* ---- random ---- */

static uint32_t seed = 3;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(seed >> 4) * n >> 28);
}

/* Changed texts that are still JSON, as an envelope has made sure: nothing makes it leave the text. */
static void mutated(void **state)
{
    static const char all[] =
        "{\"topic\":\"a\\u0062/c\",\"payload_base64\":\"//"
        "79+w==\",\"headers\":[[\"\\n\",\"b\"],[\"c\",\"dd\"]],"
        "\"key\":{\"producer\":" UUID ",\"seq\":2,\"low\":1},\"since\":[{\"epoch\":" EPOCH ",\"offset\":1}],"
        "\"error\":{\"a\":[]},\"messages\":[{}],\"limit\":5,\"retain\":true}";
    static const char letters[] = "{}[],:\"\"\\u01.e-=/atns";
    unsigned good = 0, bad = 0;
    char text[sizeof all];

    (void)state;
    for (int round = 0; round < 150000; round++) {
        struct pixi_rpc_params p;
        struct inv_guard g;
        struct pixi_buf headers = pixi_buf_init(10000);
        int rc;

        memcpy(text, all, sizeof all);
        for (uint32_t n = 1 + random_below(3); n > 0; n--)
            text[random_below(sizeof all - 1)] = letters[random_below(sizeof letters - 1)];
        if (pixi_json_check(text, sizeof all - 1, PIXI_RPC_DEPTH, NULL) != PIXI_OK)
            continue;
        rc = read_guarded(round % 2 ? -1 : (int)random_below(PIXI_RPC_METHODS), text, &g, &p);
        *(rc == PIXI_OK ? &good : &bad) += 1;
        if (rc == PIXI_OK)
            put_headers(&headers, p.headers);
        pixi_buf_clear(&headers);
        inv_guard_free(&g);
    }
    assert_true(good > 500);
    assert_true(bad > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(method_names),
        cmocka_unit_test(each_method_takes_its_own),
        cmocka_unit_test(each_method_needs_its_own),
        cmocka_unit_test(nothing_comes_twice),
        cmocka_unit_test(the_local_socket_takes_more),
        cmocka_unit_test(none_sent),
        cmocka_unit_test(a_reply_is_payload_or_error),
        cmocka_unit_test(what_is_not_said),
        cmocka_unit_test(values_of_each_type),
        cmocka_unit_test(strings_are_unescaped_in_place),
        cmocka_unit_test(base64_payloads),
        cmocka_unit_test(numbers_and_positions),
        cmocka_unit_test(at_most_16_positions),
        cmocka_unit_test(headers_become_neutral),
        cmocka_unit_test(header_lengths),
        cmocka_unit_test(headers_cut_short),
        cmocka_unit_test(details_are_cut_at_a_character),
        cmocka_unit_test(details_say_what_was_expected),
        cmocka_unit_test(mutated),
    };

    return cmocka_run_group_tests_name("proto/rpc/params", tests, NULL, NULL);
}
