/* scene_demo.c -- the city in motion. Moves are notifications: one that is lost is made good by the next, and where the
 * link has no room a move is left out rather than kept. What is put and taken away is stored for certain. */
#include "pixi-ws-client/scene.h"
#include "pixi-ws-client/scene_city.h"

#include <stdio.h>

enum {
    OBJECTS = 60,
    OBJECTS_MAX = 100000,
    RATE = 10,
    RATE_MAX = 120,
    OBJECT_MAX = 1024,        /* bytes */
    BACKLOG_MAX = 256 * 1024, /* bytes that wait on the link, from which moves are left out */
};

struct demo {
    struct scene *scene;
    struct city city;
    struct pixi_timer tick, end;
    struct pixi_buf object;
    uint64_t rate, started_ms, ticks, moves, left_out;
    unsigned next; /* to put, or to take away */
    enum { BUILDING, MOVING, GOING } state;
};

static struct demo *demo_of(struct publisher *p)
{
    return p->session.ctx;
}

/* Of what stands, then of what drives: the id of the next, and its object. NULL: that was all. */
static const char *take_next(struct demo *d, char id[CITY_ID_MAX])
{
    unsigned i = d->next;

    pixi_buf_reset(&d->object);
    if (!city_still(&d->city, i, id, &d->object)) {
        i -= city_still_count(&d->city);
        if (i >= d->city.movers)
            return NULL;
        city_mover(&d->city, i, 0, id, &d->object);
    }
    d->next++;
    return id;
}

static void start_moving(struct demo *d)
{
    struct pixi_loop *l = &d->scene->publisher.session.loop;

    if (!d->started_ms)
        note("a city with %u in motion, moved %llu times a second each; Ctrl-C takes it away", d->city.movers,
             (unsigned long long)d->rate);
    d->state = MOVING;
    d->started_ms = d->started_ms ? d->started_ms : l->now_ms;
    if (!pixi_timer_is_set(&d->tick))
        pixi_loop_set_timer(l, &d->tick, 0);
}

/* Puts, or takes away, as much as there is room for. */
static void go_on(struct publisher *p)
{
    struct demo *d = demo_of(p);
    char id[CITY_ID_MAX];
    int exit_code = 0;

    while (exit_code == 0 && d->state != MOVING && !publisher_is_full(p)) {
        if (take_next(d, id))
            exit_code = scene_put(d->scene, id,
                                  d->state == GOING ? pixi_cur_init(NULL, 0) : pixi_buf_cur(&d->object));
        else if (d->state == BUILDING && p->low > p->seq) /* all of it is there */
            start_moving(d);
        else
            break;
    }
    if (exit_code)
        session_finish(&p->session, exit_code);
    else if (d->state == GOING && d->next == city_still_count(&d->city) + d->city.movers && !p->is_all)
        publisher_end(p);
}

/* A server that was started anew may have forgotten all of it. */
static void on_connect(struct pixi_uplink *c)
{
    struct demo *d = session_of(c)->ctx;

    if (d->state != GOING) {
        d->state = BUILDING;
        d->next = 0;
    }
    go_on(publisher_of(c));
}

static bool send_move(struct demo *d, unsigned i, uint64_t ms)
{
    struct pixi_uplink *c = &d->scene->publisher.session.client;
    char id[CITY_ID_MAX], topic[SCENE_TOPIC_MAX];
    struct pixi_uplink_out m = {.topic = topic, .is_json = true, .is_retained = true};

    pixi_buf_reset(&d->object);
    city_mover(&d->city, i, ms, id, &d->object);
    snprintf(topic, sizeof topic, SCENE_OBJECTS "%s", id);
    m.payload = pixi_buf_cur(&d->object);
    return pixi_uplink_publish(c, &m, 0, NULL, NULL) == PIXI_OK;
}

static void on_tick(struct pixi_timer *t)
{
    struct demo *d = (struct demo *)((char *)t - offsetof(struct demo, tick));
    struct session *session = &d->scene->publisher.session;
    uint64_t ms = session->loop.now_ms - d->started_ms, due;

    for (unsigned n = 0; n < d->city.movers; n++) {
        /* each time from another one on, so that none is always the last */
        unsigned i = (unsigned)((n + d->ticks * 7919) % d->city.movers);
        bool is_sent = d->state == MOVING && pixi_link_waiting(&session->client.link) < BACKLOG_MAX &&
                       send_move(d, i, ms);

        *(is_sent ? &d->moves : &d->left_out) += 1;
    }
    d->ticks = ms * d->rate / 1000 + 1;
    due = d->ticks * 1000 / d->rate;
    pixi_loop_set_timer(&session->loop, t, due > ms ? due - ms : 1);
}

static void take_away(struct demo *d)
{
    struct session *session = &d->scene->publisher.session;

    if (d->state == GOING)
        return;
    pixi_loop_cancel_timer(&session->loop, &d->tick);
    pixi_loop_cancel_timer(&session->loop, &d->end);
    d->state = GOING;
    d->next = 0;
    if (session->client.state == PIXI_UPLINK_OPEN) {
        go_on(&d->scene->publisher);
        return;
    }
    if (d->scene->publisher.seq)
        note("the server cannot be reached, so the city stays; `pixi-ws-client scene clear demo-` takes it "
             "away");
    session_finish(session, 0);
}

static void on_interrupt(struct session *session)
{
    take_away(session->ctx);
}

static void on_time_over(struct pixi_timer *t)
{
    take_away((struct demo *)((char *)t - offsetof(struct demo, end)));
}

static void on_done(struct publisher *p)
{
    const struct demo *d = demo_of(p);

    note("%llu moves sent, %llu left out; the city is taken away", (unsigned long long)d->moves,
         (unsigned long long)d->left_out);
}

static void on_failed(struct publisher *p)
{
    (void)p;
    note("what was put stays; `pixi-ws-client scene clear demo-` takes it away");
}

static int check_options(struct scene *s, struct demo *d)
{
    uint64_t movers = s->options.objects ? s->options.objects : OBJECTS;

    d->rate = s->options.rate ? s->options.rate : RATE;
    if (s->argc)
        return scene_usage("demo: it takes options only");
    if (movers > OBJECTS_MAX || d->rate > RATE_MAX)
        return scene_usage("demo: at most 100000 objects, moved 120 times a second");
    city_init(&d->city, (unsigned)movers);
    return 0;
}

int scene_run_demo(struct scene *s)
{
    static const struct pixi_uplink_handlers handlers = {
        .on_connect = on_connect, .on_end = publisher_on_end, .on_lost = publisher_on_lost};
    struct demo d = {
        .scene = s, .tick.on_due = on_tick, .end.on_due = on_time_over, .object = pixi_buf_init(OBJECT_MAX)};
    int exit_code = check_options(s, &d);

    if (exit_code)
        return exit_code;
    s->publisher.on_room = go_on;
    s->publisher.on_done = on_done;
    s->publisher.on_failed = on_failed;
    exit_code = publisher_open(&s->publisher, scene_app(s), &handlers);
    if (exit_code)
        return exit_code;
    s->publisher.session.ctx = &d;
    s->publisher.session.on_interrupt = on_interrupt;
    if (s->options.run_ms)
        pixi_loop_set_timer(&s->publisher.session.loop, &d.end, s->options.run_ms);
    exit_code = session_run(&s->publisher.session);
    session_close(&s->publisher.session);
    pixi_buf_clear(&d.object);
    return exit_code;
}
