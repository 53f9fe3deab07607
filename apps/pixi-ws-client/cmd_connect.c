#include "pixi-ws-client/cmd.h"
#include "pixi-ws-client/edit.h"
#include "pixi-ws-client/lines.h"

#include "base/base64.h"
#include "client/reach.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { PROTOCOL, BINARY, NO_KEY, WAIT, KEY_LOG };

enum { WAIT_MS = 500 }; /* unless --wait says otherwise; on a terminal not at all */

/* Raw messages, with any WebSocket server: a line in is a message out, a message in is a line out. */
struct connect {
    struct app *app;
    struct pixi_loop loop;
    struct pixi_settings settings;
    struct pixi_link_limits limits;
    struct pixi_link link;
    struct pixi_packer packer;
    struct pixi_dial dial;
    struct pixi_tls_context *tls;
    struct pixi_timer quiet; /* after the input's end: how long nothing has come */
    uint64_t wait_ms;
    bool is_input_over;
    struct pixi_signals signals;
    struct progress progress;
    struct lines lines; /* of a pipe or a file */
    struct edit edit;   /* of a terminal */
    bool is_edited;
    struct pixi_buf authorization;
    const char *protocol, *key_log;
    bool is_binary, is_over, is_dialled, was_interrupted;
    int exit_code;
};

#define OF(member, ptr) ((struct connect *)((char *)(ptr)-offsetof(struct connect, member)))

static struct pixi_failure_at failure_at(const struct connect *c)
{
    return pixi_reach_at(&c->settings, 0);
}

static void fail(struct connect *c, const struct pixi_failure *f)
{
    if (!c->exit_code) {
        print_failure(c->app, f);
        c->exit_code = f->exit_code;
    }
}

/* For people; above the line that is being typed. */
static void say(struct connect *c, const char *text)
{
    edit_hide(&c->edit);
    note("%s", text);
    edit_show(&c->edit);
}

/* false: too much waits to be sent, no more lines for now. */
static bool send_line(struct connect *c, struct pixi_cur line)
{
    size_t len = pixi_cur_left(&line);
    int rc;

    if (!c->is_binary && !pixi_utf8_is_valid(line.p, len)) {
        say(c, "this line is not UTF-8 and was not sent; --binary sends any bytes");
        return true;
    }
    rc = pixi_link_send(&c->link, c->is_binary ? PIXI_WS_BINARY : PIXI_WS_TEXT, line.p, len);
    if (rc != PIXI_OK && rc != PIXI_E_WS_CLOSED) {
        struct pixi_failure f = pixi_failure_call(rc, "a line could not be sent", pixi_cur_init(NULL, 0));

        fail(c, &f);
        pixi_link_close(&c->link, PIXI_WS_CLOSE_DONE, NULL);
    } else if (pixi_link_waiting(&c->link) > c->limits.queue_bytes / 4) {
        pixi_link_want_drained(&c->link);
        return false;
    }
    return true;
}

static void on_line(struct lines *l, struct pixi_cur line)
{
    if (!send_line(OF(lines, l), line))
        lines_pause(l);
}

static void on_typed(struct edit *e, struct pixi_cur line)
{
    if (!send_line(OF(edit, e), line))
        edit_pause(e);
}

/* On a terminal nothing more is waited for. */
static void on_typed_end(struct edit *e)
{
    struct connect *c = OF(edit, e);

    c->is_input_over = true;
    pixi_loop_set_timer(&c->loop, &c->quiet, c->wait_ms);
}

static void on_lines_end(struct lines *l, int err)
{
    struct connect *c = OF(lines, l);

    if (err != PIXI_OK && !c->exit_code)
        c->exit_code = tell_input(c->app, err, l->sys_errno);
    c->is_input_over = true;
    pixi_loop_set_timer(&c->loop, &c->quiet, c->wait_ms);
}

/* Many servers stop answering when they hear a close: it is said when they have fallen silent. What comes even later is
 * heard all the same (link.hears_out). */
static void on_quiet(struct pixi_timer *t)
{
    pixi_link_close(&OF(quiet, t)->link, PIXI_WS_CLOSE_DONE, NULL);
}

