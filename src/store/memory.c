#include "store/memory.h"

#include "base/topic.h"
#include "store/dedup.h"
#include "store/records.h"
#include "store/retained.h"
#include "store/ring.h"
#include "store/wanted.h"

#include <assert.h>
#include <stdlib.h>

/* Messages looked at before a read ends for this time, so that a rare filter in a long history stalls nobody. */
enum { LOOKS_MAX = 4096 };

const struct pixi_memory_config pixi_memory_config_default = {
    .retained_count = 65536,
    .retained_bytes = 64 << 20,
    .producers = 10000,
    .seqs = 1 << 20,
    .seqs_per_producer = 65536,
    .wanted_messages = 100000,
    .wanted_bytes = 64 << 20,
    .records = 1024,
};

struct pixi_memory {
    struct pixi_store store;
    struct pixi_position head;
    struct pixi_retained retained;
    struct pixi_dedup dedup;
    struct pixi_records records;
    struct pixi_wanted wanted;
    struct pixi_filters filters;
    struct pixi_ring ring[PIXI_HISTORIES_MAX]; /* the policies', and one more */
};

static struct pixi_memory *memory_of(struct pixi_store *store)
{
    return PIXI_LIST_ITEM(store, struct pixi_memory, store);
}

/* NULL: nothing keeps it. */
static struct pixi_ring *ring_for(struct pixi_memory *m, const struct pixi_msg *msg, unsigned flags)
{
    size_t owner = pixi_filters_owner(&m->filters, msg->topic,
                                      flags & PIXI_STORE_WANTED ? msg->flags | PIXI_MSG_RETAIN
                                                                : msg->flags); /* those for sessions, too */

    return owner == PIXI_HISTORIES_MAX ? NULL : &m->ring[owner];
}

/* What is to be done with a message, all of it found and reserved before any of it is done. */
struct plan {
    struct pixi_ring *ring; /* NULL: none */
    struct pixi_dedup_place place;
    bool is_wanted;
    uint64_t before; /* the same message's offset, from an earlier time; UINT64_MAX: it is new */
};

static int make_plan(struct pixi_memory *m, const struct pixi_msg *msg, unsigned flags, struct plan *plan)
{
    int rc;

    *plan = (struct plan){
        .ring = ring_for(m, msg, flags), .is_wanted = flags & PIXI_STORE_WANTED, .before = UINT64_MAX};
    if (msg->flags & PIXI_MSG_KEY) {
        rc = pixi_dedup_check(&m->dedup, msg, &plan->place, &plan->before);
        if (rc || plan->before != UINT64_MAX)
            return rc;
    }
    if (plan->ring && !pixi_ring_fits(plan->ring, pixi_msg_size(msg)))
        return PIXI_E_STORAGE;
    if (plan->is_wanted && !pixi_wanted_fits(&m->wanted, pixi_msg_size(msg)))
        return PIXI_E_STORAGE;
    return msg->flags & PIXI_MSG_RETAIN ? pixi_retained_reserve(&m->retained, msg) : PIXI_OK;
}

static void carry_out(struct pixi_memory *m, const struct plan *plan, const struct pixi_msg *msg)
{
    if (plan->ring)
        pixi_ring_put(plan->ring, msg);
    if (plan->is_wanted)
        pixi_wanted_put(&m->wanted, msg, m->store.is_wanted, m->store.ctx);
    if (msg->flags & PIXI_MSG_RETAIN)
        pixi_retained_put(&m->retained, msg);
    if (msg->flags & PIXI_MSG_KEY)
        pixi_dedup_put(&m->dedup, &plan->place, msg->pos.offset);
}

static void append(struct pixi_store *store, const struct pixi_msg *msg, unsigned flags, void *token)
{
    struct pixi_memory *m = memory_of(store);
    struct pixi_msg stored = *msg;
    struct pixi_commit commit = {0};
    struct plan plan;

    commit.err = make_plan(m, msg, flags, &plan);
    if (!commit.err && plan.before == UINT64_MAX) {
        /* A key's duplicates are told the same position whatever they ask for: it always gets one. */
        if (plan.ring || flags & PIXI_STORE_WANTS_POSITION || msg->flags & PIXI_MSG_KEY)
            commit.pos = (struct pixi_position){m->head.epoch, ++m->head.offset};
        stored.pos = commit.pos;
        carry_out(m, &plan, &stored);
        if (!plan.ring)
            stored.pos = (struct pixi_position){0};
        commit.msg = &stored;
    } else if (!commit.err) {
        commit.pos = (struct pixi_position){m->head.epoch, plan.before};
    }
    store->on_committed(store->ctx, token, &commit);
}

/* What has been given to a reader, and whether it wants more. */
struct given {
    struct pixi_store_read *read;
    size_t count, bytes, looks;
    bool is_refused;
};

static bool is_enough(const struct given *g)
{
    return g->is_refused || g->count >= g->read->max_count || g->bytes >= g->read->max_bytes ||
           g->looks >= LOOKS_MAX;
}

