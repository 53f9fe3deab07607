#include "proto/ws/handshake.h"
#include "vectors.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const char KEY[] = "dGhlIHNhbXBsZSBub25jZQ==", ACCEPT[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

static const struct pixi_http_limits limits = {8192, PIXI_HTTP_FIELDS};

struct reading {
    enum pixi_role from;
    const struct pixi_ws_hello *hello;
    struct pixi_http_head head;
    struct pixi_ws_request request;
    struct pixi_ws_answer answer;
};

static void same_text(struct pixi_cur got, const char *want)
{
    if (!pixi_cur_equals(got, pixi_cur_str(want)))
        fail_msg("'%.*s', wanted '%s'", (int)pixi_cur_left(&got), (const char *)got.p, want);
}

/* Head and meaning as one decoder. */
static int decode(struct pixi_cur *in, void *ctx)
{
    struct reading *r = ctx;
    struct pixi_cur c = *in;
    int rc = r->from == PIXI_CLIENT ? pixi_http_request_decode(&c, &limits, &r->head)
                                    : pixi_http_response_decode(&c, &limits, &r->head);

    if (rc == PIXI_OK)
        rc = r->from == PIXI_CLIENT ? pixi_ws_request_check(&r->head, &r->request)
                                    : pixi_ws_response_check(&r->head, r->hello, &r->answer);
    if (rc == PIXI_OK)
        *in = c;
    return rc;
}

/* ---- vectors ---- */

static const struct pixi_ws_hello hello_of_vectors = {
    .host = "h", .path = "/", .key = KEY, .protocols = "pixi.v1"};

static void check_rest(const struct vec *v, struct reading *r)
{
    struct pixi_buf rest = pixi_buf_init(10000);
    struct pixi_cur in = pixi_cur_init(v->bytes, v->len);

    assert_int_equal(decode(&in, r), PIXI_OK);
    if (in.p != in.end)
        pixi_buf_put_str(&rest, "rest:");
    for (; in.p != in.end; in.p++)
        pixi_buf_putf(&rest, "%02x", *in.p);
    if (v->events)
        same_text(pixi_buf_cur(&rest), v->events);
    pixi_buf_clear(&rest);
}

static void check_file(const char *path)
{
    struct vec_list list = vec_load(path);

    for (size_t i = 0; i < list.count; i++) {
        struct reading r = {.from = list.at[i].from, .hello = &hello_of_vectors};

        inv_prefix(list.at[i].id, decode, &r, list.at[i].bytes, list.at[i].len, list.at[i].verdict);
        if (list.at[i].verdict == PIXI_OK)
            check_rest(&list.at[i], &r);
    }
    vec_free(&list);
}

static void requests(void **state)
{
    (void)state;
    check_file("tests/vectors/ws/handshake_request.txt");
}

static void responses(void **state)
{
    (void)state;
    check_file("tests/vectors/ws/handshake_response.txt");
}

/* ---- requests ---- */

#define REQUEST                                                                                              \
    "GET /a HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                            \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static int read_str(struct reading *r, const char *text)
{
    struct pixi_cur in = pixi_cur_str(text);

    return decode(&in, r);
}

static void request_tells(void **state)
{
    struct reading r = {.from = PIXI_CLIENT};

    (void)state;
    assert_int_equal(read_str(&r, REQUEST "\r\n"), PIXI_OK);
    same_text(r.request.key, KEY);
    assert_null(r.request.origin.p);
    assert_int_equal(r.request.protocol_count, 0);
    assert_int_equal(read_str(&r, REQUEST "Origin: http://o\r\nSec-WebSocket-Protocol: b, a\r\n"
                                          "sec-websocket-protocol:c\r\n\r\n"),
                     PIXI_OK);
    same_text(r.request.origin, "http://o");
    assert_int_equal(r.request.protocol_count, 3);
    same_text(r.request.protocols[0], "b");
    same_text(r.request.protocols[1], "a");
    same_text(r.request.protocols[2], "c");
}

