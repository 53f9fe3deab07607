/* object.h -- what the payloads under scene/ may be: docs/scene.md, as a table. Reads JSON; no I/O, no allocation. */
#ifndef PIXI_SCENE_OBJECT_H
#define PIXI_SCENE_OBJECT_H

#include "base/buf.h"

#include <stdbool.h>

enum {
    PIXI_SCENE_BYTES_MAX = 65536,
    PIXI_SCENE_ID_MAX = 128, /* bytes */
    PIXI_SCENE_POINTS_MAX = 1024,
    PIXI_SCENE_LABEL_MAX = 256, /* characters */
};

enum pixi_scene_kind { PIXI_SCENE_OBJECT, PIXI_SCENE_TILE, PIXI_SCENE_CAMERA };

/* pixi_scene_check -- is this payload right? Each mistake is a line: where, which member, what was found and expected.
 *
 *     object:1:19: tint: found "red", expected a colour, "#rrggbb" such as "#3b82f6"
 *
 *   name      what a line begins with; line and column follow
 *   mistakes  lines are added; they may be cut short where it is full */
bool pixi_scene_check(enum pixi_scene_kind kind, const char *name, struct pixi_cur text,
                      struct pixi_buf *mistakes);

/* pixi_scene_is_id -- one topic level of 1 to 128 bytes: valid UTF-8, none of "/", "+", "#", no control character. */
bool pixi_scene_is_id(struct pixi_cur id);

/* pixi_scene_move -- the same object elsewhere: its x and y are replaced by these texts of numbers, the rest stays as it
 * stands. object is right, as pixi_scene_check says. Errors stick in out. */
void pixi_scene_move(struct pixi_cur object, const char *x, const char *y, struct pixi_buf *out);

#endif
