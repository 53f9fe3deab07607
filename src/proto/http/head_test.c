#include "proto/http/head.h"
#include "vectors.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const struct pixi_http_limits full = {8192, PIXI_HTTP_FIELDS};

struct reading {
    enum pixi_role from;
    const struct pixi_http_limits *limits;
    struct pixi_http_head head;
};

static int decode(struct pixi_cur *in, void *ctx)
{
    struct reading *r = ctx;

    return r->from == PIXI_CLIENT ? pixi_http_request_decode(in, r->limits, &r->head)
                                  : pixi_http_response_decode(in, r->limits, &r->head);
}

/* Reads a whole head that must be right; its slices borrow from text. */
static void decode_str(enum pixi_role from, const char *text, struct pixi_http_head *out)
{
    struct reading r = {.from = from, .limits = &full};
    struct pixi_cur in = pixi_cur_str(text);

    assert_int_equal(decode(&in, &r), PIXI_OK);
    assert_int_equal(pixi_cur_left(&in), 0);
    *out = r.head;
}

static void same_text(struct pixi_cur got, const char *want)
{
    if (!pixi_cur_equals(got, pixi_cur_str(want)))
        fail_msg("'%.*s', wanted '%s'", (int)pixi_cur_left(&got), (const char *)got.p, want);
}

/* ---- vectors ---- */

/* What the head alone says: faults in what its fields mean are found later. */
static int verdict_of_head(int verdict)
{
    switch (verdict) {
    case PIXI_MORE:
    case PIXI_E_HTTP_LINE:
    case PIXI_E_HTTP_START:
    case PIXI_E_HTTP_FIELD:
    case PIXI_E_HTTP_SIZE:
    case PIXI_E_HTTP_COUNT:
    case PIXI_E_HTTP_VERSION: return verdict;
    default: return PIXI_OK;
    }
}

static void check_file(const char *path)
{
    struct vec_list list = vec_load(path);

    for (size_t i = 0; i < list.count; i++) {
        const struct vec *v = &list.at[i];
        struct reading r = {.from = v->from, .limits = &full};

        inv_prefix(v->id, decode, &r, v->bytes, v->len, verdict_of_head(v->verdict));
    }
    vec_free(&list);
}

static void requests_by_prefix(void **state)
{
    (void)state;
    check_file("tests/vectors/ws/handshake_request.txt");
}

static void responses_by_prefix(void **state)
{
    (void)state;
    check_file("tests/vectors/ws/handshake_response.txt");
}

/* ---- what is read ---- */

static void request_parts(void **state)
{
    struct pixi_http_head h;

    (void)state;
    decode_str(PIXI_CLIENT, "DELETE /a?b=c HTTP/1.1\r\nHost:h\r\nX-A: \t a  b\t \r\nX-B:\r\n\r\n", &h);
    same_text(h.method, "DELETE");
    same_text(h.target, "/a?b=c");
    assert_int_equal(h.status, 0);
    assert_null(h.reason.p);
    assert_int_equal(h.field_count, 3);
    same_text(h.fields[0].name, "Host");
    same_text(h.fields[0].value, "h");
    same_text(h.fields[1].name, "X-A");
    same_text(h.fields[1].value, "a  b");
    same_text(h.fields[2].name, "X-B");
    same_text(h.fields[2].value, "");
}

static void response_parts(void **state)
{
    struct pixi_http_head h;

    (void)state;
    decode_str(PIXI_SERVER, "HTTP/1.1 404 Not Found\r\nA:1\r\n\r\n", &h);
    assert_int_equal(h.status, 404);
    same_text(h.reason, "Not Found");
    assert_null(h.method.p);
    assert_null(h.target.p);
    assert_int_equal(h.field_count, 1);
    decode_str(PIXI_SERVER, "HTTP/1.1 599 \r\n\r\n", &h);
    assert_int_equal(h.status, 599);
    same_text(h.reason, "");
    assert_int_equal(h.field_count, 0);
}

static void what_follows_is_left(void **state)
{
    struct pixi_cur in = pixi_cur_str("GET / HTTP/1.1\r\n\r\nGET /");
    struct reading r = {.from = PIXI_CLIENT, .limits = &full};

    (void)state;
    assert_int_equal(decode(&in, &r), PIXI_OK);
    same_text(in, "GET /");
}

