#include "outbox/disk.h"

#include "outbox/crash.h"

#include <stdlib.h>

struct pixi_outbox_msg *pixi_outbox_msg_new(struct pixi_cur topic, struct pixi_cur headers,
                                            struct pixi_cur payload)
{
    struct pixi_cur *parts[3];
    const struct pixi_cur from[] = {topic, headers, payload};
    struct pixi_outbox_msg *m =
        calloc(1, sizeof *m + pixi_cur_left(&topic) + pixi_cur_left(&headers) + pixi_cur_left(&payload) + 1);
    uint8_t *at;

    if (!m)
        return NULL;
    at = m->bytes;
    parts[0] = &m->topic;
    parts[1] = &m->headers;
    parts[2] = &m->payload;
    for (size_t i = 0; i < 3; i++) {
        size_t len = pixi_cur_left(&from[i]);

        if (len)
            memcpy(at, from[i].p, len);
        *parts[i] = pixi_cur_init(at, len);
        at += len;
    }
    return m;
}

/* The row that s stands on, of PIXI_OUTBOX_LANE. NULL: out of memory. */
static struct pixi_outbox_msg *read_msg(sqlite3_stmt *s)
{
    struct pixi_outbox_msg *m =
        pixi_outbox_msg_new(pixi_db_column(s, 7), pixi_db_column(s, 8), pixi_db_column(s, 9));

    if (!m)
        return NULL;
    m->id = pixi_outbox_number(s, 0);
    m->seq = pixi_outbox_number(s, 1);
    m->flags = (unsigned)pixi_outbox_number(s, 2);
    m->accepted_ms = pixi_outbox_number(s, 3);
    m->expires_ms = pixi_outbox_number(s, 4);
    m->owner = pixi_outbox_number(s, 5);
    m->from = pixi_outbox_number(s, 6);
    return m;
}

static uint64_t lane_end(unsigned priority)
{
    return pixi_outbox_lane(priority) + (UINT64_C(1) << 48);
}

int pixi_outbox_disk_inherit(struct pixi_outbox_disk *d, struct pixi_outbox_msg **list)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_LANE];
    int rc = SQLITE_OK;

    for (unsigned p = 0; p < PIXI_OUTBOX_PRIORITIES && rc == SQLITE_OK; p++) {
        d->assigned[p] = pixi_outbox_lane(p);
        rc = pixi_db_bind(s, "ii", (int64_t)pixi_outbox_lane(p), (int64_t)lane_end(p));
        while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW &&
               sqlite3_column_type(s, 1) != SQLITE_NULL) {
            struct pixi_outbox_msg *m = read_msg(s), **at = list;

            rc = m ? SQLITE_OK : SQLITE_NOMEM;
            if (!m)
                break;
            while (*at && (*at)->seq < m->seq)
                at = &(*at)->next;
            m->next = *at;
            *at = m;
            d->assigned[p] = m->id;
        }
        sqlite3_reset(s);
        if (rc == SQLITE_ROW || rc == SQLITE_DONE)
            rc = SQLITE_OK;
    }
    memcpy(d->saved_assigned, d->assigned, sizeof d->assigned);
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

static int change(struct pixi_outbox_disk *d, uint64_t uid, int64_t count, int64_t bytes)
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

