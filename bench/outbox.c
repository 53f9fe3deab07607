/* outbox.c FOLDER CLIENT -- what the outbox does: durable accepts a second beside a plain file that is appended to and synced
 * in groups of the same size, alone and through the daemon's socket (20 programs); what a start with 1,000,000 messages
 * takes, and one with a damaged file; bytes written for each byte taken. What is promised has its limit beside it: one that
 * is not kept is MISSED, and then the exit code is 1. */
#include "bench.h"

#include "outbox/outbox.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LEN = 256, ROUNDS = 5, ROUND_MS = 700, MANY = 1000000, PROGRAMS = 20, CALLS_MAX = 64, TRIES = 4 };
enum { READY_MS = 500, MEMORY_MIB = 50, DAMAGED_PAGES = 100 };

static bool is_missed;

/* Ends a line of what is promised. */
static void judge(bool is_kept, const char *promise)
{
    is_missed = is_missed || !is_kept;
    printf(": %s%s\n", promise, is_kept ? "" : ": MISSED");
    fflush(stdout);
}

static struct pixi_outbox *box;
static struct pixi_outbox_now now;
static uint64_t answered;
static uint8_t payload[LEN];

static void on_queued(void *ctx, uint64_t from, uint64_t call, uint64_t id, int err)
{
    (void)ctx;
    (void)from;
    (void)call;
    (void)id;
    bench_must(err == PIXI_OK, "put");
    answered++;
}

static void on_gone(void *ctx, uint64_t from, uint64_t id, int err, const char *detail)
{
    (void)ctx;
    (void)from;
    (void)id;
    (void)err;
    (void)detail;
}

static void on_ready(void *ctx)
{
    (void)ctx;
}

static const struct pixi_outbox_calls calls = {on_queued, on_gone, on_ready};

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void clean(const char *folder)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void open_box(const char *folder)
{
    struct pixi_outbox_options o = {.path = folder,
                                    .bytes = UINT64_C(1) << 40,
                                    .late_ms = 60000,
                                    .wall_ms = 1700000000000,
                                    .has_thread = true};
    struct pixi_buf notes = pixi_buf_init(4096);

    if (pixi_outbox_open(&o, &calls, NULL, &box, &notes) != PIXI_OK) {
        fprintf(stderr, "%.*s\n", (int)notes.len, (const char *)notes.bytes);
        exit(1);
    }
    pixi_buf_clear(&notes);
    now.ms = pixi_outbox_start_ms(box);
    now.wall_ms = o.wall_ms;
}

static void put_one(void)
{
    struct pixi_outbox_put p = {.topic = pixi_cur_str("event/bench"),
                                .payload = pixi_cur_init(payload, sizeof payload),
                                .priority = PIXI_OUTBOX_PRIORITY};

    bench_must(pixi_outbox_put(box, &p, now) == PIXI_OK, "put");
}

static void wait_box(void)
{
    struct pollfd p = {.fd = pixi_outbox_fd(box), .events = POLLIN};

    poll(&p, 1, 1000);
    pixi_outbox_take(box, now);
}

static uint64_t written(void)
{
    FILE *f = fopen("/proc/self/io", "re");
    char line[128];
    unsigned long long v = 0;

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "write_bytes: %llu", &v) == 1)
            break;
    if (f)
        fclose(f);
    return v;
}

/* Accepts a second, with so many outstanding, for so long; *group: messages in a commit. */
static double run_box(const char *folder, uint64_t outstanding, uint64_t for_ms, double *group,
                      double *amplification)
{
    uint64_t begun, sent, ns, commits, bytes;
    double rate;

    clean(folder);
    open_box(folder);
    begun = bench_ns();
    answered = sent = 0;
    bytes = written();
    while ((ns = bench_ns() - begun) < for_ms * 1000000) {
        while (sent - answered < outstanding) {
            put_one();
            sent++;
        }
        wait_box();
    }
    rate = (double)answered * 1e9 / (double)ns;
    commits = pixi_outbox_stats(box).commits;
    *group = commits ? (double)answered / (double)commits : 1;
    while (answered < sent)
        wait_box();
    pixi_outbox_close(box);
    *amplification = (double)(written() - bytes) / ((double)sent * LEN);
    return rate;
}

/* The same bytes to the end of a file, synced after so many. */
static double run_file(const char *folder, double group)
{
    uint64_t each = group < 1 ? 1 : (uint64_t)(group + 0.5), count = 0, begun, ns;
    char path[4096];
    uint8_t *bytes = malloc(each * LEN);
    int fd;

    bench_must(bytes != NULL, "malloc");
    memset(bytes, 'x', each * LEN);
    clean(folder);
    bench_must(mkdir(folder, 0700) == 0, "mkdir");
    snprintf(path, sizeof path, "%s/file", folder);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    bench_must(fd >= 0, "open");
    begun = bench_ns();
    while ((ns = bench_ns() - begun) < ROUND_MS * UINT64_C(1000000)) {
        bench_must(write(fd, bytes, each * LEN) == (ssize_t)(each * LEN) && fdatasync(fd) == 0, "write");
        count += each;
    }
    close(fd);
    free(bytes);
    return (double)count * 1e9 / (double)ns;
}

