#include "base/near.h"
#include "invariants.h"

static size_t distance(const char *a, const char *b)
{
    return pixi_near_distance(pixi_cur_str(a), pixi_cur_str(b));
}

static void how_far(void **state)
{
    static const struct {
        const char *a, *b;
        size_t far;
    } rows[] = {{"", "", 0},
                {"send", "send", 0},
                {"sned", "send", 1},
                {"sen", "send", 1},
                {"sendd", "send", 1},
                {"semd", "send", 1},
                {"", "send", 4},
                {"dnes", "send", 3},
                {"SEND", "send", 0},
                {"connect-ms", "connect_ms", 0},
                {"esnd", "send", 1},
                {"sedn", "send", 1},
                {"verfiy", "verify", 1},
                {"lsiten", "listen", 1}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(distance(rows[i].a, rows[i].b), rows[i].far);
        assert_int_equal(distance(rows[i].b, rows[i].a), rows[i].far);
    }
}

/* Only the first 40 letters are looked at, of both. */
static void long_names(void **state)
{
    char a[100], b[100];

    (void)state;
    memset(a, 'a', sizeof a);
    memset(b, 'b', sizeof b);
    assert_int_equal(pixi_near_distance(pixi_cur_init(a, 100), pixi_cur_init(a, 41)), 0);
    assert_int_equal(pixi_near_distance(pixi_cur_init(a, 100), pixi_cur_init(b, 100)), 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(how_far), cmocka_unit_test(long_names)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
