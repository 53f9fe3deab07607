/* accept.c -- who comes in: the limits that hold before a word was said, and a polite no to those beyond them. */
#include "server/mqtt.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    TURNED_AWAY_MAX = 64, /* connections at a time that are told no and given the time to read it */
    OPERATORS_MAX = 16,   /* connections at a time to metrics.listen */
    READS_MAX = 16,       /* of what a client has sent already, before its connection is closed */
};

static const struct pixi_refusal too_many = {503, PIXI_REFUSED_CONNECTIONS, "too many connections",
                                             "Retry-After", "5"};
static const struct pixi_refusal too_many_from_there = {
    429, PIXI_REFUSED_ADDRESS, "too many connections from this address", "Retry-After", "5"};
static const struct pixi_refusal too_many_strangers = {
    503, PIXI_REFUSED_HANDSHAKES, "too many connections that have not asked for anything yet", "Retry-After",
    "1"};
static const struct pixi_refusal no_descriptors = {503, PIXI_REFUSED_DESCRIPTORS,
                                                   "the server has no descriptor left", "Retry-After", "5"};
static const struct pixi_refusal no_memory = {503, PIXI_REFUSED_MEMORY, "out of memory", "Retry-After", "5"};

void pixi_conn_set_rank(struct pixi_conn *c, unsigned rank)
{
    c->server->ranks[c->rank]--;
    c->rank = rank;
    c->server->ranks[rank]++;
}

size_t pixi_server_guests(const struct pixi_server *s)
{
    return s->ranks[PIXI_CONN_STRANGER] + s->ranks[PIXI_CONN_MEMBER];
}

/* Closing with bytes unread would reset the connection, and the answer with it. */
static void close_heard(int fd)
{
    char bytes[4096];

    shutdown(fd, SHUT_WR);
    for (int i = 0; i < READS_MAX; i++)
        if (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) <= 0)
            break;
    close(fd);
}

/* There is no connection of ours to say it: at once, or not at all. A TLS client would not understand a word before
 * the handshake, and one of MQTT not before it has said which version it speaks. */
static void refuse_fd(struct pixi_server *s, int fd, enum pixi_server_way way, const char *from,
                      const struct pixi_refusal *r)
{
    struct pixi_buf b = pixi_loop_borrow(s->loop, 4096);

    pixi_refusal_put(r, &b);
    if ((way == PIXI_SERVER_PLAIN || way == PIXI_SERVER_METRICS) && b.err == PIXI_OK)
        send(fd, b.bytes, b.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    pixi_loop_give_back(s->loop, &b);
    close_heard(fd);
    pixi_server_count_refused(s, r->reason, from, "%s", r->detail);
}

static const struct pixi_refusal *find_limit(const struct pixi_server *s, const struct pixi_addr *from)
{
    if (pixi_server_guests(s) >= s->settings->limits.connections)
        return &too_many;
    if (pixi_sources_count(&s->sources, from) >= s->settings->limits.connections_per_address)
        return &too_many_from_there;
    if (s->ranks[PIXI_CONN_STRANGER] >= s->settings->limits.handshakes)
        return &too_many_strangers;
    return NULL;
}

/* NULL: out of memory, or fd is closed. */
static struct pixi_conn *open_conn(struct pixi_server *s, int fd, enum pixi_server_way way, unsigned rank,
                                   const char *from)
{
    struct pixi_conn *c = calloc(1, sizeof *c);
    struct pixi_tls *tls = NULL;

    if (!c)
        return NULL;
    memcpy(c->from, from, sizeof c->from);
    c->server = s;
    c->rank = rank;
    pixi_list_init(&c->calls);
    pixi_list_add_last(&s->conns, &c->in_server);
    s->conn_count++;
    s->ranks[rank]++;
    pixi_server_init_link(c);
    c->active_ms = c->sent_ms = s->loop->now_ms;
    if (pixi_server_way_is_secure(way))
        tls = pixi_tls_new(s->tls, NULL);
    if ((pixi_server_way_is_mqtt(way) ? pixi_link_serve_stream(&c->link, fd)
                                      : pixi_link_serve(&c->link, fd)) != PIXI_OK) {
        pixi_tls_free(tls);
        pixi_server_free_conn(c);
        return NULL;
    }
    if (tls)
        pixi_tcp_secure(&c->link.tcp, tls);
    if ((!tls && pixi_server_way_is_secure(way)) || (pixi_server_way_is_mqtt(way) && !pixi_mqtt_open(c)))
        pixi_link_drop(&c->link, PIXI_E_NOMEM);
    return c;
}

/* With a connection of its own, so that it can be read in peace; when there are too many of these, in haste. */
static void turn_away(struct pixi_server *s, int fd, enum pixi_server_way way, const char *from,
                      const struct pixi_refusal *r)
{
    struct pixi_conn *c;

    if (s->ranks[PIXI_CONN_TURNED_AWAY] >= TURNED_AWAY_MAX || pixi_server_way_is_mqtt(way)) {
        refuse_fd(s, fd, way, from, r);
        return;
    }
    c = open_conn(s, fd, way, PIXI_CONN_TURNED_AWAY, from);
    if (c && c->link.state == PIXI_LINK_HANDSHAKE)
        pixi_conn_refuse(c, r);
}

static void accept_operator(struct pixi_server *s, int fd, const char *from)
{
    if (s->ranks[PIXI_CONN_OPERATOR] >= OPERATORS_MAX)
        refuse_fd(s, fd, PIXI_SERVER_METRICS, from, &too_many);
    else
        open_conn(s, fd, PIXI_SERVER_METRICS, PIXI_CONN_OPERATOR, from);
}

static void accept_guest(struct pixi_server *s, int fd, enum pixi_server_way way,
                         const struct pixi_addr *addr, const char *from)
{
    struct pixi_source *source = pixi_sources_enter(&s->sources, addr);
    struct pixi_conn *c;

    if (!source) {
        refuse_fd(s, fd, way, from, &no_memory);
        return;
    }
    c = open_conn(s, fd, way, PIXI_CONN_STRANGER, from);
    if (c)
        c->source = source;
    else
        pixi_sources_leave(&s->sources, source);
}

static const struct pixi_server_listener *listener_of(const struct pixi_listener *l)
{
    return (const struct pixi_server_listener *)((const char *)l -
                                                 offsetof(struct pixi_server_listener, listener));
}

void pixi_server_on_accept(struct pixi_listener *listener, int fd, const struct pixi_addr *from)
{
    struct pixi_server *s = listener->watch.owner;
    enum pixi_server_way way = listener_of(listener)->way;
    const struct pixi_refusal *limit;
    char text[PIXI_ADDR_TEXT];

    pixi_addr_text(from, text);
    if (way == PIXI_SERVER_METRICS) {
        accept_operator(s, fd, text);
        return;
    }
    s->counters.accepted++;
    limit = find_limit(s, from);
    if (limit)
        turn_away(s, fd, way, text, limit);
    else
        accept_guest(s, fd, way, from, text);
}

void pixi_server_on_full(struct pixi_listener *listener, int fd, const struct pixi_addr *from)
{
    struct pixi_server *s = listener->watch.owner;
    char text[PIXI_ADDR_TEXT];

    pixi_addr_text(from, text);
    s->counters.accepted++;
    refuse_fd(s, fd, listener_of(listener)->way, text, &no_descriptors);
}
