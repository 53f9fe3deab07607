#include "pixi-ws-client/lines.h"
#include "pixi-ws-client/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_, DRY_RUN, ALL, SECONDS, OBJECTS, RATE, FORMAT, PREFIX, CENTER, SCALE };

int scene_usage(const char *what)
{
    return cli_usage_error(cli_command_of("scene"), what);
}

int scene_check_id(const char *id)
{
    if (pixi_scene_is_id(pixi_cur_str(id)))
        return 0;
    return scene_usage("an ID is 1 to 128 bytes of UTF-8 without / + # and control characters");
}

int scene_mistakes(const struct scene *s, const struct pixi_buf *lines)
{
    return tell_list(scene_app(s),
                     &(struct mistakes){pixi_buf_cur(lines), "scene",
                                        "correct what is listed; docs/scene.md has every member",
                                        PIXI_E_RPC_PARAMS, PIXI_EXIT_USAGE});
}

int scene_check(const struct scene *s, const char *name, struct pixi_cur object)
{
    struct pixi_buf lines = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);
    int exit_code = 0;

    if (!pixi_scene_check(PIXI_SCENE_OBJECT, name, object, &lines))
        exit_code = scene_mistakes(s, &lines);
    pixi_buf_clear(&lines);
    return exit_code;
}

int scene_put(struct scene *s, const char *id, struct pixi_cur object)
{
    char topic[SCENE_TOPIC_MAX];
    struct publication m = {.topic = topic, .payload = object, .is_retained = true};

    snprintf(topic, sizeof topic, SCENE_OBJECTS "%s", id);
    return publisher_put(&s->publisher, &m);
}

/* --- put ------------------------------------------------------------------------------------------------------ */

/* Lines of standard input, each the object's next state. */
struct put_lines {
    struct scene *scene;
    struct lines lines;
    struct pixi_buf mistakes; /* of a dry run */
    uint64_t line;
    struct pixi_loop loop; /* of a dry run, which has no session */
    bool is_over;
    int exit_code;
};

static struct put_lines *put_of(struct lines *l)
{
    return (struct put_lines *)((char *)l - offsetof(struct put_lines, lines));
}

static void name_line(const struct put_lines *p, char name[64])
{
    snprintf(name, 64, "standard input:%llu", (unsigned long long)p->line);
}

static void on_line(struct lines *l, struct pixi_cur line)
{
    struct put_lines *p = put_of(l);
    struct publisher *publisher = &p->scene->publisher;
    char name[64];
    int exit_code;

    p->line++;
    name_line(p, name);
    exit_code = scene_check(p->scene, name, line);
    if (!exit_code)
        exit_code = scene_put(p->scene, p->scene->argv[0], line);
    if (exit_code)
        session_finish(&publisher->session, exit_code);
    else if (publisher_is_full(publisher))
        lines_pause(l);
}

static void on_lines_end(struct lines *l, int err)
{
    struct publisher *publisher = &put_of(l)->scene->publisher;

    if (err == PIXI_OK)
        publisher_end(publisher);
    else
        session_finish(&publisher->session, tell_input(publisher->session.app, err, l->sys_errno));
}

static void on_room(struct publisher *p)
{
    struct put_lines *put = p->session.ctx;

    lines_resume(&put->lines);
}

static void on_dry_line(struct lines *l, struct pixi_cur line)
{
    struct put_lines *p = put_of(l);
    char name[64];

    p->line++;
    name_line(p, name);
    pixi_scene_check(PIXI_SCENE_OBJECT, name, line, &p->mistakes);
}

static void on_dry_end(struct lines *l, int err)
{
    struct put_lines *p = put_of(l);

    p->is_over = true;
    if (err != PIXI_OK)
        p->exit_code = tell_input(scene_app(p->scene), err, l->sys_errno);
}

static int check_lines(struct scene *s)
{
    struct put_lines p = {.scene = s,
                          .lines = {.on_line = on_dry_line, .on_end = on_dry_end},
                          .mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX)};

    if (pixi_loop_init(&p.loop) != PIXI_OK)
        return tell_no_loop(scene_app(s));
    lines_open(&p.lines, &p.loop, STDIN_FILENO, PIXI_SCENE_BYTES_MAX);
    while (!p.is_over && pixi_loop_turn(&p.loop, -1) == PIXI_OK)
        continue;
    lines_close(&p.lines);
    pixi_loop_clear(&p.loop);
    if (p.mistakes.len)
        p.exit_code = scene_mistakes(s, &p.mistakes);
    pixi_buf_clear(&p.mistakes);
    return p.exit_code;
}

static int put_lines(struct scene *s)
{
    struct put_lines p = {.scene = s, .lines = {.on_line = on_line, .on_end = on_lines_end}};
    int exit_code;

    s->publisher.on_room = on_room;
    exit_code = publisher_open(&s->publisher, scene_app(s), NULL);
    if (exit_code)
        return exit_code;
    s->publisher.session.ctx = &p;
    lines_open(&p.lines, &s->publisher.session.loop, STDIN_FILENO, PIXI_SCENE_BYTES_MAX);
    exit_code = session_run(&s->publisher.session);
    lines_close(&p.lines);
    session_close(&s->publisher.session);
    return exit_code;
}

