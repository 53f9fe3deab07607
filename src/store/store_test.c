/* What every back end must do: hub/store.h, run with each. */
#include "invariants.h"
#include "store/backend_test.h"

static const struct backend *backend;
static struct pixi_store *store;
static struct {
    int err;
    struct pixi_position pos;
    bool is_delivered;
    uint64_t delivered_offset;
} committed;

static void on_committed(void *ctx, void *token, const struct pixi_commit *commit)
{
    assert_ptr_equal(ctx, &committed);
    assert_ptr_equal(token, &store);
    committed.err = commit->err;
    committed.pos = commit->pos;
    committed.is_delivered = commit->msg;
    committed.delivered_offset = commit->msg ? commit->msg->pos.offset : 0;
}

static int begin(void **state)
{
    struct pixi_policy policies[] = {{pixi_cur_str("a/+/x"), 3, 1000, 0},
                                     {pixi_cur_str("a/#"), 4, 60, 0},
                                     {pixi_cur_str("big/#"), 6000, 1 << 20, 60}};
    struct backend_config config = {policies, 3, 50, 2, 8, 7};

    (void)state;
    assert_int_equal(backend->open(&config, &store), PIXI_OK);
    store->on_committed = on_committed;
    store->ctx = &committed;
    return 0;
}

static int end(void **state)
{
    (void)state;
    backend->close();
    return 0;
}

enum { WANTS = PIXI_STORE_WANTS_POSITION };

/* The offset that is answered, 0 if none, or a negative error. */
static int64_t append(const char *topic, const char *payload, unsigned msg_flags, unsigned flags,
                      uint64_t expires_ms)
{
    struct pixi_msg msg = {.topic = pixi_cur_str(topic),
                           .payload = pixi_cur_str(payload),
                           .time_ms = 1000,
                           .expires_ms = expires_ms,
                           .flags = msg_flags,
                           .key = {.seq = 1}};

    store->call->append(store, &msg, flags, &store);
    backend_settle(backend);
    return committed.err ? committed.err : (int64_t)committed.pos.offset;
}

static char text[8192];
static size_t text_len, refuse_after;

static int on_message(void *ctx, const struct pixi_msg *msg)
{
    (void)ctx;
    assert_int_equal(msg->pos.epoch, 7);
    if (!refuse_after--)
        return PIXI_E_QUEUE;
    text_len +=
        (size_t)snprintf(text + text_len, sizeof text - text_len, "%.*s@%d ", (int)pixi_cur_left(&msg->topic),
                         (const char *)msg->topic.p, (int)msg->pos.offset);
    return PIXI_OK;
}

static void on_end(void *ctx, int err, uint64_t next)
{
    size_t room = sizeof text - text_len;

    (void)ctx;
    if (err)
        snprintf(text + text_len, room, "%s", pixi_err_name(err));
    else
        snprintf(text + text_len, room, "next %d", (int)next);
}

static struct pixi_store_read whole(const char *filter)
{
    return (struct pixi_store_read){.filter = pixi_cur_str(filter),
                                    .from = 1,
                                    .upto = store->call->head(store).offset,
                                    .now_ms = 1000,
                                    .max_count = 1000,
                                    .max_bytes = 1 << 20,
                                    .on_message = on_message,
                                    .on_end = on_end};
}

static const char *done(struct pixi_store_read read,
                        void (*call)(struct pixi_store *, struct pixi_store_read *))
{
    text_len = 0;
    text[0] = 0;
    refuse_after = read.ctx ? 1 : SIZE_MAX;
    call(store, &read);
    backend_settle(backend);
    return text;
}

static void who_gets_a_position(void **state)
{
    (void)state;
    assert_int_equal(store->call->head(store).offset, 0);
    assert_int_equal(append("a/1", "", 0, 0, 0), 1);
    assert_int_equal(committed.delivered_offset, 1);
    assert_int_equal(append("x", "", 0, 0, 0), 0);
    assert_true(committed.is_delivered);
    assert_int_equal(append("x", "", 0, WANTS, 0), 2);
    assert_int_equal(committed.delivered_offset, 0); /* kept nowhere */
    assert_int_equal(append("x", "1", PIXI_MSG_RETAIN, 0, 0), 3);
    assert_int_equal(committed.delivered_offset, 3);
    assert_int_equal(append("x", "", PIXI_MSG_KEY, 0, 0), 4);
    assert_int_equal(append("x", "", PIXI_MSG_KEY, WANTS, 0), 4);
    assert_false(committed.is_delivered);
    assert_int_equal(append("x", "other", PIXI_MSG_KEY, WANTS, 0), PIXI_E_KEY_REUSED);
    assert_int_equal(store->call->head(store).offset, 4);
    assert_int_equal(store->call->head(store).epoch, 7);
}