static void give(const struct pixi_memory *m, struct given *g, struct pixi_msg *msg)
{
    g->looks++;
    if (pixi_msg_is_expired(msg, g->read->now_ms) || !pixi_filter_matches(g->read->filter, msg->topic))
        return;
    msg->pos.epoch = m->head.epoch;
    if (g->read->on_message(g->read->ctx, msg)) {
        g->is_refused = true;
        return;
    }
    g->count++;
    g->bytes += pixi_msg_size(msg);
}

/* The histories that can hold a match, and where in each the reader is. */
struct merge {
    struct pixi_histories of;
    uint64_t at[PIXI_HISTORIES_MAX];
};

static bool is_gone(const struct pixi_memory *m, const struct pixi_histories *h, uint64_t from)
{
    for (size_t i = 0; i < h->count; i++)
        if (m->ring[h->at[i]].trimmed >= from)
            return true;
    return false;
}

static bool next_of_all(const struct pixi_memory *m, const struct merge *merge, size_t *which,
                        uint64_t *offset)
{
    const struct pixi_ring *ring;
    uint64_t o;
    bool is_found = false;

    for (size_t i = 0; i < merge->of.count; i++) {
        ring = &m->ring[merge->of.at[i]];
        if (merge->at[i] == ring->count)
            continue;
        o = pixi_ring_offset_at(ring, merge->at[i]);
        if (is_found && o > *offset)
            continue;
        *offset = o;
        *which = i;
        is_found = true;
    }
    return is_found;
}

static void read_history(struct pixi_store *store, struct pixi_store_read *read)
{
    const struct pixi_memory *m = memory_of(store);
    struct given g = {.read = read};
    struct merge merge;
    struct pixi_msg msg;
    uint64_t offset = 0, upto = read->upto < m->head.offset ? read->upto : m->head.offset;
    size_t which = 0;

    merge.of = pixi_filters_histories(&m->filters, read->filter);
    if (!(read->flags & PIXI_STORE_SKIP_GAPS) && is_gone(m, &merge.of, read->from)) {
        read->on_end(read->ctx, PIXI_E_HISTORY, read->from);
        return;
    }
    for (size_t i = 0; i < merge.of.count; i++)
        merge.at[i] = pixi_ring_seek(&m->ring[merge.of.at[i]], read->from);
    while (!is_enough(&g) && next_of_all(m, &merge, &which, &offset) && offset <= upto) {
        msg = pixi_ring_at(&m->ring[merge.of.at[which]], merge.at[which]++);
        give(m, &g, &msg);
    }
    /* If one was refused, `offset` is still that one. */
    if (!g.is_refused && !(next_of_all(m, &merge, &which, &offset) && offset <= upto))
        offset = read->upto + 1;
    read->on_end(read->ctx, PIXI_OK, offset);
}

/* The same of what was appended as wanted. */
static void read_wanted(const struct pixi_memory *m, struct pixi_store_read *read)
{
    const struct pixi_ring *ring = &m->wanted.ring;
    uint64_t next = read->upto + 1;
    struct given g = {.read = read};
    struct pixi_msg msg;

    if (!(read->flags & PIXI_STORE_SKIP_GAPS) && m->wanted.trimmed >= read->from) {
        read->on_end(read->ctx, PIXI_E_HISTORY, read->from);
        return;
    }
    for (uint64_t i = pixi_ring_seek(ring, read->from); i < ring->count; i++) {
        msg = pixi_ring_at(ring, i);
        if (msg.pos.offset > read->upto)
            break;
        next = msg.pos.offset;
        if (is_enough(&g))
            break;
        give(m, &g, &msg);
        if (g.is_refused)
            break;
        next = read->upto + 1;
    }
    read->on_end(read->ctx, PIXI_OK, next);
}

static void read_messages(struct pixi_store *store, struct pixi_store_read *read)
{
    if (read->flags & PIXI_STORE_FOR_SESSIONS)
        read_wanted(memory_of(store), read);
    else
        read_history(store, read);
}

static void read_last(struct pixi_store *store, struct pixi_store_read *read)
{
    struct pixi_memory *m = memory_of(store);
    struct pixi_retained *r = &m->retained;
    struct given g = {.read = read};
    struct pixi_msg msg;
    uint64_t next = read->upto + 1;
    size_t i = pixi_retained_seek(r, read->from);

    for (; i < r->used && r->order[i].offset <= read->upto; i++) {
        if (is_enough(&g)) {
            next = r->order[i].offset;
            break;
        }
        g.looks++; /* an empty slot is looked at, too */
        if (pixi_retained_at(r, i, read->now_ms, &msg))
            give(m, &g, &msg);
        if (g.is_refused) {
            next = r->order[i].offset;
            break;
        }
    }
    read->on_end(read->ctx, PIXI_OK, next);
}

/* Every read has ended before it returned. */
static void cancel(struct pixi_store *store, struct pixi_store_read *read)
{
    (void)store;
    (void)read;
}

