#include "sqlite/db.h"

#include "sqlite/repair.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int pixi_db_err(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK: return PIXI_OK;
    case SQLITE_NOMEM: return PIXI_E_NOMEM;
    default: return PIXI_E_STORAGE;
    }
}

bool pixi_db_is_damage(int rc)
{
    return (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB;
}

int pixi_db_prepare(const struct pixi_db *db, const char *sql, sqlite3_stmt **out)
{
    return sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
}

int pixi_db_exec(const struct pixi_db *db, const char *sql)
{
    return sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
}

int pixi_db_int(const struct pixi_db *db, const char *sql, int64_t *out)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db->handle, sql, -1, &s, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(s);
        if (rc == SQLITE_ROW)
            *out = sqlite3_column_int64(s, 0);
        rc = rc == SQLITE_ROW ? SQLITE_OK : rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
    }
    sqlite3_finalize(s);
    return rc;
}

int pixi_db_bind(sqlite3_stmt *s, const char *kinds, ...)
{
    va_list args;
    int rc = SQLITE_OK;

    va_start(args, kinds);
    for (int i = 1; *kinds && rc == SQLITE_OK; i++) {
        if (*kinds++ == 'i') {
            rc = sqlite3_bind_int64(s, i, va_arg(args, int64_t));
        } else {
            struct pixi_cur c = va_arg(args, struct pixi_cur);

            rc = sqlite3_bind_blob64(s, i, c.p ? (const void *)c.p : "", pixi_cur_left(&c), SQLITE_STATIC);
        }
    }
    va_end(args);
    return rc;
}

int pixi_db_done(sqlite3_stmt *s)
{
    int rc = sqlite3_step(s), reset = sqlite3_reset(s);

    return rc == SQLITE_DONE || rc == SQLITE_ROW ? reset : rc;
}

struct pixi_cur pixi_db_column(sqlite3_stmt *s, int column)
{
    const void *p = sqlite3_column_blob(s, column);

    return pixi_cur_init(p, (size_t)sqlite3_column_bytes(s, column));
}

void pixi_db_close(struct pixi_db *db)
{
    sqlite3_close(db->handle);
    free(db->aside);
    *db = (struct pixi_db){0};
}

/* --- opening ------------------------------------------------------------------------------------------------- */

static int tell(struct pixi_buf *problem, const struct pixi_db_options *o, int rc, const char *what,
                const char *fix)
{
    pixi_buf_putf(problem, "data: %s: %s\n  fix: %s", o->path, what, fix);
    return rc;
}

static int tell_result(struct pixi_buf *problem, const struct pixi_db_options *o, int rc)
{
    if ((rc & 0xff) == SQLITE_NOMEM)
        return PIXI_E_NOMEM;
    if ((rc & 0xff) == SQLITE_FULL)
        return tell(problem, o, PIXI_E_STORAGE, "the disk is full", "free space where it lies");
    if ((rc & 0xff) == SQLITE_READONLY || (rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_PERM)
        return tell(problem, o, PIXI_E_SETTINGS, "cannot be written",
                    "give the file and its folder to this user, or name another folder");
    if ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED)
        return tell(problem, o, PIXI_E_SETTINGS, "another program has it open and locked",
                    "end that one first");
    return tell(problem, o, PIXI_E_STORAGE, sqlite3_errstr(rc), "see to the disk that it lies on");
}

/* SQLite gives its other files the mode of this one. */
static int make_file(const struct pixi_db_options *o, bool *is_made, struct pixi_buf *problem)
{
    int fd = open(o->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    *is_made = fd >= 0;
    if (fd >= 0)
        close(fd);
    if (fd >= 0 || errno == EEXIST)
        return PIXI_OK;
    return tell(problem, o,
                errno == EACCES || errno == EROFS || errno == ENOENT ? PIXI_E_SETTINGS : PIXI_E_STORAGE,
                strerror(errno),
                errno == ENOSPC ? "free space where it lies" : "name a folder that this user can write to");
}

/* Is the one text that sql answers with this one? SQLITE_OK, SQLITE_READONLY if not, or what failed. */
static int expect(const struct pixi_db *db, const char *sql, const char *want)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db->handle, sql, -1, &s, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(s);
        if (rc == SQLITE_ROW)
            rc = pixi_cur_equals(pixi_db_column(s, 0), pixi_cur_str(want)) ? SQLITE_OK : SQLITE_READONLY;
    }
    sqlite3_finalize(s);
    return rc == SQLITE_DONE ? SQLITE_READONLY : rc;
}

/* What the promise rests on is asked for again after it was set. */
static int configure(const struct pixi_db *db)
{
    int rc = pixi_db_exec(db, "PRAGMA auto_vacuum=INCREMENTAL");

    if (rc == SQLITE_OK)
        rc = expect(db, "PRAGMA journal_mode=WAL", "wal");
    if (rc == SQLITE_OK)
        rc = pixi_db_exec(db, "PRAGMA synchronous=FULL;"
                              "PRAGMA wal_autocheckpoint=4096;"
                              "PRAGMA journal_size_limit=67108864;"
                              "PRAGMA secure_delete=FAST;" /* never a page more only to wipe it */
                              "PRAGMA cell_size_check=ON;"
                              "PRAGMA trusted_schema=OFF;");
    return rc == SQLITE_OK ? expect(db, "PRAGMA synchronous", "2") : rc;
}

int pixi_db_connect(const struct pixi_db_options *o, struct pixi_db *db)
{
    int rc = sqlite3_open_v2(o->path, &db->handle,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, o->vfs);

    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(db->handle, 5000);
    return rc;
}

