/* batching.c -- subscriptions with batch_ms: their messages wait a little and leave as one JSON-RPC batch.
 *
 * The first message after a pause leaves with those of its turn of the loop; what follows, batch_ms later. Nothing is held
 * while nothing waits. */
#include "server/conn.h"

#include <stdlib.h>

enum {
    INDEX_MAX = 1 << 24, /* bytes: far more than what is gathered needs */
};

struct pixi_batching {
    struct pixi_conn *conn;  /* borrowed */
    struct pixi_timer timer; /* set while something waits, and until batch_ms after the last batch */
    struct pixi_gather gather;
    uint64_t batch_ms;
    enum pixi_gather_keep keep;
    bool is_lent;   /* the gather has memory */
    size_t waiting; /* bytes in the gather, as counted in conn->batched */
};

static void count_waiting(struct pixi_batching *b)
{
    size_t now = b->is_lent ? b->gather.text.len : 0;

    b->conn->batched += now - b->waiting;
    b->waiting = now;
}

static void lend(struct pixi_batching *b)
{
    struct pixi_loop *l = b->conn->server->loop;

    if (b->is_lent)
        return;
    b->is_lent = true;
    pixi_gather_init(&b->gather, b->keep, pixi_loop_borrow(l, PIXI_GATHER_LATEST_MAX + 1),
                     pixi_loop_borrow(l, INDEX_MAX), pixi_loop_borrow(l, INDEX_MAX));
    if (!pixi_timer_is_set(&b->timer))
        pixi_loop_set_timer(l, &b->timer, 0);
}

static void give_back(struct pixi_batching *b)
{
    struct pixi_loop *l = b->conn->server->loop;

    pixi_loop_give_back(l, &b->gather.text);
    pixi_loop_give_back(l, &b->gather.entries);
    pixi_loop_give_back(l, &b->gather.slots);
    b->is_lent = false;
}

void pixi_batching_flush(struct pixi_batching *b)
{
    struct pixi_conn *c = b->conn;
    struct pixi_cur frame;
    int rc = PIXI_OK;

    if (!b->is_lent)
        return;
    while (pixi_gather_next(&b->gather, &frame)) {
        if (rc == PIXI_OK)
            rc = pixi_link_send(&c->link, PIXI_WS_TEXT, frame.p, pixi_cur_left(&frame));
        c->server->counters.messages_out += rc == PIXI_OK;
    }
    give_back(b);
    count_waiting(b);
    if (rc == PIXI_E_QUEUE)
        pixi_conn_close_slow(c);
    else if (rc != PIXI_OK && rc != PIXI_E_WS_CLOSED)
        pixi_link_fail(&c->link, rc);
}

static void on_due(struct pixi_timer *t)
{
    struct pixi_batching *b = (struct pixi_batching *)((char *)t - offsetof(struct pixi_batching, timer));

    if (!b->is_lent)
        return; /* nothing came: the next one leaves at once */
    pixi_loop_set_timer(b->conn->server->loop, t, b->batch_ms);
    pixi_batching_flush(b);
}

struct pixi_batching *pixi_batching_new(struct pixi_conn *c, uint64_t batch_ms, enum pixi_gather_keep keep)
{
    struct pixi_batching *b = malloc(sizeof *b);

    if (b)
        *b = (struct pixi_batching){
            .conn = c, .timer = {.on_due = on_due}, .batch_ms = batch_ms, .keep = keep};
    return b;
}

void pixi_batching_free(struct pixi_batching *b)
{
    if (!b)
        return;
    pixi_batching_flush(b);
    pixi_loop_cancel_timer(b->conn->server->loop, &b->timer);
    free(b);
}

int pixi_batching_add(struct pixi_batching *b)
{
    const struct pixi_server *s = b->conn->server;
    struct pixi_gather_note note = {
        .text = pixi_link_message_payload(&s->note), .topic_len = s->note_topic_len, .hash = s->note_hash};
    int rc;

    /* by itself where it is large; early where many subscriptions, each with its batch, have much together */
    if (pixi_cur_left(&note.text) > PIXI_GATHER_NOTE_MAX || b->conn->batched > s->soft_queue)
        pixi_batching_flush(b);
    if (pixi_cur_left(&note.text) > PIXI_GATHER_NOTE_MAX)
        return PIXI_E_LIMIT;
    lend(b);
    rc = pixi_gather_add(&b->gather, &note);
    if (rc == PIXI_E_LIMIT) {
        pixi_batching_flush(b);
        lend(b);
        rc = pixi_gather_add(&b->gather, &note);
    }
    count_waiting(b);
    return rc;
}
