#include "net/proxy.h"
#include "invariants.h"

static void is_proxy(const char *url, enum pixi_proxy_kind kind, const char *host, uint16_t port,
                     const char *user, const char *password)
{
    struct inv_guard g = inv_guard(url, strlen(url));
    struct pixi_proxy p;

    if (pixi_proxy_parse(pixi_cur_init(g.bytes, strlen(url)), &p, NULL) != PIXI_OK)
        fail_msg("refused: %s", url);
    inv_guard_free(&g);
    assert_int_equal(p.kind, kind);
    assert_string_equal(p.host, host);
    assert_int_equal(p.port, port);
    assert_int_equal(p.has_user, user != NULL);
    assert_string_equal(p.user, user ? user : "");
    assert_string_equal(p.password, password ? password : "");
}

static void urls(void **state)
{
    (void)state;
    is_proxy("http://h:3128", PIXI_PROXY_HTTP, "h", 3128, NULL, NULL);
    is_proxy("HTTP://h/", PIXI_PROXY_HTTP, "h", 80, NULL, NULL);
    is_proxy("h:1", PIXI_PROXY_HTTP, "h", 1, NULL, NULL);
    is_proxy("127.0.0.1", PIXI_PROXY_HTTP, "127.0.0.1", 80, NULL, NULL);
    is_proxy("http://[::1]:8080", PIXI_PROXY_HTTP, "::1", 8080, NULL, NULL);
    is_proxy("socks5://h", PIXI_PROXY_SOCKS5, "h", 1080, NULL, NULL);
    is_proxy("socks5h://[fe80::1]", PIXI_PROXY_SOCKS5, "fe80::1", 1080, NULL, NULL);
    is_proxy("http://u@h", PIXI_PROXY_HTTP, "h", 80, "u", "");
    is_proxy("http://u:p@h", PIXI_PROXY_HTTP, "h", 80, "u", "p");
    is_proxy("u:p@h:1", PIXI_PROXY_HTTP, "h", 1, "u", "p");
    is_proxy("http://u:a@b:c@h", PIXI_PROXY_HTTP, "h", 80, "u", "a@b:c");
    is_proxy("http://%75:%41%2f%ff@h", PIXI_PROXY_HTTP, "h", 80, "u", "A/\xff");
}

static void not_urls(void **state)
{
    static const char *const bad[] = {
        "",          "http://",      "https://h",      "ftp://h",        "socks4://h",     "://h",
        "http://h:", "http://h:0",   "http://h:65536", "http://h:x",     "http://h:-1",    "http://h/x",
        "http://h?", "http://h#",    "http://a b",     "http://[::1",    "http://[h]",     "http://::1",
        "http://[]", "http://:p@h",  "http://u:%4@h",  "http://u:%g0@h", "http://u:%00@h", "http://u:%0d@h",
        "http://@h", "http://%3a@h", "http://u/:p@h",  "http://h\r\n",   "http://[::1]x",  "http://u@",
    };
    struct pixi_conf_fault f;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct pixi_proxy p = {.port = 7};

        f = (struct pixi_conf_fault){0};
        if (pixi_proxy_parse(pixi_cur_str(bad[i]), &p, &f) != PIXI_E_SETTINGS)
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(p.port, 7); /* untouched */
        assert_true(f.found && f.expected);
    }
}

static void long_words(void **state)
{
    char url[700];

    (void)state;
    for (int more = 0; more < 2; more++) {
        int expected = more ? PIXI_E_SETTINGS : PIXI_OK;

        snprintf(url, sizeof url, "http://%0*d:p@h", PIXI_PROXY_WORD_MAX + more, 0);
        assert_int_equal(pixi_proxy_parse(pixi_cur_str(url), NULL, NULL), expected);
        snprintf(url, sizeof url, "http://u:%0*d@h", PIXI_PROXY_WORD_MAX + more, 0);
        assert_int_equal(pixi_proxy_parse(pixi_cur_str(url), NULL, NULL), expected);
        snprintf(url, sizeof url, "http://%0*d", PIXI_PROXY_HOST_MAX + more, 0);
        assert_int_equal(pixi_proxy_parse(pixi_cur_str(url), NULL, NULL), expected);
    }
}

/* Any bytes at all: an answer, and nothing read beyond the end. */
static void any_bytes(void **state)
{
    static const char alphabet[] = "http:/5s@[]%.a1*-\0\n";
    unsigned random = 1;
    char text[24];

    (void)state;
    for (int round = 0; round < 20000; round++) {
        size_t len = (random >> 8) % sizeof text;
        struct inv_guard g;

        for (size_t i = 0; i < len; i++) {
            random = random * 1103515245u + 12345u;
            text[i] = alphabet[(random >> 16) % (sizeof alphabet - 1)];
        }
        random = random * 1103515245u + 12345u;
        g = inv_guard(text, len);
        pixi_proxy_parse(pixi_cur_init(g.bytes, len), NULL, NULL);
        pixi_proxy_rule_matches(pixi_cur_init(g.bytes, len), "a.b", 80);
        inv_guard_free(&g);
    }
}

