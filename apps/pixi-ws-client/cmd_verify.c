#include "pixi-ws-client/cmd.h"

#include "verify/report.h"

#include <signal.h>

enum { QUICK, LIST, KEY_LOG };

static volatile sig_atomic_t was_stopped;

static void on_stop(int signal)
{
    was_stopped = signal;
}

static void print_list(void)
{
    size_t count;
    const struct pixi_verify_row *rows = pixi_verify_table(&count);

    for (size_t i = 0; i < count; i++)
        printf("%-10s %-16s %s\n", rows[i].layer, rows[i].id, rows[i].title);
}

/* A report as text, and while a check waits a line that says for what. */
struct told {
    struct pixi_verify_text text;
    struct pixi_verify_report plain; /* text's own */
    const struct app *app;
    const struct pixi_verify_row *row;
    uint64_t deadline_ms, since_ms; /* of the wait under way */
};

static struct told *told_of(struct pixi_verify_report *report)
{
    return (struct told *)(void *)report; /* its first member's first member */
}

static void on_start(struct pixi_verify_report *report, const struct pixi_verify_row *row)
{
    told_of(report)->row = row;
}

static void on_result(struct pixi_verify_report *report, const struct pixi_verify_result *r)
{
    progress_hide();
    told_of(report)->plain.on_result(report, r);
}

static void on_wait(void *ctx, uint64_t deadline_ms)
{
    struct told *t = ctx;
    uint64_t now = pixi_clock_mono_ms();
    char what[200];

    if (t->deadline_ms != deadline_ms) {
        t->deadline_ms = deadline_ms;
        t->since_ms = now;
    }
    if (t->row && deadline_ms > t->since_ms) {
        snprintf(what, sizeof what, "%s: %s?", t->row->id, t->row->title);
        progress_show(t->app, what, now - t->since_ms, deadline_ms - t->since_ms);
    }
}

static void tell_text(struct told *t, struct pixi_verify_settings *set)
{
    pixi_verify_text_init(&t->text, stdout, cli_wants_color(stdout) ? PIXI_VERIFY_COLOR : PIXI_VERIFY_PLAIN);
    t->plain = t->text.report;
    t->text.report.on_start = on_start;
    t->text.report.on_result = on_result;
    set->on_wait = on_wait;
    set->ctx = t;
}

static int run(const struct app *app, struct pixi_verify_settings *set)
{
    struct told told = {.app = app};
    struct pixi_verify_json json;
    struct pixi_verify_summary summary = {.exit_code = PIXI_EXIT_INTERNAL};
    struct pixi_verify_report *report = &told.text.report;
    int rc;

    if (app->is_json) {
        pixi_verify_json_init(&json, stdout, set->url);
        report = &json.report;
    } else {
        tell_text(&told, set);
    }
    rc = pixi_verify_run(set, report, &summary);
    progress_hide();
    if (app->is_json)
        pixi_verify_json_clear(&json);
    if (rc != PIXI_OK)
        note("verify: %s", pixi_err_text(rc));
    return was_stopped ? 128 + (int)was_stopped : rc == PIXI_OK ? summary.exit_code : PIXI_EXIT_INTERNAL;
}

static int read_options(struct app *app, int argc, char **argv, struct pixi_verify_settings *set)
{
    const struct cli_command *command = cli_command_of("verify");
    const char *value;
    int option, index = 0;

    while ((option = cli_next(command, argc, argv, &index, &value)) != CLI_END) {
        if (option < 0)
            return option == CLI_HELP ? -1 : PIXI_EXIT_USAGE;
        if (option == LIST) {
            print_list();
            return -1;
        }
        if (option == KEY_LOG)
            set->tls.key_log_file = value;
        else
            set->quick = true;
    }
    if (argc - index > 1)
        return cli_usage_error(command, "expected at most one URL");
    if (argc - index == 1)
        app->url = argv[index];
    return 0;
}

static void take_tls(const struct pixi_settings *s, struct pixi_verify_settings *set)
{
    set->tls.ca_file = s->tls_files.ca_file;
    set->tls.cert_file = s->tls_files.cert_file;
    set->tls.key_file = s->tls_files.key_file;
    set->tls.min_version = (enum pixi_tls_version)s->tls.min_version;
    set->tls_for = (struct pixi_tls_peer){
        .name = s->tls.server_name, .pins = s->pins, .pin_count = s->tls.pin_sha256.count};
}

int cmd_verify(struct app *app, int argc, char **argv)
{
    struct sigaction stop = {.sa_handler = on_stop};
    struct pixi_verify_settings set = {.stop = &was_stopped};
    struct pixi_settings s;
    int exit_code = read_options(app, argc, argv, &set);

    if (exit_code)
        return exit_code < 0 ? 0 : exit_code;
    exit_code = load_settings(app, &s);
    if (exit_code) {
        pixi_settings_clear(&s);
        return exit_code;
    }
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGHUP, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);
    set.url = app->url ? app->url : s.urls.count ? (const char *)s.urls.at[0].p : s.url;
    set.api_key = s.key;
    set.key_origin = s.key_from;
    set.key_kept_for = s.key_kept_for;
    set.settings_file = app->settings_path;
    set.allow_plaintext = s.allow_plaintext;
    set.proxy = s.proxies[0];
    take_tls(&s, &set);
    if (set.tls.key_log_file)
        note_key_log(set.tls.key_log_file, &s);
    set.connect_ms = (uint32_t)s.timeouts.connect_ms;
    set.tls_ms = (uint32_t)s.timeouts.tls_ms;
    set.upgrade_ms = (uint32_t)s.timeouts.upgrade_ms;
    set.request_ms = s.timeouts.request_ms < 5000 ? (uint32_t)s.timeouts.request_ms : 5000;
    set.close_ms = (uint32_t)s.timeouts.close_ms;
    exit_code = run(app, &set);
    pixi_settings_clear(&s);
    return exit_code;
}
