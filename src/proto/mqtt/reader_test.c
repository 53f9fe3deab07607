#include "proto/mqtt/reader.h"
#include "mqtt_text.h"
#include "vectors.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

enum { PACKET_MAX = 1048576, BODY_MAX = 2 * PACKET_MAX, FEW_CUTS_FROM = 2000 };

/* How a stream begins before the vector's own bytes. */
enum start { FRESH, AFTER_3, AFTER_5 };

struct how {
    enum pixi_role from;
    unsigned version; /* of a server's stream */
    enum start start;
};

/* ---- round trip ---- */

/* The packet again, from what was written of it: its text is the same. */
static void check_round_trip(const struct pixi_mqtt_reader *r, const struct pixi_mqtt_packet *p)
{
    struct pixi_buf wire = pixi_buf_init(BODY_MAX), want = pixi_buf_init(BODY_MAX),
                    got = pixi_buf_init(BODY_MAX);
    struct pixi_mqtt_head head;
    struct pixi_mqtt_packet again;
    struct pixi_cur c;

    pixi_buf_put_str(&wire, "before");
    pixi_mqtt_packet_encode(&wire, r->version, p);
    assert_int_equal(wire.err, PIXI_OK);
    c = pixi_cur_init(wire.bytes + 6, wire.len - 6);
    assert_memory_equal(wire.bytes, "before", 6);
    assert_int_equal(pixi_mqtt_head_decode(&c, r->from, r->version, &head), PIXI_OK);
    assert_int_equal(head.len, pixi_cur_left(&c));
    assert_int_equal(pixi_mqtt_packet_decode(&head, c, r->from, r->version, &again), PIXI_OK);
    mqtt_text_put(&want, p);
    mqtt_text_put(&got, &again);
    if (!pixi_cur_equals(pixi_buf_cur(&want), pixi_buf_cur(&got)))
        fail_msg("%.*s became %.*s", (int)want.len, (char *)want.bytes, (int)got.len, (char *)got.bytes);
    pixi_buf_clear(&wire);
    pixi_buf_clear(&want);
    pixi_buf_clear(&got);
}

/* ---- running a reader ---- */

static void put_name(struct pixi_buf *out, unsigned type)
{
    pixi_buf_put_str(out, out->len ? " " : "");
    for (const char *p = pixi_mqtt_type_name(type); *p; p++) {
        char low = (char)(*p | 0x20);

        pixi_buf_put(out, &low, 1);
    }
}

/* Packets told go to out as their names. */
struct run {
    struct pixi_mqtt_reader reader;
    struct pixi_buf rest, *out;
    bool is_closed;
};

static int feed(struct run *r, const uint8_t *bytes, size_t len)
{
    struct pixi_cur in = pixi_cur_init(bytes, len);
    struct pixi_mqtt_packet p;
    int rc;

    while ((rc = pixi_mqtt_reader_next(&r->reader, &in, &r->rest, &p)) == PIXI_OK) {
        assert_false(r->is_closed);
        r->is_closed = p.type == PIXI_MQTT_DISCONNECT;
        put_name(r->out, p.type);
        check_round_trip(&r->reader, &p);
    }
    if (rc == PIXI_MORE)
        assert_ptr_equal(in.p, in.end);
    return rc;
}

static void start(struct run *r, const struct how *how, struct pixi_buf *out)
{
    static const uint8_t connect[] = {0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 0, 2, 0, 60, 0, 1, 'c'},
                         connect5[] = {0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 5, 2, 0, 60, 0, 0, 1, 'c'},
                         connack[] = {0x20, 2, 0, 0}, connack5[] = {0x20, 3, 0, 0, 0};
    uint8_t connect3[sizeof connect];
    struct pixi_buf begun = pixi_buf_init(1000);
    bool is_client = how->from == PIXI_CLIENT, is_5 = how->start == AFTER_5;

    memcpy(connect3, connect, sizeof connect);
    connect3[8] = 4;
    *r = (struct run){.rest = pixi_buf_init(PACKET_MAX), .out = &begun};
    pixi_mqtt_reader_init(&r->reader, how->from, is_client ? 0 : how->version, PACKET_MAX);
    if (how->start != FRESH && is_client)
        assert_int_equal(feed(r, is_5 ? connect5 : connect3, is_5 ? sizeof connect5 : sizeof connect3),
                         PIXI_MORE);
    if (how->start != FRESH && !is_client)
        assert_int_equal(feed(r, is_5 ? connack5 : connack, is_5 ? sizeof connack5 : sizeof connack),
                         PIXI_MORE);
    assert_int_equal(begun.len > 0, how->start != FRESH);
    pixi_buf_clear(&begun);
    r->out = out;
}

