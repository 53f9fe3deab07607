#include "net/dial.h"
#include "net/dns_server_test.h"

#include <errno.h>

static struct pixi_loop loop;
static struct pixi_dial dial;
static struct pixi_addrs addrs;
static struct pixi_tcp tcp;
static struct pixi_listener listener;
static int done_count, done_err, accepted = -1, bytes_count;
static struct {
    int listener, clients[4];
    struct pixi_addr addr;
} deaf;

static void on_connect(struct pixi_tcp *t, int err)
{
    (void)t;
    (void)err;
    fail(); /* dialling is the dialler's */
}

static void on_bytes(struct pixi_tcp *t, uint8_t *bytes, size_t len)
{
    (void)t;
    (void)bytes;
    bytes_count += (int)len;
}

static void on_end(struct pixi_tcp *t, int err)
{
    (void)t;
    (void)err;
}

static const struct pixi_tcp_handlers handlers = {
    .on_connect = on_connect, .on_bytes = on_bytes, .on_end = on_end};

static void on_done(struct pixi_dial *d, int err)
{
    assert_ptr_equal(d, &dial);
    assert_int_equal(d->tcp->state == PIXI_TCP_OPEN, err == PIXI_OK);
    done_count++;
    done_err = err;
}

static void on_accept(struct pixi_listener *s, int fd, const struct pixi_addr *from)
{
    (void)s;
    (void)from;
    if (accepted >= 0)
        close(accepted);
    accepted = fd;
}

static int set_up(void **state)
{
    struct pixi_addr at;

    (void)state;
    tcp = (struct pixi_tcp){0};
    dial = (struct pixi_dial){.on_done = on_done};
    addrs.count = 0;
    listener = (struct pixi_listener){.on_accept = on_accept};
    done_count = bytes_count = 0;
    accepted = deaf.listener = -1;
    assert_int_equal(pixi_loop_init(&loop), PIXI_OK);
    assert_int_equal(pixi_addr_parse("127.0.0.1:0", &at), PIXI_OK);
    dns_server_open(&loop);
    return pixi_listener_open(&listener, &loop, &at);
}

static int tear_down(void **state)
{
    (void)state;
    pixi_dial_cancel(&dial);
    pixi_tcp_close(&tcp);
    pixi_listener_close(&listener);
    dns_server_close();
    if (accepted >= 0)
        close(accepted);
    if (deaf.listener >= 0) {
        close(deaf.listener);
        for (size_t i = 0; i < sizeof deaf.clients / sizeof *deaf.clients; i++)
            close(deaf.clients[i]);
    }
    pixi_loop_clear(&loop);
    return 0;
}

/* An address where nobody listens. */
static struct pixi_addr refusing(void)
{
    struct pixi_addr at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(pixi_addr_parse("127.0.0.1:0", &at), PIXI_OK);
    assert_int_equal(bind(fd, (struct sockaddr *)&at.sa, at.len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at.sa, &at.len), 0);
    close(fd);
    return at;
}

/* An address that answers nothing: a listener that accepts nobody, its queue full. */
static struct pixi_addr silent(void)
{
    struct pixi_addr at;

    deaf.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(pixi_addr_parse("127.0.0.1:0", &at), PIXI_OK);
    assert_int_equal(bind(deaf.listener, (struct sockaddr *)&at.sa, at.len), 0);
    assert_int_equal(listen(deaf.listener, 0), 0);
    assert_int_equal(getsockname(deaf.listener, (struct sockaddr *)&at.sa, &at.len), 0);
    for (size_t i = 0; i < sizeof deaf.clients / sizeof *deaf.clients; i++) {
        deaf.clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(deaf.clients[i], (struct sockaddr *)&at.sa, at.len);
    }
    return at;
}

static void add(struct pixi_addr at)
{
    addrs.at[addrs.count++] = at;
}

static void start(uint32_t timeout_ms)
{
    struct pixi_dial_to to = {.addrs = &addrs, .timeout_ms = timeout_ms};

    pixi_dial_start(&dial, &loop, &tcp, &handlers, &to);
    assert_int_equal(done_count, 0); /* never from inside the call */
}

static void start_name(const char *host, uint16_t port, uint32_t timeout_ms)
{
    struct pixi_dial_to to = {.host = host, .port = port, .timeout_ms = timeout_ms};

    dial.dns.servers = dns_server.at;
    pixi_dial_start(&dial, &loop, &tcp, &handlers, &to);
    assert_int_equal(done_count, 0);
}

static void await(int err)
{
    uint64_t until = pixi_clock_mono_ms() + 5000;

    while (!done_count && pixi_clock_mono_ms() < until)
        assert_int_equal(pixi_loop_turn(&loop, 50), PIXI_OK);
    assert_int_equal(done_count, 1);
    if (done_err != err)
        fail_msg("%s, wanted %s: %s", pixi_err_name(done_err), pixi_err_name(err), dial.text);
}

