#include "net/tcp.h"
#include "net/listen.h"
#include "invariants.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- a connection whose other end is a plain descriptor ---- */

static struct ear {
    struct pixi_tcp tcp; /* first: a tcp is its ear */
    struct pixi_buf heard;
    int connects, ends, drains, connect_err, end_errs[4];
    bool close_on_connect, close_on_bytes, close_on_end, close_on_drained, abort_on_bytes, pause_on_bytes;
} ear;

static struct pixi_loop loop;
static int peer = -1;

static struct ear *of(struct pixi_tcp *t)
{
    return (struct ear *)t;
}

static void on_connect(struct pixi_tcp *t, int err)
{
    of(t)->connects++;
    of(t)->connect_err = err;
    if (of(t)->close_on_connect)
        pixi_tcp_close(t);
}

static void on_bytes(struct pixi_tcp *t, uint8_t *bytes, size_t len)
{
    assert_true(len > 0);
    pixi_buf_put(&of(t)->heard, bytes, len);
    memset(bytes, 0, len); /* they may be changed */
    if (of(t)->pause_on_bytes)
        pixi_tcp_pause(t);
    if (of(t)->close_on_bytes)
        pixi_tcp_close(t);
    if (of(t)->abort_on_bytes)
        pixi_tcp_abort(t);
}

static void on_end(struct pixi_tcp *t, int err)
{
    assert_in_range(of(t)->ends, 0, 3);
    of(t)->end_errs[of(t)->ends++] = err;
    if (of(t)->close_on_end)
        pixi_tcp_close(t);
}

static void on_drained(struct pixi_tcp *t)
{
    assert_int_equal(pixi_tcp_waiting(t), 0);
    of(t)->drains++;
    if (of(t)->close_on_drained)
        pixi_tcp_close(t);
}

static const struct pixi_tcp_handlers handlers = {
    .on_connect = on_connect, .on_bytes = on_bytes, .on_end = on_end, .on_drained = on_drained};

static int set_up(void **state)
{
    (void)state;
    ear = (struct ear){.heard = pixi_buf_init(1 << 26)};
    peer = -1;
    return pixi_loop_init(&loop);
}

static int tear_down(void **state)
{
    (void)state;
    pixi_tcp_close(&ear.tcp);
    pixi_tcp_close(&ear.tcp); /* harmless */
    pixi_buf_clear(&ear.heard);
    if (peer >= 0)
        close(peer);
    pixi_loop_clear(&loop);
    return 0;
}

static void open_pair(int type)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    peer = fds[1];
    assert_int_equal(pixi_tcp_open(&ear.tcp, &loop, &handlers, fds[0]), PIXI_OK);
    assert_int_equal(ear.tcp.state, PIXI_TCP_OPEN);
}

