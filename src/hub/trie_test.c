#include "hub/trie.h"
#include "base/topic.h"
#include "hub/alloc_test.h"
#include "invariants.h"

static const uint8_t key[16] = "0123456789abcdef";

struct user {
    struct pixi_list in_node;
    char filter[32];
    unsigned seen;
    struct pixi_trie_node *node;
};

static bool see(void *ctx, struct pixi_trie_node *node)
{
    (void)ctx;
    for (struct pixi_list *l = node->subs.next; l != &node->subs; l = l->next)
        PIXI_LIST_ITEM(l, struct user, in_node)->seen++;
    return true;
}

static void hang(struct pixi_trie *t, struct user *u)
{
    u->node = pixi_trie_add(t, pixi_cur_str(u->filter));
    assert_non_null(u->node);
    assert_ptr_equal(pixi_trie_find(t, pixi_cur_str(u->filter)), u->node);
    pixi_list_add_last(&u->node->subs, &u->in_node);
}

static void take_off(struct pixi_trie *t, struct user *u)
{
    pixi_list_remove(&u->in_node);
    pixi_trie_prune(t, u->node);
}

/* Every filter and topic of up to three of these levels, against the plain reading of §4.7. */
static const char *const levels[] = {"a", "b", "", "$x", "+", "#"};

static unsigned long make_names(char (*names)[32], size_t level_count, bool is_filter)
{
    unsigned long count = 0;

    for (size_t i = 0; i < level_count * (level_count + 1) * (level_count + 1); i++) {
        size_t b = i / level_count % (level_count + 1), c = i / level_count / (level_count + 1);
        char name[32];
        struct pixi_cur n;

        snprintf(name, sizeof name, "%s%s%s%s%s", levels[i % level_count], b ? "/" : "",
                 b ? levels[b - 1] : "", c ? "/" : "", c ? levels[c - 1] : "");
        n = pixi_cur_str(name);
        if ((is_filter ? pixi_filter_check(n) : pixi_topic_check(n)) == PIXI_OK)
            strcpy(names[count++], name);
    }
    return count;
}

static void matches_as_read(void **state)
{
    static char filters[6 * 7 * 7][32], topics[4 * 5 * 5][32];
    static struct user users[6 * 7 * 7];
    unsigned long filter_count = make_names(filters, 6, true), topic_count = make_names(topics, 4, false);
    struct pixi_trie t;

    (void)state;
    pixi_trie_init(&t, key);
    for (unsigned long i = 0; i < filter_count; i++) {
        strcpy(users[i].filter, filters[i]);
        hang(&t, &users[i]);
    }
    for (unsigned long i = 0; i < topic_count; i++) {
        for (unsigned long k = 0; k < filter_count; k++)
            users[k].seen = 0;
        pixi_trie_match(&t, pixi_cur_str(topics[i]), 0, see, NULL);
        for (unsigned long k = 0; k < filter_count; k++)
            if (users[k].seen != pixi_filter_matches(pixi_cur_str(filters[k]), pixi_cur_str(topics[i])))
                fail_msg("filter '%s', topic '%s': seen %u times", filters[k], topics[i], users[k].seen);
    }
    for (unsigned long k = 0; k < filter_count; k++)
        take_off(&t, &users[k]);
    assert_null(t.root);
    assert_int_equal(t.nodes.count, 0);
    pixi_trie_clear(&t);
}

static void literal_first(void **state)
{
    struct user users[] = {
        {.filter = "request/+"}, {.filter = "+/x"}, {.filter = "#"}, {.filter = "request/#"}};
    struct pixi_trie t;

    (void)state;
    pixi_trie_init(&t, key);
    pixi_trie_match(&t, pixi_cur_str("request/x"), 0, see, NULL);
    for (size_t i = 0; i < 4; i++)
        hang(&t, &users[i]);
    pixi_trie_match(&t, pixi_cur_str("request/x"), PIXI_TRIE_LITERAL_FIRST, see, NULL);
    assert_int_equal(users[0].seen, 1);
    assert_int_equal(users[1].seen, 0);
    assert_int_equal(users[2].seen, 0);
    assert_int_equal(users[3].seen, 1);
    for (size_t i = 0; i < 4; i++)
        take_off(&t, &users[i]);
    pixi_trie_clear(&t);
}

static void deeper_than_any_filter(void **state)
{
    char topic[1001], filter[2 * PIXI_TRIE_LEVELS_MAX];
    struct user any = {.filter = "#"}, tail = {.filter = "a/+/#"};
    struct pixi_trie_node *deepest;
    struct pixi_trie t;

    (void)state;
    memset(topic, '/', 1000);
    topic[0] = 'a';
    topic[1000] = 0;
    memset(filter, '+', sizeof filter);
    for (size_t i = 1; i < sizeof filter; i += 2)
        filter[i] = '/';
    filter[sizeof filter - 1] = 0; /* PIXI_TRIE_LEVELS_MAX times '+' */
    pixi_trie_init(&t, key);
    hang(&t, &any);
    hang(&t, &tail);
    deepest = pixi_trie_add(&t, pixi_cur_str(filter));
    assert_non_null(deepest);
    pixi_trie_match(&t, pixi_cur_str(topic), 0, see, NULL);
    assert_int_equal(any.seen, 1);
    assert_int_equal(tail.seen, 1);
    pixi_trie_prune(&t, deepest);
    take_off(&t, &any);
    take_off(&t, &tail);
    pixi_trie_clear(&t);
}

static void add_a_few(void)
{
    static const char *const filters[] = {"a/b/c", "a/+/c", "a/b/#", "x//y"};
    struct pixi_trie_node *node[4];
    struct pixi_list used[4];
    struct pixi_trie t;

    pixi_trie_init(&t, key);
    for (size_t i = 0; i < 4; i++) {
        node[i] = pixi_trie_add(&t, pixi_cur_str(filters[i]));
        if (node[i])
            pixi_list_add_last(&node[i]->subs, &used[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        if (!node[i])
            continue;
        pixi_list_remove(&used[i]);
        pixi_trie_prune(&t, node[i]);
    }
    pixi_trie_clear(&t);
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_in_range(alloc_torture(add_a_few), 8, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_as_read),
        cmocka_unit_test(literal_first),
        cmocka_unit_test(deeper_than_any_filter),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests_name("hub/trie", tests, NULL, NULL);
}
