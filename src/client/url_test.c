#include "client/url.h"
#include "invariants.h"

static const struct {
    const char *url, *host, *authority, *target;
    unsigned port;
    bool is_tls, is_loopback;
} good[] = {
    {"ws://127.0.0.1:8768/api/v1", "127.0.0.1", "127.0.0.1:8768", "/api/v1", 8768, false, true},
    {"wss://pixi.example.org", "pixi.example.org", "pixi.example.org", "/", 443, true, false},
    {"ws://pixi.example.org", "pixi.example.org", "pixi.example.org", "/", 80, false, false},
    {"ws://h:80/", "h", "h", "/", 80, false, false},
    {"ws://h:443/", "h", "h:443", "/", 443, false, false},
    {"wss://h:443/", "h", "h", "/", 443, true, false},
    {"wss://h:80/", "h", "h:80", "/", 80, true, false},
    {"WS://LocalHost:1", "localhost", "localhost:1", "/", 1, false, true},
    {"ws://[::1]:65535/x?a=b&c", "::1", "[::1]:65535", "/x?a=b&c", 65535, false, true},
    {"ws://[2001:DB8::1]", "2001:db8::1", "[2001:db8::1]", "/", 80, false, false},
    {"ws://h?q=1", "h", "h", "/?q=1", 80, false, false},
    {"ws://h/a%20b/~c;d=@:!$&'()*+,", "h", "h", "/a%20b/~c;d=@:!$&'()*+,", 80, false, false},
    {"ws://h/?monkey=1&keys=2&x=key", "h", "h", "/?monkey=1&keys=2&x=key", 80, false, false},
    {"ws://127.255.0.9/", "127.255.0.9", "127.255.0.9", "/", 80, false, true},
    {"ws://128.0.0.1/", "128.0.0.1", "128.0.0.1", "/", 80, false, false},
    {"ws://localhost.example/", "localhost.example", "localhost.example", "/", 80, false, false},
    {"ws://my_host-1.local/", "my_host-1.local", "my_host-1.local", "/", 80, false, false},
    {"ws://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1", "[::ffff:127.0.0.1]", "/", 80, false, false},
};

/* What found must say; never a part of the URL. */
static const struct {
    const char *url, *found;
} bad[] = {
    {"http://h/", "an http:// or https:// URL"},
    {"HTTPS://h/", "an http:// or https:// URL"},
    {"h:80/x", "neither ws:// nor wss:// at its start"},
    {"ws:/h", "neither ws:// nor wss:// at its start"},
    {"wsss://h", "neither ws:// nor wss:// at its start"},
    {"ws://", "a URL without a host"},
    {"ws:///path", "a URL without a host"},
    {"ws://:80/", "a URL without a host"},
    {"ws://user@h/", "a URL with a user name or password"},
    {"ws://user:hunter2@h/", "a URL with a user name or password"},
    {"ws://h/#top", "a URL with a fragment (\"#\")"},
    {"ws://h#", "a URL with a fragment (\"#\")"},
    {"ws://h/?api_key=hunter2", "a URL with what looks like a key in its query"},
    {"ws://h/?a=b&TOKEN=hunter2", "a URL with what looks like a key in its query"},
    {"ws://h?key", "a URL with what looks like a key in its query"},
    {"ws://h/?access_token=hunter2", "a URL with what looks like a key in its query"},
    {"ws://h/?x&apikey=hunter2", "a URL with what looks like a key in its query"},
    {"ws://h/a b", "a URL with a space, a control character or a letter that is not ASCII"},
    {"ws://h/\n", "a URL with a space, a control character or a letter that is not ASCII"},
    {"ws://h\xc3\xa9/", "a URL with a space, a control character or a letter that is not ASCII"},
    {" ws://h/", "a URL with a space, a control character or a letter that is not ASCII"},
    {"ws://h:0/", "a port that is not one"},
    {"ws://h:65536/", "a port that is not one"},
    {"ws://h:99999999999999999999/", "a port that is not one"},
    {"ws://h:/", "a port that is not one"},
    {"ws://h:8x/", "a port that is not one"},
    {"ws://h:-1/", "a port that is not one"},
    {"ws://[::1]x/", "a port that is not one"},
    {"ws://[::1/", "\"[\" without \"]\""},
    {"ws://[]/", "a URL without a host"},
    {"ws://[127.0.0.1]/", "a host that is not one"},
    {"ws://[fe80::1%25eth0]/", "a host that is not one"},
    {"ws://::1/", "a URL without a host"},
    {"ws://127.1/", "a host that is not one"},
    {"ws://256.1.1.1/", "a host that is not one"},
    {"ws://0x7f000001.1/", "a host that is not one"},
    {"ws://h./", "a host that is not one"},
    {"ws://.h/", "a host that is not one"},
    {"ws://a..b/", "a host that is not one"},
    {"ws://-h/", "a host that is not one"},
    {"ws://h\\evil/", "a host that is not one"},
    {"ws://h%2e/", "a host that is not one"},
    {"ws://h/{x}", "a character in the path or query that may not stand there"},
    {"ws://h/%4", "a character in the path or query that may not stand there"},
    {"ws://h/?a=%zz", "a character in the path or query that may not stand there"},
    {"ws://h/\"", "a character in the path or query that may not stand there"},
    {"", "neither ws:// nor wss:// at its start"},
};

