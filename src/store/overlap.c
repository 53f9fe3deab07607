#include "store/overlap.h"

#include "base/topic.h"

static bool is_level(struct pixi_cur level, char wildcard)
{
    return pixi_cur_left(&level) == 1 && *level.p == (uint8_t)wildcard;
}

static bool starts_wild(struct pixi_cur filter)
{
    return *filter.p == '+' || *filter.p == '#';
}

/* What is left of a filter after all its levels matched: nothing, or a '#' that includes the parent. */
static bool may_end(struct pixi_cur rest)
{
    return !rest.p || is_level(rest, '#');
}

bool pixi_filter_overlaps(struct pixi_cur a, struct pixi_cur b)
{
    struct pixi_cur x, y;

    a = pixi_filter_inner(a);
    b = pixi_filter_inner(b);
    /* [MQTT-4.7.2-1]: wildcards in the first level say nothing about '$...' */
    if ((*a.p == '$' && starts_wild(b)) || (*b.p == '$' && starts_wild(a)))
        return false;
    while (a.p && b.p) {
        pixi_topic_level(&a, &x);
        pixi_topic_level(&b, &y);
        if (is_level(x, '#') || is_level(y, '#'))
            return true;
        if (!is_level(x, '+') && !is_level(y, '+') && !pixi_cur_equals(x, y))
            return false;
    }
    return may_end(a) && may_end(b);
}
