/* The session between a log, a client that keeps to MQTT, and a network and a server that fail at random: QoS 1 arrives
 * at least once, QoS 2 exactly once, in order, both ways. */
#include "hub/session.h"
#include "hub/alloc_test.h"
#include "invariants.h"

#include <time.h>

/* --- examples -------------------------------------------------------------------------------------------------- */

static struct pixi_session s;

static uint16_t send(uint64_t offset, unsigned qos)
{
    const struct pixi_sent *sent;

    assert_int_equal(pixi_session_send(&s, offset, qos, &sent), PIXI_OK);
    assert_int_equal(sent->offset, offset);
    return sent->id;
}

static void window_and_acknowledgements(void **state)
{
    const struct pixi_sent *sent;

    (void)state;
    pixi_session_init(&s, 10);
    pixi_session_resume(&s, 2);
    assert_int_equal(send(5, 1), 1);
    assert_int_equal(send(6, 2), 2);
    assert_int_equal(pixi_session_send(&s, 7, 1, &sent), PIXI_E_QUEUE);
    assert_false(pixi_session_puback(&s, 2)); /* of QoS 2 */
    assert_false(pixi_session_pubcomp(&s, 2));
    assert_false(pixi_session_pubrec(&s, 1));
    assert_false(pixi_session_puback(&s, 9));
    assert_true(pixi_session_holds(&s, 6));
    assert_true(pixi_session_pubrec(&s, 2));
    assert_true(pixi_session_pubrec(&s, 2)); /* again: PUBREL again */
    assert_false(pixi_session_holds(&s, 6));
    assert_int_equal(pixi_session_send(&s, 7, 1, &sent), PIXI_E_QUEUE);
    assert_true(pixi_session_pubcomp(&s, 2));
    assert_int_equal(send(7, 2), 3);
    assert_true(pixi_session_pubrec_refused(&s, 3));
    assert_true(pixi_session_puback(&s, 1));
    assert_int_equal(s.sent_len, 0);
    pixi_session_clear(&s);
}

static void identifiers_in_use_are_passed_over(void **state)
{
    (void)state;
    pixi_session_init(&s, 10);
    assert_int_equal(send(1, 1), 1);
    for (uint64_t i = 2; i <= 65535; i++) {
        assert_int_equal(send(i, 1), i);
        assert_true(pixi_session_puback(&s, (uint16_t)i));
    }
    assert_int_equal(send(65536, 1), 2); /* 0 is none, 1 is in use */
    pixi_session_clear(&s);
}

static void sent_again_in_order(void **state)
{
    (void)state;
    pixi_session_init(&s, 10);
    for (uint64_t i = 1; i <= 4; i++)
        send(i, 2);
    pixi_session_pubrec(&s, 2);
    pixi_session_pubrec_refused(&s, 3);
    pixi_session_resume(&s, 2);
    assert_false(pixi_session_has_room(&s));
    assert_int_equal(pixi_session_next_resend(&s)->id, 1);
    pixi_session_resent(&s);
    assert_int_equal(pixi_session_next_resend(&s)->state, PIXI_SENT_WAITS_COMP);
    pixi_session_resent(&s);
    assert_null(pixi_session_next_resend(&s)); /* the window */
    assert_true(pixi_session_is_resending(&s));
    assert_true(pixi_session_pubcomp(&s, 2));
    assert_int_equal(pixi_session_next_resend(&s)->id, 4);
    pixi_session_forget_resend(&s);
    assert_null(pixi_session_next_resend(&s));
    assert_true(pixi_session_has_room(&s));
    pixi_session_clear(&s);
}

static void no_other_bytes_are_taken(void **state)
{
    struct pixi_buf b = pixi_buf_init(1000);
    struct pixi_session t;

    (void)state;
    pixi_session_init(&s, 10);
    send(1, 2);
    pixi_session_receive(&s, 7, &(uint64_t){0}, &(bool){0});
    pixi_session_put(&s, &b);
    for (size_t len = 0; len < b.len; len++) {
        struct inv_guard g = inv_guard(b.bytes, len);
        struct pixi_cur in = pixi_cur_init(g.bytes, len);

        pixi_session_init(&t, 10);
        assert_int_equal(pixi_session_take(&t, &in), PIXI_E_STORAGE);
        assert_ptr_equal(in.p, g.bytes);
        inv_guard_free(&g);
    }
    b.bytes[0]++;
    pixi_session_init(&t, 10);
    assert_int_equal(pixi_session_take(&t, &(struct pixi_cur){b.bytes, b.bytes + b.len}), PIXI_E_STORAGE);
    pixi_buf_clear(&b);
    pixi_session_clear(&s);
}

