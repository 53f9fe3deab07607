#include "pixi-ws-client/cmd.h"
#include "pixi-ws-client/local.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* Where standard error is a terminal it is folded; longer ones than this are cut. */
enum { LINE_MAX_LEN = 4096 };

void note(const char *format, ...)
{
    char line[LINE_MAX_LEN];
    int at = snprintf(line, sizeof line, "%s: ", cli_program.self.name);
    va_list args;

    progress_hide();
    fflush(stdout);
    va_start(args, format);
    vsnprintf(line + at, sizeof line - (size_t)at, format, args);
    va_end(args);
    cli_fold(stderr, line, strlen(line));
    fputc('\n', stderr);
}

static void print_failure_json(const struct pixi_failure *f)
{
    struct pixi_buf b = pixi_buf_init(16384);
    struct pixi_json_out w = pixi_json_out_init(&b);
    const struct {
        const char *name, *text;
    } rows[] = {{"layer", f->layer}, {"cause", f->cause}, {"fix", f->fix}, {"error", pixi_err_name(f->err)}};

    pixi_json_open_object(&w);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pixi_json_name(&w, rows[i].name);
        pixi_json_text(&w, rows[i].text);
    }
    pixi_json_name(&w, "exit");
    pixi_json_number(&w, (uint64_t)f->exit_code);
    pixi_json_close_object(&w);
    fprintf(stderr, "%.*s\n", (int)b.len, (const char *)b.bytes);
    pixi_buf_clear(&b);
}

/* What to ask `explain` for: of a close its code, else the error. "" where there is nothing more to say than the fix. */
static void put_page(const struct pixi_failure *f, char out[64])
{
    size_t i;

    out[0] = 0;
    if (f->close_code) {
        snprintf(out, 64, "%u", f->close_code);
    } else if (f->exit_code != PIXI_EXIT_INTERNAL) {
        snprintf(out, 64, "%s", pixi_err_name(f->err));
        for (i = 0; out[i]; i++)
            out[i] = out[i] == '_' ? '-' : (char)tolower((unsigned char)out[i]);
    }
}

void print_failure(const struct app *app, const struct pixi_failure *f)
{
    char text[2 * PIXI_FAILURE_TEXT + 128], page[64];

    progress_hide();
    fflush(stdout);
    if (app->is_json) {
        print_failure_json(f);
        return;
    }
    snprintf(text, sizeof text, "%s: %s: %s\n  fix: %s\n", cli_program.self.name, f->layer, f->cause, f->fix);
    cli_fold(stderr, text, strlen(text));
    put_page(f, page);
    if (*page && isatty(STDERR_FILENO)) /* for people; in a log it would only be noise */
        fprintf(stderr, "  see: %s explain %s\n", cli_program.self.name, page);
}

typedef int load_function(struct pixi_settings *s, const char *path, struct pixi_buf *mistakes);

static int load_by(load_function *load, struct app *app, struct pixi_settings *s,
                   const struct settings_flag *flags)
{
    struct pixi_buf mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);
    int rc;

    pixi_settings_init(s);
    s->wants_no_key = app->wants_no_key;
    if (app->url)
        pixi_settings_override(s, "url", app->url, "--url", &mistakes);
    for (size_t i = 0; i < app->override_count; i++)
        pixi_settings_override(s, app->overrides[i].member, app->overrides[i].value, app->overrides[i].flag,
                               &mistakes);
    for (; flags->member; flags++)
        if (flags->value)
            pixi_settings_override(s, flags->member, flags->value, flags->flag, &mistakes);
    rc = load(s, app->settings_path, &mistakes);
    if (mistakes.len)
        tell_mistakes(app, pixi_buf_cur(&mistakes));
    else if (rc != PIXI_OK)
        tell(app, PIXI_EXIT_INTERNAL, "internal", "free memory on this machine", "settings: %s",
             pixi_err_text(rc));
    pixi_buf_clear(&mistakes);
    return rc == PIXI_OK ? 0 : rc == PIXI_E_SETTINGS ? PIXI_EXIT_SETTINGS : PIXI_EXIT_INTERNAL;
}

int load_settings_with(struct app *app, struct pixi_settings *s, const struct settings_flag *flags)
{
    return load_by(pixi_settings_load, app, s, flags);
}

static const struct settings_flag no_flags = {NULL, NULL, NULL};

int load_settings(struct app *app, struct pixi_settings *s)
{
    return load_by(pixi_settings_load, app, s, &no_flags);
}

int load_given_settings(struct app *app, struct pixi_settings *s)
{
    return load_by(pixi_settings_read, app, s, &no_flags);
}

