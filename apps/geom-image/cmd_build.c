#include "geom-image/cmd.h"

#include "image/build.h"
#include "image/kernel.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct options {
    const char *description, *output, *kernel;
    bool without_kernel, is_json;
};

/* 0: go on; -1: done well; else the exit code. */
static int read_options(int argc, char **argv, struct options *o)
{
    const struct cli_command *c = cli_command_of("build");
    const char *value;
    int at = 1, option;

    while ((option = cli_next(c, argc, argv, &at, &value)) != CLI_END) {
        switch (option) {
        case BUILD_OUTPUT: o->output = value; break;
        case BUILD_KERNEL: o->kernel = value; break;
        case BUILD_NO_KERNEL: o->without_kernel = true; break;
        case BUILD_JSON: o->is_json = true; break;
        default: return option == CLI_HELP ? -1 : PIXI_EXIT_USAGE;
        }
    }
    if (at < argc)
        o->description = argv[at];
    return at + 1 < argc ? cli_usage_error(c, "one description is enough") : 0;
}

/* reproducible-builds.org/specs/source-date-epoch; four bytes are what cpio has for it. */
static bool read_time(uint64_t *out)
{
    const char *text = getenv("SOURCE_DATE_EPOCH");
    char *end;

    *out = PIXI_IMAGE_TIME;
    if (!text || !*text)
        return true;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && errno == 0 && *out <= UINT32_MAX;
}

static void print_text(const struct pixi_image_made *made, size_t count)
{
    for (size_t i = 0; i < count; i++)
        printf("%-50s %7.2f MiB  sha256:%.16s\n", made[i].path, (double)made[i].size / (1 << 20),
               made[i].digest);
}

static int print_json(const struct pixi_image_made *made, size_t count)
{
    struct pixi_buf b = pixi_buf_init(1 << 20);
    struct pixi_json_out w = pixi_json_out_init(&b);

    pixi_json_open_object(&w);
    pixi_json_name(&w, "made");
    pixi_json_open_array(&w);
    for (size_t i = 0; i < count; i++) {
        pixi_json_open_object(&w);
        pixi_json_name(&w, "path");
        pixi_json_text(&w, made[i].path);
        pixi_json_name(&w, "size");
        pixi_json_number(&w, made[i].size);
        pixi_json_name(&w, "sha256");
        pixi_json_text(&w, made[i].digest);
        pixi_json_close_object(&w);
    }
    pixi_json_close_array(&w);
    pixi_json_close_object(&w);
    printf("%.*s\n", (int)b.len, b.len ? (const char *)b.bytes : "");
    pixi_buf_clear(&b);
    return b.err;
}

static int build(struct pixi_image_desc *d, const struct options *o, uint64_t time)
{
    struct pixi_image_job job = {d, o->output, o->kernel, time};
    struct pixi_image_made made[PIXI_IMAGE_MADE_MAX];
    struct pixi_buf mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);
    size_t count;
    int rc;

    if (o->without_kernel)
        d->output_set &= ~(1u << PIXI_IMAGE_INITRAMFS);
    if (d->key.len)
        fputs("geom-image: warning: the API key goes into the image; everybody who has the image has it\n",
              stderr);
    rc = pixi_image_build(&job, made, &count, &mistakes);
    if (mistakes.len)
        fprintf(stderr, "%.*s", (int)mistakes.len, (const char *)mistakes.bytes);
    if (rc == PIXI_E_NOMEM)
        fputs("geom-image: out of memory\n", stderr);
    pixi_buf_clear(&mistakes);
    if (rc != PIXI_OK)
        return rc == PIXI_E_SETTINGS ? PIXI_EXIT_SETTINGS : PIXI_EXIT_INTERNAL;
    if (o->is_json)
        return print_json(made, count) == PIXI_OK ? PIXI_EXIT_DONE : PIXI_EXIT_INTERNAL;
    print_text(made, count);
    return PIXI_EXIT_DONE;
}

int cmd_build(struct app *app, int argc, char **argv)
{
    struct options o = {PIXI_IMAGE_DESCRIPTION, PIXI_IMAGE_OUTPUT, PIXI_IMAGE_KERNEL, false, false};
    int exit_code = read_options(argc, argv, &o);
    struct pixi_image_desc d;
    uint64_t time;

    (void)app;
    if (exit_code)
        return exit_code < 0 ? 0 : exit_code;
    if (!read_time(&time)) {
        fprintf(stderr, "geom-image: SOURCE_DATE_EPOCH: found \"%s\", expected seconds since 1970\n",
                getenv("SOURCE_DATE_EPOCH"));
        return PIXI_EXIT_USAGE;
    }
    signal(SIGXFSZ, SIG_IGN); /* a limit of the file size is told as an error of write */
    exit_code = load_description(&d, o.description);
    if (!exit_code)
        exit_code = build(&d, &o, time);
    pixi_image_desc_clear(&d);
    return exit_code;
}
