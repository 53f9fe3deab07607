#include "server/gather.h"
#include "hub/alloc_test.h"
#include "invariants.h"

#include <stdio.h>
#include <stdlib.h>

enum { NOTES = 6000, TOPICS_MAX = 6000, NOTE_ROOM = 512 };

static void init(struct pixi_gather *g, enum pixi_gather_keep keep)
{
    pixi_gather_init(g, keep, pixi_buf_init(PIXI_GATHER_LATEST_MAX + 1), pixi_buf_init(1 << 24),
                     pixi_buf_init(1 << 24));
}

static void clear(struct pixi_gather *g)
{
    pixi_buf_clear(&g->text);
    pixi_buf_clear(&g->entries);
    pixi_buf_clear(&g->slots);
}

/* {"t":7,"n":12,"p":"xxx"}: the nth about topic 7; hashes collide now and then. */
static struct pixi_gather_note note(char text[NOTE_ROOM], unsigned topic, unsigned n, unsigned pad)
{
    int topic_len = snprintf(text, NOTE_ROOM, "{\"t\":%u,", topic);
    int len = topic_len + snprintf(text + topic_len, NOTE_ROOM - (size_t)topic_len, "\"n\":%u,\"p\":\"%*s\"}",
                                   n, (int)pad, "");

    return (struct pixi_gather_note){
        .text = pixi_cur_init(text, (size_t)len), .topic_len = (size_t)topic_len, .hash = topic % 50};
}

/* What left, an n each; frames are valid and within their limits. */
struct left {
    unsigned n[NOTES];
    size_t count, frames;
};

static void read_frame(struct pixi_cur frame, struct left *left)
{
    size_t in_frame = 0;

    assert_in_range(pixi_cur_left(&frame), 2, PIXI_GATHER_FRAME_MAX);
    assert_int_equal(pixi_json_check(frame.p, pixi_cur_left(&frame), 4, NULL), PIXI_OK);
    assert_int_equal(*frame.p, '[');
    for (const uint8_t *p = frame.p; (p = memmem(p, (size_t)(frame.end - p), "\"n\":", 4));
         p += 4, in_frame++)
        left->n[left->count++] = (unsigned)strtoul((const char *)p + 4, NULL, 10);
    assert_in_range(in_frame, 1, PIXI_RPC_BATCH_MAX);
    left->frames++;
}

static void take(struct pixi_gather *g, struct left *left)
{
    struct pixi_cur frame;

    while (pixi_gather_next(g, &frame))
        read_frame(frame, left);
    assert_true(pixi_gather_is_empty(g));
}

/* In order; of ALL each one, of LATEST each topic's last since the frames were last taken, where the last stood. */
static void check_kept(unsigned topics, unsigned pad, enum pixi_gather_keep keep, unsigned seed)
{
    static unsigned topic_of[NOTES];
    static struct left left;
    size_t want = 0, cut = 0, before = 0;
    char text[NOTE_ROOM];
    struct pixi_gather g;

    init(&g, keep);
    left = (struct left){.count = 0};
    srand(seed);
    for (unsigned n = 0; n <= NOTES; n++) {
        struct pixi_gather_note m = note(text, n < NOTES ? (topic_of[n] = (unsigned)rand() % topics) : 0, n,
                                         pad ? (unsigned)rand() % pad : 0);
        int rc = n < NOTES ? pixi_gather_add(&g, &m) : PIXI_E_LIMIT;

        if (rc == PIXI_OK)
            continue;
        assert_int_equal(rc, PIXI_E_LIMIT);
        take(&g, &left);
        for (size_t i = cut; i < n; i++) {
            bool is_kept = true;

            for (size_t j = i + 1; keep == PIXI_GATHER_LATEST && is_kept && j < n; j++)
                is_kept = topic_of[j] != topic_of[i];
            if (is_kept && (before + want >= left.count || left.n[before + want++] != i))
                fail_msg("%u topics, pad %u, seed %u: note %zu is missing or out of order", topics, pad, seed,
                         i);
        }
        assert_int_equal(left.count, before + want);
        before = left.count;
        want = 0;
        cut = n;
        if (n < NOTES)
            assert_int_equal(pixi_gather_add(&g, &m), PIXI_OK);
    }
    clear(&g);
}

