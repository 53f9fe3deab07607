/* diff.h -- what is other in one image than in another, down to the member of a settings file. */
#ifndef PIXI_IMAGE_DIFF_H
#define PIXI_IMAGE_DIFF_H

#include "image/view.h"

enum pixi_image_about {
    PIXI_ABOUT_PACKAGE, /* where: its name */
    PIXI_ABOUT_FILE,    /* where: its path */
    PIXI_ABOUT_CONFIG,  /* where: "config": how a container runs it */
};

/* One difference. Strings are valid during the call; no value of a secret is in them. */
struct pixi_image_change {
    enum pixi_image_about about;
    const char *where;
    const char
        *member; /* "mode", "owner", "contents", "type", "target", or a member of its JSON; "": all of it */
    const char *from, *to; /* NULL: it was not there, or is no more */
};

typedef void pixi_image_on_change(void *context, const struct pixi_image_change *change);

/* pixi_image_diff -- packages, then files by their paths, then the configuration. Times are not looked at.
 *
 * Records of packages that have another version are told as the package only.
 *
 *   PIXI_OK | PIXI_E_SYS: errno is kept | PIXI_E_NOMEM */
int pixi_image_diff(const struct pixi_image_view *a, const struct pixi_image_view *b,
                    pixi_image_on_change *on_change, void *context);

#endif
