/* scene_read.c -- what needs to know what is on the map: move, and clear. */
#include "pixi-ws-client/scene.h"

#include <stdio.h>
#include <stdlib.h>

/* --- move ----------------------------------------------------------------------------------------------------- */

static void keep_object(struct pixi_uplink *c, const struct pixi_uplink_message *m)
{
    struct pixi_buf *object = session_of(c)->ctx;

    pixi_buf_reset(object);
    pixi_buf_put_cur(object, m->p.payload);
}

static int put_moved(struct scene *s, struct pixi_cur object)
{
    struct pixi_buf moved = pixi_buf_init(PIXI_SCENE_BYTES_MAX + 128);
    int exit_code;

    pixi_scene_move(object, s->argv[1], s->argv[2], &moved);
    exit_code = scene_put(s, s->argv[0], pixi_buf_cur(&moved));
    pixi_buf_clear(&moved);
    return exit_code;
}

static void on_object(struct pixi_uplink *c, const struct pixi_uplink_sub *sub)
{
    struct scene *s = scene_of(c);
    struct pixi_cur object = pixi_buf_cur(session_of(c)->ctx);
    int exit_code;

    (void)sub;
    if (s->publisher.is_all)
        return; /* synced again, on another connection */
    if (object.p == object.end)
        exit_code = tell(scene_app(s), PIXI_EXIT_CHECK, "scene", "put it there first: scene put ID OBJECT",
                         "no object %s is on the map", s->argv[0]);
    else
        exit_code = scene_check(s, "the object on the map", object);
    if (!exit_code)
        exit_code = put_moved(s, object);
    if (exit_code)
        session_finish(&s->publisher.session, exit_code);
    else
        publisher_end(&s->publisher);
}

static void on_refused(struct pixi_uplink *c, const struct pixi_uplink_sub *sub, const struct pixi_failure *f)
{
    (void)sub;
    print_failure(session_of(c)->app, f);
    session_finish(session_of(c), f->exit_code);
}

static bool is_number(const char *text)
{
    return pixi_json_check(text, strlen(text), 1, NULL) == PIXI_OK &&
           (*text == '-' || (*text >= '0' && *text <= '9'));
}

/* Are X and Y what an object may have? */
static int check_place(struct scene *s)
{
    char object[256];

    if (!is_number(s->argv[1]) || !is_number(s->argv[2]) ||
        snprintf(object, sizeof object, "{\"x\":%s,\"y\":%s}", s->argv[1], s->argv[2]) >= (int)sizeof object)
        return scene_usage("move: X and Y are numbers, such as 12 or -3.5");
    return scene_check(s, "X Y", pixi_cur_str(object));
}

/* Subscribes and runs until the work that on_synced starts is done. */
static int run_reading(struct scene *s, const char *filter, const struct pixi_uplink_handlers *h, void *ctx)
{
    static const struct pixi_uplink_how how = {.wants_retained = true};
    int exit_code = publisher_open(&s->publisher, scene_app(s), h);

    if (exit_code)
        return exit_code;
    s->publisher.session.ctx = ctx;
    if (s->publisher.session.settings.dialect != PIXI_SETTINGS_PIXI_V1)
        exit_code = tell(scene_app(s), PIXI_EXIT_SETTINGS, "settings",
                         "set \"dialect\" to \"pixi.v1\" (PIXI_WS_DIALECT)",
                         "MQTT does not say when all that is on the map has come");
    else if (pixi_uplink_subscribe(&s->publisher.session.client, filter, &how) != PIXI_OK)
        exit_code = PIXI_EXIT_INTERNAL;
    if (!exit_code)
        exit_code = session_run(&s->publisher.session);
    session_close(&s->publisher.session);
    return exit_code;
}

