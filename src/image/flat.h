/* flat.h -- a JSON value as a list of what is in it: "reconnect.max_ms" 5000, "subscriptions[0]" "event/#". */
#ifndef PIXI_IMAGE_FLAT_H
#define PIXI_IMAGE_FLAT_H

#include "base/arena.h"
#include "base/json.h"

enum { PIXI_FLAT_PATH_MAX = 4096 };

struct pixi_flat_entry {
    const char *path;      /* "" for the outermost value, where that is no object and no array */
    struct pixi_cur value; /* as written: a string has its quotes; {} and [] for empty ones */
};

struct pixi_flat {
    struct pixi_arena arena;
    struct pixi_buf entries; /* struct pixi_flat_entry each, sorted by path */
};

/* pixi_flat_read -- values borrow from json. pixi_flat_clear is due on any answer.
 *   PIXI_OK | pixi_json_next's errors | PIXI_E_LIMIT: a path over PIXI_FLAT_PATH_MAX bytes | PIXI_E_NOMEM */
int pixi_flat_read(struct pixi_flat *f, struct pixi_cur json);
void pixi_flat_clear(struct pixi_flat *f);

static inline size_t pixi_flat_count(const struct pixi_flat *f)
{
    return f->entries.len / sizeof(struct pixi_flat_entry);
}

static inline const struct pixi_flat_entry *pixi_flat_at(const struct pixi_flat *f, size_t i)
{
    return (const struct pixi_flat_entry *)(const void *)f->entries.bytes + i;
}

/* pixi_flat_show -- a value for people's eyes, into out: what is, or looks like, a secret is hidden, and so is the password in
 * a URL; long ones are cut. NULL as a value is "(none)". */
void pixi_flat_show(const char *path, const struct pixi_cur *value, struct pixi_buf *out);

#endif
