#include "verify/url.h"
#include "invariants.h"
#include "verify/verify.h"

static void good(void **state)
{
    static const struct {
        const char *url, *host, *authority, *target;
        unsigned port;
        int is_tls;
    } rows[] = {
        {"ws://127.0.0.1:8768/api/v1", "127.0.0.1", "127.0.0.1:8768", "/api/v1", 8768, 0},
        {"WS://Host", "Host", "Host", "/", 80, 0},
        {"ws://h:80/", "h", "h", "/", 80, 0},
        {"wss://h", "h", "h", "/", 443, 1},
        {"wss://h:80", "h", "h:80", "/", 80, 1},
        {"ws://[::1]:1/a?b=@", "::1", "[::1]:1", "/a?b=@", 1, 0},
        {"ws://[::1]", "::1", "[::1]", "/", 80, 0},
        {"ws://h?x", "h", "h", "/?x", 80, 0},
        {"ws://h:65535", "h", "h:65535", "/", 65535, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pixi_vurl u;

        assert_null(pixi_vurl_parse(rows[i].url, &u));
        assert_string_equal(u.host, rows[i].host);
        assert_string_equal(u.authority, rows[i].authority);
        assert_string_equal(u.target, rows[i].target);
        assert_int_equal(u.port, rows[i].port);
        assert_int_equal(u.is_tls, rows[i].is_tls);
    }
}

static void bad(void **state)
{
    static const struct {
        const char *url, *word; /* of the cause */
    } rows[] = {
        {NULL, "no URL"},
        {"", "no URL"},
        {"h:80/x", "ws://"},
        {"http://h/", "http"},
        {"ftp://h/", "ws://"},
        {"ws://", "no host"},
        {"ws:///x", "no host"},
        {"ws://:80/", "no host"},
        {"ws://u:p@h/", "user name"},
        {"ws://h/#x", "fragment"},
        {"ws://h#x", "fragment"},
        {"ws://h:0/", "port"},
        {"ws://h:/", "port"},
        {"ws://h:65536/", "port"},
        {"ws://h:99999999999/", "port"},
        {"ws://h:8o/", "port"},
        {"ws://h /", "space"},
        {"ws://h/\r\nX: y", "space"},
        {"ws://h\xc3\xa4/", "ASCII"},
        {"ws://a%41/", "character"},
        {"ws://::1/", "character"},
        {"ws://[::1/", "character"},
        {"ws://[::1]x/", "character"},
        {"ws://[x]/", "character"},
        {"ws://[]/", "no host"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pixi_vurl u;
        const struct pixi_vurl_fault *fault = pixi_vurl_parse(rows[i].url, &u);

        if (!fault || !strstr(fault->cause, rows[i].word) || !fault->fix[0])
            fail_msg("%s: %s", rows[i].url, fault ? fault->cause : "taken");
    }
}

static void too_long(void **state)
{
    struct pixi_buf b = pixi_buf_init(1 << 16);
    struct pixi_vurl u;

    (void)state;
    pixi_buf_put_str(&b, "ws://h/");
    while (b.len < PIXI_VURL_TARGET + 100)
        pixi_buf_put_str(&b, "x");
    pixi_buf_put(&b, "", 1);
    assert_non_null(pixi_vurl_parse((const char *)b.bytes, &u));
    pixi_buf_reset(&b);
    pixi_buf_put_str(&b, "ws://");
    while (b.len < PIXI_VURL_HOST + 100)
        pixi_buf_put_str(&b, "x");
    pixi_buf_put(&b, "", 1);
    assert_non_null(pixi_vurl_parse((const char *)b.bytes, &u));
    pixi_buf_clear(&b);
}

static void shown(void **state)
{
    char out[64];

    (void)state;
    pixi_verify_url_shown("ws://user:secret@h/x", out, sizeof out);
    assert_string_equal(out, "ws://…@h/x");
    pixi_verify_url_shown("ws://u@secret@h/x", out, sizeof out);
    assert_string_equal(out, "ws://…@h/x");
    pixi_verify_url_shown("secret@h", out, sizeof out);
    assert_string_equal(out, "…@h");
    pixi_verify_url_shown("ws://h/a@b", out, sizeof out);
    assert_string_equal(out, "ws://h/a@b");
    pixi_verify_url_shown(NULL, out, sizeof out);
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(good), cmocka_unit_test(bad),
                                       cmocka_unit_test(too_long), cmocka_unit_test(shown)};

    return cmocka_run_group_tests_name("verify/url", tests, NULL, NULL);
}
