#include "image/libraries.h"

#include "base/file.h"
#include "image/elf.h"
#include "image/installed.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ELF_MAX = 512 << 20 };

/* ld.so's own folders on Debian, and what its ld.so.conf adds. */
static const char *const folders[] = {PIXI_IMAGE_LIBRARIES,
                                      "/lib/x86_64-linux-gnu",
                                      "/usr/lib",
                                      "/lib",
                                      "/lib64",
                                      "/usr/local/lib/x86_64-linux-gnu",
                                      "/usr/local/lib"};
enum { FOLDERS = sizeof folders / sizeof *folders };

struct work {
    struct pixi_image_tree *t;
    struct pixi_buf *mistakes;
    struct pixi_buf queue; /* const struct pixi_image_node * each: whose needs are to be looked at */
    struct pixi_buf bytes; /* of the one that is looked at */
    bool
        is_system; /* the base is a Debian system with libraries of its own; those of a former image are renewed */
    bool has_missing;
};

static void enqueue(struct work *w, const struct pixi_image_node *n)
{
    pixi_buf_put(&w->queue, &n, sizeof(const struct pixi_image_node *));
}

static bool is_there(const struct work *w, const char *path)
{
    const struct pixi_image_node *n = pixi_image_tree_follow(w->t, path);

    return n && (n->layer != PIXI_IMAGE_OF_BASE || w->is_system || n->source);
}

static bool is_in_image(const struct work *w, const char *name)
{
    char path[PIXI_IMAGE_PATH_MAX + 1];

    for (size_t i = 0; i < FOLDERS; i++)
        if (snprintf(path, sizeof path, "%s/%s", folders[i], name) < (int)sizeof path && is_there(w, path))
            return true;
    return false;
}

/* Is there a library of this machine type at folder/name? Its path goes to out. */
static bool is_here(const char *folder, size_t len, const char *name, char *out, size_t out_max)
{
    return snprintf(out, out_max, "%.*s/%s", (int)len, folder, name) < (int)out_max && access(out, R_OK) == 0;
}

/* A folder of the RUNPATH, with $ORIGIN written out. */
static void expand(const char *part, size_t len, const char *source, char *out, size_t out_max)
{
    static const char *const words[] = {"${ORIGIN}", "$ORIGIN"};
    size_t dir = pixi_file_dir(source);

    for (size_t i = 0; i < 2; i++)
        if (len >= strlen(words[i]) && memcmp(part, words[i], strlen(words[i])) == 0) {
            snprintf(out, out_max, "%.*s%.*s", dir ? (int)dir : 1, dir ? source : ".",
                     (int)(len - strlen(words[i])), part + strlen(words[i]));
            return;
        }
    snprintf(out, out_max, "%.*s", (int)len, part);
}

static bool find_here(const struct pixi_elf *e, const char *source, const char *name, char *out,
                      size_t out_max)
{
    char folder[4096];
    size_t len;

    for (const char *p = e->runpath && source ? e->runpath : ""; *p; p += len + (p[len] == ':')) {
        len = strcspn(p, ":");
        expand(p, len, source, folder, sizeof folder);
        if (is_here(folder, strlen(folder), name, out, out_max))
            return true;
    }
    for (size_t i = 0; i < FOLDERS; i++)
        if (is_here(folders[i], strlen(folders[i]), name, out, out_max))
            return true;
    return false;
}

static int add(struct work *w, const char *path, const char *source, const char *user)
{
    char origin[PIXI_IMAGE_PATH_MAX + 32], real[PATH_MAX];
    struct pixi_image_node *n;
    int rc;

    snprintf(origin, sizeof origin, "a library of %s", user);
    rc = pixi_image_tree_add(
        w->t,
        &(struct pixi_image_new){
            .path = path, .mode = 0755, .source = realpath(source, real) ? real : source, .origin = origin},
        w->mistakes);
    if (rc != PIXI_OK)
        return rc;
    n = pixi_image_tree_find(w->t, path);
    enqueue(w, n);
    return PIXI_OK;
}

