#include "proto/ws/reader.h"
#include "proto/ws/close.h"
#include "vectors.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

enum { MESSAGE_MAX = 1048576, SHOWN_MAX = 1000, FEW_CUTS_FROM = 100000 };

static enum pixi_ws_packing packing; /* of the readers that are run */

/* Data of an event: hex, or when it is long its length and a hash. */
static void put_data(struct pixi_buf *out, const uint8_t *bytes, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325;
    uint8_t *room;

    if (len > SHOWN_MAX) {
        for (size_t i = 0; i < len; i++)
            hash = (hash ^ bytes[i]) * 0x100000001b3;
        pixi_buf_putf(out, "%zu bytes, %016jx", len, (uintmax_t)hash);
        return;
    }
    room = pixi_buf_reserve(out, len * 2);
    assert_true(room || !len);
    for (size_t i = 0; i < len; i++) {
        *room++ = (uint8_t) "0123456789abcdef"[bytes[i] >> 4];
        *room++ = (uint8_t) "0123456789abcdef"[bytes[i] & 15];
    }
    out->len += len * 2;
}

static void put_event(struct pixi_buf *out, const char *name, const uint8_t *bytes, size_t len)
{
    pixi_buf_put_str(out, out->len ? " " : "");
    pixi_buf_put_str(out, name);
    put_data(out, bytes, len);
}

/* A reader being run: what it says goes to out, pieces of one message joined. */
struct run {
    struct pixi_ws_reader reader;
    struct pixi_buf message, *out;
    bool is_inside, is_closed, is_compressed;
};

static void on_data(struct run *r, const struct pixi_ws_event *e, const uint8_t *from, const uint8_t *to)
{
    assert_true(e->message == PIXI_WS_TEXT || e->message == PIXI_WS_BINARY);
    assert_int_equal(e->is_first, !r->is_inside);
    assert_true(e->is_first || e->is_compressed == r->is_compressed);
    assert_true(!e->is_compressed || packing == PIXI_WS_DEFLATED);
    r->is_compressed = e->is_compressed;
    assert_true(e->len == 0 || (e->bytes >= from && e->bytes + e->len <= to));
    pixi_buf_put(&r->message, e->bytes, e->len);
    r->is_inside = !e->is_last;
    if (!e->is_last)
        return;
    if (e->is_compressed)
        pixi_buf_put_str(r->out, r->out->len ? " packed" : "packed");
    put_event(r->out, e->message == PIXI_WS_TEXT ? "text:" : "bin:", r->message.bytes, r->message.len);
    pixi_buf_reset(&r->message);
}

static void on_close(struct run *r, const struct pixi_ws_event *e)
{
    char name[20];

    assert_false(r->is_closed);
    r->is_closed = true;
    snprintf(name, sizeof name, e->code == PIXI_WS_CLOSE_NONE ? "close" : "close:%u:", e->code);
    put_event(r->out, name, e->reason.p, pixi_cur_left(&e->reason));
}

static int feed(struct run *r, uint8_t *bytes, size_t len)
{
    uint8_t *p = bytes, *end = bytes + len, *before;
    struct pixi_ws_event e;
    int rc;

    for (;;) {
        before = p;
        rc = pixi_ws_reader_next(&r->reader, &p, end, &e);
        assert_true(p >= before && p <= end);
        if (rc != PIXI_OK)
            break;
        assert_false(r->is_closed); /* a close is the last event */
        switch (e.type) {
        case PIXI_WS_EVENT_DATA: on_data(r, &e, before, p); break;
        case PIXI_WS_EVENT_PING: put_event(r->out, "ping:", e.bytes, e.len); break;
        case PIXI_WS_EVENT_PONG: put_event(r->out, "pong:", e.bytes, e.len); break;
        case PIXI_WS_EVENT_CLOSE: on_close(r, &e); break;
        }
    }
    if (rc == PIXI_MORE)
        assert_ptr_equal(p, end);
    return rc;
}

