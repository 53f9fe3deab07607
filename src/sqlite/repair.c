#include "sqlite/repair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    NAMES_MAX = 100,
    BITS = 62,           /* of a key: how often a step over damage can be doubled */
    PLACES_MAX = 100000, /* that are damaged, in one table */
    COLUMNS_MAX = 32,
};

static int rename_with(const char *from, const char *to, const char *suffix)
{
    char *a = NULL, *b = NULL;
    int rc =
        asprintf(&a, "%s%s", from, suffix) < 0 || asprintf(&b, "%s%s", to, suffix) < 0 ? -1 : rename(a, b);

    free(a);
    free(b);
    return rc;
}

/* The first name with this date that is free. NULL: out of memory, or none. */
static char *free_name(const struct pixi_db_options *o)
{
    time_t at = (time_t)(o->now_ms / 1000);
    struct tm tm;
    char date[32], *name;

    gmtime_r(&at, &tm);
    strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", &tm);
    for (int i = 1; i < NAMES_MAX; i++) {
        if ((i == 1 ? asprintf(&name, "%s.damaged-%s", o->path, date)
                    : asprintf(&name, "%s.damaged-%s-%d", o->path, date, i)) < 0)
            return NULL;
        if (access(name, F_OK) != 0)
            return name;
        free(name);
    }
    return NULL;
}

int pixi_db_set_aside(const struct pixi_db_options *o, struct pixi_db *db)
{
    char *name = free_name(o), *shm;

    if (!name)
        return SQLITE_NOMEM;
    /* The log first: without it the file is only older, and with another's it would be destroyed. */
    if ((rename_with(o->path, name, "-wal") != 0 && errno != ENOENT) || rename(o->path, name) != 0) {
        free(name);
        return SQLITE_CANTOPEN;
    }
    if (asprintf(&shm, "%s-shm", o->path) >= 0) {
        unlink(shm);
        free(shm);
    }
    db->aside = name;
    return SQLITE_OK;
}

/* One table on its way. */
struct copy {
    sqlite3 *from;
    struct pixi_db *to;
    const struct pixi_db_table *table;
    sqlite3_stmt *put;
    int64_t last; /* the key that was read last, of a table that is read by number */
    int failed;   /* what went wrong in `to` */
};

static int put_row(struct copy *c, sqlite3_stmt *row)
{
    for (int i = 0; i < sqlite3_column_count(row) - 1; i++)
        sqlite3_bind_value(c->put, i + 1, sqlite3_column_value(row, i + 1));
    c->failed = pixi_db_done(c->put);
    /* A row that breaks a rule is damage, too. */
    if ((c->failed & 0xff) == SQLITE_CONSTRAINT || (c->failed & 0xff) == SQLITE_MISMATCH)
        c->failed = SQLITE_OK;
    else if (c->failed == SQLITE_OK)
        c->to->rows += (uint64_t)sqlite3_changes(c->to->handle);
    return c->failed;
}

/* Rows until one cannot be read. SQLITE_OK: to the end; else what reading, or c->failed, says. */
static int copy_rows(struct copy *c, const char *where, const char *order)
{
    sqlite3_stmt *s = NULL;
    char *sql = sqlite3_mprintf("SELECT %s, * FROM %s %s ORDER BY %s %s", c->table->key, c->table->name,
                                where, c->table->key, order);
    int rc = sql ? sqlite3_prepare_v2(c->from, sql, -1, &s, NULL) : SQLITE_NOMEM;

    while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        c->last = sqlite3_column_int64(s, 0);
        rc = put_row(c, s);
    }
    sqlite3_finalize(s);
    sqlite3_free(sql);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Back from `at` to what was read before the damage. */
static void copy_gap(struct copy *c, int64_t stop, int64_t at)
{
    int64_t reached = c->last;
    char where[128];

    snprintf(where, sizeof where, "WHERE %s < %lld AND %s > %lld", c->table->key, (long long)at,
             c->table->key, (long long)stop);
    copy_rows(c, where, "DESC");
    c->last = reached;
}

/* Numbers can be jumped over: 1, 2, 4 ... further on until there is something again. False: there is nothing more, and
 * none will be. *rc: SQLITE_OK at the end of the table. */
