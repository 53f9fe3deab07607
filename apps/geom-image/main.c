#include "geom-image/cmd.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

static const struct cli_option show_options[] = {
    [SHOW_JSON] = {"json", 0, NULL, "as one object", NULL},
    {0},
};

static const struct cli_option build_options[] = {
    [BUILD_OUTPUT] = {"output", 0, "DIR", "where the image goes (build/image)", NULL},
    [BUILD_KERNEL] = {"kernel", 0, "DIR", "the unpacked kernel (build/image/kernel); make image gets one",
                      NULL},
    [BUILD_NO_KERNEL] = {"no-kernel", 0, NULL, "all outputs but the initramfs", NULL},
    [BUILD_JSON] = {"json", 0, NULL, "say what was made as one object", NULL},
    {0},
};

static const struct cli_option inspect_options[] = {
    [INSPECT_JSON] = {"json", 0, NULL, "as one object", NULL},
    {0},
};

static const struct cli_option diff_options[] = {
    [DIFF_JSON] = {"json", 0, NULL, "as one object", NULL},
    {0},
};

static const struct cli_option verify_options[] = {
    [VERIFY_OUTPUT] = {"output", 0, "DIR", "where the built image is (build/image)", NULL},
    [VERIFY_JSON] = {"json", 0, NULL, "the report as one object", NULL},
    [VERIFY_TIMEOUT] = {"timeout", 0, "SECONDS", "for all of it (150)", NULL},
    {0},
};

static const struct cli_option options[] = {
    [GEOM_VERSION] = {"version", 'V', NULL, "print the version", NULL},
    {0},
};

static const struct cli_command commands[] = {
    {"check", "[FILE]", "say whether the description is right", NULL,
     "It says ok, or one line for each mistake: file, line, column, found, expected.\n\n"
     "  geom-image check config/geom_os_image.yaml\n",
     NULL, cmd_check},
    {"show", "[FILE]", "every member of the description and its value", show_options,
     "  geom-image show config/geom_os_image.yaml\n", NULL, cmd_show},
    {"build", "[FILE]", "make the image that the description describes", build_options,
     "DIR gets NAME-VERSION.rootfs.tar, .oci, .initramfs.cpio.zst, .vmlinuz, .spdx.json and\n"
     ".manifest.json, as outputs of the description says: all of them, or after an error\n"
     "none. The same sources give the same bytes.\n\n"
     "  geom-image build config/geom_os_image.yaml\n",
     NULL, cmd_build},
    {"inspect", "[IMAGE]", "list what is in an image: how it runs, packages, files", inspect_options,
     "IMAGE is a root file system (tar), an initramfs, an OCI layout, or a folder with the\n"
     "outputs of a build; build/image where none is named. Of a bill of materials, a manifest\n"
     "or a kernel it says what is in it.\n\n"
     "  geom-image inspect build/image/geom-os-1.0.oci\n",
     NULL, cmd_inspect},
    {"diff", "[--json] A B", "what is other in image B than in image A, down to the setting", diff_options,
     "A and B are as for inspect. + was added, - is gone, ~ is other: packages, files, the\n"
     "members of JSON files, how a container runs it. Keys are hidden. It ends with 0 when\n"
     "nothing is other, and with 1 when something is.\n\n"
     "  geom-image diff geom-os-1.0.rootfs.tar geom-os-1.1.rootfs.tar\n",
     NULL, cmd_diff},
    {"verify", "[FILE]", "start the built image, and let it prove its link", verify_options,
     "FILE is the description that it was built from. The image is started as a machine, by\n"
     "QEMU, and as a container, beside a Pixi server of its own with a key made for this run.\n"
     "Each line is a check: ok, FAILED with what to do, or skipped with its reason.\n\n"
     "  geom-image verify config/geom_os_image.yaml\n",
     NULL, cmd_verify},
    {0},
};

static const struct cli_row exits[] = {
    {"0", "done"},
    {"1", "a check failed; images differ"},
    {"2", "usage"},
    {"3", "the description, or an image that cannot be read"},
    {"14", "something else, a full disk for one"},
    {0},
};

static const struct cli_row files[] = {
    {PIXI_IMAGE_DESCRIPTION, "The description, where no other is named."},
    {0},
};

static const struct cli_row environment[] = {
    {"SOURCE_DATE_EPOCH", "The time of everything in the image, seconds since 1970; else 2026-01-01."},
    {0},
};
static const struct cli_row see_also[] = {{"pixi-ws-client", "1"}, {"pixi-ws-server", "1"}, {0}};

const struct cli_program cli_program = {
    {"geom-image", "COMMAND ...", "builds and verifies GeometryOS images", options,
     "  geom-image build config/geom_os_image.yaml\n", NULL, NULL},
    commands,
    exits,
    files,
    environment,
    see_also,
};

int main(int argc, char **argv)
{
    const struct cli_command *command;
    int at = 1, option, exit_code;
    const char *value;

    setlocale(LC_CTYPE, "C.UTF-8"); /* names of files are UTF-8, whatever the user's terminal shows */
    if (argc == 3 && strcmp(argv[1], "--print") == 0)
        return cli_print(argv[2]);
    option = cli_next(&cli_program.self, argc, argv, &at, &value);
    if (option == GEOM_VERSION)
        printf("geom-image %s\n", PIXI_VERSION);
    if (option != CLI_END)
        return option == CLI_BAD ? PIXI_EXIT_USAGE : PIXI_EXIT_DONE;
    if (at == argc)
        return cli_usage_error(&cli_program.self, "a command is missing");
    command = cli_command_of(argv[at]);
    if (!command)
        return cli_unknown_command(argv[at]);
    exit_code = command->run(NULL, argc - at, argv + at);
    if (fflush(stdout) != 0 && !exit_code)
        exit_code = PIXI_EXIT_INTERNAL;
    return exit_code;
}
