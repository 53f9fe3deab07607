#include "net/addr.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_port(const char *text, const char **rest)
{
    char *end;
    long port;

    if (*text < '0' || *text > '9')
        return -1;
    port = strtol(text, &end, 10);
    *rest = end;
    return port > 65535 ? -1 : (int)port;
}

int pixi_addr_parse(const char *text, struct pixi_addr *out)
{
    const char *colon = strrchr(text, ':'), *rest = "?";
    char host[64];
    struct addrinfo hints = {.ai_family = AF_INET, .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    struct in_addr in4;
    size_t len;
    int port = colon ? parse_port(colon + 1, &rest) : -1;

    if (port < 0 || *rest)
        return PIXI_E_NAME;
    len = (size_t)(colon - text);
    if (len > 1 && text[0] == '[' && text[len - 1] == ']') {
        hints.ai_family = AF_INET6;
        text++;
        len -= 2;
    } else if (memchr(text, ':', len)) {
        return PIXI_E_NAME; /* an IPv6 address wants its brackets */
    }
    if (len >= sizeof host)
        return PIXI_E_NAME;
    memcpy(host, text, len);
    host[len] = 0;
    if (hints.ai_family == AF_INET && (!*host || strcmp(host, "localhost") == 0))
        strcpy(host, "127.0.0.1");
    if (hints.ai_family == AF_INET && inet_pton(AF_INET, host, &in4) != 1)
        return PIXI_E_NAME; /* "127.1", "0x7f000001", "010.0.0.1": what getaddrinfo takes them for is seldom meant */
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return PIXI_E_NAME;
    memcpy(&out->sa, found->ai_addr, found->ai_addrlen);
    out->len = found->ai_addrlen;
    freeaddrinfo(found);
    /* the port stands at the same place in both families */
    ((struct sockaddr_in *)&out->sa)->sin_port = htons((uint16_t)port);
    return PIXI_OK;
}

void pixi_addr_text(const struct pixi_addr *a, char out[PIXI_ADDR_TEXT])
{
    char host[INET6_ADDRSTRLEN] = "?";

    if (a->sa.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->sa;

        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        snprintf(out, PIXI_ADDR_TEXT, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in4 = (const struct sockaddr_in *)&a->sa;

        inet_ntop(AF_INET, &in4->sin_addr, host, sizeof host);
        snprintf(out, PIXI_ADDR_TEXT, "%s:%u", host, ntohs(in4->sin_port));
    }
}

bool pixi_addr_is_loopback(const struct pixi_addr *a)
{
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->sa;

    if (a->sa.ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)&a->sa)->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
           (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) && in6->sin6_addr.s6_addr[12] == 127);
}