static void a_bit_of_everything(void)
{
    struct pixi_buf b = pixi_buf_init(1 << 16);
    const struct pixi_sent *sent;
    struct pixi_session t;
    uint64_t seq;
    bool is_stored;

    pixi_session_init(&t, 100);
    for (uint16_t i = 1; i <= 40; i++) {
        pixi_session_send(&t, i, 1 + i % 2, &sent);
        pixi_session_receive(&t, i, &seq, &is_stored);
    }
    pixi_session_put(&t, &b);
    pixi_session_clear(&t);
    if (b.err == PIXI_OK)
        pixi_session_take(&t, &(struct pixi_cur){b.bytes, b.bytes + b.len});
    pixi_session_clear(&t);
    pixi_buf_clear(&b);
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_in_range(alloc_torture(a_bit_of_everything), 8, 40);
}

/* --- the model ------------------------------------------------------------------------------------------------- */

enum { MESSAGES = 60, PIPE = 400, MOST = 8 };
enum kind { PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP };

struct packet {
    enum kind kind;
    uint16_t id;
    unsigned qos;
    uint64_t value; /* offset, or what the client publishes */
};

struct pipe {
    struct packet at[PIPE];
    size_t first, count;
};

static struct {
    unsigned seed;
    struct pipe to_client, to_server;
    /* the server's */
    uint64_t next;    /* of the log: what is sent next */
    struct pipe held; /* waits for the record */
    struct pixi_buf record;
    uint64_t record_next;
    uint64_t stored[MESSAGES + 1]; /* by seq: what a client published; the log of the other direction */
    uint64_t order[MESSAGES];
    size_t order_len;
    uint64_t ids[MOST + 1]; /* by identifier: what came with it */
    bool is_due[MOST + 1];  /* it came on this connection: it is to be answered there */
    /* the client's */
    unsigned got[MESSAGES + 1];
    uint64_t highest[3];
    bool has[PIPE];
    struct {
        uint64_t value; /* 0: none */
        bool is_released;
    } mine[MOST + 1];
    uint64_t published;
} w;

static unsigned below(unsigned n)
{
    return (unsigned)rand_r(&w.seed) % n;
}

static unsigned qos_of(uint64_t offset)
{
    return offset * 7 % 3 == 0 ? 1 : 2;
}

static void push(struct pipe *p, struct packet packet)
{
    assert_true(p->count < PIPE);
    p->at[(p->first + p->count++) % PIPE] = packet;
}

static bool pop(struct pipe *p, struct packet *packet)
{
    if (!p->count)
        return false;
    *packet = p->at[p->first];
    p->first = (p->first + 1) % PIPE;
    p->count--;
    return true;
}

/* The record is on disk, and what waited for it may be said. What came with QoS 2 is stored now: not before. */
static void save(void)
{
    struct packet packet;

    pixi_buf_reset(&w.record);
    pixi_session_put(&s, &w.record);
    w.record_next = w.next;
    for (uint32_t i = 0; i < s.received_len; i++) {
        struct pixi_received *r = &s.received[i];

        if (r->is_stored || !w.ids[r->id])
            continue; /* it comes again */
        assert_in_range(r->seq, 1, MESSAGES);
        if (!w.stored[r->seq])
            w.order[w.order_len++] = w.ids[r->id];
        else
            assert_int_equal(w.stored[r->seq], w.ids[r->id]);
        w.stored[r->seq] = w.ids[r->id];
        assert_true(pixi_session_stored(&s, r->id));
        if (w.is_due[r->id])
            push(&w.held, (struct packet){.kind = PUBREC, .id = r->id});
    }
    while (pop(&w.held, &packet))
        push(&w.to_client, packet);
}

static void send_next(void)
{
    const struct pixi_sent *sent;
    unsigned qos = qos_of(w.next);

    if (w.next > MESSAGES || pixi_session_send(&s, w.next, qos, &sent) != PIXI_OK)
        return;
    push(qos == 1 ? &w.to_client : &w.held, (struct packet){PUBLISH, sent->id, qos, w.next++});
}

static void send_again(void)
{
    const struct pixi_sent *o;

    while ((o = pixi_session_next_resend(&s))) {
        if (o->state == PIXI_SENT_WAITS_COMP)
            push(&w.held, (struct packet){.kind = PUBREL, .id = o->id});
        else
            push(&w.to_client, (struct packet){PUBLISH, o->id, qos_of(o->offset), o->offset});
        pixi_session_resent(&s);
    }
}

static void server_hears(struct packet p)
{
    uint64_t seq;
    bool is_stored;
    int rc;

    switch (p.kind) {
    case PUBACK: pixi_session_puback(&s, p.id); break;
    case PUBREC:
        pixi_session_pubrec(&s, p.id);
        push(&w.held, (struct packet){.kind = PUBREL, .id = p.id});
        break;
    case PUBCOMP: pixi_session_pubcomp(&s, p.id); break;
    case PUBREL:
        pixi_session_release(&s, p.id);
        w.ids[p.id] = 0;
        push(&w.held, (struct packet){.kind = PUBCOMP, .id = p.id});
        break;
    case PUBLISH:
        rc = pixi_session_receive(&s, p.id, &seq, &is_stored);
        assert_in_range(rc, PIXI_OK, PIXI_MORE);
        w.ids[p.id] = p.value;
        w.is_due[p.id] = true;
        if (is_stored)
            push(&w.held, (struct packet){.kind = PUBREC, .id = p.id});
        break;
    }
    send_again();
}

