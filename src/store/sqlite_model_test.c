/* The store on disk beside a plain list of what it was told: groups of messages, some of which fail, trims, sessions
 * that lose interest, restarts, power cuts and other policies, in any order. After each step it must hold the same. */
#include "invariants.h"
#include "store/backend_test.h"

#include "base/topic.h"

enum { ROUNDS = 60, STEPS = 60, SAID_MAX = 8192, TOPICS = 6, FILTERS = 6, BODY_MAX = 70000 };

static const char *const topics[TOPICS] = {"a/1", "a/2", "b/1", "b/2/x", "c", "$s/1"};
static const char *const filters[FILTERS] = {"#", "a/#", "+/1", "b/#", "c", "$s/+"};

/* Every message that was answered with a position, by rising offset. */
static struct said {
    uint64_t offset, time_ms, expires_ms, origin;
    size_t topic, len, history; /* history PIXI_HISTORIES_MAX: in none */
    unsigned flags, payload;    /* payload: where it begins in `body` */
    bool is_wanted, is_last;
} said[SAID_MAX];
static size_t said_count;

static struct history {
    struct pixi_policy policy;
    uint64_t messages, bytes, trimmed;
} histories[PIXI_HISTORIES_MAX];
static size_t policy_count;

static uint8_t body[BODY_MAX];
static unsigned seed, first_seed;
static uint64_t now_ms, last_epoch;
static unsigned interest;       /* bit t: a session wants what comes to this topic */
static bool has_other_policies; /* since the beginning */
static bool is_large;           /* the group: more than SQLite holds back until the commit */
static struct pixi_sqlite_store *disk;
static struct pixi_store *store;
static struct pixi_sqlite_store_config config;

