#include "base/log.h"
#include "invariants.h"

#include "base/json.h"

#include <fcntl.h>
#include <unistd.h>

static int out[2], was;

/* What the call wrote to standard error, without the time; NUL-terminated. */
static const char *said(void)
{
    static char line[65536];
    ssize_t len = read(out[0], line, sizeof line - 1);

    line[len > 0 ? len : 0] = 0;
    return line;
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(pipe2(out, O_NONBLOCK | O_CLOEXEC), 0);
    was = dup(STDERR_FILENO);
    assert_int_equal(dup2(out[1], STDERR_FILENO), STDERR_FILENO);
    pixi_log_set_level(PIXI_LOG_INFO);
    pixi_log_set_format(PIXI_LOG_TEXT);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dup2(was, STDERR_FILENO);
    close(was);
    close(out[0]);
    close(out[1]);
    return 0;
}

static void levels(void **state)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};

    (void)state;
    for (int most = PIXI_LOG_ERROR; most <= PIXI_LOG_DEBUG; most++)
        for (int level = PIXI_LOG_ERROR; level <= PIXI_LOG_DEBUG; level++) {
            const char *line;

            pixi_log_set_level((enum pixi_log_level)most);
            pixi_log((enum pixi_log_level)level, "x %d", level);
            line = said();
            assert_int_equal(*line != 0, level <= most);
            if (*line)
                assert_non_null(strstr(line, names[level]));
        }
}

/* What text becomes, in both formats. */
static void escapes(void **state)
{
    static const struct {
        const char *text, *as_text, *as_json;
    } rows[] = {
        {"plain \"text\" \xc3\xa9 \xf0\x9f\x98\x80", "plain \"text\" \xc3\xa9 \xf0\x9f\x98\x80",
         "plain \\\"text\\\" \xc3\xa9 \xf0\x9f\x98\x80"},
        {"a\r\nb\t", "a\\x0d\\x0ab\\x09", "a\\u000d\\u000ab\\u0009"},
        {"\x1b[2J\x7f", "\\x1b[2J\\x7f", "\\u001b[2J\\u007f"},
        {"\xc2\x9b"
         "2J",
         "\\u{009b}2J", "\\u009b2J"},
        {"\x9b"
         "2J\xff",
         "\\x9b2J\\xff", "\\ufffd2J\\ufffd"},
        {"\xe2\x80\xae"
         "gnp\xe2\x80\xa8",
         "\\u{202e}gnp\\u{2028}", "\\u202egnp\\u2028"},
        {"\\x0a", "\\\\x0a", "\\\\x0a"},
        {"cut \xe2\x82", "cut \\xe2\\x82", "cut \\ufffd\\ufffd"},
        {"long \xc0\x80 \xed\xa0\x80", "long \\xc0\\x80 \\xed\\xa0\\x80",
         "long \\ufffd\\ufffd \\ufffd\\ufffd\\ufffd"},
        {"\"}\n{\"level\":\"error\"", "\"}\\x0a{\"level\":\"error\"",
         "\\\"}\\u000a{\\\"level\\\":\\\"error\\\""},
    };
    char want[512];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pixi_log_set_format(PIXI_LOG_TEXT);
        pixi_log(PIXI_LOG_ERROR, "%s", rows[i].text);
        snprintf(want, sizeof want, " error: %s\n", rows[i].as_text);
        assert_string_equal(said() + sizeof "2026-11-22T21:30:00.000Z" - 1, want);
        pixi_log_set_format(PIXI_LOG_JSON);
        pixi_log(PIXI_LOG_ERROR, "%s", rows[i].text);
        snprintf(want, sizeof want, "\",\"level\":\"error\",\"message\":\"%s\"}\n", rows[i].as_json);
        assert_string_equal(said() + sizeof "{\"time\":\"2026-11-22T21:30:00.000Z" - 1, want);
    }
}

/* Every byte, as many as fit: one line each time, and JSON that is JSON. */
static void any_bytes(void **state)
{
    char text[2000];

    (void)state;
    for (unsigned seed = 1; seed < 300; seed++) {
        uint32_t random = seed;
        const char *line;

        for (size_t i = 0; i + 1 < sizeof text; i++) {
            random = random * 1664525 + 1013904223;
            text[i] = (char)(seed < 256 ? seed : random >> 24 ? random >> 24 : 1);
        }
        text[sizeof text - 1] = 0;
        for (int format = PIXI_LOG_TEXT; format <= PIXI_LOG_JSON; format++) {
            size_t len;

            pixi_log_set_format((enum pixi_log_format)format);
            pixi_log(PIXI_LOG_INFO, "%s", text);
            line = said();
            len = strlen(line);
            assert_true(len > 1000 && line[len - 1] == '\n');
            for (size_t i = 0; i + 1 < len; i++)
                assert_true((uint8_t)line[i] >= 0x20 && line[i] != 0x7f);
            if (format == PIXI_LOG_JSON)
                assert_int_equal(pixi_json_check(line, len - 1, 4, NULL), PIXI_OK);
        }
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(levels), TEST(escapes), TEST(any_bytes)};

    return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
