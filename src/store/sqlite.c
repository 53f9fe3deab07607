/* sqlite.c -- the store's side of the loop: calls become jobs, what became of them is answered. */
#include "store/sqlite_store.h"

#include "base/list.h"
#include "base/topic.h"

#include <stdlib.h>

enum {
    MESSAGE_MAX = 1 << 29, /* bytes: SQLite takes rows of 1,000,000,000 */
    SPARE_BYTES = 4096,    /* jobs up to this size are used again */
    SPARES_MAX = 1024,
    SWEEP_LEAST = 4096, /* messages that are kept for sessions */
};

struct job {
    struct pixi_job base; /* first */
    struct pixi_sqlite_store *store;
    size_t cap; /* of bytes */
    union {
        struct {
            struct pixi_msg msg;
            unsigned flags;
            void *token;
            struct pixi_log_appended out;
        } append;
        struct {
            struct pixi_store_read *reader; /* NULL: cancelled */
            struct pixi_log_read read;
            bool is_of_last;
        } read;
        struct {
            struct pixi_record record;
            struct pixi_record_answer answer;
            struct pixi_buf value;
            int err;
            bool is_put;
        } record;
        struct {
            struct pixi_buf bytes;
            struct pixi_record_answer answer;
            struct pixi_cur prefix;
        } list;
        struct {
            uint64_t now_ms;
            bool is_more;
        } trim;
        struct {
            enum { SWEEP_LOOKS, SWEEP_DROPS, SWEEP_CUTS } step;
            struct pixi_buf
                bytes; /* what was found; then of it what nobody wants, as struct pixi_log_wanted */
            uint64_t now_ms;
            int64_t from, next;
        } sweep;
    };
    uint8_t bytes[];
};

static struct pixi_sqlite_store *store_of(struct pixi_store *store)
{
    return PIXI_LIST_ITEM(store, struct pixi_sqlite_store, store);
}

/* --- jobs ---------------------------------------------------------------------------------------------------- */

static struct job *job_of(struct pixi_job *base)
{
    return (struct job *)base;
}

/* All zero but for what every job has. */
static struct job *new_job(struct pixi_sqlite_store *s, size_t len, int (*run)(struct pixi_job *, void *),
                           void (*done)(struct pixi_job *, int))
{
    size_t cap = len <= SPARE_BYTES ? SPARE_BYTES : len;
    struct job *job = job_of(s->spares);

    if (cap == SPARE_BYTES && job) {
        s->spares = job->base.next;
        s->spare_count--;
    } else {
        job = malloc(sizeof *job + cap);
    }
    if (!job)
        return NULL;
    memset(job, 0, sizeof *job);
    job->base =
        (struct pixi_job){.kind = PIXI_JOB_WRITES, .bytes = sizeof *job + len, .run = run, .done = done};
    job->store = s;
    job->cap = cap;
    return job;
}

static void free_job(struct job *job)
{
    struct pixi_sqlite_store *s = job->store;

    if (job->cap != SPARE_BYTES || s->spare_count >= SPARES_MAX) {
        free(job);
        return;
    }
    job->base.next = s->spares;
    s->spares = &job->base;
    s->spare_count++;
}

static struct pixi_cur copy(uint8_t **to, struct pixi_cur from)
{
    size_t len = pixi_cur_left(&from);
    struct pixi_cur c = pixi_cur_init(*to, len);

    if (len)
        memcpy(*to, from.p, len);
    *to += len;
    return c;
}

/* --- what nobody wants any more ------------------------------------------------------------------------------ */

/* Long before there is no room: most are taken at once, and what goes soon has its pages in memory still. */
static bool is_sweep_due(const struct pixi_sqlite_store *s)
{
    const struct pixi_log_limits *limits = &s->log.limits;

    return (s->view.wanted > SWEEP_LEAST && s->view.wanted > s->sweep_at) ||
           s->view.wanted > limits->wanted_messages || s->view.wanted_bytes > limits->wanted_bytes;
}

