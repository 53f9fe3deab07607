#include "base/base64.h"

enum { STD = 0x40, URL = 0x80, BOTH = STD | URL, SIX = 0x3f };

static const char alphabets[2][65] = {
    [PIXI_BASE64_STD] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    [PIXI_BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

/* The value of a character and the alphabets that have it. */
static const uint8_t sixes[256] = {
    ['A'] = BOTH | 0,  ['B'] = BOTH | 1,  ['C'] = BOTH | 2,  ['D'] = BOTH | 3,  ['E'] = BOTH | 4,
    ['F'] = BOTH | 5,  ['G'] = BOTH | 6,  ['H'] = BOTH | 7,  ['I'] = BOTH | 8,  ['J'] = BOTH | 9,
    ['K'] = BOTH | 10, ['L'] = BOTH | 11, ['M'] = BOTH | 12, ['N'] = BOTH | 13, ['O'] = BOTH | 14,
    ['P'] = BOTH | 15, ['Q'] = BOTH | 16, ['R'] = BOTH | 17, ['S'] = BOTH | 18, ['T'] = BOTH | 19,
    ['U'] = BOTH | 20, ['V'] = BOTH | 21, ['W'] = BOTH | 22, ['X'] = BOTH | 23, ['Y'] = BOTH | 24,
    ['Z'] = BOTH | 25, ['a'] = BOTH | 26, ['b'] = BOTH | 27, ['c'] = BOTH | 28, ['d'] = BOTH | 29,
    ['e'] = BOTH | 30, ['f'] = BOTH | 31, ['g'] = BOTH | 32, ['h'] = BOTH | 33, ['i'] = BOTH | 34,
    ['j'] = BOTH | 35, ['k'] = BOTH | 36, ['l'] = BOTH | 37, ['m'] = BOTH | 38, ['n'] = BOTH | 39,
    ['o'] = BOTH | 40, ['p'] = BOTH | 41, ['q'] = BOTH | 42, ['r'] = BOTH | 43, ['s'] = BOTH | 44,
    ['t'] = BOTH | 45, ['u'] = BOTH | 46, ['v'] = BOTH | 47, ['w'] = BOTH | 48, ['x'] = BOTH | 49,
    ['y'] = BOTH | 50, ['z'] = BOTH | 51, ['0'] = BOTH | 52, ['1'] = BOTH | 53, ['2'] = BOTH | 54,
    ['3'] = BOTH | 55, ['4'] = BOTH | 56, ['5'] = BOTH | 57, ['6'] = BOTH | 58, ['7'] = BOTH | 59,
    ['8'] = BOTH | 60, ['9'] = BOTH | 61, ['+'] = STD | 62,  ['/'] = STD | 63,  ['-'] = URL | 62,
    ['_'] = URL | 63,
};

size_t pixi_base64_encode(enum pixi_base64 kind, const uint8_t *bytes, size_t len, char *out)
{
    const char *alphabet = alphabets[kind];
    char *o = out;
    uint32_t v;
    size_t i;

    for (i = 0; len - i >= 3; i += 3) {
        v = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];
        *o++ = alphabet[v >> 18];
        *o++ = alphabet[v >> 12 & SIX];
        *o++ = alphabet[v >> 6 & SIX];
        *o++ = alphabet[v & SIX];
    }
    if (i == len)
        return (size_t)(o - out);
    v = (uint32_t)bytes[i] << 16 | (len - i == 2 ? (uint32_t)bytes[i + 1] << 8 : 0);
    *o++ = alphabet[v >> 18];
    *o++ = alphabet[v >> 12 & SIX];
    if (len - i == 2)
        *o++ = alphabet[v >> 6 & SIX];
    while (kind == PIXI_BASE64_STD && (o - out) % 4)
        *o++ = '=';
    return (size_t)(o - out);
}

/* Two or three characters that no group of four was left for. */
static int decode_tail(const uint8_t *p, size_t len, unsigned kinds, uint8_t **o)
{
    uint8_t a = sixes[p[0]], b = sixes[p[1]], c = len == 3 ? sixes[p[2]] : BOTH;
    uint32_t v = (uint32_t)(a & SIX) << 12 | (uint32_t)(b & SIX) << 6 | (c & SIX);

    if (!(a & b & c & kinds) || v & (len == 3 ? 0x3 : 0x3ff)) /* §3.5: unused bits are zero */
        return PIXI_E_BASE64;
    *(*o)++ = (uint8_t)(v >> 10);
    if (len == 3)
        *(*o)++ = (uint8_t)(v >> 2);
    return PIXI_OK;
}

int pixi_base64_decode(enum pixi_base64 kind, struct pixi_cur text, uint8_t *out, size_t *len)
{
    const uint8_t *p = text.p, *end = text.end;
    unsigned kinds = kind == PIXI_BASE64_STD ? STD : URL;
    uint8_t *o = out;

    if (kind == PIXI_BASE64_STD) {
        if ((end - p) % 4)
            return PIXI_E_BASE64;
        for (int i = 0; i < 2 && end != p && end[-1] == '='; i++)
            end--;
    }
    for (; end - p >= 4; p += 4) {
        uint8_t a = sixes[p[0]], b = sixes[p[1]], c = sixes[p[2]], d = sixes[p[3]];

        if (!(a & b & c & d & kinds))
            return PIXI_E_BASE64;
        *o++ = (uint8_t)((a & SIX) << 2 | (b & SIX) >> 4);
        *o++ = (uint8_t)(b << 4 | (c & SIX) >> 2);
        *o++ = (uint8_t)(c << 6 | (d & SIX));
    }
    if (end - p == 1)
        return PIXI_E_BASE64;
    if (end != p && decode_tail(p, (size_t)(end - p), kinds, &o) != PIXI_OK)
        return PIXI_E_BASE64;
    *len = (size_t)(o - out);
    return PIXI_OK;
}

void pixi_base64_put(struct pixi_buf *b, enum pixi_base64 kind, const uint8_t *bytes, size_t len)
{
    uint8_t *room = pixi_buf_reserve(b, pixi_base64_size(len));

    if (room)
        b->len += pixi_base64_encode(kind, bytes, len, (char *)room);
}
