/* cmd.h -- the commands of pixi-ws-client: one table, one cmd_*.c each. */
#ifndef PIXI_WS_CLIENT_CMD_H
#define PIXI_WS_CLIENT_CMD_H

#include "cli/cli.h"
#include "client/uplink.h"
#include "net/signals.h"
#include "pixi-ws-client/progress.h"

#include <stdbool.h>

enum { OVERRIDES_MAX = 8 };

/* A member of the settings that a flag gives. Borrowed. */
struct override {
    const char *member, *value, *flag;
};

struct app {
    const char *settings_path, *url; /* --settings, --url; NULL: not given */
    bool is_json;                    /* --json */
    bool is_verbose;                 /* --verbose */
    bool wants_no_key;               /* connect --no-key */
    struct override overrides[OVERRIDES_MAX];
    size_t override_count;
    bool may_use_daemon; /* send, request, listen, without --direct */
};

/* options.c */

/* "30", "0.5": seconds to milliseconds, at most a day; false: not that, told on standard error. */
bool read_seconds(const char *option, const char *text, uint64_t *ms);
bool read_count(const char *option, const char *text, uint64_t *out);

/* session.c: a client that runs until its work is done. */
struct session {
    struct app *app;
    struct pixi_loop loop;
    struct pixi_settings settings;
    struct pixi_uplink client;
    struct pixi_signals signals;
    struct progress progress;
    uint64_t answer_ms; /* how long an answer may take; 0: none is waited for */
    int exit_code;
    bool is_over, was_interrupted;
    bool is_finished; /* session_finish was called: exit_code counts */
    void *ctx;        /* the command's */
    /* NULL, or what the first signal does instead of closing the link: to be set after session_open */
    void (*on_interrupt)(struct session *);
    bool is_ending; /* that was called */
};

/* load_settings -- settings as flags, environment and file give them; mistakes are printed. 0 or the exit code. On any
 * answer pixi_settings_clear is due. */
int load_settings(struct app *app, struct pixi_settings *s);
/* load_given_settings -- the same for a command that connects to no server: URL and key may be missing, and are not worked
 * out. */
int load_given_settings(struct app *app, struct pixi_settings *s);

/* The same with values that options of a command give; ends with member NULL, a value NULL was not given. */
struct settings_flag {
    const char *member, *value, *flag;
};
int load_settings_with(struct app *app, struct pixi_settings *s, const struct settings_flag *flags);

/* session_open -- settings, loop, signals, client. 0, or the exit code (told on standard error; nothing to close). */
int session_open(struct session *s, struct app *app, const struct pixi_uplink_handlers *h, unsigned flags);
/* session_run -- until session_end, or a signal closes the client. Returns the exit code. */
int session_run(struct session *s);
/* session_finish -- the work is done: close the link, then end with this exit code. */
void session_finish(struct session *s, int exit_code);
/* session_end -- to be called from on_end. */
void session_end(struct session *s, const struct pixi_failure *f);
void session_close(struct session *s);

static inline struct session *session_of(struct pixi_uplink *c)
{
    return c->ctx;
}

/* tell -- a failure that is this program's own to find, printed as print_failure does. Returns exit_code. */
int tell(const struct app *app, int exit_code, const char *layer, const char *fix, const char *cause, ...)
    __attribute__((format(printf, 5, 6)));
/* check_topic, check_filter -- before anything is connected to. 0, or PIXI_EXIT_USAGE, told. */
int check_topic(const struct app *app, const char *topic);
int check_filter(const struct app *app, const char *filter);
/* Mistakes, a line each. */
struct mistakes {
    struct pixi_cur lines;
    const char *layer, *fix;
    int err, exit_code;
};

/* tell_list -- all of them as one failure. Returns exit_code. */
int tell_list(const struct app *app, const struct mistakes *m);
/* tell_mistakes -- of the settings, a line each. */
void tell_mistakes(const struct app *app, struct pixi_cur lines);
/* tell_too_large -- a message that limits.message_bytes of these settings does not let out. The exit code. */
int tell_too_large(const struct app *app, const struct pixi_settings *s, struct pixi_cur payload);
/* tell_input -- of standard input: err is PIXI_E_SYS (sys_errno says why) or PIXI_E_LIMIT (a line). The exit code. */
int tell_input(const struct app *app, int err, int sys_errno);
/* tell_no_loop -- pixi_loop_init has failed, errno says why. */
int tell_no_loop(const struct app *app);
/* tell_output -- standard output could not be written, errno says why. Nobody reading any more is no failure: 0. */
int tell_output(const struct app *app);
/* note_lost -- a connection is lost, and where and when the next is tried. */
void note_lost(const struct pixi_uplink *c, const struct pixi_failure *f, uint64_t in_ms);
/* note_key_log -- says what --key-log does to this connection. */
void note_key_log(const char *file, const struct pixi_settings *s);

void print_failure(const struct app *app, const struct pixi_failure *f);
/* note -- a line for people on standard error: "pixi-ws-client: …". */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* payload.c */

/* How send and request are told what to send. */
struct payload {
    struct pixi_buf bytes;
    struct pixi_buf headers; /* neutral form: proto/rpc/params.h */
};

/* 0 or the exit code, told on standard error. */
int payload_read_file(const struct app *app, struct payload *p, const char *path,
                      size_t max);                           /* "-": standard input */
int payload_add_header(struct payload *p, const char *text); /* NAME=VALUE */
void payload_clear(struct payload *p);

int cmd_config(struct app *app, int argc, char **argv);
int cmd_daemon(struct app *app, int argc, char **argv);
int cmd_connect(struct app *app, int argc, char **argv);
int cmd_explain(struct app *app, int argc, char **argv);
int cmd_listen(struct app *app, int argc, char **argv);
int cmd_request(struct app *app, int argc, char **argv);
int cmd_scene(struct app *app, int argc, char **argv);
int cmd_send(struct app *app, int argc, char **argv);
int cmd_status(struct app *app, int argc, char **argv);
int cmd_verify(struct app *app, int argc, char **argv);

#endif
