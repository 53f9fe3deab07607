#include "base/topic.h"

#include "base/utf8.h"

static bool has_byte(struct pixi_cur c, char byte)
{
    return c.p != c.end && memchr(c.p, byte, pixi_cur_left(&c));
}

static bool starts_with(struct pixi_cur c, char byte)
{
    return c.p != c.end && *c.p == (uint8_t)byte;
}

static bool is_level(struct pixi_cur level, char wildcard)
{
    return pixi_cur_left(&level) == 1 && *level.p == (uint8_t)wildcard;
}

static bool has_wildcard(struct pixi_cur c)
{
    return has_byte(c, '+') || has_byte(c, '#');
}

/* [MQTT-4.7.3-1], [MQTT-4.7.3-2], [MQTT-4.7.3-3]: what names and filters have in common. */
static bool is_text(struct pixi_cur c)
{
    size_t len = pixi_cur_left(&c);

    return len >= 1 && len <= PIXI_TOPIC_MAX && !has_byte(c, '\0') && pixi_utf8_is_valid(c.p, len);
}

int pixi_topic_check(struct pixi_cur topic)
{
    return is_text(topic) && !has_wildcard(topic) ? PIXI_OK : PIXI_E_TOPIC;
}

bool pixi_topic_level(struct pixi_cur *rest, struct pixi_cur *level)
{
    const uint8_t *slash;

    if (!rest->p)
        return false;
    slash = rest->p == rest->end ? NULL : memchr(rest->p, '/', pixi_cur_left(rest));
    *level = (struct pixi_cur){rest->p, slash ? slash : rest->end};
    *rest = slash ? (struct pixi_cur){slash + 1, rest->end} : (struct pixi_cur){0};
    return true;
}

/* Steps over `$share/`: true when there was one. */
static bool cut_share(struct pixi_cur *filter)
{
    static const char share[] = "$share/";
    const size_t len = sizeof share - 1;

    if (pixi_cur_left(filter) < len || memcmp(filter->p, share, len) != 0)
        return false;
    filter->p += len;
    return true;
}

static bool levels_are_right(struct pixi_cur rest)
{
    struct pixi_cur level;

    while (pixi_topic_level(&rest, &level)) {
        if (is_level(level, '#'))
            return !rest.p; /* [MQTT-4.7.1-1]: the last */
        if (!is_level(level, '+') && has_wildcard(level))
            return false;
    }
    return true;
}

int pixi_filter_check(struct pixi_cur filter)
{
    struct pixi_cur group;

    if (!is_text(filter))
        return PIXI_E_FILTER;
    if (cut_share(&filter)) {
        pixi_topic_level(&filter, &group);
        if (group.p == group.end || has_wildcard(group) || filter.p == filter.end)
            return PIXI_E_FILTER; /* [MQTT-4.8.2-1], [MQTT-4.8.2-2] */
        /* A share in a share would mean one thing to who steps over it once and another to who does twice. */
        if (cut_share(&filter))
            return PIXI_E_FILTER;
    }
    return levels_are_right(filter) ? PIXI_OK : PIXI_E_FILTER;
}

struct pixi_cur pixi_filter_inner(struct pixi_cur filter)
{
    struct pixi_cur group;

    if (cut_share(&filter))
        pixi_topic_level(&filter, &group);
    return filter;
}

/* §4.7.2: such a filter says nothing about topics that start with '$'. */
static bool starts_wild(struct pixi_cur filter)
{
    return starts_with(filter, '+') || starts_with(filter, '#');
}

bool pixi_filter_matches(struct pixi_cur filter, struct pixi_cur topic)
{
    struct pixi_cur f, t;

    filter = pixi_filter_inner(filter);
    if (starts_with(topic, '$') && starts_wild(filter))
        return false;
    while (pixi_topic_level(&filter, &f)) {
        if (is_level(f, '#')) /* looked at before the topic: '#' includes the parent level */
            return true;
        if (!pixi_topic_level(&topic, &t))
            return false;
        if (!is_level(f, '+') && !pixi_cur_equals(f, t))
            return false;
    }
    return !topic.p;
}

bool pixi_filter_covers(struct pixi_cur allowed, struct pixi_cur filter)
{
    struct pixi_cur whole = pixi_filter_inner(filter), rest = whole, a, f;

    if (starts_with(whole, '$') && starts_wild(allowed))
        return false;
    while (pixi_topic_level(&allowed, &a)) {
        if (is_level(a, '#'))
            return true;
        if (!pixi_topic_level(&rest, &f))
            return false;
        /* The filter's '#' may stand for no level at all, where "+/#" wants one. Only after nothing or after
         * a single empty level it cannot: there is no empty topic. So "+/#" covers "#", "/+/#" covers "/#". */
        if (is_level(f, '#'))
            return f.p - whole.p <= 1 && is_level(a, '+') && is_level(allowed, '#');
        if (!is_level(a, '+') && !pixi_cur_equals(a, f))
            return false;
    }
    return !rest.p;
}
