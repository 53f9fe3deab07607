/* packages.h -- Debian packages that are installed here, as dpkg's database has them (/var/lib/dpkg; deb-control(5)). */
#ifndef PIXI_IMAGE_PACKAGES_H
#define PIXI_IMAGE_PACKAGES_H

#include "image/desc.h"
#include "image/tree.h"

enum { PIXI_PACKAGES_MAX = 1 << 16 };

/* Strings are owned by the database's arena; "" where the status has none. */
struct pixi_package {
    const char *name, *version, *architecture, *source, *maintainer, *homepage, *status;
    const char *stanza; /* the whole of it, with a line break at the end */
};

struct pixi_packages {
    struct pixi_arena arena;
    struct pixi_buf all; /* struct pixi_package each, sorted by name: pixi_packages_at */
    const char *folder;  /* borrowed: "/var/lib/dpkg" */
};

#define PIXI_DPKG "/var/lib/dpkg"

static inline size_t pixi_packages_count(const struct pixi_packages *p)
{
    return p->all.len / sizeof(struct pixi_package);
}

static inline struct pixi_package *pixi_packages_at(const struct pixi_packages *p, size_t i)
{
    return (struct pixi_package *)(void *)p->all.bytes + i;
}

/* pixi_packages_init -- none. */
void pixi_packages_init(struct pixi_packages *p, const char *folder);

/* pixi_packages_load -- what folder/status says is installed. Clear it on any answer. A machine without dpkg has none.
 *   PIXI_OK | PIXI_E_NOMEM | PIXI_E_LIMIT | PIXI_E_SYS: errno is kept */
int pixi_packages_load(struct pixi_packages *p, const char *folder);
void pixi_packages_clear(struct pixi_packages *p);

/* pixi_packages_put -- reads the stanzas of text, leaves out what is not installed, and adds the rest.
 *   PIXI_OK | PIXI_E_NOMEM */
int pixi_packages_put(struct pixi_packages *p, struct pixi_cur text);

/* pixi_packages_take -- one more, which takes the place of a namesake; its strings stay the other's.   PIXI_OK | PIXI_E_NOMEM */
int pixi_packages_take(struct pixi_packages *p, const struct pixi_package *k);

/* NULL: none of that name. */
const struct pixi_package *pixi_packages_find(const struct pixi_packages *p, const char *name);

/* pixi_packages_add -- what the description's packages ask for: files, folders and links, as they are on this machine.
 *
 *   PIXI_OK | PIXI_E_SETTINGS: not installed, or none of its files (a line each) | pixi_image_tree_add's errors */
int pixi_packages_add(const struct pixi_packages *p, struct pixi_image_desc *d, struct pixi_image_tree *t,
                      struct pixi_buf *mistakes);

/* pixi_packages_own -- sets the package of every own node that is a copy of a package's file. The names are p's.
 *   PIXI_OK | PIXI_E_NOMEM | PIXI_E_LIMIT | PIXI_E_SYS */
int pixi_packages_own(const struct pixi_packages *p, struct pixi_image_tree *t);

#endif
