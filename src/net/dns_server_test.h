/* dns_server_test.h -- a name server for tests, on the test's own loop: UDP and TCP on one port. RFC 1035.
 *
 * What it answers is said by the first label of the name:
 *   both four six   127.0.0.1 and ::1, or one of them      empty    the name without addresses
 *   fail refuse     SERVFAIL, REFUSED                      mute     nothing at all
 *   slow6 slow4     as both, that family 150 ms late       never6   as both, IPv6 never
 *   many flood      20 and 40 addresses, by TCP only       garbage  an answer cut short
 *   anything else   NXDOMAIN */
#ifndef PIXI_NET_DNS_SERVER_TEST_H
#define PIXI_NET_DNS_SERVER_TEST_H

#include "net/listen.h"
#include "net/loop.h"
#include "invariants.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>

enum { DNS_LATE_MS = 150, DNS_REPLIES = 16, DNS_REPLY_MAX = 2048 };
enum { DNS_A = 1, DNS_AAAA = 28 };
enum { DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3, DNS_REFUSED = 5 };

struct dns_reply {
    struct pixi_timer late;
    struct sockaddr_in to; /* of a late one */
    uint8_t bytes[DNS_REPLY_MAX];
    size_t len;
};

static struct {
    struct pixi_loop *loop;
    struct pixi_watch udp, tcp;
    struct pixi_listener listener;
    struct dns_reply replies[DNS_REPLIES];
    unsigned reply_count, udp_questions, tcp_questions;
    char at[32]; /* for pixi_dns.servers */
} dns_server;

static void dns_put(struct dns_reply *r, const void *bytes, size_t len)
{
    assert_true(r->len + len <= sizeof r->bytes);
    memcpy(r->bytes + r->len, bytes, len);
    r->len += len;
}

static void dns_put_record(struct dns_reply *r, int type, unsigned nth)
{
    const uint8_t head[] = {0xc0, 12, 0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0, type == DNS_A ? 4 : 16};
    const uint8_t four[] = {127, 0, 0, (uint8_t)(nth + 1)}, six[16] = {[15] = 1};

    dns_put(r, head, sizeof head);
    dns_put(r, type == DNS_A ? four : six, type == DNS_A ? sizeof four : sizeof six);
    r->bytes[7]++;
}

static bool dns_is(const uint8_t *question, const char *label)
{
    return question[0] == strlen(label) && memcmp(question + 1, label, question[0]) == 0;
}

/* Code of the answer; its records are put. */
static uint8_t dns_fill(struct dns_reply *r, const uint8_t *question, int type, bool is_tcp)
{
    unsigned count = dns_is(question, "many") ? 20 : dns_is(question, "flood") ? 40 : 1;
    bool is_many = count > 1;

    if (dns_is(question, "fail"))
        return DNS_SERVFAIL;
    if (dns_is(question, "refuse"))
        return DNS_REFUSED;
    if (is_many && !is_tcp) {
        r->bytes[2] |= 2; /* TC */
        return 0;
    }
    if (dns_is(question, "garbage")) {
        r->bytes[7] = 1; /* a record that is not there */
        return 0;
    }
    if (dns_is(question, "empty") || (dns_is(question, "four") && type != DNS_A) ||
        (dns_is(question, "six") && type != DNS_AAAA) || (is_many && type != DNS_A))
        return 0;
    if (is_many || dns_is(question, "both") || dns_is(question, "four") || dns_is(question, "six") ||
        dns_is(question, "slow6") || dns_is(question, "slow4") || dns_is(question, "never6")) {
        for (unsigned i = 0; i < count; i++)
            dns_put_record(r, type, i);
        return 0;
    }
    return DNS_NXDOMAIN;
}

static void dns_send_late(struct pixi_timer *t)
{
    struct dns_reply *r = (struct dns_reply *)((char *)t - offsetof(struct dns_reply, late));

    sendto(dns_server.udp.fd, r->bytes, r->len, 0, (struct sockaddr *)&r->to, sizeof r->to);
}

static struct dns_reply *dns_answer(const uint8_t *query, size_t len, bool is_tcp, bool *is_late)
{
    struct dns_reply *r = &dns_server.replies[dns_server.reply_count++ % DNS_REPLIES];
    const uint8_t *question = query + 12;
    size_t end = 12;
    int type;

