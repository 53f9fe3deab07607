/* slow URL KEY -- a reader that lets messages pile up: subscribes to event/#, moves bytes without taking a message until a
 * line comes on standard input, then takes them all, up to {"last": true}. Prints their numbers, "gap" before one that
 * says so, and how many bytes of messages waited at most here: never many more than limits.queue_bytes. */
#include <poll.h>
#include <pixiws/pixiws.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static const struct pixi_callbacks none = {0};
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    struct pixi_message *m = NULL;
    struct pixi_error e;
    struct pixi_client *c = argc == 3 ? pixi_client_new("slow", argv[1], argv[2], &e) : NULL;
    int is_last = 0;

    if (!c)
        return 2;
    pixi_client_set_callbacks(c, &none, NULL);
    pixi_client_set(c, "limits.message_bytes", "4096", NULL);
    pixi_client_set(c, "limits.queue_bytes", "65536", NULL);
    if (pixi_client_connect(c, -1, &e) != PIXI_RC_OK ||
        pixi_client_subscribe(c, "event/#", 0, &e) != PIXI_RC_OK)
        return 2;
    printf("ready\n");
    fflush(stdout);
    while (poll(&input, 1, 0) == 0)
        pixi_client_process(c, 20, NULL);
    while (!is_last && pixi_client_recv(c, -1, &m, &e) == PIXI_RC_OK) {
        if (m->flags & PIXI_MESSAGE_AFTER_GAP)
            printf("gap\n");
        printf("%.8s\n", (const char *)m->payload);
        is_last = strncmp((const char *)m->payload, "99999999", 8) == 0;
        pixi_message_free(m);
    }
    pixi_client_free(c);
    return !is_last;
}
