/* json_oracle -- what base/json makes of each text, for test_json_oracle.py to hold against another reader.
 *
 *   in    cases: 4 bytes of big-endian length, then the text
 *   out   one line a case: the status' name; after OK a space and the value written anew, in arrays alone:
 *         ["{", name, value, ...] and ["[", value, ...], since a name may hold U+0000 and come twice.
 *         A string with a lone surrogate, which has no UTF-8, is written as "\ud800" */
#include "base/json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 1 << 20, OUT_MAX = TEXT_MAX * 8 };

static void copy_string(struct pixi_json_out *w, const struct pixi_json_token *t)
{
    static uint8_t plain[TEXT_MAX];
    size_t len;

    if (pixi_json_decode(t->text, plain, &len) == PIXI_OK)
        pixi_json_string(w, pixi_cur_init(plain, len));
    else
        pixi_json_raw(w, pixi_cur_str("\"\\ud800\""));
}

static void copy_token(struct pixi_json_out *w, const struct pixi_json_token *t)
{
    switch (t->type) {
    case PIXI_JSON_DONE: break;
    case PIXI_JSON_OBJECT:
    case PIXI_JSON_ARRAY:
        pixi_json_open_array(w);
        pixi_json_string(w, t->text);
        break;
    case PIXI_JSON_OBJECT_END:
    case PIXI_JSON_ARRAY_END: pixi_json_close_array(w); break;
    case PIXI_JSON_NAME:
    case PIXI_JSON_STRING: copy_string(w, t); break;
    case PIXI_JSON_NUMBER: pixi_json_raw(w, t->text); break;
    case PIXI_JSON_TRUE:
    case PIXI_JSON_FALSE: pixi_json_bool(w, t->type == PIXI_JSON_TRUE); break;
    case PIXI_JSON_NULL: pixi_json_null(w); break;
    }
}

/* The text in memory of exactly its size, so that one byte too far is seen. */
static void answer(const uint8_t *text, size_t len, struct pixi_buf *out)
{
    struct pixi_json_out w = pixi_json_out_init(out);
    struct pixi_json_token t = {0};
    struct pixi_json r;
    int rc;

    pixi_buf_reset(out);
    pixi_json_init(&r, text, len, PIXI_JSON_DEPTH_MAX);
    while ((rc = pixi_json_next(&r, &t)) == PIXI_OK && t.type != PIXI_JSON_DONE)
        copy_token(&w, &t);
    assert(rc == pixi_json_check(text, len, PIXI_JSON_DEPTH_MAX, NULL) && out->err == PIXI_OK);
    printf("%s%s%.*s\n", pixi_err_name(rc), rc == PIXI_OK ? " " : "", rc == PIXI_OK ? (int)out->len : 0,
           (const char *)out->bytes);
}

int main(void)
{
    struct pixi_buf out = pixi_buf_init(OUT_MAX);
    uint8_t head[4], *text;
    size_t len;

    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
        text = len <= TEXT_MAX ? malloc(len) : NULL;
        if ((!text && len) || fread(text, 1, len, stdin) != len)
            return 1;
        answer(text, len, &out);
        free(text);
    }
    pixi_buf_clear(&out);
    return 0;
}
