#include "image/view.h"

#include "image/unpack.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

/* The outputs in a folder, by their endings; the first holds what a machine has. */
static const struct {
    const char *ending;
    bool is_oci;
} outputs[] = {
    {".initramfs.cpio.zst", false}, {".initramfs.cpio.gz", false}, {".rootfs.tar", false}, {".oci", true}};
enum { OUTPUTS = sizeof outputs / sizeof *outputs };

struct found {
    char paths[OUTPUTS][2048]; /* "": none */
    bool is_several;
};

static void find_outputs(const char *folder, struct found *f)
{
    DIR *dir = opendir(folder);
    struct dirent *e;

    *f = (struct found){.is_several = false};
    while (dir && (e = readdir(dir)) != NULL)
        for (size_t i = 0; i < OUTPUTS && *e->d_name != '.'; i++) {
            if (!ends_with(e->d_name, outputs[i].ending))
                continue;
            f->is_several |= *f->paths[i] != 0;
            snprintf(f->paths[i], sizeof f->paths[i], "%s/%s", folder, e->d_name);
        }
    if (dir)
        closedir(dir);
}

static int read_oci(struct pixi_image_view *v, const char *place, bool with_files, struct pixi_buf *why)
{
    int rc = pixi_oci_open(&v->oci, place, why);

    return rc == PIXI_OK && with_files ? pixi_unpack_oci(&v->tree, &v->oci, why) : rc;
}

static int read_folder(struct pixi_image_view *v, const char *folder, struct pixi_buf *why)
{
    struct found f;
    bool has_files = false;
    int rc = PIXI_OK;

    find_outputs(folder, &f);
    if (f.is_several) {
        pixi_buf_putf(why, "found several images in %s, expected one; name one of its files", folder);
        return PIXI_E_SETTINGS;
    }
    for (size_t i = 0; rc == PIXI_OK && i < OUTPUTS; i++) {
        if (!*f.paths[i])
            continue;
        if (outputs[i].is_oci)
            rc = read_oci(v, f.paths[i], !has_files, why);
        else if (!has_files)
            rc = pixi_unpack(&v->tree, f.paths[i], PIXI_UNPACK_ROOT, why);
        has_files = true;
    }
    v->kind = "image";
    if (rc == PIXI_OK && !has_files) {
        pixi_buf_putf(why, "found neither an OCI layout nor outputs of geom-image build in %s", folder);
        rc = PIXI_E_SETTINGS;
    }
    return rc;
}

static int read_path(struct pixi_image_view *v, const char *path, struct pixi_buf *why)
{
    struct stat st;

    if (stat(path, &st) != 0 && !strchr(path, ':')) {
        pixi_buf_putf(why, "found no %s: %s", path, strerror(errno));
        return PIXI_E_SETTINGS;
    }
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode) && !pixi_oci_is_layout(path))
        return read_folder(v, path, why);
    if (stat(path, &st) != 0 || S_ISDIR(st.st_mode)) {
        v->kind = "OCI image";
        return read_oci(v, path, true, why);
    }
    v->kind = strstr(path, ".cpio") ? "initramfs" : "root file system";
    return pixi_unpack(&v->tree, path, PIXI_UNPACK_ROOT, why);
}

int pixi_image_view_open(struct pixi_image_view *v, const char *path, struct pixi_buf *why)
{
    const char *dir = getenv("TMPDIR");
    int rc;

    *v = (struct pixi_image_view){.kind = ""};
    v->tree.spool.fd = -1;
    pixi_packages_init(&v->packages, "");
    rc = pixi_image_tree_init(&v->tree, dir && *dir ? dir : "/tmp");
    if (rc == PIXI_E_SYS)
        pixi_buf_putf(why, "found no place for its contents in %s: %s", dir && *dir ? dir : "/tmp",
                      strerror(errno));
    if (rc == PIXI_OK)
        rc = read_path(v, path, why);
    return rc == PIXI_OK ? pixi_installed_read(&v->tree, &v->packages) : rc;
}

void pixi_image_view_close(struct pixi_image_view *v)
{
    pixi_image_tree_clear(&v->tree);
    pixi_packages_clear(&v->packages);
    pixi_oci_clear(&v->oci);
}
