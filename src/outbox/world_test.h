/* world_test.h -- for tests: an outbox on disk without its thread, in a folder of its own, and what it told. */
#ifndef PIXI_OUTBOX_WORLD_TEST_H
#define PIXI_OUTBOX_WORLD_TEST_H

#include "outbox/outbox.h"

#include "invariants.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { HEARD_MAX = 4096 };

struct world {
    char folder[64], outbox_folder[80], path[96];
    struct pixi_outbox_options options;
    struct pixi_outbox *outbox;
    struct pixi_buf notes;
    struct pixi_outbox_now now;
    struct heard {
        uint64_t call, id;
        int err;
        char detail[32];
    } queued[HEARD_MAX], gone[HEARD_MAX];
    size_t queued_count, gone_count;
    uint64_t calls;
};

static inline void on_queued(void *ctx, uint64_t from, uint64_t call, uint64_t id, int err)
{
    struct world *w = ctx;

    (void)from;
    assert_true(w->queued_count < HEARD_MAX);
    w->queued[w->queued_count++] = (struct heard){.call = call, .id = id, .err = err};
}

static inline void on_gone(void *ctx, uint64_t from, uint64_t id, int err, const char *detail)
{
    struct world *w = ctx;
    struct heard *h = &w->gone[w->gone_count++];

    (void)from;
    assert_true(w->gone_count < HEARD_MAX);
    *h = (struct heard){.id = id, .err = err};
    snprintf(h->detail, sizeof h->detail, "%s", detail ? detail : "");
}

static inline void on_ready(void *ctx)
{
    (void)ctx;
}

static const struct pixi_outbox_calls calls = {on_queued, on_gone, on_ready};

static inline void settle(struct world *w)
{
    do
        pixi_outbox_take(w->outbox, w->now);
    while (pixi_outbox_turn(w->outbox));
}

static inline void open_up(struct world *w)
{
    w->options.wall_ms = w->now.wall_ms;
    assert_int_equal(pixi_outbox_open(&w->options, &calls, w, &w->outbox, &w->notes), PIXI_OK);
    w->now.ms = pixi_outbox_start_ms(w->outbox);
}

/* And the server can be reached, with epoch 5. */
static inline void open_linked(struct world *w)
{
    open_up(w);
    pixi_outbox_linked(w->outbox, 5, w->now);
    settle(w);
}

static inline void shut(struct world *w)
{
    pixi_outbox_close(w->outbox);
    w->outbox = NULL;
}

static inline void reopen(struct world *w)
{
    shut(w);
    open_up(w);
}

static inline void pass(struct world *w, uint64_t ms)
{
    w->now.ms += ms;
    w->now.wall_ms += ms;
    pixi_outbox_expire(w->outbox, w->now);
    settle(w);
}

static inline int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    snprintf(w->folder, sizeof w->folder, "/tmp/pixi-outbox-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->path, sizeof w->path, "%s/outbox/outbox.db", w->folder);
    w->notes = pixi_buf_init(4096);
    w->now.wall_ms = UINT64_C(1700000000000);
    snprintf(w->outbox_folder, sizeof w->outbox_folder, "%s/outbox", w->folder);
    w->options = (struct pixi_outbox_options){.path = w->outbox_folder, .bytes = 1 << 20, .late_ms = 60000};
    *state = w;
    return 0;
}

static inline int teardown(void **state)
{
    struct world *w = *state;
    char command[128];

    pixi_outbox_close(w->outbox);
    pixi_buf_clear(&w->notes);
    snprintf(command, sizeof command, "rm -rf %s", w->folder);
    assert_int_equal(system(command), 0);
    free(w);
    return 0;
}

static inline int put_with(struct world *w, const char *topic, const char *payload, unsigned priority,
                           uint64_t expires_in_ms)
{
    struct pixi_outbox_put p = {.topic = pixi_cur_str(topic),
                                .payload = pixi_cur_str(payload),
                                .priority = priority,
                                .expires_in_ms = expires_in_ms,
                                .owner = 1000,
                                .from = 7,
                                .call = ++w->calls};

    return pixi_outbox_put(w->outbox, &p, w->now);
}

static inline void put(struct world *w, const char *topic, const char *payload)
{
    assert_int_equal(put_with(w, topic, payload, PIXI_OUTBOX_PRIORITY, 0), PIXI_OK);
}

static inline void put_many(struct world *w, size_t count)
{
    char text[24];

    for (size_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%zu", i);
        put(w, "event/a", text);
    }
    settle(w);
}

/* Sends and has stored everything; the payloads in order, a space after each. */
static inline void deliver(struct world *w, struct pixi_buf *out)
{
    struct pixi_outbox_msg *m;

    settle(w);
    while ((m = pixi_outbox_next(w->outbox, w->now))) {
        pixi_outbox_sent(w->outbox, m);
        pixi_buf_put_cur(out, m->payload);
        pixi_buf_put_str(out, " ");
        pixi_outbox_stored(w->outbox, m, w->now);
        settle(w);
    }
}

static inline void expect_delivery(struct world *w, const char *text)
{
    struct pixi_buf out = pixi_buf_init(1 << 20);

    deliver(w, &out);
    pixi_buf_put(&out, "", 1);
    assert_string_equal((const char *)out.bytes, text);
    pixi_buf_clear(&out);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
