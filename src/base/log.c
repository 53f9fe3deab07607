#include "base/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 1024 };

static enum pixi_log_level most = PIXI_LOG_INFO;

void pixi_log_set_level(enum pixi_log_level level)
{
    most = level;
}

/* What a peer sent may be in the text: it must not be able to write lines of its own, or to the terminal. */
static size_t escape(const char *text, char *out, size_t room)
{
    size_t len = 0;

    for (; *text && len + 5 < room; text++) {
        uint8_t ch = (uint8_t)*text;

        if (ch < 0x20 || ch == 0x7f)
            len += (size_t)snprintf(out + len, room - len, "\\x%02x", ch);
        else
            out[len++] = (char)ch;
    }
    return len;
}

void pixi_log(enum pixi_log_level level, const char *format, ...)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    char text[LINE], line[2 * LINE];
    struct timespec now;
    struct tm tm;
    size_t len;
    va_list args;

    if (level > most)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    len = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    len +=
        (size_t)snprintf(line + len, sizeof line - len, ".%03ldZ %s: ", now.tv_nsec / 1000000, names[level]);
    len += escape(text, line + len, sizeof line - len - 1);
    line[len++] = '\n';
    /* one call a line, so that lines of several processes do not mix */
    if (write(STDERR_FILENO, line, len) < 0)
        return; /* there is nowhere left to say so */
}