/* More bytes change nothing once there was an error or a close. */
static void check_final(struct run *r, int rc)
{
    struct pixi_fault fault = r->reader.fault;
    size_t len = r->out->len;
    uint8_t good[] = {0x81, 0x81, 1, 1, 1, 1, 0x60}, bad[] = {0xff, 0xff};

    for (int i = 0; i < 2; i++) {
        assert_int_equal(feed(r, good, i ? 0 : sizeof good), rc);
        assert_int_equal(feed(r, bad, sizeof bad), rc);
    }
    assert_int_equal(r->out->len, len);
    assert_int_equal(r->reader.fault.err, fault.err);
    assert_int_equal(r->reader.fault.offset, fault.offset);
    assert_int_equal(pixi_ws_reader_is_idle(&r->reader), r->is_closed);
}

/* "text:6f6b ping:|WS_RSV at 7"; ctx: enum pixi_role * */
static void run(const struct inv_guard *pieces, const size_t *lens, size_t count, void *ctx,
                struct pixi_buf *out)
{
    struct run r = {.message = pixi_buf_init(MESSAGE_MAX), .out = out};
    int rc = PIXI_MORE;

    pixi_ws_reader_init(&r.reader, *(enum pixi_role *)ctx, packing, MESSAGE_MAX);
    for (size_t i = 0; i < count && rc >= 0; i++)
        rc = feed(&r, pieces[i].bytes, lens[i]);
    assert_int_equal(rc < 0 ? rc : PIXI_OK, r.reader.fault.err);
    if (rc < 0 || r.is_closed)
        check_final(&r, rc);
    if (rc >= 0)
        pixi_buf_putf(out, "|%s", pixi_ws_reader_is_idle(&r.reader) ? "OK" : "MORE");
    else
        pixi_buf_putf(out, "|%s at %ju", pixi_err_name(rc), (uintmax_t)r.reader.fault.offset);
    assert_int_equal(out->err, PIXI_OK);
    pixi_buf_clear(&r.message);
}

/* ---- vectors ---- */

/* A vector's events as `run` writes them. */
static void put_wanted(struct pixi_buf *out, const struct vec *v)
{
    struct pixi_buf data = pixi_buf_init(VEC_MAX);

    for (const char *at = v->events, *end; *at; at = *end ? end + 1 : end) {
        const char *colon;

        end = strchrnul(at, ' ');
        colon = memrchr(at, ':', (size_t)(end - at));
        pixi_buf_reset(&data);
        if (colon)
            assert_true(vec_expand(pixi_cur_init(colon + 1, (size_t)(end - colon - 1)), &data));
        pixi_buf_put_str(out, out->len ? " " : "");
        pixi_buf_put(out, at, (size_t)((colon ? colon + 1 : end) - at));
        put_data(out, data.bytes, data.len);
    }
    pixi_buf_putf(out, "|%s", pixi_err_name(v->verdict));
    pixi_buf_clear(&data);
}

/* As inv_chunks, but for long input only with the cuts where something could go wrong, and few in between. */
static void few_cuts(const struct vec *v, enum pixi_role *from, struct pixi_buf *whole)
{
    static const size_t near_start[] = {1, 2, 3, 9, 10, 11, 13, 14, 15, 65535, 65536};
    struct pixi_buf got = pixi_buf_init(VEC_MAX);
    size_t lens[2], at;

    inv_run_cut(run, from, v->bytes, &v->len, 1, whole);
    for (size_t i = 0; i < COUNT(near_start) + 6; i++) {
        at = i < COUNT(near_start) ? near_start[i] : v->len - 1 - (i - COUNT(near_start)) * (v->len / 7);
        lens[0] = at;
        lens[1] = v->len - at;
        pixi_buf_reset(&got);
        inv_run_cut(run, from, v->bytes, lens, 2, &got);
        inv_same(v->id, "cut at", at, whole, &got);
    }
    pixi_buf_clear(&got);
}

static void check_vector(struct vec *v)
{
    struct pixi_buf got = pixi_buf_init(VEC_MAX), want = pixi_buf_init(VEC_MAX);

    if (v->len < FEW_CUTS_FROM)
        inv_chunks(v->id, run, &v->from, v->bytes, v->len, &got);
    else
        few_cuts(v, &v->from, &got);
    assert_non_null(v->events);
    put_wanted(&want, v);
    if (got.len < want.len || memcmp(got.bytes, want.bytes, want.len) != 0 ||
        (got.len > want.len && got.bytes[want.len] != ' '))
        fail_msg("%s: %.*s, wanted %.*s", v->id, (int)got.len, (char *)got.bytes, (int)want.len,
                 (char *)want.bytes);
    pixi_buf_clear(&got);
    pixi_buf_clear(&want);
}

