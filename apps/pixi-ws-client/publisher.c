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
    struct pixi_rpc_params position;

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
        if (p->on_stored && pixi_rpc_result_read(a->result, &position) == PIXI_OK)
            p->on_stored(p, &position);
    }
    p->low++;
    if (p->on_room && !p->is_all)
        p->on_room(p);
    finish_if_done(p);
}

static void put_key(struct pixi_json_out *w, const struct publisher *p)
{
    pixi_json_name(w, "key");
    pixi_json_open_object(w);
    pixi_json_name(w, "producer");
    pixi_json_text(w, p->producer);
    pixi_json_name(w, "seq");
    pixi_json_number(w, p->seq);
    pixi_json_name(w, "low");
    pixi_json_number(w, p->low);
    pixi_json_close_object(w);
}

int publisher_put(struct publisher *p, const struct publication *m)
{
    struct pixi_uplink *c = &p->session.client;
    struct pixi_json_out w;

    p->seq++;
    pixi_uplink_begin(c, &w, PIXI_RPC_PUBLISH);
    pixi_json_name(&w, "topic");
    pixi_json_text(&w, m->topic);
    pixi_rpc_put_payload(&w, m->payload, pixi_rpc_is_json(m->payload));
    pixi_rpc_put_headers(&w, m->headers);
    if (m->is_retained) {
        pixi_json_name(&w, "retain");
        pixi_json_bool(&w, true);
    }
    if (m->has_expiry) {
        pixi_json_name(&w, "expiry_s");
        pixi_json_number(&w, m->expiry_s);
    }
    put_key(&w, p);
    if (pixi_uplink_end(c, &w, PIXI_UPLINK_RESEND, p->timeout_ms, on_answer, NULL) == PIXI_OK)
        return 0;
    return tell(p->session.app, PIXI_EXIT_USAGE, "limits", FIX_MESSAGE_BYTES,
                "a message of %zu bytes is over limits.message_bytes (%llu)", pixi_cur_left(&m->payload),
                (unsigned long long)p->session.settings.limits.message_bytes);
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
