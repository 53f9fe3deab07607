#include "image/oci.h"

#include "base/member.h"
#include "image/time.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { JSON_MAX = 8 << 20, PIECE = 64 << 10 };

static const char layer_type[] = "application/vnd.oci.image.layer.v1.tar+gzip";
static const char config_type[] = "application/vnd.oci.image.config.v1+json";
static const char manifest_type[] = "application/vnd.oci.image.manifest.v1+json";

int pixi_oci_begin(const char *folder)
{
    char path[2048];

    if (mkdir(folder, 0755) != 0)
        return PIXI_E_SYS;
    snprintf(path, sizeof path, "%s/blobs", folder);
    if (mkdir(path, 0755) != 0)
        return PIXI_E_SYS;
    snprintf(path, sizeof path, "%s/blobs/sha256", folder);
    return mkdir(path, 0755) == 0 ? PIXI_OK : PIXI_E_SYS;
}

void pixi_oci_layer_path(const char *folder, char *out, size_t len)
{
    snprintf(out, len, "%s/blobs/sha256/layer", folder);
}

static void put_member(struct pixi_json_out *w, const char *name, const char *value)
{
    pixi_json_name(w, name);
    pixi_json_text(w, value);
}

static void put_words(struct pixi_json_out *w, const char *name, const char *first,
                      const struct pixi_conf_strings *words)
{
    pixi_json_name(w, name);
    pixi_json_open_array(w);
    if (first)
        pixi_json_text(w, first);
    for (size_t i = 0; words && i < words->count; i++)
        pixi_json_string(w, words->at[i]);
    pixi_json_close_array(w);
}

static bool base_member(const struct pixi_oci_new *n, const char *name, struct pixi_cur *out)
{
    enum pixi_json_type type;
    struct pixi_cur config;

    return n->base && pixi_member_get(pixi_buf_cur(&n->base->config), "config", &type, &config) &&
           pixi_member_get(config, name, &type, out) && type != PIXI_JSON_NULL;
}

/* What the description does not say is as in the base. True: so it is. */
static bool put_base(const struct pixi_oci_new *n, const char *path, const char *name,
                     struct pixi_json_out *w)
{
    struct pixi_cur value;

    if ((path && pixi_conf_is_set(&n->desc->conf, path)) || !base_member(n, name, &value))
        return false;
    pixi_json_name(w, name);
    pixi_json_raw(w, value);
    return true;
}

/* The name of label i of the description: what stands before its '='. */
static struct pixi_cur label_name(const struct pixi_image_desc *d, size_t i)
{
    struct pixi_cur c = d->container.labels.at[i];

    return (struct pixi_cur){c.p, memchr(c.p, '=', pixi_cur_left(&c))};
}

static bool has_label(const struct pixi_image_desc *d, struct pixi_cur name, size_t from)
{
    for (size_t i = from; i < d->container.labels.count; i++)
        if (pixi_cur_equals(label_name(d, i), name))
            return true;
    return false;
}

static void name_raw(struct pixi_json_out *w, struct pixi_cur name)
{
    char text[1024];

    snprintf(text, sizeof text, "%.*s", (int)pixi_cur_left(&name), name.p);
    pixi_json_name(w, text);
}

static void put_base_labels(const struct pixi_oci_new *n, struct pixi_json_out *w)
{
    struct pixi_json r;
    struct pixi_json_token name, t;
    struct pixi_cur labels, value;

    if (!base_member(n, "Labels", &labels))
        return;
    pixi_json_init(&r, labels.p, pixi_cur_left(&labels), PIXI_JSON_DEPTH_MAX);
    if (pixi_json_next(&r, &t) != PIXI_OK || t.type != PIXI_JSON_OBJECT)
        return;
    while (pixi_json_next(&r, &name) == PIXI_OK && name.type == PIXI_JSON_NAME &&
           pixi_json_next(&r, &t) == PIXI_OK && pixi_json_skip(&r, &t, &value) == PIXI_OK)
        if (!name.is_escaped && !has_label(n->desc, name.text, 0) &&
            !pixi_json_is(&name, "org.opencontainers.image.version")) {
            name_raw(w, name.text);
            pixi_json_raw(w, value);
        }
}

