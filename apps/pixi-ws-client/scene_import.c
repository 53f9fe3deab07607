/* scene_import.c -- a file is read twice: to find every mistake while nothing is sent, then to send. */
#include "pixi-ws-client/scene_import.h"
#include "base/utf8.h"
#include "pixi-ws-client/scene.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STDIN_MAX = 256 << 20 /* bytes; a file may be larger */ };

static const double EARTH_M = 6378137, LAT_MAX = 85.05;

struct pixi_buf *import_mistake(struct import *im, const uint8_t *at)
{
    struct pixi_json_at where =
        pixi_json_locate(im->text.p, pixi_cur_left(&im->text), (size_t)(at - im->text.p));

    im->mistake_count++;
    pixi_buf_putf(&im->mistakes, "%s:%zu:%zu: ", im->name, where.line, where.column);
    return &im->mistakes;
}

static double mercator(double lat)
{
    return log(tan(M_PI / 4 + lat * M_PI / 360));
}

/* To thousandths, and never -0. */
static double round_off(double v)
{
    return rint(v * 1000) / 1000 + 0.0;
}

bool import_place(struct import *im, double lon, double lat, const uint8_t *at, double *x, double *y)
{
    struct projection *p = &im->projection;
    double units;

    if (!(fabs(lon) <= 540) || !(fabs(lat) <= LAT_MAX)) {
        pixi_buf_putf(import_mistake(im, at),
                      "found longitude %g, latitude %g, expected degrees, at most 540 and %g\n", lon, lat,
                      LAT_MAX);
        return false;
    }
    if (!p->is_set) {
        p->is_set = true;
        p->lon = lon;
        p->lat = lat;
    }
    units = EARTH_M * cos(p->lat * M_PI / 180) * p->units;
    *x = round_off(units * (lon - p->lon) * M_PI / 180);
    *y = round_off(-units * (mercator(lat) - mercator(p->lat)));
    return true;
}

/* What an id may hold; the rest becomes "-". Cut at a whole character. */
static void put_id(struct import *im, struct pixi_cur id, unsigned part, char out[PIXI_SCENE_ID_MAX + 1])
{
    char tail[16] = "";
    size_t len, room;

    if (part)
        snprintf(tail, sizeof tail, "-%u", part);
    room = PIXI_SCENE_ID_MAX - strlen(tail);
    len = (size_t)snprintf(out, room + 1, "%s-%.*s", im->prefix, (int)pixi_cur_left(&id), (const char *)id.p);
    len = pixi_utf8_trim((const uint8_t *)out, len < room ? len : room);
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)out[i] < ' ' || out[i] == 0x7f || strchr("/+#", out[i]))
            out[i] = '-';
    memcpy(out + len, tail, strlen(tail) + 1);
}

/* The mistakes of an object that was made of something: the place is where that begins. */
static void tell_made(struct import *im, struct pixi_cur lines)
{
    while (lines.p != lines.end) {
        const uint8_t *end = memchr(lines.p, '\n', pixi_cur_left(&lines)), *words = lines.p;

        if (!end)
            return; /* cut short */
        for (unsigned colons = 0; words != end && colons < 3; words++)
            colons += *words == ':';
        pixi_buf_putf(import_mistake(im, im->text.p + im->offset), "%.*s\n", (int)(end - words - 1),
                      (const char *)words + 1);
        lines.p = end + 1;
    }
}

void import_take(struct import *im, struct pixi_cur id, unsigned part)
{
    struct pixi_buf lines = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);
    char text[PIXI_SCENE_ID_MAX + 1];

    if (im->object.err)
        pixi_buf_putf(import_mistake(im, im->text.p + im->offset),
                      "found more than %d bytes, expected less of an object\n", PIXI_SCENE_BYTES_MAX);
    else if (!pixi_scene_check(PIXI_SCENE_OBJECT, "", pixi_buf_cur(&im->object), &lines))
        tell_made(im, pixi_buf_cur(&lines));
    pixi_buf_clear(&lines);
    put_id(im, id, part, text);
    im->count++;
    if (im->emit && !im->mistake_count)
        im->emit(im, text, pixi_buf_cur(&im->object));
}

