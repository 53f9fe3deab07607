/* topic.c -- topics and filters against a naive reading of MQTT 5 §4.7: levels in arrays, and permissions by trying topics.
 * Input: three lines, of which the first is a filter, the second a topic, the third what is allowed. */
#include "fuzz/fuzz.h"

#include "base/topic.h"
#include "verify/text.h"

enum { LEVELS = 8, LEN_MAX = 60 };

struct levels {
    struct pixi_cur at[2 * LEVELS + 2];
    size_t count;
};

static struct levels split(struct pixi_cur c)
{
    struct levels l = {0};

    for (const uint8_t *start = c.p, *p = c.p;; p++)
        if (p == c.end || *p == '/') {
            l.at[l.count++] = pixi_cur_init(start, (size_t)(p - start));
            start = p + 1;
            if (p == c.end || l.count == sizeof l.at / sizeof *l.at)
                return l;
        }
}

static bool has(struct pixi_cur c, const char *any)
{
    for (; c.p != c.end; c.p++)
        if (*c.p == 0 || strchr(any, *c.p))
            return true;
    return false;
}

static bool is(struct pixi_cur c, const char *text)
{
    return pixi_cur_equals(c, pixi_cur_str(text));
}

static bool is_topic(struct pixi_cur c)
{
    return c.p != c.end && pixi_vtext_is_utf8(c) && !has(c, "+#");
}

static bool is_shared(struct pixi_cur c)
{
    return pixi_cur_left(&c) >= 7 && memcmp(c.p, "$share/", 7) == 0;
}

static bool is_plain_filter(struct pixi_cur c)
{
    struct levels l = split(c);

    if (c.p == c.end || !pixi_vtext_is_utf8(c) || has(c, ""))
        return false;
    for (size_t i = 0; i < l.count; i++)
        if (!is(l.at[i], "+") && !(is(l.at[i], "#") && i == l.count - 1) && has(l.at[i], "+#"))
            return false;
    return true;
}

/* F of $share/G/F; p == NULL where there is none. */
static struct pixi_cur inner(struct pixi_cur c)
{
    const uint8_t *slash;

    if (!is_shared(c))
        return c;
    slash = memchr(c.p + 7, '/', pixi_cur_left(&c) - 7);
    if (!slash || slash == c.p + 7 || has(pixi_cur_init(c.p + 7, (size_t)(slash - c.p - 7)), "+#") ||
        !pixi_vtext_is_utf8(c))
        return (struct pixi_cur){0};
    return pixi_cur_init(slash + 1, (size_t)(c.end - slash - 1));
}

static bool is_filter(struct pixi_cur c)
{
    struct pixi_cur f = inner(c);

    return f.p && is_plain_filter(f) && (f.p == c.p || !is_shared(f));
}

static bool matches(struct pixi_cur filter, struct pixi_cur topic)
{
    struct levels f = split(filter), t = split(topic);
    size_t i = 0;

    if (*topic.p == '$' && (*filter.p == '+' || *filter.p == '#'))
        return false;
    for (; i < f.count && !is(f.at[i], "#"); i++)
        if (i >= t.count || !(is(f.at[i], "+") || pixi_cur_equals(f.at[i], t.at[i])))
            return false;
    return i < f.count || i == t.count; /* "a/#" matches "a", too */
}

/* Topics that the filter matches: "+" by a level that nobody wrote, "#" by 0 to as many of them as tell a difference. */
static bool all_allowed(struct pixi_cur filter, struct pixi_cur allowed)
{
    struct levels f = split(filter);
    bool is_open = is(f.at[f.count - 1], "#");

    for (size_t more = 0; more <= (is_open ? LEVELS + 1 : 0); more++) {
        struct pixi_buf b = pixi_buf_init(4096);
        size_t count = is_open ? f.count - 1 + more : f.count;
        bool is_well;

        for (size_t i = 0; i < count; i++) {
            pixi_buf_put_str(&b, i ? "/" : "");
            if (i >= f.count || is(f.at[i], "+") || is(f.at[i], "#"))
                pixi_buf_put_str(&b, "nobody");
            else
                pixi_buf_put_cur(&b, f.at[i]);
        }
        is_well = b.len == 0 || !matches(filter, pixi_buf_cur(&b)) || matches(allowed, pixi_buf_cur(&b));
        pixi_buf_clear(&b);
        if (!is_well)
            return false;
    }
    return true;
}

static struct pixi_cur line(struct pixi_cur *in)
{
    const uint8_t *end = in->p != in->end ? memchr(in->p, '\n', pixi_cur_left(in)) : NULL;
    struct pixi_cur out = {in->p, end ? end : in->end};

    in->p = end ? end + 1 : in->end;
    return out;
}

static bool is_small(struct pixi_cur c)
{
    size_t slashes = 0;

    for (const uint8_t *p = c.p; p != c.end; p++)
        slashes += *p == '/';
    return slashes < LEVELS && pixi_cur_left(&c) <= LEN_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const uint8_t none[1] = {0};
    struct pixi_cur in = pixi_cur_init(len ? bytes : none, len);
    struct pixi_cur filter = line(&in), topic = line(&in), allowed = line(&in);
    struct pixi_cur f = inner(filter);

    if (!is_small(filter) || !is_small(topic) || !is_small(allowed))
        return 0;
    fuzz_must((pixi_topic_check(topic) == PIXI_OK) == is_topic(topic), "what a topic is");
    fuzz_must((pixi_filter_check(filter) == PIXI_OK) == is_filter(filter), "what a filter is");
    fuzz_must((pixi_filter_check(allowed) == PIXI_OK) == is_filter(allowed), "what a filter is");
    if (!is_filter(filter))
        return 0;
    fuzz_same("what is shared", f, pixi_filter_inner(filter));
    if (is_topic(topic))
        fuzz_must(pixi_filter_matches(filter, topic) == matches(f, topic), "what a filter matches");
    if (is_filter(allowed) && !is_shared(allowed))
        fuzz_must(pixi_filter_covers(allowed, filter) == all_allowed(f, allowed), "what a permission covers");
    return 0;
}
