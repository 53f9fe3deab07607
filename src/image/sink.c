#include "image/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>
#define ZLIB_CONST
#include <zlib.h>

enum { PIECE = 64 << 10, GZIP_WINDOW = 15 + 16 /* zlib.h: 16 more for a gzip head, whose time is 0 */ };

struct pixi_image_sink {
    int fd, err, kept_errno;
    bool is_packed, is_zlib_on;
    z_stream z;
    EVP_MD_CTX *plain, *packed;
    uint64_t size;
    uint8_t piece[PIECE];
};

static EVP_MD_CTX *new_hash(void)
{
    EVP_MD_CTX *h = EVP_MD_CTX_new();

    if (h && EVP_DigestInit_ex(h, EVP_sha256(), NULL) == 1)
        return h;
    EVP_MD_CTX_free(h);
    return NULL;
}

static void release(struct pixi_image_sink *s)
{
    int kept = errno;

    if (s->is_zlib_on)
        deflateEnd(&s->z);
    EVP_MD_CTX_free(s->plain);
    EVP_MD_CTX_free(s->packed);
    if (s->fd >= 0)
        close(s->fd);
    free(s);
    errno = kept;
}

struct pixi_image_sink *pixi_image_sink_open(const char *path, enum pixi_image_packing packing)
{
    struct pixi_image_sink *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->is_packed = packing == PIXI_IMAGE_GZIP;
    s->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (s->fd >= 0) {
        s->plain = new_hash();
        s->packed = new_hash();
        s->is_zlib_on = s->is_packed && deflateInit2(&s->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 9,
                                                     Z_DEFAULT_STRATEGY) == Z_OK;
        if (s->plain && s->packed && s->is_zlib_on == s->is_packed)
            return s;
        errno = ENOMEM;
    }
    release(s);
    return NULL;
}

static int fail(struct pixi_image_sink *s, int err)
{
    s->err = err;
    s->kept_errno = errno;
    return err;
}

static int write_out(struct pixi_image_sink *s, const uint8_t *bytes, size_t len)
{
    ssize_t n;

    if (EVP_DigestUpdate(s->packed, bytes, len) != 1)
        return fail(s, PIXI_E_NOMEM);
    s->size += len;
    while (len) {
        n = write(s->fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(s, PIXI_E_SYS);
        bytes += n;
        len -= (size_t)n;
    }
    return PIXI_OK;
}

static int pack(struct pixi_image_sink *s, const uint8_t *bytes, size_t len, int flush)
{
    int z, rc;

    s->z.next_in = bytes;
    s->z.avail_in = (uInt)len;
    do {
        s->z.next_out = s->piece;
        s->z.avail_out = PIECE;
        z = deflate(&s->z, flush);
        rc = write_out(s, s->piece, PIECE - s->z.avail_out);
    } while (rc == PIXI_OK && (s->z.avail_in || s->z.avail_out == 0 || (flush == Z_FINISH && z == Z_OK)));
    return rc;
}

int pixi_image_sink_put(struct pixi_image_sink *s, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    size_t n;

    if (s->err == PIXI_OK && EVP_DigestUpdate(s->plain, bytes, len) != 1)
        fail(s, PIXI_E_NOMEM);
    for (; s->err == PIXI_OK && len; p += n, len -= n) {
        n = len < PIECE ? len : PIECE;
        s->err = s->is_packed ? pack(s, p, n, Z_NO_FLUSH) : write_out(s, p, n);
    }
    errno = s->err == PIXI_OK ? errno : s->kept_errno;
    return s->err;
}

int pixi_image_sink_close(struct pixi_image_sink *s, struct pixi_image_written *out)
{
    int rc;

    if (out && s->err == PIXI_OK && s->is_packed)
        s->err = pack(s, (const uint8_t *)"", 0, Z_FINISH);
    if (out && s->err == PIXI_OK && fsync(s->fd) != 0 && errno != EINVAL)
        fail(s, PIXI_E_SYS);
    rc = s->err;
    if (out && rc == PIXI_OK) {
        EVP_DigestFinal_ex(s->plain, out->plain, NULL);
        EVP_DigestFinal_ex(s->packed, out->packed, NULL);
        out->size = s->size;
    }
    errno = rc == PIXI_OK ? errno : s->kept_errno;
    release(s);
    return rc;
}