static void put_labels(const struct pixi_oci_new *n, struct pixi_json_out *w)
{
    const struct pixi_conf_strings *labels = &n->desc->container.labels;

    pixi_json_name(w, "Labels");
    pixi_json_open_object(w);
    put_base_labels(n, w);
    for (size_t i = 0; i < labels->count; i++) {
        struct pixi_cur name = label_name(n->desc, i);

        if (has_label(n->desc, name, i + 1))
            continue; /* the last one holds */
        name_raw(w, name);
        pixi_json_string(w, (struct pixi_cur){name.end + 1, labels->at[i].end});
    }
    if (!has_label(n->desc, pixi_cur_str("org.opencontainers.image.version"), 0))
        put_member(w, "org.opencontainers.image.version", n->desc->version);
    pixi_json_close_object(w);
}

/* Docker's extension; podman reads it, too. Times are nanoseconds. */
static void put_health(const struct pixi_oci_new *n, struct pixi_json_out *w)
{
    static const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"Interval", 30000000000}, {"Timeout", 10000000000}, {"StartPeriod", 5000000000}, {"Retries", 3}};

    if (put_base(n, "container.health", "Healthcheck", w) || n->desc->container.health.count == 0)
        return;
    pixi_json_name(w, "Healthcheck");
    pixi_json_open_object(w);
    put_words(w, "Test", "CMD", &n->desc->container.health);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        pixi_json_name(w, numbers[i].name);
        pixi_json_number(w, numbers[i].value);
    }
    pixi_json_close_object(w);
}

/* A command goes with its entry point: both are the description's, or both the base's. */
static void put_command(const struct pixi_oci_new *n, struct pixi_json_out *w)
{
    static const char command[] = "container.command";
    bool has_command = put_base(n, command, "Cmd", w), has_entry = put_base(n, command, "Entrypoint", w);

    if (has_command || has_entry)
        return;
    if (n->entrypoint)
        put_words(w, "Entrypoint", n->entrypoint, NULL);
    if (n->desc->container.command.count)
        put_words(w, "Cmd", NULL, &n->desc->container.command);
}

