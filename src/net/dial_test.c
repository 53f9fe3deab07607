#include "net/dial.h"
#include "net/listen.h"
#include "invariants.h"

#include <errno.h>
#include <netinet/in.h>

static struct pixi_loop loop;
static struct pixi_dial dial;
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
    listener = (struct pixi_listener){.on_accept = on_accept};
    done_count = bytes_count = 0;
    accepted = deaf.listener = -1;
    assert_int_equal(pixi_loop_init(&loop), PIXI_OK);
    assert_int_equal(pixi_addr_parse("127.0.0.1:0", &at), PIXI_OK);
    return pixi_listener_open(&listener, &loop, &at);
}

static int tear_down(void **state)
{
    (void)state;
    pixi_dial_cancel(&dial);
    pixi_tcp_close(&tcp);
    pixi_listener_close(&listener);
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
    dial.addrs[dial.count++] = at;
}

static void start(uint64_t timeout_ms)
{
    pixi_dial_start(&dial, &loop, &tcp, &handlers, timeout_ms);
    assert_int_equal(done_count, 0); /* never from inside the call */
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

static void resolves_numbers(void **state)
{
    char text[PIXI_ADDR_TEXT];

    (void)state;
    assert_int_equal(pixi_dial_resolve(&dial, "127.0.0.1", 8768), PIXI_OK);
    assert_int_equal(dial.count, 1);
    pixi_addr_text(&dial.addrs[0], text);
    assert_string_equal(text, "127.0.0.1:8768");
    assert_int_equal(pixi_dial_resolve(&dial, "::1", 65535), PIXI_OK);
    assert_int_equal(dial.count, 1); /* those of the last name only */
    pixi_addr_text(&dial.addrs[0], text);
    assert_string_equal(text, "[::1]:65535");
}

static void resolves_localhost(void **state)
{
    (void)state;
    assert_int_equal(pixi_dial_resolve(&dial, "localhost", 1), PIXI_OK);
    assert_in_range(dial.count, 1, 2);
    for (unsigned i = 0; i < dial.count; i++)
        assert_true(pixi_addr_is_loopback(&dial.addrs[i]));
}

static void names_not_found(void **state)
{
    /* a label of 64 bytes: no resolver is asked */
    static const char name[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.example";

    (void)state;
    assert_int_equal(pixi_dial_resolve(&dial, name, 1), PIXI_E_NAME);
    assert_int_equal(dial.count, 0);
    assert_memory_equal(dial.text, name, strlen(name));
    assert_true(strlen(dial.text) > strlen(name) + 2);
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
    start(600);
    await(PIXI_OK);
    says(&no, "Connection refused");
    says(&dumb, "no answer in ");
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
    says(&other, "Connection refused; ");
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

/* Whatever fails, the whole takes no longer than it may. */
static void the_time_is_shared(void **state)
{
    struct pixi_addr dumb = silent();
    uint64_t from = pixi_clock_mono_ms(), took;

    (void)state;
    for (int i = 0; i < 4; i++)
        add(dumb);
    start(100);
    await(PIXI_E_CONNECT);
    took = pixi_clock_mono_ms() - from;
    assert_in_range(took, 95, 1000);
    says(&dumb, "no answer in 25 ms; ");
}

static void much_text_is_cut(void **state)
{
    struct pixi_addr no = refusing();

    (void)state;
    while (dial.count < PIXI_DIAL_ADDRS)
        add(no);
    start(5000);
    await(PIXI_E_CONNECT);
    assert_int_equal(strlen(dial.text), PIXI_DIAL_TEXT - 1);
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
    dial.addrs[0] = listener.addr;
    start(5000);
    await(PIXI_OK);
    assert_string_equal(dial.text, "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(resolves_numbers),
        TEST(resolves_localhost),
        TEST(names_not_found),
        TEST(connects),
        TEST(refused),
        TEST(no_answer),
        TEST(no_address),
        TEST(the_next_one_answers),
        TEST(none_answers),
        TEST(the_last_is_silent),
        TEST(the_time_is_shared),
        TEST(much_text_is_cut),
        TEST(cancelled_at_once),
        TEST(cancelled_while_waiting),
        TEST(cancelled_between_failure_and_news),
        TEST(cancelled_before_it_began),
        TEST(dialled_again),
    };

    return cmocka_run_group_tests_name("net/dial", tests, NULL, NULL);
}
