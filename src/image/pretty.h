/* pretty.h -- JSON as a person would write it. */
#ifndef PIXI_IMAGE_PRETTY_H
#define PIXI_IMAGE_PRETTY_H

#include "base/buf.h"

/* pixi_pretty -- the same value, a member a line, two spaces a level, a line break at the end.
 *
 *   json   one valid value (assert)
 *   name   NULL, or a member to add to the outermost object, at its end, with this string as its value */
void pixi_pretty(struct pixi_cur json, const char *name, const char *value, struct pixi_buf *out);

#endif
