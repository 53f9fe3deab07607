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
    size_t rows[3][NAME_MAX_LEN + 1], from_len = simplify(a, from), to_len = simplify(b, to);

    for (size_t j = 0; j <= to_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= from_len; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= to_len; j++) {
            row[j] = least(above[j] + 1, row[j - 1] + 1, above[j - 1] + (from[i - 1] != to[j - 1]));
            if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] &&
                two_above[j - 2] + 1 < row[j])
                row[j] = two_above[j - 2] + 1;
        }
    }
    return rows[from_len % 3][to_len];
}

bool pixi_near_enough(size_t distance, struct pixi_cur candidate)
{
    return distance <= 1 + pixi_cur_left(&candidate) / 5;
}
