#include "proto/ws/frame.h"
#include "vectors.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

struct reading {
    enum pixi_role from;
    enum pixi_ws_packing may;
    struct pixi_ws_frame frame;
};

static int decode(struct pixi_cur *in, void *ctx)
{
    struct reading *r = ctx;

    return pixi_ws_frame_decode(in, r->from, r->may, &r->frame);
}

/* ---- vectors ---- */

static bool is_header_error(int err)
{
    return err == PIXI_E_WS_RSV || err == PIXI_E_WS_OPCODE || err == PIXI_E_WS_CONTROL ||
           err == PIXI_E_WS_MASK || err == PIXI_E_WS_LEN;
}

/* The first thing wrong with a header, from frame to frame; PIXI_OK when none is, or when a close frame came before. */
static int walk(const struct vec *v)
{
    struct pixi_cur c = pixi_cur_init(v->bytes, v->len), payload;
    struct pixi_ws_frame f;
    int rc;

    while ((rc = pixi_ws_frame_decode(&c, v->from, PIXI_WS_PLAIN, &f)) == PIXI_OK &&
           f.opcode != PIXI_WS_CLOSE)
        if (f.payload_len > pixi_cur_left(&c) || !pixi_cur_cut(&c, (size_t)f.payload_len, &payload))
            return PIXI_OK;
    return rc < 0 ? rc : PIXI_OK;
}

static void check_vector(const struct vec *v)
{
    struct reading r = {.from = v->from};
    struct pixi_cur c = pixi_cur_init(v->bytes, v->len);
    int rc = decode(&c, &r);

    /* more than a header is of no interest to it, and slow to copy */
    inv_prefix(v->id, decode, &r, v->bytes, v->len < 40 ? v->len : 40, rc);
    if (walk(v) != (is_header_error(v->verdict) ? v->verdict : PIXI_OK))
        fail_msg("%s: %s", v->id, pixi_err_name(walk(v)));
}

static void vectors(void **state)
{
    static const char *const files[] = {"tests/vectors/ws/frame.txt", "tests/vectors/ws/message.txt",
                                        "tests/vectors/ws/close.txt"};

    (void)state;
    for (size_t k = 0; k < COUNT(files); k++) {
        struct vec_list list = vec_load(files[k]);

        for (size_t i = 0; i < list.count; i++)
            check_vector(&list.at[i]);
        vec_free(&list);
    }
}

/* Every pair of first bytes, against the rules as RFC 6455 §5.2 lists them, and RFC 7692 §6.1; the error falls at its
 * byte. */
static void check_first_two_bytes(enum pixi_ws_packing may)
{
    for (unsigned b0 = 0; b0 < 256; b0++)
        for (unsigned b1 = 0; b1 < 256; b1++) {
            uint8_t bytes[2] = {(uint8_t)b0, (uint8_t)b1};
            unsigned opcode = b0 & 15, len7 = b1 & 127;
            bool is_masked = b1 & 128, is_control = opcode >= 8;
            int first = PIXI_MORE, want = PIXI_MORE;

            if (b0 & (may == PIXI_WS_DEFLATED ? 0x30 : 0x70))
                first = PIXI_E_WS_RSV;
            else if (opcode > 10 || (opcode > 2 && opcode < 8))
                first = PIXI_E_WS_OPCODE;
            else if (b0 & 0x40 && opcode != 1 && opcode != 2)
                first = PIXI_E_WS_DEFLATE_BIT;
            else if (is_control && !(b0 & 128))
                first = PIXI_E_WS_CONTROL;
            for (int from = PIXI_CLIENT; from <= PIXI_SERVER; from++) {
                struct reading r = {.from = (enum pixi_role)from, .may = may};
                size_t used;

                want = first;
                if (want == PIXI_MORE && is_masked != (from == PIXI_CLIENT))
                    want = PIXI_E_WS_MASK;
                if (want == PIXI_MORE && is_control && len7 > 125)
                    want = PIXI_E_WS_CONTROL;
                if (want == PIXI_MORE && from == PIXI_SERVER && len7 < 126)
                    want = PIXI_OK;
                assert_int_equal(inv_decode_prefix(decode, &r, bytes, 1, &used), first);
                assert_int_equal(inv_decode_prefix(decode, &r, bytes, 2, &used), want);
            }
        }
}

static void first_two_bytes(void **state)
{
    (void)state;
    check_first_two_bytes(PIXI_WS_PLAIN);
    check_first_two_bytes(PIXI_WS_DEFLATED);
}

static void an_error_writes_nothing(void **state)
{
    struct reading r = {.from = PIXI_CLIENT, .frame = {.payload_len = 77}};
    struct pixi_cur c = pixi_cur_init("\x82\xfe\x00\x7d....", 8);

    (void)state;
    assert_int_equal(decode(&c, &r), PIXI_E_WS_LEN);
    assert_int_equal(r.frame.payload_len, 77);
    assert_int_equal(pixi_cur_left(&c), 8);
}

/* ---- round trip ---- */

