#include "net/tunnel.h"
#include "invariants.h"

#include <errno.h>
#include <sys/socket.h>

static struct pixi_loop loop;
static struct pixi_tunnel tunnel;
static struct pixi_proxy proxy;
static int ours, theirs, done_count, done_err;

static void on_done(struct pixi_tunnel *t, int err)
{
    assert_ptr_equal(t, &tunnel);
    assert_int_equal(t->text[0] != 0, err == PIXI_E_PROXY || err == PIXI_E_PROXY_USER);
    done_count++;
    done_err = err;
}

static void open_pair(void)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    ours = pair[0];
    theirs = pair[1];
    done_count = 0;
    done_err = PIXI_MORE;
    tunnel = (struct pixi_tunnel){.on_done = on_done};
}

static void close_pair(void)
{
    pixi_tunnel_cancel(&tunnel);
    close(ours);
    close(theirs);
}

static int set_up(void **state)
{
    (void)state;
    proxy = (struct pixi_proxy){.kind = PIXI_PROXY_HTTP, .host = "proxy", .port = 1};
    assert_int_equal(pixi_loop_init(&loop), PIXI_OK);
    open_pair();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close_pair();
    pixi_loop_clear(&loop);
    return 0;
}

static void turn(void)
{
    for (int i = 0; i < 3; i++)
        assert_int_equal(pixi_loop_turn(&loop, 0), PIXI_OK);
}

static void start(const char *host, uint16_t port)
{
    pixi_tunnel_start(&tunnel, &loop, ours, &proxy, host, port);
    assert_int_equal(done_count, 0);
    turn();
}

static void as_user(const char *user, const char *password)
{
    proxy.has_user = true;
    strcpy(proxy.user, user);
    strcpy(proxy.password, password);
}

static void asks(const void *want, size_t len)
{
    char got[4096];
    ssize_t n = recv(theirs, got, sizeof got, 0);

    if (n != (ssize_t)len || memcmp(got, want, len) != 0)
        fail_msg("asked '%.*s'", (int)n, got);
}

static void answer(const void *bytes, size_t len)
{
    assert_int_equal(write(theirs, bytes, len), len);
    turn();
}

static void answer_text(const char *text)
{
    answer(text, strlen(text));
}

#define ASKS(...)   asks((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
#define ANSWER(...) answer((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void ends(int err, const char *text)
{
    assert_int_equal(done_count, 1);
    assert_string_equal(tunnel.text, text);
    assert_int_equal(done_err, err);
}

/* What follows the answer is still in the socket. */
static void stream_holds(const char *want)
{
    char got[64];
    ssize_t n = recv(ours, got, sizeof got, 0);

    assert_int_equal(n, strlen(want) ? (ssize_t)strlen(want) : -1);
    if (n > 0)
        assert_memory_equal(got, want, (size_t)n);
}

/* ---- HTTP ---- */

#define CONNECT_H "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n"

static void http(void **state)
{
    (void)state;
    start("h", 80);
    asks(CONNECT_H "\r\n", strlen(CONNECT_H "\r\n"));
    answer_text("HTTP/1.1 200 OK\r\n\r\n");
    ends(PIXI_OK, "");
    stream_holds("");
}

static void http_ipv6(void **state)
{
    static const char want[] = "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n";

    (void)state;
    start("2001:db8::1", 443);
    asks(want, strlen(want));
}

static void http_basic(void **state)
{
    static const char want[] = CONNECT_H "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n";

    (void)state;
    as_user("Aladdin", "open sesame");
    start("h", 80);
    asks(want, strlen(want));
    answer_text("HTTP/1.0 200\r\nVia: x\r\n\r\n");
    ends(PIXI_OK, "");
}

static void http_longest_words(void **state)
{
    (void)state;
    proxy.has_user = true;
    memset(proxy.user, 'u', PIXI_PROXY_WORD_MAX);
    memset(proxy.password, 'p', PIXI_PROXY_WORD_MAX);
    start("h", 80);
    answer_text("HTTP/1.1 200 OK\r\n\r\n");
    ends(PIXI_OK, "");
}

