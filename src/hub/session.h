/* session.h -- what QoS 1 and 2 promise one client of MQTT, both ways: packet identifiers and what is not yet
 * acknowledged. MQTT 5 §4.3, §4.4, §4.9. Pure logic: no message, no bytes, no time.
 *
 * Towards the client: pixi_session_send for each message, in order; acknowledgements as they come. After another
 * connection was made, pixi_session_resume and pixi_session_next_resend until it says NULL, then new ones again.
 *
 * From the client: QoS 2 only. Every identifier gets a number of its own, `seq`, so that whoever stores the message can
 * tell a repetition from another message with the same identifier, even after a crash. */
#ifndef PIXI_HUB_SESSION_H
#define PIXI_HUB_SESSION_H

#include "base/buf.h"

enum pixi_sent_state {
    PIXI_SENT_OVER,       /* acknowledged: the slot is free */
    PIXI_SENT_WAITS_ACK,  /* QoS 1: PUBACK */
    PIXI_SENT_WAITS_REC,  /* QoS 2: PUBREC */
    PIXI_SENT_WAITS_COMP, /* QoS 2: PUBCOMP; the message itself is never needed again */
};

/* A message that was sent. */
struct pixi_sent {
    uint64_t offset; /* where the store has it */
    uint32_t tag;    /* the caller's, kept */
    uint16_t id;     /* packet identifier */
    uint8_t state;   /* enum pixi_sent_state */
    uint8_t flags;   /* the caller's, kept */
};

struct pixi_received {
    uint64_t seq;
    uint16_t id;
    bool is_stored; /* PUBREC may be sent */
};

/* All zero but `most`: new. */
struct pixi_session {
    struct pixi_sent *sent;         /* owned; circular, in order of sending */
    struct pixi_received *received; /* owned; in order of coming */
    uint32_t sent_first, sent_len, sent_cap;
    uint32_t received_len, received_cap;
    uint32_t resend_at; /* slots before it were sent on this connection */
    uint32_t active;    /* how many of those are not acknowledged */
    uint32_t window;    /* how many may be: the client's receive maximum */
    uint32_t most;      /* unacknowledged at a time, each way */
    uint16_t last_id;
    uint64_t last_seq;
};

/* pixi_session_init -- most: 1 .. 65535. Allocates nothing. */
void pixi_session_init(struct pixi_session *s, uint32_t most);
void pixi_session_clear(struct pixi_session *s);

/* pixi_session_send -- a message is about to be sent with this QoS (1 or 2).
 *
 *   sent   on PIXI_OK the slot, its id given. Borrowed until the next call
 *
 *   PIXI_OK | PIXI_E_NOMEM
 *   PIXI_E_QUEUE   the window is full, or what was sent before has to be sent again first */
int pixi_session_send(struct pixi_session *s, uint64_t offset, unsigned qos, const struct pixi_sent **sent);

/* The same with tag and flags of the caller's. */
int pixi_session_send_tagged(struct pixi_session *s, uint64_t offset, unsigned qos, uint32_t tag,
                             uint8_t flags, const struct pixi_sent **sent);

/* pixi_session_unacknowledged -- slot i below sent_len, in order of sending; some are over. */
const struct pixi_sent *pixi_session_unacknowledged(const struct pixi_session *s, uint32_t i);

/* Acknowledgements. false: no message with this identifier waits for that, the client is to be told 0x92, or nothing.
 *   puback    QoS 1 is over
 *   pubrec    PUBREL is due (also when it came before); is_refused: the client does not want it, it is over
 *   pubcomp   QoS 2 is over */
bool pixi_session_puback(struct pixi_session *s, uint16_t id);
bool pixi_session_pubrec(struct pixi_session *s, uint16_t id);
bool pixi_session_pubrec_refused(struct pixi_session *s, uint16_t id);
bool pixi_session_pubcomp(struct pixi_session *s, uint16_t id);

/* pixi_session_resume -- another connection, whose client takes so many at a time (at least 1). Everything
 * unacknowledged is to be sent again, in order [MQTT-4.4.0-1]. */
void pixi_session_resume(struct pixi_session *s, uint32_t window);

/* pixi_session_next_resend -- what is to be sent again next: in state WAITS_COMP a PUBREL, else the message with DUP.
 * NULL: nothing (any more), or the window is full. Borrowed until the next call.
 * pixi_session_resent -- that one was sent.   pixi_session_forget_resend -- that one cannot be: it is over. */
const struct pixi_sent *pixi_session_next_resend(struct pixi_session *s);
void pixi_session_resent(struct pixi_session *s);
void pixi_session_forget_resend(struct pixi_session *s);

/* pixi_session_is_resending -- there is something left to be sent again. */
static inline bool pixi_session_is_resending(const struct pixi_session *s)
{
    return s->resend_at < s->sent_len;
}

/* pixi_session_has_room -- would pixi_session_send take another? */
bool pixi_session_has_room(const struct pixi_session *s);

/* pixi_session_holds -- may the message at this offset have to be sent again? */
bool pixi_session_holds(const struct pixi_session *s, uint64_t offset);

/* pixi_session_receive -- a PUBLISH with QoS 2 came.
 *
 *   seq   on PIXI_OK and PIXI_MORE the number of this identifier's message
 *
 *   PIXI_OK        new: store it
 *   PIXI_MORE      it came before and is being stored, or (*is_stored) was: PUBREC is due, and nothing else
 *   PIXI_E_LIMIT   more than `most` wait for their PUBREL
 *   PIXI_E_NOMEM */
int pixi_session_receive(struct pixi_session *s, uint16_t id, uint64_t *seq, bool *is_stored);

/* pixi_session_stored -- PUBREC is due. false: released meanwhile.
 * pixi_session_refuse -- it was not stored, and a PUBREC says so: the identifier is free.
 * pixi_session_release -- a PUBREL came. false: not known, 0x92. */
bool pixi_session_stored(struct pixi_session *s, uint16_t id);
void pixi_session_refuse(struct pixi_session *s, uint16_t id);
bool pixi_session_release(struct pixi_session *s, uint16_t id);

/* pixi_session_low -- no seq below it will be asked for again. */
uint64_t pixi_session_low(const struct pixi_session *s);

/* pixi_session_put -- the whole as bytes, at most 32 + 28 * most.
 * pixi_session_take -- and back, into a session that was just initialised; `in` is moved past it. What was being stored
 * counts as received: its message is stored with the same seq when it comes again.
 *   PIXI_OK | PIXI_E_NOMEM | PIXI_E_STORAGE (not what put wrote; nothing is kept) */
void pixi_session_put(const struct pixi_session *s, struct pixi_buf *b);
int pixi_session_take(struct pixi_session *s, struct pixi_cur *in);

#endif
