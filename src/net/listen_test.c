#include "net/listen.h"
#include "invariants.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>

enum { CLIENTS = 150 };

static struct pixi_loop loop;
static struct pixi_listener listener;
static int fds[CLIENTS], clients[CLIENTS], count, close_at;
static struct pixi_addr froms[CLIENTS];

static void on_accept(struct pixi_listener *s, int fd, const struct pixi_addr *from)
{
    assert_ptr_equal(s, &listener);
    assert_in_range(count, 0, CLIENTS - 1);
    froms[count] = *from;
    fds[count++] = fd;
    if (count == close_at)
        pixi_listener_close(s);
}

static int turned_away;

static void on_full(struct pixi_listener *s, int fd, const struct pixi_addr *from)
{
    assert_ptr_equal(s, &listener);
    assert_int_equal(from->sa.ss_family, AF_INET);
    turned_away++;
    close(fd);
    if (turned_away == close_at)
        pixi_listener_close(s);
}

static int set_up(void **state)
{
    (void)state;
    count = close_at = turned_away = 0;
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = fds[i] = -1;
    listener = (struct pixi_listener){.on_accept = on_accept, .on_full = on_full};
    return pixi_loop_init(&loop);
}

static int tear_down(void **state)
{
    (void)state;
    if (listener.watch.is_watched || pixi_timer_is_set(&listener.rest))
        pixi_listener_close(&listener);
    for (int i = 0; i < CLIENTS; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        if (clients[i] >= 0)
            close(clients[i]);
    }
    pixi_loop_clear(&loop);
    return 0;
}

static void open_at(const char *text)
{
    struct pixi_addr at;

    assert_int_equal(pixi_addr_parse(text, &at), PIXI_OK);
    assert_int_equal(pixi_listener_open(&listener, &loop, &at), PIXI_OK);
}

static void connect_some(int some)
{
    for (int i = 0; i < some; i++) {
        clients[i] = socket(listener.addr.sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(clients[i], (struct sockaddr *)&listener.addr.sa, listener.addr.len), 0);
    }
}

static void await(int want)
{
    uint64_t until = pixi_clock_mono_ms() + 5000;

    while (count < want && pixi_clock_mono_ms() < until)
        assert_int_equal(pixi_loop_turn(&loop, 50), PIXI_OK);
    assert_int_equal(count, want);
}

static void accepts(void **state)
{
    struct pixi_addr client = {.len = sizeof client.sa};
    char text[PIXI_ADDR_TEXT], want[PIXI_ADDR_TEXT], byte;

    (void)state;
    open_at("127.0.0.1:0");
    pixi_addr_text(&listener.addr, text);
    assert_true(strncmp(text, "127.0.0.1:", 10) == 0 && strcmp(text, "127.0.0.1:0") != 0); /* the real port */
    connect_some(1);
    await(1);
    assert_int_equal(getsockname(clients[0], (struct sockaddr *)&client.sa, &client.len), 0);
    pixi_addr_text(&froms[0], text);
    pixi_addr_text(&client, want);
    assert_string_equal(text, want);
    assert_true(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(clients[0], "x", 1), 1);
    assert_int_equal(read(fds[0], &byte, 1), 1);
}

/* More than one turn takes. */
static void many_at_once(void **state)
{
    (void)state;
    open_at("127.0.0.1:0");
    connect_some(CLIENTS);
    assert_int_equal(pixi_loop_turn(&loop, 1000), PIXI_OK);
    assert_in_range(count, 1, CLIENTS - 1); /* others have their turn too */
    await(CLIENTS);
}

static void closed_while_accepting(void **state)
{
    (void)state;
    open_at("127.0.0.1:0");
    close_at = 3;
    connect_some(10);
    for (int i = 0; i < 5; i++)
        assert_int_equal(pixi_loop_turn(&loop, 20), PIXI_OK);
    assert_int_equal(count, 3);
    assert_int_equal(listener.watch.fd, -1);
}

static void taken(void **state)
{
    struct pixi_listener other = {.on_accept = on_accept};

    (void)state;
    open_at("127.0.0.1:0");
    errno = 0;
    assert_int_equal(pixi_listener_open(&other, &loop, &listener.addr), PIXI_E_SYS);
    assert_int_equal(errno, EADDRINUSE);
}

/* A port just left can be taken again, although its last connection is remembered. */
static void taken_again(void **state)
{
    struct pixi_addr at;

    (void)state;
    open_at("127.0.0.1:0");
    at = listener.addr;
    connect_some(1);
    await(1);
    close(fds[0]); /* the side that closes first is the one that waits */
    fds[0] = -1;
    pixi_listener_close(&listener);
    assert_int_equal(pixi_listener_open(&listener, &loop, &at), PIXI_OK);
}

