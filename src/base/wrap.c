#include "base/wrap.h"

#include <stdbool.h>
#include <string.h>

int pixi_wrap_columns(const char *text, size_t len)
{
    int n = 0;

    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

int pixi_wrap(FILE *out, int at, int indent, int limit, const char *text)
{
    bool is_first = true;

    while (*text) {
        size_t len = strcspn(text, " ");
        int width = pixi_wrap_columns(text, len);

        if (!is_first && at + 1 + width > limit) {
            fprintf(out, "\n%*s", indent, "");
            at = indent;
        } else if (!is_first) {
            fputc(' ', out);
            at++;
        }
        fwrite(text, 1, len, out);
        at += width;
        is_first = false;
        text += len;
        text += strspn(text, " ");
    }
    return at;
}
