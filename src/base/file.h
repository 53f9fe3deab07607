/* file.h -- a whole file at once: read under a ceiling, or written so that all of it is there or nothing is. */
#ifndef PIXI_BASE_FILE_H
#define PIXI_BASE_FILE_H

#include "base/buf.h"

#include <stdbool.h>

/* pixi_file_read -- the whole of a regular file, to the end of out, without leaving copies elsewhere in memory.
 *
 *   out    its ceiling is the file's
 *   mode   may be NULL; the permission bits, also when the file is over the ceiling
 *
 *   PIXI_OK | PIXI_E_LIMIT | PIXI_E_NOMEM | PIXI_E_SYS: errno is kept; EISDIR, EINVAL (no regular file either),
 *   EAGAIN (it grew or shrank meanwhile) */
int pixi_file_read(const char *path, struct pixi_buf *out, unsigned *mode);

/* pixi_file_found -- what the last error of pixi_file_read found instead, for a message: "no file", "a folder". */
const char *pixi_file_found(int err);

/* pixi_file_wipe -- overwrite what the buffer holds, then clear it. */
void pixi_file_wipe(struct pixi_buf *b);

/* pixi_file_is_open_to_others -- may the group or others do anything with a file of this mode? */
static inline bool pixi_file_is_open_to_others(unsigned mode)
{
    return mode & 077;
}

enum pixi_file_over {
    PIXI_FILE_NEW,
    PIXI_FILE_REPLACE
}; /* refuse an existing file (EEXIST) | take its place */

/* pixi_file_write -- by way of a temporary file beside it, with fsync of both the file and its folder; mode 0600.
 * A replaced file keeps its owner; a symbolic link is followed.
 *   PIXI_OK | PIXI_E_SYS (errno is kept; path is as it was, or new if only its folder could not be synced) | PIXI_E_NOMEM */
int pixi_file_write(const char *path, struct pixi_cur bytes, enum pixi_file_over over);

/* pixi_file_dir -- bytes of path that are its folder, with the last '/'; 0 for a bare name. */
static inline size_t pixi_file_dir(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (size_t)(slash - path) + 1 : 0;
}

#endif
