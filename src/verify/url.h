/* url.h -- a WebSocket URL, taken apart. RFC 6455 §3, RFC 3986. */
#ifndef PIXI_VERIFY_URL_H
#define PIXI_VERIFY_URL_H

#include <stdbool.h>
#include <stdint.h>

enum { PIXI_VURL_HOST = 256, PIXI_VURL_TARGET = 2048 };

struct pixi_vurl {
    bool is_tls;
    char host[PIXI_VURL_HOST];          /* without brackets */
    char authority[PIXI_VURL_HOST + 8]; /* for the Host field: brackets kept, a default port left out */
    uint16_t port;
    char target[PIXI_VURL_TARGET]; /* path and query, at least "/" */
};

/* What is wrong with a URL and what would be right. */
struct pixi_vurl_fault {
    const char *cause, *fix;
};

/* pixi_vurl_parse -- out is set where NULL comes back; otherwise what is wrong, static. */
const struct pixi_vurl_fault *pixi_vurl_parse(const char *url, struct pixi_vurl *out);

#endif
