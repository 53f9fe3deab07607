#include "net/addr.h"
#include "invariants.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void parse_and_write(void **state)
{
    static const struct {
        const char *text, *want; /* want NULL: refused */
    } cases[] = {
        {"127.0.0.1:8768", "127.0.0.1:8768"},
        {"0.0.0.0:0", "0.0.0.0:0"},
        {"255.255.255.255:65535", "255.255.255.255:65535"},
        {"localhost:80", "127.0.0.1:80"},
        {":80", "127.0.0.1:80"},
        {"[::1]:8768", "[::1]:8768"},
        {"[::]:0", "[::]:0"},
        {"[2001:DB8:0:0::1]:1", "[2001:db8::1]:1"},
        {"[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1"},
        {"", NULL},
        {":", NULL},
        {"127.0.0.1", NULL},
        {"127.0.0.1:", NULL},
        {"127.0.0.1:65536", NULL},
        {"127.0.0.1:99999999999999999999", NULL},
        {"127.0.0.1:-1", NULL},
        {"127.0.0.1:+1", NULL},
        {"127.0.0.1: 1", NULL},
        {"127.0.0.1:1 ", NULL},
        {"127.0.0.1:1x", NULL},
        {"127.0.0.1:0x1", NULL},
        {"127.0.0.1:http", NULL},
        {"256.0.0.1:1", NULL},
        {"127.1:80", NULL},
        {"127.0.1:80", NULL},
        {"2130706433:80", NULL},
        {"0x7f.0.0.1:80", NULL},
        {"0177.0.0.1:80", NULL},
        {"127.0.0.01:80", NULL},
        {"127.0.0.1.:80", NULL},
        {"example.org:1", NULL},
        {"LOCALHOST:1", NULL},
        {"::1:8768", NULL}, /* which is the port? */
        {"::1", NULL},
        {"[::1]", NULL},
        {"[::1]8768", NULL},
        {"[::1:8768", NULL},
        {"::1]:8768", NULL},
        {"[::1]x:1", NULL},
        {"[]:1", NULL},
        {"[127.0.0.1]:1", NULL},
        {"[localhost]:1", NULL},
        {"[::g]:1", NULL},
        {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx:1", NULL},
    };
    char text[PIXI_ADDR_TEXT];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pixi_addr a = {0};
        int rc = pixi_addr_parse(cases[i].text, &a);

        if (rc != (cases[i].want ? PIXI_OK : PIXI_E_NAME))
            fail_msg("'%s': %s", cases[i].text, pixi_err_name(rc));
        if (!cases[i].want)
            continue;
        pixi_addr_text(&a, text);
        assert_string_equal(text, cases[i].want);
        assert_int_equal(a.len, text[0] == '[' ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    }
}

static void every_port(void **state)
{
    char text[PIXI_ADDR_TEXT], back[PIXI_ADDR_TEXT];

    (void)state;
    for (unsigned port = 0; port < 65536; port += 257)
        for (int is_6 = 0; is_6 < 2; is_6++) {
            struct pixi_addr a;

            snprintf(text, sizeof text, is_6 ? "[fe80::1]:%u" : "10.1.2.3:%u", port);
            assert_int_equal(pixi_addr_parse(text, &a), PIXI_OK);
            pixi_addr_text(&a, back);
            assert_string_equal(back, text);
        }
}

static void the_longest_text_fits(void **state)
{
    char text[PIXI_ADDR_TEXT];
    struct pixi_addr a;

    (void)state;
    assert_int_equal(pixi_addr_parse("[1111:2222:3333:4444:5555:6666:7777:8888]:65535", &a), PIXI_OK);
    pixi_addr_text(&a, text);
    assert_string_equal(text, "[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
}

static void loopback(void **state)
{
    static const struct {
        const char *text;
        bool is;
    } cases[] = {
        {"127.0.0.1:1", true},
        {"127.255.255.255:1", true},
        {"126.255.255.255:1", false},
        {"128.0.0.0:1", false},
        {"0.0.0.0:1", false},
        {"1.0.0.127:1", false},
        {"[::1]:1", true},
        {"[::]:1", false},
        {"[::2]:1", false},
        {"[::ffff:127.9.9.9]:1", true},
        {"[::ffff:10.0.0.1]:1", false},
        {"[::127.0.0.1]:1", false},
        {"[fe80::1]:1", false},
    };
    struct pixi_addr a;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(pixi_addr_parse(cases[i].text, &a), PIXI_OK);
        if (pixi_addr_is_loopback(&a) != cases[i].is)
            fail_msg("%s", cases[i].text);
    }
    a = (struct pixi_addr){.sa.ss_family = AF_UNIX};
    assert_false(pixi_addr_is_loopback(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_and_write),
        cmocka_unit_test(every_port),
        cmocka_unit_test(the_longest_text_fits),
        cmocka_unit_test(loopback),
    };

    return cmocka_run_group_tests_name("net/addr", tests, NULL, NULL);
}
