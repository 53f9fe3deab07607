#include "store/records.h"

#include <stdlib.h>

struct held {
    struct pixi_table_link link;
    uint64_t version;
    size_t key_len, value_len;
    uint8_t bytes[]; /* key, value */
};

void pixi_records_init(struct pixi_records *r, size_t max_count, const uint8_t key[PIXI_SIPHASH_KEY_LEN])
{
    *r = (struct pixi_records){.max_count = max_count};
    memcpy(r->key, key, sizeof r->key);
}

static struct held *held_of(struct pixi_table_link *l)
{
    return PIXI_LIST_ITEM(l, struct held, link);
}

static void drop(struct pixi_records *r, struct held *h)
{
    pixi_table_remove(&r->table, &h->link);
    free(h);
}

void pixi_records_clear(struct pixi_records *r)
{
    for (size_t i = 0; i < r->table.size; i++)
        while (r->table.bucket[i])
            drop(r, held_of(r->table.bucket[i]));
    pixi_table_clear(&r->table);
}

static struct held *find(const struct pixi_records *r, struct pixi_cur key)
{
    struct pixi_table_link *l = pixi_table_first(&r->table, pixi_siphash(r->key, key));

    for (; l; l = pixi_table_next(l))
        if (pixi_cur_equals(pixi_cur_init(held_of(l)->bytes, held_of(l)->key_len), key))
            return held_of(l);
    return NULL;
}

struct pixi_record pixi_records_get(const struct pixi_records *r, struct pixi_cur key)
{
    const struct held *h = find(r, key);

    if (!h)
        return (struct pixi_record){.key = key};
    return (struct pixi_record){key, pixi_cur_init(h->bytes + h->key_len, h->value_len), h->version};
}

static struct held *make(struct pixi_records *r, const struct pixi_record *record)
{
    size_t key_len = pixi_cur_left(&record->key), value_len = pixi_cur_left(&record->value);
    struct held *h = pixi_table_reserve(&r->table) ? NULL : malloc(sizeof *h + key_len + value_len);

    if (!h)
        return NULL;
    h->version = ++r->last_version;
    h->key_len = key_len;
    h->value_len = value_len;
    if (key_len)
        memcpy(h->bytes, record->key.p, key_len);
    memcpy(h->bytes + key_len, record->value.p, value_len);
    return h;
}

int pixi_records_put(struct pixi_records *r, const struct pixi_record *record)
{
    struct held *old = find(r, record->key), *h = NULL;

    if (record->version != PIXI_RECORD_ANY && record->version != (old ? old->version : 0))
        return PIXI_E_KEY_REUSED;
    if (pixi_cur_left(&record->key) > PIXI_RECORD_KEY_MAX || pixi_cur_left(&record->value) > PIXI_RECORD_MAX)
        return PIXI_E_STORAGE;
    if (record->value.p != record->value.end) {
        if (!old && r->table.count >= r->max_count)
            return PIXI_E_STORAGE;
        h = make(r, record);
        if (!h)
            return PIXI_E_NOMEM;
    }
    if (old)
        drop(r, old);
    if (h)
        pixi_table_add(&r->table, &h->link, pixi_siphash(r->key, record->key));
    return PIXI_OK;
}

static void list_bucket(struct pixi_table_link *l, struct pixi_cur prefix,
                        void (*on_record)(void *ctx, int err, const struct pixi_record *record), void *ctx)
{
    size_t len = pixi_cur_left(&prefix);

    for (; l; l = l->next) {
        const struct held *h = held_of(l);
        struct pixi_record record = {pixi_cur_init(h->bytes, h->key_len),
                                     pixi_cur_init(h->bytes + h->key_len, h->value_len), h->version};

        if (h->key_len >= len && (!len || memcmp(h->bytes, prefix.p, len) == 0))
            on_record(ctx, PIXI_OK, &record);
    }
}

void pixi_records_list(const struct pixi_records *r, struct pixi_cur prefix,
                       void (*on_record)(void *ctx, int err, const struct pixi_record *record), void *ctx)
{
    for (size_t i = 0; i < r->table.size; i++)
        list_bucket(r->table.bucket[i], prefix, on_record, ctx);
}
