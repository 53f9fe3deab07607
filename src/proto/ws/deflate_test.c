#include "proto/ws/deflate.h"
#include "invariants.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

enum { MESSAGE_MAX = 1 << 20, OUT_MAX = 1 << 24, ROOM_MAX = 1 << 16 };

/* --- zlib's memory, counted -------------------------------------------------------------------------------------- */

static size_t taken, taken_bytes, most_gets = SIZE_MAX;

static void *get(void *ctx, unsigned count, unsigned size)
{
    assert_ptr_equal(ctx, &taken);
    if (most_gets == 0)
        return NULL;
    most_gets--;
    taken++;
    taken_bytes += (size_t)count * size;
    return calloc(count, size);
}

static void give_back(void *ctx, void *some)
{
    assert_ptr_equal(ctx, &taken);
    taken--;
    free(some);
}

static const struct pixi_ws_memory memory = {get, give_back, &taken};
static struct pixi_ws_inflater inflater;
static struct pixi_ws_deflater deflater;

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(pixi_ws_inflater_init(&inflater, &memory), PIXI_OK);
    assert_int_equal(pixi_ws_deflater_init(&deflater, 6, &memory), PIXI_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pixi_ws_inflater_clear(&inflater);
    pixi_ws_deflater_clear(&deflater);
    assert_int_equal(taken, 0);
    return 0;
}

/* --- a message, in pieces ------------------------------------------------------------------------------------------ */

struct how {
    uint64_t message_max;
    size_t room; /* of each piece of output, which ends at an unreadable page */
};

/* The same for all pieces of that length. */
static struct inv_guard room_of(size_t len)
{
    static const uint8_t nothing[ROOM_MAX];
    static struct inv_guard last;
    static size_t last_len;

    if (len != last_len) {
        if (last_len)
            inv_guard_free(&last);
        last = inv_guard(nothing, len);
        last_len = len;
    }
    return last;
}

/* One piece of input, until it is used up. */
static int inflate_piece(const struct how *how, struct pixi_cur c, enum pixi_ws_end end, struct pixi_buf *out)
{
    struct inv_guard room = room_of(how->room);
    const uint8_t *before;
    size_t some;
    int rc;

    do {
        before = c.p;
        rc = pixi_ws_inflate(&inflater, &c, end, room.bytes, how->room, &some);
        assert_true(some <= how->room && c.p >= before && c.p <= c.end);
        pixi_buf_put(out, room.bytes, some);
        assert_true(out->len <= how->message_max);
    } while (rc == PIXI_MORE && some == how->room);
    if (rc == PIXI_MORE)
        assert_true(c.p == c.end && end == PIXI_WS_GOES_ON);
    return rc;
}

/* What comes out, and the verdict: as inv_run. */
static void run(const struct inv_guard *pieces, const size_t *lens, size_t count, void *ctx,
                struct pixi_buf *out)
{
    struct pixi_buf message = pixi_buf_init(OUT_MAX);
    const struct how *how = ctx;
    int rc = PIXI_MORE;

    pixi_ws_inflater_begin(&inflater, how->message_max);
    for (size_t i = 0; i < count && rc == PIXI_MORE; i++)
        rc = inflate_piece(how, pixi_cur_init(pieces[i].bytes, lens[i]),
                           i + 1 == count ? PIXI_WS_ENDS : PIXI_WS_GOES_ON, &message);
    if (count == 0)
        rc = inflate_piece(how, pixi_cur_init(NULL, 0), PIXI_WS_ENDS, &message);
    if (rc < 0)
        assert_int_equal(inflate_piece(how, pixi_cur_str("more"), PIXI_WS_ENDS, &message), rc); /* final */
    pixi_buf_put_cur(out, pixi_buf_cur(&message));
    pixi_buf_putf(out, "|%s", pixi_err_name(rc));
    assert_int_equal(out->err, PIXI_OK);
    pixi_buf_clear(&message);
}

/* Whole, cut everywhere, and into rooms of several sizes: the same. */
static void check(const char *name, const void *bytes, size_t len, uint64_t message_max, struct pixi_buf *got)
{
    static const size_t rooms[] = {ROOM_MAX, 1, 2, 5, 300};
    struct pixi_buf other = pixi_buf_init(OUT_MAX);

    for (size_t i = 0; i < COUNT(rooms); i++) {
        struct how how = {message_max, rooms[i]};
        struct pixi_buf *out = i ? &other : got;

        pixi_buf_reset(out);
        if (i == 0 || (len < 200 && got->len < 2000))
            inv_chunks(name, run, &how, bytes, len, out);
        else
            inv_run_cut(run, &how, bytes, &len, 1, out);
        if (i)
            inv_same(name, "in rooms of", rooms[i], got, out);
    }
    pixi_buf_clear(&other);
}

