/* cmd.h -- the commands of geom-image: one table, one cmd_*.c each. */
#ifndef GEOM_IMAGE_CMD_H
#define GEOM_IMAGE_CMD_H

#include "base/exit.h"
#include "cli/cli.h"
#include "image/desc.h"

enum { GEOM_VERSION };
enum { SHOW_JSON };
enum { BUILD_OUTPUT, BUILD_KERNEL, BUILD_NO_KERNEL, BUILD_JSON };
enum { VERIFY_OUTPUT, VERIFY_JSON, VERIFY_TIMEOUT };

/* load_description -- mistakes are printed. 0 or the exit code; pixi_image_desc_clear is due on any answer. */
int load_description(struct pixi_image_desc *d, const char *path);

int cmd_check(struct app *app, int argc, char **argv);
int cmd_show(struct app *app, int argc, char **argv);
int cmd_build(struct app *app, int argc, char **argv);
int cmd_verify(struct app *app, int argc, char **argv);

#endif