static void comes_back(const struct pixi_ws_frame *f, enum pixi_role from)
{
    struct reading r = {.from = from, .may = f->is_compressed ? PIXI_WS_DEFLATED : PIXI_WS_PLAIN};
    uint8_t head[PIXI_WS_HEAD_MAX + 1];
    size_t len, used, want = f->payload_len < 126 ? 2 : f->payload_len < 65536 ? 4 : 10;

    memset(head, 0xa5, sizeof head);
    len = pixi_ws_frame_encode(f, from, head);
    assert_int_equal(len, want + (from == PIXI_CLIENT ? 4 : 0));
    assert_int_equal(head[len], 0xa5);
    inv_prefix("encoded", decode, &r, head, len, PIXI_OK);
    assert_int_equal(inv_decode_prefix(decode, &r, head, len, &used), PIXI_OK);
    assert_int_equal(used, len);
    assert_int_equal(r.frame.payload_len, f->payload_len);
    assert_int_equal(r.frame.opcode, f->opcode);
    assert_int_equal(r.frame.is_final, f->is_final);
    assert_int_equal(r.frame.is_compressed, f->is_compressed);
    if (from == PIXI_CLIENT)
        assert_memory_equal(r.frame.mask, f->mask, 4);
    else
        assert_memory_equal(r.frame.mask, "\0\0\0\0", 4);
}

static void round_trip(void **state)
{
    static const uint64_t lens[] = {0,
                                    1,
                                    2,
                                    124,
                                    125,
                                    126,
                                    127,
                                    128,
                                    255,
                                    256,
                                    65534,
                                    65535,
                                    65536,
                                    65537,
                                    UINT32_MAX,
                                    1ull << 32,
                                    (1ull << 32) + 5,
                                    INT64_MAX - 1,
                                    INT64_MAX};
    static const uint8_t opcodes[] = {PIXI_WS_CONTINUATION, PIXI_WS_TEXT, PIXI_WS_BINARY,
                                      PIXI_WS_CLOSE,        PIXI_WS_PING, PIXI_WS_PONG};

    (void)state;
    for (size_t i = 0; i < COUNT(lens); i++)
        for (size_t k = 0; k < COUNT(opcodes); k++)
            for (int bits = 0; bits < 8; bits++) {
                struct pixi_ws_frame f = {.payload_len = lens[i],
                                          .opcode = opcodes[k],
                                          .mask = {0x37, 0xfa, 0x21, 0x3d},
                                          .is_final = bits & 1,
                                          .is_compressed = bits & 4};

                if (f.is_compressed && opcodes[k] != PIXI_WS_TEXT && opcodes[k] != PIXI_WS_BINARY)
                    continue;
                if (opcodes[k] >= PIXI_WS_CLOSE && (lens[i] > PIXI_WS_CONTROL_MAX || !f.is_final))
                    continue;
                comes_back(&f, bits & 2 ? PIXI_CLIENT : PIXI_SERVER);
            }
}

/* ---- masking ---- */

enum { MASK_LEN_MAX = 200, ALIGNMENTS = 16 };

/* The bytes end at an unreadable page; before them lies one that must stay as it is. */
static void mask_once(struct inv_guard *g, size_t len, size_t skip, uint64_t at)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t want[MASK_LEN_MAX], *bytes = g->bytes + MASK_LEN_MAX + ALIGNMENTS - skip - len;

    for (size_t i = 0; i < len; i++)
        want[i] = bytes[i] = (uint8_t)(i * 7 + 1);
    bytes[-1] = 0x55;
    pixi_ws_mask(bytes, len, mask, at);
    assert_int_equal(bytes[-1], 0x55);
    pixi_ws_mask_scalar(want, len, mask, at);
    assert_memory_equal(bytes, want, len);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(bytes[i], (uint8_t)((i * 7 + 1) ^ mask[(at + i) % 4]));
    pixi_ws_mask(bytes, len, mask, at);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(bytes[i], (uint8_t)(i * 7 + 1));
}

static void mask(void **state)
{
    uint8_t nothing[MASK_LEN_MAX + ALIGNMENTS] = {0};
    struct inv_guard g = inv_guard(nothing, sizeof nothing);

    (void)state;
    for (size_t len = 0; len <= MASK_LEN_MAX; len++)
        for (size_t skip = 0; skip < ALIGNMENTS; skip++)
            for (uint64_t phase = 0; phase < 4; phase++)
                mask_once(&g, len, skip, phase);
    mask_once(&g, MASK_LEN_MAX, 1, UINT64_MAX / 2);
    mask_once(&g, MASK_LEN_MAX, 0, (1ull << 32) + 3);
    inv_guard_free(&g);
}

/* Cut in two, with the offset carried on, it is the same. */
static void mask_in_pieces(void **state)
{
    static const uint8_t key[4] = {1, 2, 4, 8};
    uint8_t whole[MASK_LEN_MAX], cut[MASK_LEN_MAX];

    (void)state;
    memset(whole, 0xee, sizeof whole);
    pixi_ws_mask(whole, sizeof whole, key, 0);
    for (size_t k = 0; k <= sizeof cut; k++) {
        memset(cut, 0xee, sizeof cut);
        pixi_ws_mask(cut, k, key, 0);
        pixi_ws_mask(cut + k, sizeof cut - k, key, k);
        assert_memory_equal(cut, whole, sizeof cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(first_two_bytes),
        cmocka_unit_test(an_error_writes_nothing),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(mask),
        cmocka_unit_test(mask_in_pieces),
    };

    return cmocka_run_group_tests_name("proto/ws/frame", tests, NULL, NULL);
}
