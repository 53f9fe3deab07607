/* store.c FOLDER -- what the store on disk does: durable messages a second beside a plain file that is appended to and
 * synced in groups of the same size, and how long a start with 1,000,000 messages takes. */
#include "bench.h"

#include "store/sqlite.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LEN = 256, ROUNDS = 5, SECONDS_MS = 700, MANY = 1000000, MANY_WINDOW = 4096, PAGE = 1000 };

static struct pixi_sqlite_store *disk;
static struct pixi_store *store;
static uint64_t answered, read_count;
static uint64_t next_read;
static int is_reading;

static void on_committed(void *ctx, void *token, const struct pixi_commit *commit)
{
    (void)ctx;
    (void)token;
    bench_must(commit->err == PIXI_OK, "append");
    answered++;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void open_store(const char *folder)
{
    static const struct pixi_policy policy = {
        {(const uint8_t *)"#", (const uint8_t *)"#" + 1}, 2 * (uint64_t)MANY, UINT64_C(1) << 40, 0};
    struct pixi_sqlite_store_config config = pixi_sqlite_store_config_default;
    struct pixi_buf problem = pixi_buf_init(4096);

    config.path = folder;
    config.policies = &policy;
    config.policy_count = 1;
    config.new_epoch = 1;
    config.now_ms = 1000;
    if (pixi_sqlite_store_new(&config, &disk, &problem) != PIXI_OK) {
        fprintf(stderr, "%.*s\n", (int)problem.len, (const char *)problem.bytes);
        exit(1);
    }
    pixi_buf_clear(&problem);
    store = pixi_sqlite_store_store(disk);
    store->on_committed = on_committed;
}

static void close_store(void)
{
    pixi_sqlite_store_stop(disk);
    pixi_sqlite_store_free(disk);
}

static void wait_turn(void)
{
    struct pollfd p = {.fd = pixi_sqlite_store_fd(disk), .events = POLLIN};

    bench_must(poll(&p, 1, -1) == 1, "poll");
    pixi_sqlite_store_turn(disk);
}

static void send_one(uint64_t number)
{
    static uint8_t payload[LEN];
    char topic[32];
    struct pixi_msg msg = {.payload = pixi_cur_init(payload, LEN), .time_ms = 1000};

    memcpy(payload, &number, sizeof number);
    snprintf(topic, sizeof topic, "event/tram/%u", (unsigned)(number % 100));
    msg.topic = pixi_cur_str(topic);
    store->call->append(store, &msg, PIXI_STORE_WANTS_POSITION, NULL);
}

/* Messages a second with so many on their way; *group is how many went in a commit. */
static double store_rate(unsigned window, double *group)
{
    struct pixi_sqlite_store_stats was = pixi_sqlite_store_stats(disk), is;
    uint64_t began = bench_ns(), first = answered, sent = answered, ns;

    while ((bench_ns() - began) / 1000000 < SECONDS_MS) {
        while (sent < answered + window)
            send_one(sent++);
        wait_turn();
    }
    ns = bench_ns() - began;
    first = answered - first;
    while (answered < sent)
        wait_turn();
    is = pixi_sqlite_store_stats(disk);
    *group = (double)(is.writes - was.writes) / (double)(is.commits - was.commits);
    return (double)first * 1e9 / (double)ns;
}

/* The same bytes, as one write and fdatasync a group, in this thread. */
static double file_rate(const char *folder, size_t group)
{
    static uint8_t bytes[4096 * (LEN + 48)];
    char path[512];
    uint64_t began, count = 0, ns;
    int fd;

    snprintf(path, sizeof path, "%s.file", folder);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    bench_must(fd >= 0, path);
    began = bench_ns();
    do {
        bench_must(write(fd, bytes, group * (LEN + 48)) == (ssize_t)(group * (LEN + 48)), "write");
        bench_must(fdatasync(fd) == 0, "fdatasync");
        count += group;
        ns = bench_ns() - began;
    } while (ns / 1000000 < SECONDS_MS);
    close(fd);
    unlink(path);
    return (double)count * 1e9 / (double)ns;
}

static void compare(const char *folder, unsigned window)
{
    double ours[ROUNDS], file[ROUNDS], ratio[ROUNDS], groups[ROUNDS];

    for (int r = 0; r < ROUNDS; r++) {
        ours[r] = store_rate(window, &groups[r]);
        file[r] = file_rate(folder, groups[r] < 1 ? 1 : groups[r] > 4096 ? 4096 : (size_t)(groups[r] + 0.5));
        ratio[r] = ours[r] / file[r];
    }
    printf("%8u %12.1f %14.0f %14.0f %8.2f\n", window, bench_median(groups, ROUNDS),
           bench_median(ours, ROUNDS), bench_median(file, ROUNDS), bench_median(ratio, ROUNDS));
}

static int on_message(void *ctx, const struct pixi_msg *msg)
{
    (void)ctx;
    (void)msg;
    read_count++;
    return PIXI_OK;
}

static void on_end(void *ctx, int err, uint64_t next)
{
    (void)ctx;
    bench_must(err == PIXI_OK, "read");
    next_read = next;
    is_reading = 0;
}

/* So many from an offset on, in the pieces that a reader gets; the nanoseconds it took. */
static uint64_t read_from(uint64_t from, uint64_t count)
{
    struct pixi_store_read read = {.filter = pixi_cur_str("#"),
                                   .upto = from + count - 1,
                                   .now_ms = 1000,
                                   .max_count = 256,
                                   .max_bytes = 65536,
                                   .on_message = on_message,
                                   .on_end = on_end};
    uint64_t began = bench_ns();

    read_count = 0;
    for (next_read = from; next_read <= read.upto;) {
        read.from = next_read;
        is_reading = 1;
        store->call->read(store, &read);
        while (is_reading)
            wait_turn();
    }
    bench_must(read_count == count, "history");
    return bench_ns() - began;
}

/* A page costs the same wherever it lies. */
static void read_pages(uint64_t head)
{
    double ms[3][ROUNDS];

    for (int r = 0; r < ROUNDS; r++)
        for (uint64_t i = 0; i < 3; i++)
            ms[i][r] = (double)read_from(1 + (head - PAGE) / 2 * i, PAGE) / 1e6;
    printf("a page of %d: at the start %.2f ms, in the middle %.2f ms, at the end %.2f ms\n", PAGE,
           bench_median(ms[0], ROUNDS), bench_median(ms[1], ROUNDS), bench_median(ms[2], ROUNDS));
}

static double start_ms(const char *folder)
{
    uint64_t began = bench_ns();

    open_store(folder);
    return (double)(bench_ns() - began) / 1e6;
}

/* As a server that was killed leaves it. */
static void make_suspect(const char *folder)
{
    char path[512];
    int fd;

    snprintf(path, sizeof path, "%s/lock", folder);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    bench_must(fd >= 0 && write(fd, "1\n", 2) == 2, path);
    close(fd);
}

static void start_with_many(const char *folder)
{
    uint64_t sent, end;
    double ms;

    open_store(folder);
    sent = answered = store->call->head(store).offset;
    for (end = MANY; answered < end;) {
        while (sent < end && sent < answered + MANY_WINDOW)
            send_one(sent++);
        wait_turn();
    }
    printf("\n%llu messages of %d bytes: %.0f MB on disk\n", (unsigned long long)end, LEN,
           (double)pixi_sqlite_store_stats(disk).file_bytes / 1e6);
    close_store();
    ms = start_ms(folder);
    printf("start                      %8.0f ms, %.0f MiB resident\n", ms,
           (double)bench_resident() / (1 << 20));
    printf("the whole history          %8.0f messages/s\n", (double)end * 1e9 / (double)read_from(1, end));
    read_pages(end);
    close_store();
    make_suspect(folder);
    ms = start_ms(folder);
    printf("start of one that was killed %6.0f ms (looks for damage, a second at most)\n", ms);
    close_store();
}

int main(int argc, char **argv)
{
    static const unsigned windows[] = {1, 20, 100, 1000, 4000};

    if (argc != 2)
        return 2;
    nftw(argv[1], remove_one, 8, FTW_DEPTH | FTW_PHYS);
    open_store(argv[1]);
    printf("%d B a message, each answered when it is on disk; beside it a file, one fdatasync a group\n",
           LEN);
    printf("%8s %12s %14s %14s %8s\n", "window", "group", "store msg/s", "file msg/s", "ratio");
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++)
        compare(argv[1], windows[i]);
    close_store();
    nftw(argv[1], remove_one, 8, FTW_DEPTH | FTW_PHYS); /* how many these were depends on the disk */
    start_with_many(argv[1]);
    nftw(argv[1], remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}
