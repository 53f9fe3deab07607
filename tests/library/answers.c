/* answers ROW URL KEY -- do what this row of docs/library.md says, and print what each call answered, one line each: its
 * name, then the peer's close code and reason if there are any. tests/library/test_answers.py compares. */
#include <pixiws/pixiws.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pixi_client *c;
static struct pixi_message *m;
static struct pixi_error e;
static const char *url, *key;

static void say(int rc)
{
    if (rc != e.rc) {
        printf("answered %d, and the error says %d\n", rc, e.rc);
        exit(1);
    }
    if (rc != PIXI_RC_OK && rc != PIXI_RC_CLOSED && !(*e.layer && *e.cause && *e.fix)) {
        printf("%s without layer, cause and fix\n", pixi_rc_name(rc));
        exit(1);
    }
    printf("%s", pixi_rc_name(rc));
    if (e.close_code)
        printf(" %u %s", e.close_code, e.reason);
    printf("\n");
}

static void make(void)
{
    c = pixi_client_new("answers", url, key, &e);
    if (!c) {
        say(e.rc);
        exit(0);
    }
    pixi_client_set(c, "reconnect.initial_ms", "1", NULL);
    pixi_client_set(c, "limits.message_bytes", "1024", NULL);
    pixi_client_set(c, "limits.queue_bytes", "4096", NULL);
    pixi_client_set(c, "timeouts.request_ms", "5000", NULL);
}

static void set(const char *member, const char *value)
{
    if (pixi_client_set(c, member, value, &e) != PIXI_RC_OK)
        say(e.rc);
}

static int connect_ok(void)
{
    if (pixi_client_connect(c, -1, &e) == PIXI_RC_OK)
        return 1;
    say(e.rc);
    return 0;
}

static void send_with(const char *topic, size_t len, unsigned flags, int timeout_ms)
{
    static const char payload[2048];
    struct pixi_send_options o = {.flags = flags, .timeout_ms = timeout_ms};

    say(pixi_client_send_message(c, topic, payload, len, &o, &e));
}

static void send_one(void)
{
    send_with("event/tram", 8, 0, 0);
}

static void subscribe(const char *filter)
{
    if (pixi_client_subscribe(c, filter, 0, &e) != PIXI_RC_OK)
        say(e.rc);
}

static void receive(int timeout_ms)
{
    pixi_message_free(m);
    say(pixi_client_recv(c, timeout_ms, &m, &e));
}

static void ask(int timeout_ms)
{
    pixi_message_free(m);
    say(pixi_client_request(c, "request/x", "1", 1, timeout_ms, &m, &e));
}

/* --- rows ------------------------------------------------------------------------------------------------------ */

static void row_connect(void)
{
    say(pixi_client_connect(c, -1, &e));
}

static void row_connect_name(void)
{
    set("allow_plaintext", "true");
    row_connect();
}

static void row_connect_timeout(void)
{
    say(pixi_client_connect(c, 50, &e));
}

/* The same from settings as a file has them. */
static void row_connect_again(void)
{
    char text[512];
    int len = snprintf(text, sizeof text, "{\"url\": \"%s\", \"api_key\": \"%s\"}", url, key);

    pixi_client_free(c);
    c = pixi_client_new_from_text(text, (size_t)len, &e);
    if (c && connect_ok())
        row_connect();
    else if (!c)
        say(e.rc);
}

static void row_connect_started(void)
{
    pixi_client_start(c, PIXI_START_RETRY, NULL);
    row_connect_timeout();
    row_connect_timeout();
}

static void row_connect_settings(void)
{
    set("allow_plaintext", "false");
    row_connect();
}

static void row_set_late(void)
{
    if (connect_ok())
        say(pixi_client_set(c, "timeouts.close_ms", "1", &e));
}

static void row_set_unknown(void)
{
    say(pixi_client_set(c, "colour", "red", &e));
}

static void row_set_wrong(void)
{
    say(pixi_client_set(c, "timeouts.close_ms", "soon", &e));
}

static void row_send(void)
{
    if (connect_ok())
        send_one();
}

static void row_send_early(void)
{
    send_one();
}

static void row_send_late(void)
{
    if (connect_ok() && pixi_client_close(c, 0, NULL, -1, &e) == PIXI_RC_OK)
        send_one();
}

