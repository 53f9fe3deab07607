#include "store/retained.h"

#include <assert.h>
#include <stdlib.h>

struct pixi_retained_msg {
    struct pixi_table_link link;
    struct pixi_msg msg; /* points into bytes */
    size_t cap;
    uint8_t bytes[];
};

enum { ORDER_LEAST = 64 };

void pixi_retained_init(struct pixi_retained *r, size_t max_count, size_t max_bytes,
                        const uint8_t key[PIXI_SIPHASH_KEY_LEN])
{
    *r = (struct pixi_retained){.max_count = max_count, .max_bytes = max_bytes, .soonest_ms = UINT64_MAX};
    memcpy(r->key, key, sizeof r->key);
}

static struct pixi_retained_msg *find(const struct pixi_retained *r, struct pixi_cur topic, uint64_t hash)
{
    struct pixi_table_link *l = pixi_table_first(&r->topics, hash);
    struct pixi_retained_msg *m;

    for (; l; l = pixi_table_next(l)) {
        m = PIXI_LIST_ITEM(l, struct pixi_retained_msg, link);
        if (pixi_cur_equals(m->msg.topic, topic))
            return m;
    }
    return NULL;
}

size_t pixi_retained_seek(const struct pixi_retained *r, uint64_t offset)
{
    size_t low = 0, high = r->used, middle;

    while (low < high) {
        middle = low + (high - low) / 2;
        if (r->order[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void free_msg(struct pixi_retained *r, struct pixi_retained_msg *m)
{
    r->bytes -= sizeof *m + m->cap;
    free(m);
}

/* Out of table and order; the memory is the caller's. */
static void unlink_msg(struct pixi_retained *r, struct pixi_retained_msg *m)
{
    size_t at = pixi_retained_seek(r, m->msg.pos.offset);

    assert(at < r->used && r->order[at].msg == m);
    r->order[at].msg = NULL;
    pixi_table_remove(&r->topics, &m->link);
    r->count--;
}

static void drop_room(struct pixi_retained *r)
{
    if (r->room)
        free_msg(r, r->room);
    r->room = NULL;
}

bool pixi_retained_at(struct pixi_retained *r, size_t index, uint64_t now_ms, struct pixi_msg *out)
{
    struct pixi_retained_msg *m = r->order[index].msg;

    if (!m)
        return false;
    if (pixi_msg_is_expired(&m->msg, now_ms)) {
        unlink_msg(r, m);
        free_msg(r, m);
        return false;
    }
    *out = m->msg;
    return true;
}

static void note_expiry(struct pixi_retained *r, const struct pixi_msg *msg)
{
    if (msg->expires_ms && msg->expires_ms < r->soonest_ms)
        r->soonest_ms = msg->expires_ms;
}

void pixi_retained_trim(struct pixi_retained *r, uint64_t now_ms)
{
    struct pixi_msg msg;

    if (r->soonest_ms > now_ms)
        return;
    r->soonest_ms = UINT64_MAX;
    for (size_t i = 0; i < r->used; i++)
        if (pixi_retained_at(r, i, now_ms, &msg))
            note_expiry(r, &msg);
}

void pixi_retained_clear(struct pixi_retained *r)
{
    drop_room(r);
    for (size_t i = 0; i < r->used; i++)
        free(r->order[i].msg);
    free(r->order);
    pixi_table_clear(&r->topics);
    *r = (struct pixi_retained){0};
}

static void close_gaps(struct pixi_retained *r)
{
    size_t used = 0;

    for (size_t i = 0; i < r->used; i++)
        if (r->order[i].msg)
            r->order[used++] = r->order[i];
    r->used = used;
}

/* One more slot. At most every other one is a gap, so that closing them pays for itself. */
static int reserve_order(struct pixi_retained *r)
{
    size_t cap = r->cap ? r->cap * 2 : ORDER_LEAST;
    struct pixi_retained_slot *order;

    if (r->used < r->cap)
        return PIXI_OK;
    if (r->used && r->count <= r->used / 2) {
        close_gaps(r);
        return PIXI_OK;
    }
    order = realloc(r->order, cap * sizeof *order);
    if (!order)
        return PIXI_E_NOMEM;
    r->order = order;
    r->cap = cap;
    return PIXI_OK;
}

/* Rounded up, so that a number that gets one digit more fits next time, too. */
static size_t cap_for(size_t len)
{
    return (len + 63) / 64 * 64;
}

static bool is_within(const struct pixi_retained *r, const struct pixi_retained_msg *old, size_t len)
{
    size_t freed = old ? sizeof *old + old->cap : 0;

    return (old || r->count < r->max_count) && len <= r->max_bytes &&
           r->bytes - freed + sizeof *old + cap_for(len) <= r->max_bytes;
}

/* Room is reused when the message fits without wasting most of it. */
static bool is_good_for(const struct pixi_retained_msg *old, size_t len)
{
    return old && len <= old->cap && cap_for(len) >= old->cap / 4;
}

int pixi_retained_reserve(struct pixi_retained *r, const struct pixi_msg *msg)
{
    size_t len = pixi_msg_size(msg);
    struct pixi_retained_msg *old;

    drop_room(r);
    if (msg->payload.p == msg->payload.end)
        return PIXI_OK;
    old = find(r, msg->topic, pixi_siphash(r->key, msg->topic));
    if (!is_within(r, old, len)) {
        pixi_retained_trim(r, msg->time_ms);
        old = find(r, msg->topic, pixi_siphash(r->key, msg->topic));
        if (!is_within(r, old, len))
            return PIXI_E_STORAGE;
    }
    if (pixi_table_reserve(&r->topics) || reserve_order(r))
        return PIXI_E_NOMEM;
    if (is_good_for(old, len))
        return PIXI_OK;
    r->room = malloc(sizeof *r->room + cap_for(len));
    if (!r->room)
        return PIXI_E_NOMEM;
    r->room->cap = cap_for(len);
    r->bytes += sizeof *r->room + r->room->cap;
    return PIXI_OK;
}

static struct pixi_cur copy(uint8_t **to, struct pixi_cur from)
{
    size_t len = pixi_cur_left(&from);
    struct pixi_cur c = pixi_cur_init(*to, len);

    if (len)
        memcpy(*to, from.p, len);
    *to += len;
    return c;
}

static void fill(struct pixi_retained_msg *m, const struct pixi_msg *msg)
{
    uint8_t *to = m->bytes;

    m->msg = (struct pixi_msg){.time_ms = msg->time_ms,
                               .expires_ms = msg->expires_ms,
                               .pos = msg->pos,
                               .flags = msg->flags & PIXI_MSG_KEPT,
                               .origin = msg->origin};
    m->msg.topic = copy(&to, msg->topic);
    m->msg.headers = copy(&to, msg->headers);
    m->msg.payload = copy(&to, msg->payload);
}

void pixi_retained_put(struct pixi_retained *r, const struct pixi_msg *msg)
{
    uint64_t hash = pixi_siphash(r->key, msg->topic);
    struct pixi_retained_msg *m = find(r, msg->topic, hash);

    assert(!r->used || r->order[r->used - 1].offset < msg->pos.offset);
    if (m)
        unlink_msg(r, m);
    if (msg->payload.p == msg->payload.end || r->room) {
        if (m)
            free_msg(r, m);
        m = r->room;
        r->room = NULL;
    }
    if (!m)
        return;
    fill(m, msg);
    note_expiry(r, msg);
    pixi_table_add(&r->topics, &m->link, hash);
    r->order[r->used++] = (struct pixi_retained_slot){msg->pos.offset, m};
    r->count++;
}
