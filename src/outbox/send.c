#include "outbox/state.h"

/* --- the window ----------------------------------------------------------------------------------------------------- */

void pixi_outbox_add_last(struct pixi_outbox *o, struct pixi_outbox_msg *m)
{
    m->next = NULL;
    m->previous = o->last;
    *(o->last ? &o->last->next : &o->first) = m;
    o->last = m;
    o->count++;
    o->window_bytes += pixi_outbox_cost(m);
    if (m->seq >= o->next_seq)
        o->next_seq = m->seq + 1;
    if (!o->cursor)
        o->cursor = m;
}

static void take_out(struct pixi_outbox *o, struct pixi_outbox_msg *m)
{
    if (o->cursor == m)
        o->cursor = m->next;
    *(m->previous ? &m->previous->next : &o->first) = m->next;
    *(m->next ? &m->next->previous : &o->last) = m->previous;
    o->count--;
    o->under_way -= m->state == PIXI_OUTBOX_SENT;
    o->window_bytes -= pixi_outbox_cost(m);
}

static void make_ready(struct pixi_outbox *o, struct pixi_outbox_msg *m)
{
    if (m->state != PIXI_OUTBOX_SENT)
        return;
    m->state = PIXI_OUTBOX_READY;
    o->under_way--;
    if (!o->cursor || m->seq < o->cursor->seq)
        o->cursor = m;
}

bool pixi_outbox_has_room(const struct pixi_outbox *o)
{
    return o->count < o->window && (o->window_bytes < WINDOW_BYTES || o->count == 0) &&
           (!o->first || o->next_seq - o->first->seq < SPAN_MAX);
}

/* --- leaving --------------------------------------------------------------------------------------------------------- */

/* Its seqs are not forgotten by the server before their rows are. */
static void add_leaving(struct pixi_outbox *o, struct pixi_outbox_work *w, uint64_t seq)
{
    w->low = seq;
    w->next_leaving = o->leaving;
    o->leaving = w;
}

static void end_leaving(struct pixi_outbox *o, struct pixi_outbox_work *w)
{
    struct pixi_outbox_work **at = &o->leaving;

    while (*at != w)
        at = &(*at)->next_leaving;
    *at = w->next_leaving;
}

static int run_remove(struct pixi_job *job, void *ctx)
{
    struct pixi_outbox_work *w = pixi_outbox_work_of(job);
    struct pixi_outbox_disk *d = pixi_outbox_disk_of(w, ctx);
    int rc = SQLITE_OK;

    for (size_t i = 0; i < w->count && rc == SQLITE_OK; i++)
        rc = pixi_outbox_disk_remove(d, &w->left[i]);
    d->row.stored_seq = w->stored_seq;
    pixi_crash_point("remove");
    return rc;
}

static void submit_removal(struct pixi_outbox *o)
{
    o->removal->stored_seq = o->stored_seq;
    pixi_outbox_submit(o, o->removal);
    o->removal = NULL;
}

void pixi_outbox_flush_removal(struct pixi_outbox *o)
{
    if (o->is_removing || !o->removal)
        return;
    o->is_removing = true;
    submit_removal(o);
}

static void done_remove(struct pixi_job *job, int err)
{
    struct pixi_outbox_work *w = pixi_outbox_work_of(job);
    struct pixi_outbox *o = w->outbox;

    if (err != PIXI_OK) {
        pixi_outbox_try_again(w);
        return;
    }
    pixi_crash_point("removed");
    o->is_removing = false;
    o->has_pages = true;
    end_leaving(o, w);
    free(w);
    pixi_outbox_flush_removal(o);
}

bool pixi_outbox_remove_row(struct pixi_outbox *o, const struct pixi_outbox_msg *m)
{
    struct pixi_outbox_work *w = o->removal;

    if (w && w->count == REMOVE_MAX) {
        submit_removal(o); /* more than one is under way then: each is whole by itself */
        w = NULL;
    }
    if (!w) {
        o->removal = w = pixi_outbox_make_work(o, run_remove, done_remove, REMOVE_MAX);
        if (!w)
            return false;
        add_leaving(o, w, m->seq);
    }
    if (m->seq < w->low)
        w->low = m->seq;
    w->left[w->count++] = pixi_outbox_left_of(m);
    return true;
}

