#include "pixi-ws-client/cmd.h"
#include "pixi-ws-client/local.h"
#include "base/member.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { SOCKET, WATCH, REJECTED };
enum { ANSWER_MAX = 256 << 20, WATCH_S = 1 };

struct status {
    struct app *app;
    const char *socket;
    bool is_watched, wants_rejected;
};

/* --- reading the answer ---------------------------------------------------------------------------------------------- */

/* The value of a member of an object, p == NULL: it has none. Strings without their quotes. */
static struct pixi_cur member(struct pixi_cur object, const char *name)
{
    struct pixi_cur raw = {NULL, NULL};
    enum pixi_json_type type;

    if (!object.p || !pixi_member_get(object, name, &type, &raw) || type == PIXI_JSON_NULL)
        return (struct pixi_cur){NULL, NULL};
    if (type == PIXI_JSON_STRING) {
        raw.p++;
        raw.end--;
    }
    return raw;
}

static uint64_t number(struct pixi_cur object, const char *name)
{
    int64_t v = 0;

    return object.p && pixi_member_int(object, name, &v) && v > 0 ? (uint64_t)v : 0;
}

/* As it may be shown: unescaped, no control characters. */
static void put_text(struct pixi_buf *b, struct pixi_cur text)
{
    char in[2 * PIXI_FAILURE_TEXT], out[2 * PIXI_FAILURE_TEXT];
    size_t len = pixi_cur_left(&text);

    if (len >= sizeof in)
        text.end = text.p + sizeof in - 1;
    if (!text.p || pixi_json_decode(text, (uint8_t *)in, &len) != PIXI_OK)
        len = 0;
    in[len] = 0;
    pixi_failure_escape(in, out, sizeof out);
    pixi_buf_put_str(b, out);
}

/* --- one screen -------------------------------------------------------------------------------------------------------- */

static void put_span(struct pixi_buf *b, uint64_t ms)
{
    if (ms < 1000)
        pixi_buf_putf(b, "%" PRIu64 " ms", ms);
    else if (ms < 120 * 1000)
        pixi_buf_putf(b, "%.1f s", (double)ms / 1000);
    else if (ms < 7200 * 1000)
        pixi_buf_putf(b, "%" PRIu64 " min", ms / 60000);
    else if (ms < UINT64_C(172800) * 1000)
        pixi_buf_putf(b, "%.1f h", (double)ms / 3600000);
    else
        pixi_buf_putf(b, "%.1f days", (double)ms / 86400000);
}

static void put_bytes(struct pixi_buf *b, uint64_t bytes)
{
    if (bytes < 10240)
        pixi_buf_putf(b, "%" PRIu64 " B", bytes);
    else if (bytes < 10 << 20)
        pixi_buf_putf(b, "%.1f KiB", (double)bytes / 1024);
    else
        pixi_buf_putf(b, "%.1f MiB", (double)bytes / (1 << 20));
}

static void put_time(struct pixi_buf *b, uint64_t wall_ms)
{
    time_t at = (time_t)(wall_ms / 1000);
    char text[32] = "";
    struct tm tm;

    if (localtime_r(&at, &tm))
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
    pixi_buf_put_str(b, text);
}

static void put_link(struct pixi_buf *b, struct pixi_cur result)
{
    struct pixi_cur link = member(result, "link");

    pixi_buf_put_str(b, "link      ");
    put_text(b, member(link, "state"));
    pixi_buf_put_str(b, number(link, "since_ms") ? " since " : "");
    if (number(link, "since_ms"))
        put_time(b, number(link, "since_ms"));
    pixi_buf_put_str(b, "\nserver    ");
    put_text(b, member(link, "server"));
    pixi_buf_putf(b, "\n          %" PRIu64 " connections, %" PRIu64 " lost, %" PRIu64 " of them silently\n",
                  number(link, "connects"), number(link, "losses"), number(link, "silent_losses"));
}

/* Thousandths of a millisecond stand behind the point. */
static void put_milli(struct pixi_buf *b, struct pixi_cur object, const char *name)
{
    struct pixi_cur c = member(object, name);

    pixi_buf_putf(b, "%.*s ms", (int)pixi_cur_left(&c), c.p ? (const char *)c.p : "");
}

/* "sent 1.2 MiB as 0.3 MiB (25 %)" */
static void put_gain(struct pixi_buf *b, struct pixi_cur compression, const char *direction)
{
    struct pixi_cur gain = member(compression, direction);
    uint64_t before = number(gain, "before_bytes"), after = number(gain, "after_bytes");

    pixi_buf_putf(b, "%s ", direction);
    put_bytes(b, before);
    if (!before)
        return;
    pixi_buf_put_str(b, " as ");
    put_bytes(b, after);
    pixi_buf_putf(b, " (%.0f %%)", (double)after * 100 / (double)before);
}

static void put_compression(struct pixi_buf *b, struct pixi_cur compression)
{
    if (!compression.p)
        return; /* the settings want none */
    pixi_buf_put_str(b, "          compression: ");
    if (!pixi_cur_equals(member(compression, "agreed"), pixi_cur_str("true")) &&
        !number(compression, "memory_bytes")) {
        pixi_buf_put_str(b, "the server takes none\n");
        return;
    }
    put_gain(b, compression, "sent");
    pixi_buf_put_str(b, ", ");
    put_gain(b, compression, "received");
    pixi_buf_put_str(b, "\n");
}

