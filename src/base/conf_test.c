#include "base/conf.h"
#include "base/conf_row.h"
#include "base/topic.h"
#include "invariants.h"

#include <sys/stat.h>

struct item {
    const char *name;
    uint64_t weight;
    struct pixi_conf_strings tags;
};

struct sample {
    struct pixi_conf conf;
    const char *text, *secret;
    uint64_t count, connect_ms, close_ms;
    bool flag;
    unsigned mode;
    struct pixi_conf_strings list;
    struct pixi_conf_objects items;
};

static bool check_list(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    if (pixi_cur_left(&value) && *value.p == '!') {
        fault->found = "an exclamation mark";
        return false;
    }
    return pixi_filter_check(value) == PIXI_OK;
}

static const struct pixi_conf_row item_rows[] = {
    {.path = "name",
     .kind = PIXI_CONF_STRING,
     .flags = PIXI_CONF_REQUIRED | PIXI_CONF_UNIQUE,
     .offset = offsetof(struct item, name),
     .max = 8,
     .expected = "a name"},
    {.path = "weight",
     .kind = PIXI_CONF_UINT,
     .offset = offsetof(struct item, weight),
     .max = 9,
     .initial = "7",
     .unit = "kilograms"},
    {.path = "tags", .kind = PIXI_CONF_STRINGS, .offset = offsetof(struct item, tags), .max = 2},
};

static const struct pixi_conf_table item_table = {.rows = item_rows, .count = 3, .size = sizeof(struct item)};

static const char *const modes[] = {"slow", "fast", NULL};

#define AT(member) offsetof(struct sample, member)
static const struct pixi_conf_row rows[] = {
    {.path = "text", .kind = PIXI_CONF_STRING, .offset = AT(text), .min = 2, .max = 60, .expected = "a text"},
    {.path = "secret",
     .kind = PIXI_CONF_STRING,
     .flags = PIXI_CONF_SECRET,
     .offset = AT(secret),
     .min = 8,
     .max = 60,
     .expected = "a key"},
    {.path = "count",
     .kind = PIXI_CONF_UINT,
     .offset = AT(count),
     .max = UINT64_MAX,
     .initial = "3",
     .unit = "things"},
    {.path = "flag", .kind = PIXI_CONF_BOOL, .offset = AT(flag), .initial = "true"},
    {.path = "mode", .kind = PIXI_CONF_ENUM, .offset = AT(mode), .initial = "\"fast\"", .choices = modes},
    {.path = "list",
     .kind = PIXI_CONF_STRINGS,
     .offset = AT(list),
     .min = 1,
     .max = 3,
     .initial = "[\"a\", \"b\"]",
     .expected = "a filter",
     .check = check_list},
    {.path = "timeouts.connect_ms",
     .kind = PIXI_CONF_UINT,
     .offset = AT(connect_ms),
     .min = 1,
     .max = 600000,
     .initial = "5000",
     .unit = "milliseconds"},
    {.path = "timeouts.close_ms",
     .kind = PIXI_CONF_UINT,
     .offset = AT(close_ms),
     .min = 1,
     .max = 600000,
     .initial = "300",
     .unit = "milliseconds"},
    {.path = "items",
     .kind = PIXI_CONF_OBJECTS,
     .offset = AT(items),
     .max = 3,
     .initial = "[{\"name\": \"x\"}]",
     .items = &item_table},
};

static const struct pixi_conf_table table = {.rows = rows,
                                             .count = sizeof rows / sizeof *rows,
                                             .size = sizeof(struct sample),
                                             .env_prefix = "CONFTEST_"};

static char file[64];

