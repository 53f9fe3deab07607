/* pixiws/loop.h -- the client in your own loop, by a descriptor, a deadline and callbacks.
 *
 *     pixi_client_set_callbacks(c, &callbacks, my_state);
 *     pixi_client_start(c, 0, &e);
 *     for (;;) {
 *         struct pollfd p = {.fd = pixi_client_fd(c), .events = POLLIN};
 *         poll(&p, 1, pixi_client_next_deadline(c));
 *         if (pixi_client_process(c, 0, &e) != PIXI_RC_OK)
 *             break;
 *     }
 *
 * All calls of pixiws/client.h may be mixed in, from this thread and others, and from callbacks. */
#ifndef PIXIWS_LOOP_H
#define PIXIWS_LOOP_H

#include <pixiws/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Flags of on_connect. */
enum { PIXI_CONNECT_AGAIN = 1 /* it had been connected before */ };

/* Called from pixi_client_process and nowhere else, one at a time, without a lock: every call of the library may be made
 * from inside, except pixi_client_process and pixi_client_free. Each may be NULL. What they are given is borrowed for
 * the call. */
struct pixi_callbacks {
    /* Connected (rc PIXI_RC_OK, e->rc the same), the first time or again; or the first attempt failed, e says why. */
    void (*on_connect)(struct pixi_client *c, void *ctx, unsigned flags, int rc, const struct pixi_error *e);
    void (*on_message)(struct pixi_client *c, void *ctx, const struct pixi_message *m);
    /* The connection has ended: PIXI_RC_OK as pixi_client_close asked; PIXI_RC_LOST: on_connect follows, in about
     * e->retry_after_ms; else for good. */
    void (*on_close)(struct pixi_client *c, void *ctx, int rc, const struct pixi_error *e);
    /* The server refused or ended a subscription. */
    void (*on_unsubscribed)(struct pixi_client *c, void *ctx, const char *filter, int rc,
                            const struct pixi_error *e);
};

/* pixi_client_set_callbacks -- copies them; ctx is handed to each. Before pixi_client_start or from a callback. What
 * there is no callback for waits for pixi_client_recv: messages, losses, subscriptions that ended. */
PIXI_API void pixi_client_set_callbacks(struct pixi_client *c, const struct pixi_callbacks *callbacks,
                                        void *ctx);

/* pixi_client_fd -- to be waited for with POLLIN (or EPOLLIN); only pixi_client_process reads it. The same for as long as
 * the client lives, over all its connections. -1: no descriptors left. */
PIXI_API int pixi_client_fd(struct pixi_client *c);

/* pixi_client_next_deadline -- milliseconds from now until pixi_client_process is due though nothing comes, as poll
 * takes it: 0 at once, -1 never. Where another thread brings it forward, the descriptor tells. */
PIXI_API int pixi_client_next_deadline(struct pixi_client *c);

/* pixi_client_process -- move what can be moved, call the callbacks that are due; wait up to timeout_ms for something to
 * happen (0: not at all). From one thread at a time.
 *   PIXI_RC_OK       go on
 *   PIXI_RC_CLOSED, _KEY, ... the client has ended, as its last on_connect or on_close said
 *   PIXI_RC_USAGE    from inside a callback, or while another thread is inside */
PIXI_API int pixi_client_process(struct pixi_client *c, int timeout_ms, struct pixi_error *e);

/* pixi_client_request_start -- pixi_client_request without waiting: on_reply is called once, from pixi_client_process.
 * reply: NULL unless e->rc is PIXI_RC_OK; borrowed for the call.
 *   PIXI_RC_OK | PIXI_RC_USAGE | _TOO_LARGE | _FULL | _CLOSED | _INTERNAL: then on_reply never comes */
typedef void pixi_on_reply(struct pixi_client *c, void *ctx, const struct pixi_message *reply,
                           const struct pixi_error *e);
PIXI_API int pixi_client_request_start(struct pixi_client *c, const char *topic, const void *payload,
                                       size_t payload_len, int timeout_ms, pixi_on_reply *on_reply, void *ctx,
                                       struct pixi_error *e);

#ifdef __cplusplus
}
#endif
#endif
