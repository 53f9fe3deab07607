/* db.h -- an SQLite database opened the way ours are: write-ahead log, commits on disk before they count, mode 0600,
 * a schema with a number, and repaired when it is damaged. Used by one thread at a time. */
#ifndef PIXI_SQLITE_DB_H
#define PIXI_SQLITE_DB_H

#include "base/buf.h"

#include <sqlite3.h>
#include <stdbool.h>

/* A table as salvaging reads it: in the order of its key, which is its INTEGER PRIMARY KEY or, if not, unique. */
struct pixi_db_table {
    const char *name, *key;
    enum {
        PIXI_DB_BY_NUMBER,
        PIXI_DB_BY_TEXT,
        PIXI_DB_PACKED, /* by number; the last column is records (pack.h), and a beginning of it is worth having */
    } order;
};

struct pixi_db_schema {
    int application_id;                 /* "PRAGMA application_id": whose file it is */
    int version;                        /* "PRAGMA user_version", from 1 on */
    const char *sql;                    /* makes everything, in an empty file */
    const struct pixi_db_table *tables; /* in the order of salvage; ends with name NULL */
    const char *const
        *upgrades; /* SQL that makes a file of version i + 1 one of version i + 2: version - 1 of them */
    /* Tables of versions before: where a damaged file has one, they are salvaged as they are into what this SQL makes, and
     * whoever opened it brings them over. NULL: none. */
    const char *old_sql;
    const struct pixi_db_table *old_tables;
};

struct pixi_db_options {
    const char *path; /* the file; its folder is there */
    const struct pixi_db_schema *schema;
    const char *vfs; /* NULL: SQLite's own; tests have others */
    uint64_t now_ms; /* wall, for the name of a damaged file */
    uint64_t
        check_ms; /* look for damage for so long before it is used, 0: not at all. For a file that nobody closed */
    bool is_known_torn; /* repair it, whatever it looks like */
};

struct pixi_db {
    sqlite3 *handle;
    enum { PIXI_DB_FOUND, PIXI_DB_MADE, PIXI_DB_SALVAGED } origin;
    char *aside;   /* owned: where the damaged file is now; NULL: there was none */
    uint64_t rows; /* salvaged from it */
};

/* pixi_db_open -- open it, or make it. A damaged one is set aside (PATH.damaged-DATE), and what can be read of it is
 * copied to a new one.
 *
 *   db       written on PIXI_OK only; pixi_db_close
 *   problem  on an error what and why, with its fix
 *
 *   PIXI_OK
 *   PIXI_E_SETTINGS  the file is of a newer version, of another program, or cannot be written
 *   PIXI_E_STORAGE   the disk is full, or fails
 *   PIXI_E_NOMEM */
int pixi_db_open(const struct pixi_db_options *options, struct pixi_db *db, struct pixi_buf *problem);

/* pixi_db_close -- what the log holds goes to the file first. Every statement was finalised. Harmless when it is not
 * open. */
void pixi_db_close(struct pixi_db *db);

/* pixi_db_err -- PIXI_E_* for SQLite's result: PIXI_OK, PIXI_E_NOMEM, or PIXI_E_STORAGE. */
int pixi_db_err(int rc);

/* pixi_db_is_damage -- does this result mean that the file is no good, and not the disk, or its size? */
bool pixi_db_is_damage(int rc);

/* --- statements: SQLITE_OK, or what failed ------------------------------------------------------------------- */

/* pixi_db_prepare -- one statement to be used often. */
int pixi_db_prepare(const struct pixi_db *db, const char *sql, sqlite3_stmt **out);

/* pixi_db_exec -- statements without parameters and rows. */
int pixi_db_exec(const struct pixi_db *db, const char *sql);

/* pixi_db_int -- the one number that sql answers with. */
int pixi_db_int(const struct pixi_db *db, const char *sql, int64_t *out);

/* pixi_db_bind -- the statement's parameters in order, one letter each: i an int64_t, b a struct pixi_cur (borrowed
 * until the statement is done). */
int pixi_db_bind(sqlite3_stmt *s, const char *kinds, ...);

/* pixi_db_done -- run what has no rows; the statement is ready for the next time. */
int pixi_db_done(sqlite3_stmt *s);

/* pixi_db_column -- bytes of a row's column; borrowed until the next step. */
struct pixi_cur pixi_db_column(sqlite3_stmt *s, int column);

#endif
