#include "pixi-ws-client/cmd.h"
#include "pixi-ws-client/lines.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <unistd.h>

enum { RETAIN, EXPIRY, HEADER, FILE_, TIMEOUT };
enum { WINDOW = 256 }; /* messages sent and not yet answered */

struct send {
    struct session session;
    struct payload payload;
    struct lines lines;
    const char *topic, *file;
    bool is_lines, is_retained, has_expiry, is_read;
    uint64_t expiry_s, timeout_ms;
    char producer[37]; /* UUID: makes sending again harmless */
    uint64_t seq, low; /* low: all below are answered */
    uint64_t stored;
};

static struct send *send_of(struct pixi_uplink *c)
{
    return (struct send *)((char *)session_of(c) - offsetof(struct send, session));
}

static void print_stored(struct send *s, const struct pixi_rpc_params *p)
{
    struct pixi_buf b = pixi_buf_init(1 << 20);
    struct pixi_json_out w = pixi_json_out_init(&b);

    s->stored++;
    if (!s->session.app->is_json)
        return;
    pixi_json_open_object(&w);
    pixi_json_name(&w, "topic");
    pixi_json_text(&w, s->topic);
    if (p->position.offset)
        pixi_rpc_put_position(&w, p->position);
    pixi_json_close_object(&w);
    progress_hide();
    printf("%.*s\n", (int)b.len, (const char *)b.bytes);
    pixi_buf_clear(&b);
}

static void finish_if_done(struct send *s)
{
    if (!s->is_read || s->low <= s->seq)
        return;
    fflush(stdout);
    if (s->is_lines && !s->session.app->is_json)
        note("%llu messages stored", (unsigned long long)s->stored);
    session_finish(&s->session, 0);
}

static void on_answer(struct pixi_uplink *c, void *ctx, const struct pixi_uplink_answer *a)
{
    struct send *s = send_of(c);

    (void)ctx;
    if (s->session.is_over || s->session.was_interrupted || s->session.exit_code)
        return;
    if (a->failure) {
        print_failure(s->session.app, a->failure);
        if (s->is_lines)
            note("%llu messages were stored, this one and what follows were not",
                 (unsigned long long)s->stored);
        session_finish(&s->session, a->failure->exit_code);
        return;
    }
    s->low++;
    print_stored(s, a->p);
    lines_resume(&s->lines);
    finish_if_done(s);
}

/* PIXI_OK or the exit code. */
static int publish(struct send *s, struct pixi_cur payload)
{
    struct pixi_uplink_out m = {.topic = s->topic,
                                .payload = payload,
                                .is_json = pixi_rpc_is_json(payload),
                                .headers = pixi_buf_cur(&s->payload.headers),
                                .is_retained = s->is_retained,
                                .has_expiry = s->has_expiry,
                                .expiry_s = s->expiry_s,
                                .producer = s->producer,
                                .seq = ++s->seq,
                                .low = s->low};

    if (pixi_uplink_publish(&s->session.client, &m, s->timeout_ms, on_answer, NULL) == PIXI_OK)
        return 0;
    return tell(s->session.app, PIXI_EXIT_USAGE, "limits", FIX_MESSAGE_BYTES,
                "a message of %zu bytes is over limits.message_bytes (%llu)", pixi_cur_left(&payload),
                (unsigned long long)s->session.settings.limits.message_bytes);
}

static void on_line(struct lines *l, struct pixi_cur line)
{
    struct send *s = (struct send *)((char *)l - offsetof(struct send, lines));
    int exit_code = publish(s, line);

    if (exit_code)
        session_finish(&s->session, exit_code);
    else if (s->session.client.call_count >= WINDOW)
        lines_pause(l);
}

static void on_lines_end(struct lines *l, int err)
{
    struct send *s = (struct send *)((char *)l - offsetof(struct send, lines));

    if (err != PIXI_OK) {
        session_finish(&s->session, tell_input(s->session.app, err, l->sys_errno));
        return;
    }
    s->is_read = true;
    finish_if_done(s);
}

static void on_end(struct pixi_uplink *c, const struct pixi_failure *f)
{
    session_end(session_of(c), f);
}

static void on_lost(struct pixi_uplink *c, const struct pixi_failure *f, uint64_t in_ms)
{
    if (!session_of(c)->app->is_json)
        note_lost(c, f, in_ms);
}

static const struct pixi_uplink_handlers handlers = {.on_end = on_end, .on_lost = on_lost};

static int make_producer(char out[37])
{
    uint8_t b[16];
    char *p = out;

    if (RAND_bytes(b, sizeof b) != 1)
        return PIXI_EXIT_INTERNAL;
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* RFC 9562 §5.4: version 4 */
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof b; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        p += snprintf(p, 3, "%02x", b[i]);
    }
    return 0;
}

static int take_option(struct send *s, int option, const char *value)
{
    switch (option) {
    case RETAIN: s->is_retained = true; return 0;
    case EXPIRY:
        s->has_expiry = true;
        return read_count("--expiry", value, &s->expiry_s) ? 0 : PIXI_EXIT_USAGE;
    case HEADER: return payload_add_header(&s->payload, value);
    case FILE_: s->file = value; return 0;
    default: return read_seconds("--timeout", value, &s->timeout_ms) ? 0 : PIXI_EXIT_USAGE;
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
    s->topic = argv[index];
    if (!pixi_utf8_is_valid((const uint8_t *)s->topic, strlen(s->topic)))
        return cli_usage_error(command, "the topic is not UTF-8");
    s->is_lines = argc - index == 2 && strcmp(argv[index + 1], "-") == 0;
    if (s->file)
        return payload_read_file(s->session.app, &s->payload, s->file, 64 << 20);
    s->payload.bytes = pixi_buf_init(64 << 20);
    if (argc - index == 2 && !s->is_lines)
        pixi_buf_put_str(&s->payload.bytes, argv[index + 1]);
    return 0;
}

static int run(struct send *s)
{
    int exit_code = 0;

    s->low = 1;
    if (!s->timeout_ms)
        s->timeout_ms = s->session.settings.timeouts.request_ms;
    s->session.answer_ms = s->timeout_ms;
    if (s->is_lines) {
        s->lines.on_line = on_line;
        s->lines.on_end = on_lines_end;
        lines_open(&s->lines, &s->session.loop, STDIN_FILENO, s->session.settings.limits.message_bytes);
    } else {
        s->is_read = true;
        exit_code = publish(s, pixi_buf_cur(&s->payload.bytes));
    }
    if (!exit_code)
        exit_code = session_run(&s->session);
    lines_close(&s->lines);
    return exit_code;
}

int cmd_send(struct app *app, int argc, char **argv)
{
    struct send s = {.session.app = app};
    int exit_code = read_options(&s, argc, argv);

    if (!exit_code)
        exit_code = make_producer(s.producer);
    if (!exit_code)
        exit_code = session_open(&s.session, app, &handlers, PIXI_RETRY_LOST);
    if (!exit_code) {
        exit_code = run(&s);
        session_close(&s.session);
    }
    payload_clear(&s.payload);
    return exit_code < 0 ? 0 : exit_code;
}