static void inflates_to(const char *name, const void *bytes, size_t len, uint64_t message_max,
                        const char *want)
{
    struct pixi_buf got = pixi_buf_init(OUT_MAX);

    check(name, bytes, len, message_max, &got);
    if (!pixi_cur_equals(pixi_buf_cur(&got), pixi_cur_str(want)))
        fail_msg("%s: %.*s, wanted %s", name, (int)got.len, (char *)got.bytes, want);
    pixi_buf_clear(&got);
}

/* The message as it is sent, made with these pieces of input and output. */
static void deflate_in(struct pixi_cur message, size_t piece, size_t room_len, struct pixi_buf *out)
{
    struct inv_guard room = room_of(room_len);
    struct pixi_cur in;
    size_t some;
    int rc;

    pixi_ws_deflater_begin(&deflater);
    do {
        enum pixi_ws_end end = pixi_cur_left(&message) <= piece ? PIXI_WS_ENDS : PIXI_WS_GOES_ON;
        size_t len = end == PIXI_WS_ENDS ? pixi_cur_left(&message) : piece;

        in = pixi_cur_init(message.p, len);
        rc = pixi_ws_deflate(&deflater, &in, end, room.bytes, room_len, &some);
        assert_true(some <= room_len);
        message.p += len - pixi_cur_left(&in);
        pixi_buf_put(out, room.bytes, some);
    } while (rc == PIXI_MORE);
    assert_int_equal(rc, PIXI_OK);
    assert_true(message.p == message.end);
    assert_int_equal(out->err, PIXI_OK);
}

/* --- vectors ------------------------------------------------------------------------------------------------------- */

static void examples(void **state)
{
    (void)state;
    inflates_to("7.2.3.1", "\xf2\x48\xcd\xc9\xc9\x07\x00", 7, MESSAGE_MAX, "Hello|OK");
    inflates_to("7.2.3.2: the window of the message before", "\xf2\x00\x11\x00\x00", 5, MESSAGE_MAX,
                "H|WS_DEFLATE_DATA");
    inflates_to("7.2.3.3: not compressed", "\x00\x05\x00\xfa\xffHello\x00", 11, MESSAGE_MAX, "Hello|OK");
    inflates_to("7.2.3.4: BFINAL", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8, MESSAGE_MAX, "Hello|OK");
    inflates_to("7.2.3.5: two blocks", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13,
                MESSAGE_MAX, "Hello|OK");
    inflates_to("7.2.3.6: empty", "\x00", 1, MESSAGE_MAX, "|OK");
}

static void odd_ones(void **state)
{
    (void)state;
    inflates_to("nothing at all", "", 0, MESSAGE_MAX, "|WS_DEFLATE_DATA");
    inflates_to("reserved block type", "\x06\x00", 2, MESSAGE_MAX, "|WS_DEFLATE_DATA");
    inflates_to("wrong length", "\x00\x05\x00\xfb\xffHello\x00", 11, MESSAGE_MAX, "|WS_DEFLATE_DATA");
    inflates_to("tail not left out", "\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff\x00", 12, MESSAGE_MAX,
                "Hello|OK");
    inflates_to("tail left in", "\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff", 11, MESSAGE_MAX,
                "Hello|WS_DEFLATE_DATA");
    inflates_to("ends inside", "\xf2\x48\xcd\xc9", 4, MESSAGE_MAX, "Helh|WS_DEFLATE_DATA");
    inflates_to("last block and no more", "\xf3\x48\xcd\xc9\xc9\x07\x00", 7, MESSAGE_MAX,
                "Hello|WS_DEFLATE_DATA");
    inflates_to("three last blocks", "\x03\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x03\x00\x00", 12, MESSAGE_MAX,
                "Hello|OK");
}

static void ours_are_the_examples(void **state)
{
    struct pixi_buf out = pixi_buf_init(100);

    (void)state;
    deflate_in(pixi_cur_str("Hello"), 100, 100, &out);
    assert_true(pixi_cur_equals(pixi_buf_cur(&out), pixi_cur_init("\xf2\x48\xcd\xc9\xc9\x07\x00", 7)));
    pixi_buf_reset(&out);
    deflate_in(pixi_cur_str(""), 100, 100, &out);
    assert_true(pixi_cur_equals(pixi_buf_cur(&out), pixi_cur_init("", 1)));
    pixi_buf_clear(&out);
}

