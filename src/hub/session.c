#include "hub/session.h"

#include <assert.h>
#include <stdlib.h>

enum { VERSION = 1, CAP_LEAST = 16 };

void pixi_session_init(struct pixi_session *s, uint32_t most)
{
    assert(most >= 1 && most <= UINT16_MAX);
    *s = (struct pixi_session){.most = most, .window = most};
}

void pixi_session_clear(struct pixi_session *s)
{
    free(s->sent);
    free(s->received);
    pixi_session_init(s, s->most);
}

/* --- to the client ------------------------------------------------------------------------------------------- */

static struct pixi_sent *slot(const struct pixi_session *s, uint32_t i)
{
    return &s->sent[(s->sent_first + i) & (s->sent_cap - 1)];
}

const struct pixi_sent *pixi_session_unacknowledged(const struct pixi_session *s, uint32_t i)
{
    return slot(s, i);
}

/* The slot's index; sent_len: none. Most often it is the first one. */
static uint32_t find(const struct pixi_session *s, uint16_t id)
{
    uint32_t i = 0;

    while (i < s->sent_len && (slot(s, i)->id != id || slot(s, i)->state == PIXI_SENT_OVER))
        i++;
    return i;
}

/* Those that are over leave gaps behind one that is not. */
static void close_gaps(struct pixi_session *s)
{
    uint32_t len = 0;

    for (uint32_t i = 0; i < s->sent_len; i++)
        if (slot(s, i)->state != PIXI_SENT_OVER)
            *slot(s, len++) = *slot(s, i);
    s->sent_len = len;
}

/* Nothing is left to be sent again: only then are there new ones. At most every other slot is a gap after it. */
static int reserve(struct pixi_session *s)
{
    uint32_t cap = s->sent_cap ? 2 * s->sent_cap : CAP_LEAST;
    struct pixi_sent *sent;

    if (s->sent_len < s->sent_cap)
        return PIXI_OK;
    close_gaps(s);
    if (s->sent_len < s->sent_cap / 2)
        return PIXI_OK;
    sent = malloc(cap * sizeof *sent);
    if (!sent)
        return PIXI_E_NOMEM;
    for (uint32_t i = 0; i < s->sent_len; i++)
        sent[i] = *slot(s, i);
    free(s->sent);
    s->sent = sent;
    s->sent_cap = cap;
    s->sent_first = 0;
    return PIXI_OK;
}

static uint16_t next_id(struct pixi_session *s)
{
    do
        s->last_id = s->last_id == UINT16_MAX ? 1 : (uint16_t)(s->last_id + 1);
    while (find(s, s->last_id) < s->sent_len); /* there are more identifiers than slots may be in use */
    return s->last_id;
}

bool pixi_session_has_room(const struct pixi_session *s)
{
    return !pixi_session_is_resending(s) && s->active < s->window && s->active < s->most;
}

int pixi_session_send_tagged(struct pixi_session *s, uint64_t offset, unsigned qos, uint32_t tag,
                             uint8_t flags, const struct pixi_sent **sent)
{
    struct pixi_sent fresh = {.offset = offset,
                              .tag = tag,
                              .state = qos == 1 ? PIXI_SENT_WAITS_ACK : PIXI_SENT_WAITS_REC,
                              .flags = flags};

    assert(qos == 1 || qos == 2);
    if (!pixi_session_has_room(s))
        return PIXI_E_QUEUE;
    if (reserve(s))
        return PIXI_E_NOMEM;
    fresh.id = next_id(s);
    *slot(s, s->sent_len) = fresh;
    *sent = slot(s, s->sent_len);
    s->sent_len++;
    s->resend_at = s->sent_len;
    s->active++;
    return PIXI_OK;
}

int pixi_session_send(struct pixi_session *s, uint64_t offset, unsigned qos, const struct pixi_sent **sent)
{
    return pixi_session_send_tagged(s, offset, qos, 0, 0, sent);
}

static void end(struct pixi_session *s, uint32_t i)
{
    slot(s, i)->state = PIXI_SENT_OVER;
    s->active -= i < s->resend_at;
    while (s->sent_len && slot(s, 0)->state == PIXI_SENT_OVER) {
        s->sent_first++;
        s->sent_len--;
        s->resend_at -= s->resend_at > 0;
    }
}

