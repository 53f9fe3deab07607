/* dns.h -- the addresses of a host name, without waiting: c-ares on the loop, no thread.
 *
 * A number is its own address, and `localhost` is this machine (RFC 6761 §6.3): nobody is asked. Else /etc/hosts and
 * DNS, in the order that nsswitch.conf gives; of DNS both families at once, and what comes first may be used before the
 * rest is there (RFC 8305 §3). */
#ifndef PIXI_NET_DNS_H
#define PIXI_NET_DNS_H

#include "net/addr.h"
#include "net/loop.h"

enum {
    PIXI_ADDRS_MAX = 32,     /* of one name; more are left out */
    PIXI_DNS_SOCKETS = 8,    /* one for each name server and protocol */
    PIXI_DNS_HOST_MAX = 253, /* bytes of a name */
    PIXI_DNS_TEXT = 384,
    PIXI_DNS_DELAY_MS = 50, /* how long IPv4 waits for IPv6: RFC 8305 §8 */
};

struct pixi_addrs {
    struct pixi_addr at[PIXI_ADDRS_MAX];
    unsigned count;
};

struct pixi_dns;
struct ares_channeldata;

/* What was asked, and what came of it. */
struct pixi_dns_question {
    struct pixi_dns *dns;
    int status; /* c-ares' */
    bool is_open;
};

/* All zero but for the first five. */
struct pixi_dns {
    /* out holds addresses to begin with, in the order to try them; those that follow are added behind. NULL: on_done
     * comes then, without those that would follow. */
    void (*on_addrs)(struct pixi_dns *);
    /* Once: out is complete (PIXI_OK: one address at least), or text says what is wrong (PIXI_E_NAME). */
    void (*on_done)(struct pixi_dns *, int err);
    struct pixi_addrs *out; /* borrowed; emptied by start */
    const char *servers;    /* for tests: "127.0.0.1:5353,..."; NULL: those of this system */
    int ai_flags;           /* for tests: ARES_AI_ENVHOSTS */

    struct pixi_loop *loop; /* borrowed */
    struct ares_channeldata *channel;
    struct pixi_watch watches[PIXI_DNS_SOCKETS];
    struct pixi_timer tick, delay, deadline,
        news; /* c-ares' own | of IPv4 | of all | something was answered */
    struct pixi_dns_question questions[2];
    char host[PIXI_DNS_HOST_MAX + 1];
    uint16_t port;
    uint32_t timeout_ms;
    char order[8];    /* of looking: 'f' /etc/hosts, 'b' DNS */
    const char *step; /* what of it comes next */
    bool is_active, is_begun;
    bool is_frank;            /* an answer that says only why there is none counts as well */
    char text[PIXI_DNS_TEXT]; /* "pixi.example: no such name" */
};

/* pixi_dns_start -- look host up; every address gets this port. on_done follows, never from inside this call, after
 * timeout_ms at the latest.  host: copied; over PIXI_DNS_HOST_MAX bytes it is no name. */
void pixi_dns_start(struct pixi_dns *d, struct pixi_loop *l, const char *host, uint16_t port,
                    uint32_t timeout_ms);

/* pixi_dns_cancel -- no callback comes after. In any state, also from a callback. */
void pixi_dns_cancel(struct pixi_dns *d);

#endif