static int run_sweep(struct pixi_job *base, void *ctx)
{
    struct job *job = job_of(base);

    switch (job->sweep.step) {
    case SWEEP_LOOKS: return pixi_log_wanted_look(ctx, job->sweep.from, &job->sweep.bytes, &job->sweep.next);
    case SWEEP_DROPS:
        return pixi_log_wanted_drop(ctx, (struct pixi_log_wanted *)(void *)job->sweep.bytes.bytes,
                                    job->sweep.bytes.len / sizeof(struct pixi_log_wanted));
    default: return pixi_log_wanted_cut(ctx, job->sweep.now_ms);
    }
}

/* Of what was found, in place, those that nobody wants. */
static void ask(struct pixi_sqlite_store *s, struct job *job)
{
    struct pixi_cur found = pixi_buf_cur(&job->sweep.bytes);
    struct pixi_log_wanted wanted;
    struct pixi_msg msg;
    size_t len = 0;

    while (pixi_log_next_wanted(&found, &wanted, &msg)) {
        if (msg.pos.offset > s->head.offset) /* not answered yet: nobody could say */
            continue;
        if (!pixi_msg_is_expired(&msg, job->sweep.now_ms) && s->store.is_wanted &&
            s->store.is_wanted(s->store.ctx, &msg))
            continue;
        memcpy(job->sweep.bytes.bytes + len, &wanted, sizeof wanted); /* never ahead of found */
        len += sizeof wanted;
    }
    job->sweep.bytes.len = len;
}

/* Look, drop, look on ... and at the end the oldest go, if that was not enough. */
static void sweep_done(struct pixi_job *base, int err)
{
    struct job *job = job_of(base);
    struct pixi_sqlite_store *s = job->store;
    const struct pixi_log_limits *limits = &s->log.limits;
    bool is_over = s->view.wanted > limits->wanted_messages || s->view.wanted_bytes > limits->wanted_bytes;

    if (!err && job->sweep.step == SWEEP_LOOKS) {
        ask(s, job);
        job->sweep.step = SWEEP_DROPS;
        job->base.kind = PIXI_JOB_WRITES;
    } else if (!err && job->sweep.step == SWEEP_DROPS && (job->sweep.next || is_over)) {
        pixi_buf_reset(&job->sweep.bytes);
        job->sweep.from = job->sweep.next;
        job->sweep.step = job->sweep.next ? SWEEP_LOOKS : SWEEP_CUTS;
        job->base.kind = job->sweep.next ? PIXI_JOB_READS : PIXI_JOB_WRITES;
    } else {
        err = PIXI_E_LIMIT; /* it is over */
    }
    if (!err && pixi_worker_put(s->worker, base) == PIXI_OK)
        return;
    s->is_sweeping = false;
    s->sweep_at = 2 * s->view.wanted;
    pixi_buf_clear(&job->sweep.bytes);
    free_job(job);
}

static void sweep(struct pixi_sqlite_store *s, uint64_t now_ms)
{
    struct job *job = s->is_sweeping ? NULL : new_job(s, 0, run_sweep, sweep_done);

    if (!job)
        return;
    job->base.kind = PIXI_JOB_READS;
    job->sweep.now_ms = now_ms;
    job->sweep.bytes = pixi_buf_init(SIZE_MAX);
    s->is_sweeping = true;
    if (pixi_worker_put(s->worker, &job->base) == PIXI_OK)
        return;
    s->is_sweeping = false;
    free_job(job);
}

/* --- append -------------------------------------------------------------------------------------------------- */

static int run_append(struct pixi_job *base, void *ctx)
{
    struct job *job = job_of(base);

    return pixi_log_append(ctx, &job->append.msg, job->append.flags, &job->append.out);
}