/* ---- limits ---- */

/* "GET / HTTP/1.1", fields "a:b", and a last field that fills up to len bytes; the whole in out. */
static void put_head(struct pixi_buf *out, size_t field_count, size_t len)
{
    pixi_buf_reset(out);
    pixi_buf_put_str(out, "GET / HTTP/1.1\r\n");
    for (size_t i = 0; i + 1 < field_count; i++)
        pixi_buf_put_str(out, "a:b\r\n");
    if (field_count)
        pixi_buf_put_str(out, "pad:");
    while (field_count && out->len + 4 < len)
        pixi_buf_put_str(out, "x");
    pixi_buf_put_str(out, field_count ? "\r\n\r\n" : "\r\n");
    assert_int_equal(out->err, PIXI_OK);
}

static void head_bytes(void **state)
{
    struct pixi_buf b = pixi_buf_init(10000);

    (void)state;
    for (size_t len = 30; len < 60; len++) {
        struct pixi_http_limits limits = {len, PIXI_HTTP_FIELDS};
        struct reading r = {.from = PIXI_CLIENT, .limits = &limits};

        put_head(&b, 1, len);
        assert_int_equal(b.len, len);
        inv_prefix("as long as it may be", decode, &r, b.bytes, b.len, PIXI_OK);
        for (limits.head_bytes = 1; limits.head_bytes < len; limits.head_bytes++)
            inv_prefix("too long", decode, &r, b.bytes, b.len, PIXI_E_HTTP_SIZE);
    }
    pixi_buf_clear(&b);
}

static void field_count(void **state)
{
    struct pixi_buf b = pixi_buf_init(10000);

    (void)state;
    for (size_t count = 0; count <= PIXI_HTTP_FIELDS + 2; count++) {
        struct pixi_http_limits limits = {8192, count};
        struct reading r = {.from = PIXI_CLIENT, .limits = &limits};

        put_head(&b, count, 0);
        inv_prefix("as many as there may be", decode, &r, b.bytes, b.len,
                   count <= PIXI_HTTP_FIELDS ? PIXI_OK : PIXI_E_HTTP_COUNT);
        if (count <= PIXI_HTTP_FIELDS)
            assert_int_equal(r.head.field_count, count);
        if (count == 0)
            continue;
        limits.field_count = count - 1;
        inv_prefix("one too many", decode, &r, b.bytes, b.len, PIXI_E_HTTP_COUNT);
    }
    pixi_buf_clear(&b);
}

/* ---- fields ---- */

static void find(void **state)
{
    struct pixi_http_head h;
    struct pixi_cur value;
    size_t count;

    (void)state;
    decode_str(PIXI_CLIENT, "GET / HTTP/1.1\r\nOne: 1\r\nTwo: a\r\ntWO: b\r\nOnes: 2\r\n\r\n", &h);
    assert_true(pixi_http_find(&h, "oNe", &value, &count));
    same_text(value, "1");
    assert_int_equal(count, 1);
    assert_true(pixi_http_find(&h, "ones", &value, NULL));
    same_text(value, "2");
    assert_false(pixi_http_find(&h, "two", &value, &count));
    assert_int_equal(count, 2);
    assert_false(pixi_http_find(&h, "on", &value, &count));
    assert_int_equal(count, 0);
}

static void request_checks(void **state)
{
    static const struct {
        const char *fields;
        int err;
    } cases[] = {
        {"Host:h\r\n", PIXI_OK},
        {"Host:\r\n", PIXI_OK},
        {"", PIXI_E_HTTP_HOST},
        {"Host:h\r\nhost:h\r\n", PIXI_E_HTTP_HOST},
        {"Host:h\r\nContent-Length:0\r\n", PIXI_OK},
        {"Host:h\r\nContent-Length:00\r\n", PIXI_E_HTTP_BODY},
        {"Host:h\r\nContent-Length:1\r\n", PIXI_E_HTTP_BODY},
        {"Host:h\r\nContent-Length:\r\n", PIXI_E_HTTP_BODY},
        {"Host:h\r\nContent-Length:0\r\nContent-Length:0\r\n", PIXI_E_HTTP_BODY},
        {"Host:h\r\nContent-Length:0, 0\r\n", PIXI_E_HTTP_BODY},
        {"Host:h\r\nTransfer-Encoding:identity\r\n", PIXI_E_HTTP_BODY},
        {"Host:h\r\nTransfer-Encoding:\r\n", PIXI_E_HTTP_BODY},
        {"Transfer-Encoding:a\r\n", PIXI_E_HTTP_HOST},
    };
    struct pixi_http_head h;
    char text[200];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(text, sizeof text, "GET / HTTP/1.1\r\n%s\r\n", cases[i].fields);
        decode_str(PIXI_CLIENT, text, &h);
        if (pixi_http_request_check(&h) != cases[i].err)
            fail_msg("%s: %s", cases[i].fields, pixi_err_name(pixi_http_request_check(&h)));
        if (cases[i].err != PIXI_E_HTTP_HOST)
            assert_int_equal(pixi_http_has_body(&h), cases[i].err == PIXI_E_HTTP_BODY);
    }
}

