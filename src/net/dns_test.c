#include "net/dns.h"
#include "net/dns_server_test.h"

#include <ares.h>
#include <errno.h>
#include <fcntl.h>

static struct pixi_loop loop;
static struct pixi_dns dns;
static struct pixi_addrs out;
static int done_count, done_err, addrs_count;
static unsigned count_at_addrs;
static uint64_t started_ms, addrs_ms;

static void on_addrs(struct pixi_dns *d)
{
    assert_ptr_equal(d, &dns);
    assert_int_equal(done_count, 0);
    addrs_count++;
    addrs_ms = pixi_clock_mono_ms();
    count_at_addrs = out.count;
    assert_true(out.count > 0);
}

static void on_done(struct pixi_dns *d, int err)
{
    assert_ptr_equal(d, &dns);
    assert_int_equal(out.count > 0, err == PIXI_OK);
    done_count++;
    done_err = err;
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(pixi_loop_init(&loop), PIXI_OK);
    dns_server_open(&loop);
    dns = (struct pixi_dns){.on_addrs = on_addrs, .on_done = on_done, .out = &out, .servers = dns_server.at};
    done_count = addrs_count = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pixi_dns_cancel(&dns);
    dns_server_close();
    pixi_loop_clear(&loop);
    return 0;
}

static void start(const char *host, uint32_t timeout_ms)
{
    started_ms = pixi_clock_mono_ms();
    pixi_dns_start(&dns, &loop, host, 8768, timeout_ms);
    assert_int_equal(done_count, 0); /* never from inside the call */
}

static void await(int err)
{
    uint64_t until = pixi_clock_mono_ms() + 10000;

    while (!done_count && pixi_clock_mono_ms() < until)
        assert_int_equal(pixi_loop_turn(&loop, 50), PIXI_OK);
    assert_int_equal(done_count, 1);
    if (done_err != err)
        fail_msg("%s, wanted %s: %s", pixi_err_name(done_err), pixi_err_name(err), dns.text);
    for (int i = 0; i < 5; i++)
        assert_int_equal(pixi_loop_turn(&loop, 10), PIXI_OK);
    assert_int_equal(done_count, 1);
}

static void is_at(unsigned i, const char *want)
{
    char text[PIXI_ADDR_TEXT];

    pixi_addr_text(&out.at[i], text);
    assert_string_equal(text, want);
}

static void fails(const char *host, const char *words)
{
    char want[PIXI_DNS_TEXT];

    start(host, 3000);
    await(PIXI_E_NAME);
    assert_int_equal(addrs_count, 0);
    snprintf(want, sizeof want, "%s: %s", host, words);
    assert_string_equal(dns.text, want);
}

/* ---- without asking ---- */

static void numbers(void **state)
{
    (void)state;
    start("127.0.0.1", 3000);
    await(PIXI_OK);
    assert_int_equal(out.count, 1);
    is_at(0, "127.0.0.1:8768");
    done_count = 0;
    start("::1", 3000);
    await(PIXI_OK);
    assert_int_equal(out.count, 1); /* those of the last name only */
    is_at(0, "[::1]:8768");
    assert_int_equal(dns_server.udp_questions, 0);
}

static void localhost(void **state)
{
    static const char *const names[] = {"localhost", "LocalHost.", "a.localhost", "a.b.localhost."};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        done_count = 0;
        start(names[i], 3000);
        await(PIXI_OK);
        assert_int_equal(out.count, 2);
        is_at(0, "127.0.0.1:8768");
        is_at(1, "[::1]:8768");
    }
    assert_int_equal(dns_server.udp_questions, 0);
}

static void not_localhost(void **state)
{
    (void)state;
    fails("xlocalhost", "no such name");
}

static void hosts_file(void **state)
{
    char path[] = "/tmp/pixi-hosts-XXXXXX";
    int fd = mkstemp(path);
    const char text[] = "192.0.2.7 both.test\n";

    (void)state;
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    setenv("CARES_HOSTS", path, 1);
    dns.ai_flags = ARES_AI_ENVHOSTS;
    start("both.test", 3000);
    await(PIXI_OK);
    unlink(path);
    if (dns.order[0] == 'f') { /* as on every usual system: what it says stands, also for the other family */
        assert_int_equal(out.count, 1);
        is_at(0, "192.0.2.7:8768");
        assert_int_equal(dns_server.udp_questions, 0);
    }
}

