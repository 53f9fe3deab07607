#include "store/dedup.h"

#include <stdlib.h>

struct sent {
    uint64_t seq, offset;
    uint64_t content; /* keyed hash: who does not know the key finds no other message with the same */
};

struct pixi_dedup_producer {
    struct pixi_table_link link;
    struct pixi_list in_idle;
    uint64_t low, active_ms;
    /* Owned; by rising seq, from first to used. What falls below low is cut off in front. */
    struct sent *sent;
    size_t first, used, cap;
    uint8_t uuid[PIXI_PRODUCER_LEN];
    size_t owner_len;
    uint8_t owner[];
};

enum { SENT_LEAST = 8 };

void pixi_dedup_init(struct pixi_dedup *d, size_t max_producers, size_t max_seqs, size_t max_seqs_each,
                     const uint8_t key[PIXI_SIPHASH_KEY_LEN])
{
    *d = (struct pixi_dedup){
        .max_producers = max_producers, .max_seqs = max_seqs, .max_seqs_each = max_seqs_each};
    memcpy(d->key, key, sizeof d->key);
    pixi_list_init(&d->idle);
}

static struct pixi_dedup_producer *producer_of(struct pixi_list *l)
{
    return PIXI_LIST_ITEM(l, struct pixi_dedup_producer, in_idle);
}

static void forget(struct pixi_dedup *d, struct pixi_dedup_producer *p)
{
    d->seqs -= p->used - p->first;
    pixi_table_remove(&d->producers, &p->link);
    pixi_list_remove(&p->in_idle);
    free(p->sent);
    free(p);
}

void pixi_dedup_clear(struct pixi_dedup *d)
{
    while (d->idle.next != &d->idle)
        forget(d, producer_of(d->idle.next));
    pixi_table_clear(&d->producers);
}

void pixi_dedup_trim(struct pixi_dedup *d, uint64_t now_ms)
{
    while (d->idle.next != &d->idle && producer_of(d->idle.next)->active_ms + PIXI_DEDUP_IDLE_MS <= now_ms)
        forget(d, producer_of(d->idle.next));
}

static uint64_t producer_hash(const struct pixi_dedup *d, const struct pixi_msg *msg)
{
    struct pixi_siphash s;

    pixi_siphash_init(&s, d->key);
    pixi_siphash_feed(&s, msg->key.producer, PIXI_PRODUCER_LEN);
    pixi_siphash_feed(&s, msg->key_owner.p, pixi_cur_left(&msg->key_owner));
    return pixi_siphash_end(&s);
}

static void feed_part(struct pixi_siphash *s, struct pixi_cur part)
{
    uint64_t len = pixi_cur_left(&part); /* so that bytes cannot move from one part to the next unseen */

    pixi_siphash_feed(s, &len, sizeof len);
    pixi_siphash_feed(s, part.p, pixi_cur_left(&part));
}

uint64_t pixi_dedup_content(const uint8_t key[PIXI_SIPHASH_KEY_LEN], const struct pixi_msg *msg)
{
    uint8_t retain = msg->flags & PIXI_MSG_RETAIN;
    struct pixi_siphash s;

    pixi_siphash_init(&s, key);
    pixi_siphash_feed(&s, &retain, 1);
    feed_part(&s, msg->topic);
    feed_part(&s, msg->headers);
    feed_part(&s, msg->payload);
    return pixi_siphash_end(&s);
}

static struct pixi_dedup_producer *find(const struct pixi_dedup *d, const struct pixi_msg *msg)
{
    struct pixi_table_link *l = pixi_table_first(&d->producers, producer_hash(d, msg));
    struct pixi_dedup_producer *p;

    for (; l; l = pixi_table_next(l)) {
        p = PIXI_LIST_ITEM(l, struct pixi_dedup_producer, link);
        if (memcmp(p->uuid, msg->key.producer, PIXI_PRODUCER_LEN) == 0 &&
            pixi_cur_equals(pixi_cur_init(p->owner, p->owner_len), msg->key_owner))
            return p;
    }
    return NULL;
}

static int make(struct pixi_dedup *d, const struct pixi_msg *msg, struct pixi_dedup_producer **out)
{
    size_t len = pixi_cur_left(&msg->key_owner);
    struct pixi_dedup_producer *p;

    if (d->producers.count >= d->max_producers)
        return PIXI_E_STORAGE;
    p = pixi_table_reserve(&d->producers) ? NULL : calloc(1, sizeof *p + len);
    if (!p)
        return PIXI_E_NOMEM;
    memcpy(p->uuid, msg->key.producer, PIXI_PRODUCER_LEN);
    p->owner_len = len;
    if (len)
        memcpy(p->owner, msg->key_owner.p, len);
    pixi_table_add(&d->producers, &p->link, producer_hash(d, msg));
    pixi_list_add_last(&d->idle, &p->in_idle);
    *out = p;
    return PIXI_OK;
}