int pixi_outbox_disk_finish(void *disk)
{
    struct pixi_outbox_disk *d = disk;
    const struct pixi_outbox_row *r = &d->row;
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_SAVE];
    int rc = put_changes(d);

    if (rc == SQLITE_OK)
        rc = pixi_db_bind(s, "biiiiiiiii", pixi_cur_init(r->producer, sizeof r->producer), (int64_t)r->epoch,
                          (int64_t)r->next_number, (int64_t)r->next_seq, (int64_t)r->count, (int64_t)r->bytes,
                          (int64_t)r->unassigned, (int64_t)r->now_ms, (int64_t)r->wall_ms,
                          (int64_t)r->stored_seq);
    if (rc == SQLITE_OK)
        rc = pixi_db_done(s);
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
        memcpy(d->saved_assigned, d->assigned, sizeof d->assigned);
    } else {
        d->row = d->saved;
        memcpy(d->assigned, d->saved_assigned, sizeof d->assigned);
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

int pixi_outbox_disk_remove(struct pixi_outbox_disk *d, uint64_t id, uint64_t cost, uint64_t owner)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_DELETE];
    int rc;

    pixi_db_bind(s, "i", (int64_t)id);
    rc = pixi_db_done(s);
    if (rc != SQLITE_OK || !sqlite3_changes(d->db.handle))
        return rc;
    return change(d, owner, -1, -(int64_t)cost);
}

/* The first without a seq of a priority. SQLITE_DONE: there is none. */
static int find_first(struct pixi_outbox_disk *d, unsigned priority, struct pixi_outbox_left *out,
                      uint64_t *accepted_ms)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_FIRST];
    int rc;

    pixi_db_bind(s, "ii", (int64_t)d->assigned[priority], (int64_t)lane_end(priority));
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        *out = (struct pixi_outbox_left){.id = pixi_outbox_number(s, 0),
                                         .cost = pixi_outbox_number(s, 2),
                                         .owner = pixi_outbox_number(s, 3),
                                         .from = pixi_outbox_number(s, 4)};
        *accepted_ms = pixi_outbox_number(s, 1);
    }
    sqlite3_reset(s);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int let_leave(struct pixi_outbox_disk *d, const struct pixi_outbox_left *left)
{
    d->row.unassigned--;
    return pixi_outbox_disk_remove(d, left->id, left->cost, left->owner);
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
        if ((first.id & 0xffffffffffff) < oldest) {
            oldest = first.id & 0xffffffffffff;
            *out = first;
        }
        if (d->when_full == PIXI_OUTBOX_DROP_LOWEST)
            break;
    }
    return rc;
}

static int make_room(struct pixi_outbox_disk *d, const struct pixi_outbox_msg *m,
                     struct pixi_outbox_left *left, size_t left_max, size_t *left_count, bool *is_refused)
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

static void assign(struct pixi_outbox_disk *d, struct pixi_outbox_msg *m)
{
    m->seq = d->row.next_seq++;
    d->assigned[pixi_outbox_priority(m->id)] = m->id;
}

int pixi_outbox_disk_put(struct pixi_outbox_disk *d, struct pixi_outbox_msg *m, bool wants_seq,
                         struct pixi_outbox_left *left, size_t left_max, size_t *left_count, bool *is_refused)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_INSERT];
    int rc = make_room(d, m, left, left_max, left_count, is_refused);

    if (rc != SQLITE_OK || *is_refused)
        return rc;
    m->id = pixi_outbox_lane(pixi_outbox_priority(m->id)) | d->row.next_number++;
    if (wants_seq)
        assign(d, m);
    else
        d->row.unassigned++;
    pixi_db_bind(s, "iiiiiiibbb", (int64_t)m->id, (int64_t)m->seq, (int64_t)m->flags, (int64_t)m->accepted_ms,
                 (int64_t)m->expires_ms, (int64_t)m->owner, (int64_t)m->from, m->topic, m->headers,
                 m->payload);
    rc = pixi_db_done(s);
    pixi_crash_point("insert");
    return rc == SQLITE_OK ? change(d, m->owner, 1, (int64_t)pixi_outbox_cost(m)) : rc;
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