static void answer_append(struct pixi_sqlite_store *s, struct pixi_msg *msg,
                          const struct pixi_log_appended *out, void *token)
{
    struct pixi_commit commit = {.err = out->err};

    if (!commit.err && out->offset)
        commit.pos = (struct pixi_position){s->head.epoch, out->offset};
    if (!commit.err && !out->is_known) {
        if (out->offset)
            s->head.offset = out->offset;
        msg->pos = out->is_kept ? commit.pos : (struct pixi_position){0};
        commit.msg = msg;
    }
    s->store.on_committed(s->store.ctx, token, &commit);
}

static void append_done(struct pixi_job *base, int err)
{
    struct job *job = job_of(base);
    struct pixi_sqlite_store *s = job->store;

    s->appends--;
    if (err)
        job->append.out = (struct pixi_log_appended){.err = err};
    answer_append(s, &job->append.msg, &job->append.out, job->append.token);
    if (is_sweep_due(s))
        sweep(s, job->append.msg.time_ms);
    free_job(job);
}

static int put_append(struct pixi_sqlite_store *s, const struct pixi_msg *msg, unsigned flags, void *token)
{
    size_t len = pixi_msg_size(msg) + pixi_cur_left(&msg->key_owner);
    struct job *job;
    uint8_t *to;
    int rc;

    if (len > MESSAGE_MAX)
        return PIXI_E_STORAGE;
    job = new_job(s, len, run_append, append_done);
    if (!job)
        return PIXI_E_NOMEM;
    to = job->bytes;
    job->append.msg = *msg;
    job->append.msg.topic = copy(&to, msg->topic);
    job->append.msg.payload = copy(&to, msg->payload);
    job->append.msg.headers = copy(&to, msg->headers);
    job->append.msg.key_owner = copy(&to, msg->key_owner);
    job->append.flags = flags;
    job->append.token = token;
    rc = pixi_worker_put(s->worker, &job->base);
    if (rc == PIXI_OK)
        s->appends++;
    else
        free_job(job);
    return rc;
}

/* Nothing keeps it, and nobody asks where it went: it needs no disk, unless it would overtake what does. */
static bool is_passing(const struct pixi_sqlite_store *s, const struct pixi_msg *msg, unsigned flags)
{
    return !s->appends && !(flags & (PIXI_STORE_WANTS_POSITION | PIXI_STORE_WANTED)) &&
           !(msg->flags & PIXI_MSG_KEY) &&
           pixi_filters_owner(&s->log.filters, msg->topic, msg->flags) == PIXI_HISTORIES_MAX;
}

static void append(struct pixi_store *store, const struct pixi_msg *msg, unsigned flags, void *token)
{
    struct pixi_sqlite_store *s = store_of(store);
    struct pixi_log_appended out = {0};
    struct pixi_msg passing = *msg;

    if (!is_passing(s, msg, flags)) {
        out.err = put_append(s, msg, flags, token);
        if (out.err == PIXI_OK)
            return;
    }
    answer_append(s, &passing, &out, token);
}

/* --- reads --------------------------------------------------------------------------------------------------- */

static int run_read(struct pixi_job *base, void *ctx)
{
    struct job *job = job_of(base);

    if (job->read.is_of_last)
        return pixi_log_read_last(ctx, &job->read.read);
    return job->read.read.flags & PIXI_STORE_FOR_SESSIONS ? pixi_log_read_wanted(ctx, &job->read.read)
                                                          : pixi_log_read_history(ctx, &job->read.read);
}

/* What the thread found, until the reader takes no more. */
static void hand_on(const struct pixi_sqlite_store *s, struct pixi_log_read *read,
                    struct pixi_store_read *reader)
{
    struct pixi_cur bytes = pixi_buf_cur(&read->bytes);
    struct pixi_msg msg;

    while (pixi_log_next(&bytes, &msg)) {
        msg.pos.epoch = s->head.epoch;
        if (reader->on_message(reader->ctx, &msg)) {
            read->next = msg.pos.offset;
            return;
        }
    }
}

