/* link.h -- one live connection: TCP below; above it messages of a WebSocket, either role (RFC 6455), or plain bytes, or
 * lines.
 *
 * A link answers pings, keeps the connection alive, holds the closing handshake and every time-out; who uses it sees
 * an opening, whole messages, and one end. It owns no buffer while nothing is under way. */
#ifndef PIXI_LINK_LINK_H
#define PIXI_LINK_LINK_H

#include "link/message.h"
#include "net/tcp.h"
#include "proto/ws/close.h"
#include "proto/ws/handshake.h"
#include "proto/ws/reader.h"

struct pixi_link;

enum pixi_link_state {
    PIXI_LINK_CLOSED,    /* not yet, or no more */
    PIXI_LINK_SECURING,  /* client: the TLS handshake is under way */
    PIXI_LINK_HANDSHAKE, /* the opening handshake is under way */
    PIXI_LINK_OPEN,
    PIXI_LINK_CLOSE_SENT, /* we said close, the peer has not */
    PIXI_LINK_LINGER,     /* all is said: waiting for the end of the TCP connection */
};

/* How a link ended. */
struct pixi_link_end {
    int err;       /* PIXI_OK: the closing handshake was held; else what went wrong */
    int sys_errno; /* with PIXI_E_RESET */
    uint16_t
        code;     /* the peer's close code; PIXI_WS_CLOSE_NONE, PIXI_WS_CLOSE_ABNORMAL where there was none */
    bool is_ours; /* we closed, or failed the connection, first */
    unsigned status;                     /* with PIXI_E_WS_STATUS: the HTTP status */
    char reason[PIXI_WS_REASON_MAX + 1]; /* the peer's, UTF-8 */
    char problem[PIXI_TLS_TEXT];         /* with PIXI_E_TLS: what is wrong, in words */
    const char *fix;                     /* then: what to do about it. Static */
};

struct pixi_link_handlers {
    /* Server only. A request came: answer it now, by pixi_link_accept or pixi_link_respond. rc is
     * pixi_ws_request_check's verdict; r is set when that is PIXI_OK. When the head itself cannot be read, head is NULL
     * and rc says why. Both are gone after return. */
    void (*on_request)(struct pixi_link *, const struct pixi_http_head *head, int rc,
                       const struct pixi_ws_request *r);
    /* Client only, after pixi_link_secure: TLS stands (k->tcp.tls tells what was agreed); pixi_link_hello is due. */
    void (*on_secured)(struct pixi_link *);
    /* Client only, may be NULL. The server answered something else than 101; body holds what of it came with the
     * head. on_close follows with PIXI_E_WS_STATUS. */
    void (*on_refused)(struct pixi_link *, const struct pixi_http_head *head, struct pixi_cur body);
    /* The handshake is done. protocol: the subprotocol, p == NULL for none; gone after return. */
    void (*on_open)(struct pixi_link *, struct pixi_cur protocol);
    /* A whole message; text is valid UTF-8. The bytes may be changed in place and are gone after return. */
    void (*on_message)(struct pixi_link *, enum pixi_ws_opcode type, uint8_t *bytes, size_t len);
    /* May be NULL: a ping (already answered) or a pong came. */
    void (*on_control)(struct pixi_link *, enum pixi_ws_event_type type, const uint8_t *bytes, size_t len);
    /* May be NULL: what did not fit into the system's buffers at once has all left; or all has left after a send was
     * answered with PIXI_E_QUEUE, or after pixi_link_want_drained. */
    void (*on_drained)(struct pixi_link *);
    /* Once, the last call for this link, from the loop itself: the link may be freed or used anew. */
    void (*on_close)(struct pixi_link *, const struct pixi_link_end *end);
};

struct pixi_link_limits {
    struct pixi_http_limits http;
    size_t message_bytes; /* of a message that comes */
    size_t queue_bytes;   /* waiting to leave */
    uint32_t handshake_ms, close_ms;
    uint32_t ping_ms; /* after so long without a byte from the peer a ping is sent; 0: never */
    uint32_t pong_ms; /* after so long without a byte since that ping the peer counts as gone */
};

enum { PIXI_LINK_ENTROPY = 64, PIXI_LINK_LEAST = 16384 };

struct pixi_link {
    struct pixi_tcp tcp;
    struct pixi_loop *loop;                    /* borrowed */
    const struct pixi_link_handlers *handlers; /* borrowed */
    const struct pixi_link_limits *limits;     /* borrowed */
    /* borrowed; set by the owner before the opening handshake, where compression may be agreed on; NULL: it may not */
    struct pixi_packer *packer;
    size_t pack_max; /* bytes: longer messages do not leave compressed; 0: nothing was agreed on */
    enum pixi_role role;
    enum pixi_link_state state;
    struct pixi_ws_reader reader;
    struct pixi_buf partial; /* a head or a message cut short; lent by the loop */
    struct pixi_timer timer; /* which wait it is, the state says */
    struct pixi_task last;   /* calls on_close */
    struct pixi_link_end end;
    struct pixi_ws_hello hello; /* client, until it is open */
    char key[PIXI_WS_KEY_LEN + 1];
    enum pixi_link_form form;
    bool is_pinged;    /* a keepalive ping is out */
    bool is_end_known; /* end was written: the first reason is the one told */
    bool was_open;
    bool is_to_secure; /* TLS was asked for and does not stand yet */
    bool hears_out;    /* hand on messages that come after our close, until the peer's; set by the owner */
    size_t lingered;   /* bytes passed over since all was said */
    uint64_t left;     /* bytes that had left when the lingering was last looked at */
    uint64_t heard_ms; /* when the last byte came */
    uint64_t begun_ms; /* when the message, or the frame, began that has not come whole yet; 0: none */
    uint8_t entropy[PIXI_LINK_ENTROPY];
    uint8_t entropy_left;
};