static void storage_is_full(void **state)
{
    char big[70], topic[16];

    (void)state;
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    assert_int_equal(append("a/1", big, 0, WANTS, 0), PIXI_E_STORAGE); /* larger than its ring */
    assert_false(committed.is_delivered);
    assert_int_equal(append("a/1/x", big, 0, WANTS, 0), 1);
    for (int i = 0; i < 50; i++) {
        snprintf(topic, sizeof topic, "x/%d", i);
        assert_true(append(topic, "1", PIXI_MSG_RETAIN, 0, 0) > 0);
    }
    assert_int_equal(append("x/50", "1", PIXI_MSG_RETAIN, 0, 0), PIXI_E_STORAGE);
    assert_int_equal(store->call->head(store).offset, 51);
    assert_int_equal(backend->stats().retained, 50);
    assert_int_equal(backend->stats().messages, 51);
}

static void merged_in_order(void **state)
{
    struct pixi_store_read read;

    (void)state;
    append("a/1", "", 0, 0, 0);
    append("a/1/x", "", 0, 0, 0);
    append("big/1", "", 0, 0, 0);
    append("x", "1", PIXI_MSG_RETAIN, 0, 0);
    append("a/2/x", "", 0, 0, 1001);
    append("a/2", "", 0, 0, 0);
    read = whole("#");
    assert_string_equal(done(read, store->call->read), "a/1@1 a/1/x@2 big/1@3 x@4 a/2/x@5 a/2@6 next 7");
    read.now_ms = 1001;
    assert_string_equal(done(read, store->call->read), "a/1@1 a/1/x@2 big/1@3 x@4 a/2@6 next 7");
    read.from = 3;
    read.upto = 4;
    assert_string_equal(done(read, store->call->read), "big/1@3 x@4 next 5");
    read = whole("a/+");
    assert_string_equal(done(read, store->call->read), "a/1@1 a/2@6 next 7");
    read.max_count = 1;
    assert_string_equal(done(read, store->call->read), "a/1@1 next 6"); /* nothing between can match */
    read.max_count = 9;
    read.max_bytes = 1;
    assert_string_equal(done(read, store->call->read), "a/1@1 next 6");
    read = whole("#");
    read.ctx = &read; /* the second is refused */
    assert_string_equal(done(read, store->call->read), "a/1@1 next 2");
    assert_string_equal(done(whole("$share/g/x"), store->call->read), "x@4 next 7");
}

static void kept_or_gone(void **state)
{
    struct pixi_store_read read;

    (void)state;
    assert_int_equal(store->call->kept(store, pixi_cur_str("a/#"), 1), PIXI_STORE_WHOLE);
    assert_int_equal(store->call->kept(store, pixi_cur_str("#"), 1), PIXI_STORE_KEPT);
    assert_int_equal(store->call->kept(store, pixi_cur_str("x"), 1), PIXI_STORE_KEPT);
    for (int i = 0; i < 5; i++)
        append("a/1/x", "", 0, 0, 0); /* 1 and 2 are trimmed */
    assert_int_equal(store->call->kept(store, pixi_cur_str("a/#"), 2), PIXI_STORE_GONE);
    assert_int_equal(store->call->kept(store, pixi_cur_str("a/#"), 3), PIXI_STORE_WHOLE);
    assert_int_equal(store->call->kept(store, pixi_cur_str("a/+"), 1),
                     PIXI_STORE_WHOLE); /* no such match went */
    assert_int_equal(store->call->kept(store, pixi_cur_str("big/#"), 1), PIXI_STORE_WHOLE);
    assert_string_equal(done(whole("#"), store->call->read), "HISTORY");
    read = whole("#");
    read.flags = PIXI_STORE_SKIP_GAPS;
    assert_string_equal(done(read, store->call->read), "a/1/x@3 a/1/x@4 a/1/x@5 next 6");
    append("big/1", "", 0, 0, 0);
    store->call->trim(store, 61000); /* 60 s */
    backend_settle(backend);
    assert_int_equal(store->call->kept(store, pixi_cur_str("big/#"), 6), PIXI_STORE_GONE);
    assert_int_equal(store->call->kept(store, pixi_cur_str("big/#"), 7), PIXI_STORE_WHOLE);
}

