/* store.h -- what the hub asks of a log. Back ends are in src/store.
 *
 * Asynchronous: every answer may come before the call returns, or later from the loop that the hub runs on; never
 * from another thread, never while the hub runs for another reason. Answers to appends come in offset order.
 * `head` and reads know nothing of a message before its append was answered. A callback never calls the store. */
#ifndef PIXI_HUB_STORE_H
#define PIXI_HUB_STORE_H

#include "base/err.h"
#include "hub/msg.h"

struct pixi_store;

/* The answer to an append. */
struct pixi_commit {
    int err;                  /* PIXI_OK, or why nothing was stored: see append */
    struct pixi_position pos; /* what the publisher is told; offset 0 if it has none */
    /* To be delivered now: pos.offset is 0 unless it can be read again. Borrowed until the callback returns.
     * NULL on an error, and on a duplicate, which was delivered when it came first. */
    const struct pixi_msg *msg;
};

/* Bits of append's flags. */
enum {
    PIXI_STORE_WANTS_POSITION = 1 << 0, /* give it an offset even if nothing keeps it */
    PIXI_STORE_WANTED = 1 << 1,         /* sessions want it: keep it for them, whatever the policies say */
};

/* Bits of pixi_store_read.flags. */
enum {
    PIXI_STORE_SKIP_GAPS = 1 << 0, /* begin with the oldest that is kept: from was chosen blindly */
    PIXI_STORE_FOR_SESSIONS =
        1 << 1, /* only what was appended with PIXI_STORE_WANTED; all that is_wanted is there */
};

/* One read. Filled and owned by the reader; it and the filter stay where they are until on_end or cancel.
 * It ends when `upto` is reached, when max_count or max_bytes were given, or sooner as the store likes, but it always
 * moves on by at least one offset. */
struct pixi_store_read {
    struct pixi_cur filter; /* checked; `$share/G/` is stepped over */
    uint64_t from, upto;    /* offsets, both included; from >= 1 */
    uint64_t now_ms;        /* wall: what has expired by then is left out */
    size_t max_count;       /* messages, at least 1 */
    size_t max_bytes;       /* the message that reaches it is the last one given */
    unsigned flags;         /* PIXI_STORE_SKIP_GAPS */
    void *ctx;              /* handed to both callbacks */
    void *job;              /* the store's own */
    /* PIXI_OK: taken, go on. Anything else: not taken, the read ends before it. msg is borrowed until it returns. */
    int (*on_message)(void *ctx, const struct pixi_msg *msg);
    /* Exactly once, last: from here on the struct is the reader's again. On PIXI_OK `next` is where to read on:
     * every match below it was given; above upto: all. PIXI_E_HISTORY: a match at or after `from` may have been
     * trimmed (nothing was given). Else as it failed. */
    void (*on_end)(void *ctx, int err, uint64_t next);
};

enum pixi_store_kept {
    PIXI_STORE_GONE,  /* a match may have been trimmed */
    PIXI_STORE_KEPT,  /* all stored ones are there, but not every topic of the filter is always stored */
    PIXI_STORE_WHOLE, /* the history policy covers the whole filter, and all stored ones are there */
};

enum { PIXI_RECORD_KEY_MAX = 256, PIXI_RECORD_MAX = 65536 }; /* bytes */
#define PIXI_RECORD_ANY UINT64_MAX                           /* put: whatever the version */

/* A small record. Version 0: there is none. */
struct pixi_record {
    struct pixi_cur key, value; /* borrowed */
    uint64_t version;           /* rises with every put */
};

/* How a record is answered: PIXI_OK | PIXI_E_KEY_REUSED (another version stands there; see record) |
 * PIXI_E_STORAGE | PIXI_E_NOMEM | PIXI_E_SYS. record as it stands now; borrowed until the callback returns. */
struct pixi_record_answer {
    void (*on_record)(void *ctx, int err, const struct pixi_record *record);
    void *ctx;
};

struct pixi_store_calls {
    /* Copies msg, stores it, answers with store->on_committed(store->ctx, token, commit).
     *
     *   PIXI_E_STORAGE     larger than the history it belongs to, or one retained message, or one idempotency key
     *                      too many; or the disk is full or fails
     *   PIXI_E_LIMIT       too much waits for the disk
     *   PIXI_E_KEY_REUSED  the key was used for other topic, payload, headers or retain
     *   PIXI_E_AFTER       the key's `after` is neither stored nor below a low that was sent before
     *   PIXI_E_RPC_PARAMS  the key's seq is below its low, or below a low that was sent before
     *   PIXI_E_NOMEM, PIXI_E_SYS */
    void (*append)(struct pixi_store *store, const struct pixi_msg *msg, unsigned flags, void *token);

    /* Stored messages that match, in offset order. */
    void (*read)(struct pixi_store *store, struct pixi_store_read *read);

    /* The same for retained messages: the last of each topic, as they stand when they are read. Never PIXI_E_HISTORY. */
    void (*last)(struct pixi_store *store, struct pixi_store_read *read);

    /* Ends a read under way: no callback comes any more. Not from a callback. */
    void (*cancel)(struct pixi_store *store, struct pixi_store_read *read);

    /* Is every stored, unexpired match from this offset on still there? May be pessimistic. At once. */
    enum pixi_store_kept (*kept)(struct pixi_store *store, struct pixi_cur filter, uint64_t from);

    /* Epoch and highest offset answered so far; 0 before the first. At once. */
    struct pixi_position (*head)(struct pixi_store *store);

    /* From this offset on every message that was appended as wanted, and still is, can be read: 1 unless the room for
     * them was too small. At once. */
    uint64_t (*wanted_from)(struct pixi_store *store);

    /* Forgets what is too old or expired. To be called every minute or so; other calls need not. */
    void (*trim)(struct pixi_store *store, uint64_t now_ms);

    void (*get)(struct pixi_store *store, struct pixi_cur key, struct pixi_record_answer answer);
    /* Puts value if the record's version is `version` (0: there is none; PIXI_RECORD_ANY: whatever it is): put and
     * compare-and-set in one. An empty value removes. */
    void (*put)(struct pixi_store *store, const struct pixi_record *record, struct pixi_record_answer answer);
    /* Every record whose key begins with prefix, in any order, then once NULL; or NULL with an error. prefix is
     * borrowed until then. Records that are put meanwhile may come or not. */
    void (*list)(struct pixi_store *store, struct pixi_cur prefix, struct pixi_record_answer answer);
};

struct pixi_store {
    /* set by the back end */
    const struct pixi_store_calls *call;
    bool is_durable; /* what was answered survives the process: records are worth putting */
    /* set by who uses it */
    void (*on_committed)(void *ctx, void *token, const struct pixi_commit *commit);
    /* Does a session still want this message, which was appended as wanted? Asked (topic and offset are set) when room
     * is needed, and now and then, from inside append or trim or from the loop. NULL: none any more. */
    bool (*is_wanted)(void *ctx, const struct pixi_msg *msg);
    void *ctx;
};

#endif