static void row_send_too_large(void)
{
    if (connect_ok())
        send_with("event/tram", 1025, 0, 0);
}

static void row_send_bad_topic(void)
{
    if (connect_ok())
        send_with("event/#", 1, 0, 0);
}

static void row_send_unanswered(void)
{
    if (connect_ok())
        send_with("event/tram", 8, 0, 50);
}

/* Each costs its bytes and some hundred: the fifth does not fit any more. */
static void fill_queue(unsigned flags, int timeout_ms)
{
    for (int i = 0; i < 100; i++) {
        struct pixi_send_options o = {.flags = flags, .timeout_ms = timeout_ms};

        if (pixi_client_send_message(c, "event/tram", "12345678", 8, &o, &e) != PIXI_RC_OK)
            break;
    }
    say(e.rc);
}

static void row_send_would_block(void)
{
    if (connect_ok())
        fill_queue(PIXI_SEND_NOWAIT, 0);
}

static void row_send_no_room(void)
{
    if (connect_ok())
        fill_queue(PIXI_SEND_QUEUE, 50);
}

static void row_send_and_flush(void)
{
    if (!connect_ok())
        return;
    send_with("event/tram", 8, PIXI_SEND_QUEUE, 0);
    send_with("event/tram", 8, PIXI_SEND_QUEUE, 0);
    say(pixi_client_flush(c, 5000, &e));
    say(pixi_client_flush(c, 5000, &e));
}

static void row_send_flush_unanswered(void)
{
    if (!connect_ok())
        return;
    send_with("event/tram", 8, PIXI_SEND_QUEUE, 0);
    say(pixi_client_flush(c, 50, &e));
}

static void row_request(void)
{
    if (connect_ok())
        ask(-1);
}

static void row_request_unanswered(void)
{
    set("timeouts.connect_ms", "1000"); /* how much longer than its responder the server may take */
    if (connect_ok())
        ask(1);
}

static void row_reply(void)
{
    subscribe("request/#");
    if (!connect_ok() || pixi_client_recv(c, -1, &m, &e) != PIXI_RC_OK)
        return;
    say(pixi_client_reply(c, m, "1", 1, &e));
}

static void row_reply_error(void)
{
    subscribe("request/#");
    if (!connect_ok() || pixi_client_recv(c, -1, &m, &e) != PIXI_RC_OK)
        return;
    say(pixi_client_reply_error(c, m, "no trams today", &e));
}

static void row_reply_lost(void)
{
    struct pixi_message *next;

    subscribe("request/#");
    if (!connect_ok() || pixi_client_recv(c, -1, &m, &e) != PIXI_RC_OK)
        return;
    if (pixi_client_recv(c, -1, &next, &e) == PIXI_RC_LOST && connect_ok())
        say(pixi_client_reply(c, m, "1", 1, &e));
}

static void row_reply_not_asked(void)
{
    struct pixi_message none = {0};

    if (connect_ok())
        say(pixi_client_reply(c, &none, "1", 1, &e));
}

static void row_subscribe(void)
{
    if (connect_ok())
        say(pixi_client_subscribe(c, "event/#", 0, &e));
}

static void row_subscribe_early(void)
{
    say(pixi_client_subscribe(c, "event/#", 0, &e));
}

static void row_subscribe_twice(void)
{
    row_subscribe();
    say(pixi_client_subscribe(c, "event/#", 0, &e));
}

static void row_subscribe_bad_filter(void)
{
    say(pixi_client_subscribe(c, "event/#/x", 0, &e));
}

static void row_subscribe_unanswered(void)
{
    set("timeouts.request_ms", "50");
    row_subscribe();
}

static void row_unsubscribe(void)
{
    row_subscribe();
    say(pixi_client_unsubscribe(c, "event/#", &e));
}

static void row_unsubscribe_unknown(void)
{
    say(pixi_client_unsubscribe(c, "event/#", &e));
}

static void row_recv(void)
{
    subscribe("event/#");
    if (connect_ok())
        receive(-1);
}

static void row_recv_timeout(void)
{
    if (connect_ok())
        receive(20);
}

static void row_recv_early(void)
{
    receive(-1);
}

