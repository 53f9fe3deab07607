#include "image/build.h"

#include "base/file.h"
#include "image/archive.h"
#include "image/assemble.h"
#include "image/guest.h"
#include "image/record.h"
#include "image/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct build {
    const struct pixi_image_job *job;
    struct pixi_image_desc *d;
    struct pixi_stage stage;
    struct pixi_image_tree tree;
    struct pixi_oci base;
    struct pixi_packages here, packages;
    struct pixi_image_kernel kernel;
    struct pixi_image_made *made;
    size_t *count;
    struct pixi_buf *mistakes;
};

static int tell_failed(struct build *b, int rc, const char *path)
{
    if (rc == PIXI_E_SYS)
        pixi_buf_putf(b->mistakes, "geom-image: writing %s failed: %s; nothing was changed\n", path,
                      strerror(errno));
    return rc;
}

/* Where to write the output with this ending; its entry in made is begun. */
static int begin(struct build *b, const char *ending, char path[PIXI_STAGE_PATH])
{
    struct pixi_image_made *m = &b->made[*b->count];
    char name[256];

    snprintf(name, sizeof name, "%s-%s.%s", b->d->name, b->d->version, ending);
    if (!pixi_stage_path(&b->stage, name, path)) {
        errno = ENAMETOOLONG;
        return tell_failed(b, PIXI_E_SYS, name);
    }
    snprintf(m->path, sizeof m->path, "%s/%s", b->stage.folder, name);
    return PIXI_OK;
}

static void end(struct build *b, const struct pixi_image_written *written)
{
    struct pixi_image_made *m = &b->made[(*b->count)++];

    m->size = written->size;
    pixi_image_hex(written->packed, m->digest);
}

static int write_archive(struct build *b, const char *ending, const struct pixi_image_archive *how)
{
    struct pixi_image_written written;
    char path[PIXI_STAGE_PATH];
    int rc = begin(b, ending, path);

    if (rc == PIXI_OK)
        rc = tell_failed(b, pixi_image_archive_write(&b->tree, how, path, &written), path);
    if (rc == PIXI_OK)
        end(b, &written);
    return rc;
}

static int write_rootfs(struct build *b)
{
    return write_archive(b, "rootfs.tar", &(struct pixi_image_archive){.time = b->job->time});
}

static int write_vmlinuz(struct build *b)
{
    struct pixi_image_written written;
    char path[PIXI_STAGE_PATH];
    struct pixi_image_sink *s;
    uint8_t piece[64 << 10];
    ssize_t n;
    int rc = begin(b, "vmlinuz", path), fd;

    if (rc != PIXI_OK)
        return rc;
    fd = open(b->kernel.image, O_RDONLY | O_CLOEXEC);
    s = fd < 0 ? NULL : pixi_image_sink_open(path, PIXI_IMAGE_PLAIN);
    rc = s ? PIXI_OK : PIXI_E_SYS;
    while (rc == PIXI_OK && (n = read(fd, piece, sizeof piece)) != 0)
        rc = n < 0 ? PIXI_E_SYS : pixi_image_sink_put(s, piece, (size_t)n);
    if (s)
        rc = rc == PIXI_OK ? pixi_image_sink_close(s, &written) : (pixi_image_sink_close(s, NULL), rc);
    tell_failed(b, rc, fd < 0 ? b->kernel.image : path);
    if (fd >= 0)
        close(fd);
    if (rc == PIXI_OK)
        end(b, &written);
    return rc;
}

static int write_initramfs(struct build *b)
{
    int rc = write_archive(b, "initramfs.cpio.zst",
                           &(struct pixi_image_archive){.format = PIXI_IMAGE_CPIO,
                                                        .packing = PIXI_IMAGE_ZSTD,
                                                        .where = PIXI_IMAGE_INITRAMFS_ONLY,
                                                        .time = b->job->time});

    return rc == PIXI_OK ? write_vmlinuz(b) : rc;
}

