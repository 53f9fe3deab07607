/* cmd.h -- the commands of geom-image: one table, one cmd_*.c each. */
#ifndef GEOM_IMAGE_CMD_H
#define GEOM_IMAGE_CMD_H

#include "base/exit.h"
#include "cli/cli.h"
#include "image/desc.h"

enum { GEOM_VERSION };
enum { SHOW_JSON };
enum { BUILD_OUTPUT, BUILD_KERNEL, BUILD_NO_KERNEL, BUILD_JSON };
enum { INSPECT_JSON };
enum { DIFF_JSON };
enum { VERIFY_OUTPUT, VERIFY_JSON, VERIFY_TIMEOUT };

/* load_description -- mistakes are printed. 0 or the exit code; pixi_image_desc_clear is due on any answer. */
int load_description(struct pixi_image_desc *d, const char *path);

/* open_image -- mistakes are printed. 0 or the exit code; pixi_image_view_close is due on any answer. */
struct pixi_image_view;
int open_image(struct pixi_image_view *v, const char *path);
/* print_paper -- what is in a bill of materials or in a manifest (a JSON file as it is, where JSON is asked for), or which
 * kernel this is. PAPER_NONE: it is something else, and nothing was printed. */
enum paper { PAPER_NONE, PAPER_PRINTED };
enum paper_as { PAPER_TEXT, PAPER_JSON };
enum paper print_paper(const char *path, enum paper_as as);
/* print_safely -- text out of an image, which may have anything in it: control characters become '?'. */
void print_safely(const char *text);

int cmd_check(struct app *app, int argc, char **argv);
int cmd_show(struct app *app, int argc, char **argv);
int cmd_build(struct app *app, int argc, char **argv);
int cmd_inspect(struct app *app, int argc, char **argv);
int cmd_diff(struct app *app, int argc, char **argv);
int cmd_verify(struct app *app, int argc, char **argv);

#endif
