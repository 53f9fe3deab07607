#include "sqlite/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* In the lock's file, instead of a pid. */
static const char *const words[] = {
    [PIXI_DIR_CLEAN] = "", [PIXI_DIR_SUSPECT] = "suspect\n", [PIXI_DIR_TORN] = "torn\n"};

static int tell(struct pixi_buf *problem, int rc, const char *path, const char *what, const char *fix)
{
    pixi_buf_putf(problem, "data: %s: %s\n  fix: %s", path, what, fix);
    return rc;
}

static int tell_errno(struct pixi_buf *problem, const char *path)
{
    bool is_settings =
        errno == EACCES || errno == EPERM || errno == EROFS || errno == ENOENT || errno == ENOTDIR;

    return tell(problem, is_settings ? PIXI_E_SETTINGS : PIXI_E_SYS, path, strerror(errno),
                errno == ENOSPC   ? "free space where it lies"
                : errno == ENOENT ? "make the folder that it is to lie in"
                : is_settings     ? "name a folder that this user can write to"
                                  : "see to the disk that it lies on");
}

static int check_folder(const char *path, struct pixi_buf *problem)
{
    struct stat st;

    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return tell_errno(problem, path);
    if (stat(path, &st) != 0)
        return tell_errno(problem, path);
    if (!S_ISDIR(st.st_mode))
        return tell(problem, PIXI_E_SETTINGS, path, "no folder",
                    "name a folder, or a path where none is yet");
    if (st.st_mode & 022)
        return tell(problem, PIXI_E_SETTINGS, path, "others may write to this folder",
                    "take that from them: chmod 700, or name a folder of its own");
    return PIXI_OK;
}

/* Somebody holds the lock: who? */
static int tell_in_use(struct pixi_buf *problem, const struct pixi_dir *dir)
{
    char text[32] = "";
    ssize_t len = pread(dir->lock_fd, text, sizeof text - 1, 0);
    long pid = len > 0 ? strtol(text, NULL, 10) : 0;

    pixi_buf_putf(problem, "data: %s: in use by ", dir->path);
    if (pid > 0)
        pixi_buf_putf(problem, "process %ld", pid);
    else
        pixi_buf_put_str(problem, "another process");
    pixi_buf_put_str(problem, "\n  fix: stop that one first, or name another folder");
    return PIXI_E_SETTINGS;
}

/* What the last user left in the file: its pid if it did not end well. */
static void read_last(struct pixi_dir *dir)
{
    char text[8] = "";

    dir->is_clean = pread(dir->lock_fd, text, sizeof text - 1, 0) == 0;
    dir->is_torn = strcmp(text, words[PIXI_DIR_TORN]) == 0;
}

/* A full disk does not matter here: the lock holds without its text. */
static void write_text(const struct pixi_dir *dir, const char *text)
{
    size_t len = strlen(text);

    if (ftruncate(dir->lock_fd, 0) != 0 || pwrite(dir->lock_fd, text, len, 0) != (ssize_t)len)
        return;
    fdatasync(dir->lock_fd);
}

static int lock(struct pixi_dir *dir, struct pixi_buf *problem)
{
    char *path = pixi_dir_file(dir, "lock"), pid[32];
    int rc = PIXI_OK;

    if (!path)
        return PIXI_E_NOMEM;
    dir->is_new = access(path, F_OK) != 0;
    dir->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (dir->lock_fd < 0)
        rc = tell_errno(problem, path);
    else if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) != 0)
        rc = errno == EWOULDBLOCK ? tell_in_use(problem, dir) : tell_errno(problem, path);
    free(path);
    if (rc != PIXI_OK)
        return rc;
    read_last(dir);
    snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    write_text(dir, pid);
    return PIXI_OK;
}

static void release(struct pixi_dir *dir)
{
    if (dir->lock_fd >= 0)
        close(dir->lock_fd);
    free(dir->path);
    *dir = (struct pixi_dir){.lock_fd = -1};
}

int pixi_dir_open(const char *path, struct pixi_dir *dir, struct pixi_buf *problem)
{
    size_t len = strlen(path);
    int rc = check_folder(path, problem);

    *dir = (struct pixi_dir){.lock_fd = -1};
    if (rc != PIXI_OK)
        return rc;
    while (len > 1 && path[len - 1] == '/')
        len--;
    dir->path = strndup(path, len);
    rc = dir->path ? lock(dir, problem) : PIXI_E_NOMEM;
    if (rc != PIXI_OK)
        release(dir);
    return rc;
}

char *pixi_dir_file(const struct pixi_dir *dir, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s", dir->path, name) < 0 ? NULL : path;
}

void pixi_dir_mark(const struct pixi_dir *dir, enum pixi_dir_end end)
{
    write_text(dir, words[end]);
}

void pixi_dir_close(struct pixi_dir *dir, enum pixi_dir_end end)
{
    if (dir->lock_fd >= 0)
        pixi_dir_mark(dir, end);
    release(dir);
}
