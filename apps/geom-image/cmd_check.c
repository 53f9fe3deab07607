#include "geom-image/cmd.h"

#include <stdio.h>

/* 0: go on with *path; -1: done well; else the exit code. */
static int read_arguments(const char *name, int argc, char **argv, const char **path, bool *is_json)
{
    const struct cli_command *c = cli_command_of(name);
    const char *value;
    int at = 1, option;

    while ((option = cli_next(c, argc, argv, &at, &value)) != CLI_END) {
        if (option < 0)
            return option == CLI_HELP ? -1 : PIXI_EXIT_USAGE;
        *is_json |= option == SHOW_JSON;
    }
    *path = at < argc ? argv[at] : PIXI_IMAGE_DESCRIPTION;
    return at + 1 < argc ? cli_usage_error(c, "one description is enough") : 0;
}

int cmd_check(struct app *app, int argc, char **argv)
{
    const char *path;
    bool is_json = false;
    int exit_code = read_arguments("check", argc, argv, &path, &is_json);
    struct pixi_image_desc d;

    (void)app;
    if (exit_code)
        return exit_code < 0 ? 0 : exit_code;
    exit_code = load_description(&d, path);
    if (!exit_code)
        printf("%s: ok\n", path);
    pixi_image_desc_clear(&d);
    return exit_code;
}

static int print_members(struct pixi_image_desc *d, bool is_json)
{
    struct pixi_buf b = pixi_buf_init(8 << 20), placed = pixi_buf_init(8 << 20);
    struct pixi_json_out w = pixi_json_out_init(&b);
    int rc;

    d->ws.settings = d->ws.settings ? "(inline)" : NULL;
    if (is_json)
        pixi_conf_show_json(&d->conf, &w);
    else
        pixi_conf_show(&d->conf, &b);
    pixi_buf_put_str(&b, is_json ? "\n" : "");
    pixi_yaml_place(&d->whole, d->path, pixi_buf_cur(&b), &placed);
    printf("%.*s", (int)placed.len, placed.len ? (const char *)placed.bytes : "");
    rc = b.err != PIXI_OK ? b.err : placed.err;
    pixi_buf_clear(&b);
    pixi_buf_clear(&placed);
    return rc;
}

int cmd_show(struct app *app, int argc, char **argv)
{
    const char *path;
    bool is_json = false;
    int exit_code = read_arguments("show", argc, argv, &path, &is_json);
    struct pixi_image_desc d;

    (void)app;
    if (exit_code)
        return exit_code < 0 ? 0 : exit_code;
    exit_code = load_description(&d, path);
    if (print_members(&d, is_json) != PIXI_OK)
        exit_code = PIXI_EXIT_INTERNAL;
    pixi_image_desc_clear(&d);
    return exit_code;
}
