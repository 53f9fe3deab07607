#include "verify/http.h"
#include "invariants.h"

static int decode(struct pixi_cur *in, void *ctx)
{
    static struct pixi_vhttp_head h;

    (void)ctx;
    return pixi_vhttp_read(in, &h);
}

static void heads(void **state)
{
    static const struct {
        const char *text;
        int want;
    } rows[] = {
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", PIXI_OK},
        {"HTTP/1.1 200\r\n\r\n", PIXI_OK},
        {"HTTP/1.1 200 \r\n\r\n", PIXI_OK},
        {"HTTP/1.0 404 Not Found\r\nA:\r\nB:\t c \r\n\r\n", PIXI_OK},
        {"SSH-2.0-OpenSSH\r\n", PIXI_E_HTTP_START},
        {"\x15\x03\x01", PIXI_E_HTTP_START},
        {"HTTP/2 200\r\n\r\n", PIXI_E_HTTP_START},
        {"HTTP/1.1 2x0 OK\r\n\r\n", PIXI_E_HTTP_START},
        {"HTTP/1.1 2000 OK\r\n\r\n", PIXI_E_HTTP_START},
        {"HTTP/1.1 099 OK\r\n\r\n", PIXI_E_HTTP_START},
        {"http/1.1 200 OK\r\n\r\n", PIXI_E_HTTP_START},
        {"HTTP/1.1 200 OK\n\n", PIXI_E_HTTP_LINE},
        {"HTTP/1.1 200 OK\rX", PIXI_E_HTTP_LINE},
        {"HTTP/1.1 200 O\001K\r\n\r\n", PIXI_E_HTTP_LINE},
        {"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", PIXI_E_HTTP_FIELD},
        {"HTTP/1.1 200 OK\r\n: c\r\n\r\n", PIXI_E_HTTP_FIELD},
        {"HTTP/1.1 200 OK\r\n folded\r\n\r\n", PIXI_E_HTTP_FIELD},
        {"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", PIXI_E_HTTP_FIELD},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        inv_prefix(rows[i].text, decode, NULL, rows[i].text, strlen(rows[i].text), rows[i].want);
}

static void ceilings(void **state)
{
    struct pixi_buf b = pixi_buf_init(1 << 20);
    struct pixi_cur c;

    (void)state;
    pixi_buf_put_str(&b, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i <= PIXI_VHTTP_FIELDS; i++)
        pixi_buf_put_str(&b, "a: b\r\n");
    c = pixi_buf_cur(&b);
    assert_int_equal(decode(&c, NULL), PIXI_E_HTTP_COUNT);
    pixi_buf_reset(&b);
    pixi_buf_put_str(&b, "HTTP/1.1 200 OK\r\nA: ");
    while (b.len < PIXI_VHTTP_MAX)
        pixi_buf_put_str(&b, "x");
    c = pixi_buf_cur(&b);
    assert_int_equal(decode(&c, NULL), PIXI_MORE);
    pixi_buf_put_str(&b, "x");
    c = pixi_buf_cur(&b);
    assert_int_equal(decode(&c, NULL), PIXI_E_HTTP_SIZE);
    pixi_buf_clear(&b);
}

static void fields(void **state)
{
    static const char text[] =
        "HTTP/1.1 101 Go\r\nConnection: keep-alive\r\nX-A: 1\r\nCONNECTION: x ,\tUpgrade\r\n\r\nrest";
    struct pixi_cur c = pixi_cur_str(text), value;
    struct pixi_vhttp_head h;

    (void)state;
    assert_int_equal(pixi_vhttp_read(&c, &h), PIXI_OK);
    assert_true(pixi_cur_equals(c, pixi_cur_str("rest")));
    assert_int_equal(h.status, 101);
    assert_int_equal(h.minor, 1);
    assert_true(pixi_cur_equals(h.reason, pixi_cur_str("Go")));
    assert_true(pixi_vhttp_get(&h, "connection", 0, &value));
    assert_true(pixi_cur_equals(value, pixi_cur_str("keep-alive")));
    assert_true(pixi_vhttp_get(&h, "connection", 1, &value));
    assert_true(pixi_cur_equals(value, pixi_cur_str("x ,\tUpgrade")));
    assert_false(pixi_vhttp_get(&h, "connection", 2, &value));
    assert_true(pixi_vhttp_has_token(&h, "Connection", "upgrade"));
    assert_true(pixi_vhttp_has_token(&h, "Connection", "keep-alive"));
    assert_false(pixi_vhttp_has_token(&h, "Connection", "keep"));
}

/* The example of RFC 6455 §1.3. */
static void accept(void **state)
{
    char out[29];

    (void)state;
    pixi_vhttp_accept("dGhlIHNhbXBsZSBub25jZQ==", out);
    assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void upgrades(void **state)
{
#define UP   "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define GOOD UP "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    static const struct {
        const char *text, *offered;
        int want;
    } rows[] = {
        {"HTTP/1.1 101 Go\r\n" GOOD "\r\n", NULL, PIXI_OK},
        {"HTTP/1.1 101 Go\r\n" GOOD "\r\n", "pixi.v1", PIXI_OK},
        {"HTTP/1.1 101 Go\r\n" GOOD "Sec-WebSocket-Protocol: pixi.v1\r\n\r\n", "pixi.v1", PIXI_OK},
        {"HTTP/1.1 101 Go\r\n" GOOD "Sec-WebSocket-Extensions:\r\n\r\n", NULL, PIXI_OK},
        {"HTTP/1.0 101 Go\r\n" GOOD "\r\n", NULL, PIXI_E_HTTP_VERSION},
        {"HTTP/1.1 101 Go\r\n\r\n", NULL, PIXI_E_WS_UPGRADE},
        {"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\n\r\n", NULL, PIXI_E_WS_UPGRADE},
        {"HTTP/1.1 101 Go\r\n" UP "\r\n", NULL, PIXI_E_WS_ACCEPT},
        {"HTTP/1.1 101 Go\r\n" UP "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", NULL,
         PIXI_E_WS_ACCEPT},
        {"HTTP/1.1 101 Go\r\n" GOOD "Sec-WebSocket-Protocol: pixi.v1\r\n\r\n", NULL, PIXI_E_WS_PROTOCOL},
        {"HTTP/1.1 101 Go\r\n" GOOD "Sec-WebSocket-Protocol: chat\r\n\r\n", "pixi.v1", PIXI_E_WS_PROTOCOL},
        {"HTTP/1.1 101 Go\r\n" GOOD
         "Sec-WebSocket-Protocol: pixi.v1\r\nSec-WebSocket-Protocol: pixi.v1\r\n\r\n",
         "pixi.v1", PIXI_E_WS_PROTOCOL},
        {"HTTP/1.1 101 Go\r\n" GOOD "Sec-WebSocket-Extensions: x\r\n\r\n", NULL, PIXI_E_WS_EXTENSION},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pixi_vhttp_offer offer = {
            .subprotocol = rows[i].offered, .nonce = "dGhlIHNhbXBsZSBub25jZQ==", NULL};
        struct pixi_cur c = pixi_cur_str(rows[i].text);
        struct pixi_vhttp_head h;

        assert_int_equal(pixi_vhttp_read(&c, &h), PIXI_OK);
        if (pixi_vhttp_check_upgrade(&h, &offer) != rows[i].want)
            fail_msg("row %zu: %s", i, rows[i].text);
    }
}

static void request(void **state)
{
    static const char want[] =
        "GET /api/v1 HTTP/1.1\r\nHost: h:8768\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: pixi.v1\r\nAuthorization: Bearer k\r\n\r\n";
    struct pixi_vhttp_offer offer = {"h:8768", "/api/v1", "pixi.v1", "k", "dGhlIHNhbXBsZSBub25jZQ==", NULL};
    struct pixi_buf b = pixi_buf_init(1000);

    (void)state;
    pixi_vhttp_put_request(&b, &offer);
    assert_true(pixi_cur_equals(pixi_buf_cur(&b), pixi_cur_str(want)));
    pixi_buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(heads),    cmocka_unit_test(ceilings),
                                       cmocka_unit_test(fields),   cmocka_unit_test(accept),
                                       cmocka_unit_test(upgrades), cmocka_unit_test(request)};

    return cmocka_run_group_tests_name("verify/http", tests, NULL, NULL);
}
