#include "geom-image/proc.h"

#include "net/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READ_LEN = 65536, STOP_MS = 5000 };

static volatile sig_atomic_t caught;
static sigset_t outside; /* the signals that are let in while nothing is waited for */

static void on_signal(int number)
{
    caught = number;
}

int pump_signal(void)
{
    return caught;
}

void pump_catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        sigaction(numbers[i], &action, NULL);
        sigaddset(&set, numbers[i]);
    }
    sigprocmask(SIG_BLOCK, &set, &outside);
    signal(SIGPIPE, SIG_IGN);
}

/* --- feeds ---------------------------------------------------------------------------------------------------- */

static void feed_end(struct feed *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

static int open_log(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

bool feed_open(struct pump *p, struct feed *f, int fd, const char *log)
{
    *f = (struct feed){.fd = fd, .log_fd = -1, .text = pixi_buf_init(FEED_MAX)};
    if (log)
        f->log_fd = open_log(log);
    if ((log && f->log_fd < 0) || p->count == FEEDS_MAX)
        return false;
    p->feeds[p->count++] = f;
    return fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

void feed_close(struct pump *p, struct feed *f)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->feeds[i] == f)
            p->feeds[i--] = p->feeds[--p->count];
    feed_end(f);
    if (f->log_fd >= 0)
        close(f->log_fd);
    f->log_fd = -1;
    pixi_buf_clear(&f->text);
}

/* Output beyond the ceiling is in the log alone. */
static void feed_read(struct feed *f)
{
    uint8_t bytes[READ_LEN];
    ssize_t n = read(f->fd, bytes, sizeof bytes);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        feed_end(f);
    if (n <= 0)
        return;
    pixi_buf_put(&f->text, bytes, (size_t)n);
    if (f->log_fd >= 0 &&
        write(f->log_fd, bytes, (size_t)n) != n) { /* a full disk: what is waited for is in memory */
        close(f->log_fd);
        f->log_fd = -1;
    }
}

bool feed_line(const struct feed *f, const char *needle, unsigned nth, struct pixi_cur *line)
{
    struct pixi_cur rest = pixi_buf_cur(&f->text), one;
    const uint8_t *end;

    while (pixi_cur_left(&rest) && (end = memchr(rest.p, '\n', pixi_cur_left(&rest)))) {
        one = (struct pixi_cur){rest.p, end};
        rest.p = end + 1;
        if (pixi_cur_left(&one) && memmem(one.p, pixi_cur_left(&one), needle, strlen(needle)) && --nth == 0) {
            while (one.end != one.p && one.end[-1] == '\r')
                one.end--;
            *line = one;
            return true;
        }
    }
    return false;
}

/* --- starting ------------------------------------------------------------------------------------------------- */

static void clean_environment(const char *const *more)
{
    extern char **environ;
    size_t i = 0;
    char name[256];

    while (environ[i]) {
        const char *equals = strchr(environ[i], '=');

        if (equals && strncmp(environ[i], "PIXI_WS_", 8) == 0 &&
            (size_t)(equals - environ[i]) < sizeof name) {
            snprintf(name, sizeof name, "%.*s", (int)(equals - environ[i]), environ[i]);
            unsetenv(name);
        } else {
            i++;
        }
    }
    for (; more && *more; more++)
        putenv((char *)(uintptr_t)*more); /* the child's only; exec follows */
}

static bool enter_root(const struct proc_how *how)
{
    return !how->root ||
           (chroot(how->root) == 0 && chdir("/") == 0 && setgroups(0, NULL) == 0 &&
            setresgid(how->uid, how->uid, how->uid) == 0 && setresuid(how->uid, how->uid, how->uid) == 0);
}

/* In the child. A new identity forgets who is to be told of the parent's end, so that comes after it. */
__attribute__((noreturn)) static void become(const struct proc_how *how, pid_t parent, int out, int err)
{
    int in = open(how->in_path ? how->in_path : "/dev/null", O_RDONLY | O_CLOEXEC);

    if (in < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
        _exit(127);
    if (how->kept_fd)
        fcntl(how->kept_fd, F_SETFD, 0);
    setpgid(0, 0); /* Ctrl-C is for whoever started it, who then ends it in order */
    clean_environment(how->environment);
    sigprocmask(SIG_SETMASK, &outside, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (!enter_root(how)) {
        perror(how->root);
        _exit(126);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    execvp(how->argv[0], (char *const *)(uintptr_t)how->argv);
    perror(how->argv[0]);
    _exit(127);
}

bool proc_start(struct pump *p, struct proc *proc, const struct proc_how *how)
{
    int pipes[2], err = how->err_log ? open_log(how->err_log) : -1;
    pid_t parent = getpid();

    *proc = (struct proc){.pid_fd = -1, .out = {.fd = -1, .log_fd = -1}};
    if ((how->err_log && err < 0) || pipe2(pipes, O_CLOEXEC) != 0) {
        fprintf(stderr, "geom-image: %s: %s\n", how->log, strerror(errno));
        return false;
    }
    fflush(stdout);
    proc->pid = fork();
    if (proc->pid == 0)
        become(how, parent, pipes[1], err < 0 ? pipes[1] : err);
    close(pipes[1]);
    if (err >= 0)
        close(err);
    if (proc->pid > 0)
        proc->pid_fd = pidfd_open(proc->pid, 0);
    if (feed_open(p, &proc->out, pipes[0], how->log) && proc->pid > 0 && proc->pid_fd >= 0)
        return true;
    fprintf(stderr, "geom-image: %s was not started: %s\n", how->argv[0], strerror(errno));
    if (proc->pid < 0)
        proc->pid = 0;
    return false;
}

/* --- waiting -------------------------------------------------------------------------------------------------- */

static void reap(struct proc *proc)
{
    int status;

    if (!proc->pid || waitpid(proc->pid, &status, WNOHANG) != proc->pid)
        return;
    proc->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    proc->pid = 0;
    close(proc->pid_fd);
    proc->pid_fd = -1;
}

/* One look at everything: reads what there is, waits for at most most_ms when there is nothing. */
static enum wait_end turn(struct pump *p, struct proc *proc, uint64_t until_ms)
{
    struct pollfd fds[FEEDS_MAX + 1];
    uint64_t now = pixi_clock_mono_ms(), left = until_ms > now ? until_ms - now : 0;
    struct timespec wait = {.tv_sec = (time_t)(left / 1000), .tv_nsec = (long)(left % 1000) * 1000000};
    size_t count = p->count;

    for (size_t i = 0; i < count; i++)
        fds[i] = (struct pollfd){.fd = p->feeds[i]->fd, .events = POLLIN};
    fds[count] = (struct pollfd){.fd = proc && proc->pid ? proc->pid_fd : -1, .events = POLLIN};
    if (ppoll(fds, count + 1, &wait, &outside) < 0 && errno != EINTR)
        return WAIT_STOPPED;
    if (caught)
        return WAIT_STOPPED;
    for (size_t i = 0; i < count; i++)
        if (fds[i].revents)
            feed_read(p->feeds[i]);
    if (fds[count].revents)
        reap(proc);
    return left ? WAIT_DONE : WAIT_TIMEOUT;
}

static uint64_t until(const struct pump *p, unsigned most_ms)
{
    uint64_t ms = pixi_clock_mono_ms() + most_ms;

    return ms < p->deadline_ms ? ms : p->deadline_ms;
}

enum wait_end wait_line(struct pump *p, const struct feed *f, struct proc *proc, const char *needle,
                        unsigned nth, unsigned most_ms, struct pixi_cur *line)
{
    uint64_t end_ms = until(p, most_ms);
    struct pixi_cur found;

    for (;;) {
        bool has_ended = proc && !proc->pid && f->fd < 0; /* what it said before is read by now */
        enum wait_end end;

        if (feed_line(f, needle, nth, line ? line : &found))
            return WAIT_DONE;
        if (has_ended)
            return WAIT_ENDED;
        end = turn(p, proc, end_ms);
        if (end != WAIT_DONE)
            return end;
    }
}

enum wait_end wait_exit(struct pump *p, struct proc *proc, unsigned most_ms)
{
    uint64_t end_ms = until(p, most_ms);

    while (proc->pid || proc->out.fd >= 0) {
        enum wait_end end = turn(p, proc, end_ms);

        if (end != WAIT_DONE)
            return end;
    }
    return WAIT_DONE;
}

/* Also after a signal or the deadline, which end all other waiting. */
static void wait_quietly(struct proc *proc, int most_ms)
{
    struct pollfd fd = {.fd = proc->pid_fd, .events = POLLIN};

    if (proc->pid && poll(&fd, 1, most_ms) == 1)
        reap(proc);
}

void proc_stop(struct proc *proc)
{
    if (!proc->pid)
        return;
    kill(proc->pid, SIGTERM);
    wait_quietly(proc, STOP_MS);
    if (!proc->pid)
        return;
    kill(proc->pid, SIGKILL);
    wait_quietly(proc, STOP_MS);
}

void proc_clear(struct pump *p, struct proc *proc)
{
    proc_stop(proc);
    feed_close(p, &proc->out);
}
