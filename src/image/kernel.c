#include "image/kernel.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

enum { DEP_MAX = 16 << 20, DEPTH_MAX = 64 };

static struct pixi_cur cut(struct pixi_cur *c, char at)
{
    const uint8_t *end = memchr(c->p, at, pixi_cur_left(c));
    struct pixi_cur part = {c->p, end ? end : c->end};

    c->p = end ? end + 1 : c->end;
    return part;
}

/* "kernel/net/virtio_net.ko.xz" is virtio_net. */
static bool is_module(struct pixi_cur path, struct pixi_cur name)
{
    const uint8_t *slash = memrchr(path.p, '/', pixi_cur_left(&path));
    struct pixi_cur base = {slash ? slash + 1 : path.p, path.end};

    if (pixi_cur_left(&base) < pixi_cur_left(&name) + 3 ||
        memcmp(base.p + pixi_cur_left(&name), ".ko", 3) != 0)
        return false;
    for (; name.p != name.end; name.p++, base.p++)
        if ((*name.p == '-' ? '_' : *name.p) != (*base.p == '-' ? '_' : *base.p))
            return false;
    return true;
}

static bool has(const struct pixi_buf *done, struct pixi_cur path)
{
    for (size_t at = 0; at < done->len; at += strlen((const char *)done->bytes + at) + 1)
        if (pixi_cur_equals(pixi_cur_str((const char *)done->bytes + at), path))
            return true;
    return false;
}

static bool find_line(struct pixi_cur dep, struct pixi_cur path, struct pixi_cur name, struct pixi_cur *line)
{
    struct pixi_cur rest;

    while (dep.p != dep.end) {
        *line = cut(&dep, '\n');
        rest = *line;
        rest = cut(&rest, ':');
        if (path.p ? pixi_cur_equals(rest, path) : is_module(rest, name))
            return true;
    }
    return false;
}

/* A module after those that it needs: by its path, or (path.p NULL) by its name. */
static int order(struct pixi_cur dep, struct pixi_cur path, struct pixi_cur name, struct pixi_buf *done,
                 unsigned depth)
{
    struct pixi_cur line, need;
    int rc = PIXI_OK;

    if (depth == DEPTH_MAX)
        return PIXI_E_LIMIT;
    if (!find_line(dep, path, name, &line))
        return PIXI_E_NAME;
    path = cut(&line, ':');
    if (has(done, path))
        return PIXI_OK;
    while (line.p != line.end && rc == PIXI_OK) {
        need = cut(&line, ' ');
        if (need.p != need.end)
            rc = order(dep, need, name, done, depth + 1);
    }
    if (rc == PIXI_OK && !has(done, path)) {
        pixi_buf_put_cur(done, path);
        pixi_buf_put(done, "", 1);
    }
    return rc == PIXI_OK ? done->err : rc;
}

int pixi_image_modules_order(struct pixi_cur dep, struct pixi_cur name, struct pixi_buf *done)
{
    return order(dep, (struct pixi_cur){NULL, NULL}, name, done, 0);
}

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The one vmlinuz-VERSION of the folder's boot. */
static bool find_image(struct pixi_image_kernel *k)
{
    char boot[sizeof k->folder + 8];
    struct dirent *e;
    DIR *dir;

    snprintf(boot, sizeof boot, "%s/boot", k->folder);
    dir = opendir(boot);
    while (dir && (e = readdir(dir)) != NULL)
        if (has_prefix(e->d_name, "vmlinuz-") && strlen(e->d_name) < sizeof k->version) {
            snprintf(k->version, sizeof k->version, "%s", e->d_name + strlen("vmlinuz-"));
            snprintf(k->image, sizeof k->image, "%s/vmlinuz-%s", boot, k->version);
        }
    if (dir)
        closedir(dir);
    return *k->image;
}

int pixi_image_kernel_find(struct pixi_image_desc *d, const char *folder, struct pixi_image_kernel *out,
                           struct pixi_buf *mistakes)
{
    struct pixi_buf name = pixi_buf_init(4096);
    struct pixi_image_kernel k = {.version = ""};
    char path[sizeof k.folder + 16];
    struct pixi_cur c, first;
    int rc;