static void what_is_kept_and_in_which_order(void **state)
{
    static const unsigned topics[] = {1, 7, 300, 3000}, pads[] = {0, 30, 400};

    (void)state;
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 3; j++) {
            check_kept(topics[i], pads[j], PIXI_GATHER_ALL, (unsigned)(i + 4 * j));
            check_kept(topics[i], pads[j], PIXI_GATHER_LATEST, (unsigned)(i + 4 * j));
        }
}

static void what_has_no_topic_is_never_replaced(void **state)
{
    static struct left left;
    struct pixi_gather_note m;
    char text[NOTE_ROOM];
    struct pixi_gather g;

    (void)state;
    init(&g, PIXI_GATHER_LATEST);
    left = (struct left){.count = 0};
    for (unsigned n = 0; n < 9; n++) {
        m = note(text, 1, n, 0);
        if (n % 3)
            m.topic_len = 0;
        assert_int_equal(pixi_gather_add(&g, &m), PIXI_OK);
    }
    take(&g, &left);
    assert_int_equal(left.frames, 1);
    assert_int_equal(left.count, 7);
    assert_int_equal(left.n[0], 1);
    assert_int_equal(left.n[4], 6);
    clear(&g);
}

/* The largest has a frame of its own, and room in any gather that is empty. */
static void the_largest(void **state)
{
    static uint8_t large[PIXI_GATHER_NOTE_MAX];
    struct pixi_gather_note m = {.text = pixi_cur_init(large, sizeof large)};
    struct pixi_cur frame;
    struct pixi_gather g;

    (void)state;
    memset(large, ' ', sizeof large);
    large[0] = '1';
    for (unsigned keep = PIXI_GATHER_ALL; keep <= PIXI_GATHER_LATEST; keep++) {
        init(&g, (enum pixi_gather_keep)keep);
        assert_int_equal(pixi_gather_add(&g, &m), PIXI_OK);
        if (keep == PIXI_GATHER_ALL)
            assert_int_equal(pixi_gather_add(&g, &m), PIXI_E_LIMIT);
        assert_true(pixi_gather_next(&g, &frame));
        assert_int_equal(pixi_cur_left(&frame), PIXI_GATHER_FRAME_MAX);
        assert_int_equal(frame.end[-1], ']');
        assert_false(pixi_gather_next(&g, &frame));
        clear(&g);
    }
}

/* Hundreds of moves of the same few take no more room than the few. */
static void what_is_replaced_takes_no_room(void **state)
{
    char text[NOTE_ROOM];
    struct pixi_gather g;

    (void)state;
    init(&g, PIXI_GATHER_LATEST);
    for (unsigned n = 0; n < 100000; n++) {
        struct pixi_gather_note m = note(text, n % 1000, n, 300);

        assert_int_equal(pixi_gather_add(&g, &m), PIXI_OK);
    }
    assert_in_range(g.text.cap, 1, PIXI_GATHER_LATEST_MAX + 1);
    clear(&g);
}

static void run_out_of_memory(void)
{
    static struct left left;
    unsigned added = 0;
    char text[NOTE_ROOM];
    struct pixi_gather g;

    init(&g, PIXI_GATHER_LATEST);
    left = (struct left){.count = 0};
    for (unsigned n = 0; n < 300; n++) {
        struct pixi_gather_note m = note(text, n, n, 20);
        int rc = pixi_gather_add(&g, &m);

        assert_true(rc == PIXI_OK || rc == PIXI_E_NOMEM);
        added += rc == PIXI_OK;
    }
    take(&g, &left);
    assert_int_equal(left.count, added);
    assert_in_range(added, 299, 300);
    clear(&g);
}

static void memory_may_end_anywhere(void **state)
{
    (void)state;
    assert_in_range(alloc_torture(run_out_of_memory), 5, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_and_in_which_order),
        cmocka_unit_test(what_has_no_topic_is_never_replaced),
        cmocka_unit_test(the_largest),
        cmocka_unit_test(what_is_replaced_takes_no_room),
        cmocka_unit_test(memory_may_end_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
