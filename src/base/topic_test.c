#include "base/topic.h"
#include "invariants.h"

#include <regex.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static struct pixi_cur cur(const char *text)
{
    return pixi_cur_str(text);
}

/* ---- the second reading: regular expressions ---- */

static const char plain_filter[] = "^(([^/+#]*|[+])/)*([^/+#]*|[+]|#)$";
static const char shared_filter[] = "^[$]share/[^/+#]+/(([^/+#]*|[+])/)*([^/+#]*|[+]|#)$";

static bool fits(const char *pattern, const char *text)
{
    regex_t re;
    int rc;

    assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    rc = regexec(&re, text, 0, NULL, 0);
    regfree(&re);
    return rc == 0;
}

static bool is_filter(const char *text)
{
    const char *last = text + strlen(text) - 1;

    if (strncmp(text, "$share/", 7) != 0)
        return *text && fits(plain_filter, text);
    return fits(shared_filter, text) && !(*last == '/' && strchr(text + 7, '/') == last);
}

static void filter_pattern(const char *filter, char *out)
{
    for (out = stpcpy(out, "^"); *filter; filter++)
        if (strcmp(filter, "/#") == 0) {
            out = stpcpy(out, "(/.*)?");
            break;
        } else if (*filter == '#') {
            out = stpcpy(out, ".*");
        } else if (*filter == '+') {
            out = stpcpy(out, "[^/]*");
        } else {
            out += sprintf(out, "[%c]", *filter);
        }
    strcpy(out, "$");
}

/* ---- the texts ---- */

enum { TEXTS = 1600, TEXT_MAX = 24 };

struct texts {
    char list[TEXTS][TEXT_MAX];
    size_t count;
};

/* Every text of 1 .. depth levels from the alphabet; the empty one is neither topic nor filter. */
static void add_all(struct texts *out, const char *const *alphabet, size_t letters, size_t depth)
{
    for (size_t levels = 1, all = letters; levels <= depth; levels++, all *= letters)
        for (size_t i = 0; i < all; i++) {
            char *text = out->list[out->count], *end = text;
            size_t v = i;

            for (size_t k = 0; k < levels; k++, v /= letters)
                end = stpcpy(stpcpy(end, k ? "/" : ""), alphabet[v % letters]);
            assert_true(out->count + 1 < TEXTS);
            out->count += *text != '\0';
        }
}

static struct texts topics, filters;
static uint8_t expected[300][TEXTS];

/* z and $z are in no filter: they stand for all the names that a filter does not spell out. */
static int enumerate(void **state)
{
    static const char *const names[] = {"a", "b", "", "$x", "z", "$z"}, *const levels[] = {"a",  "b", "",
                                                                                           "$x", "+", "#"};
    struct texts *all = calloc(1, sizeof *all);
    char pattern[200];
    regex_t re;

    (void)state;
    assert_non_null(all);
    add_all(&topics, names, COUNT(names), 4);
    add_all(all, levels, COUNT(levels), 3);
    for (size_t i = 0; i < all->count; i++)
        if (is_filter(all->list[i]))
            strcpy(filters.list[filters.count++], all->list[i]);
    free(all);
    assert_true(filters.count <= COUNT(expected));
    for (size_t i = 0; i < filters.count; i++) {
        bool is_wild = strchr("+#", *filters.list[i]) && *filters.list[i];

        filter_pattern(filters.list[i], pattern);
        assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
        for (size_t k = 0; k < topics.count; k++)
            expected[i][k] =
                !(is_wild && *topics.list[k] == '$') && regexec(&re, topics.list[k], 0, NULL, 0) == 0;
        regfree(&re);
    }
    return 0;
}

static void matches_as_the_patterns(void **state)
{
    char shared[TEXT_MAX + 10];

    (void)state;
    for (size_t i = 0; i < filters.count; i++) {
        assert_int_equal(pixi_filter_check(cur(filters.list[i])), PIXI_OK);
        snprintf(shared, sizeof shared, "$share/g/%s", filters.list[i]);
        for (size_t k = 0; k < topics.count; k++)
            if (pixi_filter_matches(cur(filters.list[i]), cur(topics.list[k])) != expected[i][k] ||
                pixi_filter_matches(cur(shared), cur(topics.list[k])) != expected[i][k])
                fail_msg("'%s' and '%s': wanted %d", filters.list[i], topics.list[k], expected[i][k]);
    }
}

