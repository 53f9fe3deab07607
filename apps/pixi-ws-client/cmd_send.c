#include "pixi-ws-client/lines.h"
#include "pixi-ws-client/publisher.h"

#include <stdio.h>
#include <unistd.h>

enum { RETAIN, EXPIRY, HEADER, FILE_, TIMEOUT, DIRECT };

struct send {
    struct publisher publisher;
    struct payload payload;
    struct lines lines;
    struct publication message;
    const char *file;
    bool is_lines;
};

static struct send *send_of(struct publisher *p)
{
    return (struct send *)((char *)p - offsetof(struct send, publisher));
}

static void print_stored(struct publisher *p, const struct pixi_rpc_params *position)
{
    struct pixi_buf b = pixi_buf_init(1 << 20);
    struct pixi_json_out w = pixi_json_out_init(&b);

    pixi_json_open_object(&w);
    pixi_json_name(&w, "topic");
    pixi_json_text(&w, send_of(p)->message.topic);
    if (position->position.offset)
        pixi_rpc_put_position(&w, position->position);
    if (position->seen & PIXI_RPC_HAS_ID) {
        pixi_json_name(&w, "queued"); /* by the daemon */
        pixi_json_number(&w, position->id);
    }
    pixi_json_close_object(&w);
    progress_hide();
    printf("%.*s\n", (int)b.len, (const char *)b.bytes);
    pixi_buf_clear(&b);
}

static void on_room(struct publisher *p)
{
    lines_resume(&send_of(p)->lines);
}

static void on_done(struct publisher *p)
{
    fflush(stdout);
    if (send_of(p)->is_lines && !p->session.app->is_json)
        note("%llu messages stored", (unsigned long long)p->stored);
}

static void on_failed(struct publisher *p)
{
    if (send_of(p)->is_lines)
        note("%llu messages were stored, this one and what follows were not", (unsigned long long)p->stored);
}

static void on_line(struct lines *l, struct pixi_cur line)
{
    struct send *s = (struct send *)((char *)l - offsetof(struct send, lines));
    int exit_code;

    s->message.payload = line;
    exit_code = publisher_put(&s->publisher, &s->message);
    if (exit_code)
        session_finish(&s->publisher.session, exit_code);
    else if (publisher_is_full(&s->publisher))
        lines_pause(l);
}

static void on_lines_end(struct lines *l, int err)
{
    struct send *s = (struct send *)((char *)l - offsetof(struct send, lines));

    if (err == PIXI_OK)
        publisher_end(&s->publisher);
    else
        session_finish(&s->publisher.session, tell_input(s->publisher.session.app, err, l->sys_errno));
}

static int take_option(struct send *s, int option, const char *value)
{
    switch (option) {
    case RETAIN: s->message.is_retained = true; return 0;
    case EXPIRY:
        s->message.has_expiry = true;
        return read_count("--expiry", value, &s->message.expiry_s) ? 0 : PIXI_EXIT_USAGE;
    case HEADER: return payload_add_header(&s->payload, value);
    case FILE_: s->file = value; return 0;
    case DIRECT: s->publisher.session.app->may_use_daemon = false; return 0;
    default: return read_seconds("--timeout", value, &s->publisher.timeout_ms) ? 0 : PIXI_EXIT_USAGE;
    }
}

static int read_options(struct send *s, int argc, char **argv)
{
    const struct cli_command *command = cli_command_of("send");
    const char *value;
    int option, index = 0, rc = 0;

    while (rc == 0 && (option = cli_next(command, argc, argv, &index, &value)) != CLI_END) {
        if (option < 0)
            return option == CLI_HELP ? -1 : PIXI_EXIT_USAGE;
        rc = take_option(s, option, value);
    }
    if (rc)
        return rc;
    if (argc - index < 1 || argc - index > (s->file ? 1 : 2))
        return cli_usage_error(command, "expected TOPIC and at most one payload");
    s->message.topic = argv[index];
    rc = check_topic(s->publisher.session.app, s->message.topic);
    if (rc)
        return rc;
    s->is_lines = argc - index == 2 && strcmp(argv[index + 1], "-") == 0;
    if (s->file)
        return payload_read_file(s->publisher.session.app, &s->payload, s->file, 64 << 20);
    s->payload.bytes = pixi_buf_init(64 << 20);
    if (argc - index == 2 && !s->is_lines)
        pixi_buf_put_str(&s->payload.bytes, argv[index + 1]);
    return 0;
}

static int run(struct send *s)
{
    struct session *session = &s->publisher.session;
    int exit_code = 0;

    s->message.headers = pixi_buf_cur(&s->payload.headers);
    if (s->is_lines) {
        s->lines.on_line = on_line;
        s->lines.on_end = on_lines_end;
        lines_open(&s->lines, &session->loop, STDIN_FILENO, session->settings.limits.message_bytes);
    } else {
        s->message.payload = pixi_buf_cur(&s->payload.bytes);
        exit_code = publisher_put(&s->publisher, &s->message);
        s->publisher.is_all = true;
    }
    if (!exit_code)
        exit_code = session_run(session);
    lines_close(&s->lines);
    return exit_code;
}

int cmd_send(struct app *app, int argc, char **argv)
{
    struct send s = {
        .publisher = {.session.app = app, .on_room = on_room, .on_done = on_done, .on_failed = on_failed}};
    int exit_code;

    app->may_use_daemon = true;
    exit_code = read_options(&s, argc, argv);
    if (app->is_json)
        s.publisher.on_stored = print_stored;
    if (!exit_code)
        exit_code = publisher_open(&s.publisher, app, NULL);
    if (!exit_code) {
        exit_code = run(&s);
        session_close(&s.publisher.session);
    }
    payload_clear(&s.payload);
    return exit_code < 0 ? 0 : exit_code;
}
