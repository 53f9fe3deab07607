/* fuzz.h -- what the targets share. A target is one LLVMFuzzerTestOneInput: libFuzzer calls it (make fuzz), or feed.c with the
 * seeds alone (make test). What must hold is said by fuzz_must, which stops at once.
 *
 * Inputs that need choices (role, version, where to cut) start with a few bytes for them: seeds.py writes the same. */
#ifndef PIXI_TESTS_FUZZ_FUZZ_H
#define PIXI_TESTS_FUZZ_FUZZ_H

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static inline void fuzz_must(int is_ok, const char *what)
{
    if (is_ok)
        return;
    fprintf(stderr, "does not hold: %s\n", what);
    abort();
}

static inline void fuzz_same(const char *what, struct pixi_cur want, struct pixi_cur got)
{
    if (pixi_cur_equals(want, got))
        return;
    fprintf(stderr, "does not hold: %s\n  %.*s\n  %.*s\n", what, (int)pixi_cur_left(&want),
            (const char *)want.p, (int)pixi_cur_left(&got), (const char *)got.p);
    abort();
}

/* A copy with nothing behind it: AddressSanitizer sees who reads on. Freed with free. */
static inline uint8_t *fuzz_copy(const void *bytes, size_t len)
{
    uint8_t *copy = malloc(len);

    fuzz_must(copy != NULL || len == 0, "memory");
    if (len)
        memcpy(copy, bytes, len);
    return copy;
}

static inline bool fuzz_is_inside(struct pixi_cur part, struct pixi_cur whole)
{
    return !part.p || (part.p >= whole.p && part.p <= part.end && part.end <= whole.end);
}

/* The first count bytes of an input, zero where it is shorter. */
static inline void fuzz_choices(struct pixi_cur *in, uint8_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = in->p != in->end ? *in->p++ : 0;
}

/* Hex, or when it is long its length and a hash. */
static inline void fuzz_put_hex(struct pixi_buf *out, struct pixi_cur c)
{
    uint64_t hash = 0xcbf29ce484222325;

    if (pixi_cur_left(&c) > 200) {
        for (const uint8_t *p = c.p; p != c.end; p++)
            hash = (hash ^ *p) * 0x100000001b3;
        pixi_buf_putf(out, "%zu:%016jx", pixi_cur_left(&c), (uintmax_t)hash);
        return;
    }
    for (; c.p != c.end; c.p++)
        pixi_buf_putf(out, "%02x", *c.p);
}

/* A stream in pieces: the first one, then as many bytes at a time. */
struct fuzz_pieces {
    struct pixi_cur rest;
    size_t first, others;
    uint8_t *piece; /* owned */
};

/* fuzz_piece -- the next one, in memory of its own that may be written to. NULL at the end; frees the one before. */
static inline uint8_t *fuzz_piece(struct fuzz_pieces *p, size_t *len)
{
    size_t left = pixi_cur_left(&p->rest);

    free(p->piece);
    p->piece = NULL;
    *len = p->first < left ? p->first : left;
    if (!left)
        return NULL;
    p->piece = fuzz_copy(p->rest.p, *len);
    p->rest.p += *len;
    p->first = p->others;
    return p->piece;
}

/* A fresh reader, fed all pieces; what came out and the verdict go to out as text. */
typedef void fuzz_run(const void *how, struct fuzz_pieces *pieces, struct pixi_buf *out);

/* fuzz_chunks -- all at once, byte by byte and cut at `cut`: the same text. */
static inline void fuzz_chunks(fuzz_run *run, const void *how, struct pixi_cur stream, size_t cut)
{
    const size_t ways[][2] = {{1, 1}, {1 + cut, SIZE_MAX}, {1 + cut % 7, 1 + cut % 5}};
    struct pixi_buf whole = pixi_buf_init(1 << 24), got = pixi_buf_init(1 << 24);
    struct fuzz_pieces pieces = {.rest = stream, .first = SIZE_MAX, .others = SIZE_MAX};

    run(how, &pieces, &whole);
    free(pieces.piece);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        pieces = (struct fuzz_pieces){.rest = stream, .first = ways[i][0], .others = ways[i][1]};
        pixi_buf_reset(&got);
        run(how, &pieces, &got);
        free(pieces.piece);
        fuzz_same("the same however it is cut", pixi_buf_cur(&whole), pixi_buf_cur(&got));
    }
    pixi_buf_clear(&whole);
    pixi_buf_clear(&got);
}

/* fuzz_prefixes -- every prefix says PIXI_MORE, or what the whole says; only PIXI_OK consumes. Of long inputs, some. */
typedef int fuzz_decode(struct pixi_cur *in, void *ctx);

static inline void fuzz_prefixes(fuzz_decode *decode, void *ctx, struct pixi_cur whole)
{
    size_t len = pixi_cur_left(&whole), step = 1 + len / 200, used, full_used;
    struct pixi_cur c = whole;
    int full = decode(&c, ctx), rc;

    full_used = (size_t)(c.p - whole.p);
    fuzz_must(full == PIXI_OK || full_used == 0, "what is not read is not consumed");
    for (size_t k = 0; k < len; k += step) {
        uint8_t *copy = fuzz_copy(whole.p, k);

        c = pixi_cur_init(copy, k);
        rc = decode(&c, ctx);
        used = (size_t)(c.p - copy);
        free(copy);
        fuzz_must(rc == PIXI_MORE || rc == full, "a prefix says MORE or what the whole says");
        fuzz_must(used == (rc == PIXI_OK ? full_used : 0), "a prefix consumes as the whole, or nothing");
    }
}

#endif