static bool end_if(struct pixi_session *s, uint16_t id, enum pixi_sent_state state)
{
    uint32_t i = find(s, id);

    if (i == s->sent_len || slot(s, i)->state != state)
        return false;
    end(s, i);
    return true;
}

bool pixi_session_puback(struct pixi_session *s, uint16_t id)
{
    return end_if(s, id, PIXI_SENT_WAITS_ACK);
}

bool pixi_session_pubrec(struct pixi_session *s, uint16_t id)
{
    uint32_t i = find(s, id);

    if (i == s->sent_len || slot(s, i)->state == PIXI_SENT_WAITS_ACK)
        return false;
    slot(s, i)->state = PIXI_SENT_WAITS_COMP;
    return true;
}

bool pixi_session_pubrec_refused(struct pixi_session *s, uint16_t id)
{
    return end_if(s, id, PIXI_SENT_WAITS_REC);
}

bool pixi_session_pubcomp(struct pixi_session *s, uint16_t id)
{
    return end_if(s, id, PIXI_SENT_WAITS_COMP);
}

void pixi_session_resume(struct pixi_session *s, uint32_t window)
{
    assert(window);
    s->window = window;
    s->resend_at = 0;
    s->active = 0;
}

const struct pixi_sent *pixi_session_next_resend(struct pixi_session *s)
{
    while (pixi_session_is_resending(s) && slot(s, s->resend_at)->state == PIXI_SENT_OVER)
        s->resend_at++;
    if (!pixi_session_is_resending(s) || s->active >= s->window)
        return NULL;
    return slot(s, s->resend_at);
}

void pixi_session_resent(struct pixi_session *s)
{
    assert(pixi_session_is_resending(s));
    s->resend_at++;
    s->active++;
}

void pixi_session_forget_resend(struct pixi_session *s)
{
    assert(pixi_session_is_resending(s));
    end(s, s->resend_at);
}

bool pixi_session_holds(const struct pixi_session *s, uint64_t offset)
{
    for (uint32_t i = 0; i < s->sent_len; i++)
        if (slot(s, i)->offset == offset &&
            (slot(s, i)->state == PIXI_SENT_WAITS_ACK || slot(s, i)->state == PIXI_SENT_WAITS_REC))
            return true;
    return false;
}

/* --- from the client ------------------------------------------------------------------------------------------ */

static struct pixi_received *find_received(const struct pixi_session *s, uint16_t id)
{
    for (uint32_t i = 0; i < s->received_len; i++)
        if (s->received[i].id == id)
            return &s->received[i];
    return NULL;
}

static int reserve_received(struct pixi_session *s)
{
    uint32_t cap = s->received_cap ? 2 * s->received_cap : CAP_LEAST;
    struct pixi_received *received;

    if (s->received_len < s->received_cap)
        return PIXI_OK;
    received = realloc(s->received, cap * sizeof *received);
    if (!received)
        return PIXI_E_NOMEM;
    s->received = received;
    s->received_cap = cap;
    return PIXI_OK;
}

int pixi_session_receive(struct pixi_session *s, uint16_t id, uint64_t *seq, bool *is_stored)
{
    const struct pixi_received *r = find_received(s, id);

    if (r) {
        *seq = r->seq;
        *is_stored = r->is_stored;
        return PIXI_MORE;
    }
    if (s->received_len >= s->most)
        return PIXI_E_LIMIT;
    if (reserve_received(s))
        return PIXI_E_NOMEM;
    *seq = ++s->last_seq;
    *is_stored = false;
    s->received[s->received_len++] = (struct pixi_received){.seq = *seq, .id = id};
    return PIXI_OK;
}

bool pixi_session_stored(struct pixi_session *s, uint16_t id)
{
    struct pixi_received *r = find_received(s, id);

    if (r)
        r->is_stored = true;
    return r;
}

bool pixi_session_release(struct pixi_session *s, uint16_t id)
{
    struct pixi_received *r = find_received(s, id);

    if (!r)
        return false;
    memmove(r, r + 1, (size_t)(s->received + --s->received_len - r) * sizeof *r);
    return true;
}

void pixi_session_refuse(struct pixi_session *s, uint16_t id)
{
    pixi_session_release(s, id);
}

uint64_t pixi_session_low(const struct pixi_session *s)
{
    return s->received_len ? s->received[0].seq : s->last_seq + 1;
}