/* Two ends of a TCP connection over the loopback. */
static void open_tcp(void)
{
    struct pixi_addr at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

    assert_int_equal(pixi_addr_parse("127.0.0.1:0", &at), PIXI_OK);
    assert_int_equal(bind(listener, (struct sockaddr *)&at.sa, at.len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at.sa, &at.len), 0);
    peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(peer, (struct sockaddr *)&at.sa, at.len), 0);
    fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    close(listener);
    assert_int_equal(fcntl(peer, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(pixi_tcp_open(&ear.tcp, &loop, &handlers, fd), PIXI_OK);
}

static void turns(int count)
{
    while (count-- > 0)
        assert_int_equal(pixi_loop_turn(&loop, 0), PIXI_OK);
}

/* Turns until *count is at least want; what is waited for must come. */
static void await(const int *count, int want)
{
    uint64_t until = pixi_clock_mono_ms() + 5000;

    while (*count < want && pixi_clock_mono_ms() < until)
        assert_int_equal(pixi_loop_turn(&loop, 50), PIXI_OK);
    assert_int_equal(*count, want);
}

static void send_str(const char *text)
{
    assert_int_equal(pixi_tcp_send(&ear.tcp, (const uint8_t *)text, strlen(text)), PIXI_OK);
}

static void heard(const char *want)
{
    assert_true(pixi_cur_equals(pixi_buf_cur(&ear.heard), pixi_cur_str(want)));
}

static void peer_reads(const char *want)
{
    char got[100];
    ssize_t n = recv(peer, got, sizeof got, 0);

    assert_int_equal(n, strlen(want));
    assert_memory_equal(got, want, strlen(want));
}

/* Nothing is to be done any more: a loop that waits would sleep. */
static void sleeps(void)
{
    struct epoll_event e;

    turns(3);
    assert_int_equal(epoll_wait(loop.epoll_fd, &e, 1, 0), 0);
}

/* ---- sending and receiving ---- */

static void both_ways(void **state)
{
    (void)state;
    open_pair(SOCK_STREAM);
    assert_int_equal(write(peer, "hello", 5), 5);
    turns(1);
    heard("hello");
    send_str("wor");
    send_str("ld");
    assert_int_equal(pixi_tcp_waiting(&ear.tcp), 5);
    turns(1);
    peer_reads("world");
    assert_int_equal(pixi_tcp_waiting(&ear.tcp), 0);
    assert_int_equal(ear.tcp.sent, 5);
    assert_int_equal(ear.tcp.received, 5);
    assert_int_equal(ear.drains, 0); /* it never was blocked */
    sleeps();
}

/* A packet of a SOCK_SEQPACKET is a system call. */
static void one_turn_is_one_system_call(void **state)
{
    struct pixi_shared *s = pixi_shared_new(3);
    uint8_t *room;

    (void)state;
    assert_non_null(s);
    memcpy(s->bytes, "ref", 3);
    open_pair(SOCK_SEQPACKET);
    for (int i = 0; i < 10; i++)
        send_str("x");
    room = pixi_tcp_room(&ear.tcp, 4);
    assert_non_null(room);
    memcpy(room, "room", 4);
    assert_int_equal(pixi_tcp_send_shared(&ear.tcp, s), PIXI_OK);
    assert_int_equal(s->refs, 2);
    send_str("end");
    turns(1);
    peer_reads("xxxxxxxxxxroomrefend");
    assert_int_equal(s->refs, 1);
    pixi_shared_release(s);
    send_str("next");
    turns(1);
    send_str("turn");
    turns(1);
    peer_reads("next");
    peer_reads("turn");
}

static void pause_and_resume(void **state)
{
    (void)state;
    open_pair(SOCK_STREAM);
    pixi_tcp_pause(&ear.tcp);
    assert_int_equal(write(peer, "a", 1), 1);
    sleeps();
    heard("");
    pixi_tcp_resume(&ear.tcp);
    turns(1);
    heard("a");
    ear.pause_on_bytes = true;
    assert_int_equal(write(peer, "b", 1), 1);
    turns(1);
    assert_int_equal(write(peer, "c", 1), 1);
    sleeps();
    heard("ab");
    send_str("still sent");
    turns(1);
    peer_reads("still sent");
    pixi_tcp_resume(&ear.tcp);
    turns(1);
    heard("abc");
}

/* ---- backpressure ---- */

enum { MUCH = 8 << 20 };

static void send_much(void)
{
    uint8_t piece[4096];

    for (size_t at = 0; at < MUCH; at += sizeof piece) {
        memset(piece, (int)(at / sizeof piece % 251), sizeof piece);
        assert_int_equal(pixi_tcp_send(&ear.tcp, piece, sizeof piece), PIXI_OK);
    }
}

/* Reads what there is, at most `most`, checking it; how far the stream is, is in *at. */
static void peer_reads_much(size_t *at, size_t most)
{
    static uint8_t piece[65536];
    ssize_t n;

    while (most > 0 && (n = recv(peer, piece, most < sizeof piece ? most : sizeof piece, 0)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            if (piece[i] != (*at + (size_t)i) / 4096 % 251)
                fail_msg("byte %zu", *at + (size_t)i);
        *at += (size_t)n;
        most -= (size_t)n;
    }
}

static void what_does_not_fit_waits(void **state)
{
    size_t at = 0;

    (void)state;
    open_pair(SOCK_STREAM);
    send_much();
    turns(1);
    assert_in_range(pixi_tcp_waiting(&ear.tcp), 1, MUCH - 1);
    assert_int_equal(ear.tcp.sent + pixi_tcp_waiting(&ear.tcp), MUCH);
    sleeps(); /* and does not keep the loop awake */
    while (at < MUCH) {
        assert_int_equal(ear.drains, 0);
        peer_reads_much(&at, MUCH);
        turns(1);
        if (ear.drains)
            peer_reads_much(&at, MUCH);
    }
    assert_int_equal(ear.drains, 1);
    assert_int_equal(pixi_tcp_waiting(&ear.tcp), 0);
    sleeps();
}

/* What is sent while something waits can find the way free: that drains it, too. */
static void a_send_can_drain(void **state)
{
    size_t at = 0;

    (void)state;
    open_pair(SOCK_STREAM);
    send_much();
    turns(1);
    while (pixi_tcp_waiting(&ear.tcp) > 0) {
        peer_reads_much(&at, MUCH);
        /* the queue is flushed before the loop looks who can write */
        assert_int_equal(pixi_tcp_send(&ear.tcp, NULL, 0), PIXI_OK);
        turns(1);
    }
    assert_int_equal(ear.drains, 1);
    peer_reads_much(&at, MUCH);
    assert_int_equal(at, MUCH);
    sleeps();
    assert_int_equal(ear.drains, 1);
}

static void close_when_drained(void **state)
{
    size_t at = 0;

    (void)state;
    open_pair(SOCK_STREAM);
    ear.close_on_drained = true;
    send_much();
    turns(1);
    for (int i = 0; i < 1000 && ear.tcp.state == PIXI_TCP_OPEN; i++) {
        peer_reads_much(&at, MUCH);
        turns(1);
    }
    assert_int_equal(ear.tcp.state, PIXI_TCP_CLOSED);
    peer_reads_much(&at, MUCH);
    assert_int_equal(at, MUCH);
}

/* ---- ends ---- */

static void half_close_by_the_peer(void **state)
{
    (void)state;
    open_tcp();
    assert_int_equal(write(peer, "bye", 3), 3);
    shutdown(peer, SHUT_WR);
    await(&ear.ends, 1);
    heard("bye");
    assert_int_equal(ear.end_errs[0], PIXI_OK);
    assert_int_equal(ear.tcp.state, PIXI_TCP_OPEN);
    sleeps();
    send_str("so long"); /* it may still read */
    turns(1);
    peer_reads("so long");
    assert_int_equal(ear.ends, 1);
}

static void both_finish(void **state)
{
    char byte;

    (void)state;
    open_tcp();
    send_str("last");
    pixi_tcp_shutdown(&ear.tcp);
    send_str("too late");
    assert_null(pixi_tcp_room(&ear.tcp, 1));
    turns(2);
    peer_reads("last");
    assert_int_equal(recv(peer, &byte, 1, 0), 0);
    assert_int_equal(write(peer, "still heard", 11), 11);
    shutdown(peer, SHUT_WR);
    await(&ear.ends, 1);
    heard("still heard");
    sleeps();
    assert_int_equal(ear.ends, 1); /* an orderly end is no loss */
    assert_int_equal(ear.end_errs[0], PIXI_OK);
}

static void both_finish_the_other_way(void **state)
{
    char byte;

    (void)state;
    open_tcp();
    shutdown(peer, SHUT_WR);
    await(&ear.ends, 1);
    send_str("last");
    pixi_tcp_shutdown(&ear.tcp);
    sleeps();
    peer_reads("last");
    assert_int_equal(recv(peer, &byte, 1, 0), 0);
    close(peer);
    peer = -1;
    sleeps();
    assert_int_equal(ear.ends, 1);
    assert_int_equal(ear.end_errs[0], PIXI_OK);
}

static void shutdown_waits_for_the_queue(void **state)
{
    size_t at = 0;

    (void)state;
    open_pair(SOCK_STREAM);
    send_much();
    pixi_tcp_shutdown(&ear.tcp);
    for (int i = 0; i < 1000 && at < MUCH; i++) {
        turns(1);
        peer_reads_much(&at, MUCH);
    }
    assert_int_equal(at, MUCH);
    turns(1);
    assert_int_equal(recv(peer, &at, 1, 0), 0);
}

static void reset_peer(void)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};

    assert_int_equal(setsockopt(peer, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    close(peer);
    peer = -1;
}

static void reset_by_the_peer(void **state)
{
    (void)state;
    open_tcp();
    reset_peer();
    await(&ear.ends, 1);
    assert_int_equal(ear.end_errs[0], PIXI_E_RESET);
    assert_int_equal(ear.tcp.sys_errno, ECONNRESET);
    assert_int_equal(ear.tcp.state, PIXI_TCP_BROKEN);
    send_str("dropped");
    assert_null(pixi_tcp_room(&ear.tcp, 1));
    pixi_tcp_pause(&ear.tcp);
    pixi_tcp_resume(&ear.tcp);
    pixi_tcp_shutdown(&ear.tcp);
    sleeps();
    assert_int_equal(ear.ends, 1);
    assert_int_equal(pixi_tcp_waiting(&ear.tcp), 0);
}

static void reset_while_paused(void **state)
{
    (void)state;
    open_tcp();
    pixi_tcp_pause(&ear.tcp);
    turns(1);
    reset_peer();
    await(&ear.ends, 1);
    assert_int_equal(ear.end_errs[0], PIXI_E_RESET);
    sleeps();
    assert_int_equal(ear.ends, 1);
}

/* The peer has finished, something is left for it, and it goes: that must be told, or one would wait for ever. */
static void reset_after_the_end(void **state)
{
    (void)state;
    open_tcp();
    shutdown(peer, SHUT_WR);
    await(&ear.ends, 1);
    send_much();
    turns(1);
    assert_true(pixi_tcp_waiting(&ear.tcp) > 0);
    reset_peer();
    await(&ear.ends, 2);
    assert_int_equal(ear.end_errs[0], PIXI_OK);
    assert_int_equal(ear.end_errs[1], PIXI_E_RESET);
    assert_int_equal(pixi_tcp_waiting(&ear.tcp), 0);
    sleeps();
    assert_int_equal(ear.ends, 2);
    assert_int_equal(ear.drains, 0);
}

static void a_send_finds_the_peer_gone(void **state)
{
    (void)state;
    open_pair(SOCK_STREAM);
    close(peer);
    peer = -1;
    ear.close_on_end = true;
    send_str("nobody"); /* no signal */
    turns(2);
    assert_int_equal(ear.ends, 1);
    assert_int_equal(ear.end_errs[0], PIXI_E_RESET);
    assert_int_equal(ear.tcp.sys_errno, EPIPE);
    assert_int_equal(ear.tcp.state, PIXI_TCP_CLOSED);
}

static void close_sends_what_fits(void **state)
{
    char byte;

    (void)state;
    open_pair(SOCK_STREAM);
    send_str("farewell");
    pixi_tcp_close(&ear.tcp);
    assert_int_equal(ear.tcp.state, PIXI_TCP_CLOSED);
    peer_reads("farewell");
    assert_int_equal(recv(peer, &byte, 1, 0), 0);
    send_str("dropped");
    turns(3);
    assert_int_equal(ear.ends, 0);
}

static void close_drops_what_does_not(void **state)
{
    (void)state;
    open_pair(SOCK_STREAM);
    send_much();
    pixi_tcp_close(&ear.tcp);
    assert_int_equal(pixi_tcp_waiting(&ear.tcp), 0);
    turns(3);
    assert_int_equal(ear.ends + ear.drains, 0);
}

static void abort_resets(void **state)
{
    char byte;

    (void)state;
    open_tcp();
    send_str("dropped");
    pixi_tcp_abort(&ear.tcp);
    assert_int_equal(ear.tcp.state, PIXI_TCP_CLOSED);
    assert_int_equal(recv(peer, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    turns(3);
    assert_int_equal(ear.ends, 0);
}

static void close_inside_callbacks(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        pixi_buf_reset(&ear.heard);
        ear = (struct ear){
            .heard = ear.heard, .close_on_bytes = i == 0, .abort_on_bytes = i == 1, .close_on_end = i == 2};
        open_tcp();
        send_str("x"); /* a flush is due when it closes */
        assert_int_equal(write(peer, "abc", 3), 3);
        close(peer);
        peer = -1;
        for (int k = 0; k < 1000 && ear.tcp.state != PIXI_TCP_CLOSED; k++)
            assert_int_equal(pixi_loop_turn(&loop, 10), PIXI_OK);
        turns(3);
        assert_int_equal(ear.tcp.state, PIXI_TCP_CLOSED);
        assert_int_equal(ear.ends, i == 2);
        if (i < 2)
            heard("abc");
    }
}

static int task_runs;

static void count_run(struct pixi_task *t)
{
    (void)t;
    task_runs++;
}

/* Used anew while the flush of the old one is still queued: no task is lost. */
static void used_anew_in_the_same_turn(void **state)
{
    struct pixi_task before = {.run = count_run}, after = {.run = count_run};

    (void)state;
    task_runs = 0;
    open_pair(SOCK_STREAM);
    pixi_loop_defer(&loop, &before);
    send_str("old");
    pixi_loop_defer(&loop, &after);
    pixi_tcp_close(&ear.tcp);
    close(peer);
    open_pair(SOCK_STREAM);
    send_str("new");
    turns(2);
    assert_int_equal(task_runs, 2);
    peer_reads("new");
    send_str("er");
    turns(1);
    peer_reads("er");
}

/* ---- connecting ---- */

static struct pixi_listener listener;
static int accepted;

static void on_accept(struct pixi_listener *s, int fd, const struct pixi_addr *from)
{
    (void)s;
    assert_true(pixi_addr_is_loopback(from));
    peer = fd;
    accepted++;
}

static void listen_up(void)
{
    struct pixi_addr at;

    accepted = 0;
    listener = (struct pixi_listener){.on_accept = on_accept};
    assert_int_equal(pixi_addr_parse("127.0.0.1:0", &at), PIXI_OK);
    assert_int_equal(pixi_listener_open(&listener, &loop, &at), PIXI_OK);
}

static void connects(void **state)
{
    char text[PIXI_ADDR_TEXT], want[PIXI_ADDR_TEXT];

    (void)state;
    listen_up();
    assert_int_equal(pixi_tcp_connect(&ear.tcp, &loop, &handlers, &listener.addr), PIXI_OK);
    assert_int_equal(ear.connects, 0); /* never from inside the call */
    assert_int_equal(ear.tcp.state, PIXI_TCP_CONNECTING);
    await(&ear.connects, 1);
    assert_int_equal(ear.connect_err, PIXI_OK);
    await(&accepted, 1);
    send_str("hello");
    turns(1);
    peer_reads("hello");
    assert_int_equal(write(peer, "you", 3), 3);
    turns(1);
    heard("you");
    pixi_addr_text(&ear.tcp.peer, text);
    pixi_addr_text(&listener.addr, want);
    assert_string_equal(text, want);
    pixi_listener_close(&listener);
}

static void connect_refused(void **state)
{
    struct pixi_addr at;

    (void)state;
    for (int i = 0; i < 2; i++) {
        ear.connects = 0;
        ear.close_on_connect = i;
        listen_up();
        at = listener.addr;
        pixi_listener_close(&listener);
        assert_int_equal(pixi_tcp_connect(&ear.tcp, &loop, &handlers, &at), PIXI_OK);
        await(&ear.connects, 1);
        assert_int_equal(ear.connect_err, PIXI_E_CONNECT);
        assert_int_equal(ear.tcp.sys_errno, ECONNREFUSED);
        assert_int_equal(ear.tcp.state, i ? PIXI_TCP_CLOSED : PIXI_TCP_BROKEN);
        sleeps();
        assert_int_equal(ear.connects, 1);
        assert_int_equal(ear.ends, 0);
        pixi_tcp_close(&ear.tcp);
    }
}

static void connect_fails_at_once(void **state)
{
    struct pixi_addr at = {.sa.ss_family = AF_UNSPEC, .len = sizeof(struct sockaddr_in)};

    (void)state;
    assert_int_equal(pixi_tcp_connect(&ear.tcp, &loop, &handlers, &at), PIXI_E_CONNECT);
    assert_int_equal(ear.tcp.sys_errno, EAFNOSUPPORT);
    assert_int_equal(ear.tcp.state, PIXI_TCP_CLOSED);
    /* a broadcast address takes no connection */
    assert_int_equal(pixi_addr_parse("255.255.255.255:9", &at), PIXI_OK);
    assert_int_equal(pixi_tcp_connect(&ear.tcp, &loop, &handlers, &at), PIXI_E_CONNECT);
    assert_true(ear.tcp.sys_errno != 0);
    assert_int_equal(ear.tcp.state, PIXI_TCP_CLOSED);
    turns(3);
    assert_int_equal(ear.connects, 0);
}

static void close_while_connecting(void **state)
{
    (void)state;
    listen_up();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pixi_tcp_connect(&ear.tcp, &loop, &handlers, &listener.addr), PIXI_OK);
        send_str("dropped");
        if (i)
            pixi_tcp_abort(&ear.tcp);
        else
            pixi_tcp_close(&ear.tcp);
        turns(3);
        assert_int_equal(ear.connects, 0);
        if (peer >= 0)
            close(peer);
        peer = -1;
    }
    pixi_listener_close(&listener);
}

static void close_on_connect(void **state)
{
    (void)state;
    listen_up();
    ear.close_on_connect = true;
    assert_int_equal(pixi_tcp_connect(&ear.tcp, &loop, &handlers, &listener.addr), PIXI_OK);
    await(&ear.connects, 1);
    assert_int_equal(ear.tcp.state, PIXI_TCP_CLOSED);
    await(&accepted, 1);
    turns(2);
    assert_int_equal(ear.ends, 0);
    pixi_listener_close(&listener);
}

/* Each reads less while turns are long, never less than PIXI_RX_MIN, and all again when they are short. */
static size_t most_heard;
static bool is_busy;

static void on_bytes_busy(struct pixi_tcp *t, uint8_t *bytes, size_t len)
{
    uint64_t until_us = pixi_clock_mono_us() + 2 * PIXI_LOOP_LONG_US;

    (void)t;
    (void)bytes;
    most_heard = len;
    while (is_busy && pixi_clock_mono_us() < until_us)
        ;
}

static void long_turns_read_less(void **state)
{
    static const struct pixi_tcp_handlers busy = {.on_bytes = on_bytes_busy, .on_end = on_end};
    static uint8_t flood[PIXI_RX_LEN];
    size_t before = PIXI_RX_LEN + 1;

    (void)state;
    open_pair(SOCK_STREAM);
    ear.tcp.handlers = &busy;
    assert_int_equal(loop.rx_room, PIXI_RX_LEN);
    is_busy = true;
    do {
        assert_true(loop.rx_room < before);
        before = loop.rx_room;
        while (send(peer, flood, sizeof flood, MSG_DONTWAIT) > 0)
            ;
        assert_int_equal(pixi_loop_turn(&loop, 1000), PIXI_OK);
        assert_true(most_heard <= before);
    } while (before > PIXI_RX_MIN);
    assert_int_equal(loop.rx_room, PIXI_RX_MIN);
    is_busy = false;
    while (loop.rx_room < PIXI_RX_LEN) {
        send(peer, flood, sizeof flood, MSG_DONTWAIT);
        assert_int_equal(pixi_loop_turn(&loop, 1000), PIXI_OK);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_ways),
        TEST(one_turn_is_one_system_call),
        TEST(pause_and_resume),
        TEST(long_turns_read_less),
        TEST(what_does_not_fit_waits),
        TEST(a_send_can_drain),
        TEST(close_when_drained),
        TEST(half_close_by_the_peer),
        TEST(both_finish),
        TEST(both_finish_the_other_way),
        TEST(shutdown_waits_for_the_queue),
        TEST(reset_by_the_peer),
        TEST(reset_while_paused),
        TEST(reset_after_the_end),
        TEST(a_send_finds_the_peer_gone),
        TEST(close_sends_what_fits),
        TEST(close_drops_what_does_not),
        TEST(abort_resets),
        TEST(close_inside_callbacks),
        TEST(used_anew_in_the_same_turn),
        TEST(connects),
        TEST(connect_refused),
        TEST(connect_fails_at_once),
        TEST(close_while_connecting),
        TEST(close_on_connect),
    };

    return cmocka_run_group_tests_name("net/tcp", tests, NULL, NULL);
}
