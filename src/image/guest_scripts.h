/* guest_scripts.h -- the scripts that run inside the image, as tools/embed-guest built them in from src/image/guest. */
#ifndef PIXI_IMAGE_GUEST_SCRIPTS_H
#define PIXI_IMAGE_GUEST_SCRIPTS_H

#include <stddef.h>

struct pixi_image_script {
    const char *name; /* "boot": /usr/lib/pixi/boot, from src/image/guest/boot.sh */
    const unsigned char *text;
    size_t len;
};

extern const struct pixi_image_script pixi_image_scripts[];
extern const size_t pixi_image_script_count;

#endif
