#include "image/oci.h"

#include "base/file.h"
#include "base/member.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { JSON_MAX = 4 << 20, PIECE = 64 << 10 };

static const char prefix[] = "sha256:";

bool pixi_oci_blob(const char *folder, const char *digest, char *out, size_t len)
{
    const char *hex = digest + strlen(prefix);

    return strncmp(digest, prefix, strlen(prefix)) == 0 && strlen(hex) == PIXI_SHA256_HEX - 1 &&
           strspn(hex, "0123456789abcdef") == PIXI_SHA256_HEX - 1 &&
           snprintf(out, len, "%s/blobs/sha256/%s", folder, hex) < (int)len;
}

static bool hash_file(const char *path, uint8_t sha256[PIXI_SHA256_LEN])
{
    EVP_MD_CTX *h = EVP_MD_CTX_new();
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is_good = h && fd >= 0 && EVP_DigestInit_ex(h, EVP_sha256(), NULL) == 1;
    uint8_t piece[PIECE];
    ssize_t n = 0;

    while (is_good && (n = read(fd, piece, sizeof piece)) > 0)
        is_good = EVP_DigestUpdate(h, piece, (size_t)n) == 1;
    is_good = is_good && n == 0 && EVP_DigestFinal_ex(h, sha256, NULL) == 1;
    if (fd >= 0)
        close(fd);
    EVP_MD_CTX_free(h);
    return is_good;
}

int pixi_oci_check_blob(const char *folder, const char *digest, struct pixi_buf *why)
{
    uint8_t sha256[PIXI_SHA256_LEN];
    char path[2048], hex[PIXI_SHA256_HEX];

    if (!pixi_oci_blob(folder, digest, path, sizeof path)) {
        pixi_buf_putf(why, "found \"%.80s\" for a digest, expected sha256: and 64 digits", digest);
        return PIXI_E_SETTINGS;
    }
    if (!hash_file(path, sha256)) {
        pixi_buf_putf(why, "found no blob %s: %s", path, strerror(errno));
        return PIXI_E_SETTINGS;
    }
    pixi_image_hex(sha256, hex);
    if (strcmp(hex, digest + strlen(prefix)) == 0)
        return PIXI_OK;
    pixi_buf_putf(why, "found other bytes in %s than its name says (SHA-256 %s): the layout is broken", path,
                  hex);
    return PIXI_E_SETTINGS;
}

static int refuse(struct pixi_buf *why, const char *what)
{
    pixi_buf_put_str(why, what);
    return PIXI_E_SETTINGS;
}

/* A JSON file of the layout. */
static int read_json(const char *path, struct pixi_buf *out, struct pixi_buf *why)
{
    int rc;

    pixi_buf_reset(out);
    rc = pixi_file_read(path, out, NULL);
    if (rc != PIXI_OK) {
        pixi_buf_putf(why, "found %s at %s", pixi_file_found(rc), path);
        return rc == PIXI_E_NOMEM ? rc : PIXI_E_SETTINGS;
    }
    if (pixi_json_check(out->bytes, out->len, PIXI_JSON_DEPTH_MAX, NULL) == PIXI_OK)
        return PIXI_OK;
    pixi_buf_putf(why, "found something else than JSON in %s", path);
    return PIXI_E_SETTINGS;
}

static int read_blob(const struct pixi_oci *o, const char *digest, struct pixi_buf *out, struct pixi_buf *why)
{
    char path[2048];
    int rc = pixi_oci_check_blob(o->folder, digest, why);

    return rc == PIXI_OK && pixi_oci_blob(o->folder, digest, path, sizeof path) ? read_json(path, out, why)
                                                                                : rc;
}

/* Element i of an array. */
static bool element(struct pixi_cur array, size_t i, struct pixi_cur *out)
{
    struct pixi_json r;
    struct pixi_json_token t;

    pixi_json_init(&r, array.p, pixi_cur_left(&array), PIXI_JSON_DEPTH_MAX);
    if (pixi_json_next(&r, &t) != PIXI_OK || t.type != PIXI_JSON_ARRAY)
        return false;
    for (size_t at = 0;; at++) {
        if (pixi_json_next(&r, &t) != PIXI_OK || t.type == PIXI_JSON_ARRAY_END ||
            pixi_json_skip(&r, &t, out) != PIXI_OK)
            return false;
        if (at == i)
            return true;
    }
}

static bool member(struct pixi_cur object, const char *name, struct pixi_cur *out)
{
    enum pixi_json_type type;

    return pixi_member_get(object, name, &type, out);
}

static bool member_is(struct pixi_cur object, const char *name, const char *value)
{
    char text[256];

    return pixi_member_string(object, name, text, sizeof text) && strcmp(text, value) == 0;
}

static bool is_wanted(struct pixi_cur descriptor, const char *ref)
{
    struct pixi_cur part;

    if (member(descriptor, "platform", &part) &&
        (!member_is(part, "os", "linux") || !member_is(part, "architecture", "amd64")))
        return false;
    if (!*ref)
        return true;
    return member(descriptor, "annotations", &part) &&
           member_is(part, "org.opencontainers.image.ref.name", ref);
}