static void bad_address(void **state)
{
    struct pixi_addr at = {.sa.ss_family = AF_UNSPEC, .len = sizeof(struct sockaddr_in)};

    (void)state;
    assert_int_equal(pixi_listener_open(&listener, &loop, &at), PIXI_E_SYS);
    assert_int_equal(pixi_addr_parse("192.0.2.1:0", &at), PIXI_OK); /* nobody's, RFC 5737 */
    assert_int_equal(pixi_listener_open(&listener, &loop, &at), PIXI_E_SYS);
    assert_int_equal(errno, EADDRNOTAVAIL);
}

static struct rlimit was;

/* It keeps a limit of its own, which accept does not know. */
static void skip_under_valgrind(void)
{
    if (getenv("PIXI_VALGRIND"))
        skip();
}

/* No descriptor more for this process; of_spare: the listener still has its own. */
static void run_out(bool of_spare)
{
    struct rlimit none;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    none = (struct rlimit){3, was.rlim_max};
    if (of_spare) {
        close(listener.spare);
        listener.spare = -1;
    } else {
        none.rlim_cur = (rlim_t)listener.spare + 1;
        for (int fd = 0; fd < listener.spare; fd++)
            assert_true(fcntl(fd, F_GETFD) >= 0); /* no gap below it */
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

/* Out of descriptors, even the spare one, it looks away without spinning, and comes back. */
static void descriptors_run_out(void **state)
{
    uint64_t until;
    int turns = 0;

    skip_under_valgrind();
    (void)state;
    open_at("127.0.0.1:0");
    connect_some(2);
    run_out(true);
    for (until = pixi_clock_mono_ms() + 50; pixi_clock_mono_ms() < until; turns++)
        assert_int_equal(pixi_loop_turn(&loop, (int)(until - pixi_clock_mono_ms())), PIXI_OK);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_int_equal(count, 0);
    assert_int_equal(turned_away, 0);
    assert_in_range(turns, 1, 10);
    await(2);
    assert_true(listener.spare >= 0);
}

/* With it each is told, and nobody waits. */
static void told_by_the_spare(void **state)
{
    char byte;

    skip_under_valgrind();
    (void)state;
    open_at("127.0.0.1:0");
    connect_some(5);
    run_out(false);
    assert_int_equal(pixi_loop_turn(&loop, 1000), PIXI_OK);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_int_equal(count, 0);
    assert_int_equal(turned_away, 5);
    assert_true(listener.spare >= 0);
    assert_false(pixi_timer_is_set(&listener.rest));
    for (int i = 0; i < 5; i++)
        assert_int_equal(read(clients[i], &byte, 1), 0);
    assert_int_equal(pixi_loop_turn(&loop, 20), PIXI_OK);
    for (int i = 0; i < 5; i++)
        close(clients[i]);
    connect_some(1);
    await(1);
}

static void closed_while_resting(void **state)
{
    (void)state;
    open_at("127.0.0.1:0");
    connect_some(1);
    run_out(true);
    assert_int_equal(pixi_loop_turn(&loop, 1000), PIXI_OK);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_true(pixi_timer_is_set(&listener.rest));
    pixi_listener_close(&listener);
    assert_false(pixi_timer_is_set(&listener.rest));
    assert_int_equal(pixi_loop_turn(&loop, 120), PIXI_OK);
    assert_int_equal(count, 0);
}

static void closed_while_turning_away(void **state)
{
    (void)state;
    open_at("127.0.0.1:0");
    close_at = 2;
    connect_some(5);
    run_out(false);
    assert_int_equal(pixi_loop_turn(&loop, 1000), PIXI_OK);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_int_equal(turned_away, 2);
    assert_int_equal(listener.spare, -1);
    assert_false(pixi_timer_is_set(&listener.rest));
}

/* IPv6 takes no IPv4, which is listened to by itself. Without IPv6 in this machine there is nothing to see. */
static void ipv6_alone(void **state)
{
    struct pixi_addr at;
    socklen_t len = sizeof(int);
    int is_alone = 0;

    (void)state;
    assert_int_equal(pixi_addr_parse("[::]:0", &at), PIXI_OK);
    if (pixi_listener_open(&listener, &loop, &at) != PIXI_OK) {
        assert_true(errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL);
        return;
    }
    assert_int_equal(getsockopt(listener.watch.fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_alone, &len), 0);
    assert_int_equal(is_alone, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(accepts),
        TEST(many_at_once),
        TEST(closed_while_accepting),
        TEST(taken),
        TEST(taken_again),
        TEST(bad_address),
        TEST(descriptors_run_out),
        TEST(closed_while_resting),
        TEST(ipv6_alone),
        TEST(told_by_the_spare),
        TEST(closed_while_turning_away),
    };

    return cmocka_run_group_tests_name("net/listen", tests, NULL, NULL);
}