/* --- the command ---------------------------------------------------------------------------------------------- */

struct source {
    const char *path;
    struct pixi_cur text;
    struct payload read; /* standard input */
    void *map;           /* a file */
    size_t map_len;
};

static int open_file(const struct app *app, struct source *in)
{
    int fd = open(in->path, O_RDONLY | O_CLOEXEC), sys_errno = 0;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        sys_errno = errno;
    else if (!S_ISREG(st.st_mode))
        sys_errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    else if (st.st_size) {
        in->map_len = (size_t)st.st_size;
        in->map = mmap(NULL, in->map_len, PROT_READ, MAP_PRIVATE, fd, 0);
        if (in->map == MAP_FAILED) {
            sys_errno = errno;
            in->map = NULL;
        }
    }
    if (fd >= 0)
        close(fd);
    if (sys_errno)
        return tell(app, PIXI_EXIT_USAGE, "disk",
                    "name a file that is there and may be read, or - for standard input",
                    "%s cannot be read: %s", in->path, strerror(sys_errno));
    in->text = pixi_cur_init(in->map, in->map_len);
    return 0;
}

static int open_source(const struct app *app, struct source *in)
{
    int exit_code;

    if (strcmp(in->path, "-") != 0)
        return open_file(app, in);
    exit_code = payload_read_file(app, &in->read, "-", STDIN_MAX);
    in->text = pixi_buf_cur(&in->read.bytes);
    return exit_code;
}

static void close_source(struct source *in)
{
    payload_clear(&in->read);
    if (in->map)
        munmap(in->map, in->map_len);
}

typedef bool import_step(struct import *im);

/* By --format, else by the name's end. NULL after a usage error. */
static import_step *choose_format(const struct scene *s, const char *path)
{
    const char *dot = strrchr(path, '.'), *format = s->options.format;

    if (!format)
        format = dot ? dot + 1 : "";
    if (strcmp(format, "csv") == 0)
        return import_csv;
    if (strcmp(format, "geojson") == 0 || (!s->options.format && strcmp(format, "json") == 0))
        return import_geojson;
    scene_usage("import: a name that ends with .geojson, .json or .csv, or --format geojson or csv");
    return NULL;
}

static int read_center(const struct scene *s, struct projection *p)
{
    char *end = NULL;
    const char *text = s->options.center;

    *p = (struct projection){.units = s->options.scale};
    if (!text)
        return 0;
    p->lon = strtod(text, &end);
    p->is_set = end != text && *end == ',';
    if (p->is_set) {
        text = end + 1;
        p->lat = strtod(text, &end);
    }
    if (p->is_set && end != text && !*end && fabs(p->lon) <= 540 && fabs(p->lat) <= LAT_MAX)
        return 0;
    return scene_usage("--center: expected LON,LAT in degrees, such as 13.4,52.5");
}

/* The file's name without folder and end, unless --prefix says otherwise. */
static int choose_prefix(const struct scene *s, const char *path, struct import *im)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, *given = s->options.prefix;
    size_t len = strcspn(name, ".");

    if (!given && strcmp(path, "-") == 0)
        given = "import";
    if (given && strlen(given) >= sizeof im->prefix)
        return scene_usage("--prefix: at most 63 bytes");
    if (given)
        snprintf(im->prefix, sizeof im->prefix, "%s", given);
    else
        snprintf(im->prefix, sizeof im->prefix, "%.*s",
                 (int)pixi_utf8_trim((const uint8_t *)name, len < 63 ? len : 63), name);
    return pixi_scene_is_id(pixi_cur_str(im->prefix))
               ? 0
               : scene_usage("--prefix: UTF-8 without / + # and control characters");
}

/* Back to the start of the file; what was found out about it stays. */
static void rewind_import(struct import *im)
{
    im->is_begun = im->is_over = false;
    im->count = im->features = im->empty = im->holes = 0;
}

struct importing {
    struct import *im;
    import_step *step;
    int exit_code;
};

