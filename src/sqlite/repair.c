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
    PIECE = 512, /* bytes of a row that are read at a time, where not all can be */
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

/* Bytes of the last column of a row, as far as they can be read. Gives them, free with free(); NULL: none. */
static uint8_t *read_beginning(const struct copy *c, const char *column, int64_t key, int *len)
{
    sqlite3_blob *blob = NULL;
    uint8_t *bytes = NULL;
    int all = 0, piece = 0;

    *len = 0;
    if (sqlite3_blob_open(c->from, "main", c->table->name, column, key, 0, &blob) == SQLITE_OK) {
        all = sqlite3_blob_bytes(blob);
        bytes = malloc((size_t)all + 1);
    }
    do {
        *len += piece;
        piece = all - *len < PIECE ? all - *len : PIECE;
    } while (bytes && piece && sqlite3_blob_read(blob, bytes + *len, piece, *len) == SQLITE_OK);
    sqlite3_blob_close(blob);
    return bytes;
}

/* All columns but the last of them, "a, b". Gives, free with sqlite3_free(); NULL: out of memory. */
static char *all_but_last(sqlite3_stmt *row)
{
    char *list = NULL;

    for (int i = 0; i < sqlite3_column_count(row) - 1; i++)
        list = sqlite3_mprintf("%z%s%s", list, i ? ", " : "", sqlite3_column_name(row, i));
    return list;
}

static int put_beginning(struct copy *c, sqlite3_stmt *row, const char *column)
{
    int len;
    uint8_t *bytes = read_beginning(c, column, sqlite3_column_int64(row, 0), &len);

    c->last = sqlite3_column_int64(row, 0);
    if (len) {
        sqlite3_bind_blob(c->put, sqlite3_column_count(row), bytes, len, SQLITE_TRANSIENT);
        put_row(c, row);
    }
    free(bytes);
    return c->failed;
}

/* The row behind the one that was read last, without what cannot be read of its last column. False: nor can the others. */
static bool copy_beginning(struct copy *c)
{
    sqlite3_stmt *all = NULL, *s = NULL;
    char *sql = sqlite3_mprintf("SELECT * FROM %s", c->table->name), *columns = NULL;
    bool is_read = false;

    if (sql && pixi_db_prepare(c->to, sql, &all) == SQLITE_OK)
        columns = all_but_last(all);
    sqlite3_free(sql);
    sql = sqlite3_mprintf("SELECT %s, %s FROM %s WHERE %s > %lld ORDER BY %s LIMIT 1", c->table->key, columns,
                          c->table->name, c->table->key, (long long)c->last, c->table->key);
    if (columns && sql && sqlite3_prepare_v2(c->from, sql, -1, &s, NULL) == SQLITE_OK)
        is_read = sqlite3_step(s) == SQLITE_ROW;
    if (is_read)
        put_beginning(c, s, sqlite3_column_name(all, sqlite3_column_count(all) - 1));
    sqlite3_finalize(s);
    sqlite3_finalize(all);
    sqlite3_free(columns);
    sqlite3_free(sql);
    return is_read;
}

/* On from the row behind the one that was read last. */
static int go_on(struct copy *c)
{
    char where[128];

    snprintf(where, sizeof where, "WHERE %s > %lld", c->table->key, (long long)c->last);
    return copy_rows(c, where, "ASC");
}

static int copy_table(struct copy *c)
{
    int rc = copy_rows(c, "", "ASC");
    bool is_more = c->table->order != PIXI_DB_BY_TEXT;

    for (int i = 0; rc != SQLITE_OK && !c->failed && is_more && i < PLACES_MAX; i++) {
        if (c->table->order == PIXI_DB_PACKED && copy_beginning(c))
            rc = c->failed ? rc : go_on(c);
        else
            is_more = jump(c, &rc);
    }
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

/* Also of this version, where bringing them over was cut short. */
static bool has_old(sqlite3 *from, const struct pixi_db_table *tables)
{
    const struct pixi_db db = {.handle = from};
    int64_t count = 0;

    for (const struct pixi_db_table *t = tables; t && t->name && !count; t++) {
        char *sql = sqlite3_mprintf("SELECT count(*) FROM sqlite_schema WHERE name = %Q", t->name);

        if (!sql || pixi_db_int(&db, sql, &count) != SQLITE_OK)
            count = 0;
        sqlite3_free(sql);
    }
    return count > 0;
}

static int copy_all(sqlite3 *from, const struct pixi_db_options *o, struct pixi_db *db)
{
    const struct pixi_db_schema *schema = o->schema;
    int rc = pixi_db_exec(db, "BEGIN IMMEDIATE");

    if (rc == SQLITE_OK)
        rc = copy_tables(from, schema->tables, db);
    if (rc == SQLITE_OK && has_old(from, schema->old_tables)) {
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