static void shown_without_user(void **state)
{
    static const struct {
        const char *url, *shown;
    } rows[] = {{"http://u:secret@h", "http://h:80"},
                {"socks5://u:secret@[::1]", "socks5h://[::1]:1080"},
                {"127.0.0.1:3128", "http://127.0.0.1:3128"}};
    struct pixi_proxy p;
    char text[PIXI_PROXY_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(pixi_proxy_parse(pixi_cur_str(rows[i].url), &p, NULL), PIXI_OK);
        pixi_proxy_text(&p, text);
        assert_string_equal(text, rows[i].shown);
    }
}

/* ---- NO_PROXY ---- */

static const struct rule_row {
    const char *rule, *host;
    uint16_t port;
    bool matches;
} rule_rows[] = {
    {"*", "anything.example", 1, true},
    {"*:80", "anything.example", 80, true},
    {"*:80", "anything.example", 81, false},
    {"example.org", "example.org", 80, true},
    {"example.org", "EXAMPLE.org.", 80, true},
    {"Example.ORG", "a.b.example.org", 80, true},
    {"example.org", "badexample.org", 80, false},
    {"example.org", "example.org.evil.test", 80, false},
    {"example.org", "org", 80, false},
    {".example.org", "example.org", 80, false},
    {".example.org", "a.example.org", 80, true},
    {"*.example.org", "a.example.org", 80, true},
    {"*.example.org", "example.org", 80, false},
    {"example.org:443", "example.org", 443, true},
    {"example.org:443", "a.example.org", 80, false},
    {"192.0.2.7", "192.0.2.7", 80, true},
    {"192.0.2.7", "192.0.2.70", 80, false},
    {"192.0.2.7:80", "192.0.2.7", 81, false},
    {"10.0.0.0/8", "10.255.0.1", 80, true},
    {"10.0.0.0/8", "11.0.0.1", 80, false},
    {"10.0.0.0/8", "10.example.org", 80, false},
    {"192.0.2.128/25", "192.0.2.127", 80, false},
    {"192.0.2.128/25", "192.0.2.128", 80, true},
    {"0.0.0.0/0", "192.0.2.7", 80, true},
    {"0.0.0.0/0", "::1", 80, false},
    {"192.0.2.7/32", "192.0.2.7", 80, true},
    {"::1", "::1", 80, true},
    {"::1", "0:0::1", 80, true},
    {"[::1]", "::1", 80, true},
    {"[::1]:80", "::1", 80, true},
    {"[::1]:80", "::1", 81, false},
    {"fe80::/10", "fe80::1", 80, true},
    {"fe80::/10", "febf::1", 80, true},
    {"fe80::/10", "fec0::1", 80, false},
    {"::/0", "2001:db8::1", 80, true},
    {"::/0", "192.0.2.7", 80, false},
};

static void rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rule_rows / sizeof *rule_rows; i++) {
        const struct rule_row *r = &rule_rows[i];

        assert_true(pixi_proxy_rule_is_valid(pixi_cur_str(r->rule)));
        if (pixi_proxy_rule_matches(pixi_cur_str(r->rule), r->host, r->port) != r->matches)
            fail_msg("%s and %s:%u: not %s", r->rule, r->host, r->port, r->matches ? "true" : "false");
    }
}

static void not_rules(void **state)
{
    static const char *const bad[] = {
        "",    " ",   ".",           "*.",        "*a",     "a b",         "a:",
        "a:0", "a:x", "10.0.0/8",    "10.0.0.0/", "a/8",    "10.0.0.0/33", "::/129",
        "[a]", "/8",  "10.0.0.0/-1", "[::1]:x",   "[::1]x", "*:",          "a/"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (pixi_proxy_rule_is_valid(pixi_cur_str(bad[i])))
            fail_msg("accepted: '%s'", bad[i]);
        assert_false(pixi_proxy_rule_matches(pixi_cur_str(bad[i]), "a", 80));
    }
}

static void this_machine(void **state)
{
    (void)state;
    assert_true(pixi_proxy_is_loopback("localhost"));
    assert_true(pixi_proxy_is_loopback("127.1.2.3"));
    assert_true(pixi_proxy_is_loopback("::1"));
    assert_false(pixi_proxy_is_loopback("192.0.2.7"));
    assert_false(pixi_proxy_is_loopback("localhost.example.org"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls),      cmocka_unit_test(not_urls),           cmocka_unit_test(long_words),
        cmocka_unit_test(any_bytes), cmocka_unit_test(shown_without_user), cmocka_unit_test(rules),
        cmocka_unit_test(not_rules), cmocka_unit_test(this_machine),
    };

    return cmocka_run_group_tests_name("net/proxy", tests, NULL, NULL);
}