/* The table that pixi_dial_start wants for link->tcp. */
extern const struct pixi_tcp_handlers pixi_link_tcp;

/* pixi_link_init -- a closed link. Nothing is allocated. */
void pixi_link_init(struct pixi_link *k, struct pixi_loop *l, enum pixi_role role,
                    const struct pixi_link_handlers *h, const struct pixi_link_limits *limits);

/* pixi_link_serve -- the server's side of an accepted socket; takes fd.   PIXI_OK | PIXI_E_SYS (fd is closed) */
int pixi_link_serve(struct pixi_link *k, int fd);

/* pixi_link_serve_stream -- the same without a WebSocket, open at once (on_open is not called): on_message gets bytes
 * as they come, of type PIXI_WS_BINARY, pixi_link_send and _send_frame send bytes as they are, close and fail end the
 * connection after what is queued; no pings, no time-out but that of the end. */
int pixi_link_serve_stream(struct pixi_link *k, int fd);

/* pixi_link_secure -- the client's side, when k->tcp is open: TLS first, for at most timeout_ms. Takes tls. on_secured
 * follows, or on_close (PIXI_E_TLS, PIXI_E_TIMEOUT, ...) with k->is_to_secure
 * still set. */
void pixi_link_secure(struct pixi_link *k, struct pixi_tls *tls, uint32_t timeout_ms);

/* pixi_link_hello -- the client's side, when k->tcp is open: sends the request. hello->key is made here; its other
 * strings are borrowed until on_open or on_close.   PIXI_OK | PIXI_E_NOMEM | PIXI_E_SYS (no randomness) |
 * PIXI_E_HTTP_FIELD (a control character in one of them). After an error only pixi_link_drop may follow. */
int pixi_link_hello(struct pixi_link *k, const struct pixi_ws_hello *hello);

/* pixi_link_lines -- the client's side, when k->tcp is open: no handshake, no frames, each message a line of text; closing
 * is the stream's end. on_open is called from inside. Texts that are sent hold no line break. */
void pixi_link_lines(struct pixi_link *k, const char *protocol);

/* pixi_link_accept -- from on_request: upgrade. protocol: one of r's, or p == NULL. on_open is called from inside. */
void pixi_link_accept(struct pixi_link *k, const struct pixi_ws_request *r, struct pixi_cur protocol);

/* pixi_link_respond -- from on_request: this HTTP response, then the end of the connection. */
void pixi_link_respond(struct pixi_link *k, const struct pixi_buf *response);

/* pixi_link_respond_shared -- the same: this head, then body, which gains a reference; NULL: no body. A peer that takes less
 * than PIXI_LINK_LEAST bytes in close_ms is cut off. */
void pixi_link_respond_shared(struct pixi_link *k, const struct pixi_buf *head, struct pixi_shared *body);

/* pixi_link_send -- queue one message; copies. type PIXI_WS_TEXT (the caller vouches for UTF-8) or PIXI_WS_BINARY.
 *   PIXI_OK
 *   PIXI_E_QUEUE      queue_bytes would be exceeded; nothing was queued
 *   PIXI_E_NOMEM      nothing was queued
 *   PIXI_E_WS_CLOSED  not open, or closing */
int pixi_link_send(struct pixi_link *k, enum pixi_ws_opcode type, const uint8_t *bytes, size_t len);

/* pixi_link_send_message -- server only: queue a message that was made once for many links; a large one is referred to, not
 * copied. As pixi_link_send, or an error that making it met. */
int pixi_link_send_message(struct pixi_link *k, struct pixi_link_message *m);

/* pixi_link_send_parts -- server only: queue one binary message made of these pieces, copied. As pixi_link_send. */
int pixi_link_send_parts(struct pixi_link *k, const struct pixi_cur *parts, size_t count);

/* pixi_link_ping -- at most PIXI_WS_CONTROL_MAX bytes. As pixi_link_send. */
int pixi_link_ping(struct pixi_link *k, const uint8_t *bytes, size_t len);

/* pixi_link_waiting -- bytes queued and not yet handed to the system. */
static inline size_t pixi_link_waiting(const struct pixi_link *k)
{
    return pixi_tcp_waiting(&k->tcp);
}

/* pixi_link_want_drained -- on_drained when what waits now has left: for whoever stops because much waits. */
static inline void pixi_link_want_drained(struct pixi_link *k)
{
    k->tcp.wants_drained = true;
}

/* pixi_link_close -- start the closing handshake after what is queued; reason may be NULL. During the opening
 * handshake, and when called again, the connection is dropped.  on_close follows. */
void pixi_link_close(struct pixi_link *k, uint16_t code, const char *reason);

/* pixi_link_fail -- the peer broke a rule: tell it (close code of err), pass over what it still sends, end. */
void pixi_link_fail(struct pixi_link *k, int err);

/* pixi_link_drop -- end the TCP connection now. on_close follows unless the link was closed already. */
void pixi_link_drop(struct pixi_link *k, int err);

#endif
