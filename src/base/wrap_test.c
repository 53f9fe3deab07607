#include "invariants.h"

#include "base/wrap.h"

#include <stdlib.h>
#include <string.h>

static const char text[] =
    "a line of würds — some are-much-longer-than-others, and the §§ count one column each";

/* What pixi_wrap writes. */
static char *wrapped(int at, int indent, int limit, int *end)
{
    char *out = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&out, &size);

    assert_non_null(f);
    *end = pixi_wrap(f, at, indent, limit, text);
    fclose(f);
    return out;
}

/* The same words in the same order, whatever stands between them. */
static void check_words(char *got)
{
    char want[sizeof text], *a, *b, *keep_a, *keep_b;

    memcpy(want, text, sizeof want);
    a = strtok_r(want, " ", &keep_a);
    b = strtok_r(got, " \n", &keep_b);
    for (; a && b; a = strtok_r(NULL, " ", &keep_a), b = strtok_r(NULL, " \n", &keep_b))
        assert_string_equal(a, b);
    assert_null(a);
    assert_null(b);
}

static void check_lines(const char *got, int at, int indent, int limit, int end)
{
    int width = at;

    for (const char *line = got; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        size_t len = strcspn(line, "\n"), lead = strspn(line, " ");

        width = pixi_wrap_columns(line, len) + (line == got ? at : 0);
        /* a word that is too long has a line of its own */
        assert_true(width <= limit || !memchr(line + lead, ' ', len - lead));
        assert_true(line == got || lead == (size_t)indent);
    }
    assert_int_equal(end, width);
}

static void words_stay_and_lines_fit(void **state)
{
    (void)state;
    for (int limit = 1; limit < 100; limit++)
        for (int indent = 0; indent < 9; indent += 4) {
            int end;
            char *got = wrapped(indent, indent, limit, &end);

            check_lines(got, indent, indent, limit, end);
            check_words(got);
            free(got);
        }
}

static void a_character_is_a_column(void **state)
{
    (void)state;
    assert_int_equal(pixi_wrap_columns("", 0), 0);
    assert_int_equal(pixi_wrap_columns("abc", 2), 2);
    assert_int_equal(pixi_wrap_columns("ü§…🚋", strlen("ü§…🚋")), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words_stay_and_lines_fit),
                                       cmocka_unit_test(a_character_is_a_column)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