static void put_run(const struct pixi_oci_new *n, struct pixi_json_out *w)
{
    pixi_json_name(w, "config");
    pixi_json_open_object(w);
    if (!put_base(n, "container.user", "User", w))
        put_member(w, "User", n->desc->container.user);
    if (!put_base(n, NULL, "Env", w))
        put_words(w, "Env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL);
    put_command(n, w);
    if (!put_base(n, NULL, "WorkingDir", w))
        put_member(w, "WorkingDir", "/");
    put_labels(n, w);
    if (!put_base(n, "container.stop_signal", "StopSignal", w))
        put_member(w, "StopSignal", n->desc->container.stop_signal);
    put_health(n, w);
    pixi_json_close_object(w);
}

static void put_rootfs(const struct pixi_oci_new *n, const char *diff_id, struct pixi_json_out *w)
{
    pixi_json_name(w, "rootfs");
    pixi_json_open_object(w);
    put_member(w, "type", "layers");
    pixi_json_name(w, "diff_ids");
    pixi_json_open_array(w);
    for (size_t i = 0; n->base && i < n->base->count; i++)
        pixi_json_text(w, n->base->layers[i].diff_id);
    pixi_json_text(w, diff_id);
    pixi_json_close_array(w);
    pixi_json_close_object(w);
}

/* A line for each layer: what made the base's is not told anew. */
static void put_history(const struct pixi_oci_new *n, const char *created, struct pixi_json_out *w)
{
    pixi_json_name(w, "history");
    pixi_json_open_array(w);
    for (size_t i = 0; i <= (n->base ? n->base->count : 0); i++) {
        bool is_own = i == (n->base ? n->base->count : 0);

        pixi_json_open_object(w);
        put_member(w, "created", created);
        put_member(w, "created_by", is_own ? "geom-image build" : "the base");
        pixi_json_close_object(w);
    }
    pixi_json_close_array(w);
}

static void put_config(const struct pixi_oci_new *n, const char *diff_id, struct pixi_buf *out)
{
    struct pixi_json_out w = pixi_json_out_init(out);
    char created[PIXI_IMAGE_TIME_TEXT];

    pixi_image_time_text(n->time, created);
    pixi_json_open_object(&w);
    put_member(&w, "created", created);
    put_member(&w, "architecture", "amd64");
    put_member(&w, "os", "linux");
    put_run(n, &w);
    put_rootfs(n, diff_id, &w);
    put_history(n, created, &w);
    pixi_json_close_object(&w);
}

static void put_descriptor(struct pixi_json_out *w, const char *type, const char *digest, uint64_t size)
{
    pixi_json_open_object(w);
    put_member(w, "mediaType", type);
    put_member(w, "digest", digest);
    pixi_json_name(w, "size");
    pixi_json_number(w, size);
}

static void put_manifest(const struct pixi_oci_new *n, const struct pixi_oci_layer *config,
                         const struct pixi_oci_layer *layer, struct pixi_buf *out)
{
    struct pixi_json_out w = pixi_json_out_init(out);

    pixi_json_open_object(&w);
    pixi_json_name(&w, "schemaVersion");
    pixi_json_number(&w, 2);
    put_member(&w, "mediaType", manifest_type);
    pixi_json_name(&w, "config");
    put_descriptor(&w, config_type, config->digest, config->size);
    pixi_json_close_object(&w);
    pixi_json_name(&w, "layers");
    pixi_json_open_array(&w);
    for (size_t i = 0; n->base && i < n->base->count; i++) {
        put_descriptor(&w, n->base->layers[i].media_type, n->base->layers[i].digest, n->base->layers[i].size);
        pixi_json_close_object(&w);
    }
    put_descriptor(&w, layer->media_type, layer->digest, layer->size);
    pixi_json_close_object(&w);
    pixi_json_close_array(&w);
    pixi_json_close_object(&w);
}

static void put_index(const struct pixi_oci_new *n, const struct pixi_oci_layer *manifest,
                      struct pixi_buf *out)
{
    struct pixi_json_out w = pixi_json_out_init(out);

    pixi_json_open_object(&w);
    pixi_json_name(&w, "schemaVersion");
    pixi_json_number(&w, 2);
    put_member(&w, "mediaType", "application/vnd.oci.image.index.v1+json");
    pixi_json_name(&w, "manifests");
    pixi_json_open_array(&w);
    put_descriptor(&w, manifest_type, manifest->digest, manifest->size);
    pixi_json_name(&w, "platform");
    pixi_json_open_object(&w);
    put_member(&w, "architecture", "amd64");
    put_member(&w, "os", "linux");
    pixi_json_close_object(&w);
    pixi_json_name(&w, "annotations");
    pixi_json_open_object(&w);
    put_member(&w, "org.opencontainers.image.ref.name", n->desc->version);
    pixi_json_close_object(&w);
    pixi_json_close_object(&w);
    pixi_json_close_array(&w);
    pixi_json_close_object(&w);
}

static void put_digest(const uint8_t sha256[PIXI_SHA256_LEN], char out[PIXI_OCI_DIGEST])
{
    memcpy(out, "sha256:", 7);
    pixi_image_hex(sha256, out + 7);
}

static int write_file(const char *path, struct pixi_cur bytes, struct pixi_image_written *written)
{
    struct pixi_image_sink *s = pixi_image_sink_open(path, PIXI_IMAGE_PLAIN);

    if (!s)
        return PIXI_E_SYS;
    pixi_image_sink_put(s, bytes.p, pixi_cur_left(&bytes));
    return pixi_image_sink_close(s, written);
}

static int name_blob(const char *folder, const char *path, const struct pixi_image_written *written,
                     struct pixi_oci_layer *out)
{
    char named[2048];

    put_digest(written->packed, out->digest);
    put_digest(written->plain, out->diff_id);
    out->size = written->size;
    return pixi_oci_blob(folder, out->digest, named, sizeof named) && rename(path, named) == 0 ? PIXI_OK
                                                                                               : PIXI_E_SYS;
}

static int write_blob(const char *folder, const struct pixi_buf *b, struct pixi_oci_layer *out)
{
    struct pixi_image_written written;
    char path[2048];
    int rc;

    if (b->err != PIXI_OK)
        return b->err;
    snprintf(path, sizeof path, "%s/blobs/sha256/json", folder);
    rc = write_file(path, pixi_buf_cur(b), &written);
    return rc == PIXI_OK ? name_blob(folder, path, &written, out) : rc;
}

/* A blob of the base, which has to be what its name says. */
static int copy_blob(const char *folder, const struct pixi_oci *base, const char *digest,
                     struct pixi_buf *why)
{
    char from[2048], to[2048];
    struct pixi_image_sink *s;
    struct pixi_image_written written;
    uint8_t piece[PIECE];
    ssize_t n;
    int fd, rc = pixi_oci_check_blob(base->folder, digest, why);

    if (rc != PIXI_OK)
        return rc;
    pixi_oci_blob(base->folder, digest, from, sizeof from);
    pixi_oci_blob(folder, digest, to, sizeof to);
    if (access(to, F_OK) == 0)
        return PIXI_OK; /* a layer may be there twice */
    fd = open(from, O_RDONLY | O_CLOEXEC);
    s = fd < 0 ? NULL : pixi_image_sink_open(to, PIXI_IMAGE_PLAIN);
    rc = s ? PIXI_OK : PIXI_E_SYS;
    while (rc == PIXI_OK && (n = read(fd, piece, sizeof piece)) != 0)
        rc = n < 0 ? PIXI_E_SYS : pixi_image_sink_put(s, piece, (size_t)n);
    if (s && rc == PIXI_OK)
        rc = pixi_image_sink_close(s, &written);
    else if (s)
        pixi_image_sink_close(s, NULL);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int write_ends(const char *folder, const struct pixi_buf *index)
{
    struct pixi_image_written written;
    char path[2048];
    int rc = index->err;

    snprintf(path, sizeof path, "%s/index.json", folder);
    if (rc == PIXI_OK)
        rc = write_file(path, pixi_buf_cur(index), &written);
    snprintf(path, sizeof path, "%s/oci-layout", folder);
    return rc == PIXI_OK ? write_file(path, pixi_cur_str("{\"imageLayoutVersion\":\"1.0.0\"}"), &written)
                         : rc;
}

int pixi_oci_end(const char *folder, const struct pixi_oci_new *n, const struct pixi_image_written *written,
                 struct pixi_buf *why)
{
    struct pixi_oci_layer layer = {.size = 0}, config = layer, manifest = layer;
    struct pixi_buf b = pixi_buf_init(JSON_MAX);
    char path[2048];
    int rc = PIXI_OK;

    for (size_t i = 0; n->base && i < n->base->count && rc == PIXI_OK; i++)
        rc = copy_blob(folder, n->base, n->base->layers[i].digest, why);
    pixi_oci_layer_path(folder, path, sizeof path);
    if (rc == PIXI_OK)
        rc = name_blob(folder, path, written, &layer);
    snprintf(layer.media_type, sizeof layer.media_type, "%s", layer_type);
    if (rc == PIXI_OK) {
        put_config(n, layer.diff_id, &b);
        rc = write_blob(folder, &b, &config);
    }
    if (rc == PIXI_OK) {
        pixi_buf_reset(&b);
        put_manifest(n, &config, &layer, &b);
        rc = write_blob(folder, &b, &manifest);
    }
    if (rc == PIXI_OK) {
        pixi_buf_reset(&b);
        put_index(n, &manifest, &b);
        rc = write_ends(folder, &b);
    }
    pixi_buf_clear(&b);
    return rc;
}