static void paths(void **state)
{
    static const struct {
        const char *target, *path;
    } cases[] = {
        {"/", "/"},           {"/a/b", "/a/b"},        {"/a?b", "/a"},     {"/?", "/"},
        {"/a?b?c/d", "/a"},   {"http://h", ""},        {"http://h/", "/"}, {"http://h/a/b?c", "/a/b"},
        {"http://", ""},      {"https://h:1/a", "/a"}, {"https://h", ""},  {"https://", ""},
        {"https:///a", "/a"}, {"//h/a", "//h/a"},
    };
    struct pixi_http_head h;
    char text[100];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n\r\n", cases[i].target);
        decode_str(PIXI_CLIENT, text, &h);
        same_text(pixi_http_path(&h), cases[i].path);
    }
}

static void lists(void **state)
{
    static const struct {
        const char *fields, *elements; /* in brackets */
    } cases[] = {
        {"", ""},
        {"L:\r\n", "[]"},
        {"L:a\r\n", "[a]"},
        {"L: a , b\t,\tc \r\n", "[a][b][c]"},
        {"L:a,,b\r\n", "[a][][b]"},
        {"L:,\r\n", "[][]"},
        {"L:a,\r\n", "[a][]"},
        {"L:a\r\nM:x\r\nl:b,c\r\nLL:y\r\n", "[a][b][c]"},
        {"L:\r\nL:\r\n", "[][]"},
        {"L:\"a,b\",c\r\n", "[\"a,b\"][c]"},
        {"L:a;b=\"c\\\",d\",e\r\n", "[a;b=\"c\\\",d\"][e]"},
        {"L:\"a,b\r\nL:c\r\n", "[\"a,b][c]"}, /* an open quote ends with its line */
        {"L:\"a\\\r\nL:b\r\n", "[\"a\\][b]"},
        {"L:a\\,b\r\n", "[a\\][b]"}, /* no escape outside quotes */
    };
    struct pixi_buf got = pixi_buf_init(1000);
    struct pixi_http_head h;
    struct pixi_cur element;
    char text[200];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pixi_http_list l;

        snprintf(text, sizeof text, "GET / HTTP/1.1\r\nX:z\r\n%s\r\n", cases[i].fields);
        decode_str(PIXI_CLIENT, text, &h);
        pixi_buf_reset(&got);
        for (l = pixi_http_list(&h, "l"); pixi_http_list_next(&l, &element);) {
            pixi_buf_put_str(&got, "[");
            pixi_buf_put_cur(&got, element);
            pixi_buf_put_str(&got, "]");
        }
        same_text(pixi_buf_cur(&got), cases[i].elements);
        assert_false(pixi_http_list_next(&l, &element));
    }
    pixi_buf_clear(&got);
}

static void list_has(void **state)
{
    struct pixi_http_head h;

    (void)state;
    decode_str(PIXI_CLIENT, "GET / HTTP/1.1\r\nC: keep-alive, UPgrade\r\nc: other\r\n\r\n", &h);
    assert_true(pixi_http_list_has(&h, "c", "upgrade"));
    assert_true(pixi_http_list_has(&h, "C", "OTHER"));
    assert_true(pixi_http_list_has(&h, "c", "keep-alive"));
    assert_false(pixi_http_list_has(&h, "c", "keep"));
    assert_false(pixi_http_list_has(&h, "d", "upgrade"));
}

