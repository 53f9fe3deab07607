/* member.h -- one member of a JSON object, found by reading it through. For short texts, and few members. */
#ifndef PIXI_BASE_MEMBER_H
#define PIXI_BASE_MEMBER_H

#include "base/json.h"

/* pixi_member_get -- the value of the first member of this name.
 *
 *   object  one JSON object, whole
 *   type    of the value; DONE where there is none
 *   raw     borrows the value's source bytes from object; empty where there is none
 *
 * false: object is no object, not valid JSON up to there, or has no such member. */
bool pixi_member_get(struct pixi_cur object, const char *name, enum pixi_json_type *type,
                     struct pixi_cur *raw);

/* pixi_member_string -- the unescaped text of a string member, into out (len bytes, NUL included; a longer one
 * is refused). false: no such member, no string, too long. */
bool pixi_member_string(struct pixi_cur object, const char *name, char *out, size_t len);

/* pixi_member_int -- a whole number, possibly negative. */
bool pixi_member_int(struct pixi_cur object, const char *name, int64_t *out);

#endif
