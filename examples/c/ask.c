/* ask TOPIC PAYLOAD -- send a request, print the reply. */
#include <pixiws/pixiws.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct pixi_error e;
    struct pixi_message *reply;
    struct pixi_client *c = argc == 3 ? pixi_client_new_from_file(NULL, &e) : NULL;

    if (argc != 3)
        return PIXI_RC_USAGE;
    if (c && pixi_client_connect(c, -1, &e) == PIXI_RC_OK &&
        pixi_client_request(c, argv[1], argv[2], strlen(argv[2]), -1, &reply, &e) == PIXI_RC_OK) {
        printf("%.*s\n", (int)reply->payload_len, (const char *)reply->payload);
        pixi_message_free(reply);
    }
    if (e.rc != PIXI_RC_OK)
        fprintf(stderr, "%s: %s\n  fix: %s\n", e.layer, e.cause, e.fix);
    pixi_client_free(c);
    return e.rc;
}