static void put_measured(struct pixi_buf *b, struct pixi_cur result)
{
    struct pixi_cur m = member(result, "measured");

    pixi_buf_put_str(b, "measured  round trip ");
    if (pixi_cur_equals(member(m, "round_trip_p50_ms"), pixi_cur_str("0.000"))) {
        pixi_buf_put_str(b, "not yet");
    } else {
        put_milli(b, m, "round_trip_p50_ms");
        pixi_buf_put_str(b, ", 99th percentile ");
        put_milli(b, m, "round_trip_p99_ms");
        pixi_buf_put_str(b, ", jitter ");
        put_milli(b, m, "jitter_ms");
    }
    pixi_buf_put_str(b, "\n          connecting took ");
    put_milli(b, m, "connect_ms");
    pixi_buf_putf(b, "; keepalive ");
    put_span(b, number(m, "keepalive_ms"));
    pixi_buf_putf(b, "; %" PRIu64 " messages may be under way\n", number(m, "window"));
    put_compression(b, member(m, "compression"));
}

static void put_improvements(struct pixi_buf *b, struct pixi_cur result)
{
    struct pixi_cur list = member(result, "improvements"), raw;
    struct pixi_json_token t;
    struct pixi_json j;

    pixi_json_init(&j, list.p, pixi_cur_left(&list), PIXI_JSON_DEPTH_MAX);
    pixi_json_next(&j, &t);
    while (pixi_json_next(&j, &t) == PIXI_OK && t.type == PIXI_JSON_OBJECT &&
           pixi_json_skip(&j, &t, &raw) == PIXI_OK) {
        static const char *const parts[][2] = {
            {"improved  ", "what"}, {": ", "to"}, {" instead of ", "from"}, {": ", "verdict"}};

        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
            pixi_buf_put_str(b, parts[i][0]);
            put_text(b, member(raw, parts[i][1]));
        }
        pixi_buf_put_str(b, ", ");
        put_time(b, number(raw, "time_ms"));
        pixi_buf_put_str(b, "\n");
    }
}

static void put_outbox(struct pixi_buf *b, struct pixi_cur result)
{
    static const struct {
        const char *member, *words;
    } rows[] = {
        {"refused_full", "refused as it was full"},
        {"failed", "not taken, as the disk failed"},
        {"put_off", "times the server put one off: it goes again by itself; why, says the last error"},
        {"dropped", "dropped to make room"},
        {"expired", "expired"},
        {"rejected", "refused by the server for good: pixi-ws-client status --rejected"},
        {"in_doubt", "in doubt: the server lost its log"}};
    struct pixi_cur o = member(result, "outbox"), disk = member(o, "disk");

    pixi_buf_putf(b, "outbox    %" PRIu64 " messages wait, ", number(o, "messages"));
    put_bytes(b, number(o, "bytes"));
    pixi_buf_put_str(b, " of ");
    put_bytes(b, number(o, "limit_bytes"));
    if (number(o, "oldest_ms")) {
        pixi_buf_put_str(b, ", the oldest for ");
        put_span(b, number(o, "oldest_ms"));
    }
    pixi_buf_putf(b, "\n          %" PRIu64 " taken and %" PRIu64 " stored since the start\n",
                  number(o, "accepted"), number(o, "stored"));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (number(o, rows[i].member))
            pixi_buf_putf(b, "          %" PRIu64 " %s\n", number(o, rows[i].member), rows[i].words);
    if (!pixi_cur_equals(disk, pixi_cur_str("ok"))) {
        pixi_buf_put_str(b, "disk      ");
        put_text(b, disk);
        pixi_buf_put_str(b, ": free space on it, or start the daemon again, which repairs its file\n");
    }
}

static void put_rest(struct pixi_buf *b, struct pixi_cur result)
{
    struct pixi_cur programs = member(result, "programs"), error = member(result, "last_error");

    pixi_buf_putf(b, "programs  %" PRIu64 " connected, subscribed to %" PRIu64 " filters\n",
                  number(programs, "connected"), number(programs, "subscriptions"));
    if (number(programs, "not_reading"))
        pixi_buf_putf(b, "          %" PRIu64 " of them do not read their answers: they are not read from\n",
                      number(programs, "not_reading"));
    if (number(programs, "messages_skipped"))
        pixi_buf_putf(b, "          %" PRIu64 " messages passed over, as a program reads too slowly\n",
                      number(programs, "messages_skipped"));
    pixi_buf_put_str(b, "daemon    ");
    put_text(b, member(result, "version"));
    pixi_buf_putf(b, ", process %" PRIu64 ", for ", number(result, "pid"));
    put_span(b, number(result, "uptime_ms"));
    if (error.p) {
        pixi_buf_put_str(b, "\nlast error ");
        put_time(b, number(error, "time_ms"));
        pixi_buf_put_str(b, "\n          ");
        put_text(b, member(error, "layer"));
        pixi_buf_put_str(b, ": ");
        put_text(b, member(error, "cause"));
        pixi_buf_put_str(b, "\n     fix: ");
        put_text(b, member(error, "fix"));
    }
    pixi_buf_put_str(b, "\n");
}