/* ---- found ---- */

static void both_families(void **state)
{
    (void)state;
    start("both.test", 3000);
    await(PIXI_OK);
    assert_int_equal(out.count, 2);
    assert_int_equal(out.at[0].sa.ss_family + out.at[1].sa.ss_family, AF_INET + AF_INET6);
    assert_int_equal(dns_server.udp_questions, 2);
}

static void one_family(void **state)
{
    (void)state;
    start("four.test", 3000);
    await(PIXI_OK);
    assert_int_equal(out.count, 1);
    is_at(0, "127.0.0.1:8768");
    done_count = 0;
    start("six.test", 3000);
    await(PIXI_OK);
    assert_int_equal(out.count, 1);
    is_at(0, "[::1]:8768");
}

static void many_addresses(void **state)
{
    char text[PIXI_ADDR_TEXT];

    (void)state;
    start("many.test", 3000);
    await(PIXI_OK);
    assert_int_equal(out.count, 20);
    for (unsigned i = 0; i < out.count; i++) {
        pixi_addr_text(&out.at[i], text);
        assert_memory_equal(text, "127.0.0.", 8);
    }
    assert_true(dns_server.tcp_questions > 0);
}

static void more_than_are_kept(void **state)
{
    (void)state;
    start("flood.test", 3000);
    await(PIXI_OK);
    assert_int_equal(out.count, PIXI_ADDRS_MAX);
}

/* ---- RFC 8305 §3 ---- */

static void slow_ipv6_is_waited_for_shortly(void **state)
{
    (void)state;
    start("slow6.test", 3000);
    await(PIXI_OK);
    assert_int_equal(addrs_count, 1);
    assert_int_equal(count_at_addrs, 1);
    assert_in_range(addrs_ms - started_ms, PIXI_DNS_DELAY_MS - 1, DNS_LATE_MS - 1);
    assert_int_equal(out.count, 2); /* added when it came */
    is_at(0, "127.0.0.1:8768");
    is_at(1, "[::1]:8768");
}

static void ipv6_is_not_held_back(void **state)
{
    (void)state;
    start("slow4.test", 3000);
    await(PIXI_OK);
    assert_int_equal(addrs_count, 1);
    assert_int_equal(count_at_addrs, 1);
    assert_in_range(addrs_ms - started_ms, 0, PIXI_DNS_DELAY_MS - 1);
    assert_int_equal(out.count, 2);
    is_at(0, "[::1]:8768");
}

static void what_never_comes_is_done_without(void **state)
{
    (void)state;
    start("never6.test", 300);
    await(PIXI_OK);
    assert_int_equal(addrs_count, 1);
    assert_int_equal(out.count, 1);
}

static void without_on_addrs_the_delay_ends_it(void **state)
{
    (void)state;
    dns.on_addrs = NULL;
    start("never6.test", 3000);
    await(PIXI_OK);
    assert_in_range(pixi_clock_mono_ms() - started_ms, PIXI_DNS_DELAY_MS - 1, 1500);
    assert_int_equal(out.count, 1);
}

/* ---- not found ---- */

static void not_found(void **state)
{
    (void)state;
    fails("nowhere.test", "no such name");
}

static void no_address(void **state)
{
    (void)state;
    fails("empty.test", "the name has no address");
}

static void not_a_name(void **state)
{
    (void)state;
    /* a label of 64 bytes, a name of 254: nobody is asked */
    fails("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.test", "this cannot be a name");
    assert_int_equal(dns_server.udp_questions, 0);
}

static void too_long_for_a_name(void **state)
{
    char name[PIXI_DNS_HOST_MAX + 2];

    (void)state;
    for (size_t i = 0; i < sizeof name - 1; i++)
        name[i] = i % 60 == 59 ? '.' : 'x';
    name[sizeof name - 1] = 0;
    start(name, 3000);
    await(PIXI_E_NAME);
    assert_non_null(strstr(dns.text, ": this cannot be a name"));
    assert_int_equal(dns_server.udp_questions, 0);
}

