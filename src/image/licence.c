#include "image/record.h"

#include <strings.h>

/* Debian's names (DEP 5, "License specification") and SPDX's. */
static const struct {
    const char *debian, *spdx;
} names[] = {
    {"Apache-2.0", "Apache-2.0"},
    {"Apache-2", "Apache-2.0"},
    {"Artistic", "Artistic-1.0-Perl"},
    {"Artistic-2.0", "Artistic-2.0"},
    {"BSD-2-clause", "BSD-2-Clause"},
    {"BSD-3-clause", "BSD-3-Clause"},
    {"BSD-4-clause", "BSD-4-Clause"},
    {"BSL-1.0", "BSL-1.0"},
    {"CC0-1.0", "CC0-1.0"},
    {"curl", "curl"},
    {"Expat", "MIT"},
    {"FSFAP", "FSFAP"},
    {"FTL", "FTL"},
    {"GPL-1+", "GPL-1.0-or-later"},
    {"GPL-2", "GPL-2.0-only"},
    {"GPL-2.0", "GPL-2.0-only"},
    {"GPL-2+", "GPL-2.0-or-later"},
    {"GPL-2.0+", "GPL-2.0-or-later"},
    {"GPL-3", "GPL-3.0-only"},
    {"GPL-3+", "GPL-3.0-or-later"},
    {"ISC", "ISC"},
    {"LGPL-2", "LGPL-2.0-only"},
    {"LGPL-2+", "LGPL-2.0-or-later"},
    {"LGPL-2.1", "LGPL-2.1-only"},
    {"LGPL-2.1+", "LGPL-2.1-or-later"},
    {"LGPL-3", "LGPL-3.0-only"},
    {"LGPL-3+", "LGPL-3.0-or-later"},
    {"MIT", "MIT"},
    {"MPL-1.1", "MPL-1.1"},
    {"MPL-2.0", "MPL-2.0"},
    {"Zlib", "Zlib"},
};

static struct pixi_cur next_line(struct pixi_cur *c)
{
    const uint8_t *end = memchr(c->p, '\n', pixi_cur_left(c));
    struct pixi_cur line = {c->p, end ? end : c->end};

    c->p = end ? end + 1 : c->end;
    return line;
}

static struct pixi_cur trim(struct pixi_cur c)
{
    while (c.p != c.end && (*c.p == ' ' || *c.p == '\t'))
        c.p++;
    while (c.p != c.end && (c.end[-1] == ' ' || c.end[-1] == '\t' || c.end[-1] == '\r'))
        c.end--;
    return c;
}

/* The value of a line "Name: value". */
static bool is_field(struct pixi_cur line, const char *name, struct pixi_cur *value)
{
    size_t len = strlen(name);

    if (pixi_cur_left(&line) <= len || strncasecmp((const char *)line.p, name, len) != 0 ||
        line.p[len] != ':')
        return false;
    *value = trim((struct pixi_cur){line.p + len + 1, line.end});
    return true;
}

static const char *spdx_of(struct pixi_cur name)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (pixi_cur_left(&name) == strlen(names[i].debian) &&
            strncasecmp((const char *)name.p, names[i].debian, strlen(names[i].debian)) == 0)
            return names[i].spdx;
    return "NOASSERTION";
}

const char *pixi_image_licence(struct pixi_cur copyright)
{
    struct pixi_cur line, value;
    bool is_all = false,
         is_next = false; /* in the stanza "Files: *"; "Files:" with its value in the next line */

    while (copyright.p != copyright.end) {
        line = next_line(&copyright);
        if (is_field(line, "Files", &value)) {
            is_next = value.p == value.end;
            is_all = pixi_cur_equals(value, pixi_cur_str("*"));
        } else if (is_next) {
            is_all = pixi_cur_equals(trim(line), pixi_cur_str("*"));
            is_next = false;
        } else if (is_all && is_field(line, "License", &value)) {
            return spdx_of(value);
        } else if (line.p == line.end) {
            is_all = false;
        }
    }
    return "NOASSERTION";
}
