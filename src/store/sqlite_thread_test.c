/* The store on disk with its thread, as a server uses it: appends and reads at once, answers when the descriptor is
 * readable. Runs under ThreadSanitizer, too. */
#include "invariants.h"
#include "store/backend_test.h"

#include <poll.h>

enum { MESSAGES = 3000, BEHIND = 200 };

static struct pixi_sqlite_store *disk;
static struct pixi_store *store;
static uint64_t answered, read_next, read_count;
static bool is_reading;

static void on_committed(void *ctx, void *token, const struct pixi_commit *commit)
{
    (void)ctx;
    (void)token;
    assert_int_equal(commit->err, PIXI_OK);
    assert_int_equal(commit->pos.offset, ++answered);
    assert_int_equal(commit->msg->pos.offset, answered);
}

static int on_message(void *ctx, const struct pixi_msg *msg)
{
    (void)ctx;
    assert_int_equal(msg->pos.offset, ++read_count);
    return PIXI_OK;
}

static void on_end(void *ctx, int err, uint64_t next)
{
    (void)ctx;
    assert_int_equal(err, PIXI_OK);
    read_next = next;
    is_reading = false;
}

static void wait_turn(void)
{
    struct pollfd p = {.fd = pixi_sqlite_store_fd(disk), .events = POLLIN};

    assert_int_equal(poll(&p, 1, 20000), 1);
    pixi_sqlite_store_turn(disk);
}

static void send(unsigned number)
{
    char topic[16];
    struct pixi_msg msg = {.payload = pixi_cur_str("payload"),
                           .time_ms = 1000,
                           .flags = PIXI_MSG_RETAIN | PIXI_MSG_KEY,
                           .key = {.seq = number, .low = number > BEHIND ? number - BEHIND : 1}};

    snprintf(topic, sizeof topic, "t/%u", number % 50);
    msg.topic = pixi_cur_str(topic);
    store->call->append(store, &msg, PIXI_STORE_WANTS_POSITION, NULL);
}

static void begin_read(struct pixi_store_read *read)
{
    is_reading = true;
    *read = (struct pixi_store_read){.filter = pixi_cur_str("t/#"),
                                     .from = read_next,
                                     .upto = answered,
                                     .now_ms = 1000,
                                     .max_count = 100,
                                     .max_bytes = 1 << 20,
                                     .on_message = on_message,
                                     .on_end = on_end};
    store->call->read(store, read);
}

static void appends_and_reads(void **state)
{
    struct pixi_policy policy = {pixi_cur_str("#"), MESSAGES, 1 << 20, 0};
    struct pixi_sqlite_store_config config;
    struct pixi_buf problem = pixi_buf_init(4096);
    struct pixi_store_read read;
    struct pixi_sqlite_store_stats stats;
    unsigned sent = 0;

    (void)state;
    backend_make_folder();
    config =
        backend_sqlite_config(&(struct backend_config){.policies = &policy, .policy_count = 1, .epoch = 7});
    config.vfs = NULL;
    config.is_stepped = false;
    assert_int_equal(pixi_sqlite_store_new(&config, &disk, &problem), PIXI_OK);
    store = pixi_sqlite_store_store(disk);
    store->on_committed = on_committed;
    read_next = 1;
    while (answered < MESSAGES || read_count < MESSAGES) {
        while (sent < MESSAGES && sent < answered + BEHIND)
            send(++sent);
        if (!is_reading && read_next <= answered)
            begin_read(&read);
        store->call->trim(store, 1000);
        wait_turn();
    }
    stats = pixi_sqlite_store_stats(disk);
    assert_int_equal(stats.messages, MESSAGES);
    assert_int_equal(stats.retained, 50);
    assert_true(stats.writes >= MESSAGES && stats.commits < stats.writes && stats.failed_commits == 0);
    while (sent < MESSAGES + BEHIND) /* under way when it stops: they are stored */
        send(++sent);
    begin_read(&read);
    store->call->cancel(store, &read);
    pixi_sqlite_store_stop(disk);
    assert_int_equal(answered, MESSAGES + BEHIND);
    assert_int_equal(read_count, MESSAGES);
    pixi_sqlite_store_free(disk);
    pixi_buf_clear(&problem);
    backend_remove_folder();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(appends_and_reads)};

    return cmocka_run_group_tests_name("store/sqlite_thread", tests, NULL, NULL);
}
