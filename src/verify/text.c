#include "verify/text.h"

#include <stdio.h>

enum { CUT_MIN = 4 }; /* bytes of a secret cut off that are hidden: fewer are anyone's */

/* The ranges of RFC 3629 §4's grammar: first byte, second byte, how many follow in all. */
static const struct {
    uint8_t first_min, first_max, second_min, second_max, follow;
} forms[] = {
    {0x00, 0x7f, 0x00, 0x00, 0}, {0xc2, 0xdf, 0x80, 0xbf, 1}, {0xe0, 0xe0, 0xa0, 0xbf, 2},
    {0xe1, 0xec, 0x80, 0xbf, 2}, {0xed, 0xed, 0x80, 0x9f, 2}, {0xee, 0xef, 0x80, 0xbf, 2},
    {0xf0, 0xf0, 0x90, 0xbf, 3}, {0xf1, 0xf3, 0x80, 0xbf, 3}, {0xf4, 0xf4, 0x80, 0x8f, 3},
};

/* Bytes of the character that text starts with, 0 when it starts with none. */
static size_t char_len(struct pixi_cur text)
{
    size_t left = pixi_cur_left(&text), i = 0;

    while (i < sizeof forms / sizeof *forms &&
           (text.p[0] < forms[i].first_min || text.p[0] > forms[i].first_max))
        i++;
    if (i == sizeof forms / sizeof *forms || left < forms[i].follow + 1u)
        return 0;
    for (size_t k = 1; k <= forms[i].follow; k++) {
        uint8_t min = k == 1 ? forms[i].second_min : 0x80, max = k == 1 ? forms[i].second_max : 0xbf;

        if (text.p[k] < min || text.p[k] > max)
            return 0;
    }
    return forms[i].follow + 1u;
}

bool pixi_vtext_is_utf8(struct pixi_cur text)
{
    while (text.p < text.end) {
        size_t len = char_len(text);

        if (len == 0)
            return false;
        text.p += len;
    }
    return true;
}

/* Bytes of the secret that bytes start with: all of it, or, where bytes end inside it, what is there. */
static size_t secret_len(struct pixi_cur bytes, const char *secret)
{
    size_t len = secret ? strlen(secret) : 0, left = pixi_cur_left(&bytes), here = left < len ? left : len;

    return (here == len || here >= CUT_MIN) && memcmp(bytes.p, secret ? secret : "", here) == 0 ? here : 0;
}

void pixi_vtext_show(struct pixi_cur bytes, const char *secret, char *out, size_t len)
{
    static const char more[] = "…";
    size_t at = 0;

    while (bytes.p < bytes.end) {
        char piece[8];
        size_t hidden = secret_len(bytes, secret), piece_len;

        if (hidden)
            snprintf(piece, sizeof piece, "***");
        else
            snprintf(piece, sizeof piece, *bytes.p >= ' ' && *bytes.p <= '~' ? "%c" : "\\x%02x", *bytes.p);
        piece_len = strlen(piece);
        if (at + piece_len + sizeof more > len) {
            memcpy(out + at, more, sizeof more);
            return;
        }
        memcpy(out + at, piece, piece_len);
        at += piece_len;
        bytes.p += hidden ? hidden : 1;
    }
    out[at] = 0;
}
