/* image_yaml.c -- YAML as JSON with places. Input: a description of an image. */
#include "fuzz/fuzz.h"

#include "image/yaml.h"

static size_t lines_of(struct pixi_cur c)
{
    size_t count = 0;

    for (; c.p != c.end; c.p++)
        count += *c.p == '\n';
    return count;
}

static void check(const struct pixi_yaml *y, struct pixi_cur text)
{
    const struct pixi_json_at *at = (const struct pixi_json_at *)(const void *)y->lines.bytes;
    size_t count = y->lines.len / sizeof *at;

    if (!y->json.len)
        return;
    fuzz_must(pixi_json_check(y->json.bytes, y->json.len, PIXI_YAML_DEPTH_MAX + 1, NULL) == PIXI_OK,
              "it is JSON");
    fuzz_must(lines_of(pixi_buf_cur(&y->json)) == count, "every line has its place");
    for (size_t i = 0; i < count; i++)
        fuzz_must(at[i].line >= 1 && at[i].line <= pixi_cur_left(&text) + 1 && at[i].column >= 1,
                  "in the file");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct pixi_yaml whole = pixi_yaml_init(), part = pixi_yaml_init();
    struct pixi_buf mistakes = pixi_buf_init(1 << 20), placed = pixi_buf_init(1 << 20);
    struct pixi_cur text = pixi_cur_init(bytes, len);
    int rc = pixi_yaml_read("f", text, "a.b", &whole, &part, &mistakes);

    fuzz_must(rc == PIXI_OK || rc == PIXI_E_SETTINGS, "it is read or refused");
    fuzz_must((rc == PIXI_OK) == (mistakes.len == 0), "a refusal says why");
    if (rc == PIXI_OK) {
        fuzz_must(whole.json.len > 0, "there is a value");
        check(&whole, text);
        check(&part, text);
        pixi_yaml_place(&whole, "f", pixi_cur_str("f:1:1: x\nf:99999:1: x\nno place\n"), &placed);
        fuzz_must(lines_of(pixi_buf_cur(&placed)) == 3, "messages stay lines");
    }
    pixi_yaml_clear(&whole);
    pixi_yaml_clear(&part);
    pixi_buf_clear(&mistakes);
    pixi_buf_clear(&placed);
    return 0;
}
