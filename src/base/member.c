#include "base/member.h"

bool pixi_member_get(struct pixi_cur object, const char *name, enum pixi_json_type *type,
                     struct pixi_cur *raw)
{
    struct pixi_json r;
    struct pixi_json_token t;

    *type = PIXI_JSON_DONE;
    *raw = (struct pixi_cur){object.end, object.end};
    pixi_json_init(&r, object.p, pixi_cur_left(&object), PIXI_JSON_DEPTH_MAX);
    if (pixi_json_next(&r, &t) != PIXI_OK || t.type != PIXI_JSON_OBJECT)
        return false;
    while (pixi_json_next(&r, &t) == PIXI_OK && t.type == PIXI_JSON_NAME) {
        bool is_it = pixi_json_is(&t, name);
        struct pixi_cur value;

        if (pixi_json_next(&r, &t) != PIXI_OK || pixi_json_skip(&r, &t, &value) != PIXI_OK)
            return false;
        if (is_it) {
            *type = t.type;
            *raw = value;
            return true;
        }
    }
    return false;
}

bool pixi_member_string(struct pixi_cur object, const char *name, char *out, size_t len)
{
    enum pixi_json_type type;
    struct pixi_cur raw;
    size_t used;

    if (!pixi_member_get(object, name, &type, &raw) || type != PIXI_JSON_STRING)
        return false;
    raw.p++; /* the quotes */
    raw.end--;
    if (pixi_cur_left(&raw) >= len || pixi_json_decode(raw, (uint8_t *)out, &used) != PIXI_OK)
        return false;
    out[used] = 0;
    return true;
}

bool pixi_member_int(struct pixi_cur object, const char *name, int64_t *out)
{
    struct pixi_json_token t = {.type = PIXI_JSON_NUMBER};
    bool is_negative;
    uint64_t v;

    if (!pixi_member_get(object, name, &t.type, &t.text) || t.type != PIXI_JSON_NUMBER)
        return false;
    is_negative = *t.text.p == '-';
    t.text.p += is_negative;
    if (pixi_json_uint(&t, INT64_MAX, &v) != PIXI_OK)
        return false;
    *out = is_negative ? -(int64_t)v : (int64_t)v;
    return true;
}
