#include "geom-image/cmd.h"

#include "image/view.h"

#include <errno.h>
#include <stdio.h>

int open_image(struct pixi_image_view *v, const char *path)
{
    struct pixi_buf why = pixi_buf_init(1 << 16);
    int rc = pixi_image_view_open(v, path, &why);

    if (why.len)
        fprintf(stderr,
                "geom-image: %s: %.*s; expected a root file system (tar), an initramfs, an OCI layout or the "
                "folder "
                "of a build\n",
                path, (int)why.len, (const char *)why.bytes);
    else if (rc != PIXI_OK)
        fprintf(stderr, "geom-image: %s: %s\n", path, rc == PIXI_E_SYS ? strerror(errno) : pixi_err_text(rc));
    pixi_buf_clear(&why);
    return rc == PIXI_OK ? PIXI_EXIT_DONE : rc == PIXI_E_SETTINGS ? PIXI_EXIT_SETTINGS : PIXI_EXIT_INTERNAL;
}

void print_safely(const char *text)
{
    for (; *text; text++)
        putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
}
