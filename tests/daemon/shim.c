/* shim.c -- preloaded into a program by tests (LD_PRELOAD): its SQLite then has a disk that fails, and its wall clock is
 * off, when a file in the folder PIXI_SHIM says so.
 *
 *   disk   one word: `full`, `read-only`, `write` (EIO), `sync` (EIO), `power` (it is cut: what was not synced is there or
 *          not, and the program is gone). With `once` behind it the file is emptied when that has happened.
 *   clock  seconds that the wall clock is ahead; negative: behind. */
#include "sqlite/fault_test.h"

#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

/* The file's text, shortened; empty where there is none. */
static size_t read_order(const char *name, char *text, size_t max)
{
    const char *folder = getenv("PIXI_SHIM");
    char path[4096];
    ssize_t len = 0;
    int fd;

    snprintf(path, sizeof path, "%s/%s", folder ? folder : "", name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        len = read(fd, text, max - 1);
        close(fd);
    }
    text[len > 0 ? len : 0] = '\0';
    return len > 0 ? (size_t)len : 0;
}

static void obey_once(void)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/disk", getenv("PIXI_SHIM"));
    assert(truncate(path, 0) == 0);
}

/* Before each write and each sync. */
static void look(enum fault_kind kind)
{
    char text[64], word[16] = "", times[8] = "";

    read_order("disk", text, sizeof text);
    sscanf(text, "%15s %7s", word, times);
    fault.is_full = strcmp(word, "full") == 0;
    fault.is_read_only = strcmp(word, "read-only") == 0;
    fault.fail_write = kind == FAULT_WRITE && strcmp(word, "write") == 0 ? fault.writes + 1 : 0;
    fault.fail_sync = kind == FAULT_SYNC && strcmp(word, "sync") == 0 ? fault.syncs + 1 : 0;
    if ((fault.fail_write || fault.fail_sync) && *times)
        obey_once();
    if (kind == FAULT_SYNC && strcmp(word, "power") == 0) {
        fault_power_cut(1 + (unsigned)fault.writes);
        raise(SIGKILL);
    }
}

__attribute__((constructor)) static void begin(void)
{
    if (!getenv("PIXI_SHIM"))
        return;
    fault_begin();
    fault.look = look;
    sqlite3_vfs_register(&fault.vfs, 1);
}

/* libc's, and what it would answer at another time. */
__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *out)
{
    char text[32];
    int rc = (int)syscall(SYS_clock_gettime, id, out);

    if (rc == 0 && id == CLOCK_REALTIME && read_order("clock", text, sizeof text))
        out->tv_sec += strtoll(text, NULL, 10);
    return rc;
}