/* What text says: "ADDRESS: words", the parts joined by "; ". */
static void says(const struct pixi_addr *at, const char *words)
{
    char want[PIXI_ADDR_TEXT + 100];

    pixi_addr_text(at, want);
    strcat(want, ": ");
    strcat(want, words);
    if (!strstr(dial.text, want))
        fail_msg("'%s' is not in '%s'", want, dial.text);
}

static void quiet(void)
{
    int was = done_count;

    for (int i = 0; i < 5; i++)
        assert_int_equal(pixi_loop_turn(&loop, 10), PIXI_OK);
    assert_int_equal(done_count, was);
}

/* ---- names ---- */

static uint16_t port(void)
{
    return ntohs(((struct sockaddr_in *)&listener.addr.sa)->sin_port);
}

static void numbers_are_dialled(void **state)
{
    (void)state;
    start_name("127.0.0.1", port(), 5000);
    await(PIXI_OK);
    assert_int_equal(dial.addrs.count, 1);
    assert_string_equal(dial.text, "");
}

static void localhost_is_dialled(void **state)
{
    (void)state;
    start_name("localhost", port(), 5000);
    await(PIXI_OK);
    assert_int_equal(dial.addrs.count, 2);
    assert_int_equal(tcp.peer.sa.ss_family, AF_INET);
}

/* IPv6 refuses, or is not there: the other family follows at once. */
static void a_name_is_dialled(void **state)
{
    uint64_t from = pixi_clock_mono_ms();

    (void)state;
    start_name("both.test", port(), 5000);
    await(PIXI_OK);
    assert_int_equal(dial.addrs.count, 2);
    assert_in_range(pixi_clock_mono_ms() - from, 0, PIXI_DIAL_DELAY_MS - 1);
}

static void a_late_family_is_not_waited_for(void **state)
{
    uint64_t from = pixi_clock_mono_ms();

    (void)state;
    start_name("never6.test", port(), 5000);
    await(PIXI_OK);
    assert_in_range(pixi_clock_mono_ms() - from, PIXI_DNS_DELAY_MS - 1, 1000);
    assert_false(dial.dns.is_active);
    quiet();
}

/* The first address has failed before the second is known. */
static void a_late_family_is_still_tried(void **state)
{
    (void)state;
    start_name("slow4.test", port(), 5000);
    await(PIXI_OK);
    assert_int_equal(dial.addrs.count, 2);
    assert_non_null(strstr(dial.text, "[::1]:"));
    assert_int_equal(tcp.peer.sa.ss_family, AF_INET);
}

static void names_not_found(void **state)
{
    (void)state;
    start_name("nowhere.test", 1, 5000);
    await(PIXI_E_NAME);
    assert_string_equal(dial.text, "nowhere.test: no such name");
    quiet();
}

static void names_take_their_time_only(void **state)
{
    uint64_t from = pixi_clock_mono_ms();

    (void)state;
    start_name("mute.test", 1, 150);
    await(PIXI_E_NAME);
    assert_in_range(pixi_clock_mono_ms() - from, 140, 1500);
    assert_non_null(strstr(dial.text, "mute.test: "));
}

static void every_address_is_tried(void **state)
{
    size_t refused = 0;

    (void)state;
    start_name("many.test", 1, 5000); /* nobody listens on port 1 */
    await(PIXI_E_CONNECT);
    assert_int_equal(dial.addrs.count, 20);
    for (unsigned i = 0; i < 20; i++)
        refused += dial.attempts[i].is_started;
    assert_int_equal(refused, 20);
}

/* ---- one address ---- */

static void connects(void **state)
{
    (void)state;
    add(listener.addr);
    start(5000);
    await(PIXI_OK);
    assert_string_equal(dial.text, "");
    assert_ptr_equal(tcp.handlers, &handlers);
    assert_int_equal(pixi_tcp_send(&tcp, (const uint8_t *)"x", 1), PIXI_OK);
    quiet();
    assert_int_equal(write(accepted, "abc", 3), 3);
    quiet();
    assert_int_equal(bytes_count, 3); /* from here on its callbacks are those given */
    pixi_dial_cancel(&dial);          /* too late to matter */
    assert_int_equal(tcp.state, PIXI_TCP_OPEN);
}

static void refused(void **state)
{
    struct pixi_addr at = refusing();

    (void)state;
    add(at);
    start(5000);
    await(PIXI_E_CONNECT);
    says(&at, "Connection refused");
    quiet();
}

