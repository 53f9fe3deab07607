#include "base/log.h"

#include "base/buf.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 1024, LINE = 8 * TEXT };

static enum pixi_log_level most = PIXI_LOG_INFO;
static enum pixi_log_format form = PIXI_LOG_TEXT;

static const char *const names[] = {"error", "warning", "info", "debug"};

void pixi_log_set_level(enum pixi_log_level level)
{
    most = level;
}

void pixi_log_set_format(enum pixi_log_format format)
{
    form = format;
}

/* The length of the UTF-8 character at p, and its number; 0: there is none. */
static size_t character(struct pixi_cur c, uint32_t *number)
{
    size_t left = pixi_cur_left(&c), len = *c.p < 0x80 ? 1 : *c.p < 0xe0 ? 2 : *c.p < 0xf0 ? 3 : 4;

    if (len > left || !pixi_utf8_is_valid(c.p, len))
        return 0;
    *number = len == 1 ? *c.p : *c.p & (0x7fu >> len);
    for (size_t i = 1; i < len; i++)
        *number = *number << 6 | (c.p[i] & 0x3f);
    return len;
}

/* C0, DEL, C1; line and paragraph separator; what turns the direction of what follows (Unicode TR 36 §2.6). */
static bool is_unsafe(uint32_t number)
{
    return number < 0x20 || (number >= 0x7f && number < 0xa0) || (number >= 0x2028 && number <= 0x202e) ||
           (number >= 0x2066 && number <= 0x2069);
}

/* The character at the front of c, or a byte that is none, as it may stand in a line. */
static size_t put_one(struct pixi_buf *b, struct pixi_cur c)
{
    bool is_json = form == PIXI_LOG_JSON;
    uint32_t number = 0;
    size_t len = character(c, &number);

    if (len == 0 && is_json)
        pixi_buf_put_str(b, "\\ufffd");
    else if (len == 0 || (is_unsafe(number) && number < 0x80 && !is_json))
        pixi_buf_putf(b, "\\x%02x", *c.p);
    else if (is_unsafe(number))
        pixi_buf_putf(b, is_json ? "\\u%04x" : "\\u{%04x}", (unsigned)number);
    else if (number == '\\' || (number == '"' && is_json))
        pixi_buf_putf(b, "\\%c", (char)number);
    else
        pixi_buf_put(b, c.p, len);
    return len ? len : 1;
}

static void put_time(char out[32])
{
    struct timespec now;
    struct tm tm;
    size_t len;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    len = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + len, 32 - len, ".%03uZ", (unsigned)(now.tv_nsec / 1000000) % 1000);
}

void pixi_log(enum pixi_log_level level, const char *format, ...)
{
    static const char json[] = "{\"time\":\"%s\",\"level\":\"%s\",\"message\":\"";
    uint8_t line[LINE];
    /* never grows: an escape makes of a byte six at most */
    struct pixi_buf b = {.bytes = line, .cap = sizeof line, .max = sizeof line};
    char text[TEXT], time[32];
    va_list args;

    if (level > most)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put_time(time);
    pixi_buf_putf(&b, form == PIXI_LOG_JSON ? json : "%s %s: ", time, names[level]);
    for (struct pixi_cur c = pixi_cur_str(text); c.p != c.end;)
        c.p += put_one(&b, c);
    pixi_buf_put_str(&b, form == PIXI_LOG_JSON ? "\"}\n" : "\n");
    /* one call a line, so that lines of several processes do not mix */
    if (write(STDERR_FILENO, b.bytes, b.len) < 0)
        return; /* there is nowhere left to say so */
}