static void covers_is_exact(void **state)
{
    char shared[TEXT_MAX + 10];
    size_t covered = 0, k;

    (void)state;
    for (size_t a = 0; a < filters.count; a++)
        for (size_t f = 0; f < filters.count; f++) {
            for (k = 0; k < topics.count && expected[a][k] >= expected[f][k]; k++)
                ;
            snprintf(shared, sizeof shared, "$share/g/%s", filters.list[f]);
            if (pixi_filter_covers(cur(filters.list[a]), cur(filters.list[f])) != (k == topics.count) ||
                pixi_filter_covers(cur(filters.list[a]), cur(shared)) != (k == topics.count))
                fail_msg("'%s' covers '%s'? but for '%s'", filters.list[a], filters.list[f],
                         k < topics.count ? topics.list[k] : "(nothing)");
            covered += k == topics.count;
        }
    assert_true(covered > filters.count); /* more than each itself */
}

static void covers_examples(void **state)
{
    static const struct {
        const char *allowed, *filter;
        bool want;
    } cases[] = {
        {"#", "a/+/b/#", true},
        {"#", "$SYS/x", false},
        {"#", "$share/g/a", true},
        {"#", "$share/g/$SYS", false},
        {"+/x", "$SYS/x", false},
        {"a/#", "a", true},
        {"a/#", "a/#", true},
        {"a/+", "a/#", false},
        {"a/+/#", "a/#", false},
        {"+/#", "#", true},
        {"+", "#", false},
        {"$SYS/#", "$SYS/x/+", true},
        {"a", "+", false},
        {"a/b", "a/b", true},
        {"a/b", "a/bb", false},
        {"a/bb", "a/b", false},
        {"/+/#", "/#", true},
        {"+/+/#", "/#", true},
        {"$share/g/a", "a", false},
        {"$share/g/#", "a", false},
        {"$share/#", "$share/g/a", false},
        {"a", "$share/g/a", true},
        {"a", "$share/g/b", false},
        {"+", "$share", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (pixi_filter_covers(cur(cases[i].allowed), cur(cases[i].filter)) != cases[i].want)
            fail_msg("'%s' covers '%s'", cases[i].allowed, cases[i].filter);
}

/* Every text over the alphabet up to some length, behind each prefix. */
static void filter_check_as_the_grammar(void **state)
{
    static const char alphabet[] = "a/+#$";
    static const char *const prefixes[] = {"", "$share", "$share/", "$share/g/", "$share/$share/", "$Share/"};
    char text[40];
    size_t checked = 0;

    (void)state;
    for (size_t p = 0; p < COUNT(prefixes); p++)
        for (size_t len = 0, all = 1; len <= 4; len++, all *= 5)
            for (size_t i = 0; i < all; i++) {
                char *end = stpcpy(text, prefixes[p]);
                size_t v = i;

                for (size_t k = 0; k < len; k++, v /= 5)
                    *end++ = alphabet[v % 5];
                *end = '\0';
                if ((pixi_filter_check(cur(text)) == PIXI_OK) != is_filter(text))
                    fail_msg("'%s'", text);
                checked++;
            }
    assert_int_equal(checked, 6 * (1 + 5 + 25 + 125 + 625));
    /* what the pattern leaves open: no share in a share */
    assert_int_equal(pixi_filter_check(cur("$share/a/$share/b/c")), PIXI_E_FILTER);
    assert_int_equal(pixi_filter_check(cur("$share/a/$share")), PIXI_OK);
    assert_int_equal(pixi_filter_check(cur("$share")), PIXI_OK);
}

static int check_guarded(int (*check)(struct pixi_cur), const void *bytes, size_t len)
{
    struct inv_guard g = inv_guard(bytes, len);
    int rc = check(pixi_cur_init(g.bytes, len));

    inv_guard_free(&g);
    return rc;
}

static void names(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        bool is_topic, is_filter;
    } cases[] = {
        {"a", 1, true, true},          {"/", 1, true, true},
        {"//", 2, true, true},         {"", 0, false, false},
        {"a b", 3, true, true},        {"+", 1, false, true},
        {"#", 1, false, true},         {"a+", 2, false, false},
        {"a/#/b", 5, false, false},    {"#/", 2, false, false},
        {"a\0b", 3, false, false},     {"\xc3\xa9/+", 4, false, true},
        {"\xc3", 1, false, false},     {"\xed\xa0\x80", 3, false, false},
        {"$SYS/x", 6, true, true},     {"a\xff", 2, false, false},
        {"$share/g/", 9, true, false}, {"$share/g/a", 10, true, true},
    };
    static char large[PIXI_TOPIC_MAX + 1];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int topic = check_guarded(pixi_topic_check, cases[i].bytes, cases[i].len);
        int filter = check_guarded(pixi_filter_check, cases[i].bytes, cases[i].len);

        if (topic != (cases[i].is_topic ? PIXI_OK : PIXI_E_TOPIC) ||
            filter != (cases[i].is_filter ? PIXI_OK : PIXI_E_FILTER))
            fail_msg("'%s': %s, %s", cases[i].bytes, pixi_err_name(topic), pixi_err_name(filter));
    }
    assert_int_equal(pixi_topic_check((struct pixi_cur){0}), PIXI_E_TOPIC);
    memset(large, 'a', sizeof large);
    assert_int_equal(check_guarded(pixi_topic_check, large, PIXI_TOPIC_MAX), PIXI_OK);
    assert_int_equal(check_guarded(pixi_topic_check, large, PIXI_TOPIC_MAX + 1), PIXI_E_TOPIC);
    assert_int_equal(check_guarded(pixi_filter_check, large, PIXI_TOPIC_MAX), PIXI_OK);
    assert_int_equal(check_guarded(pixi_filter_check, large, PIXI_TOPIC_MAX + 1), PIXI_E_FILTER);
}

