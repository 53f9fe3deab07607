/* store.h -- the store that the settings ask for, in memory or on disk, as the server uses it. */
#ifndef PIXI_SERVER_STORE_H
#define PIXI_SERVER_STORE_H

#include "net/loop.h"
#include "server/settings.h"
#include "store/memory.h"
#include "store/sqlite.h"

struct pixi_server_store {
    struct pixi_memory *memory;
    struct pixi_sqlite_store *disk; /* one of the two */
    struct pixi_loop *loop;
    struct pixi_watch watch; /* for what the disk's thread has done */
    bool is_refusing;        /* as the log was told last */
};

/* pixi_server_store_open -- by data, history and limits of the settings.
 *
 *   is_on_disk  false: in memory, whatever the settings say of data
 *   problem     on an error what and why, with its fix
 *
 *   PIXI_OK            pixi_server_store_stop, then pixi_server_store_close
 *   PIXI_E_SETTINGS | PIXI_E_FILTER | PIXI_E_STORAGE | PIXI_E_SYS | PIXI_E_NOMEM   as pixi_memory_new and
 *   pixi_sqlite_store_new have them */
int pixi_server_store_open(struct pixi_server_store *s, struct pixi_loop *loop,
                           const struct pixi_server_settings *settings, bool is_on_disk,
                           struct pixi_buf *problem);

/* pixi_server_store_stop -- whatever was taken is stored and answered, in this call. */
void pixi_server_store_stop(struct pixi_server_store *s);

/* pixi_server_store_close -- no hub uses it any more. Harmless when it is not open. */
void pixi_server_store_close(struct pixi_server_store *s);

/* pixi_server_store_calls -- what the hub gets; NULL: it is not open. */
struct pixi_store *pixi_server_store_calls(const struct pixi_server_store *s);

/* The numbers of both kinds; those of memory have no commits. */
struct pixi_sqlite_store_stats pixi_server_store_stats(const struct pixi_server_store *s);

#endif
