/* loop URL KEY COUNT -- the client in a poll loop of its own, callbacks only: connects, subscribes from a callback, sends and asks
 * without waiting, and closes from a callback when COUNT things have come. Prints every callback. While nothing is due,
 * poll must really wait: the program ends with 1 where the descriptor or the deadline keep it busy. */
#include <poll.h>
#include <pixiws/pixiws.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int answers, count;

static void finish_one(struct pixi_client *c)
{
    if (++answers != count)
        return;
    if (pixi_client_process(c, 0, NULL) != PIXI_RC_USAGE)
        printf("process inside process\n");
    printf("unsubscribe %s\n", pixi_rc_name(pixi_client_unsubscribe(c, "event/#", NULL)));
    printf("close %s\n", pixi_rc_name(pixi_client_close(c, 0, "done", 0, NULL)));
}

static void on_sent(struct pixi_client *c, void *ctx, const struct pixi_error *sent)
{
    printf("sent %s %s\n", (const char *)ctx, pixi_rc_name(sent->rc));
    finish_one(c);
}

static void on_reply(struct pixi_client *c, void *ctx, const struct pixi_message *reply,
                     const struct pixi_error *e)
{
    printf("reply %s %s %s\n", (const char *)ctx, pixi_rc_name(e->rc),
           reply ? (const char *)reply->payload : "");
    finish_one(c);
}

static void on_connect(struct pixi_client *c, void *ctx, unsigned flags, int rc, const struct pixi_error *e)
{
    static char first[] = "first", second[] = "second", echo[] = "echo", none[] = "none";
    struct pixi_header header = {"colour", 6, "red", 3};
    struct pixi_send_options o = {
        .flags = PIXI_SEND_NOWAIT, .on_sent = on_sent, .ctx = first, .header_count = 1, .headers = &header};

    (void)ctx;
    printf("connect %s %u %s\n", pixi_rc_name(rc), flags, e->cause);
    if (rc != PIXI_RC_OK)
        return;
    pixi_client_subscribe(c, "event/#", PIXI_SUBSCRIBE_NOWAIT, NULL);
    pixi_client_subscribe(c, "secret/#", PIXI_SUBSCRIBE_NOWAIT, NULL);
    pixi_client_send_message(c, "event/1", "{\"x\":1}", 7, &o, NULL);
    o = (struct pixi_send_options){.flags = PIXI_SEND_QUEUE, .on_sent = on_sent, .ctx = second};
    pixi_client_send_message(c, "secret/1", "\0\xff", 2, &o, NULL);
    pixi_client_request_start(c, "request/echo", "\"hallo\"", 7, -1, on_reply, echo, NULL);
    pixi_client_request_start(c, "request/none", "1", 1, -1, on_reply, none, NULL);
}

static void on_message(struct pixi_client *c, void *ctx, const struct pixi_message *m)
{
    (void)ctx;
    printf("message %s %s %.*s", m->topic, m->filter, (int)m->payload_len, (const char *)m->payload);
    for (size_t i = 0; i < m->header_count; i++)
        printf(" %s=%s", m->headers[i].name, m->headers[i].value);
    printf(" %u %d\n", m->flags, m->offset > 0);
    finish_one(c);
}

static void on_close(struct pixi_client *c, void *ctx, int rc, const struct pixi_error *e)
{
    (void)c;
    (void)ctx;
    printf("closed %s %u %s\n", pixi_rc_name(rc), e->close_code, e->reason);
}

static void on_unsubscribed(struct pixi_client *c, void *ctx, const char *filter, int rc,
                            const struct pixi_error *e)
{
    (void)c;
    (void)ctx;
    printf("unsubscribed %s %s %s\n", filter, pixi_rc_name(rc), e->layer);
}

int main(int argc, char **argv)
{
    static const struct pixi_callbacks callbacks = {.on_connect = on_connect,
                                                    .on_message = on_message,
                                                    .on_close = on_close,
                                                    .on_unsubscribed = on_unsubscribed};
    struct pixi_error e;
    struct pixi_client *c = argc == 4 ? pixi_client_new("loop", argv[1], argv[2], &e) : NULL;
    struct pollfd p = {.events = POLLIN};
    unsigned turns = 0;

    if (!c)
        return 2;
    count = atoi(argv[3]);
    pixi_client_set_callbacks(c, &callbacks, NULL);
    p.fd = pixi_client_fd(c);
    if (p.fd != pixi_client_fd(c) || pixi_client_start(c, 0, &e) != PIXI_RC_OK)
        return 2;
    while (pixi_client_process(c, 0, &e) == PIXI_RC_OK) {
        poll(&p, 1, pixi_client_next_deadline(c));
        if (++turns > 1000)
            return 1;
    }
    printf("end %s, %d\n", pixi_rc_name(e.rc), pixi_client_state(c) == PIXI_CLIENT_CLOSED);
    pixi_client_free(c);
    return 0;
}
