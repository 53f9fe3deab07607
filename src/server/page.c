#include "server/page.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 16, HASH_MIN = 8 };

static const char not_built[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<title>pixi-ws-server</title>\n"
    "<h1>The server runs</h1>\n"
    "<p>This program was built without the page that shows its scene.</p>\n"
    "<p><code>make page</code> builds it, with Node and npm, into <code>web/dist</code>. Then "
    "<code>make</code>\n"
    "puts it into the program; or <code>pixi-ws-server --page web/dist</code> serves it from there.</p>\n"
    "<p>The WebSocket is at <code>/api/v1</code>.</p>\n";

static struct pixi_page_file *at(const struct pixi_page *p, size_t i)
{
    return (struct pixi_page_file *)(void *)p->files.bytes + i;
}

static size_t count_of(const struct pixi_page *p)
{
    return p->files.len / sizeof(struct pixi_page_file);
}

void pixi_page_init(struct pixi_page *p)
{
    *p = (struct pixi_page){.files = pixi_buf_init(PIXI_PAGE_FILES_MAX * sizeof(struct pixi_page_file))};
}

static void release(struct pixi_page_body *b)
{
    if (b->bytes)
        pixi_shared_release(b->bytes);
    b->bytes = NULL;
}

void pixi_page_clear(struct pixi_page *p)
{
    for (size_t i = 0; i < count_of(p); i++) {
        release(&at(p, i)->plain);
        release(&at(p, i)->gzip);
    }
    pixi_buf_clear(&p->files);
    p->bytes = 0;
}

/* --- one file ------------------------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static const char *type_of(const char *path)
{
    static const struct {
        const char *end, *type;
    } rows[] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".json", "application/json"},
        {".map", "application/json"},
        {".webmanifest", "application/manifest+json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".webp", "image/webp"},
        {".gif", "image/gif"},
        {".ico", "image/x-icon"},
        {".woff2", "font/woff2"},
        {".wasm", "application/wasm"},
        {".txt", "text/plain; charset=utf-8"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (ends_with(path, rows[i].end))
            return rows[i].type;
    return "application/octet-stream";
}

/* "/chunk-24BQVMDF.js", "/assets/index-BX3k90aZ.js": what bundlers name so never changes. Words are not like that: there
 * are digits or capitals in a hash, and outside of assets/ nothing else. */
static bool is_immutable(const char *path)
{
    const char *hash = strrchr(path, '-');
    bool has_other = false, has_lower = false;
    size_t len = 0;

    if (!hash)
        return false;
    for (hash++; isalnum((unsigned char)hash[len]) || hash[len] == '_'; len++) {
        has_other |= isdigit((unsigned char)hash[len]) || isupper((unsigned char)hash[len]);
        has_lower |= islower((unsigned char)hash[len]) || hash[len] == '_';
    }
    return len >= HASH_MIN && hash[len] == '.' && has_other &&
           (!has_lower || strncmp(path, "/assets/", 8) == 0);
}

static void put_etag(struct pixi_page_body *b)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    char *p = b->etag;

    SHA256(b->bytes->bytes, b->bytes->len, hash);
    *p++ = '"';
    for (size_t i = 0; i < (PIXI_PAGE_ETAG_LEN - 2) / 2; i++)
        p += snprintf(p, 3, "%02x", hash[i]);
    strcpy(p, "\"");
}

/* Takes bytes, also on failure. */
static int add(struct pixi_page *p, const char *path, struct pixi_shared *bytes)
{
    struct pixi_page_file f = {
        .type = type_of(path), .is_immutable = is_immutable(path), .plain.bytes = bytes};

    snprintf(f.path, sizeof f.path, "%s", path);
    put_etag(&f.plain);
    pixi_buf_put(&p->files, &f, sizeof f);
    if (p->files.err)
        pixi_shared_release(bytes);
    else
        p->bytes += bytes->len;
    return p->files.err;
}

/* --- all of them ---------------------------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct pixi_page_file *)a)->path, ((const struct pixi_page_file *)b)->path);
}

static struct pixi_page_file *find(const struct pixi_page *p, const char *path)
{
    struct pixi_page_file key = {.type = NULL};

    snprintf(key.path, sizeof key.path, "%s", path);
    return count_of(p) ? bsearch(&key, p->files.bytes, count_of(p), sizeof key, by_path) : NULL;
}

/* "x.gz" becomes the other body of "x". */
static void pair(struct pixi_page *p)
{
    size_t kept = 0;

    if (!count_of(p))
        return;
    qsort(p->files.bytes, count_of(p), sizeof(struct pixi_page_file), by_path);
    for (size_t i = 0; i < count_of(p); i++) {
        struct pixi_page_file *f = at(p, i), *of;
        char path[PIXI_PAGE_PATH_MAX];

        snprintf(path, sizeof path, "%s", f->path);
        if (!ends_with(path, ".gz"))
            continue;
        path[strlen(path) - 3] = 0;
        of = find(p, path);
        if (!of)
            continue;
        of->gzip = f->plain;
        f->plain.bytes = NULL;
    }
    for (size_t i = 0; i < count_of(p); i++)
        if (at(p, i)->plain.bytes)
            *at(p, kept++) = *at(p, i);
    p->files.len = kept * sizeof(struct pixi_page_file);
}

