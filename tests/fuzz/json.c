/* json.c -- the JSON reader: where its tokens lie, what a part of a text is, strings there and back. Input: depth, text. */
#include "fuzz/fuzz.h"

#include "base/json.h"
#include "base/utf8.h"

/* What a string holds, written and read again, is the same. */
static void check_string(struct pixi_cur text)
{
    struct pixi_buf b = pixi_buf_init(1 << 24);
    struct pixi_json_out out = pixi_json_out_init(&b);
    uint8_t *value = malloc(pixi_cur_left(&text) + 1), *again;
    struct pixi_json_token t;
    struct pixi_json r;
    size_t len, len_again = 0;

    fuzz_must(value != NULL, "memory");
    if (pixi_json_decode(text, value, &len) == PIXI_OK) {
        fuzz_must(len <= pixi_cur_left(&text), "unescaping never grows");
        fuzz_must(pixi_utf8_is_valid(value, len), "strings are UTF-8");
        pixi_json_string(&out, pixi_cur_init(value, len));
        pixi_json_init(&r, b.bytes, b.len, 1);
        fuzz_must(pixi_json_next(&r, &t) == PIXI_OK && t.type == PIXI_JSON_STRING,
                  "what is written is a string");
        again = malloc(pixi_cur_left(&t.text) + 1);
        fuzz_must(again && pixi_json_decode(t.text, again, &len_again) == PIXI_OK, "which can be read");
        fuzz_same("as the same string", pixi_cur_init(value, len), pixi_cur_init(again, len_again));
        free(again);
    }
    free(value);
    pixi_buf_clear(&b);
}

/* A value that is skipped is a text of its own. */
static void check_skip(const struct pixi_json *r, const struct pixi_json_token *first, unsigned depth)
{
    struct pixi_json at = *r;
    struct pixi_cur raw;

    if (first->type == PIXI_JSON_NAME || first->type == PIXI_JSON_OBJECT_END ||
        first->type == PIXI_JSON_ARRAY_END)
        return;
    if (pixi_json_skip(&at, first, &raw) == PIXI_OK)
        fuzz_must(pixi_json_check(raw.p, pixi_cur_left(&raw), depth, NULL) == PIXI_OK, "a value is a text");
}

static int read_all(struct pixi_cur text, unsigned depth, size_t *at)
{
    struct pixi_json r;
    struct pixi_json_token t;
    size_t before = 0, count = 0;
    int rc;

    pixi_json_init(&r, text.p, pixi_cur_left(&text), depth);
    while ((rc = pixi_json_next(&r, &t)) == PIXI_OK && t.type != PIXI_JSON_DONE) {
        fuzz_must(t.offset >= before && t.offset < pixi_cur_left(&text), "tokens come in order");
        fuzz_must(t.depth <= depth && fuzz_is_inside(t.text, text), "tokens lie in the text");
        before = t.offset;
        if (t.type == PIXI_JSON_STRING || t.type == PIXI_JSON_NAME)
            check_string(t.text);
        if (count++ < 20)
            check_skip(&r, &t, depth);
    }
    fuzz_must(pixi_json_next(&r, &t) == rc, "the end is final");
    *at = r.err_offset;
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct pixi_cur in = pixi_cur_init(bytes, len);
    size_t at = 0, at_check = 0;
    uint8_t choices[1];
    unsigned depth;
    int rc;

    fuzz_choices(&in, choices, sizeof choices);
    depth = 1 + choices[0] % PIXI_JSON_DEPTH_MAX;
    rc = read_all(in, depth, &at);
    fuzz_must(pixi_json_check(in.p, pixi_cur_left(&in), depth, &at_check) == rc, "check and next agree");
    fuzz_must(rc == PIXI_OK || (at == at_check && at <= pixi_cur_left(&in)), "and on the place");
    return 0;
}