static void check_file(const char *path)
{
    struct vec_list list = vec_load(path);

    for (size_t i = 0; i < list.count; i++)
        check_vector(&list.at[i]);
    vec_free(&list);
}

static void frames(void **state)
{
    (void)state;
    check_file("tests/vectors/ws/frame.txt");
}

static void messages(void **state)
{
    (void)state;
    check_file("tests/vectors/ws/message.txt");
}

static void closes(void **state)
{
    (void)state;
    check_file("tests/vectors/ws/close.txt");
}

/* ---- faults ---- */

static void faults_have_their_place(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *want;
    } cases[] = {
        /* in a header: at its first byte */
        {"\xc1", 1, "|WS_RSV at 0"},
        {"\x81\x02ok\x83", 5, "text:6f6b|WS_OPCODE at 4"},
        {"\x82\x7f\0\0\0\0\0\0\xff\xff", 10, "|WS_LEN at 0"},
        {"\x89\x01p\x80\x01x", 6, "ping:70|WS_FRAGMENT at 3"},
        {"\x01\x01x\x01\x01y", 6, "|WS_FRAGMENT at 3"},
        {"\x8a\0\x82\x7f\0\0\0\0\0\x10\0\x01", 12, "pong:|WS_TOO_BIG at 2"},
        /* in text: at the byte that cannot be right */
        {"\x81\x05"
         "abc\xff"
         "d",
         7, "|WS_UTF8 at 5"},
        {"\x01\x01\xe2\x89\0\x80\x02\x82x", 9, "ping:|WS_UTF8 at 8"},
        /* text that ends too soon: behind its last byte */
        {"\x81\x02x\xe2", 4, "|WS_UTF8 at 4"},
        {"\x01\x01\xe2\x80\0", 5, "|WS_UTF8 at 5"},
        /* in a close frame: at its payload */
        {"\x88\x01\x03", 3, "|WS_CLOSE_LEN at 2"},
        {"\x81\x02ok\x88\x05\x03\xed"
         "abc",
         11, "text:6f6b|WS_CLOSE_CODE at 6"},
        {"\x88\x06\x03\xe8"
         "ab\xff"
         "c",
         8, "|WS_CLOSE_UTF8 at 2"},
    };
    struct pixi_buf got = pixi_buf_init(1000);
    enum pixi_role from = PIXI_SERVER;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        pixi_buf_reset(&got);
        inv_chunks(cases[i].want, run, &from, cases[i].bytes, cases[i].len, &got);
        if (!pixi_cur_equals(pixi_buf_cur(&got), pixi_cur_str(cases[i].want)))
            fail_msg("%.*s, wanted %s", (int)got.len, (char *)got.bytes, cases[i].want);
    }
    pixi_buf_clear(&got);
}

static void idle_between_messages_only(void **state)
{
    static const char stream[] = "\x01\x01x\x89\x01p\x80\x01y\x82\0\x88\0"
                                 "\xff";
    static const char idle[] = "10000000010101"; /* after so many bytes; the close makes it final */
    struct run r = {.message = pixi_buf_init(100)};
    struct pixi_buf out = pixi_buf_init(100);

    (void)state;
    r.out = &out;
    pixi_ws_reader_init(&r.reader, PIXI_SERVER, PIXI_WS_PLAIN, 100);
    for (size_t i = 0; i < sizeof stream - 1; i++) {
        uint8_t byte = (uint8_t)stream[i];

        assert_int_equal(pixi_ws_reader_is_idle(&r.reader), idle[i] == '1');
        assert_int_equal(feed(&r, &byte, 1), PIXI_MORE);
    }
    assert_true(pixi_ws_reader_is_idle(&r.reader));
    pixi_buf_clear(&out);
    pixi_buf_clear(&r.message);
}