static void no_answer(void **state)
{
    struct pixi_addr at = silent();

    (void)state;
    add(at);
    start(40);
    await(PIXI_E_TIMEOUT);
    says(&at, "no answer in 40 ms");
    quiet();
}

static void no_address(void **state)
{
    (void)state;
    start(5000);
    await(PIXI_E_CONNECT);
    quiet();
}

/* ---- several ---- */

static void the_next_one_answers(void **state)
{
    struct pixi_addr no = refusing(), impossible = {.sa.ss_family = AF_UNSPEC}, dumb = silent();

    (void)state;
    add(no);
    add(impossible);
    add(dumb);
    add(listener.addr);
    add(no); /* not tried any more */
    start(5000);
    await(PIXI_OK);
    says(&no, "Connection refused");
    assert_non_null(strstr(dial.text, strerror(EAFNOSUPPORT)));
    assert_int_equal(dial.at, 3);
    quiet();
    assert_true(accepted >= 0);
}

static void none_answers(void **state)
{
    struct pixi_addr no = refusing(), other = refusing(), impossible = {.sa.ss_family = AF_UNSPEC};

    (void)state;
    add(no);
    add(other);
    add(impossible);
    start(5000);
    await(PIXI_E_CONNECT);
    says(&no, "Connection refused; ");
    says(&other, "Connection refused");
    assert_non_null(strstr(dial.text, strerror(EAFNOSUPPORT)));
    quiet();
}

static void the_last_is_silent(void **state)
{
    struct pixi_addr no = refusing(), dumb = silent();

    (void)state;
    add(no);
    add(dumb);
    start(60);
    await(PIXI_E_CONNECT);
    says(&no, "Connection refused; ");
    says(&dumb, "no answer in ");
}

/* RFC 8305 §5: the next is started while the one before may still answer; the first to connect is taken. */
static void silence_delays_the_next(void **state)
{
    uint64_t from = pixi_clock_mono_ms();

    (void)state;
    add(silent());
    add(listener.addr);
    start(5000);
    await(PIXI_OK);
    assert_in_range(pixi_clock_mono_ms() - from, PIXI_DIAL_DELAY_MS - 1, 2000);
    assert_int_equal(dial.at, 1);
    assert_string_equal(dial.text, ""); /* it was not waited for to its end */
    assert_int_equal(dial.attempts[0].watch.fd, -1);
    assert_int_equal(dial.open_count, 0);
}

static void failure_does_not(void **state)
{
    uint64_t from = pixi_clock_mono_ms();

    (void)state;
    for (int i = 0; i < 10; i++)
        add(refusing());
    add(listener.addr);
    start(5000);
    await(PIXI_OK);
    assert_in_range(pixi_clock_mono_ms() - from, 0, PIXI_DIAL_DELAY_MS - 1);
}

/* RFC 8305 §4 */
static void families_take_turns(void **state)
{
    struct pixi_addr four = refusing(), six;
    char text[PIXI_ADDR_TEXT];

    (void)state;
    assert_int_equal(pixi_addr_parse("[::1]:1", &six), PIXI_OK);
    add(six);
    add(six);
    add(four);
    add(four);
    start(5000);
    await(PIXI_E_CONNECT);
    pixi_addr_text(&four, text);
    assert_memory_equal(dial.text, "[::1]:1: ", 9);
    assert_ptr_equal(strstr(strstr(dial.text, "; ") + 2, text), strstr(dial.text, "; ") + 2);
    assert_int_equal(dial.at, 3);
}

/* Whatever is silent, the whole takes no longer than it may. */
static void the_time_is_shared(void **state)
{
    struct pixi_addr dumb = silent();
    uint64_t from = pixi_clock_mono_ms(), took;

    (void)state;
    for (int i = 0; i < 4; i++)
        add(dumb);
    start(600);
    await(PIXI_E_TIMEOUT);
    took = pixi_clock_mono_ms() - from;
    assert_in_range(took, 590, 2000);
    says(&dumb, "no answer in 600 ms; ");
    assert_true(dial.attempts[1].is_started);
    assert_false(dial.attempts[3].is_started);
    assert_int_equal(dial.sys_errno, ETIMEDOUT);
}

static void much_text_is_cut(void **state)
{
    struct pixi_addr no = refusing();

    (void)state;
    while (addrs.count < PIXI_ADDRS_MAX)
        add(no);
    start(5000);
    await(PIXI_E_CONNECT);
    assert_int_equal(strlen(dial.text), PIXI_DIAL_TEXT - 1);
}

/* ---- by a proxy: what it says itself is for tunnel_test.c ---- */

static struct pixi_proxy proxy;

