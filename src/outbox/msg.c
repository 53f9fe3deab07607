#include "outbox/msg.h"

#include <stdlib.h>
#include <string.h>

struct pixi_outbox_msg *pixi_outbox_msg_new(struct pixi_cur topic, struct pixi_cur headers,
                                            struct pixi_cur payload)
{
    struct pixi_cur *parts[3];
    const struct pixi_cur from[] = {topic, headers, payload};
    struct pixi_outbox_msg *m =
        calloc(1, sizeof *m + pixi_cur_left(&topic) + pixi_cur_left(&headers) + pixi_cur_left(&payload) + 1);
    uint8_t *at;

    if (!m)
        return NULL;
    at = m->bytes;
    parts[0] = &m->topic;
    parts[1] = &m->headers;
    parts[2] = &m->payload;
    for (size_t i = 0; i < 3; i++) {
        size_t len = pixi_cur_left(&from[i]);

        if (len)
            memcpy(at, from[i].p, len);
        *parts[i] = pixi_cur_init(at, len);
        at += len;
    }
    return m;
}

struct pixi_outbox_msg *pixi_outbox_msg_copy(const struct pixi_outbox_msg *from)
{
    struct pixi_outbox_msg *m = pixi_outbox_msg_new(from->topic, from->headers, from->payload);

    if (!m)
        return NULL;
    m->id = from->id;
    m->batch = from->batch;
    m->place = from->place;
    m->seq = from->seq;
    m->flags = from->flags;
    m->accepted_ms = from->accepted_ms;
    m->expires_ms = from->expires_ms;
    m->owner = from->owner;
    m->from = from->from;
    return m;
}
