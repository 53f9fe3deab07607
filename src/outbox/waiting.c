/* waiting.c -- those without a seq: which is the first of a priority, what makes room for others, what expires. */
#include "outbox/disk.h"

void pixi_outbox_disk_forget_heads(struct pixi_outbox_disk *d)
{
    for (unsigned p = 0; p < PIXI_OUTBOX_PRIORITIES; p++) {
        d->heads[p].batch = 0;
        d->heads[p].is_none = false;
    }
}

static int read_head(struct pixi_outbox_disk *d, uint64_t batch, struct pixi_outbox_head *h)
{
    struct pixi_outbox_reader r;
    struct pixi_outbox_msg m;
    int rc = pixi_outbox_batch_open(d, batch, &r);

    h->batch = batch;
    h->count = h->next = 0;
    while (rc == SQLITE_OK && (rc = pixi_outbox_batch_read(&r, &m)) == SQLITE_ROW) {
        h->at[h->count].left = pixi_outbox_left_of(&m);
        h->at[h->count++].accepted_ms = m.accepted_ms;
        rc = SQLITE_OK;
    }
    pixi_outbox_batch_close(&r);
    if (rc != SQLITE_DONE)
        h->batch = 0;
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The first behind the one that there is, and behind those with seqs; those of this group that are not on disk yet, when
 * there is no other. SQLITE_DONE: there is none. */
static int next_head(struct pixi_outbox_disk *d, unsigned priority)
{
    struct pixi_outbox_head *h = &d->heads[priority];
    uint64_t id = 0, after = d->row.assigned[priority];
    int rc = SQLITE_OK;

    after = h->batch > after ? h->batch : after;
    h->batch = 0;
    if (!h->is_none)
        rc = pixi_outbox_batch_next(d, priority, after, &id);
    if (rc == SQLITE_OK && !id && d->building[priority].id && !d->building[priority].has_seqs) {
        rc = pixi_outbox_batch_flush(d, priority);
        if (rc == SQLITE_OK)
            rc = pixi_outbox_batch_next(d, priority, after, &id);
    }
    if (rc != SQLITE_OK)
        return rc;
    h->is_none = !id;
    return id ? read_head(d, id, h) : SQLITE_DONE;
}

/* Past those that have gone since it was read. */
static int advance(struct pixi_outbox_disk *d, struct pixi_outbox_head *h)
{
    struct pixi_outbox_part *part = NULL;
    int rc = pixi_outbox_part_get(d, h->batch, &part);

    while (rc == SQLITE_OK && h->next < h->count &&
           (!part || pixi_outbox_has_bit(part->gone, h->at[h->next].left.place)))
        h->next++;
    return rc;
}

/* The first without a seq of a priority. SQLITE_DONE: there is none. */
static int find_first(struct pixi_outbox_disk *d, unsigned priority, struct pixi_outbox_left *out,
                      uint64_t *accepted_ms)
{
    struct pixi_outbox_head *h = &d->heads[priority];
    int rc = h->batch ? SQLITE_OK : next_head(d, priority);

    while (rc == SQLITE_OK) {
        rc = advance(d, h);
        if (rc == SQLITE_OK && h->next < h->count)
            break;
        if (rc == SQLITE_OK)
            rc = next_head(d, priority);
    }
    if (rc != SQLITE_OK)
        return rc;
    *out = h->at[h->next].left;
    *accepted_ms = h->at[h->next].accepted_ms;
    return SQLITE_OK;
}

static int let_leave(struct pixi_outbox_disk *d, const struct pixi_outbox_left *left)
{
    d->row.unassigned--;
    return pixi_outbox_disk_remove(d, left);
}

/* The one that goes first to make room for a message of this priority. SQLITE_DONE: none may. */
static int find_victim(struct pixi_outbox_disk *d, unsigned priority, struct pixi_outbox_left *out)
{
    unsigned upto = d->when_full == PIXI_OUTBOX_DROP_LOWEST ? priority : PIXI_OUTBOX_PRIORITIES - 1;
    uint64_t oldest = UINT64_MAX, at_ms;
    struct pixi_outbox_left first;
    int rc = SQLITE_DONE;

    for (unsigned p = 0; p <= upto; p++) {
        int found = find_first(d, p, &first, &at_ms);

        if (found == SQLITE_DONE)
            continue;
        if (found != SQLITE_OK)
            return found;
        rc = SQLITE_OK;
        if ((first.id & (PIXI_OUTBOX_LANE - 1)) < oldest) {
            oldest = first.id & (PIXI_OUTBOX_LANE - 1);
            *out = first;
        }
        if (d->when_full == PIXI_OUTBOX_DROP_LOWEST)
            break;
    }
    return rc;
}

int pixi_outbox_disk_make_room(struct pixi_outbox_disk *d, const struct pixi_outbox_msg *m,
                               struct pixi_outbox_left *left, size_t left_max, size_t *left_count,
                               bool *is_refused)
{
    uint64_t cost = pixi_outbox_cost(m);
    int rc = SQLITE_OK;

    while (rc == SQLITE_OK && d->row.bytes + cost > d->limit_bytes) {
        if (*left_count == left_max || d->when_full == PIXI_OUTBOX_REFUSE)
            rc = SQLITE_DONE;
        else
            rc = find_victim(d, pixi_outbox_priority(m->id), &left[*left_count]);
        if (rc == SQLITE_OK)
            rc = let_leave(d, &left[(*left_count)++]);
    }
    *is_refused = rc == SQLITE_DONE;
    return *is_refused ? SQLITE_OK : rc;
}

/* Those of a priority that have waited for too long; they lie in the order of their age. */
static int sweep_lane(struct pixi_outbox_disk *d, unsigned priority, uint64_t old_ms,
                      struct pixi_outbox_left *left, size_t left_max, size_t *left_count, uint64_t *oldest_ms)
{
    uint64_t at_ms = 0;
    int rc = SQLITE_OK;

    while (rc == SQLITE_OK && *left_count < left_max) {
        rc = find_first(d, priority, &left[*left_count], &at_ms);
        if (rc == SQLITE_OK && at_ms >= old_ms) {
            *oldest_ms = *oldest_ms && *oldest_ms < at_ms ? *oldest_ms : at_ms;
            break;
        }
        if (rc == SQLITE_OK)
            rc = let_leave(d, &left[(*left_count)++]);
    }
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Of a batch. *next_ms: when the first of those that stay expires; 0: none does. */
static int find_expired(struct pixi_outbox_disk *d, uint64_t batch, uint64_t now_ms,
                        struct pixi_outbox_left *left, size_t left_max, size_t *left_count, uint64_t *next_ms)
{
    struct pixi_outbox_reader r;
    struct pixi_outbox_msg m;
    int rc = pixi_outbox_batch_open(d, batch, &r);

    *next_ms = 0;
    while (rc == SQLITE_OK && (rc = pixi_outbox_batch_read(&r, &m)) == SQLITE_ROW) {
        rc = SQLITE_OK;
        if (m.expires_ms && m.expires_ms <= now_ms && *left_count < left_max)
            left[(*left_count)++] = pixi_outbox_left_of(&m);
        else if (m.expires_ms && (!*next_ms || m.expires_ms < *next_ms))
            *next_ms = m.expires_ms;
    }
    pixi_outbox_batch_close(&r);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int expire_batch(struct pixi_outbox_disk *d, uint64_t batch, uint64_t now_ms,
                        struct pixi_outbox_left *left, size_t left_max, size_t *left_count)
{
    struct pixi_outbox_part *part = NULL;
    uint64_t next_ms;
    size_t from = *left_count;
    int rc = find_expired(d, batch, now_ms, left, left_max, left_count, &next_ms);

    for (size_t i = from; i < *left_count && rc == SQLITE_OK; i++)
        rc = let_leave(d, &left[i]);
    if (rc == SQLITE_OK)
        rc = pixi_outbox_part_get(d, batch, &part);
    if (rc != SQLITE_OK || !part || part->first_seq) /* one that was read does not stand among them */
        return rc == SQLITE_OK ? SQLITE_CORRUPT : rc;
    part->expires_ms = next_ms;
    pixi_outbox_part_change(d, part);
    return SQLITE_OK;
}

/* *batch 0: in none. */
static int next_expired(struct pixi_outbox_disk *d, uint64_t now_ms, uint64_t *batch)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_EXPIRED];
    int rc = pixi_outbox_part_write_all(d);

    if (rc != SQLITE_OK)
        return rc;
    pixi_db_bind(s, "i", (int64_t)now_ms);
    rc = sqlite3_step(s);
    *batch = rc == SQLITE_ROW ? pixi_outbox_number(s, 0) : 0;
    sqlite3_reset(s);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int pixi_outbox_disk_sweep(struct pixi_outbox_disk *d, uint64_t now_ms, uint64_t old_ms,
                           struct pixi_outbox_left *left, size_t left_max, size_t *left_count,
                           uint64_t *oldest_ms)
{
    uint64_t batch = 0;
    int rc = pixi_outbox_batch_flush_all(d);

    *left_count = 0;
    *oldest_ms = 0;
    do {
        if (rc == SQLITE_OK)
            rc = next_expired(d, now_ms, &batch);
        if (rc == SQLITE_OK && batch)
            rc = expire_batch(d, batch, now_ms, left, left_max, left_count);
    } while (rc == SQLITE_OK && batch && *left_count < left_max);
    for (unsigned p = 0; p < PIXI_OUTBOX_PRIORITIES && rc == SQLITE_OK; p++)
        rc = sweep_lane(d, p, old_ms, left, left_max, left_count, oldest_ms);
    return rc;
}
