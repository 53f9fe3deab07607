#include "base/arena.h"
#include "invariants.h"

static size_t wiped; /* bytes that were overwritten */

/* Stands in for libc's. */
void explicit_bzero(void *bytes, size_t len)
{
    memset(bytes, 0, len);
    wiped += len;
}

static void test_pieces_are_zeroed_aligned_and_apart(void **state)
{
    struct pixi_arena a = pixi_arena_init(1 << 20);
    uint8_t *pieces[200];

    (void)state;
    for (size_t i = 0; i < 200; i++) {
        pieces[i] = pixi_arena_take(&a, i * 7 + 1);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        for (size_t j = 0; j <= i * 7; j++)
            assert_int_equal(pieces[i][j], 0);
        memset(pieces[i], (int)i, i * 7 + 1);
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t j = 0; j <= i * 7; j++)
            assert_int_equal(pieces[i][j], i);
    pixi_arena_clear(&a);
}

static void test_text_gets_its_nul(void **state)
{
    struct pixi_arena a = pixi_arena_init(1 << 10);
    struct inv_guard g = inv_guard("abc", 3);

    (void)state;
    assert_string_equal(pixi_arena_text(&a, pixi_cur_init(g.bytes, 3)), "abc");
    assert_string_equal(pixi_arena_text(&a, (struct pixi_cur){0}), "");
    inv_guard_free(&g);
    pixi_arena_clear(&a);
}

static void test_clear_overwrites(void **state)
{
    struct pixi_arena a = pixi_arena_init(1 << 20);

    (void)state;
    for (int i = 0; i < 100; i++)
        pixi_arena_take(&a, 1000);
    wiped = 0;
    pixi_arena_clear(&a);
    assert_true(wiped >= 100 * 1000);
}

static void test_ceiling_holds(void **state)
{
    struct pixi_arena a = pixi_arena_init(100);
    size_t got = 0;

    (void)state;
    assert_null(pixi_arena_take(&a, 101));
    while (pixi_arena_take(&a, 10))
        got += 10;
    assert_true(got > 0 && got <= 100);
    pixi_arena_clear(&a);
    assert_non_null(pixi_arena_take(&a, 100)); /* usable again */
    assert_null(pixi_arena_take(&a, SIZE_MAX));
    pixi_arena_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(test_text_gets_its_nul),
        cmocka_unit_test(test_clear_overwrites),
        cmocka_unit_test(test_ceiling_holds),
    };

    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