/* More bytes change nothing once there was an error or a DISCONNECT. */
static void check_final(struct run *r, int rc)
{
    static const uint8_t good[] = {0xd0, 0}, bad[] = {0xff, 0xff};
    struct pixi_fault fault = r->reader.fault;
    size_t len = r->out->len;

    assert_int_equal(feed(r, good, sizeof good), rc);
    assert_int_equal(feed(r, bad, sizeof bad), rc);
    assert_int_equal(r->out->len, len);
    assert_int_equal(r->reader.fault.offset, fault.offset);
    assert_int_equal(r->reader.fault.err, fault.err);
}

/* "connect publish|MQTT_QOS at 17"; ctx: struct how * */
static void run(const struct inv_guard *pieces, const size_t *lens, size_t count, void *ctx,
                struct pixi_buf *out)
{
    struct run r;
    uint64_t began;
    int rc = PIXI_MORE;

    start(&r, ctx, out);
    began = r.reader.offset;
    for (size_t i = 0; i < count && rc >= 0; i++)
        rc = feed(&r, pieces[i].bytes, lens[i]);
    assert_int_equal(rc < 0 ? rc : PIXI_OK, r.reader.fault.err);
    if (rc < 0)
        pixi_buf_putf(out, "|%s at %ju", pixi_err_name(rc), (uintmax_t)(r.reader.fault.offset - began));
    else
        pixi_buf_putf(out, "|%s", pixi_mqtt_reader_is_idle(&r.reader) ? "OK" : "MORE");
    if (rc < 0 || r.is_closed)
        check_final(&r, rc);
    assert_int_equal(out->err, PIXI_OK);
    pixi_buf_clear(&r.rest);
}

/* ---- vectors ---- */

/* As inv_chunks, but for long input only with the cuts where something could go wrong, and few in between. */
static void few_cuts(const struct vec *v, struct how *how, struct pixi_buf *whole)
{
    static const size_t near_start[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct pixi_buf got = pixi_buf_init(VEC_MAX);
    size_t lens[2], at;

    inv_run_cut(run, how, v->bytes, &v->len, 1, whole);
    for (size_t i = 0; i < COUNT(near_start) + 4; i++) {
        at = i < COUNT(near_start) ? near_start[i] : v->len - 1 - (i - COUNT(near_start)) * (v->len / 5);
        lens[0] = at;
        lens[1] = v->len - at;
        pixi_buf_reset(&got);
        inv_run_cut(run, how, v->bytes, lens, 2, &got);
        inv_same(v->id, "cut at", at, whole, &got);
    }
    pixi_buf_clear(&got);
}

static void check_vector(struct vec *v, struct how *how)
{
    struct pixi_buf got = pixi_buf_init(VEC_MAX), want = pixi_buf_init(VEC_MAX);
    const char *place;

    how->from = v->from;
    if (v->len < FEW_CUTS_FROM)
        inv_chunks(v->id, run, how, v->bytes, v->len, &got);
    else
        few_cuts(v, how, &got);
    assert_non_null(v->events);
    pixi_buf_putf(&want, "%s|%s", v->events, pixi_err_name(v->verdict));
    pixi_buf_put(&got, "", 1);
    place = strstr((char *)got.bytes, " at ");
    got.len = place ? (size_t)(place - (char *)got.bytes) : got.len - 1;
    if (!pixi_cur_equals(pixi_buf_cur(&got), pixi_buf_cur(&want)))
        fail_msg("%s: %.*s, wanted %.*s", v->id, (int)got.len, (char *)got.bytes, (int)want.len,
                 (char *)want.bytes);
    pixi_buf_clear(&got);
    pixi_buf_clear(&want);
}

static void check_file(const char *path, unsigned version, enum start start_at)
{
    struct vec_list list = vec_load(path);
    struct how how = {.version = version, .start = start_at};

    for (size_t i = 0; i < list.count; i++)
        check_vector(&list.at[i], &how);
    vec_free(&list);
}

static void connect_3(void **state)
{
    (void)state;
    check_file("tests/vectors/mqtt/connect3.txt", PIXI_MQTT_V3, FRESH);
}

static void connect_5(void **state)
{
    (void)state;
    check_file("tests/vectors/mqtt/connect5.txt", PIXI_MQTT_V5, FRESH);
}

static void packets_3(void **state)
{
    (void)state;
    check_file("tests/vectors/mqtt/packet3.txt", PIXI_MQTT_V3, AFTER_3);
}

static void packets_5(void **state)
{
    (void)state;
    check_file("tests/vectors/mqtt/packet5.txt", PIXI_MQTT_V5, AFTER_5);
}

/* ---- random streams ---- */

static uint32_t seed;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(seed >> 4) * n >> 28);
}

