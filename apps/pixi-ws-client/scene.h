/* scene.h -- what the parts of the command `scene` share. */
#ifndef PIXI_WS_CLIENT_SCENE_H
#define PIXI_WS_CLIENT_SCENE_H

#include "pixi-ws-client/publisher.h"
#include "scene/object.h"

#define SCENE_OBJECTS "scene/objects/"

enum { SCENE_TOPIC_MAX = sizeof SCENE_OBJECTS + PIXI_SCENE_ID_MAX };

struct scene_options {
    bool is_dry, is_all;
    const char *file, *format, *prefix, *center;
    double scale;
    uint64_t run_ms, objects, rate; /* of the demo; 0: not given */
};

/* One of the command's words. argv: what stands behind the word. session.ctx is what the word works with. */
struct scene {
    struct publisher publisher;
    struct scene_options options;
    int argc;
    char **argv;
};

static inline struct scene *scene_of_publisher(struct publisher *p)
{
    return (struct scene *)((char *)p - offsetof(struct scene, publisher));
}

static inline struct scene *scene_of(struct pixi_uplink *c)
{
    return scene_of_publisher(publisher_of(c));
}

static inline struct app *scene_app(const struct scene *s)
{
    return s->publisher.session.app;
}

/* 0 or the exit code, which is told. */

int scene_usage(const char *what);
int scene_check_id(const char *id);
/* scene_check -- is this an object? name: what a mistake's line begins with. */
int scene_check(const struct scene *s, const char *name, struct pixi_cur object);
/* scene_put -- its retained message; an empty one takes it away. */
int scene_put(struct scene *s, const char *id, struct pixi_cur object);
/* scene_mistakes -- lines, in the end. */
int scene_mistakes(const struct scene *s, const struct pixi_buf *lines);

int scene_run_move(struct scene *s);
int scene_run_clear(struct scene *s);
int scene_run_demo(struct scene *s);
int scene_run_import(struct scene *s);

#endif