static void same_text(struct pixi_cur c, const char *want)
{
    if (!pixi_cur_equals(c, cur(want)))
        fail_msg("'%.*s', wanted '%s'", (int)pixi_cur_left(&c), (const char *)c.p, want);
}

static void levels(void **state)
{
    static const struct {
        const char *topic, *joined;
    } cases[] = {{"a", "a|"}, {"a/", "a||"}, {"/", "||"}, {"", "|"}, {"a/bc//d", "a|bc||d|"}};
    struct pixi_buf b = pixi_buf_init(100);

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct inv_guard g = inv_guard(cases[i].topic, strlen(cases[i].topic));
        struct pixi_cur rest = pixi_cur_init(g.bytes, strlen(cases[i].topic)), level;

        for (pixi_buf_reset(&b); pixi_topic_level(&rest, &level); pixi_buf_put_str(&b, "|"))
            pixi_buf_put_cur(&b, level);
        assert_null(rest.p);
        assert_false(pixi_topic_level(&rest, &level));
        same_text(pixi_buf_cur(&b), cases[i].joined);
        inv_guard_free(&g);
    }
    pixi_buf_clear(&b);
}

static void inner(void **state)
{
    (void)state;
    same_text(pixi_filter_inner(cur("$share/g/a/+/#")), "a/+/#");
    same_text(pixi_filter_inner(cur("$share/g//")), "/");
    same_text(pixi_filter_inner(cur("$shared/g/a")), "$shared/g/a");
    same_text(pixi_filter_inner(cur("$share")), "$share");
    same_text(pixi_filter_inner(cur("a/$share/g/b")), "a/$share/g/b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_as_the_patterns),
        cmocka_unit_test(covers_is_exact),
        cmocka_unit_test(covers_examples),
        cmocka_unit_test(filter_check_as_the_grammar),
        cmocka_unit_test(names),
        cmocka_unit_test(levels),
        cmocka_unit_test(inner),
    };

    return cmocka_run_group_tests_name("base/topic", tests, enumerate, NULL);
}
