/* backend_test.h -- for tests: the back ends that must do the same, each opened and closed in one way. Everything is
 * done when `turn` says so, in this thread. Include invariants.h before it. */
#ifndef PIXI_STORE_BACKEND_TEST_H
#define PIXI_STORE_BACKEND_TEST_H

#include "sqlite/fault_test.h"
#include "store/memory.h"
#include "store/sqlite.h"

#include <ftw.h>

/* 0: the back end's default. */
struct backend_config {
    const struct pixi_policy *policies;
    size_t policy_count;
    size_t retained_count, records, wanted_messages;
    uint64_t epoch;
};

struct backend_stats {
    uint64_t messages, bytes, retained, producers, seqs, records;
};

struct backend {
    const char *name;
    int (*open)(const struct backend_config *config, struct pixi_store **out);
    bool (*turn)(void); /* answer what waits; false: nothing did */
    struct backend_stats (*stats)(void);
    void (*close)(void);
};

static struct {
    struct pixi_memory *memory;
    struct pixi_sqlite_store *sqlite;
    char folder[64];
} backend_open;

/* --- memory --- */

static inline int backend_memory_open(const struct backend_config *c, struct pixi_store **out)
{
    struct pixi_memory_config config = pixi_memory_config_default;
    int rc;

    config.policies = c->policies;
    config.policy_count = c->policy_count;
    config.epoch = c->epoch;
    if (c->retained_count)
        config.retained_count = c->retained_count;
    if (c->records)
        config.records = c->records;
    if (c->wanted_messages)
        config.wanted_messages = c->wanted_messages;
    rc = pixi_memory_new(&config, &backend_open.memory);
    if (rc == PIXI_OK)
        *out = pixi_memory_store(backend_open.memory);
    return rc;
}

static inline bool backend_memory_turn(void)
{
    return false;
}

static inline struct backend_stats backend_memory_stats(void)
{
    struct pixi_memory_stats s = pixi_memory_stats(backend_open.memory);

    return (struct backend_stats){s.messages, s.bytes, s.retained, s.producers, s.seqs, s.records};
}

static inline void backend_memory_close(void)
{
    pixi_memory_free(backend_open.memory);
    backend_open.memory = NULL;
}

/* --- SQLite --- */

static inline int backend_unlink(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

/* A new folder of the test's own, and away with it. */
static inline void backend_make_folder(void)
{
    strcpy(backend_open.folder, "/tmp/pixi-test-XXXXXX");
    assert_non_null(mkdtemp(backend_open.folder));
}

static inline void backend_remove_folder(void)
{
    nftw(backend_open.folder, backend_unlink, 8, FTW_DEPTH | FTW_PHYS);
    backend_open.folder[0] = 0;
}

static inline struct pixi_sqlite_store_config backend_sqlite_config(const struct backend_config *c)
{
    struct pixi_sqlite_store_config config = pixi_sqlite_store_config_default;

    config.path = backend_open.folder;
    config.policies = c->policies;
    config.policy_count = c->policy_count;
    config.new_epoch = c->epoch;
    config.now_ms = 1000;
    config.vfs = "fault";
    config.is_stepped = true;
    if (c->retained_count)
        config.retained_count = c->retained_count;
    if (c->records)
        config.records = c->records;
    if (c->wanted_messages)
        config.wanted_messages = c->wanted_messages;
    return config;
}

static inline int backend_sqlite_open(const struct backend_config *c, struct pixi_store **out)
{
    struct pixi_sqlite_store_config config;
    struct pixi_buf problem = pixi_buf_init(4096);
    int rc;

    fault_begin();
    backend_make_folder();
    config = backend_sqlite_config(c);
    rc = pixi_sqlite_store_new(&config, &backend_open.sqlite, &problem);
    pixi_buf_clear(&problem);
    if (rc == PIXI_OK)
        *out = pixi_sqlite_store_store(backend_open.sqlite);
    else
        backend_remove_folder();
    return rc;
}

static inline bool backend_sqlite_turn(void)
{
    return pixi_sqlite_store_turn(backend_open.sqlite);
}

static inline struct backend_stats backend_sqlite_stats(void)
{
    struct pixi_sqlite_store_stats s = pixi_sqlite_store_stats(backend_open.sqlite);

    return (struct backend_stats){s.messages, s.bytes, s.retained, s.producers, s.seqs, s.records};
}

static inline void backend_sqlite_close(void)
{
    pixi_sqlite_store_stop(backend_open.sqlite);
    pixi_sqlite_store_free(backend_open.sqlite);
    backend_open.sqlite = NULL;
    backend_remove_folder();
    fault_begin();
}

/* The one number that the store's file answers with. */
static inline int64_t backend_ask_file(const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *s;
    char path[128];
    int64_t n;

    snprintf(path, sizeof path, "%s/hub.db", backend_open.folder);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, "fault"), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return n;
}

/* Statements without answer. */
static inline void backend_change_file(const char *sql)
{
    sqlite3 *db;
    char path[128];

    snprintf(path, sizeof path, "%s/hub.db", backend_open.folder);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, "fault"), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

enum { BACKEND_MEMORY, BACKEND_SQLITE, BACKENDS };

static const struct backend backends[BACKENDS] = {
    [BACKEND_MEMORY] = {"memory", backend_memory_open, backend_memory_turn, backend_memory_stats,
                        backend_memory_close},
    [BACKEND_SQLITE] = {"sqlite", backend_sqlite_open, backend_sqlite_turn, backend_sqlite_stats,
                        backend_sqlite_close},
};

/* Until nothing waits any more. */
static inline void backend_settle(const struct backend *b)
{
    while (b->turn())
        ;
}

#endif
