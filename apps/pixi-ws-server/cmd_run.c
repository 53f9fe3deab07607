#include "pixi-ws-server/cmd.h"

#include "base/log.h"
#include "pixi-ws-server/run.h"
#include "pixi-ws-server/web.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum {
    DRAIN_SPARE_MS = 5000,   /* that ending may take beyond drain_ms */
    SPARE_DESCRIPTORS = 128, /* beside those of the connections that are let in */
};

enum { EXIT_USAGE = 2, EXIT_SETTINGS = 3, EXIT_LISTEN = 5, EXIT_INTERNAL = 14 };

static int usage_error(const char *what, const char *word)
{
    char text[256];

    snprintf(text, sizeof text, "%s %s", what, word);
    return cli_usage_error(&cli_program.self, text);
}

/* What one reading of everything fills. */
struct reading {
    struct run *run;
    struct pixi_server_settings *slot;
};

static int override(const struct reading *r, const char *member, const char *value, const char *flag)
{
    return pixi_server_settings_override(r->slot, member, value, flag, &r->run->mistakes);
}

static int read_level(const struct reading *r, const char *text)
{
    if (override(r, "log.level", text, "--log") == PIXI_OK)
        return 0;
    pixi_buf_reset(&r->run->mistakes);
    return usage_error("--log: expected error, warning, info or debug, found", text);
}

/* 0: go on; -1: done well; else the exit code. */
static int take_option(const struct reading *r, int option, const char *value)
{
    switch (option) {
    case RUN_CONFIG: r->run->config = value; return 0;
    case RUN_LISTEN: override(r, "listen", value, "--listen"); return 0;
    case RUN_TLS_LISTEN: override(r, "tls.listen", value, "--tls-listen"); return 0;
    case RUN_MQTT: override(r, "mqtt.listen", value, "--mqtt"); return 0;
    case RUN_KEYS: override(r, "keys_file", value, "--keys"); return 0;
    case RUN_PAGE: override(r, "page", value, "--page"); return 0;
    case RUN_DATA: override(r, "data", value, "--data"); return 0;
    case RUN_INSECURE: override(r, "insecure", "true", "--insecure"); return 0;
    case RUN_WORKERS: override(r, "workers", value, "--workers"); return 0;
    case RUN_ECHO: r->run->mode = PIXI_SERVER_ECHO; return 0;
    case RUN_LOG: return read_level(r, value);
    case RUN_VERSION: printf("%s %s\n", cli_program.self.name, PIXI_VERSION); return -1;
    default: return option == CLI_HELP ? -1 : EXIT_USAGE;
    }
}

static int read_options(const struct reading *r)
{
    int option, at = 1, rc, argc = r->run->argc;
    char **argv = r->run->argv;
    const char *value;

    while ((option = cli_next(&cli_program.self, argc, argv, &at, &value)) != CLI_END)
        if ((rc = take_option(r, option, value)) != 0)
            return rc;
    return at < argc ? usage_error("unexpected argument", argv[at]) : 0;
}

/* For conformance and speed tests, which send large messages; where settings say otherwise, they count. */
static void widen_echo(struct pixi_server_settings *s)
{
    if (pixi_conf_is_set(&s->conf, "limits.message_bytes") ||
        pixi_conf_is_set(&s->conf, "limits.queue_bytes"))
        return;
    s->limits.message_bytes = 64 << 20;
    s->limits.queue_bytes = 256 << 20;
}

int run_read(struct run *r, struct pixi_server_settings *slot)
{
    int rc;

    pixi_server_settings_init(slot);
    rc = read_options(&(struct reading){r, slot});
    if (rc)
        return rc;
    rc = pixi_server_settings_load(slot, r->config, &r->mistakes);
    if (r->mode == PIXI_SERVER_ECHO)
        widen_echo(slot);
    return rc == PIXI_OK ? 0 : rc == PIXI_E_SETTINGS ? EXIT_SETTINGS : EXIT_INTERNAL;
}

static int load(struct run *r)
{
    int exit_code = run_read(r, r->settings), rc = PIXI_OK;

    if (!exit_code && r->mode == PIXI_SERVER_HUB)
        rc = pixi_keys_load(&r->keys[0], r->settings->keys_path, PIXI_KEYS_MAY_BE_MISSING, &r->mistakes);
    if (r->mistakes.len)
        fprintf(stderr, "%.*s  fix: %s\n", (int)r->mistakes.len, (const char *)r->mistakes.bytes,
                *r->mistakes.bytes == '-' /* an option's */
                    ? "correct the option; `pixi-ws-server --help` tells of it"
                    : "correct what is listed; `pixi-ws-server config check` reads it again");
    if (exit_code || rc != PIXI_OK)
        return exit_code ? exit_code : rc == PIXI_E_SETTINGS ? EXIT_SETTINGS : EXIT_INTERNAL;
    pixi_log_set_format((enum pixi_log_format)r->settings->log.format);
    pixi_log_set_level((enum pixi_log_level)r->settings->log.level);
    return 0;
}

static void on_idle(void *ctx)
{
    struct run *r = ctx;

    pixi_loop_stop(&r->loop);
}

void run_check_told(int rc)
{
    if (rc != PIXI_OK)
        pixi_log(PIXI_LOG_WARNING, "the service manager cannot be told: NOTIFY_SOCKET: %s",
                 rc == PIXI_E_SYS ? strerror(errno) : "expected a path, or @ and an abstract name");
}