void note_lost(const struct pixi_uplink *c, const struct pixi_failure *f, uint64_t in_ms)
{
    const char *next = c->settings->endpoints[c->policy.server].authority;

    if (c->settings->endpoint_count == 1)
        note("%s: %s; trying again in %.1f s", f->layer, f->cause, (double)in_ms / 1000);
    else if (in_ms)
        note("%s: %s; trying %s in %.1f s", f->layer, f->cause, next, (double)in_ms / 1000);
    else
        note("%s: %s; trying %s", f->layer, f->cause, next);
}

void note_key_log(const char *file, const struct pixi_settings *s)
{
    if (s->endpoints[0].is_tls)
        note("warning: %s gets this connection's TLS secrets; with them all that is sent, the API key too, "
             "can "
             "be read from a capture: delete it afterwards",
             file);
    else
        note("--key-log: ws:// has no TLS, nothing is written to %s", file);
}

static void on_signal(struct pixi_signals *signals, int signal)
{
    struct session *s = (struct session *)((char *)signals - offsetof(struct session, signals));

    if (s->on_interrupt && !s->is_ending) {
        s->is_ending = true;
        s->on_interrupt(s);
        return;
    }
    if (s->was_interrupted) { /* the second time: at once */
        s->is_over = true;
        return;
    }
    s->was_interrupted = true;
    s->exit_code = 128 + signal;
    pixi_uplink_close(&s->client);
}

/* Subscriptions are calls as well, but nobody is waiting for them to be over. */
static const char *answer_awaited(struct progress *p, uint64_t *total_ms)
{
    struct session *s = (struct session *)((char *)p - offsetof(struct session, progress));

    *total_ms = s->answer_ms;
    return s->answer_ms && s->client.call_count ? "waiting for the answer" : NULL;
}

/* By this machine's daemon, where one runs and nothing names another server: it has a connection already, and keeps what
 * it was given. */
static void consider_daemon(struct app *app, struct pixi_settings *s)
{
    char url[PIXI_URL_UNIX_MAX + 8];
    struct pixi_url daemon;
    int fd;

    snprintf(url, sizeof url, "unix:%s", s->daemon.socket);
    if (app->may_use_daemon && !app->url && s->dialect == PIXI_SETTINGS_PIXI_V1 &&
        (fd = local_open(s->daemon.socket)) >= 0) {
        close(fd);
        if (pixi_url_parse(pixi_cur_str(url), &daemon, NULL) == PIXI_OK) {
            s->endpoints[0] = daemon;
            s->endpoint_count = 1;
            s->proxies[0] = NULL;
        }
    }
    if (app->is_verbose)
        note("%s %s", s->endpoints[0].is_unix ? "by the daemon at" : "directly to",
             s->endpoints[0].is_unix ? s->endpoints[0].target : s->endpoints[0].authority);
}

int session_open(struct session *s, struct app *app, const struct pixi_uplink_handlers *h, unsigned flags)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, 0};
    struct pixi_failure f;
    int exit_code;

    *s = (struct session){.app = app, .signals = {.on_signal = on_signal}};
    exit_code = load_settings(app, &s->settings);
    if (exit_code) {
        pixi_settings_clear(&s->settings);
        return exit_code;
    }
    consider_daemon(app, &s->settings);
    if (pixi_loop_init(&s->loop) != PIXI_OK) {
        exit_code = tell_no_loop(app);
        pixi_settings_clear(&s->settings);
        return exit_code;
    }
    pixi_uplink_init(&s->client, &s->loop, &s->settings, h, s, flags);
    if (pixi_signals_open(&s->signals, &s->loop, ends) != PIXI_OK) {
        f = pixi_failure_local(PIXI_E_SYS, "signals");
    } else if (pixi_uplink_start(&s->client, &f) == PIXI_OK) {
        s->progress = (struct progress){.app = app,
                                        .loop = &s->loop,
                                        .dial = &s->client.dial,
                                        .link = &s->client.link,
                                        .settings = &s->settings,
                                        .endpoint = &s->client.policy.server,
                                        .on_open = answer_awaited};
        progress_start(&s->progress);
        return 0;
    }
    print_failure(app, &f);
    session_close(s);
    return f.exit_code;
}

int session_run(struct session *s)
{
    while (!s->is_over && pixi_loop_turn(&s->loop, -1) == PIXI_OK)
        ;
    return s->exit_code;
}

void session_finish(struct session *s, int exit_code)
{
    s->exit_code = exit_code;
    s->is_finished = true;
    pixi_uplink_close(&s->client);
}

void session_end(struct session *s, const struct pixi_failure *f)
{
    s->is_over = true;
    progress_hide();
    if (f->err == PIXI_OK || s->was_interrupted || s->is_finished)
        return; /* it was asked to end, has done its work, or has said why not: how the link closes changes nothing */
    print_failure(s->app, f);
    s->exit_code = f->exit_code;
}

void session_close(struct session *s)
{
    progress_stop(&s->progress);
    pixi_uplink_clear(&s->client);
    pixi_signals_close(&s->signals);
    pixi_loop_clear(&s->loop);
    pixi_settings_clear(&s->settings);
}
