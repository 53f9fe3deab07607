#include "pixi-ws-client/scene_city.h"

#include <math.h>
#include <stdio.h>

enum { BLOCK = 160, ROAD = 28, BLOCKS_MIN = 4, BLOCKS_MAX = 60, HOUSES = 4, PER_BLOCK = 6 };

/* Always the same city. */
static unsigned pick(unsigned a, unsigned b, unsigned of)
{
    unsigned h = (a * 2654435761u) ^ (b * 40503u + 0x9e3779b9u);

    h = (h ^ h >> 15) * 2246822519u;
    return (h ^ h >> 13) % of;
}

void city_init(struct city *c, unsigned movers)
{
    c->movers = movers;
    for (c->blocks = BLOCKS_MIN; c->blocks < BLOCKS_MAX && c->blocks * c->blocks * 2 < movers; c->blocks++)
        continue;
}

static int middle(unsigned block)
{
    return (int)block * BLOCK + BLOCK / 2;
}

/* --- what stands ---------------------------------------------------------------------------------------------- */

static void put_ground(const struct city *c, char id[CITY_ID_MAX], struct pixi_buf *b)
{
    int side = (int)c->blocks * BLOCK;

    snprintf(id, CITY_ID_MAX, "demo-ground");
    pixi_buf_putf(
        b,
        "{\"x\":%d,\"y\":%d,\"shape\":\"rect\",\"width\":%d,\"height\":%d,\"tint\":\"#dfe7d3\",\"z\":-100}",
        side / 2, side / 2, side + 2 * ROAD, side + 2 * ROAD);
}

static void put_name(const struct city *c, char id[CITY_ID_MAX], struct pixi_buf *b)
{
    snprintf(id, CITY_ID_MAX, "demo-name");
    pixi_buf_putf(b, "{\"x\":%d,\"y\":%d,\"text\":\"Pixi City\",\"size\":48,\"tint\":\"#64748b\",\"z\":50}",
                  (int)c->blocks * BLOCK / 2, -60);
}

static void put_road(const struct city *c, unsigned i, char id[CITY_ID_MAX], struct pixi_buf *b)
{
    bool is_across = i > c->blocks;
    int at = (int)(is_across ? i - c->blocks - 1 : i) * BLOCK, side = (int)c->blocks * BLOCK;

    snprintf(id, CITY_ID_MAX, "demo-road-%u", i);
    pixi_buf_putf(b,
                  "{\"x\":%d,\"y\":%d,\"shape\":\"line\",\"points\":[[0,0],[%d,%d]],\"stroke\":%d,"
                  "\"tint\":\"#9aa3ad\",\"z\":-50}",
                  is_across ? 0 : at, is_across ? at : 0, is_across ? side : 0, is_across ? 0 : side, ROAD);
}

static void put_house(const struct city *c, unsigned i, char id[CITY_ID_MAX], struct pixi_buf *b)
{
    static const char *const tints[] = {"#c2785c", "#d9a066", "#8f6f8f", "#7a8b99", "#b5654d", "#a3a380"};
    unsigned block = i / PER_BLOCK, part = i % PER_BLOCK;
    int x = middle(block % c->blocks) + (part % 2 ? 30 : -30),
        y = middle(block / c->blocks) + (part / 2 % 2 ? 30 : -30);
    int wide = 34 + (int)pick(i, 1, 14), high = 34 + (int)pick(i, 2, 14);

    if (part < HOUSES) {
        snprintf(id, CITY_ID_MAX, "demo-house-%u", i);
        pixi_buf_putf(
            b,
            "{\"x\":%d,\"y\":%d,\"shape\":\"rect\",\"width\":%d,\"height\":%d,\"stroke\":1,\"tint\":\"%s\","
            "\"data\":{\"floors\":%u}}",
            x, y, wide, high, tints[pick(i, 3, 6)], 2 + pick(i, 4, 6));
        return;
    }
    snprintf(id, CITY_ID_MAX, "demo-tree-%u", i);
    pixi_buf_putf(b, "{\"x\":%d,\"y\":%d,\"sprite\":\"tree\",\"z\":1}",
                  middle(block % c->blocks) + (int)pick(i, 5, 9) - 4,
                  middle(block / c->blocks) + (part == HOUSES ? 1 : -1) * (20 + (int)pick(i, 6, 38)));
}

unsigned city_still_count(const struct city *c)
{
    return 2 + 2 * (c->blocks + 1) + c->blocks * c->blocks * PER_BLOCK;
}

bool city_still(const struct city *c, unsigned i, char id[CITY_ID_MAX], struct pixi_buf *b)
{
    unsigned roads = 2 * (c->blocks + 1);

    if (i == 0)
        put_ground(c, id, b);
    else if (i == 1)
        put_name(c, id, b);
    if (i < 2)
        return true;
    i -= 2;
    if (i < roads)
        put_road(c, i, id, b);
    else if (i < city_still_count(c) - 2)
        put_house(c, i - roads, id, b);
    return i < city_still_count(c) - 2;
}

/* --- what drives ---------------------------------------------------------------------------------------------- */

struct place {
    double x, y, rotation;
};

/* Round a rectangle of roads, on the right: clockwise on the outer lane, the other way on the inner one. */
static struct place on_loop(const struct city *c, unsigned i, double way)
{
    unsigned left = pick(i, 11, c->blocks), top = pick(i, 12, c->blocks);
    unsigned wide = 1 + pick(i, 13, c->blocks - left), high = 1 + pick(i, 14, c->blocks - top);
    bool is_back = i % 2;
    double lane = (is_back ? 1 : -1) * ROAD / 4.0, w = wide * BLOCK - 2 * lane, h = high * BLOCK - 2 * lane;
    double s = fmod(way + pick(i, 15, 10000), 2 * (w + h)), x = left * BLOCK + lane, y = top * BLOCK + lane;
    struct place p;

    if (is_back)
        s = 2 * (w + h) - s;
    if (s < w)
        p = (struct place){x + s, y, 0};
    else if (s < w + h)
        p = (struct place){x + w, y + s - w, M_PI / 2};
    else if (s < 2 * w + h)
        p = (struct place){x + w - (s - w - h), y + h, M_PI};
    else
        p = (struct place){x, y + h - (s - 2 * w - h), -M_PI / 2};
    p.rotation += is_back ? M_PI : 0;
    return p;
}

void city_mover(const struct city *c, unsigned i, uint64_t ms, char id[CITY_ID_MAX], struct pixi_buf *b)
{
    static const char *const tints[] = {"#e4572e", "#f3a712", "#2e86ab", "#5c946e", "#80475e", "#eeeeee"};
    bool is_tram = i % 8 == 0;
    double speed = is_tram ? 40 : 50 + pick(i, 16, 40); /* units a second */
    struct place p = on_loop(c, i, speed * (double)ms / 1000);

    snprintf(id, CITY_ID_MAX, "demo-%s-%u", is_tram ? "tram" : "car", i);
    pixi_buf_putf(b, "{\"x\":%.2f,\"y\":%.2f,\"rotation\":%.3f,\"sprite\":\"%s\",\"tint\":\"%s\",\"z\":%d",
                  p.x, p.y, p.rotation, is_tram ? "tram" : "car", tints[pick(i, 17, 6)], is_tram ? 11 : 10);
    if (is_tram)
        pixi_buf_putf(b, ",\"label\":\"Line %u\"", 1 + i / 8 % 20);
    pixi_buf_put_str(b, "}");
}
