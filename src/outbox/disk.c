#include "outbox/disk.h"

#include "outbox/crash.h"
#include "sqlite/pack.h"

#include <endian.h>

/* --- at the start --------------------------------------------------------------------------------------------- */

/* Those of a batch, each to its place in the list, which is not before *at. */
static int inherit_batch(struct pixi_outbox_reader *r, struct pixi_outbox_msg **at)
{
    struct pixi_outbox_msg found, *m;
    int rc;

    while ((rc = pixi_outbox_batch_read(r, &found)) == SQLITE_ROW) {
        if (!(m = pixi_outbox_msg_copy(&found)))
            return SQLITE_NOMEM;
        while (*at && (*at)->seq < m->seq)
            at = &(*at)->next;
        m->next = *at;
        *at = m;
    }
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Those with seqs are the first of a priority, and the one row says which is the last of them. */
static int inherit_lane(struct pixi_outbox_disk *d, unsigned priority)
{
    uint64_t id, after = pixi_outbox_lane(priority), *last = &d->row.assigned[priority];
    bool has_seqs = true;
    int rc;

    while ((rc = pixi_outbox_batch_next(d, priority, after, &id)) == SQLITE_OK && id && has_seqs) {
        struct pixi_outbox_reader r;

        rc = pixi_outbox_batch_open(d, id, &r);
        has_seqs = r.has_seqs || r.part.first_seq;
        if (rc == SQLITE_OK && has_seqs)
            rc = inherit_batch(&r, &d->inherited);
        else if (rc == SQLITE_OK && id <= *last)
            rc = SQLITE_CORRUPT;
        pixi_outbox_batch_close(&r);
        if (rc != SQLITE_OK)
            return rc;
        if (has_seqs && id > *last)
            *last = id;
        after = id;
    }
    if (*last < pixi_outbox_lane(priority))
        *last = pixi_outbox_lane(priority);
    return rc;
}

int pixi_outbox_disk_inherit(struct pixi_outbox_disk *d)
{
    int rc = SQLITE_OK;

    for (unsigned p = 0; p < PIXI_OUTBOX_PRIORITIES && rc == SQLITE_OK; p++)
        rc = inherit_lane(d, p);
    return rc;
}

/* --- groups --------------------------------------------------------------------------------------------------- */

static int put_changes(struct pixi_outbox_disk *d)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_SHARE];
    int rc = SQLITE_OK;

    for (size_t i = 0; i < d->change_count && rc == SQLITE_OK; i++) {
        const struct pixi_outbox_owner *o = &d->changes[i];

        pixi_db_bind(s, "iii", (int64_t)o->uid, o->count, o->bytes);
        rc = pixi_db_done(s);
    }
    d->change_count = 0;
    return rc;
}

int pixi_outbox_disk_count(struct pixi_outbox_disk *d, uint64_t uid, int64_t count, int64_t bytes)
{
    size_t i = 0;
    int rc = SQLITE_OK;

    d->row.count += (uint64_t)count;
    d->row.bytes += (uint64_t)bytes;
    while (i < d->change_count && d->changes[i].uid != uid)
        i++;
    if (i == PIXI_OUTBOX_OWNERS) {
        rc = put_changes(d);
        i = 0;
    }
    if (i == d->change_count)
        d->changes[d->change_count++] = (struct pixi_outbox_owner){.uid = uid};
    d->changes[i].count += count;
    d->changes[i].bytes += bytes;
    return rc;
}

static int save_row(struct pixi_outbox_disk *d)
{
    const struct pixi_outbox_row *r = &d->row;
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_SAVE];
    uint64_t assigned[PIXI_OUTBOX_PRIORITIES];
    struct pixi_packed p = {.part = {pixi_cur_init(assigned, sizeof assigned)}};
    int rc;

    for (size_t i = 0; i < PIXI_OUTBOX_PRIORITIES; i++)
        assigned[i] = htole64(r->assigned[i]);
    pixi_buf_reset(&d->small_body);
    pixi_pack_put(&d->small_body, &p);
    if (d->small_body.err != PIXI_OK)
        return SQLITE_NOMEM;
    rc = pixi_db_bind(s, "biiiiiiiiib", pixi_cur_init(r->producer, sizeof r->producer), (int64_t)r->epoch,
                      (int64_t)r->next_number, (int64_t)r->next_seq, (int64_t)r->count, (int64_t)r->bytes,
                      (int64_t)r->unassigned, (int64_t)r->now_ms, (int64_t)r->wall_ms, (int64_t)r->stored_seq,
                      pixi_buf_cur(&d->small_body));
    return rc == SQLITE_OK ? pixi_db_done(s) : rc;
}

