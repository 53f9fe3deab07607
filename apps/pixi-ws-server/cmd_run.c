#include "pixi-ws-server/cmd.h"

#include "base/log.h"
#include "net/notify.h"
#include "net/signals.h"
#include "server/server.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { DRAIN_SPARE_MS = 5000 }; /* that ending may take beyond drain_ms */

enum { EXIT_USAGE = 2, EXIT_SETTINGS = 3, EXIT_LISTEN = 5, EXIT_INTERNAL = 14 };

struct run {
    struct pixi_loop loop;
    struct pixi_server_settings settings;
    struct pixi_keys keys[2]; /* one in use, one to read the file into anew */
    unsigned in_use;
    struct pixi_server *server;
    struct pixi_signals signals;
    struct pixi_notify notify;
    struct pixi_buf mistakes;
    const char *config;
    enum pixi_server_mode mode;
};

static int usage_error(const char *what, const char *word)
{
    char text[256];

    snprintf(text, sizeof text, "%s %s", what, word);
    return cli_usage_error(&cli_program.self, text);
}

static int read_level(const char *text)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};

    for (int i = 0; i < 4; i++)
        if (strcmp(text, names[i]) == 0) {
            pixi_log_set_level((enum pixi_log_level)i);
            return 0;
        }
    return usage_error("--log: expected error, warning, info or debug, found", text);
}

static void override(struct run *r, const char *member, const char *value, const char *flag)
{
    pixi_server_settings_override(&r->settings, member, value, flag, &r->mistakes);
}

/* 0: go on; -1: done well; else the exit code. */
static int take_option(struct run *r, int option, const char *value)
{
    switch (option) {
    case RUN_CONFIG: r->config = value; return 0;
    case RUN_LISTEN: override(r, "listen", value, "--listen"); return 0;
    case RUN_TLS_LISTEN: override(r, "tls.listen", value, "--tls-listen"); return 0;
    case RUN_KEYS: override(r, "keys_file", value, "--keys"); return 0;
    case RUN_INSECURE: override(r, "insecure", "true", "--insecure"); return 0;
    case RUN_WORKERS: override(r, "workers", value, "--workers"); return 0;
    case RUN_ECHO: r->mode = PIXI_SERVER_ECHO; return 0;
    case RUN_LOG: return read_level(value);
    case RUN_VERSION: printf("%s %s\n", cli_program.self.name, PIXI_VERSION); return -1;
    default: return option == CLI_HELP ? -1 : EXIT_USAGE;
    }
}

static int read_options(struct run *r, int argc, char **argv)
{
    const char *value;
    int option, at = 1, rc;

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

static int load(struct run *r)
{
    int rc;

    rc = pixi_server_settings_load(&r->settings, r->config, &r->mistakes);
    if (r->mode == PIXI_SERVER_ECHO)
        widen_echo(&r->settings);
    if (rc == PIXI_OK && r->mode == PIXI_SERVER_HUB)
        rc = pixi_keys_load(&r->keys[0], r->settings.keys_path, PIXI_KEYS_MAY_BE_MISSING, &r->mistakes);
    if (r->mistakes.len)
        fprintf(stderr, "%.*s  fix: correct what is listed; `pixi-ws-server config check` reads it again\n",
                (int)r->mistakes.len, (const char *)r->mistakes.bytes);
    return rc == PIXI_OK ? 0 : rc == PIXI_E_SETTINGS ? EXIT_SETTINGS : EXIT_INTERNAL;
}

static void on_idle(void *ctx)
{
    struct run *r = ctx;

    pixi_loop_stop(&r->loop);
}

/* A line of the log for each of the text's. */
static void log_lines(const struct pixi_buf *text)
{
    struct pixi_cur c = pixi_buf_cur(text);

    while (c.p != c.end) {
        const uint8_t *end = memchr(c.p, '\n', pixi_cur_left(&c));
        int len = (int)((end ? end : c.end) - c.p);

        pixi_log(PIXI_LOG_ERROR, "%.*s", len, (const char *)c.p);
        c.p = end ? end + 1 : c.end;
    }
}

/* A service manager that hears nothing kills what it takes for hung: that is worth a line. */
static void check_told(int rc)
{
    if (rc != PIXI_OK)
        pixi_log(PIXI_LOG_WARNING, "the service manager cannot be told: NOTIFY_SOCKET: %s",
                 rc == PIXI_E_SYS ? strerror(errno) : "expected a path, or @ and an abstract name");
}

static int reload_keys(struct run *r)
{
    struct pixi_keys *fresh = &r->keys[!r->in_use];
    struct pixi_buf mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);
    int rc = pixi_keys_load(fresh, r->settings.keys_path, PIXI_KEYS_MUST_EXIST, &mistakes);

    if (rc == PIXI_OK)
        rc = pixi_server_set_keys(r->server, fresh);
    if (rc == PIXI_OK) {
        pixi_keys_clear(&r->keys[r->in_use]);
        r->in_use = !r->in_use;
        pixi_log(PIXI_LOG_INFO, "SIGHUP: %s holds %zu keys", r->settings.keys_path, pixi_keys_count(fresh));
    } else {
        log_lines(&mistakes);
        pixi_log(PIXI_LOG_ERROR, "SIGHUP: the keys are not read again (%s): those before stay in use",
                 pixi_err_text(rc));
        pixi_keys_clear(fresh);
    }
    pixi_buf_clear(&mistakes);
    return rc;
}