static const struct answer_row {
    const char *answer;
    int err;
    const char *text;
} answers[] = {
    {"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n", PIXI_OK, ""},
    {"HTTP/1.0 299\r\n\r\n", PIXI_OK, ""},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", PIXI_OK, ""},
    {"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", PIXI_E_PROXY_USER,
     "wants a user name and a password"},
    {"HTTP/1.1 401 Unauthorized\r\n\r\n", PIXI_E_PROXY_USER, "wants a user name and a password"},
    {"HTTP/1.1 403 For\x1b[2Jbidden\r\n\r\n", PIXI_E_PROXY, "answered 403 For[2Jbidden to CONNECT h:80"},
    {"HTTP/1.1 502 \r\n\r\n", PIXI_E_PROXY, "answered 502 to CONNECT h:80"},
    {"HTTP/1.1 502\r\n\r\n", PIXI_E_PROXY, "answered 502 to CONNECT h:80"},
    {"HTTP/1.1 301 Moved\r\nLocation: http://x/\r\n\r\n", PIXI_E_PROXY, "answered 301 Moved to CONNECT h:80"},
    {"HTTP/1.1 101 Switching\r\n\r\n", PIXI_E_PROXY, "is no HTTP proxy"},
    {"HTTP/1.1 99 x\r\n\r\n", PIXI_E_PROXY, "is no HTTP proxy"},
    {"HTTP/1.1 2000 x\r\n\r\n", PIXI_E_PROXY, "is no HTTP proxy"},
    {"HTTP/1.1  200 x\r\n\r\n", PIXI_E_PROXY, "is no HTTP proxy"},
    {"HTTP/1.2 200 OK\r\n\r\n", PIXI_E_PROXY, "is no HTTP proxy"},
    {"HTTP/2 200 OK\r\n\r\n", PIXI_E_PROXY, "is no HTTP proxy"},
    {"HTTP/1.1 200 OK\n\n", PIXI_E_PROXY, "is no HTTP proxy"},
    {"HTTP/1.1 200 OK\r\nA: b\n\r\n", PIXI_E_PROXY, "is no HTTP proxy"},
    {"SSH-2.0-x\r\n", PIXI_E_PROXY, "is no HTTP proxy"},
    {"\r\n\r\n", PIXI_E_PROXY, "is no HTTP proxy"},
    {"\x05\xff", PIXI_E_PROXY, "is no HTTP proxy"},
};

static void http_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        close_pair();
        open_pair();
        start("h", 80);
        answer_text(answers[i].answer);
        ends(answers[i].err, answers[i].text);
    }
}

/* However the answer is cut, it comes to the same, and what follows stays where it is. */
static void http_cut(void **state)
{
    static const char all[] = "HTTP/1.1 200 OK\r\nVia: 1.1 x\r\n\r\nstream";
    size_t len = strlen(all), head = len - strlen("stream");

    (void)state;
    for (size_t cut = 1; cut < len; cut++) {
        close_pair();
        open_pair();
        start("h", 80);
        answer(all, cut);
        assert_int_equal(done_count, cut >= head);
        answer(all + cut, len - cut);
        ends(PIXI_OK, "");
        stream_holds("stream");
    }
    close_pair();
    open_pair();
    start("h", 80);
    for (size_t i = 0; i < len; i++)
        answer(all + i, 1);
    ends(PIXI_OK, "");
    stream_holds("stream");
}

static void http_wrong_user(void **state)
{
    (void)state;
    as_user("u", "p");
    start("h", 80);
    answer_text("HTTP/1.1 407 x\r\n\r\n");
    ends(PIXI_E_PROXY_USER, "does not take this user name and password");
}

static void http_too_long(void **state)
{
    char field[1000];

    (void)state;
    memset(field, 'a', sizeof field);
    start("h", 80);
    answer_text("HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 20 && !done_count; i++)
        answer(field, sizeof field);
    ends(PIXI_E_PROXY, "sent an answer that is too long");
}

static void http_hangs_up(void **state)
{
    (void)state;
    start("h", 80);
    answer_text("HTTP/1.1 2");
    assert_int_equal(shutdown(theirs, SHUT_WR), 0);
    turn();
    ends(PIXI_E_PROXY, "closed the connection without an answer");
}

/* While half an answer lies there, the loop rests. */
static void no_turning_in_circles(void **state)
{
    uint64_t from = pixi_clock_mono_ms();

    (void)state;
    start("h", 80);
    answer_text("HTTP/1.1 200 OK\r\n\r");
    assert_int_equal(pixi_loop_turn(&loop, 50), PIXI_OK);
    assert_in_range(pixi_clock_mono_ms() - from, 45, 1000);
    assert_int_equal(done_count, 0);
}

/* ---- SOCKS ---- */

static void socks_name(void **state)
{
    (void)state;
    proxy.kind = PIXI_PROXY_SOCKS5;
    start("pixi.test", 8768);
    ASKS(5, 1, 0);
    ANSWER(5, 0);
    ASKS(5, 1, 0, 3, 9, 'p', 'i', 'x', 'i', '.', 't', 'e', 's', 't', 0x22, 0x40);
    ANSWER(5, 0, 0, 1, 0, 0, 0, 0, 0, 0, 'x', 'y');
    ends(PIXI_OK, "");
    stream_holds("xy");
}

static void socks_numbers(void **state)
{
    (void)state;
    proxy.kind = PIXI_PROXY_SOCKS5;
    start("192.0.2.7", 80);
    ASKS(5, 1, 0);
    ANSWER(5, 0);
    ASKS(5, 1, 0, 1, 192, 0, 2, 7, 0, 80);
    close_pair();
    open_pair();
    start("::1", 80);
    ASKS(5, 1, 0);
    ANSWER(5, 0);
    ASKS(5, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80);
}

static void socks_user(void **state)
{
    (void)state;
    proxy.kind = PIXI_PROXY_SOCKS5;
    as_user("me", "pw");
    start("h", 80);
    ASKS(5, 2, 0, 2);
    ANSWER(5, 2);
    ASKS(1, 2, 'm', 'e', 2, 'p', 'w');
    ANSWER(1, 0);
    ASKS(5, 1, 0, 3, 1, 'h', 0, 80);
    ANSWER(5, 0, 0, 3, 2, 'a', 'b', 0, 80, 's');
    ends(PIXI_OK, "");
    stream_holds("s");
}

/* The proxy may do without what it was offered. */
static void socks_user_not_wanted(void **state)
{
    (void)state;
    proxy.kind = PIXI_PROXY_SOCKS5;
    as_user("me", "pw");
    start("h", 80);
    ASKS(5, 2, 0, 2);
    ANSWER(5, 0);
    ASKS(5, 1, 0, 3, 1, 'h', 0, 80);
    ANSWER(5, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80);
    ends(PIXI_OK, "");
}

static void socks_wrong_user(void **state)
{
    (void)state;
    proxy.kind = PIXI_PROXY_SOCKS5;
    as_user("me", "pw");
    start("h", 80);
    ANSWER(5, 2);
    ANSWER(1, 1);
    ends(PIXI_E_PROXY_USER, "does not take this user name and password");
}

static void socks_wants_user(void **state)
{
    (void)state;
    proxy.kind = PIXI_PROXY_SOCKS5;
    start("h", 80);
    ANSWER(5, 0xff);
    ends(PIXI_E_PROXY_USER, "wants a user name and a password");
}

static void socks_refuses(void **state)
{
    static const struct {
        uint8_t code;
        const char *text;
    } rows[] = {{1, "does not connect to h:80: it has failed"},
                {2, "does not connect to h:80: its rules do not allow it"},
                {5, "does not connect to h:80: connection refused"},
                {8, "does not connect to h:80: it does not take this kind of address"},
                {9, "does not connect to h:80 (code 9)"},
                {255, "does not connect to h:80 (code 255)"}};

    (void)state;
    proxy.kind = PIXI_PROXY_SOCKS5;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        close_pair();
        open_pair();
        start("h", 80);
        ANSWER(5, 0);
        ANSWER(5, rows[i].code, 0, 1, 0, 0, 0, 0, 0, 0);
        ends(PIXI_E_PROXY, rows[i].text);
    }
}

