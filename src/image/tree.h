/* tree.h -- the root file system of an image while it is put together: what is where, as whom, and who put it there.
 *
 * Nodes are sorted by path, and every node's folder is a node, too. Contents are copied to a file without a name when they
 * are added, so that what was hashed is what will be written. No path leaves the root: links on the way are followed
 * inside it, as a machine that runs the image would follow them.
 *
 * A base is added first; what is added after pixi_image_tree_end_base is the image's own: it may take the place of
 * the base's, but never of its own. */
#ifndef PIXI_IMAGE_TREE_H
#define PIXI_IMAGE_TREE_H

#include "base/arena.h"
#include "image/spool.h"

enum {
    PIXI_IMAGE_NODES_MAX = 1 << 18,
    PIXI_IMAGE_PATH_MAX = 1023, /* of a path and of what a link leads to */
    PIXI_IMAGE_NAME_MAX = 255,
    PIXI_IMAGE_EXACTLY = 010000, /* with a mode: 0 is meant */
    PIXI_IMAGE_LINKS_MAX = 40,   /* followed for one path, as Linux does */
};

enum pixi_image_kind { PIXI_IMAGE_FILE, PIXI_IMAGE_DIR, PIXI_IMAGE_LINK };

/* Who owns a node: which layer of an OCI image it belongs to. */
enum pixi_image_layer {
    PIXI_IMAGE_OF_BASE,
    PIXI_IMAGE_IMPLIED, /* a folder that is there because something is in it */
    PIXI_IMAGE_OWN,
};

/* Where a node is wanted: kernel modules, for one, are of no use in a container. */
enum pixi_image_where { PIXI_IMAGE_EVERYWHERE, PIXI_IMAGE_INITRAMFS_ONLY };

/* Pointers are valid until pixi_image_tree_clear. */
struct pixi_image_node {
    const char *path;   /* "/etc/motd" */
    const char *origin; /* who put it there, for messages: "files[3]", "the base" */
    const char *target; /* links: what it leads to, as written; else NULL */
    const char *source; /* the file here that it is a copy of, also where the base has the same; NULL: none */
    const char *package; /* the Debian package that it is from; NULL: none */
    enum pixi_image_kind kind;
    enum pixi_image_layer layer;
    enum pixi_image_where where;
    unsigned mode; /* permissions, 0 .. 07777; links: 0777 */
    uint32_t uid, gid;
    uint64_t size, offset; /* files: bytes, and where in the spool they begin */
    uint8_t sha256[PIXI_SHA256_LEN];
};

struct pixi_image_tree {
    struct pixi_image_node **nodes; /* sorted by path; not the root itself */
    size_t count, cap;
    struct pixi_arena arena;
    struct pixi_image_spool spool; /* the contents */
    enum pixi_image_layer layer;
    struct pixi_buf removed; /* struct pixi_image_node * each: of the base, taken away after its end */
};

/* What to add. path, kind and origin are needed; strings are copied.
 * A file has one of content (the default: empty), source, read and same. */
struct pixi_image_new {
    const char *path; /* absolute, without . and .. */
    enum pixi_image_kind kind;
    enum pixi_image_where where;
    unsigned
        mode; /* with PIXI_IMAGE_EXACTLY, or not 0; 0: files 0644, or 0755 where the source may be executed; folders 0755 */
    uint32_t uid, gid;
    const char *origin;
    const char *target;      /* of a link: relative, unless it is the base's */
    struct pixi_cur content; /* borrowed while it is added */
    const char *source;      /* a regular file here */
    pixi_image_read *read;   /* when it fails, its owner tells why */
    void *context;
    const struct pixi_image_node *same; /* a file of the tree whose contents it shares (hard links) */
    enum {
        PIXI_IMAGE_ONCE,
        PIXI_IMAGE_UNLESS_THERE
    } if_there; /* the second: what is there stays, and all is well */
};

/* pixi_image_tree_init -- an empty tree, whose contents are kept in a nameless file in the folder dir.
 *   PIXI_OK | PIXI_E_SYS: errno is kept. pixi_image_tree_clear is due on any answer */
int pixi_image_tree_init(struct pixi_image_tree *t, const char *dir);
void pixi_image_tree_clear(struct pixi_image_tree *t);

static inline void pixi_image_tree_end_base(struct pixi_image_tree *t)
{
    t->layer = PIXI_IMAGE_OWN;
}

/* pixi_image_tree_add -- one node; folders that it stands in are made where they are missing (0755, root).
 *
 *   mistakes  one line where it was refused: what is there, who wants it, and what to do
 *
 *   PIXI_OK
 *   PIXI_E_SETTINGS  a path with . or .. in it or over the limits; a place that is taken: by whom, and by whom again; a
 *                    folder on the way that is no folder; a link that leads out of the root; no such source
 *   PIXI_E_LIMIT     more nodes or bytes than an image may have (a line is added)
 *   PIXI_E_SYS       reading or keeping the contents failed (a line is added)
 *   PIXI_E_NOMEM */
int pixi_image_tree_add(struct pixi_image_tree *t, const struct pixi_image_new *n, struct pixi_buf *mistakes);

/* pixi_image_tree_find -- the node at a path, links on the way followed, the last part not; NULL: nothing. */
struct pixi_image_node *pixi_image_tree_find(const struct pixi_image_tree *t, const char *path);

/* pixi_image_tree_follow -- as find, but the last part is followed, too. */
struct pixi_image_node *pixi_image_tree_follow(const struct pixi_image_tree *t, const char *path);

/* pixi_image_tree_remove -- takes the node at this path away and everything below it, or (keep_top) only what is below.
 * The path is literal. */
enum pixi_image_remove { PIXI_IMAGE_WITH_TOP, PIXI_IMAGE_BELOW };
void pixi_image_tree_remove(struct pixi_image_tree *t, const char *path, enum pixi_image_remove what);

/* pixi_image_tree_is_hidden -- path i of removed (i below their count) is to be hidden by a layer above the base: it is not
 * there again, and the folder that it was in still is. */
bool pixi_image_tree_is_hidden(const struct pixi_image_tree *t, size_t i, const char **path);

static inline size_t pixi_image_tree_removed(const struct pixi_image_tree *t)
{
    return t->removed.len / sizeof(struct pixi_image_node *);
}

/* pixi_image_tree_read -- up to len bytes of a file's contents from offset; 0 at the end, -1 with errno. */
ssize_t pixi_image_tree_read(const struct pixi_image_tree *t, const struct pixi_image_node *n,
                             uint64_t offset, void *out, size_t len);

/* pixi_image_tree_contents -- all of a file's bytes, to the end of out, whose ceiling holds.
 *   PIXI_OK | PIXI_E_LIMIT | PIXI_E_NOMEM | PIXI_E_SYS: errno is kept */
int pixi_image_tree_contents(const struct pixi_image_tree *t, const struct pixi_image_node *n,
                             struct pixi_buf *out);

#endif