static void last_in_pieces(void **state)
{
    struct pixi_store_read read;

    (void)state;
    append("r/1", "1", PIXI_MSG_RETAIN, 0, 0);
    append("r/2", "1", PIXI_MSG_RETAIN, 0, 1001);
    append("a/3", "1", PIXI_MSG_RETAIN, 0, 0);
    append("r/1", "2", PIXI_MSG_RETAIN, 0, 0);
    assert_string_equal(done(whole("#"), store->call->last), "r/2@2 a/3@3 r/1@4 next 5");
    read = whole("r/+");
    read.max_count = 1;
    assert_string_equal(done(read, store->call->last), "r/2@2 next 3");
    read.from = 3;
    assert_string_equal(done(read, store->call->last), "r/1@4 next 5");
    read = whole("#");
    read.upto = 3;
    read.now_ms = 1001;
    assert_string_equal(done(read, store->call->last), "a/3@3 next 4");
    store->call->trim(store, 1001);
    backend_settle(backend);
    assert_int_equal(backend->stats().retained, 2);
    read = whole("#");
    read.ctx = &read;
    assert_string_equal(done(read, store->call->last), "a/3@3 next 4");
}

/* A rare filter in a long history: each read ends in bounded time and gets on. */
static void long_history(void **state)
{
    struct pixi_store_read read;
    unsigned reads = 0;

    (void)state;
    for (int i = 0; i < 6000; i++)
        append("big/frequent", "", 0, 0, 0);
    append("big/rare", "", 0, 0, 0);
    read = whole("big/rare");
    read.flags = PIXI_STORE_SKIP_GAPS;
    while (!strstr(done(read, store->call->read), "rare")) {
        read.from = strtoul(text + strlen("next "), NULL, 10);
        reads++;
    }
    assert_string_equal(text, "big/rare@6001 next 6002");
    assert_int_equal(reads, 1);
}

static int keyed_after(uint8_t producer, uint64_t seq, uint64_t low, uint64_t after, const char *payload,
                       uint64_t time_ms)
{
    struct pixi_msg msg = {.topic = pixi_cur_str("big/x"),
                           .payload = pixi_cur_str(payload),
                           .time_ms = time_ms,
                           .flags = PIXI_MSG_KEY,
                           .key = {.producer = {producer}, .seq = seq, .low = low, .after = after},
                           .key_owner = pixi_cur_str("owner")};

    store->call->append(store, &msg, WANTS, &store);
    backend_settle(backend);
    return committed.err ? committed.err : (int)committed.pos.offset;
}

static int keyed(uint8_t producer, uint64_t seq, uint64_t low, const char *payload, uint64_t time_ms)
{
    return keyed_after(producer, seq, low, 0, payload, time_ms);
}

static void idempotency_keys(void **state)
{
    const uint64_t days_90 = UINT64_C(90) * 24 * 3600 * 1000;

    (void)state;
    assert_int_equal(keyed(1, 5, 1, "a", 1000), 1);
    assert_int_equal(keyed(1, 4, 1, "b", 1000), 2); /* in any order */
    assert_int_equal(keyed(2, 5, 1, "c", 1000), 3); /* another's */
    assert_int_equal(keyed(1, 5, 1, "a", 1000), 1);
    assert_int_equal(keyed(1, 5, 1, "x", 1000), PIXI_E_KEY_REUSED);
    assert_int_equal(keyed(1, 6, 7, "x", 1000), PIXI_E_RPC_PARAMS);
    assert_int_equal(keyed(1, 9, 5, "d", 1000), 4); /* forgets 4 */
    assert_int_equal(keyed(1, 4, 1, "b", 1000), PIXI_E_RPC_PARAMS);
    assert_int_equal(keyed(1, 5, 1, "a", 1000), 1); /* 5 stands */
    assert_int_equal(backend->stats().producers, 2);
    assert_int_equal(backend->stats().seqs, 3);
    assert_int_equal(keyed(2, 6, 1, "e", 2000), 5);
    store->call->trim(store, 1000 + days_90); /* the first was idle for so long, the second not quite */
    backend_settle(backend);
    assert_int_equal(backend->stats().producers, 1);
    assert_int_equal(backend->stats().seqs, 2);
    assert_int_equal(keyed(3, 1, 1, "f", 2000 + days_90), 6); /* and now the second */
    assert_int_equal(backend->stats().producers, 1);
    assert_int_equal(backend->stats().seqs, 1);
}