static void an_error_leaves_the_request_alone(void **state)
{
    struct reading r = {.from = PIXI_CLIENT, .request = {.protocol_count = 77}};

    (void)state;
    assert_int_equal(read_str(&r, REQUEST "Sec-WebSocket-Protocol: a, a\r\n\r\n"), PIXI_E_WS_PROTOCOL);
    assert_int_equal(r.request.protocol_count, 77);
    assert_null(r.request.key.p);
}

static void at_most_16_protocols(void **state)
{
    struct pixi_buf b = pixi_buf_init(10000);
    struct reading r = {.from = PIXI_CLIENT};

    (void)state;
    for (unsigned count = 1; count <= PIXI_WS_PROTOCOLS + 2; count++) {
        struct pixi_cur in;
        bool is_bad = count > PIXI_WS_PROTOCOLS;

        pixi_buf_reset(&b);
        pixi_buf_put_str(&b, REQUEST "Sec-WebSocket-Protocol: p0");
        for (unsigned i = 1; i < count; i++)
            pixi_buf_putf(&b, ",p%u", i);
        pixi_buf_put_str(&b, "\r\n\r\n");
        in = pixi_buf_cur(&b);
        assert_int_equal(decode(&in, &r), is_bad ? PIXI_E_WS_PROTOCOL : PIXI_OK);
        if (!is_bad)
            assert_int_equal(r.request.protocol_count, count);
    }
    pixi_buf_clear(&b);
}