    assert_in_range(len, 17, 512);
    while (query[end])
        end += query[end] + 1u;
    type = query[end + 2];
    pixi_loop_cancel_timer(dns_server.loop, &r->late);
    *r = (struct dns_reply){.late.on_due = dns_send_late};
    dns_put(r, query, end + 5);
    r->bytes[2] |= 0x80;
    r->bytes[3] = 0x80;
    memset(r->bytes + 6, 0, 6);
    r->bytes[3] |= dns_fill(r, question, type, is_tcp);
    *is_late =
        (dns_is(question, "slow6") && type == DNS_AAAA) || (dns_is(question, "slow4") && type == DNS_A);
    if (dns_is(question, "mute") || (dns_is(question, "never6") && type == DNS_AAAA))
        r->len = 0;
    return r;
}

static void dns_on_udp(struct pixi_watch *w, uint32_t events)
{
    uint8_t query[512];
    struct sockaddr_in from;
    socklen_t from_len = sizeof from;
    ssize_t len = recvfrom(w->fd, query, sizeof query, 0, (struct sockaddr *)&from, &from_len);
    struct dns_reply *r;
    bool is_late;

    (void)events;
    dns_server.udp_questions++;
    r = dns_answer(query, (size_t)len, false, &is_late);
    r->to = from;
    if (is_late)
        pixi_loop_set_timer(dns_server.loop, &r->late, DNS_LATE_MS);
    else if (r->len)
        dns_send_late(&r->late);
}

/* c-ares sends a question whole, several after each other. */
static void dns_on_tcp(struct pixi_watch *w, uint32_t events)
{
    uint8_t bytes[2048];
    ssize_t len = recv(w->fd, bytes, sizeof bytes, 0);

    (void)events;
    if (len <= 0) {
        pixi_loop_unwatch(dns_server.loop, w);
        close(w->fd);
        w->fd = -1;
        return;
    }
    for (size_t at = 0; at < (size_t)len;) {
        size_t one = (size_t)bytes[at] * 256 + bytes[at + 1];
        bool is_late;
        struct dns_reply *r = dns_answer(bytes + at + 2, one, true, &is_late);
        const uint8_t size[2] = {(uint8_t)(r->len >> 8), (uint8_t)r->len};

        dns_server.tcp_questions++;
        assert_int_equal(send(w->fd, size, 2, MSG_MORE), 2);
        assert_int_equal(send(w->fd, r->bytes, r->len, 0), r->len);
        at += one + 2;
    }
}

static void dns_on_accept(struct pixi_listener *s, int fd, const struct pixi_addr *from)
{
    (void)s;
    (void)from;
    assert_int_equal(dns_server.tcp.fd, -1);
    dns_server.tcp.fd = fd;
    assert_int_equal(pixi_loop_watch(dns_server.loop, &dns_server.tcp, EPOLLIN), PIXI_OK);
}

static void dns_server_open(struct pixi_loop *l)
{
    struct pixi_addr at;

    memset(&dns_server, 0, sizeof dns_server);
    dns_server.loop = l;
    dns_server.tcp = (struct pixi_watch){.fd = -1, .on_ready = dns_on_tcp};
    dns_server.listener.on_accept = dns_on_accept;
    assert_int_equal(pixi_addr_parse("127.0.0.1:0", &at), PIXI_OK);
    assert_int_equal(pixi_listener_open(&dns_server.listener, l, &at), PIXI_OK);
    at = dns_server.listener.addr;
    dns_server.udp = (struct pixi_watch){.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
                                         .on_ready = dns_on_udp};
    assert_int_equal(bind(dns_server.udp.fd, (struct sockaddr *)&at.sa, at.len), 0);
    assert_int_equal(pixi_loop_watch(l, &dns_server.udp, EPOLLIN), PIXI_OK);
    snprintf(dns_server.at, sizeof dns_server.at, "127.0.0.1:%u",
             ntohs(((struct sockaddr_in *)&at.sa)->sin_port));
}

static void dns_server_close(void)
{
    for (unsigned i = 0; i < DNS_REPLIES; i++)
        pixi_loop_cancel_timer(dns_server.loop, &dns_server.replies[i].late);
    pixi_listener_close(&dns_server.listener);
    pixi_loop_unwatch(dns_server.loop, &dns_server.udp);
    close(dns_server.udp.fd);
    if (dns_server.tcp.fd < 0)
        return;
    pixi_loop_unwatch(dns_server.loop, &dns_server.tcp);
    close(dns_server.tcp.fd);
}

#endif
