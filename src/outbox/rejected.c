/* rejected.c -- reading those that were refused for good. */
#include "outbox/state.h"

struct listing {
    struct pixi_job job;
    struct pixi_outbox *outbox;
    uint64_t call, bytes; /* bytes: those that may still be read */
    pixi_outbox_on_rejected *on_rejected;
    size_t limit, count;
    bool has_more;
    struct pixi_outbox_rejected list[];
};

static struct listing *listing_of(struct pixi_job *job)
{
    return (struct listing *)job;
}

/* The detail stands behind the payload, with a NUL. */
static bool take_row(struct pixi_outbox_rejected *r, sqlite3_stmt *s)
{
    struct pixi_cur detail = pixi_db_column(s, 2), payload = pixi_db_column(s, 8);
    struct pixi_buf both = pixi_buf_init(SIZE_MAX);
    struct pixi_outbox_msg *m = NULL;

    pixi_buf_put_cur(&both, payload);
    pixi_buf_put_cur(&both, detail);
    pixi_buf_put(&both, "", 1);
    if (both.err == PIXI_OK)
        m = pixi_outbox_msg_new(pixi_db_column(s, 6), pixi_db_column(s, 7), pixi_buf_cur(&both));
    pixi_buf_clear(&both);
    if (!m)
        return false;
    m->id = (uint64_t)sqlite3_column_int64(s, 0);
    m->flags = (unsigned)sqlite3_column_int(s, 4);
    m->owner = (uint64_t)sqlite3_column_int64(s, 5);
    *r =
        (struct pixi_outbox_rejected){.err = sqlite3_column_int(s, 1),
                                      .rejected_ms = (uint64_t)sqlite3_column_int64(s, 3),
                                      .msg = m,
                                      .detail = {m->payload.p + pixi_cur_left(&payload), m->payload.end - 1}};
    m->payload.end = r->detail.p;
    return true;
}

static uint64_t cost_of(sqlite3_stmt *s)
{
    uint64_t cost = 0;

    for (int column = 6; column <= 8; column++)
        cost += (uint64_t)sqlite3_column_bytes(s, column);
    return cost;
}

static int run_list(struct pixi_job *job, void *ctx)
{
    static const char sql[] =
        "SELECT id, err, detail, rejected_ms, flags, owner, topic, headers, payload FROM rejected"
        " ORDER BY number DESC LIMIT ?1";
    struct listing *l = listing_of(job);
    struct pixi_outbox_disk *d = ctx;
    sqlite3_stmt *s = NULL;
    int rc = pixi_db_prepare(&d->db, sql, &s);

    if (rc == SQLITE_OK)
        rc = pixi_db_bind(s, "i", (int64_t)l->limit + 1);
    while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        uint64_t cost = cost_of(s);

        l->has_more = l->count == l->limit || (l->count && cost > l->bytes);
        if (l->has_more)
            break;
        l->bytes -= cost < l->bytes ? cost : l->bytes;
        rc = take_row(&l->list[l->count], s) ? (int)(l->count++, SQLITE_OK) : SQLITE_NOMEM;
    }
    sqlite3_finalize(s);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static void done_list(struct pixi_job *job, int err)
{
    struct listing *l = listing_of(job);
    struct pixi_outbox_rejected_list list = {
        .at = l->list, .count = l->count, .has_more = l->has_more || err != PIXI_OK};

    l->on_rejected(l->outbox->ctx, l->call, &list);
    for (size_t i = 0; i < l->count; i++)
        free((void *)(uintptr_t)l->list[i].msg);
    free(l);
}

int pixi_outbox_list_rejected(struct pixi_outbox *o, size_t limit, uint64_t bytes, uint64_t call,
                              pixi_outbox_on_rejected *on_rejected)
{
    struct listing *l = calloc(1, sizeof *l + limit * sizeof *l->list);

    if (!l)
        return PIXI_E_NOMEM;
    l->job = (struct pixi_job){.kind = PIXI_JOB_READS, .run = run_list, .done = done_list};
    l->outbox = o;
    l->limit = limit;
    l->bytes = bytes;
    l->call = call;
    l->on_rejected = on_rejected;
    pixi_worker_put(o->worker, &l->job); /* one that reads is always taken */
    return PIXI_OK;
}
