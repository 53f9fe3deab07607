/* sqlite.h -- a store on disk, in one folder: the same as memory.h, and it is still there after the process.
 * hub/store.h.
 *
 * Everything that touches the disk happens in a thread of the store's own (sqlite/worker.h); answers come from
 * pixi_sqlite_store_turn. Appends are answered when they are on disk. When the disk is full or fails, appends are
 * answered PIXI_E_STORAGE, nothing that was answered is lost, and the store takes them again when it can. */
#ifndef PIXI_STORE_SQLITE_H
#define PIXI_STORE_SQLITE_H

#include "base/buf.h"
#include "hub/store.h"
#include "store/policy.h"

struct pixi_sqlite_store;

struct pixi_sqlite_store_config {
    const char *path;                   /* the folder: made if it is not there; for one process at a time */
    const struct pixi_policy *policies; /* copied; others than last time: what is kept is sorted anew */
    size_t policy_count;                /* at most PIXI_POLICIES_MAX */
    uint64_t retained_count,
        retained_bytes; /* ceilings; bytes are messages and PIXI_SQLITE_STORE_EACH more for each */
    uint64_t producers; /* idempotency: producers known at a time */
    uint64_t seqs, seqs_per_producer;       /* idempotency: answered and not yet below `low` */
    uint64_t wanted_messages, wanted_bytes; /* kept for sessions, as far as they want it */
    uint64_t records;                       /* small records, of at most PIXI_RECORD_MAX bytes each */
    size_t waiting_bytes; /* of appends that wait for the disk: more are answered PIXI_E_LIMIT */
    uint64_t new_epoch;   /* random, not 0: for a log that begins */
    uint8_t hash_key[16]; /* random: for a log that begins */
    uint64_t now_ms;      /* wall */
    const char *vfs;      /* NULL: SQLite's own */
    bool is_stepped;      /* for tests: no thread, pixi_sqlite_store_turn does its work */
};

enum { PIXI_SQLITE_STORE_EACH = 64 };

/* Everything but path, new_epoch, hash_key and now_ms, as pixi_memory_config_default; 67,108,864 waiting bytes. */
extern const struct pixi_sqlite_store_config pixi_sqlite_store_config_default;

/* How it was found, for the log. */
struct pixi_sqlite_store_found {
    enum {
        PIXI_SQLITE_STORE_AS_LEFT,
        PIXI_SQLITE_STORE_NEW,  /* a folder that was never used */
        PIXI_SQLITE_STORE_LOST, /* the folder was used, and the file is not there any more */
        PIXI_SQLITE_STORE_RESTORED, /* the file is not the one that was left: a copy from elsewhere, or from before */
        PIXI_SQLITE_STORE_REPAIRED, /* it was damaged: `aside` is where it is now */
    } how;                          /* all but the first began a new epoch */
    bool is_sorted;                 /* the policies are others than last time */
    const char *aside;              /* borrowed from the store */
    uint64_t rows;                  /* saved of a damaged file */
};

/* pixi_sqlite_store_new -- open it, or make it. Reads the folder, so it may take a moment.
 *
 *   problem  on an error what and why, with its fix
 *
 *   PIXI_OK            pixi_sqlite_store_free
 *   PIXI_E_SETTINGS    the folder is in use, or not ours to write to, the file of a newer version; or the config's
 *                      epoch is 0, or its policies too many
 *   PIXI_E_FILTER      a policy's filter is none, or is `$share/...`
 *   PIXI_E_STORAGE     the disk is full, or fails
 *   PIXI_E_SYS | PIXI_E_NOMEM */
int pixi_sqlite_store_new(const struct pixi_sqlite_store_config *config, struct pixi_sqlite_store **out,
                          struct pixi_buf *problem);

/* pixi_sqlite_store_stop -- everything that waits is stored and answered. No more calls but stats and free. */
void pixi_sqlite_store_stop(struct pixi_sqlite_store *s);

/* pixi_sqlite_store_free -- stopped. NULL is fine. */
void pixi_sqlite_store_free(struct pixi_sqlite_store *s);

/* pixi_sqlite_store_store -- what to give to pixi_hub_init; lives as long as s. */
struct pixi_store *pixi_sqlite_store_store(struct pixi_sqlite_store *s);

/* pixi_sqlite_store_found -- how it was found when it was opened. */
struct pixi_sqlite_store_found pixi_sqlite_store_found(const struct pixi_sqlite_store *s);

/* pixi_sqlite_store_fd -- readable when pixi_sqlite_store_turn has something to answer. The store's own. */
int pixi_sqlite_store_fd(const struct pixi_sqlite_store *s);

/* pixi_sqlite_store_turn -- answer what is done, by the callbacks of hub/store.h. False: nothing was. */
bool pixi_sqlite_store_turn(struct pixi_sqlite_store *s);

/* What it holds, and has done, for status and metrics. */
struct pixi_sqlite_store_stats {
    uint64_t messages, bytes; /* in the histories */
    uint64_t retained, retained_bytes;
    uint64_t wanted, wanted_bytes; /* kept for sessions */
    uint64_t producers, seqs, records;
    uint64_t commits, failed_commits; /* groups */
    uint64_t writes;                  /* appends and puts of those commits */
    uint64_t commit_us;               /* that these took */
    uint64_t file_bytes;              /* the database's, its log apart */
    const char *why;                  /* the last failure in SQLite's words, static */
    bool is_refusing;                 /* the disk is full or fails: the last group was not stored */
    bool is_damaged;                  /* the file is: repaired at the next start */
    bool is_full; /* as many retained messages as may be, or all but 1/64 of their bytes */
};
struct pixi_sqlite_store_stats pixi_sqlite_store_stats(struct pixi_sqlite_store *s);

#endif
