#include "net/out.h"
#include "hub/alloc_test.h"
#include "invariants.h"

#include <errno.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- memory that runs out ---- */

/* The allocation after so many fails; 0: none. */
static void fail_in(unsigned count)
{
    alloc_fail_at = count ? alloc_count + count : 0;
}

/* ---- against a naive model ---- */

enum { QUEUES = 3, MODEL_MAX = 1 << 20 };

struct model {
    struct pixi_out out;
    uint8_t *bytes; /* what must be in the queue */
    size_t len;
};

static struct pixi_out_pool pool;
static uint32_t seed;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(seed >> 4) * n >> 28);
}

/* What pixi_out_iov shows, with `max` pieces at most, is what the model holds. */
static void check(const struct model *m, int max)
{
    struct iovec iov[2000];
    size_t at = 0;
    int count = pixi_out_iov(&m->out, iov, max);

    assert_in_range(count, 0, max);
    assert_int_equal(m->out.len, m->len);
    for (int i = 0; i < count; i++) {
        assert_true(iov[i].iov_len <= m->len - at);
        assert_memory_equal(iov[i].iov_base, m->bytes + at, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    if (count < max)
        assert_int_equal(at, m->len);
    if (!m->len && !m->out.first)
        assert_null(m->out.last);
}

static uint32_t random_len(uint32_t most)
{
    static const uint32_t edges[] = {
        0, 1, PIXI_OUT_CHUNK / 2, PIXI_OUT_CHUNK - 40, PIXI_OUT_CHUNK, 3 * PIXI_OUT_CHUNK};
    uint32_t len = random_below(3)   ? random_below(300)
                   : random_below(2) ? random_below(40000)
                                     : edges[random_below(COUNT(edges))];

    return len < most ? len : most;
}

static void put(struct model *m)
{
    uint32_t len = random_len(MODEL_MAX - (uint32_t)m->len);

    for (uint32_t i = 0; i < len; i++)
        m->bytes[m->len + i] = (uint8_t)random_below(256);
    fail_in(random_below(6) ? 0 : 1 + random_below(2));
    if (pixi_out_put(&m->out, &pool, m->bytes + m->len, len) == PIXI_OK)
        m->len += len;
    fail_in(0);
}

static void put_room(struct model *m)
{
    uint32_t len = random_len(MODEL_MAX - (uint32_t)m->len);
    uint8_t *room;

    len = len > PIXI_OUT_CHUNK / 2 ? PIXI_OUT_CHUNK / 2 : len;
    if (!len)
        return;
    fail_in(random_below(6) ? 0 : 1);
    room = pixi_out_room(&m->out, &pool, len);
    fail_in(0);
    if (!room)
        return;
    for (uint32_t i = 0; i < len; i++)
        room[i] = m->bytes[m->len + i] = (uint8_t)random_below(256);
    m->len += len;
}

static void put_shared(struct model *m, struct pixi_shared *s)
{
    if (s->len > MODEL_MAX - m->len)
        return;
    fail_in(random_below(6) ? 0 : 1);
    if (pixi_out_put_shared(&m->out, &pool, s) == PIXI_OK) {
        memcpy(m->bytes + m->len, s->bytes, s->len);
        m->len += s->len;
    }
    fail_in(0);
}

static void drop(struct model *m)
{
    size_t len = random_below(4) ? random_below((uint32_t)m->len + 1) : m->len;

    pixi_out_drop(&m->out, &pool, len);
    m->len -= len;
    memmove(m->bytes, m->bytes + len, m->len);
}

static void as_the_model(void **state)
{
    static const size_t lens[] = {0, 1, 20000, 65536};
    struct pixi_shared *shared[COUNT(lens)];
    struct model models[QUEUES] = {0};

    (void)state;
    seed = 7;
    for (size_t i = 0; i < COUNT(lens); i++) {
        shared[i] = pixi_shared_new(lens[i]);
        assert_non_null(shared[i]);
        memset(shared[i]->bytes, (int)i + 'a', lens[i]);
    }
    for (size_t i = 0; i < QUEUES; i++) {
        models[i].bytes = malloc(MODEL_MAX);
        assert_non_null(models[i].bytes);
    }
    for (int round = 0; round < 20000; round++) {
        struct model *m = &models[random_below(QUEUES)];

        switch (random_below(5)) {
        case 0: put(m); break;
        case 1: put_room(m); break;
        case 2: put_shared(m, shared[random_below(COUNT(lens))]); break;
        default: drop(m); break;
        }
        check(m, random_below(10) ? PIXI_OUT_PIECES : 2000);
    }
    for (size_t i = 0; i < QUEUES; i++) {
        pixi_out_clear(&models[i].out, &pool);
        models[i].len = 0;
        assert_null(models[i].out.first); /* an empty queue owns nothing */
        check(&models[i], 1);
        free(models[i].bytes);
    }
    for (size_t i = 0; i < COUNT(lens); i++) {
        assert_int_equal(shared[i]->refs, 1);
        pixi_shared_release(shared[i]);
    }
    pixi_out_pool_clear(&pool);
}

/* ---- one thing at a time ---- */

/* Whichever allocation fails, the queue is as before, and goes on where it was. */
static void a_failed_put_leaves_the_queue(void **state)
{
    static uint8_t much[5 * PIXI_OUT_CHUNK];

    (void)state;
    memset(much, 'm', sizeof much);
    for (unsigned nth = 1; nth <= 5; nth++)
        for (int has_shared = 0; has_shared < 2; has_shared++) {
            struct pixi_shared *s = pixi_shared_new(10);
            struct pixi_out o = {0};
            struct iovec iov[10];

            assert_non_null(s);
            memset(s->bytes, 's', s->len);
            assert_int_equal(pixi_out_put(&o, &pool, (const uint8_t *)"abc", 3), PIXI_OK);
            if (has_shared)
                assert_int_equal(pixi_out_put_shared(&o, &pool, s), PIXI_OK);
            fail_in(nth);
            assert_int_equal(pixi_out_put(&o, &pool, much, sizeof much), PIXI_E_NOMEM);
            fail_in(0);
            pixi_out_pool_clear(&pool);
            assert_int_equal(o.len, has_shared ? 13 : 3);
            assert_int_equal(pixi_out_put(&o, &pool, (const uint8_t *)"d", 1), PIXI_OK);
            assert_int_equal(pixi_out_iov(&o, iov, 10), has_shared ? 3 : 1);
            assert_memory_equal(iov[0].iov_base, has_shared ? "abc" : "abcd", iov[0].iov_len);
            pixi_out_clear(&o, &pool);
            assert_int_equal(s->refs, 1);
            pixi_shared_release(s);
            pixi_out_pool_clear(&pool);
        }
}

static void a_failed_first_put(void **state)
{
    struct pixi_out o = {0};
    struct pixi_shared *s = pixi_shared_new(1);

    (void)state;
    assert_non_null(s);
    for (int i = 0; i < 3; i++) {
        fail_in(1);
        if (i == 0)
            assert_int_equal(pixi_out_put(&o, &pool, (const uint8_t *)"abc", 3), PIXI_E_NOMEM);
        else if (i == 1)
            assert_null(pixi_out_room(&o, &pool, 3));
        else
            assert_int_equal(pixi_out_put_shared(&o, &pool, s), PIXI_E_NOMEM);
        assert_null(o.first);
        assert_null(o.last);
        assert_int_equal(o.len, 0);
    }
    fail_in(1);
    assert_null(pixi_shared_new(10));
    assert_int_equal(s->refs, 1);
    pixi_shared_release(s);
    pixi_out_pool_clear(&pool);
}

static void small_things_lie_side_by_side(void **state)
{
    struct pixi_out o = {0};
    struct iovec iov[2];

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(pixi_out_put(&o, &pool, (const uint8_t *)"0123456789", 10), PIXI_OK);
    assert_int_equal(pixi_out_iov(&o, iov, 2), 1);
    assert_int_equal(iov[0].iov_len, 10000);
    pixi_out_clear(&o, &pool);
    pixi_out_pool_clear(&pool);
}

static void the_pool_keeps_no_more_than_it_should(void **state)
{
    static uint8_t chunk[PIXI_OUT_CHUNK];
    struct pixi_out o = {0};

    (void)state;
    for (int i = 0; i < PIXI_OUT_POOL_MAX + 10; i++)
        assert_int_equal(pixi_out_put(&o, &pool, chunk, sizeof chunk), PIXI_OK);
    pixi_out_clear(&o, &pool);
    assert_int_equal(pool.chunk_count, PIXI_OUT_POOL_MAX);
    fail_in(1); /* what is kept is used first */
    assert_int_equal(pixi_out_put(&o, &pool, chunk, 1), PIXI_OK);
    fail_in(0);
    assert_int_equal(pool.chunk_count, PIXI_OUT_POOL_MAX - 1);
    pixi_out_clear(&o, &pool);
    pixi_out_pool_clear(&pool);
    assert_null(pool.chunks);
    assert_int_equal(pool.chunk_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_model),
        cmocka_unit_test(a_failed_put_leaves_the_queue),
        cmocka_unit_test(a_failed_first_put),
        cmocka_unit_test(small_things_lie_side_by_side),
        cmocka_unit_test(the_pool_keeps_no_more_than_it_should),
    };

    return cmocka_run_group_tests_name("net/out", tests, NULL, NULL);
}
