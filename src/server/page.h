/* page.h -- the files of the page in the browser: read once, at the start, and never looked for again when asked for. */
#ifndef PIXI_SERVER_PAGE_H
#define PIXI_SERVER_PAGE_H

#include "base/buf.h"
#include "net/out.h"

#include <stdbool.h>

enum {
    PIXI_PAGE_FILES_MAX = 4096,
    PIXI_PAGE_FILE_MAX = 16 << 20, /* bytes */
    PIXI_PAGE_BYTES_MAX = 64 << 20,
    PIXI_PAGE_PATH_MAX = 256, /* bytes, NUL included */
    PIXI_PAGE_ETAG_LEN = 34,  /* two quotes around 128 bits of its SHA-256 */
};

/* A file that is in the program itself. */
struct pixi_page_source {
    const char *path; /* "/index.html" */
    const uint8_t *bytes, *end;
};

/* What is sent for a path, in one encoding. */
struct pixi_page_body {
    struct pixi_shared *bytes; /* owned; NULL: not in this encoding */
    char etag[PIXI_PAGE_ETAG_LEN + 1];
};

struct pixi_page_file {
    char path[PIXI_PAGE_PATH_MAX]; /* "/index.html" */
    const char *type;              /* Content-Type. Static */
    bool is_immutable;             /* its name holds a hash of what is in it */
    struct pixi_page_body plain, gzip;
};

struct pixi_page {
    struct pixi_buf files; /* struct pixi_page_file each, by path */
    size_t bytes;
};

/* pixi_page_init -- no files. */
void pixi_page_init(struct pixi_page *p);
void pixi_page_clear(struct pixi_page *p);

/* pixi_page_embed -- the files of the program; none: one that says how to build the page.
 *   PIXI_OK | PIXI_E_NOMEM */
int pixi_page_embed(struct pixi_page *p, const struct pixi_page_source *files, size_t count);

/* pixi_page_read -- the files of a folder and of those in it. What begins with a dot, symbolic links, and names with other
 * characters than letters, digits, ". _ ~ -" are left out. "x.gz" beside "x" is what browsers get that take gzip.
 *
 *   problem  on an error what and why, and a line "  fix: "
 *
 *   PIXI_OK
 *   PIXI_E_SETTINGS  cannot be read, holds no index.html, too many files or bytes
 *   PIXI_E_NOMEM */
int pixi_page_read(struct pixi_page *p, const char *folder, struct pixi_buf *problem);

/* pixi_page_find -- by path as it stands in the request, "/" being /index.html; NULL: there is none. Nothing is decoded:
 * no file has a name that would be written otherwise. */
const struct pixi_page_file *pixi_page_find(const struct pixi_page *p, struct pixi_cur path);

#endif
