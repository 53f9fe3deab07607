#include "client/client.h"

#include <stdlib.h>

/* Copies into the message's own memory, with a NUL behind. */
static const char *put(char **at, struct pixi_cur text)
{
    char *start = *at;
    size_t len = pixi_cur_left(&text);

    if (len)
        memcpy(start, text.p, len);
    start[len] = 0;
    *at = start + len + 1;
    return start;
}

static size_t count_headers(struct pixi_cur rest, size_t *bytes)
{
    struct pixi_cur name, value;
    size_t count = 0;

    for (; pixi_rpc_headers_next(&rest, &name, &value); count++)
        *bytes += pixi_cur_left(&name) + pixi_cur_left(&value) + 2;
    return count;
}

static void put_headers(struct pixi_message *m, struct pixi_header *out, struct pixi_cur rest, char **at)
{
    struct pixi_cur name, value;

    m->headers = out;
    for (; pixi_rpc_headers_next(&rest, &name, &value); out++) {
        out->name_len = pixi_cur_left(&name);
        out->name = put(at, name);
        out->value_len = pixi_cur_left(&value);
        out->value = put(at, value);
    }
}

static unsigned flags_of(const struct pixi_rpc_params *p)
{
    unsigned flags = 0;

    if (p->seen & PIXI_RPC_HAS_RETAINED && p->retained)
        flags |= PIXI_MESSAGE_RETAINED;
    if (p->is_json)
        flags |= PIXI_MESSAGE_JSON;
    if (p->position.offset)
        flags |= PIXI_MESSAGE_STORED;
    if (p->seen & PIXI_RPC_HAS_REQUEST)
        flags |= PIXI_MESSAGE_REQUEST;
    return flags;
}

/* One piece of memory: the struct, its headers, then all bytes. */
struct pixi_message *pixi_message_new(const struct pixi_rpc_params *p)
{
    size_t bytes = pixi_cur_left(&p->topic) + pixi_cur_left(&p->filter) + pixi_cur_left(&p->payload) + 3;
    size_t count = count_headers(p->headers, &bytes);
    struct pixi_header *headers;
    struct pixi_message *m = calloc(1, sizeof *m + count * sizeof *headers + bytes);
    char *at;

    if (!m)
        return NULL;
    headers = (struct pixi_header *)(m + 1);
    at = (char *)(headers + count);
    m->flags = flags_of(p);
    m->topic = put(&at, p->topic);
    m->filter = put(&at, p->filter);
    m->payload_len = pixi_cur_left(&p->payload);
    m->payload = (const unsigned char *)put(&at, p->payload);
    m->header_count = count;
    put_headers(m, headers, p->headers, &at);
    m->time_ms = p->time_ms;
    m->epoch = p->position.epoch;
    m->offset = p->position.offset;
    m->request = p->request;
    return m;
}

void pixi_message_free(struct pixi_message *m)
{
    free(m);
}
