/* fault_test.h -- for tests: an SQLite VFS "fault" before the system's, whose disk fails when it is told to.
 *
 * Syncing costs nothing here, so that tests are quick: what was written since a file's last sync is remembered, and
 * fault_power_cut takes some of it away again. */
#ifndef PIXI_SQLITE_FAULT_TEST_H
#define PIXI_SQLITE_FAULT_TEST_H

#include <assert.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes that a file's next sync makes last. A truncation has no new bytes. */
struct fault_write {
    struct fault_write *next, *prev;
    char *path;
    int64_t at;
    size_t len, old_len; /* old_len: what was there before */
    int64_t old_size;
    uint8_t *bytes, *old;
};

enum fault_kind { FAULT_WRITE, FAULT_SYNC };

static struct {
    sqlite3_vfs vfs, *real;
    void (*look)(enum fault_kind);       /* called before each, to say what fails; NULL: nobody is */
    unsigned long writes, syncs;         /* so far */
    unsigned long fail_write, fail_sync; /* the one with this count fails with EIO; 0: none */
    bool is_torn;                        /* of the write that fails, half is done */
    bool is_last;                        /* and nothing works from then on */
    bool is_full;                        /* no write may make a file longer */
    bool is_read_only;                   /* no write may be at all */
    bool is_dead;                        /* nothing works any more */
    struct fault_write *first, *last;
} fault;

struct fault_file {
    sqlite3_file base;
    char *path;
    sqlite3_file *real; /* behind this struct */
};

static inline sqlite3_file *fault_real(sqlite3_file *f)
{
    return ((struct fault_file *)f)->real;
}

static inline void fault_forget(struct fault_write *w)
{
    *(w->prev ? &w->prev->next : &fault.first) = w->next;
    *(w->next ? &w->next->prev : &fault.last) = w->prev;
    free(w->path);
    free(w->bytes);
    free(w->old);
    free(w);
}

static inline int64_t fault_size(sqlite3_file *f)
{
    sqlite3_int64 size = 0;

    fault_real(f)->pMethods->xFileSize(fault_real(f), &size);
    return size;
}

/* What stands in len bytes from `at` on, before it is written over. */
static inline void fault_remember(sqlite3_file *f, const void *bytes, size_t len, int64_t at, size_t lost)
{
    struct fault_write *w = calloc(1, sizeof *w);
    int64_t size = fault_size(f);

    assert(w);
    w->path = strdup(((struct fault_file *)f)->path);
    w->at = at;
    w->len = len;
    w->old_size = size;
    w->old_len = size <= at ? 0 : (uint64_t)(size - at) < lost ? (size_t)(size - at) : lost;
    w->bytes = malloc(len + 1);
    w->old = malloc(w->old_len + 1);
    assert(w->path && w->bytes && w->old);
    if (len)
        memcpy(w->bytes, bytes, len);
    if (w->old_len)
        fault_real(f)->pMethods->xRead(fault_real(f), w->old, (int)w->old_len, at);
    w->prev = fault.last;
    *(fault.last ? &fault.last->next : &fault.first) = w;
    fault.last = w;
}

static inline int fault_close(sqlite3_file *f)
{
    int rc = fault_real(f)->pMethods->xClose(fault_real(f));

    free(((struct fault_file *)f)->path);
    return rc;
}

static inline int fault_read(sqlite3_file *f, void *to, int len, sqlite3_int64 at)
{
    return fault.is_dead ? SQLITE_IOERR_READ : fault_real(f)->pMethods->xRead(fault_real(f), to, len, at);
}

static inline void fault_ask(enum fault_kind kind)
{
    if (fault.look)
        fault.look(kind);
}

static inline int fault_write_bytes(sqlite3_file *f, const void *from, int len, sqlite3_int64 at)
{
    fault_ask(FAULT_WRITE);
    if (fault.is_dead)
        return SQLITE_IOERR_WRITE;
    if (fault.is_read_only)
        return SQLITE_READONLY;
    if (fault.is_full && at + len > fault_size(f))
        return SQLITE_FULL;
    if (++fault.writes == fault.fail_write) {
        fault.is_dead = fault.is_last;
        if (fault.is_torn) {
            fault_remember(f, from, (size_t)len / 2, at, (size_t)len / 2);
            fault_real(f)->pMethods->xWrite(fault_real(f), from, len / 2, at);
        }
        return SQLITE_IOERR_WRITE;
    }
    fault_remember(f, from, (size_t)len, at, (size_t)len);
    return fault_real(f)->pMethods->xWrite(fault_real(f), from, len, at);
}

static inline int fault_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    if (fault.is_dead)
        return SQLITE_IOERR_TRUNCATE;
    if (fault_size(f) > size)
        fault_remember(f, NULL, 0, size, (size_t)(fault_size(f) - size));
    return fault_real(f)->pMethods->xTruncate(fault_real(f), size);
}

/* A sync that fails leaves what it was for in doubt: it may be there after a power cut, or not. */
static inline int fault_sync(sqlite3_file *f, int flags)
{
    struct fault_write *next;

    (void)flags;
    fault_ask(FAULT_SYNC);
    if (fault.is_dead || ++fault.syncs == fault.fail_sync)
        return SQLITE_IOERR_FSYNC;
    for (struct fault_write *w = fault.first; w; w = next) {
        next = w->next;
        if (strcmp(w->path, ((struct fault_file *)f)->path) == 0)
            fault_forget(w);
    }
    return SQLITE_OK;
}

