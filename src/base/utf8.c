#include "base/utf8.h"

#include <string.h>

/* First byte of a character: what may follow is the table of RFC 3629 §4 read by column. */
static bool start(struct pixi_utf8 *at, uint8_t b)
{
    if (b < 0x80)
        return true;
    if (b < 0xc2 || b > 0xf4)
        return false;
    at->left = b < 0xe0 ? 1 : b < 0xf0 ? 2 : 3;
    at->lo = b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80; /* less would be overlong */
    at->hi = b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf; /* more: a surrogate, or above U+10FFFF */
    return true;
}

static bool step(struct pixi_utf8 *at, uint8_t b)
{
    if (!at->left)
        return start(at, b);
    if (b < at->lo || b > at->hi)
        return false;
    at->left--;
    at->lo = at->left ? 0x80 : 0;
    at->hi = at->left ? 0xbf : 0;
    return true;
}

static int fail(size_t index, size_t *bad)
{
    if (bad)
        *bad = index;
    return PIXI_E_UTF8;
}

int pixi_utf8_feed_scalar(struct pixi_utf8 *at, const uint8_t *bytes, size_t len, size_t *bad)
{
    struct pixi_utf8 s = *at;

    for (size_t i = 0; i < len; i++)
        if (!step(&s, bytes[i]))
            return fail(i, bad);
    *at = s;
    return PIXI_OK;
}

static size_t ascii_span(const uint8_t *bytes, size_t len)
{
    const uint64_t highs = UINT64_C(0x8080808080808080);
    uint64_t w[2];
    size_t i = 0;

    for (; len - i >= sizeof w; i += sizeof w) {
        memcpy(w, bytes + i, sizeof w);
        if ((w[0] | w[1]) & highs)
            break;
    }
    while (i < len && bytes[i] < 0x80)
        i++;
    return i;
}

int pixi_utf8_feed(struct pixi_utf8 *at, const uint8_t *bytes, size_t len, size_t *bad)
{
    struct pixi_utf8 s = *at;
    size_t i = 0;

    while (i < len) {
        if (!s.left)
            i += ascii_span(bytes + i, len - i);
        /* a run of other scripts: the words would find nothing in it */
        for (; i < len && (s.left || bytes[i] >= 0x80); i++)
            if (!step(&s, bytes[i]))
                return fail(i, bad);
    }
    *at = s;
    return PIXI_OK;
}

bool pixi_utf8_is_valid(const uint8_t *bytes, size_t len)
{
    struct pixi_utf8 at = {0};

    return pixi_utf8_feed(&at, bytes, len, NULL) == PIXI_OK && pixi_utf8_is_whole(&at);
}

size_t pixi_utf8_trim(const uint8_t *bytes, size_t len)
{
    size_t start = len;

    while (start > 0 && (bytes[start - 1] & 0xc0) == 0x80)
        start--;
    start -= start > 0 && bytes[start - 1] >= 0xc0;
    return pixi_utf8_is_valid(bytes + start, len - start) ? len : start;
}
