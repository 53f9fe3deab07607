#include "scene/object.h"
#include "invariants.h"

/* Mistakes about this text, or "". */
static const char *check(enum pixi_scene_kind kind, const char *text)
{
    static char out[8192];
    struct pixi_buf b = pixi_buf_init(sizeof out - 1);
    struct inv_guard g = inv_guard(text, strlen(text));
    bool is_right = pixi_scene_check(kind, "o", pixi_cur_init(g.bytes, strlen(text)), &b);

    assert_int_equal(b.err, PIXI_OK);
    assert_int_equal(is_right, b.len == 0);
    if (b.len)
        memcpy(out, b.bytes, b.len);
    out[b.len] = 0;
    pixi_buf_clear(&b);
    inv_guard_free(&g);
    return out;
}

static void what_is_right(void **state)
{
    static const char *const objects[] = {
        "{\"x\":0,\"y\":-1e9}",
        " {\"y\": 1.5e3, \"x\": 1e9 } ",
        "{\"x\":0,\"y\":0,\"shape\":\"rect\",\"width\":0.01,\"height\":1000000,\"stroke\":0}",
        "{\"x\":0,\"y\":0,\"shape\":\"line\",\"points\":[[0,0],[1,-1.5]]}",
        "{\"x\":0,\"y\":0,\"points\":[[0,0],[1,1],[2,2]],\"shape\":\"polygon\"}",
        "{\"x\":0,\"y\":0,\"sprite\":\"tram\",\"tint\":\"#A0b1C2\",\"z\":-1000000}",
        "{\"x\":0,\"y\":0,\"sprite\":\"data:image/webp;base64,AAA=\"}",
        "{\"x\":0,\"y\":0,\"text\":\"\\u00e4\\n\",\"size\":1000,\"z\":1e6}",
        "{\"x\":0,\"y\":0,\"label\":\"\",\"alpha\":0,\"scale\":0.001,\"rotation\":-1e6}",
        "{\"x\":0,\"y\":0,\"data\":{\"a\":[1,{\"x\":\"y\"}]}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
        assert_string_equal(check(PIXI_SCENE_OBJECT, objects[i]), "");
    assert_string_equal(check(PIXI_SCENE_TILE, "{\"color\":\"#000000\",\"alpha\":0.5}"), "");
    assert_string_equal(check(PIXI_SCENE_TILE, "{\"image\":\"data:image/png;base64,AAAA\"}"), "");
    assert_string_equal(check(PIXI_SCENE_CAMERA, "{\"x\":0,\"y\":0,\"scale\":1e-6,\"duration_ms\":0}"), "");
}

static void each_mistake_has_its_line(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "o:1:1: found no JSON: "},
        {"{\"x\":1,}", "o:1:8: found no JSON: "},
        {"[]", "o:1:1: found a list, expected an object\n"},
        {"{\"x\":1}", "o:1:1: y: found none, expected a number, -1e+09 .. 1e+09\n"},
        {"{\"x\":\"1\",\"y\":0}", "o:1:6: x: found \"1\", expected a number, -1e+09 .. 1e+09\n"},
        {"{\"x\":1e999,\"y\":0}", "o:1:6: x: found 1e999, expected a number"},
        {"{\"x\":1000000001,\"y\":0}", "o:1:6: x: found 1000000001, expected"},
        {"{\"x\":null,\"y\":0}", "o:1:6: x: found null, expected"},
        {"{\"x\":[1],\"y\":0}", "o:1:6: x: found a list, expected"},
        {"{\"x\":0,\n\"y\":0, \"x\":1}", "o:2:8: x: found a second one, expected it once\n"},
        {"{\"x\":0,\"y\":0,\"z\":1.5}", "o:1:18: z: found 1.5, expected a whole number, -1e+06 .. 1e+06\n"},
        {"{\"x\":0,\"y\":0,\"shape\":\"disc\"}", "o:1:22: shape: found \"disc\", expected \"circle\" or "
                                                 "\"rect\" or \"triangle\" or \"line\" or \"polygon\"\n"},
        {"{\"x\":0,\"y\":0,\"tint\":\"red\"}",
         "o:1:21: tint: found \"red\", expected a colour, \"#rrggbb\" such as \"#3b82f6\"\n"},
        {"{\"x\":0,\"y\":0,\"tint\":\"#12345g\"}", "o:1:21: tint: found \"#12345g\", expected a colour"},
        {"{\"x\":0,\"y\":0,\"tnit\":\"#123456\"}",
         "o:1:14: found the unknown member \"tnit\"; did you mean \"tint\"?\n"},
        {"{\"x\":0,\"y\":0,\"velocity\":1}",
         "o:1:14: found the unknown member \"velocity\", expected one of x, y, shape"},
        {"{\"x\":0,\"y\":0,\"alpha\":1.01}", "o:1:22: alpha: found 1.01, expected a number, 0 .. 1\n"},
        {"{\"x\":0,\"y\":0,\"text\":\"\"}",
         "o:1:21: text: found \"\", expected a string of 1 to 1024 characters\n"},
        {"{\"x\":0,\"y\":0,\"text\":\"a\",\"sprite\":\"car\"}",
         "o:1:21: text: found beside sprite, expected one of shape, sprite and text\n"},
        {"{\"x\":0,\"y\":0,\"shape\":\"line\"}",
         "o:1:1: points: found none, expected them of a line or polygon\n"},
        {"{\"x\":0,\"y\":0,\"points\":[[0,0],[1,1]]}",
         "o:1:23: points: found some, expected them of a line or polygon only\n"},
        {"{\"x\":0,\"y\":0,\"shape\":\"polygon\",\"points\":[[0,0],[1,1]]}",
         "o:1:41: points: found two, expected three at least of a polygon\n"},
        {"{\"x\":0,\"y\":0,\"shape\":\"line\",\"points\":[[0,0],[1,\"1\"]]}",
         "o:1:48: points: found \"1\", expected a list of 2 to 1024 points [x, y]"},
        {"{\"x\":0,\"y\":0,\"shape\":\"line\",\"points\":[[0,0],[1]]}",
         "o:1:38: points: found a list, expected"},
        {"{\"x\":0,\"y\":0,\"shape\":\"line\",\"points\":[[0,0]]}", "o:1:38: points: found a list, expected"},
        {"{\"x\":0,\"y\":0,\"shape\":\"line\",\"points\":[[0,0],[1,[2]]]}",
         "o:1:48: points: found a list, expected"},
        {"{\"x\":0,\"y\":0,\"shape\":\"line\",\"points\":7}", "o:1:38: points: found 7, expected a list"},
        {"{\"x\":0,\"y\":0,\"sprite\":\"data:image/svg+xml;base64,AAAA\"}",
         "o:1:23: sprite: found \"data:image/svg"},
        {"{\"x\":0,\"y\":0,\"sprite\":\"data:image/png;base64,\"}", "o:1:23: sprite: found"},
        {"{\"x\":0,\"y\":0,\"sprite\":\"data:image/png;base64,A===\"}", "o:1:23: sprite: found"},
        {"{\"x\":0,\"y\":0,\"data\":[]}", "o:1:21: data: found a list, expected an object\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *got = check(PIXI_SCENE_OBJECT, rows[i].text);

        if (strncmp(got, rows[i].says, strlen(rows[i].says)) != 0 || strchr(got, '\n') != strrchr(got, '\n'))
            fail_msg("%s\n got: %s\nwant: %s", rows[i].text, got, rows[i].says);
    }
    assert_non_null(strstr(check(PIXI_SCENE_TILE, "{}"), "one of color and image"));
    assert_non_null(
        strstr(check(PIXI_SCENE_TILE, "{\"color\":\"#000000\",\"image\":\"data:image/gif;base64,AA==\"}"),
               "found beside color"));
    assert_non_null(strstr(check(PIXI_SCENE_CAMERA, "{\"x\":0}"), "y: found none"));
}