int pixi_page_embed(struct pixi_page *p, const struct pixi_page_source *files, size_t count)
{
    const struct pixi_page_source none = {"/index.html", (const uint8_t *)not_built,
                                          (const uint8_t *)not_built + sizeof not_built - 1};
    int rc = PIXI_OK;

    if (count == 0) {
        files = &none;
        count = 1;
    }
    for (size_t i = 0; rc == PIXI_OK && i < count; i++) {
        size_t len = (size_t)(files[i].end - files[i].bytes);
        struct pixi_shared *bytes = pixi_shared_new(len);

        if (!bytes)
            return PIXI_E_NOMEM;
        memcpy(bytes->bytes, files[i].bytes, len);
        rc = add(p, files[i].path, bytes);
    }
    if (rc == PIXI_OK)
        pair(p);
    return rc;
}

/* --- a folder ------------------------------------------------------------------------------------------------- */

struct reading {
    struct pixi_page *page;
    const char *folder;
    struct pixi_buf *problem;
};

static int refuse(const struct reading *r, const char *path, const char *why, const char *fix)
{
    pixi_buf_putf(r->problem, "page: %s%s: %s\n  fix: %s", r->folder, path, why, fix);
    return PIXI_E_SETTINGS;
}

static int refuse_errno(const struct reading *r, const char *path)
{
    return refuse(r, path, strerror(errno), "name a folder that this user can read, such as web/dist");
}

static bool is_servable(const char *name)
{
    if (*name == '.')
        return false;
    while (isalnum((unsigned char)*name) || (*name && strchr("._~-", *name)))
        name++;
    return !*name;
}

static int read_file(const struct reading *r, int fd, const char *path, size_t len)
{
    struct pixi_shared *bytes;
    size_t got = 0;
    ssize_t n;

    if (len > PIXI_PAGE_FILE_MAX || r->page->bytes + len > PIXI_PAGE_BYTES_MAX ||
        count_of(r->page) == PIXI_PAGE_FILES_MAX)
        return refuse(r, path, "more than a page may have (4096 files, 16 MiB each, 64 MiB in all)",
                      "name the folder with the built page alone");
    bytes = pixi_shared_new(len);
    if (!bytes)
        return PIXI_E_NOMEM;
    while (got < len && (n = read(fd, bytes->bytes + got, len - got)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            pixi_shared_release(bytes);
            return refuse_errno(r, path);
        }
        got += (size_t)n;
    }
    bytes->len = got;
    return add(r->page, path, bytes);
}

static int read_folder(const struct reading *r, int fd, const char *path, unsigned depth);

static int read_entry(const struct reading *r, int folder, const char *name, const char *path, unsigned depth)
{
    /* a symbolic link could lead out; what is no file could block */
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), rc = PIXI_OK;
    struct stat st;

    if (fd < 0)
        return errno == ELOOP || errno == ENXIO ? PIXI_OK : refuse_errno(r, path);
    if (fstat(fd, &st) < 0)
        rc = refuse_errno(r, path);
    else if (S_ISREG(st.st_mode))
        rc = read_file(r, fd, path, (size_t)st.st_size);
    else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
        return read_folder(r, fd, path, depth + 1); /* which closes it */
    close(fd);
    return rc;
}

static int read_folder(const struct reading *r, int fd, const char *path, unsigned depth)
{
    DIR *folder = fdopendir(fd);
    char below[PIXI_PAGE_PATH_MAX];
    const struct dirent *e;
    int rc = PIXI_OK;

    if (!folder) {
        rc = refuse_errno(r, path);
        close(fd);
        return rc;
    }
    while (rc == PIXI_OK && (e = readdir(folder)))
        if (is_servable(e->d_name) &&
            snprintf(below, sizeof below, "%s/%s", path, e->d_name) < (int)sizeof below)
            rc = read_entry(r, fd, e->d_name, below, depth);
    closedir(folder);
    return rc;
}

int pixi_page_read(struct pixi_page *p, const char *folder, struct pixi_buf *problem)
{
    struct reading r = {p, folder, problem};
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

    if (fd < 0)
        return refuse_errno(&r, "");
    rc = read_folder(&r, fd, "", 0);
    if (rc != PIXI_OK)
        return rc;
    pair(p);
    if (!find(p, "/index.html"))
        return refuse(&r, "", "holds no index.html", "name the folder that `make page` builds: web/dist");
    return PIXI_OK;
}

const struct pixi_page_file *pixi_page_find(const struct pixi_page *p, struct pixi_cur path)
{
    char text[PIXI_PAGE_PATH_MAX] = "/index.html";
    size_t len = pixi_cur_left(&path);

    if (len >= sizeof text || (len && memchr(path.p, 0, len)))
        return NULL;
    if (!pixi_cur_equals(path, pixi_cur_str("/"))) {
        memcpy(text, path.p, len);
        text[len] = 0;
    }
    return find(p, text);
}