void pixi_outbox_leave(struct pixi_outbox *o, struct pixi_outbox_msg *m)
{
    take_out(o, m);
    pixi_outbox_count_off(o, m->owner, pixi_outbox_cost(m));
}

static int run_reject(struct pixi_job *job, void *ctx)
{
    struct pixi_outbox_work *w = pixi_outbox_work_of(job);

    int rc = pixi_outbox_disk_reject(pixi_outbox_disk_of(w, ctx), w->msg, w->err, w->detail ? w->detail : "");

    pixi_crash_point("reject");
    return rc;
}

static void done_reject(struct pixi_job *job, int err)
{
    struct pixi_outbox_work *w = pixi_outbox_work_of(job);
    struct pixi_outbox *o = w->outbox;

    if (err != PIXI_OK) {
        pixi_outbox_try_again(w);
        return;
    }
    pixi_crash_point("rejected");
    o->call->on_gone(o->ctx, w->msg->from, w->msg->id, w->err, w->detail);
    o->has_pages = true;
    end_leaving(o, w);
    free(w->detail);
    free(w->msg);
    free(w);
}

/* It goes to those refused for good; told when that is on disk. */
static void reject(struct pixi_outbox *o, struct pixi_outbox_msg *m, int err, const char *detail)
{
    struct pixi_outbox_work *w = pixi_outbox_make_work(o, run_reject, done_reject, 0);

    if (!w) {
        make_ready(o, m); /* no memory: it is sent, and refused, again */
        return;
    }
    pixi_outbox_leave(o, m);
    add_leaving(o, w, m->seq);
    w->msg = m;
    w->err = err;
    w->detail = detail && *detail ? strndup(detail, DETAIL_MAX) : NULL;
    pixi_outbox_submit(o, w);
}

void pixi_outbox_remove_stored(struct pixi_outbox *o)
{
    struct pixi_outbox_msg *m;

    while ((m = o->unremoved) && pixi_outbox_remove_row(o, m)) {
        o->unremoved = m->next;
        free(m);
    }
    pixi_outbox_flush_removal(o);
}

void pixi_outbox_stored(struct pixi_outbox *o, struct pixi_outbox_msg *m, struct pixi_outbox_now now)
{
    o->now = now;
    pixi_crash_point("answered");
    o->stats.stored++;
    if (m->seq > o->stored_seq)
        o->stored_seq = m->seq;
    if (o->burst < PIXI_OUTBOX_WINDOW_MAX)
        o->burst++;
    pixi_outbox_leave(o, m);
    m->next = o->unremoved;
    o->unremoved = m;
    o->call->on_gone(o->ctx, m->from, m->id, PIXI_OK, NULL);
    pixi_crash_point("told");
    pixi_outbox_remove_stored(o);
    pixi_outbox_fill(o);
}

void pixi_outbox_refused(struct pixi_outbox *o, struct pixi_outbox_msg *m, int err, const char *detail,
                         struct pixi_outbox_now now)
{
    o->now = now;
    o->stats.rejected++;
    reject(o, m, err, detail);
    pixi_outbox_fill(o);
}

void pixi_outbox_later(struct pixi_outbox *o, struct pixi_outbox_msg *m, uint64_t in_ms,
                       struct pixi_outbox_now now)
{
    o->now = now;
    make_ready(o, m);
    o->burst = 1;
    if (now.ms + in_ms > o->hold_until_ms)
        o->hold_until_ms = now.ms + in_ms;
}

void pixi_outbox_unanswered(struct pixi_outbox *o, struct pixi_outbox_msg *m)
{
    m->is_uncertain |= m->state == PIXI_OUTBOX_SENT;
    make_ready(o, m);
}

/* The server is not the log that they were sent to. */
static void doubt(struct pixi_outbox *o)
{
    struct pixi_outbox_msg *next;

    for (struct pixi_outbox_msg *m = o->first; m; m = next) {
        next = m->next;
        if (!m->is_uncertain || m->state == PIXI_OUTBOX_SENT)
            continue;
        o->stats.in_doubt++;
        reject(o, m, PIXI_E_IN_DOUBT, NULL);
    }
}

void pixi_outbox_put_off(struct pixi_outbox *o, struct pixi_outbox_msg *m, struct pixi_outbox_now now)
{
    o->now = now;
    make_ready(o, m);
    if (!o->stored_seq || m->after != o->stored_seq)
        return;
    o->stored_seq = 0; /* the server knew it once */
    doubt(o);
    pixi_outbox_fill(o);
}