static void write_file(const char *text, size_t len)
{
    FILE *f = fopen(file, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* Reads a text as if it stood in "f", from memory up to an unreadable page. */
static void read_text(struct sample *s, const char *text, size_t len, struct pixi_buf *mistakes)
{
    struct inv_guard g = inv_guard(text, len);
    struct pixi_conf_text in = {
        .conf = &s->conf, .rank = PIXI_CONF_FILE, .bytes = pixi_cur_init(g.bytes, len), .mistakes = mistakes};

    s->conf.file = "f";
    pixi_conf_read_text(&in);
    inv_guard_free(&g);
}

static void assert_lines(const struct pixi_buf *b, const char *want, const char *about)
{
    if (b->len != strlen(want) || memcmp(b->len ? b->bytes : (const uint8_t *)"", want, b->len) != 0)
        fail_msg("%s\n  got:  %.*s  want: %s", about, (int)b->len, (const char *)b->bytes, want);
}

static const char whole[] = "{\n"
                            "  \"text\": \"h\\u00e9\\\"llo\",\n"
                            "  \"secret\": \"pk_12345678\",\n"
                            "  \"count\": 18446744073709551615,\n"
                            "  \"flag\": false,\n"
                            "  \"mode\": \"slow\",\n"
                            "  \"list\": [\"x/#\", \"y\", \"+\"],\n"
                            "  \"timeouts\": {\"connect_ms\": 1},\n"
                            "  \"items\": [{\"name\": \"one\"},\n"
                            "            {\"weight\": 2, \"name\": \"two\", \"tags\": [\"t\", \"u\"]}]\n"
                            "}\n";

static void test_defaults(void **state)
{
    struct sample s = {0};

    (void)state;
    pixi_conf_init(&s.conf, &table, &s);
    assert_null(s.text);
    assert_int_equal(s.count, 3);
    assert_true(s.flag);
    assert_int_equal(s.mode, 1);
    assert_int_equal(s.list.count, 2);
    assert_null(s.list.where);
    assert_string_equal((const char *)s.list.at[1].p, "b");
    assert_int_equal(s.items.count, 1);
    assert_int_equal(((struct item *)s.items.at)->weight, 7);
    assert_false(pixi_conf_is_set(&s.conf, "list"));
    pixi_conf_clear(&s.conf);
}

static void test_every_kind_is_read(void **state)
{
    struct sample s = {0};
    struct pixi_buf mistakes = pixi_buf_init(1 << 16), where = pixi_buf_init(100);
    const struct item *items;

    (void)state;
    write_file(whole, sizeof whole - 1);
    pixi_conf_init(&s.conf, &table, &s);
    assert_int_equal(pixi_conf_read(&s.conf, file, &mistakes), PIXI_OK);
    assert_int_equal(mistakes.len, 0);
    assert_string_equal(s.text, "h\xc3\xa9\"llo");
    assert_string_equal(s.secret, "pk_12345678");
    assert_true(s.count == UINT64_MAX);
    assert_false(s.flag);
    assert_int_equal(s.mode, 0);
    assert_int_equal(s.list.count, 3);
    assert_string_equal((const char *)s.list.at[2].p, "+");
    assert_int_equal(s.list.where[2].column, 24);
    assert_int_equal(s.connect_ms, 1);
    assert_int_equal(s.close_ms, 300);
    assert_int_equal(s.items.count, 2);
    items = s.items.at;
    assert_string_equal(items[1].name, "two");
    assert_int_equal(items[0].weight, 7);
    assert_int_equal(items[1].weight, 2);
    assert_int_equal(items[1].tags.count, 2);
    pixi_conf_put_where(&s.conf, "timeouts.connect_ms", &where);
    assert_true(where.len > 5 && memcmp(where.bytes + where.len - 5, ":8:30", 5) == 0);
    pixi_buf_clear(&where);
    pixi_conf_clear(&s.conf);
}

/* Texts, and the lines they give. */
static const struct {
    const char *text, *lines;
} golden[] = {
    {"{}", ""},
    {"{\"timeouts\": {}, \"items\": []}", ""},
    /* wrong values */
    {"{\"timeouts\":\n {\"connect_ms\": \"fast\"}}",
     "f:2:17: timeouts.connect_ms: found \"fast\", expected a whole number of milliseconds, 1 .. 600000\n"},
    {"{\"timeouts\": {\"connect_ms\": 0}}",
     "f:1:29: timeouts.connect_ms: found 0, expected a whole number of milliseconds, 1 .. 600000\n"},
    {"{\"timeouts\": {\"connect_ms\": 600001}}",
     "f:1:29: timeouts.connect_ms: found 600001, expected a whole number of milliseconds, 1 .. 600000\n"},
    {"{\"timeouts\": {\"connect_ms\": 1.5}}",
     "f:1:29: timeouts.connect_ms: found 1.5, expected a whole number of milliseconds, 1 .. 600000\n"},
    {"{\"count\": -1}",
     "f:1:11: count: found -1, expected a whole number of things, 0 .. 18446744073709551615\n"},
    {"{\"flag\": \"true\"}", "f:1:10: flag: found \"true\", expected true or false\n"},
    {"{\"flag\": null}", "f:1:10: flag: found null, expected true or false\n"},
    {"{\"mode\": \"quick\"}", "f:1:10: mode: found \"quick\", expected \"slow\" or \"fast\"\n"},
    {"{\"mode\": [1]}", "f:1:10: mode: found a list, expected \"slow\" or \"fast\"\n"},
    {"{\"text\": {\"a\": 1}}", "f:1:10: text: found an object, expected a text\n"},
    {"{\"text\": 12}", "f:1:10: text: found 12, expected a text\n"},
    {"{\"text\": \"\"}", "f:1:10: text: found an empty string, expected a text\n"},
    {"{\"text\": \"x\"}", "f:1:10: text: found a string that is too short, expected a text\n"},
    {"{\"text\": \"a\\u0000b\"}", "f:1:10: text: found a string with U+0000 in it, expected a text\n"},
    {"{\"text\": \"a\\ud800b\"}", "f:1:10: text: found half of a surrogate pair, expected a text\n"},
    {"{\"list\": \"a\"}", "f:1:10: list: found \"a\", expected a list of strings\n"},
    {"{\"list\": []}", "f:1:10: list: found 0 elements, expected 1 .. 3\n"},
    {"{\"list\": [\"a\",\"b\",\"c\",\"d\"]}", "f:1:10: list: found 4 elements, expected 1 .. 3\n"},
    {"{\"list\": [\"a\", \"b#\", 3]}", "f:1:16: list[1]: found \"b#\", expected a filter\n"
                                       "f:1:22: list[2]: found 3, expected a filter\n"},
    {"{\"list\": [\"!\"]}", "f:1:11: list[0]: found an exclamation mark, expected a filter\n"},
    {"{\"items\": {}}", "f:1:11: items: found an object, expected a list of objects\n"},
    {"{\"items\": [1, {\"weight\": 10}]}",
     "f:1:12: items[0]: found 1, expected an object\n"
     "f:1:26: items[1].weight: found 10, expected a whole number of kilograms, 0 .. 9\n"
     "f:1:15: items[1].name: found none, expected a name\n"},
    {"{\"items\": [{\"name\": \"a\"}, {\"name\": \"a\"}]}",
     "f:1:27: items[1].name: found \"a\" a second time, expected once (first in items[0])\n"},
    {"{\"items\": [{\"nane\": \"a\"}]}",
     "f:1:13: items[0].nane: found an unknown member; did you mean \"items[0].name\"?\n"
     "f:1:12: items[0].name: found none, expected a name\n"},
    {"{\"timeouts\": 5}", "f:1:14: timeouts: found 5, expected an object\n"},
    /* a secret is not told, wherever it stands */
    {"{\"secret\": \"short\"}", "f:1:12: secret: found a string that is too short, expected a key\n"},
    {"{\"secret\": 12345678}", "f:1:12: secret: found a number, expected a key\n"},
    {"{\"mode\": \"pk_0123456789\"}", "f:1:10: mode: found \"pk_…\", expected \"slow\" or \"fast\"\n"},
    /* names */
    {"{\"texd\": 1}", "f:1:2: texd: found an unknown member; did you mean \"text\"?\n"},
    {"{\"Timeouts\": {}}", "f:1:2: Timeouts: found an unknown member; did you mean \"timeouts\"?\n"},
    {"{\"timeouts\": {\"conect_ms\": 1}}",
     "f:1:15: timeouts.conect_ms: found an unknown member; did you mean \"timeouts.connect_ms\"?\n"},
    {"{\"connectMs\": 1}",
     "f:1:2: connectMs: found an unknown member; did you mean \"timeouts.connect_ms\"?\n"},
    {"{\"timeouts.connect_ms\": 1}",
     "f:1:2: timeouts.connect_ms: found an unknown member, expected one of text, secret, count, flag, mode, "
     "list, timeouts, items\n"},
    {"{\"\": {\"deep\": [1, {}]}, \"flag\": 1}", "f:1:2: \"\": found an unknown member, expected one of "
                                                 "text, secret, count, flag, mode, list, timeouts, items\n"
                                                 "f:1:33: flag: found 1, expected true or false\n"},
    {"{\"te\\u0078t\": \"ok\"}", ""},
    {"{\"text\": \"ab\",\n \"text\": \"cd\"}",
     "f:2:2: text: found a second time, expected once (first at line 1, column 2)\n"},
    {"{\"timeouts\": {},\n \"timeouts\": {\"x\": 1}}",
     "f:2:2: timeouts: found a second time, expected once (first at line 1, column 2)\n"},
    /* a terminal gets nothing that it would obey */
    {"{\"mode\": \"\x7f\xc2\x9b\"}",
     "f:1:10: mode: found \"\\x7f\\xc2\\x9b\", expected \"slow\" or \"fast\"\n"},
    /* syntax */
    {"", "f:1:1: found the end of the file, expected \"{\"\n"},
    {" \n", "f:2:1: found the end of the file, expected \"{\"\n"},
    {"\xef\xbb\xbf{}", "f:1:1: found a byte order mark, expected \"{\"\n"},
    {"[]", "f:1:1: found a list, expected an object\n"},
    {"5", "f:1:1: found 5, expected an object\n"},
    {"hello", "f:1:1: found \"h\", expected \"{\"\n"},
    {"{\"flag\": true,}",
     "f:1:15: found \"}\", expected a member's name in double quotes (no \",\" may stand before \"}\")\n"},
    {"{\"list\": [\"a\",]}", "f:1:15: found \"]\", expected a value (no \",\" may stand before \"]\")\n"},
    {"{\"flag\": true \"mode\": 1}", "f:1:15: found '\"', expected \",\" or \"}\"\n"},
    {"{\"list\": [\"a\" \"b\"]}", "f:1:15: found '\"', expected \",\" or \"]\"\n"},
    {"{\"flag\" true}", "f:1:9: found \"t\", expected \":\"\n"},
    {"{\"flag\": }", "f:1:10: found \"}\", expected a value\n"},
    {"{flag: true}", "f:1:2: found \"f\", expected a member's name in double quotes, or \"}\"\n"},
    {"{\"flag\": yes}", "f:1:10: found \"y\", expected a value\n"},
    {"{\"flag\": ture}", "f:1:11: found \"u\", expected true, false or null\n"},
    {"{\"count\": 012}", "f:1:12: found \"1\", expected no 0 before it\n"},
    {"{\"count\": 1.}", "f:1:13: found \"}\", expected a digit\n"},
    {"{\"count\": +1}", "f:1:11: found \"+\", expected a value\n"},
    {"{\"text\": \"a\\q\"}", "f:1:13: found \"q\", expected one of \" \\ / b f n r t u\n"},
    {"{\"text\": \"\\u00g0\"}", "f:1:15: found \"g\", expected a hexadecimal digit\n"},
    {"{\"text\": \"a\nb\"}", "f:1:12: found a control character (0x0a) in a string, expected it escaped\n"},
    {"{\"text\": \"\xff\"}", "f:1:11: found byte 0xff, expected UTF-8\n"},
    {"{\"text\": \"abc", "f:1:14: found the end of the file, expected the string's closing quote\n"},
    {"{\"flag\": tr", "f:1:12: found the end of the file, expected the rest of the value\n"},
    {"{\"flag\": true", "f:1:14: found the end of the file, expected \",\" or \"}\"\n"},
    {"{\"list\": [", "f:1:11: found the end of the file, expected a value, or \"]\"\n"},
    {"{} x", "f:1:4: found \"x\", expected the end of the file\n"},
    {"{\n// why\n}", "f:2:1: found a comment, which JSON does not have, expected a member's name in double "
                     "quotes, or \"}\"\n"},
    {"{\"x\": [[[[[[[[[[1]]]]]]]]]]}", "f:1:2: x: found an unknown member, expected one of text, secret, "
                                       "count, flag, mode, list, timeouts, items\n"
                                       "f:1:14: found more than 8 levels of brackets, expected fewer\n"},
    /* all of them in one run, up to the error that ends reading */
    {"{\"flag\": 1, \"count\": \"x\", \"mode\" 2}",
     "f:1:10: flag: found 1, expected true or false\n"
     "f:1:22: count: found \"x\", expected a whole number of things, 0 .. 18446744073709551615\n"
     "f:1:34: found \"2\", expected \":\"\n"},
};

static void test_every_mistake_has_its_line(void **state)
{
    struct pixi_buf mistakes = pixi_buf_init(1 << 16);
    struct sample s;

    (void)state;
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        s = (struct sample){0};
        pixi_buf_reset(&mistakes);
        pixi_conf_init(&s.conf, &table, &s);
        read_text(&s, golden[i].text, strlen(golden[i].text), &mistakes);
        assert_lines(&mistakes, golden[i].lines, golden[i].text);
        assert_int_equal(s.conf.mistakes > 0, *golden[i].lines != 0);
        pixi_conf_clear(&s.conf);
    }
    pixi_buf_clear(&mistakes);
}

/* What is wrong leaves what was there. */
static void test_wrong_values_are_not_stored(void **state)
{
    static const char text[] =
        "{\"count\": -1, \"list\": [\"a\", 1], \"mode\": 1, \"flag\": false, \"items\": [{}]}";
    struct pixi_buf mistakes = pixi_buf_init(1 << 16);
    struct sample s = {0};

    (void)state;
    pixi_conf_init(&s.conf, &table, &s);
    read_text(&s, text, sizeof text - 1, &mistakes);
    assert_int_equal(s.conf.mistakes, 4);
    assert_int_equal(s.count, 3);
    assert_int_equal(s.list.count, 2);
    assert_int_equal(s.mode, 1);
    assert_int_equal(s.items.count, 1);
    assert_false(s.flag);
    assert_true(pixi_conf_is_named(&s.conf, "count"));
    assert_false(pixi_conf_is_set(&s.conf, "count"));
    assert_false(pixi_conf_is_named(&s.conf, "text"));
    pixi_buf_clear(&mistakes);
    pixi_conf_clear(&s.conf);
}

static void read_and_clear(const char *text, size_t len, struct pixi_buf *mistakes, struct sample *s)
{
    *s = (struct sample){0};
    pixi_buf_reset(mistakes);
    pixi_conf_init(&s->conf, &table, s);
    read_text(s, text, len, mistakes);
    pixi_conf_clear(&s->conf);
}

/* Each prefix is a broken file: one line that says so. */
static void test_prefixes(void **state)
{
    struct pixi_buf mistakes = pixi_buf_init(1 << 16);
    struct sample s;

    (void)state;
    for (size_t len = 0; len < sizeof whole - 3; len++) {
        read_and_clear(whole, len, &mistakes, &s);
        assert_true(s.conf.is_broken);
        assert_int_equal(s.conf.mistakes, 1);
        assert_non_null(memmem(mistakes.bytes, mistakes.len, "found the end of the file", 25));
    }
    pixi_buf_clear(&mistakes);
}

/* Each byte replaced by each of these: every answer is whole lines, and never the secret. */
static void test_mutations(void **state)
{
    static const char bytes[] = "\"{}[]:,\\/0-.tx \n\x01\x7f\xc3\xff";
    struct pixi_buf mistakes = pixi_buf_init(1 << 16);
    struct sample s;
    char text[sizeof whole];

    (void)state;
    for (size_t i = 0; i < (sizeof whole - 1) * (sizeof bytes - 1); i++) {
        memcpy(text, whole, sizeof whole);
        text[i / (sizeof bytes - 1)] = bytes[i % (sizeof bytes - 1)];
        read_and_clear(text, sizeof whole - 1, &mistakes, &s);
        assert_int_equal(mistakes.len > 0, s.conf.mistakes > 0);
        if (!mistakes.len)
            continue;
        assert_int_equal(mistakes.bytes[mistakes.len - 1], '\n');
        assert_null(memmem(mistakes.bytes, mistakes.len, "12345678", 8));
    }
    pixi_buf_clear(&mistakes);
}

static void test_ranks(void **state)
{
    struct pixi_buf mistakes = pixi_buf_init(1 << 16);
    struct sample s = {0};

    (void)state;
    write_file(whole, sizeof whole - 1);
    setenv("CONFTEST_TEXT", "from env", 1);
    setenv("CONFTEST_TIMEOUTS_CONNECT_MS", "22", 1);
    setenv("CONFTEST_COUNT", "", 1); /* empty: unset */
    setenv("CONFTEST_MODE", "fast", 1);
    pixi_conf_init(&s.conf, &table, &s);
    assert_int_equal(pixi_conf_override(&s.conf, "timeouts.connect_ms", "33", "--connect", &mistakes),
                     PIXI_OK);
    assert_int_equal(pixi_conf_override(&s.conf, "list", "p", "--list", &mistakes), PIXI_OK);
    assert_int_equal(pixi_conf_override(&s.conf, "list", "q", "--list", &mistakes), PIXI_OK);
    assert_int_equal(pixi_conf_env(&s.conf, &mistakes), PIXI_OK);
    assert_int_equal(pixi_conf_read(&s.conf, file, &mistakes), PIXI_OK);
    assert_string_equal(s.text, "from env");
    assert_int_equal(s.connect_ms, 33);
    assert_true(s.count == UINT64_MAX);
    assert_int_equal(s.mode, 1);
    assert_int_equal(s.list.count, 2);
    assert_string_equal((const char *)s.list.at[0].p, "p");
    assert_string_equal((const char *)s.list.at[1].p, "q");
    assert_false(s.flag);
    assert_string_equal(pixi_conf_from(&s.conf, "text")->name, "CONFTEST_TEXT");
    pixi_conf_unset(&s.conf, "list");
    assert_int_equal(s.list.count, 0);
    assert_false(pixi_conf_is_set(&s.conf, "list"));
    unsetenv("CONFTEST_TEXT");
    unsetenv("CONFTEST_TIMEOUTS_CONNECT_MS");
    unsetenv("CONFTEST_COUNT");
    unsetenv("CONFTEST_MODE");
    pixi_conf_clear(&s.conf);
}

static void test_mistakes_outside_the_file(void **state)
{
    struct pixi_buf mistakes = pixi_buf_init(1 << 16);
    struct sample s = {0};

    (void)state;
    setenv("CONFTEST_FLAG", "yes", 1);
    setenv("CONFTEST_TEXT", "\xff\xfe", 1);
    setenv("CONFTEST_SECRET", "hidden", 1);
    pixi_conf_init(&s.conf, &table, &s);
    assert_int_equal(pixi_conf_override(&s.conf, "count", "x", "--count", &mistakes), PIXI_E_SETTINGS);
    for (int i = 0; i < 4; i++)
        pixi_conf_override(&s.conf, "list", "p", "--list", &mistakes);
    assert_int_equal(pixi_conf_env(&s.conf, &mistakes), PIXI_E_SETTINGS);
    assert_int_equal(pixi_conf_read(&s.conf, "/nowhere/x.json", &mistakes), PIXI_E_SETTINGS);
    pixi_conf_mistake(&s.conf, "mode", &mistakes, "found %d", 1);
    pixi_conf_mistake_at(&s.conf, "list", 1, &mistakes, "found %d", 2);
    assert_lines(&mistakes,
                 "--count: found \"x\", expected a whole number of things, 0 .. 18446744073709551615\n"
                 "--list: found more than 3 of them, expected fewer\n"
                 "environment: CONFTEST_TEXT: found bytes that are not UTF-8, expected a text\n"
                 "environment: CONFTEST_SECRET: found a string that is too short, expected a key\n"
                 "environment: CONFTEST_FLAG: found \"yes\", expected true or false\n"
                 "/nowhere/x.json: found no file, expected a file with JSON, at most 1048576 bytes\n"
                 "/nowhere/x.json: mode: found 1\n"
                 "--list: found 2\n",
                 "outside");
    assert_true(s.conf.is_broken);
    unsetenv("CONFTEST_FLAG");
    unsetenv("CONFTEST_TEXT");
    unsetenv("CONFTEST_SECRET");
    pixi_buf_clear(&mistakes);
    pixi_conf_clear(&s.conf);
}

static void test_show_masks_secrets(void **state)
{
    struct pixi_buf mistakes = pixi_buf_init(1 << 16), text = pixi_buf_init(1 << 16),
                    json = pixi_buf_init(1 << 16);
    struct pixi_json_out w = pixi_json_out_init(&json);
    struct sample s = {0};

    (void)state;
    pixi_conf_init(&s.conf, &table, &s);
    read_text(&s, whole, sizeof whole - 1, &mistakes);
    pixi_conf_show(&s.conf, &text);
    pixi_conf_show_json(&s.conf, &w);
    assert_int_equal(pixi_json_check(json.bytes, json.len, 8, NULL), PIXI_OK);
    assert_null(memmem(text.bytes, text.len, "12345678", 8));
    assert_null(memmem(json.bytes, json.len, "12345678", 8));
    assert_non_null(memmem(text.bytes, text.len, "\"pk_…(11 characters)\"", 22));
    for (size_t i = 0; i < table.count; i++)
        assert_non_null(memmem(text.bytes, text.len, rows[i].path, strlen(rows[i].path)));
    pixi_buf_clear(&text);
    pixi_buf_clear(&json);
    pixi_conf_clear(&s.conf);
}

/* Memory ends anywhere: an error, and nothing worse. */
static void test_no_memory(void **state)
{
    struct pixi_buf mistakes = pixi_buf_init(1 << 16);
    size_t failed = 0, defaults;
    struct sample s;

    (void)state;
    write_file(whole, sizeof whole - 1);
    for (size_t more = 0;; more += 8) {
        s = (struct sample){0};
        pixi_buf_reset(&mistakes);
        pixi_conf_init(&s.conf, &table, &s);
        defaults = s.conf.arena.used;
        s.conf.arena.max = defaults + more;
        if (pixi_conf_read(&s.conf, file, &mistakes) == PIXI_OK)
            break;
        assert_int_equal(s.conf.err, PIXI_E_NOMEM);
        failed++;
        pixi_conf_clear(&s.conf);
    }
    assert_true(failed > 10);
    pixi_conf_clear(&s.conf);
    pixi_buf_clear(&mistakes);
}

/* Mistakes over the buffer's ceiling are still counted. */
static void test_mistakes_without_room(void **state)
{
    struct pixi_buf mistakes = pixi_buf_init(10);
    struct sample s = {0};

    (void)state;
    write_file("{\"flag\": 1, \"mode\": 2}", 22);
    pixi_conf_init(&s.conf, &table, &s);
    assert_int_equal(pixi_conf_read(&s.conf, file, &mistakes), PIXI_E_SETTINGS);
    assert_int_equal(s.conf.mistakes, 2);
    pixi_buf_clear(&mistakes);
    pixi_conf_clear(&s.conf);
}

static int set_up(void **state)
{
    int fd;

    (void)state;
    strcpy(file, "/tmp/pixi_conf_XXXXXX");
    fd = mkstemp(file);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_kind_is_read),
        cmocka_unit_test(test_every_mistake_has_its_line),
        cmocka_unit_test(test_wrong_values_are_not_stored),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_mistakes_outside_the_file),
        cmocka_unit_test(test_show_masks_secrets),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_mistakes_without_room),
    };

    return cmocka_run_group_tests_name("conf", tests, set_up, tear_down);
}