int scene_run_move(struct scene *s)
{
    static const struct pixi_uplink_handlers handlers = {
        .on_message = keep_object,
        .on_synced = on_object,
        .on_unsubscribed = on_refused,
        .on_end = publisher_on_end,
        .on_lost = publisher_on_lost,
    };
    struct pixi_buf object = pixi_buf_init(PIXI_SCENE_BYTES_MAX);
    char topic[SCENE_TOPIC_MAX];
    int exit_code = s->argc == 3 ? scene_check_id(s->argv[0]) : scene_usage("move: expected ID X Y");

    if (!exit_code)
        exit_code = check_place(s);
    if (exit_code)
        return exit_code;
    snprintf(topic, sizeof topic, SCENE_OBJECTS "%s", s->argv[0]);
    exit_code = run_reading(s, topic, &handlers, &object);
    pixi_buf_clear(&object);
    return exit_code;
}

/* --- clear ---------------------------------------------------------------------------------------------------- */

enum { TOPICS_BYTES_MAX = 256 << 20 };

struct clearing {
    struct pixi_buf topics; /* NUL-terminated, one behind the other */
    size_t next;
};

static bool is_to_go(const struct scene *s, struct pixi_cur topic)
{
    const char *prefix = s->argc ? s->argv[0] : "";
    struct pixi_cur head;

    if (s->options.is_all)
        return true;
    return pixi_cur_cut(&topic, strlen(SCENE_OBJECTS), &head) &&
           pixi_cur_cut(&topic, strlen(prefix), &head) && pixi_cur_equals(head, pixi_cur_str(prefix));
}

static void keep_topic(struct pixi_uplink *c, const struct pixi_uplink_message *m)
{
    const struct scene *s = scene_of(c);
    struct clearing *clearing = session_of(c)->ctx;

    if (!m->p.retained || s->publisher.seq || !is_to_go(s, m->p.topic))
        return;
    pixi_buf_put_cur(&clearing->topics, m->p.topic);
    pixi_buf_put(&clearing->topics, "", 1);
}

/* As many as there is room for. */
static void take_away(struct publisher *p)
{
    struct clearing *clearing = p->session.ctx;
    struct pixi_buf *topics = &clearing->topics;
    int exit_code = 0;

    while (exit_code == 0 && clearing->next < topics->len && !publisher_is_full(p)) {
        const char *topic = (const char *)topics->bytes + clearing->next;
        struct publication m = {.topic = topic, .is_retained = true};

        clearing->next += strlen(topic) + 1;
        exit_code = publisher_put(p, &m);
    }
    if (exit_code)
        session_finish(&p->session, exit_code);
    else if (clearing->next == topics->len)
        publisher_end(p);
}

static void on_all_there(struct pixi_uplink *c, const struct pixi_uplink_sub *sub)
{
    struct publisher *p = publisher_of(c);
    const struct clearing *clearing = session_of(c)->ctx;

    (void)sub;
    if (p->is_all || p->seq)
        return;
    if (clearing->topics.err)
        session_finish(&p->session,
                       tell(p->session.app, PIXI_EXIT_INTERNAL, "internal",
                            "clear a part at a time: scene clear PREFIX", "more objects than memory"));
    else
        take_away(p);
}

static void tell_cleared(struct publisher *p)
{
    if (p->forbidden)
        note("%llu taken away; %llu may not be: ask for a key that may publish there",
             (unsigned long long)p->stored, (unsigned long long)p->forbidden);
    else if (!p->session.app->is_json)
        note("%llu taken away", (unsigned long long)p->stored);
}

int scene_run_clear(struct scene *s)
{
    static const struct pixi_uplink_handlers handlers = {
        .on_message = keep_topic,
        .on_synced = on_all_there,
        .on_unsubscribed = on_refused,
        .on_end = publisher_on_end,
        .on_lost = publisher_on_lost,
    };
    struct clearing c = {.topics = pixi_buf_init(TOPICS_BYTES_MAX)};
    int exit_code;

    if (s->argc > 1 || (s->argc && s->options.is_all))
        return scene_usage("clear: expected PREFIX, or --all, or nothing");
    s->publisher.tolerates_forbidden = true;
    s->publisher.on_room = take_away;
    s->publisher.on_done = tell_cleared;
    exit_code = run_reading(s, s->options.is_all ? "scene/#" : SCENE_OBJECTS "+", &handlers, &c);
    pixi_buf_clear(&c.topics);
    return exit_code;
}