static void tokens(void **state)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    (void)state;
    assert_false(pixi_http_is_token(pixi_cur_str("")));
    for (unsigned ch = 0; ch < 256; ch++) {
        uint8_t two[2] = {'a', (uint8_t)ch};
        bool want = (ch < 0x80 && isalnum((int)ch)) || (ch && strchr(others, (int)ch));

        assert_int_equal(pixi_http_is_token(pixi_cur_init(two + 1, 1)), want);
        assert_int_equal(pixi_http_is_token(pixi_cur_init(two, 2)), want);
    }
}

static void equals_in_any_case(void **state)
{
    (void)state;
    assert_true(pixi_http_equals(pixi_cur_str("WebSocket"), "websocket"));
    assert_true(pixi_http_equals(pixi_cur_str(""), ""));
    assert_false(pixi_http_equals(pixi_cur_str("websocke"), "websocket"));
    assert_false(pixi_http_equals(pixi_cur_str("websockets"), "websocket"));
    assert_false(pixi_http_equals(pixi_cur_init("a\0", 2), "a"));
    /* only letters have a case */
    assert_false(pixi_http_equals(pixi_cur_str("@"), "`"));
    assert_false(pixi_http_equals(pixi_cur_str("["), "{"));
    assert_false(pixi_http_equals(pixi_cur_str("\r"), "-"));
}

/* ---- writing ---- */

static void put_field(void **state)
{
    struct pixi_buf b = pixi_buf_init(1000);

    (void)state;
    pixi_http_put_field(&b, "A", pixi_cur_str("b \xc3\xa9\tc"));
    pixi_http_put_field(&b, "Empty", pixi_cur_init(NULL, 0));
    same_text(pixi_buf_cur(&b), "A: b \xc3\xa9\tc\r\nEmpty: \r\n");
    assert_int_equal(b.err, PIXI_OK);
    pixi_buf_clear(&b);
}

static void put_field_refuses_controls(void **state)
{
    struct pixi_buf b = pixi_buf_init(1000);

    (void)state;
    for (unsigned ch = 0; ch < 256; ch++)
        for (size_t at = 0; at < 3; at++) {
            char value[3] = {'a', 'b', 'c'};
            bool is_bad = (ch < ' ' && ch != '\t') || ch == 0x7f;

            value[at] = (char)ch;
            pixi_buf_reset(&b);
            pixi_http_put_field(&b, "A", pixi_cur_init(value, sizeof value));
            assert_int_equal(b.err, is_bad ? PIXI_E_HTTP_FIELD : PIXI_OK);
            assert_int_equal(b.len, is_bad ? 0 : 8);
            pixi_buf_put_str(&b, "more"); /* the error stays, and keeps all that follows out */
            assert_int_equal(b.len, is_bad ? 0 : 12);
        }
    pixi_buf_clear(&b);
}

static void put_field_keeps_the_first_error(void **state)
{
    struct pixi_buf b = pixi_buf_init(4);

    (void)state;
    pixi_http_put_field(&b, "A", pixi_cur_str("long"));
    assert_int_equal(b.err, PIXI_E_LIMIT);
    pixi_http_put_field(&b, "A", pixi_cur_str("\r\n"));
    assert_int_equal(b.err, PIXI_E_LIMIT);
    pixi_buf_clear(&b);
}

static void reasons(void **state)
{
    (void)state;
    assert_string_equal(pixi_http_reason(404), "Not Found");
    assert_string_equal(pixi_http_reason(101), "Switching Protocols");
    assert_string_equal(pixi_http_reason(299), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_by_prefix),
        cmocka_unit_test(responses_by_prefix),
        cmocka_unit_test(request_parts),
        cmocka_unit_test(response_parts),
        cmocka_unit_test(what_follows_is_left),
        cmocka_unit_test(head_bytes),
        cmocka_unit_test(field_count),
        cmocka_unit_test(find),
        cmocka_unit_test(request_checks),
        cmocka_unit_test(paths),
        cmocka_unit_test(lists),
        cmocka_unit_test(list_has),
        cmocka_unit_test(tokens),
        cmocka_unit_test(equals_in_any_case),
        cmocka_unit_test(put_field),
        cmocka_unit_test(put_field_refuses_controls),
        cmocka_unit_test(put_field_keeps_the_first_error),
        cmocka_unit_test(reasons),
    };

    return cmocka_run_group_tests_name("proto/http/head", tests, NULL, NULL);
}