/* The digest of the image of this name in an index; an index may be in an index. */
static bool find_manifest(struct pixi_cur index, const char *ref, char digest[PIXI_OCI_DIGEST],
                          bool *is_index)
{
    struct pixi_cur manifests, one;
    char type[128] = "";

    if (!member(index, "manifests", &manifests))
        return false;
    for (size_t i = 0; element(manifests, i, &one); i++) {
        if (!is_wanted(one, ref) || !pixi_member_string(one, "digest", digest, PIXI_OCI_DIGEST))
            continue;
        pixi_member_string(one, "mediaType", type, sizeof type);
        *is_index = strcmp(type, "application/vnd.oci.image.index.v1+json") == 0 ||
                    strcmp(type, "application/vnd.docker.distribution.manifest.list.v2+json") == 0;
        return true;
    }
    return false;
}

static bool read_layer(struct pixi_cur manifest, struct pixi_cur diff_ids, size_t i,
                       struct pixi_oci_layer *out)
{
    struct pixi_cur layers, one, text;
    int64_t size;
    size_t used;

    if (!member(manifest, "layers", &layers) || !element(layers, i, &one) ||
        !pixi_member_string(one, "digest", out->digest, sizeof out->digest) ||
        !pixi_member_string(one, "mediaType", out->media_type, sizeof out->media_type) ||
        !pixi_member_int(one, "size", &size) || size < 0 || !element(diff_ids, i, &text) ||
        pixi_cur_left(&text) != PIXI_OCI_DIGEST + 1)
        return false;
    out->size = (uint64_t)size;
    if (strcmp(out->media_type, "application/vnd.docker.image.rootfs.diff.tar.gzip") == 0)
        snprintf(out->media_type, sizeof out->media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
    text.p++;
    text.end--;
    if (pixi_json_decode(text, (uint8_t *)out->diff_id, &used) != PIXI_OK)
        return false;
    out->diff_id[used] = 0;
    return used == PIXI_OCI_DIGEST - 1;
}

static int read_layers(struct pixi_oci *o, struct pixi_cur manifest, struct pixi_buf *why)
{
    struct pixi_cur rootfs, diff_ids, layers, one;

    if (!member(manifest, "layers", &layers) || !member(pixi_buf_cur(&o->config), "rootfs", &rootfs) ||
        !member(rootfs, "diff_ids", &diff_ids))
        return refuse(why, "found a manifest or a configuration without layers");
    for (o->count = 0; element(layers, o->count, &one); o->count++) {
        if (o->count == PIXI_OCI_LAYERS_MAX)
            return refuse(why, "found more than 127 layers, expected fewer");
        if (!read_layer(manifest, diff_ids, o->count, &o->layers[o->count]))
            return refuse(why, "found a layer without digest, size, type or diff_id");
    }
    return PIXI_OK;
}

static int read_manifest(struct pixi_oci *o, const char *ref, struct pixi_buf *text, struct pixi_buf *why)
{
    char digest[PIXI_OCI_DIGEST], path[2048];
    struct pixi_cur config;
    bool is_index = true;
    int rc;

    snprintf(path, sizeof path, "%s/index.json", o->folder);
    rc = read_json(path, text, why);
    for (int depth = 0; rc == PIXI_OK && is_index; depth++) {
        if (depth == 4 || !find_manifest(pixi_buf_cur(text), depth ? "" : ref, digest, &is_index)) {
            pixi_buf_putf(why, "found no image %s%sfor linux/amd64 in %s", *ref ? ref : "", *ref ? " " : "",
                          path);
            return PIXI_E_SETTINGS;
        }
        rc = read_blob(o, digest, text, why);
    }
    if (rc != PIXI_OK)
        return rc;
    snprintf(o->manifest, sizeof o->manifest, "%s", digest);
    if (!member(pixi_buf_cur(text), "config", &config) ||
        !pixi_member_string(config, "digest", digest, sizeof digest))
        return refuse(why, "found a manifest without a configuration");
    rc = read_blob(o, digest, &o->config, why);
    return rc == PIXI_OK ? read_layers(o, pixi_buf_cur(text), why) : rc;
}

bool pixi_oci_is_layout(const char *folder)
{
    char path[2048];

    return snprintf(path, sizeof path, "%s/oci-layout", folder) < (int)sizeof path && access(path, F_OK) == 0;
}

int pixi_oci_open(struct pixi_oci *o, const char *place, struct pixi_buf *why)
{
    const char *colon = strrchr(place, ':'), *ref = "";
    struct pixi_buf text = pixi_buf_init(JSON_MAX);
    int rc;

    *o = (struct pixi_oci){.config = pixi_buf_init(JSON_MAX)};
    snprintf(o->folder, sizeof o->folder, "%s", place);
    if (!pixi_oci_is_layout(o->folder) && colon) {
        snprintf(o->folder, sizeof o->folder, "%.*s", (int)(colon - place), place);
        ref = colon + 1;
    }
    if (!pixi_oci_is_layout(o->folder)) {
        pixi_buf_putf(why, "found no oci-layout in %s", o->folder);
        return PIXI_E_SETTINGS;
    }
    rc = read_manifest(o, ref, &text, why);
    pixi_buf_clear(&text);
    return rc;
}

void pixi_oci_clear(struct pixi_oci *o)
{
    pixi_buf_clear(&o->config);
}