static int reload_tls(struct run *r)
{
    struct pixi_buf problem = pixi_buf_init(4096);
    int rc = pixi_server_reload_tls(r->server, &problem);

    if (rc == PIXI_OK) {
        pixi_log(PIXI_LOG_INFO, "SIGHUP: new connections get the certificate in %s",
                 r->settings.tls_files.cert_file);
    } else {
        log_lines(&problem);
        pixi_log(PIXI_LOG_ERROR, "SIGHUP: the certificate is not read again (%s): that before stays in use",
                 pixi_err_text(rc));
    }
    pixi_buf_clear(&problem);
    return rc;
}

/* What is wrong is logged, and changes nothing. */
static void reload(struct run *r)
{
    int keys = PIXI_OK, tls = PIXI_OK;

    check_told(pixi_notify_tell(&r->notify, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, pixi_clock_mono_us()));
    if (r->mode == PIXI_SERVER_HUB)
        keys = reload_keys(r);
    if (r->settings.tls.listen.count)
        tls = reload_tls(r);
    check_told(pixi_notify_tell(&r->notify, "READY=1\nSTATUS=%s%s%s%s",
                                keys || tls ? "Not read again: " : "Read again", keys ? "API keys" : "",
                                keys && tls ? ", " : "", tls ? "certificate" : ""));
}

static void on_signal(struct pixi_signals *signals, int signal)
{
    struct run *r = (struct run *)((char *)signals - offsetof(struct run, signals));

    if (signal == SIGHUP) {
        reload(r);
        return;
    }
    pixi_log(PIXI_LOG_INFO, "%s: stopping", signal == SIGTERM ? "SIGTERM" : "SIGINT");
    check_told(pixi_notify_tell(&r->notify, "STOPPING=1\nSTATUS=Stopping\nEXTEND_TIMEOUT_USEC=%" PRIu64,
                                (uint64_t)(r->settings.drain_ms + DRAIN_SPARE_MS) * 1000));
    pixi_server_drain(r->server, on_idle, r);
}

/* Every connection is a descriptor: take as many as the system gives without asking. */
static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Why it does not start: layer, cause and fix, as the client tells them. */
static void tell_start(int rc, struct pixi_cur problem)
{
    int len = (int)pixi_cur_left(&problem);
    const char *layer = rc == PIXI_E_SYS ? "tcp" : rc == PIXI_E_NOMEM ? "internal" : "settings";
    const char *fix = rc == PIXI_E_NOMEM ? "free memory on this machine"
                                         : "correct \"tls\" in the settings, or the file that it names";

    if (!len)
        problem = pixi_cur_str(pixi_err_text(rc));
    fprintf(stderr, "pixi-ws-server: %s: %.*s\n", layer, (int)pixi_cur_left(&problem),
            (const char *)problem.p);
    if (!len || !memmem(problem.p, (size_t)len, "\n  fix: ", 8))
        fprintf(stderr, "  fix: %s\n", fix);
}

static int start(struct run *r)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, 0};
    struct pixi_buf problem = pixi_buf_init(4096);
    char at[128];
    int rc = pixi_server_new(&r->loop, &r->settings, &r->keys[0], r->mode, &r->server, &problem);

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
                 r->settings.keys_path);
    for (size_t i = 0; pixi_server_listening(r->server, i, at, sizeof at); i++)
        printf("listening on %s\n", at);
    if (fflush(stdout) != 0) {
        fprintf(stderr,
                "pixi-ws-server: disk: standard output cannot be written: %s\n"
                "  fix: free space where the output goes, or send it elsewhere\n",
                strerror(errno));
        return EXIT_INTERNAL;
    }
    check_told(pixi_notify_open(&r->notify, &r->loop));
    pixi_server_listening(r->server, 0, at, sizeof at);
    check_told(pixi_notify_tell(&r->notify, "READY=1\nSTATUS=Listening on %s", at));
    return 0;
}

int cmd_run(int argc, char **argv)
{
    struct run r = {.mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX), .signals = {.watch = {.fd = -1}}};
    int exit_code;

    pixi_server_settings_init(&r.settings);
    exit_code = read_options(&r, argc, argv);
    if (!exit_code)
        exit_code = load(&r);
    raise_descriptors();
    if (!exit_code && pixi_loop_init(&r.loop) != PIXI_OK)
        exit_code = EXIT_INTERNAL;
    if (!exit_code) {
        exit_code = start(&r);
        if (!exit_code && pixi_loop_run(&r.loop) != PIXI_OK)
            exit_code = EXIT_INTERNAL;
        pixi_notify_close(&r.notify);
        pixi_signals_close(&r.signals);
        pixi_server_free(r.server);
        pixi_loop_clear(&r.loop);
    }
    pixi_keys_clear(&r.keys[0]);
    pixi_keys_clear(&r.keys[1]);
    pixi_server_settings_clear(&r.settings);
    pixi_buf_clear(&r.mistakes);
    return exit_code < 0 ? 0 : exit_code;
}