/* Reads further messages of a priority to the end of the list, and counts them off. */
static int read_lane(struct pixi_outbox_disk *d, unsigned priority, size_t *count, uint64_t *bytes,
                     struct pixi_outbox_msg ***end)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_LANE];
    int rc = pixi_db_bind(s, "ii", (int64_t)d->assigned[priority], (int64_t)lane_end(priority));

    while (rc == SQLITE_OK && *count && *bytes && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        struct pixi_outbox_msg *m = read_msg(s);
        uint64_t cost;

        rc = m ? SQLITE_OK : SQLITE_NOMEM;
        if (!m)
            break;
        cost = pixi_outbox_cost(m);
        **end = m;
        *end = &m->next;
        *bytes -= cost < *bytes ? cost : *bytes;
        --*count;
    }
    sqlite3_reset(s);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int pixi_outbox_disk_load(struct pixi_outbox_disk *d, size_t count, uint64_t bytes, uint64_t late_ms,
                          struct pixi_outbox_msg **list, uint64_t *lost)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_ASSIGN];
    struct pixi_outbox_msg **end = list;
    int rc = SQLITE_OK;

    *list = NULL;
    for (unsigned p = PIXI_OUTBOX_PRIORITIES; p-- > 0 && count && bytes && rc == SQLITE_OK;)
        rc = read_lane(d, p, &count, &bytes, &end);
    for (struct pixi_outbox_msg *m = *list; m && rc == SQLITE_OK; m = m->next) {
        if (m->accepted_ms < late_ms)
            m->flags |= PIXI_OUTBOX_LATE;
        assign(d, m);
        d->row.unassigned--;
        pixi_db_bind(s, "iii", (int64_t)m->id, (int64_t)m->seq, (int64_t)m->flags);
        rc = pixi_db_done(s);
    }
    *lost = rc == SQLITE_OK && !*list ? d->row.unassigned : 0;
    d->row.unassigned -= *lost;
    return rc;
}

int pixi_outbox_disk_reject(struct pixi_outbox_disk *d, const struct pixi_outbox_msg *m, int err,
                            const char *detail)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_REJECT], *trim = d->statements[PIXI_OUTBOX_TRIM];
    int rc;

    pixi_db_bind(s, "iibiiibbb", (int64_t)m->id, (int64_t)err, pixi_cur_str(detail), (int64_t)d->row.wall_ms,
                 (int64_t)m->flags, (int64_t)m->owner, m->topic, m->headers, m->payload);
    rc = pixi_db_done(s);
    if (rc == SQLITE_OK) {
        pixi_db_bind(trim, "i", sqlite3_last_insert_rowid(d->db.handle) - PIXI_OUTBOX_REJECTED);
        rc = pixi_db_done(trim);
    }
    return rc == SQLITE_OK ? pixi_outbox_disk_remove(d, m->id, pixi_outbox_cost(m), m->owner) : rc;
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

int pixi_outbox_disk_sweep(struct pixi_outbox_disk *d, uint64_t now_ms, uint64_t old_ms,
                           struct pixi_outbox_left *left, size_t left_max, size_t *left_count,
                           uint64_t *oldest_ms)
{
    sqlite3_stmt *s = d->statements[PIXI_OUTBOX_EXPIRED];
    size_t expired = 0;
    int rc;

    pixi_db_bind(s, "ii", (int64_t)now_ms, (int64_t)left_max);
    while ((rc = sqlite3_step(s)) == SQLITE_ROW)
        left[expired++] = (struct pixi_outbox_left){.id = pixi_outbox_number(s, 0),
                                                    .cost = pixi_outbox_number(s, 1),
                                                    .owner = pixi_outbox_number(s, 2),
                                                    .from = pixi_outbox_number(s, 3)};
    sqlite3_reset(s);
    rc = rc == SQLITE_DONE ? SQLITE_OK : rc;
    for (size_t i = 0; i < expired && rc == SQLITE_OK; i++)
        rc = let_leave(d, &left[i]);
    *left_count = expired;
    *oldest_ms = 0;
    for (unsigned p = 0; p < PIXI_OUTBOX_PRIORITIES && rc == SQLITE_OK; p++)
        rc = sweep_lane(d, p, old_ms, left, left_max, left_count, oldest_ms);
    return rc;
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
