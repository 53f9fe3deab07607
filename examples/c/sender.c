/* sender TOPIC PAYLOAD -- send one message, as config/websocket_settings.json says. */
#include <pixiws/pixiws.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct pixi_error e;
    struct pixi_client *c = argc == 3 ? pixi_client_new_from_file(NULL, &e) : NULL;

    if (c && pixi_client_connect(c, -1, &e) == PIXI_RC_OK)
        pixi_client_send_message(c, argv[1], argv[2], strlen(argv[2]), NULL, &e);
    if (argc == 3 && e.rc != PIXI_RC_OK)
        fprintf(stderr, "%s: %s\n  fix: %s\n", e.layer, e.cause, e.fix);
    pixi_client_free(c);
    return argc == 3 ? e.rc : PIXI_RC_USAGE;
}
