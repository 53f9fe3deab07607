/* pixiws/message.h -- a message as it came. */
#ifndef PIXIWS_MESSAGE_H
#define PIXIWS_MESSAGE_H

#include <pixiws/version.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bits of pixi_message.flags. */
enum {
    PIXI_MESSAGE_RETAINED = 1, /* the topic's last message, sent because the subscription is new */
    PIXI_MESSAGE_JSON = 2,     /* payload is one JSON value, exactly as its sender wrote it */
    PIXI_MESSAGE_STORED = 4,   /* epoch and offset are set */
    PIXI_MESSAGE_REQUEST = 8,  /* somebody waits for an answer: pixi_client_reply */
    PIXI_MESSAGE_AFTER_GAP =
        16, /* messages before this one may be missing: the server's history did not reach back */
};

/* A NUL follows name and value, which the lengths do not count. */
struct pixi_header {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};

/* All of it belongs to the message. Later versions add members at the end. */
struct pixi_message {
    unsigned flags;
    const char *topic;            /* UTF-8; "" in a reply */
    const char *filter;           /* the subscription that it came for; "" in a reply */
    const unsigned char *payload; /* payload_len bytes, any; a NUL follows. Never NULL */
    size_t payload_len;
    const struct pixi_header *headers; /* header_count of them, in the sender's order */
    size_t header_count;
    uint64_t time_ms;             /* when the server took it, since 1970; 0 in a reply */
    uint64_t epoch, offset;       /* its position: offset rises within an epoch */
    uint64_t request, connection; /* with PIXI_MESSAGE_REQUEST: which, and the connection that it came by */
};

/* pixi_message_free -- releases what pixi_client_recv or pixi_client_request gave. NULL is fine. Any thread. */
PIXI_API void pixi_message_free(struct pixi_message *m);

#ifdef __cplusplus
}
#endif
#endif
