/* invariants.h -- what every decoder and reader must hold, once. Included by x_test.c, on cmocka.
 *
 *   guard page   the last byte of the input touches an unreadable page
 *   prefix       every prefix answers PIXI_MORE or the final answer, and consumes only on PIXI_OK
 *   chunks       all at once, byte by byte and every two-way cut give the same events */
#ifndef PIXI_TESTS_INVARIANTS_H
#define PIXI_TESTS_INVARIANTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cur.h"
#include "base/err.h"

/* A writable copy of len bytes whose last byte touches an unreadable page. Freed with inv_guard_free. */
struct inv_guard {
    uint8_t *map, *bytes;
    size_t map_len;
};

static inline struct inv_guard inv_guard(const void *bytes, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (len + page) / page * page;
    struct inv_guard g = {.map_len = room + page};

    g.map = mmap(NULL, g.map_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    assert_int_equal(mprotect(g.map + room, page, PROT_NONE), 0);
    g.bytes = g.map + room - len;
    if (len)
        memcpy(g.bytes, bytes, len);
    return g;
}

static inline void inv_guard_free(struct inv_guard *g)
{
    munmap(g->map, g->map_len);
    *g = (struct inv_guard){0};
}

/* Adapter: calls the decoder under test with ctx. */
typedef int inv_decode(struct pixi_cur *in, void *ctx);

static inline int inv_decode_prefix(inv_decode *decode, void *ctx, const void *bytes, size_t len,
                                    size_t *used)
{
    struct inv_guard g = inv_guard(bytes, len);
    struct pixi_cur c = pixi_cur_init(g.bytes, len);
    int rc = decode(&c, ctx);

    *used = (size_t)(c.p - g.bytes);
    inv_guard_free(&g);
    return rc;
}

/* The prefix invariant; `want` is the verdict on the whole input. */
static inline void inv_prefix(const char *name, inv_decode *decode, void *ctx, const void *bytes, size_t len,
                              int want)
{
    size_t used, got;
    int full = inv_decode_prefix(decode, ctx, bytes, len, &used), rc;

    if (full != want)
        fail_msg("%s: %s, wanted %s", name, pixi_err_name(full), pixi_err_name(want));
    for (size_t k = 0; k < len; k++) {
        rc = inv_decode_prefix(decode, ctx, bytes, k, &got);
        if (rc != PIXI_MORE && rc != full)
            fail_msg("%s: prefix %zu says %s, the whole %s", name, k, pixi_err_name(rc), pixi_err_name(full));
        if (got != (rc == PIXI_OK ? used : 0))
            fail_msg("%s: prefix %zu consumed %zu", name, k, got);
    }
}

/* A reader under test: `run` starts a fresh reader, feeds it the pieces in order, and writes what came out as text
 * (events joined so that the cut does not show) and the final status. `cuts` are the pieces' lengths. */
typedef void inv_run(const struct inv_guard *pieces, const size_t *lens, size_t count, void *ctx,
                     struct pixi_buf *out);

static inline void inv_run_cut(inv_run *run, void *ctx, const uint8_t *bytes, const size_t *lens,
                               size_t count, struct pixi_buf *out)
{
    struct inv_guard *pieces = calloc(count ? count : 1, sizeof *pieces);
    size_t at = 0;

    assert_non_null(pieces);
    for (size_t i = 0; i < count; at += lens[i++])
        pieces[i] = inv_guard(bytes + at, lens[i]);
    run(pieces, lens, count, ctx, out);
    for (size_t i = 0; i < count; i++)
        inv_guard_free(&pieces[i]);
    free(pieces);
}

static inline void inv_same(const char *name, const char *how, size_t k, const struct pixi_buf *want,
                            const struct pixi_buf *got)
{
    if (want->len != got->len || (want->len && memcmp(want->bytes, got->bytes, want->len) != 0))
        fail_msg("%s: %s %zu differs\n  whole: %.*s\n  cut:   %.*s", name, how, k, (int)want->len,
                 (const char *)want->bytes, (int)got->len, (const char *)got->bytes);
}

/* The chunks invariant. `two_way_max`: inputs longer than this get two-way cuts at 200 evenly spread places. */
static inline void inv_chunks(const char *name, inv_run *run, void *ctx, const void *input, size_t len,
                              struct pixi_buf *whole)
{
    const uint8_t *bytes = input;
    struct pixi_buf got = pixi_buf_init(1 << 24);
    size_t *ones = malloc((len ? len : 1) * sizeof *ones), lens[2], step = len > 400 ? len / 200 : 1;

    assert_non_null(ones);
    inv_run_cut(run, ctx, bytes, &len, 1, whole);
    for (size_t i = 0; i < len; i++)
        ones[i] = 1;
    if (len <= 4096) {
        inv_run_cut(run, ctx, bytes, ones, len, &got);
        inv_same(name, "byte by byte", 1, whole, &got);
    }
    for (size_t k = 1; k < len; k += step) {
        lens[0] = k;
        lens[1] = len - k;
        pixi_buf_reset(&got);
        inv_run_cut(run, ctx, bytes, lens, 2, &got);
        inv_same(name, "cut at", k, whole, &got);
    }
    pixi_buf_clear(&got);
    free(ones);
}

#endif
