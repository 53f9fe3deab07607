#include "cli/cli.h"

#include "base/wrap.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INDENT = 6 }; /* of what is broken off a line */

bool cli_wants_color(FILE *out)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(fileno(out)) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}

/* How much of a line fits into `room` columns, up to a blank; a word that is too long is not broken. */
static size_t fitting(const char *line, size_t len, int room)
{
    size_t cut = 0;

    for (size_t i = strspn(line, " "); i < len; i++)
        if (line[i] == ' ' && (cut == 0 || pixi_wrap_columns(line, i) <= room))
            cut = i;
    return cut ? cut : len;
}

static void fold_line(FILE *out, const char *line, size_t len)
{
    int room = CLI_COLUMNS;

    while (pixi_wrap_columns(line, len) > room) {
        size_t cut = fitting(line, len, room), next = cut;

        while (next < len && line[next] == ' ')
            next++;
        if (next == len)
            break;
        while (cut && line[cut - 1] == ' ')
            cut--;
        fprintf(out, "%.*s\n%*s", (int)cut, line, INDENT, "");
        line += next;
        len -= next;
        room = CLI_COLUMNS - INDENT;
    }
    fwrite(line, 1, len, out);
}

void cli_fold(FILE *out, const char *text, size_t len)
{
    if (!isatty(fileno(out))) {
        fwrite(text, 1, len, out);
        return;
    }
    while (len) {
        const char *end = memchr(text, '\n', len);
        size_t line = end ? (size_t)(end - text) : len;

        fold_line(out, text, line);
        if (end)
            fputc('\n', out);
        line += end ? 1 : 0;
        text += line;
        len -= line;
    }
}
