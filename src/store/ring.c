#include "store/ring.h"

#include <assert.h>
#include <stdlib.h>

struct pixi_ring_slot {
    uint64_t offset, at, time_ms, expires_ms, origin;
    uint32_t topic_len, headers_len, payload_len;
    uint32_t flags;
};

int pixi_ring_init(struct pixi_ring *r, uint64_t max_messages, uint64_t max_bytes, uint64_t max_age_s)
{
    *r = (struct pixi_ring){.max_messages = max_messages,
                            .max_bytes = max_bytes,
                            .max_age_ms = max_age_s < UINT64_MAX / 1000 ? max_age_s * 1000 : 0};
    r->slot = calloc(max_messages, sizeof *r->slot);
    r->arena = calloc(max_bytes, 1); /* large: pages of zeros until they are written to */
    if (r->slot && r->arena)
        return PIXI_OK;
    pixi_ring_clear(r);
    return PIXI_E_NOMEM;
}

void pixi_ring_clear(struct pixi_ring *r)
{
    free(r->slot);
    free(r->arena);
    *r = (struct pixi_ring){0};
}

static struct pixi_ring_slot *slot_at(const struct pixi_ring *r, uint64_t index)
{
    uint64_t at = r->first + index;

    return &r->slot[at < r->max_messages ? at : at - r->max_messages];
}

static uint64_t slot_len(const struct pixi_ring_slot *s)
{
    return (uint64_t)s->topic_len + s->headers_len + s->payload_len;
}

static bool is_expired(const struct pixi_ring_slot *s, uint64_t now_ms)
{
    return s->expires_ms && s->expires_ms <= now_ms;
}

void pixi_ring_drop_oldest(struct pixi_ring *r, uint64_t now_ms)
{
    const struct pixi_ring_slot *s = slot_at(r, 0);

    assert(r->count);
    /* What has expired is nobody's loss. */
    if (!is_expired(s, now_ms))
        r->trimmed = s->offset;
    r->bytes -= slot_len(s);
    r->first = r->first + 1 < r->max_messages ? r->first + 1 : 0;
    r->count--;
}

void pixi_ring_trim(struct pixi_ring *r, uint64_t now_ms)
{
    const struct pixi_ring_slot *s;

    while (r->count) {
        s = slot_at(r, 0);
        if (!is_expired(s, now_ms) && !(r->max_age_ms && s->time_ms + r->max_age_ms <= now_ms))
            return;
        pixi_ring_drop_oldest(r, now_ms);
    }
}

/* Where len bytes can go. Free is what lies between `write` and the oldest message: one piece when the messages
 * go round the end, else one behind them and one before. */
static bool find_room(const struct pixi_ring *r, uint64_t len, uint64_t *at)
{
    uint64_t oldest = r->count ? slot_at(r, 0)->at : 0, write = r->count ? r->write : 0;
    bool is_round;

    if (r->count == r->max_messages)
        return false;
    is_round = r->count && write <= oldest;
    *at = write;
    if ((is_round ? oldest : r->max_bytes) - write >= len)
        return true;
    *at = 0;
    return !is_round && oldest >= len;
}

bool pixi_ring_has_room(const struct pixi_ring *r, size_t len)
{
    uint64_t at;

    return find_room(r, len, &at);
}

static void write_cur(struct pixi_ring *r, struct pixi_cur c)
{
    size_t len = pixi_cur_left(&c);

    if (len)
        memcpy(r->arena + r->write, c.p, len);
    r->write += len;
}

void pixi_ring_put(struct pixi_ring *r, const struct pixi_msg *msg)
{
    size_t len = pixi_msg_size(msg);
    struct pixi_ring_slot *s;
    uint64_t at;

    assert(pixi_ring_fits(r, len) && (!r->count || msg->pos.offset > slot_at(r, r->count - 1)->offset));
    pixi_ring_trim(r, msg->time_ms);
    while (!find_room(r, len, &at))
        pixi_ring_drop_oldest(r, msg->time_ms);
    s = slot_at(r, r->count++);
    *s = (struct pixi_ring_slot){
        .offset = msg->pos.offset,
        .at = at,
        .time_ms = msg->time_ms,
        .expires_ms = msg->expires_ms,
        .topic_len = (uint32_t)pixi_cur_left(&msg->topic),
        .headers_len = (uint32_t)pixi_cur_left(&msg->headers),
        .payload_len = (uint32_t)pixi_cur_left(&msg->payload),
        .flags = msg->flags & PIXI_MSG_KEPT,
        .origin = msg->origin,
    };
    r->bytes += len;
    r->write = at;
    write_cur(r, msg->topic);
    write_cur(r, msg->headers);
    write_cur(r, msg->payload);
}

uint64_t pixi_ring_offset_at(const struct pixi_ring *r, uint64_t index)
{
    return slot_at(r, index)->offset;
}

uint64_t pixi_ring_seek(const struct pixi_ring *r, uint64_t offset)
{
    uint64_t low = 0, high = r->count, middle;

    while (low < high) {
        middle = low + (high - low) / 2;
        if (pixi_ring_offset_at(r, middle) < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct pixi_msg pixi_ring_at(const struct pixi_ring *r, uint64_t index)
{
    const struct pixi_ring_slot *s = slot_at(r, index);
    const uint8_t *topic = r->arena + s->at, *headers = topic + s->topic_len,
                  *payload = headers + s->headers_len;

    return (struct pixi_msg){
        .topic = {topic, headers},
        .headers = {headers, payload},
        .payload = {payload, payload + s->payload_len},
        .time_ms = s->time_ms,
        .expires_ms = s->expires_ms,
        .pos.offset = s->offset,
        .flags = s->flags,
        .origin = s->origin,
    };
}