static int make_schema(const struct pixi_db *db, const struct pixi_db_schema *schema)
{
    char stamp[128];
    int rc;

    snprintf(stamp, sizeof stamp, "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
             schema->application_id, schema->version);
    if ((rc = pixi_db_exec(db, "BEGIN IMMEDIATE")) != SQLITE_OK ||
        (rc = pixi_db_exec(db, schema->sql)) != SQLITE_OK)
        return rc;
    return pixi_db_exec(db, stamp);
}

struct deadline {
    struct timespec at;
};

static int is_over(void *ctx)
{
    const struct deadline *d = ctx;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > d->at.tv_sec || (now.tv_sec == d->at.tv_sec && now.tv_nsec > d->at.tv_nsec);
}

/* What cannot be looked at in time is taken for good: damage is then met when it is read. */
static int look_for_damage(const struct pixi_db *db, uint64_t check_ms)
{
    struct deadline d;
    sqlite3_stmt *s = NULL;
    int rc;

    if (!check_ms)
        return SQLITE_OK;
    clock_gettime(CLOCK_MONOTONIC, &d.at);
    d.at.tv_sec += (time_t)(check_ms / 1000);
    d.at.tv_nsec += (long)(check_ms % 1000) * 1000000;
    if (d.at.tv_nsec >= 1000000000) {
        d.at.tv_sec++;
        d.at.tv_nsec -= 1000000000;
    }
    sqlite3_progress_handler(db->handle, 10000, is_over, &d);
    rc = sqlite3_prepare_v2(db->handle, "PRAGMA quick_check(1)", -1, &s, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(s);
        if (rc == SQLITE_ROW)
            rc = pixi_cur_equals(pixi_db_column(s, 0), pixi_cur_str("ok")) ? SQLITE_OK : SQLITE_CORRUPT;
    }
    sqlite3_finalize(s);
    sqlite3_progress_handler(db->handle, 0, NULL, NULL);
    return (rc & 0xff) == SQLITE_INTERRUPT ? SQLITE_OK : rc;
}

/* *version 0: the file is empty. SQLITE_MISMATCH: it is not ours, problem says why. */
static int check_version(const struct pixi_db *db, const struct pixi_db_options *o, int64_t *version,
                         struct pixi_buf *problem)
{
    int64_t id, tables;
    int rc;

    if ((rc = pixi_db_int(db, "PRAGMA application_id", &id)) != SQLITE_OK ||
        (rc = pixi_db_int(db, "PRAGMA user_version", version)) != SQLITE_OK ||
        (rc = pixi_db_int(db, "SELECT count(*) FROM sqlite_schema", &tables)) != SQLITE_OK)
        return rc;
    if (tables == 0 && *version == 0)
        return SQLITE_OK;
    if (id != o->schema->application_id) {
        tell(problem, o, 0, "a database of another program", "name another folder");
        return SQLITE_MISMATCH;
    }
    if (*version > o->schema->version) {
        pixi_buf_putf(problem,
                      "data: %s: found version %" PRId64 " of the file's form, this program knows up to %d\n"
                      "  fix: use the newer pixi-ws that wrote it, or name another folder",
                      o->path, *version, o->schema->version);
        return SQLITE_MISMATCH;
    }
    return *version < 1 ? SQLITE_CORRUPT : SQLITE_OK;
}

/* A file of an older version gets the form of this one, or stays as it was. */
static int upgrade(const struct pixi_db *db, const struct pixi_db_schema *schema, int64_t version)
{
    char stamp[64];
    int rc;

    if (version == schema->version)
        return SQLITE_OK;
    snprintf(stamp, sizeof stamp, "PRAGMA user_version=%d; COMMIT", schema->version);
    rc = pixi_db_exec(db, "BEGIN IMMEDIATE");
    while (rc == SQLITE_OK && version < schema->version)
        rc = pixi_db_exec(db, schema->upgrades[version++ - 1]);
    if (rc == SQLITE_OK)
        rc = pixi_db_exec(db, stamp);
    if (rc != SQLITE_OK)
        pixi_db_exec(db, "ROLLBACK");
    return rc;
}

static int open_found(const struct pixi_db_options *o, struct pixi_db *db, bool is_made,
                      struct pixi_buf *problem)
{
    int64_t version = 0;
    int rc = pixi_db_connect(o, db);

    if (rc == SQLITE_OK)
        rc = configure(db);
    if (rc == SQLITE_OK)
        rc = check_version(db, o, &version, problem);
    if (rc == SQLITE_OK)
        rc = version ? look_for_damage(db, o->check_ms) : make_schema(db, o->schema);
    if (rc == SQLITE_OK && version)
        rc = upgrade(db, o->schema, version);
    db->origin = is_made || !version ? PIXI_DB_MADE : PIXI_DB_FOUND;
    return rc;
}

int pixi_db_open(const struct pixi_db_options *o, struct pixi_db *db, struct pixi_buf *problem)
{
    struct pixi_db found = {0};
    bool is_made;
    int rc = make_file(o, &is_made, problem);

    if (rc != PIXI_OK)
        return rc;
    rc = o->is_known_torn && !is_made ? SQLITE_CORRUPT : open_found(o, &found, is_made, problem);
    if (pixi_db_is_damage(rc)) {
        pixi_db_close(&found);
        rc = pixi_db_set_aside(o, &found);
        if (rc == SQLITE_OK)
            rc = make_file(o, &is_made, problem) == PIXI_OK ? open_found(o, &found, true, problem)
                                                            : SQLITE_CANTOPEN;
        if (rc == SQLITE_OK)
            rc = pixi_db_salvage(o, &found);
    }
    if (rc == SQLITE_OK) {
        *db = found;
        return PIXI_OK;
    }
    pixi_db_close(&found);
    return problem->len ? PIXI_E_SETTINGS : tell_result(problem, o, rc);
}
