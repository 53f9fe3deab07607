#include "pixi-ws-client/cmd.h"

#include "base/log.h"
#include "daemon/daemon.h"
#include "net/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SOCKET, OUTBOX, LOG };
enum { DRAIN_SPARE_MS = 10000, SPARE_DESCRIPTORS = 64, FIRST_PASSED_FD = 3 };

struct run {
    struct app *app;
    const char *socket, *outbox, *log; /* options; NULL: not given */
    struct pixi_loop loop;
    struct pixi_signals signals;
    struct pixi_notify notify;
    struct pixi_daemon *daemon;
    uint64_t drain_ms;
};

static int take_option(struct run *r, int option, const char *value)
{
    switch (option) {
    case SOCKET: r->socket = value; return 0;
    case OUTBOX: r->outbox = value; return 0;
    case LOG: r->log = value; return 0;
    default: return option == CLI_HELP ? -1 : PIXI_EXIT_USAGE;
    }
}

static int read_options(struct run *r, int argc, char **argv)
{
    const struct cli_command *command = cli_command_of("daemon");
    const char *value;
    int option, index = 0, rc = 0;

    while (rc == 0 && (option = cli_next(command, argc, argv, &index, &value)) != CLI_END)
        rc = take_option(r, option, value);
    if (rc == 0 && index < argc)
        return cli_usage_error(command, "unexpected argument");
    return rc;
}

/* Allocated: the daemon takes them. NULL: *exit_code says why not, and it was told. */
static struct pixi_settings *read_settings(struct run *r, int *exit_code)
{
    const struct settings_flag flags[] = {{"daemon.socket", r->socket, "--socket"},
                                          {"outbox.path", r->outbox, "--outbox"},
                                          {"daemon.log_level", r->log, "--log"},
                                          {NULL, NULL, NULL}};
    struct pixi_settings *s = malloc(sizeof *s);

    if (!s) {
        *exit_code = PIXI_EXIT_INTERNAL;
        return NULL;
    }
    *exit_code = load_settings_with(r->app, s, flags);
    if (!*exit_code && s->dialect != PIXI_SETTINGS_PIXI_V1)
        *exit_code = tell(
            r->app, PIXI_EXIT_SETTINGS, "settings",
            "let it speak to a Pixi server, without \"dialect\"; programs speak MQTT to others by themselves",
            "the daemon speaks pixi.v1 only: over MQTT it could not promise that each message is stored "
            "once");
    if (!*exit_code)
        return s;
    pixi_settings_clear(s);
    free(s);
    return NULL;
}

/* --- the service manager --------------------------------------------------------------------------------------------- */

/* sd_listen_fds(3): the socket that it made for us; -1: none. */
static int passed_fd(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");

    if (!pid || !count || strtol(pid, NULL, 10) != (long)getpid() || strtol(count, NULL, 10) < 1)
        return -1;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    return FIRST_PASSED_FD;
}

static void tell_manager(struct run *r, const char *before)
{
    struct pixi_buf line = pixi_buf_init(PIXI_NOTIFY_TEXT);

    pixi_daemon_put_line(r->daemon, &line);
    pixi_notify_tell(&r->notify, "%sSTATUS=%.*s", before, (int)line.len, (const char *)line.bytes);
    pixi_buf_clear(&line);
}

static void on_change(void *ctx)
{
    tell_manager(ctx, "");
}

static void reload(struct run *r)
{
    int exit_code;
    struct pixi_settings *s = read_settings(r, &exit_code);

    if (!s) {
        pixi_log(PIXI_LOG_ERROR, "SIGHUP: the settings have mistakes: those from before stay");
        return;
    }
    pixi_notify_tell(&r->notify, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, pixi_clock_mono_us());
    r->drain_ms = s->daemon.drain_ms;
    pixi_daemon_reload(r->daemon, s);
    pixi_log(PIXI_LOG_INFO, "SIGHUP: settings were read again");
    tell_manager(r, "READY=1\n");
}

static void on_idle(void *ctx)
{
    struct run *r = ctx;

    pixi_loop_stop(&r->loop);
}