/* Each names the one before it: what follows one that was put off is put off, too, until that one has come. */
static void order_by_keys(void **state)
{
    const uint64_t days_91 = UINT64_C(91) * 24 * 3600 * 1000;

    (void)state;
    assert_int_equal(keyed(1, 1, 1, "a", 1000), 1);
    assert_int_equal(keyed_after(1, 3, 1, 2, "c", 1000),
                     PIXI_E_AFTER); /* 2 was put off before it came here */
    assert_int_equal(keyed_after(1, 4, 3, 3, "d", 1000), PIXI_E_AFTER);
    assert_int_equal(keyed_after(1, 2, 1, 1, "b", 1000), 2); /* the low of 4 counted for nothing */
    assert_int_equal(keyed_after(1, 3, 1, 2, "c", 1000), 3);
    assert_int_equal(keyed_after(1, 3, 1, 99, "c", 1000), 3); /* is there: whatever it went after */
    assert_int_equal(keyed_after(1, 6, 3, 2, "f", 1000), 4);  /* 5 was refused; 2 is in front of the low */
    assert_int_equal(keyed_after(1, 7, 7, 5, "g", 1000), PIXI_E_AFTER);
    assert_int_equal(keyed_after(1, 7, 7, 6, "g", 1000), 5);
    assert_int_equal(keyed_after(1, 8, 7, 5, "h", 1000), 6); /* 5 is in front of the low before this one */
    assert_int_equal(keyed_after(2, 8, 8, 7, "x", 1000), PIXI_E_AFTER); /* another producer, not known */
    assert_int_equal(keyed_after(2, 8, 8, 7, "x", 1000), PIXI_E_AFTER); /* nor by that */
    assert_int_equal(backend->stats().producers, 1);
    store->call->trim(store, days_91);
    backend_settle(backend);
    assert_int_equal(keyed_after(1, 9, 8, 8, "i", days_91), PIXI_E_AFTER); /* forgotten */
    assert_int_equal(keyed(1, 9, 8, "i", days_91), 7);
}

static struct {
    int err;
    uint64_t version;
    char value[32];
} answered;

static void on_record(void *ctx, int err, const struct pixi_record *record)
{
    size_t len = pixi_cur_left(&record->value);

    assert_ptr_equal(ctx, &answered);
    answered.err = err;
    answered.version = record->version;
    if (len)
        memcpy(answered.value, record->value.p, len);
    answered.value[len] = 0;
}

static const struct pixi_record_answer answer = {on_record, &answered};

static int put(const char *key, const char *value, uint64_t version)
{
    struct pixi_record record = {pixi_cur_str(key), pixi_cur_str(value), version};

    store->call->put(store, &record, answer);
    backend_settle(backend);
    return answered.err;
}

static void records(void **state)
{
    static char huge[PIXI_RECORD_MAX + 2];
    uint64_t version;

    (void)state;
    store->call->get(store, pixi_cur_str("a"), answer);
    backend_settle(backend);
    assert_int_equal(answered.version, 0);
    assert_int_equal(put("a", "1", 0), PIXI_OK);
    version = answered.version;
    assert_true(version != 0);
    assert_int_equal(put("a", "2", 0), PIXI_E_KEY_REUSED);
    assert_string_equal(answered.value, "1"); /* as it stands */
    assert_int_equal(put("a", "2", version), PIXI_OK);
    assert_int_equal(put("a", "3", version), PIXI_E_KEY_REUSED);
    assert_int_equal(put("a", "3", PIXI_RECORD_ANY), PIXI_OK);
    assert_int_equal(put("b", "1", 0), PIXI_OK);
    assert_int_equal(put("c", "1", 0), PIXI_E_STORAGE);
    assert_int_equal(put("b", "", PIXI_RECORD_ANY), PIXI_OK); /* removes */
    assert_int_equal(answered.version, 0);
    assert_int_equal(put("c", "1", 0), PIXI_OK);
    memset(huge, 'x', sizeof huge - 1);
    assert_int_equal(put("c", huge, PIXI_RECORD_ANY), PIXI_E_STORAGE);
    store->call->get(store, pixi_cur_str("a"), answer);
    backend_settle(backend);
    assert_string_equal(answered.value, "3");
}

static uint64_t wanted_upto;