static size_t seek(const struct pixi_dedup_producer *p, uint64_t seq)
{
    size_t low = p->first, high = p->used, middle;

    while (low < high) {
        middle = low + (high - low) / 2;
        if (p->sent[middle].seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void raise_low(struct pixi_dedup *d, struct pixi_dedup_producer *p, uint64_t low)
{
    size_t first;

    if (low <= p->low)
        return;
    first = seek(p, low);
    d->seqs -= first - p->first;
    p->first = first;
    p->low = low;
    if (p->first == p->used)
        p->first = p->used = 0;
}

static void close_front(struct pixi_dedup_producer *p)
{
    memmove(p->sent, p->sent + p->first, (p->used - p->first) * sizeof *p->sent);
    p->used -= p->first;
    p->first = 0;
}

static int reserve(const struct pixi_dedup *d, struct pixi_dedup_producer *p)
{
    size_t cap = p->cap ? p->cap * 2 : SENT_LEAST;
    struct sent *sent;

    if (p->used - p->first >= d->max_seqs_each || d->seqs >= d->max_seqs)
        return PIXI_E_STORAGE;
    if (p->used < p->cap)
        return PIXI_OK;
    if (p->first && p->first >= p->cap / 2) {
        close_front(p);
        return PIXI_OK;
    }
    sent = realloc(p->sent, cap * sizeof *sent);
    if (!sent)
        return PIXI_E_NOMEM;
    p->sent = sent;
    p->cap = cap;
    return PIXI_OK;
}

static bool has(const struct pixi_dedup_producer *p, uint64_t seq)
{
    size_t at = seek(p, seq);

    return at < p->used && p->sent[at].seq == seq;
}

/* A producer that was forgotten has sent nothing: who asks for more than that hears of it. */
static bool may_come(const struct pixi_dedup_producer *p, const struct pixi_msg_key *key)
{
    return !key->after || (p && (key->after < p->low || has(p, key->after) || has(p, key->seq)));
}

/* The producer, known or new, as active as now. */
static int enter(struct pixi_dedup *d, const struct pixi_msg *msg, struct pixi_dedup_producer **out)
{
    int rc = PIXI_OK;

    pixi_dedup_trim(d, msg->time_ms);
    *out = find(d, msg);
    if (!may_come(*out, &msg->key))
        return PIXI_E_AFTER;
    if (!*out)
        rc = make(d, msg, out);
    if (rc)
        return rc;
    (*out)->active_ms = msg->time_ms;
    pixi_list_remove(&(*out)->in_idle);
    pixi_list_add_last(&d->idle, &(*out)->in_idle);
    return PIXI_OK;
}

int pixi_dedup_check(struct pixi_dedup *d, const struct pixi_msg *msg, struct pixi_dedup_place *place,
                     uint64_t *offset)
{
    uint64_t seq = msg->key.seq, content = pixi_dedup_content(d->key, msg);
    struct pixi_dedup_producer *p;
    size_t at;
    int rc;

    if (seq < msg->key.low)
        return PIXI_E_RPC_PARAMS;
    rc = enter(d, msg, &p);
    if (rc)
        return rc;
    raise_low(d, p, msg->key.low);
    if (seq < p->low)
        return PIXI_E_RPC_PARAMS;
    at = seek(p, seq);
    if (at < p->used && p->sent[at].seq == seq) {
        *offset = p->sent[at].offset;
        return p->sent[at].content == content ? PIXI_OK : PIXI_E_KEY_REUSED;
    }
    rc = reserve(d, p);
    if (rc)
        return rc;
    *place = (struct pixi_dedup_place){p, seek(p, seq), seq, content}; /* reserve may have moved them */
    *offset = UINT64_MAX;
    return PIXI_OK;
}

void pixi_dedup_put(struct pixi_dedup *d, const struct pixi_dedup_place *place, uint64_t offset)
{
    struct pixi_dedup_producer *p = place->producer;

    memmove(p->sent + place->at + 1, p->sent + place->at, (p->used - place->at) * sizeof *p->sent);
    p->sent[place->at] = (struct sent){place->seq, offset, place->content};
    p->used++;
    d->seqs++;
}
