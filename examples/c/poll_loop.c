/* poll_loop FILTER -- the client beside something else in one poll loop: what is typed is sent to "event/typed", what
 * comes is printed. Ends with its input. */
#include <poll.h>
#include <pixiws/pixiws.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void on_connect(struct pixi_client *c, void *ctx, unsigned flags, int rc, const struct pixi_error *e)
{
    (void)ctx;
    fprintf(stderr, "%s: %s%s %s\n", pixi_client_name(c), pixi_rc_text(rc),
            flags & PIXI_CONNECT_AGAIN ? ", again" : "", e->cause);
}

static void on_message(struct pixi_client *c, void *ctx, const struct pixi_message *m)
{
    (void)c;
    (void)ctx;
    printf("%s %.*s\n", m->topic, (int)m->payload_len, (const char *)m->payload);
    fflush(stdout);
}

static void on_close(struct pixi_client *c, void *ctx, int rc, const struct pixi_error *e)
{
    (void)ctx;
    fprintf(stderr, "%s: %s %s\n", pixi_client_name(c), pixi_rc_text(rc), e->cause);
}

/* Reads a line, sends it; without a line, closes: on_close follows. */
static void read_input(struct pixi_client *c, struct pollfd *in)
{
    struct pixi_send_options queue = {.flags = PIXI_SEND_QUEUE};
    char line[1024];
    ssize_t n = read(in->fd, line, sizeof line);

    if (n > 0) {
        pixi_client_send_message(c, "event/typed", line, (size_t)n - (line[n - 1] == '\n'), &queue, NULL);
        return;
    }
    in->fd = -1;
    pixi_client_flush(c, -1, NULL);
    pixi_client_close(c, 0, NULL, 0, NULL);
}

int main(int argc, char **argv)
{
    static const struct pixi_callbacks callbacks = {
        .on_connect = on_connect, .on_message = on_message, .on_close = on_close};
    struct pixi_error e;
    struct pixi_client *c = pixi_client_new_from_file(NULL, &e);
    struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.events = POLLIN}};

    if (c) {
        pixi_client_set_callbacks(c, &callbacks, NULL);
        p[1].fd = pixi_client_fd(c);
        if (argc > 1)
            pixi_client_subscribe(c, argv[1], 0, &e);
        pixi_client_start(c, PIXI_START_RETRY, &e);
    }
    while (e.rc == PIXI_RC_OK && pixi_client_process(c, 0, &e) == PIXI_RC_OK) {
        poll(p, 2, pixi_client_next_deadline(c));
        if (p[0].revents)
            read_input(c, &p[0]);
    }
    if (e.rc != PIXI_RC_CLOSED)
        fprintf(stderr, "%s: %s\n  fix: %s\n", e.layer, e.cause, e.fix);
    pixi_client_free(c);
    return e.rc == PIXI_RC_CLOSED ? 0 : e.rc;
}