static void read_done(struct pixi_job *base, int err)
{
    struct job *job = job_of(base);
    struct pixi_store_read *reader = job->read.reader;
    struct pixi_log_read *read = &job->read.read;

    if (!err)
        err = read->err;
    if (reader) {
        reader->job = NULL;
        if (!err)
            hand_on(job->store, read, reader);
        /* what was asked for beyond the head is not there, and never will be by this read */
        if (read->next > read->upto)
            read->next = reader->upto + 1;
        reader->on_end(reader->ctx, err, read->next);
    }
    pixi_buf_clear(&read->bytes);
    free_job(job);
}

static void begin_read(struct pixi_sqlite_store *s, struct pixi_store_read *reader, bool is_of_last)
{
    struct pixi_cur filter = pixi_filter_inner(reader->filter);
    struct job *job = new_job(s, pixi_cur_left(&filter), run_read, read_done);
    uint8_t *to;

    if (!job) {
        reader->on_end(reader->ctx, PIXI_E_NOMEM, reader->from);
        return;
    }
    to = job->bytes;
    job->base.kind = PIXI_JOB_READS;
    job->read.reader = reader;
    job->read.is_of_last = is_of_last;
    job->read.read = (struct pixi_log_read){
        .filter = copy(&to, filter),
        .from = reader->from,
        .upto = reader->upto < s->head.offset ? reader->upto : s->head.offset,
        .now_ms = reader->now_ms,
        .max_count = reader->max_count,
        .max_bytes = reader->max_bytes,
        .flags = reader->flags,
        .bytes = pixi_buf_init(SIZE_MAX),
    };
    reader->job = job;
    pixi_worker_put(s->worker, &job->base);
}

static void read_history(struct pixi_store *store, struct pixi_store_read *reader)
{
    begin_read(store_of(store), reader, false);
}

static void read_last(struct pixi_store *store, struct pixi_store_read *reader)
{
    begin_read(store_of(store), reader, true);
}

static void cancel(struct pixi_store *store, struct pixi_store_read *reader)
{
    struct job *job = reader->job;

    (void)store;
    if (job)
        job->read.reader = NULL;
    reader->job = NULL;
}

static enum pixi_store_kept kept(struct pixi_store *store, struct pixi_cur filter, uint64_t from)
{
    const struct pixi_sqlite_store *s = store_of(store);
    struct pixi_histories h = pixi_filters_histories(&s->log.filters, pixi_filter_inner(filter));

    for (size_t i = 0; i < h.count; i++)
        if (s->view.history[h.at[i]].trimmed >= from || s->view.history[h.at[i]].gap >= from)
            return PIXI_STORE_GONE;
    return h.is_whole ? PIXI_STORE_WHOLE : PIXI_STORE_KEPT;
}

static uint64_t wanted_from(struct pixi_store *store)
{
    return store_of(store)->view.wanted_trimmed + 1;
}

static struct pixi_position head(struct pixi_store *store)
{
    return store_of(store)->head;
}

/* --- trim, and records --------------------------------------------------------------------------------------- */

static int run_trim(struct pixi_job *base, void *ctx)
{
    struct job *job = job_of(base);

    return pixi_log_trim(ctx, job->trim.now_ms, &job->trim.is_more);
}

static void trim_done(struct pixi_job *base, int err)
{
    struct job *job = job_of(base);
    struct pixi_sqlite_store *s = job->store;

    if (!err && job->trim.is_more) {
        job->trim.is_more = false;
        if (pixi_worker_put(s->worker, base) == PIXI_OK)
            return;
    }
    s->is_trimming = false;
    free_job(job);
}

static void trim(struct pixi_store *store, uint64_t now_ms)
{
    struct pixi_sqlite_store *s = store_of(store);
    struct job *job = s->is_trimming ? NULL : new_job(s, 0, run_trim, trim_done);

    if (s->view.wanted)
        sweep(s, now_ms);
    if (!job)
        return;
    job->trim.now_ms = now_ms;
    s->is_trimming = pixi_worker_put(s->worker, &job->base) == PIXI_OK;
    if (!s->is_trimming)
        free_job(job);
}

