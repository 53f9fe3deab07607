#include "store/overlap.h"
#include "base/topic.h"
#include "invariants.h"

static const char *const levels[] = {"a", "b", "", "$x", "+", "#"};

/* Every name of up to three levels that check accepts. */
static unsigned make_names(char (*names)[32], unsigned level_count, int (*check)(struct pixi_cur))
{
    unsigned count = 0;
    char name[32];

    for (unsigned i = 0; i < level_count * (level_count + 1) * (level_count + 1); i++) {
        unsigned b = i / level_count % (level_count + 1), c = i / level_count / (level_count + 1);

        snprintf(name, sizeof name, "%s%s%s%s%s", levels[i % level_count], b ? "/" : "",
                 b ? levels[b - 1] : "", c ? "/" : "", c ? levels[c - 1] : "");
        if (check(pixi_cur_str(name)) == PIXI_OK)
            strcpy(names[count++], name);
    }
    return count;
}

/* Two filters of up to three levels overlap if and only if a topic of up to four levels matches both; "a" and "b"
 * stand for all other words. */
static void as_topics_show(void **state)
{
    static char filters[6 * 7 * 7][32], topics[4 * 5 * 5][32];
    unsigned filter_count = make_names(filters, 6, pixi_filter_check);
    unsigned topic_count = make_names(topics, 4, pixi_topic_check);
    struct pixi_cur f, g, t;
    bool is_found;

    (void)state;
    for (unsigned i = 0; i < filter_count; i++) {
        for (unsigned k = 0; k < filter_count; k++) {
            f = pixi_cur_str(filters[i]);
            g = pixi_cur_str(filters[k]);
            t = pixi_cur_str(""); /* no topic, but overlap.h says that it counts as one */
            is_found = pixi_filter_matches(f, t) && pixi_filter_matches(g, t);
            for (unsigned n = 0; n < topic_count && !is_found; n++) {
                t = pixi_cur_str(topics[n]);
                is_found = pixi_filter_matches(f, t) && pixi_filter_matches(g, t);
            }
            if (pixi_filter_overlaps(f, g) != is_found)
                fail_msg("'%s' and '%s': %s", filters[i], filters[k], is_found ? "do" : "do not");
        }
    }
}

static void share_is_stepped_over(void **state)
{
    (void)state;
    assert_true(pixi_filter_overlaps(pixi_cur_str("$share/g/a/+"), pixi_cur_str("#")));
    assert_false(pixi_filter_overlaps(pixi_cur_str("b/#"), pixi_cur_str("$share/g/a/+")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_topics_show),
                                       cmocka_unit_test(share_is_stepped_over)};

    return cmocka_run_group_tests_name("store/overlap", tests, NULL, NULL);
}