static void not_socks(void **state)
{
    static const char *const rows[] = {"HT", "\x04\x01", "\x05\x01", "\x05\x02"};

    (void)state;
    proxy.kind = PIXI_PROXY_SOCKS5;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        close_pair();
        open_pair();
        start("h", 80);
        answer(rows[i], 2);
        ends(PIXI_E_PROXY, "is no SOCKS5 proxy");
    }
    close_pair();
    open_pair();
    start("h", 80);
    ANSWER(5, 0);
    ANSWER(5, 0, 0, 2, 0, 0);
    ends(PIXI_E_PROXY, "is no SOCKS5 proxy");
}

static void socks_byte_by_byte(void **state)
{
    static const uint8_t all[] = {5, 2, 1, 0, 5, 0, 0, 3, 1, 'a', 0, 80, 's'};

    (void)state;
    proxy.kind = PIXI_PROXY_SOCKS5;
    as_user("me", "pw");
    start("h", 80);
    for (size_t i = 0; i < sizeof all; i++) {
        assert_int_equal(done_count, i == sizeof all - 1);
        answer(all + i, 1);
    }
    ends(PIXI_OK, "");
    stream_holds("s");
}

static void socks_hangs_up(void **state)
{
    (void)state;
    proxy.kind = PIXI_PROXY_SOCKS5;
    start("h", 80);
    close(theirs);
    theirs = -1;
    turn();
    assert_int_equal(done_count, 1);
    assert_int_equal(done_err, PIXI_E_PROXY);
}

/* ---- giving up ---- */

static void cancelled(void **state)
{
    (void)state;
    start("h", 80);
    pixi_tunnel_cancel(&tunnel);
    pixi_tunnel_cancel(&tunnel);
    answer_text("HTTP/1.1 200 OK\r\n\r\n");
    assert_int_equal(done_count, 0);
}

static void cancelled_before_it_began(void **state)
{
    (void)state;
    pixi_tunnel_cancel(&tunnel);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(http),
        TEST(http_ipv6),
        TEST(http_basic),
        TEST(http_longest_words),
        TEST(http_answers),
        TEST(http_cut),
        TEST(http_wrong_user),
        TEST(http_too_long),
        TEST(http_hangs_up),
        TEST(no_turning_in_circles),
        TEST(socks_name),
        TEST(socks_numbers),
        TEST(socks_user),
        TEST(socks_user_not_wanted),
        TEST(socks_wrong_user),
        TEST(socks_wants_user),
        TEST(socks_refuses),
        TEST(not_socks),
        TEST(socks_byte_by_byte),
        TEST(socks_hangs_up),
        TEST(cancelled),
        TEST(cancelled_before_it_began),
    };

    return cmocka_run_group_tests_name("net/tunnel", tests, NULL, NULL);
}