static void start_by_proxy(uint16_t at, uint32_t timeout_ms)
{
    struct pixi_dial_to to = {.host = "h.test", .port = 80, .proxy = &proxy, .timeout_ms = timeout_ms};

    proxy = (struct pixi_proxy){.kind = PIXI_PROXY_HTTP, .host = "127.0.0.1", .port = at};
    pixi_dial_start(&dial, &loop, &tcp, &handlers, &to);
    while (!done_count && accepted < 0)
        assert_int_equal(pixi_loop_turn(&loop, 50), PIXI_OK);
}

/* The first bytes of the stream come with the proxy's answer: they are the caller's. */
static void proxy_opens_the_way(void **state)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\n\r\nabc";

    (void)state;
    start_by_proxy(port(), 5000);
    assert_int_equal(write(accepted, answer, sizeof answer - 1), sizeof answer - 1);
    await(PIXI_OK);
    assert_ptr_equal(tcp.handlers, &handlers);
    quiet();
    assert_int_equal(bytes_count, 3);
}

static void proxy_refuses(void **state)
{
    static const char answer[] = "HTTP/1.1 403 No\r\n\r\n";
    char want[100];

    (void)state;
    start_by_proxy(port(), 5000);
    assert_int_equal(write(accepted, answer, sizeof answer - 1), sizeof answer - 1);
    await(PIXI_E_PROXY);
    snprintf(want, sizeof want, "the proxy http://127.0.0.1:%u answered 403 No to CONNECT h.test:80", port());
    assert_string_equal(dial.text, want);
    quiet();
}

static void proxy_is_mute(void **state)
{
    (void)state;
    start_by_proxy(port(), 100);
    await(PIXI_E_PROXY);
    assert_non_null(strstr(dial.text, " did not answer in 100 ms"));
    quiet();
}

static void proxy_is_not_there(void **state)
{
    (void)state;
    start_by_proxy(1, 5000);
    await(PIXI_E_PROXY);
    assert_string_equal(dial.text,
                        "the proxy http://127.0.0.1:1 cannot be reached: 127.0.0.1:1: Connection refused");
}

static void proxy_cancelled(void **state)
{
    (void)state;
    start_by_proxy(port(), 50);
    pixi_dial_cancel(&dial);
    quiet();
    assert_int_equal(done_count, 0);
}

/* ---- giving up ---- */

static void cancelled_at_once(void **state)
{
    (void)state;
    add(listener.addr);
    start(20);
    pixi_dial_cancel(&dial);
    pixi_dial_cancel(&dial);
    assert_int_equal(tcp.state, PIXI_TCP_CLOSED);
    quiet();
    assert_int_equal(done_count, 0);
}

static void cancelled_while_waiting(void **state)
{
    (void)state;
    add(silent());
    start(30);
    assert_int_equal(pixi_loop_turn(&loop, 0), PIXI_OK);
    pixi_dial_cancel(&dial);
    quiet();
    assert_int_equal(done_count, 0);
    assert_int_equal(tcp.state, PIXI_TCP_CLOSED);
}

static void cancelled_between_failure_and_news(void **state)
{
    (void)state;
    start(5000); /* no address: the news is to come in a turn of its own */
    pixi_dial_cancel(&dial);
    quiet();
    assert_int_equal(done_count, 0);
}

static void cancelled_before_it_began(void **state)
{
    (void)state;
    pixi_dial_cancel(&dial);
    assert_int_equal(done_count, 0);
}

static void dialled_again(void **state)
{
    (void)state;
    add(refusing());
    start(5000);
    await(PIXI_E_CONNECT);
    done_count = 0;
    addrs.at[0] = listener.addr;
    start(5000);
    await(PIXI_OK);
    assert_string_equal(dial.text, "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers_are_dialled),
        TEST(localhost_is_dialled),
        TEST(a_name_is_dialled),
        TEST(a_late_family_is_not_waited_for),
        TEST(a_late_family_is_still_tried),
        TEST(names_not_found),
        TEST(names_take_their_time_only),
        TEST(every_address_is_tried),
        TEST(connects),
        TEST(refused),
        TEST(no_answer),
        TEST(no_address),
        TEST(the_next_one_answers),
        TEST(none_answers),
        TEST(the_last_is_silent),
        TEST(silence_delays_the_next),
        TEST(failure_does_not),
        TEST(families_take_turns),
        TEST(the_time_is_shared),
        TEST(much_text_is_cut),
        TEST(proxy_opens_the_way),
        TEST(proxy_refuses),
        TEST(proxy_is_mute),
        TEST(proxy_is_not_there),
        TEST(proxy_cancelled),
        TEST(cancelled_at_once),
        TEST(cancelled_while_waiting),
        TEST(cancelled_between_failure_and_news),
        TEST(cancelled_before_it_began),
        TEST(dialled_again),
    };

    return cmocka_run_group_tests_name("net/dial", tests, NULL, NULL);
}
