#include "base/near.h"

#include <ctype.h>

enum { NAME_MAX_LEN = 40 }; /* letters of a name that are compared */

/* Lower case, without '_' and '-': "connectMs" and "connect-ms" mean connect_ms. */
static size_t simplify(struct pixi_cur name, char out[NAME_MAX_LEN])
{
    size_t len = 0;

    for (; name.p != name.end && len < NAME_MAX_LEN; name.p++)
        if (*name.p != '_' && *name.p != '-')
            out[len++] = (char)tolower(*name.p);
    return len;
}

static size_t least(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

size_t pixi_near_distance(struct pixi_cur a, struct pixi_cur b)
{
    char from[NAME_MAX_LEN], to[NAME_MAX_LEN];
    size_t row[NAME_MAX_LEN + 1], from_len = simplify(a, from), to_len = simplify(b, to), corner, above;

    for (size_t j = 0; j <= to_len; j++)
        row[j] = j;
    for (size_t i = 0; i < from_len; i++) {
        corner = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < to_len; j++) {
            above = row[j + 1];
            row[j + 1] = least(above + 1, row[j] + 1, corner + (from[i] != to[j]));
            corner = above;
        }
    }
    return row[to_len];
}

bool pixi_near_enough(size_t distance, struct pixi_cur candidate)
{
    return distance <= 1 + pixi_cur_left(&candidate) / 5;
}