static inline int fault_file_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return fault_real(f)->pMethods->xFileSize(fault_real(f), size);
}

static inline int fault_lock(sqlite3_file *f, int level)
{
    return fault_real(f)->pMethods->xLock(fault_real(f), level);
}

static inline int fault_unlock(sqlite3_file *f, int level)
{
    return fault_real(f)->pMethods->xUnlock(fault_real(f), level);
}

static inline int fault_check_lock(sqlite3_file *f, int *is_reserved)
{
    return fault_real(f)->pMethods->xCheckReservedLock(fault_real(f), is_reserved);
}

static inline int fault_control(sqlite3_file *f, int op, void *arg)
{
    return fault_real(f)->pMethods->xFileControl(fault_real(f), op, arg);
}

static inline int fault_sector(sqlite3_file *f)
{
    return fault_real(f)->pMethods->xSectorSize(fault_real(f));
}

/* No promise that the real disk may make: neither atomic writes nor power-safe overwriting. */
static inline int fault_device(sqlite3_file *f)
{
    (void)f;
    return 0;
}

static inline int fault_shm_map(sqlite3_file *f, int page, int size, int is_to_grow, void volatile **out)
{
    return fault_real(f)->pMethods->xShmMap(fault_real(f), page, size, is_to_grow, out);
}

static inline int fault_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
    return fault_real(f)->pMethods->xShmLock(fault_real(f), at, n, flags);
}

static inline void fault_shm_barrier(sqlite3_file *f)
{
    fault_real(f)->pMethods->xShmBarrier(fault_real(f));
}

static inline int fault_shm_unmap(sqlite3_file *f, int is_to_delete)
{
    return fault_real(f)->pMethods->xShmUnmap(fault_real(f), is_to_delete);
}

static const sqlite3_io_methods fault_methods = {
    .iVersion = 2,
    .xClose = fault_close,
    .xRead = fault_read,
    .xWrite = fault_write_bytes,
    .xTruncate = fault_truncate,
    .xSync = fault_sync,
    .xFileSize = fault_file_size,
    .xLock = fault_lock,
    .xUnlock = fault_unlock,
    .xCheckReservedLock = fault_check_lock,
    .xFileControl = fault_control,
    .xSectorSize = fault_sector,
    .xDeviceCharacteristics = fault_device,
    .xShmMap = fault_shm_map,
    .xShmLock = fault_shm_lock,
    .xShmBarrier = fault_shm_barrier,
    .xShmUnmap = fault_shm_unmap,
};

static inline int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
    struct fault_file *file = (struct fault_file *)f;
    int rc;

    (void)vfs;
    file->real = (sqlite3_file *)(file + 1);
    rc = fault.is_dead ? SQLITE_CANTOPEN : fault.real->xOpen(fault.real, name, file->real, flags, out_flags);
    file->path = strdup(name ? name : "");
    file->base.pMethods = rc == SQLITE_OK ? &fault_methods : NULL;
    if (rc != SQLITE_OK)
        free(file->path);
    return rc;
}

static inline int fault_delete(sqlite3_vfs *vfs, const char *name, int is_synced)
{
    struct fault_write *next;

    (void)vfs;
    if (fault.is_dead)
        return SQLITE_IOERR_DELETE;
    for (struct fault_write *w = fault.first; w; w = next) {
        next = w->next;
        if (strcmp(w->path, name) == 0)
            fault_forget(w);
    }
    return fault.real->xDelete(fault.real, name, is_synced);
}

/* Before anything else of SQLite's. */
static inline void fault_begin(void)
{
    if (!fault.real) {
        fault.real = sqlite3_vfs_find(NULL);
        assert(fault.real);
        fault.vfs = *fault.real;
        fault.vfs.zName = "fault";
        fault.vfs.szOsFile = (int)sizeof(struct fault_file) + fault.real->szOsFile;
        fault.vfs.xOpen = fault_open;
        fault.vfs.xDelete = fault_delete;
        sqlite3_vfs_register(&fault.vfs, 0);
    }
    while (fault.first)
        fault_forget(fault.first);
    fault.writes = fault.syncs = fault.fail_write = fault.fail_sync = 0;
    fault.is_torn = fault.is_last = fault.is_full = fault.is_read_only = fault.is_dead = false;
}

static inline void fault_put(const struct fault_write *w, const uint8_t *bytes, size_t len)
{
    int fd = open(w->path, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return; /* renamed or gone since */
    assert(pwrite(fd, bytes, len, w->at) == (ssize_t)len);
    close(fd);
}

/* The power was cut when fault.is_dead was set, and everything is closed now: of what no sync made last, each write is
 * there or not, or only a part of it, as the seed says (0: none is). */
static inline void fault_power_cut(unsigned seed)
{
    char path[4096];
    size_t len;

    for (struct fault_write *w = fault.last; w; w = w->prev) {
        fault_put(w, w->old, w->old_len);
        assert(access(w->path, F_OK) != 0 || truncate(w->path, w->old_size) == 0);
        snprintf(path, sizeof path, "%s", w->path);
        if (strstr(path, "-wal"))
            strcpy(strstr(path, "-wal"), "-shm"), unlink(path);
    }
    for (struct fault_write *w = fault.first; w && seed; w = w->next) {
        seed = seed * 1664525u + 1013904223u;
        len = (seed >> 8) % 3 == 0 ? 0 : (seed >> 8) % 3 == 1 ? w->len : w->len / 2 / 512 * 512;
        fault_put(w, w->bytes, len);
    }
    fault_begin();
}

#endif