static void limits_of_other_sizes(void **state)
{
    static const struct {
        uint64_t max;
        const char *bytes;
        size_t len;
        int err;
    } cases[] = {
        {0, "\x82\0", 2, PIXI_MORE},
        {0, "\x82\x01", 2, PIXI_E_WS_TOO_BIG},
        {0, "\x89\x01x", 3, PIXI_MORE}, /* control frames are no messages */
        {3, "\x02\x02xx\x80\x01x", 7, PIXI_MORE},
        {3, "\x02\x02xx\x80\x02", 6, PIXI_E_WS_TOO_BIG},
        {UINT64_MAX, "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10, PIXI_MORE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct inv_guard g = inv_guard(cases[i].bytes, cases[i].len);
        struct pixi_buf out = pixi_buf_init(1000);
        struct run r = {.message = pixi_buf_init(1000), .out = &out};

        pixi_ws_reader_init(&r.reader, PIXI_SERVER, PIXI_WS_PLAIN, cases[i].max);
        assert_int_equal(feed(&r, g.bytes, cases[i].len), cases[i].err);
        pixi_buf_clear(&out);
        pixi_buf_clear(&r.message);
        inv_guard_free(&g);
    }
}

/* ---- compressed messages ---- */

static void compressed(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *want;
    } cases[] = {
        /* RFC 7692 §7.2.3.1, whole and in fragments */
        {"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", 9, "packed text:f248cdc9c90700|OK"},
        {"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00", 11, "packed text:f248cdc9c90700|OK"},
        {"\x42\x01\xff\x89\x01p\x00\x00\x80\x01\xfe", 11, "ping:70 packed bin:fffe|OK"},
        /* beside others that are not: these are checked */
        {"\xc1\x01\xff\x81\x01x", 6, "packed text:ff text:78|OK"},
        {"\xc1\x01\xff\x81\x01\xff", 6, "packed text:ff|WS_UTF8 at 5"},
        /* the bit where it may not be: told at the frame's first byte */
        {"\x41\x01\xff\xc0", 4, "|WS_DEFLATE_BIT at 3"},
        {"\xc0\x01", 2, "|WS_DEFLATE_BIT at 0"},
        {"\xc9\x00", 2, "|WS_DEFLATE_BIT at 0"},
        {"\xca", 1, "|WS_DEFLATE_BIT at 0"},
        {"\x81\x00\xc8\x02\x03\xe8", 6, "text:|WS_DEFLATE_BIT at 2"},
        {"\xe1", 1, "|WS_RSV at 0"},
        {"\xd1", 1, "|WS_RSV at 0"},
        {"\x01\x01x\xc1\x01y", 6, "|WS_FRAGMENT at 3"},
    };
    struct pixi_buf got = pixi_buf_init(1000);
    enum pixi_role from = PIXI_SERVER;

    (void)state;
    packing = PIXI_WS_DEFLATED;
    for (size_t i = 0; i < COUNT(cases); i++) {
        pixi_buf_reset(&got);
        inv_chunks(cases[i].want, run, &from, cases[i].bytes, cases[i].len, &got);
        if (!pixi_cur_equals(pixi_buf_cur(&got), pixi_cur_str(cases[i].want)))
            fail_msg("%.*s, wanted %s", (int)got.len, (char *)got.bytes, cases[i].want);
    }
    packing = PIXI_WS_PLAIN;
    pixi_buf_clear(&got);
}

/* What a message of the largest size may take when it does not get smaller is not too big. */
static void compressed_limits(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        int err;
    } cases[] = {
        {"\x82\x7e\x03\xe8", 4, PIXI_MORE},
        {"\x82\x7e\x03\xe9", 4, PIXI_E_WS_TOO_BIG},
        {"\xc2\x7e\x04\xa5", 4, PIXI_MORE}, /* 1,000 + 125 + 64 */
        {"\xc2\x7e\x04\xa6", 4, PIXI_E_WS_TOO_BIG},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct inv_guard g = inv_guard(cases[i].bytes, cases[i].len);
        struct pixi_buf out = pixi_buf_init(1000);
        struct run r = {.message = pixi_buf_init(1000), .out = &out};

        pixi_ws_reader_init(&r.reader, PIXI_SERVER, PIXI_WS_DEFLATED, 1000);
        assert_int_equal(feed(&r, g.bytes, cases[i].len), cases[i].err);
        pixi_buf_clear(&out);
        pixi_buf_clear(&r.message);
        inv_guard_free(&g);
    }
}

/* ---- random streams ---- */

static uint32_t seed;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(seed >> 4) * n >> 28);
}

