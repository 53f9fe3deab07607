/* world.h -- what an image is tried against: a server at the place that its settings name, a key that is made for this
 * once, and a listener and a sender outside of the image. All of it under one folder, which is made anew. */
#ifndef GEOM_IMAGE_WORLD_H
#define GEOM_IMAGE_WORLD_H

#include "client/url.h"
#include "geom-image/proc.h"

enum { WORLD_PATH = 1024, WORLD_TOPIC = 256 };

struct world {
    struct pump pump;
    char bin[WORLD_PATH];    /* the folder with pixi-ws-server and pixi-ws-client */
    char dir[WORLD_PATH];    /* logs, settings, key */
    int lock_fd;             /* of a file in dir: one at a time */
    bool has_own_network;    /* else it is the machine's loopback */
    struct pixi_url url;     /* where the image's settings lead */
    char topic[WORLD_TOPIC]; /* what image and outside send to; the image's subscriptions match it */
    struct proc server, listener;
    unsigned server_starts;
};

/* world_path -- DIR/name, in a buffer that the next fifteen calls leave alone. */
const char *world_path(const struct world *w, const char *name);

/* world_open -- folder and network. False: told on standard error.
 *   url     of the image's settings: ws:// and an IPv4 address
 *   filter  that the image subscribes to; NULL: none */
bool world_open(struct world *w, const char *dir, const struct pixi_url *url, struct pixi_cur filter);

/* world_start_server -- a key, unless there is one, and a server that knows it; when it returns, it listens.
 *   NULL, or what went wrong, for a person */
const char *world_start_server(struct world *w);
void world_stop_server(struct world *w);

/* world_start_listener -- pixi-ws-client listen TOPIC; when it returns, the subscription stands. The same answers. */
const char *world_start_listener(struct world *w);

/* world_send -- pixi-ws-client send TOPIC PAYLOAD. The same answers. */
const char *world_send(struct world *w, const char *payload);

/* world_hears -- until the listener has printed the nth message with this payload. */
enum wait_end world_hears(struct world *w, const char *payload, unsigned nth, unsigned most_ms);

/* world_close -- ends what runs and removes the key; the logs stay. */
void world_close(struct world *w);

#endif
