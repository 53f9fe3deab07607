#include "image/packages.h"
#include "invariants.h"

static const char status[] = "Package: one\n"
                             "Status: install ok installed\n"
                             "Architecture: amd64\n"
                             "Version: 1:2.3-4\n"
                             "Description: one\n"
                             " Version: 9 is not a field, for it is indented\n"
                             "\n"
                             "Package: removed\n"
                             "Status: deinstall ok config-files\n"
                             "Architecture: amd64\n"
                             "Version: 1\n"
                             "\n"
                             "Package: one\n"
                             "Status: install ok installed\n"
                             "Architecture: i386\n"
                             "Version: 7\n"
                             "\n"
                             "\n"
                             "Package: half\n"
                             "Status: install ok half-installed\n"
                             "Architecture: all\n"
                             "Version: 1\n"
                             "\n"
                             "Package: alone\n"
                             "Architecture: all\n"
                             "Version: 5\n"
                             "Homepage:  https://example.org\n";

static void test_stanzas(void **state)
{
    struct pixi_packages p;

    (void)state;
    pixi_packages_init(&p, "");
    assert_int_equal(pixi_packages_put(&p, pixi_cur_str(status)), PIXI_OK);
    assert_int_equal(pixi_packages_count(&p), 2); /* sorted */
    assert_string_equal(pixi_packages_at(&p, 0)->name, "alone");
    assert_string_equal(pixi_packages_at(&p, 0)->homepage, "https://example.org");
    assert_string_equal(pixi_packages_at(&p, 0)->maintainer, "");
    assert_string_equal(pixi_packages_find(&p, "one")->version, "1:2.3-4");
    assert_string_equal(pixi_packages_find(&p, "one")->architecture, "amd64");
    assert_null(pixi_packages_find(&p, "removed"));
    assert_null(pixi_packages_find(&p, "half"));
    pixi_packages_clear(&p);
}

/* However a status file is cut: what is found was in it. */
static void test_prefixes(void **state)
{
    struct pixi_packages p;
    struct inv_guard g;

    (void)state;
    for (size_t len = 0; len < sizeof status; len++) {
        g = inv_guard(status, len);
        pixi_packages_init(&p, "");
        assert_int_equal(pixi_packages_put(&p, pixi_cur_init(g.bytes, len)), PIXI_OK);
        assert_true(pixi_packages_count(&p) <= 2);
        pixi_packages_clear(&p);
        inv_guard_free(&g);
    }
}

static void test_a_namesake_makes_room(void **state)
{
    struct pixi_packages p, other;

    (void)state;
    pixi_packages_init(&p, "");
    pixi_packages_init(&other, "");
    pixi_packages_put(&p, pixi_cur_str(status));
    pixi_packages_put(&other, pixi_cur_str("Package: one\nArchitecture: all\nVersion: 8\n\n"
                                           "Package: new\nArchitecture: all\nVersion: 1\n"));
    assert_int_equal(pixi_packages_take(&p, pixi_packages_find(&other, "one")), PIXI_OK);
    assert_int_equal(pixi_packages_take(&p, pixi_packages_find(&other, "new")), PIXI_OK);
    assert_int_equal(pixi_packages_count(&p), 3);
    assert_string_equal(pixi_packages_find(&p, "one")->version, "8");
    assert_string_equal(pixi_packages_find(&p, "new")->version, "1");
    pixi_packages_clear(&p);
    pixi_packages_clear(&other);
}

static void test_a_machine_without_dpkg(void **state)
{
    struct pixi_packages p;

    (void)state;
    assert_int_equal(pixi_packages_load(&p, "/there/is/no/dpkg"), PIXI_OK);
    assert_int_equal(pixi_packages_count(&p), 0);
    assert_null(pixi_packages_find(&p, "one"));
    pixi_packages_clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stanzas),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_a_namesake_makes_room),
        cmocka_unit_test(test_a_machine_without_dpkg),
    };

    return cmocka_run_group_tests_name("image/packages", tests, NULL, NULL);
}