static void statuses(void **state)
{
    static const struct {
        int err;
        unsigned status;
    } cases[] = {
        {PIXI_E_WS_METHOD, 405},   {PIXI_E_WS_UPGRADE, 426},   {PIXI_E_WS_VERSION, 426},
        {PIXI_E_HTTP_SIZE, 431},   {PIXI_E_HTTP_COUNT, 431},   {PIXI_E_HTTP_VERSION, 505},
        {PIXI_E_HTTP_LINE, 400},   {PIXI_E_HTTP_START, 400},   {PIXI_E_HTTP_FIELD, 400},
        {PIXI_E_HTTP_BODY, 400},   {PIXI_E_HTTP_HOST, 400},    {PIXI_E_WS_KEY, 400},
        {PIXI_E_WS_PROTOCOL, 400}, {PIXI_E_WS_EXTENSION, 400},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(pixi_ws_request_status(cases[i].err), cases[i].status);
}

/* ---- both ---- */

static void accept_of_the_example(void **state)
{
    char accept[PIXI_WS_ACCEPT_LEN];

    (void)state;
    pixi_ws_accept(pixi_cur_str(KEY), accept); /* RFC 6455 §1.3 */
    assert_memory_equal(accept, ACCEPT, sizeof accept);
}

static void hello_comes_back(void **state)
{
    struct pixi_ws_hello hello = {.host = "h:1", .path = "/a?b", .key = KEY};
    struct pixi_buf b = pixi_buf_init(10000);
    struct reading r = {.from = PIXI_CLIENT};
    struct pixi_cur value;

    (void)state;
    pixi_ws_request_put(&b, &hello);
    assert_int_equal(b.err, PIXI_OK);
    inv_prefix("bare", decode, &r, b.bytes, b.len, PIXI_OK);
    assert_int_equal(r.head.field_count, 5);

    pixi_buf_reset(&b);
    hello.protocols = "pixi.v1, mqtt";
    hello.authorization = "Bearer x y";
    hello.origin = "http://o";
    pixi_ws_request_put(&b, &hello);
    inv_prefix("full", decode, &r, b.bytes, b.len, PIXI_OK);
    value = pixi_buf_cur(&b);
    assert_int_equal(decode(&value, &r), PIXI_OK);
    same_text(r.head.target, "/a?b");
    assert_true(pixi_http_find(&r.head, "host", &value, NULL));
    same_text(value, "h:1");
    assert_true(pixi_http_find(&r.head, "authorization", &value, NULL));
    same_text(value, "Bearer x y");
    same_text(r.request.origin, "http://o");
    same_text(r.request.key, KEY);
    assert_int_equal(r.request.protocol_count, 2);
    same_text(r.request.protocols[0], "pixi.v1");
    same_text(r.request.protocols[1], "mqtt");
    pixi_buf_clear(&b);
}

static void hello_cannot_smuggle(void **state)
{
    static const char *const bad[] = {"a\r\nX: y", "a\nb", "a\rb", "a\x7f", "\x01"};
    struct pixi_buf b = pixi_buf_init(10000);

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        for (int which = 0; which < 5; which++) {
            struct pixi_ws_hello hello = {.host = "h", .path = "/", .key = KEY};
            const char **members[] = {&hello.host, &hello.path, &hello.protocols, &hello.authorization,
                                      &hello.origin};

            *members[which] = bad[i];
            pixi_buf_reset(&b);
            pixi_ws_request_put(&b, &hello);
            assert_int_equal(b.err, PIXI_E_HTTP_FIELD);
        }
    pixi_buf_reset(&b);
    pixi_ws_request_put(&b, &(struct pixi_ws_hello){.host = "h", .path = "/a HTTP/1.1", .key = KEY});
    assert_int_equal(b.err, PIXI_E_HTTP_FIELD);
    pixi_buf_clear(&b);
}

static void answer_comes_back(void **state)
{
    static const char *const chosen[] = {NULL, "a", "b"};
    struct pixi_ws_hello hello = {.host = "h", .path = "/", .key = KEY, .protocols = "a, b"};
    struct pixi_ws_request request = {.key = pixi_cur_str(KEY)};
    struct pixi_buf b = pixi_buf_init(10000);

    (void)state;
    for (size_t i = 0; i < COUNT(chosen); i++) {
        struct reading r = {.from = PIXI_SERVER, .hello = &hello};
        struct pixi_cur in, protocol = chosen[i] ? pixi_cur_str(chosen[i]) : pixi_cur_init(NULL, 0);

        pixi_buf_reset(&b);
        pixi_ws_response_put(&b, &request, protocol, NULL);
        assert_int_equal(b.err, PIXI_OK);
        inv_prefix("answer", decode, &r, b.bytes, b.len, PIXI_OK);
        in = pixi_buf_cur(&b);
        assert_int_equal(decode(&in, &r), PIXI_OK);
        if (chosen[i])
            same_text(r.answer.protocol, chosen[i]);
        else
            assert_null(r.answer.protocol.p);
    }
    pixi_buf_clear(&b);
}

/* ---- responses ---- */

#define RESPONSE                                                                                             \
    "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                                        \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static void response_verdicts(void **state)
{
    static const struct {
        const char *text, *offered;
        int err;
    } cases[] = {
        {RESPONSE "\r\n", NULL, PIXI_OK},
        {RESPONSE "Content-Length: 0\r\n\r\n", NULL, PIXI_OK},
        {RESPONSE "Content-Length: 1\r\n\r\n", NULL, PIXI_E_HTTP_BODY},
        {RESPONSE "Content-Length: 0\r\nContent-Length: 0\r\n\r\n", NULL, PIXI_E_HTTP_BODY},
        {RESPONSE "Transfer-Encoding: chunked\r\n\r\n", NULL, PIXI_E_HTTP_BODY},
        {"HTTP/1.1 101 x\r\nContent-Length: 5\r\n\r\n", NULL, PIXI_E_HTTP_BODY},
        {"HTTP/1.1 200 x\r\nContent-Length: 5\r\n\r\n", NULL, PIXI_E_WS_STATUS},
        {RESPONSE "Sec-WebSocket-Protocol: a\r\n\r\n", "a", PIXI_OK},
        {RESPONSE "Sec-WebSocket-Protocol: a\r\n\r\n", "b,  a", PIXI_OK},
        {RESPONSE "Sec-WebSocket-Protocol: a\r\n\r\n", NULL, PIXI_E_WS_PROTOCOL},
        {RESPONSE "Sec-WebSocket-Protocol: a\r\n\r\n", "b", PIXI_E_WS_PROTOCOL},
        {RESPONSE "Sec-WebSocket-Protocol: A\r\n\r\n", "a", PIXI_E_WS_PROTOCOL},
        {RESPONSE "Sec-WebSocket-Protocol: a, b\r\n\r\n", "a, b", PIXI_E_WS_PROTOCOL},
        {RESPONSE "Sec-WebSocket-Extensions: x\r\n\r\n", NULL, PIXI_E_WS_EXTENSION},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pixi_ws_hello hello = {.key = KEY, .protocols = cases[i].offered};
        struct reading r = {.from = PIXI_SERVER, .hello = &hello};

        inv_prefix(cases[i].text, decode, &r, cases[i].text, strlen(cases[i].text), cases[i].err);
    }
}

/* ---- permessage-deflate ---- */

static void same_deflate(const char *text, const struct pixi_ws_deflate *got, struct pixi_ws_deflate want)
{
    if (memcmp(got, &want, sizeof want) != 0)
        fail_msg("%s: %d %d %u %u", text, got->server_no_context_takeover, got->client_no_context_takeover,
                 got->server_max_window_bits, got->client_max_window_bits);
}

/* The first offer without a fault counts, in whichever field it stands. */
static void offers(void **state)
{
    static const struct {
        const char *fields;
        bool is_offered;
        struct pixi_ws_deflate want;
    } cases[] = {
        {"", false, {false, false, 0, 0}},
        {"Sec-WebSocket-Extensions: x-other\r\n", false, {false, false, 0, 0}},
        {"Sec-WebSocket-Extensions: permessage-deflate\r\n", true, {false, false, 0, 0}},
        {"Sec-WebSocket-Extensions: Permessage-Deflate\r\n", false, {false, false, 0, 0}},
        {"Sec-WebSocket-Extensions: x;a=b, permessage-deflate;server_max_window_bits=9 , "
         "permessage-deflate\r\n",
         true,
         {false, false, 9, 0}},
        {"Sec-WebSocket-Extensions: permessage-deflate;server_max_window_bits=7, permessage-deflate;"
         "client_max_window_bits\r\n",
         true,
         {false, false, 0, 16}},
        {"Sec-WebSocket-Extensions: permessage-deflate; window=1\r\nSec-WebSocket-Extensions: "
         "permessage-deflate;server_no_context_takeover\r\n",
         true,
         {true, false, 0, 0}},
        {"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover=1\r\n",
         false,
         {false, false, 0, 0}},
    };
    struct pixi_buf b = pixi_buf_init(10000);

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct reading r = {.from = PIXI_CLIENT};

        pixi_buf_reset(&b);
        pixi_buf_putf(&b, "%s%s\r\n", REQUEST, cases[i].fields);
        inv_prefix(cases[i].fields, decode, &r, b.bytes, b.len, PIXI_OK);
        assert_int_equal(r.request.offers_deflate, cases[i].is_offered);
        if (cases[i].is_offered)
            same_deflate(cases[i].fields, &r.request.deflate, cases[i].want);
    }
    pixi_buf_clear(&b);
}