/* What was made, by a look at it: the base's layers count, too. */
static int measure_oci(struct build *b, const char *path)
{
    struct pixi_image_made *m = &b->made[(*b->count)++];
    struct pixi_buf why = pixi_buf_init(4096);
    struct pixi_oci o;
    int rc = pixi_oci_open(&o, path, &why);

    m->size = o.config.len;
    for (size_t i = 0; i < o.count; i++)
        m->size += o.layers[i].size;
    if (rc == PIXI_OK)
        memcpy(m->digest, o.manifest + strlen("sha256:"), sizeof m->digest);
    if (rc != PIXI_OK)
        pixi_buf_putf(b->mistakes, "geom-image: %s is not what was written: %.*s\n", path, (int)why.len,
                      why.bytes);
    pixi_oci_clear(&o);
    pixi_buf_clear(&why);
    return rc;
}

static int write_oci(struct build *b)
{
    const struct pixi_oci *base = b->base.count ? &b->base : NULL;
    struct pixi_oci_new n = {.desc = b->d, .base = base, .time = b->job->time};
    struct pixi_image_archive how = {.packing = PIXI_IMAGE_GZIP,
                                     .from = base ? PIXI_IMAGE_IMPLIED : PIXI_IMAGE_OF_BASE,
                                     .time = b->job->time};
    struct pixi_image_written written;
    struct pixi_buf why = pixi_buf_init(4096);
    char path[PIXI_STAGE_PATH], layer[PIXI_STAGE_PATH + 64];
    int rc = begin(b, "oci", path);

    n.entrypoint = pixi_image_tree_follow(&b->tree, PIXI_IMAGE_ENTRY) ? PIXI_IMAGE_ENTRY : NULL;
    if (rc == PIXI_OK)
        rc = tell_failed(b, pixi_oci_begin(path), path);
    pixi_oci_layer_path(path, layer, sizeof layer);
    if (rc == PIXI_OK)
        rc = tell_failed(b, pixi_image_archive_write(&b->tree, &how, layer, &written), layer);
    if (rc == PIXI_OK)
        rc = tell_failed(b, pixi_oci_end(path, &n, &written, &why), path);
    if (why.len)
        pixi_image_desc_mistake(b->d, "base", b->mistakes, "%.*s", (int)why.len, why.bytes);
    pixi_buf_clear(&why);
    return rc == PIXI_OK ? measure_oci(b, path) : rc;
}

static int write_text(struct build *b, const char *ending, const struct pixi_buf *text)
{
    struct pixi_image_written written;
    char path[PIXI_STAGE_PATH];
    struct pixi_image_sink *s;
    int rc = begin(b, ending, path);

    if (rc != PIXI_OK)
        return rc;
    s = pixi_image_sink_open(path, PIXI_IMAGE_PLAIN);
    rc = s ? PIXI_OK : PIXI_E_SYS;
    if (s) {
        pixi_image_sink_put(s, text->bytes, text->len);
        rc = pixi_image_sink_close(s, &written);
    }
    if (tell_failed(b, rc, path) == PIXI_OK)
        end(b, &written);
    return rc;
}

static struct pixi_image_record record_of(const struct build *b)
{
    return (struct pixi_image_record){b->d, &b->tree, &b->packages, b->job->time};
}

static int write_sbom(struct build *b)
{
    struct pixi_buf text = pixi_buf_init(PIXI_IMAGE_RECORD_MAX);
    struct pixi_image_record r = record_of(b);
    int rc = tell_failed(b, pixi_image_spdx(&r, &text), "the bill of materials");

    if (rc == PIXI_OK)
        rc = write_text(b, "spdx.json", &text);
    pixi_buf_clear(&text);
    return rc;
}