/* --- random -------------------------------------------------------------------------------------------------------- */

static uint32_t seed;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(seed >> 4) * n >> 28);
}

/* Text that repeats itself, noise, or a long run. */
static void put_message(struct pixi_buf *b, size_t len)
{
    uint32_t kind = random_below(3);
    uint8_t *room = pixi_buf_reserve(b, len);

    assert_true(room || !len);
    for (size_t i = 0; i < len; i++)
        room[i] = kind == 0   ? (uint8_t) "{\"x\":1234567890}"[i % 4 ? random_below(16) : i % 16]
                  : kind == 1 ? (uint8_t)random_below(256)
                              : 'a';
    b->len += len;
}

static size_t some_len(void)
{
    static const uint32_t most[] = {4, 300, 5000, 70000};

    return random_below(most[random_below(COUNT(most))]);
}

static void round_trip(void **state)
{
    struct pixi_buf message = pixi_buf_init(OUT_MAX), packed = pixi_buf_init(OUT_MAX),
                    got = pixi_buf_init(OUT_MAX);

    (void)state;
    seed = 7692;
    for (int round = 0; round < 600; round++) {
        struct how how = {MESSAGE_MAX, 1 + random_below(ROOM_MAX - 1)};
        size_t lens[3];

        pixi_buf_reset(&message);
        pixi_buf_reset(&packed);
        pixi_buf_reset(&got);
        put_message(&message, some_len());
        deflate_in(pixi_buf_cur(&message), 1 + some_len(), PIXI_WS_DEFLATE_ROOM + some_len() % 60000,
                   &packed);
        assert_true(packed.len >= 1 && packed.len <= pixi_ws_deflate_bound(message.len));
        lens[0] = random_below((uint32_t)packed.len + 1);
        lens[1] = random_below((uint32_t)(packed.len - lens[0]) + 1);
        lens[2] = packed.len - lens[0] - lens[1];
        inv_run_cut(run, &how, packed.bytes, lens, 3, &got);
        pixi_buf_put_str(&message, "|OK");
        inv_same("round trip", "round", (size_t)round, &message, &got);
    }
    pixi_buf_clear(&message);
    pixi_buf_clear(&packed);
    pixi_buf_clear(&got);
}

/* A message that is cut short is an error; or right as far as it goes, where a block ended or the four bytes that are added
 * happen to end one. One that is damaged has the same verdict however it comes. */
static void prefixes_and_damage(void **state)
{
    struct pixi_buf message = pixi_buf_init(OUT_MAX), packed = pixi_buf_init(OUT_MAX),
                    got = pixi_buf_init(OUT_MAX);
    struct how how = {MESSAGE_MAX, 777};

    (void)state;
    seed = 1;
    for (int round = 0; round < 30; round++) {
        pixi_buf_reset(&message);
        pixi_buf_reset(&packed);
        put_message(&message, 1 + random_below(3000));
        deflate_in(pixi_buf_cur(&message), 1000, 1000, &packed);
        for (size_t len = 0; len < packed.len; len++) {
            pixi_buf_reset(&got);
            inv_run_cut(run, &how, packed.bytes, &len, 1, &got);
            if (got.len >= 3 && memcmp(got.bytes + got.len - 3, "|OK", 3) == 0)
                assert_memory_equal(got.bytes, message.bytes, got.len < 7 ? 0 : got.len - 7);
            else
                assert_memory_equal(got.bytes + got.len - 16, "|WS_DEFLATE_DATA", 16);
        }
        packed.bytes[random_below((uint32_t)packed.len)] ^= (uint8_t)(1 << random_below(8));
        pixi_buf_reset(&got);
        check("damaged", packed.bytes, packed.len, MESSAGE_MAX, &got);
    }
    pixi_buf_clear(&message);
    pixi_buf_clear(&packed);
    pixi_buf_clear(&got);
}

static void noise(void **state)
{
    struct pixi_buf got = pixi_buf_init(OUT_MAX);
    uint8_t bytes[60];

    (void)state;
    seed = 3;
    for (int round = 0; round < 300; round++) {
        size_t len = random_below(sizeof bytes);

        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)random_below(256);
        check("noise", bytes, len, 1 + random_below(2000), &got);
    }
    pixi_buf_clear(&got);
}

/* --- limits ---------------------------------------------------------------------------------------------------------- */