/* Some vectors of one side, one after the other; most of those that are taken are right. */
static void put_stream(struct pixi_buf *out, const struct vec_list *list, enum pixi_role from)
{
    for (uint32_t wanted = 1 + random_below(6), tries = 0; wanted > 0 && tries < 1000; tries++) {
        const struct vec *v = &list->at[random_below((uint32_t)list->count)];

        if (v->from != from || v->len > 300 || (v->verdict != PIXI_OK && random_below(30)))
            continue;
        pixi_buf_put(out, v->bytes, v->len);
        wanted--;
    }
}

static void check_random_cuts(const struct pixi_buf *stream, struct how *how, struct pixi_buf *whole,
                              int round)
{
    struct pixi_buf got = pixi_buf_init(VEC_MAX);
    size_t lens[64];

    inv_run_cut(run, how, stream->bytes, &stream->len, 1, whole);
    for (int cut = 0; cut < 4; cut++) {
        size_t left = stream->len, count = 0;

        for (; left > 0 && count < COUNT(lens) - 1; left -= lens[count++])
            lens[count] = 1 + random_below((uint32_t)(left < 40 ? left : 40));
        lens[count++] = left;
        pixi_buf_reset(&got);
        inv_run_cut(run, how, stream->bytes, lens, count, &got);
        inv_same("random", "round", (size_t)round, whole, &got);
    }
    pixi_buf_clear(&got);
}

/* What is right stays right however it is cut, and what is damaged is told the same at the same byte. */
static void random_streams(void **state)
{
    struct vec_list list = vec_load("tests/vectors/mqtt/packet5.txt");
    struct pixi_buf stream = pixi_buf_init(VEC_MAX), whole = pixi_buf_init(VEC_MAX);
    unsigned outcomes[3] = {0};

    (void)state;
    seed = 1883;
    for (int round = 0; round < 3000; round++) {
        struct how how = {round % 2 ? PIXI_CLIENT : PIXI_SERVER, PIXI_MQTT_V5, AFTER_5};

        pixi_buf_reset(&stream);
        pixi_buf_reset(&whole);
        put_stream(&stream, &list, how.from);
        for (uint32_t n = random_below(3); n > 1 && stream.len; n--)
            stream.bytes[random_below((uint32_t)stream.len)] ^= (uint8_t)(1 << random_below(8));
        check_random_cuts(&stream, &how, &whole, round);
        outcomes[memmem(whole.bytes, whole.len, "|OK", 3)     ? 0
                 : memmem(whole.bytes, whole.len, "|MORE", 5) ? 1
                                                              : 2]++;
    }
    for (size_t i = 0; i < COUNT(outcomes); i++)
        assert_true(outcomes[i] > 20); /* it finds its way to every kind of end */
    pixi_buf_clear(&stream);
    pixi_buf_clear(&whole);
    vec_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_3), cmocka_unit_test(connect_5),      cmocka_unit_test(packets_3),
        cmocka_unit_test(packets_5), cmocka_unit_test(random_streams),
    };

    return cmocka_run_group_tests_name("proto/mqtt/reader", tests, NULL, NULL);
}
