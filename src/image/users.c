#include "image/users.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILE_MAX = 1 << 20 };

bool pixi_image_uid(const struct pixi_image_desc *d, const char *name, uint32_t *uid)
{
    if (strcmp(name, "root") == 0) {
        *uid = 0;
        return true;
    }
    for (size_t i = 0; i < d->users.count; i++)
        if (strcmp(pixi_image_desc_user(d, i)->name, name) == 0) {
            *uid = (uint32_t)pixi_image_desc_user(d, i)->uid;
            return true;
        }
    return false;
}

bool pixi_image_owner(const struct pixi_image_desc *d, const char *owner, uint32_t *uid, uint32_t *gid)
{
    const char *colon = strchr(owner, ':');
    char user[64];

    snprintf(user, sizeof user, "%.*s", (int)strcspn(owner, ":"), owner);
    return pixi_image_uid(d, user, uid) && pixi_image_uid(d, colon ? colon + 1 : user, gid);
}

static void put_passwd(struct pixi_buf *b, const struct pixi_image_user *u)
{
    pixi_buf_putf(b, "%s:x:%u:%u::%s:%s\n", u->name, (unsigned)u->uid, (unsigned)u->uid, u->home, u->shell);
}

static void put_group(struct pixi_buf *b, const struct pixi_image_user *u)
{
    pixi_buf_putf(b, "%s:x:%u:\n", u->name, (unsigned)u->uid);
}

/* No day of the last change: it would be another with every build. */
static void put_shadow(struct pixi_buf *b, const struct pixi_image_user *u)
{
    pixi_buf_putf(b, "%s:!*:::::::\n", u->name);
}

static const struct {
    const char *path, *initial;
    unsigned mode;
    void (*put)(struct pixi_buf *b, const struct pixi_image_user *u);
    bool has_number; /* in its third field */
} files[] = {
    {"/etc/passwd",
     "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n", 0644,
     put_passwd, true},
    {"/etc/group", "root:x:0:\nnogroup:x:65534:\n", 0644, put_group, true},
    {"/etc/shadow", "root:!*:::::::\nnobody:!*:::::::\n", 0600, put_shadow, false},
};

/* "name:x:NUMBER:": SIZE_MAX where there is none. */
static size_t number_of(struct pixi_cur line)
{
    const uint8_t *p = line.p;
    char text[16] = "";

    for (int colons = 0; colons < 2; colons++) {
        p = memchr(p, ':', (size_t)(line.end - p));
        if (!p)
            return SIZE_MAX;
        p++;
    }
    for (size_t i = 0; i + 1 < sizeof text && p != line.end && *p >= '0' && *p <= '9'; i++)
        text[i] = (char)*p++;
    return *text ? (size_t)strtoul(text, NULL, 10) : SIZE_MAX;
}

static bool is_about(struct pixi_cur line, const char *name)
{
    size_t len = strlen(name);

    return pixi_cur_left(&line) > len && memcmp(line.p, name, len) == 0 && line.p[len] == ':';
}

/* The base's lines but those about the description's users. */
static int put_lines(struct pixi_image_desc *d, size_t file, struct pixi_cur text, struct pixi_buf *out,
                     struct pixi_buf *mistakes)
{
    struct pixi_cur line;
    const uint8_t *end;
    int rc = PIXI_OK;
    bool is_ours;

    while (text.p != text.end) {
        end = memchr(text.p, '\n', pixi_cur_left(&text));
        line = (struct pixi_cur){text.p, end ? end + 1 : text.end};
        text.p = line.end;
        is_ours = false;
        for (size_t i = 0; i < d->users.count; i++) {
            const struct pixi_image_user *u = pixi_image_desc_user(d, i);

            is_ours |= is_about(line, u->name);
            if (is_about(line, u->name) || !files[file].has_number || number_of(line) != u->uid)
                continue;
            pixi_image_desc_mistake_at(
                d, "users", i, mistakes,
                "found uid %u, which the base's %s gives to \"%.*s\", expected another", (unsigned)u->uid,
                files[file].path, (int)strcspn((const char *)line.p, ":"), line.p);
            rc = PIXI_E_SETTINGS;
        }
        if (!is_ours)
            pixi_buf_put_cur(out, line);
    }
    if (out->len && out->bytes[out->len - 1] != '\n')
        pixi_buf_put_str(out, "\n");
    return rc;
}

static int add_file(struct pixi_image_desc *d, struct pixi_image_tree *t, size_t file,
                    struct pixi_buf *mistakes)
{
    struct pixi_buf base = pixi_buf_init(FILE_MAX), text = pixi_buf_init(2 * FILE_MAX);
    const struct pixi_image_node *there = pixi_image_tree_find(t, files[file].path);
    int rc = PIXI_OK;

    if (there && there->layer == PIXI_IMAGE_OF_BASE && there->kind == PIXI_IMAGE_FILE) {
        rc = pixi_image_tree_contents(t, there, &base);
        if (rc == PIXI_E_SYS || rc == PIXI_E_LIMIT)
            pixi_buf_putf(mistakes, "%s: %s of the base cannot be read: %s\n", d->path, files[file].path,
                          rc == PIXI_E_SYS ? strerror(errno) : "it is over 1 MiB");
        pixi_buf_put(&base, "", 1); /* a NUL, for messages */
        base.len -= base.len != 0;
    } else {
        pixi_buf_put(&base, files[file].initial, strlen(files[file].initial) + 1);
        base.len -= base.len != 0;
    }
    if (rc == PIXI_OK)
        rc = put_lines(d, file, pixi_buf_cur(&base), &text, mistakes);
    for (size_t i = 0; i < d->users.count; i++)
        files[file].put(&text, pixi_image_desc_user(d, i));
    if (rc == PIXI_OK && (base.err != PIXI_OK || text.err != PIXI_OK))
        rc = PIXI_E_NOMEM;
    if (rc == PIXI_OK)
        rc = pixi_image_tree_add(t,
                                 &(struct pixi_image_new){.path = files[file].path,
                                                          .mode = there ? there->mode : files[file].mode,
                                                          .gid = there ? there->gid : 0,
                                                          .content = pixi_buf_cur(&text),
                                                          .origin = "users"},
                                 mistakes);
    pixi_buf_clear(&base);
    pixi_buf_clear(&text);
    return rc;
}

int pixi_image_users_add(struct pixi_image_desc *d, struct pixi_image_tree *t, struct pixi_buf *mistakes)
{
    int rc = PIXI_OK;

    for (size_t i = 0; i < sizeof files / sizeof *files && rc == PIXI_OK; i++)
        rc = add_file(d, t, i, mistakes);
    return rc;
}
