/* part.c -- what has become of the messages of a batch. Those used last are remembered, each in the one place that it can
 * have; what is changed is written when another wants that place, and before the commit. */
#include "outbox/disk.h"

#include "sqlite/pack.h"

enum { IS_BATCH, FIRST_SEQ, LATE_MS, EXPIRES_MS }; /* the numbers of a row's body; its parts are the bits */

static struct pixi_outbox_part *place_of(struct pixi_outbox_disk *d, uint64_t batch)
{
    return &d->parts[(batch ^ batch >> 48) % PIXI_OUTBOX_PARTS];
}

static struct pixi_cur bits_of(const struct pixi_outbox_part *p, const uint8_t *bits)
{
    size_t len = (p->count + 7) / 8;

    while (len && !bits[len - 1])
        len--;
    return pixi_cur_init(bits, len);
}

static int put_row(struct pixi_outbox_disk *d, const struct pixi_outbox_part *p)
{
    struct pixi_packed r = {
        .number = {[IS_BATCH] = p->batch,
                   [FIRST_SEQ] = p->first_seq,
                   [LATE_MS] = p->late_ms,
                   [EXPIRES_MS] = p->expires_ms},
        .part = {bits_of(p, p->gone), bits_of(p, p->skipped)},
    };
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_PUT_PART];

    pixi_buf_reset(&d->small_body);
    pixi_pack_put(&d->small_body, &r);
    if (d->small_body.err != PIXI_OK)
        return SQLITE_NOMEM;
    pixi_db_bind(s, "iib", (int64_t)p->batch, (int64_t)p->expires_ms, pixi_buf_cur(&d->small_body));
    return pixi_db_done(s);
}

static int delete_by(sqlite3_stmt *s, uint64_t id)
{
    pixi_db_bind(s, "i", (int64_t)id);
    return pixi_db_done(s);
}

/* One of which nothing is left goes with its row, if it ever had one. */
static int write_part(struct pixi_outbox_disk *d, struct pixi_outbox_part *p)
{
    bool is_empty = p->gone_count == p->count;
    int rc = SQLITE_OK;

    if (!p->is_changed)
        return SQLITE_OK;
    if (!is_empty)
        rc = put_row(d, p);
    if (is_empty)
        rc = delete_by(d->statements[PIXI_OUTBOX_DELETE], p->batch);
    if (is_empty && p->has_row && rc == SQLITE_OK)
        rc = delete_by(d->statements[PIXI_OUTBOX_DELETE_PART], p->batch);
    if (rc != SQLITE_OK)
        return rc;
    d->changed_parts--;
    p->is_changed = false;
    p->has_row = true;
    if (is_empty)
        p->batch = 0;
    return SQLITE_OK;
}

bool pixi_outbox_part_decode(struct pixi_cur body, uint64_t batch, struct pixi_outbox_part *p)
{
    struct pixi_packed r;

    if (!pixi_pack_next(&body, &r) || body.p != body.end || r.number[IS_BATCH] != batch ||
        pixi_cur_left(&r.part[0]) > PIXI_OUTBOX_BITS || pixi_cur_left(&r.part[1]) > PIXI_OUTBOX_BITS)
        return false;
    p->has_row = true;
    p->first_seq = r.number[FIRST_SEQ];
    p->late_ms = r.number[LATE_MS];
    p->expires_ms = r.number[EXPIRES_MS];
    memcpy(p->gone, r.part[0].p, pixi_cur_left(&r.part[0]));
    memcpy(p->skipped, r.part[1].p, pixi_cur_left(&r.part[1]));
    for (unsigned i = 0; i < p->count; i++)
        p->gone_count += pixi_outbox_has_bit(p->gone, i);
    return true;
}

/* p->batch stays 0 where there is none. */
static int read_part(struct pixi_outbox_disk *d, uint64_t batch, struct pixi_outbox_part *p)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_PART];
    int rc;

    *p = (struct pixi_outbox_part){0};
    pixi_db_bind(s, "i", (int64_t)batch);
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        p->count = (unsigned)sqlite3_column_int(s, 0);
        if (p->count < 1 || p->count > PIXI_OUTBOX_BATCH ||
            (sqlite3_column_type(s, 1) != SQLITE_NULL &&
             !pixi_outbox_part_decode(pixi_db_column(s, 1), batch, p)))
            rc = SQLITE_CORRUPT;
        else
            p->batch = batch;
    }
    sqlite3_reset(s);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int pixi_outbox_part_get(struct pixi_outbox_disk *d, uint64_t batch, struct pixi_outbox_part **out)
{
    struct pixi_outbox_part *p = place_of(d, batch);
    int rc = SQLITE_OK;

    if (p->batch != batch) {
        rc = write_part(d, p);
        if (rc == SQLITE_OK)
            rc = read_part(d, batch, p);
    }
    *out = rc == SQLITE_OK && p->batch ? p : NULL;
    return rc;
}

int pixi_outbox_part_make(struct pixi_outbox_disk *d, const struct pixi_outbox_building *b)
{
    struct pixi_outbox_part *p = place_of(d, b->id);
    int rc = write_part(d, p);

    if (rc != SQLITE_OK)
        return rc;
    *p = (struct pixi_outbox_part){.batch = b->id, .count = b->count};
    if (b->expires_ms && !b->has_seqs) {
        p->expires_ms = b->expires_ms;
        pixi_outbox_part_change(d, p);
    }
    return SQLITE_OK;
}

void pixi_outbox_part_change(struct pixi_outbox_disk *d, struct pixi_outbox_part *p)
{
    d->changed_parts += !p->is_changed;
    p->is_changed = true;
}

int pixi_outbox_part_write_all(struct pixi_outbox_disk *d)
{
    int rc = SQLITE_OK;

    for (size_t i = 0; i < PIXI_OUTBOX_PARTS && d->changed_parts && rc == SQLITE_OK; i++)
        rc = write_part(d, &d->parts[i]);
    return rc;
}

void pixi_outbox_part_forget(struct pixi_outbox_disk *d)
{
    for (size_t i = 0; i < PIXI_OUTBOX_PARTS; i++)
        d->parts[i] = (struct pixi_outbox_part){0};
    d->changed_parts = 0;
}