static void take_message(struct packet p)
{
    if (!w.got[p.value]++) {
        assert_true(p.value > w.highest[p.qos]); /* in order */
        w.highest[p.qos] = p.value;
    }
}

static void client_hears(struct packet p)
{
    switch (p.kind) {
    case PUBLISH:
        if (p.qos == 1 || !w.has[p.id])
            take_message(p);
        w.has[p.id] = p.qos == 2;
        push(&w.to_server, (struct packet){.kind = p.qos == 1 ? PUBACK : PUBREC, .id = p.id});
        break;
    case PUBREL:
        w.has[p.id] = false;
        push(&w.to_server, (struct packet){.kind = PUBCOMP, .id = p.id});
        break;
    case PUBREC:
        if (w.mine[p.id].value)
            w.mine[p.id].is_released = true;
        push(&w.to_server, (struct packet){.kind = PUBREL, .id = p.id});
        break;
    case PUBCOMP: w.mine[p.id].value = 0; break;
    case PUBACK: break;
    }
}

static void client_publishes(void)
{
    uint16_t id = (uint16_t)(1 + below(MOST));

    if (w.published == MESSAGES || w.mine[id].value)
        return;
    w.mine[id].value = ++w.published;
    w.mine[id].is_released = false;
    push(&w.to_server, (struct packet){PUBLISH, id, 2, w.mine[id].value});
}

/* What was said on the old connection is lost. */
static void connect_anew(void)
{
    struct packet packet;

    while (pop(&w.to_client, &packet) || pop(&w.to_server, &packet) || pop(&w.held, &packet))
        ;
    memset(w.is_due, 0, sizeof w.is_due);
    pixi_session_resume(&s, 1 + below(MOST));
    send_again();
    for (uint64_t value = 1; value <= w.published; value++) /* in the order of publishing */
        for (uint16_t id = 1; id <= MOST; id++)
            if (w.mine[id].value == value)
                push(&w.to_server, (struct packet){w.mine[id].is_released ? PUBREL : PUBLISH, id, 2, value});
}

static void crash(void)
{
    struct pixi_cur in = pixi_buf_cur(&w.record);

    pixi_session_clear(&s);
    if (w.record.len)
        assert_int_equal(pixi_session_take(&s, &in), PIXI_OK);
    w.next = w.record.len ? w.record_next : 1;
    memset(w.ids, 0, sizeof w.ids);
    connect_anew();
}

static void hear(struct pipe *pipe, void (*hears)(struct packet))
{
    struct packet packet;

    if (pop(pipe, &packet))
        hears(packet);
}

static bool is_done(void)
{
    bool is_mine = false;

    for (size_t i = 1; i <= MOST; i++)
        is_mine |= w.mine[i].value != 0;
    return w.next > MESSAGES && w.published == MESSAGES && !is_mine && !s.sent_len && !w.to_client.count &&
           !w.to_server.count && !w.held.count;
}

static void run(unsigned seed, bool is_failing)
{
    memset(&w, 0, sizeof w);
    w.seed = seed;
    w.next = 1;
    w.record = pixi_buf_init(1 << 16);
    pixi_session_init(&s, MOST);
    for (unsigned step = 0; !is_done(); step++) {
        unsigned what = below(is_failing && step < 3000 ? 102 : 100);

        assert_true(step < 100000);
        if (what < 20)
            send_next();
        else if (what < 40)
            client_publishes();
        else if (what < 65)
            hear(&w.to_client, client_hears);
        else if (what < 90)
            hear(&w.to_server, server_hears);
        else if (what < 100)
            save();
        else if (what == 100)
            connect_anew();
        else
            crash();
    }
    for (uint64_t i = 1; i <= MESSAGES; i++) {
        assert_true(w.got[i] >= 1);
        assert_true(w.got[i] == 1 || (is_failing && qos_of(i) == 1));
    }
    assert_int_equal(w.order_len, MESSAGES); /* each that the client published, once */
    pixi_session_clear(&s);
    pixi_buf_clear(&w.record);
}

static void nothing_lost_nothing_twice(void **state)
{
    unsigned seed = (unsigned)time(NULL);

    (void)state;
    print_message("seed %u\n", seed);
    for (unsigned i = 0; i < 1000; i++)
        run(seed + i, i % 4 != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(window_and_acknowledgements),
        cmocka_unit_test(identifiers_in_use_are_passed_over),
        cmocka_unit_test(sent_again_in_order),
        cmocka_unit_test(no_other_bytes_are_taken),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(nothing_lost_nothing_twice),
    };

    return cmocka_run_group_tests_name("hub/session", tests, NULL, NULL);
}
