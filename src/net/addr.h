/* addr.h -- numeric addresses: reading, writing, comparing. Names are dial's business. */
#ifndef PIXI_NET_ADDR_H
#define PIXI_NET_ADDR_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct pixi_addr {
    struct sockaddr_storage sa;
    socklen_t len;
};

enum { PIXI_ADDR_TEXT = 64 }; /* bytes for any address as text, NUL included */

/* pixi_addr_parse -- "127.0.0.1:8768", "[::1]:8768", "localhost:0" (taken as 127.0.0.1), ":8768" (loopback).
 *   PIXI_OK | PIXI_E_NAME (not numeric, IPv4 not in full, port not 0 .. 65535) */
int pixi_addr_parse(const char *text, struct pixi_addr *out);

/* pixi_addr_text -- "127.0.0.1:8768" or "[::1]:8768". */
void pixi_addr_text(const struct pixi_addr *a, char out[PIXI_ADDR_TEXT]);

/* pixi_addr_is_loopback -- 127.0.0.0/8, ::1, and the first of these inside ::ffff:0:0/96. */
bool pixi_addr_is_loopback(const struct pixi_addr *a);

#endif
