/* build.h -- a description becomes an image: all of its outputs, or none. */
#ifndef PIXI_IMAGE_BUILD_H
#define PIXI_IMAGE_BUILD_H

#include "image/desc.h"
#include "image/sink.h"

#define PIXI_IMAGE_OUTPUT "build/image"

/* When an image was made, unless SOURCE_DATE_EPOCH says: 2026-01-01. */
#define PIXI_IMAGE_TIME UINT64_C(1767225600)

/* The outputs' files, NAME-VERSION before each; "vmlinuz" comes with the initramfs. */
enum { PIXI_IMAGE_MADE_MAX = PIXI_IMAGE_OUTPUTS + 1 };

struct pixi_image_made {
    char path[1024];
    uint64_t size;                /* bytes; of the OCI layout: of all its blobs */
    char digest[PIXI_SHA256_HEX]; /* SHA-256 of the file; of the OCI layout: of its manifest */
};

struct pixi_image_job {
    struct pixi_image_desc *desc; /* loaded */
    const char *output;           /* the folder; made where it is missing */
    const char *kernel;           /* the folder of the unpacked kernel */
    uint64_t time;
};

/* pixi_image_build -- makes what desc->output_set says. Everything is written to a folder beside, and takes its name when
 * all of it is complete: after any error what had these names before is as it was.
 *
 *   made      count entries are written
 *   mistakes  a line for each mistake
 *
 *   PIXI_OK
 *   PIXI_E_SETTINGS  pixi_image_assemble's; no kernel; another build is writing there
 *   PIXI_E_SYS       writing failed (a line says where and why)
 *   PIXI_E_LIMIT | PIXI_E_NOMEM */
int pixi_image_build(const struct pixi_image_job *job, struct pixi_image_made made[PIXI_IMAGE_MADE_MAX],
                     size_t *count, struct pixi_buf *mistakes);

#endif