static void server_fails(void **state)
{
    (void)state;
    fails("fail.test", "the name server failed (SERVFAIL)");
}

static void server_refuses(void **state)
{
    (void)state;
    fails("refuse.test", "the name server refused to answer (REFUSED)");
}

static void server_talks_nonsense(void **state)
{
    (void)state;
    fails("garbage.test", "the name server's answer cannot be understood");
}

static void server_is_mute(void **state)
{
    uint64_t took;

    (void)state;
    start("mute.test", 200);
    await(PIXI_E_NAME);
    took = pixi_clock_mono_ms() - started_ms;
    assert_in_range(took, 190, 2000);
    assert_non_null(strstr(dns.text, "mute.test: the name server d"));
    assert_true(dns_server.udp_questions > 2); /* it was asked more than once */
}

static void no_server(void **state)
{
    (void)state;
    dns.servers = "127.0.0.1:1";
    fails("both.test", "no name server can be reached; /etc/resolv.conf says where they are");
}

/* ---- giving up ---- */

static void quiet(void)
{
    for (int i = 0; i < 10; i++)
        assert_int_equal(pixi_loop_turn(&loop, 20), PIXI_OK);
    assert_int_equal(done_count, 0);
}

static void cancelled_at_once(void **state)
{
    (void)state;
    start("both.test", 100);
    pixi_dns_cancel(&dns);
    pixi_dns_cancel(&dns);
    quiet();
    assert_int_equal(addrs_count, 0);
}

static void cancelled_while_waiting(void **state)
{
    (void)state;
    start("mute.test", 100);
    while (dns_server.udp_questions == 0)
        assert_int_equal(pixi_loop_turn(&loop, 50), PIXI_OK);
    pixi_dns_cancel(&dns);
    quiet();
}

static void cancel_from_inside(struct pixi_dns *d)
{
    on_addrs(d);
    pixi_dns_cancel(d);
}

static void cancelled_from_inside(void **state)
{
    (void)state;
    dns.on_addrs = cancel_from_inside;
    start("slow4.test", 1000);
    quiet();
    assert_int_equal(addrs_count, 1);
}

static void asked_again(void **state)
{
    (void)state;
    start("nowhere.test", 3000);
    await(PIXI_E_NAME);
    done_count = 0;
    start("four.test", 3000);
    await(PIXI_OK);
    assert_string_equal(dns.text, "");
}

/* A timer of 1 ms keeps its time while names are looked up: nothing waits. */
static unsigned ticks;

static void on_tick(struct pixi_timer *t)
{
    ticks++;
    pixi_loop_set_timer(&loop, t, 1);
}

static void the_loop_goes_on(void **state)
{
    struct pixi_timer t = {.on_due = on_tick};

    (void)state;
    ticks = 0;
    pixi_loop_set_timer(&loop, &t, 1);
    start("mute.test", 200);
    await(PIXI_E_NAME);
    assert_true(ticks > 50);
    pixi_loop_cancel_timer(&loop, &t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers),
        TEST(localhost),
        TEST(not_localhost),
        TEST(hosts_file),
        TEST(both_families),
        TEST(one_family),
        TEST(many_addresses),
        TEST(more_than_are_kept),
        TEST(slow_ipv6_is_waited_for_shortly),
        TEST(ipv6_is_not_held_back),
        TEST(what_never_comes_is_done_without),
        TEST(without_on_addrs_the_delay_ends_it),
        TEST(not_found),
        TEST(no_address),
        TEST(not_a_name),
        TEST(too_long_for_a_name),
        TEST(server_fails),
        TEST(server_refuses),
        TEST(server_talks_nonsense),
        TEST(server_is_mute),
        TEST(no_server),
        TEST(cancelled_at_once),
        TEST(cancelled_while_waiting),
        TEST(cancelled_from_inside),
        TEST(asked_again),
        TEST(the_loop_goes_on),
    };

    return cmocka_run_group_tests_name("net/dns", tests, NULL, NULL);
}
