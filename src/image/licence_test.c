#include "image/record.h"
#include "invariants.h"

static const struct {
    const char *text, *licence;
} cases[] = {
    {"", "NOASSERTION"},
    {"This is free software.\n", "NOASSERTION"},
    {"Format: x\n\nFiles: *\nCopyright: me\nLicense: Expat\n text\n", "MIT"},
    {"Files:\n *\nCopyright: me\nLicense: BSD-3-clause\n", "BSD-3-Clause"},
    {"Files: debian/*\nLicense: GPL-2+\n\nFiles: *\nLicense: LGPL-2.1+\n", "LGPL-2.1-or-later"},
    {"Files: *\nCopyright: me\n\nLicense: GPL-2\n", "NOASSERTION"}, /* another stanza's */
    {"Files: *\nLicense: GPL-2 and Expat\n", "NOASSERTION"},
    {"files: *\nlicense: zlib\n", "Zlib"},
    {"Files: * src/*\nLicense: Expat\n", "NOASSERTION"},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(pixi_image_licence(pixi_cur_str(cases[i].text)), cases[i].licence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};

    return cmocka_run_group_tests_name("image/licence", tests, NULL, NULL);
}