static int parse(const char *text, size_t len, struct pixi_url *out, struct pixi_conf_fault *fault)
{
    struct inv_guard g = inv_guard(text, len);
    int rc = pixi_url_parse(pixi_cur_init(g.bytes, len), out, fault);

    inv_guard_free(&g);
    return rc;
}

static void test_good_ones_are_taken_apart(void **state)
{
    struct pixi_url u;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (parse(good[i].url, strlen(good[i].url), &u, NULL) != PIXI_OK)
            fail_msg("refused: %s", good[i].url);
        assert_string_equal(u.host, good[i].host);
        assert_string_equal(u.authority, good[i].authority);
        assert_string_equal(u.target, good[i].target);
        assert_int_equal(u.port, good[i].port);
        assert_int_equal(u.is_tls, good[i].is_tls);
        assert_int_equal(pixi_url_is_loopback(&u), good[i].is_loopback);
    }
}

static void test_bad_ones_say_why(void **state)
{
    struct pixi_url u, untouched;
    struct pixi_conf_fault fault;

    (void)state;
    memset(&untouched, 0x55, sizeof untouched);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        u = untouched;
        fault = (struct pixi_conf_fault){0};
        if (parse(bad[i].url, strlen(bad[i].url), &u, &fault) != PIXI_E_SETTINGS)
            fail_msg("taken: %s", bad[i].url);
        if (strcmp(fault.found, bad[i].found) != 0)
            fail_msg("%s: %s", bad[i].url, fault.found);
        assert_memory_equal(&u, &untouched, sizeof u);
    }
}

static void test_lengths(void **state)
{
    char text[PIXI_URL_MAX + 2];
    struct pixi_conf_fault fault;
    struct pixi_url u;

    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, "ws://h/", 7);
    assert_int_equal(parse(text, PIXI_URL_MAX, &u, NULL), PIXI_OK);
    assert_int_equal(strlen(u.target), PIXI_URL_MAX - 6);
    assert_int_equal(parse(text, PIXI_URL_MAX + 1, &u, &fault), PIXI_E_SETTINGS);
    memcpy(text, "ws://h?", 7);
    assert_int_equal(parse(text, PIXI_URL_MAX, &u, NULL), PIXI_OK);
    assert_int_equal(strlen(u.target), PIXI_URL_MAX - 5);
    for (size_t i = 5; i < 5 + 253; i++)
        text[i] = i % 50 ? 'a' : '.';
    assert_int_equal(parse(text, 5 + 253, &u, NULL), PIXI_OK);
    assert_int_equal(parse(text, 5 + 254, &u, &fault), PIXI_E_SETTINGS);
    assert_string_equal(fault.found, "a host of more than 253 bytes");
    memset(text + 5, 'a', 64);
    assert_int_equal(parse(text, 5 + 63, &u, NULL), PIXI_OK);
    assert_int_equal(parse(text, 5 + 64, &u, &fault), PIXI_E_SETTINGS);
}

/* Every prefix of every URL: an answer, from memory that ends where the prefix does. */
static void test_prefixes(void **state)
{
    struct pixi_conf_fault fault;
    struct pixi_url u;
    int rc;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        for (size_t len = 0; len < strlen(good[i].url); len++) {
            rc = parse(good[i].url, len, &u, &fault);
            assert_true(rc == PIXI_OK || rc == PIXI_E_SETTINGS);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_ones_are_taken_apart),
        cmocka_unit_test(test_bad_ones_say_why),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_prefixes),
    };

    return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
