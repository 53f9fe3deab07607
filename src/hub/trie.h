/* trie.h -- topic filters by level, so that a publish costs nothing for those that do not match. MQTT 5 §4.7. */
#ifndef PIXI_HUB_TRIE_H
#define PIXI_HUB_TRIE_H

#include "base/list.h"
#include "hub/siphash.h"
#include "hub/table.h"

enum { PIXI_TRIE_LEVELS_MAX = 128 };

/* One level of a filter. What hangs on it is its user's: a node with both lists and no children empty is pruned. */
struct pixi_trie_node {
    struct pixi_table_link link;
    struct pixi_trie_node *parent, *plus, *any; /* children '+' and '#'; literal ones stand in the table */
    struct pixi_list subs, groups;
    uint64_t id;
    size_t keeping; /* the user's */
    size_t children;
    size_t level_len;
    uint8_t level[];
};

struct pixi_trie {
    struct pixi_table nodes; /* by parent and level */
    struct pixi_trie_node *root;
    uint64_t last_id;
    uint8_t key[PIXI_SIPHASH_KEY_LEN];
};

/* pixi_trie_init -- empty; allocates nothing. key: 16 random bytes, copied. */
void pixi_trie_init(struct pixi_trie *t, const uint8_t key[PIXI_SIPHASH_KEY_LEN]);

/* pixi_trie_clear -- everything was pruned before (assert); releases the table. */
void pixi_trie_clear(struct pixi_trie *t);

/* pixi_trie_add -- the node of a filter, made if there is none. NULL: out of memory, nothing changed.
 * filter is checked, has no `$share/` and at most PIXI_TRIE_LEVELS_MAX levels (assert). Prune it when nothing was hung
 * on it after all. */
struct pixi_trie_node *pixi_trie_add(struct pixi_trie *t, struct pixi_cur filter);

/* pixi_trie_find -- the same, NULL if there is none. */
struct pixi_trie_node *pixi_trie_find(const struct pixi_trie *t, struct pixi_cur filter);

/* pixi_trie_prune -- free the node if it is empty, and so its ancestors. */
void pixi_trie_prune(struct pixi_trie *t, struct pixi_trie_node *node);

/* pixi_trie_match -- visit every node whose filter matches the topic and that has subs or groups, each once, until
 * visit says false. A visit changes nothing in the trie. Bits of flags: */
enum { PIXI_TRIE_LITERAL_FIRST = 1 << 0 }; /* only filters whose first level has no wildcard */
void pixi_trie_match(const struct pixi_trie *t, struct pixi_cur topic, unsigned flags,
                     bool (*visit)(void *ctx, struct pixi_trie_node *node), void *ctx);

#endif
