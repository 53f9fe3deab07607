#include "pixi-ws-client/cmd.h"

#include <stdio.h>

enum { TIMEOUT, FILE_, HEADER, DIRECT };

struct request {
    struct payload payload;
    const char *topic;
    uint64_t timeout_ms;
};

static void print_reply(const struct session *s, const struct pixi_rpc_params *p)
{
    struct pixi_buf b;
    struct pixi_json_out w;

    progress_hide();
    if (!s->app->is_json) {
        fwrite(p->payload.p, 1, pixi_cur_left(&p->payload), stdout);
        if (p->payload.p == p->payload.end || p->payload.end[-1] != '\n')
            putchar('\n');
        return;
    }
    b = pixi_buf_init(SIZE_MAX / 2);
    w = pixi_json_out_init(&b);
    pixi_json_open_object(&w);
    pixi_rpc_put_payload(&w, p->payload, p->is_json);
    pixi_rpc_put_headers(&w, p->headers);
    pixi_json_close_object(&w);
    fwrite(b.bytes, 1, b.len, stdout);
    putchar('\n');
    pixi_buf_clear(&b);
}

static void on_answer(struct pixi_uplink *c, void *ctx, const struct pixi_uplink_answer *a)
{
    struct session *s = session_of(c);

    (void)ctx;
    if (s->is_over || s->was_interrupted)
        return;
    if (a->failure) {
        print_failure(s->app, a->failure);
        session_finish(s, a->failure->exit_code);
    } else {
        print_reply(s, a->p);
        session_finish(s, 0);
    }
}

static void on_end(struct pixi_uplink *c, const struct pixi_failure *f)
{
    session_end(session_of(c), f);
}

static const struct pixi_uplink_handlers handlers = {.on_end = on_end};

static int send_request(struct session *s, const struct request *r)
{
    uint64_t timeout_ms = r->timeout_ms ? r->timeout_ms : s->settings.timeouts.request_ms;
    struct pixi_cur payload = pixi_buf_cur(&r->payload.bytes);
    struct pixi_uplink_out m = {.topic = r->topic,
                                .payload = payload,
                                .is_json = pixi_rpc_is_json(payload),
                                .headers = pixi_buf_cur(&r->payload.headers),
                                .responder_ms = timeout_ms};

    s->answer_ms = timeout_ms;
    /* the server keeps the time; ours is for a server that does not answer at all */
    return pixi_uplink_request(&s->client, &m, timeout_ms + s->settings.timeouts.connect_ms, on_answer, NULL);
}

static int read_options(struct app *app, struct request *r, int argc, char **argv, int *index)
{
    const struct cli_command *command = cli_command_of("request");
    const char *value, *file = NULL;
    int option, rc = 0;

    app->may_use_daemon = true;
    while ((option = cli_next(command, argc, argv, index, &value)) >= 0 && rc == 0) {
        if (option == TIMEOUT)
            rc = read_seconds("--timeout", value, &r->timeout_ms) ? 0 : PIXI_EXIT_USAGE;
        else if (option == FILE_)
            file = value;
        else if (option == DIRECT)
            app->may_use_daemon = false;
        else if (option == HEADER)
            rc = payload_add_header(&r->payload, value);
    }
    if (rc || option < CLI_END)
        return rc ? rc : option == CLI_HELP ? -1 : PIXI_EXIT_USAGE;
    if (argc - *index < 1 || argc - *index > (file ? 1 : 2))
        return cli_usage_error(command, "expected TOPIC and at most one payload");
    r->topic = argv[*index];
    rc = check_topic(app, r->topic);
    if (rc)
        return rc;
    if (file || (argc - *index == 2 && strcmp(argv[*index + 1], "-") == 0))
        return payload_read_file(app, &r->payload, file ? file : "-", 64 << 20);
    r->payload.bytes = pixi_buf_init(64 << 20);
    if (argc - *index == 2)
        pixi_buf_put_str(&r->payload.bytes, argv[*index + 1]);
    return 0;
}

int cmd_request(struct app *app, int argc, char **argv)
{
    struct request r = {0};
    struct session s;
    int index = 0, exit_code = read_options(app, &r, argc, argv, &index);

    if (!exit_code)
        exit_code = session_open(&s, app, &handlers, 0);
    if (exit_code) {
        payload_clear(&r.payload);
        return exit_code < 0 ? 0 : exit_code;
    }
    if (send_request(&s, &r) == PIXI_OK) {
        exit_code = session_run(&s);
    } else {
        exit_code = tell_too_large(app, &s.settings, pixi_buf_cur(&r.payload.bytes));
    }
    session_close(&s);
    payload_clear(&r.payload);
    return exit_code;
}
