#include "image/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PIECE = 64 << 10 };

/* Where the file system knows no files without a name, it gets one for a moment. */
static int open_named(const char *dir)
{
    char path[4096];
    int fd;

    if (snprintf(path, sizeof path, "%s/.spool-XXXXXX", dir) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

int pixi_image_spool_open(struct pixi_image_spool *s, const char *dir)
{
    s->used = 0;
    s->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (s->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
        s->fd = open_named(dir);
    return s->fd < 0 ? PIXI_E_SYS : PIXI_OK;
}

void pixi_image_spool_close(struct pixi_image_spool *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

static int keep(struct pixi_image_spool *s, const uint8_t *bytes, size_t len, uint64_t at)
{
    ssize_t n;

    while (len) {
        n = pwrite(s->fd, bytes, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return PIXI_E_STORAGE;
        bytes += n;
        len -= (size_t)n;
        at += (uint64_t)n;
    }
    return PIXI_OK;
}

static int take(struct pixi_image_spool *s, pixi_image_read *read_more, void *context, uint64_t *size,
                EVP_MD_CTX *hash)
{
    uint8_t piece[PIECE];
    int rc = PIXI_OK;
    ssize_t n;

    while (rc == PIXI_OK && (n = read_more(context, piece, sizeof piece)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return PIXI_E_SYS;
        if ((uint64_t)n > PIXI_IMAGE_BYTES_MAX - s->used - *size)
            return PIXI_E_LIMIT;
        rc = keep(s, piece, (size_t)n, s->used + *size);
        *size += (uint64_t)n;
        if (EVP_DigestUpdate(hash, piece, (size_t)n) != 1)
            return PIXI_E_NOMEM;
    }
    return rc;
}

int pixi_image_spool_take(struct pixi_image_spool *s, pixi_image_read *read_more, void *context,
                          uint64_t *offset, uint64_t *size, uint8_t sha256[PIXI_SHA256_LEN])
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    int rc = PIXI_E_NOMEM, kept;

    *offset = s->used;
    *size = 0;
    if (hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1)
        rc = take(s, read_more, context, size, hash);
    kept = errno;
    if (rc == PIXI_OK && EVP_DigestFinal_ex(hash, sha256, NULL) != 1)
        rc = PIXI_E_NOMEM;
    EVP_MD_CTX_free(hash);
    errno = kept;
    if (rc == PIXI_OK)
        s->used += *size;
    return rc;
}

void pixi_image_hex(const uint8_t sha256[PIXI_SHA256_LEN], char out[PIXI_SHA256_HEX])
{
    for (size_t i = 0; i < PIXI_SHA256_LEN; i++)
        snprintf(out + 2 * i, 3, "%02x", sha256[i]);
}