/* How many have to be outstanding for groups of about this size. */
static uint64_t outstanding_for(const char *folder, double group)
{
    double got, amplification, outstanding = group;

    for (int i = 0; i < TRIES; i++) {
        run_box(folder, (uint64_t)outstanding, ROUND_MS / 3, &got, &amplification);
        outstanding *= group / got;
    }
    return (uint64_t)(outstanding + 0.5);
}

/* least: the ratio that is promised; 0: none is. */
static void compare(const char *folder, uint64_t outstanding, double least)
{
    double box_rate[ROUNDS], file_rate[ROUNDS], ratio[ROUNDS], group = 1, all = 0, amplification = 0, median;
    char promise[32];

    for (int i = 0; i < ROUNDS; i++) {
        box_rate[i] = run_box(folder, outstanding, ROUND_MS, &group, &amplification);
        file_rate[i] = run_file(folder, group);
        ratio[i] = box_rate[i] / file_rate[i];
        all += group;
    }
    median = bench_median(ratio, ROUNDS);
    printf("%5llu outstanding, groups of %4.0f, %.1f bytes written for each: outbox %8.0f/s, file %8.0f/s, "
           "ratio %.2f",
           (unsigned long long)outstanding, all / ROUNDS, amplification, bench_median(box_rate, ROUNDS),
           bench_median(file_rate, ROUNDS), median);
    snprintf(promise, sizeof promise, least > 0 ? "at least %.1f" : "no promise", least);
    judge(median >= least, promise);
}

/* --- a backlog --------------------------------------------------------------------------------------------------------- */

static double mib_since(uint64_t before)
{
    return ((double)bench_resident() - (double)before) / (1 << 20);
}

static void fill_backlog(const char *folder)
{
    clean(folder);
    open_box(folder);
    answered = 0;
    for (uint64_t sent = 0; answered < MANY; wait_box())
        for (; sent < MANY && sent - answered < 8192; sent++)
            put_one();
    pixi_outbox_close(box);
}

static void run_backlog(const char *folder)
{
    uint64_t begun, ns, before = bench_resident();
    double ready_ms, mib;

    begun = bench_ns();
    open_box(folder);
    ns = bench_ns() - begun;
    pixi_outbox_linked(box, 1, now);
    while (!pixi_outbox_next(box, now))
        wait_box();
    ready_ms = (double)(bench_ns() - begun) / 1e6;
    mib = mib_since(before);
    printf("%d messages wait: open in %.1f ms, the first to be sent after %.1f ms", MANY, (double)ns / 1e6,
           ready_ms);
    judge(ready_ms < READY_MS, "under 500 ms");
    printf("%d messages wait: %.1f MiB of memory more than without", MANY, mib);
    judge(mib < MEMORY_MIB, "under 50 MiB");
    pixi_outbox_close(box);
}

/* Pages of the file all over it are gone, and the last run came upon one of them. */
static void damage(const char *folder)
{
    uint8_t junk[4096];
    char path[4096];
    struct stat st;
    int fd;

    memset(junk, 0xa5, sizeof junk);
    snprintf(path, sizeof path, "%s/outbox.db", folder);
    fd = open(path, O_RDWR | O_CLOEXEC);
    bench_must(fd >= 0 && fstat(fd, &st) == 0, path);
    for (off_t i = 1; i <= DAMAGED_PAGES; i++)
        bench_must(pwrite(fd, junk, sizeof junk, st.st_size / 4096 * i / (DAMAGED_PAGES + 1) * 4096) ==
                       (ssize_t)sizeof junk,
                   path);
    close(fd);
    snprintf(path, sizeof path, "%s/lock", folder);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    bench_must(fd >= 0 && write(fd, "torn\n", 5) == 5, path);
    close(fd);
}

static void run_salvage(const char *folder)
{
    uint64_t begun, before = bench_resident();
    double ms, saved;

    damage(folder);
    begun = bench_ns();
    open_box(folder);
    ms = (double)(bench_ns() - begun) / 1e6;
    saved = (double)pixi_outbox_stats(box).count;
    printf("%d pages of their file are damaged: %.0f messages salvaged in %.1f s, %.1f MiB of memory more",
           DAMAGED_PAGES, saved, ms / 1e3, mib_since(before));
    judge(saved > 0.95 * MANY && mib_since(before) < MEMORY_MIB, "at least 95 %, under 50 MiB");
    pixi_outbox_close(box);
}

/* --- through the socket ------------------------------------------------------------------------------------------------- */

static pid_t start_daemon(const char *folder, const char *client, const char *socket_path)
{
    char outbox[4096];
    pid_t pid;

    snprintf(outbox, sizeof outbox, "%s/outbox", folder);
    bench_must((pid = fork()) >= 0, "fork");
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        dup2(null, 1);
        dup2(null, 2);
        execl(client, client, "--url", "ws://127.0.0.1:9/", "daemon", "--socket", socket_path, "--outbox",
              outbox, NULL);
        _exit(127);
    }
    return pid;
}