static void print_screen(struct pixi_cur result)
{
    struct pixi_buf b = pixi_buf_init(65536);

    put_link(&b, result);
    put_measured(&b, result);
    put_improvements(&b, result);
    put_outbox(&b, result);
    put_rest(&b, result);
    printf("%.*s", (int)b.len, (const char *)b.bytes);
    pixi_buf_clear(&b);
}

/* Of `rejected`: each message is a line, as it came. The daemon's answer holds as many as a line of its socket does. */
static void print_messages(struct pixi_cur result)
{
    struct pixi_cur list = member(result, "messages"), raw;
    struct pixi_json_token t;
    struct pixi_json j;
    size_t count = 0;

    pixi_json_init(&j, list.p, pixi_cur_left(&list), PIXI_JSON_DEPTH_MAX);
    pixi_json_next(&j, &t);
    while (pixi_json_next(&j, &t) == PIXI_OK && t.type == PIXI_JSON_OBJECT &&
           pixi_json_skip(&j, &t, &raw) == PIXI_OK) {
        printf("%.*s\n", (int)pixi_cur_left(&raw), (const char *)raw.p);
        count++;
    }
    if (pixi_cur_equals(member(result, "more"), pixi_cur_str("true")))
        note("these are the newest %zu; there are more, which do not fit into one answer", count);
}

/* --- the command ----------------------------------------------------------------------------------------------------------- */

static int tell_absent(const struct status *s)
{
    const char *fix = errno == EACCES
                          ? "become a member of the socket's group, then log in again"
                          : "start it: pixi-ws-client daemon, or systemctl start pixi-ws-client-daemon";

    return tell(s->app, PIXI_EXIT_CONNECT, "daemon", fix, "no daemon at %s: %s", s->socket, strerror(errno));
}

static int print_answer(const struct status *s, struct pixi_cur answer)
{
    struct pixi_cur result = member(answer, "result");

    if (!result.p)
        return tell(s->app, PIXI_EXIT_PROTOCOL, "daemon", "use client and daemon of one version",
                    "its answer is no status");
    if (s->wants_rejected)
        print_messages(result);
    else if (s->app->is_json)
        printf("%.*s\n", (int)pixi_cur_left(&result), (const char *)result.p);
    else
        print_screen(result);
    fflush(stdout);
    if (s->wants_rejected || pixi_cur_equals(member(member(result, "link"), "state"), pixi_cur_str("open")))
        return 0;
    return PIXI_EXIT_CONNECT;
}

static int ask(const struct status *s)
{
    struct pixi_buf answer = pixi_buf_init(ANSWER_MAX);
    int fd = local_open(s->socket), rc, exit_code;

    if (fd < 0)
        return tell_absent(s);
    rc = local_call(fd, s->wants_rejected ? "rejected" : "status",
                    s->wants_rejected ? "{\"limit\":1000}" : NULL, &answer);
    close(fd);
    if (rc == PIXI_OK)
        exit_code = print_answer(s, pixi_buf_cur(&answer));
    else
        exit_code = tell(s->app, rc == PIXI_E_TIMEOUT ? PIXI_EXIT_TIMEOUT : PIXI_EXIT_CLOSED, "daemon",
                         "look into its log: journalctl -u pixi-ws-client-daemon", "it gives no answer: %s",
                         pixi_err_text(rc));
    pixi_buf_clear(&answer);
    return exit_code;
}

static int run(const struct status *s)
{
    int exit_code = ask(s);

    while (s->is_watched && !ferror(stdout)) {
        sleep(WATCH_S);
        if (!s->app->is_json && isatty(STDOUT_FILENO))
            printf("\033[H\033[J");
        exit_code = ask(s);
    }
    return exit_code;
}

static int read_options(struct status *s, int argc, char **argv)
{
    const struct cli_command *command = cli_command_of("status");
    const char *value;
    int option, index = 0;

    while ((option = cli_next(command, argc, argv, &index, &value)) != CLI_END) {
        switch (option) {
        case SOCKET: s->socket = value; break;
        case WATCH: s->is_watched = true; break;
        case REJECTED: s->wants_rejected = true; break;
        default: return option == CLI_HELP ? -1 : PIXI_EXIT_USAGE;
        }
    }
    return index < argc ? cli_usage_error(command, "unexpected argument") : 0;
}

int cmd_status(struct app *app, int argc, char **argv)
{
    struct status s = {.app = app};
    struct pixi_settings settings;
    int exit_code = read_options(&s, argc, argv);

    if (exit_code || s.socket)
        return exit_code < 0 ? 0 : exit_code ? exit_code : run(&s);
    exit_code = load_given_settings(app, &settings);
    s.socket = settings.daemon.socket;
    if (!exit_code)
        exit_code = run(&s);
    pixi_settings_clear(&settings);
    return exit_code;
}