static void on_open(struct pixi_link *k, struct pixi_cur protocol)
{
    struct connect *c = OF(link, k);

    if (isatty(STDERR_FILENO))
        note("connected%s%.*s; a line is a message, Ctrl-D ends", protocol.p ? ", " : "",
             (int)pixi_cur_left(&protocol), protocol.p ? (const char *)protocol.p : "");
    if (edit_is_possible()) {
        c->edit.on_line = on_typed;
        c->edit.on_end = on_typed_end;
        c->is_edited = edit_open(&c->edit, &c->loop) == PIXI_OK;
        if (c->is_edited)
            return; /* cmd_connect runs it, from outside the loop */
    }
    c->lines.on_line = on_line;
    c->lines.on_end = on_lines_end;
    lines_open(&c->lines, &c->loop, STDIN_FILENO, c->settings.limits.message_bytes);
}

static void print_binary(const uint8_t *bytes, size_t len)
{
    struct pixi_buf b = pixi_buf_init(pixi_base64_size(len) + 1);

    pixi_base64_put(&b, PIXI_BASE64_STD, bytes, len);
    printf("binary %zu bytes: %.*s\n", len, (int)b.len, (const char *)b.bytes);
    pixi_buf_clear(&b);
}

static void on_message(struct pixi_link *k, enum pixi_ws_opcode type, uint8_t *bytes, size_t len)
{
    struct connect *c = OF(link, k);

    progress_hide();
    edit_hide(&c->edit);
    if (c->is_input_over && pixi_timer_is_set(&c->quiet))
        pixi_loop_set_timer(&c->loop, &c->quiet, c->wait_ms);
    if (type == PIXI_WS_BINARY && !c->is_binary) {
        print_binary(bytes, len);
    } else {
        fwrite(bytes, 1, len, stdout);
        if (type == PIXI_WS_TEXT)
            putchar('\n');
    }
    if (fflush(stdout) != 0 && !c->exit_code) {
        c->exit_code = tell_output(c->app);
        pixi_link_close(k, PIXI_WS_CLOSE_DONE, NULL);
    }
    edit_show(&c->edit);
}

static void on_refused(struct pixi_link *k, const struct pixi_http_head *head, struct pixi_cur body)
{
    struct connect *c = OF(link, k);
    struct pixi_failure_at at = failure_at(c);
    struct pixi_failure f = pixi_failure_refused(&at, head, body);

    fail(c, &f);
}

static void on_drained(struct pixi_link *k)
{
    lines_resume(&OF(link, k)->lines);
    edit_resume(&OF(link, k)->edit);
}

static void note_close(const struct pixi_link_end *end)
{
    char reason[PIXI_FAILURE_TEXT];

    pixi_failure_escape(end->reason, reason, sizeof reason);
    note("closed by the server with %u%s%s", end->code, *reason ? ": " : "", reason);
}

static void on_close(struct pixi_link *k, const struct pixi_link_end *end)
{
    struct connect *c = OF(link, k);
    struct pixi_failure_at at = failure_at(c);
    struct pixi_failure f;

    c->is_over = true;
    progress_hide();
    edit_stop(&c->edit);
    if (end->err == PIXI_OK && (end->is_ours || end->code == PIXI_WS_CLOSE_DONE)) {
        if (isatty(STDERR_FILENO) && !end->is_ours)
            note_close(end);
        return;
    }
    f = pixi_failure_end(&at, end, k);
    fail(c, &f);
}

static void say_hello(struct connect *c)
{
    c->link.hears_out = true;
    pixi_reach_hello(&c->link, &c->settings, 0, c->protocol, &c->authorization);
}

static void on_secured(struct pixi_link *k)
{
    say_hello(OF(link, k));
}

static const struct pixi_link_handlers handlers = {
    .on_secured = on_secured,
    .on_refused = on_refused,
    .on_open = on_open,
    .on_message = on_message,
    .on_drained = on_drained,
    .on_close = on_close,
};

static void on_dialled(struct pixi_dial *d, int err)
{
    struct connect *c = OF(dial, d);
    struct pixi_failure_at at = failure_at(c);
    struct pixi_failure f;

    if (err != PIXI_OK) {
        f = pixi_failure_dial(err, &at, d->text);
    } else if (!c->tls) {
        say_hello(c);
        return;
    } else if (pixi_reach_secure(&c->link, &c->settings, 0, c->tls) == PIXI_OK) {
        return;
    } else {
        f = pixi_failure_local(PIXI_E_NOMEM, "TLS");
    }
    fail(c, &f);
    c->is_over = true;
}

static void on_signal(struct pixi_signals *signals, int signal)
{
    struct connect *c = OF(signals, signals);

    if (signal == SIGWINCH) {
        edit_resize(&c->edit);
        return;
    }
    edit_stop(&c->edit);
    if (!c->exit_code)
        c->exit_code = 128 + signal;
    if (c->was_interrupted || c->link.state == PIXI_LINK_CLOSED)
        c->is_over = true;
    c->was_interrupted = true;
    pixi_link_close(&c->link, PIXI_WS_CLOSE_DONE, NULL);
}

