/* outbox.c FOLDER CLIENT -- what the outbox does: durable accepts a second beside a plain file that is appended to and synced
 * in groups of the same size, alone and through the daemon's socket (20 programs, 64 calls each); what a start with
 * 1,000,000 messages takes; bytes written for each byte taken. */
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

enum { LEN = 256, ROUNDS = 5, ROUND_MS = 700, MANY = 1000000, PROGRAMS = 20, CALLS = 64 };

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

/* Accepts a second, with so many outstanding; *group: messages in a commit. */
static double run_box(const char *folder, uint64_t outstanding, double *group, double *amplification)
{
    uint64_t begun, sent, ns, commits, bytes;
    double rate;

    clean(folder);
    open_box(folder);
    begun = bench_ns();
    answered = sent = 0;
    bytes = written();
    while ((ns = bench_ns() - begun) < ROUND_MS * UINT64_C(1000000)) {
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

static void compare(const char *folder, uint64_t outstanding)
{
    double box_rate[ROUNDS], file_rate[ROUNDS], ratio[ROUNDS], group = 1, all = 0, amplification = 0;

    for (int i = 0; i < ROUNDS; i++) {
        box_rate[i] = run_box(folder, outstanding, &group, &amplification);
        file_rate[i] = run_file(folder, group);
        ratio[i] = box_rate[i] / file_rate[i];
        all += group;
    }
    printf("%5llu outstanding, groups of %4.0f: outbox %8.0f/s, file %8.0f/s, ratio %.2f; %.1f bytes written "
           "for each\n",
           (unsigned long long)outstanding, all / ROUNDS, bench_median(box_rate, ROUNDS),
           bench_median(file_rate, ROUNDS), bench_median(ratio, ROUNDS), amplification);
    fflush(stdout);
}

/* --- a backlog --------------------------------------------------------------------------------------------------------- */

static void run_backlog(const char *folder)
{
    uint64_t begun, ns, before;

    clean(folder);
    open_box(folder);
    answered = 0;
    for (uint64_t sent = 0; answered < MANY; wait_box())
        for (; sent < MANY && sent - answered < 8192; sent++)
            put_one();
    pixi_outbox_close(box);
    before = bench_resident();
    begun = bench_ns();
    open_box(folder);
    ns = bench_ns() - begun;
    pixi_outbox_linked(box, 1, now);
    while (!pixi_outbox_next(box, now))
        wait_box();
    printf(
        "%d messages wait: open in %.1f ms, the first to be sent after %.1f ms, %.1f MiB more than without\n",
        MANY, (double)ns / 1e6, (double)(bench_ns() - begun) / 1e6,
        ((double)bench_resident() - (double)before) / (1 << 20));
    fflush(stdout);
    pixi_outbox_close(box);
    clean(folder);
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

static double run_socket(const char *folder, const char *client)
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
        ask(p[i].fd, line, (size_t)len, CALLS);
    }
    begun = bench_ns();
    while ((ns = bench_ns() - begun) < 3 * ROUND_MS * UINT64_C(1000000)) {
        poll(p, PROGRAMS, 1000);
        for (int i = 0; i < PROGRAMS; i++) {
            unsigned got = p[i].revents ? read_answers(p[i].fd) : 0;

            count += got;
            ask(p[i].fd, line, (size_t)len, got);
        }
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (int i = 0; i < PROGRAMS; i++)
        close(p[i].fd);
    unlink(path);
    return (double)count * 1e9 / (double)ns;
}

int main(int argc, char **argv)
{
    double group, amplification, alone, file, through;

    if (argc != 3) {
        fprintf(stderr, "usage: outbox FOLDER CLIENT\n");
        return 2;
    }
    memset(payload, 'x', sizeof payload);
    printf("durable accepts of %d B, and a file with the same bytes synced in groups of the same size\n",
           LEN);
    compare(argv[1], 128);
    compare(argv[1], 512);
    compare(argv[1], PROGRAMS * CALLS);
    alone = run_box(argv[1], PROGRAMS * CALLS, &group, &amplification);
    through = run_socket(argv[1], argv[2]);
    file = run_file(argv[1], group);
    printf("through the socket, %d programs with %d calls each: %.0f/s; alone %.0f/s; file in groups of %.0f "
           "%.0f/s\n",
           PROGRAMS, CALLS, through, alone, group, file);
    fflush(stdout);
    run_backlog(argv[1]);
    return 0;
}
