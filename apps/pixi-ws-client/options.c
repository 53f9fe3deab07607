#include "pixi-ws-client/cmd.h"

#include <stdio.h>
#include <stdlib.h>

bool read_seconds(const char *option, const char *text, uint64_t *ms)
{
    char *end;
    double v = strtod(text, &end);

    if (end == text || *end || !(v > 0) || v > 86400) {
        note("%s: found \"%s\", expected seconds, more than 0, at most 86400", option, text);
        return false;
    }
    *ms = v < 0.001 ? 1 : (uint64_t)(v * 1000); /* 0 would be none given */
    return true;
}

bool read_count(const char *option, const char *text, uint64_t *out)
{
    char *end;
    unsigned long long v = strtoull(text, &end, 10);

    if (end == text || *end || *text == '-' || v == 0 || v > UINT32_MAX) {
        note("%s: found \"%s\", expected a whole number, at least 1", option, text);
        return false;
    }
    *out = v;
    return true;
}
