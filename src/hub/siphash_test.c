#include "hub/siphash.h"
#include "invariants.h"

/* The reference implementation's first vectors: key 00 .. 0f, input 00 01 02 ..., of this length. */
static const struct {
    size_t len;
    uint64_t hash;
} vectors[] = {
    {0, UINT64_C(0x726fdb47dd0e0e31)},  {1, UINT64_C(0x74f839c593dc67fd)},
    {7, UINT64_C(0xab0200f58b01d137)},  {8, UINT64_C(0x93f5f5799a932462)},
    {9, UINT64_C(0x9e0082df0ba9e4b0)},  {15, UINT64_C(0xa129ca6149be45e5)},
    {16, UINT64_C(0x3f2acc7f57c29bdb)}, {63, UINT64_C(0x958a324ceb064572)},
};

static void reference_vectors(void **state)
{
    uint8_t key[16], input[64];

    (void)state;
    for (unsigned i = 0; i < 64; i++)
        input[i] = (uint8_t)i;
    memcpy(key, input, sizeof key);
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        if (pixi_siphash(key, pixi_cur_init(input, vectors[i].len)) != vectors[i].hash)
            fail_msg("length %zu", vectors[i].len);
}

static void pieces_make_no_difference(void **state)
{
    uint8_t key[16] = {7}, input[40];
    struct pixi_siphash s;

    (void)state;
    memset(input, 0xa5, sizeof input);
    for (size_t i = 0; i <= sizeof input; i++) {
        for (size_t k = i; k <= sizeof input; k++) {
            pixi_siphash_init(&s, key);
            pixi_siphash_feed(&s, input, i);
            pixi_siphash_feed(&s, input + i, k - i);
            pixi_siphash_feed(&s, input + k, sizeof input - k);
            assert_int_equal(pixi_siphash_end(&s), pixi_siphash(key, pixi_cur_init(input, sizeof input)));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reference_vectors),
                                       cmocka_unit_test(pieces_make_no_difference)};

    return cmocka_run_group_tests_name("hub/siphash", tests, NULL, NULL);
}