static void put_object(struct import *im, const char *id, struct pixi_cur object)
{
    struct scene *s = im->ctx;
    struct importing *importing = s->publisher.session.ctx;

    if (!importing->exit_code)
        importing->exit_code = scene_put(s, id, object);
}

static void go_on(struct publisher *p)
{
    struct importing *importing = p->session.ctx;

    while (!importing->exit_code && !publisher_is_full(p) && !importing->im->is_over)
        if (!importing->step(importing->im))
            importing->im->is_over = true;
    if (importing->exit_code)
        session_finish(&p->session, importing->exit_code);
    else if (importing->im->is_over && !p->is_all)
        publisher_end(p);
}

static void tell_center(const struct import *im)
{
    if (im->projection.is_set)
        note("%.7g,%.7g lies at 0, 0; with --center others join it there", im->projection.lon,
             im->projection.lat);
}

static void on_done(struct publisher *p)
{
    const struct importing *importing = p->session.ctx;

    if (p->session.app->is_json)
        return;
    note("%llu objects put there", (unsigned long long)p->stored);
    tell_center(importing->im);
}

static void on_failed(struct publisher *p)
{
    note("%llu were put there before", (unsigned long long)p->stored);
}

static int send_all(struct scene *s, struct import *im, import_step *step)
{
    struct importing importing = {.im = im, .step = step};
    int exit_code;

    s->publisher.on_room = go_on;
    s->publisher.on_done = on_done;
    s->publisher.on_failed = on_failed;
    exit_code = publisher_open(&s->publisher, scene_app(s), NULL);
    if (exit_code)
        return exit_code;
    s->publisher.session.ctx = &importing;
    rewind_import(im);
    im->emit = put_object;
    im->ctx = s;
    go_on(&s->publisher);
    exit_code = session_run(&s->publisher.session);
    session_close(&s->publisher.session);
    return exit_code;
}

static void print_object(struct import *im, const char *id, struct pixi_cur object)
{
    (void)im;
    printf("%s%s\t%.*s\n", SCENE_OBJECTS, id, (int)pixi_cur_left(&object), (const char *)object.p);
}

/* Every mistake, up to IMPORT_COUNT_MISTAKES; of a dry run what would be put. */
static int check_all(const struct scene *s, struct import *im, import_step *step)
{
    while (im->mistake_count < IMPORT_COUNT_MISTAKES && step(im))
        continue;
    if (im->mistake_count >= IMPORT_COUNT_MISTAKES)
        pixi_buf_putf(&im->mistakes, "%s: no more is looked for\n", im->name);
    if (im->mistake_count)
        return scene_mistakes(s, &im->mistakes);
    if (im->empty)
        note("%llu without a geometry are left out", (unsigned long long)im->empty);
    if (im->holes)
        note("%llu holes of polygons are not drawn", (unsigned long long)im->holes);
    return 0;
}

int scene_run_import(struct scene *s)
{
    struct source in = {.path = s->argc == 1 ? s->argv[0] : NULL};
    struct import im = {.object = pixi_buf_init(PIXI_SCENE_BYTES_MAX),
                        .mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX)};
    import_step *step;
    int exit_code;

    if (!in.path)
        return scene_usage("import: expected one file, or -");
    step = choose_format(s, in.path);
    if (!step || read_center(s, &im.projection) || choose_prefix(s, in.path, &im))
        return PIXI_EXIT_USAGE;
    exit_code = open_source(scene_app(s), &in);
    im.name = strcmp(in.path, "-") == 0 ? "standard input" : in.path;
    im.text = in.text;
    if (!exit_code)
        exit_code = check_all(s, &im, step);
    if (!exit_code && s->options.is_dry) {
        rewind_import(&im);
        im.emit = print_object;
        while (step(&im))
            continue;
        tell_center(&im);
    } else if (!exit_code) {
        exit_code = send_all(s, &im, step);
    }
    pixi_buf_clear(&im.object);
    pixi_buf_clear(&im.mistakes);
    close_source(&in);
    return exit_code;
}