static void answers_to_an_offer(void **state)
{
    static const struct pixi_ws_deflate offer = {true, true, 0, PIXI_WS_BITS_ANY},
                                        least = {false, false, 0, 0};
    static const struct {
        const char *field;
        const struct pixi_ws_deflate *offer;
        int err;
        bool is_agreed;
    } cases[] = {
        {"", &offer, PIXI_OK, false},
        {"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n", &offer, PIXI_OK,
         true},
        {"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
         "client_max_window_bits=10; "
         "server_max_window_bits=12; client_no_context_takeover\r\n",
         &offer, PIXI_OK, true},
        {"Sec-WebSocket-Extensions: permessage-deflate\r\n", &least, PIXI_OK, true},
        {"Sec-WebSocket-Extensions: permessage-deflate\r\n", NULL, PIXI_E_WS_EXTENSION, false},
        {"Sec-WebSocket-Extensions: permessage-deflate\r\n", &offer, PIXI_E_WS_DEFLATE_CONTEXT, false},
        {"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=15\r\n", &least,
         PIXI_E_WS_DEFLATE_ASKED, false},
        {"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n", &offer,
         PIXI_E_WS_DEFLATE_VALUE, false},
        {"Sec-WebSocket-Extensions: permessage-deflate; x\r\n", &offer, PIXI_E_WS_DEFLATE_NAME, false},
        {"Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; "
         "client_no_context_takeover\r\n",
         &offer, PIXI_E_WS_DEFLATE_TWICE, false},
        {"Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover=\r\n", &offer,
         PIXI_E_WS_EXTENSION, false},
        {"Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate\r\n", &least, PIXI_E_WS_EXTENSION,
         false},
        {"Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
         &least, PIXI_E_WS_EXTENSION, false},
        {"Sec-WebSocket-Extensions: permessage-deflate, x\r\n", &least, PIXI_E_WS_EXTENSION, false},
        {"Sec-WebSocket-Extensions: x\r\n", &offer, PIXI_E_WS_EXTENSION, false},
    };
    struct pixi_buf b = pixi_buf_init(10000);

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pixi_ws_hello hello = {.key = KEY, .deflate = cases[i].offer};
        struct reading r = {.from = PIXI_SERVER, .hello = &hello};

        pixi_buf_reset(&b);
        pixi_buf_putf(&b, "%s%s\r\n", RESPONSE, cases[i].field);
        inv_prefix(cases[i].field, decode, &r, b.bytes, b.len, cases[i].err);
        if (cases[i].err == PIXI_OK)
            assert_int_equal(r.answer.has_deflate, cases[i].is_agreed);
    }
    pixi_buf_clear(&b);
}