static unsigned random_below(unsigned n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

/* --- the model ----------------------------------------------------------------------------------------------- */

static size_t size_of(const struct said *m)
{
    return strlen(topics[m->topic]) + m->len;
}

static void leave(struct said *m)
{
    histories[m->history].messages--;
    histories[m->history].bytes -= size_of(m);
    m->history = PIXI_HISTORIES_MAX;
}

static bool is_expired(const struct said *m, uint64_t at_ms)
{
    return m->expires_ms && m->expires_ms <= at_ms;
}

static struct said *oldest_of(size_t h)
{
    for (struct said *m = said; m < said + said_count; m++)
        if (m->history == h)
            return m;
    return NULL;
}

static void make_room(size_t h, uint64_t count, uint64_t bytes, uint64_t at_ms)
{
    struct history *history = &histories[h];
    const struct pixi_policy *p = &history->policy;
    struct said *m;

    while ((m = oldest_of(h))) {
        if (history->messages + count <= p->max_messages && history->bytes + bytes <= p->max_bytes &&
            !is_expired(m, at_ms) && !(p->max_age_s && m->time_ms + p->max_age_s * 1000 <= at_ms))
            return;
        if (!is_expired(m, at_ms))
            history->trimmed = m->offset;
        leave(m);
    }
}

static size_t owner_of(const struct said *m)
{
    for (size_t h = 0; h < policy_count; h++)
        if (pixi_filter_matches(histories[h].policy.filter, pixi_cur_str(topics[m->topic])))
            return h;
    return m->is_wanted || m->flags & PIXI_MSG_RETAIN ? policy_count : PIXI_HISTORIES_MAX;
}

static void count_in(const struct said *m)
{
    if (m->history == PIXI_HISTORIES_MAX)
        return;
    histories[m->history].messages++;
    histories[m->history].bytes += size_of(m);
}

static void on_committed(void *ctx, void *token, const struct pixi_commit *commit)
{
    struct said *m = token;
    size_t h = owner_of(m);

    (void)ctx;
    m->offset = commit->pos.offset;
    if (!commit->err && m->offset) {
        assert_true(said_count < SAID_MAX);
        assert_true(!said_count || m->offset > said[said_count - 1].offset);
        if (m->flags & PIXI_MSG_RETAIN)
            for (size_t i = 0; i < said_count; i++)
                said[i].is_last = said[i].is_last && said[i].topic != m->topic;
        m->is_last = m->flags & PIXI_MSG_RETAIN && m->len;
        if (h != PIXI_HISTORIES_MAX)
            make_room(h, 1, size_of(m), m->time_ms);
        m->history = h;
        count_in(m);
        said[said_count++] = *m;
    }
    free(m);
}

static bool is_wanted(void *ctx, const struct pixi_msg *msg)
{
    (void)ctx;
    for (size_t t = 0; t < TOPICS; t++)
        if (pixi_cur_equals(msg->topic, pixi_cur_str(topics[t])))
            return interest & 1u << t && msg->pos.offset % 7;
    fail_msg("seed %u: asked for a topic that nobody knows", first_seed);
    return false;
}

static void sweep(void)
{
    for (struct said *m = said; m < said + said_count; m++)
        if (is_expired(m, now_ms) || !(interest & 1u << m->topic && m->offset % 7))
            m->is_wanted = false;
}

/* Out of sight: so that a long round stays a short list. */
static void forget(void)
{
    size_t kept = 0;

    for (size_t i = 0; i < said_count; i++)
        if (i + 1 == said_count || said[i].is_wanted || said[i].is_last ||
            said[i].history != PIXI_HISTORIES_MAX)
            said[kept++] = said[i];
    said_count = kept;
}

/* --- the store ----------------------------------------------------------------------------------------------- */

static void settle(void)
{
    while (pixi_sqlite_store_turn(disk))
        ;
}

static int try_open(void)
{
    struct pixi_policy policies[PIXI_POLICIES_MAX];
    struct pixi_buf problem = pixi_buf_init(4096);
    int rc;

    for (size_t h = 0; h < policy_count; h++)
        policies[h] = histories[h].policy;
    config.policies = policies;
    config.policy_count = policy_count;
    config.new_epoch = ++last_epoch;
    rc = pixi_sqlite_store_new(&config, &disk, &problem);
    pixi_buf_clear(&problem);
    if (rc != PIXI_OK)
        return rc;
    store = pixi_sqlite_store_store(disk);
    store->on_committed = on_committed;
    store->is_wanted = is_wanted;
    return PIXI_OK;
}

static void reopen(void)
{
    int rc = try_open();

    if (rc != PIXI_OK)
        fail_msg("seed %u: %s", first_seed, pixi_err_name(rc));
    if (last_epoch > 1)
        assert_int_equal(pixi_sqlite_store_found(disk).how, PIXI_SQLITE_STORE_AS_LEFT);
}

static void stop(void)
{
    pixi_sqlite_store_stop(disk);
    pixi_sqlite_store_free(disk);
    disk = NULL;
}

static size_t any_len(void)
{
    if (is_large && random_below(2))
        return BODY_MAX - random_below(1000);
    switch (random_below(40)) {
    case 0: return BODY_MAX / 2 + random_below(BODY_MAX / 2);
    case 1: return random_below(20000);
    case 2: return 0;
    default: return random_below(600);
    }
}

static void send_any(void)
{
    struct said *m = calloc(1, sizeof *m);
    struct pixi_msg msg;

    assert_non_null(m);
    *m = (struct said){.time_ms = now_ms,
                       .expires_ms = random_below(4) ? 0 : now_ms + 1 + random_below(20000),
                       .origin = random_below(2) ? 0 : random_below(1u << 30) * UINT64_C(0x100000001),
                       .topic = random_below(TOPICS),
                       .len = any_len(),
                       .flags =
                           (random_below(5) ? 0u : PIXI_MSG_RETAIN) | (random_below(2) ? 0u : PIXI_MSG_QOS1),
                       .is_wanted = random_below(2)};
    m->payload = random_below((unsigned)(BODY_MAX - m->len) + 1);
    msg = (struct pixi_msg){.topic = pixi_cur_str(topics[m->topic]),
                            .payload = pixi_cur_init(body + m->payload, m->len),
                            .time_ms = m->time_ms,
                            .expires_ms = m->expires_ms,
                            .origin = m->origin,
                            .flags = m->flags};
    store->call->append(store, &msg, m->is_wanted ? PIXI_STORE_WANTED : 0, m);
}

static struct reading {
    struct said *at; /* not before this one */
    bool (*is_there)(const struct said *m);
    const char *filter;
    unsigned count;
    uint64_t next;
    int err;
} reading;

static bool is_next(const struct said *m)
{
    return reading.is_there(m) && !is_expired(m, now_ms) &&
           pixi_filter_matches(pixi_cur_str(reading.filter), pixi_cur_str(topics[m->topic]));
}

static void step_over(void)
{
    while (reading.at < said + said_count && !is_next(reading.at))
        reading.at++;
}

static int on_message(void *ctx, const struct pixi_msg *msg)
{
    const struct said *m;

    (void)ctx;
    step_over();
    m = reading.at++;
    if (m == said + said_count || msg->pos.offset != m->offset)
        fail_msg("seed %u: '%s': %d came, and %d should", first_seed, reading.filter, (int)msg->pos.offset,
                 m == said + said_count ? 0 : (int)m->offset);
    assert_true(pixi_cur_equals(msg->topic, pixi_cur_str(topics[m->topic])));
    assert_true(pixi_cur_equals(msg->payload, pixi_cur_init(body + m->payload, m->len)));
    assert_true(msg->time_ms == m->time_ms && msg->expires_ms == m->expires_ms && msg->origin == m->origin);
    assert_int_equal(msg->flags & PIXI_MSG_KEPT, m->flags);
    return PIXI_OK;
}

static void on_end(void *ctx, int err, uint64_t next)
{
    (void)ctx;
    reading.err = err;
    reading.next = next;
}

static void read_all(bool (*is_there)(const struct said *), const char *filter, unsigned flags,
                     void (*call)(struct pixi_store *, struct pixi_store_read *))
{
    struct pixi_store_read read = {.filter = pixi_cur_str(filter),
                                   .from = 1,
                                   .upto = store->call->head(store).offset,
                                   .now_ms = now_ms,
                                   .max_count = 1 + random_below(300),
                                   .max_bytes = 1 + random_below(100000),
                                   .flags = PIXI_STORE_SKIP_GAPS | flags,
                                   .on_message = on_message,
                                   .on_end = on_end};

    reading = (struct reading){.at = said, .is_there = is_there, .filter = filter};
    while (read.from <= read.upto) {
        call(store, &read);
        settle();
        if (reading.err != PIXI_OK)
            fail_msg("seed %u: '%s' from %d: %s", first_seed, filter, (int)read.from,
                     pixi_err_name(reading.err));
        assert_true(reading.next > read.from);
        read.from = reading.next;
    }
    step_over();
    if (reading.at != said + said_count)
        fail_msg("seed %u: '%s': %d did not come", first_seed, filter, (int)reading.at->offset);
}

static bool is_in_history(const struct said *m)
{
    return m->history != PIXI_HISTORIES_MAX;
}

static bool is_kept_for_sessions(const struct said *m)
{
    return m->is_wanted;
}

static bool is_last(const struct said *m)
{
    return m->is_last;
}

static void check_counts(void)
{
    struct pixi_sqlite_store_stats is = pixi_sqlite_store_stats(disk), want = {0};

    for (const struct said *m = said; m < said + said_count; m++) {
        want.messages += is_in_history(m);
        want.bytes += is_in_history(m) ? size_of(m) : 0;
        want.retained += m->is_last;
        want.retained_bytes += m->is_last ? size_of(m) + PIXI_SQLITE_STORE_EACH : 0;
        want.wanted += m->is_wanted;
        want.wanted_bytes += m->is_wanted ? size_of(m) : 0;
    }
    if (is.messages != want.messages || is.bytes != want.bytes || is.retained != want.retained ||
        is.retained_bytes != want.retained_bytes || is.wanted != want.wanted ||
        is.wanted_bytes != want.wanted_bytes)
        fail_msg("seed %u: %d messages of %d bytes, %d retained, %d wanted of %d: not %d, %d, %d, %d, %d",
                 first_seed, (int)is.messages, (int)is.bytes, (int)is.retained, (int)is.wanted,
                 (int)is.wanted_bytes, (int)want.messages, (int)want.bytes, (int)want.retained,
                 (int)want.wanted, (int)want.wanted_bytes);
}

static void check_same(void)
{
    const char *filter = filters[random_below(FILTERS)];

    read_all(is_in_history, "#", 0, store->call->read);
    read_all(is_in_history, filter, 0, store->call->read);
    read_all(is_kept_for_sessions, "#", PIXI_STORE_FOR_SESSIONS, store->call->read);
    read_all(is_kept_for_sessions, filter, PIXI_STORE_FOR_SESSIONS, store->call->read);
    read_all(is_last, filter, 0, store->call->last);
    check_counts();
    for (size_t h = 0; h < policy_count && !has_other_policies; h++) {
        uint64_t from = histories[h].trimmed;

        if (from)
            assert_int_equal(store->call->kept(store, histories[h].policy.filter, from), PIXI_STORE_GONE);
    }
    /* nothing is in the file that nobody can have of it */
    assert_int_equal(
        backend_ask_file("SELECT count(*) FROM segment s WHERE NOT EXISTS (SELECT 1 FROM pinned p"
                         " WHERE p.id = s.id) AND s.last <= coalesce((SELECT dropped FROM history h"
                         " WHERE h.id = s.id >> 57), s.last)"),
        0);
    assert_int_equal(backend_ask_file("SELECT count(*) FROM pinned WHERE id NOT IN (SELECT id FROM segment)"),
                     0);
}

/* --- steps --------------------------------------------------------------------------------------------------- */

static void choose_policies(void)
{
    policy_count = random_below(4);
    for (size_t h = 0; h < policy_count; h++)
        histories[h].policy =
            (struct pixi_policy){pixi_cur_str(filters[random_below(FILTERS)]), 1 + random_below(200),
                                 1 + random_below(300000), random_below(2) ? 0 : 1 + random_below(9)};
    histories[policy_count].policy = pixi_policy_extra;
}

/* In some rounds there is room for few: then the oldest go, which the list is told afterwards. */
static bool is_tight(void)
{
    return config.wanted_messages < SAID_MAX;
}

static bool is_read[SAID_MAX];

static int on_wanted(void *ctx, const struct pixi_msg *msg)
{
    (void)ctx;
    while (reading.at < said + said_count && reading.at->offset < msg->pos.offset)
        reading.at++;
    assert_true(reading.at < said + said_count && reading.at->offset == msg->pos.offset &&
                reading.at->is_wanted);
    is_read[reading.at - said] = true;
    return PIXI_OK;
}

/* At the limit those that nobody wants go first. From wanted_from on all others are there. */
static void learn_what_is_wanted(void)
{
    struct pixi_store_read read = {.filter = pixi_cur_str("#"),
                                   .upto = store->call->head(store).offset,
                                   .max_count = SAID_MAX,
                                   .max_bytes = SIZE_MAX,
                                   .flags = PIXI_STORE_SKIP_GAPS | PIXI_STORE_FOR_SESSIONS,
                                   .on_message = on_wanted,
                                   .on_end = on_end};

    memset(is_read, 0, sizeof is_read);
    reading = (struct reading){.at = said};
    for (read.from = 1; read.from <= read.upto; read.from = reading.next) {
        store->call->read(store, &read);
        settle();
        assert_int_equal(reading.err, PIXI_OK);
    }
    read.filter = pixi_cur_str("$s/#"); /* which '#' is not for */
    for (read.from = 1, reading.at = said; read.from <= read.upto; read.from = reading.next) {
        store->call->read(store, &read);
        settle();
        assert_int_equal(reading.err, PIXI_OK);
    }
    for (struct said *m = said; m < said + said_count; m++) {
        bool is_due = m->is_wanted && interest & 1u << m->topic && m->offset % 7 && !is_expired(m, now_ms);

        if (is_due && m->offset >= store->call->wanted_from(store) && !is_read[m - said])
            fail_msg("seed %u: %d was still wanted", first_seed, (int)m->offset);
        m->is_wanted = is_read[m - said];
    }
    assert_true(pixi_sqlite_store_stats(disk).wanted <= config.wanted_messages);
}

static void send_group(void)
{
    bool fails = !random_below(8);

    is_large = !random_below(12);
    if (fails) {
        fault.fail_write = fault.writes + 1 + random_below(6);
        fault.is_torn = random_below(2);
    }
    for (unsigned n = 1 + random_below(random_below(3) ? 8 : 60); n; n--)
        send_any();
    settle();
    fault.fail_write = 0;
    is_large = false;
}

static void trim(void)
{
    store->call->trim(store, now_ms);
    settle();
    for (size_t h = 0; h <= policy_count; h++)
        make_room(h, 0, 0, now_ms);
    for (struct said *m = said; m < said + said_count; m++)
        m->is_last = m->is_last && !is_expired(m, now_ms);
    sweep();
}

static void cut_power(void)
{
    for (unsigned n = random_below(4); n; n--)
        send_any();
    fault.is_dead = true;
    stop();
    fault_power_cut(random_below(3) ? seed : 0);
    reopen();
}

/* Those that are in a history go to the one that has them now. It may take more than one start. */
static void change_policies(void)
{
    struct history was[PIXI_HISTORIES_MAX];
    size_t was_count = policy_count;
    bool is_same = true;

    stop();
    memcpy(was, histories, sizeof was);
    memset(histories, 0, sizeof histories);
    choose_policies();
    for (size_t h = 0; h < policy_count; h++)
        is_same =
            is_same && h < was_count && pixi_cur_equals(was[h].policy.filter, histories[h].policy.filter);
    is_same = is_same && policy_count == was_count;
    has_other_policies = has_other_policies || !is_same;
    for (struct said *m = said; m < said + said_count; m++) {
        if (m->history == PIXI_HISTORIES_MAX)
            continue;
        if (!is_same)
            m->history = owner_of(m); /* those of sessions alone are in none any more */
        count_in(m);
    }
    for (size_t h = 0; is_same && h < PIXI_HISTORIES_MAX; h++)
        histories[h].trimmed = was[h].trimmed;
    if (random_below(3) == 0) {
        fault.fail_write = fault.writes + 1 + random_below(20);
        if (try_open() == PIXI_OK)
            stop();
        fault.fail_write = 0;
    }
    reopen();
}

static void step(void)
{
    switch (random_below(12)) {
    case 0: interest = random_below(1u << TOPICS); break;
    case 1: now_ms += random_below(8000); break;
    case 2:
    case 3: trim(); break;
    case 4:
        stop();
        reopen();
        break;
    case 5: cut_power(); break;
    case 6: change_policies(); break;
    default: send_group();
    }
    if (is_tight())
        learn_what_is_wanted();
}

static void as_it_was_told(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        fault_begin();
        backend_make_folder();
        config = backend_sqlite_config(&(struct backend_config){.epoch = 1});
        config.wanted_messages = round % 4 ? 1 << 20 : 20;
        seed = first_seed = round;
        said_count = 0;
        last_epoch = 0;
        now_ms = 1000;
        interest = random_below(1u << TOPICS);
        has_other_policies = false;
        memset(histories, 0, sizeof histories);
        for (size_t i = 0; i < BODY_MAX; i++)
            body[i] = (uint8_t)random_below(256);
        choose_policies();
        reopen();
        for (unsigned i = 0; i < STEPS; i++) {
            step();
            check_same();
            forget();
        }
        stop();
        backend_remove_folder();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_it_was_told)};

    return cmocka_run_group_tests_name("store/sqlite_model", tests, NULL, NULL);
}