/* --- as bytes ------------------------------------------------------------------------------------------------- */

static void put_uint(struct pixi_buf *b, size_t width, uint64_t v)
{
    uint8_t bytes[8];

    for (size_t i = width; i-- > 0; v >>= 8)
        bytes[i] = (uint8_t)v;
    pixi_buf_put(b, bytes, width);
}

void pixi_session_put(const struct pixi_session *s, struct pixi_buf *b)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < s->sent_len; i++)
        count += slot(s, i)->state != PIXI_SENT_OVER;
    put_uint(b, 1, VERSION);
    put_uint(b, 2, s->last_id);
    put_uint(b, 8, s->last_seq);
    put_uint(b, 4, count);
    for (uint32_t i = 0; i < s->sent_len; i++) {
        const struct pixi_sent *o = slot(s, i);

        if (o->state == PIXI_SENT_OVER)
            continue;
        put_uint(b, 8, o->offset);
        put_uint(b, 4, o->tag);
        put_uint(b, 2, o->id);
        put_uint(b, 1, o->state);
        put_uint(b, 1, o->flags);
    }
    put_uint(b, 4, s->received_len);
    for (uint32_t i = 0; i < s->received_len; i++) {
        put_uint(b, 8, s->received[i].seq);
        put_uint(b, 2, s->received[i].id);
        put_uint(b, 1, s->received[i].is_stored);
    }
}

static bool take_uint(struct pixi_cur *in, size_t width, uint64_t most, uint64_t *out)
{
    struct pixi_cur bytes;
    uint64_t v = 0;

    if (!pixi_cur_cut(in, width, &bytes))
        return false;
    while (bytes.p != bytes.end)
        v = v << 8 | *bytes.p++;
    *out = v;
    return v <= most;
}

static int take_sent(struct pixi_session *s, struct pixi_cur *in)
{
    uint64_t offset, tag, id, state, flags;

    if (reserve(s))
        return PIXI_E_NOMEM;
    if (!take_uint(in, 8, UINT64_MAX, &offset) || !take_uint(in, 4, UINT32_MAX, &tag) ||
        !take_uint(in, 2, UINT16_MAX, &id) || !take_uint(in, 1, PIXI_SENT_WAITS_COMP, &state) ||
        !take_uint(in, 1, UINT8_MAX, &flags) || !id || !state)
        return PIXI_E_STORAGE;
    *slot(s, s->sent_len++) =
        (struct pixi_sent){offset, (uint32_t)tag, (uint16_t)id, (uint8_t)state, (uint8_t)flags};
    return PIXI_OK;
}

static int take_received(struct pixi_session *s, struct pixi_cur *in)
{
    uint64_t seq, id, is_stored;

    if (reserve_received(s))
        return PIXI_E_NOMEM;
    if (!take_uint(in, 8, s->last_seq, &seq) || !take_uint(in, 2, UINT16_MAX, &id) ||
        !take_uint(in, 1, 1, &is_stored) || !id)
        return PIXI_E_STORAGE;
    s->received[s->received_len++] = (struct pixi_received){seq, (uint16_t)id, is_stored};
    return PIXI_OK;
}

static int take_all(struct pixi_session *s, struct pixi_cur *in)
{
    uint64_t version, last_id, count;
    int rc = PIXI_OK;

    if (!take_uint(in, 1, VERSION, &version) || version != VERSION ||
        !take_uint(in, 2, UINT16_MAX, &last_id) || !take_uint(in, 8, UINT64_MAX, &s->last_seq) ||
        !take_uint(in, 4, UINT16_MAX, &count))
        return PIXI_E_STORAGE;
    s->last_id = (uint16_t)last_id;
    while (rc == PIXI_OK && count--)
        rc = take_sent(s, in);
    if (rc == PIXI_OK && !take_uint(in, 4, UINT16_MAX, &count))
        rc = PIXI_E_STORAGE;
    while (rc == PIXI_OK && count--)
        rc = take_received(s, in);
    return rc;
}

int pixi_session_take(struct pixi_session *s, struct pixi_cur *in)
{
    struct pixi_cur rest = *in;
    int rc = take_all(s, &rest);

    if (rc == PIXI_OK)
        *in = rest;
    else
        pixi_session_clear(s);
    return rc;
}
