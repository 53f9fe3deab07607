#include "net/dns.h"

#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { TRIES = 3, PARTS = 7 }; /* each try gets twice the time of the one before: 1 + 2 + 4 */

#define OF(member, ptr) ((struct pixi_dns *)((char *)(ptr)-offsetof(struct pixi_dns, member)))

/* --- addresses ------------------------------------------------------------------------------------------------ */

static void add(struct pixi_dns *d, const struct sockaddr *sa, socklen_t len)
{
    struct pixi_addr *a = &d->out->at[d->out->count];

    if (d->out->count == PIXI_ADDRS_MAX || (sa->sa_family != AF_INET && sa->sa_family != AF_INET6))
        return;
    *a = (struct pixi_addr){.len = len};
    memcpy(&a->sa, sa, len);
    /* the port stands at the same place in both families */
    ((struct sockaddr_in *)&a->sa)->sin_port = htons(d->port);
    d->out->count++;
}

static bool is_localhost(const char *host)
{
    static const char name[] = "localhost";
    size_t len = strlen(host);

    if (len > 0 && host[len - 1] == '.')
        len--;
    if (len < sizeof name - 1 || strncasecmp(host + len - (sizeof name - 1), name, sizeof name - 1) != 0)
        return false;
    return len == sizeof name - 1 || host[len - sizeof name] == '.';
}

/* 127.0.0.1 first: that is where a server that listens on "localhost" is. */
static void add_localhost(struct pixi_dns *d)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

    add(d, (const struct sockaddr *)&in4, sizeof in4);
    add(d, (const struct sockaddr *)&in6, sizeof in6);
}

static bool add_number(struct pixi_dns *d)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM}, *found;

    if (getaddrinfo(d->host, NULL, &hints, &found) != 0)
        return false;
    add(d, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return true;
}

static unsigned find(const struct pixi_addrs *a, int family)
{
    unsigned i = 0;

    while (i < a->count && a->at[i].sa.ss_family != family)
        i++;
    return i;
}

/* The address that packets to this one would come from; false: there is no way there. */
static bool find_source(const struct pixi_addr *to, struct sockaddr_in6 *out)
{
    socklen_t len = sizeof *out;
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool is_found = fd >= 0 && connect(fd, (const struct sockaddr *)&to->sa, to->len) == 0 &&
                    getsockname(fd, (struct sockaddr *)out, &len) == 0;

    if (fd >= 0)
        close(fd);
    return is_found;
}

/* RFC 6724 §6, as far as it tells the families apart: avoid what cannot be reached (rule 1), a scope that does not fit
 * (2), a label that does not fit (5). Within a family c-ares has sorted. */
static bool is_ipv6_better(const struct pixi_addr *to)
{
    const struct in6_addr *ip = &((const struct sockaddr_in6 *)&to->sa)->sin6_addr;
    struct sockaddr_in6 from;

    if (!find_source(to, &from))
        return false;
    if (IN6_IS_ADDR_LINKLOCAL(&from.sin6_addr) && !IN6_IS_ADDR_LINKLOCAL(ip))
        return false;
    return (from.sin6_addr.s6_addr[0] & 0xfe) != 0xfc || (ip->s6_addr[0] & 0xfe) == 0xfc;
}

/* Answers of DNS stand in the order in which they came: the better family goes to the front. */
static void order_families(struct pixi_addrs *a)
{
    unsigned six = find(a, AF_INET6), four = find(a, AF_INET), at = 0;
    struct pixi_addrs was = *a;
    int first;

    if (six == a->count || four == a->count)
        return;
    first = is_ipv6_better(&a->at[six]) ? AF_INET6 : AF_INET;
    for (unsigned i = 0; i < was.count; i++)
        if (was.at[i].sa.ss_family == first)
            a->at[at++] = was.at[i];
    for (unsigned i = 0; i < was.count; i++)
        if (was.at[i].sa.ss_family != first)
            a->at[at++] = was.at[i];
}

/* --- c-ares --------------------------------------------------------------------------------------------------- */