static int join(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    for (int i = 0; i < 1000 && connect(fd, (struct sockaddr *)&un, sizeof un) != 0; i++)
        poll(NULL, 0, 10); /* until it listens */
    return fd;
}

/* Lines that came; each is an answer. */
static unsigned read_answers(int fd)
{
    char bytes[65536];
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    unsigned lines = 0;

    bench_must(n > 0, "the daemon's answer");
    for (ssize_t i = 0; i < n; i++)
        lines += bytes[i] == '\n';
    return lines;
}

static void ask(int fd, const char *line, size_t len, unsigned count)
{
    char *bytes = malloc(len * count);

    bench_must(bytes != NULL, "malloc");
    for (unsigned i = 0; i < count; i++)
        memcpy(bytes + i * len, line, len);
    bench_must(send(fd, bytes, len * count, MSG_NOSIGNAL) == (ssize_t)(len * count), "send");
    free(bytes);
}

/* The number of a member of what `status` answers. */
static double number_of(const char *status, const char *name)
{
    const char *at = strstr(status, name);

    bench_must(at != NULL, name);
    return strtod(at + strlen(name), NULL);
}

/* Messages in a commit, from the daemon's own mouth. */
static double ask_group(int fd)
{
    static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"status\"}\n";
    char text[65536];
    size_t len = 0;

    ask(fd, line, sizeof line - 1, 1);
    for (;;) {
        ssize_t n = recv(fd, text + len, sizeof text - 1 - len, 0);

        bench_must(n > 0, "status");
        text[len += (size_t)n] = '\0';
        if (strstr(text, "\"commits\":") && text[len - 1] == '\n')
            return number_of(text, "\"accepted\":") / number_of(text, "\"commits\":");
    }
}

/* Accepts a second by 20 programs with so many calls each. */
static double run_socket(const char *folder, const char *client, unsigned calls_each, double *group)
{
    struct pollfd p[PROGRAMS];
    char path[100], line[1024], text[LEN + 1] = {0};
    uint64_t begun, ns, count = 0;
    pid_t pid;
    int len;

    clean(folder);
    bench_must(mkdir(folder, 0700) == 0, "mkdir");
    snprintf(path, sizeof path, "/tmp/pixi-bench-%d.sock", (int)getpid());
    pid = start_daemon(folder, client, path);
    memset(text, 'x', LEN - 2);
    len = snprintf(line, sizeof line,
                   "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"publish\",\"params\":{\"topic\":\"event/"
                   "bench\",\"payload\":\"%s\"}}\n",
                   text);
    for (int i = 0; i < PROGRAMS; i++) {
        p[i] = (struct pollfd){.fd = join(path), .events = POLLIN};
        ask(p[i].fd, line, (size_t)len, calls_each);
    }
    begun = bench_ns();
    while ((ns = bench_ns() - begun) < ROUND_MS * UINT64_C(1000000)) {
        poll(p, PROGRAMS, 1000);
        for (int i = 0; i < PROGRAMS; i++) {
            unsigned got = p[i].revents ? read_answers(p[i].fd) : 0;

            count += got;
            ask(p[i].fd, line, (size_t)len, got);
        }
    }
    *group = ask_group(p[0].fd);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (int i = 0; i < PROGRAMS; i++)
        close(p[i].fd);
    unlink(path);
    return (double)count * 1e9 / (double)ns;
}

static void compare_socket(const char *folder, const char *client, unsigned calls_each)
{
    double rate[ROUNDS], file[ROUNDS], ratio[ROUNDS], group = 1, all = 0;

    for (int i = 0; i < ROUNDS; i++) {
        rate[i] = run_socket(folder, client, calls_each, &group);
        file[i] = run_file(folder, group);
        ratio[i] = rate[i] / file[i];
        all += group;
    }
    printf("through the socket, %d programs with %2u calls each, groups of %4.0f: %8.0f/s, file %8.0f/s, "
           "ratio %.2f\n",
           PROGRAMS, calls_each, all / ROUNDS, bench_median(rate, ROUNDS), bench_median(file, ROUNDS),
           bench_median(ratio, ROUNDS));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const double groups[] = {64, 256}, least[] = {0.5, 0.4};
    uint64_t outstanding;

    if (argc != 3) {
        fprintf(stderr, "usage: outbox FOLDER CLIENT\n");
        return 2;
    }
    memset(payload, 'x', sizeof payload);
    printf("durable accepts of %d B, and a file with the same bytes synced in groups of the same size\n",
           LEN);
    for (size_t i = 0; i < 2; i++) {
        outstanding = outstanding_for(argv[1], groups[i]);
        compare(argv[1], outstanding, least[i]);
        compare_socket(argv[1], argv[2], (unsigned)((outstanding + PROGRAMS / 2) / PROGRAMS));
    }
    compare(argv[1], PROGRAMS * CALLS_MAX, 0);
    compare_socket(argv[1], argv[2], CALLS_MAX);
    fill_backlog(argv[1]);
    run_backlog(argv[1]);
    run_salvage(argv[1]);
    clean(argv[1]);
    return is_missed;
}
