/* listener FILTER -- print every message, until the server says that this is the end. */
#include <pixiws/pixiws.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    struct pixi_error e;
    struct pixi_message *m;
    struct pixi_client *c = pixi_client_new_from_file(NULL, &e);

    if (c && pixi_client_subscribe(c, argc > 1 ? argv[1] : "#", 0, &e) == PIXI_RC_OK)
        pixi_client_connect(c, -1, &e);
    while (e.rc == PIXI_RC_OK || e.rc == PIXI_RC_LOST)
        if (pixi_client_recv(c, -1, &m, &e) == PIXI_RC_OK) {
            printf("%s %.*s\n", m->topic, (int)m->payload_len, (const char *)m->payload);
            fflush(stdout);
            pixi_message_free(m);
        }
    fprintf(stderr, "%s: %s\n  fix: %s\n", e.layer, e.cause, e.fix);
    pixi_client_free(c);
    return e.rc;
}
