/* pixiws/client.h -- one authenticated link to a Pixi server that outlives its connections.
 *
 * It connects again after a loss, with the API key, subscribes again where it stood, and sends again what was not
 * answered. Two ways to use one object: blocking, below; or in your own loop, pixiws/loop.h.
 *
 *     struct pixi_client *c = pixi_client_new("tram-7", "ws://127.0.0.1:8768/api/v1", api_key, &e);
 *     if (c && pixi_client_connect(c, -1, &e) == PIXI_RC_OK)
 *         rc = pixi_client_send_message(c, "event/tram/7", "{\"x\":12}", 8, NULL, &e);
 *     pixi_client_free(c);
 *
 * Threads. Every call may come from any thread, also while others are inside recv, send_message or process, except
 * pixi_client_free: nobody may be inside then. What one thread sends arrives in its order. Whoever is inside a waiting
 * call moves the bytes for all; a client has no thread of its own, so where nobody calls, nothing moves: pings are not
 * answered and no connection is made again until somebody does. Callbacks come only from pixi_client_process.
 *
 * Times. timeout_ms: 0 does not wait at all; -1 waits as long as the settings say (timeouts.*), or for ever where they
 * say nothing (recv, process). e may be NULL everywhere; else it is filled on every return. No call prints, exits,
 * handles a signal, or changes anything that belongs to the process. */
#ifndef PIXIWS_CLIENT_H
#define PIXIWS_CLIENT_H

#include <pixiws/error.h>
#include <pixiws/message.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pixi_client;

/* --- making one ------------------------------------------------------------------------------------------------ */

/* pixi_client_new -- from a few values. Neither a settings file nor PIXI_WS_* is read.
 *   name     1 .. 128 bytes of UTF-8: what this program calls itself (pixi_client_name). Copies
 *   url      ws:// or wss://. Copies
 *   api_key  NULL: send none. Copies; overwritten in memory when the client is freed
 *   Gives (pixi_client_free). NULL: PIXI_RC_SETTINGS | PIXI_RC_USAGE (the name) | PIXI_RC_INTERNAL */
PIXI_API struct pixi_client *pixi_client_new(const char *name, const char *url, const char *api_key,
                                             struct pixi_error *e);

/* pixi_client_new_from_file -- from a settings file and the environment (docs/settings.md). Its name is the file's path.
 *   path  NULL: PIXI_WS_SETTINGS, else config/websocket_settings.json here, else /config/websocket_settings.json
 *   Gives. NULL: PIXI_RC_SETTINGS (a line for each mistake in cause) | PIXI_RC_INTERNAL */
PIXI_API struct pixi_client *pixi_client_new_from_file(const char *path, struct pixi_error *e);

/* pixi_client_new_from_text -- from len bytes of JSON, as a settings file has them; nothing else is read but the files
 * that it names, relative to the working directory. Its name is "settings". As pixi_client_new_from_file. */
PIXI_API struct pixi_client *pixi_client_new_from_text(const char *json, size_t len, struct pixi_error *e);

/* pixi_client_set -- one member of the settings, before the first connect; it beats file and environment.
 *   member  "timeouts.connect_ms", "subscriptions" (each call adds one), ...: docs/settings.md
 *   value   as an environment variable has it: "5000", "true", "ws://…"
 *   PIXI_RC_OK | PIXI_RC_USAGE (connected already, or no such member) | PIXI_RC_SETTINGS (the value) | PIXI_RC_INTERNAL */
PIXI_API int pixi_client_set(struct pixi_client *c, const char *member, const char *value,
                             struct pixi_error *e);

/* pixi_client_free -- drops the connection (pixi_client_close first ends it well), what is queued, and the object. No
 * callback comes. Not from a callback. NULL is fine. */
PIXI_API void pixi_client_free(struct pixi_client *c);

/* pixi_client_name -- as it was made. Borrowed until the client is freed. */
PIXI_API const char *pixi_client_name(const struct pixi_client *c);

/* --- the connection -------------------------------------------------------------------------------------------- */

enum pixi_client_state {
    PIXI_CLIENT_NEW,        /* not connected yet */
    PIXI_CLIENT_CONNECTING, /* for the first time */
    PIXI_CLIENT_OPEN,
    PIXI_CLIENT_LOST, /* the connection is lost and being made again */
    PIXI_CLIENT_CLOSING,
    PIXI_CLIENT_CLOSED, /* for good, until pixi_client_connect is called again */
};

PIXI_API enum pixi_client_state pixi_client_state(struct pixi_client *c);

/* Flags of pixi_client_start. */
enum { PIXI_START_RETRY = 1 /* when the server cannot be reached at first, go on trying */ };

