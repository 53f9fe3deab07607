/* disk_test.h -- for tests: a store on the disk of fault_test.h, messages sent to it, and what must be found of them.
 * Include invariants.h before it. */
#ifndef PIXI_STORE_DISK_TEST_H
#define PIXI_STORE_DISK_TEST_H

#include "store/backend_test.h"

enum { SENT_MAX = 8192 };

/* Every message that was sent: its payload begins with its number here; the rest is zeros. */
static struct sent {
    char topic[16];
    size_t len;
    uint64_t seq; /* its key's; 0: none */
    bool is_retained, is_removal;
    int err;         /* as answered; PIXI_MORE: not yet */
    uint64_t offset; /* as answered */
    unsigned copies; /* found in the history */
} sent[SENT_MAX];
static unsigned sent_count;
static unsigned seed;
static size_t payload_len; /* of those that are sent from here on; at least that of a number */
static unsigned send_flags, read_flags;

static struct pixi_sqlite_store *disk;
static struct pixi_store *store;
static struct pixi_buf problem;
static struct pixi_sqlite_store_config config;
static struct pixi_policy policies[PIXI_POLICIES_MAX];
static uint64_t last_epoch = 100;

static inline unsigned random_below(unsigned n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static inline void on_committed(void *ctx, void *token, const struct pixi_commit *commit)
{
    struct sent *s = token;

    (void)ctx;
    assert_int_equal(s->err, PIXI_MORE);
    s->err = commit->err;
    s->offset = commit->pos.offset;
}

static inline void settle(void)
{
    while (pixi_sqlite_store_turn(disk))
        ;
}

/* The result of opening what is in the folder. */
static inline int try_open(void)
{
    int rc;

    pixi_buf_reset(&problem);
    config.new_epoch = ++last_epoch;
    rc = pixi_sqlite_store_new(&config, &disk, &problem);
    if (rc == PIXI_OK) {
        store = pixi_sqlite_store_store(disk);
        store->on_committed = on_committed;
    }
    return rc;
}

static inline void reopen(void)
{
    int rc = try_open();

    if (rc != PIXI_OK)
        fail_msg("seed %u: %s: %.*s", seed, pixi_err_name(rc), (int)problem.len, (const char *)problem.bytes);
}

static inline void stop(void)
{
    pixi_sqlite_store_stop(disk);
    pixi_sqlite_store_free(disk);
    disk = NULL;
}

/* The power goes, and comes again. */
static inline void cut_power(unsigned how)
{
    fault.is_dead = true;
    stop();
    fault_power_cut(how);
}

static inline int begin(void **state)
{
    (void)state;
    fault_begin();
    backend_make_folder();
    policies[0] = (struct pixi_policy){pixi_cur_str("#"), SENT_MAX, 1 << 20, 0};
    config =
        backend_sqlite_config(&(struct backend_config){.policies = policies, .policy_count = 1, .epoch = 1});
    problem = pixi_buf_init(4096);
    memset(sent, 0, sizeof sent);
    sent_count = 0;
    payload_len = sizeof sent_count;
    send_flags = PIXI_STORE_WANTS_POSITION;
    read_flags = PIXI_STORE_SKIP_GAPS;
    reopen();
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    if (disk)
        stop();
    pixi_buf_clear(&problem);
    backend_remove_folder();
    fault_begin();
    return 0;
}

static inline void send(struct sent *s)
{
    static uint8_t payload[4096];
    unsigned number = (unsigned)(s - sent);
    struct pixi_msg msg = {.topic = pixi_cur_str(s->topic),
                           .time_ms = 1000,
                           .flags = (s->is_retained ? PIXI_MSG_RETAIN : 0u) | (s->seq ? PIXI_MSG_KEY : 0u),
                           .key = {.seq = s->seq, .low = 1}};

    memcpy(payload, &number, sizeof number);
    if (!s->is_removal)
        msg.payload = pixi_cur_init(payload, s->len);
    s->err = PIXI_MORE;
    store->call->append(store, &msg, send_flags, s);
}

static inline struct sent *send_new(const char *topic, unsigned flags)
{
    struct sent *s = &sent[sent_count++];

    assert_true(sent_count < SENT_MAX);
    *s = (struct sent){.len = payload_len,
                       .seq = flags & PIXI_MSG_KEY ? sent_count : 0,
                       .is_retained = flags & PIXI_MSG_RETAIN};
    strcpy(s->topic, topic);
    send(s);
    return s;
}

static inline struct sent *send_any(void)
{
    char topic[16];

    snprintf(topic, sizeof topic, "t/%u", random_below(8));
    return send_new(topic, (random_below(2) ? PIXI_MSG_RETAIN : 0u) | (random_below(2) ? PIXI_MSG_KEY : 0u));
}

static inline int send_one(const char *topic, unsigned flags)
{
    struct sent *s = send_new(topic, flags);

    settle();
    return s->err;
}

/* --- reading ------------------------------------------------------------------------------------------------- */

static char text[65536];
static uint64_t last_read;
static uint64_t read_next;
static int read_err;
static unsigned read_count;

static inline int on_message(void *ctx, const struct pixi_msg *msg)
{
    unsigned number;
    struct sent *s;

    (void)ctx;
    assert_true(msg->pos.offset > last_read);
    last_read = msg->pos.offset;
    assert_true(pixi_cur_left(&msg->payload) >= sizeof number);
    memcpy(&number, msg->payload.p, sizeof number);
    assert_true(number < sent_count);
    s = &sent[number];
    assert_true(pixi_cur_equals(msg->topic, pixi_cur_str(s->topic)));
    assert_int_equal(pixi_cur_left(&msg->payload), s->len);
    if (s->err == PIXI_OK && msg->pos.offset != s->offset)
        fail_msg("seed %u: message %u has offset %d, was told %d", seed, number, (int)msg->pos.offset,
                 (int)s->offset);
    s->copies++;
    read_count++;
    if (strlen(text) < sizeof text - 32)
        snprintf(text + strlen(text), 32, "%s@%d ", s->topic, (int)msg->pos.offset);
    return PIXI_OK;
}

static inline void on_end(void *ctx, int err, uint64_t next)
{
    (void)ctx;
    read_err = err;
    read_next = next;
}

static inline const char *read_all(const char *filter,
                                   void (*call)(struct pixi_store *, struct pixi_store_read *))
{
    struct pixi_store_read read = {.filter = pixi_cur_str(filter),
                                   .from = 1,
                                   .upto = store->call->head(store).offset,
                                   .now_ms = 1000,
                                   .max_count = 100,
                                   .max_bytes = 1 << 20,
                                   .flags = read_flags,
                                   .on_message = on_message,
                                   .on_end = on_end};

    text[0] = 0;
    last_read = read_count = 0;
    read_err = PIXI_OK;
    for (; read.upto && read.from <= read.upto && read_err == PIXI_OK; read.from = read_next) {
        call(store, &read);
        settle();
    }
    return text;
}

static inline const char *history(const char *filter)
{
    for (unsigned i = 0; i < sent_count; i++)
        sent[i].copies = 0;
    return read_all(filter, store->call->read);
}

/* Everything that was answered is there, once, where it was said to be. */
static inline void nothing_lost(void)
{
    history("#");
    assert_int_equal(read_err, PIXI_OK);
    for (unsigned i = 0; i < sent_count; i++)
        if (sent[i].copies > 1 || (sent[i].err == PIXI_OK && sent[i].copies != 1))
            fail_msg("message %u of %u, '%s', answered %s at %d, is there %u times", i, sent_count,
                     sent[i].topic, pixi_err_name(sent[i].err), (int)sent[i].offset, sent[i].copies);
}

/* The last of each topic is the last that was answered, or one that nobody heard of. */
static inline void last_is_right(void)
{
    const struct sent *last;
    char want[40];

    read_all("#", store->call->last);
    for (unsigned t = 0; t < 8; t++) {
        last = NULL;
        for (unsigned i = 0; i < sent_count; i++)
            if (sent[i].is_retained && sent[i].err == PIXI_OK && sent[i].topic[2] == (char)('0' + t) &&
                (!last || sent[i].offset > last->offset))
                last = &sent[i];
        if (!last)
            continue;
        snprintf(want, sizeof want, "t/%u@", t);
        assert_non_null(strstr(text, want));
        assert_true(strtoul(strstr(text, want) + strlen(want), NULL, 10) >= last->offset);
    }
}

#endif
