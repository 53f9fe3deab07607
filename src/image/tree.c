#include "image/tree.h"

#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_MAX = 256 << 20 }; /* of all paths */

int pixi_image_tree_init(struct pixi_image_tree *t, const char *dir)
{
    *t = (struct pixi_image_tree){.arena = pixi_arena_init(TEXT_MAX),
                                  .removed =
                                      pixi_buf_init(PIXI_IMAGE_NODES_MAX * sizeof(struct pixi_image_node *))};
    return pixi_image_spool_open(&t->spool, dir);
}

void pixi_image_tree_clear(struct pixi_image_tree *t)
{
    free(t->nodes);
    pixi_arena_clear(&t->arena);
    pixi_image_spool_close(&t->spool);
    pixi_buf_clear(&t->removed);
    t->nodes = NULL;
    t->count = t->cap = 0;
}

/* The index of a path, or where it would be. */
static size_t find_index(const struct pixi_image_tree *t, const char *path, bool *is_there)
{
    size_t low = 0, high = t->count, mid;
    int order = 1;

    while (low < high) {
        mid = low + (high - low) / 2;
        order = strcmp(t->nodes[mid]->path, path);
        if (order == 0)
            break;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *is_there = low < high;
    return *is_there ? low + (high - low) / 2 : low;
}

static struct pixi_image_node *at_literal(const struct pixi_image_tree *t, const char *path)
{
    bool is_there;
    size_t i = find_index(t, path, &is_there);

    return is_there ? t->nodes[i] : NULL;
}

/* Following links: what is done so far, without links in it, and what is to come. */
struct walk {
    char done[PIXI_IMAGE_PATH_MAX + 1], rest[2 * PIXI_IMAGE_PATH_MAX + 2];
    const char *fault; /* NULL: none */
    const struct pixi_image_node *node;
    unsigned links;
};

enum last_part { AS_IT_IS, FOLLOWED };

static void step_up(struct walk *w)
{
    char *slash = strrchr(w->done, '/');

    if (slash)
        *slash = 0;
    else
        w->fault = "leads out of the root";
}

/* Puts what a link leads to in front of the rest. */
static void step_link(struct walk *w, const struct pixi_image_node *link)
{
    char rest[sizeof w->rest];
    int len = snprintf(rest, sizeof rest, "%s%s%s", link->target, *w->rest ? "/" : "", w->rest);

    w->node = link;
    if (len < 0 || (size_t)len >= sizeof rest || ++w->links > PIXI_IMAGE_LINKS_MAX) {
        w->fault = "leads through too many links";
        return;
    }
    memcpy(w->rest, rest, (size_t)len + 1);
    if (*link->target == '/')
        *w->done = 0;
    else
        step_up(w);
}

/* One part of the rest moves to what is done. */
static void step(const struct pixi_image_tree *t, struct walk *w, enum last_part last)
{
    size_t skip = strspn(w->rest, "/"), len = strcspn(w->rest + skip, "/"), done = strlen(w->done), more;
    const struct pixi_image_node *n;
    char part[PIXI_IMAGE_NAME_MAX + 1];

    if (len > PIXI_IMAGE_NAME_MAX || done + len + 1 > PIXI_IMAGE_PATH_MAX) {
        w->fault = "is longer than a path may be";
        return;
    }
    memcpy(part, w->rest + skip, len);
    part[len] = 0;
    more = skip + len + strspn(w->rest + skip + len, "/");
    memmove(w->rest, w->rest + more, strlen(w->rest + more) + 1);
    if (len == 0 || strcmp(part, ".") == 0)
        return;
    if (strcmp(part, "..") == 0) {
        step_up(w);
        return;
    }
    snprintf(w->done + done, sizeof w->done - done, "/%s", part);
    n = at_literal(t, w->done);
    if (n && n->kind == PIXI_IMAGE_LINK && (*w->rest || last == FOLLOWED))
        step_link(w, n);
    else if (n && n->kind == PIXI_IMAGE_FILE && *w->rest) {
        w->node = n;
        w->fault = "is a file, not a folder";
    }
}

static void walk(const struct pixi_image_tree *t, const char *path, enum last_part last, struct walk *w)
{
    *w = (struct walk){.fault = NULL};
    if (strlen(path) > PIXI_IMAGE_PATH_MAX) {
        w->fault = "is longer than a path may be";
        return;
    }
    memcpy(w->rest, path, strlen(path) + 1);
    while (*w->rest && !w->fault)
        step(t, w, last);
}

struct pixi_image_node *pixi_image_tree_find(const struct pixi_image_tree *t, const char *path)
{
    struct walk w;

    walk(t, path, AS_IT_IS, &w);
    return w.fault ? NULL : at_literal(t, w.done);
}

struct pixi_image_node *pixi_image_tree_follow(const struct pixi_image_tree *t, const char *path)
{
    struct walk w;

    walk(t, path, FOLLOWED, &w);
    return w.fault ? NULL : at_literal(t, w.done);
}

/* Adding. */

static int refuse(const struct pixi_image_new *n, struct pixi_buf *mistakes, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(const struct pixi_image_new *n, struct pixi_buf *mistakes, const char *format, ...)
{
    char text[PIXI_IMAGE_PATH_MAX + 512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pixi_buf_putf(mistakes, "%s: %s: %s\n", n->origin, n->path, text);
    return PIXI_E_SETTINGS;
}

static bool has_dots(const char *path)
{
    size_t len;

    for (const char *p = path; *p; p += len) {
        p += strspn(p, "/");
        len = strcspn(p, "/");
        if ((len == 1 && *p == '.') || (len == 2 && memcmp(p, "..", 2) == 0))
            return true;
    }
    return false;
}

/* Is a link's target too far up, seen from where the link is? The parts' names do not matter for that. */
static bool climbs_out(const char *path, const char *target)
{
    long depth = -1;
    size_t len;

    for (const char *p = path; *p; p++)
        depth += *p == '/' && p[1] != '/';
    for (const char *p = target; *p; p += len) {
        p += strspn(p, "/");
        len = strcspn(p, "/");
        if (len == 2 && memcmp(p, "..", 2) == 0)
            depth--;
        else if (len && !(len == 1 && *p == '.'))
            depth++;
        if (depth < 0)
            return true;
    }
    return false;
}

static int check_new(const struct pixi_image_tree *t, const struct pixi_image_new *n,
                     struct pixi_buf *mistakes)
{
    if (*n->path != '/' || !n->path[strspn(n->path, "/")])
        return refuse(n, mistakes, "found no place in the image, expected an absolute path");
    if (!pixi_utf8_is_valid((const uint8_t *)n->path, strlen(n->path)) ||
        (n->target && !pixi_utf8_is_valid((const uint8_t *)n->target, strlen(n->target))))
        return refuse(n, mistakes, "found a path that is not UTF-8, expected one that is");
    if (has_dots(n->path))
        return refuse(
            n, mistakes,
            "found a path with . or .. in it, which may lead out of the root, expected one without");
    if (n->kind != PIXI_IMAGE_LINK)
        return PIXI_OK;
    if (!n->target || !*n->target || strlen(n->target) > PIXI_IMAGE_PATH_MAX)
        return refuse(n, mistakes, "found a link to %s, expected 1 .. %d bytes",
                      n->target && *n->target ? "a longer path" : "nothing", PIXI_IMAGE_PATH_MAX);
    if (t->layer != PIXI_IMAGE_OF_BASE && *n->target == '/')
        return refuse(n, mistakes,
                      "found a link to %s, which leads out of the root wherever that is unpacked, expected a "
                      "relative one",
                      n->target);
    if (t->layer != PIXI_IMAGE_OF_BASE && climbs_out(n->path, n->target))
        return refuse(n, mistakes, "found a link to %s, which leads out of the root", n->target);
    return PIXI_OK;
}

static int insert(struct pixi_image_tree *t, struct pixi_image_node *node)
{
    size_t cap = t->cap ? 2 * t->cap : 256, i;
    struct pixi_image_node **nodes;
    bool is_there;

    if (t->count == PIXI_IMAGE_NODES_MAX)
        return PIXI_E_LIMIT;
    if (t->count == t->cap) {
        nodes = realloc(t->nodes, cap * sizeof *nodes);
        if (!nodes)
            return PIXI_E_NOMEM;
        t->nodes = nodes;
        t->cap = cap;
    }
    i = find_index(t, node->path, &is_there);
    memmove(t->nodes + i + 1, t->nodes + i, (t->count - i) * sizeof *t->nodes);
    t->nodes[i] = node;
    t->count++;
    return PIXI_OK;
}

static struct pixi_image_node *new_node(struct pixi_image_tree *t, const char *path, const char *origin)
{
    struct pixi_image_node *node = pixi_arena_take(&t->arena, sizeof *node);

    if (!node)
        return NULL;
    node->path = pixi_arena_text(&t->arena, pixi_cur_str(path));
    node->origin = pixi_arena_text(&t->arena, pixi_cur_str(origin));
    return node->path && node->origin ? node : NULL;
}

/* The folders that a path without links stands in. */
static int add_parents(struct pixi_image_tree *t, const struct pixi_image_new *n, char *path)
{
    struct pixi_image_node *node;
    int rc = PIXI_OK;

    for (char *slash = strchr(path + 1, '/'); slash && rc == PIXI_OK; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (!at_literal(t, path)) {
            node = new_node(t, path, n->origin);
            if (!node)
                return PIXI_E_NOMEM;
            node->kind = PIXI_IMAGE_DIR;
            node->mode = 0755;
            node->layer = t->layer == PIXI_IMAGE_OF_BASE ? PIXI_IMAGE_OF_BASE : PIXI_IMAGE_IMPLIED;
            node->where = n->where;
            rc = insert(t, node);
        } else if (n->where == PIXI_IMAGE_EVERYWHERE) {
            at_literal(t, path)->where = PIXI_IMAGE_EVERYWHERE;
        }
        *slash = '/';
    }
    return rc;
}

static ssize_t read_memory(void *context, void *out, size_t len)
{
    struct pixi_cur *c = context;
    size_t n = pixi_cur_left(c) < len ? pixi_cur_left(c) : len;

    if (n)
        memcpy(out, c->p, n);
    c->p += n;
    return (ssize_t)n;
}

static ssize_t read_file(void *context, void *out, size_t len)
{
    return read(*(int *)context, out, len);
}

/* -1: told. */
static int open_source(const struct pixi_image_new *n, struct stat *st, struct pixi_buf *mistakes)
{
    int fd = open(n->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, st) != 0) {
        refuse(n, mistakes, "found %s at %s, expected a file", errno == ENOENT ? "no file" : strerror(errno),
               n->source);
    } else if (!S_ISREG(st->st_mode)) {
        refuse(n, mistakes, "found %s at %s, expected a regular file",
               S_ISDIR(st->st_mode) ? "a folder" : "a device, socket or pipe", n->source);
    } else {
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

static int take_contents(struct pixi_image_tree *t, const struct pixi_image_new *n,
                         struct pixi_image_node *to, struct pixi_buf *mistakes)
{
    struct pixi_cur content = n->content;
    struct stat st = {0};
    int fd = -1, rc;

    if (n->same) {
        to->offset = n->same->offset;
        to->size = n->same->size;
        memcpy(to->sha256, n->same->sha256, sizeof to->sha256);
        return PIXI_OK;
    }
    if (n->source && (fd = open_source(n, &st, mistakes)) < 0)
        return PIXI_E_SETTINGS;
    if (!n->mode && st.st_mode & 0111)
        to->mode = 0755;
    if (n->source)
        rc = pixi_image_spool_take(&t->spool, read_file, &fd, &to->offset, &to->size, to->sha256);
    else
        rc = pixi_image_spool_take(&t->spool, n->read ? n->read : read_memory,
                                   n->read ? n->context : &content, &to->offset, &to->size, to->sha256);
    if (rc == PIXI_E_STORAGE || (rc == PIXI_E_SYS && !n->read))
        refuse(n, mistakes, "%s failed: %s", rc == PIXI_E_SYS ? "reading it" : "keeping a copy of it",
               strerror(errno));
    if (rc == PIXI_E_LIMIT)
        refuse(n, mistakes, "found more than 4 GiB in the image, expected less");
    if (fd >= 0)
        close(fd);
    return rc == PIXI_E_STORAGE ? PIXI_E_SYS : rc;
}

static bool are_equal(const struct pixi_image_node *a, const struct pixi_image_node *b)
{
    return a->kind == b->kind && a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
           (a->kind != PIXI_IMAGE_LINK || strcmp(a->target, b->target) == 0) &&
           (a->kind != PIXI_IMAGE_FILE || memcmp(a->sha256, b->sha256, sizeof a->sha256) == 0);
}

static const char *const kinds[] = {
    [PIXI_IMAGE_FILE] = "a file", [PIXI_IMAGE_DIR] = "a folder", [PIXI_IMAGE_LINK] = "a link"};

/* May n take the place of what is there? */
static int check_there(const struct pixi_image_tree *t, const struct pixi_image_new *n,
                       const struct pixi_image_node *there, struct pixi_buf *mistakes)
{
    bool is_folder = there->kind == PIXI_IMAGE_DIR;

    if (is_folder != (n->kind == PIXI_IMAGE_DIR) && there->kind != PIXI_IMAGE_LINK)
        return refuse(n, mistakes, "found %s there already, from %s, expected the place to be free",
                      kinds[there->kind], there->origin);
    if (there->kind == PIXI_IMAGE_LINK && n->kind == PIXI_IMAGE_DIR)
        return refuse(n, mistakes, "found a link to %s there already, from %s, expected the place to be free",
                      there->target, there->origin);
    if (there->layer == PIXI_IMAGE_OWN ||
        (there->layer == PIXI_IMAGE_OF_BASE && t->layer == there->layer && !is_folder))
        return refuse(n, mistakes, "found this destination a second time, first from %s, expected it once",
                      there->origin);
    return PIXI_OK;
}

static struct pixi_image_node *removed_at(const struct pixi_image_tree *t, size_t i)
{
    return ((struct pixi_image_node **)(void *)t->removed.bytes)[i];
}

/* What was taken away and comes back as it was is the base's again. */
static struct pixi_image_node *come_back(const struct pixi_image_tree *t, struct pixi_image_node *node)
{
    struct pixi_image_node *n;

    for (size_t i = 0; i < pixi_image_tree_removed(t); i++) {
        n = removed_at(t, i);
        if (strcmp(n->path, node->path) != 0 || n->layer != PIXI_IMAGE_OF_BASE || !are_equal(n, node))
            continue;
        n->source = node->source;
        n->package = NULL;
        return n;
    }
    return node;
}

/* Something of the base's, or an implied folder, becomes what is asked for; the base's own stays where it is equal. */
static void replace(struct pixi_image_node *there, const struct pixi_image_node *node)
{
    enum pixi_image_where where;

    if (there->layer == PIXI_IMAGE_OF_BASE && are_equal(there, node)) {
        there->source = node->source;
        there->package = NULL;
        return;
    }
    where = there->where < node->where ? there->where : node->where;
    *there = *node;
    there->where = where;
}

static int fill(struct pixi_image_tree *t, const struct pixi_image_new *n, struct pixi_image_node *node,
                struct pixi_buf *mistakes)
{
    node->kind = n->kind;
    node->where = n->where;
    node->layer = t->layer;
    node->mode = n->mode ? n->mode & 07777 : n->kind == PIXI_IMAGE_FILE ? 0644 : 0755;
    node->uid = n->uid;
    node->gid = n->gid;
    if (n->source && !(node->source = pixi_arena_text(&t->arena, pixi_cur_str(n->source))))
        return PIXI_E_NOMEM;
    if (n->kind == PIXI_IMAGE_FILE)
        return take_contents(t, n, node, mistakes);
    if (n->kind == PIXI_IMAGE_LINK) {
        node->mode = 0777;
        node->target = pixi_arena_text(&t->arena, pixi_cur_str(n->target));
        return node->target ? PIXI_OK : PIXI_E_NOMEM;
    }
    return PIXI_OK;
}

static int add_at(struct pixi_image_tree *t, const struct pixi_image_new *n, struct walk *w,
                  struct pixi_buf *mistakes)
{
    struct pixi_image_node *there = at_literal(t, w->done), *node;
    int rc = PIXI_OK;

    if (there && n->if_there == PIXI_IMAGE_UNLESS_THERE) {
        there->where = n->where == PIXI_IMAGE_EVERYWHERE ? n->where : there->where;
        return PIXI_OK;
    }
    if (there)
        rc = check_there(t, n, there, mistakes);
    if (rc != PIXI_OK)
        return rc;
    node = new_node(t, w->done, n->origin);
    rc = node ? fill(t, n, node, mistakes) : PIXI_E_NOMEM;
    if (rc == PIXI_OK && !there)
        rc = add_parents(t, n, w->done);
    if (rc == PIXI_OK && there)
        replace(there, node);
    else if (rc == PIXI_OK)
        rc = insert(t, come_back(t, node));
    return rc;
}

int pixi_image_tree_add(struct pixi_image_tree *t, const struct pixi_image_new *n, struct pixi_buf *mistakes)
{
    struct walk w;
    int rc = check_new(t, n, mistakes);

    if (rc != PIXI_OK)
        return rc;
    walk(t, n->path, AS_IT_IS, &w);
    if (w.fault)
        return refuse(n, mistakes, "found that %s %s (from %s), expected a way inside the root",
                      w.node ? w.node->path : "it", w.fault, w.node ? w.node->origin : n->origin);
    rc = add_at(t, n, &w, mistakes);
    if (rc == PIXI_E_LIMIT && t->count == PIXI_IMAGE_NODES_MAX)
        refuse(n, mistakes, "found more than %d files in the image, expected fewer", PIXI_IMAGE_NODES_MAX);
    return rc;
}

void pixi_image_tree_remove(struct pixi_image_tree *t, const char *path, enum pixi_image_remove what)
{
    size_t len = strlen(path), kept = 0;
    const char *p;

    for (size_t i = 0; i < t->count; i++) {
        p = t->nodes[i]->path;
        if (strncmp(p, path, len) == 0 && (p[len] == '/' || (!p[len] && what == PIXI_IMAGE_WITH_TOP))) {
            if (t->layer != PIXI_IMAGE_OF_BASE)
                pixi_buf_put(&t->removed, &t->nodes[i], sizeof t->nodes[i]);
            continue;
        }
        t->nodes[kept++] = t->nodes[i];
    }
    t->count = kept;
}

bool pixi_image_tree_is_hidden(const struct pixi_image_tree *t, size_t i, const char **path)
{
    char folder[PIXI_IMAGE_PATH_MAX + 1];
    const struct pixi_image_node *n;

    *path = removed_at(t, i)->path;
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(*path, '/') - *path), *path);
    n = *folder ? at_literal(t, folder) : NULL;
    return !at_literal(t, *path) && (!*folder || (n && n->kind == PIXI_IMAGE_DIR));
}

ssize_t pixi_image_tree_read(const struct pixi_image_tree *t, const struct pixi_image_node *n,
                             uint64_t offset, void *out, size_t len)
{
    if (offset >= n->size)
        return 0;
    if (len > n->size - offset)
        len = (size_t)(n->size - offset);
    return pread(t->spool.fd, out, len, (off_t)(n->offset + offset));
}

int pixi_image_tree_contents(const struct pixi_image_tree *t, const struct pixi_image_node *n,
                             struct pixi_buf *out)
{
    uint64_t at = 0;
    uint8_t *room;
    ssize_t got;

    if (n->size > out->max)
        return PIXI_E_LIMIT;
    room = pixi_buf_reserve(out, (size_t)n->size);
    while (room && at < n->size) {
        got = pixi_image_tree_read(t, n, at, room + at, (size_t)(n->size - at));
        if (got <= 0)
            return PIXI_E_SYS;
        at += (uint64_t)got;
    }
    out->len += (size_t)at;
    return out->err;
}