/* After every call of c-ares: when it next has to see to its time-outs. */
static void arm(struct pixi_dns *d)
{
    struct timeval tv, *next = d->channel ? ares_timeout(d->channel, NULL, &tv) : NULL;

    if (next)
        pixi_loop_set_timer(d->loop, &d->tick, (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000 + 1);
    else
        pixi_loop_cancel_timer(d->loop, &d->tick);
}

static void on_tick(struct pixi_timer *t)
{
    struct pixi_dns *d = OF(tick, t);

    ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm(d);
}

static void on_ready(struct pixi_watch *w, uint32_t events)
{
    struct pixi_dns *d = w->owner;
    bool is_broken = events & (EPOLLERR | EPOLLHUP);

    ares_process_fd(d->channel, is_broken || events & EPOLLIN ? w->fd : ARES_SOCKET_BAD,
                    is_broken || events & EPOLLOUT ? w->fd : ARES_SOCKET_BAD);
    arm(d);
}

/* The watch of this socket, or a free one; where all are taken its questions time out. */
static struct pixi_watch *find_watch(struct pixi_dns *d, int fd)
{
    struct pixi_watch *w = NULL;

    for (size_t i = 0; i < PIXI_DNS_SOCKETS; i++) {
        if (d->watches[i].is_watched && d->watches[i].fd == fd)
            return &d->watches[i];
        if (!d->watches[i].is_watched)
            w = &d->watches[i];
    }
    return w;
}

static void on_socket(void *ctx, ares_socket_t fd, int is_readable, int is_writable)
{
    struct pixi_dns *d = ctx;
    struct pixi_watch *w = find_watch(d, fd);

    if (!w)
        return;
    if (!is_readable && !is_writable) {
        pixi_loop_unwatch(d->loop, w);
        return;
    }
    w->fd = fd;
    pixi_loop_watch(d->loop, w, (is_readable ? EPOLLIN : 0u) | (is_writable ? EPOLLOUT : 0u));
}

static void close_channel(struct pixi_dns *d)
{
    struct ares_channeldata *channel = d->channel;

    d->channel = NULL;
    if (channel)
        ares_destroy(channel);
    arm(d);
}

/* One that looks in one place only: 'f' or 'b'. */
static int open_channel(struct pixi_dns *d, char place)
{
    char lookups[] = {place, 0};
    struct ares_options o = {.flags = d->is_frank ? ARES_FLAG_NOCHECKRESP : 0,
                             .timeout = (int)(d->timeout_ms / PARTS) + 1,
                             .tries = TRIES,
                             .lookups = lookups,
                             .sock_state_cb = on_socket,
                             .sock_state_cb_data = d};
    int status = ares_init_options(&d->channel, &o,
                                   (d->is_frank ? ARES_OPT_FLAGS : 0) | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                       ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);

    if (status == ARES_SUCCESS && d->servers)
        status = ares_set_servers_ports_csv(d->channel, d->servers);
    return status;
}

/* The order of looking, as nsswitch.conf and its kin say. */
static void find_order(struct pixi_dns *d)
{
    ares_channel channel;
    struct ares_options o = {0};
    int mask = 0;

    strcpy(d->order, "fb");
    if (ares_init_options(&channel, NULL, 0) != ARES_SUCCESS)
        return;
    if (ares_save_options(channel, &o, &mask) == ARES_SUCCESS && o.lookups && *o.lookups)
        snprintf(d->order, sizeof d->order, "%s", o.lookups);
    ares_destroy_options(&o);
    ares_destroy(channel);
}

/* c-ares must not be called from inside its callbacks, nor the owner: the news goes by the timer. */
static void on_answer(void *ctx, int status, int timeouts, struct ares_addrinfo *found)
{
    struct pixi_dns_question *q = ctx;

    (void)timeouts;
    if (status == ARES_SUCCESS)
        for (const struct ares_addrinfo_node *n = found->nodes; n; n = n->ai_next)
            add(q->dns, n->ai_addr, n->ai_addrlen);
    if (found)
        ares_freeaddrinfo(found);
    q->is_open = false;
    q->status = status;
    if (status != ARES_EDESTRUCTION)
        pixi_loop_set_timer(q->dns->loop, &q->dns->news, 0);
}

static void ask(struct pixi_dns *d, struct pixi_dns_question *q, int family)
{
    struct ares_addrinfo_hints hints = {
        .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = d->ai_flags};

    *q = (struct pixi_dns_question){.dns = d, .is_open = true};
    ares_getaddrinfo(d->channel, d->host, NULL, &hints, on_answer, q);
}

/* --- from the question to the answer -------------------------------------------------------------------------- */

static void stop(struct pixi_dns *d)
{
    d->is_active = false;
    pixi_loop_cancel_timer(d->loop, &d->delay);
    pixi_loop_cancel_timer(d->loop, &d->deadline);
    close_channel(d);
    pixi_loop_cancel_timer(d->loop, &d->news);
    ares_library_cleanup();
}

static const char *words(int status)
{
    switch (status) {
    case ARES_ENOTFOUND: return "no such name";
    case ARES_ENODATA: return "the name has no address";
    case ARES_EBADNAME: return "this cannot be a name";
    case ARES_ETIMEOUT: return "the name server does not answer";
    case ARES_ESERVFAIL: return "the name server failed (SERVFAIL)";
    case ARES_EREFUSED: return "the name server refused to answer (REFUSED)";
    case ARES_ENOTIMP: return "the name server does not know how to answer (NOTIMP)";
    case ARES_ECONNREFUSED: return "no name server can be reached; /etc/resolv.conf says where they are";
    case ARES_EFORMERR:
    case ARES_EBADRESP: return "the name server's answer cannot be understood";
    default: return ares_strerror(status);
    }
}

/* That a name is not there is known from either family; that it has no address only from both. */
static int worst(const struct pixi_dns *d)
{
    int a = d->questions[0].status, b = d->questions[1].status;

    if (a == ARES_ENOTFOUND || b == ARES_ENODATA || b == ARES_SUCCESS)
        return a;
    return b;
}

static void finish(struct pixi_dns *d, const char *problem)
{
    bool is_found = d->out->count > 0;

    stop(d);
    if (!is_found)
        snprintf(d->text, sizeof d->text, "%s: %s", d->host, problem);
    if (!d->is_begun && *d->order)
        order_families(d->out);
    d->on_done(d, is_found ? PIXI_OK : PIXI_E_NAME);
}

static void on_deadline(struct pixi_timer *t)
{
    struct pixi_dns *d = OF(deadline, t);
    char problem[80];

    snprintf(problem, sizeof problem, "the name server did not answer in %u ms", d->timeout_ms);
    finish(d, problem);
}

/* c-ares passes over servers that fail or refuse, and says in the end that none could be reached. */
static bool is_unclear(const struct pixi_dns *d)
{
    return !d->is_frank && d->step > d->order && d->step[-1] == 'b' &&
           d->questions[0].status == ARES_ECONNREFUSED;
}

/* Looks in the next place, or once more for what the servers say; false where there is none left. */
static bool look_on(struct pixi_dns *d)
{
    if (is_unclear(d)) {
        d->is_frank = true;
        d->step--;
    }
    while (*d->step) {
        char place = *d->step++;
        int status = open_channel(d, place);

        if (status != ARES_SUCCESS) {
            d->questions[0].status = d->questions[1].status = status;
        } else if (place == 'f') {
            ask(d, &d->questions[0], AF_UNSPEC);
            close_channel(d); /* a file is read at once */
            if (d->out->count > 0)
                return true;
        } else {
            ask(d, &d->questions[0], AF_INET6);
            ask(d, &d->questions[1], AF_INET);
            arm(d);
            return true;
        }
    }
    return false;
}

static void begin(struct pixi_dns *d)
{
    if (!d->on_addrs) {
        finish(d, "");
        return;
    }
    d->is_begun = true;
    d->on_addrs(d);
}

static void on_delay(struct pixi_timer *t)
{
    begin(OF(delay, t));
}

/* One family has answered, the other not yet: IPv6 may go ahead, IPv4 gives it a moment.     RFC 8305 §3 */
static void take_half(struct pixi_dns *d)
{
    if (d->is_begun || d->out->count == 0)
        return;
    if (d->on_addrs && find(d->out, AF_INET6) < d->out->count)
        begin(d);
    else if (!pixi_timer_is_set(&d->delay))
        pixi_loop_set_timer(d->loop, &d->delay, PIXI_DNS_DELAY_MS);
}

static void on_news(struct pixi_timer *t)
{
    struct pixi_dns *d = OF(news, t);

    if (d->questions[0].is_open || d->questions[1].is_open) {
        take_half(d);
        return;
    }
    if (d->out->count > 0) {
        finish(d, "");
        return;
    }
    close_channel(d);
    if (!look_on(d))
        finish(d, words(worst(d)));
}

static void prepare(struct pixi_dns *d, struct pixi_loop *l, uint16_t port, uint32_t timeout_ms)
{
    d->loop = l;
    d->port = port;
    d->timeout_ms = timeout_ms;
    d->out->count = 0;
    d->is_begun = d->is_frank = false;
    d->is_active = true;
    d->text[0] = d->order[0] = 0;
    d->channel = NULL;
    d->tick = (struct pixi_timer){.on_due = on_tick};
    d->delay = (struct pixi_timer){.on_due = on_delay};
    d->deadline = (struct pixi_timer){.on_due = on_deadline};
    d->news = (struct pixi_timer){.on_due = on_news};
    for (size_t i = 0; i < 2; i++)
        d->questions[i] = (struct pixi_dns_question){.dns = d, .status = ARES_ENODATA};
    for (size_t i = 0; i < PIXI_DNS_SOCKETS; i++)
        d->watches[i] = (struct pixi_watch){.fd = -1, .on_ready = on_ready, .owner = d};
}

void pixi_dns_start(struct pixi_dns *d, struct pixi_loop *l, const char *host, uint16_t port,
                    uint32_t timeout_ms)
{
    bool is_name = strlen(host) <= PIXI_DNS_HOST_MAX;

    prepare(d, l, port, timeout_ms);
    snprintf(d->host, sizeof d->host, "%s", host);
    ares_library_init(ARES_LIB_INIT_ALL);
    l->now_ms = pixi_clock_mono_ms(); /* this turn may have lasted */
    pixi_loop_set_timer(l, &d->deadline, timeout_ms);
    pixi_loop_set_timer(l, &d->news, 0);
    if (!is_name)
        d->questions[0].status = d->questions[1].status = ARES_EBADNAME;
    else if (is_localhost(host))
        add_localhost(d);
    else if (!add_number(d))
        find_order(d);
    d->step = d->order;
}

void pixi_dns_cancel(struct pixi_dns *d)
{
    if (d->is_active)
        stop(d);
}
