/* keys.h -- the API keys that a server accepts: names, SHA-256, and what each may do. The keys themselves are
 * never stored.
 *
 *     {"keys": [{"name": "tram-7", "sha256": "<64 hex digits>", "publish": ["event/#"], "subscribe": ["#"],
 *                "created": "2026-11-22T21:30:00Z"}]} */
#ifndef PIXI_SERVER_KEYS_H
#define PIXI_SERVER_KEYS_H

#include "base/conf.h"

enum {
    PIXI_KEYS_MAX = 10000,                /* keys in a file */
    PIXI_KEYS_FILTERS_MAX = 64,           /* filters of a key, each way */
    PIXI_KEYS_HASH = 32,                  /* bytes of a SHA-256 */
    PIXI_KEYS_PUBLISHES_MAX = 1000000000, /* a second, as a key's own limit */
    PIXI_KEYS_TEXT = 3 + 43 + 1,          /* bytes of a generated key: "pk_", 256 bits in base64url, NUL */
};

#define PIXI_KEYS_BYTES_MAX UINT64_C(10000000000) /* the same for bytes */

/* Every pointer is borrowed from the set and valid until it is loaded again or cleared. */
struct pixi_key {
    const char *name;
    const char *sha256; /* as written: 64 lower-case hexadecimal digits */
    const char *created;
    struct pixi_conf_strings publish, subscribe; /* .at: array of struct pixi_cur, checked filters; .count */
    uint64_t publishes_per_s, publish_bytes_per_s; /* 0: those of the settings */
    uint8_t hash[PIXI_KEYS_HASH];
};

struct pixi_keys {
    struct pixi_conf_objects entries; /* of struct pixi_key: pixi_keys_at */
    struct pixi_conf conf;
};

static inline size_t pixi_keys_count(const struct pixi_keys *k)
{
    return k->entries.count;
}

static inline const struct pixi_key *pixi_keys_at(const struct pixi_keys *k, size_t i)
{
    return (const struct pixi_key *)k->entries.at + i;
}

enum pixi_keys_missing { PIXI_KEYS_MUST_EXIST, PIXI_KEYS_MAY_BE_MISSING }; /* the file; missing: no keys */

/* pixi_keys_load -- read the file into an uninitialised set; clear it whatever the answer.
 *
 *   PIXI_OK
 *   PIXI_E_SETTINGS  a line in mistakes for each: not there, others can read it, not JSON, bad member, a name twice
 *   PIXI_E_NOMEM */
int pixi_keys_load(struct pixi_keys *k, const char *path, enum pixi_keys_missing missing,
                   struct pixi_buf *mistakes);

/* pixi_keys_clear -- overwrites and releases. */
void pixi_keys_clear(struct pixi_keys *k);

/* pixi_keys_lookup -- the entry of this key, or NULL. Compares with every entry, in constant time for each.
 * Borrows from k. */
const struct pixi_key *pixi_keys_lookup(const struct pixi_keys *k, struct pixi_cur key);

/* What `key add` is told. Borrowed for the call. */
struct pixi_key_new {
    const char *name;                           /* 1 .. 64 letters, digits, '.', '_' or '-' */
    const struct pixi_cur *publish, *subscribe; /* filters */
    size_t publish_count, subscribe_count;
    uint64_t publishes_per_s, publish_bytes_per_s; /* 0: none of its own */
    uint64_t now_s;                                /* since 1970, UTC */
};

/* pixi_keys_add -- generate a key and write the file anew with it, atomically, mode 0600.
 *
 *   path   made if it is not there
 *   key    on PIXI_OK the key: the only time that it exists outside its owner's hands. Overwrite it after use
 *
 *   PIXI_OK
 *   PIXI_E_SETTINGS  the file, the name or a filter is wrong, or the name is taken: lines in mistakes
 *   PIXI_E_SYS       could not be written (a line in mistakes); the file is as it was
 *   PIXI_E_NOMEM
 *
 * Holds a lock on the file's folder: two at a time lose nothing. */
int pixi_keys_add(const char *path, const struct pixi_key_new *add, char key[PIXI_KEYS_TEXT],
                  struct pixi_buf *mistakes);

/* pixi_keys_revoke -- write the file anew without the key of this name. The errors of pixi_keys_add;
 * PIXI_E_SETTINGS also when there is no such name. */
int pixi_keys_revoke(const char *path, const char *name, struct pixi_buf *mistakes);

#endif
