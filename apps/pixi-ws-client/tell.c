/* Failures that this program finds by itself, told as those of a connection are: layer, cause, fix. */
#include "pixi-ws-client/cmd.h"
#include "base/topic.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int tell(const struct app *app, int exit_code, const char *layer, const char *fix, const char *cause, ...)
{
    struct pixi_failure f = {.err = PIXI_E_SYS, .exit_code = exit_code, .layer = layer, .is_final = true};
    char text[PIXI_FAILURE_TEXT];
    va_list args;

    va_start(args, cause);
    vsnprintf(text, sizeof text, cause, args);
    va_end(args);
    pixi_failure_escape(text, f.cause, sizeof f.cause);
    snprintf(f.fix, sizeof f.fix, "%s", fix);
    if (strcmp(layer, "limits") == 0)
        f.err = PIXI_E_LIMIT;
    else if (strcmp(layer, "settings") == 0)
        f.err = PIXI_E_SETTINGS;
    else if (strcmp(layer, "usage") == 0)
        f.err = PIXI_E_TOPIC;
    print_failure(app, &f);
    return exit_code;
}

#define FIX_TOPIC "a topic has no '+' or '#'; in a filter '+' stands for a whole level and '#' for the rest"

int check_topic(const struct app *app, const char *topic)
{
    if (pixi_topic_check(pixi_cur_str(topic)) == PIXI_OK)
        return 0;
    return tell(app, PIXI_EXIT_USAGE, "usage", FIX_TOPIC,
                "bad topic: a topic is 1 to 65535 bytes of UTF-8 without '+', '#' or U+0000");
}

int check_filter(const struct app *app, const char *filter)
{
    if (pixi_filter_check(pixi_cur_str(filter)) == PIXI_OK)
        return 0;
    return tell(app, PIXI_EXIT_USAGE, "usage", FIX_TOPIC,
                "bad topic filter: '+' stands for a whole level, '#' only as the last one, in UTF-8");
}

int tell_output(const struct app *app)
{
    if (errno == EPIPE)
        return 0; /* as head does: nothing is wrong */
    return tell(app, PIXI_EXIT_INTERNAL, "disk", "free space where the output goes, or send it elsewhere",
                "standard output cannot be written: %s", strerror(errno));
}

#define FIX_MESSAGE_BYTES "send less at a time, or raise limits.message_bytes here and at the server"

int tell_too_large(const struct app *app, const struct pixi_settings *s, struct pixi_cur payload)
{
    size_t len = pixi_cur_left(&payload);
    const char *how = len > s->limits.message_bytes ? ""
                      : s->dialect == PIXI_SETTINGS_PIXI_V1 && !pixi_rpc_is_json(payload)
                          ? ", in base64 as it is no JSON,"
                          : ", with what goes around it,";

    return tell(app, PIXI_EXIT_USAGE, "limits", FIX_MESSAGE_BYTES,
                "a message of %zu bytes%s is over limits.message_bytes (%llu)", len, how,
                (unsigned long long)s->limits.message_bytes);
}

int tell_input(const struct app *app, int err, int sys_errno)
{
    if (err == PIXI_E_SYS)
        return tell(app, PIXI_EXIT_USAGE, "disk", "give it an input that can be read",
                    "standard input cannot be read: %s", strerror(sys_errno));
    return tell(app, PIXI_EXIT_USAGE, "limits", FIX_MESSAGE_BYTES,
                "a line of standard input is over limits.message_bytes");
}

int tell_no_loop(const struct app *app)
{
    return tell(app, PIXI_EXIT_INTERNAL, "internal",
                "let this program open more files (ulimit -n), or free memory on this machine",
                "no event loop: %s", strerror(errno));
}

static void put_text(struct pixi_json_out *w, const char *name, const char *text)
{
    pixi_json_name(w, name);
    pixi_json_text(w, text);
}

/* One failure: the first line is its cause, and all stand in "mistakes". */
static void put_json(struct pixi_buf *b, const struct mistakes *m)
{
    struct pixi_cur lines = m->lines;
    struct pixi_json_out w = pixi_json_out_init(b);
    const uint8_t *end = memchr(lines.p, '\n', pixi_cur_left(&lines));

    pixi_json_open_object(&w);
    put_text(&w, "layer", m->layer);
    pixi_json_name(&w, "cause");
    pixi_json_string(&w, (struct pixi_cur){lines.p, end ? end : lines.end});
    put_text(&w, "fix", m->fix);
    put_text(&w, "error", pixi_err_name(m->err));
    pixi_json_name(&w, "exit");
    pixi_json_number(&w, (uint64_t)m->exit_code);
    pixi_json_name(&w, "mistakes");
    pixi_json_open_array(&w);
    while (lines.p != lines.end) {
        end = memchr(lines.p, '\n', pixi_cur_left(&lines));
        pixi_json_string(&w, (struct pixi_cur){lines.p, end ? end : lines.end});
        lines.p = end ? end + 1 : lines.end;
    }
    pixi_json_close_array(&w);
    pixi_json_close_object(&w);
}

int tell_list(const struct app *app, const struct mistakes *m)
{
    struct pixi_buf b = pixi_buf_init(4 * PIXI_CONF_MISTAKES_MAX);

    if (app->is_json)
        put_json(&b, m);
    else
        pixi_buf_putf(&b, "%.*s  fix: %s", (int)pixi_cur_left(&m->lines), (const char *)m->lines.p, m->fix);
    pixi_buf_put_str(&b, "\n");
    if (app->is_json)
        fprintf(stderr, "%.*s", (int)b.len, (const char *)b.bytes);
    else
        cli_fold(stderr, (const char *)b.bytes, b.len);
    pixi_buf_clear(&b);
    return m->exit_code;
}

void tell_mistakes(const struct app *app, struct pixi_cur lines)
{
    const char *fix = *lines.p == '-' /* an option's */
                          ? "correct it on the command line"
                          : "correct what is listed; `pixi-ws-client config check` reads it again";

    tell_list(app, &(struct mistakes){lines, "settings", fix, PIXI_E_SETTINGS, PIXI_EXIT_SETTINGS});
}
