/* sink.h -- a file that is written from front to back, hashed on the way, and perhaps compressed. */
#ifndef PIXI_IMAGE_SINK_H
#define PIXI_IMAGE_SINK_H

#include "image/spool.h"

enum pixi_image_packing { PIXI_IMAGE_PLAIN, PIXI_IMAGE_GZIP, PIXI_IMAGE_ZSTD };

struct pixi_image_sink; /* private */

struct pixi_image_written {
    uint8_t plain[PIXI_SHA256_LEN];  /* of what was put */
    uint8_t packed[PIXI_SHA256_LEN]; /* of the file: the same where nothing is packed */
    uint64_t size;                   /* bytes of the file */
};

/* pixi_image_sink_open -- a new file at path, mode 0644. NULL: errno says why.
 *   packing  PIXI_IMAGE_ZSTD is what an archive does itself: here it is as PIXI_IMAGE_PLAIN */
struct pixi_image_sink *pixi_image_sink_open(const char *path, enum pixi_image_packing packing);

/* pixi_image_sink_put -- PIXI_OK | PIXI_E_SYS: errno is kept | PIXI_E_NOMEM. An error is final. */
int pixi_image_sink_put(struct pixi_image_sink *s, const void *bytes, size_t len);

/* pixi_image_sink_close -- the rest is written and synced to the disk; the sink is gone. out may be NULL: what there is is
 * no good any more, and nothing more is written.   PIXI_OK | the error of put | PIXI_E_SYS */
int pixi_image_sink_close(struct pixi_image_sink *s, struct pixi_image_written *out);

#endif