static int read_options(struct connect *c, int argc, char **argv)
{
    const struct cli_command *command = cli_command_of("connect");
    const char *value;
    int option, index = 0;

    while ((option = cli_next(command, argc, argv, &index, &value)) != CLI_END) {
        if (option < 0)
            return option == CLI_HELP ? -1 : PIXI_EXIT_USAGE;
        if (option == PROTOCOL)
            c->protocol = value;
        else if (option == BINARY)
            c->is_binary = true;
        else if (option == NO_KEY)
            c->app->wants_no_key = true;
        else if (option == KEY_LOG)
            c->key_log = value;
        else if (!read_seconds("--wait", value, &c->wait_ms))
            return PIXI_EXIT_USAGE;
    }
    if (argc - index > 1)
        return cli_usage_error(command, "expected at most one URL");
    if (argc - index == 1)
        c->app->url = argv[index];
    return 0;
}

/* The key goes along only where the settings say that it may. */
static int take_key(struct connect *c)
{
    struct pixi_failure f;

    c->settings.endpoint_count = 1; /* no choosing here */
    if (pixi_reach_check(&c->settings, &f) != PIXI_OK ||
        pixi_reach_trust(&c->settings, c->key_log, &c->tls, &f) != PIXI_OK) {
        print_failure(c->app, &f);
        return f.exit_code;
    }
    if (c->key_log)
        note_key_log(c->key_log, &c->settings);
    c->authorization = pixi_buf_init(PIXI_SETTINGS_KEY_MAX + 16);
    pixi_reach_authorize(&c->settings, &c->authorization);
    return 0;
}

static int start(struct connect *c)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, 0};
    const struct pixi_settings *s = &c->settings;

    c->limits = pixi_reach_limits(s);
    c->signals.on_signal = on_signal;
    if (pixi_signals_open(&c->signals, &c->loop, ends) != PIXI_OK) {
        struct pixi_failure f = pixi_failure_local(PIXI_E_SYS, "signals");

        print_failure(c->app, &f);
        return f.exit_code;
    }
    pixi_link_init(&c->link, &c->loop, PIXI_CLIENT, &handlers, &c->limits);
    pixi_packer_init(&c->packer, PIXI_PACKER_MIN, PIXI_PACKER_LEVEL);
    c->link.packer = s->compression ? &c->packer : NULL;
    c->dial.on_done = on_dialled;
    pixi_reach_dial(&c->dial, &c->loop, &c->link, s, 0);
    c->progress =
        (struct progress){.app = c->app, .loop = &c->loop, .dial = &c->dial, .link = &c->link, .settings = s};
    progress_start(&c->progress);
    return 0;
}

static void clear(struct connect *c)
{
    progress_stop(&c->progress);
    edit_close(&c->edit);
    pixi_dial_cancel(&c->dial);
    pixi_loop_cancel_timer(&c->loop, &c->quiet);
    pixi_link_drop(&c->link, PIXI_E_WS_CLOSED);
    lines_close(&c->lines);
    while (c->link.last.is_queued)
        pixi_loop_turn(&c->loop, 0);
    pixi_signals_close(&c->signals);
    pixi_loop_clear(&c->loop);
    pixi_packer_clear(&c->packer);
    if (c->authorization.bytes)
        explicit_bzero(c->authorization.bytes, c->authorization.cap);
    pixi_buf_clear(&c->authorization);
}

int cmd_connect(struct app *app, int argc, char **argv)
{
    struct connect c = {
        .app = app, .quiet = {.on_due = on_quiet}, .wait_ms = isatty(STDIN_FILENO) ? 0 : WAIT_MS};
    int exit_code = read_options(&c, argc, argv);

    if (exit_code)
        return exit_code < 0 ? 0 : exit_code;
    exit_code = load_settings(app, &c.settings);
    if (!exit_code)
        exit_code = take_key(&c);
    if (!exit_code && pixi_loop_init(&c.loop) != PIXI_OK)
        exit_code = tell_no_loop(app);
    if (!exit_code) {
        exit_code = start(&c);
        while (!exit_code && !c.is_over && pixi_loop_turn(&c.loop, -1) == PIXI_OK)
            if (c.is_edited && !c.edit.is_over)
                edit_run(&c.edit);
        if (!exit_code)
            exit_code = c.exit_code;
        clear(&c);
    }
    pixi_tls_context_free(c.tls);
    pixi_settings_clear(&c.settings);
    return exit_code;
}
