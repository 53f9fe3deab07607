/* topic.h -- topic names and topic filters. MQTT 5 §4.7, one grammar for both dialects. */
#ifndef PIXI_BASE_TOPIC_H
#define PIXI_BASE_TOPIC_H

#include "base/cur.h"
#include "base/err.h"

enum { PIXI_TOPIC_MAX = 65535 }; /* bytes */

/* pixi_topic_check -- is it a topic name?                            MQTT 5 §4.7.1, §4.7.3
 *   PIXI_OK        1 .. PIXI_TOPIC_MAX bytes of UTF-8 without U+0000, '+' or '#'
 *   PIXI_E_TOPIC   anything else */
int pixi_topic_check(struct pixi_cur topic);

/* pixi_filter_check -- is it a topic filter?                         MQTT 5 §4.7.1, §4.8.2
 *   PIXI_OK        '#' only as the last level, '+' only as a whole level; for `$share/G/F`
 *                  G is not empty, has no wildcard, and F is a filter in turn, though not
 *                  of the form `$share/...` again: what is stepped over once is stepped over
 *   PIXI_E_FILTER  anything else */
int pixi_filter_check(struct pixi_cur filter);

/* pixi_filter_inner -- F of `$share/G/F`, else the filter itself. For a checked filter. Borrows from it. */
struct pixi_cur pixi_filter_inner(struct pixi_cur filter);

/* pixi_filter_matches -- does the filter match the topic? Both checked; `$share/G/` is stepped over.
 * A wildcard in the first level never matches a topic that starts with '$' (§4.7.2). */
bool pixi_filter_matches(struct pixi_cur filter, struct pixi_cur topic);

/* pixi_filter_covers -- does `allowed` match every topic that `filter` can match? Both checked;
 * `$share/G/` is stepped over in filter, not in allowed: no permission has that form.
 * What a permission is decided by: exact, not a heuristic. */
bool pixi_filter_covers(struct pixi_cur allowed, struct pixi_cur filter);

/* pixi_topic_level -- cut the next level, '/' consumed. False when nothing is left.
 * rest starts as the whole topic; a rest with p == NULL means done ("a/" has two levels, the last empty). */
bool pixi_topic_level(struct pixi_cur *rest, struct pixi_cur *level);

#endif