static int add_needed(struct work *w, const struct pixi_image_node *n, const struct pixi_elf *e,
                      const char *name)
{
    char here[4096], path[PIXI_IMAGE_PATH_MAX + 1];

    if (strchr(name, '/')) {
        pixi_buf_putf(w->mistakes, "%s: needs \"%s\", a library by its path, expected one by its name\n",
                      n->path, name);
        w->has_missing = true;
        return PIXI_OK;
    }
    if (is_in_image(w, name))
        return PIXI_OK;
    if (!find_here(e, n->source, name, here, sizeof here)) {
        pixi_buf_putf(w->mistakes,
                      "%s: needs the shared library %s, found none of that name on this machine; install the "
                      "package that has it, or put it into the image by files\n",
                      n->path, name);
        w->has_missing = true;
        return PIXI_OK;
    }
    snprintf(path, sizeof path, "%s/%s", PIXI_IMAGE_LIBRARIES, name);
    return add(w, path, here, n->path);
}

static int look_at(struct work *w, const struct pixi_image_node *n)
{
    struct pixi_elf e;
    const char *name;
    size_t at = 0;
    enum pixi_elf_is is = pixi_elf_read(pixi_buf_cur(&w->bytes), &e);
    int rc = PIXI_OK;

    if (is == PIXI_ELF_NOT)
        return PIXI_OK;
    if (is == PIXI_ELF_BROKEN || e.machine != EM_X86_64) {
        pixi_buf_putf(w->mistakes, "%s: %s: found %s, expected a program for amd64\n", n->origin, n->path,
                      is == PIXI_ELF_BROKEN ? "a broken ELF file" : "a program for another machine");
        w->has_missing = true;
        return PIXI_OK;
    }
    if (e.interpreter && !is_there(w, e.interpreter)) {
        if (access(e.interpreter, R_OK) == 0) {
            rc = add(w, e.interpreter, e.interpreter, n->path);
        } else {
            pixi_buf_putf(w->mistakes, "%s: needs the interpreter %s, found none here\n", n->path,
                          e.interpreter);
            w->has_missing = true;
        }
    }
    while (rc == PIXI_OK && (name = pixi_elf_needed(&e, &at)) != NULL)
        rc = add_needed(w, n, &e, name);
    return rc;
}

static bool is_elf(const struct pixi_image_tree *t, const struct pixi_image_node *n)
{
    char magic[SELFMAG];

    return n->kind == PIXI_IMAGE_FILE && n->layer != PIXI_IMAGE_OF_BASE &&
           pixi_image_tree_read(t, n, 0, magic, sizeof magic) == SELFMAG &&
           memcmp(magic, ELFMAG, SELFMAG) == 0;
}

static int work_off(struct work *w)
{
    const struct pixi_image_node *n;
    int rc = PIXI_OK;

    for (size_t at = 0; rc == PIXI_OK && at < w->queue.len; at += sizeof n) {
        memcpy(&n, w->queue.bytes + at, sizeof n);
        if (n->where == PIXI_IMAGE_INITRAMFS_ONLY) /* kernel modules: they need nothing of this kind */
            continue;
        pixi_buf_reset(&w->bytes);
        rc = pixi_image_tree_contents(w->t, n, &w->bytes);
        if (rc == PIXI_E_SYS)
            pixi_buf_putf(w->mistakes, "%s: reading it back failed: %s\n", n->path, strerror(errno));
        if (rc == PIXI_OK)
            rc = look_at(w, n);
    }
    return rc == PIXI_OK ? w->queue.err : rc;
}

int pixi_image_libraries_add(struct pixi_image_tree *t, struct pixi_buf *mistakes)
{
    struct work w = {.t = t,
                     .mistakes = mistakes,
                     .queue = pixi_buf_init(PIXI_IMAGE_NODES_MAX * sizeof(void *)),
                     .bytes = pixi_buf_init(ELF_MAX),
                     .is_system = pixi_image_tree_find(t, PIXI_IMAGE_STATUS) != NULL};
    int rc;

    for (size_t i = 0; i < t->count; i++)
        if (is_elf(t, t->nodes[i]))
            enqueue(&w, t->nodes[i]);
    rc = work_off(&w);
    pixi_buf_clear(&w.queue);
    pixi_buf_clear(&w.bytes);
    return rc == PIXI_OK && w.has_missing ? PIXI_E_SETTINGS : rc;
}