/* What one side writes the other reads, there and back. */
static void deflate_is_agreed_on(void **state)
{
    static const struct pixi_ws_deflate offer = {true, true, 10, PIXI_WS_BITS_ANY};
    struct pixi_ws_hello hello = {.host = "h", .path = "/", .key = KEY, .deflate = &offer};
    struct reading server = {.from = PIXI_CLIENT}, client = {.from = PIXI_SERVER, .hello = &hello};
    struct pixi_ws_deflate answer;
    struct pixi_buf b = pixi_buf_init(10000);
    struct pixi_cur in;

    (void)state;
    pixi_ws_request_put(&b, &hello);
    in = pixi_buf_cur(&b);
    assert_int_equal(decode(&in, &server), PIXI_OK);
    assert_true(server.request.offers_deflate);
    same_deflate("offer", &server.request.deflate, offer);
    answer = pixi_ws_deflate_answer(&server.request.deflate);
    server.request.key = pixi_cur_str(KEY);
    pixi_buf_reset(&b);
    pixi_ws_response_put(&b, &server.request, pixi_cur_init(NULL, 0), &answer);
    in = pixi_buf_cur(&b);
    assert_int_equal(decode(&in, &client), PIXI_OK);
    assert_true(client.answer.has_deflate);
    same_deflate("answer", &client.answer.deflate, answer);
    pixi_buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(responses),
        cmocka_unit_test(request_tells),
        cmocka_unit_test(an_error_leaves_the_request_alone),
        cmocka_unit_test(at_most_16_protocols),
        cmocka_unit_test(statuses),
        cmocka_unit_test(accept_of_the_example),
        cmocka_unit_test(hello_comes_back),
        cmocka_unit_test(hello_cannot_smuggle),
        cmocka_unit_test(answer_comes_back),
        cmocka_unit_test(response_verdicts),
        cmocka_unit_test(offers),
        cmocka_unit_test(answers_to_an_offer),
        cmocka_unit_test(deflate_is_agreed_on),
    };

    return cmocka_run_group_tests_name("proto/ws/handshake", tests, NULL, NULL);
}