/* Opens, puts one after the other, and ends when all is stored. */
static int put_all(struct scene *s, char *const *ids, int count, struct pixi_cur object)
{
    int exit_code = publisher_open(&s->publisher, scene_app(s), NULL);

    if (exit_code)
        return exit_code;
    for (int i = 0; exit_code == 0 && i < count; i++)
        exit_code = scene_put(s, ids[i], object);
    s->publisher.is_all = true;
    if (!exit_code)
        exit_code = session_run(&s->publisher.session);
    session_close(&s->publisher.session);
    return exit_code;
}

static int run_put(struct scene *s)
{
    struct payload payload = {.bytes = pixi_buf_init(PIXI_SCENE_BYTES_MAX)};
    bool has_file = s->options.file != NULL;
    int exit_code = 0;

    if (s->argc != 1 + !has_file)
        return scene_usage("put: expected ID and OBJECT, - for lines of standard input, or --file");
    if ((exit_code = scene_check_id(s->argv[0])))
        return exit_code;
    if (!has_file && strcmp(s->argv[1], "-") == 0)
        return s->options.is_dry ? check_lines(s) : put_lines(s);
    if (has_file)
        exit_code = payload_read_file(scene_app(s), &payload, s->options.file, PIXI_SCENE_BYTES_MAX);
    else
        pixi_buf_put_str(&payload.bytes, s->argv[1]);
    if (!exit_code)
        exit_code = scene_check(s, has_file ? s->options.file : "object", pixi_buf_cur(&payload.bytes));
    if (!exit_code && !s->options.is_dry)
        exit_code = put_all(s, s->argv, 1, pixi_buf_cur(&payload.bytes));
    payload_clear(&payload);
    return exit_code;
}

static int run_remove(struct scene *s)
{
    int exit_code = s->argc ? 0 : scene_usage("remove: expected an ID, or several");

    for (int i = 0; exit_code == 0 && i < s->argc; i++)
        exit_code = scene_check_id(s->argv[i]);
    return exit_code ? exit_code : put_all(s, s->argv, s->argc, pixi_cur_init(NULL, 0));
}

/* --- the words ------------------------------------------------------------------------------------------------ */

static int read_scale(const char *text, double *out)
{
    char *end;

    *out = strtod(text, &end);
    if (end != text && !*end && *out > 0 && *out <= 1e6)
        return 0;
    return scene_usage("--scale: expected a number, more than 0, at most 1000000");
}

static int take_option(struct scene_options *o, int option, const char *value)
{
    switch (option) {
    case FILE_: o->file = value; return 0;
    case DRY_RUN: o->is_dry = true; return 0;
    case ALL: o->is_all = true; return 0;
    case SECONDS: return read_seconds("--seconds", value, &o->run_ms) ? 0 : PIXI_EXIT_USAGE;
    case OBJECTS: return read_count("--objects", value, &o->objects) ? 0 : PIXI_EXIT_USAGE;
    case RATE: return read_count("--rate", value, &o->rate) ? 0 : PIXI_EXIT_USAGE;
    case FORMAT: o->format = value; return 0;
    case PREFIX: o->prefix = value; return 0;
    case CENTER: o->center = value; return 0;
    default: return read_scale(value, &o->scale);
    }
}

static const struct {
    const char *word;
    int (*run)(struct scene *);
    unsigned takes; /* options: a bit each */
} words[] = {
    {"put", run_put, 1 << FILE_ | 1 << DRY_RUN},
    {"move", scene_run_move, 0},
    {"remove", run_remove, 0},
    {"clear", scene_run_clear, 1 << ALL},
    {"demo", scene_run_demo, 1 << SECONDS | 1 << OBJECTS | 1 << RATE},
    {"import", scene_run_import, 1 << DRY_RUN | 1 << FORMAT | 1 << PREFIX | 1 << CENTER | 1 << SCALE},
};

static int run_word(struct scene *s, const char *word, unsigned given)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i].word, word) != 0)
            continue;
        if (given & ~words[i].takes)
            return scene_usage("an option that does not go with this: --help says which go with what");
        return words[i].run(s);
    }
    return scene_usage("expected put, move, remove, clear, demo or import");
}

int cmd_scene(struct app *app, int argc, char **argv)
{
    struct scene s = {.publisher.session.app = app, .options.scale = 1};
    const char *value;
    unsigned given = 0;
    int option, index = 1, exit_code = 0;
    bool is_move = argc == 5 && strcmp(argv[1], "move") == 0; /* -3.5 is no option */

    while (!is_move && (option = cli_next(cli_command_of("scene"), argc, argv, &index, &value)) != CLI_END) {
        if (option < 0)
            return option == CLI_HELP ? 0 : PIXI_EXIT_USAGE;
        given |= 1u << option;
        if ((exit_code = take_option(&s.options, option, value)))
            return exit_code;
    }
    if (index == argc)
        return scene_usage("expected put, move, remove, clear, demo or import");
    s.argc = argc - index - 1;
    s.argv = argv + index + 1;
    return run_word(&s, argv[index], given);
}