/* Both ways: how it stands afterwards is answered. */
static int run_record(struct pixi_job *base, void *ctx)
{
    struct job *job = job_of(base);
    int rc = job->record.is_put ? pixi_log_put(ctx, &job->record.record, &job->record.err) : SQLITE_OK;

    if (rc == SQLITE_OK)
        rc = pixi_log_get(ctx, job->record.record.key, &job->record.value, &job->record.record.version);
    return rc == SQLITE_OK && job->record.value.err ? SQLITE_NOMEM : rc;
}

static void record_done(struct pixi_job *base, int err)
{
    struct job *job = job_of(base);
    struct pixi_record is = {.key = job->record.record.key};

    if (!err) {
        err = job->record.err;
        is.value = pixi_buf_cur(&job->record.value);
        is.version = job->record.record.version;
    }
    job->record.answer.on_record(job->record.answer.ctx, err, &is);
    pixi_buf_clear(&job->record.value);
    free_job(job);
}

static void begin_record(struct pixi_sqlite_store *s, const struct pixi_record *record, bool is_put,
                         struct pixi_record_answer answer)
{
    struct job *job =
        new_job(s, pixi_cur_left(&record->key) + pixi_cur_left(&record->value), run_record, record_done);
    uint8_t *to;
    int rc = job ? PIXI_OK : PIXI_E_NOMEM;

    if (job) {
        to = job->bytes;
        job->record.record =
            (struct pixi_record){copy(&to, record->key), copy(&to, record->value), record->version};
        job->record.answer = answer;
        job->record.value = pixi_buf_init(PIXI_RECORD_MAX);
        job->record.is_put = is_put;
        rc = pixi_worker_put(s->worker, &job->base);
    }
    if (rc == PIXI_OK)
        return;
    if (job)
        free_job(job);
    answer.on_record(answer.ctx, rc == PIXI_E_LIMIT ? PIXI_E_STORAGE : rc,
                     &(struct pixi_record){.key = record->key});
}

static void get(struct pixi_store *store, struct pixi_cur key, struct pixi_record_answer answer)
{
    begin_record(store_of(store), &(struct pixi_record){.key = key}, false, answer);
}

static void put(struct pixi_store *store, const struct pixi_record *record, struct pixi_record_answer answer)
{
    begin_record(store_of(store), record, true, answer);
}

static int run_list(struct pixi_job *base, void *ctx)
{
    struct job *job = job_of(base);

    return pixi_log_list(ctx, job->list.prefix, &job->list.bytes);
}

static void list_done(struct pixi_job *base, int err)
{
    struct job *job = job_of(base);
    struct pixi_cur bytes = pixi_buf_cur(&job->list.bytes);
    struct pixi_record record;

    while (!err && pixi_log_next_record(&bytes, &record))
        job->list.answer.on_record(job->list.answer.ctx, PIXI_OK, &record);
    job->list.answer.on_record(job->list.answer.ctx, err, NULL);
    pixi_buf_clear(&job->list.bytes);
    free_job(job);
}

static void list(struct pixi_store *store, struct pixi_cur prefix, struct pixi_record_answer answer)
{
    struct pixi_sqlite_store *s = store_of(store);
    struct job *job = new_job(s, pixi_cur_left(&prefix), run_list, list_done);
    uint8_t *to;

    if (!job) {
        answer.on_record(answer.ctx, PIXI_E_NOMEM, NULL);
        return;
    }
    to = job->bytes;
    job->base.kind = PIXI_JOB_READS;
    job->list.answer = answer;
    job->list.prefix = copy(&to, prefix);
    job->list.bytes = pixi_buf_init(SIZE_MAX);
    pixi_worker_put(s->worker, &job->base);
}

const struct pixi_store_calls pixi_sqlite_store_calls = {
    .append = append,
    .read = read_history,
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
