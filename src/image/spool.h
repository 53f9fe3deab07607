/* spool.h -- contents of files, one after the other in a file without a name, each with its SHA-256. */
#ifndef PIXI_IMAGE_SPOOL_H
#define PIXI_IMAGE_SPOOL_H

#include "base/buf.h"

#include <sys/types.h>

#define PIXI_IMAGE_BYTES_MAX ((uint64_t)4 << 30) /* of all contents together */

enum { PIXI_SHA256_LEN = 32, PIXI_SHA256_HEX = 65 /* with the NUL */ };

/* As read(2): 0 at the end, -1 with errno. */
typedef ssize_t pixi_image_read(void *context, void *out, size_t len);

struct pixi_image_spool {
    int fd;        /* owned; -1: none */
    uint64_t used; /* bytes */
};

/* pixi_image_spool_open -- in the folder dir.   PIXI_OK | PIXI_E_SYS: errno is kept */
int pixi_image_spool_open(struct pixi_image_spool *s, const char *dir);
void pixi_image_spool_close(struct pixi_image_spool *s);

/* pixi_image_spool_take -- everything that read gives.
 *
 *   PIXI_OK | PIXI_E_LIMIT: over PIXI_IMAGE_BYTES_MAX
 *   PIXI_E_SYS      read failed, errno is kept
 *   PIXI_E_STORAGE  it could not be kept, errno says why */
int pixi_image_spool_take(struct pixi_image_spool *s, pixi_image_read *read_more, void *context,
                          uint64_t *offset, uint64_t *size, uint8_t sha256[PIXI_SHA256_LEN]);

/* pixi_image_hex -- a SHA-256 as 64 lower-case digits and a NUL. */
void pixi_image_hex(const uint8_t sha256[PIXI_SHA256_LEN], char out[PIXI_SHA256_HEX]);

#endif