/* pixi_client_connect -- connect, and wait until that has succeeded or failed. What pixi_client_start began is waited
 * for. The subscriptions of the settings are made.
 *   PIXI_RC_OK        connected: the server took the key. Also when it was already
 *   PIXI_RC_TIMEOUT   the time is up; the attempt is given up, unless pixi_client_start with PIXI_START_RETRY began it
 *   PIXI_RC_SETTINGS  also: a key would travel in clear to another machine
 *   PIXI_RC_NAME | _CONNECT | _TLS | _UPGRADE | _KEY | _PROTOCOL | _CLOSED | _INTERNAL */
PIXI_API int pixi_client_connect(struct pixi_client *c, int timeout_ms, struct pixi_error *e);

/* pixi_client_start -- begin to connect, without waiting. pixi_client_connect waits for it; on_connect tells it.
 *   PIXI_RC_OK (also when it has begun, or is connected) | PIXI_RC_SETTINGS | PIXI_RC_INTERNAL */
PIXI_API int pixi_client_start(struct pixi_client *c, unsigned flags, struct pixi_error *e);

/* pixi_client_close -- wait until what was queued is answered, hold the closing handshake, wait for the peer's close.
 *   code    1000 (0 stands for it), 1001, or 3000 .. 4999
 *   reason  at most 123 bytes of UTF-8; NULL: none
 *   PIXI_RC_OK       both have said close; e->close_code and e->reason are the peer's. With timeout_ms 0: it has begun,
 *                    on_close tells the rest
 *   PIXI_RC_PROTOCOL the peer ended the connection without saying close (RFC 6455 §7.1.5)
 *   PIXI_RC_TIMEOUT  the peer never answered; the connection is gone all the same
 *   PIXI_RC_CLOSED   it was closed, or never open
 *   PIXI_RC_USAGE    a code or reason that may not be sent; nothing is done
 * Waiting calls of other threads answer PIXI_RC_CLOSED. */
PIXI_API int pixi_client_close(struct pixi_client *c, uint16_t code, const char *reason, int timeout_ms,
                               struct pixi_error *e);

/* --- sending --------------------------------------------------------------------------------------------------- */

/* Bits of pixi_send_options.flags. */
enum {
    PIXI_SEND_RETAIN = 1, /* the server keeps it as the topic's last; an empty payload removes that */
    PIXI_SEND_QUEUE =
        2, /* return when it is queued, not when the server has it: pixi_client_flush, on_sent */
    PIXI_SEND_NOWAIT = 4, /* as PIXI_SEND_QUEUE, and where there is no room answer PIXI_RC_FULL at once */
};

/* How a send ended; called once, from pixi_client_process. sent: what pixi_client_send_message would have answered. */
typedef void pixi_on_sent(struct pixi_client *c, void *ctx, const struct pixi_error *sent);

/* All zero: the defaults. Everything borrowed for the call. */
struct pixi_send_options {
    unsigned flags;
    int timeout_ms;      /* 0: timeouts.request_ms of the settings; -1: no limit */
    uint32_t expiry_s;   /* forgotten by the server after so long; 0: never */
    size_t header_count; /* of headers, which travel with it */
    const struct pixi_header *headers;
    pixi_on_sent *on_sent; /* with PIXI_SEND_QUEUE or _NOWAIT; may be NULL */
    void *ctx;             /* for on_sent */
};

/* pixi_client_send_message -- publish payload_len bytes, any, to a topic.
 *
 *   PIXI_RC_OK         the server has it; with PIXI_SEND_QUEUE or _NOWAIT: it is queued, and is sent in order, also over
 *                      a loss of the connection, exactly once
 *   PIXI_RC_TOO_LARGE  over limits.message_bytes here, or over the server's limit
 *   PIXI_RC_KEY        the API key may not publish there
 *   PIXI_RC_USAGE      no topic name: 1 .. 65,535 bytes of UTF-8 without + and # (MQTT 5 §4.7); a bad header
 *   PIXI_RC_CLOSED     not connected and not being connected
 *   PIXI_RC_FULL       PIXI_SEND_NOWAIT: would block, as limits.queue_bytes are queued and not yet answered
 *   PIXI_RC_TIMEOUT    no answer, or (PIXI_SEND_QUEUE) no room in time. Without _QUEUE it may have arrived
 *   PIXI_RC_PROTOCOL   the server closed because of it
 *   PIXI_RC_FAILED (storage full, ...) | PIXI_RC_INTERNAL */
PIXI_API int pixi_client_send_message(struct pixi_client *c, const char *topic, const void *payload,
                                      size_t payload_len, const struct pixi_send_options *o,
                                      struct pixi_error *e);

