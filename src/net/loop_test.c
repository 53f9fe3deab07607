#include "net/loop.h"
#include "invariants.h"

#include <sys/epoll.h>
#include <unistd.h>

/* A task that stops its loop, queued from wherever a test likes. */
struct stopper {
    struct pixi_task task;
    struct pixi_timer timer;
    struct pixi_watch watch;
    struct pixi_loop *loop;
    unsigned runs;
};

#define OF(member, pointer) ((struct stopper *)((char *)(pointer)-offsetof(struct stopper, member)))

static void run(struct pixi_task *t)
{
    OF(task, t)->runs++;
    pixi_loop_stop(OF(task, t)->loop);
}

static void on_fire(struct pixi_timer *t)
{
    pixi_loop_defer(OF(timer, t)->loop, &OF(timer, t)->task);
}

static void on_ready(struct pixi_watch *w, uint32_t events)
{
    (void)events;
    pixi_loop_unwatch(OF(watch, w)->loop, w);
    pixi_loop_defer(OF(watch, w)->loop, &OF(watch, w)->task);
}

/* Whatever queues a task, and whenever, the loop does not go to sleep over what the task did: each of these would wait
 * for ever. */
static void test_a_task_ends_the_wait(void **state)
{
    struct pixi_loop loop;
    struct stopper s = {.task.run = run, .timer.on_due = on_fire, .watch.on_ready = on_ready, .loop = &loop};
    int ends[2];

    (void)state;
    assert_int_equal(pixi_loop_init(&loop), PIXI_OK);
    pixi_loop_defer(&loop, &s.task); /* between turns */
    assert_int_equal(pixi_loop_turn(&loop, -1), PIXI_OK);
    assert_int_equal(s.runs, 1);

    pixi_loop_defer(&loop, &s.task);
    assert_int_equal(pixi_loop_run(&loop), PIXI_OK);
    assert_int_equal(s.runs, 2);

    pixi_loop_set_timer(&loop, &s.timer, 1);
    assert_int_equal(pixi_loop_run(&loop), PIXI_OK);
    assert_int_equal(s.runs, 3);

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    s.watch.fd = ends[0];
    assert_int_equal(pixi_loop_watch(&loop, &s.watch, EPOLLIN), PIXI_OK);
    assert_int_equal(pixi_loop_run(&loop), PIXI_OK);
    assert_int_equal(s.runs, 4);
    close(ends[0]);
    close(ends[1]);
    pixi_loop_clear(&loop);
}

static void test_a_task_queued_twice_runs_once(void **state)
{
    struct pixi_loop loop;
    struct stopper s = {.task.run = run, .loop = &loop};

    (void)state;
    assert_int_equal(pixi_loop_init(&loop), PIXI_OK);
    pixi_loop_defer(&loop, &s.task);
    pixi_loop_defer(&loop, &s.task);
    assert_int_equal(pixi_loop_turn(&loop, 0), PIXI_OK);
    assert_int_equal(pixi_loop_turn(&loop, 0), PIXI_OK);
    assert_int_equal(s.runs, 1);
    pixi_loop_clear(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_task_ends_the_wait),
        cmocka_unit_test(test_a_task_queued_twice_runs_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