/* --- sending --------------------------------------------------------------------------------------------------------- */

static int run_epoch(struct pixi_job *job, void *ctx)
{
    struct pixi_outbox_work *w = pixi_outbox_work_of(job);
    struct pixi_outbox_disk *d = pixi_outbox_disk_of(w, ctx);

    d->row.epoch = w->epoch;
    d->row.stored_seq = 0;
    return SQLITE_OK;
}

static void done_epoch(struct pixi_job *job, int err)
{
    struct pixi_outbox_work *w = pixi_outbox_work_of(job);
    struct pixi_outbox *o = w->outbox;

    if (err != PIXI_OK) {
        pixi_outbox_try_again(w);
        return;
    }
    o->epoch = w->epoch;
    o->is_new_producer = false;
    free(w);
    if (o->link != SETTLING)
        return;
    o->link = LINKED;
    pixi_outbox_fill(o);
    o->call->on_ready(o->ctx);
}

static bool has_uncertain(const struct pixi_outbox *o)
{
    const struct pixi_outbox_msg *m = o->first;

    while (m && !m->is_uncertain)
        m = m->next;
    return m != NULL;
}

void pixi_outbox_linked(struct pixi_outbox *o, uint64_t epoch, struct pixi_outbox_now now)
{
    struct pixi_outbox_work *w;

    o->now = now;
    o->hold_until_ms = 0;
    if (o->is_new_producer || (o->epoch && epoch && epoch != o->epoch))
        doubt(o);
    o->burst = o->stored_seq && has_uncertain(o) ? 1 : PIXI_OUTBOX_WINDOW_MAX;
    if ((epoch == o->epoch || !epoch) && !o->is_new_producer) {
        o->link = LINKED;
        pixi_outbox_fill(o);
        o->call->on_ready(o->ctx);
        return;
    }
    o->link = SETTLING;
    o->stored_seq = 0;
    w = pixi_outbox_make_work(o, run_epoch, done_epoch, 0);
    if (!w)
        return; /* nothing is sent by this connection */
    w->epoch = epoch;
    pixi_outbox_submit(o, w);
}

void pixi_outbox_unlinked(struct pixi_outbox *o)
{
    o->link = UNLINKED;
    for (struct pixi_outbox_msg *m = o->first; m; m = m->next)
        pixi_outbox_unanswered(o, m);
}

/* What the server is to have before it. */
static uint64_t after_of(const struct pixi_outbox *o, const struct pixi_outbox_msg *m)
{
    uint64_t after = m->previous ? m->previous->seq : o->stored_seq;

    return after < m->seq ? after : 0; /* one that was stored, where the patience ended before its answer */
}

struct pixi_outbox_msg *pixi_outbox_next(struct pixi_outbox *o, struct pixi_outbox_now now)
{
    o->now = now;
    if (o->link != LINKED || o->hold_until_ms > now.ms || o->under_way >= o->window ||
        o->under_way >= o->burst)
        return NULL;
    while (o->cursor && o->cursor->state != PIXI_OUTBOX_READY)
        o->cursor = o->cursor->next;
    if (o->cursor)
        o->cursor->after = after_of(o, o->cursor);
    return o->cursor;
}

uint64_t pixi_outbox_low(const struct pixi_outbox *o)
{
    uint64_t low = o->first ? o->first->seq : o->next_seq;

    for (const struct pixi_outbox_work *w = o->leaving; w; w = w->next_leaving)
        if (w->low < low)
            low = w->low;
    for (const struct pixi_outbox_msg *m = o->unremoved; m; m = m->next)
        if (m->seq < low)
            low = m->seq;
    return low;
}

void pixi_outbox_sent(struct pixi_outbox *o, struct pixi_outbox_msg *m)
{
    m->state = PIXI_OUTBOX_SENT;
    o->under_way++;
    if (o->cursor == m)
        o->cursor = m->next;
    pixi_crash_point("sent");
}

void pixi_outbox_widen(struct pixi_outbox *o, size_t window)
{
    o->window = window < 1 ? 1 : window > PIXI_OUTBOX_WINDOW_MAX ? PIXI_OUTBOX_WINDOW_MAX : window;
    pixi_outbox_fill(o);
}

size_t pixi_outbox_window(const struct pixi_outbox *o)
{
    return o->window;
}
