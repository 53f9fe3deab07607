#include "hub/trie.h"

#include "base/topic.h"

#include <assert.h>
#include <stdlib.h>

void pixi_trie_init(struct pixi_trie *t, const uint8_t key[PIXI_SIPHASH_KEY_LEN])
{
    *t = (struct pixi_trie){0};
    memcpy(t->key, key, sizeof t->key);
}

void pixi_trie_clear(struct pixi_trie *t)
{
    assert(!t->root);
    pixi_table_clear(&t->nodes);
}

/* The level's hash is secret, so that its sum with a known id is, too. */
static uint64_t place(const struct pixi_trie_node *parent, uint64_t level_hash)
{
    uint64_t h = level_hash ^ parent->id * UINT64_C(0x9e3779b97f4a7c15);

    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

static bool is_wildcard(struct pixi_cur level)
{
    return pixi_cur_left(&level) == 1 && (*level.p == '+' || *level.p == '#');
}

/* Where a parent keeps the child of a wildcard level. */
static struct pixi_trie_node **wild_child(struct pixi_trie_node *parent, struct pixi_cur level)
{
    return *level.p == '+' ? &parent->plus : &parent->any;
}

static struct pixi_trie_node *literal_child(const struct pixi_trie *t, const struct pixi_trie_node *parent,
                                            struct pixi_cur level, uint64_t level_hash)
{
    struct pixi_table_link *l = pixi_table_first(&t->nodes, place(parent, level_hash));
    struct pixi_trie_node *node;

    for (; l; l = pixi_table_next(l)) {
        node = PIXI_LIST_ITEM(l, struct pixi_trie_node, link);
        if (node->parent == parent && pixi_cur_equals(pixi_cur_init(node->level, node->level_len), level))
            return node;
    }
    return NULL;
}

static struct pixi_trie_node *child(const struct pixi_trie *t, struct pixi_trie_node *parent,
                                    struct pixi_cur level)
{
    if (is_wildcard(level))
        return *wild_child(parent, level);
    return literal_child(t, parent, level, pixi_siphash(t->key, level));
}

static struct pixi_trie_node *make_node(struct pixi_trie *t, struct pixi_trie_node *parent,
                                        struct pixi_cur level)
{
    size_t len = pixi_cur_left(&level);
    struct pixi_trie_node *node = calloc(1, sizeof *node + len);

    if (!node)
        return NULL;
    node->parent = parent;
    node->id = ++t->last_id;
    node->level_len = len;
    if (len)
        memcpy(node->level, level.p, len);
    pixi_list_init(&node->subs);
    pixi_list_init(&node->groups);
    return node;
}

static struct pixi_trie_node *make_child(struct pixi_trie *t, struct pixi_trie_node *parent,
                                         struct pixi_cur level)
{
    struct pixi_trie_node *node;

    if (pixi_table_reserve(&t->nodes) || !(node = make_node(t, parent, level)))
        return NULL;
    if (is_wildcard(level))
        *wild_child(parent, level) = node;
    else
        pixi_table_add(&t->nodes, &node->link, place(parent, pixi_siphash(t->key, level)));
    parent->children++;
    return node;
}

static void free_node(struct pixi_trie *t, struct pixi_trie_node *node)
{
    struct pixi_cur level = pixi_cur_init(node->level, node->level_len);

    if (!node->parent)
        t->root = NULL;
    else if (is_wildcard(level))
        *wild_child(node->parent, level) = NULL;
    else
        pixi_table_remove(&t->nodes, &node->link);
    if (node->parent)
        node->parent->children--;
    free(node);
}

static bool has_users(const struct pixi_trie_node *node)
{
    return !pixi_list_is_empty(&node->subs) || !pixi_list_is_empty(&node->groups);
}

void pixi_trie_prune(struct pixi_trie *t, struct pixi_trie_node *node)
{
    struct pixi_trie_node *parent;

    for (; node && !node->children && !has_users(node); node = parent) {
        parent = node->parent;
        free_node(t, node);
    }
}

struct pixi_trie_node *pixi_trie_add(struct pixi_trie *t, struct pixi_cur filter)
{
    struct pixi_trie_node *node, *next;
    struct pixi_cur level;

    if (!t->root && !(t->root = make_node(t, NULL, pixi_cur_str(""))))
        return NULL;
    for (node = t->root; pixi_topic_level(&filter, &level); node = next) {
        next = child(t, node, level);
        if (next || (next = make_child(t, node, level)))
            continue;
        pixi_trie_prune(t, node);
        return NULL;
    }
    return node;
}

struct pixi_trie_node *pixi_trie_find(const struct pixi_trie *t, struct pixi_cur filter)
{
    struct pixi_trie_node *node = t->root;
    struct pixi_cur level;

    while (node && pixi_topic_level(&filter, &level))
        node = child(t, node, level);
    return node;
}

struct walk {
    const struct pixi_trie *trie;
    bool (*visit)(void *ctx, struct pixi_trie_node *node);
    void *ctx;
    /* One level more than any filter has: enough to know that a deeper topic matches by '#' alone. */
    struct pixi_cur level[PIXI_TRIE_LEVELS_MAX + 1];
    uint64_t hash[PIXI_TRIE_LEVELS_MAX + 1];
    unsigned count;
};

static bool visit(const struct walk *w, struct pixi_trie_node *node)
{
    return !node || !has_users(node) || w->visit(w->ctx, node);
}

/* The node matched the levels before `at`. False: visit wants no more. Recursion is as deep as filters are. */
static bool descend(const struct walk *w, struct pixi_trie_node *node, unsigned at)
{
    struct pixi_trie_node *next;

    if (!visit(w, node->any)) /* '#' includes the parent level */
        return false;
    if (at == w->count)
        return visit(w, node);
    if (node->plus && !descend(w, node->plus, at + 1))
        return false;
    next = literal_child(w->trie, node, w->level[at], w->hash[at]);
    return !next || descend(w, next, at + 1);
}

void pixi_trie_match(const struct pixi_trie *t, struct pixi_cur topic, unsigned flags,
                     bool (*visit_node)(void *ctx, struct pixi_trie_node *node), void *ctx)
{
    struct walk w;
    struct pixi_trie_node *first;
    bool is_literal = flags & PIXI_TRIE_LITERAL_FIRST || *topic.p == '$'; /* [MQTT-4.7.2-1] */

    if (!t->root)
        return;
    w.trie = t;
    w.visit = visit_node;
    w.ctx = ctx;
    for (w.count = 0; w.count <= PIXI_TRIE_LEVELS_MAX && pixi_topic_level(&topic, &w.level[w.count]);
         w.count++)
        w.hash[w.count] = pixi_siphash(t->key, w.level[w.count]);
    if (!is_literal) {
        descend(&w, t->root, 0);
        return;
    }
    first = literal_child(t, t->root, w.level[0], w.hash[0]);
    if (first)
        descend(&w, first, 1);
}
