#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(int code)
{
    errno = code;
    return PIXI_E_SYS;
}

/* Closes without touching errno; always -1, so that it can stand for "no descriptor". */
static int close_kept(int fd)
{
    int kept = errno;

    close(fd);
    errno = kept;
    return -1;
}

/* Exactly size bytes; one more is asked for, to see the end. */
static int read_all(int fd, size_t size, struct pixi_buf *out)
{
    uint8_t *room = pixi_buf_reserve(out, size + 1);
    size_t got = 0;
    ssize_t n;

    if (!room)
        return out->err;
    while ((n = read(fd, room + got, size + 1 - got)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return PIXI_E_SYS;
        got += (size_t)n;
        if (got > size)
            break;
    }
    if (got != size)
        return fail(EAGAIN);
    out->len += size;
    return PIXI_OK;
}

static int read_open(int fd, struct pixi_buf *out, unsigned *mode)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return PIXI_E_SYS;
    if (S_ISDIR(st.st_mode))
        return fail(EISDIR);
    if (!S_ISREG(st.st_mode))
        return fail(EINVAL);
    if (mode)
        *mode = st.st_mode & 07777;
    /* the byte that would show that it has grown must fit too */
    if ((uintmax_t)st.st_size >= out->max - out->len)
        return PIXI_E_LIMIT;
    return read_all(fd, (size_t)st.st_size, out);
}

int pixi_file_read(const char *path, struct pixi_buf *out, unsigned *mode)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), rc;

    if (fd < 0)
        return PIXI_E_SYS;
    rc = read_open(fd, out, mode);
    close_kept(fd);
    return rc;
}

const char *pixi_file_found(int err)
{
    if (err == PIXI_E_LIMIT)
        return "a file that is too large";
    if (err != PIXI_E_SYS)
        return pixi_err_text(err);
    switch (errno) {
    case ENOENT:
    case ENOTDIR: return "no file";
    case EISDIR: return "a folder";
    case EINVAL: return "something that is not a regular file";
    case EACCES: return "a file that this user may not read";
    case EAGAIN: return "a file that changed while it was read";
    }
    return strerror(errno);
}

void pixi_file_wipe(struct pixi_buf *b)
{
    if (b->cap)
        explicit_bzero(b->bytes, b->cap);
    pixi_buf_clear(b);
}

static int write_all(int fd, struct pixi_cur bytes)
{
    ssize_t n;

    while (bytes.p != bytes.end) {
        n = write(fd, bytes.p, pixi_cur_left(&bytes));
        if (n < 0 && errno != EINTR)
            return PIXI_E_SYS;
        bytes.p += n > 0 ? n : 0;
    }
    return fsync(fd) == 0 ? PIXI_OK : PIXI_E_SYS;
}

/* What is replaced keeps its owner: a server must be able to read what root has written for it. */
static int keep_owner(int fd, const char *path)
{
    struct stat was, is;

    if (stat(path, &was) != 0)
        return errno == ENOENT ? PIXI_OK : PIXI_E_SYS;
    if (fstat(fd, &is) != 0)
        return PIXI_E_SYS;
    if (was.st_uid == is.st_uid && was.st_gid == is.st_gid)
        return PIXI_OK;
    return fchown(fd, was.st_uid, was.st_gid) == 0 ? PIXI_OK : PIXI_E_SYS;
}

static int fill(int fd, const char *path, struct pixi_cur bytes, enum pixi_file_over over)
{
    if (over == PIXI_FILE_REPLACE && keep_owner(fd, path) != PIXI_OK)
        return PIXI_E_SYS;
    return write_all(fd, bytes);
}

static int sync_folder(const char *path)
{
    char dir[PATH_MAX];
    int fd, rc;

    snprintf(dir, sizeof dir, "%.*s", (int)pixi_file_dir(path), path);
    fd = open(*dir ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return PIXI_E_SYS;
    rc = fsync(fd) == 0 ? PIXI_OK : PIXI_E_SYS;
    close_kept(fd);
    return rc;
}

static int put_in_place(const char *temp, const char *path, enum pixi_file_over over)
{
    if (over == PIXI_FILE_REPLACE)
        return rename(temp, path) == 0 ? PIXI_OK : PIXI_E_SYS;
    if (link(temp, path) != 0) /* unlike rename, it refuses what is there */
        return PIXI_E_SYS;
    unlink(temp);
    return PIXI_OK;
}

static int write_beside(const char *path, struct pixi_cur bytes, enum pixi_file_over over)
{
    char temp[PATH_MAX];
    int dir = (int)pixi_file_dir(path), fd, rc, kept;

    if (snprintf(temp, sizeof temp, "%.*s.%s.XXXXXX", dir, path, path + dir) >= (int)sizeof temp)
        return fail(ENAMETOOLONG);
    fd = mkostemp(temp, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return PIXI_E_SYS;
    rc = fill(fd, path, bytes, over);
    close_kept(fd);
    if (rc == PIXI_OK)
        rc = put_in_place(temp, path, over);
    if (rc == PIXI_OK)
        return sync_folder(path);
    kept = errno;
    unlink(temp);
    return fail(kept);
}

int pixi_file_write(const char *path, struct pixi_cur bytes, enum pixi_file_over over)
{
    char *real = over == PIXI_FILE_REPLACE ? realpath(path, NULL) : NULL;
    int rc = write_beside(real ? real : path, bytes, over);

    free(real);
    return rc;
}
