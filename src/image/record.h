/* record.h -- papers that go with an image: the manifest of its files, and the bill of materials in SPDX. */
#ifndef PIXI_IMAGE_RECORD_H
#define PIXI_IMAGE_RECORD_H

#include "image/packages.h"

enum { PIXI_IMAGE_RECORD_MAX = 256 << 20 };

struct pixi_image_record {
    const struct pixi_image_desc *desc;
    const struct pixi_image_tree *tree;
    const struct pixi_packages *packages; /* every package that a node names is here */
    uint64_t time;
};

/* pixi_image_manifest -- JSON: every file with type, mode, owner, size and SHA-256, and the hash of the settings. */
void pixi_image_manifest(const struct pixi_image_record *r, struct pixi_buf *out);

/* pixi_image_put_node -- the manifest's object about one node. */
void pixi_image_put_node(struct pixi_json_out *w, const struct pixi_image_node *n);

/* pixi_image_spdx -- SPDX 2.3 as JSON: the image, the packages in it, and every file with its checksums.
 *   PIXI_OK | PIXI_E_SYS: reading a file back failed | PIXI_E_NOMEM | PIXI_E_LIMIT */
int pixi_image_spdx(const struct pixi_image_record *r, struct pixi_buf *out);

/* pixi_image_licence -- the SPDX expression for a package's files, as far as its copyright file says it in Debian's machine
 * readable form (DEP 5): the licence of "Files: *", where SPDX knows that name. "NOASSERTION" else. */
const char *pixi_image_licence(struct pixi_cur copyright);

#endif
