#include "outbox/disk.h"

#include "sqlite/pack.h"

enum { ID, SEQ, FLAGS, ACCEPTED_MS, EXPIRES_MS, OWNER, FROM }; /* the numbers of a record */
enum { TOPIC, HEADERS, PAYLOAD };                              /* its parts */

/* --- writing -------------------------------------------------------------------------------------------------- */

static void clear(struct pixi_outbox_building *b)
{
    b->id = b->expires_ms = 0;
    b->count = 0;
    pixi_buf_reset(&b->body);
    if (b->body.cap > 2 * PIXI_OUTBOX_BATCH_BYTES)
        pixi_buf_clear(&b->body);
}

int pixi_outbox_batch_flush(struct pixi_outbox_disk *d, unsigned priority)
{
    struct pixi_outbox_building *b = &d->building[priority];
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_INSERT];
    int rc;

    if (!b->id)
        return SQLITE_OK;
    pixi_db_bind(s, "iiib", (int64_t)b->id, (int64_t)b->has_seqs, (int64_t)b->count, pixi_buf_cur(&b->body));
    rc = pixi_db_done(s);
    if (rc == SQLITE_OK)
        rc = pixi_outbox_part_make(d, b);
    if (!b->has_seqs)
        d->heads[priority].is_none = false;
    clear(b);
    return rc;
}

int pixi_outbox_batch_flush_all(struct pixi_outbox_disk *d)
{
    int rc = SQLITE_OK;

    for (unsigned p = 0; p < PIXI_OUTBOX_PRIORITIES && rc == SQLITE_OK; p++)
        rc = pixi_outbox_batch_flush(d, p);
    return rc;
}

void pixi_outbox_batch_forget(struct pixi_outbox_disk *d)
{
    for (unsigned p = 0; p < PIXI_OUTBOX_PRIORITIES; p++)
        clear(&d->building[p]);
}

static int append(struct pixi_outbox_building *b, const struct pixi_outbox_msg *m)
{
    struct pixi_packed r = {
        .number = {[ID] = m->id,
                   [SEQ] = m->seq,
                   [FLAGS] = m->flags,
                   [ACCEPTED_MS] = m->accepted_ms,
                   [EXPIRES_MS] = m->expires_ms,
                   [OWNER] = m->owner,
                   [FROM] = m->from},
        .part = {[TOPIC] = m->topic, [HEADERS] = m->headers, [PAYLOAD] = m->payload},
    };

    pixi_pack_put(&b->body, &r);
    if (b->body.err != PIXI_OK)
        return b->body.err == PIXI_E_LIMIT ? SQLITE_TOOBIG : SQLITE_NOMEM;
    if (m->expires_ms && (!b->expires_ms || m->expires_ms < b->expires_ms))
        b->expires_ms = m->expires_ms;
    b->count++;
    return SQLITE_OK;
}

int pixi_outbox_batch_add(struct pixi_outbox_disk *d, struct pixi_outbox_msg *m)
{
    unsigned priority = pixi_outbox_priority(m->id);
    struct pixi_outbox_building *b = &d->building[priority];
    int rc = SQLITE_OK;

    /* What a message costs is about what it takes. */
    if (b->id && (b->has_seqs != (m->seq != 0) || b->count == PIXI_OUTBOX_BATCH ||
                  b->body.len + pixi_outbox_cost(m) > PIXI_OUTBOX_BATCH_BYTES))
        rc = pixi_outbox_batch_flush(d, priority);
    if (rc != SQLITE_OK)
        return rc;
    if (!b->id) {
        b->id = m->id;
        b->has_seqs = m->seq != 0;
    }
    m->batch = b->id;
    m->place = b->count;
    return append(b, m);
}

/* --- reading -------------------------------------------------------------------------------------------------- */

int pixi_outbox_batch_next(struct pixi_outbox_disk *d, unsigned priority, uint64_t after, uint64_t *id)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_NEXT];
    int rc;

    pixi_db_bind(s, "ii", (int64_t)after, (int64_t)(pixi_outbox_lane(priority) + PIXI_OUTBOX_LANE));
    rc = sqlite3_step(s);
    *id = rc == SQLITE_ROW ? pixi_outbox_number(s, 0) : 0;
    sqlite3_reset(s);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int pixi_outbox_batch_open(struct pixi_outbox_disk *d, uint64_t id, struct pixi_outbox_reader *r)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_BODY];
    struct pixi_outbox_part *part;
    int rc = pixi_outbox_part_get(d, id, &part);

    *r = (struct pixi_outbox_reader){.s = s};
    if (rc != SQLITE_OK || !part)
        return rc == SQLITE_OK ? SQLITE_CORRUPT : rc;
    r->part = *part;
    r->next_seq = part->first_seq;
    pixi_db_bind(s, "i", (int64_t)id);
    rc = sqlite3_step(s);
    if (rc != SQLITE_ROW)
        return rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
    r->has_seqs = sqlite3_column_int(s, 0) != 0;
    r->rest = pixi_db_column(s, 1);
    return r->rest.p ? SQLITE_OK : SQLITE_CORRUPT;
}

void pixi_outbox_batch_close(struct pixi_outbox_reader *r)
{
    sqlite3_reset(r->s);
}

/* The first has the batch's id, and each a higher one than the one before it. */
static bool is_in_order(const struct pixi_outbox_reader *r, uint64_t id)
{
    return r->place ? id > r->last_id && pixi_outbox_priority(id) == pixi_outbox_priority(r->part.batch)
                    : id == r->part.batch;
}

static int take_record(struct pixi_outbox_reader *r, struct pixi_outbox_msg *m)
{
    struct pixi_cur rest = r->rest;
    struct pixi_packed p;

    if (r->place == r->part.count || !pixi_pack_next(&rest, &p) || !is_in_order(r, p.number[ID]) ||
        (p.number[SEQ] != 0) != r->has_seqs)
        return SQLITE_CORRUPT;
    *m = (struct pixi_outbox_msg){.id = p.number[ID],
                                  .batch = r->part.batch,
                                  .place = r->place,
                                  .seq = p.number[SEQ],
                                  .flags = (unsigned)p.number[FLAGS],
                                  .accepted_ms = p.number[ACCEPTED_MS],
                                  .expires_ms = p.number[EXPIRES_MS],
                                  .owner = p.number[OWNER],
                                  .from = p.number[FROM],
                                  .topic = p.part[TOPIC],
                                  .headers = p.part[HEADERS],
                                  .payload = p.part[PAYLOAD]};
    r->rest = rest;
    r->last_id = m->id;
    r->place++;
    return SQLITE_ROW;
}

int pixi_outbox_batch_read(struct pixi_outbox_reader *r, struct pixi_outbox_msg *m)
{
    int rc;

    do {
        if (r->rest.p == r->rest.end)
            return r->place == r->part.count ? SQLITE_DONE : SQLITE_CORRUPT;
        rc = take_record(r, m);
        if (rc != SQLITE_ROW)
            return rc;
        if (r->part.first_seq && !pixi_outbox_has_bit(r->part.skipped, m->place))
            m->seq = r->next_seq++;
        if (m->accepted_ms < r->part.late_ms)
            m->flags |= PIXI_OUTBOX_LATE;
    } while (pixi_outbox_has_bit(r->part.gone, m->place));
    return SQLITE_ROW;
}
