#include "geom-image/cmd.h"

#include "image/diff.h"

#include <stdio.h>

enum { JSON_MAX = 256 << 20 };

static const char *const abouts[] = {
    [PIXI_ABOUT_PACKAGE] = "package", [PIXI_ABOUT_FILE] = "file", [PIXI_ABOUT_CONFIG] = "config"};

struct printing {
    struct pixi_json_out *json; /* NULL: text */
    size_t count;
};

/* 0: go on; -1: done well; else the exit code. */
static int read_options(int argc, char **argv, const char *paths[2], bool *is_json)
{
    const struct cli_command *c = cli_command_of("diff");
    const char *value;
    int at = 1, option;

    while ((option = cli_next(c, argc, argv, &at, &value)) != CLI_END) {
        if (option < 0)
            return option == CLI_HELP ? -1 : PIXI_EXIT_USAGE;
        *is_json |= option == DIFF_JSON;
    }
    if (at + 2 != argc)
        return cli_usage_error(c, "two images are wanted");
    paths[0] = argv[at];
    paths[1] = argv[at + 1];
    return 0;
}

/* "~ /config/websocket_settings.json url: FROM -> TO", "+ package libc6: 2.36-9", "- /etc/motd: file, 5 bytes" */
static void print_line(const struct pixi_image_change *c)
{
    printf("%c ", !c->from ? '+' : !c->to ? '-' : '~');
    if (c->about == PIXI_ABOUT_PACKAGE)
        printf("package ");
    print_safely(c->where);
    printf("%s", *c->member ? " " : "");
    print_safely(c->member);
    printf(": ");
    if (c->from)
        print_safely(c->from);
    printf("%s", c->from && c->to ? " -> " : "");
    if (c->to)
        print_safely(c->to);
    puts("");
}

static void put_text(struct pixi_json_out *w, const char *name, const char *value)
{
    pixi_json_name(w, name);
    if (value)
        pixi_json_text(w, value);
    else
        pixi_json_null(w);
}

static void on_change(void *context, const struct pixi_image_change *c)
{
    struct printing *p = context;

    p->count++;
    if (!p->json) {
        print_line(c);
        return;
    }
    pixi_json_open_object(p->json);
    put_text(p->json, "about", abouts[c->about]);
    put_text(p->json, "where", c->where);
    put_text(p->json, "member", *c->member ? c->member : NULL);
    put_text(p->json, "from", c->from);
    put_text(p->json, "to", c->to);
    pixi_json_close_object(p->json);
}

static int diff(const struct pixi_image_view *a, const struct pixi_image_view *b, bool is_json)
{
    struct pixi_buf text = pixi_buf_init(JSON_MAX);
    struct pixi_json_out w = pixi_json_out_init(&text);
    struct printing p = {is_json ? &w : NULL, 0};
    int rc;

    pixi_json_open_object(&w);
    pixi_json_name(&w, "changes");
    pixi_json_open_array(&w);
    rc = pixi_image_diff(a, b, on_change, &p);
    pixi_json_close_array(&w);
    pixi_json_close_object(&w);
    if (rc == PIXI_OK && is_json && (rc = text.err) == PIXI_OK)
        printf("%.*s\n", (int)text.len, (const char *)text.bytes);
    if (rc != PIXI_OK)
        fprintf(stderr, "geom-image: %s\n", pixi_err_text(rc));
    pixi_buf_clear(&text);
    return rc != PIXI_OK ? PIXI_EXIT_INTERNAL : p.count ? PIXI_EXIT_CHECK : PIXI_EXIT_DONE;
}

int cmd_diff(struct app *app, int argc, char **argv)
{
    const char *paths[2] = {NULL, NULL};
    bool is_json = false;
    int exit_code = read_options(argc, argv, paths, &is_json);
    struct pixi_image_view a, b;

    (void)app;
    if (exit_code)
        return exit_code < 0 ? 0 : exit_code;
    exit_code = open_image(&a, paths[0]);
    if (!exit_code) {
        exit_code = open_image(&b, paths[1]);
        if (!exit_code)
            exit_code = diff(&a, &b, is_json);
        pixi_image_view_close(&b);
    }
    pixi_image_view_close(&a);
    return exit_code;
}
