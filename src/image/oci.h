/* oci.h -- an image as an OCI image layout: a folder of blobs, each under its SHA-256.   OCI image specification 1.0 */
#ifndef PIXI_IMAGE_OCI_H
#define PIXI_IMAGE_OCI_H

#include "image/desc.h"
#include "image/sink.h"

enum { PIXI_OCI_DIGEST = 7 + PIXI_SHA256_HEX, PIXI_OCI_LAYERS_MAX = 127 };

struct pixi_oci_layer {
    char digest[PIXI_OCI_DIGEST];  /* "sha256:...", of the blob */
    char diff_id[PIXI_OCI_DIGEST]; /* of the tar in it */
    char media_type[96];
    uint64_t size; /* bytes of the blob */
};

struct pixi_oci {
    char folder[1024];
    char manifest[PIXI_OCI_DIGEST];
    struct pixi_buf config; /* the image's configuration, JSON */
    struct pixi_oci_layer layers[PIXI_OCI_LAYERS_MAX];
    size_t count; /* layers, the lowest first */
};

/* pixi_oci_is_layout -- is there an oci-layout in this folder? */
bool pixi_oci_is_layout(const char *folder);

/* pixi_oci_open -- reads index, manifest and configuration; of several images the one for linux/amd64. Layers are not looked
 * at. pixi_oci_clear is due on any answer.
 *
 *   place  the folder, or FOLDER:NAME for the image of that name (org.opencontainers.image.ref.name)
 *   why    one phrase: what was found, and what was expected
 *
 *   PIXI_OK | PIXI_E_SETTINGS | PIXI_E_NOMEM */
int pixi_oci_open(struct pixi_oci *o, const char *place, struct pixi_buf *why);
void pixi_oci_clear(struct pixi_oci *o);

/* pixi_oci_blob -- the path of a blob; the digest is "sha256:" and 64 digits (else false). */
bool pixi_oci_blob(const char *folder, const char *digest, char *out, size_t len);

/* pixi_oci_check_blob -- do the file's bytes have this digest?   PIXI_OK | PIXI_E_SETTINGS (why is set) */
int pixi_oci_check_blob(const char *folder, const char *digest, struct pixi_buf *why);

/* A new layout: the base's layers, and one above them. */
struct pixi_oci_new {
    struct pixi_image_desc *desc;
    const struct pixi_oci *base; /* NULL: none */
    const char *entrypoint;      /* a path in the image; NULL: none */
    uint64_t time;               /* when it was made, seconds since 1970 */
};

/* pixi_oci_begin -- makes the folder with its blobs, without any. The layer is to be written to pixi_oci_layer_path.
 *   PIXI_OK | PIXI_E_SYS: errno is kept */
int pixi_oci_begin(const char *folder);
void pixi_oci_layer_path(const char *folder, char *out, size_t len);

/* pixi_oci_end -- puts the layer and the base's under their digests, writes configuration, manifest and index.
 *
 *   layer  what was written to pixi_oci_layer_path
 *
 *   PIXI_OK | PIXI_E_SETTINGS: a blob of the base is broken (why) | PIXI_E_SYS: errno is kept | PIXI_E_NOMEM */
int pixi_oci_end(const char *folder, const struct pixi_oci_new *n, const struct pixi_image_written *layer,
                 struct pixi_buf *why);

#endif
