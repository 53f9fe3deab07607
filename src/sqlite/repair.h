/* repair.h -- a damaged database: out of the way, and what can be read of it into a new one. For db.c. */
#ifndef PIXI_SQLITE_REPAIR_H
#define PIXI_SQLITE_REPAIR_H

#include "sqlite/db.h"

/* pixi_db_connect -- a handle, nothing set. SQLITE_OK, or what failed; the handle is to be closed in any case. */
int pixi_db_connect(const struct pixi_db_options *options, struct pixi_db *db);

/* pixi_db_set_aside -- rename the file, and its log with it; db->aside says to what.   SQLITE_OK | SQLITE_NOMEM |
 * SQLITE_CANTOPEN */
int pixi_db_set_aside(const struct pixi_db_options *options, struct pixi_db *db);

/* pixi_db_salvage -- copy the rows of db->aside that can be read into db, which is new. Reading may fail, then fewer
 * rows come; writing may not.   SQLITE_OK, or what failed in db */
int pixi_db_salvage(const struct pixi_db_options *options, struct pixi_db *db);

#endif
