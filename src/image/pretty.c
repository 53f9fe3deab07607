#include "image/pretty.h"

#include "base/json.h"

#include <assert.h>

static void break_line(struct pixi_buf *out, unsigned depth)
{
    pixi_buf_put_str(out, "\n");
    while (depth--)
        pixi_buf_put_str(out, "  ");
}

static void put_token(struct pixi_buf *out, const struct pixi_json_token *t)
{
    bool is_quoted = t->type == PIXI_JSON_STRING || t->type == PIXI_JSON_NAME;

    pixi_buf_put_str(out, is_quoted ? "\"" : "");
    pixi_buf_put_cur(out, t->text);
    pixi_buf_put_str(out, t->type == PIXI_JSON_NAME ? "\": " : is_quoted ? "\"" : "");
}

static void put_added(struct pixi_buf *out, const char *name, const char *value, bool is_first)
{
    struct pixi_json_out w = pixi_json_out_init(out);

    pixi_buf_put_str(out, is_first ? "" : ",");
    break_line(out, 1);
    pixi_json_text(&w, name);
    pixi_buf_put_str(out, ": ");
    w = pixi_json_out_init(out);
    pixi_json_text(&w, value);
}

void pixi_pretty(struct pixi_cur json, const char *name, const char *value, struct pixi_buf *out)
{
    struct pixi_json r;
    struct pixi_json_token t;
    enum pixi_json_type last = PIXI_JSON_NAME; /* nothing is due before the outermost value */
    bool is_end, is_opener;
    int rc;

    pixi_json_init(&r, json.p, pixi_cur_left(&json), PIXI_JSON_DEPTH_MAX);
    while ((rc = pixi_json_next(&r, &t)) == PIXI_OK && t.type != PIXI_JSON_DONE) {
        is_end = t.type == PIXI_JSON_OBJECT_END || t.type == PIXI_JSON_ARRAY_END;
        is_opener = last == PIXI_JSON_OBJECT || last == PIXI_JSON_ARRAY;
        if (is_end && t.depth == 0 && name)
            put_added(out, name, value, is_opener);
        if (!is_end && !is_opener && last != PIXI_JSON_NAME)
            pixi_buf_put_str(out, ",");
        if (last != PIXI_JSON_NAME && !(is_end && is_opener && !(t.depth == 0 && name)))
            break_line(out, t.depth);
        put_token(out, &t);
        last = t.type;
    }
    assert(rc == PIXI_OK);
    (void)rc;
    pixi_buf_put_str(out, "\n");
}