    snprintf(k.folder, sizeof k.folder, "%s", folder);
    snprintf(path, sizeof path, "%s/package", k.folder);
    rc = pixi_file_read(path, &name, NULL);
    c = pixi_buf_cur(&name);
    first = rc == PIXI_OK ? cut(&c, '\n') : c;
    if (rc != PIXI_OK || !pixi_cur_equals(first, pixi_cur_str(d->kernel.package)) || !find_image(&k)) {
        pixi_image_desc_mistake(d, "kernel.package", mistakes,
                                "found %.*s in %s, expected %s unpacked there: make image does that, or "
                                "tools/get-kernel %s",
                                rc == PIXI_OK && first.p != first.end ? (int)pixi_cur_left(&first) : 9,
                                rc == PIXI_OK && first.p != first.end ? (const char *)first.p : "no kernel",
                                folder, d->kernel.package, d->kernel.package);
        rc = PIXI_E_SETTINGS;
    } else {
        *out = k;
    }
    pixi_buf_clear(&name);
    return rc;
}

static bool is_built_in(const struct pixi_image_kernel *k, struct pixi_cur name)
{
    struct pixi_buf text = pixi_buf_init(DEP_MAX);
    char path[sizeof k->folder + sizeof k->version + 64];
    struct pixi_cur c;
    bool is = false;

    snprintf(path, sizeof path, "%s/lib/modules/%s/modules.builtin", k->folder, k->version);
    if (pixi_file_read(path, &text, NULL) == PIXI_OK)
        for (c = pixi_buf_cur(&text); !is && c.p != c.end;)
            is = is_module(cut(&c, '\n'), name);
    pixi_buf_clear(&text);
    return is;
}

static int order_all(const struct pixi_image_kernel *k, struct pixi_image_desc *d, struct pixi_buf *done,
                     struct pixi_buf *mistakes)
{
    struct pixi_buf dep = pixi_buf_init(DEP_MAX);
    char path[sizeof k->folder + sizeof k->version + 64];
    int rc, all = PIXI_OK;

    snprintf(path, sizeof path, "%s/lib/modules/%s/modules.dep", k->folder, k->version);
    rc = pixi_file_read(path, &dep, NULL);
    if (rc != PIXI_OK) {
        pixi_image_desc_mistake(d, "kernel.package", mistakes,
                                "found %s at %s, expected what depmod makes: remove %s and run make image",
                                pixi_file_found(rc), path, k->folder);
        all = PIXI_E_SETTINGS;
    }
    for (size_t i = 0; rc == PIXI_OK && i < d->kernel.modules.count; i++) {
        struct pixi_cur name = d->kernel.modules.at[i];

        rc = pixi_image_modules_order(pixi_buf_cur(&dep), name, done);
        if (rc != PIXI_E_NAME && rc != PIXI_E_LIMIT)
            continue;
        if (rc == PIXI_E_LIMIT || !is_built_in(k, name)) {
            pixi_image_desc_mistake_at(
                d, "kernel.modules", i, mistakes, "found %s, expected a module of kernel %s",
                rc == PIXI_E_NAME ? "one that is not there" : "modules that need each other", k->version);
            all = PIXI_E_SETTINGS;
        }
        rc = PIXI_OK;
    }
    pixi_buf_clear(&dep);
    return rc == PIXI_OK ? all : rc;
}

static int add(struct pixi_image_tree *t, const char *path, const char *source, struct pixi_cur content,
               struct pixi_buf *mistakes)
{
    return pixi_image_tree_add(t,
                               &(struct pixi_image_new){.path = path,
                                                        .where = PIXI_IMAGE_INITRAMFS_ONLY,
                                                        .mode = 0644,
                                                        .source = source,
                                                        .content = content,
                                                        .origin = "kernel.modules"},
                               mistakes);
}

int pixi_image_kernel_add(const struct pixi_image_kernel *k, struct pixi_image_desc *d,
                          struct pixi_image_tree *t, struct pixi_buf *mistakes)
{
    struct pixi_buf done = pixi_buf_init(DEP_MAX), list = pixi_buf_init(DEP_MAX);
    char path[PIXI_IMAGE_PATH_MAX + 1], source[4096];
    int rc = order_all(k, d, &done, mistakes);
    const char *module;

    for (size_t at = 0; rc == PIXI_OK && at < done.len; at += strlen(module) + 1) {
        module = (const char *)done.bytes + at;
        snprintf(path, sizeof path, "/lib/modules/%s/%s", k->version, module);
        snprintf(source, sizeof source, "%s%s", k->folder, path);
        rc = add(t, path, source, (struct pixi_cur){NULL, NULL}, mistakes);
        pixi_buf_putf(&list, "%s\n", path);
    }
    if (rc == PIXI_OK)
        rc = add(t, PIXI_IMAGE_MODULES, NULL, pixi_buf_cur(&list), mistakes);
    pixi_buf_clear(&done);
    pixi_buf_clear(&list);
    return rc;
}