/* A frame that is most often valid where it stands. */
static void put_frame(struct pixi_buf *b, enum pixi_role from, bool *is_open)
{
    static const uint8_t opcodes[] = {1, 2, 1, 2, 9, 10, 0, 8, 3};
    static const char *const texts[] = {"", "a", "\xc3\xa9", "\xe2\x82", "\xf0\x9f\x98\x80", "\xac"};
    struct pixi_ws_frame f = {.opcode = opcodes[random_below(random_below(30) ? 7 : 9)],
                              .mask = {(uint8_t)random_below(256), 2, 3, (uint8_t)random_below(256)},
                              .is_final = random_below(3) > 0,
                              .is_compressed = packing == PIXI_WS_DEFLATED && random_below(3) == 0};
    uint8_t payload[300], head[PIXI_WS_HEAD_MAX];
    size_t len = 0, most = random_below(4) ? 20 : 250;

    if (f.opcode >= 8) {
        f.is_final = true;
        most = most > 120 ? 120 : most;
    } else {
        f.opcode = random_below(20) && *is_open ? 0 : f.opcode;
        *is_open = !f.is_final;
    }
    if (f.opcode == 0 || f.opcode >= 8)
        f.is_compressed = f.is_compressed && random_below(20) == 0;
    if (f.opcode == 8) {
        len = random_below(9) ? 2 : 0;
        memcpy(payload, "\x03\xe8", 2);
    }
    for (const char *text; len < most; len += strlen(text)) {
        text = texts[random_below(random_below(40) ? 3 : COUNT(texts))];
        memcpy(payload + len, text, strlen(text));
        if (!*text && !random_below(4))
            break;
    }
    f.payload_len = len;
    if (from == PIXI_CLIENT)
        pixi_ws_mask_scalar(payload, len, f.mask, 0);
    pixi_buf_put(b, head, pixi_ws_frame_encode(&f, from, head));
    pixi_buf_put(b, payload, len);
}

static void random_streams(void **state)
{
    struct pixi_buf stream = pixi_buf_init(100000), whole = pixi_buf_init(1 << 20),
                    got = pixi_buf_init(1 << 20);
    size_t lens[64];
    unsigned outcomes[3] = {0};

    (void)state;
    seed = 6455;
    for (int round = 0; round < 1500; round++) {
        enum pixi_role from = round % 2 ? PIXI_CLIENT : PIXI_SERVER;
        bool is_open = false;

        packing = round % 4 < 2 ? PIXI_WS_PLAIN : PIXI_WS_DEFLATED;
        pixi_buf_reset(&stream);
        for (uint32_t n = 1 + random_below(12); n > 0; n--)
            put_frame(&stream, from, &is_open);
        for (uint32_t n = random_below(3); n > 1; n--)
            stream.bytes[random_below((uint32_t)stream.len)] ^= (uint8_t)(1 << random_below(8));
        pixi_buf_reset(&whole);
        inv_run_cut(run, &from, stream.bytes, &stream.len, 1, &whole);
        outcomes[memmem(whole.bytes, whole.len, "|OK", 3)  ? 0
                 : memmem(whole.bytes, whole.len, "|M", 2) ? 1
                                                           : 2]++;
        for (int cut = 0; cut < 4; cut++) {
            size_t left = stream.len, count = 0;

            for (; left > 0 && count < COUNT(lens) - 1; left -= lens[count++])
                lens[count] = 1 + random_below((uint32_t)(left < 40 ? left : 40));
            lens[count++] = left;
            pixi_buf_reset(&got);
            inv_run_cut(run, &from, stream.bytes, lens, count, &got);
            inv_same("random", "round", (size_t)round, &whole, &got);
        }
    }
    for (size_t i = 0; i < COUNT(outcomes); i++)
        assert_true(outcomes[i] > 100); /* it finds its way to every kind of end */
    packing = PIXI_WS_PLAIN;
    pixi_buf_clear(&stream);
    pixi_buf_clear(&whole);
    pixi_buf_clear(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames),
        cmocka_unit_test(messages),
        cmocka_unit_test(closes),
        cmocka_unit_test(faults_have_their_place),
        cmocka_unit_test(idle_between_messages_only),
        cmocka_unit_test(limits_of_other_sizes),
        cmocka_unit_test(compressed),
        cmocka_unit_test(compressed_limits),
        cmocka_unit_test(random_streams),
    };

    return cmocka_run_group_tests_name("proto/ws/reader", tests, NULL, NULL);
}