/* The first so many are wanted. */
static bool is_wanted(void *ctx, const struct pixi_msg *msg)
{
    assert_ptr_equal(ctx, &committed);
    assert_true(pixi_cur_equals(msg->topic, pixi_cur_str("w")));
    return msg->pos.offset <= wanted_upto;
}

static const char *for_sessions(uint64_t from, unsigned flags)
{
    struct pixi_store_read read = whole("#");

    read.from = from;
    read.flags = PIXI_STORE_FOR_SESSIONS | flags;
    return done(read, store->call->read);
}

static void what_sessions_want(void **state)
{
    (void)state;
    store->is_wanted = is_wanted;
    wanted_upto = 2;
    assert_int_equal(append("w", "0", 0, 0, 0), 0); /* nothing keeps it */
    for (int i = 1; i <= 8; i++)
        assert_int_equal(append("w", "123", PIXI_MSG_QOS1, PIXI_STORE_WANTED, 0), i);
    assert_string_equal(for_sessions(1, 0), "w@1 w@2 w@3 w@4 w@5 w@6 w@7 w@8 next 9");
    assert_string_equal(done(whole("#"), store->call->read), "w@1 w@2 w@3 w@4 w@5 w@6 w@7 w@8 next 9");
    append("w", "123", PIXI_MSG_QOS1, PIXI_STORE_WANTED, 0); /* no room: those that nobody wants go */
    assert_int_equal(store->call->wanted_from(store), 1);
    assert_true(strstr(for_sessions(1, 0), "w@1 w@2 "));
    wanted_upto = 1000;
    for (int i = 0; i < 30; i++)
        append("w", "123", PIXI_MSG_QOS1, PIXI_STORE_WANTED, 0);
    assert_in_range(store->call->wanted_from(store), 20, 39);
    assert_true(strstr(for_sessions(1, 0), "HISTORY")); /* the oldest went, wanted or not */
    assert_true(strstr(for_sessions(store->call->wanted_from(store), 0), "w@39 next 40"));
    assert_true(strstr(for_sessions(1, PIXI_STORE_SKIP_GAPS), "w@39 next 40"));
}

static char listed[200];

static void on_listed(void *ctx, int err, const struct pixi_record *record)
{
    size_t len = strlen(listed);

    (void)ctx;
    if (record)
        snprintf(listed + len, sizeof listed - len, "%.*s=%.*s ", (int)pixi_cur_left(&record->key),
                 (const char *)record->key.p, (int)pixi_cur_left(&record->value),
                 (const char *)record->value.p);
    else
        snprintf(listed + len, sizeof listed - len, "%d", err);
}

static const char *list(const char *prefix)
{
    listed[0] = 0;
    store->call->list(store, pixi_cur_str(prefix), (struct pixi_record_answer){on_listed, NULL});
    backend_settle(backend);
    return listed;
}

static void records_by_prefix(void **state)
{
    (void)state;
    assert_string_equal(list("m/"), "0");
    put("m/a", "1", 0);
    put("n/a", "2", 0);
    assert_string_equal(list("m/"), "m/a=1 0");
    assert_string_equal(list("m/a"), "m/a=1 0");
    assert_string_equal(list("m/a/"), "0");
    assert_string_equal(list("x"), "0");
    assert_int_equal(strlen(list("")), strlen("m/a=1 n/a=2 0"));
}

static int run(const struct backend *which)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_gets_a_position, begin, end),
        cmocka_unit_test_setup_teardown(storage_is_full, begin, end),
        cmocka_unit_test_setup_teardown(merged_in_order, begin, end),
        cmocka_unit_test_setup_teardown(kept_or_gone, begin, end),
        cmocka_unit_test_setup_teardown(last_in_pieces, begin, end),
        cmocka_unit_test_setup_teardown(long_history, begin, end),
        cmocka_unit_test_setup_teardown(idempotency_keys, begin, end),
        cmocka_unit_test_setup_teardown(order_by_keys, begin, end),
        cmocka_unit_test_setup_teardown(records, begin, end),
        cmocka_unit_test_setup_teardown(what_sessions_want, begin, end),
        cmocka_unit_test_setup_teardown(records_by_prefix, begin, end),
    };

    backend = which;
    return cmocka_run_group_tests_name(which->name, tests, NULL, NULL);
}

int main(void)
{
    int failed = 0;

    for (size_t i = 0; i < BACKENDS; i++)
        failed += run(&backends[i]);
    return failed;
}