/* pixi_client_flush -- wait until all that was queued by any thread is answered.
 *   PIXI_RC_OK  the server has all of it
 *   else the first error of a queued message since the last flush, or PIXI_RC_TIMEOUT */
PIXI_API int pixi_client_flush(struct pixi_client *c, int timeout_ms, struct pixi_error *e);

/* pixi_client_request -- ask, and wait for the one answer.
 *   reply  gives (pixi_message_free) on PIXI_RC_OK, else NULL
 *
 *   PIXI_RC_OK | PIXI_RC_NO_RESPONDER | PIXI_RC_TIMEOUT (the responder did not answer, or nobody did)
 *   PIXI_RC_FAILED  the responder answered with an error: its words are in cause
 *   PIXI_RC_LOST    the connection was lost before the answer: it may have been acted upon, and is not sent again
 *   PIXI_RC_TOO_LARGE | _KEY | _USAGE | _CLOSED | _FULL | _INTERNAL as pixi_client_send_message */
PIXI_API int pixi_client_request(struct pixi_client *c, const char *topic, const void *payload,
                                 size_t payload_len, int timeout_ms, struct pixi_message **reply,
                                 struct pixi_error *e);

/* pixi_client_reply -- answer a message with PIXI_MESSAGE_REQUEST, once, on the connection that it came by. It is queued,
 * never waited for; no answer tells whether the requester was still there.
 *   PIXI_RC_OK | PIXI_RC_USAGE (no request) | PIXI_RC_LOST (that connection is gone: the requester hears nothing)
 *   PIXI_RC_CLOSED | PIXI_RC_TOO_LARGE | PIXI_RC_FULL | PIXI_RC_INTERNAL */
PIXI_API int pixi_client_reply(struct pixi_client *c, const struct pixi_message *request, const void *payload,
                               size_t payload_len, struct pixi_error *e);

/* pixi_client_reply_error -- the same: say that it cannot be done. text: UTF-8, for people. */
PIXI_API int pixi_client_reply_error(struct pixi_client *c, const struct pixi_message *request,
                                     const char *text, struct pixi_error *e);

/* --- receiving ------------------------------------------------------------------------------------------------- */

/* Flags of pixi_client_subscribe. */
enum {
    PIXI_SUBSCRIBE_NO_RETAINED = 1, /* not what the topics hold already */
    PIXI_SUBSCRIBE_NOWAIT = 2,      /* do not wait for the server's answer */
};

/* pixi_client_subscribe -- from now on and on every connection; filter: MQTT 5 §4.7.1. Copies.
 *   PIXI_RC_OK  it stands, perhaps since long; before connecting, or with PIXI_SUBSCRIBE_NOWAIT: it will be asked for, and recv or
 *               on_unsubscribed tells if it is refused
 *   PIXI_RC_KEY (the key does not allow it) | PIXI_RC_USAGE (no filter) | PIXI_RC_LOST (it is
 *   asked for again on the next connection) | PIXI_RC_TIMEOUT | PIXI_RC_FAILED | PIXI_RC_INTERNAL */
PIXI_API int pixi_client_subscribe(struct pixi_client *c, const char *filter, unsigned flags,
                                   struct pixi_error *e);

/* pixi_client_unsubscribe -- no message for this filter is taken from now on; those queued already still come. Does not
 * wait for the server.   PIXI_RC_OK | PIXI_RC_USAGE (not subscribed) | PIXI_RC_INTERNAL */
PIXI_API int pixi_client_unsubscribe(struct pixi_client *c, const char *filter, struct pixi_error *e);

/* pixi_client_recv -- the next message, in the order of their coming. Messages wait, up to limits.queue_bytes of them;
 * what comes beyond that is fetched again from the server's history when there is room.
 *   out  gives (pixi_message_free) on PIXI_RC_OK, else NULL
 *
 *   PIXI_RC_OK       a message
 *   PIXI_RC_TIMEOUT  none came in time
 *   PIXI_RC_LOST     once for each loss: the connection is gone, e says why, and is being made again: call again
 *   PIXI_RC_CLOSED   the peer closed for good (e->close_code, e->reason), or pixi_client_close was called; what came
 *                    before is given first; then it is this answer for ever
 *   PIXI_RC_KEY, _TLS, ...   the end, as for PIXI_RC_CLOSED: connecting again was refused, for instance the key. Where
 *                    pixi_client_state still is PIXI_CLIENT_OPEN, only a subscription was refused or ended: call again */
PIXI_API int pixi_client_recv(struct pixi_client *c, int timeout_ms, struct pixi_message **out,
                              struct pixi_error *e);

#ifdef __cplusplus
}
#endif
#endif