static void characters_and_not_bytes_count(void **state)
{
    char text[8192];

    (void)state;
    for (size_t count = PIXI_SCENE_LABEL_MAX; count <= PIXI_SCENE_LABEL_MAX + 1; count++) {
        static const char *const forms[] = {"a", "ä", "€", "😀", "\\u00e4", "\\ud83d\\ude00", "\\n"};

        for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
            size_t at = (size_t)sprintf(text, "{\"x\":0,\"y\":0,\"label\":\"");

            for (size_t i = 0; i < count; i++)
                at += (size_t)sprintf(text + at, "%s", forms[f]);
            sprintf(text + at, "\"}");
            assert_int_equal(!*check(PIXI_SCENE_OBJECT, text), count <= PIXI_SCENE_LABEL_MAX);
        }
    }
}

/* Every mistake is told, and any bytes are survived. */
static void any_bytes(void **state)
{
    static const char right[] = "{\"x\":1,\"y\":2,\"shape\":\"line\",\"points\":[[1,2],[3,4]],\"label\":"
                                "\"\\u0041\",\"data\":{\"a\":1}}";
    char text[sizeof right];

    (void)state;
    assert_string_equal(check(PIXI_SCENE_OBJECT, right), "");
    for (size_t i = 0; i < sizeof right - 1; i++)
        for (unsigned c = 1; c < 256; c += 3) {
            memcpy(text, right, sizeof right);
            text[i] = (char)c;
            check(PIXI_SCENE_OBJECT, text);
            text[i] = 0;
            check(PIXI_SCENE_OBJECT, text);
        }
    assert_non_null(strchr(strchr(check(PIXI_SCENE_OBJECT, "{\"x\":\"a\",\"tint\":1}"), '\n') + 1, '\n') + 1);
}

static void ids(void **state)
{
    static const char *const good[] = {"a", "tram-7", "ä", "a b", "$x"}, *const bad[] = {"",  "a/b", "+",
                                                                                         "#", "a\n", "\xff"};
    char text[PIXI_SCENE_ID_MAX + 2] = {0};

    (void)state;
    for (size_t i = 0; i < 5; i++)
        assert_true(pixi_scene_is_id(pixi_cur_str(good[i])));
    for (size_t i = 0; i < 6; i++)
        assert_false(pixi_scene_is_id(pixi_cur_str(bad[i])));
    memset(text, 'a', PIXI_SCENE_ID_MAX);
    assert_true(pixi_scene_is_id(pixi_cur_str(text)));
    text[PIXI_SCENE_ID_MAX] = 'a';
    assert_false(pixi_scene_is_id(pixi_cur_str(text)));
}

static void moving_keeps_the_rest(void **state)
{
    struct pixi_buf b = pixi_buf_init(1000);

    (void)state;
    pixi_scene_move(pixi_cur_str(" {\"y\" : 7, \"data\":{\"x\":1},\"x\":-1.5e3 } "), "10", "-2.5", &b);
    assert_true(
        pixi_cur_equals(pixi_buf_cur(&b), pixi_cur_str(" {\"y\" : -2.5, \"data\":{\"x\":1},\"x\":10 } ")));
    pixi_buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_right),
        cmocka_unit_test(each_mistake_has_its_line),
        cmocka_unit_test(characters_and_not_bytes_count),
        cmocka_unit_test(any_bytes),
        cmocka_unit_test(ids),
        cmocka_unit_test(moving_keeps_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
