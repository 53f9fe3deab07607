#include "geom-image/cmd.h"

#include "base/file.h"
#include "base/member.h"
#include "image/record.h"

#include <stdio.h>

enum { TEXT_MAX = 512 };

/* Documentation/x86/boot.rst: at 0x202 "HdrS", at 0x20e where, less 0x200, the version's text is. */
enum { KERNEL_MAGIC = 0x202, KERNEL_VERSION = 0x20e, KERNEL_BASE = 0x200 };

static void print_member(struct pixi_cur object, const char *name, const char *before)
{
    char text[TEXT_MAX];

    if (!pixi_member_string(object, name, text, sizeof text))
        return;
    printf("%s", before);
    print_safely(text);
}

static void print_spdx_package(struct pixi_cur p)
{
    print_member(p, "name", "  ");
    print_member(p, "versionInfo", " ");
    print_member(p, "licenseDeclared", ", ");
    puts("");
}

static void print_manifest_file(struct pixi_cur f)
{
    print_member(f, "mode", "  ");
    print_member(f, "owner", " ");
    print_member(f, "type", " ");
    print_member(f, "path", " ");
    print_member(f, "target", " -> ");
    print_member(f, "sha256", " sha256:");
    puts("");
}

static void print_elements(struct pixi_cur array, void (*print)(struct pixi_cur))
{
    struct pixi_json r;
    struct pixi_json_token t;
    struct pixi_cur value;

    pixi_json_init(&r, array.p, pixi_cur_left(&array), PIXI_JSON_DEPTH_MAX);
    if (pixi_json_next(&r, &t) != PIXI_OK)
        return;
    while (pixi_json_next(&r, &t) == PIXI_OK && t.type != PIXI_JSON_ARRAY_END &&
           pixi_json_skip(&r, &t, &value) == PIXI_OK)
        print(value);
}

/* What each kind of paper is known by, and what of it is listed. */
static const struct {
    const char *mark, *what, *name, *version, *list;
    void (*print)(struct pixi_cur element);
} papers[] = {
    {"spdxVersion", "bill of materials", "name", "spdxVersion", "packages", print_spdx_package},
    {"source_date_epoch", "manifest", "image", "version", "files", print_manifest_file},
};

static bool print_json_paper(const char *path, struct pixi_cur text)
{
    enum pixi_json_type type;
    struct pixi_cur value;

    if (pixi_json_check(text.p, pixi_cur_left(&text), PIXI_JSON_DEPTH_MAX, NULL) != PIXI_OK)
        return false;
    for (size_t i = 0; i < sizeof papers / sizeof *papers; i++) {
        if (!pixi_member_get(text, papers[i].mark, &type, &value) ||
            !pixi_member_get(text, papers[i].list, &type, &value) || type != PIXI_JSON_ARRAY)
            continue;
        printf("%s: %s", path, papers[i].what);
        print_member(text, papers[i].name, " of ");
        print_member(text, papers[i].version, ", ");
        printf("\n\n%s\n", papers[i].list);
        print_elements(value, papers[i].print);
        return true;
    }
    return false;
}

static bool print_kernel(const char *path, struct pixi_cur file)
{
    size_t len = pixi_cur_left(&file), at;
    char version[TEXT_MAX];

    if (len < KERNEL_VERSION + 2 || memcmp(file.p + KERNEL_MAGIC, "HdrS", 4) != 0)
        return false;
    at = (size_t)(file.p[KERNEL_VERSION] | file.p[KERNEL_VERSION + 1] << 8) + KERNEL_BASE;
    if (at >= len || !memchr(file.p + at, 0, len - at))
        return false;
    snprintf(version, sizeof version, "%s", (const char *)file.p + at);
    printf("%s: Linux kernel ", path);
    print_safely(version);
    puts("");
    return true;
}

enum paper print_paper(const char *path, enum paper_as as)
{
    struct pixi_buf b = pixi_buf_init(PIXI_IMAGE_RECORD_MAX);
    enum paper is = PAPER_NONE;

    if (pixi_file_read(path, &b, NULL) != PIXI_OK || b.len == 0)
        is = PAPER_NONE;
    else if (*b.bytes != '{')
        is = print_kernel(path, pixi_buf_cur(&b)) ? PAPER_PRINTED : PAPER_NONE;
    else if (as == PAPER_JSON && pixi_json_check(b.bytes, b.len, PIXI_JSON_DEPTH_MAX, NULL) == PIXI_OK)
        is = fwrite(b.bytes, 1, b.len, stdout) == b.len ? PAPER_PRINTED : PAPER_NONE;
    else if (as == PAPER_TEXT)
        is = print_json_paper(path, pixi_buf_cur(&b)) ? PAPER_PRINTED : PAPER_NONE;
    pixi_buf_clear(&b);
    return is;
}