static bool jump(struct copy *c, int *rc)
{
    int64_t stop = c->last, at;
    char where[128];

    for (int k = 0; k < BITS; k++) {
        if (__builtin_add_overflow(stop, INT64_C(1) << k, &at))
            break;
        snprintf(where, sizeof where, "WHERE %s >= %lld", c->table->key, (long long)at);
        c->last = at - 1;
        *rc = copy_rows(c, where, "ASC");
        if (c->failed)
            return false;
        if (*rc == SQLITE_OK || c->last >= at) {
            copy_gap(c, stop, at);
            return true;
        }
    }
    return false;
}

static int copy_table(struct copy *c)
{
    int rc = copy_rows(c, "", "ASC");
    bool is_more = c->table->order == PIXI_DB_BY_NUMBER;

    for (int i = 0; rc != SQLITE_OK && !c->failed && is_more && i < PLACES_MAX; i++)
        is_more = jump(c, &rc);
    if (rc != SQLITE_OK && !c->failed)
        copy_rows(c, "", "DESC");
    return c->failed;
}

static int prepare_put(struct copy *c)
{
    char list[3 * COLUMNS_MAX] = "?", *sql;
    int64_t columns = 0;
    int rc;

    sql = sqlite3_mprintf("SELECT count(*) FROM pragma_table_info(%Q)", c->table->name);
    rc = sql ? pixi_db_int(c->to, sql, &columns) : SQLITE_NOMEM;
    sqlite3_free(sql);
    if (rc != SQLITE_OK || columns < 1 || columns > COLUMNS_MAX)
        return rc == SQLITE_OK ? SQLITE_RANGE : rc;
    for (int64_t i = 1; i < columns; i++)
        strcat(list, ",?");
    sql = sqlite3_mprintf("INSERT OR IGNORE INTO %s VALUES (%s)", c->table->name, list);
    rc = sql ? pixi_db_prepare(c->to, sql, &c->put) : SQLITE_NOMEM;
    sqlite3_free(sql);
    return rc;
}

static int copy_tables(sqlite3 *from, const struct pixi_db_table *tables, struct pixi_db *db)
{
    int rc = SQLITE_OK;

    for (const struct pixi_db_table *t = tables; rc == SQLITE_OK && t->name; t++) {
        struct copy c = {.from = from, .to = db, .table = t, .last = INT64_MIN};

        rc = prepare_put(&c);
        if (rc == SQLITE_OK)
            rc = copy_table(&c);
        sqlite3_finalize(c.put);
    }
    return rc;
}

static bool is_older(sqlite3 *from, const struct pixi_db_schema *schema)
{
    const struct pixi_db db = {.handle = from};
    int64_t version;

    return pixi_db_int(&db, "PRAGMA user_version", &version) == SQLITE_OK && version < schema->version;
}

static int copy_all(sqlite3 *from, const struct pixi_db_options *o, struct pixi_db *db)
{
    const struct pixi_db_schema *schema = o->schema;
    int rc = pixi_db_exec(db, "BEGIN IMMEDIATE");

    if (rc == SQLITE_OK)
        rc = copy_tables(from, schema->tables, db);
    if (rc == SQLITE_OK && schema->old_sql && is_older(from, schema)) {
        rc = pixi_db_exec(db, schema->old_sql);
        if (rc == SQLITE_OK)
            rc = copy_tables(from, schema->old_tables, db);
    }
    return rc == SQLITE_OK ? pixi_db_exec(db, "COMMIT") : rc;
}

int pixi_db_salvage(const struct pixi_db_options *o, struct pixi_db *db)
{
    struct pixi_db_options damaged = *o;
    struct pixi_db from = {0};
    int rc = SQLITE_OK;

    damaged.path = db->aside;
    db->origin = PIXI_DB_SALVAGED;
    db->rows = 0;
    if (pixi_db_connect(&damaged, &from) == SQLITE_OK) {
        /* Its log stays as it is, for whoever wants to look. */
        sqlite3_db_config(from.handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        rc = copy_all(from.handle, o, db);
    }
    sqlite3_close(from.handle);
    return rc;
}
