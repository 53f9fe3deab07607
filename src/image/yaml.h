/* yaml.h -- YAML as JSON text, so that one reader of settings does for both, with the places of everything in the YAML.
 *
 * The JSON has one token a line. What conf finds wrong in it ("file:LINE:COLUMN: ...") is told at the place in the YAML
 * once pixi_yaml_place has gone over the lines. Aliases are written out, under the ceilings below. */
#ifndef PIXI_IMAGE_YAML_H
#define PIXI_IMAGE_YAML_H

#include "base/buf.h"
#include "base/json.h"

enum {
    PIXI_YAML_FILE_MAX = 1 << 20,  /* bytes of a file, and of the JSON that it makes */
    PIXI_YAML_NODES_MAX = 1 << 15, /* values and names, aliases written out */
    PIXI_YAML_DEPTH_MAX = 32,
};

/* What stands in the whole for a mapping that was taken out of it. No YAML of a person's has this string. */
#define PIXI_YAML_CUT "\x01"

struct pixi_yaml {
    struct pixi_buf json;  /* one value; empty: none */
    struct pixi_buf lines; /* struct pixi_json_at each: where the token of this line stands in the YAML */
};

static inline struct pixi_yaml pixi_yaml_init(void)
{
    return (struct pixi_yaml){pixi_buf_init(2 * PIXI_YAML_FILE_MAX),
                              pixi_buf_init(4 * PIXI_YAML_NODES_MAX * sizeof(struct pixi_json_at))};
}

void pixi_yaml_clear(struct pixi_yaml *y);

/* pixi_yaml_read -- one document of YAML 1.2.
 *
 *   file      its name, for messages
 *   cut       "websocket_settings.settings": a mapping there goes into part, PIXI_YAML_CUT into whole
 *   mistakes  one line for each mistake of syntax; no tags, no names that are not plain text, no second document
 *
 *   PIXI_OK | PIXI_E_SETTINGS | PIXI_E_NOMEM */
int pixi_yaml_read(const char *file, struct pixi_cur text, const char *cut, struct pixi_yaml *whole,
                   struct pixi_yaml *part, struct pixi_buf *mistakes);

/* pixi_yaml_place -- lines of messages about the JSON, to the end of out as messages about the YAML: every "file:L:C" in
 * them gets the place of JSON line L. */
void pixi_yaml_place(const struct pixi_yaml *y, const char *file, struct pixi_cur lines,
                     struct pixi_buf *out);

#endif
