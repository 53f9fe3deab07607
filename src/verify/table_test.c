/* The table of checks: what every row has, and that each can be run. */
#include "invariants.h"
#include "verify/check.h"
#include "verify/verify.h"

static void rows(void **state)
{
    size_t count;
    const struct pixi_verify_row *row = pixi_verify_table(&count);

    (void)state;
    assert_true(count > 30);
    for (size_t i = 0; i < count; i++) {
        assert_true(row[i].id && row[i].id[0] && row[i].title && row[i].layer && row[i].run);
        assert_int_equal(strspn(row[i].id, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(row[i].id));
        assert_true(strlen(row[i].id) <= 15); /* the report's column */
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(row[i].id, row[k].id);
        assert_false((row[i].flags & PIXI_VERIFY_INVALID) && (row[i].flags & PIXI_VERIFY_QUICK));
    }
}

struct seen {
    struct pixi_verify_report report;
    unsigned started, ended, results;
};

static void on_start(struct pixi_verify_report *r, const struct pixi_verify_row *row)
{
    (void)row;
    ((struct seen *)(void *)r)->started++;
}

static void on_result(struct pixi_verify_report *r, const struct pixi_verify_result *result)
{
    struct seen *s = (struct seen *)(void *)r;

    if (s->results++ == 0) {
        assert_string_equal(result->id, "settings");
        assert_int_equal(result->verdict, PIXI_VERIFY_FAILED);
        assert_true(result->cause[0] && result->fix[0]);
    } else {
        assert_int_equal(result->verdict, PIXI_VERIFY_SKIPPED);
        assert_true(result->reason[0]);
    }
}

static void on_end(struct pixi_verify_report *r, const struct pixi_verify_summary *sum)
{
    ((struct seen *)(void *)r)->ended++;
    assert_int_equal(sum->exit_code, 3);
}

/* Wrong settings: the first row fails, everything else is skipped, and nothing is sent. */
static void wrong_settings(void **state)
{
    static const struct pixi_verify_settings all[] = {
        {.url = "http://h/"},
        {.url = "ws://127.0.0.1/", .api_key = "two\nlines"},
        {.url = "ws://127.0.0.1/", .api_key = "two words"},
        {.url = "ws://127.0.0.1/?token=k-1234", .api_key = "k-1234"},
    };
    size_t count;

    (void)state;
    (void)pixi_verify_table(&count);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct seen s = {.report = {on_start, on_result, on_end}};
        struct pixi_verify_summary sum;

        assert_int_equal(pixi_verify_run(&all[i], &s.report, &sum), PIXI_OK);
        assert_int_equal(sum.exit_code, 3);
        assert_string_equal(sum.first_failed, "settings");
        assert_int_equal(sum.failed, 1);
        assert_int_equal(sum.skipped, count - 1);
        assert_int_equal(s.started, count);
        assert_int_equal(s.results, count);
        assert_int_equal(s.ended, 1);
    }
}

static void stopped(void **state)
{
    static const volatile sig_atomic_t stop = 1;
    struct pixi_verify_settings s = {.url = "ws://127.0.0.1:1/", .stop = &stop};
    struct pixi_verify_summary sum;

    (void)state;
    assert_int_equal(pixi_verify_run(&s, NULL, &sum), PIXI_OK);
    assert_true(sum.is_stopped);
    assert_int_equal(sum.exit_code, 1);
    assert_int_equal(sum.passed + sum.failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows), cmocka_unit_test(wrong_settings),
                                       cmocka_unit_test(stopped)};

    return cmocka_run_group_tests_name("verify/table", tests, NULL, NULL);
}