static enum pixi_store_kept kept(struct pixi_store *store, struct pixi_cur filter, uint64_t from)
{
    const struct pixi_memory *m = memory_of(store);
    struct pixi_histories h = pixi_filters_histories(&m->filters, filter);

    if (is_gone(m, &h, from))
        return PIXI_STORE_GONE;
    return h.is_whole ? PIXI_STORE_WHOLE : PIXI_STORE_KEPT;
}

static struct pixi_position head(struct pixi_store *store)
{
    return memory_of(store)->head;
}

static uint64_t wanted_from(struct pixi_store *store)
{
    return memory_of(store)->wanted.trimmed + 1;
}

static void trim(struct pixi_store *store, uint64_t now_ms)
{
    struct pixi_memory *m = memory_of(store);

    for (size_t i = 0; i <= m->filters.count; i++)
        pixi_ring_trim(&m->ring[i], now_ms);
    pixi_retained_trim(&m->retained, now_ms);
    pixi_dedup_trim(&m->dedup, now_ms);
}

static void get(struct pixi_store *store, struct pixi_cur key, struct pixi_record_answer answer)
{
    struct pixi_record record = pixi_records_get(&memory_of(store)->records, key);

    answer.on_record(answer.ctx, PIXI_OK, &record);
}

static void put(struct pixi_store *store, const struct pixi_record *record, struct pixi_record_answer answer)
{
    struct pixi_memory *m = memory_of(store);
    int rc = pixi_records_put(&m->records, record);
    struct pixi_record now = pixi_records_get(&m->records, record->key);

    answer.on_record(answer.ctx, rc, &now);
}

static void list(struct pixi_store *store, struct pixi_cur prefix, struct pixi_record_answer answer)
{
    pixi_records_list(&memory_of(store)->records, prefix, answer.on_record, answer.ctx);
    answer.on_record(answer.ctx, PIXI_OK, NULL);
}

static const struct pixi_store_calls calls = {
    .append = append,
    .read = read_messages,
    .last = read_last,
    .cancel = cancel,
    .kept = kept,
    .head = head,
    .wanted_from = wanted_from,
    .trim = trim,
    .get = get,
    .put = put,
    .list = list,
};

static int add_ring(struct pixi_ring *ring, const struct pixi_policy *p)
{
    return pixi_ring_init(ring, p->max_messages, p->max_bytes, p->max_age_s);
}

static int add_histories(struct pixi_memory *m, const struct pixi_memory_config *config)
{
    int rc = pixi_filters_init(&m->filters, config->policies, config->policy_count);

    for (size_t i = 0; rc == PIXI_OK && i < m->filters.count; i++)
        rc = add_ring(&m->ring[i], &config->policies[i]);
    return rc == PIXI_OK ? add_ring(&m->ring[m->filters.count], &pixi_policy_extra) : rc;
}

int pixi_memory_new(const struct pixi_memory_config *config, struct pixi_memory **out)
{
    struct pixi_memory *m;
    int rc;

    if (!config->epoch)
        return PIXI_E_SETTINGS;
    m = calloc(1, sizeof *m);
    if (!m)
        return PIXI_E_NOMEM;
    m->store.call = &calls;
    m->head.epoch = config->epoch;
    pixi_retained_init(&m->retained, config->retained_count, config->retained_bytes, config->hash_key);
    pixi_dedup_init(&m->dedup, config->producers, config->seqs, config->seqs_per_producer, config->hash_key);
    pixi_records_init(&m->records, config->records, config->hash_key);
    rc = pixi_wanted_init(&m->wanted, config->wanted_messages, config->wanted_bytes);
    if (rc == PIXI_OK)
        rc = add_histories(m, config);
    if (rc) {
        pixi_memory_free(m);
        return rc;
    }
    *out = m;
    return PIXI_OK;
}

void pixi_memory_free(struct pixi_memory *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < PIXI_HISTORIES_MAX; i++)
        pixi_ring_clear(&m->ring[i]);
    pixi_filters_clear(&m->filters);
    pixi_retained_clear(&m->retained);
    pixi_dedup_clear(&m->dedup);
    pixi_records_clear(&m->records);
    pixi_wanted_clear(&m->wanted);
    free(m);
}

struct pixi_store *pixi_memory_store(struct pixi_memory *m)
{
    return &m->store;
}

struct pixi_memory_stats pixi_memory_stats(const struct pixi_memory *m)
{
    struct pixi_memory_stats s = {
        .retained = m->retained.count,
        .retained_bytes = m->retained.bytes,
        .wanted = m->wanted.ring.count,
        .wanted_bytes = m->wanted.ring.bytes,
        .producers = m->dedup.producers.count,
        .seqs = m->dedup.seqs,
        .records = m->records.table.count,
    };

    for (size_t i = 0; i <= m->filters.count; i++) {
        s.messages += m->ring[i].count;
        s.bytes += m->ring[i].bytes;
    }
    return s;
}

bool pixi_memory_is_full(const struct pixi_memory *m)
{
    const struct pixi_retained *r = &m->retained;

    return r->count >= r->max_count || r->bytes >= r->max_bytes - r->max_bytes / 64;
}
