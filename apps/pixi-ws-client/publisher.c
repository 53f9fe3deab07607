#include "pixi-ws-client/publisher.h"

#include <openssl/rand.h>
#include <stdio.h>

enum { WINDOW = 256 }; /* messages sent and not yet answered */

static int make_producer(char out[37])
{
    uint8_t b[16];
    char *p = out;

    if (RAND_bytes(b, sizeof b) != 1)
        return PIXI_EXIT_INTERNAL;
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* RFC 9562 §5.4: version 4 */
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof b; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        p += snprintf(p, 3, "%02x", b[i]);
    }
    return 0;
}

void publisher_on_end(struct pixi_uplink *c, const struct pixi_failure *f)
{
    session_end(session_of(c), f);
}

void publisher_on_lost(struct pixi_uplink *c, const struct pixi_failure *f, uint64_t in_ms)
{
    if (!session_of(c)->app->is_json)
        note_lost(c, f, in_ms);
}

int publisher_open(struct publisher *p, struct app *app, const struct pixi_uplink_handlers *h)
{
    static const struct pixi_uplink_handlers plain = {.on_end = publisher_on_end,
                                                      .on_lost = publisher_on_lost};
    int exit_code = make_producer(p->producer);

    if (!exit_code)
        exit_code = session_open(&p->session, app, h ? h : &plain, PIXI_RETRY_LOST);
    if (exit_code)
        return exit_code;
    p->low = 1;
    if (!p->timeout_ms)
        p->timeout_ms = p->session.settings.timeouts.request_ms;
    p->session.answer_ms = p->timeout_ms;
    return 0;
}

static void finish_if_done(struct publisher *p)
{
    if (!p->is_all || p->low <= p->seq)
        return;
    if (p->on_done)
        p->on_done(p);
    session_finish(&p->session, p->forbidden ? PIXI_EXIT_KEY : 0);
}

static void on_answer(struct pixi_uplink *c, void *ctx, const struct pixi_uplink_answer *a)
{
    struct publisher *p = publisher_of(c);

    (void)ctx;
    if (p->session.is_over || p->session.was_interrupted || p->session.exit_code)
        return;
    if (a->failure && a->failure->err == PIXI_E_FORBIDDEN && p->tolerates_forbidden) {
        p->forbidden++;
    } else if (a->failure) {
        print_failure(p->session.app, a->failure);
        if (p->on_failed)
            p->on_failed(p);
        session_finish(&p->session, a->failure->exit_code);
        return;
    } else {
        p->stored++;
        if (p->on_stored)
            p->on_stored(p, a->p);
    }
    p->low++;
    if (p->on_room && !p->is_all)
        p->on_room(p);
    finish_if_done(p);
}

int publisher_put(struct publisher *p, const struct publication *m)
{
    struct pixi_uplink_out out = {.topic = m->topic,
                                  .payload = m->payload,
                                  .is_json = pixi_rpc_is_json(m->payload),
                                  .headers = m->headers,
                                  .is_retained = m->is_retained,
                                  .has_expiry = m->has_expiry,
                                  .expiry_s = m->expiry_s,
                                  .producer = p->producer,
                                  .seq = ++p->seq,
                                  .low = p->low};

    if (pixi_uplink_publish(&p->session.client, &out, p->timeout_ms, on_answer, NULL) == PIXI_OK)
        return 0;
    return tell_too_large(p->session.app, &p->session.settings, m->payload);
}

bool publisher_is_full(const struct publisher *p)
{
    return p->session.client.call_count >= WINDOW;
}

void publisher_end(struct publisher *p)
{
    p->is_all = true;
    finish_if_done(p);
}
