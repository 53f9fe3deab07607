#include "geom-image/cmd.h"

#include "base/member.h"
#include "image/build.h"
#include "image/flat.h"
#include "image/record.h"
#include "image/view.h"

#include <stdio.h>

/* 0: go on; -1: done well; else the exit code. */
static int read_options(int argc, char **argv, const char **path, bool *is_json)
{
    const struct cli_command *c = cli_command_of("inspect");
    const char *value;
    int at = 1, option;

    while ((option = cli_next(c, argc, argv, &at, &value)) != CLI_END) {
        if (option < 0)
            return option == CLI_HELP ? -1 : PIXI_EXIT_USAGE;
        *is_json |= option == INSPECT_JSON;
    }
    *path = at < argc ? argv[at] : PIXI_IMAGE_OUTPUT;
    return at + 1 < argc ? cli_usage_error(c, "one image is enough; diff takes two") : 0;
}

static void print_config(const struct pixi_image_view *v)
{
    struct pixi_buf shown = pixi_buf_init(4096);
    enum pixi_json_type type;
    struct pixi_cur config;
    struct pixi_flat flat;

    if (!pixi_member_get(pixi_buf_cur(&v->oci.config), "config", &type, &config))
        return;
    if (pixi_flat_read(&flat, config) == PIXI_OK) {
        puts("\nconfiguration");
        for (size_t i = 0; i < pixi_flat_count(&flat); i++) {
            const struct pixi_flat_entry *e = pixi_flat_at(&flat, i);

            pixi_buf_reset(&shown);
            pixi_flat_show(e->path, &e->value, &shown);
            pixi_buf_put(&shown, "", 1);
            printf("  ");
            print_safely(e->path);
            printf(": ");
            print_safely(shown.err == PIXI_OK ? (const char *)shown.bytes : "");
            puts("");
        }
    }
    pixi_flat_clear(&flat);
    pixi_buf_clear(&shown);
}

static void print_packages(const struct pixi_image_view *v)
{
    if (pixi_packages_count(&v->packages))
        puts("\npackages");
    for (size_t i = 0; i < pixi_packages_count(&v->packages); i++) {
        printf("  ");
        print_safely(pixi_packages_at(&v->packages, i)->name);
        printf(" ");
        print_safely(pixi_packages_at(&v->packages, i)->version);
        puts("");
    }
}

/* As ls -l has it. */
static void put_mode(const struct pixi_image_node *n, char out[11])
{
    static const char kinds[] = {[PIXI_IMAGE_FILE] = '-', [PIXI_IMAGE_DIR] = 'd', [PIXI_IMAGE_LINK] = 'l'};
    static const char bits[] = "rwxrwxrwx";

    out[0] = kinds[n->kind];
    for (unsigned i = 0; i < 9; i++)
        out[i + 1] = n->mode >> (8 - i) & 1 ? bits[i] : '-';
    if (n->mode & 04000)
        out[3] = n->mode & 0100 ? 's' : 'S';
    if (n->mode & 02000)
        out[6] = n->mode & 010 ? 's' : 'S';
    if (n->mode & 01000)
        out[9] = n->mode & 01 ? 't' : 'T';
    out[10] = 0;
}

static void print_files(const struct pixi_image_view *v)
{
    char mode[11], owner[32], hex[PIXI_SHA256_HEX];

    puts("\nfiles");
    for (size_t i = 0; i < v->tree.count; i++) {
        const struct pixi_image_node *n = v->tree.nodes[i];

        put_mode(n, mode);
        snprintf(owner, sizeof owner, "%u:%u", n->uid, n->gid);
        pixi_image_hex(n->sha256, hex);
        printf("  %s %-9s %9llu %.12s ", mode, owner, (unsigned long long)n->size,
               n->kind == PIXI_IMAGE_FILE ? hex : "-           ");
        print_safely(n->path);
        if (n->target) {
            printf(" -> ");
            print_safely(n->target);
        }
        puts("");
    }
}

static void print_text(const struct pixi_image_view *v, const char *path)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < v->tree.count; i++)
        bytes += v->tree.nodes[i]->size;
    printf("%s: %s, %zu files and folders, %.2f MiB", path, v->kind, v->tree.count,
           (double)bytes / (1 << 20));
    if (v->oci.config.len)
        printf(", %zu layer%s, %s", v->oci.count, v->oci.count == 1 ? "" : "s", v->oci.manifest);
    puts("");
    print_config(v);
    print_packages(v);
    print_files(v);
}

static void put_packages(const struct pixi_image_view *v, struct pixi_json_out *w)
{
    pixi_json_name(w, "packages");
    pixi_json_open_array(w);
    for (size_t i = 0; i < pixi_packages_count(&v->packages); i++) {
        pixi_json_open_object(w);
        pixi_json_name(w, "name");
        pixi_json_text(w, pixi_packages_at(&v->packages, i)->name);
        pixi_json_name(w, "version");
        pixi_json_text(w, pixi_packages_at(&v->packages, i)->version);
        pixi_json_close_object(w);
    }
    pixi_json_close_array(w);
}

static int print_json(const struct pixi_image_view *v, const char *path)
{
    struct pixi_buf b = pixi_buf_init(PIXI_IMAGE_RECORD_MAX);
    struct pixi_json_out w = pixi_json_out_init(&b);
    enum pixi_json_type type;
    struct pixi_cur config;

    pixi_json_open_object(&w);
    pixi_json_name(&w, "path");
    pixi_json_text(&w, path);
    pixi_json_name(&w, "kind");
    pixi_json_text(&w, v->kind);
    if (pixi_member_get(pixi_buf_cur(&v->oci.config), "config", &type, &config)) {
        pixi_json_name(&w, "config");
        pixi_json_raw(&w, config);
    }
    put_packages(v, &w);
    pixi_json_name(&w, "files");
    pixi_json_open_array(&w);
    for (size_t i = 0; i < v->tree.count; i++)
        pixi_image_put_node(&w, v->tree.nodes[i]);
    pixi_json_close_array(&w);
    pixi_json_close_object(&w);
    if (b.err == PIXI_OK)
        printf("%.*s\n", (int)b.len, (const char *)b.bytes);
    pixi_buf_clear(&b);
    return b.err;
}

int cmd_inspect(struct app *app, int argc, char **argv)
{
    const char *path;
    bool is_json = false;
    int exit_code = read_options(argc, argv, &path, &is_json);
    struct pixi_image_view v;

    (void)app;
    if (exit_code)
        return exit_code < 0 ? 0 : exit_code;
    if (print_paper(path, is_json ? PAPER_JSON : PAPER_TEXT) == PAPER_PRINTED)
        return PIXI_EXIT_DONE;
    exit_code = open_image(&v, path);
    if (!exit_code && !is_json)
        print_text(&v, path);
    else if (!exit_code && print_json(&v, path) != PIXI_OK)
        exit_code = PIXI_EXIT_INTERNAL;
    pixi_image_view_close(&v);
    return exit_code;
}