static int write_manifest(struct build *b)
{
    struct pixi_buf text = pixi_buf_init(PIXI_IMAGE_RECORD_MAX);
    struct pixi_image_record r = record_of(b);
    int rc;

    pixi_image_manifest(&r, &text);
    rc = text.err == PIXI_OK ? write_text(b, "manifest.json", &text) : text.err;
    pixi_buf_clear(&text);
    return rc;
}

static int write_outputs(struct build *b)
{
    static int (*const writers[PIXI_IMAGE_OUTPUTS])(struct build *) = {
        [PIXI_IMAGE_ROOTFS] = write_rootfs,       [PIXI_IMAGE_OCI] = write_oci,
        [PIXI_IMAGE_INITRAMFS] = write_initramfs, [PIXI_IMAGE_SBOM] = write_sbom,
        [PIXI_IMAGE_MANIFEST] = write_manifest,
    };
    int rc = PIXI_OK;

    for (unsigned o = 0; rc == PIXI_OK && o < PIXI_IMAGE_OUTPUTS; o++)
        if (pixi_image_desc_makes(b->d, o))
            rc = writers[o](b);
    return rc;
}

static int open_stage(struct build *b)
{
    char name[160];
    int rc;

    snprintf(name, sizeof name, ".%s-%s.partial", b->d->name, b->d->version);
    rc = pixi_stage_open(&b->stage, b->job->output, name);
    if (rc != PIXI_OK && errno == EWOULDBLOCK)
        pixi_buf_putf(b->mistakes,
                      "geom-image: another geom-image build is writing to %s; wait for its end\n",
                      b->job->output);
    else if (rc != PIXI_OK)
        pixi_buf_putf(b->mistakes, "geom-image: %s cannot be written to: %s\n", b->job->output,
                      strerror(errno));
    return rc;
}

static int assemble(struct build *b)
{
    bool has_kernel = pixi_image_desc_makes(b->d, PIXI_IMAGE_INITRAMFS);
    struct pixi_image_parts parts = {
        b->d, has_kernel ? &b->kernel : NULL, &b->tree, &b->base, &b->here, &b->packages};
    int rc = PIXI_OK;

    if (has_kernel)
        rc = pixi_image_kernel_find(b->d, b->job->kernel, &b->kernel, b->mistakes);
    if (rc != PIXI_OK)
        return rc;
    rc = pixi_packages_load(&b->here, PIXI_DPKG);
    if (rc != PIXI_OK) {
        pixi_buf_putf(b->mistakes, "geom-image: reading %s/status failed: %s\n", PIXI_DPKG,
                      rc == PIXI_E_SYS ? strerror(errno) : pixi_err_text(rc));
        return rc;
    }
    return pixi_image_assemble(&parts, b->mistakes);
}

static int build_in_stage(struct build *b)
{
    int rc = tell_failed(b, pixi_image_tree_init(&b->tree, b->stage.work), b->stage.work);

    if (rc == PIXI_OK)
        rc = assemble(b);
    if (rc == PIXI_OK)
        rc = write_outputs(b);
    return rc == PIXI_OK ? tell_failed(b, pixi_stage_publish(&b->stage), b->stage.folder) : rc;
}

int pixi_image_build(const struct pixi_image_job *job, struct pixi_image_made made[PIXI_IMAGE_MADE_MAX],
                     size_t *count, struct pixi_buf *mistakes)
{
    struct build b = {.job = job, .d = job->desc, .made = made, .count = count, .mistakes = mistakes};
    int rc;

    *count = 0;
    b.tree.spool.fd = -1;
    pixi_packages_init(&b.here, PIXI_DPKG);
    pixi_packages_init(&b.packages, "");
    rc = open_stage(&b);
    if (rc == PIXI_OK)
        rc = build_in_stage(&b);
    pixi_stage_close(&b.stage);
    pixi_image_tree_clear(&b.tree);
    pixi_oci_clear(&b.base);
    pixi_packages_clear(&b.here);
    pixi_packages_clear(&b.packages);
    return rc;
}
