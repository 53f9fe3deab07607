#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { LEAST = 256 };

void pixi_buf_clear(struct pixi_buf *b)
{
    free(b->bytes);
    *b = pixi_buf_init(b->max);
}

static bool grow(struct pixi_buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : LEAST;
    uint8_t *bytes;

    while (cap < need)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    bytes = realloc(b->bytes, cap);
    if (!bytes) {
        b->err = PIXI_E_NOMEM;
        return false;
    }
    b->bytes = bytes;
    b->cap = cap;
    return true;
}

uint8_t *pixi_buf_reserve(struct pixi_buf *b, size_t len)
{
    if (b->err)
        return NULL;
    if (len > b->max - b->len) {
        b->err = PIXI_E_LIMIT;
        return NULL;
    }
    if ((!b->bytes || b->len + len > b->cap) && !grow(b, b->len + len))
        return NULL;
    return b->bytes + b->len;
}

void pixi_buf_put(struct pixi_buf *b, const void *bytes, size_t len)
{
    uint8_t *room = pixi_buf_reserve(b, len);

    if (!room || !len)
        return;
    memcpy(room, bytes, len);
    b->len += len;
}

void pixi_buf_put_uint(struct pixi_buf *b, uint64_t v)
{
    char digits[20], *p = digits + sizeof digits;

    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    pixi_buf_put(b, p, (size_t)(digits + sizeof digits - p));
}

void pixi_buf_putf(struct pixi_buf *b, const char *format, ...)
{
    va_list args, again;
    uint8_t *room;
    int len;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    /* vsnprintf ends with a NUL, for which room is needed though it is not kept */
    room = len < 0 ? NULL : pixi_buf_reserve(b, (size_t)len + 1);
    if (room) {
        vsnprintf((char *)room, (size_t)len + 1, format, again);
        b->len += (size_t)len;
    }
    va_end(again);
}

void pixi_buf_drop(struct pixi_buf *b, size_t len)
{
    b->len -= len;
    if (b->len)
        memmove(b->bytes, b->bytes + len, b->len);
}