static void on_signal(struct pixi_signals *signals, int signal)
{
    struct run *r = (struct run *)((char *)signals - offsetof(struct run, signals));

    if (signal == SIGHUP) {
        run_reload(r);
        return;
    }
    pixi_log(PIXI_LOG_INFO, "%s: stopping", signal == SIGTERM ? "SIGTERM" : "SIGINT");
    run_check_told(pixi_notify_tell(&r->notify, "STOPPING=1\nSTATUS=Stopping\nEXTEND_TIMEOUT_USEC=%" PRIu64,
                                    (uint64_t)(r->settings->drain_ms + DRAIN_SPARE_MS) * 1000));
    pixi_server_drain(r->server, on_idle, r);
}

/* Every connection is a descriptor: take as many as the system gives without asking. */
static void raise_descriptors(const struct pixi_server_settings *s)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < s->limits.connections + SPARE_DESCRIPTORS)
        pixi_log(PIXI_LOG_WARNING,
                 "limits.connections is %llu, but the system gives %llu descriptors: who finds none is told "
                 "503; raise the hard limit of open files (ulimit -n, LimitNOFILE=)",
                 (unsigned long long)s->limits.connections, (unsigned long long)limit.rlim_max);
}

/* Why it does not start: layer, cause and fix, as the client tells them. */
static void tell_start(int rc, struct pixi_cur problem)
{
    int len = (int)pixi_cur_left(&problem);
    const char *layer = rc == PIXI_E_SYS       ? "tcp"
                        : rc == PIXI_E_STORAGE ? "disk"
                        : rc == PIXI_E_NOMEM   ? "internal"
                                               : "settings";
    const char *fix = rc == PIXI_E_NOMEM ? "free memory on this machine"
                                         : "correct \"tls\" in the settings, or the file that it names";

    if (!len)
        problem = pixi_cur_str(pixi_err_text(rc));
    fprintf(stderr, "pixi-ws-server: %s: %.*s\n", layer, (int)pixi_cur_left(&problem),
            (const char *)problem.p);
    if (!len || !memmem(problem.p, (size_t)len, "\n  fix: ", 8))
        fprintf(stderr, "  fix: %s\n", fix);
}

/* What the browser gets: of the folder, else what is in the program. */
static int load_page(struct run *r, struct pixi_buf *problem)
{
    int rc = PIXI_OK;

    pixi_page_init(&r->page);
    if (r->mode != PIXI_SERVER_HUB)
        return PIXI_OK;
    if (r->settings->page_path)
        rc = pixi_page_read(&r->page, r->settings->page_path, problem);
    else
        rc = pixi_page_embed(&r->page, web_files, web_file_count);
    if (rc == PIXI_OK)
        pixi_server_set_page(r->server, &r->page);
    return rc;
}

static int start(struct run *r)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, 0};
    struct pixi_buf problem = pixi_buf_init(4096);
    char at[128];
    int rc = pixi_server_new(&r->loop, r->settings, &r->keys[0], r->mode, &r->server, &problem);

    if (rc == PIXI_OK)
        rc = load_page(r, &problem);
    if (rc != PIXI_OK)
        tell_start(rc, pixi_buf_cur(&problem));
    pixi_buf_clear(&problem);
    if (rc != PIXI_OK)
        return rc == PIXI_E_SETTINGS || rc == PIXI_E_FILTER ? EXIT_SETTINGS
               : rc == PIXI_E_SYS                           ? EXIT_LISTEN
                                                            : EXIT_INTERNAL;
    r->signals.on_signal = on_signal;
    if (pixi_signals_open(&r->signals, &r->loop, signals) != PIXI_OK)
        return EXIT_INTERNAL;
    if (r->mode == PIXI_SERVER_HUB && pixi_keys_count(&r->keys[0]) == 0)
        pixi_log(PIXI_LOG_WARNING,
                 "%s holds no API key, so nobody can connect; make one with: pixi-ws-server key add NAME",
                 r->settings->keys_path);
    for (size_t i = 0; pixi_server_listening(r->server, i, at, sizeof at); i++)
        printf("listening on %s\n", at);
    if (fflush(stdout) != 0) {
        fprintf(stderr,
                "pixi-ws-server: disk: standard output cannot be written: %s\n"
                "  fix: free space where the output goes, or send it elsewhere\n",
                strerror(errno));
        return EXIT_INTERNAL;
    }
    run_check_told(pixi_notify_open(&r->notify, &r->loop));
    pixi_server_listening(r->server, 0, at, sizeof at);
    run_check_told(pixi_notify_tell(&r->notify, "READY=1\nSTATUS=Listening on %s", at));
    return 0;
}

int cmd_run(int argc, char **argv)
{
    struct run r = {.mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX),
                    .signals = {.watch = {.fd = -1}},
                    .argc = argc,
                    .argv = argv};
    int exit_code;

    r.settings = &r.slots[0];
    exit_code = load(&r);
    if (!exit_code)
        raise_descriptors(r.settings);
    if (!exit_code && pixi_loop_init(&r.loop) != PIXI_OK)
        exit_code = EXIT_INTERNAL;
    if (!exit_code) {
        exit_code = start(&r);
        if (!exit_code && pixi_loop_run(&r.loop) != PIXI_OK)
            exit_code = EXIT_INTERNAL;
        pixi_notify_close(&r.notify);
        pixi_signals_close(&r.signals);
        pixi_server_free(r.server);
        pixi_page_clear(&r.page);
        pixi_loop_clear(&r.loop);
    }
    pixi_keys_clear(&r.keys[0]);
    pixi_keys_clear(&r.keys[1]);
    pixi_server_settings_clear(r.settings);
    pixi_buf_clear(&r.mistakes);
    return exit_code < 0 ? 0 : exit_code;
}