/* 4 MiB in 4 kB: no more is written than may be, and none of it beyond the room that was given. */
static void bombs(void **state)
{
    static const uint64_t most[] = {0, 1, 100, 65536, MESSAGE_MAX, (4 << 20) - 1};
    struct pixi_buf message = pixi_buf_init(OUT_MAX), packed = pixi_buf_init(OUT_MAX),
                    got = pixi_buf_init(OUT_MAX);

    (void)state;
    memset(pixi_buf_reserve(&message, 4 << 20), 0, 4 << 20);
    message.len = 4 << 20;
    deflate_in(pixi_buf_cur(&message), SIZE_MAX, 10000, &packed);
    assert_true(packed.len < 5000);
    for (size_t i = 0; i < COUNT(most); i++) {
        struct how how = {most[i], 4096};

        pixi_buf_reset(&got);
        inv_run_cut(run, &how, packed.bytes, &packed.len, 1, &got);
        assert_int_equal(got.len, most[i] + strlen("|WS_TOO_BIG"));
        assert_memory_equal(got.bytes + most[i], "|WS_TOO_BIG", strlen("|WS_TOO_BIG"));
    }
    pixi_buf_reset(&got);
    inv_run_cut(run, &(struct how){4 << 20, 4096}, packed.bytes, &packed.len, 1, &got);
    assert_memory_equal(got.bytes + (4 << 20), "|OK", 3);
    pixi_buf_clear(&message);
    pixi_buf_clear(&packed);
    pixi_buf_clear(&got);
}

static void the_limit_is_exact(void **state)
{
    (void)state;
    inflates_to("as long as it may be", "\xf2\x48\xcd\xc9\xc9\x07\x00", 7, 5, "Hello|OK");
    inflates_to("one more", "\xf2\x48\xcd\xc9\xc9\x07\x00", 7, 4, "Hell|WS_TOO_BIG");
    inflates_to("empty where nothing may be", "\x00", 1, 0, "|OK");
    assert_int_equal(pixi_ws_deflate_bound(UINT64_MAX), UINT64_MAX);
}

/* --- memory ------------------------------------------------------------------------------------------------------------ */

static void no_memory(void **state)
{
    struct pixi_ws_inflater i;
    struct pixi_ws_deflater d;
    int rc;

    (void)state;
    for (size_t n = 0; n < 10; n++) {
        most_gets = n;
        if (pixi_ws_inflater_init(&i, &memory) == PIXI_OK)
            pixi_ws_inflater_clear(&i);
        else
            assert_true(n < 1);
        most_gets = n;
        rc = pixi_ws_deflater_init(&d, 1, &memory);
        if (rc == PIXI_OK)
            pixi_ws_deflater_clear(&d);
        else
            assert_true(n < 6 && rc == PIXI_E_NOMEM);
        assert_int_equal(taken, 0);
    }
    most_gets = SIZE_MAX;
}

/* The window comes with the first message that needs one. */
static void no_memory_for_the_window(void **state)
{
    struct how how = {MESSAGE_MAX, 2};
    struct pixi_buf got = pixi_buf_init(1000);
    size_t len = 7;

    (void)state;
    set_up(NULL);
    most_gets = 0;
    inv_run_cut(run, &how, (const uint8_t *)"\xf2\x48\xcd\xc9\xc9\x07\x00", &len, 1, &got);
    most_gets = SIZE_MAX;
    assert_memory_equal(got.bytes + got.len - 6, "|NOMEM", 6);
    tear_down(NULL);
    pixi_buf_clear(&got);
}

static void what_it_takes(void **state)
{
    struct pixi_buf b = pixi_buf_init(OUT_MAX);

    (void)state;
    taken_bytes = 0;
    set_up(NULL);
    for (int i = 0; i < 20; i++) {
        pixi_buf_reset(&b);
        deflate_in(pixi_cur_str("{\"jsonrpc\":\"2.0\",\"method\":\"message\"}"), 9, 64, &b);
        inflates_to("again and again", b.bytes, b.len, 100,
                    "{\"jsonrpc\":\"2.0\",\"method\":\"message\"}|OK");
    }
    assert_true(taken_bytes < 220000); /* however many messages there were */
    tear_down(NULL);
    pixi_buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(examples, set_up, tear_down),
        cmocka_unit_test_setup_teardown(odd_ones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ours_are_the_examples, set_up, tear_down),
        cmocka_unit_test_setup_teardown(round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(prefixes_and_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(noise, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bombs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_limit_is_exact, set_up, tear_down),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(no_memory_for_the_window),
        cmocka_unit_test(what_it_takes),
    };

    return cmocka_run_group_tests_name("proto/ws/deflate", tests, NULL, NULL);
}