int pixi_outbox_disk_finish(void *disk)
{
    struct pixi_outbox_disk *d = disk;
    int rc = pixi_outbox_batch_flush_all(d);

    if (rc == SQLITE_OK)
        rc = pixi_outbox_part_write_all(d);
    if (rc == SQLITE_OK)
        rc = put_changes(d);
    if (rc == SQLITE_OK)
        rc = save_row(d);
    pixi_crash_point("commit");
    return rc;
}

void pixi_outbox_disk_ended(void *disk, int rc)
{
    struct pixi_outbox_disk *d = disk;

    d->change_count = 0;
    if (rc == SQLITE_OK) {
        pixi_crash_point("committed");
        d->saved = d->row;
    } else {
        d->row = d->saved;
        pixi_outbox_batch_forget(d);
        pixi_outbox_part_forget(d);
        pixi_outbox_disk_forget_heads(d);
    }
}

int pixi_outbox_disk_probe(void *disk)
{
    (void)disk;
    return SQLITE_OK; /* finish writes the row */
}

void pixi_outbox_disk_stamp(struct pixi_outbox_disk *d, uint64_t now_ms, uint64_t wall_ms)
{
    if (now_ms < d->row.now_ms)
        return;
    d->row.now_ms = now_ms;
    d->row.wall_ms = wall_ms;
}

/* --- what jobs do --------------------------------------------------------------------------------------------- */

int pixi_outbox_disk_remove(struct pixi_outbox_disk *d, const struct pixi_outbox_left *left)
{
    unsigned priority = pixi_outbox_priority(left->batch);
    struct pixi_outbox_part *part = NULL;
    int rc = SQLITE_OK;

    if (d->building[priority].id == left->batch)
        rc = pixi_outbox_batch_flush(d, priority);
    if (rc == SQLITE_OK)
        rc = pixi_outbox_part_get(d, left->batch, &part);
    if (rc != SQLITE_OK || !part)
        return rc;
    if (left->place >= part->count)
        return SQLITE_CORRUPT;
    if (pixi_outbox_has_bit(part->gone, left->place))
        return SQLITE_OK;
    part->gone[left->place / 8] |= (uint8_t)(1 << left->place % 8);
    part->gone_count++;
    pixi_outbox_part_change(d, part);
    return pixi_outbox_disk_count(d, left->owner, -1, -(int64_t)left->cost);
}

int pixi_outbox_disk_put(struct pixi_outbox_disk *d, struct pixi_outbox_msg *m, bool wants_seq,
                         struct pixi_outbox_left *left, size_t left_max, size_t *left_count, bool *is_refused)
{
    unsigned priority = pixi_outbox_priority(m->id);
    int rc = pixi_outbox_disk_make_room(d, m, left, left_max, left_count, is_refused);

    if (rc != SQLITE_OK || *is_refused)
        return rc;
    m->id = pixi_outbox_lane(priority) | d->row.next_number++;
    if (wants_seq)
        m->seq = d->row.next_seq++;
    else
        d->row.unassigned++;
    rc = pixi_outbox_batch_add(d, m);
    if (wants_seq)
        d->row.assigned[priority] = m->batch;
    pixi_crash_point("insert");
    return rc == SQLITE_OK ? pixi_outbox_disk_count(d, m->owner, 1, (int64_t)pixi_outbox_cost(m)) : rc;
}

int pixi_outbox_disk_known(struct pixi_outbox_disk *d, const struct pixi_outbox_given *given, uint64_t *id)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_KNOWN];
    int rc;

    pixi_db_bind(s, "bi", pixi_cur_init(given->producer, sizeof given->producer), (int64_t)given->seq);
    rc = sqlite3_step(s);
    *id = rc == SQLITE_ROW ? pixi_outbox_number(s, 0) : 0;
    sqlite3_reset(s);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int pixi_outbox_disk_know(struct pixi_outbox_disk *d, const struct pixi_outbox_given *given, uint64_t id)
{
    struct pixi_cur producer = pixi_cur_init(given->producer, sizeof given->producer);
    sqlite3_stmt *know = d->statements[PIXI_OUTBOX_KNOW], *forget = d->statements[PIXI_OUTBOX_FORGET];
    int rc;

    pixi_db_bind(know, "biii", producer, (int64_t)given->seq, (int64_t)id, (int64_t)d->row.now_ms);
    rc = pixi_db_done(know);
    if (rc != SQLITE_OK)
        return rc;
    pixi_db_bind(forget, "bi", producer, (int64_t)given->low);
    return pixi_db_done(forget);
}