static void on_signal(struct pixi_signals *signals, int signal)
{
    struct run *r = (struct run *)((char *)signals - offsetof(struct run, signals));

    if (signal == SIGHUP) {
        reload(r);
        return;
    }
    pixi_log(PIXI_LOG_INFO, "%s: stopping", signal == SIGTERM ? "SIGTERM" : "SIGINT");
    pixi_notify_tell(&r->notify, "STOPPING=1\nSTATUS=Stopping\nEXTEND_TIMEOUT_USEC=%" PRIu64,
                     (r->drain_ms + DRAIN_SPARE_MS) * 1000);
    pixi_daemon_drain(r->daemon, on_idle, r);
}

/* --- starting ------------------------------------------------------------------------------------------------------------ */

/* Every program is a descriptor: take as many as the system gives without asking. */
static void raise_descriptors(const struct pixi_settings *s)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < s->daemon.connections + SPARE_DESCRIPTORS)
        pixi_log(PIXI_LOG_WARNING, "daemon.connections is %llu, but the system gives %llu descriptors",
                 (unsigned long long)s->daemon.connections, (unsigned long long)limit.rlim_max);
}

static int exit_code_of(int rc)
{
    switch (rc) {
    case PIXI_OK: return 0;
    case PIXI_E_SETTINGS: return PIXI_EXIT_SETTINGS;
    default: return PIXI_EXIT_INTERNAL;
    }
}

static int tell_start(struct run *r, int rc, struct pixi_cur problem)
{
    const uint8_t *fix = memmem(problem.p, pixi_cur_left(&problem), "\n  fix: ", 8);
    int len = (int)((fix ? fix : problem.end) - problem.p);
    char how[512];

    snprintf(how, sizeof how, "%.*s", fix ? (int)(problem.end - fix - 8) : 0,
             fix ? (const char *)fix + 8 : "");
    return tell(r->app, exit_code_of(rc), rc == PIXI_E_SETTINGS ? "settings" : "internal",
                *how ? how : "see what this machine lacks: memory, descriptors, room on its disk", "%.*s",
                len, len ? (const char *)problem.p : "");
}

static int start(struct run *r, struct pixi_settings *s)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, 0};
    struct pixi_daemon_options options = {.settings = s, .socket_fd = passed_fd()};
    struct pixi_buf problem = pixi_buf_init(4096);
    int rc, exit_code = 0;

    pixi_log_set_level((enum pixi_log_level)s->daemon.log_level);
    pixi_log_set_format((enum pixi_log_format)s->daemon.log_format);
    raise_descriptors(s);
    r->drain_ms = s->daemon.drain_ms;
    rc = pixi_daemon_new(&r->loop, &options, &r->daemon, &problem);
    if (rc != PIXI_OK)
        exit_code = tell_start(r, rc, pixi_buf_cur(&problem));
    pixi_buf_clear(&problem);
    if (exit_code)
        return exit_code;
    r->signals.on_signal = on_signal;
    if (pixi_signals_open(&r->signals, &r->loop, signals) != PIXI_OK)
        return tell(r->app, PIXI_EXIT_INTERNAL, "internal", "let this program open more files (ulimit -n)",
                    "signals: %s", strerror(errno));
    printf("listening on %s\n", pixi_daemon_socket(r->daemon));
    fflush(stdout);
    if (pixi_notify_open(&r->notify, &r->loop) != PIXI_OK)
        pixi_log(PIXI_LOG_WARNING, "the service manager cannot be told: NOTIFY_SOCKET");
    pixi_daemon_on_change(r->daemon, on_change, r);
    tell_manager(r, "READY=1\n");
    return 0;
}

int cmd_daemon(struct app *app, int argc, char **argv)
{
    struct run r = {.app = app};
    struct pixi_settings *s = NULL;
    int exit_code = read_options(&r, argc, argv);

    if (exit_code)
        return exit_code < 0 ? 0 : exit_code;
    if (pixi_loop_init(&r.loop) != PIXI_OK)
        return tell_no_loop(app);
    s = read_settings(&r, &exit_code);
    if (s)
        exit_code = start(&r, s);
    if (!exit_code)
        pixi_loop_run(&r.loop);
    pixi_daemon_free(r.daemon);
    if (r.signals.loop)
        pixi_signals_close(&r.signals);
    pixi_notify_close(&r.notify);
    pixi_loop_clear(&r.loop);
    return exit_code;
}
