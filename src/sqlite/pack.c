#include "sqlite/pack.h"

#include <endian.h>

enum {
    HEAD = 12, /* 4 bytes: how many follow; 8: their checksum. The lowest byte first */
    VARINT_MAX = 10,
    FIXED_MAX = (PIXI_PACK_NUMBERS + PIXI_PACK_PARTS) * VARINT_MAX,
};

static uint32_t word_at(const uint8_t *bytes)
{
    uint32_t w;

    memcpy(&w, bytes, sizeof w);
    return le32toh(w);
}

/* The checksum of SQLite's log (sqlite.org/fileformat2.html, 4.2), over zeros where less than eight bytes are left. */
static uint64_t checksum(const uint8_t *bytes, size_t len)
{
    uint32_t a = (uint32_t)len, b = 0;
    uint8_t last[8] = {0};

    for (; len >= sizeof last; bytes += sizeof last, len -= sizeof last) {
        a += word_at(bytes) + b;
        b += word_at(bytes + 4) + a;
    }
    if (len)
        memcpy(last, bytes, len);
    a += word_at(last) + b;
    b += word_at(last + 4) + a;
    return (uint64_t)a << 32 | b;
}

static uint8_t *put_number(uint8_t *to, uint64_t v)
{
    for (; v > 127; v >>= 7)
        *to++ = (uint8_t)(v | 128);
    *to++ = (uint8_t)v;
    return to;
}

static bool take_number(struct pixi_cur *c, uint64_t *out)
{
    uint64_t v = 0;

    for (unsigned shift = 0; c->p != c->end && shift < 64; shift += 7) {
        v |= (uint64_t)(*c->p & 127) << shift;
        if (!(*c->p++ & 128)) {
            *out = v;
            return true;
        }
    }
    return false;
}

static void put_head(uint8_t *head, size_t len)
{
    uint32_t size = htole32((uint32_t)len);
    uint64_t sum = htole64(checksum(head + HEAD, len));

    memcpy(head, &size, sizeof size);
    memcpy(head + 4, &sum, sizeof sum);
}

void pixi_pack_put(struct pixi_buf *out, const struct pixi_packed *record)
{
    size_t len = FIXED_MAX;
    uint8_t *head, *at;

    for (size_t i = 0; i < PIXI_PACK_PARTS; i++)
        len += pixi_cur_left(&record->part[i]);
    if (len > UINT32_MAX && !out->err)
        out->err = PIXI_E_LIMIT;
    head = pixi_buf_reserve(out, HEAD + len);
    if (!head)
        return;
    at = head + HEAD;
    for (size_t i = 0; i < PIXI_PACK_NUMBERS; i++)
        at = put_number(at, record->number[i]);
    for (size_t i = 0; i < PIXI_PACK_PARTS; i++)
        at = put_number(at, pixi_cur_left(&record->part[i]));
    for (size_t i = 0; i < PIXI_PACK_PARTS; i++) {
        size_t part = pixi_cur_left(&record->part[i]);

        if (part)
            memcpy(at, record->part[i].p, part);
        at += part;
    }
    put_head(head, (size_t)(at - head) - HEAD);
    out->len += (size_t)(at - head);
}

static bool take_record(struct pixi_cur body, struct pixi_packed *record)
{
    uint64_t len[PIXI_PACK_PARTS];

    for (size_t i = 0; i < PIXI_PACK_NUMBERS; i++)
        if (!take_number(&body, &record->number[i]))
            return false;
    for (size_t i = 0; i < PIXI_PACK_PARTS; i++)
        if (!take_number(&body, &len[i]))
            return false;
    for (size_t i = 0; i < PIXI_PACK_PARTS; i++)
        if (len[i] > pixi_cur_left(&body) || !pixi_cur_cut(&body, (size_t)len[i], &record->part[i]))
            return false;
    return body.p == body.end;
}

bool pixi_pack_next(struct pixi_cur *row, struct pixi_packed *record)
{
    struct pixi_cur rest = *row, head, body;
    uint64_t sum;

    if (!pixi_cur_cut(&rest, HEAD, &head) || !pixi_cur_cut(&rest, word_at(head.p), &body))
        return false;
    memcpy(&sum, head.p + 4, sizeof sum);
    if (le64toh(sum) != checksum(body.p, pixi_cur_left(&body)) || !take_record(body, record))
        return false;
    *row = rest;
    return true;
}