static void row_recv_late(void)
{
    if (!connect_ok() || pixi_client_close(c, 0, NULL, -1, &e) != PIXI_RC_OK)
        return;
    receive(-1);
    receive(-1);
}

static void row_recv_twice(void)
{
    row_recv();
    receive(-1);
}

static void close_with(uint16_t code, const char *reason)
{
    if (connect_ok())
        say(pixi_client_close(c, code, reason, -1, &e));
}

static void row_close(void)
{
    close_with(0, NULL);
}

static void row_close_code(void)
{
    close_with(4001, "that is all");
}

static void row_close_unanswered(void)
{
    set("timeouts.close_ms", "50");
    row_close();
}

static void row_close_wrong(void)
{
    close_with(1006, NULL);
}

static void row_close_twice(void)
{
    row_close();
    say(pixi_client_close(c, 0, NULL, -1, &e));
}

static void row_close_early(void)
{
    say(pixi_client_close(c, 0, NULL, -1, &e));
}

static void row_close_and_connect(void)
{
    row_close();
    row_connect();
    send_one();
}

static const struct {
    const char *name;
    void (*run)(void);
} rows[] = {
    {"connect", row_connect},
    {"connect-again", row_connect_again},
    {"connect-refused", row_connect},
    {"connect-name", row_connect_name},
    {"connect-tls", row_connect},
    {"connect-not-a-server", row_connect},
    {"connect-key-refused", row_connect},
    {"connect-timeout", row_connect_timeout},
    {"connect-started", row_connect_started},
    {"connect-settings", row_connect_settings},
    {"new-settings", row_connect},
    {"set-late", row_set_late},
    {"set-unknown", row_set_unknown},
    {"set-wrong", row_set_wrong},
    {"send", row_send},
    {"send-too-large", row_send_too_large},
    {"send-too-large-there", row_send},
    {"send-closed-1009", row_send},
    {"send-forbidden", row_send},
    {"send-failed", row_send},
    {"send-bad-topic", row_send_bad_topic},
    {"send-early", row_send_early},
    {"send-late", row_send_late},
    {"send-unanswered", row_send_unanswered},
    {"send-over-a-loss", row_send},
    {"send-would-block", row_send_would_block},
    {"send-no-room", row_send_no_room},
    {"send-and-flush", row_send_and_flush},
    {"send-and-flush-forbidden", row_send_and_flush},
    {"send-flush-unanswered", row_send_flush_unanswered},
    {"request", row_request},
    {"request-no-responder", row_request},
    {"request-timeout", row_request},
    {"request-unanswered", row_request_unanswered},
    {"request-failed", row_request},
    {"request-lost", row_request},
    {"request-forbidden", row_request},
    {"reply", row_reply},
    {"reply-error", row_reply_error},
    {"reply-lost", row_reply_lost},
    {"reply-not-asked", row_reply_not_asked},
    {"subscribe", row_subscribe},
    {"subscribe-early", row_subscribe_early},
    {"subscribe-twice", row_subscribe_twice},
    {"subscribe-forbidden", row_subscribe},
    {"subscribe-bad-filter", row_subscribe_bad_filter},
    {"subscribe-unanswered", row_subscribe_unanswered},
    {"subscribe-lost", row_subscribe},
    {"unsubscribe", row_unsubscribe},
    {"unsubscribe-unknown", row_unsubscribe_unknown},
    {"recv-message", row_recv},
    {"recv-timeout", row_recv_timeout},
    {"recv-early", row_recv_early},
    {"recv-late", row_recv_late},
    {"recv-closed", row_recv_twice},
    {"recv-message-then-closed", row_recv_twice},
    {"recv-key-gone", row_recv_twice},
    {"recv-lost", row_recv_twice},
    {"recv-restart", row_recv_twice},
    {"recv-unsubscribed", row_recv},
    {"close", row_close},
    {"close-code", row_close_code},
    {"close-unanswered", row_close_unanswered},
    {"close-cut", row_close},
    {"close-wrong", row_close_wrong},
    {"close-twice", row_close_twice},
    {"close-early", row_close_early},
    {"close-and-connect", row_close_and_connect},
};

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    url = argv[2];
    key = argv[3];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, argv[1]) == 0) {
            make();
            rows[i].run();
            pixi_message_free(m);
            pixi_client_free(c);
            return 0;
        }
    return 2;
}