/* What a load has read so far. */
struct loading {
    struct pixi_outbox_msg **end;
    uint64_t count, bytes; /* that there is room for */
};

static int read_batch(struct pixi_outbox_disk *d, uint64_t id, struct loading *l)
{
    struct pixi_outbox_msg found, *m;
    struct pixi_outbox_reader r;
    int rc = pixi_outbox_batch_open(d, id, &r);

    if (rc == SQLITE_OK && r.has_seqs)
        rc = SQLITE_CORRUPT;
    while (rc == SQLITE_OK && (rc = pixi_outbox_batch_read(&r, &found)) == SQLITE_ROW) {
        uint64_t cost = pixi_outbox_cost(&found);

        *l->end = m = pixi_outbox_msg_copy(&found);
        rc = m ? SQLITE_OK : SQLITE_NOMEM;
        if (!m)
            break;
        l->end = &m->next;
        l->count -= l->count > 0;
        l->bytes -= cost < l->bytes ? cost : l->bytes;
        d->row.unassigned--;
    }
    pixi_outbox_batch_close(&r);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Its messages get their seqs; then it is read. */
static int load_batch(struct pixi_outbox_disk *d, uint64_t id, uint64_t late_ms, struct loading *l)
{
    struct pixi_outbox_part *part = NULL;
    int rc = pixi_outbox_part_get(d, id, &part);

    if (rc != SQLITE_OK || !part || part->first_seq)
        return rc == SQLITE_OK ? SQLITE_CORRUPT : rc;
    if (part->gone_count == part->count)
        return SQLITE_OK; /* in this group: it is still to be deleted */
    part->first_seq = d->row.next_seq;
    part->late_ms = late_ms;
    part->expires_ms = 0;
    memcpy(part->skipped, part->gone, sizeof part->skipped);
    d->row.next_seq += part->count - part->gone_count;
    pixi_outbox_part_change(d, part);
    return read_batch(d, id, l);
}

static int load_lane(struct pixi_outbox_disk *d, unsigned priority, uint64_t late_ms, struct loading *l)
{
    uint64_t id, *last = &d->row.assigned[priority];
    int rc = SQLITE_OK;

    while (rc == SQLITE_OK && l->count && l->bytes) {
        rc = pixi_outbox_batch_next(d, priority, *last, &id);
        if (rc != SQLITE_OK || !id)
            return rc;
        rc = load_batch(d, id, late_ms, l);
        *last = id;
        d->heads[priority].batch = 0;
    }
    return rc;
}

int pixi_outbox_disk_load(struct pixi_outbox_disk *d, size_t count, uint64_t bytes, uint64_t late_ms,
                          struct pixi_outbox_msg **list, uint64_t *lost)
{
    struct loading l = {.end = list, .count = count, .bytes = bytes};
    int rc = pixi_outbox_batch_flush_all(d);

    *list = NULL;
    for (unsigned p = PIXI_OUTBOX_PRIORITIES; p-- > 0 && rc == SQLITE_OK;)
        rc = load_lane(d, p, late_ms, &l);
    *lost = rc == SQLITE_OK && !*list ? d->row.unassigned : 0;
    d->row.unassigned -= *lost;
    return rc;
}

int pixi_outbox_disk_reject(struct pixi_outbox_disk *d, const struct pixi_outbox_msg *m, int err,
                            const char *detail)
{
    const struct pixi_outbox_left gone = pixi_outbox_left_of(m);
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_REJECT], *trim = d->statements[PIXI_OUTBOX_TRIM];
    int rc;

    pixi_db_bind(s, "iibiiibbb", (int64_t)m->id, (int64_t)err, pixi_cur_str(detail), (int64_t)d->row.wall_ms,
                 (int64_t)m->flags, (int64_t)m->owner, m->topic, m->headers, m->payload);
    rc = pixi_db_done(s);
    if (rc == SQLITE_OK) {
        pixi_db_bind(trim, "i", sqlite3_last_insert_rowid(d->db.handle) - PIXI_OUTBOX_REJECTED);
        rc = pixi_db_done(trim);
    }
    return rc == SQLITE_OK ? pixi_outbox_disk_remove(d, &gone) : rc;
}

int pixi_outbox_disk_tidy(struct pixi_outbox_disk *d, bool *is_done)
{
    int64_t pages = 0;
    int rc = pixi_db_exec(&d->db, "PRAGMA incremental_vacuum(256)");

    if (rc == SQLITE_OK)
        rc = pixi_db_int(&d->db, "PRAGMA freelist_count", &pages);
    *is_done = pages == 0;
    return rc;
}
