/* responder TOPIC -- answer every request on TOPIC (request/...) with what it asked. */
#include <pixiws/pixiws.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    struct pixi_error e;
    struct pixi_message *m;
    struct pixi_client *c = argc == 2 ? pixi_client_new_from_file(NULL, &e) : NULL;

    if (argc != 2)
        return PIXI_RC_USAGE;
    if (c && pixi_client_connect(c, -1, &e) == PIXI_RC_OK)
        pixi_client_subscribe(c, argv[1], 0, &e);
    if (e.rc == PIXI_RC_OK)
        fprintf(stderr, "answering %s\n", argv[1]);
    while (e.rc == PIXI_RC_OK || e.rc == PIXI_RC_LOST)
        if (pixi_client_recv(c, -1, &m, &e) == PIXI_RC_OK) {
            if (m->flags & PIXI_MESSAGE_REQUEST)
                pixi_client_reply(c, m, m->payload, m->payload_len, NULL);
            pixi_message_free(m);
        }
    fprintf(stderr, "%s: %s\n  fix: %s\n", e.layer, e.cause, e.fix);
    pixi_client_free(c);
    return e.rc;
}
